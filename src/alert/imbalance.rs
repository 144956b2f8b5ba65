//! What one meter sent against what another received.

use crate::alert::{Finding, MILLION, Seen, Series};
use crate::cluster::MeterIx;
use crate::quantity::{Ratio, Span, Time};

/// Two meters of one transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct Imbalance {
    /// Of what is sent.
    pub sent: MeterIx,
    /// Of what is received.
    pub received: MeterIx,
    /// Over what time, which ends at any quarter.
    pub average: Span,
    /// The part of what is sent by which the two may differ.
    pub tolerance: Ratio,
    /// Below this part of the tolerance all is well again.
    pub clear: Ratio,
    /// So many ten-thousandths of both meters' time must be covered to tell.
    pub min_coverage_e4: u32,
}

/// They differ by more.
const APART: u8 = 3;

impl Imbalance {
    /// What is found at `at`. Until `closed`, more may come of either.
    pub(crate) fn find(&self, sent: &Series, received: &Series, at: Time, closed: bool) -> Finding {
        let from = at.minus(self.average);
        let (sent, received) = (sent.sum(from, at), received.sum(from, at));
        if !closed {
            return Finding::Hold;
        }
        if !sent.is_covered(self.min_coverage_e4) || !received.is_covered(self.min_coverage_e4) {
            return Finding::Unknown;
        }
        let (apart, all) = ((sent.mg - received.mg).abs(), sent.mg.abs());
        let exceeds = |part: Ratio| apart > part.of_floor(all);
        let level = |part: Ratio| if exceeds(part) { APART } else { 0 };
        let percent = |part: i128| if all == 0 { 0 } else { part.saturating_mul(100 * MILLION) / all };
        // Where nothing is sent, all that is received is too much.
        let value = if all == 0 && apart > 0 { 100 * MILLION } else { percent(apart) };
        let clear = self.tolerance.times(self.clear).unwrap_or(self.tolerance);
        let limit = self.tolerance.of_floor(100 * MILLION);
        Finding::Seen(Seen { over: level(self.tolerance), held: level(clear), value, limit, is_firm: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Sum;

    #[test]
    fn what_is_lost_on_the_way_is_seen() {
        let part = |numerator, denominator| Ratio::new(numerator, denominator).unwrap();
        let imbalance = Imbalance {
            sent: MeterIx(0),
            received: MeterIx(1),
            average: Span::minutes(60),
            tolerance: part(2, 100),
            clear: part(1, 2),
            min_coverage_e4: 7_500,
        };
        let series = |amounts: &[i128]| {
            let mut series = Series::new(Time(0));
            for (at, mg) in (1..).zip(amounts) {
                let sum = Sum { mg: *mg, covered_ms: 900_000, valid_ms: 900_000, ..Sum::default() };
                series.push(Time(at * 900_000), sum);
            }
            series
        };
        let sent = series(&[1_000; 8]);
        let received = series(&[1_000, 1_000, 1_000, 919, 1_000, 1_000, 1_000, 960]);
        let seen = |quarter: i64| match imbalance.find(&sent, &received, Time(quarter * 900_000), true) {
            Finding::Seen(seen) => (seen.over, seen.held, seen.value),
            other => panic!("{other:?}"),
        };
        // 81 of 4000 are 2.025 %; 40 of 4000 are 1 %.
        assert_eq!(seen(4), (APART, APART, 2_025_000));
        assert_eq!(seen(8), (0, 0, MILLION));
        let nothing = series(&[0; 8]);
        let from_nothing = imbalance.find(&nothing, &sent, Time(3_600_000), true);
        assert!(matches!(from_nothing, Finding::Seen(Seen { over: APART, .. })));
    }
}
