//! A suite of a night, and what it says against the night.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::standing::{Judge, Standing, slower};
use super::{About, Reason, Status};
use crate::event::{Case, CaseName, Judgement, SuiteEnd};
use crate::gate::{CameTo, Exceeded, Gate, Required};
use crate::memory::{CaseMemory, Memory};

/// A suite, planned or under way or finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SuiteRun {
    pub suite: String,
    pub list: String,
    /// The NG40 host, once the suite has started.
    pub host: Option<String>,
    #[serde(with = "crate::moment::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    pub planned: Option<u64>,
    /// Cases that have started and not finished.
    pub open: Vec<OpenCase>,
    pub cases: Vec<Case>,
    /// None until it has finished.
    pub end: Option<SuiteEnd>,
    /// The attempts before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierAttempt>,
}

/// An attempt at a suite that was run again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EarlierAttempt {
    #[serde(with = "crate::moment::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    #[serde(default)]
    pub planned: Option<u64>,
    pub cases: Vec<Case>,
    pub end: Option<SuiteEnd>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenCase {
    pub number: u64,
    pub case: CaseName,
    #[serde(with = "crate::moment::rfc3339")]
    pub started: OffsetDateTime,
}

/// How many cases came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
    #[serde(default)]
    pub flaky: usize,
    #[serde(default)]
    pub known: usize,
}

impl Counts {
    /// One case, by what it came to.
    pub(crate) fn of(came_to: CameTo) -> Counts {
        let mut counts = Counts::default();
        counts.add(came_to);
        counts
    }

    pub(crate) fn all(&self) -> usize {
        [self.failed, self.errors, self.flaky, self.known].into_iter().fold(self.passed, usize::saturating_add)
    }

    fn add(&mut self, came_to: CameTo) {
        *match came_to {
            CameTo::Passed => &mut self.passed,
            CameTo::Flaky => &mut self.flaky,
            CameTo::Known => &mut self.known,
            CameTo::Failed => &mut self.failed,
            CameTo::Error => &mut self.errors,
        } += 1;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), |sum, counts| Counts {
            passed: sum.passed.saturating_add(counts.passed),
            failed: sum.failed.saturating_add(counts.failed),
            errors: sum.errors.saturating_add(counts.errors),
            flaky: sum.flaky.saturating_add(counts.flaky),
            known: sum.known.saturating_add(counts.known),
        })
    }
}

/// What was heard of one attempt at a suite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) cases: &'a [Case],
    pub(super) planned: Option<u64>,
    end: Option<&'a SuiteEnd>,
}

impl Attempt<'_> {
    /// Whether it went as it should, whatever its cases came to.
    pub(super) fn is_whole(&self) -> bool {
        self.end.is_some_and(|end| end.problem.is_none() && end.verdict.is_some())
            && !self.cases.iter().any(|case| case.is_nameless() && case.judgement != Judgement::Passed)
    }

    /// How many cases it has by name.
    pub(super) fn named(&self) -> u64 {
        self.cases.iter().filter(|case| !case.is_nameless() && !case.is_missing).count() as u64
    }

    fn has_no_verdict(&self) -> bool {
        self.end.is_none_or(|end| end.verdict.is_none())
    }
}

impl SuiteRun {
    /// Makes room for another attempt: what was heard of this one is kept.
    pub(super) fn begin_again(&mut self) {
        let mut cases = std::mem::take(&mut self.cases);
        for open in self.open.drain(..) {
            cases.push(Case::unjudged(open.number, open.case, "it was started and has no verdict"));
        }
        let (planned, end) = (self.planned.take(), self.end.take());
        self.earlier.push(EarlierAttempt { started: self.started, planned, cases, end });
    }

    fn attempts(&self) -> Vec<Attempt<'_>> {
        let earlier = self.earlier.iter().map(|earlier| Attempt {
            cases: &earlier.cases,
            planned: earlier.planned,
            end: earlier.end.as_ref(),
        });
        earlier.chain([Attempt { cases: &self.cases, planned: self.planned, end: self.end.as_ref() }]).collect()
    }
}

/// A suite as the gate sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgedSuite<'a> {
    run: &'a SuiteRun,
    judge: Judge<'a>,
}

impl std::ops::Deref for JudgedSuite<'_> {
    type Target = SuiteRun;

    fn deref(&self) -> &SuiteRun {
        self.run
    }
}

