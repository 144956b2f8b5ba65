//! Who is charged with what: how each meter is booked, and the relations between meters that decide it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::emission::contract::Contract;
use crate::emission::{Method, SourceKey};
use crate::quantity::{Id, Quarter, Ratio, Time, Window, Zone};

/// The part of a shared meter that is one facility's: between two marks of its amount.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Whose.
    pub facility: FacilityIx,
    /// From this part of the amount,
    pub from: Ratio,
    /// to this one.
    pub to: Ratio,
}

/// The lowest level that contains the maker and the buyer of energy: where the buyer's scope 2 is eliminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// One cluster.
    Cluster,
    /// Two clusters of one network.
    Network,
}

/// What is bought from a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Purchase {
    /// Who made it.
    pub supplier: FacilityIx,
    /// Where it is eliminated. `None`: nowhere, for it was resold and not made, or no level contains both.
    pub eliminated: Option<Inside>,
    /// The plant whose emissions it takes, by the efficiency method. `None`: a declared factor.
    pub chp: Option<usize>,
    /// It takes them on the location-based side,
    pub by_location: bool,
    /// and on the market-based one.
    pub by_market: bool,
    /// The supplier made nothing and only hands on what it bought.
    pub resold: bool,
}

/// CO2 captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Stored or bound for good, and shown as transferred.
    pub deduct: bool,
    /// The stack that it is taken from.
    pub stack: Option<usize>,
}

/// What only some meters have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Special {
    /// The amount is the sum of other meters' amounts; the meter itself may be among them.
    pub terms: Vec<(MeterIx, Ratio)>,
    /// It has no readings of its own.
    pub is_derived: bool,
    /// The facilities that share it. Empty: it is its facility's alone.
    pub shares: Vec<Share>,
    /// It measures what is resold of the purchases: it lowers them.
    pub resold: bool,
    /// Bought from a member.
    pub purchase: Option<Purchase>,
    /// The certificates of what is generated are sold.
    pub sold: bool,
    /// The CO2 it measures is captured.
    pub capture: Option<Capture>,
    /// The stack whose CO2 it measures.
    pub stack: Option<usize>,
}

/// How one meter is booked.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Whose it is; of a shared meter, the first of them.
    pub facility: FacilityIx,
    /// What it is booked as.
    pub category: Category,
    /// Its factors and properties.
    pub method: Arc<Method>,
    /// Its time can be covered: it is no event.
    pub covers_time: bool,
    /// Half the width of its 95 % interval, in millionths.
    pub error: Option<(SourceKey, i64)>,
    /// What few have.
    pub special: Option<Box<Special>>,
}

/// A stack whose CO2 is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The meter of its CO2.
    pub cems: MeterIx,
    /// The meters whose CO2 goes through it.
    pub fuels: Vec<MeterIx>,
}

/// A plant that makes heat and power, and whose emissions are divided by the efficiency method (GHG Protocol, Allocation of
/// GHG Emissions from a Combined Heat and Power Plant).
#[derive(Clone, Debug, PartialEq)]
pub struct Chp {
    /// The meters of what it burns, or of its stack.
    pub fuels: Vec<MeterIx>,
    /// The meters of its heat.
    pub heat: Vec<MeterIx>,
    /// The meters of its power.
    pub power: Vec<MeterIx>,
    /// The efficiency of making heat alone.
    pub heat_efficiency: Ratio,
    /// The efficiency of making power alone.
    pub power_efficiency: Ratio,
}

/// Two meters of one transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Its name.
    pub id: Id,
    /// Of what is sent.
    pub sent: MeterIx,
    /// Of what is received.
    pub received: MeterIx,
    /// The part of what is sent by which the two may differ.
    pub tolerance: Ratio,
}

/// How a facility is booked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FacilityAccount {
    /// Its meters, in order.
    pub meters: Vec<MeterIx>,
    /// Its cluster counts it differently.
    pub cluster_view: bool,
    /// Its network counts it differently.
    pub network_view: bool,
    /// The contracts that may cover what it buys, in the order they do.
    pub contracts: Vec<usize>,
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// By meter index.
    pub meters: Vec<Account>,
    /// By facility index.
    pub facilities: Vec<FacilityAccount>,
    /// Stacks.
    pub stacks: Vec<Stack>,
    /// Plants.
    pub chps: Vec<Chp>,
    /// Contracts, in the order they claim.
    pub contracts: Vec<Contract>,
    /// Transfers.
    pub transfers: Vec<Transfer>,
    /// By meter index: the facilities that its readings change the figures of.
    pub affected: Vec<Vec<FacilityIx>>,
    /// The other meters whose figures a meter's readings change.
    pub dependents: BTreeMap<MeterIx, Vec<MeterIx>>,
}

