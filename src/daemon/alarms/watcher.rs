//! Watches the entries for what the rules are about: beside the desk, which it asks for what is open, so that nothing it does
//! holds up a message. What it finds is kept together with how far it has looked: a kill in between finds the same again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::alert::{Calm, Followed, Line, Machine, News, Phase, Rule, Subject, Telling, World, follow, judge, series};
use crate::clock;
use crate::cluster::{Entity, Topology};
use crate::config::Plan;
use crate::daemon::alarms::holds::Holds;
use crate::daemon::alarms::log;
use crate::format::entity_text;
use crate::http::{Ask, Asked, OpenView, Question, collect};
use crate::notify::Pulse;
use crate::pipeline::Rules;
use crate::quantity::{Span, Time, Window};
use crate::store::{AlarmStore, Reader, StoreError};

/// How often rates are judged.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often totals are, which hardly change in between.
const TOTALS_EVERY: Duration = Duration::from_secs(30);
/// Changes of the ledger that are looked at in one go.
const CHANGES_MAX: usize = 10_000;

/// The watcher.
pub(crate) struct Watcher {
    rules: Arc<Rules>,
    alarms: Arc<[Rule]>,
    calm: Calm,
    telling: Telling,
    holds: Holds,
    ask: Ask,
    reader: Reader,
    store: AlarmStore,
    /// What the notifiers wait for.
    pulse: watch::Sender<Pulse>,
    totals_looked: Option<Instant>,
    /// What went wrong last: it is said once.
    trouble: Option<String>,
}

/// From when on entries are others than before, by entity and length of window.
type Earliest = BTreeMap<(Entity, Window), Time>;

/// What is open, by the length of window.
type Open = BTreeMap<Window, OpenView>;

impl Watcher {
    pub(crate) fn new(
        plan: &Plan,
        ask: Ask,
        (reader, store): (Reader, AlarmStore),
        pulse: watch::Sender<Pulse>,
    ) -> Result<Watcher, StoreError> {
        Ok(Watcher {
            rules: Arc::clone(&plan.rules),
            alarms: Arc::clone(&plan.alarms),
            calm: plan.calm,
            telling: store.telling(clock::now().minus(Span::minutes(10)))?,
            holds: Holds::new(&plan.alarms),
            ask,
            reader,
            store,
            pulse,
            totals_looked: None,
            trouble: None,
        })
    }

    /// Watches until the desk is gone.
    pub(crate) async fn run(mut self) {
        let mut pace = tokio::time::interval(LOOK_EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let Some(open) = open(Arc::clone(&self.ask), Arc::clone(&self.alarms)).await else {
                return;
            };
            // It reads the ledger, and the session shares the runtime.
            let looked = tokio::task::block_in_place(|| self.look(open));
            if looked.is_ok() {
                self.pulse.send_if_modified(|pulse| {
                    pulse.looked = Some(instant());
                    false
                });
            }
            let trouble = looked.err().map(|error| error.to_string());
            if trouble != self.trouble {
                match &trouble {
                    Some(error) => tracing::error!(error, "the alarms cannot be looked after"),
                    None => tracing::info!("the alarms are looked after again"),
                }
            }
            self.trouble = trouble;
        }
    }

    fn look(&mut self, open: Open) -> Result<(), StoreError> {
        let now = clock::now();
        let (changed, cursor) = self.changed()?;
        let totals = self.totals_looked.is_none_or(|at| at.elapsed() >= TOTALS_EVERY);
        if totals {
            self.totals_looked = Some(instant());
        }
        let open_from = self.reader.open_from()?.start();
        let mut followed: Vec<Followed> = Vec::new();
        for rule in self.alarms.iter() {
            for entity in &rule.entities {
                let since = changed.get(&(*entity, rule.step())).copied();
                let due = rule.kind.is_rate() || totals || since.is_some();
                let (true, Some(open)) = (due, open.get(&rule.step())) else {
                    continue;
                };
                let from = since.unwrap_or(open_from).min(open_from);
                followed.extend(self.judge(rule, *entity, open, (from, now))?);
            }
        }
        self.tell(followed, cursor, now)
    }

    /// Keeps what was found, with what is to be told of it.
    fn tell(&mut self, followed: Vec<Followed>, cursor: i64, now: Time) -> Result<(), StoreError> {
        let known: BTreeSet<&str> = followed.iter().map(|(alarm, _)| alarm.id.as_str()).collect();
        let mut others = self.store.open_alarms()?;
        others.retain(|alarm| !known.contains(alarm.id.as_str()));
        self.holds.shelves = self.store.shelves(now)?;
        let (calm, starts) = (self.calm, self.starts(&followed)?);
        let mut telling = self.telling.clone();
        let updates =
            telling.tell(followed, others, &mut World { calm, now, hold: &|alarm| self.holds.of(alarm), starts });
        if updates.is_empty() && telling.chatters == self.telling.chatters && self.store.cursor()? == Some(cursor) {
            return Ok(());
        }
        self.store.keep(&updates, &telling, Some(cursor), now)?;
        self.telling = telling;
        updates.iter().for_each(log);
        if updates.iter().any(|update| update.news.is_some()) {
            self.pulse.send_modify(|pulse| pulse.news += 1);
        }
        Ok(())
    }

