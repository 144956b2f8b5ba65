//! The books on disk and in memory together: the journal, the ledger, and the pipeline that leads from one to the other.
//! Restart is replay: the ledger as of the last seal, and the journal from there. What was damaged is rebuilt from the
//! journal as far as that reaches.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cluster::{Kind, MeterIx};
use crate::config::Plan;
use crate::daemon::hand::{Hand, Reach};
use crate::daemon::restate::Restatement;
use crate::decode::Message;
use crate::http::Undecided;
use crate::pipeline::{Counters, Effect, Event, Outcome, Pipeline, Rules};
use crate::quantity::{Quarter, Span, Time};
use crate::store::{
    self, Block, Journal, Judgement, Ledger, NONE, Poison, Position, Progress, ProgressPosition, Record, Refused,
    StoreError, WHOLE,
};

/// A rebuild seals after this many messages, so that the past of all meters is never in memory at once.
const REBUILD_SEAL_MESSAGES: u64 = 200_000;
/// Everything that is booked or about to be. The caller holds the lock of the state directory.
#[derive(Debug)]
pub struct Books {
    /// Messages as received.
    pub journal: Journal,
    /// What is booked.
    pub ledger: Ledger,
    /// What is open.
    pub pipeline: Pipeline,
    /// When the ledger was sealed last before this start.
    pub opened: Time,
    /// Messages that were read back at the start.
    pub replayed: u64,
    /// What was found damaged or missing at the start.
    pub damage: Vec<String>,
    pub(crate) restating: VecDeque<Restatement>,
    /// The hash of the plan in force.
    pub(crate) plan: String,
    /// The clock, when it was last told.
    pub(crate) seen: Time,
    progress: Progress,
    poison: Poison,
    refused: Vec<Refused>,
}

impl Books {
    /// Opens the store and replays. `now` only dates a store that holds nothing yet, and damage.
    pub fn open(state: &Path, plan: &Plan, now: Time) -> Result<Books, StoreError> {
        let progress = Progress::open(state)?;
        let before = progress.position();
        Books::start(state, plan, now, progress).inspect_err(|error| {
            suspect_if_damaged(state, error);
            // Whoever gives up in an orderly way was not ended by a message. That it cannot be noted costs the next start time.
            let _ = Progress::open(state).and_then(|mut progress| progress.note(before));
        })
    }

    fn start(state: &Path, plan: &Plan, now: Time, mut progress: Progress) -> Result<Books, StoreError> {
        let before = progress.position();
        let poison = poison(state, before)?;
        progress.note(ProgressPosition {
            committed: before.committed,
            starts: before.starts + 1,
            // No message is to blame for what ends the process before the first one.
            applying: (0, WHOLE),
            suspect: before.applying,
        })?;
        let mut journal = Journal::open(state)?;
        let ledger = Ledger::open(state, Arc::clone(&plan.rules.topology))?;
        match ledger.journal_from()? {
            Some(number) => journal.expect_from(number),
            None if journal.last() == 0 => ledger.set_journal_from(1)?,
            None => {}
        }
        let position = ledger.position()?;
        journal.skip_to(before.committed.max(position.as_ref().map_or(0, |p| p.counted_to)));
        let opened = position.as_ref().map_or(now, |position| position.now);
        let (pipeline, from, counted_to) = resume(&plan.rules, position, &journal, now)?;
        let (refused, damage) = (Vec::new(), ledger.found_damage().to_vec());
        let (restating, plan) = (VecDeque::new(), plan.hash.clone());
        let replayed = 0;
        let mut books = Books {
            journal,
            ledger,
            pipeline,
            opened,
            replayed,
            damage,
            restating,
            plan,
            seen: now,
            progress,
            poison,
            refused,
        };
        books.pipeline.note_adjustments(books.ledger.adjustments()?);
        books.recall_gauges()?;
        for judgement in books.ledger.judgements()? {
            if let Some(ix) = books.hand().meter(&judgement) {
                books.pipeline.note_verdict(ix, judgement.time, judgement.verdict);
            }
        }
        // Where nothing is left, the replay books it all, and counts it.
        let is_bare = counted_to == 0 && books.ledger.active_quarters(Quarter(i32::MIN))?.is_empty();
        if !books.damage.is_empty() && !is_bare {
            let births = books.ledger.births(books.journal.first_received()?.unwrap_or(from))?;
            books.pipeline.recall_births(&births);
            books.rebuild(counted_to, before)?;
        }
        let births = books.ledger.births(from)?;
        books.pipeline.recall_births(&births);
        let meters = books.pipeline.rules().topology.meters.len() as u32;
        for ix in (0..meters).map(MeterIx) {
            if let Some(reading) = books.ledger.latest_reading(ix)? {
                books.pipeline.note_latest(ix, reading);
            }
        }
        books.replay(from, counted_to, before)?;
        books.pipeline.count_gateways_anew();
        books.refresh()?;
        books.welcome_back()?;
        books.damage.extend(books.journal.found_damage().iter().cloned());
        // A block that cannot be read stays so; it is news only once.
        let known = books.ledger.damage()?;
        books.damage.retain(|record| !known.iter().any(|(_, before)| before == record));
        books.ledger.note_damage(now, &books.damage)?;
        books.ledger.rebuilt()?;
        books.compare_plans()?;
        books.follow_adjustments()?;
        books.note_progress(0);
        Ok(books)
    }

