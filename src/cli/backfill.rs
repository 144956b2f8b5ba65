//! `emissiond backfill`: history of any age into the store, from a file of messages. The daemon must not run: what comes in
//! meanwhile waits at the broker.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::replay::each_message;
use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, UNAVAILABLE, lock_or_create, plan};
use crate::clock;
use crate::daemon::{Backfilled, Books};
use crate::decode::Message;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// JSON lines: {"received":"2026-01-01T00:00:05Z","topic":"a/b","payload":"..."}
    #[arg(long, short)]
    messages: PathBuf,
    /// Why; kept for the auditor
    #[arg(long, default_value = "history")]
    reason: String,
    /// Who decides; kept for the auditor
    #[arg(long, default_value = "operator")]
    by: String,
}

/// So many are booked at once; the past of all meters is never in memory together.
const PART: usize = 20_000;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let Some(_lock) = lock_or_create(&plan)? else {
        let message =
            "the daemon runs on this state directory: stop it first; the broker keeps what comes in meanwhile";
        return Err(Failure::new(UNAVAILABLE, message));
    };
    let length = std::fs::metadata(&arguments.messages).map_or(0, |file| file.len());
    let bar = ProgressBar::new(length).with_style(style());
    let mut books = Books::open(&plan.daemon.state_dir, &plan, clock::now()).map_err(|error| failure(error.into()))?;
    let (mut part, mut all, mut broken) = (Vec::with_capacity(PART), Backfilled::default(), None);
    let mut book = |part: &mut Vec<Message>, all: &mut Backfilled| {
        let bytes: usize = part.iter().map(|message| message.payload.len() + message.topic.len()).sum();
        let booked = books.backfill(part);
        part.clear();
        bar.inc(bytes as u64);
        booked.map(|booked| all.add(booked)).err()
    };
    each_message(&arguments.messages, plan.mqtt.max_packet, |message| {
        part.push(message);
        if part.len() == PART && broken.is_none() {
            broken = book(&mut part, &mut all);
        }
    })?;
    let broken = broken.or_else(|| book(&mut part, &mut all));
    bar.finish_and_clear();
    if let Some(error) = broken {
        return Err(failure(error.into()));
    }
    let trail = books.trail_backfill(&all, &arguments.by, &arguments.reason);
    println!("{}", trail.map_err(|error| failure(error.into()))?);
    if all.is_whole() { Ok(()) } else { Err(Failure::new(FAILED, all.left_out())) }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
