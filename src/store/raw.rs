//! Messages as they were received, looked up beside whoever owns the journal.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::decode::Message;
use crate::quantity::{Span, Time, Zone};
use crate::store::{Block, Record, StoreError};

/// The messages on a topic that were received in `[from, to]`, as far as the journal still has them. What cannot be read is left
/// out: nothing is booked from this.
pub fn received(state: &Path, topic: &str, (from, to): (Time, Time)) -> Result<Vec<Message>, StoreError> {
    let directory = state.join("journal");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut messages = Vec::new();
    for path in files {
        let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".db"));
        // A file holds what was written on its day, and history is written later than it says it was received.
        let Some((day, _)) = stem.and_then(|day| Zone::UTC.day_of_text(day)) else {
            continue;
        };
        if day.plus(Span::days(2)) >= from {
            read(&path, topic, (from, to), &mut messages).map_err(StoreError::database(&path))?;
        }
    }
    Ok(messages)
}

fn read(path: &Path, topic: &str, (from, to): (Time, Time), messages: &mut Vec<Message>) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    let sql =
        "SELECT number, kind, count, body FROM block WHERE kind = 0 AND last >= ?1 AND first <= ?2 ORDER BY number";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query((from.0, to.0))?;
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(3)?;
        let block = Block::decode([row.get(0)?, row.get(1)?, row.get(2)?], &body);
        if let Some(Block { record: Record::Messages(all), .. }) = block {
            messages.extend(all.into_iter().filter(|m| m.topic == topic && (from..=to).contains(&m.received)));
        }
    }
    Ok(())
}
