//! What can be seen of a meter: its state, and its entries, which are derived on read.

use std::collections::BTreeMap;

use crate::cluster::{Entity, MeterIx};
use crate::emission::{Leaf, Tally, book};
use crate::ledger::{Entry, Key};
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time, Window};
use crate::window::Activity;

/// A meter at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterView {
    /// The latest reading that is booked.
    pub latest: Option<(Time, i64)>,
    /// How many readings in memory are set aside.
    pub quarantined: usize,
}

/// A meter's entries of one length of window, from its quarters in order of time. The revision is the highest of the
/// quarters', and 0 while the window is open at `now`.
pub fn meter_entries(
    rules: &Rules,
    ix: MeterIx,
    window: Window,
    quarters: impl Iterator<Item = (Quarter, Activity, u32)>,
    now: Time,
) -> Vec<Entry> {
    let topology = &rules.topology;
    let entity = Entity::Meter(ix);
    let zone = topology.zone(entity);
    let mut sums: BTreeMap<Time, (Tally, u32)> = BTreeMap::new();
    for (quarter, activity, revision) in quarters {
        let mut leaf = Leaf::new(false);
        book(rules.method(ix), quarter, &activity, topology.meter(ix).covers_time(), &mut leaf);
        for (part, tally) in leaf.own.iter().enumerate().filter(|(_, tally)| !tally.is_empty()) {
            let time = Time(quarter.start().0 + 60_000 * part as i64);
            // The last part is known of the quarter as a whole.
            let time = if time < quarter.end() { time } else { quarter.start() };
            if window == Window::Minute && part + 1 == leaf.own.len() {
                continue;
            }
            let start = zone.start(window, time);
            let (sum, highest) = sums.entry(start).or_default();
            sum.merge(tally);
            *highest = revision.max(*highest);
        }
    }
    let entry = |(start, (tally, revision)): (Time, (Tally, u32))| {
        let key = Key { entity, window, start };
        let open = key.end(topology).plus(rules.close_after) > now;
        Entry::new(key, tally, if open { 0 } else { revision }, topology, now)
    };
    sums.into_iter().map(entry).collect()
}
