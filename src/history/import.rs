//! Nights from files: `run.json`, NG40 consoles of before, JUnit XML of other runs. The same file is the same night, however often it
//! is taken in.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Xml};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::Entry;
use super::entry::{Judged, PastCase, PastSuite};
use crate::cli::{Global, ImportArgs};
use crate::config::Config;
use crate::gate::CameTo;
use crate::ng40;
use crate::offline;
use crate::report::{KNOWN, Names, PIPELINE};
use crate::summary::{Counts, Status, Summary};
use crate::version::VERSION;

/// Reads the night of every file.
pub(super) fn read(config: &Config, global: &Global, args: &ImportArgs) -> anyhow::Result<Vec<Entry>> {
    let started = args.started.as_deref().map(|text| {
        OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| anyhow!("`{text}` is no time; write it like `2026-11-01T23:05:00Z`"))
    });
    let started = started.transpose()?;
    args.files.iter().map(|file| night(file, config, global, args, started)).collect()
}

fn night(
    file: &Path,
    config: &Config,
    global: &Global,
    args: &ImportArgs,
    started: Option<OffsetDateTime>,
) -> anyhow::Result<Entry> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let head = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).map(|at| &bytes[at..]).unwrap_or_default();
    if head.starts_with(b"{") {
        let summary: Summary =
            serde_json::from_slice(&bytes).with_context(|| format!("`{}` is no `run.json`", file.display()))?;
        let mut entry = Entry::of(&summary).with_context(|| format!("`{}` tells of no night", file.display()))?;
        // One of saved consoles does not know where they are from.
        if entry.setup.is_none() {
            entry.setup = Some(whose(config, global)?);
        }
        entry.release = entry.release.or_else(|| args.release.clone());
        return Ok(entry);
    }
    let named = |kind: &str| {
        let digest = Sha256::digest(&bytes);
        format!("{kind}-{}", digest[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let (run, mut entry) = if head.starts_with(b"<") {
        let text = String::from_utf8_lossy(&bytes);
        let entry = junit(&text).with_context(|| format!("`{}` cannot be read as JUnit XML", file.display()))?;
        (named("junit"), entry)
    } else {
        let entry = console(file, config, args)?;
        (named("console"), entry)
    };
    entry.setup = Some(whose(config, global)?);
    entry.run = run;
    entry.release.clone_from(&args.release);
    if let Some(started) = started {
        entry.started = started;
    } else if entry.started == OffsetDateTime::UNIX_EPOCH {
        let written = std::fs::metadata(file).and_then(|file| file.modified());
        entry.started = written.with_context(|| format!("cannot read `{}`", file.display()))?.into();
    }
    Ok(entry)
}

/// The setup of a night that does not say it itself.
fn whose(config: &Config, global: &Global) -> anyhow::Result<String> {
    let (setup, _) = config.setup(global.setup.as_deref()).context("whose night is it?")?;
    Ok(setup.to_owned())
}

/// A console, read by the same rules as tonight's.
fn console(file: &Path, config: &Config, args: &ImportArgs) -> anyhow::Result<Entry> {
    let rules = |suite: &str| config.suites.get(suite).map(ng40::rules).unwrap_or_default();
    let summary = offline::told(file, args.suite.as_deref(), rules)?;
    if summary.judged().all(|suite| suite.standings().iter().all(|standing| standing.case.is_nameless())) {
        bail!("`{}` is neither `run.json` nor JUnit XML, and as a console of NG40 it has no case", file.display());
    }
    let entry = Entry::of(&summary).context("a console that was read tells of a night")?;
    Ok(Entry { started: OffsetDateTime::UNIX_EPOCH, ended: None, ..entry })
}

/// A JUnit document, ours or another's.
fn junit(text: &str) -> anyhow::Result<Entry> {
    let mut reader = Reader::from_str(text);
    let mut entry = empty();
    let mut suite: Option<PastSuite> = None;
    let mut case: Option<(PastCase, bool)> = None;
    loop {
        let event = reader.read_event().with_context(|| format!("at byte {}", reader.error_position()))?;
        match &event {
            Xml::Start(tag) | Xml::Empty(tag) => {
                let is_empty = matches!(event, Xml::Empty(_));
                match tag.name().as_ref() {
                    b"testsuite" => {
                        let began = attribute(tag, "timestamp").and_then(|text| moment(&text));
                        if let Some(began) = began.filter(|_| entry.started == OffsetDateTime::UNIX_EPOCH) {
                            entry.started = began;
                        }
                        add(&mut entry.suites, suite.replace(new_suite(tag)));
                    }
                    b"testcase" => {
                        case = Some((new_case(tag), true));
                        if is_empty {
                            keep(&mut suite, case.take())?;
                        }
                    }
                    kind @ (b"failure" | b"error" | b"skipped") => {
                        if let Some((case, was_run)) = &mut case {
                            *was_run &= mark(case, kind, tag);
                        }
                    }
                    _ => {}
                }
            }
            Xml::End(tag) if tag.name().as_ref() == b"testcase" => keep(&mut suite, case.take())?,
            Xml::Eof => break,
            _ => {}
        }
    }
    add(&mut entry.suites, suite);
    entry.suites = entry.suites.into_iter().map(|suite| judged(numbered(suite))).collect();
    // Of a night of ours that was red as a whole, no suite passed.
    let is_red = |suite: &PastSuite| suite.suite == PIPELINE && suite.cases.iter().any(PastCase::is_bad);
    if entry.suites.iter().any(is_red) {
        let passed = entry.suites.iter_mut().filter(|suite| suite.status == Status::Passed);
        passed.for_each(|suite| suite.status = Status::Inconclusive);
    }
    entry.suites.retain(|suite| suite.suite != PIPELINE && !suite.cases.is_empty());
    if entry.suites.is_empty() {
        bail!("it has no test suite with a case");
    }
    let outcomes = entry.suites.iter().flat_map(|suite| &suite.cases).filter_map(|case| case.came_to);
    entry.counts = outcomes.map(Counts::of).sum();
    let worst = [Status::TestsFailed, Status::Inconclusive];
    let is = |status| entry.suites.iter().any(|suite| suite.status == status);
    entry.status = worst.into_iter().find(|&status| is(status)).unwrap_or(Status::Passed);
    Ok(entry)
}

fn empty() -> Entry {
    Entry {
        run: String::new(),
        setup: None,
        command: "import".to_owned(),
        program: VERSION.to_owned(),
        url: None,
        status: Status::Inconclusive,
        started: OffsetDateTime::UNIX_EPOCH,
        ended: None,
        wanted: None,
        release: None,
        strangers: None,
        upgrade_ms: None,
        counts: Counts::default(),
        gateways: Vec::new(),
        steps: Vec::new(),
        suites: Vec::new(),
        reasons: Vec::new(),
    }
}

fn new_suite(tag: &BytesStart<'_>) -> PastSuite {
    PastSuite {
        suite: attribute(tag, "name").unwrap_or_default(),
        list: String::new(),
        host: attribute(tag, "hostname"),
        verdict: None,
        planned: None,
        took_ms: attribute(tag, "time").and_then(|text| millis(&text)),
        problem: None,
        status: Status::Inconclusive,
        cases: Vec::new(),
    }
}

fn new_case(tag: &BytesStart<'_>) -> PastCase {
    PastCase {
        case: attribute(tag, "name").unwrap_or_default(),
        attempt: 1,
        judged: Judged::Passed,
        verdict: None,
        took_ms: attribute(tag, "time").and_then(|text| millis(&text)).unwrap_or(0),
        message: None,
        came_to: Some(CameTo::Passed),
    }
}

/// Takes in what became of a case, of several things the worst, and returns whether it was run at all.
fn mark(case: &mut PastCase, kind: &[u8], tag: &BytesStart<'_>) -> bool {
    let why = attribute(tag, "type").unwrap_or_default();
    if case.came_to == Some(CameTo::Failed) {
        return true;
    }
    case.message = attribute(tag, "message").filter(|message| !message.is_empty());
    (case.judged, case.came_to) = match kind {
        b"failure" => (Judged::Failed, Some(CameTo::Failed)),
        b"skipped" if why == KNOWN => (Judged::Failed, Some(CameTo::Known)),
        _ => (Judged::Error, Some(CameTo::Error)),
    };
    kind != b"skipped" || why == KNOWN
}

/// Puts a case into its suite.
fn keep(suite: &mut Option<PastSuite>, case: Option<(PastCase, bool)>) -> anyhow::Result<()> {
    let Some((case, was_run)) = case else { return Ok(()) };
    let suite = suite.as_mut().context("a case stands outside of every suite")?;
    // One that was not run was planned all the same.
    suite.planned = Some(suite.planned.unwrap_or(0) + 1);
    suite.cases.extend(was_run.then_some(case));
    Ok(())
}

/// Adds a suite, or its cases to the suite of its name that is there.
fn add(suites: &mut Vec<PastSuite>, suite: Option<PastSuite>) {
    let Some(suite) = suite else { return };
    let Some(known) = suites.iter_mut().find(|known| known.suite == suite.suite) else { return suites.push(suite) };
    known.planned = Some(known.planned.unwrap_or(0) + suite.planned.unwrap_or(0));
    known.took_ms = known.took_ms.zip(suite.took_ms).map(|(known, took)| known.saturating_add(took));
    known.cases.extend(suite.cases);
}

/// Tells the cases of one name apart, as our own reports do.
fn numbered(mut suite: PastSuite) -> PastSuite {
    let mut names = Names::default();
    suite.cases.iter_mut().for_each(|case| case.case = names.give(&case.case));
    suite
}

impl PastCase {
    fn is_bad(&self) -> bool {
        matches!(self.came_to, Some(CameTo::Failed | CameTo::Error))
    }
}

fn judged(suite: PastSuite) -> PastSuite {
    let has = |came_to| suite.cases.iter().any(|case| case.came_to == Some(came_to));
    let status = if has(CameTo::Failed) {
        Status::TestsFailed
    } else if has(CameTo::Error) || suite.planned.is_none_or(|planned| planned > suite.cases.len() as u64) {
        Status::Inconclusive
    } else {
        Status::Passed
    };
    PastSuite { status, ..suite }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

/// Seconds, as JUnit has them.
fn millis(text: &str) -> Option<u64> {
    let took = Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()?;
    u64::try_from(took.as_millis()).ok()
}

/// A time with an offset, or without one: UTC then.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let plain =
        || time::PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok().map(time::PrimitiveDateTime::assume_utc);
    OffsetDateTime::parse(text, &Rfc3339).ok().or_else(plain)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn junit_of_another_is_a_night() {
        let xml = r#"<?xml version="1.0"?><testsuites>
            <testsuite name="pipeline"><testcase name="connect"/></testsuite>
            <testsuite name="s6a" timestamp="2022-11-15T08:00:00" time="3.5">
            <testcase name="attach" time="1.25"/>
            <testcase name="a&amp;b"><failure type="x" message="no &lt;answer&gt;"/></testcase>
            <testcase name="off"><skipped/></testcase>
            <testcase name="known"><skipped type="known failure" message="known"/></testcase></testsuite></testsuites>"#;
        let entry = junit(xml).expect("it is JUnit");
        let cases: Vec<(&str, Option<CameTo>, Option<&str>)> = entry.suites[0]
            .cases
            .iter()
            .map(|case| (case.case.as_str(), case.came_to, case.message.as_deref()))
            .collect();
        assert_eq!(
            cases,
            [
                ("attach", Some(CameTo::Passed), None),
                ("a&b", Some(CameTo::Failed), Some("no <answer>")),
                ("known", Some(CameTo::Known), Some("known")),
            ]
        );
        assert_eq!(entry.started, datetime!(2022-11-15 08:00 UTC));
        assert_eq!((entry.suites.len(), entry.status), (1, Status::TestsFailed));
        assert_eq!((entry.counts.passed, entry.counts.failed, entry.counts.known), (1, 1, 1));
        assert_eq!((entry.suites[0].took_ms, entry.suites[0].cases[0].took_ms), (Some(3500), 1250));
    }

    #[test]
    fn what_was_not_run_or_failed_in_any_way_has_not_passed() {
        let status = |cases: &str| {
            let entry = junit(&format!("<testsuite name=\"a\"><testcase name=\"b\"/>{cases}</testsuite>"));
            entry.expect("it is JUnit").status
        };
        assert_eq!(status(""), Status::Passed);
        assert_eq!(status("<testcase name=\"c\"><skipped/></testcase>"), Status::Inconclusive);
        assert_eq!(status("<testcase name=\"c\"><failure/><skipped/></testcase>"), Status::TestsFailed);
        let red = "</testsuite><testsuite name=\"pipeline\"><testcase name=\"night\"><error/></testcase>";
        assert_eq!(status(red), Status::Inconclusive);
    }

    #[test]
    fn suites_of_one_name_are_one_and_cases_of_one_name_are_told_apart() {
        let case = |class: &str, inner: &str| {
            format!("<testcase classname=\"{class}\" name=\"t\" time=\"1\">{inner}</testcase>")
        };
        let suite = |cases: &str| format!("<testsuite name=\"a\" time=\"2\">{cases}</testsuite>");
        let xml =
            format!("<x>{}{}</x>", suite(&(case("x", "<failure/>") + &case("y", ""))), suite(&case("z", "<skipped/>")));
        let entry = junit(&xml).expect("it is JUnit");
        let [suite] = entry.suites.as_slice() else { panic!("{:?}", entry.suites) };
        let cases: Vec<_> = suite.cases.iter().map(|case| (case.case.as_str(), case.came_to)).collect();
        assert_eq!(cases, [("t", Some(CameTo::Failed)), ("t #2", Some(CameTo::Passed))]);
        assert_eq!((suite.planned, suite.took_ms, suite.status), (Some(3), Some(4000), Status::TestsFailed));
    }

    #[test]
    fn what_is_no_junit_says_why() {
        let why = |text: &str| format!("{:#}", junit(text).expect_err("it is none"));
        assert_eq!(why("<html></html>"), "it has no test suite with a case");
        assert!(
            why("<testsuite name=\"a\"><testcase name=\"b\"></testsuite>").starts_with("at byte "),
            "{}",
            why("<a></b>")
        );
        assert_eq!(why("<testcase name=\"b\"/>"), "a case stands outside of every suite");
    }
}
