//! What the ledger remembers beside figures: the broker session, possible losses, damage.

use crate::quantity::Time;
use crate::store::rescue::SUSPECT;
use crate::store::{Ledger, StoreError};

/// The cause of a [`Gap`]: the broker no longer knew the session.
pub const SESSION_LOST: &str = "session-lost";
/// The store was put back to a copy.
pub const RESTORED: &str = "restored";
/// The cause of a [`Gap`]: the broker dropped messages, for us or for others.
pub const BROKER_DROPPED: &str = "broker-dropped";

/// A time in which messages may have been lost before they reached us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last message before.
    pub from: Time,
    /// When it was noticed.
    pub to: Time,
    /// What was noticed.
    pub cause: String,
}

impl Ledger {
    /// All damage that was ever found, the latest first: when, and what.
    pub fn damage(&self) -> Result<Vec<(Time, String)>, StoreError> {
        let read = || -> rusqlite::Result<Vec<(Time, String)>> {
            let mut statement =
                self.connection.prepare_cached("SELECT found, record FROM damage ORDER BY number DESC")?;
            let rows = statement.query_map([], |row| Ok((Time(row.get(0)?), row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(StoreError::database(self.path()))
    }

    /// Notes damage, for the record.
    pub fn note_damage(&self, now: Time, records: &[String]) -> Result<(), StoreError> {
        let note = || -> rusqlite::Result<()> {
            let sql = "INSERT INTO damage(found, record) VALUES (?1, ?2)";
            records
                .iter()
                .try_for_each(|record| self.connection.prepare_cached(sql)?.execute((now.0, record)).map(drop))
        };
        note().map_err(StoreError::database(self.path()))
    }

    /// Damage was found while running: it is noted where it is news, and the next start mends what it can.
    pub fn suspect(&self, now: Time, mut records: Vec<String>) -> Result<(), StoreError> {
        let known = self.damage()?;
        records.retain(|record| !known.iter().any(|(_, before)| before == record));
        self.set_meta(SUSPECT, "1")?;
        self.note_damage(now, &records)
    }

    /// The topic filters that the broker may hold for the session besides those now in use. They are remembered until
    /// [`Ledger::settle_filters`].
    pub fn stale_filters(&self, filters: &[String]) -> Result<Vec<String>, StoreError> {
        let before = self.meta("filters")?.and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok());
        let stale: Vec<String> = before.unwrap_or_default().into_iter().filter(|f| !filters.contains(f)).collect();
        let all: Vec<&String> = filters.iter().chain(&stale).collect();
        self.set_meta("filters", &serde_json::json!(all).to_string())?;
        Ok(stale)
    }

    /// The broker holds these filters and no others.
    pub fn settle_filters(&self, filters: &[String]) -> Result<(), StoreError> {
        self.set_meta("filters", &serde_json::json!(filters).to_string())
    }

    /// A connection is up. True: the broker had a session of ours, and does not know it any more.
    pub fn connected(&self, session_present: bool) -> Result<bool, StoreError> {
        let lost = !session_present && self.meta("session")?.is_some();
        self.set_meta("session", "1")?;
        Ok(lost)
    }

    /// The broker has dropped so many messages since it started. True: more than when it last told.
    pub fn dropped(&self, count: u64) -> Result<bool, StoreError> {
        let before = self.meta("broker_dropped")?.and_then(|text| text.parse::<u64>().ok());
        if before != Some(count) {
            self.set_meta("broker_dropped", &count.to_string())?;
        }
        // A smaller count is that of a broker that started again.
        Ok(before.is_some_and(|before| count > before || count < before && count > 0))
    }

    /// Notes a time in which messages may have been lost before they reached us.
    pub fn note_gap(&self, gap: &Gap) -> Result<(), StoreError> {
        self.write_gap("INSERT INTO gap(start, end, cause) VALUES (?1, ?2, ?3)", gap).map(drop)
    }

    /// Makes the last gap of this cause longer, where this one goes on from it; else notes it.
    pub fn go_on_gap(&self, gap: &Gap) -> Result<(), StoreError> {
        let last = "UPDATE gap SET end = ?2 WHERE end = ?1 AND number = (SELECT max(number) FROM gap WHERE cause = ?3)";
        if self.write_gap(last, gap)? == 0 { self.note_gap(gap) } else { Ok(()) }
    }

    fn write_gap(&self, sql: &str, gap: &Gap) -> Result<usize, StoreError> {
        let statement = self.connection.prepare_cached(sql);
        let written = statement.and_then(|mut s| s.execute((gap.from.0, gap.to.0, &gap.cause)));
        written.map_err(StoreError::database(self.path()))
    }

    /// Possible losses, the latest first.
    pub fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Gap>> {
            let sql = "SELECT start, end, cause FROM gap ORDER BY number DESC";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement
                .query_map([], |row| Ok(Gap { from: Time(row.get(0)?), to: Time(row.get(1)?), cause: row.get(2)? }))?;
            rows.collect()
        };
        read().map_err(StoreError::database(self.path()))
    }
}
