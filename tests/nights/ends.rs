//! Nights that end early: by a signal, by their deadline. What was taken is given back.

use crate::Test;
use crate::lab;
use crate::night::teravm;

pub(crate) const TESTS: &[Test] = &[
    ("a_signal_during_a_test_gives_everything_back", a_signal_during_a_test_gives_everything_back),
    ("a_signal_during_the_switch_brings_everything_back", a_signal_during_the_switch_brings_everything_back),
    ("the_deadline_of_the_run_ends_it_with_its_verdicts", the_deadline_of_the_run_ends_it_with_its_verdicts),
    ("a_deadline_that_passes_while_ng40_is_put_in_order_cuts_nothing_off", a_deadline_while_ng40_is_put_in_order),
    ("a_lost_connection_loses_no_line", a_lost_connection_loses_no_line),
    ("a_run_whose_folder_is_gone_is_lost_and_ended", a_run_whose_folder_is_gone),
    ("a_gateway_that_another_run_has_taken_takes_no_command", a_gateway_that_another_run_has_taken),
];

fn lock_is_free() {
    assert_eq!(lab::on("ng40", "ls /home/ng40/.teravm-ci/lock 2>/dev/null || true"), "");
}

fn a_signal_during_a_test_gives_everything_back() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut night = teravm("test").list("hang.ntl").start();
        night.until("case_finished");
        night.signal(signal);
        let told = night.end().exits(130);
        assert_eq!(told.cases().values().filter(|judged| *judged == "passed").count(), 1, "{told}");
        lock_is_free();
        assert!(!lab::on("ng40", "ps -ef").contains("hang.ntl"), "the run was ended on NG40 too\n{told}");
    }
}

fn a_signal_during_the_switch_brings_everything_back() {
    lab::reset();
    let mut night = teravm("upgrade").start();
    night.until(r#""event":"step_started","step":"activate","host":"feg2""#);
    night.signal("-TERM");
    let told = night.end().exits(130).left(&[
        "agw restored to 1.8.0-1655110000-3f7c21ab",
        "feg1 restored to 3f7c21ab",
        "feg2 restored to 3f7c21ab",
    ]);
    assert!(told.stderr.contains("SIGTERM: waiting for activate to finish on "), "{told}");
    assert_eq!(lab::package("magma"), format!("ii {}", lab::OLD), "{told}");
    lock_is_free();
}

fn the_deadline_of_the_run_ends_it_with_its_verdicts() {
    let told = teravm("test").list("hang.ntl").with("run.deadline", "12s").run().exits(6);
    assert_eq!(told.cases().values().filter(|judged| *judged == "passed").count(), 1, "{told}");
    assert!(told.stdout.contains("cut off by the night's deadline"), "{told}");
    lock_is_free();
}

fn a_deadline_while_ng40_is_put_in_order() {
    let night = teravm("test").list("working_testplan_gxgy_CI_run.ntl").with("ng40.cleanup_after", "sleep 20");
    let told = night.with("run.deadline", "18s").run().exits(0).says("every suite has ended");
    assert!(!told.run["deadline_passed"].is_null(), "it has passed\n{told}");
    lock_is_free();
}

fn a_lost_connection_loses_no_line() {
    let mut night = teravm("test").list("silent.ntl").with("ssh.keepalive", "1s").start();
    night.until("case_started");
    // The master's own connection on the host: the session that follows the run goes with it.
    lab::on("ng40", "for pid in $(pgrep -u ng40 -f '^sshd: ng40'); do kill -9 $pid; done; true");
    let told = night.end().exits(0).says("the run goes on");
    let here = told.read("suites/silent/console.log");
    assert_eq!(here.matches("Run test case").count(), here.matches("Verdict(").count(), "{here}");
    assert_eq!(here.matches("Open NG40 logger").count(), 1, "{here}");
}

fn a_run_whose_folder_is_gone() {
    let mut night = teravm("test").list("hang.ntl").start();
    night.until("case_finished");
    lab::on(
        "ng40",
        "rm -rf /home/ng40/.teravm-ci/jobs; for pid in $(pgrep -u ng40 -f '^sshd: ng40'); do kill -9 $pid; done",
    );
    let told = night.end().exits(3).says("there is no job");
    assert_eq!(told.cases().values().filter(|judged| *judged == "passed").count(), 1, "{told}");
    assert!(!lab::on("ng40", "ps -ef").contains("hang.ntl"), "the run was ended on NG40 too\n{told}");
    lock_is_free();
}

fn a_gateway_that_another_run_has_taken() {
    lab::reset();
    let mut night = teravm("upgrade").start();
    night.until(r#""event":"step_started","step":"prepare""#);
    lab::on("agw", "echo 20260101T000000-0001 >/var/lib/teravm-ci/run");
    let told = night.end().exits(3).says("`agw` does not take our command").says("another run has this gateway now");
    assert_eq!(lab::package("magma"), format!("ii {}", lab::OLD), "{told}");
}
