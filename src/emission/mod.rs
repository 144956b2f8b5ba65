//! Activity to emission: activity data times emission factor, by gas, scope and basis.
//!
//! Each mass is rounded once, half to even, to milligrams, per meter, gas and clock quarter; its minutes are
//! cumulative splits of that figure. What one meter is charged with may hang on others: on the meters of its fuel's
//! properties, on the plant that makes what it buys, on what a contract covers in its hour. [`Accounts`] says who hangs on
//! whom, [`Evaluation`] works one quarter out.

mod account;
mod amounts;
mod book;
mod contract;
mod evaluate;
mod line;
mod method;
mod problem;
mod property;
mod reach;
mod special;
mod tally;

pub use account::{
    Account, Accounts, Capture, Chp, FacilityAccount, Inside, Purchase, Share, Special, Stack, Transfer,
};
pub use book::{Booking, Leaf, Parts, Posting};
pub use contract::{Contract, Volume};
pub use evaluate::{Evaluation, Facts};
pub use line::Post;
pub use method::{Declared, Factors, Method, Slot, Term};
pub use problem::MethodProblem;
pub use property::{Properties, Property, PropertyKind, Source as PropertySource, Values};
pub use special::Plant;
pub use tally::{Column, Flag, SourceKey, Tally};
