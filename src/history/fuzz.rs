//! What must hold for any JUnit file and any `run.json` that somebody imports: what a file does not show to have passed
//! has not.

use std::fmt::Write as _;

use arbitrary::{Result, Unstructured};
use serde_json::Value;

use super::entry::PastSuite;
use super::{import, junit};
use crate::gate::CameTo;
use crate::summary::Status;

/// More suites and cases reach nothing new.
const MOST: usize = 6;

/// A suite as another program may have written it: what it states is true or not.
#[derive(Debug)]
struct Suite {
    tests: Option<u8>,
    failures: Option<u8>,
    errors: Option<u8>,
    skipped: Option<u8>,
    /// An `<error>` directly below it.
    has_error: bool,
    cases: Vec<Case>,
    is_around: bool,
}

#[derive(Debug)]
struct Case {
    name: u8,
    mark: Option<Mark>,
    second: Option<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Failure,
    Error,
    Skipped,
}

impl Case {
    fn choose(input: &mut Unstructured<'_>) -> Result<Self> {
        const MARKS: [Option<Mark>; 5] = [None, None, Some(Mark::Failure), Some(Mark::Error), Some(Mark::Skipped)];
        Ok(Case { name: input.arbitrary()?, mark: *input.choose(&MARKS)?, second: *input.choose(&MARKS)? })
    }
}

impl Mark {
    fn tag(self) -> &'static str {
        match self {
            Mark::Failure => "failure",
            Mark::Error => "error",
            Mark::Skipped => "skipped",
        }
    }
}

impl Suite {
    fn choose(input: &mut Unstructured<'_>) -> Result<Self> {
        let count = input.int_in_range(0..=MOST)?;
        Ok(Suite {
            // Small ones, which may be right.
            tests: input.arbitrary::<Option<u8>>()?.map(|count| count % 8),
            failures: input.arbitrary::<Option<u8>>()?.map(|count| count % 3),
            errors: input.arbitrary::<Option<u8>>()?.map(|count| count % 3),
            skipped: input.arbitrary::<Option<u8>>()?.map(|count| count % 3),
            has_error: input.ratio(1, 8)?,
            cases: (0..count).map(|_| Case::choose(input)).collect::<Result<_>>()?,
            is_around: input.ratio(1, 4)?,
        })
    }

    fn write(&self, name: usize, text: &mut String) {
        write!(text, "<testsuite name=\"s{name}\"").expect("memory");
        let stated =
            [("tests", self.tests), ("failures", self.failures), ("errors", self.errors), ("skipped", self.skipped)];
        for (key, value) in stated.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            write!(text, " {key}=\"{value}\"").expect("memory");
        }
        text.push('>');
        if self.has_error {
            text.push_str("<error message=\"m\"/>");
        }
        for case in self.cases.iter() {
            write!(text, "<testcase name=\"c{}\" time=\"1\">", case.name % 8).expect("memory");
            for mark in [case.mark, case.second].into_iter().flatten() {
                write!(text, "<{}>m</{}>", mark.tag(), mark.tag()).expect("memory");
            }
            text.push_str("</testcase>");
        }
        text.push_str("</testsuite>");
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        self.cases.iter().flat_map(|case| [case.mark, case.second]).flatten()
    }

    /// Whether it says in any way that not all of it ran and passed.
    fn is_in_doubt(&self) -> bool {
        let cases = self.cases.len();
        let is_stated = |count: Option<u8>| count.is_some_and(|count| count > 0);
        self.marks().next().is_some()
            || self.has_error
            || [self.failures, self.errors, self.skipped].into_iter().any(is_stated)
            || self.tests.is_some_and(|tests| usize::from(tests) > cases)
            || cases == 0
    }

    fn has_failed_case(&self) -> bool {
        self.marks().any(|mark| mark == Mark::Failure)
    }
}

