//! JUnit XML of any tool, as the suites of a run. What the document does not show to have passed has not passed: it has
//! to be well-formed to its end, its counts have to agree with the cases that it lists, and a mark that is not known is
//! not a pass.

mod group;
mod suite;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event as Xml};
use time::OffsetDateTime;

use super::entry::PastSuite;
use crate::report::{KNOWN, PIPELINE};
use crate::summary::Reason;

use group::{Group, Seen, Stated};
use suite::{Case, Outcome, Suite, is_bad};
use words::{NEUTRAL, NOT_RUN, attributes, cut, is_mark, moment, said_by_property, value};

/// How deep elements may be nested. Real documents have less than ten levels.
const DEEPEST: usize = 64;
/// The most cases of a document.
const MOST_CASES: usize = 200_000;
/// The most suites of a document.
const MOST_SUITES: usize = 5_000;
/// How much of the text of a property is read, in bytes.
const LONGEST_WORD: usize = 200;
/// How many problems of a suite are told.
const MOST_PROBLEMS: usize = 10;

/// What a document says of a run.
#[derive(Debug)]
pub(super) struct Document {
    /// The earliest `timestamp` of a suite.
    pub(super) started: Option<OffsetDateTime>,
    /// Whether one of them has no time zone: many programs write the time of where they are.
    pub(super) is_local: bool,
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
    is_local: bool,
    suites: Vec<Suite>,
    cases: usize,
}

/// An element that is open.
#[derive(Debug)]
enum Element {
    /// What holds suites and cases: a suite, or what is around suites.
    Group(Group),
    Case(Case),
    /// A property, with the value that stands in it as text.
    Property {
        name: String,
        text: String,
    },
    /// What says how a case ended; its text is the message of the case, where it has none yet.
    Mark,
    /// Anything else.
    Other,
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
            ("property", _) => {
                let name = value(&attributes, "name").unwrap_or_default().to_owned();
                self.property(&name, value(&attributes, "value").unwrap_or_default());
                Element::Property { name, text: String::new() }
            }
            (_, true) => self.open_in_case(&name, &attributes),
            // As in a case, a mark counts however deep it is.
            (_, false) if !self.is_around_suites() && is_mark(&name) => {
                if let Some(group) = self.innermost_group() {
                    group.holds(&name);
                }
                Element::Other
            }
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

    /// The group that is open, however deep in it something is.
    fn innermost_group(&mut self) -> Option<&mut Group> {
        self.open.iter_mut().rev().find_map(|element| match element {
            Element::Group(group) => Some(group),
            _ => None,
        })
    }

    /// Takes in what a property says of the case or the suite that it is in.
    fn property(&mut self, name: &str, value: &str) {
        let Some((outcome, why)) = said_by_property(name, value) else { return };
        if let Some(case) = self.case() {
            case.mark(outcome, Some(why));
        } else if let Some(group) = self.innermost_group() {
            group.says(why);
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
            let (began, has_zone) =
                moment(began.trim()).with_context(|| format!("the timestamp `{began}` is not a time"))?;
            self.is_local |= !has_zone;
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
        let property = self.open.iter_mut().rev().find_map(|element| match element {
            Element::Property { text, .. } => Some(text),
            _ => None,
        });
        if let Some(known) = property {
            // A text comes in pieces, and no word is long.
            known.push_str(&text.chars().take(LONGEST_WORD.saturating_sub(known.len())).collect::<String>());
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
            Some(Element::Case(_) | Element::Other | Element::Property { .. }) => {}
        }
        Ok(())
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Element::Group(group)) => self.close_group(group),
            Some(Element::Case(case)) => self.close_case(case),
            Some(Element::Property { name, text }) => self.property(&name, &text),
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
        group.seen.has_problems |= !group.problems.is_empty();
        // Of several suites it is not known which one is meant: each is in doubt.
        for suite in &mut self.suites[group.first..] {
            suite.problems.extend(group.problems.iter().cloned());
        }
        if let Some(Element::Group(around)) = self.open.last_mut() {
            around.seen.add(&group.seen);
            // What is inside of a suite is the suite's own. What is beside it is not in doubt for that.
            if let Some(suite) = around.suite.and_then(|place| self.suites.get_mut(place))
                && !group.seen.is_green()
            {
                suite.problems.push("a suite inside of it did not pass".to_owned());
            }
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
        let suites = suites.into_iter().map(Suite::judged).collect();
        Ok(Document { started: self.started, is_local: self.is_local, reasons, suites })
    }
}
