//! What gateways have declared, and how complete their messages came.
//!
//! A birth holds from the time it states until the next one; the one before is kept as well, for data that arrive in another
//! order than they were sent. Nothing here decides a figure but the tables of aliases, and these follow from the births alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::decode::sparkplug::wire::{Head, Metric};
use crate::decode::{Message, Refusal};
use crate::quantity::{Span, Time};

/// Messages overtake each other by less than this; a time further back is a clock that was set.
const REORDERED_BY: Span = Span::minutes(5);
/// The same among messages as they arrive.
const OVERTAKES_BY: Span = Span::seconds(10);
/// So many of the latest messages may turn out to be of a birth that they overtook.
const EARLY_MAX: usize = 16;
/// Births of a topic, and bytes of all, that wait for the next seal at most; they are in the journal as well.
const FRESH_MAX: usize = 10;
const FRESH_BYTES_MAX: usize = 64 << 20;
/// An alias of a metric that nobody wants.
pub(crate) const NOBODY: u32 = u32::MAX;

/// What one birth says of a gateway or a device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    born: Time,
    /// When it arrived.
    heard: Time,
    /// The gateway's session that it is of.
    session: Option<u8>,
    /// Each alias with the wanted metric it stands for, or [`NOBODY`]; sorted.
    pub aliases: Vec<(u64, u32)>,
    /// The datatype of each wanted metric.
    pub datatypes: Vec<u32>,
    /// Wanted metrics that the gateway states in another unit than is declared.
    pub other_unit: Vec<u32>,
}

impl Table {
    /// The wanted metric, if it is one. An error: the birth does not know the alias.
    pub(crate) fn metric(&self, alias: u64) -> Result<Option<u32>, Refusal> {
        let at = self.aliases.binary_search_by_key(&alias, |(known, _)| *known).map_err(|_| Refusal::NoBirth)?;
        Ok(self.aliases.get(at).map(|(_, metric)| *metric).filter(|metric| *metric != NOBODY))
    }

    pub(crate) fn datatype(&self, metric: u32) -> u32 {
        self.datatypes.get(metric as usize).copied().unwrap_or(0)
    }
}

/// A gateway itself, or a device behind it.
#[derive(Clone, Debug, Default)]
struct Device {
    /// The birth in force, and the one before it.
    tables: Vec<Table>,
    /// `None`: nothing was heard of it. Else whether it is alive, and since when.
    alive: Option<(bool, Time)>,
}

impl Device {
    /// Born, or never heard of, and not dead.
    fn is_alive(&self) -> bool {
        self.alive.is_none_or(|(alive, _)| alive)
    }
}

/// One gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gateway {
    devices: HashMap<String, Device>,
    /// Counts births, so that a death is matched with its own.
    session: Option<u8>,
    next: Option<u8>,
    /// When the latest message was made.
    latest: Option<Time>,
    missing: Missing,
    /// Messages that came before what they follow, and when they were made: they may be of a birth that they overtook.
    early: Vec<(u8, Time)>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    messages: u64,
    missing: u64,
    repeated: u64,
    births: u64,
    births_missed: u64,
}

/// Which of the last 256 messages have not come.
#[derive(Clone, Copy, Debug, Default)]
struct Missing([u64; 4]);

impl Missing {
    fn set(&mut self, seq: u8, missing: bool) {
        let (word, bit) = (usize::from(seq >> 6), 1u64 << (seq & 63));
        if let Some(word) = self.0.get_mut(word) {
            *word = if missing { *word | bit } else { *word & !bit };
        }
    }

    fn has(&self, seq: u8) -> bool {
        self.0.get(usize::from(seq >> 6)).is_some_and(|word| word & 1 << (seq & 63) != 0)
    }
}

impl Gateway {
    /// Takes note of a message's place in the sequence. A new birth of the gateway begins it.
    pub(crate) fn count(&mut self, seq: Option<u8>, made: Time, begins: bool) {
        self.counts.messages += 1;
        let Some(seq) = seq else {
            return;
        };
        if begins {
            self.missing = Missing::default();
            self.latest = Some(made);
            self.next = Some(seq.wrapping_add(1));
            let overtook = std::mem::take(&mut self.early);
            let of_this = overtook.into_iter().filter(|(_, at)| *at >= made);
            for (seq, at) in of_this {
                self.counts.repeated = self.counts.repeated.saturating_sub(1);
                self.follow(seq, at);
            }
            return;
        }
        self.follow(seq, made);
    }

