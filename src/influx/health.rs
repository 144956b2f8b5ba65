//! What can be seen of the database writer from outside.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared between the writer and the views.
#[derive(Debug, Default)]
pub struct Health {
    written: AtomicU64,
    failed: AtomicU64,
    set_aside: AtomicU64,
    behind: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// A snapshot of [`Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthView {
    /// Requests the database confirmed.
    pub written: u64,
    /// Requests that failed and were tried again.
    pub failed: u64,
    /// Lines the database will not take.
    pub set_aside: u64,
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

    pub(crate) fn set_aside(&self, lines: u64) {
        self.set_aside.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn behind(&self, records: u64) {
        self.behind.store(records, Ordering::Relaxed);
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
            set_aside: self.set_aside.load(Ordering::Relaxed),
            behind: self.behind.load(Ordering::Relaxed),
            trouble: self.trouble.lock().ok().and_then(|t| t.clone()),
        }
    }
}
