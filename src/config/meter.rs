//! The `[meters.*]` tables: what each declares, checked against its facility, its unit and its factor.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, Kind, Meter, MeterIx, Reset, Shape, Stamp, Topology};
use crate::config::check::{Checker, ClusterRules};
use crate::config::file::{File, MeterSection};
use crate::config::problem::Severity;
use crate::config::value::{Names, Number};
use crate::decode::{Format, Mapping, TimeFormat};
use crate::emission::{Declared, Factors, Method, Slot, Term};
use crate::factor::{Basis, Catalogue, Use, Vintages};
use crate::quantity::{Amount, Conversion, Dimension, Id, Ratio, Span, Time, Unit, Zone};

/// What the other sections declare.
pub(crate) struct Declarations<'a> {
    pub file: &'a File,
    pub cluster_rules: &'a BTreeMap<String, ClusterRules>,
    pub catalogue: &'a Catalogue,
}

const FUEL: &[Use] = &[Use::Inventory];
const GRID: &[Use] = &[Use::Grid];
const OWN_LOCATION: &[Use] = &[Use::Grid, Use::Inventory];
const RESIDUAL: &[Use] = &[Use::Residual, Use::Grid];
const OWN_MARKET: &[Use] = &[Use::Residual, Use::Grid, Use::Inventory];
/// An interval longer than this is a billing period, not a meter reading.
const INTERVAL_MAX: Span = Span::days(35);

/// Checks every meter; the valid ones enter the topology, with their mapping and method.
pub(crate) fn check_meters(
    checker: &mut Checker,
    declarations: &Declarations<'_>,
    topology: &mut Topology,
) -> (Vec<Mapping>, Vec<Arc<Method>>) {
    let facilities: BTreeMap<String, FacilityIx> =
        (0u32..).zip(&topology.facilities).map(|(i, f)| (f.id.to_string(), FacilityIx(i))).collect();
    let (mut mappings, mut methods) = (Vec::new(), Vec::new());
    let (mut distinct, mut conversions) = (Vec::new(), Vec::new());
    let mut by_topic: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (id, section) in &declarations.file.meters {
        let conversions = &mut conversions;
        let mut check = MeterCheck { checker, declarations, topology, id, section, conversions };
        let ix = MeterIx(methods.len() as u32);
        if let Some((meter, mapping, method)) = check.meter(ix, &facilities) {
            topology.facilities[meter.facility.0 as usize].meters.push(ix);
            topology.meters.push(meter);
            by_topic.entry(mapping.topic.clone()).or_default().push(mappings.len());
            mappings.push(mapping);
            methods.push(shared(&mut distinct, method));
        }
    }
    by_topic.values().for_each(|alike| warn_of_doubles(checker, topology, &mappings, alike));
    (mappings, methods)
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
        let help = "an exchanged meter: give the old one `valid_to` and the new one the same time as `valid_from`";
        checker.push("C011", Severity::Warning, &["meters", id(*second), "topic"], message, Some(help.to_owned()));
    }
}

/// Most meters of a cluster share a conversion and a method; ten thousand copies would fill the memory.
fn shared<T: PartialEq>(known: &mut Vec<Arc<T>>, value: T) -> Arc<T> {
    if let Some(same) = known.iter().find(|same| ***same == value) {
        return Arc::clone(same);
    }
    let fresh = Arc::new(value);
    known.push(Arc::clone(&fresh));
    fresh
}

struct MeterCheck<'a> {
    checker: &'a mut Checker,
    declarations: &'a Declarations<'a>,
    topology: &'a Topology,
    id: &'a str,
    section: &'a MeterSection,
    conversions: &'a mut Vec<Arc<Conversion>>,
}

