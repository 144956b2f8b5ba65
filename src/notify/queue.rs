//! The queue of one notifier: what it has not confirmed is sent again, later and later.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::alert::{Alarm, Rule};
use crate::mqtt;
use crate::notify::alertmanager::RESOLVED_FOR;
use crate::notify::{Label, Letter, Options, Records, Teller};
use crate::quantity::{Span, Time};
use crate::store::{AlarmStore, Lane, Notice, StoreError, Welcome};

/// Why something was not told.
#[derive(Debug)]
pub struct Failed {
    /// For the log.
    pub why: String,
    /// Sending it again is of no use.
    pub is_final: bool,
}

impl Failed {
    /// Sending it again may help.
    pub(crate) fn later(why: String) -> Failed {
        Failed { why, is_final: false }
    }
}

/// What the watch says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    /// How often there was something to tell.
    pub news: u64,
    /// When all was looked at last.
    pub looked: Option<Instant>,
}

const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// What could not be told for so long is given up.
const GIVE_UP_AFTER: Span = Span::days(1);
/// What is told in a digest waits so long for others.
const DIGEST_AFTER: Span = Span::minutes(1);
/// News in one go.
const BATCH_MAX: usize = 500;
/// How often it is looked whether anything is due.
const TICK: Duration = Duration::from_secs(5);
/// Who has not looked for so long does not live.
const PULSE_MAX: Duration = Duration::from_secs(60);

/// One notifier at work.
pub struct Queue {
    id: String,
    teller: Teller,
    group_by: Vec<Label>,
    heartbeat: Option<Span>,
    /// The rules whose alarms it is not told of.
    others: HashSet<String>,
    state: PathBuf,
    now: fn() -> Time,
    records: Records,
    welcome: Option<Welcome>,
}

impl Queue {
    /// A notifier is told of all rules that do not name others. `welcome`: it was not there before.
    pub fn new(
        options: &Options,
        broker: &mqtt::Options,
        rules: &[Rule],
        (state, now): (&Path, fn() -> Time),
        (records, welcome): (&Records, Option<Welcome>),
    ) -> io::Result<Queue> {
        records.begin(&options.id);
        let is_others = |rule: &&Rule| !rule.notify.is_empty() && !rule.notify.contains(&options.id);
        Ok(Queue {
            id: options.id.clone(),
            teller: Teller::new(options, broker, now)?,
            group_by: options.group_by.clone(),
            heartbeat: options.heartbeat,
            others: rules.iter().filter(is_others).map(|rule| rule.id.to_string()).collect(),
            state: state.to_owned(),
            now,
            records: records.clone(),
            welcome,
        })
    }

    /// Tells what is to be told, until the watch ends. What cannot be told holds up neither what is said again and again nor
    /// the heartbeat.
    pub async fn run(self, pulse: watch::Receiver<Pulse>) {
        tokio::join!(self.run_news(pulse.clone()), self.run_upkeep(pulse));
    }

    async fn run_news(&self, mut pulse: watch::Receiver<Pulse>) {
        // Without a beginning it would be told all that ever was.
        while let Err(error) = self.begin().await {
            self.report(Err(error));
            tokio::time::sleep(TICK).await;
        }
        loop {
            self.report(self.tell_all().await);
            if let Ok(Err(_)) = tokio::time::timeout(TICK, pulse.changed()).await {
                return;
            }
        }
    }

