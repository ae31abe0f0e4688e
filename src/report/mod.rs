//! The reporters: they hear every event of a night, in order, and show what it comes to.
//!
//! Each has its own file or stream and touches nothing else. None knows the lab, and none knows another: what one of them
//! could not write becomes an event that the others hear.

mod console;
mod document;
mod folder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod junit;
mod markdown;
#[cfg(any(test, fuzzing))]
pub(crate) mod nights;
pub(crate) mod page;
mod record;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;

use crate::crash::{self, Crash};
use crate::error::hinted;
use crate::event::{self, Class, Event, EventKind, Inbox, Problem};
use crate::history::Nights;
use crate::summary::Summary;

use console::{Console, Stream};
use document::Document;
use page::Page;
use record::Record;

pub(crate) use document::put;
pub(crate) use folder::is_removed;
pub(crate) use junit::{KNOWN, Names, PIPELINE};
#[cfg(test)]
pub(crate) use markdown::document as markdown_of;

/// How often reporters are asked whether they have something to do although nothing happened.
const PULSE: Duration = Duration::from_secs(1);

/// How a night is reported.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The folder of the reports; what an earlier run wrote there is removed.
    pub results: PathBuf,
    pub verbosity: Verbosity,
    pub format: Format,
    pub color: Color,
    /// Whether this is a CI job, whose log is plain although it has a terminal.
    pub is_ci: bool,
    /// Whether the program's own diagnostics go to standard error too, past the reporters.
    pub has_diagnostics: bool,
    /// Whether terminals here show more than ASCII.
    pub is_utf8: bool,
    /// The nights before, for the page; none where history cannot be asked.
    pub nights: Nights,
}

/// How much of the night goes to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Warnings and failures.
    Quiet,
    Normal,
    /// Remote commands and what they print, too.
    Verbose,
}

/// How standard error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// The events, as JSON, one a line.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What keeps a report from being written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("cannot write the report `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{path}`, which is in the way of a report")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` is there already, and was not written by an earlier run")]
    Foreign { path: PathBuf },
    #[error("`{path}` cannot be the results folder: it is {what}")]
    NoPlace { path: PathBuf, what: &'static str },
    #[error("another run is writing its reports to `{path}`")]
    Occupied { path: PathBuf },
    #[error("cannot remove `{path}`, which an earlier run wrote")]
    Remove { path: PathBuf, source: io::Error },
    #[error("internal error: this is a bug in teravm-ci: {crash}")]
    Crashed { crash: Crash },
}

impl ReportError {
    fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ReportError {
        let path = path.into();
        move |source| ReportError::Write { path, source }
    }

    fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ReportError {
        let path = path.into();
        move |source| ReportError::Read { path, source }
    }

    fn hint(&self) -> &'static str {
        match self {
            ReportError::Write { .. } => "is there room, and may we write there? `--results` names another folder",
            ReportError::Read { .. } => "may we read it? `--results` names another folder",
            ReportError::Foreign { .. } => "nothing was touched; move it away, or choose another folder",
            ReportError::Occupied { .. } => "wait for its end, or choose another folder with `--results`",
            ReportError::NoPlace { .. } => "nothing was touched; `--results` names another folder",
            ReportError::Crashed { .. } => event::BUG,
            ReportError::Remove { .. } => "remove it by hand, or choose another folder with `--results`",
        }
    }

    /// The same on its way up, before a night.
    pub(crate) fn hinted(self) -> anyhow::Error {
        let hint = self.hint();
        hinted(self, hint)
    }
}

/// Somebody who listens to a night.
pub(crate) trait Reporter: Send {
    /// What it is called when it fails.
    fn name(&self) -> &str;

    /// Hears one event. `summary` has heard it too.
    fn report(&mut self, event: &Event, summary: &Summary) -> Result<(), ReportError>;

    /// Is told about once a second that nothing has happened.
    fn idle(&mut self, _summary: &Summary) -> Result<(), ReportError> {
        Ok(())
    }

    /// Writes what has to stand when the night is over. May be called again when another reporter failed to.
    fn finish(&mut self, summary: &Summary) -> Result<(), ReportError>;
}

/// All reporters of a night.
pub(crate) struct Reporters {
    files: Vec<Listener>,
    console: Listener,
    summary: Summary,
    /// The folder of the reports, locked.
    _folder: fs::File,
}

struct Listener {
    reporter: Box<dyn Reporter>,
    has_failed: bool,
}

impl Listener {
    fn new(reporter: impl Reporter + 'static) -> Self {
        Listener { reporter: Box::new(reporter), has_failed: false }
    }

