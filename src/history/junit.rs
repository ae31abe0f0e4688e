//! JUnit XML of any tool, as the suites of a run. What the document does not show to have passed has not passed: it has
//! to be well-formed to its end, its counts have to agree with the cases that it lists, and a mark that is not known is
//! not a pass.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event as Xml};
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::entry::{Judged, PastCase, PastSuite};
use crate::gate::CameTo;
use crate::report::{KNOWN, Names, PIPELINE};
use crate::summary::{About, Reason, Status};

/// How deep elements may be nested. Real documents have less than ten levels.
const DEEPEST: usize = 64;
/// The most cases of a document.
const MOST_CASES: usize = 200_000;
/// The most suites of a document.
const MOST_SUITES: usize = 5_000;
/// How many problems of a suite are told.
const MOST_PROBLEMS: usize = 10;
/// The longest message of a case that is kept, in characters.
const LONGEST_MESSAGE: usize = 4_000;
/// The longest name of a suite, in characters.
const LONGEST_NAME: usize = 500;
/// How many names a reason lists.
const NAMED: usize = 3;

/// What a document says of a run.
#[derive(Debug)]
pub(super) struct Document {
    /// The earliest `timestamp` of a suite.
    pub(super) started: Option<OffsetDateTime>,
    pub(super) suites: Vec<PastSuite>,
    /// What keeps the suites from having passed.
    pub(super) reasons: Vec<Reason>,
}

/// Reads a document. `states_time` is whether its time stamps matter: they have to be readable then.
pub(super) fn read(text: &str, states_time: bool) -> anyhow::Result<Document> {
    let mut reader = Reader::from_str(text);
    let mut parser = Parser { states_time, ..Parser::default() };
    loop {
        let event = reader.read_event().with_context(|| format!("at byte {}", reader.error_position()));
        let at = || format!("at byte {}", reader.buffer_position());
        match event? {
            Xml::Start(tag) => parser.open(&tag).with_context(at)?,
            Xml::Empty(tag) => {
                parser.open(&tag).with_context(at)?;
                parser.close();
            }
            Xml::End(_) => parser.close(),
            Xml::Text(text) => parser.text(&text.decode().context("a text is not UTF-8")?).with_context(at)?,
            Xml::CData(text) => parser.text(&text.decode().context("a text is not UTF-8")?).with_context(at)?,
            Xml::GeneralRef(name) => {
                let is_character = name.resolve_char_ref().with_context(at)?.is_some();
                let name = name.decode().context("a text is not UTF-8")?;
                if !is_character && resolve_xml_entity(&name).is_none() {
                    bail!("{}: the entity `&{name};` is not defined", at());
                }
                parser.text("&").with_context(at)?;
            }
            Xml::Decl(declaration) => {
                if parser.has_begun {
                    bail!("{}: a second document begins", at());
                }
                if let Some(encoding) = declaration.encoding() {
                    let encoding = encoding.with_context(at)?;
                    let name = String::from_utf8_lossy(&encoding);
                    // A document that says less than it is has been decoded already.
                    if !["utf-8", "utf8", "us-ascii", "ascii"].contains(&name.to_ascii_lowercase().as_str()) {
                        bail!("it is encoded as {name}, and only UTF-8 is read");
                    }
                }
            }
            Xml::Comment(_) | Xml::PI(_) | Xml::DocType(_) => {}
            Xml::Eof => break,
        }
    }
    parser.end()
}

/// What has been read of a document.
#[derive(Debug, Default)]
struct Parser {
    states_time: bool,
    /// Whether the outermost element has been opened.
    has_begun: bool,
    /// The elements that are open, from the outside.
    open: Vec<Element>,
    started: Option<OffsetDateTime>,
    suites: Vec<Suite>,
    cases: usize,
}

/// An element that is open.
#[derive(Debug)]
enum Element {
    /// What holds suites and cases: a suite, or what is around suites.
    Group(Group),
    Case(Case),
    /// What says how a case ended; its text is the message of the case, where it has none yet.
    Mark,
    /// Anything else.
    Other,
}

/// What holds suites and cases.
#[derive(Debug)]
struct Group {
    tag: String,
    /// Its place among the suites, if it is one.
    suite: Option<usize>,
    /// The place of the first suite that is inside of it, or it.
    first: usize,
    has_suites: bool,
    stated: Stated,
    seen: Seen,
    problems: Vec<String>,
}

impl Group {
    fn says(&mut self, problem: String) {
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn holds(&mut self, tag: &str) {
        self.says(format!("`<{}>` holds `<{tag}>`, which says that not all is well", self.tag));
    }
}

/// What the attributes of a group say of the cases in it.
#[derive(Debug, Default)]
struct Stated {
    tests: Option<u64>,
    passed: Option<u64>,
    executed: Option<u64>,
    failures: u64,
    errors: u64,
    not_run: u64,
}

/// The cases of a group that are listed.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    cases: u64,
    passed: u64,
    failures: u64,
    errors: u64,
    not_run: u64,
}

#[derive(Debug)]
struct Suite {
    past: PastSuite,
    /// Cases that are listed and were not run.
    not_run: Vec<String>,
    problems: Vec<String>,
    /// Whether it can hold cases of its own: it is not only around other suites.
    is_leaf: bool,
}

/// How a case ended, the better first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    #[default]
    Passed,
    /// It passed when it was run again.
    Flaky,
    Known,
    NotRun,
    Error,
    Failed,
}

#[derive(Debug, Default)]
struct Case {
    name: String,
    took_ms: u64,
    outcome: Outcome,
    message: Option<String>,
    is_failed: bool,
    is_error: bool,
    is_not_run: bool,
}

