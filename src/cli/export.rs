//! `emissiond export`: entries to standard output. Beside a running daemon it asks it; else it opens the store.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, USAGE, get_with, lock, plan, runtime};
use crate::clock;
use crate::config::Plan;
use crate::daemon::{Books, open_view};
use crate::http::{Asked, EntriesQuery, collect};
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// meter, facility, cluster or network
    #[arg(long, default_value = "facility")]
    level: String,
    /// Only this one
    #[arg(long)]
    entity: Option<String>,
    /// 1m, 15m, 1h, 1d, 1mo or 1y
    #[arg(long, default_value = "1h")]
    window: String,
    /// Windows that begin at or after this RFC 3339 time
    #[arg(long)]
    from: Option<String>,
    /// Windows that begin before this RFC 3339 time
    #[arg(long)]
    to: Option<String>,
    /// JSON lines, CSV, or InfluxDB line protocol
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Line,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let (text, damage) = entries(&plan, &query(arguments))?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    if damage.is_empty() {
        return Ok(());
    }
    let head = "the store was damaged; what the journal reaches is rebuilt, what it does not is missing above:";
    Err(Failure::new(FAILED, format!("{head}\n  {}", damage.join("\n  "))))
}

/// Entries as text, from the running daemon or the store; and what of the store was damaged.
pub(crate) fn entries(plan: &Plan, query: &EntriesQuery) -> Result<(String, Vec<String>), Failure> {
    let asked = Asked::parse(query, &plan.rules).map_err(|e| Failure::new(USAGE, e))?;
    match lock(plan)? {
        Some(_lock) => from_store(plan, &asked).map_err(|e| failure(e.into())),
        None => Ok((runtime()?.block_on(from_daemon(plan, query))?, Vec::new())),
    }
}

fn query(arguments: &Arguments) -> EntriesQuery {
    let format = match arguments.format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
        Format::Line => "line",
    };
    EntriesQuery {
        level: Some(arguments.level.clone()),
        entity: arguments.entity.clone(),
        window: Some(arguments.window.clone()),
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        format: Some(format.to_owned()),
        ..EntriesQuery::default()
    }
}

fn from_store(plan: &Plan, asked: &Asked) -> Result<(String, Vec<String>), StoreError> {
    let state = &plan.daemon.state_dir;
    let mut books = Books::open(state, plan, clock::now())?;
    books.restate_all(|_, _| {})?;
    let open = open_view(&books.pipeline, &asked.entities, asked.window);
    let topology = Arc::clone(&plan.rules.topology);
    let reader = Reader::open(state, Arc::clone(books.ledger.names()), topology)?;
    let entries = collect(&plan.rules, &reader, asked, &open)?;
    Ok((asked.write(&entries, &plan.rules.topology), books.damage))
}

async fn from_daemon(plan: &Plan, query: &EntriesQuery) -> Result<String, Failure> {
    let text = get_with(&format!("http://{}/api/v1/entries", plan.daemon.http), query).await;
    text.map_err(|e| {
        Failure::new(
            FAILED,
            format!("the state directory is in use, and no emissiond answers at {}: {e}", plan.daemon.http),
        )
    })
}
