//! How each meter is booked in the closed figures, and what of its amounts is still there to be booked differently.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use crate::cluster::{Entity, MeterIx, Topology};
use crate::pipeline::Booked;
use crate::quantity::{Quarter, Time, Window};
use crate::store::bytes::Writer;
use crate::store::codec::{checksum, write_minute};
use crate::store::digest::{self, Changes, Kind};
use crate::store::ledger::read_row;
use crate::store::retention::{self, read_day};
use crate::store::{Ledger, Names, Reader, StoreError, schema};

impl Ledger {
    /// How a meter is booked in what is closed. `None`: it was never said.
    pub fn booked(&self, meter: MeterIx) -> Result<Option<Booked>, StoreError> {
        let id = self.topology.meter(meter).id.as_str();
        booked(&self.connection, id).map_err(StoreError::database(self.path()))
    }

    /// Meters that are declared no more and had no readings of their own, as they were booked.
    pub fn gone(&self) -> Result<Vec<(String, Booked)>, StoreError> {
        gone(&self.connection, &self.topology).map_err(StoreError::database(self.path()))
    }

    /// Says how meters are booked in what is closed.
    pub fn set_booked(&mut self, all: &[(MeterIx, Booked)]) -> Result<(), StoreError> {
        let set = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            write(&transaction, &self.topology, all, &[])?;
            transaction.commit()
        };
        set().map_err(StoreError::database(self.path()))
    }

    /// The quarters in `[from, to)` that some of these meters have an amount in: read, or set by an operator.
    pub fn stored_quarters(
        &self,
        meters: &[MeterIx],
        (from, to): (Quarter, Quarter),
    ) -> Result<BTreeSet<Quarter>, StoreError> {
        let mut quarters = stored_quarters(&self.connection, &self.names, meters, (from, to))
            .map_err(StoreError::database(self.path()))?;
        let adjustments = self.adjustments()?;
        meters.iter().for_each(|meter| adjustments.quarters(*meter, (from, to), &mut quarters));
        Ok(quarters)
    }

    /// The quarters in which an entity has an entry.
    pub fn entered(&self, entity: Entity, range: (Quarter, Quarter)) -> Result<BTreeSet<Quarter>, StoreError> {
        let number = self.names.number(entity);
        entered(&self.connection, number, range).map_err(StoreError::database(self.path()))
    }

    /// The first quarter-hour entry of an entity.
    pub fn first_entry(&self, entity: Entity) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT min(start) FROM entry WHERE entity = ?1 AND window = ?2";
        let number = self.names.number(entity);
        let found =
            self.connection.query_row(sql, (number, Window::Quarter as i64), |row| row.get::<_, Option<i64>>(0));
        Ok(found.map_err(StoreError::database(self.path()))?.map(Time))
    }

    /// A meter's figures of these quarters are others, though its amounts are not: a new revision of each.
    pub fn mark_changed(&mut self, meter: MeterIx, quarters: &[Quarter]) -> Result<(), StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        let mut changed = self.changed();
        let mut mark = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            let mut digests = Changes::default();
            for quarter in quarters {
                self.mark_row(&transaction, (number, *quarter), &mut changed, &mut digests)?;
            }
            digests.write(&transaction)?;
            mark_days(&transaction, number, quarters)?;
            schema::set_meta(&transaction, "changed", &changed.to_string())?;
            transaction.commit()
        };
        mark().map_err(StoreError::database(self.path()))?;
        self.set_changed(changed);
        Ok(())
    }

    fn mark_row(
        &self,
        transaction: &rusqlite::Transaction<'_>,
        (number, quarter): (i64, Quarter),
        changed: &mut i64,
        digests: &mut Changes,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter WHERE meter = ?1 AND start = ?2";
        let mut select = transaction.prepare_cached(sql)?;
        let mut rows = select.query((number, quarter.0))?;
        let Some(row) = rows.next()? else {
            // There is no row to say it: the database is told by a note.
            *changed += 1;
            let sql = "INSERT OR REPLACE INTO again(meter, start, changed) VALUES (?1, ?2, ?3)";
            transaction.prepare_cached(sql)?.execute((number, quarter.0, *changed))?;
            return Ok(());
        };
        // A damaged record stays as it is, to be found.
        if read_row(&self.names, row).is_none() {
            return Ok(());
        }
        let (readings, minutes): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let revision = row.get::<_, u32>(4)?.saturating_add(1);
        *changed += 1;
        let crc = checksum(&[number, i64::from(quarter.0), i64::from(revision)], &[&readings, &minutes]);
        let marks = format!("{} WHERE meter = ?1 AND start = ?2", Kind::Quarter.marks());
        let old = transaction.prepare_cached(&marks)?.query_row((number, quarter.0), digest::read_mark).optional()?;
        digests.replace(Kind::Quarter, old, Some([number, i64::from(quarter.0), 0, *changed, crc]));
        let sql = "UPDATE quarter SET revision = ?3, changed = ?4, crc = ?5 WHERE meter = ?1 AND start = ?2";
        transaction.prepare_cached(sql)?.execute((number, quarter.0, revision, *changed, crc))?;
        Ok(())
    }
}

fn key(meter: &str) -> String {
    format!("{COURSE}{meter}")
}

const COURSE: &str = "course/";

/// Writes how meters are booked, and takes out what is gone.
pub(crate) fn write(
    connection: &Connection,
    topology: &Topology,
    all: &[(MeterIx, Booked)],
    gone: &[String],
) -> rusqlite::Result<()> {
    for (meter, booked) in all {
        let pairs: Vec<(i64, u64)> = booked.course.iter().map(|(to, mark)| (to.0, *mark)).collect();
        let text = serde_json::json!((pairs, &booked.facilities, booked.is_derived)).to_string();
        let key = key(topology.meter(*meter).id.as_str());
        if schema::meta(connection, &key)?.as_ref() != Some(&text) {
            schema::set_meta(connection, &key, &text)?;
        }
    }
    for id in gone {
        connection.execute("DELETE FROM meta WHERE key = ?1", [key(id)])?;
    }
    Ok(())
}

