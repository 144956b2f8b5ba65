//! SenML in JSON (RFC 8428): records with base values, relative times and sums, in the units of its registry and of RFC 8798.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::json::Text;
use crate::decode::{Mark, Notation, Refusal};
use crate::quantity::{Decimal, Ratio, Time, Unit};

/// A pack holds no more records.
const RECORDS_MAX: usize = 20_000;
/// Times below this are relative to the receipt (RFC 8428, section 4.5.3): 2^28 seconds.
const RELATIVE_BELOW: i128 = 1 << 28;
/// The version of RFC 8428.
const VERSION: Decimal = Decimal { mantissa: 1, exponent: 1 };
/// Names of more characters are no meter's.
const NAME_MAX: usize = 1_024;

/// A record and the base values that hold for it.
pub(crate) struct Record<'r> {
    /// Base name and name.
    pub name: &'r str,
    written: &'r Written<'r>,
    base: &'r Base<'r>,
    received: Time,
}

impl<'r> Record<'r> {
    /// As in the record, or the base unit.
    pub(crate) fn unit(&self) -> Option<&'r str> {
        self.written.u.as_deref().or(self.base.unit.as_deref())
    }

    /// The value with the base value. `None`: it has another one than a number, or only a sum.
    pub(crate) fn value(&self) -> Option<Result<Decimal, Refusal>> {
        match self.written.v {
            Some(value) => Some(sum(Some(value), self.base.value)),
            None if self.written.other => Some(Err(Refusal::NotANumber)),
            None => None,
        }
    }

    /// The sum with the base sum.
    pub(crate) fn sum(&self) -> Option<Result<Decimal, Refusal>> {
        self.written.s.map(|text| sum(Some(text), self.base.sum))
    }

    /// When it was measured; without any time, the receipt.
    pub(crate) fn stamp(&self) -> Result<Stamp, Refusal> {
        match (self.written.t, self.base.stamp) {
            (None, stamp) => stamp.unwrap_or(Ok(Stamp { time: self.received, is_dated: false })),
            (Some(own), _) => stamp(sum(Some(own), self.base.time), self.received),
        }
    }

    /// It only sets base values.
    fn is_base(&self) -> bool {
        self.written.v.is_none() && self.written.s.is_none() && !self.written.other
    }
}

/// The time of a record.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub time: Time,
    /// It is told, and not relative to the receipt.
    pub is_dated: bool,
}

/// What a record is written as. Labels that are not known are skipped, but for those that forbid it.
#[derive(Default)]
struct Written<'a> {
    bn: Option<Cow<'a, str>>,
    bt: Option<&'a str>,
    bu: Option<Cow<'a, str>>,
    bv: Option<&'a str>,
    bs: Option<&'a str>,
    n: Option<Cow<'a, str>>,
    u: Option<Cow<'a, str>>,
    v: Option<&'a str>,
    s: Option<&'a str>,
    t: Option<&'a str>,
    /// Text, a truth value or data instead of a number.
    other: bool,
    /// A label that must be understood, and is not.
    unknown: bool,
}

/// The base values in force.
#[derive(Default)]
struct Base<'a> {
    name: Cow<'a, str>,
    time: Option<Result<Decimal, Refusal>>,
    /// The same, worked out for the records without a time of their own.
    stamp: Option<Result<Stamp, Refusal>>,
    unit: Option<Cow<'a, str>>,
    value: Option<Result<Decimal, Refusal>>,
    sum: Option<Result<Decimal, Refusal>>,
}

/// Calls `each` with every record. An error: the payload is no pack, or holds too much.
pub(crate) fn records(payload: &[u8], received: Time, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), Refusal> {
    let text = std::str::from_utf8(payload).map_err(|_| Refusal::Malformed)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut refused = None;
    let pack = Pack { received, each, refused: &mut refused };
    let read = reader.deserialize_seq(pack).and_then(|()| reader.end());
    match refused {
        Some(refusal) => Err(refusal),
        None => read.map_err(|_| Refusal::Malformed),
    }
}

struct Pack<'e> {
    received: Time,
    each: &'e mut dyn FnMut(&Record<'_>),
    refused: &'e mut Option<Refusal>,
}

impl<'de> Visitor<'de> for Pack<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a SenML pack")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut base = Base::default();
        let mut name = String::new();
        let mut count = 0;
        let mut written = Written::default();
        while seq.next_element_seed(Fill(&mut written))?.is_some() {
            count += 1;
            let over = count > RECORDS_MAX;
            if over || written.unknown {
                *self.refused = Some(if over { Refusal::OverLimit } else { Refusal::Malformed });
                return Ok(());
            }
            base.take(&mut written, self.received);
            name.clear();
            name.push_str(&base.name);
            name.push_str(written.n.as_deref().unwrap_or(""));
            if name.len() > NAME_MAX {
                *self.refused = Some(Refusal::OverLimit);
                return Ok(());
            }
            let record = Record { name: &name, written: &written, base: &base, received: self.received };
            if !record.is_base() {
                (self.each)(&record);
            }
        }
        Ok(())
    }
}

