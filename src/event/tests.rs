use std::collections::BTreeSet;

use super::*;
use crate::error::one_of_each;
use crate::gate::KnownFailure;
use crate::secret::{Redactor, Secret};

#[test]
fn an_outcome_names_each_package_that_changed_once() {
    let change = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
        name: name.into(),
        from: from.map(Into::into),
        to: to.map(Into::into),
    };
    let packages = [
        change("magma", Some("2"), Some("1")),
        change("magma-sctpd", Some("2"), Some("1")),
        change("magma-dhcp-cli", Some("1"), Some("1")),
        change("magma-new", None, Some("1")),
    ];
    let downgraded = GatewayOutcome::Downgraded { from: "2".into(), to: "1".into() };
    assert_eq!(
        downgraded.with_packages(&packages),
        "downgraded 2 -> 1 (magma-sctpd 2 -> 1, magma-new not installed -> 1)"
    );
    let unchanged = GatewayOutcome::Unchanged { at: "1".into() };
    assert_eq!(unchanged.with_packages(&packages[2..3]), "unchanged at 1");
}

/// One event of each kind; what has parts that are of several kinds comes with each.
fn one_of_each_kind() -> Vec<EventKind> {
    let host = || Some("agw".to_owned());
    let problem = || Problem::testbed("message").because("cause").hint("hint");
    let case = |judgement| Case {
        params: "params".into(),
        verdict: Some("FAIL".into()),
        judgement,
        details: "details".into(),
        console: "console".into(),
        ..Case::unjudged(1, "attach", "message")
    };
    let finished =
        |outcome| EventKind::StepFinished { step: Step::Verify, host: host(), outcome, took: Duration::ZERO };
    let version = || RedactedText::from("1.9.0-1668000000-5d2e8f90");
    let packages = || vec![PackageChange { name: "magma".into(), from: Some(version()), to: Some(version()) }];
    let gateway = |outcome| EventKind::GatewayFinished { gateway: "agw".to_owned(), outcome, packages: packages() };
    let known = KnownFailure {
        suite: "s6a".to_owned(),
        case: "attach_*".parse().expect("a pattern"),
        reason: "reason".into(),
        until: time::macros::date!(2026 - 12 - 31),
    };
    let night = Night {
        format: FORMAT,
        run: "20261130-0800-abcd".to_owned(),
        program: "0.1.0".to_owned(),
        command: "run".to_owned(),
        setup: Some("lab".to_owned()),
        url: Some("https://ci/1".into()),
        wanted: Some("latest".into()),
        gateways: vec!["agw".to_owned()],
        suites: vec![PlannedSuite { suite: "s6a".to_owned(), list: "s6a.ntl".to_owned() }],
        steps: vec![Step::Connect],
        tag: Some("{commit}".to_owned()),
        gate: Gate { known_failures: vec![known], ..Gate::default() },
        compare: Some("https://example.org/{good}...{bad}".into()),
    };
    let of_each = one_of_each! {
        EventKind::NightStarted(_) => EventKind::NightStarted(night),
        EventKind::Remembered(_) => EventKind::Remembered(Memory::default()),
        EventKind::StepStarted { .. } => EventKind::StepStarted { step: Step::Connect, host: host() },
        EventKind::StepFinished { .. } => finished(StepOutcome::Failed(problem())),
        EventKind::Noted { .. } =>
            EventKind::Noted { step: Step::Test, host: host(), level: Level::Info, text: "text".into() },
        EventKind::Output { .. } => EventKind::Output { step: Step::Test, host: host(), line: "line".into() },
        EventKind::Commanded { .. } =>
            EventKind::Commanded { step: Step::Test, host: "agw".to_owned(), command: "command".into() },
        EventKind::TunnelUp { .. } => EventKind::TunnelUp { device: "tun0".into(), address: "10.0.0.1".into() },
        EventKind::TunnelLost { .. } => EventKind::TunnelLost { reason: "reason".into() },
        EventKind::TunnelBack { .. } => EventKind::TunnelBack { after: Duration::ZERO },
        EventKind::ReleasePassedOver { .. } =>
            EventKind::ReleasePassedOver { version: version(), reason: "reason".into(), age: Duration::ZERO },
        EventKind::ReleaseResolved { .. } => EventKind::ReleaseResolved {
            wanted: "latest".into(), version: version(), tag: Some("5d2e8f90".into()),
        },
        EventKind::GatewayFound { .. } => EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(version()) },
        EventKind::GatewayFinished { .. } => gateway(GatewayOutcome::Mixed { runs: "runs".into() }),
        EventKind::SuiteStarted { .. } => EventKind::SuiteStarted {
            suite: "s6a".to_owned(), list: "s6a.ntl".to_owned(), host: "ng40".to_owned(), attempt: 1,
        },
        EventKind::SuitePlanned { .. } => EventKind::SuitePlanned { suite: "s6a".to_owned(), cases: 1 },
        EventKind::CaseStarted { .. } =>
            EventKind::CaseStarted { suite: "s6a".to_owned(), number: 1, case: "attach".into() },
        EventKind::CaseFinished { .. } => EventKind::CaseFinished {
            suite: "s6a".to_owned(), case: case(Judgement::Failed { message: "message".into() }),
        },
        EventKind::CaseExplained { .. } => EventKind::CaseExplained {
            suite: "s6a".to_owned(), case: case(Judgement::Error { message: "message".into() }),
        },
        EventKind::SuiteFinished { .. } => EventKind::SuiteFinished {
            suite: "s6a".to_owned(),
            end: SuiteEnd {
                verdict: Some("FAIL".into()),
                planned: Some(1),
                exit: "exit".into(),
                took: Duration::ZERO,
                notes: vec!["note".into()],
                problem: Some(problem()),
            },
        },
        EventKind::Collected { .. } =>
            EventKind::Collected { host: "agw".to_owned(), path: "hosts/agw/x".into(), bytes: 1 },
        EventKind::Interrupted { .. } => EventKind::Interrupted { signal: "SIGINT".into() },
        EventKind::DeadlinePassed { .. } => EventKind::DeadlinePassed { deadline: Duration::ZERO },
        EventKind::ReportFailed { .. } => EventKind::ReportFailed { report: "run.json".into(), problem: problem() },
        EventKind::InternalError { .. } => EventKind::InternalError { problem: problem() },
        EventKind::NightEnded => EventKind::NightEnded,
    };
    let outcomes = one_of_each! {
        StepOutcome::Done { .. } => StepOutcome::Done { text: "text".into() },
        StepOutcome::Failed(_) => StepOutcome::Failed(problem()),
        StepOutcome::Skipped { .. } => StepOutcome::Skipped { reason: "reason".into() },
    };
    let gateways = one_of_each! {
        GatewayOutcome::Upgraded { .. } => GatewayOutcome::Upgraded { from: Some(version()), to: version() },
        GatewayOutcome::Downgraded { .. } => GatewayOutcome::Downgraded { from: version(), to: version() },
        GatewayOutcome::Unchanged { .. } => GatewayOutcome::Unchanged { at: version() },
        GatewayOutcome::Restored { .. } => GatewayOutcome::Restored { to: version() },
        GatewayOutcome::Mixed { .. } => GatewayOutcome::Mixed { runs: "runs".into() },
    };
    let outcomes = outcomes.into_iter().map(finished);
    of_each.into_iter().chain(outcomes).chain(gateways.into_iter().map(gateway)).collect()
}

