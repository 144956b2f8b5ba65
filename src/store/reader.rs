//! Reading beside the writer: entries for the API, and what changed for the sinks, with their confirmed cursors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::cluster::{Entity, MeterIx, Topology};
use crate::ledger::Closed;
use crate::quantity::{Quarter, Time, Window};
use crate::store::ledger::{read_entry, read_row};
use crate::store::retention::read_day;
use crate::store::{Names, StoreError};
use crate::window::Activity;

/// A connection that only reads the ledger.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
    cursors: Connection,
    names: Arc<Names>,
    topology: Arc<Topology>,
}

/// What a seal stored after a cursor.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Entries above the meters.
    pub entries: Vec<Closed>,
    /// Quarters of meters.
    pub quarters: Vec<(MeterIx, Quarter)>,
    /// The cursor after these.
    pub cursor: i64,
}

impl Reader {
    /// Opens the ledger of a state directory beside its writer.
    pub fn open(state: &Path, names: Arc<Names>, topology: Arc<Topology>) -> Result<Reader, StoreError> {
        let path = state.join("ledger.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(StoreError::database(&path))?;
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1000")
            .map_err(StoreError::database(&path))?;
        let cursors = open_cursors(&state.join("cursors.db"))?;
        Ok(Reader { path, connection, cursors, names, topology })
    }

    /// Stored entries of an entity that begin in `[from, to)`.
    pub fn entries(&self, entity: Entity, window: Window, (from, to): (Time, Time)) -> Result<Vec<Closed>, StoreError> {
        let sql = "SELECT entity, window, start, body, revision, changed, crc FROM entry
                   WHERE entity = ?1 AND window = ?2 AND start >= ?3 AND start < ?4 ORDER BY start";
        let parameters = (self.names.number(entity), window as i64, from.0, to.0);
        let read = || -> rusqlite::Result<Option<Vec<Closed>>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut entries = Some(Vec::new());
            while let Some(row) = rows.next()? {
                entries = entries.zip(read_entry(&self.names, row)).map(|(list, entry)| with(list, entry));
            }
            Ok(entries)
        };
        let entries = read().map_err(StoreError::database(&self.path))?;
        entries.ok_or_else(|| self.damaged(&format!("an entry {window}"), entity))
    }

