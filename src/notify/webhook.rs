//! A webhook: the JSON that Alertmanager sends to its own, version 4, or what a template makes.

use std::io;
use std::path::PathBuf;

use minijinja::Environment;
use serde_json::{Value, json};

use crate::alert::News;
use crate::notify::alert::{annotations, is_over, labels, started};
use crate::notify::post::Post;
use crate::notify::queue::Failed;
use crate::notify::{Body, Letter, sample, text};
use crate::quantity::Time;
use crate::store::Notice;

/// The time that means none, as Alertmanager writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) struct Webhook {
    name: String,
    body: Body,
    post: Post,
}

impl Webhook {
    pub(crate) fn new(name: &str, (url, body): (&str, &Body), token_file: Option<&PathBuf>) -> io::Result<Webhook> {
        Ok(Webhook { name: name.to_owned(), body: body.clone(), post: Post::new(url, token_file)? })
    }

    pub(crate) async fn send(&self, letter: &Letter) -> Result<(), Failed> {
        let body = self.render(letter).map_err(|why| Failed { why, is_final: true })?;
        self.post.text(Some(&letter.key()), self.content_type(), body).await
    }

    /// Says that we live.
    pub(crate) async fn beat(&self, now: Time) -> Result<(), Failed> {
        self.post.json(Some(&format!("heartbeat/{now}")), &heartbeat(&self.name, now)).await
    }

    /// What is posted. An error is one of the template.
    pub(crate) fn render(&self, letter: &Letter) -> Result<String, String> {
        match &self.body {
            Body::Alertmanager => Ok(version_4(&self.name, letter).to_string()),
            Body::Template { text, topic, .. } => fill(text, &context(&self.name, topic, letter)),
        }
    }

    fn content_type(&self) -> &str {
        match &self.body {
            Body::Alertmanager => "application/json",
            Body::Template { content_type, .. } => content_type,
        }
    }
}

/// Fills a template. An error says where it is wrong.
pub(crate) fn fill(template: &str, context: &Value) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment
        .render_str(template, minijinja::value::Serde(context))
        .map_err(|error| format!("the template: {error:#}"))
}

/// What is wrong with a template. `None`: it makes something of an alarm.
pub fn check_template(template: &str) -> Option<String> {
    let notice = Notice { number: 0, made: String::new(), news: News::Returned, alarm: sample() };
    let letter = Letter { group: Default::default(), notices: vec![notice] };
    fill(template, &context("example", "example", &letter)).err()
}

/// What a template can use.
pub(crate) fn context(receiver: &str, topic: &str, letter: &Letter) -> Value {
    let alert = |notice: &Notice| {
        let mut alert = serde_json::to_value(&notice.alarm).unwrap_or_default();
        alert["status"] = status(is_over(&notice.alarm)).into();
        alert["news"] = serde_json::to_value(notice.news).unwrap_or_default();
        alert["key"] = notice.alarm.key().into();
        alert["summary"] = text::line(notice).into();
        alert
    };
    json!({
        "receiver": receiver,
        "topic": topic,
        "status": status(letter.is_over()),
        "title": text::title(letter),
        "text": text::text(letter),
        "group": letter.group,
        "alerts": letter.notices.iter().map(alert).collect::<Value>(),
    })
}

fn status(is_over: bool) -> &'static str {
    if is_over { "resolved" } else { "firing" }
}

fn version_4(receiver: &str, letter: &Letter) -> Value {
    let alert = |notice: &Notice| {
        let alarm = &notice.alarm;
        json!({
            "status": status(is_over(alarm)),
            "labels": labels(alarm),
            "annotations": annotations(notice),
            "startsAt": started(notice),
            "endsAt": alarm.until.as_deref().filter(|_| is_over(alarm)).unwrap_or(NEVER),
            "generatorURL": "",
            "fingerprint": alarm.id,
        })
    };
    let alerts: Vec<Value> = letter.notices.iter().map(alert).collect();
    let group: Vec<String> = letter.group.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{{}}}", group.join(", ")),
        "truncatedAlerts": 0,
        "status": status(letter.is_over()),
        "receiver": receiver,
        "groupLabels": letter.group,
        "commonLabels": common(&alerts, "labels"),
        "commonAnnotations": common(&alerts, "annotations"),
        "externalURL": "",
        "alerts": alerts,
    })
}

