//! What messages are applied to: the pipeline, and the ledger it is fed from.

use crate::cluster::MeterIx;
use crate::decode::{Decoded, Message, Reading, Refusal};
use crate::pipeline::{Adjusted, Effect, Event, Outcome, Pipeline, Want};
use crate::quantity::{Quarter, Time};
use crate::store::{
    Adjustment, Judgement, Ledger, NONE, Poison, Progress, ProgressPosition, Refused, StoreError, WHOLE,
};

/// Refused messages that wait for the next seal; of a flood, the first are kept.
const REFUSED_MAX: usize = 2_000;

/// Ends the process when it is applied, as a fault of ours would.
#[cfg(test)]
pub(crate) const POISON: &[u8] = b"poison";

/// How far messages are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// For the first time.
    New,
    /// What they are in the counts and in the closed past, they are already; only what is open from this quarter on is made
    /// of them again. So a changed mapping cannot reach into what is closed.
    Open(Quarter),
    /// Counted before, and booked anew wherever they belong.
    Rebuild,
}

impl Reach {
    fn takes(self, reading: &Reading) -> bool {
        match self {
            Reach::New | Reach::Rebuild => true,
            Reach::Open(from) => reading.time.quarter() >= from,
        }
    }
}

/// What became of messages.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Of each, in order.
    pub outcomes: Vec<Outcome>,
    /// The first quarter that they have a reading for.
    pub earliest: Quarter,
}

impl Default for Applied {
    fn default() -> Applied {
        Applied { outcomes: Vec::new(), earliest: Quarter(i32::MAX) }
    }
}

impl Applied {
    fn note(&mut self, decoded: &[Decoded]) {
        let readings = decoded.iter().flat_map(Decoded::readings).flat_map(|(_, reading)| reading);
        let earliest = readings.map(|reading| reading.time.quarter()).min();
        self.earliest = self.earliest.min(earliest.unwrap_or(Quarter(i32::MAX)));
    }
}

/// What messages are applied to.
pub(crate) struct Hand<'a> {
    pub ledger: &'a mut Ledger,
    pub pipeline: &'a mut Pipeline,
    pub refused: &'a mut Vec<Refused>,
}

