//! Every table with its columns, its key, and how a row is checked: what scrubbing and salvage walk along.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use crate::store::codec::checksum;
use crate::store::digest::{self, BUCKETS, Digest, Kind};
use crate::store::schema::{meta_crc, name_crc};
use crate::store::{adjustment, births, judgement};

/// A table.
pub(crate) struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    /// The primary key, in order; the first columns.
    pub key: &'static [&'static str],
    /// Whether a row matches its checksum. An error: a value is not even of its type.
    sound: fn(&Row<'_>) -> rusqlite::Result<bool>,
}

/// The tables of `ledger.db`, apart from the digests, which follow from the others.
pub(crate) const LEDGER: [Table; 14] = [
    Table { name: "meta", columns: "key, value, crc", key: &["key"], sound: meta_sound },
    Table { name: "name", columns: "number, level, id, crc", key: &["number"], sound: name_sound },
    Table { name: "name_copy", columns: "number, level, id, crc", key: &["number"], sound: name_sound },
    Table {
        name: "quarter",
        columns: "meter, start, readings, minutes, revision, changed, crc",
        key: &["meter", "start"],
        sound: |row| {
            let key = [row.get(0)?, row.get(1)?, row.get(4)?];
            Ok(checksum(&key, &[blob(row, 2)?, blob(row, 3)?]) == row.get::<_, i64>(6)?)
        },
    },
    Table {
        name: "day",
        columns: "meter, start, body, crc",
        key: &["meter", "start"],
        sound: |row| Ok(checksum(&[row.get(0)?, row.get(1)?], &[blob(row, 2)?]) == row.get::<_, i64>(3)?),
    },
    Table {
        name: "entry",
        columns: "entity, window, start, body, revision, changed, crc",
        key: &["entity", "window", "start"],
        sound: |row| {
            let key = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?];
            Ok(checksum(&key, &[blob(row, 3)?]) == row.get::<_, i64>(6)?)
        },
    },
    Table {
        name: "refused",
        columns: "number, received, reason, meter, topic, payload, crc",
        key: &["number"],
        sound: refused_sound,
    },
    Table {
        name: "gap",
        columns: "number, start, end, cause",
        key: &["number"],
        sound: |row| Ok(row.get::<_, i64>(1)? <= row.get::<_, i64>(2)? && row.get::<_, String>(3).is_ok()),
    },
    Table { name: "verdict", columns: judgement::COLUMNS, key: &["number"], sound: judgement::is_sound },
    Table { name: "adjustment", columns: adjustment::COLUMNS, key: &["number"], sound: adjustment::is_sound },
    Table { name: "birth", columns: births::COLUMNS, key: &["number"], sound: births::is_sound },
    Table { name: "audit", columns: adjustment::COLUMNS, key: &["number"], sound: adjustment::is_sound },
    // Only says what to send to the database again.
    Table {
        name: "again",
        columns: "meter, start, changed",
        key: &["meter", "start"],
        sound: |row| row.get::<_, i64>(2).map(|_| true),
    },
    Table {
        name: "damage",
        columns: "number, found, record",
        key: &["number"],
        sound: |row| row.get::<_, String>(2).map(|_| true),
    },
];

/// The table of a journal file.
pub(crate) const BLOCK: Table = Table {
    name: "block",
    columns: "number, kind, count, first, last, body, crc",
    key: &["number"],
    sound: |row| {
        let key = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        Ok(checksum(&key, &[blob(row, 5)?]) == row.get::<_, i64>(6)?)
    },
};

impl Table {
    /// Whether a row is as it was written.
    pub(crate) fn is_sound(&self, row: &Row<'_>) -> bool {
        (self.sound)(row).unwrap_or(false)
    }

    /// Names a row by its key as read, which may be what is wrong with it.
    pub(crate) fn describe(&self, row: &Row<'_>) -> String {
        let part = |at: usize| match row.get_ref(at) {
            Ok(rusqlite::types::ValueRef::Integer(value)) => value.to_string(),
            Ok(value) => value.as_str().unwrap_or("?").chars().take(40).collect(),
            Err(_) => "?".to_owned(),
        };
        let key: Vec<String> = self.key.iter().enumerate().map(|(at, name)| format!("{name} {}", part(at))).collect();
        format!("{} {}", self.name, key.join(", "))
    }
}

fn blob<'a>(row: &'a Row<'_>, at: usize) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(at)?.as_blob()?)
}

fn meta_sound(row: &Row<'_>) -> rusqlite::Result<bool> {
    let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(meta_crc(&key, &value) == row.get::<_, i64>(2)?)
}

fn name_sound(row: &Row<'_>) -> rusqlite::Result<bool> {
    let (number, level, id): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(name_crc(number, &level, &id) == row.get::<_, i64>(3)?)
}

fn refused_sound(row: &Row<'_>) -> rusqlite::Result<bool> {
    let (reason, meter, topic): (String, Option<String>, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let crc = refused_crc([row.get(0)?, row.get(1)?], (&reason, meter.as_deref(), &topic), blob(row, 5)?);
    Ok(crc == row.get::<_, i64>(6)?)
}

pub(crate) fn refused_crc(key: [i64; 2], texts: (&str, Option<&str>, &str), payload: &[u8]) -> i64 {
    let (reason, meter, topic) = texts;
    checksum(&key, &[reason.as_bytes(), meter.unwrap_or("").as_bytes(), topic.as_bytes(), payload])
}

// ---- scrubbing ---------------------------------------------------------------------------------------------------

/// Looks at everything, structure included; names what is wrong.
pub(crate) fn scrub(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut check = connection.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            wrong.push(format!("structure: {}", text.replace('\n', " ")));
        }
    }
    for table in LEDGER {
        walk(connection, &table, &mut wrong)?;
    }
    for kind in Kind::ALL {
        compare_digests(connection, kind, &mut wrong)?;
    }
    Ok(wrong)
}

fn walk(connection: &Connection, table: &Table, wrong: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT {} FROM {}", table.columns, table.name))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !table.is_sound(row) {
            wrong.push(table.describe(row));
        }
    }
    Ok(())
}

/// The rows that are there against what the seals noted.
fn compare_digests(connection: &Connection, kind: Kind, wrong: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut found: BTreeMap<i64, Digest> = BTreeMap::new();
    let mut statement = connection.prepare(kind.marks())?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Ok(mark) = digest::read_mark(row) else {
            // Its checksum has told of this one.
            continue;
        };
        found.entry(digest::bucket(mark[0])).or_default().add(mark);
    }
    for bucket in 0..BUCKETS {
        let (have, had) =
            (found.get(&bucket).copied().unwrap_or_default(), digest::read(connection, kind as i64, bucket)?);
        if have != had {
            // No counts: what is found again tomorrow is no news.
            wrong.push(format!("{kind:?} rows of bucket {bucket}: some are missing, or differ"));
        }
    }
    Ok(())
}
