//! The entry point.

use std::process::ExitCode;

/// Gives memory back after the configuration is read; the system's allocator keeps it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    emissiond::cli::main(std::env::args_os())
}
