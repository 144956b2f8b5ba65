//! How notifiers get through, for whoever asks while they work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::quantity::Time;

/// How one notifier gets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Letters that were taken, since the start.
    pub told: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Since when nothing gets through, and why.
    pub trouble: Option<(Time, String)>,
}

/// How each notifier gets through, by id.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<BTreeMap<String, Record>>>);

impl Records {
    /// As it is now.
    pub fn all(&self) -> BTreeMap<String, Record> {
        self.lock().clone()
    }

    /// A notifier is at work.
    pub(crate) fn begin(&self, id: &str) {
        self.lock().entry(id.to_owned()).or_default();
    }

    /// Something was taken. Returns since when nothing was before it.
    pub(crate) fn succeeded(&self, id: &str) -> Option<Time> {
        let mut all = self.lock();
        let record = all.entry(id.to_owned()).or_default();
        record.told += 1;
        record.trouble.take().map(|(since, _)| since)
    }

    /// Something was not taken. True: the one before it was.
    pub(crate) fn failed(&self, id: &str, why: &str, now: Time) -> bool {
        let mut all = self.lock();
        let record = all.entry(id.to_owned()).or_default();
        record.failed += 1;
        let since = record.trouble.as_ref().map(|(since, _)| *since);
        record.trouble = Some((since.unwrap_or(now), why.to_owned()));
        since.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_once() {
        let records = Records::default();
        assert!(records.failed("ops", "refused", Time(1)));
        assert!(!records.failed("ops", "timed out", Time(2)));
        let trouble = Some((Time(1), "timed out".to_owned()));
        assert_eq!(records.all()["ops"], Record { told: 0, failed: 2, trouble });
        assert_eq!((records.succeeded("ops"), records.succeeded("ops")), (Some(Time(1)), None));
        assert_eq!(records.all()["ops"], Record { told: 2, failed: 2, trouble: None });
    }
}
