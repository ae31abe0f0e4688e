//! A history that somebody else has filled: whatever an import has accepted, and whatever stands in the rows, is shown or
//! refused, and never keeps a run from beginning or from being kept.

use serde_json::{Value, json};

use super::*;
use crate::gate::Gate;
use crate::history::ship::Question;
use crate::history::{compare, import, shown};
use crate::report::fuzz::WRITERS;
use crate::report::nights::{cut_off, hostile, morning};
use crate::report::page;
use crate::terminal;

const SETUP: &str = "setup_1";

/// Values that no program of ours would write, by the kind of value in whose place they stand.
fn hostile_values(value: &Value) -> Vec<Value> {
    let texts = || {
        let long = "x".repeat(100_000);
        let times = ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z"];
        let others =
            ["", " ", "\u{1b}]0;owned\u{7}\u{1b}[2J", "a\nb\r\u{202e}c\0", "</script><b>", "(suite)", "%s%n{}", "-1"];
        let texts = others.into_iter().chain(times).map(|text| json!(text));
        texts.chain([json!(long), json!("9.9.9-18446744073709551615-deadbeef")]).collect::<Vec<_>>()
    };
    match value {
        Value::String(_) => texts(),
        Value::Number(_) => {
            [json!(0), json!(u64::MAX), json!(i64::MIN), json!(1e300), json!(-0.5), json!(1e-300)].into()
        }
        Value::Bool(is) => vec![json!(!is)],
        Value::Null => vec![json!(u64::MAX), json!("x"), json!({}), json!([])],
        Value::Array(_) => vec![json!([]), json!(vec![value.clone(); 2])],
        Value::Object(_) => vec![json!({}), Value::Null],
    }
}

/// Every place of a document, as a JSON pointer.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), all));
        }
        Value::Object(map) => map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), all)),
        _ => {}
    }
}

/// All that can be asked of a history.
async fn everything_is_asked(place: &Place, is_readable: bool) {
    let store = open(place).await;
    let lines =
        store.list(&Filter { limit: usize::MAX, ..Filter::default() }).await.expect("what can be read is listed");
    drop((shown::list(&lines), terminal::json(&lines).expect("plain data")));
    let mut nights: Vec<Entry> = Vec::new();
    for line in &lines {
        let night = store.night(&line.run).await;
        assert_eq!(night.is_ok(), is_readable, "{:?}", night.err());
        if let Ok(Some(night)) = night {
            drop((shown::night(&night), terminal::json(&night).expect("plain data")));
            nights.push(night);
        }
    }
    let past = store.nights(SETUP, 100).await;
    if let Ok(past) = &past {
        assert!(page::of_history(SETUP, past, nights.last()).ends_with("</html>\n"));
        drop(store.recall(SETUP, &["gxgy".to_owned()], past).await);
    }
    for pair in nights.windows(2).take(50) {
        let compared = compare::compare(&store, &pair[0], &pair[1], Some("https://h/{old}...{new}")).await;
        let compared = compared.expect("two runs that can be read can be compared");
        drop((shown::comparison(&compared), terminal::json(&compared).expect("plain data")));
    }
    for wanted in ["latest", "5d2e8f90", "9.9.9-1668590000-deadbeef"] {
        let question = Question {
            wanted: wanted.parse().expect("it can be asked for"),
            required: vec![(SETUP.to_owned(), vec!["gxgy".to_owned()])],
            since: time::OffsetDateTime::UNIX_EPOCH,
            gate: Gate::default(),
            today: time::macros::date!(2026 - 11 - 24),
        };
        if let Ok(answer) = store.may_ship(&question).await {
            drop((shown::answer(&answer, Duration::from_secs(1)), terminal::json(&answer).expect("plain data")));
        }
    }
    store.close().await;
    drop(place.state().await);
    drop(place.recall(SETUP, &["gxgy".to_owned()]).await);
}

