//! What the night did on the testbed: suites, gateways with their releases, steps with their times, notes and files.

use std::time::Duration;

use time::OffsetDateTime;

use super::super::text::{LONGEST_LINE, age, bytes, clock, count, one_line, took};
use super::escape::{Html, file, html, prose};
use super::failures::{block, console};
use crate::event::{GatewayOutcome, Level, StepOutcome};
use crate::secret::RedactedText;
use crate::summary::{StepRun, Summary};

/// How many notes and files are listed.
const MOST_LINES: usize = 200;
const MOST_DETAILS: usize = 4_000;

/// The suites in numbers.
pub(super) fn suites(page: &mut Html, summary: &Summary) {
    if summary.suites.is_empty() {
        return;
    }
    section(page, "suites", "Suites");
    html!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Suites\"><table>\n\
         <caption>What each suite came to</caption>\n<thead><tr><th scope=\"col\">Suite</th><th scope=\"col\">Came to\
         </th>"
    );
    for head in ["Passed", "Failed", "Inconclusive", "Flaky", "Known", "Took"] {
        html!(page, "<th scope=\"col\" class=\"n\">{}</th>", head);
    }
    html!(
        page,
        "<th scope=\"col\">List verdict</th><th scope=\"col\">ng40test</th><th scope=\"col\">Files</th></tr>\
         </thead>\n<tbody>\n"
    );
    for suite in summary.judged() {
        let counts = suite.counts();
        let came_to = match &suite.end {
            Some(_) => suite.status().name(),
            None if suite.started.is_some() && summary.ended.is_none() => "under way",
            None if suite.started.is_some() => "did not finish",
            None => "not started",
        };
        let numbers = [counts.passed, counts.failed, counts.errors, counts.flaky, counts.known];
        html!(page, "<tr><th scope=\"row\">{}</th><td>{}</td>", one_line(&suite.suite, LONGEST_LINE), came_to);
        for number in numbers {
            html!(page, "<td class=\"n\">{}</td>", number);
        }
        let end = suite.end.as_ref();
        html!(page, "<td class=\"n\">{}</td>", end.map_or_else(|| "—".to_owned(), |end| took(end.took)));
        let verdict = end.map(|end| end.verdict.as_deref().unwrap_or("none"));
        html!(page, "<td>{}</td>", one_line(verdict.unwrap_or("—"), LONGEST_LINE));
        html!(page, "<td>{}</td><td>", one_line(end.map_or("—", |end| &end.exit), LONGEST_LINE));
        let attempts = suite.earlier.len() + 1;
        for attempt in 1..=attempts {
            if let Some(link) = console(summary, &suite, attempt, attempts > 1) {
                html!(page, "{} ", link);
            }
        }
        html!(page, "</td></tr>\n");
    }
    html!(page, "</tbody>\n</table></div>\n</section>\n");
}

