//! A reading, or the reason why there is none.

use crate::cluster::MeterIx;
use crate::quantity::Time;

/// One value of one meter at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose.
    pub meter: MeterIx,
    /// The device's time, or the time of receipt where the meter sends none.
    pub time: Time,
    /// In the meter's base unit; for a rate, base units a day.
    pub value: i64,
    /// When the message arrived.
    pub received: Time,
}

/// What a message turned out to hold, before its readings meet their sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A retained message: the last known value, never booked.
    Retained,
    /// No meter listens to the topic.
    Unmapped,
    /// Nothing in it could be used.
    Refused(Refusal),
    /// One result for each meter that listens to the topic.
    Readings(Vec<(MeterIx, Result<Reading, Refusal>)>),
}

/// Why a message or a reading was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Longer than `mqtt.max_packet`.
    Oversize,
    /// Not in the declared format.
    Malformed,
    /// Nothing where the value should be, or null.
    MissingValue,
    /// Something, but not a number.
    NotANumber,
    /// A number that no quantity can have.
    OutOfRange,
    /// A negative amount, rate or register.
    Negative,
    /// Nothing where the time should be, or null.
    MissingTime,
    /// Not a time in the declared format, or absurd.
    BadTime,
    /// More than five minutes ahead of its receipt.
    ClockAhead,
    /// Outside the meter's `valid_from` and `valid_to`.
    NotValid,
    /// Same meter and time as another reading that stands, but another value.
    Conflict,
    /// It ended the process several times.
    Poison,
}

impl Refusal {
    /// All, in the order of their counters.
    pub const ALL: [Refusal; 12] = [
        Refusal::Oversize,
        Refusal::Malformed,
        Refusal::MissingValue,
        Refusal::NotANumber,
        Refusal::OutOfRange,
        Refusal::Negative,
        Refusal::MissingTime,
        Refusal::BadTime,
        Refusal::ClockAhead,
        Refusal::NotValid,
        Refusal::Conflict,
        Refusal::Poison,
    ];

    /// As counted and shown.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Oversize => "oversize",
            Refusal::Malformed => "malformed",
            Refusal::MissingValue => "missing-value",
            Refusal::NotANumber => "not-a-number",
            Refusal::OutOfRange => "out-of-range",
            Refusal::Negative => "negative",
            Refusal::MissingTime => "missing-time",
            Refusal::BadTime => "bad-time",
            Refusal::ClockAhead => "clock-ahead",
            Refusal::NotValid => "not-valid",
            Refusal::Conflict => "conflict",
            Refusal::Poison => "poison",
        }
    }
}
