//! What the gate makes of a night: known failures, required cases, attempts, and what is slower than usual.

use std::time::Duration;

use time::macros::{date, datetime};

use super::super::*;
use crate::event::EventKind;
use crate::gate::{CameTo, Exceeded, Flaky, Gate, KnownFailure, MaxDuration, Required};
use crate::memory::{CaseMemory, Memory, Past, SuiteMemory};
use crate::report::nights::{NEW, OLD, Story};
use crate::secret::{Redactor, Secret};

/// A night with one suite, run as often as there are attempts.
fn night(gate: Gate, attempts: &[&[(&str, &str)]]) -> Story {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy"]).obeys(gate);
    for cases in attempts {
        story.attempt("gxgy", cases);
    }
    story.say(EventKind::NightEnded);
    story
}

fn known(case: &str, until: time::Date) -> Gate {
    let case = case.parse().expect("it is a pattern");
    let known = KnownFailure { suite: "gxgy".to_owned(), case, reason: "magma#7".into(), until };
    Gate { known_failures: vec![known], ..Gate::default() }
}

/// What each case came to, and the status.
fn comes_to(story: &Story) -> (Vec<(String, CameTo)>, Status) {
    let summary = story.summary();
    let suite = summary.judged_suite("gxgy").expect("it was planned");
    let standings = suite.standings().into_iter();
    (standings.map(|standing| (standing.case.name.shown().to_owned(), standing.came_to)).collect(), summary.status())
}

fn texts(story: &Story) -> Vec<String> {
    story.summary().reasons().into_iter().map(|reason| reason.text).collect()
}

fn named(cases: &[(&str, CameTo)]) -> Vec<(String, CameTo)> {
    cases.iter().map(|&(name, came_to)| (name.to_owned(), came_to)).collect()
}

const FAILS: &[(&str, &str)] = &[("a", "PASS"), ("b", "FAIL")];
const PASSES: &[(&str, &str)] = &[("a", "PASS"), ("b", "PASS")];

#[test]
fn a_known_failure_is_counted_apart_until_its_day_has_passed() {
    let until_the_day = night(known("b*", date!(2026 - 11 - 22)), &[FAILS]);
    assert_eq!(comes_to(&until_the_day), (named(&[("a", CameTo::Passed), ("b", CameTo::Known)]), Status::Passed));
    assert_eq!(until_the_day.summary().counts(), Counts { passed: 1, known: 1, ..Counts::default() });
    let past_it = night(known("b*", date!(2026 - 11 - 21)), &[FAILS]);
    assert_eq!(texts(&past_it), ["`gxgy`: 1 of 2 cases failed: b"]);
    let summary = past_it.summary();
    let standing = summary.judged_suite("gxgy").expect("it is there").standings().remove(1);
    assert_eq!(standing.message.as_deref(), Some("b is wrong\nit was known until 2026-11-21: magma#7"));
}

#[test]
fn a_known_failure_excuses_no_case_without_a_verdict() {
    let story = night(known("b", date!(2026 - 12 - 31)), &[&[("a", "PASS"), ("b", "")]]);
    assert_eq!(comes_to(&story), (named(&[("a", CameTo::Passed), ("b", CameTo::Error)]), Status::Inconclusive));
}

#[test]
fn a_known_failure_that_passes_is_fixed_and_an_error_where_the_gate_is_strict() {
    let gate = known("b", date!(2026 - 12 - 31));
    let lenient = night(gate.clone(), &[PASSES]);
    assert_eq!(lenient.summary().status(), Status::Passed);
    assert_eq!(lenient.summary().changes().obsolete, [("gxgy".to_owned(), "b".to_owned())]);
    let strict = night(Gate { strict: true, ..gate }, &[PASSES]);
    assert_eq!(comes_to(&strict), (named(&[("a", CameTo::Passed), ("b", CameTo::Error)]), Status::Inconclusive));
}

