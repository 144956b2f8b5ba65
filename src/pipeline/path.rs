//! The path itself: message to reading to usage to activity to emission to entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::{Entity, FacilityIx, MeterIx};
use crate::decode::{Births, Decoded, Message, Reading, Refusal};
use crate::emission::{Evaluation, Leaf, Tally};
use crate::ledger::{Book, Entry, Key};
use crate::meter::{Held, SetOutcome, Verdict};
use crate::pipeline::meters::MeterState;
use crate::pipeline::{Adjusted, Adjustments, Counters, Effect, Event, MeterView, Outcome, Rules, Seal, Supply, Want};
use crate::quantity::{Quarter, Time, Window};
use crate::window::Activity;

/// The state of everything that is open.
#[derive(Debug)]
pub struct Pipeline {
    rules: Arc<Rules>,
    meters: Vec<MeterState>,
    dirty: Vec<MeterIx>,
    leaves: BTreeSet<(FacilityIx, Quarter)>,
    siblings: BTreeMap<(FacilityIx, Quarter), Vec<(MeterIx, Activity)>>,
    book: Book,
    counters: Counters,
    open_from: Quarter,
    now: Time,
    /// The latest time of a reading that was booked.
    latest_reading: Time,
    /// Something closed was worked out anew since the last seal.
    late_changes: bool,
    scratch: Vec<(Time, i64)>,
    adjustments: Adjustments,
    births: Births,
    /// Nothing is too late.
    history: bool,
}

impl Pipeline {
    /// A pipeline without a past and without a store: everything stays in memory.
    pub fn offline(rules: Arc<Rules>) -> Pipeline {
        let book = Book::new(Time(i64::MIN), Time(i64::MIN), rules.close_after);
        Pipeline::with(rules, true, book)
    }

    /// A pipeline whose past is in a store, as of the last seal; open windows are added up again on the next
    /// [`Pipeline::refresh`].
    pub fn resume(rules: Arc<Rules>, counters: Counters, open_from: Quarter, now: Time) -> Pipeline {
        let book = Book::new(open_from.start(), now, rules.close_after);
        let mut pipeline = Pipeline::with(rules, false, book);
        let facilities = (0u32..).zip(&pipeline.rules.topology.facilities);
        pipeline.leaves = facilities.map(|(i, _)| (FacilityIx(i), open_from)).collect();
        Pipeline { counters, open_from, now, ..pipeline }
    }

    fn with(rules: Arc<Rules>, complete: bool, book: Book) -> Pipeline {
        let meters = rules.topology.meters.iter().map(|_| MeterState::new(complete)).collect();
        Pipeline {
            rules,
            meters,
            dirty: Vec::new(),
            leaves: BTreeSet::new(),
            siblings: BTreeMap::new(),
            book,
            counters: Counters::default(),
            open_from: Quarter(i32::MIN),
            now: Time::MIN,
            latest_reading: Time::MIN,
            late_changes: false,
            scratch: Vec::new(),
            adjustments: Adjustments::default(),
            births: Births::default(),
            history: false,
        }
    }

    /// What a message holds. Notes what gateways declare; messages must come in their order of receipt.
    pub fn decode(&mut self, message: &Message) -> Decoded {
        self.rules.routes.decode(message, &mut self.births)
    }

    /// What gateways have declared.
    pub fn births(&self) -> &Births {
        &self.births
    }

    /// What gateways have declared is what these births and deaths from the store say, in their order of receipt.
    pub fn recall_births(&mut self, messages: &[Message]) {
        self.births = Births::default();
        messages.iter().for_each(|message| drop(self.rules.routes.decode(message, &mut self.births)));
        self.births.kept();
    }

    /// The gateways whose birth is lacking since this was asked last.
    pub fn take_lacking(&mut self) -> BTreeSet<String> {
        self.births.take_lacking()
    }

    /// What is counted of gateways' messages is counted from here on.
    pub fn count_gateways_anew(&mut self) {
        self.births.count_anew();
    }

    /// Adds what must be supplied before a decoded message can be applied.
    pub fn wants(&self, decoded: &Decoded, wants: &mut Vec<Want>) {
        for reading in decoded.readings().iter().flat_map(|(_, r)| r).filter(|r| !self.is_late(r)) {
            let meter = self.rules.topology.meter(reading.meter);
            if let Some(need) = self.meter(reading.meter).need(meter, reading.time) {
                wants.push(Want::Rows(reading.meter, need));
            }
        }
    }

