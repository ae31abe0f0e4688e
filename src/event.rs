//! What the work says and the reporters hear.
//!
//! An event is a fact about the world: when it happened, and what. It carries plain data and no handle to anything
//! alive, and it knows nothing of how it will be shown. `events.jsonl` is these events, one a line; fields are added
//! and never change their meaning.

mod case;
mod case_name;
mod channel;
mod gateway;
mod problem;
pub(crate) mod seconds;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use case::{Case, Judgement, SuiteEnd, is_nameless};
pub(crate) use case_name::{CaseName, CaseNames};
pub(crate) use channel::{Events, Inbox, Stage, apart, caught, channel};
pub(crate) use gateway::{GatewayOutcome, PackageChange};
pub(crate) use problem::{BUG, Class, Problem};

use crate::gate::Gate;
use crate::memory::Memory;
use crate::secret::RedactedText;

/// The version of the public format of `events.jsonl` and `run.json`.
pub(crate) const FORMAT: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When it happened, by this machine's clock, in UTC.
    #[serde(with = "crate::moment::rfc3339")]
    pub time: OffsetDateTime,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen in a night.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// The first event of every night.
    NightStarted(Night),
    /// What history says of the nights before.
    Remembered(Memory),
    StepStarted {
        step: Step,
        host: Option<String>,
    },
    StepFinished {
        step: Step,
        host: Option<String>,
        outcome: StepOutcome,
        #[serde(with = "seconds")]
        took: Duration,
    },
    /// Something a reader of the night should know, and that decides nothing.
    Noted {
        step: Step,
        host: Option<String>,
        level: Level,
        text: RedactedText,
    },
    /// A line that a program printed while it worked for us. There are limits to how many of them become events; a line
    /// in brackets counts those that are missing in its place.
    Output {
        step: Step,
        host: Option<String>,
        line: RedactedText,
    },
    /// A command that was sent to a host.
    Commanded {
        step: Step,
        host: String,
        command: RedactedText,
    },
    TunnelUp {
        device: RedactedText,
        address: RedactedText,
    },
    TunnelLost {
        reason: RedactedText,
    },
    TunnelBack {
        #[serde(with = "seconds")]
        after: Duration,
    },
    /// A release newer than the chosen one was not taken.
    ReleasePassedOver {
        version: RedactedText,
        reason: RedactedText,
        #[serde(with = "seconds")]
        age: Duration,
    },
    ReleaseResolved {
        /// What was asked for: `latest`, a commit or a version.
        wanted: RedactedText,
        version: RedactedText,
        /// The tag of the FEG images; none when no FEG is upgraded.
        tag: Option<RedactedText>,
    },
    /// What a gateway ran before the night touched it.
    GatewayFound {
        gateway: String,
        runs: Option<RedactedText>,
    },
    GatewayFinished {
        gateway: String,
        outcome: GatewayOutcome,
        /// The packages of the release, before and after.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        packages: Vec<PackageChange>,
    },
    /// A suite that has ended and is started again is another attempt at it.
    SuiteStarted {
        suite: String,
        list: String,
        host: String,
        /// From 1.
        #[serde(default = "first")]
        attempt: u64,
    },
    SuitePlanned {
        suite: String,
        cases: u64,
    },
    CaseStarted {
        suite: String,
        number: u64,
        case: CaseName,
    },
    CaseFinished {
        suite: String,
        case: Case,
    },
    /// More is known of a case that had finished: this replaces it.
    CaseExplained {
        suite: String,
        case: Case,
    },
    SuiteFinished {
        suite: String,
        end: SuiteEnd,
    },
    /// A file or folder under the results that this night filled.
    Collected {
        host: String,
        path: RedactedText,
        bytes: u64,
    },
    Interrupted {
        signal: RedactedText,
    },
    DeadlinePassed {
        #[serde(with = "seconds")]
        deadline: Duration,
    },
    /// A report could not be written whole.
    ReportFailed {
        report: RedactedText,
        problem: Problem,
    },
    /// A panic that was caught: a bug in this program.
    InternalError {
        problem: Problem,
    },
    /// The last event of every night.
    NightEnded,
}

fn first() -> u64 {
    1
}

impl EventKind {
    /// The event by its kind, its step and its host, as [`crash::point`] knows places: `step_started activate agw`.
    fn place(&self) -> String {
        let words = |kind: &str, step: Step, host: Option<&str>| match host {
            Some(host) => format!("{kind} {step} {host}"),
            None => format!("{kind} {step}"),
        };
        match self {
            EventKind::StepStarted { step, host } => words("step_started", *step, host.as_deref()),
            EventKind::StepFinished { step, host, .. } => words("step_finished", *step, host.as_deref()),
            EventKind::Commanded { step, host, .. } => words("commanded", *step, Some(host)),
            EventKind::Output { step, host, .. } => words("output", *step, host.as_deref()),
            EventKind::Noted { step, host, .. } => words("noted", *step, host.as_deref()),
            EventKind::SuiteStarted { suite, .. } => format!("suite_started {suite}"),
            EventKind::CaseStarted { suite, .. } => format!("case_started {suite}"),
            EventKind::SuiteFinished { suite, .. } => format!("suite_finished {suite}"),
            EventKind::GatewayFinished { gateway, .. } => format!("gateway_finished {gateway}"),
            EventKind::NightStarted(_) => "night_started".to_owned(),
            EventKind::NightEnded => "last_event".to_owned(),
            _ => String::new(),
        }
    }
}

/// What a night is, known before anything is touched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Night {
    pub format: u32,
    /// The run's name: its start and a few random digits.
    pub run: String,
    /// The version of the program; the commit is part of it, where one is known.
    pub program: String,
    /// `run`, `upgrade`, `test` or `report`.
    pub command: String,
    pub setup: Option<String>,
    /// The address of the CI build, where there is one.
    pub url: Option<RedactedText>,
    /// What was asked for, when gateways are upgraded.
    pub wanted: Option<RedactedText>,
    pub gateways: Vec<String>,
    pub suites: Vec<PlannedSuite>,
    /// The steps of this night, in order.
    pub steps: Vec<Step>,
    /// The tag that a FEG's images have in a release, with `{commit}` and the like for its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What counts.
    #[serde(default)]
    pub gate: Gate,
    /// The address of the commits between two releases, with `{good}` and `{bad}` for theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<RedactedText>,
}

/// A suite as the plan has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedSuite {
    pub suite: String,
    pub list: String,
}

/// A step of a night, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Connect,
    Lock,
    Recover,
    Resolve,
    Prepare,
    Activate,
    Verify,
    Restore,
    Test,
    Collect,
    Unlock,
    Disconnect,
}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Step::Connect => "connect",
            Step::Lock => "lock",
            Step::Recover => "recover",
            Step::Resolve => "resolve",
            Step::Prepare => "prepare",
            Step::Activate => "activate",
            Step::Verify => "verify",
            Step::Restore => "restore",
            Step::Test => "test",
            Step::Collect => "collect",
            Step::Unlock => "unlock",
            Step::Disconnect => "disconnect",
        }
    }

    /// Whether it brings gateways from one release to another.
    pub(crate) fn is_of_upgrade(self) -> bool {
        matches!(self, Step::Prepare | Step::Activate | Step::Verify)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a step ended, on one host or as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub(crate) enum StepOutcome {
    Done { text: RedactedText },
    Failed(Problem),
    Skipped { reason: RedactedText },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Info,
    Warning,
}
