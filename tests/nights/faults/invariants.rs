//! What has to hold after every night, whatever struck it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Leaves, Row};
use crate::lab::{self, NEWEST, OLD};
use crate::night::Told;

/// What the gateways run and how healthy they are, as they say themselves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Testbed {
    package: String,
    failed_units: String,
    /// The tags and the number of running containers, of each FEG.
    fegs: Vec<String>,
}

const FEGS: [&str; 2] = ["feg1", "feg2"];

impl Testbed {
    pub(super) fn look() -> Testbed {
        let of = |feg: &&str| {
            lab::on(
                feg,
                "docker ps --format '{{.Image}} {{.Status}}' | grep -v -e Restarting -e unhealthy | sed 's/.*://; s/ .*//' | sort | uniq -c",
            )
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
        };
        Testbed {
            package: lab::package("magma"),
            failed_units: lab::failed_units(),
            fegs: FEGS.iter().map(of).collect(),
        }
    }

    fn at(version: &str, tag: &str, failed_units: &str) -> Testbed {
        Testbed {
            package: format!("ii {version}"),
            failed_units: failed_units.to_owned(),
            fegs: FEGS.iter().map(|_| format!("16 {tag}")).collect(),
        }
    }
}

/// The exit status is the right one, and 0 only if every case passed.
pub(super) fn status(row: &Row, told: &Told) -> Result<(), String> {
    if !row.ends.contains(&told.code) {
        return Err(format!("exit {:?}, and {:?} would be right", told.code, row.ends));
    }
    green_means_green(told)
}

/// No night is green unless every case passed.
pub(super) fn green_means_green(told: &Told) -> Result<(), String> {
    let bad: Vec<String> =
        told.cases().into_iter().filter(|(_, judged)| judged != "passed").map(|(name, _)| name).collect();
    if told.code == Some(0) && !bad.is_empty() {
        return Err(format!("exit 0, and these did not pass: {bad:?}"));
    }
    Ok(())
}

/// A release that is known to be good is never called bad, whatever has struck.
pub(super) fn nobody_is_accused(told: &Told) -> Result<(), String> {
    match told.code {
        Some(code @ (1 | 4)) => Err(format!("exit {code}, and nothing is wrong with the release")),
        _ => Ok(()),
    }
}

/// The reports are well formed, never green too early, and hold every byte and every verdict that NG40 gave.
pub(super) fn verdicts(told: &Told) -> Result<(), String> {
    if matches!(told.code, None | Some(7)) {
        // It was killed between two reports, or its own disk was the fault; what stands there is whole, and not green.
        let is_green = told.junit().values().all(|told| told.is_empty() || told == "skipped") || told.was_green_early;
        return if is_green { Err("junit.xml is green too early".to_owned()) } else { Ok(()) };
    }
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told.tells_one_story()))
        .map_err(|panic| words(&*panic))?;
    let printed = String::from_utf8_lossy(&lab::bytes_on(
        "ng40",
        "cd /var/tmp/ng40-printed 2>/dev/null && cat $(ls) </dev/null || true",
    ))
    .into_owned();
    let mut kept = String::new();
    for suite in told.run["suites"].as_array().into_iter().flatten() {
        let name = suite["suite"].as_str().unwrap_or_default();
        kept += &std::fs::read_to_string(told.results.join(format!("suites/{name}/console.log"))).unwrap_or_default();
    }
    // What the shell says of a program that was ended, and not the program.
    let of_the_shell = ["Killed\n", "Terminated\n"];
    let kept = of_the_shell.iter().find_map(|words| kept.strip_suffix(words)).unwrap_or(&kept).to_owned();
    let has_ended = told.run["suites"]
        .as_array()
        .into_iter()
        .flatten()
        .all(|suite| suite["end"]["exit"].as_str().is_some_and(|exit| exit.starts_with("exit status")));
    if !printed.starts_with(&kept) || has_ended && printed != kept {
        let at = printed.bytes().zip(kept.bytes()).take_while(|(one, other)| one == other).count();
        return Err(format!(
            "console.log is not what NG40 printed: {} bytes of {}, the same up to byte {at}",
            kept.len(),
            printed.len()
        ));
    }
    let given = kept.lines().filter(|line| line.starts_with("Verdict(")).count();
    let told_of = told.cases().values().filter(|judged| *judged == "passed" || judged.starts_with("failed")).count();
    if told_of < given {
        return Err(format!("NG40 gave {given} verdicts, and the report has {told_of}"));
    }
    Ok(())
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic.downcast_ref::<String>().map_or_else(|| "the reports differ".to_owned(), Clone::clone)
}