    /// Adds what must be supplied before a verdict about a reading can be applied.
    pub fn wants_reading(&self, ix: MeterIx, time: Time, wants: &mut Vec<Want>) {
        let need = self.meter(ix).need(self.rules.topology.meter(ix), time);
        wants.extend(need.map(|need| Want::Rows(ix, need)));
    }

    /// The value of a meter's reading at a time, among what was supplied, in base units.
    pub fn reading_at(&self, ix: MeterIx, time: Time) -> Option<i64> {
        self.meter(ix).reading_at(time)
    }

    /// A verdict from the store, whose consequences are in the store.
    pub fn note_verdict(&mut self, ix: MeterIx, time: Time, verdict: Verdict) {
        self.meter_mut(ix).note_verdict(time, verdict);
    }

    /// The readings in memory that are set aside.
    pub fn set_aside(&self) -> Vec<(MeterIx, Time, i64)> {
        let meters = (0u32..).map(MeterIx).zip(&self.meters);
        meters.flat_map(|(ix, state)| state.set_aside().map(move |(time, value)| (ix, time, value))).collect()
    }

    /// Takes what was loaded.
    pub fn supply(&mut self, supply: Supply) {
        match supply {
            Supply::Rows { meter: ix, from, rows, context } => {
                let rules = Arc::clone(&self.rules);
                let state = self.meter_mut(ix);
                let was_dirty = state.dirty;
                state.supply(rules.topology.meter(ix), from, rows, context);
                if state.dirty && !was_dirty {
                    self.dirty.push(ix);
                }
            }
            Supply::Siblings { facility, quarter, activities } => {
                self.siblings.insert((facility, quarter), activities);
            }
            Supply::Entries(range, stored) => self.book.supply(range, stored),
        }
    }

