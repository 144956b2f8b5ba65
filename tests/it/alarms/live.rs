//! The daemon raises alarms as readings come, and tells of each at least once, whatever happens to it or to whoever is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fastrand::Rng;
use serde_json::Value;

use crate::broker::{EVENTS, Publication, publish};
use crate::harness::number;
use crate::servers::{Daemon, Mosquitto, free_port, wait_for, wait_for_long};

/// What came, with its key: `true` where it was taken.
type Came = Arc<Mutex<Vec<(String, Value, bool)>>>;

/// A server that is told of alarms, and fails so many times in a hundred.
struct Hook {
    port: u16,
    came: Came,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Told {
    came: Came,
    random: Arc<Mutex<Rng>>,
    fails_pct: u8,
}

impl Hook {
    fn start(fails_pct: u8) -> Hook {
        let (port, came) = (free_port(), Came::default());
        let told = Told { came: Arc::clone(&came), random: Arc::new(Mutex::new(Rng::with_seed(5))), fails_pct };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().route("/alarm", post(take)).with_state(told);
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Hook { port, came, _runtime: runtime }
    }

    fn config(&self, rules: &str) -> String {
        format!("{EVENTS}{rules}[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/alarm\"\n", self.port)
    }

    /// What was taken: key and status.
    fn taken(&self) -> Vec<(String, String)> {
        let came = self.came.lock().unwrap();
        let taken = came.iter().filter(|(.., taken)| *taken);
        taken.map(|(key, body, _)| (key.clone(), body["status"].as_str().unwrap().to_owned())).collect()
    }
}

async fn take(State(told): State<Told>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let taken = told.random.lock().unwrap().u8(0..100) >= told.fails_pct;
    told.came.lock().unwrap().push((key, serde_json::from_slice(&body).unwrap(), taken));
    if taken { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// More than 100 kg in a minute.
const MINUTE: &str = r#"
[rules.minute]
kind = "limit"
select = { facility = "f" }
average = "1m"
align = "sliding"
limit = "6000 kg/h"
"#;

fn event(at: i64, kg: i64) -> Publication {
    ("plant/co2".to_owned(), format!("{{\"t\":{at},\"kg\":{kg}}}").into_bytes(), false)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what is waited for is how soon it comes")]
fn an_overrun_is_told_at_once() {
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let mut daemon = Daemon::new(&broker, &hook.config(MINUTE), &[]);
    daemon.start();
    let now = emissiond::clock::now().0;
    let sent = Instant::now();
    publish(&broker, 1e6, &[event(now, 101)]);
    let came = || hook.came.lock().unwrap().first().cloned();
    let (key, body, _) = wait_for("the alarm", came);
    println!("told after {:?}", sent.elapsed());
    assert!(sent.elapsed() < Duration::from_secs(20), "told after {:?}", sent.elapsed());
    assert!(key.starts_with("minute/facility/f/") && key.ends_with("#0"), "{key}");
    let alert = &body["alerts"][0];
    assert_eq!((&body["status"], &alert["labels"]["entity"]), (&"firing".into(), &"facility/f".into()), "{body}");
    assert_eq!((&alert["annotations"]["value"], &alert["annotations"]["limit"]), (&"6060".into(), &"6000".into()));
    assert!(daemon.stop().success());
}

/// `EMISSIOND_EPISODES` makes a campaign of it: kills at random while alarms come and go in the past, which late readings fill.
#[test]
fn every_episode_is_told_through_kills_and_failures() {
    let episodes: i64 = number("EMISSIOND_EPISODES", 12);
    let (broker, hook) = (Mosquitto::start(), Hook::start(50));
    let mut daemon = Daemon::new(&broker, &hook.config(MINUTE), &[]);
    daemon.start();
    let mut random = Rng::with_seed(3);
    let start = emissiond::clock::now().0 / 60_000 * 60_000 - (2 * episodes + 60) * 60_000;
    let quiet = (0..2 * episodes).step_by(2).map(|minute| event(start + minute * 60_000, 50));
    publish(&broker, 1e6, &quiet.collect::<Vec<_>>());
    let kills: BTreeSet<i64> = (0..episodes / 4 + 1).map(|_| random.i64(0..episodes)).collect();
    let mut expected = BTreeMap::new();
    for episode in 0..episodes {
        // Every second minute is over, once its other half has come.
        let minute = start + 2 * episode * 60_000;
        publish(&broker, 1e6, &[event(minute + 1_000, 60)]);
        let since = emissiond::quantity::Time(minute + 60_000);
        let id = format!("minute/facility/f/{since}");
        expected.insert(format!("{id}#0"), "firing");
        expected.insert(format!("{id}#1"), "resolved");
        if kills.contains(&episode) {
            let told = random.usize(0..=hook.taken().len());
            wait_for("some news", || (hook.taken().len() >= told).then_some(()));
            daemon.kill();
            daemon.start();
        }
    }
    let taken = || -> BTreeMap<String, String> { hook.taken().into_iter().collect() };
    let all = || expected.keys().all(|key| taken().contains_key(key));
    wait_for_long("all that was to be told", || all().then_some(()));
    let told = taken();
    let same: BTreeMap<String, &str> = told.iter().map(|(key, status)| (key.clone(), status.as_str())).collect();
    assert_eq!(same, expected, "nothing else is told");
    // The same key always tells the same.
    let came = hook.came.lock().unwrap();
    for (key, body, _) in came.iter() {
        assert_eq!(expected.get(key), body["status"].as_str().as_ref(), "{key}");
    }
    println!("{episodes} episodes, {} kills, {} messages for {} turns", kills.len(), came.len(), expected.len());
}
