//! The bytes of a Sparkplug B payload (specification 3.0, section 6.4): protocol buffers, of which we read what a meter says.
//!
//! A payload is gone through metric by metric, so that nothing is held of those that nobody wants.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};

use crate::decode::Refusal;
use crate::decode::number::{Notation, from_f32, from_f64};
use crate::quantity::{Decimal, Time};

/// A payload holds no more metrics.
const METRICS_MAX: usize = 20_000;

/// One metric, whose texts stay in the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Metric<'a> {
    pub name: Option<&'a str>,
    pub alias: Option<u64>,
    /// Milliseconds since 1970.
    pub timestamp: Option<u64>,
    pub datatype: Option<u32>,
    is_null: bool,
    value: Option<Value<'a>>,
    /// All of it; properties are looked for where they are wanted.
    bytes: &'a [u8],
}

/// What a metric says. Whole numbers travel without a sign; the datatype says whether they have one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Text(&'a str),
    Boolean,
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
    for field in Fields(payload) {
        match field? {
            (1, Field::Varint(ms)) => head.timestamp = time(ms),
            (2, Field::Bytes(_)) => metrics += 1,
            (3, Field::Varint(seq)) => head.seq = u8::try_from(seq).ok(),
            _ => {}
        }
    }
    if metrics > METRICS_MAX { Err(Refusal::OverLimit) } else { Ok(head) }
}

/// The metrics of a payload.
pub(crate) fn metrics(payload: &[u8]) -> impl Iterator<Item = Result<Metric<'_>, Refusal>> {
    Fields(payload).filter_map(|field| match field {
        Ok((2, Field::Bytes(bytes))) => Some(Metric::read(bytes)),
        Ok(_) => None,
        Err(refusal) => Some(Err(refusal)),
    })
}

/// The command that asks a gateway to be born again (section 6.4.21).
pub(crate) fn rebirth(now: Time) -> Vec<u8> {
    let ms = u64::try_from(now.0).unwrap_or(0);
    let mut metric = Vec::new();
    put_bytes(1, b"Node Control/Rebirth", &mut metric);
    put_number(3, ms, &mut metric);
    put_number(4, u64::from(BOOLEAN), &mut metric);
    put_number(14, 1, &mut metric);
    let mut payload = Vec::new();
    put_number(1, ms, &mut payload);
    put_bytes(2, &metric, &mut payload);
    payload
}

fn put_number(tag: u32, value: u64, to: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, to);
    encode_varint(value, to);
}

fn put_bytes(tag: u32, bytes: &[u8], to: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// A time of the wire. `None`: absurd.
pub(crate) fn time(ms: u64) -> Option<Time> {
    i64::try_from(ms).ok().map(Time).and_then(Time::checked)
}

/// The numbered fields of a message of protocol buffers, one after the other.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// A group, which the format has given up.
    Group,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Refusal>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Refusal::Malformed))
    }
}

impl<'a> Fields<'a> {
    #[inline]
    fn read(&mut self) -> Option<(u32, Field<'a>)> {
        let (tag, wire) = self.key()?;
        let field = match wire {
            WireType::Varint => Field::Varint(self.varint()?),
            WireType::ThirtyTwoBit => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            WireType::SixtyFourBit => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            WireType::LengthDelimited => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            WireType::StartGroup | WireType::EndGroup => {
                skip_field(wire, tag, &mut self.0, DecodeContext::default()).ok()?;
                Field::Group
            }
        };
        Some((tag, field))
    }

    /// Keys and lengths are a byte each, as a rule.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Some(u64::from(*byte))
            }
            _ => decode_varint(&mut self.0).ok(),
        }
    }

    #[inline]
    fn key(&mut self) -> Option<(u32, WireType)> {
        match self.0 {
            [byte, rest @ ..] if (8..0x80).contains(byte) => {
                self.0 = rest;
                Some((u32::from(byte >> 3), WireType::try_from(u64::from(byte & 7)).ok()?))
            }
            _ => decode_key(&mut self.0).ok(),
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::Malformed)
}

