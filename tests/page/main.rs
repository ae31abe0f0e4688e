//! The pages for people, in a real browser: what they show, what they do when somebody uses them, and that they ask nobody for anything.
//!
//! Without Chromium and its driver the tests say so and are counted as ignored; with `TERAVM_BROWSER=required` in the environment
//! that is a failure.

mod browser;
#[expect(dead_code, reason = "the tests of the command line need the rest of it")]
#[path = "../cli/desk.rs"]
mod desk;
mod grid;
mod past;
mod reading;
#[path = "../users/mod.rs"]
mod users;

use std::io::Write as _;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name is a sentence about the page.
pub(crate) type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each has a browser of its own, and a browser is many processes.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let missing = browser::programs().err();
    let is_required = std::env::var("TERAVM_BROWSER").is_ok_and(|value| value == "required");
    if let Some(why) = missing.as_ref().filter(|_| !arguments.list) {
        // What `cargo test` shows beside the names of the tests.
        let _ = writeln!(std::io::stderr(), "no page can be looked at: {why}");
    }
    let topics: [(&str, &[Test]); 2] = [("grid", grid::TESTS), ("reading", reading::TESTS)];
    let tests = topics.iter().flat_map(|(topic, tests)| tests.iter().map(move |test| (topic, test)));
    let trials = tests.map(|(topic, &(name, test))| {
        let why = missing.clone();
        let run = move || match why {
            Some(why) => Err(Failed::from(format!("no page can be looked at: {why}"))),
            None => {
                test();
                Ok(())
            }
        };
        Trial::test(format!("{topic}::{name}"), run).with_ignored_flag(missing.is_some() && !is_required)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
