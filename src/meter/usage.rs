//! Usage: an amount over a span of time, and how it follows from sorted readings for each kind of meter.

use crate::cluster::{Kind, Meter, Shape, Stamp};
use crate::meter::register;
use crate::meter::verdict::Verdicts;
use crate::quantity::{Span, Time};

/// A register's gap longer than this is held back until an operator releases it.
const HELD_GAP: Span = Span::days(35);
/// A register's gap longer than this is booked by quarters, not by minutes.
const LONG_GAP: Span = Span::days(1);
const DAY_MS: i128 = 86_400_000;
/// A state is kept times the seconds it held: fine enough for its mean, and a quarter of any property fits.
const GAUGE_MS: i128 = 1_000;

/// How an amount's timing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Between neighbours no further apart than `max_gap`.
    Measured,
    /// The amount is measured, its course over a gap is not.
    Interpolated,
    /// The same over so long a gap that minutes would mean nothing.
    Long,
}

/// An amount used from `from` to `to`; an event when both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The start.
    pub from: Time,
    /// The end, exclusive.
    pub to: Time,
    /// In base units.
    pub amount: i64,
    /// How the timing is known.
    pub quality: Quality,
    /// From here on the span is newly covered; overlapping intervals cover their union.
    pub covers_from: Time,
}

/// A reading as seen from its set: a time and a value.
pub(crate) type Sample = (Time, i64);

/// Calls `each` with every usage that follows from the readings, which are sorted by time, and `aside` with the time of
/// every reading that is set aside (quarantined). `context` is the good reading before the first, if there is one; what
/// `verdicts` reject is not among the readings.
pub(crate) fn usages(
    meter: &Meter,
    context: Option<Sample>,
    readings: &[Sample],
    verdicts: &Verdicts,
    mut each: impl FnMut(Usage),
    aside: impl FnMut(Time),
) {
    match meter.kind {
        Kind::Register { rollover_at, reset } => {
            let rule = register::Rule { rollover_at, reset, max_rate: meter.max_rate };
            let step = |from: Time, to: Time, amount| {
                let gap = to.since(from);
                if gap <= HELD_GAP || verdicts.releases(to) {
                    let quality = match gap {
                        gap if gap <= meter.max_gap => Quality::Measured,
                        gap if gap <= LONG_GAP => Quality::Interpolated,
                        _ => Quality::Long,
                    };
                    each(Usage { from, to, amount, quality, covers_from: from });
                }
            };
            register::steps(rule, context, readings, verdicts, step, aside);
        }
        Kind::Interval { length, stamp } => {
            let believable = |r: &Sample| verdicts.releases(r.0) || !exceeds(r.1, length, meter.max_rate);
            intervals(sift(readings, believable, aside), length, stamp, each);
        }
        Kind::Rate { shape } => {
            let believable = |r: &Sample| verdicts.releases(r.0) || meter.max_rate.is_none_or(|max| r.1 <= max);
            let good = context.into_iter().chain(sift(readings, believable, aside));
            rates(good, shape, meter, each);
        }
        Kind::Gauge { hold } => gauges(readings, hold, each),
        Kind::Derived => {}
        Kind::Event => {
            for (time, amount) in readings {
                each(Usage { from: *time, to: *time, amount: *amount, quality: Quality::Measured, covers_from: *time });
            }
        }
    }
}

/// The readings that pass; the others are set aside.
fn sift(
    readings: &[Sample],
    believable: impl Fn(&Sample) -> bool,
    mut aside: impl FnMut(Time),
) -> impl Iterator<Item = Sample> {
    readings.iter().copied().filter(move |reading| {
        let good = believable(reading);
        if !good {
            aside(reading.0);
        }
        good
    })
}

fn intervals(readings: impl Iterator<Item = Sample>, length: Span, stamp: Stamp, mut each: impl FnMut(Usage)) {
    let mut covered_to = Time(i64::MIN);
    for (time, amount) in readings {
        let (from, to) = match stamp {
            Stamp::Start => (time, time.plus(length)),
            Stamp::End => (time.minus(length), time),
        };
        let covers_from = from.max(covered_to.min(to));
        covered_to = to;
        each(Usage { from, to, amount, quality: Quality::Measured, covers_from });
    }
}

fn rates(readings: impl Iterator<Item = Sample>, shape: Shape, meter: &Meter, mut each: impl FnMut(Usage)) {
    let mut previous: Option<Sample> = None;
    for (to, second) in readings {
        let Some((from, first)) = previous.replace((to, second)) else {
            continue;
        };
        let gap = to.since(from);
        if gap > meter.max_gap {
            continue;
        }
        let twice_rate = match shape {
            Shape::Linear => i128::from(first) + i128::from(second),
            Shape::Step => 2 * i128::from(first),
        };
        let amount = half_even(twice_rate * i128::from(gap.0), 2 * DAY_MS);
        each(Usage { from, to, amount, quality: Quality::Measured, covers_from: from });
    }
}

/// A reading holds until the next one, and no longer than `hold`. Cut at the quarters, each part by itself, so that a later
/// reading changes nothing before its own quarter.
fn gauges(readings: &[Sample], hold: Span, mut each: impl FnMut(Usage)) {
    for (at, (time, value)) in readings.iter().enumerate() {
        let next = readings.get(at + 1).map_or(Time::MAX, |next| next.0);
        let end = next.min(time.plus(hold));
        let held_to = |to: Time| half_even(i128::from(*value) * i128::from(to.since(*time).0), GAUGE_MS);
        let mut from = *time;
        while from < end {
            let to = from.quarter().end().min(end);
            let amount = held_to(to).saturating_sub(held_to(from));
            each(Usage { from, to, amount, quality: Quality::Measured, covers_from: from });
            from = to;
        }
    }
}

/// Whether `amount` over `span` is more than `max_rate` base units a day allow.
pub(crate) fn exceeds(amount: i64, span: Span, max_rate: Option<i64>) -> bool {
    max_rate.is_some_and(|max| i128::from(amount) * DAY_MS > i128::from(max) * i128::from(span.0))
}

fn half_even(numerator: i128, denominator: i128) -> i64 {
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => floor & 1,
    };
    i64::try_from(floor + up).unwrap_or(i64::MAX)
}
