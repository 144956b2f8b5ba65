//! `/api/v1/entries`: stored entries and open ones as one list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cluster::{Entity, Level, MeterIx, Topology};
use crate::format::{csv_header, csv_row, entry_json, entry_line};
use crate::http::{App, OpenView, Quarters, Question};
use crate::ledger::{Entry, Key};
use crate::pipeline::{Amounts, Rules, meter_entries, quarters_of};
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
    pub fn parse(query: &HashMap<String, String>, rules: &Rules) -> Result<Asked, String> {
        let known = ["level", "entity", "window", "from", "to", "format"];
        if let Some(key) = query.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("unknown parameter `{key}`; allowed: {}", known.join(", ")));
        }
        let get = |key: &str| query.get(key).map(String::as_str);
        let level = get("level").unwrap_or("facility");
        let level = Level::parse(level)
            .ok_or_else(|| format!("`level` cannot be `{level}`; allowed: meter, facility, cluster, network"))?;
        let window = get("window").unwrap_or("1h");
        let window = Window::parse(window)
            .ok_or_else(|| format!("`window` cannot be `{window}`; allowed: 1m, 15m, 1h, 1d, 1mo, 1y"))?;
        let topology = &rules.topology;
        let entities = match get("entity") {
            Some(id) => vec![topology.find(level, id).ok_or_else(|| format!("there is no {} `{id}`", level.name()))?],
            None if level == Level::Meter => {
                (0u32..).zip(&topology.meters).map(|(i, _)| Entity::Meter(MeterIx(i))).collect()
            }
            None => topology.entities().into_iter().filter(|e| e.level() == level).collect(),
        };
        let time = |key: &str, default: Time| match get(key) {
            None => Ok(default),
            Some(text) => Time::parse_rfc3339(text)
                .ok_or_else(|| format!("`{key}` is no RFC 3339 time: `{text}`; write 2026-01-31T12:00:00Z")),
        };
        let form = match get("format").unwrap_or("json") {
            "json" => Form::Array,
            "jsonl" => Form::Lines,
            "csv" => Form::Csv,
            "line" => Form::Line,
            other => return Err(format!("`format` cannot be `{other}`; allowed: json, jsonl, csv, line")),
        };
        let (from, to) = (time("from", Time::MIN)?, time("to", Time::MAX)?);
        if from >= to {
            return Err(format!("`from` must be before `to`: {from} is not before {to}"));
        }
        Ok(Asked { entities, window, from, to, form })
    }

    /// The content type of the answer.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.form {
            Form::Array => "application/json",
            Form::Lines => "application/jsonl",
            Form::Csv => "text/csv",
            Form::Line => "text/plain",
        }
    }

    /// Writes entries in the form asked for.
    pub fn write(&self, entries: &[Entry], topology: &Topology) -> String {
        let mut text = String::new();
        match self.form {
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

/// The entries as text. `Err(None)`: the desk is gone.
pub(crate) async fn answer(app: Arc<App>, asked: Asked) -> Result<String, Option<StoreError>> {
    // First what is open, then what is stored: an entry that is sealed in between is seen twice, never not at all.
    let (reply, open) = oneshot::channel();
    (app.ask)(Question::Open(asked.entities.clone(), asked.window, reply));
    let open = open.await.map_err(|_| None)?;
    let read = move || {
        let reader = app.reader.lock().map_err(|_| None)?;
        let entries = collect(&app.rules, &reader, &asked, &open).map_err(Some)?;
        Ok(asked.write(&entries, &app.rules.topology))
    };
    // The session and the watchdog share the runtime, so reading waits elsewhere.
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(None))
}

/// Stored entries and open ones, as one list in order.
pub fn collect(rules: &Rules, reader: &Reader, asked: &Asked, open: &OpenView) -> Result<Vec<Entry>, StoreError> {
    let now = open.now.unwrap_or(Time::MAX);
    let within = |start: Time| asked.from <= start && start < asked.to;
    let mut all: BTreeMap<Key, Entry> = BTreeMap::new();
    let quarters: HashMap<Entity, &Quarters> =
        open.quarters.iter().map(|(entity, quarters)| (*entity, quarters)).collect();
    for entity in &asked.entities {
        if let Entity::Meter(ix) = entity {
            let entries = meter(rules, reader, asked, *ix, &quarters, now)?;
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
    now: Time,
) -> Result<Vec<Entry>, StoreError> {
    let range = quarters_of(rules, ix, asked.window, (asked.from.max(Time::MIN), asked.to.min(Time::MAX)));
    let load = |ix: MeterIx| -> Result<Vec<(Quarter, Activity, u32)>, StoreError> {
        let mut quarters = reader.activities(ix, range)?;
        // What is open is newer than what is stored.
        let fresh = open.get(&Entity::Meter(ix)).into_iter().flat_map(|quarters| quarters.iter());
        quarters.extend(fresh.filter(|(quarter, ..)| (range.0..range.1).contains(quarter)).cloned());
        Ok(quarters)
    };
    Ok(meter_entries(rules, ix, asked.window, &Amounts::collect(rules, ix, load)?, now))
}
