//! A suite of a night, and what it says against the night.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{About, Reason, Status};
use crate::event::{Case, Judgement, SuiteEnd};

/// A suite, planned or under way or finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SuiteRun {
    pub suite: String,
    pub list: String,
    /// The NG40 host, once the suite has started.
    pub host: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    pub planned: Option<u64>,
    /// Cases that have started and not finished.
    pub open: Vec<OpenCase>,
    pub cases: Vec<Case>,
    /// None until it has finished.
    pub end: Option<SuiteEnd>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenCase {
    pub number: u64,
    pub case: String,
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
}

/// How many cases came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
}

impl SuiteRun {
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for case in &self.cases {
            match case.judgement {
                Judgement::Passed => counts.passed += 1,
                Judgement::Failed { .. } => counts.failed += 1,
                Judgement::Error { .. } => counts.errors += 1,
            }
        }
        counts
    }

    /// Whether it has finished, and nothing but passes has been heard of it.
    pub(crate) fn is_green(&self) -> bool {
        self.end.is_some() && self.reasons().is_empty()
    }

    /// What this suite says against the night, once it has finished.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let Some(end) = &self.end else { return Vec::new() };
        let mut reasons = Vec::new();
        let mut say = |status, text: String| {
            let about = About::Suite { suite: self.suite.clone() };
            reasons.push(Reason { status, about, text: format!("`{}`: {text}", self.suite) });
        };
        let counts = self.counts();
        let of = self.planned.map_or(0, |planned| usize::try_from(planned).unwrap_or(usize::MAX)).max(self.cases.len());
        if let Some(problem) = &end.problem {
            say(problem.class.into(), problem.line());
        }
        if counts.failed > 0 {
            let names = self.names(|judgement| matches!(judgement, Judgement::Failed { .. }));
            say(Status::TestsFailed, format!("{} of {} failed: {names}", counts.failed, cases(of)));
        }
        if counts.errors > 0 {
            let names = self.names(|judgement| matches!(judgement, Judgement::Error { .. }));
            say(Status::Inconclusive, format!("{} of {} inconclusive: {names}", counts.errors, cases(of)));
        } else if let Some(open) = self.open.first() {
            say(Status::Inconclusive, format!("{} was started and has no verdict", open.case));
        } else if counts.passed + counts.failed == 0 {
            say(Status::Inconclusive, "no case passed or failed".to_owned());
        } else if let Some(planned) = self.planned.filter(|&planned| planned > self.cases.len() as u64) {
            say(Status::Inconclusive, format!("{} of {} planned cases were judged", self.cases.len(), planned));
        } else if end.verdict.is_none() && end.problem.is_none() {
            say(Status::Inconclusive, "the list gave no verdict".to_owned());
        }
        reasons
    }

    fn names(&self, is_meant: impl Fn(&Judgement) -> bool) -> String {
        const SHOWN: usize = 3;
        let mut names = self.cases.iter().filter(|case| is_meant(&case.judgement)).map(|case| case.name.as_str());
        let mut text = names.by_ref().take(SHOWN).collect::<Vec<_>>().join(", ");
        let more = names.count();
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }
}

pub(super) fn new_suite(suite: &str, list: &str) -> SuiteRun {
    SuiteRun {
        suite: suite.to_owned(),
        list: list.to_owned(),
        host: None,
        started: None,
        planned: None,
        open: Vec::new(),
        cases: Vec::new(),
        end: None,
    }
}

fn cases(count: usize) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}
