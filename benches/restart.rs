//! Restart with a million journalled messages that are not in the ledger yet: opening the books, beside reading the same
//! journal and doing nothing. Then again after a kill during the replay, when one block is looked at message by message.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and stops where it cannot go on"
)]

use std::fmt::Write as _;
use std::time::Instant;

use emissiond::config::{Plan, check};
use emissiond::daemon::Books;
use emissiond::decode::Message;
use emissiond::quantity::Time;
use emissiond::store::{Progress, ProgressPosition, StoreError, WHOLE};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const METERS: i64 = 1_000;
const MESSAGES: i64 = 1_000_000;
const BLOCK: i64 = 500;
const START: i64 = 1_767_225_600_000;

fn plan(directory: &std::path::Path) -> Plan {
    let mut text =
        "[clusters.c]\ntimezone = \"Europe/Paris\"\ngrid = \"eea_fr\"\n[facilities.f]\ncluster = \"c\"\n".to_owned();
    for m in 0..METERS {
        let _ = writeln!(
            text,
            "[meters.m{m}]\nfacility = \"f\"\ntopic = \"f/m{m}\"\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/t\"\n\
             time_format = \"ms\"\nkind = \"register\"\nunit = \"kWh\"\nexpected_every = \"10s\"\n\
             category = \"purchased-electricity\""
        );
    }
    let file = directory.join("c.toml");
    std::fs::write(&file, text).unwrap();
    check(Some(&file)).map_err(|report| report.to_text()).unwrap()
}

/// Readings every ten seconds of each meter, acknowledged and not sealed.
fn message(n: i64) -> Message {
    let (meter, round) = (n % METERS, n / METERS);
    let time = START + round * 10_000 + meter % 7;
    Message {
        received: Time(time + 20),
        topic: format!("f/m{meter}"),
        payload: format!(r#"{{"t":{time},"v":{}.{:03}}}"#, round / 9, round % 9).into_bytes().into(),
        retain: false,
        dup: false,
        oversize: false,
    }
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path());
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mut books = Books::open(&state, &plan, Time(START)).unwrap();
    for block in 0..MESSAGES / BLOCK {
        let mut messages: Vec<Message> = (block * BLOCK..(block + 1) * BLOCK).map(message).collect();
        let received = messages.last().unwrap().received;
        books.commit(&mut messages, received).unwrap();
    }
    let middle = books.journal.last() / 2;
    let started = Instant::now();
    let mut read = 0;
    books.journal.replay::<StoreError>(Time::MIN, |block| block.map(|_| read += 1)).unwrap();
    println!("{MESSAGES} messages in {read} blocks: read and dropped in {:.2} s", started.elapsed().as_secs_f64());
    drop(books);
    for (name, starts) in [("restart", 0), ("restart after a kill in the replay", 1)] {
        let mut progress = Progress::open(&state).unwrap();
        let position = progress.position();
        progress.note(ProgressPosition { starts, applying: (middle, WHOLE), ..position }).unwrap();
        let started = Instant::now();
        let books = Books::open(&state, &plan, Time(START)).unwrap();
        println!("{name}: {} messages, ready in {:.2} s", books.replayed, started.elapsed().as_secs_f64());
    }
}
