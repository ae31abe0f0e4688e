//! What a panic of the program costs in the lab, in each step of a run: the status is 70, or 5 where it is not
//! certain what a gateway runs; the lock is free, the tunnel is down, nothing is left at work, and every gateway is
//! in a known state.

use crate::Test;
use crate::lab;
use crate::night::{Night, Told, teravm};

pub(crate) const TESTS: &[Test] = &[
    ("a_panic_during_a_test_ends_the_run_on_ng40_too", a_panic_during_a_test),
    ("a_panic_before_the_switch_leaves_every_gateway_as_it_was", a_panic_before_the_switch),
    ("a_panic_during_the_switch_rolls_every_gateway_back", a_panic_during_the_switch),
    ("a_panic_while_a_gateway_is_restored_is_mixed_and_the_next_run_recovers", a_panic_while_a_gateway_is_restored),
];

/// Those that take minutes.
pub(crate) const LONG: &[Test] =
    &[("a_panic_on_the_way_to_the_lab_and_back_releases_everything", a_panic_on_the_way_to_the_lab_and_back)];

/// Runs to a panic at this place, and asks what holds after every run.
fn panics(night: Night, place: &str, code: i32) -> Told {
    let told = night.env("TERAVM_CI_PANIC_AT", place).run();
    assert_eq!(told.code, Some(code), "{place}\n{told}");
    assert_eq!(told.run["code"], code, "{place}\n{told}");
    for name in ["run.json", "junit.xml", "summary.md", "report.html", "events.jsonl"] {
        assert!(told.read(name).contains("as TERAVM_CI_PANIC_AT wants it"), "{place}: {name}\n{told}");
    }
    assert_eq!(lab::on("ng40", "ls /home/ng40/.teravm-ci/lock 2>/dev/null || true"), "", "{place}\n{told}");
    assert!(!lab::on("ng40", "ps -ef").contains("ng40test"), "{place}: the run was ended on NG40 too\n{told}");
    told
}

fn a_panic_on_the_way_to_the_lab_and_back() {
    let places = [
        "night_started",
        "step_started connect",
        "step_started connect agw",
        "step_finished connect feg1",
        "step_finished connect",
        "step_started lock",
        "step_finished lock",
        "commanded recover agw",
        "step_started recover feg2",
        "step_started unlock",
        "step_finished unlock",
        "step_started disconnect",
        "step_finished disconnect",
        "last_event",
    ];
    for place in places {
        panics(teravm("test").list("working_testplan_gxgy_CI_run.ntl"), place, 70);
    }
}

fn a_panic_during_a_test() {
    for place in ["suite_started hang", "commanded test ng40", "case_started hang"] {
        panics(teravm("test").list("hang.ntl"), place, 70);
    }
    let suite = "working_testplan_gxgy_CI_run";
    for place in [&format!("suite_finished {suite}"), "step_finished test", "step_started collect"] {
        panics(teravm("test").list(&format!("{suite}.ntl")), place, 70);
    }
}

/// The records of switches that are not closed.
fn open_switches() -> String {
    let intent = |host| lab::on(host, "ls /var/lib/teravm-ci/intent.json 2>/dev/null || true");
    ["agw", "feg1", "feg2"].map(intent).concat()
}

/// What the gateways run.
fn state() -> String {
    format!("{}\n{}\n{}", lab::package("magma"), lab::containers("feg1"), lab::containers("feg2"))
}

fn a_panic_before_the_switch() {
    lab::reset();
    let before = state();
    for place in ["step_started resolve", "commanded prepare feg2", "step_finished prepare agw"] {
        let told = panics(teravm("upgrade"), place, 70);
        lab::same(place, &before, &state());
        assert_eq!(open_switches(), "", "{place}\n{told}");
        assert!(!told.stdout.contains("mixed"), "{place}\n{told}");
    }
}

fn a_panic_during_the_switch() {
    lab::reset();
    let was = ["agw restored to 1.8.0-1655110000-3f7c21ab", "feg1 restored to 3f7c21ab", "feg2 restored to 3f7c21ab"];
    for place in ["commanded activate feg1", "output activate agw", "commanded verify agw"] {
        panics(teravm("upgrade"), place, 70).left(&was);
        assert_eq!(lab::package("magma"), format!("ii {}", lab::OLD), "{place}");
        assert_eq!(open_switches(), "", "{place}");
    }
}

fn a_panic_while_a_gateway_is_restored() {
    lab::reset();
    panics(teravm("upgrade --tag aa10f001"), "commanded restore agw", 5).says("feg1");
    let told = teravm("test")
        .list("working_testplan_gxgy_CI_run.ntl")
        .run()
        .exits(0)
        .says("while it switched this gateway to");
    assert_eq!(lab::package("magma"), format!("ii {}", lab::OLD), "{told}");
    assert_eq!(open_switches(), "", "{told}");
}
