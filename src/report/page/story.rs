//! What the night came to and why, before anything else: status, exit code, who gets up, the facts, the counts.

use super::super::markdown::headline;
use super::super::text::{date, took};
use super::escape::{Html, html, link, prose};
use super::grid::{STATES, letter, sign, word};
use crate::event::StepOutcome;
use crate::gate::CameTo;
use crate::history::{Entry, Line};
use crate::summary::{Counts, Reason, Status, StepRun, Summary};

/// The sign of a status, which needs no colour.
pub(super) fn sign_of(status: Option<Status>) -> char {
    match status {
        Some(Status::Passed) => '✓',
        Some(Status::TestsFailed | Status::UpgradeFailed) => '✕',
        Some(Status::TestbedMixed) => '‼',
        Some(Status::Interrupted) => '■',
        Some(Status::Usage | Status::Testbed | Status::Report | Status::InternalError) => '!',
        Some(Status::Inconclusive) => '?',
        None => '…',
    }
}

/// The class of a status: green is for what has passed, and for nothing else.
pub(super) fn tone(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Passed) => "good",
        Some(Status::TestsFailed | Status::UpgradeFailed | Status::TestbedMixed) => "bad",
        Some(_) => "unsure",
        None => "open",
    }
}

/// What the night came to; none while it is under way.
pub(super) fn status(summary: &Summary) -> Option<Status> {
    summary.ended.map(|_| summary.status())
}

/// The title of the page.
pub(super) fn title(summary: &Summary) -> String {
    match status(summary) {
        Some(status) => headline(status, summary.counts()),
        None => "Under way".to_owned(),
    }
}

/// The head of the page of a night.
pub(super) fn head(page: &mut Html, summary: &Summary) {
    let status = status(summary);
    let night = summary.night.as_ref();
    html!(page, "<header class=\"{}\">\n<p class=\"where\">{}</p>\n", tone(status), place(summary));
    html!(page, "<h1><span class=\"sign\" aria-hidden=\"true\">{}</span> {}</h1>\n", sign_of(status), title(summary));
    match status {
        Some(Status::Passed) => {
            html!(
                page,
                "<p class=\"lead\">Everything asked for was done, and every test that counts passed. Exit status 0; \
                 nobody gets up.</p>\n"
            );
        }
        Some(status) => lead(page, status),
        None => under_way(page, summary),
    }
    let reasons = summary.reasons();
    // While it is under way, what is still open is no reason.
    match status {
        Some(status) => self::reasons(page, status, &reasons),
        None => {
            let known: Vec<Reason> =
                reasons.into_iter().filter(|reason| reason.status != Status::Inconclusive).collect();
            if !known.is_empty() {
                html!(page, "<p>What is known already:</p>\n");
                self::reasons(page, Status::Inconclusive, &known);
            }
        }
    }
    counts(page, summary.counts());
    let Some(night) = night else {
        html!(page, "</header>\n");
        return;
    };
    html!(page, "<dl class=\"facts\">\n");
    fact(page, "Run", &code(&night.run));
    fact(page, "Command", &code(&night.command));
    if let Some(started) = summary.started {
        fact(page, "Began", &text(&date(started)));
    }
    if let Some(length) = summary.took() {
        fact(page, "Took", &text(&took(length)));
    }
    if let Some(release) = summary.tested() {
        fact(page, "Release", &code(&release));
    }
    if let Some(url) = &night.url {
        fact(page, "CI build", &link(url, url));
    }
    fact(page, "Program", &text(&format!("teravm-ci {}", night.program)));
    html!(page, "</dl>\n</header>\n");
}

fn place(summary: &Summary) -> String {
    let setup = summary.night.as_ref().and_then(|night| night.setup.clone());
    let day = summary.started.map(date);
    [Some("teravm-ci".to_owned()), setup, day].into_iter().flatten().collect::<Vec<_>>().join("  ·  ")
}

fn lead(page: &mut Html, status: Status) {
    html!(
        page,
        "<p class=\"lead\">Exit status {}, <strong>{}</strong>. Who gets up: {}.</p>\n",
        status.code(),
        status.name(),
        status.whose()
    );
}

