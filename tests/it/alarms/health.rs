//! Rules about the data, by hand: silence, coverage, transfers, the plant's state.

use crate::alarms::CLUSTER;
use crate::alarms::rules::{failed, problems, problems_in};

/// Three meters behind a gateway, one of which works in shifts, and a transfer.
const PLANT: &str = r#"
[templates.amount]
facility = "f"
format = "json"
value = "/v"
time = "/t"
time_format = "rfc3339"
kind = "interval"
interval = "1m"
unit = "kg"
stale_after = "5m"
category = "memo"
[meters.a]
template = "amount"
topic = "a"
gateway = "gw"
[meters.b]
template = "amount"
topic = "b"
gateway = "gw"
[meters.d]
template = "amount"
topic = "d"
schedule = "mon-fri 06:00-22:00"
[transfers.pipe]
sent = "a"
received = "b"
"#;

/// `rules test` of one test; `turns` are of the one rule `r`.
#[track_caller]
fn check(rule: &str, start: &str, readings: &[(&str, &str)], turns: &[(&str, &str, &str)]) {
    let readings: String = readings.iter().map(|(meter, text)| format!("{meter} = \"{text}\", ")).collect();
    let turn = |(at, entity, state): &(&str, &str, &str)| {
        format!("{{ at = \"{at}\", rule = \"r\", entity = \"{entity}\", state = \"{state}\" }},\n")
    };
    let turns: String = turns.iter().map(turn).collect();
    let readings = readings.trim_end_matches(", ");
    let test = format!(
        "[[tests]]\nname = \"t\"\nstart = \"{start}\"\nrules = [\"r\"]\nreadings = {{ {readings} }}\nturns = [\n{turns}]\n"
    );
    assert_eq!(failed(&format!("{CLUSTER}{PLANT}"), &format!("[rules.r]\n{rule}"), &test), "");
}

#[test]
fn a_meter_is_silent_from_when_its_reading_was_due() {
    let rule = "kind = \"stale\"\nselect = { meter = \"d\" }\n";
    check(
        rule,
        "2026-01-05T10:00",
        &[("d", "1x3 _x9 1x2 _x20")],
        &[
            ("2026-01-05T10:00", "meter/d", "normal"),
            ("2026-01-05T10:08", "meter/d", "over"),
            ("2026-01-05T10:13", "meter/d", "normal"),
            ("2026-01-05T10:20", "meter/d", "over"),
        ],
    );
    // On a Friday evening the work is over.
    check(
        rule,
        "2026-01-09T21:57",
        &[("d", "1x1 _x3000 @2026-01-12T06:02 _x2")],
        &[("2026-01-09T21:57", "meter/d", "normal"), ("2026-01-12T06:03", "meter/d", "over")],
    );
}

#[test]
fn a_silent_gateway_is_one_alarm() {
    let rule = "kind = \"stale\"\nselect = { facility = \"f\" }\n";
    check(
        rule,
        "2026-01-05T10:00",
        &[("a", "1 _x9 1x9"), ("b", "_x2 1 _x9 1x6"), ("d", "1x30"), ("m", "0x30")],
        &[
            ("2026-01-05T10:00", "meter/a", "normal"),
            ("2026-01-05T10:02", "meter/b", "normal"),
            ("2026-01-05T10:00", "meter/d", "normal"),
            ("2026-01-05T10:00", "meter/m", "normal"),
            ("2026-01-05T10:00", "gateway/gw", "normal"),
            ("2026-01-05T10:05", "meter/a", "over"),
            ("2026-01-05T10:07", "meter/b", "over"),
            ("2026-01-05T10:07", "gateway/gw", "over"),
            ("2026-01-05T10:10", "meter/a", "normal"),
            ("2026-01-05T10:10", "gateway/gw", "normal"),
            ("2026-01-05T10:12", "meter/b", "normal"),
            // The test goes on, and they do not.
            ("2026-01-05T10:24", "meter/a", "over"),
            ("2026-01-05T10:23", "meter/b", "over"),
            ("2026-01-05T10:24", "gateway/gw", "over"),
        ],
    );
}

#[test]
fn too_little_coverage_is_an_alarm() {
    let rule = "kind = \"coverage\"\nselect = { meter = \"a\" }\nat_least = 0.8\naverage = \"10m\"\n";
    check(
        rule,
        "2026-01-05T10:01",
        &[("a", "1x14 _x3 1x19")],
        &[
            // Before the first reading nothing is missing.
            ("2026-01-05T10:01", "meter/a", "normal"),
            ("2026-01-05T10:18", "meter/a", "over"),
            ("2026-01-05T10:27", "meter/a", "normal"),
        ],
    );
}

#[test]
fn what_is_lost_in_a_transfer_is_an_alarm() {
    let rule = "kind = \"imbalance\"\naverage = \"1h\"\n";
    check(
        rule,
        "2026-01-05T10:01",
        &[("a", "100x239"), ("b", "100x59 90x59 100x119")],
        &[
            ("2026-01-05T10:45", "transfer/pipe", "normal"),
            // A quarter of 90 is 2.5 % of the hour's 6000.
            ("2026-01-05T11:15", "transfer/pipe", "over"),
            ("2026-01-05T13:00", "transfer/pipe", "normal"),
        ],
    );
}

#[test]
fn a_limit_counts_in_one_state_of_the_plant() {
    let rule = "kind = \"limit\"\nselect = { facility = \"f\" }\naverage = \"5m\"\nalign = \"sliding\"\n\
                limit = \"600 kg/h\"\nmin_coverage = 0\nwhen = { meter = \"a\", above = \"60 kg/h\" }\n";
    check(
        rule,
        "2026-01-05T10:00",
        &[("m", "0+20x30"), ("a", "_ 2x9 0x4 2x4 _x4 2x5")],
        &[
            // 20 kg a minute: over with the third minute.
            ("2026-01-05T10:01", "facility/f", "normal"),
            ("2026-01-05T10:03", "facility/f", "over"),
            ("2026-01-05T10:11", "facility/f", "suppressed"),
            ("2026-01-05T10:16", "facility/f", "over"),
        ],
    );
}

