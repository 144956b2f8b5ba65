//! An average over a window against a limit.

use crate::alert::{Finding, Seen, Series, Sum};
use crate::cluster::MeterIx;
use crate::quantity::{Ratio, Span, Time, Window, Zone};

/// Where windows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// One after the other, in local time: half-hours, hours, days.
    Clock,
    /// One that ends at every minute.
    Sliding,
}

/// A limit of an average rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Milligrams a day.
    pub per_day: i128,
    /// Of what time the average is.
    pub average: Span,
    /// Where its windows lie.
    pub align: Align,
    /// Parts of the limit, by level from 1 up; nought: the rule has no such level.
    pub levels: Vec<Ratio>,
    /// Below this part of a level it is clear of it.
    pub clear: Ratio,
    /// So many ten-thousandths of the meter time must be covered to call it normal.
    pub min_coverage_e4: u32,
    /// The level of what will be over at the end of a clock window at the present rate; 0: not looked at.
    pub projected: u8,
    /// The plant's state in which it counts.
    pub gate: Option<Gate>,
    /// Meters of amounts at an instant, which have no rate: they are left out.
    pub events: Vec<MeterIx>,
}

/// A state of the plant: a meter shows more than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The meter.
    pub meter: MeterIx,
    /// Its base units a day.
    pub above_per_day: i128,
}

impl Gate {
    /// Whether the plant was in this state in the minute that ends at `at`, as far as it is measured. `None`: nothing is known.
    pub(crate) fn is_open(&self, series: &Series, at: Time) -> Option<bool> {
        let sum = series.sum(at.minus(Span::minutes(1)), at);
        let measured = i128::from(sum.covered_ms);
        let is_above = sum.mg.saturating_mul(DAY_MS) > self.above_per_day.saturating_mul(measured);
        (sum.covered_ms > 0).then_some(is_above)
    }
}

/// The present rate is that of this time.
const PRESENT: Span = Span::minutes(5);
/// A projection counts from this part above the limit.
const SURE: i128 = 10_000;
const DAY_MS: i128 = 86_400_000;
const HOUR_MS: i128 = 3_600_000;

impl Limit {
    /// The window that `at`, the end of a minute, is in or ends.
    pub fn window(&self, zone: &Zone, at: Time) -> (Time, Time) {
        let last = Time(at.0 - 1);
        match self.align {
            Align::Sliding => (at.minus(self.average), at),
            Align::Clock if self.average >= Span::days(1) => zone.around(Window::Day, last),
            Align::Clock if self.average == Span::minutes(60) => zone.around(Window::Hour, last),
            Align::Clock => {
                // Parts of the local hour.
                let (hour, end) = zone.around(Window::Hour, last);
                let part = last.since(hour).0.div_euclid(self.average.0) * self.average.0;
                let start = Time(hour.0 + part);
                (start, start.plus(self.average).min(end))
            }
        }
    }

    /// What is found at `at`, the end of a minute. `closed`: late readings aside, no more is to come of the time before.
    pub fn find(&self, zone: &Zone, series: &Series, at: Time, closed: bool) -> Finding {
        let (from, to) = self.window(zone, at);
        let sum = series.sum(from, at);
        let length = to.since(from);
        let seen = self.both(sum.mg, sum.soft_mg, (sum.rounded, length));
        let is_settled = at >= to;
        if self.real(seen.over) > 0 {
            return if is_settled { Finding::Seen(seen) } else { Finding::Seen(seen).rising() };
        }
        if at < to {
            return self.project(series, (at, to), sum, length);
        }
        match closed {
            false => Finding::Hold,
            true if sum.is_covered(self.min_coverage_e4) => Finding::Seen(seen),
            true => Finding::Unknown,
        }
    }

    /// Whether an open clock window will be over when it ends.
    fn project(&self, series: &Series, (at, to): (Time, Time), sum: Sum, length: Span) -> Finding {
        let present = series.sum(at.minus(PRESENT), at);
        let is_known = sum.is_covered(self.min_coverage_e4) && present.is_covered(self.min_coverage_e4);
        if self.projected == 0 || !is_known || at.since(to.minus(length)) < PRESENT {
            return Finding::Hold;
        }
        let expected = |of: fn(Sum) -> i128| {
            let rest = of(present).saturating_mul(i128::from(to.since(at).0)) / i128::from(PRESENT.0);
            of(sum).saturating_add(rest)
        };
        let (mg, soft_mg) = (expected(|sum| sum.mg), expected(|sum| sum.soft_mg));
        // What goes to the limit must not be called too much for a rounding, which the rest makes larger.
        let seen = self.both(mg, soft_mg, (mg / SURE, length));
        match self.real(seen.over) {
            0 => Finding::Hold,
            _ => Finding::Seen(Seen { over: self.projected, ..seen }).rising(),
        }
    }

    /// The level, if it is more than a projection.
    fn real(&self, level: u8) -> u8 {
        if level > self.projected { level } else { 0 }
    }

    /// What is seen of all, which is firm if it is as much without what is soft.
    fn both(&self, mg: i128, soft_mg: i128, (slack_mg, length): (i128, Span)) -> Seen {
        let all = self.seen(mg, (slack_mg, length));
        let measured = self.seen(mg - soft_mg.clamp(0, mg.max(0)), (slack_mg, length));
        Seen { is_firm: measured.over >= all.over, ..all }
    }

