//! `/api/v1/entries`: stored entries and open ones as one list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::cluster::{Entity, Level, MeterIx, Topology};
use crate::format::{csv_header, csv_row, entry_json, entry_line};
use crate::http::problem::{Asked as Parameters, Problem};
use crate::http::server::App;
use crate::http::table::{part, with_next};
use crate::http::views::EntryView;
use crate::http::{OpenView, Quarters, Question};
use crate::ledger::{Entry, Key};
use crate::pipeline::{Amounts, Over, Rules, meter_entries, quarters_of};
use crate::quantity::{Quarter, Time, Window};
use crate::store::{Reader, StoreError};
use crate::window::Activity;

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Array,
    Lines,
    Csv,
    Line,
}

/// Which entries.
#[derive(Clone, Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntriesQuery {
    /// `meter`, `facility`, `cluster` or `network`.
    #[param(default = "facility", pattern = "^(meter|facility|cluster|network)$")]
    pub level: Option<String>,
    /// One id of the level. Without it all of the level are meant.
    pub entity: Option<String>,
    /// `1m`, `15m`, `1h`, `1d`, `1mo` or `1y`.
    #[param(default = "1h", pattern = "^(1m|15m|1h|1d|1mo|1y)$")]
    pub window: Option<String>,
    /// Windows that begin at this time or later, RFC 3339.
    #[param(format = DateTime)]
    pub from: Option<String>,
    /// Windows that begin before this time.
    #[param(format = DateTime)]
    pub to: Option<String>,
    /// `json`, `jsonl`, `csv` or `line`.
    #[param(default = "json", pattern = "^(json|jsonl|csv|line)$")]
    pub format: Option<String>,
    /// At most so many; the header `Link` leads to the next. Without it: all.
    #[param(minimum = 1, maximum = 100_000)]
    pub limit: Option<usize>,
    /// So many are left out first.
    #[param(minimum = 0, default = 0)]
    pub offset: Option<usize>,
}

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// Whose entries.
    pub entities: Vec<Entity>,
    /// Of which window.
    pub window: Window,
    from: Time,
    to: Time,
    form: Form,
}

impl Asked {
    /// The entries of some entities that begin in `[from, to)`.
    pub fn of(entities: Vec<Entity>, window: Window, (from, to): (Time, Time)) -> Asked {
        Asked { entities, window, from, to, form: Form::Lines }
    }

    /// Without `entity` all of the level are meant; without `from` and `to`, all of time. An error says what is allowed.
    pub fn parse(query: &EntriesQuery, rules: &Rules) -> Result<Asked, String> {
        let level = query.level.as_deref().unwrap_or("facility");
        let level = Level::parse(level)
            .ok_or_else(|| format!("`level` cannot be `{level}`; allowed: meter, facility, cluster, network"))?;
        let window = query.window.as_deref().unwrap_or("1h");
        let window = Window::parse(window)
            .ok_or_else(|| format!("`window` cannot be `{window}`; allowed: 1m, 15m, 1h, 1d, 1mo, 1y"))?;
        let topology = &rules.topology;
        let entities = match query.entity.as_deref() {
            Some(id) => vec![topology.find(level, id).ok_or_else(|| format!("there is no {} `{id}`", level.name()))?],
            None if level == Level::Meter => {
                (0u32..).zip(&topology.meters).map(|(i, _)| Entity::Meter(MeterIx(i))).collect()
            }
            None => topology.entities().into_iter().filter(|e| e.level() == level).collect(),
        };
        let time = |key: &str, written: &Option<String>, default: Time| match written.as_deref() {
            None => Ok(default),
            Some(text) => Time::parse_rfc3339(text)
                .ok_or_else(|| format!("`{key}` is no RFC 3339 time: `{text}`; write 2026-01-31T12:00:00Z")),
        };
        let form = match query.format.as_deref().unwrap_or("json") {
            "json" => Form::Array,
            "jsonl" => Form::Lines,
            "csv" => Form::Csv,
            "line" => Form::Line,
            other => return Err(format!("`format` cannot be `{other}`; allowed: json, jsonl, csv, line")),
        };
        let (from, to) = (time("from", &query.from, Time::MIN)?, time("to", &query.to, Time::MAX)?);
        if from >= to {
            return Err(format!("`from` must be before `to`: {from} is not before {to}"));
        }
        Ok(Asked { entities, window, from, to, form })
    }

