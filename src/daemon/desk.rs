//! The desk: one thread that takes everything that is ready, makes it durable, releases the acknowledgements, and applies
//! it. All state is here; everyone else asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::cluster::Kind;
use crate::config::{Plan, Retention};
use crate::daemon::Books;
use crate::daemon::complaints::Complaints;
use crate::daemon::rebirths::Rebirths;
use crate::daemon::stages::{Stage, Stages};
use crate::daemon::timekeeper::Timekeeper;
use crate::daemon::unmapped::Unmapped;
use crate::decode::Message;
use crate::http::Question;
use crate::ledger::Entry;
use crate::mqtt::{Delivery, News};
use crate::pipeline::{Outcome, Rules};
use crate::quantity::{Time, Window};
use crate::store::{BROKER_DROPPED, Gap, SESSION_LOST, Space, StoreError};

/// A block holds at most this many messages.
const BLOCK_MESSAGES: usize = 500;
/// A block of long messages is committed before it gets this big.
const BLOCK_BYTES: usize = 32 << 20;
/// A message waits at most this long for its block.
const BLOCK_DELAY: Duration = Duration::from_millis(100);
/// How often the desk looks at the clock when nothing arrives.
const IDLE: Duration = Duration::from_millis(250);
const SEAL_EVERY: Duration = Duration::from_secs(60);
/// A change of the closed past is sealed after this.
const SEAL_LATE_AFTER: Duration = Duration::from_secs(1);
/// Views are worked out again at most this often; adding up 10,000 meters takes a few milliseconds.
const REFRESH_EVERY: Duration = Duration::from_millis(100);
/// Retention takes a few entities at a time, and is around in ten minutes.
const RETAIN_EVERY: Duration = Duration::from_millis(500);
pub(crate) const RETAIN_CALLS_A_ROUND: usize = 1_200;
pub(crate) const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// After the disk turned out to be full, it is looked at again so much later.
const FULL_PAUSE: Duration = Duration::from_secs(5);
/// How often the desk looks at the disk.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the desk is sent.
pub enum Inbox {
    /// From the broker session.
    News(News),
    /// A question from the HTTP server that looks at these rules.
    Question(Arc<Rules>, Question),
    /// The open entries of these windows, for the database.
    Open(Vec<Window>, oneshot::Sender<Vec<Entry>>),
    /// Records of the ledger that were found damaged.
    Damaged(Vec<String>),
    /// Commit, seal, and end.
    Stop,
}

/// The desk.
pub struct Desk {
    pub(crate) books: Books,
    pub(crate) plan_hash: String,
    inbox: Receiver<Inbox>,
    committed: watch::Sender<u64>,
    /// Told at every turn of the loop.
    stages: Stages,
    commit_seconds: Histogram,
    rebirths: Rebirths,
    pub(crate) retention: Retention,
    filters: Arc<[String]>,
    inflight: usize,
    pending: Vec<Message>,
    pending_bytes: usize,
    last_sequence: u64,
    pub(crate) state_dir: PathBuf,
    pub(crate) keeper: Timekeeper,
    /// The time now, as far as it is sure.
    pub(crate) now: Time,
    pub(crate) held: Option<Held>,
    /// When the broker last told how many messages it dropped.
    drops_seen: Option<Time>,
    pub(crate) clocks: Clocks,
    complaints: Complaints,
    pub(crate) unmapped: Unmapped,
}

/// Why nothing is taken in for now. What the broker has delivered waits unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// There is too little room.
    DiskFull,
    /// The clock has jumped.
    ClockUnsure,
}

impl Held {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Held::DiskFull => "disk-full",
            Held::ClockUnsure => "clock-unsure",
        }
    }

    fn cure(self) -> &'static str {
        match self {
            Held::DiskFull => "make room",
            Held::ClockUnsure => {
                "a jump ahead is believed when it has lasted ten seconds, one beyond the late horizon fifteen minutes: until \
                 then, set the clock right if it is wrong"
            }
        }
    }
}

/// When things were last done.
pub(crate) struct Clocks {
    started: Instant,
    /// At the disk.
    looked: Option<Instant>,
    first_pending: Instant,
    sealed: Instant,
    refreshed: Instant,
    retained: Instant,
    pub(crate) pruned: Instant,
    pub(crate) next_retained: usize,
    touched: bool,
}

/// The desk's ends of its channels.
pub(crate) struct Lines {
    pub inbox: Receiver<Inbox>,
    pub committed: watch::Sender<u64>,
    pub stages: Stages,
    pub commit_seconds: Histogram,
    /// Topics and payloads for the session to publish.
    pub outbox: mpsc::UnboundedSender<(String, Vec<u8>)>,
    /// Topics that no meter listened to so far.
    pub unmapped: Unmapped,
    /// Messages that could not be made durable yet: they are not acknowledged.
    pub pending: Vec<Message>,
}