/// The texts that the program decides with, and that redaction therefore leaves as they are. All others are masked.
const NAMES: &[&str] = &[
    "case_explained/suite",
    "case_finished/suite",
    "case_started/suite",
    "collected/host",
    "commanded/host",
    "gateway_finished/gateway",
    "gateway_found/gateway",
    "night_started/command",
    "night_started/gate/known_failures/0/case",
    "night_started/gate/known_failures/0/suite",
    "night_started/gateways/0",
    "night_started/program",
    "night_started/run",
    "night_started/setup",
    "night_started/suites/0/list",
    "night_started/suites/0/suite",
    "night_started/tag",
    "noted/host",
    "output/host",
    "step_finished/host",
    "step_started/host",
    "suite_finished/suite",
    "suite_planned/suite",
    "suite_started/host",
    "suite_started/list",
    "suite_started/suite",
];

/// The places of all texts in a document, as JSON pointers.
fn texts(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(_) => found.push(at.to_owned()),
        serde_json::Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| texts(value, &format!("{at}/{index}"), found));
        }
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| texts(value, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

#[test]
fn no_text_of_any_event_holds_a_secret_and_no_name_is_changed() {
    const SECRET: &str = "only-no_text_of_any_event";
    Redactor::process().learn(&Secret::new(SECRET));
    let planted = format!("1 {SECRET} 2");
    let mut names = BTreeSet::new();
    for kind in one_of_each_kind() {
        let document = serde_json::to_value(&kind).expect("an event is plain data");
        let mut places = Vec::new();
        texts(&document, "", &mut places);
        for place in places {
            let mut changed = document.clone();
            *changed.pointer_mut(&place).expect("it was found there") = planted.clone().into();
            // What takes no other text is a word of ours.
            let Ok(heard) = serde_json::from_value::<EventKind>(changed) else { continue };
            let written = serde_json::to_value(heard).expect("an event is plain data");
            let written = written.pointer(&place).expect("it is there again");
            if *written == planted {
                let event = document["event"].as_str().expect("every event has a name");
                names.insert(format!("{event}{place}"));
            } else {
                assert_eq!(written, "1 *** 2", "{place} of {kind:?}");
            }
        }
    }
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), NAMES);
}
