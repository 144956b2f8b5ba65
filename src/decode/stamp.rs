//! The time a reading carries, in the forms devices write it.

use jiff::civil::DateTime;
use jiff::fmt::strtime;

use crate::decode::{Notation, Refusal};
use crate::quantity::{Ratio, Time, Zone};

/// The form of a device's time.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeFormat {
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970; cut to milliseconds.
    Microseconds,
    /// Nanoseconds since 1970; cut to milliseconds.
    Nanoseconds,
    /// Seconds since 1970, with or without a fraction.
    Seconds,
    /// RFC 3339 with an offset.
    Rfc3339,
    /// RFC 3339, or s, ms, us or ns since 1970, which their size tells apart: from 1973 to 5138 no two of them overlap.
    Auto,
    /// Date and time of day in a zone, without an offset.
    Local(Zone),
    /// By a pattern such as `%d.%m.%Y %H:%M:%S`, in a zone unless it holds an offset.
    Pattern(String, Zone),
    /// The device sends no time; the time of receipt stands in.
    Received,
}

impl TimeFormat {
    /// Reads `ms`, `us`, `ns`, `s`, `rfc3339`, `auto`, `local:ZONE` or `none`.
    pub fn parse(text: &str) -> Option<TimeFormat> {
        match text {
            "ms" => Some(TimeFormat::Milliseconds),
            "us" => Some(TimeFormat::Microseconds),
            "ns" => Some(TimeFormat::Nanoseconds),
            "s" => Some(TimeFormat::Seconds),
            "rfc3339" => Some(TimeFormat::Rfc3339),
            "auto" => Some(TimeFormat::Auto),
            "none" => Some(TimeFormat::Received),
            _ => text.strip_prefix("local:").and_then(Zone::parse).map(TimeFormat::Local),
        }
    }

    /// Reads a pattern of `strftime`. An error says what is wrong with it.
    pub fn pattern(text: &str, zone: Zone) -> Result<TimeFormat, String> {
        // Whatever it writes, it must read.
        let sample = Time(1_000_000_000_000);
        let written = zone.text(text, sample);
        let format = TimeFormat::Pattern(text.to_owned(), zone);
        match format.read(&written, sample) {
            Ok(_) => Ok(format),
            Err(_) => Err("it does not hold a whole date and time".to_owned()),
        }
    }

    /// The instant that `text` names.
    pub(crate) fn read(&self, text: &str, received: Time) -> Result<Time, Refusal> {
        let time = match self {
            TimeFormat::Received => Some(received),
            TimeFormat::Milliseconds => scaled(text, 1, 1)?,
            TimeFormat::Microseconds => scaled(text, 1, 1_000)?,
            TimeFormat::Nanoseconds => scaled(text, 1, 1_000_000)?,
            TimeFormat::Seconds => scaled(text, 1_000, 1)?,
            TimeFormat::Rfc3339 => Time::parse_rfc3339(text),
            TimeFormat::Auto => match text.trim().parse::<f64>().map(f64::abs) {
                Ok(number) if number < 1e11 => scaled(text, 1_000, 1)?,
                Ok(number) if number < 1e14 => scaled(text, 1, 1)?,
                Ok(number) if number < 1e17 => scaled(text, 1, 1_000)?,
                Ok(_) => scaled(text, 1, 1_000_000)?,
                Err(_) => Time::parse_rfc3339(text),
            },
            TimeFormat::Local(zone) => text.trim().parse().ok().and_then(|civil| local(civil, zone, received)),
            TimeFormat::Pattern(pattern, zone) => patterned(text, pattern, zone, received),
        };
        time.and_then(Time::checked).ok_or(Refusal::BadTime)
    }
}

/// `text x ms / per` milliseconds, cut to whole ones.
fn scaled(text: &str, ms: i64, per: i64) -> Result<Option<Time>, Refusal> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(whole.checked_mul(ms).map(|whole| Time(whole.div_euclid(per))));
    }
    let value = Notation::default().read(text).map_err(|_| Refusal::BadTime)?;
    let exact = Ratio::from_decimal(value).and_then(|v| v.of(i128::from(ms)));
    Ok(exact.and_then(|v| i64::try_from(v.div_euclid(i128::from(per))).ok()).map(Time))
}

fn patterned(text: &str, pattern: &str, zone: &Zone, received: Time) -> Option<Time> {
    let broken = strtime::parse(pattern, text.trim()).ok()?;
    match broken.to_timestamp() {
        Ok(instant) => Some(Time(instant.as_millisecond())),
        Err(_) => local(broken.to_datetime().ok()?, zone, received),
    }
}

/// In the hour that a clock change repeats, the instant nearer to the receipt is meant.
fn local(civil: DateTime, zone: &Zone, received: Time) -> Option<Time> {
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
        check("us", "1767225600000999", Ok("2026-01-01T00:00:00Z"));
        check("ns", "1653579140440951943", Ok("2022-05-26T15:32:20.440Z"));
        check("rfc3339", "2022-07-18T09:34:15.775023242+00:00", Ok("2022-07-18T09:34:15.775Z"));
        check("rfc3339", "2025-10-15T19:10:57+0200", Ok("2025-10-15T17:10:57Z"));
        for text in
            ["1767225600", "1767225600000", "1767225600000000", "1767225600000000000", "2026-01-01T01:00:00+01:00"]
        {
            check("auto", text, Ok("2026-01-01T00:00:00Z"));
        }
        check("auto", "nan", Err(Refusal::BadTime));
        check("ms", "soon", Err(Refusal::BadTime));
        check("ms", "99999999999999999", Err(Refusal::BadTime));
        check("rfc3339", "2026-01-01T01:00:00", Err(Refusal::BadTime));
    }

    #[test]
    fn patterns() {
        let zone = || Zone::parse("Europe/Paris").unwrap();
        let read = |pattern: &str, text: &str| {
            TimeFormat::pattern(pattern, zone()).unwrap().read(text, Time(0)).map(|time| time.to_string())
        };
        assert_eq!(read("%d.%m.%Y %H:%M:%S", "31.12.2025 23:15:00").as_deref(), Ok("2025-12-31T22:15:00Z"));
        assert_eq!(read("%Y%m%d%H%M%S%z", "20251231231500+0000").as_deref(), Ok("2025-12-31T23:15:00Z"));
        assert_eq!(read("%d.%m.%Y %H:%M", "soon"), Err(Refusal::BadTime));
        for pattern in ["%H:%M", "%Q %d", "no"] {
            assert!(TimeFormat::pattern(pattern, zone()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_repeated_hour_is_the_one_nearer_to_receipt() {
        check("local:Europe/Paris", "2026-10-25T02:30:00", Ok("2026-10-25T01:30:00Z"));
    }
}