impl Hand<'_> {
    pub(crate) fn apply(&mut self, messages: &[Message], reach: Reach) -> Result<Applied, StoreError> {
        let counted = reach == Reach::New;
        let mut wants = Vec::new();
        let decoded: Vec<_> = messages.iter().map(|message| self.pipeline.decode(message)).collect();
        // All of them: what is closed may reach into what is open.
        decoded.iter().for_each(|d| self.pipeline.wants(d, &mut wants));
        wants.sort_unstable();
        wants.dedup();
        self.load(&wants)?;
        let mut applied = Applied { outcomes: Vec::with_capacity(messages.len()), ..Applied::default() };
        applied.note(&decoded);
        let mut effects = Vec::new();
        for (message, decoded) in messages.iter().zip(decoded) {
            #[cfg(test)]
            assert_ne!(&*message.payload, POISON, "a fault of ours");
            let decoded = within(decoded, reach);
            self.pipeline.apply(Event::Message { received: message.received, decoded, counted }, &mut effects);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Settled(outcome) => applied.outcomes.push(outcome),
                    Effect::NotBooked(meter, outcome) if counted => self.keep(message, meter, outcome),
                    Effect::NotBooked(..) | Effect::QuarterClosed => {}
                }
            }
        }
        Ok(applied)
    }

    pub(crate) fn meter(&self, judgement: &Judgement) -> Option<MeterIx> {
        let meters = &self.pipeline.rules().topology.meters;
        (0u32..).zip(meters).find(|(_, meter)| meter.id.as_str() == judgement.meter).map(|(ix, _)| MeterIx(ix))
    }

    pub(crate) fn load_reading(&mut self, ix: MeterIx, time: Time) -> Result<(), StoreError> {
        let mut wants = Vec::new();
        self.pipeline.wants_reading(ix, time, &mut wants);
        self.load(&wants)
    }

    /// Applies what block `number` of the journal says was decided. Nobody's meter: it stays on record.
    pub(crate) fn judge(&mut self, number: i64, judgement: &Judgement) -> Result<(), StoreError> {
        self.ledger.judge(number, judgement)?;
        if let Some(ix) = self.meter(judgement) {
            self.load_reading(ix, judgement.time)?;
            self.pipeline.apply(Event::Verdict(ix, judgement.time, judgement.verdict), &mut Vec::new());
        }
        Ok(())
    }

    /// Takes a correction from the journal into the ledger and into what is open.
    pub(crate) fn adjust(&mut self, number: i64, adjustment: &Adjustment) -> Result<(), StoreError> {
        self.ledger.adjust(number, adjustment)?;
        if let Some(ix) = self.pipeline.rules().topology.find_meter(&adjustment.meter) {
            let Adjustment { from, to, base, .. } = *adjustment;
            self.pipeline.adjust(ix, Adjusted { from, to, amount: base });
        }
        Ok(())
    }

    fn keep(&mut self, message: &Message, meter: Option<MeterIx>, outcome: Outcome) {
        if self.refused.len() >= REFUSED_MAX {
            return;
        }
        let reason = match outcome {
            Outcome::Refused(reason) => reason.name(),
            other => other.name(),
        };
        self.refused.push(Refused {
            received: message.received,
            reason: reason.to_owned(),
            meter: meter.map(|ix| self.pipeline.rules().topology.meter(ix).id.to_string()),
            topic: message.topic.clone(),
            payload: message.payload.to_vec(),
        });
    }

    /// Applies a block of the journal. `before` is where the last start ended, if it did: that block is applied a message at a
    /// time; where it was in none of them, all are. A message on which two such starts end is refused: a kill hardly falls on
    /// the same one twice.
    pub(crate) fn replay(
        &mut self,
        (block, messages): (i64, &[Message]),
        reach: Reach,
        before: ProgressPosition,
        (progress, poison): (&mut Progress, &Poison),
    ) -> Result<Applied, StoreError> {
        let suspected = before.starts > 0 && (before.applying == NONE || before.applying.0 == block);
        if suspected || poison.touches(block) {
            return self.apply_singly(block, messages, reach, (progress, poison));
        }
        progress.note(ProgressPosition { applying: (block, WHOLE), ..progress.position() })?;
        self.apply(messages, reach)
    }

    /// One message at a time, each noted before it is applied: what ends the process here is known at the next start.
    fn apply_singly(
        &mut self,
        block: i64,
        messages: &[Message],
        reach: Reach,
        (progress, poison): (&mut Progress, &Poison),
    ) -> Result<Applied, StoreError> {
        let mut all = Applied::default();
        for (index, message) in messages.iter().enumerate() {
            if poison.holds(block, index) {
                let outcome = Outcome::Refused(Refusal::Poison);
                if reach == Reach::New {
                    self.pipeline.count_refused(message.received, Refusal::Poison);
                    self.keep(message, None, outcome);
                }
                continue;
            }
            progress.note(ProgressPosition { applying: (block, index as i64), ..progress.position() })?;
            let Applied { outcomes, earliest } = self.apply(std::slice::from_ref(message), reach)?;
            all.outcomes.extend(outcomes);
            all.earliest = all.earliest.min(earliest);
            self.refresh()?;
        }
        progress.note(ProgressPosition { applying: NONE, ..progress.position() })?;
        Ok(all)
    }

    pub(crate) fn refresh(&mut self) -> Result<(), StoreError> {
        loop {
            let wants = self.pipeline.refresh();
            if wants.is_empty() {
                return Ok(());
            }
            self.load(&wants)?;
        }
    }

    pub(crate) fn seal(&mut self, counted_to: i64) -> Result<(), StoreError> {
        self.refresh()?;
        self.ledger.seal(&self.pipeline.seal(), self.refused, counted_to)?;
        self.refused.clear();
        self.pipeline.sealed();
        Ok(())
    }

    pub(crate) fn load(&mut self, wants: &[Want]) -> Result<(), StoreError> {
        for want in wants {
            let supply = self.ledger.load(want)?;
            self.pipeline.supply(supply);
        }
        Ok(())
    }
}

/// Without the readings that lie beyond.
fn within(mut decoded: Decoded, reach: Reach) -> Decoded {
    if reach != Reach::New
        && let Some(readings) = decoded.readings_mut()
    {
        readings.retain(|(_, reading)| reading.as_ref().is_ok_and(|reading| reach.takes(reading)));
    }
    decoded
}
