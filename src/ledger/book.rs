//! The part of the books that is in memory: what is open, and what a late reading is changing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::cluster::{Entity, FacilityIx, Topology};
use crate::emission::{Leaf, Parts, Tally};
use crate::ledger::parts::{chain, holders, members, network_holders, ranges, same_date};
use crate::ledger::{Balance, Entry, Key, Range};
use crate::quantity::{Quarter, Span, Time, Window};

/// An entry in memory.
#[derive(Clone, Debug, Default)]
struct Slot {
    balance: Balance,
    /// As last stored; 0 when it never was.
    revision: u32,
    /// Differs from what is stored.
    changed: bool,
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Whose and when.
    pub key: Key,
    /// What.
    pub balance: Balance,
    /// 1 at close, one more with each change.
    pub revision: u32,
}

/// An entry that a seal stores: closed for the first time, or changed since.
#[derive(Clone, Copy, Debug)]
pub struct SealedEntry<'a> {
    /// Whose and when.
    pub key: Key,
    /// What.
    pub balance: &'a Balance,
    /// The new revision.
    pub revision: u32,
}

/// Open entries, and closed ones that are at hand.
#[derive(Clone, Debug)]
pub struct Book {
    slots: BTreeMap<Key, Slot>,
    loaded: HashSet<Range>,
    /// Nothing that begins here or later was ever stored, but for minutes:
    unstored_from: Time,
    /// they close within an open quarter. What was stored of them before this is not in memory.
    minutes_stored_to: Time,
    /// A window closes this long after its end.
    close_after: Span,
}

impl Book {
    /// Books whose past, before `unstored_from`, is in a store; and minutes of open quarters, as of the seal at `sealed`.
    pub fn new(unstored_from: Time, sealed: Time, close_after: Span) -> Book {
        let (slots, loaded) = (BTreeMap::new(), HashSet::new());
        Book { slots, loaded, unstored_from, minutes_stored_to: sealed, close_after }
    }

    /// The stored entries that must be supplied before the facility's quarter can be booked.
    pub fn missing(&self, topology: &Topology, facility: FacilityIx, quarter: Quarter) -> Vec<Range> {
        let needed = ranges(topology, facility, quarter).into_iter();
        let stored = |r: &Range| match r.window {
            Window::Minute => r.from < self.unstored_from.max(self.minutes_stored_to),
            _ => r.from < self.unstored_from,
        };
        needed.filter(|r| stored(r) && !self.loaded.contains(r)).collect()
    }

    /// Closed, and not stored as it stands. What was closed stays closed when a window closes later from now on.
    fn is_due(&self, key: &Key, slot: &Slot, topology: &Topology, now: Time) -> bool {
        let end = key.end(topology);
        slot.changed && (end.plus(self.close_after) <= now || end <= self.unstored_from)
    }

    /// Takes stored entries. What is in memory already is newer and stays.
    pub fn supply(&mut self, range: Range, stored: Vec<Closed>) {
        for entry in stored {
            let slot = Slot { balance: entry.balance, revision: entry.revision, changed: false };
            self.slots.entry(entry.key).or_insert(slot);
        }
        self.loaded.insert(range);
    }

    /// Books the leaf of a facility's quarter.
    pub fn set_leaf(&mut self, facility: FacilityIx, quarter: Quarter, leaf: &Leaf) {
        let entity = Entity::Facility(facility);
        let mut sum = Balance::default();
        for (part, own) in leaf.own.iter().enumerate() {
            let view = |parts: &Option<Box<Parts>>| parts.as_ref().map(|tallies| Box::new(tallies[part].clone()));
            let balance = Balance { own: own.clone(), cluster: view(&leaf.cluster), network: view(&leaf.network) };
            sum.merge(&balance);
            let start = Time(quarter.start().0 + 60_000 * part as i64);
            // The last part has no minute.
            if start < quarter.end() && !leaf.packed {
                self.set(Key { entity, window: Window::Minute, start }, balance);
            }
        }
        self.set(Key { entity, window: Window::Quarter, start: quarter.start() }, sum);
    }

    /// Adds up everything above the given leaves.
    pub fn add_up(&mut self, topology: &Topology, leaves: &BTreeSet<(FacilityIx, Quarter)>) {
        let mut grouped: BTreeSet<(Entity, Quarter)> = BTreeSet::new();
        let mut holding: BTreeMap<Window, BTreeSet<Key>> = BTreeMap::new();
        for (facility, quarter) in leaves {
            let cluster = Entity::Cluster(topology.facility(*facility).cluster);
            for entity in chain(topology, *facility) {
                let keys = match entity {
                    Entity::Network(_) => network_holders(topology, cluster, entity, *quarter),
                    _ => holders(topology, entity, *quarter),
                };
                for key in keys {
                    holding.entry(key.window).or_default().insert(key);
                }
                grouped.insert((entity, *quarter));
            }
        }
        // Entities sort facilities, clusters, networks: members are complete before their sum.
        for (entity, quarter) in grouped {
            self.add_members(topology, entity, quarter);
        }
        for key in holding.into_values().flatten() {
            let sum = self.sum(topology, key);
            self.set(key, sum);
        }
    }

