//! The history against the real databases: SQLite, and a PostgreSQL of our own.

mod extremes;
mod gate;
mod older;
mod poisoned;
mod postgres;
mod story;
#[expect(dead_code, reason = "no program of ours is run here")]
#[path = "../../../tests/users/mod.rs"]
mod users;

use std::path::Path;
use std::time::Duration;

use time::macros::datetime;

use super::{Entry, Filter, HistoryError, Kept, Nights, Place, Store, parse_since};
use crate::config::Database;
use crate::error::{one_of_each, text};
use crate::event::{EventKind, GatewayOutcome, Problem, Step, StepOutcome};
use crate::report::nights::{NEW, OLD, Story, green, red, restored};
use crate::secret::Secret;
use postgres::Postgres;

/// The history in a folder.
fn sqlite(folder: &Path) -> Place {
    let database = Database::Sqlite(folder.join("nights of a lab?.sqlite"));
    Place { database, password: None, timeout: Duration::from_secs(20) }
}

/// What must hold in both databases.
async fn holds(place: &Place) {
    what_is_kept_comes_back(place).await;
    nights_that_are_written_at_once_are_all_kept(place).await;
    a_list_has_what_was_asked_for(place).await;
    steps_are_told_apart_by_what_was_switched(place).await;
    gate::holds(place).await;
    what_a_newer_program_made_is_refused(place).await;
}

