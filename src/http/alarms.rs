//! `/api/v1/alarms`: what is over, what was, and who has seen it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alert::{Acknowledged, Alarm, Shelf};
use crate::http::App;
use crate::http::server::{json, read_query, stopping};
use crate::quantity::{Span, Time};
use crate::store::{AlarmStore, Noted, StoreError};

/// Alarms in one answer.
const ALARMS_MAX: usize = 10_000;
/// Nobody writes as much about one alarm.
const TEXT_MAX: usize = 1_000;

/// Somebody has seen an alarm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// What there is to say.
    #[serde(default)]
    pub note: String,
}

/// Somebody puts the alarms of a rule for an entity aside for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelving {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// For how long: `"2h"`, at most 12 hours.
    #[serde(rename = "for")]
    pub lasts: String,
}

/// Who is tired of an alarm today is not tomorrow.
const SHELF_MAX: Span = Span::minutes(12 * 60);

/// Alarms as a JSON array, one a line.
pub fn alarms_json(alarms: &[Alarm]) -> String {
    let line = |alarm: &Alarm| alarm_json(alarm).to_string();
    format!("[{}]\n", alarms.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

/// An alarm with how it stands in the words of ISA-18.2.
pub fn alarm_json(alarm: &Alarm) -> Value {
    let mut value = serde_json::to_value(alarm).unwrap_or_default();
    value["condition"] = alarm.condition().into();
    value
}

/// What may be asked for.
const PARAMETERS: [&str; 4] = ["state", "rule", "entity", "limit"];

/// With `state=active` those that go on; of a `rule` or an `entity`.
pub(crate) async fn show(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = match read_query(&uri) {
        Ok(query) => query,
        Err(message) => return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
    if let Some(unknown) = query.keys().find(|key| !PARAMETERS.contains(&key.as_str())) {
        return bad(&format!("`{unknown}` is no parameter; allowed: {}", PARAMETERS.join(", ")));
    }
    let limit = match query.get("limit").map(|text| text.parse::<usize>()) {
        None => 100,
        Some(Ok(limit)) if limit <= ALARMS_MAX => limit,
        Some(_) => return bad(&format!("`limit` must be a number up to {ALARMS_MAX}")),
    };
    let active = match query.get("state").map_or("all", String::as_str) {
        "active" => true,
        "all" => false,
        other => return bad(&format!("`state` cannot be `{other}`; allowed: active, all")),
    };
    let read = move || {
        let store = app.alarms.lock().ok()?;
        // What is filtered out does not count.
        let alarms = if active { store.active() } else { store.latest(ALARMS_MAX) };
        let is = |key: &str, value: &str| query.get(key).is_none_or(|wanted| wanted == value);
        let is_wanted = |alarm: &Alarm| is("rule", &alarm.rule) && is("entity", &alarm.entity);
        Some(alarms.map(|alarms| alarms.into_iter().filter(is_wanted).take(limit).collect::<Vec<_>>()))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Some(Ok(alarms))) => json(alarms_json(&alarms)),
        Ok(Some(Err(error))) => failed(&error),
        _ => stopping(),
    }
}

/// How each rule stands, one a line.
pub(crate) async fn show_rules(State(app): State<Arc<App>>) -> Response {
    let lines: Vec<String> = (app.standings)().iter().filter_map(|rule| serde_json::to_string(rule).ok()).collect();
    json(format!("[{}]\n", lines.join(",\n")))
}

/// `POST /api/v1/alarms/{id}/ack` and `/shelve`.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(refused) = app.guard.allows(&headers) {
        return refused.into_response();
    }
    let change = match Change::parse(&path, body, (app.now)()) {
        Ok(Some(change)) => change,
        Ok(None) => {
            let text = "there are /api/v1/alarms/{id}/ack and /api/v1/alarms/{id}/shelve\n";
            return (StatusCode::NOT_FOUND, text).into_response();
        }
        Err(message) => return bad(&message),
    };
    let write = move || {
        let store = app.alarms.lock().ok()?;
        Some(change.apply(&store))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(Some(Ok(Noted::Done))) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(Ok(Noted::Before(first)))) => {
            (StatusCode::CONFLICT, format!("{}\n", seen_before(&first))).into_response()
        }
        Ok(Some(Ok(Noted::Unknown))) => {
            (StatusCode::NOT_FOUND, "no alarm has this id; see /api/v1/alarms\n").into_response()
        }
        Ok(Some(Err(error))) => failed(&error),
        _ => stopping(),
    }
}

