//! A total over a period against what may be emitted in it: where it stands against the plan, and when it runs out.

use crate::alert::plan::Plan;
use crate::alert::{Finding, Profile, Seen, Series};
use crate::quantity::{Ratio, Span, Time, Window, Zone};

/// For what time a budget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A local day, month or year.
    Calendar(Window),
    /// A local week, from Monday.
    Week,
    /// Three local months.
    Quarter,
    /// What lies behind, at any time.
    Rolling(Span),
}

impl Period {
    /// The most days that it has.
    pub fn most_days(self) -> i128 {
        match self {
            Period::Calendar(Window::Year) => 366,
            Period::Calendar(Window::Month) => 31,
            // One of 25 hours.
            Period::Calendar(_) => 2,
            Period::Week => 8,
            Period::Quarter => 93,
            Period::Rolling(length) => i128::from(length.0) / i128::from(Span::days(1).0) + 1,
        }
    }
}

/// A budget, and the plan for spending it.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Milligrams a period.
    pub total: i128,
    /// The period.
    pub period: Period,
    /// How it is meant to be spent.
    pub profile: Profile,
    /// Ahead of the plan by this part of the budget is a warning.
    pub margin: Ratio,
    /// Below this part of a level it is clear of it.
    pub clear: Ratio,
    /// So many ten-thousandths of the meter time must be covered to call it normal.
    pub min_coverage_e4: u32,
}

/// Will be used up before the period ends.
const PROJECTED: u8 = 1;
/// Ahead of the plan.
const AHEAD: u8 = 2;
/// Used up.
const OVER: u8 = 3;
/// The pace is that of this time, from the beginning of its first day.
const TRAILING: Span = Span::days(28);
/// A pace is within these parts of the plan.
const PACE: (f64, f64) = (0.5, 2.0);

/// What goes to plan must not be called too much for a rounding: a forecast counts from this part above the budget.
const SURE: i128 = 100;

/// When a budget runs out at the present pace.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// When.
    pub at: Time,
    /// Emitted so far, in milligrams.
    pub used: i128,
    /// Planned so far.
    pub planned: i128,
    /// How much of the plan is emitted, of late; drawn to 1 early in the period.
    pub pace: f64,
    /// What the period will have held, in milligrams.
    pub total: i128,
    /// When the budget is used up. `None`: not within the period.
    pub runs_out: Option<Time>,
    /// The same at a slower and a quicker pace, by the spread of the days.
    pub range: (Option<Time>, Option<Time>),
    /// By what part the rest of the plan must change to hold the budget: -0.17 is 17 % less than at this pace. `None`: it is
    /// used up.
    pub needed: Option<f64>,
}

impl Budget {
    /// The period that `at` ends in, exclusive of its start.
    pub fn bounds(&self, zone: &Zone, at: Time) -> (Time, Time) {
        let last = Time(at.0 - 1);
        let months = |count: usize| {
            let start = zone.start(Window::Month, last);
            let into = zone.month(start) % count;
            let from = (0..into).fold(start, |from, _| zone.start(Window::Month, Time(from.0 - 1)));
            let to = (0..count).fold(from, |to, _| zone.end(Window::Month, to));
            (from, to)
        };
        match self.period {
            Period::Calendar(window) => zone.around(window, last),
            Period::Week => {
                let day = zone.start(Window::Day, last);
                let into = zone.hour_of_week(day) / 24;
                let from = (0..into).fold(day, |from, _| zone.start(Window::Day, Time(from.0 - 1)));
                (from, (0..7).fold(from, |to, _| zone.end(Window::Day, to)))
            }
            Period::Quarter => months(3),
            Period::Rolling(length) => (at.minus(length), at),
        }
    }

    /// What is found at `at`. `closed`: late readings aside, no more is to come of the time before.
    pub(crate) fn find(&self, zone: &Zone, plan: &Plan, series: &Series, at: Time, closed: bool) -> Finding {
        let period = self.bounds(zone, at);
        let sum = series.sum(period.0, at);
        let planned = plan.part(self.total, period.0, at);
        let ahead = planned.saturating_add(self.margin.of_floor(self.total));
        let level = |mg: i128, clear: Ratio| match mg {
            mg if mg > clear.of_floor(self.total) => OVER,
            mg if !self.is_rolling() && mg > clear.of_floor(ahead) => AHEAD,
            _ => 0,
        };
        let surely = sum.surely_mg();
        let (mut over, mut held) = (level(surely, Ratio::ONE), level(surely, self.clear));
        let is_firm = level(sum.surely_measured_mg(), Ratio::ONE) >= over;
        let is_covered = sum.is_covered(self.min_coverage_e4);
        if over == 0 && (!closed || !is_covered) {
            return if closed { Finding::Unknown } else { Finding::Hold };
        }
        if over < AHEAD && !self.is_rolling() && self.is_looked_at(period, at) {
            let total = self.expected(zone, plan, series, at).1;
            let surely = self.total.saturating_add(self.total / SURE);
            over = over.max(if total > surely { PROJECTED } else { 0 });
            held = held.max(if total > self.total { PROJECTED } else { 0 });
        }
        Finding::Seen(Seen { over, held, value: sum.mg, limit: self.total, is_firm })
    }

