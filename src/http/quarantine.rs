//! `/api/v1/quarantine`: the readings that are set aside, and what operators decide about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cluster::{Meter, MeterIx};
use crate::http::Question;
use crate::http::problem::{Asked, Body, Problem};
use crate::http::server::App;
use crate::http::table::{Form, formed, lines};
use crate::http::views::QuarantineLine;
use crate::meter::Verdict;
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time};
use crate::store::Judgement;

/// What is kept for ever is kept short.
pub(crate) const TEXT_MAX: usize = 1_000;

/// A request to decide about a reading.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The id of the meter.
    #[schema(min_length = 1)]
    pub meter: String,
    /// The time of its reading, RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// `release` or `reject`.
    #[schema(pattern = "^(release|reject)$")]
    pub verdict: String,
    /// Who decides.
    #[schema(min_length = 1, pattern = "\\S")]
    pub by: String,
    /// Why.
    #[schema(min_length = 1, pattern = "\\S")]
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
    lines(rows(rules, set_aside, judgements))
}

fn rows(rules: &Rules, set_aside: &[(MeterIx, Time, i64)], judgements: &[Judgement]) -> Vec<QuarantineLine> {
    let mut found = BTreeMap::new();
    for (ix, time, base) in set_aside {
        let meter = rules.topology.meter(*ix);
        // What came before the exchange of a meter was declared is its successor's by now.
        if *time < meter.valid_from || *time >= meter.valid_to {
            continue;
        }
        found.insert((meter.id.as_str(), *time), line(meter.id.as_str(), Some(meter), (*time, *base), "quarantined"));
    }
    for judgement in judgements {
        let state = match judgement.verdict {
            Verdict::Release => "released",
            Verdict::Reject => "rejected",
        };
        let meter = rules.topology.meters.iter().find(|meter| meter.id.as_str() == judgement.meter);
        let line = QuarantineLine {
            by: Some(judgement.by.clone()),
            reason: Some(judgement.reason.clone()),
            decided: Some(judgement.decided.to_string()),
            ..line(&judgement.meter, meter, (judgement.time, judgement.base), state)
        };
        found.insert((&judgement.meter, judgement.time), line);
    }
    found.into_values().collect()
}

/// A meter that is no longer declared has no unit.
fn line(id: &str, meter: Option<&Meter>, (time, base): (Time, i64), state: &'static str) -> QuarantineLine {
    QuarantineLine {
        meter: id.to_owned(),
        time: time.to_string(),
        value: meter.map(|meter| meter.conversion.text(base)),
        unit: meter.map(|meter| meter.unit.as_str().to_owned()),
        state,
        by: None,
        reason: None,
        decided: None,
    }
}

/// Of which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// From this quarter-hour on, RFC 3339.
    #[param(format = DateTime)]
    from: Option<String>,
    /// To this one, exclusive.
    #[param(format = DateTime)]
    to: Option<String>,
    /// How they are written.
    #[param(inline, default = "jsonl")]
    format: Option<Form>,
}

impl Query {
    fn range(&self) -> Result<(Quarter, Quarter), Problem> {
        let bound = |name: &str, text: &Option<String>, default: Quarter| match text.as_deref() {
            None => Ok(default),
            Some(text) => Time::parse_rfc3339(text)
                .map(Time::quarter)
                .ok_or_else(|| Problem::Bad(format!("`{name}` is `{text}`; write it like 2026-01-31T00:00:00Z"))),
        };
        Ok((bound("from", &self.from, Quarter(i32::MIN))?, bound("to", &self.to, Quarter(i32::MAX))?))
    }
}

/// The readings that are set aside, and what was decided about others.
#[utoipa::path(get, path = "/api/v1/quarantine", params(Query),
    responses((status = 200, content((QuarantineLine = "application/jsonl"), (Vec<QuarantineLine> = "application/json"),
        (String = "text/csv"))), (status = 400, body = String),
        (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(State(app): State<Arc<App>>, Asked(query): Asked<Query>) -> Result<Response, Problem> {
    let range = query.range()?;
    let open = app.question(Question::SetAside).await?;
    let found = app.read(move |app, reader| {
        let (mut list, judgements) = (reader.set_aside(range)?, reader.judgements()?);
        list.extend(open.into_iter().filter(|(_, time, _)| (range.0..range.1).contains(&time.quarter())));
        Ok(rows(&app.rules, &list, &judgements))
    });
    formed(&found.await?, query.format.unwrap_or(Form::Jsonl))
}

/// Decides about a reading that is set aside.
#[utoipa::path(post, path = "/api/v1/quarantine", request_body = Decision, security((), ("token" = [])),
    responses((status = 204), (status = 400, body = String), (status = 401, body = String), (status = 403, body = String),
        (status = 413, body = String), (status = 415, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(decision): Body<Decision>,
) -> Result<StatusCode, Problem> {
    app.guard.allows(&headers)?;
    let decided = app.question(|reply| Question::Decide(decision, reply)).await?;
    decided.map(|()| StatusCode::NO_CONTENT).map_err(Problem::Bad)
}
