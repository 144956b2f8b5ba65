//! Alarms and what is to be told of them, in a file of their own: `alarms.db`. Without it the past is judged again, and what
//! is not over is told once more.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use crate::alert::{Acknowledged, Alarm, Followed, News};
use crate::quantity::{Span, Time};
use crate::store::{StoreError, schema};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS alarm(
        id TEXT PRIMARY KEY, rule TEXT NOT NULL, entity TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
        body TEXT NOT NULL, acknowledged TEXT) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS alarm_of ON alarm(rule, entity, end);
    CREATE INDEX IF NOT EXISTS alarm_start ON alarm(start);
    CREATE INDEX IF NOT EXISTS alarm_end ON alarm(end);
    CREATE TABLE IF NOT EXISTS notice(
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, made INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS sent(notifier TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;";

/// What was told is kept so long, for who asks.
const KEEP_NOTICES: Span = Span::days(35);

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its place in the order of all.
    #[serde(skip)]
    pub number: i64,
    /// When it was noticed, RFC 3339.
    pub made: String,
    /// What.
    pub news: News,
    /// The alarm as it was then.
    pub alarm: Alarm,
}

/// The open file.
#[derive(Debug)]
pub struct AlarmStore {
    path: PathBuf,
    connection: Connection,
}

impl AlarmStore {
    /// Opens or creates the file of a state directory.
    pub fn open(state: &Path) -> Result<AlarmStore, StoreError> {
        let path = state.join("alarms.db");
        let connection = Connection::open(&path).map_err(StoreError::database(&path))?;
        let prepare = || -> rusqlite::Result<()> {
            connection
                .execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -500; PRAGMA busy_timeout = 5000")?;
            schema::write_ahead(&connection)?;
            connection.execute_batch(TABLES)
        };
        prepare().map_err(StoreError::database(&path))?;
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
            tracing::error!(%error, "the alarms were damaged and are set aside: what goes on is told again");
            for suffix in ["-wal", "-shm", ""] {
                let from = format!("{}{suffix}", path.display());
                // What is not there need not go.
                let _ = std::fs::rename(&from, format!("{}.damaged-1{suffix}", path.display()));
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
        self.alarms("SELECT body, acknowledged FROM alarm WHERE end = ?1 ORDER BY start DESC, id", [Time::MAX.0])
    }

    /// Alarms, the latest first.
    pub fn latest(&self, limit: usize) -> Result<Vec<Alarm>, StoreError> {
        self.alarms("SELECT body, acknowledged FROM alarm ORDER BY start DESC, id LIMIT ?1", [limit as i64])
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
    pub fn keep(&mut self, followed: &[Followed], cursor: Option<i64>, now: Time) -> Result<(), StoreError> {
        let write = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            for (alarm, news) in followed {
                put(&transaction, alarm, *news)?;
                if let Some(news) = *news {
                    let notice = Notice { number: 0, made: now.to_string(), news, alarm: alarm.clone() };
                    let sql = "INSERT OR IGNORE INTO notice(key, made, body) VALUES (?1, ?2, ?3)";
                    transaction.prepare_cached(sql)?.execute((alarm.key(), now.0, body(&notice)))?;
                }
            }
            if let Some(cursor) = cursor {
                let sql = "INSERT OR REPLACE INTO meta(key, value) VALUES ('cursor', ?1)";
                transaction.prepare_cached(sql)?.execute([cursor])?;
            }
            let sql = "DELETE FROM notice WHERE made < ?1 AND number <= (SELECT min(number) FROM sent)";
            transaction.prepare_cached(sql)?.execute([now.minus(KEEP_NOTICES).0])?;
            transaction.commit()
        };
        write().map_err(StoreError::database(&self.path))
    }

    /// Somebody has seen an alarm. False: there is none of that id.
    pub fn acknowledge(&self, id: &str, acknowledged: &Acknowledged) -> Result<bool, StoreError> {
        let sql = "UPDATE alarm SET acknowledged = ?2 WHERE id = ?1";
        let found = self.connection.execute(sql, (id, body(acknowledged)));
        Ok(found.map_err(StoreError::database(&self.path))? > 0)
    }

    /// The first notice that a notifier has not confirmed.
    pub fn next(&self, notifier: &str) -> Result<Option<Notice>, StoreError> {
        let sql = "SELECT number, body FROM notice
                   WHERE number > coalesce((SELECT number FROM sent WHERE notifier = ?1), 0) ORDER BY number LIMIT 1";
        let read = || -> rusqlite::Result<Option<Notice>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([notifier])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let number = row.get(0)?;
            Ok(parsed::<Notice>(row, 1)?.map(|notice| Notice { number, ..notice }))
        };
        read().map_err(StoreError::database(&self.path))
    }

    /// A notifier has told all up to a notice.
    pub fn confirm(&self, notifier: &str, number: i64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO sent(notifier, number) VALUES (?1, ?2)";
        let written = self.connection.execute(sql, (notifier, number));
        written.map(drop).map_err(StoreError::database(&self.path))
    }

    /// A notifier that was not there before is not told of what is long over.
    pub fn welcome(&self, notifier: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO sent(notifier, number) SELECT ?1, coalesce(max(number), 0) FROM notice";
        self.connection.execute(sql, [notifier]).map(drop).map_err(StoreError::database(&self.path))
    }
}

/// Who has seen it may have said so since it was judged: that is only taken back where there is something new to see.
fn put(connection: &Connection, alarm: &Alarm, news: Option<News>) -> rusqlite::Result<()> {
    let again = alarm.acknowledged.is_none() && matches!(news, Some(News::Reopened | News::Changed));
    let sql = "INSERT INTO alarm(id, rule, entity, start, end, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT(id) DO UPDATE SET start = ?4, end = ?5, body = ?6,
                   acknowledged = CASE WHEN ?7 THEN NULL ELSE acknowledged END";
    let time = |text: &str| Time::parse_rfc3339(text);
    let start = time(&alarm.since).unwrap_or(Time::MIN).0;
    let end = alarm.until.as_deref().and_then(time).unwrap_or(Time::MAX).0;
    let row = (&alarm.id, &alarm.rule, &alarm.entity, start, end, body(alarm), again);
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// Texts and numbers always have one.
fn body(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `None`: damaged. An alarm is judged again, and so is told again.
fn parsed<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_str(&text).ok())
}