/// What each gateway ran before and runs now, and what was passed over.
pub(super) fn gateways(page: &mut Html, summary: &Summary) {
    if summary.gateways.is_empty() && summary.release.is_none() && summary.passed_over.is_empty() {
        return;
    }
    section(page, "gateways", "Gateways");
    if let Some(release) = &summary.release {
        html!(page, "<p><code>{}</code> was asked for, which is <code>{}</code>", release.wanted, release.version);
        if let Some(tag) = &release.tag {
            html!(page, ", image tag <code>{}</code>", tag);
        }
        html!(page, ".</p>\n");
    }
    if !summary.gateways.is_empty() {
        html!(
            page,
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Gateways\"><table>\n\
             <caption>Releases before and after the night</caption>\n<thead><tr><th scope=\"col\">Gateway</th>\
             <th scope=\"col\">Before</th><th scope=\"col\">After</th><th scope=\"col\">What was done</th></tr>\
             </thead>\n<tbody>\n"
        );
        for gateway in &summary.gateways {
            let done = match &gateway.outcome {
                Some(GatewayOutcome::Upgraded { .. }) => "upgraded",
                Some(GatewayOutcome::Downgraded { .. }) => "downgraded",
                Some(GatewayOutcome::Unchanged { .. }) => "unchanged",
                Some(GatewayOutcome::Restored { .. }) => "restored",
                Some(GatewayOutcome::Mixed { .. }) => "mixed",
                None => "not switched",
            };
            let after = match &gateway.outcome {
                Some(GatewayOutcome::Mixed { runs }) => runs.as_str(),
                _ => gateway.after().unwrap_or("—"),
            };
            let before = gateway.before.as_deref().unwrap_or("—");
            html!(
                page,
                "<tr><th scope=\"row\">{}</th><td><code>{}</code></td><td><code>{}</code></td><td>{}</td></tr>\n",
                gateway.gateway,
                before,
                after,
                done
            );
            for package in gateway.outcome.iter().flat_map(|outcome| outcome.others(&gateway.packages)) {
                let version = |version: &Option<RedactedText>| version.clone().unwrap_or_else(|| "—".into());
                html!(
                    page,
                    "<tr><th scope=\"row\">{} {}</th><td><code>{}</code></td><td><code>{}</code></td><td>package</td></tr>\n",
                    gateway.gateway,
                    package.name,
                    version(&package.from),
                    version(&package.to)
                );
            }
        }
        html!(page, "</tbody>\n</table></div>\n");
    }
    if !summary.passed_over.is_empty() {
        html!(page, "<h3>Passed over</h3>\n<ul>\n");
        for release in summary.passed_over.iter().take(MOST_LINES) {
            html!(
                page,
                "<li><code>{}</code>, built {} ago: {}</li>\n",
                release.version,
                age(release.age),
                prose(&release.reason)
            );
        }
        html!(page, "</ul>\n");
    }
    html!(page, "</section>\n");
}

/// Each step with its time, and where in the night it lies.
pub(super) fn steps(page: &mut Html, summary: &Summary) {
    let Some(first) = summary.steps.iter().map(|run| run.started).min() else { return };
    let end = summary.steps.iter().map(end_of).max().unwrap_or(first);
    let all = (end - first).as_seconds_f64().max(0.001);
    section(page, "steps", "Steps");
    html!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Steps\"><table class=\"steps\">\n\
         <caption>The way of the night; times are UTC</caption>\n<thead><tr><th scope=\"col\">Step</th>\
         <th scope=\"col\">Began</th><th scope=\"col\" class=\"n\">Took</th><th scope=\"col\" class=\"wide\">\
         <span class=\"unseen\">Where in the night</span></th><th scope=\"col\">What came of it</th></tr></thead>\n\
         <tbody>\n"
    );
    for run in &summary.steps {
        let (class, sign, word) = match &run.outcome {
            Some(StepOutcome::Done { .. }) => ("p", '✓', "done"),
            Some(StepOutcome::Failed(_)) => ("f", '✕', "failed"),
            Some(StepOutcome::Skipped { .. }) => ("m", '–', "skipped"),
            None => ("e", '…', "under way"),
        };
        html!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td>",
            run.name(),
            clock(run.started),
            run.took.map_or_else(|| "—".to_owned(), took)
        );
        let (from, to) = ((run.started - first).as_seconds_f64(), (end_of(run) - first).as_seconds_f64());
        let part = |seconds: f64| (seconds / all * 10_000.0).round() / 10.0;
        html!(
            page,
            "<td class=\"wide\">\
             <svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"{}\" x=\"{}\" y=\"0\" width=\"{}\" height=\"10\"/></svg></td>",
            class,
            part(from),
            part(to - from).max(4.0)
        );
        html!(page, "<td><span class=\"key {}\" role=\"img\" aria-label=\"{}\">{}</span> ", class, word, sign);
        match &run.outcome {
            Some(StepOutcome::Done { text }) => html!(page, "{}", prose(text)),
            Some(StepOutcome::Skipped { reason }) => html!(page, "skipped: {}", prose(reason)),
            Some(StepOutcome::Failed(problem)) => {
                html!(page, "failed\n");
                block(page, &problem.text(), MOST_DETAILS);
            }
            None if summary.ended.is_some() => html!(page, "began and did not end"),
            None => html!(page, "under way"),
        }
        html!(page, "</td></tr>\n");
    }
    html!(page, "</tbody>\n</table></div>\n</section>\n");
}

