//! Alarms on topics of the broker: what goes on is retained, so that whoever comes later knows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alert::{Alarm, News, Phase};
use crate::mqtt::{self, Message};
use crate::notify::Letter;
use crate::notify::queue::Failed;
use crate::quantity::{Span, Time};
use crate::store::Notice;

const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Topics {
    root: String,
    options: mqtt::Options,
}

impl Topics {
    pub(crate) fn new(root: &str, options: &mqtt::Options) -> Topics {
        Topics { root: root.to_owned(), options: options.clone() }
    }

    pub(crate) async fn send(&self, letter: &Letter) -> Result<(), Failed> {
        let messages = letter.notices.iter().flat_map(|notice| self.messages(notice));
        self.publish(&messages.collect::<Vec<_>>()).await
    }

    /// Says again what goes on: a broker may have lost it, somebody may have seen it, and an older alarm of the same rule that
    /// ended late has cleared the topic.
    pub(crate) async fn refresh(&self, alarms: Vec<Alarm>) -> Result<(), Failed> {
        let going = alarms.into_iter().filter(|alarm| alarm.state == Phase::Active);
        let notices = going.map(|alarm| Notice { number: 0, made: String::new(), news: News::Reminded, alarm });
        let messages: Vec<Message> = notices.flat_map(|notice| self.messages(&notice)).collect();
        if messages.is_empty() { Ok(()) } else { self.publish(&messages).await }
    }

    /// Says that we live, and until when that may be believed.
    pub(crate) async fn beat(&self, now: Time, every: Span) -> Result<(), Failed> {
        let until = now.plus(Span(every.0.saturating_mul(3)));
        let text = json!({ "v": 1, "at": now.to_string(), "until": until.to_string() }).to_string();
        self.publish(&[(format!("{}/heartbeat", self.root), text, true)]).await
    }

    pub(crate) fn render(&self, letter: &Letter) -> String {
        let line =
            |(topic, text, retain): Message| format!("{topic}{} {text}\n", if retain { " (retained)" } else { "" });
        let shown = |notice: &Notice| self.messages(notice).into_iter().map(line).collect::<String>();
        letter.notices.iter().map(shown).collect()
    }

    fn topic(&self, notice: &Notice) -> String {
        // A gateway's name is not ours.
        let entity = notice.alarm.entity.replace(['#', '+', '\0'], "_");
        format!("{}/alarm/{}/{entity}", self.root, notice.alarm.rule)
    }

    /// Of what is over nothing retained is left.
    fn messages(&self, notice: &Notice) -> Vec<Message> {
        let (topic, text) = (self.topic(notice), payload(notice).to_string());
        match notice.alarm.state {
            Phase::Active => vec![(topic, text, true)],
            Phase::Returned | Phase::Withdrawn => vec![(topic.clone(), text, false), (topic, String::new(), true)],
        }
    }

    async fn publish(&self, messages: &[Message]) -> Result<(), Failed> {
        let published = tokio::time::timeout(TIMEOUT, mqtt::publish(&self.options, messages)).await;
        let published = published.unwrap_or_else(|_| Err("the broker does not answer".to_owned()));
        published.map_err(Failed::later)
    }
}

fn payload(notice: &Notice) -> Value {
    let alarm = &notice.alarm;
    let state = match alarm.state {
        Phase::Active => "active",
        Phase::Returned => "normal",
        Phase::Withdrawn => "withdrawn",
    };
    json!({
        "v": 1, "id": alarm.id, "key": alarm.key(), "news": notice.news, "rule": alarm.rule, "kind": alarm.kind,
        "entity": alarm.entity, "facility": alarm.facility, "cluster": alarm.cluster, "state": state,
        "level": alarm.level, "ack": alarm.acknowledged.is_some(), "priority": alarm.priority, "value": alarm.value,
        "limit": alarm.limit, "unit": alarm.unit, "provisional": alarm.provisional, "since": alarm.since,
        "until": alarm.until, "peak": alarm.peak, "excess_kg": alarm.excess_kg, "outlook": alarm.outlook,
        "response": alarm.response,
    })
}
