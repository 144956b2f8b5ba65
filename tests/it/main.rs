//! The tests from outside: everything here uses the product as its users do, or drives its parts over a timetable.

mod architecture;
mod config;
mod equivalence;
mod harness;
mod real_data;
mod timetable;