#[test]
fn a_case_that_passed_only_later_is_flaky_and_keeps_its_attempts() {
    let story = night(Gate::default(), &[FAILS, PASSES]);
    assert_eq!(comes_to(&story), (named(&[("a", CameTo::Passed), ("b", CameTo::Flaky)]), Status::Passed));
    let summary = story.summary();
    let standing = summary.judged_suite("gxgy").expect("it is there").standings().remove(1);
    assert_eq!(standing.story(), ["attempt 1: failed: b is wrong", "attempt 2: passed"]);
    let strict = night(Gate { flaky: Flaky::Fail, ..Gate::default() }, &[FAILS, PASSES]);
    assert_eq!(texts(&strict), ["`gxgy`: 1 of 2 cases flaky: b"]);
    assert_eq!(strict.summary().status(), Status::TestsFailed);
}

#[test]
fn a_case_that_passed_first_and_failed_then_is_flaky_too() {
    let story = night(Gate::default(), &[FAILS, &[("a", "FAIL"), ("b", "PASS")]]);
    assert_eq!(comes_to(&story), (named(&[("a", CameTo::Flaky), ("b", CameTo::Flaky)]), Status::Passed));
}

#[test]
fn a_case_that_never_passed_has_failed_however_often_it_was_run() {
    let story = night(Gate::default(), &[FAILS, &[("a", "PASS"), ("b", "")], FAILS]);
    assert_eq!(comes_to(&story).1, Status::TestsFailed);
    assert_eq!(texts(&story), ["`gxgy`: 1 of 2 cases failed: b"]);
}

#[test]
fn an_attempt_that_was_cut_off_is_made_good_by_a_whole_one_only() {
    let cut: &[(&str, &str)] = &[("a", "PASS"), ("(case 2 of 2)", ""), ("(suite)", "")];
    let whole = night(Gate::default(), &[cut, PASSES]);
    assert_eq!(whole.summary().status(), Status::Passed);
    let never = night(Gate::default(), &[cut, cut]);
    assert_eq!(never.summary().status(), Status::Inconclusive);
    // Of what the first attempt did not come to, the second has to say something.
    let still = night(Gate::default(), &[cut, &[("a", "PASS"), ("b", "")]]);
    assert_eq!(still.summary().status(), Status::Inconclusive);
}

#[test]
fn a_whole_attempt_settles_nothing_that_went_wrong_after_it_or_that_it_did_not_have() {
    // The second run hung, whatever the first one came to.
    let hung: &[(&str, &str)] = &[("a", "PASS"), ("b", "PASS"), ("(suite)", "")];
    assert_eq!(night(Gate::default(), &[FAILS, hung]).summary().status(), Status::Inconclusive);
    // The first one announced five, and the second is whole with two.
    let cut: &[(&str, &str)] =
        &[("a", "PASS"), ("b", "PASS"), ("(case 3 of 5)", ""), ("(case 4 of 5)", ""), ("(case 5 of 5)", "")];
    assert_eq!(night(Gate::default(), &[cut, PASSES]).summary().status(), Status::Inconclusive);
}

#[test]
fn a_case_that_hung_is_not_one_that_is_missing_whatever_its_number() {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy"]).obeys(known("*", date!(2026 - 12 - 31))).suite("gxgy", 2);
    story.case("gxgy", 0, "a", None, crate::event::Judgement::Error { message: "no verdict".into() });
    story.passes("gxgy", 1, "b").suite_ends("gxgy", Some("PASS"), None).say(EventKind::NightEnded);
    assert_eq!(story.summary().status(), Status::Inconclusive);
}

#[test]
fn a_baseline_that_cannot_be_had_makes_the_night_inconclusive() {
    let story = night(Gate { required: Required::Baseline, ..Gate::default() }, &[PASSES]);
    assert_eq!(
        texts(&story),
        ["`gxgy`: it is not known which cases must be there (`gate.required`): the history could not be asked"]
    );
}

