//! The state of one meter: its readings, and the activity that follows from them by quarter.

use crate::cluster::{Meter, MeterIx};
use crate::decode::Reading;
use crate::meter::{Held, Need, Point, SetOutcome, Track, Verdict};
use crate::pipeline::{Outcome, Row, SealedRow};
use crate::quantity::{Quarter, Time};
use crate::window::{Activity, Sheet};

/// One quarter of one meter.
#[derive(Clone, Debug)]
struct State {
    quarter: Quarter,
    activity: Option<Box<Activity>>,
    /// As last stored; 0 when it never was.
    revision: u32,
    /// The readings differ from what is stored.
    readings_changed: bool,
    /// The activity differs from what is stored.
    activity_changed: bool,
}

impl State {
    /// Closed, and not stored as it stands.
    fn is_due(&self, open: Quarter) -> bool {
        self.quarter < open && (self.readings_changed || self.activity_changed)
    }

    /// Readings that change nothing leave the revision alone.
    fn next_revision(&self) -> u32 {
        self.revision + u32::from(self.activity_changed || self.revision == 0)
    }
}

/// A meter's state.
#[derive(Clone, Debug)]
pub(crate) struct MeterState {
    track: Track,
    quarters: Vec<State>,
    /// The latest reading that was ever booked; older ones than are resident count.
    latest: Option<(Time, i64)>,
    /// There are readings whose usage is not worked out yet.
    pub dirty: bool,
    /// How many readings came since the start, and how many of them were refused.
    came: (u64, u64),
}

impl MeterState {
    pub(crate) fn new(complete: bool) -> MeterState {
        let track = if complete { Track::complete() } else { Track::stored() };
        MeterState { track, quarters: Vec::new(), latest: None, dirty: false, came: (0, 0) }
    }

    pub(crate) fn need(&self, meter: &Meter, time: Time) -> Option<Need> {
        self.track.need(meter, time)
    }

    pub(crate) fn insert(&mut self, meter: &Meter, reading: &Reading) -> SetOutcome {
        let point = Point::new(reading.time, reading.received, reading.value);
        let outcome = self.track.insert(meter, reading.time, point);
        if matches!(outcome, SetOutcome::Accepted | SetOutcome::Conflict { replaced: true }) {
            self.dirty = true;
            self.note_latest((reading.time, reading.value));
            self.state(reading.time.quarter()).readings_changed = true;
        }
        outcome
    }

    pub(crate) fn reading_at(&self, time: Time) -> Option<i64> {
        self.track.reading_at(time)
    }

    /// From a store: its consequences are stored as well.
    pub(crate) fn note_verdict(&mut self, time: Time, verdict: Verdict) {
        self.track.judge(time, verdict);
    }

    pub(crate) fn judge(&mut self, time: Time, verdict: Verdict) {
        self.track.judge(time, verdict);
        if self.track.reading_at(time).is_some() {
            self.dirty = true;
            self.state(time.quarter()).readings_changed = true;
        }
    }

    fn state(&mut self, quarter: Quarter) -> &mut State {
        let at = match self.quarters.last() {
            Some(last) if last.quarter == quarter => self.quarters.len() - 1,
            _ => self.quarters.partition_point(|s| s.quarter < quarter),
        };
        if self.quarters.get(at).is_none_or(|s| s.quarter != quarter) {
            let fresh =
                State { quarter, activity: None, revision: 0, readings_changed: false, activity_changed: false };
            self.quarters.insert(at, fresh);
        }
        &mut self.quarters[at]
    }

    /// Readings that were stored while their usage reached into quarters still open are worked out again.
    pub(crate) fn supply(&mut self, meter: &Meter, from: Quarter, rows: Vec<Row>, context: Option<(Time, i64)>) {
        if self.track.resident_from().is_some_and(|resident| resident <= from) {
            return;
        }
        let known = self.track.resident_from().unwrap_or(Quarter(i32::MAX));
        // Where readings reach ahead, the activity of more quarters is forgotten than of readings.
        let settled = self.track.settled_from(meter).unwrap_or(Quarter(i32::MAX));
        let mut held = Vec::new();
        for row in rows.into_iter().filter(|row| row.held.quarter < settled) {
            let quarter = row.held.quarter;
            let is_resident = self.quarters.binary_search_by_key(&quarter, |state| state.quarter).is_ok();
            if quarter < known || !is_resident {
                let state = self.state(quarter);
                state.revision = row.revision;
                state.activity = (!row.activity.is_empty()).then(|| Box::new(row.activity));
            }
            if quarter < known && !row.held.set.points().is_empty() {
                held.push(row.held);
            }
        }
        self.dirty |= !held.is_empty() && Track::reaches_ahead(meter);
        self.track.supply(from, held, context);
    }

