//! A night as history keeps it: what was run on what, and every case with all its attempts. No console.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::event::{Case, Judgement, Step};
use crate::gate::CameTo;
use crate::memory::Past;
use crate::summary::{Counts, GatewayRun, JudgedSuite, Reason, Standing, Status, Summary};

/// A night that was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub run: String,
    pub setup: Option<String>,
    pub command: String,
    /// The version of the program that ran it.
    pub program: String,
    /// The address of the CI build, where there was one.
    pub url: Option<String>,
    pub status: Status,
    #[serde(with = "crate::moment::rfc3339")]
    pub started: OffsetDateTime,
    /// By how much that may be off, either way, in milliseconds.
    pub unsure_ms: u64,
    #[serde(with = "crate::moment::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    /// What was asked for, when gateways were upgraded.
    pub wanted: Option<String>,
    /// What was tested: the release that the access gateway ran in the end.
    pub release: Option<String>,
    /// The gateways that did not run it, in words; none where all did.
    pub strangers: Option<String>,
    /// What the upgrade took, in milliseconds, where there was one.
    pub upgrade_ms: Option<u64>,
    pub counts: Counts,
    pub gateways: Vec<PastGateway>,
    pub steps: Vec<PastStep>,
    pub suites: Vec<PastSuite>,
    pub reasons: Vec<Reason>,
}

/// What a gateway ran before a night and after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastGateway {
    pub gateway: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// What the night did to it, in words.
    pub outcome: Option<String>,
}

/// What a step took that was done everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastStep {
    pub step: Step,
    /// The gateways that were switched, where it depends on them.
    pub switched: String,
    /// In milliseconds.
    pub took_ms: u64,
}

/// A suite of a night that was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PastSuite {
    pub suite: String,
    pub list: String,
    pub host: Option<String>,
    /// NG40's list verdict.
    pub verdict: Option<String>,
    pub planned: Option<u64>,
    /// In milliseconds.
    pub took_ms: Option<u64>,
    /// Why it says nothing as a whole, when it does not.
    pub problem: Option<String>,
    /// What it came to.
    pub status: Status,
    pub cases: Vec<PastCase>,
}

/// One attempt at a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastCase {
    pub case: String,
    /// Counted from 1.
    pub attempt: u64,
    pub judged: Judged,
    /// NG40's own word.
    pub verdict: Option<String>,
    /// In milliseconds.
    pub took_ms: u64,
    /// Why it did not pass.
    pub message: Option<String>,
    /// What the case came to; only in the attempt that is shown, one of each case.
    pub came_to: Option<CameTo>,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Judged {
    Passed,
    Failed,
    /// Inconclusive.
    Error,
}

impl Judged {
    /// The word that is kept.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Judged::Passed => "passed",
            Judged::Failed => "failed",
            Judged::Error => "error",
        }
    }

    pub(super) fn named(name: &str) -> Option<Judged> {
        [Judged::Passed, Judged::Failed, Judged::Error].into_iter().find(|judged| judged.name() == name)
    }
}

impl Entry {
    /// The night in short.
    pub(super) fn past(&self) -> Past {
        Past { run: self.run.clone(), started: self.started, release: self.release.clone() }
    }

    /// What is kept of a night; none of one that was never heard of.
    pub(crate) fn of(summary: &Summary) -> Option<Entry> {
        let night = summary.night.as_ref()?;
        Some(Entry {
            run: night.run.clone(),
            setup: night.setup.clone(),
            command: night.command.clone(),
            program: night.program.clone(),
            url: night.url.clone().map(String::from),
            status: summary.status(),
            started: summary.started?,
            unsure_ms: 0,
            ended: summary.ended,
            wanted: night.wanted.clone().map(String::from),
            release: summary.tested(),
            strangers: Some(summary.strangers().join(", ")).filter(|strangers| !strangers.is_empty()),
            upgrade_ms: summary.upgrade_took().map(millis),
            counts: summary.counts(),
            gateways: summary.gateways.iter().map(PastGateway::of).collect(),
            steps: night.steps.iter().filter_map(|step| PastStep::of(*step, summary)).collect(),
            suites: summary.judged().map(|suite| PastSuite::of(&suite)).collect(),
            reasons: summary.reasons(),
        })
    }
}

impl PastGateway {
    fn of(run: &GatewayRun) -> PastGateway {
        PastGateway {
            gateway: run.gateway.clone(),
            before: run.before.clone().map(String::from),
            after: run.after().map(str::to_owned),
            outcome: run.told(),
        }
    }
}

impl PastStep {
    /// None of one that was not done everywhere, and of the tests: their suites say more.
    fn of(step: Step, summary: &Summary) -> Option<PastStep> {
        if step == Step::Test {
            return None;
        }
        Some(PastStep { step, switched: summary.switched_for(step)?, took_ms: millis(summary.took_of(step)?) })
    }
}

impl PastSuite {
    fn of(run: &JudgedSuite<'_>) -> PastSuite {
        let end = run.end.as_ref();
        PastSuite {
            suite: run.suite.clone(),
            list: run.list.clone(),
            host: run.host.clone(),
            verdict: end.and_then(|end| end.verdict.clone()).map(String::from),
            planned: run.planned,
            took_ms: end.map(|end| millis(end.took)),
            problem: end.and_then(|end| end.problem.as_ref()).map(crate::event::Problem::line),
            status: run.status(),
            cases: run.standings().iter().flat_map(PastCase::of).collect(),
        }
    }
}

impl PastCase {
    /// The attempts at a case.
    fn of(standing: &Standing<'_>) -> Vec<PastCase> {
        let attempts = standing.attempts.iter().map(|&(number, case)| {
            let is_shown = std::ptr::eq(case, standing.case);
            let past = PastCase::attempt(number, case);
            let message = if is_shown { standing.message.clone() } else { past.message };
            PastCase { came_to: is_shown.then_some(standing.came_to), message, ..past }
        });
        attempts.collect()
    }

    fn attempt(number: usize, case: &Case) -> PastCase {
        let (judged, message) = match &case.judgement {
            Judgement::Passed => (Judged::Passed, None),
            Judgement::Failed { message } => (Judged::Failed, Some(message.to_string())),
            Judgement::Error { message } => (Judged::Error, Some(message.to_string())),
        };
        PastCase {
            case: case.name.shown().to_owned(),
            attempt: number as u64,
            came_to: None,
            judged,
            verdict: case.verdict.clone().map(String::from),
            took_ms: millis(case.took),
            message,
        }
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
