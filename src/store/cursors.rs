//! `cursors.db`: how far each sink has confirmed, and what its database would not take. Losing it only makes a sink repeat
//! itself, so a damaged file is thrown away.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use crate::quantity::Time;
use crate::store::codec::checksum;
use crate::store::{StoreError, schema};

/// The open file.
#[derive(Debug)]
pub struct Cursors {
    path: PathBuf,
    connection: Connection,
}

/// A line that a database did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Which: level, id, window and start.
    pub key: String,
    /// What the database said.
    pub trouble: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub next: Time,
}

const TABLES: &str = "
    PRAGMA synchronous = NORMAL; PRAGMA cache_size = -100;
    CREATE TABLE IF NOT EXISTS place(sink TEXT PRIMARY KEY, position INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS aside(
        key TEXT PRIMARY KEY, trouble TEXT NOT NULL, tries INTEGER NOT NULL, next INTEGER NOT NULL) WITHOUT ROWID;";

impl Cursors {
    /// Opens the cursors of a state directory.
    pub fn open(state: &Path) -> Result<Cursors, StoreError> {
        let path = state.join("cursors.db");
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            schema::write_ahead(&connection)?;
            connection.execute_batch(TABLES)?;
            let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            match check.as_str() {
                "ok" => Ok(connection),
                _ => Err(rusqlite::Error::InvalidQuery),
            }
        };
        let connection = match open() {
            Err(error) if crate::store::rescue::is_damage(&error) => {
                tracing::warn!(%error, "the cursors of the sinks were damaged; they begin anew");
                for suffix in ["-wal", "-shm", ""] {
                    // What is not there need not go.
                    let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
                }
                open()
            }
            opened => opened,
        };
        Ok(Cursors { connection: connection.map_err(StoreError::database(&path))?, path })
    }

    /// A position. `None`: never noted, or damaged.
    pub fn get(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let read = || -> rusqlite::Result<Option<(i64, i64)>> {
            let mut statement = self.connection.prepare_cached("SELECT position, crc FROM place WHERE sink = ?1")?;
            statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        };
        let found = read().map_err(StoreError::database(&self.path))?;
        Ok(found
            .filter(|(position, crc)| checksum(&[*position], &[name.as_bytes()]) == *crc)
            .map(|(position, _)| position))
    }

    /// Notes positions, all or none.
    pub fn set(&mut self, positions: &[(&str, i64)]) -> Result<(), StoreError> {
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for (name, position) in positions {
                let sql = "INSERT INTO place(sink, position, crc) VALUES (?1, ?2, ?3)
                           ON CONFLICT(sink) DO UPDATE SET position = ?2, crc = ?3";
                let crc = checksum(&[*position], &[name.as_bytes()]);
                transaction.prepare_cached(sql)?.execute((name, position, crc))?;
            }
            transaction.commit()
        };
        write().map_err(StoreError::database(&self.path))
    }

    /// Makes all that was noted durable; else a power cut may take back the latest.
    pub fn sync(&self) -> Result<(), StoreError> {
        let checkpoint = self.connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()));
        checkpoint.map_err(StoreError::database(&self.path))
    }

    /// Notes, or notes again, a line that was not taken.
    pub fn set_aside(&self, line: &SetAside) -> Result<(), StoreError> {
        let sql = "INSERT INTO aside(key, trouble, tries, next) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT(key) DO UPDATE SET trouble = ?2, tries = ?3, next = ?4";
        let insert = self.connection.prepare_cached(sql);
        let done = insert.and_then(|mut s| s.execute((&line.key, &line.trouble, line.tries, line.next.0)));
        done.map(drop).map_err(StoreError::database(&self.path))
    }

    /// A line was taken after all.
    pub fn taken(&self, key: &str) -> Result<(), StoreError> {
        let deleted =
            self.connection.prepare_cached("DELETE FROM aside WHERE key = ?1").and_then(|mut s| s.execute([key]));
        deleted.map(drop).map_err(StoreError::database(&self.path))
    }

    /// The lines that are set aside, those due first.
    pub fn aside(&self) -> Result<Vec<SetAside>, StoreError> {
        let read = || -> rusqlite::Result<Vec<SetAside>> {
            let sql = "SELECT key, trouble, tries, next FROM aside ORDER BY next";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(SetAside { key: row.get(0)?, trouble: row.get(1)?, tries: row.get(2)?, next: Time(row.get(3)?) })
            })?;
            rows.collect()
        };
        read().map_err(StoreError::database(&self.path))
    }
}
