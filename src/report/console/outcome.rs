//! What the night came to, on one screen: the one thing on standard output.

use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::MOST_LINES;
use super::line::{Mark, Paint};
use crate::event::Judgement;
use crate::report::text::{LONGEST_LINE, count, first_lines, one_line, took};
use crate::summary::{Status, SuiteRun, Summary};

/// How many cases that did not pass are shown.
const MOST_CASES: usize = 20;

/// Returns status and reasons, gateways, suites, the cases that did not pass, and where the reports lie.
pub(super) fn outcome(summary: &Summary, paint: Paint, results: &Path) -> String {
    let mut screen = Screen { text: String::new(), paint };
    screen.status(summary);
    screen.gateways(summary);
    screen.suites(summary);
    screen.cases(summary);
    screen.reports(results);
    screen.text
}

struct Screen {
    text: String,
    paint: Paint,
}

impl Screen {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn status(&mut self, summary: &Summary) {
        let paint = self.paint;
        let status = summary.status();
        let mut title = paint.with(style_of(status), &status.name().to_uppercase());
        title.push_str(&paint.dim(&format!("  exit {}", status.code())));
        let setup = summary.night.as_ref().and_then(|night| night.setup.as_deref());
        title.extend(setup.map(|setup| format!("  {}", one_line(setup, LONGEST_LINE))));
        title.extend(summary.took().map(|length| format!("  {}", paint.dim(&took(length)))));
        self.line(&title);
        for reason in summary.reasons() {
            let also = if reason.status == status { String::new() } else { format!("  ({})", reason.status) };
            self.line(&format!("  {}{}", one_line(&reason.text, LONGEST_LINE), paint.dim(&also)));
        }
    }

    fn gateways(&mut self, summary: &Summary) {
        let rows = summary.gateways.iter().map(|gateway| {
            let outcome = match (&gateway.outcome, &gateway.before) {
                (Some(outcome), _) => outcome.to_string(),
                (None, Some(before)) => format!("not switched, at {before}"),
                (None, None) => "not switched".to_owned(),
            };
            [one_line(&gateway.gateway, LONGEST_LINE), one_line(&outcome, LONGEST_LINE)]
        });
        self.table(["gateway", "release"], &rows.collect::<Vec<_>>());
    }

    fn suites(&mut self, summary: &Summary) {
        let rows = summary.suites.iter().map(|suite| {
            let counts = suite.counts();
            let length = match &suite.end {
                Some(end) => took(end.took),
                None if suite.started.is_some() => "unfinished".to_owned(),
                None => "not started".to_owned(),
            };
            let [passed, failed, errors] =
                [counts.passed, counts.failed, counts.errors].map(|number| number.to_string());
            [one_line(&suite.suite, LONGEST_LINE), passed, failed, errors, length]
        });
        self.table(["suite", "passed", "failed", "error", "took"], &rows.collect::<Vec<_>>());
    }

    fn cases(&mut self, summary: &Summary) {
        let cases = |suite: &SuiteRun| suite.cases.iter().filter(|case| case.judgement != Judgement::Passed).count();
        let all: usize = summary.suites.iter().map(cases).sum();
        let cases = summary.suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
        let bad = cases.filter_map(|(suite, case)| match &case.judgement {
            Judgement::Passed => None,
            Judgement::Failed { message } => Some((suite, case, Mark::Failed, message)),
            Judgement::Error { message } => Some((suite, case, Mark::Error, message)),
        });
        for (suite, case, mark, message) in bad.take(MOST_CASES) {
            let verdict = match &case.verdict {
                Some(verdict) => format!("VERDICT_{}", one_line(verdict, LONGEST_LINE)),
                None => "no verdict".to_owned(),
            };
            let name = format!("{} / {}", one_line(&suite.suite, LONGEST_LINE), one_line(&case.name, LONGEST_LINE));
            self.line("");
            self.line(&format!("{}  {}", self.paint.bold(&name), self.paint.with(mark.style(), &verdict)));
            for line in first_lines(message, MOST_LINES) {
                self.line(&format!("  {line}"));
            }
        }
        if all > MOST_CASES {
            self.line("");
            self.line(&format!("… and {}", count(all - MOST_CASES, "more case")));
        }
    }

    fn reports(&mut self, results: &Path) {
        self.line("");
        for (index, name) in ["summary.md", "junit.xml", "run.json"].into_iter().enumerate() {
            let head = if index == 0 { "reports" } else { "" };
            self.line(&format!("{}  {}", self.paint.dim(&format!("{head:<7}")), results.join(name).display()));
        }
    }

    /// A table, if it has rows: the first two columns begin on the left, the numbers after a name end on the right.
    fn table<const N: usize>(&mut self, head: [&str; N], rows: &[[String; N]]) {
        if rows.is_empty() {
            return;
        }
        let width: [usize; N] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].len()]).max().unwrap_or(0)
        });
        let line = |cells: [&str; N]| {
            let padded = cells.iter().zip(width).enumerate().map(|(column, (cell, width))| {
                if N > 2 && column > 0 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            padded.collect::<Vec<_>>().join("  ")
        };
        self.line("");
        self.line(&self.paint.dim(line(head).trim_end()));
        for row in rows {
            self.line(&line(std::array::from_fn(|column| row[column].as_str())));
        }
    }
}

fn style_of(status: Status) -> Style {
    match status {
        Status::Passed => AnsiColor::Green.on_default().bold(),
        Status::TestsFailed | Status::UpgradeFailed | Status::TestbedMixed => AnsiColor::Red.on_default().bold(),
        Status::Usage | Status::Testbed | Status::Inconclusive | Status::Report | Status::Interrupted => {
            AnsiColor::Yellow.on_default().bold()
        }
    }
}
