//! The document of the HTTP interface, and what it does with what cannot be.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use serde_json::Value;

use crate::alarms::CLUSTER;
use crate::broker::publish;
use crate::servers::{Daemon, Mosquitto, wait_for};

fn document() -> Value {
    serde_json::from_str(&emissiond::http::openapi_json()).unwrap()
}

#[test]
fn the_document_is_the_one_that_is_published() {
    let published = std::fs::read_to_string("deploy/openapi.json").unwrap();
    assert_eq!(
        published,
        emissiond::http::openapi_json(),
        "write it anew: curl http://127.0.0.1:8077/api/openapi.json > deploy/openapi.json"
    );
}

/// Entries are written digit by digit; their shape is that of the document all the same.
#[test]
fn entries_are_as_documented_and_come_in_parts() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, CLUSTER, &[]);
    daemon.start();
    let now = emissiond::clock::now();
    let reading = |ago: i64, kg: i64| {
        let at = emissiond::quantity::Time(now.0 - ago * 60_000);
        ("plant/co2".to_owned(), format!("{{\"t\":\"{at}\",\"kg\":{kg}}}").into_bytes(), false)
    };
    publish(&broker, 1e6, &[reading(3, 10), reading(2, 20), reading(1, 30)]);
    let minutes = || -> Option<Vec<Value>> {
        let (_, text) = daemon.get("/api/v1/entries?level=facility&window=1m")?;
        serde_json::from_str::<Vec<Value>>(&text).ok().filter(|minutes| minutes.len() >= 3)
    };
    let minutes = wait_for("three minutes", minutes);
    let schema = &document()["components"]["schemas"]["EntryView"];
    let documented: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let written: BTreeSet<&String> = minutes[0].as_object().unwrap().keys().collect();
    assert_eq!(written, documented);
    let part = daemon.get("/api/v1/entries?level=facility&window=1m&limit=1&offset=1").unwrap().1;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&part).unwrap(), minutes[1..2]);
    let csv = daemon.get("/api/v1/meters?format=csv").unwrap().1;
    assert!(csv.starts_with("category,expected_every,facility,") && csv.lines().count() == 2, "{csv}");
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_words() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, CLUSTER, &[]);
    daemon.start();
    let wrong = [
        ("/api/v1/entries?level=plant", 400, "`level` cannot be `plant`"),
        ("/api/v1/entries?from=now", 400, "`from` is no RFC 3339 time"),
        ("/api/v1/entries?limit=0", 400, "`limit` must be a number from 1"),
        ("/api/v1/entries?colour=red", 400, "unknown field `colour`"),
        ("/api/v1/meters?format=xml", 400, "unknown variant `xml`"),
        ("/api/v1/alarms?state=old", 400, "unknown variant `old`"),
        ("/api/v1/alarms?before=now", 400, "`before` is `now`"),
        ("/api/v1/readings?meter=none", 400, "no meter has the id `none`"),
        ("/api/v1/readings?meter=m&from=2025-01-01T00:00:00Z", 400, "longer than 32 days"),
        ("/api/v1/factors?meter=none", 400, "no meter has the id `none`"),
        ("/api/v1/refused?limit=10001", 400, "`limit` must be a number up to"),
        ("/facility/none", 404, "there is no facility `none`"),
        ("/meter/none", 404, "there is no meter `none`"),
        ("/?network=none", 404, "there is no network `none`"),
        ("/assets/none.js", 404, "there is no `none.js`"),
    ];
    for (path, code, words) in wrong {
        let (found, text) = daemon.get(path).unwrap();
        assert!(found == code && text.contains(words), "{path}: {found} {text}");
    }
    for (body, code) in [("{", 400), ("{}", 400), ("[]", 400)] {
        assert_eq!(daemon.post("/api/v1/adjustments", body, None).0, code, "{body}");
    }
}

#[test]
fn who_says_half_a_request_is_cut_off() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, CLUSTER, &[]);
    daemon.start();
    let connect = || {
        let stream = std::net::TcpStream::connect(("127.0.0.1", daemon.http)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    };
    let (mut silent, mut halting) = (connect(), connect());
    halting.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    // Whoever is one too many is turned away at once, and all are gone in the end.
    let mut many: Vec<_> = (0..400).map(|_| connect()).collect();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count();
    let open = wait_for("all places to be taken", || Some(files()).filter(|open| *open >= 300));
    assert!(open < 400, "{open} files are open");
    for stream in many.iter_mut().chain([&mut silent, &mut halting]) {
        let mut said = Vec::new();
        let ended = stream.read_to_end(&mut said).map_err(|error| error.kind());
        assert!(ended.is_ok() || ended == Err(ErrorKind::ConnectionReset), "{ended:?}");
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    }
    assert_eq!(daemon.get("/healthz").unwrap().0, 200);
    assert!(daemon.stop().success());
}
