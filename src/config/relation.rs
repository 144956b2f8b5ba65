//! The sections that relate meters to each other: sums, sub-meters, stacks, plants, contracts, transfers.

use std::collections::BTreeMap;

use crate::cluster::{Category, Entity, FacilityIx, Level, MeterIx, Topology};
use crate::config::account::validity;
use crate::config::checker::{Checker, nearest};
use crate::config::file_meter::ChpSection;
use crate::config::meter::Declarations;
use crate::config::problem::Severity;
use crate::config::value::{Number, Written};
use crate::emission::{Chp, Contract, Stack, Transfer};
use crate::quantity::{Dimension, Id, Ratio, Time};

/// What relates meters.
#[derive(Default)]
pub(crate) struct Relations {
    pub terms: BTreeMap<MeterIx, Vec<(MeterIx, Ratio)>>,
    pub stacks: Vec<Stack>,
    /// Where each is, by its id.
    pub stack_of: BTreeMap<String, usize>,
    /// When a stack measures a meter's CO2.
    pub measured: BTreeMap<MeterIx, (Time, Time)>,
    pub chps: Vec<Chp>,
    pub chp_of: BTreeMap<FacilityIx, usize>,
    pub contracts: Vec<Contract>,
    pub transfers: Vec<Transfer>,
}

/// Checks all of them.
pub(crate) fn relations(checker: &mut Checker, declarations: &Declarations<'_>, topology: &Topology) -> Relations {
    let mut check = RelationCheck { checker, declarations, topology, found: Relations::default() };
    check.sums();
    check.sub_meters();
    check.stacks();
    check.plants();
    check.contracts();
    check.transfers();
    check.found
}

pub(crate) struct RelationCheck<'a> {
    pub(crate) checker: &'a mut Checker,
    pub(crate) declarations: &'a Declarations<'a>,
    pub(crate) topology: &'a Topology,
    pub(crate) found: Relations,
}

const HEAT_EFFICIENCY: (i128, i128) = (80, 100);
const POWER_EFFICIENCY: (i128, i128) = (35, 100);
/// What two meters of one transfer may differ by where nothing is declared.
const TOLERANCE: (i128, i128) = (2, 100);

