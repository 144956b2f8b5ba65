//! `emissiond tap`: what messages become, as they come; and `check --topic`, the same for one message.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::replay::each_message;
use crate::cli::{FAILED, Failure, UNAVAILABLE, USAGE, plan, runtime};
use crate::clock;
use crate::cluster::{Kind, MeterIx};
use crate::config::Plan;
use crate::decode::{Births, Decoded, Message, Reading, Refusal};
use crate::emission::{Column, Tally};
use crate::meter::Usage;
use crate::mqtt::listen;
use crate::pipeline::follow;
use crate::quantity::{Conversion, Period, Ratio, Span, Time, Unit};
use crate::store::Reader;

/// Of a payload that is shown.
const SHOWN: usize = 200;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration: broker, meters, factors
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// Only topics or meters like this (`*` stands for anything), or an MQTT filter such as `plant/#` to see what no meter has
    glob: Option<String>,
    /// End after this long, such as 30s
    #[arg(long = "for")]
    duration: Option<String>,
    /// End after so many messages
    #[arg(long)]
    count: Option<u64>,
    /// Instead of a broker: a file of messages, as for `replay`: a line each, with `payload` or `payload_base64`
    #[arg(long, short)]
    messages: Option<PathBuf>,
    /// For people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let limit = arguments.duration.as_ref().map(|text| {
        Span::parse(text).ok_or_else(|| Failure::new(USAGE, format!("`{text}` is no duration; write 30s or 5m")))
    });
    let limit = limit.transpose()?.map(|span| Duration::from_millis(span.0.unsigned_abs()));
    let mut tap = Tap::new(&plan, arguments);
    if let Some(file) = &arguments.messages {
        let mut shown = Ok(true);
        each_message(file, plan.mqtt.max_packet, |message| {
            if matches!(shown, Ok(true)) {
                shown = tap.take(&message);
            }
        })?;
        return shown.map(drop);
    }
    runtime()?.block_on(async {
        let ended = tokio::time::sleep(limit.unwrap_or(Duration::MAX));
        tokio::select! {
            result = tap.live(&plan) => result,
            () = ended => Ok(()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

/// Shows one message as the plan reads it; an error where no meter takes anything from it.
pub(crate) fn show_one(plan: &Plan, message: &Message, as_json: bool) -> Result<(), Failure> {
    let mut eye = Eye::new(plan);
    let seen = eye.look(message);
    print(&seen, if as_json { Format::Json } else { Format::Text })?;
    let taken = seen.readings.iter().any(|reading| reading.result.is_ok());
    if taken { Ok(()) } else { Err(Failure::new(FAILED, "")) }
}

struct Tap<'a> {
    eye: Eye<'a>,
    glob: Option<String>,
    filter: Option<String>,
    left: Option<u64>,
    format: Format,
}

impl<'a> Tap<'a> {
    fn new(plan: &'a Plan, arguments: &Arguments) -> Tap<'a> {
        let is_filter = |text: &&String| text.contains(['#', '+']);
        Tap {
            eye: Eye::new(plan),
            glob: arguments.glob.clone().filter(|text| !is_filter(&text)),
            filter: arguments.glob.clone().filter(|text| is_filter(&text)),
            left: arguments.count,
            format: arguments.format,
        }
    }

    /// False: it is enough.
    fn take(&mut self, message: &Message) -> Result<bool, Failure> {
        let seen = self.eye.look(message);
        let is_wanted = self.glob.as_ref().is_none_or(|glob| seen.is_like(glob));
        if is_wanted {
            print(&seen, self.format)?;
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        Ok(self.left != Some(0))
    }

    async fn live(&mut self, plan: &Plan) -> Result<(), Failure> {
        let filters = self.filter.clone().map_or_else(|| plan.mqtt.subscribe.to_vec(), |filter| vec![filter]);
        if filters.is_empty() {
            return Err(Failure::new(FAILED, "the configuration has no meter with a topic; give a filter such as `#`"));
        }
        let (mut failed, max_packet) = (Ok(true), plan.mqtt.max_packet);
        let ended = listen(&plan.mqtt, &filters, |publish| {
            let oversize = publish.payload.len() > max_packet;
            let message = Message {
                received: clock::now(),
                topic: publish.topic.clone(),
                payload: (&*publish.payload).into(),
                retain: publish.retain,
                dup: publish.dup,
                oversize,
            };
            failed = self.take(&message);
            matches!(failed, Ok(true))
        });
        let server = &plan.mqtt.server;
        let lost = |e| Failure::new(UNAVAILABLE, format!("the broker at {}:{}: {e}", server.host, server.port));
        ended.await.map_err(lost)?;
        failed.map(drop)
    }
}

/// Looks at messages as the daemon would, and remembers each meter's last reading.
struct Eye<'a> {
    plan: &'a Plan,
    births: Births,
    last: HashMap<MeterIx, (Time, i64)>,
}

/// What became of a message.
struct Seen<'a> {
    message: &'a Message,
    /// One word, and what it means.
    outcome: (&'static str, &'static str),
    readings: Vec<SeenReading>,
}

struct SeenReading {
    meter: String,
    result: Result<Booked, Refusal>,
}

/// A reading and what follows from it, as text.
struct Booked {
    time: Time,
    value: String,
    unit: String,
    usages: Vec<BookedUsage>,
    note: Option<&'static str>,
}

struct BookedUsage {
    from: Time,
    to: Time,
    amount: String,
    mg: i128,
}

impl<'a> Eye<'a> {
    fn new(plan: &'a Plan) -> Eye<'a> {
        let mut births = Births::default();
        // What gateways told a daemon before; without one they tell at their next birth.
        if let Ok(reader) = Reader::beside(&plan.daemon.state_dir, Arc::clone(&plan.rules.topology))
            && let Ok(known) = reader.births(Time::MAX)
        {
            known.iter().for_each(|message| drop(plan.rules.routes.decode(message, &mut births)));
        }
        Eye { plan, births, last: HashMap::new() }
    }

    fn look<'m>(&mut self, message: &'m Message) -> Seen<'m> {
        let decoded = self.plan.rules.routes.decode(message, &mut self.births);
        let outcome = match &decoded {
            Decoded::Retained => ("retained", "the last known value of the topic: shown, never booked"),
            Decoded::Unmapped => ("unmapped", "no meter listens to the topic, or to anything in the message"),
            Decoded::Refused(reason) => (reason.name(), reason.about()),
            Decoded::Declared(_) => ("declared", "a gateway's birth or death"),
            Decoded::Readings(readings) if readings.is_empty() => {
                ("unmapped", "no meter listens to the topic, or to anything in the message")
            }
            Decoded::Readings(_) => ("readings", ""),
        };
        let readings = decoded.readings().iter().map(|(ix, reading)| self.reading(*ix, reading)).collect();
        Seen { message, outcome, readings }
    }

    fn reading(&mut self, ix: MeterIx, reading: &Result<Reading, Refusal>) -> SeenReading {
        let rules = &self.plan.rules;
        let meter = rules.topology.meter(ix);
        let result = reading.map(|reading| {
            let before = self.last.get(&ix).copied().filter(|(time, _)| *time < reading.time);
            let followed = follow(rules, &reading, before);
            if followed.is_some() && self.last.get(&ix).is_none_or(|(time, _)| *time <= reading.time) {
                self.last.insert(ix, (reading.time, reading.value));
            }
            let late = reading.received.since(reading.time) > rules.late_horizon;
            let waits = matches!(meter.kind, Kind::Register { .. } | Kind::Rate { .. }) && before.is_none();
            let note = if followed.is_none() {
                Some("set aside: a dip, a spike, or more than `max_rate` since the reading before")
            } else if late {
                Some("late: older than `late_horizon`, not booked")
            } else if waits {
                Some("usage follows from the next reading")
            } else {
                None
            };
            Booked {
                time: reading.time,
                value: in_unit(meter.conversion.unit).text(reading.value),
                unit: meter.unit.clone(),
                usages: followed
                    .iter()
                    .flatten()
                    .map(|(usage, tally)| shown(*meter.conversion, &meter.unit, usage, tally))
                    .collect(),
                note,
            }
        });
        SeenReading { meter: meter.id.to_string(), result }
    }
}

fn shown(conversion: Conversion, unit: &str, usage: &Usage, tally: &Tally) -> BookedUsage {
    let (plain, unit) = match conversion.unit.over(Period::Hour) {
        Some(hours) => (in_unit(hours), amount_of(unit)),
        None => (in_unit(conversion.unit), unit.to_owned()),
    };
    let mg = tally.mg(Column::Scope1).saturating_add(tally.mg(Column::Scope2Location));
    BookedUsage { from: usage.from, to: usage.to, amount: format!("{} {unit}", plain.text(usage.amount)), mg }
}

/// Whatever the meter counts in, and from.
fn in_unit(unit: Unit) -> Conversion {
    Conversion { unit, scale: Ratio::ONE, offset: unit.zero }
}

/// What a rate adds up to in an hour.
fn amount_of(unit: &str) -> String {
    match unit.rsplit_once('/') {
        Some((amount, "h")) => amount.to_owned(),
        None if unit.ends_with('W') => format!("{unit}h"),
        _ => format!("{unit} x h"),
    }
}

impl Seen<'_> {
    fn is_like(&self, glob: &str) -> bool {
        is_like(glob, &self.message.topic) || self.readings.iter().any(|reading| is_like(glob, &reading.meter))
    }

    fn text(&self) -> String {
        let mut text = format!("{} {}", self.message.received, self.message.topic);
        let (outcome, about) = self.outcome;
        if self.readings.is_empty() {
            let _ = write!(text, "  {outcome}: {about}");
            let _ = write!(text, "\n    {}", payload(self.message));
        }
        for reading in &self.readings {
            let _ = write!(text, "\n    {}  ", reading.meter);
            match &reading.result {
                Err(reason) => {
                    let _ = write!(
                        text,
                        "refused: {}: {}\n        {}",
                        reason.name(),
                        reason.about(),
                        payload(self.message)
                    );
                }
                Ok(booked) => {
                    let _ = write!(text, "{} {} at {}", booked.value, booked.unit, booked.time);
                    for usage in &booked.usages {
                        let _ = write!(
                            text,
                            "; {} from {} to {}: {} kg CO2e",
                            usage.amount,
                            usage.from,
                            usage.to,
                            kg(usage.mg)
                        );
                    }
                    if let Some(note) = booked.note {
                        let _ = write!(text, "; {note}");
                    }
                }
            }
        }
        text
    }

    fn json(&self) -> Value {
        let usage = |u: &BookedUsage| json!({ "from": u.from.to_string(), "to": u.to.to_string(), "amount": u.amount, "kg_co2e": u.mg as f64 / 1e6 });
        let reading = |reading: &SeenReading| match &reading.result {
            Ok(b) => json!({
                "meter": reading.meter, "time": b.time.to_string(), "value": b.value, "unit": b.unit,
                "usage": b.usages.iter().map(usage).collect::<Value>(), "note": b.note,
            }),
            Err(reason) => json!({ "meter": reading.meter, "refused": reason.name(), "why": reason.about() }),
        };
        json!({
            "received": self.message.received.to_string(),
            "topic": self.message.topic,
            "outcome": self.outcome.0,
            "readings": self.readings.iter().map(reading).collect::<Value>(),
            "payload": payload(self.message),
        })
    }
}

fn kg(mg: i128) -> String {
    let digits = format!("{:07}", mg.unsigned_abs());
    let (whole, part) = digits.split_at(digits.len() - 6);
    let part = part.trim_end_matches('0');
    let sign = if mg < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// What was sent, cut, on one line; bytes that are no text as their count.
fn payload(message: &Message) -> String {
    let Ok(text) = std::str::from_utf8(&message.payload) else {
        return format!("({} bytes)", message.payload.len());
    };
    let shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < text.len() { format!("{shown}...") } else { shown }
}

fn print(seen: &Seen<'_>, format: Format) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => writeln!(out, "{}", seen.text())?,
        Format::Json => writeln!(out, "{}", seen.json())?,
    }
    Ok(out.flush()?)
}

/// Whether text is like a pattern in which `*` stands for anything.
fn is_like(glob: &str, text: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or("");
    for part in parts {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = text.get(at + part.len()..).unwrap_or("");
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, like) in [
            ("a/b", "a/b", true),
            ("a/*", "a/b/c", true),
            ("*gas*", "plant/gas-1/x", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*c", "ab", false),
            ("*", "", true),
        ] {
            assert_eq!(is_like(glob, text), like, "{glob} {text}");
        }
    }

    #[test]
    fn milligrams_as_kilograms() {
        for (mg, text) in [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (-42, "-0.000042"), (12_000_000, "12")] {
            assert_eq!(kg(mg), text);
        }
    }
}
