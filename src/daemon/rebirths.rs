//! Asking gateways for births that are lacking, where that is switched on; a host that only listens asks nobody.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::daemon::desk::instant;
use crate::decode::rebirth_request;
use crate::quantity::Time;

/// A gateway is asked again after this; a birth of thousands of metrics takes it a while.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Who was asked when.
pub(crate) struct Rebirths {
    enabled: bool,
    pub outbox: mpsc::UnboundedSender<(String, Vec<u8>)>,
    /// Only gateways of the plan lack a birth, so these are few.
    asked: HashMap<String, Instant>,
}

impl Rebirths {
    pub(crate) fn new(enabled: bool, outbox: mpsc::UnboundedSender<(String, Vec<u8>)>) -> Rebirths {
        Rebirths { enabled, outbox, asked: HashMap::new() }
    }

    pub(crate) fn ask(&mut self, lacking: BTreeSet<String>, now: Time) {
        for gateway in lacking.into_iter().filter(|_| self.enabled) {
            if self.asked.get(&gateway).is_some_and(|last| last.elapsed() < ASK_EVERY) {
                continue;
            }
            if let Some(request) = rebirth_request(&gateway, now) {
                tracing::info!(gateway, "asked to be born again");
                // The session lives as long as the process.
                let _ = self.outbox.send(request);
            }
            self.asked.insert(gateway, instant());
        }
    }
}
