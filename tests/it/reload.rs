//! Another configuration while messages come in: applied or rejected, said, and never wrong.

use std::time::Instant;

use fastrand::Rng;

use crate::broker::{EVENTS, Publication, events, publish, total};
use crate::harness::{number, run};
use crate::servers::{Daemon, Mosquitto, wait_for, wait_for_long};

/// A second meter, on a topic of its own.
const SECOND: &str = r#"
[meters.n]
facility = "f"
topic = "plant/more"
format = "number"
kind = "event"
unit = "kg"
category = "cems-co2"
"#;

fn publication(topic: &str, payload: &str) -> Publication {
    (topic.to_owned(), payload.as_bytes().to_vec(), false)
}

#[test]
fn a_changed_configuration_is_taken_and_a_faulty_one_is_not() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let now = emissiond::clock::now().0;
    publish(&broker, 1e6, &[publication("plant/co2", &format!("{{\"t\":{now},\"kg\":1}}"))]);
    wait_for("the first", || (total(&daemon, "1y") == 1_000_000).then_some(()));

    let config = daemon.reload(&format!("{EVENTS}{SECOND}"));
    let told = &config["last_reload"];
    assert_eq!((&told["result"], &told["detail"]), (&"applied".into(), &"meters: 1 new (n)".into()), "{config}");
    wait_for("the new topic", || (daemon.status()["mqtt"]["subscribed"] == true).then_some(()));
    // The broker grants a subscription before it passes on what is published after it.
    wait_for_long("the second meter", || {
        publish(&broker, 1e6, &[publication("plant/more", "2")]);
        (total(&daemon, "1y") > 1_000_000).then_some(())
    });
    let before = total(&daemon, "1y");

    let config = daemon.reload(&format!("{EVENTS}{SECOND}unitt = \"t\"\n"));
    assert_eq!(config["last_reload"]["result"], "rejected");
    let detail = config["last_reload"]["detail"].as_str().unwrap();
    assert!(detail.contains("c.toml:") && detail.contains("unknown key `unitt`"), "{detail}");
    assert!(daemon.get("/metrics").unwrap().1.contains("emissiond_config_last_reload_successful 0"));
    assert_eq!(total(&daemon, "1y"), before, "and the figures stay");

    let config = daemon.reload(&EVENTS.replacen(
        '\n',
        "\n[ledger]\nclose_after = \"7m\"\n[influxdb]\nurl = \"http://127.0.0.1:1\"\norg = \"o\"\nbucket = \"b\"\n",
        1,
    ));
    assert_eq!(config["last_reload"]["result"], "applied");
    assert_eq!(config["needs_restart"], serde_json::json!(["influxdb"]));
    assert_eq!(daemon.status()["influxdb"], serde_json::Value::Null, "the database waits for a restart");
    assert_eq!(daemon.status()["declared"]["meters"], 1);
    assert!(daemon.stop().success());
}

#[test]
fn a_secret_that_is_gone_is_told_and_the_one_before_stays_in_use() {
    let broker = Mosquitto::start();
    let database = "[influxdb]\nurl = \"http://127.0.0.1:1\"\norg = \"o\"\nbucket = \"b\"\ntoken_file = \"itoken\"\n";
    let mut daemon = Daemon::new(&broker, &format!("{EVENTS}{database}"), &[("token", "t"), ("itoken", "i")]);
    let file = daemon.files.path("c.toml");
    let text = std::fs::read_to_string(&file).unwrap().replacen("[mqtt]", "token_file = \"token\"\n[mqtt]", 1);
    std::fs::write(&file, text).unwrap();
    daemon.start();
    std::fs::write(daemon.files.path("itoken"), [0xff, 0xfe]).unwrap();
    let config = daemon.hang_up();
    let reload = &config["last_reload"];
    assert!(reload["result"] == "rejected" && reload["detail"].as_str().unwrap().contains("/itoken: "), "{reload}");
    std::fs::write(daemon.files.path("itoken"), "another").unwrap();
    assert_eq!(daemon.hang_up()["last_reload"]["result"], "applied");
    std::fs::remove_file(daemon.files.path("token")).unwrap();
    let config = daemon.hang_up();
    let reload = &config["last_reload"];
    assert!(reload["result"] == "rejected" && reload["detail"].as_str().unwrap().contains("/token: "), "{reload}");
    let body = r#"{"meter":"m","time":"2026-01-01T00:00:00Z","verdict":"reject","by":"A. Lee","reason":"seen"}"#;
    assert_eq!(daemon.post("/api/v1/quarantine", body, None).0, 401, "the token still counts");
}

