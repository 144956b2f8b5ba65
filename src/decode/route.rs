//! Which meters listen to a topic, and how their values are found in its payloads.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cluster::{Kind, Meter, MeterIx};
use crate::decode::json::{self, Pointers};
use crate::decode::number;
use crate::decode::{Decoded, Message, Reading, Refusal, TimeFormat};
use crate::quantity::{Conversion, Span, Time};

/// A reading more than this ahead of its receipt has a wrong clock.
const CLOCK_AHEAD_MAX: Span = Span::minutes(5);

/// The wire format of a meter's payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, with pointers (RFC 6901) to the value and to the time.
    Json {
        /// Where the value is.
        value: String,
        /// Where the time is, if the device sends one.
        time: Option<String>,
    },
    /// The payload is one number.
    Number,
}

/// How one meter's readings are found in the payloads of its topic.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The meter.
    pub meter: MeterIx,
    /// Its topic.
    pub topic: String,
    /// Its wire format.
    pub format: Format,
    /// The form of its time.
    pub time_format: TimeFormat,
    /// How its numbers become base units.
    pub conversion: Arc<Conversion>,
    /// Validity, kept here so that decoding needs no second look-up.
    valid: (Time, Time),
}

impl Mapping {
    /// The mapping of a meter to a topic; the time is that of receipt until set.
    pub fn new(ix: MeterIx, meter: &Meter, topic: String, format: Format) -> Mapping {
        debug_assert!(meter.conversion.unit.per.is_some() == matches!(meter.kind, Kind::Rate { .. }));
        Mapping {
            meter: ix,
            topic,
            format,
            time_format: TimeFormat::Received,
            conversion: Arc::clone(&meter.conversion),
            valid: (meter.valid_from, meter.valid_to),
        }
    }

    /// Whether some message holds one reading for both, the same number of it.
    pub fn overlaps(&self, other: &Mapping) -> bool {
        let same_number = match (&self.format, &other.format) {
            (Format::Json { value, .. }, Format::Json { value: others, .. }) => value == others,
            (Format::Number, Format::Number) => true,
            _ => false,
        };
        same_number && self.topic == other.topic && self.valid.0 < other.valid.1 && other.valid.0 < self.valid.1
    }
}

/// All mappings, by topic.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    topics: HashMap<String, Route>,
}

/// The meters of one topic, and the pointers they share.
#[derive(Clone, Debug, Default)]
struct Route {
    pointers: Arc<Pointers>,
    slots: usize,
    listeners: Vec<Listener>,
}

#[derive(Clone, Debug)]
struct Listener {
    meter: MeterIx,
    source: Source,
    time_format: TimeFormat,
    conversion: Arc<Conversion>,
    valid: (Time, Time),
}

/// Where a listener's texts are: slots of the JSON pass, or the whole payload.
#[derive(Clone, Debug)]
enum Source {
    Json { value: usize, time: Option<usize> },
    Number,
}

impl Source {
    /// The same number of the payload.
    fn is_same(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Json { value, .. }, Source::Json { value: other, .. }) => value == other,
            (Source::Number, Source::Number) => true,
            _ => false,
        }
    }
}

type Readings = Vec<(MeterIx, Result<Reading, Refusal>)>;

impl Routes {
    /// Builds the table.
    pub fn new(mappings: &[Mapping]) -> Routes {
        let mut routes = Routes::default();
        for mapping in mappings {
            routes.topics.entry(mapping.topic.clone()).or_default().add(mapping);
        }
        routes.share_pointers();
        routes
    }

    /// Most topics are read in one of a few ways; ten thousand copies of these would fill the memory.
    fn share_pointers(&mut self) {
        let mut distinct: Vec<Arc<Pointers>> = Vec::new();
        for route in self.topics.values_mut() {
            route.listeners.shrink_to_fit();
            match distinct.iter().find(|known| **known == route.pointers) {
                Some(known) => route.pointers = Arc::clone(known),
                None => distinct.push(Arc::clone(&route.pointers)),
            }
        }
    }

