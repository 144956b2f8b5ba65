//! A damaged file is set aside as it is, and every row that still matches its checksum moves to a fresh one.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params_from_iter};

use crate::store::StoreError;
use crate::store::records::Table;

/// What a salvage left behind.
#[derive(Debug)]
pub(crate) struct Left {
    /// Where the damaged file is now.
    pub aside: PathBuf,
    /// The rows that are gone, by key where that could be read.
    pub rows: Vec<String>,
}

/// Puts a fresh file with what is sound of a damaged one in its place, and the damaged one aside. Wherever the process ends,
/// one of the two is there whole, and [`finish`] knows which. `settle` adds to the copy what else belongs to it.
pub(crate) fn replace(
    path: &Path,
    tables: &[Table],
    open: impl Fn(&Path) -> Result<Connection, StoreError>,
    settle: impl FnOnce(&Transaction<'_>, &mut Vec<String>) -> rusqlite::Result<()>,
) -> Result<Left, StoreError> {
    let fresh = beside(path, ".fresh");
    remove(&fresh)?;
    let mut rows = Vec::new();
    let mut connection = open(&fresh)?;
    let copy = || -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        match Connection::open(path) {
            Ok(old) => tables.iter().try_for_each(|table| copy_table(&old, &transaction, table, &mut rows))?,
            Err(error) => rows.push(format!("everything: {error}")),
        }
        settle(&transaction, &mut rows)?;
        transaction.commit()?;
        // All in one file, which can be renamed.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    copy().map_err(StoreError::database(&fresh))?;
    drop(connection);
    let aside = set_aside(path)?;
    finish(path)?;
    Ok(Left { aside, rows })
}

/// Ends a replacement that was broken off: a copy beside a file is not known to be whole, one without it is.
pub(crate) fn finish(path: &Path) -> Result<(), StoreError> {
    let fresh = beside(path, ".fresh");
    if path.exists() {
        return remove(&fresh);
    }
    if !fresh.exists() {
        return Ok(());
    }
    // What is left of the damaged file must not be taken for the copy's.
    remove(path)?;
    remove_beside(&fresh)?;
    let directory = path.parent().unwrap_or(path);
    let rename = || std::fs::rename(&fresh, path).and_then(|()| File::open(directory)?.sync_all());
    rename().map_err(StoreError::io(path))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    remove_beside(path)?;
    remove_file(path)
}

fn remove_beside(path: &Path) -> Result<(), StoreError> {
    ["-wal", "-shm"].iter().try_for_each(|suffix| remove_file(&beside(path, suffix)))
}

fn remove_file(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path)(error)),
        _ => Ok(()),
    }
}

/// Renames a file that cannot be trusted, then what SQLite keeps beside it: the file decides what a start finds.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let mut number = 1;
    while beside(path, &format!(".damaged-{number}")).exists() {
        number += 1;
    }
    let aside = beside(path, &format!(".damaged-{number}"));
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (beside(path, suffix), beside(&aside, suffix));
        if from.exists() {
            std::fs::rename(&from, &to).map_err(StoreError::io(&from))?;
        }
    }
    Ok(aside)
}

/// From both ends: what lies between two unreadable places is lost, the rest is not.
fn copy_table(old: &Connection, fresh: &Connection, table: &Table, lost: &mut Vec<String>) -> rusqlite::Result<()> {
    let marks = vec!["?"; table.columns.split(", ").count()].join(", ");
    let insert = format!("INSERT OR REPLACE INTO {}({}) VALUES ({marks})", table.name, table.columns);
    let mut insert = fresh.prepare(&insert)?;
    for (order, is_last) in [("ASC", false), ("DESC", true)] {
        match copy_rows(old, &mut insert, table, order, lost) {
            Ok(()) => return Ok(()),
            Err(Trouble::Reading(error)) if is_last => lost.push(format!("{} in part: {error}", table.name)),
            Err(Trouble::Reading(_)) => {}
            Err(Trouble::Writing(error)) => return Err(error),
        }
    }
    Ok(())
}

enum Trouble {
    Reading(rusqlite::Error),
    Writing(rusqlite::Error),
}

fn copy_rows(
    old: &Connection,
    insert: &mut rusqlite::Statement<'_>,
    table: &Table,
    order: &str,
    lost: &mut Vec<String>,
) -> Result<(), Trouble> {
    let key: Vec<String> = table.key.iter().map(|column| format!("{column} {order}")).collect();
    let select = format!("SELECT {} FROM {} ORDER BY {}", table.columns, table.name, key.join(", "));
    let mut statement = old.prepare(&select).map_err(Trouble::Reading)?;
    let columns = statement.column_count();
    let mut rows = statement.query([]).map_err(Trouble::Reading)?;
    while let Some(row) = rows.next().map_err(Trouble::Reading)? {
        if !table.is_sound(row) {
            let what = table.describe(row);
            if !lost.contains(&what) {
                lost.push(what);
            }
            continue;
        }
        let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|at| row.get(at)).collect();
        let values = values.map_err(Trouble::Reading)?;
        insert.execute(params_from_iter(values)).map_err(Trouble::Writing)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    #[test]
    fn a_replacement_that_was_broken_off_ends_with_what_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let write = |name: &str| std::fs::write(directory.path().join(name), name).unwrap();
        // While it copied: the copy goes, and is made again.
        ["ledger.db", "ledger.db-wal", "ledger.db.fresh", "ledger.db.fresh-wal"].into_iter().for_each(write);
        finish(&path).unwrap();
        assert_eq!(contents(&path).as_deref(), Some("ledger.db"));
        assert_eq!(contents(&beside(&path, "-wal")).as_deref(), Some("ledger.db-wal"), "it is part of the file");
        assert!(!beside(&path, ".fresh").exists() && !beside(&path, ".fresh-wal").exists());
        // After the damaged one went aside, without all of its own: the copy is whole.
        std::fs::rename(&path, beside(&path, ".damaged-1")).unwrap();
        write("ledger.db.fresh");
        finish(&path).unwrap();
        assert_eq!(contents(&path).as_deref(), Some("ledger.db.fresh"));
        assert!(!beside(&path, "-wal").exists(), "not the copy's");
        finish(&path).unwrap();
        assert_eq!(contents(&path).as_deref(), Some("ledger.db.fresh"), "and again");
    }
}
