//! Block commits: 16 and 500 messages to the journal, beside the same bytes appended to a plain file with fdatasync.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and stops where it cannot go on"
)]

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use emissiond::decode::Message;
use emissiond::quantity::Time;
use emissiond::store::{Journal, Record};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COMMITS: usize = 1_000;

fn message(n: i64) -> Message {
    let payload = format!("{{\"ts\":{},\"v\":{}.{:03},\"q\":\"good\"}}", 1_767_225_600_000 + n, n / 7, n % 1_000)
        .into_bytes()
        .into();
    let topic = format!("cluster/facility{}/meter{}", n % 17, n % 499);
    Message { received: Time(1_767_225_600_000 + n), topic, payload, retain: false, dup: false, oversize: false }
}

fn times(mut commit: impl FnMut(usize)) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..COMMITS)
        .map(|n| {
            let started = Instant::now();
            commit(n);
            started.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn show(name: &str, messages: usize, times: &[Duration], bytes: u64) {
    let total: Duration = times.iter().sum();
    println!(
        "{name:<28}{messages:>5} messages: median {:>8.3} ms, p99 {:>8.3} ms, {:>9.0} messages/s, {:>6.1} B a message",
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() * 99 / 100].as_secs_f64() * 1e3,
        (messages * COMMITS) as f64 / total.as_secs_f64(),
        bytes as f64 / (messages * COMMITS) as f64
    );
}

fn main() {
    for size in [16, 500] {
        let blocks: Vec<Record> = (0..COMMITS)
            .map(|b| Record::Messages((0..size).map(|n| message((b * size + n) as i64)).collect()))
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let mut plain = File::create(directory.path().join("plain")).unwrap();
        let mut bytes = 0;
        let baseline = times(|n| {
            let Record::Messages(messages) = &blocks[n] else { return };
            let text: Vec<u8> = messages.iter().flat_map(|m| [m.topic.as_bytes(), &m.payload].concat()).collect();
            bytes += text.len() as u64;
            plain.write_all(&text).unwrap();
            plain.sync_data().unwrap();
        });
        show("plain file, fdatasync", size, &baseline, bytes);
        let mut journal = Journal::open(directory.path()).unwrap();
        let ours = times(|n| {
            journal.append(&blocks[n], Time(1_767_225_600_000)).unwrap();
        });
        show("journal block commit", size, &ours, journal.size());
    }
}
