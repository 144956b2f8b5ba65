//! What goes into the pipeline and what comes out.

use crate::cluster::{FacilityIx, MeterIx};
use crate::decode::{Decoded, Message};
use crate::ledger::{Closed, Range, SealedEntry};
use crate::meter::{Held, Need, Verdict};
use crate::pipeline::{Counters, Outcome};
use crate::quantity::{Quarter, Time};
use crate::window::Activity;

/// Something happened. Whatever can change a figure is one of these, and is in the journal.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message was received.
    Message {
        /// When.
        received: Time,
        /// What it holds.
        decoded: Decoded,
        /// False when a restart replays what was counted before.
        counted: bool,
    },
    /// An operator decided about a meter's reading at a time.
    Verdict(MeterIx, Time, Verdict),
    /// Time has passed: windows whose end lies `close_after` back are closed.
    Tick(Time),
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The message's outcome.
    Settled(Outcome),
    /// The message, or its reading for a meter, is late or refused; comes before the message's own outcome.
    NotBooked(Option<MeterIx>, Outcome),
    /// A quarter closed: it is time for a seal.
    QuarterClosed,
}

/// What must be loaded from the store before going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// A meter's rows.
    Rows(MeterIx, Need),
    /// The activity of a facility's other meters in a closed quarter.
    Siblings(FacilityIx, Quarter),
    /// Stored entries.
    Entries(Range),
}

/// What was loaded.
#[derive(Clone, Debug)]
pub enum Supply {
    /// A meter's rows from `from` on; `from` is the beginning of time when the store has nothing earlier.
    Rows {
        /// Whose.
        meter: MeterIx,
        /// All rows from here on are given.
        from: Quarter,
        /// They.
        rows: Vec<Row>,
        /// The last good reading before.
        context: Option<(Time, i64)>,
    },
    /// The rows of a facility's meters in one quarter.
    Siblings {
        /// Whose.
        facility: FacilityIx,
        /// Which quarter.
        quarter: Quarter,
        /// What is stored.
        activities: Vec<(MeterIx, Activity)>,
    },
    /// Stored entries of a range.
    Entries(Range, Vec<Closed>),
}

/// One meter's quarter, as stored: its readings and the activity that follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub meter: MeterIx,
    /// The readings.
    pub held: Held,
    /// The activity.
    pub activity: Activity,
    /// 1 at close, one more with each change of the activity.
    pub revision: u32,
}

/// One meter's quarter, about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct SealedRow<'a> {
    /// Whose.
    pub meter: MeterIx,
    /// Which.
    pub quarter: Quarter,
    /// The readings. `None`: there are none.
    pub held: Option<&'a Held>,
    /// The activity. `None`: there is none.
    pub activity: Option<&'a Activity>,
    /// As it will be stored.
    pub revision: u32,
}

/// What one seal commit stores. It borrows: the copies of ten thousand meters would fill the memory.
#[derive(Clone, Debug)]
pub struct Seal<'a> {
    /// Closed quarters of meters that are new or changed.
    pub rows: Vec<SealedRow<'a>>,
    /// Closed entries that are new or changed.
    pub entries: Vec<SealedEntry<'a>>,
    /// Births and deaths of gateways that are not stored yet.
    pub births: &'a [Message],
    /// The counts so far.
    pub counters: &'a Counters,
    /// The first open quarter.
    pub open_from: Quarter,
    /// The time of the last event.
    pub now: Time,
}
