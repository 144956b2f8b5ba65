//! What a wrong configuration is answered with: all problems at once, each with its place and its cure.

use serde_json::Value;

use crate::harness::{Files, emissiond, run};

const GOOD: &str = r#"[clusters.c]
timezone = "Europe/Paris"
grid = "eea_fr"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "a/b"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "register"
unit = "kWh"
expected_every = "10s"
category = "purchased-electricity"
"#;

/// Checks a configuration; returns the exit code and (code, line, column) of each problem.
fn problems(text: &str) -> (i32, Vec<(String, u64, u64)>) {
    let files = Files::new(&[("c.toml", text)]);
    let output = run(emissiond().args(["check", "--format", "json", "--config"]).arg(files.path("c.toml")));
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let place = |p: &Value| {
        (p["code"].as_str().unwrap().to_owned(), p["line"].as_u64().unwrap_or(0), p["column"].as_u64().unwrap_or(0))
    };
    (output.status.code().unwrap(), list.iter().map(place).collect())
}

fn check(replacements: &[(&str, &str)], expected: &[(&str, u64, u64)]) {
    let text = replacements.iter().fold(GOOD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let expected: Vec<_> = expected.iter().map(|(c, l, k)| ((*c).to_owned(), *l, *k)).collect();
    let exit = if expected.is_empty() { 0 } else { 78 };
    assert_eq!(problems(&text), (exit, expected), "{text}");
}

#[test]
fn a_good_file_has_no_problem() {
    check(&[], &[]);
}

#[test]
fn three_mistakes_are_three_problems() {
    check(
        &[("facility = \"f\"", "facility = \"g\""), ("\"kWh\"", "\"kwh\""), ("\"10s\"", "\"soon\"")],
        &[("C007", 7, 12), ("C008", 14, 8), ("C006", 15, 18)],
    );
}

#[test]
fn each_mistake_has_its_place() {
    check(&[("expected_every", "expected_evry")], &[("C003", 15, 1)]);
    check(&[("\"eea_fr\"", "\"eea_fx\"")], &[("C009", 3, 8)]);
    check(&[("\"eea_fr\"", "\"ipcc06_diesel\"")], &[("C009", 6, 9)]);
    check(&[("Europe/Paris", "Europe/Pari")], &[("C006", 2, 12)]);
    check(&[("kind = \"register\"", "kind = \"rate\"")], &[("C008", 14, 8)]);
    check(&[("unit = \"kWh\"", "unit = 7")], &[("C004", 14, 8)]);
    check(&[("[meters.m]", "[meters.\"M 1\"]")], &[("C010", 6, 9)]);
    check(&[("grid = \"eea_fr\"\n", "")], &[("C005", 5, 9)]);
    check(&[("\"/v\"", "\"v\"")], &[("C006", 10, 9)]);
    check(&[("[meters.m]", "[[meters]]")], &[("C004", 6, 1)]);
    check(&[("[facilities.f]", "[facilities.f")], &[("C002", 4, 14)]);
}

#[test]
fn ambiguous_units_and_heating_values_are_refused_with_the_choice() {
    let gas = GOOD.replace("\"kWh\"", "\"scf\"").replace("purchased-electricity", "stationary-combustion");
    let files = Files::new(&[("c.toml", &gas)]);
    let output = run(emissiond().args(["check", "--config"]).arg(files.path("c.toml")));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("scf60") && text.contains("scf68"), "{text}");
    let lhv = GOOD.replace("\"kWh\"", "\"Nm3\"").replace(
        "purchased-electricity\"",
        "stationary-combustion\"\nfactor = \"epa98_natural_gas\"\nheat_content = \"36 MJ/Nm3\"\nbasis = \"LHV\"",
    );
    let files = Files::new(&[("c.toml", &lhv)]);
    let output = run(emissiond().args(["check", "--config"]).arg(files.path("c.toml")));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("is on HHV and the meter on LHV"), "{text}");
}

#[test]
fn layers_add_up() {
    let parts = [("c.toml", GOOD), ("conf.d/more.toml", "[facilities.g]\ncluster = \"c\"\n")];
    let files = Files::new(&parts);
    let output = run(emissiond().args(["check", "--config"]).arg(files.path("c.toml")));
    assert!(String::from_utf8(output.stdout).unwrap().contains("2 facilities, 1 meters"));
    let mut command = emissiond();
    command.env("EMISSIOND__METERS__M__UNIT", "furlong").args(["check", "--config"]).arg(files.path("c.toml"));
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn wrong_words_on_the_command_line_exit_64() {
    for arguments in [&["frobnicate"][..], &["replay"], &["export", "--config", "x", "--format", "xml"]] {
        assert_eq!(run(emissiond().args(arguments)).status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn every_shipped_configuration_passes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let output = run(emissiond().args(["check", "--config"]).arg(&path));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stderr), "");
            checked += 1;
        }
    }
    assert_eq!(checked, 4);
}

#[test]
fn two_meters_on_one_number_are_a_warning_unless_one_follows_the_other() {
    let second = &GOOD[GOOD.find("[meters.m]").unwrap()..].replace("[meters.m]", "[meters.n]");
    let (old, new) = ("valid_to = \"2026-03-01T00:00:00Z\"\n", "valid_from = \"2026-03-01T00:00:00Z\"\n");
    let (exit, found) = problems(&format!("{GOOD}{second}"));
    assert_eq!((exit, found.len(), found[0].0.as_str()), (0, 1, "C011"));
    let (exit, found) = problems(&format!("{GOOD}{old}{second}{new}"));
    assert_eq!((exit, found), (0, Vec::new()));
}
