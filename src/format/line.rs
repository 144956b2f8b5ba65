//! Entries as InfluxDB line protocol: the schema of the `emissions` measurement.
//!
//! Tags are ids, which need no escaping by construction; the encoder checks it all the same. Fields keep one type for
//! ever: masses in kilograms are floats with a decimal point, revisions integers. Timestamps are window starts in
//! seconds.

use std::fmt::Write as _;

use crate::alert::{Alarm, Phase};
use crate::cluster::{Entity, Topology};
use crate::emission::Column;
use crate::ledger::Entry;
use crate::quantity::Time;

/// An entry that line protocol cannot carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError(String);

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tag value `{}` cannot be written as line protocol", self.0.escape_debug())
    }
}

/// Appends one entry and a line end.
pub fn entry_line(entry: &Entry, topology: &Topology, out: &mut String) -> Result<(), LineError> {
    let key = entry.key;
    let start = out.len();
    out.push_str("emissions");
    let mut tags: Vec<(&str, &str)> = vec![("level", key.entity.level().name()), ("window", key.window.name())];
    owners(topology, key.entity, &mut tags);
    // The database sorts tags by key; sending them sorted saves it the work.
    tags.sort_unstable();
    for (name, value) in tags {
        if value.is_empty() || value.contains(|c: char| c.is_whitespace() || ",=\\\"".contains(c)) {
            out.truncate(start);
            return Err(LineError(value.to_owned()));
        }
        let _ = write!(out, ",{name}={value}");
    }
    for (at, column) in Column::ALL.into_iter().enumerate() {
        let separator = if at == 0 { ' ' } else { ',' };
        let _ = write!(out, "{separator}{}_kg={}", column.name(), kilograms(entry.tally.mg(column)));
    }
    if let Some(percent) = entry.uncertainty_pct() {
        let _ = write!(out, ",uncertainty_pct={percent:?}");
    }
    let _ = writeln!(
        out,
        ",coverage={:?},revision={}i {}",
        f64::from(entry.coverage_e4) / 10_000.0,
        entry.revision,
        key.start.seconds()
    );
    Ok(())
}

/// A turn of an alarm, with a line end.
pub fn alarm_line(alarm: &Alarm, at: Time) -> String {
    let state = match alarm.state {
        Phase::Active => "active",
        Phase::Returned => "returned",
        Phase::Withdrawn => "withdrawn",
    };
    let (entity, priority, rule) = (tag(&alarm.entity), alarm.priority.name(), tag(&alarm.rule));
    let Alarm { value, limit, excess_kg, .. } = alarm;
    format!(
        "alarms,entity={entity},priority={priority},rule={rule} \
         state=\"{state}\",value={value:?},limit={limit:?},excess_kg={excess_kg:?} {}\n",
        at.seconds()
    )
}

/// Gateways have names that are not ours.
fn tag(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            ',' | '=' | ' ' => escaped.extend(['\\', c]),
            // Neither can be written.
            '\\' | '\n' | '\r' | '\t' => escaped.push('_'),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn owners<'a>(topology: &'a Topology, entity: Entity, tags: &mut Vec<(&'static str, &'a str)>) {
    let parent = match entity {
        Entity::Meter(ix) => {
            tags.push(("meter", topology.meter(ix).id.as_str()));
            Some(Entity::Facility(topology.meter(ix).facility))
        }
        Entity::Facility(ix) => {
            tags.push(("facility", topology.facility(ix).id.as_str()));
            Some(Entity::Cluster(topology.facility(ix).cluster))
        }
        Entity::Cluster(ix) => {
            tags.push(("cluster", topology.cluster(ix).id.as_str()));
            topology.cluster(ix).network.map(Entity::Network)
        }
        Entity::Network(ix) => {
            tags.push(("network", topology.network(ix).id.as_str()));
            None
        }
    };
    if let Some(parent) = parent {
        owners(topology, parent, tags);
    }
}

/// The nearest float's shortest decimal, always with a point: exact up to 2^53 milligrams.
fn kilograms(mg: i128) -> String {
    let exact = format!(
        "{}{}.{:06}",
        if mg < 0 { "-" } else { "" },
        mg.unsigned_abs() / 1_000_000,
        mg.unsigned_abs() % 1_000_000
    );
    let nearest: f64 = exact.parse().unwrap_or(0.0);
    let text = format!("{nearest}");
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilograms_keep_their_point() {
        assert_eq!(kilograms(0), "0.0");
        assert_eq!(kilograms(1_456_298), "1.456298");
        assert_eq!(kilograms(-5_000_000), "-5.0");
        assert_eq!(kilograms(16_000_000_000_000_000_000_000), "16000000000000000.0");
    }
}
