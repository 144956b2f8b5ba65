//! Contracts for bought electricity: how much of an hour's consumption each covers. Matching is by the hour: what a plant
//! produced beyond that hour's consumption covers nothing, and an hour whose course is interpolated claims nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{FacilityIx, MeterIx};
use crate::emission::book::share;
use crate::emission::evaluate::Evaluation;
use crate::emission::{Accounts, Method};
use crate::quantity::{Id, Quarter, Ratio, Time, Zone};

/// How much a contract covers.
#[derive(Clone, Debug, PartialEq)]
pub enum Volume {
    /// What a meter shows that its plant produced, or a part of that.
    Generation {
        /// The meter.
        meter: MeterIx,
        /// The part.
        share: Ratio,
    },
    /// A fixed amount in millijoules, delivered evenly over the validity.
    Amount(i64),
    /// A part of the consumption.
    Share(Ratio),
}

/// A declared contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Its name.
    pub id: Id,
    /// Whose consumption it covers: one facility's, or a cluster's.
    pub facilities: Vec<FacilityIx>,
    /// The factor of what it delivers.
    pub method: Arc<Method>,
    /// How much.
    pub volume: Volume,
    /// The plant behind it is no member's.
    pub external: bool,
    /// In force from here,
    pub from: Time,
    /// to here.
    pub to: Time,
    /// Of the hours.
    pub zone: Zone,
}

/// What of one meter's quarter, in one facility, a contract covers, in millijoules.
pub(crate) type Claims = BTreeMap<(FacilityIx, MeterIx, Quarter), Vec<(usize, i128)>>;

/// One meter's consumption in one quarter, as far as it is not covered yet.
struct Lot {
    facility: FacilityIx,
    meter: MeterIx,
    quarter: Quarter,
    whole: i128,
    left: i128,
    /// The course of the meter's hour is interpolated.
    interpolated: bool,
}

impl Contract {
    /// The meter of the plant behind it.
    pub fn backing(&self) -> Option<MeterIx> {
        match self.volume {
            Volume::Generation { meter, .. } => Some(meter),
            _ => None,
        }
    }

    fn covers(&self, quarter: Quarter) -> bool {
        self.from <= quarter.start() && quarter.end() <= self.to
    }

    fn is_open_to(&self, lot: &Lot) -> bool {
        let timed = matches!(self.volume, Volume::Generation { .. });
        self.covers(lot.quarter) && self.facilities.contains(&lot.facility) && !(timed && lot.interpolated)
    }
}

/// What the contracts cover in an hour, all of those that share something with the facility.
pub(crate) fn claims(evaluation: &Evaluation<'_>, facility: FacilityIx, quarter: Quarter) -> Claims {
    let accounts = evaluation.accounts;
    let quarters = accounts.together(facility, quarter);
    let (contracts, facilities) = connected(accounts, facility);
    let mut lots = lots(evaluation, &facilities, &quarters);
    // What is resold lowers what can be covered.
    let net = |facility: &FacilityIx| (*facility, net(evaluation, *facility, &quarters).max(0));
    let consumed: BTreeMap<FacilityIx, i128> = facilities.iter().map(net).collect();
    let mut open = consumed.clone();
    let mut claims = Claims::new();
    let mut used: BTreeMap<MeterIx, i128> = BTreeMap::new();
    for at in contracts {
        let contract = &accounts.contracts[at];
        let room = by_facility(&lots, contract, &open, |lot| lot.left);
        let whole = by_facility(&lots, contract, &consumed, |lot| lot.whole);
        let available = available(evaluation, contract, &quarters, whole.values().sum(), &used);
        let covered = available.clamp(0, room.values().sum());
        if let Some(meter) = contract.backing() {
            *used.entry(meter).or_default() += covered;
        }
        for (facility, part) in split(covered, room.iter().map(|(facility, room)| (*facility, *room))) {
            *open.entry(facility).or_default() -= part;
            let mine: Vec<(usize, i128)> = lots
                .iter()
                .enumerate()
                .filter(|(_, lot)| lot.facility == facility && contract.is_open_to(lot))
                .map(|(place, lot)| (place, lot.left))
                .collect();
            for (place, amount) in split(part, mine.into_iter()) {
                let lot = &mut lots[place];
                lot.left -= amount;
                if amount != 0 {
                    claims.entry((lot.facility, lot.meter, lot.quarter)).or_default().push((at, amount));
                }
            }
        }
    }
    claims
}

/// The amounts that a contract may cover, each facility's no more than its limit.
fn by_facility(
    lots: &[Lot],
    contract: &Contract,
    limits: &BTreeMap<FacilityIx, i128>,
    amount: impl Fn(&Lot) -> i128,
) -> BTreeMap<FacilityIx, i128> {
    let mut sums: BTreeMap<FacilityIx, i128> = BTreeMap::new();
    for lot in lots.iter().filter(|lot| contract.is_open_to(lot)) {
        *sums.entry(lot.facility).or_default() += amount(lot);
    }
    sums.into_iter().map(|(facility, sum)| (facility, sum.min(limits[&facility]))).collect()
}

