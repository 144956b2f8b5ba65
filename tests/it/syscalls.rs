//! A driver is ended, or its disk fails, at the Nth call of a kind that changes files. Whatever the place, what it had
//! acknowledged is counted exactly once, and going on from there gives the ledger of an undisturbed run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fastrand::Rng;

use crate::driver::{Figures, STORE_ERROR, Stream, command, last_acknowledged};
use crate::harness::{Files, number, run};

/// Every call by which the store, or the driver's acknowledgement, changes something outside the process.
const CALLS: [&str; 7] = ["write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "mkdir"];
/// Those that a bad disk fails, and those that a full one does.
const FAIL: [&str; 4] = ["write", "pwrite64", "fsync", "fdatasync"];
const FILL: [&str; 4] = ["write", "pwrite64", "fdatasync", "ftruncate"];
/// A driver that recovers is killed at one of its first calls of this kind.
const RECOVERY_CALL: &str = "pwrite64";
const RECOVERY_CALLS: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Kill,
    Eio,
    Enospc,
}

/// A fault at the nth call of a kind.
#[derive(Clone, Copy, Debug)]
struct Point {
    fault: Fault,
    call: &'static str,
    nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} {}", self.fault, self.call, self.nth)
    }
}

impl Point {
    fn tracer(&self, log: &Path) -> Vec<String> {
        let effect = match self.fault {
            Fault::Kill => "signal=KILL",
            Fault::Eio => "error=EIO",
            Fault::Enospc => "error=ENOSPC",
        };
        tracer(log, &["-e", &format!("inject={}:{effect}:when={}", self.call, self.nth)])
    }
}

/// strace, telling in `log` which files the calls were for. Its faster `--seccomp-bpf` would inject no signals.
fn tracer(log: &Path, more: &[&str]) -> Vec<String> {
    let calls = format!("trace={}", CALLS.join(","));
    let words = ["strace", "-f", "-qq", "-y", "-e", &calls, "-e", "signal=none", "-o"];
    words.into_iter().chain([log.to_str().unwrap()]).chain(more.iter().copied()).map(str::to_owned).collect()
}

/// A state directory with what is beside it.
struct Place {
    files: Files,
}

impl Place {
    fn new() -> Place {
        let files = Files::new(&[("copy/none", "")]);
        std::fs::create_dir(files.path("state")).unwrap();
        Place { files }
    }

    fn state(&self) -> PathBuf {
        self.files.path("state")
    }

    fn log(&self) -> PathBuf {
        self.files.path("log")
    }

    fn run(&self, tracer: &[String]) -> Output {
        // A driver that is killed leaves its temporary files behind.
        run(command(tracer, &self.state()).env("TMPDIR", self.files.0.path()))
    }

    /// A copy of the state directory, to be looked at.
    fn copy(&self) -> PathBuf {
        let copy = self.files.path("copy");
        std::fs::remove_dir_all(&copy).unwrap();
        assert!(run(Command::new("cp").arg("-a").arg(self.state()).arg(&copy)).status.success());
        copy
    }
}

