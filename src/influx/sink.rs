//! The writer's loop. At each step first what is live: open windows when they are due, and what closed since; then a part
//! of what an outage left behind; then the lines the database did not take before. One request is in flight at a time.
//!
//! Nothing is insisted on: what failed is read again from the ledger and sent at a later step, so a value that is sent
//! is always the newest there is.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::block_in_place;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cluster::{Entity, MeterIx};
use crate::influx::better::leave_better;
use crate::influx::client::{Bucket, REQUEST_TIMEOUT};
use crate::influx::lines::{Line, Lines};
use crate::influx::mark::Mark;
use crate::influx::place::{Pause, Place};
use crate::influx::{Database, Options, World, WriteError, retention};
use crate::ledger::Entry;
use crate::pipeline::Rules;
use crate::quantity::{Span, Time, Window};
use crate::store::{SetAside, StoreError};

const LINES_A_REQUEST: usize = 5_000;
const RECORDS_A_STEP: usize = 2_000;
/// Further behind than this, what is new overtakes what is old.
const OVERTAKE_FROM: u64 = 4_000;
const STEP: Duration = Duration::from_secs(1);
const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// A request without an answer may be carried out this much later.
const DOUBT: Duration = REQUEST_TIMEOUT.saturating_mul(2);
/// A line that was not taken is tried again after this, then twice this, and so on.
const ASIDE_FIRST: Span = Span(30_000);
const ASIDE_MAX: Span = Span(3_600_000);
const ASIDE_A_STEP: usize = 20;
/// How often the bucket is asked how long it keeps points, and when again if it did not answer.
const RETENTION_EVERY: Duration = Duration::from_secs(86_400);
const RETENTION_AGAIN: Duration = Duration::from_secs(600);
/// How often open windows are written, by their length.
const OPEN_EVERY: [(&[Window], Duration); 3] = [
    (&[Window::Minute, Window::Quarter, Window::Hour], Duration::from_secs(10)),
    (&[Window::Day], Duration::from_secs(300)),
    (&[Window::Month, Window::Year], Duration::from_secs(3_600)),
];

/// Everything up to here is confirmed,
const DONE: &str = "influxdb";
/// and, where the new overtook the old, everything after this
const HEAD_FROM: &str = "influxdb.head-from";
/// up to here.
const HEAD: &str = "influxdb.head";
/// One more than the cursor from which on a request in flight, or without an answer, makes it necessary to repeat; 0: none.
const SENDING: &str = "influxdb.sending";
/// Windows of meters that closed before this are written as closed.
const FINISHED: &str = "influxdb.finished";

/// The writer.
pub struct Sink<D = Bucket> {
    bucket: D,
    lines: Lines,
    world: World,
    place: Place,
    /// Windows of meters that were written while they were open, by the time they close.
    unfinished: BTreeSet<(Time, MeterWindow)>,
    pause: Pause,
    open_due: [Instant; OPEN_EVERY.len()],
    doubt: Option<(Instant, i64)>,
    /// The old may not use more than half of the time.
    old_not_before: Instant,
    retention_due: Instant,
    mark: Mark,
}

/// What of the changes is written.
#[derive(Clone, Copy)]
enum Part {
    /// What is new, up to this change.
    Live(i64),
    /// What an outage left behind.
    Old,
}

type MeterWindow = (MeterIx, Window, Time);

/// Sending stopped: try again at a later step.
struct Stopped;

/// Why a step ended early.
enum Halt {
    Stopped,
    Store(StoreError),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Halt {
        Halt::Stopped
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Halt {
        Halt::Store(error)
    }
}

/// Reads the store without holding up others, where there are threads for them.
fn make_way<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => block_in_place(work),
    }
}

impl Sink {
    /// Prepares the writer. An error: the token or the cursors cannot be read.
    pub fn new(options: Options, rules: Arc<Rules>, world: World) -> io::Result<Sink> {
        Sink::over(Bucket::new(&options, world.now)?, options, rules, world)
    }
}

