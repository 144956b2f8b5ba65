//! What time it is for the books: the system's clock, but never back, and not ahead at one bad moment.
//!
//! A step ahead is believed once it has lasted; until then the desk holds, so that nothing is stamped with a time that turns
//! out wrong, and no window closes for good. A step of more than the late horizon must last longer: were it wrong, every reading
//! after it would be too late, and there is no way back. After a step back time goes on at half pace until the clock has
//! caught up.

use std::time::Duration;

use crate::quantity::{Span, Time};

/// A clock that moves more than this against the monotonic one was set, or stood still with the machine.
const STEP: Span = Span::minutes(5);
/// So long a step ahead must last.
const LASTING: Duration = Duration::from_secs(10);
/// And one beyond the late horizon: long enough for somebody to notice, short enough for a machine whose clock is set late.
const LASTING_FAR: Duration = Duration::from_secs(900);
/// 2025-01-01: a clock before this was never set.
const NEVER_SET: Time = Time(1_735_689_600_000);

/// The time, and whether to wait until it is sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The time for the books.
    pub time: Time,
    /// It may be wrong: nothing is to be stamped with it.
    pub unsure: bool,
}

/// Keeps time. `monotonic` is the time since any fixed moment.
#[derive(Clone, Copy, Debug)]
pub struct Timekeeper {
    time: Time,
    monotonic: Duration,
    ahead_since: Option<Duration>,
    late_horizon: Span,
    /// The clock was set once: before that, a step ahead is what is waited for.
    was_set: bool,
}

impl Timekeeper {
    /// `latest` is the latest time in the books. The clock may have gone on meanwhile, for however long.
    pub fn new(latest: Time, wall: Time, monotonic: Duration, late_horizon: Span) -> Timekeeper {
        let time = if wall < NEVER_SET { latest } else { latest.max(wall) };
        Timekeeper { time, monotonic, ahead_since: None, late_horizon, was_set: wall >= NEVER_SET }
    }

    /// The time, given what the system's clock shows.
    pub fn tell(&mut self, wall: Time, monotonic: Duration) -> Told {
        let elapsed_ms = monotonic.saturating_sub(self.monotonic).as_millis() as i64;
        let expected = self.time.plus(Span(elapsed_ms));
        if wall < NEVER_SET {
            return Told { time: self.time, unsure: true };
        }
        if wall > expected.plus(STEP) {
            let since = *self.ahead_since.get_or_insert(monotonic);
            let is_far = self.was_set && wall > expected.plus(self.late_horizon);
            if monotonic.saturating_sub(since) < if is_far { LASTING_FAR } else { LASTING } {
                return Told { time: expected, unsure: true };
            }
        }
        self.ahead_since = None;
        self.was_set = true;
        self.time = if wall >= self.time { wall } else { self.time.plus(Span(elapsed_ms / 2)) };
        self.monotonic = monotonic;
        Told { time: self.time, unsure: false }
    }

    /// How far the books are ahead of the clock.
    pub(crate) fn ahead_of(&self, wall: Time) -> Span {
        Span(self.time.since(wall).0.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_800_000_000_000);

    /// Seconds of the monotonic clock, seconds the system's clock shows, and what must be told.
    fn check(timetable: &[(u64, i64, Option<i64>)]) {
        let mut keeper = Timekeeper::new(START, START, Duration::ZERO, Span::days(7));
        for (monotonic, wall, expected) in timetable {
            let told = keeper.tell(Time(START.0 + wall * 1_000), Duration::from_secs(*monotonic));
            let sure = (!told.unsure).then(|| told.time.since(START).0 / 1_000);
            assert_eq!(sure, *expected, "at {monotonic} s, {wall} s shown");
        }
    }

    #[test]
    fn small_corrections_are_followed_and_never_back() {
        check(&[(1, 1, Some(1)), (2, 3, Some(3)), (3, 2, Some(3)), (5, 5, Some(5))]);
    }

    #[test]
    fn a_clock_years_ahead_for_one_moment_changes_nothing() {
        let year = 31_557_600;
        check(&[(1, 1, Some(1)), (2, year, None), (3, year, None), (4, 4, Some(4)), (5, 5, Some(5))]);
    }

    #[test]
    fn a_step_ahead_that_lasts_is_believed() {
        check(&[
            (1, 1, Some(1)),
            (2, 7_202, None),
            (11, 7_211, None),
            (12, 7_212, Some(7_212)),
            (13, 7_213, Some(7_213)),
        ]);
    }

    #[test]
    fn a_step_beyond_the_horizon_must_last_longer() {
        let month = 30 * 86_400;
        check(&[(1, 1, Some(1)), (2, month, None), (100, month + 98, None), (101, 101, Some(101))]);
        check(&[(1, 1, Some(1)), (2, month, None), (901, month + 899, None), (902, month + 900, Some(month + 900))]);
    }

    #[test]
    fn a_clock_that_is_set_for_the_first_time_is_soon_believed() {
        let mut keeper = Timekeeper::new(Time(0), Time(5), Duration::ZERO, Span::days(7));
        let mut told = |seconds: u64, wall| keeper.tell(wall, Duration::from_secs(seconds)).unsure;
        assert!(told(1, Time(1_000)) && told(2, START) && !told(13, START.plus(Span::seconds(11))));
    }

    #[test]
    fn after_a_step_back_time_goes_on_at_half_pace_until_the_clock_is_there() {
        check(&[(10, 10, Some(10)), (20, -580, Some(15)), (220, -380, Some(115)), (1_220, 620, Some(620))]);
    }

    #[test]
    fn a_clock_that_was_never_set_is_waited_for() {
        let mut keeper = Timekeeper::new(START, Time(0), Duration::ZERO, Span::days(7));
        assert!(keeper.tell(Time(5_000), Duration::from_secs(5)).unsure);
        let told = keeper.tell(Time(START.0 + 60_000), Duration::from_secs(6));
        assert_eq!(told, Told { time: Time(START.0 + 60_000), unsure: false });
    }
}
