//! Readings to usage. A meter's usage is a function of the *set* of its readings sorted by time, never of
//! their order of arrival.
//!
//! [`Track`] keeps the readings of one meter by clock quarter, as many as may still change an open quarter;
//! older ones are brought back from the store when a late reading needs them.

mod log;
mod point;
mod register;
mod track;
mod usage;
mod verdict;

pub use log::{Break, Logged, NEAREST, Standing, log, newest, thinned};
pub use point::{Point, QuarterSet, SetOutcome};
pub use track::{Held, Need, Track};
pub use usage::{Quality, Usage};
pub use verdict::Verdict;
