//! What the session tells the desk, and what it is told.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::mqtt::Health;

/// A message on its way to the desk.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Counts up over all connections; the desk says up to which one it has committed.
    pub sequence: u64,
    /// The topic.
    pub topic: String,
    /// The payload, cut short when `oversize`.
    pub payload: Vec<u8>,
    /// The RETAIN flag.
    pub retain: bool,
    /// The DUP flag.
    pub dup: bool,
    /// Longer than `max_packet`.
    pub oversize: bool,
}

/// What the session tells the desk.
#[derive(Clone, Debug)]
pub enum News {
    /// A message.
    Delivery(Delivery),
    /// A connection is up; whether the broker still knew the session.
    Connected {
        /// False: what the broker held for the session is gone.
        session_present: bool,
    },
    /// The broker has dropped the stale filters.
    Unsubscribed,
    /// How many messages the broker has dropped since it started, for whomever they were.
    Dropped(u64),
}

/// What the broker is to send, and what it is not to send any more.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Filters to hold.
    pub subscribe: Arc<[String]>,
    /// Filters of an earlier configuration that the broker may still hold.
    pub stale: Vec<String>,
}

/// What the session is told while it runs.
#[derive(Debug)]
pub struct Orders {
    /// What the broker is to send.
    pub wanted: watch::Receiver<Wanted>,
    /// Topics and payloads to publish, once and without a receipt.
    pub publish: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
}

/// The way to want something else.
#[derive(Debug)]
pub struct Wanting {
    wanted: watch::Sender<Wanted>,
    health: Arc<Health>,
}

impl Wanting {
    /// The other end goes to the session that has this health.
    pub fn new(wanted: Wanted, health: Arc<Health>) -> (Wanting, watch::Receiver<Wanted>) {
        let (wanted, receiver) = watch::channel(wanted);
        (Wanting { wanted, health }, receiver)
    }

    /// From here on this is wanted, and not subscribed to before the broker has answered.
    pub fn change(&self, wanted: Wanted) {
        self.health.subscribing();
        // The session lives as long as the process.
        let _ = self.wanted.send(wanted);
    }
}
