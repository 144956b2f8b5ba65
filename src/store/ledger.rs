//! `ledger.db`: quarters of meters, entries above them, counters, and how far the journal is accounted for. One writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, Transaction};

use crate::cluster::{Entity, FacilityIx, MeterIx, Topology};
use crate::decode::Refusal;
use crate::ledger::{Closed, Key, Range, SealedEntry};
use crate::meter::{Held, Need};
use crate::pipeline::{Counters, Row, Seal, SealedRow, Supply, Tallied, Want};
use crate::quantity::{Quarter, Time, Window};
use crate::store::codec::{
    checksum, read_activity, read_balance, read_held, write_activity, write_balance, write_held,
};
use crate::store::retention::read_day;
use crate::store::{Names, StoreError};
use crate::window::Activity;

/// The format this version reads and writes.
const FORMAT: i64 = 1;

/// How far the ledger accounts for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first open quarter at the last seal.
    pub open_from: Quarter,
    /// The time of the last seal.
    pub now: Time,
    /// Blocks up to this number are counted.
    pub counted_to: i64,
    /// The counts.
    pub counters: Counters,
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) topology: Arc<Topology>,
    pub(crate) names: Arc<Names>,
    changed: i64,
    damaged: u64,
}

impl Ledger {
    /// Opens or creates the ledger of a state directory for the entities of a plan.
    pub fn open(state: &Path, topology: Arc<Topology>) -> Result<Ledger, StoreError> {
        let path = state.join("ledger.db");
        let connection = Connection::open(&path).map_err(StoreError::database(&path))?;
        prepare(&connection, &path)?;
        let names = Arc::new(Names::read(&connection, &topology).map_err(StoreError::database(&path))?);
        let highest = "SELECT max(coalesce((SELECT max(changed) FROM entry), 0), coalesce((SELECT max(changed) FROM quarter), 0))";
        let changed = connection.query_row(highest, [], |row| row.get(0)).map_err(StoreError::database(&path))?;
        let mut ledger = Ledger { path, connection, topology, names, changed, damaged: 0 };
        // The rows that were changed last may be packed or dropped by now; the sinks' cursors are not.
        ledger.changed = ledger.changed.max(ledger.number("changed")?.unwrap_or(0));
        Ok(ledger)
    }

    /// The numbers of the plan's entities, for readers.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// How many records did not match their checksum since the start.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// A name for this state directory that no other one has.
    pub fn incarnation(&self) -> Result<String, StoreError> {
        self.meta("incarnation").map(Option::unwrap_or_default)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let select = self.connection.prepare_cached("SELECT value FROM meta WHERE key = ?1");
        let value = select.and_then(|mut s| s.query_row([key], |row| row.get(0)).optional());
        value.map_err(StoreError::database(&self.path))
    }

