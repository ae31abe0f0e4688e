//! Nights that were, as tables for people.

use super::{Entry, Line};
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
            night.release.clone().unwrap_or_default(),
        ]
    });
    let heading = ["run", "started", "setup", "command", "status", "passed", "failed", "error", "release"];
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
        let others = suite.cases.iter().filter(|case| case.judged != super::entry::Judged::Passed);
        others.map(|case| {
            let message = case.message.as_deref().unwrap_or_default();
            vec![
                suite.suite.clone(),
                case.case.clone(),
                case.judged.name().to_owned(),
                text::one_line(message, text::LONGEST_LINE),
            ]
        })
    });
    section(&mut page, &["suite", "case", "judged", "why"], &cases.collect::<Vec<_>>());
    page
}

fn section(page: &mut String, heading: &[&str], rows: &[Vec<String>]) {
    if !rows.is_empty() {
        page.push('\n');
        page.push_str(&table(heading, rows));
    }
}

/// Columns as wide as what stands in them.
fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let shown = rows.iter().map(|row| row.iter().map(|cell| text::visible(cell)).collect::<Vec<_>>());
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
