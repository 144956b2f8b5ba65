//! Payloads in the formats that meters are declared with.

use serde_json::{Value, json};

use crate::decode::{LineSelector, Path, Place, Step, TimeFormat};
use crate::quantity::Time;

/// Puts a reading where a place says; meters of one topic share a payload.
pub(crate) fn put_place(payload: &mut Value, place: &Place, stamp: i64, value: f64) {
    if let Some(path) = place.value.first() {
        put(payload, path, json!(value));
    }
    if let Some(path) = place.time.first() {
        put(payload, path, stamped(&place.time_format, Time(stamp)));
    }
}

/// A line with one field.
pub(crate) fn line(selector: &LineSelector, stamp: i64, value: f64) -> String {
    let escaped = |text: &str| text.replace(' ', "\\ ").replace(',', "\\,").replace('=', "\\=");
    let tags: String = selector.tags.iter().map(|(key, tag)| format!(",{}={}", escaped(key), escaped(tag))).collect();
    let measurement = escaped(selector.measurement.as_deref().unwrap_or("meter"));
    let time = match stamped(&selector.time_format, Time(stamp)) {
        Value::Number(number) => format!(" {number}"),
        _ => String::new(),
    };
    format!("{measurement}{tags} {}={value}{time}", escaped(&selector.field))
}

fn stamped(format: &TimeFormat, time: Time) -> Value {
    match format {
        TimeFormat::Milliseconds | TimeFormat::Received | TimeFormat::Auto => json!(time.0),
        TimeFormat::Microseconds => json!(time.0 * 1_000),
        TimeFormat::Nanoseconds => json!(time.0 * 1_000_000),
        TimeFormat::Seconds if time.0 % 1_000 == 0 => json!(time.0 / 1_000),
        TimeFormat::Seconds => json!(time.0 as f64 / 1_000.0),
        TimeFormat::Rfc3339 => json!(time.to_string()),
        TimeFormat::Local(zone) => json!(zone.local_text(time)),
        TimeFormat::Pattern(pattern, zone) => json!(zone.text(pattern, time)),
    }
}

/// Makes objects and arrays on the way.
fn put(payload: &mut Value, path: &Path, value: Value) {
    let mut node = payload;
    for step in path.steps() {
        node = match step {
            Step::Key(key) => {
                if !node.is_object() {
                    *node = json!({});
                }
                &mut node[key.as_str()]
            }
            Step::Each => element(node, |_| true, json!({})),
            Step::Where { key, text } => element(node, |e| e[key.as_str()] == text.as_str(), json!({ key: text })),
        };
    }
    *node = value;
}

fn element(node: &mut Value, is_it: impl Fn(&Value) -> bool, fresh: Value) -> &mut Value {
    if !node.is_array() {
        *node = json!([]);
    }
    let known = node.as_array().and_then(|list| list.iter().position(is_it));
    let at = known.unwrap_or_else(|| node.as_array().map_or(0, Vec::len));
    if known.is_none()
        && let Some(list) = node.as_array_mut()
    {
        list.push(fresh);
    }
    &mut node[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_is_where_the_paths_lead() {
        let mut payload = Value::Null;
        for (path, value) in [("/t", 5), ("/vals/[id=101]/val", 1), ("/vals/[id=102]/val", 2), ("/vals/[id=101]/ts", 3)]
        {
            put(&mut payload, &Path::parse(path).unwrap(), json!(value));
        }
        let expected = json!({ "t": 5, "vals": [{ "id": "101", "val": 1, "ts": 3 }, { "id": "102", "val": 2 }] });
        assert_eq!(payload, expected);
    }

    #[test]
    fn a_line_is_of_its_selector() {
        let selector = LineSelector::parse("cpu,host=a\\ b value", TimeFormat::Seconds).unwrap();
        assert_eq!(line(&selector, 5_000, 1.5), "cpu,host=a\\ b value=1.5 5");
    }
}
