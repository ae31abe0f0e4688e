//! `junit.xml`, as CircleCI reads it.
//!
//! Knows what a JUnit file is, and that `junit-report` writes text as it comes: whatever NG40 printed is made fit for
//! XML here. Until the night has ended, what is open stands in the file as an error, so that a killed job never looks
//! passed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anstream::adapter::strip_str;
use junit_report::{Report, TestCase, TestCaseBuilder, TestSuite};
use time::OffsetDateTime;

use super::folder::MARK;
use super::text;
use crate::event::{Case, Class, Problem, Step, StepOutcome};
use crate::gate::{CameTo, Exceeded};
use crate::summary::{
    About, JudgedSuite, Reason, Standing, Status, StepFailure, StepRun, SuiteRun, Summary, head_and_tail, step_name,
};

/// The suite of the steps.
pub(crate) const PIPELINE: &str = "pipeline";
/// What a known failure is skipped as.
pub(crate) const KNOWN: &str = "known failure";
/// The case that stands for the night itself.
const NIGHT: &str = "night";
/// The case that stands for a suite as a whole.
const SUITE: &str = "(suite)";

/// The case that stands for what a suite as a whole took.
const DURATION: &str = "(duration)";

/// The longest message; it is shown on one line.
const LONGEST_MESSAGE: usize = 1_000;
/// The longest name of a case, and the longest path.
const LONGEST_NAME: usize = 500;
/// The longest text about a suite.
const LONGEST_ABOUT: usize = 64 * 1024;

/// What stands there when it cannot be rendered. It is red.
pub(super) const BROKEN: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<!-- written by teravm-ci -->
<testsuites>
  <testsuite name="pipeline" tests="1" failures="0" errors="1" skipped="0" time="0">
    <testcase name="night" classname="pipeline" time="0">
      <error type="INTERNAL_ERROR" message="junit.xml could not be written: this is a bug in teravm-ci"/>
    </testcase>
  </testsuite>
</testsuites>
"#;

/// Returns the text of `junit.xml`.
pub(super) fn document(summary: &Summary) -> String {
    let reasons = summary.reasons();
    let mut report = Report::new();
    let mut took = Vec::new();
    for suite in summary.judged() {
        report.add_testsuite(test_suite(&suite, summary, &reasons));
        took.push(None);
    }
    report.add_testsuite(pipeline(summary, &reasons));
    // What hosts do side by side takes its time once.
    took.push(summary.steps_took());
    let mut xml = Vec::new();
    report.write_xml(&mut xml).expect("a vector takes all that is written to it");
    let xml = String::from_utf8(xml).expect("what was written is text");
    laid_out(&xml, report.testsuites(), &took)
}

fn test_suite(suite: &JudgedSuite<'_>, summary: &Summary, reasons: &[Reason]) -> TestSuite {
    let mut tests = new_suite(&suite.suite, suite.started.or(summary.started));
    tests.hostname = attribute(suite.host.as_deref().unwrap_or("unknown"), LONGEST_NAME);
    let mut names = Names::default();
    let standings = suite.standings();
    for standing in &standings {
        tests.add_testcase(placed(test_case(&names.give(standing.case.name.shown()), standing), suite));
    }
    for open in &suite.open {
        let error = error_case(
            &names.give(open.case.shown()),
            Duration::ZERO,
            "NO_VERDICT",
            "no verdict yet",
            "no verdict yet",
        );
        tests.add_testcase(placed(error, suite));
    }
    let is_told = standings.iter().any(|standing| standing.case.name.raw() == SUITE && standing.is_red);
    if let Some((kind, message)) = whole(suite, &standings, reasons).filter(|_| !is_told) {
        let problem = suite.end.as_ref().and_then(|end| end.problem.as_ref());
        let text = problem.map_or_else(|| message.clone(), Problem::text);
        let name = names.give(SUITE);
        // A night that never came to it is red where it failed, and once.
        let is_told_elsewhere = summary.ended.is_some() && suite.started.is_none() && cause(reasons).is_some();
        tests.add_testcase(placed(
            if is_told_elsewhere {
                skipped(&name, "not run", &message, Duration::ZERO)
            } else {
                error_case(&name, Duration::ZERO, &kind, &message, &text)
            },
            suite,
        ));
    }
    if let Some((text, Exceeded::Fail)) = suite.slower() {
        let (name, line) = (names.give(DURATION), attribute(&text, LONGEST_MESSAGE));
        let mut slow = TestCaseBuilder::failure(&name, time(Duration::ZERO), "RULE", &line);
        tests.add_testcase(placed(slow.set_trace(&body(&text)).build(), suite));
    }
    tests.set_system_out(&body(&head_and_tail(&about(suite, summary), LONGEST_ABOUT)));
    tests
}

