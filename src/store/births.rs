//! Births and deaths of gateways: what an alias stands for is told once, and holds for months.

use rusqlite::{Connection, Row, Transaction};

use crate::decode::Message;
use crate::quantity::Time;
use crate::store::codec::checksum;
use crate::store::{Ledger, Reader, StoreError};

pub(crate) const COLUMNS: &str = "number, received, topic, payload, crc";
/// Of each topic, so many are kept of the time before what a start reads again: data may arrive in another order.
const KEEP_OLD: i64 = 2;
/// Of each topic, so many are kept at most; a gateway that is born every second has a fault.
const KEEP_MAX: i64 = 1_000;

fn crc(number: i64, received: i64, topic: &str, payload: &[u8]) -> i64 {
    checksum(&[number, received], &[topic.as_bytes(), payload])
}

pub(crate) fn is_sound(row: &Row<'_>) -> rusqlite::Result<bool> {
    let (topic, payload): (String, Vec<u8>) = (row.get(2)?, row.get(3)?);
    Ok(crc(row.get(0)?, row.get(1)?, &topic, &payload) == row.get::<_, i64>(4)?)
}

/// Adds births, and forgets those that no start before `horizon` can need.
pub(crate) fn write(transaction: &Transaction<'_>, births: &[Message], horizon: Time) -> rusqlite::Result<()> {
    if births.is_empty() {
        return Ok(());
    }
    let next = "SELECT coalesce(max(number), 0) + 1 FROM birth";
    let next: i64 = transaction.query_row(next, [], |row| row.get(0))?;
    for (number, message) in (next..).zip(births) {
        let (received, topic, payload) = (message.received.0, &message.topic, &*message.payload);
        let sql = format!("INSERT INTO birth({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
        let row = (number, received, topic, payload, crc(number, received, topic, payload));
        transaction.prepare_cached(&sql)?.execute(row)?;
        let sql = "DELETE FROM birth WHERE topic = ?1 AND (
                   received < ?2 AND number NOT IN (
                       SELECT number FROM birth WHERE topic = ?1 AND received < ?2 ORDER BY number DESC LIMIT ?3)
                   OR number NOT IN (SELECT number FROM birth WHERE topic = ?1 ORDER BY number DESC LIMIT ?4))";
        transaction.prepare_cached(sql)?.execute((topic, horizon.0, KEEP_OLD, KEEP_MAX))?;
    }
    Ok(())
}

/// What was received before a time, in order; what is damaged is left out, and is told at the gateway's next birth.
fn before(connection: &Connection, time: Time) -> rusqlite::Result<Vec<Message>> {
    let sql = format!("SELECT {COLUMNS} FROM birth WHERE received < ?1 ORDER BY received, number");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([time.0])?;
    let mut births = Vec::new();
    while let Some(row) = rows.next()? {
        if is_sound(row)? {
            let payload: Vec<u8> = row.get(3)?;
            let (received, topic) = (Time(row.get(1)?), row.get(2)?);
            let payload = payload.into();
            births.push(Message { received, topic, payload, retain: false, dup: false, oversize: false });
        }
    }
    Ok(births)
}

impl Ledger {
    /// The births and deaths received before a time, in order.
    pub fn births(&self, time: Time) -> Result<Vec<Message>, StoreError> {
        before(&self.connection, time).map_err(StoreError::database(self.path()))
    }
}

impl Reader {
    /// The births and deaths received before a time, in order.
    pub fn births(&self, time: Time) -> Result<Vec<Message>, StoreError> {
        before(self.connection(), time).map_err(StoreError::database(self.path()))
    }
}
