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
mod episode;
mod limit;
mod machine;
mod pathway;
mod plan;
mod rule;
mod series;
mod telling;
mod watch;

pub use alarm::{Acknowledged, Alarm, Followed, News, Outlook, Phase, Subject, follow};
pub use budget::{Budget, Forecast, Period};
pub use burn::{Burn, Pace};
pub use episode::{Episode, Judged};
pub use limit::{Align, Limit};
pub use machine::{Finding, Guard, Machine, NoData, Seen, State, Turn};
pub use pathway::{Pathway, Shape};
pub use plan::Profile;
pub use rule::{Kind, Level, Priority, Rule, Signal, judge};
pub use series::{Series, Sum};
pub use telling::{Calm, Chatter, Hold, Line, Shelf, Telling, Update, Way, World};
pub use watch::{Turned, series, turns};