#[tokio::test]
async fn nights_are_kept_in_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    holds(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn nights_are_kept_in_postgresql() {
    let server = Postgres::start();
    let place = server.place("teravm");
    holds(&place).await;
    let wrong = Place { password: Some(Secret::new("not the password")), ..place };
    let refused = wrong.open().await.map(drop).expect_err("the password is wrong");
    assert_eq!(refused.to_string(), format!("the history `{}` cannot be opened", wrong.database));
}

fn night(run: &str, story: &Story) -> Entry {
    Entry { run: run.to_owned(), ..Entry::of(&story.summary()).expect("the night was heard of") }
}

async fn open(place: &Place) -> Store {
    place.open().await.expect("the database is there")
}

async fn what_is_kept_comes_back(place: &Place) {
    let store = open(place).await;
    for (run, story) in [("1-green", green()), ("2-red", red()), ("3-restored", restored())] {
        let entry = night(run, &story);
        assert_eq!(store.keep(&entry).await.expect("it is kept"), Kept::New);
        assert_eq!(store.night(run).await.expect("it is read"), Some(entry.clone()));
        // As often as one likes, without doubles.
        assert_eq!(store.keep(&entry).await.expect("it is known"), Kept::Known);
        assert_eq!(store.night(run).await.expect("it is read"), Some(entry));
    }
    // A night that was taken in too early is taken in again once it has ended, and not the other way round.
    let whole = night("4-early", &red());
    let early = Entry { ended: None, suites: Vec::new(), ..whole.clone() };
    for (entry, kept) in [(&early, Kept::New), (&early, Kept::Known), (&whole, Kept::New), (&early, Kept::Known)] {
        assert_eq!(store.keep(entry).await.expect("it is kept"), kept);
    }
    assert_eq!(store.night("4-early").await.expect("it is read"), Some(whole));
    assert_eq!(store.night("never").await.expect("it is read"), None);
    store.close().await;
}

async fn nights_that_are_written_at_once_are_all_kept(place: &Place) {
    let writers = (0..12).map(|number| {
        let (place, entry) = (place.clone(), night(&format!("at-once-{number:02}"), &red()));
        tokio::spawn(async move {
            let store = open(&place).await;
            let kept = store.keep(&entry).await;
            store.close().await;
            kept
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert_eq!(writer.await.expect("it has ended").expect("it is kept"), Kept::New);
    }
    let nights = open(place).await.list(&Filter { limit: 100, ..Filter::default() }).await.expect("it is read");
    assert_eq!(nights.iter().filter(|night| night.run.starts_with("at-once")).count(), 12);
}

async fn a_list_has_what_was_asked_for(place: &Place) {
    let store = open(place).await;
    let late = Entry { started: datetime!(2026-11-23 23:05 UTC), ..night("4-late", &red()) };
    let other = Entry { setup: Some("setup_2".to_owned()), ..night("5-other", &green()) };
    for entry in [&late, &other] {
        store.keep(entry).await.expect("it is kept");
    }
    let runs = async |filter: Filter| -> Vec<String> {
        let nights = store.list(&Filter { limit: 100, ..filter }).await.expect("it is read");
        nights.into_iter().map(|night| night.run).filter(|run| !run.starts_with("at-once")).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    let everything = Filter::default();
    assert_eq!(runs(everything.clone()).await, ["4-late", "5-other", "4-early", "3-restored", "2-red", "1-green"]);
    assert_eq!(runs(Filter { setup: text("setup_2"), ..everything.clone() }).await, ["5-other"]);
    assert_eq!(runs(Filter { status: text("upgrade_failed"), ..everything.clone() }).await, ["3-restored"]);
    assert_eq!(runs(Filter { suite: text("no-such"), ..everything.clone() }).await, [""; 0]);
    assert_eq!(
        runs(Filter { release: text(&format!("%{}%", &NEW[17..])), ..everything.clone() }).await,
        ["5-other", "1-green"]
    );
    assert_eq!(runs(Filter { since: Some(datetime!(2026-11-23 0:00 UTC)), ..everything }).await, ["4-late"]);
    let newest = store.list(&Filter { limit: 1, ..Filter::default() }).await.expect("it is read");
    assert_eq!((newest.len(), newest[0].run.as_str(), newest[0].counts), (1, "4-late", late.counts));
    store.close().await;
}

async fn steps_are_told_apart_by_what_was_switched(place: &Place) {
    let store = open(place).await;
    let mut nights = 0;
    let mut keep = async |runs: &str, prepare: u64| {
        let mut story = Story::new();
        story.begins("upgrade", &["agw"], &[]).step(Step::Connect, 8_000, "").resolves();
        story.say(EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(runs.into()) });
        let done = StepOutcome::Done { text: "".into() };
        story.start(Step::Prepare, Some("agw")).end(Step::Prepare, Some("agw"), prepare, done);
        let to = NEW.into();
        story.gateway(
            "agw",
            match runs == NEW {
                true => GatewayOutcome::Unchanged { at: to },
                false => GatewayOutcome::Upgraded { from: Some(runs.into()), to },
            },
        );
        story.fails(Step::Collect, None, 60_000, Problem::testbed("too late")).say(EventKind::NightEnded);
        nights += 1;
        let entry = Entry { setup: Some("steps".to_owned()), ..night(&format!("steps-{nights}"), &story) };
        store.keep(&entry).await.expect("it is kept");
    };
    for prepare in [40_000, 90_000, 45_000] {
        keep(OLD, prepare).await;
    }
    keep(NEW, 2_000).await;
    keep(NEW, 2_000).await;
    let memory = store.recall("steps", &[], &Nights::default()).await.expect("it is read");
    let told = memory.steps.iter().map(|step| format!("{} [{}] {:?}", step.step, step.switched, step.usual));
    // Two nights say nothing, and what failed says nothing of what is usual.
    assert_eq!(told.collect::<Vec<_>>(), ["connect [] 8s", "resolve [] 200ms", "prepare [agw] 45s"]);
    store.close().await;
}

async fn what_a_newer_program_made_is_refused(place: &Place) {
    open(place).await.claims_version(99).await;
    let refused = place.open().await.map(drop).expect_err("it is of a newer version");
    assert!(matches!(refused, HistoryError::Newer { version: 99, known: 5, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_history_that_cannot_be_had_says_what_and_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = sqlite(&folder.path().join("no-such-folder"));
    let error = place.open().await.map(drop).expect_err("there is no such folder");
    assert_eq!(error.to_string(), format!("the history `{}` cannot be opened", place.database));
    let nowhere = "postgres://teravm@127.0.0.1:1/teravm".parse().expect("it is an address");
    let place = Place { database: nowhere, password: None, timeout: Duration::from_secs(2) };
    let error = place.open().await.map(drop).expect_err("nobody listens there");
    assert!(error.to_string().starts_with("the history `postgres://teravm@127.0.0.1:1/teravm` "), "{error}");
}

#[test]
fn each_error_says_what_on_what_why_and_what_to_try() {
    let database = || "sqlite:config/history.sqlite".to_owned();
    let source = || sqlx::Error::Io(std::io::Error::other("its own words"));
    let errors = one_of_each! {
        HistoryError::Open { .. } => HistoryError::Open { database: database(), source: source() },
        HistoryError::Newer { .. } => HistoryError::Newer { database: database(), version: 9, known: 3 },
        HistoryError::Write { .. } => HistoryError::Write { database: database(), run: "20261123T000831-bf30".to_owned(), source: source() },
        HistoryError::Read { .. } => HistoryError::Read { database: database(), source: source() },
        HistoryError::Late { .. } => HistoryError::Late { database: database(), timeout: "10s".to_owned() },
    };
    let told = errors.map(|error| text(&HistoryError::hinted(error.into())));
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn since_is_a_day_or_as_long_ago() {
    let now = datetime!(2026-11-25 04:00 UTC);
    assert_eq!(parse_since("2026-11-01", now), Ok(datetime!(2026-11-01 0:00 UTC)));
    assert_eq!(parse_since("7d", now), Ok(datetime!(2026-11-18 04:00 UTC)));
    assert_eq!(parse_since("soon", now), Err("`soon` is no time; write `7d` or `2026-11-01`".to_owned()));
}
