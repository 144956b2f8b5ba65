//! How one meter's readings are found in what is published.

use std::sync::Arc;

use crate::cluster::{Kind, Meter, MeterIx};
use crate::decode::line;
use crate::decode::path::Path;
use crate::decode::{Notation, TimeFormat};
use crate::quantity::{Conversion, Decimal, Time};

/// Where a meter's readings are, in the terms of the wire format.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The payload is one number.
    Number,
    /// JSON. The first place is the live reading; others hold history, or other forms of the same.
    Json(Vec<Place>),
    /// A record of a SenML pack.
    Senml {
        /// Base name and name.
        name: String,
        /// Its sum, which counts up, instead of its value.
        sum: bool,
    },
    /// A field of lines in line protocol.
    Line(LineSelector),
    /// A metric of a Sparkplug gateway or device, whose topic is that of the meter.
    Sparkplug {
        /// Its name.
        metric: String,
    },
}

/// One place in JSON where readings are.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where the value is: the first of these that is there.
    pub value: Vec<Path>,
    /// Where the time is: the first of these that is there. Empty: the device sends none.
    pub time: Vec<Path>,
    /// A message without a time is dated by its receipt.
    pub or_received: bool,
    /// The form of the time.
    pub time_format: TimeFormat,
    /// Where the quality is, if the device states one: the first of these that is there.
    pub quality: Vec<Path>,
    /// What it is when the value is good. A quality that is not there is good.
    pub good: Vec<Good>,
    /// A message without the value is no fault.
    pub sparse: bool,
}

/// A quality of a good value.
#[derive(Clone, Debug, PartialEq)]
pub enum Good {
    /// This text.
    Text(String),
    /// A number from the first to the second.
    Range(Decimal, Decimal),
}

/// Which lines, and which of their fields.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSelector {
    /// Of this measurement only.
    pub(crate) measurement: Option<String>,
    /// With these tags only.
    pub(crate) tags: Vec<(String, String)>,
    /// The field.
    pub(crate) field: String,
    /// The form of the lines' times.
    pub(crate) time_format: TimeFormat,
}

impl LineSelector {
    /// Reads `field`, or `measurement,tag=text field`.
    pub fn parse(text: &str, time_format: TimeFormat) -> Option<LineSelector> {
        let (measurement, tags, field) = line::selector(text)?;
        Some(LineSelector { measurement, tags, field, time_format })
    }
}

impl Good {
    /// Reads a text, a number, or a range of numbers such as `192..255`.
    pub fn parse(text: &str) -> Good {
        let range = text.split_once("..").unwrap_or((text, text));
        match (Decimal::parse(range.0.trim()), Decimal::parse(range.1.trim())) {
            (Some(from), Some(to)) => Good::Range(from, to),
            _ => Good::Text(text.to_owned()),
        }
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Good::Text(good) => good == text,
            Good::Range(from, to) => Decimal::parse(text)
                .is_some_and(|number| from.is_at_most(number) == Some(true) && number.is_at_most(*to) == Some(true)),
        }
    }
}

/// How one meter's readings are found in the payloads of its topic.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The meter.
    pub meter: MeterIx,
    /// Its topic.
    pub topic: String,
    /// Where its readings are.
    pub source: Source,
    /// How its numbers are written.
    pub notation: Arc<Notation>,
    /// How its numbers become base units.
    pub conversion: Arc<Conversion>,
    /// Validity, kept here so that decoding needs no second look-up.
    pub(crate) valid: (Time, Time),
    /// Readings without the device's time are refused.
    pub(crate) needs_time: bool,
}

impl Mapping {
    /// The mapping of a meter to a topic.
    pub fn new(ix: MeterIx, meter: &Meter, topic: String, source: Source, notation: Arc<Notation>) -> Mapping {
        debug_assert!(meter.conversion.unit.per.is_some() == matches!(meter.kind, Kind::Rate { .. }));
        let valid = (meter.valid_from, meter.valid_to);
        let needs_time = matches!(meter.kind, Kind::Interval { .. });
        let conversion = Arc::clone(&meter.conversion);
        Mapping { meter: ix, topic, source, notation, conversion, valid, needs_time }
    }

    /// Whether some message holds one reading for both, the same number of it.
    pub fn overlaps(&self, other: &Mapping) -> bool {
        let together = self.valid.0 < other.valid.1 && other.valid.0 < self.valid.1;
        together && self.topic == other.topic && self.source.meets(&other.source)
    }
}

impl Source {
    /// Some message holds a number that both read.
    fn meets(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Json(places), Source::Json(others)) => {
                let values = |places: &'_ [Place]| places.iter().flat_map(|p| p.value.clone()).collect::<Vec<_>>();
                let others = values(others);
                values(places).iter().any(|path| others.iter().any(|other| path.meets(other)))
            }
            (Source::Line(one), Source::Line(two)) => {
                let of_both =
                    one.measurement.is_none() || two.measurement.is_none() || one.measurement == two.measurement;
                let differ = |(key, text): &(String, String)| two.tags.iter().any(|(k, t)| k == key && t != text);
                one.field == two.field && of_both && !one.tags.iter().any(differ)
            }
            _ => self == other,
        }
    }

    /// The same number of the payload.
    pub(crate) fn is_same(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Json(places), Source::Json(others)) => {
                let values = |places: &[Place]| places.iter().map(|place| place.value.clone()).collect::<Vec<_>>();
                values(places) == values(others)
            }
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_qualities() {
        for (good, text, holds) in [
            ("3", "3", true),
            ("3", "3.0", true),
            ("192..255", "192", true),
            ("192..255", "64", false),
            ("Good", "Good", true),
            ("true", "true", true),
            ("true", "1", false),
        ] {
            assert_eq!(Good::parse(good).holds(text), holds, "{good} {text}");
        }
    }
}
