//! The readings of one meter that are in memory, and what must be brought back before a late one is added.

use crate::cluster::{Kind, Meter, Stamp};
use crate::meter::usage::usages;
use crate::meter::verdict::{Verdict, Verdicts};
use crate::meter::{Point, QuarterSet, SetOutcome, Usage};
use crate::quantity::{QUARTER_MS, Quarter, Span, Time};

/// A reading may overturn the judgement of the four before it; their usage begins at the good one before those. Five good
/// ones reach that far, whatever else is among them.
const REGISTER_CONTEXT: usize = 5;

/// One resident quarter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub quarter: Quarter,
    /// Its readings.
    pub set: QuarterSet,
    /// Those of them that are set aside, by milliseconds into the quarter.
    pub aside: Vec<u32>,
}

impl Held {
    /// A quarter without readings.
    pub fn empty(quarter: Quarter) -> Held {
        Held { quarter, set: QuarterSet::default(), aside: Vec::new() }
    }

    /// The readings that are not set aside.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = (Time, i64)> {
        let good = self.set.points().iter().filter(|p| !self.aside.contains(&p.offset_ms()));
        good.map(|p| (p.time(self.quarter), p.value))
    }

    /// Those that are set aside.
    pub fn set_aside(&self) -> impl Iterator<Item = (Time, i64)> {
        let aside = self.set.points().iter().filter(|p| self.aside.contains(&p.offset_ms()));
        aside.map(|p| (p.time(self.quarter), p.value))
    }

    /// The last reading that is not set aside.
    pub fn last_good(&self) -> Option<(Time, i64)> {
        self.good().next_back()
    }

    /// How many readings are not set aside.
    pub fn count_good(&self) -> usize {
        self.good().count()
    }
}

/// What the store must bring back: all quarters from `from` on, and further back until `readings` good readings are among
/// them, and the good one before those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The first quarter that the reading may change.
    pub from: Quarter,
    /// How many readings before it must be there.
    pub readings: usize,
}

/// The readings of one meter, from some quarter on.
#[derive(Clone, Debug)]
pub struct Track {
    quarters: Vec<Held>,
    /// Every reading from this quarter on is here. `None`: nothing was brought back yet.
    resident_from: Option<Quarter>,
    /// The good reading before `resident_from`.
    context: Option<(Time, i64)>,
    verdicts: Verdicts,
}

impl Track {
    /// A meter whose past is in a store.
    pub fn stored() -> Track {
        Track { quarters: Vec::new(), resident_from: None, context: None, verdicts: Verdicts::default() }
    }

    /// A meter without a past: everything it ever had is here.
    pub fn complete() -> Track {
        Track { resident_from: Some(Quarter(i32::MIN)), ..Track::stored() }
    }

    /// The resident quarters that hold readings.
    pub fn quarters(&self) -> &[Held] {
        &self.quarters
    }

    /// The first quarter that is surely complete here.
    pub fn resident_from(&self) -> Option<Quarter> {
        self.resident_from
    }

    /// Whether usage may lie in later quarters than its reading.
    pub fn reaches_ahead(meter: &Meter) -> bool {
        reach(meter) > Span(0)
    }

    /// The first quarter whose activity follows from the resident readings alone: one stamped with its start reaches
    /// into later quarters.
    pub fn settled_from(&self, meter: &Meter) -> Option<Quarter> {
        let from = self.resident_from?;
        if from == Quarter(i32::MIN) {
            return Some(from);
        }
        let settled = from.start().plus(reach(meter));
        Some(settled.plus(Span(QUARTER_MS - 1)).quarter())
    }

    /// What must be brought back before the usage of a reading at `time` can be told.
    pub fn need(&self, meter: &Meter, time: Time) -> Option<Need> {
        let (from, readings) = match meter.kind {
            Kind::Register { .. } => (time.quarter(), REGISTER_CONTEXT),
            Kind::Rate { .. } => (time.quarter(), 1),
            Kind::Interval { length, .. } | Kind::Gauge { hold: length } => {
                (time.minus(length).quarter().previous(), 0)
            }
            Kind::Event | Kind::Derived => (time.quarter(), 0),
        };
        let Some(resident_from) = self.resident_from else {
            return Some(Need { from, readings });
        };
        let complete = resident_from == Quarter(i32::MIN);
        let near = complete || from >= resident_from && self.has_before(time, readings);
        (!near).then_some(Need { from: from.min(resident_from), readings })
    }

    fn has_before(&self, time: Time, wanted: usize) -> bool {
        let mut counted = 0;
        for held in self.quarters.iter().rev() {
            if counted >= wanted {
                break;
            }
            if held.quarter.end() <= time {
                counted += held.count_good();
            } else if held.quarter.start() <= time {
                counted += held.good().take_while(|(at, _)| *at < time).count();
            }
        }
        counted >= wanted
    }

