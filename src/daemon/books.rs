//! The books on disk and in memory together: the journal, the ledger, and the pipeline that leads from one to the other.
//! Restart is replay: the ledger as of the last seal, and the journal from there.

use std::path::Path;
use std::sync::Arc;

use crate::config::Plan;
use crate::decode::Message;
use crate::pipeline::{Counters, Effect, Event, Pipeline, Want};
use crate::quantity::Time;
use crate::store::{Block, Journal, Ledger, Record, StoreError};

/// Everything that is booked or about to be. The caller holds the lock of the state directory.
#[derive(Debug)]
pub struct Books {
    /// Messages as received.
    pub journal: Journal,
    /// What is booked.
    pub ledger: Ledger,
    /// What is open.
    pub pipeline: Pipeline,
    /// Messages that were read back at the start.
    pub replayed: u64,
}

impl Books {
    /// Opens the store and replays. `now` only dates a store that holds nothing yet.
    pub fn open(state: &Path, plan: &Plan, now: Time) -> Result<Books, StoreError> {
        let journal = Journal::open(state)?;
        let ledger = Ledger::open(state, Arc::clone(&plan.rules.topology))?;
        let rules = Arc::clone(&plan.rules);
        let (pipeline, from, counted_to) = match ledger.position()? {
            Some(position) => {
                let from = position.open_from.start().minus(rules.lookback());
                let pipeline = Pipeline::resume(rules, position.counters, position.open_from, position.now);
                (pipeline, from, position.counted_to)
            }
            None => {
                let first = journal.first_received()?.unwrap_or(now);
                let open_from = first.minus(rules.close_after).quarter();
                (Pipeline::resume(rules, Counters::default(), open_from, first), Time::MIN, 0)
            }
        };
        let mut books = Books { journal, ledger, pipeline, replayed: 0 };
        books.replay(from, counted_to)?;
        books.refresh()?;
        Ok(books)
    }

    fn replay(&mut self, from: Time, counted_to: i64) -> Result<(), StoreError> {
        let Books { journal, ledger, pipeline, replayed } = self;
        journal.replay(from, |block| {
            match block {
                Ok(block) => *replayed += apply(ledger, pipeline, block, counted_to)?,
                Err(StoreError::Damaged(what)) => {
                    tracing::error!(
                        record = what,
                        "a journal block does not match its checksum; its messages are left out"
                    );
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })
    }

    /// Makes messages durable. After this they may be acknowledged, and must be applied.
    pub fn commit(&mut self, messages: Vec<Message>, received: Time) -> Result<Vec<Message>, StoreError> {
        let record = Record::Messages(messages);
        self.journal.append(&record, received)?;
        match record {
            Record::Messages(messages) => Ok(messages),
            Record::Tick(_) | Record::Plan(_) => Ok(Vec::new()),
        }
    }

    /// Applies committed messages; returns their outcomes, in order.
    pub fn apply(&mut self, messages: &[Message]) -> Result<Vec<Effect>, StoreError> {
        apply_messages(&mut self.ledger, &mut self.pipeline, messages, true)
    }

    /// Tells the time. True: a quarter closed, and a seal is due.
    pub fn tick(&mut self, now: Time) -> Result<bool, StoreError> {
        if now.minus(self.pipeline.rules().close_after).quarter() <= self.pipeline.open_from() {
            return Ok(false);
        }
        self.journal.append(&Record::Tick(now), now)?;
        let mut effects = Vec::new();
        self.pipeline.apply(Event::Tick(now), &mut effects);
        Ok(effects.contains(&Effect::QuarterClosed))
    }

    /// Works everything out, loading what that takes.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        loop {
            let wants = self.pipeline.refresh();
            if wants.is_empty() {
                return Ok(());
            }
            load(&mut self.ledger, &mut self.pipeline, &wants)?;
        }
    }

    /// Works everything out and stores what is closed.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        self.refresh()?;
        let seal = self.pipeline.seal();
        self.ledger.seal(&seal, self.journal.last())?;
        self.pipeline.sealed();
        Ok(())
    }
}

/// Applies one block of a replay; returns how many messages it held.
fn apply(ledger: &mut Ledger, pipeline: &mut Pipeline, block: Block, counted_to: i64) -> Result<u64, StoreError> {
    match block.record {
        Record::Messages(messages) => {
            apply_messages(ledger, pipeline, &messages, block.number > counted_to)?;
            Ok(messages.len() as u64)
        }
        Record::Tick(time) => {
            pipeline.apply(Event::Tick(time), &mut Vec::new());
            Ok(0)
        }
        Record::Plan(_) => Ok(0),
    }
}

fn apply_messages(
    ledger: &mut Ledger,
    pipeline: &mut Pipeline,
    messages: &[Message],
    counted: bool,
) -> Result<Vec<Effect>, StoreError> {
    let mut wants = Vec::new();
    let decoded: Vec<_> = messages.iter().map(|message| pipeline.decode(message)).collect();
    decoded.iter().for_each(|d| pipeline.wants(d, &mut wants));
    wants.sort_unstable();
    wants.dedup();
    load(ledger, pipeline, &wants)?;
    let mut effects = Vec::with_capacity(messages.len());
    for (message, decoded) in messages.iter().zip(decoded) {
        pipeline.apply(Event::Message { received: message.received, decoded, counted }, &mut effects);
    }
    Ok(effects)
}

fn load(ledger: &mut Ledger, pipeline: &mut Pipeline, wants: &[Want]) -> Result<(), StoreError> {
    for want in wants {
        let supply = ledger.load(want)?;
        pipeline.supply(supply);
    }
    Ok(())
}
