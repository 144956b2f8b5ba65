//! Corrections and restatements beside a running daemon, and the trail that stays of them.

use emissiond::quantity::Time;
use serde_json::Value;

use crate::broker::{publish, register};
use crate::harness::run;
use crate::servers::{Daemon, Mosquitto, wait_for};

fn yesterday(hour: i64) -> Time {
    let today = emissiond::clock::now().0 / 86_400_000 * 86_400_000;
    Time(today - 86_400_000 + hour * 3_600_000)
}

fn year(daemon: &Daemon) -> i64 {
    daemon.entries("facility", "1y").iter().map(|entry| entry["scope1_mg"].as_i64().unwrap()).sum()
}

fn audit(daemon: &Daemon) -> Vec<Value> {
    let output = run(&mut daemon.command("audit list"));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn adjust(daemon: &Daemon, value: &str) -> (bool, String) {
    let (from, to) = (yesterday(10).to_string(), yesterday(11).to_string());
    let mut command = daemon.command("adjust");
    let output = run(command
        .args(["--meter", "m", "--from", &from, "--to", &to, "--value", value, "--by", "A. Lee", "--reason", "bill"]));
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_correction_beside_the_daemon_is_booked_once_and_survives_a_kill() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &register("15m"), &[]);
    daemon.start();
    let message = |(quarter, kg): (i64, i64)| {
        let time = yesterday(10).0 + quarter * 900_000;
        ("plant/co2".to_owned(), format!(r#"{{"t":{time},"kg":{kg}}}"#).into_bytes(), false)
    };
    publish(&broker, 1e6, &[(0, 1_000), (1, 1_010), (2, 1_020), (8, 1_080)].map(message));
    wait_for("the closed figures", || (year(&daemon) == 80_000_000).then_some(()));

    let (well, said) = adjust(&daemon, "30 kWh");
    assert!(!well && said.contains("such as \"12 kg\""), "{said}");
    assert!(adjust(&daemon, "30 kg").0);
    // The first hour held 40 kg.
    wait_for("the correction", || (year(&daemon) == 70_000_000).then_some(()));
    wait_for("the trail", || (audit(&daemon).len() == 1).then_some(()));
    daemon.kill();
    daemon.start();
    assert_eq!(year(&daemon), 70_000_000);
    assert!(adjust(&daemon, "32 kg").0);
    daemon.kill();
    assert_eq!(audit(&daemon)[0]["by"], "A. Lee");
    daemon.start();
    wait_for("the second one, which stands", || (year(&daemon) == 72_000_000).then_some(()));
    wait_for("the trail", || (audit(&daemon).len() == 2).then_some(()));
    assert_eq!(audit(&daemon)[1]["detail"]["value"], "32 kg");
}
