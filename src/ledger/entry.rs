//! An entry: what an entity emitted in a window.

use crate::cluster::{Entity, Topology};
use crate::emission::Tally;
use crate::ledger::parts::same_date;
use crate::quantity::{Time, Window};

/// Whose, which window, and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose.
    pub entity: Entity,
    /// The length of window.
    pub window: Window,
    /// Its start.
    pub start: Time,
}

impl Key {
    /// The window's end, exclusive.
    pub fn end(&self, topology: &Topology) -> Time {
        topology.window_end(self.entity, self.window, self.start)
    }

    /// The milliseconds of valid meter time in the window, before `now`: the denominator of coverage.
    fn valid_ms(&self, topology: &Topology, now: Time) -> i64 {
        if let Some(periods) = same_date(topology, *self) {
            return periods.iter().map(|period| period.valid_ms(topology, now)).sum();
        }
        let end = self.end(topology).min(now.max(self.start));
        topology.valid_ms(self.entity, self.start, end)
    }
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose and when.
    pub key: Key,
    /// What.
    pub tally: Tally,
    /// Ten-thousandths of the valid meter time that is covered.
    pub coverage_e4: u32,
    /// 0 while open, 1 at close, one more with each change after.
    pub revision: u32,
}

impl Entry {
    /// An entry with its coverage worked out. Of an open window, only the time before `now` counts.
    pub fn new(key: Key, tally: Tally, revision: u32, topology: &Topology, now: Time) -> Entry {
        let coverage_e4 = coverage(tally.covered_ms, key.valid_ms(topology, now));
        Entry { key, tally, coverage_e4, revision }
    }

    /// The uncertainty in percent at 95 %, from an hour up: below that, how a figure is spread over time says more of it.
    pub fn uncertainty_pct(&self) -> Option<f64> {
        if self.key.window < Window::Hour { None } else { self.tally.uncertainty_pct() }
    }
}

/// Rounded half up. Where no meter's time could be covered, nothing is missing.
fn coverage(covered_ms: i64, valid_ms: i64) -> u32 {
    if valid_ms <= 0 {
        return 10_000;
    }
    let parts = (i128::from(covered_ms) * 20_000 + i128::from(valid_ms)) / (2 * i128::from(valid_ms));
    u32::try_from(parts.clamp(0, 10_000)).unwrap_or(10_000)
}
