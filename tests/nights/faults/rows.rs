//! The table itself.

use std::process::Command;
use std::time::Duration;

use super::strike::{Strike, must};
use super::{Before, Leaves, Row, hurried};
use crate::night::{Night, Running, teravm};

/// The night with deadlines that suit a lab: what takes minutes in reality takes seconds.
fn base(words: &str) -> Night {
    teravm(words).with("ssh.keepalive", "2s").with("ssh.connect_timeout", "4s").with("vpn.connect_timeout", "12s")
}

/// Ten cases, two seconds each.
fn testing() -> Night {
    base("test").list("steady.ntl")
}

/// The same, with a deadline that a list which hangs reaches.
fn soon_over() -> Night {
    testing().with("suites", r#"{"steady": {"list": "steady.ntl", "deadline": "30s"}}"#)
}

/// Three cases, and over in seconds.
fn brief() -> Night {
    base("test").list("working_testplan_gxgy_CI_run.ntl")
}

fn upgrading() -> Night {
    base("upgrade")
}

fn cramped() -> Night {
    testing().on_a_small_disk()
}

/// A release that does not install, so that everything goes back.
fn going_back() -> Night {
    base("upgrade --tag aa10f001")
}

/// Waits longer for everything, because the way is slow and loses packets.
fn unhurried(night: Night) -> Night {
    night.with("vpn.connect_timeout", "30s").with("ssh.connect_timeout", "20s").with("ssh.keepalive", "10s")
}

/// The tunnel may be away for longer than it takes to notice that it is.
fn patient(night: Night) -> Night {
    night.with("vpn.outage", "1m")
}

const PASSED: &[Option<i32>] = &[Some(0)];
const TESTBED: &[Option<i32>] = &[Some(3)];
const MIXED: &[Option<i32>] = &[Some(5)];
const REFUSED: &[Option<i32>] = &[Some(4)];
const INCONCLUSIVE: &[Option<i32>] = &[Some(6)];
const REPORT: &[Option<i32>] = &[Some(7)];
const INTERRUPTED: &[Option<i32>] = &[Some(130)];
const KILLED: &[Option<i32>] = &[None];

fn row(fault: &'static str, step: &'static str, night: Made, strike: Strike) -> Row {
    Row {
        fault,
        step,
        night,
        altered: |night| night,
        strike,
        ends: PASSED,
        leaves: if is_of_the_upgrade(step) { Leaves::New } else { Leaves::Old },
        before: Before::First,
        is_quick: false,
        within: Duration::from_secs(100),
    }
}

impl Row {
    fn ends(mut self, ends: &'static [Option<i32>]) -> Row {
        self.ends = ends;
        self
    }

    fn leaves(mut self, leaves: Leaves) -> Row {
        self.leaves = leaves;
        self
    }

    fn altered(mut self, altered: fn(Night) -> Night) -> Row {
        self.altered = altered;
        self
    }

    fn within(mut self, seconds: u64) -> Row {
        self.within = Duration::from_secs(seconds);
        self
    }

    fn quick(mut self) -> Row {
        self.is_quick = true;
        self
    }
}

fn is_of_the_upgrade(step: &str) -> bool {
    matches!(step, "resolve" | "prepare" | "activate" | "verify" | "collect")
}

/// A night that is to be started.
type Made = fn() -> Night;

/// Words of a verb of the lab.
type Words = &'static [&'static str];

/// The steps of a night, and a night in which each can be struck.
const STEPS: [(&str, Made); 12] = [
    ("connect", brief),
    ("lock", brief),
    ("recover", brief),
    ("resolve", upgrading),
    ("prepare", upgrading),
    ("activate", upgrading),
    ("verify", upgrading),
    ("restore", going_back),
    ("test", testing),
    ("collect", upgrading),
    ("unlock", brief),
    ("disconnect", brief),
];

/// The night in which a step can be struck.
fn night_of(step: &str) -> Made {
    STEPS.into_iter().find(|(known, _)| *known == step).expect("it is a step of a night").1
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    tunnel(&mut rows);
    connections(&mut rows);
    gateways(&mut rows);
    surroundings(&mut rows);
    tester(&mut rows);
    here(&mut rows);
    ends(&mut rows);
    rows
}