    /// Stored activity of a meter in quarters that begin in `[from, to)`, with revisions.
    pub fn activities(
        &self,
        meter: MeterIx,
        (from, to): (Quarter, Quarter),
    ) -> Result<Vec<(Quarter, Activity, u32)>, StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        let read = || -> rusqlite::Result<Option<BTreeMap<Quarter, (Activity, u32)>>> {
            // One snapshot for both tables: a quarter may be packed between two.
            let snapshot = self.connection.unchecked_transaction()?;
            let days =
                "SELECT meter, start, body, crc FROM day WHERE meter = ?1 AND start > ?2 AND start < ?3 ORDER BY start";
            let mut statement = snapshot.prepare_cached(days)?;
            let mut rows = statement.query((number, from.0.saturating_sub(96), to.0))?;
            let mut activities = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let Some(day) = read_day(row) else {
                    return Ok(None);
                };
                let within = day.into_iter().filter(|(q, ..)| (from..to).contains(q));
                activities.extend(within.map(|(quarter, activity, revision)| (quarter, (activity, revision))));
            }
            let quarters = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter
                            WHERE meter = ?1 AND start >= ?2 AND start < ?3 ORDER BY start";
            let mut statement = snapshot.prepare_cached(quarters)?;
            let mut rows = statement.query((number, from.0, to.0))?;
            while let Some(row) = rows.next()? {
                let Some(row) = read_row(&self.names, row) else {
                    return Ok(None);
                };
                activities.insert(row.held.quarter, (row.activity, row.revision));
            }
            Ok(Some(activities))
        };
        let activities = read().map_err(StoreError::database(&self.path))?;
        let activities = activities.ok_or_else(|| self.damaged("a quarter", Entity::Meter(meter)))?;
        Ok(activities.into_iter().map(|(quarter, (activity, revision))| (quarter, activity, revision)).collect())
    }

    /// A figure without it would be wrong, so there is none.
    fn damaged(&self, what: &str, entity: Entity) -> StoreError {
        let (level, id) = (entity.level().name(), self.topology.id(entity));
        StoreError::Damaged(format!("{}: {what} of {level}/{id}", self.path.display()))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What changed after `cursor`, in the order it was stored, at most `limit` records.
    pub fn changed(&self, cursor: i64, limit: usize) -> Result<Changed, StoreError> {
        let read = || -> rusqlite::Result<Option<Changed>> {
            // One snapshot for both tables, so that no change slips between.
            let snapshot = self.connection.unchecked_transaction()?;
            let end: Option<i64> = snapshot
                .prepare_cached(
                    "SELECT max(changed) FROM (SELECT changed FROM (
                         SELECT changed FROM (SELECT changed FROM entry WHERE changed > ?1 ORDER BY changed LIMIT ?2)
                         UNION ALL
                         SELECT changed FROM (SELECT changed FROM quarter WHERE changed > ?1 ORDER BY changed LIMIT ?2))
                     ORDER BY changed LIMIT ?2)",
                )?
                .query_row((cursor, limit as i64), |row| row.get(0))?;
            let Some(end) = end else {
                return Ok(Some(Changed { cursor, ..Changed::default() }));
            };
            let mut changed = Changed { cursor: end, ..Changed::default() };
            let mut statement = snapshot.prepare_cached(
                "SELECT entity, window, start, body, revision, changed, crc FROM entry
                 WHERE changed > ?1 AND changed <= ?2 ORDER BY changed",
            )?;
            let mut rows = statement.query((cursor, end))?;
            while let Some(row) = rows.next()? {
                // Entries of entities that are no longer declared are nobody's.
                if self.names.entity(row.get(0)?).is_some() {
                    let Some(entry) = read_entry(&self.names, row) else {
                        return Ok(None);
                    };
                    changed.entries.push(entry);
                }
            }
            let mut statement =
                snapshot.prepare_cached("SELECT meter, start FROM quarter WHERE changed > ?1 AND changed <= ?2")?;
            let mut rows = statement.query((cursor, end))?;
            while let Some(row) = rows.next()? {
                if let Some(Entity::Meter(meter)) = self.names.entity(row.get(0)?) {
                    changed.quarters.push((meter, Quarter(row.get(1)?)));
                }
            }
            Ok(Some(changed))
        };
        let changed = read().map_err(StoreError::database(&self.path))?;
        changed.ok_or_else(|| StoreError::Damaged(format!("{}: an entry that changed", self.path.display())))
    }

    /// How many records are stored after `cursor`.
    pub fn behind(&self, cursor: i64) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM entry WHERE changed > ?1) + (SELECT count(*) FROM quarter WHERE changed > ?1)";
        let count =
            self.connection.prepare_cached(sql).and_then(|mut s| s.query_row([cursor], |row| row.get::<_, i64>(0)));
        Ok(count.map_err(StoreError::database(&self.path))?.unsigned_abs())
    }

    /// How far a sink has confirmed.
    pub fn cursor(&self, sink: &str) -> Result<i64, StoreError> {
        let sql = "SELECT position FROM cursor WHERE sink = ?1";
        let position = self.cursors.query_row(sql, [sink], |row| row.get(0)).optional();
        Ok(position.map_err(StoreError::database("cursors.db"))?.unwrap_or(0))
    }

    /// A sink has everything up to `cursor`.
    pub fn confirm(&self, sink: &str, cursor: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO cursor(sink, position) VALUES (?1, ?2) ON CONFLICT(sink) DO UPDATE SET position = ?2";
        self.cursors.execute(sql, (sink, cursor)).map_err(StoreError::database("cursors.db"))?;
        Ok(())
    }
}

fn with<T>(mut list: Vec<T>, item: T) -> Vec<T> {
    list.push(item);
    list
}

fn open_cursors(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -100;
             CREATE TABLE IF NOT EXISTS cursor(sink TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;",
        )?;
        Ok(connection)
    };
    open().map_err(StoreError::database(path))
}
