//! Broken configurations: each mistake is told with its file, its line, and what is meant where that can be guessed.

use serde_json::Value;

use crate::harness::{Files, emissiond, run};

const GOOD: &str = r#"[clusters.c]
timezone = "Europe/Paris"
grid = "eea_fr"
[facilities.works]
cluster = "c"
"#;

/// A meter whose lines are replaced by others.
const METER: &str = r#"[meters.gas]
facility = "works"
topic = "works/gas"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "register"
unit = "Nm3"
expected_every = "10s"
max_rate = "500 Nm3/h"
category = "stationary-combustion"
factor = "epa98_natural_gas"
heat_content = "39.5 MJ/Nm3"
basis = "HHV"
"#;

/// A line of the meter, the line instead of it, and what is said about that.
const METER_FAULTS: &[(&str, &str, &str)] = &[
    ("facility = \"works\"", "facility = \"wroks\"", "did you mean `works`?"),
    ("facility = \"works\"", "faciliti = \"works\"", "did you mean `facility`?"),
    ("facility = \"works\"", "", "name the facility"),
    ("topic = \"works/gas\"", "topic = \"works/#\"", "no topic to publish on"),
    ("topic = \"works/gas\"", "topic = 5", "text in quotes"),
    ("topic = \"works/gas\"", "topc = \"works/gas\"", "did you mean `topic`?"),
    ("format = \"json\"", "format = \"jsn\"", "did you mean `json`?"),
    ("format = \"json\"", "format = \"shelly-emdat\"", "did you mean `shelly-emdata`?"),
    ("value = \"/v\"", "value = \"v\"", "write `/v`"),
    ("value = \"/v\"", "value = \"ENERGY.Total[1]\"", "write `/ENERGY/Total/1`"),
    ("value = \"/v\"", "value = \"/tags/[tag0]/v\"", "[name=tag0]"),
    ("value = \"/v\"", "value = \"/a/*/v\"\nquality = \"/b/*/q\"\nquality_good = [1]", "another array"),
    ("value = \"/v\"", "value = \"/v\"\nquality = \"/q\"", "quality_good"),
    ("value = \"/v\"", "value = \"/v\"\ndecimal = \";\"", "allowed: ., ,"),
    ("value = \"/v\"", "value = \"/v\"\nregisters = \"u23\"", "u32"),
    ("time = \"/t\"", "time = \"/x/*/t\"", "another array"),
    ("time_format = \"ms\"", "time_format = \"msec\"", "allowed: ms"),
    ("time_format = \"ms\"", "time_format = \"local:Europe/Pariss\"", "no time format"),
    ("time_format = \"ms\"", "time_format = \"%H:%M\"", "no pattern of a time"),
    ("time_format = \"ms\"", "", "how the device writes its time"),
    ("kind = \"register\"", "kind = \"registr\"", "did you mean `register`?"),
    ("kind = \"register\"", "kind = \"interval\"", "the period each reading covers"),
    ("kind = \"register\"", "kind = \"register\"\nshape = \"step\"", "belongs to kind `rate`"),
    ("kind = \"register\"", "kind = \"register\"\nreset = \"zero\"", "to-zero"),
    ("kind = \"register\"", "kind = \"register\"\nrollover_at = -5", "modulus"),
    ("kind = \"register\"", "kind = \"register\"\nrollover_at = \"1e9\"", "a number"),
    ("kind = \"register\"", "kind = \"register\"\nscale = 0", "above nought"),
    ("unit = \"Nm3\"", "unit = \"nm3\"", "did you mean `Nm3`?"),
    ("unit = \"Nm3\"", "unit = \"scf\"", "scf60"),
    ("unit = \"Nm3\"", "unit = \"MMBtu\"", "mmBtu"),
    ("unit = \"Nm3\"", "unit = \"ton\"", "short_ton"),
    ("unit = \"Nm3\"", "unit = \"kWhh\"", "unknown unit"),
    ("expected_every = \"10s\"", "expected_every = \"soon\"", "no duration"),
    ("expected_every = \"10s\"", "expected_every = 10", "such as \"60s\""),
    ("expected_every = \"10s\"", "expected_every = \"40d\"", "too long"),
    ("expected_every = \"10s\"", "stale_afer = \"3m\"\nexpected_every = \"10s\"", "did you mean `stale_after`?"),
    ("max_rate = \"500 Nm3/h\"", "max_rate = \"500 Nm3\"", "500 Nm3/h"),
    ("max_rate = \"500 Nm3/h\"", "max_rate = \"500 kW\"", "rate of energy"),
    ("max_rate = \"500 Nm3/h\"", "max_rate = \"500 Nm3/h\"\ntypical = \"900 Nm3/h\"", "above `max_rate`"),
    (
        "category = \"stationary-combustion\"",
        "category = \"stationery-combustion\"",
        "did you mean `stationary-combustion`?",
    ),
    ("factor = \"epa98_natural_gas\"", "factor = \"epa98_natural_gaz\"", "did you mean `epa98_natural_gas`?"),
    ("factor = \"epa98_natural_gas\"", "factor = \"eea_fr\"", ""),
    ("heat_content = \"39.5 MJ/Nm3\"", "heat_content = \"39.5 MJ\"", ""),
    ("heat_content = \"39.5 MJ/Nm3\"", "", ""),
    ("basis = \"HHV\"", "basis = \"hhv\"", "did you mean `HHV`?"),
    ("basis = \"HHV\"", "basis = \"HHV\"\nvalid_from = \"yesterday\"", "no time"),
    ("basis = \"HHV\"", "basis = \"HHV\"\nvalid_from = \"2026-02-01\"\nvalid_to = \"2026-01-01\"", "not after"),
    ("[meters.gas]", "[meters.Gas]", "lower-case"),
    ("[meters.gas]", "[meters.gas]\ntemplate = \"nope\"", "templates"),
];

