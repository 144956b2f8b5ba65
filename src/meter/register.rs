//! Registers: differences of neighbours, with rollover, reset, dips and spikes told apart by a local rule.
//!
//! A drop is, in this order: a rollover, where a modulus is declared and the wrapped amount is believable;
//! a spike of the reading before it, when it only takes back that reading's rise; a dip of this reading, when one of the
//! next few jumps back up; a reset, where the declared rule says so; else a dip. Dips and spikes are set aside, never
//! booked. Of two readings that may explain each other the one that books less is believed. What an operator has
//! released is not judged.

use crate::cluster::Reset;
use crate::meter::usage::{Sample, exceeds};
use crate::meter::verdict::Verdicts;
use crate::quantity::Time;

/// What a register declares about its jumps.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub rollover_at: Option<i64>,
    pub reset: Reset,
    pub max_rate: Option<i64>,
}

/// How a reading continues from the last good one.
enum Step {
    Uses(i64),
    Aside,
}

/// Calls `each` with the start, end and amount of every step between good readings, and `aside` with the time of every
/// reading set aside. `last` is the good reading before the first, if there is one.
pub(crate) fn steps(
    rule: Rule,
    mut last: Option<Sample>,
    readings: &[Sample],
    verdicts: &Verdicts,
    mut each: impl FnMut(Time, Time, i64),
    mut aside: impl FnMut(Time),
) {
    for (at, reading) in readings.iter().enumerate() {
        let rest = readings.get(at + 1..).unwrap_or(&[]);
        let released = verdicts.releases(reading.0);
        let Some(before) = last else {
            if !released && rule.is_first_spike(*reading, rest) {
                aside(reading.0);
            } else {
                last = Some(*reading);
            }
            continue;
        };
        let step = if released { rule.released(before, *reading) } else { rule.step(before, *reading, rest) };
        match step {
            Step::Aside => aside(reading.0),
            Step::Uses(amount) => {
                each(before.0, reading.0, amount);
                last = Some(*reading);
            }
        }
    }
}

impl Rule {
    /// A fall that is no rollover tells nothing of what was used: the register starts anew.
    fn released(self, before: Sample, reading: Sample) -> Step {
        let rise = reading.1 - before.1;
        Step::Uses(if rise >= 0 { rise } else { self.rollover(before, reading).unwrap_or(0) })
    }

    fn step(self, before: Sample, reading: Sample, rest: &[Sample]) -> Step {
        let (span, rise) = (reading.0.since(before.0), reading.1 - before.1);
        if rise >= 0 {
            let spike = exceeds(rise, span, self.max_rate) || self.is_spike(before, reading, rest);
            return if spike { Step::Aside } else { Step::Uses(rise) };
        }
        if let Some(wrapped) = self.rollover(before, reading) {
            return Step::Uses(wrapped);
        }
        let recovers = recovers(before, reading, rest);
        let resets = match self.reset {
            Reset::ToZero => i128::from(reading.1) * 100 < i128::from(before.1),
            Reset::AnyDrop => true,
            Reset::Never => false,
        };
        if recovers || !resets || exceeds(reading.1, span, self.max_rate) { Step::Aside } else { Step::Uses(reading.1) }
    }

    /// Without a declared `max_rate` a wrap of less than half the modulus is believed.
    fn rollover(self, before: Sample, reading: Sample) -> Option<i64> {
        let modulus = self.rollover_at?;
        let wrapped = i64::try_from(i128::from(modulus) - i128::from(before.1) + i128::from(reading.1)).ok()?;
        let believable = match self.max_rate {
            Some(_) => !exceeds(wrapped, reading.0.since(before.0), self.max_rate),
            None => i128::from(wrapped) * 2 < i128::from(modulus),
        };
        (wrapped >= 0 && reading.1 < modulus && believable).then_some(wrapped)
    }

    /// A rise that the next reading takes back, without falling below where it began, and without the one after that
    /// taking it up again.
    fn is_spike(self, before: Sample, reading: Sample, rest: &[Sample]) -> bool {
        rest.first().is_some_and(|next| next.1 >= before.1) && self.falls_back(reading, rest)
    }

