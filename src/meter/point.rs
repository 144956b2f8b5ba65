//! One kept reading, packed, and the set of them in one clock quarter.

use std::cmp::Ordering;

use crate::quantity::{Conversion, Quarter, Time};

/// Receipts are counted from this much before the reading's time, so that the difference is never negative.
const EARLIEST_RECEIPT_MS: i64 = 300_000;
const LAG_BITS: u32 = 44;
const LAG_MAX: u64 = (1 << LAG_BITS) - 1;

/// A reading within its quarter in 16 bytes: its place in the quarter and the lag of its receipt in one word,
/// so that points sort by time and then by receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    key: u64,
    /// In base units; for a rate, base units a day.
    pub value: i64,
}

impl Point {
    /// Packs a reading. A receipt over 500 years late is held at that.
    pub fn new(time: Time, received: Time, value: i64) -> Point {
        let offset = time.since(time.quarter().start()).0.unsigned_abs();
        let lag = received.since(time).0.saturating_add(EARLIEST_RECEIPT_MS).max(0).unsigned_abs();
        Point { key: offset << LAG_BITS | lag.min(LAG_MAX), value }
    }

    /// Milliseconds from the start of the quarter.
    pub fn offset_ms(self) -> u32 {
        (self.key >> LAG_BITS) as u32
    }

    /// When the reading was taken.
    pub fn time(self, quarter: Quarter) -> Time {
        Time(quarter.start().0 + i64::from(self.offset_ms()))
    }

    /// When its message arrived.
    pub fn received(self, quarter: Quarter) -> Time {
        let lag = i64::try_from(self.key & LAG_MAX).unwrap_or(0);
        Time(self.time(quarter).0 + lag - EARLIEST_RECEIPT_MS)
    }

    /// Of two readings for one time the earlier received stands, then the one whose value has the smaller text.
    fn yields_to(self, other: Point, conversion: &Conversion) -> bool {
        match other.key.cmp(&self.key) {
            Ordering::Equal if other.value == self.value => false,
            Ordering::Equal => conversion.text(other.value) < conversion.text(self.value),
            order => order.is_lt(),
        }
    }
}

/// Sets grow by this many points: doubling would leave a third of the memory of ten thousand meters empty.
const GROWTH: usize = 16;

/// What became of a reading when it met its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOutcome {
    /// It is new.
    Accepted,
    /// The same reading is there already.
    Duplicate,
    /// Another value stands for the same time, or did until now: one of the two is refused.
    Conflict {
        /// The standing value changed, so usage did.
        replaced: bool,
    },
}

/// The readings of one meter in one clock quarter, sorted, one for each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarterSet {
    points: Vec<Point>,
}

impl QuarterSet {
    /// A set from points that are sorted already.
    pub fn from_sorted(points: Vec<Point>) -> QuarterSet {
        debug_assert!(points.is_sorted());
        QuarterSet { points }
    }

    /// The points, sorted by time.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Adds a reading; any order of arrival ends in the same set. `conversion` is the meter's.
    pub fn insert(&mut self, point: Point, conversion: &Conversion) -> SetOutcome {
        let offset = point.offset_ms();
        let at = match self.points.last() {
            None => 0,
            Some(last) if last.offset_ms() < offset => self.points.len(),
            Some(_) => self.points.partition_point(|p| p.offset_ms() < offset),
        };
        match self.points.get_mut(at) {
            Some(standing) if standing.offset_ms() == offset => {
                let same = standing.value == point.value;
                let replaced = standing.yields_to(point, conversion);
                if replaced {
                    *standing = point;
                }
                if same { SetOutcome::Duplicate } else { SetOutcome::Conflict { replaced } }
            }
            _ => {
                if self.points.len() == self.points.capacity() {
                    self.points.reserve_exact(GROWTH);
                }
                self.points.insert(at, point);
                SetOutcome::Accepted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Dimension, Ratio, Unit};

    fn micrograms() -> Conversion {
        let base = Ratio::ONE;
        let unit = Unit { dimension: Dimension::Mass, per: None, base, zero: Ratio::whole(0) };
        Conversion { unit, scale: Ratio::ONE, offset: Ratio::whole(0) }
    }

    fn point(time: i64, received: i64, value: i64) -> Point {
        Point::new(Time(time), Time(received), value)
    }

    #[test]
    fn packing_keeps_time_and_receipt() {
        for (time, received) in [(0, 0), (899_999, 900_000), (-1, -200_000), (5, 631_152_000_000)] {
            let packed = point(time, received, 7);
            let quarter = Time(time).quarter();
            assert_eq!((packed.time(quarter), packed.received(quarter)), (Time(time), Time(received)));
        }
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_set() {
        let arrivals = [point(10, 11, 1), point(10, 12, 2), point(10, 11, 3), point(5, 20, 9), point(10, 12, 1)];
        let mut sets = Vec::new();
        for start in 0..arrivals.len() {
            let mut set = QuarterSet::default();
            for i in 0..arrivals.len() {
                set.insert(arrivals[(start + i) % arrivals.len()], &micrograms());
            }
            sets.push(set);
        }
        assert!(sets.iter().all(|s| s.points() == [point(5, 20, 9), point(10, 11, 1)]), "{sets:?}");
    }

    #[test]
    fn outcomes() {
        let mut set = QuarterSet::default();
        assert_eq!(set.insert(point(1, 5, 1), &micrograms()), SetOutcome::Accepted);
        assert_eq!(set.insert(point(1, 9, 1), &micrograms()), SetOutcome::Duplicate);
        assert_eq!(set.insert(point(1, 9, 2), &micrograms()), SetOutcome::Conflict { replaced: false });
        assert_eq!(set.insert(point(1, 4, 9), &micrograms()), SetOutcome::Conflict { replaced: true });
        // Of the same receipt, the smaller text stands, not the smaller number.
        assert_eq!(set.insert(point(1, 4, 10), &micrograms()), SetOutcome::Conflict { replaced: true });
        assert_eq!(set.insert(point(1, 4, 9), &micrograms()), SetOutcome::Conflict { replaced: false });
    }
}
