//! The activity of one meter in one clock quarter.

/// The minutes of a quarter.
pub(crate) const MINUTES: usize = 15;

/// One minute of activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// In base units.
    pub amount: i64,
    /// The part of it whose timing is interpolated.
    pub interpolated: i64,
    /// How much of the minute is covered by measurement.
    pub covered_ms: u32,
    /// How many events it holds.
    pub events: u32,
}

/// What a meter measured in one clock quarter: the ground state of all accounting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// By minute.
    pub minutes: [Minute; MINUTES],
    /// What is known of the quarter as a whole only: the course of a long gap, and what is packed.
    pub whole: Minute,
}

impl Activity {
    /// Its minutes, and then what has none.
    pub fn parts(&self) -> impl Iterator<Item = &Minute> {
        self.minutes.iter().chain([&self.whole])
    }

    /// The sum over the quarter.
    pub fn total(&self) -> Minute {
        self.parts().fold(Minute::default(), |sum, m| Minute {
            amount: sum.amount.saturating_add(m.amount),
            interpolated: sum.interpolated.saturating_add(m.interpolated),
            covered_ms: sum.covered_ms + m.covered_ms,
            events: sum.events + m.events,
        })
    }

    /// True when nothing was measured: no time covered and no event.
    pub fn is_empty(&self) -> bool {
        self.parts().all(|m| m.covered_ms == 0 && m.events == 0 && m.amount == 0)
    }
}
