//! What a night is at right now, as rows of text: the steps, what each host does, the suite that runs. Value in, text out.

use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use console::{measure_text_width, truncate_str};
use time::OffsetDateTime;

use super::line::Paint;
use crate::event::{Step, StepOutcome};
use crate::report::text::{LONGEST_LINE, count, one_line, took};
use crate::summary::{JudgedSuite, StepRun, SuiteRun, Summary};

/// How many cells the bar of a suite has.
const CELLS: usize = 20;

/// The characters that the view is drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyphs {
    done: &'static str,
    failed: &'static str,
    now: &'static str,
    to_come: &'static str,
    full: &'static str,
    empty: &'static str,
    more: &'static str,
}

impl Glyphs {
    pub(super) const UNICODE: Glyphs =
        Glyphs { done: "✓", failed: "✗", now: "▸", to_come: "·", full: "█", empty: "░", more: "…" };
    pub(super) const ASCII: Glyphs =
        Glyphs { done: "+", failed: "!", now: ">", to_come: ".", full: "#", empty: "-", more: "..." };
}

/// A look at a night that is under way.
pub(super) struct View<'a> {
    pub(super) summary: &'a Summary,
    /// What a program printed last, by the host on which it runs; by nothing for one that runs here.
    pub(super) said: &'a BTreeMap<Option<String>, String>,
    pub(super) now: OffsetDateTime,
    pub(super) paint: Paint,
    pub(super) glyphs: Glyphs,
    /// Columns of the terminal.
    pub(super) width: usize,
}

