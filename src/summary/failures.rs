//! The steps that failed, where those that failed on several hosts for one cause are one failure.

use super::{StepRun, Summary};
use crate::event::{Class, Problem, Step, StepOutcome};

/// A step that failed: on one host, on several for the same cause, or as a whole.
#[derive(Debug, Clone)]
pub(crate) struct StepFailure<'a> {
    /// Those on hosts first, in the order in which they began; the first stands for all.
    pub runs: Vec<&'a StepRun>,
    pub class: Class,
    /// What failed where and why, on one line.
    pub text: String,
}

impl StepFailure<'_> {
    /// The step's run as a whole, or else the first one: where the failure is told.
    pub(crate) fn place(&self) -> &StepRun {
        let whole = self.runs.iter().find(|run| run.host.is_none()).filter(|_| self.hosts().len() > 1);
        whole.unwrap_or(&self.runs[0])
    }

    /// The hosts on which it failed; none where it failed as a whole.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.runs.iter().filter_map(|run| run.host.as_deref()).collect()
    }
}

impl Summary {
    /// Every failure of a step. What could not be collected never decides and is none, unless it is our own internal error.
    pub(crate) fn step_failures(&self) -> Vec<StepFailure<'_>> {
        let mut failures: Vec<(&Problem, StepFailure<'_>)> = Vec::new();
        let failed = self.steps.iter().filter_map(|run| match &run.outcome {
            Some(StepOutcome::Failed(problem)) if run.step != Step::Collect || problem.class == Class::Internal => {
                Some((run, problem))
            }
            _ => None,
        });
        let (on_hosts, as_a_whole): (Vec<_>, Vec<_>) = failed.partition(|(run, _)| run.host.is_some());
        for (run, problem) in on_hosts {
            let known = failures.iter_mut().find(|(first, failure)| {
                let of = failure.runs[0];
                of.step == run.step && failure.class == problem.class && is_same((of, first), (run, problem))
            });
            match known {
                Some((_, failure)) => failure.runs.push(run),
                None => {
                    let text = String::new();
                    failures.push((problem, StepFailure { runs: vec![run], class: problem.class, text }));
                }
            }
        }
        for (run, problem) in as_a_whole {
            // A step that failed on a host fails as a whole, in the same words or with a list of the hosts.
            let known = failures.iter_mut().find(|(first, failure)| {
                let says_nothing = problem.causes.is_empty() && problem.hint.is_none();
                failure.runs[0].step == run.step
                    && failure.class == problem.class
                    && (says_nothing || first.line() == problem.line())
            });
            match known {
                Some((_, failure)) => failure.runs.push(run),
                None => {
                    let text = String::new();
                    failures.push((problem, StepFailure { runs: vec![run], class: problem.class, text }));
                }
            }
        }
        failures.sort_by_key(|(_, failure)| self.steps.iter().position(|run| std::ptr::eq(run, failure.runs[0])));
        failures
            .into_iter()
            .map(|(problem, mut failure)| {
                failure.text = text(problem, &failure);
                failure
            })
            .collect()
    }
}

/// Whether two hosts have failed for one cause: the causes are the same, or all that was said but for their names.
fn is_same(one: (&StepRun, &Problem), other: (&StepRun, &Problem)) -> bool {
    let (causes, others) = (&one.1.causes, &other.1.causes);
    if causes.is_empty() { nameless(one) == nameless(other) } else { causes == others }
}

/// What was said, without the name of the host.
fn nameless((run, problem): (&StepRun, &Problem)) -> String {
    problem.message.replace(&format!("`{}`", run.host.as_deref().unwrap_or_default()), "`HOST`")
}

fn text(problem: &Problem, failure: &StepFailure<'_>) -> String {
    let (hosts, first) = (failure.hosts(), failure.runs[0]);
    if hosts.len() < 2 {
        return format!("{}: {}", first.name(), problem.line());
    }
    let why = if problem.causes.is_empty() {
        let all = hosts.iter().map(|host| format!("`{host}`")).collect::<Vec<_>>().join(", ");
        problem.message.replace(&format!("`{}`", hosts[0]), &all)
    } else {
        problem.why()
    };
    format!("{} {}: {why}", first.step, hosts.join(", "))
}
