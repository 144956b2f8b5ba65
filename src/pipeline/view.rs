//! What can be seen of a meter: its state, and its entries, which are derived on read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Entity, FacilityIx, MeterIx};
use crate::emission::{Evaluation, Tally};
use crate::ledger::{Entry, Key};
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time, Window};
use crate::window::Activity;

/// A meter at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterView {
    /// The latest reading that is booked.
    pub latest: Option<(Time, i64)>,
    /// How many readings in memory are set aside.
    pub quarantined: usize,
    /// How many readings came since the start, and how many of them were refused.
    pub came: (u64, u64),
}

/// The activities of a meter, and of every meter its figures are worked out from, with their revisions.
#[derive(Clone, Debug, Default)]
pub struct Amounts {
    meters: BTreeMap<MeterIx, BTreeMap<Quarter, (Activity, u32)>>,
}

impl Amounts {
    /// Collects what a meter needs; later ones of a quarter replace earlier ones.
    pub fn collect<E, I: IntoIterator<Item = (Quarter, Activity, u32)>>(
        rules: &Rules,
        ix: MeterIx,
        load: impl FnMut(MeterIx) -> Result<I, E>,
    ) -> Result<Amounts, E> {
        Amounts::of(rules.accounts.needs(ix), load)
    }

    /// Collects the amounts of some meters.
    pub fn of<E, I: IntoIterator<Item = (Quarter, Activity, u32)>>(
        meters: impl IntoIterator<Item = MeterIx>,
        mut load: impl FnMut(MeterIx) -> Result<I, E>,
    ) -> Result<Amounts, E> {
        let mut amounts = Amounts::default();
        for meter in meters {
            let quarters = amounts.meters.entry(meter).or_default();
            quarters
                .extend(load(meter)?.into_iter().map(|(quarter, activity, revision)| (quarter, (activity, revision))));
        }
        Ok(amounts)
    }

    pub(crate) fn activity(&self, ix: MeterIx, quarter: Quarter) -> Option<Cow<'_, Activity>> {
        self.meters.get(&ix)?.get(&quarter).map(|(activity, _)| Cow::Borrowed(activity))
    }

    fn quarters(&self) -> BTreeSet<Quarter> {
        self.meters.values().flat_map(BTreeMap::keys).copied().collect()
    }

    /// How often what these quarters hang on was changed after it had closed.
    fn changes(&self, together: &[Quarter]) -> u32 {
        let of =
            |quarter: &Quarter| self.meters.values().filter_map(|quarters| quarters.get(quarter)).collect::<Vec<_>>();
        together.iter().flat_map(of).map(|(_, revision)| revision.saturating_sub(1)).fold(0, u32::saturating_add)
    }
}

/// What a facility adds up to in a quarter, under these rules.
pub fn facility_quarter(rules: &Rules, facility: FacilityIx, quarter: Quarter, amounts: &Amounts) -> Tally {
    let facts = |ix: MeterIx, quarter: Quarter| amounts.activity(ix, quarter);
    let leaf = Evaluation::new(&rules.accounts, quarter, &facts).leaf(facility);
    let mut sum = Tally::default();
    leaf.own.iter().for_each(|part| sum.merge(part));
    sum
}

/// The range of quarters that a meter's windows of `[from, to)` are worked out from: whole windows, and whole hours, by which
/// contracts cover.
pub fn quarters_of(rules: &Rules, ix: MeterIx, window: Window, (from, to): (Time, Time)) -> (Quarter, Quarter) {
    let zone = rules.topology.zone(Entity::Meter(ix));
    let window = window.max(Window::Hour);
    let last = zone.end(window, zone.start(window, to));
    (zone.start(window, from).quarter(), Quarter(last.quarter().0.saturating_add(1)))
}

/// What is over.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    /// The time of the last event.
    pub now: Time,
    /// Quarters before this one are closed, whenever windows close from now on.
    pub open_from: Quarter,
}

impl Over {
    /// Nothing is open.
    pub const ALL: Over = Over { now: Time::MAX, open_from: Quarter(i32::MAX) };
}

/// A meter's entries of one length of window. The revision is 0 while the window is open, 1 when it has closed, and rises with
/// every change of an amount that it hangs on.
pub fn meter_entries(rules: &Rules, ix: MeterIx, window: Window, amounts: &Amounts, over: Over) -> Vec<Entry> {
    let topology = &rules.topology;
    let entity = Entity::Meter(ix);
    let zone = topology.zone(entity);
    let facts = |ix: MeterIx, quarter: Quarter| amounts.activity(ix, quarter);
    let mut sums: BTreeMap<Time, (Tally, u32)> = BTreeMap::new();
    for quarter in amounts.quarters() {
        let parts = Evaluation::new(&rules.accounts, quarter, &facts).meter(ix);
        let together = rules.accounts.together(rules.accounts.meter(ix).facility, quarter);
        let changes = amounts.changes(&together);
        let holds = |tally: &Tally| !tally.is_empty() || !tally.errors().is_empty();
        let mut counted = None;
        for (part, tally) in parts.iter().enumerate().filter(|(_, tally)| holds(tally)) {
            let time = Time(quarter.start().0 + 60_000 * part as i64);
            // The last part is known of the quarter as a whole.
            let time = if time < quarter.end() { time } else { quarter.start() };
            if window == Window::Minute && part + 1 == parts.len() {
                continue;
            }
            let start = zone.start(window, time);
            let (sum, revision) = sums.entry(start).or_insert_with(|| (Tally::default(), 1));
            sum.merge(tally);
            if counted.replace(start) != Some(start) {
                *revision = revision.saturating_add(changes);
            }
        }
    }
    let entry = |(start, (tally, revision)): (Time, (Tally, u32))| {
        let key = Key { entity, window, start };
        let end = key.end(topology);
        let open = end.plus(rules.close_after) > over.now && end > over.open_from.start();
        Entry::new(key, tally, if open { 0 } else { revision }, topology, over.now)
    };
    // Errors stand beside the minutes: what has nothing else is no entry.
    sums.into_iter().filter(|(_, (tally, _))| !tally.is_empty()).map(entry).collect()
}