impl MeterCheck<'_> {
    fn meter(&mut self, ix: MeterIx, known: &BTreeMap<String, FacilityIx>) -> Option<(Meter, Mapping, Method)> {
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
            self.checker.factor_names(&path, names.as_ref(), self.declarations.catalogue);
        }
        let facility = self.facility(known);
        let unit = self.unit();
        let category = self.category();
        let kind = self.kind(unit);
        let (expected_every, max_gap) = self.cadence(kind);
        let topic = self.topic();
        let format = self.format(kind);
        let zone = facility.map(|f| self.topology.cluster(self.topology.facility(f).cluster).zone.clone());
        let time_format = self.time_format(zone.as_ref());
        let max_rate = self.max_rate(unit);
        let (valid_from, valid_to) = self.validity(zone.as_ref());
        let (scale, offset) = self.scale();
        let method = match (facility, unit, category, zone.as_ref()) {
            (Some(facility), Some(unit), Some(category), Some(zone)) => self.method(facility, unit, category, zone),
            _ => None,
        };
        let unit = unit?;
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
            max_rate,
            valid_from,
            valid_to,
        };
        let mut mapping = Mapping::new(ix, &meter, topic?, format?);
        mapping.time_format = time_format?;
        Some((meter, mapping, method?))
    }

    // ---- reporting -----------------------------------------------------------------------------------------------

    fn error(&mut self, code: &'static str, key: &str, message: String) {
        let path = ["meters", self.id, key];
        let path = if key.is_empty() { &path[..2] } else { &path[..] };
        self.checker.error(code, path, message);
    }

    fn missing(&mut self, key: &str, help: &str) {
        self.checker.missing(&["meters", self.id, key], help);
    }

    fn word<T: Copy>(&mut self, key: &str, written: Option<&String>, words: &[(&str, T)]) -> Option<T> {
        self.checker.word(&["meters", self.id, key], written, words)
    }

    fn span(&mut self, key: &str, written: Option<&String>) -> Option<Span> {
        written?;
        Some(self.checker.span(&["meters", self.id, key], written, Span(0))).filter(|span| span.0 > 0)
    }

    // ---- keys ----------------------------------------------------------------------------------------------------

    fn facility(&mut self, known: &BTreeMap<String, FacilityIx>) -> Option<FacilityIx> {
        let Some(written) = &self.section.facility else {
            self.missing("facility", "name the facility it belongs to");
            return None;
        };
        let declared = self.declarations.file.facilities.contains_key(written) && !known.contains_key(written);
        if declared {
            // The facility has a problem of its own, which is reported there.
            return None;
        }
        self.checker.reference(&["meters", self.id, "facility"], written, known, "facilities")
    }

    fn unit(&mut self) -> Option<Unit> {
        let Some(written) = &self.section.unit else {
            self.missing("unit", "such as \"kWh\", \"Nm3\", \"kg\", \"kW\", \"t/h\"");
            return None;
        };
        match Unit::parse(written) {
            Ok(unit) => Some(unit),
            Err(problem) => {
                self.error("C008", "unit", problem.to_string());
                None
            }
        }
    }

    fn category(&mut self) -> Option<Category> {
        if self.section.category.is_none() {
            self.missing("category", "stationary-combustion, cems-co2 or purchased-electricity");
        }
        let words = Category::ALL.map(|c| (c.name(), c));
        self.word("category", self.section.category.as_ref(), &words)
    }

    fn kind(&mut self, unit: Option<Unit>) -> Option<Kind> {
        let section = self.section;
        let Some(written) = &section.kind else {
            self.missing("kind", "register, interval, rate or event: what the number means");
            return None;
        };
        let kind = match written.as_str() {
            "register" => Some(self.register(unit)),
            "interval" => self.interval(),
            "rate" => {
                let shapes = [("linear", Shape::Linear), ("step", Shape::Step)];
                Some(Kind::Rate { shape: self.word("shape", section.shape.as_ref(), &shapes).unwrap_or(Shape::Linear) })
            }
            "event" => Some(Kind::Event),
            other => {
                self.checker.not_one_of(
                    &["meters", self.id, "kind"],
                    other,
                    &["register", "interval", "rate", "event"],
                );
                None
            }
        }?;
        self.out_of_place(kind);
        let is_rate = matches!(kind, Kind::Rate { .. });
        match unit {
            Some(unit) if is_rate && unit.per.is_none() => {
                let unit = section.unit.as_deref().unwrap_or("");
                self.error(
                    "C008",
                    "unit",
                    format!("a rate needs an amount per time, such as `{unit}/h` or `kW`, not `{unit}`"),
                );
                None
            }
            Some(unit) if !is_rate && unit.per.is_some() => {
                let unit = section.unit.as_deref().unwrap_or("");
                self.error(
                    "C008",
                    "unit",
                    format!("`{unit}` is an amount per time; use kind `rate`, or the unit of an amount such as `kWh`"),
                );
                None
            }
            _ => Some(kind),
        }
    }

    /// Keys of another kind would be without effect, so they are refused.
    fn out_of_place(&mut self, kind: Kind) {
        let section = self.section;
        let is = |name: &str| section.kind.as_deref() == Some(name);
        let keys = [
            ("interval", section.interval.is_some(), is("interval"), "interval"),
            ("stamp", section.stamp.is_some(), is("interval"), "interval"),
            ("shape", section.shape.is_some(), is("rate"), "rate"),
            ("rollover_at", section.rollover_at.is_some(), is("register"), "register"),
            ("reset", section.reset.is_some(), is("register"), "register"),
            ("max_rate", section.max_rate.is_some(), kind != Kind::Event, "register, interval or rate"),
        ];
        for (key, written, fits, owner) in keys {
            if written && !fits {
                self.error("C006", key, format!("`{key}` belongs to kind `{owner}`; remove it or change `kind`"));
            }
        }
    }

    fn register(&mut self, unit: Option<Unit>) -> Kind {
        let words = [("to-zero", Reset::ToZero), ("any-drop", Reset::AnyDrop), ("never", Reset::Never)];
        let reset = self.word("reset", self.section.reset.as_ref(), &words).unwrap_or(Reset::ToZero);
        let rollover_at = self.section.rollover_at.and_then(|Number(number)| {
            let (scale, _) = self.scale();
            let modulus = Ratio::from_decimal(number).and_then(|n| unit?.to_base(n.times(scale)?)).filter(|m| *m > 0);
            if modulus.is_none() && unit.is_some() {
                self.error(
                    "C006",
                    "rollover_at",
                    format!("`rollover_at` is {number}: not a modulus this unit can hold"),
                );
            }
            modulus
        });
        Kind::Register { rollover_at, reset }
    }

    fn interval(&mut self) -> Option<Kind> {
        let section = self.section;
        if section.interval.is_none() {
            self.missing("interval", "the period each reading covers, such as \"15m\"");
        }
        let length = self.span("interval", section.interval.as_ref());
        if length.is_some_and(|length| length > INTERVAL_MAX) {
            self.error("C006", "interval", format!("`interval` may be at most {INTERVAL_MAX}"));
        }
        let stamps = [("start", Stamp::Start), ("end", Stamp::End)];
        let stamp = self.word("stamp", section.stamp.as_ref(), &stamps).unwrap_or(Stamp::End);
        Some(Kind::Interval { length: length?, stamp })
    }

    fn cadence(&mut self, kind: Option<Kind>) -> (Option<Span>, Option<Span>) {
        let section = self.section;
        let written = self.span("expected_every", section.expected_every.as_ref());
        let expected = match kind {
            Some(Kind::Interval { length, .. }) => written.or(Some(length)),
            Some(Kind::Event) => written.or(Some(Span::days(1))),
            _ => {
                if section.expected_every.is_none() && kind.is_some() {
                    self.missing("expected_every", "how often a reading is due, such as \"10s\" or \"15m\"");
                }
                written
            }
        };
        let max_gap = match section.max_gap.is_some() {
            true => self.span("max_gap", section.max_gap.as_ref()),
            false => expected.map(|e| Span(e.0.saturating_mul(3))),
        };
        if max_gap.is_some_and(|gap| gap > INTERVAL_MAX) {
            let key = if section.max_gap.is_some() { "max_gap" } else { "expected_every" };
            self.error("C006", key, format!("`{key}` is too long: gaps are bridged up to {INTERVAL_MAX}"));
        }
        (expected, max_gap)
    }

    fn topic(&mut self) -> Option<String> {
        let Some(topic) = &self.section.topic else {
            self.missing("topic", "the MQTT topic it publishes on");
            return None;
        };
        if topic.is_empty() || topic.contains(['#', '+', '\0']) {
            self.error(
                "C006",
                "topic",
                format!("`{topic}` is no topic to publish on: it may not be empty or hold `#` or `+`"),
            );
            return None;
        }
        Some(topic.clone())
    }

    fn format(&mut self, kind: Option<Kind>) -> Option<Format> {
        let section = self.section;
        let needs_time = matches!(kind, Some(Kind::Interval { .. }));
        match section.format.as_deref() {
            None => {
                self.missing("format", "json or number");
                None
            }
            Some("number") => {
                for (key, written) in [("value", &section.value), ("time", &section.time)] {
                    if written.is_some() {
                        self.error(
                            "C006",
                            key,
                            format!("`{key}` points into JSON; format `number` is the payload itself"),
                        );
                    }
                }
                if needs_time {
                    self.error(
                        "C006",
                        "format",
                        "an interval meter needs the device's time, which format `number` cannot carry".to_owned(),
                    );
                }
                Some(Format::Number)
            }
            Some("json") => {
                if section.value.is_none() {
                    self.missing("value", "a JSON Pointer such as \"/value\"");
                }
                if needs_time && section.time.is_none() {
                    self.missing("time", "an interval meter needs the device's time: a JSON Pointer such as \"/ts\"");
                }
                let value = self.pointer("value", section.value.as_ref());
                let time = self.pointer("time", section.time.as_ref());
                Some(Format::Json { value: value?, time })
            }
            Some(other) => {
                self.checker.not_one_of(&["meters", self.id, "format"], other, &["json", "number"]);
                None
            }
        }
    }

    fn pointer(&mut self, key: &str, written: Option<&String>) -> Option<String> {
        let pointer = written?;
        if !pointer.starts_with('/') {
            self.error("C006", key, format!("`{pointer}` is no JSON Pointer; write `/{pointer}`"));
            return None;
        }
        Some(pointer.clone())
    }

    fn time_format(&mut self, cluster_zone: Option<&Zone>) -> Option<TimeFormat> {
        let section = self.section;
        let allowed = "ms, s, rfc3339, local:ZONE, local or none";
        match (section.time_format.as_deref(), &section.time) {
            (None, None) | (Some("none"), _) => Some(TimeFormat::Received),
            (None, Some(_)) => {
                self.missing("time_format", &format!("how the device writes its time: {allowed}"));
                None
            }
            (Some(_), None) => {
                self.missing(
                    "time",
                    "a JSON Pointer to the device's time, such as \"/ts\"; or `time_format = \"none\"`",
                );
                None
            }
            (Some("local"), Some(_)) => {
                let facility =
                    section.facility.as_ref().and_then(|f| self.declarations.file.facilities.get_key_value(f));
                match facility.and_then(|(id, f)| f.timezone.as_ref().map(|zone| (id, zone))) {
                    Some((id, zone)) => self.checker.zone(&["facilities", id, "timezone"], zone).map(TimeFormat::Local),
                    None => cluster_zone.cloned().map(TimeFormat::Local),
                }
            }
            (Some(text), Some(_)) => {
                let format = TimeFormat::parse(text);
                if format.is_none() {
                    self.error("C006", "time_format", format!("`{text}` is no time format; allowed: {allowed}"));
                }
                format
            }
        }
    }

    fn max_rate(&mut self, unit: Option<Unit>) -> Option<i64> {
        let text = self.section.max_rate.as_ref()?;
        let amount = match Amount::parse(text) {
            Ok(amount) if amount.unit.per.is_some() => amount,
            Ok(_) => {
                self.error(
                    "C008",
                    "max_rate",
                    format!("`{text}` is an amount; a rate is per time, such as `{text}/h`"),
                );
                return None;
            }
            Err(problem) => {
                self.error("C008", "max_rate", problem.to_string());
                return None;
            }
        };
        let dimension = unit?.dimension;
        let Some(ratio) = amount.unit.dimension.convert(dimension) else {
            let (has, needs) = (amount.unit.dimension.noun(), dimension.noun());
            self.error("C008", "max_rate", format!("`{text}` is a rate of {has}; the meter measures {needs}"));
            return None;
        };
        let rate =
            amount.to_base().and_then(|base| ratio.of(i128::from(base))).and_then(|rate| i64::try_from(rate).ok());
        if rate.is_none() {
            self.error("C006", "max_rate", format!("`{text}` is more than any meter can show"));
        }
        rate
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

    fn scale(&mut self) -> (Ratio, Ratio) {
        let ratio = |number: Option<Number>| number.and_then(|Number(d)| Ratio::from_decimal(d));
        let scale = ratio(self.section.scale).unwrap_or(Ratio::ONE);
        if !scale.is_positive() {
            self.error("C006", "scale", "`scale` must be above nought".to_owned());
        }
        (scale, ratio(self.section.offset).unwrap_or(Ratio::whole(0)))
    }

    // ---- factors -------------------------------------------------------------------------------------------------

    fn method(&mut self, facility: FacilityIx, unit: Unit, category: Category, zone: &Zone) -> Option<Method> {
        let before = self.checker.problems.len();
        let declared = self.declared(facility, unit, category)?;
        let factors = self.factors(facility, unit, category, zone)?;
        let misspelt = format!("meters.{}.", self.id);
        let misspelt = self.checker.problems.iter().any(|p| p.code == "C003" && p.path.starts_with(&misspelt));
        if self.checker.problems.len() > before || misspelt {
            return None;
        }
        match Method::new(&declared, &factors, self.declarations.catalogue) {
            Ok(method) => Some(method),
            Err(problem) => {
                let keys = [("factor", &self.section.factor), ("factor_location", &self.section.factor_location)];
                let key = keys.iter().find(|(_, names)| names.is_some()).map_or("", |(key, _)| key);
                self.error("C009", key, problem.to_string());
                None
            }
        }
    }

    fn declared(&mut self, facility: FacilityIx, unit: Unit, category: Category) -> Option<Declared> {
        let basis = self.word("basis", self.section.basis.as_ref(), &[("HHV", Basis::Hhv), ("LHV", Basis::Lhv)]);
        let heat_content = self.quotient("heat_content", self.section.heat_content.as_ref(), Dimension::Energy);
        let density = self.quotient("density", self.section.density.as_ref(), Dimension::Mass);
        let cluster = self.topology.cluster(self.topology.facility(facility).cluster);
        let rules = self.declarations.cluster_rules.get(cluster.id.as_str())?;
        Some(Declared {
            category,
            dimension: unit.dimension,
            basis,
            heat_content,
            density,
            gwp: rules.gwp,
            network_gwp: rules.network_gwp,
        })
    }

    fn quotient(&mut self, key: &str, written: Option<&String>, top: Dimension) -> Option<(Dimension, Ratio)> {
        match Amount::parse_quotient(written?) {
            Ok((dimension, bottom, ratio)) if dimension == top && ratio.is_positive() => Some((bottom, ratio)),
            Ok(_) => {
                let example = if top == Dimension::Energy { "39.5 MJ/Nm3" } else { "0.84 kg/L" };
                self.error("C008", key, format!("`{key}` must be {} per amount, such as \"{example}\"", top.noun()));
                None
            }
            Err(problem) => {
                self.error("C008", key, problem.to_string());
                None
            }
        }
    }

    fn factors(&mut self, facility: FacilityIx, unit: Unit, category: Category, zone: &Zone) -> Option<Factors> {
        match category {
            Category::CemsCo2 => {
                if unit.dimension != Dimension::Mass {
                    self.error(
                        "C008",
                        "unit",
                        "a CEMS reports a mass of CO2, such as \"t\" or \"short_ton\"".to_owned(),
                    );
                }
                if self.section.factor.is_some() {
                    self.error("C009", "factor", "a CEMS measures CO2 itself; it takes no `factor`".to_owned());
                }
                Some(Vec::new())
            }
            Category::StationaryCombustion => {
                let Some(names) = self.section.factor.clone() else {
                    self.missing(
                        "factor",
                        "a factor series such as \"epa98_natural_gas\"; see `emissiond factors list`",
                    );
                    return None;
                };
                Some(vec![self.term(Slot::Scope1, &names, zone, FUEL)?])
            }
            Category::PurchasedElectricity => self.electricity(facility, unit, zone),
        }
    }

    fn electricity(&mut self, facility: FacilityIx, unit: Unit, zone: &Zone) -> Option<Factors> {
        if unit.dimension != Dimension::Energy {
            self.error("C008", "unit", "electricity is an energy, such as \"kWh\" or \"kW\"".to_owned());
            return None;
        }
        let section = self.section;
        let facility = self.topology.facility(facility);
        let cluster = self.topology.cluster(facility.cluster);
        let written = self.declarations.file.facilities.get(facility.id.as_str());
        let rules = self.declarations.cluster_rules.get(cluster.id.as_str());
        let grid = written.and_then(|f| f.grid.clone()).or_else(|| rules.and_then(|r| r.grid.clone()));
        let residual = written.and_then(|f| f.residual.clone()).or_else(|| rules.and_then(|r| r.residual.clone()));
        let own = section.factor.clone();
        let location = match (section.factor_location.clone(), &own, &grid) {
            (Some(names), _, _) => Some((names, OWN_LOCATION)),
            (None, Some(names), _) => Some((names.clone(), OWN_LOCATION)),
            (None, None, Some(names)) => Some((names.clone(), GRID)),
            (None, None, None) => None,
        };
        let Some(location) = location else {
            let help = "declare `grid` in its cluster or facility, or `factor_location` here";
            self.checker.push(
                "C005",
                Severity::Error,
                &["meters", self.id],
                format!("bought electricity of `{}` has no location-based factor", self.id),
                Some(help.to_owned()),
            );
            return None;
        };
        let market = match (section.factor_market.clone(), own, residual) {
            (Some(names), _, _) => (names, OWN_MARKET),
            (None, Some(names), _) => (names, OWN_MARKET),
            (None, None, Some(names)) => (names, RESIDUAL),
            (None, None, None) => (location.0.clone(), OWN_MARKET),
        };
        let location = self.term(Slot::Location, &location.0, zone, location.1);
        let market = self.term(Slot::Market, &market.0, zone, market.1);
        Some(vec![location?, market?])
    }

    fn term(&self, slot: Slot, names: &Names, zone: &Zone, allowed: &'static [Use]) -> Option<Term> {
        // Unknown names are reported where they stand.
        let vintages = Vintages::of(self.declarations.catalogue, &names.0, zone).ok()?;
        Some(Term { slot, vintages, allowed })
    }
}
