//! What 64 open pages cost, with 10,000 meters under 5,000 messages a second; and, in the same run, the same load with none.
//! `EMISSIOND_SECONDS` is how long each takes (60; the target is stated for 600).
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and stops where it cannot go on"
)]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[path = "world/mod.rs"]
mod world;

use world::{Running, broker, daemon, get, port, publish, until};

const METERS: usize = 10_000;
const RATE: f64 = 5_000.0;
const PAGES: usize = 64;

fn config(directory: &Path, broker: u16, http: u16) -> PathBuf {
    let mut text = format!(
        "[daemon]\nstate_dir = \"state\"\nhttp = \"127.0.0.1:{http}\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\ninflight = 500\nsubscribe = [\"b/#\"]\n\
         [clusters.c]\ntimezone = \"UTC\"\n\
         [templates.rate]\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/ts\"\ntime_format = \"ms\"\nkind = \"rate\"\n\
         unit = \"kg/h\"\nexpected_every = \"10s\"\ncategory = \"cems-co2\"\n"
    );
    for facility in 0..METERS.div_ceil(200) {
        let _ = writeln!(text, "[facilities.f{facility}]\ncluster = \"c\"");
    }
    for meter in 0..METERS {
        let _ = writeln!(
            text,
            "[meters.m{meter}]\ntemplate = \"rate\"\nfacility = \"f{}\"\ntopic = \"b/m{meter}\"",
            meter / 200
        );
    }
    let path = directory.join("c.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Reads the stream of a page until it is told to stop.
fn page(http: u16, stop: Arc<AtomicBool>, bytes: Arc<AtomicU64>) {
    let mut stream = TcpStream::connect(("127.0.0.1", http)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the stream ended");
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}

fn received(http: u16) -> u64 {
    let status: serde_json::Value = serde_json::from_str(&get(http, "/api/v1/status").unwrap()).unwrap();
    status["messages"]["received"].as_u64().unwrap()
}

/// A field of `/proc/PID/status` in MiB.
fn memory(running: &Running, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", running.0.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// One run of the load, with so many pages open.
fn load(pages: usize, seconds: u64, (broker, http): (u16, u16), daemon: &Running) {
    let (stop, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let open = |_| {
        let (stop, bytes) = (Arc::clone(&stop), Arc::clone(&bytes));
        std::thread::spawn(move || page(http, stop, bytes))
    };
    let open: Vec<_> = (0..pages).map(open).collect();
    let count = (RATE * seconds as f64) as usize;
    let (before, started) = (received(http), Instant::now());
    let publisher = publish(broker, |n| format!("b/m{}", n % METERS), count, Some(RATE));
    std::thread::sleep(Duration::from_secs(seconds / 2));
    let half = memory(daemon, "VmRSS");
    publisher.join().unwrap();
    let sent = started.elapsed();
    until("all of it", || received(http) >= before + count as u64);
    let behind = started.elapsed() - sent;
    stop.store(true, Ordering::Relaxed);
    open.into_iter().for_each(|page| page.join().unwrap());
    println!(
        "{pages:>3} pages: {:>6.0} messages/s, the last is in {:>6.1} ms after it was handed over, \
         memory {half:.0} MiB at half time and {:.0} MiB at the end, {:.1} kB/s a page",
        count as f64 / sent.as_secs_f64(),
        behind.as_secs_f64() * 1e3,
        memory(daemon, "VmRSS"),
        bytes.load(Ordering::Relaxed) as f64 / 1e3 / sent.as_secs_f64() / pages.max(1) as f64,
    );
}

fn main() {
    let seconds = std::env::var("EMISSIOND_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let directory = tempfile::tempdir().unwrap();
    let (_mosquitto, broker) = broker(directory.path());
    let http = port();
    let daemon = daemon(&config(directory.path(), broker, http), http);
    // What is there in the beginning is paid once.
    load(0, 10, (broker, http), &daemon);
    load(0, seconds, (broker, http), &daemon);
    load(PAGES, seconds, (broker, http), &daemon);
    load(0, seconds, (broker, http), &daemon);
}
