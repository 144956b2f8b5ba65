//! How each meter is booked: its factors, its properties, and who shares, supplies or resells what it measures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::{Category, ClusterIx, Entity, FacilityIx, Kind, MeterIx, Topology};
use crate::config::checker::Checker;
use crate::config::file_meter::MeterSection;
use crate::config::meter::{Declarations, shared};
use crate::config::problem::Severity;
use crate::config::property::PropertyCheck;
use crate::config::relation::{Relations, relations};
use crate::config::value::Number;
use crate::emission::{
    Account, Accounts, Capture, Declared, FacilityAccount, Inside, Method, Share, SourceKey, Special,
};
use crate::factor::{Basis, Gas};
use crate::quantity::{Ratio, Time};

/// Checks how every meter is booked. With problems, what it returns is not complete, and no plan comes of it.
pub(crate) fn check_accounts(
    checker: &mut Checker,
    declarations: &Declarations<'_>,
    topology: &mut Topology,
) -> Accounts {
    let relations = relations(checker, declarations, topology);
    let mut methods = Vec::new();
    let mut accounts = Accounts::default();
    for (at, meter) in (0u32..).zip(&topology.meters) {
        let id = meter.id.as_str();
        let Some(section) = declarations.file.meters.get(id) else {
            continue;
        };
        let mut check = AccountCheck { checker, declarations, topology, relations: &relations, id, section };
        if let Some((account, method)) = check.account(MeterIx(at)) {
            accounts.meters.push(Account { method: shared(&mut methods, method), ..account });
        }
    }
    let is_complete =
        accounts.meters.len() == topology.meters.len() && topology.meters.len() == declarations.file.meters.len();
    (accounts.stacks, accounts.chps) = (relations.stacks, relations.chps);
    (accounts.contracts, accounts.transfers) = (relations.contracts, relations.transfers);
    if is_complete {
        accounts.facilities = facilities(&accounts, declarations, topology);
        if circle(checker, &accounts, topology) {
            return accounts;
        }
        connect(&mut accounts, topology);
    }
    accounts
}

/// Each facility's account.
fn facilities(accounts: &Accounts, declarations: &Declarations<'_>, topology: &Topology) -> Vec<FacilityAccount> {
    let account = |(at, facility): (u32, &crate::cluster::Facility)| {
        let ix = FacilityIx(at);
        let cluster = topology.cluster(facility.cluster);
        let two_sets = declarations.cluster_rules.get(cluster.id.as_str()).is_some_and(|r| r.network_gwp.is_some());
        let inside = |wanted: &dyn Fn(Inside) -> bool| {
            let purchases = facility.meters.iter().filter_map(|meter| {
                let special = accounts.meter(*meter).special.as_ref()?;
                special.purchase.as_ref()?.eliminated
            });
            purchases.into_iter().any(wanted)
        };
        let contracts = accounts.contracts.iter().enumerate();
        FacilityAccount {
            meters: facility.meters.clone(),
            cluster_view: inside(&|inside| inside == Inside::Cluster),
            network_view: cluster.network.is_some() && (two_sets || inside(&|_| true)),
            contracts: contracts.filter(|(_, c)| c.facilities.contains(&ix)).map(|(at, _)| at).collect(),
        }
    };
    (0u32..).zip(&topology.facilities).map(account).collect()
}

/// Sums and suppliers that lead back to themselves cannot be worked out.
fn circle(checker: &mut Checker, accounts: &Accounts, topology: &Topology) -> bool {
    let mut found = false;
    for (at, meter) in (0u32..).zip(&topology.meters) {
        let ix = MeterIx(at);
        let (mut seen, mut open) = (BTreeSet::new(), accounts.sources(ix));
        while let Some(next) = open.pop() {
            if next == ix {
                let message = format!(
                    "`{}` is worked out from itself, through its sum, its supplier or its properties",
                    meter.id
                );
                checker.error("C014", &["meters", meter.id.as_str()], message);
                found = true;
                break;
            }
            if seen.insert(next) {
                open.extend(accounts.sources(next));
            }
        }
    }
    found
}

