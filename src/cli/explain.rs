//! `emissiond explain`: why a meter is booked as it is at a time, from the payload to the milligram.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, lock, plan};
use crate::clock;
use crate::cluster::{Entity, MeterIx};
use crate::config::Plan;
use crate::daemon::Books;
use crate::decode::{Births, gateway_filter};
use crate::factor::Catalogue;
use crate::format::{Beside, explanation_json, explanation_text};
use crate::pipeline::{Amounts, explain, meter_entries, quarters_of};
use crate::quantity::{Quarter, Span, Time, Window};
use crate::store::{Reader, StoreError, received};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short)]
    config: PathBuf,
    /// The meter
    #[arg(long)]
    meter: String,
    /// A time in the quarter-hour to explain, RFC 3339
    #[arg(long)]
    at: String,
    /// For people, or JSON
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
    let wrong = |message: String| Failure::new(FAILED, message);
    let meter = plan.rules.topology.find_meter(&arguments.meter);
    let meter = meter.ok_or_else(|| wrong(format!("no meter has the id `{}`", arguments.meter)))?;
    let at = Time::parse_rfc3339(&arguments.at);
    let at = at.ok_or_else(|| wrong(format!("`--at` is no time: `{}`; write 2026-01-31T12:00:00Z", arguments.at)))?;
    let reader = reader(&plan, at.quarter())?;
    let text = explained(&plan, &reader, (meter, at.quarter()), arguments.format).map_err(|e| failure(e.into()))?;
    match text {
        Some(text) => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
        None => {
            let message = format!(
                "nothing is booked for `{}` in the quarter-hour from {}; `emissiond refused` and `emissiond quarantine list` show what was not",
                arguments.meter,
                at.quarter().start()
            );
            Err(wrong(message))
        }
    }
}

/// A reader of books in which the quarter is closed.
fn reader(plan: &Plan, quarter: Quarter) -> Result<Reader, Failure> {
    let state = &plan.daemon.state_dir;
    let lock = lock(plan)?;
    let open = || Reader::beside(state, Arc::clone(&plan.rules.topology)).map_err(|e| failure(e.into()));
    let reader = open()?;
    let closed = |reader: &Reader| reader.open_from().map_err(|e| failure(e.into()));
    if quarter < closed(&reader)? {
        return Ok(reader);
    }
    if lock.is_some() {
        // Nobody else is there to close what is over.
        let now = clock::now();
        let close = || -> Result<(), StoreError> {
            let mut books = Books::open(state, plan, now)?;
            books.tick(now)?;
            books.seal()
        };
        close().map_err(|e| failure(e.into()))?;
        let reader = open()?;
        if quarter < closed(&reader)? {
            return Ok(reader);
        }
    }
    let closes = quarter.end().plus(plan.rules.close_after);
    let message = format!("the quarter-hour from {} is open: its figures are settled after {closes}", quarter.start());
    Err(Failure::new(FAILED, message))
}

fn explained(
    plan: &Plan,
    reader: &Reader,
    (meter, quarter): (MeterIx, Quarter),
    format: Format,
) -> Result<Option<String>, StoreError> {
    let rules = &plan.rules;
    let range = quarters_of(rules, meter, Window::Quarter, (quarter.start(), quarter.start()));
    let amounts = Amounts::collect(rules, meter, |ix| reader.activities(ix, range))?;
    let id = rules.topology.meter(meter).id.as_str();
    let verdicts = reader.judgements()?.into_iter().filter(|judgement| judgement.meter == id);
    let verdicts: Vec<_> = verdicts.map(|judgement| (judgement.time, judgement.verdict)).collect();
    let held = reader.readings_around(meter, quarter)?;
    let payloads = payloads(plan, reader, meter, &held)?;
    let explanation = explain(rules, (meter, quarter), &amounts, (held, &verdicts));
    if explanation.bookings.is_empty() {
        return Ok(None);
    }
    let entries = meter_entries(rules, meter, Window::Quarter, &amounts, Time::MAX);
    let rows = |id: &str| row(&plan.catalogue, id);
    let payload = |time: Time| payloads.get(&time).cloned();
    let cluster = rules.topology.cluster_of(Entity::Meter(meter));
    let gwp = cluster.and_then(|ix| plan.gwp.get(ix.0 as usize)).map_or("", |set| set.name());
    let beside = Beside {
        row: &rows,
        payload: &payload,
        entry: entries.into_iter().find(|entry| entry.key.start == quarter.start()),
        gwp,
    };
    Ok(Some(match format {
        Format::Json => format!("{}\n", explanation_json(rules, &explanation, &beside)),
        Format::Text => explanation_text(rules, &explanation, &beside),
    }))
}

