//! The chain: an event in, effects out, nothing else. Messages and ticks go in; what must be loaded, what must be
//! stored, and what can be seen come out. Synchronous and total: it reads no clock, touches no disk, and never fails.
//!
//! ```text
//! decode -> wants -> supply -> apply      for each message
//! refresh -> supply -> ... -> seal        when a quarter closes, or a closed one changed
//! ```

mod adjust;
mod counters;
mod course;
mod event;
mod explain;
mod follow;
mod in_force;
mod meters;
mod path;
mod rules;
mod sources;
mod touched;
mod view;

pub use adjust::{Adjusted, Adjustments};
pub use counters::{Counters, Outcome, Tallied};
pub use course::{Booked, Course, between, booked, differences};
pub use event::{Effect, Event, Row, Seal, SealedRow, Supply, Want};
pub use explain::{Explanation, Part, explain};
pub use follow::follow;
pub use in_force::rows_in_force;
pub use path::Pipeline;
pub use rules::Rules;
pub use sources::{Made, Source, add_sources};
pub use touched::{Comparison, Touched, merge};
pub use view::{Amounts, MeterView, Over, facility_quarter, meter_entries, quarters_of};
