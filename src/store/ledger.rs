//! `ledger.db`: quarters of meters, entries above them, counters, and how far the journal is accounted for. One writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, Transaction};

use crate::cluster::{Entity, FacilityIx, MeterIx, Topology};
use crate::ledger::{Closed, Key, Range, SealedEntry};
use crate::meter::{Held, Need};
use crate::pipeline::{Counters, Row, Seal, SealedRow, Supply, Want};
use crate::quantity::{Quarter, Span, Time, Window};
use crate::store::codec::{
    checksum, read_activity, read_balance, read_held, write_activity, write_balance, write_held,
};
use crate::store::counters::{read_counters, write_counters};
use crate::store::digest::{self, Changes, Kind};
use crate::store::retention::read_day;
use crate::store::{Names, Refused, StoreError, births, identity, incarnation, refused, rescue, salvage, schema};
use crate::window::Activity;

/// A start reads the journal again from shortly before the open quarter.
const BIRTHS_BACK: Span = Span::days(1);

/// How far the ledger accounts for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first open quarter at the last seal.
    pub open_from: Quarter,
    /// The time of the last seal.
    pub now: Time,
    /// Blocks up to this number are counted.
    pub counted_to: i64,
    /// The counts.
    pub counters: Counters,
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) topology: Arc<Topology>,
    pub(crate) names: Arc<Names>,
    changed: i64,
    found: Vec<String>,
}

impl Ledger {
    /// Opens or creates the ledger of a state directory for the entities of a plan. What is damaged is set aside and
    /// named in [`Ledger::found_damage`]. An id that stands for something else than what is stored under it is refused.
    pub fn open(state: &Path, topology: Arc<Topology>) -> Result<Ledger, StoreError> {
        let path = state.join("ledger.db");
        salvage::finish(&path)?;
        refuse_redeclared(&path, &topology)?;
        let is_gone = incarnation::read(state).is_some() && !path.exists();
        let (mut connection, mut found) = rescue::open(&path)?;
        if is_gone {
            tracing::error!(file = %path.display(), "the ledger is gone; what the journal reaches is booked anew");
            found.push("ledger.db: all of it, the file was gone".to_owned());
            rescue::note_to_rebuild(&connection, &found).map_err(StoreError::database(&path))?;
        }
        identity::check(&connection, &topology, &path)?;
        let names = Arc::new(name_all(&mut connection, &topology).map_err(StoreError::database(&path))?);
        let highest = "SELECT max(coalesce((SELECT max(changed) FROM entry), 0), coalesce((SELECT max(changed) FROM quarter), 0))";
        let changed = connection.query_row(highest, [], |row| row.get(0)).map_err(StoreError::database(&path))?;
        let mut ledger = Ledger { path, connection, topology, names, changed, found };
        // The rows that were changed last may be packed or dropped by now; the sinks' cursors are not.
        ledger.changed = ledger.changed.max(ledger.number("changed")?.unwrap_or(0));
        ledger.keep_incarnation(state)?;
        Ok(ledger)
    }

    /// What opening found damaged, and could not take over.
    pub fn found_damage(&self) -> &[String] {
        &self.found
    }

    /// What was found damaged is rebuilt and noted.
    pub fn rebuilt(&mut self) -> Result<(), StoreError> {
        self.found.clear();
        rescue::rebuilt(&self.connection).map_err(StoreError::database(&self.path))
    }

    /// The numbers of the plan's entities, for readers.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// A ledger that begins anew takes over the name, and the session with the broker that hangs on it.
    fn keep_incarnation(&self, state: &Path) -> Result<(), StoreError> {
        let own = self.incarnation()?;
        match incarnation::read(state) {
            Some(kept) if kept != own => {
                self.set_meta("session", "1")?;
                self.set_meta("incarnation", &kept)
            }
            None if !own.is_empty() => incarnation::write(state, &own),
            _ => Ok(()),
        }
    }

    /// A name for this state directory that no other one has.
    pub fn incarnation(&self) -> Result<String, StoreError> {
        self.meta("incarnation").map(Option::unwrap_or_default)
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        schema::meta(&self.connection, key).map_err(StoreError::database(&self.path))
    }

