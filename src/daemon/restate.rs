//! Restatement: closed figures worked out again because what decides them has changed, a part at a time beside the daily
//! business; and the trail of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::{Entity, FacilityIx, MeterIx};
use crate::daemon::Books;
use crate::daemon::desk::Desk;
use crate::emission::Column;
use crate::http::{Again, Correction};
use crate::ledger::Range;
use crate::pipeline::{Booked, Comparison, Rules, Supply, Touched, Want, booked, merge};
use crate::quantity::{Quarter, Time, Window};
use crate::store::{Adjustment, Record, Settled, StoreError};

/// So many quarters of facilities are worked out at once: between two of these, messages are taken in.
const PART: usize = 2_000;
/// A part ends with an hour.
const QUARTERS_AN_HOUR: i32 = 4;

/// What is worked out at once: all that changes in a time, so that what is above changes once.
type PartOfWork = Vec<(FacilityIx, Vec<Quarter>)>;

fn parts(facilities: &BTreeMap<FacilityIx, BTreeSet<Quarter>>) -> VecDeque<PartOfWork> {
    let mut by_hour: BTreeMap<i32, BTreeMap<FacilityIx, Vec<Quarter>>> = BTreeMap::new();
    for (facility, quarters) in facilities {
        for quarter in quarters {
            let hour = by_hour.entry(quarter.0.div_euclid(QUARTERS_AN_HOUR)).or_default();
            hour.entry(*facility).or_default().push(*quarter);
        }
    }
    let mut parts: VecDeque<BTreeMap<FacilityIx, Vec<Quarter>>> = VecDeque::new();
    let mut size = PART;
    for hour in by_hour.into_values() {
        if size >= PART {
            parts.push_back(BTreeMap::new());
            size = 0;
        }
        for (facility, quarters) in hour {
            size += quarters.len();
            if let Some(part) = parts.back_mut() {
                part.entry(facility).or_default().extend(quarters);
            }
        }
    }
    parts.into_iter().map(|part| part.into_iter().collect()).collect()
}
const SHOWN: [Column; 3] = [Column::Scope1, Column::Scope2Location, Column::Scope2Market];

/// Who wants it, and why.
#[derive(Clone, Debug)]
pub struct Cause {
    /// `plan`, `restate`, `adjust` or `backfill`.
    pub what: &'static str,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What else the trail shows.
    pub detail: Value,
}

/// Figures being worked out again.
#[derive(Debug)]
pub(crate) struct Restatement {
    cause: Cause,
    work: VecDeque<PartOfWork>,
    /// Whose own figures are others, though their amounts are not.
    meters: BTreeMap<MeterIx, BTreeSet<Quarter>>,
    sums: BTreeMap<FacilityIx, [(i128, i128); 3]>,
    quarters: usize,
    parts: usize,
    /// What the books follow when this is done.
    settles: Settles,
}

/// What is not to be taken up again at the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settles {
    Nothing,
    Plan,
    /// A correction, by its block in the journal.
    Adjustment(i64),
}

impl Cause {
    /// As somebody asked for it.
    pub fn restate(again: &Again) -> Cause {
        let detail = json!({ "from": again.from, "to": again.to });
        Cause { what: "restate", by: again.by.clone(), reason: again.reason.clone(), detail }
    }
}

const HELD: &str = "nothing is taken in for now; see `held` in status";

impl Desk {
    pub(crate) fn adjust(&mut self, correction: Correction) -> Result<Result<(), String>, StoreError> {
        if self.held.is_some() {
            return Ok(Err(HELD.to_owned()));
        }
        match correction.adjustment(self.books.pipeline.rules(), self.books.pipeline.now()) {
            Ok(adjustment) => self.books.adjust(adjustment).map(Ok),
            Err(message) => Ok(Err(message)),
        }
    }

    pub(crate) fn restate(&mut self, again: &Again) -> Result<Result<(), String>, StoreError> {
        if self.held.is_some() {
            return Ok(Err(HELD.to_owned()));
        }
        match again.range() {
            Ok(range) => self.books.restate(Cause::restate(again), range).map(Ok),
            Err(message) => Ok(Err(message)),
        }
    }
}

