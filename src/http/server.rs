//! Routes and answers.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Router;
use axum::extract::{FromRef, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::metrics::histogram::Histogram;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::http::{
    Ask, BrokerView, ConfigView, DatabaseView, DeskView, Look, MeterRow, NotifierView, Question, RuleView, alarms,
    entries, metrics, quarantine, status, trail,
};
use crate::pipeline::Rules;
use crate::quantity::Time;
use crate::store::{AlarmStore, Reader};

/// Refused messages in one answer.
const REFUSED_MAX: usize = 10_000;

/// No question is as long; each of a query's names would take a hundred bytes.
const QUERY_MAX: usize = 2_048;

/// What the server can see.
pub struct App {
    /// The way to the desk.
    pub ask: Ask,
    /// What is stored.
    pub reader: Mutex<Reader>,
    /// The alarms.
    pub alarms: Mutex<AlarmStore>,
    /// What decides figures.
    pub rules: Arc<Rules>,
    /// How each rule of alarms stands.
    pub standings: Look<Vec<RuleView>>,
    /// How each notifier gets through.
    pub notifiers: Look<Vec<NotifierView>>,
    /// The broker session.
    pub broker: Look<BrokerView>,
    /// The database writer, if there is one.
    pub database: Option<Look<DatabaseView>>,
    /// The configuration.
    pub config: Look<ConfigView>,
    /// How long block commits take, in seconds.
    pub commit_seconds: Histogram,
    /// Who may change something.
    pub guard: Guard,
    /// The clock.
    pub now: fn() -> Time,
}

/// What the server sees, which another configuration replaces.
#[derive(Clone)]
pub struct Shared(Arc<RwLock<Arc<App>>>);

impl Shared {
    /// Shares it.
    pub fn new(app: App) -> Shared {
        Shared(Arc::new(RwLock::new(Arc::new(app))))
    }

    /// From here on it is this.
    pub fn replace(&self, app: App) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(app);
    }
}

impl FromRef<Shared> for Arc<App> {
    fn from_ref(shared: &Shared) -> Arc<App> {
        Arc::clone(&shared.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    app: Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/api/v1/status", get(show_status))
        .route("/api/v1/entries", get(show_entries))
        .route("/api/v1/meters", get(show_meters))
        .route("/api/v1/refused", get(show_refused))
        .route("/api/v1/unmapped", get(show_unmapped))
        .route("/api/v1/quarantine", get(quarantine::show).post(quarantine::decide))
        .route("/api/v1/rules", get(alarms::show_rules))
        .route("/api/v1/alarms", get(alarms::show))
        .route("/api/v1/alarms/{*path}", post(alarms::change))
        .route("/api/v1/adjustments", post(trail::adjust))
        .route("/api/v1/restatements", post(trail::restate))
        .route("/api/v1/audit", get(trail::audit))
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_ready))
        .with_state(app);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// The parameters of a query, by name. An error says why not.
pub fn read_query(uri: &Uri) -> Result<HashMap<String, String>, String> {
    if uri.query().is_some_and(|query| query.len() > QUERY_MAX) {
        return Err(format!("the query is longer than {QUERY_MAX} bytes"));
    }
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|rejection| rejection.body_text())
}

/// The desk is gone: the process is about to end, or another configuration has just been taken.
pub(crate) fn stopping() -> Response {
    let text = "the daemon is stopping, or takes another configuration: ask again in a moment\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

pub(crate) fn json_lines(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/jsonl")], text).into_response()
}

pub(crate) fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Who may change something over HTTP.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Whoever shows this token.
    Token(String),
    /// Whoever is on this machine: the server listens nowhere else.
    Loopback,
    /// Nobody.
    Closed,
}

impl Guard {
    /// By the token of a file, or by where the server listens. An error names the file.
    pub fn of(address: SocketAddr, token_file: Option<&Path>) -> io::Result<Guard> {
        let Some(path) = token_file else {
            return Ok(if address.ip().is_loopback() { Guard::Loopback } else { Guard::Closed });
        };
        let read = std::fs::read_to_string(path);
        let text =
            read.map_err(|e| io::Error::new(e.kind(), format!("the HTTP token file {}: {e}", path.display())))?;
        match text.trim() {
            "" => Err(io::Error::other(format!("the HTTP token file {} is empty", path.display()))),
            token => Ok(Guard::Token(token.to_owned())),
        }
    }

