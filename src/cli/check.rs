//! `emissiond check`: validate a configuration without starting anything.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::cli::impact::impact;
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
    /// Also show what would be restated in the closed figures of the state directory
    #[arg(long)]
    impact: bool,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut plan, mut report) = load(Some(&arguments.config));
    if let Some(problem) = plan.as_ref().and_then(against_the_books) {
        plan = plan.filter(|_| problem.severity == Severity::Warning);
        report.problems.push(problem);
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
    if arguments.impact {
        print!("{}", impact(&plan)?);
    }
    Ok(())
}

/// What the books that are there say to the plan. Other trouble with these is not the configuration's.
fn against_the_books(plan: &Plan) -> Option<Problem> {
    let problem = |code, severity, message| {
        let (path, place, help) = (String::new(), None, None);
        Some(Problem { code, severity, path, place, message, help })
    };
    match Reader::beside(&plan.daemon.state_dir, Arc::clone(&plan.rules.topology)) {
        Err(error @ StoreError::Redeclared { .. }) => problem("C012", Severity::Error, error.to_string()),
        Ok(reader) => {
            let ids = reader.undeclared().ok().filter(|ids| !ids.is_empty())?.join(", ");
            let cure = "what a late reading restates of their facility is restated without them; declare them, with `valid_to`";
            problem(
                "C013",
                Severity::Warning,
                format!("meters with recent readings are not declared any more: {ids}; {cure}"),
            )
        }
        Err(_) => None,
    }
}
