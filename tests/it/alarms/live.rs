//! The daemon raises alarms as readings come, and tells of each at least once, whatever happens to it or to whoever is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

use crate::alarms::hook::{Hook, METERS, MINUTE, alerts, end_of, minute, overrun};
use crate::broker::publish;
use crate::harness::{emissiond, number, run};
use crate::servers::{Daemon, Mosquitto, Process, block_on, wait_for, wait_for_long};

#[test]
#[expect(clippy::disallowed_methods, reason = "what is waited for is how soon it comes")]
fn an_overrun_is_told_at_once() {
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let mut daemon = Daemon::new(&broker, &hook.config(MINUTE), &[]);
    daemon.start();
    let now = emissiond::clock::now().0;
    let sent = Instant::now();
    publish(&broker, 1e6, &[minute("co2", now, 101)]);
    let came = || hook.came.lock().unwrap().first().cloned();
    let (key, body, _) = wait_for("the alarm", came);
    println!("told after {:?}", sent.elapsed());
    assert!(key.starts_with("minute/facility/f/") && key.ends_with("#0"), "{key}");
    let alert = &body["alerts"][0];
    assert_eq!((&body["status"], &alert["labels"]["entity"]), (&"firing".into(), &"facility/f".into()), "{body}");
    assert_eq!((&alert["annotations"]["value"], &alert["annotations"]["limit"]), (&"6060".into(), &"6000".into()));
    // A rule that is gone leaves no alarm behind.
    let config = std::fs::read_to_string(daemon.files.path("c.toml")).unwrap().replace(MINUTE, "");
    std::fs::write(daemon.files.path("c.toml"), config).unwrap();
    assert_eq!(daemon.hang_up()["last_reload"]["result"], "applied");
    wait_for("its end", || hook.taken().iter().any(|(_, status)| status == "resolved").then_some(()));
    assert_eq!(daemon.get("/api/v1/alarms?state=active").unwrap().1, "[]\n");
    assert!(daemon.stop().success());
}

/// Who comes while an alarm is on is told of it, and not of what is over; who was away is a newcomer.
#[test]
fn a_new_notifier_is_told_what_goes_on() {
    let (broker, hook, other) = (Mosquitto::start(), Hook::start(0), Hook::start(0));
    let mut daemon = Daemon::new(&broker, &hook.config(MINUTE), &[]);
    daemon.start();
    let alone = std::fs::read_to_string(daemon.files.path("c.toml")).unwrap();
    let url = format!("http://127.0.0.1:{}/alarm", other.port);
    let both = format!("{alone}[notify.night]\nkind = \"webhook\"\nurl = \"{url}\"\n");
    let set = |text: &str| {
        std::fs::write(daemon.files.path("c.toml"), text).unwrap();
        assert_eq!(daemon.hang_up()["last_reload"]["result"], "applied");
    };
    let (at, over) = overrun();
    publish(&broker, 1e6, &over);
    publish(&broker, 1e6, &end_of(at));
    wait_for("its end", || (hook.taken().len() == 2).then_some(()));
    publish(&broker, 1e6, &[minute("co2", emissiond::clock::now().0, 101)]);
    wait_for("the alarm that goes on", || (hook.taken().len() == 3).then_some(()));
    set(&both);
    wait_for("the newcomer", || (other.taken().len() == 1).then_some(()));
    assert_eq!(other.taken()[0], hook.taken()[2], "with the same key");
    set(&alone);
    set(&both);
    wait_for("it once more", || (other.taken().len() == 2).then_some(()));
    let up = r#"emissiond_notifier_up{notifier="night"} 1"#;
    wait_for("its metric", || daemon.get("/metrics")?.1.contains(up).then_some(()));
    assert_eq!((hook.taken().len(), other.taken()[0] == other.taken()[1]), (3, true));
    assert!(daemon.stop().success());
}

