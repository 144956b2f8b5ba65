//! Readings a second through the pipeline, decoding included, on one core: at 1,000, 10,000 and 100,000 meters that
//! report every ten seconds, with every quarter closed, worked out and sealed on the way. Once with bought electricity alone,
//! and once with what the catalogue and the relations between meters offer.
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

/// What a meter is booked as: unit, and the lines about it.
const PLAIN: &[(&str, &str)] = &[("kWh", "category = \"purchased-electricity\"")];

#[rustfmt::skip]
const FULL: &[(&str, &str)] = &[
    ("kWh", "category = \"purchased-electricity\""),
    ("Nm3", "category = \"stationary-combustion\"\nfactor = \"epa98_natural_gas\"\nbasis = \"HHV\"\nheat_content = { \"2026-01-01\" = \"39.5 MJ/Nm3\", \"2026-02-01\" = \"39.6 MJ/Nm3\" }"),
    ("m3", "category = \"stationary-combustion\"\nfactor = \"epa98_natural_gas\"\nbasis = \"HHV\"\nheat_content = \"39.5 MJ/Nm3\"\ntemperature = \"15 degC\"\npressure = \"4 bar\""),
    ("kg", "category = \"stationary-combustion\"\ncarbon = \"68 %\"\nbiomass_share = \"4 %\"\nuncertainty_pct = 1.5"),
    ("L", "category = \"mobile-combustion\"\nfactor = \"ipcc06_diesel\"\nbasis = \"LHV\"\nheat_content = \"43 GJ/t\"\ndensity = \"0.84 kg/L\""),
    ("t", "category = \"process\"\nfactor = \"ipcc06_clinker\"\nproduct = \"clinker\""),
    ("kg", "category = \"fugitive\"\ngas = \"R-410A\""),
    ("GJ", "category = \"purchased-steam\"\nfactor = \"epahub_steam\""),
    ("kg", "category = \"cems-co2\"\nbiomass_share = \"40 %\""),
    ("kWh", "category = \"generation\"\ncertificates = \"sold\""),
];

fn config(meters: usize, booked: &[(&str, &str)]) -> String {
    let mut text = "[clusters.c]\ntimezone = \"Europe/Paris\"\ngrid = \"eea_fr\"\n".to_owned();
    for facility in 0..meters.div_ceil(40) {
        let _ = writeln!(text, "[facilities.f{facility}]\ncluster = \"c\"");
    }
    for meter in 0..meters {
        let (unit, lines) = booked[meter % booked.len()];
        let _ = writeln!(
            text,
            "[meters.m{meter}]\nfacility = \"f{}\"\ntopic = \"c/f/m{meter}\"\nformat = \"json\"\nvalue = \"/v\"\n\
             time = \"/ts\"\ntime_format = \"ms\"\nkind = \"register\"\nunit = \"{unit}\"\nexpected_every = \"10s\"\n{lines}",
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

fn run(meters: usize, booked: &[(&str, &str)]) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::fs::write(&path, config(meters, booked)).unwrap();
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
    println!("{:>8}        {:>12} {:>12} {:>6}", "", "electricity", "everything", "ratio");
    for meters in [1_000, 10_000, 100_000] {
        let median = |booked| {
            let mut rates = [run(meters, booked), run(meters, booked), run(meters, booked)];
            rates.sort_by(f64::total_cmp);
            rates[1]
        };
        let (plain, full) = (median(PLAIN), median(FULL));
        println!("{meters:>8} meters {plain:>12.0} {full:>12.0} {:>6.2}", plain / full);
    }
}