    fn number(&self, key: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.meta(key)?.and_then(|text| text.parse().ok()))
    }

    /// The first block of the journal that is kept. `None`: an earlier version has not noted it.
    pub fn journal_from(&self) -> Result<Option<i64>, StoreError> {
        self.number("journal_from")
    }

    /// Notes from where on the journal is kept.
    pub fn set_journal_from(&self, number: i64) -> Result<(), StoreError> {
        self.set_meta("journal_from", &number.to_string())
    }

    /// Where the last seal left off. `None`: there was none.
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        let (Some(open_from), Some(now), Some(counted_to)) =
            (self.number("open_from")?, self.number("now")?, self.number("counted_to")?)
        else {
            return Ok(None);
        };
        let counters = self.meta("counters")?.and_then(|text| read_counters(&text)).unwrap_or_default();
        Ok(Some(Position { open_from: Quarter(open_from as i32), now: Time(now), counted_to, counters }))
    }

    // ---- loading -------------------------------------------------------------------------------------------------

    /// Loads what the pipeline wants.
    pub fn load(&mut self, want: &Want) -> Result<Supply, StoreError> {
        match want {
            Want::Rows(meter, need) => self.load_rows(*meter, *need),
            Want::Siblings(facility, quarter) => self.load_siblings(*facility, *quarter),
            Want::Entries(range) => self.load_entries(*range),
        }
    }

    fn load_rows(&mut self, meter: MeterIx, need: Need) -> Result<Supply, StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        let mut rows = self.quarters("WHERE meter = ?1 AND start >= ?2 ORDER BY start", (number, need.from.0))?;
        let mut from = need.from;
        let mut earlier = Vec::new();
        let mut counted = 0;
        let mut exhausted = false;
        // Further back a day at a time, until enough readings and the one before them are there.
        let mut context = None;
        while context.is_none() && !exhausted {
            let sql = "WHERE meter = ?1 AND start < ?2 ORDER BY start DESC LIMIT 96";
            let batch = self.quarters(sql, (number, from.0))?;
            exhausted = batch.len() < 96;
            for row in batch {
                if counted >= need.readings && row.held.last_good().is_some() {
                    context = row.held.last_good();
                    break;
                }
                counted += row.held.count_good();
                from = row.held.quarter;
                earlier.push(row);
            }
        }
        earlier.reverse();
        earlier.append(&mut rows);
        let from = if context.is_none() && !self.has_packed(number)? { Quarter(i32::MIN) } else { from };
        Ok(Supply::Rows { meter, from, rows: earlier, context })
    }

    /// A meter's latest stored reading.
    pub fn latest_reading(&self, meter: MeterIx) -> Result<Option<(Time, i64)>, StoreError> {
        let sql = "SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter
                   WHERE meter = ?1 AND length(readings) > 2 ORDER BY start DESC LIMIT 1";
        let read = || -> rusqlite::Result<Option<Row>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([self.names.number(Entity::Meter(meter))])?;
            Ok(rows.next()?.and_then(|row| read_row(&self.names, row)))
        };
        let row = read().map_err(StoreError::database(&self.path))?;
        Ok(row.and_then(|row| row.held.set.points().last().map(|p| (p.time(row.held.quarter), p.value))))
    }

    /// The quarters from `from` on in which some meter has a row.
    pub fn active_quarters(&self, from: Quarter) -> Result<Vec<Quarter>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Quarter>> {
            let sql = "SELECT DISTINCT start FROM quarter WHERE start >= ?1 ORDER BY start";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([from.0], |row| row.get(0).map(Quarter))?;
            rows.collect()
        };
        read().map_err(StoreError::database(&self.path))
    }

    fn load_siblings(&mut self, facility: FacilityIx, quarter: Quarter) -> Result<Supply, StoreError> {
        let mut activities = Vec::new();
        let topology = Arc::clone(&self.topology);
        for meter in &topology.facility(facility).inputs {
            let number = self.names.number(Entity::Meter(*meter));
            let rows = self.quarters("WHERE meter = ?1 AND start = ?2", (number, quarter.0))?;
            if rows.is_empty() {
                activities.extend(self.packed(number, quarter)?.map(|activity| (*meter, activity)));
            }
            activities.extend(rows.into_iter().map(|row| (row.meter, row.activity)));
        }
        Ok(Supply::Siblings { facility, quarter, activities })
    }

    fn has_packed(&self, meter: i64) -> Result<bool, StoreError> {
        let select = self.connection.prepare_cached("SELECT 1 FROM day WHERE meter = ?1 LIMIT 1");
        select.and_then(|mut s| s.exists([meter])).map_err(StoreError::database(&self.path))
    }

    /// Whether only the sum of a meter's quarter is left.
    pub fn is_packed(&self, meter: MeterIx, quarter: Quarter) -> Result<bool, StoreError> {
        let number = self.names.number(Entity::Meter(meter));
        Ok(self.packed(number, quarter)?.is_some())
    }

    /// The activity of a quarter that is packed already.
    fn packed(&self, meter: i64, quarter: Quarter) -> Result<Option<Activity>, StoreError> {
        let sql = "SELECT meter, start, body, crc FROM day WHERE meter = ?1 AND start <= ?2 AND start > ?2 - 96";
        let read = || -> rusqlite::Result<Option<Vec<_>>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut found = statement.query((meter, quarter.0))?;
            Ok(found.next()?.map_or_else(|| Some(Vec::new()), read_day))
        };
        match read().map_err(StoreError::database(&self.path))? {
            Some(day) => Ok(day.into_iter().find(|(q, ..)| *q == quarter).map(|(_, activity, _)| activity)),
            None => Err(self.damaged(&format!("the day of quarter {}", quarter.start()), meter)),
        }
    }

    fn quarters(&mut self, condition: &str, parameters: (i64, i32)) -> Result<Vec<Row>, StoreError> {
        let sql = format!("SELECT meter, start, readings, minutes, revision, changed, crc FROM quarter {condition}");
        let (mut rows, mut damaged) = (Vec::new(), None);
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut found = statement.query(parameters)?;
            while let Some(row) = found.next()? {
                match read_row(&self.names, row) {
                    Some(row) => rows.push(row),
                    None => {
                        damaged =
                            Some(format!("quarter {:?}", row.get::<_, i32>(1).map(|q| Quarter(q).start().to_string())))
                    }
                }
            }
            Ok(())
        };
        read().map_err(StoreError::database(&self.path))?;
        match damaged {
            None => Ok(rows),
            Some(what) => Err(self.damaged(&what, parameters.0)),
        }
    }

    fn load_entries(&mut self, range: Range) -> Result<Supply, StoreError> {
        let number = self.names.number(range.entity);
        let sql = "SELECT entity, window, start, body, revision, changed, crc FROM entry WHERE entity = ?1 AND window = ?2 AND start >= ?3 AND start < ?4";
        let (mut entries, mut damaged) = (Vec::new(), false);
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut found = statement.query((number, range.window as i64, range.from.0, range.to.0))?;
            while let Some(row) = found.next()? {
                match read_entry(&self.names, row) {
                    Some(entry) => entries.push(entry),
                    None => damaged = true,
                }
            }
            Ok(())
        };
        read().map_err(StoreError::database(&self.path))?;
        match damaged {
            false => Ok(Supply::Entries(range, entries)),
            true => Err(self.damaged(&format!("entry {} from {}", range.window, range.from), number)),
        }
    }

    /// What a sum needs cannot be read: no figure may be made without it. The next start looks at everything.
    fn damaged(&self, what: &str, number: i64) -> StoreError {
        let name = self.names.describe(&self.topology, number);
        match self.set_meta(rescue::SUSPECT, "1") {
            Ok(()) => StoreError::Damaged(format!("{}: {what} of {name}", self.path.display())),
            Err(error) => error,
        }
    }

    // ---- storing -------------------------------------------------------------------------------------------------

    /// Makes a seal durable, in one transaction.
    pub fn seal(&mut self, seal: &Seal<'_>, refused: &[Refused], counted_to: i64) -> Result<(), StoreError> {
        let mut changed = self.changed;
        let mut commit = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            write_rows(&transaction, &self.names, &seal.rows, &mut changed)?;
            write_entries(&transaction, &self.names, &seal.entries, &mut changed)?;
            refused::write(&transaction, refused)?;
            births::write(&transaction, seal.births, seal.open_from.start().minus(BIRTHS_BACK))?;
            for (key, value) in [
                ("open_from", seal.open_from.0.to_string()),
                ("now", seal.now.0.to_string()),
                ("counted_to", counted_to.to_string()),
                ("counters", write_counters(seal.counters)),
                ("changed", changed.to_string()),
            ] {
                schema::set_meta(&transaction, key, &value)?;
            }
            transaction.commit()
        };
        commit().map_err(StoreError::database(&self.path))?;
        self.changed = changed;
        Ok(())
    }

    /// The hash of the plan that was in force before.
    pub fn plan(&self) -> Result<Option<String>, StoreError> {
        self.meta("plan")
    }

    /// Notes the plan in force.
    pub fn set_plan(&self, hash: &str) -> Result<(), StoreError> {
        self.set_meta("plan", hash)
    }

    pub(crate) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        schema::set_meta(&self.connection, key, value).map_err(StoreError::database(&self.path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn changed(&self) -> i64 {
        self.changed
    }

    pub(crate) fn set_changed(&mut self, changed: i64) {
        self.changed = changed;
    }
}

/// Before anything is mended: a file that is refused stays as it is. What cannot be read is looked at afterwards.
fn refuse_redeclared(path: &Path, topology: &Topology) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    match schema::open(path).and_then(|connection| identity::check(&connection, topology, path)) {
        Err(StoreError::Database { source, .. }) if rescue::is_damage(&source) => Ok(()),
        checked => checked,
    }
}