impl Account {
    pub(crate) fn terms(&self) -> &[(MeterIx, Ratio)] {
        self.special.as_ref().map_or(&[], |special| special.terms.as_slice())
    }

    pub(crate) fn shares(&self) -> &[Share] {
        self.special.as_ref().map_or(&[], |special| special.shares.as_slice())
    }

    /// The part of an amount that is one facility's; all of it where the meter is not shared.
    pub(crate) fn part_of(&self, amount: i128, facility: Option<FacilityIx>) -> i128 {
        let mine = self.shares().iter().find(|share| Some(share.facility) == facility);
        mine.map_or(amount, |share| share.to.of_floor(amount) - share.from.of_floor(amount))
    }

    /// What is bought from a member.
    pub fn purchase(&self) -> Option<&Purchase> {
        self.special.as_ref().and_then(|special| special.purchase.as_ref())
    }

    /// It measures what is resold.
    pub(crate) fn is_resale(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.resold)
    }

    /// Electricity of the grid, which a contract may cover.
    pub fn is_contractable(&self) -> bool {
        self.category == Category::PurchasedElectricity && self.purchase().is_none_or(|purchase| purchase.resold)
    }
}

impl Accounts {
    /// How a meter is booked.
    pub fn meter(&self, ix: MeterIx) -> &Account {
        &self.meters[ix.0 as usize]
    }

    /// How a facility is booked.
    pub fn facility(&self, ix: FacilityIx) -> &FacilityAccount {
        &self.facilities[ix.0 as usize]
    }

