//! `/api/v1/factors`: the factors that meters are booked with now, each with its source.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cluster::MeterIx;
use crate::factor::Row;
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::http::table::{Form, Page, table};
use crate::pipeline::rows_in_force;
use crate::quantity::Time;

/// A factor that a meter is booked with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FactorLine {
    pub meter: String,
    /// The id of the row.
    pub id: String,
    /// The rows of a set are the gases of one factor.
    pub set: String,
    pub name: String,
    pub gas: String,
    /// As its source prints it.
    pub value: String,
    pub unit: String,
    /// `LHV` or `HHV`, of what is multiplied by energy.
    pub basis: Option<&'static str>,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    pub region: String,
    pub source: String,
}

impl FactorLine {
    fn of(meter: &str, row: &Row) -> FactorLine {
        FactorLine {
            meter: meter.to_owned(),
            id: row.id.clone(),
            set: row.set.clone(),
            name: row.name.clone(),
            gas: row.gas.name().to_owned(),
            value: row.value.clone(),
            unit: row.unit.clone(),
            basis: row.basis.map(|basis| basis.name()),
            valid_from: row.valid_from.clone(),
            valid_to: row.valid_to.clone(),
            region: row.region.clone(),
            source: row.source.clone(),
        }
    }

    /// From when to when it is valid.
    pub(crate) fn valid(&self) -> String {
        let day = |day: &Option<String>| day.clone().unwrap_or_default();
        format!("{} to {}", day(&self.valid_from), day(&self.valid_to))
    }
}

/// Of which meter, and when.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only of this meter.
    meter: Option<String>,
    /// In force at this time, RFC 3339; else now.
    #[param(format = DateTime)]
    at: Option<String>,
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

/// The factors that meters are booked with, by meter: rows of the catalogue. What is worked out in another way has none.
#[utoipa::path(get, path = "/api/v1/factors", params(Query),
    responses((status = 200, content((Vec<FactorLine> = "application/json"), (FactorLine = "application/jsonl"), (String = "text/csv"))), (status = 400, body = String)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Asked(query): Asked<Query>,
    uri: Uri,
) -> Result<Response, Problem> {
    let wrong = |text: &String| Problem::Bad(format!("`at` is `{text}`; write it like 2026-01-31T12:00:00Z"));
    let at = match &query.at {
        None => (app.now)(),
        Some(text) => Time::parse_rfc3339(text).ok_or_else(|| wrong(text))?,
    };
    let topology = &app.rules.topology;
    let missing = |id: &String| Problem::Bad(format!("no meter has the id `{id}`"));
    let meters: Vec<MeterIx> = match &query.meter {
        Some(id) => vec![topology.find_meter(id).ok_or_else(|| missing(id))?],
        None => (0u32..).map(MeterIx).take(topology.meters.len()).collect(),
    };
    let page = Page { limit: query.limit, offset: query.offset, format: query.format };
    table(lines(&app, &meters, at), &page, &uri)
}

/// The factors in force of some meters.
pub(crate) fn lines(app: &App, meters: &[MeterIx], at: Time) -> Vec<FactorLine> {
    let known: HashMap<&str, &Row> = app.catalogue.rows().map(|row| (row.id.as_str(), row)).collect();
    let of = |ix: &MeterIx| {
        let rows = rows_in_force(&app.rules, *ix, at).into_iter().filter_map(|id| known.get(id));
        let meter = app.rules.topology.meter(*ix).id.as_str();
        rows.map(|row| FactorLine::of(meter, row)).collect::<Vec<_>>()
    };
    meters.iter().flat_map(of).collect()
}

/// So many sets are named.
const NAMED: usize = 4;

/// The factors behind the figures of some meters, in a few words: which, and of when.
pub(crate) fn vintage(app: &App, meters: &[MeterIx], at: Time) -> String {
    let ids: BTreeSet<&str> = meters.iter().flat_map(|ix| rows_in_force(&app.rules, *ix, at)).collect();
    let rows = ids.into_iter().filter_map(|id| app.catalogue.row(id));
    let sets: BTreeSet<(&str, &str)> =
        rows.map(|row| (row.set.as_str(), row.valid_from.as_deref().unwrap_or("always"))).collect();
    let mut named: Vec<String> = sets.iter().take(NAMED).map(|(set, from)| format!("{set} from {from}")).collect();
    if sets.len() > NAMED {
        named.push(format!("and {} more", sets.len() - NAMED));
    }
    if named.is_empty() { "no factor".to_owned() } else { named.join(", ") }
}
