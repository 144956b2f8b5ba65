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
    let shown = masked(name, value);
    let _ = write!(text, "{} = {shown}", path.join("."));
    if origin {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let _ = write!(text, "    # {}", layers.origin(&keys));
    }
    text.push('\n');
}

/// Whether a key, or the line it is in, holds what nobody should see.
pub(crate) fn is_secret(path: &str, line: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    let has_user = line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    has_user || is_secret_name(name) || line.split('=').next().is_some_and(|key| is_secret_name(key.trim()))
}

/// Of names of files nothing is secret.
fn is_secret_name(name: &str) -> bool {
    SECRET.iter().any(|word| name.to_lowercase().contains(word)) && !name.ends_with("_file")
}

/// The value without secrets, at any depth.
fn masked(name: &str, value: &Value) -> Value {
    match value {
        _ if is_secret_name(name) => "***".into(),
        Value::Object(table) => table.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect(),
        Value::Array(list) => list.iter().map(|value| masked("", value)).collect(),
        Value::String(text) => without_user(text).into(),
        other => other.clone(),
    }
}

/// An address may hold what should not be in it.
fn without_user(text: &str) -> String {
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://***@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_an_origin_and_secrets_are_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        let text = "[mqtt]\nurl = \"mqtt://u:p@ssgeheim@h\"\npassword = \"geheim\"\npassword_file = \"p\"\n\
                    [x.y]\nheaders = { password = \"geheim\" }\n[meters.m]\nformat = \"shelly-em1\"\n[clusters.c]\nbaseline = { year = 2021 }\n";
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
        assert!(shown.contains("c.toml:8:10"), "{shown}");
    }
}
