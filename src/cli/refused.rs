//! `emissiond refused`: what was received and not booked, the latest first. Beside a running daemon it asks it; else it
//! opens the store.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, USAGE, get_with, lock, plan, runtime};
use crate::config::Plan;
use crate::http::{is_reason, refused_json};
use crate::store::{Ledger, Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// Only this reason, such as late, conflict or clock-ahead
    #[arg(long)]
    reason: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    if let Some(reason) = &arguments.reason {
        is_reason(reason).map_err(|message| Failure::new(USAGE, message))?;
    }
    let text = match lock(&plan)? {
        Some(_lock) => from_store(&plan, arguments).map_err(|e| failure(e.into()))?,
        None => runtime()?.block_on(from_daemon(&plan, arguments))?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn from_store(plan: &Plan, arguments: &Arguments) -> Result<String, StoreError> {
    let (state, topology) = (&plan.daemon.state_dir, &plan.rules.topology);
    let ledger = Ledger::open(state, Arc::clone(topology))?;
    let reader = Reader::open(state, Arc::clone(ledger.names()), Arc::clone(topology))?;
    Ok(refused_json(&reader.refused(arguments.reason.as_deref(), arguments.limit)?))
}

async fn from_daemon(plan: &Plan, arguments: &Arguments) -> Result<String, Failure> {
    let base = format!("http://{}/api/v1/refused", plan.daemon.http);
    let query = [("limit", Some(arguments.limit.to_string())), ("reason", arguments.reason.clone())];
    get_with(&base, &query).await.map_err(|e| Failure::new(FAILED, e))
}