impl<'a> Base<'a> {
    /// Base values hold from their record on.
    fn take(&mut self, written: &mut Written<'a>, received: Time) {
        if let Some(name) = written.bn.take() {
            self.name = name;
        }
        if let Some(text) = written.bt {
            let time = parse(text);
            self.time = Some(time);
            self.stamp = Some(stamp(time, received));
        }
        if written.bu.is_some() {
            self.unit = written.bu.take();
        }
        self.value = written.bv.map(parse).or(self.value);
        self.sum = written.bs.map(parse).or(self.sum);
    }
}

fn sum(text: Option<&str>, base: Option<Result<Decimal, Refusal>>) -> Result<Decimal, Refusal> {
    match (text, base) {
        (Some(text), None) => parse(text),
        (None, base) => base.unwrap_or(Ok(Decimal::ZERO)),
        (Some(text), Some(base)) => parse(text)?.plus(base?).ok_or(Refusal::OutOfRange),
    }
}

fn parse(text: &str) -> Result<Decimal, Refusal> {
    PLAIN.read(text)
}

const PLAIN: Notation = Notation { mark: Mark::Point, unit: String::new(), nulls: Vec::new(), registers: None };

/// Seconds since 1970, or before or after the receipt where they are few.
fn stamp(seconds: Result<Decimal, Refusal>, received: Time) -> Result<Stamp, Refusal> {
    let seconds = seconds.map_err(|_| Refusal::BadTime)?;
    let ms = Ratio::whole(1_000).of_decimal(seconds).ok_or(Refusal::BadTime)?;
    let is_dated = ms >= RELATIVE_BELOW * 1_000;
    let ms = if is_dated { ms } else { ms + i128::from(received.0) };
    let time = i64::try_from(ms).ok().map(Time).and_then(Time::checked).ok_or(Refusal::BadTime)?;
    Ok(Stamp { time, is_dated })
}

/// The unit of a name of the registries. `None`: not a unit of an amount, a rate or a state that is kept here.
pub(crate) fn unit(name: &str) -> Option<Unit> {
    let ours = match name {
        "l" => "L",
        "l/s" => "L/s",
        "Cel" => "degC",
        "/" => "share",
        "/100" => "%",
        "%" | "Pa" | "hPa" | "K" | "ppm" | "J" | "kWh" | "Wh" | "W" | "kW" | "g" | "kg" | "m3" | "m3/s" | "kg/s" => {
            name
        }
        _ => return None,
    };
    Unit::parse(ours).or_else(|_| Unit::parse_property(ours)).ok()
}

