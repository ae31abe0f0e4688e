//! `summary.md`: the night for a morning, in a pull request, in Slack.
//!
//! It leads with what the night came to and why. Whatever the lab printed stands in code, where it cannot do anything.

use super::folder::MARK;
use super::text::{LONGEST_LINE, age, bytes, count, date, one_line, took, visible};
use crate::event::{GatewayOutcome, Level, StepOutcome};
use crate::gate::CameTo;
use crate::results::console_name;
use crate::secret::RedactedText;
use crate::summary::{Counts, Standing, Status, SuiteRun, Summary, head_and_tail};

/// How many cases are told of in full; the others stand in `junit.xml`.
const MOST_CASES: usize = 30;
/// How much is shown of what explains a verdict.
const MOST_DETAILS: usize = 2_000;
/// How many notes and files are listed.
const MOST_LINES: usize = 40;

/// Returns the text of `summary.md`.
pub(crate) fn document(summary: &Summary) -> String {
    let mut page = Page(String::new());
    head(&mut page, summary);
    morning(&mut page, summary);
    gateways(&mut page, summary);
    suites(&mut page, summary);
    cases(&mut page, summary);
    steps(&mut page, summary);
    notes(&mut page, summary);
    files(&mut page, summary);
    page.gap();
    page.line(MARK);
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }

    fn title(&mut self, title: &str) {
        self.gap();
        self.line(format!("## {title}"));
        self.gap();
    }

    /// Text as it was printed, in a block that it cannot end.
    fn block(&mut self, indent: &str, text: &str) {
        let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
        self.line(format!("{indent}{fence}text"));
        for line in visible(text).trim_end().lines() {
            self.line(format!("{indent}{line}"));
        }
        self.line(format!("{indent}{fence}"));
    }
}

fn head(page: &mut Page, summary: &Summary) {
    let status = summary.status();
    let night = summary.night.as_ref();
    let setup = night.and_then(|night| night.setup.as_deref());
    let on = setup.map(|setup| format!(" on {}", plain(setup))).unwrap_or_default();
    page.line(format!("# {} {}{on}", sign(status), headline(status, summary.counts())));
    page.gap();
    match status {
        Status::Passed => page.line("Everything asked for was done, and every test that counts passed."),
        _ => page.line(format!("Exit status {}, **{status}**. Who gets up: {}.", status.code(), status.whose())),
    }
    let reasons = summary.reasons();
    if !reasons.is_empty() {
        page.gap();
    }
    for reason in &reasons {
        let also = if reason.status == status { String::new() } else { format!(" ({})", reason.status) };
        page.line(format!("- {}{also}", prose(&one_line(&reason.text, LONGEST_LINE))));
    }
    let Some(night) = night else { return };
    page.gap();
    let mut facts = vec![format!("Run {}", code(&night.run)), format!("`{}`", visible(&night.command))];
    if let Some(started) = summary.started {
        let length = summary.took().map(|length| format!(", {}", took(length))).unwrap_or_default();
        facts.push(format!("{}{length}", date(started)));
    }
    if let Some(url) = &night.url {
        facts.push(format!("<{}>", visible(url).replace(['<', '>', ' ', '\n'], "")));
    }
    facts.push(format!("teravm-ci {}", plain(&night.program)));
    page.line(facts.join(" · "));
}

fn sign(status: Status) -> &'static str {
    match status {
        Status::Passed => "✅",
        Status::TestsFailed | Status::UpgradeFailed => "❌",
        Status::TestbedMixed => "🚨",
        Status::Interrupted => "⏹️",
        Status::Usage | Status::Testbed | Status::Inconclusive | Status::Report | Status::InternalError => "⚠️",
    }
}

/// What a night came to, in a line.
pub(super) fn headline(status: Status, counts: Counts) -> String {
    let all = counts.all();
    match status {
        Status::Passed if all > 0 => format!("Passed: {}{}", count(all, "case"), apart(counts)),
        Status::Passed => "Passed".to_owned(),
        Status::TestsFailed if counts.failed == 0 => {
            format!("Tests failed: {} of {}", counts.flaky, count(all, "case"))
        }
        Status::TestsFailed => format!("Tests failed: {} of {}{}", counts.failed, count(all, "case"), apart(counts)),
        Status::Usage => "Usage".to_owned(),
        Status::Testbed => "Testbed trouble".to_owned(),
        Status::UpgradeFailed => "Upgrade failed".to_owned(),
        Status::TestbedMixed => "The testbed is mixed: a person has to look".to_owned(),
        Status::Inconclusive => "Inconclusive".to_owned(),
        Status::Report => "A report could not be written".to_owned(),
        Status::InternalError => "Internal error in teravm-ci".to_owned(),
        Status::Interrupted => "Interrupted".to_owned(),
    }
}

