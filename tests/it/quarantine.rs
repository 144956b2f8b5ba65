//! Readings that are set aside: listed, released, rejected, and what follows from that.

use emissiond::quantity::Time;
use serde_json::Value;

use crate::broker::{publish, register, total};
use crate::harness::run;
use crate::servers::{Daemon, Mosquitto, wait_for};

/// Yesterday at so many minutes after ten.
fn time(minute: i64) -> Time {
    let today = emissiond::clock::now().0 / 86_400_000 * 86_400_000;
    Time(today - 14 * 3_600_000 + minute * 60_000)
}

fn list(daemon: &Daemon) -> Vec<(String, String)> {
    let output = run(&mut daemon.command("quarantine list"));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().unwrap_or("").to_owned();
        (format!("{} {} {}", text("time"), text("value"), text("unit")), text("state"))
    };
    text.lines().map(line).collect()
}

fn decide(daemon: &Daemon, verdict: &str, time: Time) -> (bool, String) {
    let mut command = daemon.command(&format!("quarantine {verdict}"));
    let output =
        run(command.args(["--meter", "m", "--by", "A. Lee", "--reason", "seen on site", "--time", &time.to_string()]));
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

fn hour(daemon: &Daemon) -> (i64, i64) {
    let entries = daemon.entries("facility", "1h");
    entries.first().map_or((0, 0), |entry| (entry["scope1_mg"].as_i64().unwrap(), entry["revision"].as_i64().unwrap()))
}

/// Each reading of the meter: its value, how it stands, what is booked for it, how the register goes on.
fn told(daemon: &Daemon, range: &str) -> Vec<String> {
    let (_, text) = daemon.get(&format!("/api/v1/readings?meter=m{range}")).unwrap();
    let readings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |r: &Value| [&r["value"], &r["state"], &r["used"], &r["step"]].map(word).join(" ");
    readings.iter().map(line).collect()
}

#[test]
fn what_is_set_aside_is_listed_released_and_rejected() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &register("15m"), &[]);
    daemon.start();
    // The register was exchanged at minute 30, and no rule can know.
    let readings = [(0, 1_000), (15, 1_010), (30, 400), (45, 420)];
    let message = |(minute, kg): (i64, i64)| {
        ("plant/co2".to_owned(), format!(r#"{{"t":{},"kg":{kg}}}"#, time(minute).0).into_bytes(), false)
    };
    publish(&broker, 1e6, &readings.map(message));
    wait_for("the closed hour", || (hour(&daemon) == (10_000_000, 1)).then_some(()));
    let waiting = |minute: i64, kg: i64| format!("{} {kg} kg", time(minute));
    let both = vec![(waiting(30, 400), "quarantined".to_owned()), (waiting(45, 420), "quarantined".to_owned())];
    assert_eq!(list(&daemon), both);
    assert_eq!(daemon.status()["quarantined"], 2);

    let (well, said) = decide(&daemon, "release", time(31));
    assert!(!well && said.contains("no reading at exactly this time"), "{said}");
    assert!(decide(&daemon, "release", time(30)).0);
    assert_eq!(hour(&daemon), (30_000_000, 2), "nothing for the fall, and what was used after it");
    let released = vec![(waiting(30, 400), "released".to_owned())];
    assert_eq!(list(&daemon), released);
    let all = ["1000 good - -", "1010 good 10 -", "400 released 0 reset", "420 good 20 -"];
    assert_eq!(told(&daemon, &format!("&from={}&to={}", time(0), time(46))), all);
    assert_eq!(told(&daemon, &format!("&from={}&to={}", time(16), time(45))), all[2..3], "a part of them");

    daemon.kill();
    assert_eq!(list(&daemon), released, "without the daemon");
    assert!(decide(&daemon, "reject", time(45)).0, "without the daemon");
    daemon.start();
    assert_eq!(hour(&daemon), (10_000_000, 3));
    assert_eq!(total(&daemon, "1y"), 10_000_000);
    assert_eq!(list(&daemon)[1], (format!("{} 420 kg", time(45)), "rejected".to_owned()));
    let late = told(&daemon, &format!("&from={}&to={}", time(16), time(46)));
    assert_eq!(late, ["400 released 0 reset", "420 rejected - -"]);
}

/// What becomes of a reading hangs on those around it, not on where a question about it ends.
#[test]
fn a_part_of_the_readings_is_told_as_the_whole() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &register("15m"), &[]);
    daemon.start();
    // A gateway that starts again shows noughts; then the register is exchanged.
    let values = [1_000, 1_010, 1_020, 0, 0, 0, 1_030, 1_040, 1_050, 3, 9, 20, 31, 44];
    let at = |n: usize| time(15 * n as i64);
    let message = |(n, kg): (usize, &i64)| {
        ("plant/co2".to_owned(), format!(r#"{{"t":{},"kg":{kg}}}"#, at(n).0).into_bytes(), false)
    };
    publish(&broker, 1e6, &values.iter().enumerate().map(message).collect::<Vec<_>>());
    let range = |from: usize, to: usize| told(&daemon, &format!("&from={}&to={}", at(from), at(to)));
    let all = wait_for("all readings", || Some(range(0, 14)).filter(|all| all.len() == values.len()));
    assert_eq!(all[3..6], ["0 quarantined - -"; 3], "{all:?}");
    assert_eq!(all[9], "3 good 3 reset", "{all:?}");
    for (from, to) in (0..14).flat_map(|from| (from + 1..=14).map(move |to| (from, to))) {
        assert_eq!(range(from, to), all[from..to], "{from} to {to}");
    }
    let few = told(&daemon, &format!("&from={}&to={}&points=4", at(0), at(14)));
    assert!(few.len() < all.len() && few.iter().any(|line| line.contains("reset")), "{few:?}");

    let mut adjust = daemon.command("adjust");
    let (from, to) = (at(0).to_string(), at(1).to_string());
    let arguments =
        ["--meter", "m", "--from", &from, "--to", &to, "--value", "500 kg", "--by", "A. Lee", "--reason", "an invoice"];
    assert!(run(adjust.args(arguments)).status.success());
    wait_for("the correction", || (range(0, 2)[1] == "1010 good - -").then_some(()));
}

#[test]
fn a_change_over_http_shows_the_token() {
    let broker = Mosquitto::start();
    let config = register("15m").replace("[clusters.c]", "[daemon]\ntoken_file = \"../token\"\n[clusters.c]");
    let mut daemon = Daemon::new(&broker, "", &[("token", "open-sesame\n"), ("conf.d/more.toml", &config)]);
    daemon.start();
    let body = format!(r#"{{"meter":"m","time":"{}","verdict":"release","by":"A. Lee","reason":"seen"}}"#, time(0));
    assert_eq!(daemon.post("/api/v1/quarantine", &body, None).0, 401);
    assert_eq!(daemon.post("/api/v1/quarantine", &body, Some("open-sesame!")).0, 401);
    let (code, text) = daemon.post("/api/v1/quarantine", &body, Some("open-sesame"));
    assert!(code == 400 && text.contains("no reading"), "{code} {text}");
    let (well, said) = decide(&daemon, "release", time(0));
    assert!(!well && said.contains("no reading"), "the command shows it by itself: {said}");
}