    /// A reading of a property holds far beyond its own time: what holds in the open quarter may be older than the journal.
    fn recall_gauges(&mut self) -> Result<(), StoreError> {
        let rules = Arc::clone(self.pipeline.rules());
        let open = self.pipeline.open_from().start();
        let gauges = (0u32..).zip(&rules.topology.meters).filter(|(_, m)| matches!(m.kind, Kind::Gauge { .. }));
        for (at, _) in gauges {
            self.hand().load_reading(MeterIx(at), open)?;
        }
        Ok(())
    }

    /// Applies the journal from `from` on; what the counters hold already is not counted again.
    fn replay(&mut self, from: Time, counted_to: i64, before: ProgressPosition) -> Result<(), StoreError> {
        let Books { journal, ledger, pipeline, replayed, damage, progress, poison, refused, .. } = self;
        let open_from = pipeline.open_from();
        let mut hand = Hand { ledger, pipeline, refused };
        journal.replay(from, |block| {
            let Some(Block { number, record }) = readable(block, damage)? else {
                return Ok(());
            };
            let reach = if number > counted_to { Reach::New } else { Reach::Open(open_from) };
            match record {
                Record::Messages(messages) => {
                    *replayed += messages.len() as u64;
                    hand.replay((number, &messages), reach, before, (progress, poison)).map(drop)
                }
                Record::Judgement(judgement) => hand.judge(number, &judgement),
                Record::Tick(time) => {
                    hand.pipeline.apply(Event::Tick(time), &mut Vec::new());
                    Ok(())
                }
                Record::Adjustment(adjustment) => hand.adjust(number, &adjustment),
                Record::Plan(_) => Ok(()),
            }
        })?;
        self.progress.note(ProgressPosition { applying: NONE, ..self.progress.position() })
    }

    /// Adds up again what meters take part in that were left out of the plan for a while.
    fn welcome_back(&mut self) -> Result<(), StoreError> {
        let from = self.pipeline.now().minus(self.pipeline.rules().late_horizon).quarter();
        for quarters in self.ledger.returned(from)?.chunks(96) {
            self.pipeline.add_up_again(quarters);
            self.seal()?;
        }
        self.ledger.note_meters()
    }

    /// Applies the whole journal to the closed past and adds everything in its reach up anew: rows that were lost come
    /// back, and what is there already does not change.
    fn rebuild(&mut self, counted_to: i64, before: ProgressPosition) -> Result<(), StoreError> {
        tracing::warn!("rebuilding what was damaged from the journal");
        let mut earliest = self.pipeline.open_from();
        let Books { journal, ledger, pipeline, damage, refused, progress, poison, .. } = self;
        let mut hand = Hand { ledger, pipeline, refused };
        let mut since_seal = 0;
        journal.replay(Time::MIN, |block| {
            match readable(block, damage)? {
                Some(Block { number, record: Record::Messages(messages) }) => {
                    let applied = hand.replay((number, &messages), Reach::Rebuild, before, (progress, poison))?;
                    earliest = earliest.min(applied.earliest);
                    since_seal += messages.len() as u64;
                }
                Some(Block { number, record: Record::Judgement(judgement) }) => hand.judge(number, &judgement)?,
                Some(Block { number, record: Record::Adjustment(adjustment) }) => hand.adjust(number, &adjustment)?,
                _ => {}
            }
            if since_seal >= REBUILD_SEAL_MESSAGES {
                since_seal = 0;
                hand.seal(counted_to)?;
            }
            Ok(())
        })?;
        hand.seal(counted_to)?;
        for quarters in hand.ledger.active_quarters(earliest.start().minus(Span::days(1)).quarter())?.chunks(96) {
            hand.pipeline.add_up_again(quarters);
            hand.seal(counted_to)?;
        }
        Ok(())
    }

