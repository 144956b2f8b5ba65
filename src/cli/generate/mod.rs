//! `emissiond generate`: what is written from the code itself: manual pages, completions of shells, and the reference.

mod interface;
mod manual;
mod reference;

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, FAILED, Failure};

#[derive(Args)]
pub(crate) struct Arguments {
    /// A directory: `man`, `completions` and `reference` in it are written
    #[arg(long)]
    to: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let to = |name: &str| -> Result<PathBuf, Failure> {
        let directory = arguments.to.join(name);
        std::fs::create_dir_all(&directory).map_err(|error| wrong(&directory, error))?;
        Ok(directory)
    };
    let mut command = Cli::command();
    let manual = to("man")?;
    clap_mangen::generate_to(command.clone(), &manual).map_err(|error| wrong(&manual, error))?;
    manual::complete(&manual).map_err(|error| wrong(&manual, error))?;
    let completions = to("completions")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "emissiond", &completions)
            .map_err(|error| wrong(&completions, error))?;
    }
    let directory = to("reference")?;
    for (name, text) in [
        ("commands.md", reference::commands(command)),
        ("configuration.md", reference::configuration()),
        ("errors.md", reference::errors()),
        ("database.md", interface::database()),
        ("api.md", interface::api()),
    ] {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| wrong(&path, error))?;
    }
    Ok(())
}

fn wrong(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(FAILED, format!("{}: {error}", path.display()))
}

/// Of a page that nobody edits.
fn head(title: &str) -> String {
    format!("# {title}\n\nWritten by `emissiond generate`; do not edit.\n")
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
