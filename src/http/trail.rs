//! `/api/v1/adjustments`, `/api/v1/restatements`, `/api/v1/audit`: corrections of amounts, working figures out again, and the
//! trail of both.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::cluster::{Entity, Kind};
use crate::http::Question;
use crate::http::quarantine::TEXT_MAX;
use crate::http::server::{App, json_lines, stopping};
use crate::pipeline::Rules;
use crate::quantity::{Amount, Ratio, Time, Zone};
use crate::store::Adjustment;

/// A request to set the amount of a meter in a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The id of the meter.
    pub meter: String,
    /// From this local day or RFC 3339 time,
    pub from: String,
    /// to this one, exclusive.
    pub to: String,
    /// The amount with its unit.
    pub value: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// A request to work closed figures out again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// From this day in UTC or RFC 3339 time,
    pub from: String,
    /// to this one, exclusive.
    pub to: String,
    /// Why.
    pub reason: String,
    /// Who.
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

pub(crate) async fn adjust(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(correction): Json<Correction>,
) -> Response {
    ask(&app, &headers, |reply| Question::Adjust(correction, reply)).await
}

pub(crate) async fn restate(State(app): State<Arc<App>>, headers: HeaderMap, Json(again): Json<Again>) -> Response {
    ask(&app, &headers, |reply| Question::Restate(again, reply)).await
}

type Reply = oneshot::Sender<Result<(), String>>;

/// A change shows the token; it is accepted when it is in the journal, and done in the background.
async fn ask(app: &Arc<App>, headers: &HeaderMap, question: impl FnOnce(Reply) -> Question) -> Response {
    if let Err(refused) = app.guard.allows(headers) {
        return refused.into_response();
    }
    let (reply, answer) = oneshot::channel();
    (app.ask)(question(reply));
    match answer.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(message)) => (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
        Err(_) => stopping(),
    }
}

pub(crate) async fn audit(State(app): State<Arc<App>>) -> Response {
    let read = move || {
        let reader = app.reader.lock().ok()?;
        Some(reader.audit())
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Some(Ok(lines))) => json_lines(lines.iter().map(|line| format!("{line}\n")).collect()),
        Ok(Some(Err(error))) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        _ => stopping(),
    }
}
