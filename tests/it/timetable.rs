//! Hand-calculated cases: readings at given times, and what the windows must hold.

use std::collections::BTreeMap;

use crate::harness::{Files, Ledger, message, replay};

/// A cluster in UTC whose grid emits 1 kg/kWh, so that milligrams are milliwatt-hours... of the meter `m`.
fn config(meter: &str) -> String {
    format!(
        r#"
[factors]
files = ["own.csv"]
[clusters.c]
timezone = "UTC"
grid = "unit"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "t"
format = "json"
value = "/v"
time = "/t"
time_format = "rfc3339"
category = "purchased-electricity"
{meter}
"#
    )
}

const UNIT_FACTOR: &str = "id,series,use,gas,value,unit\nunit,unit,grid,CO2,1,kg/kWh\n";

/// Readings as (time of day, value); each arrives two seconds after its time.
fn ledger(meter: &str, readings: &[(&str, &str)]) -> Ledger {
    ledger_of(&config(meter), readings)
}

fn ledger_of(config: &str, readings: &[(&str, &str)]) -> Ledger {
    let line = |(time, value): &(&str, &str)| {
        let stamp = format!("2026-03-02T{time}Z");
        let received = emissiond::quantity::Time::parse_rfc3339(&stamp).unwrap();
        let received = emissiond::quantity::Time(received.0 + 2_000).to_string();
        message(&received, "t", &format!(r#"{{"t":"{stamp}","v":{value}}}"#))
    };
    let lines: Vec<String> = readings.iter().map(line).collect();
    let files = Files::new(&[("c.toml", config), ("own.csv", UNIT_FACTOR), ("m.jsonl", &lines.join("\n"))]);
    Ledger::parse(&replay(&files, "c.toml", "m.jsonl"))
}

/// Grams by time of day.
fn check(ledger: &Ledger, window: &str, field: &str, expected: &[(&str, f64)]) {
    let series = ledger.series("facility", window, field).into_iter();
    let grams: BTreeMap<String, f64> = series.map(|(start, mg)| (start[11..16].to_owned(), mg as f64 / 1e3)).collect();
    let expected: BTreeMap<String, f64> = expected.iter().map(|(start, g)| ((*start).to_owned(), *g)).collect();
    assert_eq!(grams, expected, "{window} {field}");
}

fn coverage(ledger: &Ledger, window: &str, start: &str) -> f64 {
    let found = ledger.entries.iter().find(|((l, _, w, s), _)| l == "facility" && w == window && s.contains(start));
    found.unwrap().1["coverage"].as_f64().unwrap()
}

const REGISTER: &str = "kind = \"register\"\nunit = \"kWh\"\nexpected_every = \"15m\"\nrollover_at = 1000";

#[test]
fn a_register_with_a_gap_is_interpolated_and_says_so() {
    let ledger =
        ledger(REGISTER, &[("00:00:00", "100"), ("00:15:00", "104"), ("02:15:00", "112"), ("02:30:00", "113")]);
    check(
        &ledger,
        "15m",
        "scope2_location_mg",
        &[
            ("00:00", 4000.0),
            ("00:15", 1000.0),
            ("00:30", 1000.0),
            ("00:45", 1000.0),
            ("01:00", 1000.0),
            ("01:15", 1000.0),
            ("01:30", 1000.0),
            ("01:45", 1000.0),
            ("02:00", 1000.0),
            ("02:15", 1000.0),
        ],
    );
    check(&ledger, "1h", "interpolated_mg", &[("00:00", 3000.0), ("01:00", 4000.0), ("02:00", 1000.0)]);
    assert_eq!(coverage(&ledger, "1h", "T01:00"), 1.0);
    assert_eq!(coverage(&ledger, "1h", "T02:00"), 0.5);
}

#[test]
fn rollover_dip_and_reset() {
    let rolled = ledger(REGISTER, &[("00:00:00", "995"), ("00:15:00", "5"), ("00:30:00", "9")]);
    check(&rolled, "1h", "scope2_location_mg", &[("00:00", 14_000.0)]);
    let dipped = ledger(REGISTER, &[("00:00:00", "400"), ("00:15:00", "399.9"), ("00:30:00", "402")]);
    check(&dipped, "1h", "scope2_location_mg", &[("00:00", 2_000.0)]);
    let reset = ledger(REGISTER, &[("00:00:00", "400"), ("00:15:00", "3"), ("00:30:00", "5")]);
    check(&reset, "15m", "scope2_location_mg", &[("00:00", 3_000.0), ("00:15", 2_000.0)]);
}

#[test]
fn a_gap_of_more_than_35_days_is_held_back() {
    let lines = [("2026-01-01T00:00:00Z", "1"), ("2026-03-01T00:00:00Z", "500"), ("2026-03-01T00:15:00Z", "502")];
    let lines = lines.map(|(time, value)| message(time, "t", &format!(r#"{{"t":"{time}","v":{value}}}"#)));
    let files = Files::new(&[("c.toml", &config(REGISTER)), ("own.csv", UNIT_FACTOR), ("m.jsonl", &lines.join("\n"))]);
    let ledger = Ledger::parse(&replay(&files, "c.toml", "m.jsonl"));
    assert_eq!(ledger.total("facility", "1y", "scope2_location_mg"), 2_000_000);
}

#[test]
fn a_rate_in_both_shapes_never_crosses_a_gap() {
    let readings = [("00:00:00", "4"), ("00:30:00", "8"), ("03:00:00", "8"), ("03:30:00", "6")];
    let rate = |shape: &str| format!("kind = \"rate\"\nshape = \"{shape}\"\nunit = \"kW\"\nexpected_every = \"30m\"");
    let linear = ledger(&rate("linear"), &readings);
    check(&linear, "1h", "scope2_location_mg", &[("00:00", 3_000.0), ("03:00", 3_500.0)]);
    let step = ledger(&rate("step"), &readings);
    check(&step, "1h", "scope2_location_mg", &[("00:00", 2_000.0), ("03:00", 4_000.0)]);
    assert_eq!(coverage(&step, "1h", "T00:00"), 0.5);
}

#[test]
fn intervals_book_overlaps_fully_and_cover_their_union() {
    let interval = "kind = \"interval\"\ninterval = \"1h\"\nunit = \"kWh\"";
    let ledger = ledger(interval, &[("01:00:00", "4"), ("01:30:00", "2")]);
    check(&ledger, "1h", "scope2_location_mg", &[("00:00", 5_000.0), ("01:00", 1_000.0)]);
    assert_eq!(coverage(&ledger, "1h", "T01:00"), 0.5);
}

#[test]
fn an_event_is_booked_at_its_time() {
    let ledger = ledger("kind = \"event\"\nunit = \"kWh\"", &[("00:59:59", "4"), ("01:00:00", "2")]);
    check(&ledger, "1m", "scope2_location_mg", &[("00:59", 4_000.0), ("01:00", 2_000.0)]);
    assert_eq!(coverage(&ledger, "1h", "T00:00"), 1.0);
}

#[test]
fn every_message_has_one_outcome() {
    let meter = "kind = \"interval\"\ninterval = \"15m\"\nunit = \"kWh\"";
    let at = "2026-03-02T12:00:00Z";
    let good = r#"{"t":"2026-03-02T12:00:00Z","v":1}"#;
    let retained = serde_json::json!({"received": at, "topic": "t", "payload": good, "retain": true}).to_string();
    let lines = [
        message(at, "t", good),
        message(at, "t", good),
        message(at, "t", r#"{"t":"2026-03-02T12:00:00Z","v":2}"#),
        message(at, "t", "no json"),
        message(at, "t", r#"{"t":"2026-03-02T12:00:00Z"}"#),
        message(at, "t", r#"{"t":"2026-03-02T12:00:00Z","v":"n/a"}"#),
        message(at, "t", r#"{"t":"2026-03-02T12:00:00Z","v":-1}"#),
        message(at, "t", r#"{"t":"2026-03-02T12:00:00Z","v":1e30}"#),
        message(at, "t", r#"{"t":"yesterday","v":1}"#),
        message(at, "t", r#"{"t":"2026-03-02T12:05:01Z","v":1}"#),
        message(at, "t", r#"{"t":"2026-02-23T11:59:59Z","v":1}"#),
        message(at, "elsewhere", good),
        message(at, "t", &"x".repeat(1 << 21)),
        retained,
    ];
    let files = Files::new(&[("c.toml", &config(meter)), ("own.csv", UNIT_FACTOR), ("m.jsonl", &lines.join("\n"))]);
    let summary = Ledger::parse(&replay(&files, "c.toml", "m.jsonl")).summary;
    let expected = serde_json::json!({
        "level": "summary", "received": 14, "accepted": 1, "duplicate": 1, "late": 1, "unmapped": 1, "retained": 1,
        "refused": {
            "oversize": 1, "malformed": 1, "missing-value": 1, "not-a-number": 1, "out-of-range": 1, "negative": 1,
            "bad-time": 1, "clock-ahead": 1, "conflict": 1,
        },
        "readings": {
            "received": 10, "accepted": 1, "duplicate": 1, "late": 1, "unmapped": 0, "retained": 0,
            "refused": {
                "missing-value": 1, "not-a-number": 1, "out-of-range": 1, "negative": 1, "bad-time": 1,
                "clock-ahead": 1, "conflict": 1,
            },
        },
    });
    assert_eq!(summary, expected);
}

/// An exchanged meter: two declarations of one number, whose validity meets.
#[test]
fn a_meter_is_exchanged_without_a_phantom_and_without_a_refusal() {
    let before = "kind = \"register\"\nunit = \"kWh\"\nexpected_every = \"15m\"\nvalid_to = \"2026-03-02T10:30:00Z\"";
    let after = config(&before.replace("valid_to", "valid_from"));
    let after = &after[after.find("[meters.m]").unwrap()..];
    let both = format!("{}{}", config(before), after.replace("[meters.m]", "[meters.n]"));
    let readings = [("10:00:00", "9000"), ("10:15:00", "9001"), ("10:30:00", "3"), ("10:45:00", "5")];
    let ledger = ledger_of(&both, &readings);
    assert_eq!(ledger.total("facility", "1d", "scope2_location_mg"), 3_000_000);
    let counts = &ledger.summary;
    assert_eq!((&counts["accepted"], &counts["readings"]["refused"]), (&4.into(), &serde_json::json!({})));
}
