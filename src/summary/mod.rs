//! The night as a fold over its events, and what it comes to: status and exit code.
//!
//! Value in, value out: knows no clock, no file and no display. The reporters show what stands here, so that the
//! console, JUnit, the record and the exit code cannot disagree.

mod failures;
mod pace;
mod room;
mod since;
mod standing;
mod status;
mod suite;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use failures::StepFailure;
#[cfg(test)]
pub(crate) use room::ROOM;
pub(crate) use room::head_and_tail;
pub(crate) use since::{Since, commits};
pub(crate) use standing::{Standing, is_slower};
pub(crate) use status::{About, Reason, Status};
pub(crate) use suite::{Counts, JudgedSuite, OpenCase, SuiteRun};

use room::{ROOM_FOR_OTHERS, ROOM_FOR_PASSED, Taken, keep};
use status::status_of;
use suite::new_suite;

use crate::event::{
    Case, CaseName, Class, Event, EventKind, GatewayOutcome, Judgement, Level, Night, PackageChange, Problem, Step,
    StepOutcome, SuiteEnd, seconds,
};
use crate::gate::Required;
use crate::memory::Memory;
use crate::secret::RedactedText;

/// A night, as far as it has been heard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub night: Option<Night>,
    #[serde(with = "crate::moment::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    #[serde(with = "crate::moment::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    pub release: Option<ReleaseTaken>,
    pub passed_over: Vec<PassedOver>,
    pub gateways: Vec<GatewayRun>,
    pub steps: Vec<StepRun>,
    pub suites: Vec<SuiteRun>,
    /// What history says of the nights before; none where it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    pub outages: Vec<Outage>,
    pub notes: Vec<Note>,
    pub collected: Vec<CollectedPath>,
    pub interrupted: Option<RedactedText>,
    #[serde(with = "seconds::option")]
    pub deadline_passed: Option<Duration>,
    pub reports_failed: Vec<ReportFailure>,
    /// Panics outside of every step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub internal_errors: Vec<Problem>,
    #[serde(skip)]
    taken: Taken,
}

/// What was asked for, and what that came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReleaseTaken {
    pub wanted: RedactedText,
    pub version: RedactedText,
    pub tag: Option<RedactedText>,
}

/// A release that is newer than the one taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PassedOver {
    pub version: RedactedText,
    pub reason: RedactedText,
    #[serde(with = "seconds")]
    pub age: Duration,
}

/// What a gateway ran before the night, and what the night did to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GatewayRun {
    pub gateway: String,
    pub before: Option<RedactedText>,
    pub outcome: Option<GatewayOutcome>,
    /// The packages of the release, before and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageChange>,
}

impl GatewayRun {
    /// What the run did to it, with every package that changed; none where it was not switched.
    pub(crate) fn told(&self) -> Option<String> {
        Some(self.outcome.as_ref()?.with_packages(&self.packages))
    }

