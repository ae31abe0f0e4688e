//! The night as a fold over its events, and what it comes to: status and exit code.
//!
//! Value in, value out: knows no clock, no file and no display. The reporters show what stands here, so that the console,
//! JUnit, the record and the exit code cannot disagree.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::event::{
    Case, Class, Event, EventKind, GatewayOutcome, Judgement, Level, Night, Problem, Step, StepOutcome, SuiteEnd,
    seconds,
};

/// The most that is kept of the console of one case, and of what explains its verdict.
const MOST_OF_A_CASE: usize = 64 * 1024;
/// What the consoles and details of all cases may take together. A case gets no more than its share of what is left, so
/// that room never runs out, and cases that passed cannot take it from those that did not.
const ROOM_FOR_PASSED: usize = 4 * 1024 * 1024;
const ROOM_FOR_OTHERS: usize = 12 * 1024 * 1024;
const SHARE: usize = 16;
/// What every report that shows all of it has to have room for.
#[cfg(test)]
pub(crate) const ROOM: usize = ROOM_FOR_PASSED + ROOM_FOR_OTHERS;

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
    Interrupted,
}

impl Status {
    pub(crate) const ALL: [Status; 9] = [
        Status::Passed,
        Status::TestsFailed,
        Status::Usage,
        Status::Testbed,
        Status::UpgradeFailed,
        Status::TestbedMixed,
        Status::Inconclusive,
        Status::Report,
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
    Step { step: Step, host: Option<String> },
    Gateway { gateway: String },
    Suite { suite: String },
}

/// A night, as far as it has been heard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub night: Option<Night>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    pub release: Option<ReleaseTaken>,
    pub passed_over: Vec<PassedOver>,
    pub gateways: Vec<GatewayRun>,
    pub steps: Vec<StepRun>,
    pub suites: Vec<SuiteRun>,
    pub outages: Vec<Outage>,
    pub notes: Vec<Note>,
    pub collected: Vec<CollectedPath>,
    pub interrupted: Option<String>,
    #[serde(with = "seconds::option")]
    pub deadline_passed: Option<Duration>,
    pub reports_failed: Vec<ReportFailure>,
    #[serde(skip)]
    taken: Taken,
}

/// How much of the room for consoles and details is taken.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    by_passed: usize,
    by_others: usize,
}

/// What was asked for, and what that came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReleaseTaken {
    pub wanted: String,
    pub version: String,
    pub tag: Option<String>,
}

/// A release that is newer than the one taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PassedOver {
    pub version: String,
    pub reason: String,
    #[serde(with = "seconds")]
    pub age: Duration,
}

/// What a gateway ran before the night, and what the night did to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GatewayRun {
    pub gateway: String,
    pub before: Option<String>,
    pub outcome: Option<GatewayOutcome>,
}

impl GatewayRun {
    /// What the gateway runs now, as far as it is known.
    pub(crate) fn after(&self) -> Option<&str> {
        match &self.outcome {
            Some(GatewayOutcome::Upgraded { to, .. } | GatewayOutcome::Restored { to }) => Some(to),
            Some(GatewayOutcome::Unchanged { at }) => Some(at),
            Some(GatewayOutcome::Mixed { .. }) => None,
            None => self.before.as_deref(),
        }
    }
}

/// A step on one host, or as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StepRun {
    pub step: Step,
    pub host: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    #[serde(with = "seconds::option")]
    pub took: Option<Duration>,
    /// None while it is under way.
    pub outcome: Option<StepOutcome>,
}

