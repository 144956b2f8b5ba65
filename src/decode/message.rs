//! A message as it was received.

use crate::quantity::Time;

/// A received message. Its order among others carries no meaning; its receive time does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When it was taken from the broker.
    pub received: Time,
    /// The topic it was published on.
    pub topic: String,
    /// What was published; cut short when `oversize`.
    pub payload: Box<[u8]>,
    /// The broker sent it as the last known value of the topic, not as news.
    pub retain: bool,
    /// The broker says it may have been delivered before. Not evidence of anything.
    pub dup: bool,
    /// The payload was longer than `mqtt.max_packet` allows.
    pub oversize: bool,
}