    /// Nothing tells where the first reading began, so a drop to nearly nought may be a reset.
    fn is_first_spike(self, reading: Sample, rest: &[Sample]) -> bool {
        let [next, _, ..] = rest else {
            return false;
        };
        let resets = self.reset == Reset::ToZero && i128::from(next.1) * 100 < i128::from(reading.1);
        !resets && self.falls_back(reading, rest)
    }

    fn falls_back(self, reading: Sample, rest: &[Sample]) -> bool {
        let Some(next) = rest.first() else {
            return false;
        };
        let stays = rest.get(1).is_none_or(|after| after.1 < reading.1 && after.1 >= next.1);
        next.1 < reading.1 && stays && self.reset != Reset::AnyDrop && self.rollover(reading, *next).is_none()
    }
}

/// How many readings of a dip are looked past; a gateway that starts again shows a few noughts.
const DIP_MAX: usize = 4;

/// One of the next few readings is back at the value before, by a jump and not by a climb of its own.
fn recovers(before: Sample, reading: Sample, rest: &[Sample]) -> bool {
    let mut previous = reading.1;
    for next in rest.iter().take(DIP_MAX) {
        if next.1 >= before.1 {
            return i128::from(next.1 - previous) * 2 >= i128::from(before.1 - reading.1);
        }
        previous = next.1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Rule, values: &[i64], expected: &[i64], expected_aside: usize) {
        let readings: Vec<Sample> = (0i64..).zip(values).map(|(i, v)| (Time(i * 10_000), *v)).collect();
        let (mut amounts, mut aside) = (Vec::new(), 0);
        steps(rule, None, &readings, &Verdicts::default(), |_, _, amount| amounts.push(amount), |_| aside += 1);
        assert_eq!((amounts.as_slice(), aside), (expected, expected_aside), "{values:?}");
    }

    const PLAIN: Rule = Rule { rollover_at: None, reset: Reset::ToZero, max_rate: None };

    #[test]
    fn rises_are_used() {
        check(PLAIN, &[100, 103, 103, 110], &[3, 0, 7], 0);
    }

    #[test]
    fn dips_never_make_a_phantom() {
        check(PLAIN, &[1000, 999, 1001], &[1], 1);
        check(PLAIN, &[1000, 0, 1001], &[1], 1);
        check(PLAIN, &[1000, 999], &[], 1);
        check(PLAIN, &[100_000, 0, 0, 100_001, 100_002], &[1, 1], 2);
        check(PLAIN, &[100_000, 0, 0, 0, 0, 100_001], &[1], 4);
    }

    #[test]
    fn a_reset_starts_from_nought() {
        check(PLAIN, &[1000, 3, 5, 9], &[3, 2, 4], 0);
        check(PLAIN, &[300, 0, 100, 200, 310], &[0, 100, 100, 110], 0);
        check(PLAIN, &[1000, 300, 305], &[5], 1);
        check(Rule { reset: Reset::AnyDrop, ..PLAIN }, &[1000, 300, 305], &[300, 5], 0);
        check(Rule { reset: Reset::Never, ..PLAIN }, &[990, 1000, 3, 5], &[10], 2);
    }

    #[test]
    fn a_spike_is_set_aside_when_the_next_two_show_it() {
        check(PLAIN, &[100, 5000, 102, 104], &[2, 2], 1);
        check(PLAIN, &[100, 99_999_999, 101], &[1], 1);
        check(PLAIN, &[100, 99_999_999, 101, 102], &[1, 1], 1);
        check(PLAIN, &[100, 5000, 102, 5003], &[4900, 3], 1);
        check(PLAIN, &[5000, 102, 104], &[2], 1);
    }

    #[test]
    fn rollover_needs_a_declared_modulus() {
        let rule = Rule { rollover_at: Some(1_000_000), ..PLAIN };
        check(rule, &[999_990, 5, 7], &[15, 2], 0);
        check(rule, &[1000, 999, 1001], &[1], 1);
        check(rule, &[5000, 3, 5], &[3, 2], 0);
    }

    #[test]
    fn max_rate_sets_aside_what_no_meter_can_use() {
        // 8,640,000 a day is 1,000 in ten seconds.
        let rule = Rule { max_rate: Some(8_640_000), ..PLAIN };
        check(rule, &[0, 1000, 9000, 3000], &[1000, 2000], 1);
    }
}
