//! Bytes to readings: a received message, the routes of topics to meters, and one file per wire format.
//!
//! A message that yields nothing is a value with a named reason, never an error.

mod json;
mod line;
mod listener;
mod mapping;
mod message;
mod number;
mod path;
mod reading;
mod route;
mod senml;
mod sparkplug;
mod stamp;

pub use mapping::{Good, LineSelector, Mapping, Place, Source};
pub use message::Message;
pub use number::{Mark, Notation, Registers, Word};
pub(crate) use path::Step;
pub use path::{Path, PathProblem};
pub use reading::{Decoded, Reading, Readings, Refusal};
pub use route::Routes;
pub use sparkplug::{Births, DeviceView, GatewayView, filter as gateway_filter, rebirth_request};
pub use stamp::TimeFormat;
