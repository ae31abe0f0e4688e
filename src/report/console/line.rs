//! One entry of the progress: when, how it went at a glance, on what, and the words.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use time::OffsetDateTime;

use crate::event::Step;
use crate::report::text::{LONGEST_LINE, clock, one_line, took, wrapped};

/// Where the text of a line begins: after the time, the mark and the step.
const INDENT: usize = 27;
/// The same where the terminal is narrow.
const NARROW_INDENT: usize = 8;
/// A terminal of fewer columns is narrow.
const NARROW: usize = 72;

/// What a line says at a glance.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Begin,
    Done,
    Failed,
    Error,
    Skipped,
    Note,
    Warning,
    /// Nothing but the text.
    Said,
}

impl Mark {
    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Begin => "...",
            Mark::Done => "ok",
            Mark::Failed => "FAIL",
            Mark::Error => "ERR",
            Mark::Skipped => "skip",
            Mark::Note => "note",
            Mark::Warning => "WARN",
            Mark::Said => "",
        }
    }

    pub(super) fn style(self) -> Style {
        match self {
            Mark::Begin | Mark::Said | Mark::Skipped => Style::new().dimmed(),
            Mark::Done => AnsiColor::Green.on_default(),
            Mark::Failed => AnsiColor::Red.on_default().bold(),
            Mark::Error | Mark::Warning => AnsiColor::Yellow.on_default().bold(),
            Mark::Note => AnsiColor::Cyan.on_default(),
        }
    }

    /// Whether it is shown to somebody who wants to hear only of trouble.
    pub(super) fn is_trouble(self) -> bool {
        matches!(self, Mark::Failed | Mark::Error | Mark::Warning)
    }
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn with(self, style: Style, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The text, and after it blanks up to the width, which are never coloured.
    pub(super) fn padded(self, style: Style, text: &str, width: usize) -> String {
        let blanks = width.saturating_sub(text.chars().count());
        format!("{}{:blanks$}", self.with(style, text), "")
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }
}

/// One entry of the progress.
pub(super) struct Line {
    pub(super) time: OffsetDateTime,
    pub(super) mark: Mark,
    /// The step, or another word for what is spoken of.
    pub(super) about: String,
    pub(super) text: String,
    pub(super) took: Option<Duration>,
    pub(super) below: Vec<String>,
}

impl Line {
    pub(super) fn new(time: OffsetDateTime, mark: Mark, about: impl Into<String>, text: impl Into<String>) -> Self {
        Line { time, mark, about: about.into(), text: text.into(), took: None, below: Vec::new() }
    }

    pub(super) fn of(time: OffsetDateTime, mark: Mark, step: Step, host: Option<&str>, text: &str) -> Self {
        let text = match (host, text.is_empty()) {
            (Some(host), true) => host.to_owned(),
            (Some(host), false) => format!("{host}: {text}"),
            (None, _) => text.to_owned(),
        };
        Line::new(time, mark, step.name(), text)
    }

    pub(super) fn took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }

    /// The text of the entry, and what stands below it, in so many columns.
    pub(super) fn render(&self, paint: Paint, width: Option<usize>) -> String {
        let about = one_line(&self.about, LONGEST_LINE);
        let mut text = format!(
            "{}  {}  {} {}",
            paint.dim(&clock(self.time)),
            paint.padded(self.mark.style(), self.mark.word(), 4),
            paint.padded(Style::new().bold(), &about, 10),
            one_line(&self.text, LONGEST_LINE),
        );
        // What took no time worth a word says nothing of it.
        if let Some(length) = self.took.filter(|length| length.as_millis() >= 50) {
            text = format!("{}  {}", text.trim_end(), paint.dim(&format!("({})", took(length))));
        }
        let indent = if width.is_some_and(|width| width < NARROW) { NARROW_INDENT } else { INDENT };
        let mut text = wrapped(text.trim_end(), width, indent) + "\n";
        for below in &self.below {
            text.push_str(&wrapped(&format!("{:indent$}{below}", ""), width, indent + 2));
            text.push('\n');
        }
        text
    }

    pub(super) fn below(mut self, lines: Vec<String>) -> Self {
        self.below = lines;
        self
    }
}
