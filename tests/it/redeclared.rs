//! What happens to the books when the configuration changes under them.

use std::path::Path;

use emissiond::cluster::{Entity, FacilityIx};
use emissiond::config::{Plan, check};
use emissiond::daemon::Books;
use emissiond::decode::Message;
use emissiond::emission::Column;
use emissiond::quantity::{Time, Window};
use emissiond::store::Reader;

use crate::harness::{Files, emissiond, run};
use crate::upgrade::{export, golden};

fn change(files: &Files, from: &str, to: &str) {
    let path = files.path("c.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Exit code, and what is said.
fn command(files: &Files, name: &str, rest: &[&str]) -> (i32, String) {
    let output = run(emissiond().args([name, "--config"]).arg(files.path("c.toml")).args(rest));
    (output.status.code().unwrap(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn what_is_in_the_books_keeps_its_meaning() {
    let (files, expected) = golden("state-v2");
    assert_eq!(export(&files).0, expected);
    let table = [
        (
            "unit = \"kWh\"",
            "unit = \"MWh\"",
            "[meters.el] was a register in kWh of facility f, and is now a register in MWh",
        ),
        ("unit = \"kWh\"", "unit = \"kWh\"\nscale = 1000", "is now a register in kWh x 1000"),
        ("unit = \"kWh\"", "unit = \"kWh\"\noffset = 0.5", "is now a register in kWh + 1/2"),
        ("kind = \"register\"", "kind = \"event\"", "is now an event in kWh"),
        ("interval = \"15m\"", "interval = \"30m\"", "[meters.gas] was an interval of 15m up to its time in Nm3"),
        ("Europe/Paris", "Asia/Kolkata", "[clusters.c] was in time zone Europe/Paris"),
        (
            "[facilities.f]\ncluster = \"c\"",
            "[clusters.d]\ntimezone = \"UTC\"\ngrid = \"eea_fr\"\n[facilities.f]\ncluster = \"d\"",
            "[facilities.f]",
        ),
    ];
    for (from, to, said) in table {
        change(&files, from, to);
        for (name, rest) in [
            ("check", &[][..]),
            ("check", &["--format", "json"]),
            ("export", &["--level", "facility", "--window", "1h"]),
            ("run", &[]),
            ("refused", &[]),
        ] {
            let (exit, text) = command(&files, name, rest);
            assert_eq!(exit, 78, "{name}, {to}: {text}");
            assert!(text.contains(said) && text.contains("under a new id"), "{name}, {to}: {text}");
        }
        change(&files, to, from);
        assert_eq!(export(&files).0, expected, "after {to}: what was set back is as before");
    }
    // What may change at any time.
    for (from, to) in
        [("topic = \"g/el\"", "topic = \"g/other\""), ("unit = \"kWh\"", "unit = \"kWh\"\nmax_rate = \"9 MW\"")]
    {
        change(&files, from, to);
        assert_eq!(export(&files).0, expected, "{to}");
    }
}

const CONFIG: &str = r#"
[clusters.c]
timezone = "UTC"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "t"
format = "json"
value = "/a"
time = "/t"
time_format = "ms"
kind = "event"
unit = "kg"
category = "cems-co2"
"#;

fn plan(files: &Files, text: &str) -> Plan {
    std::fs::write(files.path("c.toml"), text).unwrap();
    check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap()
}

fn quarters(books: &Books, state: &Path, plan: &Plan) -> Vec<i128> {
    let reader = Reader::open(state, books.ledger.names().clone(), plan.rules.topology.clone()).unwrap();
    let range = (Time::MIN, Time::MAX);
    let entries = reader.entries(Entity::Facility(FacilityIx(0)), Window::Quarter, range).unwrap();
    entries.iter().map(|entry| entry.balance.own.mg(Column::Scope1)).collect()
}

/// A quarter that is closed stays as it was booked, though its messages are read again as context; one that is open is made
/// anew.
#[test]
fn another_mapping_takes_effect_in_what_is_open() {
    let files = Files::new(&[]);
    let first = plan(&files, CONFIG);
    let state = files.path("state");
    std::fs::create_dir(&state).unwrap();
    let start = Time::parse_rfc3339("2026-03-02T00:00:00Z").unwrap().0;
    let message = |minute: i64| Message {
        received: Time(start + minute * 60_000),
        topic: "t".to_owned(),
        payload: format!(r#"{{"t":{},"a":500,"b":1}}"#, start + minute * 60_000).into_bytes().into(),
        retain: false,
        dup: false,
        oversize: false,
    };
    let mut books = Books::open(&state, &first, Time(start)).unwrap();
    let mut messages = vec![message(14), message(16)];
    books.commit(&mut messages, Time(start + 16 * 60_000)).unwrap();
    books.apply(&messages).unwrap();
    books.tick(Time(start + 20 * 60_000)).unwrap();
    books.seal().unwrap();
    assert_eq!(quarters(&books, &state, &first), [500_000_000]);
    drop(books);

    let second = plan(&files, &CONFIG.replace("\"/a\"", "\"/b\""));
    let mut books = Books::open(&state, &second, Time(start)).unwrap();
    books.tick(Time(start + 40 * 60_000)).unwrap();
    books.seal().unwrap();
    assert_eq!(quarters(&books, &state, &second), [500_000_000, 1_000_000]);
    let counts = &books.pipeline.counters().messages;
    assert_eq!((counts.received, counts.accepted), (2, 2));
}
