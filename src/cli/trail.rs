//! `emissiond adjust`, `restate` and `audit`: corrections of amounts, working closed figures out again, and the trail of
//! both. Beside a running daemon they ask it; else they open the store.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, get, lock, plan, post, runtime};
use crate::clock;
use crate::config::Plan;
use crate::daemon::{Books, Cause};
use crate::http::{Again, Correction};
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Adjust {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// The meter whose amount is corrected
    #[arg(long)]
    meter: String,
    /// From this local day, or RFC 3339 time at the edge of a quarter-hour
    #[arg(long)]
    from: String,
    /// To this one, exclusive
    #[arg(long)]
    to: String,
    /// The amount of that time, which stands instead of what was read: "12 MWh"
    #[arg(long, allow_hyphen_values = true)]
    value: String,
    /// Why; kept for the auditor
    #[arg(long)]
    reason: String,
    /// Who decides; kept for the auditor
    #[arg(long)]
    by: String,
}

#[derive(Args)]
pub(crate) struct Restate {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// From this day in UTC, or RFC 3339 time at the edge of a quarter-hour
    #[arg(long)]
    from: String,
    /// To this one, exclusive
    #[arg(long)]
    to: String,
    /// Why; kept for the auditor
    #[arg(long, default_value = "asked for on the command line")]
    reason: String,
    /// Who decides; kept for the auditor
    #[arg(long, default_value = "operator")]
    by: String,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: AuditAction,
}

#[derive(Subcommand)]
enum AuditAction {
    /// What changed closed figures on purpose, oldest first: one JSON object a line
    List(List),
}

#[derive(Args)]
struct List {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

pub(crate) fn adjust(arguments: &Adjust) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let correction = Correction {
        meter: arguments.meter.clone(),
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        value: arguments.value.clone(),
        reason: arguments.reason.clone(),
        by: arguments.by.clone(),
    };
    match lock(&plan)? {
        Some(_lock) => {
            let now = clock::now();
            let adjustment = correction.adjustment(&plan.rules, now).map_err(|e| Failure::new(FAILED, e))?;
            let mut books = Books::open(&plan.daemon.state_dir, &plan, now).map_err(|e| failure(e.into()))?;
            books.adjust(adjustment).map_err(|e| failure(e.into()))?;
            finish(&mut books).map_err(|e| failure(e.into()))
        }
        None => {
            let posted = runtime()?.block_on(post(&plan, "/api/v1/adjustments", &correction));
            posted.map_err(|e| Failure::new(FAILED, e))?;
            eprintln!("taken; what is closed follows in the background, see `emissiond audit list`");
            Ok(())
        }
    }
}

pub(crate) fn restate(arguments: &Restate) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let again = Again {
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        reason: arguments.reason.clone(),
        by: arguments.by.clone(),
    };
    let range = again.range().map_err(|e| Failure::new(FAILED, e))?;
    match lock(&plan)? {
        Some(_lock) => {
            let opened = Books::open(&plan.daemon.state_dir, &plan, clock::now());
            let mut books = opened.map_err(|e| failure(e.into()))?;
            books.restate(Cause::restate(&again), range).map_err(|e| failure(e.into()))?;
            finish(&mut books).map_err(|e| failure(e.into()))
        }
        None => {
            let posted = runtime()?.block_on(post(&plan, "/api/v1/restatements", &again));
            posted.map_err(|e| Failure::new(FAILED, e))?;
            eprintln!("taken; it is done in the background, see `emissiond audit list`");
            Ok(())
        }
    }
}

/// Works out what waits, and prints what changed.
fn finish(books: &mut Books) -> Result<(), StoreError> {
    let bar = ProgressBar::new(0).with_style(style());
    let lines = books.restate_all(|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} parts, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

pub(crate) fn audit(arguments: &Audit) -> Result<(), Failure> {
    let AuditAction::List(list) = &arguments.action;
    let plan = plan(Some(&list.config))?;
    let text = match lock(&plan)? {
        Some(_lock) => stored(&plan).map_err(|e| failure(e.into()))?,
        None => {
            let url = format!("http://{}/api/v1/audit", plan.daemon.http);
            runtime()?.block_on(get(&url)).map_err(|e| Failure::new(FAILED, e))?
        }
    };
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn stored(plan: &Plan) -> Result<String, StoreError> {
    let reader = Reader::beside(&plan.daemon.state_dir, Arc::clone(&plan.rules.topology))?;
    Ok(reader.audit()?.iter().map(|line| format!("{line}\n")).collect())
}
