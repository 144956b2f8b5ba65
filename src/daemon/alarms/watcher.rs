//! Watches the entries for what the rules are about: beside the desk, which it asks for what is open, so that nothing it does
//! holds up a message. What it finds is kept together with how far it has looked: a kill in between finds the same again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::alert::{
    Alarm, Begin, Calm, Checkpoint, Followed, Kind, Line, News, Phase, Rule, Telling, Until, Watched, World, follow,
    look,
};
use crate::clock;
use crate::cluster::{Entity, MeterIx};
use crate::config::Plan;
use crate::daemon::alarms::health::{Health, Now, Surroundings};
use crate::daemon::alarms::holds::Holds;
use crate::daemon::alarms::live::{self, Live, Open, Wanted};
use crate::daemon::alarms::standings::Standings;
use crate::daemon::alarms::{inputs, log, silence};
use crate::http::{Ask, DeskView, HeardView, Question};
use crate::notify::Pulse;
use crate::pipeline::Rules;
use crate::quantity::{Span, Time, Window};
use crate::store::{AlarmStore, Reader, StoreError};

/// How often rates are judged.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often totals are, which hardly change in between.
const TOTALS_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked who is silent, and how the daemon is.
const HEALTH_EVERY: Duration = Duration::from_secs(2);
/// After a connection the broker first brings what it has kept: until then silence says nothing.
const SETTLED_AFTER: Duration = Duration::from_secs(20);
/// Changes of the ledger that are looked at in one go.
const CHANGES_MAX: usize = 10_000;

/// The watcher.
pub(crate) struct Watcher {
    rules: Arc<Rules>,
    alarms: Arc<[Rule]>,
    wanted: Wanted,
    calm: Calm,
    telling: Telling,
    holds: Holds,
    health: Health,
    surroundings: Surroundings,
    ask: Ask,
    reader: Reader,
    store: AlarmStore,
    /// What the notifiers wait for.
    pulse: watch::Sender<Pulse>,
    began: Time,
    totals_looked: Option<Instant>,
    health_looked: Option<Instant>,
    /// Since when the broker's session is up.
    connected: Option<Instant>,
    /// When the silence of a gateway ended, by rule.
    ended: BTreeMap<String, BTreeMap<String, Time>>,
    /// From where each rule is judged on.
    checkpoints: RefCell<BTreeMap<Line, Checkpoint>>,
    /// How each rule stands.
    standings: RefCell<Standings>,
    /// What went wrong last: it is said once.
    trouble: Option<String>,
}

/// From when on entries are others than before, by entity and length of window.
type Earliest = BTreeMap<(Entity, Window), Time>;

/// What the desk says at one look.
struct Seen {
    open: Open,
    heard: HeardView,
    /// Where health is looked at.
    desk: Option<DeskView>,
}

impl Watcher {
    pub(crate) fn new(
        plan: &Plan,
        ask: Ask,
        (reader, store): (Reader, AlarmStore),
        pulse: watch::Sender<Pulse>,
        (surroundings, standings): (Surroundings, Standings),
    ) -> Result<Watcher, StoreError> {
        Ok(Watcher {
            rules: Arc::clone(&plan.rules),
            alarms: Arc::clone(&plan.alarms),
            wanted: Wanted::new(&plan.alarms),
            calm: plan.calm,
            telling: store.telling(clock::now().minus(Span::minutes(10)))?,
            holds: Holds::new(&plan.alarms),
            health: Health::default(),
            surroundings,
            ask,
            reader,
            store,
            pulse,
            began: clock::now(),
            totals_looked: None,
            health_looked: None,
            connected: None,
            ended: BTreeMap::new(),
            checkpoints: RefCell::default(),
            standings: RefCell::new(standings),
            trouble: None,
        })
    }