impl View<'_> {
    /// Returns the rows; none before a night has begun and after it has ended. None is wider than the terminal.
    pub(super) fn rows(&self) -> Vec<String> {
        let (Some(started), None) = (self.summary.started, self.summary.ended) else { return Vec::new() };
        let mut rows = vec![String::new()];
        rows.extend(self.row_of_steps());
        match self.summary.suites.iter().find(|suite| suite.end.is_none() && suite.started.is_some()) {
            Some(suite) => rows.extend(self.suite(suite)),
            None => rows.extend(self.hosts()),
        }
        rows.extend(self.trouble());
        rows.push(self.time(started));
        rows.iter().map(|row| truncate_str(row, self.width, self.glyphs.more).into_owned()).collect()
    }

    /// The steps of the night in one row; those that are done shrink to their number where there is no room.
    fn row_of_steps(&self) -> Option<String> {
        let steps = self.steps()?;
        let words: Vec<String> = steps.iter().map(|step| self.step(*step)).collect();
        let row = |words: &[String]| format!("  {}", words.join("  "));
        let past = steps.iter().take_while(|step| self.is_past(**step) && !self.has_failed(**step)).count();
        let whole = row(&words);
        if measure_text_width(&whole) <= self.width || past == 0 {
            return Some(whole);
        }
        let done = self.paint.with(green(), self.glyphs.done) + " " + &self.paint.dim(&count(past, "step"));
        Some(row(&[&[done], &words[past..]].concat()))
    }

    /// The steps that were, are, and are to come.
    fn steps(&self) -> Option<Vec<Step>> {
        let mut steps = self.summary.night.as_ref()?.steps.clone();
        if self.runs(Step::Restore).next().is_some() {
            steps.extend((!steps.contains(&Step::Restore)).then_some(Step::Restore));
            steps.sort();
        }
        // What was left out does not come any more.
        let last = self.last();
        steps.retain(|step| self.runs(*step).next().is_some() || last.is_none_or(|last| *step > last));
        Some(steps)
    }

    fn step(&self, step: Step) -> String {
        let name = step.name();
        match self.begun(step) {
            Some(since) => {
                let usual = self.summary.usual_of(step).filter(|usual| *usual >= Duration::from_secs(1));
                let usual = usual.map(|usual| format!(", usually {}", ticking(usual)));
                format!(
                    "{} {} {}{}",
                    self.paint.with(cyan(), self.glyphs.now),
                    self.paint.bold(name),
                    ticking(self.since(since)),
                    self.paint.dim(&usual.unwrap_or_default())
                )
            }
            None if self.has_failed(step) => format!("{} {name}", self.paint.with(red(), self.glyphs.failed)),
            None if self.is_past(step) => {
                format!("{} {}", self.paint.with(green(), self.glyphs.done), self.paint.dim(name))
            }
            None => self.paint.dim(&format!("{} {name}", self.glyphs.to_come)),
        }
    }

    /// What each host does in the step that is under way, one below the other.
    fn hosts(&self) -> Vec<String> {
        let Some(step) = self.summary.steps.iter().rfind(|run| run.outcome.is_none()).map(|run| run.step) else {
            return Vec::new();
        };
        let runs: Vec<&StepRun> = self.runs(step).collect();
        let width = runs.iter().filter_map(|run| run.host.as_ref()).map(|host| host.chars().count()).max().unwrap_or(0);
        let row = |run: &StepRun| {
            let host = run.host.as_deref().map(|host| one_line(host, LONGEST_LINE)).unwrap_or_default();
            let host = self.paint.padded(Style::new().bold(), &host, width);
            let row = match &run.outcome {
                None => {
                    let said = self.said.get(&run.host).map(String::as_str).unwrap_or_default();
                    format!(
                        "  {host}  {} {:>8}  {}",
                        self.glyphs.now,
                        ticking(self.since(run.started)),
                        self.paint.dim(said)
                    )
                }
                Some(outcome) => {
                    let (mark, text) = match outcome {
                        StepOutcome::Done { text } => (self.paint.with(green(), self.glyphs.done), text.as_str()),
                        StepOutcome::Failed(problem) => {
                            (self.paint.with(red(), self.glyphs.failed), problem.message.as_str())
                        }
                        StepOutcome::Skipped { reason } => (self.glyphs.to_come.to_owned(), reason.as_str()),
                    };
                    let length = took(run.took.unwrap_or_default());
                    format!("  {host}  {mark} {length:>9}  {}", one_line(text, LONGEST_LINE))
                }
            };
            row.trim_end().to_owned()
        };
        match runs[..] {
            // Of a step that is no host's the row above says all but this.
            [StepRun { host: None, .. }] => {
                let said = self.said.get(&None).filter(|said| !said.is_empty());
                said.map(|said| format!("  {}", self.paint.dim(said))).into_iter().collect()
            }
            _ => runs.into_iter().map(row).collect(),
        }
    }

    /// The suite that runs, and its case.
    fn suite(&self, suite: &SuiteRun) -> Vec<String> {
        let name = one_line(&suite.suite, LONGEST_LINE);
        let memory = self.summary.memory.as_ref().and_then(|memory| memory.suites.get(&suite.suite));
        let finished = suite.cases.iter().filter(|case| !case.is_nameless()).count();
        let mut parts = Vec::new();
        match suite.planned.and_then(|planned| usize::try_from(planned).ok()).filter(|planned| *planned > 0) {
            Some(planned) => {
                let full = (finished * CELLS / planned).min(CELLS);
                let (full, empty) = (self.glyphs.full.repeat(full), self.glyphs.empty.repeat(CELLS - full));
                parts.push(format!("{}{}", self.paint.with(cyan(), &full), self.paint.dim(&empty)));
                parts.push(format!("{finished} of {planned}"));
            }
            None => parts.push(count(finished, "case")),
        }
        let counts = self.summary.judged_suite(&suite.suite).as_ref().map(JudgedSuite::counts).unwrap_or_default();
        parts.extend((counts.failed > 0).then(|| self.paint.with(red(), &format!("{} failed", counts.failed))));
        let open = suite.open.last();
        parts.extend(suite.started.map(|started| ticking(self.since(started))));
        parts.extend(
            memory.and_then(|memory| memory.usual).map(|usual| self.paint.dim(&format!("usually {}", took(usual)))),
        );
        let mut rows = vec![format!("  {}  {}", self.paint.bold(&name), parts.join("  "))];
        let indent = " ".repeat(name.chars().count() + 4);
        if let Some(open) = open {
            let usual = memory.and_then(|memory| memory.cases.get(open.case.shown())).and_then(|case| case.usual);
            let mut row =
                format!("{indent}{}  {}", one_line(open.case.shown(), LONGEST_LINE), ticking(self.since(open.started)));
            row.extend(usual.map(|usual| self.paint.dim(&format!("  usually {}", took(usual)))));
            rows.push(row);
        }
        if let Some(said) = suite.host.as_ref().and_then(|host| self.said.get(&Some(host.clone()))) {
            rows.push(format!("{indent}{}", self.paint.dim(said)));
        }
        rows
    }

    /// What is wrong and may still be mended.
    fn trouble(&self) -> Vec<String> {
        let yellow = AnsiColor::Yellow.on_default().bold();
        let mut rows = Vec::new();
        if let Some(outage) = self.summary.outages.last().filter(|outage| outage.took.is_none()) {
            let length = ticking(self.since(outage.since));
            let text = format!("no tunnel for {length}: {}", one_line(&outage.reason, LONGEST_LINE));
            rows.push(format!("  {}", self.paint.with(yellow, &text)));
        }
        if let Some(signal) = &self.summary.interrupted {
            let text = format!("{}: giving everything back", one_line(signal, LONGEST_LINE));
            rows.push(format!("  {}", self.paint.with(yellow, &text)));
        }
        rows
    }

    /// For how long the night has been going on, and what is left of it.
    fn time(&self, started: OffsetDateTime) -> String {
        let left = self.left().unwrap_or_default();
        self.paint.dim(&format!("  {} so far{left}", ticking(self.since(started))))
    }

    /// What is left of the night where it goes as usual: of its steps, else of its tests alone. None where that is not known, and
    /// where there is nothing left to say.
    fn left(&self) -> Option<String> {
        let is_testing = self.summary.suites.iter().any(|suite| suite.started.is_some());
        let is_cut_short = self.summary.interrupted.is_some() || self.summary.deadline_passed.is_some();
        let has_failed = !is_testing && self.summary.steps.iter().any(|run| self.has_failed(run.step));
        // Somebody else has the testbed, nobody knows for how long.
        let is_waiting = self.is_past(Step::Disconnect) && self.last() <= Some(Step::Lock);
        if is_cut_short || has_failed || is_waiting {
            return None;
        }
        let to_come: Vec<Step> = self.steps()?.into_iter().filter(|step| !self.is_past(*step)).collect();
        let tests = if to_come.contains(&Step::Test) { self.left_of_tests()? } else { Duration::ZERO };
        let steps = to_come.iter().filter(|step| **step != Step::Test).map(|step| self.left_of(*step));
        let (left, words) = match steps.sum::<Option<Duration>>() {
            Some(steps) => (tests + steps, [", about ", " to go"]),
            None if is_testing => (tests, [", about ", " of tests to go"]),
            None => (tests, [", then usually ", " of tests"]),
        };
        (left >= Duration::from_secs(1)).then(|| words.join(&took(left)))
    }

    /// What is left of a step, as it usually goes.
    fn left_of(&self, step: Step) -> Option<Duration> {
        // Where nothing is switched, nothing has to be verified.
        if matches!(step, Step::Activate | Step::Verify)
            && self.summary.switched().is_some_and(|names| names.is_empty())
        {
            return Some(Duration::ZERO);
        }
        let gone = self.begun(step).map(|begun| self.since(begun)).unwrap_or_default();
        Some(self.summary.usual_of(step)?.saturating_sub(gone))
    }

    /// What the suites that have not ended usually take, less what the one that runs has had.
    fn left_of_tests(&self) -> Option<Duration> {
        let memory = self.summary.memory.as_ref()?;
        let open = self.summary.suites.iter().filter(|suite| suite.end.is_none());
        let left = open.map(|suite| {
            let usual = memory.suites.get(&suite.suite)?.usual?;
            let gone = suite.started.map(|started| self.since(started)).unwrap_or_default();
            Some(usual.saturating_sub(gone))
        });
        left.sum()
    }

    fn runs(&self, step: Step) -> impl Iterator<Item = &StepRun> {
        self.summary.steps.iter().filter(move |run| run.step == step)
    }

    /// The step that was started last.
    fn last(&self) -> Option<Step> {
        self.summary.steps.last().map(|run| run.step)
    }

    /// When a step began that is under way.
    fn begun(&self, step: Step) -> Option<OffsetDateTime> {
        self.runs(step).filter(|run| run.outcome.is_none()).map(|run| run.started).min()
    }

    /// Whether a step was there and is no more; one that was left out is no past.
    fn is_past(&self, step: Step) -> bool {
        self.runs(step).next().is_some() && self.runs(step).all(|run| run.outcome.is_some())
    }

    fn has_failed(&self, step: Step) -> bool {
        self.runs(step).any(|run| matches!(run.outcome, Some(StepOutcome::Failed(_))))
    }

    fn since(&self, time: OffsetDateTime) -> Duration {
        Duration::try_from(self.now - time).unwrap_or_default()
    }
}

/// A time that goes on, in whole seconds.
fn ticking(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => took(Duration::from_secs(seconds)),
    }
}

fn green() -> Style {
    AnsiColor::Green.on_default()
}

fn red() -> Style {
    AnsiColor::Red.on_default().bold()
}

fn cyan() -> Style {
    AnsiColor::Cyan.on_default().bold()
}
