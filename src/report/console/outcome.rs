//! What the night came to, on one screen: the one thing on standard output.

use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::MOST_LINES;
use super::line::{Mark, Paint};
use super::stream::Stream;
use crate::gate::CameTo;
use crate::report::text::{LONGEST_LINE, count, first_lines, one_line, took, wrapped};
use crate::summary::{Counts, Status, Summary};

/// How many cases that did not pass are shown.
const MOST_CASES: usize = 20;

/// Returns status and reasons, gateways, suites, the cases that did not pass, and where the reports lie.
pub(super) fn outcome(summary: &Summary, stream: &Stream, results: &Path) -> String {
    let mut screen = Screen { text: String::new(), paint: stream.paint, width: stream.width() };
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
    width: Option<usize>,
}

impl Screen {
    fn line(&mut self, line: &str) {
        let indent = line.len() - line.trim_start().len();
        self.text.push_str(&wrapped(line.trim_end(), self.width, indent + 2));
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
            let outcome = match (gateway.told(), &gateway.before) {
                (Some(outcome), _) => outcome.to_string(),
                (None, Some(before)) => format!("not switched, at {before}"),
                (None, None) => "not switched".to_owned(),
            };
            vec![one_line(&gateway.gateway, LONGEST_LINE), one_line(&outcome, LONGEST_LINE)]
        });
        self.table(&["gateway", "release"], &rows.collect::<Vec<_>>());
    }

    fn suites(&mut self, summary: &Summary) {
        let has = |count: fn(&Counts) -> usize| summary.judged().any(|suite| count(&suite.counts()) > 0);
        let (has_flaky, has_known) = (has(|counts| counts.flaky), has(|counts| counts.known));
        let rows = summary.judged().map(|suite| {
            let counts = suite.counts();
            let length = match &suite.end {
                Some(end) => took(end.took),
                None if suite.started.is_some() => "unfinished".to_owned(),
                None => "not started".to_owned(),
            };
            let mut cells = vec![one_line(&suite.suite, LONGEST_LINE)];
            cells.extend([counts.passed, counts.failed, counts.errors].map(|number| number.to_string()));
            cells.extend(has_flaky.then(|| counts.flaky.to_string()));
            cells.extend(has_known.then(|| counts.known.to_string()));
            cells.push(length);
            cells
        });
        let mut head = vec!["suite", "passed", "failed", "error"];
        head.extend(has_flaky.then_some("flaky"));
        head.extend(has_known.then_some("known"));
        head.push("took");
        self.table(&head, &rows.collect::<Vec<_>>());
    }

    fn cases(&mut self, summary: &Summary) {
        let standings =
            summary.judged().flat_map(|suite| suite.standings().into_iter().map(move |standing| (suite, standing)));
        let bad: Vec<_> = standings.filter(|(_, standing)| standing.came_to != CameTo::Passed).collect();
        for (suite, standing) in bad.iter().take(MOST_CASES) {
            let case = standing.case;
            let mark = match standing.came_to {
                CameTo::Failed => Mark::Failed,
                CameTo::Error => Mark::Error,
                CameTo::Flaky if standing.is_red => Mark::Failed,
                CameTo::Passed | CameTo::Flaky | CameTo::Known => Mark::Warning,
            };
            let verdict = match &case.verdict {
                Some(verdict) => format!("VERDICT_{}", one_line(verdict, LONGEST_LINE)),
                None => "no verdict".to_owned(),
            };
            let name =
                format!("{} / {}", one_line(&suite.suite, LONGEST_LINE), one_line(case.name.shown(), LONGEST_LINE));
            self.line("");
            let also = match standing.came_to {
                CameTo::Flaky | CameTo::Known => format!("  {}", standing.came_to),
                CameTo::Passed | CameTo::Failed | CameTo::Error => String::new(),
            };
            self.line(&format!("{}  {}{also}", self.paint.bold(&name), self.paint.with(mark.style(), &verdict)));
            if let Some(since) = summary.since(suite, standing) {
                self.line(&format!("  {}", one_line(&since.text(), LONGEST_LINE)));
            }
            for line in first_lines(standing.message.as_deref().unwrap_or_default(), MOST_LINES) {
                self.line(&format!("  {line}"));
            }
        }
        if bad.len() > MOST_CASES {
            self.line("");
            self.line(&format!("… and {}", count(bad.len() - MOST_CASES, "more case")));
        }
    }

    fn reports(&mut self, results: &Path) {
        self.line("");
        for (index, name) in ["summary.md", "report.html", "junit.xml", "run.json"].into_iter().enumerate() {
            let head = if index == 0 { "reports" } else { "" };
            self.line(&format!("{}  {}", self.paint.dim(&format!("{head:<7}")), results.join(name).display()));
        }
    }

    /// A table, if it has rows: the first two columns begin on the left, the numbers after a name end on the right.
    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |cells: &[&str]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if head.len() > 2 && column > 0 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            padded.collect::<Vec<_>>().join("  ")
        };
        self.line("");
        self.line(&self.paint.dim(line(head).trim_end()));
        for row in rows {
            self.line(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
}

fn style_of(status: Status) -> Style {
    match status {
        Status::Passed => AnsiColor::Green.on_default().bold(),
        Status::TestsFailed | Status::UpgradeFailed | Status::TestbedMixed => AnsiColor::Red.on_default().bold(),
        Status::Usage
        | Status::Testbed
        | Status::Inconclusive
        | Status::Report
        | Status::InternalError
        | Status::Interrupted => AnsiColor::Yellow.on_default().bold(),
    }
}
