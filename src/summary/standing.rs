//! What a case comes to in a night: all its attempts, and what the gate makes of them.

use std::collections::HashMap;
use std::time::Duration;

use super::suite::Attempt;
use crate::config::format_duration;
use crate::event::{Case, Judgement};
use crate::gate::{CameTo, Exceeded, Flaky, Gate, KnownFailure, day};
use crate::memory::{CaseMemory, SuiteMemory};
use time::Date;

/// What is shorter than this is not slow, however many times as long it took.
const LEAST_EXCESS: Duration = Duration::from_secs(1);

/// A case of a night, all its attempts taken together.
#[derive(Debug, Clone)]
pub(crate) struct Standing<'a> {
    /// The attempt to show: the last that did not pass, if one did not.
    pub case: &'a Case,
    /// The attempts that came to it, with their numbers from 1.
    pub attempts: Vec<(usize, &'a Case)>,
    pub came_to: CameTo,
    /// Why it has not simply passed.
    pub message: Option<String>,
    /// Whether it keeps the night from having passed.
    pub is_red: bool,
    /// The failure that is known of it, whether it failed or not.
    pub known: Option<&'a KnownFailure>,
    /// What is usual, where it took longer than the gate lets it.
    pub slower_than: Option<Duration>,
}

impl Standing<'_> {
    /// What it took: the passing attempt, where there is one.
    pub(crate) fn took(&self) -> Duration {
        let passed = self.attempts.iter().rev().find(|(_, case)| case.judgement == Judgement::Passed);
        passed.map_or(self.case.took, |(_, case)| case.took)
    }

    /// Whether it passed each time, whatever the gate makes of that.
    pub(crate) fn is_passed(&self) -> bool {
        self.attempts.iter().all(|(_, case)| case.judgement == Judgement::Passed)
    }

    /// Whether a failure is known of it, and it passed.
    pub(crate) fn is_fixed(&self) -> bool {
        self.known.is_some() && self.is_passed()
    }

    /// Each attempt in a line, where there were several.
    pub(crate) fn story(&self) -> Vec<String> {
        if self.attempts.len() < 2 && self.came_to != CameTo::Flaky {
            return Vec::new();
        }
        let line = |(number, case): &(usize, &Case)| {
            let what = match &case.judgement {
                Judgement::Passed => "passed".to_owned(),
                Judgement::Failed { message } => format!("failed: {}", first_line(message)),
                Judgement::Error { message } => format!("inconclusive: {}", first_line(message)),
            };
            format!("attempt {number}: {what}")
        };
        self.attempts.iter().map(line).collect()
    }
}

/// What judges the cases of one suite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) suite: &'a str,
    pub(super) gate: Option<&'a Gate>,
    pub(super) memory: Option<&'a SuiteMemory>,
    /// The day on which the night began.
    pub(super) day: Option<Date>,
    /// Whether history would have to say which cases must be there, and could not be asked.
    pub(super) is_blind: bool,
}

