//! `report`: one page that says what the ledger does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Files, emissiond, message, run};

const PLANT: &str = r#"
[daemon]
state_dir = "state"
[clusters.c]
name = "Port <east>"
timezone = "Europe/Paris"
grid = "egrid_srmv"
residual = "aib_fr"
[facilities.f]
cluster = "c"
[facilities.g]
cluster = "c"
[templates.quarter]
format = "json"
value = "/v"
time = "/t"
time_format = "rfc3339"
kind = "interval"
interval = "15m"
[meters.el]
template = "quarter"
facility = "f"
topic = "p/el"
unit = "kWh"
category = "purchased-electricity"
[meters.co2]
template = "quarter"
facility = "g"
topic = "p/co2"
unit = "kg"
category = "cems-co2"
"#;

/// Kilograms as the report writes them.
fn kg(mg: &Value) -> String {
    let mg = mg.as_i64().unwrap();
    let whole = (mg / 1_000_000).to_string();
    let grouped = whole.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect::<Vec<_>>();
    let part = format!("{:06}", mg % 1_000_000);
    let part = part.trim_end_matches('0');
    let dot = if part.is_empty() { "" } else { "." };
    format!("{}{dot}{part}", grouped.join("\u{2009}"))
}

#[test]
fn a_month_is_a_page_with_the_figures_of_the_ledger() {
    let files = Files::new(&[("c.toml", PLANT)]);
    let zone = emissiond::quantity::Zone::parse("Europe/Paris").unwrap();
    let start = zone.day(2025, 11, 1).unwrap();
    let lines = (1..=30 * 96).flat_map(|quarter: i64| {
        let at = emissiond::quantity::Time(start.0 + quarter * 900_000).to_string();
        let payload = |value: f64| format!("{{\"t\":\"{at}\",\"v\":{value}}}");
        let amounts = [("p/el", 250.0 + (quarter % 96) as f64), ("p/co2", 17.125)];
        amounts.map(|(topic, amount)| message(&at, topic, &payload(amount)))
    });
    std::fs::write(files.path("m.jsonl"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = emissiond();
        let output = run(command.args(arguments).arg("--config").arg(files.path("c.toml")).current_dir(files.0.path()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    command(&["backfill", "--messages", "m.jsonl"]);
    let html = command(&["report", "--cluster", "c", "--period", "2025-11"]);
    let figures = |level: &str| -> BTreeMap<String, Value> {
        let text = command(&["export", "--level", level, "--window", "1mo", "--from", "2025-10-31T00:00:00Z"]);
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|entry| (entry["entity"].as_str().unwrap().to_owned(), entry)).collect()
    };
    for (id, entry) in figures("cluster").into_iter().chain(figures("facility")) {
        for column in ["scope1_mg", "scope2_location_mg", "scope2_market_mg"] {
            let cell = format!("<td class=\"n\">{}</td>", kg(&entry[column]));
            assert!(html.contains(&cell), "{id} {column}: {cell} is not in the report");
        }
    }
    // 30 days of 250 to 345 kWh a quarter-hour.
    let mwh = (0..96).map(|quarter| 250 + (quarter + 1) % 96).sum::<i64>() * 30;
    let all = format!("<td class=\"n\">{}</td>", kg(&Value::from(mwh * 1_000)));
    assert_eq!(html.matches(&all).count(), 4, "{all} by facility and in all, by both methods");
    for part in
        ["Port &lt;east&gt;", "Europe/Paris", "egrid2024_srmv", "aib2025_fr", "backfill", "el (purchased-electricity)"]
    {
        assert!(html.contains(part), "{part}");
    }
    assert!(
        !html.contains("http-equiv") && !html.contains("<script") && !html.contains("src="),
        "it needs nothing else"
    );
    let missing = run(emissiond()
        .args(["report", "--cluster", "c", "--period", "2024-01", "--config"])
        .arg(files.path("c.toml")));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nothing is booked of `c` in 2024-01"));
}
