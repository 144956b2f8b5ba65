//! Reading beside the writer: entries for the API, and what changed for the sinks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use crate::cluster::{Entity, MeterIx, Topology};
use crate::ledger::Closed;
use crate::meter::{Held, NEAREST};
use crate::pipeline::Over;
use crate::quantity::{Quarter, Time, Window};
use crate::store::ledger::{read_entry, read_row};
use crate::store::lock::finished;
use crate::store::retention::read_day;
use crate::store::{Names, StoreError, identity, records, schema};
use crate::window::Activity;

/// A connection that only reads the ledger.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
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
        finished(state)?;
        let path = state.join("ledger.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(StoreError::database(&path))?;
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1000")
            .map_err(StoreError::database(&path))?;
        Ok(Reader { path, connection, names, topology })
    }

    /// Opens the ledger of a state directory beside whoever owns it. An id that stands for something else than what is
    /// stored under it is refused.
    pub fn beside(state: &Path, topology: Arc<Topology>) -> Result<Reader, StoreError> {
        let mut reader = Reader::open(state, Arc::default(), topology)?;
        identity::check(&reader.connection, &reader.topology, &reader.path)?;
        let names = Names::known(&reader.connection, &reader.topology);
        reader.names = Arc::new(names.map_err(StoreError::database(&reader.path))?);
        Ok(reader)
    }

    /// What is over at a time.
    pub fn over(&self, now: Time) -> Result<Over, StoreError> {
        Ok(Over { now, open_from: self.open_from()? })
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

    /// The start of the first quarter that is stored of an entity. `None`: nothing is.
    pub fn stored_from(&self, entity: Entity) -> Result<Option<Time>, StoreError> {
        let number = self.names.number(entity);
        let read = || -> rusqlite::Result<Option<Time>> {
            if let Entity::Meter(_) = entity {
                let sql = "SELECT min(first) FROM (SELECT min(start) AS first FROM quarter WHERE meter = ?1
                           UNION ALL SELECT min(start) FROM day WHERE meter = ?1)";
                let quarter =
                    self.connection.prepare_cached(sql)?.query_row([number], |row| row.get::<_, Option<i32>>(0));
                return Ok(quarter?.map(|quarter: i32| Quarter(quarter).start()));
            }
            let sql = "SELECT min(start) FROM entry WHERE entity = ?1 AND window = ?2";
            let parameters = (number, Window::Quarter as i64);
            let start = self.connection.prepare_cached(sql)?.query_row(parameters, |row| row.get::<_, Option<i64>>(0));
            Ok(start?.map(Time))
        };
        read().map_err(StoreError::database(&self.path))
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
        let mut activities = activities.ok_or_else(|| self.damaged("a quarter", Entity::Meter(meter)))?;
        self.adjustments()?.apply(meter, (from, to), &mut activities);
        Ok(activities.into_iter().map(|(quarter, (activity, revision))| (quarter, activity, revision)).collect())
    }

    /// When a meter was heard from the quarter of a time on, and in the last quarter before in which it was.
    pub fn heard(&self, meter: MeterIx, since: Time) -> Result<Vec<Time>, StoreError> {
        let columns = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter
                       WHERE meter = ?1 AND length(readings) > 2";
        let sql = format!(
            "{columns} AND start >= coalesce((SELECT max(start) FROM quarter
                 WHERE meter = ?1 AND length(readings) > 2 AND start < ?2), ?2) ORDER BY start"
        );
        let read = || -> rusqlite::Result<Option<Vec<Time>>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query((self.names.number(Entity::Meter(meter)), since.quarter().0))?;
            let mut times = Vec::new();
            while let Some(row) = rows.next()? {
                let Some(row) = read_row(&self.names, row) else {
                    return Ok(None);
                };
                times.extend(row.held.good().map(|(time, _)| time));
            }
            Ok(Some(times))
        };
        let times = read().map_err(StoreError::database(&self.path))?;
        times.ok_or_else(|| self.damaged("a quarter", Entity::Meter(meter)))
    }

    /// The stored quarters with readings of a meter in a range, and the nearest before and after: from those it goes on, and by
    /// those it is judged.
    pub fn readings_between(&self, meter: MeterIx, (from, to): (Quarter, Quarter)) -> Result<Vec<Held>, StoreError> {
        let before = self.held(meter, (i32::MIN, from.0), &format!("DESC LIMIT {NEAREST}"))?;
        let within = self.held(meter, (from.0, to.0), "")?;
        let after = self.held(meter, (to.0, i32::MAX), &format!("LIMIT {NEAREST}"))?;
        Ok(before.into_iter().rev().chain(within).chain(after).collect())
    }

    /// The stored quarters with readings of a meter in a range, in an order and up to a number.
    fn held(&self, meter: MeterIx, (from, to): (i32, i32), order: &str) -> Result<Vec<Held>, StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        let sql = format!(
            "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter
             WHERE meter = ?1 AND start >= ?2 AND start < ?3 AND length(readings) > 2 ORDER BY start {order}"
        );
        let read = || -> rusqlite::Result<Option<Vec<Held>>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query((number, from, to))?;
            let mut held = Some(Vec::new());
            while let Some(row) = rows.next()? {
                held = held.zip(read_row(&self.names, row)).map(|(list, row)| with(list, row.held));
            }
            Ok(held)
        };
        let held = read().map_err(StoreError::database(&self.path))?;
        held.ok_or_else(|| self.damaged("a quarter", Entity::Meter(meter)))
    }

    /// The first quarter that is not closed.
    pub fn open_from(&self) -> Result<Quarter, StoreError> {
        let read = schema::meta(&self.connection, "open_from").map_err(StoreError::database(&self.path))?;
        Ok(Quarter(read.and_then(|text| text.parse().ok()).unwrap_or(i32::MIN)))
    }

    /// A figure without it would be wrong, so there is none.
    pub(crate) fn damaged(&self, what: &str, entity: Entity) -> StoreError {
        let (level, id) = (entity.level().name(), self.topology.id(entity));
        StoreError::Damaged(format!("{}: {what} of {level}/{id}", self.path.display()))
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn meters(&self) -> impl Iterator<Item = MeterIx> {
        (0u32..).zip(&self.topology.meters).map(|(ix, _)| MeterIx(ix))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// What changed after `after` and up to `to`, in the order it was stored, at most `limit` records.
    pub fn changed(&self, after: i64, to: i64, limit: usize) -> Result<Changed, StoreError> {
        let cursor = after;
        let read = || -> rusqlite::Result<Option<Changed>> {
            // One snapshot for both tables, so that no change slips between.
            let snapshot = self.connection.unchecked_transaction()?;
            let of = |table: &str| {
                format!(
                    "SELECT changed FROM (SELECT changed FROM {table} WHERE changed > ?1 AND changed <= ?3 ORDER BY changed LIMIT ?2)"
                )
            };
            let both = format!(
                "SELECT max(changed) FROM (SELECT changed FROM ({} UNION ALL {} UNION ALL {}) ORDER BY changed LIMIT ?2)",
                of("entry"),
                of("quarter"),
                of("again")
            );
            let end: Option<i64> =
                snapshot.prepare_cached(&both)?.query_row((after, limit as i64, to), |row| row.get(0))?;
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
            let mut statement = snapshot.prepare_cached(
                "SELECT meter, start FROM quarter WHERE changed > ?1 AND changed <= ?2
                     UNION ALL SELECT meter, start FROM again WHERE changed > ?1 AND changed <= ?2",
            )?;
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

    /// How many records are stored after `after` and up to `to`.
    pub fn behind(&self, after: i64, to: i64) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM entry WHERE changed > ?1 AND changed <= ?2)
                        + (SELECT count(*) FROM quarter WHERE changed > ?1 AND changed <= ?2)
                        + (SELECT count(*) FROM again WHERE changed > ?1 AND changed <= ?2)";
        let count =
            self.connection.prepare_cached(sql).and_then(|mut s| s.query_row((after, to), |row| row.get::<_, i64>(0)));
        Ok(count.map_err(StoreError::database(&self.path))?.unsigned_abs())
    }

    /// Meters that are not in the plan and whose readings are still of use.
    pub fn undeclared(&self) -> Result<Vec<String>, StoreError> {
        identity::undeclared(&self.connection, &self.topology).map_err(StoreError::database(&self.path))
    }

    /// Looks at every record of the ledger, as of now; names what is damaged or missing.
    pub fn scrub(&self) -> Result<Vec<String>, StoreError> {
        let look = || records::scrub(&*self.connection.unchecked_transaction()?);
        look().map_err(StoreError::database(&self.path))
    }

    /// The number of the latest change, and the time of the seal that stored it.
    pub fn latest(&self) -> Result<(i64, Time), StoreError> {
        let number = |key: &str| -> rusqlite::Result<i64> {
            Ok(schema::meta(&self.connection, key)?.and_then(|text| text.parse().ok()).unwrap_or(0))
        };
        let read = || Ok((number("changed")?, Time(number("now")?)));
        read().map_err(StoreError::database(&self.path))
    }
}

fn with<T>(mut list: Vec<T>, item: T) -> Vec<T> {
    list.push(item);
    list
}
