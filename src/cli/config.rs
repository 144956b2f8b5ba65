//! `emissiond config`: the shape of a configuration, and what a configuration says.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::{Failure, file_or_default};
use crate::config::{schema, show};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The JSON Schema of configuration files, for editors: `#:schema ./schema.json` on a file's first line
    Schema,
    /// The merged configuration, one value a line; secrets are hidden
    Show(Show),
}

#[derive(Args)]
struct Show {
    /// The configuration; without it /etc/emissiond/emissiond.toml, where that is
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// Also where each value comes from
    #[arg(long)]
    origin: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = match &arguments.action {
        Action::Schema => format!("{:#}\n", schema()),
        Action::Show(arguments) => show(file_or_default(arguments.config.as_ref()).as_deref(), arguments.origin),
    };
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
