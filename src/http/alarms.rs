//! `/api/v1/alarms`: what is over, what was, and who has seen it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::alert::{Acknowledged, Alarm};
use crate::http::App;
use crate::http::server::{json, read_query, stopping};
use crate::quantity::Time;
use crate::store::StoreError;

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

/// Alarms as a JSON array, one a line.
pub fn alarms_json(alarms: &[Alarm]) -> String {
    let lines: Vec<String> = alarms.iter().filter_map(|alarm| serde_json::to_string(alarm).ok()).collect();
    format!("[{}]\n", lines.join(",\n"))
}

/// With `state=active` those that go on.
pub(crate) async fn show(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = match read_query(&uri) {
        Ok(query) => query,
        Err(message) => return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
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
        Some(if active { store.active() } else { store.latest(limit) })
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Some(Ok(mut alarms))) => {
            alarms.truncate(limit);
            json(alarms_json(&alarms))
        }
        Ok(Some(Err(error))) => failed(&error),
        _ => stopping(),
    }
}

/// `POST /api/v1/alarms/{id}/ack`
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    Json(acknowledgement): Json<Acknowledgement>,
) -> Response {
    if let Err(refused) = app.guard.allows(&headers) {
        return refused.into_response();
    }
    let Some(id) = path.strip_suffix("/ack").map(str::to_owned) else {
        return (StatusCode::NOT_FOUND, "there is only /api/v1/alarms/{id}/ack\n").into_response();
    };
    let acknowledged = match acknowledgement.checked((app.now)()) {
        Ok(acknowledged) => acknowledged,
        Err(message) => return bad(message),
    };
    let write = move || {
        let store = app.alarms.lock().ok()?;
        Some(store.acknowledge(&id, &acknowledged))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(Some(Ok(true))) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(Ok(false))) => (StatusCode::NOT_FOUND, "no alarm has this id; see /api/v1/alarms\n").into_response(),
        Ok(Some(Err(error))) => failed(&error),
        _ => stopping(),
    }
}

impl Acknowledgement {
    /// An error says what is missing.
    pub fn checked(&self, now: Time) -> Result<Acknowledged, &'static str> {
        let (by, note) = (self.by.trim().to_owned(), self.note.trim().to_owned());
        if by.is_empty() {
            return Err("`by` is empty: say who has seen it");
        }
        if by.len() > TEXT_MAX || note.len() > TEXT_MAX {
            return Err("`by` and `note` hold at most 1000 bytes");
        }
        Ok(Acknowledged { by, note, at: now.to_string() })
    }
}

fn bad(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response()
}

fn failed(error: &StoreError) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}
