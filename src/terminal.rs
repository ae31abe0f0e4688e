//! How this program speaks on the terminal, as far as it is not a night's reporters that speak: diagnostics, refusals, and the
//! results of the small commands.

use std::io::{self, Write};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::cli::{self, Global};
use crate::crash::Crash;
use crate::error;
use crate::event::Problem;
use crate::history::Nights;
use crate::report::text::{visible, visible_json};
use crate::report::{Color, Format, Options, Verbosity};
use crate::secret::Redactor;
use crate::summary::Status;

/// Sends the program's own diagnostics to standard error: with `-vv`, or as `RUST_LOG` says.
pub(crate) fn diagnostics(global: &Global) {
    let default = if global.verbose > 1 { "teravm_ci=debug" } else { "off" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Remarks).with_ansi(false);
    match global.log_format {
        cli::LogFormat::Json => subscriber.json().init(),
        cli::LogFormat::Text => subscriber.init(),
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

/// Says that the program itself has failed, and returns the exit code for that.
pub(crate) fn crashed(crash: &Crash) -> u8 {
    remark(&format!("{}\n", Problem::internal(crash).text()));
    Status::InternalError.code()
}

/// Prints a result on standard output: without secrets, and harmless to a terminal. A reader that has gone away is no failure of ours.
pub(crate) fn print(text: &str) {
    let _ = io::stdout().write_all(harmless(text).as_bytes());
}

/// The same for a reader whose going away ends what is shown.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(harmless(text).as_bytes())?;
    stdout.flush()
}

/// Prints a result for programs on standard output: a document that means the same, without secrets, and harmless to a terminal.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let _ = io::stdout().write_all(json(value)?.as_bytes());
    Ok(())
}

/// What [`print_json`] prints.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(value).context("the result cannot be written as JSON")?;
    redact_texts(&mut value, &Redactor::process());
    let text = serde_json::to_string_pretty(&value).context("the result cannot be written as JSON")?;
    Ok(visible_json(&(text + "\n")))
}

/// Prints what this program has made of its own words alone: a completion script, a manual page, the schema.
pub(crate) fn print_own(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// The text as it may be printed: without secrets, and with every character shown that would do something instead.
fn harmless(text: &str) -> String {
    // A tab does nothing but move on in its line.
    Redactor::process().text(text).split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// Redacts every text of a document, but not its keys, and not what is one word of our own, like `passed`: a user name that
/// happens to be such a word must not change what the document says.
fn redact_texts(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {}
        Value::String(text) => *text = redactor.text(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_texts(value, redactor)),
        Value::Object(fields) => fields.values_mut().for_each(|value| redact_texts(value, redactor)),
        _ => {}
    }
}

/// How many columns standard output has, where it is a terminal.
pub(crate) fn columns() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}

/// Prints a remark on standard error.
pub(crate) fn remark(text: &str) {
    // There is nowhere left to say that standard error is gone.
    let _ = io::stderr().write_all(harmless(text).as_bytes());
}

/// Standard error for what writes in pieces: questions, and the program's own diagnostics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remarks;

impl Write for Remarks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(harmless(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Says what is wrong with a command line, or shows the help, and returns the exit code. The words of the command line come from
/// outside like any other text.
pub(crate) fn usage(error: &clap::Error) -> u8 {
    let plain = error.render().to_string();
    if harmless(&plain) == plain {
        // It is its own text, coloured where that is asked for.
        let _ = error.print();
    } else {
        remark(&plain);
    }
    u8::try_from(error.exit_code()).unwrap_or(Status::Usage.code())
}
