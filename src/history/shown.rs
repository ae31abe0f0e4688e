//! Nights that were, as tables for people.

use std::time::Duration;

use super::compare::{Comparison, Found};
use super::ship::{Answer, Ships};
use super::{Entry, Line};
use crate::gate::{CameTo, day};
use crate::memory::Past;
use crate::release::Release;
use crate::report::text;

/// The nights, one a line.
pub(super) fn list(nights: &[Line]) -> String {
    if nights.is_empty() {
        return "no night\n".to_owned();
    }
    let rows = nights.iter().map(|night| {
        vec![
            night.run.clone(),
            text::date(night.started),
            night.setup.clone().unwrap_or_default(),
            night.command.clone(),
            night.status.to_string(),
            night.counts.passed.to_string(),
            night.counts.failed.to_string(),
            night.counts.errors.to_string(),
            night.counts.flaky.to_string(),
            night.counts.known.to_string(),
            night.release.clone().unwrap_or_default(),
        ]
    });
    let heading =
        ["run", "started", "setup", "command", "status", "passed", "failed", "error", "flaky", "known", "release"];
    table(&heading, &rows.collect::<Vec<_>>())
}

/// One night: what it came to, what ran where, and the cases that did not pass.
pub(super) fn night(night: &Entry) -> String {
    let mut page = format!("{}  {}\n", night.status.to_string().to_uppercase(), night.run);
    let mut about = vec![text::date(night.started), night.command.clone()];
    about.extend(night.setup.clone());
    about.extend(night.url.clone());
    page.push_str(&format!("  {}\n", about.join("  ")));
    for reason in &night.reasons {
        page.push_str(&format!("  {}\n", text::one_line(&reason.text, text::LONGEST_LINE)));
    }
    let gateways = night.gateways.iter().map(|gateway| {
        let or_unknown = |release: &Option<String>| release.clone().unwrap_or_else(|| "unknown".to_owned());
        vec![gateway.gateway.clone(), or_unknown(&gateway.before), or_unknown(&gateway.after)]
    });
    section(&mut page, &["gateway", "before", "after"], &gateways.collect::<Vec<_>>());
    let suites = night.suites.iter().map(|suite| {
        let verdict = suite.verdict.clone().unwrap_or_else(|| "none".to_owned());
        vec![suite.suite.clone(), suite.cases.len().to_string(), verdict]
    });
    section(&mut page, &["suite", "cases", "list verdict"], &suites.collect::<Vec<_>>());
    let cases = night.suites.iter().flat_map(|suite| {
        let bad: Vec<&str> = suite
            .cases
            .iter()
            .filter(|case| case.came_to.is_some_and(|came_to| came_to != CameTo::Passed))
            .map(|case| case.case.as_str())
            .collect();
        // Of a case that did not simply pass, every attempt.
        let told = suite.cases.iter().filter(move |case| bad.contains(&case.case.as_str()));
        told.map(|case| {
            let message = case.message.as_deref().unwrap_or_default();
            vec![
                suite.suite.clone(),
                case.case.clone(),
                case.attempt.to_string(),
                case.came_to.map_or_else(|| case.judged.name(), CameTo::name).to_owned(),
                text::one_line(message, text::LONGEST_LINE),
            ]
        })
    });
    section(&mut page, &["suite", "case", "attempt", "came to", "why"], &cases.collect::<Vec<_>>());
    page
}

/// Two nights side by side.
pub(super) fn comparison(comparison: &Comparison) -> String {
    let Comparison { a, b, .. } = comparison;
    let night = |past: &Past| {
        let release = past.release.as_deref().unwrap_or("unknown");
        vec![past.run.clone(), text::date(past.started), release.to_owned()]
    };
    let mut page = table(&["run", "started", "release"], &[night(a), night(b)]);
    page.extend(comparison.commits.iter().map(|link| format!("commits between  {link}\n")));
    let since = |found: &Found| {
        let on = |past: &Option<Past>| past.as_ref().map_or_else(|| "—".to_owned(), short);
        let message = found.message.as_deref().unwrap_or_default();
        vec![
            found.suite.clone(),
            found.case.clone(),
            on(&found.bad_since),
            on(&found.last_good),
            text::one_line(message, text::LONGEST_LINE),
        ]
    };
    for (title, found) in
        [("new failures", &comparison.new), ("still failing", &comparison.still), ("known failures", &comparison.known)]
    {
        let heading = ["suite", "case", "since", "passed last", "why"];
        titled(&mut page, title, &heading, &found.iter().map(since).collect::<Vec<_>>());
    }
    for (title, found) in [
        ("flaky", &comparison.flaky),
        ("fixed", &comparison.fixed),
        ("missing", &comparison.missing),
        ("new cases", &comparison.added),
    ] {
        let row = |found: &Found| vec![found.suite.clone(), found.case.clone(), found.came_to.name().to_owned()];
        titled(&mut page, title, &["suite", "case", "came to"], &found.iter().map(row).collect::<Vec<_>>());
    }
    let slower = comparison.slower.iter().map(|slower| {
        vec![slower.suite.clone(), slower.case.clone(), text::took(slower.before), text::took(slower.took)]
    });
    titled(&mut page, "slower", &["suite", "case", "before", "took"], &slower.collect::<Vec<_>>());
    page
}

/// Whether a release may ship, suite by suite.
pub(super) fn answer(answer: &Answer, max_age: Duration) -> String {
    let release = answer.release.as_deref().unwrap_or(&answer.wanted);
    let verdict = match answer.verdict {
        Ships::Yes => "YES",
        Ships::No => "NO",
        Ships::Unknown => "NOT KNOWN",
    };
    let within = crate::config::format_duration(max_age);
    let mut page = format!("{verdict}  {}  by the nights of the last {within}\n", text::visible(release));
    let rows = answer.suites.iter().map(|asked| {
        let says = match asked.verdict {
            Ships::Yes => "passed",
            Ships::No => "failed",
            Ships::Unknown => "not known",
        };
        let night = asked.night.as_ref().map_or_else(|| "—".to_owned(), |night| night.run.clone());
        let why = asked.why.join(", ");
        vec![asked.setup.clone(), asked.suite.clone(), says.to_owned(), night, text::one_line(&why, text::LONGEST_LINE)]
    });
    section(&mut page, &["setup", "suite", "says", "night", "why"], &rows.collect::<Vec<_>>());
    page
}

/// A night in a cell: its day, and the commit that was tested.
fn short(past: &Past) -> String {
    let release = past.release.as_deref().unwrap_or("unknown");
    let commit = release.parse::<Release>().map_or_else(|_| release.to_owned(), |release| release.commit().to_owned());
    format!("{} {commit}", day::text(past.started.date()))
}

fn titled(page: &mut String, title: &str, heading: &[&str], rows: &[Vec<String>]) {
    if !rows.is_empty() {
        page.push_str(&format!("\n{title}\n"));
        page.push_str(&table(heading, rows));
    }
}

fn section(page: &mut String, heading: &[&str], rows: &[Vec<String>]) {
    if !rows.is_empty() {
        page.push('\n');
        page.push_str(&table(heading, rows));
    }
}

/// Columns as wide as what stands in them, each cell on one line: a table with a text of any length is still one.
fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| text::one_line(cell, text::LONGEST_LINE);
    let shown = rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>());
    let heading: Vec<String> = heading.iter().map(|&word| word.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(shown).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
