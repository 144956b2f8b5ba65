//! Sparkplug gateways: births, deaths, and a gateway whose messages are lost, doubled and overtaken.

use std::collections::BTreeMap;

use base64::Engine;
use emissiond::config::check;
use emissiond::daemon::Books;
use emissiond::decode::Message;
use emissiond::pipeline::Outcome;
use emissiond::quantity::Time;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};

use crate::broker::publish;
use crate::gateway::{Metric, payload};
use crate::harness::{Files, Ledger, emissiond, replay, run};
use crate::servers::{Daemon, Mosquitto, block_on, wait_for};

pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

const CONFIG: &str = r#"
[clusters.c]
timezone = "UTC"
[facilities.f]
cluster = "c"
[templates.gas]
facility = "f"
topic = "spBv1.0/ClusterA/DDATA/gw-07/boiler-2"
format = "sparkplug"
kind = "register"
unit = "kg"
expected_every = "10s"
category = "cems-co2"
[meters.gas]
template = "gas"
value = "CO2/Mass"
[meters.other]
template = "gas"
value = "Other/Mass"
"#;

const START: u64 = 1_767_225_600_000;

/// What a gateway sends, in order.
struct Wire {
    lines: Vec<(String, Vec<u8>)>,
    seq: u64,
    session: u64,
}

impl Wire {
    fn new() -> Wire {
        Wire { lines: Vec::new(), seq: 0, session: 0 }
    }

    fn send(&mut self, kind: &str, at: u64, metrics: &[Metric]) {
        let node = kind.starts_with('N');
        let seq = (kind != "NDEATH").then_some(self.seq % 256);
        self.seq += u64::from(seq.is_some());
        let device = if node { "" } else { "/boiler-2" };
        self.lines.push((format!("spBv1.0/ClusterA/{kind}/gw-07{device}"), payload(at, seq, metrics)));
    }

    fn session_metric(&self) -> Metric {
        Metric { name: Some("bdSeq"), long: Some(self.session % 256), datatype: Some(8), ..Metric::default() }
    }

    /// Gateway and device, with aliases of this birth.
    fn birth(&mut self, at: u64, aliases: [u64; 2], values: [f64; 2]) {
        self.seq = 0;
        let session = self.session_metric();
        self.send("NBIRTH", at, &[session]);
        let metric = |name, alias, value| Metric {
            name: Some(name),
            alias: Some(alias),
            datatype: Some(10),
            double: Some(value),
            ..Metric::default()
        };
        let metrics = [metric("CO2/Mass", aliases[0], values[0]), metric("Other/Mass", aliases[1], values[1])];
        self.send("DBIRTH", at + 1, &metrics);
    }

    fn data(&mut self, at: u64, alias: u64, value: f64) {
        let metric = Metric { alias: Some(alias), timestamp: Some(at), double: Some(value), ..Metric::default() };
        self.send("DDATA", at, &[metric]);
    }
}

/// One message a second, in the order given.
fn messages(lines: &[(String, Vec<u8>)]) -> String {
    let line = |(at, (topic, payload)): (usize, &(String, Vec<u8>))| {
        let received = jiff_text(START + 1_000 * at as u64 + 500);
        format!("{}\n", json!({ "received": received, "topic": topic, "payload_base64": base64(payload) }))
    };
    lines.iter().enumerate().map(line).collect()
}

fn jiff_text(ms: u64) -> String {
    Time(ms as i64).to_string()
}

fn booked(lines: &[(String, Vec<u8>)]) -> (BTreeMap<String, i64>, Value) {
    let files = Files::new(&[("c.toml", CONFIG), ("m.jsonl", &messages(lines))]);
    let ledger = Ledger::parse(&replay(&files, "c.toml", "m.jsonl"));
    let mut kg = BTreeMap::new();
    for ((level, entity, window, _), entry) in &ledger.entries {
        if level == "meter" && window == "1d" {
            *kg.entry(entity.clone()).or_default() += entry["scope1_mg"].as_i64().unwrap() / 1_000_000;
        }
    }
    (kg, ledger.summary)
}

