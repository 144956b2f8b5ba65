//! Commands, configuration, and what problems mean.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::generate::{cell, head};
use crate::config::{CODES, schema};
use crate::decode::Refusal;

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

/// Each section with its keys, from the schema.
pub(crate) fn configuration() -> String {
    let schema = schema();
    let mut text = head("Configuration");
    text.push_str(
        "\nTOML. `conf.d/*.toml` beside the file is read too, and variables of the environment come last: `EMISSIOND__MQTT__URL`\n\
         is `mqtt.url`. `emissiond config show --origin` says where each value comes from, `emissiond check` what is wrong.\n",
    );
    for (name, section) in properties(&schema) {
        let (by_id, target) = target(section);
        let written = if by_id { format!("{name}.ID") } else { name.to_owned() };
        let about = section["description"].as_str().unwrap_or("");
        let _ = write!(text, "\n## [{written}]\n\n{about}\n");
        let Some(target) = target.and_then(|target| schema["$defs"].get(target)) else {
            continue;
        };
        table(target, &mut text);
    }
    let sections: Vec<&str> = properties(&schema).filter_map(|(_, section)| target(section).1).collect();
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    for (name, inner) in
        definitions.filter(|(name, inner)| !sections.contains(&name.as_str()) && inner["properties"].is_object())
    {
        let _ = write!(text, "\n## {name}\n\n{}\n", inner["description"].as_str().unwrap_or("Within another key."));
        table(inner, &mut text);
    }
    text
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

fn table(section: &Value, text: &mut String) {
    text.push_str("\n| key | is | |\n|---|---|---|\n");
    for (key, value) in properties(section) {
        let about = value["description"].as_str().unwrap_or("");
        let _ = writeln!(text, "| `{key}` | {} | {} |", kind(value), cell(about));
    }
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