    fn number(&self, key: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.meta(key)?.and_then(|text| text.parse().ok()))
    }

    /// Where the last seal left off. `None`: there was none.
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        let (Some(open_from), Some(now), Some(counted_to)) =
            (self.number("open_from")?, self.number("now")?, self.number("counted_to")?)
        else {
            return Ok(None);
        };
        let counters = self.meta("counters")?.and_then(|text| read_counters(&text)).unwrap_or_default();
        Ok(Some(Position { open_from: Quarter(open_from as i32), now: Time(now), counted_to, counters }))
    }

    // ---- loading -------------------------------------------------------------------------------------------------

    /// Loads what the pipeline wants.
    pub fn load(&mut self, want: &Want) -> Result<Supply, StoreError> {
        match want {
            Want::Rows(meter, need) => self.load_rows(*meter, *need),
            Want::Siblings(facility, quarter) => self.load_siblings(*facility, *quarter),
            Want::Entries(range) => self.load_entries(*range),
        }
    }

    fn load_rows(&mut self, meter: MeterIx, need: Need) -> Result<Supply, StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        let mut rows = self.quarters("WHERE meter = ?1 AND start >= ?2 ORDER BY start", (number, need.from.0))?;
        let mut from = need.from;
        let mut earlier = Vec::new();
        let mut counted = 0;
        let mut exhausted = false;
        // Further back a day at a time, until enough readings and the one before them are there.
        let mut context = None;
        while context.is_none() && !exhausted {
            let sql = "WHERE meter = ?1 AND start < ?2 ORDER BY start DESC LIMIT 96";
            let before = self.damaged;
            let batch = self.quarters(sql, (number, from.0))?;
            // A damaged row counts as found: what lies before it is not the beginning.
            exhausted = batch.len() as u64 + (self.damaged - before) < 96;
            for row in batch {
                if counted >= need.readings && row.held.good_count() > 0 {
                    context = row.held.last_good();
                    break;
                }
                counted += row.held.good_count();
                from = row.held.quarter;
                earlier.push(row);
            }
        }
        earlier.reverse();
        earlier.append(&mut rows);
        let from = if context.is_none() && !self.has_packed(number)? { Quarter(i32::MIN) } else { from };
        Ok(Supply::Rows { meter, from, rows: earlier, context })
    }

    fn load_siblings(&mut self, facility: FacilityIx, quarter: Quarter) -> Result<Supply, StoreError> {
        let mut activities = Vec::new();
        let topology = Arc::clone(&self.topology);
        for meter in &topology.facility(facility).meters {
            let number = self.names.number(Entity::Meter(*meter));
            let rows = self.quarters("WHERE meter = ?1 AND start = ?2", (number, quarter.0))?;
            if rows.is_empty() {
                activities.extend(self.packed(number, quarter)?.map(|activity| (*meter, activity)));
            }
            activities.extend(rows.into_iter().map(|row| (row.meter, row.activity)));
        }
        Ok(Supply::Siblings { facility, quarter, activities })
    }

    fn has_packed(&self, meter: i64) -> Result<bool, StoreError> {
        let select = self.connection.prepare_cached("SELECT 1 FROM day WHERE meter = ?1 LIMIT 1");
        select.and_then(|mut s| s.exists([meter])).map_err(StoreError::database(&self.path))
    }

    /// The activity of a quarter that is packed already.
    fn packed(&self, meter: i64, quarter: Quarter) -> Result<Option<Activity>, StoreError> {
        let sql = "SELECT meter, start, body, crc FROM day WHERE meter = ?1 AND start <= ?2 AND start > ?2 - 96";
        let read = || -> rusqlite::Result<Option<Activity>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut found = statement.query((meter, quarter.0))?;
            let Some(row) = found.next()? else {
                return Ok(None);
            };
            let day = read_day(row)?.unwrap_or_default();
            Ok(day.into_iter().find(|(q, ..)| *q == quarter).map(|(_, activity, _)| activity))
        };
        read().map_err(StoreError::database(&self.path))
    }

    fn quarters(&mut self, condition: &str, parameters: (i64, i32)) -> Result<Vec<Row>, StoreError> {
        let sql = format!("SELECT meter, start, readings, minutes, revision, crc FROM quarter {condition}");
        let mut rows = Vec::new();
        let mut damaged = Vec::new();
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut found = statement.query(parameters)?;
            while let Some(row) = found.next()? {
                match read_row(&self.names, row)? {
                    Some(row) => rows.push(row),
                    None => damaged.push((row.get::<_, i64>(0)?, row.get::<_, i32>(1)?)),
                }
            }
            Ok(())
        };
        read().map_err(StoreError::database(&self.path))?;
        for (meter, start) in damaged {
            let name = self.names.describe(&self.topology, meter);
            self.note_damage(&format!("quarter {} of {name}", Quarter(start).start()));
        }
        Ok(rows)
    }

    fn load_entries(&mut self, range: Range) -> Result<Supply, StoreError> {
        let number = self.names.number(range.entity);
        let sql = "SELECT entity, window, start, body, revision, crc FROM entry WHERE entity = ?1 AND window = ?2 AND start >= ?3 AND start < ?4";
        let (mut entries, mut damaged) = (Vec::new(), Vec::new());
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut found = statement.query((number, range.window as i64, range.from.0, range.to.0))?;
            while let Some(row) = found.next()? {
                match read_entry(&self.names, row)? {
                    Some(entry) => entries.push(entry),
                    None => damaged.push(row.get::<_, i64>(2)?),
                }
            }
            Ok(())
        };
        read().map_err(StoreError::database(&self.path))?;
        for start in damaged {
            let name = self.names.describe(&self.topology, number);
            self.note_damage(&format!("entry {} {} of {name}", range.window, Time(start)));
        }
        Ok(Supply::Entries(range, entries))
    }

    fn note_damage(&mut self, what: &str) {
        self.damaged += 1;
        tracing::error!(record = what, "a stored record does not match its checksum and is set aside");
    }

    // ---- storing -------------------------------------------------------------------------------------------------

    /// Makes a seal durable, in one transaction.
    pub fn seal(&mut self, seal: &Seal<'_>, counted_to: i64) -> Result<(), StoreError> {
        let mut changed = self.changed;
        let mut commit = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            write_rows(&transaction, &self.names, &seal.rows, &mut changed)?;
            write_entries(&transaction, &self.names, &seal.entries, &mut changed)?;
            write_meta(&transaction, "open_from", &seal.open_from.0.to_string())?;
            write_meta(&transaction, "now", &seal.now.0.to_string())?;
            write_meta(&transaction, "counted_to", &counted_to.to_string())?;
            write_meta(&transaction, "counters", &write_counters(seal.counters))?;
            write_meta(&transaction, "changed", &changed.to_string())?;
            transaction.commit()
        };
        commit().map_err(StoreError::database(&self.path))?;
        self.changed = changed;
        Ok(())
    }

    /// The hash of the plan that was in force before.
    pub fn plan(&self) -> Result<Option<String>, StoreError> {
        self.meta("plan")
    }

    /// Notes the plan in force.
    pub fn set_plan(&self, hash: &str) -> Result<(), StoreError> {
        self.set_meta("plan", hash)
    }

    /// Notes the topic filters in use; returns those of before that are not in use any more, which the broker may still
    /// hold for the session.
    pub fn exchange_filters(&self, filters: &[String]) -> Result<Vec<String>, StoreError> {
        let before = self.meta("filters")?.and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok());
        let stale = before.unwrap_or_default().into_iter().filter(|f| !filters.contains(f)).collect();
        self.set_meta("filters", &serde_json::json!(filters).to_string())?;
        Ok(stale)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta(key, value) VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2";
        self.connection.execute(sql, (key, value)).map_err(StoreError::database(&self.path))?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let fail = |error| StoreError::database(path)(error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found, known: FORMAT });
    }
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -1000;")
        .map_err(fail)?;
    if found == FORMAT {
        return Ok(());
    }
    let incarnation: String = (0..8).map(|_| format!("{:02x}", fastrand::u8(..))).collect();
    let create = format!(
        "BEGIN;
         CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE name(number INTEGER PRIMARY KEY, level TEXT NOT NULL, id TEXT NOT NULL, UNIQUE(level, id));
         CREATE TABLE quarter(
             meter INTEGER NOT NULL, start INTEGER NOT NULL, readings BLOB NOT NULL, minutes BLOB NOT NULL,
             revision INTEGER NOT NULL, changed INTEGER NOT NULL, crc INTEGER NOT NULL,
             PRIMARY KEY(meter, start)) WITHOUT ROWID;
         CREATE INDEX quarter_changed ON quarter(changed);
         CREATE TABLE day(
             meter INTEGER NOT NULL, start INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
             PRIMARY KEY(meter, start)) WITHOUT ROWID;
         CREATE TABLE entry(
             entity INTEGER NOT NULL, window INTEGER NOT NULL, start INTEGER NOT NULL, body BLOB NOT NULL,
             revision INTEGER NOT NULL, changed INTEGER NOT NULL, crc INTEGER NOT NULL,
             PRIMARY KEY(entity, window, start)) WITHOUT ROWID;
         CREATE INDEX entry_changed ON entry(changed);
         INSERT INTO meta(key, value) VALUES ('incarnation', '{incarnation}');
         PRAGMA user_version = {FORMAT};
         COMMIT;"
    );
    connection.execute_batch(&create).map_err(fail)
}

