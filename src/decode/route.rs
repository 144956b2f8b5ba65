//! Which meters listen to a topic, and what they read in its payloads.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::cluster::MeterIx;
use crate::decode::json::Frame;
use crate::decode::listener::{Listener, Reader};
use crate::decode::mapping::{LineSelector, Mapping, Source};
use crate::decode::reading::Readings;
use crate::decode::sparkplug::{self, Address};
use crate::decode::{Births, Decoded, Message, Refusal, line, senml};
use crate::quantity::Time;

/// All mappings, by topic.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    topics: HashMap<String, Route>,
    gateways: sparkplug::Gateways,
}

/// The meters of one topic.
#[derive(Clone, Debug, Default)]
struct Route {
    listeners: Vec<Listener>,
    /// Some listeners read the same number: an exchanged meter and its successor.
    has_alike: bool,
    sources: Arc<Sources>,
}

/// Where the listeners of a topic find their numbers. Ten thousand meters share a few of these.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sources {
    numbers: Vec<usize>,
    frame: Frame,
    readers: Vec<Reader>,
    /// By name: whose, and whether the sum is meant.
    records: HashMap<String, Vec<(usize, bool)>>,
    lines: Vec<(usize, LineSelector)>,
}

/// What is found, by listener.
type Found = Vec<(usize, Result<super::Reading, Refusal>)>;

impl Routes {
    /// Builds the table.
    pub fn new(mappings: &[Mapping]) -> Routes {
        let mut routes = Routes::default();
        let mut by_topic: HashMap<&str, Vec<&Mapping>> = HashMap::new();
        for mapping in mappings {
            match &mapping.source {
                Source::Sparkplug { metric } => routes.gateways.add(mapping, metric),
                _ => by_topic.entry(&mapping.topic).or_default().push(mapping),
            }
        }
        let mut known = Vec::new();
        for (topic, mappings) in by_topic {
            routes.topics.insert(topic.to_owned(), Route::new(&mappings, &mut known));
        }
        routes
    }

    /// The filters that bring what some meter listens to.
    pub fn filters(&self) -> Vec<String> {
        let mut filters: Vec<String> = self.topics.keys().cloned().chain(self.gateways.filters()).collect();
        filters.sort();
        filters
    }

    /// What a message holds. Births and deaths of gateways are noted in `births`.
    pub fn decode(&self, message: &Message, births: &mut Births) -> Decoded {
        if message.retain {
            return Decoded::Retained;
        }
        if let Some(route) = self.topics.get(&message.topic) {
            if message.oversize {
                return Decoded::Refused(Refusal::Oversize);
            }
            return route.read(message);
        }
        match Address::parse(&message.topic) {
            Some(address) => self.gateways.read(address, message, births),
            None => Decoded::Unmapped,
        }
    }

    /// Since when the gateway or the device of a meter is gone. `None`: it is not known to be.
    pub fn gone(&self, meter: MeterIx, births: &Births) -> Option<Time> {
        self.gateways.gone(meter, births)
    }
}

impl Route {
    fn new(mappings: &[&Mapping], known: &mut Vec<Arc<Sources>>) -> Route {
        let mut sources = Sources::default();
        let mut listeners = Vec::with_capacity(mappings.len());
        let mut distinct: Vec<&Source> = Vec::new();
        for (at, mapping) in mappings.iter().enumerate() {
            sources.add(at, &mapping.source);
            let alike = distinct.iter().position(|source| source.is_same(&mapping.source)).unwrap_or_else(|| {
                distinct.push(&mapping.source);
                distinct.len() - 1
            });
            listeners.push(Listener::new(mapping, alike as u32));
        }
        let has_alike = distinct.len() < listeners.len();
        let sources = match known.iter().find(|known| ***known == sources) {
            Some(known) => Arc::clone(known),
            None => {
                let fresh = Arc::new(sources);
                known.push(Arc::clone(&fresh));
                fresh
            }
        };
        Route { listeners, has_alike, sources }
    }

    fn read(&self, message: &Message) -> Decoded {
        let mut found = Found::with_capacity(self.listeners.len());
        let sources = &*self.sources;
        let mut refused = None;
        for at in &sources.numbers {
            found.push((*at, self.number(*at, message)));
        }
        let mut readers = [Self::json, Self::senml, Self::lines].into_iter();
        let mut kinds =
            [!sources.readers.is_empty(), !sources.records.is_empty(), !sources.lines.is_empty()].into_iter();
        while let (Some(read), Some(wanted)) = (readers.next(), kinds.next()) {
            if wanted && let Err(refusal) = read(self, message, &mut found) {
                refused = Some(refusal);
            }
        }
        if let Some(refusal) = refused.filter(|_| found.is_empty()) {
            return Decoded::Refused(refusal);
        }
        if self.has_alike {
            self.leave_to_the_valid(&mut found);
        }
        let meter = |at: usize| self.listeners.get(at).map(|listener| listener.meter);
        let readings: Readings = found.into_iter().filter_map(|(at, reading)| Some((meter(at)?, reading))).collect();
        Decoded::Readings(readings)
    }

