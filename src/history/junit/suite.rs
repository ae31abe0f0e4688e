//! The suites and cases of a document, and what they come to.

use super::super::entry::{Judged, PastCase, PastSuite};
use super::MOST_PROBLEMS;
use super::words::{cut, cut_to, ended, millis, value};
use crate::gate::CameTo;
use crate::report::Names;
use crate::summary::{About, Reason, Status};

/// The longest name of a suite, in characters.
const LONGEST_NAME: usize = 500;
/// How many names a reason lists.
const NAMED: usize = 3;

#[derive(Debug)]
pub(super) struct Suite {
    pub(super) past: PastSuite,
    /// Cases that are listed and were not run.
    pub(super) not_run: Vec<String>,
    pub(super) problems: Vec<String>,
    /// Whether it can hold cases of its own: it is not only around other suites.
    pub(super) is_leaf: bool,
}

/// How a case ended, the better first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
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
pub(super) struct Case {
    pub(super) name: String,
    pub(super) took_ms: u64,
    pub(super) outcome: Outcome,
    pub(super) message: Option<String>,
    pub(super) is_failed: bool,
    pub(super) is_error: bool,
    pub(super) is_not_run: bool,
}

impl Case {
    pub(super) fn new(attributes: &[(String, String)]) -> Case {
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
    pub(super) fn mark(&mut self, outcome: Outcome, message: Option<String>) {
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

    pub(super) fn past(self) -> PastCase {
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

pub(super) fn is_bad(case: &PastCase) -> bool {
    matches!(case.came_to, Some(CameTo::Failed | CameTo::Error))
}

impl Suite {
    pub(super) fn new(attributes: &[(String, String)]) -> Suite {
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
    pub(super) fn take_in(&mut self, other: Suite) {
        let (known, other_past) = (&mut self.past, other.past);
        known.planned = known.planned.zip(other_past.planned).map(|(known, other)| known.saturating_add(other));
        known.took_ms = known.took_ms.zip(other_past.took_ms).map(|(known, took)| known.saturating_add(took));
        known.cases.extend(other_past.cases);
        self.not_run.extend(other.not_run);
        self.problems.extend(other.problems);
        self.is_leaf |= other.is_leaf;
    }

    /// Why it has not passed.
    pub(super) fn reasons(&self) -> Vec<Reason> {
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

    pub(super) fn judged(self) -> PastSuite {
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

pub(super) fn names(cases: &[String]) -> String {
    let mut text = cases.iter().take(NAMED).map(|name| cut_to(name, 100)).collect::<Vec<_>>().join(", ");
    if cases.len() > NAMED {
        text.push_str(&format!(" and {} more", cases.len() - NAMED));
    }
    text
}
