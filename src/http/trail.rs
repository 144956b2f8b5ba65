//! `/api/v1/adjustments`, `/api/v1/restatements`, `/api/v1/audit`: corrections of amounts, working figures out again, and the
//! trail of both.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use crate::cluster::{Entity, Kind};
use crate::http::Question;
use crate::http::problem::{Asked as Parameters, Body, Problem};
use crate::http::quarantine::TEXT_MAX;
use crate::http::server::App;
use crate::http::table::{Form, Written, formed, json};
use crate::pipeline::Rules;
use crate::quantity::{Amount, Ratio, Time, Zone};
use crate::store::Adjustment;

/// A request to set the amount of a meter in a time.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The id of the meter.
    #[schema(min_length = 1)]
    pub meter: String,
    /// From this local day or RFC 3339 time,
    pub from: String,
    /// to this one, exclusive.
    pub to: String,
    /// The amount with its unit.
    pub value: String,
    /// Why.
    #[schema(min_length = 1, pattern = "\\S")]
    pub reason: String,
    /// Who.
    #[schema(min_length = 1, pattern = "\\S")]
    pub by: String,
}

/// A request to work closed figures out again.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// From this day in UTC or RFC 3339 time,
    pub from: String,
    /// to this one, exclusive.
    pub to: String,
    /// Why.
    #[schema(min_length = 1, pattern = "\\S")]
    pub reason: String,
    /// Who.
    #[schema(min_length = 1, pattern = "\\S")]
    pub by: String,
}

impl Correction {
    /// Checks what was asked. `now` is when it was.
    pub fn adjustment(self, rules: &Rules, now: Time) -> Result<Adjustment, String> {
        let Some(ix) = rules.topology.find_meter(&self.meter) else {
            return Err(format!("no meter has the id `{}`", self.meter));
        };
        let meter = rules.topology.meter(ix);
        signed(&self.by, &self.reason)?;
        let (from, to) = range((&self.from, &self.to), rules.topology.zone(Entity::Meter(ix)))?;
        if to > now {
            return Err(format!("`to` is {to}, which is yet to come: only what is over can be corrected"));
        }
        if meter.kind == Kind::Derived {
            let message = "is a sum of meters and has no amount of its own: correct the meters it is a sum of";
            return Err(format!("meter `{}` {message}", self.meter));
        }
        if !meter.dimension.is_amount() {
            return Err(format!("meter `{}` shows a property: correct it in the configuration, by date", self.meter));
        }
        let amount = Amount::parse(&self.value).map_err(|problem| format!("`value`: {problem}"))?;
        let ratio = amount.unit.dimension.convert(meter.dimension).filter(|_| amount.unit.per.is_none());
        let Some(ratio) = ratio else {
            return Err(format!(
                "`value` is `{}`; write an amount as the meter measures it, such as \"12 {}\"",
                self.value, meter.unit
            ));
        };
        let base = Ratio::from_decimal(amount.value)
            .and_then(|value| value.times(amount.unit.base)?.times(ratio)?.of(1))
            .and_then(|base| i64::try_from(base).ok());
        if base.is_some_and(|base| base < 0) {
            return Err(format!("`value` is `{}`: an amount is not below nought", self.value));
        }
        let base = base.ok_or_else(|| format!("`value` is `{}`, more than any meter can show", self.value))?;
        let Correction { meter, value, reason, by, .. } = self;
        Ok(Adjustment { meter, from: from.quarter(), to: to.quarter(), base, text: value, by, reason, decided: now })
    }
}

impl Again {
    /// The time that was asked for.
    pub fn range(&self) -> Result<(Time, Time), String> {
        signed(&self.by, &self.reason)?;
        range((&self.from, &self.to), &Zone::UTC)
    }
}

/// An auditor will ask who and why.
fn signed(by: &str, reason: &str) -> Result<(), String> {
    for (name, text) in [("by", by), ("reason", reason)] {
        if text.trim().is_empty() {
            return Err(format!("`{name}` is empty; an auditor will ask"));
        }
        if text.len() > TEXT_MAX {
            return Err(format!("`{name}` is longer than {TEXT_MAX} bytes"));
        }
    }
    Ok(())
}