/// What is wrong with a suite as a whole, and not with one of its cases.
fn whole(suite: &JudgedSuite<'_>, standings: &[Standing<'_>], reasons: &[Reason]) -> Option<(String, String)> {
    let Some(end) = &suite.end else {
        let what = if suite.started.is_some() { "the suite has not finished" } else { "the suite was not started" };
        let message = cause(reasons).map_or_else(|| what.to_owned(), |reason| format!("{what}: {}", reason.text));
        return Some((kind(Status::Inconclusive), message));
    };
    if let Some(problem) = &end.problem {
        return Some((kind(problem.class.into()), problem.line()));
    }
    let is_told = standings.iter().any(|standing| standing.came_to == CameTo::Error);
    let untold = reasons.iter().find(|reason| {
        matches!(&reason.about, About::Suite { suite: name, .. } if *name == suite.suite)
            && reason.status == Status::Inconclusive
            && !is_told
    });
    untold.map(|reason| (kind(reason.status), reason.text.clone()))
}

/// Why a night has not come to its suites: what the suite of the steps is red for.
fn cause(reasons: &[Reason]) -> Option<&Reason> {
    reasons.iter().find(|reason| !matches!(&reason.about, About::Suite { .. }))
}

fn test_case(name: &str, standing: &Standing<'_>) -> TestCase {
    let case = standing.case;
    let verdict = case.verdict.as_deref().map_or_else(|| "NO_VERDICT".to_owned(), |word| format!("VERDICT_{word}"));
    let message = standing.message.as_deref().unwrap_or_default();
    let took = standing.took();
    let failure = |kind: &str| {
        let (name, line) = (attribute(name, LONGEST_NAME), attribute(message, LONGEST_MESSAGE));
        let mut test = TestCaseBuilder::failure(&name, time(took), &attribute(kind, LONGEST_NAME), &line);
        test.set_trace(&body(&explained(message, case))).build()
    };
    let mut test = match standing.came_to {
        CameTo::Flaky if standing.is_red => failure("FLAKY"),
        CameTo::Passed | CameTo::Flaky => TestCaseBuilder::success(&attribute(name, LONGEST_NAME), time(took)).build(),
        CameTo::Known => skipped(&attribute(name, LONGEST_NAME), KNOWN, message, took),
        // A rule of the config can fail what NG40 has passed.
        CameTo::Failed => failure(if verdict == "VERDICT_PASS" { "RULE" } else { &verdict }),
        CameTo::Error => error_case(name, took, &verdict, message, &explained(message, case)),
    };
    let told = told_of(standing);
    if !told.is_empty() {
        test.set_system_out(&body(&told));
    }
    test
}

/// What stands beside a case: how each attempt went, and its console.
fn told_of(standing: &Standing<'_>) -> String {
    let mut parts = standing.story();
    if standing.is_fixed() {
        parts.extend(standing.known.map(|known| format!("it is a known failure ({}), and passed", known.reason)));
    }
    if !parts.is_empty() {
        parts.push(String::new());
    }
    parts.push(standing.case.console.to_string());
    parts.join("\n")
}

/// The message, and under it what more there is to say of a case.
fn explained(message: &str, case: &Case) -> String {
    let mut text = message.to_owned();
    if !case.params.is_empty() {
        text.push_str(&format!("\n\n{}({})", case.name, case.params));
    }
    if !case.details.trim().is_empty() {
        text.push_str(&format!("\n\n{}", case.details));
    }
    text
}

fn error_case(name: &str, took: Duration, kind: &str, message: &str, text: &str) -> TestCase {
    let (name, kind) = (attribute(name, LONGEST_NAME), attribute(kind, LONGEST_NAME));
    let mut test = TestCaseBuilder::error(&name, time(took), &kind, &attribute(message, LONGEST_MESSAGE));
    test.set_trace(&body(text)).build()
}

fn placed(mut test: TestCase, suite: &SuiteRun) -> TestCase {
    test.set_classname(&attribute(&suite.suite, LONGEST_NAME));
    if !suite.list.is_empty() {
        test.set_filepath(&attribute(&suite.list, LONGEST_NAME));
    }
    test
}

