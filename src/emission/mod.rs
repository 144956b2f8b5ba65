//! Activity to emission: activity data times emission factor, by gas, scope and basis.
//!
//! Each mass is rounded once, half to even, to milligrams, per meter, gas and clock quarter; its minutes are
//! cumulative splits of that figure.

mod book;
mod method;
mod tally;

pub use book::{Leaf, Parts, book};
pub use method::{Declared, Factors, Method, MethodProblem, Post, Slot, Term};
pub use tally::{Column, Flag, Tally};
