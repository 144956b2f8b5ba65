//! `emissiond status`: ask the running daemon how it is.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{Failure, UNAVAILABLE, address, file_or_default, get, runtime};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon; without it /etc/emissiond/emissiond.toml, where that is
    #[arg(long, short)]
    config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = address(file_or_default(arguments.config.as_ref()).as_ref())?;
    let text = runtime()?.block_on(get(&format!("http://{address}/api/v1/status")));
    let text = text.map_err(|e| Failure::new(UNAVAILABLE, format!("no emissiond answers at {address}: {e}")))?;
    let status: serde_json::Value = serde_json::from_str(&text).map_err(|e| Failure::new(UNAVAILABLE, e))?;
    Ok(writeln!(std::io::stdout().lock(), "{status:#}")?)
}
