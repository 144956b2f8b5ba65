//! Corrections of amounts, and the trail of everything that changed closed figures on purpose. The journal has a correction
//! first; here it stays as long as the ledger.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::cluster::MeterIx;
use crate::pipeline::{Adjusted, Adjustments, Booked};
use crate::quantity::{Quarter, Time};
use crate::store::bytes::{Cursor, Writer};
use crate::store::codec::checksum;
use crate::store::digest::{self, Changes, Kind};
use crate::store::{Ledger, Reader, StoreError, courses, schema};

/// A correction: the amount of a meter in a time, with its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The id of the meter.
    pub meter: String,
    /// From this quarter,
    pub from: Quarter,
    /// to this one, exclusive.
    pub to: Quarter,
    /// The amount, in base units.
    pub base: i64,
    /// The amount as it was written.
    pub text: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub decided: Time,
}

pub(crate) fn write(writer: &mut Writer, adjustment: &Adjustment) {
    for text in [&adjustment.meter, &adjustment.text, &adjustment.by, &adjustment.reason] {
        writer.bytes(text.as_bytes());
    }
    writer.signed(i128::from(adjustment.from.0));
    writer.signed(i128::from(adjustment.to.0));
    writer.signed(i128::from(adjustment.base));
    writer.signed(i128::from(adjustment.decided.0));
}

pub(crate) fn read(cursor: &mut Cursor<'_>) -> Option<Adjustment> {
    let mut words = || String::from_utf8(cursor.bytes()?.to_vec()).ok();
    let (meter, text, by, reason) = (words()?, words()?, words()?, words()?);
    let (from, to) = (Quarter(cursor.integer()?), Quarter(cursor.integer()?));
    let (base, decided) = (cursor.integer()?, Time(cursor.integer()?));
    Some(Adjustment { meter, from, to, base, text, by, reason, decided })
}

pub(crate) const COLUMNS: &str = "number, decided, body, crc";

/// Both tables have this shape.
pub(crate) fn is_sound(row: &Row<'_>) -> rusqlite::Result<bool> {
    let body = row.get_ref(2)?.as_blob()?;
    Ok(checksum(&[row.get(0)?, row.get(1)?], &[body]) == row.get::<_, i64>(3)?)
}

/// Up to which block the closed figures follow corrections.
const SETTLED: &str = "adjusted_to";

fn list(connection: &Connection) -> rusqlite::Result<Vec<(i64, Adjustment)>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM adjustment ORDER BY number"))?;
    let mut rows = statement.query([])?;
    let mut adjustments = Vec::new();
    while let Some(row) = rows.next()? {
        // A damaged one is for the scrub to tell; it counts for nothing.
        if !is_sound(row)? {
            continue;
        }
        let number = row.get(0)?;
        adjustments.extend(read(&mut Cursor(row.get_ref(2)?.as_blob()?)).map(|adjustment| (number, adjustment)));
    }
    Ok(adjustments)
}

fn keep(
    connection: &Connection,
    kind: Kind,
    (number, at): (i64, Time),
    body: &[u8],
    also: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    let crc = checksum(&[number, at.0], &[body]);
    let old = format!("{} WHERE number = ?1", kind.marks());
    let old = transaction.prepare_cached(&old)?.query_row([number], digest::read_mark).optional()?;
    let mut digests = Changes::default();
    digests.replace(kind, old, Some([number, at.0, 0, 0, crc]));
    let sql = format!("INSERT OR REPLACE INTO {}({COLUMNS}) VALUES (?1, ?2, ?3, ?4)", kind.table());
    transaction.prepare_cached(&sql)?.execute((number, at.0, body, crc))?;
    digests.write(&transaction)?;
    also(&transaction)?;
    transaction.commit()
}

/// What the closed figures follow from here on.
#[derive(Clone, Copy, Debug)]
pub enum Settled<'a> {
    /// What they did before.
    Nothing,
    /// The corrections up to this block.
    Adjustment(i64),
    /// A plan, by how it books each meter; and without what is gone.
    Plan(&'a [(MeterIx, Booked)], &'a [String]),
}

impl Ledger {
    /// Keeps what block `number` of the journal says; the same block twice is kept once.
    pub fn adjust(&mut self, number: i64, adjustment: &Adjustment) -> Result<(), StoreError> {
        let mut writer = Writer::default();
        write(&mut writer, adjustment);
        let kept = keep(&self.connection, Kind::Adjustment, (number, adjustment.decided), &writer.0, |_| Ok(()));
        kept.map_err(StoreError::database(self.path()))
    }

    /// All corrections of declared meters, in the order in which they were made.
    pub fn adjustments(&self) -> Result<Adjustments, StoreError> {
        let all = list(&self.connection).map_err(StoreError::database(self.path()))?;
        Ok(of_meters(&all, |id| self.topology.find_meter(id)))
    }

    /// The corrections that the closed figures do not follow yet, with their blocks.
    pub fn unsettled_adjustments(&self) -> Result<Vec<(i64, Adjustment)>, StoreError> {
        let settled = self.meta(SETTLED)?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let all = list(&self.connection).map_err(StoreError::database(self.path()))?;
        Ok(all.into_iter().filter(|(number, _)| *number > settled).collect())
    }

    /// Adds a line of JSON to the trail, and with it notes what the closed figures follow: both or neither.
    pub fn note_audit(&mut self, at: Time, line: &str, settled: Settled<'_>) -> Result<(), StoreError> {
        let also = |connection: &Connection| match settled {
            Settled::Nothing => Ok(()),
            Settled::Adjustment(number) => schema::set_meta(connection, SETTLED, &number.to_string()),
            Settled::Plan(all, gone) => courses::write(connection, &self.topology, all, gone),
        };
        let last = "SELECT coalesce(max(number), 0) FROM audit";
        let number = self.connection.query_row(last, [], |row| row.get::<_, i64>(0));
        let noted =
            number.and_then(|number| keep(&self.connection, Kind::Audit, (number + 1, at), line.as_bytes(), also));
        noted.map_err(StoreError::database(self.path()))
    }
}

impl Reader {
    /// All corrections of declared meters.
    pub(crate) fn adjustments(&self) -> Result<Adjustments, StoreError> {
        let all = list(self.connection()).map_err(StoreError::database(self.path()))?;
        Ok(of_meters(&all, |id| self.topology().find_meter(id)))
    }

    /// The trail of what changed closed figures on purpose, oldest first: a JSON object a line.
    pub fn audit(&self) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql = format!("SELECT {COLUMNS} FROM audit ORDER BY number");
            let mut statement = self.connection().prepare_cached(&sql)?;
            let rows =
                statement.query_map([], |row| Ok(String::from_utf8_lossy(row.get_ref(2)?.as_blob()?).into_owned()))?;
            rows.collect()
        };
        read().map_err(StoreError::database(self.path()))
    }
}

fn of_meters(all: &[(i64, Adjustment)], find: impl Fn(&str) -> Option<MeterIx>) -> Adjustments {
    let mut adjustments = Adjustments::default();
    for (_, adjustment) in all {
        if let Some(meter) = find(&adjustment.meter) {
            adjustments.note(meter, Adjusted { from: adjustment.from, to: adjustment.to, amount: adjustment.base });
        }
    }
    adjustments
}