/// What stands beside a suite: setup, releases, list, list verdict.
fn about(suite: &SuiteRun, summary: &Summary) -> String {
    let mut lines = vec![format!("setup: {}", setup(summary))];
    lines.extend(summary.gateways.iter().map(|gateway| {
        let before = gateway.before.as_deref().unwrap_or("unknown");
        let after = gateway.after().unwrap_or("unknown");
        format!("release of {}: {before} before, {after} after", gateway.gateway)
    }));
    lines.push(format!("test list: {}", suite.list));
    match &suite.end {
        None => lines.push("list verdict: none".to_owned()),
        Some(end) => {
            lines.push(format!("list verdict: {}", end.verdict.as_deref().unwrap_or("none")));
            lines.push(format!("ng40test: {}", end.exit));
            lines.push(format!("took: {}", text::took(end.took)));
            if !suite.earlier.is_empty() {
                lines.push(format!("attempts: {}", suite.earlier.len() + 1));
            }
            lines.extend(end.notes.iter().map(|note| format!("note: {note}")));
        }
    }
    lines.join("\n") + "\n"
}

fn setup(summary: &Summary) -> &str {
    summary.night.as_ref().and_then(|night| night.setup.as_deref()).unwrap_or("none")
}

/// The steps as cases, so that a night that never reached a test is red with the reason.
fn pipeline(summary: &Summary, reasons: &[Reason]) -> TestSuite {
    let mut tests = new_suite(PIPELINE, summary.started);
    let mut names = Names::default();
    let failures = summary.step_failures();
    for run in &summary.steps {
        let failure = failures.iter().find(|failure| failure.runs.iter().any(|of| std::ptr::eq(*of, run)));
        tests.add_testcase(step_case(&names.give(&run.name()), run, failure, summary));
    }
    let planned = summary.night.iter().flat_map(|night| &night.steps);
    for &step in planned.filter(|&&step| !summary.steps.iter().any(|run| run.step == step)) {
        for name in names_of(step, summary).iter().map(|name| names.give(name)) {
            tests.add_testcase(if summary.ended.is_some() {
                TestCase::skipped_with_cause(
                    &attribute(&name, LONGEST_NAME),
                    "not reached",
                    "the night ended before it",
                )
            } else {
                error_case(&name, Duration::ZERO, &kind(Status::Inconclusive), "not reached yet", "not reached yet")
            });
        }
    }
    tests.add_testcase(night_case(reasons));
    for test in &mut tests.testcases {
        test.set_classname(PIPELINE);
    }
    tests.set_system_out(&body(&head_and_tail(&about_night(summary), LONGEST_ABOUT)));
    tests
}

/// The names that a step has when it is taken: one for each gateway that it works on.
fn names_of(step: Step, summary: &Summary) -> Vec<String> {
    match step {
        Step::Prepare | Step::Activate | Step::Verify => {
            let meant = summary.night.iter().flat_map(|night| &night.gateways);
            let names: Vec<String> = meant.map(|gateway| step_name(step, Some(gateway))).collect();
            if names.is_empty() { vec![step_name(step, None)] } else { names }
        }
        _ => vec![step_name(step, None)],
    }
}

/// `failure` is what failed, where the step did: on several hosts for one cause it is told once.
fn step_case(name: &str, run: &StepRun, failure: Option<&StepFailure<'_>>, summary: &Summary) -> TestCase {
    let name = attribute(name, LONGEST_NAME);
    let took = run.took.unwrap_or_default();
    let mut test = match &run.outcome {
        Some(StepOutcome::Done { .. }) => TestCaseBuilder::success(&name, time(took)).build(),
        Some(StepOutcome::Skipped { reason }) => skipped(&name, "skipped", reason, took),
        // What could not be collected never makes a night red.
        Some(StepOutcome::Failed(problem)) if run.step == Step::Collect && problem.class != Class::Internal => {
            skipped(&name, "not collected", &problem.line(), took)
        }
        Some(StepOutcome::Failed(problem)) => match failure {
            Some(failure) if !std::ptr::eq(failure.place(), run) => {
                let place = failure.place().name();
                skipped(&name, "failed for one cause", &format!("told at `{place}`: {}", failure.text), took)
            }
            Some(failure) if failure.hosts().len() > 1 => {
                let all: Vec<String> =
                    failure.runs.iter().filter_map(|run| problem_of(run)).map(Problem::text).collect();
                error_case(&name, took, &kind(problem.class.into()), &failure.text, &all.join("\n\n"))
            }
            _ => error_case(&name, took, &kind(problem.class.into()), &problem.line(), &problem.text()),
        },
        None => {
            let message = if summary.ended.is_some() { "began and did not end" } else { "not finished yet" };
            error_case(&name, took, &kind(Status::Inconclusive), message, message)
        }
    };
    let said = said(run, summary);
    if !said.is_empty() {
        test.set_system_out(&body(&head_and_tail(&said, LONGEST_ABOUT)));
    }
    test
}