#[test]
fn what_is_tested_is_what_the_access_gateway_runs_and_the_others_are_heard() {
    let told = |agw: &str, feg: Option<&str>| {
        let mut story = Story::new();
        story.begins("run", &["feg1"], &["gxgy"]);
        for (gateway, runs) in [("agw", Some(agw)), ("feg2", feg)] {
            story.say(EventKind::GatewayFound { gateway: gateway.to_owned(), runs: runs.map(Into::into) });
        }
        story.say(EventKind::ReleaseResolved { wanted: "latest".into(), version: NEW.into(), tag: None });
        story.gateway("feg1", crate::event::GatewayOutcome::Upgraded { from: None, to: "5d2e8f90".into() });
        story.attempt("gxgy", PASSES).say(EventKind::NightEnded);
        let summary = story.summary();
        assert_eq!(summary.status(), Status::Passed, "one that is not switched has no outcome");
        (summary.tested(), summary.strangers())
    };
    assert_eq!(told(NEW, Some("5d2e8f90")), (Some(NEW.to_owned()), vec![]));
    assert_eq!(told(NEW, Some("5d2e8f90 (a1b2)")).1, [""; 0]);
    assert_eq!(told(NEW, Some("3f7c21ab")).1, ["`feg2` ran 3f7c21ab"]);
    assert_eq!(told(NEW, None).1, ["`feg2` ran nothing that is known"]);
    // Only the FEGs were upgraded: the release was not tested.
    let (tested, strangers) = told(OLD, Some("5d2e8f90"));
    assert_eq!((tested.as_deref(), strangers.len()), (Some(OLD), 2));
}

#[test]
fn a_tag_that_many_releases_have_tells_what_is_tested_only_where_the_night_has_brought_all_to_one() {
    use crate::event::GatewayOutcome::{Unchanged, Upgraded};
    let strangers = |template: &str, agw: bool, feg: bool, runs: &str| {
        let mut story = Story::new();
        story.begins("run", &[], &["gxgy"]).tagged(template);
        for (gateway, runs) in [("agw", NEW), ("feg1", runs)] {
            story.say(EventKind::GatewayFound { gateway: gateway.to_owned(), runs: Some(runs.into()) });
        }
        if agw {
            story.gateway("agw", Unchanged { at: NEW.into() });
        }
        if feg {
            story.gateway("feg1", Upgraded { from: None, to: runs.into() });
        }
        story.attempt("gxgy", PASSES).say(EventKind::NightEnded);
        story.summary().strangers()
    };
    let line = "{major}.{minor}";
    assert_eq!(strangers(line, true, true, "1.9"), [""; 0]);
    let unsure = ["`feg1` ran 1.9, which may be of another release"];
    // `--only agw`, `--only feg`, and no upgrade at all.
    for (agw, feg) in [(true, false), (false, true), (false, false)] {
        assert_eq!(strangers(line, agw, feg, "1.9"), unsure, "{agw} {feg}");
        assert_eq!(strangers("v{version}", agw, feg, &format!("v{NEW}")), [""; 0], "{agw} {feg}");
    }
    assert_eq!(strangers(line, true, true, "1.8"), ["`feg1` ran 1.8"]);
}

#[test]
fn a_case_that_is_open_when_its_suite_is_run_again_had_no_verdict() {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy"]).suite("gxgy", 1).case_begins("gxgy", 1, "a");
    story.suite_ends("gxgy", Some("PASS"), None).attempt("gxgy", &[("a", "PASS")]).say(EventKind::NightEnded);
    assert_eq!(comes_to(&story).0, named(&[("a", CameTo::Flaky)]));
}

#[test]
fn a_case_that_must_be_there_and_is_not_makes_the_night_inconclusive_by_name() {
    let cases = ["b".to_owned(), "c".to_owned()].into();
    let gate = Gate { required: Required::Named([("gxgy".to_owned(), cases)].into()), ..Gate::default() };
    let story = night(gate, &[PASSES]);
    assert_eq!(texts(&story), ["`gxgy`: 1 of 3 cases inconclusive: c"]);
}

