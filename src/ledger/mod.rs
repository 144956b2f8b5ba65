//! The books: entries of facilities, clusters and networks by window, each the sum of finer ones.
//!
//! A facility's quarter comes from its meters; a cluster's quarter from its facilities; hours, days, months and years
//! from the next finer window. A network's windows up to an hour come from its clusters' quarters, its days, months
//! and years from the clusters' local periods of the same date.

mod balance;
mod book;
mod entry;
mod parts;

pub use balance::Balance;
pub use book::{Book, Closed, SealedEntry};
pub use entry::{Entry, Key};
pub use parts::Range;