/// Days of the zone, or times; at the edges of quarter-hours.
fn range((from, to): (&str, &str), zone: &Zone) -> Result<(Time, Time), String> {
    let read = |name: &str, text: &str| {
        let day = zone.day_of_text(text).map(|(start, _)| start);
        let time = day.or_else(|| Time::parse_rfc3339(text));
        let time = time
            .ok_or_else(|| format!("`{name}` is `{text}`; write a day, 2026-01-31, or a time, 2026-01-31T12:00:00Z"))?;
        if time.quarter().start() == time {
            Ok(time)
        } else {
            Err(format!("`{name}` is `{text}`, within a quarter-hour: figures are kept by quarter-hours"))
        }
    };
    let (from, to) = (read("from", from)?, read("to", to)?);
    if from < to { Ok((from, to)) } else { Err(format!("`from` must be before `to`: {from} is not before {to}")) }
}

/// Which quarter-hour of which meter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Explained {
    /// The id of the meter.
    meter: String,
    /// A time in the quarter-hour, RFC 3339.
    #[param(format = DateTime)]
    at: String,
    /// For programs, or for people; for programs without it.
    format: Option<Telling>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Telling {
    Json,
    Text,
}

/// Why a meter is booked as it is in a quarter-hour: from the payload to the milligram.
#[utoipa::path(get, path = "/api/v1/explain", params(Explained),
    responses((status = 200, content((Object = "application/json"), (String = "text/plain"))),
        (status = 400, body = String), (status = 404, body = String),
        (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Parameters(asked): Parameters<Explained>,
) -> Result<Response, Problem> {
    let ix = app.rules.topology.find_meter(&asked.meter);
    let ix = ix.ok_or_else(|| Problem::Missing(format!("no meter has the id `{}`", asked.meter)))?;
    let wrong = || Problem::Bad(format!("`at` is no time: `{}`; write 2026-01-31T12:00:00Z", asked.at));
    let quarter = Time::parse_rfc3339(&asked.at).ok_or_else(wrong)?.quarter();
    let is_text = asked.format == Some(Telling::Text);
    let found = app.explained((ix, quarter), !is_text).await?;
    let found = found.ok_or_else(|| Problem::Missing("nothing is booked in that quarter-hour".to_owned()))?;
    Ok(if is_text { found.into_response() } else { json(found) })
}

/// Sets the amount of a meter in a time.
#[utoipa::path(post, path = "/api/v1/adjustments", request_body = Correction, security((), ("token" = [])),
    responses((status = 204), (status = 400, body = String), (status = 401, body = String), (status = 403, body = String),
        (status = 413, body = String), (status = 415, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn adjust(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(correction): Body<Correction>,
) -> Result<StatusCode, Problem> {
    accepted(&app, &headers, |reply| Question::Adjust(correction, reply)).await
}

/// Works closed figures out again.
#[utoipa::path(post, path = "/api/v1/restatements", request_body = Again, security((), ("token" = [])),
    responses((status = 204), (status = 400, body = String), (status = 401, body = String), (status = 403, body = String),
        (status = 413, body = String), (status = 415, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn restate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(again): Body<Again>,
) -> Result<StatusCode, Problem> {
    accepted(&app, &headers, |reply| Question::Restate(again, reply)).await
}

type Reply = oneshot::Sender<Result<(), String>>;

/// A change shows the token; it is accepted when it is in the journal, and done in the background.
async fn accepted(
    app: &App,
    headers: &HeaderMap,
    question: impl FnOnce(Reply) -> Question,
) -> Result<StatusCode, Problem> {
    app.guard.allows(headers)?;
    app.question(question).await?.map(|()| StatusCode::NO_CONTENT).map_err(Problem::Bad)
}

/// What changed closed figures on purpose.
#[utoipa::path(get, path = "/api/v1/audit", params(Written),
    responses((status = 200, content((Object = "application/jsonl"), (Vec<Object> = "application/json"), (String = "text/csv"))),
        (status = 400, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    Parameters(written): Parameters<Written>,
) -> Result<Response, Problem> {
    let lines = app.read(|_, reader| reader.audit()).await?;
    let form = written.format.unwrap_or(Form::Jsonl);
    if form == Form::Jsonl {
        // As they were written.
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        return Ok(([(header::CONTENT_TYPE, "application/jsonl")], text).into_response());
    }
    let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    formed(&lines, form)
}
