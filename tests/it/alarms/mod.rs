//! Alarms: what rules make of readings.

mod channels;
mod health;
pub mod hook;
mod judged;
mod live;
mod rules;
mod storm;

/// A stack whose CO2 is counted by the kilogram, in Paris.
pub const CLUSTER: &str = r#"
[clusters.c]
timezone = "Europe/Paris"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "plant/co2"
format = "json"
value = "/kg"
time = "/t"
time_format = "rfc3339"
kind = "register"
unit = "kg"
expected_every = "1m"
max_gap = "2m"
category = "cems-co2"
"#;
