//! The HTTP interface: status, entries, meters, metrics, health; and decisions about readings that are set aside.

mod alarms;
mod entries;
mod metrics;
mod quarantine;
mod question;
mod server;
mod status;
mod trail;

pub use alarms::{Acknowledgement, Shelving, alarm_json, alarms_json, seen_before, shelve};
pub use entries::{Asked, collect};
pub use quarantine::{Decision, Undecided, quarantine_json};
pub use question::{
    Ask, BrokerView, ConfigView, DatabaseView, DeskView, HeardView, Look, MeterHeard, MeterRow, NotifierView, OpenView,
    Quarters, Question, Rate, ReloadView, RuleView, UnmappedTopic,
};
pub use server::{App, Guard, Shared, read_query, serve};
pub use status::{is_reason, refused_json};
pub use trail::{Again, Correction};