    /// Writes entries in the form asked for.
    pub fn write(&self, entries: &[Entry], topology: &Topology) -> String {
        self.form.write(entries, topology)
    }
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Form::Array => "application/json",
            Form::Lines => "application/jsonl",
            Form::Csv => "text/csv",
            Form::Line => "text/plain",
        }
    }

    fn write(self, entries: &[Entry], topology: &Topology) -> String {
        let mut text = String::new();
        match self {
            Form::Array => {
                let lines: Vec<String> = entries.iter().map(|entry| entry_json(entry, topology)).collect();
                text = format!("[{}]\n", lines.join(",\n"));
            }
            Form::Lines => {
                entries.iter().for_each(|entry| text.push_str(&format!("{}\n", entry_json(entry, topology))))
            }
            Form::Csv => {
                text.push_str(&format!("{}\n", csv_header()));
                entries.iter().for_each(|entry| text.push_str(&format!("{}\n", csv_row(entry, topology))));
            }
            Form::Line => {
                for entry in entries {
                    if let Err(error) = entry_line(entry, topology, &mut text) {
                        tracing::error!(%error, "an entry is left out");
                    }
                }
            }
        }
        text
    }
}

/// Entries: stored ones and open ones, by entity and time.
#[utoipa::path(get, path = "/api/v1/entries", params(EntriesQuery),
    responses((status = 200, content((Vec<EntryView> = "application/json"), (EntryView = "application/jsonl"),
        (String = "text/csv"), (String = "text/plain"))), (status = 400, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<EntriesQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let asked = Asked::parse(&query, &app.rules).map_err(Problem::Bad)?;
    let (rules, form) = (Arc::clone(&app.rules), asked.form);
    let entries = fetch(app, asked).await?;
    let is_whole = query.limit.is_none() && query.offset.is_none();
    let (entries, next) = if is_whole { (entries, None) } else { part(entries, (query.limit, query.offset))? };
    let text = form.write(&entries, &rules.topology);
    Ok(with_next(([(header::CONTENT_TYPE, form.content_type())], text).into_response(), next, &uri))
}

/// The same, for whoever asks within.
pub(crate) async fn fetch(app: Arc<App>, asked: Asked) -> Result<Vec<Entry>, Problem> {
    // First what is open, then what is stored: an entry that is sealed in between is seen twice, never not at all.
    let open = app.question(|reply| Question::Open(asked.entities.clone(), asked.window, reply)).await?;
    app.read(move |app, reader| collect(&app.rules, reader, &asked, &open)).await
}

/// The same for the page, whose reader waits for nobody's long question.
pub(crate) async fn fetch_beside(app: Arc<App>, asked: Asked) -> Result<Vec<Entry>, Problem> {
    let open = app.question(|reply| Question::Open(asked.entities.clone(), asked.window, reply)).await?;
    app.read_beside(move |app, reader| collect(&app.rules, reader, &asked, &open)).await
}

/// Stored entries and open ones, as one list in order.
pub fn collect(rules: &Rules, reader: &Reader, asked: &Asked, open: &OpenView) -> Result<Vec<Entry>, StoreError> {
    let over = reader.over(open.now.unwrap_or(Time::MAX))?;
    let within = |start: Time| asked.from <= start && start < asked.to;
    let mut all: BTreeMap<Key, Entry> = BTreeMap::new();
    let quarters: HashMap<Entity, &Quarters> =
        open.quarters.iter().map(|(entity, quarters)| (*entity, quarters)).collect();
    for entity in &asked.entities {
        if let Entity::Meter(ix) = entity {
            let entries = meter(rules, reader, asked, *ix, &quarters, over)?;
            all.extend(entries.into_iter().map(|entry| (entry.key, entry)));
            continue;
        }
        for closed in reader.entries(*entity, asked.window, (asked.from, asked.to))? {
            let entry = Entry::new(closed.key, closed.balance.own, closed.revision, &rules.topology, Time::MAX);
            all.insert(entry.key, entry);
        }
    }
    for entry in open.entries.iter().filter(|entry| asked.entities.contains(&entry.key.entity)) {
        // What was sealed since has a higher revision; else what is in memory is newer.
        if all.get(&entry.key).is_none_or(|stored| stored.revision <= entry.revision) {
            all.insert(entry.key, entry.clone());
        }
    }
    Ok(all.into_values().filter(|entry| within(entry.key.start) && !entry.tally.is_empty()).collect())
}

/// A window is worked out from all its quarters, so the range is widened to whole windows.
fn meter(
    rules: &Rules,
    reader: &Reader,
    asked: &Asked,
    ix: MeterIx,
    open: &HashMap<Entity, &Quarters>,
    over: Over,
) -> Result<Vec<Entry>, StoreError> {
    let range = quarters_of(rules, ix, asked.window, (asked.from.max(Time::MIN), asked.to.min(Time::MAX)));
    let load = |ix: MeterIx| -> Result<Vec<(Quarter, Activity, u32)>, StoreError> {
        let mut quarters = reader.activities(ix, range)?;
        // What is open is newer than what is stored.
        let fresh = open.get(&Entity::Meter(ix)).into_iter().flat_map(|quarters| quarters.iter());
        quarters.extend(fresh.filter(|(quarter, ..)| (range.0..range.1).contains(quarter)).cloned());
        Ok(quarters)
    };
    Ok(meter_entries(rules, ix, asked.window, &Amounts::collect(rules, ix, load)?, over))
}