    /// What the gateway runs now, as far as it is known.
    pub(crate) fn after(&self) -> Option<&str> {
        match &self.outcome {
            Some(
                GatewayOutcome::Upgraded { to, .. }
                | GatewayOutcome::Downgraded { to, .. }
                | GatewayOutcome::Restored { to },
            ) => Some(to),
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
    #[serde(with = "crate::moment::rfc3339")]
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

/// A time without a tunnel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outage {
    #[serde(with = "crate::moment::rfc3339")]
    pub since: OffsetDateTime,
    pub reason: RedactedText,
    /// None when the tunnel did not come back.
    #[serde(with = "seconds::option")]
    pub took: Option<Duration>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(with = "crate::moment::rfc3339")]
    pub time: OffsetDateTime,
    pub step: Step,
    pub host: Option<String>,
    pub level: Level,
    pub text: RedactedText,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CollectedPath {
    pub host: String,
    pub path: RedactedText,
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReportFailure {
    pub report: RedactedText,
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
            EventKind::GatewayFinished { gateway, outcome, packages } => {
                let run = self.gateway(gateway);
                run.outcome = Some(outcome.clone());
                run.packages.clone_from(packages);
            }
            EventKind::Remembered(memory) => self.memory = Some(memory.clone()),
            EventKind::SuiteStarted { suite, list, host, .. } => {
                let run = self.suite(suite);
                if run.end.is_some() {
                    run.begin_again();
                }
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
                if let Some(place) = cases[..last].iter().position(|known| known.name.raw() == case.name.raw()) {
                    cases.swap_remove(place);
                }
            }
            EventKind::SuiteFinished { suite, end } => {
                self.say_missing(suite, end);
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
            EventKind::InternalError { problem } => self.internal_errors.push(problem.clone()),
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

    /// What the steps took together, but for the suites: what several hosts do side by side counts once.
    pub(crate) fn steps_took(&self) -> Option<Duration> {
        let ended = |run: &StepRun| run.started.checked_add(run.took?.try_into().ok()?);
        let steps = self.steps.iter().filter(|run| run.step != Step::Test);
        let mut spans: Vec<(OffsetDateTime, OffsetDateTime)> =
            steps.filter_map(|run| Some((run.started, ended(run)?))).collect();
        spans.sort();
        let mut until = spans.first()?.0;
        let took = spans.into_iter().map(|(from, to)| {
            let span = to - from.max(until).min(to);
            until = until.max(to);
            Duration::try_from(span).unwrap_or_default()
        });
        Some(took.sum())
    }

    /// What the upgrade took: from the first gateway that was prepared to the last one verified.
    pub(crate) fn upgrade_took(&self) -> Option<Duration> {
        let began = self.steps.iter().filter(|run| run.step.is_of_upgrade()).map(|run| run.started).min()?;
        let verified = self.steps.iter().filter(|run| run.step == Step::Verify);
        let ended = verified.filter_map(|run| Some(run.started + run.took?)).max()?;
        Duration::try_from(ended - began).ok()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.judged().map(|suite| suite.counts()).sum()
    }

    /// The suites as the gate sees them.
    pub(crate) fn judged(&self) -> impl Iterator<Item = JudgedSuite<'_>> {
        self.suites.iter().map(|run| self.judge(run))
    }

    pub(crate) fn judged_suite(&self, suite: &str) -> Option<JudgedSuite<'_>> {
        self.suites.iter().find(|run| run.suite == suite).map(|run| self.judge(run))
    }

    fn judge<'a>(&'a self, run: &'a SuiteRun) -> JudgedSuite<'a> {
        let gate = self.night.as_ref().map(|night| &night.gate);
        JudgedSuite::new(run, gate, self.memory.as_ref(), self.started.map(OffsetDateTime::date))
    }

    /// Whether the failure of a case is known.
    pub(crate) fn is_known(&self, suite: &str, case: &str) -> bool {
        let day = self.started.map(OffsetDateTime::date);
        let gate = self.night.as_ref().map(|night| &night.gate);
        gate.zip(day).is_some_and(|(gate, day)| gate.known(suite, case, day).is_some())
    }

    /// Says of each case that must be there and is not that it is not known.
    fn say_missing(&mut self, suite: &str, end: &SuiteEnd) {
        let Some(night) = self.night.as_ref().filter(|_| end.problem.is_none()) else { return };
        // A name of the configuration is NG40's own, and one of the history is what was shown of it.
        let name_of: fn(&CaseName) -> &str =
            if night.gate.required == Required::Baseline { CaseName::shown } else { CaseName::raw };
        let required: Vec<String> = match &night.gate.required {
            Required::None => return,
            Required::Named(named) => named.get(suite).into_iter().flatten().cloned().collect(),
            Required::Baseline => {
                let known = self.memory.as_ref().and_then(|memory| memory.suites.get(suite));
                let cases = known.into_iter().flat_map(|known| &known.cases);
                cases.filter(|(_, case)| case.is_baseline).map(|(name, _)| name.clone()).collect()
            }
        };
        let run = self.suite(suite);
        for name in required {
            let is_there = run
                .cases
                .iter()
                .map(|case| &case.name)
                .chain(run.open.iter().map(|open| &open.case))
                .any(|known| name_of(known) == name);
            if !is_there {
                let why = "it must be there (`gate.required`) and was not run";
                run.cases.push(Case { is_missing: true, ..Case::unjudged(0, name, why) });
            }
        }
    }

    fn findings(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        self.say_gateways(&mut reasons);
        self.say_steps(&mut reasons);
        for problem in &self.internal_errors {
            reasons.push(night_reason(Status::InternalError, problem.line()));
        }
        if let Some(signal) = &self.interrupted {
            reasons.push(night_reason(Status::Interrupted, format!("interrupted by {signal}")));
        }
        if let Some(deadline) = self.cut_off() {
            let text = format!("cut off by the night's deadline of {}", crate::config::format_duration(deadline));
            reasons.push(night_reason(Status::Inconclusive, text));
        }
        reasons.extend(self.judged().flat_map(|suite| suite.reasons()));
        for failure in &self.reports_failed {
            let text = format!("`{}`: {}", failure.report, failure.problem.line());
            let is_internal = failure.problem.class == Class::Internal;
            let status = if is_internal { Status::InternalError } else { Status::Report };
            reasons.push(night_reason(status, text));
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
            && (!is_switched || self.meant().all(|gateway| gateway.outcome.is_some()));
        let is_cut = |run: &StepRun| {
            let Some(StepOutcome::Failed(problem)) = &run.outcome else { return false };
            problem.class == Class::Inconclusive && run.step != Step::Collect
        };
        self.deadline_passed.filter(|_| !is_done || self.steps.iter().any(is_cut))
    }

    /// The gateways that the night was to switch; of the others only what they run is heard.
    fn meant(&self) -> impl Iterator<Item = &GatewayRun> {
        let meant = self.night.as_ref().map(|night| night.gateways.as_slice()).unwrap_or_default();
        self.gateways.iter().filter(|gateway| meant.contains(&gateway.gateway))
    }

    fn say_gateways(&self, reasons: &mut Vec<Reason>) {
        for gateway in &self.gateways {
            if let Some(GatewayOutcome::Mixed { runs }) = &gateway.outcome {
                reasons.push(gateway_reason(Status::TestbedMixed, gateway, &format!("mixed: {runs}")));
            }
        }
    }

    fn say_steps(&self, reasons: &mut Vec<Reason>) {
        for failure in self.step_failures() {
            if self.interrupted.is_some() && failure.class == Class::Interrupted {
                continue;
            }
            let host = match failure.hosts()[..] {
                [host] => Some(host.to_owned()),
                _ => None,
            };
            let about = About::Step { step: failure.runs[0].step, host };
            reasons.push(Reason { status: failure.class.into(), about, text: failure.text });
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
                use Status::{InternalError, Interrupted, Testbed, TestbedMixed, UpgradeFailed};
                matches!(reason.status, TestbedMixed | Interrupted | InternalError | UpgradeFailed | Testbed)
            });
        for gateway in self.meant().filter(|_| night.wanted.is_some() && self.ended.is_some()) {
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
                let about = About::Suite { suite: suite.suite.clone(), is_slow: false };
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
            message.edit(|message| keep(message, taken, room));
        }
        case.details.edit(|details| keep(details, taken, room));
        case.console.edit(|console| keep(console, taken, room));
        let run = self.suite(suite);
        let is_it = |open: &OpenCase| open.number == case.number && open.case.raw() == case.name.raw();
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

fn night_reason(status: Status, text: String) -> Reason {
    Reason { status, about: About::Night, text }
}

fn gateway_reason(status: Status, gateway: &GatewayRun, text: &str) -> Reason {
    let about = About::Gateway { gateway: gateway.gateway.clone() };
    Reason { status, about, text: format!("`{}`: {text}", gateway.gateway) }
}

fn new_gateway(gateway: &str) -> GatewayRun {
    GatewayRun { gateway: gateway.to_owned(), before: None, outcome: None, packages: Vec::new() }
}

/// The name of a step on a host, the same every night.
pub(crate) fn step_name(step: Step, host: Option<&str>) -> String {
    match host {
        Some(host) => format!("{step} {host}"),
        None => step.to_string(),
    }
}