    fn add_members(&mut self, topology: &Topology, entity: Entity, quarter: Quarter) {
        let members = members(topology, entity);
        if members.is_empty() {
            return;
        }
        let minutes = (0..15).map(|m| (Window::Minute, Time(quarter.start().0 + 60_000 * m)));
        for (window, start) in minutes.chain([(Window::Quarter, quarter.start())]) {
            let keys = members.iter().map(|member| Key { entity: *member, window, start });
            let sum = self.sum_of(entity, keys);
            self.set(Key { entity, window, start }, sum);
        }
    }

    fn sum(&self, topology: &Topology, key: Key) -> Balance {
        if let Some(periods) = same_date(topology, key) {
            return self.sum_of(key.entity, periods.into_iter());
        }
        let Some(window) = key.window.child() else {
            return Balance::default();
        };
        let first = Key { window, ..key };
        let end = Key { start: key.end(topology), ..first };
        let mut sum = Balance::default();
        for (_, slot) in self.slots.range(first..end) {
            sum.merge(&slot.balance);
        }
        sum
    }

    /// A cluster and a network take their members as they count them themselves.
    fn sum_of(&self, entity: Entity, keys: impl Iterator<Item = Key>) -> Balance {
        let mut sum = Balance::default();
        for slot in keys.filter_map(|key| self.slots.get(&key)) {
            match entity {
                Entity::Network(_) => sum.own.merge(slot.balance.as_network()),
                _ => sum.merge_member(&slot.balance),
            }
        }
        sum
    }

    fn set(&mut self, key: Key, balance: Balance) {
        match self.slots.get_mut(&key) {
            Some(slot) if slot.balance == balance => {}
            Some(slot) => {
                slot.balance = balance;
                slot.changed = true;
            }
            None if balance.own.is_empty() => {}
            None => {
                self.slots.insert(key, Slot { balance, revision: 0, changed: true });
            }
        }
    }

    /// The windows that are closed at `now` and not stored as they stand, with their new revisions.
    pub fn closing(&self, topology: &Topology, now: Time) -> impl Iterator<Item = SealedEntry<'_>> {
        let due = self.slots.iter().filter(move |(key, slot)| self.is_due(key, slot, topology, now));
        due.map(|(key, slot)| SealedEntry { key: *key, balance: &slot.balance, revision: slot.revision + 1 })
    }

    /// What [`Book::closing`] gave is stored.
    pub fn closed(&mut self, topology: &Topology, now: Time) {
        let due: Vec<Key> = self
            .slots
            .iter()
            .filter(|(key, slot)| self.is_due(key, slot, topology, now))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.revision += 1;
                slot.changed = false;
            }
        }
    }

    /// Forgets what is stored and what no open window needs; call after [`Book::closed`].
    pub fn evict(&mut self, topology: &Topology, now: Time, unstored_from: Time) {
        self.unstored_from = self.unstored_from.max(unstored_from);
        let close_after = self.close_after;
        let open = |end: Time| end.plus(close_after) > now;
        self.slots.retain(|key, slot| {
            if slot.changed {
                return true;
            }
            let parent = match key.window {
                Window::Minute => Window::Quarter,
                Window::Quarter => Window::Hour,
                Window::Hour => Window::Day,
                Window::Day => Window::Month,
                Window::Month | Window::Year => Window::Year,
            };
            let zone = topology.zone(key.entity);
            open(zone.end(parent, zone.start(parent, key.start)))
        });
        let single = |r: &Range| r.to.0 - r.from.0 == 1;
        self.loaded.retain(|r| {
            let end = if single(r) { topology.zone(r.entity).end(r.window, r.from) } else { r.to };
            open(end)
        });
    }

    /// The open entries of the book; all levels and windows that `wanted` accepts.
    pub fn open_entries(
        &self,
        topology: &Topology,
        now: Time,
        wanted: impl Fn(Entity, Window) -> bool,
    ) -> impl Iterator<Item = Entry> {
        self.slots
            .iter()
            .filter(move |(key, slot)| slot.changed && wanted(key.entity, key.window))
            .map(move |(key, slot)| Entry::new(*key, slot.balance.own.clone(), slot.revision, topology, now))
    }

    /// Every entry in memory with its sum.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Tally)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.balance.own))
    }
}
