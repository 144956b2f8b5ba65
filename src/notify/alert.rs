//! An alarm as Alertmanager and its like see it: labels say which it is, annotations what there is to say of it.

use serde_json::{Map, Value, json};

use crate::alert::{Alarm, Phase};
use crate::notify::Label;
use crate::notify::text;
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
        "value": alarm.value.to_string(),
        "limit": alarm.limit.to_string(),
        "peak": alarm.peak.to_string(),
        "unit": alarm.unit,
        "excess_kg": alarm.excess_kg.to_string(),
        "provisional": alarm.provisional.to_string(),
    })
}

pub(crate) fn is_over(alarm: &Alarm) -> bool {
    alarm.state != Phase::Active
}
