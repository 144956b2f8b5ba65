//! What was booked by which source: the rows of factors, or how else masses were worked out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{FacilityIx, MeterIx};
use crate::emission::{Column, Evaluation};
use crate::pipeline::{Amounts, Rules};
use crate::quantity::{Dimension, Quarter};

/// A source of masses of a facility.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The facility.
    pub facility: FacilityIx,
    /// Where the masses go.
    pub column: Column,
    /// The contract that they are under, by its index.
    pub contract: Option<usize>,
    /// The id of the factor's row, or a word for how else they are worked out.
    pub row: Arc<str>,
}

/// What a source made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The energy it was multiplied with, in millijoules; of other amounts nothing.
    pub energy_mj: i128,
    /// Milligrams.
    pub mg: i128,
}

/// Adds what the meters of facilities booked in a quarter.
pub fn add_sources(
    into: &mut BTreeMap<Source, Made>,
    rules: &Rules,
    (meters, quarter): (&[MeterIx], Quarter),
    amounts: &Amounts,
) {
    let facts = |ix: MeterIx, quarter: Quarter| amounts.activity(ix, quarter);
    let evaluation = Evaluation::new(&rules.accounts, quarter, &facts);
    for ix in meters {
        let meter = rules.topology.meter(*ix);
        for booking in evaluation.bookings(*ix) {
            let facility = booking.facility.unwrap_or(meter.facility);
            for posting in &booking.postings {
                let (column, contract) = (posting.column, posting.contract);
                let source = Source { facility, column, contract, row: Arc::clone(&posting.row) };
                let made = into.entry(source).or_default();
                made.energy_mj += if meter.dimension == Dimension::Energy { posting.amount } else { 0 };
                made.mg += posting.mg;
            }
        }
    }
}
