//! The bytes of a Sparkplug B payload (specification 3.0, section 6.4): protocol buffers, of which we read what a meter says.
//!
//! A payload is gone through metric by metric, so that nothing is held of those that nobody wants.

use bytes::Buf;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};

use crate::decode::Refusal;
use crate::decode::number::{Notation, from_f32, from_f64};
use crate::quantity::{Decimal, Time};

/// A payload holds no more metrics.
const METRICS_MAX: usize = 20_000;

/// Field 1, of a length that follows.
const NAME_KEY: u8 = 1 << 3 | 2;

/// One metric; its value is in one of the last six.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub properties: Option<PropertySet>,
    #[prost(uint32, optional, tag = "10")]
    pub int_value: Option<u32>,
    #[prost(uint64, optional, tag = "11")]
    pub long_value: Option<u64>,
    #[prost(float, optional, tag = "12")]
    pub float_value: Option<f32>,
    #[prost(double, optional, tag = "13")]
    pub double_value: Option<f64>,
    #[prost(bool, optional, tag = "14")]
    pub boolean_value: Option<bool>,
    #[prost(string, optional, tag = "15")]
    pub string_value: Option<String>,
}

/// Properties of a metric, such as its unit.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<PropertyValue>,
}

/// A property; only texts are read.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PropertyValue {
    #[prost(string, optional, tag = "8")]
    pub string_value: Option<String>,
}

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// When it was made.
    pub timestamp: Option<Time>,
    /// Counts a gateway's messages, from 0 to 255 and again.
    pub seq: Option<u8>,
}

/// The payload's own fields; they may stand behind the metrics. An error: not a payload, or too much in it.
pub(crate) fn head(payload: &[u8]) -> Result<Head, Refusal> {
    let mut head = Head::default();
    let mut metrics = 0;
    fields(payload, |field| {
        match field {
            Field::Number(1, value) => head.timestamp = time(value),
            Field::Number(3, value) => head.seq = u8::try_from(value).ok(),
            Field::Metric(_) => metrics += 1,
            Field::Number(..) => {}
        }
        if metrics > METRICS_MAX { Err(Refusal::OverLimit) } else { Ok(()) }
    })?;
    Ok(head)
}

/// Calls `each` with every metric and its name, which stands in front as a rule and is not copied then.
pub(crate) fn metrics(payload: &[u8], mut each: impl FnMut(Option<&str>, &Metric)) -> Result<(), Refusal> {
    let mut metric = Metric::default();
    fields(payload, |field| {
        if let Field::Metric(bytes) = field {
            let (name, rest) = leading_name(bytes)?;
            metric.clear();
            metric.merge(rest).map_err(|_| Refusal::Malformed)?;
            each(metric.name.as_deref().or(name), &metric);
        }
        Ok(())
    })
}

fn leading_name(bytes: &[u8]) -> Result<(Option<&str>, &[u8]), Refusal> {
    let Some(mut rest) = bytes.strip_prefix(&[NAME_KEY]) else {
        return Ok((None, bytes));
    };
    let length = decode_varint(&mut rest).ok().and_then(|length| usize::try_from(length).ok());
    let (name, behind) = length.and_then(|length| rest.split_at_checked(length)).ok_or(Refusal::Malformed)?;
    Ok((Some(std::str::from_utf8(name).map_err(|_| Refusal::Malformed)?), behind))
}

/// The command that asks a gateway to be born again (section 6.4.21).
pub(crate) fn rebirth(now: Time) -> Vec<u8> {
    let metric = Metric {
        name: Some("Node Control/Rebirth".to_owned()),
        timestamp: u64::try_from(now.0).ok(),
        datatype: Some(BOOLEAN),
        boolean_value: Some(true),
        ..Metric::default()
    };
    let mut bytes = Vec::new();
    encode_key(1, WireType::Varint, &mut bytes);
    encode_varint(metric.timestamp.unwrap_or(0), &mut bytes);
    encode_key(2, WireType::LengthDelimited, &mut bytes);
    encode_varint(metric.encoded_len() as u64, &mut bytes);
    // Writing to a vector cannot fail.
    let _ = metric.encode(&mut bytes);
    bytes
}