impl Parser {
    fn open(&mut self, tag: &BytesStart<'_>) -> anyhow::Result<()> {
        if self.open.is_empty() && self.has_begun {
            bail!("a second document begins");
        }
        self.has_begun = true;
        if self.open.len() >= DEEPEST {
            bail!("elements are nested more than {DEEPEST} deep");
        }
        let name = String::from_utf8_lossy(tag.local_name().as_ref()).to_ascii_lowercase();
        let attributes = attributes(tag)?;
        let element = match (name.as_str(), self.case().is_some()) {
            ("testsuite", false) => self.open_suite(&attributes)?,
            ("testcase", false) => {
                self.cases += 1;
                if self.cases > MOST_CASES {
                    bail!("it has more than {MOST_CASES} cases");
                }
                if self.group().is_none_or(|group| group.suite.is_none()) {
                    bail!("a case is outside of every suite");
                }
                Element::Case(Case::new(&attributes))
            }
            (_, true) => self.open_in_case(&name, &attributes),
            (_, false) if NEUTRAL.contains(&name.as_str()) || !self.is_around_suites() => Element::Other,
            (_, false) => match self.open.last_mut() {
                // A mark of the suite as a whole: its set-up failed, or something that is not known here.
                Some(Element::Group(group)) if group.suite.is_some() => {
                    group.holds(&name);
                    Element::Other
                }
                // What is around suites may have any name.
                _ => Element::Group(self.new_group(&name, &attributes)),
            },
        };
        self.open.push(element);
        Ok(())
    }

    /// Whether a group or nothing is open.
    fn is_around_suites(&self) -> bool {
        matches!(self.open.last(), None | Some(Element::Group(_)))
    }

    fn group(&self) -> Option<&Group> {
        match self.open.last() {
            Some(Element::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// The case that is open, however deep in it something is.
    fn case(&mut self) -> Option<&mut Case> {
        self.open.iter_mut().rev().find_map(|element| match element {
            Element::Case(case) => Some(case),
            _ => None,
        })
    }

    fn new_group(&self, tag: &str, attributes: &[(String, String)]) -> Group {
        let (stated, problems) = Stated::read(attributes);
        let first = self.suites.len();
        Group { tag: tag.to_owned(), suite: None, first, has_suites: false, stated, seen: Seen::default(), problems }
    }

    fn open_suite(&mut self, attributes: &[(String, String)]) -> anyhow::Result<Element> {
        if !self.is_around_suites() {
            bail!("a suite is inside of something that is not known");
        }
        for element in &mut self.open {
            if let Element::Group(group) = element {
                group.has_suites = true;
            }
        }
        let mut group = self.new_group("testsuite", attributes);
        let place = self.suites.len();
        group.suite = Some(place);
        if let Some(began) = value(attributes, "timestamp").filter(|text| self.states_time && !text.trim().is_empty()) {
            let began = moment(began.trim()).with_context(|| format!("the timestamp `{began}` is not a time"))?;
            self.started = Some(self.started.map_or(began, |earliest| earliest.min(began)));
        }
        if place >= MOST_SUITES {
            bail!("it has more than {MOST_SUITES} suites");
        }
        self.suites.push(Suite::new(attributes));
        Ok(Element::Group(group))
    }

    fn open_in_case(&mut self, name: &str, attributes: &[(String, String)]) -> Element {
        let is_direct = matches!(self.open.last(), Some(Element::Case(_)));
        let Some(case) = self.case() else { return Element::Other };
        let is_known_failure = value(attributes, "type") == Some(KNOWN);
        let outcome = match name {
            "testcase" | "testsuite" | "testsuites" => {
                case.mark(Outcome::Error, Some(format!("it holds a `<{name}>`")));
                return Element::Other;
            }
            "failure" | "failed" | "fail" | "rerunfailure" | "rerunerror" => Outcome::Failed,
            "error" | "exception" | "crash" => Outcome::Error,
            "skipped" if is_known_failure => Outcome::Known,
            "flakyfailure" | "flakyerror" => Outcome::Flaky,
            _ if NOT_RUN.contains(&name) => Outcome::NotRun,
            _ if is_direct && !NEUTRAL.contains(&name) => {
                case.mark(Outcome::Error, Some(format!("it has the mark `<{name}>`, which is not known")));
                return Element::Other;
            }
            _ => return Element::Other,
        };
        let message = value(attributes, "message").filter(|message| !message.is_empty());
        case.mark(outcome, message.map(str::to_owned));
        Element::Mark
    }

    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        match self.open.last_mut() {
            None if self.has_begun => bail!("there is text after the end of the document"),
            None => bail!("there is text before the document"),
            // Programs that print into their own report end like this.
            Some(Element::Group(group)) => group.says(format!("`<{}>` holds text between its cases", group.tag)),
            Some(Element::Mark) => {
                if let Some(case) = self.case()
                    && case.message.is_none()
                {
                    case.message = Some(cut(text));
                }
            }
            Some(Element::Case(_) | Element::Other) => {}
        }
        Ok(())
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Element::Group(group)) => self.close_group(group),
            Some(Element::Case(case)) => self.close_case(case),
            Some(Element::Mark | Element::Other) | None => {}
        }
    }

    fn close_case(&mut self, case: Case) {
        let Some(Element::Group(group)) = self.open.last_mut() else { return };
        group.seen.count(&case);
        let Some(suite) = group.suite.and_then(|place| self.suites.get_mut(place)) else { return };
        suite.past.planned = suite.past.planned.map(|planned| planned + 1);
        if case.outcome == Outcome::NotRun {
            suite.not_run.push(case.name);
        } else {
            suite.past.cases.push(case.past());
        }
    }

    /// Compares what a group states with what is listed in it.
    fn close_group(&mut self, mut group: Group) {
        group.problems.extend(group.stated.disagreements(&group.seen));
        if let Some(suite) = group.suite.and_then(|place| self.suites.get_mut(place)) {
            suite.is_leaf = !group.has_suites;
            let unseen = group.stated.tests.unwrap_or(0).saturating_sub(group.seen.cases);
            suite.past.planned = suite.past.planned.map(|planned| planned.saturating_add(unseen));
        }
        // Of several suites it is not known which one is meant: each is in doubt.
        for suite in &mut self.suites[group.first..] {
            suite.problems.extend(group.problems.iter().cloned());
        }
        if let Some(Element::Group(around)) = self.open.last_mut() {
            around.seen.add(&group.seen);
            // Nothing is in it: it is a mark of all that is around it.
            if group.suite.is_none() && !group.has_suites {
                around.holds(&group.tag);
            }
        }
    }

