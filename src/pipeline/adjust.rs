//! Amounts that an operator set: a late invoice, a result of the laboratory, validated data of a supplier. They stand
//! instead of what was read, spread evenly, for as long as the ledger; of several the last one stands.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::MeterIx;
use crate::quantity::Quarter;
use crate::window::{Activity, Minute};

/// The amount of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// From this quarter,
    pub from: Quarter,
    /// to this one, exclusive.
    pub to: Quarter,
    /// In base units.
    pub amount: i64,
}

/// All that were made, by meter, in the order in which they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjustments {
    meters: BTreeMap<MeterIx, Vec<Adjusted>>,
}

impl Adjusted {
    /// The part of one quarter, by cumulative floor.
    fn part(&self, quarter: Quarter) -> i64 {
        let whole = i128::from(self.to.0) - i128::from(self.from.0);
        let upto = |end: i32| (i128::from(self.amount) * (i128::from(end) - i128::from(self.from.0))).div_euclid(whole);
        i64::try_from(upto(quarter.0 + 1) - upto(quarter.0)).unwrap_or(i64::MAX)
    }

    fn activity(&self, quarter: Quarter) -> Activity {
        let amount = self.part(quarter);
        let mut activity = Activity::default();
        // What was used is known, and not when.
        let minute = Minute { amount, interpolated: amount, covered_ms: 900_000, events: 0 };
        activity.add(Activity::WHOLE, minute);
        activity.mark_adjusted();
        activity
    }
}

impl Adjustments {
    /// Adds one; it stands before earlier ones.
    pub fn note(&mut self, meter: MeterIx, adjusted: Adjusted) {
        self.meters.entry(meter).or_default().push(adjusted);
    }

    /// The activity of a quarter as it stands.
    pub fn of<'a>(&self, meter: MeterIx, quarter: Quarter, read: Option<&'a Activity>) -> Option<Cow<'a, Activity>> {
        match self.find(meter, quarter) {
            Some(adjusted) => Some(Cow::Owned(adjusted.activity(quarter))),
            None => read.map(Cow::Borrowed),
        }
    }

    fn find(&self, meter: MeterIx, quarter: Quarter) -> Option<&Adjusted> {
        let mine = self.meters.get(&meter)?;
        mine.iter().rev().find(|adjusted| (adjusted.from..adjusted.to).contains(&quarter))
    }

    /// Adds the quarters of `[from, to)` whose amount was set.
    pub fn quarters(&self, meter: MeterIx, (from, to): (Quarter, Quarter), quarters: &mut BTreeSet<Quarter>) {
        for adjusted in self.meters.get(&meter).into_iter().flatten() {
            quarters.extend((adjusted.from.0.max(from.0)..adjusted.to.0.min(to.0)).map(Quarter));
        }
    }

    /// Puts into a list of a meter's quarters what was set in `[from, to)`.
    pub fn apply(
        &self,
        meter: MeterIx,
        (from, to): (Quarter, Quarter),
        quarters: &mut BTreeMap<Quarter, (Activity, u32)>,
    ) {
        for adjusted in self.meters.get(&meter).into_iter().flatten() {
            for at in adjusted.from.0.max(from.0)..adjusted.to.0.min(to.0) {
                let (activity, revision) = quarters.entry(Quarter(at)).or_insert((Activity::default(), 1));
                (*activity, *revision) = (adjusted.activity(Quarter(at)), *revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up_and_the_last_one_stands() {
        let mut adjustments = Adjustments::default();
        adjustments.note(MeterIx(0), Adjusted { from: Quarter(0), to: Quarter(7), amount: 100 });
        adjustments.note(MeterIx(0), Adjusted { from: Quarter(6), to: Quarter(8), amount: 5 });
        let amount = |at| adjustments.of(MeterIx(0), Quarter(at), None).map(|a| a.total().amount);
        assert_eq!((0..6).filter_map(amount).sum::<i64>(), 85);
        assert_eq!((amount(6), amount(7), amount(8)), (Some(2), Some(3), None));
    }
}
