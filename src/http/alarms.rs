//! `/api/v1/alarms`: what is over, what was, and who has seen it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::alert::{Acknowledged, Alarm, Shelf};
use crate::http::problem::{Asked, Body, Problem};
use crate::http::server::App;
use crate::http::table::{Form, Page, array, table};
use crate::http::views::RuleView;
use crate::quantity::{Span, Time};
use crate::store::{AlarmStore, AlarmsOf, Noted, StoreError};

/// Alarms in one answer.
const ALARMS_MAX: usize = 10_000;
/// Nobody writes as much about one alarm.
const TEXT_MAX: usize = 1_000;

/// Somebody has seen an alarm.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Who.
    #[schema(min_length = 1, pattern = "\\S")]
    pub by: String,
    /// What there is to say.
    #[serde(default)]
    pub note: String,
}

/// Somebody puts the alarms of a rule for an entity aside for a while.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Shelving {
    /// Who.
    #[schema(min_length = 1, pattern = "\\S")]
    pub by: String,
    /// Why.
    #[schema(min_length = 1, pattern = "\\S")]
    pub reason: String,
    /// For how long: `"2h"`, at most 12 hours; `"0s"` ends it.
    #[schema(pattern = "^[0-9]+(s|m|h)$")]
    #[serde(rename = "for")]
    pub lasts: String,
}

/// Who is tired of an alarm today is not tomorrow.
const SHELF_MAX: Span = Span::minutes(12 * 60);

/// An alarm, with how it stands in the words of ISA-18.2.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlarmView {
    /// All that is known of it.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// `active-unacknowledged`, `active-acknowledged`, `returned-unacknowledged`, `normal`, `shelved`, `suppressed`,
    /// `out-of-service` or `withdrawn`.
    pub condition: &'static str,
}

impl AlarmView {
    /// Of an alarm.
    pub fn of(alarm: Alarm) -> AlarmView {
        AlarmView { condition: alarm.condition(), alarm }
    }
}

/// Alarms as a JSON array, one a line.
pub fn alarms_json(alarms: Vec<Alarm>) -> String {
    array(alarms.into_iter().map(AlarmView::of))
}

/// Which alarms.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Those that go on, or all.
    #[param(inline, default = "all")]
    state: Option<Which>,
    /// Of this rule.
    rule: Option<String>,
    /// Of this entity, such as `facility/steelworks`.
    entity: Option<String>,
    /// That began before this, RFC 3339: beyond the latest 10,000 it is the way on.
    #[param(format = DateTime)]
    before: Option<String>,
    /// At most so many; the header `Link` leads to the next.
    #[param(minimum = 1, maximum = 10_000, default = 100)]
    limit: Option<usize>,
    /// So many are left out first.
    #[param(minimum = 0, default = 0)]
    offset: Option<usize>,
    /// How they are written.
    #[param(inline, default = "json")]
    format: Option<Form>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Which {
    Active,
    #[default]
    All,
}

/// Alarms, the latest first.
#[utoipa::path(get, path = "/api/v1/alarms", params(Query),
    responses((status = 200, content((Vec<AlarmView> = "application/json"), (AlarmView = "application/jsonl"), (String = "text/csv"))), (status = 400, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Asked(query): Asked<Query>,
    uri: Uri,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=ALARMS_MAX).contains(&limit) {
        return Err(Problem::Bad(format!("`limit` must be a number from 1 to {ALARMS_MAX}")));
    }
    let page = Page { limit: Some(limit), offset: query.offset, format: query.format };
    let before = match &query.before {
        None => None,
        Some(text) => Some(
            Time::parse_rfc3339(text)
                .ok_or_else(|| Problem::Bad(format!("`before` is `{text}`; write it like 2026-01-31T12:00:00Z")))?,
        ),
    };
    if let Some(entity) = query.entity.as_ref().filter(|entity| !entity.contains(['/', ':'])) {
        return Err(Problem::Bad(format!(
            "`entity` is `{entity}`; write it with its level, such as `facility/{entity}`"
        )));
    }
    let of = AlarmsOf { rule: query.rule, entity: query.entity, before };
    let is_active = query.state.unwrap_or_default() == Which::Active;
    let read = move |store: &AlarmStore| if is_active { store.active_of(&of) } else { store.latest(&of, ALARMS_MAX) };
    let alarms = app.alarms(read).await?;
    table(alarms.into_iter().map(AlarmView::of), &page, &uri)
}

