//! How a night can end, and what can keep it from having passed. Words and values.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{Class, Step};

/// How a night ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Passed,
    TestsFailed,
    Usage,
    Testbed,
    UpgradeFailed,
    TestbedMixed,
    Inconclusive,
    Report,
    InternalError,
    Interrupted,
}

impl Status {
    pub(crate) const ALL: [Status; 10] = [
        Status::Passed,
        Status::TestsFailed,
        Status::Usage,
        Status::Testbed,
        Status::UpgradeFailed,
        Status::TestbedMixed,
        Status::Inconclusive,
        Status::Report,
        Status::InternalError,
        Status::Interrupted,
    ];

    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Status::Passed => 0,
            Status::TestsFailed => 1,
            Status::Usage => 2,
            Status::Testbed => 3,
            Status::UpgradeFailed => 4,
            Status::TestbedMixed => 5,
            Status::Inconclusive => 6,
            Status::Report => 7,
            // EX_SOFTWARE of sysexits.h.
            Status::InternalError => 70,
            Status::Interrupted => 130,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::TestsFailed => "tests failed",
            Status::Usage => "usage",
            Status::Testbed => "testbed",
            Status::UpgradeFailed => "upgrade failed",
            Status::TestbedMixed => "testbed mixed",
            Status::Inconclusive => "inconclusive",
            Status::Report => "report",
            Status::InternalError => "internal error",
            Status::Interrupted => "interrupted",
        }
    }

    /// The word for it in `run.json` and in the history.
    pub(crate) fn word(self) -> String {
        self.name().replace(' ', "_")
    }

    /// The status of a word.
    pub(crate) fn named(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether it says something of the product: everything was judged.
    pub(crate) fn is_verdict(self) -> bool {
        matches!(self, Status::Passed | Status::TestsFailed)
    }

    /// Who gets up.
    pub(crate) fn whose(self) -> &'static str {
        match self {
            Status::Passed | Status::Interrupted => "nobody",
            Status::TestsFailed => "the product's developers",
            Status::Usage => "whoever wrote the command or the configuration",
            Status::Testbed => "the lab's operators",
            Status::UpgradeFailed => "whoever built the release",
            Status::TestbedMixed => "the lab's operators, now",
            Status::Inconclusive => "it depends: the report says what is known",
            Status::Report => "whoever runs the CI",
            Status::InternalError => "the maintainers of teravm-ci",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Class> for Status {
    fn from(class: Class) -> Self {
        match class {
            Class::Testbed => Status::Testbed,
            Class::Upgrade => Status::UpgradeFailed,
            Class::Mixed => Status::TestbedMixed,
            Class::Inconclusive => Status::Inconclusive,
            Class::Interrupted => Status::Interrupted,
            Class::Report => Status::Report,
            Class::Internal => Status::InternalError,
        }
    }
}

/// One thing that keeps a night from having passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub status: Status,
    pub about: About,
    /// One line.
    pub text: String,
}

/// What a reason is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About {
    Night,
    Step {
        step: Step,
        host: Option<String>,
    },
    Gateway {
        gateway: String,
    },
    Suite {
        suite: String,
        /// Whether it was slower than it may be, and not one of its cases is meant.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_slow: bool,
    },
}

/// When several are true, the first of them in the order of who has to act first.
pub(super) fn status_of(reasons: &[Reason]) -> Status {
    let is = |status| reasons.iter().any(|reason| reason.status == status);
    if is(Status::TestbedMixed) {
        Status::TestbedMixed
    } else if is(Status::Interrupted) {
        Status::Interrupted
    } else if is(Status::InternalError) {
        Status::InternalError
    } else if is(Status::UpgradeFailed) {
        Status::UpgradeFailed
    } else if is(Status::TestsFailed) {
        Status::TestsFailed
    } else if is(Status::Testbed) {
        Status::Testbed
    } else if is(Status::Inconclusive) {
        Status::Inconclusive
    } else if is(Status::Report) {
        Status::Report
    } else {
        Status::Passed
    }
}
