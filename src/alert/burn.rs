//! How quickly the headroom above a plan is used up. An emission budget is meant to be spent, so it is not its spending that
//! is watched, but what goes beyond the plan: burn = (emitted - planned) / (headroom x window / period). At 1 the headroom
//! lasts for the period; at 14.4 it is gone in a fourteenth of it. A long window says that it matters, a short one beside it
//! that it still goes on.

use crate::alert::plan::Plan;
use crate::alert::{Finding, Profile, Seen, Series};
use crate::quantity::{Ratio, Span, Time, Window, Zone};

/// A pace at which the headroom goes, over two windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Times as quick as the period allows.
    pub factor: Ratio,
    /// The long window,
    pub long: Span,
    /// and the short one.
    pub short: Span,
    /// The level of the alarm.
    pub level: u8,
}

/// A budget's headroom, and the paces that are looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Burn {
    /// Milligrams a period, of which the headroom is a part.
    pub total: i128,
    /// What may be emitted above the plan in a period, in milligrams.
    pub headroom: i128,
    /// A local month or year.
    pub period: Window,
    /// How the budget is meant to be spent.
    pub profile: Profile,
    /// The paces, of rising level.
    pub paces: Vec<Pace>,
    /// Below this part of a pace it is clear of it.
    pub clear: Ratio,
    /// So many ten-thousandths of the meter time must be covered to call it normal.
    pub min_coverage_e4: u32,
}

/// What was emitted in a time above its plan, in milligrams.
struct Burnt {
    /// All of it.
    above: i128,
    /// What of it is measured.
    measured: i128,
    /// What is allowed at the pace of the period.
    allowed: i128,
    /// Enough was measured.
    is_covered: bool,
}

impl Burn {
    /// The usual paces of a month or a year: 14.4 and 6 call somebody, 1 can wait. No short window is shorter than four
    /// readings of the slowest meter.
    pub fn usual(period: Window, slowest: Span) -> Vec<Pace> {
        let hours = match period {
            Window::Year => [(12, 60), (72, 360), (36 * 24, 3 * 1_440)],
            _ => [(1, 5), (6, 30), (72, 360)],
        };
        let factors = [(Ratio::new(144, 10), 3), (Ratio::new(6, 1), 3), (Ratio::new(1, 1), 2)];
        let least = Span(slowest.0.saturating_mul(4));
        let pace = |((long, short), (factor, level)): ((i64, i64), (Option<Ratio>, u8))| {
            let short = Span::minutes(short).max(least);
            Pace { factor: factor.unwrap_or(Ratio::ONE), long: Span::minutes(60 * long).max(short), short, level }
        };
        hours.into_iter().zip(factors).map(pace).collect()
    }

    pub(crate) fn bounds(&self, zone: &Zone, at: Time) -> (Time, Time) {
        zone.around(self.period, Time(at.0 - 1))
    }

    /// What is found at `at`. `closed`: late readings aside, no more is to come of the time before.
    pub(crate) fn find(&self, plans: &[((Time, Time), Plan)], series: &Series, at: Time, closed: bool) -> Finding {
        let mut seen = Seen { over: 0, held: 0, value: 0, limit: 0, is_firm: true };
        let mut is_covered = true;
        for pace in &self.paces {
            let (long, short) = (self.burn(plans, series, (at, pace.long)), self.burn(plans, series, (at, pace.short)));
            is_covered &= long.is_covered && short.is_covered;
            let exceeds = |clear: Ratio, of: fn(&Burnt) -> i128| {
                let exceeds = |burnt: &Burnt| {
                    pace.factor.times(clear).is_some_and(|factor| of(burnt) > factor.of_floor(burnt.allowed))
                };
                exceeds(&long) && exceeds(&short)
            };
            if exceeds(Ratio::ONE, |burnt| burnt.above) && pace.level > seen.over {
                let (value, limit) = (long.above, pace.factor.of_floor(long.allowed));
                let is_firm = exceeds(Ratio::ONE, |burnt| burnt.measured);
                seen = Seen { over: pace.level, value, limit, is_firm, ..seen };
            }
            if exceeds(self.clear, |burnt| burnt.above) {
                seen.held = seen.held.max(pace.level);
            }
        }
        match (seen.over, closed, is_covered) {
            (0, false, _) => Finding::Hold,
            (0, true, false) => Finding::Unknown,
            _ => Finding::Seen(seen),
        }
    }

