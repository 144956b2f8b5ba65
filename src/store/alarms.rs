//! Alarms, in a file of their own: `alarms.db`. Without it the past is judged again, and what is not over is told once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use crate::alert::{Acknowledged, Alarm, Chatter, Line, News, Phase, Shelf, Telling, Update};
use crate::quantity::{Span, Time};
use crate::store::{StoreError, schema};

/// Another number is another file.
const FORMAT: i64 = 3;

/// `open`: it goes on, or whoever was told of it is not told yet that it is over. `lane`: see [`crate::store::Lane`].
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS alarm(
        id TEXT PRIMARY KEY, rule TEXT NOT NULL, entity TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
        open INTEGER NOT NULL, body TEXT NOT NULL, acknowledged TEXT) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS alarm_of ON alarm(rule, entity, end);
    CREATE INDEX IF NOT EXISTS alarm_start ON alarm(start);
    CREATE INDEX IF NOT EXISTS alarm_end ON alarm(end);
    CREATE INDEX IF NOT EXISTS alarm_open ON alarm(start) WHERE open;
    CREATE TABLE IF NOT EXISTS shelf(
        rule TEXT NOT NULL, entity TEXT NOT NULL, until INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(rule, entity)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS chatter(
        rule TEXT NOT NULL, entity TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(rule, entity)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS notice(
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, made INTEGER NOT NULL, lane INTEGER NOT NULL,
        body TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS notice_lane ON notice(lane, number);
    CREATE INDEX IF NOT EXISTS notice_made ON notice(made);
    CREATE TABLE IF NOT EXISTS sent(
        notifier TEXT NOT NULL, lane INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(notifier, lane)) WITHOUT ROWID;";

/// What is over is kept so long.
const KEEP_ALARMS: Span = Span::days(3 * 366);
/// What was told is kept so long, for who asks.
const KEEP_NOTICES: Span = Span::days(35);

/// Which alarms.
#[derive(Clone, Debug, Default)]
pub struct AlarmsOf {
    /// Of this rule.
    pub rule: Option<String>,
    /// Of this entity.
    pub entity: Option<String>,
    /// That began before this.
    pub before: Option<Time>,
}

/// What became of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is in the record.
    Done,
    /// Somebody had seen it before.
    Before(Acknowledged),
    /// There is no such alarm.
    Unknown,
}

/// The open file.
#[derive(Debug)]
pub struct AlarmStore {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
}

impl AlarmStore {
    /// Opens or creates the file of a state directory.
    pub fn open(state: &Path) -> Result<AlarmStore, StoreError> {
        let path = state.join("alarms.db");
        let connection = Connection::open(&path).map_err(StoreError::database(&path))?;
        let prepare = || -> rusqlite::Result<i64> {
            connection
                .execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -500; PRAGMA busy_timeout = 5000")?;
            schema::write_ahead(&connection)?;
            let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            if tables == 0 {
                connection.pragma_update(None, "user_version", FORMAT)?;
            }
            let format = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if format == FORMAT {
                connection.execute_batch(TABLES)?;
            }
            Ok(format)
        };
        let format = prepare().map_err(StoreError::database(&path))?;
        if format != FORMAT {
            let message = format!("{} is of format {format}, not {FORMAT}", path.display());
            return Err(StoreError::Damaged(message));
        }
        Ok(AlarmStore { path, connection })
    }

    /// Opens the file of a state directory at a start: a damaged one is set aside, and another begun.
    pub fn rescue(state: &Path) -> Result<AlarmStore, StoreError> {
        let checked = || -> Result<AlarmStore, StoreError> {
            let store = AlarmStore::open(state)?;
            let check = store.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
            match check.map_err(StoreError::database(&store.path))?.as_str() {
                "ok" => Ok(store),
                wrong => Err(StoreError::Damaged(format!("{}: {wrong}", store.path.display()))),
            }
        };
        checked().or_else(|error| {
            if !error.is_damage() {
                return Err(error);
            }
            let path = state.join("alarms.db");
            let number = (1u32..).find(|at| !Path::new(&format!("{}.damaged-{at}", path.display())).exists());
            let aside = format!("{}.damaged-{}", path.display(), number.unwrap_or(0));
            tracing::error!(%error, aside, "the alarms were damaged and are set aside: what goes on is told again");
            for suffix in ["-wal", "-shm", ""] {
                let from = format!("{}{suffix}", path.display());
                // What is not there need not go.
                let _ = std::fs::rename(&from, format!("{aside}{suffix}"));
            }
            AlarmStore::open(state)
        })
    }

    /// How far the ledger's changes have been judged. `None`: nothing has.
    pub fn cursor(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = 'cursor'";
        let read = self.connection.query_row(sql, [], |row| row.get(0)).optional();
        read.map_err(StoreError::database(&self.path))
    }

    /// The alarms of a rule for an entity that go on, or went on after a time.
    pub fn since(&self, rule: &str, entity: &str, after: Time) -> Result<Vec<Alarm>, StoreError> {
        let sql = "SELECT body, acknowledged FROM alarm WHERE rule = ?1 AND entity = ?2 AND end > ?3 ORDER BY start";
        self.alarms(sql, (rule, entity, after.0))
    }

    /// The alarms that go on, the latest first.
    pub fn active(&self) -> Result<Vec<Alarm>, StoreError> {
        let mut open = self.open_alarms()?;
        open.retain(|alarm| alarm.state == Phase::Active);
        open.reverse();
        Ok(open)
    }

    /// Those of them that are meant.
    pub fn active_of(&self, of: &AlarmsOf) -> Result<Vec<Alarm>, StoreError> {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let began = |alarm: &Alarm| Time::parse_rfc3339(&alarm.since).unwrap_or(Time::MIN);
        let mut active = self.active()?;
        active.retain(|alarm| is(&of.rule, &alarm.rule) && is(&of.entity, &alarm.entity));
        active.retain(|alarm| of.before.is_none_or(|before| began(alarm) < before));
        Ok(active)
    }

    /// The alarms that go on, and those whose end is to be told yet, the earliest first.
    pub fn open_alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        self.alarms("SELECT body, acknowledged FROM alarm WHERE open ORDER BY start, id", [])
    }

    /// The alarms that somebody was told of and that go on, and those that ended since a time.
    pub fn told(&self, since: Time) -> Result<Vec<Alarm>, StoreError> {
        let sql = "SELECT body, acknowledged FROM alarm WHERE open
                   UNION SELECT body, acknowledged FROM alarm WHERE end > ?1 AND end < ?2";
        let mut told = self.alarms(sql, (since.0, Time::MAX.0))?;
        told.retain(|alarm| alarm.told.is_some() || alarm.state != Phase::Active && alarm.held.is_none());
        Ok(told)
    }

    /// Alarms, the latest first.
    pub fn latest(&self, of: &AlarmsOf, limit: usize) -> Result<Vec<Alarm>, StoreError> {
        let sql = "SELECT body, acknowledged FROM alarm
                   WHERE (?1 IS NULL OR rule = ?1) AND (?2 IS NULL OR entity = ?2) AND start < ?3
                   ORDER BY start DESC, id LIMIT ?4";
        let before = of.before.unwrap_or(Time::MAX).0;
        self.alarms(sql, (of.rule.as_deref(), of.entity.as_deref(), before, limit as i64))
    }

    /// The alarms that ended since a time and that nobody has seen, the latest first.
    pub fn unseen(&self, since: Time, limit: usize) -> Result<Vec<Alarm>, StoreError> {
        let sql = "SELECT body, acknowledged FROM alarm WHERE end > ?1 AND end < ?2 AND acknowledged IS NULL
                   ORDER BY end DESC, id LIMIT ?3";
        let mut unseen = self.alarms(sql, (since.0, Time::MAX.0, limit as i64))?;
        // What nobody was told of need not be seen.
        unseen.retain(|alarm| alarm.state == Phase::Returned && alarm.held.is_none());
        Ok(unseen)
    }

    /// One alarm.
    pub fn alarm(&self, id: &str) -> Result<Option<Alarm>, StoreError> {
        Ok(self.alarms("SELECT body, acknowledged FROM alarm WHERE id = ?1", [id])?.pop())
    }

    fn alarms(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Alarm>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Alarm>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut alarms = Vec::new();
            while let Some(row) = rows.next()? {
                let acknowledged = row.get::<_, Option<String>>(1)?.and_then(|text| serde_json::from_str(&text).ok());
                alarms.extend(parsed::<Alarm>(row, 0)?.map(|alarm| Alarm { acknowledged, ..alarm }));
            }
            Ok(alarms)
        };
        read().map_err(StoreError::database(&self.path))
    }

    /// Keeps alarms as they are now, with what is to be told of them, and how far the ledger has been judged, if it was: all or
    /// nothing.
    pub fn keep(
        &mut self,
        updates: &[Update],
        telling: &Telling,
        cursor: Option<i64>,
        now: Time,
    ) -> Result<(), StoreError> {
        let write = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            for update in updates {
                put(&transaction, &update.alarm, update.news)?;
                super::notices::put(&transaction, update, now)?;
            }
            put_chatters(&transaction, &telling.chatters)?;
            if let Some(cursor) = cursor {
                let sql = "INSERT OR REPLACE INTO meta(key, value) VALUES ('cursor', ?1)";
                transaction.prepare_cached(sql)?.execute([cursor])?;
            }
            let sql = "DELETE FROM alarm WHERE end < ?1 AND NOT open";
            transaction.prepare_cached(sql)?.execute([now.minus(KEEP_ALARMS).0])?;
            // Long after it was told or given up.
            let sql = "DELETE FROM notice WHERE made < ?1";
            transaction.prepare_cached(sql)?.execute([now.minus(KEEP_NOTICES).0])?;
            transaction.commit()
        };
        write().map_err(StoreError::database(&self.path))
    }

    /// What is remembered of what was told.
    pub fn telling(&self, since: Time) -> Result<Telling, StoreError> {
        let read = || -> rusqlite::Result<Telling> {
            let mut statement = self.connection.prepare("SELECT rule, entity, body FROM chatter")?;
            let mut rows = statement.query([])?;
            let mut telling = Telling::default();
            while let Some(row) = rows.next()? {
                let line: Line = (row.get(0)?, row.get(1)?);
                telling.chatters.extend(parsed::<Chatter>(row, 2)?.map(|chatter| (line, chatter)));
            }
            telling.raised = super::notices::raised(&self.connection, since)?;
            Ok(telling)
        };
        read().map_err(StoreError::database(&self.path))
    }

    /// Puts the alarms of a rule for an entity aside.
    pub fn shelve(&self, (rule, entity): (&str, &str), shelf: &Shelf) -> Result<(), StoreError> {
        let until = Time::parse_rfc3339(&shelf.until).unwrap_or(Time::MIN).0;
        let sql = "INSERT OR REPLACE INTO shelf(rule, entity, until, body) VALUES (?1, ?2, ?3, ?4)";
        let written = self.connection.execute(sql, (rule, entity, until, body(shelf)));
        written.map(drop).map_err(StoreError::database(&self.path))
    }

    /// What is put aside, and still is at a time.
    pub fn shelves(&self, now: Time) -> Result<BTreeMap<Line, Shelf>, StoreError> {
        let read = || -> rusqlite::Result<BTreeMap<Line, Shelf>> {
            let sql = "SELECT rule, entity, body FROM shelf WHERE until > ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([now.0])?;
            let mut shelves = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let line: Line = (row.get(0)?, row.get(1)?);
                shelves.extend(parsed::<Shelf>(row, 2)?.map(|shelf| (line, shelf)));
            }
            Ok(shelves)
        };
        read().map_err(StoreError::database(&self.path))
    }

    /// Somebody has seen an alarm. Whoever was first stays in the record.
    pub fn acknowledge(&self, id: &str, acknowledged: &Acknowledged) -> Result<Noted, StoreError> {
        let sql = "UPDATE alarm SET acknowledged = ?2 WHERE id = ?1 AND acknowledged IS NULL";
        let written = self.connection.execute(sql, (id, body(acknowledged)));
        if written.map_err(StoreError::database(&self.path))? > 0 {
            return Ok(Noted::Done);
        }
        let first = self.alarm(id)?.map(|alarm| alarm.acknowledged);
        Ok(first.map_or(Noted::Unknown, |first| first.map_or(Noted::Done, Noted::Before)))
    }
}

