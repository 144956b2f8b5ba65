//! Properties as written: a constant, a dated table, or another meter.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cluster::{Category, Topology};
use crate::config::checker::Checker;
use crate::config::file_meter::MeterSection;
use crate::config::value::Written;
use crate::emission::{Properties, Property, PropertyKind, PropertySource};
use crate::quantity::{Amount, Decimal, Dimension, Ratio, Span, Time, Zone};

/// Where properties are declared, and what they may refer to.
pub(crate) struct PropertyCheck<'a> {
    pub checker: &'a mut Checker,
    pub topology: &'a Topology,
    pub meter: &'a str,
    pub zone: &'a Zone,
}

/// A property of a section, as written.
pub(crate) fn written(section: &MeterSection, kind: PropertyKind) -> Option<&Written> {
    let key = match kind {
        PropertyKind::HeatContent => &section.heat_content,
        PropertyKind::Density => &section.density,
        PropertyKind::Carbon => &section.carbon,
        PropertyKind::Moisture => &section.moisture,
        PropertyKind::BiomassShare => &section.biomass_share,
        PropertyKind::Temperature => &section.temperature,
        PropertyKind::Pressure => &section.pressure,
    };
    key.as_ref()
}

/// The meter that a property comes from, if it does.
pub(crate) fn metered(written: &Written) -> Option<&str> {
    written.0.get("meter").and_then(Value::as_str)
}

impl PropertyCheck<'_> {
    pub(crate) fn properties(&mut self, section: &MeterSection) -> Properties {
        let mut all: [Option<Property>; 7] = Default::default();
        for kind in PropertyKind::ALL {
            if let Some(written) = written(section, kind) {
                all[kind as usize] = self.property(kind, &written.0);
            }
        }
        let pair = (section.temperature.is_some(), section.pressure.is_some());
        if pair.0 != pair.1 {
            let key = if pair.0 { "temperature" } else { "pressure" };
            let message = "`temperature` and `pressure` are needed together: a gas volume depends on both".to_owned();
            self.error(key, "C005", message);
        }
        Properties(all.iter().any(Option::is_some).then(|| Arc::new(all)))
    }

    fn error(&mut self, key: &str, code: &'static str, message: String) {
        self.checker.error(code, &["meters", self.meter, key], message);
    }

    fn property(&mut self, kind: PropertyKind, written: &Value) -> Option<Property> {
        match written {
            Value::Object(table) if table.contains_key("meter") => self.metered(kind, table),
            Value::Object(table) => self.dated(kind, table),
            single => {
                let (dimension, value) = self.value(kind, single)?;
                Some(Property { dimension, source: PropertySource::Dated(vec![(Time::MIN, value)]) })
            }
        }
    }

    fn value(&mut self, kind: PropertyKind, written: &Value) -> Option<(Dimension, Ratio)> {
        let name = kind.name();
        let (dimension, value) = match written {
            Value::String(text) => match Amount::parse_property(text) {
                Ok(amount) => (amount.unit.dimension, amount.to_property()),
                Err(problem) => {
                    self.error(name, "C008", problem.to_string());
                    return None;
                }
            },
            // A plain number is a share.
            Value::Number(number) => {
                let decimal = Decimal::parse(&number.to_string());
                (Dimension::Share, decimal.and_then(Ratio::from_decimal))
            }
            _ => {
                let message = format!(
                    "`{name}` is text such as \"{}\", a table by date, or {{ meter = \"...\" }}",
                    kind.example()
                );
                self.error(name, "C004", message);
                return None;
            }
        };
        if !kind.takes(dimension) {
            let message = format!("`{name}` cannot be a {}; write it such as \"{}\"", dimension.noun(), kind.example());
            self.error(name, "C008", message);
            return None;
        }
        let allowed = value.filter(|value| kind.allows(*value));
        if allowed.is_none() {
            let written = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
            let range = match kind {
                PropertyKind::Moisture | PropertyKind::BiomassShare => "from 0 to 100 %",
                PropertyKind::Carbon => "not below nought",
                _ => "above nought",
            };
            self.error(name, "C006", format!("`{name}` is {written}; it must be {range}"));
        }
        allowed.map(|value| (dimension, value))
    }

    /// A table by date: each value from the start of its local day on.
    fn dated(&mut self, kind: PropertyKind, table: &Map<String, Value>) -> Option<Property> {
        let name = kind.name();
        let mut values = Vec::new();
        let mut dimensions = Vec::new();
        for (date, written) in table {
            let day = self.zone.day_of_text(date).map(|(start, _)| start);
            let from = day.or_else(|| Time::parse_rfc3339(date).filter(|time| time.quarter().start() == *time));
            if from.is_none() {
                let message =
                    format!("`{date}` in `{name}` is no date such as \"2026-01-31\", nor the start of a quarter-hour");
                self.error(name, "C006", message);
            }
            let value = self.value(kind, written);
            if let (Some(from), Some((dimension, value))) = (from, value) {
                dimensions.push(dimension);
                values.push((from, value));
            }
        }
        values.sort_by_key(|(from, _)| *from);
        dimensions.dedup();
        match dimensions[..] {
            [dimension] if values.len() == table.len() => {
                Some(Property { dimension, source: PropertySource::Dated(values) })
            }
            [] if table.is_empty() => {
                self.error(name, "C006", format!("the table of `{name}` is empty"));
                None
            }
            [_, ..] if dimensions.len() > 1 => {
                self.error(
                    name,
                    "C008",
                    format!("the values of `{name}` are per different things: write them in one unit"),
                );
                None
            }
            _ => None,
        }
    }

    fn metered(&mut self, kind: PropertyKind, table: &Map<String, Value>) -> Option<Property> {
        let name = kind.name();
        if let Some(key) = table.keys().find(|key| !["meter", "max_age", "otherwise"].contains(&key.as_str())) {
            let message = format!("unknown key `{key}` in `{name}`; allowed: meter, max_age, otherwise");
            self.error(name, "C003", message);
        }
        if let Some(age) = table.get("max_age")
            && age.as_str().and_then(Span::parse).is_none_or(|age| age <= Span(0))
        {
            self.error(name, "C006", format!("`max_age` of `{name}` is {age}; write a duration such as \"15m\""));
        }
        let id = table.get("meter").and_then(Value::as_str).unwrap_or("");
        let Some(meter) = self.topology.find_meter(id) else {
            if !self.checker.is_declared("meters", id) {
                self.error(name, "C007", format!("`{name}` comes from meter `{id}`, which is not declared"));
            }
            return None;
        };
        let found = self.topology.meter(meter);
        if found.category != Category::Property {
            let message =
                format!("meter `{id}` is {}; a property comes from one of category `property`", found.category.name());
            self.error(name, "C006", message);
            return None;
        }
        let dimension = found.dimension;
        if !kind.takes(dimension) {
            let message = format!(
                "meter `{id}` shows {}, which is no `{name}`; its unit must be such as that of \"{}\"",
                found.unit,
                kind.example()
            );
            self.error(name, "C008", message);
            return None;
        }
        let otherwise = match table.get("otherwise") {
            None => None,
            Some(written) => {
                let (other, value) = self.value(kind, written)?;
                if other != dimension {
                    let message =
                        format!("`otherwise` of `{name}` must be in the unit of meter `{id}`, {}", found.unit);
                    self.error(name, "C008", message);
                    return None;
                }
                Some(value)
            }
        };
        Some(Property { dimension, source: PropertySource::Metered { meter, otherwise } })
    }
}
