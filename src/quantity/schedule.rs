//! When something is at work: days of the week and hours of the day, in local time.

use jiff::civil::{Date, Time as Clock};
use jiff::{Timestamp, ToSpan};

use crate::quantity::{Span, Time, Window, Zone};

/// Hours of some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shift {
    /// From Monday.
    days: [bool; 7],
    from: i64,
    to: i64,
}

/// The hours in which something is at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Vec<Shift>);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: i64 = 1_440;
/// A schedule has work within so many days.
const AHEAD: usize = 400;

impl Schedule {
    /// All the time.
    pub fn always() -> Schedule {
        Schedule::default()
    }

    /// Reads `"mon-fri 06:00-22:00, sat 06:00-14:00"`; without hours a day is whole, and hours alone are of every day. What
    /// ends before it begins goes on into the next day.
    pub fn parse(text: &str) -> Option<Schedule> {
        let shifts: Option<Vec<Vec<Shift>>> = text.split(',').map(shifts).collect();
        shifts.map(|shifts| Schedule(shifts.concat()))
    }

    /// When `lasting` of work has passed since `from`.
    pub fn after(&self, zone: &Zone, from: Time, lasting: Span) -> Time {
        if self.0.is_empty() {
            return from.plus(lasting);
        }
        let mut left = lasting.0;
        let mut day = zone.start(Window::Day, from);
        for _ in 0..AHEAD {
            for (start, end) in self.of_day(zone, day) {
                let worked = end.since(start.max(from)).0.max(0);
                if worked > left {
                    return Time(start.max(from).0 + left);
                }
                left -= worked;
            }
            day = zone.end(Window::Day, day);
        }
        Time::MAX
    }

    /// The hours of work in the local day that begins at `day`, in order.
    fn of_day(&self, zone: &Zone, day: Time) -> Vec<(Time, Time)> {
        let date = zone.inner().to_datetime(day.timestamp()).date();
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        let today = self.0.iter().filter(|shift| shift.days[weekday]);
        let mut hours: Vec<(Time, Time)> =
            today.map(|shift| (instant(zone, date, shift.from), instant(zone, date, shift.to))).collect();
        hours.sort_unstable();
        // What overlaps counts once.
        let mut last = Time::MIN;
        for hour in &mut hours {
            hour.0 = hour.0.max(last);
            last = last.max(hour.1);
        }
        hours
    }
}

/// The instant of a minute of a local day.
fn instant(zone: &Zone, date: Date, minute: i64) -> Time {
    let date = if minute >= DAY { date.saturating_add(1.day()) } else { date };
    let (hour, minute) = ((minute % DAY / 60) as i8, (minute % 60) as i8);
    let clock = Clock::new(hour, minute, 0, 0).unwrap_or_default();
    let wanted = date.to_datetime(clock);
    let Ok(at) = zone.inner().to_timestamp(wanted) else {
        return Time::MAX;
    };
    // What lies in the hour that the clock skips is where the clock was changed.
    let is_skipped = zone.inner().to_datetime(at) != wanted;
    let after = Timestamp::from_second(at.as_second() + 1).unwrap_or(at);
    let change = zone.inner().preceding(after).next().filter(|_| is_skipped);
    Time(change.map_or(at, |change| change.timestamp()).as_millisecond())
}

fn shifts(text: &str) -> Option<Vec<Shift>> {
    let mut days = [true; 7];
    let mut hours = (0, DAY);
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    if let Some(found) = words.peek().and_then(|word| of_days(word)) {
        days = found;
        words.next();
    }
    if let Some(word) = words.next() {
        let (from, to) = word.split_once('-')?;
        hours = (of_clock(from)?, of_clock(to)?);
    }
    if words.next().is_some() || hours.0 == hours.1 {
        return None;
    }
    if hours.0 < hours.1 {
        return Some(vec![Shift { days, from: hours.0, to: hours.1 }]);
    }
    let mut next = days;
    next.rotate_right(1);
    Some(vec![Shift { days, from: hours.0, to: DAY }, Shift { days: next, from: 0, to: hours.1 }])
}

fn of_days(word: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name.to_ascii_lowercase());
    let (first, last) = match word.split_once('-') {
        Some((first, last)) => (day(first)?, day(last)?),
        None => (day(word)?, day(word)?),
    };
    let mut days = [false; 7];
    (0..=(last + 7 - first) % 7).for_each(|at| days[(first + at) % 7] = true);
    Some(days)
}

fn of_clock(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?);
    let fits = (0..=24).contains(&hour) && (0..60).contains(&minute) && (hour < 24 || minute == 0);
    fits.then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When so much work has passed in Paris, in local time.
    fn after(schedule: &str, from: &str, lasting: &str) -> String {
        let zone = Zone::parse("Europe/Paris").unwrap();
        let from = zone.parse_local("%Y-%m-%d %H:%M", from).unwrap();
        let schedule = Schedule::parse(schedule).unwrap();
        zone.text("%a %Y-%m-%d %H:%M", schedule.after(&zone, from, Span::parse(lasting).unwrap()))
    }

    #[test]
    fn only_hours_of_work_count() {
        let week = "mon-fri 06:00-22:00";
        assert_eq!(after(week, "2026-01-05 07:00", "30m"), "Mon 2026-01-05 07:30");
        assert_eq!(after(week, "2026-01-09 21:50", "30m"), "Mon 2026-01-12 06:20");
        assert_eq!(after(week, "2026-01-10 12:00", "30m"), "Mon 2026-01-12 06:30");
        // What is reached with the last minute of a shift is seen when the next begins.
        assert_eq!(after(week, "2026-01-09 21:30", "30m"), "Mon 2026-01-12 06:00");
        assert_eq!(after("mon-fri 06:00-22:00, sat 08:00-09:00", "2026-01-09 21:50", "30m"), "Sat 2026-01-10 08:20");
        assert_eq!(after("22:00-06:00", "2026-01-05 05:50", "30m"), "Mon 2026-01-05 22:20");
        assert_eq!(after("fri 22:00-06:00", "2026-01-09 23:00", "2h"), "Sat 2026-01-10 01:00");
        assert_eq!(after("sat-sun", "2026-01-05 05:50", "25h"), "Sun 2026-01-11 01:00");
        // The hour that the clock leaves out is no work.
        assert_eq!(after("sun 01:00-05:00", "2026-03-29 01:30", "1h"), "Sun 2026-03-29 03:30");
        assert_eq!(after("sun 02:30-03:30", "2026-03-28 12:00", "2m"), "Sun 2026-03-29 03:02");
        assert_eq!(after("sun 02:00-03:30", "2026-03-28 12:00", "2m"), "Sun 2026-03-29 03:02");
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        for text in ["", "monday", "mon 6-22", "mon 06:00-06:00", "mon 25:00-26:00", "mon 06:00-22:00 x", "mon,,tue"] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
