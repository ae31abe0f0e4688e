//! Nights, and what they come to.

mod gate;

use super::room::MOST_OF_A_CASE;
use super::*;
use crate::report::nights::{NEW, OLD, Story, cut_off, green, red, restored};

fn codes(story: &Story) -> Vec<u8> {
    let mut codes: Vec<u8> = story.summary().reasons().iter().map(|reason| reason.status.code()).collect();
    codes.dedup();
    codes
}

fn texts(story: &Story) -> Vec<String> {
    story.summary().reasons().into_iter().map(|reason| reason.text).collect()
}

/// A night of one green suite, as far as before its end.
fn tested() -> Story {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy"]).suite("gxgy", 1).passes("gxgy", 1, "case");
    story.suite_ends("gxgy", Some("PASS"), None);
    story
}

fn upgrading() -> Story {
    let mut story = Story::new();
    story.begins("upgrade", &["agw", "feg1"], &[]).found(&["agw", "feg1"]);
    story
}

#[test]
fn every_status_has_a_code_and_a_name_of_its_own() {
    let table: Vec<(u8, &str)> = Status::ALL.iter().map(|status| (status.code(), status.name())).collect();
    assert_eq!(
        table,
        [
            (0, "passed"),
            (1, "tests failed"),
            (2, "usage"),
            (3, "testbed"),
            (4, "upgrade failed"),
            (5, "testbed mixed"),
            (6, "inconclusive"),
            (7, "report"),
            (70, "internal error"),
            (130, "interrupted"),
        ]
    );
}

#[test]
fn a_panic_is_an_internal_error_wherever_it_was_caught_and_mixed_where_a_switch_stays_open() {
    let internal = || Problem::new(Class::Internal, "internal error").because("panicked at src/a.rs:1:2: why");
    let mut outside = tested();
    outside.say(EventKind::InternalError { problem: internal() }).say(EventKind::NightEnded);
    assert_eq!(
        (codes(&outside), texts(&outside)),
        (vec![70], vec!["internal error: panicked at src/a.rs:1:2: why".into()])
    );
    for step in [Step::Connect, Step::Lock, Step::Resolve, Step::Collect, Step::Unlock, Step::Disconnect] {
        let mut story = tested();
        story.start(step, None).fails(step, None, 1, internal()).say(EventKind::NightEnded);
        assert_eq!(codes(&story), [70], "{step}");
    }
    let mut restored = upgrading();
    restored.start(Step::Activate, Some("agw")).fails(Step::Activate, Some("agw"), 1, internal());
    let mut open = Story::new();
    open.events.clone_from(&restored.events);
    open.say(EventKind::NightEnded);
    assert_eq!(codes(&open), [5, 70]);
    for gateway in ["agw", "feg1"] {
        restored.gateway(gateway, GatewayOutcome::Restored { to: OLD.into() });
    }
    restored.say(EventKind::NightEnded);
    assert_eq!(codes(&restored), [70]);
}

#[test]
fn when_several_are_true_the_one_to_act_on_first_is_the_status() {
    use Status::{Inconclusive, InternalError, Interrupted, Report, Testbed, TestbedMixed, TestsFailed, UpgradeFailed};
    let order = [TestbedMixed, Interrupted, InternalError, UpgradeFailed, TestsFailed, Testbed, Inconclusive, Report];
    let reasons: Vec<Reason> = order.iter().map(|&status| night_reason(status, String::new())).rev().collect();
    for (index, status) in order.iter().enumerate() {
        assert_eq!(status_of(&reasons[..order.len() - index]), *status);
    }
    assert_eq!(status_of(&[]), Status::Passed);
}

#[test]
fn a_night_in_which_all_was_done_and_all_passed_has_passed() {
    assert_eq!(green().summary().status(), Status::Passed);
    assert_eq!(green().summary().reasons(), []);
    assert_eq!(green().summary().counts(), Counts { passed: 2, ..Counts::default() });
}

#[test]
fn all_that_is_true_is_reported_and_what_decides_comes_first() {
    assert_eq!(codes(&red()), [1, 6]);
    assert_eq!(
        texts(&red()),
        [
            "`gxgy`: 1 of 3 cases failed: gx_gy_combined_05_capacity",
            "`gxgy`: 1 of 3 cases inconclusive: gx_gy_combined_06"
        ]
    );
}

#[test]
fn a_night_that_was_never_heard_or_never_ended_has_not_passed() {
    assert_eq!(Summary::default().status(), Status::Inconclusive);
    assert_eq!(codes(&tested()), [6]);
    assert_eq!(texts(&cut_off())[2], "the night has not ended");
    let mut story = tested();
    story.say(EventKind::NightEnded);
    assert_eq!(codes(&story), [0; 0]);
}

