//! A meter that listens to a topic, and what it makes of a number found there.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cluster::MeterIx;
use crate::decode::json::{self, Frame, Seen, Slot};
use crate::decode::mapping::{Good, Mapping, Place};
use crate::decode::{Notation, Reading, Refusal, TimeFormat, number, senml};
use crate::quantity::{Conversion, Decimal, Period, Ratio, Span, Time, Unit};

/// A reading more than this ahead of its receipt has a wrong clock.
const CLOCK_AHEAD_MAX: Span = Span::minutes(5);

/// A meter, as far as decoding needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub meter: MeterIx,
    pub notation: Arc<Notation>,
    pub conversion: Arc<Conversion>,
    pub valid: (Time, Time),
    /// Without the device's time its readings are nothing: a message that is delivered again would count again.
    pub needs_time: bool,
    /// Listeners of one topic with the same number read the same.
    pub alike: u32,
}

impl Listener {
    pub(crate) fn new(mapping: &Mapping, alike: u32) -> Listener {
        Listener {
            meter: mapping.meter,
            notation: Arc::clone(&mapping.notation),
            conversion: Arc::clone(&mapping.conversion),
            valid: mapping.valid,
            needs_time: mapping.needs_time,
            alike,
        }
    }

    /// The time of a reading whose message states none.
    pub(crate) fn time_of_receipt(&self, received: Time) -> Result<Time, Refusal> {
        if self.needs_time { Err(Refusal::MissingTime) } else { Ok(received) }
    }

    /// Reads a number's text.
    pub(crate) fn text(&self, text: &str, time: Time, received: Time) -> Result<Reading, Refusal> {
        self.number(self.notation.read(text)?, time, received)
    }

    /// Takes a number in the declared unit.
    pub(crate) fn number(&self, number: Decimal, time: Time, received: Time) -> Result<Reading, Refusal> {
        self.base(number::to_base(*self.conversion, number)?, time, received)
    }

    /// Takes a number in a unit of its own, which must measure the same.
    pub(crate) fn in_unit(
        &self,
        (number, unit): (Decimal, Unit),
        time: Time,
        received: Time,
    ) -> Result<Reading, Refusal> {
        let declared = self.conversion.unit;
        if unit.dimension != declared.dimension || unit.per.is_some() != declared.per.is_some() {
            return Err(Refusal::OtherUnit);
        }
        let own = || {
            // The offset is declared in the meter's unit, and begins at that unit's nought.
            let moved = self.conversion.offset.minus(declared.zero)?;
            let offset = moved.times(declared.base)?.over(unit.base)?.plus(unit.zero)?;
            Some(Conversion { unit, scale: self.conversion.scale, offset })
        };
        let conversion = own().ok_or(Refusal::OutOfRange)?;
        self.base(number::to_base(conversion, number)?, time, received)
    }

    /// Takes the number of a SenML record, which may state its unit; a sum is that of the unit over time.
    pub(crate) fn record(
        &self,
        number: Decimal,
        (unit, sum): (Option<&str>, bool),
        time: Time,
        received: Time,
    ) -> Result<Reading, Refusal> {
        let number = self.notation.unless_null(number)?;
        let Some(stated) = unit.filter(|stated| sum || *stated != self.notation.unit) else {
            return self.number(number, time, received);
        };
        match senml::unit(stated) {
            Some(unit) if sum => match unit.over(Period::Second) {
                Some(unit) => self.in_unit((number, unit), time, received),
                None => Err(Refusal::OtherUnit),
            },
            Some(unit) => self.in_unit((number, unit), time, received),
            // Where the meter scales the number, it may be of anything: pulses, amperes.
            None if self.conversion.scale != Ratio::ONE => self.number(number, time, received),
            None => Err(Refusal::OtherUnit),
        }
    }

    /// Whether a unit that the sender states is another than the declared one.
    pub(crate) fn is_other_unit(&self, stated: &str) -> bool {
        let plain = self.conversion.scale == Ratio::ONE;
        let stated = stated.trim().replace('³', "3").replace('°', "deg");
        let unit = Unit::parse(&stated).or_else(|_| Unit::parse_property(&stated));
        plain && unit.is_ok_and(|unit| unit != self.conversion.unit)
    }

    fn base(&self, value: i64, time: Time, received: Time) -> Result<Reading, Refusal> {
        if time > received.plus(CLOCK_AHEAD_MAX) {
            return Err(Refusal::ClockAhead);
        }
        if time < self.valid.0 || time >= self.valid.1 {
            return Err(Refusal::NotValid);
        }
        Ok(Reading { meter: self.meter, time, value, received })
    }
}

/// One place in JSON, its paths found as slots.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reader {
    /// Whose, among the listeners of the topic.
    pub listener: usize,
    value: Vec<Slot>,
    time: Vec<Slot>,
    or_received: bool,
    time_format: TimeFormat,
    quality: Vec<Slot>,
    good: Vec<Good>,
    pub sparse: bool,
}

impl Reader {
    /// Wants what a place names.
    pub(crate) fn new(frame: &mut Frame, place: &Place, listener: usize) -> Reader {
        Reader {
            listener,
            value: place.value.iter().map(|path| frame.add(path)).collect(),
            time: place.time.iter().map(|path| frame.add(path)).collect(),
            or_received: place.or_received || place.time.is_empty(),
            time_format: place.time_format.clone(),
            quality: place.quality.iter().map(|path| frame.add(path)).collect(),
            good: place.good.clone(),
            sparse: place.sparse,
        }
    }

    /// `None`: there is no value.
    pub(crate) fn read(
        &self,
        listener: &Listener,
        seen: &Seen<'_, '_>,
        received: Time,
    ) -> Option<Result<Reading, Refusal>> {
        let mut qualities = self.quality.iter().filter_map(|slot| seen.get(*slot));
        if qualities.find(|raw| !json::is_object(raw)).is_some_and(|quality| !self.is_good(quality)) {
            return Some(Err(Refusal::BadQuality));
        }
        let mut raw = self.value.iter().filter_map(|slot| seen.get(*slot));
        let found = raw.find(|raw| !json::is_object(raw) || self.value.len() == 1)?;
        Some(self.value(listener, found, seen, received))
    }

    fn value(&self, listener: &Listener, raw: &str, seen: &Seen<'_, '_>, received: Time) -> Result<Reading, Refusal> {
        let text = json::scalar(raw).ok_or(Refusal::MissingValue)?;
        if listener.notation.registers.is_none() && text.starts_with(['{', '[']) {
            return Err(Refusal::NotANumber);
        }
        let quoted = raw.starts_with('"');
        let number = if quoted { listener.notation.read(&text)? } else { listener.notation.read_plain(&text)? };
        listener.number(number, self.time(seen, received)?, received)
    }

    fn is_good(&self, quality: &str) -> bool {
        json::scalar(quality).is_none_or(|text| self.good.iter().any(|good| good.holds(&text)))
    }

    fn time(&self, seen: &Seen<'_, '_>, received: Time) -> Result<Time, Refusal> {
        let stamp: Option<Cow<'_, str>> = self.time.iter().filter_map(|slot| seen.get(*slot)).find_map(json::scalar);
        match stamp {
            Some(stamp) => self.time_format.read(&stamp, received),
            None if self.or_received => Ok(received),
            None => Err(Refusal::MissingTime),
        }
    }
}
