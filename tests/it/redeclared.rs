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
            "[meters.el] was a register in kWh, purchased-electricity of facility f, and is now a register in MWh",
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
            assert!(text.contains(said) && text.contains("under new ids"), "{name}, {to}: {text}");
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

const START: &str = "2026-03-02T00:00:00Z";

fn start() -> i64 {
    Time::parse_rfc3339(START).unwrap().0
}

fn sent(topic: &str, minute: i64, received: i64, fields: &str) -> Message {
    Message {
        received: Time(start() + received * 60_000),
        topic: topic.to_owned(),
        payload: format!(r#"{{"t":{},{fields}}}"#, start() + minute * 60_000).into_bytes().into(),
        retain: false,
        dup: false,
        oversize: false,
    }
}

/// Takes messages in, and closes what is over at that minute.
fn run_until(books: &mut Books, mut messages: Vec<Message>, minute: i64) {
    books.commit(&mut messages, Time(start() + minute * 60_000)).unwrap();
    books.apply(&messages).unwrap();
    books.tick(Time(start() + minute * 60_000)).unwrap();
    books.seal().unwrap();
}

#[test]
fn a_meter_that_was_left_out_for_a_while_is_added_up_again() {
    let files = Files::new(&[]);
    let two = format!("{CONFIG}{}", CONFIG.split("[meters.m]").nth(1).map(|m| format!("[meters.n]{m}")).unwrap());
    let two = two.replacen(
        "topic = \"t\"\nformat = \"json\"\nvalue = \"/a\"",
        "topic = \"u\"\nformat = \"json\"\nvalue = \"/a\"",
        1,
    );
    let both = plan(&files, &two);
    let state = files.path("state");
    std::fs::create_dir(&state).unwrap();
    let open = |plan: &Plan| Books::open(&state, plan, Time(start())).unwrap();
    let mut books = open(&both);
    run_until(&mut books, vec![sent("t", 3, 3, r#""a":1"#), sent("u", 4, 4, r#""a":2"#)], 25);
    assert_eq!(quarters(&books, &state, &both), [3_000_000]);
    drop(books);
    let one = plan(&files, &CONFIG.replace("topic = \"t\"", "topic = \"u\""));
    let mut books = open(&one);
    assert_eq!(books.ledger.undeclared().unwrap(), ["n"]);
    run_until(&mut books, vec![sent("u", 5, 30, r#""a":4"#)], 40);
    assert_eq!(quarters(&books, &state, &one), [6_000_000], "what is known of it without the other");
    drop(books);
    let books = open(&both);
    assert_eq!(quarters(&books, &state, &both), [7_000_000]);
}

#[test]
fn a_ledger_that_is_gone_is_booked_anew_under_the_same_name() {
    let files = Files::new(&[]);
    let plan = plan(&files, CONFIG);
    let state = files.path("state");
    std::fs::create_dir(&state).unwrap();
    let open = || Books::open(&state, &plan, Time(start())).unwrap();
    let mut books = open();
    run_until(&mut books, vec![sent("t", 3, 3, r#""a":1"#), sent("t", 4, 4, r#""a":2"#)], 25);
    let name = books.ledger.incarnation().unwrap();
    assert!(!books.ledger.connected(false).unwrap(), "the first session");
    drop(books);
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(state.join(file));
    }
    let mut books = open();
    books.seal().unwrap();
    assert!(books.damage.iter().any(|what| what.contains("the file was gone")), "{:?}", books.damage);
    assert_eq!(quarters(&books, &state, &plan), [3_000_000]);
    assert_eq!((books.ledger.incarnation().unwrap(), books.pipeline.counters().messages.accepted), (name, 2));
    assert!(books.ledger.connected(false).unwrap(), "a session that is not there is a loss");
}

/// Nothing of a start that is refused may be forgotten by the next.
#[test]
fn damage_is_not_forgotten_by_a_start_that_is_refused() {
    let files = Files::new(&[]);
    let good = plan(&files, CONFIG);
    let state = files.path("state");
    std::fs::create_dir(&state).unwrap();
    let open = |plan: &Plan| Books::open(&state, plan, Time(start()));
    let mut books = open(&good).unwrap();
    run_until(&mut books, vec![sent("t", 3, 3, r#""a":1"#)], 25);
    drop(books);
    rusqlite::Connection::open(state.join("ledger.db")).unwrap().execute("UPDATE quarter SET crc = 1", []).unwrap();
    let other = plan(&files, &CONFIG.replace("\"kg\"", "\"t\""));
    assert!(open(&other).is_err_and(|error| error.to_string().contains("[meters.m] was an event in kg")));
    let books = open(&good).unwrap();
    assert!(!books.damage.is_empty());
    assert_eq!(quarters(&books, &state, &good), [1_000_000]);
}

/// A quarter that is closed stays as it was booked, though its messages are read again as context; one that is open is made
/// anew.
#[test]
fn another_mapping_takes_effect_in_what_is_open() {
    let files = Files::new(&[]);
    let first = plan(&files, CONFIG);
    let state = files.path("state");
    std::fs::create_dir(&state).unwrap();
    let mut books = Books::open(&state, &first, Time(start())).unwrap();
    let message = |minute| sent("t", minute, minute, r#""a":500,"b":1"#);
    run_until(&mut books, vec![message(14), message(16)], 20);
    assert_eq!(quarters(&books, &state, &first), [500_000_000]);
    drop(books);

    let second = plan(&files, &CONFIG.replace("\"/a\"", "\"/b\""));
    let mut books = Books::open(&state, &second, Time(start())).unwrap();
    run_until(&mut books, Vec::new(), 40);
    assert_eq!(quarters(&books, &state, &second), [500_000_000, 1_000_000]);
    let counts = &books.pipeline.counters().messages;
    assert_eq!((counts.received, counts.accepted), (2, 2));
}