    /// When the latest alarms of each line began that has a new one.
    fn starts(&self, followed: &[Followed]) -> Result<BTreeMap<Line, Vec<Time>>, StoreError> {
        let mut starts: BTreeMap<Line, Vec<Time>> = BTreeMap::new();
        for (alarm, news) in followed {
            let is_new = matches!(news, Some(News::Raised | News::Reopened));
            let (line, start) = (alarm.line(), Time::parse_rfc3339(&alarm.since));
            let (true, false, Some(start)) = (is_new, starts.contains_key(&line), start) else {
                continue;
            };
            let recent = self.store.since(&line.0, &line.1, start.minus(Span::minutes(10)))?;
            let real = recent.iter().filter(|alarm| alarm.state != Phase::Withdrawn);
            starts.insert(line, real.filter_map(|alarm| Time::parse_rfc3339(&alarm.since)).collect());
        }
        Ok(starts)
    }

    /// From when on entries changed that were closed, and how far the ledger goes. At first nothing has: what was before the
    /// watch began is not told.
    fn changed(&self) -> Result<(Earliest, i64), StoreError> {
        let mut earliest = Earliest::new();
        let (latest, _) = self.reader.latest()?;
        let Some(mut cursor) = self.store.cursor()? else {
            return Ok((earliest, latest));
        };
        let mut note = |entity, window, start: Time| {
            let known = earliest.entry((entity, window)).or_insert(start);
            *known = start.min(*known);
        };
        while cursor < latest {
            let changed = self.reader.changed(cursor, latest, CHANGES_MAX)?;
            for closed in &changed.entries {
                note(closed.key.entity, closed.key.window, closed.key.start);
            }
            for (meter, quarter) in &changed.quarters {
                for window in [Window::Minute, Window::Quarter] {
                    note(Entity::Meter(*meter), window, quarter.start());
                }
            }
            if changed.cursor == cursor {
                break;
            }
            cursor = changed.cursor;
        }
        Ok((earliest, latest))
    }

    /// Judges a rule for an entity from a time on, and compares with what is kept.
    fn judge(
        &self,
        rule: &Rule,
        entity: Entity,
        open: &OpenView,
        (changed, now): (Time, Time),
    ) -> Result<Vec<Followed>, StoreError> {
        let topology = &self.rules.topology;
        let (zone, text) = (topology.zone(entity), entity_text(topology, entity));
        let step = rule.step();
        // What begins here does not hang on what was before: an alarm that was about to be would be one by now.
        let lead = Span(rule.guard.lasting.0 + rule.guard.keep.0 + step.shortest().0);
        let mut from = zone.start(step, changed.minus(lead));
        let mut kept = self.store.since(rule.id.as_str(), &text, from)?;
        while let Some(start) = kept.iter().filter_map(|alarm| Time::parse_rfc3339(&alarm.since)).min()
            && start <= from
        {
            from = zone.start(step, start.minus(lead));
            kept = self.store.since(rule.id.as_str(), &text, from)?;
        }
        let to = zone.end(step, zone.start(step, now));
        let reach = zone.start(step, rule.reach(zone, Time(from.0 + 1)).min(from));
        let asked = Asked::of(vec![entity], step, (reach, to));
        let entries = collect(&self.rules, &self.reader, &asked, open)?;
        let series = series(rule, topology, entity, (reach, to), &entries);
        let closed_to = now.minus(self.rules.close_after);
        let judged = judge(rule, zone, &series, &mut Machine::new(rule.guard), (from, to, closed_to));
        Ok(follow(rule, &subject(topology, entity), kept, &judged.episodes, closed_to))
    }
}

/// What an alarm of an entity is about.
fn subject(topology: &Topology, entity: Entity) -> Subject {
    let facility = match entity {
        Entity::Meter(meter) => Some(topology.meter(meter).facility),
        Entity::Facility(facility) => Some(facility),
        Entity::Cluster(_) | Entity::Network(_) => None,
    };
    let cluster = topology.cluster_of(entity);
    Subject {
        entity: entity_text(topology, entity),
        facility: facility.map(|facility| topology.facility(facility).id.to_string()),
        cluster: cluster.map(|cluster| topology.cluster(cluster).id.to_string()),
    }
}

/// What is open of all that is watched. `None`: the desk is gone.
async fn open(ask: Ask, alarms: Arc<[Rule]>) -> Option<Open> {
    let mut open = Open::new();
    for window in [Window::Minute, Window::Quarter] {
        let watched = alarms.iter().filter(|rule| rule.step() == window);
        let mut entities: Vec<Entity> = watched.flat_map(|rule| rule.entities.iter().copied()).collect();
        entities.sort_unstable();
        entities.dedup();
        let (reply, answer) = oneshot::channel();
        ask(Question::Open(entities, window, reply));
        open.insert(window, answer.await.ok()?);
    }
    Some(open)
}

#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
fn instant() -> Instant {
    Instant::now()
}