impl<'a> Judge<'a> {
    /// What each case comes to, in the order in which they were first heard of.
    pub(super) fn standings(&self, attempts: &[Attempt<'a>]) -> Vec<Standing<'a>> {
        let mut places: HashMap<(&str, usize), usize> = HashMap::new();
        let mut heard: Vec<Vec<(usize, &'a Case)>> = Vec::new();
        for (number, attempt) in (1..).zip(attempts) {
            let mut repeats: HashMap<&str, usize> = HashMap::new();
            for case in attempt.cases {
                let repeat = repeats.entry(case.name.raw()).or_default();
                *repeat += 1;
                let place = *places.entry((case.name.raw(), *repeat)).or_insert_with(|| {
                    heard.push(Vec::new());
                    heard.len() - 1
                });
                heard[place].push((number, case));
            }
        }
        // What is wrong with a whole list, or with a case without a name, is settled by a later attempt that went as it should,
        // with as many cases as any attempt has announced.
        let planned = attempts.iter().filter_map(|attempt| attempt.planned).max().unwrap_or(0);
        let is_settling = |attempt: &&Attempt<'_>| attempt.is_whole() && attempt.named() >= planned;
        let settled = (1..).zip(attempts).filter(|(_, attempt)| is_settling(attempt)).map(|(number, _)| number).last();
        heard.into_iter().map(|attempts| self.standing(attempts, settled.unwrap_or(0))).collect()
    }

    /// `settled` is the last attempt that went as it should.
    fn standing(&self, attempts: Vec<(usize, &'a Case)>, settled: usize) -> Standing<'a> {
        let (number, last) = *attempts.last().expect("a case was heard of at least once");
        let bad = attempts.iter().rev().map(|&(_, case)| case).filter(|case| case.judgement != Judgement::Passed);
        let failed = bad.clone().find(|case| matches!(case.judgement, Judgement::Failed { .. }));
        let shown = failed.or(bad.clone().next());
        let has_passed = bad.count() < attempts.len() || (last.is_nameless() && number < settled);
        let mut came_to = match shown {
            None => CameTo::Passed,
            Some(_) if has_passed => CameTo::Flaky,
            Some(case) if matches!(case.judgement, Judgement::Failed { .. }) => CameTo::Failed,
            Some(_) => CameTo::Error,
        };
        let mut message = shown.and_then(|case| match &case.judgement {
            Judgement::Passed => None,
            Judgement::Failed { message } | Judgement::Error { message } => Some(message.to_string()),
        });
        let (known, lapsed) = self.known(last.name.raw());
        let is_flake_red = self.gate.is_some_and(|gate| gate.flaky == Flaky::Fail);
        let mut standing = Standing {
            case: shown.unwrap_or(last),
            attempts,
            came_to,
            message: None,
            is_red: false,
            known,
            slower_than: None,
        };
        match (came_to, known) {
            // One that was taken out or renamed is known to be missing.
            (CameTo::Error, Some(known)) if last.is_missing => {
                came_to = CameTo::Known;
                message = Some(format!("known to be missing: {}", known.reason));
            }
            (CameTo::Failed, Some(known)) => {
                came_to = CameTo::Known;
                message = message.map(|message| {
                    format!("known failure ({}, until {}): {message}", known.reason, day::text(known.until))
                });
            }
            (CameTo::Flaky, Some(known)) if is_flake_red => {
                came_to = CameTo::Known;
                message = message.map(|message| format!("known failure ({}): {message}", known.reason));
            }
            (CameTo::Passed, Some(known)) if self.gate.is_some_and(|gate| gate.strict) => {
                came_to = CameTo::Error;
                message = Some(format!("it passes, and `gate.known_failures` still has it ({})", known.reason));
            }
            (CameTo::Failed, None) => {
                if let (Some(lapsed), Some(said)) = (lapsed, &mut message) {
                    said.push_str(&format!("\nit was known until {}: {}", day::text(lapsed.until), lapsed.reason));
                }
            }
            _ => {}
        }
        if came_to.is_good()
            && let Some((usual, exceeded)) = self.slower(standing.took(), last.name.shown())
        {
            standing.slower_than = Some(usual);
            if exceeded == Exceeded::Fail {
                came_to = CameTo::Failed;
                message = Some(slower(standing.took(), usual));
            }
        }
        standing.is_red = match came_to {
            CameTo::Passed | CameTo::Known => false,
            CameTo::Flaky => is_flake_red,
            CameTo::Failed | CameTo::Error => true,
        };
        standing.came_to = came_to;
        standing.message = message;
        standing
    }

    /// The failure that is known of a case today, and the one that was.
    fn known(&self, case: &str) -> (Option<&'a KnownFailure>, Option<&'a KnownFailure>) {
        let (Some(gate), Some(day)) = (self.gate, self.day) else { return (None, None) };
        (gate.known(self.suite, case, day), gate.lapsed(self.suite, case, day))
    }

    fn slower(&self, took: Duration, case: &str) -> Option<(Duration, Exceeded)> {
        let limit = self.gate?.max_duration.get(self.suite)?;
        let usual = self.memory?.cases.get(case)?.usual?;
        is_slower(took, usual, limit.case?).then_some((usual, limit.exceeded))
    }

    /// What is usual for the suite, if it took longer than the gate lets it.
    pub(super) fn slower_suite(&self, took: Duration) -> Option<(Duration, Exceeded)> {
        let limit = self.gate?.max_duration.get(self.suite)?;
        let usual = self.memory?.usual?;
        is_slower(took, usual, limit.suite?).then_some((usual, limit.exceeded))
    }

    pub(super) fn remembered(&self, case: &str) -> Option<&'a CaseMemory> {
        self.memory?.cases.get(case)
    }
}

/// Whether something took so many times as long as is usual, and not only a moment longer.
pub(crate) fn is_slower(took: Duration, usual: Duration, limit: f64) -> bool {
    took.as_secs_f64() > usual.as_secs_f64() * limit && took.saturating_sub(usual) >= LEAST_EXCESS
}

/// How it is said that something took longer than usual.
const SLOWER: &str = "slower than usual";

/// That something took longer than usual.
pub(super) fn slower(took: Duration, usual: Duration) -> String {
    // Tenths of a second say something of seconds, and nothing of minutes.
    let parts = if took < Duration::from_secs(10) { 10.0 } else { 1.0 };
    let text =
        |length: Duration| format_duration(Duration::from_secs_f64((length.as_secs_f64() * parts).round() / parts));
    format!("{SLOWER}: {}, and {} is usual", text(took), text(usual))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