    /// Makes messages durable. After this they may be acknowledged, and must be applied.
    pub fn commit(&mut self, messages: &mut Vec<Message>, received: Time) -> Result<(), StoreError> {
        let record = Record::Messages(std::mem::take(messages));
        let appended = self.journal.append(&record, received);
        if let Record::Messages(back) = record {
            *messages = back;
        }
        self.note_progress(appended?);
        Ok(())
    }

    /// Removes days of the journal; first it is noted where what is left begins.
    pub fn forget(&mut self, days: &[PathBuf]) -> Result<(), StoreError> {
        match self.journal.first_beside(days) {
            Ok(first) => self.ledger.set_journal_from(first)?,
            Err(error @ StoreError::Database { .. }) => {
                tracing::warn!(%error, "the next day of the journal is damaged; a restart will say more");
            }
            Err(error) => return Err(error),
        }
        self.journal.remove(days)
    }

    /// An aid of the next start, no part of a commit: were that to fail here, its block would be committed twice.
    pub(crate) fn note_progress(&mut self, committed: i64) {
        let committed = committed.max(self.journal.last());
        if let Err(error) = self.progress.note(ProgressPosition { committed, ..ProgressPosition::default() }) {
            tracing::warn!(%error, "how far the journal goes cannot be noted");
        }
    }

    pub(crate) fn hand(&mut self) -> Hand<'_> {
        Hand { ledger: &mut self.ledger, pipeline: &mut self.pipeline, refused: &mut self.refused }
    }

    /// Applies committed messages; returns their outcomes, in order.
    pub fn apply(&mut self, messages: &[Message]) -> Result<Vec<Outcome>, StoreError> {
        self.hand().apply(messages, Reach::New).map(|applied| applied.outcomes)
    }

    /// Something was refused and waits to be stored.
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Books what an operator decided about a reading, and stores what follows from it.
    pub fn judge(&mut self, judgement: Judgement) -> Result<Result<(), Undecided>, StoreError> {
        let Some(ix) = self.hand().meter(&judgement) else {
            return Ok(Err(Undecided::UnknownMeter));
        };
        let meter = self.pipeline.rules().topology.meter(ix);
        if judgement.time < meter.valid_from || judgement.time >= meter.valid_to {
            return Ok(Err(Undecided::NotValid));
        }
        // An older one may stand beside quarters that are packed, and cannot be worked out again.
        if judgement.decided.since(judgement.time) > self.pipeline.rules().late_horizon {
            return Ok(Err(Undecided::NoReading));
        }
        self.hand().load_reading(ix, judgement.time)?;
        let Some(base) = self.pipeline.reading_at(ix, judgement.time) else {
            return Ok(Err(Undecided::NoReading));
        };
        let decided = judgement.decided;
        let record = Record::Judgement(Judgement { base, ..judgement });
        let number = self.journal.append(&record, decided.max(self.pipeline.now()))?;
        self.note_progress(number);
        if let Record::Judgement(judgement) = record {
            self.hand().judge(number, &judgement)?;
        }
        self.seal().map(Ok)
    }

    /// Tells the time. True: a quarter closed, and a seal is due.
    pub fn tick(&mut self, now: Time) -> Result<bool, StoreError> {
        self.seen = now;
        if now.minus(self.pipeline.rules().close_after).quarter() <= self.pipeline.open_from() {
            return Ok(false);
        }
        let number = self.journal.append(&Record::Tick(now), now)?;
        self.note_progress(number);
        let mut effects = Vec::new();
        self.pipeline.apply(Event::Tick(now), &mut effects);
        Ok(effects.contains(&Effect::QuarterClosed))
    }

    /// Works everything out, loading what that takes.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        self.hand().refresh()
    }

    /// Works everything out and stores what is closed.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        let counted_to = self.journal.last();
        self.hand().seal(counted_to)
    }
}

