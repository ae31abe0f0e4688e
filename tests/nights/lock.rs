//! One night at a time: the lease on the NG40 host.

use std::time::Duration;

use crate::Test;
use crate::lab;
use crate::night::teravm;

pub(crate) const TESTS: &[Test] = &[
    ("a_testbed_that_is_held_is_left_alone_and_the_holder_is_named", a_testbed_that_is_held_is_left_alone),
    ("a_night_that_waits_goes_on_when_the_testbed_is_given_back", a_night_that_waits_goes_on),
    ("a_lease_that_nobody_renews_lapses", a_lease_that_nobody_renews_lapses),
    ("a_lock_can_be_broken_open_by_hand", a_lock_can_be_broken_open_by_hand),
    ("two_nights_at_the_same_moment_are_one_night", two_nights_at_the_same_moment_are_one_night),
];

/// Somebody else's lease, renewed so many seconds ago.
fn hold(seconds: u32) {
    lab::on(
        "ng40",
        &format!(
            "runuser -u ng40 -- sh -c 'mkdir -p ~/.teravm-ci && now=$(date +%s) && \
             printf \"{{\\\"run\\\":\\\"20260101T000000-0001\\\",\\\"who\\\":\\\"jdoe@laptop\\\",\\\"url\\\":\\\"https://ci.example/7\\\",\\\"since\\\":%s}}\\n\" \
             $((now - 600)) > ~/.teravm-ci/lock && touch -d \"@$((now - {seconds}))\" ~/.teravm-ci/lock'"
        ),
    );
}

/// A lease by whoever has the account there, to be seen on somebody's terminal.
const HOSTILE: &str = "{\"run\":\"x\\u001b]0;PWNED\\u0007\",\"who\":\"\\u001b[2J\\u001b]52;c;cm0=\\u0007ci@node\\u202e\\u009b1m\",\
                       \"url\":\"https://ci.example/7\",\"since\":1}";

fn free() {
    lab::on("ng40", "rm -f /home/ng40/.teravm-ci/lock");
}

fn a_testbed_that_is_held_is_left_alone() {
    hold(5);
    teravm("lock status")
        .run()
        .exits(0)
        .says("lab: held by jdoe@laptop (run 20260101T000000-0001, https://ci.example/7) for 10m");
    teravm("test").run().exits(3).says("held by jdoe@laptop").says("for 10m");
    lab::write_on("ng40", "/home/ng40/.teravm-ci/lock", HOSTILE);
    let told = teravm("lock status").at_a_terminal("").run().exits(0).says("ci@node");
    let does_something = |char: &char| char.is_control() && !matches!(*char, '\n' | '\r') || *char == '\u{202e}';
    let done: String = told.stdout.chars().chain(told.stderr.chars()).filter(does_something).collect();
    assert_eq!(done, "", "{told}");
    free();
    teravm("lock").run().exits(0).says("lab: free");
}

fn a_night_that_waits_goes_on() {
    hold(0);
    let mut night = teravm("test --wait 3m").list("working_testplan_gxgy_CI_run.ntl").with("lock.renew", "5s").start();
    night.until("waiting");
    // The tunnel is down between looks: two clients with one certificate starve each other.
    lab::wait_for("the tunnel's end", Duration::from_secs(10), || !lab::processes_of_the_node().contains("openvpn"));
    free();
    night.end().exits(0);
}

fn a_lease_that_nobody_renews_lapses() {
    hold(16 * 60);
    teravm("test").list("working_testplan_gxgy_CI_run.ntl").run().exits(0).says("who let it lapse");
}

fn a_lock_can_be_broken_open_by_hand() {
    hold(5);
    teravm("lock release").run().exits(2);
    teravm("lock release --force").run().exits(0).says("released; was held by jdoe@laptop");
    teravm("lock").run().exits(0).says("lab: free");
}

fn two_nights_at_the_same_moment_are_one_night() {
    // One tunnel for both: two clients with one certificate starve each other, and the lock is what is tried here.
    let mut tunnel = teravm("vpn").start();
    tunnel.until_said("the tunnel is up");
    let night = || teravm("test --no-vpn").list("working_testplan_s6a_CI_run.ntl").may_leave_things();
    let (one, two) = (night().start(), night().start());
    let mut codes = [one.end().code, two.end().code];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(3)]);
    tunnel.signal("-INT");
    tunnel.end().exits(0);
}
