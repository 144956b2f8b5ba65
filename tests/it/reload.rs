//! Another configuration while messages come in: applied or rejected, said, and never wrong.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;

use crate::broker::{EVENTS, Publication, publish, total};
use crate::harness::number;
use crate::servers::{Daemon, Mosquitto, wait_for, wait_for_long};

static START: OnceLock<i64> = OnceLock::new();

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
fn a_secret_that_is_gone_is_no_matter_while_it_is_in_use() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[("token", "t")]);
    let file = daemon.files.path("c.toml");
    let text = std::fs::read_to_string(&file).unwrap().replacen("[mqtt]", "token_file = \"token\"\n[mqtt]", 1);
    std::fs::write(&file, text).unwrap();
    daemon.start();
    std::fs::remove_file(daemon.files.path("token")).unwrap();
    assert_eq!(daemon.hang_up()["last_reload"]["result"], "applied");
    let body = r#"{"meter":"m","time":"2026-01-01T00:00:00Z","verdict":"reject","by":"A. Lee","reason":"seen"}"#;
    assert_eq!(daemon.post("/api/v1/quarantine", body, None).0, 401, "the token still counts");
}

/// Reloads, every second one of a broken file, while messages come in: each is booked once.
#[test]
fn reloads_under_load_lose_nothing_and_count_nothing_twice() {
    let reloads: usize = number("EMISSIOND_RELOADS", 6);
    let rate: f64 = number("EMISSIOND_RATE", 400.0);
    let broker = Mosquitto::as_shipped();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let done = AtomicBool::new(false);
    let mut sent_mg = 0;
    std::thread::scope(|scope| {
        let (broker, done) = (&broker, &done);
        let publisher = scope.spawn(move || {
            let (mut sent_mg, mut round) = (0, 0);
            let mut random = Rng::with_seed(9);
            while !done.load(Ordering::Relaxed) {
                let (messages, mg) = batch(&mut random, round);
                publish(broker, rate, &messages);
                (sent_mg, round) = (sent_mg + mg, round + 1);
            }
            sent_mg
        });
        for at in 0..reloads {
            let good = at % 2 == 0;
            let meters = if at % 4 == 0 { format!("{EVENTS}{SECOND}") } else { EVENTS.to_owned() };
            let config = daemon.reload(&if good { meters } else { format!("{meters}broken = [") });
            let expected = if good { "applied" } else { "rejected" };
            assert_eq!(config["last_reload"]["result"], expected, "{config}");
        }
        done.store(true, Ordering::Relaxed);
        sent_mg = publisher.join().unwrap();
    });
    wait_for_long("every message", || (total(&daemon, "1y") == sent_mg).then_some(()));
    assert_eq!(daemon.status()["mqtt"]["connects"], 1, "one session throughout");
    println!("{reloads} reloads at {rate}/s: {} kg sent and booked", sent_mg / 1_000_000);
    assert!(daemon.stop().success());
}

/// A hundred events, at times that no other batch has.
fn batch(random: &mut Rng, round: usize) -> (Vec<Publication>, i64) {
    let start = *START.get_or_init(|| emissiond::clock::now().0 - 3_600_000);
    let mut mg = 0;
    let one = |at: usize| {
        let kg = random.i64(1..100);
        mg += kg * 1_000_000;
        publication("plant/co2", &format!("{{\"t\":{},\"kg\":{kg}}}", start + (round * 100 + at) as i64))
    };
    ((0..100).map(one).collect(), mg)
}
