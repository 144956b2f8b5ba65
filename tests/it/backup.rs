//! Copies of the store, made under load, and the way back.

use fastrand::Rng;

use crate::broker::{EVENTS, events, publish, total};
use crate::harness::{Files, emissiond, run};
use crate::servers::{Daemon, Mosquitto, wait_for};

/// The year's sum of a copy that is put back into a directory of its own.
fn sum_of(copy: &std::path::Path) -> i64 {
    let files = Files::new(&[("c.toml", &format!("[daemon]\nstate_dir = \"state\"\n{EVENTS}"))]);
    let output = run(emissiond().arg("restore").arg("--from").arg(copy).arg("--config").arg(files.path("c.toml")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let arguments = ["export", "--level", "cluster", "--window", "1y", "--config"];
    let output = run(emissiond().args(arguments).arg(files.path("c.toml")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mg = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["scope1_mg"].as_i64().unwrap();
    text.lines().map(mg).sum()
}

#[test]
fn copies_made_under_load_are_whole_and_lead_back() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let (messages, expected_mg) = events(4_000, &mut Rng::with_seed(5));
    let directory = daemon.files.path("");
    let to = |number: usize| directory.join(format!("backup-{number}"));
    let copy = |number: usize| {
        let output = run(daemon.command("backup").arg("--to").arg(to(number)));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let copies = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&broker, 1_500.0, &messages));
        let mut copies = 0;
        while !publisher.is_finished() {
            copy(copies);
            copies += 1;
        }
        copies
    });
    wait_for("all messages", || (daemon.received() == 4_000).then_some(()));
    copy(copies);
    let sums: Vec<i64> = (0..=copies).map(|number| sum_of(&to(number))).collect();
    assert!(copies > 2 && sums.is_sorted() && sums[copies] == expected_mg, "{sums:?}");

    let full = run(daemon.command("backup").arg("--to").arg(to(0)));
    assert!(String::from_utf8_lossy(&full.stderr).contains("is not empty"));
    let restore = |from: usize| run(daemon.command("restore").arg("--from").arg(to(from)));
    let running = restore(1);
    assert_eq!(running.status.code(), Some(69), "{}", String::from_utf8_lossy(&running.stderr));
    daemon.kill();
    let damaged = to(0).join("ledger.db");
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let restore = |from: usize| run(daemon.command("restore").arg("--from").arg(to(from)));
    let refused = restore(0);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not what was backed up"));
    let inside = run(daemon.command("backup").arg("--to").arg(daemon.files.path("state/backup")));
    assert!(String::from_utf8_lossy(&inside.stderr).contains("is in the state directory"));
    std::fs::remove_file(to(1).join("alarms.db")).unwrap();
    assert!(!restore(1).status.success(), "a file of it is gone");
    assert!(daemon.files.path("state/ledger.db").exists(), "the state is as it was");
    assert!(restore(copies).status.success());
    daemon.start();
    assert_eq!(total(&daemon, "1y"), expected_mg);
    let gaps = daemon.status()["mqtt"]["possible_gaps"].to_string();
    assert!(gaps.contains("\"restored\""), "{gaps}");
    assert!(daemon.files.path("state/replaced-1/ledger.db").exists(), "what was there is kept");
    assert!(daemon.stop().success());
}

/// A restore that is killed at any of its renames leaves a state that nothing starts on, and another one mends it.
#[test]
fn a_restore_that_is_interrupted_is_not_mistaken_for_a_state() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let (messages, expected_mg) = events(50, &mut Rng::with_seed(6));
    publish(&broker, 1e6, &messages);
    wait_for("all messages", || (daemon.received() == 50).then_some(()));
    let copy = daemon.files.path("copy");
    assert!(run(daemon.command("backup").arg("--to").arg(&copy)).status.success());
    assert!(daemon.stop().success());
    let restore = daemon.command("restore");
    let mut interrupted = 0;
    for nth in 1.. {
        let mut killed = std::process::Command::new("strace");
        let calls = ["-f", "-qq", "-e", "trace=rename,renameat,renameat2", "-e"];
        killed.args(calls).arg(format!("inject=rename,renameat,renameat2:signal=KILL:when={nth}"));
        killed.arg(restore.get_program()).args(restore.get_args()).arg("--from").arg(&copy);
        if run(&mut killed).status.success() {
            break;
        }
        let started = run(&mut daemon.command("run"));
        let text = String::from_utf8_lossy(&started.stderr).into_owned();
        assert_eq!(started.status.code(), Some(78), "killed at rename {nth}: {text}");
        assert!(text.contains("was interrupted: run it again"), "{text}");
        let copied = run(daemon.command("backup").arg("--to").arg(daemon.files.path(&format!("copy-{nth}"))));
        assert!(!copied.status.success(), "half a restore is no state to copy");
        interrupted += 1;
    }
    assert!(interrupted >= 3, "{interrupted} renames");
    let left = std::fs::read_dir(daemon.files.path("state")).unwrap().flatten().map(|entry| entry.file_name());
    assert!(
        left.into_iter().all(|name| !name.to_string_lossy().starts_with("restoring")),
        "nothing is left of the attempts"
    );
    daemon.start();
    assert_eq!(total(&daemon, "1y"), expected_mg);
    assert!(daemon.stop().success());
}
