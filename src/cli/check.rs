//! `emissiond check`: validate a configuration without starting anything.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::{CONFIGURATION, Failure};
use crate::config::load;

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
    let (plan, report) = load(Some(&arguments.config));
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
