//! The merged configuration, each value with where it comes from.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::config::layers::{self, Layers};

/// Words in a key whose value is nobody's business; the names of files are no secrets.
const SECRET: [&str; 4] = ["password", "secret", "token", "passphrase"];

/// One line a value, sorted; with `origin`, the file, line and column, the cell, the variable or the preset behind it.
pub fn show(file: Option<&Path>, origin: bool) -> String {
    let layers = layers::read(file, None);
    let mut text = String::new();
    walk(&layers, &layers.tree, &mut Vec::new(), origin, &mut text);
    text
}

fn walk(layers: &Layers, value: &Value, path: &mut Vec<String>, origin: bool, text: &mut String) {
    // Keys of a table belong together; what is deeper is one value.
    if let Some(table) = value.as_object().filter(|_| path.len() < 3) {
        for (key, value) in table {
            path.push(key.clone());
            walk(layers, value, path, origin, text);
            path.pop();
        }
        return;
    }
    let name = path.last().map_or("", String::as_str);
    let hidden = SECRET.iter().any(|word| name.contains(word)) && !name.ends_with("_file");
    let shown = if hidden { "\"***\"".to_owned() } else { without_user(value).to_string() };
    let _ = write!(text, "{} = {shown}", path.join("."));
    if origin {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let _ = write!(text, "    # {}", layers.origin(&keys));
    }
    text.push('\n');
}

/// An address may hold what should not be in it.
fn without_user(value: &Value) -> Value {
    match value.as_str().and_then(|text| Some((text, text.find("://")?, text.find('@')?))) {
        Some((text, scheme, at)) if scheme < at => format!("{}://***{}", &text[..scheme], &text[at..]).into(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_an_origin_and_secrets_are_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        let text = "[mqtt]\nurl = \"mqtt://u:geheim@h\"\npassword = \"geheim\"\npassword_file = \"p\"\n\
                    [meters.m]\nformat = \"shelly-em1\"\n[clusters.c]\nbaseline = { year = 2021 }\n";
        std::fs::write(&file, text).unwrap();
        let shown = show(Some(&file), true);
        assert!(!shown.contains("geheim"), "{shown}");
        for line in [
            "mqtt.url = \"mqtt://***@h\"    # ",
            "mqtt.password = \"***\"    # ",
            "mqtt.password_file = \"p\"    # ",
            "meters.m.unit = \"W\"    # preset shelly-em1",
            "clusters.c.baseline = {\"year\":2021}    # ",
        ] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
        assert!(shown.contains("c.toml:6:10"), "{shown}");
    }
}
