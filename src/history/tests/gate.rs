//! May it ship: what the nights say of a release, by the rules of today.

use super::*;
use crate::event::EventKind;
use crate::gate::{Flaky, Gate, KnownFailure};
use crate::history::ship::{Answer, Question, Ships};

const SETUP: &str = "gate";

/// A night of the newer release, at an hour, with the attempts at one suite.
fn tested(hour: u8, attempts: &[&[(&str, &str)]]) -> Entry {
    let mut story = Story::new();
    story
        .begins("run", &["agw"], &["s6a"])
        .gateway("agw", crate::event::GatewayOutcome::Unchanged { at: NEW.to_owned() });
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
    let known = KnownFailure { suite: "s6a".to_owned(), case, reason: "magma#7".to_owned(), until };
    Gate { known_failures: vec![known], ..Gate::default() }
}

async fn asked(store: &Store, question: Question) -> (Ships, Vec<String>) {
    let answer: Answer = store.may_ship(&question).await.expect("it is read");
    (answer.verdict, answer.suites.into_iter().flat_map(|asked| asked.why).collect())
}

pub(super) async fn holds(place: &Place) {
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

    // What is too old says nothing.
    let late = Question { since: datetime!(2026-11-24 0:00 UTC), ..plain() };
    assert_eq!(asked(&store, late).await.0, Ships::Unknown);
    let latest = Question { wanted: "latest".parse().expect("a word"), ..plain() };
    assert_eq!(store.may_ship(&latest).await.expect("it is read").release.as_deref(), Some(NEW));
    let another = Question { wanted: "0badc0de".parse().expect("a commit"), ..plain() };
    assert_eq!(asked(&store, another).await.0, Ships::Unknown);
    store.close().await;
}
