//! Alertmanager's API, version 2: it is sent all that goes on again and again, for what it does not hear of it takes for over.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::alert::{Alarm, Level, News};
use crate::notify::Letter;
use crate::notify::alert::{annotations, is_over, labels, started};
use crate::notify::post::Post;
use crate::notify::queue::Failed;
use crate::quantity::{Span, Time};
use crate::store::Notice;

/// How often it is told that what goes on still does.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// When it may take for over what it has not heard of since.
const HOLDS: Span = Span::minutes(5);
/// What is over is told again for so long.
pub(crate) const RESOLVED_FOR: Span = Span::minutes(15);

pub(crate) struct Alertmanager {
    post: Post,
    now: fn() -> Time,
}

impl Alertmanager {
    pub(crate) fn new(url: &str, token_file: Option<&PathBuf>, now: fn() -> Time) -> io::Result<Alertmanager> {
        let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
        Ok(Alertmanager { post: Post::new(&url, token_file)?, now })
    }

    pub(crate) async fn send(&self, letter: &Letter) -> Result<(), Failed> {
        self.post.json(None, &self.body(letter)).await
    }

    pub(crate) fn body(&self, letter: &Letter) -> Value {
        letter.notices.iter().flat_map(|notice| self.alerts(notice)).collect()
    }

    /// Says again how alarms stand.
    pub(crate) async fn refresh(&self, alarms: Vec<Alarm>) -> Result<(), Failed> {
        let notice = |alarm: Alarm| {
            let news = if is_over(&alarm) { News::Returned } else { News::Reminded };
            Notice { number: 0, made: String::new(), news, alarm }
        };
        let notices: Vec<Notice> = alarms.into_iter().map(notice).collect();
        self.post.json(None, &notices.iter().flat_map(|notice| self.alerts(notice)).collect()).await
    }

    /// Says that we live.
    pub(crate) async fn beat(&self, every: Span) -> Result<(), Failed> {
        let until = (self.now)().plus(Span(every.0.saturating_mul(3)));
        let labels = json!({ "alertname": "emissiond-alive", "priority": "low" });
        let summary = "emissiond watches: raise an alarm when this one is gone";
        let alert = json!({ "labels": labels, "annotations": { "summary": summary }, "endsAt": until.to_string() });
        self.post.json(None, &json!([alert])).await
    }

    /// One a level, for it tells nobody of an alert whose annotations change: that of the level it has goes on, the others
    /// are over.
    fn alerts(&self, notice: &Notice) -> Vec<Value> {
        let (alarm, now) = (&notice.alarm, (self.now)());
        let ended = || alarm.until.clone().unwrap_or_else(|| now.to_string());
        let alert = |level: Level| {
            let goes_on = !is_over(alarm) && level == alarm.level;
            let until = if goes_on { now.plus(HOLDS).to_string() } else { ended() };
            let mut labels = labels(alarm);
            labels.insert("level".to_owned(), level.name().into());
            labels.insert("priority".to_owned(), level.priority(alarm.rule_priority).name().into());
            json!({ "labels": labels, "annotations": annotations(notice), "startsAt": started(notice), "endsAt": until })
        };
        // Higher ones than ever were are known to nobody.
        Level::ALL.into_iter().filter(|level| *level <= alarm.highest.max(alarm.level)).map(alert).collect()
    }
}
