//! What a console comes to, and what was asked of it. These are values; how they come about is the list's business.

use serde::{Deserialize, Serialize};

use super::case::Case;
use crate::verdict::Verdict;

/// What concerns the whole list is an error of this name.
pub(crate) const SUITE: &str = "(suite)";

/// What the operator asked of a suite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rules {
    pub exit_status: ExitStatus,
    /// The greatest share of lost packets, in percent, with which a pass counts.
    pub max_packet_loss: Option<f64>,
}

/// What NG40's exit status is good for. It is documented nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExitStatus {
    /// It is shown and decides nothing.
    #[default]
    Record,
    /// It must agree with the verdicts.
    Check,
}

/// How the run behind a console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Exited(i32),
    Signaled(i32),
    /// It did not end by its deadline.
    DeadlineReached,
    /// It is not known: we lost the host.
    Lost,
    /// We ended it: by a signal, or because the whole night was over.
    Stopped,
    /// It is not known: the console was read from a file.
    Offline,
}

/// What is wrong with a list as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub kind: ProblemKind,
    /// Which list of the console, from 1; `None` if it concerns the run.
    pub list: Option<u32>,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProblemKind {
    /// No case was run.
    NoCase,
    /// The list said that it has no case.
    NothingPlanned,
    /// More cases never started than are worth naming.
    NeverStarted,
    NoListVerdict,
    /// A case that is known by its live view only ended without a verdict.
    CutOff,
    /// The list's verdict is neither pass nor fail.
    UnknownListVerdict,
    /// The list's verdict and those of its cases contradict each other.
    Contradiction,
    /// A verdict, a total, a start of a case or a loss that has a limit was printed and cannot be read.
    Illegible,
    /// A shell did not find a command.
    CommandNotFound,
    /// The exit status says that the run went wrong, or contradicts the verdicts.
    ExitStatus,
    Signal,
    Deadline,
    Lost,
    Stopped,
    /// There was more than we can keep.
    TooMuch,
}

/// One list of the console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListOutcome {
    pub logger: Option<String>,
    pub planned: Option<u32>,
    pub verdict: Verdict,
    /// How many cases of it are in [`Outcome::cases`], those that never started included.
    pub cases: usize,
}

/// What a whole console comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub cases: Vec<Case>,
    /// Each is an error named [`SUITE`].
    pub problems: Vec<Problem>,
    pub lists: Vec<ListOutcome>,
    /// How many cases the lists announced; `None` if none of them did.
    pub planned: Option<u32>,
    /// The worst verdict of the lists.
    pub verdict: Verdict,
    pub end: End,
    pub notes: Vec<String>,
}

impl Outcome {
    /// Returns true if there was something to pass, all of it passed, and nothing is wrong with the whole.
    #[must_use]
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_passed(&self) -> bool {
        self.problems.is_empty()
            && !self.cases.is_empty()
            && self.cases.iter().all(|case| case.judgement() == super::case::Judgement::Passed)
    }
}