fn problem_of(run: &StepRun) -> Option<&Problem> {
    match &run.outcome {
        Some(StepOutcome::Failed(problem)) => Some(problem),
        _ => None,
    }
}

fn skipped(name: &str, kind: &str, message: &str, took: Duration) -> TestCase {
    let mut test = TestCase::skipped_with_cause(name, kind, &attribute(message, LONGEST_MESSAGE));
    test.time = time(took);
    test
}

/// What a step said of itself.
fn said(run: &StepRun, summary: &Summary) -> String {
    let mut lines: Vec<&str> = summary
        .notes
        .iter()
        .filter(|note| note.step == run.step && note.host == run.host)
        .map(|note| note.text.as_str())
        .collect();
    if let Some(StepOutcome::Done { text }) = &run.outcome {
        lines.push(text);
    }
    lines.join("\n")
}

/// The night itself: red for what no step and no suite tells, and never green when one of them is red.
fn night_case(reasons: &[Reason]) -> TestCase {
    // The steps have taken the night's time already: it is not counted twice.
    let took = Duration::ZERO;
    let own: Vec<&Reason> =
        reasons.iter().filter(|reason| matches!(reason.about, About::Night | About::Gateway { .. })).collect();
    match own.first() {
        None => match reasons.first() {
            None => TestCaseBuilder::success(NIGHT, time(took)).build(),
            Some(first) => {
                let status = first.status;
                let message = format!("exit status {}, {}: {}", status.code(), status.name(), first.text);
                skipped(NIGHT, "not passed", &message, took)
            }
        },
        Some(first) => {
            let all: Vec<&str> = own.iter().map(|reason| reason.text.as_str()).collect();
            error_case(NIGHT, took, &kind(first.status), &all.join("; "), &all.join("\n"))
        }
    }
}

fn about_night(summary: &Summary) -> String {
    let mut lines = vec![format!("setup: {}", setup(summary))];
    if let Some(night) = &summary.night {
        lines.push(format!("run: {}", night.run));
        lines.extend(night.url.iter().map(|url| format!("build: {url}")));
    }
    if let Some(release) = &summary.release {
        lines.push(format!("release: {} (wanted: {})", release.version, release.wanted));
    }
    lines.extend(
        summary.passed_over.iter().map(|release| format!("passed over: {}: {}", release.version, release.reason)),
    );
    lines.extend(summary.gateways.iter().map(|gateway| {
        let outcome = gateway.told().unwrap_or_else(|| "untouched".to_owned());
        format!("{}: {outcome}", gateway.gateway)
    }));
    lines.join("\n") + "\n"
}

fn new_suite(name: &str, started: Option<OffsetDateTime>) -> TestSuite {
    let mut tests = TestSuite::new(&attribute(name, LONGEST_NAME));
    tests.set_timestamp(started.unwrap_or(OffsetDateTime::UNIX_EPOCH));
    tests
}

/// What an error is called: the name of the status that it makes.
fn kind(status: Status) -> String {
    status.name().to_owned()
}

/// Seconds with three decimals at most.
fn time(took: Duration) -> time::Duration {
    time::Duration::milliseconds(i64::try_from(took.as_millis()).unwrap_or(i64::MAX))
}

/// Names that stand once in a suite: a repeated one gets ` #2`, ` #3`.
#[derive(Default)]
pub(crate) struct Names {
    given: HashSet<String>,
    /// The number that a name gets when it comes again.
    next: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn give(&mut self, name: &str) -> String {
        let name = attribute(name, LONGEST_NAME);
        if self.given.insert(name.clone()) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            // What has no name at all has no blank before its number either.
            let repeat = format!("{name} #{next}").trim_start().to_owned();
            *next += 1;
            if self.given.insert(repeat.clone()) {
                return repeat;
            }
        }
    }
}