impl Desk {
    pub(crate) fn new(books: Books, plan: &Plan, lines: Lines) -> Desk {
        let now = instant();
        // What is pending follows what is committed, one by one.
        let last_sequence = *lines.committed.borrow() + lines.pending.len() as u64;
        let keeper =
            Timekeeper::new(books.pipeline.now(), clock::now(), Duration::ZERO, books.pipeline.rules().late_horizon);
        Desk {
            now: books.pipeline.now(),
            keeper,
            state_dir: plan.daemon.state_dir.clone(),
            held: None,
            drops_seen: None,
            books,
            plan_hash: plan.hash.clone(),
            inbox: lines.inbox,
            committed: lines.committed,
            stages: lines.stages,
            commit_seconds: lines.commit_seconds,
            rebirths: Rebirths::new(plan.rebirth_requests, lines.outbox),
            retention: plan.retention,
            filters: Arc::clone(&plan.mqtt.subscribe),
            inflight: plan.mqtt.inflight,
            pending_bytes: lines.pending.iter().map(|message| message.topic.len() + message.payload.len()).sum(),
            pending: lines.pending,
            last_sequence,
            clocks: Clocks {
                started: now,
                looked: None,
                first_pending: now,
                sealed: now,
                refreshed: now.checked_sub(REFRESH_EVERY).unwrap_or(now),
                retained: now,
                pruned: now,
                next_retained: 0,
                touched: true,
            },
            complaints: Complaints::default(),
            unmapped: lines.unmapped,
        }
    }

    /// Runs until told to stop; gives back its ends of the channels, for the desk after it. An error means that nothing more
    /// can be made durable: the process must end, and a fresh one replays.
    pub(crate) fn run(mut self) -> Result<Lines, StoreError> {
        loop {
            let stop = self.take()?;
            self.look_around();
            if self.held.is_none() {
                match self.work(stop) {
                    // Foreseen as a rule; where not, nothing is half done, and all of it is tried again.
                    Err(error) if error.is_full() && !stop => {
                        self.hold(Some(Held::DiskFull));
                        self.clocks.looked = instant().checked_add(FULL_PAUSE);
                    }
                    worked => worked?,
                }
            }
            self.stages.beat(Stage::Desk);
            if stop {
                let Desk { inbox, committed, stages, commit_seconds, rebirths, unmapped, pending, .. } = self;
                let outbox = rebirths.outbox;
                return Ok(Lines { inbox, committed, stages, commit_seconds, outbox, unmapped, pending });
            }
        }
    }

    fn work(&mut self, stop: bool) -> Result<(), StoreError> {
        if stop || self.block_is_due() {
            self.commit()?;
        }
        self.tick(stop)
    }

