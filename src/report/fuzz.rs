//! What must hold for any night, likely or not: every report can be read, they count what is in them, and none is green but that of
//! a night that has passed.

use std::path::Path;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Xml};

use super::nights::{Story, cut_off, green, hostile, options, red, restored, watched};
use super::page::Page;
use super::{Options, Verbosity, junit, markdown, record};
use crate::event::{
    Case, Class, Event, EventKind, FORMAT, GatewayOutcome, Judgement, Level, Night, PackageChange, PlannedSuite,
    Problem, Step, StepOutcome, SuiteEnd,
};
use crate::gate::{CameTo, Exceeded, Flaky, Gate, KnownFailure, MaxDuration, Required};
use crate::memory::{CaseMemory, Memory, Past, StepMemory, SuiteMemory};
use crate::summary::{JudgedSuite, Status, Summary};

type Writer = fn(&Summary) -> String;

/// The reports that are documents, by the names of their files.
pub(crate) const WRITERS: [(&str, Writer); 4] = [
    ("junit.xml", junit::document),
    ("run.json", record::document),
    ("summary.md", markdown::document),
    ("report.html", |summary| Page::default().document(summary)),
];

/// A night that goes on for longer than this tells nothing new.
const MOST_EVENTS: usize = 100;

/// The property of reports.
pub fn reports(bytes: &[u8]) {
    let mut story = Story::new();
    // A night of which no more is heard was killed.
    let _ = Teller(Unstructured::new(bytes)).tell(&mut story);
    let mut summary = Summary::default();
    for event in &story.events {
        summary.hear(event);
        assert!(summary.ended.is_some() || summary.status() != Status::Passed, "green before its end");
        let line = serde_json::to_string(event).expect("an event is plain data");
        let again: Event = serde_json::from_str(&line).expect("it was written by us");
        assert_eq!(serde_json::to_string(&again).expect("an event is plain data"), line);
    }
    if summary.status() == Status::Passed {
        assert_has_passed(&summary);
    }
    assert_xml(&summary);
    assert_json(&summary);
    let page = markdown::document(&summary);
    assert_eq!(page.starts_with("# ✅ "), summary.status() == Status::Passed);
    let html = Page::default().document(&summary);
    assert_html(&html);
    assert_eq!(html.starts_with(GREEN_PAGE), summary.status() == Status::Passed);
    let screen = watched(&story, &Options { verbosity: Verbosity::Verbose, ..options(Path::new("results")) });
    for text in [page, html, screen] {
        assert!(
            !text.chars().any(|char| char.is_control() && char != '\n'),
            "it does something to a terminal: {text:?}"
        );
    }
}

/// Checks that a night has reason to be green.
fn assert_has_passed(summary: &Summary) {
    let counts = summary.counts();
    assert_eq!((counts.failed, counts.errors), (0, 0));
    assert!(summary.night.is_some() && summary.interrupted.is_none());
    assert!(summary.reports_failed.is_empty() && summary.internal_errors.is_empty());
    for suite in summary.judged() {
        let end = suite.end.as_ref().expect("every suite has ended");
        assert!(suite.is_green() && !suite.standings().is_empty() && end.verdict.is_some() && end.problem.is_none());
        assert!(suite.planned.is_none_or(|planned| planned <= suite.standings().len() as u64));
    }
    let is_mixed = |outcome: &Option<GatewayOutcome>| matches!(outcome, Some(GatewayOutcome::Mixed { .. }));
    assert!(!summary.gateways.iter().any(|gateway| is_mixed(&gateway.outcome)));
    for run in summary.steps.iter().filter(|run| run.step != Step::Collect) {
        assert!(!matches!(run.outcome, None | Some(StepOutcome::Failed(_))), "{}", run.name());
    }
}

/// Checks that `junit.xml` can be read, and counts what is in it and in the night.
pub(super) fn assert_xml(summary: &Summary) {
    let suites = read(&junit::document(summary));
    for suite in &suites {
        let mut seen = suite.seen;
        seen[0] = suite.names.len();
        assert_eq!(suite.said, seen, "`{}` counts what is not there", suite.name);
        let mut names = suite.names.clone();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), suite.names.len(), "names stand once");
    }
    assert_eq!(suites.len(), summary.suites.len() + 1);
    let counts = summary.counts();
    let is_flake_red = summary.night.as_ref().is_some_and(|night| night.gate.flaky == Flaky::Fail);
    let is_slow = |suite: &JudgedSuite<'_>| matches!(suite.slower(), Some((_, Exceeded::Fail)));
    let slow = summary.judged().filter(is_slow).count();
    let failures = counts.failed + slow + if is_flake_red { counts.flaky } else { 0 };
    assert_eq!(suites.iter().map(|suite| suite.seen[1]).sum::<usize>(), failures);
    let is_red = suites.iter().any(|suite| suite.seen[1] + suite.seen[2] > 0);
    assert_eq!(is_red, summary.status() != Status::Passed, "{:?}", summary.reasons());
}

