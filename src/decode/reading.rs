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
    /// What it holds for the meters that listen to the topic.
    Readings(Readings),
    /// A gateway told what it has, or that it is gone; and what that holds for the meters.
    Declared(Readings),
}

/// Readings, or why there are none, with their meters; a meter may have several.
pub type Readings = Vec<(MeterIx, Result<Reading, Refusal>)>;

impl Decoded {
    /// What it holds for meters.
    pub fn readings(&self) -> &[(MeterIx, Result<Reading, Refusal>)] {
        match self {
            Decoded::Readings(readings) | Decoded::Declared(readings) => readings,
            Decoded::Retained | Decoded::Unmapped | Decoded::Refused(_) => &[],
        }
    }

    /// The same, to be changed.
    pub fn readings_mut(&mut self) -> Option<&mut Readings> {
        match self {
            Decoded::Readings(readings) | Decoded::Declared(readings) => Some(readings),
            Decoded::Retained | Decoded::Unmapped | Decoded::Refused(_) => None,
        }
    }
}

/// Why a message or a reading was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Longer than `mqtt.max_packet`.
    Oversize,
    /// More than a payload may hold: elements, records, lines, metrics, digits.
    OverLimit,
    /// Not in the declared format.
    Malformed,
    /// Nothing where the value should be, or null.
    MissingValue,
    /// Something, but not a number.
    NotANumber,
    /// The value that the device sends for none.
    NullValue,
    /// The device says that the value is not good.
    BadQuality,
    /// In another unit than is declared.
    OtherUnit,
    /// Without a name, and no birth of the gateway tells it.
    NoBirth,
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
    pub const ALL: [Refusal; 17] = [
        Refusal::Oversize,
        Refusal::OverLimit,
        Refusal::Malformed,
        Refusal::MissingValue,
        Refusal::NotANumber,
        Refusal::NullValue,
        Refusal::BadQuality,
        Refusal::OtherUnit,
        Refusal::NoBirth,
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
            Refusal::OverLimit => "over-limit",
            Refusal::Malformed => "malformed",
            Refusal::MissingValue => "missing-value",
            Refusal::NotANumber => "not-a-number",
            Refusal::NullValue => "null-value",
            Refusal::BadQuality => "bad-quality",
            Refusal::OtherUnit => "other-unit",
            Refusal::NoBirth => "no-birth",
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

    /// What it means, and what can be done.
    pub fn about(self) -> &'static str {
        match self {
            Refusal::Oversize => "the payload is longer than `mqtt.max_packet`",
            Refusal::OverLimit => "more elements, records, lines, metrics or digits than a payload may hold",
            Refusal::Malformed => "the payload is not in the declared `format`",
            Refusal::MissingValue => "nothing, or null, where `value` points",
            Refusal::NotANumber => "what `value` points to is no number; see `decimal`, `registers` and `unit`",
            Refusal::NullValue => "one of `null_values`, or a null of Sparkplug: the device has no value",
            Refusal::BadQuality => "the device says that the value is not good",
            Refusal::OtherUnit => "the message states another unit than `unit`",
            Refusal::NoBirth => "an alias that no birth of the gateway explains; a rebirth of the gateway helps",
            Refusal::OutOfRange => "more than a quantity can be; see `unit` and `scale`",
            Refusal::Negative => "below nought: register, amount and rate cannot be; see `scale` and `offset`",
            Refusal::MissingTime => "nothing, or null, where `time` points",
            Refusal::BadTime => "what `time` points to is no time in the declared `time_format`",
            Refusal::ClockAhead => "more than five minutes ahead of its receipt: the device's clock, or `time_format`",
            Refusal::NotValid => "outside `valid_from` and `valid_to` of the meter",
            Refusal::Conflict => "another value was received before for the same meter and time",
            Refusal::Poison => "it ended the process several times",
        }
    }
}
