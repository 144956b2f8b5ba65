//! Counters as text, so that a reason that is new counts nought in an old ledger.

use crate::decode::Refusal;
use crate::pipeline::{Counters, Tallied};

pub(crate) fn write_counters(counters: &Counters) -> String {
    let tallied = |counts: &Tallied| {
        let refused: serde_json::Map<_, _> = counts.reasons().map(|(r, n)| (r.name().to_owned(), n.into())).collect();
        serde_json::json!({
            "received": counts.received, "accepted": counts.accepted, "duplicate": counts.duplicate, "late": counts.late,
            "unmapped": counts.unmapped, "retained": counts.retained, "refused": refused,
        })
    };
    serde_json::json!({"messages": tallied(&counters.messages), "readings": tallied(&counters.readings)}).to_string()
}

/// Counters as kept beside the ledger. `None`: malformed.
pub fn read_counters(text: &str) -> Option<Counters> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let tallied = |value: &serde_json::Value| {
        let number = |key: &str| value.get(key).and_then(serde_json::Value::as_u64);
        let mut counts = Tallied {
            received: number("received")?,
            accepted: number("accepted")?,
            duplicate: number("duplicate")?,
            late: number("late")?,
            unmapped: number("unmapped")?,
            retained: number("retained")?,
            ..Tallied::default()
        };
        for reason in Refusal::ALL {
            counts.refused[reason as usize] =
                value.get("refused").and_then(|r| r.get(reason.name())).and_then(|n| n.as_u64()).unwrap_or(0);
        }
        Some(counts)
    };
    Some(Counters { messages: tallied(value.get("messages")?)?, readings: tallied(value.get("readings")?)? })
}
