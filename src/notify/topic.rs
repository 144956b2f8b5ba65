//! Alarms on topics of the broker: what is over is retained, so that whoever comes later knows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alert::Phase;
use crate::mqtt;
use crate::notify::queue::Failed;
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

    pub(crate) async fn send(&self, notice: &Notice) -> Result<(), Failed> {
        let alarm = &notice.alarm;
        let topic = format!("{}/alarm/{}/{}", self.root, alarm.rule, alarm.entity);
        let payloads = payloads(notice);
        let published = mqtt::publish(&self.options, &topic, &payloads);
        let published = tokio::time::timeout(TIMEOUT, published).await;
        let published = published.unwrap_or_else(|_| Err("the broker does not answer".to_owned()));
        published.map_err(|why| Failed { why, is_final: false })
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
        "entity": alarm.entity, "state": state, "level": alarm.level, "ack": alarm.acknowledged.is_some(),
        "priority": alarm.priority, "value": alarm.value, "limit": alarm.limit, "unit": alarm.unit,
        "provisional": alarm.provisional, "since": alarm.since, "until": alarm.until, "peak": alarm.peak,
        "excess_kg": alarm.excess_kg, "response": alarm.response,
    })
}