/// In one transaction: ten thousand new names are not synced one by one.
fn name_all(connection: &mut Connection, topology: &Topology) -> rusqlite::Result<Names> {
    let transaction = connection.transaction()?;
    let names = Names::read(&transaction, topology)?;
    identity::note(&transaction, topology)?;
    transaction.commit()?;
    Ok(names)
}

fn write_rows(
    transaction: &Transaction<'_>,
    names: &Names,
    rows: &[SealedRow<'_>],
    changed: &mut i64,
) -> rusqlite::Result<()> {
    let mut before =
        transaction.prepare_cached(&format!("{} WHERE meter = ?1 AND start = ?2", Kind::Quarter.marks()))?;
    let mut digests = Changes::default();
    let (no_held, no_activity) = (Held::empty(Quarter(0)), Activity::default());
    let mut statement = transaction.prepare_cached(
        "INSERT INTO quarter(meter, start, readings, minutes, revision, changed, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(meter, start) DO UPDATE SET readings = ?3, minutes = ?4, revision = ?5, changed = ?6, crc = ?7",
    )?;
    for row in rows {
        *changed += 1;
        let (meter, start) = (names.number(Entity::Meter(row.meter)), row.quarter.0);
        let readings = write_held(row.held.unwrap_or(&no_held));
        let minutes = write_activity(row.activity.unwrap_or(&no_activity));
        let crc = checksum(&[meter, i64::from(start), i64::from(row.revision)], &[&readings, &minutes]);
        let old = before.query_row((meter, start), digest::read_mark).optional()?;
        digests.replace(Kind::Quarter, old, Some([meter, i64::from(start), 0, *changed, crc]));
        statement.execute((meter, start, readings, minutes, row.revision, *changed, crc))?;
    }
    digests.write(transaction)
}

fn write_entries(
    transaction: &Transaction<'_>,
    names: &Names,
    entries: &[SealedEntry<'_>],
    changed: &mut i64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO entry(entity, window, start, body, revision, changed, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(entity, window, start) DO UPDATE SET body = ?4, revision = ?5, changed = ?6, crc = ?7",
    )?;
    let key = "WHERE entity = ?1 AND window = ?2 AND start = ?3";
    let mut before = transaction.prepare_cached(&format!("{} {key}", Kind::Entry.marks()))?;
    let mut digests = Changes::default();
    for entry in entries {
        *changed += 1;
        let (entity, window, start) = (names.number(entry.key.entity), entry.key.window as i64, entry.key.start.0);
        let body = write_balance(entry.balance);
        let crc = checksum(&[entity, window, start, i64::from(entry.revision)], &[&body]);
        let old = before.query_row((entity, window, start), digest::read_mark).optional()?;
        digests.replace(Kind::Entry, old, Some([entity, start, window, *changed, crc]));
        statement.execute((entity, window, start, body, entry.revision, *changed, crc))?;
    }
    digests.write(transaction)
}

/// Columns: meter, start, readings, minutes, revision, changed, crc. `None`: damaged, or of no meter of the plan.
pub(crate) fn read_row(names: &Names, row: &SqlRow<'_>) -> Option<Row> {
    let (meter, start, revision): (i64, i32, u32) = (row.get(0).ok()?, row.get(1).ok()?, row.get(4).ok()?);
    let (readings, minutes) = (row.get_ref(2).ok()?.as_blob().ok()?, row.get_ref(3).ok()?.as_blob().ok()?);
    let crc: i64 = row.get(6).ok()?;
    if checksum(&[meter, i64::from(start), i64::from(revision)], &[readings, minutes]) != crc {
        return None;
    }
    let Some(Entity::Meter(meter)) = names.entity(meter) else {
        return None;
    };
    let (held, activity) = (read_held(Quarter(start), readings)?, read_activity(minutes)?);
    Some(Row { meter, held, activity, revision })
}

/// Columns: entity, window, start, body, revision, changed, crc. `None`: damaged, or of nobody in the plan.
pub(crate) fn read_entry(names: &Names, row: &SqlRow<'_>) -> Option<Closed> {
    let (entity, window): (i64, i64) = (row.get(0).ok()?, row.get(1).ok()?);
    let (start, revision): (i64, u32) = (row.get(2).ok()?, row.get(4).ok()?);
    let body = row.get_ref(3).ok()?.as_blob().ok()?;
    let crc: i64 = row.get(6).ok()?;
    if checksum(&[entity, window, start, i64::from(revision)], &[body]) != crc {
        return None;
    }
    let window = Window::ALL.get(usize::try_from(window).ok()?).copied()?;
    let key = Key { entity: names.entity(entity)?, window, start: Time(start) };
    Some(Closed { key, balance: read_balance(body)?, revision })
}