impl Books {
    /// Compares the plan with the one that the closed figures follow, and sets out to work out again what differs.
    pub(crate) fn compare_plans(&mut self) -> Result<(), StoreError> {
        let rules = Arc::clone(self.pipeline.rules());
        let gone = self.ledger.gone()?;
        let Comparison { touched, on_the_way, has_unknown } =
            Comparison::of(&rules, |ix| self.ledger.booked(ix), &gone)?;
        if touched.is_empty() {
            return if has_unknown { self.settle_plan() } else { Ok(()) };
        }
        // From here on until all is done the closed figures follow neither plan: even the old one would be a change.
        self.ledger.set_booked(&on_the_way)?;
        let ids: Vec<&str> = touched.meters.keys().map(|ix| rules.topology.meter(*ix).id.as_str()).collect();
        tracing::info!(meters = ?ids, "the plan books some meters differently; what is closed is worked out again");
        let frozen = self.frozen(&rules, &touched)?;
        let cause = Cause {
            what: "plan",
            by: "configuration".to_owned(),
            reason: "factors, potentials, properties, contracts or relations have changed".to_owned(),
            detail: json!({ "meters": ids, "not_covered": frozen }),
        };
        self.set_out(cause, touched, Settles::Plan)
    }

    /// Facilities with figures from before the amounts that are still kept: those stay as they are.
    fn frozen(&self, rules: &Rules, touched: &Touched) -> Result<Vec<Value>, StoreError> {
        let mut frozen = Vec::new();
        for facility in touched.facilities.keys().copied() {
            let inputs = &rules.topology.facility(facility).inputs;
            let kept = self.ledger.stored_quarters(inputs, (Quarter(i32::MIN), Quarter(i32::MAX)))?.first().copied();
            let first = self.ledger.first_entry(Entity::Facility(facility))?;
            if let (Some(first), Some(kept)) = (first, kept.map(Quarter::start))
                && first < kept
            {
                let id = rules.topology.facility(facility).id.as_str();
                frozen.push(json!({ "facility": id, "from": first.to_string(), "to": kept.to_string() }));
            }
        }
        Ok(frozen)
    }

    /// Sets out to work everything in a time out again.
    pub fn restate(&mut self, cause: Cause, (from, to): (Time, Time)) -> Result<(), StoreError> {
        // Meters are worked out whenever they are read.
        let facilities = (0..self.pipeline.rules().topology.facilities.len() as u32).map(FacilityIx);
        let facilities = facilities.map(|facility| (facility, vec![(from, to)])).collect();
        self.set_out(cause, Touched { facilities, meters: BTreeMap::new() }, Settles::Nothing)
    }

    /// Books a correction: it is in the journal, and what is closed follows.
    pub fn adjust(&mut self, adjustment: Adjustment) -> Result<(), StoreError> {
        let decided = adjustment.decided.max(self.pipeline.now());
        let record = Record::Adjustment(adjustment);
        let number = self.journal.append(&record, decided)?;
        self.note_progress(number);
        let Record::Adjustment(adjustment) = record else {
            return Ok(());
        };
        self.hand().adjust(number, &adjustment)?;
        self.follow_adjustment(number, adjustment)
    }

    /// Takes up the corrections that closed figures do not follow yet.
    pub(crate) fn follow_adjustments(&mut self) -> Result<(), StoreError> {
        for (number, adjustment) in self.ledger.unsettled_adjustments()? {
            self.follow_adjustment(number, adjustment)?;
        }
        Ok(())
    }

