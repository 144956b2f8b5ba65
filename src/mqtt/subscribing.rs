//! Subscriptions that are asked for, and what the broker has answered.

use std::collections::{HashMap, VecDeque};

/// Where mosquitto, and who follows it, counts what it dropped for full queues; other brokers never send it.
pub(crate) const DROPPED: &str = "$SYS/broker/publish/messages/dropped";

/// Which filters a SUBACK answers.
#[derive(Debug, Default)]
pub(crate) struct Subscribing {
    pub asked: VecDeque<Vec<String>>,
    pub sent: HashMap<u16, Vec<String>>,
    pub refused: Vec<String>,
}

impl Subscribing {
    /// Only the broker's own counts are not granted or refused yet.
    pub(crate) fn lacks_counts_only(&self) -> bool {
        let mut waiting = self.asked.iter().chain(self.sent.values()).flatten();
        waiting.next().is_some_and(|filter| filter == DROPPED) && waiting.next().is_none()
    }

    pub(crate) fn lacks_counts(&self) -> bool {
        self.asked.iter().chain(self.sent.values()).flatten().any(|filter| filter == DROPPED)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.asked.is_empty() && self.sent.is_empty()
    }
}
