//! Sixty nights of a lab: a regression, a flake, a fix, a renamed case, a lab outage. What is said of them every morning is checked.

use std::time::Duration;

use time::macros::{date, datetime};
use time::{Date, OffsetDateTime};

use super::*;
use crate::event::{EventKind, GatewayOutcome, Problem, Step};
use crate::gate::{CameTo, Gate, KnownFailure, Required, day};
use crate::history::compare::{Comparison, Found, compare};
use crate::history::ship::{Question, Ships};
use crate::report::markdown_of;
use crate::summary::Summary;

const SETUP: &str = "setup_1";
const SUITE: &str = "gxgy";
const FIRST: OffsetDateTime = datetime!(2026-09-01 23:05 UTC);
const LINK: &str = "https://github.com/magma/magma/compare/{good}...{bad}";

/// What happens, by the number of the night.
const REGRESSION: std::ops::Range<usize> = 20..34;
const RENAMED_IN: usize = 40;
const OUTAGE: std::ops::Range<usize> = 45..47;
const CUT_OFF_IN: usize = 50;
const SECOND_REGRESSION_FROM: usize = 54;
/// From here on the second regression is known.
const KNOWN_FROM: usize = 57;
const NIGHTS: usize = 60;

fn started(night: usize) -> OffsetDateTime {
    FIRST + Duration::from_secs(86_400 * night as u64)
}

fn run(night: usize) -> String {
    format!("night-{}", day::text(started(night).date()))
}

/// A new release every third night.
fn release(night: usize) -> String {
    let built = 1_756_000_000 + 259_200 * (night as u64 / 3);
    format!("1.9.{}-{built}-{:08x}", night / 30, 0x00c0_ffe0 + night / 3)
}

fn commit(night: usize) -> String {
    format!("{:08x}", 0x00c0_ffe0 + night / 3)
}

fn is_flake(night: usize) -> bool {
    night % 7 == 3
}

/// The cases of a night as they go in an attempt.
fn cases(night: usize, attempt: usize) -> Vec<(&'static str, &'static str)> {
    let verdict = |is_bad: bool| if is_bad { "FAIL" } else { "PASS" };
    let mut cases = vec![
        ("gx_gy_combined_04", "PASS"),
        ("gx_gy_combined_05_capacity", verdict(REGRESSION.contains(&night))),
        ("gx_gy_combined_06", verdict(is_flake(night) && attempt == 1)),
        (if night < RENAMED_IN { "ue_detach" } else { "ue_detach_4g" }, "PASS"),
        ("gx_gy_combined_11", verdict(night >= SECOND_REGRESSION_FROM)),
    ];
    if night == CUT_OFF_IN {
        cases.truncate(2);
        cases.push(("(case 3 of 5)", ""));
        cases.push(("(case 4 of 5)", ""));
        cases.push(("(case 5 of 5)", ""));
    }
    cases
}

fn gate(night: usize) -> Gate {
    let known = |case: &str, reason: &str| KnownFailure {
        suite: SUITE.to_owned(),
        case: case.parse().expect("it is a pattern"),
        reason: reason.into(),
        until: date!(2026 - 12 - 31),
    };
    let mut known_failures = Vec::new();
    if night > RENAMED_IN {
        known_failures.push(known("ue_detach", "it is called ue_detach_4g now"));
    }
    if night >= KNOWN_FROM {
        known_failures.push(known("gx_gy_combined_11", "https://github.com/magma/magma/issues/11"));
    }
    Gate { known_failures, required: Required::Baseline, ..Gate::default() }
}

