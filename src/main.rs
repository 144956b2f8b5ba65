//! The entry point.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Gives memory back after the configuration is read; the system's allocator keeps it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the allocator keeps what is free, in milliseconds. By default it waits for a later allocation to give memory
/// back, which in an idle daemon never comes: 16 MiB at 10,000 meters.
const KEEP_FREE: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// This program, also when its file is another one by now.
const SELF: &str = "/proc/self/exe";

fn main() -> ExitCode {
    if std::env::var_os(KEEP_FREE.0).is_none() {
        restart();
    }
    emissiond::cli::main(std::env::args_os())
}

/// The allocator reads its settings before `main`, so the process starts itself once more, under the same number. Should
/// that fail, it goes on as it is.
fn restart() {
    let mut arguments = std::env::args_os();
    // By its path, after which the system names the process, if that is this very file still.
    let same = |path: &PathBuf| {
        let number = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        number(path).is_some_and(|own| number(Path::new(SELF)) == Some(own))
    };
    let path = std::env::current_exe().ok().filter(same);
    let mut command = Command::new(path.unwrap_or_else(|| SELF.into()));
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let _ = command.args(arguments).env(KEEP_FREE.0, KEEP_FREE.1).exec();
}
