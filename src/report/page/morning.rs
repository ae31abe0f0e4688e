//! What is new since the last night: what is asked first at eight in the morning.

use super::super::text::{LONGEST_LINE, count, one_line};
use super::escape::{Html, html, link};
use super::failures::anchor;
use super::grid::{letter, sign, word};
use crate::gate::CameTo;
use crate::summary::{JudgedSuite, Standing, Summary};

/// How many cases a list names.
const MOST: usize = 100;

/// What is found of one case, in a line.
struct Found {
    group: usize,
    line: Html,
}

const GROUPS: [&str; 6] = ["New failures", "Failed", "Inconclusive", "Still failing", "Flaky", "Known failures"];

/// Failures by how new they are, and what has changed besides.
pub(super) fn morning(page: &mut Html, summary: &Summary) {
    let mut found = Vec::new();
    for (suite, number) in summary.judged().zip(1..) {
        for (standing, place) in suite.standings().iter().zip(1..) {
            found.extend(find(summary, &suite, standing, &anchor(number, place)));
        }
    }
    let changes = summary.changes();
    let mut groups: Vec<(&str, Vec<Html>)> = GROUPS.into_iter().map(|group| (group, Vec::new())).collect();
    for Found { group, line } in found {
        groups[group].1.push(line);
    }
    let named = |cases: &[(String, String)]| cases.iter().map(|(suite, case)| name(suite, case)).collect::<Vec<_>>();
    groups.push(("Fixed since the suite last ran", named(&changes.fixed)));
    groups.push(("Known failures that passed: take them out of the list", named(&changes.obsolete)));
    groups.push(("There when the suite last ran, and not tonight", named(&changes.missing)));
    let slower = changes.slower.iter().map(|(suite, case, text)| {
        let mut line = name(suite, case.as_deref().unwrap_or_default());
        html!(line, " <span class=\"about quiet\">{}</span>", text);
        line
    });
    groups.push(("Slower than usual", slower.collect()));
    groups.retain(|(_, lines)| !lines.is_empty());
    if groups.is_empty() {
        return;
    }
    html!(page, "<section id=\"new\" aria-labelledby=\"new-title\">\n<h2 id=\"new-title\">Since the last night</h2>\n");
    match summary.memory.as_ref().map(|memory| &memory.previous) {
        Some(Some(past)) => {
            html!(page, "<p class=\"quiet\">Compared with <code>{}</code>", past.run);
            if let Some(release) = &past.release {
                html!(page, " on <code>{}</code>", release);
            }
            html!(page, ".</p>\n");
        }
        Some(None) => html!(page, "<p class=\"quiet\">No night before has tested here.</p>\n"),
        None => html!(page, "<p class=\"quiet\">Nothing is known of the nights before.</p>\n"),
    }
    html!(page, "<div class=\"groups\">\n");
    for (title, lines) in &groups {
        html!(page, "<div><h3>{} <span class=\"number\">{}</span></h3>\n<ul>\n", title, lines.len());
        for line in lines.iter().take(MOST) {
            html!(page, "<li>{}</li>\n", line);
        }
        if lines.len() > MOST {
            html!(page, "<li class=\"quiet\">… and {}</li>\n", count(lines.len() - MOST, "more case"));
        }
        html!(page, "</ul></div>\n");
    }
    html!(page, "</div>\n</section>\n");
}

fn name(suite: &str, case: &str) -> Html {
    let mut page = Html::default();
    html!(
        page,
        "<span class=\"suite\">{}</span> <code>{}</code>",
        one_line(suite, LONGEST_LINE),
        one_line(case, LONGEST_LINE)
    );
    page
}

fn find(summary: &Summary, suite: &JudgedSuite<'_>, standing: &Standing<'_>, anchor: &str) -> Option<Found> {
    let since = summary.since(suite, standing);
    let is_new = since.as_ref().is_some_and(|since| since.is_new);
    let group = match standing.came_to {
        CameTo::Passed => return None,
        CameTo::Failed if is_new => 0,
        // Of nothing that history was not asked about can be said that it is new.
        CameTo::Failed if since.is_none() => 1,
        CameTo::Error => 2,
        CameTo::Failed => 3,
        CameTo::Flaky => 4,
        CameTo::Known => 5,
    };
    let state = Some(standing.came_to);
    let mut line = Html::default();
    html!(
        line,
        "<span class=\"key {}\" role=\"img\" aria-label=\"{}\">{}</span> ",
        letter(state),
        word(state),
        sign(state)
    );
    let (suite, case) = (one_line(&suite.suite, LONGEST_LINE), one_line(standing.case.name.shown(), LONGEST_LINE));
    html!(line, "<span class=\"suite\">{}</span> <a href=\"#{}\"><code>{}</code></a>", suite, anchor, case);
    let mut about = Html::default();
    line_of_since(&mut about, since.as_ref());
    if !about.is_empty() {
        html!(line, " <span class=\"about\">{}</span>", about);
    }
    Some(Found { group, line })
}

/// Since when it is so, and the commits that may have done it.
pub(super) fn line_of_since(line: &mut Html, since: Option<&crate::summary::Since>) {
    let Some(since) = since else { return };
    html!(line, "<span class=\"quiet\">{}</span>", since.text());
    if let Some(commits) = &since.commits {
        html!(line, " {}", link(commits, "commits between"));
    }
}