    /// Works out the usage again; returns the quarters whose activity changed.
    pub(crate) fn work_out(&mut self, meter: &Meter, scratch: &mut Vec<(Time, i64)>) -> Vec<Quarter> {
        self.dirty = false;
        let from = self.track.settled_from(meter).unwrap_or(Quarter(i32::MAX));
        let mut sheet = Sheet::default();
        let judged_anew = self.track.work_out(meter, scratch, |usage| sheet.add(usage, from));
        // Stored, so that a restart judges by the same marks.
        judged_anew.into_iter().for_each(|quarter| self.state(quarter).readings_changed = true);
        let mut fresh = sheet.into_quarters().into_iter().peekable();
        let mut changed = Vec::new();
        let known: Vec<Quarter> = self.quarters.iter().map(|s| s.quarter).filter(|q| *q >= from).collect();
        for quarter in known {
            while let Some((q, activity)) = fresh.next_if(|(q, _)| *q < quarter) {
                self.replace(q, Some(activity), &mut changed);
            }
            let activity = fresh.next_if(|(q, _)| *q == quarter).map(|(_, activity)| activity);
            self.replace(quarter, activity, &mut changed);
        }
        for (quarter, activity) in fresh {
            self.replace(quarter, Some(activity), &mut changed);
        }
        changed
    }

    fn replace(&mut self, quarter: Quarter, activity: Option<Box<Activity>>, changed: &mut Vec<Quarter>) {
        let state = self.state(quarter);
        if state.activity != activity {
            state.activity = activity;
            state.activity_changed = true;
            changed.push(quarter);
        }
    }

    /// The activity of a quarter. `Err`: the quarter is not resident, only the store can tell.
    pub(crate) fn activity(&self, meter: &Meter, quarter: Quarter) -> Result<Option<&Activity>, ()> {
        let at = self.quarters.binary_search_by_key(&quarter, |s| s.quarter);
        match at.ok().and_then(|i| self.quarters.get(i)) {
            Some(state) => Ok(state.activity.as_deref()),
            None if self.track.settled_from(meter).is_some_and(|from| from <= quarter) => Ok(None),
            None => Err(()),
        }
    }

    /// The closed quarters that are not stored as they stand, with the revisions they get.
    pub(crate) fn seal<'a>(&'a self, meter: MeterIx, open: Quarter, rows: &mut Vec<SealedRow<'a>>) {
        for state in self.quarters.iter().filter(|s| s.is_due(open)) {
            let held = self.track.quarters().iter().find(|h| h.quarter == state.quarter);
            let (quarter, activity) = (state.quarter, state.activity.as_deref());
            rows.push(SealedRow { meter, quarter, held, activity, revision: state.next_revision() });
        }
    }

    /// What [`MeterState::seal`] gave is stored.
    pub(crate) fn sealed(&mut self, open: Quarter) {
        for state in self.quarters.iter_mut().filter(|s| s.is_due(open)) {
            state.revision = state.next_revision();
            (state.readings_changed, state.activity_changed) = (false, false);
        }
    }

    pub(crate) fn evict(&mut self, meter: &Meter, open: Quarter) {
        if self.quarters.first().is_none_or(|s| s.quarter >= open) {
            return;
        }
        self.track.evict(meter, open);
        let from = self.track.settled_from(meter).unwrap_or(Quarter(i32::MIN));
        self.quarters.retain(|s| s.quarter >= from || s.readings_changed || s.activity_changed);
    }

    /// Something else made its figures others: it gets a new revision. False: the quarter is not in memory.
    pub(crate) fn mark_changed(&mut self, quarter: Quarter) -> bool {
        match self.quarters.iter_mut().find(|state| state.quarter == quarter) {
            Some(state) => {
                state.activity_changed |= state.revision > 0;
                true
            }
            None => false,
        }
    }

    /// Some quarter before `open` differs from what is stored.
    pub(crate) fn changed_before(&self, open: Quarter) -> bool {
        self.quarters.iter().take_while(|s| s.quarter < open).any(|s| s.is_due(open))
    }

    pub(crate) fn latest(&self) -> Option<(Time, i64)> {
        self.latest
    }

    pub(crate) fn note_latest(&mut self, reading: (Time, i64)) {
        if self.latest.is_none_or(|(time, _)| time <= reading.0) {
            self.latest = Some(reading);
        }
    }

    pub(crate) fn came(&mut self, outcome: Outcome) {
        self.came.0 += 1;
        self.came.1 += u64::from(matches!(outcome, Outcome::Refused(_)));
    }

    pub(crate) fn readings_came(&self) -> (u64, u64) {
        self.came
    }

    pub(crate) fn heard(&self) -> Vec<Time> {
        self.track.heard()
    }

    pub(crate) fn set_aside(&self) -> impl Iterator<Item = (Time, i64)> {
        self.track.set_aside()
    }

    pub(crate) fn held(&self) -> &[Held] {
        self.track.quarters()
    }

    pub(crate) fn aside(&self) -> usize {
        self.track.aside()
    }

    /// The resident quarters with activity and their revisions; for views.
    pub(crate) fn activities(&self) -> impl Iterator<Item = (Quarter, &Activity, u32, bool)> {
        self.quarters.iter().filter_map(|s| {
            let unstored = s.activity_changed || s.revision == 0;
            s.activity.as_deref().map(|a| (s.quarter, a, s.revision, unstored))
        })
    }
}
