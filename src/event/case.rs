//! A test case and how its suite ended, as NG40 and our rules have judged them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;
use super::{CaseName, Problem};
use crate::secret::RedactedText;

/// A test case as NG40 and our rules have judged it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// NG40's own number of the case in its list, or our count where it gives none.
    pub number: u64,
    /// The name, with ` #2`, ` #3` for repeats in a list; `(suite)` for what concerns the whole list.
    pub name: CaseName,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub params: RedactedText,
    /// NG40's own word, `PASS`, `FAIL` or another; none when it gave no verdict.
    pub verdict: Option<RedactedText>,
    pub judgement: Judgement,
    #[serde(with = "seconds")]
    pub took: Duration,
    /// `verification fail` lines, counters, packet loss: what explains the verdict.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub details: RedactedText,
    /// What the console showed while the case ran, capped: head and tail.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub console: RedactedText,
    /// Whether it had to be there and was not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_missing: bool,
}

impl Case {
    /// A case that was started, or had to be, and of which no more is known.
    pub(crate) fn unjudged(number: u64, name: impl Into<CaseName>, message: &str) -> Case {
        Case {
            number,
            name: name.into(),
            params: RedactedText::default(),
            verdict: None,
            judgement: Judgement::Error { message: message.into() },
            took: Duration::ZERO,
            details: RedactedText::default(),
            console: RedactedText::default(),
            is_missing: false,
        }
    }

    /// Whether it stands for a whole list, `(suite)`, and is not a case.
    pub(crate) fn is_whole_list(&self) -> bool {
        self.name.raw() == "(suite)" || self.name.raw().starts_with("(suite) #")
    }

    /// Whether it stands for a whole list, `(suite)`, or for a case whose name is not known, `(case 4 of 5)`.
    pub(crate) fn is_nameless(&self) -> bool {
        is_nameless(self.name.raw())
    }
}

/// Whether a name stands for a whole list, or for a case whose own is not known.
pub(crate) fn is_nameless(case: &str) -> bool {
    case.starts_with('(')
}

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "judged", rename_all = "snake_case")]
pub(crate) enum Judgement {
    Passed,
    /// NG40 says FAIL, or a rule of the config makes it one.
    Failed {
        message: RedactedText,
    },
    /// Inconclusive, with the reason.
    Error {
        message: RedactedText,
    },
}

/// How a suite ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteEnd {
    /// NG40's list verdict, in its own word.
    pub verdict: Option<RedactedText>,
    pub planned: Option<u64>,
    /// Exit status of `ng40test`, or how else it ended, in words.
    pub exit: RedactedText,
    #[serde(with = "seconds")]
    pub took: Duration,
    pub notes: Vec<RedactedText>,
    /// Why the suite as a whole says nothing, when it could not be run.
    pub problem: Option<Problem>,
}