/// The same, where the mistake shows in another line: which one.
const RELATED_FAULTS: &[(&str, &str, &str, &str)] = &[
    ("format = \"json\"", "format = \"number\"", "value = ", "points into JSON"),
    ("kind = \"register\"", "kind = \"rate\"", "unit = ", "amount per time"),
    ("unit = \"Nm3\"", "unit = \"kg\"", "max_rate = ", "the meter measures mass"),
    ("basis = \"HHV\"", "basis = \"LHV\"", "factor = ", "on HHV and the meter on LHV"),
    ("heat_content = \"39.5 MJ/Nm3\"", "", "factor = ", "it needs a `heat_content`"),
];

/// Lines beside the good ones, the line of them that is wrong, and what is said about it.
const OTHER_FAULTS: &[(&str, usize, &str)] = &[
    ("[[meters]]\nid = \"x\"\n", 1, "[meters.<id>]"),
    ("[clusters.d]\ntimezone = \"Europe/Pariss\"\n", 2, "no time zone"),
    ("[clusters.d]\ntimezone = \"UTC\"\ngrid = \"eea_ffr\"\n", 3, "did you mean `eea_fr`?"),
    ("[facilities.d]\ncluster = \"cc\"\n", 2, "did you mean `c`?"),
    ("[mqtt]\nurl = \"http://x\"\n", 2, "mqtt://host:1883"),
    ("[mqtt]\npassword = \"geheim\"\n", 2, "password_file"),
    ("[mqtt]\ninflight = 0\n", 2, "1 to 60000"),
    ("[mqtt]\nmax_packet = \"1 GB\"\n", 2, "1 KiB"),
    ("[mqtt]\nsubscribe = [\"a/#/b\"]\n", 2, "topic filter"),
    ("[daemon]\nhttp = \"localhost\"\n", 2, "127.0.0.1:8077"),
    ("[ledger]\nlate_horizon = \"a week\"\n", 2, "no duration"),
    ("[influxdb]\nurl = \"127.0.0.1:8086\"\norg = \"o\"\nbucket = \"b\"\n", 2, "http://127.0.0.1:8086"),
    ("[factors]\ngwp = \"ar7\"\n", 2, "ar6"),
    ("[factors]\nfiles = [\"nowhere.csv\"]\n", 2, "cannot read"),
    ("[registry]\nfiles = [\"nowhere.csv\"]\n", 2, "cannot read"),
    ("[dameon]\nhttp = \"127.0.0.1:1\"\n", 1, "did you mean `daemon`?"),
    ("[mqtt\nurl = \"mqtt://h\"\n", 1, "not valid TOML"),
];

fn problems(files: &Files) -> (Option<i32>, Vec<Value>) {
    let output = run(emissiond().args(["check", "--format", "json", "--config"]).arg(files.path("c.toml")));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {said}")))
}