    fn number(&self, at: usize, message: &Message) -> Result<super::Reading, Refusal> {
        let text = std::str::from_utf8(&message.payload).map_err(|_| Refusal::Malformed)?;
        let listener = self.listeners.get(at).ok_or(Refusal::MissingValue)?;
        listener.text(text, message.received, message.received)
    }

    fn json(&self, message: &Message, found: &mut Found) -> Result<(), Refusal> {
        let Sources { frame, readers, .. } = &*self.sources;
        let start = found.len();
        frame.extract(&message.payload, &mut |reader, seen| {
            let Some(reader) = readers.get(reader) else {
                return;
            };
            let listener = self.listeners.get(reader.listener);
            let reading = listener.and_then(|listener| reader.read(listener, seen, message.received));
            found.extend(reading.map(|reading| (reader.listener, reading)));
        })?;
        for reader in readers.iter().filter(|reader| !reader.sparse) {
            let seen = found.get(start..).is_some_and(|found| found.iter().any(|(at, _)| *at == reader.listener));
            if !seen {
                found.push((reader.listener, Err(Refusal::MissingValue)));
            }
        }
        Ok(())
    }

    fn senml(&self, message: &Message, found: &mut Found) -> Result<(), Refusal> {
        let start = found.len();
        let received = message.received;
        let read = senml::records(&message.payload, received, &mut |record| {
            for (at, sum) in self.sources.records.get(record.name).into_iter().flatten() {
                let number = if *sum { record.sum() } else { record.value() };
                let (Some(number), Some(listener)) = (number, self.listeners.get(*at)) else {
                    continue;
                };
                let time = || {
                    let stamp = record.stamp()?;
                    if stamp.is_dated { Ok(stamp.time) } else { listener.time_of_receipt(stamp.time) }
                };
                let read = || listener.record(number?, (record.unit(), *sum), time()?, received);
                found.push((*at, read()));
            }
        });
        // What is refused is refused as a whole.
        read.inspect_err(|_| found.truncate(start))
    }

    fn lines(&self, message: &Message, found: &mut Found) -> Result<(), Refusal> {
        let received = message.received;
        for line in line::lines(&message.payload)? {
            let series = line.series();
            for (at, wanted) in &self.sources.lines {
                if !series.is_of(wanted.measurement.as_deref(), &wanted.tags) {
                    continue;
                }
                let (Some(text), Some(listener)) = (line.field(&wanted.field), self.listeners.get(*at)) else {
                    continue;
                };
                let time = match line.time {
                    Some(time) => wanted.time_format.read(time, received),
                    None => listener.time_of_receipt(received),
                };
                found.push((*at, time.and_then(|time| listener.text(&text, time, received))));
            }
        }
        Ok(())
    }

    /// When a meter is exchanged, its number goes on as another meter's: what one refuses as not valid is not refused when
    /// another takes it.
    fn leave_to_the_valid(&self, found: &mut Found) {
        let not_valid = |reading: &Result<_, _>| *reading == Err(Refusal::NotValid);
        // The how-manieth reading of its listener each one is: listeners that are alike read the same ones.
        let mut counts = vec![0usize; self.listeners.len()];
        let places: Vec<(Option<u32>, usize)> = found
            .iter()
            .map(|(at, _)| {
                let count = counts.get_mut(*at).map_or(0, |count| std::mem::replace(count, *count + 1));
                (self.listeners.get(*at).map(|listener| listener.alike), count)
            })
            .collect();
        let all = || places.iter().zip(found.iter());
        let taken: HashSet<_> =
            all().filter(|(_, (_, reading))| !not_valid(reading)).map(|(place, _)| *place).collect();
        let leave: Vec<bool> = all().map(|(place, (_, reading))| not_valid(reading) && taken.contains(place)).collect();
        let mut leave = leave.into_iter();
        found.retain(|_| leave.next() != Some(true));
    }
}

impl Sources {
    fn add(&mut self, at: usize, source: &Source) {
        match source {
            Source::Number => self.numbers.push(at),
            Source::Json(places) => {
                for place in places {
                    let reader = Reader::new(&mut self.frame, place, at);
                    if let Some(value) = place.value.first() {
                        self.frame.read_by(value, self.readers.len());
                    }
                    self.readers.push(reader);
                }
            }
            Source::Senml { name, sum } => self.records.entry(name.clone()).or_default().push((at, *sum)),
            Source::Line(selector) => self.lines.push((at, selector.clone())),
            Source::Sparkplug { .. } => {}
        }
    }
}
