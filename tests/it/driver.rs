//! The work of the desk in a process of its own, to be ended at any moment: a fixed stream of messages is committed in
//! blocks, acknowledged on standard output, and applied. And the check of what such a process left behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use emissiond::config::{Plan, check};
use emissiond::daemon::Books;
use emissiond::decode::Message;
use emissiond::pipeline::Counters;
use emissiond::store::StoreError;
use fastrand::Rng;

use crate::equivalence::{self, Books4};
use crate::harness::{Files, number};

/// Messages in a block.
pub const BLOCK: usize = 50;
/// Messages in the stream: some hours before midnight, and some after it.
const MESSAGES: usize = 900;
/// A seal is due at the latest after this many blocks.
const SEAL_BLOCKS: usize = 7;
/// After this many blocks the books are closed and opened, as in an orderly restart.
const RESTART_BLOCKS: usize = 10;

/// The stream that every process works through.
pub struct Stream {
    plan: Plan,
    messages: Vec<Message>,
}

/// What a state directory holds, compared with what a plain replay of the messages it has received gives.
#[derive(Debug)]
pub struct Verdict {
    /// Acknowledged or received, and not counted.
    pub lost: u64,
    /// Counted more than once.
    pub double: u64,
    /// Windows with other figures.
    pub mismatched: usize,
    /// How long it took to open the books.
    pub recovery: Duration,
}

impl Stream {
    pub fn new() -> Stream {
        let files = Files::new(&[("c.toml", equivalence::CONFIG)]);
        let plan = check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap();
        let mut messages = equivalence::messages(&mut Rng::with_seed(3));
        messages.truncate(MESSAGES);
        Stream { plan, messages }
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Goes on where the state directory ends. What `acknowledge` is told is on disk.
    pub fn drive(&self, state: &Path, mut acknowledge: impl FnMut(usize)) -> Result<(), StoreError> {
        let mut books = self.open(state)?;
        let done = books.pipeline.counters().messages.received as usize;
        for (n, block) in self.messages.chunks(BLOCK).enumerate().skip(done.div_ceil(BLOCK)) {
            let now = block[block.len() - 1].received;
            books.commit(&mut block.to_vec(), now)?;
            acknowledge(n * BLOCK + block.len());
            books.apply(block)?;
            if books.tick(now)? || n % SEAL_BLOCKS == 0 {
                books.seal()?;
            }
            if n % RESTART_BLOCKS == RESTART_BLOCKS - 1 {
                drop(books);
                books = self.open(state)?;
            }
        }
        Ok(())
    }

    /// Checks a state directory, and closes everything in it: whoever wants to go on there hands over a copy.
    pub fn verify(&self, state: &Path, acknowledged: usize) -> Verdict {
        let (books, recovery) = timed(|| self.open(state).unwrap());
        assert!(books.damage.is_empty(), "{:?}", books.damage);
        let received = books.pipeline.counters().messages.received as usize;
        assert!(received.is_multiple_of(BLOCK) || received == self.len(), "a part of a block: {received}");
        assert!(received <= acknowledged + BLOCK, "{received} received, {acknowledged} acknowledged");
        let (expected, expected_counts) = self.offline(received);
        let now = self.messages[received.saturating_sub(1)].received;
        let (found, counts) = equivalence::close(&self.plan, state, books, now);
        let (accepted, expected_accepted) = (counts.readings.accepted, expected_counts.readings.accepted);
        let unacknowledged = acknowledged.saturating_sub(received) as u64;
        Verdict {
            lost: unacknowledged + expected_accepted.saturating_sub(accepted),
            double: accepted.saturating_sub(expected_accepted),
            mismatched: mismatched(&found, &expected) + usize::from(counts != expected_counts),
            recovery,
        }
    }

    fn open(&self, state: &Path) -> Result<Books, StoreError> {
        Books::open(state, &self.plan, self.messages[0].received)
    }

    fn offline(&self, received: usize) -> (Books4, Counters) {
        equivalence::offline(&self.plan, &self.messages[..received])
    }
}

/// What a campaign adds up.
#[derive(Debug, Default)]
pub struct Figures {
    lost: u64,
    double: u64,
    mismatched: usize,
    recoveries: Vec<Duration>,
}

impl Figures {
    /// Adds a verdict, and says where it is not what it must be.
    pub fn add(&mut self, place: &str, verdict: &Verdict) {
        self.lost += verdict.lost;
        self.double += verdict.double;
        self.mismatched += verdict.mismatched;
        self.recoveries.push(verdict.recovery);
        if !verdict.is_sound() {
            println!("{place}: {verdict:?}");
        }
    }

