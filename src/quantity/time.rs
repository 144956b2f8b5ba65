//! Instants and spans in milliseconds, and the clock quarter of UTC: the unit of rounding and storage.

use std::fmt;

use jiff::Timestamp;

/// A quarter-hour, in milliseconds.
pub const QUARTER_MS: i64 = 900_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

/// The number of a clock quarter since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter(pub i32);

impl Time {
    /// The earliest instant accepted anywhere: 1900-01-01.
    pub const MIN: Time = Time(-2_208_988_800_000);
    /// The latest instant accepted anywhere: 2200-01-01.
    pub const MAX: Time = Time(7_258_118_400_000);

    /// Reads RFC 3339. `None`: malformed, or outside [`Time::MIN`] to [`Time::MAX`].
    pub fn parse_rfc3339(text: &str) -> Option<Time> {
        let instant: Timestamp = text.trim().parse().ok()?;
        Time(instant.as_millisecond()).checked()
    }

    /// `None` outside [`Time::MIN`] to [`Time::MAX`].
    pub fn checked(self) -> Option<Time> {
        (Time::MIN..=Time::MAX).contains(&self).then_some(self)
    }

    /// The quarter that holds this instant.
    pub fn quarter(self) -> Quarter {
        let quarter = self.0.div_euclid(QUARTER_MS).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        Quarter(quarter as i32)
    }

    /// This instant, later by `span`.
    pub fn plus(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }

    /// This instant, earlier by `span`.
    pub fn minus(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }

    /// The time from `earlier` to this instant.
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0.clamp(Time::MIN.0, Time::MAX.0)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// RFC 3339 in UTC; milliseconds only when they are not nought.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = self.timestamp();
        let digits = if self.0 % 1_000 == 0 { 0 } else { 3 };
        write!(f, "{stamp:.digits$}")
    }
}

impl Span {
    /// `n` seconds.
    pub const fn seconds(n: i64) -> Span {
        Span(n * 1_000)
    }

    /// `n` minutes.
    pub const fn minutes(n: i64) -> Span {
        Span(n * 60_000)
    }

    /// `n` days of 24 hours.
    pub const fn days(n: i64) -> Span {
        Span(n * 86_400_000)
    }

    /// Reads `"100ms" "10s" "15m" "1h" "7d" "20y"`; a year is 365.25 days. `None`: no such duration.
    pub fn parse(text: &str) -> Option<Span> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "y" => 31_557_600_000,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(unit_ms).map(Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.iter().find(|(ms, _)| self.0 != 0 && self.0 % ms == 0) {
            Some((ms, unit)) => write!(f, "{}{unit}", self.0 / ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl Quarter {
    /// The instant the quarter begins.
    pub fn start(self) -> Time {
        Time(i64::from(self.0) * QUARTER_MS)
    }

    /// The instant the quarter ends; not part of it.
    pub fn end(self) -> Time {
        self.next().start()
    }

    /// The quarter after this one.
    pub fn next(self) -> Quarter {
        Quarter(self.0.saturating_add(1))
    }

    /// The quarter before this one.
    pub fn previous(self) -> Quarter {
        Quarter(self.0.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        for text in ["10s", "15m", "1h", "7d", "250ms"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("20y"), Some(Span(631_152_000_000)));
        for text in ["", "10", "s", "1 week", "-5s", "1.5h"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn instants_print_in_utc() {
        let time = Time::parse_rfc3339("2026-01-01T01:00:00+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(Time(time.0 + 5).to_string(), "2026-01-01T00:00:00.005Z");
        assert_eq!(Time(-1).quarter(), Quarter(-1));
        assert_eq!(Time(i64::MIN).quarter(), Quarter(i32::MIN));
        assert_eq!(Time(i64::MAX).quarter(), Quarter(i32::MAX));
    }
}
