//! What operators decided about readings. The journal has it first; here it stays as long as the ledger.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::cluster::{Entity, MeterIx};
use crate::meter::Verdict;
use crate::quantity::{Quarter, Time};
use crate::store::bytes::{Cursor, Writer};
use crate::store::codec::checksum;
use crate::store::digest::{self, Changes, Kind};
use crate::store::ledger::read_row;
use crate::store::{Ledger, Reader, StoreError};

/// A decision about one reading, with its author: part of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The id of the meter.
    pub meter: String,
    /// The time of the reading.
    pub time: Time,
    /// Its value then, in base units.
    pub base: i64,
    /// What was decided.
    pub verdict: Verdict,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub decided: Time,
}

pub(crate) fn write(writer: &mut Writer, judgement: &Judgement) {
    for text in [&judgement.meter, judgement.verdict.name(), &judgement.by, &judgement.reason] {
        writer.bytes(text.as_bytes());
    }
    writer.signed(i128::from(judgement.time.0));
    writer.signed(i128::from(judgement.base));
    writer.signed(i128::from(judgement.decided.0));
}

pub(crate) fn read(cursor: &mut Cursor<'_>) -> Option<Judgement> {
    let mut text = || String::from_utf8(cursor.bytes()?.to_vec()).ok();
    let (meter, verdict, by, reason) = (text()?, text()?, text()?, text()?);
    let (time, base, decided) = (Time(cursor.integer()?), cursor.integer()?, Time(cursor.integer()?));
    Some(Judgement { meter, time, base, verdict: Verdict::parse(&verdict)?, by, reason, decided })
}

pub(crate) const COLUMNS: &str = "number, decided, meter, time, base, verdict, author, reason, crc";

pub(crate) fn is_sound(row: &Row<'_>) -> rusqlite::Result<bool> {
    let (number, stored): (i64, i64) = (row.get(0)?, row.get(8)?);
    Ok(from_row(row)?.is_some_and(|judgement| crc(number, &judgement) == stored))
}

fn crc(number: i64, judgement: &Judgement) -> i64 {
    let mut writer = Writer::default();
    write(&mut writer, judgement);
    checksum(&[number], &[&writer.0])
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Option<Judgement>> {
    let (verdict, time, decided): (String, i64, i64) = (row.get(5)?, row.get(3)?, row.get(1)?);
    let (meter, base, by, reason) = (row.get(2)?, row.get(4)?, row.get(6)?, row.get(7)?);
    let judgement = |verdict| Judgement { meter, time: Time(time), base, verdict, by, reason, decided: Time(decided) };
    Ok(Verdict::parse(&verdict).map(judgement))
}

/// In the order in which they were made.
fn list(connection: &Connection) -> rusqlite::Result<Vec<Judgement>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM verdict ORDER BY number"))?;
    let mut rows = statement.query([])?;
    let mut judgements = Vec::new();
    while let Some(row) = rows.next()? {
        judgements.extend(from_row(row)?);
    }
    Ok(judgements)
}

impl Ledger {
    /// Keeps what block `number` of the journal says; the same block twice is kept once.
    pub fn judge(&mut self, number: i64, judgement: &Judgement) -> Result<(), StoreError> {
        let keep = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            let crc = crc(number, judgement);
            let old = format!("{} WHERE number = ?1", Kind::Verdict.marks());
            let old = transaction.prepare_cached(&old)?.query_row([number], digest::read_mark).optional()?;
            let mut digests = Changes::default();
            digests.replace(Kind::Verdict, old, Some([number, judgement.decided.0, 0, 0, crc]));
            let Judgement { meter, time, base, verdict, by, reason, decided } = judgement;
            let sql = format!("INSERT OR REPLACE INTO verdict({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
            let values = (number, decided.0, meter, time.0, base, verdict.name(), by, reason, crc);
            transaction.prepare_cached(&sql)?.execute(values)?;
            digests.write(&transaction)?;
            transaction.commit()
        };
        keep().map_err(StoreError::database(self.path()))
    }

    /// All that was decided, in the order in which it was.
    pub fn judgements(&self) -> Result<Vec<Judgement>, StoreError> {
        list(&self.connection).map_err(StoreError::database(self.path()))
    }
}

impl Reader {
    /// All that was decided, in the order in which it was.
    pub fn judgements(&self) -> Result<Vec<Judgement>, StoreError> {
        list(self.connection()).map_err(StoreError::database(self.path()))
    }

    /// The stored readings that are set aside, of quarters that begin in `[from, to)`.
    pub fn set_aside(&self, (from, to): (Quarter, Quarter)) -> Result<Vec<(MeterIx, Time, i64)>, StoreError> {
        let sql = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter
                   WHERE meter = ?1 AND start >= ?2 AND start < ?3 ORDER BY start";
        let mut found = Vec::new();
        let mut read = |meter: MeterIx| -> rusqlite::Result<bool> {
            let number = self.names().number(Entity::Meter(meter));
            let mut statement = self.connection().prepare_cached(sql)?;
            let mut rows = statement.query((number, from.0, to.0))?;
            while let Some(row) = rows.next()? {
                let Some(row) = read_row(self.names(), row) else {
                    return Ok(false);
                };
                found.extend(row.held.set_aside().map(|(time, value)| (meter, time, value)));
            }
            Ok(true)
        };
        for meter in self.meters() {
            if !read(meter).map_err(StoreError::database(self.path()))? {
                return Err(self.damaged("a quarter", Entity::Meter(meter)));
            }
        }
        Ok(found)
    }
}