/// What is counted apart.
fn apart(counts: Counts) -> String {
    let mut parts = Vec::new();
    parts.extend((counts.flaky > 0).then(|| format!("{} flaky", counts.flaky)));
    parts.extend((counts.known > 0).then(|| format!("{} known", counts.known)));
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Since when what does not pass does not, and what else is new: this is what is asked first in the morning.
fn morning(page: &mut Page, summary: &Summary) {
    let Some(memory) = &summary.memory else { return };
    let mut lines = Vec::new();
    for suite in summary.judged() {
        for standing in suite.standings() {
            let Some(since) = summary.since(&suite, &standing) else { continue };
            let sign = if standing.is_red { if since.is_new { "🆕" } else { "❌" } } else { "🔕" };
            let commits =
                since.commits.as_ref().map(|link| format!(" ([commits](<{}>))", link.replace(['<', '>', '\n'], "")));
            let name = format!("{}: {}", plain(&suite.suite), code(standing.case.name.shown()));
            lines.push((
                !standing.is_red,
                !since.is_new,
                format!("- {sign} {name}: {}{}", plain(&since.text()), commits.unwrap_or_default()),
            ));
        }
    }
    lines.sort_by_key(|(is_known, is_old, _)| (*is_known, *is_old));
    let mut lines: Vec<String> = lines.into_iter().map(|(_, _, line)| line).collect();
    let changes = summary.changes();
    let named = |sign: &str, what: &str, cases: &[(String, String)]| {
        let names: Vec<String> =
            cases.iter().take(MOST_CASES).map(|(suite, case)| format!("{} {}", plain(suite), code(case))).collect();
        let more =
            if cases.len() > MOST_CASES { format!(" and {} more", cases.len() - MOST_CASES) } else { String::new() };
        (!names.is_empty()).then(|| format!("- {sign} {what}: {}{more}", names.join(", ")))
    };
    lines.extend(named("🎲", "flaky", &changes.flaky));
    lines.extend(named("✅", "fixed since the suite last ran", &changes.fixed));
    lines.extend(named("✅", "known failures that passed, to be taken out of the list", &changes.obsolete));
    lines.extend(named("👻", "there when the suite last ran, and not tonight", &changes.missing));
    for (suite, case, text) in changes.slower.iter().take(MOST_CASES) {
        let case = case.as_ref().map(|case| format!(" {}", code(case))).unwrap_or_default();
        lines.push(format!("- 🐢 {}{case}: {}", plain(suite), plain(text)));
    }
    if lines.is_empty() {
        return;
    }
    let before = memory.previous.as_ref().map(|past| format!(", compared with {}", code(&past.run)));
    page.title(&format!("Since when{}", before.unwrap_or_default()));
    for line in lines.iter().take(3 * MOST_CASES) {
        page.line(line);
    }
    if lines.len() > 3 * MOST_CASES {
        page.line(format!("- … and {} more; `report.html` has them.", lines.len() - 3 * MOST_CASES));
    }
}

fn gateways(page: &mut Page, summary: &Summary) {
    if summary.gateways.is_empty() && summary.release.is_none() && summary.passed_over.is_empty() {
        return;
    }
    page.title("Gateways");
    for gateway in &summary.gateways {
        let outcome = match (&gateway.outcome, &gateway.before) {
            (Some(GatewayOutcome::Upgraded { from: Some(from), to }), _) => {
                format!("upgraded {} → {}", code(from), code(to))
            }
            (Some(GatewayOutcome::Downgraded { from, to }), _) => format!("downgraded {} → {}", code(from), code(to)),
            (Some(GatewayOutcome::Upgraded { from: None, to }), _) => format!("upgraded to {}", code(to)),
            (Some(GatewayOutcome::Unchanged { at }), _) => format!("unchanged at {}", code(at)),
            (Some(GatewayOutcome::Restored { to }), _) => format!("restored to {}", code(to)),
            (Some(GatewayOutcome::Mixed { runs }), _) => format!("**mixed**: {}", code(runs)),
            (None, Some(before)) => format!("not switched, at {}", code(before)),
            (None, None) => "not switched".to_owned(),
        };
        let version =
            |version: &Option<RedactedText>| version.as_deref().map_or_else(|| "not installed".to_owned(), code);
        let others: Vec<String> = gateway
            .outcome
            .iter()
            .flat_map(|outcome| outcome.others(&gateway.packages))
            .map(|package| format!("{} {} → {}", code(&package.name), version(&package.from), version(&package.to)))
            .collect();
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        page.line(format!("- {}: {outcome}{others}", plain(&gateway.gateway)));
    }
    if let Some(release) = &summary.release {
        page.gap();
        let tag = release.tag.as_ref().map(|tag| format!(", image tag {}", code(tag))).unwrap_or_default();
        page.line(format!(
            "Release: {} was asked for, which is {}{tag}.",
            code(&release.wanted),
            code(&release.version)
        ));
    }
    if !summary.passed_over.is_empty() {
        page.gap();
        page.line("Passed over:");
        page.gap();
        for release in &summary.passed_over {
            let reason = prose(&one_line(&release.reason, LONGEST_LINE));
            page.line(format!("- {}, built {} ago: {reason}", code(&release.version), age(release.age)));
        }
    }
}

fn suites(page: &mut Page, summary: &Summary) {
    if summary.suites.is_empty() {
        return;
    }
    page.title("Suites");
    let all = summary.counts();
    let (has_flaky, has_known) = (all.flaky > 0, all.known > 0);
    let apart = |has: bool, text: &str| if has { text.to_owned() } else { String::new() };
    let heads = [apart(has_flaky, " flaky |"), apart(has_known, " known |")].concat();
    let rules = [apart(has_flaky, " ---: |"), apart(has_known, " ---: |")].concat();
    page.line(format!("| | suite | passed | failed | error |{heads} took | list verdict |"));
    page.line(format!("| --- | --- | ---: | ---: | ---: |{rules} ---: | --- |"));
    for suite in summary.judged() {
        let counts = suite.counts();
        let sign = match &suite.end {
            Some(_) if suite.is_green() => "✅",
            Some(_) if counts.failed > 0 => "❌",
            _ => "⚠️",
        };
        let (length, verdict) = match &suite.end {
            Some(end) => (took(end.took), end.verdict.as_deref().map_or_else(|| "none".to_owned(), cell)),
            None if suite.started.is_some() => ("—".to_owned(), "did not finish".to_owned()),
            None => ("—".to_owned(), "not started".to_owned()),
        };
        let name = cell(&suite.suite);
        let flaky = apart(has_flaky, &format!(" {} |", counts.flaky));
        let known = apart(has_known, &format!(" {} |", counts.known));
        page.line(format!(
            "| {sign} | {name} | {} | {} | {} |{flaky}{known} {length} | {verdict} |",
            counts.passed, counts.failed, counts.errors
        ));
    }
}

/// The cases that did not pass.
fn cases(page: &mut Page, summary: &Summary) {
    let mut left = MOST_CASES;
    for suite in summary.judged() {
        let standings = suite.standings();
        let bad: Vec<&Standing<'_>> = standings.iter().filter(|standing| standing.came_to != CameTo::Passed).collect();
        let problem = suite.end.as_ref().and_then(|end| end.problem.as_ref());
        if bad.is_empty() && problem.is_none() {
            continue;
        }
        page.title(&format!("What did not pass in {}", plain(&suite.suite)));
        if let Some(problem) = problem {
            page.block("", &head_and_tail(&problem.text(), MOST_DETAILS));
            page.gap();
        }
        for standing in bad.iter().take(left) {
            tell(page, standing);
        }
        if bad.len() > left {
            page.line(format!("- … and {}; `junit.xml` has them.", count(bad.len() - left, "more case")));
        }
        left = left.saturating_sub(bad.len());
        hint(page, summary, &suite);
    }
}

fn tell(page: &mut Page, standing: &Standing<'_>) {
    let case = standing.case;
    let message = standing.message.as_deref().unwrap_or_default();
    let apart = match standing.came_to {
        CameTo::Flaky => "flaky, ",
        CameTo::Known => "known, ",
        CameTo::Passed | CameTo::Failed | CameTo::Error => "",
    };
    let verdict = match &case.verdict {
        Some(verdict) => format!("`VERDICT_{}`", visible(verdict).replace('`', "'")),
        None => "no verdict".to_owned(),
    };
    page.line(format!("- **{}** ({apart}{verdict}, {})", code(case.name.shown()), took(case.took)));
    for attempt in standing.story() {
        page.line(format!("  - {}", prose(&one_line(&attempt, LONGEST_LINE))));
    }
    let mut text = message.trim().to_owned();
    if !case.details.trim().is_empty() && !text.contains(case.details.trim()) {
        text = format!("{text}\n\n{}", case.details.trim());
    }
    page.block("  ", &head_and_tail(&text, MOST_DETAILS));
}

/// Where the consoles are. One that was read offline lies where it was, and not beside the reports.
fn hint(page: &mut Page, summary: &Summary, suite: &SuiteRun) {
    let is_kept = summary.night.as_ref().is_some_and(|night| night.command != "report");
    if suite.started.is_some() && is_kept {
        let consoles = (1..=suite.earlier.len() as u64 + 1).map(|attempt| code(&console_name(&suite.suite, attempt)));
        page.gap();
        page.line(format!("The whole console: {}", consoles.collect::<Vec<_>>().join(", ")));
    }
}

/// The steps that failed, with causes and hints.
fn steps(page: &mut Page, summary: &Summary) {
    let failed: Vec<_> = summary
        .steps
        .iter()
        .filter_map(|run| match &run.outcome {
            Some(StepOutcome::Failed(problem)) => Some((run, problem)),
            _ => None,
        })
        .collect();
    if failed.is_empty() {
        return;
    }
    page.title("Steps that failed");
    for (run, problem) in failed {
        let length = run.took.map(|length| format!(", after {}", took(length))).unwrap_or_default();
        page.line(format!("- **{}**{length}", plain(&run.name())));
        page.block("  ", &head_and_tail(&problem.text(), MOST_DETAILS));
    }
}

fn notes(page: &mut Page, summary: &Summary) {
    let mut lines = Vec::new();
    for outage in &summary.outages {
        let length = outage.took.map_or_else(|| "and did not come back".to_owned(), |out| format!("for {}", took(out)));
        lines.push(format!("- ⚠️ the tunnel was lost {length}: {}", prose(&one_line(&outage.reason, LONGEST_LINE))));
    }
    // Warnings first: when there are too many, they are the ones to see.
    for level in [Level::Warning, Level::Info] {
        for note in summary.notes.iter().filter(|note| note.level == level) {
            let sign = if level == Level::Warning { "⚠️ " } else { "" };
            let place = plain(&crate::summary::step_name(note.step, note.host.as_deref()));
            let (first, more) = note.text.split_once('\n').unwrap_or((&note.text, ""));
            let mut entry = Page(format!("- {sign}{place}: {}", prose(&one_line(first, LONGEST_LINE))));
            if !more.trim().is_empty() {
                entry.gap();
                entry.block("  ", &head_and_tail(more, MOST_DETAILS));
            }
            lines.push(entry.0.trim_end().to_owned());
        }
    }
    for suite in &summary.suites {
        for note in suite.end.iter().flat_map(|end| &end.notes) {
            lines.push(format!("- {}: {}", plain(&suite.suite), prose(&one_line(note, LONGEST_LINE))));
        }
    }
    list(page, "Notes", &lines);
}

fn files(page: &mut Page, summary: &Summary) {
    let lines: Vec<String> = summary
        .collected
        .iter()
        .map(|file| format!("- {} of {}, {}", code(&file.path), plain(&file.host), bytes(file.bytes)))
        .collect();
    list(page, "Collected", &lines);
    page.title("More");
    page.line(
        "`junit.xml` has every case, `run.json` everything for programs, `events.jsonl` the night as it happened.",
    );
}

fn list(page: &mut Page, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    page.title(title);
    for line in lines.iter().take(MOST_LINES) {
        page.line(line);
    }
    if lines.len() > MOST_LINES {
        page.line(format!("- … and {} more; `run.json` has them.", lines.len() - MOST_LINES));
    }
}

/// Text in a code span, which nothing in it can end.
fn code(text: &str) -> String {
    let line = one_line(text, LONGEST_LINE);
    if line.is_empty() {
        return "—".to_owned();
    }
    let fence = "`".repeat(longest_run(&line, '`') + 1);
    // Blanks keep a backtick at either end from joining the fence.
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// A code span in a table, where a bar would end the cell.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A sentence, in which names stand in backticks: these become code, and all else is text as it is.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return plain(text);
    }
    let shown = parts.iter().enumerate().map(|(index, part)| match index % 2 {
        0 => plain_part(part),
        _ if part.trim().is_empty() => plain_part(&format!("`{part}`")),
        _ => code(part),
    });
    shown.collect()
}

/// Text as it is: nothing in it is Markdown or HTML.
fn plain(text: &str) -> String {
    plain_part(&one_line(text, LONGEST_LINE))
}

fn plain_part(text: &str) -> String {
    let text = visible(text);
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let is_in_word = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        match char {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            '_' if is_in_word => shown.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' => {
                shown.push('\\');
                shown.push(char);
            }
            other => shown.push(other),
        }
        before = char;
    }
    shown
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|char| char != of).map(str::len).max().unwrap_or(0)
}
