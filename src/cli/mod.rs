//! The command line: one file a command.

mod check;
mod factors;
mod replay;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Plan, load};

/// Failed while running.
pub(crate) const FAILED: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 64;
/// Another process holds the lock or the port.
#[allow(dead_code)]
pub(crate) const UNAVAILABLE: u8 = 69;
/// The configuration was wrong.
pub(crate) const CONFIGURATION: u8 = 78;

/// Real-time scope 1 and scope 2 emissions of an industrial cluster.
#[derive(Parser)]
#[command(name = "emissiond", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Validate a configuration: all problems at once, with file, line and column
    Check(check::Arguments),
    /// Messages in, final ledger out, offline: no broker, no clock
    Replay(replay::Arguments),
    /// Look at the emission factors
    Factors(factors::Arguments),
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
        Failure::new(FAILED, error)
    }
}

/// Runs the command that the arguments name. A reader that goes away (`| head`) is no failure.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Factors(arguments) => factors::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.message.contains("Broken pipe") => ExitCode::SUCCESS,
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
