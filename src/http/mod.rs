//! The HTTP interface: status, entries, meters, metrics, health; and decisions about readings that are set aside.

mod alarms;
mod board;
mod entries;
mod factors;
mod guard;
mod live;
mod metrics;
mod openapi;
mod page;
mod problem;
mod quarantine;
mod question;
mod rate;
mod readings;
mod refused;
mod seats;
mod server;
mod status;
mod table;
mod trail;
mod views;

pub use alarms::{Acknowledgement, AlarmView, Shelving, alarms_json, seen_before, shelve};
pub use entries::{Asked, EntriesQuery, collect};
pub use guard::Guard;
pub use openapi::openapi_json;
pub use problem::read_query;
pub use quarantine::{Decision, Undecided, quarantine_json};
pub use question::{
    Ask, BrokerView, ConfigView, DatabaseView, DeskView, HeardView, Look, MeterHeard, MeterRow, NotifierView, OpenView,
    Quarters, Question, Rate, ReloadView, UnmappedTopic, Unstored,
};
pub use refused::{is_reason, refused_json};
pub use server::{App, Explain, Listeners, Shared, serve};
pub use trail::{Again, Correction};
pub use views::{EntryView, Planned, RuleView};