impl<D: Database> Sink<D> {
    /// The writer over a database of any kind.
    pub fn over(bucket: D, options: Options, rules: Arc<Rules>, mut world: World) -> io::Result<Sink<D>> {
        let lines = Lines { rules, options };
        let read = || -> Result<(Place, Time), StoreError> {
            let get = |name| world.cursors.get(name);
            let (latest, _) = world.reader.latest()?;
            // A ledger that lost its tail counts on from where it is; what it counts up to now is confirmed already.
            let done = get(DONE)?.unwrap_or(0).min(latest);
            let head_from = get(HEAD_FROM)?.unwrap_or(0).clamp(done, latest);
            let head = get(HEAD)?.unwrap_or(0).clamp(head_from, latest);
            let now = (world.now)();
            Ok((Place { done, head_from, head }, get(FINISHED)?.map_or(now, Time).min(now)))
        };
        let (place, finished) = read().map_err(io::Error::other)?;
        let mark = Mark::read(&mut world).map_err(io::Error::other)?;
        let now = (world.now)();
        let unfinished =
            lines.meter_windows_closing(finished, now).into_iter().map(|key| (lines.closes(key), key)).collect();
        let started = Instant::now();
        // What the process before had sent when it ended may still be carried out.
        let sending = world.cursors.get(SENDING).map_err(io::Error::other)?.unwrap_or(0);
        let doubt = (sending > 0).then(|| (started + DOUBT, sending - 1));
        Ok(Sink {
            bucket,
            lines,
            world,
            place,
            unfinished,
            pause: Pause { until: started, next: BACK_OFF_FIRST, broken: 0 },
            open_due: [started; OPEN_EVERY.len()],
            doubt,
            old_not_before: started,
            retention_due: started,
            mark,
        })
    }