/// A time of the wire. `None`: absurd.
pub(crate) fn time(ms: u64) -> Option<Time> {
    i64::try_from(ms).ok().map(Time).and_then(Time::checked)
}

enum Field<'a> {
    Number(u32, u64),
    Metric(&'a [u8]),
}

fn fields<'a>(payload: &'a [u8], mut each: impl FnMut(Field<'a>) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut rest = payload;
    while rest.has_remaining() {
        let (tag, wire) = decode_key(&mut rest).map_err(|_| Refusal::Malformed)?;
        match (tag, wire) {
            (2, WireType::LengthDelimited) => {
                let length = decode_varint(&mut rest).map_err(|_| Refusal::Malformed)?;
                let length = usize::try_from(length).map_err(|_| Refusal::Malformed)?;
                let (metric, behind) = rest.split_at_checked(length).ok_or(Refusal::Malformed)?;
                rest = behind;
                each(Field::Metric(metric))?;
            }
            (1 | 3, WireType::Varint) => {
                let value = decode_varint(&mut rest).map_err(|_| Refusal::Malformed)?;
                each(Field::Number(tag, value))?;
            }
            _ => skip_field(wire, tag, &mut rest, DecodeContext::default()).map_err(|_| Refusal::Malformed)?,
        }
    }
    Ok(())
}

impl Metric {
    /// Its number. Whole numbers travel without a sign; the datatype says whether they have one.
    pub(crate) fn number(&self, datatype: u32, notation: &Notation) -> Result<Decimal, Refusal> {
        if self.is_null == Some(true) {
            return Err(Refusal::NullValue);
        }
        let whole = |value: i128| Decimal::new(value, 0).ok_or(Refusal::OutOfRange);
        let number = if let Some(value) = self.double_value {
            from_f64(value).ok_or(Refusal::NotANumber)
        } else if let Some(value) = self.float_value {
            from_f32(value).ok_or(Refusal::NotANumber)
        } else if let Some(value) = self.int_value {
            whole(match datatype {
                INT8 => i128::from(value as i8),
                INT16 => i128::from(value as i16),
                INT32 => i128::from(value as i32),
                // Whether it has a sign is not known.
                UNKNOWN if value > i32::MAX as u32 => return Err(Refusal::NoBirth),
                _ => i128::from(value),
            })
        } else if let Some(value) = self.long_value {
            match datatype {
                INT8 => whole(i128::from(value as i8)),
                INT16 => whole(i128::from(value as i16)),
                INT32 => whole(i128::from(value as i32)),
                INT64 => whole(i128::from(value as i64)),
                DATE_TIME => Err(Refusal::NotANumber),
                UNKNOWN if value > i64::MAX as u64 => Err(Refusal::NoBirth),
                _ => whole(i128::from(value)),
            }
        } else if let Some(value) = &self.string_value {
            return notation.read(value);
        } else if self.boolean_value.is_some() {
            Err(Refusal::NotANumber)
        } else {
            Err(Refusal::MissingValue)
        };
        notation.unless_null(number?)
    }

    /// The unit that the gateway states.
    pub(crate) fn unit(&self) -> Option<&str> {
        let set = self.properties.as_ref()?;
        let at = set.keys.iter().position(|key| key.eq_ignore_ascii_case("engUnit"))?;
        set.values.get(at)?.string_value.as_deref()
    }
}