fn write_rows(
    transaction: &Transaction<'_>,
    names: &Names,
    rows: &[SealedRow<'_>],
    changed: &mut i64,
) -> rusqlite::Result<()> {
    let (no_held, no_activity) = (Held::empty(Quarter(0)), Activity::default());
    let mut statement = transaction.prepare_cached(
        "INSERT INTO quarter(meter, start, readings, minutes, revision, changed, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(meter, start) DO UPDATE SET readings = ?3, minutes = ?4, revision = ?5, changed = ?6, crc = ?7",
    )?;
    for row in rows {
        *changed += 1;
        let (meter, start) = (names.number(Entity::Meter(row.meter)), row.quarter.0);
        let readings = write_held(row.held.unwrap_or(&no_held));
        let minutes = write_activity(row.activity.unwrap_or(&no_activity));
        let crc = checksum(&[meter, i64::from(start), i64::from(row.revision)], &[&readings, &minutes]);
        statement.execute((meter, start, readings, minutes, row.revision, *changed, crc))?;
    }
    Ok(())
}

fn write_entries(
    transaction: &Transaction<'_>,
    names: &Names,
    entries: &[SealedEntry<'_>],
    changed: &mut i64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO entry(entity, window, start, body, revision, changed, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(entity, window, start) DO UPDATE SET body = ?4, revision = ?5, changed = ?6, crc = ?7",
    )?;
    for entry in entries {
        *changed += 1;
        let (entity, window, start) = (names.number(entry.key.entity), entry.key.window as i64, entry.key.start.0);
        let body = write_balance(entry.balance);
        let crc = checksum(&[entity, window, start, i64::from(entry.revision)], &[&body]);
        statement.execute((entity, window, start, body, entry.revision, *changed, crc))?;
    }
    Ok(())
}

fn write_meta(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta(key, value) VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2";
    transaction.prepare_cached(sql)?.execute((key, value)).map(drop)
}

/// Columns: meter, start, readings, minutes, revision, crc. `None`: damaged.
pub(crate) fn read_row(names: &Names, row: &SqlRow<'_>) -> rusqlite::Result<Option<Row>> {
    let (meter, start, revision): (i64, i32, u32) = (row.get(0)?, row.get(1)?, row.get(4)?);
    let (readings, minutes) = (row.get_ref(2)?.as_blob()?, row.get_ref(3)?.as_blob()?);
    let crc: i64 = row.get(5)?;
    if checksum(&[meter, i64::from(start), i64::from(revision)], &[readings, minutes]) != crc {
        return Ok(None);
    }
    let Some(Entity::Meter(meter)) = names.entity(meter) else {
        return Ok(None);
    };
    let read = || Some((read_held(Quarter(start), readings)?, read_activity(minutes)?));
    Ok(read().map(|(held, activity)| Row { meter, held, activity, revision }))
}

/// Columns: entity, window, start, body, revision, crc. `None`: damaged.
pub(crate) fn read_entry(names: &Names, row: &SqlRow<'_>) -> rusqlite::Result<Option<Closed>> {
    let (entity, window, start, revision): (i64, i64, i64, u32) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?);
    let body = row.get_ref(3)?.as_blob()?;
    let crc: i64 = row.get(5)?;
    if checksum(&[entity, window, start, i64::from(revision)], &[body]) != crc {
        return Ok(None);
    }
    let window = usize::try_from(window).ok().and_then(|w| Window::ALL.get(w)).copied();
    let (Some(entity), Some(window), Some(balance)) = (names.entity(entity), window, read_balance(body)) else {
        return Ok(None);
    };
    Ok(Some(Closed { key: Key { entity, window, start: Time(start) }, balance, revision }))
}

// ---- counters ----------------------------------------------------------------------------------------------------

fn write_counters(counters: &Counters) -> String {
    let tallied = |counts: &Tallied| {
        let refused: serde_json::Map<_, _> = counts.reasons().map(|(r, n)| (r.name().to_owned(), n.into())).collect();
        serde_json::json!({
            "received": counts.received, "accepted": counts.accepted, "duplicate": counts.duplicate, "late": counts.late,
            "unmapped": counts.unmapped, "retained": counts.retained, "refused": refused,
        })
    };
    serde_json::json!({"messages": tallied(&counters.messages), "readings": tallied(&counters.readings)}).to_string()
}

fn read_counters(text: &str) -> Option<Counters> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let tallied = |value: &serde_json::Value| {
        let number = |key: &str| value.get(key).and_then(serde_json::Value::as_u64);
        let mut counts = Tallied {
            received: number("received")?,
            accepted: number("accepted")?,
            duplicate: number("duplicate")?,
            late: number("late")?,
            unmapped: number("unmapped")?,
            retained: number("retained")?,
            ..Tallied::default()
        };
        for reason in Refusal::ALL {
            counts.refused[reason as usize] =
                value.get("refused")?.get(reason.name()).and_then(|n| n.as_u64()).unwrap_or(0);
        }
        Some(counts)
    };
    Some(Counters { messages: tallied(value.get("messages")?)?, readings: tallied(value.get("readings")?)? })
}
