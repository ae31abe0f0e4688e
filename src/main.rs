//! Command line in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use teravm_ci::cli::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => ExitCode::from(teravm_ci::main(cli)),
        Err(error) => ExitCode::from(teravm_ci::usage(&error)),
    }
}
