//! A host that prints without end: what it costs is measured from outside, of the real program behind a real `sshd`.

use std::process::{Command, Stdio};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[(
    "a_switch_that_prints_without_end_costs_neither_memory_nor_disk_and_ends_at_its_deadline",
    a_switch_that_prints_without_end,
)];

/// How long the host prints; the program's own limits are reached in the first second.
const SECONDS: &str = "8";

#[expect(clippy::print_stdout, reason = "the table that was measured is for whoever reads the log of the tests")]
fn a_switch_that_prints_without_end() {
    let bench = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/noisy");
    // The hosts' ports are their own: nobody else's tests are in the way.
    let mut measured = Command::new("unshare");
    measured.args([
        "--net",
        "sh",
        "-c",
        "ip link set lo up && exec \"$@\"",
        "sh",
        bench,
        "--check",
        "--seconds",
        SECONDS,
    ]);
    measured.env("TERAVM_CI", env!("CARGO_BIN_EXE_teravm-ci")).stdin(Stdio::null());
    let measured = measured.output().expect("unshare is there (Debian: util-linux)");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", said(&measured.stdout));
    assert!(measured.status.success(), "{}\n{}", said(&measured.stdout), said(&measured.stderr));
}