    fn follow(&mut self, seq: u8, made: Time) {
        let next = self.next.unwrap_or(seq);
        let ahead = seq.wrapping_sub(next);
        // More than half of the numbers may be lost: the time of the message tells what is ahead.
        let is_ahead = match self.latest {
            Some(latest) if made != latest => made > latest,
            _ => ahead < 128,
        };
        if !is_ahead {
            // It was overtaken, or is here for the second time.
            let was_missing = self.missing.has(seq);
            self.missing.set(seq, false);
            self.counts.missing = self.counts.missing.saturating_sub(u64::from(was_missing));
            self.counts.repeated += u64::from(!was_missing);
            self.note_early(seq, made);
            return;
        }
        for step in 0..ahead {
            self.missing.set(next.wrapping_add(step), true);
        }
        self.missing.set(seq, false);
        self.counts.missing += u64::from(ahead);
        self.next = Some(seq.wrapping_add(1));
        self.latest = Some(made);
        self.note_early(seq, made);
    }

    fn note_early(&mut self, seq: u8, made: Time) {
        if self.early.len() >= EARLY_MAX {
            self.early.remove(0);
        }
        self.early.push((seq, made));
    }

    /// A copy of a gateway's birth.
    pub(crate) fn count_copy(&mut self) {
        self.counts.messages += 1;
        self.counts.repeated += 1;
    }

    /// Whether a birth is news: neither a copy of the one in force, nor an older one that was overtaken. Another session of the
    /// gateway is told by its number, whatever its clock says; within one, the times tell.
    pub(crate) fn is_news(&self, device: &str, born: Time, session: Option<u8>) -> bool {
        let Some(known) = self.devices.get(device).and_then(|device| device.tables.first()) else {
            return true;
        };
        let overtaken = born < known.born && known.born.since(born) < REORDERED_BY;
        let of = if device.is_empty() { session } else { self.session };
        match of.zip(known.session).map(|(now, before)| now.wrapping_sub(before)) {
            Some(1..=127) => true,
            Some(128..) => !overtaken,
            Some(0) | None => born != known.born && !overtaken,
        }
    }

    /// Whether a device's birth is of a session that is over.
    pub(crate) fn is_over(&self, born: Time) -> bool {
        let gateway = self.devices.get("").and_then(|node| node.tables.first());
        gateway.is_some_and(|table| born < table.born && table.born.since(born) < REORDERED_BY)
    }

    /// Takes a birth. That of the gateway itself ends its devices, until they are born again.
    pub(crate) fn born(&mut self, device: &str, mut table: Table, session: Option<u8>) {
        let (born, heard) = (table.born, table.heard);
        if device.is_empty() {
            if let (Some(before), Some(now)) = (self.session, session) {
                // The same number again is a rebirth that was asked for.
                self.counts.births_missed += u64::from(now.wrapping_sub(before).saturating_sub(1) & 127);
            }
            let is_other = session != self.session;
            self.session = session.or(self.session);
            // A device's birth may overtake that of its gateway by a moment.
            let elder = |table: &Table| {
                let overtook = heard.since(table.heard) < OVERTAKES_BY && table.born >= born;
                !overtook && (is_other || table.born < born)
            };
            for device in self.devices.values_mut() {
                match device.tables.first_mut() {
                    Some(table) if elder(table) => device.alive = Some((false, born)),
                    Some(table) => table.session = session,
                    None => {}
                }
            }
        }
        self.counts.births += 1;
        table.session = self.session;
        let device = self.devices.entry(device.to_owned()).or_default();
        device.tables.insert(0, table);
        device.tables.truncate(2);
        device.alive = Some((true, born));
    }

    /// Takes a death; one that belongs to an earlier birth than the one in force is over. True: it is news.
    pub(crate) fn died(&mut self, device: &str, at: Time, session: Option<u8>) -> bool {
        if device.is_empty() {
            if session.is_some() && self.session.is_some() && session != self.session {
                return false;
            }
            self.devices.entry(String::new()).or_default();
            let dies = self.devices.values().any(Device::is_alive);
            self.devices.values_mut().for_each(|device| device.alive = Some((false, at)));
            return dies;
        }
        let device = self.devices.entry(device.to_owned()).or_default();
        let of_now = device.tables.first().is_none_or(|table| table.born <= at);
        let dies = of_now && device.is_alive();
        if of_now {
            device.alive = Some((false, at));
        }
        dies
    }

    /// The table that holds for data of a time.
    pub(crate) fn table(&self, device: &str, at: Time) -> Result<&Table, Refusal> {
        let device = self.devices.get(device).ok_or(Refusal::NoBirth)?;
        let newest = device.tables.first().ok_or(Refusal::NoBirth)?;
        let is_alive = device.alive.is_some_and(|(alive, _)| alive);
        if at >= newest.born || newest.born.since(at) > REORDERED_BY {
            return if is_alive { Ok(newest) } else { Err(Refusal::NoBirth) };
        }
        device.tables.iter().find(|table| table.born <= at).ok_or(Refusal::NoBirth)
    }
}

