//! Telling of alarms: one queue a notifier, in the store, so that one that is down holds up nobody else, and nothing is lost
//! by a restart. What is told comes at least once, with a key that stays the same.

mod alert;
mod alertmanager;
mod channel;
mod letter;
mod mail;
mod options;
mod post;
mod queue;
mod record;
mod text;
mod topic;
mod webhook;

pub use channel::Teller;
pub use letter::{Label, Letter};
pub use options::{Body, Channel, MailOptions, Options, Security};
pub use queue::{Failed, Pulse, Queue};
pub use record::{Record, Records};
pub use text::shown;
pub use webhook::check_template;

/// Bodies of webhooks that people need often.
pub const TEMPLATES: [(&str, &str); 3] = [
    ("ntfy", include_str!("templates/ntfy.j2")),
    ("slack", include_str!("templates/slack.j2")),
    ("teams", include_str!("templates/teams.j2")),
];

/// An alarm for tests, and for those who want to see what they will be told.
pub fn sample() -> crate::alert::Alarm {
    use crate::alert::{Alarm, Level, Phase, Priority};
    Alarm {
        id: "gas/facility/f/2026-01-01T00:05:00Z".to_owned(),
        sequence: 1,
        rule: "gas".to_owned(),
        kind: "limit".to_owned(),
        entity: "facility/f".to_owned(),
        state: Phase::Returned,
        level: Level::Over,
        highest: Level::Over,
        priority: Priority::High,
        rule_priority: Priority::High,
        rule_print: String::new(),
        is_certain: false,
        provisional: false,
        since: "2026-01-01T00:05:00Z".to_owned(),
        until: Some("2026-01-01T00:15:00Z".to_owned()),
        value: 861.2,
        limit: 820.0,
        peak: 880.4,
        unit: "kg/h".to_owned(),
        excess_kg: 20.6,
        response: "Cut boiler 2".to_owned(),
        acknowledged: None,
        acknowledged_before: Vec::new(),
        facility: None,
        cluster: None,
        detail: None,
        inputs: Vec::new(),
        outlook: None,
        held: None,
        told: None,
        chattering: false,
        digest: false,
    }
}
