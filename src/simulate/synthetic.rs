//! Synthetic meters: each runs at a rate of its own, with a daily course and some noise, and keeps its register.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use serde_json::{Value, json};

use crate::cluster::{Category, Kind, Meter, Stamp, Topology};
use crate::decode::{Mapping, Source};
use crate::quantity::{Dimension, Time};
use crate::simulate::Outgoing;
use crate::simulate::payload::{line, put_place};

/// All meters of a configuration.
pub struct Fleet {
    units: Vec<Synthetic>,
}

struct Synthetic {
    mapping: Mapping,
    kind: Kind,
    every_ms: i64,
    /// Units an hour in the mean, or the value of a state.
    load: f64,
    phase: f64,
    register: f64,
    unit_base: f64,
    last: i64,
    due: i64,
}

impl Fleet {
    /// The meters of a plan, ready at `now`. `every` replaces the cadence of meters that report more slowly.
    pub fn new(topology: &Topology, mappings: &[Mapping], now: Time, every_ms: Option<i64>) -> Fleet {
        let units =
            mappings.iter().map(|mapping| Synthetic::new(topology.meter(mapping.meter), mapping, now, every_ms));
        Fleet { units: units.collect() }
    }

    /// The messages due at `now`; meters that share a topic share a message.
    pub fn due(&mut self, now: Time) -> Vec<Outgoing> {
        let mut payloads: BTreeMap<(String, i64), Value> = BTreeMap::new();
        let mut plain = Vec::new();
        for unit in self.units.iter_mut().filter(|unit| unit.due <= now.0) {
            let (stamp, value) = unit.advance(now);
            let topic = unit.mapping.topic.clone();
            let mut send = |payload: String| plain.push(Outgoing { due_ms: now.0, topic: topic.clone(), payload });
            match &unit.mapping.source {
                Source::Number => send(value.to_string()),
                Source::Json(places) => {
                    let payload = payloads.entry((topic, stamp)).or_insert(Value::Null);
                    if let Some(place) = places.first() {
                        put_place(payload, place, stamp, value);
                    }
                }
                Source::Senml { name, sum } => {
                    let key = if *sum { "s" } else { "v" };
                    send(json!([{ "bn": name, "bt": stamp as f64 / 1_000.0, key: value }]).to_string());
                }
                Source::Line(selector) => send(line(selector, stamp, value)),
                // A gateway has births and deaths, which are nothing to play.
                Source::Sparkplug { .. } => {}
            }
        }
        let messages = payloads.into_iter().map(|((topic, due_ms), payload)| Outgoing {
            due_ms,
            topic,
            payload: payload.to_string(),
        });
        messages.chain(plain).collect()
    }

    /// When the next message is due, in milliseconds since 1970.
    pub fn next_due(&self) -> i64 {
        self.units.iter().map(|unit| unit.due).min().unwrap_or(i64::MAX)
    }
}

impl Synthetic {
    fn new(meter: &Meter, mapping: &Mapping, now: Time, every_ms: Option<i64>) -> Synthetic {
        // The same id behaves the same in every run.
        let mut random = fastrand::Rng::with_seed(u64::from(crc32fast::hash(meter.id.as_str().as_bytes())));
        let every = match meter.kind {
            Kind::Interval { length, .. } => length.0,
            _ => every_ms.map_or(meter.expected_every.0, |every| every.min(meter.expected_every.0)),
        };
        let unit_base = mapping.conversion.unit.base.to_f64();
        let per_day = meter.typical.map_or_else(|| usual(meter, random.f64()), |typical| typical as f64);
        let load = match meter.kind {
            Kind::Rate { .. } | Kind::Gauge { .. } => per_day / unit_base,
            _ => per_day / 24.0 / unit_base,
        };
        Synthetic {
            mapping: mapping.clone(),
            kind: meter.kind,
            every_ms: every.max(1),
            load,
            phase: random.f64() * TAU,
            register: (load * 1_000.0).round(),
            unit_base,
            last: now.0,
            due: now.0 - now.0.rem_euclid(every.max(1)),
        }
    }

    /// The stamp and value of the reading that is due, and the next one's time.
    fn advance(&mut self, now: Time) -> (i64, f64) {
        let stamp = self.due;
        self.due = now.0 - now.0.rem_euclid(self.every_ms) + self.every_ms;
        let day = (stamp as f64 / 86_400_000.0 * TAU + self.phase).sin();
        // A state hardly moves; an amount has its day and its noise, one in the mean.
        let swing = if matches!(self.kind, Kind::Gauge { .. }) { 0.01 } else { 1.0 };
        let rate = self.load * (1.0 + swing * (0.2 * day + 0.1 * (fastrand::f64() - 0.5)));
        let hours = |ms: i64| ms as f64 / 3_600_000.0;
        self.register += rate * hours((stamp - self.last).max(0));
        self.last = stamp;
        let value = match self.kind {
            Kind::Register { .. } => self.register,
            Kind::Rate { .. } => rate,
            Kind::Interval { length, .. } => rate * hours(length.0),
            Kind::Event => rate * hours(self.every_ms),
            // A state stays near what it is.
            Kind::Gauge { .. } | Kind::Derived => rate,
        };
        let stamp = match self.kind {
            Kind::Interval { length, stamp: Stamp::Start } => stamp - length.0,
            _ => stamp,
        };
        let scale = self.mapping.conversion.scale.to_f64();
        // Three decimals are what meters send; large units need more to show anything.
        let decimals = if self.unit_base > 1e12 { 1e6 } else { 1e3 };
        (stamp, ((value - self.mapping.conversion.offset.to_f64()) / scale * decimals).round() / decimals)
    }
}

/// Base units a day where nothing is declared: 1.4 to 7 MW, 350 to 1,750 m3/h, 14 to 70 t/h of CO2, a tenth of that of fuel.
fn usual(meter: &Meter, random: f64) -> f64 {
    let per_hour = match (meter.category, meter.dimension) {
        (Category::CemsCo2, _) => 70e12,
        (_, Dimension::Energy) => 25e12,
        (_, Dimension::Volume(_)) => 1.75e12,
        (_, Dimension::Mass) => 7e12,
        (_, Dimension::Temperature) => return 290e6,
        (_, Dimension::Pressure) => return 400e6,
        (_, Dimension::Share) => return 0.3e9,
        (_, Dimension::Quotient(..)) => return 36e9,
    };
    per_hour * 24.0 * (0.2 + 0.8 * random)
}
