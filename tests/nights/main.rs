//! The way of a night, for real: the real program against real OpenVPN, sshd, apt and dockerd, in the lab of `tests/lab`.
//!
//! One lab, so one test at a time. Without a Docker engine the tests say so and are counted as ignored; with
//! `TERAVM_LAB=required` in the environment that is a failure.

mod crash;
mod desk;
#[path = "../docs/mod.rs"]
mod docs;
mod dry_run;
mod ends;
mod faults;
mod lab;
mod lock;
mod night;
mod overheard;
mod pages;
mod suites;
mod testbed;
mod upgrades;
#[path = "../users/mod.rs"]
mod users;
mod vpn;

use std::io::Write as _;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name is a sentence about the program.
pub(crate) type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let is_listing = arguments.list;
    let lab = if is_listing { Ok(()) } else { lab::up() };
    let is_required = std::env::var("TERAVM_LAB").is_ok_and(|value| value == "required");
    let missing = lab.err();
    if let Some(why) = &missing {
        // What `cargo test` shows beside the names of the tests.
        let _ = writeln!(std::io::stderr(), "the lab cannot be had: {why}");
    }
    let topics: [(&str, &[Test]); 10] = [
        ("vpn", vpn::TESTS),
        ("testbed", testbed::TESTS),
        ("lock", lock::TESTS),
        ("upgrades", upgrades::TESTS),
        ("upgrades", if faults::are_all() { upgrades::LONG } else { &[] }),
        ("suites", suites::TESTS),
        ("ends", ends::TESTS),
        ("crash", crash::TESTS),
        ("crash", if faults::are_all() { crash::LONG } else { &[] }),
        ("desk", desk::TESTS),
    ];
    let tests = topics.iter().flat_map(|(topic, tests)| tests.iter().map(move |test| (topic, test)));
    let trials = tests
        .map(|(topic, &(name, test))| {
            let why = missing.clone();
            let run = move || match why {
                Some(why) => Err(Failed::from(format!("the lab cannot be had: {why}"))),
                None => {
                    test();
                    Ok(())
                }
            };
            Trial::test(format!("{topic}::{name}"), run).with_ignored_flag(missing.is_some() && !is_required)
        })
        .chain(faults::trials(missing.as_deref(), missing.is_some() && !is_required))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