/// What all alerts have in common.
fn common(alerts: &[Value], part: &str) -> Value {
    let Some((first, others)) = alerts.split_first() else {
        return json!({});
    };
    let mut shared = first[part].clone();
    if let Some(shared) = shared.as_object_mut() {
        shared.retain(|key, value| others.iter().all(|other| other[part].get(key) == Some(value)));
    }
    shared
}

fn heartbeat(receiver: &str, now: Time) -> Value {
    let labels = json!({ "alertname": "emissiond-alive", "priority": "low" });
    let annotations = json!({ "summary": "emissiond watches: raise an alarm when this one does not come" });
    json!({
        "version": "4", "groupKey": "{}:{alertname=\"emissiond-alive\"}", "truncatedAlerts": 0, "status": "firing",
        "receiver": receiver, "groupLabels": labels, "commonLabels": labels, "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [{
            "status": "firing", "labels": labels, "annotations": annotations, "startsAt": now.to_string(),
            "endsAt": NEVER, "generatorURL": "", "fingerprint": "emissiond-alive",
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Acknowledged, Alarm, Phase};

    fn letter(alarms: Vec<(News, Alarm)>) -> Letter {
        let notice = |(news, alarm)| Notice { number: 1, made: String::new(), news, alarm };
        let group = [("kind", "limit".to_owned())].into();
        Letter { group, notices: alarms.into_iter().map(notice).collect() }
    }

    #[test]
    fn a_message_is_as_alertmanager_writes_it() {
        let over = version_4("ops", &letter(vec![(News::Returned, sample())]));
        assert_eq!(
            (&over["version"], &over["status"], &over["receiver"]),
            (&json!("4"), &json!("resolved"), &json!("ops"))
        );
        let alert = &over["alerts"][0];
        assert_eq!(
            (&alert["startsAt"], &alert["endsAt"]),
            (&json!("2026-01-01T00:05:00Z"), &json!("2026-01-01T00:15:00Z"))
        );
        assert_eq!(alert["annotations"]["key"], "gas/facility/f/2026-01-01T00:05:00Z#1");
        let acknowledged = Some(Acknowledged { by: "A. Lee".to_owned(), note: String::new(), at: String::new() });
        let active = Alarm { state: Phase::Active, until: None, acknowledged, ..sample() };
        let other = Alarm { id: "other".to_owned(), entity: "facility/g".to_owned(), ..active.clone() };
        let firing = version_4("ops", &letter(vec![(News::Raised, active), (News::Raised, other)]));
        assert_eq!((&firing["status"], &firing["alerts"][0]["endsAt"]), (&json!("firing"), &json!(NEVER)));
        let summary = firing["alerts"][0]["annotations"]["summary"].as_str().unwrap();
        assert_eq!(summary, "facility/f: gas is over: 861.2 kg/h against 820 kg/h");
        assert_eq!(firing["commonLabels"], json!({ "alertname": "gas", "kind": "limit", "priority": "high" }));
        assert_eq!(firing["groupKey"], "{}:{kind=\"limit\"}");
    }

    #[test]
    fn a_template_is_filled() {
        let letter = letter(vec![(News::Returned, sample())]);
        let context = context("ops", "t", &letter);
        let text = "{{ title }} {{ alerts[0].excess_kg }} {{ text|tojson }}";
        let filled = fill(text, &context).unwrap();
        assert!(filled.starts_with("facility/f: gas is back to normal; at most 880.4 kg/h 20.6 \""), "{filled}");
        let wrong = fill("{{ nothing.there }}", &context).unwrap_err();
        assert!(wrong.contains("undefined"), "{wrong}");
    }
}