/// What is not in the books: readings of no use, and a broker that is gone.
#[test]
fn bad_data_and_a_lost_broker_are_told() {
    let (mut broker, hook) = (Mosquitto::start(), Hook::start(0));
    let rules = "[rules.bad]\nkind = \"quality\"\nselect = { meter = \"m\" }\nat_most = 0.2\n\
                 [rules.self]\nkind = \"daemon\"\nwatch = [\"broker\"]\nfor = \"0s\"\n";
    let mut daemon = Daemon::new(&broker, &hook.config(rules), &[]);
    daemon.start();
    let standing = |rule: &str| -> Option<Value> {
        let rules: Vec<Value> = serde_json::from_str(&daemon.get("/api/v1/rules")?.1).ok()?;
        rules.into_iter().find(|of| of["rule"] == rule)
    };
    assert_eq!(standing("bad").unwrap()["state"], "unknown");
    wait_for("the broker's state", || standing("self").filter(|of| of["state"] == "normal"));
    let now = emissiond::clock::now().0;
    let good = (1..=9).map(|ago| minute("co2", now - ago * 60_000, 1));
    let bad = (0..6).map(|_| ("plant/co2".to_owned(), b"{\"kg\":\"x\"}".to_vec(), false));
    publish(&broker, 1e6, &good.chain(bad).collect::<Vec<_>>());
    let alert = |entity: &'static str, status: &'static str| {
        let found = || {
            let came = hook.came.lock().unwrap();
            let all = came.iter().flat_map(|(_, body, _)| body["alerts"].as_array().cloned().unwrap_or_default());
            all.into_iter().find(|alert| alert["labels"]["entity"] == entity && alert["status"] == status)
        };
        wait_for_long(entity, found)
    };
    let summary = alert("meter/m", "firing")["annotations"]["summary"].as_str().unwrap().to_owned();
    assert_eq!(summary, "meter/m: bad: 6 of 15 readings refused");
    assert_eq!(standing("bad").unwrap()["value"], 40.0);
    broker.kill();
    let summary = alert("daemon/broker", "firing")["annotations"]["summary"].as_str().unwrap().to_owned();
    assert!(summary.starts_with("daemon/broker: self: the broker: "), "{summary}");
    broker.restart();
    alert("daemon/broker", "resolved");
    assert!(daemon.stop().success());
}

/// `EMISSIOND_EPISODES` makes a campaign of it: kills at random while alarms come and go in the past, which late readings fill.
#[test]
fn every_episode_is_told_through_kills_and_failures() {
    let episodes: i64 = number("EMISSIOND_EPISODES", 12);
    let (broker, hook) = (Mosquitto::start(), Hook::start(50));
    // They come and go quickly, and each is to be told for itself.
    let rules = format!("{MINUTE}min_coverage = 0\n[alarms]\nchatter_above = 1000\nflood_above = 1000\n");
    let mut daemon = Daemon::new(&broker, &hook.config(&rules), &[]);
    daemon.start();
    let mut random = Rng::with_seed(3);
    let start = emissiond::clock::now().0 / 60_000 * 60_000 - (2 * episodes + 60) * 60_000;
    let quiet = (0..2 * episodes).step_by(2).map(|at| minute("co2", start + (at + 1) * 60_000, 50));
    publish(&broker, 1e6, &quiet.collect::<Vec<_>>());
    let kills: BTreeSet<i64> = (0..episodes / 4 + 1).map(|_| random.i64(0..episodes)).collect();
    let mut expected = BTreeMap::new();
    for episode in 0..episodes {
        // Every second minute is over, once its other half has come.
        let end = start + (2 * episode + 1) * 60_000;
        publish(&broker, 1e6, &[minute("more", end, 60)]);
        let since = emissiond::quantity::Time(end);
        let id = format!("minute/facility/f/{since}");
        expected.insert(format!("{id}#0"), "firing");
        expected.insert(format!("{id}#1"), "resolved");
        if kills.contains(&episode) {
            let told = random.usize(0..=hook.taken().len());
            wait_for("some news", || (hook.taken().len() >= told).then_some(()));
            daemon.kill();
            daemon.start();
        }
    }
    let taken = || -> BTreeMap<String, String> { hook.taken().into_iter().collect() };
    let all = || expected.keys().all(|key| taken().contains_key(key));
    // What failed is tried later and later, so all of it takes a while.
    while !all() {
        let before = hook.taken().len();
        wait_for_long("more of it", || (all() || hook.taken().len() > before).then_some(()));
    }
    let told = taken();
    let same: BTreeMap<String, &str> = told.iter().map(|(key, status)| (key.clone(), status.as_str())).collect();
    assert_eq!(same, expected, "nothing else is told");
    // The same key always tells the same.
    let came = hook.came.lock().unwrap();
    for (key, status) in came.iter().flat_map(|(_, body, _)| alerts(body)) {
        assert_eq!(expected.get(&key), Some(&status.as_str()), "{key}");
    }
    println!("{episodes} episodes, {} kills, {} messages for {} turns", kills.len(), came.len(), expected.len());
}

#[test]
fn damaged_alarms_are_set_aside_and_told_again() {
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let mut daemon = Daemon::new(&broker, &hook.config(MINUTE), &[]);
    daemon.start();
    let now = emissiond::clock::now().0;
    publish(&broker, 1e6, &[minute("co2", now, 101)]);
    wait_for("the alarm", || (hook.taken().len() == 1).then_some(()));
    daemon.kill();
    let file = daemon.files.path("state/alarms.db");
    std::fs::write(&file, vec![b'x'; 50_000]).unwrap();
    let _ = std::fs::remove_file(daemon.files.path("state/alarms.db-wal"));
    daemon.start();
    assert!(daemon.files.path("state/alarms.db.damaged-1").exists());
    let taken = wait_for("the alarm again", || Some(hook.taken()).filter(|taken| taken.len() == 2));
    assert_eq!(taken[0], taken[1], "with the same key");
    assert!(daemon.stop().success());
}