    fn end(self) -> anyhow::Result<Document> {
        if !self.has_begun {
            bail!("it has no element");
        }
        if !self.open.is_empty() {
            bail!("it ends early: {} elements are not closed", self.open.len());
        }
        let mut suites: Vec<Suite> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for suite in self.suites {
            match places.get(&suite.past.suite) {
                Some(&place) => suites[place].take_in(suite),
                None => {
                    places.insert(suite.past.suite.clone(), suites.len());
                    suites.push(suite);
                }
            }
        }
        let pipeline = suites.iter().find(|suite| suite.past.suite == PIPELINE);
        // Of a run of ours that was red as a whole, no suite passed. Steps that were not taken are no failure.
        let red = pipeline.and_then(|pipeline| {
            let bad = pipeline.past.cases.iter().find(|case| is_bad(case)).map(|case| case.case.clone());
            bad.or_else(|| pipeline.problems.first().cloned())
        });
        suites.retain(|suite| suite.past.suite != PIPELINE && (suite.is_leaf || suite.past.planned != Some(0)));
        if suites.iter().all(|suite| suite.past.planned == Some(0)) {
            bail!("it has no test suite with a case");
        }
        for suite in &mut suites {
            if let Some(what) = &red {
                suite.problems.push(format!("the run as a whole did not pass: {PIPELINE}: {what}"));
            }
        }
        let reasons = suites.iter().flat_map(Suite::reasons).collect();
        Ok(Document { started: self.started, reasons, suites: suites.into_iter().map(Suite::judged).collect() })
    }
}

/// Elements that say nothing about how something ended.
const NEUTRAL: [&str; 16] = [
    "properties",
    "property",
    "system-out",
    "system-err",
    "systemout",
    "systemerr",
    "stdout",
    "stderr",
    "attachments",
    "attachment",
    "description",
    "requirements",
    "tags",
    "metadata",
    "measurement",
    "environment",
];

/// Names of elements, and values of `status` and the like, that say that something was not run.
const NOT_RUN: [&str; 24] = [
    "skipped",
    "skip",
    "disabled",
    "ignored",
    "notrun",
    "not-run",
    "not_run",
    "not run",
    "notexecuted",
    "not-executed",
    "not_executed",
    "not executed",
    "pending",
    "untested",
    "undefined",
    "suppressed",
    "filtered",
    "blocked",
    "deselected",
    "aborted",
    "cancelled",
    "canceled",
    "incomplete",
    "inconclusive",
];

/// Values of `status` and the like that say that something passed, or only that it was run.
const PASSED: [&str; 17] = [
    "passed",
    "pass",
    "success",
    "successful",
    "succeeded",
    "ok",
    "run",
    "ran",
    "executed",
    "completed",
    "complete",
    "done",
    "finished",
    "true",
    "yes",
    "0",
    "",
];

/// Values of `status` and the like that say that something failed.
const FAILED: [&str; 7] = ["failed", "fail", "failure", "failures", "broken", "false", "no"];

/// Attributes that say in a word how something ended.
const IN_A_WORD: [&str; 6] = ["status", "result", "outcome", "state", "verdict", "conclusion"];
/// Attributes that are true of what was run and passed.
const TRUE_OF_A_PASS: [&str; 12] = [
    "executed",
    "run",
    "ran",
    "success",
    "successful",
    "succeeded",
    "passed",
    "ok",
    "enabled",
    "complete",
    "completed",
    "finished",
];
/// Those of them that are true of what was run.
const OF_A_RUN: [&str; 7] = ["executed", "run", "ran", "enabled", "complete", "completed", "finished"];
/// Attributes that are false of what was run and passed; they may give a reason in words.
const FALSE_OF_A_PASS: [&str; 22] = [
    "skipped",
    "skip",
    "disabled",
    "ignored",
    "notrun",
    "notexecuted",
    "failed",
    "failure",
    "failures",
    "error",
    "errors",
    "errored",
    "aborted",
    "blocked",
    "cancelled",
    "canceled",
    "crashed",
    "timedout",
    "broken",
    "pending",
    "incomplete",
    "inconclusive",
];

/// Parts of the names of counts that say that something did not pass.
const COUNTS_OF_FAILURES: [&str; 2] = ["fail", "broken"];
const COUNTS_OF_ERRORS: [&str; 3] = ["error", "crash", "timeout"];
const COUNTS_OF_NOT_RUN: [&str; 16] = [
    "skip",
    "disabled",
    "ignored",
    "notrun",
    "unrun",
    "executed",
    "suppressed",
    "abort",
    "blocked",
    "cancel",
    "pending",
    "untested",
    "undefined",
    "complete",
    "conclusive",
    "missing",
];

/// The name of an attribute without case, `-` and `_`.
fn plain(name: &str) -> String {
    name.chars().filter(|char| !matches!(char, '-' | '_')).collect::<String>().to_ascii_lowercase()
}

fn is_false(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "false" | "no" | "n" | "0" | "off" | "none" | "null" | "")
}

/// What the attributes of a case or a suite say of how it ended, with the attribute that says so.
fn ended(attributes: &[(String, String)]) -> (Outcome, Option<String>) {
    let mut worst = (Outcome::Passed, None);
    for (name, value) in attributes {
        let word = value.trim().to_ascii_lowercase();
        let plain = plain(name);
        let outcome = if IN_A_WORD.contains(&plain.as_str()) {
            match word.as_str() {
                word if PASSED.contains(&word) => Outcome::Passed,
                word if FAILED.contains(&word) => Outcome::Failed,
                word if NOT_RUN.contains(&word) => Outcome::NotRun,
                _ => Outcome::Error,
            }
        } else if TRUE_OF_A_PASS.contains(&plain.as_str()) {
            match word.as_str() {
                word if NOT_RUN.contains(&word) => Outcome::NotRun,
                word if is_false(word) && OF_A_RUN.contains(&plain.as_str()) => Outcome::NotRun,
                word if is_false(word) || FAILED.contains(&word) => Outcome::Failed,
                _ => Outcome::Passed,
            }
        } else if FALSE_OF_A_PASS.contains(&plain.as_str()) && !is_false(value) {
            match plain.as_str() {
                "failed" | "failure" | "failures" => Outcome::Failed,
                "error" | "errors" | "errored" | "crashed" | "timedout" | "broken" => Outcome::Error,
                _ => Outcome::NotRun,
            }
        } else {
            Outcome::Passed
        };
        if outcome > worst.0 {
            worst = (outcome, Some(format!("it has {name}=\"{value}\"")));
        }
    }
    worst
}

