//! May it ship: what the nights say of a release, by the rules of today.

use super::*;
use crate::event::EventKind;
use crate::gate::{Flaky, Gate, KnownFailure, Required};
use crate::history::ship::{Answer, Question, Ships};
use crate::summary::Counts;

const SETUP: &str = "gate";

/// A night of the newer release, at an hour, with the attempts at one suite.
fn tested(hour: u8, attempts: &[&[(&str, &str)]]) -> Entry {
    tested_by(Gate::default(), hour, attempts)
}

fn tested_by(gate: Gate, hour: u8, attempts: &[&[(&str, &str)]]) -> Entry {
    let mut story = Story::new();
    story
        .begins("run", &["agw"], &["s6a"])
        .obeys(gate)
        .gateway("agw", crate::event::GatewayOutcome::Unchanged { at: NEW.into() });
    for cases in attempts {
        story.attempt("s6a", cases);
    }
    story.say(EventKind::NightEnded);
    let started = datetime!(2026-11-23 0:00 UTC) + Duration::from_secs(3600 * u64::from(hour));
    Entry { setup: Some(SETUP.to_owned()), started, ..night(&format!("gate-{hour:02}"), &story) }
}

fn question(gate: Gate) -> Question {
    Question {
        wanted: "5d2e8f90".parse().expect("it is a commit"),
        required: vec![(SETUP.to_owned(), vec!["s6a".to_owned()])],
        since: datetime!(2026-11-22 0:00 UTC),
        gate,
        today: time::macros::date!(2026 - 11 - 24),
    }
}

fn known(until: time::Date) -> Gate {
    let case = "b".parse().expect("it is a pattern");
    let known = KnownFailure { suite: "s6a".to_owned(), case, reason: "magma#7".into(), until };
    Gate { known_failures: vec![known], ..Gate::default() }
}

async fn asked(store: &Store, question: Question) -> (Ships, Vec<String>) {
    let answer: Answer = store.may_ship(&question).await.expect("it is read");
    (answer.verdict, answer.suites.into_iter().flat_map(|asked| asked.why).collect())
}

/// The baseline is what NG40 has judged in the last green night, in whatever attempt; not what stands for a list, nor what an
/// import has.
async fn the_baseline_is_what_was_judged(place: &Place) {
    let store = open(place).await;
    let cut: &[(&str, &str)] = &[("a", "PASS"), ("b", ""), ("(suite)", "")];
    let entry = Entry { setup: Some("base".to_owned()), ..tested(6, &[cut, &[("a", "PASS"), ("b", "PASS")]]) };
    store.keep(&entry).await.expect("it is kept");
    let started = entry.started + Duration::from_secs(60);
    let import = Entry { command: "import".to_owned(), run: "partial".to_owned(), started, ..entry.clone() };
    let import = Entry { suites: import.suites.iter().cloned().map(only_a).collect(), ..import };
    store.keep(&import).await.expect("it is kept");
    let nights = store.nights("base", 10).await.expect("it is read");
    let memory = store.recall("base", &["s6a".to_owned()], &nights).await.expect("it is read");
    let cases = &memory.suites["s6a"].cases;
    let baseline: Vec<&String> = cases.iter().filter(|(_, case)| case.is_baseline).map(|(name, _)| name).collect();
    assert_eq!(baseline, ["a", "b"]);
    store.close().await;
}

fn only_a(mut suite: crate::history::entry::PastSuite) -> crate::history::entry::PastSuite {
    suite.cases.retain(|case| case.case == "a");
    suite
}

