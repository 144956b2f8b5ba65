//! The HTTP interface: status, entries, meters, metrics, health. It only reads.

mod entries;
mod metrics;
mod question;
mod server;
mod status;

pub use entries::{Asked, collect};
pub use question::{Ask, BrokerView, DatabaseView, DeskView, Look, MeterRow, OpenView, Quarters, Question, Rate};
pub use server::{App, read_query, serve};
pub use status::refused_json;
