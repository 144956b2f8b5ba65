//! The factors that a meter is booked with at a time.

use std::collections::BTreeSet;

use crate::cluster::MeterIx;
use crate::pipeline::Rules;
use crate::pipeline::course::contracts;
use crate::quantity::Time;

/// The ids of the rows in force: its own, and those of the contracts that may cover it.
pub fn rows_in_force(rules: &Rules, ix: MeterIx, time: Time) -> BTreeSet<&str> {
    let own = rules.accounts.meter(ix).method.rows_at(time);
    let contracts = contracts(rules, ix).into_iter().filter(|contract| contract.from <= time && time < contract.to);
    own.chain(contracts.flat_map(|contract| contract.method.rows_at(time))).map(|row| &**row).collect()
}
