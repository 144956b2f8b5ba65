//! Telling of alarms: one queue a notifier, in the store, so that one that is down holds up nobody else, and nothing is lost
//! by a restart. What is told comes at least once, with a key that stays the same.

mod options;
mod queue;
mod topic;
mod webhook;

pub use options::{Channel, Options};
pub use queue::{Failed, Queue};
