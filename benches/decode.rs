//! Nanoseconds to decode a message, and for each reading in it, for every format; beside what it costs to build the same
//! payload as a tree of JSON values, or to read its bytes once.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a bench measures time and stops where it cannot go on"
)]

#[path = "../tests/it/gateway.rs"]
mod gateway;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use emissiond::config::{Plan, check};
use emissiond::decode::{Births, Message};
use emissiond::quantity::Time;

use gateway::{Metric, payload};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 200_000;
const METRICS: usize = 20;
const NAMES: [&str; METRICS] = [
    "Energy/Active/Import/L1",
    "Energy/Active/Import/L2",
    "Energy/Active/Import/L3",
    "Energy/Active/Import/Total",
    "Energy/Active/Export/L1",
    "Energy/Active/Export/L2",
    "Energy/Active/Export/L3",
    "Energy/Active/Export/Total",
    "Gas/Volume/Boiler1",
    "Gas/Volume/Boiler2",
    "Gas/Volume/Boiler3",
    "Gas/Volume/Total",
    "Steam/Mass/Line1",
    "Steam/Mass/Line2",
    "Steam/Mass/Line3",
    "Steam/Mass/Total",
    "Water/Volume/1",
    "Water/Volume/2",
    "Water/Volume/3",
    "Water/Volume/Total",
];
const TIME: i64 = 1_767_225_600_000;
const DEVICE: &str = "spBv1.0/Cluster/DDATA/gw-07/main";

struct Case {
    name: &'static str,
    meters: String,
    messages: Vec<Message>,
    readings: usize,
}

fn message(topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    let (topic, payload) = (topic.to_owned(), payload.into().into());
    Message { received: Time(TIME + 500), topic, payload, retain: false, dup: false, oversize: false }
}

fn meter(at: usize, topic: &str, keys: &str) -> String {
    format!(
        "[meters.m{at}]\nfacility = \"f\"\ntopic = \"{topic}\"\n{keys}\nkind = \"register\"\nunit = \"kWh\"\n\
         expected_every = \"10s\"\ncategory = \"purchased-electricity\"\n"
    )
}

fn meters(count: usize, topic: &str, keys: impl Fn(usize) -> String) -> String {
    (0..count).map(|at| meter(at, topic, &keys(at))).collect()
}

fn plan(meters: &str) -> Plan {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    let text = format!(
        "[clusters.c]\ntimezone = \"Europe/Paris\"\ngrid = \"eea_fr\"\n[facilities.f]\ncluster = \"c\"\n{meters}"
    );
    std::fs::write(&path, text).unwrap();
    check(Some(&path)).map_err(|report| report.to_text()).unwrap()
}

fn metric(at: usize, named: bool, alias: bool) -> Metric {
    Metric {
        name: named.then_some(NAMES[at]),
        alias: alias.then_some(at as u64),
        timestamp: Some(TIME as u64),
        datatype: named.then_some(10),
        double: Some(184_233.25 + at as f64),
        ..Metric::default()
    }
}

fn gateway_case(name: &'static str, named: bool, first: Message) -> Case {
    let data = payload(TIME as u64, Some(2), &(0..METRICS).map(|at| metric(at, named, !named)).collect::<Vec<_>>());
    let keys = |at: usize| format!("format = \"sparkplug\"\nvalue = \"{}\"", NAMES[at]);
    Case {
        name,
        meters: meters(METRICS, DEVICE, keys),
        messages: vec![first, message(DEVICE, data)],
        readings: METRICS,
    }
}