    /// The clock and the disk: is it safe to go on?
    fn look_around(&mut self) {
        let told = self.keeper.tell(clock::now(), self.clocks.started.elapsed());
        if told.unsure {
            return self.hold(Some(Held::ClockUnsure));
        }
        if self.held == Some(Held::ClockUnsure) {
            // These waited for the time to be sure.
            self.pending.iter_mut().for_each(|message| message.received = told.time);
            self.hold(None);
        }
        self.now = told.time;
        if self.clocks.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.clocks.looked = Some(instant());
            let stopped = self.held == Some(Held::DiskFull);
            let low = Space::of(&self.state_dir).is_some_and(|space| space.is_low(stopped));
            self.hold(low.then_some(Held::DiskFull));
        }
    }

    fn hold(&mut self, held: Option<Held>) {
        if held == self.held {
            return;
        }
        match held {
            Some(why) => tracing::error!(
                reason = why.name(), state = %self.state_dir.display(), books = %self.now, clock = %clock::now(),
                "nothing is taken in until this is over; the broker keeps what its queue can hold; {}", why.cure()
            ),
            None => tracing::info!("messages are taken in again"),
        }
        self.held = held;
    }

    /// Waits for one thing, then takes all that are ready, up to a block. True: stop.
    fn take(&mut self) -> Result<bool, StoreError> {
        let wait = if self.pending.is_empty() && self.held.is_none() && self.books.is_restating() {
            Duration::ZERO
        } else if self.pending.is_empty() || self.held.is_some() {
            IDLE
        } else {
            BLOCK_DELAY.saturating_sub(self.clocks.first_pending.elapsed())
        };
        let mut next = match self.inbox.recv_timeout(wait) {
            Ok(item) => item,
            Err(RecvTimeoutError::Timeout) => return Ok(false),
            Err(RecvTimeoutError::Disconnected) => return Ok(true),
        };
        loop {
            match next {
                Inbox::News(News::Delivery(delivery)) => self.pend(delivery),
                Inbox::News(News::Connected { session_present }) => self.connected(session_present)?,
                Inbox::News(News::Dropped(count)) => self.dropped(count)?,
                Inbox::News(News::Unsubscribed) => self.books.ledger.settle_filters(&self.filters)?,
                // About another configuration than this: its asker is told to ask again.
                Inbox::Question(rules, _) if !Arc::ptr_eq(&rules, self.books.pipeline.rules()) => {}
                Inbox::Question(_, question) => self.answer(question)?,
                Inbox::Open(windows, reply) => {
                    self.refresh_views()?;
                    let _ = reply.send(self.books.pipeline.open_entries(|_, window| windows.contains(&window)));
                }
                // What is found while nothing can be written, is found again.
                Inbox::Damaged(_) if self.held.is_some() => {}
                Inbox::Damaged(records) => self.books.ledger.suspect(self.now, records)?,
                Inbox::Stop => return Ok(true),
            }
            if self.held.is_none() && (self.pending.len() >= BLOCK_MESSAGES || self.pending_bytes >= BLOCK_BYTES) {
                return Ok(false);
            }
            next = match self.inbox.try_recv() {
                Ok(item) => item,
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => return Ok(true),
            };
        }
    }

    /// A session that is gone took its queue along: what was published since our last message may be lost. A register's next
    /// reading brings the energy back, if not its timing.
    fn connected(&mut self, session_present: bool) -> Result<(), StoreError> {
        if !self.books.ledger.connected(session_present)? {
            return Ok(());
        }
        let (from, to) = (self.books.pipeline.now(), self.now.max(self.books.pipeline.now()));
        let meters = &self.books.pipeline.rules().topology.meters;
        let registers = meters.iter().filter(|m| matches!(m.kind, Kind::Register { .. })).count();
        let others = meters.len() - registers;
        tracing::warn!(
            %from, %to, registers, others,
            "the broker no longer knew the session: messages may be lost; registers heal by their next reading"
        );
        self.books.ledger.note_gap(&Gap { from, to, cause: SESSION_LOST.to_owned() })
    }

    /// The broker drops what does not fit into its queues, ours or another's: what it says of that is all there is.
    fn dropped(&mut self, count: u64) -> Result<(), StoreError> {
        if self.held.is_some() {
            // Nothing can be written; the broker tells again.
            return Ok(());
        }
        let from = self.drops_seen.unwrap_or(self.books.pipeline.now());
        let to = self.now.max(from);
        self.drops_seen = Some(to);
        if !self.books.ledger.dropped(count)? {
            return Ok(());
        }
        tracing::warn!(%from, %to, "the broker dropped messages for full queues; see deploy/mosquitto.conf");
        self.books.ledger.go_on_gap(&Gap { from, to, cause: BROKER_DROPPED.to_owned() })
    }

    fn pend(&mut self, delivery: Delivery) {
        if self.pending.is_empty() {
            self.clocks.first_pending = instant();
        }
        // As sure as it is so far; a message that is held is stamped again.
        let told = self.keeper.tell(clock::now(), self.clocks.started.elapsed());
        self.now = self.now.max(told.time);
        self.last_sequence = delivery.sequence;
        self.pending_bytes += delivery.topic.len() + delivery.payload.len();
        self.pending.push(Message {
            received: self.now,
            topic: delivery.topic,
            payload: delivery.payload.into(),
            retain: delivery.retain,
            dup: delivery.dup,
            oversize: delivery.oversize,
        });
    }

    fn block_is_due(&self) -> bool {
        self.pending.len() >= self.inflight.min(BLOCK_MESSAGES)
            || self.pending_bytes >= BLOCK_BYTES
            || !self.pending.is_empty() && self.clocks.first_pending.elapsed() >= BLOCK_DELAY
    }

    /// The block commit: journal, acknowledge, apply.
    fn commit(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let started = instant();
        self.books.commit(&mut self.pending, self.now)?;
        self.pending_bytes = 0;
        let mut messages = std::mem::take(&mut self.pending);
        self.commit_seconds.observe(started.elapsed().as_secs_f64());
        self.committed.send_replace(self.last_sequence);
        let outcomes = self.books.apply(&messages)?;
        for (message, outcome) in messages.iter().zip(outcomes) {
            self.complaints.note(outcome, message);
            if outcome == Outcome::Unmapped {
                self.unmapped.note(message);
            }
        }
        self.clocks.touched = true;
        self.rebirths.ask(self.books.pipeline.take_lacking(), self.now);
        messages.clear();
        self.pending = messages;
        Ok(())
    }

    /// What the clock asks for: closing quarters, seals, retention.
    fn tick(&mut self, stop: bool) -> Result<(), StoreError> {
        let now = self.now;
        let closed = self.books.tick(now)?;
        let since = self.clocks.sealed.elapsed();
        let late = since >= SEAL_LATE_AFTER && (self.books.pipeline.has_late_changes() || self.books.has_refused());
        let routine = since >= SEAL_EVERY && self.clocks.touched;
        if closed || late || routine || stop {
            self.books.seal()?;
            self.clocks.sealed = instant();
            self.clocks.touched = false;
        }
        if self.clocks.retained.elapsed() >= RETAIN_EVERY {
            self.retain(now)?;
            self.clocks.retained = instant();
        }
        // A part at a time: what comes in goes first.
        if !stop && self.pending.is_empty() {
            self.books.restate_some()?;
        }
        Ok(())
    }

    pub(crate) fn refresh_views(&mut self) -> Result<(), StoreError> {
        if self.clocks.refreshed.elapsed() >= REFRESH_EVERY {
            self.books.refresh()?;
            self.clocks.refreshed = instant();
        }
        Ok(())
    }
}

/// Durations are measured with the monotonic clock; no figure depends on it.
#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