/// The contracts of a facility, those that share a plant or a facility with them, and so on; in the order they claim.
fn connected(accounts: &Accounts, facility: FacilityIx) -> (Vec<usize>, Vec<FacilityIx>) {
    let mut contracts: Vec<usize> = accounts.facility(facility).contracts.clone();
    loop {
        let linked = |contract: &Contract| {
            contracts.iter().map(|at| &accounts.contracts[*at]).any(|known| {
                let plant = contract.backing().is_some() && contract.backing() == known.backing();
                plant || contract.facilities.iter().any(|facility| known.facilities.contains(facility))
            })
        };
        let all = accounts.contracts.iter().enumerate();
        let more: Vec<usize> = all.filter(|(_, contract)| linked(contract)).map(|(at, _)| at).collect();
        if more.len() == contracts.len() {
            break;
        }
        contracts = more;
    }
    contracts.sort_unstable();
    let mut facilities: Vec<FacilityIx> =
        contracts.iter().flat_map(|at| accounts.contracts[*at].facilities.iter().copied()).collect();
    facilities.sort_unstable();
    facilities.dedup();
    (contracts, facilities)
}

fn lots(evaluation: &Evaluation<'_>, facilities: &[FacilityIx], quarters: &[Quarter]) -> Vec<Lot> {
    let mut lots = Vec::new();
    for facility in facilities {
        let of_hour = |meter: MeterIx| quarters.iter().any(|quarter| evaluation.is_interpolated(meter, *quarter));
        let meters = bought(evaluation.accounts, *facility);
        // What is left of the others when some of it is resold is not known either.
        let resale = meters.iter().any(|meter| evaluation.accounts.meter(*meter).is_resale() && of_hour(*meter));
        for meter in meters {
            let interpolated = resale || of_hour(meter);
            for quarter in quarters {
                let left = evaluation.amount_of(meter, *facility, *quarter).max(0);
                lots.push(Lot { facility: *facility, meter, quarter: *quarter, whole: left, left, interpolated });
            }
        }
    }
    lots
}

/// What a facility buys from the grid and does not resell.
fn net(evaluation: &Evaluation<'_>, facility: FacilityIx, quarters: &[Quarter]) -> i128 {
    let meters = bought(evaluation.accounts, facility);
    let amount = |meter: MeterIx| -> i128 {
        quarters.iter().map(|quarter| evaluation.amount_of(meter, facility, *quarter)).sum()
    };
    meters.into_iter().map(amount).sum()
}

fn bought(accounts: &Accounts, facility: FacilityIx) -> Vec<MeterIx> {
    let meters = accounts.facility(facility).meters.iter().copied();
    meters.filter(|meter| accounts.meter(*meter).is_contractable()).collect()
}

/// What a contract can cover in an hour in which its facilities consume `total`.
fn available(
    evaluation: &Evaluation<'_>,
    contract: &Contract,
    quarters: &[Quarter],
    total: i128,
    used: &BTreeMap<MeterIx, i128>,
) -> i128 {
    let valid = || quarters.iter().filter(|quarter| contract.covers(**quarter));
    match &contract.volume {
        Volume::Share(share) => share.of(total).unwrap_or(0),
        Volume::Amount(amount) => {
            let whole = i128::from(contract.to.since(contract.from).0);
            let upto = |time: Time| share(i128::from(*amount), i128::from(time.since(contract.from).0), whole);
            valid().map(|quarter| upto(quarter.end()) - upto(quarter.start())).sum()
        }
        Volume::Generation { meter, share } => {
            if quarters.iter().any(|quarter| evaluation.is_interpolated(*meter, *quarter)) {
                return 0;
            }
            let produced: i128 = valid().map(|quarter| evaluation.total_of(*meter, *quarter).max(0)).sum();
            let left = produced - used.get(meter).copied().unwrap_or(0);
            share.of(produced).unwrap_or(0).min(left)
        }
    }
}

/// Splits an amount in proportion; the parts add up to it.
fn split<K: Copy>(amount: i128, weights: impl Iterator<Item = (K, i128)> + Clone) -> Vec<(K, i128)> {
    let whole: i128 = weights.clone().map(|(_, weight)| weight).sum();
    if whole == 0 {
        return Vec::new();
    }
    let (mut upto, mut done) = (0, 0);
    let mut parts = Vec::new();
    for (key, weight) in weights {
        upto += weight;
        let part = share(amount, upto, whole) - done;
        done += part;
        parts.push((key, part));
    }
    parts
}