    /// The facilities whose figures a meter's readings change.
    pub fn affected(&self, ix: MeterIx) -> &[FacilityIx] {
        self.affected.get(ix.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// The quarters of a facility that one quarter's amounts decide, itself among them: what a contract covers is known by the
    /// hour.
    pub fn together(&self, facility: FacilityIx, quarter: Quarter) -> Vec<Quarter> {
        match self.facility(facility).contracts.first().and_then(|at| self.contracts.get(*at)) {
            Some(contract) => hour(&contract.zone, quarter),
            None => vec![quarter],
        }
    }

    /// Every meter whose figures, and in which quarters, a change of a meter's quarter may change.
    pub fn derived_from(&self, ix: MeterIx, quarter: Quarter) -> Vec<(MeterIx, Quarter)> {
        let mut all = vec![(ix, quarter)];
        let mut meters: BTreeSet<MeterIx> = self.dependents.get(&ix).into_iter().flatten().copied().collect();
        meters.insert(ix);
        // By contracts all hang together that share one.
        let shared: Vec<MeterIx> = meters.iter().copied().filter(|meter| self.is_under_contract(*meter)).collect();
        let under = |meter: &MeterIx| self.is_under_contract(*meter);
        let all_shared = shared.into_iter().flat_map(|meter| self.partners(meter));
        meters.extend(all_shared.filter(under));
        for meter in &meters {
            let quarters = self.holders(*meter).flat_map(|facility| self.together(facility, quarter));
            all.extend(quarters.map(|quarter| (*meter, quarter)));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A contract may cover it, or it is the plant behind one.
    fn is_under_contract(&self, ix: MeterIx) -> bool {
        let covered =
            self.meter(ix).is_contractable() && self.holders(ix).any(|f| !self.facility(f).contracts.is_empty());
        covered || self.contracts.iter().any(|contract| contract.backing() == Some(ix))
    }

    /// The meters that share contracts with one, or whose contracts its plant is behind.
    fn partners(&self, ix: MeterIx) -> BTreeSet<MeterIx> {
        let behind = self.contracts.iter().filter(|contract| contract.backing() == Some(ix));
        let meters = behind.flat_map(|contract| &contract.facilities).flat_map(|f| &self.facility(*f).meters);
        self.needs_of(meters.copied().filter(|meter| self.meter(*meter).is_contractable()).chain([ix]))
    }

    /// Every meter that this one's figures are worked out from, itself among them.
    pub fn needs(&self, ix: MeterIx) -> BTreeSet<MeterIx> {
        self.needs_of([ix])
    }

    /// The same of several meters.
    pub fn needs_of(&self, meters: impl IntoIterator<Item = MeterIx>) -> BTreeSet<MeterIx> {
        let (mut found, mut expanded) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<MeterIx> = meters.into_iter().collect();
        while let Some(meter) = open.pop() {
            if found.insert(meter) {
                open.extend(self.direct_needs(meter));
                self.add_contracts(meter, &mut expanded, &mut open);
            }
        }
        found
    }

    /// The same without what it shares contracts with.
    pub fn needs_apart(&self, ix: MeterIx) -> BTreeSet<MeterIx> {
        let (mut found, mut open) = (BTreeSet::new(), vec![ix]);
        while let Some(meter) = open.pop() {
            if found.insert(meter) {
                open.extend(self.direct_needs(meter));
            }
        }
        found
    }

    /// What contracts cover at one facility depends on what is left for it by all others that share a contract with it.
    fn add_contracts(&self, ix: MeterIx, expanded: &mut BTreeSet<usize>, open: &mut Vec<MeterIx>) {
        if !self.meter(ix).is_contractable() {
            return;
        }
        for at in self.holders(ix).flat_map(|facility| &self.facility(facility).contracts) {
            let plant = self.contracts[*at].backing();
            let shares = |other: &Contract| plant.is_some() && other.backing() == plant;
            let others = self.contracts.iter().enumerate().filter(|(other, c)| other == at || shares(c));
            for (_, contract) in others.filter(|(other, _)| expanded.insert(*other)) {
                open.extend(contract.backing());
                let meters = contract.facilities.iter().flat_map(|facility| &self.facility(*facility).meters);
                open.extend(meters.copied().filter(|meter| self.meter(*meter).is_contractable()));
            }
        }
    }

    /// The meters that this one's own figures are computed from, contracts aside, which never lead back.
    pub fn sources(&self, ix: MeterIx) -> Vec<MeterIx> {
        let account = self.meter(ix);
        let mut sources: Vec<MeterIx> = account.method.properties().meters().collect();
        sources.extend(account.terms().iter().map(|(meter, _)| *meter).filter(|meter| *meter != ix));
        if let Some(chp) = account.purchase().and_then(|purchase| purchase.chp).and_then(|at| self.chps.get(at)) {
            sources.extend(chp.fuels.iter().chain(&chp.heat).chain(&chp.power));
        }
        sources
    }

    fn direct_needs(&self, ix: MeterIx) -> Vec<MeterIx> {
        let account = self.meter(ix);
        let mut needs: Vec<MeterIx> = account.method.properties().meters().collect();
        needs.extend(account.terms().iter().map(|(meter, _)| *meter));
        for transfer in &self.transfers {
            needs.extend((transfer.received == ix).then_some(transfer.sent));
            needs.extend((transfer.sent == ix).then_some(transfer.received));
        }
        let Some(special) = &account.special else {
            return needs;
        };
        let taken_from = special.capture.and_then(|capture| capture.stack);
        for stack in special.stack.into_iter().chain(taken_from).filter_map(|at| self.stacks.get(at)) {
            needs.extend(stack.fuels.iter().chain([&stack.cems]).filter(|meter| **meter != ix));
        }
        if let Some(purchase) = &special.purchase {
            let generation = self.facility(purchase.supplier).meters.iter();
            needs.extend(generation.filter(|meter| self.meter(**meter).category == Category::Generation));
            if let Some(chp) = purchase.chp.and_then(|at| self.chps.get(at)) {
                needs.extend(chp.fuels.iter().chain(&chp.heat).chain(&chp.power));
            }
        }
        if special.sold {
            let mine = self.holders(ix).flat_map(|facility| &self.facility(facility).meters);
            let taken = [Category::Generation, Category::Export];
            needs.extend(mine.copied().filter(|meter| taken.contains(&self.meter(*meter).category)));
        }
        needs
    }

    /// A plant behind a contract that stands elsewhere.
    pub(crate) fn is_elsewhere(&self, ix: MeterIx) -> bool {
        self.contracts.iter().any(|contract| contract.external && contract.backing() == Some(ix))
    }

    /// The facilities that a meter's amounts are booked in.
    pub fn holders(&self, ix: MeterIx) -> impl Iterator<Item = FacilityIx> {
        let account = self.meter(ix);
        let alone = account.shares().is_empty().then_some(account.facility);
        alone.into_iter().chain(account.shares().iter().map(|share| share.facility))
    }
}

/// The quarters of the local hour that holds one.
pub(crate) fn hour(zone: &Zone, quarter: Quarter) -> Vec<Quarter> {
    let start = zone.start(Window::Hour, quarter.start());
    let end: Time = zone.end(Window::Hour, start);
    let mut quarters = Vec::new();
    let mut next = start.quarter();
    while next.start() < end {
        quarters.push(next);
        next = next.next();
    }
    quarters
}
