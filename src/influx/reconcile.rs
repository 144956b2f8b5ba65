//! Comparing the database with the ledger, point by point as they are encoded, and repairing what differs.
//!
//! A database loses: a restored backup, a dropped bucket, a write-ahead log that was not synced. Only closed windows are
//! compared; open ones are written again anyway.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::cluster::{Entity, Level, MeterIx};
use crate::influx::Options;
use crate::influx::client::{Bucket, WriteError};
use crate::influx::lines::{Line, Lines};
use crate::ledger::Entry;
use crate::pipeline::{Rules, meter_entries};
use crate::quantity::{Quarter, Span, Time, Window};
use crate::store::{Reader, StoreError};

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
    /// Of a higher revision in the database than in the ledger; left alone. The state directory is an old one.
    pub newer: u64,
    /// In the database only; left alone.
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
}

/// What is compared with one question.
#[derive(Clone, Copy, Debug)]
struct Part {
    level: Level,
    window: Window,
    from: Time,
    to: Time,
}

/// A point of the database, by the names of its columns.
type Row = BTreeMap<String, String>;

impl Reconciler {
    /// An error: the token cannot be read, or the URL is none. Windows that close before `now()` are compared.
    pub fn new(options: Options, rules: Arc<Rules>, reader: Reader, now: fn() -> Time) -> io::Result<Reconciler> {
        let bucket = Bucket::new(&options, now)?;
        Ok(Reconciler { bucket, lines: Lines { rules, options }, reader, now: now() })
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

    fn parts(&self, from: Time, to: Time) -> Vec<Part> {
        let mut parts = Vec::new();
        for level in Level::ALL {
            let entities = self.entities(level).len() as i64;
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

    fn entities(&self, level: Level) -> Vec<Entity> {
        let topology = &self.lines.rules.topology;
        let meters = (0u32..).zip(&topology.meters).map(|(ix, _)| Entity::Meter(MeterIx(ix)));
        meters.chain(topology.entities()).filter(|entity| entity.level() == level).collect()
    }

    async fn compare(&self, part: Part, report: &mut Report) -> Result<(), ReconcileError> {
        let mut theirs = self.theirs(part).await?;
        let mut repair = Vec::new();
        for (entry, line) in self.ours(part)? {
            report.points += 1;
            let key = (self.lines.rules.topology.id(entry.key.entity).to_string(), entry.key.start.0);
            let Some(row) = theirs.remove(&key) else {
                report.missing += 1;
                repair.push(line);
                continue;
            };
            let revision = row.get("revision").and_then(|text| text.parse().ok()).unwrap_or(0);
            if entry.revision < revision {
                report.newer += 1;
            } else if !is_same(&line.text, &row) {
                report.different += 1;
                repair.push(line);
            }
        }
        // An open window has no revision yet.
        report.strays +=
            theirs.values().filter(|row| row.get("revision").is_some_and(|text| text != "0")).count() as u64;
        let text: String = repair.iter().map(|line| line.text.as_str()).collect();
        if text.is_empty() { Ok(()) } else { self.write(&text).await }
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
        for entity in self.entities(part.level) {
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
        let zone = self.lines.rules.topology.zone(Entity::Meter(ix));
        let (from, to) = (zone.start(part.window, part.from), zone.end(part.window, part.to));
        let quarters = self.reader.activities(ix, (from.quarter(), Quarter(to.quarter().0 + 1)))?;
        let entries = meter_entries(&self.lines.rules, ix, part.window, quarters.into_iter(), self.now);
        Ok(entries.into_iter().filter(|entry| (part.from..part.to).contains(&entry.key.start)).collect())
    }

    /// By id and start. Of several with one key, which differ in their other tags, all but one are strays.
    async fn theirs(&self, part: Part) -> Result<BTreeMap<(String, i64), Row>, ReconcileError> {
        let Part { level, window, from, to } = part;
        let question = format!(
            "from(bucket: \"{}\") |> range(start: {from}, stop: {to}) |> filter(fn: (r) => r._measurement == \"emissions\" \
             and r.level == \"{}\" and r.window == \"{window}\") |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], \
             valueColumn: \"_value\") |> group()",
            self.lines.options.bucket.replace(['"', '\\'], ""),
            level.name()
        );
        let text = self.bucket.query(&question).await.map_err(ReconcileError::Database)?;
        let rows = rows(&text).map_err(|e| ReconcileError::Database(format!("its answer is no CSV: {e}")))?;
        let key = |row: &Row| Some((row.get(level.name())?.clone(), Time::parse_rfc3339(row.get("_time")?)?.0));
        Ok(rows.into_iter().filter_map(|row| Some((key(&row)?, row))).collect())
    }
}

/// The rows of an annotated CSV answer: tables follow each other, each after an empty line and with its own header.
fn rows(text: &str) -> Result<Vec<Row>, csv::Error> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).comment(Some(b'#')).from_reader(text.as_bytes());
    let mut header: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        // The name of the third column tells a header from a row, in which it is a number.
        if record.get(2) == Some("table") {
            header = record.iter().map(str::to_owned).collect();
            continue;
        }
        rows.push(header.iter().cloned().zip(record.iter().map(str::to_owned)).collect());
    }
    Ok(rows)
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
    fn an_annotated_answer_is_read_table_by_table() {
        let text = "#datatype,string,long,dateTime:RFC3339,string,double\r\n,result,table,_time,facility,scope1_kg\r\n\
                    ,_result,0,2026-01-01T00:00:00Z,works,1.5\r\n\r\n,result,table,_time,revision\r\n,_result,1,2026-01-02T00:00:00Z,2\r\n";
        let rows = rows(text).unwrap();
        assert_eq!((rows.len(), rows[0]["scope1_kg"].as_str(), rows[1]["revision"].as_str()), (2, "1.5", "2"));
        assert!(is_same("emissions,level=facility scope1_kg=1.50 1", &rows[0]));
        assert!(!is_same("emissions,level=facility scope1_kg=1.6 1", &rows[0]));
        assert!(!is_same("emissions,level=facility scope1_kg=1.5,revision=1i 1", &rows[0]));
    }
}
