//! What can be seen of the session from outside.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::tls::Expiry;

/// Shared between the session and the views; every part may be read at any time.
#[derive(Debug, Default)]
pub struct Health {
    connected: AtomicBool,
    subscribed: AtomicBool,
    contested: AtomicBool,
    unacked: AtomicU64,
    connects: AtomicU64,
    dropped: Mutex<Option<u64>>,
    trouble: Mutex<Option<String>>,
    refused: Mutex<Vec<String>>,
    certificates: Mutex<Vec<Expiry>>,
}

/// A snapshot of [`Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthView {
    /// A session is up.
    pub connected: bool,
    /// The broker has answered all subscriptions of this connection.
    pub subscribed: bool,
    /// Connections keep ending right after they begin: another client may use the same id.
    pub contested: bool,
    /// Messages received and not acknowledged yet.
    pub unacked: u64,
    /// Connections since the start.
    pub connects: u64,
    /// How many messages the broker says it dropped, for whomever they were. `None`: it does not say.
    pub dropped: Option<u64>,
    /// The last error, until the next connection.
    pub trouble: Option<String>,
    /// Filters the broker refused.
    pub refused: Vec<String>,
    /// Certificates of the connection, and until when they are valid.
    pub certificates: Vec<Expiry>,
}

impl Health {
    pub(crate) fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
        self.connects.fetch_add(1, Ordering::Relaxed);
        self.set_trouble(None);
    }

    pub(crate) fn subscribed(&self) {
        self.subscribed.store(true, Ordering::Relaxed);
    }

    /// More is wanted than the broker has answered.
    pub(crate) fn subscribing(&self) {
        self.subscribed.store(false, Ordering::Relaxed);
    }

    pub(crate) fn contested(&self, contested: bool) {
        self.contested.store(contested, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self, trouble: String) {
        self.connected.store(false, Ordering::Relaxed);
        self.subscribed.store(false, Ordering::Relaxed);
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

    pub(crate) fn certificates(&self, known: Vec<Expiry>) {
        if let Ok(mut certificates) = self.certificates.lock() {
            *certificates = known;
        }
    }

    pub(crate) fn dropped(&self, count: Option<u64>) {
        if let Ok(mut dropped) = self.dropped.lock() {
            *dropped = count;
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
            subscribed: self.subscribed.load(Ordering::Relaxed),
            contested: self.contested.load(Ordering::Relaxed),
            unacked: self.unacked.load(Ordering::Relaxed),
            connects: self.connects.load(Ordering::Relaxed),
            dropped: self.dropped.lock().ok().and_then(|d| *d),
            trouble: self.trouble.lock().ok().and_then(|t| t.clone()),
            refused: self.refused.lock().map(|r| r.clone()).unwrap_or_default(),
            certificates: self.certificates.lock().map(|c| c.clone()).unwrap_or_default(),
        }
    }
}