    fn follow_adjustment(&mut self, number: i64, adjustment: Adjustment) -> Result<(), StoreError> {
        let detail = json!({
            "meter": adjustment.meter, "value": adjustment.text,
            "from": adjustment.from.start().to_string(), "to": adjustment.to.start().to_string(),
        });
        let meter = self.pipeline.rules().topology.find_meter(&adjustment.meter);
        let range = (adjustment.from.start(), adjustment.to.start());
        let mut touched = Touched::default();
        if let Some(ix) = meter {
            touched.add(&Arc::clone(self.pipeline.rules()), ix, &[range]);
        }
        let cause = Cause { what: "adjust", by: adjustment.by, reason: adjustment.reason, detail };
        self.set_out(cause, touched, Settles::Adjustment(number))
    }

    fn set_out(&mut self, cause: Cause, touched: Touched, settles: Settles) -> Result<(), StoreError> {
        let rules = Arc::clone(self.pipeline.rules());
        let open = self.pipeline.open_from();
        let within = |(from, to): &(Time, Time)| (from.quarter(), to.quarter().min(open));
        let (mut facilities, mut meters) = (BTreeMap::<FacilityIx, BTreeSet<Quarter>>::new(), BTreeMap::new());
        for (facility, mut ranges) in touched.facilities {
            merge(&mut ranges);
            let inputs = &rules.topology.facility(facility).inputs;
            let quarters = facilities.entry(facility).or_default();
            for range in ranges.iter().map(within) {
                let mut stored = self.ledger.stored_quarters(inputs, range)?;
                // What it was charged with before may hang on meters that it has no more.
                stored.extend(self.ledger.entered(Entity::Facility(facility), range)?);
                let together = stored.into_iter().flat_map(|q| rules.accounts.together(facility, q));
                quarters.extend(together.filter(|quarter| *quarter < open));
            }
        }
        for (ix, ranges) in &touched.meters {
            let dependents = rules.accounts.dependents.get(ix).into_iter().flatten();
            for meter in std::iter::once(ix).chain(dependents) {
                for range in ranges.iter().map(within) {
                    let stored = self.ledger.stored_quarters(&[*meter], range)?;
                    meters.entry(*meter).or_insert_with(BTreeSet::new).extend(stored);
                }
            }
        }
        let quarters = facilities.values().map(BTreeSet::len).sum();
        let work = parts(&facilities);
        let parts = work.len();
        let sums = BTreeMap::new();
        self.restating.push_back(Restatement { cause, work, meters, sums, quarters, parts, settles });
        Ok(())
    }

    /// Something closed is being worked out again.
    pub fn is_restating(&self) -> bool {
        !self.restating.is_empty()
    }

    /// How much is done, of how much.
    pub fn restated(&self) -> (usize, usize) {
        let left: usize = self.restating.iter().map(|job| job.work.len()).sum();
        let all: usize = self.restating.iter().map(|job| job.parts).sum();
        (all - left, all)
    }

    /// Works out one part. The line of the trail, when the last part of something is done.
    pub fn restate_some(&mut self) -> Result<Option<String>, StoreError> {
        let Some(mut job) = self.restating.pop_front() else {
            return Ok(None);
        };
        if let Some(part) = job.work.pop_front() {
            self.restate_part(&mut job, &part)?;
            self.restating.push_front(job);
            return Ok(None);
        }
        for (meter, quarters) in &job.meters {
            let quarters: Vec<Quarter> = quarters.iter().copied().collect();
            let stored = self.pipeline.mark_changed(*meter, &quarters);
            self.ledger.mark_changed(*meter, &stored)?;
        }
        self.seal()?;
        let line = self.trail(&job)?;
        let (all, gone) = match job.settles {
            Settles::Plan => (self.all_booked(), self.gone()?),
            _ => (Vec::new(), Vec::new()),
        };
        let settled = match job.settles {
            Settles::Nothing => Settled::Nothing,
            Settles::Plan => Settled::Plan(&all, &gone),
            Settles::Adjustment(number) => Settled::Adjustment(number),
        };
        self.ledger.note_audit(self.seen, &line, settled)?;
        tracing::info!(what = job.cause.what, quarters = job.quarters, "closed figures are worked out again");
        Ok(Some(line))
    }

