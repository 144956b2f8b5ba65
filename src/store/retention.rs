//! What is kept how long: readings up to the horizon, minutes 35 days, activity by quarter for years, entries for ever.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Params, Row as SqlRow, Transaction};

use crate::cluster::{Entity, MeterIx};
use crate::quantity::{Quarter, Span, Time, Window};
use crate::store::bytes::{Cursor, Writer};
use crate::store::codec::{checksum, read_minute, write_minute};
use crate::store::digest::{self, Changes, Kind};
use crate::store::ledger::read_row;
use crate::store::{Ledger, Names, StoreError};
use crate::window::Activity;

/// Entries of a minute are kept this long, or as long as a late reading may change them.
const KEEP_MINUTES: Span = Span::days(35);
const QUARTERS_A_DAY: i32 = 96;
/// A reading in time may still change what lies this far before it: the longest gap or interval that is booked, 35
/// days, and a margin.
const REACH_BACK: Span = Span::days(37);

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Readings: after this no late one can arrive.
    pub late_horizon: Span,
    /// Activity by quarter.
    pub activity: Span,
}

impl Ledger {
    /// Packs quarters past the horizon into one record a meter and day, and drops what is past keeping. Call now and then;
    /// each meter is a transaction of its own, so that seals are never held up for long.
    pub fn retain(&mut self, meter: MeterIx, now: Time, keep: Keep) -> Result<(), StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        let settled = now.minus(keep.late_horizon).minus(REACH_BACK);
        let settled = settled.quarter().0.div_euclid(QUARTERS_A_DAY) * QUARTERS_A_DAY;
        let expired = now.minus(keep.activity).quarter().0;
        let path = self.path().to_owned();
        let names = Arc::clone(&self.names);
        let mut run = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            // The last readings stay, however old: the next one continues from them.
            let settled = settled.min(last_needed(&transaction, &names, number)?.unwrap_or(settled));
            let rows = {
                let sql = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter WHERE meter = ?1 AND start < ?2 ORDER BY start";
                let mut statement = transaction.prepare_cached(sql)?;
                let mut found = statement.query((number, settled))?;
                let mut rows = Vec::new();
                while let Some(row) = found.next()? {
                    // A damaged record stays where it is, to be looked at.
                    rows.extend(read_row(&names, row));
                }
                rows
            };
            for day in rows.chunk_by(|a, b| day_of(a.held.quarter) == day_of(b.held.quarter)) {
                let quarters = day.iter().map(|row| (row.held.quarter, &row.activity, row.revision));
                // Beside a damaged record nothing is packed, so that nothing more is lost.
                if !write_day(&transaction, number, quarters)? {
                    continue;
                }
                for row in day {
                    let start = row.held.quarter.0;
                    delete(&transaction, Kind::Quarter, "meter = ?1 AND start = ?2", (number, start))?;
                }
            }
            delete(&transaction, Kind::Day, "meter = ?1 AND start < ?2", (number, expired))?;
            transaction.commit()
        };
        run().map_err(StoreError::database(path))
    }

    /// Drops an entity's minutes that are past keeping.
    pub fn retain_minutes(&mut self, entity: Entity, now: Time, keep: Keep) -> Result<(), StoreError> {
        let before = now.minus(KEEP_MINUTES.max(keep.late_horizon)).0;
        let condition = format!("entity = ?1 AND window = {} AND start < ?2", Window::Minute as i64);
        let number = self.names.number(entity);
        let path = self.path().to_owned();
        let mut run = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            delete(&transaction, Kind::Entry, &condition, (number, before))?;
            transaction.commit()
        };
        run().map_err(StoreError::database(path))
    }
}

/// Where the last readings begin that a new one is judged by: a few good ones, and the one before.
fn last_needed(transaction: &Transaction<'_>, names: &Names, number: i64) -> rusqlite::Result<Option<i32>> {
    const READINGS: usize = 8;
    let sql = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter WHERE meter = ?1 ORDER BY start DESC";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([number])?;
    let (mut counted, mut good, mut last) = (0, 0, None);
    while let Some(row) = rows.next()? {
        let Some(row) = read_row(names, row) else {
            continue;
        };
        last = Some(row.held.quarter.0);
        counted += row.held.count_good();
        // One good reading may be among the last; the one before it is the context.
        good += usize::from(row.held.last_good().is_some());
        if counted >= READINGS && good >= 2 {
            break;
        }
    }
    Ok(last)
}

