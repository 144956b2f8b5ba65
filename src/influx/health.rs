//! What can be seen of the database writer from outside.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::store::Lost;

/// Shared between the writer and the views.
#[derive(Debug, Default)]
pub struct Health {
    written: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    aside: AtomicU64,
    behind: AtomicU64,
    retention_short: AtomicBool,
    lost: Mutex<Vec<Lost>>,
    trouble: Mutex<Option<String>>,
}

/// A snapshot of [`Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthView {
    /// Requests the database confirmed.
    pub written: u64,
    /// Requests that failed and were tried again.
    pub failed: u64,
    /// Lines the database would not take, since the start.
    pub rejected: u64,
    /// Lines that are set aside now, and tried again now and then.
    pub aside: u64,
    /// The bucket forgets points that may still be rewritten.
    pub retention_short: bool,
    /// The state directory was an old copy: of these times the database knows more.
    pub lost: Vec<Lost>,
    /// Stored records the database has not confirmed.
    pub behind: u64,
    /// The last error, until the next success.
    pub trouble: Option<String>,
}

impl Health {
    pub(crate) fn succeeded(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.set_trouble(None);
    }

    pub(crate) fn failed(&self, trouble: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.set_trouble(Some(trouble));
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        self.aside.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn behind(&self, records: u64, aside: u64) {
        self.behind.store(records, Ordering::Relaxed);
        self.aside.store(aside, Ordering::Relaxed);
    }

    pub(crate) fn retention_short(&self, short: bool) {
        self.retention_short.store(short, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, lost: &[Lost]) {
        if let Ok(mut shown) = self.lost.lock() {
            *shown = lost.to_vec();
        }
    }

    fn set_trouble(&self, text: Option<String>) {
        if let Ok(mut trouble) = self.trouble.lock() {
            *trouble = text;
        }
    }

    /// What it looks like now.
    pub fn view(&self) -> HealthView {
        HealthView {
            written: self.written.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            aside: self.aside.load(Ordering::Relaxed),
            retention_short: self.retention_short.load(Ordering::Relaxed),
            lost: self.lost.lock().map(|lost| lost.clone()).unwrap_or_default(),
            behind: self.behind.load(Ordering::Relaxed),
            trouble: self.trouble.lock().ok().and_then(|t| t.clone()),
        }
    }
}