/// On the broker what goes on is retained; who has seen it is kept, by the command beside the daemon and over HTTP.
#[test]
fn an_alarm_is_on_its_topic_and_is_acknowledged() {
    let broker = Mosquitto::start();
    let config = format!("{METERS}{MINUTE}[notify.scada]\nkind = \"mqtt\"\ntopic = \"plant/alarms\"\n");
    let mut daemon = Daemon::new(&broker, &config, &[("token", "t")]);
    let file = daemon.files.path("c.toml");
    let text = std::fs::read_to_string(&file).unwrap().replacen("[mqtt]", "token_file = \"token\"\n[mqtt]", 1);
    std::fs::write(&file, &text).unwrap();
    daemon.start();
    let now = emissiond::clock::now().0;
    publish(&broker, 1e6, &[minute("co2", now, 101)]);
    let active = || -> Option<Value> {
        let alarms: Value = serde_json::from_str(&daemon.get("/api/v1/alarms?state=active")?.1).ok()?;
        alarms.get(0).cloned()
    };
    let alarm = wait_for("the alarm", active);
    let id = alarm["id"].as_str().unwrap();
    assert_eq!(alarm["inputs"], serde_json::json!([{ "entity": "meter/m", "kg": 101.0 }]));
    let retained = || block_on(retained(broker.port, "plant/alarms/alarm/minute/facility/f"));
    let shown = wait_for("its topic", retained);
    assert_eq!((&shown["id"], &shown["state"], &shown["v"]), (&alarm["id"], &"active".into(), &1.into()), "{shown}");

    let path = format!("/api/v1/alarms/{}/ack", id.replace('/', "%2F"));
    let body = r#"{"by":"A. Lee","note":"on it"}"#;
    assert_eq!(daemon.post(&path, body, None).0, 401);
    assert_eq!(daemon.post(&path, r#"{"by":" "}"#, Some("t")).0, 400);
    assert_eq!(daemon.post("/api/v1/alarms/none/ack", body, Some("t")).0, 404);
    assert_eq!(daemon.post(&path, body, Some("t")).0, 204);
    let by = |alarm: &Value| alarm["acknowledged"]["by"].as_str().map(str::to_owned);
    assert_eq!(by(&active().unwrap()).as_deref(), Some("A. Lee"));
    let metrics = daemon.get("/metrics").unwrap().1;
    let line = "emissiond_alarms{state=\"acknowledged\",priority=\"medium\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let command = |action: &str, more: &[&str]| {
        let mut command = emissiond();
        let output = run(command.args(["alarms", action]).args(more).arg("--config").arg(daemon.files.path("c.toml")));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    // Whoever was first stays.
    assert_eq!(command("ack", &[id, "--by", "B. May"]).0, Some(1));
    let (status, told) = daemon.post(&path, r#"{"by":"B. May"}"#, Some("t"));
    assert!(status == 409 && told.starts_with("A. Lee has seen it before"), "{status} {told}");
    assert_eq!(by(&active().unwrap()).as_deref(), Some("A. Lee"));
    assert!(command("list", &[]).1.contains("facility/f minute: 6060 kg/h against 6000 kg/h; acknowledged by A. Lee"));
    assert_eq!(command("ack", &["none", "--by", "B. May"]).0, Some(1));
    let of = |query: &str| daemon.get(&format!("/api/v1/alarms?{query}")).unwrap();
    assert_eq!(of("rule=other").1, "[]\n");
    assert!(of("rule=minute&entity=facility/f").1.contains(id));
    assert_eq!(of("rules=minute").0, 400);
    // What is wrong elsewhere in the file does not keep anybody from the alarms.
    std::fs::write(&file, format!("{text}[meters.m.nonsense]\n")).unwrap();
    assert!(command("list", &[]).1.contains(id));
    assert!(daemon.stop().success());
}

/// The message that is retained on a topic.
async fn retained(port: u16, topic: &str) -> Option<Value> {
    let options = MqttOptions::new(format!("test-{}", fastrand::u32(..)), "127.0.0.1", port);
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe(topic, QoS::AtMostOnce).await.unwrap();
    let read = async {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.unwrap() {
                return serde_json::from_slice(&publish.payload).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_millis(500), read).await.ok()
}

/// What a stranger sees first: meters, figures, and before a minute is over an alarm.
#[cfg(feature = "demo")]
#[test]
fn the_demo_shows_an_overrun() {
    let mut demo = emissiond();
    let mut child = demo.args(["demo", "--for", "90s"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().take(1).any(|line| line.starts_with("SIMULATED")));
    let alarm = lines.find(|line| line.starts_with("ALARM (SIMULATED)"));
    Process(child).kill();
    let alarm = alarm.expect("an alarm before it ends");
    assert!(alarm.contains("facility/dk-steelworks: demo-overrun is over"), "{alarm}");
}
