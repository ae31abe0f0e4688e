//! Every fault in every step where it can strike: one table. Each row runs a night, has the fault strike inside the step, and asks
//! whether all that a night promises still holds.
//!
//! The rows that take seconds are always there; with `TERAVM_FAULTS=all`, as `tests/lab/faults` has it, all of them.

mod chaos;
mod invariants;
mod record;
mod rows;
mod strike;
mod watchman;

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::lab;
use crate::night::{Night, Told, teravm};
use strike::Strike;
use watchman::Watchman;

/// A fault, the step in which it strikes, and how the night has to end.
pub(crate) struct Row {
    fault: &'static str,
    step: &'static str,
    /// The night that it strikes.
    night: fn() -> Night,
    /// What the fault makes of its config.
    altered: fn(Night) -> Night,
    strike: Strike,
    /// The exit statuses that are right; none is a night that was killed.
    ends: &'static [Option<i32>],
    leaves: Leaves,
    before: Before,
    /// Whether it takes seconds.
    is_quick: bool,
    /// The night ends within this time after the fault has struck.
    within: Duration,
}

/// How the testbed is handed to the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// At the first release.
    First,
    /// In mid-switch: a night was killed there.
    MidSwitch,
    /// At the first release, on a way on which every step takes its time.
    FarAway,
    /// At the first release, which the registry still has.
    InRegistry,
}

/// What the gateways run in the end, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Old,
    New,
    /// One of the two, the same on all.
    OldOrNew,
    /// Whatever: the night was killed, and the next one brings all to the new release.
    ForTheNext,
}

impl Row {
    fn name(&self) -> String {
        format!("faults::{}_in_{}", self.fault.replace(['-', ' '], "_"), self.step)
    }

    fn night(&self) -> Night {
        (self.altered)((self.night)())
    }

    /// Brings the testbed to where the night finds it.
    fn hand_over(&self) {
        lab::reset();
        match self.before {
            Before::First => {}
            Before::MidSwitch => leave_in_mid_switch(),
            Before::FarAway => lab::strike(&["vpn-slow", "100", "0"]),
            Before::InRegistry => lab::strike(&["registry-finds", "3f7c21ab"]),
        }
    }

    /// Runs the night, and says what does not hold. A deadline that missed its step has shown nothing, and is aimed anew.
    fn prove(&self) -> record::Line {
        const AIMS: usize = 5;
        let mut line = self.strike();
        for _ in 1..AIMS {
            if !matches!(self.strike, Strike::Deadline) || line.is_inside() {
                break;
            }
            line = self.strike();
        }
        line
    }

    fn strike(&self) -> record::Line {
        self.strike.clean_up();
        self.hand_over();
        let before = invariants::Testbed::look();
        let watchman = Watchman::start();
        let mut night = self.night().may_leave_things();
        if matches!(self.strike, Strike::Deadline) {
            let rehearsal = self.night().start().over();
            let deadline = strike::middle(self.step, &rehearsal);
            self.hand_over();
            night = night.with("run.deadline", &format!("{}ms", deadline.as_millis()));
        }
        let mut running = night.start();
        let struck = self.strike.at(self.step, &mut running);
        let told = running.over();
        let ended_after = struck.since.elapsed();
        let overheard = watchman.end();
        lab::heal();
        let (window, noticed) = strike::window(&told, self.step, &struck);
        let is_left = self.leaves == Leaves::ForTheNext || told.code == Some(5);
        let next = is_left.then(|| next_night(&told));
        let mut line = record::Line::new(self.fault.to_owned(), self.step.to_owned(), told.code, noticed, ended_after);
        line.hold("inside", window);
        line.hold("1 status", invariants::status(self, &told));
        line.hold("2 verdicts", invariants::verdicts(&told));
        line.hold("3 gateways", invariants::gateways(self.leaves, &before, next.as_ref().unwrap_or(&told)));
        line.hold("4 tidy", invariants::tidy(next.as_ref().unwrap_or(&told), &told));
        line.hold("5 secrets", invariants::secrets(&told, &overheard));
        line.hold("6 in time", invariants::in_time(self, ended_after));
        line.night = told.to_string();
        self.strike.clean_up();
        line
    }
}

/// A night that finds what a killed one has left, as the next evening's does.
fn next_night(killed: &Told) -> Told {
    hurried(teravm("upgrade --wait 1m")).in_the_place_of(killed).start().over()
}

/// A lease that lapses in seconds, because the next night of a killed one waits for that.
fn hurried(night: Night) -> Night {
    night.with("lock.expire", "6s").with("lock.renew", "1s")
}

fn leave_in_mid_switch() {
    let mut night = hurried(teravm("upgrade")).may_leave_things().start();
    strike::await_step("activate", &mut night);
    lab::wait_for("the switch of the AGW", Duration::from_secs(30), || {
        lab::on("agw", "cat /var/lib/teravm-ci/intent.json 2>/dev/null; ps -ef").contains("apt-get")
    });
    night.signal("-KILL");
    night.over();
    // Whoever comes next finds the testbed free.
    std::thread::sleep(Duration::from_secs(6));
}

/// Whether there is time for everything.
pub(crate) fn are_all() -> bool {
    std::env::var("TERAVM_FAULTS").is_ok_and(|value| value == "all")
}

/// The rows of the table, as tests.
pub(crate) fn trials(missing: Option<&str>, is_ignored: bool) -> Vec<Trial> {
    let rows = rows::rows().into_iter().filter(|row| are_all() || row.is_quick);
    let of_table = rows.map(|row| {
        let missing = missing.map(str::to_owned);
        let name = row.name();
        let run = move || match missing {
            Some(why) => Err(Failed::from(format!("the lab cannot be had: {why}"))),
            None if record::has_held(row.fault, row.step) => Ok(()),
            None => judge(|| row.prove()),
        };
        Trial::test(name, run).with_ignored_flag(is_ignored)
    });
    of_table.chain(chaos::trials(missing)).collect()
}

/// Keeps what a night came to, and fails if something did not hold.
fn judge(prove: impl FnOnce() -> record::Line) -> Result<(), Failed> {
    let since = Instant::now();
    let line = prove();
    record::keep(&line, since.elapsed());
    match line.broken() {
        None => Ok(()),
        Some(broken) => Err(Failed::from(format!("{broken}\n{}", line.night))),
    }
}
