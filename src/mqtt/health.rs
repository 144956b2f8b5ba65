//! What can be seen of the session from outside.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared between the session and the views; every part may be read at any time.
#[derive(Debug, Default)]
pub struct Health {
    connected: AtomicBool,
    unacked: AtomicU64,
    connects: AtomicU64,
    trouble: Mutex<Option<String>>,
    refused: Mutex<Vec<String>>,
}

/// A snapshot of [`Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthView {
    /// A session is up.
    pub connected: bool,
    /// Messages received and not acknowledged yet.
    pub unacked: u64,
    /// Connections since the start.
    pub connects: u64,
    /// The last error, until the next connection.
    pub trouble: Option<String>,
    /// Filters the broker refused.
    pub refused: Vec<String>,
}

impl Health {
    pub(crate) fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
        self.connects.fetch_add(1, Ordering::Relaxed);
        self.set_trouble(None);
    }

    pub(crate) fn disconnected(&self, trouble: String) {
        self.connected.store(false, Ordering::Relaxed);
        self.set_trouble(Some(trouble));
    }

    pub(crate) fn unacked(&self, count: usize) {
        self.unacked.store(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, filters: Vec<String>) {
        if let Ok(mut refused) = self.refused.lock() {
            *refused = filters;
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
            connected: self.connected.load(Ordering::Relaxed),
            unacked: self.unacked.load(Ordering::Relaxed),
            connects: self.connects.load(Ordering::Relaxed),
            trouble: self.trouble.lock().ok().and_then(|t| t.clone()),
            refused: self.refused.lock().map(|r| r.clone()).unwrap_or_default(),
        }
    }
}
