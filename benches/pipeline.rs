//! Readings a second through the pipeline, decoding included, on one core: at 1,000, 10,000 and 100,000 meters that
//! report every ten seconds, with every quarter closed, worked out and sealed on the way.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and stops where it cannot go on"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emissiond::config::check;
use emissiond::decode::Message;
use emissiond::pipeline::{Effect, Event, Pipeline, Supply, Want};
use emissiond::quantity::{Quarter, Time};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CADENCE_MS: i64 = 10_000;
const READINGS: usize = 4_000_000;

fn config(meters: usize) -> String {
    let mut text = "[clusters.c]\ntimezone = \"Europe/Paris\"\ngrid = \"eea_fr\"\n".to_owned();
    for facility in 0..meters.div_ceil(40) {
        let _ = writeln!(text, "[facilities.f{facility}]\ncluster = \"c\"");
    }
    for meter in 0..meters {
        let _ = writeln!(
            text,
            "[meters.m{meter}]\nfacility = \"f{}\"\ntopic = \"c/f/m{meter}\"\nformat = \"json\"\nvalue = \"/v\"\n\
             time = \"/ts\"\ntime_format = \"ms\"\nkind = \"register\"\nunit = \"kWh\"\nexpected_every = \"10s\"\n\
             category = \"purchased-electricity\"",
            meter / 40
        );
    }
    text
}

/// Works everything out; what is asked of a store was never stored.
fn refresh(pipeline: &mut Pipeline) {
    loop {
        let wants = pipeline.refresh();
        if wants.is_empty() {
            return;
        }
        for want in wants {
            pipeline.supply(match want {
                Want::Rows(meter, _) => {
                    Supply::Rows { meter, from: Quarter(i32::MIN), rows: Vec::new(), context: None }
                }
                Want::Siblings(facility, quarter) => Supply::Siblings { facility, quarter, activities: Vec::new() },
                Want::Entries(range) => Supply::Entries(range, Vec::new()),
            });
        }
    }
}

fn run(meters: usize) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::fs::write(&path, config(meters)).unwrap();
    let plan = check(Some(&path)).map_err(|report| report.to_text()).unwrap();
    let mut pipeline = Pipeline::offline(Arc::clone(&plan.rules));
    let start = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap().0;
    let rounds = (READINGS / meters).clamp(10, 400);
    let mut spent = Duration::ZERO;
    let mut effects = Vec::new();
    for round in 0..rounds as i64 {
        let time = start + round * CADENCE_MS;
        let message = |meter: usize| Message {
            received: Time(time + 50),
            topic: format!("c/f/m{meter}"),
            payload: format!("{{\"ts\":{time},\"v\":{}.{:03},\"q\":\"good\"}}", 1_000 + round, meter % 1_000)
                .into_bytes()
                .into(),
            retain: false,
            dup: false,
            oversize: false,
        };
        let messages: Vec<Message> = (0..meters).map(message).collect();
        let started = Instant::now();
        for message in &messages {
            let decoded = pipeline.decode(message);
            pipeline.apply(Event::Message { received: message.received, decoded, counted: true }, &mut effects);
            effects.clear();
        }
        pipeline.apply(Event::Tick(Time(time + 60)), &mut effects);
        if effects.contains(&Effect::QuarterClosed) {
            refresh(&mut pipeline);
            std::hint::black_box(pipeline.seal());
            pipeline.sealed();
        }
        effects.clear();
        spent += started.elapsed();
    }
    let readings = meters * rounds;
    assert_eq!(pipeline.counters().readings.accepted, readings as u64);
    readings as f64 / spent.as_secs_f64()
}

fn main() {
    println!("pipeline with decoding, one core, readings a second (median of 3)");
    for meters in [1_000, 10_000, 100_000] {
        let mut rates = [run(meters), run(meters), run(meters)];
        rates.sort_by(f64::total_cmp);
        println!("{meters:>8} meters {:>12.0}", rates[1]);
    }
}
