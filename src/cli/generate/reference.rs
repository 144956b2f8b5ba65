//! Commands, configuration, and what problems mean.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::generate::{cell, head};
use crate::cluster::Category;
use crate::config::{CODES, schema};
use crate::decode::Refusal;
use crate::quantity::unit_groups;

/// Each command with its options, as it explains itself.
pub(crate) fn commands(command: clap::Command) -> String {
    let mut text = head("Commands");
    text.push_str("\nExit codes: 0 well, 1 failed, 64 the command line is wrong, 69 another process holds the state or the port, 78 the\nconfiguration is faulty.\n");
    let mut command = command.term_width(100);
    command.build();
    let names = vec![command.get_name().to_owned()];
    describe(&command, &names, &mut text);
    text
}

fn describe(command: &clap::Command, names: &[String], text: &mut String) {
    let _ = write!(text, "\n## {}\n\n```text\n{}```\n", names.join(" "), trimmed(&mut command.clone()));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        describe(inner, &[names, &[inner.get_name().to_owned()]].concat(), text);
    }
}

fn trimmed(command: &mut clap::Command) -> String {
    let help = command.render_help().to_string();
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A section of the configuration, or a table within a key.
pub(crate) struct Section {
    /// As it is written, such as `[meters.ID]`.
    pub title: String,
    pub about: String,
    pub keys: Vec<Key>,
}

/// A key of a section.
pub(crate) struct Key {
    pub name: String,
    /// What may be written, in a word.
    pub kind: String,
    pub about: String,
}

/// What holds for the whole file.
pub(crate) const ABOUT_FILE: &str = "TOML. `conf.d/*.toml` beside the file is read too, and variables of the environment come \
    last: `EMISSIOND__MQTT__URL` is `mqtt.url`. `emissiond config show --origin` says where each value comes from, `emissiond check` \
    what is wrong. Paths are relative to the file that names them. Passwords, tokens and \
    keys of the package's service are in `/etc/emissiond/secrets`, root's alone, which systemd hands to it when it starts: \
    `password_file = \"secrets/mqtt-password\"`. Without the package, a credential of the unit that has the file's name comes \
    before the file. A length of time is a number with `ms`, `s`, `m`, `h`, `d` or `y`, such as \
    `\"15m\"`. What stands in brackets is the default.";

/// Each section with its keys, from the schema.
pub(crate) fn configuration() -> String {
    let mut text = head("Configuration");
    let _ = write!(text, "\n{ABOUT_FILE}\n");
    for Section { title, about, keys } in sections() {
        let _ = write!(text, "\n## {title}\n\n{about}\n");
        if !keys.is_empty() {
            text.push_str("\n| key | is | |\n|---|---|---|\n");
        }
        for key in keys {
            let _ = writeln!(text, "| `{}` | {} | {} |", key.name, key.kind, cell(&key.about));
        }
    }
    text.push_str("\n## Categories\n\nWhat a meter is booked as.\n\n| `category` | |\n|---|---|\n");
    for category in Category::ALL {
        let _ = writeln!(text, "| `{}` | {} |", category.name(), cell(category.about()));
    }
    text.push_str(
        "\n## Units\n\nA rate is an amount by time, such as `t/h` or `Nm3/min`.\n\n| of | units |\n|---|---|\n",
    );
    for (what, names) in unit_groups() {
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| {what} | {} |", names.join(" "));
    }
    text
}

/// The sections of the file, and then the tables within keys.
pub(crate) fn sections() -> Vec<Section> {
    let schema = schema();
    let mut found = Vec::new();
    let mut told = Vec::new();
    for (name, section) in properties(&schema) {
        let (by_id, target) = target(section);
        let title = if by_id { format!("[{name}.ID]") } else { format!("[{name}]") };
        let mut about = section["description"].as_str().unwrap_or("").to_owned();
        let is_again = target.is_some_and(|target| told.contains(&target.to_owned()));
        if is_again {
            about.push_str(" The keys are those of `[meters.ID]`, none of them needed.");
        }
        let definition = target.filter(|_| !is_again).and_then(|target| schema["$defs"].get(target));
        found.push(Section { title, about, keys: definition.map(keys).unwrap_or_default() });
        told.extend(target.map(str::to_owned));
    }
    let within = schema["$defs"].as_object().into_iter().flatten();
    let within = within.filter(|(name, inner)| !told.contains(name) && inner["properties"].is_object());
    found.extend(within.map(|(name, inner)| Section {
        title: name.clone(),
        about: inner["description"].as_str().unwrap_or("Within another key.").to_owned(),
        keys: keys(inner),
    }));
    found
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema["properties"].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Whether there are many of it, by id, and the name of its definition.
fn target(section: &Value) -> (bool, Option<&str>) {
    let name = |value: &'_ Value| value["$ref"].as_str().and_then(|text| text.rsplit('/').next()).map(str::to_owned);
    let of = |value: &Value| name(value).is_some();
    let many = &section["additionalProperties"];
    let one = section["anyOf"].as_array().and_then(|all| all.iter().find(|value| of(value))).unwrap_or(section);
    let found = if of(many) { many } else { one };
    (of(many), found["$ref"].as_str().and_then(|text| text.rsplit('/').next()))
}

fn keys(section: &Value) -> Vec<Key> {
    let key = |(name, value): (&str, &Value)| Key {
        name: name.to_owned(),
        kind: kind(value),
        about: value["description"].as_str().unwrap_or("").to_owned(),
    };
    properties(section).map(key).collect()
}

/// What may be written, in a word.
fn kind(value: &Value) -> String {
    let of = |name: &str| {
        match name {
            "string" => "text",
            "integer" => "whole number",
            "boolean" => "true or false",
            "array" => "list",
            "object" => "table",
            other => other,
        }
        .to_owned()
    };
    if let Some(text) = value["type"].as_str() {
        return of(text);
    }
    if let Some(all) = value["type"].as_array() {
        let named = all.iter().filter_map(Value::as_str).filter(|name| *name != "null").map(of);
        return named.collect::<Vec<_>>().join(" or ");
    }
    let name = target(value).1.unwrap_or("");
    match name {
        "Names" => "text, or a list".to_owned(),
        "Number" => "number".to_owned(),
        "Written" => "text, number or table".to_owned(),
        "PlanWritten" => "list, or a text".to_owned(),
        other => format!("see {other}"),
    }
}

/// Codes of `check`, and reasons why a reading is refused.
pub(crate) fn errors() -> String {
    let mut text = head("Problems");
    text.push_str("\n## Of the configuration\n\n| code | what | cure |\n|---|---|---|\n");
    for (code, what, cure) in CODES {
        let _ = writeln!(text, "| `{code}` | {} | {} |", cell(what), cell(cure));
    }
    text.push_str("\n## Of readings\n\n`emissiond refused` lists what was received and not booked.\n\n| reason | what |\n|---|---|\n");
    for refusal in Refusal::ALL {
        let _ = writeln!(text, "| `{}` | {} |", refusal.name(), cell(refusal.about()));
    }
    text.push_str("| `late` | its time is older than `ledger.late_horizon` allows |\n");
    text
}
