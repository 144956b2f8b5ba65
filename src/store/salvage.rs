//! A damaged file is set aside as it is, and every row that still matches its checksum moves to a fresh one.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

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

/// Renames a file that cannot be trusted, with what SQLite keeps beside it.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let mut number = 1;
    let name = |number: u32| PathBuf::from(format!("{}.damaged-{number}", path.display()));
    while name(number).exists() {
        number += 1;
    }
    let aside = name(number);
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (
            PathBuf::from(format!("{}{suffix}", path.display())),
            PathBuf::from(format!("{}{suffix}", aside.display())),
        );
        if from.exists() {
            std::fs::rename(&from, &to).map_err(StoreError::io(&from))?;
        }
    }
    Ok(aside)
}

/// Copies what is sound of `tables` from the file set aside into `fresh`, in one transaction.
pub(crate) fn copy(aside: PathBuf, fresh: &mut Connection, tables: &[Table]) -> Result<Left, StoreError> {
    let mut left = Left { aside, rows: Vec::new() };
    let old = match Connection::open(&left.aside) {
        Ok(old) => old,
        Err(error) => {
            left.rows.push(format!("everything: {error}"));
            return Ok(left);
        }
    };
    let path = left.aside.clone();
    let mut run = || -> rusqlite::Result<()> {
        let transaction = fresh.transaction()?;
        for table in tables {
            copy_table(&old, &transaction, table, &mut left.rows)?;
        }
        transaction.commit()
    };
    run().map_err(StoreError::database(path))?;
    Ok(left)
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