impl<'a> Metric<'a> {
    fn read(bytes: &'a [u8]) -> Result<Metric<'a>, Refusal> {
        let mut metric = Metric { bytes, ..Metric::default() };
        for field in Fields(bytes) {
            match field? {
                (1, Field::Bytes(name)) => metric.name = Some(text(name)?),
                (2, Field::Varint(alias)) => metric.alias = Some(alias),
                (3, Field::Varint(ms)) => metric.timestamp = Some(ms),
                (4, Field::Varint(datatype)) => metric.datatype = Some(datatype as u32),
                (7, Field::Varint(is_null)) => metric.is_null = is_null != 0,
                (9, Field::Bytes(_)) => {}
                (10, Field::Varint(int)) => metric.value = Some(Value::Int(int as u32)),
                (11, Field::Varint(long)) => metric.value = Some(Value::Long(long)),
                (12, Field::Fixed32(float)) => metric.value = Some(Value::Float(f32::from_bits(float))),
                (13, Field::Fixed64(double)) => metric.value = Some(Value::Double(f64::from_bits(double))),
                (14, Field::Varint(_)) => metric.value = Some(Value::Boolean),
                (15, Field::Bytes(bytes)) => metric.value = Some(Value::Text(text(bytes)?)),
                // A set, a template, or of a kind to come: no number.
                (16..=18, _) => metric.value = None,
                // One of our own numbers, but of another kind.
                (1..=4 | 7 | 9..=15, _) => return Err(Refusal::Malformed),
                _ => {}
            }
        }
        Ok(metric)
    }

    /// Its number.
    pub(crate) fn number(&self, datatype: u32, notation: &Notation) -> Result<Decimal, Refusal> {
        if self.is_null {
            return Err(Refusal::NullValue);
        }
        let number = match self.value.ok_or(Refusal::MissingValue)? {
            Value::Double(value) => from_f64(value).ok_or(Refusal::NotANumber),
            Value::Float(value) => from_f32(value).ok_or(Refusal::NotANumber),
            // Whether it has a sign is not known.
            Value::Int(value) if datatype == UNKNOWN && value > i32::MAX as u32 => Err(Refusal::NoBirth),
            Value::Long(value) if datatype == UNKNOWN && value > i64::MAX as u64 => Err(Refusal::NoBirth),
            Value::Long(_) if datatype == DATE_TIME => Err(Refusal::NotANumber),
            Value::Int(value) => signed(u64::from(value), datatype),
            Value::Long(value) => signed(value, datatype),
            Value::Text(text) => return notation.read(text),
            Value::Boolean => Err(Refusal::NotANumber),
        };
        notation.unless_null(number?)
    }

    /// Its whole number, whatever the datatype; of births.
    pub(crate) fn count(&self) -> Option<u64> {
        match self.value {
            Some(Value::Int(value)) => Some(u64::from(value)),
            Some(Value::Long(value)) => Some(value),
            _ => None,
        }
    }

    /// The unit that the gateway states. An error: its properties are none.
    pub(crate) fn unit(&self) -> Result<Option<&'a str>, Refusal> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        // Repeated sets are one.
        for set in blocks(self.bytes, 9) {
            for field in Fields(set?) {
                match field? {
                    (1, Field::Bytes(key)) => keys.push(key),
                    (2, Field::Bytes(value)) => values.push(value),
                    (1 | 2, _) => return Err(Refusal::Malformed),
                    _ => {}
                }
            }
        }
        let at = keys.iter().position(|key| key.eq_ignore_ascii_case(b"engUnit"));
        let Some(value) = at.and_then(|at| values.get(at)) else {
            return Ok(None);
        };
        let last = blocks(value, 8).last().transpose()?;
        last.map(text).transpose()
    }
}

/// The blocks of one number.
fn blocks(bytes: &[u8], tag: u32) -> impl Iterator<Item = Result<&[u8], Refusal>> {
    Fields(bytes).filter_map(move |field| match field {
        Ok((found, Field::Bytes(bytes))) if found == tag => Some(Ok(bytes)),
        Ok((found, _)) if found == tag => Some(Err(Refusal::Malformed)),
        Ok(_) => None,
        Err(refusal) => Some(Err(refusal)),
    })
}

