//! How this program speaks on the terminal, as far as it is not a night's reporters that speak: diagnostics, refusals, and the
//! results of the small commands.

use std::io::{IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

use crate::cli::{self, Global};
use crate::error;
use crate::history::Nights;
use crate::report::{Color, Format, Options, Verbosity};
use crate::summary::Status;

/// Sends the program's own diagnostics to standard error: with `-vv`, or as `RUST_LOG` says.
pub(crate) fn diagnostics(global: &Global) {
    let default = if global.verbose > 1 { "teravm_ci=debug" } else { "off" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match global.log_format {
        cli::LogFormat::Json => subscriber.json().init(),
        cli::LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

/// How the reporters shall speak.
pub(crate) fn options(global: &Global) -> Options {
    Options {
        results: global.results.clone(),
        verbosity: match (global.quiet, global.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        },
        format: match global.log_format {
            cli::LogFormat::Text => Format::Text,
            cli::LogFormat::Json => Format::Json,
        },
        color: match global.color {
            cli::Color::Auto => Color::Auto,
            cli::Color::Always => Color::Always,
            cli::Color::Never => Color::Never,
        },
        nights: Nights::default(),
        is_ci: std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false"),
        has_diagnostics: global.verbose > 1 || std::env::var_os("RUST_LOG").is_some(),
        is_utf8: is_utf8(),
    }
}

/// Whether terminals here show more than ASCII: what the locale says of characters.
fn is_utf8() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    said.is_some_and(|value| {
        let value = value.to_string_lossy().to_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Says why nothing was run, and returns the exit code for that.
pub(crate) fn refuse(error: &anyhow::Error) -> u8 {
    remark(&format!("error: {}\n", error::text(error)));
    Status::Usage.code()
}

/// Prints a result on standard output. A reader that has gone away is no failure of ours.
pub(crate) fn print(text: &str) {
    let _ = anstream::stdout().write_all(text.as_bytes());
}

/// How many columns standard output has, where it is a terminal.
pub(crate) fn columns() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}

/// Prints a remark on standard error.
pub(crate) fn remark(text: &str) {
    // There is nowhere left to say that standard error is gone.
    let _ = anstream::stderr().write_all(text.as_bytes());
}
