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

/// Quarters of one meter: what is in memory is newer than what is stored.
pub fn newest(stored: Vec<Held>, resident: Vec<Held>) -> Vec<Held> {
    let all = stored.into_iter().chain(resident).map(|held| (held.quarter, held));
    all.collect::<BTreeMap<Quarter, Held>>().into_values().collect()
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
