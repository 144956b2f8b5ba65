//! `emissiond backup` and `restore`: a copy of the store while the daemon runs, and the way back.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{FAILED, Failure, UNAVAILABLE, state_dir};
use crate::clock;
use crate::store::{BackupError, StoreError, back_up, restore};

#[derive(Args)]
pub(crate) struct Backup {
    /// The configuration of the daemon, which may run
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// A new directory
    #[arg(long)]
    to: PathBuf,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The configuration of the daemon, which must not run
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// The directory that `backup` has written
    #[arg(long)]
    from: PathBuf,
}

pub(crate) fn back_up_to(arguments: &Backup) -> Result<(), Failure> {
    let state = state_dir(Some(&arguments.config))?;
    let manifest = back_up(&state, &arguments.to, clock::now()).map_err(failed)?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    println!("{} files, {} KiB, in {}", manifest.files.len(), bytes >> 10, arguments.to.display());
    Ok(())
}

pub(crate) fn restore_from(arguments: &Restore) -> Result<(), Failure> {
    let state = state_dir(Some(&arguments.config))?;
    let (manifest, aside) = restore(&arguments.from, &state).map_err(failed)?;
    println!("{} holds what it held at {}", state.display(), manifest.made);
    if let Some(aside) = aside {
        println!("what was there is in {}: remove it when it is not needed any more", aside.display());
    }
    println!("what came after is not in it: `status` shows the time from then to the next start as a possible gap");
    Ok(())
}

fn failed(error: BackupError) -> Failure {
    match &error {
        BackupError::Store(StoreError::Locked(_)) => Failure::new(UNAVAILABLE, error),
        _ => Failure::new(FAILED, error),
    }
}
