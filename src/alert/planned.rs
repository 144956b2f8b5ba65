//! What a rule plans, as a line to hold figures against.

use crate::alert::plan::Plan;
use crate::alert::{Kind, Pathway, Period};
use crate::quantity::{Span, Time, Window, Zone};

/// So many parts make a line.
const PARTS: i64 = 32;

impl Kind {
    /// In milligrams: of a budget by the calendar, what is planned up to each of some times of the period that `at` is in; of
    /// a pathway, each year's total at its beginning, from the base year to the target. Of others nothing.
    pub fn planned(&self, zone: &Zone, at: Time) -> Vec<(Time, i128)> {
        match self {
            Kind::Budget(budget) if !matches!(budget.period, Period::Rolling(_)) => {
                let (from, to) = budget.bounds(zone, at);
                let plan = Plan::new(&budget.profile, zone, (from, to));
                let length = to.since(from).0;
                let times = (0..=PARTS).map(|part| from.plus(Span(length * part / PARTS)));
                times.map(|time| (time, plan.part(budget.total, from, time))).collect()
            }
            Kind::Pathway(pathway) => years(pathway, zone),
            _ => Vec::new(),
        }
    }
}

fn years(pathway: &Pathway, zone: &Zone) -> Vec<(Time, i128)> {
    let start = |year: i16| zone.day(year, 1, 1).map(|day| zone.start(Window::Year, day));
    let years = pathway.base.0..=pathway.target.0;
    years.filter_map(|year| Some((start(year)?, pathway.total(year)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Profile, Shape};
    use crate::quantity::Ratio;

    #[test]
    fn a_pathway_has_a_total_a_year() {
        let pathway = Pathway {
            base: (2020, 40),
            target: (2024, 0),
            shape: Shape::Linear,
            profile: Profile::Linear,
            over: Ratio::ONE,
            over_mg: 0,
            clear: Ratio::ONE,
            min_coverage_e4: 0,
        };
        let planned = Kind::Pathway(pathway).planned(&Zone::UTC, Time(0));
        let shown: Vec<String> = planned.iter().map(|(at, mg)| format!("{} {mg}", Zone::UTC.year(*at))).collect();
        assert_eq!(shown, ["2020 40", "2021 30", "2022 20", "2023 10", "2024 0"]);
    }
}