    /// `Err`: what is missing.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let (allowed, code, help) = match self {
            Guard::Token(token) => {
                let shown = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
                let same = shown.is_some_and(|shown| is_same(shown.as_bytes(), token.as_bytes()));
                (same, StatusCode::UNAUTHORIZED, "send the token of daemon.token_file: Authorization: Bearer ...\n")
            }
            // A page of elsewhere whose name leads here is not of this machine.
            Guard::Loopback => {
                let here = text(header::HOST).is_some_and(is_this_machine);
                (here, StatusCode::FORBIDDEN, "ask for it by a loopback address, or set daemon.token_file\n")
            }
            Guard::Closed => {
                let help = "changes need a token where the server listens beyond this machine: set daemon.token_file\n";
                (false, StatusCode::FORBIDDEN, help)
            }
        };
        allowed.then_some(()).ok_or((code, help))
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.parse::<IpAddr>());
    address.is_ok_and(|ip| ip.is_loopback()) || host.split(':').next() == Some("localhost")
}

/// In a time that does not tell how much is right.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    shown.len() == token.len() && shown.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

impl App {
    pub(crate) async fn desk(&self) -> Option<DeskView> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(Question::Desk(reply));
        answer.await.ok()
    }

    async fn meters(&self) -> Option<Vec<MeterRow>> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(Question::Meters(reply));
        answer.await.ok()
    }
}

async fn show_status(State(app): State<Arc<App>>) -> Response {
    match app.desk().await {
        Some(desk) => json(status::status_json(&desk, &app)),
        None => stopping(),
    }
}

async fn show_entries(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let asked = match read_query(&uri).and_then(|query| entries::Asked::parse(&query, &app.rules)) {
        Ok(asked) => asked,
        Err(message) => return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
    let content_type = asked.content_type();
    match entries::answer(app, asked).await {
        Ok(text) => ([(header::CONTENT_TYPE, content_type)], text).into_response(),
        Err(Some(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(None) => stopping(),
    }
}

async fn show_meters(State(app): State<Arc<App>>) -> Response {
    match app.meters().await {
        Some(rows) => json(status::meters_json(&rows)),
        None => stopping(),
    }
}

async fn show_unmapped(State(app): State<Arc<App>>) -> Response {
    let (reply, answer) = oneshot::channel();
    (app.ask)(Question::Unmapped(reply));
    match answer.await {
        Ok((topics, others)) => json_lines(status::unmapped_json(&topics, others)),
        Err(_) => stopping(),
    }
}

async fn show_refused(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = match read_query(&uri) {
        Ok(query) => query,
        Err(message) => return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
    let limit = match query.get("limit").map(|text| text.parse::<usize>()) {
        None => 100,
        Some(Ok(limit)) if limit <= REFUSED_MAX => limit,
        Some(_) => {
            let message = format!("`limit` must be a number up to {REFUSED_MAX}\n");
            return (StatusCode::BAD_REQUEST, message).into_response();
        }
    };
    if let Err(message) = query.get("reason").map_or(Ok(()), |reason| status::is_reason(reason)) {
        return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response();
    }
    let read = move || {
        let reader = app.reader.lock().ok()?;
        Some(reader.refused(query.get("reason").map(String::as_str), limit))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Some(Ok(list))) => json_lines(status::refused_json(&list)),
        Ok(Some(Err(error))) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        _ => stopping(),
    }
}

async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    let Some(desk) = app.desk().await else {
        return stopping();
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics::render(&desk, &app)).into_response()
}

/// The desk answers only when the journal is replayed and the store is writable: it stops the process when it is not.
async fn show_ready(State(app): State<Arc<App>>) -> Response {
    match app.desk().await {
        Some(desk) if desk.held.is_some() => {
            (StatusCode::SERVICE_UNAVAILABLE, json(status::ready_json(desk.held, &app))).into_response()
        }
        Some(_) => json(status::ready_json(None, &app)),
        None => stopping(),
    }
}
