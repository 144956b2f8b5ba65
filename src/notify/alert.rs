//! An alarm as Alertmanager and its like see it: labels say which it is, annotations what there is to say of it.

use serde_json::{Map, Value, json};

use crate::alert::{Alarm, Phase};
use crate::notify::Label;
use crate::notify::text;
use crate::quantity::Time;
use crate::store::Notice;

pub(crate) fn labels(alarm: &Alarm) -> Map<String, Value> {
    let all = Label::NAMES.iter().filter_map(|(_, label)| Some((label.name().to_owned(), label.of(alarm)?.into())));
    all.chain([("episode".to_owned(), alarm.id.as_str().into())]).collect()
}

pub(crate) fn annotations(notice: &Notice) -> Value {
    let alarm = &notice.alarm;
    json!({
        "summary": text::line(notice),
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

/// When it began. The end of a minute that is over before it ends lies ahead, which others do not understand.
pub(crate) fn started(notice: &Notice) -> &str {
    let (since, made) = (notice.alarm.since.as_str(), notice.made.as_str());
    match (Time::parse_rfc3339(since), Time::parse_rfc3339(made)) {
        (Some(began), Some(noticed)) if noticed < began => made,
        _ => since,
    }
}

pub(crate) fn is_over(alarm: &Alarm) -> bool {
    alarm.state != Phase::Active
}