    /// Asks the reporter to do something. One that panics has failed to, and is asked again the next time.
    fn ask(&mut self, what: &str, ask: impl FnOnce(&mut dyn Reporter) -> Result<(), ReportError>) -> Option<Event> {
        let reporter = self.reporter.as_mut();
        let asked = crash::caught_at_once(|| {
            crash::point(|| format!("{what} {}", reporter.name()));
            ask(reporter)
        });
        self.failure(asked.unwrap_or_else(|crash| Err(ReportError::Crashed { crash })))
    }

    /// The event that tells of a failure: once for each report, however often it fails.
    fn failure(&mut self, result: Result<(), ReportError>) -> Option<Event> {
        let error = result.err()?;
        if std::mem::replace(&mut self.has_failed, true) {
            return None;
        }
        let problem = match &error {
            ReportError::Crashed { crash } => Problem::internal(crash),
            error => {
                let problem = Problem::new(Class::Report, error.to_string()).hint(error.hint());
                match std::error::Error::source(error) {
                    Some(source) => problem.because_of(source),
                    None => problem,
                }
            }
        };
        let kind = EventKind::ReportFailed { report: self.reporter.name().into(), problem };
        Some(Event { time: OffsetDateTime::now_utc(), kind })
    }
}

impl Reporters {
    /// Creates the folder, removes what an earlier run wrote there, and opens every report.
    ///
    /// From here on the reports stand there, and say that the night has not ended.
    pub(crate) fn open(options: &Options) -> Result<Reporters, ReportError> {
        let results = &options.results;
        let folder = folder::prepare(results)?;
        // The record comes first: by it the next run knows that the folder is ours.
        let files = vec![
            Listener::new(Record::open(results)?),
            Listener::new(Document::open(results, "run.json", record::document)?),
            Listener::new(Document::open(results, "junit.xml", junit::document)?.or(junit::BROKEN)),
            Listener::new(Document::open(results, "summary.md", markdown::document)?),
            Listener::new(Document::open(results, "report.html", {
                let page = Page::new(&options.nights);
                move |summary| page.document(summary)
            })?),
        ];
        let console = Console::new(options, Stream::stdout(options), Stream::stderr(options));
        Ok(Reporters { files, console: Listener::new(console), summary: Summary::default(), _folder: folder })
    }

    /// Listens until the last sender of the inbox is gone, and returns what the night came to.
    ///
    /// Blocks, so it has a thread of its own: `spawn_blocking(move || reporters.listen(inbox))`.
    pub(crate) fn listen(mut self, mut inbox: Inbox) -> Summary {
        let clock = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime with nothing but a clock needs nothing of the system");
        loop {
            let next = clock.block_on(async { tokio::time::timeout(PULSE, inbox.recv()).await });
            match next {
                Ok(Some(event)) => self.hear(event),
                Ok(None) => break,
                Err(_) => self.each(|reporter, summary| reporter.idle(summary)),
            }
        }
        self.finish()
    }

    fn hear(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let summary = &mut self.summary;
            let heard = crash::caught_at_once(|| {
                crash::point(|| "summary".to_owned());
                summary.hear(&event);
            });
            if let Err(crash) = heard
                && !matches!(event.kind, EventKind::InternalError { .. })
            {
                let kind = EventKind::InternalError { problem: Problem::internal(&crash) };
                events.push_back(Event { time: event.time, kind });
            }
            let summary = &self.summary;
            for listener in self.files.iter_mut().chain([&mut self.console]) {
                events.extend(listener.ask("report", |reporter| reporter.report(&event, summary)));
            }
        }
    }

    fn each(&mut self, ask: impl Fn(&mut dyn Reporter, &Summary) -> Result<(), ReportError>) {
        let mut failures = Vec::new();
        for listener in self.files.iter_mut().chain([&mut self.console]) {
            failures.extend(listener.ask("idle", |reporter| ask(reporter, &self.summary)));
        }
        for failure in failures {
            self.hear(failure);
        }
    }

    fn finish(mut self) -> Summary {
        self.finish_files();
        if let Some(failure) = self.console.ask("finish", |reporter| reporter.finish(&self.summary)) {
            self.hear(failure);
            self.finish_files();
        }
        self.summary
    }

    /// Writes the files, and writes them again when one of them failed: the others have to say so.
    fn finish_files(&mut self) {
        loop {
            let mut failures = Vec::new();
            for listener in &mut self.files {
                failures.extend(listener.ask("finish", |reporter| reporter.finish(&self.summary)));
            }
            if failures.is_empty() {
                return;
            }
            for failure in failures {
                self.hear(failure);
            }
        }
    }
}

impl std::fmt::Debug for Reporters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.files.iter().chain([&self.console]).map(|listener| listener.reporter.name());
        f.debug_list().entries(names).finish()
    }
}