/// The night as the program would have run it, with what it knows of those before.
async fn heard(store: &Store, night: usize) -> Summary {
    let mut story = Story::at(started(night));
    story.begins("run", &["agw"], &[SUITE]).obeys(gate(night));
    let nights = store.nights(SETUP, 10).await.expect("it is read");
    let memory = store.recall(SETUP, &[SUITE.to_owned()], &nights).await.expect("it is read");
    story.say(EventKind::Remembered(memory));
    if OUTAGE.contains(&night) {
        story.fails(Step::Connect, None, 60_000, Problem::testbed("no tunnel to `vpn.lab:1194`"));
        story.say(EventKind::NightEnded);
        return story.summary();
    }
    story.gateway("agw", GatewayOutcome::Upgraded { from: None, to: release(night).into() });
    for attempt in 1..=2 {
        story.attempt(SUITE, &cases(night, attempt));
        if cases(night, attempt).iter().all(|(_, verdict)| *verdict == "PASS") {
            break;
        }
    }
    story.say(EventKind::NightEnded);
    story.summary()
}

/// The lines of the morning: what leads `summary.md`.
fn morning(summary: &Summary) -> Vec<String> {
    let page = markdown_of(summary);
    let Some(at) = page.find("## Since when") else { return Vec::new() };
    let lines = page[at..].lines().skip(1).take_while(|line| !line.starts_with("## "));
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn between(good: usize, bad: usize) -> String {
    format!("[commits](<https://github.com/magma/magma/compare/{}...{}>)", commit(good), commit(bad))
}

fn on(night: usize) -> String {
    format!("{} on {}", day::text(started(night).date()), release(night))
}

/// What the morning after a night has to say.
fn expected(night: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if REGRESSION.contains(&night) {
        let (good, bad) = (REGRESSION.start - 1, REGRESSION.start);
        let name = "gxgy: `gx_gy_combined_05_capacity`";
        lines.push(if night == bad {
            format!("- 🆕 {name}: new: it passed last {}{}", on(good), commits(good, bad))
        } else {
            format!("- ❌ {name}: since {}; it passed last {}{}", on(bad), on(good), commits(good, bad))
        });
    }
    if night >= SECOND_REGRESSION_FROM {
        let (good, bad) = (SECOND_REGRESSION_FROM - 1, SECOND_REGRESSION_FROM);
        let sign = if night >= KNOWN_FROM {
            "🔕"
        } else if night == bad {
            "🆕"
        } else {
            "❌"
        };
        let name = "gxgy: `gx_gy_combined_11`";
        lines.push(if night == bad {
            format!("- {sign} {name}: new: it passed last {}{}", on(good), commits(good, bad))
        } else {
            format!("- {sign} {name}: since {}; it passed last {}{}", on(bad), on(good), commits(good, bad))
        });
    }
    if night == RENAMED_IN {
        // It must be there, because the last green night had it.
        lines.push(format!("- 🆕 gxgy: `ue_detach`: new: it passed last {}", on(night - 1)));
    }
    if night == RENAMED_IN + 1 {
        // The operator has said so, and from the next night on nobody misses it.
        lines.push(format!("- 🔕 gxgy: `ue_detach`: since {}; it passed last {}", on(night - 1), on(night - 2)));
    }
    if night == CUT_OFF_IN {
        for case in ["gx_gy_combined_06", "gx_gy_combined_11", "ue_detach_4g"] {
            lines.push(format!("- 🆕 gxgy: `{case}`: new: it passed last {}", on(night - 1)));
        }
    }
    if is_flake(night) && night != CUT_OFF_IN {
        lines.push("- 🎲 flaky: gxgy `gx_gy_combined_06`".to_owned());
    }
    if night == REGRESSION.end {
        lines.push("- ✅ fixed since the suite last ran: gxgy `gx_gy_combined_05_capacity`".to_owned());
    }
    lines
}

fn commits(good: usize, bad: usize) -> String {
    if commit(good) == commit(bad) { String::new() } else { format!(" ({})", between(good, bad)) }
}

async fn is_told_right(place: &Place) {
    let store = open(place).await;
    let mut spoken = 0;
    for night in 0..NIGHTS {
        let summary = heard(&store, night).await;
        let said = morning(&summary);
        spoken += said.len();
        if OUTAGE.contains(&night) {
            assert_eq!(summary.status(), crate::summary::Status::Testbed);
            assert_eq!(said, [""; 0], "night {night}");
        } else {
            assert_eq!(said, expected(night), "the morning after night {night}");
        }
        let entry = Entry { setup: Some(SETUP.to_owned()), ..Entry::of(&summary).expect("it was heard of") };
        store.keep(&entry).await.expect("it is kept");
    }
    assert!(spoken > 20, "the mornings had something to say");
    comparisons_are_right(&store).await;
    the_gate_is_right(&store).await;
    store.close().await;
}

async fn entry(store: &Store, night: usize) -> Entry {
    store.night(&run(night)).await.expect("it is read").expect("it is there")
}

async fn compared(store: &Store, a: usize, b: usize) -> Comparison {
    let (a, b) = (entry(store, a).await, entry(store, b).await);
    compare(store, &a, &b, Some(LINK)).await.expect("it is read")
}

fn names(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.case.as_str()).collect()
}

