//! `/api/v1/refused`: what was received and not booked.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::decode::Refusal;
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::http::table::{Form, formed, lines};
use crate::http::views::RefusedLine;
use crate::pipeline::Outcome;
use crate::store::Refused;

/// Messages in one answer.
const REFUSED_MAX: usize = 10_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only this reason, such as `late` or `conflict`.
    reason: Option<String>,
    /// At most so many.
    #[param(maximum = 10_000, default = 100)]
    limit: Option<usize>,
    /// How they are written.
    #[param(inline, default = "jsonl")]
    format: Option<Form>,
}

/// What was received and not booked, the latest first.
#[utoipa::path(get, path = "/api/v1/refused", params(Query),
    responses((status = 200, content((RefusedLine = "application/jsonl"), (Vec<RefusedLine> = "application/json"), (String = "text/csv"))), (status = 400, body = String),
        (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(State(app): State<Arc<App>>, Asked(query): Asked<Query>) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(100);
    if limit > REFUSED_MAX {
        return Err(Problem::Bad(format!("`limit` must be a number up to {REFUSED_MAX}")));
    }
    query.reason.as_deref().map_or(Ok(()), is_reason).map_err(Problem::Bad)?;
    let form = query.format.unwrap_or(Form::Jsonl);
    let list = app.read(move |_, reader| reader.refused(query.reason.as_deref(), limit)).await?;
    formed(&list.iter().map(line).collect::<Vec<_>>(), form)
}

/// Whether messages are kept for this reason. An error says which reasons there are.
pub fn is_reason(text: &str) -> Result<(), String> {
    if Outcome::reasons().any(|reason| reason == text) {
        return Ok(());
    }
    Err(format!("`reason` cannot be `{text}`; allowed: {}", Outcome::reasons().collect::<Vec<_>>().join(", ")))
}

/// One object a line.
pub fn refused_json(list: &[Refused]) -> String {
    lines(list.iter().map(line))
}

fn line(refused: &Refused) -> RefusedLine {
    RefusedLine {
        received: refused.received.to_string(),
        reason: refused.reason.to_string(),
        why: why(&refused.reason),
        meter: refused.meter.clone(),
        topic: refused.topic.clone(),
        payload: String::from_utf8_lossy(&refused.payload).into_owned(),
    }
}

/// What a reason means. A ledger of a later version may know more.
fn why(reason: &str) -> Option<&'static str> {
    let known = Refusal::ALL.into_iter().find(|known| known.name() == reason).map(Refusal::about);
    known.or_else(|| (reason == Outcome::Late.name()).then_some("its time is older than `ledger.late_horizon` allows"))
}