    /// Watches until the desk is gone.
    pub(crate) async fn run(mut self) {
        let mut pace = tokio::time::interval(LOOK_EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let looked = match self.ask().await {
                // It reads the ledger, and the session shares the runtime.
                Ok(Some(seen)) => tokio::task::block_in_place(|| self.look(&seen)),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if looked.is_ok() {
                self.pulse.send_if_modified(|pulse| {
                    pulse.looked = Some(instant());
                    false
                });
            }
            if looked.is_err() {
                // What was found is not kept: it is to be found again.
                self.checkpoints.borrow_mut().clear();
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

    /// What the desk says. `None`: it is gone.
    async fn ask(&mut self) -> Result<Option<Seen>, StoreError> {
        let Some(open) = live::open(&self.ask, &self.wanted).await else {
            return Ok(None);
        };
        let mut seen = Seen { open, heard: HeardView::default(), desk: None };
        let is_due = self.health_looked.is_none_or(|at| at.elapsed() >= HEALTH_EVERY);
        if !is_due || self.alarms.iter().all(|rule| rule.kind.is_booked()) {
            return Ok(Some(seen));
        }
        self.health_looked = Some(instant());
        let Some(heard) = live::heard(&self.ask, Vec::new()).await else {
            return Ok(None);
        };
        let details = self.suspects(&heard)?;
        let (reply, answer) = oneshot::channel();
        (self.ask)(Question::Desk(reply));
        let (Some(heard), Ok(desk)) = (live::heard(&self.ask, details).await, answer.await) else {
            return Ok(None);
        };
        (seen.heard, seen.desk) = (heard, Some(desk));
        Ok(Some(seen))
    }

    /// The meters that are silent, or were.
    fn suspects(&self, heard: &HeardView) -> Result<Vec<MeterIx>, StoreError> {
        let (active, (changed, _)) = (self.store.active()?, self.changed()?);
        let changed = changed.keys().filter_map(|(entity, _)| match entity {
            Entity::Meter(ix) => Some(*ix),
            _ => None,
        });
        let changed: BTreeSet<MeterIx> = changed.collect();
        let mut suspects = BTreeSet::new();
        for rule in self.alarms.iter() {
            if let Kind::Stale(stale) = &rule.kind {
                let (topology, known) = (&self.rules.topology, (active.as_slice(), &changed));
                suspects.extend(silence::suspects((rule, stale), topology, heard, known, clock::now()));
            }
        }
        Ok(suspects.into_iter().collect())
    }

    fn look(&mut self, seen: &Seen) -> Result<(), StoreError> {
        let now = clock::now();
        let (changed, cursor) = self.changed()?;
        let totals = self.totals_looked.is_none_or(|at| at.elapsed() >= TOTALS_EVERY);
        if totals {
            self.totals_looked = Some(instant());
        }
        let open_from = self.reader.open_from()?.start();
        let mut followed: Vec<Followed> = Vec::new();
        for rule in self.alarms.iter().filter(|rule| rule.kind.is_booked()) {
            for watched in &rule.watched {
                let sources = rule.sources(watched).into_iter();
                let since = sources.filter_map(|entity| changed.get(&(entity, rule.step())).copied()).min();
                if rule.kind.is_rate() || totals || since.is_some() {
                    let from = since.unwrap_or(open_from).min(open_from);
                    followed.extend(self.judge(rule, watched, seen, (from, now))?);
                }
            }
        }
        if let Some(desk) = &seen.desk {
            followed.extend(self.silent(seen, &changed, (open_from, now))?);
            followed.extend(self.unwell(seen, desk, now)?);
        }
        // A value that changes all the time is kept now and then.
        followed.retain(|(alarm, news)| totals || news.is_some() || alarm.state != Phase::Active);
        self.hide(seen, &followed, now)?;
        self.tell(followed, cursor, now)
    }

    /// Silence is not in the entries. Without a session nobody could be heard.
    fn silent(
        &mut self,
        seen: &Seen,
        changed: &Earliest,
        (open_from, now): (Time, Time),
    ) -> Result<Vec<Followed>, StoreError> {
        let broker = (self.surroundings.broker)();
        if !broker.connected || !broker.subscribed {
            self.connected = None;
            return Ok(Vec::new());
        }
        if self.connected.get_or_insert_with(instant).elapsed() < SETTLED_AFTER {
            return Ok(Vec::new());
        }
        let mut followed = Vec::new();
        for rule in self.alarms.iter() {
            let Kind::Stale(stale) = &rule.kind else {
                continue;
            };
            let is_looked_at = |watched: &Watched| match watched {
                Watched::Entity(Entity::Meter(ix)) => seen.heard.details.contains_key(ix),
                Watched::Gateway(gateway) => stale
                    .gateways
                    .get(gateway)
                    .is_some_and(|all| all.iter().any(|ix| seen.heard.details.contains_key(ix))),
                _ => false,
            };
            for watched in &rule.watched {
                if !is_looked_at(watched) {
                    self.standings.borrow().is_well(rule, watched, &self.rules.topology);
                    continue;
                }
                let since = watched.entity().and_then(|entity| changed.get(&(entity, Window::Quarter)).copied());
                let from = since.unwrap_or(open_from).min(open_from);
                followed.extend(self.judge(rule, watched, seen, (from, now))?);
            }
        }
        Ok(followed)
    }

    /// What is not in the books.
    fn unwell(&mut self, seen: &Seen, desk: &DeskView, at: Time) -> Result<Vec<Followed>, StoreError> {
        let active = self.store.active()?;
        let (topology, heard) = (&self.rules.topology, &seen.heard);
        let now = Now { at, topology, heard, desk, surroundings: &self.surroundings };
        let mut followed = Vec::new();
        for rule in self.alarms.iter().filter(|rule| !rule.kind.is_booked() && !rule.kind.is_stale()) {
            followed.extend(self.health.look(rule, &now, &active, self.standings.get_mut()));
        }
        Ok(followed)
    }

    /// Finds what is not told because something else is.
    fn hide(&mut self, seen: &Seen, followed: &[Followed], now: Time) -> Result<(), StoreError> {
        if seen.desk.is_none() {
            return Ok(());
        }
        let mut active: BTreeMap<String, Alarm> =
            self.store.active()?.into_iter().map(|alarm| (alarm.id.clone(), alarm)).collect();
        for (alarm, _) in followed {
            active.insert(alarm.id.clone(), alarm.clone());
        }
        self.note_ended(followed);
        let active: Vec<Alarm> = active.into_values().filter(|alarm| alarm.state == Phase::Active).collect();
        self.holds.hidden.clear();
        for rule in self.alarms.iter() {
            let Kind::Stale(stale) = &rule.kind else {
                continue;
            };
            let nothing = BTreeMap::new();
            let ended = self.ended.get(rule.id.as_str()).unwrap_or(&nothing);
            let topology = &self.rules.topology;
            let hidden = silence::hidden((rule, stale), topology, &seen.heard, (&active, ended), now);
            self.holds.hidden.extend(hidden);
        }
        Ok(())
    }

    /// A gateway that is back brings its meters back one after the other.
    fn note_ended(&mut self, followed: &[Followed]) {
        for (alarm, news) in followed {
            let Some(gateway) = alarm.entity.strip_prefix("gateway/") else {
                continue;
            };
            if matches!(news, Some(News::Returned | News::Withdrawn)) {
                self.ended.entry(alarm.rule.clone()).or_default().insert(gateway.to_owned(), clock::now());
            }
        }
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

    /// Judges a rule for one of what it watches from a time on, and compares with what is kept.
    fn judge(
        &self,
        rule: &Rule,
        watched: &Watched,
        seen: &Seen,
        (changed, now): (Time, Time),
    ) -> Result<Vec<Followed>, StoreError> {
        let topology = &self.rules.topology;
        let (zone, subject) = (watched.zone(topology), watched.subject(topology));
        let step = rule.step();
        let line = (rule.id.to_string(), subject.entity.clone());
        let lead = rule.lead();
        let known = self.checkpoints.borrow().get(&line).filter(|known| known.at <= changed).cloned();
        let mut from = known.as_ref().map_or_else(|| zone.start(step, changed.minus(lead)), |known| known.at);
        let mut kept = self.store.since(rule.id.as_str(), &subject.entity, from)?;
        while known.is_none()
            && let Some(start) = kept.iter().filter_map(|alarm| Time::parse_rfc3339(&alarm.since)).min()
            && start <= from
        {
            from = zone.start(step, start.minus(lead));
            kept = self.store.since(rule.id.as_str(), &subject.entity, from)?;
        }
        let to = if rule.kind.is_stale() { now } else { zone.end(step, zone.start(step, now)) };
        let closed_to = if rule.kind.is_stale() { now } else { now.minus(self.rules.close_after) };
        let Seen { open, heard, .. } = seen;
        let facts = Live { rules: &self.rules, reader: &self.reader, open, heard, began: self.began };
        let begin = known.map_or(Begin::After(from), |known| Begin::From(Box::new(known)));
        let until = Until { to, closed_to, settled: self.reader.open_from()?.start() };
        let judged = look(rule, watched, topology, &facts, (begin, until))?;
        if let Some(checkpoint) = judged.checkpoint.clone() {
            self.checkpoints.borrow_mut().insert(line, checkpoint);
        }
        self.standings.borrow_mut().note(rule, watched, topology, (&judged, now));
        // What an earlier state of the rule made is not this one's.
        let print = rule.print();
        kept.retain(|alarm| alarm.rule_print == print);
        let is_taken = |id: &str| self.store.alarm(id).is_ok_and(|alarm| alarm.is_some());
        let mut followed = follow(rule, &subject, (kept, &is_taken), &judged, closed_to);
        for (alarm, _) in followed.iter_mut().filter(|(_, news)| *news == Some(News::Raised)) {
            let since = Time::parse_rfc3339(&alarm.since).unwrap_or(now);
            alarm.inputs = inputs::inputs((rule, watched, since), &self.rules, (&self.reader, &self.ask))?;
        }
        Ok(followed)
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
fn instant() -> Instant {
    Instant::now()
}