    /// Takes what the store brought back. Readings that came meanwhile stay.
    pub fn supply(&mut self, from: Quarter, held: Vec<Held>, context: Option<(Time, i64)>) {
        if self.resident_from.is_some_and(|resident| resident <= from) {
            return;
        }
        let known = self.resident_from.unwrap_or(Quarter(i32::MAX));
        let mut quarters: Vec<Held> = held.into_iter().filter(|h| h.quarter < known).collect();
        quarters.append(&mut self.quarters);
        self.quarters = quarters;
        self.resident_from = Some(from);
        self.context = context;
    }

    /// Adds a reading of the meter.
    pub fn insert(&mut self, meter: &Meter, time: Time, point: Point) -> SetOutcome {
        let quarter = time.quarter();
        let at = match self.quarters.last() {
            Some(last) if last.quarter == quarter => self.quarters.len() - 1,
            Some(last) if last.quarter < quarter => self.quarters.len(),
            _ => self.quarters.partition_point(|h| h.quarter < quarter),
        };
        if self.quarters.get(at).is_none_or(|h| h.quarter != quarter) {
            self.quarters.insert(at, Held::empty(quarter));
        }
        self.quarters[at].set.insert(point, &meter.conversion)
    }

    /// Notes what an operator decided about the reading at `time`.
    pub fn judge(&mut self, time: Time, verdict: Verdict) {
        self.verdicts.note(time, verdict);
    }

    /// The value of the resident reading of this time.
    pub fn reading_at(&self, time: Time) -> Option<i64> {
        let held = self.quarters.iter().find(|held| held.quarter == time.quarter())?;
        held.set.points().iter().find(|p| p.time(held.quarter) == time).map(|p| p.value)
    }

    /// The times of the resident readings that are not set aside, with the last before them.
    pub fn heard(&self) -> Vec<Time> {
        let resident = self.quarters.iter().flat_map(Held::good);
        self.context.into_iter().chain(resident).map(|(time, _)| time).collect()
    }

    /// The resident readings that are set aside.
    pub fn set_aside(&self) -> impl Iterator<Item = (Time, i64)> {
        self.quarters.iter().flat_map(Held::set_aside)
    }

    /// Calls `each` with every usage of the resident readings, and notes which readings are set aside. Returns the
    /// quarters where those are others than before.
    pub fn work_out(&mut self, meter: &Meter, scratch: &mut Vec<(Time, i64)>, each: impl FnMut(Usage)) -> Vec<Quarter> {
        scratch.clear();
        let mut aside = Vec::new();
        for held in &self.quarters {
            for point in held.set.points() {
                let time = point.time(held.quarter);
                if self.verdicts.rejects(time) {
                    aside.push(time);
                } else {
                    scratch.push((time, point.value));
                }
            }
        }
        usages(meter, self.context, scratch, &self.verdicts, each, |time| aside.push(time));
        aside.sort_unstable();
        let mut aside = aside.into_iter().peekable();
        let mut judged_anew = Vec::new();
        for held in &mut self.quarters {
            let mut fresh = Vec::new();
            while let Some(time) = aside.next_if(|t| *t < held.quarter.end()) {
                fresh.extend(u32::try_from(time.since(held.quarter.start()).0));
            }
            if fresh != held.aside {
                held.aside = fresh;
                judged_anew.push(held.quarter);
            }
        }
        judged_anew
    }

    /// Forgets quarters before `open` that no reading in time can change any more.
    pub fn evict(&mut self, meter: &Meter, open: Quarter) {
        let wanted = match meter.kind {
            Kind::Register { .. } => REGISTER_CONTEXT,
            Kind::Rate { .. } => 1,
            Kind::Interval { .. } | Kind::Event | Kind::Gauge { .. } | Kind::Derived => 0,
        };
        let mut keep = open.start().minus(reach(meter)).quarter();
        let mut counted = 0;
        for held in self.quarters.iter().rev() {
            if counted >= wanted {
                break;
            }
            counted += held.count_good();
            keep = keep.min(held.quarter);
        }
        let cut = self.quarters.partition_point(|h| h.quarter < keep);
        let last_good = self.quarters[..cut].iter().rev().find_map(Held::last_good);
        self.context = last_good.or(self.context);
        self.quarters.drain(..cut);
        self.quarters.shrink_to(2);
        self.resident_from = self.resident_from.map(|from| from.max(keep));
    }

    /// How many resident readings are set aside and wait for a decision.
    pub fn aside(&self) -> usize {
        self.set_aside().filter(|(time, _)| !self.verdicts.rejects(*time)).count()
    }
}

/// How far after its own time a reading's usage goes.
fn reach(meter: &Meter) -> Span {
    match meter.kind {
        Kind::Interval { length, stamp: Stamp::Start } | Kind::Gauge { hold: length } => length,
        _ => Span(0),
    }
}