impl Stated {
    /// Reads the counts of a group, and what else its attributes say against it.
    fn read(attributes: &[(String, String)]) -> (Stated, Vec<String>) {
        let mut stated = Stated::default();
        let mut problems = Vec::new();
        let mut words = Vec::new();
        for (name, value) in attributes {
            let plain = plain(name);
            let is_count = matches!(plain.as_str(), "tests" | "failures" | "errors" | "skipped" | "disabled");
            let has = |parts: &[&str]| parts.iter().any(|part| plain.contains(part));
            let Some(count) = count(value) else {
                let is_unstated = value.trim().is_empty() || (plain != "tests" && is_false(value));
                if is_count && !is_unstated {
                    problems.push(format!("`{name}` is `{value}`, which is not a count"));
                } else {
                    words.push((name.clone(), value.clone()));
                }
                continue;
            };
            let of_it = match plain.as_str() {
                "tests" | "total" | "testcases" => {
                    stated.tests = Some(stated.tests.unwrap_or(0).max(count));
                    continue;
                }
                "passed" | "passes" | "success" | "successes" | "successful" | "succeeded" => {
                    stated.passed = Some(count);
                    continue;
                }
                _ if IN_A_WORD.contains(&plain.as_str()) => {
                    words.push((name.clone(), value.clone()));
                    continue;
                }
                "executed" | "completed" | "finished" | "ran" => {
                    stated.executed = Some(count);
                    continue;
                }
                _ if has(&COUNTS_OF_NOT_RUN) => &mut stated.not_run,
                _ if has(&COUNTS_OF_FAILURES) => &mut stated.failures,
                _ if has(&COUNTS_OF_ERRORS) => &mut stated.errors,
                _ => continue,
            };
            *of_it = of_it.saturating_add(count);
        }
        if let (outcome, Some(why)) = ended(&words)
            && outcome > Outcome::Passed
        {
            problems.push(why);
        }
        (stated, problems)
    }

    /// Where what is listed is better than what is stated.
    fn disagreements(&self, seen: &Seen) -> Vec<String> {
        let mut problems = Vec::new();
        let mut compare = |stated: u64, seen: u64, what: &str| {
            if stated > seen {
                let are = if seen == 1 { "is" } else { "are" };
                problems.push(format!("its attributes state {stated} {what}, and {seen} {are} listed"));
            }
        };
        compare(self.tests.unwrap_or(0), seen.cases, "cases");
        compare(self.failures, seen.failures, "failures");
        compare(self.errors, seen.errors, "errors");
        compare(self.not_run, seen.not_run, "cases that were not run");
        let executed = seen.cases.saturating_sub(seen.not_run);
        for (stated, seen, what) in
            [(self.passed, seen.passed, "passed cases"), (self.executed, executed, "executed cases")]
        {
            if let Some(stated) = stated.filter(|&stated| stated != seen) {
                problems.push(format!("its attributes state {stated} {what}, and {seen} are listed"));
            }
        }
        problems
    }
}

impl Seen {
    fn count(&mut self, case: &Case) {
        self.cases += 1;
        self.passed += u64::from(case.outcome <= Outcome::Flaky);
        self.failures += u64::from(case.is_failed);
        self.errors += u64::from(case.is_error);
        self.not_run += u64::from(case.is_not_run);
    }

    fn add(&mut self, other: &Seen) {
        self.cases += other.cases;
        self.passed += other.passed;
        self.failures += other.failures;
        self.errors += other.errors;
        self.not_run += other.not_run;
    }
}

impl Case {
    fn new(attributes: &[(String, String)]) -> Case {
        let mut case = Case {
            name: value(attributes, "name").unwrap_or_default().to_owned(),
            took_ms: value(attributes, "time").and_then(millis).unwrap_or(0),
            ..Case::default()
        };
        if let (outcome, Some(why)) = ended(attributes) {
            case.mark(outcome, Some(why));
        }
        case
    }

    /// Takes a mark in. Of several the worst counts.
    fn mark(&mut self, outcome: Outcome, message: Option<String>) {
        self.is_failed |= outcome == Outcome::Failed;
        self.is_error |= outcome == Outcome::Error;
        self.is_not_run |= matches!(outcome, Outcome::NotRun | Outcome::Known);
        if outcome > self.outcome {
            self.outcome = outcome;
            self.message = None;
        }
        if outcome == self.outcome && self.message.is_none() {
            self.message = message.map(|message| cut(&message));
        }
    }

    fn past(self) -> PastCase {
        let (judged, came_to) = match self.outcome {
            Outcome::Passed => (Judged::Passed, CameTo::Passed),
            Outcome::Flaky => (Judged::Failed, CameTo::Flaky),
            Outcome::Known => (Judged::Failed, CameTo::Known),
            Outcome::Failed => (Judged::Failed, CameTo::Failed),
            Outcome::NotRun | Outcome::Error => (Judged::Error, CameTo::Error),
        };
        PastCase {
            case: self.name,
            attempt: 1,
            judged,
            verdict: None,
            took_ms: self.took_ms,
            message: self.message,
            came_to: Some(came_to),
        }
    }
}

fn is_bad(case: &PastCase) -> bool {
    matches!(case.came_to, Some(CameTo::Failed | CameTo::Error))
}

