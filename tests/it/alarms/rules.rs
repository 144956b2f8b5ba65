//! `rules test` and `check`: cases worked out by hand.

use serde_json::Value;

use crate::alarms::CLUSTER;
use crate::harness::{Files, emissiond, run};

/// Runs tests of rules; returns what is printed when they fail, or nothing.
pub fn failed(cluster: &str, rules: &str, tests: &str) -> String {
    let files = Files::new(&[("c.toml", &format!("{cluster}{rules}")), ("t.toml", tests)]);
    let mut command = emissiond();
    command.args(["rules", "test"]).arg(files.path("t.toml")).arg("--config").arg(files.path("c.toml"));
    let output = run(&mut command);
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true => String::new(),
        false => format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[track_caller]
fn check(rules: &str, start: &str, every: &str, readings: &str, turns: &[(&str, &str, &str)]) {
    check_in(CLUSTER, rules, (start, every), readings, turns);
}

#[track_caller]
fn check_in(cluster: &str, rules: &str, (start, every): (&str, &str), readings: &str, turns: &[(&str, &str, &str)]) {
    let turn = |(at, rule, state): &(&str, &str, &str)| {
        let entity = if rule.starts_with('c') { "cluster/c" } else { "facility/f" };
        format!("{{ at = \"{at}\", rule = \"{rule}\", entity = \"{entity}\", state = \"{state}\" }},\n")
    };
    let turns: String = turns.iter().map(turn).collect();
    let tests = format!(
        "[[tests]]\nname = \"t\"\nstart = \"{start}\"\nevery = \"{every}\"\nreadings = {{ m = \"{readings}\" }}\nturns = [\n{turns}]\n"
    );
    assert_eq!(failed(cluster, rules, &tests), "");
}

/// 10 kg a minute are 600 kg/h.
const SLIDING: &str = r#"
[rules.limit]
kind = "limit"
select = { facility = "f", scope = 1 }
average = "5m"
align = "sliding"
limit = "600 kg/h"
"#;

#[test]
fn a_sliding_limit_turns_where_the_average_does() {
    // At the limit is not over it; one kilogram more is.
    let readings = "0+10x9 101+11x0 111+10x3 150+9x9";
    check(
        SLIDING,
        "2026-01-01T00:00",
        "1m",
        readings,
        &[
            ("2026-01-01T00:04", "limit", "normal"),
            // Minute 9 holds 11 kg: 51 in five.
            ("2026-01-01T00:10", "limit", "over"),
            // 9 a minute from minute 14 on: 48 after two of them, below 97 % of 50.
            ("2026-01-01T00:16", "limit", "normal"),
        ],
    );
}

#[test]
fn delays_hold_an_alarm_off_and_keep_it() {
    let rules = format!("{SLIDING}for = \"3m\"\nkeep = \"10m\"\ndeadband = 0.1\n");
    check(
        &rules,
        "2026-01-01T00:00",
        "1m",
        "0+8x9 80+12x9 200+5x30",
        &[
            ("2026-01-01T00:04", "limit", "normal"),
            // 10 minutes of 8 (9 in the ninth) and 12 from then on: over 50 kg at minute 13.
            ("2026-01-01T00:16", "limit", "over"),
            // Below 45 kg at minute 23: held last at 22, and ten minutes more.
            ("2026-01-01T00:32", "limit", "normal"),
        ],
    );
}

#[test]
fn missing_data_is_unknown_and_never_silences_what_is_over() {
    let rate =
        CLUSTER.replace("\"register\"", "\"rate\"\nshape = \"step\"").replace("unit = \"kg\"", "unit = \"kg/h\"");
    let check = |readings: &str, turns: &[(&str, &str, &str)]| {
        check_in(&rate, SLIDING, ("2026-01-01T00:00", "1m"), readings, turns);
    };
    // From the last reading on nothing is known; one minute of five may be missing.
    check(
        "540x19 _x20 540x19",
        &[
            ("2026-01-01T00:04", "limit", "normal"),
            ("2026-01-01T00:21", "limit", "unknown"),
            ("2026-01-01T00:44", "limit", "normal"),
        ],
    );
    // 3000 kg/h for one minute are over for the five of the average, though nothing is known of the other four.
    check(
        "540x9 6000 540 _x28 540x19",
        &[
            ("2026-01-01T00:04", "limit", "normal"),
            ("2026-01-01T00:11", "limit", "over"),
            ("2026-01-01T00:44", "limit", "normal"),
        ],
    );
}

#[test]
fn clock_windows_are_confirmed_at_their_end_and_seen_coming() {
    let rules = r#"
[rules.hour]
kind = "limit"
select = { facility = "*" }
average = "1h"
limit = "600 kg/h"
"#;
    // The hour that the clock skips is none: 03:00 follows 02:00.
    check(
        rules,
        "2026-03-29T01:00",
        "1m",
        "0+5x60 320+20x39 1100+0x80",
        &[
            ("2026-03-29T03:00", "hour", "normal"),
            // 20 kg a minute, 1200 an hour: after five minutes of it.
            ("2026-03-29T03:05", "hour", "projected"),
            ("2026-03-29T03:31", "hour", "over"),
            ("2026-03-29T05:00", "hour", "normal"),
        ],
    );
}

/// What a step meter shows is cut into minutes, and the cuts are no overrun.
#[test]
fn what_is_exactly_at_a_limit_is_not_over_it() {
    let rate =
        CLUSTER.replace("\"register\"", "\"rate\"\nshape = \"step\"").replace("unit = \"kg\"", "unit = \"kg/h\"");
    for (average, align) in [("1m", "sliding"), ("5m", "sliding"), ("20m", "sliding"), ("5m", "clock"), ("1h", "clock")]
    {
        for limit in ["1", "77.7", "123.457", "333", "700"] {
            let rule = format!(
                "[rules.limit]\nkind = \"limit\"\nselect = {{ facility = \"f\" }}\naverage = \"{average}\"\n\
                 align = \"{align}\"\nlimit = \"{limit} kg/h\"\n"
            );
            let readings = format!("{limit}x130");
            let tests = format!(
                "[[tests]]\nname = \"t\"\nstart = \"2026-01-01T00:00\"\nreadings = {{ m = \"{readings}\" }}\nturns = []\n"
            );
            let told = failed(&rate, &rule, &tests);
            assert!(!told.contains(" over") && !told.contains("projected"), "{average} {align} {limit}: {told}");
        }
    }
}

#[test]
fn delays_and_clock_windows_go_together() {
    let rule = |more: &str| {
        format!(
            "[rules.hour]\nkind = \"limit\"\nselect = {{ facility = \"f\" }}\naverage = \"1h\"\nlimit = \"600 kg/h\"\n{more}"
        )
    };
    let plain = "critical_at = 1.2\nresponse = \"look\"\nprojected = false\n";
    // Hours of 900, 660 and 60 kg: critical, over, and neither.
    let readings = "0+15x60 911+11x59 1561+1x120";
    check(
        &rule(&format!("{plain}keep = \"10m\"\n")),
        "2026-01-01T00:00",
        "1m",
        readings,
        &[
            ("2026-01-01T00:41", "hour", "over"),
            ("2026-01-01T00:49", "hour", "critical"),
            ("2026-01-01T02:00", "hour", "over"),
            ("2026-01-01T03:00", "hour", "normal"),
        ],
    );
    // A whole hour above its limit has lasted for an hour, though it was seen in its last minutes.
    check(
        &rule("projected = false\nfor = \"5m\"\n"),
        "2026-01-01T00:00",
        "1m",
        "0+10x57 575+15x2 606+1x120",
        &[("2026-01-01T01:00", "hour", "over"), ("2026-01-01T02:00", "hour", "normal")],
    );
}

#[test]
fn a_new_period_does_as_missing_data_says() {
    let rules = |no_data: &str| {
        format!(
            "[rules.c-day]\nkind = \"budget\"\nselect = {{ cluster = \"c\" }}\nbudget = \"10 t\"\nperiod = \"day\"\nmargin = 1.0\n\
             on_no_data = \"{no_data}\"\n"
        )
    };
    // 12 t by noon, and nothing from then on, into the next day.
    let readings = "0+1000x12 _x22";
    let rate = CLUSTER
        .replace("max_gap = \"2m\"", "max_gap = \"2h\"")
        .replace("expected_every = \"1m\"", "expected_every = \"1h\"");
    let check = |no_data: &str, end: Option<&str>| {
        let start = [
            ("2026-01-01T00:15", "c-day", "normal"),
            ("2026-01-01T02:30", "c-day", "projected"),
            ("2026-01-01T10:15", "c-day", "over"),
        ];
        let turns: Vec<_> = start.into_iter().chain(end.map(|state| ("2026-01-02T00:15", "c-day", state))).collect();
        let told = |turns: &[(&str, &str, &str)]| {
            check_in(&rate, &rules(no_data), ("2026-01-01T00:00", "1h"), readings, turns)
        };
        told(&turns);
    };
    check("alarm", None);
    check("ok", Some("normal"));
    check("unknown", Some("unknown"));
}

#[test]
fn a_month_has_its_budget() {
    // April has 30 days: 1 t a day is to plan.
    let rules = r#"
[rules.c-month]
kind = "budget"
select = { cluster = "c" }
budget = "30 t"
period = "month"
margin = 0.1
"#;
    // 1 t a day for ten days, then 1.5 t a day: 3 t ahead after 6 more days and a bit.
    check(
        rules,
        "2026-04-01T00:00",
        "1h",
        &register_by_hours(&[(240, 1_000), (360, 1_500)], 24),
        &[
            ("2026-04-01T00:15", "c-month", "normal"),
            // After 5.25 h: 10.328 t, and 19.781 t planned at a pace of 11.328 / 11.219, are 30.302 t, a hundredth too much.
            ("2026-04-11T05:15", "c-month", "projected"),
            ("2026-04-17T00:15", "c-month", "warning"),
            ("2026-04-24T08:15", "c-month", "over"),
        ],
    );
}

/// A register that counts so many kilograms a day for so many hours, read each hour.
fn register_by_hours(parts: &[(usize, usize)], hours_a_day: usize) -> String {
    let mut at = 0.0;
    let mut words = vec!["0".to_owned()];
    for (hours, kg_a_day) in parts {
        for _ in 0..*hours {
            at += *kg_a_day as f64 / hours_a_day as f64;
            words.push(format!("{at:.6}"));
        }
    }
    words.join(" ")
}

#[test]
fn tests_that_fail_say_what_differs() {
    let tests = r#"
[[tests]]
name = "wrong"
start = "2026-01-01T00:00"
readings = { m = "0+10x9" }
turns = [{ at = "2026-01-01T00:05", rule = "limit", entity = "facility/f", state = "over" }]
"#;
    let text = failed(CLUSTER, SLIDING, tests);
    assert!(text.contains("  - 2026-01-01T00:05:00+01:00 limit facility/f over\n"), "{text}");
    assert!(text.contains("  + 2026-01-01T00:04:00+01:00 limit facility/f normal at 480 kg/h\n"), "{text}");
    assert!(text.contains("1 of 1 failed"), "{text}");
    let wrong = |from: &str, to: &str| failed(CLUSTER, SLIDING, &tests.replace(from, to));
    assert!(wrong("m = \"0", "n = \"0").contains("no meter is called `n`"));
    assert!(wrong("rule = \"limit\"", "rule = \"limitt\"").contains("no rule is called `limitt`"));
    assert!(wrong("0+10x9", "0+10y9").contains("`0+10y9` is no reading"));
    assert!(wrong("turns", "turn").contains("unknown field"));
}

const OPS: &str = "[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9000/alarm\"\n";

/// Each problem with its code and its line in the rule.
/// All that a test asks for and cannot be is told at once.
#[test]
fn a_test_that_cannot_be_meant_is_none() {
    let test = r#"
[[tests]]
name = "t"
start = "2026-01-01T00:00"
rules = ["limit", "limt", "mont"]
readings = { m = "0+10x9" }
turns = [
    { at = "2026-03-29T02:30", rule = "limit", entity = "facility/f", state = "normal" },
    { at = "2026-01-01T00:04", rule = "limit", entity = "facility/g", state = "firing" },
]
"#;
    let told = failed(CLUSTER, SLIDING, test);
    for part in [
        "no rule is called `limt`",
        "no rule is called `mont`",
        "turn 1: `at`: there is no `2026-03-29T02:30`: the clock goes on to 2026-03-29T03:30",
        "turn 2: `state` cannot be `firing`; allowed: normal, unknown, suppressed, projected, warning, over, critical",
        "turn 2: the rule `limit` does not watch `facility/g`",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

pub fn problems(rule: &str) -> Vec<(String, String)> {
    problems_in(CLUSTER, rule)
}

pub fn problems_in(cluster: &str, rule: &str) -> Vec<(String, String)> {
    let files = Files::new(&[("c.toml", &format!("{cluster}{OPS}[rules.r]\n{rule}"))]);
    let output = run(emissiond().args(["check", "--format", "json", "--config"]).arg(files.path("c.toml")));
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    all.iter().map(|problem| (text(&problem["code"]), text(&problem["message"]))).collect()
}

#[test]
fn rules_that_cannot_be_meant_are_told() {
    let limit = "kind = \"limit\"\naverage = \"1h\"\nlimit = \"600 kg/h\"\n";
    assert_eq!(problems(&format!("{limit}select = {{ facility = \"*\" }}\n")), []);
    let told = |more: &str, code: &str, words: &str| {
        let problems = problems(more);
        assert!(problems.iter().any(|(c, m)| c == code && m.contains(words)), "{more}: {problems:?}");
    };
    told(&format!("{limit}select = {{ network = \"*\" }}\n"), "C019", "it selects no network");
    told(&format!("{limit}select = {{ facility = \"ff\" }}\n"), "C007", "unknown facility `ff`");
    told(&format!("{limit}priority = \"high\"\n"), "C021", "needs a `response`");
    let most = "max_rate = \"500 kg/h\"\n";
    let files = CLUSTER.replace("max_gap", &format!("{most}max_gap"));
    let told_of =
        |limit: &str| problems_in(&files, &format!("kind = \"limit\"\naverage = \"1h\"\nlimit = \"{limit}\"\n"));
    assert_eq!(told_of("499 kg/h"), []);
    assert!(told_of("500 kg/h")[0].1.contains("at most 500 kg/h"), "{:?}", told_of("500 kg/h"));
    // Events have no most, so no budget is out of their reach.
    assert_eq!(problems_in(crate::broker::EVENTS, "kind = \"budget\"\nbudget = \"5 t\"\nperiod = \"day\"\n"), []);
    told(&format!("{limit}deadband = 0\n"), "C022", "deadband");
    told(&format!("{limit}for = \"30s\"\n"), "C022", "shorter than the time between two readings");
    told(&format!("{limit}budget = \"5 t\"\n"), "C006", "of no use to a rule of kind `limit`");
    told("kind = \"limit\"\naverage = \"1h\"\n", "C005", "`rules.r` needs `limit`");
    told("kind = \"limitt\"\n", "C006", "`kind` cannot be `limitt`");
    told("average = \"1h\"\n", "C005", "needs `kind`");
    told("kind = \"limit\"\naverage = \"7m\"\nlimit = \"1 t/h\"\n", "C006", "`average` cannot be `7m`");
    told("kind = \"limit\"\naverage = \"1h\"\nlimit = \"600 kg\"\n", "C006", "a mass over time");
    told("kind = \"limit\"\naverage = \"1h\"\nlimit = \"600 kWh/h\"\n", "C006", "a mass over time");
    told(&format!("{limit}select = {{ scope = 3 }}\n"), "C006", "scope 3 is not kept here");
    told(&format!("{limit}select = {{ scope = 2, gas = \"CH4\" }}\n"), "C006", "not by gas");
    told("kind = \"budget\"\nbudget = \"5 t\"\n", "C005", "needs `period`");
    told("kind = \"budget\"\nbudget = \"5 t\"\nperiod = \"month\"\nplan = [1, 2]\n", "C006", "weights of 12 months");
    told("kind = \"pathway\"\n", "C005", "needs `baseline`");
    let way = "kind = \"pathway\"\nbaseline = { year = 2021, value = \"16 Mt\" }\ntarget = { year = 2050, value = \"0 t\" }\n";
    assert_eq!(problems(way), []);
    told(&format!("{way}shape = \"geometric\"\n"), "C006", "never reaches nought");
}
