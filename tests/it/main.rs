//! The tests from outside: everything here uses the product as its users do, or drives its parts over a timetable.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on says where")]

mod accounting;
mod alarms;
mod architecture;
mod broken;
mod broker;
mod brokers;
mod config;
mod database;
mod disk;
mod driver;
mod equivalence;
mod flips;
mod formats;
mod gateway;
mod harness;
mod oracle;
mod outage;
mod powercuts;
mod proxy;
mod quarantine;
mod real_data;
mod reconcile;
mod redeclared;
mod registry;
mod reload;
mod servers;
mod simulation;
mod sparkplug;
mod stub;
mod syscalls;
mod timetable;
mod trail;
mod upgrade;
