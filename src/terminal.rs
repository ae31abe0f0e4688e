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
use crate::event::{Class, Problem, Step};
use crate::gate::CameTo;
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
    redact_texts(&mut value, "", &Redactor::process());
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

/// Redacts every text of a document, but not its keys, and not what under such a key can only be a word of our own: a user
/// name that happens to be `passed` must not change what the document says.
fn redact_texts(value: &mut Value, key: &str, redactor: &Redactor) {
    match value {
        Value::String(text) if is_own_word(key, text) => {}
        Value::String(text) => *text = redactor.text(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_texts(value, key, redactor)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| redact_texts(value, key, redactor)),
        _ => {}
    }
}

/// Whether a text is the name of a variant: of a run's status, a step, the answer of the gate, a row of `check`.
fn is_own_word(key: &str, text: &str) -> bool {
    match key {
        "status" => Status::named(text).is_some(),
        "judged" => ["passed", "failed", "error"].contains(&text),
        "came_to" => CameTo::named(text).is_some(),
        "step" => serde_json::from_value::<Step>(text.into()).is_ok(),
        "class" => serde_json::from_value::<Class>(text.into()).is_ok(),
        "about" => text == "night",
        "verdict" => ["yes", "no", "unknown"].contains(&text),
        "state" => ["ok", "failed", "skipped"].contains(&text),
        _ => false,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_secret_of_one_small_word_is_taken_out_and_our_own_words_stay() {
        let redactor = Redactor::default();
        ["passed", "nightly", "failed", "activate", "unknown"]
            .iter()
            .for_each(|word| redactor.learn(&Secret::new(*word)));
        let mut document = json!({
            "status": "passed",
            "reasons": [{"about": {"step": {"step": "activate", "host": "nightly"}}, "text": "nightly failed"}],
            "suites": [{"suite": "nightly", "verdict": "passed", "cases": [{"came_to": "failed", "judged": "failed"}]}],
            "answer": {"verdict": "unknown", "why": ["nightly", "passed"]},
            "status_of_nobody": "passed",
        });
        redact_texts(&mut document, "", &redactor);
        let expected = json!({
            "status": "passed",
            "reasons": [{"about": {"step": {"step": "activate", "host": "***"}}, "text": "*** ***"}],
            "suites": [{"suite": "***", "verdict": "***", "cases": [{"came_to": "failed", "judged": "failed"}]}],
            "answer": {"verdict": "unknown", "why": ["***", "***"]},
            "status_of_nobody": "***",
        });
        assert_eq!(document, expected);
    }
}