#[test]
fn rules_about_the_data_that_cannot_be_meant_are_told() {
    let plant = format!("{CLUSTER}{PLANT}");
    let told = |rule: &str, code: &str, words: &str| {
        let problems = problems_in(&plant, rule);
        assert!(problems.iter().any(|(c, m)| c == code && m.contains(words)), "{rule}: {problems:?}");
    };
    for rule in ["stale", "imbalance", "daemon", "quality"] {
        let problems = problems_in(&plant, &format!("kind = \"{rule}\"\n"));
        assert!(problems.is_empty(), "{rule}: {problems:?}");
    }
    told("kind = \"coverage\"\n", "C005", "`rules.r` needs `at_least`");
    told("kind = \"stale\"\nfor = \"5m\"\n", "C006", "of no use to a rule of kind `stale`");
    told("kind = \"stale\"\nselect = { meter = \"x\" }\n", "C007", "unknown meter `x`");
    told("kind = \"daemon\"\nwatch = [\"brokr\"]\n", "C006", "`watch` cannot be `brokr`");
    told("kind = \"imbalance\"\naverage = \"5m\"\n", "C006", "at least \"15m\"");
    told("kind = \"imbalance\"\nselect = { transfer = \"pip\" }\n", "C007", "unknown");
    let limit = "kind = \"limit\"\nselect = { facility = \"f\" }\naverage = \"1h\"\nlimit = \"600 kg/h\"\n";
    told(&format!("{limit}when = {{ meter = \"a\", above = \"5 kWh\" }}\n"), "C006", "over time");
    told(&format!("{limit}when = {{ meter = \"zz\", above = \"5 kg/h\" }}\n"), "C007", "unknown meter `zz`");
    told(&format!("{limit}when = {{ meter = \"a\" }}\n"), "C005", "when");
    told(&format!("{limit}[rules.s]\n{limit}"), "C024", "in the same way as `r`");
    let none = problems("kind = \"imbalance\"\n");
    assert!(none.iter().any(|(code, _)| code == "C019"), "{none:?}");
    let schedule = plant.replace("mon-fri 06:00-22:00", "weekdays");
    let problems = problems_in(&schedule, "kind = \"stale\"\n");
    assert!(problems.iter().any(|(_, message)| message.contains("is no schedule")), "{problems:?}");
}

/// What is wrong with a meter is told, and no figure is looked for that it would have.
#[test]
fn a_limit_over_a_faulty_meter_is_checked() {
    let limit = "kind = \"limit\"\nselect = { facility = \"f\" }\naverage = \"1h\"\nlimit = \"600 kg/h\"\n";
    for (right, wrong, code) in [
        ("unit = \"kg\"\nstale_after", "unit = \"MWx\"\nstale_after", "C008"),
        ("category = \"memo\"", "category = \"stationary-combustion\"\nfactor = \"nothing\"", "C009"),
    ] {
        let plant = format!("{CLUSTER}{PLANT}").replace(right, wrong);
        let problems = problems_in(&plant, limit);
        assert!(problems.iter().any(|(found, _)| found == code), "{wrong}: {problems:?}");
    }
}

/// What is exactly the budget is not over it, whatever was rounded on the way.
#[test]
fn a_budget_that_is_just_spent_is_not_over() {
    let rule = "kind = \"budget\"\nselect = { facility = \"f\" }\nbudget = \"100 kg\"\nperiod = \"day\"\nmargin = 1\n\
                min_coverage = 0\n";
    let test = "[[tests]]\nname = \"t\"\nstart = \"2026-04-01T00:00\"\nevery = \"90m\"\nrules = [\"r\"]\n\
                readings = { m = \"0+6.25x47\" }\nturns = [{ at = \"2026-04-01T00:15\", rule = \"r\", entity = \"facility/f\", \
                state = \"normal\" }]\n";
    let cluster = CLUSTER.replace("max_gap = \"2m\"", "max_gap = \"3h\"");
    assert_eq!(failed(&cluster, &format!("[rules.r]\n{rule}"), test), "");
}

#[test]
fn notifiers_that_cannot_be_meant_are_told() {
    let told = |notifier: &str, words: &str| {
        let problems = problems(&format!("kind = \"stale\"\n[notify.n]\n{notifier}"));
        assert!(problems.iter().any(|(_, message)| message.contains(words)), "{notifier}: {problems:?}");
    };
    told("kind = \"smtp\"\nurl = \"mail.example.com\"\n", "no address of a mail server");
    told("kind = \"smtp\"\nurl = \"smtp://user:pw@mail.example.com\"\n", "no address of a mail server");
    told("kind = \"smtp\"\nurl = \"smtps://mail.example.com\"\nfrom = \"a@b.c\"\n", "needs `to`");
    told("kind = \"webhook\"\nurl = \"http://x\"\nformat = \"ntfy\"\n", "needs `topic`");
    told("kind = \"webhook\"\nurl = \"http://x\"\ntemplate_file = \"none.j2\"\n", "none.j2");
    told("kind = \"mqtt\"\nto = \"a@b.c\"\n", "of no use to a notifier of kind `mqtt`");
    told("kind = \"alertmanager\"\n", "needs `url`");
    told("kind = \"mqtt\"\ngroup_by = [\"colour\"]\n", "`group_by` cannot be `colour`");
    told("kind = \"mqtt\"\nheartbeat = \"1s\"\n", "at least 5s");
}
