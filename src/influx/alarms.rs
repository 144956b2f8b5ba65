//! The turns of alarms, as points of their own.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::alert::News;
use crate::format::alarm_line;
use crate::influx::client::Bucket;
use crate::influx::{Database, Options, WriteError};
use crate::quantity::Time;
use crate::store::{AlarmStore, Lane, Notice, StoreError};

/// How the store knows how far these are written; no notifier has such a name.
/// Under this name it is kept how far alarms are written.
pub const ALARM_READER: &str = "[influxdb]";
const EVERY: Duration = Duration::from_secs(5);
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(30);
const POINTS_MAX: usize = 1_000;

/// Writes the turns of alarms.
pub struct Alarms {
    bucket: Bucket,
    state: PathBuf,
}

impl Alarms {
    /// An error: the token cannot be read, or the URL is none.
    pub fn new(options: &Options, state: &Path, now: fn() -> Time) -> io::Result<Alarms> {
        Ok(Alarms { bucket: Bucket::new(options, now)?, state: state.to_owned() })
    }

    /// Writes what is new, until the process ends.
    pub async fn run(self) {
        loop {
            let wait = match self.write().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => EVERY,
                Err(error) => {
                    tracing::warn!(error, "alarms are not in the database yet; it is tried again");
                    WAIT_AFTER_FAILURE
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// False: there was nothing to write.
    async fn write(&self) -> Result<bool, String> {
        let text = |error: StoreError| error.to_string();
        let notices = AlarmStore::open(&self.state)
            .and_then(|store| store.next_of_all(ALARM_READER, POINTS_MAX))
            .map_err(text)?;
        let Some(last) = notices.last().map(|notice| notice.number) else {
            return Ok(false);
        };
        let lines: String = notices.iter().map(|notice| alarm_line(&notice.alarm, turned(notice))).collect();
        match self.bucket.write(&lines).await {
            Ok(()) => {}
            // Every field is of our own making: what is refused now is refused for ever.
            Err(WriteError::Split(why)) => tracing::error!(why, "the database does not take the alarms"),
            Err(WriteError::Broken(why) | WriteError::Later { trouble: why, .. }) => return Err(why),
        }
        let confirmed = AlarmStore::open(&self.state).and_then(|store| store.confirm(ALARM_READER, Lane::Quiet, last));
        confirmed.map(|()| true).map_err(text)
    }
}

/// When it turned.
fn turned(notice: &Notice) -> Time {
    let alarm = &notice.alarm;
    let at = match notice.news {
        News::Raised | News::Reopened => &alarm.since,
        News::Returned | News::Withdrawn => alarm.until.as_ref().unwrap_or(&notice.made),
        News::Changed | News::Reminded => &notice.made,
    };
    Time::parse_rfc3339(at).unwrap_or(Time(0))
}