/// The property of JUnit files: a suite passes only where all that its file states of it was seen, and a cut file is none.
pub fn junit(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    if input.arbitrary().unwrap_or(true) {
        return any_text(&String::from_utf8_lossy(input.take_rest()));
    }
    let count = input.int_in_range(0..=MOST).unwrap_or(0);
    let Ok(suites) = (0..count).map(|_| Suite::choose(&mut input)).collect::<Result<Vec<_>>>() else { return };
    let mut text = String::from("<testsuites>");
    let mut is_open = false;
    for (name, suite) in suites.iter().enumerate() {
        suite.write(name, &mut text);
        // Suites stand in suites, too.
        if suite.is_around && !is_open {
            text.push_str("<testsuite name=\"around\">");
            is_open = true;
        }
    }
    text.push_str(if is_open { "</testsuite></testsuites>" } else { "</testsuites>" });
    if let Ok(document) = junit::read(&text, false) {
        let found = |name: usize| document.suites.iter().find(|found| found.suite.ends_with(&format!("s{name}")));
        for (name, suite) in suites.iter().enumerate() {
            let Some(found) = found(name) else {
                assert!(suite.cases.is_empty(), "a suite with cases is lost: {text}");
                continue;
            };
            consistent(found);
            assert!(!suite.is_in_doubt() || found.status != Status::Passed, "it has not passed: {text}");
            let planned = found.planned.unwrap_or(0);
            assert!(suite.tests.is_none_or(|tests| planned >= u64::from(tests)), "fewer are planned: {text}");
            assert!(!suite.has_failed_case() || found.status == Status::TestsFailed, "a failure is lost: {text}");
        }
    }
    // Of a file that is cut anywhere nothing passes.
    let cut = usize::from(input.arbitrary::<u16>().unwrap_or(0)) % text.len();
    let cut = text.floor_char_boundary(cut);
    if let Ok(document) = junit::read(&text[..cut], false) {
        assert!(document.suites.iter().all(|suite| suite.status != Status::Passed), "{}", &text[..cut]);
    }
}

fn any_text(text: &str) {
    for states_time in [true, false] {
        let Ok(document) = junit::read(text, states_time) else { continue };
        document.suites.iter().for_each(consistent);
        let has_failed = document.suites.iter().any(|suite| suite.status != Status::Passed);
        assert_eq!(has_failed, !document.reasons.is_empty(), "a suite that did not pass has a reason");
    }
}

/// What a suite came to is what its cases did, and none is missing.
fn consistent(suite: &PastSuite) {
    let shown = suite.cases.iter().filter_map(|case| case.came_to);
    if suite.status == Status::Passed {
        let bad = shown.clone().find(|came_to| matches!(came_to, CameTo::Failed | CameTo::Error));
        assert_eq!(bad, None, "{suite:?}");
        let count = shown.count() as u64;
        assert!(suite.planned.is_none_or(|planned| planned <= count), "{suite:?}");
    }
}

/// The property of a `run.json`: it is judged by its record, and never better than it says itself.
pub fn run_json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(entry) = import::run_json(text) else { return };
    entry.suites.iter().for_each(|suite| {
        let bad = |came_to: &CameTo| matches!(came_to, CameTo::Failed | CameTo::Error);
        let has_failed = suite.cases.iter().filter_map(|case| case.came_to).any(|came_to| bad(&came_to));
        assert!(!has_failed || suite.status != Status::Passed, "{suite:?}");
    });
    let stated: Value = serde_json::from_str(text).expect("it was read");
    let status = stated.get("status").and_then(Value::as_str).unwrap_or("passed");
    assert!(status == "passed" || entry.status != Status::Passed, "it states `{status}`");
    let years = [Some(entry.started), entry.ended].into_iter().flatten().map(time::OffsetDateTime::year);
    assert!(years.into_iter().all(|year| (1970..3000).contains(&year)));
    // What is kept can be shown again.
    let text = serde_json::to_string(&entry).expect("an entry is plain data");
    assert!(serde_json::from_str::<super::Entry>(&text).is_ok_and(|again| again == entry));
}