    fn restate_part(&mut self, job: &mut Restatement, part: &PartOfWork) -> Result<(), StoreError> {
        let mut before = Vec::new();
        for (facility, quarters) in part {
            before.push(self.stored_sums(*facility, quarters)?);
            self.pipeline.add_up_facility(*facility, quarters);
        }
        self.seal()?;
        for ((facility, quarters), before) in part.iter().zip(before) {
            let after = self.stored_sums(*facility, quarters)?;
            let sums = job.sums.entry(*facility).or_default();
            for (sum, (before, after)) in sums.iter_mut().zip(before.into_iter().zip(after)) {
                (sum.0, sum.1) = (sum.0 + before, sum.1 + after);
            }
        }
        Ok(())
    }

    /// Puts something into the trail that is done already; returns the line.
    pub(crate) fn note_trail(&mut self, cause: Cause) -> Result<String, StoreError> {
        let settles = Settles::Nothing;
        let (work, meters, sums) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        let line = self.trail(&Restatement { cause, work, meters, sums, quarters: 0, parts: 0, settles })?;
        self.ledger.note_audit(self.seen, &line, Settled::Nothing)?;
        Ok(line)
    }

    /// Works out all that waits; tells each part that is done, and returns the lines of the trail.
    pub fn restate_all(&mut self, mut told: impl FnMut(usize, usize)) -> Result<Vec<String>, StoreError> {
        let mut lines = Vec::new();
        while self.is_restating() {
            lines.extend(self.restate_some()?);
            let (done, all) = self.restated();
            told(done, all);
        }
        Ok(lines)
    }

    fn trail(&self, job: &Restatement) -> Result<String, StoreError> {
        let topology = &self.pipeline.rules().topology;
        let sums = |(facility, sums): (&FacilityIx, &[(i128, i128); 3])| {
            let figures = SHOWN.iter().zip(sums).map(|(column, (before, after))| {
                let pair = json!({ "before": before.to_string(), "after": after.to_string() });
                (format!("{}_mg", column.name()), pair)
            });
            (topology.facility(*facility).id.to_string(), Value::Object(figures.collect()))
        };
        let facilities: serde_json::Map<String, Value> = job.sums.iter().map(sums).collect();
        let Cause { what, by, reason, detail } = &job.cause;
        let at = self.seen.to_string();
        Ok(json!({
            "at": at, "what": what, "plan": self.plan, "by": by, "reason": reason, "detail": detail,
            "quarters": job.quarters, "facilities": facilities,
        })
        .to_string())
    }

    fn stored_sums(&mut self, facility: FacilityIx, quarters: &[Quarter]) -> Result<[i128; 3], StoreError> {
        let mut sums = [0; 3];
        let (Some(first), Some(last)) = (quarters.first(), quarters.last()) else {
            return Ok(sums);
        };
        let entity = Entity::Facility(facility);
        let range = Range { entity, window: Window::Quarter, from: first.start(), to: last.end() };
        let Supply::Entries(_, entries) = self.ledger.load(&Want::Entries(range))? else {
            return Ok(sums);
        };
        let wanted: BTreeSet<Time> = quarters.iter().map(|quarter| quarter.start()).collect();
        for entry in entries.iter().filter(|entry| wanted.contains(&entry.key.start)) {
            for (sum, column) in sums.iter_mut().zip(SHOWN) {
                *sum += entry.balance.own.mg(column);
            }
        }
        Ok(sums)
    }

    /// The closed figures follow the plan: nothing was known of them before.
    fn settle_plan(&mut self) -> Result<(), StoreError> {
        let all = self.all_booked();
        self.ledger.set_booked(&all)
    }

    fn all_booked(&self) -> Vec<(MeterIx, Booked)> {
        let rules = self.pipeline.rules();
        let meters = 0..rules.topology.meters.len() as u32;
        meters.map(MeterIx).map(|ix| (ix, booked(rules, ix))).collect()
    }

    fn gone(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.ledger.gone()?.into_iter().map(|(id, _)| id).collect())
    }
}
