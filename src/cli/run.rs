//! `emissiond run`: the daemon.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{CONFIGURATION, FAILED, Failure, UNAVAILABLE, logs, plan, runtime};
use crate::daemon::{self, StartError};
use crate::store::StoreError;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration file; without one the defaults apply, and nothing is measured
    #[arg(long, short)]
    config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    logs();
    let plan = plan(arguments.config.as_ref())?;
    if plan.rules.topology.meters.is_empty() {
        tracing::warn!(
            "no meters are declared: give a file with --config, or try `emissiond demo`; nothing will be measured"
        );
    }
    runtime()?.block_on(daemon::run(plan, arguments.config.clone())).map_err(failure)
}

pub(crate) fn failure(error: StartError) -> Failure {
    let code = match &error {
        StartError::Port { .. } | StartError::Store(StoreError::Locked(_)) => UNAVAILABLE,
        StartError::Store(StoreError::Redeclared { .. }) => CONFIGURATION,
        StartError::Store(_) | StartError::Io(_) => FAILED,
    };
    Failure::new(code, format!("emissiond: {error}"))
}