    /// `slack_mg`: so much may be there by roundings alone.
    fn seen(&self, mg: i128, (slack_mg, length): (i128, Span)) -> Seen {
        let length_ms = i128::from(length.0);
        let full = self.per_day.saturating_mul(length_ms);
        let scaled = mg.saturating_sub(slack_mg).saturating_mul(DAY_MS);
        let highest = |clear: Ratio| {
            let exceeded = |part: &Ratio| {
                let bound = part.times(clear).map(|part| part.of_floor(full));
                part.is_positive() && bound.is_some_and(|bound| scaled > bound)
            };
            self.levels.iter().rposition(exceeded).map_or(0, |at| at as u8 + 1)
        };
        let limit = self.per_day.saturating_mul(HOUR_MS) / DAY_MS;
        let value = mg.saturating_mul(HOUR_MS) / length_ms.max(1);
        Seen { over: highest(Ratio::ONE), held: highest(self.clear), value, limit, is_firm: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KG: i128 = 1_000_000;

    fn limit(average: Span, align: Align) -> Limit {
        let part = |numerator, denominator| Ratio::new(numerator, denominator).unwrap();
        Limit {
            per_day: 24 * 600 * KG,
            average,
            align,
            levels: vec![part(0, 1), part(9, 10), Ratio::ONE],
            clear: part(97, 100),
            min_coverage_e4: 7_500,
            projected: 0,
            gate: None,
            events: Vec::new(),
        }
    }

    /// Minutes of so many kilograms from `start`; -1: nothing is known.
    fn series(start: Time, kg: &[i128]) -> Series {
        let mut series = Series::new(start);
        for (at, kg) in kg.iter().enumerate() {
            let covered_ms = if *kg < 0 { 0 } else { 60_000 };
            let end = Time(start.0 + 60_000 * (at as i64 + 1));
            series.push(end, Sum { mg: (*kg).max(0) * KG, covered_ms, valid_ms: 60_000, ..Sum::default() });
        }
        series
    }

    fn level(finding: Finding) -> Option<u8> {
        finding.seen().map(|seen| seen.over)
    }

    #[test]
    fn a_sliding_average() {
        let rule = limit(Span::minutes(5), Align::Sliding);
        let series = series(Time(0), &[10, 10, 10, 10, 10, 11, 9, 9, 9, 9, 0, 0, -1, -1, -1, 60, -1]);
        let find = |minute: i64, closed| rule.find(&Zone::UTC, &series, Time(minute * 60_000), closed);
        // 50 kg in five minutes is 600 kg/h: at the limit, not over it.
        assert_eq!(level(find(5, true)), Some(2));
        assert_eq!(level(find(6, true)), Some(3));
        assert_eq!(level(find(10, true)), Some(2));
        assert_eq!(level(find(12, true)), Some(0));
        assert_eq!(find(12, false), Finding::Hold);
        assert_eq!(find(14, true), Finding::Unknown);
        // What was measured is over, however little that is.
        assert_eq!(level(find(16, false)), Some(3));
        let Finding::Seen(seen) = find(16, true) else { panic!("over") };
        assert_eq!((seen.value, seen.limit), (720 * KG, 600 * KG));
    }

    #[test]
    fn clock_windows_are_of_the_local_day() {
        let zone = Zone::parse("Europe/Paris").unwrap();
        let rule = limit(Span::days(1), Align::Clock);
        // The clock goes forward: a day of 23 hours.
        let at = Time::parse_rfc3339("2026-03-29T12:00:00Z").unwrap();
        let (from, to) = rule.window(&zone, at);
        assert_eq!((from.to_string(), to.to_string()), ("2026-03-28T23:00:00Z".into(), "2026-03-29T22:00:00Z".into()));
        let half = limit(Span::minutes(30), Align::Clock);
        let zone = Zone::parse("Asia/Kathmandu").unwrap();
        let (from, to) = half.window(&zone, Time::parse_rfc3339("2026-01-01T00:20:00Z").unwrap());
        // 05:45 there.
        assert_eq!((from.to_string(), to.to_string()), ("2026-01-01T00:15:00Z".into(), "2026-01-01T00:45:00Z".into()));
    }

    #[test]
    fn an_open_window_is_over_as_soon_as_it_is() {
        let rule = limit(Span::minutes(15), Align::Clock);
        let series = series(Time(0), &[50, 50, 40, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let find = |minute: i64| rule.find(&Zone::UTC, &series, Time(minute * 60_000), true);
        // 150 kg in a quarter-hour is 600 kg/h.
        assert_eq!(level(find(3)), Some(2));
        assert_eq!(find(1), Finding::Hold);
        assert_eq!(level(find(4)), Some(2));
        assert_eq!(level(find(15)), Some(2));
    }

    #[test]
    fn an_overrun_is_seen_coming() {
        let rule = Limit { projected: 1, ..limit(Span::minutes(15), Align::Clock) };
        let series = series(Time(0), &[11; 15]);
        let find = |minute: i64| rule.find(&Zone::UTC, &series, Time(minute * 60_000), true);
        assert_eq!(find(4), Finding::Hold);
        let Some(seen) = find(5).seen() else { panic!("it is projected") };
        assert_eq!((seen.over, seen.value), (1, 660 * KG));
        assert_eq!(level(find(14)), Some(3));
    }
}
