//! The corpus, and cheap mutations of it, through every parser of bytes from outside: no panic, and memory in proportion to
//! the input. `tests/campaigns/fuzz` searches further, from the same corpus.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on says where")]

mod parsers;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use parsers::Parser;

/// The counter of memory is one for the process, so the parsers take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Inputs up to this size show what grows with the input, above what does not.
const LARGE: usize = 256 << 10;

/// Letters that mean something to a parser are more telling than any byte.
const TELLING: &[&[u8]] = &[
    b"",
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"/",
    b"=",
    b"&",
    b"%",
    b"#",
    b" ",
    b"-",
    b"+",
    b".",
    b"0",
    b"9",
    b"e",
    b"e-2147483648",
    b"1e308",
    b"99999999999999999999",
    b"null",
    b"\\ud800",
    b"9223372036854775807",
    b"-9223372036854775808",
    "é".as_bytes(),
    "\u{1f525}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
];

/// One change: a byte, a bit, a telling word, a cut, or a piece again somewhere else.
fn mutate(bytes: &mut Vec<u8>, random: &mut Rng) {
    let at = random.usize(0..=bytes.len());
    let end = random.usize(at..=bytes.len()).min(at + 16);
    match random.u8(0..6) {
        0 => bytes.insert(at, random.u8(..)),
        1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
        2 => drop(bytes.splice(at..end, TELLING[random.usize(0..TELLING.len())].iter().copied())),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.truncate(at),
        _ => {
            let piece = bytes[at..end].to_vec();
            let to = random.usize(0..=bytes.len());
            drop(bytes.splice(to..to, piece));
        }
    }
}

/// A piece of the item over and over, behind its beginning.
fn stretched(item: &[u8], random: &mut Rng) -> Vec<u8> {
    let start = random.usize(0..=item.len());
    let end = random.usize(start..=item.len());
    let size = LARGE >> random.u8(0..10);
    let mut bytes = item[..start].to_vec();
    while end > start && bytes.len() < size {
        bytes.extend_from_slice(&item[start..end]);
    }
    bytes.extend_from_slice(&item[end..]);
    bytes
}

fn check(parser: &Parser, input: &[u8], name: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| parser.check(input))) {
        let shown = &input[..input.len().min(2_000)];
        eprintln!("{} of {name}, {} bytes: b\"{}\"", parser.name, input.len(), shown.escape_ascii());
        resume_unwind(panic);
    }
}

/// The items of a parser, in order of their names.
fn items(parser: &Parser) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/items").join(parser.name);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
    };
    let mut items: Vec<_> = std::fs::read_dir(folder).unwrap().map(read).collect();
    items.sort();
    items
}

/// So many mutants of each item, and so many stretched ones.
fn run(parser: &str, mutants: usize, stretches: usize) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let parser = Parser::named(parser);
    let mut random = Rng::with_seed(7);
    // What is made once and kept is no parser's.
    parser.peak(b"");
    for (name, item) in items(parser) {
        check(parser, &item, &name);
        for _ in 0..stretches {
            check(parser, &stretched(&item, &mut random), &name);
        }
        let mut mutant = item.clone();
        for round in 0..mutants {
            // A few changes on top of each other, then from the item again.
            if round % 8 == 0 {
                mutant.clone_from(&item);
            }
            mutate(&mut mutant, &mut random);
            check(parser, &mutant, &name);
        }
    }
}

#[test]
fn payload() {
    run("payload", 10000, 50);
}

#[test]
fn booking() {
    run("booking", 1500, 10);
}

#[test]
fn replay() {
    run("replay", 10000, 50);
}

#[test]
fn words() {
    run("words", 4000, 20);
}

#[test]
fn list() {
    run("list", 400, 10);
}

#[test]
fn query() {
    run("query", 10000, 50);
}

#[test]
fn answer() {
    run("answer", 10000, 50);
}

#[test]
fn block() {
    run("block", 4000, 30);
}

#[test]
fn packed() {
    run("packed", 4000, 30);
}

#[test]
fn row() {
    run("row", 20000, 50);
}

#[test]
fn notes() {
    run("notes", 1500, 20);
}

#[test]
fn table() {
    run("table", 4000, 20);
}

#[test]
fn factors() {
    run("factors", 4000, 20);
}

#[test]
fn config() {
    run("config", 100, 4);
}