#[test]
fn a_case_that_is_known_to_be_missing_is_counted_apart() {
    let cases = ["b".to_owned(), "c".to_owned()].into();
    let required = Required::Named([("gxgy".to_owned(), cases)].into());
    let story = night(Gate { required, ..known("c", date!(2026 - 12 - 31)) }, &[PASSES]);
    assert_eq!(story.summary().status(), Status::Passed);
    assert_eq!(story.summary().counts(), Counts { passed: 2, known: 1, ..Counts::default() });
}

fn past(run: &str, release: &str) -> Past {
    Past { run: run.to_owned(), started: datetime!(2026-11-21 23:05 UTC), release: Some(release.to_owned()) }
}

/// A night that knows of one before.
fn remembering(gate: Gate, case: CaseMemory, cases: &[(&str, &str)]) -> Story {
    let suite = SuiteMemory { usual: Some(Duration::from_secs(100)), cases: [("b".to_owned(), case)].into() };
    let memory =
        Memory { previous: Some(past("r1", OLD)), suites: [("gxgy".to_owned(), suite)].into(), ..Memory::default() };
    let mut story = Story::new();
    story.begins("run", &["agw"], &["gxgy"]).obeys(gate).say(EventKind::Remembered(memory));
    story.gateway("agw", crate::event::GatewayOutcome::Unchanged { at: NEW.into() });
    story.attempt("gxgy", cases).say(EventKind::NightEnded);
    story
}

#[test]
fn the_baseline_is_what_the_last_green_night_had() {
    let gate = Gate { required: Required::Baseline, ..Gate::default() };
    let case = CaseMemory { is_baseline: true, ..CaseMemory::default() };
    assert_eq!(texts(&remembering(gate.clone(), case.clone(), PASSES)), [""; 0]);
    assert_eq!(texts(&remembering(gate, case, &[("a", "PASS")])), ["`gxgy`: 1 of 2 cases inconclusive: b"]);
}

#[test]
fn what_is_slower_than_usual_is_said_and_fails_where_the_config_says_so() {
    let limit = |exceeded, suite, case| {
        let limit = MaxDuration { suite, case, exceeded };
        Gate { max_duration: [("gxgy".to_owned(), limit)].into(), ..Gate::default() }
    };
    let usual = CaseMemory { usual: Some(Duration::from_secs(30)), ..CaseMemory::default() };
    let warned = remembering(limit(Exceeded::Warn, Some(1.5), Some(2.0)), usual.clone(), PASSES);
    assert_eq!(warned.summary().status(), Status::Passed);
    let slower = warned.summary().changes().slower;
    assert_eq!(
        slower,
        [
            ("gxgy".to_owned(), Some("b".to_owned()), "slower than usual: 1m2s, and 30s is usual".to_owned()),
            ("gxgy".to_owned(), None, "slower than usual: 3m12s, and 1m40s is usual".to_owned()),
        ]
    );
    let failed = remembering(limit(Exceeded::Fail, Some(1.5), Some(2.0)), usual.clone(), PASSES);
    assert_eq!(
        texts(&failed),
        ["`gxgy`: 1 of 2 cases failed: b", "`gxgy`: slower than usual: 3m12s, and 1m40s is usual"]
    );
    let usual_enough = remembering(limit(Exceeded::Fail, Some(2.0), Some(2.1)), usual, PASSES);
    assert_eq!(texts(&usual_enough), [""; 0]);
}