#[tokio::test]
async fn every_record_that_is_imported_can_be_shown_compared_and_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = sqlite(folder.path());
    let (_, write) = WRITERS.iter().find(|(name, _)| *name == "run.json").expect("it is a report");
    let (mut accepted, mut refused) = (0, 0);
    for (number, story) in [green(), red(), restored(), cut_off(), morning(), hostile()].iter().enumerate() {
        let record: Value = serde_json::from_str(&write(&story.summary())).expect("it is JSON");
        let mut all = Vec::new();
        places(&record, "", &mut all);
        let store = open(&place).await;
        for (index, at) in all.iter().enumerate() {
            // In each place some of them: a place like it has the others.
            let values = hostile_values(record.pointer(at).expect("it is there")).into_iter().enumerate();
            for (_, value) in values.filter(|(kind, _)| (index + kind) % 5 == 0) {
                let mut changed = record.clone();
                *changed.pointer_mut(at).expect("it is there") = value;
                let Ok(entry) = import::run_json(&changed.to_string()) else {
                    refused += 1;
                    continue;
                };
                drop((shown::night(&entry), terminal::json(&entry).expect("plain data")));
                if accepted % 3 == 0 {
                    let run = format!("poisoned-{number}-{accepted}");
                    store.keep(&Entry { run, setup: Some(SETUP.to_owned()), ..entry }).await.expect("it is kept");
                }
                accepted += 1;
            }
        }
        store.close().await;
    }
    assert!(accepted > 200 && refused > 200, "{accepted} accepted, {refused} refused");
    everything_is_asked(&place, true).await;
}

#[tokio::test]
async fn rows_that_no_program_of_ours_has_written_cost_no_run() {
    // What stands in a column, and whether the runs that are listed then can be read whole.
    let changes: [(&str, bool); 19] = [
        ("UPDATE night SET started = 9223372036854775807", true),
        ("UPDATE night SET started = -9223372036854775808, ended = -9223372036854775808", true),
        ("UPDATE night SET started = -99999999999999, ended = 999999999999999999", true),
        ("UPDATE night SET passed = -5, failed = 9223372036854775807, errors = 9223372036854775807", true),
        ("UPDATE night SET release = printf('%.100000c', 'x'), url = 'javascript:alert(1)'", true),
        ("UPDATE night SET release = '9.9.9-18446744073709551615-deadbeef'", true),
        ("UPDATE night SET setup = 'setup_1', command = char(27) || '[2J' || char(10), program = ''", true),
        ("UPDATE night SET upgrade = -1", true),
        ("UPDATE night_suite SET took = 9223372036854775807, planned = -1, started = -1", true),
        ("UPDATE night_case SET took = -1, attempt = -1, started = 9223372036854775807", true),
        ("UPDATE night_case SET name = printf('%.100000c', 'x'), message = char(27)", true),
        ("UPDATE night_step SET took = 9223372036854775807, switched = char(27)", true),
        ("DELETE FROM night_case", true),
        ("DELETE FROM night_suite", true),
        ("UPDATE night SET status = 'fine'", true),
        ("UPDATE night_suite SET status = 'fine'", false),
        ("UPDATE night_case SET judged = 'fine', came_to = 'fine'", false),
        ("UPDATE night_step SET step = 'fine'", false),
        ("UPDATE night SET started = 'yesterday'", true),
    ];
    for (sql, is_readable) in changes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = sqlite(folder.path());
        let store = open(&place).await;
        for (run, story) in [("1-green", green()), ("2-red", red()), ("3-morning", morning())] {
            store.keep(&Entry { setup: Some(SETUP.to_owned()), ..night(run, &story) }).await.expect("it is kept");
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&store.pool).await.expect(sql);
        store.close().await;
        everything_is_asked(&place, is_readable).await;
        // The next run is kept all the same.
        let store = open(&place).await;
        assert_eq!(store.keep(&night("4-next", &green())).await.expect(sql), Kept::New, "{sql}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other_and_is_told_of() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = sqlite(folder.path());
    let store = open(&place).await;
    for (run, story) in [("1-green", green()), ("2-red", red()), ("3-morning", morning())] {
        store.keep(&Entry { setup: Some(SETUP.to_owned()), ..night(run, &story) }).await.expect("it is kept");
    }
    let sql = "UPDATE night SET status = 'fine' WHERE run = '2-red'";
    sqlx::raw_sql(sql).execute(&store.pool).await.expect(sql);
    let lines = store.list(&Filter { limit: usize::MAX, ..Filter::default() }).await.expect("the others can be read");
    let mut runs: Vec<&str> = lines.iter().map(|line| line.run.as_str()).collect();
    runs.sort_unstable();
    assert_eq!(runs, ["1-green", "3-morning"]);
    let said = store.unreadable().expect("it is told of");
    assert!(
        said.starts_with("left out 1 row of the history that cannot be read: ") && said.contains("`fine`"),
        "{said}"
    );
    assert_eq!(store.unreadable(), None, "and once");
    let past = store.nights(SETUP, 100).await.expect("the others can be read");
    assert_eq!(past.nights.len(), 2);
}
