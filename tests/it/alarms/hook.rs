//! Whoever is told of alarms, and meters that raise them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fastrand::Rng;
use serde_json::Value;

use crate::broker::Publication;
use crate::servers::free_port;

/// What came, with its key: `true` where it was taken.
pub type Came = Arc<Mutex<Vec<(String, Value, bool)>>>;

/// A server that is told of alarms, and fails so many times in a hundred.
pub struct Hook {
    pub port: u16,
    pub came: Came,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Told {
    came: Came,
    random: Arc<Mutex<Rng>>,
    fails_pct: u8,
}

impl Hook {
    pub fn start(fails_pct: u8) -> Hook {
        let (port, came) = (free_port(), Came::default());
        let told = Told { came: Arc::clone(&came), random: Arc::new(Mutex::new(Rng::with_seed(5))), fails_pct };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().route("/alarm", post(take)).with_state(told);
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Hook { port, came, _runtime: runtime }
    }

    pub fn config(&self, rules: &str) -> String {
        format!("{METERS}{rules}[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/alarm\"\n", self.port)
    }

    /// How many messages came.
    pub fn messages(&self) -> usize {
        self.came.lock().unwrap().len()
    }

    /// The alerts that were taken: key and status.
    pub fn taken(&self) -> Vec<(String, String)> {
        let came = self.came.lock().unwrap();
        came.iter().filter(|(.., taken)| *taken).flat_map(|(_, body, _)| alerts(body)).collect()
    }
}

/// Key and status of each alert in a message.
pub fn alerts(body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alert = |alert: &Value| (text(&alert["annotations"]["key"]), text(&alert["status"]));
    body["alerts"].as_array().unwrap().iter().map(alert).collect()
}

async fn take(State(told): State<Told>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let taken = told.random.lock().unwrap().u8(0..100) >= told.fails_pct;
    told.came.lock().unwrap().push((key, serde_json::from_slice(&body).unwrap(), taken));
    if taken { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// Two meters that say what the minute held that ends at their time.
pub const METERS: &str = r#"
[templates.minute]
facility = "f"
format = "json"
value = "/kg"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "1m"
unit = "kg"
category = "cems-co2"
[clusters.c]
timezone = "UTC"
[facilities.f]
cluster = "c"
[meters.m]
template = "minute"
topic = "plant/co2"
[meters.n]
template = "minute"
topic = "plant/more"
"#;

/// More than 100 kg in a minute.
pub const MINUTE: &str = r#"
[rules.minute]
kind = "limit"
select = { facility = "f" }
average = "1m"
align = "sliding"
limit = "6000 kg/h"
"#;

/// An overrun that began a while ago, as time is for what closes.
pub fn overrun() -> (i64, Vec<Publication>) {
    let at = emissiond::clock::now().0 - 20 * 60_000;
    (at, vec![minute("co2", at, 101), minute("more", at, 0)])
}

/// The minute after, in which nothing is over.
pub fn end_of(at: i64) -> Vec<Publication> {
    vec![minute("co2", at + 60_000, 1), minute("more", at + 60_000, 0)]
}

/// What the minute held that ended last before a time.
pub fn minute(topic: &str, at: i64, kg: i64) -> Publication {
    let end = at / 60_000 * 60_000;
    (format!("plant/{topic}"), format!("{{\"t\":{end},\"kg\":{kg}}}").into_bytes(), false)
}