// Datatypes of the specification, section 6.4.16.
const UNKNOWN: u32 = 0;
const INT8: u32 = 1;
const INT16: u32 = 2;
const INT32: u32 = 3;
const INT64: u32 = 4;
const BOOLEAN: u32 = 11;
const DATE_TIME: u32 = 13;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A payload as a gateway writes it.
    pub(crate) fn payload(timestamp: u64, seq: Option<u64>, metrics: &[Metric]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_key(1, WireType::Varint, &mut bytes);
        encode_varint(timestamp, &mut bytes);
        for metric in metrics {
            encode_key(2, WireType::LengthDelimited, &mut bytes);
            encode_varint(metric.encoded_len() as u64, &mut bytes);
            metric.encode(&mut bytes).unwrap();
        }
        if let Some(seq) = seq {
            encode_key(3, WireType::Varint, &mut bytes);
            encode_varint(seq, &mut bytes);
        }
        bytes
    }

    #[test]
    fn a_payload_is_gone_through_metric_by_metric() {
        let metric = Metric { alias: Some(7), double_value: Some(1.5), ..Metric::default() };
        let bytes = payload(1_486_144_502_122, Some(255), &[metric.clone(), metric]);
        let timestamp = Some(Time(1_486_144_502_122));
        assert_eq!(head(&bytes), Ok(Head { timestamp, seq: Some(255) }));
        let mut seen = 0;
        metrics(&bytes, |_, metric| seen += metric.alias.unwrap_or(0)).unwrap();
        assert_eq!(seen, 14);
    }

    #[test]
    fn whole_numbers_get_their_sign_from_the_datatype() {
        let check = |metric: Metric, datatype, expected: Result<&str, Refusal>| {
            let number = metric.number(datatype, &Notation::default()).map(|number| number.to_string());
            assert_eq!(number, expected.map(str::to_owned));
        };
        let int = |value| Metric { int_value: Some(value), ..Metric::default() };
        check(int(u32::MAX), UNKNOWN, Err(Refusal::NoBirth));
        check(int(7), UNKNOWN, Ok("7"));
        check(int(u32::MAX), INT32, Ok("-1"));
        check(int(u32::MAX), 7, Ok("4294967295"));
        check(int(0xff), INT8, Ok("-1"));
        check(Metric { long_value: Some(u64::MAX), ..Metric::default() }, INT64, Ok("-1"));
        check(Metric { long_value: Some(u64::MAX), ..Metric::default() }, 8, Ok("18446744073709551615"));
        check(Metric { float_value: Some(412.5), ..Metric::default() }, 9, Ok("412.5"));
        check(Metric { double_value: Some(f64::NAN), ..Metric::default() }, 10, Err(Refusal::NotANumber));
        check(Metric { boolean_value: Some(true), ..Metric::default() }, 11, Err(Refusal::NotANumber));
        check(Metric { is_null: Some(true), ..int(5) }, INT32, Err(Refusal::NullValue));
        check(Metric::default(), INT32, Err(Refusal::MissingValue));
    }

    #[test]
    fn a_command_is_a_payload_with_one_metric() {
        let bytes = rebirth(Time(1_767_225_600_000));
        assert_eq!(head(&bytes), Ok(Head { timestamp: Some(Time(1_767_225_600_000)), seq: None }));
        let mut seen = Vec::new();
        metrics(&bytes, |name, metric| seen.push((name.map(str::to_owned), metric.boolean_value))).unwrap();
        assert_eq!(seen, [(Some("Node Control/Rebirth".to_owned()), Some(true))]);
    }

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        // Alias 7 and name "ab", in both orders.
        for metric in [&b"\x0a\x02ab\x10\x07"[..], b"\x10\x07\x0a\x02ab"] {
            let bytes = [&[0x12, metric.len() as u8], metric].concat();
            let mut seen = Vec::new();
            metrics(&bytes, |name, metric| seen.push((name.map(str::to_owned), metric.alias))).unwrap();
            assert_eq!(seen, [(Some("ab".to_owned()), Some(7))]);
        }
        for metric in [&b"\x0a\x05ab"[..], b"\x0a", b"\x0a\x01\xff"] {
            let bytes = [&[0x12, metric.len() as u8], metric].concat();
            assert_eq!(metrics(&bytes, |_, _| {}), Err(Refusal::Malformed), "{metric:?}");
        }
    }

    #[test]
    fn what_is_no_payload_or_too_much_is_refused() {
        for bytes in [&b"\x12\x05ab"[..], b"\x0a", b"{\"seq\":1}", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(head(bytes), Err(Refusal::Malformed), "{bytes:?}");
        }
        assert_eq!(head(&b"\x12\x00".repeat(METRICS_MAX + 1)), Err(Refusal::OverLimit));
    }
}
