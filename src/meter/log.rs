//! What became of each reading of a meter: what it stands for, and how a register went on.

use std::collections::BTreeMap;

use crate::cluster::{Kind, Meter, Stamp};
use crate::meter::{Held, Quality, Track, Usage, Verdict};
use crate::quantity::{Quarter, Time};

/// Whether a reading counts, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Good,
    /// It is set aside and waits for a decision.
    Quarantined,
    /// An operator said that it is right.
    Released,
    /// An operator said that it is wrong.
    Rejected,
}

impl Standing {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Good => "good",
            Standing::Quarantined => "quarantined",
            Standing::Released => "released",
            Standing::Rejected => "rejected",
        }
    }
}

/// How a reading goes on from the one before, where that is not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The register ran over its largest value.
    Rollover,
    /// The register began anew, at nought or after an exchange.
    Reset,
    /// Longer than `max_gap` after the one before: the amount is measured, its course is not.
    Gap,
    /// So long after the one before that nothing is booked until an operator releases it.
    HeldGap,
}

impl Break {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Break::Rollover => "rollover",
            Break::Reset => "reset",
            Break::Gap => "gap",
            Break::HeldGap => "held gap",
        }
    }
}

/// A reading with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When the meter showed it.
    pub time: Time,
    /// When it came.
    pub received: Time,
    /// In base units.
    pub value: i64,
    /// Whether it counts.
    pub standing: Standing,
    /// What is booked for it. A property has no amount.
    pub usage: Option<Usage>,
    /// How it goes on from the one before.
    pub breaks: Option<Break>,
}

impl Logged {
    /// It counts, and goes on from the one before as it should.
    pub fn is_usual(&self) -> bool {
        self.standing == Standing::Good && self.breaks.is_none()
    }
}

/// What became of the readings, which are all that the meter had in these quarters.
pub fn log(meter: &Meter, held: Vec<Held>, verdicts: &[(Time, Verdict)]) -> Vec<Logged> {
    let mut track = Track::stored();
    track.supply(Quarter(i32::MIN), held, None);
    verdicts.iter().for_each(|(time, verdict)| track.judge(*time, *verdict));
    let mut usages = BTreeMap::new();
    track.work_out(meter, &mut Vec::new(), |usage| {
        usages.insert(reading_of(meter, &usage), usage);
    });
    let verdicts: BTreeMap<Time, Verdict> = verdicts.iter().copied().collect();
    let mut before = None;
    let mut logged = Vec::new();
    for held in track.quarters() {
        for point in held.set.points() {
            let (time, value) = (point.time(held.quarter), point.value);
            let is_aside = held.aside.contains(&point.offset_ms());
            let standing = standing(verdicts.get(&time).copied(), is_aside);
            let usage = usages.get(&time).copied().filter(|_| !matches!(meter.kind, Kind::Gauge { .. }));
            let breaks = if is_aside { None } else { breaks(meter, before, value, usage) };
            logged.push(Logged { time, received: point.received(held.quarter), value, standing, usage, breaks });
            before = if is_aside { before } else { Some(value) };
        }
    }
    logged
}

/// So many quarters with readings before and after a time decide what becomes of those in it: a reading is judged by a few after
/// it, and goes on from a few before it.
pub const NEAREST: usize = 12;

/// Quarters of one meter in a range and the nearest around it, without a hole. What is in memory is newer than what is stored.
pub fn newest(stored: Vec<Held>, resident: Vec<Held>, (from, to): (Quarter, Quarter)) -> Vec<Held> {
    let all: BTreeMap<Quarter, Held> = stored.into_iter().chain(resident).map(|held| (held.quarter, held)).collect();
    let some = |held: &&Held| !held.set.points().is_empty();
    let mut near: Vec<Held> =
        all.range(..from).rev().map(|(_, held)| held).filter(some).take(NEAREST).cloned().collect();
    near.reverse();
    near.extend(all.range(from..to).map(|(_, held)| held.clone()));
    near.extend(all.range(to..).map(|(_, held)| held).filter(some).take(NEAREST).cloned());
    near
}