/// The readings with the payloads they came in, as far as the journal still has them.
fn payloads(
    plan: &Plan,
    reader: &Reader,
    meter: MeterIx,
    held: &[crate::meter::Held],
) -> Result<BTreeMap<Time, Value>, StoreError> {
    let declared = plan.rules.topology.meter(meter);
    let points = || {
        held.iter()
            .flat_map(|h| h.set.points().iter().map(move |p| (p.time(h.quarter), p.received(h.quarter), p.value)))
    };
    let mut known: BTreeMap<Time, Value> = points()
        .map(|(time, received, base)| {
            let value = declared.conversion.text(base);
            let shown =
                json!({ "time": time.to_string(), "received": received.to_string(), "value": value, "base": base });
            (time, shown)
        })
        .collect();
    let Some(mapping) = plan.mappings.iter().find(|mapping| mapping.meter == meter) else {
        return Ok(known);
    };
    let (first, last) = (points().map(|p| p.1).min(), points().map(|p| p.1).max());
    let Some(range) = first.zip(last) else {
        return Ok(known);
    };
    let state = &plan.daemon.state_dir;
    let mut births = Births::default();
    reader.births(range.0)?.iter().for_each(|message| drop(plan.rules.routes.decode(message, &mut births)));
    let mut messages = Vec::new();
    for topic in topics(&mapping.topic) {
        messages.extend(received(state, &topic, (range.0, range.1.plus(Span(1))))?);
    }
    messages.sort_by_key(|message| message.received);
    for message in messages {
        let decoded = plan.rules.routes.decode(&message, &mut births);
        for (_, reading) in decoded.readings().iter().filter(|(ix, _)| *ix == meter) {
            if let Some(shown) = reading.as_ref().ok().and_then(|reading| known.get_mut(&reading.time)) {
                shown["topic"] = message.topic.as_str().into();
                match std::str::from_utf8(&message.payload) {
                    Ok(text) => shown["payload"] = text.into(),
                    Err(_) => shown["payload_base64"] = STANDARD.encode(&message.payload).into(),
                }
            }
        }
    }
    Ok(known)
}

/// The topic of a meter; of a gateway's, also those of the births, which tell values too.
fn topics(topic: &str) -> Vec<String> {
    if gateway_filter(topic).is_none() {
        return vec![topic.to_owned()];
    }
    let levels: Vec<&str> = topic.split('/').collect();
    let with = |kind: &str| {
        let part = |(at, level): (usize, &&str)| if at == 2 { kind.to_owned() } else { (*level).to_owned() };
        levels.iter().enumerate().map(part).collect::<Vec<_>>().join("/")
    };
    let of = if levels.len() == 4 { ["NBIRTH", "NDATA", "NDEATH"] } else { ["DBIRTH", "DDATA", "DDEATH"] };
    of.map(with).to_vec()
}

fn row(catalogue: &Catalogue, id: &str) -> Option<Value> {
    let row = catalogue.rows().find(|row| row.id == id)?;
    Some(json!({
        "id": row.id, "set": row.set, "series": row.series, "name": row.name, "value": row.value, "unit": row.unit,
        "basis": row.basis.map(|basis| basis.name()), "valid_from": row.valid_from, "valid_to": row.valid_to,
        "region": row.region, "source": row.source,
    }))
}