async fn comparisons_are_right(store: &Store) {
    let begun = compared(store, 18, 21).await;
    assert_eq!(names(&begun.new), ["gx_gy_combined_05_capacity"]);
    let found = &begun.new[0];
    assert_eq!(found.last_good.as_ref().map(|past| past.run.clone()), Some(run(19)));
    assert_eq!(found.bad_since.as_ref().map(|past| past.run.clone()), Some(run(20)));
    // The release of nights 18 to 20 passed and failed it: no commit is to blame.
    assert_eq!(found.commits, None);
    assert_eq!(begun.commits, Some(LINK.replace("{good}", &commit(18)).replace("{bad}", &commit(21))));

    let still = compared(store, 21, 33).await;
    assert_eq!((names(&still.still), names(&still.new)), (vec!["gx_gy_combined_05_capacity"], vec![]));
    let fixed = compared(store, 33, 34).await;
    assert_eq!(names(&fixed.fixed), ["gx_gy_combined_05_capacity"]);
    let flaky = compared(store, 9, 10).await;
    assert_eq!((names(&flaky.flaky), names(&flaky.new)), (vec!["gx_gy_combined_06"], vec![]));
    let renaming = compared(store, 39, 40).await;
    assert_eq!(names(&renaming.added), ["ue_detach_4g"]);
    // The required one is told as inconclusive, by its name.
    assert_eq!((names(&renaming.new), renaming.new[0].came_to), (vec!["ue_detach"], CameTo::Error));
    let known = compared(store, 56, 57).await;
    assert_eq!((names(&known.known), names(&known.new)), (vec!["gx_gy_combined_11"], vec![]));
    let cut = compared(store, 49, 50).await;
    assert!(names(&cut.new).contains(&"(case 3 of 5)"), "{:?}", names(&cut.new));
}

async fn ships(store: &Store, night: usize, today: Date) -> Ships {
    let question = Question {
        wanted: commit(night).parse().expect("it is a commit"),
        required: vec![(SETUP.to_owned(), vec![SUITE.to_owned()])],
        since: FIRST,
        gate: gate(night),
        today,
    };
    store.may_ship(&question).await.expect("it is read").verdict
}

async fn the_gate_is_right(store: &Store) {
    let today = started(NIGHTS).date();
    assert_eq!(ships(store, 15, today).await, Ships::Yes);
    assert_eq!(ships(store, 24, today).await, Ships::No);
    assert_eq!(ships(store, 36, today).await, Ships::Yes);
    // Nobody has tested what would have been released next.
    assert_eq!(ships(store, 90, today).await, Ships::Unknown);
    // Known by now, until it is no longer.
    assert_eq!(ships(store, 57, today).await, Ships::Yes);
    assert_eq!(ships(store, 57, date!(2027 - 01 - 01)).await, Ships::No);
}

#[tokio::test]
async fn sixty_nights_are_told_right_in_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    is_told_right(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn sixty_nights_are_told_right_in_postgresql() {
    let server = Postgres::start();
    is_told_right(&server.place("teravm")).await;
}