#[test]
fn a_night_that_tested_and_upgraded_nothing_has_not_passed() {
    for command in ["run", "test", "upgrade", "report"] {
        let mut story = Story::new();
        story.begins(command, &[], &[]).say(EventKind::NightEnded);
        assert_eq!(codes(&story), [6], "{command}");
    }
}

#[test]
fn a_planned_suite_that_was_not_finished_is_inconclusive_unless_something_explains_it() {
    let mut story = Story::new();
    story.begins("test", &[], &["one", "two"]).suite("one", 1).say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["`one`: did not finish", "`two`: was not started"]);
    story.fails(Step::Connect, None, 1, Problem::testbed("no tunnel"));
    assert_eq!(texts(&story), ["connect: no tunnel"]);
    assert_eq!(codes(&restored()), [4]);
}

#[test]
fn a_suite_without_a_verdict_on_anything_is_inconclusive() {
    let ended = |planned, is_judged: bool, verdict| {
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]).suite("gxgy", planned);
        if is_judged {
            story.passes("gxgy", 1, "case");
        }
        story.suite_ends("gxgy", verdict, None).say(EventKind::NightEnded);
        texts(&story)
    };
    assert_eq!(ended(1, true, Some("PASS")), [""; 0]);
    assert_eq!(ended(0, false, Some("PASS")), ["`gxgy`: no case passed or failed"]);
    assert_eq!(ended(5, true, Some("PASS")), ["`gxgy`: 1 of 5 planned cases were judged"]);
    assert_eq!(ended(1, true, None), ["`gxgy`: the list gave no verdict"]);
}

#[test]
fn a_suites_problem_makes_the_status_of_its_class() {
    let mut story = Story::new();
    let problem = Problem::testbed("`gxgy.ntl` is not there");
    story.begins("test", &[], &["gxgy"]).suite_ends("gxgy", None, Some(problem)).say(EventKind::NightEnded);
    assert_eq!(codes(&story), [3, 6]);
}

#[test]
fn a_step_that_fails_on_a_host_and_as_a_whole_is_told_once() {
    let mut story = tested();
    let problem = || Problem::testbed("the disk is full");
    story.fails(Step::Prepare, Some("agw"), 1, problem()).fails(Step::Prepare, Some("feg1"), 1, problem());
    story.fails(Step::Prepare, None, 1, problem()).say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["prepare agw, feg1: the disk is full"]);
}

#[test]
fn hosts_that_fail_for_one_cause_are_one_reason_and_others_are_others() {
    let mut story = tested();
    let silent = |host: &str| {
        let problem = Problem::testbed(format!("cannot connect to `{host}` as magma at {host}.lab"));
        problem.because("no answer within 20s (`ssh.connect_timeout`)")
    };
    let refused =
        Problem::testbed("cannot connect to `feg2` as magma at feg2.lab").because("the connection was refused");
    story.fails(Step::Connect, Some("agw"), 1, silent("agw")).fails(Step::Connect, Some("feg1"), 1, silent("feg1"));
    story.fails(Step::Connect, Some("feg2"), 1, refused);
    story
        .fails(Step::Connect, None, 1, Problem::testbed("no connection to agw, feg1, feg2"))
        .say(EventKind::NightEnded);
    assert_eq!(
        texts(&story),
        [
            "connect agw, feg1: no answer within 20s (`ssh.connect_timeout`)",
            "connect feg2: cannot connect to `feg2` as magma at feg2.lab: the connection was refused",
        ]
    );
    let mut story = tested();
    let unhealthy = |host: &str| Problem::upgrade(format!("`{host}` is not healthy on 1.9"));
    story.fails(Step::Verify, Some("feg1"), 1, unhealthy("feg1"));
    // The host's name is the whole difference, and the class is not.
    story.fails(Step::Verify, Some("feg2"), 1, unhealthy("feg2"));
    story
        .fails(Step::Verify, Some("agw"), 1, Problem::testbed("`agw` is not healthy on 1.9"))
        .say(EventKind::NightEnded);
    assert_eq!(
        texts(&story),
        ["verify feg1, feg2: `feg1`, `feg2` is not healthy on 1.9", "verify agw: `agw` is not healthy on 1.9"]
    );
}

#[test]
fn what_is_wrong_with_a_list_is_no_case_of_it() {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy"]).suite("gxgy", 2).passes("gxgy", 1, "a");
    let errors = ["b", "(suite)"].map(|name| Case::unjudged(2, name, "the list has no verdict"));
    for case in errors {
        story.say(EventKind::CaseFinished { suite: "gxgy".to_owned(), case });
    }
    story.suite_ends("gxgy", None, None).say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["`gxgy`: 1 of 2 cases inconclusive: b; the list has no verdict"]);
}

#[test]
fn what_could_not_be_collected_decides_nothing() {
    let mut story = tested();
    story.fails(Step::Collect, Some("agw"), 1, Problem::testbed("gone")).say(EventKind::NightEnded);
    assert_eq!(story.summary().status(), Status::Passed);
}

