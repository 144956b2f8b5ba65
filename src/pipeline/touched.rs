//! What a plan books differently from the one that the closed figures follow, and when.

use std::collections::BTreeMap;

use crate::cluster::{Entity, FacilityIx, Level, MeterIx};
use crate::pipeline::{Booked, Course, Rules, between, booked, differences};
use crate::quantity::Time;

/// What is to be worked out again, and when.
#[derive(Debug, Default)]
pub struct Touched {
    /// The meters whose own figures are others.
    pub meters: BTreeMap<MeterIx, Vec<(Time, Time)>>,
    /// The facilities that have to be added up.
    pub facilities: BTreeMap<FacilityIx, Vec<(Time, Time)>>,
}

/// Two plans, compared.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What differs.
    pub touched: Touched,
    /// How the meters that differ are booked until it is all worked out: where they differ, by neither plan.
    pub on_the_way: Vec<(MeterIx, Booked)>,
    /// Of some meters the closed figures say nothing.
    pub has_unknown: bool,
}

impl Touched {
    /// Nothing is.
    pub fn is_empty(&self) -> bool {
        self.meters.is_empty() && self.facilities.is_empty()
    }

    /// A meter, and every facility that hangs on it.
    pub fn add(&mut self, rules: &Rules, ix: MeterIx, ranges: &[(Time, Time)]) {
        self.meters.entry(ix).or_default().extend_from_slice(ranges);
        for facility in rules.accounts.affected(ix) {
            self.facilities.entry(*facility).or_default().extend_from_slice(ranges);
        }
    }

    /// Facilities by their ids; those that are not declared any more keep their figures.
    fn add_facilities(&mut self, rules: &Rules, ids: &[String], ranges: &[(Time, Time)]) {
        for id in ids {
            if let Some(Entity::Facility(facility)) = rules.topology.find(Level::Facility, id) {
                self.facilities.entry(facility).or_default().extend_from_slice(ranges);
            }
        }
    }
}

impl Comparison {
    /// Compares the rules with how each meter is booked in the closed figures. `gone` are meters without readings of their own
    /// that are declared no more.
    pub fn of<E>(
        rules: &Rules,
        before: impl Fn(MeterIx) -> Result<Option<Booked>, E>,
        gone: &[(String, Booked)],
    ) -> Result<Comparison, E> {
        let mut comparison = Comparison::default();
        let (mut has_known, mut unknown) = (false, Vec::new());
        for ix in (0..rules.topology.meters.len() as u32).map(MeterIx) {
            let now = booked(rules, ix);
            match before(ix)? {
                Some(before) => {
                    has_known = true;
                    comparison.compare(rules, ix, (&before, &now));
                }
                None => unknown.push((ix, now)),
            }
        }
        comparison.has_unknown = !unknown.is_empty();
        for (ix, now) in unknown.iter().filter(|(_, now)| has_known && now.is_derived) {
            // A new sum of meters that are in the books already.
            let nothing = Booked { course: Course::new(), ..now.clone() };
            comparison.compare(rules, *ix, (&nothing, now));
        }
        for (_, before) in gone {
            comparison.touched.add_facilities(rules, &before.facilities, &[(Time::MIN, Time::MAX)]);
        }
        Ok(comparison)
    }

    /// Who hung on a meter before hangs on the change as well.
    fn compare(&mut self, rules: &Rules, ix: MeterIx, (before, now): (&Booked, &Booked)) {
        let ranges = differences(&before.course, &now.course);
        if ranges.is_empty() {
            return;
        }
        self.touched.add(rules, ix, &ranges);
        self.touched.add_facilities(rules, &before.facilities, &ranges);
        let mut facilities = [before.facilities.clone(), now.facilities.clone()].concat();
        facilities.sort_unstable();
        facilities.dedup();
        let course = between(&before.course, &now.course);
        self.on_the_way.push((ix, Booked { course, facilities, is_derived: now.is_derived }));
    }
}

/// Overlapping times become one.
pub fn merge(ranges: &mut Vec<(Time, Time)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let joins = next.0 <= last.1;
        if joins {
            last.1 = last.1.max(next.1);
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_times_become_one() {
        let mut ranges = [(5, 9), (1, 3), (2, 4), (20, 30)].map(|(from, to)| (Time(from), Time(to))).to_vec();
        merge(&mut ranges);
        assert_eq!(ranges, [(1, 4), (5, 9), (20, 30)].map(|(from, to)| (Time(from), Time(to))));
    }
}
