//! Shared by the tests: the binary, temporary directories, configurations, and entries as they are printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub fn emissiond() -> Command {
    Command::new(env!("CARGO_BIN_EXE_emissiond"))
}

/// A directory of files that vanishes with the value.
pub struct Files(pub TempDir);

impl Files {
    pub fn new(files: &[(&str, &str)]) -> Files {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Files(directory)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The folder of measured data beside the project. Absent, a test that needs it says so and fails under CI.
pub fn shared_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {} is absent, so the measured data cannot be read", folder.display());
    assert!(std::env::var_os("CI").is_none(), "CI needs ../shared/data");
    None
}

/// Runs `replay` on messages and returns its lines.
pub fn replay(files: &Files, config: &str, messages: &str) -> Vec<String> {
    let output = run(emissiond()
        .args(["replay", "--config"])
        .arg(files.path(config))
        .arg("--messages")
        .arg(files.path(messages)));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A number from the environment makes a campaign of a test.
pub fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

pub fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Entries by level, entity, window and start, and the summary.
pub struct Ledger {
    pub entries: BTreeMap<(String, String, String, String), Value>,
    pub summary: Value,
}

impl Ledger {
    pub fn parse(lines: &[String]) -> Ledger {
        let mut entries = BTreeMap::new();
        let mut summary = Value::Null;
        for line in lines {
            let value: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| value[key].as_str().unwrap_or("").to_owned();
            if text("level") == "summary" {
                summary = value;
            } else {
                entries.insert((text("level"), text("entity"), text("window"), text("start")), value);
            }
        }
        Ledger { entries, summary }
    }

    /// The milligrams of a field, by start.
    pub fn series(&self, level: &str, window: &str, field: &str) -> BTreeMap<String, i64> {
        let wanted = self.entries.iter().filter(|((l, _, w, _), _)| l == level && w == window);
        wanted.map(|((.., start), value)| (start.clone(), value[field].as_i64().unwrap())).collect()
    }

    pub fn total(&self, level: &str, window: &str, field: &str) -> i64 {
        self.series(level, window, field).values().sum()
    }
}

/// One line of a messages file.
pub fn message(received: &str, topic: &str, payload: &str) -> String {
    serde_json::json!({"received": received, "topic": topic, "payload": payload}).to_string()
}

/// Two series must be the same; says only where they first differ.
#[track_caller]
pub fn assert_same(found: &BTreeMap<String, i64>, expected: &BTreeMap<String, i64>, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: how many");
    for (pair, other) in found.iter().zip(expected) {
        assert_eq!(pair, other, "{what}");
    }
}
