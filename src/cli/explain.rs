//! `emissiond explain`: why a meter is booked as it is at a time, from the payload to the milligram.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, UNAVAILABLE, get_with, lock, plan, runtime};
use crate::clock;
use crate::config::Plan;
use crate::daemon::{Books, Explainer};
use crate::http::Unstored;
use crate::quantity::{Quarter, Time};
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// The meter
    #[arg(long)]
    meter: String,
    /// A time in the quarter-hour to explain, RFC 3339; without it, now
    #[arg(long)]
    at: Option<String>,
    /// For people, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let wrong = |message: String| Failure::new(FAILED, message);
    let meter = plan.rules.topology.find_meter(&arguments.meter);
    let meter = meter.ok_or_else(|| wrong(format!("no meter has the id `{}`", arguments.meter)))?;
    let no_time = |text: &String| wrong(format!("`--at` is no time: `{text}`; write 2026-01-31T12:00:00Z"));
    let at = arguments.at.as_ref().map(|text| Time::parse_rfc3339(text).ok_or_else(|| no_time(text))).transpose()?;
    let at = at.unwrap_or_else(clock::now);
    let as_json = arguments.format == Format::Json;
    let Some(reader) = reader(&plan, at.quarter())? else {
        return asked(&plan, arguments, at);
    };
    let text = Explainer::new(&plan).explain(&reader, (meter, at.quarter()), (Unstored::default(), as_json));
    let text = text.map_err(|e| failure(e.into()))?;
    match text {
        Some(text) => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
        None => {
            let message = format!(
                "nothing is booked for `{}` in the quarter-hour from {}; `emissiond refused` and `emissiond quarantine list` show what was not",
                arguments.meter,
                at.quarter().start()
            );
            Err(wrong(message))
        }
    }
}

/// The daemon that runs has what is open.
fn asked(plan: &Plan, arguments: &Arguments, at: Time) -> Result<(), Failure> {
    let format = if arguments.format == Format::Json { "json" } else { "text" };
    let query = [("meter", arguments.meter.as_str()), ("at", &at.to_string()), ("format", format)];
    let url = format!("http://{}/api/v1/explain", plan.daemon.http);
    let text = runtime()?.block_on(async {
        if tokio::net::TcpStream::connect(plan.daemon.http).await.is_err() {
            let message = "the quarter-hour is open, and another command holds the state: try again when it is done";
            return Err(Failure::new(UNAVAILABLE, message));
        }
        get_with(&url, &query).await.map_err(|e| Failure::new(FAILED, e))
    })?;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// A reader of books in which the quarter is closed. `None`: it is open, and a daemon runs.
fn reader(plan: &Plan, quarter: Quarter) -> Result<Option<Reader>, Failure> {
    let state = &plan.daemon.state_dir;
    let lock = lock(plan)?;
    let open = || Reader::beside(state, Arc::clone(&plan.rules.topology)).map_err(|e| failure(e.into()));
    let reader = open()?;
    let closed = |reader: &Reader| reader.open_from().map_err(|e| failure(e.into()));
    if quarter < closed(&reader)? {
        return Ok(Some(reader));
    }
    if lock.is_none() {
        return Ok(None);
    }
    // Nobody else is there to close what is over.
    let now = clock::now();
    let close = || -> Result<(), StoreError> {
        let mut books = Books::open(state, plan, now)?;
        books.tick(now)?;
        books.seal()
    };
    close().map_err(|e| failure(e.into()))?;
    let reader = open()?;
    if quarter < closed(&reader)? {
        return Ok(Some(reader));
    }
    let closes = quarter.end().plus(plan.rules.close_after);
    let message = format!(
        "the quarter-hour from {} is open: its figures are settled after {closes}; a daemon that runs explains it now",
        quarter.start()
    );
    Err(Failure::new(FAILED, message))
}
