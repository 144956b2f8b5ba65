//! The activity of one meter in one clock quarter.

/// The minutes of a quarter.
pub(crate) const MINUTES: usize = 15;
/// Its minutes, and last what is known of the quarter as a whole only.
const PARTS: usize = MINUTES + 1;

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
///
/// Two of these stand in memory for every meter, so what most meters have nothing of is kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    amounts: [i64; PARTS],
    covered_ms: [u16; MINUTES],
    whole_covered_ms: u32,
    /// An operator set the amount.
    adjusted: bool,
    /// Only the sum of the quarter is left of it.
    packed: bool,
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    interpolated: [i64; PARTS],
    events: [u32; PARTS],
}

impl Activity {
    /// The place of what is known of the quarter as a whole only: the course of a long gap, and what is packed.
    pub const WHOLE: usize = MINUTES;

    /// One part: a minute, or [`Activity::WHOLE`].
    pub fn part(&self, at: usize) -> Minute {
        let covered = self.covered_ms.get(at).map_or(self.whole_covered_ms, |ms| u32::from(*ms));
        let rare = self.rare.as_ref().map_or((0, 0), |rare| (rare.interpolated[at], rare.events[at]));
        Minute { amount: self.amounts[at], interpolated: rare.0, covered_ms: covered, events: rare.1 }
    }

    /// Its minutes, and then what has none.
    pub fn parts(&self) -> impl Iterator<Item = Minute> {
        (0..PARTS).map(|at| self.part(at))
    }

    /// Adds to a part.
    pub fn add(&mut self, at: usize, more: Minute) {
        self.amounts[at] = self.amounts[at].saturating_add(more.amount);
        match self.covered_ms.get_mut(at) {
            // A minute has 60,000 of them.
            Some(covered) => *covered = covered.saturating_add(u16::try_from(more.covered_ms).unwrap_or(u16::MAX)),
            None => self.whole_covered_ms = self.whole_covered_ms.saturating_add(more.covered_ms),
        }
        if more.interpolated != 0 || more.events != 0 {
            let rare = self.rare.get_or_insert_default();
            rare.interpolated[at] = rare.interpolated[at].saturating_add(more.interpolated);
            rare.events[at] = rare.events[at].saturating_add(more.events);
        }
    }

    /// A quarter of which only the sum is left.
    pub fn packed(sum: Minute) -> Activity {
        let mut activity = Activity { packed: true, ..Activity::default() };
        activity.add(Activity::WHOLE, sum);
        activity
    }

    /// Whether its minutes are gone.
    pub fn is_packed(&self) -> bool {
        self.packed
    }

    /// Says that an operator set the amount.
    pub fn mark_adjusted(&mut self) {
        self.adjusted = true;
    }

    /// Whether an operator set the amount.
    pub fn is_adjusted(&self) -> bool {
        self.adjusted
    }

    /// Takes over what is known of another that is a part of this one.
    pub fn mark_like(&mut self, other: &Activity) {
        self.adjusted |= other.adjusted;
        self.packed |= other.packed;
    }

    /// The sum over the quarter.
    pub fn total(&self) -> Minute {
        self.parts().fold(Minute::default(), |sum, m| Minute {
            amount: sum.amount.saturating_add(m.amount),
            interpolated: sum.interpolated.saturating_add(m.interpolated),
            covered_ms: sum.covered_ms.saturating_add(m.covered_ms),
            events: sum.events.saturating_add(m.events),
        })
    }

    /// True when nothing was measured: no time covered and no event.
    pub fn is_empty(&self) -> bool {
        self.parts().all(|m| m.covered_ms == 0 && m.events == 0 && m.amount == 0)
    }
}
