//! The tables of `ledger.db`, how an older format becomes this one, and the small records that everything hangs on.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::store::StoreError;
use crate::store::codec::checksum;
use crate::store::digest;

/// The format this version reads and writes. 1: no checksums on names and meta, no digests. 2: no verdicts. 3: no corrections
/// and no trail. 4: no births.
pub(crate) const FORMAT: i64 = 5;

/// `name_copy` is the same as `name`: a lost name would orphan all rows of an entity.
const TABLES: &str = "
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE name(
        number INTEGER PRIMARY KEY, level TEXT NOT NULL, id TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE(level, id));
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
    CREATE INDEX entry_changed ON entry(changed);";

/// What format 2 added.
const ADDED: &str = "
    CREATE TABLE name_copy(
        number INTEGER PRIMARY KEY, level TEXT NOT NULL, id TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE(level, id));
    CREATE TABLE digest(
        kind INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY(kind, bucket)) WITHOUT ROWID;
    CREATE TABLE refused(
        number INTEGER PRIMARY KEY, received INTEGER NOT NULL, reason TEXT NOT NULL, meter TEXT, topic TEXT NOT NULL,
        payload BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE gap(
        number INTEGER PRIMARY KEY, start INTEGER NOT NULL, end INTEGER NOT NULL, cause TEXT NOT NULL);
    CREATE TABLE damage(number INTEGER PRIMARY KEY, found INTEGER NOT NULL, record TEXT NOT NULL);";

/// What format 3 added.
const VERDICTS: &str = "
    CREATE TABLE verdict(
        number INTEGER PRIMARY KEY, decided INTEGER NOT NULL, meter TEXT NOT NULL, time INTEGER NOT NULL,
        base INTEGER NOT NULL, verdict TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL, crc INTEGER NOT NULL);";

/// What format 4 added.
const TRAIL: &str = "
    CREATE TABLE adjustment(
        number INTEGER PRIMARY KEY, decided INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE audit(
        number INTEGER PRIMARY KEY, decided INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE again(
        meter INTEGER NOT NULL, start INTEGER NOT NULL, changed INTEGER NOT NULL, PRIMARY KEY(meter, start)) WITHOUT ROWID;
    CREATE INDEX again_changed ON again(changed);";

/// What format 5 added.
const BIRTHS: &str = "
    CREATE TABLE birth(
        number INTEGER PRIMARY KEY, received INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
        crc INTEGER NOT NULL);
    CREATE INDEX birth_topic ON birth(topic, received);";

/// Opens a ledger, creating or migrating it. A file of a newer format is refused untouched.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path).map_err(StoreError::database(path))?;
    let found: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(StoreError::database(path))?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found, known: FORMAT });
    }
    let mut prepare = || -> rusqlite::Result<()> {
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -1000;
             PRAGMA journal_size_limit = 67108864;",
        )?;
        write_ahead(&connection)?;
        match found {
            FORMAT => Ok(()),
            1..=4 => migrate(&mut connection, found),
            _ => create(&mut connection),
        }
    };
    prepare().map_err(StoreError::database(path))?;
    Ok(connection)
}

/// Switches to the write-ahead log. A new file is switched when the statement ends, after its row: whoever reads the row
/// only does not learn that it failed, and goes on without the log.
pub(crate) fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(&format!("{TABLES}{ADDED}{VERDICTS}{TRAIL}{BIRTHS}"))?;
    let incarnation: String = (0..8).map(|_| format!("{:02x}", fastrand::u8(..))).collect();
    set_meta(&transaction, "incarnation", &incarnation)?;
    transaction.execute_batch(&format!("PRAGMA user_version = {FORMAT}"))?;
    transaction.commit()
}

/// All or nothing: a kill in between leaves the format that was found.
fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if found == 1 {
        add_checksums(&transaction)?;
    }
    if found < 3 {
        transaction.execute_batch(VERDICTS)?;
    }
    if found < 4 {
        transaction.execute_batch(TRAIL)?;
    }
    transaction.execute_batch(BIRTHS)?;
    if found == 1 {
        digest::recount(&transaction)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {FORMAT}"))?;
    transaction.commit()
}

fn add_checksums(transaction: &Connection) -> rusqlite::Result<()> {
    transaction.execute_batch(&format!(
        "{ADDED}
         ALTER TABLE meta ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE name ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
    ))?;
    let meta: Vec<(String, String)> = collect(transaction, "SELECT key, value FROM meta")?;
    for (key, value) in meta {
        set_meta(transaction, &key, &value)?;
    }
    let names: Vec<(i64, String, String)> = {
        let mut statement = transaction.prepare("SELECT number, level, id FROM name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    transaction.execute("DELETE FROM name", [])?;
    for (number, level, id) in names {
        insert_name(transaction, number, &level, &id)?;
    }
    Ok(())
}

fn collect(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

// ---- small records -----------------------------------------------------------------------------------------------

/// A value of `meta`. `None`: not there, or damaged, which the scrub at the start has reported.
pub(crate) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value, crc FROM meta WHERE key = ?1")?;
    let found: Option<(String, i64)> = statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.filter(|(value, crc)| meta_crc(key, value) == *crc).map(|(value, _)| value))
}

pub(crate) fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO meta(key, value, crc) VALUES (?1, ?2, ?3) ON CONFLICT(key) DO UPDATE SET value = ?2, crc = ?3";
    connection.prepare_cached(sql)?.execute((key, value, meta_crc(key, value))).map(drop)
}

pub(crate) fn meta_crc(key: &str, value: &str) -> i64 {
    checksum(&[], &[key.as_bytes(), value.as_bytes()])
}

pub(crate) fn name_crc(number: i64, level: &str, id: &str) -> i64 {
    checksum(&[number], &[level.as_bytes(), id.as_bytes()])
}

pub(crate) fn insert_name(connection: &Connection, number: i64, level: &str, id: &str) -> rusqlite::Result<()> {
    for table in ["name", "name_copy"] {
        let sql = format!("INSERT OR REPLACE INTO {table}(number, level, id, crc) VALUES (?1, ?2, ?3, ?4)");
        connection.prepare_cached(&sql)?.execute((number, level, id, name_crc(number, level, id)))?;
    }
    Ok(())
}
