//! `/api/v1/readings`: every reading of a meter, with what became of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cluster::{Kind, Meter, MeterIx};
use crate::http::Unstored;
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::http::table::{Form, formed, part, with_next};
use crate::meter::{Logged, Quality, log, newest, thinned};
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Span, Time};
use crate::store::{Reader, StoreError};

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
    /// What is booked for it, in the same unit; of rates and properties `null`, and where an operator set the amount.
    pub used: Option<String>,
    /// That is of the time from here,
    pub from: Option<String>,
    /// to here.
    pub to: Option<String>,
    /// `measured`; `interpolated` over a gap; `adjusted`: an operator set the amount of the quarter-hour it ends in.
    pub timing: Option<&'static str>,
    /// How a register goes on: `rollover`, `reset`, `gap` or `held gap`; `null`: as usual.
    pub step: Option<&'static str>,
}

impl ReadingLine {
    pub(crate) fn of(meter: &Meter, Told { reading, is_adjusted }: &Told) -> ReadingLine {
        let usage = reading.usage;
        // A rate is an amount a time; what is booked for it has another unit.
        let has_amount = !matches!(meter.kind, Kind::Rate { .. }) && !is_adjusted;
        ReadingLine {
            time: reading.time.to_string(),
            received: reading.received.to_string(),
            value: meter.conversion.text(reading.value),
            unit: meter.unit.clone(),
            state: reading.standing.name(),
            used: usage.filter(|_| has_amount).map(|usage| meter.conversion.text(usage.amount)),
            from: usage.map(|usage| usage.from.to_string()),
            to: usage.map(|usage| usage.to.to_string()),
            timing: usage.map(|usage| match usage.quality {
                _ if *is_adjusted => "adjusted",
                Quality::Measured => "measured",
                Quality::Interpolated | Quality::Long => "interpolated",
            }),
            step: reading.breaks.map(|step| step.name()),
        }
    }
}

/// A reading, and whether its quarter's amount is another's.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub reading: Logged,
    pub is_adjusted: bool,
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
    /// About so many, for a chart: of each part of the time the first, the last, the least and the most, and all that are not as
    /// usual.
    #[param(minimum = 4, maximum = 100_000)]
    points: Option<usize>,
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
    if query.points.is_some_and(|points| !(4..=100_000).contains(&points)) {
        return Err(Problem::Bad("`points` must be a number from 4 to 100000".to_owned()));
    }
    let unstored = app.unstored(ix).await?;
    let (points, slice) = (query.points, (query.limit, query.offset));
    let rows = app.read(move |app, reader| {
        let mut told = told(&app.rules, reader, (ix, range), &unstored)?;
        if let Some(points) = points {
            told = thin(told, points);
        }
        let meter = app.rules.topology.meter(ix);
        Ok(part(told, slice)
            .map(|(told, next)| (told.iter().map(|t| ReadingLine::of(meter, t)).collect::<Vec<_>>(), next)))
    });
    let (rows, next) = rows.await??;
    Ok(with_next(formed(&rows, query.format.unwrap_or_default())?, next, &uri))
}

/// The latest readings of a meter, for its page.
pub(crate) async fn latest(app: Arc<App>, ix: MeterIx, range: (Time, Time)) -> Result<Vec<Told>, Problem> {
    let unstored = app.unstored(ix).await?;
    app.read_beside(move |app, reader| told(&app.rules, reader, (ix, range), &unstored)).await
}

/// The readings of a meter in `[from, to)`, stored and in memory.
fn told(
    rules: &Rules,
    reader: &Reader,
    (ix, (from, to)): (MeterIx, (Time, Time)),
    unstored: &Unstored,
) -> Result<Vec<Told>, StoreError> {
    let meter = rules.topology.meter(ix);
    let verdicts = reader.judgements()?.into_iter().filter(|judgement| judgement.meter == meter.id.as_str());
    let verdicts: Vec<_> = verdicts.map(|judgement| (judgement.time, judgement.verdict)).collect();
    let quarters = (from.quarter(), Quarter(to.minus(Span(1)).quarter().0 + 1));
    let held = newest(reader.readings_between(ix, quarters)?, unstored.held.clone(), quarters);
    // What a reading is booked for may end after it.
    let beyond = (quarters.0, Quarter(quarters.1.0 + QUARTERS_A_DAY));
    let mut activities = reader.activities(ix, beyond)?;
    activities.extend(unstored.of(ix).cloned());
    let adjusted: BTreeSet<Quarter> =
        activities.iter().filter(|(_, activity, _)| activity.is_adjusted()).map(|(quarter, ..)| *quarter).collect();
    let is_adjusted = |reading: &Logged| {
        reading.usage.is_some_and(|usage| adjusted.contains(&usage.to.minus(Span(1)).max(usage.from).quarter()))
    };
    let within = log(meter, held, &verdicts).into_iter().filter(|reading| from <= reading.time && reading.time < to);
    Ok(within.map(|reading| Told { is_adjusted: is_adjusted(&reading), reading }).collect())
}

const QUARTERS_A_DAY: i32 = 96;

fn thin(told: Vec<Told>, points: usize) -> Vec<Told> {
    let adjusted: BTreeSet<Time> = told.iter().filter(|told| told.is_adjusted).map(|told| told.reading.time).collect();
    let kept = thinned(told.into_iter().map(|told| told.reading).collect(), points);
    kept.into_iter().map(|reading| Told { is_adjusted: adjusted.contains(&reading.time), reading }).collect()
}