impl RelationCheck<'_> {
    /// A meter by its id. What is written and has a problem of its own is reported there.
    pub(crate) fn meter(&mut self, path: &[&str], id: &str) -> Option<MeterIx> {
        let found = self.topology.find_meter(id);
        if found.is_none() && !self.checker.is_declared("meters", id) {
            let known = self.topology.meters.iter().map(|meter| meter.id.as_str());
            let help = match nearest(id, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare `[meters.{id}]`"),
            };
            self.checker.push("C007", Severity::Error, path, format!("unknown meter `{id}`"), Some(help));
        }
        found
    }

    fn meters(&mut self, path: &[&str], ids: &[String]) -> Vec<MeterIx> {
        ids.iter().filter_map(|id| self.meter(path, id)).collect()
    }

    pub(crate) fn share(&mut self, path: &[&str], written: Option<&Written>, default: (i128, i128)) -> Ratio {
        let default = Ratio::new(default.0, default.1).unwrap_or(Ratio::ONE);
        let Some(written) = written else {
            return default;
        };
        let above = |share: &Ratio| share.is_positive() && !Ratio::ONE.minus(*share).is_some_and(Ratio::is_negative);
        written.share().filter(above).unwrap_or_else(|| {
            let name = path.last().copied().unwrap_or("");
            let message =
                format!("`{name}` is {}; write a share above 0 and up to 1, such as 0.8 or \"80 %\"", written.0);
            self.checker.error("C006", path, message);
            default
        })
    }

    // ---- sums ----------------------------------------------------------------------------------------------------

    fn sums(&mut self) {
        for (id, section) in &self.declarations.file.meters {
            let (Some(sum), Some(ix)) = (&section.sum, self.topology.find_meter(id)) else {
                continue;
            };
            let path = ["meters", id, "sum"];
            if sum.is_empty() {
                self.checker.error("C006", &path, "`sum` names no meter".to_owned());
            }
            let mut terms = Vec::new();
            for (input, Number(coefficient)) in sum {
                let Some(found) = self.meter(&path, input) else {
                    continue;
                };
                if found == ix {
                    self.checker.error("C006", &path, format!("`{id}` cannot be a term of its own sum"));
                    continue;
                }
                terms.extend(self.term(&path, (ix, found), Ratio::from_decimal(*coefficient)));
                self.warn_of_counting_twice(id, input, found, *coefficient);
            }
            self.found.terms.insert(ix, terms);
        }
    }

    /// A meter's base units for one base unit of another, times a coefficient.
    fn term(
        &mut self,
        path: &[&str],
        (sum, input): (MeterIx, MeterIx),
        coefficient: Option<Ratio>,
    ) -> Option<(MeterIx, Ratio)> {
        let (here, there) = (self.topology.meter(sum), self.topology.meter(input));
        let ratio = there.dimension.convert(here.dimension).zip(coefficient).and_then(|(unit, c)| unit.times(c));
        if ratio.is_none() || !there.dimension.is_amount() {
            let message = format!(
                "`{}` measures {} and `{}` {}: they cannot be added",
                there.id,
                there.dimension.noun(),
                here.id,
                here.dimension.noun()
            );
            self.checker.error("C008", path, message);
            return None;
        }
        ratio.map(|ratio| (input, ratio))
    }

    /// What is booked itself and again in a sum counts twice.
    fn warn_of_counting_twice(&mut self, id: &str, input: &str, found: MeterIx, coefficient: crate::quantity::Decimal) {
        let books = |ix: MeterIx| !self.topology.meter(ix).category.is_memo();
        let Some(sum) = self.topology.find_meter(id) else {
            return;
        };
        if coefficient.mantissa > 0 && books(found) && books(sum) {
            let message = format!("`{input}` is booked itself, and again through the sum `{id}`: it counts twice");
            let help = "leave out its `category`: a meter that only others are worked out from is booked through them";
            let path = ["meters", id, "sum"];
            self.checker.push("C011", Severity::Warning, &path, message, Some(help.to_owned()));
        }
    }

    /// A main meter is booked without what its sub-meters show.
    fn sub_meters(&mut self) {
        for (id, section) in &self.declarations.file.meters {
            let (Some(parent), Some(child)) = (&section.parent, self.topology.find_meter(id)) else {
                continue;
            };
            let path = ["meters", id, "parent"];
            let Some(main) = self.meter(&path, parent) else {
                continue;
            };
            if main == child {
                self.checker.error("C006", &path, format!("`{id}` cannot be its own main meter"));
                continue;
            }
            if self.declarations.file.meters.get(parent).is_some_and(|main| main.sum.is_some()) {
                let message = format!("`{parent}` is a sum itself: take `{id}` off there with `{id} = -1`");
                self.checker.error("C006", &path, message);
                continue;
            }
            let term = self.term(&path, (main, child), Some(Ratio::whole(-1)));
            self.found.terms.entry(main).or_insert_with(|| vec![(main, Ratio::ONE)]).extend(term);
        }
    }

    // ---- stacks and plants ---------------------------------------------------------------------------------------

    fn stacks(&mut self) {
        for (id, section) in &self.declarations.file.stacks {
            let words = [("before-capture", ()), ("after-capture", ())];
            self.checker.word(&["stacks", id, "cems_position"], section.cems_position.as_ref(), &words);
            let fuels = self.meters(&["stacks", id, "fuels"], &section.fuels);
            let Some(written) = &section.cems else {
                self.checker.missing(&["stacks", id, "cems"], "the meter of its CO2");
                continue;
            };
            let Some(cems) = self.meter(&["stacks", id, "cems"], written) else {
                continue;
            };
            if self.topology.meter(cems).category != Category::CemsCo2 {
                let message = format!(
                    "meter `{written}` is {}; a stack is measured by one of category `cems-co2`",
                    self.topology.meter(cems).category.name()
                );
                self.checker.error("C006", &["stacks", id, "cems"], message);
            }
            let (from, to) = validity(self.topology, cems);
            let at_edge = |time: Time| time == Time::MIN || time == Time::MAX || time.quarter().start() == time;
            if !at_edge(from) || !at_edge(to) {
                let message = format!(
                    "meter `{written}` begins or ends within a quarter-hour: a stack has one method at a time, by whole quarter-hours"
                );
                self.checker.error("C006", &["stacks", id, "cems"], message);
            }
            for fuel in &fuels {
                let category = self.topology.meter(*fuel).category;
                if category.is_memo() || category.is_purchase() || category == Category::CemsCo2 {
                    let message = format!(
                        "meter `{}` is {}; what a stack replaces is combustion or process",
                        self.topology.meter(*fuel).id,
                        category.name()
                    );
                    self.checker.error("C006", &["stacks", id, "fuels"], message);
                }
                if self.found.measured.insert(*fuel, validity(self.topology, cems)).is_some() {
                    let message = format!("meter `{}` is in two stacks", self.topology.meter(*fuel).id);
                    self.checker.error("C006", &["stacks", id, "fuels"], message);
                }
            }
            self.found.stack_of.insert(id.clone(), self.found.stacks.len());
            self.found.stacks.push(Stack { cems, fuels });
        }
    }

    fn plants(&mut self) {
        for (id, section) in &self.declarations.file.chp {
            let Some(facility) = self.plant_facility(id, section) else {
                continue;
            };
            for (key, written) in [("fuels", &section.fuels), ("heat", &section.heat)] {
                if written.is_empty() {
                    self.checker.missing(&["chp", id, key], "the meters of it, such as [\"chp-gas\"]");
                }
            }
            let chp = Chp {
                fuels: self.meters(&["chp", id, "fuels"], &section.fuels),
                heat: self.meters(&["chp", id, "heat"], &section.heat),
                power: self.meters(&["chp", id, "power"], &section.power),
                heat_efficiency: self.share(
                    &["chp", id, "heat_efficiency"],
                    section.heat_efficiency.as_ref(),
                    HEAT_EFFICIENCY,
                ),
                power_efficiency: self.share(
                    &["chp", id, "power_efficiency"],
                    section.power_efficiency.as_ref(),
                    POWER_EFFICIENCY,
                ),
            };
            self.check_plant_stack(id, &chp);
            for meter in chp.heat.iter().chain(&chp.power) {
                let meter = self.topology.meter(*meter);
                let has_content =
                    self.declarations.file.meters.get(meter.id.as_str()).is_some_and(|m| m.heat_content.is_some());
                if meter.dimension != Dimension::Energy && !has_content {
                    let message = format!(
                        "meter `{}` measures {}: heat and power need an energy, or its `heat_content`",
                        meter.id,
                        meter.dimension.noun()
                    );
                    self.checker.error("C008", &["chp", id, "heat"], message);
                }
            }
            if self.found.chp_of.insert(facility, self.found.chps.len()).is_some() {
                let message = "a facility has one `[chp]`; put all its meters into that".to_owned();
                self.checker.error("C006", &["chp", id, "facility"], message);
            }
            self.found.chps.push(chp);
        }
    }

    /// What a stack measures is not booked at its fuels: the plant's emissions are those of its CEMS as well.
    fn check_plant_stack(&mut self, id: &str, chp: &Chp) {
        for stack in &self.found.stacks {
            let burnt = chp.fuels.iter().find(|fuel| stack.fuels.contains(fuel));
            if let Some(fuel) = burnt.filter(|_| !chp.fuels.contains(&stack.cems)) {
                let (fuel, cems) = (&self.topology.meter(*fuel).id, &self.topology.meter(stack.cems).id);
                let message =
                    format!("the CO2 of `{fuel}` is booked at the CEMS of its stack: add `{cems}` to `fuels`");
                self.checker.error("C006", &["chp", id, "fuels"], message);
            }
        }
    }

    fn plant_facility(&mut self, id: &str, section: &ChpSection) -> Option<FacilityIx> {
        let Some(written) = &section.facility else {
            self.checker.missing(&["chp", id, "facility"], "the facility whose plant it is");
            return None;
        };
        self.facility(&["chp", id, "facility"], written)
    }

    pub(crate) fn facility(&mut self, path: &[&str], written: &str) -> Option<FacilityIx> {
        match self.topology.find(Level::Facility, written) {
            Some(Entity::Facility(ix)) => Some(ix),
            _ if self.checker.is_declared("facilities", written) => None,
            _ => {
                let known = self.topology.facilities.iter().map(|facility| facility.id.as_str());
                let help = match nearest(written, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("declare `[facilities.{written}]`"),
                };
                self.checker.push("C007", Severity::Error, path, format!("unknown facility `{written}`"), Some(help));
                None
            }
        }
    }

    fn transfers(&mut self) {
        for (id, section) in &self.declarations.file.transfers {
            let tolerance = self.share(&["transfers", id, "tolerance"], section.tolerance.as_ref(), TOLERANCE);
            let mut end = |key: &str, written: Option<&String>| match written {
                Some(written) => self.meter(&["transfers", id, key], written),
                None => {
                    self.checker.missing(&["transfers", id, key], "the meter at this end");
                    None
                }
            };
            let (sent, received) = (end("sent", section.sent.as_ref()), end("received", section.received.as_ref()));
            let (Some(sent), Some(received)) = (sent, received) else {
                continue;
            };
            let dimension = |ix: MeterIx| self.topology.meter(ix).dimension;
            if dimension(sent) != dimension(received) {
                let message = format!(
                    "`sent` measures {} and `received` {}: they cannot be compared",
                    dimension(sent).noun(),
                    dimension(received).noun()
                );
                self.checker.error("C008", &["transfers", id, "received"], message);
            }
            if let Some(id) = self.id("transfers", id) {
                self.found.transfers.push(Transfer { id, sent, received, tolerance });
            }
        }
    }

    pub(crate) fn id(&mut self, section: &str, id: &str) -> Option<Id> {
        self.checker.id(section, id)
    }
}
