//! The real program between machines that are namespaces of this one, linked with each other and with nothing else: the
//! tunnel against real OpenVPN servers, also hostile and broken ones, and the upgrade of a host that prints without end.
//!
//! Where this is not possible the tests say so and are counted as ignored; with `TERAVM_LAB=required` in the
//! environment that is a failure.

mod boundary;
mod causes;
mod network;
mod noisy;

use std::io::Write as _;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name is a sentence about the program.
pub(crate) type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let missing = network::missing();
    let is_required = std::env::var("TERAVM_LAB").is_ok_and(|value| value == "required");
    if let Some(why) = missing.as_ref().filter(|_| !arguments.list) {
        // What `cargo test` shows beside the names of the tests.
        let _ = writeln!(std::io::stderr(), "there can be no machines: {why}");
    }
    let topics: [(&str, &[Test]); 3] =
        [("boundary", boundary::TESTS), ("causes", causes::TESTS), ("noisy", noisy::TESTS)];
    let tests = topics.iter().flat_map(|(topic, tests)| tests.iter().map(move |test| (topic, test)));
    let trials = tests.map(|(topic, &(name, test))| {
        let why = missing.clone();
        let run = move || match why {
            Some(why) => Err(Failed::from(format!("there can be no machines: {why}"))),
            None => {
                test();
                Ok(())
            }
        };
        Trial::test(format!("{topic}::{name}"), run).with_ignored_flag(missing.is_some() && !is_required)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
