//! Entries and counts as JSON. Masses are integers and may exceed 2^53, so they are written digit by digit.

use std::fmt::Write as _;

use crate::cluster::{Category, Topology};
use crate::emission::{Column, Flag};
use crate::ledger::Entry;
use crate::pipeline::{Counters, Tallied};

/// One entry as a JSON object on one line, without a line end.
pub fn entry_json(entry: &Entry, topology: &Topology) -> String {
    let key = entry.key;
    let mut text = String::with_capacity(700);
    let _ = write!(
        text,
        r#"{{"level":"{}","entity":"{}","window":"{}","start":"{}""#,
        key.entity.level().name(),
        topology.id(key.entity),
        key.window,
        key.start
    );
    for column in Column::ALL {
        let _ = write!(text, r#","{}_mg":{}"#, column.name(), entry.tally.mg(column));
    }
    let _ = write!(text, r#","coverage":{:?},"uncertainty_pct":"#, f64::from(entry.coverage_e4) / 10_000.0);
    match entry.uncertainty_pct() {
        Some(percent) => {
            let _ = write!(text, "{percent:?}");
        }
        None => text.push_str("null"),
    }
    text.push_str(r#","flags":["#);
    let flags = Flag::ALL.into_iter().filter(|flag| entry.tally.flag_count(*flag) > 0);
    for (at, flag) in flags.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, r#"{comma}"{}""#, flag.name());
    }
    text.push_str(r#"],"by_category":{"#);
    let categories = Category::ALL.into_iter().filter(|category| entry.tally.category_mg(*category) != 0);
    for (at, category) in categories.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, r#"{comma}"{}":{}"#, category.name(), entry.tally.category_mg(category));
    }
    let _ = write!(text, r#"}},"revision":{}}}"#, entry.revision);
    text
}

/// The last line of a replay: what became of the messages and of the readings in them.
pub fn summary_json(counters: &Counters) -> String {
    let messages = tallied(&counters.messages);
    let readings = tallied(&counters.readings);
    format!(r#"{{"level":"summary",{messages},"readings":{{{readings}}}}}"#)
}

fn tallied(counts: &Tallied) -> String {
    let mut text = format!(
        r#""received":{},"accepted":{},"duplicate":{},"late":{},"unmapped":{},"retained":{},"refused":{{"#,
        counts.received, counts.accepted, counts.duplicate, counts.late, counts.unmapped, counts.retained
    );
    for (at, (reason, count)) in counts.reasons().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, r#"{comma}"{}":{count}"#, reason.name());
    }
    text.push('}');
    text
}
