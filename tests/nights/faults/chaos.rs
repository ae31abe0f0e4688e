//! Short nights with random faults at random moments. The same seed has the same faults strike at the same moments.
//!
//! `TERAVM_CHAOS="NIGHTS SEED"` adds them to the tests, as `tests/lab/chaos` does.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use super::invariants::{self, Testbed};
use super::watchman::Watchman;
use super::{Leaves, hurried, next_night, record};
use crate::lab;
use crate::night::{Night, Running, Told, teravm};

/// About as long as a night that nothing strikes.
const SPAN: f64 = 28.0;

/// No night of chaos is longer, whatever strikes it.
const LIMIT: Duration = Duration::from_secs(240);

/// What strikes once and passes.
const BLOWS: [&[&str]; 15] = [
    &["vpn-restart"],
    &["vpn-killed"],
    &["ssh-killed", "all"],
    &["ssh-killed", "agw"],
    &["ssh-killed", "ng40"],
    &["sshd-restart", "ng40"],
    &["reboot", "agw"],
    &["reboot", "feg1"],
    &["reboot", "ng40"],
    &["dockerd-restart", "feg1"],
    &["operator-recreates", "feg2"],
    &["operator-prunes", "feg1"],
    &["magmad-upgrades", "feg1"],
    &["ng40test-killed"],
    &["ci-lost"],
];

/// What is on for a while.
const SPELLS: [&[&str]; 7] = [
    &["vpn-silent"],
    &["vpn-down"],
    &["repo-down"],
    &["registry-down"],
    &["registry-500"],
    &["dpkg-lock"],
    &["host-hung", "agw"],
];

const SIGNALS: [&str; 4] = ["-INT", "-TERM", "-HUP", "-KILL"];

/// Something that happens at a moment of the night.
#[derive(Debug, Clone, Copy)]
enum Act {
    Fault(&'static [&'static str]),
    Heal(&'static str),
    Signal(&'static str),
}

/// What happens in one night, in the order of its moments, in seconds from its start.
fn acts(seed: u64) -> Vec<(f64, Act)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut acts = Vec::new();
    for _ in 0..random.usize(1..=2) {
        let at = random.f64() * SPAN;
        match random.u8(0..10) {
            0..5 => acts.push((at, Act::Fault(BLOWS[random.usize(..BLOWS.len())]))),
            5..8 => {
                let words = SPELLS[random.usize(..SPELLS.len())];
                acts.push((at, Act::Fault(words)));
                acts.push((at + 1.0 + random.f64() * 40.0, Act::Heal(words[0])));
            }
            _ => acts.push((at, Act::Signal(SIGNALS[random.usize(..SIGNALS.len())]))),
        }
    }
    acts.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    acts
}

fn words(acts: &[(f64, Act)]) -> String {
    let word = |(at, act): &(f64, Act)| match act {
        Act::Fault(words) => format!("{} at {at:.1}", words.join(" ")),
        Act::Heal(name) => format!("{name} healed at {at:.1}"),
        Act::Signal(signal) => format!("{signal} at {at:.1}"),
    };
    acts.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn night() -> Night {
    hurried(teravm("run"))
        .list("working_testplan_gxgy_CI_run.ntl")
        .with("ssh.keepalive", "2s")
        .with("ssh.connect_timeout", "4s")
        .with("vpn.connect_timeout", "12s")
        .may_leave_things()
}

/// Lets everything happen at its moment, for as long as the night lasts. Returns what could not: a host that has been struck already
/// may be in no state to be struck again.
fn strike(acts: &[(f64, Act)], running: &mut Running) -> Vec<String> {
    let since = Instant::now();
    let mut missed = Vec::new();
    for (at, act) in acts {
        let until = since + Duration::from_secs_f64(*at);
        while Instant::now() < until && !running.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if running.is_over() {
            return missed;
        }
        match act {
            Act::Fault(words) if !lab::may_strike(words) => missed.push(words.join(" ")),
            Act::Fault(_) => {}
            Act::Heal(name) => lab::heal_one(name),
            Act::Signal(signal) => running.signal(signal),
        }
    }
    missed
}

/// What all gateways have to run in the end, by how the night says that it ended.
fn leaves(told: &Told) -> Leaves {
    let could_give_back = told.case_of_pipeline("unlock").is_none_or(|told| told.is_empty());
    match told.code {
        Some(0 | 1) if could_give_back => Leaves::New,
        Some(3 | 4 | 6 | 7 | 130) if could_give_back => Leaves::OldOrNew,
        _ => Leaves::ForTheNext,
    }
}

fn prove(seed: u64) -> record::Line {
    let acts = acts(seed);
    lab::reset();
    // What an operator prunes is gone for good only where the registry has lost it, too.
    lab::strike(&["registry-finds", "3f7c21ab"]);
    let before = Testbed::look();
    let watchman = Watchman::start();
    let mut running = night().start();
    let since = Instant::now();
    let missed = strike(&acts, &mut running);
    let told = running.over();
    let ended_after = since.elapsed();
    let overheard = watchman.end();
    lab::heal();
    let leaves = leaves(&told);
    let next = (leaves == Leaves::ForTheNext).then(|| next_night(&told));
    let last = next.as_ref().unwrap_or(&told);
    let mut happened = words(&acts);
    if !missed.is_empty() {
        happened += &format!(" (could not strike: {})", missed.join(", "));
    }
    let mut line = record::Line::new(happened, format!("seed {seed}"), told.code, None, ended_after);
    line.hold("inside", Ok(()));
    line.hold("1 status", invariants::green_means_green(&told).and_then(|()| invariants::nobody_is_accused(&told)));
    line.hold("2 verdicts", invariants::verdicts(&told));
    line.hold("3 gateways", invariants::gateways(leaves, &before, last));
    line.hold("4 tidy", invariants::tidy(last, &told));
    line.hold("5 secrets", invariants::secrets(&told, &overheard));
    let in_time = if ended_after <= LIMIT { Ok(()) } else { Err(format!("it took {ended_after:.0?}")) };
    line.hold("6 in time", in_time);
    line.night = told.to_string();
    line
}

/// The nights, as tests; none where nobody asks for them.
pub(super) fn trials(missing: Option<&str>) -> Vec<Trial> {
    let Ok(wanted) = std::env::var("TERAVM_CHAOS") else { return Vec::new() };
    let (nights, first) = wanted.split_once(' ').expect("TERAVM_CHAOS has the number of nights and a seed");
    let (nights, first): (u64, u64) =
        (nights.parse().expect("a number of nights"), first.parse().expect("a seed is a number"));
    let trial = |seed: u64| {
        let missing = missing.map(str::to_owned);
        let run = move || match missing {
            Some(why) => Err(Failed::from(format!("the lab cannot be had: {why}"))),
            None => super::judge(|| prove(seed)),
        };
        Trial::test(format!("chaos::night_{seed}"), run)
    };
    (first..first + nights).map(trial).collect()
}
