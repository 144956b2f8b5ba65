//! What the log says about messages that are not booked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::daemon::desk::instant;
use crate::decode::Message;
use crate::pipeline::Outcome;

const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// What is shown of a payload.
const EXCERPT: usize = 120;

/// Says what is not booked, once a minute for each reason, so that a flood of bad messages is no flood of lines.
#[derive(Default)]
pub(crate) struct Complaints {
    said: HashMap<&'static str, Instant>,
}

impl Complaints {
    pub(crate) fn note(&mut self, outcome: Outcome, message: &Message) {
        let (reason, help) = match outcome {
            Outcome::Refused(reason) => (reason.name(), "see the counts in status"),
            Outcome::Late => ("late", "its time is older than ledger.late_horizon allows"),
            Outcome::Accepted | Outcome::Duplicate | Outcome::Retained | Outcome::Unmapped => return,
        };
        if self.said.get(reason).is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
            self.said.insert(reason, instant());
            let start = message.payload.get(..EXCERPT).unwrap_or(&message.payload);
            // Debug escapes what a hostile topic or payload may hold.
            let (topic, payload) = (&message.topic, String::from_utf8_lossy(start));
            tracing::warn!(?topic, ?payload, reason, "a message is not booked: {help}");
        }
    }
}
