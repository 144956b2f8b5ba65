//! What rules are judged by beside a running daemon: what is open at the desk, and what is stored.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use crate::alert::{Facts, Heard, Kind, Rule, Watched};
use crate::cluster::{Entity, MeterIx};
use crate::http::{Ask, Asked, HeardView, MeterHeard, OpenView, Question, collect};
use crate::ledger::Entry;
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time, Window};
use crate::store::{Reader, StoreError};
use crate::window::Activity;

/// What is open, by the length of window.
pub(crate) type Open = BTreeMap<Window, OpenView>;

/// What is asked for at every look.
pub(crate) struct Wanted(BTreeMap<Window, Vec<Entity>>);

impl Wanted {
    /// All that the rules are judged by.
    pub(crate) fn new(rules: &[Rule]) -> Wanted {
        let mut wanted: BTreeMap<Window, BTreeSet<Entity>> = BTreeMap::new();
        for rule in rules.iter().filter(|rule| rule.kind.is_booked()) {
            let entities = wanted.entry(rule.step()).or_default();
            entities.extend(rule.watched.iter().filter_map(Watched::entity));
            match &rule.kind {
                Kind::Limit(limit) => {
                    let gate = limit.gate.iter().map(|gate| gate.meter);
                    entities.extend(limit.events.iter().copied().chain(gate).map(Entity::Meter));
                }
                Kind::Imbalance(imbalance) => {
                    entities.extend([imbalance.sent, imbalance.received].map(Entity::Meter));
                }
                _ => {}
            }
        }
        Wanted(wanted.into_iter().map(|(window, entities)| (window, entities.into_iter().collect())).collect())
    }
}

/// What is open of all that is watched. `None`: the desk is gone.
pub(crate) async fn open(ask: &Ask, wanted: &Wanted) -> Option<Open> {
    let mut open = Open::new();
    for (window, of) in &wanted.0 {
        open.insert(*window, entities(ask, of.clone(), *window).await?);
    }
    Some(open)
}

/// What is open of some entities. `None`: the desk is gone.
pub(crate) async fn entities(ask: &Ask, of: Vec<Entity>, window: Window) -> Option<OpenView> {
    let (reply, answer) = oneshot::channel();
    ask(Question::Open(of, window, reply));
    answer.await.ok()
}

/// When meters were heard; of some, every reading in memory. `None`: the desk is gone.
pub(crate) async fn heard(ask: &Ask, details: Vec<MeterIx>) -> Option<HeardView> {
    let (reply, answer) = oneshot::channel();
    ask(Question::Heard(details, reply));
    answer.await.ok()
}

/// All of it.
pub(crate) struct Live<'a> {
    pub rules: &'a Rules,
    pub reader: &'a Reader,
    pub open: &'a Open,
    pub heard: &'a HeardView,
    /// When this daemon began to listen.
    pub began: Time,
}

impl Live<'_> {
    pub(crate) fn latest(&self, meter: MeterIx) -> MeterHeard {
        self.heard.meters.get(meter.0 as usize).cloned().unwrap_or_default()
    }
}

impl Facts for Live<'_> {
    type Error = StoreError;

    fn entries(&self, entity: Entity, window: Window, span: (Time, Time)) -> Result<Vec<Entry>, StoreError> {
        let nothing = OpenView::default();
        let open = self.open.get(&window).unwrap_or(&nothing);
        collect(self.rules, self.reader, &Asked::of(vec![entity], window, span), open)
    }

    fn amounts(&self, meter: MeterIx, (from, to): (Time, Time)) -> Result<Vec<(Quarter, Activity)>, StoreError> {
        let range = (from.quarter(), Quarter(to.quarter().0.saturating_add(1)));
        let stored = self.reader.activities(meter, range)?;
        let mut all: BTreeMap<Quarter, Activity> =
            stored.into_iter().map(|(quarter, activity, _)| (quarter, activity)).collect();
        // What is open is newer than what is stored.
        for (_, quarters) in
            self.open.values().flat_map(|open| &open.quarters).filter(|(of, _)| *of == Entity::Meter(meter))
        {
            let within = quarters.iter().filter(|(quarter, ..)| (range.0..range.1).contains(quarter));
            all.extend(within.map(|(quarter, activity, _)| (*quarter, activity.clone())));
        }
        Ok(all.into_iter().collect())
    }

    fn stored_from(&self, entity: Entity) -> Result<Option<Time>, StoreError> {
        self.reader.stored_from(entity)
    }

    fn heard(&self, meter: MeterIx, since: Time) -> Result<Heard, StoreError> {
        let gone = self.latest(meter).gone;
        let Some(resident) = self.heard.details.get(&meter) else {
            // Nothing speaks for a silence.
            return Ok(Heard { times: self.latest(meter).latest.into_iter().collect(), gone });
        };
        let stored = self.reader.heard(meter, since)?;
        let times: BTreeSet<Time> = stored.into_iter().chain(resident.iter().copied()).collect();
        // Of those before, the last is enough.
        let before = times.range(..since).next_back().copied();
        Ok(Heard { times: before.into_iter().chain(times.range(since..).copied()).collect(), gone })
    }

    fn began(&self) -> Time {
        self.began
    }
}