    fn is_rolling(&self) -> bool {
        matches!(self.period, Period::Rolling(_))
    }

    /// A tenth of the period says something of the rest.
    fn is_looked_at(&self, (from, to): (Time, Time), at: Time) -> bool {
        at.since(from).0.saturating_mul(10) >= to.since(from).0 && at < to
    }

    /// How the period goes on at the present pace: what is planned for the rest of it, times the part of the plan that was
    /// emitted in the last 28 days of it, or since it began.
    pub fn forecast(&self, zone: &Zone, series: &Series, at: Time) -> Forecast {
        let (from, to) = self.bounds(zone, at);
        let plan = &Plan::new(&self.profile, zone, (from, to));
        let (pace, total) = self.expected(zone, plan, series, at);
        let (used, rest) = (series.sum(from, at).mg, plan.part(self.total, at, to));
        let left = self.total - used;
        let runs_out = |pace: f64| {
            if left < 0 {
                return None;
            }
            plan.reaches(self.total, at, (left as f64 / pace) as i128 + 1)
        };
        let spread = self.spread(zone, series, plan, (trailing(zone, from, at), at));
        let bounded = |pace: f64| pace.clamp(PACE.0, PACE.1);
        Forecast {
            at,
            used,
            planned: plan.part(self.total, from, at),
            pace,
            total,
            runs_out: runs_out(pace),
            range: (runs_out(bounded(pace - spread)), runs_out(bounded(pace + spread))),
            needed: (left >= 0 && rest > 0).then(|| left as f64 / (rest as f64 * pace) - 1.0),
        }
    }

    /// The present pace, and what the period will have held at it.
    fn expected(&self, zone: &Zone, plan: &Plan, series: &Series, at: Time) -> (f64, i128) {
        let (from, to) = self.bounds(zone, at);
        let pace = self.pace(series, plan, (trailing(zone, from, at), at));
        let pace = shrunk(pace, at.since(from), to.since(from));
        let rest = plan.part(self.total, at, to) as f64 * pace;
        (pace, series.sum(from, at).mg.saturating_add(rest as i128))
    }

    fn pace(&self, series: &Series, plan: &Plan, (from, to): (Time, Time)) -> Option<f64> {
        let planned = plan.part(self.total, from, to);
        (planned > 0).then(|| series.sum(from, to).mg as f64 / planned as f64)
    }

