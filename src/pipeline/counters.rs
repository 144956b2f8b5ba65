//! Every message has exactly one outcome, and the counts add up.

use crate::decode::Refusal;

/// What became of a message, or of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The last known value of a topic; never booked.
    Retained,
    /// No meter listens to the topic.
    Unmapped,
    /// Not usable, and why.
    Refused(Refusal),
    /// Past the horizon.
    Late,
    /// Known already.
    Duplicate,
    /// Booked.
    Accepted,
}

impl Outcome {
    /// Why messages are kept that are not booked.
    pub fn reasons() -> impl Iterator<Item = &'static str> {
        Refusal::ALL.iter().map(|reason| reason.name()).chain([Outcome::Late.name()])
    }

    /// As counted and shown.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Retained => "retained",
            Outcome::Unmapped => "unmapped",
            Outcome::Refused(_) => "refused",
            Outcome::Late => "late",
            Outcome::Duplicate => "duplicate",
            Outcome::Accepted => "accepted",
        }
    }

    /// A message takes the best of its readings' outcomes.
    pub(crate) fn best(self, other: Outcome) -> Outcome {
        let rank = |outcome: Outcome| match outcome {
            Outcome::Accepted => 3,
            Outcome::Duplicate => 2,
            Outcome::Late => 1,
            Outcome::Refused(_) | Outcome::Retained | Outcome::Unmapped => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Counts by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// All of them.
    pub received: u64,
    /// Booked.
    pub accepted: u64,
    /// Known already.
    pub duplicate: u64,
    /// Past the horizon.
    pub late: u64,
    /// No meter listens.
    pub unmapped: u64,
    /// Last known values.
    pub retained: u64,
    /// By reason, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
}

impl Tallied {
    /// Counts one.
    pub fn count(&mut self, outcome: Outcome) {
        self.received += 1;
        match outcome {
            Outcome::Retained => self.retained += 1,
            Outcome::Unmapped => self.unmapped += 1,
            Outcome::Refused(reason) => self.refused[reason as usize] += 1,
            Outcome::Late => self.late += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Accepted => self.accepted += 1,
        }
        debug_assert_eq!(self.received, self.sum());
    }

    /// All outcomes together; the same as `received`.
    pub fn sum(&self) -> u64 {
        let refused: u64 = self.refused.iter().sum();
        self.accepted + self.duplicate + self.late + self.unmapped + self.retained + refused
    }

    /// How many were refused for a reason.
    pub fn refused_for(&self, reason: Refusal) -> u64 {
        self.refused[reason as usize]
    }

    /// Reasons that occurred, with their counts.
    pub fn reasons(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().map(|r| (r, self.refused_for(r))).filter(|(_, n)| *n > 0)
    }
}

/// The counts of messages and, apart, of the readings in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages.
    pub messages: Tallied,
    /// Readings; a message may hold several, or none.
    pub readings: Tallied,
}