fn cases() -> Vec<Case> {
    let birth = payload(TIME as u64, Some(1), &(0..METRICS).map(|at| metric(at, true, true)).collect::<Vec<_>>());
    let birth = || message("spBv1.0/Cluster/DBIRTH/gw-07/main", birth.clone());
    let mut senml = format!(
        "[{{\"bn\":\"urn:dev:ow:10e2073a:\",\"bt\":{},\"bu\":\"kWh\",\"n\":\"0\",\"v\":184233.25}}",
        TIME / 1_000
    );
    let (mut values, mut bulk, mut lines) = (String::new(), String::new(), String::new());
    for at in 0..METRICS {
        if at > 0 {
            let _ = write!(senml, ",{{\"n\":\"{at}\",\"v\":{}.25}}", 184_233 + at);
        }
        let _ = write!(values, "{}\"tag{at}\":{}.25", if at > 0 { "," } else { "" }, 184_233 + at);
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(
            bulk,
            "{comma}{{\"id\":\"{}\",\"val\":{}.25,\"ts\":\"2026-01-01T00:00:00.159Z\",\"qc\":3}}",
            100 + at,
            184_233 + at
        );
        let _ = writeln!(lines, "meter,n={at} v={}.25 {TIME}000000", 184_233 + at);
    }
    senml.push(']');
    let json = "format = \"json\"\nvalue = \"/v\"\ntime = \"/ts\"\ntime_format = \"ms\"";
    let one = |payload: String| vec![message("t", payload)];
    vec![
        Case {
            name: "number",
            meters: meters(1, "t", |_| "format = \"number\"".to_owned()),
            messages: one("184233.25".to_owned()),
            readings: 1,
        },
        Case {
            name: "json",
            meters: meters(1, "t", |_| json.to_owned()),
            messages: one(format!("{{\"ts\":{TIME},\"v\":184233.25,\"q\":\"good\"}}")),
            readings: 1,
        },
        Case {
            name: "neuron, 20 tags",
            meters: meters(METRICS, "t", |at| format!("format = \"neuron\"\nvalue = \"tag{at}\"")),
            messages: one(format!(
                "{{\"timestamp\":{TIME},\"node\":\"modbus\",\"group\":\"grp\",\"values\":{{{values}}},\"errors\":{{}}}}"
            )),
            readings: METRICS,
        },
        Case {
            name: "siemens-databus, 20 points",
            meters: meters(METRICS, "t", |at| format!("format = \"siemens-databus\"\nvalue = \"{}\"", 100 + at)),
            messages: one(format!("{{\"seq\":1,\"vals\":[{bulk}]}}")),
            readings: METRICS,
        },
        Case {
            name: "influx-line, 20 lines",
            meters: meters(METRICS, "t", |at| format!("format = \"influx-line\"\nvalue = \"meter,n={at} v\"")),
            messages: one(lines),
            readings: METRICS,
        },
        Case {
            name: "senml, 20 records",
            meters: meters(METRICS, "t", |at| format!("format = \"senml\"\nvalue = \"urn:dev:ow:10e2073a:{at}\"")),
            messages: one(senml),
            readings: METRICS,
        },
        gateway_case("sparkplug, 20 names", true, birth()),
        gateway_case("sparkplug, 20 aliases", false, birth()),
    ]
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut times = [measure(), measure(), measure(), measure(), measure()];
    times.sort_by(f64::total_cmp);
    times[2]
}

fn time(rounds: usize, mut each: impl FnMut()) -> f64 {
    let started = Instant::now();
    (0..rounds).for_each(|_| each());
    started.elapsed().as_nanos() as f64 / rounds as f64
}

fn main() {
    println!("{:<28} {:>6} {:>12} {:>12} {:>18}", "format", "bytes", "ns/message", "ns/reading", "baseline ns");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for case in cases().into_iter().filter(|case| wanted.is_empty() || wanted.iter().any(|w| case.name.contains(w))) {
        let plan = plan(&case.meters);
        let mut births = Births::default();
        let (last, before) = case.messages.split_last().unwrap();
        before.iter().for_each(|message| drop(plan.rules.routes.decode(message, &mut births)));
        let decoded = plan.rules.routes.decode(last, &mut births);
        let good = decoded.readings().iter().filter(|(_, reading)| reading.is_ok()).count();
        assert_eq!(good, case.readings, "{}: {decoded:?}", case.name);
        let rounds = ROUNDS / case.readings;
        let ours = median(|| time(rounds, || drop(black_box(plan.rules.routes.decode(black_box(last), &mut births)))));
        let is_json = serde_json::from_slice::<serde_json::Value>(&last.payload).is_ok();
        let (name, baseline) = if is_json && case.readings + last.payload.len() > 20 {
            let tree = || drop(black_box(serde_json::from_slice::<serde_json::Value>(black_box(&last.payload))));
            ("tree", median(|| time(rounds, tree)))
        } else {
            (
                "bytes",
                median(|| {
                    time(rounds, || {
                        black_box(crc32fast::hash(black_box(&last.payload)));
                    })
                }),
            )
        };
        println!(
            "{:<28} {:>6} {ours:>12.0} {:>12.0} {baseline:>12.0} {name}",
            case.name,
            last.payload.len(),
            ours / case.readings as f64
        );
    }
}