/// Checks that `run.json` can be read, and comes to the same.
fn assert_json(summary: &Summary) {
    let text = record::document(summary);
    let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let counts = summary.counts();
    assert_eq!(value["code"], summary.status().code());
    assert_eq!(value["counts"]["passed"], counts.passed);
    assert_eq!(value["counts"]["failed"], counts.failed);
    assert_eq!(value["counts"]["errors"], counts.errors);
    assert_eq!(value["reasons"].as_array().map(Vec::len), Some(summary.reasons().len()));
    let again: Summary = serde_json::from_str(&text).expect("it was written by us");
    assert_eq!((again.status(), again.counts()), (summary.status(), counts));
}

/// How `report.html` of a night begins that has passed, and of no other.
pub(super) const GREEN_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\" data-tone=\"good\">\n";

/// The tags that we write, and those of them that hold nothing.
const TAGS: &str = "html head title style body a button header p h1 h2 h3 span ul ol li dl div dt dd code strong main nav section \
                    article pre details summary table caption thead tbody tr th td figure figcaption svg desc g rect form \
                    label input select option output noscript script meta link";
const VOID: [&str; 3] = ["meta", "link", "input"];
/// The attributes that we write.
const ATTRIBUTES: &str = "lang data-tone charset http-equiv content name rel href class id type hidden aria-hidden aria-label \
                          aria-labelledby role tabindex scope viewBox preserveAspectRatio x y width height autocomplete \
                          spellcheck placeholder aria-keyshortcuts value for";

