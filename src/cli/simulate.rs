//! `emissiond simulate`: publish what meters would, synthetic or from a CSV file.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep_until};

use crate::cli::{FAILED, Failure, USAGE, plan, runtime};
use crate::clock;
use crate::cluster::Topology;
use crate::decode::Mapping;
use crate::mqtt::Server;
use crate::quantity::{Span, Time, Zone};
use crate::simulate::{Column, Fleet, Outgoing, Publisher, Stamps, read_rows};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration whose meters are simulated, and whose broker is used
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// The broker; instead of the configuration's
    #[arg(long)]
    broker: Option<String>,
    /// The most messages a second; a broker with default limits drops what its subscribers cannot take
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Stop after this long, such as 30s; without it synthetic meters run until interrupted
    #[arg(long = "for")]
    duration: Option<String>,
    /// Synthetic meters report at least this often, such as 1s
    #[arg(long)]
    every: Option<String>,
    /// Play the rows of this file instead; lines that begin with # are remarks
    #[arg(long, requires_all = ["time_column", "column"])]
    csv: Option<PathBuf>,
    /// The column that holds the time; several are joined with a blank
    #[arg(long)]
    time_column: Vec<String>,
    /// How the time is written, in strftime letters
    #[arg(long, default_value = "%Y-%m-%d %H:%M:%S")]
    time_format: String,
    /// The time zone of the file
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// A time of 00:00 closes the day it is dated with
    #[arg(long)]
    midnight_closes_day: bool,
    /// COLUMN=topic:/key, or COLUMN=topic for a plain number; may be repeated
    #[arg(long)]
    column: Vec<String>,
    /// The JSON key that the time goes to, in milliseconds since 1970
    #[arg(long, default_value = "ts")]
    time_key: String,
    /// Play a CSV file this many times faster than it was measured; without it, as fast as --rate allows
    #[arg(long)]
    speed: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = match &arguments.config {
        Some(file) => Some(plan(Some(file))?),
        None => None,
    };
    let server = match (&arguments.broker, &plan) {
        (Some(url), _) => Server::parse(url)
            .ok_or_else(|| Failure::new(USAGE, format!("`{url}` is no broker; write mqtt://host:1883")))?,
        (None, Some(plan)) => plan.mqtt.server.clone(),
        (None, None) => {
            return Err(Failure::new(USAGE, "give a broker with --broker, or a configuration with --config"));
        }
    };
    let above_nought = |number: f64| number.is_finite() && number > 0.0;
    if !above_nought(arguments.rate) || arguments.speed.is_some_and(|speed| !above_nought(speed)) {
        return Err(Failure::new(USAGE, "--rate and --speed must be above nought"));
    }
    let failed = |e: &dyn std::fmt::Display| Failure::new(FAILED, format!("simulate: {e}"));
    match (&arguments.csv, plan) {
        (Some(path), _) => {
            let columns = arguments.column.iter().map(|c| Column::parse(c)).collect::<Result<Vec<_>, _>>();
            let columns = columns.map_err(|e| Failure::new(USAGE, e))?;
            let shown = path.display().to_string();
            let file = File::open(path).map_err(|e| failed(&format!("{shown}: {e}")))?;
            let rows = read_rows(&shown, file, &stamps(arguments)?, &columns).map_err(|e| failed(&e))?;
            runtime()?.block_on(play(&server, rows, arguments))
        }
        (None, Some(plan)) => {
            let limit = arguments.duration.as_ref().map(|text| span(text)).transpose()?;
            let every = arguments.every.as_ref().map(|text| span(text)).transpose()?;
            runtime()?.block_on(async {
                let mut publisher = Publisher::connect(&server, arguments.rate).await.map_err(|e| failed(&e))?;
                let run = synthesise(&plan.rules.topology, &plan.mappings, &mut publisher, every, limit);
                tokio::select! {
                    result = run => result?,
                    _ = tokio::signal::ctrl_c() => {}
                }
                let sent = publisher.finish().await.map_err(|e| failed(&e))?;
                eprintln!("{sent} messages published");
                Ok(())
            })
        }
        (None, None) => Err(Failure::new(USAGE, "synthetic meters need --config; a file needs --csv")),
    }
}

fn span(text: &str) -> Result<Span, Failure> {
    Span::parse(text).ok_or_else(|| Failure::new(USAGE, format!("`{text}` is no duration; write 30s, 5m or 1h")))
}

fn stamps(arguments: &Arguments) -> Result<Stamps, Failure> {
    let zone = Zone::parse(&arguments.zone);
    let zone =
        zone.ok_or_else(|| Failure::new(USAGE, format!("`{}` is no time zone; write Europe/Paris", arguments.zone)))?;
    Ok(Stamps {
        columns: arguments.time_column.clone(),
        form: arguments.time_format.clone(),
        zone,
        midnight_closes: arguments.midnight_closes_day,
        key: arguments.time_key.trim_start_matches('/').to_owned(),
    })
}

async fn play(server: &Server, rows: Vec<Outgoing>, arguments: &Arguments) -> Result<(), Failure> {
    let failed = |e: crate::simulate::PublishError| Failure::new(FAILED, format!("simulate: {e}"));
    let mut publisher = Publisher::connect(server, arguments.rate).await.map_err(failed)?;
    let bar = ProgressBar::new(rows.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    let started = Instant::now();
    let first = rows.first().map_or(0, |row| row.due_ms);
    for row in &rows {
        if let Some(speed) = arguments.speed {
            let after = (row.due_ms - first).max(0) as f64 / 1_000.0 / speed;
            sleep_until(started + Duration::from_secs_f64(after)).await;
        }
        publisher.publish(row).await.map_err(failed)?;
        bar.inc(1);
    }
    let sent = publisher.finish().await.map_err(failed)?;
    bar.finish_and_clear();
    eprintln!("{sent} messages published");
    Ok(())
}

/// Publishes what synthetic meters send, for as long as told.
pub(crate) async fn synthesise(
    topology: &Topology,
    mappings: &[Mapping],
    publisher: &mut Publisher,
    every: Option<Span>,
    limit: Option<Span>,
) -> Result<(), Failure> {
    let started = clock::now();
    let mut fleet = Fleet::new(topology, mappings, started, every.map(|span| span.0));
    loop {
        let now = clock::now();
        if limit.is_some_and(|limit| now.since(started) >= limit) {
            return Ok(());
        }
        for message in fleet.due(now) {
            publisher.publish(&message).await.map_err(|e| Failure::new(FAILED, format!("simulate: {e}")))?;
        }
        let wait = Time(fleet.next_due()).since(clock::now()).0.clamp(1, 1_000);
        tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
    }
}
