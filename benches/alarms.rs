//! From a reading that makes a limit overrun to the webhook that is told, with 10,000 meters under 5,000 messages a second;
//! and, in the same run, the do-nothing way: the same reading to a subscriber that does nothing but note it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and stops where it cannot go on"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

#[path = "world/mod.rs"]
mod world;

use world::{broker, daemon, port, publish};

const METERS: usize = 10_000;
const RATE: f64 = 5_000.0;
/// Facilities with one meter each, which overrun one after the other.
const OVERRUNS: usize = 200;
const EVERY: Duration = Duration::from_millis(100);

/// When something was noticed, by the overrun.
type Noticed = Arc<Mutex<BTreeMap<usize, Instant>>>;

fn config(directory: &Path, broker: u16, http: u16, hook: u16) -> PathBuf {
    let mut text = format!(
        "[daemon]\nstate_dir = \"state\"\nhttp = \"127.0.0.1:{http}\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\ninflight = 500\nsubscribe = [\"b/#\", \"o/#\"]\n\
         [clusters.c]\ntimezone = \"UTC\"\n\
         [templates.rate]\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/ts\"\ntime_format = \"ms\"\nkind = \"rate\"\n\
         unit = \"kg/h\"\nexpected_every = \"10s\"\ncategory = \"cems-co2\"\n\
         [templates.minute]\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/ts\"\ntime_format = \"ms\"\nkind = \"interval\"\n\
         interval = \"1m\"\nunit = \"kg\"\ncategory = \"cems-co2\"\n\
         [rules.minute]\nkind = \"limit\"\nselect = {{ facility = \"*\" }}\naverage = \"1m\"\nalign = \"sliding\"\n\
         limit = \"6000 kg/h\"\nfor = \"0s\"\npriority = \"high\"\nresponse = \"look\"\n\
         [notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{hook}/alarm\"\n"
    );
    for facility in 0..METERS.div_ceil(40) {
        let _ = writeln!(text, "[facilities.f{facility}]\ncluster = \"c\"");
    }
    for meter in 0..METERS {
        let _ = writeln!(
            text,
            "[meters.m{meter}]\ntemplate = \"rate\"\nfacility = \"f{}\"\ntopic = \"b/m{meter}\"",
            meter / 40
        );
    }
    for overrun in 0..OVERRUNS {
        let _ = writeln!(
            text,
            "[facilities.o{overrun}]\ncluster = \"c\"\n\
             [meters.o{overrun}]\ntemplate = \"minute\"\nfacility = \"o{overrun}\"\ntopic = \"o/{overrun}\""
        );
    }
    let path = directory.join("c.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// A server that notes who is told of.
async fn hook(port: u16, noticed: Noticed) {
    let take = |State(noticed): State<Noticed>, body: Bytes| async move {
        let now = Instant::now();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            let entity = alert["labels"]["entity"].as_str().unwrap();
            if let Some(overrun) = entity.strip_prefix("facility/o") {
                noticed.lock().unwrap().entry(overrun.parse().unwrap()).or_insert(now);
            }
        }
    };
    let router = Router::new().route("/alarm", post(take)).with_state(noticed);
    axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap(), router).await.unwrap();
}

/// A subscriber that notes the readings as they come.
async fn nothing(broker: u16, noticed: Noticed) {
    let mut options = MqttOptions::new("nothing", "127.0.0.1", broker);
    options.set_inflight(1_000);
    let (client, mut events) = AsyncClient::new(options, 100);
    client.subscribe("o/#", QoS::AtLeastOnce).await.unwrap();
    loop {
        if let Event::Incoming(Packet::Publish(message)) = events.poll().await.unwrap() {
            let overrun = message.topic.trim_start_matches("o/").parse().unwrap();
            noticed.lock().unwrap().entry(overrun).or_insert_with(Instant::now);
        }
    }
}

/// Publishes one overrun after the other; returns when each was handed over.
async fn overruns(broker: u16) -> Vec<Instant> {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("overruns", "127.0.0.1", broker), 100);
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let mut sent = Vec::new();
    for overrun in 0..OVERRUNS {
        tokio::time::sleep(EVERY).await;
        let minute = emissiond::clock::now().0 / 60_000 * 60_000;
        sent.push(Instant::now());
        let payload = format!("{{\"ts\":{minute},\"v\":101}}");
        client.publish(format!("o/{overrun}"), QoS::AtLeastOnce, false, payload).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    polling.abort();
    sent
}

fn show(name: &str, sent: &[Instant], noticed: &Noticed) {
    let noticed = noticed.lock().unwrap();
    let delay = |(overrun, sent): (usize, &Instant)| Some(noticed.get(&overrun)?.duration_since(*sent).as_secs_f64());
    let mut delays: Vec<f64> = sent.iter().enumerate().filter_map(delay).collect();
    assert_eq!(delays.len(), OVERRUNS, "{name}: some overruns were not told");
    delays.sort_by(f64::total_cmp);
    let at = |part: usize| delays[(delays.len() * part / 100).min(delays.len() - 1)] * 1e3;
    println!("{name:<32} median {:>7.1} ms, p99 {:>7.1} ms, most {:>7.1} ms", at(50), at(99), at(100));
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let (_mosquitto, broker) = broker(directory.path());
    let (http, hook_port) = (port(), port());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (told, heard) = (Noticed::default(), Noticed::default());
    runtime.spawn(hook(hook_port, Arc::clone(&told)));
    runtime.spawn(nothing(broker, Arc::clone(&heard)));
    let _daemon = daemon(&config(directory.path(), broker, http, hook_port), http);
    let load = (EVERY * OVERRUNS as u32 + Duration::from_secs(3)).as_secs_f64() * RATE;
    let publisher = publish(broker, |n| format!("b/m{}", n % METERS), load as usize, Some(RATE));
    let started = Instant::now();
    let sent = runtime.block_on(overruns(broker));
    publisher.join().unwrap();
    println!("load: {:.0} messages/s to {METERS} meters", load / started.elapsed().as_secs_f64());
    show("reading to a subscriber", &sent, &heard);
    show("reading to the webhook", &sent, &told);
}
