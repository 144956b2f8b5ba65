//! `emissiond run`: the daemon.

use std::io::ErrorKind;
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
        StartError::Store(StoreError::Redeclared { .. } | StoreError::Unfinished(_)) => CONFIGURATION,
        // A secret or a certificate that cannot be read: trying again does not mend it.
        StartError::Io(error) if is_of_a_file(error.kind()) => CONFIGURATION,
        StartError::Store(_) | StartError::Io(_) => FAILED,
    };
    let hint = match &error {
        StartError::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
            "; what is root's alone is handed to the service from /etc/emissiond/secrets, or by LoadCredential=NAME:FILE in its unit"
        }
        _ => "",
    };
    Failure::new(code, format!("emissiond: {error}{hint}"))
}

fn is_of_a_file(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput)
}
