//! What is past keeping goes, a little at a time.

use std::sync::Arc;

use crate::cluster::MeterIx;
use crate::daemon::desk::{Desk, PRUNE_EVERY, RETAIN_CALLS_A_ROUND, instant};
use crate::quantity::{Span, Time};
use crate::store::{Keep, StoreError};

impl Desk {
    /// A few meters or entities at each call, and the journal once a minute.
    pub(crate) fn retain(&mut self, now: Time) -> Result<(), StoreError> {
        let rules = Arc::clone(self.books.pipeline.rules());
        let meters = rules.topology.meters.len();
        let entities = rules.topology.entities();
        let keep = Keep { late_horizon: rules.late_horizon, activity: self.retention.keep_activity };
        // A clock that is wrong by years must not make anything look old: readings tell the time as well.
        let now = now.min(self.books.pipeline.latest_reading().plus(Span::days(1)));
        for _ in 0..=(meters + entities.len()) / RETAIN_CALLS_A_ROUND {
            let at = self.clocks.next_retained;
            match at.checked_sub(meters).map(|i| entities.get(i)) {
                None => self.books.ledger.retain(MeterIx(at as u32), now, keep)?,
                Some(Some(entity)) => self.books.ledger.retain_minutes(*entity, now, keep)?,
                Some(None) => {}
            }
            self.clocks.next_retained = (at + 1) % (meters + entities.len()).max(1);
        }
        if self.clocks.pruned.elapsed() >= PRUNE_EVERY {
            self.prune(now)?;
        }
        Ok(())
    }

    fn prune(&mut self, now: Time) -> Result<(), StoreError> {
        self.clocks.pruned = instant();
        let pipeline = &self.books.pipeline;
        let replay_from = pipeline.open_from().start().minus(pipeline.rules().lookback());
        let (keep, max_bytes) = (self.retention.journal_keep, self.retention.journal_max_bytes);
        let days = self.books.journal.old_days(now, replay_from, keep, max_bytes)?;
        if !days.is_empty() {
            self.books.forget(&days)?;
            tracing::info!(days = days.len(), "old days of the journal are removed");
        }
        Ok(())
    }
}
