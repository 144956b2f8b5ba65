//! `emissiond check`: validate a configuration without starting anything.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::cli::{CONFIGURATION, Failure};
use crate::config::{Plan, Problem, Severity, load};
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration file; `conf.d/*.toml` beside it and EMISSIOND__* variables are read too
    #[arg(long, short)]
    config: PathBuf,
    /// How to print problems
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut plan, mut report) = load(Some(&arguments.config));
    if let Some(problem) = plan.as_ref().and_then(redeclared) {
        report.problems.push(problem);
        plan = None;
    }
    if arguments.format == Format::Json {
        println!("{}", report.to_json());
        return match plan {
            Some(_) => Ok(()),
            None => Err(Failure::new(CONFIGURATION, "")),
        };
    }
    let Some(plan) = plan else {
        return Err(Failure::new(CONFIGURATION, report.to_text()));
    };
    eprint!("{}", report.to_text());
    let topology = &plan.rules.topology;
    println!(
        "{}: ok; {} network(s), {} cluster(s), {} facilities, {} meters, plan {}",
        arguments.config.display(),
        topology.networks.len(),
        topology.clusters.len(),
        topology.facilities.len(),
        topology.meters.len(),
        &plan.hash[..12]
    );
    Ok(())
}

/// What would keep the daemon from starting on the books it has. Other trouble with these is not the configuration's.
fn redeclared(plan: &Plan) -> Option<Problem> {
    match Reader::beside(&plan.daemon.state_dir, Arc::clone(&plan.rules.topology)) {
        Err(error @ StoreError::Redeclared { .. }) => Some(Problem {
            code: "C012",
            severity: Severity::Error,
            path: String::new(),
            place: None,
            message: error.to_string(),
            help: None,
        }),
        _ => None,
    }
}