fn under_way(page: &mut Html, summary: &Summary) {
    html!(
        page,
        "<p class=\"lead\" role=\"status\">The night has not ended: nothing here is final, and it has not passed. \
         This page is written anew as it goes on; load it again.</p>\n"
    );
    let now: Vec<String> = summary.steps.iter().filter(|run| run.outcome.is_none()).map(StepRun::name).collect();
    if !now.is_empty() {
        html!(page, "<p>Now: <strong>{}</strong></p>\n", now.join(", "));
    }
    for suite in &summary.suites {
        for open in &suite.open {
            html!(page, "<p>Running: {} / <code>{}</code></p>\n", suite.suite, open.case);
        }
    }
    if let Some(run) = summary.steps.iter().find(|run| matches!(run.outcome, Some(StepOutcome::Failed(_)))) {
        html!(page, "<p>A step has failed: <strong>{}</strong></p>\n", run.name());
    }
}

fn reasons(page: &mut Html, status: Status, reasons: &[Reason]) {
    if reasons.is_empty() {
        return;
    }
    html!(page, "<ul class=\"reasons\">\n");
    for reason in reasons {
        html!(page, "<li>{}", prose(&reason.text));
        if reason.status != status {
            html!(page, " <span class=\"quiet\">({})</span>", reason.status.name());
        }
        html!(page, "</li>\n");
    }
    html!(page, "</ul>\n");
}

fn counts(page: &mut Html, counts: Counts) {
    if counts.all() == 0 {
        return;
    }
    let of = |state| match state {
        Some(CameTo::Passed) => counts.passed,
        Some(CameTo::Failed) => counts.failed,
        Some(CameTo::Flaky) => counts.flaky,
        Some(CameTo::Known) => counts.known,
        Some(CameTo::Error) => counts.errors,
        None => 0,
    };
    html!(page, "<ul class=\"counts\" aria-label=\"Cases by what they came to\">\n");
    for state in STATES.into_iter().filter(|&state| of(state) > 0) {
        html!(
            page,
            "<li><span class=\"key {}\" aria-hidden=\"true\">{}</span> <strong>{}</strong> {}</li>\n",
            letter(state),
            sign(state),
            of(state),
            word(state)
        );
    }
    html!(page, "</ul>\n");
}

fn fact(page: &mut Html, name: &str, value: &Html) {
    html!(page, "<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
}

fn text(text: &str) -> Html {
    let mut page = Html::default();
    html!(page, "{}", text);
    page
}

fn code(text: &str) -> Html {
    let mut page = Html::default();
    html!(page, "<code>{}</code>", text);
    page
}

/// The head of the page of a setup's history: the last night as it is kept.
pub(super) fn history(page: &mut Html, setup: &str, last: Option<&Entry>, nights: &[Line]) {
    let Some(last) = last else {
        html!(
            page,
            "<header class=\"open\">\n<p class=\"where\">teravm-ci  ·  {}</p>\n<h1>No night has tested yet</h1>\n\
             </header>\n",
            setup
        );
        return;
    };
    let status = Some(last.status);
    html!(
        page,
        "<header class=\"{}\">\n<p class=\"where\">teravm-ci  ·  {}  ·  the last of {}</p>\n",
        tone(status),
        setup,
        super::super::text::count(nights.len(), "night")
    );
    html!(
        page,
        "<h1><span class=\"sign\" aria-hidden=\"true\">{}</span> {}</h1>\n",
        sign_of(status),
        headline(last.status, last.counts)
    );
    lead(page, last.status);
    reasons(page, last.status, &last.reasons);
    counts(page, last.counts);
    html!(page, "<dl class=\"facts\">\n");
    fact(page, "Run", &code(&last.run));
    fact(page, "Began", &text(&date(last.started)));
    if let Some(release) = &last.release {
        fact(page, "Release", &code(release));
    }
    if let Some(url) = &last.url {
        fact(page, "CI build", &link(url, url));
    }
    html!(page, "</dl>\n</header>\n");
}