/// What happens to the tunnel.
fn tunnel(rows: &mut Vec<Row>) {
    // The others are over before a server can be stopped.
    for (step, night) in STEPS.into_iter().filter(|(step, _)| !matches!(*step, "lock" | "unlock" | "disconnect")) {
        let ends = if step == "restore" { REFUSED } else { PASSED };
        let row = row("vpn-restart", step, night, Strike::Fault(&["vpn-restart"])).ends(ends);
        rows.push(if step == "test" { row.quick() } else { row });
    }
    for step in ["prepare", "activate", "verify", "test"] {
        let night = night_of(step);
        rows.push(row("vpn-killed", step, night, Strike::Fault(&["vpn-killed"])));
        rows.push(row("vpn-silent-briefly", step, night, Strike::FaultFor(&["vpn-silent"], Duration::from_secs(8))));
        let silent = Strike::FaultFor(&["vpn-silent"], Duration::from_secs(32));
        rows.push(row("vpn-silent-long", step, night, silent).altered(patient).within(200));
        rows.push(row("vpn-address", step, night, Strike::Fault(&["vpn-address"])));
    }
    // Nothing can be given back; what was switched is known to nobody until somebody comes again.
    for (step, ends) in [
        ("resolve", TESTBED),
        ("prepare", TESTBED),
        ("activate", MIXED),
        ("verify", MIXED),
        ("restore", MIXED),
        ("test", TESTBED),
        ("collect", TESTBED),
    ] {
        let row = row("vpn-gone", step, night_of(step), Strike::Fault(&["vpn-silent"])).altered(hurried);
        rows.push(row.ends(ends).leaves(Leaves::ForTheNext));
    }
    let ends: &[Option<i32>] = &[Some(0), Some(3)];
    for step in ["test", "prepare"] {
        // Each time the server sends to the other one for as long as OpenVPN waits before it asks again.
        let row =
            row("vpn-second-client", step, night_of(step), Strike::Fault(&["vpn-second-client"])).altered(patient);
        let row = row.ends(ends).within(400);
        rows.push(if step == "test" { row } else { row.leaves(Leaves::OldOrNew) });
    }
    for step in ["test", "prepare", "activate"] {
        let row = row("vpn-slow", step, night_of(step), Strike::Fault(&["vpn-slow"])).altered(unhurried);
        rows.push(row.within(180));
    }
}

/// What happens to the connections of SSH, and to the hosts.
fn connections(rows: &mut Vec<Row>) {
    rows.push(row("ssh-killed-ng40", "test", testing, Strike::Fault(&["ssh-killed", "ng40"])).quick());
    rows.push(row("ssh-killed-all", "test", testing, Strike::Fault(&["ssh-killed", "all"])));
    for step in ["resolve", "prepare", "activate", "verify", "collect"] {
        for (fault, words) in [("ssh-killed-agw", &["ssh-killed", "agw"]), ("ssh-killed-all", &["ssh-killed", "all"])] {
            let killed = row(fault, step, upgrading, Strike::Fault(words));
            // What is near is brought home as soon as all are killed.
            let before = if step == "collect" { Before::FarAway } else { killed.before };
            rows.push(Row { before, ..killed });
        }
    }
    rows.push(
        row("ssh-killed-all", "restore", going_back, Strike::Fault(&["ssh-killed", "all"]))
            .ends(REFUSED)
            .leaves(Leaves::Old),
    );
    rows.push(row("sshd-restart-ng40", "test", testing, Strike::Fault(&["sshd-restart", "ng40"])));
    rows.push(row("sshd-restart-agw", "activate", upgrading, Strike::Fault(&["sshd-restart", "agw"])));
}

/// What happens to the gateways.
fn gateways(rows: &mut Vec<Row>) {
    for (fault, host) in [("reboot-agw", "agw"), ("reboot-feg", "feg1")] {
        let words: Words = if host == "agw" { &["reboot", "agw"] } else { &["reboot", "feg1"] };
        for step in ["prepare", "activate", "verify"] {
            let ends: &[Option<i32>] = &[Some(0), Some(3)];
            rows.push(
                row(fault, step, upgrading, Strike::Fault(words)).ends(ends).leaves(Leaves::OldOrNew).within(200),
            );
        }
        rows.push(row(fault, "test", testing, Strike::Fault(words)));
    }
    for (fault, words) in [
        ("reboot-in-order-agw", &["reboot-in-order", "agw"] as Words),
        ("reboot-in-order-feg", &["reboot-in-order", "feg1"]),
    ] {
        rows.push(
            row(fault, "activate", upgrading, Strike::Fault(words))
                .ends(&[Some(0), Some(3)])
                .leaves(Leaves::OldOrNew)
                .within(200),
        );
    }
    for step in ["activate", "verify"] {
        let ends: &[Option<i32>] = &[Some(0), Some(3)];
        rows.push(
            row("dockerd-restart", step, upgrading, Strike::Fault(&["dockerd-restart", "feg1"]))
                .ends(ends)
                .leaves(Leaves::OldOrNew)
                .within(200),
        );
        rows.push(
            row("operator-recreates", step, upgrading, Strike::Fault(&["operator-recreates", "feg1"]))
                .ends(ends)
                .leaves(Leaves::OldOrNew)
                .within(200),
        );
        rows.push(
            row("magmad-upgrades", step, upgrading, Strike::Fault(&["magmad-upgrades", "feg1"]))
                .ends(ends)
                .leaves(Leaves::OldOrNew)
                .within(200),
        );
    }
    for step in ["prepare", "activate", "verify", "restore"] {
        let ends: &[Option<i32>] = if step == "restore" { REFUSED } else { &[Some(0), Some(3)] };
        let row = row("operator-prunes", step, night_of(step), Strike::Fault(&["operator-prunes", "feg1"]));
        let row = row.ends(ends).leaves(Leaves::OldOrNew).within(200);
        rows.push(Row { before: Before::InRegistry, ..row });
    }
    rows.push(row("cron-at-work", "prepare", upgrading, Strike::Fault(&["cron-at-work", "feg1"])).leaves(Leaves::New));
    rows.push(
        row("name-lost", "verify", upgrading, Strike::Fault(&["name-lost", "feg1", "s6a_proxy"]))
            .ends(&[Some(3)])
            .leaves(Leaves::Old)
            .within(200),
    );
    for (step, ends) in [("activate", TESTBED), ("verify", TESTBED), ("restore", REFUSED)] {
        let row = row("dockerd-stuck", step, night_of(step), Strike::Fault(&["dockerd-stuck", "feg1"]));
        rows.push(row.ends(ends).leaves(Leaves::Old).within(400));
    }
    for step in ["resolve", "prepare", "activate", "verify"] {
        rows.push(row("clock-agw", step, upgrading, Strike::Fault(&["clock", "agw"])));
        rows.push(row("clock-agw-slow", step, upgrading, Strike::Fault(&["clock", "agw", "-1h"])));
    }
}