impl Suite {
    fn new(attributes: &[(String, String)]) -> Suite {
        let past = PastSuite {
            suite: cut_to(value(attributes, "name").unwrap_or_default(), LONGEST_NAME),
            list: String::new(),
            host: value(attributes, "hostname").map(cut),
            verdict: None,
            planned: Some(0),
            took_ms: value(attributes, "time").and_then(millis),
            problem: None,
            status: Status::Inconclusive,
            cases: Vec::new(),
        };
        Suite { past, not_run: Vec::new(), problems: Vec::new(), is_leaf: true }
    }

    /// Takes in another suite of the same name.
    fn take_in(&mut self, other: Suite) {
        let (known, other_past) = (&mut self.past, other.past);
        known.planned = known.planned.zip(other_past.planned).map(|(known, other)| known.saturating_add(other));
        known.took_ms = known.took_ms.zip(other_past.took_ms).map(|(known, took)| known.saturating_add(took));
        known.cases.extend(other_past.cases);
        self.not_run.extend(other.not_run);
        self.problems.extend(other.problems);
        self.is_leaf |= other.is_leaf;
    }

    /// Why it has not passed.
    fn reasons(&self) -> Vec<Reason> {
        let name = &self.past.suite;
        let reason = |status, text: String| Reason {
            status,
            about: About::Suite { suite: name.clone(), is_slow: false },
            text: format!("`{name}`: {text}"),
        };
        let of = self.past.planned.unwrap_or(0);
        let ended = |came_to| {
            let cases = self.past.cases.iter().filter(move |case| case.came_to == Some(came_to));
            cases.map(|case| case.case.clone()).collect::<Vec<_>>()
        };
        let mut reasons = Vec::new();
        for (status, cases, what) in [
            (Status::TestsFailed, ended(CameTo::Failed), "failed"),
            (Status::Inconclusive, ended(CameTo::Error), "have no verdict"),
            (Status::Inconclusive, self.not_run.clone(), "were not run"),
        ] {
            if !cases.is_empty() {
                reasons.push(reason(status, format!("{} of {of} cases {what}: {}", cases.len(), names(&cases))));
            }
        }
        let mut told: Vec<&String> = Vec::new();
        for problem in &self.problems {
            if !told.contains(&problem) && told.len() < MOST_PROBLEMS {
                told.push(problem);
                reasons.push(reason(Status::Inconclusive, problem.clone()));
            }
        }
        if reasons.is_empty() && of != self.past.cases.len() as u64 {
            reasons.push(reason(Status::Inconclusive, format!("{} of {of} cases are listed", self.past.cases.len())));
        }
        if reasons.is_empty() && self.past.cases.is_empty() {
            reasons.push(reason(Status::Inconclusive, "it lists no case".to_owned()));
        }
        reasons
    }

    fn judged(self) -> PastSuite {
        let reasons = self.reasons();
        let is = |status| reasons.iter().any(|reason| reason.status == status);
        let status = [Status::TestsFailed, Status::Inconclusive].into_iter().find(|&status| is(status));
        let mut past = PastSuite { status: status.unwrap_or(Status::Passed), ..self.past };
        past.problem = self.problems.into_iter().next();
        // Cases of one name are told apart, as in our own reports.
        let mut names = Names::default();
        past.cases.iter_mut().for_each(|case| case.case = names.give(&case.case));
        past
    }
}

fn names(cases: &[String]) -> String {
    let mut text = cases.iter().take(NAMED).map(|name| cut_to(name, 100)).collect::<Vec<_>>().join(", ");
    if cases.len() > NAMED {
        text.push_str(&format!(" and {} more", cases.len() - NAMED));
    }
    text
}

/// All attributes of an element; one that cannot be read makes the document unreadable.
fn attributes(tag: &BytesStart<'_>) -> anyhow::Result<Vec<(String, String)>> {
    let read = |attribute: Result<quick_xml::events::attributes::Attribute<'_>, _>| {
        let attribute = attribute.context("an attribute is not well-formed")?;
        let name = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        let value = value.with_context(|| format!("the attribute `{name}` cannot be read"))?;
        Ok((name, value.into_owned()))
    };
    tag.attributes().map(read).collect()
}

fn value<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A count; one that is too large is as large as can be.
fn count(text: &str) -> Option<u64> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn cut(text: &str) -> String {
    cut_to(text, LONGEST_MESSAGE)
}

