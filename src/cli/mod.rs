//! The command line: one file a command.

mod alarms;
mod backfill;
mod backup;
mod check;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod explain;
mod export;
mod factors;
mod formats;
mod generate;
mod impact;
mod logs;
mod meters;
mod notify;
mod quarantine;
mod reconcile;
mod refused;
mod replay;
mod report;
mod rules;
mod run;
mod simulate;
mod status;
mod tap;
mod trail;
mod unmapped;

pub(crate) use logs::logs;
pub use replay::read_message;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Plan, load};
use crate::store::{Lock, StoreError, finished};

/// Failed while running.
pub(crate) const FAILED: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 64;
/// Another process holds the lock or the port.
pub(crate) const UNAVAILABLE: u8 = 69;
/// The configuration was wrong.
pub(crate) const CONFIGURATION: u8 = 78;

/// Real-time scope 1 and scope 2 emissions of an industrial cluster.
#[derive(Parser)]
#[command(name = "emissiond", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show it all on simulated meters: broker, daemon, store; leaves nothing behind
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// Run the daemon
    Run(run::Arguments),
    /// Validate a configuration: all problems at once, with file, line and column
    Check(check::Arguments),
    /// Messages in, final ledger out, offline: no broker, no clock
    Replay(replay::Arguments),
    /// Write entries to standard output, beside a running daemon or without one
    Export(export::Arguments),
    /// A period of a cluster as one page, to be read, printed and kept
    Report(report::Arguments),
    /// Why a meter is booked as it is: payload, usage, factor, masses
    Explain(explain::Arguments),
    /// Compare the database with the ledger and repair what differs
    Reconcile(reconcile::Arguments),
    /// List what was received and not booked
    Refused(refused::Arguments),
    /// Readings that are set aside: list them, release them, reject them
    Quarantine(quarantine::Arguments),
    /// Book history of any age from a file of messages
    Backfill(backfill::Arguments),
    /// Copy the store into a directory, while the daemon runs
    Backup(backup::Backup),
    /// Put a copy of the store in its place
    Restore(backup::Restore),
    /// Correct the amount of a meter in a time, of any age
    Adjust(trail::Adjust),
    /// Work closed figures out again, and print what changed
    Restate(trail::Restate),
    /// What changed closed figures on purpose: when, why, by whom, before and after
    Audit(trail::Audit),
    /// Look at all that the daemon hangs on: broker, database, clock, disk, rights, service
    Doctor(doctor::Arguments),
    /// Ask the running daemon how it is
    Status(status::Arguments),
    /// Publish what meters would: synthetic readings, or the rows of a CSV file
    Simulate(simulate::Arguments),
    /// Show what messages become as they come: reading, usage, kg, or why not
    Tap(tap::Arguments),
    /// Lists of meters in and out: import, export, list
    Meters(meters::Arguments),
    /// The shape of a configuration, and what a configuration says
    Config(config::Arguments),
    /// List the topics that no meter of the running daemon listens to
    Unmapped(unmapped::Arguments),
    /// List the payload formats and presets that meters may have
    Formats(formats::Arguments),
    /// Alarms: list them, show one, say that you have seen it
    Alarms(alarms::Arguments),
    /// Rules that raise alarms: list them, test them
    Rules(rules::Arguments),
    /// Notifiers: send a test, show what is sent
    Notify(notify::Arguments),
    /// Look at the emission factors
    Factors(factors::Arguments),
    /// Write manual pages, completions of shells, and the reference
    #[command(hide = true)]
    Generate(generate::Arguments),
}

/// A command's failure: what to say, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl std::fmt::Display) -> Failure {
        Failure { code, message: message.to_string() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        // A reader that goes away is no failure.
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { 0 } else { FAILED };
        Failure::new(code, error)
    }
}

/// Runs the command that the arguments name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Reconcile(arguments) => reconcile::run(&arguments),
        Command::Refused(arguments) => refused::run(&arguments),
        Command::Quarantine(arguments) => quarantine::run(&arguments),
        Command::Backfill(arguments) => backfill::run(&arguments),
        Command::Backup(arguments) => backup::back_up_to(&arguments),
        Command::Restore(arguments) => backup::restore_from(&arguments),
        Command::Adjust(arguments) => trail::adjust(&arguments),
        Command::Restate(arguments) => trail::restate(&arguments),
        Command::Audit(arguments) => trail::audit(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Tap(arguments) => tap::run(&arguments),
        Command::Unmapped(arguments) => unmapped::run(&arguments),
        Command::Meters(arguments) => meters::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Formats(arguments) => formats::run(&arguments),
        Command::Alarms(arguments) => alarms::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Notify(arguments) => notify::run(&arguments),
        Command::Factors(arguments) => factors::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.code == 0 => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.message.trim_end());
            ExitCode::from(failure.code)
        }
    }
}

