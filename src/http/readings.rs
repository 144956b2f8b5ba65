//! `/api/v1/readings`: every reading of a meter, with what became of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cluster::{Kind, Meter, MeterIx};
use crate::http::Question;
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::http::table::{Form, Page, table};
use crate::meter::{Logged, Quality, log, newest};
use crate::quantity::{Span, Time};

/// A reading, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadingLine {
    /// When the meter showed it.
    #[schema(format = DateTime)]
    pub time: String,
    /// When it came.
    #[schema(format = DateTime)]
    pub received: String,
    /// As the meter shows it, in its unit.
    pub value: String,
    pub unit: String,
    /// `good`, `quarantined`, `released` or `rejected`.
    pub state: &'static str,
    /// What is booked for it, in the same unit; of rates and properties `null`.
    pub used: Option<String>,
    /// That is of the time from here,
    pub from: Option<String>,
    /// to here.
    pub to: Option<String>,
    /// `measured`, or `interpolated` over a gap.
    pub timing: Option<&'static str>,
    /// How a register goes on: `rollover`, `reset`, `gap` or `held gap`; `null`: as usual.
    pub step: Option<&'static str>,
}

impl ReadingLine {
    pub(crate) fn of(meter: &Meter, reading: &Logged) -> ReadingLine {
        // A rate is an amount a time; what is booked for it has another unit.
        let usage = reading.usage.filter(|_| !matches!(meter.kind, Kind::Rate { .. }));
        ReadingLine {
            time: reading.time.to_string(),
            received: reading.received.to_string(),
            value: meter.conversion.text(reading.value),
            unit: meter.unit.clone(),
            state: reading.standing.name(),
            used: usage.map(|usage| meter.conversion.text(usage.amount)),
            from: reading.usage.map(|usage| usage.from.to_string()),
            to: reading.usage.map(|usage| usage.to.to_string()),
            timing: reading.usage.map(|usage| match usage.quality {
                Quality::Measured => "measured",
                Quality::Interpolated | Quality::Long => "interpolated",
            }),
            step: reading.breaks.map(|step| step.name()),
        }
    }
}

/// So long a time is answered at once.
const REACH_MAX: Span = Span::days(32);

/// Of which meter, and when.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// The id of the meter.
    meter: String,
    /// From here on, RFC 3339; else a day before `to`.
    #[param(format = DateTime)]
    from: Option<String>,
    /// To here, exclusive; else now. At most 32 days after `from`.
    #[param(format = DateTime)]
    to: Option<String>,
    /// At most so many rows; the header `Link` leads to the next.
    #[param(minimum = 1, maximum = 100_000, default = 100_000)]
    limit: Option<usize>,
    /// So many rows are left out first.
    #[param(minimum = 0, default = 0)]
    offset: Option<usize>,
    /// How they are written.
    #[param(inline, default = "json")]
    format: Option<Form>,
}

impl Query {
    fn range(&self, now: Time) -> Result<(Time, Time), String> {
        let read = |name: &str, text: &Option<String>, default: Time| match text {
            None => Ok(default),
            Some(text) => Time::parse_rfc3339(text)
                .ok_or_else(|| format!("`{name}` is `{text}`; write it like 2026-01-31T00:00:00Z")),
        };
        // What is stamped a moment ahead belongs to it.
        let to = read("to", &self.to, now.plus(Span::minutes(1)))?;
        let from = read("from", &self.from, to.minus(Span::days(1)))?;
        if from >= to {
            return Err(format!("`from` must be before `to`: {from} is not before {to}"));
        }
        if to.since(from) > REACH_MAX {
            return Err(format!("from {from} to {to} is longer than 32 days: ask for it in parts"));
        }
        Ok((from, to))
    }
}

/// The readings of a meter by time, as far back as they are kept: for `ledger.late_horizon`.
#[utoipa::path(get, path = "/api/v1/readings", params(Query),
    responses((status = 200, content((Vec<ReadingLine> = "application/json"), (ReadingLine = "application/jsonl"), (String = "text/csv"))),
        (status = 400, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Asked(query): Asked<Query>,
    uri: Uri,
) -> Result<Response, Problem> {
    let ix = app.rules.topology.find_meter(&query.meter);
    let ix = ix.ok_or_else(|| Problem::Bad(format!("no meter has the id `{}`", query.meter)))?;
    let range = query.range((app.now)()).map_err(Problem::Bad)?;
    let rules = Arc::clone(&app.rules);
    let meter = rules.topology.meter(ix);
    let readings = fetch(app, ix, range).await?;
    let page = Page { limit: query.limit, offset: query.offset, format: query.format };
    table(readings.iter().map(|reading| ReadingLine::of(meter, reading)), &page, &uri)
}

/// The readings of a meter in `[from, to)`, stored and in memory.
pub(crate) async fn fetch(app: Arc<App>, ix: MeterIx, (from, to): (Time, Time)) -> Result<Vec<Logged>, Problem> {
    let resident = app.question(|reply| Question::Readings(ix, reply)).await?;
    app.read_beside(move |app, reader| {
        let meter = app.rules.topology.meter(ix);
        let verdicts = reader.judgements()?.into_iter().filter(|judgement| judgement.meter == meter.id.as_str());
        let verdicts: Vec<_> = verdicts.map(|judgement| (judgement.time, judgement.verdict)).collect();
        // A reading is judged by a few after it.
        let last = to.plus(Span::minutes(30)).quarter();
        let stored = reader.readings_between(ix, (from.quarter(), last))?;
        let mut logged = log(meter, newest(stored, resident), &verdicts);
        logged.retain(|reading| from <= reading.time && reading.time < to);
        Ok(logged)
    })
    .await
}