#[test]
fn since_when_a_case_does_not_pass_is_told_with_the_commits_between() {
    let told = |case: CaseMemory| {
        let story = remembering(Gate::default(), case, FAILS);
        let summary = story.summary();
        let suite = summary.judged_suite("gxgy").expect("it is there");
        let since = summary.since(&suite, &suite.standings()[1]).expect("history was asked");
        (since.text(), since.commits)
    };
    let good = Some(past("r1", OLD));
    let (text, commits) = told(CaseMemory { last_good: good.clone(), ..CaseMemory::default() });
    assert_eq!(text, format!("new: it passed last 2026-11-21 on {OLD}"));
    assert_eq!(commits.as_deref(), Some("https://github.com/magma/magma/compare/3f7c21ab...5d2e8f90"));
    let (text, commits) =
        told(CaseMemory { last_good: good, bad_since: Some(past("r2", OLD)), ..CaseMemory::default() });
    assert_eq!(text, format!("since 2026-11-21 on {OLD}; it passed last 2026-11-21 on {OLD}"));
    assert_eq!(commits, None, "it was the same release");
    let (text, _) = told(CaseMemory { bad_since: Some(past("r2", OLD)), ..CaseMemory::default() });
    assert_eq!(text, format!("since 2026-11-21 on {OLD}, as far as history goes"));
}

#[test]
fn what_is_fixed_and_what_is_missing_is_told() {
    let before = CaseMemory { before: Some(CameTo::Failed), ..CaseMemory::default() };
    let b = || vec![("gxgy".to_owned(), "b".to_owned())];
    assert_eq!(remembering(Gate::default(), before.clone(), PASSES).summary().changes().fixed, b());
    assert_eq!(remembering(Gate::default(), before, &[("a", "PASS")]).summary().changes().missing, b());
}

#[test]
fn a_secret_in_the_name_of_a_case_makes_no_other_failure_a_known_one_and_no_known_one_new() {
    Redactor::process().learn(&Secret::new("gate_user"));
    let failed: &[(&str, &str)] = &[("gate_user_01", "FAIL"), ("attach_01", "FAIL")];
    let until = date!(2099 - 01 - 01);
    // These are about `***_01`, which is what is shown, and not about the name.
    for pattern in ["[*]*_01", "???_01"] {
        let expected = named(&[("***_01", CameTo::Failed), ("attach_01", CameTo::Failed)]);
        assert_eq!(comes_to(&night(known(pattern, until), &[failed])), (expected, Status::TestsFailed), "{pattern}");
    }
    let expected = named(&[("***_01", CameTo::Known), ("attach_01", CameTo::Failed)]);
    assert_eq!(comes_to(&night(known("g*_01", until), &[failed])), (expected, Status::TestsFailed));
}

#[test]
fn a_case_that_must_be_there_is_known_by_its_name_and_not_by_what_is_shown_of_it() {
    Redactor::process().learn(&Secret::new("gate_required"));
    let passed: &[(&str, &str)] = &[("gate_required_01", "PASS")];
    let required = |name: &str| Gate {
        required: Required::Named([("gxgy".to_owned(), [name.to_owned()].into())].into()),
        ..Gate::default()
    };
    assert_eq!(comes_to(&night(required("gate_required_01"), &[passed])).1, Status::Passed);
    assert_eq!(comes_to(&night(required("***_01"), &[passed])).1, Status::Inconclusive);
}

#[test]
fn attempts_at_two_cases_that_only_secrets_tell_apart_are_not_taken_for_attempts_at_one() {
    ["gate_first", "gate_second"].iter().for_each(|secret| Redactor::process().learn(&Secret::new(*secret)));
    // The first fails twice, in another order.
    let attempts: [&[(&str, &str)]; 2] = [
        &[("attach_gate_first", "FAIL"), ("attach_gate_second", "PASS")],
        &[("attach_gate_second", "PASS"), ("attach_gate_first", "FAIL")],
    ];
    let (cases, status) = comes_to(&night(Gate::default(), &attempts));
    assert_eq!(cases, named(&[("attach_***", CameTo::Failed), ("attach_***", CameTo::Passed)]));
    assert_eq!(status, Status::TestsFailed);
}