    /// Runs for ever. Where the store cannot be read, it says so and tries again.
    pub async fn run(mut self) {
        let mut step = tokio::time::interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            step.tick().await;
            if Instant::now() < self.pause.until {
                continue;
            }
            if let Err(Halt::Store(error)) = self.step().await {
                tracing::error!(%error, "the database writer cannot read the store");
                self.world.health.failed(error.to_string());
                self.pause.until = Instant::now() + BACK_OFF_MAX;
            }
            if let Err(error) = self.show() {
                tracing::error!(%error, "the database writer cannot tell how far it is");
            }
        }
    }

    async fn step(&mut self) -> Result<(), Halt> {
        self.check_mark().await?;
        self.check_retention().await;
        let marked = self.advance_mark().await?;
        self.settle_doubt()?;
        self.overtake()?;
        for (at, (windows, every)) in OPEN_EVERY.iter().enumerate() {
            if Instant::now() >= self.open_due[at] {
                self.write_open(windows).await?;
                self.open_due[at] = Instant::now() + *every;
            }
        }
        while self.write_changed(Part::Live(marked)).await? {}
        self.write_finished().await?;
        if self.place.done < self.place.head_from && Instant::now() >= self.old_not_before {
            let started = Instant::now();
            self.write_changed(Part::Old).await?;
            self.old_not_before = Instant::now() + started.elapsed();
        }
        self.write_aside().await
    }

    async fn advance_mark(&mut self) -> Result<i64, Halt> {
        match self.mark.advance(&self.bucket, &mut self.world).await? {
            Ok(marked) => Ok(marked),
            Err(WriteError::Later { trouble, after, .. }) => Err(self.stop(trouble, after).into()),
            Err(WriteError::Broken(trouble) | WriteError::Split(trouble)) => Err(self.stop(trouble, None).into()),
        }
    }

    async fn check_mark(&mut self) -> Result<(), Halt> {
        match self.mark.check(&self.bucket, &self.lines.options.bucket, &mut self.world).await? {
            Ok(()) => Ok(self.mark.look(&self.world)?),
            Err(trouble) => Err(self.stop(trouble, None).into()),
        }
    }

    /// Sends entries, but none of which the database knows better when the state directory is an old copy.
    async fn deliver_entries(&mut self, entries: Vec<Entry>, cursor: i64) -> Result<(), Halt> {
        if self.mark.lost.is_empty() {
            return self.deliver(self.lines.encode(&entries), cursor).await;
        }
        match leave_better(&self.bucket, &self.lines, &self.mark.lost, entries).await {
            Ok(lines) => self.deliver(lines, cursor).await,
            Err(error) => Err(self.stop(error.to_string(), None).into()),
        }
    }

    /// What is live begins here.
    fn live_from(&self) -> i64 {
        if self.place.is_split() { self.place.head } else { self.place.done }
    }

    /// After an outage what is new must not wait for what is old.
    fn overtake(&mut self) -> Result<(), StoreError> {
        let reader = &self.world.reader;
        if self.place.is_split() || reader.behind(self.place.done, i64::MAX)? <= OVERTAKE_FROM {
            return Ok(());
        }
        let (latest, _) = reader.latest()?;
        self.confirm(Place { head_from: latest, head: latest, ..self.place })
    }

    fn confirm(&mut self, place: Place) -> Result<(), StoreError> {
        self.place = place.merged();
        let Place { done, head_from, head } = self.place;
        self.world.cursors.set(&[(DONE, done), (HEAD_FROM, head_from), (HEAD, head)])
    }

    /// What was sent without an answer may have been carried out late, over something newer: it is sent again.
    fn settle_doubt(&mut self) -> Result<(), StoreError> {
        let Some((_, cursor)) = self.doubt.take_if(|(at, _)| Instant::now() >= *at) else {
            return Ok(());
        };
        let Place { done, head_from, head } = self.place;
        self.confirm(match self.place.is_split() {
            true if cursor >= head_from => Place { head: head.min(cursor), ..self.place },
            // The other part may have been in doubt as well.
            true => Place { done: done.min(cursor), head: head_from, ..self.place },
            false => Place { done: done.min(cursor), head_from: done.min(cursor), head: done.min(cursor) },
        })?;
        self.world.cursors.set(&[(SENDING, 0)])
    }

    /// One batch of closed entries, new or old; the cursor moves when the database has confirmed. True: there may be more.
    async fn write_changed(&mut self, part: Part) -> Result<bool, Halt> {
        let (after, to) = match part {
            Part::Live(marked) => (self.live_from(), marked),
            Part::Old => (self.place.done, self.place.head_from),
        };
        let changed = self.world.reader.changed(after, to, RECORDS_A_STEP)?;
        if changed.cursor > after {
            let now = (self.world.now)();
            let entries = make_way(|| self.lines.changed(&self.world.reader, &changed, now))?;
            self.note_unfinished(&entries);
            self.deliver_entries(entries, after).await?;
        }
        let place = match (part, self.place.is_split()) {
            (Part::Live(_), true) => Place { head: changed.cursor, ..self.place },
            (Part::Live(_), false) => Place { done: changed.cursor, head_from: changed.cursor, head: changed.cursor },
            (Part::Old, _) if changed.cursor == after => Place { done: to, ..self.place },
            (Part::Old, _) => Place { done: changed.cursor, ..self.place },
        };
        if place != self.place {
            self.confirm(place)?;
        }
        Ok(changed.cursor > after)
    }

    fn note_unfinished(&mut self, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| entry.revision == 0) {
            if let Entity::Meter(meter) = entry.key.entity {
                let key = (meter, entry.key.window, entry.key.start);
                self.unfinished.insert((self.lines.closes(key), key));
            }
        }
    }

    /// Windows of meters that closed without a further change: their revision and coverage are final now.
    async fn write_finished(&mut self) -> Result<(), Halt> {
        let now = (self.world.now)();
        let due: Vec<_> =
            self.unfinished.iter().take_while(|(closes, _)| *closes <= now).take(RECORDS_A_STEP).copied().collect();
        if due.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (_, key) in &due {
            entries.extend(make_way(|| self.lines.meter_window(&self.world.reader, *key, now))?);
        }
        self.deliver_entries(entries, self.live_from()).await?;
        due.iter().for_each(|window| {
            self.unfinished.remove(window);
        });
        if self.unfinished.first().is_none_or(|(closes, _)| *closes > now) {
            self.world.cursors.set(&[(FINISHED, now.0)])?;
        }
        Ok(())
    }

    async fn write_open(&mut self, windows: &[Window]) -> Result<(), Halt> {
        let (reply, answer) = oneshot::channel();
        (self.world.ask)(windows.to_vec(), reply);
        let Ok(mut entries) = answer.await else {
            return Ok(());
        };
        // A closed window is written as it is stored: were it to change before the next seal and to change back, nothing
        // would tell.
        entries.retain(|entry| entry.revision == 0);
        self.deliver_entries(entries, self.live_from()).await
    }

    /// What the database would not take before; by now the value may be another, or the database may have changed its mind.
    async fn write_aside(&mut self) -> Result<(), Halt> {
        let now = (self.world.now)();
        let aside = self.world.cursors.aside()?;
        for line in aside.into_iter().take_while(|line| line.next <= now).take(ASIDE_A_STEP) {
            let fresh = self.lines.find(&self.world.reader, &line.key, now)?;
            if fresh.is_empty() {
                self.world.cursors.taken(&line.key)?;
            } else {
                // It is set aside again if it must be.
                self.deliver_entries(fresh, self.live_from()).await?;
            }
        }
        Ok(())
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    /// Sends lines. What the database rejects is halved until the bad line stands alone, which is set aside. `cursor`:
    /// from where to repeat, should no answer come.
    async fn deliver(&mut self, lines: Vec<Line>, cursor: i64) -> Result<(), Halt> {
        if lines.is_empty() {
            return Ok(());
        }
        let repeat_from = self.doubt.map_or(cursor, |(_, earlier)| earlier.min(cursor));
        self.world.cursors.set(&[(SENDING, repeat_from + 1)])?;
        let sent = self.send(lines, repeat_from).await;
        if self.doubt.is_none() {
            self.world.cursors.set(&[(SENDING, 0)])?;
        }
        sent
    }

    async fn send(&mut self, lines: Vec<Line>, repeat_from: i64) -> Result<(), Halt> {
        let mut parts: Vec<&[Line]> = lines.chunks(LINES_A_REQUEST).rev().collect();
        let mut taken = false;
        while let Some(part) = parts.pop() {
            let text: String = part.iter().map(|line| line.text.as_str()).collect();
            let trouble = match self.bucket.write(&text).await {
                Ok(()) => {
                    taken = true;
                    self.succeeded(part)?;
                    continue;
                }
                Err(WriteError::Split(trouble)) => trouble,
                // Where nothing else is taken either, it is not the line's fault.
                Err(WriteError::Broken(trouble)) if self.pause.is_stubborn() && (part.len() > 1 || taken) => trouble,
                Err(WriteError::Broken(trouble)) => {
                    self.pause.broken += 1;
                    return Err(self.stop(trouble, None).into());
                }
                Err(WriteError::Later { trouble, after, in_doubt }) => {
                    if in_doubt {
                        self.doubt = Some((Instant::now() + DOUBT, repeat_from));
                    }
                    return Err(self.stop(trouble, after).into());
                }
            };
            self.world.health.failed(trouble.clone());
            match part {
                [line] => self.set_aside(line, trouble)?,
                _ => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
            }
        }
        Ok(())
    }

    fn succeeded(&mut self, part: &[Line]) -> Result<(), StoreError> {
        self.world.health.succeeded();
        self.pause = Pause { until: Instant::now(), next: BACK_OFF_FIRST, broken: 0 };
        if self.world.health.view().aside > 0 {
            part.iter().try_for_each(|line| self.world.cursors.taken(&line.key))?;
        }
        Ok(())
    }

    /// Half to full of the back-off, so that a fleet of gateways does not come back in step.
    fn stop(&mut self, trouble: String, after: Option<Duration>) -> Stopped {
        let wait = after.unwrap_or(self.pause.next.mul_f64(0.5 + fastrand::f64() / 2.0));
        if self.world.health.view().trouble.as_ref() != Some(&trouble) {
            tracing::warn!(error = trouble, "the database took nothing; trying again");
        }
        self.pause.until = Instant::now() + wait;
        self.pause.next = (self.pause.next * 2).min(BACK_OFF_MAX);
        self.world.health.failed(trouble);
        Stopped
    }

    fn set_aside(&mut self, line: &Line, trouble: String) -> Result<(), StoreError> {
        let before = self.world.cursors.aside()?.into_iter().find(|known| known.key == line.key);
        let tries = before.map_or(0, |known| known.tries);
        if tries == 0 {
            tracing::error!(error = trouble, line = line.text.trim_end(), "the database will not take this line");
            self.world.health.rejected();
        }
        let wait = Span((ASIDE_FIRST.0 << tries.min(10)).min(ASIDE_MAX.0));
        let next = (self.world.now)().plus(wait);
        self.world.cursors.set_aside(&SetAside { key: line.key.clone(), trouble, tries: tries + 1, next })
    }

    fn show(&self) -> Result<(), StoreError> {
        let old = self.world.reader.behind(self.place.done, self.place.head_from)?;
        let new = self.world.reader.behind(self.live_from(), i64::MAX)?;
        let aside = self.world.cursors.aside()?.len() as u64;
        self.world.health.behind(old + new + u64::from(self.doubt.is_some()), aside);
        Ok(())
    }

    async fn check_retention(&mut self) {
        if Instant::now() < self.retention_due {
            return;
        }
        let told = retention::is_short(&self.bucket, &self.lines).await;
        self.retention_due = Instant::now() + if told.is_some() { RETENTION_EVERY } else { RETENTION_AGAIN };
        if let Some(short) = told {
            self.world.health.retention_short(short);
        }
    }
}
