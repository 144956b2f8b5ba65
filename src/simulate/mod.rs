//! Meters that do not exist: synthetic ones for a configuration, and the rows of a CSV file, published over MQTT.

mod csv;
mod payload;
mod publisher;
mod synthetic;

pub use csv::{Column, CsvError, Stamps, read_rows};
pub use publisher::{PublishError, Publisher};
pub use synthetic::Fleet;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// When it is due, in milliseconds since 1970; the pace follows the differences.
    pub due_ms: i64,
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: String,
}
