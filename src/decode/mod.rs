//! Bytes to readings: a received message, the routes of topics to meters, and one file per wire format.
//!
//! A message that yields nothing is a value with a named reason, never an error.

mod json;
mod message;
mod number;
mod reading;
mod route;
mod stamp;

pub use message::Message;
pub use reading::{Decoded, Reading, Refusal};
pub use route::{Format, Mapping, Routes};
pub use stamp::TimeFormat;