/// All gateways that the plan listens to.
#[derive(Clone, Debug, Default)]
pub struct Births {
    pub(crate) gateways: HashMap<String, Gateway>,
    fresh: Fresh,
    /// Gateways whose aliases nobody can explain.
    lacking: BTreeSet<String>,
}

/// Births and deaths, to be kept for the next start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fresh(Vec<Message>);

impl Fresh {
    pub(crate) fn keep(&mut self, message: &Message) {
        self.0.push(message.clone());
        let of_topic = |kept: &&Message| kept.topic == message.topic;
        let bytes: usize = self.0.iter().map(|kept| kept.payload.len()).sum();
        // The newer ones say more.
        if self.0.iter().filter(of_topic).count() > FRESH_MAX {
            let oldest = self.0.iter().position(|kept| of_topic(&kept)).unwrap_or(0);
            self.0.remove(oldest);
        } else if bytes > FRESH_BYTES_MAX {
            self.0.remove(0);
        }
    }
}

/// A gateway at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayView {
    /// Group and edge node.
    pub id: String,
    /// Itself, as the device without a name, and its devices.
    pub devices: Vec<DeviceView>,
    /// Messages since the start.
    pub messages: u64,
    /// Messages that have not come, by their sequence numbers.
    pub missing: u64,
    /// Messages that came more than once.
    pub repeated: u64,
    /// Births of the gateway and its devices.
    pub births: u64,
    /// Births of the gateway that have not come, by their numbers.
    pub births_missed: u64,
}

/// A gateway's device at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// Its name; empty for the gateway itself.
    pub device: String,
    /// Born and not dead.
    pub alive: bool,
    /// Since when.
    pub since: Time,
}

impl Births {
    /// A gateway, and where births and deaths are kept.
    pub(crate) fn gateway(&mut self, key: String) -> (&mut Gateway, &mut Fresh) {
        (self.gateways.entry(key).or_default(), &mut self.fresh)
    }

    /// A gateway's data came without the birth that explains them.
    pub(crate) fn lack(&mut self, gateway: String) {
        self.lacking.insert(gateway);
    }

    /// The gateways, by group and edge node, whose birth is lacking since this was asked last.
    pub fn take_lacking(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.lacking)
    }

    /// They are kept.
    pub fn kept(&mut self) {
        self.fresh.0.clear();
    }

    /// The births and deaths that wait to be kept.
    pub fn fresh(&self) -> &[Message] {
        &self.fresh.0
    }

    /// Counts from here on.
    pub fn count_anew(&mut self) {
        self.gateways.values_mut().for_each(|gateway| gateway.counts = Counts::default());
    }

    /// All gateways, sorted by id.
    pub fn view(&self) -> Vec<GatewayView> {
        let sorted: BTreeMap<&String, &Gateway> = self.gateways.iter().collect();
        sorted.into_iter().map(|(id, gateway)| gateway.view(id)).collect()
    }

    /// Whether the gateway's device is known to be gone, and since when.
    pub(crate) fn gone(&self, key: &str, device: &str) -> Option<Time> {
        let alive = self.gateways.get(key)?.devices.get(device)?.alive;
        alive.filter(|(alive, _)| !alive).map(|(_, since)| since)
    }
}

impl Gateway {
    fn view(&self, id: &str) -> GatewayView {
        let sorted: BTreeMap<&String, &Device> = self.devices.iter().collect();
        let device = |(name, device): (&String, &Device)| {
            let (alive, since) = device.alive?;
            Some(DeviceView { device: name.clone(), alive, since })
        };
        let Counts { messages, missing, repeated, births, births_missed } = self.counts;
        let devices = sorted.into_iter().filter_map(device).collect();
        GatewayView { id: id.to_owned(), devices, messages, missing, repeated, births, births_missed }
    }
}

/// When a message was made, or else arrived.
pub(crate) fn made(head: Head, received: Time) -> Time {
    head.timestamp.unwrap_or(received)
}

impl Table {
    pub(crate) fn new(born: Time, heard: Time, wanted: usize) -> Table {
        let session = None;
        Table { born, heard, session, aliases: Vec::new(), datatypes: vec![0; wanted], other_unit: Vec::new() }
    }

    /// Notes a metric of a birth.
    pub(crate) fn note(&mut self, metric: &Metric<'_>, wanted: Option<u32>, other_unit: bool) {
        if let Some(alias) = metric.alias {
            self.aliases.push((alias, wanted.unwrap_or(NOBODY)));
        }
        let Some(wanted) = wanted else {
            return;
        };
        if let Some(datatype) = self.datatypes.get_mut(wanted as usize) {
            *datatype = metric.datatype.unwrap_or(0);
        }
        if other_unit {
            self.other_unit.push(wanted);
        }
    }

    pub(crate) fn sorted(mut self) -> Table {
        self.aliases.sort_unstable();
        self
    }
}
