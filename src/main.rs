//! Command line in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use teravm_ci::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    ExitCode::from(teravm_ci::main(cli))
}
