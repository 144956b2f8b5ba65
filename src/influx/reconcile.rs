//! Comparing the database with the ledger, point by point as they are encoded, and repairing what differs.
//!
//! A database loses: a restored backup, a dropped bucket, a write-ahead log that was not synced. Only closed windows are
//! compared; open ones are written again anyway.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::cluster::{Entity, Level, MeterIx};
use crate::influx::client::Bucket;
use crate::influx::lines::{Line, Lines};
use crate::influx::mark::stands;
use crate::influx::points::{self, Row};
use crate::influx::{Database, Options, WriteError};
use crate::ledger::{Entry, Key};
use crate::pipeline::{Amounts, Rules, meter_entries, quarters_of};
use crate::quantity::{Span, Time, Window};
use crate::store::{Lost, Reader, StoreError};

/// Points compared with one question.
const POINTS_A_QUESTION: i64 = 5_000;

/// What was found, in points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Compared.
    pub points: u64,
    /// Not in the database; written.
    pub missing: u64,
    /// With other values in the database; written over.
    pub different: u64,
    /// Better known to the database than to the ledger, whose state directory is an old copy or was damaged; left alone.
    pub newer: u64,
    /// In the database only, or under other tags; left alone.
    pub strays: u64,
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database.
    #[error("the database: {0}")]
    Database(String),
}

/// A comparison of one database with one ledger.
pub struct Reconciler {
    bucket: Bucket,
    lines: Lines,
    reader: Reader,
    now: Time,
    stand: Stand,
}

/// What of the database stands against the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nothing: all is written over.
    Nothing,
    /// Higher revisions, and what of a lost time is better known there.
    Better(Vec<Lost>),
}

impl Stand {
    fn holds(&self, end: Time, ours: u32, theirs: u32) -> bool {
        match self {
            Stand::Nothing => false,
            Stand::Better(lost) => stands(lost, end, ours, theirs),
        }
    }
}

/// What is compared with one question.
#[derive(Clone, Copy, Debug)]
struct Part {
    level: Level,
    window: Window,
    from: Time,
    to: Time,
}

impl Reconciler {
    /// An error: the token cannot be read, or the URL is none. Windows that close before `now()` are compared.
    pub fn new(
        options: Options,
        rules: Arc<Rules>,
        reader: Reader,
        stand: Stand,
        now: fn() -> Time,
    ) -> io::Result<Reconciler> {
        let bucket = Bucket::new(&options, now)?;
        Ok(Reconciler { bucket, lines: Lines { rules, options }, reader, now: now(), stand })
    }

