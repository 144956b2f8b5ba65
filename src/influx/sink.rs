//! The writer's loop: closed entries at once, open ones now and then, the same again after a failure.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::block_in_place;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cluster::{Entity, MeterIx};
use crate::influx::client::{Bucket, WriteError};
use crate::influx::lines::Lines;
use crate::influx::{Health, Options};
use crate::ledger::Entry;
use crate::pipeline::Rules;
use crate::quantity::{Time, Window};
use crate::store::{Reader, StoreError};

/// Asks the desk for the open entries of these windows.
pub type AskOpen = Arc<dyn Fn(Vec<Window>, oneshot::Sender<Vec<Entry>>) + Send + Sync>;

const NAME: &str = "influxdb";
const LINES_A_REQUEST: usize = 5_000;
const RECORDS_A_STEP: usize = 2_000;
const STEP: Duration = Duration::from_secs(1);
const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// How often open windows are written, by their length.
const OPEN_EVERY: [(&[Window], Duration); 3] = [
    (&[Window::Minute, Window::Quarter, Window::Hour], Duration::from_secs(10)),
    (&[Window::Day], Duration::from_secs(300)),
    (&[Window::Month, Window::Year], Duration::from_secs(3_600)),
];

/// What the writer needs of the process.
pub struct World {
    /// What is stored.
    pub reader: Reader,
    /// The way to the desk.
    pub ask: AskOpen,
    /// Where it shows how it is.
    pub health: Arc<Health>,
    /// The clock, which tells open windows of meters from closed ones.
    pub now: fn() -> Time,
}

/// The writer.
pub struct Sink {
    bucket: Bucket,
    lines: Lines,
    world: World,
    /// Windows of meters that were written while they were open, by the time they close.
    unfinished: BTreeSet<(Time, MeterWindow)>,
}

type MeterWindow = (MeterIx, Window, Time);

impl Sink {
    /// Prepares the writer. An error: the token cannot be read.
    pub fn new(options: Options, rules: Arc<Rules>, world: World) -> io::Result<Sink> {
        let bucket = Bucket::new(&options)?;
        let lines = Lines { rules, options };
        let recent = lines.recent_meter_windows((world.now)());
        let unfinished = recent.into_iter().map(|key| (lines.closes(key), key)).collect();
        Ok(Sink { bucket, lines, world, unfinished })
    }

    /// Runs for ever. An error: the store cannot be read any more.
    pub async fn run(mut self) -> Result<(), StoreError> {
        let mut step = tokio::time::interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = [Instant::now(); OPEN_EVERY.len()];
        loop {
            step.tick().await;
            self.write_closed().await?;
            self.write_finished().await?;
            for ((windows, every), due) in OPEN_EVERY.iter().zip(&mut due) {
                if Instant::now() >= *due {
                    self.write_open(windows).await;
                    *due = Instant::now() + *every;
                }
            }
        }
    }

    /// Everything after the cursor, step by step; the cursor moves when the database has confirmed.
    async fn write_closed(&mut self) -> Result<(), StoreError> {
        loop {
            let cursor = self.world.reader.cursor(NAME)?;
            let changed = self.world.reader.changed(cursor, RECORDS_A_STEP)?;
            if changed.cursor == cursor {
                self.world.health.behind(0);
                return Ok(());
            }
            self.world.health.behind(self.world.reader.behind(cursor)?);
            let now = (self.world.now)();
            let entries = block_in_place(|| self.lines.changed(&self.world.reader, &changed, now))?;
            for entry in entries.iter().filter(|entry| entry.revision == 0) {
                if let Entity::Meter(meter) = entry.key.entity {
                    let key = (meter, entry.key.window, entry.key.start);
                    self.unfinished.insert((self.lines.closes(key), key));
                }
            }
            let lines = self.lines.encode(&entries);
            for batch in lines.chunks(LINES_A_REQUEST) {
                self.insist(batch).await;
            }
            self.world.reader.confirm(NAME, changed.cursor)?;
        }
    }

    /// Windows of meters that closed without a further change: their revision and coverage are final now.
    async fn write_finished(&mut self) -> Result<(), StoreError> {
        let now = (self.world.now)();
        let mut entries = Vec::new();
        while let Some((_, key)) = self.unfinished.first().filter(|(closes, _)| *closes <= now).copied() {
            self.unfinished.pop_first();
            entries.extend(block_in_place(|| self.lines.meter_window(&self.world.reader, key, now))?);
        }
        for batch in self.lines.encode(&entries).chunks(LINES_A_REQUEST) {
            self.insist(batch).await;
        }
        Ok(())
    }

    /// A failure is not insisted on: the next round carries newer values.
    async fn write_open(&mut self, windows: &[Window]) {
        let (reply, answer) = oneshot::channel();
        (self.world.ask)(windows.to_vec(), reply);
        let Ok(entries) = answer.await else {
            return;
        };
        for batch in self.lines.encode(&entries).chunks(LINES_A_REQUEST) {
            match self.bucket.write(&batch.concat()).await {
                Ok(()) => self.world.health.succeeded(),
                Err(WriteError::Retry(trouble) | WriteError::Split(trouble)) => self.world.health.failed(trouble),
            }
        }
    }

    /// Sends until the database has taken every line that it will ever take. A batch it rejects is halved until the bad
    /// line stands alone, which is set aside.
    async fn insist(&mut self, lines: &[String]) {
        let mut parts = vec![lines];
        let mut back_off = BACK_OFF_FIRST;
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.bucket.write(&part.concat()).await {
                Ok(()) => {
                    self.world.health.succeeded();
                    back_off = BACK_OFF_FIRST;
                }
                Err(WriteError::Split(trouble)) if part.len() == 1 => {
                    tracing::error!(error = trouble, line = part[0].trim_end(), "the database will not take this line");
                    self.world.health.set_aside(1);
                }
                Err(WriteError::Split(trouble)) => {
                    self.world.health.failed(trouble);
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
                Err(WriteError::Retry(trouble)) => {
                    tracing::warn!(error = trouble, "the database took nothing; trying again");
                    self.world.health.failed(trouble);
                    let behind = self.world.reader.cursor(NAME).and_then(|cursor| self.world.reader.behind(cursor));
                    self.world.health.behind(behind.unwrap_or(0));
                    parts.push(part);
                    tokio::time::sleep(back_off.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }
}
