//! The `[meters.*]` tables: what each declares of its readings. How it is booked is checked in `account`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, Meter, MeterIx, Topology};
use crate::config::checker::Checker;
use crate::config::file::File;
use crate::config::file_meter::MeterSection;
use crate::config::place::ClusterRules;
use crate::config::problem::Severity;
use crate::config::source::Found;
use crate::config::value::{Names, Number};
use crate::decode::{Mapping, Notation};
use crate::factor::Catalogue;
use crate::quantity::{Conversion, Id, Ratio, Schedule, Span, Time, Unit, Zone};

/// Instead of a factor: what the supplier's plant emits.
pub(crate) const SUPPLIER: &str = "supplier";

/// A checked meter, the facilities it is booked in, and its mapping, if it has readings.
type Declared = (Meter, Vec<FacilityIx>, Option<Mapping>);

/// What the other sections declare.
pub(crate) struct Declarations<'a> {
    pub file: &'a File,
    pub cluster_rules: &'a BTreeMap<String, ClusterRules>,
    pub catalogue: &'a Catalogue,
}

/// Checks every meter; the valid ones enter the topology, with their mapping.
pub(crate) fn check_meters(
    checker: &mut Checker,
    declarations: &Declarations<'_>,
    topology: &mut Topology,
) -> Vec<Mapping> {
    let facilities: BTreeMap<String, FacilityIx> =
        (0u32..).zip(&topology.facilities).map(|(i, f)| (f.id.to_string(), FacilityIx(i))).collect();
    let mut mappings = Vec::new();
    let (mut conversions, mut notations) = (Vec::new(), Vec::new());
    let mut by_topic: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (id, section) in &declarations.file.meters {
        let (conversions, notations) = (&mut conversions, &mut notations);
        let mut check = MeterCheck { checker, declarations, topology, id, section, conversions, notations };
        let ix = MeterIx(topology.meters.len() as u32);
        if let Some((meter, holders, mapping)) = check.meter(ix, &facilities) {
            for facility in holders {
                topology.facilities[facility.0 as usize].meters.push(ix);
            }
            topology.meters.push(meter);
            if let Some(mapping) = mapping {
                by_topic.entry(mapping.topic.clone()).or_default().push(mappings.len());
                mappings.push(mapping);
            }
        }
    }
    by_topic.values().for_each(|alike| warn_of_doubles(checker, topology, &mappings, alike));
    mappings
}

/// One number for two meters at a time counts it twice.
fn warn_of_doubles(checker: &mut Checker, topology: &Topology, mappings: &[Mapping], alike: &[usize]) {
    for (place, second) in alike.iter().enumerate() {
        let Some(first) = alike[..place].iter().find(|first| mappings[**first].overlaps(&mappings[*second])) else {
            continue;
        };
        let id = |at: usize| topology.meter(mappings[at].meter).id.as_str();
        let message =
            format!("`{}` reads the same number of the same topic as `{}`: it counts twice", id(*second), id(*first));
        let help = "leave one out, or correct its `topic` or `value`; an exchanged meter: give the old one `valid_to` and the new one \
                    the same time as `valid_from`";
        checker.push("C011", Severity::Warning, &["meters", id(*second), "topic"], message, Some(help.to_owned()));
    }
}

/// Most meters of a cluster share a conversion and a method; ten thousand copies would fill the memory.
pub(crate) fn shared<T: PartialEq>(known: &mut Vec<Arc<T>>, value: T) -> Arc<T> {
    if let Some(same) = known.iter().find(|same| ***same == value) {
        return Arc::clone(same);
    }
    let fresh = Arc::new(value);
    known.push(Arc::clone(&fresh));
    fresh
}

pub(crate) struct MeterCheck<'a> {
    pub checker: &'a mut Checker,
    pub declarations: &'a Declarations<'a>,
    topology: &'a Topology,
    pub id: &'a str,
    pub section: &'a MeterSection,
    conversions: &'a mut Vec<Arc<Conversion>>,
    notations: &'a mut Vec<Arc<Notation>>,
}