    async fn run_upkeep(&self, pulse: watch::Receiver<Pulse>) {
        let (mut refreshed, mut beaten) = (None, None);
        while pulse.has_changed().is_ok() {
            self.report(self.refresh(&mut refreshed).await);
            let looked = pulse.borrow().looked;
            if looked.is_some_and(|at| at.elapsed() < PULSE_MAX) {
                self.beat(&mut beaten).await;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    fn report(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::error!(notifier = self.id, %error, "what is to be told cannot be read; it is tried again");
        }
    }

    /// Who was not there before is told what goes on.
    async fn begin(&self) -> Result<(), StoreError> {
        let Some(welcome) = &self.welcome else {
            return Ok(());
        };
        let mine = welcome.going.iter().filter(|notice| !self.others.contains(&notice.alarm.rule)).cloned().collect();
        for letter in Letter::all(mine, &self.group_by) {
            self.tell(letter).await;
        }
        AlarmStore::open(&self.state)?.begin(&self.id, welcome)
    }

    async fn tell_all(&self) -> Result<(), StoreError> {
        // A connection of its own each time: none is held over a wait.
        let open = || AlarmStore::open(&self.state);
        loop {
            let mut last = None;
            for lane in [Lane::Now, Lane::Digest] {
                let batch = open()?.next(&self.id, lane, BATCH_MAX)?;
                if lane == Lane::Digest && self.teller.collects() && !self.is_due(&batch) {
                    continue;
                }
                last = batch.last().map(|notice| notice.number).or(last);
                let Some(number) = batch.last().map(|notice| notice.number) else {
                    continue;
                };
                let mine = batch.into_iter().filter(|notice| !self.others.contains(&notice.alarm.rule)).collect();
                for letter in Letter::all(mine, &self.group_by) {
                    self.tell(letter).await;
                }
                open()?.confirm(&self.id, lane, number)?;
            }
            if last.is_none() {
                return Ok(());
            }
        }
    }

    fn is_due(&self, batch: &[Notice]) -> bool {
        let made = batch.first().and_then(|notice| Time::parse_rfc3339(&notice.made));
        made.is_some_and(|made| (self.now)().since(made) >= DIGEST_AFTER)
    }

    /// Sends it until it is taken, or given up. Of what is refused as a whole, the halves are tried.
    async fn tell(&self, letter: Letter) {
        let mut left = vec![letter];
        while let Some(mut letter) = left.pop() {
            if self.deliver(&letter).await || letter.notices.len() < 2 {
                continue;
            }
            let second = letter.notices.split_off(letter.notices.len() / 2);
            left.push(Letter { group: letter.group.clone(), notices: second });
            left.push(letter);
        }
    }

    /// False: it was refused, and not for its time.
    async fn deliver(&self, letter: &Letter) -> bool {
        let mut wait = WAIT_FIRST;
        while let Err(failed) = self.teller.send(letter).await {
            self.failed("alarms are not told yet; it is tried again", &failed);
            let made = letter.notices.last().and_then(|notice| Time::parse_rfc3339(&notice.made));
            let is_old = (self.now)().since(made.unwrap_or(Time::MIN)) > GIVE_UP_AFTER;
            if failed.is_final || is_old {
                let (key, why) = (letter.key(), failed.why);
                tracing::error!(notifier = self.id, key, why, "alarms could not be told");
                return is_old;
            }
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
        self.succeeded();
        true
    }

    /// Says again what goes on, to whom must hear it again and again.
    async fn refresh(&self, refreshed: &mut Option<Instant>) -> Result<(), StoreError> {
        let Some(every) = self.teller.refresh_every() else {
            return Ok(());
        };
        if refreshed.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        *refreshed = Some(instant());
        let alarms = AlarmStore::open(&self.state)?.told((self.now)().minus(RESOLVED_FOR))?;
        let mine: Vec<Alarm> = alarms.into_iter().filter(|alarm| !self.others.contains(&alarm.rule)).collect();
        if !mine.is_empty() {
            self.note("what goes on is not told again", self.teller.refresh(mine).await);
        }
        Ok(())
    }

    async fn beat(&self, beaten: &mut Option<Instant>) {
        let Some(every) = self.heartbeat else {
            return;
        };
        if beaten.is_some_and(|at: Instant| at.elapsed() < Duration::from_millis(every.0.unsigned_abs())) {
            return;
        }
        *beaten = Some(instant());
        self.note("the heartbeat is not told", self.teller.beat(every).await);
    }

    fn note(&self, what: &str, result: Result<(), Failed>) {
        match result {
            Ok(()) => self.succeeded(),
            Err(failed) => self.failed(what, &failed),
        }
    }

    /// An outage is said once.
    fn failed(&self, what: &str, failed: &Failed) {
        if self.records.failed(&self.id, &failed.why, (self.now)()) {
            tracing::warn!(notifier = self.id, why = failed.why, "{what}");
        }
    }

    fn succeeded(&self) {
        if let Some(since) = self.records.succeeded(&self.id) {
            tracing::info!(notifier = self.id, %since, "the notifier gets through again");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
fn instant() -> Instant {
    Instant::now()
}
