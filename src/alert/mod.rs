//! Rules about emissions, and what comes of them: a series of sums in, the turns of an alarm out. An alarm is a pure function
//! of what was emitted when: whatever the order in which readings arrive, the same sums give the same episodes.
//!
//! ```text
//! sums -> finding (normal, over a level, unknown) -> turn (with delays and deadband) -> episode
//! series  limit, budget, burn, pathway              machine                             episode
//! ```

mod alarm;
mod budget;
mod burn;
mod coverage;
mod episode;
mod facts;
mod imbalance;
mod limit;
mod machine;
mod pathway;
mod plan;
mod planned;
mod quality;
mod rule;
mod series;
mod stale;
mod telling;
mod watch;
mod watched;

pub use alarm::{Acknowledged, Alarm, Followed, Input, IsTaken, News, Outlook, Phase, Subject, follow};
pub use budget::{Budget, Forecast, Period};
pub use burn::{Burn, Pace};
pub use coverage::Coverage;
pub use episode::{Checkpoint, Episode, Judged};
pub use facts::{Begin, Facts, look};
pub use imbalance::Imbalance;
pub use limit::{Align, Gate, Limit};
pub use machine::{Finding, Guard, Machine, NoData, Seen, State, Turn};
pub use pathway::{Pathway, Shape};
pub use plan::Profile;
pub use quality::{Came, Lately, Quality};
pub use rule::{Kind, Level, Priority, Rule, Signal, Until};
pub use series::{Series, Sum};
pub use stale::{Heard, Silence, Stale, silences};
pub use telling::{Calm, Chatter, Hold, Line, Shelf, Telling, Update, Way, World};
pub use watch::{Turned, turns};
pub use watched::{Part, Watched};

/// Values are integers in millionths of their units: milligrams of a kilogram.
pub const MILLION: i128 = 1_000_000;
