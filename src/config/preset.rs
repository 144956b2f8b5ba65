//! Templates: keys that meters share, the user's under `[templates.*]` and those shipped for known payloads, which `format` names.
//!
//! They are laid under a meter's own keys before anything is checked, so that every check sees a whole meter.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The formats that decoding knows itself.
pub const FORMATS: [&str; 6] = ["json", "number", "senml", "senml-sum", "sparkplug", "influx-line"];

/// A shipped template.
#[derive(Clone, Debug)]
pub struct Preset {
    /// What the payload is.
    pub about: String,
    /// What `value` of a meter says, where it fills in the template's paths.
    pub point: Option<String>,
    /// Keys that only the meter can know, with what they are.
    pub needs: BTreeMap<String, String>,
    /// The keys it sets.
    pub keys: Map<String, Value>,
}

static PRESETS: LazyLock<BTreeMap<String, Preset>> = LazyLock::new(|| shipped().unwrap_or_default());

fn shipped() -> Option<BTreeMap<String, Preset>> {
    let document: Map<String, Value> = toml_edit::de::from_str(include_str!("presets.toml")).ok()?;
    let read = |(name, table): (String, Value)| {
        let mut keys = table.as_object()?.clone();
        let text = |value: Value| value.as_str().map(str::to_owned);
        let needs =
            keys.remove("needs").map_or_else(|| Some(BTreeMap::new()), |needs| serde_json::from_value(needs).ok());
        let about = keys.remove("about").and_then(text)?;
        Some((name, Preset { about, point: keys.remove("point").and_then(text), needs: needs?, keys }))
    };
    document.into_iter().map(read).collect()
}

/// All shipped templates, by name.
pub fn presets() -> &'static BTreeMap<String, Preset> {
    &PRESETS
}

/// Lays the templates under the meters. Returns which template of the user's each meter has.
pub(crate) fn lay_under(tree: &mut Value) -> BTreeMap<String, String> {
    let templates = tree.get("templates").cloned().unwrap_or_default();
    let mut laid = BTreeMap::new();
    for (id, meter) in tree.get_mut("meters").and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(meter) = meter.as_object_mut() else {
            continue;
        };
        let template = meter.get("template").and_then(Value::as_str).map(str::to_owned);
        if let Some(name) = template
            && let Some(keys) = templates.get(&name).and_then(Value::as_object)
        {
            lay(meter, keys, id);
            laid.insert(id.clone(), name);
        }
        lay_preset(meter, id);
    }
    laid
}

fn lay_preset(meter: &mut Map<String, Value>, id: &str) {
    let Some(preset) = meter.get("format").and_then(Value::as_str).and_then(|name| PRESETS.get(name)) else {
        return;
    };
    let point = meter.get("value").and_then(Value::as_str).filter(|value| !value.starts_with('/')).map(str::to_owned);
    if preset.point.is_some() && point.is_some() {
        meter.remove("value");
    }
    let mut keys = preset.keys.clone();
    keys.remove("format");
    if preset.point.is_some() {
        match point {
            Some(point) => keys.values_mut().for_each(|value| fill(value, &point)),
            // Which one is meant, or a pointer of the meter's own: nothing else can be said.
            None => keys.retain(|key, value| key == "quality_good" || !is_open(value)),
        }
    }
    lay(meter, &keys, id);
}

fn lay(meter: &mut Map<String, Value>, keys: &Map<String, Value>, id: &str) {
    for (key, value) in keys {
        let mut value = value.clone();
        each_text(&mut value, &|text| text.replace("{id}", id));
        meter.entry(key.clone()).or_insert(value);
    }
}

fn fill(value: &mut Value, point: &str) {
    let (first, rest) = point.split_once('/').unwrap_or((point, ""));
    let plain = |text: &str| text.replace('/', "~1");
    each_text(value, &|text| {
        text.replace("{value}", &plain(point)).replace("{first}", first).replace("{rest}", &plain(rest))
    });
}

/// Whether a point is still to be filled in.
fn is_open(value: &Value) -> bool {
    let text = value.to_string();
    ["{value}", "{first}", "{rest}"].iter().any(|point| text.contains(point))
}

fn each_text(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(list) => list.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(table) => table.values_mut().for_each(|value| each_text(value, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shipped_presets_can_be_read() {
        assert!(shipped().is_some_and(|presets| presets.len() > 15));
        for (name, preset) in presets() {
            let format = preset.keys.get("format").and_then(Value::as_str).unwrap();
            assert!(FORMATS.contains(&format) && !FORMATS.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn own_keys_come_before_the_template_and_that_before_the_preset() {
        let mut tree = json!({
            "templates": { "t": { "format": "neuron", "topic": "n/{id}", "unit": "kWh", "kind": "register" } },
            "meters": { "a": { "template": "t", "unit": "MWh", "value": "tag/0" }, "b": { "format": "json" } },
        });
        assert_eq!(lay_under(&mut tree), BTreeMap::from([("a".to_owned(), "t".to_owned())]));
        let meter = &tree["meters"]["a"];
        assert_eq!(
            (&meter["unit"], &meter["topic"], &meter["value"], &meter["quality"]),
            (&json!("MWh"), &json!("n/a"), &json!("/values/tag~10"), &json!("/errors/tag~10"))
        );
        assert_eq!(tree["meters"]["b"], json!({ "format": "json" }));
    }

    #[test]
    fn a_point_fills_in_or_a_pointer_stands_for_itself() {
        let meter = |value: Value| {
            let mut meter = json!({ "format": "thingsboard-gateway" });
            if !value.is_null() {
                meter["value"] = value;
            }
            let mut tree = json!({ "meters": { "m": meter } });
            lay_under(&mut tree);
            tree["meters"]["m"].clone()
        };
        assert_eq!(meter(json!("AM-1-1/m3/h"))["value"], json!("/AM-1-1/*/values/m3~1h"));
        assert_eq!(meter(json!("AM-1-1/m3/h"))["time"], json!("/AM-1-1/*/ts"));
        assert_eq!(meter(json!("/x/0/values/m3"))["value"], json!("/x/0/values/m3"));
        assert_eq!(meter(json!("/x/0/values/m3")).get("time"), None);
        assert_eq!(meter(Value::Null).get("value"), None);
    }
}
