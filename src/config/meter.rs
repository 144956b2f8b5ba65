//! The `[meters.*]` tables: what each declares of its readings. How it is booked is checked in `account`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Category, FacilityIx, Kind, Meter, MeterIx, Reset, Shape, Stamp, Topology};
use serde_json::Value;

use crate::config::check::{Checker, ClusterRules};
use crate::config::file::{File, MeterSection};
use crate::config::problem::Severity;
use crate::config::property;
use crate::config::source::Found;
use crate::config::value::{Names, Number};
use crate::decode::{Mapping, Notation};
use crate::emission::PropertyKind;
use crate::factor::Catalogue;
use crate::quantity::{Amount, Conversion, Id, Ratio, Span, Time, Unit, Zone};

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

/// An interval longer than this is a billing period, not a meter reading.
const INTERVAL_MAX: Span = Span::days(35);

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
        let help = "an exchanged meter: give the old one `valid_to` and the new one the same time as `valid_from`";
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

    /// A sum of meters has no readings, and no keys about them.
    fn derived(&mut self) -> Option<Kind> {
        let section = self.section;
        let keys = [
            ("topic", section.topic.is_some()),
            ("format", section.format.is_some()),
            ("value", section.value.is_some()),
            ("time", section.time.is_some()),
            ("time_format", section.time_format.is_some()),
            ("quality", section.quality.is_some()),
            ("null_values", section.null_values.is_some()),
            ("history", section.history.is_some()),
            ("registers", section.registers.is_some()),
            ("kind", section.kind.is_some()),
            ("scale", section.scale.is_some()),
            ("offset", section.offset.is_some()),
            ("interval", section.interval.is_some()),
            ("stamp", section.stamp.is_some()),
            ("shape", section.shape.is_some()),
            ("rollover_at", section.rollover_at.is_some()),
            ("reset", section.reset.is_some()),
            ("max_gap", section.max_gap.is_some()),
            ("max_rate", section.max_rate.is_some()),
            ("expected_every", section.expected_every.is_some()),
            ("typical", section.typical.is_some()),
            ("parent", section.parent.is_some()),
        ];
        for (key, _) in keys.into_iter().filter(|(_, written)| *written) {
            self.error("C006", key, format!("`{key}` is of readings, and a `sum` of meters has none; remove it"));
        }
        Some(Kind::Derived)
    }

    // ---- reporting -----------------------------------------------------------------------------------------------

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

    fn span(&mut self, key: &str, written: Option<&String>) -> Option<Span> {
        written?;
        Some(self.checker.span(&["meters", self.id, key], written, Span(0))).filter(|span| span.0 > 0)
    }

    // ---- keys ----------------------------------------------------------------------------------------------------

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

    fn kind(&mut self, unit: Option<Unit>, category: Option<Category>) -> Option<Kind> {
        let section = self.section;
        if category == Some(Category::Property) {
            return self.gauge();
        }
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

    /// A property is a state, whatever its readings are called: each holds until the next.
    fn gauge(&mut self) -> Option<Kind> {
        let section = self.section;
        let words = ["gauge", "rate", "event"].map(|word| (word, ()));
        let kind = section.kind.as_ref();
        if kind.is_some() && self.word("kind", kind, &words).is_none() {
            return None;
        }
        for (key, written) in [("max_rate", section.max_rate.is_some()), ("rollover_at", section.rollover_at.is_some())]
        {
            if written {
                self.error("C006", key, format!("`{key}` is of amounts, and a property is none; remove it"));
            }
        }
        let mut hold = self.span("max_age", section.max_age.as_ref());
        for (user, section) in &self.declarations.file.meters {
            for kind in PropertyKind::ALL {
                let written = property::written(section, kind).filter(|w| property::metered(w) == Some(self.id));
                let age = written.and_then(|written| written.0.get("max_age")).and_then(Value::as_str);
                let Some(age) = age.and_then(Span::parse) else {
                    continue;
                };
                if *hold.get_or_insert(age) != age {
                    let message = format!(
                        "`max_age` is {age}, and {} elsewhere for the same meter `{}`: a reading holds equally long for all",
                        hold.unwrap_or(age),
                        self.id
                    );
                    self.checker.error("C006", &["meters", user, kind.name()], message);
                }
            }
        }
        let every = self.span("expected_every", section.expected_every.as_ref()).unwrap_or(Span::minutes(15));
        let hold = hold.unwrap_or(Span(every.0.saturating_mul(3)));
        if hold > INTERVAL_MAX {
            self.error("C006", "max_age", format!("a reading of a property may hold for at most {INTERVAL_MAX}"));
        }
        Some(Kind::Gauge { hold })
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
            self.missing_for("interval", "kind", "the period each reading covers, such as \"15m\"");
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
            Some(Kind::Event | Kind::Derived) => written.or(Some(Span::days(1))),
            Some(Kind::Gauge { .. }) => written.or(Some(Span::minutes(15))),
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

    /// An amount per time in base units a day.
    fn rate(&mut self, key: &str, written: Option<&String>, unit: Option<Unit>) -> Option<i64> {
        let text = written?;
        let amount = match Amount::parse(text) {
            Ok(amount) if amount.unit.per.is_some() => amount,
            Ok(_) => {
                let message = format!("`{text}` is an amount; a rate is per time, such as `{text}/h`");
                self.error("C008", key, message);
                return None;
            }
            Err(problem) => {
                self.error("C008", key, problem.to_string());
                return None;
            }
        };
        let dimension = unit?.dimension;
        let Some(ratio) = amount.unit.dimension.convert(dimension) else {
            let (has, needs) = (amount.unit.dimension.noun(), dimension.noun());
            self.error("C008", key, format!("`{text}` is a rate of {has}; the meter measures {needs}"));
            return None;
        };
        let rate =
            amount.to_base().and_then(|base| ratio.of(i128::from(base))).and_then(|rate| i64::try_from(rate).ok());
        if rate.is_none() {
            self.error("C006", key, format!("`{text}` is more than any meter can show"));
        }
        rate
    }

    /// What the simulator plays: a rate, or the value of a property.
    fn typical(&mut self, unit: Option<Unit>, category: Option<Category>) -> Option<i64> {
        let text = self.section.typical.as_ref()?;
        if category != Some(Category::Property) {
            return self.rate("typical", Some(text), unit);
        }
        let amount = match Amount::parse_property(text) {
            Ok(amount) => amount,
            Err(problem) => {
                self.error("C008", "typical", problem.to_string());
                return None;
            }
        };
        if unit.is_some_and(|unit| unit.dimension != amount.unit.dimension) {
            self.error("C008", "typical", format!("`{text}` is not in the unit of the meter"));
        }
        let value = Ratio::from_decimal(amount.value).and_then(|value| value.plus(amount.unit.zero));
        value.and_then(|value| amount.unit.to_base(value))
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
}
