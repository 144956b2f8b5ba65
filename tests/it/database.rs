//! The database converges to the ledger: while it runs, and after it was away.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{assert_same, run, shared_data};
use crate::real_data::{OWN_FACTOR, STEEL, steel_expected};
use crate::servers::{Daemon, Influx, Mosquitto, VictoriaMetrics, http_get, player, run_player, wait_for};

fn influx_section(url: &str) -> String {
    format!("[influxdb]\nurl = \"{url}\"\norg = \"cluster\"\nbucket = \"emissions\"\n{STEEL}")
}

fn settled(daemon: &Daemon) {
    let done = |status: &Value| status["messages"]["accepted"] == 2_976 && status["influxdb"]["behind"] == 0;
    wait_for("all readings", || (daemon.status()["messages"]["accepted"] == 2_976).then_some(()));
    // The last seal is stored within two seconds; then the writer must have caught up with it.
    let sealed = |entries: Vec<Value>| entries.len() == 2_976 && entries.iter().all(|e| e["revision"] != 0);
    wait_for("all quarters", || sealed(daemon.entries("cluster", "15m")).then_some(()));
    wait_for("the database to catch up", || done(&daemon.status()).then_some(()));
}

/// What the database holds of a level and window: milligrams by start.
fn stored(influx: &Influx, level: &str, window: &str) -> BTreeMap<String, i64> {
    let text = format!("SELECT scope2_location_kg FROM emissions WHERE level = '{level}' AND \"window\" = '{window}'");
    let row = |row: Vec<Value>| {
        let start = emissiond::quantity::Time(row[0].as_i64().unwrap() * 1_000).to_string();
        (start, (row[1].as_f64().unwrap() * 1e6).round() as i64)
    };
    influx.rows(&text).into_iter().map(row).collect()
}

fn ledger(daemon: &Daemon, level: &str, window: &str) -> BTreeMap<String, i64> {
    let entry = |e: &Value| (e["start"].as_str().unwrap().to_owned(), e["scope2_location_mg"].as_i64().unwrap());
    daemon.entries(level, window).iter().map(entry).collect()
}

/// `EMISSIOND_RATE=30` makes the outage last over a minute.
#[test]
fn the_database_equals_the_ledger_after_it_was_killed_under_load() {
    let Some(expected) = steel_expected() else {
        return;
    };
    let (broker, mut influx) = (Mosquitto::start(), Influx::start());
    let mut daemon = Daemon::new(&broker, &influx_section(&influx.url), &[("own.csv", OWN_FACTOR)]);
    daemon.start();
    let mut player = player(&daemon).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a third of the readings", || (daemon.received() > 1_000).then_some(()));
    influx.kill();
    let killed = emissiond::clock::now();
    // Ingest goes on without the database, and through a kill of the daemon.
    wait_for("two thirds of the readings", || (daemon.received() > 2_000).then_some(()));
    daemon.kill();
    daemon.start();
    assert!(player.wait().unwrap().success());
    wait_for("all readings", || (daemon.received() >= 2_976).then_some(()));
    assert!(daemon.status()["influxdb"]["failed"].as_u64().unwrap() > 0, "the outage shows");
    println!("an outage of {} ms", emissiond::clock::now().since(killed).0);
    influx.restart();
    settled(&daemon);
    for level in ["facility", "cluster", "network"] {
        assert_same(&stored(&influx, level, "15m"), &expected, level);
        for window in ["1h", "1d", "1mo", "1y"] {
            let held = stored(&influx, level, window);
            assert_same(&held, &ledger(&daemon, level, window), &format!("{level} {window}"));
        }
    }
    assert_same(&stored(&influx, "meter", "15m"), &expected, "meter in the database");
    assert_same(&ledger(&daemon, "meter", "15m"), &expected, "meter");
    let total: i64 = expected.values().sum();
    assert_eq!(ledger(&daemon, "cluster", "1m").values().sum::<i64>(), total);
    assert!(daemon.stop().success());
    let export = run(daemon.command("export").args(["--level", "cluster", "--window", "1d", "--format", "csv"]));
    assert_eq!(String::from_utf8(export.stdout).unwrap().lines().count(), 32);
}

#[test]
fn victoria_metrics_takes_the_writes() {
    if shared_data().is_none() {
        return;
    }
    let (broker, server) = (Mosquitto::start(), VictoriaMetrics::start());
    let url = format!("http://127.0.0.1:{}", server.port);
    let mut daemon = Daemon::new(&broker, &influx_section(&url), &[("own.csv", OWN_FACTOR)]);
    daemon.start();
    run_player(&daemon);
    settled(&daemon);
    // It shows fresh samples only after a flush.
    let query = format!("{url}/api/v1/export?match[]=emissions_scope2_location_kg&start=2017-12-01T00:00:00Z");
    http_get(&format!("{url}/internal/force_flush")).unwrap();
    let text = wait_for("the samples", || http_get(&query).map(|(_, text)| text).filter(|text| !text.is_empty()));
    assert!(text.contains("\"cluster\":\"gwangyang\""), "{text}");
}