fn cut_to(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Seconds, as JUnit has them; some tools group the digits: `1,234.5`.
fn millis(text: &str) -> Option<u64> {
    let seconds = text.trim().replace(',', "").parse().ok()?;
    u64::try_from(std::time::Duration::try_from_secs_f64(seconds).ok()?.as_millis()).ok()
}

/// A time with an offset, or without one: UTC then.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let text = text.replacen(' ', "T", 1);
    let plain =
        || time::PrimitiveDateTime::parse(&text, &Iso8601::DEFAULT).ok().map(time::PrimitiveDateTime::assume_utc);
    let with_offset =
        OffsetDateTime::parse(&text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&text, &Iso8601::DEFAULT));
    with_offset.ok().or_else(plain)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use time::macros::datetime;

    use super::*;

    fn status(document: &Document) -> Status {
        let is = |status| document.suites.iter().any(|suite| suite.status == status);
        let worst = [Status::TestsFailed, Status::Inconclusive].into_iter().find(|&status| is(status));
        worst.unwrap_or(Status::Passed)
    }

    /// What a document comes to, in a word, with why.
    fn told(text: &str) -> (String, String) {
        match read(text, true) {
            Ok(document) => {
                let why: Vec<&str> = document.reasons.iter().map(|reason| reason.text.as_str()).collect();
                (status(&document).name().to_owned(), why.join("; "))
            }
            Err(error) => ("refused".to_owned(), format!("{error:#}")),
        }
    }

    /// One suite with a passing case, with what else its tag and its body have.
    fn suite(attributes: &str, body: &str) -> String {
        format!("<testsuite name=\"s\" {attributes}><testcase name=\"a\"/>{body}</testsuite>")
    }

    /// A suite whose second case has these attributes and this body.
    fn case(attributes: &str, body: &str) -> String {
        suite("", &format!("<testcase name=\"b\" {attributes}>{body}</testcase>"))
    }

    /// A suite that passed, with a suite of our own steps.
    fn with_pipeline(attributes: &str, step: &str, mark: &str) -> String {
        let pipeline = format!("<testcase name=\"{step}\">{mark}</testcase>");
        format!("<x>{}<testsuite name=\"pipeline\" {attributes}>{pipeline}</testsuite></x>", suite("", ""))
    }

    #[test]
    fn what_a_document_does_not_show_to_have_passed_has_not_passed() {
        let pass = "<testcase name=\"a\"/>";
        let table: Vec<(&str, String)> = vec![
            // Whole documents.
            ("passed", suite("", "")),
            (
                "passed",
                format!(
                    "<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- x --><testsuites>{}</testsuites>\n",
                    suite("", "")
                ),
            ),
            ("passed", format!("<testrun project=\"p\" tests=\"1\" started=\"1\">{}</testrun>", suite("", ""))),
            ("passed", "<j:testsuite xmlns:j=\"u\" name=\"s\"><j:testcase name=\"a\"/></j:testsuite>".to_owned()),
            ("passed", suite("", "<!-- <failure/> -->")),
            // Cut off, or not one document.
            ("refused", "<testsuite name=\"s\"><testcase name=\"a\"/>".to_owned()),
            ("refused", format!("<testsuites>{}", suite("", ""))),
            ("refused", format!("<testsuites>{}</testsuites", suite("", ""))),
            ("refused", suite("", "<testcase name=\"b\"><failure message=\"m\">")),
            ("refused", suite("", "<testcase name=\"b\"><failure mess")),
            ("refused", suite("", "<system-out><![CDATA[text")),
            ("refused", suite("", "<!-- comment")),
            ("refused", suite("", "</testcase>")),
            ("refused", format!("{0}{0}", suite("", ""))),
            ("refused", format!("{}<?xml version=\"1.0\"?>{}", suite("", ""), suite("", ""))),
            ("refused", format!("{}\nSegmentation fault\n", suite("", ""))),
            ("refused", format!("warning: x\n{}", suite("", ""))),
            ("refused", suite("tests=\"&unknown;\"", "")),
            ("refused", suite("tests=\"1\" tests=\"2\"", "")),
            ("refused", suite("", "<system-out>&nope;</system-out>")),
            ("refused", suite("timestamp=\"yesterday\"", "")),
            ("refused", format!("<testsuites>{pass}</testsuites>")),
            ("refused", "<testsuites/>".to_owned()),
            ("refused", "<testsuite name=\"s\" tests=\"0\"/>".to_owned()),
            ("refused", "<html></html>".to_owned()),
            ("refused", format!("{}{}", "<a>".repeat(200), "</a>".repeat(200))),
            ("refused", format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", suite("", ""))),
            ("refused", suite("", &format!("<system-out>{pass}</system-out>"))),
            ("refused", suite("", &format!("<weird>{pass}</weird>"))),
            // Counts that do not agree.
            ("passed", suite("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" assertions=\"7\" id=\"3\"", "")),
            ("passed", suite("tests=\" 1 \" failures=\"\"", "")),
            ("inconclusive", suite("tests=\"5\" failures=\"0\"", "")),
            ("inconclusive", suite("tests=\"5\"", "").replace("<testcase name=\"a\"/>", "")),
            ("inconclusive", suite("tests=\"99999999999999999999999\"", "")),
            ("inconclusive", suite("failures=\"1\"", "")),
            ("inconclusive", suite("errors=\"1\"", "")),
            ("inconclusive", suite("skipped=\"1\"", "")),
            ("inconclusive", suite("disabled=\"1\"", "")),
            ("inconclusive", suite("ignored=\"1\"", "")),
            ("inconclusive", suite("not-run=\"2\"", "")),
            ("inconclusive", suite("aborted=\"2\"", "")),
            ("inconclusive", suite("timeouts=\"1\"", "")),
            ("inconclusive", suite("failed=\"1\"", "")),
            ("inconclusive", suite("executed=\"0\"", "")),
            ("inconclusive", suite("passed=\"0\"", "")),
            ("inconclusive", suite("passed=\"4\"", "")),
            ("inconclusive", suite("tests=\"five\"", "")),
            ("inconclusive", suite("failures=\"many\"", "")),
            ("inconclusive", suite("errors=\"-1\"", "")),
            ("inconclusive", format!("<testsuites tests=\"2\">{}</testsuites>", suite("tests=\"1\"", ""))),
            ("inconclusive", format!("<testsuites failures=\"1\">{}</testsuites>", suite("failures=\"0\"", ""))),
            ("inconclusive", format!("<x errors=\"1\">{}</x>", suite("", ""))),
            ("tests failed", suite("failures=\"1\"", "<testcase name=\"b\"><failure/></testcase>")),
            ("tests failed", suite("failures=\"2\"", "<testcase name=\"b\"><failure/></testcase>")),
            // Marks outside of a case.
            ("inconclusive", suite("", "<error message=\"set-up failed\"/>")),
            ("inconclusive", suite("", "<failure/>")),
            ("inconclusive", suite("", "<skipped/>")),
            ("inconclusive", suite("", "<aborted/>")),
            ("inconclusive", suite("", "Segmentation fault")),
            ("inconclusive", suite("", "<![CDATA[core dumped]]>")),
            ("inconclusive", format!("<testsuites><error/>{}</testsuites>", suite("", ""))),
            ("inconclusive", format!("<testsuites>{}<error/></testsuites>", suite("", ""))),
            ("inconclusive", format!("<testsuites>{}<group><failure/></group></testsuites>", suite("", ""))),
            ("inconclusive", suite("status=\"aborted\"", "")),
            ("inconclusive", suite("result=\"whatever\"", "")),
            ("inconclusive", suite("success=\"false\"", "")),
            ("inconclusive", suite("complete=\"false\"", "")),
            ("inconclusive", suite("aborted=\"true\"", "")),
            (
                "passed",
                suite("", "<properties><property name=\"x\" value=\"failed\"/></properties><system-out>x</system-out>"),
            ),
            // Marks of a case.
            ("passed", case("status=\"run\" result=\"completed\"", "<system-out>FAIL</system-out>")),
            ("passed", case("status=\"passed\" executed=\"true\" disabled=\"false\"", "")),
            ("inconclusive", case("", "<error/>")),
            ("inconclusive", case("", "<skipped/>")),
            ("inconclusive", case("", "<Skipped/>")),
            ("inconclusive", case("", "<aborted/>")),
            ("inconclusive", case("", "<never-heard-of/>")),
            ("inconclusive", case("", "<testcase name=\"c\"/>")),
            ("inconclusive", case("", "<system-out><testcase name=\"c\"/></system-out>")),
            ("tests failed", case("", "<failure/>")),
            ("tests failed", case("", "<Failure/>")),
            ("tests failed", case("", "<rerunFailure/>")),
            ("tests failed", case("", "<steps><failure/></steps>")),
            ("inconclusive", case("status=\"notrun\"", "")),
            ("inconclusive", case("status=\"NOT RUN\"", "")),
            ("inconclusive", case("status=\"disabled\" result=\"suppressed\"", "")),
            ("inconclusive", case("executed=\"false\"", "")),
            ("inconclusive", case("executed=\"0\"", "")),
            ("inconclusive", case("run=\"no\"", "")),
            ("inconclusive", case("disabled=\"true\"", "")),
            ("inconclusive", case("skipped=\"needs hardware\"", "")),
            ("inconclusive", case("not-run=\"true\"", "")),
            ("inconclusive", case("state=\"VERDICT_INCONC\"", "")),
            ("tests failed", case("status=\"failed\"", "")),
            ("tests failed", case("result=\"FAIL\"", "")),
            ("tests failed", case("success=\"false\"", "")),
            ("tests failed", case("failed=\"true\"", "")),
            ("tests failed", case("failures=\"1\"", "")),
            // Of two marks the worse counts, in whatever order.
            ("tests failed", case("", "<failure/><skipped/>")),
            ("tests failed", case("", "<skipped/><failure/>")),
            ("tests failed", case("", "<error/><failure/>")),
            ("tests failed", case("", "<failure/><error/>")),
            ("inconclusive", case("", "<error/><skipped type=\"known failure\"/>")),
            ("inconclusive", case("", "<skipped type=\"known failure\"/><error/>")),
            ("inconclusive", case("", "<skipped/><skipped type=\"known failure\"/>")),
            ("tests failed", case("status=\"passed\"", "<failure/>")),
            ("inconclusive", case("status=\"notrun\"", "<skipped type=\"known failure\"/>")),
            // A run of ours that was red as a whole; a step that was skipped is none that failed.
            ("inconclusive", with_pipeline("", "night", "<error/>")),
            ("inconclusive", with_pipeline("tests=\"2\"", "night", "")),
            ("passed", with_pipeline("skipped=\"1\"", "lock", "<skipped/>")),
        ];
        let wrong: Vec<String> = table
            .iter()
            .filter_map(|(expected, text)| {
                let (is, why) = told(text);
                (is != *expected).then(|| format!("{is} and not {expected}: {text} ({why})"))
            })
            .collect();
        assert_eq!(wrong, [""; 0]);
    }

    #[test]
    fn every_document_that_is_cut_anywhere_is_refused() {
        let whole =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit/whole.xml"));
        let whole = whole.expect("a fixture");
        assert_eq!(told(&whole).0, "passed");
        let end = whole.trim_end().len();
        for at in (0..end).filter(|&at| whole.is_char_boundary(at)) {
            assert_eq!(told(&whole[..at]).0, "refused", "cut at {at}: {}", &whole[..at]);
        }
    }

    #[test]
    fn the_fixtures_come_to_what_they_say() {
        let told = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit").join(name);
            let text = std::fs::read_to_string(path).expect("a fixture");
            told(text.trim_start_matches('\u{feff}'))
        };
        let table = [
            ("bom.xml", "passed", ""),
            ("cut-in-failure-s6a.xml", "refused", "it ends early: 3 elements are not closed"),
            ("cut-s6a.xml", "refused", "it ends early: 2 elements are not closed"),
            ("failattr-s6a.xml", "inconclusive", "`s6a`: its attributes state 1 failures, and 0 are listed"),
            (
                "suiteerr-s6a.xml",
                "inconclusive",
                "`s6a`: `<testsuite>` holds `<error>`, which says that not all is well; \
                 `s6a`: its attributes state 2 cases, and 1 is listed; \
                 `s6a`: its attributes state 1 errors, and 0 are listed; \
                 `s6a`: its attributes state 3 cases, and 1 is listed",
            ),
            ("tests-more-s6a.xml", "inconclusive", "`s6a`: its attributes state 5 cases, and 1 is listed"),
        ];
        for (name, expected, why) in table {
            assert_eq!(told(name), (expected.to_owned(), why.to_owned()), "{name}");
        }
    }

    #[test]
    fn what_is_stated_beside_several_suites_puts_each_in_doubt() {
        let inner = |name: &str| format!("<testsuite name=\"{name}\" tests=\"1\"><testcase name=\"a\"/></testsuite>");
        let statuses = |text: &str| {
            let document = read(text, true).expect("it is JUnit");
            document.suites.iter().map(|suite| (suite.suite.clone(), suite.status)).collect::<Vec<_>>()
        };
        let of = |a, b| vec![("a".to_owned(), a), ("b".to_owned(), b)];
        let (good, unknown) = (Status::Passed, Status::Inconclusive);
        assert_eq!(statuses(&format!("<x tests=\"2\">{}{}</x>", inner("a"), inner("b"))), of(good, good));
        assert_eq!(statuses(&format!("<x tests=\"3\">{}{}</x>", inner("a"), inner("b"))), of(unknown, unknown));
        // A suite around suites is none of its own, and what it states is about those in it.
        let nested = format!("<x><testsuite name=\"o\" tests=\"3\">{}</testsuite>{}</x>", inner("a"), inner("b"));
        assert_eq!(statuses(&nested)[1..], of(unknown, good));
        let nested = format!("<x><testsuite name=\"o\" tests=\"1\">{}</testsuite>{}</x>", inner("a"), inner("b"));
        assert_eq!(statuses(&nested), of(good, good));
        let empty = format!("<x>{}<testsuite name=\"b\" tests=\"0\"/></x>", inner("a"));
        assert_eq!(statuses(&empty), of(good, unknown));
        // A case behind a nested suite is its own suite's.
        let behind =
            format!("<testsuite name=\"o\">{}<testcase name=\"c\"><failure/></testcase></testsuite>", inner("a"));
        let expected = vec![("o".to_owned(), Status::TestsFailed), ("a".to_owned(), good)];
        assert_eq!(statuses(&behind), expected);
    }

    #[test]
    fn junit_of_another_is_a_run() {
        let xml = r#"<?xml version="1.0"?><testsuites>
            <testsuite name="pipeline"><testcase name="connect"/></testsuite>
            <testsuite name="s6a" timestamp="2022-11-15T08:00:00" time="3.5">
            <testcase name="attach" time="1,001.25"/>
            <testcase name="a&amp;b"><failure type="x" message="no &lt;answer&gt;"/></testcase>
            <testcase name="told"><failure>
              in its text
            </failure></testcase>
            <testcase name="off"><skipped/></testcase>
            <testcase name="again"><flakyFailure message="once"/></testcase>
            <testcase name="known"><skipped type="known failure" message="known"/></testcase>
            </testsuite></testsuites>"#;
        let document = read(xml, true).expect("it is JUnit");
        let [suite] = document.suites.as_slice() else { panic!("{:?}", document.suites) };
        let cases: Vec<(&str, Option<CameTo>, Option<&str>)> =
            suite.cases.iter().map(|case| (case.case.as_str(), case.came_to, case.message.as_deref())).collect();
        assert_eq!(
            cases,
            [
                ("attach", Some(CameTo::Passed), None),
                ("a&b", Some(CameTo::Failed), Some("no <answer>")),
                ("told", Some(CameTo::Failed), Some("in its text")),
                ("again", Some(CameTo::Flaky), Some("once")),
                ("known", Some(CameTo::Known), Some("known")),
            ]
        );
        assert_eq!(document.started, Some(datetime!(2022-11-15 08:00 UTC)));
        assert_eq!((suite.status, suite.planned), (Status::TestsFailed, Some(6)));
        assert_eq!((suite.took_ms, suite.cases[0].took_ms), (Some(3500), 1_001_250));
        let reasons: Vec<&str> = document.reasons.iter().map(|reason| reason.text.as_str()).collect();
        assert_eq!(reasons, ["`s6a`: 2 of 6 cases failed: a&b, told", "`s6a`: 1 of 6 cases were not run: off"]);
    }

    #[test]
    fn times_are_read_in_the_forms_that_tools_write() {
        let started = |text: &str| read(&suite(&format!("timestamp=\"{text}\""), ""), true).expect(text).started;
        let expected = Some(datetime!(2022-11-15 08:00 UTC));
        for text in
            ["2022-11-15T08:00:00", "2022-11-15 08:00:00", "2022-11-15T08:00:00.000Z", "2022-11-15T09:00:00+01:00"]
        {
            assert_eq!(started(text), expected, "{text}");
        }
        // Where the time is given otherwise, it does not matter.
        assert!(read(&suite("timestamp=\"yesterday\"", ""), false).is_ok());
    }

    #[test]
    fn suites_of_one_name_are_one_and_cases_of_one_name_are_told_apart() {
        let case = |class: &str, inner: &str| {
            format!("<testcase classname=\"{class}\" name=\"t\" time=\"1\">{inner}</testcase>")
        };
        let suite = |cases: &str| format!("<testsuite name=\"a\" time=\"2\">{cases}</testsuite>");
        let xml =
            format!("<x>{}{}</x>", suite(&(case("x", "<failure/>") + &case("y", ""))), suite(&case("z", "<skipped/>")));
        let document = read(&xml, true).expect("it is JUnit");
        let [suite] = document.suites.as_slice() else { panic!("{:?}", document.suites) };
        let cases: Vec<_> = suite.cases.iter().map(|case| (case.case.as_str(), case.came_to)).collect();
        assert_eq!(cases, [("t", Some(CameTo::Failed)), ("t #2", Some(CameTo::Passed))]);
        assert_eq!((suite.planned, suite.took_ms, suite.status), (Some(3), Some(4000), Status::TestsFailed));
    }

    #[test]
    fn what_is_not_junit_says_why() {
        let why = |text: &str| format!("{:#}", read(text, true).expect_err("it is not"));
        assert_eq!(why("<html></html>"), "it has no test suite with a case");
        assert_eq!(why("<testcase name=\"b\"/>"), "at byte 20: a case is outside of every suite");
        let unclosed = "<testsuite name=\"a\"><testcase name=\"b\"></testsuite>";
        assert!(why(unclosed).starts_with("at byte "), "{}", why(unclosed));
    }

    #[test]
    fn a_large_document_is_read_in_a_moment() {
        let many = suite("", &"<testcase name=\"t\"/>".repeat(50_000));
        let began = std::time::Instant::now();
        let document = read(&many, true).expect("it is JUnit");
        assert_eq!(document.suites[0].cases.len(), 50_001);
        let more = suite("", &"<testcase/>".repeat(MOST_CASES));
        assert!(format!("{:#}", read(&more, true).expect_err("too many")).contains("more than 200000 cases"));
        let suites = format!("<x>{}</x>", "<testsuite/>".repeat(MOST_SUITES + 1));
        assert!(format!("{:#}", read(&suites, true).expect_err("too many")).contains("more than 5000 suites"));
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
