//! The JSON that Alertmanager sends to its webhooks, version 4: one alert a message.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::alert::{Alarm, News, Phase};
use crate::notify::queue::Failed;
use crate::store::Notice;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The time that means none, as Alertmanager writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) struct Webhook {
    name: String,
    url: String,
    token_file: Option<PathBuf>,
    client: reqwest::Client,
}

impl Webhook {
    pub(crate) fn new(name: &str, url: &str, token_file: Option<&PathBuf>) -> io::Result<Webhook> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(io::Error::other)?;
        let (name, url, token_file) = (name.to_owned(), url.to_owned(), token_file.cloned());
        Ok(Webhook { name, url, token_file, client })
    }

    /// A token is read each time: it may have been changed.
    pub(crate) async fn send(&self, notice: &Notice) -> Result<(), Failed> {
        let later = |why: String| Failed { why, is_final: false };
        let request = self.client.post(&self.url).header("Idempotency-Key", notice.alarm.key());
        let request = match &self.token_file {
            None => request,
            Some(path) => {
                let token = std::fs::read_to_string(path);
                let token = token.map_err(|error| later(format!("the token {}: {error}", path.display())))?;
                request.bearer_auth(token.trim())
            }
        };
        let request = request.header("Content-Type", "application/json").body(body(&self.name, notice).to_string());
        // The address may hold a secret.
        let response = request.send().await.map_err(|error| later(error.without_url().to_string()))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            // It will not take this one, however often it is sent.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(Failed { why: format!("answered {}", response.status()), is_final: true })
            }
            status => Err(later(format!("answered {status}"))),
        }
    }
}

fn body(receiver: &str, notice: &Notice) -> Value {
    let alarm = &notice.alarm;
    let status = if is_over(alarm) { "resolved" } else { "firing" };
    let labels = json!({
        "alertname": alarm.rule, "entity": alarm.entity, "kind": alarm.kind, "episode": alarm.id,
    });
    let annotations = annotations(notice);
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{alertname={:?}, entity={:?}}}", alarm.rule, alarm.entity),
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": { "alertname": alarm.rule, "entity": alarm.entity },
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [{
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": alarm.since,
            "endsAt": alarm.until.as_deref().filter(|_| is_over(alarm)).unwrap_or(NEVER),
            "generatorURL": "",
            "fingerprint": alarm.id,
        }],
    })
}

fn is_over(alarm: &Alarm) -> bool {
    alarm.state != Phase::Active
}

fn annotations(notice: &Notice) -> Value {
    let alarm = &notice.alarm;
    json!({
        "summary": summary(notice),
        "response": alarm.response,
        "news": notice.news,
        "key": alarm.key(),
        "level": alarm.level,
        "priority": alarm.priority,
        "value": alarm.value.to_string(),
        "limit": alarm.limit.to_string(),
        "peak": alarm.peak.to_string(),
        "unit": alarm.unit,
        "excess_kg": alarm.excess_kg.to_string(),
        "provisional": alarm.provisional.to_string(),
    })
}

/// A line for people.
fn summary(notice: &Notice) -> String {
    let alarm = &notice.alarm;
    let Alarm { entity, rule, level, value, limit, unit, .. } = alarm;
    match notice.news {
        News::Raised | News::Changed | News::Reopened => {
            format!("{entity}: {rule} is {level}: {value} {unit} against {limit} {unit}")
        }
        News::Returned => format!("{entity}: {rule} is back to normal; at most {} {unit}", alarm.peak),
        News::Withdrawn => format!("{entity}: {rule} is withdrawn: late data changed the result"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Acknowledged;

    pub(crate) fn alarm() -> Alarm {
        let text = r#"{"id":"gas/facility/f/2026-01-01T00:05:00Z","sequence":1,"rule":"gas","kind":"limit",
            "entity":"facility/f","state":"returned","level":"over","highest":"over","priority":"high","provisional":false,
            "since":"2026-01-01T00:05:00Z","until":"2026-01-01T00:15:00Z","value":861.2,"limit":820.0,"peak":880.4,
            "unit":"kg/h","excess_kg":20.6,"response":"Cut boiler 2","acknowledged":null}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_message_is_as_alertmanager_writes_it() {
        let notice = |news, alarm| Notice { number: 1, made: String::new(), news, alarm };
        let over = body("ops", &notice(News::Returned, alarm()));
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
        let active = Alarm { state: Phase::Active, until: None, acknowledged, ..alarm() };
        let firing = body("ops", &notice(News::Raised, active));
        assert_eq!((&firing["status"], &firing["alerts"][0]["endsAt"]), (&json!("firing"), &json!(NEVER)));
        let summary = firing["commonAnnotations"]["summary"].as_str().unwrap();
        assert_eq!(summary, "facility/f: gas is over: 861.2 kg/h against 820 kg/h");
    }
}
