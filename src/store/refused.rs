//! What was received and not booked, for people to look at: the latest hundred thousand.

use rusqlite::{Connection, Transaction};

use crate::quantity::Time;
use crate::store::StoreError;
use crate::store::records::refused_crc;

const KEEP: i64 = 100_000;
/// What is kept of a payload.
const PAYLOAD_MAX: usize = 1_024;

/// A message, or one reading of it, that is not booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it arrived.
    pub received: Time,
    /// `late`, or why it was refused.
    pub reason: String,
    /// The meter it was for, where that is known.
    pub meter: Option<String>,
    /// The topic.
    pub topic: String,
    /// The payload, cut short.
    pub payload: Vec<u8>,
}

pub(crate) fn write(transaction: &Transaction<'_>, refused: &[Refused]) -> rusqlite::Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut next: i64 =
        transaction.query_row("SELECT coalesce(max(number), 0) + 1 FROM refused", [], |row| row.get(0))?;
    let sql =
        "INSERT INTO refused(number, received, reason, meter, topic, payload, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut insert = transaction.prepare_cached(sql)?;
    for message in refused {
        let payload = message.payload.get(..PAYLOAD_MAX).unwrap_or(&message.payload);
        let (reason, meter, topic) = (&message.reason, message.meter.as_deref(), &message.topic);
        let crc = refused_crc([next, message.received.0], (reason, meter, topic), payload);
        insert.execute((next, message.received.0, reason, meter, topic, payload, crc))?;
        next += 1;
    }
    transaction.execute("DELETE FROM refused WHERE number < ?1", [next - KEEP]).map(drop)
}

/// The latest first.
pub(crate) fn list(connection: &Connection, reason: Option<&str>, limit: usize) -> rusqlite::Result<Vec<Refused>> {
    let sql = "SELECT received, reason, meter, topic, payload FROM refused
               WHERE ?1 IS NULL OR reason = ?1 ORDER BY number DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((reason, limit as i64), |row| {
        Ok(Refused {
            received: Time(row.get(0)?),
            reason: row.get(1)?,
            meter: row.get(2)?,
            topic: row.get(3)?,
            payload: row.get(4)?,
        })
    })?;
    rows.collect()
}

impl crate::store::Reader {
    /// What was not booked, the latest first.
    pub fn refused(&self, reason: Option<&str>, limit: usize) -> Result<Vec<Refused>, StoreError> {
        list(self.connection(), reason, limit).map_err(StoreError::database(self.path()))
    }
}
