//! Values that may be written in more than one way, and sizes.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::quantity::{Amount, Decimal, Dimension, Ratio};

/// A number, kept as the decimal that was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub Decimal);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Decimal { mantissa: value.into(), exponent: 0 }))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Decimal { mantissa: value.into(), exponent: 0 }))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Decimal::from_f64(value).map(Number).ok_or_else(|| E::custom("the number is out of range"))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A value that may be text, a number or a table; the check says which of them will do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written(pub serde_json::Value);

impl Written {
    /// Text, a number or a truth value as text.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.0 {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Some(self.0.to_string()),
            _ => None,
        }
    }

    /// A share as a number, `0.25`, or as text, `"25 %"`.
    pub(crate) fn share(&self) -> Option<Ratio> {
        match &self.0 {
            serde_json::Value::Number(number) => Decimal::parse(&number.to_string()).and_then(Ratio::from_decimal),
            serde_json::Value::String(text) => {
                let amount = Amount::parse_property(text).ok()?;
                (amount.unit.dimension == Dimension::Share).then(|| amount.to_property())?
            }
            _ => None,
        }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

impl JsonSchema for Written {
    fn schema_name() -> Cow<'static, str> {
        "Written".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "object"] })
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// One name, or a list of names in order of preference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Names(pub Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        struct NamesVisitor;
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Names, E> {
                Ok(Names(vec![value.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(NamesVisitor)
    }
}

/// The weights of a plan, or the name of one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct PlanWritten(pub serde_json::Value);

impl PlanWritten {
    /// The weights as decimals. `None`: something else is written.
    pub(crate) fn weights(&self) -> Option<Vec<Decimal>> {
        self.0.as_array()?.iter().map(|number| Decimal::parse(&number.as_number()?.to_string())).collect()
    }
}

impl JsonSchema for PlanWritten {
    fn schema_name() -> Cow<'static, str> {
        "Plan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "last_year" }, { "type": "array", "items": { "type": "number" } }] })
    }
}

/// Reads `"1 MiB"`, `"20 GiB"` or plain bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
