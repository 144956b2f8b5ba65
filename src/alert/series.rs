//! What was emitted when, as sums over ranges.

use crate::quantity::Time;

/// What a range holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Milligrams.
    pub mg: i128,
    /// Those of them that rest on substituted data, or whose time is interpolated.
    pub soft_mg: i128,
    /// So many milligrams may be there by roundings alone.
    pub rounded: i128,
    /// Meter time that is covered by measurement.
    pub covered_ms: i64,
    /// Meter time that could be.
    pub valid_ms: i64,
}

impl Sum {
    fn plus(self, other: Sum) -> Sum {
        Sum {
            mg: self.mg.saturating_add(other.mg),
            soft_mg: self.soft_mg.saturating_add(other.soft_mg),
            rounded: self.rounded.saturating_add(other.rounded),
            covered_ms: self.covered_ms.saturating_add(other.covered_ms),
            valid_ms: self.valid_ms.saturating_add(other.valid_ms),
        }
    }

    fn minus(self, other: Sum) -> Sum {
        Sum {
            mg: self.mg.saturating_sub(other.mg),
            soft_mg: self.soft_mg.saturating_sub(other.soft_mg),
            rounded: self.rounded.saturating_sub(other.rounded),
            covered_ms: self.covered_ms.saturating_sub(other.covered_ms),
            valid_ms: self.valid_ms.saturating_sub(other.valid_ms),
        }
    }

    /// Its milligrams without what roundings may have added.
    pub fn surely_mg(&self) -> i128 {
        self.mg.saturating_sub(self.rounded)
    }

    /// The same of what is measured.
    pub fn surely_measured_mg(&self) -> i128 {
        self.surely_mg().saturating_sub(self.soft_mg.max(0))
    }

    /// Whether at least so many ten-thousandths of the meter time are covered.
    pub fn is_covered(self, least_e4: u32) -> bool {
        i128::from(self.covered_ms) * 10_000 >= i128::from(self.valid_ms) * i128::from(least_e4)
    }
}

/// Sums that follow each other without a gap; sums over ranges of them are found at once.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The end of each part, with the sum of all up to there. The first is where the series begins.
    edges: Vec<(Time, Sum)>,
}

impl Series {
    /// A series that begins at `from`, and holds nothing.
    pub fn new(from: Time) -> Series {
        Series { edges: vec![(from, Sum::default())] }
    }

    /// Adds the part from the end so far to `to`. What ends no later is left out.
    pub fn push(&mut self, to: Time, sum: Sum) {
        if let Some((end, before)) = self.edges.last().copied()
            && to > end
        {
            self.edges.push((to, before.plus(sum)));
        }
    }

    /// The ends of its parts in `(after, to]`.
    pub fn ends(&self, after: Time, to: Time) -> impl Iterator<Item = Time> + '_ {
        let first = self.edges.partition_point(|(at, _)| *at <= after).max(1);
        self.edges.iter().skip(first).map(|(at, _)| *at).take_while(move |at| *at <= to)
    }

    /// The sum of the parts in `[from, to)`, as far as the series reaches; a part counts where it ends.
    pub fn sum(&self, from: Time, to: Time) -> Sum {
        self.up_to(to).minus(self.up_to(from))
    }

    fn up_to(&self, at: Time) -> Sum {
        let behind = self.edges.partition_point(|(edge, _)| *edge <= at);
        let last = behind.checked_sub(1).and_then(|last| self.edges.get(last));
        last.map_or(Sum::default(), |(_, sum)| *sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_summed() {
        let mut series = Series::new(Time(0));
        for at in 1..=10 {
            series.push(Time(at * 10), Sum { mg: i128::from(at), covered_ms: 5, valid_ms: 10, ..Sum::default() });
        }
        assert_eq!(series.sum(Time(0), Time(100)).mg, 55);
        assert_eq!(series.sum(Time(20), Time(50)).mg, 3 + 4 + 5);
        assert_eq!(series.sum(Time(-50), Time(10)).mg, 1);
        assert_eq!(series.sum(Time(95), Time(500)).mg, 10);
        assert_eq!(series.ends(Time(70), Time(90)).collect::<Vec<_>>(), [Time(80), Time(90)]);
        assert_eq!(series.ends(Time(-1), Time(10)).collect::<Vec<_>>(), [Time(10)]);
        let half = series.sum(Time(0), Time(20));
        assert!(half.is_covered(5_000) && !half.is_covered(5_001));
    }
}
