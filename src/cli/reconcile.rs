//! `emissiond reconcile`: the database against the ledger, beside a running daemon or without one.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::run::failure;
use crate::cli::{CONFIGURATION, FAILED, Failure, USAGE, plan, runtime};
use crate::clock;
use crate::influx::{Reconciler, Stand};
use crate::quantity::Time;
use crate::store::{Lost, Reader};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// Windows that begin at or after this RFC 3339 time
    #[arg(long)]
    from: String,
    /// Windows that begin before this RFC 3339 time
    #[arg(long)]
    to: String,
    /// Write the ledger's figures over what the database knows better, such as what an old copy of the state directory lost
    #[arg(long)]
    overwrite: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let range = (time("--from", &arguments.from)?, time("--to", &arguments.to)?);
    let Some(options) = plan.influx.clone() else {
        return Err(Failure::new(CONFIGURATION, "there is no [influxdb] section, so there is nothing to compare with"));
    };
    let reader = Reader::beside(&plan.daemon.state_dir, Arc::clone(&plan.rules.topology));
    let reader = reader.map_err(|e| failure(e.into()))?;
    let state = &plan.daemon.state_dir;
    let lost = Lost::read(state).map_err(|e| failure(e.into()))?;
    let stand = if arguments.overwrite { Stand::Nothing } else { Stand::Better(lost.clone()) };
    let reconciler = Reconciler::new(options, Arc::clone(&plan.rules), reader, stand, clock::now)?;
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let report = runtime()?.block_on(reconciler.run(range, progress)).map_err(|e| Failure::new(FAILED, e))?;
    bar.finish_and_clear();
    if arguments.overwrite {
        let left: Vec<Lost> = lost.into_iter().filter(|time| !reconciler.covers(range, *time)).collect();
        for Lost { from, to } in &left {
            eprintln!(
                "not all windows that closed between {from} and {to} begin in this range: what the database has of that time \
                 goes on to stand"
            );
        }
        // Of the times that are no longer on record, the daemon writes what it knows from now on.
        Lost::keep(state, &left).map_err(|e| failure(e.into()))?;
    }
    let line = serde_json::json!({
        "points": report.points, "missing": report.missing, "different": report.different, "newer": report.newer,
        "strays": report.strays,
    });
    println!("{line}");
    if report.newer > 0 {
        let message = "the database knows some windows better than the ledger: the state directory is older than what it has \
                       written, or was damaged; nothing of these is changed, unless you say --overwrite";
        return Err(Failure::new(FAILED, message));
    }
    Ok(())
}

fn time(name: &str, text: &str) -> Result<Time, Failure> {
    let message = || Failure::new(USAGE, format!("{name} is `{text}`; write it like 2026-01-31T00:00:00Z"));
    Time::parse_rfc3339(text).ok_or_else(message)
}
