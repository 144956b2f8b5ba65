//! `/api/v1/quarantine`: the readings that are set aside, and what operators decide about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;

use crate::cluster::{Meter, MeterIx};
use crate::http::Question;
use crate::http::server::{App, json_lines, read_query, stopping};
use crate::meter::Verdict;
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time};
use crate::store::Judgement;

/// What is kept for ever is kept short.
pub(crate) const TEXT_MAX: usize = 1_000;

/// A request to decide about a reading.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The id of the meter.
    pub meter: String,
    /// The time of its reading, RFC 3339.
    pub time: String,
    /// `release` or `reject`.
    pub verdict: String,
    /// Who decides.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// Checks what was asked. `decided` is now; the value is for the books to fill in.
    pub fn judgement(self, decided: Time) -> Result<Judgement, String> {
        let Some(time) = Time::parse_rfc3339(&self.time) else {
            return Err(format!("`time` is `{}`; write it like 2026-01-31T12:00:00Z, as `list` shows it", self.time));
        };
        let Some(verdict) = Verdict::parse(&self.verdict) else {
            return Err(format!("`verdict` is `{}`; write release or reject", self.verdict));
        };
        for (name, text) in [("by", &self.by), ("reason", &self.reason)] {
            if text.trim().is_empty() {
                return Err(format!("`{name}` is empty; an auditor will ask"));
            }
            if text.len() > TEXT_MAX {
                return Err(format!("`{name}` is longer than {TEXT_MAX} bytes"));
            }
        }
        let Decision { meter, by, reason, .. } = self;
        Ok(Judgement { meter, time, base: 0, verdict, by, reason, decided })
    }
}

/// Why nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// No such meter is declared.
    UnknownMeter,
    /// There is no reading of that time, or it is older than a late reading may be.
    NoReading,
    /// The meter is not declared valid at that time.
    NotValid,
}

impl Undecided {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Undecided::UnknownMeter => "no meter has this id; `emissiond quarantine list` shows what waits",
            Undecided::NotValid => "the meter is declared for another time: see its valid_from and valid_to",
            Undecided::NoReading => {
                "the meter has no reading at exactly this time that is younger than ledger.late_horizon"
            }
        }
    }
}

/// One object a line: what waits for a decision, and what was decided, by meter and time.
pub fn quarantine_json(rules: &Rules, set_aside: &[(MeterIx, Time, i64)], judgements: &[Judgement]) -> String {
    let mut lines = BTreeMap::new();
    for (ix, time, base) in set_aside {
        let meter = rules.topology.meter(*ix);
        // What came before the exchange of a meter was declared is its successor's by now.
        if *time < meter.valid_from || *time >= meter.valid_to {
            continue;
        }
        lines.insert((meter.id.as_str(), *time), line(meter.id.as_str(), Some(meter), (*time, *base), "quarantined"));
    }
    for judgement in judgements {
        let state = match judgement.verdict {
            Verdict::Release => "released",
            Verdict::Reject => "rejected",
        };
        let meter = rules.topology.meters.iter().find(|meter| meter.id.as_str() == judgement.meter);
        let mut line = line(&judgement.meter, meter, (judgement.time, judgement.base), state);
        line["by"] = judgement.by.as_str().into();
        line["reason"] = judgement.reason.as_str().into();
        line["decided"] = judgement.decided.to_string().into();
        lines.insert((&judgement.meter, judgement.time), line);
    }
    lines.values().map(|line| format!("{line}\n")).collect()
}

/// A meter that is no longer declared has no unit.
fn line(id: &str, meter: Option<&Meter>, (time, base): (Time, i64), state: &str) -> serde_json::Value {
    let value = meter.map(|meter| meter.conversion.text(base));
    let unit = meter.map(|meter| meter.unit.as_str());
    json!({ "meter": id, "time": time.to_string(), "value": value, "unit": unit, "state": state })
}

pub(crate) async fn show(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = match read_query(&uri) {
        Ok(query) => query,
        Err(message) => return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
    let bound = |key: &str, default: Quarter| match query.get(key).map(|text| (text, Time::parse_rfc3339(text))) {
        None => Ok(default),
        Some((_, Some(time))) => Ok(time.quarter()),
        Some((text, None)) => Err(format!("`{key}` is `{text}`; write it like 2026-01-31T00:00:00Z\n")),
    };
    let range = bound("from", Quarter(i32::MIN)).and_then(|from| Ok((from, bound("to", Quarter(i32::MAX))?)));
    let range = match range {
        Ok(range) => range,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let (reply, answer) = oneshot::channel();
    (app.ask)(Question::SetAside(reply));
    let Ok(open) = answer.await else {
        return stopping();
    };
    let read = move || {
        let reader = app.reader.lock().ok()?;
        let stored = reader.set_aside(range).and_then(|list| Ok((list, reader.judgements()?)));
        Some(stored.map(|(mut list, judgements)| {
            list.extend(open.into_iter().filter(|(_, time, _)| (range.0..range.1).contains(&time.quarter())));
            quarantine_json(&app.rules, &list, &judgements)
        }))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Some(Ok(text))) => json_lines(text),
        Ok(Some(Err(error))) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        _ => stopping(),
    }
}

pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(decision): Json<Decision>,
) -> Response {
    if let Err(refused) = app.guard.allows(&headers) {
        return refused.into_response();
    }
    let (reply, answer) = oneshot::channel();
    (app.ask)(Question::Decide(decision, reply));
    match answer.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(message)) => (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
        Err(_) => stopping(),
    }
}