/// Deletes rows, and takes them out of the digests.
fn delete(
    transaction: &Transaction<'_>,
    kind: Kind,
    condition: &str,
    parameters: impl Params + Copy,
) -> rusqlite::Result<()> {
    let mut digests = Changes::default();
    let mut marks = transaction.prepare_cached(&format!("{} WHERE {condition}", kind.marks()))?;
    let mut rows = marks.query(parameters)?;
    while let Some(row) = rows.next()? {
        digests.replace(kind, Some(digest::read_mark(row)?), None);
    }
    let sql = format!("DELETE FROM {} WHERE {condition}", kind.table());
    transaction.prepare_cached(&sql)?.execute(parameters)?;
    digests.write(transaction)
}

fn day_of(quarter: Quarter) -> i32 {
    quarter.0.div_euclid(QUARTERS_A_DAY)
}

/// Adds to a day's record what is packed now; a day may be packed in parts. False: the day's record is damaged.
fn write_day<'a>(
    transaction: &Transaction<'_>,
    meter: i64,
    quarters: impl Iterator<Item = (Quarter, &'a Activity, u32)>,
) -> rusqlite::Result<bool> {
    let fresh: Vec<(Quarter, Activity, u32)> = quarters.map(|(q, a, r)| (q, a.clone(), r)).collect();
    let Some(start) = fresh.first().map(|(q, ..)| day_of(*q) * QUARTERS_A_DAY) else {
        return Ok(true);
    };
    let mut select =
        transaction.prepare_cached("SELECT meter, start, body, crc FROM day WHERE meter = ?1 AND start = ?2")?;
    let mut found = select.query((meter, start))?;
    let mut all = match found.next()? {
        Some(row) => match read_day(row) {
            Some(day) => day,
            None => return Ok(false),
        },
        None => Vec::new(),
    };
    all.retain(|(q, ..)| !fresh.iter().any(|(f, ..)| f == q));
    all.extend(fresh);
    all.sort_by_key(|(q, ..)| *q);
    let mut writer = Writer::default();
    writer.unsigned(all.len() as u128);
    for (quarter, activity, revision) in &all {
        writer.signed(i128::from(quarter.0 - start));
        writer.unsigned(u128::from(*revision));
        write_minute(&mut writer, &activity.total());
    }
    store_day(transaction, (meter, start), &writer.0)?;
    Ok(true)
}

pub(crate) fn store_day(
    transaction: &Transaction<'_>,
    (meter, start): (i64, i32),
    body: &[u8],
) -> rusqlite::Result<()> {
    let crc = checksum(&[meter, i64::from(start)], &[body]);
    let sql = "INSERT INTO day(meter, start, body, crc) VALUES (?1, ?2, ?3, ?4) ON CONFLICT(meter, start) DO UPDATE SET body = ?3, crc = ?4";
    let key = format!("{} WHERE meter = ?1 AND start = ?2", Kind::Day.marks());
    let old = transaction.prepare_cached(&key)?.query_row((meter, start), digest::read_mark).optional()?;
    transaction.prepare_cached(sql)?.execute((meter, start, body, crc))?;
    let mut digests = Changes::default();
    digests.replace(Kind::Day, old, Some([meter, i64::from(start), 0, 0, crc]));
    digests.write(transaction)
}

/// Columns: meter, start, body, crc. A packed quarter has no minutes. `None`: damaged.
pub(crate) fn read_day(row: &SqlRow<'_>) -> Option<Vec<(Quarter, Activity, u32)>> {
    let (meter, start, crc): (i64, i32, i64) = (row.get(0).ok()?, row.get(1).ok()?, row.get(3).ok()?);
    let body = row.get_ref(2).ok()?.as_blob().ok()?;
    if checksum(&[meter, i64::from(start)], &[body]) != crc {
        return None;
    }
    let mut cursor = Cursor(body);
    let mut quarters = Vec::new();
    for _ in 0..cursor.number::<u32>()? {
        let quarter = Quarter(start.checked_add(cursor.integer()?)?);
        let revision = cursor.number()?;
        quarters.push((quarter, Activity::packed(read_minute(&mut cursor)?), revision));
    }
    Some(quarters)
}
