//! `emissiond quarantine`: the readings that are set aside, and decisions about them. Beside a running daemon it asks it;
//! else it opens the store.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, get, lock, plan, post, runtime};
use crate::clock;
use crate::config::Plan;
use crate::daemon::Books;
use crate::http::{Decision, quarantine_json};
use crate::quantity::Quarter;
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the readings that are set aside, and what was decided
    List(List),
    /// A reading is right: a rise is used as it stands; after a fall the register starts anew from here
    Release(Decide),
    /// A reading is wrong: leave it out
    Reject(Decide),
}

#[derive(Args)]
struct List {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

#[derive(Args)]
struct Decide {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// The meter
    #[arg(long)]
    meter: String,
    /// The time of the reading, as `list` shows it
    #[arg(long)]
    time: String,
    /// Why; kept for the auditor
    #[arg(long)]
    reason: String,
    /// Who decides; kept for the auditor
    #[arg(long)]
    by: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List(list) => {
            let plan = plan(Some(&list.config))?;
            let text = match lock(&plan)? {
                Some(_lock) => list_stored(&plan).map_err(|e| failure(e.into()))?,
                None => {
                    let url = format!("http://{}/api/v1/quarantine", plan.daemon.http);
                    runtime()?.block_on(get(&url)).map_err(|e| Failure::new(FAILED, e))?
                }
            };
            Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
        }
        Action::Release(decide) => decide_about(decide, "release"),
        Action::Reject(decide) => decide_about(decide, "reject"),
    }
}

fn list_stored(plan: &Plan) -> Result<String, StoreError> {
    let state = &plan.daemon.state_dir;
    let books = Books::open(state, plan, clock::now())?;
    let reader = Reader::open(state, Arc::clone(books.ledger.names()), Arc::clone(&plan.rules.topology))?;
    let mut list = reader.set_aside((Quarter(i32::MIN), Quarter(i32::MAX)))?;
    list.extend(books.pipeline.set_aside());
    Ok(quarantine_json(&plan.rules, &list, &reader.judgements()?))
}

fn decide_about(decide: &Decide, verdict: &str) -> Result<(), Failure> {
    let plan = plan(Some(&decide.config))?;
    let decision = Decision {
        meter: decide.meter.clone(),
        time: decide.time.clone(),
        verdict: verdict.to_owned(),
        by: decide.by.clone(),
        reason: decide.reason.clone(),
    };
    let decided = match lock(&plan)? {
        Some(_lock) => decide_stored(&plan, decision).map_err(|e| failure(e.into()))?,
        None => runtime()?.block_on(post(&plan, "/api/v1/quarantine", &decision)),
    };
    decided.map_err(|message| Failure::new(FAILED, message))?;
    eprintln!("{verdict}: {} at {}; what follows from it is restated", decide.meter, decide.time);
    Ok(())
}

fn decide_stored(plan: &Plan, decision: Decision) -> Result<Result<(), String>, StoreError> {
    match decision.judgement(clock::now()) {
        Ok(judgement) => Ok(Books::open(&plan.daemon.state_dir, plan, clock::now())?
            .judge(judgement)?
            .map_err(|undecided| undecided.text().to_owned())),
        Err(message) => Ok(Err(message)),
    }
}
