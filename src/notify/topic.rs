//! Alarms on topics of the broker: what is over is retained, so that whoever comes later knows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alert::Phase;
use crate::mqtt;
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
        for notice in &letter.notices {
            self.publish(&self.topic(notice), &payloads(notice)).await?;
        }
        Ok(())
    }

    /// Says that we live, and until when that may be believed.
    pub(crate) async fn beat(&self, now: Time, every: Span) -> Result<(), Failed> {
        let until = now.plus(Span(every.0.saturating_mul(3)));
        let text = json!({ "v": 1, "at": now.to_string(), "until": until.to_string() }).to_string();
        self.publish(&format!("{}/heartbeat", self.root), &[(text, true)]).await
    }

    pub(crate) fn render(&self, letter: &Letter) -> String {
        let shown = |notice: &Notice| {
            let topic = self.topic(notice);
            let line =
                |(text, retain): (String, bool)| format!("{topic}{} {text}\n", if retain { " (retained)" } else { "" });
            payloads(notice).into_iter().map(line).collect::<String>()
        };
        letter.notices.iter().map(shown).collect()
    }

    fn topic(&self, notice: &Notice) -> String {
        format!("{}/alarm/{}/{}", self.root, notice.alarm.rule, notice.alarm.entity)
    }

    async fn publish(&self, topic: &str, payloads: &[(String, bool)]) -> Result<(), Failed> {
        let published = tokio::time::timeout(TIMEOUT, mqtt::publish(&self.options, topic, payloads)).await;
        let published = published.unwrap_or_else(|_| Err("the broker does not answer".to_owned()));
        published.map_err(Failed::later)
    }
}

/// Payloads, and whether each is retained. Of what is over nothing retained is left.
fn payloads(notice: &Notice) -> Vec<(String, bool)> {
    let text = payload(notice).to_string();
    if notice.alarm.state == Phase::Active { vec![(text, true)] } else { vec![(text, false), (String::new(), true)] }
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