/// The plan of a file; its problems go to standard error.
pub(crate) fn plan(file: Option<&PathBuf>) -> Result<Plan, Failure> {
    let (plan, report) = load(file.map(PathBuf::as_path));
    match plan {
        Some(plan) => {
            eprint!("{}", report.to_text());
            Ok(plan)
        }
        None => Err(Failure::new(CONFIGURATION, report.to_text())),
    }
}

/// Where the package puts the configuration.
pub(crate) const FILE: &str = "/etc/emissiond/emissiond.toml";

/// The configuration that is named, or else that of the package, where there is one.
pub(crate) fn file_or_default(named: Option<&PathBuf>) -> Option<PathBuf> {
    named.cloned().or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.exists()))
}

/// Where the daemon of a configuration listens; the file may be faulty by now, and the daemon run none the less.
pub(crate) fn address(file: Option<&PathBuf>) -> Result<std::net::SocketAddr, Failure> {
    let address = crate::config::address(file.map(PathBuf::as_path));
    address.ok_or_else(|| Failure::new(CONFIGURATION, "`daemon.http` is no address; write \"127.0.0.1:8077\""))
}

/// Where the daemon of a configuration keeps its state; the file may be faulty by now.
pub(crate) fn state_dir(file: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let state = crate::config::state_dir(file.map(PathBuf::as_path));
    state.ok_or_else(|| {
        Failure::new(
            CONFIGURATION,
            "`daemon.state_dir` cannot be read: `emissiond check` says what is wrong with the file",
        )
    })
}

/// The lock of a state directory that has a ledger. `None`: a daemon runs, and is asked instead.
pub(crate) fn lock(plan: &Plan) -> Result<Option<Lock>, Failure> {
    finished(&plan.daemon.state_dir).map_err(|error| run::failure(error.into()))?;
    let ledger = plan.daemon.state_dir.join("ledger.db");
    if let Err(error) = std::fs::metadata(&ledger) {
        let message = match error.kind() {
            ErrorKind::NotFound => format!("there is no ledger at {}; see `daemon.state_dir`", ledger.display()),
            _ => format!("{}: {error}", ledger.display()),
        };
        return Err(Failure::new(FAILED, message));
    }
    lock_or_create(plan)
}

/// The same, also of one that holds nothing yet.
pub(crate) fn lock_or_create(plan: &Plan) -> Result<Option<Lock>, Failure> {
    match Lock::take(&plan.daemon.state_dir) {
        Ok(lock) => Ok(Some(lock)),
        Err(StoreError::Locked(_)) => Ok(None),
        Err(error) => Err(run::failure(error.into())),
    }
}

/// Two workers are enough: the desk has a thread of its own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Two versions of TLS are linked, so the one provider is named.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Fetches a page of a daemon on this machine.
pub(crate) async fn get(url: &str) -> Result<String, String> {
    send(client()?.get(url)).await
}

/// Fetches a page with a query.
pub(crate) async fn get_with(url: &str, query: &impl serde::Serialize) -> Result<String, String> {
    send(client()?.get(url).query(query)).await
}

/// Asks the daemon of a plan to change something.
pub(crate) async fn post(plan: &Plan, path: &str, body: &impl serde::Serialize) -> Result<(), String> {
    let mut request = client()?.post(format!("http://{}{path}", plan.daemon.http)).json(body);
    if let Some(file) = &plan.daemon.token_file {
        let token = crate::secret::token("the HTTP token file", file).map_err(|e| e.to_string())?;
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(|e| e.to_string())?;
    if response.status() == reqwest::StatusCode::UNAUTHORIZED {
        let help = "`systemctl reload emissiond` reads a file again, `systemctl restart emissiond` hands over a credential anew";
        return Err(format!("the daemon has another token than `daemon.token_file`: {help}"));
    }
    read(response).await.map(drop)
}

fn client() -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(30)).build();
    client.map_err(|e| e.to_string())
}

async fn send(request: reqwest::RequestBuilder) -> Result<String, String> {
    read(request.send().await.map_err(|e| e.to_string())?).await
}

async fn read(response: reqwest::Response) -> Result<String, String> {
    let status = response.status();
    let text = response.text().await.map_err(|e| e.to_string())?;
    if status.is_success() { Ok(text) } else { Err(text.trim_end().to_owned()) }
}