/// A quarter-hour that closed under the configuration before is not open again under one that closes later.
#[test]
fn what_closed_stays_closed_when_windows_close_later() {
    let broker = Mosquitto::start();
    let now = emissiond::clock::now().0;
    let end = now.div_euclid(900_000) * 900_000 - 900_000;
    let since = (now - end) / 1_000;
    let config = |seconds: i64| format!("{EVENTS}[ledger]\nclose_after = \"{seconds}s\"\n");
    let mut daemon = Daemon::new(&broker, &config(since), &[]);
    let messages = |range: std::ops::Range<i64>| -> Vec<Publication> {
        let payload = |n: i64| format!("{{\"kg\":1,\"t\":{}}}", end - 600_000 + n * 1_000);
        range.map(|n| ("plant/co2".to_owned(), payload(n).into_bytes(), false)).collect()
    };
    daemon.start();
    publish(&broker, 1e6, &messages(0..50));
    wait_for("the first ones", || (total(&daemon, "15m") == 50_000_000).then_some(()));
    assert_eq!(daemon.reload(&config(since + 600))["last_reload"]["result"], "applied");
    publish(&broker, 1e6, &messages(50..90));
    wait_for("the others", || (total(&daemon, "15m") == 90_000_000).then_some(()));
    assert!(daemon.stop().success());
    let exported = |level: &str, window: &str| -> Vec<serde_json::Value> {
        let output = run(daemon.command("export").args(["--level", level, "--window", window]));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    for window in ["15m", "1h", "1d", "1y"] {
        let entries = exported("facility", window);
        let sum: i64 = entries.iter().map(|entry| entry["scope1_mg"].as_i64().unwrap()).sum();
        assert_eq!(sum, 90_000_000, "{window}: {entries:?}");
    }
    for level in ["meter", "facility"] {
        let entries = exported(level, "15m");
        let revisions: Vec<_> = entries.iter().map(|entry| entry["revision"].as_i64().unwrap()).collect();
        assert!(!revisions.is_empty() && revisions.iter().all(|it| *it > 1), "changed after it closed: {entries:?}");
    }
    daemon.start();
    assert_eq!(total(&daemon, "15m"), 90_000_000, "and after a restart");
}

/// Reloads, every second one of a broken file, while messages come in: each is booked once.
#[test]
#[expect(clippy::disallowed_methods, reason = "the pace that was reached is printed, not booked")]
fn reloads_under_load_lose_nothing_and_count_nothing_twice() {
    let (reloads, rate) = (number("EMISSIOND_RELOADS", 6), number("EMISSIOND_RATE", 400));
    let between = (rate / 5).max(1);
    let broker = Mosquitto::as_shipped();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let (messages, expected_mg) = events(((reloads + 5) * between) as usize, &mut Rng::with_seed(9));
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let started = Instant::now();
            publish(&broker, rate as f64, &messages);
            messages.len() as f64 / started.elapsed().as_secs_f64()
        });
        for at in 0..reloads {
            wait_for("the next place to reload at", || (daemon.received() >= (at + 1) * between).then_some(()));
            assert!(!publisher.is_finished(), "messages come in while it is reloaded");
            let good = at % 2 == 0;
            let meters = if at % 4 == 0 { format!("{EVENTS}{SECOND}") } else { EVENTS.to_owned() };
            let config = daemon.reload(&if good { meters } else { format!("{meters}broken = [") });
            let expected = if good { "applied" } else { "rejected" };
            assert_eq!(config["last_reload"]["result"], expected, "{config}");
        }
        let reached = publisher.join().unwrap();
        println!("{reloads} reloads, {} messages at {reached:.0}/s", messages.len());
    });
    wait_for_long("every message", || (total(&daemon, "1y") == expected_mg).then_some(()));
    let status = daemon.status();
    assert_eq!(status["messages"]["accepted"], messages.len());
    assert_eq!(status["mqtt"]["connects"], 1, "one session throughout");
    println!("{} kg sent and booked", expected_mg / 1_000_000);
    assert!(daemon.stop().success());
}
