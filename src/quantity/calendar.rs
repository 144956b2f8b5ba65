//! Windows of the calendar in a time zone: minutes and quarters of UTC, local hours, days, months, years.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::quantity::{QUARTER_MS, Span, Time};

/// The lengths of window a rollup is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// A clock minute.
    Minute,
    /// A clock quarter of UTC.
    Quarter,
    /// A local hour.
    Hour,
    /// A local day: 23, 24 or 25 hours.
    Day,
    /// A local month.
    Month,
    /// A local year.
    Year,
}

impl Window {
    /// From the shortest to the longest.
    pub const ALL: [Window; 6] =
        [Window::Minute, Window::Quarter, Window::Hour, Window::Day, Window::Month, Window::Year];

    /// As written in configuration, entries and tags.
    pub fn name(self) -> &'static str {
        match self {
            Window::Minute => "1m",
            Window::Quarter => "15m",
            Window::Hour => "1h",
            Window::Day => "1d",
            Window::Month => "1mo",
            Window::Year => "1y",
        }
    }

    /// Reads [`Window::name`].
    pub fn parse(text: &str) -> Option<Window> {
        Window::ALL.into_iter().find(|w| w.name() == text)
    }

    /// The least it can last.
    pub fn shortest(self) -> Span {
        match self {
            Window::Minute => Span::minutes(1),
            Window::Quarter => Span::minutes(15),
            Window::Hour => Span::minutes(60),
            Window::Day => Span::minutes(23 * 60),
            Window::Month => Span::days(28),
            Window::Year => Span::days(365),
        }
    }

    /// The window whose sum makes this one. `None` for minutes and quarters, which come from the meters.
    pub fn child(self) -> Option<Window> {
        match self {
            Window::Minute | Window::Quarter => None,
            Window::Hour => Some(Window::Quarter),
            Window::Day => Some(Window::Hour),
            Window::Month => Some(Window::Day),
            Window::Year => Some(Window::Month),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An IANA time zone, from the database compiled into the binary.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// Looks up an IANA name such as `Europe/Paris`.
    pub fn parse(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Local date and time of day without an offset, as devices write it.
    pub fn local_text(&self, time: Time) -> String {
        self.0.to_datetime(time.timestamp()).to_string()
    }

    /// The local date and time in a `strftime` form. Empty: the form is none.
    pub fn text(&self, form: &str, time: Time) -> String {
        jiff::fmt::strtime::format(form, &time.timestamp().to_zoned_datetime(self.0.clone())).unwrap_or_default()
    }

    /// The instant of a local date and time written in a `strftime` form; missing hours, minutes and seconds are nought.
    pub fn parse_local(&self, form: &str, text: &str) -> Option<Time> {
        let parsed = jiff::fmt::strtime::parse(form, text).ok()?;
        let date = parsed.to_date().ok()?;
        let clock = |part: Option<i8>| part.unwrap_or(0);
        let civil = date.at(clock(parsed.hour()), clock(parsed.minute()), clock(parsed.second()), 0);
        let zoned = self.0.to_timestamp(civil).ok()?;
        Time(zoned.as_millisecond()).checked()
    }

    pub(crate) fn inner(&self) -> &TimeZone {
        &self.0
    }

    fn offset_ms(&self, time: Time) -> i64 {
        i64::from(self.0.to_offset(time.timestamp()).seconds()) * 1_000
    }

    fn date(&self, time: Time) -> Date {
        self.0.to_datetime(time.timestamp()).date()
    }

    fn midnight(&self, date: Date) -> Time {
        let start = date.to_zoned_datetime(self.0.clone()).map(|z| z.timestamp().as_millisecond());
        Time(start.unwrap_or(Time::MAX.0))
    }

    /// The instant the local day `year-month-day` begins. `None`: no such day.
    pub fn day(&self, year: i16, month: i8, day: i8) -> Option<Time> {
        Date::new(year, month, day).ok().map(|date| self.midnight(date))
    }

    /// The instant the local day written `2026-01-31` begins, and the instant it ends.
    pub fn day_of_text(&self, text: &str) -> Option<(Time, Time)> {
        let text = text.trim();
        // The parser would take a time of day as well, and leave it out.
        let date: Date = (text.len() == "2026-01-31".len()).then(|| text.parse().ok())??;
        Some((self.midnight(date), self.midnight(date.tomorrow().ok()?)))
    }

    /// The local month, from 0.
    pub fn month(&self, time: Time) -> usize {
        usize::try_from(self.date(time).month() - 1).unwrap_or(0)
    }

    /// The local year.
    pub fn year(&self, time: Time) -> i16 {
        self.date(time).year()
    }

    /// The local hour of the week, from Monday 00:00.
    pub fn hour_of_week(&self, time: Time) -> usize {
        let local = self.0.to_datetime(time.timestamp());
        let hour = 24 * i32::from(local.weekday().to_monday_zero_offset()) + i32::from(local.hour());
        usize::try_from(hour).unwrap_or(0)
    }

    /// The start of the window of length `window` that holds `time`.
    pub fn start(&self, window: Window, time: Time) -> Time {
        match window {
            Window::Minute => Time(time.0.div_euclid(60_000) * 60_000),
            Window::Quarter => Time(time.0.div_euclid(QUARTER_MS) * QUARTER_MS),
            Window::Hour => self.hour_start(time),
            Window::Day => self.midnight(self.date(time)),
            Window::Month => self.midnight(self.date(time).first_of_month()),
            Window::Year => self.midnight(self.date(time).first_of_year()),
        }
    }

    /// The end (exclusive) of the window of length `window` that begins at `start`.
    pub fn end(&self, window: Window, start: Time) -> Time {
        match window {
            Window::Minute => Time(start.0 + 60_000),
            Window::Quarter => Time(start.0 + QUARTER_MS),
            Window::Hour => self.hour_end(start),
            Window::Day => self.midnight(step(self.date(start), 1.day())),
            Window::Month => self.midnight(step(self.date(start).first_of_month(), 1.month())),
            Window::Year => self.midnight(step(self.date(start).first_of_year(), 1.year())),
        }
    }

    /// The window of length `window` that holds `time`: its start and its end.
    pub fn around(&self, window: Window, time: Time) -> (Time, Time) {
        let start = self.start(window, time);
        (start, self.end(window, start))
    }

    /// The window of `other` that carries the same local date as the one beginning at `start` here.
    /// Days, months and years only: the network adds its clusters' local periods of one date.
    pub fn same_date(&self, start: Time, other: &Zone) -> Time {
        other.midnight(self.date(start))
    }

    /// A change of offset inside an hour cuts it in two, so that no hour ever overlaps another.
    fn hour_start(&self, time: Time) -> Time {
        let start = Time(time.0 - (time.0 + self.offset_ms(time)).rem_euclid(3_600_000));
        if self.offset_ms(start) == self.offset_ms(time) {
            return start;
        }
        let after = Timestamp::from_millisecond(time.0 + 1).unwrap_or(Timestamp::MAX);
        let change = self.0.preceding(after).next().map(|t| t.timestamp().as_millisecond());
        Time(change.unwrap_or(start.0).max(start.0))
    }

    fn hour_end(&self, start: Time) -> Time {
        let end = Time(start.0 + 3_600_000 - (start.0 + self.offset_ms(start)).rem_euclid(3_600_000));
        if self.offset_ms(Time(end.0 - 1)) == self.offset_ms(start) {
            return end;
        }
        let change = self.0.following(start.timestamp()).next().map(|t| t.timestamp().as_millisecond());
        Time(change.unwrap_or(end.0).min(end.0))
    }
}

fn step(date: Date, by: jiff::Span) -> Date {
    date.checked_add(by).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse_rfc3339(text).unwrap()
    }

    fn check(zone: &str, window: Window, at: &str, start: &str, end: &str) {
        let zone = Zone::parse(zone).unwrap();
        let begins = zone.start(window, time(at));
        assert_eq!(begins.to_string(), start, "start of {window} at {at}");
        assert_eq!(zone.end(window, begins).to_string(), end, "end of {window} at {at}");
    }

    #[test]
    fn a_day_is_a_date_and_nothing_more() {
        let zone = Zone::parse("Europe/Paris").unwrap();
        assert!(zone.day_of_text("2026-03-29").is_some_and(|(start, end)| end.since(start) == Span(23 * 3_600_000)));
        for text in ["2026-03-29 22:00", "2026-03-29T22:00", "20260329", "2026-02-30", ""] {
            assert_eq!(zone.day_of_text(text), None, "{text}");
        }
    }

    #[test]
    fn days_of_23_and_25_hours() {
        check("Europe/Paris", Window::Day, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check("Europe/Paris", Window::Day, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    }

    #[test]
    fn hours_in_zones_with_odd_offsets() {
        check("Asia/Kathmandu", Window::Hour, "2026-01-01T00:20:00Z", "2026-01-01T00:15:00Z", "2026-01-01T01:15:00Z");
        check("Asia/Kolkata", Window::Hour, "2026-01-01T00:20:00Z", "2025-12-31T23:30:00Z", "2026-01-01T00:30:00Z");
    }

    #[test]
    fn a_change_of_half_an_hour_cuts_an_hour_in_two() {
        // Lord Howe Island goes from +10:30 to +11 on 2026-10-04 at 02:00, which is 15:30Z.
        check(
            "Australia/Lord_Howe",
            Window::Hour,
            "2026-10-03T15:00:00Z",
            "2026-10-03T14:30:00Z",
            "2026-10-03T15:30:00Z",
        );
        check(
            "Australia/Lord_Howe",
            Window::Hour,
            "2026-10-03T15:40:00Z",
            "2026-10-03T15:30:00Z",
            "2026-10-03T16:00:00Z",
        );
    }

    #[test]
    fn windows_tile_a_year_without_gap_or_overlap() {
        for name in ["Europe/Paris", "America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"] {
            let zone = Zone::parse(name).unwrap();
            for window in [Window::Hour, Window::Day, Window::Month] {
                let mut start = zone.start(Window::Year, time("2026-06-01T00:00:00Z"));
                let year_end = zone.end(Window::Year, start);
                while start < year_end {
                    let end = zone.end(window, start);
                    assert!(end > start, "{name} {window} {start}");
                    assert_eq!(zone.start(window, start), start, "{name} {window}");
                    assert_eq!(zone.start(window, Time(end.0 - 1)), start, "{name} {window}");
                    start = end;
                }
                assert_eq!(start, year_end, "{name} {window}");
            }
        }
    }

    #[test]
    fn months_and_leap_years() {
        check("Asia/Shanghai", Window::Month, "2024-02-29T00:00:00Z", "2024-01-31T16:00:00Z", "2024-02-29T16:00:00Z");
        check("America/Chicago", Window::Year, "2026-01-01T05:59:59Z", "2025-01-01T06:00:00Z", "2026-01-01T06:00:00Z");
    }

    #[test]
    fn one_date_in_two_zones() {
        let chicago = Zone::parse("America/Chicago").unwrap();
        let start = Zone::UTC.same_date(time("2026-07-01T00:00:00Z"), &chicago);
        assert_eq!(start, time("2026-07-01T05:00:00Z"));
    }
}