/// Who has seen it may have said so since it was judged: that is only taken back where there is something new to see.
fn put(connection: &Connection, alarm: &Alarm, news: Option<News>) -> rusqlite::Result<()> {
    let again = alarm.acknowledged.is_none() && matches!(news, Some(News::Reopened | News::Changed));
    let sql = "INSERT INTO alarm(id, rule, entity, start, end, open, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT(id) DO UPDATE SET start = ?4, end = ?5, open = ?6, body = ?7,
                   acknowledged = CASE WHEN ?8 THEN NULL ELSE acknowledged END";
    let time = |text: &str| Time::parse_rfc3339(text);
    let start = time(&alarm.since).unwrap_or(Time::MIN).0;
    let end = alarm.until.as_deref().and_then(time).unwrap_or(Time::MAX).0;
    let open = alarm.state == Phase::Active || alarm.told.is_some();
    let row = (&alarm.id, &alarm.rule, &alarm.entity, start, end, open, body(alarm), again);
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

fn put_chatters(connection: &Connection, chatters: &BTreeMap<Line, Chatter>) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM chatter", [])?;
    for ((rule, entity), chatter) in chatters {
        let sql = "INSERT INTO chatter(rule, entity, body) VALUES (?1, ?2, ?3)";
        connection.prepare_cached(sql)?.execute((rule, entity, body(chatter)))?;
    }
    Ok(())
}

/// Texts and numbers always have one.
pub(super) fn body(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `None`: damaged. An alarm is judged again, and so is told again.
pub(super) fn parsed<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_str(&text).ok())
}
