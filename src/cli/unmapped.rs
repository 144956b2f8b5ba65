//! `emissiond unmapped`: the topics that no meter of the running daemon listens to.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{Failure, UNAVAILABLE, address, get, runtime};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = address(Some(&arguments.config))?;
    let text = runtime()?.block_on(get(&format!("http://{address}/api/v1/unmapped")));
    let text = text.map_err(|e| Failure::new(UNAVAILABLE, format!("no emissiond answers at {address}: {e}")))?;
    if text.is_empty() {
        eprintln!(
            "none: the broker sends only the topics of the meters, unless `[mqtt] subscribe` asks for more, such as [\"plant/#\"]"
        );
    }
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
