//! A database that answers what a real one cannot be made to: at random, or against one line. It keeps lines by their key,
//! as InfluxDB does.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use crate::harness::{number, shared_data};
use crate::real_data::{OWN_FACTOR, STEEL};
use crate::servers::{Daemon, Mosquitto, block_on, run_player, wait_for_long};

/// What the stub does with a request.
enum Answer {
    /// Takes it.
    Take,
    /// Takes it and never says so.
    TakeAndHangUp,
    /// Says this, and takes nothing.
    Refuse(u16),
    /// Says this, and takes half of it.
    TakeHalf(u16),
}

type Decide = Box<dyn FnMut(&str) -> Answer + Send>;

struct Stub {
    stored: Mutex<BTreeMap<String, String>>,
    decide: Mutex<Decide>,
    requests: Mutex<u64>,
}

impl Stub {
    fn start(decide: Decide) -> (Arc<Stub>, String) {
        let stub = Stub { stored: Mutex::default(), decide: Mutex::new(decide), requests: Mutex::new(0) };
        let stub = Arc::new(stub);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/api/v2/write", post(answer)).with_state(Arc::clone(&stub));
        std::thread::spawn(move || {
            block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap()
            });
        });
        (stub, url)
    }

    /// The key is everything but the fields.
    fn take<'a>(&self, lines: impl Iterator<Item = &'a str>) {
        let mut stored = self.stored.lock().unwrap();
        // The mark is no entry.
        for line in lines.filter(|line| line.starts_with("emissions,")) {
            let parts: Vec<&str> = line.split(' ').collect();
            stored.insert(format!("{} {}", parts[0], parts[2]), parts[1].to_owned());
        }
    }
}

async fn answer(State(stub): State<Arc<Stub>>, body: Bytes) -> Response {
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_ref()).read_to_string(&mut text).unwrap();
    *stub.requests.lock().unwrap() += 1;
    let decided = (stub.decide.lock().unwrap())(&text);
    let status = |code| (StatusCode::from_u16(code).unwrap(), r#"{"code":"x","message":"dropped=1"}"#).into_response();
    match decided {
        Answer::Take => {
            stub.take(text.lines());
            StatusCode::NO_CONTENT.into_response()
        }
        Answer::TakeAndHangUp => {
            stub.take(text.lines());
            panic!("the connection ends without an answer");
        }
        Answer::Refuse(code) => status(code),
        Answer::TakeHalf(code) => {
            stub.take(text.lines().take(text.lines().count() / 2));
            status(code)
        }
    }
}

/// The steel works' month, played into a daemon that writes to the stub; returns when all readings are in.
fn play(url: &str, windows: &str) -> Option<Daemon> {
    shared_data()?;
    let broker = Mosquitto::start();
    let section = format!("[influxdb]\nurl = \"{url}\"\norg = \"o\"\nbucket = \"b\"\nwindows = {windows}\n{STEEL}");
    let mut daemon = Daemon::new(&broker, &section, &[("own.csv", OWN_FACTOR)]);
    daemon.start();
    run_player(&daemon);
    wait_for_long("all readings", || (daemon.status()["messages"]["accepted"] == 2_976).then_some(()));
    let sealed = |entries: Vec<Value>| entries.len() == 2_976 && entries.iter().all(|e| e["revision"] != 0);
    wait_for_long("all quarters", || sealed(daemon.entries("cluster", "15m")).then_some(()));
    Some(daemon)
}

/// The lines the daemon exports of a level and window, as the stub keeps them.
fn exported(daemon: &Daemon, level: &str, window: &str) -> BTreeMap<String, String> {
    let (code, text) = daemon.get(&format!("/api/v1/entries?level={level}&window={window}&format=line")).unwrap();
    assert_eq!(code, 200);
    let line = |line: &str| {
        let parts: Vec<&str> = line.split(' ').collect();
        (format!("{} {}", parts[0], parts[2]), parts[1].to_owned())
    };
    text.lines().map(line).collect()
}

/// The stub comes to its senses.
fn wait_for_chaos(began: emissiond::quantity::Time, lasts: emissiond::quantity::Span) {
    while emissiond::clock::now().since(began) < lasts {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// For `EMISSIOND_CHAOS` seconds.
#[test]
fn answers_at_random_end_in_the_ledger_as_it_is() {
    let mut random = fastrand::Rng::with_seed(3);
    let began = emissiond::clock::now();
    let lasts = emissiond::quantity::Span::seconds(number("EMISSIOND_CHAOS", 15));
    let decide = move |_: &str| {
        let chaos = emissiond::clock::now().since(began) < lasts;
        match if chaos { random.u8(0..10) } else { 9 } {
            0 => Answer::Refuse(400),
            1 => Answer::Refuse(401),
            2 => Answer::Refuse(413),
            3 => Answer::TakeHalf(422),
            4 => Answer::Refuse(429),
            5 => Answer::Refuse(500),
            6 => Answer::Refuse(503),
            7 => Answer::TakeAndHangUp,
            _ => Answer::Take,
        }
    };
    let (stub, url) = Stub::start(Box::new(decide));
    let windows = r#"{ meter = [], facility = ["15m", "1h", "1d"], cluster = ["1d"], network = [] }"#;
    let Some(daemon) = play(&url, windows) else {
        return;
    };
    wait_for_chaos(began, lasts);
    for (level, window) in [("facility", "15m"), ("facility", "1h"), ("facility", "1d"), ("cluster", "1d")] {
        wait_for_long(&format!("{level} {window} in the database"), || {
            let expected = exported(&daemon, level, window);
            let stored = stub.stored.lock().unwrap();
            expected.iter().all(|(key, fields)| stored.get(key) == Some(fields)).then_some(())
        });
    }
    wait_for_long("nothing set aside", || (daemon.status()["influxdb"]["set_aside"] == 0).then_some(()));
    assert!(daemon.status()["influxdb"]["failed"].as_u64().unwrap() > 3);
}

#[test]
fn one_bad_line_is_isolated_with_few_requests_and_kept() {
    // 2018-01-10T00:00:00Z, a quarter of the facility.
    const BAD: &str = " 1515542400";
    let is_bad = |line: &str| line.contains("window=15m") && line.ends_with(BAD);
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let decide = move |text: &str| {
        if text.lines().any(is_bad) {
            *counted.lock().unwrap() += 1;
            return Answer::Refuse(400);
        }
        Answer::Take
    };
    let (stub, url) = Stub::start(Box::new(decide));
    let windows = r#"{ meter = [], facility = ["15m"], cluster = [], network = [] }"#;
    let Some(daemon) = play(&url, windows) else {
        return;
    };
    wait_for_long("the bad line alone", || (daemon.status()["influxdb"]["set_aside"] == 1).then_some(()));
    wait_for_long("all others", || (daemon.status()["influxdb"]["behind"] == 0).then_some(()));
    assert_eq!(stub.stored.lock().unwrap().len(), 2_975);
    // The quarter changes a few times while the month is played; each time the batch it is in is halved again.
    assert!(*asked.lock().unwrap() <= 30, "{} requests", asked.lock().unwrap());
}