pub(super) async fn holds(place: &Place) {
    the_baseline_is_what_was_judged(place).await;
    let store = open(place).await;
    let why = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let plain = || question(Gate::default());
    assert_eq!(asked(&store, plain()).await, (Ships::Unknown, why(&["no night has tested this release"])));

    // Cut off: nothing is known.
    store.keep(&tested(1, &[&[("a", "PASS"), ("b", "")]])).await.expect("it is kept");
    assert_eq!(asked(&store, plain()).await, (Ships::Unknown, why(&["b"])));
    let other = vec![(SETUP.to_owned(), vec!["s6a".to_owned(), "gxgy".to_owned()])];
    let more = Question { required: other, ..plain() };
    assert_eq!(asked(&store, more).await, (Ships::Unknown, why(&["b", "it has not been run on this release"])));

    store.keep(&tested(2, &[&[("a", "PASS"), ("b", "FAIL")]])).await.expect("it is kept");
    assert_eq!(asked(&store, plain()).await, (Ships::No, why(&["b"])));
    // A failure that has become known since is none.
    assert_eq!(asked(&store, question(known(time::macros::date!(2026 - 12 - 31)))).await, (Ships::Yes, why(&[])));
    assert_eq!(asked(&store, question(known(time::macros::date!(2026 - 11 - 23)))).await, (Ships::No, why(&["b"])));

    // One that could not tell does not take back what an earlier one said.
    store.keep(&tested(3, &[&[("a", "PASS"), ("b", "")]])).await.expect("it is kept");
    assert_eq!(asked(&store, plain()).await, (Ships::No, why(&["b"])));

    let twice: &[&[(&str, &str)]] = &[&[("a", "PASS"), ("b", "FAIL")], &[("a", "PASS"), ("b", "PASS")]];
    store.keep(&tested(4, twice)).await.expect("it is kept");
    assert_eq!(asked(&store, plain()).await, (Ships::Yes, why(&[])));
    let strict = question(Gate { flaky: Flaky::Fail, ..Gate::default() });
    assert_eq!(asked(&store, strict).await, (Ships::No, why(&["b (flaky)"])));

    // Of two of one moment, and of two of which one has no time zone, it is not known which is the newer one.
    let at = |setup: &str, entry: Entry, run: &str, unsure_ms| Entry {
        setup: Some(setup.to_owned()),
        run: format!("{setup}-{run}"),
        unsure_ms,
        ..entry
    };
    let (green, red) = ([("a", "PASS")], [("a", "FAIL")]);
    for (setup, of_green, of_red, expected) in [
        ("tie", (5, 0), (5, 0), Ships::No),
        ("rerun", (6, 0), (5, 0), Ships::Yes),
        ("local", (6, 14 * 3_600_000), (5, 0), Ships::No),
        ("local-red", (6, 0), (5, 14 * 3_600_000), Ships::No),
        ("long-ago", (20, 14 * 3_600_000), (5, 0), Ships::Yes),
    ] {
        for run in ["1", "2"] {
            let entry = at(setup, tested(of_green.0, &[&green]), &format!("green-{run}"), of_green.1);
            store.keep(&entry).await.expect("it is kept");
            store.keep(&at(setup, tested(of_red.0, &[&red]), "red", of_red.1)).await.expect("it is kept");
        }
        let required = vec![(setup.to_owned(), vec!["s6a".to_owned()])];
        assert_eq!(asked(&store, Question { required, ..plain() }).await.0, expected, "{setup}");
    }
    // A run in which the program itself went wrong has not been seen whole.
    let broken = Entry { status: crate::summary::Status::InternalError, ..tested(9, &[&green]) };
    store.keep(&at("broken", broken, "1", 0)).await.expect("it is kept");
    let required = vec![("broken".to_owned(), vec!["s6a".to_owned()])];
    let why_broken = crate::summary::Status::InternalError.to_string();
    assert_eq!(asked(&store, Question { required, ..plain() }).await, (Ships::Unknown, why(&[&why_broken])));

    // Known and required are asked of the nights as of today.
    let named = |name: &str| Required::Named([("s6a".to_owned(), [name.to_owned()].into())].into());
    let whole = tested(7, &[&[("a", "PASS"), ("b", "PASS")]]);
    store.keep(&Entry { setup: Some("whole".to_owned()), ..whole }).await.expect("it is kept");
    let required = |name: &str| Question {
        required: vec![("whole".to_owned(), vec!["s6a".to_owned()])],
        ..question(Gate { required: named(name), ..Gate::default() })
    };
    assert_eq!(asked(&store, required("a")).await, (Ships::Yes, why(&[])));
    assert_eq!(asked(&store, required("c")).await, (Ships::Unknown, why(&["c was not run"])));
    // What could not be told does not become a yes when what failed beside it is known later on.
    let later = known(time::macros::date!(2026 - 12 - 31));
    let blind =
        tested_by(Gate { required: Required::Baseline, ..Gate::default() }, 8, &[&[("a", "PASS"), ("b", "FAIL")]]);
    store.keep(&Entry { setup: Some("blind".to_owned()), ..blind }).await.expect("it is kept");
    let of = |setup: &str, gate: Gate| Question {
        required: vec![(setup.to_owned(), vec!["s6a".to_owned()])],
        ..question(gate)
    };
    assert_eq!(asked(&store, of("blind", Gate::default())).await, (Ships::No, why(&["b"])));
    let unseen = "`s6a`: it is not known which cases must be there (`gate.required`): the history could not be asked";
    assert_eq!(asked(&store, of("blind", later.clone())).await, (Ships::Unknown, why(&[unseen])));
    // Nor does what was planned and has no outcome, when all that failed is known.
    let mut few = tested(11, &[&[("a", "PASS"), ("b", "FAIL")]]);
    few.suites[0].planned = Some(5);
    store.keep(&Entry { setup: Some("few".to_owned()), ..few }).await.expect("it is kept");
    let unseen = "2 of 5 planned cases have an outcome";
    assert_eq!(asked(&store, of("few", later.clone())).await, (Ships::Unknown, why(&[unseen])));
    // What was known to be missing has not failed on the day after.
    let without = tested_by(Gate { required: named("b"), ..later.clone() }, 9, &[&[("a", "PASS")]]);
    store.keep(&Entry { setup: Some("without".to_owned()), ..without }).await.expect("it is kept");
    assert_eq!(asked(&store, of("without", later)).await, (Ships::Yes, why(&[])));
    assert_eq!(asked(&store, of("without", Gate::default())).await, (Ships::Unknown, why(&["b was not run"])));

    // A night with a gateway that ran something else says nothing of the release.
    let mixture = Entry { strangers: Some("`feg1` ran 3f7c21ab".to_owned()), ..tested(5, &[&[("a", "PASS")]]) };
    store.keep(&Entry { setup: Some("mixed".to_owned()), ..mixture }).await.expect("it is kept");
    let mixed = Question { required: vec![("mixed".to_owned(), vec!["s6a".to_owned()])], ..plain() };
    assert_eq!(asked(&store, mixed).await, (Ships::Unknown, why(&["`feg1` ran 3f7c21ab"])));

    // What is too old says nothing.
    let late = Question { since: datetime!(2026-11-24 0:00 UTC), ..plain() };
    assert_eq!(asked(&store, late).await.0, Ships::Unknown);
    // A release that was only installed was not tested.
    let newer = Some("1.9.2-1669000000-0c0ffee0".to_owned());
    let installed = Entry { release: newer, suites: Vec::new(), counts: Counts::default(), ..tested(10, &[]) };
    store.keep(&installed).await.expect("it is kept");
    let latest = Question { wanted: "latest".parse().expect("a word"), ..plain() };
    assert_eq!(store.may_ship(&latest).await.expect("it is read").release.as_deref(), Some(NEW));
    let another = Question { wanted: "0badc0de".parse().expect("a commit"), ..plain() };
    assert_eq!(asked(&store, another).await.0, Ships::Unknown);
    store.close().await;
}