    /// Compares windows that begin in `[from, to)` and repairs what differs. `progress` is told parts done and all.
    pub async fn run(
        &self,
        (from, to): (Time, Time),
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Report, ReconcileError> {
        let parts = self.parts(from, to.min(self.now));
        let mut report = Report::default();
        for (at, part) in parts.iter().enumerate() {
            progress(at, parts.len());
            self.compare(*part, &mut report).await?;
        }
        progress(parts.len(), parts.len());
        Ok(report)
    }

    /// Whether all windows that closed in a lost time begin in a range.
    pub fn covers(&self, (from, to): (Time, Time), lost: Lost) -> bool {
        let topology = &self.lines.rules.topology;
        let windows = Level::ALL.into_iter().flat_map(|level| {
            let entities = self.lines.entities(level).into_iter();
            entities.flat_map(move |entity| self.lines.windows(level).iter().map(move |window| (entity, *window)))
        });
        let first = windows.map(|(entity, window)| topology.zone(entity).start(window, lost.from)).min();
        from <= first.unwrap_or(lost.from) && to >= lost.to
    }

    fn parts(&self, from: Time, to: Time) -> Vec<Part> {
        let mut parts = Vec::new();
        for level in Level::ALL {
            let entities = self.lines.entities(level).len() as i64;
            if entities == 0 {
                continue;
            }
            for window in self.lines.windows(level) {
                let length = Span((POINTS_A_QUESTION / entities).max(1) * window.shortest().0);
                let mut start = from;
                while start < to {
                    let end = start.plus(length).min(to);
                    parts.push(Part { level, window: *window, from: start, to: end });
                    start = end;
                }
            }
        }
        parts
    }

    async fn compare(&self, part: Part, report: &mut Report) -> Result<(), ReconcileError> {
        let mut theirs = self.theirs(part).await?;
        let mut repair = BTreeMap::new();
        let topology = &self.lines.rules.topology;
        for (entry, line) in self.ours(part)? {
            report.points += 1;
            let key = entry.key;
            match theirs.remove(&(line.series().to_owned(), key.start)) {
                None => report.missing += 1,
                Some(row) if is_same(&line.text, &row) => continue,
                Some(row) => {
                    let end = topology.window_end(key.entity, key.window, key.start);
                    if self.stand.holds(end, entry.revision, points::revision(&row)) {
                        report.newer += 1;
                        continue;
                    }
                    report.different += 1;
                }
            }
            repair.insert(key, line.text);
        }
        // An open window has no revision yet.
        report.strays += theirs.values().filter(|row| points::revision(row) > 0).count() as u64;
        self.repair(part, repair).await
    }

    /// Writes lines, and writes again what a running daemon has restated meanwhile: it may have written that before us.
    async fn repair(&self, part: Part, mut lines: BTreeMap<Key, String>) -> Result<(), ReconcileError> {
        while !lines.is_empty() {
            let text: String = lines.values().map(String::as_str).collect();
            self.write(&text).await?;
            let now: BTreeMap<Key, String> = self.ours(part)?.into_iter().map(|(e, line)| (e.key, line.text)).collect();
            lines.retain(|key, text| match now.get(key) {
                Some(fresh) if fresh != text => {
                    text.clone_from(fresh);
                    true
                }
                _ => false,
            });
        }
        Ok(())
    }

    async fn write(&self, text: &str) -> Result<(), ReconcileError> {
        self.bucket.write(text).await.map_err(|error| match error {
            WriteError::Later { trouble, .. } | WriteError::Broken(trouble) | WriteError::Split(trouble) => {
                ReconcileError::Database(trouble)
            }
        })
    }

    fn ours(&self, part: Part) -> Result<Vec<(Entry, Line)>, StoreError> {
        let mut closed = Vec::new();
        for entity in self.lines.entities(part.level) {
            let entries = match entity {
                Entity::Meter(ix) => self.meter(ix, part)?,
                _ => {
                    let stored = self.reader.entries(entity, part.window, (part.from, part.to))?;
                    stored.iter().map(|entry| self.lines.closed(entry)).collect()
                }
            };
            closed.extend(entries.into_iter().filter(|entry| entry.revision > 0));
        }
        // Each has its line: ids need no escaping.
        Ok(closed.into_iter().filter_map(|entry| Some((entry.clone(), self.lines.encode(&[entry]).pop()?))).collect())
    }

    /// A window may begin before the part and its quarters lie in both.
    fn meter(&self, ix: MeterIx, part: Part) -> Result<Vec<Entry>, StoreError> {
        let rules = &self.lines.rules;
        let range = quarters_of(rules, ix, part.window, (part.from, part.to));
        let amounts = Amounts::collect(rules, ix, |ix| self.reader.activities(ix, range))?;
        let entries = meter_entries(rules, ix, part.window, &amounts, self.reader.over(self.now)?);
        Ok(entries.into_iter().filter(|entry| (part.from..part.to).contains(&entry.key.start)).collect())
    }

    async fn theirs(&self, part: Part) -> Result<BTreeMap<(String, Time), Row>, ReconcileError> {
        let Part { level, window, from, to } = part;
        let rows = points::of_entries(&self.bucket, &self.lines.options.bucket, (level, window), (from, to)).await;
        rows.map_err(|e| ReconcileError::Database(e.to_string()))
    }
}

/// Whether all fields of a line have these values.
fn is_same(line: &str, row: &Row) -> bool {
    let Some(fields) = line.split(' ').nth(1) else {
        return false;
    };
    let number = |text: &str| text.trim_end_matches('i').parse::<f64>().ok();
    fields.split(',').filter_map(|field| field.split_once('=')).all(|(name, value)| {
        let stored = row.get(name).and_then(|text| number(text));
        stored.is_some() && stored == number(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fields_of_a_line_must_be_stored() {
        let row = Row::from([("scope1_kg".to_owned(), "1.5".to_owned())]);
        assert!(is_same("emissions,level=facility scope1_kg=1.50 1", &row));
        assert!(!is_same("emissions,level=facility scope1_kg=1.6 1", &row));
        assert!(!is_same("emissions,level=facility scope1_kg=1.5,revision=1i 1", &row));
    }
}
