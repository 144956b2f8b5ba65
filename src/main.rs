//! The entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    emissiond::cli::main(std::env::args_os())
}
