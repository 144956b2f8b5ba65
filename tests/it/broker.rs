//! The daemon on a real broker: every outcome, restarts, kills, a second daemon.

use std::time::Duration;

use fastrand::Rng;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

use crate::harness::{number, run};
use crate::servers::{Daemon, Mosquitto, block_on, wait_for};

pub const EVENTS: &str = r#"
[clusters.c]
timezone = "UTC"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "plant/co2"
format = "json"
value = "/kg"
time = "/t"
time_format = "ms"
kind = "event"
unit = "kg"
category = "cems-co2"
"#;

/// The same meter as a register.
pub fn register(every: &str) -> String {
    EVENTS.replace("kind = \"event\"", &format!("kind = \"register\"\nexpected_every = \"{every}\""))
}

/// A topic, a payload, and whether it is retained.
pub type Publication = (String, Vec<u8>, bool);

/// Publishes at QoS 1, `rate` a second as long as the broker keeps up, and waits for the broker to have it all.
pub fn publish(broker: &Mosquitto, rate: f64, messages: &[Publication]) {
    block_on(async {
        let mut options = MqttOptions::new(format!("test-{}", fastrand::u32(..)), "127.0.0.1", broker.port);
        options.set_max_packet_size(4 << 20, 4 << 20);
        let (client, mut events) = AsyncClient::new(options, 10);
        let all = messages.len();
        let watching = async {
            let mut acknowledged = 0;
            while acknowledged < all {
                if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                    acknowledged += 1;
                }
            }
        };
        let publishing = async {
            // What a slow moment delays is caught up.
            let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
            for (topic, payload, retain) in messages {
                pace.tick().await;
                client.publish(topic, QoS::AtLeastOnce, *retain, payload.clone()).await.unwrap();
            }
        };
        tokio::join!(watching, publishing);
    });
}