    /// Takes an event.
    pub fn apply(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Message { received, decoded, counted } => {
                self.now = self.now.max(received);
                let outcome = self.settle(&decoded, counted, effects);
                if counted {
                    self.counters.messages.count(outcome);
                }
                effects.push(Effect::Settled(outcome));
            }
            Event::Verdict(ix, time, verdict) => {
                let state = self.meter_mut(ix);
                let was_dirty = state.dirty;
                state.judge(time, verdict);
                if state.dirty && !was_dirty {
                    self.dirty.push(ix);
                }
            }
            Event::Tick(now) => {
                self.now = self.now.max(now);
                let open_from = self.now.minus(self.rules.close_after).quarter();
                if open_from > self.open_from {
                    self.open_from = open_from;
                    effects.push(Effect::QuarterClosed);
                }
            }
        }
    }

    fn settle(&mut self, decoded: &Decoded, counted: bool, effects: &mut Vec<Effect>) -> Outcome {
        let readings = match decoded {
            Decoded::Retained => return Outcome::Retained,
            Decoded::Unmapped => return Outcome::Unmapped,
            Decoded::Refused(reason) => {
                effects.push(Effect::NotBooked(None, Outcome::Refused(*reason)));
                return Outcome::Refused(*reason);
            }
            Decoded::Readings(readings) | Decoded::Declared(readings) => readings,
        };
        let mut best = matches!(decoded, Decoded::Declared(_)).then_some(Outcome::Accepted);
        for (meter, reading) in readings {
            let outcome = match reading {
                Ok(reading) => self.settle_reading(reading),
                Err(reason) => Outcome::Refused(*reason),
            };
            if matches!(outcome, Outcome::Late | Outcome::Refused(_)) {
                effects.push(Effect::NotBooked(Some(*meter), outcome));
            }
            self.meters[meter.0 as usize].came(outcome);
            if counted {
                self.counters.readings.count(outcome);
            }
            best = Some(best.map_or(outcome, |b: Outcome| b.best(outcome)));
        }
        best.unwrap_or(Outcome::Unmapped)
    }

    fn settle_reading(&mut self, reading: &Reading) -> Outcome {
        if self.is_late(reading) {
            return Outcome::Late;
        }
        let meter = self.rules.topology.meter(reading.meter);
        let state = &mut self.meters[reading.meter.0 as usize];
        let was_dirty = state.dirty;
        let outcome = state.insert(meter, reading);
        if state.dirty && !was_dirty {
            self.dirty.push(reading.meter);
        }
        match outcome {
            SetOutcome::Accepted => {
                self.latest_reading = self.latest_reading.max(reading.time);
                Outcome::Accepted
            }
            SetOutcome::Duplicate => Outcome::Duplicate,
            SetOutcome::Conflict { .. } => Outcome::Refused(Refusal::Conflict),
        }
    }

    fn is_late(&self, reading: &Reading) -> bool {
        !self.history && reading.received.since(reading.time) > self.rules.late_horizon
    }

    /// From here on nothing is too late, or it is again.
    pub fn take_history(&mut self, history: bool) {
        self.history = history;
    }

    /// Counts a message that is refused unread.
    pub fn count_refused(&mut self, received: Time, reason: Refusal) {
        self.now = self.now.max(received);
        self.counters.messages.count(Outcome::Refused(reason));
    }

    /// These quarters are to be added up again, from what the meters' rows hold.
    pub fn add_up_again(&mut self, quarters: &[Quarter]) {
        for (facility, _) in (0u32..).zip(&self.rules.topology.facilities) {
            self.leaves.extend(quarters.iter().map(|quarter| (FacilityIx(facility), *quarter)));
        }
    }

    /// Works out everything that changed. Returns what must be supplied first; nothing left: all is added up.
    pub fn refresh(&mut self) -> Vec<Want> {
        for ix in std::mem::take(&mut self.dirty) {
            let meter = self.rules.topology.meter(ix);
            self.late_changes |= self.meter(ix).changed_before(self.open_from);
            let changed = self.meters[ix.0 as usize].work_out(meter, &mut self.scratch);
            self.touch(ix, &changed);
        }
        self.late_changes |= self.leaves.iter().any(|(_, quarter)| *quarter < self.open_from);
        let wants = self.missing();
        if wants.is_empty() && !self.leaves.is_empty() {
            for (facility, quarter) in &self.leaves {
                let leaf = self.leaf(*facility, *quarter);
                self.book.set_leaf(*facility, *quarter, &leaf);
            }
            self.book.add_up(&self.rules.topology, &self.leaves);
            self.leaves.clear();
            self.siblings.clear();
        }
        wants
    }

    /// A meter's amounts have changed in these quarters: all that hangs on them is to be added up again.
    fn touch(&mut self, ix: MeterIx, quarters: &[Quarter]) {
        let accounts = &self.rules.accounts;
        for facility in accounts.affected(ix) {
            let together = quarters.iter().flat_map(|quarter| accounts.together(*facility, *quarter));
            self.leaves.extend(together.map(|quarter| (*facility, quarter)));
        }
    }

    fn missing(&self) -> Vec<Want> {
        let mut wants = Vec::new();
        let topology = &self.rules.topology;
        for (facility, quarter) in &self.leaves {
            for near in self.rules.accounts.together(*facility, *quarter) {
                let unknown = |ix: &MeterIx| self.meter(*ix).activity(topology.meter(*ix), near).is_err();
                let stored = near < self.open_from && !self.siblings.contains_key(&(*facility, near));
                if stored && topology.facility(*facility).inputs.iter().any(unknown) {
                    wants.push(Want::Siblings(*facility, near));
                }
            }
            let ranges = self.book.missing(&self.rules.topology, *facility, *quarter);
            wants.extend(ranges.into_iter().map(Want::Entries));
        }
        wants.sort_unstable();
        wants.dedup();
        wants
    }

    fn leaf(&self, facility: FacilityIx, quarter: Quarter) -> Leaf {
        let read = |ix: MeterIx, quarter: Quarter| self.activity(facility, ix, quarter);
        let facts = |ix: MeterIx, quarter: Quarter| self.adjustments.of(ix, quarter, read(ix, quarter));
        Evaluation::new(&self.rules.accounts, quarter, &facts).leaf(facility)
    }

    /// The activity of a meter, for a facility whose stored ones are supplied.
    fn activity(&self, facility: FacilityIx, ix: MeterIx, quarter: Quarter) -> Option<&Activity> {
        match self.meter(ix).activity(self.rules.topology.meter(ix), quarter) {
            Ok(activity) => activity,
            Err(()) => {
                let stored = self.siblings.get(&(facility, quarter))?;
                stored.iter().find(|(meter, _)| *meter == ix).map(|(_, activity)| activity)
            }
        }
    }

    /// What must be stored now. Everything must be refreshed before.
    pub fn seal(&self) -> Seal<'_> {
        debug_assert!(self.dirty.is_empty() && self.leaves.is_empty());
        let mut rows = Vec::new();
        for (ix, state) in (0u32..).zip(&self.meters) {
            state.seal(MeterIx(ix), self.open_from, &mut rows);
        }
        let entries = self.book.closing(&self.rules.topology, self.now).collect();
        let (counters, births) = (&self.counters, self.births.fresh());
        Seal { rows, entries, births, counters, open_from: self.open_from, now: self.now }
    }

    /// What [`Pipeline::seal`] gave is stored: forgets what no open window needs.
    pub fn sealed(&mut self) {
        self.late_changes = false;
        self.births.kept();
        for (meter, state) in self.rules.topology.meters.iter().zip(&mut self.meters) {
            state.sealed(self.open_from);
            state.evict(meter, self.open_from);
        }
        self.book.closed(&self.rules.topology, self.now);
        self.book.evict(&self.rules.topology, self.now, self.open_from.start());
    }

    /// Something closed has changed and waits for a seal.
    pub fn has_late_changes(&self) -> bool {
        self.late_changes || self.dirty.iter().any(|ix| self.meter(*ix).changed_before(self.open_from))
    }

    /// The counts.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The first open quarter.
    pub fn open_from(&self) -> Quarter {
        self.open_from
    }

    /// The time of the last event.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The latest time of a reading that was booked since the start.
    pub fn latest_reading(&self) -> Time {
        self.latest_reading
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The entries above the meters that are not stored as they stand: open ones, and closed ones before their seal.
    pub fn open_entries(&self, wanted: impl Fn(Entity, Window) -> bool) -> Vec<Entry> {
        self.book.open_entries(&self.rules.topology, self.now, wanted).collect()
    }

    /// The sums of the quarter that begins at `start`, as far as they are in memory.
    pub fn quarters_at(&self, start: Time) -> Vec<(Entity, &Tally)> {
        let at = |(key, tally): (&Key, _)| {
            (key.window == Window::Quarter && key.start == start).then_some((key.entity, tally))
        };
        self.book.all().filter_map(at).collect()
    }

    /// The times of a meter's resident good readings, in order, with the last before them.
    pub fn heard(&self, ix: MeterIx) -> Vec<Time> {
        self.meter(ix).heard()
    }

    /// A meter's resident quarters.
    pub fn held(&self, ix: MeterIx) -> Vec<Held> {
        self.meter(ix).held().to_vec()
    }

    /// A meter's resident quarters with activity that is not stored as it stands.
    pub fn open_activities(&self, ix: MeterIx) -> Vec<(Quarter, Activity, u32)> {
        let activities = self.meter(ix).activities().filter(|(.., unstored)| *unstored);
        let as_it_stands = |quarter, activity| self.adjustments.of(ix, quarter, Some(activity));
        let stand = activities.filter_map(|(quarter, activity, revision, _)| {
            Some((quarter, as_it_stands(quarter, activity)?.into_owned(), revision))
        });
        stand.collect()
    }

    /// An operator set an amount. What is open follows at once; closed quarters are for the caller to add up again.
    pub fn adjust(&mut self, ix: MeterIx, adjusted: Adjusted) {
        self.adjustments.note(ix, adjusted);
        let open: Vec<Quarter> = (adjusted.from.0.max(self.open_from.0)..adjusted.to.0).map(Quarter).collect();
        if self.open_from > Quarter(i32::MIN) {
            self.touch(ix, &open);
        }
    }

    /// Corrections from the store, whose consequences are in the store.
    pub fn note_adjustments(&mut self, adjustments: Adjustments) {
        self.adjustments = adjustments;
    }

    /// A facility's quarters are to be added up again.
    pub fn add_up_facility(&mut self, facility: FacilityIx, quarters: &[Quarter]) {
        self.leaves.extend(quarters.iter().map(|quarter| (facility, *quarter)));
    }

    /// A meter's figures of these quarters are others, though its amounts are not. Returns the quarters that are not in memory.
    pub fn mark_changed(&mut self, ix: MeterIx, quarters: &[Quarter]) -> Vec<Quarter> {
        let state = self.meter_mut(ix);
        quarters.iter().copied().filter(|quarter| !state.mark_changed(*quarter)).collect()
    }

    /// A stored reading of a meter, for what can be seen of it.
    pub fn note_latest(&mut self, ix: MeterIx, reading: (Time, i64)) {
        self.meter_mut(ix).note_latest(reading);
    }

    /// What can be seen of a meter.
    pub fn meter_view(&self, ix: MeterIx) -> MeterView {
        let state = self.meter(ix);
        MeterView { latest: state.latest(), quarantined: state.aside(), came: state.readings_came() }
    }

    fn meter(&self, ix: MeterIx) -> &MeterState {
        &self.meters[ix.0 as usize]
    }

    fn meter_mut(&mut self, ix: MeterIx) -> &mut MeterState {
        &mut self.meters[ix.0 as usize]
    }
}
