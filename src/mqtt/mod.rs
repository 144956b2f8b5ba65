//! The broker: one MQTT 3.1.1 session that survives, QoS 1, acknowledged only when the desk has a message on disk.
//!
//! The polling task does everything: it hands deliveries to the desk, learns from a watch how far the desk is, and writes
//! the acknowledgements in the order of receipt, in one flush, straight to the connection they belong to.

mod acks;
mod connection;
mod health;
mod listen;
mod news;
mod options;
mod probe;
mod publish;
mod session;
mod subscribing;

pub use connection::readable;
pub use health::{Health, HealthView};
pub use listen::listen;
pub use news::{Delivery, News, Orders, Wanted, Wanting};
pub use options::{Options, Server};
pub use probe::{Probe, probe};
pub use publish::{Message, publish};
pub use session::Session;
