//! Measured data through `replay`: a steel works' electricity, a power station's stack.

use std::collections::BTreeMap;

use emissiond::quantity::{Decimal, Ratio, Time, Zone};
use fastrand::Rng;

use crate::broker::publish;
use crate::harness::{Files, Ledger, assert_same, message, replay, run, shared_data};
use crate::servers::{Daemon, Mosquitto, wait_for, wait_for_long};

pub const STEEL: &str = r#"
[factors]
files = ["own.csv"]
[ledger]
late_horizon = "20y"
[networks.net]
[clusters.gwangyang]
timezone = "Asia/Seoul"
network = "net"
grid = "own_kr"
[facilities.steelworks]
cluster = "gwangyang"
[meters.el]
facility = "steelworks"
topic = "kr/steel/el"
format = "json"
value = "/kwh"
time = "/ts"
time_format = "ms"
kind = "interval"
interval = "15m"
unit = "kWh"
category = "purchased-electricity"
"#;

pub const OWN_FACTOR: &str = "id,set,series,name,kind,use,gas,value,unit,valid_from,valid_to,source\n\
    own_kr_co2,own_kr_2018,own_kr,Own grid factor,electricity,grid,CO2,0.4594,kg/kWh,2018-01-01,2018-12-31,supplier\n";

const STACK: &str = r#"
[clusters.georgia]
timezone = "America/New_York"
[facilities.bowen]
cluster = "georgia"
[meters.stack]
facility = "bowen"
topic = "ga/bowen/co2"
format = "json"
value = "/co2"
time = "/ts"
time_format = "rfc3339"
kind = "interval"
interval = "1h"
stamp = "start"
unit = "short_ton"
category = "cems-co2"
"#;

/// Rows of a CSV file without its remarks, the header left out.
fn rows(name: &str) -> Option<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(shared_data()?.join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    Some(lines.map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

/// The start of each quarter with its energy as printed.
pub fn steel_quarters() -> Option<Vec<(Time, String)>> {
    let seoul = Zone::parse("Asia/Seoul").unwrap();
    let quarter = |row: Vec<String>| {
        let end = seoul.parse_local("%d/%m/%Y %H:%M", &row[0]).unwrap();
        // The 00:00 row closes the day it is stamped with.
        let end = if row[0].ends_with("00:00") { Time(end.0 + 86_400_000) } else { end };
        (Time(end.0 - 900_000), row[1].clone())
    };
    Some(rows("steel_meter_sample.csv")?.into_iter().map(quarter).collect())
}

/// The exact product, rounded once: `value x mg`, half to even.
fn exact_mg(value: &str, mg_per_unit: Ratio) -> i64 {
    let value = Ratio::from_decimal(Decimal::parse(value).unwrap()).unwrap();
    i64::try_from(value.times(mg_per_unit).unwrap().of(1).unwrap()).unwrap()
}

pub fn steel_expected() -> Option<BTreeMap<String, i64>> {
    let factor = Ratio::whole(459_400);
    Some(steel_quarters()?.into_iter().map(|(start, kwh)| (start.to_string(), exact_mg(&kwh, factor))).collect())
}

fn steel_messages() -> Option<Vec<String>> {
    let line = |(start, kwh): (Time, String)| {
        let end = Time(start.0 + 900_000);
        let payload = format!(r#"{{"ts":{},"kwh":{kwh}}}"#, end.0);
        message(&Time(end.0 + 5_000).to_string(), "kr/steel/el", &payload)
    };
    Some(steel_quarters()?.into_iter().map(line).collect())
}

#[test]
fn steel_works_electricity_is_exact_at_every_level_and_window() {
    let (Some(messages), Some(expected)) = (steel_messages(), steel_expected()) else {
        return;
    };
    let text = messages.join("\n");
    let files = Files::new(&[("c.toml", STEEL), ("own.csv", OWN_FACTOR), ("m.jsonl", &text)]);
    let ledger = Ledger::parse(&replay(&files, "c.toml", "m.jsonl"));
    assert_eq!(expected.len(), 2_976);
    let total: i64 = expected.values().sum();
    for level in ["meter", "facility", "cluster", "network"] {
        for field in ["scope2_location_mg", "scope2_market_mg"] {
            assert_same(&ledger.series(level, "15m", field), &expected, level);
            for window in ["1m", "1h", "1d", "1mo", "1y"] {
                assert_eq!(ledger.total(level, window, field), total, "{level} {window} {field}");
            }
        }
        assert_eq!(ledger.series(level, "1d", "scope1_mg").len(), 31, "{level}");
        assert_eq!(ledger.series(level, "1m", "scope1_mg").len(), 2_976 * 15, "{level}");
    }
    let days = ledger.series("cluster", "1d", "scope1_mg");
    assert!(days.keys().all(|start| start.ends_with("T15:00:00Z")), "days begin at midnight in Seoul");
}

#[test]
fn order_and_doubles_change_nothing() {
    let Some(messages) = steel_messages() else {
        return;
    };
    let mut shuffled = messages.clone();
    Rng::with_seed(7).shuffle(&mut shuffled);
    let doubled: Vec<String> = shuffled.iter().flat_map(|line| [line.clone(), line.clone()]).collect();
    let (text, shuffled, doubled) = (messages.join("\n"), shuffled.join("\n"), doubled.join("\n"));
    let files = Files::new(&[
        ("c.toml", STEEL),
        ("own.csv", OWN_FACTOR),
        ("m.jsonl", &text),
        ("s.jsonl", &shuffled),
        ("d.jsonl", &doubled),
    ]);
    let plain = replay(&files, "c.toml", "m.jsonl");
    assert!(plain == replay(&files, "c.toml", "s.jsonl"), "another order, another ledger");
    let twice = replay(&files, "c.toml", "d.jsonl");
    assert!(plain[..plain.len() - 1] == twice[..twice.len() - 1], "doubles changed the ledger");
    let summary = Ledger::parse(&twice).summary;
    assert_eq!((summary["received"].as_u64(), summary["duplicate"].as_u64()), (Some(5_952), Some(2_976)));
}

/// Revisions tell how often a window was restated, and are no part of its figures.
fn without_revision(line: &str) -> String {
    line.split(",\"revision\":").next().unwrap().to_owned()
}

#[test]
fn a_shuffled_and_doubled_stream_with_kills_is_the_replay_to_the_byte() {
    let (Some(messages), Some(quarters)) = (steel_messages(), steel_quarters()) else {
        return;
    };
    let files = Files::new(&[("c.toml", STEEL), ("own.csv", OWN_FACTOR), ("m.jsonl", &messages.join("\n"))]);
    let expected = replay(&files, "c.toml", "m.jsonl");
    let publication = |(start, kwh): &(Time, String)| {
        let payload = format!(r#"{{"ts":{},"kwh":{kwh}}}"#, start.0 + 900_000);
        ("kr/steel/el".to_owned(), payload.into_bytes(), false)
    };
    let mut stream: Vec<_> = quarters.iter().chain(&quarters).map(publication).collect();
    Rng::with_seed(31).shuffle(&mut stream);

    let broker = Mosquitto::as_shipped();
    let mut daemon = Daemon::new(&broker, STEEL, &[("own.csv", OWN_FACTOR)]);
    daemon.start();
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&broker, 2_000.0, &stream));
        for place in [700, 2_300, 4_100] {
            wait_for("the next place to kill at", || (daemon.received() >= place).then_some(()));
            daemon.kill();
            daemon.start();
        }
        publisher.join().unwrap();
    });
    let all = quarters.len() as u64;
    wait_for_long("every reading", || (daemon.status()["messages"]["accepted"] == all).then_some(()));
    wait_for_long("every message", || (daemon.received() >= 2 * all).then_some(()));
    assert!(daemon.stop().success());
    for level in ["meter", "facility", "cluster", "network"] {
        for window in ["1m", "15m", "1h", "1d", "1mo", "1y"] {
            let mut command = daemon.command("export");
            let output = run(command.args(["--level", level, "--window", window]));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let head = format!("{{\"level\":\"{level}\"");
            let of_window = format!("\"window\":\"{window}\"");
            let wanted = expected.iter().filter(|line| line.starts_with(&head) && line.contains(&of_window));
            let wanted: Vec<String> = wanted.map(|line| without_revision(line)).collect();
            let found: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(without_revision).collect();
            assert!(!wanted.is_empty() && wanted == found, "{level} {window}");
        }
    }
}

