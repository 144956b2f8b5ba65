//! How many of the readings that came were of no use. It is known of what came while the daemon ran.

use std::collections::VecDeque;

use crate::alert::{Finding, MILLION, Seen};
use crate::quantity::{Ratio, Span, Time};

/// The most that may be of no use.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Of what came in this time.
    pub average: Span,
    /// The part of it.
    pub most: Ratio,
    /// Below this part of the most all is well again.
    pub clear: Ratio,
}

/// Fewer readings say nothing.
const READINGS_MIN: u64 = 10;
/// It is too much.
const HIGH: u8 = 3;

/// How many readings came so far, and how many of them were of no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// All.
    pub readings: u64,
    /// Of no use.
    pub refused: u64,
}

/// What came in the time that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Lately(VecDeque<(Time, Came)>);

impl Lately {
    /// Notes how many have come by now, and returns how many came in the last `average`.
    pub fn note(&mut self, now: Time, came: Came, average: Span) -> Came {
        // A daemon that was started anew counts anew.
        if self.0.back().is_some_and(|(_, before)| before.readings > came.readings) {
            self.0.clear();
        }
        self.0.push_back((now, came));
        while self.0.get(1).is_some_and(|(at, _)| now.since(*at) >= average) {
            self.0.pop_front();
        }
        let before = self.0.front().map_or(came, |(_, before)| *before);
        Came { readings: came.readings - before.readings, refused: came.refused - before.refused }
    }
}

impl Quality {
    /// What is found of what came lately.
    pub fn find(&self, came: Came) -> Finding {
        if came.readings < READINGS_MIN {
            return Finding::Unknown;
        }
        let (all, refused) = (i128::from(came.readings), i128::from(came.refused));
        let level = |part: Ratio| if refused * MILLION > part.of_floor(all * MILLION) { HIGH } else { 0 };
        let clear = self.most.times(self.clear).unwrap_or(self.most);
        let (value, limit) = (refused * 100 * MILLION / all, self.most.of_floor(100 * MILLION));
        Finding::Seen(Seen { over: level(self.most), held: level(clear), value, limit, is_firm: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_no_use_are_counted_over_a_while() {
        let part = |numerator, denominator| Ratio::new(numerator, denominator).unwrap();
        let quality = Quality { average: Span::minutes(10), most: part(5, 100), clear: part(8, 10) };
        let mut lately = Lately::default();
        let mut at = |minute: i64, readings, refused| {
            let came = lately.note(Time(minute * 60_000), Came { readings, refused }, quality.average);
            match quality.find(came) {
                Finding::Seen(seen) => (seen.over, seen.held),
                _ => (9, 9),
            }
        };
        assert_eq!(at(0, 100, 50), (9, 9), "what was before counts for nothing");
        assert_eq!(at(5, 200, 55), (0, HIGH));
        assert_eq!(at(6, 220, 57), (HIGH, HIGH));
        assert_eq!(at(15, 400, 57), (0, 0));
        assert_eq!(at(16, 20, 20), (9, 9), "counted anew");
    }
}
