//! The broker comes and goes under load.

use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};

use crate::broker::{EVENTS, Publication, events, register, total};
use crate::harness::number;
use crate::servers::{Daemon, Mosquitto, block_on, wait_for, wait_for_long};

/// A register that rises by one kilogram with every reading, a second apart, ending shortly before now.
fn rising(count: usize) -> Vec<Publication> {
    let now = emissiond::clock::now().0;
    let message = |n: usize| {
        let time = now - 1_000 * (count - n) as i64;
        ("plant/co2".to_owned(), format!(r#"{{"t":{time},"kg":{n}}}"#).into_bytes(), false)
    };
    (0..count).map(message).collect()
}

/// Publishes one message after the other, each until a broker has taken it; counts them.
fn publish_stubbornly(port: u16, messages: &[Publication], taken: &AtomicUsize) {
    block_on(async {
        let connect = || AsyncClient::new(MqttOptions::new("stubborn", "127.0.0.1", port), 10);
        let (mut client, mut poll) = connect();
        for (topic, payload, retain) in messages {
            loop {
                client.publish(topic, QoS::AtLeastOnce, *retain, payload.clone()).await.unwrap();
                if is_taken(&mut poll).await {
                    break;
                }
                (client, poll) = connect();
            }
            taken.fetch_add(1, Ordering::Relaxed);
        }
    });
}

async fn is_taken(poll: &mut EventLoop) -> bool {
    loop {
        match poll.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Publishes all, and lets `strike` do something to the broker at so many random places of the stream.
fn under_fire(broker: &mut Mosquitto, messages: &[Publication], strikes: usize, strike: impl Fn(&mut Mosquitto)) {
    let taken = AtomicUsize::new(0);
    let mut random = Rng::with_seed(23);
    let each = messages.len() / (strikes + 1);
    let port = broker.port;
    std::thread::scope(|scope| {
        scope.spawn(|| publish_stubbornly(port, messages, &taken));
        for number in 1..=strikes {
            let place = each * number - random.usize(0..each / 2);
            wait_for_long("the next place", || (taken.load(Ordering::Relaxed) >= place).then_some(()));
            strike(broker);
        }
    });
}

/// `EMISSIOND_BROKERS` and `EMISSIOND_READINGS` make a campaign of it.
#[test]
fn restarts_of_the_broker_as_shipped_lose_nothing() {
    let (strikes, count) = (number("EMISSIOND_BROKERS", 4), number("EMISSIOND_READINGS", 4_000));
    let mut broker = Mosquitto::as_shipped();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start();
    let (messages, expected_mg) = events(count, &mut Rng::with_seed(29));
    under_fire(&mut broker, &messages, strikes, Mosquitto::restart_gently);
    let all = count as u64;
    wait_for_long("every reading", || (daemon.status()["messages"]["accepted"] == all).then_some(()));
    wait_for("the year's total", || (total(&daemon, "1y") == expected_mg).then_some(()));
    let status = daemon.status();
    println!("{strikes} restarts, {all} readings, {} redelivered: 0 lost, 0 double", status["messages"]["duplicate"]);
    assert_eq!(status["mqtt"]["sessions_lost"], 0);
    assert!(status["mqtt"]["connects"].as_u64().unwrap() > 1);
}

/// What the broker lost is shown, and a register's energy is whole again after its next reading.
#[test]
fn kills_of_a_broker_that_forgets_are_shown_and_registers_heal() {
    let (strikes, count) = (number("EMISSIOND_BROKERS", 4), number("EMISSIOND_READINGS", 4_000));
    let mut broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &register("1s"), &[]);
    daemon.start();
    let messages = rising(count + 1);
    publish_stubbornly(broker.port, &messages[..1], &AtomicUsize::new(0));
    wait_for("the first reading", || (daemon.received() == 1).then_some(()));
    under_fire(&mut broker, &messages[1..count], strikes, |broker| {
        let lost = || daemon.status()["mqtt"]["sessions_lost"].as_u64().unwrap();
        let before = lost();
        broker.restart();
        wait_for("the loss to be noticed", || (lost() > before).then_some(()));
    });
    let latest = emissiond::quantity::Time(last_time(&messages)).to_string();
    publish_stubbornly(broker.port, &messages[count..], &AtomicUsize::new(0));
    wait_for_long("the last reading", || daemon.get("/api/v1/meters")?.1.contains(&latest).then_some(()));
    wait_for("the year's total", || (total(&daemon, "1y") == count as i64 * 1_000_000).then_some(()));
    let status = daemon.status();
    let lost = count as u64 + 1 - status["readings"]["accepted"].as_u64().unwrap();
    println!("{strikes} kills of the broker: it lost {lost} of {count} readings; 0 kg lost, 0 kg double");
    assert_eq!(status["mqtt"]["sessions_lost"], strikes as u64);
    // The latest are shown.
    assert_eq!(status["mqtt"]["possible_gaps"].as_array().unwrap().len(), strikes.min(20));
}

/// More than the queue of a session that nobody reads holds: the broker drops the rest, and says so every ten seconds.
#[test]
fn what_the_broker_dropped_is_shown() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &register("1s"), &[]);
    daemon.start();
    let drops = |daemon: &Daemon| daemon.get("/metrics").unwrap().1.contains("emissiond_mqtt_broker_drops 1.0");
    let messages = rising(3_001);
    publish_stubbornly(broker.port, &messages[..1], &AtomicUsize::new(0));
    wait_for("the first reading", || (daemon.received() == 1).then_some(()));
    wait_for("the broker's counts", || daemon.status()["mqtt"]["broker_dropped"].is_u64().then_some(()));
    daemon.kill();
    publish_stubbornly(broker.port, &messages[1..3_000], &AtomicUsize::new(0));
    daemon.start();
    wait_for("the drops", || drops(&daemon).then_some(()));
    let gap = &daemon.status()["mqtt"]["possible_gaps"][0];
    assert_eq!(gap["cause"], "broker-dropped");
    publish_stubbornly(broker.port, &messages[3_000..], &AtomicUsize::new(0));
    wait_for("the year's total", || (total(&daemon, "1y") == 3_000_000_000).then_some(()));
}

fn last_time(messages: &[Publication]) -> i64 {
    let last: serde_json::Value = serde_json::from_slice(&messages.last().unwrap().1).unwrap();
    last["t"].as_i64().unwrap()
}
