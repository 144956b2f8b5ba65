//! The rules of the code's shape: imports run one way, pure rooms are pure, every file says what it is for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every room with the rooms it may import; what is not listed is forbidden. The order is a proof that there is no cycle:
/// a room may only import rooms above it.
const ROOMS: &[(&str, &[&str])] = &[
    ("quantity", &[]),
    ("clock", &["quantity"]),
    ("cluster", &["quantity"]),
    ("decode", &["quantity", "cluster"]),
    ("meter", &["quantity", "cluster"]),
    ("window", &["quantity", "meter"]),
    ("factor", &["quantity"]),
    ("emission", &["quantity", "cluster", "window", "factor"]),
    ("ledger", &["quantity", "cluster", "emission"]),
    ("pipeline", &["quantity", "cluster", "decode", "meter", "window", "emission", "ledger"]),
    ("alert", &["quantity", "cluster", "window", "emission", "ledger", "pipeline"]),
    ("format", &["quantity", "cluster", "emission", "ledger", "pipeline", "alert"]),
    ("store", &["quantity", "cluster", "decode", "meter", "window", "emission", "ledger", "pipeline", "alert"]),
    ("secret", &[]),
    ("tls", &[]),
    ("mqtt", &["tls"]),
    ("influx", &["quantity", "cluster", "ledger", "pipeline", "alert", "format", "store", "secret"]),
    ("notify", &["quantity", "alert", "store", "mqtt", "secret"]),
    (
        "http",
        &[
            "quantity", "cluster", "decode", "meter", "window", "factor", "emission", "ledger", "pipeline", "alert",
            "format", "store", "secret", "tls",
        ],
    ),
    ("simulate", &["quantity", "cluster", "decode", "mqtt"]),
    (
        "config",
        &[
            "quantity", "cluster", "decode", "window", "factor", "emission", "pipeline", "alert", "tls", "mqtt",
            "influx", "notify",
        ],
    ),
    (
        "daemon",
        &[
            "quantity", "clock", "cluster", "decode", "meter", "window", "factor", "emission", "ledger", "pipeline",
            "alert", "format", "store", "secret", "tls", "mqtt", "influx", "notify", "http", "config",
        ],
    ),
    (
        "cli",
        &[
            "quantity", "clock", "cluster", "decode", "meter", "factor", "emission", "ledger", "pipeline", "alert",
            "format", "store", "secret", "tls", "mqtt", "influx", "notify", "http", "simulate", "config", "daemon",
        ],
    ),
];

/// Rooms of the trade, which may not touch the world.
const PURE: &[&str] = &[
    "quantity", "cluster", "decode", "meter", "window", "factor", "emission", "ledger", "pipeline", "alert", "format",
];

/// Words that touch the world.
const WORLDLY: &[&str] = &[
    "tokio",
    "async ",
    ".await",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "SystemTime",
    "Instant::now",
    "println!",
    "tracing::",
    "rusqlite",
    "reqwest",
    "rumqttc",
    "axum",
];

/// A file this long holds more than one subject.
const LINES_MAX: usize = 460;

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text without its tests, by path under `src`.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let production = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
        (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), production)
    };
    files(&root).into_iter().map(read).collect()
}

fn room(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap()
}

/// Code without comments, line by line, from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.map(|(at, line)| (at, line.split("//").next().unwrap_or("")))
}

fn wrong_imports(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources {
        let here = room(path);
        if ["lib", "main"].contains(&here) {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == here) else {
            wrong.push(format!("src/{path}: room `{here}` is not in the table"));
            continue;
        };
        for (line, code) in code(text) {
            for import in code.split("crate::").skip(1) {
                let there = import.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
                if there != here && !allowed.contains(&there) {
                    wrong.push(format!("src/{path}:{line}: `{here}` may not import `{there}`"));
                }
            }
        }
    }
    wrong
}

fn worldly_words(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| PURE.contains(&room(path))) {
        for (line, code) in code(text) {
            for word in WORLDLY.iter().filter(|word| code.contains(*word)) {
                wrong.push(format!("src/{path}:{line}: `{word}` in a pure room"));
            }
        }
    }
    wrong
}

#[test]
fn imports_run_one_way() {
    let wrong = wrong_imports(&sources());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    for (at, (name, allowed)) in ROOMS.iter().enumerate() {
        for import in *allowed {
            let above = ROOMS[..at].iter().any(|(room, _)| room == import);
            assert!(above, "`{name}` may import `{import}`, which is not above it");
        }
    }
}

#[test]
fn pure_rooms_touch_nothing() {
    let wrong = worldly_words(&sources());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_is_not_too_long() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "src/{path} has no head comment");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "src/{path}: {lines} lines");
    }
}

/// The checks themselves: each must fail where a rule is broken.
#[test]
fn a_broken_rule_is_reported_by_file_and_line() {
    let broken = BTreeMap::from([
        ("meter/track.rs".to_owned(), "//! x\nuse crate::store::Ledger;\n".to_owned()),
        ("window/split.rs".to_owned(), "//! x\nfn now() {\n    std::fs::read(\"x\");\n}\n".to_owned()),
    ]);
    assert_eq!(wrong_imports(&broken), ["src/meter/track.rs:2: `meter` may not import `store`"]);
    assert_eq!(worldly_words(&broken), ["src/window/split.rs:3: `std::fs` in a pure room"]);
}