/// How each rule stands for each of what it watches.
#[utoipa::path(get, path = "/api/v1/rules", params(Page),
    responses((status = 200, content((Vec<RuleView> = "application/json"), (RuleView = "application/jsonl"), (String = "text/csv"))), (status = 400, body = String)))]
pub(crate) async fn show_rules(
    State(app): State<Arc<App>>,
    Asked(page): Asked<Page>,
    uri: Uri,
) -> Result<Response, Problem> {
    table((app.standings)(), &page, &uri)
}

/// `POST /api/v1/alarms/{id}/ack` and `/shelve`; the id may hold slashes.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Result<StatusCode, Problem> {
    app.guard.allows(&headers)?;
    let now = (app.now)();
    let noted = if let Some(id) = path.strip_suffix("/ack") {
        acknowledge(app, id.to_owned(), read::<Acknowledgement>(body)?.checked(now)).await?
    } else if let Some(id) = path.strip_suffix("/shelve") {
        put_aside(app, id.to_owned(), read::<Shelving>(body)?.checked(now)).await?
    } else {
        let there_are = "there are /api/v1/alarms/{id}/ack and /api/v1/alarms/{id}/shelve";
        return Err(Problem::Missing(there_are.to_owned()));
    };
    match noted {
        Noted::Done => Ok(StatusCode::NO_CONTENT),
        Noted::Before(first) => Err(Problem::Taken(seen_before(&first))),
        Noted::Unknown => Err(Problem::Missing("no alarm has this id; see /api/v1/alarms".to_owned())),
    }
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Problem> {
    serde_json::from_value(body).map_err(|error| Problem::Bad(error.to_string()))
}

/// Somebody has seen an alarm.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/ack", params(("id" = String, Path, description = "The alarm's id")),
    request_body = Acknowledgement, security((), ("token" = [])),
    responses((status = 204), (status = 400, body = String), (status = 401, body = String), (status = 403, body = String),
        (status = 404, body = String), (status = 409, body = String), (status = 413, body = String),
        (status = 415, body = String), (status = 500, body = String), (status = 503, body = String)))]
async fn acknowledge(app: Arc<App>, id: String, acknowledged: Result<Acknowledged, String>) -> Result<Noted, Problem> {
    let acknowledged = acknowledged.map_err(Problem::Bad)?;
    app.alarms(move |store| store.acknowledge(&id, &acknowledged)).await
}

/// Puts the alarms of its rule and entity aside for a while: nobody is told of them.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/shelve", params(("id" = String, Path, description = "The alarm's id")),
    request_body = Shelving, security((), ("token" = [])),
    responses((status = 204), (status = 400, body = String), (status = 401, body = String), (status = 403, body = String),
        (status = 404, body = String), (status = 413, body = String), (status = 415, body = String),
        (status = 500, body = String), (status = 503, body = String)))]
async fn put_aside(app: Arc<App>, id: String, shelf: Result<Shelf, String>) -> Result<Noted, Problem> {
    let shelf = shelf.map_err(Problem::Bad)?;
    app.alarms(move |store| shelve(store, &id, &shelf)).await
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
        let lasts = Span::parse(&self.lasts).filter(|lasts| *lasts <= SHELF_MAX);
        let Some(lasts) = lasts else {
            return Err(format!(
                "`for` is `{}`; write a time up to 12 hours, such as \"2h\", or \"0s\" to end it",
                self.lasts
            ));
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
