//! State directories of earlier formats: read by this version with the same figures; and one of a later format, refused.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::harness::{Files, emissiond, run};

/// A copy of a golden directory, with its configuration.
pub fn golden(name: &str) -> (Files, String) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let files = Files::new(&[]);
    for part in ["c.toml", "state/ledger.db", "state/cursors.db", "state/journal/2026-11-24.db"] {
        let to = files.path(part);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(source.join(part), to).unwrap();
    }
    (files, std::fs::read_to_string(source.join("expected.jsonl")).unwrap())
}

/// What `export` prints of the closed windows, and what it says beside.
pub fn export(files: &Files) -> (String, String, bool) {
    let (mut printed, mut said, mut well) = (String::new(), String::new(), true);
    for level in ["meter", "facility", "cluster"] {
        for window in ["1h", "1d"] {
            let mut command = emissiond();
            command.args(["export", "--level", level, "--window", window, "--config"]).arg(files.path("c.toml"));
            let output = run(&mut command);
            printed.push_str(&String::from_utf8(output.stdout).unwrap());
            said.push_str(&String::from_utf8(output.stderr).unwrap());
            well &= output.status.success();
        }
    }
    (printed, said, well)
}

fn format_of(path: &PathBuf) -> i64 {
    Connection::open(path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// Format 3 is format 2 with a table for decisions.
#[test]
fn the_format_before_the_trail_is_migrated_with_the_same_figures() {
    let (files, expected) = golden("state-v2");
    let table = "CREATE TABLE verdict(number INTEGER PRIMARY KEY, decided INTEGER NOT NULL, meter TEXT NOT NULL,
        time INTEGER NOT NULL, base INTEGER NOT NULL, verdict TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL,
        crc INTEGER NOT NULL); PRAGMA user_version = 3;";
    Connection::open(files.path("state/ledger.db")).unwrap().execute_batch(table).unwrap();
    let (printed, said, well) = export(&files);
    assert!(well && said.is_empty(), "{said}");
    assert_eq!(printed, expected);
    assert_eq!(format_of(&files.path("state/ledger.db")), 5);
}

#[test]
fn earlier_formats_are_migrated_with_the_same_figures() {
    for format in [1, 2] {
        let (files, expected) = golden(&format!("state-v{format}"));
        assert_eq!(format_of(&files.path("state/ledger.db")), format);
        let (printed, said, well) = export(&files);
        assert!(well && said.is_empty(), "{said}");
        assert_eq!(printed, expected);
        assert_eq!(format_of(&files.path("state/ledger.db")), 5);
        assert_eq!(export(&files).0, expected, "and again");
    }
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let (files, _) = golden("state-v1");
    let path = files.path("state/ledger.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(&path).unwrap();
    let (_, said, well) = export(&files);
    assert!(!well && said.contains("has format 99, this version knows 5"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