/// What is open, from when on the journal is read, and up to which block it is counted. A store that holds nothing yet begins
/// with its first message.
fn resume(
    rules: &Arc<Rules>,
    position: Option<Position>,
    journal: &Journal,
    now: Time,
) -> Result<(Pipeline, Time, i64), StoreError> {
    let rules = Arc::clone(rules);
    Ok(match position {
        Some(Position { open_from, now, counted_to, counters }) => {
            let from = open_from.start().minus(rules.lookback());
            (Pipeline::resume(rules, counters, open_from, now), from, counted_to)
        }
        None => {
            let first = journal.first_received()?.unwrap_or(now);
            let open_from = first.minus(rules.close_after).quarter();
            (Pipeline::resume(rules, Counters::default(), open_from, first), Time::MIN, 0)
        }
    })
}

/// A big ledger is not looked through at every start: an error that damage explains makes the next one do it.
pub(crate) fn suspect_if_damaged(state: &Path, error: &StoreError) {
    if error.is_damage()
        && let Err(error) = store::suspect(state)
    {
        tracing::error!(%error, "that the ledger is damaged cannot be noted");
    }
}

/// The message on which two starts in a row ended is refused from now on.
fn poison(state: &Path, before: ProgressPosition) -> Result<Poison, StoreError> {
    let mut poison = Poison::open(state)?;
    if before.applying != NONE && before.applying.1 != WHOLE && before.applying == before.suspect {
        let (block, index) = before.applying;
        tracing::error!(block, index, "a message ended two starts; it is refused");
        poison.add(before.applying)?;
    }
    Ok(poison)
}

/// `None`: damaged or missing, which is said, and the rest goes on.
fn readable(block: Result<Block, StoreError>, damage: &mut Vec<String>) -> Result<Option<Block>, StoreError> {
    match block {
        Ok(block) => Ok(Some(block)),
        Err(StoreError::Damaged(what)) => {
            tracing::error!(record = &what, "a part of the journal cannot be read; its messages are left out");
            if !damage.contains(&what) {
                damage.push(what);
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check;
    use crate::daemon::hand::POISON;
    use crate::decode::Refusal;

    const CONFIG: &str = r#"
[clusters.c]
timezone = "UTC"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "t"
format = "number"
kind = "event"
unit = "kg"
category = "cems-co2"
"#;

    fn plan(directory: &Path) -> Plan {
        let file = directory.join("c.toml");
        std::fs::write(&file, CONFIG).unwrap();
        check(Some(&file)).map_err(|report| report.to_text()).unwrap()
    }

    fn message(received: i64, payload: &[u8]) -> Message {
        let (topic, payload) = ("t".to_owned(), payload.into());
        Message { received: Time(received), topic, payload, retain: false, dup: false, oversize: false }
    }

    #[test]
    fn a_message_that_ends_several_starts_is_refused_and_the_rest_is_booked() {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path());
        let open = || Books::open(directory.path(), &plan, Time(0));
        let mut messages = vec![message(1_000, b"1"), message(2_000, POISON), message(3_000, b"2")];
        open().unwrap().commit(&mut messages, Time(3_000)).unwrap();
        let mut ended = 0;
        let mut books = loop {
            match std::panic::catch_unwind(open) {
                Ok(books) => break books.unwrap(),
                Err(_) => ended += 1,
            }
            assert!(ended < 10, "it never ends");
        };
        assert_eq!(ended, 3, "once with its block, twice on its own");
        books.seal().unwrap();
        let counters = &books.pipeline.counters().messages;
        assert_eq!((counters.accepted, counters.refused_for(Refusal::Poison), counters.received), (2, 1, 3));
        drop(books);
        let books = open().unwrap();
        assert_eq!(books.pipeline.counters().messages.received, 3, "and stays refused");
        assert!(books.damage.is_empty(), "{:?}", books.damage);
    }
}