/// The lines of a part of a configuration: some problem is in one of them and says this.
fn check(part: &str, wrong: std::ops::RangeInclusive<usize>, says: &str) {
    // Once in the file itself, once in a neighbour of it.
    let whole = format!("{GOOD}{part}");
    let before = GOOD.lines().count();
    let cases = [
        (Files::new(&[("c.toml", whole.as_str())]), "c.toml", before),
        (Files::new(&[("c.toml", GOOD), ("conf.d/20-more.toml", part)]), "20-more.toml", 0),
    ];
    for (files, file, before) in cases {
        let (code, problems) = problems(&files);
        assert_eq!(code, Some(78), "{part}\n{problems:?}");
        let lines = wrong.start() + before..=wrong.end() + before;
        let is_it = |problem: &&Value| {
            let text = format!("{} {}", problem["message"], problem["help"]).replace("\\\"", "\"");
            let line = problem["line"].as_u64().unwrap_or(0) as usize;
            problem["severity"] == "error"
                && problem["file"].as_str().is_some_and(|name| name.ends_with(file))
                && lines.contains(&line)
                && text.contains(says)
        };
        assert!(problems.iter().any(|problem| is_it(&problem)), "{file} {lines:?}: {says}\n{part}\n{problems:#?}");
    }
}

#[test]
fn mistakes_in_a_meter_are_told_where_they_are() {
    let lines: Vec<&str> = METER.lines().collect();
    for (line, instead, says) in METER_FAULTS {
        let at = lines.iter().position(|known| known == line).unwrap() + 1;
        let part = METER.replacen(line, instead, 1);
        // What is missing is told at the meter itself.
        let more = instead.matches('\n').count();
        let wrong = if instead.is_empty() { 1..=lines.len() } else { at..=at + more };
        check(&part, wrong, says);
    }
    for (line, instead, shows, says) in RELATED_FAULTS {
        let part = METER.replacen(line, instead, 1);
        let at = part.lines().position(|known| known.starts_with(shows)).unwrap() + 1;
        check(&part, at..=at, says);
    }
}

#[test]
fn mistakes_elsewhere_are_told_where_they_are() {
    for (part, wrong, says) in OTHER_FAULTS {
        check(part, *wrong..=*wrong, says);
    }
}

#[test]
fn several_files_do_not_hide_each_other() {
    let second = METER.replace("meters.gas", "meters.oil").replace("\"Nm3\"", "\"NM3\"");
    let files = Files::new(&[("c.toml", GOOD), ("conf.d/1.toml", METER), ("conf.d/2.toml", &second)]);
    let (_, problems) = problems(&files);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0]["file"].as_str().unwrap().ends_with("conf.d/2.toml"));
}

#[test]
fn a_thing_is_declared_in_one_file() {
    for (part, id) in [(METER, "[meters.gas]"), ("[clusters.c]\ntimezone = \"UTC\"\n", "[clusters.c]")] {
        let first = if id == "[clusters.c]" { GOOD.to_owned() } else { format!("{GOOD}{METER}") };
        let files = Files::new(&[("c.toml", &first), ("conf.d/1.toml", part)]);
        let (code, problems) = problems(&files);
        assert_eq!(code, Some(78), "{problems:#?}");
        let told = problems.iter().find(|problem| problem["code"] == "C015").unwrap();
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(id) && message.contains("c.toml:"), "{message}");
        assert!(told["file"].as_str().unwrap().ends_with("conf.d/1.toml") && told["line"] == 1, "{told}");
    }
}

#[test]
fn secrets_are_not_repeated() {
    let secret = "[mqtt]\nurl = \"mqtt://u:p@geheim@h:99999\"\npassword = \"geheim\"\n[influxdb]\ntoken = \"geheim\"\n";
    let files = Files::new(&[("c.toml", &format!("{GOOD}{secret}"))]);
    for arguments in [["check", "--format=text"], ["check", "--format=json"], ["config", "show"]] {
        let output = run(emissiond().args(arguments).arg("--config").arg(files.path("c.toml")));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("geheim"), "{arguments:?}: {said}");
    }
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let files = Files::new(&[("c.toml", &format!("{GOOD}[ledger]\nclose_after = \"5m\"\n"))]);
    for (variable, value, says) in [
        ("EMISSIOND__LEDGER__CLOSE_AFTER", "soon", "in the environment: EMISSIOND__LEDGER__CLOSE_AFTER"),
        ("EMISSIOND_LEDGER_CLOSE_AFTER", "5m", "did you mean `EMISSIOND__LEDGER__CLOSE_AFTER`?"),
    ] {
        let output = run(emissiond().env(variable, value).args(["check", "--config"]).arg(files.path("c.toml")));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(78) && said.contains(says), "{said}");
    }
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let output = run(emissiond().args(["config", "schema"])).stdout;
    let committed = include_str!("../../config/schema.json");
    assert_eq!(String::from_utf8(output).unwrap(), committed, "emissiond config schema > config/schema.json");
}
