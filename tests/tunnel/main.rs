//! The tunnel against real OpenVPN servers, also hostile and broken ones: each test has two machines of its own, which
//! are network namespaces that are linked with each other and with nothing else.
//!
//! Where this is not possible the tests say so and are counted as ignored; with `TERAVM_LAB=required` in the
//! environment that is a failure.

mod boundary;
mod causes;
mod machines;

use std::io::Write as _;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name is a sentence about the program.
pub(crate) type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let missing = machines::missing();
    let is_required = std::env::var("TERAVM_LAB").is_ok_and(|value| value == "required");
    if let Some(why) = missing.as_ref().filter(|_| !arguments.list) {
        // What `cargo test` shows beside the names of the tests.
        let _ = writeln!(std::io::stderr(), "no tunnel can be tested: {why}");
    }
    let topics: [(&str, &[Test]); 2] = [("boundary", boundary::TESTS), ("causes", causes::TESTS)];
    let tests = topics.iter().flat_map(|(topic, tests)| tests.iter().map(move |test| (topic, test)));
    let trials = tests.map(|(topic, &(name, test))| {
        let why = missing.clone();
        let run = move || match why {
            Some(why) => Err(Failed::from(format!("no tunnel can be tested: {why}"))),
            None => {
                test();
                Ok(())
            }
        };
        Trial::test(format!("{topic}::{name}"), run).with_ignored_flag(missing.is_some() && !is_required)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