fn end_of(run: &StepRun) -> OffsetDateTime {
    run.started
        .checked_add(time::Duration::try_from(run.took.unwrap_or(Duration::ZERO)).unwrap_or(time::Duration::ZERO))
        .unwrap_or(run.started)
}

/// What a reader should know besides.
pub(super) fn notes(page: &mut Html, summary: &Summary) {
    let mut lines: Vec<Html> = Vec::new();
    for outage in &summary.outages {
        let length = outage.took.map_or_else(|| "and did not come back".to_owned(), |out| format!("for {}", took(out)));
        let mut line = Html::default();
        html!(line, "<strong>Warning</strong> the tunnel was lost {}: {}", length, prose(&outage.reason));
        lines.push(line);
    }
    // Warnings first: when there are too many, they are the ones to see.
    for level in [Level::Warning, Level::Info] {
        for note in summary.notes.iter().filter(|note| note.level == level) {
            let mut line = Html::default();
            if level == Level::Warning {
                html!(line, "<strong>Warning</strong> ");
            }
            let (first, more) = note.text.split_once('\n').unwrap_or((&note.text, ""));
            html!(line, "{}: {}", crate::summary::step_name(note.step, note.host.as_deref()), prose(first));
            block(&mut line, more, MOST_DETAILS);
            lines.push(line);
        }
    }
    for suite in &summary.suites {
        for note in suite.end.iter().flat_map(|end| &end.notes) {
            let mut line = Html::default();
            html!(line, "{}: {}", one_line(&suite.suite, LONGEST_LINE), prose(note));
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return;
    }
    section(page, "notes", "Notes");
    list(page, &lines);
    html!(page, "</section>\n");
}

/// The other reports, and what was collected.
pub(super) fn files(page: &mut Html, summary: &Summary) {
    section(page, "files", "Files");
    html!(page, "<ul>\n<li>{}: every case, for CI</li>\n", file("junit.xml", "junit.xml"));
    html!(page, "<li>{}: everything, for programs</li>\n", file("run.json", "run.json"));
    html!(page, "<li>{}: the night as it happened</li>\n", file("events.jsonl", "events.jsonl"));
    html!(page, "<li>{}: the same in short</li>\n</ul>\n", file("summary.md", "summary.md"));
    let collected = summary.collected.iter().map(|found| {
        let mut line = Html::default();
        html!(
            line,
            "{} <span class=\"quiet\">of {}, {}</span>",
            file(&found.path, &found.path),
            found.host,
            bytes(found.bytes)
        );
        line
    });
    let collected: Vec<Html> = collected.collect();
    if !collected.is_empty() {
        html!(page, "<h3>Collected</h3>\n");
        list(page, &collected);
    }
    html!(page, "</section>\n");
}

fn list(page: &mut Html, lines: &[Html]) {
    html!(page, "<ul>\n");
    for line in lines.iter().take(MOST_LINES) {
        html!(page, "<li>{}</li>\n", line);
    }
    if lines.len() > MOST_LINES {
        html!(
            page,
            "<li>… and {}; {} has them.</li>\n",
            count(lines.len() - MOST_LINES, "more line"),
            file("run.json", "run.json")
        );
    }
    html!(page, "</ul>\n");
}

fn section(page: &mut Html, id: &str, title: &str) {
    html!(page, "<section id=\"{}\" aria-labelledby=\"{}-title\">\n<h2 id=\"{}-title\">{}</h2>\n", id, id, id, title);
}
