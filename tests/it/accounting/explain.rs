//! Why a figure is what it is: every explanation adds up to its entry.

use std::collections::BTreeMap;

use emissiond::config;
use emissiond::quantity::Time;
use fastrand::Rng;
use serde_json::Value;

use super::reference::simulated_day;
use crate::harness::{Files, emissiond, number, run};

const MIDNIGHT: &str = "2026-02-02T23:00:00Z";
const QUARTER_MS: i64 = 900_000;

fn explain(files: &Files, arguments: &[&str]) -> (i32, String, String) {
    let mut command = emissiond();
    command.current_dir(files.0.path()).arg("explain").args(arguments).arg("--config").arg(files.path("c.toml"));
    let output = run(&mut command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn filled() -> Files {
    let files = simulated_day("dunkerque", Time::parse_rfc3339(MIDNIGHT).unwrap());
    let mut command = emissiond();
    command.current_dir(files.0.path()).args(["backfill", "--messages"]).arg(files.path("m.jsonl"));
    let output = run(command.arg("--config").arg(files.path("c.toml")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files
}

/// The postings by column against the entry, and the parts of usages against the activity.
fn adds_up(explained: &Value) {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for booking in explained["bookings"].as_array().unwrap() {
        for posting in booking["postings"].as_array().unwrap() {
            let mg: i128 = posting["mg"].as_str().unwrap().parse().unwrap();
            *sums.entry(posting["column"].as_str().unwrap().to_owned()).or_default() += mg;
            let known = ["carbon", "gas", "measured", "supplier"].contains(&posting["row"].as_str().unwrap());
            assert!(known || posting["factor"]["source"].is_string(), "{posting}");
        }
    }
    for (column, sum) in &sums {
        assert_eq!(i128::from(explained["entry"][column].as_i64().unwrap()), *sum, "{column}: {explained}");
    }
    let usages = explained["usage"].as_array().unwrap();
    let parts: i64 = usages.iter().map(|usage| usage["in_quarter"]["base"].as_i64().unwrap()).sum();
    let activity: i64 =
        explained["bookings"].as_array().unwrap().iter().map(|b| b["activity"]["base"].as_i64().unwrap()).sum();
    let terms = explained["sum_of"].as_array().unwrap();
    let own = |term: &&Value| term["meter"] == explained["meter"];
    match terms.iter().find(own) {
        // A main meter is booked without its sub-meters.
        Some(own) => assert!(usages.is_empty() || own["base"] == parts, "{explained}"),
        None => assert!(usages.is_empty() || parts == activity, "{explained}"),
    }
    let coefficient = |term: &Value| term["times"].as_str().unwrap().parse::<i64>().unwrap();
    let sum: i64 = terms.iter().map(|term| coefficient(term) * term["base"].as_i64().unwrap()).sum();
    assert!(terms.is_empty() || sum == activity, "{explained}");
}

#[test]
fn every_explanation_adds_up_to_its_entry() {
    let files = filled();
    let plan = config::check(Some(&files.path("c.toml"))).unwrap();
    let (mut random, start) = (Rng::with_seed(4), Time::parse_rfc3339(MIDNIGHT).unwrap().0);
    let (mut explained, mut read) = (0, 0);
    for _ in 0..number("EMISSIOND_EXPLAINS", 60) {
        let meter = random.choice(&plan.rules.topology.meters).unwrap();
        let at = Time(start + random.i64(0..96) * QUARTER_MS + random.i64(0..QUARTER_MS)).to_string();
        let (code, text, said) = explain(&files, &["--meter", meter.id.as_str(), "--at", &at, "--format", "json"]);
        if code == 1 && said.contains("nothing is booked") {
            continue;
        }
        assert_eq!(code, 0, "{} {at}: {said}", meter.id);
        let value: Value = serde_json::from_str(&text).unwrap();
        adds_up(&value);
        explained += 1;
        read += usize::from(value["usage"][0]["readings"][0]["payload"].is_string());
    }
    println!("{explained} explained, {read} of them from the payload");
    assert!(explained > 30 && read > 20, "{explained} {read}");
}

#[test]
fn an_explanation_is_for_people_too() {
    let files = filled();
    let plan = config::check(Some(&files.path("c.toml"))).unwrap();
    let fuel = plan.rules.topology.meters.iter().find(|m| m.category.name() == "stationary-combustion").unwrap();
    let (code, text, said) = explain(&files, &["--meter", fuel.id.as_str(), "--at", "2026-02-03T06:20:00Z"]);
    assert!(
        code == 0 && text.contains("scope1") && text.contains("set ") && text.contains("entry  15m"),
        "{text}{said}"
    );
    let (code, _, said) = explain(&files, &["--meter", fuel.id.as_str(), "--at", "2026-01-03T06:20:00Z"]);
    assert!(code == 1 && said.contains("nothing is booked"), "{said}");
    let (code, _, said) = explain(&files, &["--meter", "nobody", "--at", "2026-01-03T06:20:00Z"]);
    assert!(code == 1 && said.contains("no meter has the id"), "{said}");
}
