//! End to end through a real mosquitto (in-flight 1000): the daemon, and, interleaved in the same run, a do-nothing
//! subscriber on the same client that acknowledges in the same groups without a store. Prints the median ratio of five,
//! then the time from publish to visibility in `/api/v1/entries` at 10,000 messages a second, and memory.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and stops where it cannot go on"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use emissiond::mqtt::{Delivery, Health, News, Options, Orders, Server, Session, Wanted};
use tokio::sync::{mpsc, watch};

#[path = "world/mod.rs"]
mod world;

use world::{Running, broker, daemon, get, port, publish, until};

const MESSAGES: usize = 60_000;
const ROUNDS: usize = 5;
const METERS: usize = 10_000;
const GROUP: usize = 500;
/// Messages on topics that no meter has.
const UNKNOWN: usize = 1_000_000;

fn config(directory: &Path, broker: u16, http: u16, meters: usize) -> std::path::PathBuf {
    let mut text = format!(
        "[daemon]\nstate_dir = \"state\"\nhttp = \"127.0.0.1:{http}\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\ninflight = {GROUP}\nsubscribe = [\"b/#\"]\n\
         [clusters.c]\ntimezone = \"UTC\"\n"
    );
    for facility in 0..meters.div_ceil(40) {
        let _ = writeln!(text, "[facilities.f{facility}]\ncluster = \"c\"");
    }
    for meter in 0..meters {
        let _ = writeln!(
            text,
            "[meters.m{meter}]\nfacility = \"f{}\"\ntopic = \"b/m{meter}\"\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/ts\"\n\
             time_format = \"ms\"\nkind = \"event\"\nunit = \"kg\"\nexpected_every = \"10s\"\ncategory = \"cems-co2\"",
            meter / 40
        );
    }
    let path = directory.join("c.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The do-nothing subscriber: receives, groups, acknowledges. Returns messages a second.
fn nothing(broker: u16) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = Server { host: "127.0.0.1".to_owned(), port: broker, tls: false };
    let options = Options {
        server,
        client_id: None,
        username: None,
        password_file: None,
        ca_file: None,
        cert_file: None,
        key_file: None,
        inflight: GROUP,
        max_packet: 1 << 20,
        subscribe: Arc::new(["nothing/#".to_owned()]),
    };
    let health = Arc::new(Health::default());
    let id = format!("nothing-{}", fastrand::u32(..));
    let wanted = Wanted { subscribe: Arc::clone(&options.subscribe), stale: Vec::new() };
    let (_wanted, wanted) = watch::channel(wanted);
    let (_outbox, orders) = mpsc::unbounded_channel();
    let session = Session::new(options, id, Orders { wanted, publish: orders }, Arc::clone(&health)).unwrap();
    let (sender, receiver) = channel::<Delivery>();
    let (committed, committed_receiver) = watch::channel(0);
    let task = runtime.spawn(session.run(committed_receiver, move |news| match news {
        News::Delivery(delivery) => sender.send(delivery).is_ok(),
        News::Connected { .. } | News::Unsubscribed | News::Dropped(_) => true,
    }));
    until("the do-nothing subscriber", || health.view().subscribed);
    let started = Instant::now();
    let publisher = publish(broker, |n| format!("nothing/m{}", n % METERS), MESSAGES, None);
    let (mut received, mut waiting, mut last) = (0, 0, 0);
    while received < MESSAGES {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(delivery) => {
                received += 1;
                waiting += 1;
                last = delivery.sequence;
            }
            Err(RecvTimeoutError::Timeout) => waiting = GROUP,
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if waiting >= GROUP {
            committed.send_replace(last);
            waiting = 0;
        }
    }
    let rate = MESSAGES as f64 / started.elapsed().as_secs_f64();
    publisher.join().unwrap();
    task.abort();
    rate
}

fn received(http: u16) -> usize {
    let status: serde_json::Value =
        serde_json::from_str(&get(http, "/api/v1/status").unwrap_or_default()).unwrap_or_default();
    status["messages"]["received"].as_u64().unwrap_or(0) as usize
}

/// A topic of a meter.
fn known(n: usize) -> String {
    format!("b/m{}", n % METERS)
}

/// Every hundredth message is of the one meter, all others are on topics that are seen once.
fn mostly_unknown(n: usize) -> String {
    if n.is_multiple_of(100) { "b/m0".to_owned() } else { format!("b/unknown/{n}/of/a/plant/nobody/declared") }
}

/// How much memory messages take, all on the topic of one meter, and then as many on topics that no meter has.
fn unknown_topics(broker: u16) {
    let (http, directory) = (port(), tempfile::tempdir().unwrap());
    let process = daemon(&config(directory.path(), broker, http, 1), http);
    for (name, topic) in [("known", (|_| "b/m0".to_owned()) as fn(usize) -> String), ("unknown", mostly_unknown)] {
        let (before, memory) = (received(http), rss_mib(&process));
        publish(broker, topic, UNKNOWN, None).join().unwrap();
        until("all of them", || received(http) >= before + UNKNOWN);
        println!("memory for {UNKNOWN} {name:>8} topics {:>+8.1} MiB", rss_mib(&process) - memory);
    }
    let status: serde_json::Value = serde_json::from_str(&get(http, "/api/v1/status").unwrap()).unwrap();
    let unmapped = status["messages"]["unmapped"].as_u64().unwrap() as usize;
    assert_eq!(unmapped, UNKNOWN - UNKNOWN / 100);
}

fn throughput(broker: u16, http: u16) -> f64 {
    let before = received(http);
    let started = Instant::now();
    let publisher = publish(broker, known, MESSAGES, None);
    until("all messages", || received(http) >= before + MESSAGES);
    let rate = MESSAGES as f64 / started.elapsed().as_secs_f64();
    publisher.join().unwrap();
    rate
}

/// Polls the cluster's total and notes, for each poll, how old the newest message in it is.
fn visibility(broker: u16, http: u16) -> (f64, f64) {
    let path = "/api/v1/entries?level=cluster&entity=c&window=1y";
    let count = || {
        let entries: serde_json::Value = serde_json::from_str(&get(http, path).unwrap_or_default()).unwrap_or_default();
        entries[0]["scope1_mg"].as_i64().unwrap_or(0) / 1_000_000
    };
    let rate = 10_000.0;
    // What is open is added up ten times a second; wait for the last round to be in.
    let published = (ROUNDS * MESSAGES) as i64;
    until("the earlier rounds", || count() == published);
    let before = count();
    let started = Instant::now();
    let publisher = publish(broker, known, 100_000, Some(rate));
    let mut delays = Vec::new();
    while started.elapsed() < Duration::from_secs(9) {
        let visible = count() - before;
        let asked = started.elapsed().as_secs_f64();
        // Message n was due at n / rate: what is visible is at least this recent.
        if visible > 0 {
            delays.push((asked - visible as f64 / rate).max(0.0));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    publisher.join().unwrap();
    delays.sort_by(f64::total_cmp);
    (delays[delays.len() / 2], delays[delays.len() * 99 / 100])
}

fn rss_mib(process: &Running) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let (_mosquitto, broker) = broker(directory.path());
    {
        let (http, idle) = (port(), tempfile::tempdir().unwrap());
        let process = daemon(&config(idle.path(), broker, http, 1), http);
        std::thread::sleep(Duration::from_secs(2));
        println!("memory, idle                        {:>8.1} MiB", rss_mib(&process));
    }
    unknown_topics(broker);
    let http = port();
    let process = daemon(&config(directory.path(), broker, http, METERS), http);
    println!("memory, {METERS} meters declared       {:>8.1} MiB", rss_mib(&process));
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let (nothing, ours) = (nothing(broker), throughput(broker, http));
        println!("round {round}: do-nothing {nothing:>8.0}/s, emissiond {ours:>8.0}/s, ratio {:.3}", ours / nothing);
        ratios.push(ours / nothing);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio of {ROUNDS}: {:.3}", ratios[ROUNDS / 2]);
    let (median, p99) = visibility(broker, http);
    println!("publish to visible at 10,000/s: median {:.0} ms, p99 {:.0} ms", median * 1e3, p99 * 1e3);
    println!("memory after all                    {:>8.1} MiB", rss_mib(&process));
}