#[test]
fn aliases_stand_for_what_their_birth_says() {
    let mut wire = Wire::new();
    wire.birth(START, [11, 12], [100.0, 1_000.0]);
    wire.data(START + 10_000, 11, 150.0);
    wire.session += 1;
    // The same aliases, the other way round.
    wire.birth(START + 20_000, [12, 11], [160.0, 1_000.0]);
    wire.data(START + 30_000, 12, 200.0);
    wire.data(START + 30_000, 11, 1_007.0);
    let (kg, summary) = booked(&wire.lines);
    assert_eq!(kg, BTreeMap::from([("gas".to_owned(), 100), ("other".to_owned(), 7)]));
    assert_eq!(summary["accepted"], json!(7));
}

#[test]
fn without_its_birth_an_alias_is_nothing() {
    let mut wire = Wire::new();
    wire.data(START, 11, 150.0);
    wire.birth(START + 1_000, [11, 12], [151.0, 0.0]);
    // Its last will: what follows is of a birth that was not heard.
    let session = wire.session_metric();
    wire.send("NDEATH", START + 2_000, &[session]);
    wire.data(START + 3_000, 11, 160.0);
    wire.session += 1;
    wire.birth(START + 4_000, [11, 12], [161.0, 0.0]);
    let (kg, summary) = booked(&wire.lines);
    assert_eq!(kg.get("gas"), Some(&10));
    assert_eq!(summary["refused"], json!({ "no-birth": 2 }));
}

/// A gateway whose clock was fast, and is set back: the number of its session tells that it was born again.
#[test]
fn a_birth_with_an_earlier_time_is_news_in_another_session() {
    let mut wire = Wire::new();
    wire.birth(START + 120_000, [11, 12], [100.0, 1_000.0]);
    wire.data(START + 121_000, 11, 101.0);
    wire.session += 1;
    wire.birth(START + 30_000, [12, 11], [101.0, 1_000.0]);
    for second in 31..60 {
        wire.data(START + second * 1_000, 12, 101.0 + second as f64);
    }
    let mut lines = wire.lines.into_iter();
    let mut pause: Vec<_> = lines.by_ref().take(3).collect();
    // Half a minute lies between the two sessions.
    pause.extend(std::iter::repeat_n(("other".to_owned(), Vec::new()), 30));
    pause.extend(lines);
    let (_, summary) = booked(&pause);
    assert_eq!(summary["refused"], json!({}), "{summary}");
}

#[test]
fn a_sign_that_nobody_told_is_not_guessed() {
    let minus_ten = u64::from(u32::MAX) - 9;
    let mut wire = Wire::new();
    let metric = Metric { name: Some("CO2/Mass"), int: Some(minus_ten), ..Metric::default() };
    wire.send("DDATA", START, &[metric]);
    let (kg, summary) = booked(&wire.lines);
    assert!(kg.is_empty(), "{kg:?}");
    assert_eq!(summary["refused"], json!({ "no-birth": 1 }));
}

#[test]
fn deaths_of_devices_that_nobody_declared_are_nothing() {
    let mut wire = Wire::new();
    wire.birth(START, [11, 12], [100.0, 0.0]);
    for device in 0..50 {
        let topic = format!("spBv1.0/ClusterA/DDEATH/gw-07/unknown-{device}");
        wire.lines.push((topic, payload(START + 1_000, Some(2 + device), &[])));
    }
    let (_, summary) = booked(&wire.lines);
    assert_eq!(summary["unmapped"], json!(50));
}

#[test]
fn a_unit_that_changes_is_no_figure() {
    let mut wire = Wire::new();
    wire.birth(START, [11, 12], [100.0, 0.0]);
    wire.data(START + 10_000, 11, 101.0);
    wire.seq = 0;
    wire.send("NBIRTH", START + 20_000, &[]);
    let metric = Metric { name: Some("CO2/Mass"), alias: Some(11), unit: Some("t"), ..Metric::default() };
    wire.send("DBIRTH", START + 20_001, &[Metric { double: Some(0.102), ..metric }]);
    wire.data(START + 30_000, 11, 0.103);
    let (kg, summary) = booked(&wire.lines);
    assert_eq!(kg.get("gas"), Some(&1));
    assert_eq!(summary["readings"]["refused"], json!({ "other-unit": 2 }));
}

