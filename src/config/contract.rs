//! The `[contracts.*]` tables: whose consumption each covers, how much of it, and what it emits.

use std::sync::Arc;

use crate::cluster::{Category, Entity, FacilityIx, Level, MeterIx};
use crate::config::factor::OWN_MARKET;
use crate::config::file_meter::ContractSection;
use crate::config::place::ClusterRules;
use crate::config::relation::RelationCheck;
use crate::emission::{Contract, Declared, Method, Properties, Slot, Term, Volume};
use crate::factor::{GwpSet, Vintages};
use crate::quantity::{Amount, Dimension, Time, Window, Zone};

impl RelationCheck<'_> {
    /// In the order they claim: what a plant produced, then fixed amounts, then shares; one facility's before a cluster's.
    pub(crate) fn contracts(&mut self) {
        let mut contracts = Vec::new();
        for (id, section) in &self.declarations.file.contracts {
            contracts.extend(self.contract(id, section));
        }
        let rank = |contract: &Contract| match contract.volume {
            Volume::Generation { .. } => 0,
            Volume::Amount(_) => 1,
            Volume::Share(_) => 2,
        };
        let of_cluster = |contract: &Contract| {
            let section = self.declarations.file.contracts.get(contract.id.as_str());
            section.is_some_and(|section| section.cluster.is_some())
        };
        contracts.sort_by_key(|contract| (rank(contract), of_cluster(contract)));
        self.check_hours(&contracts);
        self.found.contracts = contracts;
    }

    /// One plant under contracts whose hours begin at different times would cover more than it made.
    fn check_hours(&mut self, contracts: &[Contract]) {
        // Once in winter and once in summer.
        let days = ["2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"].map(Time::parse_rfc3339);
        let starts = |zone: &Zone| days.map(|day| day.map(|day| zone.start(Window::Hour, day)));
        for (at, second) in contracts.iter().enumerate() {
            let same = |first: &&Contract| first.backing().is_some() && first.backing() == second.backing();
            if let Some(first) = contracts[..at].iter().find(same).filter(|c| starts(&c.zone) != starts(&second.zone)) {
                let message = format!(
                    "it shares its plant with contract `{}`, whose hours begin at another minute: give each a plant's meter of its own",
                    first.id
                );
                self.checker.error("C006", &["contracts", second.id.as_str(), "generation"], message);
            }
        }
    }

    fn contract(&mut self, id: &str, section: &ContractSection) -> Option<Contract> {
        let (facilities, zone) = self.covered(id, section)?;
        let words = [("external", true), ("member", false)];
        let external = self.checker.word(&["contracts", id, "site"], section.site.as_ref(), &words).unwrap_or(false);
        let from = self.time(&["contracts", id, "valid_from"], section.valid_from.as_ref(), &zone).unwrap_or(Time::MIN);
        let to = self.time(&["contracts", id, "valid_to"], section.valid_to.as_ref(), &zone).unwrap_or(Time::MAX);
        if from >= to {
            self.checker.error(
                "C006",
                &["contracts", id, "valid_to"],
                "`valid_to` is not after `valid_from`".to_owned(),
            );
        }
        let volume = self.volume(id, section, (from, to));
        if let (Some(Volume::Generation { meter, .. }), false) = (&volume, external) {
            self.check_backing(id, *meter, &facilities);
        }
        let method = self.contract_method(id, section, &zone);
        let id = self.id("contracts", id);
        Some(Contract { id: id?, facilities, method: method?, volume: volume?, external, from, to, zone })
    }

    fn covered(&mut self, id: &str, section: &ContractSection) -> Option<(Vec<FacilityIx>, Zone)> {
        let zone = |facility: FacilityIx| self.topology.zone(Entity::Facility(facility)).clone();
        match (&section.facility, &section.cluster) {
            (Some(facility), None) => {
                let facility = self.facility(&["contracts", id, "facility"], facility)?;
                Some((vec![facility], self.topology.zone(Entity::Facility(facility)).clone()))
            }
            (None, Some(cluster)) => match self.topology.find(Level::Cluster, cluster) {
                Some(Entity::Cluster(ix)) => {
                    let facilities = self.topology.cluster(ix).facilities.clone();
                    let zone = facilities.first().map(|facility| zone(*facility))?;
                    Some((facilities, zone))
                }
                _ => {
                    let message = format!("unknown cluster `{cluster}`; declare `[clusters.{cluster}]`");
                    self.checker.error("C007", &["contracts", id, "cluster"], message);
                    None
                }
            },
            _ => {
                self.checker.missing(
                    &["contracts", id, "facility"],
                    "whose consumption it covers: either `facility` or `cluster`",
                );
                None
            }
        }
    }

    fn time(&mut self, path: &[&str], written: Option<&String>, zone: &Zone) -> Option<Time> {
        let text = written?;
        let day = zone.day_of_text(text).map(|(start, _)| start);
        let instant = day.or_else(|| Time::parse_rfc3339(text)).filter(|time| time.quarter().start() == *time);
        if instant.is_none() {
            let message =
                format!("`{text}` is no date such as \"2026-01-31\", nor the start of a quarter-hour with its zone");
            self.checker.error("C006", path, message);
        }
        instant
    }

    fn volume(&mut self, id: &str, section: &ContractSection, (from, to): (Time, Time)) -> Option<Volume> {
        match (&section.generation, &section.amount, &section.share) {
            (Some(meter), None, share) => {
                let path = ["contracts", id, "generation"];
                let meter = self.meter(&path, meter)?;
                let found = self.topology.meter(meter);
                if found.category != Category::Generation || found.dimension != Dimension::Energy {
                    let message = format!(
                        "meter `{}` is {} in {}; what backs a contract is of category `generation`, in an energy",
                        found.id,
                        found.category.name(),
                        found.unit
                    );
                    self.checker.error("C006", &path, message);
                    return None;
                }
                let share = self.share(&["contracts", id, "share"], share.as_ref(), (1, 1));
                Some(Volume::Generation { meter, share })
            }
            (None, Some(text), None) => {
                let amount =
                    Amount::parse(text).ok().filter(|a| a.unit.dimension == Dimension::Energy && a.unit.per.is_none());
                let amount = amount.and_then(Amount::to_base).filter(|amount| *amount > 0);
                if amount.is_none() {
                    let message = format!("`amount` is `{text}`; write an energy such as \"8760 MWh\"");
                    self.checker.error("C008", &["contracts", id, "amount"], message);
                }
                if from == Time::MIN || to == Time::MAX {
                    self.checker.missing(
                        &["contracts", id, "valid_to"],
                        "an amount is delivered evenly from `valid_from` to `valid_to`: both are needed",
                    );
                }
                amount.map(Volume::Amount)
            }
            (None, None, Some(share)) => {
                Some(Volume::Share(self.share(&["contracts", id, "share"], Some(share), (1, 1))))
            }
            _ => {
                self.checker.missing(
                    &["contracts", id, "generation"],
                    "how much it covers: `generation` (with a `share` of it, if not all), `amount`, or `share`",
                );
                None
            }
        }
    }

    /// What a facility makes itself lowers what it buys already; what another member makes must have left that one.
    fn check_backing(&mut self, id: &str, meter: MeterIx, facilities: &[FacilityIx]) {
        let found = self.topology.meter(meter);
        let path = ["contracts", id, "generation"];
        let sold = self
            .declarations
            .file
            .meters
            .get(found.id.as_str())
            .is_some_and(|m| m.certificates.as_deref() == Some("sold"));
        if facilities == [found.facility] {
            let message = format!(
                "`{}` is the facility's own generation, which lowers what it buys already; if the plant stands elsewhere, write `site = \"external\"`",
                found.id
            );
            self.checker.error("C006", &path, message);
        } else if !sold {
            let message = format!(
                "`{}` belongs to a member that keeps its certificates: two would claim them; write `certificates = \"sold\"` there, or `site = \"external\"` here",
                found.id
            );
            self.checker.error("C006", &path, message);
        }
    }

    fn contract_method(&mut self, id: &str, section: &ContractSection, zone: &Zone) -> Option<Arc<Method>> {
        let Some(names) = &section.factor else {
            self.checker.missing(
                &["contracts", id, "factor"],
                "what it delivers emits, such as \"0 kg/kWh\", or a factor series",
            );
            return None;
        };
        let catalogue = self.declarations.catalogue;
        let inline = inline_set(id);
        let names = if catalogue.vintages(&inline).is_some() { vec![inline] } else { names.0.clone() };
        let vintages = Vintages::of(catalogue, &names, zone).ok();
        if vintages.is_none() {
            self.checker.factor_names(&["contracts", id, "factor"], section.factor.as_ref(), catalogue);
        }
        let term = Term { slot: Slot::Market, vintages: vintages?, allowed: OWN_MARKET };
        let declared = Declared {
            category: Category::PurchasedElectricity,
            dimension: Dimension::Energy,
            basis: None,
            properties: Properties::default(),
            product: None,
            gas: None,
            gwp: self.gwp(section),
            network_gwp: self.network_gwp(section),
            measured: None,
            bought_inside: false,
        };
        match Method::new(&declared, &vec![term], catalogue) {
            Ok(method) => Some(Arc::new(method)),
            Err(problem) => {
                self.checker.error("C009", &["contracts", id, "factor"], problem.to_string());
                None
            }
        }
    }

    fn rules(&self, section: &ContractSection) -> Option<&ClusterRules> {
        let file = self.declarations.file;
        let by_facility =
            section.facility.as_ref().and_then(|f| file.facilities.get(f)).and_then(|f| f.cluster.as_ref());
        self.declarations.cluster_rules.get(section.cluster.as_ref().or(by_facility)?)
    }

    fn gwp(&self, section: &ContractSection) -> GwpSet {
        self.rules(section).map_or(GwpSet::Ar6, |rules| rules.gwp)
    }

    fn network_gwp(&self, section: &ContractSection) -> Option<GwpSet> {
        self.rules(section).and_then(|rules| rules.network_gwp)
    }
}

/// The set under which a contract's own figure is in the catalogue.
pub(crate) fn inline_set(id: &str) -> String {
    format!("contracts.{id}")
}
