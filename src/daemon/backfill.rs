//! History of any age: journalled as it came, and booked as if it had come in time. If the process ends on the way, the file
//! can be given again: what is there already is a duplicate.

use std::collections::BTreeMap;

use serde_json::json;

use crate::daemon::Books;
use crate::daemon::restate::Cause;
use crate::decode::{Decoded, Message, Reading};
use crate::pipeline::{Effect, Event, Outcome};
use crate::quantity::Time;
use crate::store::StoreError;

/// 1990-01-01: nothing of the trade is older.
const EARLIEST: Time = Time(631_152_000_000);

/// What became of the readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Messages.
    pub messages: u64,
    /// Messages on topics that no meter has.
    pub unmapped: u64,
    /// Readings in them.
    pub readings: u64,
    /// Booked.
    pub accepted: u64,
    /// There already.
    pub duplicate: u64,
    /// Of quarters whose readings are gone, and only their sums are kept: these stay.
    pub packed: u64,
    /// Anything else, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

impl Backfilled {
    /// Adds another part.
    pub fn add(&mut self, other: Backfilled) {
        self.messages += other.messages;
        self.unmapped += other.unmapped;
        self.readings += other.readings;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.packed += other.packed;
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
    }

    /// All of it is in the books.
    pub fn is_whole(&self) -> bool {
        self.unmapped == 0 && self.readings == self.accepted + self.duplicate
    }

    /// What was not booked, and why.
    pub fn left_out(&self) -> String {
        let mut text = String::from("not all readings were booked:");
        if self.packed > 0 {
            text.push_str(&format!(
                " {} are of quarters of which only the sums are kept; `adjust` corrects those;",
                self.packed
            ));
        }
        if self.unmapped > 0 {
            text.push_str(&format!(" {} messages are on topics that no meter has;", self.unmapped));
        }
        for (reason, count) in &self.refused {
            text.push_str(&format!(" {count} {reason};"));
        }
        text
    }
}

impl Books {
    /// Books messages of any age, and stores what follows.
    pub fn backfill(&mut self, messages: &[Message]) -> Result<Backfilled, StoreError> {
        let mut done = Backfilled { messages: messages.len() as u64, ..Backfilled::default() };
        let mut messages = messages.to_vec();
        let now = self.pipeline.now();
        self.commit(&mut messages, now)?;
        self.pipeline.take_history(true);
        let booked = messages.iter().try_for_each(|message| self.backfill_one(message, &mut done));
        self.pipeline.take_history(false);
        booked?;
        self.seal()?;
        Ok(done)
    }

    fn backfill_one(&mut self, message: &Message, done: &mut Backfilled) -> Result<(), StoreError> {
        let mut decoded = self.pipeline.decode(message);
        done.unmapped += u64::from(decoded == Decoded::Unmapped);
        if let Some(readings) = decoded.readings_mut() {
            done.readings += readings.len() as u64;
            let (mut kept, mut packed) = (Vec::new(), 0);
            for (meter, reading) in readings.drain(..) {
                if reading.as_ref().is_ok_and(|reading| reading.time < EARLIEST) {
                    *done.refused.entry("before 1990: seconds read as milliseconds?").or_default() += 1;
                    continue;
                }
                if reading.as_ref().is_ok_and(|reading| self.is_packed(reading)) {
                    packed += 1;
                } else {
                    kept.push((meter, reading));
                }
            }
            done.packed += packed;
            *readings = kept;
        }
        let mut wants = Vec::new();
        self.pipeline.wants(&decoded, &mut wants);
        self.hand().load(&wants)?;
        let before = self.pipeline.counters().readings.clone();
        let mut effects = Vec::new();
        self.pipeline.apply(Event::Message { received: message.received, decoded, counted: true }, &mut effects);
        let after = &self.pipeline.counters().readings;
        done.accepted += after.accepted - before.accepted;
        done.duplicate += after.duplicate - before.duplicate;
        for effect in effects {
            if let Effect::NotBooked(_, outcome) = effect {
                let reason = match outcome {
                    Outcome::Refused(reason) => reason.name(),
                    other => other.name(),
                };
                *done.refused.entry(reason).or_default() += 1;
            }
        }
        Ok(())
    }

    fn is_packed(&self, reading: &Reading) -> bool {
        self.ledger.is_packed(reading.meter, reading.time.quarter()).unwrap_or(false)
    }

    /// Puts what was done into the trail; returns the line.
    pub fn trail_backfill(&mut self, done: &Backfilled, by: &str, reason: &str) -> Result<String, StoreError> {
        let detail = json!({
            "messages": done.messages, "unmapped": done.unmapped, "readings": done.readings, "accepted": done.accepted,
            "duplicate": done.duplicate, "packed": done.packed, "refused": done.refused,
        });
        let cause = Cause { what: "backfill", by: by.to_owned(), reason: reason.to_owned(), detail };
        self.note_trail(cause)
    }
}