/// Seeded: messages are lost, doubled and overtaken, and births come with new aliases. Data that come after their births are
/// booked as if nothing had happened.
#[test]
fn a_gateway_on_a_bad_network_is_booked_exactly() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut wire = Wire::new();
        let (mut register, mut other, mut at) = (1_000.0, 5_000.0, START);
        let mut aliases = [11, 12];
        let mut sent = Vec::new();
        for round in 0..6 {
            wire.session += 1;
            wire.birth(at, aliases, [register, other]);
            // Births and the last readings arrive; in between the network does what it likes.
            sent.append(&mut wire.lines);
            for _ in 0..30 {
                at += 1_000;
                register += f64::from(random.u8(1..9));
                other += 1.0;
                let alias = aliases[usize::from(random.bool())];
                wire.data(at, alias, if alias == aliases[0] { register } else { other });
            }
            sent.extend(scramble(&mut random, std::mem::take(&mut wire.lines)));
            at += 10_000;
            if round % 2 == 0 {
                aliases.swap(0, 1);
            }
        }
        wire.session += 1;
        wire.birth(at, aliases, [register, other]);
        sent.append(&mut wire.lines);
        let (kg, _) = booked(&sent);
        let expected = [("gas", register - 1_000.0), ("other", other - 5_000.0)];
        let expected = expected.map(|(id, kg)| (id.to_owned(), kg as i64));
        assert_eq!(kg, BTreeMap::from(expected), "seed {seed}");
    }
}

/// Loses, doubles, and lets others overtake by a few places.
fn scramble(random: &mut fastrand::Rng, lines: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut placed: Vec<(usize, (String, Vec<u8>))> = Vec::new();
    for (at, line) in lines.into_iter().enumerate() {
        let copies = match random.u8(0..10) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            placed.push((at + random.usize(0..4), line.clone()));
        }
    }
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, line)| line).collect()
}

/// A gateway is born once and talks for months: what its aliases stand for outlives the journal's part that a start reads.
#[test]
fn births_are_kept_over_restarts() {
    let mut wire = Wire::new();
    wire.birth(START, [11, 12], [100.0, 0.0]);
    wire.data(START + 5 * HOUR, 11, 150.0);
    let session = wire.session_metric();
    wire.send("NDEATH", START + 6 * HOUR, &[session]);
    wire.data(START + 7 * HOUR, 11, 160.0);
    let files = Files::new(&[("c.toml", CONFIG)]);
    let plan = check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap();
    let state = files.path("state");
    std::fs::create_dir_all(&state).unwrap();
    let mut refused = 0;
    for ((topic, payload), hours) in wire.lines.iter().zip([0, 0, 5, 6, 7]) {
        let received = Time((START + hours * HOUR) as i64 + 500);
        let mut books = Books::open(&state, &plan, received).unwrap();
        let (topic, payload) = (topic.clone(), payload.clone().into());
        let mut messages = vec![Message { received, topic, payload, retain: false, dup: false, oversize: false }];
        books.commit(&mut messages, received).unwrap();
        let outcomes = books.apply(&messages).unwrap();
        refused += usize::from(outcomes != [Outcome::Accepted]);
        // Hours later everything is closed.
        books.tick(Time((START + (hours + 1) * HOUR) as i64 - 1)).unwrap();
        books.seal().unwrap();
    }
    assert_eq!(refused, 1, "only what came after the death");
}