/// Adds what `junit-report` leaves out: how many cases of a suite were skipped, and line ends for people. `took` has
/// what a suite took, where it is not the sum of its cases.
fn laid_out(xml: &str, suites: &[TestSuite], took: &[Option<Duration>]) -> String {
    const SUITE_TAG: &str = "<testsuite ";
    let mut laid_out = String::with_capacity(xml.len() + xml.len() / 16);
    let mut suites = suites.iter();
    let mut took = took.iter();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        laid_out.push_str(text);
        // Within a CDATA section nothing is a tag, whatever it looks like.
        let is_section = tag.starts_with("<![CDATA[");
        if ["<testsuite", "</testsuite", "<testcase"].iter().any(|start| tag.starts_with(start)) {
            laid_out.push('\n');
        }
        if let Some(attributes) = tag.strip_prefix(SUITE_TAG) {
            let skipped = suites.next().map_or(0, TestSuite::skipped);
            laid_out.push_str(&format!("{SUITE_TAG}skipped=\"{skipped}\" "));
            rest = attributes;
            if let Some(took) = took.next().copied().flatten()
                && let Some((before, after)) = attributes.split_once(" time=\"")
                && let Some((_, after)) = after.split_once('"')
            {
                laid_out.push_str(&format!("{before} time=\"{}\"", took.as_millis() as f64 / 1000.0));
                rest = after;
            }
            continue;
        }
        let end = if is_section { tag.find("]]>").map_or(tag.len(), |end| end + 3) } else { 1 };
        laid_out.push_str(&tag[..end]);
        rest = &tag[end..];
    }
    laid_out.push_str(rest);
    laid_out.push('\n');
    laid_out.replacen("<testsuites", &format!("{MARK}\n<testsuites"), 1)
}

/// Text for an attribute: one line, not too long.
fn attribute(text: &str, most: usize) -> String {
    let line = xml_safe(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most - 1).chain(['…']).collect()
}

/// Text for a CDATA section. One that holds the end of a section is written as two sections.
fn body(text: &str) -> String {
    xml_safe(text).replace("]]>", "]]]]><![CDATA[>")
}

/// The text without what XML cannot hold: escape sequences go whole, and so do the characters that are no text.
fn xml_safe(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    // Line by line: a sequence that is never ended takes the rest of its line, and not of the text.
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            safe.push('\n');
        }
        if is_plain(line) {
            safe.push_str(line);
        } else {
            strip_str(line).for_each(|part| safe.extend(part.chars().filter(|&char| is_xml(char))));
        }
    }
    Cow::Owned(safe)
}

/// Whether nothing of the text has to go, from a glance at it. Nearly all that NG40 prints is so; a fold looks at many
/// bytes at once where `all` would stop at each.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
}

/// The characters that XML 1.0 knows, without those that it advises against (2.2): to a terminal they are commands.
pub(super) fn is_xml(char: char) -> bool {
    matches!(
        char,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}'
    )
}

#[cfg(test)]
mod tests {
    use arbitrary::Unstructured;
    use proptest::prelude::*;

    use super::*;
    use crate::event::EventKind;
    use crate::event::Judgement;
    use crate::report::fuzz::{Teller, read, reports};
    use crate::report::nights::Story;
    use crate::secret::RedactedText;

    proptest! {
        #[test]
        fn whatever_happens_every_report_can_be_read_and_counts_what_is_in_it(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            reports(&bytes);
        }

        #[test]
        fn plain_text_is_taken_as_it_is_and_as_it_would_be_gone_through(text in "[ -~\t\r\n]{0,80}", odd in "\\PC{0,3}\0") {
            prop_assert_eq!(xml_safe(&text), text.as_str());
            // What is odd in one place does not change how the rest is taken.
            let lines = format!("{text}\n{odd}\n{text}");
            let odd: String = odd.chars().filter(|&char| is_xml(char)).collect();
            prop_assert_eq!(xml_safe(&lines), format!("{text}\n{odd}\n{text}"));
        }

        #[test]
        fn text_comes_back_as_it_was_but_for_what_xml_cannot_hold(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut teller = Teller(Unstructured::new(&bytes));
            let mut text = || teller.text::<RedactedText>().unwrap_or_default();
            let (console, message) = (text(), text());
            let mut story = Story::new();
            story.begins("report", &[], &["one"]);
            let failed = Judgement::Failed { message: message.clone() };
            story.case("one", 1, "case", Some("FAIL"), failed);
            if let Some(crate::event::Event { kind: EventKind::CaseFinished { case, .. }, .. }) = story.events.last_mut() {
                case.console.clone_from(&console);
                case.params = RedactedText::default();
            }
            let suites = read(&document(&story.summary()));
            prop_assert!(suites[0].texts.contains(&xml_safe(&message).into_owned()));
            prop_assert!(console.is_empty() || suites[0].texts.contains(&xml_safe(&console).into_owned()));
        }
    }

