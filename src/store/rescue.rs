//! Opening a ledger that may be damaged: what is sound moves to a fresh file, what is not is named.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::store::records::{self, LEDGER};
use crate::store::{StoreError, digest, salvage, schema};

/// A ledger up to this size is looked through at every start; a bigger one only when it is suspected.
const LOOK_THROUGH_MAX: u64 = 64 << 20;
/// What was found, until it is rebuilt: a process that ends in between must not forget it.
const TO_REBUILD: &str = "to_rebuild";
/// A file of this name says that reading the ledger failed.
const SUSPECTED: &str = "ledger.suspect";
/// Set when a record was found damaged while running.
pub(crate) const SUSPECT: &str = "suspect";

/// A sound ledger, and what could not be taken over into it.
pub(crate) fn open(path: &Path) -> Result<(Connection, Vec<String>), StoreError> {
    salvage::finish(path)?;
    let looked = schema::open(path).and_then(|connection| {
        let wrong = look_through(&connection, path).map_err(StoreError::database(path))?;
        Ok((connection, wrong))
    });
    match looked {
        Ok((connection, wrong)) if wrong.is_empty() => {
            let unfinished = to_rebuild(&connection).map_err(StoreError::database(path))?;
            trust(path)?;
            Ok((connection, unfinished))
        }
        Ok((connection, wrong)) => {
            drop(connection);
            rescue(path, wrong)
        }
        Err(StoreError::Database { source, .. }) if is_damage(&source) => rescue(path, vec![source.to_string()]),
        Err(error) => Err(error),
    }
}

/// Notes beside the ledger that it cannot be trusted: what is wrong may lie where a note in it would go.
pub(crate) fn suspect(state: &Path) -> Result<(), StoreError> {
    let path = state.join(SUSPECTED);
    std::fs::write(&path, "").map_err(StoreError::io(&path))
}

/// It was looked through, and is sound by now.
fn trust(path: &Path) -> Result<(), StoreError> {
    let note = path.with_file_name(SUSPECTED);
    match std::fs::remove_file(&note) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(note)(error)),
        _ => Ok(()),
    }
}

fn look_through(connection: &Connection, path: &Path) -> rusqlite::Result<Vec<String>> {
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    let suspected = schema::meta(connection, SUSPECT)?.is_some() || path.with_file_name(SUSPECTED).exists();
    if size > LOOK_THROUGH_MAX && !suspected {
        return Ok(Vec::new());
    }
    let wrong = records::scrub(connection)?;
    if wrong.is_empty() && suspected {
        connection.execute("DELETE FROM meta WHERE key = ?1", [SUSPECT])?;
    }
    Ok(wrong)
}

/// True when the file's contents are to blame, and not the disk, the rights, or another process.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let world = [
        ErrorCode::SystemIoFailure,
        ErrorCode::DiskFull,
        ErrorCode::CannotOpen,
        ErrorCode::PermissionDenied,
        ErrorCode::ReadOnly,
        ErrorCode::OutOfMemory,
        ErrorCode::DatabaseBusy,
        ErrorCode::DatabaseLocked,
    ];
    error.sqlite_error_code().is_none_or(|code| !world.contains(&code))
}

fn rescue(path: &Path, wrong: Vec<String>) -> Result<(Connection, Vec<String>), StoreError> {
    let mut found = wrong;
    let left = salvage::replace(path, &LEDGER, schema::open, |transaction, rows| {
        // Each name is there twice; either will do.
        transaction.execute_batch(
            "INSERT OR IGNORE INTO name SELECT * FROM name_copy; INSERT OR IGNORE INTO name_copy SELECT * FROM name;
             DELETE FROM meta WHERE key = 'suspect';",
        )?;
        digest::recount(transaction)?;
        found.extend(rows.iter().filter(|row| !found.contains(row)).cloned().collect::<Vec<_>>());
        let before = to_rebuild(transaction)?.into_iter().filter(|row| !found.contains(row)).collect::<Vec<_>>();
        found.extend(before);
        note_to_rebuild(transaction, &found)
    })?;
    tracing::error!(
        file = %path.display(), aside = %left.aside.display(), ?found,
        "the ledger was damaged; it is set aside, and what is sound is taken over"
    );
    trust(path)?;
    Ok((schema::open(path)?, found))
}

/// So many are named; a file that is damaged all over has no use for more.
const FOUND_MAX: usize = 1_000;

pub(crate) fn note_to_rebuild(connection: &Connection, found: &[String]) -> rusqlite::Result<()> {
    let named = found.get(..FOUND_MAX).unwrap_or(found);
    schema::set_meta(connection, TO_REBUILD, &serde_json::json!(named).to_string())
}

fn to_rebuild(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let text = schema::meta(connection, TO_REBUILD)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// What was found is rebuilt, and on record.
pub(crate) fn rebuilt(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key = ?1", [TO_REBUILD]).map(drop)
}