    /// Prints the sums after `what` was done, which must all be nought.
    #[track_caller]
    pub fn conclude(mut self, what: &str) {
        self.recoveries.sort();
        let Figures { lost, double, mismatched, recoveries } = self;
        println!(
            "{what}: {lost} lost, {double} double, {mismatched} mismatched windows; recovery {:?} median, {:?} max",
            recoveries[recoveries.len() / 2],
            recoveries[recoveries.len() - 1],
        );
        assert_eq!((lost, double, mismatched), (0, 0, 0));
    }
}

impl Verdict {
    /// From the line that [`judge`] prints.
    pub fn parse(line: &str) -> Option<Verdict> {
        let numbers: Option<Vec<u64>> = line.strip_prefix(VERDICT)?.split(' ').map(|n| n.parse().ok()).collect();
        let [lost, double, mismatched, micros] = numbers?[..] else {
            return None;
        };
        Some(Verdict { lost, double, mismatched: mismatched as usize, recovery: Duration::from_micros(micros) })
    }

    fn is_sound(&self) -> bool {
        (self.lost, self.double, self.mismatched) == (0, 0, 0)
    }
}

fn mismatched(found: &Books4, expected: &Books4) -> usize {
    let differing = expected.iter().filter(|(key, text)| found.get(*key) != Some(text)).count();
    differing + found.keys().filter(|key| !expected.contains_key(*key)).count()
}

#[expect(clippy::disallowed_methods, reason = "how long it takes, not booking")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

pub const ACKNOWLEDGED: &str = "acknowledged ";
const VERDICT: &str = "verdict ";
/// What the process says when the store ended it, and not a fault of the test.
pub const STORE_ERROR: &str = "the store: ";

/// This test binary as a driver, behind the words of a tracer if there is one.
pub fn command(tracer: &[String], state: &Path) -> Command {
    let mut words: Vec<PathBuf> = tracer.iter().map(PathBuf::from).collect();
    words.push(std::env::current_exe().unwrap());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--exact", "driver::child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("EMISSIOND_DRIVE", state);
    command
}

/// The last number that a driver acknowledged.
pub fn last_acknowledged(output: &Output) -> usize {
    let text = String::from_utf8_lossy(&output.stdout);
    // The last line may be cut off.
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.filter_map(acknowledged).next_back().unwrap_or(0)
}

/// The number that a line of a driver acknowledges.
pub fn acknowledged(line: &str) -> Option<usize> {
    line.trim_end().strip_prefix(ACKNOWLEDGED)?.parse().ok()
}

#[test]
#[ignore = "the process that other tests start and end"]
fn child() {
    let state = PathBuf::from(std::env::var_os("EMISSIOND_DRIVE").unwrap());
    // The harness leaves its line open.
    println!();
    let driven = Stream::new().drive(&state, |n| println!("{ACKNOWLEDGED}{n}"));
    if let Err(error) = &driven {
        println!("{STORE_ERROR}{error}");
    }
    assert!(driven.is_ok());
}

/// A copy of a state directory, checked in the virtual machine that made it.
#[test]
#[ignore = "runs in the guest of the power cuts"]
fn judge() {
    let state = PathBuf::from(std::env::var_os("EMISSIOND_JUDGE").unwrap());
    let acknowledged = number("EMISSIOND_ACKNOWLEDGED", MESSAGES);
    let Verdict { lost, double, mismatched, recovery } = Stream::new().verify(&state, acknowledged);
    println!("\n{VERDICT}{lost} {double} {mismatched} {}", recovery.as_micros());
}
