//! A cluster's way from what it emitted in its base year to what it has promised.

use crate::alert::plan::Plan;
use crate::alert::{Finding, Profile, Seen, Series};
use crate::quantity::{Ratio, Time, Window, Zone};

/// The way between two years.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// The same mass less each year.
    Linear,
    /// The same part less each year; only to a target above nought.
    Geometric,
    /// Totals of some years, even in between.
    Table(Vec<(i16, i128)>),
}

/// The total of each year.
#[derive(Clone, Debug, PartialEq)]
pub struct Pathway {
    /// The base year and its total in milligrams,
    pub base: (i16, i128),
    /// and the same of the target.
    pub target: (i16, i128),
    /// The way in between.
    pub shape: Shape,
    /// How each year is meant to go.
    pub profile: Profile,
    /// An alarm must be over by more than this part of what was planned so far,
    pub over: Ratio,
    /// and by more than this mass in milligrams.
    pub over_mg: i128,
    /// Below this part of a level it is clear of it.
    pub clear: Ratio,
    /// So many ten-thousandths of the meter time must be covered to call it normal.
    pub min_coverage_e4: u32,
}

const OVER: u8 = 3;

impl Pathway {
    /// What may be emitted in a year, in milligrams. Before the base year that of the base, after the target that of the
    /// target.
    pub fn total(&self, year: i16) -> i128 {
        let (first, last) = (self.base, self.target);
        if year <= first.0 {
            return first.1;
        }
        if year >= last.0 {
            return last.1;
        }
        match &self.shape {
            Shape::Linear => between(first, last, year),
            Shape::Geometric => {
                let part = f64::from(year - first.0) / f64::from(last.0 - first.0);
                (first.1 as f64 * (last.1 as f64 / first.1 as f64).powf(part)) as i128
            }
            Shape::Table(points) => {
                let before = points.iter().rev().find(|(at, _)| *at <= year).copied().unwrap_or(first);
                let after = points.iter().find(|(at, _)| *at > year).copied().unwrap_or(last);
                between(before, after, year)
            }
        }
    }

    pub(crate) fn bounds(zone: &Zone, at: Time) -> (Time, Time) {
        zone.around(Window::Year, Time(at.0 - 1))
    }

    /// What is found at `at`. `closed`: late readings aside, no more is to come of the time before.
    pub(crate) fn find(&self, zone: &Zone, plan: &Plan, series: &Series, at: Time, closed: bool) -> Finding {
        let period = Pathway::bounds(zone, at);
        let sum = series.sum(period.0, at);
        let planned = plan.part(self.total(zone.year(period.0)), period.0, at);
        let margin = self.over.of_floor(planned).max(self.over_mg);
        let bound = planned.saturating_add(margin);
        let level = |mg: i128, clear: Ratio| if mg > clear.of_floor(bound) { OVER } else { 0 };
        let surely = sum.surely_mg();
        let (over, held) = (level(surely, Ratio::ONE), level(surely, self.clear));
        let is_firm = level(sum.surely_measured_mg(), Ratio::ONE) >= over;
        match (over, closed) {
            (0, false) => Finding::Hold,
            (0, true) if !sum.is_covered(self.min_coverage_e4) => Finding::Unknown,
            _ => Finding::Seen(Seen { over, held, value: sum.mg, limit: planned, is_firm }),
        }
    }
}

fn between(first: (i16, i128), last: (i16, i128), year: i16) -> i128 {
    let (gone, whole) = (i128::from(year - first.0), i128::from(last.0 - first.0).max(1));
    first.1 + (last.1 - first.1) * gone / whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pathway(shape: Shape) -> Pathway {
        Pathway {
            base: (2020, 1_000),
            target: (2030, 500),
            shape,
            profile: Profile::Linear,
            over: Ratio::new(1, 10).unwrap(),
            over_mg: 20,
            clear: Ratio::ONE,
            min_coverage_e4: 0,
        }
    }

    #[test]
    fn years_lie_on_the_way() {
        let linear = pathway(Shape::Linear);
        assert_eq!([2015, 2020, 2025, 2030, 2050].map(|year| linear.total(year)), [1_000, 1_000, 750, 500, 500]);
        // Half the way is the root of the half: 0.7071.
        assert_eq!(pathway(Shape::Geometric).total(2025), 707);
        let table = pathway(Shape::Table(vec![(2022, 900), (2026, 600)]));
        assert_eq!([2021, 2022, 2024, 2028].map(|year| table.total(year)), [950, 900, 750, 550]);
    }

    #[test]
    fn both_the_part_and_the_mass_must_be_over() {
        let (from, to) = Pathway::bounds(&Zone::UTC, Time::parse_rfc3339("2030-06-01T00:00:00Z").unwrap());
        let plan = Plan::new(&Profile::Linear, &Zone::UTC, (from, to));
        let find = |day: i64, mg| {
            let at = Time(from.0 + day * 86_400_000);
            let mut series = Series::new(from);
            series.push(at, crate::alert::Sum { mg, ..Default::default() });
            match pathway(Shape::Linear).find(&Zone::UTC, &plan, &series, at, true) {
                Finding::Seen(seen) => seen.over,
                _ => u8::MAX,
            }
        };
        // Ten days in, 13 are planned: a tenth more is little mass.
        assert_eq!([find(10, 14), find(10, 33), find(10, 34)], [0, 0, OVER]);
        // At the end, 500 are planned, and 20 more is a small part.
        assert_eq!([find(365, 521), find(365, 550), find(365, 551)], [0, 0, OVER]);
    }
}
