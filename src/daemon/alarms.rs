//! Watches the entries for what the rules are about: beside the desk, which it asks for what is open, so that nothing it does
//! holds up a message. What it finds is kept together with how far it has looked: a kill in between finds the same again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::alert::{Alarm, Followed, Machine, News, Phase, Rule, follow, judge, series};
use crate::clock;
use crate::cluster::Entity;
use crate::config::Plan;
use crate::daemon::StartError;
use crate::format::entity_text;
use crate::http::{Ask, Asked, OpenView, Question, collect};
use crate::notify::Queue;
use crate::pipeline::Rules;
use crate::quantity::{Span, Time, Window};
use crate::store::{AlarmStore, Reader, StoreError};

/// How often rates are judged.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often totals are, which hardly change in between.
const TOTALS_EVERY: Duration = Duration::from_secs(30);
/// Changes of the ledger that are looked at in one go.
const CHANGES_MAX: usize = 10_000;

/// Starts the watch and the notifiers. What the rules before left open is closed.
pub(crate) fn start(plan: &Plan, ask: &Ask, reader: Reader) -> Result<Vec<JoinHandle<()>>, StartError> {
    let state = &plan.daemon.state_dir;
    let mut store = AlarmStore::rescue(state)?;
    let now = clock::now();
    let retired = retired(store.active()?, plan, now);
    store.keep(&retired, None, now)?;
    retired.iter().for_each(log);
    let (news, told) = watch::channel(0);
    let mut tasks = Vec::new();
    for options in &plan.notifiers {
        store.welcome(&options.id)?;
        let queue = Queue::new(options, &plan.mqtt, &plan.alarms, (state, clock::now))?;
        tasks.push(tokio::spawn(queue.run(told.clone())));
    }
    if !plan.alarms.is_empty() {
        let watcher = Watcher::new(plan, Arc::clone(ask), (reader, store), news);
        tasks.push(tokio::spawn(watcher.run()));
    }
    Ok(tasks)
}

/// What nobody watches any more is over: its rule is gone, or selects something else.
fn retired(active: Vec<Alarm>, plan: &Plan, now: Time) -> Vec<Followed> {
    let topology = &plan.rules.topology;
    let of = |rule: &Rule| -> Vec<(String, String)> {
        rule.entities.iter().map(|entity| (rule.id.to_string(), entity_text(topology, *entity))).collect()
    };
    let watched: HashSet<(String, String)> = plan.alarms.iter().flat_map(of).collect();
    let gone = active.into_iter().filter(|alarm| !watched.contains(&(alarm.rule.clone(), alarm.entity.clone())));
    let over = |alarm: Alarm| {
        let (sequence, until) = (alarm.sequence + 1, Some(now.to_string()));
        (Alarm { state: Phase::Returned, sequence, until, ..alarm }, Some(News::Returned))
    };
    gone.map(over).collect()
}

/// The watcher.
struct Watcher {
    rules: Arc<Rules>,
    alarms: Arc<[Rule]>,
    ask: Ask,
    reader: Reader,
    store: AlarmStore,
    /// Counts what there is to tell.
    news: watch::Sender<u64>,
    totals_looked: Option<Instant>,
    /// What went wrong last: it is said once.
    trouble: Option<String>,
}

/// From when on entries are others than before, by entity and length of window.
type Earliest = BTreeMap<(Entity, Window), Time>;

/// What is open, by the length of window.
type Open = BTreeMap<Window, OpenView>;

impl Watcher {
    fn new(plan: &Plan, ask: Ask, (reader, store): (Reader, AlarmStore), news: watch::Sender<u64>) -> Watcher {
        let (rules, alarms) = (Arc::clone(&plan.rules), Arc::clone(&plan.alarms));
        Watcher { rules, alarms, ask, reader, store, news, totals_looked: None, trouble: None }
    }

    /// Watches until the desk is gone.
    async fn run(mut self) {
        let mut pace = tokio::time::interval(LOOK_EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let Some(open) = open(Arc::clone(&self.ask), Arc::clone(&self.alarms)).await else {
                return;
            };
            // It reads the ledger, and the session shares the runtime.
            let looked = tokio::task::block_in_place(|| self.look(open));
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
        if followed.is_empty() && self.store.cursor()? == Some(cursor) {
            return Ok(());
        }
        self.store.keep(&followed, Some(cursor), now)?;
        followed.iter().for_each(log);
        if followed.iter().any(|(_, news)| news.is_some()) {
            self.news.send_modify(|count| *count += 1);
        }
        Ok(())
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
        Ok(follow(rule, &text, kept, &judged.episodes, closed_to))
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

/// With fields by which a journal can be searched.
fn log((alarm, news): &Followed) {
    let (rule, entity, level, priority) = (&alarm.rule, &alarm.entity, &alarm.level, &alarm.priority);
    let (value, limit, unit, key) = (alarm.value, alarm.limit, &alarm.unit, alarm.key());
    match news {
        Some(News::Raised | News::Changed | News::Reopened) => {
            tracing::warn!(rule, entity, level, priority, value, limit, unit, key, "alarm");
        }
        Some(News::Returned) => tracing::info!(rule, entity, key, peak = alarm.peak, unit, "alarm is over"),
        Some(News::Withdrawn) => tracing::info!(rule, entity, key, "alarm is withdrawn: late data changed the result"),
        None => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
fn instant() -> Instant {
    Instant::now()
}
