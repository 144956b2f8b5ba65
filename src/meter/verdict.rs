//! What an operator decided about single readings, over what the rules make of them.

use std::collections::BTreeMap;

use crate::quantity::Time;

/// A decision about one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right. A rise is used as it stands, over any gap; after a fall a register starts anew from here, and nothing
    /// is used for the fall itself.
    Release,
    /// It is wrong, and set aside.
    Reject,
}

impl Verdict {
    /// As written in requests and lists.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Release => "release",
            Verdict::Reject => "reject",
        }
    }

    /// Reads [`Verdict::name`].
    pub fn parse(text: &str) -> Option<Verdict> {
        [Verdict::Release, Verdict::Reject].into_iter().find(|verdict| verdict.name() == text)
    }
}

/// The decisions about one meter's readings, by their times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts(BTreeMap<Time, Verdict>);

impl Verdicts {
    pub(crate) fn note(&mut self, time: Time, verdict: Verdict) {
        self.0.insert(time, verdict);
    }

    pub(crate) fn releases(&self, time: Time) -> bool {
        self.of(time) == Some(Verdict::Release)
    }

    pub(crate) fn rejects(&self, time: Time) -> bool {
        self.of(time) == Some(Verdict::Reject)
    }

    fn of(&self, time: Time) -> Option<Verdict> {
        self.0.get(&time).copied()
    }
}