#[test]
fn a_stack_is_booked_to_the_milligram() {
    let Some(rows) = rows("cems_sample.csv") else {
        return;
    };
    let mut lines = Vec::new();
    let mut expected = BTreeMap::new();
    for row in &rows {
        let local = format!("{}T{:0>2}:00:00-05:00", row[3], row[4]);
        let start = Time::parse_rfc3339(&local).unwrap();
        let payload = format!(r#"{{"ts":"{local}","co2":{}}}"#, row[8]);
        lines.push(message(&Time(start.0 + 3_605_000).to_string(), "ga/bowen/co2", &payload));
        // An hour's mass in micrograms, split into quarters by cumulative floor, each rounded half to even.
        let ug = i128::from(exact_mg(&row[8], Ratio::whole(907_184_740_000)));
        for quarter in 0..4 {
            let part = ug * (quarter + 1) / 4 - ug * quarter / 4;
            let mg = Ratio::new(1, 1_000).unwrap().of(part).unwrap();
            expected.insert(Time(start.0 + 900_000 * quarter as i64).to_string(), mg as i64);
        }
    }
    let files = Files::new(&[("c.toml", STACK), ("m.jsonl", &lines.join("\n"))]);
    let ledger = Ledger::parse(&replay(&files, "c.toml", "m.jsonl"));
    assert_eq!(rows.len(), 220);
    assert_same(&ledger.series("facility", "15m", "scope1_mg"), &expected, "stack");
    // 377,883.794 short tons of 907.18474 kg; each of the 880 quarters is within half a milligram.
    let exact = exact_mg("377883.794", Ratio::whole(907_184_740));
    assert!((ledger.total("cluster", "1y", "scope1_mg") - exact).abs() <= 440);
    assert_eq!(ledger.total("cluster", "1h", "co2_mg"), ledger.total("cluster", "1y", "scope1_mg"));
}
