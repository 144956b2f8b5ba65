//! `emissiond formats`: what `format` of a meter may be.

use std::fmt::Write as _;

use clap::Args;

use crate::cli::{Failure, USAGE};
use crate::config::{FORMATS, Preset, presets};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Show what a preset sets
    name: Option<String>,
}

/// What the formats are that decoding knows itself, in the order of [`FORMATS`].
const ABOUT: [&str; FORMATS.len()] = [
    "JSON; `value` and `time` are pointers into it",
    "the payload is one number",
    "SenML (RFC 8428); `value` is the record's name with its base name",
    "the same, but the record's sum `s` is read",
    "Sparkplug B; `value` is the metric's name",
    "InfluxDB line protocol; `value` is a field, or measurement, tags and field: \"cpu,host=a value\"",
];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(name) = &arguments.name else {
        print!("{}", list());
        return Ok(());
    };
    let preset = presets().get(name);
    let preset =
        preset.ok_or_else(|| Failure::new(USAGE, format!("`{name}` is no preset; see `emissiond formats`")))?;
    print!("{}", keys(preset));
    Ok(())
}

fn list() -> String {
    let mut text = String::new();
    for (name, about) in FORMATS.iter().zip(ABOUT) {
        let _ = writeln!(text, "{name:<20} {about}");
    }
    for (name, preset) in presets() {
        let _ = writeln!(text, "{name:<20} {}", preset.about);
        if let Some(point) = &preset.point {
            let _ = writeln!(text, "{:<20}   `value` is {point}", "");
        }
    }
    text
}

fn keys(preset: &Preset) -> String {
    let mut text = format!("# {}\n", preset.about);
    if let Some(point) = &preset.point {
        let _ = writeln!(text, "# `value` is {point}");
    }
    for (key, help) in &preset.needs {
        let _ = writeln!(text, "# needs `{key}`: {help}");
    }
    for (key, value) in &preset.keys {
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}