/// Reads a record into one that was read before.
struct Fill<'w, 'a>(&'w mut Written<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Fill<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// What a member of a record is.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Bn,
    Bt,
    Bu,
    Bv,
    Bs,
    Bver,
    N,
    U,
    V,
    S,
    T,
    /// Text, a truth value or data instead of a number.
    Other,
    /// RFC 8428, section 4.4: whoever does not know such a label must not use the pack.
    Unknown,
    Skipped,
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Label;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a label")
            }

            fn visit_str<E>(self, text: &str) -> Result<Label, E> {
                Ok(match text {
                    "bn" => Label::Bn,
                    "bt" => Label::Bt,
                    "bu" => Label::Bu,
                    "bv" => Label::Bv,
                    "bs" => Label::Bs,
                    "bver" => Label::Bver,
                    "n" => Label::N,
                    "u" => Label::U,
                    "v" => Label::V,
                    "s" => Label::S,
                    "t" => Label::T,
                    "vs" | "vb" | "vd" => Label::Other,
                    label if label.ends_with('_') => Label::Unknown,
                    _ => Label::Skipped,
                })
            }
        }
        deserializer.deserialize_str(Word)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Fill<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let written = self.0;
        *written = Written::default();
        while let Some(label) = map.next_key::<Label>()? {
            let number = |map: &mut A| map.next_value::<&'de RawValue>().map(|raw| Some(raw.get()));
            let text = |map: &mut A| map.next_value::<Text<'de>>().map(|text| Some(text.0));
            match label {
                Label::Bn => written.bn = text(&mut map)?,
                Label::Bt => written.bt = number(&mut map)?,
                Label::Bu => written.bu = text(&mut map)?,
                Label::Bv => written.bv = number(&mut map)?,
                Label::Bs => written.bs = number(&mut map)?,
                // RFC 8428, section 4.4: a version that is not known must not be used.
                Label::Bver => {
                    let version = number(&mut map)?.and_then(|text| parse(text).ok());
                    written.unknown |= version.is_none_or(|version| version.is_at_most(VERSION) != Some(true));
                }
                Label::N => written.n = text(&mut map)?,
                Label::U => written.u = text(&mut map)?,
                Label::V => written.v = number(&mut map)?,
                Label::S => written.s = number(&mut map)?,
                Label::T => written.t = number(&mut map)?,
                Label::Other | Label::Unknown | Label::Skipped => {
                    written.other |= label == Label::Other;
                    written.unknown |= label == Label::Unknown;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, expected: &[&str]) {
        let received = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let mut seen = Vec::new();
        let shown = |number: &Option<Result<Decimal, Refusal>>| match number {
            None => "-".to_owned(),
            Some(Ok(number)) => number.to_string(),
            Some(Err(refusal)) => refusal.name().to_owned(),
        };
        let mut note = |r: &Record<'_>| {
            let time = r.stamp().map_or_else(|refusal| refusal.name().to_owned(), |stamp| stamp.time.to_string());
            seen.push(format!(
                "{} {} {} {} {time}",
                r.name,
                r.unit().unwrap_or("-"),
                shown(&r.value()),
                shown(&r.sum())
            ));
        };
        records(payload.as_bytes(), received, &mut note).unwrap();
        assert_eq!(seen, expected, "{payload}");
    }

    /// The examples of RFC 8428, sections 5.1.1 to 5.1.6, numbers as there.
    #[test]
    fn the_examples_of_the_rfc() {
        check(
            r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#,
            &["urn:dev:ow:10e2073a01080063 Cel 23.1 - 2026-01-01T00:00:00Z"],
        );
        check(
            r#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]"#,
            &[
                "urn:dev:ow:10e2073a01080063:voltage V 120.1 - 2026-01-01T00:00:00Z",
                "urn:dev:ow:10e2073a01080063:current A 1.2 - 2026-01-01T00:00:00Z",
            ],
        );
        check(
            r#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
                {"n":"current","t":-5,"v":1.2},{"n":"current","v":1.7}]"#,
            &[
                "urn:dev:ow:10e2073a0108006:voltage V 120.1 - 2010-06-08T18:01:16.001Z",
                "urn:dev:ow:10e2073a0108006:current A 1.2 - 2010-06-08T18:01:11.001Z",
                "urn:dev:ow:10e2073a0108006:current A 1.7 - 2010-06-08T18:01:16.001Z",
            ],
        );
        check(
            r#"[{"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":20},
                {"u":"lon","v":24.30621},{"t":60,"v":20.3}]"#,
            &[
                "urn:dev:ow:10e2073a01080063 %RH 20 - 2011-10-31T13:24:24Z",
                "urn:dev:ow:10e2073a01080063 lon 24.30621 - 2011-10-31T13:24:24Z",
                "urn:dev:ow:10e2073a01080063 %RH 20.3 - 2011-10-31T13:25:24Z",
            ],
        );
        check(
            r#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},
                {"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]"#,
            &[
                "urn:dev:ow:10e2073a01080063:temp Cel 23.1 - 2026-01-01T00:00:00Z",
                "urn:dev:ow:10e2073a01080063:label - not-a-number - 2026-01-01T00:00:00Z",
                "urn:dev:ow:10e2073a01080063:open - not-a-number - 2026-01-01T00:00:00Z",
                "urn:dev:ow:10e2073a01080063:nfc-reader - not-a-number - 2026-01-01T00:00:00Z",
            ],
        );
    }

    #[test]
    fn sums_base_values_and_times_relative_to_the_receipt() {
        check(
            r#"[{"bn":"m:","bv":100,"bs":1000,"n":"e","u":"J","v":0.5,"s":7},{"n":"e","t":-30,"s":9}]"#,
            &["m:e J 100.5 1007 2026-01-01T00:00:00Z", "m:e - - 1009 2025-12-31T23:59:30Z"],
        );
        check(r#"[{"bn":"m"}]"#, &[]);
    }

    #[test]
    fn what_is_no_pack_is_refused() {
        let read = |payload: &str| records(payload.as_bytes(), Time(0), &mut |_| {});
        for payload in [
            "{}",
            "[1]",
            "",
            r#"[{"n":"a","v":1}"#,
            r#"[{"n":5,"v":1}]"#,
            r#"[{"n":"a","v":1,"mine_":2}]"#,
            r#"[{"n":"a","v":1,"bver":11}]"#,
        ] {
            assert_eq!(read(payload), Err(Refusal::Malformed), "{payload}");
        }
        let many = format!("[{}{{}}]", "{},".repeat(RECORDS_MAX));
        assert_eq!(read(&many), Err(Refusal::OverLimit));
        assert_eq!(read(&format!(r#"[{{"n":"{}","v":1}}]"#, "n".repeat(2_000))), Err(Refusal::OverLimit));
    }

    #[test]
    fn units_of_both_registries() {
        for (name, ours) in [("J", "J"), ("W", "kW"), ("kWh", "MJ"), ("l", "m3"), ("m3/s", "L/min"), ("g", "t")] {
            let dimension = Unit::parse(ours).unwrap().dimension;
            assert_eq!(unit(name).map(|unit| unit.dimension), Some(dimension), "{name}");
        }
        assert_eq!(unit("V"), None);
    }
}