    #[test]
    fn what_has_no_name_has_a_number_of_its_own() {
        let mut names = Names::default();
        assert_eq!(["#2", "", ""].map(|name| names.give(name)), ["#2", "", "#3"]);
    }

    #[test]
    fn a_suite_that_did_not_finish_is_red_whatever_its_cases_are_called() {
        let mut story = Story::new();
        story.begins("test", &[], &["one"]).suite("one", 1).passes("one", 1, SUITE).say(EventKind::NightEnded);
        let suite = read(&document(&story.summary())).remove(0);
        assert_eq!(suite.names, [SUITE, "(suite) #2"]);
        assert_eq!(suite.seen[2], 1);
    }

    #[test]
    fn a_step_that_is_planned_twice_has_two_names() {
        let mut story = Story::new();
        story.begins("upgrade", &["agw", "agw"], &[]);
        let names = read(&document(&story.summary())).remove(0).names;
        assert!(names.contains(&"prepare agw".to_owned()) && names.contains(&"prepare agw #2".to_owned()), "{names:?}");
    }

    #[test]
    fn an_escape_sequence_goes_whole_and_one_without_end_takes_its_line() {
        assert_eq!(xml_safe("a\u{1b}[31mb\u{1b}[0m\0c\u{fffe}"), "abc");
        assert_eq!(xml_safe("a\u{1b}]0;title\nnext\n"), "a\nnext\n");
    }

    #[test]
    fn the_worst_that_can_be_printed_stays_below_circlecis_limit() {
        // The summary keeps 16 MiB of what was printed. Nothing grows more on its way into the file than this.
        let worst = "]]>".repeat(1000);
        assert!(body(&worst).len() <= 5 * worst.len());
        const { assert!(5 * crate::summary::ROOM < 100_000_000) };
    }
    /// The cases that are not green: `NAME`, `error`, `failure` or `skipped`, in the order of the document.
    fn not_green(xml: &str) -> Vec<(String, &'static str)> {
        let cases = xml.split("<testcase name=\"").skip(1).filter_map(|case| {
            let name = case.split('"').next()?.to_owned();
            let kinds = [("<error", "error"), ("<failure", "failure"), ("<skipped", "skipped")];
            kinds.into_iter().find(|(tag, _)| case.contains(tag)).map(|(_, kind)| (name, kind))
        });
        cases.collect()
    }

    #[test]
    fn a_lab_that_does_not_answer_is_one_red_test_and_nothing_of_the_night_is_green() {
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy", "s6a"]);
        let silent = |host: &str| {
            let problem = Problem::testbed(format!("cannot connect to `{host}` as magma at {host}.lab"));
            problem.because("no answer within 20s (`ssh.connect_timeout`)").hint("is the host up?")
        };
        for host in ["agw", "feg1", "ng40"] {
            story.fails(Step::Connect, Some(host), 20_000, silent(host));
        }
        story.fails(Step::Connect, None, 0, Problem::testbed("no connection to agw, feg1, ng40"));
        story.say(EventKind::NightEnded);
        let xml = document(&story.summary());
        let red: Vec<_> = not_green(&xml).into_iter().filter(|(_, kind)| *kind != "skipped").collect();
        assert_eq!(red, [("connect".to_owned(), "error")], "{xml}");
        assert!(
            xml.contains("message=\"connect agw, feg1, ng40: no answer within 20s (`ssh.connect_timeout`)\""),
            "{xml}"
        );
        let night = ("night".to_owned(), "skipped");
        assert!(not_green(&xml).contains(&night), "{xml}");
        // One host alone is told at its own case.
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]);
        story.fails(Step::Connect, Some("feg1"), 20_000, silent("feg1"));
        story.fails(Step::Connect, None, 0, Problem::testbed("no connection to feg1")).say(EventKind::NightEnded);
        let xml = document(&story.summary());
        let red: Vec<_> = not_green(&xml).into_iter().filter(|(_, kind)| *kind != "skipped").collect();
        assert_eq!(red, [("connect feg1".to_owned(), "error")], "{xml}");
        // Before its end a night is red all over.
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]).fails(Step::Connect, Some("feg1"), 20_000, silent("feg1"));
        let red = not_green(&document(&story.summary()));
        assert!(
            red.contains(&("(suite)".to_owned(), "error")) && red.contains(&("night".to_owned(), "error")),
            "{red:?}"
        );
    }
}
