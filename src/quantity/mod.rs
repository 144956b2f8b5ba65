//! Quantities of the trade: exact numbers, units, time, windows of the calendar, and ids.
//!
//! Everything booked is an integer in a base unit: millijoules, micrograms, microlitres; emissions are
//! milligrams. Conversions go through exact ratios and round once, half to even.

mod calendar;
mod conversion;
mod decimal;
mod id;
mod ratio;
mod schedule;
mod time;
mod unit;
mod units;

pub use calendar::{Window, Zone};
pub use conversion::Conversion;
pub use decimal::Decimal;
pub use id::Id;
pub use ratio::Ratio;
pub use schedule::Schedule;
pub use time::{QUARTER_MS, Quarter, Span, Time};
pub use unit::{Amount, Bottom, Dimension, PROPERTY_BASE, Period, Reference, Top, Unit, UnitProblem};
pub use units::unit_groups;
