//! Every case that did not simply pass: verdict, message, what explains it, its attempts, its console, and where the
//! files are.

use super::super::text::{LONGEST_LINE, count, one_line, took};
use super::escape::{Html, file, html};
use super::grid::{letter, sign, word};
use super::morning::line_of_since;
use crate::gate::CameTo;
use crate::history::Entry;
use crate::results::console_name;
use crate::summary::{JudgedSuite, Standing, Summary, head_and_tail};

/// How many cases are told of in full, and how many at all; the others stand in `junit.xml`.
const MOST_IN_FULL: usize = 60;
const MOST: usize = 500;
/// How much is shown of what explains a verdict, and of a console.
const MOST_DETAILS: usize = 6_000;
const MOST_CONSOLE: usize = 12_000;
const MOST_MESSAGE: usize = 2_000;

/// The name of a case on the page, by the places of its suite and of itself.
pub(super) fn anchor(suite: usize, case: usize) -> String {
    format!("case-{suite}-{case}")
}

/// The cases of tonight that did not simply pass.
pub(super) fn failures(page: &mut Html, summary: &Summary) {
    let mut cases = Html::default();
    let mut told = 0;
    for (suite, number) in summary.judged().zip(1..) {
        if let Some(problem) = suite.end.as_ref().and_then(|end| end.problem.as_ref()) {
            html!(
                cases,
                "<article class=\"case\">\n<h3><span class=\"key e\" aria-hidden=\"true\">?</span> {}</h3>\n",
                one_line(&suite.suite, LONGEST_LINE)
            );
            html!(cases, "<p class=\"meta\">the suite as a whole</p>\n");
            block(&mut cases, &problem.text(), MOST_DETAILS);
            html!(cases, "</article>\n");
        }
        for (standing, place) in suite.standings().iter().zip(1..) {
            if standing.came_to == CameTo::Passed {
                continue;
            }
            told += 1;
            if told <= MOST {
                tell(&mut cases, summary, &suite, standing, &anchor(number, place), told <= MOST_IN_FULL);
            }
        }
    }
    if cases.is_empty() {
        return;
    }
    html!(
        page,
        "<section id=\"failures\" aria-labelledby=\"failures-title\">\n<h2 id=\"failures-title\">What did not pass\
         </h2>\n{}",
        cases
    );
    if told > MOST {
        html!(page, "<p>… and {}; {} has them.</p>\n", count(told - MOST, "more case"), file("junit.xml", "junit.xml"));
    }
    html!(page, "</section>\n");
}

fn tell(
    page: &mut Html,
    summary: &Summary,
    suite: &JudgedSuite<'_>,
    standing: &Standing<'_>,
    anchor: &str,
    in_full: bool,
) {
    let case = standing.case;
    head(page, anchor, standing.came_to, case.name.shown());
    let verdict = match &case.verdict {
        Some(verdict) => format!("VERDICT_{verdict}"),
        None => "no verdict".to_owned(),
    };
    html!(
        page,
        "<p class=\"meta\"><span class=\"suite\">{}</span> · {} · <code>{}</code> · {}",
        one_line(&suite.suite, LONGEST_LINE),
        word(Some(standing.came_to)),
        one_line(&verdict, LONGEST_LINE),
        took(case.took)
    );
    if !case.params.is_empty() {
        html!(page, " · <code>{}</code>", one_line(&case.params, LONGEST_LINE));
    }
    html!(page, "</p>\n");
    let mut since = Html::default();
    line_of_since(&mut since, summary.since(suite, standing).as_ref());
    if !since.is_empty() {
        html!(page, "<p class=\"since\">{}</p>\n", since);
    }
    block(page, standing.message.as_deref().unwrap_or_default(), MOST_MESSAGE);
    let story = standing.story();
    if !story.is_empty() {
        html!(page, "<ol class=\"attempts\">\n");
        for attempt in &story {
            html!(page, "<li>{}</li>\n", one_line(attempt, LONGEST_LINE));
        }
        html!(page, "</ol>\n");
    }
    if in_full {
        let message = standing.message.as_deref().unwrap_or_default();
        let details = case.details.trim();
        if !details.is_empty() && !message.contains(details) {
            folded(page, "Verification and counters", details, MOST_DETAILS);
        }
        if !case.console.trim().is_empty() {
            folded(page, "Console of the case", &case.console, MOST_CONSOLE);
        }
    }
    let mut files: Vec<Html> = Vec::new();
    for &(attempt, _) in &standing.attempts {
        files.extend(console(summary, suite, attempt, standing.attempts.len() > 1));
    }
    files.push(file("junit.xml", "junit.xml"));
    html!(page, "<p class=\"files\">");
    for (place, file) in files.iter().enumerate() {
        html!(page, "{}{}", if place == 0 { "" } else { " · " }, file);
    }
    html!(page, "</p>\n</article>\n");
}

fn head(page: &mut Html, anchor: &str, came_to: CameTo, case: &str) {
    let state = Some(came_to);
    html!(
        page,
        "<article class=\"case\" id=\"{}\">\n<h3><span class=\"key {}\" aria-hidden=\"true\">{}</span> {}</h3>\n",
        anchor,
        letter(state),
        sign(state),
        one_line(case, LONGEST_LINE)
    );
}

/// The console of an attempt at a suite, where this night kept one.
pub(super) fn console(summary: &Summary, suite: &JudgedSuite<'_>, attempt: usize, is_numbered: bool) -> Option<Html> {
    // A console that was read offline lies where it was, and not beside the reports.
    let is_kept = summary.night.as_ref().is_some_and(|night| night.command != "report");
    if !is_kept || suite.started.is_none() {
        return None;
    }
    let name = match attempt {
        1 if !is_numbered => "whole console".to_owned(),
        attempt => format!("console of attempt {attempt}"),
    };
    Some(file(&console_name(&suite.suite, attempt as u64), &name))
}

/// The cases of the last night that did not simply pass, as history has them.
pub(super) fn past(page: &mut Html, last: &Entry) {
    let cases = || {
        let all = last.suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
        all.filter_map(|(suite, case)| Some((suite, case, case.came_to.filter(|came_to| *came_to != CameTo::Passed)?)))
    };
    if cases().next().is_none() {
        return;
    }
    html!(
        page,
        "<section id=\"failures\" aria-labelledby=\"failures-title\">\n\
         <h2 id=\"failures-title\">What did not pass in the last night</h2>\n"
    );
    for ((suite, case, came_to), place) in cases().take(MOST).zip(1..) {
        head(page, &anchor(0, place), came_to, &case.case);
        html!(
            page,
            "<p class=\"meta\"><span class=\"suite\">{}</span> · {} · {}</p>\n",
            one_line(&suite.suite, LONGEST_LINE),
            word(Some(came_to)),
            took(std::time::Duration::from_millis(case.took_ms))
        );
        block(page, case.message.as_deref().unwrap_or_default(), MOST_MESSAGE);
        html!(page, "</article>\n");
    }
    let all = cases().count();
    if all > MOST {
        html!(page, "<p>… and {}.</p>\n", count(all - MOST, "more case"));
    }
    html!(page, "</section>\n");
}

/// Text as it was printed.
pub(super) fn block(page: &mut Html, text: &str, most: usize) {
    let text = text.trim_end();
    if !text.trim().is_empty() {
        html!(page, "<pre tabindex=\"0\">{}</pre>\n", head_and_tail(text, most).trim_end());
    }
}

fn folded(page: &mut Html, title: &str, text: &str, most: usize) {
    html!(page, "<details><summary>{}</summary>\n", title);
    block(page, text, most);
    html!(page, "</details>\n");
}