/// Which facility's and which meter's figures hang on which meter.
fn connect(accounts: &mut Accounts, topology: &mut Topology) {
    let mut affected = vec![BTreeSet::new(); topology.meters.len()];
    let mut dependents: BTreeMap<MeterIx, Vec<MeterIx>> = BTreeMap::new();
    for at in 0..topology.facilities.len() {
        let ix = FacilityIx(at as u32);
        let meters = &accounts.facility(ix).meters;
        for meter in meters {
            // What hangs together by contracts is found by them: each on each would fill the memory.
            for need in accounts.needs_apart(*meter).iter().filter(|need| *need != meter) {
                let known = dependents.entry(*need).or_default();
                if !known.contains(meter) {
                    known.push(*meter);
                }
            }
        }
        let inputs = accounts.needs_of(meters.iter().copied());
        for input in &inputs {
            affected[input.0 as usize].insert(ix);
        }
        let is_read = |meter: &MeterIx| topology.meter(*meter).kind != Kind::Derived;
        let inputs = inputs.into_iter().filter(is_read).collect();
        topology.facilities[at].inputs = inputs;
    }
    accounts.affected = affected.into_iter().map(|facilities| facilities.into_iter().collect()).collect();
    accounts.dependents = dependents;
}

pub(crate) struct AccountCheck<'a> {
    pub(crate) checker: &'a mut Checker,
    pub(crate) declarations: &'a Declarations<'a>,
    pub(crate) topology: &'a Topology,
    pub(crate) relations: &'a Relations,
    pub(crate) id: &'a str,
    pub(crate) section: &'a MeterSection,
}