    /// What was emitted above the plan in the time that ends at `at`.
    fn burn(&self, plans: &[((Time, Time), Plan)], series: &Series, (at, length): (Time, Span)) -> Burnt {
        let from = at.minus(length);
        let sum = series.sum(from, at);
        let (mut planned, mut allowed) = (0i128, 0i128);
        for ((start, end), plan) in plans {
            let (from, to) = (from.max(*start), at.min(*end));
            if from < to {
                planned += plan.part(self.total, from, to);
                let (part, whole) = (i128::from(to.since(from).0), i128::from(end.since(*start).0).max(1));
                allowed += self.headroom.saturating_mul(part) / whole;
            }
        }
        Burnt {
            above: sum.surely_mg() - planned,
            measured: sum.surely_measured_mg() - planned,
            allowed,
            is_covered: sum.is_covered(self.min_coverage_e4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Sum;

    const TONNE: i128 = 1_000_000_000;

    /// The highest level after half a month of plan, and then so many hours of so many tonnes.
    fn level(hours: i64, tonnes: i128) -> Option<u8> {
        let from = Time::parse_rfc3339("2026-04-01T00:00:00Z").unwrap();
        // 720 t in 720 h, and 36 t above it: a twentieth.
        let burn = Burn {
            total: 720 * TONNE,
            headroom: 36 * TONNE,
            period: Window::Month,
            profile: Profile::Linear,
            paces: Burn::usual(Window::Month, Span::minutes(1)),
            clear: Ratio::ONE,
            min_coverage_e4: 0,
        };
        let period = burn.bounds(&Zone::UTC, Time(from.0 + 1));
        let plans = [(period, Plan::new(&Profile::Linear, &Zone::UTC, period))];
        let mut series = Series::new(from);
        let minutes = (360 + hours) * 60;
        for minute in 1..=minutes {
            let mg = if minute > 360 * 60 { tonnes * TONNE / 600 } else { TONNE / 60 };
            series.push(Time(from.0 + minute * 60_000), Sum { mg, ..Sum::default() });
        }
        match burn.find(&plans, &series, Time(from.0 + minutes * 60_000), true) {
            Finding::Seen(seen) => Some(seen.over),
            _ => None,
        }
    }

    /// The headroom of an hour is 0.05 t. Paces of 14.4, 6 and 1 are 1.72, 1.30 and 1.05 t/h; here in tenths of a tonne.
    #[test]
    fn headroom_burns_by_the_hour() {
        assert_eq!([level(1, 17), level(1, 18)], [Some(0), Some(3)]);
        assert_eq!([level(6, 13), level(6, 14)], [Some(0), Some(3)]);
        assert_eq!([level(72, 10), level(72, 11)], [Some(0), Some(2)]);
        // Half a day a tenth above is not yet three days.
        assert_eq!(level(30, 11), Some(0));
    }

    /// A year of 8760 t whose January weighs twice: thirteen parts, two of them in January's 744 h, 1.8114 t/h. The headroom
    /// of 438 t is 0.05 t/h. Over 12 h and 1 h the pace of 14.4 is 0.72 t/h above the plan, so 2.5314 t/h; 6 over 3 d and 6 h
    /// are 0.3 t/h, 2.1114 t/h; once over 36 d is not reached within January.
    #[test]
    fn a_winter_month_has_more_to_burn() {
        let from = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let mut weights = [1; 12];
        weights[0] = 2;
        let of = |profile: Profile, hours: i64, kilograms: i128| {
            let burn = Burn {
                total: 8_760 * TONNE,
                headroom: 438 * TONNE,
                period: Window::Year,
                profile: profile.clone(),
                paces: Burn::usual(Window::Year, Span::minutes(1)),
                clear: Ratio::ONE,
                min_coverage_e4: 0,
            };
            let period = burn.bounds(&Zone::UTC, Time(from.0 + 1));
            let plans = [(period, Plan::new(&profile, &Zone::UTC, period))];
            let mut series = Series::new(from);
            let at = |quarter: i64| Time(from.0 + quarter * 900_000);
            // Twenty days to plan, and then these hours.
            for quarter in 1..=(480 + hours) * 4 {
                let to_plan = plans[0].1.part(burn.total, at(quarter - 1), at(quarter));
                let mg = if quarter > 480 * 4 { kilograms * TONNE / 4_000 } else { to_plan };
                series.push(at(quarter), Sum { mg, ..Sum::default() });
            }
            match burn.find(&plans, &series, at((480 + hours) * 4), true) {
                Finding::Seen(seen) => seen.over,
                _ => 9,
            }
        };
        let winter = || Profile::Months(weights);
        assert_eq!([of(winter(), 12, 2_531), of(winter(), 12, 2_532)], [0, 3]);
        assert_eq!([of(winter(), 72, 2_111), of(winter(), 72, 2_112)], [0, 3]);
        // Even, the plan is 1 t/h, and what is to plan in winter is far above it.
        assert_eq!(
            [of(Profile::Linear, 72, 1_300), of(Profile::Linear, 72, 1_301), of(Profile::Linear, 72, 1_811)],
            [0, 3, 3]
        );
        assert_eq!(of(winter(), 72, 1_811), 0);
    }
}