    /// The topics that some meter listens to.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
    }

    /// What a message holds.
    pub fn decode(&self, message: &Message) -> Decoded {
        if message.retain {
            return Decoded::Retained;
        }
        let Some(route) = self.topics.get(&message.topic) else {
            return Decoded::Unmapped;
        };
        if message.oversize {
            return Decoded::Refused(Refusal::Oversize);
        }
        route.read(message)
    }
}

impl Route {
    fn add(&mut self, mapping: &Mapping) {
        let source = match &mapping.format {
            Format::Number => Source::Number,
            Format::Json { value, time } => {
                Source::Json { value: self.slot(value), time: time.as_ref().map(|t| self.slot(t)) }
            }
        };
        self.listeners.push(Listener {
            meter: mapping.meter,
            source,
            time_format: mapping.time_format.clone(),
            conversion: Arc::clone(&mapping.conversion),
            valid: mapping.valid,
        });
    }

    fn slot(&mut self, pointer: &str) -> usize {
        let slot = Arc::make_mut(&mut self.pointers).add(pointer, self.slots);
        self.slots = self.slots.max(slot + 1);
        slot
    }

    fn read(&self, message: &Message) -> Decoded {
        let mut few = [None; 8];
        let mut many = Vec::new();
        let found = match few.get_mut(..self.slots) {
            Some(found) => found,
            None => {
                many.resize(self.slots, None);
                many.as_mut_slice()
            }
        };
        if self.slots > 0
            && let Err(refusal) = self.pointers.extract(&message.payload, found)
        {
            return Decoded::Refused(refusal);
        }
        let mut readings: Readings = self.listeners.iter().map(|l| (l.meter, l.read(message, found))).collect();
        if readings.iter().any(|(_, reading)| *reading == Err(Refusal::NotValid)) {
            self.leave_to_the_valid(&mut readings);
        }
        Decoded::Readings(readings)
    }

    /// When a meter is exchanged, its number goes on as another meter's: what one refuses as not valid is not refused when
    /// another takes it.
    fn leave_to_the_valid(&self, readings: &mut Readings) {
        let not_valid = |at: usize| readings.get(at).is_some_and(|(_, r)| *r == Err(Refusal::NotValid));
        let taken_by_another = |at: usize, listener: &Listener| {
            let mut others = self.listeners.iter().enumerate();
            not_valid(at) && others.any(|(o, other)| !not_valid(o) && other.source.is_same(&listener.source))
        };
        let leave: Vec<bool> = self.listeners.iter().enumerate().map(|(at, l)| taken_by_another(at, l)).collect();
        let mut leave = leave.into_iter();
        readings.retain(|_| leave.next() != Some(true));
    }
}

impl Listener {
    fn read(&self, message: &Message, found: &[Option<&str>]) -> Result<Reading, Refusal> {
        let received = message.received;
        let (number, time) = match self.source {
            Source::Number => (number::payload(&message.payload)?, received),
            Source::Json { value, time } => {
                let value = text(found, value).ok_or(Refusal::MissingValue)?;
                let time = match time {
                    Some(slot) => {
                        let stamp = text(found, slot).ok_or(Refusal::MissingTime)?;
                        self.time_format.read(&stamp, received)?
                    }
                    None => received,
                };
                (number::parse(&value)?, time)
            }
        };
        let value = number::to_base(*self.conversion, number)?;
        if time > received.plus(CLOCK_AHEAD_MAX) {
            return Err(Refusal::ClockAhead);
        }
        if time < self.valid.0 || time >= self.valid.1 {
            return Err(Refusal::NotValid);
        }
        Ok(Reading { meter: self.meter, time, value, received })
    }
}

fn text<'de>(found: &[Option<&'de str>], slot: usize) -> Option<std::borrow::Cow<'de, str>> {
    found.get(slot).copied().flatten().and_then(json::scalar)
}
