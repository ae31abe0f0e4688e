//! What can go wrong with NG40, as an operator reads it: what, and what to try next. Why is said by whoever found it out: in
//! NG40's own words, as a rule.

use crate::event::{Class, Problem};

#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble<'a> {
    Busy,
    NotIdle { command: &'a str, status: i32 },
    NotCleanedUp { command: &'a str, status: i32 },
    NoList { path: &'a str },
    Lost,
    NotOurs,
    NotPutInOrder,
    ConsoleCut,
}

impl Trouble<'_> {
    /// The bad news from NG40, without its cause.
    pub(super) fn problem(self) -> Problem {
        match self {
            Trouble::Busy => Problem::testbed("NG40 is busy with a run that is not ours")
                .hint("it was left alone; wait until it has ended"),
            Trouble::NotIdle { command, status } => {
                Problem::testbed(format!("NG40 does not say that it is idle: `{command}` gave exit status {status}"))
                    .hint("`ng40.idle` in the config says which statuses mean idle")
            }
            Trouble::NotCleanedUp { command, status } => {
                Problem::testbed(format!("NG40 could not be cleaned up: `{command}` gave exit status {status}"))
                    .hint("run it there by hand; `ng40.cleanup_before` and `ng40.cleanup_after` in the config name it")
            }
            Trouble::NoList { path } => Problem::testbed(format!("the test list `{path}` is not on NG40"))
                .hint("`suites` in the config names the lists, `ng40.directory` says where they are"),
            Trouble::Lost => Problem::testbed("NG40 was lost, and it is not known how the run ended")
                .hint("look at the tunnel, and at NG40's host: its load, its disk, and since when it is up"),
            Trouble::NotOurs => Problem::testbed("NG40 does not take our command")
                .hint("somebody else may be using the testbed: `teravm-ci lock` says who has it now"),
            Trouble::NotPutInOrder => Problem::testbed("NG40 was not put in order")
                .hint("a run that is still at work there ends at its deadline; look at NG40 before the next"),
            Trouble::ConsoleCut => Problem::new(Class::Inconclusive, "the console could not be kept whole")
                .hint("is the disk of this machine full?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_of_each;

    #[test]
    fn each_trouble_says_what_why_and_what_to_try() {
        let troubles = one_of_each! {
            Trouble::Busy => Trouble::Busy,
            Trouble::NotIdle { .. } => Trouble::NotIdle { command: "ng40test state.ntl", status: 3 },
            Trouble::NotCleanedUp { .. } => Trouble::NotCleanedUp { command: "ng40forcecleanup all", status: 1 },
            Trouble::NoList { .. } => Trouble::NoList { path: "/home/ng40/magma/automation/s6a.ntl" },
            Trouble::Lost => Trouble::Lost,
            Trouble::NotOurs => Trouble::NotOurs,
            Trouble::NotPutInOrder => Trouble::NotPutInOrder,
            Trouble::ConsoleCut => Trouble::ConsoleCut,
        };
        let told = troubles.map(|trouble| {
            let problem = trouble.problem().because("its own last words");
            format!("{:?}: {}", problem.class, problem.text())
        });
        insta::assert_snapshot!(told.join("\n\n"));
    }
}