    /// The standard deviation of the days' paces; of fewer than three whole days, nought.
    fn spread(&self, zone: &Zone, series: &Series, plan: &Plan, (from, to): (Time, Time)) -> f64 {
        let mut paces = Vec::new();
        let mut day = zone.start(Window::Day, from);
        while zone.end(Window::Day, day) <= to {
            let end = zone.end(Window::Day, day);
            paces.extend(if day < from { None } else { self.pace(series, plan, (day, end)) });
            day = end;
        }
        if paces.len() < 3 {
            return 0.0;
        }
        let count = paces.len() as f64;
        let mean = paces.iter().sum::<f64>() / count;
        (paces.iter().map(|pace| (pace - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
    }
}

/// From when on the pace is looked at.
fn trailing(zone: &Zone, from: Time, at: Time) -> Time {
    zone.start(Window::Day, at.minus(TRAILING)).max(from)
}

/// Early in a period little is known of its pace: a thirtieth of the period counts as gone to plan.
fn shrunk(pace: Option<f64>, gone: Span, whole: Span) -> f64 {
    let (gone, sure) = (gone.0 as f64, whole.0 as f64 / 30.0);
    let pace = pace.unwrap_or(1.0);
    ((pace * gone + sure) / (gone + sure)).clamp(PACE.0, PACE.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Sum;

    const TONNE: i128 = 1_000_000_000;

    fn time(text: &str) -> Time {
        Time::parse_rfc3339(text).unwrap()
    }

    fn budget(tonnes: i128, period: Period, profile: Profile) -> Budget {
        let margin = Ratio::new(1, 20).unwrap();
        Budget { total: tonnes * TONNE, period, profile, margin, clear: Ratio::ONE, min_coverage_e4: 0 }
    }

    /// Days of so many tonnes each.
    fn days(from: Time, tonnes: &[i128]) -> Series {
        let mut series = Series::new(from);
        for (at, tonnes) in (1..).zip(tonnes) {
            series.push(Time(from.0 + at * 86_400_000), Sum { mg: tonnes * TONNE, ..Sum::default() });
        }
        series
    }

    fn about(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    /// 300 t in April are 10 t a day. Ten days of 15 t: a pace of 1.5, drawn by one day of 1 to 16 / 11. What is left, 150 t, is
    /// gone after 150 / (10 x 16 / 11) = 10.3125 days.
    #[test]
    fn a_month_runs_out() {
        let from = time("2026-04-01T00:00:00Z");
        let at = time("2026-04-11T00:00:00Z");
        let april = budget(300, Period::Calendar(Window::Month), Profile::Linear);
        let forecast = april.forecast(&Zone::UTC, &days(from, &[15; 10]), at);
        assert_eq!((forecast.used, forecast.planned), (150 * TONNE, 100 * TONNE));
        about(forecast.pace, 16.0 / 11.0);
        about(forecast.total as f64 / TONNE as f64, 150.0 + 200.0 * 16.0 / 11.0);
        let out = Time(at.0 + (10.3125 * 86_400_000.0) as i64);
        assert!(forecast.runs_out.unwrap().since(out).0.abs() <= 1, "{:?}", forecast.runs_out);
        // All days are alike.
        assert_eq!(forecast.range, (forecast.runs_out, forecast.runs_out));
        about(forecast.needed.unwrap(), 150.0 / (200.0 * 16.0 / 11.0) - 1.0);
        // To plan, it does not run out.
        let forecast = april.forecast(&Zone::UTC, &days(from, &[10; 10]), at);
        assert_eq!((forecast.total, forecast.runs_out), (300 * TONNE, None));
        about(forecast.needed.unwrap(), 0.0);
    }

    /// Days of 14 and 16 t have a mean pace of 1.5 and a standard deviation of 0.1 x the root of 10 / 9.
    #[test]
    fn days_that_differ_make_a_range() {
        let from = time("2026-04-01T00:00:00Z");
        let at = time("2026-04-11T00:00:00Z");
        let april = budget(300, Period::Calendar(Window::Month), Profile::Linear);
        let series = days(from, &[14, 16, 14, 16, 14, 16, 14, 16, 14, 16]);
        let forecast = april.forecast(&Zone::UTC, &series, at);
        let spread = 0.1 * (10.0f64 / 9.0).sqrt();
        let after = |pace: f64| at.0 as f64 + 150.0 / (10.0 * pace) * 86_400_000.0;
        let (later, sooner) = (forecast.range.0.unwrap().0 as f64, forecast.range.1.unwrap().0 as f64);
        assert!(
            (later - after(16.0 / 11.0 - spread)).abs() < 2.0 && (sooner - after(16.0 / 11.0 + spread)).abs() < 2.0
        );
    }

    /// A year whose winter months weigh twice: to plan in January is twice an even share, and no overrun.
    #[test]
    fn a_year_follows_its_seasons() {
        let (from, at) = (time("2026-01-01T00:00:00Z"), time("2026-02-01T00:00:00Z"));
        let mut weights = [1; 12];
        (weights[0], weights[1], weights[10], weights[11]) = (2, 2, 2, 2);
        let year = |profile| budget(1_600, Period::Calendar(Window::Year), profile);
        // 200 t of 1600 in January; 31 days.
        let mut series = Series::new(from);
        (1..=31i64).for_each(|day| {
            let sum = Sum { mg: 200 * TONNE / 31, ..Sum::default() };
            series.push(Time(from.0 + day * 86_400_000), sum);
        });
        let seasons = year(Profile::Months(weights)).forecast(&Zone::UTC, &series, at);
        about(seasons.pace, 1.0);
        assert_eq!(seasons.runs_out, None);
        // Even, 135.9 t were planned: a pace of 1.4718, drawn to 1 by a thirtieth of the year.
        let even = year(Profile::Linear).forecast(&Zone::UTC, &series, at);
        let (gone, sure) = (31.0, 365.0 / 30.0);
        about(even.pace, (200.0 / (1_600.0 * 31.0 / 365.0) * gone + sure) / (gone + sure));
        let left = 1_400.0 / (1_600.0 / 365.0 * even.pace);
        assert!((even.runs_out.unwrap().since(at).0 as f64 / 86_400_000.0 - left).abs() < 1e-6);
    }
}
