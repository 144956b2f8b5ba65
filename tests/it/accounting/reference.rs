//! The reference clusters as shipped: complete, free of warnings, and as large as their published baselines.

use std::path::PathBuf;

use emissiond::config;
use emissiond::quantity::Time;
use emissiond::simulate::Fleet;

use super::mg;
use crate::harness::{Files, Ledger, emissiond, message, replay, run};

struct Reference {
    file: &'static str,
    cluster: &'static str,
    /// Local midnight, on a day without a change of clocks.
    midnight: &'static str,
    megatonnes: f64,
    /// What the baseline counts.
    columns: &'static [&'static str],
}

const REFERENCES: [Reference; 3] = [
    Reference {
        file: "teda",
        cluster: "teda",
        midnight: "2026-02-02T16:00:00Z",
        megatonnes: 16.0,
        columns: &["scope1", "scope2_location"],
    },
    Reference {
        file: "dunkerque",
        cluster: "dunkerque",
        midnight: "2026-02-02T23:00:00Z",
        megatonnes: 16.0,
        columns: &["co2"],
    },
    Reference {
        file: "louisiana",
        cluster: "louisiana",
        midnight: "2026-02-03T06:00:00Z",
        megatonnes: 143.0,
        columns: &["co2"],
    },
];

const QUARTER_MS: i64 = 900_000;
const DAY_MS: i64 = 96 * QUARTER_MS;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config").join(format!("{name}.toml"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn meters(name: &str) -> usize {
    config::check(Some(&path(name))).unwrap().rules.topology.meters.len()
}

#[test]
fn they_pass_without_a_warning() {
    for name in ["teda", "dunkerque", "louisiana", "network"] {
        let output = run(emissiond().args(["check", "--config"]).arg(path(name)));
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(output.status.success() && !said.contains("warning"), "{name}: {said}");
    }
}

#[test]
fn their_tests_of_rules_pass() {
    for name in ["teda", "dunkerque", "louisiana"] {
        let mut command = emissiond();
        command.args(["rules", "test"]).arg(format!("config/tests/{name}.toml")).arg("--config").arg(path(name));
        let output = run(&mut command);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn each_has_some_forty_meters_and_the_network_has_all_of_them() {
    let counts = REFERENCES.map(|reference| meters(reference.file));
    assert!(counts.iter().all(|count| (36..=46).contains(count)), "{counts:?}");
    assert_eq!(meters("network"), counts.iter().sum::<usize>());
    let network = sections(&text("network"));
    for reference in &REFERENCES {
        for section in sections(&text(reference.file)) {
            assert!(network.contains(&section), "{} has, and network.toml lacks: {section}", reference.file);
        }
    }
}

/// Its tables, without comments and blank lines.
fn sections(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(Vec::new(), |mut sections, line| {
        match sections.last_mut() {
            Some(section) if !line.starts_with('[') => *section = format!("{section}{line}\n"),
            _ => sections.push(format!("{line}\n")),
        }
        sections
    })
}

#[test]
fn a_day_at_the_typical_rates_is_a_day_of_the_baseline() {
    for reference in &REFERENCES {
        let tonnes = reference.day();
        let yearly = tonnes * 365.0 / 1e6;
        println!("{}: {yearly:.2} Mt a year, {} meters", reference.file, meters(reference.file));
        let off = yearly / reference.megatonnes - 1.0;
        assert!(off.abs() < 0.1, "{}: {yearly} Mt a year instead of {}", reference.file, reference.megatonnes);
    }
}

/// A configuration whose meters report by the quarter-hour, so that a day is soon over, with the messages of one day.
pub fn simulated_day(file: &str, midnight: Time) -> Files {
    let slow = |line: &str| match line.starts_with("expected_every") {
        true => "expected_every = \"15m\"\n".to_owned(),
        false => format!("{line}\n"),
    };
    let files = Files::new(&[("c.toml", &text(file).lines().map(slow).collect::<String>())]);
    let plan = config::check(Some(&files.path("c.toml"))).unwrap();
    let mut fleet = Fleet::new(&plan.rules.topology, &plan.mappings, midnight, Some(QUARTER_MS));
    let mut messages = String::new();
    while fleet.next_due() <= midnight.0 + DAY_MS {
        let now = Time(fleet.next_due());
        for sent in fleet.due(now) {
            messages.push_str(&message(&now.to_string(), &sent.topic, &sent.payload));
            messages.push('\n');
        }
    }
    std::fs::write(files.path("m.jsonl"), messages).unwrap();
    files
}

impl Reference {
    /// The tonnes of a simulated day.
    fn day(&self) -> f64 {
        let files = simulated_day(self.file, Time::parse_rfc3339(self.midnight).unwrap());
        let ledger = Ledger::parse(&replay(&files, "c.toml", "m.jsonl"));
        let summary = &ledger.summary;
        assert_eq!(summary["received"], summary["accepted"], "{summary}");
        let key = ["cluster", self.cluster, "1d", self.midnight].map(str::to_owned);
        let [level, cluster, window, start] = key;
        let day = &ledger.entries[&(level, cluster, window, start)];
        assert!(day["coverage"].as_f64().unwrap() > 0.999, "{}: {day}", self.file);
        self.columns.iter().map(|column| mg(day, column)).sum::<f64>() / 1e9
    }
}
