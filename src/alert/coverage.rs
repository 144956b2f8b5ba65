//! How much of the meters' time was measured.

use crate::alert::{Finding, MILLION, Seen, Series};
use crate::quantity::{Span, Time};

/// The least part of the meters' time that must be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// Of what time, which ends at any minute.
    pub average: Span,
    /// In ten-thousandths.
    pub least_e4: u32,
    /// From here on all is well again, in ten-thousandths.
    pub clear_e4: u32,
}

/// It is too little.
const LOW: u8 = 3;

impl Coverage {
    /// What is found at `at`. Until `closed`, more may come.
    pub(crate) fn find(&self, series: &Series, at: Time, closed: bool) -> Finding {
        let sum = series.sum(at.minus(self.average), at);
        if !closed {
            return Finding::Hold;
        }
        if sum.valid_ms == 0 {
            return Finding::Unknown;
        }
        let level = |least: u32| if sum.is_covered(least) { 0 } else { LOW };
        let value = i128::from(sum.covered_ms) * 100 * MILLION / i128::from(sum.valid_ms);
        let limit = i128::from(self.least_e4) * MILLION / 100;
        Finding::Seen(Seen { over: level(self.least_e4), held: level(self.clear_e4), value, limit, is_firm: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Sum;

    #[test]
    fn too_little_is_measured_until_enough_is() {
        let coverage = Coverage { average: Span::minutes(10), least_e4: 8_000, clear_e4: 9_000 };
        let mut series = Series::new(Time(0));
        for minute in 1..=30 {
            let covered_ms = if (11..=13).contains(&minute) { 0 } else { 60_000 };
            series.push(Time(minute * 60_000), Sum { covered_ms, valid_ms: 60_000, ..Sum::default() });
        }
        let seen = |minute: i64| match coverage.find(&series, Time(minute * 60_000), true) {
            Finding::Seen(seen) => (seen.over, seen.held, seen.value),
            other => panic!("{other:?}"),
        };
        assert_eq!(seen(12), (0, LOW, 80 * MILLION));
        assert_eq!(seen(13), (LOW, LOW, 70 * MILLION));
        assert_eq!(seen(21), (0, LOW, 80 * MILLION));
        assert_eq!(seen(22), (0, 0, 90 * MILLION));
        assert_eq!(coverage.find(&series, Time(13 * 60_000), false), Finding::Hold);
    }
}
