//! Configuration: the files as written, checked into a [`Plan`]; every problem at once, with its place and its cure.

mod account;
mod check;
mod checker;
mod contract;
mod factor;
mod file;
mod kind;
mod layers;
mod meter;
mod notify;
mod owner;
mod place;
mod plan;
mod preset;
mod problem;
mod property;
mod purchase;
mod registry;
mod relation;
mod rule;
mod rule_health;
mod rule_kind;
mod rule_members;
mod rule_reach;
mod service;
mod show;
mod source;
mod value;

pub use check::{Loaded, address, check, load, load_with, state_dir};
pub use file::schema;
pub use layers::List;
pub use plan::{Daemon, Https, Parts, Plan, Retention};
pub use preset::{FORMATS, Preset, presets};
pub use problem::{Problem, Report, Severity};
pub use registry::to_csv;
pub use show::show;