impl MeterCheck<'_> {
    fn meter(&mut self, ix: MeterIx, known: &BTreeMap<String, FacilityIx>) -> Option<Declared> {
        let id = Id::parse(self.id);
        if id.is_none() {
            let message = format!("`{}` is no id: lower-case letters, digits, `-` and `_`, at most 100", self.id);
            self.error("C010", "", message);
        }
        for (key, names) in [
            ("factor", &self.section.factor),
            ("factor_location", &self.section.factor_location),
            ("factor_market", &self.section.factor_market),
        ] {
            let path = ["meters", self.id, key];
            let names = names.as_ref().map(|names| Names(names.0.iter().filter(|n| *n != SUPPLIER).cloned().collect()));
            self.checker.factor_names(&path, names.as_ref(), self.declarations.catalogue);
        }
        let facilities = self.facilities(known);
        let facility = facilities.first().copied();
        let category = self.category();
        let is_derived = self.section.sum.is_some();
        let unit = self.unit(category);
        let kind = if is_derived { self.derived() } else { self.kind(unit, category) };
        let (expected_every, max_gap) = self.cadence(kind);
        let stale_after = self.span("stale_after", self.section.stale_after.as_ref());
        let schedule = self.schedule();
        let zone = facility.map(|f| self.topology.cluster(self.topology.facility(f).cluster).zone.clone());
        let max_rate = self.rate("max_rate", self.section.max_rate.as_ref(), unit);
        let typical = self.typical(unit, category);
        if let (Some(typical), Some(max_rate)) = (typical, max_rate)
            && typical > max_rate
        {
            self.error("C006", "typical", "`typical` is above `max_rate`: what is usual would be set aside".to_owned());
        }
        let (valid_from, valid_to) = self.validity(zone.as_ref());
        let (scale, offset) = self.scale();
        let found = if is_derived { None } else { Some(self.found(kind, zone.as_ref())) };
        let unit = unit?;
        let offset = offset.plus(unit.zero)?;
        let meter = Meter {
            id: id?,
            facility: facility?,
            name: self.section.name.clone(),
            kind: kind?,
            dimension: unit.dimension,
            unit: self.section.unit.clone()?,
            conversion: shared(self.conversions, Conversion { unit, scale, offset }),
            category: category?,
            expected_every: expected_every?,
            max_gap: max_gap?,
            schedule,
            gateway: self.gateway(found.as_ref()),
            stale_after: stale_after.or(expected_every.map(|every| Span(every.0.saturating_mul(3))))?,
            max_rate,
            typical,
            valid_from,
            valid_to,
        };
        let mapping = match found {
            None => None,
            Some(found) => {
                let Found { topic, source, notation } = found?;
                Some(Mapping::new(ix, &meter, topic, source, shared(self.notations, notation)))
            }
        };
        Some((meter, facilities, mapping))
    }

    pub(crate) fn error(&mut self, code: &'static str, key: &str, message: String) {
        let path = ["meters", self.id, key];
        let path = if key.is_empty() { &path[..2] } else { &path[..] };
        self.checker.error(code, path, message);
    }

    pub(crate) fn missing(&mut self, key: &str, help: &str) {
        self.checker.missing(&["meters", self.id, key], help);
    }

    pub(crate) fn missing_for(&mut self, key: &str, by: &str, help: &str) {
        self.checker.missing_for(&["meters", self.id, key], by, help);
    }

    pub(crate) fn word<T: Copy>(&mut self, key: &str, written: Option<&String>, words: &[(&str, T)]) -> Option<T> {
        self.checker.word(&["meters", self.id, key], written, words)
    }

    pub(crate) fn span(&mut self, key: &str, written: Option<&String>) -> Option<Span> {
        written?;
        Some(self.checker.span(&["meters", self.id, key], written, Span(0))).filter(|span| span.0 > 0)
    }

    fn schedule(&mut self) -> Schedule {
        let Some(text) = &self.section.schedule else {
            return Schedule::always();
        };
        Schedule::parse(text).unwrap_or_else(|| {
            let message =
                format!("`{text}` is no schedule; write \"mon-fri 06:00-22:00, sat 06:00-14:00\", in local time");
            self.error("C006", "schedule", message);
            Schedule::always()
        })
    }

    /// As declared, or the edge node of Sparkplug.
    fn gateway(&self, found: Option<&Option<Found>>) -> Option<String> {
        let node = || {
            let topic = &found?.as_ref()?.topic;
            let parts: Vec<&str> = topic.split('/').collect();
            match parts.as_slice() {
                ["spBv1.0", group, _, node, ..] => Some(format!("{group}/{node}")),
                _ => None,
            }
        };
        self.section.gateway.clone().or_else(node)
    }

    /// Its facility, or those that share it.
    fn facilities(&mut self, known: &BTreeMap<String, FacilityIx>) -> Vec<FacilityIx> {
        let Some(shares) = &self.section.allocate else {
            return self.facility(known).into_iter().collect();
        };
        let names: Vec<String> = shares.keys().cloned().collect();
        if let Some(own) = &self.section.facility
            && !shares.contains_key(own)
        {
            let message =
                format!("`facility` is `{own}`, which has no share in `allocate`; leave `facility` out or give it one");
            self.error("C006", "facility", message);
        }
        let sharing = names.iter().filter_map(|name| self.find_facility("allocate", name, known));
        sharing.collect()
    }

    fn facility(&mut self, known: &BTreeMap<String, FacilityIx>) -> Option<FacilityIx> {
        let Some(written) = &self.section.facility else {
            self.missing("facility", "name the facility it belongs to");
            return None;
        };
        self.find_facility("facility", written, known)
    }

    fn find_facility(&mut self, key: &str, written: &str, known: &BTreeMap<String, FacilityIx>) -> Option<FacilityIx> {
        let declared = self.declarations.file.facilities.contains_key(written) && !known.contains_key(written);
        if declared {
            // The facility has a problem of its own, which is reported there.
            return None;
        }
        self.checker.reference(&["meters", self.id, key], written, known, "facilities")
    }

    fn unit(&mut self, category: Option<Category>) -> Option<Unit> {
        let is_property = category == Some(Category::Property);
        let Some(written) = &self.section.unit else {
            let help = if is_property {
                "such as \"MJ/Nm3\", \"degC\", \"bar\", \"%\""
            } else {
                "such as \"kWh\", \"Nm3\", \"kg\", \"kW\", \"t/h\""
            };
            self.missing("unit", help);
            return None;
        };
        match if is_property { Unit::parse_property(written) } else { Unit::parse(written) } {
            Ok(unit) => Some(unit),
            Err(problem) => {
                self.error("C008", "unit", problem.to_string());
                None
            }
        }
    }

    /// A meter that only others are worked out from needs no category.
    fn category(&mut self) -> Option<Category> {
        if self.section.category.is_none() {
            let in_sum = |section: &MeterSection| section.sum.as_ref().is_some_and(|sum| sum.contains_key(self.id));
            if self.declarations.file.meters.values().any(in_sum) {
                return Some(Category::Memo);
            }
            self.missing("category", "what it is booked as, such as stationary-combustion or purchased-electricity");
        }
        let words = Category::ALL.map(|c| (c.name(), c));
        self.word("category", self.section.category.as_ref(), &words)
    }

    fn validity(&mut self, zone: Option<&Zone>) -> (Time, Time) {
        let from = self.instant("valid_from", self.section.valid_from.as_ref(), zone).unwrap_or(Time::MIN);
        let to = self.instant("valid_to", self.section.valid_to.as_ref(), zone).unwrap_or(Time::MAX);
        if from >= to {
            self.error("C006", "valid_to", "`valid_to` is not after `valid_from`".to_owned());
        }
        (from, to)
    }

    /// A date is the start of that local day; an RFC 3339 time is itself.
    fn instant(&mut self, key: &str, written: Option<&String>, zone: Option<&Zone>) -> Option<Time> {
        let text = written?;
        let day = zone.and_then(|z| z.day_of_text(text)).map(|(start, _)| start);
        let instant = day.or_else(|| Time::parse_rfc3339(text));
        if instant.is_none() && zone.is_some() {
            self.error("C006", key, format!("`{text}` is no time; write a date, or a time with its zone: \"2026-01-31\", \"2026-01-31T12:00:00+01:00\""));
        }
        instant
    }

    pub(crate) fn scale(&mut self) -> (Ratio, Ratio) {
        let ratio = |number: Option<Number>| number.and_then(|Number(d)| Ratio::from_decimal(d));
        let scale = ratio(self.section.scale).unwrap_or(Ratio::ONE);
        if !scale.is_positive() {
            self.error("C006", "scale", "`scale` must be above nought".to_owned());
        }
        (scale, ratio(self.section.offset).unwrap_or(Ratio::whole(0)))
    }
}