#[test]
fn a_step_that_began_and_did_not_end_is_inconclusive() {
    let mut story = tested();
    story.start(Step::Unlock, None).say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["unlock: began and did not end"]);
}

#[test]
fn a_gateway_of_which_nothing_is_heard_is_inconclusive_and_mixed_once_its_switch_began() {
    let mut story = upgrading();
    story.gateway("feg1", GatewayOutcome::Unchanged { at: NEW.into() }).say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["`agw`: nothing is known of its upgrade"]);
    story.fails(Step::Activate, Some("agw"), 1, Problem::testbed("the host is down"));
    assert_eq!(codes(&story), [5, 3]);
}

#[test]
fn a_mixed_gateway_comes_before_everything_else() {
    let mut story = upgrading();
    story.fails(Step::Verify, Some("agw"), 1, Problem::upgrade("unhealthy"));
    story.gateway("agw", GatewayOutcome::Mixed { runs: "unknown".into() });
    story.say(EventKind::Interrupted { signal: "SIGTERM".into() }).say(EventKind::NightEnded);
    assert_eq!(codes(&story), [5, 4, 130]);
}

#[test]
fn a_gateway_that_was_brought_back_without_a_word_of_why_is_a_failed_upgrade() {
    let mut story = upgrading();
    for gateway in ["agw", "feg1"] {
        story.gateway(gateway, GatewayOutcome::Restored { to: OLD.into() });
    }
    story.say(EventKind::NightEnded);
    assert_eq!(codes(&story), [4]);
}

#[test]
fn a_signal_and_a_deadline_are_reasons_of_their_own() {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy"]);
    story.say(EventKind::DeadlinePassed { deadline: Duration::from_secs(9_900) }).say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["cut off by the night's deadline of 2h45m"]);
    story.say(EventKind::Interrupted { signal: "SIGINT".into() });
    story.fails(Step::Test, None, 1, Problem::new(Class::Interrupted, "interrupted"));
    assert_eq!(codes(&story), [130, 6]);
}

#[test]
fn a_case_that_was_started_and_has_no_verdict_is_never_a_pass() {
    let mut story = tested();
    story.case_begins("gxgy", 2, "late").say(EventKind::NightEnded);
    assert_eq!(texts(&story), ["`gxgy`: late was started and has no verdict"]);
    assert_eq!(codes(&story), [6]);
}

#[test]
fn a_deadline_that_passes_when_all_is_done_has_cut_nothing_off() {
    let mut story = tested();
    story.say(EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(OLD.into()) });
    story.say(EventKind::DeadlinePassed { deadline: Duration::from_secs(9_900) }).say(EventKind::NightEnded);
    assert_eq!(texts(&story), [""; 0]);
}

#[test]
fn a_report_that_could_not_be_written_is_the_least_of_reasons() {
    let mut story = tested();
    let problem = Problem::new(Class::Report, "cannot write").because("no space left on device");
    story.say(EventKind::ReportFailed { report: "junit.xml".into(), problem }).say(EventKind::NightEnded);
    assert_eq!(codes(&story), [7]);
    assert_eq!(texts(&story), ["`junit.xml`: cannot write: no space left on device"]);
}

#[test]
fn the_consoles_of_very_many_cases_take_a_limited_room_and_every_case_keeps_its_place() {
    let mut summary = Summary::default();
    for number in 0..5_000 {
        let judgement = match number % 2 {
            0 => Judgement::Passed,
            _ => Judgement::Failed { message: "m".repeat(70_000).into() },
        };
        let case = Case {
            number,
            name: "case".into(),
            params: "".into(),
            verdict: None,
            judgement,
            took: Duration::ZERO,
            details: "d".repeat(70_000).into(),
            console: "ü".repeat(50_000).into(),
            is_missing: false,
        };
        summary.finish_case("gxgy", &case);
    }
    let cases = &summary.suites[0].cases;
    assert_eq!(cases.len(), 5_000);
    assert!(cases[0].console.len() > MOST_OF_A_CASE - 4 && cases[0].console.len() < MOST_OF_A_CASE + 100);
    let kept: usize = cases
        .iter()
        .map(|case| match &case.judgement {
            Judgement::Failed { message } => message.len() + case.details.len() + case.console.len(),
            _ => case.details.len() + case.console.len(),
        })
        .sum();
    // What is left out is said, in a line for each text.
    assert!(kept < ROOM + 5_000 * 3 * 50, "{kept}");
}

#[test]
fn the_middle_of_a_long_text_is_left_out_between_characters() {
    assert_eq!(head_and_tail("short", 5), "short");
    assert_eq!(head_and_tail("aü-ö-b", 4), "a\n[... 5 bytes left out ...]\n-b");
}
