//! The database: closed entries as they are sealed, open ones now and then, each write an overwrite of the same key.
//!
//! There is no queue of copies: a cursor over the ledger's `changed` says how far the database has confirmed, and values
//! are read when they are sent. One request is in flight at a time; what stayed without an answer is repeated once it can no
//! longer land, so that no old value stands over a newer one.

mod alarms;
mod better;
mod client;
mod database;
mod examine;
mod health;
mod lines;
mod mark;
mod options;
mod place;
mod points;
mod reconcile;
mod retention;
mod sink;
mod world;

pub use alarms::{ALARM_READER, Alarms};
pub use client::{Bucket, retry_after, shown, token};
pub use database::{Database, QueryError, WriteError};
pub use examine::{Examined, examine};
pub use health::{Health, HealthView};
pub use options::Options;
pub use reconcile::{ReconcileError, Reconciler, Report, Stand};
pub use sink::Sink;
pub use world::{AskOpen, World};
