//! Bit rot: one bit of a state directory is flipped, and the books are opened. The figures must be the same, or the damage
//! must be reported; a wrong figure in silence is the one thing that must not happen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use emissiond::clock;
use emissiond::config::{Plan, check};
use emissiond::daemon::{Books, open_view};
use emissiond::http::{Asked, EntriesQuery, collect};
use emissiond::store::Reader;
use fastrand::Rng;

use crate::harness::{Files, number};
use crate::upgrade::golden;

/// Everything closed, or why not; and whether damage was reported.
fn figures(plan: &Plan) -> (Result<String, String>, bool) {
    let state = &plan.daemon.state_dir;
    let books = match Books::open(state, plan, clock::now()) {
        Ok(books) => books,
        Err(error) => return (Err(error.to_string()), true),
    };
    let mut text = String::new();
    let topology = &plan.rules.topology;
    let Ok(reader) = Reader::open(state, Arc::clone(books.ledger.names()), Arc::clone(topology)) else {
        return (Err("the reader".to_owned()), true);
    };
    for level in ["meter", "facility", "cluster"] {
        for window in ["1m", "15m", "1h", "1d"] {
            let part = |text: &str| Some(text.to_owned());
            let query = EntriesQuery {
                level: part(level),
                window: part(window),
                format: part("jsonl"),
                ..EntriesQuery::default()
            };
            let asked = Asked::parse(&query, &plan.rules).unwrap();
            let open = open_view(&books.pipeline, &asked.entities, asked.window);
            match collect(&plan.rules, &reader, &asked, &open) {
                Ok(entries) => text.push_str(&asked.write(&entries, topology)),
                Err(error) => return (Err(error.to_string()), true),
            }
        }
    }
    let counted = &books.pipeline.counters().messages;
    // The session with the broker hangs on the incarnation.
    text.push_str(&format!("{counted:?}\n{}", books.ledger.incarnation().unwrap()));
    // Revisions are no part of the pure function: what is rebuilt is stored anew.
    (Ok(strip_revisions(&text)), !books.damage.is_empty())
}

fn strip_revisions(text: &str) -> String {
    let plain = |line: &str| line.split(",\"revision\":").next().unwrap_or("").to_owned();
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// The files with contents, sorted.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(contents(&entry.path()));
        } else {
            found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

fn restore(state: &Path, files: &[(PathBuf, Vec<u8>)]) {
    std::fs::remove_dir_all(state).unwrap();
    std::fs::create_dir_all(state.join("journal")).unwrap();
    files.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
}

fn plan(files: &Files) -> Plan {
    check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap()
}

/// `EMISSIOND_FLIPS` says how many, `EMISSIOND_SEED` which.
#[test]
fn a_flipped_bit_is_harmless_or_reported() {
    let (flips, seed) = (number("EMISSIOND_FLIPS", 300), number("EMISSIOND_SEED", 7));
    let (files, _) = golden("state-v1");
    let plan = plan(&files);
    let (expected, _) = figures(&plan);
    let expected = expected.unwrap();
    assert!(expected.lines().count() > 1_000);
    let state = files.path("state");
    let sound = contents(&state);
    let bits: u64 = sound.iter().map(|(_, bytes)| 8 * bytes.len() as u64).sum();
    let mut random = Rng::with_seed(seed);
    let (mut harmless, mut reported, mut rebuilt) = (0, 0, 0);
    for flip in 0..flips {
        let mut bit = random.u64(0..bits);
        let mut damaged = sound.clone();
        let (path, bytes) = damaged
            .iter_mut()
            .find(|(_, bytes)| {
                let here = bit < 8 * bytes.len() as u64;
                bit -= if here { 0 } else { 8 * bytes.len() as u64 };
                here
            })
            .unwrap();
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        let place = format!("seed {seed}, flip {flip}: bit {bit} of {}", path.display());
        restore(&state, &damaged);
        match figures(&plan) {
            (Ok(text), false) => {
                assert!(text == expected, "{place}: other figures in silence\n{}", first_difference(&expected, &text));
                harmless += 1;
            }
            (Ok(text), true) => {
                reported += 1;
                rebuilt += u64::from(text == expected);
            }
            (Err(_), _) => reported += 1,
        }
        // What was reported is mended: the next start finds nothing.
        if flip % 10 == 0 && reported > 0 {
            let again = figures(&plan);
            assert!(again.0.is_err() || !again.1, "{place}: found again");
        }
    }
    assert!(rebuilt * 10 >= reported * 8, "only {rebuilt} of {reported} are rebuilt, though the journal reaches all");
    println!("{flips} flips: {harmless} harmless, {reported} reported ({rebuilt} of them rebuilt in full), 0 silent");
}

fn first_difference(expected: &str, found: &str) -> String {
    let pair = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    pair.map_or_else(
        || format!("{} lines, {} expected", found.lines().count(), expected.lines().count()),
        |(a, b)| format!("{a}\n{b}"),
    )
}

/// What a daemon that runs for months finds by itself.
#[test]
fn damage_that_comes_while_it_runs_is_found_noted_and_mended_by_a_restart() {
    let (files, _) = golden("state-v1");
    let plan = plan(&files);
    let state = files.path("state");
    let books = Books::open(&state, &plan, clock::now()).unwrap();
    let reader = Reader::open(&state, Arc::clone(books.ledger.names()), Arc::clone(&plan.rules.topology)).unwrap();
    assert_eq!(reader.scrub().unwrap(), Vec::<String>::new());
    let rot = "UPDATE entry SET body = x'0000' WHERE start = (SELECT min(start) FROM entry)";
    rusqlite::Connection::open(state.join("ledger.db")).unwrap().execute_batch(rot).unwrap();
    let wrong = reader.scrub().unwrap();
    assert!(!wrong.is_empty() && wrong.iter().all(|record| record.starts_with("entry ")), "{wrong:?}");
    books.ledger.suspect(clock::now(), wrong.clone()).unwrap();
    books.ledger.suspect(clock::now(), wrong.clone()).unwrap();
    let noted: Vec<String> = books.ledger.damage().unwrap().into_iter().map(|(_, record)| record).collect();
    assert_eq!(noted.len(), wrong.len(), "once each: {noted:?}");
    drop((books, reader));
    let books = Books::open(&state, &plan, clock::now()).unwrap();
    let reader = Reader::open(&state, Arc::clone(books.ledger.names()), Arc::clone(&plan.rules.topology)).unwrap();
    assert_eq!(reader.scrub().unwrap(), Vec::<String>::new());
}

/// A big ledger is not looked through at every start; one that could not be read is.
#[test]
fn a_big_ledger_with_a_broken_page_is_mended_by_the_second_start() {
    let (files, _) = golden("state-v1");
    let plan = plan(&files);
    let (expected, _) = figures(&plan);
    let path = files.path("state/ledger.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE filler(x); INSERT INTO filler VALUES (zeroblob(70000000)); PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as usize;
    let page = number("SELECT rootpage FROM sqlite_master WHERE name = 'quarter'");
    let at = (page - 1) * number("PRAGMA page_size");
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at..at + 8].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let first = Books::open(&files.path("state"), &plan, clock::now());
    assert!(first.is_err_and(|error| error.is_damage()));
    let (found, reported) = figures(&plan);
    assert!(reported && !files.path("state/ledger.suspect").exists());
    assert_eq!(found.unwrap(), expected.unwrap(), "the journal reaches it all");
}