/// What somebody does about an alarm.
enum Change {
    Acknowledge(String, Acknowledged),
    Shelve(String, Shelf),
}

impl Change {
    /// `None`: nothing is known under this path. An error says what is missing.
    fn parse(path: &str, body: Value, now: Time) -> Result<Option<Change>, String> {
        let text = |error: serde_json::Error| error.to_string();
        if let Some(id) = path.strip_suffix("/ack") {
            let acknowledgement: Acknowledgement = serde_json::from_value(body).map_err(text)?;
            return Ok(Some(Change::Acknowledge(id.to_owned(), acknowledgement.checked(now)?)));
        }
        let Some(id) = path.strip_suffix("/shelve") else {
            return Ok(None);
        };
        let shelving: Shelving = serde_json::from_value(body).map_err(text)?;
        Ok(Some(Change::Shelve(id.to_owned(), shelving.checked(now)?)))
    }

    fn apply(&self, store: &AlarmStore) -> Result<Noted, StoreError> {
        match self {
            Change::Acknowledge(id, acknowledged) => store.acknowledge(id, acknowledged),
            Change::Shelve(id, shelf) => shelve(store, id, shelf),
        }
    }
}

/// Puts the line of an alarm aside.
pub fn shelve(store: &AlarmStore, id: &str, shelf: &Shelf) -> Result<Noted, StoreError> {
    let Some(alarm) = store.alarm(id)? else {
        return Ok(Noted::Unknown);
    };
    store.shelve((&alarm.rule, &alarm.entity), shelf)?;
    Ok(Noted::Done)
}

/// For whoever comes second.
pub fn seen_before(first: &Acknowledged) -> String {
    format!("{} has seen it before, at {}; that stays in the record", first.by, first.at)
}

impl Acknowledgement {
    /// An error says what is missing.
    pub fn checked(&self, now: Time) -> Result<Acknowledged, String> {
        let (by, note) = (who(&self.by)?, self.note.trim().to_owned());
        if note.len() > TEXT_MAX {
            return Err(format!("`note` holds at most {TEXT_MAX} bytes"));
        }
        Ok(Acknowledged { by, note, at: now.to_string() })
    }
}

impl Shelving {
    /// An error says what is missing.
    pub fn checked(&self, now: Time) -> Result<Shelf, String> {
        let (by, reason) = (who(&self.by)?, self.reason.trim().to_owned());
        if reason.is_empty() || reason.len() > TEXT_MAX {
            return Err(format!("`reason` says why, in at most {TEXT_MAX} bytes"));
        }
        let lasts = Span::parse(&self.lasts).filter(|lasts| lasts.0 > 0 && *lasts <= SHELF_MAX);
        let Some(lasts) = lasts else {
            return Err(format!("`for` is `{}`; write a time up to 12 hours, such as \"2h\"", self.lasts));
        };
        Ok(Shelf { by, reason, at: now.to_string(), until: now.plus(lasts).to_string() })
    }
}

fn who(by: &str) -> Result<String, String> {
    match by.trim() {
        "" => Err("`by` is empty: say who you are".to_owned()),
        by if by.len() > TEXT_MAX => Err(format!("`by` holds at most {TEXT_MAX} bytes")),
        by => Ok(by.to_owned()),
    }
}

fn bad(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response()
}

fn failed(error: &StoreError) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}