/// What happens to the surroundings of an upgrade.
fn surroundings(rows: &mut Vec<Row>) {
    for (fault, words) in [
        ("repo-down", &["repo-down"] as Words),
        ("registry-down", &["registry-down"]),
        ("registry-500", &["registry-500"]),
    ] {
        rows.push(row(fault, "recover", upgrading, Strike::Fault(words)).ends(TESTBED).leaves(Leaves::Old));
        // What was fetched in `prepare` is all that the switch needs.
        rows.push(row(fault, "activate", upgrading, Strike::Fault(words)).leaves(Leaves::New));
    }
    // What is wrong with the AGW before the release comes: nothing is touched, and where the disk fills later, all go back.
    for (fault, words) in [
        ("usr-local-full", &["usr-local-full"] as Words),
        ("usr-local-fills", &["usr-local-fills"]),
        ("dpkg-interrupted", &["dpkg-interrupted"]),
        ("package-held", &["package-held"]),
    ] {
        let row = row(fault, "recover", upgrading, Strike::Fault(words));
        rows.push(row.ends(TESTBED).leaves(Leaves::Old).within(200));
    }
    rows.push(
        row("dpkg-locked", "prepare", upgrading, Strike::Fault(&["dpkg-lock"]))
            .ends(TESTBED)
            .leaves(Leaves::Old)
            .within(400),
    );
    // It prints in the switch, which its deadline ends; the way back has as much time.
    let soon = |night: Night| night.with("agw.activate_timeout", "1m");
    rows.push(
        row("apt-prints", "prepare", upgrading, Strike::Fault(&["apt-prints"]))
            .altered(soon)
            .ends(&[Some(3), Some(4)])
            .leaves(Leaves::Old)
            .within(300),
    );
    for step in ["prepare", "activate"] {
        let briefly = Strike::FaultFor(&["dpkg-lock"], Duration::from_secs(15));
        rows.push(row("dpkg-locked-briefly", step, upgrading, briefly));
    }
    for (fault, words) in [("disk-full-agw", &["disk-full", "agw"] as Words), ("disk-full-feg", &["disk-full", "feg1"])]
    {
        // A disk that is full in mid-switch may be too full for the way back.
        for (step, ends) in
            [("prepare", &[Some(0), Some(3)] as &[Option<i32>]), ("activate", &[Some(0), Some(3), Some(5)])]
        {
            rows.push(
                row(fault, step, upgrading, Strike::Fault(words)).ends(ends).leaves(Leaves::OldOrNew).within(200),
            );
        }
    }
}

/// What happens to the tester.
fn tester(rows: &mut Vec<Row>) {
    rows.push(row("ng40test-killed", "test", testing, Strike::Fault(&["ng40test-killed"])).ends(INCONCLUSIVE).quick());
    rows.push(row("ng40test-hangs", "test", soon_over, Strike::Fault(&["ng40test-hangs"])).ends(INCONCLUSIVE));
    for fault in ["ng40-busy", "ng40-busy-text"] {
        let words: Words = if fault == "ng40-busy" { &["ng40-busy"] } else { &["ng40-busy-text"] };
        rows.push(row(fault, "recover", brief, Strike::Fault(words)).ends(TESTBED));
    }
    rows.push(row("reboot-ng40", "test", testing, Strike::Fault(&["reboot", "ng40"])).ends(TESTBED));
    rows.push(row("disk-full-ng40", "test", testing, Strike::Fault(&["disk-full", "ng40"])).ends(&[Some(3), Some(6)]));
    // What comes home is a bomb: the night has its verdicts, and the logs are missing.
    rows.push(row("ng40-archive-bomb", "test", testing, Strike::Fault(&["ng40-archive-bomb"])).quick());
    rows.push(row("clock-ng40", "test", testing, Strike::Fault(&["clock", "ng40"])));
    rows.push(row("clock-ng40-slow", "test", testing, Strike::Fault(&["clock", "ng40", "-1h"])));
}