/// What an alias stood for is known to the explanation, too.
#[test]
fn what_came_under_an_alias_is_explained() {
    let mut wire = Wire::new();
    wire.birth(START, [11, 12], [100.0, 0.0]);
    wire.data(START + 10_000, 11, 150.0);
    let files = Files::new(&[("c.toml", &format!("[daemon]\nstate_dir = \"state\"\n{CONFIG}"))]);
    let plan = check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap();
    let message = |((topic, payload), seconds): (&(String, Vec<u8>), u64)| {
        let received = Time((START + seconds * 1_000) as i64 + 500);
        let (topic, payload) = (topic.clone(), payload.clone().into());
        Message { received, topic, payload, retain: false, dup: false, oversize: false }
    };
    let mut messages: Vec<Message> = wire.lines.iter().zip([0, 0, 10]).map(message).collect();
    std::fs::create_dir_all(files.path("state")).unwrap();
    let mut books = Books::open(&files.path("state"), &plan, messages[0].received).unwrap();
    books.commit(&mut messages, Time((START + 11_000) as i64)).unwrap();
    books.apply(&messages).unwrap();
    books.tick(Time((START + 24 * HOUR) as i64)).unwrap();
    books.seal().unwrap();
    drop(books);
    let mut explain = emissiond();
    explain.args(["explain", "--meter", "gas", "--at", &jiff_text(START), "--format", "json"]);
    let output = run(explain.arg("--config").arg(files.path("c.toml")));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let readings = told["usage"][0]["readings"].as_array().unwrap();
    let seen = |reading: &Value| (reading["value"].clone(), reading["topic"].clone());
    let topic = |kind: &str| json!(format!("spBv1.0/ClusterA/{kind}/gw-07/boiler-2"));
    let expected = [(json!("100"), topic("DBIRTH")), (json!("150"), topic("DDATA"))];
    assert_eq!(readings.iter().map(seen).collect::<Vec<_>>(), expected, "{told}");
    assert_eq!(readings[1]["payload_base64"], base64(&wire.lines[2].1), "{told}");
}

/// Over a broker: a lacking birth is asked for, what is missing is counted, and a death makes meters stale.
#[test]
fn a_gateway_is_asked_for_its_birth_and_its_death_is_seen() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &format!("[sparkplug]\nrebirth_requests = true\n{CONFIG}"), &[]);
    daemon.start();
    let now = emissiond::clock::now().0 as u64;
    let mut wire = Wire::new();
    wire.data(now, 11, 150.0);
    let command = block_on(async {
        let options = MqttOptions::new("gateway", "127.0.0.1", broker.port);
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe("spBv1.0/ClusterA/NCMD/#", QoS::AtMostOnce).await.unwrap();
        loop {
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::SubAck(_)) => {
                    let (topic, payload) = wire.lines.remove(0);
                    client.publish(topic, QoS::AtMostOnce, false, payload).await.unwrap();
                }
                Event::Incoming(Packet::Publish(publish)) => return publish,
                _ => {}
            }
        }
    });
    assert_eq!(command.topic, "spBv1.0/ClusterA/NCMD/gw-07");
    assert!(command.payload.windows(20).any(|bytes| bytes == b"Node Control/Rebirth"));
    wire.birth(now + 1, [11, 12], [150.0, 0.0]);
    wire.seq += 3;
    wire.data(now + 20, 11, 151.0);
    let session = wire.session_metric();
    wire.send("NDEATH", now + 30, &[session]);
    let messages: Vec<_> = wire.lines.drain(..).map(|(topic, payload)| (topic, payload, false)).collect();
    publish(&broker, 1e6, &messages);
    // The command is on a topic of the gateway, too.
    wait_for("all of it", || (daemon.received() == 6).then_some(()));
    let status = daemon.status();
    assert_eq!(status["messages"]["refused"], json!({ "no-birth": 1 }));
    let gateway = &status["gateways"][0];
    assert_eq!((&gateway["id"], &gateway["missing"]), (&json!("ClusterA/gw-07"), &json!(3)), "{gateway}");
    let meters: Value = serde_json::from_str(&daemon.get("/api/v1/meters").unwrap().1).unwrap();
    assert_eq!(meters[0]["stale"], json!(true), "{meters}");
    assert_ne!(meters[0]["gateway_gone"], Value::Null, "{meters}");
}

const HOUR: u64 = 3_600_000;

/// What a birth told is known to whoever looks on later.
#[test]
fn tap_shows_what_became_of_each_message() {
    let mut wire = Wire::new();
    wire.birth(START, [11, 12], [100.0, 0.0]);
    wire.data(START + 10_000, 11, 150.0);
    let files = Files::new(&[("c.toml", CONFIG), ("m.jsonl", &messages(&wire.lines))]);
    let mut tap = emissiond();
    tap.args(["tap", "--format", "json", "--config"]).arg(files.path("c.toml"));
    let output = run(tap.arg("--messages").arg(files.path("m.jsonl")));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["outcome"], json!("declared"));
    let reading = &lines[2]["readings"][0];
    assert_eq!((&reading["meter"], &reading["value"]), (&json!("gas"), &json!("150")));
    assert_eq!(reading["usage"][0]["kg_co2e"], json!(50.0));
}