impl StepRun {
    /// The step and its host in one word or two, the same every night.
    pub(crate) fn name(&self) -> String {
        step_name(self.step, self.host.as_deref())
    }
}

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
    fn reasons(&self) -> Vec<Reason> {
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

/// A time without a tunnel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outage {
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    pub reason: String,
    /// None when the tunnel did not come back.
    #[serde(with = "seconds::option")]
    pub took: Option<Duration>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    pub step: Step,
    pub host: Option<String>,
    pub level: Level,
    pub text: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CollectedPath {
    pub host: String,
    pub path: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReportFailure {
    pub report: String,
    pub problem: Problem,
}

impl Summary {
    /// Takes one more event in.
    pub(crate) fn hear(&mut self, event: &Event) {
        match &event.kind {
            EventKind::NightStarted(night) => {
                self.started = Some(event.time);
                self.suites = night.suites.iter().map(|planned| new_suite(&planned.suite, &planned.list)).collect();
                self.gateways = night.gateways.iter().map(|gateway| new_gateway(gateway)).collect();
                self.night = Some(night.clone());
            }
            EventKind::StepStarted { step, host } => self.steps.push(StepRun {
                step: *step,
                host: host.clone(),
                started: event.time,
                took: None,
                outcome: None,
            }),
            EventKind::StepFinished { step, host, outcome, took } => {
                self.finish_step(event.time, *step, host.as_ref(), outcome, *took);
            }
            EventKind::Noted { step, host, level, text } => self.notes.push(Note {
                time: event.time,
                step: *step,
                host: host.clone(),
                level: *level,
                text: text.clone(),
            }),
            EventKind::Output { .. } | EventKind::Commanded { .. } | EventKind::TunnelUp { .. } => {}
            EventKind::TunnelLost { reason } => {
                self.outages.push(Outage { since: event.time, reason: reason.clone(), took: None });
            }
            EventKind::TunnelBack { after } => {
                if let Some(outage) = self.outages.last_mut() {
                    outage.took = Some(*after);
                }
            }
            EventKind::ReleasePassedOver { version, reason, age } => {
                self.passed_over.push(PassedOver { version: version.clone(), reason: reason.clone(), age: *age });
            }
            EventKind::ReleaseResolved { wanted, version, tag } => {
                self.release =
                    Some(ReleaseTaken { wanted: wanted.clone(), version: version.clone(), tag: tag.clone() });
            }
            EventKind::GatewayFound { gateway, runs } => self.gateway(gateway).before = runs.clone(),
            EventKind::GatewayFinished { gateway, outcome } => self.gateway(gateway).outcome = Some(outcome.clone()),
            EventKind::SuiteStarted { suite, list, host } => {
                let run = self.suite(suite);
                run.list.clone_from(list);
                run.host = Some(host.clone());
                run.started = Some(event.time);
            }
            EventKind::SuitePlanned { suite, cases } => self.suite(suite).planned = Some(*cases),
            EventKind::CaseStarted { suite, number, case } => {
                self.suite(suite).open.push(OpenCase { number: *number, case: case.clone(), started: event.time });
            }
            EventKind::CaseFinished { suite, case } => self.finish_case(suite, case),
            EventKind::CaseExplained { suite, case } => {
                // It keeps its place among the cases.
                self.finish_case(suite, case);
                let cases = &mut self.suite(suite).cases;
                let last = cases.len() - 1;
                if let Some(place) = cases[..last].iter().position(|known| known.name == case.name) {
                    cases.swap_remove(place);
                }
            }
            EventKind::SuiteFinished { suite, end } => {
                let run = self.suite(suite);
                run.planned = end.planned.or(run.planned);
                run.end = Some(end.clone());
            }
            EventKind::Collected { host, path, bytes } => {
                self.collected.push(CollectedPath { host: host.clone(), path: path.clone(), bytes: *bytes });
            }
            EventKind::Interrupted { signal } => self.interrupted = Some(signal.clone()),
            EventKind::DeadlinePassed { deadline } => self.deadline_passed = Some(*deadline),
            EventKind::ReportFailed { report, problem } => {
                self.reports_failed.push(ReportFailure { report: report.clone(), problem: problem.clone() });
            }
            EventKind::NightEnded => self.ended = Some(event.time),
        }
    }

    /// What the night comes to.
    pub(crate) fn status(&self) -> Status {
        status_of(&self.findings())
    }

    /// Everything that keeps the night from having passed; what decides the status comes first.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        let mut reasons = self.findings();
        let status = status_of(&reasons);
        reasons.sort_by_key(|reason| reason.status != status);
        reasons
    }

    /// From start to end, once it has ended.
    pub(crate) fn took(&self) -> Option<Duration> {
        Duration::try_from(self.ended? - self.started?).ok()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.suites.iter().map(SuiteRun::counts).fold(Counts::default(), |sum, counts| Counts {
            passed: sum.passed + counts.passed,
            failed: sum.failed + counts.failed,
            errors: sum.errors + counts.errors,
        })
    }

    fn findings(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        self.say_gateways(&mut reasons);
        self.say_steps(&mut reasons);
        if let Some(signal) = &self.interrupted {
            reasons.push(night_reason(Status::Interrupted, format!("interrupted by {signal}")));
        }
        if let Some(deadline) = self.cut_off() {
            let text = format!("cut off by the night's deadline of {}", crate::config::format_duration(deadline));
            reasons.push(night_reason(Status::Inconclusive, text));
        }
        reasons.extend(self.suites.iter().flat_map(SuiteRun::reasons));
        for failure in &self.reports_failed {
            let text = format!("`{}`: {}", failure.report, failure.problem.line());
            reasons.push(night_reason(Status::Report, text));
        }
        self.say_silence(&mut reasons);
        if self.ended.is_none() {
            reasons.push(night_reason(Status::Inconclusive, "the night has not ended".to_owned()));
        }
        reasons
    }

    /// The deadline, if it has cut something off: when all was done by then, it has not.
    fn cut_off(&self) -> Option<Duration> {
        let has_work = !self.suites.is_empty() || !self.gateways.is_empty();
        // Where nothing is switched, nothing becomes of a gateway.
        let is_switched = self.night.as_ref().is_some_and(|night| night.wanted.is_some());
        let is_done = has_work
            && self.suites.iter().all(|suite| suite.end.is_some())
            && (!is_switched || self.gateways.iter().all(|gateway| gateway.outcome.is_some()));
        let is_cut = |run: &StepRun| {
            let Some(StepOutcome::Failed(problem)) = &run.outcome else { return false };
            problem.class == Class::Inconclusive && run.step != Step::Collect
        };
        self.deadline_passed.filter(|_| !is_done || self.steps.iter().any(is_cut))
    }

    fn say_gateways(&self, reasons: &mut Vec<Reason>) {
        for gateway in &self.gateways {
            if let Some(GatewayOutcome::Mixed { runs }) = &gateway.outcome {
                reasons.push(gateway_reason(Status::TestbedMixed, gateway, &format!("mixed: {runs}")));
            }
        }
    }

    fn say_steps(&self, reasons: &mut Vec<Reason>) {
        for run in &self.steps {
            let Some(StepOutcome::Failed(problem)) = &run.outcome else { continue };
            // What could not be collected is shown, and never decides.
            let is_told = self.interrupted.is_some() && problem.class == Class::Interrupted;
            if run.step == Step::Collect || is_told {
                continue;
            }
            let about = About::Step { step: run.step, host: run.host.clone() };
            let line = problem.line();
            // A step that failed on a host fails as a whole with the same words.
            let is_repeated = reasons.iter().any(|reason| match &reason.about {
                About::Step { step, host } => {
                    *step == run.step && (host.is_none() || run.host.is_none()) && reason.text.ends_with(&line)
                }
                _ => false,
            });
            if !is_repeated {
                reasons.push(Reason { status: problem.class.into(), about, text: format!("{}: {line}", run.name()) });
            }
        }
    }

    /// Silence is not success: what was planned and never heard of counts against the night, unless it is explained.
    fn say_silence(&self, reasons: &mut Vec<Reason>) {
        let Some(night) = &self.night else {
            reasons.push(night_reason(Status::Inconclusive, "nothing was heard of the night".to_owned()));
            return;
        };
        let is_explained = self.cut_off().is_some()
            || reasons.iter().any(|reason| {
                use Status::{Interrupted, Testbed, TestbedMixed, UpgradeFailed};
                matches!(reason.status, TestbedMixed | Interrupted | UpgradeFailed | Testbed)
            });
        for gateway in self.gateways.iter().filter(|_| night.wanted.is_some() && self.ended.is_some()) {
            match &gateway.outcome {
                None if self.was_switched(&gateway.gateway) => {
                    let text = "its switch began, and what it runs now is not known";
                    reasons.push(gateway_reason(Status::TestbedMixed, gateway, text));
                }
                None if !is_explained => {
                    let text = "nothing is known of its upgrade";
                    reasons.push(gateway_reason(Status::Inconclusive, gateway, text));
                }
                Some(GatewayOutcome::Restored { to }) if !is_explained => {
                    reasons.push(gateway_reason(Status::UpgradeFailed, gateway, &format!("restored to {to}")));
                }
                _ => {}
            }
        }
        if self.ended.is_some() && !is_explained {
            for run in self.steps.iter().filter(|run| run.outcome.is_none()) {
                let about = About::Step { step: run.step, host: run.host.clone() };
                let text = format!("{}: began and did not end", run.name());
                reasons.push(Reason { status: Status::Inconclusive, about, text });
            }
        }
        if !is_explained {
            for suite in self.suites.iter().filter(|suite| suite.end.is_none()) {
                let what = if suite.started.is_some() { "did not finish" } else { "was not started" };
                let about = About::Suite { suite: suite.suite.clone() };
                let text = format!("`{}`: {what}", suite.suite);
                reasons.push(Reason { status: Status::Inconclusive, about, text });
            }
            let is_test = night.steps.contains(&Step::Test) || ["test", "report"].contains(&night.command.as_str());
            if is_test && self.suites.is_empty() {
                reasons.push(night_reason(Status::Inconclusive, "no suite was run".to_owned()));
            }
            if !is_test && self.gateways.is_empty() {
                reasons.push(night_reason(Status::Inconclusive, "nothing was tested or upgraded".to_owned()));
            }
        }
    }

    fn was_switched(&self, gateway: &str) -> bool {
        self.steps.iter().any(|run| {
            run.step == Step::Activate
                && run.host.as_deref() == Some(gateway)
                && !matches!(run.outcome, Some(StepOutcome::Skipped { .. }))
        })
    }

    fn finish_step(
        &mut self,
        time: OffsetDateTime,
        step: Step,
        host: Option<&String>,
        outcome: &StepOutcome,
        took: Duration,
    ) {
        let open = self
            .steps
            .iter_mut()
            .rev()
            .find(|run| run.step == step && run.host.as_ref() == host && run.outcome.is_none());
        match open {
            Some(run) => {
                run.took = Some(took);
                run.outcome = Some(outcome.clone());
            }
            None => self.steps.push(StepRun {
                step,
                host: host.cloned(),
                started: time - took,
                took: Some(took),
                outcome: Some(outcome.clone()),
            }),
        }
    }

    fn finish_case(&mut self, suite: &str, case: &Case) {
        let mut case = case.clone();
        let (taken, room) = match case.judgement {
            Judgement::Passed => (&mut self.taken.by_passed, ROOM_FOR_PASSED),
            Judgement::Failed { .. } | Judgement::Error { .. } => (&mut self.taken.by_others, ROOM_FOR_OTHERS),
        };
        if let Judgement::Failed { message } | Judgement::Error { message } = &mut case.judgement {
            keep(message, taken, room);
        }
        keep(&mut case.details, taken, room);
        keep(&mut case.console, taken, room);
        let run = self.suite(suite);
        let is_it = |open: &OpenCase| open.number == case.number && open.case == case.name;
        let open = run.open.iter().position(is_it);
        if let Some(open) = open.or_else(|| run.open.iter().position(|open| open.number == case.number)) {
            run.open.remove(open);
        }
        run.cases.push(case);
    }

    fn gateway(&mut self, name: &str) -> &mut GatewayRun {
        let known = self.gateways.iter().position(|gateway| gateway.gateway == name);
        let index = known.unwrap_or_else(|| {
            self.gateways.push(new_gateway(name));
            self.gateways.len() - 1
        });
        &mut self.gateways[index]
    }

    fn suite(&mut self, name: &str) -> &mut SuiteRun {
        let known = self.suites.iter().position(|suite| suite.suite == name);
        let index = known.unwrap_or_else(|| {
            self.suites.push(new_suite(name, ""));
            self.suites.len() - 1
        });
        &mut self.suites[index]
    }
}

/// When several are true, the first of them in the order of who has to act first.
fn status_of(reasons: &[Reason]) -> Status {
    let is = |status| reasons.iter().any(|reason| reason.status == status);
    if is(Status::TestbedMixed) {
        Status::TestbedMixed
    } else if is(Status::Interrupted) {
        Status::Interrupted
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

fn night_reason(status: Status, text: String) -> Reason {
    Reason { status, about: About::Night, text }
}

fn gateway_reason(status: Status, gateway: &GatewayRun, text: &str) -> Reason {
    let about = About::Gateway { gateway: gateway.gateway.clone() };
    Reason { status, about, text: format!("`{}`: {text}", gateway.gateway) }
}

fn new_suite(suite: &str, list: &str) -> SuiteRun {
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

fn new_gateway(gateway: &str) -> GatewayRun {
    GatewayRun { gateway: gateway.to_owned(), before: None, outcome: None }
}

/// The name of a step on a host, the same every night.
pub(crate) fn step_name(step: Step, host: Option<&str>) -> String {
    match host {
        Some(host) => format!("{step} {host}"),
        None => step.to_string(),
    }
}

fn cases(count: usize) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}

/// Cuts a text down to its share of the room that is left, and takes that room.
fn keep(text: &mut String, taken: &mut usize, room: usize) {
    let share = (room.saturating_sub(*taken) / SHARE).min(MOST_OF_A_CASE);
    if text.len() > share {
        *text = head_and_tail(text, share);
    }
    *taken += text.len().min(share);
}

/// Cuts the middle out of a text that is longer than `limit` bytes, and says how much of it.
pub(crate) fn head_and_tail(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let is_boundary = |&at: &usize| text.is_char_boundary(at);
    let head = (0..=limit / 2).rev().find(is_boundary).unwrap_or(0);
    let tail = (text.len() - limit / 2..=text.len()).find(is_boundary).unwrap_or(text.len());
    format!("{}\n[... {} bytes left out ...]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::nights::{NEW, OLD, Story, cut_off, green, red, restored};

    fn codes(story: &Story) -> Vec<u8> {
        let mut codes: Vec<u8> = story.summary().reasons().iter().map(|reason| reason.status.code()).collect();
        codes.dedup();
        codes
    }

    fn texts(story: &Story) -> Vec<String> {
        story.summary().reasons().into_iter().map(|reason| reason.text).collect()
    }

    /// A night of one green suite, as far as before its end.
    fn tested() -> Story {
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]).suite("gxgy", 1).passes("gxgy", 1, "case");
        story.suite_ends("gxgy", Some("PASS"), None);
        story
    }

    fn upgrading() -> Story {
        let mut story = Story::new();
        story.begins("upgrade", &["agw", "feg1"], &[]).found(&["agw", "feg1"]);
        story
    }

    #[test]
    fn every_status_has_a_code_and_a_name_of_its_own() {
        let table: Vec<(u8, &str)> = Status::ALL.iter().map(|status| (status.code(), status.name())).collect();
        assert_eq!(
            table,
            [
                (0, "passed"),
                (1, "tests failed"),
                (2, "usage"),
                (3, "testbed"),
                (4, "upgrade failed"),
                (5, "testbed mixed"),
                (6, "inconclusive"),
                (7, "report"),
                (130, "interrupted"),
            ]
        );
    }

    #[test]
    fn when_several_are_true_the_one_to_act_on_first_is_the_status() {
        use Status::{Inconclusive, Interrupted, Report, Testbed, TestbedMixed, TestsFailed, UpgradeFailed};
        let order = [TestbedMixed, Interrupted, UpgradeFailed, TestsFailed, Testbed, Inconclusive, Report];
        let reasons: Vec<Reason> = order.iter().map(|&status| night_reason(status, String::new())).rev().collect();
        for (index, status) in order.iter().enumerate() {
            assert_eq!(status_of(&reasons[..order.len() - index]), *status);
        }
        assert_eq!(status_of(&[]), Status::Passed);
    }

    #[test]
    fn a_night_in_which_all_was_done_and_all_passed_has_passed() {
        assert_eq!(green().summary().status(), Status::Passed);
        assert_eq!(green().summary().reasons(), []);
        assert_eq!(green().summary().counts(), Counts { passed: 2, failed: 0, errors: 0 });
    }

    #[test]
    fn all_that_is_true_is_reported_and_what_decides_comes_first() {
        assert_eq!(codes(&red()), [1, 6]);
        assert_eq!(
            texts(&red()),
            [
                "`gxgy`: 1 of 3 cases failed: gx_gy_combined_05_capacity",
                "`gxgy`: 1 of 3 cases inconclusive: gx_gy_combined_06"
            ]
        );
    }

    #[test]
    fn a_night_that_was_never_heard_or_never_ended_has_not_passed() {
        assert_eq!(Summary::default().status(), Status::Inconclusive);
        assert_eq!(codes(&tested()), [6]);
        assert_eq!(texts(&cut_off())[2], "the night has not ended");
        let mut story = tested();
        story.say(EventKind::NightEnded);
        assert_eq!(codes(&story), [0; 0]);
    }

    #[test]
    fn a_night_that_tested_and_upgraded_nothing_has_not_passed() {
        for command in ["run", "test", "upgrade", "report"] {
            let mut story = Story::new();
            story.begins(command, &[], &[]).say(EventKind::NightEnded);
            assert_eq!(codes(&story), [6], "{command}");
        }
    }

    #[test]
    fn a_planned_suite_that_was_not_finished_is_inconclusive_unless_something_explains_it() {
        let mut story = Story::new();
        story.begins("test", &[], &["one", "two"]).suite("one", 1).say(EventKind::NightEnded);
        assert_eq!(texts(&story), ["`one`: did not finish", "`two`: was not started"]);
        story.fails(Step::Connect, None, 1, Problem::testbed("no tunnel"));
        assert_eq!(texts(&story), ["connect: no tunnel"]);
        assert_eq!(codes(&restored()), [4]);
    }

    #[test]
    fn a_suite_without_a_verdict_on_anything_is_inconclusive() {
        let ended = |planned, is_judged: bool, verdict| {
            let mut story = Story::new();
            story.begins("test", &[], &["gxgy"]).suite("gxgy", planned);
            if is_judged {
                story.passes("gxgy", 1, "case");
            }
            story.suite_ends("gxgy", verdict, None).say(EventKind::NightEnded);
            texts(&story)
        };
        assert_eq!(ended(1, true, Some("PASS")), [""; 0]);
        assert_eq!(ended(0, false, Some("PASS")), ["`gxgy`: no case passed or failed"]);
        assert_eq!(ended(5, true, Some("PASS")), ["`gxgy`: 1 of 5 planned cases were judged"]);
        assert_eq!(ended(1, true, None), ["`gxgy`: the list gave no verdict"]);
    }

    #[test]
    fn a_suites_problem_makes_the_status_of_its_class() {
        let mut story = Story::new();
        let problem = Problem::testbed("`gxgy.ntl` is not there");
        story.begins("test", &[], &["gxgy"]).suite_ends("gxgy", None, Some(problem)).say(EventKind::NightEnded);
        assert_eq!(codes(&story), [3, 6]);
    }

    #[test]
    fn a_step_that_fails_on_a_host_and_as_a_whole_is_told_once() {
        let mut story = tested();
        let problem = || Problem::testbed("the disk is full");
        story.fails(Step::Prepare, Some("agw"), 1, problem()).fails(Step::Prepare, Some("feg1"), 1, problem());
        story.fails(Step::Prepare, None, 1, problem()).say(EventKind::NightEnded);
        assert_eq!(texts(&story), ["prepare agw: the disk is full", "prepare feg1: the disk is full"]);
    }

    #[test]
    fn what_could_not_be_collected_decides_nothing() {
        let mut story = tested();
        story.fails(Step::Collect, Some("agw"), 1, Problem::testbed("gone")).say(EventKind::NightEnded);
        assert_eq!(story.summary().status(), Status::Passed);
    }

    #[test]
    fn a_step_that_began_and_did_not_end_is_inconclusive() {
        let mut story = tested();
        story.start(Step::Unlock, None).say(EventKind::NightEnded);
        assert_eq!(texts(&story), ["unlock: began and did not end"]);
    }

    #[test]
    fn a_gateway_of_which_nothing_is_heard_is_inconclusive_and_mixed_once_its_switch_began() {
        let mut story = upgrading();
        story.gateway("feg1", GatewayOutcome::Unchanged { at: NEW.to_owned() }).say(EventKind::NightEnded);
        assert_eq!(texts(&story), ["`agw`: nothing is known of its upgrade"]);
        story.fails(Step::Activate, Some("agw"), 1, Problem::testbed("the host is down"));
        assert_eq!(codes(&story), [5, 3]);
    }

    #[test]
    fn a_mixed_gateway_comes_before_everything_else() {
        let mut story = upgrading();
        story.fails(Step::Verify, Some("agw"), 1, Problem::upgrade("unhealthy"));
        story.gateway("agw", GatewayOutcome::Mixed { runs: "unknown".to_owned() });
        story.say(EventKind::Interrupted { signal: "SIGTERM".to_owned() }).say(EventKind::NightEnded);
        assert_eq!(codes(&story), [5, 4, 130]);
    }

    #[test]
    fn a_gateway_that_was_brought_back_without_a_word_of_why_is_a_failed_upgrade() {
        let mut story = upgrading();
        for gateway in ["agw", "feg1"] {
            story.gateway(gateway, GatewayOutcome::Restored { to: OLD.to_owned() });
        }
        story.say(EventKind::NightEnded);
        assert_eq!(codes(&story), [4]);
    }

    #[test]
    fn a_signal_and_a_deadline_are_reasons_of_their_own() {
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]);
        story.say(EventKind::DeadlinePassed { deadline: Duration::from_secs(9_900) }).say(EventKind::NightEnded);
        assert_eq!(texts(&story), ["cut off by the night's deadline of 2h45m"]);
        story.say(EventKind::Interrupted { signal: "SIGINT".to_owned() });
        story.fails(Step::Test, None, 1, Problem::new(Class::Interrupted, "interrupted"));
        assert_eq!(codes(&story), [130, 6]);
    }

    #[test]
    fn a_case_that_was_started_and_has_no_verdict_is_never_a_pass() {
        let mut story = tested();
        story.case_begins("gxgy", 2, "late").say(EventKind::NightEnded);
        assert_eq!(texts(&story), ["`gxgy`: late was started and has no verdict"]);
        assert_eq!(codes(&story), [6]);
    }

    #[test]
    fn a_deadline_that_passes_when_all_is_done_has_cut_nothing_off() {
        let mut story = tested();
        story.say(EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(OLD.to_owned()) });
        story.say(EventKind::DeadlinePassed { deadline: Duration::from_secs(9_900) }).say(EventKind::NightEnded);
        assert_eq!(texts(&story), [""; 0]);
    }

    #[test]
    fn a_report_that_could_not_be_written_is_the_least_of_reasons() {
        let mut story = tested();
        let problem = Problem::new(Class::Report, "cannot write").because("no space left on device");
        story.say(EventKind::ReportFailed { report: "junit.xml".to_owned(), problem }).say(EventKind::NightEnded);
        assert_eq!(codes(&story), [7]);
        assert_eq!(texts(&story), ["`junit.xml`: cannot write: no space left on device"]);
    }

    #[test]
    fn the_consoles_of_very_many_cases_take_a_limited_room_and_every_case_keeps_its_place() {
        let mut summary = Summary::default();
        for number in 0..5_000 {
            let judgement = match number % 2 {
                0 => Judgement::Passed,
                _ => Judgement::Failed { message: "m".repeat(70_000) },
            };
            let case = Case {
                number,
                name: "case".to_owned(),
                params: String::new(),
                verdict: None,
                judgement,
                took: Duration::ZERO,
                details: "d".repeat(70_000),
                console: "ü".repeat(50_000),
            };
            summary.finish_case("gxgy", &case);
        }
        let cases = &summary.suites[0].cases;
        assert_eq!(cases.len(), 5_000);
        assert!(cases[0].console.len() > MOST_OF_A_CASE - 4 && cases[0].console.len() < MOST_OF_A_CASE + 100);
        let kept: usize = cases
            .iter()
            .map(|case| match &case.judgement {
                Judgement::Failed { message } => message.len() + case.details.len() + case.console.len(),
                _ => case.details.len() + case.console.len(),
            })
            .sum();
        // What is left out is said, in a line for each text.
        assert!(kept < ROOM + 5_000 * 3 * 50, "{kept}");
    }

    #[test]
    fn the_middle_of_a_long_text_is_left_out_between_characters() {
        assert_eq!(head_and_tail("short", 5), "short");
        assert_eq!(head_and_tail("aü-ö-b", 4), "a\n[... 5 bytes left out ...]\n-b");
    }
}