/// Every place where a fault can strike, from the calls of an undisturbed run; the first few are of all kinds.
fn points(random: &mut Rng) -> Vec<Point> {
    let place = Place::new();
    let output = place.run(&tracer(&place.log(), &[]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let log = std::fs::read_to_string(place.log()).unwrap();
    let mut points = Vec::new();
    for (fault, calls) in [(Fault::Kill, &CALLS[..]), (Fault::Eio, &FAIL), (Fault::Enospc, &FILL)] {
        for call in calls {
            let mut places: Vec<usize> = (1..=count(&log, call)).collect();
            random.shuffle(&mut places);
            points.extend(places.into_iter().enumerate().map(|(rank, nth)| (rank, Point { fault, call, nth })));
        }
    }
    points.sort_by_key(|(rank, _)| *rank);
    points.into_iter().map(|(_, point)| point).collect()
}

/// The calls of a kind by the thread that made most of them: strace counts by thread, and one thread does all the work.
fn count(log: &str, call: &str) -> usize {
    let mut threads = BTreeMap::<&str, usize>::new();
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        *threads.entry(thread).or_default() += usize::from(rest.trim_start().starts_with(&format!("{call}(")));
    }
    threads.into_values().max().unwrap_or(0)
}

/// What was done.
#[derive(Default)]
struct Done {
    injected: BTreeMap<Fault, usize>,
    killed_again: usize,
    went_on: usize,
}

/// Whether the driver may go on after a call failed. What a checkpoint could not write is still in the log, which is kept
/// then; the index of the log is rebuilt from it. SQLite takes no notice of a directory that cannot be synced: the file
/// systems we know write a new file's name along with the file's own fsync, which came before.
fn may_fail(log: &str, injected: &str) -> bool {
    let file = file(injected);
    let is_directory = file.ends_with("/state") || file.ends_with("/journal");
    let is_rebuilt = file.ends_with(".db") || file.ends_with("-shm");
    is_directory || is_rebuilt || !file.contains("/state/") || is_idle_sync(log, injected)
}

/// Whether the call is to sync a file that was not written since it was synced: on closing, SQLite does.
fn is_idle_sync(log: &str, injected: &str) -> bool {
    let before = log.lines().take_while(|line| *line != injected).filter(|line| file(line) == file(injected));
    injected.contains("sync(") && before.last().is_some_and(|line| line.contains("sync("))
}

/// The file of a line of strace's.
fn file(line: &str) -> &str {
    line.split(['<', '>']).nth(1).unwrap_or("")
}

/// Ends a driver once, or twice; returns how much it had acknowledged.
fn kill(place: &Place, point: Point, random: &mut Rng, done: &mut Done) -> usize {
    let output = place.run(&point.tracer(&place.log()));
    assert!(!output.status.success(), "{point}: the driver was not killed");
    let acknowledged = last_acknowledged(&output);
    if random.bool() {
        return acknowledged;
    }
    done.killed_again += 1;
    let again = Point { call: RECOVERY_CALL, nth: random.usize(1..=RECOVERY_CALLS), ..point };
    acknowledged.max(last_acknowledged(&place.run(&again.tracer(&place.log()))))
}

/// Lets one call of a driver fail, which must end it with an error of the store; returns how much it had acknowledged.
fn fail(place: &Place, point: Point, done: &mut Done) -> usize {
    let output = place.run(&point.tracer(&place.log()));
    let log = std::fs::read_to_string(place.log()).unwrap();
    let line = log.lines().find(|line| line.contains("(INJECTED)")).unwrap();
    if output.status.success() {
        assert!(may_fail(&log, line), "{point}: the driver went on after {line}");
        done.went_on += 1;
    } else {
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains(STORE_ERROR) || !line.contains("/state/"), "{point}: {line}\n{stdout}");
    }
    last_acknowledged(&output)
}

/// `EMISSIOND_SYSCALLS` says how many, `EMISSIOND_SEED` which.
#[test]
fn a_fault_at_any_call_loses_nothing_and_counts_nothing_twice() {
    let (strikes, seed) = (number("EMISSIOND_SYSCALLS", 12), number("EMISSIOND_SEED", 7));
    let mut random = Rng::with_seed(seed);
    let points = points(&mut random);
    let stream = Stream::new();
    let (mut done, mut figures) = (Done::default(), Figures::default());
    for point in points.iter().take(strikes) {
        let place = Place::new();
        *done.injected.entry(point.fault).or_default() += 1;
        let acknowledged = match point.fault {
            Fault::Kill => kill(&place, *point, &mut random, &mut done),
            Fault::Eio | Fault::Enospc => fail(&place, *point, &mut done),
        };
        figures.add(&format!("seed {seed}, {point}"), &stream.verify(&place.copy(), acknowledged));
        stream.drive(&place.state(), |_| {}).unwrap();
        figures.add(&format!("seed {seed}, {point}, gone on"), &stream.verify(&place.state(), stream.len()));
    }
    let Done { injected, killed_again, went_on } = done;
    figures.conclude(&format!(
        "{injected:?} at {} of {} places, {killed_again} killed again while recovering, {went_on} errors of no concern",
        strikes.min(points.len()),
        points.len(),
    ));
}