/// A whole number with the sign that its datatype gives it.
fn signed(value: u64, datatype: u32) -> Result<Decimal, Refusal> {
    let value = match datatype {
        INT8 => i128::from(value as i8),
        INT16 => i128::from(value as i16),
        INT32 => i128::from(value as i32),
        INT64 => i128::from(value as i64),
        _ => i128::from(value),
    };
    Decimal::new(value, 0).ok_or(Refusal::OutOfRange)
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
mod tests {
    use super::*;

    /// A payload of metrics in bytes.
    fn payload(timestamp: u64, metrics: &[Vec<u8>], seq: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(1, timestamp, &mut bytes);
        metrics.iter().for_each(|metric| put_bytes(2, metric, &mut bytes));
        put_number(3, seq, &mut bytes);
        bytes
    }

    fn numbers(fields: &[(u32, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        fields.iter().for_each(|(tag, value)| put_number(*tag, *value, &mut bytes));
        bytes
    }

    #[test]
    fn a_payload_is_gone_through_metric_by_metric() {
        let metric = || numbers(&[(2, 7), (3, 1_486_144_502_122), (4, 8), (11, 5)]);
        let bytes = payload(1_486_144_502_122, &[metric(), metric()], 255);
        let timestamp = Some(Time(1_486_144_502_122));
        assert_eq!(head(&bytes), Ok(Head { timestamp, seq: Some(255) }));
        let bytes_of_one = metric();
        let read = Metric {
            alias: Some(7),
            timestamp: Some(1_486_144_502_122),
            datatype: Some(8),
            value: Some(Value::Long(5)),
            bytes: &bytes_of_one,
            ..Metric::default()
        };
        assert_eq!(metrics(&bytes).collect::<Vec<_>>(), [Ok(read), Ok(read)]);
    }

    /// Bytes as the encoding lays them down, field by field.
    #[test]
    fn values_lie_where_the_specification_says() {
        let check = |bytes: &[u8], expected: Result<Option<Value<'_>>, Refusal>| {
            assert_eq!(Metric::read(bytes).map(|metric| metric.value), expected, "{bytes:x?}");
        };
        check(b"\x50\x05", Ok(Some(Value::Int(5))));
        // -1 is written in ten bytes, of which 32 bits count.
        check(b"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok(Some(Value::Int(u32::MAX))));
        check(b"\x58\x80\x01", Ok(Some(Value::Long(128))));
        check(b"\x65\x00\x40\xce\x43", Ok(Some(Value::Float(412.5))));
        check(b"\x69\x00\x00\x00\x00\x00\x00\xf8\x3f", Ok(Some(Value::Double(1.5))));
        check(b"\x70\x01", Ok(Some(Value::Boolean)));
        check(b"\x7a\x0212", Ok(Some(Value::Text("12"))));
        check(b"", Ok(None));
        // The last one of several holds, and a data set is none.
        check(b"\x50\x05\x58\x06", Ok(Some(Value::Long(6))));
        check(b"\x50\x05\x8a\x01\x00", Ok(None));
        // Unknown numbers of every kind, and a group, are passed over.
        check(
            b"\xa0\x01\x07\xa5\x01\x00\x00\x00\x00\xa1\x01\x00\x00\x00\x00\x00\x00\x00\x00\xa2\x01\x01x\x50\x05",
            Ok(Some(Value::Int(5))),
        );
        check(b"\xa3\x01\x08\x01\xa4\x01\x50\x05", Ok(Some(Value::Int(5))));
        for broken in
            [&b"\xa4\x01"[..], b"\xa3\x01", b"\x65\x00", b"\x69\x00", b"\x58", b"\x52\x00", b"\x7a\x02\xff\xff"]
        {
            check(broken, Err(Refusal::Malformed));
        }
    }

    #[test]
    fn whole_numbers_get_their_sign_from_the_datatype() {
        let check = |value: Option<Value<'_>>, datatype, expected: Result<&str, Refusal>| {
            let metric = Metric { value, ..Metric::default() };
            let number = metric.number(datatype, &Notation::default()).map(|number| number.to_string());
            assert_eq!(number, expected.map(str::to_owned), "{value:?}");
        };
        let int = |value| Some(Value::Int(value));
        check(int(u32::MAX), UNKNOWN, Err(Refusal::NoBirth));
        check(int(7), UNKNOWN, Ok("7"));
        check(int(u32::MAX), INT32, Ok("-1"));
        check(int(u32::MAX), 7, Ok("4294967295"));
        check(int(0xff), INT8, Ok("-1"));
        check(Some(Value::Long(u64::MAX)), INT64, Ok("-1"));
        check(Some(Value::Long(u64::MAX)), 8, Ok("18446744073709551615"));
        check(Some(Value::Long(u64::MAX)), UNKNOWN, Err(Refusal::NoBirth));
        check(Some(Value::Long(1_486_144_502_122)), DATE_TIME, Err(Refusal::NotANumber));
        check(Some(Value::Float(412.5)), 9, Ok("412.5"));
        check(Some(Value::Double(f64::NAN)), 10, Err(Refusal::NotANumber));
        check(Some(Value::Text("12.5")), 12, Ok("12.5"));
        check(Some(Value::Boolean), BOOLEAN, Err(Refusal::NotANumber));
        check(None, INT32, Err(Refusal::MissingValue));
        let null = Metric { is_null: true, value: int(5), ..Metric::default() };
        assert_eq!(null.number(INT32, &Notation::default()), Err(Refusal::NullValue));
    }

    #[test]
    fn a_command_is_a_payload_with_one_metric() {
        let time = b"\x80\xd0\xea\xb6\xb7\x33";
        let metric = [&b"\x0a\x14Node Control/Rebirth\x18"[..], time, b"\x20\x0b\x70\x01"].concat();
        let expected = [&b"\x08"[..], time, b"\x12", &[metric.len() as u8], &metric].concat();
        assert_eq!(rebirth(Time(1_767_225_600_000)), expected);
    }

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        // Alias 7 and name "ab", in both orders.
        for metric in [&b"\x0a\x02ab\x10\x07"[..], b"\x10\x07\x0a\x02ab"] {
            let read = Metric { name: Some("ab"), alias: Some(7), bytes: metric, ..Metric::default() };
            assert_eq!(Metric::read(metric), Ok(read));
        }
        for metric in [&b"\x0a\x05ab"[..], b"\x0a", b"\x0a\x01\xff", b"\x08\x05", b"\x15\x01\x02\x03\x04"] {
            assert_eq!(Metric::read(metric), Err(Refusal::Malformed), "{metric:?}");
        }
    }

    #[test]
    fn the_unit_is_among_the_properties() {
        let set = |units: &[(&[u8], &[u8])]| {
            let mut set = Vec::new();
            units.iter().for_each(|(key, _)| put_bytes(1, key, &mut set));
            for (_, unit) in units {
                let mut value = numbers(&[(1, 12)]);
                put_bytes(8, unit, &mut value);
                put_bytes(2, &value, &mut set);
            }
            set
        };
        let check = |sets: &[Vec<u8>], expected| {
            let mut bytes = Vec::new();
            sets.iter().for_each(|set| put_bytes(9, set, &mut bytes));
            assert_eq!(Metric::read(&bytes).unwrap().unit(), expected, "{bytes:x?}");
        };
        check(&[set(&[(b"Quality", b"good"), (b"engUnit", b"kWh")])], Ok(Some("kWh")));
        check(&[set(&[(b"EngUnit", b"MWh"), (b"Quality", b"good")])], Ok(Some("MWh")));
        check(&[set(&[(b"engUnit", b"t")]), set(&[(b"Quality", b"good")])], Ok(Some("t")));
        check(&[set(&[(b"Quality", b"good")])], Ok(None));
        check(&[b"\x0a\x07engUnit".to_vec()], Ok(None));
        check(&[], Ok(None));
        // A unit that cannot be read may be another than the declared one.
        check(&[b"\x0a\x07engUnit\x12\x05\x42\x01t".to_vec()], Err(Refusal::Malformed));
        check(&[b"\x0a\x07engUnit\x12\x02\x40\x01".to_vec()], Err(Refusal::Malformed));
        check(&[b"\xff".to_vec()], Err(Refusal::Malformed));
    }

    #[test]
    fn what_is_no_payload_or_too_much_is_refused() {
        for bytes in [&b"\x12\x05ab"[..], b"\x0a", b"{\"seq\":1}", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(head(bytes), Err(Refusal::Malformed), "{bytes:?}");
        }
        assert_eq!(head(&b"\x12\x00".repeat(METRICS_MAX + 1)), Err(Refusal::OverLimit));
    }
}