/// Events of one kilogram each, a second apart, ending shortly before now.
pub fn events(count: usize, random: &mut Rng) -> (Vec<Publication>, i64) {
    let now = emissiond::clock::now().0;
    let mut total_mg = 0;
    let message = |n: usize| {
        let kg = random.i64(1..1_000);
        total_mg += kg * 1_000_000;
        let time = now - 1_000 * (count - n) as i64;
        ("plant/co2".to_owned(), format!(r#"{{"t":{time},"kg":{kg}}}"#).into_bytes(), false)
    };
    let messages = (0..count).map(message).collect();
    (messages, total_mg)
}

pub fn total(daemon: &Daemon, window: &str) -> i64 {
    daemon.entries("cluster", window).iter().map(|entry| entry["scope1_mg"].as_i64().unwrap()).sum()
}

#[test]
fn every_outcome_is_counted_acknowledged_and_shown() {
    let broker = Mosquitto::start();
    let config = format!("subscribe = [\"plant/#\"]\n{EVENTS}");
    publish(&broker, 1e6, &[("plant/co2".to_owned(), br#"{"t":1,"kg":1}"#.to_vec(), true)]);
    let mut daemon = Daemon::new(&broker, &config, &[]);
    daemon.start();
    wait_for("the retained message", || (daemon.received() == 1).then_some(()));
    let now = emissiond::clock::now().0;
    let good = format!(r#"{{"t":{now},"kg":2}}"#).into_bytes();
    let topic = || "plant/co2".to_owned();
    let messages = [
        (topic(), good.clone(), false),
        (topic(), good, false),
        (topic(), b"{malformed".to_vec(), false),
        (topic(), vec![b'x'; 2 << 20], false),
        ("plant/other".to_owned(), b"1".to_vec(), false),
        (topic(), br#"{"t":1,"kg":1}"#.to_vec(), false),
    ];
    publish(&broker, 1e6, &messages);
    let settled = |status: &serde_json::Value| status["messages"]["received"] == 7 && status["mqtt"]["unacked"] == 0;
    let status = wait_for("all messages, acknowledged", || Some(daemon.status()).filter(settled));
    let expected = serde_json::json!({
        "received": 7, "accepted": 1, "duplicate": 1, "late": 1, "unmapped": 1, "retained": 1,
        "refused": {"malformed": 1, "oversize": 1},
    });
    assert_eq!(status["messages"], expected);
    assert_eq!(status["mqtt"]["connects"], 1, "the connection stays");
    let metrics = daemon.get("/metrics").unwrap().1;
    for line in [
        "emissiond_messages_total{outcome=\"accepted\"} 1",
        "emissiond_messages_total{outcome=\"refused\"} 2",
        "emissiond_messages_total{outcome=\"retained\"} 1",
        "emissiond_refused_total{reason=\"oversize\"} 1",
        "emissiond_mqtt_connected 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    wait_for("the year's total", || (total(&daemon, "1y") == 2_000_000).then_some(()));
    let refused = |daemon: &Daemon| {
        let output = run(&mut daemon.command("refused")).stdout;
        let lines = String::from_utf8(output).unwrap();
        let reason = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["reason"].clone();
        lines.lines().map(reason).collect::<Vec<_>>()
    };
    wait_for("what was refused, listed", || (refused(&daemon) == ["late", "oversize", "malformed"]).then_some(()));
    assert!(daemon.stop().success());
    assert_eq!(refused(&daemon), ["late", "oversize", "malformed"], "without the daemon");
    daemon.start();
    assert_eq!(daemon.status()["messages"]["accepted"], 1, "counts outlive a restart");
}

/// `EMISSIOND_KILLS` and `EMISSIOND_RATE` make a campaign of it.
#[test]
fn five_kills_lose_nothing_and_count_nothing_twice() {
    let (kills, rate) = (number("EMISSIOND_KILLS", 5), number("EMISSIOND_RATE", 200));
    let each = 3 * rate / 2;
    let all = (kills + 3) * each;
    let broker = Mosquitto::as_shipped();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let mut random = Rng::with_seed(11);
    let (messages, expected_mg) = events(all as usize, &mut random);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&broker, rate as f64, &messages));
        for kill in 1..=kills {
            // At a random place of the stream, not after a fixed time.
            let place = each * kill + random.u64(0..each / 2);
            wait_for("the next place to kill at", || (daemon.received() >= place).then_some(()));
            daemon.kill();
            daemon.start();
        }
        publisher.join().unwrap();
    });
    let accepted = |daemon: &Daemon| daemon.status()["messages"]["accepted"].as_u64().unwrap();
    wait_for("every reading", || (accepted(&daemon) == all).then_some(()));
    for window in ["1m", "15m", "1h", "1d", "1mo", "1y"] {
        // What is open is added up ten times a second.
        wait_for(window, || (total(&daemon, window) == expected_mg).then_some(()));
    }
    let messages = &daemon.status()["messages"];
    println!("{kills} kills, {all} readings, {} redelivered: 0 lost, 0 double", messages["duplicate"]);
    let outcomes = ["accepted", "duplicate", "late", "unmapped", "retained"].map(|k| messages[k].as_u64().unwrap());
    assert_eq!(messages["received"].as_u64().unwrap(), outcomes.iter().sum::<u64>());
}

#[test]
fn a_second_daemon_on_the_same_state_is_turned_away() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let second = run(&mut daemon.command("run"));
    let text = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(69), "{text}");
    assert!(text.contains("in use by another emissiond"), "{text}");
    let export = run(daemon.command("export").args(["--level", "facility", "--window", "1h"]));
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let status = run(&mut daemon.command("status"));
    assert!(String::from_utf8(status.stdout).unwrap().contains("\"connected\": true"));
}

#[test]
fn a_late_reading_restates_a_closed_hour_and_raises_its_revision() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let hour = |daemon: &Daemon| {
        let entries = daemon.entries("facility", "1h");
        let entry = entries.first()?;
        Some((entry["scope1_mg"].as_i64()?, entry["revision"].as_i64()?))
    };
    let yesterday = emissiond::clock::now().0 / 3_600_000 * 3_600_000 - 86_400_000;
    let send = |minute: i64, kg: i64| {
        let payload = format!(r#"{{"t":{},"kg":{kg}}}"#, yesterday + minute * 60_000);
        publish(&broker, 1e6, &[("plant/co2".to_owned(), payload.into_bytes(), false)]);
    };
    send(5, 3);
    wait_for("the closed hour", || (hour(&daemon)? == (3_000_000, 1)).then_some(()));
    send(50, 4);
    wait_for("its restatement", || (hour(&daemon)? == (7_000_000, 2)).then_some(()));
    let latest = emissiond::quantity::Time(yesterday + 50 * 60_000).to_string();
    let meters =
        |daemon: &Daemon| serde_json::from_str::<serde_json::Value>(&daemon.get("/api/v1/meters").unwrap().1).unwrap();
    assert_eq!(meters(&daemon)[0]["last_reading"], latest);
    assert!(daemon.stop().success());
    daemon.start();
    assert_eq!(meters(&daemon)[0]["last_reading"], latest, "after a restart");
}

#[test]
fn a_session_that_the_broker_lost_is_noticed_while_running_and_over_a_restart() {
    let mut broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    let lost = |daemon: &Daemon, times: u64| {
        wait_for("the session", || {
            let mqtt = &daemon.status()["mqtt"];
            (mqtt["connected"] == true && mqtt["sessions_lost"] == times).then_some(())
        });
    };
    daemon.start();
    lost(&daemon, 0);
    broker.restart();
    lost(&daemon, 1);
    assert!(daemon.stop().success());
    broker.restart();
    daemon.start();
    lost(&daemon, 2);
    assert_eq!(daemon.status()["mqtt"]["possible_gaps"][0]["cause"], "session-lost");
}

#[test]
fn a_full_disk_is_foreseen_and_what_waited_is_taken_in_afterwards() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    let Some(state) = daemon.start_on_disk(48) else {
        return;
    };
    let (messages, expected_mg) = events(60, &mut Rng::with_seed(5));
    publish(&broker, 1e6, &messages[..30]);
    wait_for("the first half", || (daemon.received() == 30).then_some(()));
    let filler = state.join("filler");
    // It ends with an error when the disk is full.
    let _ = std::fs::write(&filler, vec![0u8; 64 << 20]);
    wait_for("the desk to hold", || (daemon.status()["held"] == "disk-full").then_some(()));
    assert_eq!(daemon.get("/readyz").unwrap().0, 503);
    publish(&broker, 1e6, &messages[30..]);
    wait_for("messages to wait", || (daemon.status()["mqtt"]["unacked"].as_u64()? > 0).then_some(()));
    assert_eq!(daemon.received(), 30, "nothing is booked that is not on disk");
    assert_eq!(daemon.hang_up()["last_reload"]["result"], "rejected", "nothing could be sealed");
    std::fs::remove_file(&filler).unwrap();
    wait_for("the rest", || (daemon.received() == 60).then_some(()));
    wait_for("the year's total", || (total(&daemon, "1y") == expected_mg).then_some(()));
    assert_eq!(daemon.status()["held"], serde_json::Value::Null);
    assert_eq!(daemon.status()["mqtt"]["connects"], 1);
}

#[test]
fn a_command_that_holds_the_state_for_a_moment_does_not_turn_the_daemon_away() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    let (state, log) = (daemon.files.path("state"), daemon.files.path("log"));
    let lock = emissiond::store::Lock::take(&state).unwrap();
    let release = std::thread::spawn(move || {
        wait_for("the daemon to wait", || std::fs::read_to_string(&log).ok()?.contains("waiting for it").then_some(()));
        drop(lock);
    });
    daemon.start();
    release.join().unwrap();
    assert!(daemon.stop().success());
}