/// All gateways run one release, the right one, and are as healthy as before; or the night says that they do not.
pub(super) fn gateways(leaves: Leaves, before: &Testbed, told: &Told) -> Result<(), String> {
    let old = || Testbed::at(OLD, "3f7c21ab", &before.failed_units);
    let new = || Testbed::at(NEWEST, "5d2e8f90", &before.failed_units);
    let right = match leaves {
        Leaves::Old => vec![old()],
        Leaves::New | Leaves::ForTheNext => vec![new()],
        Leaves::OldOrNew => vec![old(), new()],
    };
    if leaves == Leaves::ForTheNext && told.code != Some(0) {
        return Err(format!("the next night did not mend it:\n{told}"));
    }
    // What the fault itself has started anew takes its time.
    let since = std::time::Instant::now();
    loop {
        let mut now = Testbed::look();
        // What had failed before need not fail again.
        if now.failed_units.lines().all(|unit| before.failed_units.lines().any(|known| known == unit)) {
            now.failed_units.clone_from(&before.failed_units);
        }
        if right.contains(&now) {
            return Ok(());
        }
        if told.code == Some(5) && told.gateways().iter().any(|gateway| gateway.contains("mixed")) {
            return Ok(());
        }
        if since.elapsed() > Duration::from_secs(30) {
            return Err(format!("the gateways are {now:?}"));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The processes of NG40's user that run a suite. A shell that waits for a command in a connection that is dead by now
/// runs none: it ends when `sshd` notices, and says in its own script what it is.
const RUNS: &str = "pgrep -af -u ng40 'ng40test|teravm' | grep -v 'teravm-ci: waiting' || true";

/// A suite's deadline, as the rows have it, and the time for its end.
const DEADLINE: Duration = Duration::from_secs(150);

/// The run of a night that was killed goes on without it: to its end, and not beyond its deadline.
fn await_the_run() {
    let since = std::time::Instant::now();
    while !lab::on("ng40", RUNS).trim().is_empty() && since.elapsed() < DEADLINE {
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Nothing of ours is left, on the CI node and in the lab.
pub(super) fn tidy(last: &Told, told: &Told) -> Result<(), String> {
    if told.code.is_none() {
        await_the_run();
    }
    let mut left = Vec::new();
    if last.code.is_some() {
        left.extend(last.is_tidy().err());
        left.extend(Some(told.left_behind()).filter(|left| !left.is_empty()));
    }
    let mut must_be_silent = |host: &str, what: &str, script: &str| {
        let said = lab::on(host, script);
        if !said.trim().is_empty() {
            left.push(format!("{host}: {what}: {}", said.trim()));
        }
    };
    must_be_silent("ng40", "the lock", "ls /home/ng40/.teravm-ci/lock 2>/dev/null || true");
    must_be_silent("ng40", "a run", RUNS);
    for host in ["agw", "feg1", "feg2"] {
        must_be_silent(host, "an intent record", "ls /var/lib/teravm-ci/intent.json 2>/dev/null || true");
        must_be_silent(host, "a job", "pgrep -af '[t]eravm-ci/jobs' || true");
        must_be_silent(host, "something set aside", "ls /var/lib/teravm-ci/quiesced 2>/dev/null || true");
    }
    for feg in FEGS {
        must_be_silent(feg, "the cron is gone", "ls /etc/cron.d/recreate_services_cron >/dev/null 2>&1 || echo gone");
    }
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// No secret stands in what the night wrote, in a host's logs, in a list of processes, in the environment of a child.
pub(super) fn secrets(told: &Told, overheard: &BTreeSet<String>) -> Result<(), String> {
    told.keeps_secrets()?;
    if let Some(seen) = overheard.first() {
        return Err(seen.clone());
    }
    let canaries = lab::canaries(&lab::secrets().into_iter().collect());
    for host in ["agw", "feg1", "feg2", "ng40"] {
        let logs = lab::on(host, "journalctl -q --no-pager -o cat 2>/dev/null; cat /var/log/*.log 2>/dev/null; true");
        if let Some(name) = lab::canary_in(&logs, &canaries) {
            return Err(format!("{name} in the logs of {host}"));
        }
    }
    Ok(())
}

pub(super) fn in_time(row: &Row, ended_after: Duration) -> Result<(), String> {
    if ended_after <= row.within {
        return Ok(());
    }
    Err(format!("it ended {ended_after:.1?} after the fault, and {:.1?} would be in time", row.within))
}