impl AccountCheck<'_> {
    fn account(&mut self, ix: MeterIx) -> Option<(Account, Method)> {
        let before = self.checker.problems.len();
        let meter = self.topology.meter(ix);
        let facility = self.topology.facility(meter.facility);
        let zone = self.topology.cluster(facility.cluster).zone.clone();
        self.out_of_place(meter.category);
        let basis = self.checker.word(
            &["meters", self.id, "basis"],
            self.section.basis.as_ref(),
            &[("HHV", Basis::Hhv), ("LHV", Basis::Lhv)],
        );
        let properties = PropertyCheck { checker: self.checker, topology: self.topology, meter: self.id, zone: &zone }
            .properties(self.section);
        let special = self.special(ix);
        let factors = self.factors(ix, &special, &properties, &zone);
        let error = self.error_of();
        let misspelt = format!("meters.{}.", self.id);
        let misspelt = self.checker.problems.iter().any(|p| p.code == "C003" && p.path.starts_with(&misspelt));
        if self.has_errors_since(before) || misspelt {
            return None;
        }
        let rules = self.declarations.cluster_rules.get(self.topology.cluster(facility.cluster).id.as_str())?;
        let declared = Declared {
            category: meter.category,
            dimension: meter.dimension,
            basis,
            properties,
            product: self.section.product.clone(),
            gas: self.section.gas.as_deref().map(Gas::parse),
            gwp: rules.gwp,
            network_gwp: rules.network_gwp,
            measured: self.relations.measured.get(&ix).copied(),
            bought_inside: special.purchase.as_ref().is_some_and(|purchase| purchase.eliminated.is_some()),
        };
        let method = match Method::new(&declared, &factors?, self.declarations.catalogue) {
            Ok(method) => method,
            Err(problem) => {
                let keys = [("factor", &self.section.factor), ("factor_location", &self.section.factor_location)];
                let key = keys.iter().find(|(_, names)| names.is_some()).map_or("", |(key, _)| key);
                self.error("C009", key, problem.to_string());
                return None;
            }
        };
        let account = Account {
            facility: meter.facility,
            category: meter.category,
            method: Arc::new(Method::empty(meter.category)),
            covers_time: meter.covers_time(),
            error,
            special: (special != Special::default()).then(|| Box::new(special)),
        };
        Some((account, method))
    }

    fn has_errors_since(&self, before: usize) -> bool {
        self.checker.problems[before..].iter().any(|p| p.severity == Severity::Error)
    }

    pub(crate) fn error(&mut self, code: &'static str, key: &str, message: String) {
        let path = ["meters", self.id, key];
        let path = if key.is_empty() { &path[..2] } else { &path[..] };
        self.checker.error(code, path, message);
    }

    pub(crate) fn missing(&mut self, key: &str, help: &str) {
        self.checker.missing(&["meters", self.id, key], help);
    }

    /// Keys without effect would mislead, so they are refused.
    fn out_of_place(&mut self, category: Category) {
        let section = self.section;
        let is_electric = category == Category::PurchasedElectricity;
        let emits = !category.is_memo() && !category.is_purchase();
        let keys = [
            ("gas", section.gas.is_some(), category == Category::Fugitive, "fugitive"),
            (
                "carbon",
                section.carbon.is_some(),
                emits && category != Category::CemsCo2,
                "combustion, process or fugitive",
            ),
            (
                "biomass_share",
                section.biomass_share.is_some(),
                emits || category == Category::CapturedCo2,
                "scope 1 or captured-co2",
            ),
            ("supplier", section.supplier.is_some(), category.is_purchase(), "a purchase"),
            (
                "buyer",
                section.buyer.is_some(),
                category == Category::Export || is_electric,
                "export or purchased-electricity",
            ),
            ("certificates", section.certificates.is_some(), category == Category::Generation, "generation"),
            ("factor_location", section.factor_location.is_some(), category.is_purchase(), "a purchase"),
            (
                "factor_market",
                section.factor_market.is_some(),
                category.is_purchase() || category == Category::Generation,
                "a purchase or generation",
            ),
            ("deduct", section.deduct.is_some(), category == Category::CapturedCo2, "captured-co2"),
            ("use", section.used.is_some(), category == Category::CapturedCo2, "captured-co2"),
            ("captured_from", section.captured_from.is_some(), category == Category::CapturedCo2, "captured-co2"),
            ("max_age", section.max_age.is_some(), category == Category::Property, "property"),
            (
                "factor",
                section.factor.is_some(),
                emits && category != Category::CemsCo2 || category.is_purchase(),
                "a category that is computed with a factor",
            ),
        ];
        for (key, written, fits, owner) in keys {
            if written && !fits {
                let (name, article) = (category.name(), if owner.starts_with("a ") { "" } else { "category " });
                let message = format!(
                    "`{key}` belongs to {article}{owner}; this meter is {name}: remove it or change `category`"
                );
                self.error("C006", key, message);
            }
        }
    }

    fn error_of(&mut self) -> Option<(SourceKey, i64)> {
        let Number(written) = self.section.uncertainty_pct?;
        let millionths =
            Ratio::from_decimal(written).and_then(|pct| pct.of(10_000)).and_then(|m| i64::try_from(m).ok());
        match millionths.filter(|m| (0..=10_000_000).contains(m)) {
            Some(0) => None,
            Some(millionths) => Some((SourceKey::of("meter", self.id), millionths)),
            None => {
                self.error(
                    "C006",
                    "uncertainty_pct",
                    format!("`uncertainty_pct` is {written}; expected 0 to 1000 percent"),
                );
                None
            }
        }
    }

    // ---- relations -----------------------------------------------------------------------------------------------

    fn special(&mut self, ix: MeterIx) -> Special {
        let category = self.topology.meter(ix).category;
        let resold = self.buyer() && category == Category::PurchasedElectricity;
        Special {
            terms: self.relations.terms.get(&ix).cloned().unwrap_or_default(),
            is_derived: self.topology.meter(ix).kind == Kind::Derived,
            shares: self.shares(),
            resold,
            purchase: self.purchase(ix),
            sold: self.certificates(),
            capture: self.capture(category),
            stack: self.relations.stacks.iter().position(|stack| stack.cems == ix),
        }
    }

    pub(crate) fn find_facility(&mut self, key: &str, written: &str) -> Option<FacilityIx> {
        let known: BTreeMap<String, FacilityIx> =
            (0u32..).zip(&self.topology.facilities).map(|(at, f)| (f.id.to_string(), FacilityIx(at))).collect();
        if self.checker.is_declared("facilities", written) && !known.contains_key(written) {
            return None;
        }
        self.checker.reference(&["meters", self.id, key], written, &known, "facilities")
    }

    fn certificates(&mut self) -> bool {
        let words = [("sold", true), ("kept", false)];
        let written = self.section.certificates.as_ref();
        self.checker.word(&["meters", self.id, "certificates"], written, &words).unwrap_or(false)
    }

    fn capture(&mut self, category: Category) -> Option<Capture> {
        if category != Category::CapturedCo2 {
            return None;
        }
        let words = [("stored", true), ("bound", true), ("sold", false), ("vented", false)];
        let lasting = self.checker.word(&["meters", self.id, "use"], self.section.used.as_ref(), &words);
        let deduct = self.section.deduct.unwrap_or(false);
        if deduct && lasting != Some(true) {
            let message = "`deduct` needs `use = \"stored\"` or `use = \"bound\"`: CO2 that is sold or vented stays emitted where it was made";
            self.error("C006", "deduct", message.to_owned());
        }
        if let Some(stack) = &self.section.captured_from {
            match self.declarations.file.stacks.get(stack) {
                None => {
                    self.error("C007", "captured_from", format!("unknown stack `{stack}`; declare `[stacks.{stack}]`"))
                }
                Some(found) if deduct && found.cems_position.as_deref() == Some("after-capture") => {
                    let message = format!(
                        "the CEMS of stack `{stack}` is after the capture and does not count this CO2: `deduct` would take it off twice"
                    );
                    self.error("C006", "deduct", message);
                }
                Some(_) => {}
            }
        }
        let stack = self.section.captured_from.as_ref().and_then(|id| self.relations.stack_of.get(id)).copied();
        Some(Capture { deduct, stack })
    }

    fn shares(&mut self) -> Vec<Share> {
        let Some(written) = &self.section.allocate else {
            return Vec::new();
        };
        let (mut shares, mut sum, mut rest) = (Vec::new(), Ratio::whole(0), None);
        let mut clusters: BTreeSet<ClusterIx> = BTreeSet::new();
        for (facility, value) in written {
            let Some(Entity::Facility(ix)) = self.topology.find(crate::cluster::Level::Facility, facility) else {
                continue;
            };
            clusters.insert(self.topology.facility(ix).cluster);
            if value.0.as_str() == Some("rest") && rest.is_none() {
                rest = Some(shares.len());
                shares.push((ix, Ratio::whole(0)));
                continue;
            }
            let share = value.share().filter(|share| share.is_positive());
            let Some(share) = share else {
                let message = format!(
                    "the share of `{facility}` is {}; write a number such as 0.25, \"25 %\", or once \"rest\"",
                    value.0
                );
                self.error("C006", "allocate", message);
                return Vec::new();
            };
            sum = sum.plus(share).unwrap_or(sum);
            shares.push((ix, share));
        }
        if clusters.len() > 1 {
            self.error(
                "C006",
                "allocate",
                "the facilities of `allocate` are of several clusters: give each cluster a meter".to_owned(),
            );
        }
        let left = Ratio::ONE.minus(sum).unwrap_or(Ratio::whole(0));
        match rest {
            Some(at) if left.is_positive() => shares[at].1 = left,
            None if left == Ratio::whole(0) => {}
            _ => {
                let left = (left.to_f64() * 1e9).round() / 1e9;
                let message = format!(
                    "the shares of `allocate` add up to {}, which leaves {left}: make them add up to 1, or name who takes what is left with \"rest\"",
                    (sum.to_f64() * 1e9).round() / 1e9
                );
                self.error("C006", "allocate", message);
            }
        }
        let mut from = Ratio::whole(0);
        let share = |(facility, share): (FacilityIx, Ratio)| {
            let to = from.plus(share).unwrap_or(from);
            let share = Share { facility, from, to };
            from = to;
            share
        };
        shares.into_iter().map(share).collect()
    }
}

/// When a meter's declaration holds.
pub(crate) fn validity(topology: &Topology, meter: MeterIx) -> (Time, Time) {
    let meter = topology.meter(meter);
    (meter.valid_from, meter.valid_to)
}
