//! What holds suites and cases: what its attributes state of them, and whether that is what it lists.

use super::MOST_PROBLEMS;
use super::suite::{Case, Outcome};
use super::words::{COUNTS_OF_ERRORS, COUNTS_OF_FAILURES, COUNTS_OF_NOT_RUN, count, ended};
use super::words::{is_false, is_in_a_word, is_no_pass, plain};

/// What holds suites and cases.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) tag: String,
    /// Its place among the suites, if it is one.
    pub(super) suite: Option<usize>,
    /// The place of the first suite that is inside of it, or it.
    pub(super) first: usize,
    pub(super) has_suites: bool,
    pub(super) stated: Stated,
    pub(super) seen: Seen,
    pub(super) problems: Vec<String>,
}

impl Group {
    pub(super) fn says(&mut self, problem: String) {
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn holds(&mut self, tag: &str) {
        self.says(format!("`<{}>` holds `<{tag}>`, which says that not all is well", self.tag));
    }
}

/// What the attributes of a group say of the cases in it.
#[derive(Debug, Default)]
pub(super) struct Stated {
    pub(super) tests: Option<u64>,
    pub(super) passed: Option<u64>,
    pub(super) executed: Option<u64>,
    pub(super) failures: u64,
    pub(super) errors: u64,
    pub(super) not_run: u64,
}

/// The cases of a group that are listed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) cases: u64,
    pub(super) passed: u64,
    pub(super) failures: u64,
    pub(super) errors: u64,
    pub(super) not_run: u64,
    /// Something is wrong with a suite, and not with a case of it.
    pub(super) has_problems: bool,
}

impl Stated {
    /// Reads the counts of a group, and what else its attributes say against it.
    pub(super) fn read(attributes: &[(String, String)]) -> (Stated, Vec<String>) {
        let mut stated = Stated::default();
        let mut problems = Vec::new();
        let mut words = Vec::new();
        for (name, value) in attributes {
            let plain = plain(name);
            let is_count = matches!(plain.as_str(), "tests" | "failures" | "errors" | "skipped" | "disabled");
            let has = |parts: &[&str]| parts.iter().any(|part| plain.contains(part));
            let Some(count) = count(value) else {
                let is_unstated = value.trim().is_empty() || (plain != "tests" && is_false(value));
                if is_count && !is_unstated {
                    problems.push(format!("`{name}` is `{value}`, which is not a count"));
                } else {
                    words.push((name.clone(), value.clone()));
                }
                continue;
            };
            let of_it = match plain.as_str() {
                "tests" | "total" | "testcases" => {
                    stated.tests = Some(stated.tests.unwrap_or(0).max(count));
                    continue;
                }
                "passed" | "passes" | "success" | "successes" | "successful" | "succeeded" => {
                    stated.passed = Some(count);
                    continue;
                }
                _ if is_in_a_word(&plain) => {
                    words.push((name.clone(), value.clone()));
                    continue;
                }
                "executed" | "completed" | "finished" | "ran" => {
                    stated.executed = Some(count);
                    continue;
                }
                _ if has(&COUNTS_OF_NOT_RUN) => &mut stated.not_run,
                _ if has(&COUNTS_OF_FAILURES) || is_no_pass(&plain) => &mut stated.failures,
                _ if has(&COUNTS_OF_ERRORS) => &mut stated.errors,
                _ => continue,
            };
            *of_it = of_it.saturating_add(count);
        }
        if let (outcome, Some(why)) = ended(&words)
            && outcome > Outcome::Passed
        {
            problems.push(why);
        }
        (stated, problems)
    }

    /// Where what is listed is better than what is stated.
    pub(super) fn disagreements(&self, seen: &Seen) -> Vec<String> {
        let mut problems = Vec::new();
        let mut compare = |stated: u64, seen: u64, what: &str| {
            if stated > seen {
                let are = if seen == 1 { "is" } else { "are" };
                problems.push(format!("its attributes state {stated} {what}, and {seen} {are} listed"));
            }
        };
        compare(self.tests.unwrap_or(0), seen.cases, "cases");
        compare(self.failures, seen.failures, "failures");
        compare(self.errors, seen.errors, "errors");
        compare(self.not_run, seen.not_run, "cases that were not run");
        let executed = seen.cases.saturating_sub(seen.not_run);
        for (stated, seen, what) in
            [(self.passed, seen.passed, "passed cases"), (self.executed, executed, "executed cases")]
        {
            if let Some(stated) = stated.filter(|&stated| stated != seen) {
                problems.push(format!("its attributes state {stated} {what}, and {seen} are listed"));
            }
        }
        problems
    }
}

impl Seen {
    pub(super) fn count(&mut self, case: &Case) {
        self.cases += 1;
        self.passed += u64::from(case.outcome <= Outcome::Flaky);
        self.failures += u64::from(case.is_failed);
        self.errors += u64::from(case.is_error);
        self.not_run += u64::from(case.is_not_run);
    }

    /// Whether everything in it passed.
    pub(super) fn is_green(&self) -> bool {
        self.passed == self.cases && !self.has_problems
    }

    pub(super) fn add(&mut self, other: &Seen) {
        self.cases += other.cases;
        self.passed += other.passed;
        self.failures += other.failures;
        self.errors += other.errors;
        self.not_run += other.not_run;
        self.has_problems |= other.has_problems;
    }
}