impl<'a> JudgedSuite<'a> {
    pub(super) fn new(
        run: &'a SuiteRun,
        gate: Option<&'a Gate>,
        memory: Option<&'a Memory>,
        day: Option<Date>,
    ) -> JudgedSuite<'a> {
        let is_blind = memory.is_none() && gate.is_some_and(|gate| gate.required == Required::Baseline);
        let memory = memory.and_then(|memory| memory.suites.get(&run.suite));
        JudgedSuite { run, judge: Judge { suite: &run.suite, gate, memory, day, is_blind } }
    }

    /// What each case comes to, in the order in which they were first heard of.
    pub(crate) fn standings(&self) -> Vec<Standing<'a>> {
        self.judge.standings(&self.run.attempts())
    }

    pub(crate) fn counts(&self) -> Counts {
        count(&self.standings())
    }

    /// What history knows of one of its cases.
    pub(crate) fn remembered(&self, case: &str) -> Option<&'a CaseMemory> {
        self.judge.remembered(case)
    }

    /// All that history knows of its cases.
    pub(crate) fn remembered_cases(&self) -> impl Iterator<Item = (&'a str, &'a CaseMemory)> {
        let memory = self.judge.memory.into_iter();
        memory.flat_map(|memory| memory.cases.iter().map(|(name, case)| (name.as_str(), case)))
    }

    /// Whether it has finished, and nothing but what passes has been heard of it.
    pub(crate) fn is_green(&self) -> bool {
        self.end.is_some() && self.reasons().is_empty()
    }

    /// That it took longer than usual, if the gate is to say so.
    pub(crate) fn slower(&self) -> Option<(String, Exceeded)> {
        let took = self.end.as_ref()?.took;
        let (usual, exceeded) = self.judge.slower_suite(took)?;
        Some((slower(took, usual), exceeded))
    }

    /// What it came to, taken for itself.
    pub(crate) fn status(&self) -> Status {
        if self.end.is_none() { Status::Inconclusive } else { super::status::status_of(&self.reasons()) }
    }

    /// What this suite says against the night, once it has finished.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let Some(end) = &self.end else { return Vec::new() };
        let mut reasons = Vec::new();
        let reason = |is_slow, status, text: String| {
            let about = About::Suite { suite: self.suite.clone(), is_slow };
            Reason { status, about, text: format!("`{}`: {text}", self.suite) }
        };
        let mut say = |status, text| reasons.push(reason(false, status, text));
        let standings = self.standings();
        let counts = count(&standings);
        let planned = self.run.attempts().iter().filter_map(|attempt| attempt.planned).max().unwrap_or(0);
        let planned = usize::try_from(planned).unwrap_or(usize::MAX);
        let judged = standings.iter().filter(|standing| !standing.case.is_whole_list()).count();
        let of = planned.max(judged);
        if let Some(problem) = &end.problem {
            say(problem.class.into(), problem.line());
        }
        if let Some(text) = told(&standings, of, "failed", |standing| standing.came_to == CameTo::Failed) {
            say(Status::TestsFailed, text);
        }
        let is_red_flake = |standing: &Standing<'_>| standing.came_to == CameTo::Flaky && standing.is_red;
        if let Some(text) = told(&standings, of, "flaky", is_red_flake) {
            say(Status::TestsFailed, text);
        }
        if let Some(text) = told(&standings, of, "inconclusive", |standing| standing.came_to == CameTo::Error) {
            say(Status::Inconclusive, text);
        } else if let Some(open) = self.open.first() {
            say(Status::Inconclusive, format!("{} was started and has no verdict", open.case));
        } else if counts.all() == 0 {
            say(Status::Inconclusive, "no case passed or failed".to_owned());
        } else if planned > judged {
            say(Status::Inconclusive, format!("{judged} of {planned} planned cases were judged"));
        } else if end.problem.is_none() && self.run.attempts().iter().all(Attempt::has_no_verdict) {
            say(Status::Inconclusive, "the list gave no verdict".to_owned());
        }
        if self.judge.is_blind {
            let text = "it is not known which cases must be there (`gate.required`): the history could not be asked";
            reasons.push(reason(false, Status::Inconclusive, text.to_owned()));
        }
        if let Some((text, Exceeded::Fail)) = self.slower() {
            reasons.push(reason(true, Status::TestsFailed, text));
        }
        reasons
    }
}

fn count(standings: &[Standing<'_>]) -> Counts {
    let mut counts = Counts::default();
    standings.iter().for_each(|standing| counts.add(standing.came_to));
    counts
}

/// Which cases of a suite are meant, and what is wrong with its list as a whole, which is no case; none where nothing is.
fn told(standings: &[Standing<'_>], of: usize, what: &str, is_meant: impl Fn(&Standing<'_>) -> bool) -> Option<String> {
    const SHOWN: usize = 3;
    let (whole, meant): (Vec<_>, Vec<_>) =
        standings.iter().filter(|standing| is_meant(standing)).partition(|standing| standing.case.is_whole_list());
    let mut parts = Vec::new();
    if !meant.is_empty() {
        let names: Vec<&str> = meant.iter().take(SHOWN).map(|standing| standing.case.name.shown()).collect();
        let more = match meant.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("{} of {} {what}: {}{more}", meant.len(), cases(of), names.join(", ")));
    }
    for list in whole.iter().take(SHOWN) {
        let message = list.message.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        parts.push(if message.is_empty() { format!("the list is {what}") } else { message.to_owned() });
    }
    (!parts.is_empty()).then(|| parts.join("; "))
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
        earlier: Vec::new(),
    }
}

fn cases(count: usize) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}