type Written = (Vec<(i64, u64)>, Vec<String>, bool);

fn booked(connection: &Connection, meter: &str) -> rusqlite::Result<Option<Booked>> {
    let Some(text) = schema::meta(connection, &key(meter))? else {
        return Ok(None);
    };
    let written: Option<Written> = serde_json::from_str(&text).ok();
    Ok(written.map(|(pairs, facilities, is_derived)| {
        let course = pairs.into_iter().map(|(to, mark)| (Time(to), mark)).collect();
        Booked { course, facilities, is_derived }
    }))
}

fn gone(connection: &Connection, topology: &Topology) -> rusqlite::Result<Vec<(String, Booked)>> {
    let mut statement = connection.prepare_cached("SELECT key FROM meta WHERE key LIKE 'course/%'")?;
    let keys = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut gone = Vec::new();
    for id in keys.iter().filter_map(|key| key.strip_prefix(COURSE)).filter(|id| topology.find_meter(id).is_none()) {
        gone.extend(booked(connection, id)?.filter(|booked| booked.is_derived).map(|booked| (id.to_owned(), booked)));
    }
    Ok(gone)
}

/// The quarters in `[from, to)` in which an entity has an entry.
fn entered(
    connection: &Connection,
    number: i64,
    (from, to): (Quarter, Quarter),
) -> rusqlite::Result<BTreeSet<Quarter>> {
    let sql = "SELECT start FROM entry WHERE entity = ?1 AND window = ?2 AND start >= ?3 AND start < ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let range = (number, Window::Quarter as i64, from.start().0, to.start().0);
    let rows = statement.query_map(range, |row| row.get(0).map(|start| Time(start).quarter()))?;
    rows.collect()
}

fn stored_quarters(
    connection: &Connection,
    names: &Names,
    meters: &[MeterIx],
    (from, to): (Quarter, Quarter),
) -> rusqlite::Result<BTreeSet<Quarter>> {
    let mut quarters = BTreeSet::new();
    for number in meters.iter().map(|meter| names.number(Entity::Meter(*meter))) {
        let sql = "SELECT start FROM quarter WHERE meter = ?1 AND start >= ?2 AND start < ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map((number, from.0, to.0), |row| row.get(0).map(Quarter))?;
        for quarter in rows {
            quarters.insert(quarter?);
        }
        let sql = "SELECT meter, start, body, crc FROM day WHERE meter = ?1 AND start > ?2 AND start < ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query((number, from.0.saturating_sub(96), to.0))?;
        while let Some(row) = rows.next()? {
            let day = read_day(row).unwrap_or_default();
            quarters.extend(day.into_iter().map(|(quarter, ..)| quarter).filter(|q| (from..to).contains(q)));
        }
    }
    Ok(quarters)
}

impl Reader {
    /// How a meter is booked in what is closed. `None`: it was never said.
    pub fn booked(&self, meter: MeterIx) -> Result<Option<Booked>, StoreError> {
        let id = self.topology().meter(meter).id.as_str();
        booked(self.connection(), id).map_err(StoreError::database(self.path()))
    }

    /// Meters that are declared no more and had no readings of their own, as they were booked.
    pub fn gone(&self) -> Result<Vec<(String, Booked)>, StoreError> {
        gone(self.connection(), self.topology()).map_err(StoreError::database(self.path()))
    }

    /// The quarters in which an entity has an entry.
    pub fn entered(&self, entity: Entity, range: (Quarter, Quarter)) -> Result<BTreeSet<Quarter>, StoreError> {
        let number = self.names().number(entity);
        entered(self.connection(), number, range).map_err(StoreError::database(self.path()))
    }

    /// The quarters in `[from, to)` that some of these meters have an amount in: read, or set by an operator.
    pub fn stored_quarters(
        &self,
        meters: &[MeterIx],
        range: (Quarter, Quarter),
    ) -> Result<BTreeSet<Quarter>, StoreError> {
        let stored = stored_quarters(self.connection(), self.names(), meters, range);
        let mut quarters = stored.map_err(StoreError::database(self.path()))?;
        let adjustments = self.adjustments()?;
        meters.iter().for_each(|meter| adjustments.quarters(*meter, range, &mut quarters));
        Ok(quarters)
    }
}

/// The same for quarters of which only the sums are left, a record a day.
fn mark_days(transaction: &rusqlite::Transaction<'_>, number: i64, quarters: &[Quarter]) -> rusqlite::Result<()> {
    let wanted: BTreeSet<Quarter> = quarters.iter().copied().collect();
    let days: BTreeSet<i32> = quarters.iter().map(|quarter| quarter.0.div_euclid(96) * 96).collect();
    for start in days {
        let sql = "SELECT meter, start, body, crc FROM day WHERE meter = ?1 AND start = ?2";
        let mut select = transaction.prepare_cached(sql)?;
        let mut rows = select.query((number, start))?;
        let Some(day) = rows.next()?.and_then(read_day) else {
            continue;
        };
        let mut writer = Writer::default();
        writer.unsigned(day.len() as u128);
        for (quarter, activity, revision) in day {
            writer.signed(i128::from(quarter.0 - start));
            writer.unsigned(u128::from(revision + u32::from(wanted.contains(&quarter))));
            write_minute(&mut writer, &activity.total());
        }
        retention::store_day(transaction, (number, start), &writer.0)?;
    }
    Ok(())
}