/// What happens to the folder of the results.
fn here(rows: &mut Vec<Row>) {
    for step in ["connect", "test", "prepare", "activate", "verify"] {
        let night = if step == "connect" { testing } else { night_of(step) };
        rows.push(
            row("results-read-only", step, night, Strike::Here { strikes: read_only, heals: no_mount }).ends(REPORT),
        );
        if is_of_the_upgrade(step) {
            continue;
        }
        rows.push(row("results-full", step, cramped, Strike::Here { strikes: full, heals: no_mount }).ends(REPORT));
    }
}

/// Everything below the folder of the reports can be read and not written any more.
fn read_only(running: &Running) {
    let results = running.results().display().to_string();
    let pid = running.child.id().to_string();
    // `ip netns exec` gives the program mounts of its own; they go with it.
    let mount = |words: &[&str]| must(&[&["nsenter", "--mount", "--target", &pid, "mount"], words].concat());
    mount(&["--bind", &results, &results]);
    mount(&["-o", "remount,bind,ro", &results]);
}

/// The disk of the reports has no byte left.
fn full(running: &Running) {
    let filled = std::fs::File::create(running.results().join("filler"))
        .and_then(|mut file| std::io::copy(&mut std::io::repeat(0), &mut file));
    assert!(filled.is_err(), "an endless file has found its end");
}

/// Unmounts what these faults have mounted.
fn no_mount() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| path.ends_with("/results")) {
        let _ = Command::new("umount").arg(mount).status();
    }
}

/// How the night itself is ended.
fn ends(rows: &mut Vec<Row>) {
    for (step, night) in STEPS {
        let left = if step == "collect" { Leaves::New } else { Leaves::Old };
        for (fault, signal) in [("sigint", "-INT"), ("sigterm", "-TERM"), ("sighup", "-HUP")] {
            let row = row(fault, step, night, Strike::Signal(signal)).ends(INTERRUPTED).leaves(left);
            rows.push(if fault == "sigint" && matches!(step, "connect" | "prepare") { row.quick() } else { row });
        }
        rows.push(row("two-signals", step, night, Strike::TwoSignals("-INT", "-TERM")).ends(INTERRUPTED).leaves(left));
    }
    // A night that finds the testbed in mid-switch brings it back first.
    let row_in_recover = |fault, strike, ends, leaves| {
        let row = row(fault, "recover", upgrading, strike).altered(hurried).ends(ends).leaves(leaves);
        Row { before: Before::MidSwitch, ..row }
    };
    rows.push(row_in_recover("sigterm-once-more", Strike::Signal("-TERM"), INTERRUPTED, Leaves::Old));
    rows.push(row_in_recover("sigkill-once-more", Strike::Signal("-KILL"), KILLED, Leaves::ForTheNext));
    rows.push(row_in_recover("vpn-killed-once-more", Strike::Fault(&["vpn-restart"]), PASSED, Leaves::New));
    for (step, night) in STEPS {
        let left_to_the_next =
            |fault, strike| row(fault, step, night, strike).altered(hurried).ends(KILLED).leaves(Leaves::ForTheNext);
        let killed = left_to_the_next("sigkill", Strike::Signal("-KILL"));
        rows.push(if step == "test" { killed.quick() } else { killed });
        let lost = left_to_the_next("ci-lost", Strike::NodeLost);
        // These take less time than the loss itself, but for those who are far away.
        let before = if matches!(step, "lock" | "unlock" | "disconnect") { Before::FarAway } else { lost.before };
        rows.push(Row { before, ..lost });
    }
    for (step, night) in STEPS {
        let night = if step == "test" { brief } else { night };
        // When it passes in the last steps all is done, and nothing is cut off.
        let (ends, left) = match step {
            "restore" => (REFUSED, Leaves::Old),
            "collect" => (PASSED, Leaves::New),
            "unlock" | "disconnect" => (PASSED, Leaves::Old),
            _ => (INCONCLUSIVE, Leaves::Old),
        };
        let row = row("deadline", step, night, Strike::Deadline).altered(unhurried).ends(ends).leaves(left);
        rows.push(Row { before: Before::FarAway, ..row });
    }
}