/// The readings that are drawn of so many: of each part of the time the first, the last, the least and the most, and all that are
/// not as usual.
pub fn thinned(readings: Vec<Logged>, points: usize) -> Vec<Logged> {
    let (Some(first), Some(last)) = (readings.first(), readings.last()) else {
        return readings;
    };
    if readings.len() <= points {
        return readings;
    }
    let (start, parts) = (first.time.0, (points / 4).max(1) as i64);
    let length = ((last.time.0 - start) / parts).max(1);
    let mut kept: BTreeMap<Time, Logged> = BTreeMap::new();
    for part in readings.chunk_by(|a, b| (a.time.0 - start) / length == (b.time.0 - start) / length) {
        let ends = part.first().into_iter().chain(part.last());
        let extremes = part.iter().min_by_key(|r| r.value).into_iter().chain(part.iter().max_by_key(|r| r.value));
        let unusual = part.iter().filter(|reading| !reading.is_usual());
        kept.extend(ends.chain(extremes).chain(unusual).map(|reading| (reading.time, reading.clone())));
    }
    kept.into_values().collect()
}

/// The time of the reading that a usage is booked for.
fn reading_of(meter: &Meter, usage: &Usage) -> Time {
    match meter.kind {
        Kind::Interval { stamp: Stamp::Start, .. } | Kind::Event | Kind::Gauge { .. } => usage.from,
        Kind::Register { .. } | Kind::Interval { .. } | Kind::Rate { .. } | Kind::Derived => usage.to,
    }
}

fn standing(verdict: Option<Verdict>, is_aside: bool) -> Standing {
    match verdict {
        Some(Verdict::Reject) => Standing::Rejected,
        Some(Verdict::Release) => Standing::Released,
        None if is_aside => Standing::Quarantined,
        None => Standing::Good,
    }
}

fn breaks(meter: &Meter, before: Option<i64>, value: i64, usage: Option<Usage>) -> Option<Break> {
    let Kind::Register { .. } = meter.kind else {
        return None;
    };
    let before = before?;
    let Some(usage) = usage else {
        return Some(Break::HeldGap);
    };
    if value < before {
        // A register that began anew used at most what it shows.
        return Some(if usage.amount > value { Break::Rollover } else { Break::Reset });
    }
    (usage.quality != Quality::Measured).then_some(Break::Gap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Point;

    fn quarter(at: i32) -> Held {
        let quarter = Quarter(at);
        let point = Point::new(quarter.start(), quarter.start(), i64::from(at));
        Held { set: crate::meter::QuarterSet::from_sorted(vec![point]), ..Held::empty(quarter) }
    }

    #[test]
    fn what_is_in_memory_is_taken_where_no_hole_is_before_it() {
        let at = |held: Vec<Held>| held.into_iter().map(|held| held.quarter.0).collect::<Vec<_>>();
        let stored = || (0..40).map(quarter).collect::<Vec<_>>();
        let resident = || vec![quarter(1_000), quarter(1_001)];
        let near = at(newest(stored(), resident(), (Quarter(20), Quarter(22))));
        assert_eq!(near, (8..34).collect::<Vec<_>>());
        let last = at(newest(stored(), resident(), (Quarter(38), Quarter(39))));
        assert_eq!(last, (26..40).chain([1_000, 1_001]).collect::<Vec<_>>(), "these follow");
    }

    #[test]
    fn what_is_not_as_usual_stays_when_readings_are_thinned() {
        let reading = |second: i64| Logged {
            time: Time(second * 1_000),
            received: Time(second * 1_000),
            value: if second == 501 { 9 } else { second % 7 },
            standing: if second == 123 { Standing::Rejected } else { Standing::Good },
            usage: None,
            breaks: None,
        };
        let all: Vec<Logged> = (0..3_600).map(reading).collect();
        let thin = thinned(all.clone(), 200);
        assert!(thin.len() <= 206 && thin.windows(2).all(|pair| pair[0].time < pair[1].time), "{}", thin.len());
        assert!(thin.iter().any(|r| r.standing == Standing::Rejected) && thin.iter().any(|r| r.value == 9));
        assert_eq!((thin.first(), thin.last()), (all.first(), all.last()));
        assert_eq!(thinned(all.clone(), 3_600), all);
    }
}
