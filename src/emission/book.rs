//! What was worked out for a meter's quarter, spread over its minutes and added to what it counts in.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::emission::property::Values;
use crate::emission::{Column, Flag, SourceKey, Tally};
use crate::factor::Gas;
use crate::quantity::Ratio;
use crate::window::{Activity, Minute};

/// The fifteen minutes of a quarter, and last what has none.
pub type Parts = [Tally; 16];

/// The emissions of a facility in one clock quarter, minute by minute: the leaf of every rollup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// As the facility counts.
    pub own: Parts,
    /// As its cluster counts it, where that differs: without what was bought from another member.
    pub cluster: Option<Box<Parts>>,
    /// As its network counts it, where that differs: in its GWP set, and without what was bought inside.
    pub network: Option<Box<Parts>>,
    /// Of some of it only the quarter's sum is left: its minutes stay as they were booked.
    pub packed: bool,
}

/// One mass, rounded once.
#[derive(Clone, Debug, PartialEq)]
pub struct Posting {
    /// Where it goes.
    pub column: Column,
    /// The amount it follows from, in base units: the whole quarter's, or the part under a contract.
    pub amount: i128,
    /// What the amount was multiplied with.
    pub ratio: Ratio,
    /// The potential in that, in the cluster's set.
    pub potential: Ratio,
    /// The mass in the cluster's GWP set,
    pub mg: i128,
    /// and in the network's.
    pub network_mg: i128,
    /// The factor is of another year.
    pub provisional: bool,
    /// The row of the factor, or how else it is computed.
    pub row: Arc<str>,
    /// The contract that the amount is under, by its index.
    pub contract: Option<usize>,
    /// The gas.
    pub gas: Gas,
    /// The error of the factor, in millionths.
    pub error: Option<(SourceKey, i64)>,
}

/// Everything worked out for one meter, or one facility's part of a shared one, in one quarter.
#[derive(Clone, Debug)]
pub struct Booking<'a> {
    /// The meter.
    pub meter: MeterIx,
    /// Whose part of a shared meter it is.
    pub facility: Option<FacilityIx>,
    /// What it is booked as.
    pub category: Category,
    /// The amounts.
    pub activity: Cow<'a, Activity>,
    /// The masses.
    pub postings: Vec<Posting>,
    /// What must be known about them.
    pub flags: Vec<Flag>,
    /// The properties used.
    pub values: Values,
    /// The time of the meter counts as covered: it is no event, and what was measured could be computed.
    pub covers_time: bool,
    /// The masses rest on a value that stood in for another.
    pub substituted: bool,
    /// The errors of the meters that its amount is measured by, in millionths of all its masses.
    pub errors: Vec<(SourceKey, i64)>,
}

/// Which of a posting's two masses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gwp {
    Own,
    Network,
}

impl Booking<'_> {
    /// Free of what it was worked out from.
    pub fn into_owned(self) -> Booking<'static> {
        Booking { activity: Cow::Owned(self.activity.into_owned()), ..self }
    }

    /// The sum of a column.
    pub(crate) fn mg(&self, column: Column, gwp: Gwp) -> i128 {
        self.postings.iter().filter(|posting| posting.column == column).map(|posting| posting.in_set(gwp)).sum()
    }

    /// Adds the booking to parts.
    pub(crate) fn add_to(&self, parts: &mut Parts, gwp: Gwp) {
        let whole = i128::from(self.activity.total().amount);
        for posting in &self.postings {
            self.spread(posting, posting.in_set(gwp), whole, parts);
        }
        self.add_errors(&mut parts[Activity::WHOLE], gwp);
        for (minute, tally) in self.activity.parts().zip(parts.iter_mut()) {
            if self.covers_time {
                tally.covered_ms += i64::from(minute.covered_ms);
            }
            tally.events += minute.events;
            if minute.covered_ms > 0 || minute.events > 0 || minute.amount != 0 {
                self.flags.iter().for_each(|flag| tally.add_flag(*flag, 1));
            }
            if minute.interpolated != 0 {
                tally.add_flag(Flag::Interpolated, 1);
            }
        }
    }

    fn spread(&self, posting: &Posting, mass: i128, whole: i128, parts: &mut Parts) {
        if whole == 0 {
            // Parts that cancel out leave nothing to spread by.
            return self.add_part(posting, mass, &Minute::default(), &mut parts[Activity::WHOLE]);
        }
        let (mut used, mut done) = (0i128, 0i128);
        for (minute, tally) in self.activity.parts().zip(parts.iter_mut()) {
            if minute.amount == 0 {
                continue;
            }
            used += i128::from(minute.amount);
            let upto = share(mass, used, whole);
            self.add_part(posting, upto - done, &minute, tally);
            done = upto;
        }
    }

    fn add_part(&self, posting: &Posting, mg: i128, minute: &Minute, tally: &mut Tally) {
        tally.add(posting.column, mg);
        if !matches!(posting.column, Column::Scope1 | Column::Scope2Location) {
            return;
        }
        tally.add_category(self.category, mg);
        if posting.provisional {
            tally.add(Column::ProvisionalFactor, mg);
        }
        if self.substituted {
            tally.add(Column::Substituted, mg);
        }
        if minute.interpolated != 0 {
            tally.add(Column::Interpolated, share(mg, i128::from(minute.interpolated), i128::from(minute.amount)));
        }
    }

    /// A meter's error is one over all its gases, a factor's over all meters that share it.
    fn add_errors(&self, tally: &mut Tally, gwp: Gwp) {
        let counted = |posting: &&Posting| matches!(posting.column, Column::Scope1 | Column::Scope2Location);
        let mut total = 0;
        for posting in self.postings.iter().filter(counted) {
            let mg = posting.in_set(gwp);
            total += mg;
            if let Some((source, millionths)) = posting.error {
                tally.add_error(source, mg.saturating_mul(i128::from(millionths)));
            }
        }
        for (source, millionths) in self.errors.iter().filter(|_| total != 0) {
            tally.add_error(*source, total.saturating_mul(i128::from(*millionths)));
        }
    }
}

impl Posting {
    pub(crate) fn in_set(&self, gwp: Gwp) -> i128 {
        match gwp {
            Gwp::Own => self.mg,
            Gwp::Network => self.network_mg,
        }
    }
}

/// `mass x used / whole`, rounded down; exact at the end.
pub(crate) fn share(mass: i128, used: i128, whole: i128) -> i128 {
    if used == whole {
        return mass;
    }
    match mass.checked_mul(used) {
        Some(product) => product.div_euclid(whole),
        None => (mass / whole).saturating_mul(used),
    }
}
