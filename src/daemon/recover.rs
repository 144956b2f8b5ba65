//! Restart is replay: the ledger as of the last seal, and the journal from there.

use std::path::Path;
use std::sync::Arc;

use crate::clock;
use crate::config::Plan;
use crate::pipeline::{Counters, Effect, Event, Pipeline, Want};
use crate::quantity::Time;
use crate::store::{Journal, Ledger, Record, StoreError};

/// The state of the process after a restart.
#[derive(Debug)]
pub struct Recovered {
    /// Messages as received.
    pub journal: Journal,
    /// What is booked.
    pub ledger: Ledger,
    /// What is open.
    pub pipeline: Pipeline,
    /// Messages that were read back.
    pub replayed: u64,
}

/// Opens the store and replays. The caller holds the lock.
pub fn recover(state: &Path, plan: &Plan) -> Result<Recovered, StoreError> {
    let journal = Journal::open(state)?;
    let topology = Arc::new(plan.rules.topology.clone());
    let mut ledger = Ledger::open(state, topology)?;
    let lookback = plan.rules.lookback();
    let (mut pipeline, from, counted_to) = match ledger.position()? {
        Some(position) => {
            let from = position.open_from.start().minus(lookback);
            let rules = Arc::clone(&plan.rules);
            (Pipeline::resume(rules, position.counters, position.open_from, position.now), from, position.counted_to)
        }
        None => {
            let first = journal.first_received()?.unwrap_or_else(clock::now);
            let open_from = first.minus(plan.rules.close_after).quarter();
            (Pipeline::resume(Arc::clone(&plan.rules), Counters::default(), open_from, first), Time::MIN, 0)
        }
    };
    let mut replayed = 0;
    let mut effects = Vec::new();
    journal.replay(from, |block| {
        let block = match block {
            Ok(block) => block,
            Err(StoreError::Damaged(what)) => {
                tracing::error!(record = what, "a journal block does not match its checksum; its messages are left out");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match block.record {
            Record::Messages(messages) => {
                replayed += messages.len() as u64;
                for message in messages {
                    let decoded = pipeline.decode(&message);
                    let mut wants = Vec::new();
                    pipeline.wants(&decoded, &mut wants);
                    load(&mut ledger, &mut pipeline, &wants)?;
                    let counted = block.number > counted_to;
                    pipeline.apply(Event::Message { received: message.received, decoded, counted }, &mut effects);
                    effects.clear();
                }
            }
            Record::Tick(time) => pipeline.apply(Event::Tick(time), &mut effects),
            Record::Plan(_) => {}
        }
        Ok::<(), StoreError>(())
    })?;
    refresh(&mut ledger, &mut pipeline)?;
    Ok(Recovered { journal, ledger, pipeline, replayed })
}

/// Loads and supplies.
pub(crate) fn load(ledger: &mut Ledger, pipeline: &mut Pipeline, wants: &[Want]) -> Result<(), StoreError> {
    for want in wants {
        let supply = ledger.load(want)?;
        pipeline.supply(supply);
    }
    Ok(())
}

/// Works everything out, loading what that takes.
pub(crate) fn refresh(ledger: &mut Ledger, pipeline: &mut Pipeline) -> Result<(), StoreError> {
    loop {
        let wants = pipeline.refresh();
        if wants.is_empty() {
            return Ok(());
        }
        load(ledger, pipeline, &wants)?;
    }
}

/// Works everything out and stores it.
pub(crate) fn seal(ledger: &mut Ledger, pipeline: &mut Pipeline, counted_to: i64) -> Result<(), StoreError> {
    refresh(ledger, pipeline)?;
    let seal = pipeline.seal();
    ledger.seal(&seal, counted_to)?;
    pipeline.sealed();
    Ok(())
}

/// Whether a tick closed a quarter.
pub(crate) fn closes_quarter(effects: &[Effect]) -> bool {
    effects.contains(&Effect::QuarterClosed)
}
