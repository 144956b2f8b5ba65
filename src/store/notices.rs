//! What is to be told of alarms, and how far each notifier has told it.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::alert::{Alarm, News, Phase, Update, Way};
use crate::quantity::Time;
use crate::store::alarms::{body, parsed};
use crate::store::{AlarmStore, StoreError};

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

/// What a notifier is told that was not there before.
#[derive(Clone, Debug, PartialEq)]
pub struct Welcome {
    /// What was noticed up to here it is not told.
    number: i64,
    /// But what goes on.
    pub going: Vec<Notice>,
}

impl Notice {
    /// Of an alarm that others were told of. `None`: nobody was, or is to be now.
    fn of_told(alarm: Alarm) -> Option<Notice> {
        let made = alarm.told.clone().filter(|_| alarm.held.is_none())?;
        Some(Notice { number: 0, made, news: News::Raised, alarm })
    }
}

/// Each is told in its own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// At once.
    Now,
    /// With others, in a while.
    Digest,
    /// Not at all: for the record.
    Quiet,
}

impl Lane {
    fn of(way: Way) -> Lane {
        match way {
            Way::Now => Lane::Now,
            Way::Digest => Lane::Digest,
            Way::Quiet => Lane::Quiet,
        }
    }
}

impl AlarmStore {
    /// The first notices of a lane that a notifier has not confirmed.
    pub fn next(&self, notifier: &str, lane: Lane, limit: usize) -> Result<Vec<Notice>, StoreError> {
        let sql = "SELECT number, body FROM notice WHERE lane = ?2 AND number >
                       coalesce((SELECT number FROM sent WHERE notifier = ?1 AND lane = ?2), 0) ORDER BY number LIMIT ?3";
        self.notices(sql, (notifier, lane as i64, limit as i64))
    }

    /// The first notices of all lanes that a reader has not confirmed as quiet ones.
    pub fn next_of_all(&self, reader: &str, limit: usize) -> Result<Vec<Notice>, StoreError> {
        let sql = "SELECT number, body FROM notice WHERE number >
                       coalesce((SELECT number FROM sent WHERE notifier = ?1 AND lane = ?2), 0) ORDER BY number LIMIT ?3";
        self.notices(sql, (reader, Lane::Quiet as i64, limit as i64))
    }

    fn notices(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Notice>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Notice>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut notices = Vec::new();
            while let Some(row) = rows.next()? {
                let number = row.get(0)?;
                notices.extend(parsed::<Notice>(row, 1)?.map(|notice| Notice { number, ..notice }));
            }
            Ok(notices)
        };
        read().map_err(StoreError::database(&self.path))
    }

    /// A notifier has told all of a lane up to a notice.
    pub fn confirm(&self, notifier: &str, lane: Lane, number: i64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO sent(notifier, lane, number) VALUES (?1, ?2, ?3)";
        let written = self.connection.execute(sql, (notifier, lane as i64, number));
        written.map(drop).map_err(StoreError::database(&self.path))
    }

    /// What a notifier is told first that was not there before. `None`: it was.
    pub fn welcome(&self, notifier: &str) -> Result<Option<Welcome>, StoreError> {
        let read = || -> rusqlite::Result<Option<Welcome>> {
            // One snapshot: what is noticed in between is told in its turn.
            let snapshot = self.connection.unchecked_transaction()?;
            let known = "SELECT EXISTS(SELECT 1 FROM sent WHERE notifier = ?1)";
            if snapshot.query_row(known, [notifier], |row| row.get(0))? {
                return Ok(None);
            }
            let number =
                snapshot.query_row("SELECT coalesce(max(number), 0) FROM notice", [], |row| row.get::<_, i64>(0))?;
            let mut statement = snapshot.prepare("SELECT body FROM alarm WHERE open ORDER BY start, id")?;
            let mut going = Vec::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                going.extend(parsed::<Alarm>(row, 0)?.filter(|alarm| alarm.state == Phase::Active));
            }
            let going = going.into_iter().filter_map(Notice::of_told).collect();
            Ok(Some(Welcome { number, going }))
        };
        read().map_err(StoreError::database(&self.path))
    }

    /// A notifier was told what goes on, and waits for what comes after.
    pub fn begin(&self, notifier: &str, welcome: &Welcome) -> Result<(), StoreError> {
        for lane in [Lane::Now, Lane::Digest, Lane::Quiet] {
            self.confirm(notifier, lane, welcome.number)?;
        }
        Ok(())
    }

    /// Forgets how far others have told than these: whoever comes back is a new one.
    pub fn forget_others(&self, known: &[&str]) -> Result<(), StoreError> {
        let known = serde_json::to_string(known).unwrap_or_default();
        let sql = "DELETE FROM sent WHERE notifier NOT IN (SELECT value FROM json_each(?1))";
        let written = self.connection.execute(sql, [known]);
        written.map(drop).map_err(StoreError::database(&self.path))
    }
}

/// Adds what is to be told of an alarm, if anything is new. The same key is the same notice.
pub(super) fn put(connection: &Connection, update: &Update, now: Time) -> rusqlite::Result<()> {
    let Some(news) = update.news else {
        return Ok(());
    };
    if update.way == Way::Now {
        // What waits for a digest and was overtaken would be told after its end.
        let sql = "UPDATE notice SET lane = ?2 WHERE lane = ?3 AND key > ?1 || '#' AND key < ?1 || '$'";
        let row = (&update.alarm.id, Lane::Quiet as i64, Lane::Digest as i64);
        connection.prepare_cached(sql)?.execute(row)?;
    }
    let notice = Notice { number: 0, made: now.to_string(), news, alarm: update.alarm.clone() };
    let sql = "INSERT OR IGNORE INTO notice(key, made, lane, body) VALUES (?1, ?2, ?3, ?4)";
    let row = (update.alarm.key(), now.0, Lane::of(update.way) as i64, body(&notice));
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// When somebody was told of a new alarm, since a time.
pub(super) fn raised(connection: &Connection, since: Time) -> rusqlite::Result<Vec<Time>> {
    let sql = "SELECT made, body FROM notice WHERE made > ?1 AND lane != ?2 ORDER BY number";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query((since.0, Lane::Quiet as i64))?;
    let mut raised = Vec::new();
    while let Some(row) = rows.next()? {
        let notice = parsed::<Notice>(row, 1)?;
        let is_new = notice.is_some_and(|notice| matches!(notice.news, News::Raised | News::Reopened));
        raised.extend(is_new.then_some(Time(row.get(0)?)));
    }
    Ok(raised)
}