/// Checks that a page is made of our own tags and of nothing else: whatever a night says has opened none and leads nowhere.
pub(super) fn assert_html(page: &str) {
    let is_one_of = |names: &str, name: &str| names.split_whitespace().any(|known| known == name);
    let mut open: Vec<&str> = Vec::new();
    let mut ids: std::collections::HashSet<&str> = std::collections::HashSet::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("it is HTML");
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let (name, attributes) = tag.split_once([' ', '/']).unwrap_or((tag, ""));
        assert!(is_one_of(TAGS, name), "`<{tag}>` is none of our tags");
        let mut attributes = attributes.trim_end_matches('/').trim();
        while !attributes.is_empty() {
            let (attribute, value) = match attributes.split_once("=\"") {
                Some((attribute, after)) if !attribute.contains(' ') => {
                    let (value, after) = after.split_once('"').expect("a value ends");
                    attributes = after.trim_start();
                    (attribute, value)
                }
                _ => {
                    let (attribute, after) = attributes.split_once(' ').unwrap_or((attributes, ""));
                    attributes = after;
                    (attribute, "")
                }
            };
            assert!(is_one_of(ATTRIBUTES, attribute), "`{attribute}` in `<{tag}>` is none of our attributes");
            if attribute == "id" {
                assert!(ids.insert(value), "`{value}` stands once");
            }
            if attribute == "href" && name == "a" {
                let is_web = value.to_ascii_lowercase().starts_with("http");
                assert!(
                    is_web || value.starts_with('#') || !value.contains(':') && !value.starts_with('/'),
                    "`{value}`"
                );
            }
        }
        if name == "script" || name == "style" {
            // A reader looks for nothing but its end.
            let (text, after) = rest.split_once(&format!("</{name}")).expect("it ends");
            if tag.contains("json") {
                serde_json::from_str::<serde_json::Value>(text).expect("the data are JSON");
            }
            rest = after.strip_prefix('>').expect("it ends once");
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// A suite as a reader of the file sees it: what its tag counts, and what is in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    name: String,
    said: [usize; 4],
    pub(super) seen: [usize; 4],
    pub(super) names: Vec<String>,
    pub(super) texts: Vec<String>,
}

fn value(tag: &BytesStart<'_>, name: &str) -> String {
    let attribute = tag.try_get_attribute(name).expect("attributes can be read").expect("the attribute is there");
    let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
    value.expect("its text can be read").into_owned()
}

/// Reads `junit.xml` the way a strict reader would.
pub(super) fn read(xml: &str) -> Vec<Read> {
    assert!(xml.chars().all(junit::is_xml), "only characters that XML knows");
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut suites: Vec<Read> = Vec::new();
    let mut text: Option<String> = None;
    let mut depth = 0_i32;
    loop {
        match reader.read_event().expect("the file is well-formed") {
            Xml::Start(tag) => {
                depth += 1;
                open(&tag, &mut suites);
                text = Some(String::new());
            }
            Xml::Empty(tag) => open(&tag, &mut suites),
            Xml::CData(data) => {
                let text = text.as_mut().expect("text stands in a tag");
                text.push_str(std::str::from_utf8(&data).expect("the file is text"));
            }
            Xml::End(_) => {
                depth -= 1;
                if let (Some(text), Some(suite)) = (text.take(), suites.last_mut()) {
                    suite.texts.push(text);
                }
            }
            Xml::Text(between) => assert!(between.iter().all(u8::is_ascii_whitespace)),
            Xml::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "every tag is closed");
    suites
}

fn open(tag: &BytesStart<'_>, suites: &mut Vec<Read>) {
    let counted = match tag.name().as_ref() {
        b"testsuite" => {
            let count = |name| value(tag, name).parse().expect("a count");
            let said = ["tests", "failures", "errors", "skipped"].map(count);
            suites.push(Read { name: value(tag, "name"), said, ..Read::default() });
            return;
        }
        b"testcase" => {
            suites.last_mut().expect("a case is in a suite").names.push(value(tag, "name"));
            0
        }
        b"failure" => 1,
        b"error" => 2,
        b"skipped" => 3,
        _ => return,
    };
    suites.last_mut().expect("it is in a suite").seen[counted] += 1;
}

/// What somebody may print to do something to a report.
const HOSTILE: [&str; 22] = [
    "]]>",
    "<![CDATA[",
    "\u{1b}[31m",
    "\u{1b}]0;x",
    "\u{9b}2J",
    "\0",
    "\u{fffe}",
    "\u{ffff}",
    "\u{202e}",
    "&#0;",
    "<testsuite ",
    "</testcase>",
    "\r\n",
    "\n",
    "\t",
    "]]",
    "\"",
    "'",
    "(suite)",
    " #2",
    "```",
    "<?xml?>",
];

/// Makes a night of the bytes that a fuzzer gives.
pub(super) struct Teller<'a>(pub(super) Unstructured<'a>);

impl Teller<'_> {
    /// A night of which we know, up to some event of it, and then whatever happens.
    fn tell(&mut self, story: &mut Story) -> Result<()> {
        let nights: [fn() -> Story; 6] = [Story::new, green, red, restored, cut_off, hostile];
        let begun = self.one_of(&nights)?().events;
        let heard = usize::from(self.0.arbitrary::<u8>()?).min(begun.len());
        story.events.extend(begun.into_iter().take(heard));
        while !self.0.is_empty() && story.events.len() < MOST_EVENTS {
            let kind = self.happening()?;
            story.after(u64::from(self.0.arbitrary::<u16>()?)).say(kind);
        }
        Ok(())
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> Result<T> {
        self.0.choose(choices).copied()
    }

    /// Whatever can be printed.
    pub(super) fn text<T: From<String>>(&mut self) -> Result<T> {
        let mut text = String::new();
        for _ in 0..self.0.int_in_range(0..=3)? {
            match self.0.int_in_range(0..=HOSTILE.len())? {
                0 => {
                    let length = usize::from(self.0.arbitrary::<u8>()?).min(self.0.len());
                    text.push_str(&String::from_utf8_lossy(self.0.bytes(length)?));
                }
                known => text.push_str(HOSTILE[known - 1]),
            }
        }
        Ok(text.into())
    }

    fn maybe<T: From<String>>(&mut self) -> Result<Option<T>> {
        if self.0.arbitrary()? { self.text().map(Some) } else { Ok(None) }
    }

    /// A name that is heard again, or any text.
    fn name(&mut self, known: &[&str]) -> Result<String> {
        match self.0.int_in_range(0..=known.len())? {
            0 => self.text(),
            place => Ok(known[place - 1].to_owned()),
        }
    }

    fn suite(&mut self) -> Result<String> {
        self.name(&["gxgy", "roaming", "pipeline"])
    }

    fn gateway(&mut self) -> Result<String> {
        self.name(&["agw", "feg1"])
    }

    fn names<T>(&mut self, name: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.0.int_in_range(0..=2)?).map(|_| name(self)).collect()
    }

    fn host(&mut self) -> Result<Option<String>> {
        if self.0.arbitrary()? { self.gateway().map(Some) } else { Ok(None) }
    }

    fn step(&mut self) -> Result<Step> {
        use Step::{
            Activate, Collect, Connect, Disconnect, Lock, Prepare, Recover, Resolve, Restore, Test, Unlock, Verify,
        };
        self.one_of(&[
            Connect, Lock, Recover, Resolve, Prepare, Activate, Verify, Restore, Test, Collect, Unlock, Disconnect,
        ])
    }

    fn took(&mut self) -> Result<Duration> {
        Ok(Duration::from_millis(self.0.arbitrary::<u32>()?.into()))
    }

    fn problem(&mut self) -> Result<Problem> {
        use Class::{Inconclusive, Interrupted, Mixed, Report, Testbed, Upgrade};
        let class = self.one_of(&[Testbed, Upgrade, Mixed, Inconclusive, Interrupted, Report])?;
        let problem = Problem::new(class, self.text::<String>()?).because(self.text::<String>()?);
        Ok(match self.maybe::<String>()? {
            Some(hint) => problem.hint(hint),
            None => problem,
        })
    }

    fn night(&mut self) -> Result<Night> {
        let suites = self.names(Self::suite)?;
        let planned = |suite: String| PlannedSuite { list: format!("{suite}.ntl"), suite };
        Ok(Night {
            format: FORMAT,
            run: self.text()?,
            program: self.text()?,
            command: self.name(&["run", "upgrade", "test", "report"])?,
            setup: self.maybe()?,
            url: self.maybe()?,
            wanted: self.maybe()?,
            gateways: self.names(Self::gateway)?,
            suites: suites.into_iter().map(planned).collect(),
            steps: (0..self.0.int_in_range(0..=3)?).map(|_| self.step()).collect::<Result<_>>()?,
            tag: None,
            gate: self.gate()?,
            compare: None,
        })
    }

    fn gate(&mut self) -> Result<Gate> {
        let until = self.one_of(&[time::macros::date!(2026 - 11 - 21), time::macros::date!(2026 - 12 - 31)])?;
        let case = "gx*".parse().expect("it is a pattern");
        let known = KnownFailure { suite: "gxgy".to_owned(), case, reason: self.text()?, until };
        let exceeded = self.one_of(&[Exceeded::Warn, Exceeded::Fail])?;
        let limit = MaxDuration { suite: Some(1.5), case: Some(1.5), exceeded };
        let named = [("gxgy".to_owned(), [self.text()?].into())].into();
        Ok(Gate {
            known_failures: if self.0.arbitrary()? { vec![known] } else { Vec::new() },
            strict: self.0.arbitrary()?,
            required: self.0.choose(&[Required::Named(named), Required::Baseline, Required::None])?.clone(),
            flaky: self.one_of(&[Flaky::Pass, Flaky::Fail])?,
            max_duration: [("gxgy".to_owned(), limit)].into(),
        })
    }

    fn step_outcome(&mut self) -> Result<StepOutcome> {
        Ok(match self.0.int_in_range(0..=2)? {
            0 => StepOutcome::Done { text: self.text()? },
            1 => StepOutcome::Skipped { reason: self.text()? },
            _ => StepOutcome::Failed(self.problem()?),
        })
    }

    fn gateway_outcome(&mut self) -> Result<GatewayOutcome> {
        Ok(match self.0.int_in_range(0..=4)? {
            4 => GatewayOutcome::Downgraded { from: self.text()?, to: self.text()? },
            0 => GatewayOutcome::Upgraded { from: self.maybe()?, to: self.text()? },
            1 => GatewayOutcome::Unchanged { at: self.text()? },
            2 => GatewayOutcome::Restored { to: self.text()? },
            _ => GatewayOutcome::Mixed { runs: self.text()? },
        })
    }

    fn case(&mut self) -> Result<Case> {
        Ok(Case {
            number: self.0.int_in_range(0..=3)?,
            name: self.name(&["gx_gy_combined_04", "(suite)"])?.into(),
            params: self.text()?,
            verdict: self.maybe()?,
            judgement: match self.0.int_in_range(0..=2)? {
                0 => Judgement::Passed,
                1 => Judgement::Failed { message: self.text()? },
                _ => Judgement::Error { message: self.text()? },
            },
            took: self.took()?,
            details: self.text()?,
            console: self.text()?,
            is_missing: false,
        })
    }

    fn suite_end(&mut self) -> Result<SuiteEnd> {
        Ok(SuiteEnd {
            verdict: self.maybe()?,
            planned: if self.0.arbitrary()? { Some(self.0.int_in_range(0..=3)?) } else { None },
            exit: self.text()?,
            took: self.took()?,
            notes: self.names(Self::text)?,
            problem: if self.0.arbitrary()? { Some(self.problem()?) } else { None },
        })
    }

    /// What nights before may have been.
    fn memory(&mut self) -> Result<Memory> {
        let started = time::macros::datetime!(2026-11-20 23:05 UTC);
        let past = |run: String, release| Past { run, started, release };
        let case = CaseMemory {
            before: self.one_of(&[None, Some(CameTo::Passed), Some(CameTo::Failed)])?,
            last_good: if self.0.arbitrary()? { Some(past(self.text()?, self.maybe()?)) } else { None },
            bad_since: if self.0.arbitrary()? { Some(past(self.text()?, self.maybe()?)) } else { None },
            unknown_since: None,
            usual: Some(self.took()?),
            is_baseline: self.0.arbitrary()?,
        };
        let cases = [(self.name(&["gx_gy_combined_04"])?, case)].into();
        let suite = SuiteMemory { usual: Some(self.took()?), cases };
        let step = StepMemory { step: self.step()?, switched: self.text()?, usual: self.took()? };
        let (previous, suites) = (past(self.text()?, self.maybe()?), [("gxgy".to_owned(), suite)].into());
        Ok(Memory { previous: Some(previous), suites, steps: vec![step] })
    }

    /// Something that happens in a night, likely or not.
    fn happening(&mut self) -> Result<EventKind> {
        Ok(match self.0.int_in_range(0..=25)? {
            0 => EventKind::NightEnded,
            1 => EventKind::NightStarted(self.night()?),
            2 => EventKind::StepStarted { step: self.step()?, host: self.host()? },
            3 => EventKind::StepFinished {
                step: self.step()?,
                host: self.host()?,
                outcome: self.step_outcome()?,
                took: self.took()?,
            },
            4 => EventKind::Noted {
                step: self.step()?,
                host: self.host()?,
                level: self.one_of(&[Level::Info, Level::Warning])?,
                text: self.text()?,
            },
            5 => EventKind::Output { step: self.step()?, host: self.host()?, line: self.text()? },
            6 => EventKind::Commanded { step: self.step()?, host: self.gateway()?, command: self.text()? },
            7 => EventKind::TunnelUp { device: self.text()?, address: self.text()? },
            8 => EventKind::TunnelLost { reason: self.text()? },
            9 => EventKind::TunnelBack { after: self.took()? },
            10 => EventKind::ReleasePassedOver { version: self.text()?, reason: self.text()?, age: self.took()? },
            11 => EventKind::ReleaseResolved { wanted: self.text()?, version: self.text()?, tag: self.maybe()? },
            12 => EventKind::GatewayFound { gateway: self.gateway()?, runs: self.maybe()? },
            13 => EventKind::GatewayFinished {
                gateway: self.gateway()?,
                outcome: self.gateway_outcome()?,
                packages: vec![PackageChange { name: self.text()?, from: self.maybe()?, to: self.maybe()? }],
            },
            14 => EventKind::SuiteStarted { suite: self.suite()?, list: self.text()?, host: self.text()?, attempt: 1 },
            15 => EventKind::SuitePlanned { suite: self.suite()?, cases: self.0.int_in_range(0..=3)? },
            16 => {
                let Case { number, name, .. } = self.case()?;
                EventKind::CaseStarted { suite: self.suite()?, number, case: name }
            }
            17 => EventKind::CaseFinished { suite: self.suite()?, case: self.case()? },
            18 => EventKind::CaseExplained { suite: self.suite()?, case: self.case()? },
            19 => EventKind::SuiteFinished { suite: self.suite()?, end: self.suite_end()? },
            20 => EventKind::Collected { host: self.gateway()?, path: self.text()?, bytes: self.0.arbitrary()? },
            21 => EventKind::Interrupted { signal: self.text()? },
            23 => EventKind::Remembered(self.memory()?),
            24 => EventKind::InternalError { problem: self.problem()? },
            22 => EventKind::DeadlinePassed { deadline: self.took()? },
            _ => EventKind::ReportFailed { report: self.text()?, problem: self.problem()? },
        })
    }
}
