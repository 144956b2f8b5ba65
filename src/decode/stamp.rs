//! The time a reading carries, in the forms devices write it.

use jiff::civil::DateTime;

use crate::decode::{Refusal, number};
use crate::quantity::{Decimal, Ratio, Time, Zone};

/// The form of a device's time.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeFormat {
    /// Milliseconds since 1970.
    Milliseconds,
    /// Seconds since 1970, with or without a fraction.
    Seconds,
    /// RFC 3339 with an offset.
    Rfc3339,
    /// Date and time of day in a zone, without an offset.
    Local(Zone),
    /// The device sends no time; the time of receipt stands in.
    Received,
}

impl TimeFormat {
    /// Reads `ms`, `s`, `rfc3339`, `local:ZONE` or `none`.
    pub fn parse(text: &str) -> Option<TimeFormat> {
        match text {
            "ms" => Some(TimeFormat::Milliseconds),
            "s" => Some(TimeFormat::Seconds),
            "rfc3339" => Some(TimeFormat::Rfc3339),
            "none" => Some(TimeFormat::Received),
            _ => text.strip_prefix("local:").and_then(Zone::parse).map(TimeFormat::Local),
        }
    }

    /// The instant that `text` names.
    pub(crate) fn read(&self, text: &str, received: Time) -> Result<Time, Refusal> {
        let time = match self {
            TimeFormat::Received => Some(received),
            TimeFormat::Milliseconds => scaled(text, 1)?,
            TimeFormat::Seconds => scaled(text, 1_000)?,
            TimeFormat::Rfc3339 => Time::parse_rfc3339(text),
            TimeFormat::Local(zone) => local(text, zone, received),
        };
        time.and_then(Time::checked).ok_or(Refusal::BadTime)
    }
}

fn scaled(text: &str, ms: i128) -> Result<Option<Time>, Refusal> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(whole.checked_mul(ms as i64).map(Time));
    }
    let value: Decimal = number::parse(text).map_err(|_| Refusal::BadTime)?;
    let exact = Ratio::from_decimal(value).and_then(|v| v.of(ms));
    Ok(exact.and_then(|v| i64::try_from(v).ok()).map(Time))
}

/// In the hour that a clock change repeats, the instant nearer to the receipt is meant.
fn local(text: &str, zone: &Zone, received: Time) -> Option<Time> {
    let civil: DateTime = text.trim().parse().ok()?;
    let ambiguous = zone.inner().to_ambiguous_timestamp(civil);
    let earlier = Time(ambiguous.earlier().ok()?.as_millisecond());
    let later = Time(ambiguous.later().ok()?.as_millisecond());
    let distance = |t: Time| received.since(t).0.abs();
    Some(if distance(later) < distance(earlier) { later } else { earlier })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, text: &str, expected: Result<&str, Refusal>) {
        let received = Time::parse_rfc3339("2026-10-25T01:31:00Z").unwrap();
        let read = TimeFormat::parse(format).unwrap().read(text, received);
        assert_eq!(read.map(|t| t.to_string()), expected.map(str::to_owned), "{format} {text}");
    }

    #[test]
    fn the_forms_devices_write() {
        check("ms", "1767225600000", Ok("2026-01-01T00:00:00Z"));
        check("s", "1767225600.5", Ok("2026-01-01T00:00:00.500Z"));
        check("s", "1.7672256e9", Ok("2026-01-01T00:00:00Z"));
        check("rfc3339", "2026-01-01T01:00:00+01:00", Ok("2026-01-01T00:00:00Z"));
        check("local:Asia/Seoul", "2018-01-01 00:15", Ok("2017-12-31T15:15:00Z"));
        check("ms", "soon", Err(Refusal::BadTime));
        check("ms", "99999999999999999", Err(Refusal::BadTime));
        check("rfc3339", "2026-01-01T01:00:00", Err(Refusal::BadTime));
    }

    #[test]
    fn the_repeated_hour_is_the_one_nearer_to_receipt() {
        check("local:Europe/Paris", "2026-10-25T02:30:00", Ok("2026-10-25T01:30:00Z"));
    }
}
