//! Records that nobody would write, and what stands in a database that we did not fill: whatever is taken in can be listed,
//! shown, compared and made into a page, and what cannot be shown costs no run.

use serde_json::{Value, json};

use super::*;
use crate::history::compare::compare;
use crate::history::import::run_json;
use crate::history::shown;
use crate::report::fuzz::WRITERS;
use crate::report::page;
use crate::terminal;

/// Values at the ends of what a record can hold, and beyond.
fn extremes() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e18),
        json!(1e-300),
        json!(3_162_240_000.0),
        json!("x".repeat(100_000)),
        json!("\u{1b}[2J\u{202e}\u{0}\n"),
        json!(""),
        json!("1970-01-01T00:00:00Z"),
        json!("0000-01-01T00:00:00+23:59"),
        json!("8999-12-31T23:59:59.999999999Z"),
        json!("9999-12-31T23:59:59-23:59"),
        json!("9.9.9-18446744073709551615-deadbeef"),
        Value::Null,
        json!([]),
        json!({}),
    ]
}

/// The paths of all values that hold no others.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Does everything with a history that a command can.
async fn is_told_in_every_way(store: &Store, entry: &Entry) {
    let filter = Filter { limit: 10, ..Filter::default() };
    let lines = store.list(&filter).await.expect("it can be listed");
    shown::list(&lines);
    terminal::json(&lines).expect("plain data");
    shown::night(entry);
    terminal::json(entry).expect("plain data");
    let setup = entry.setup.clone().unwrap_or_default();
    let nights = store.nights(&setup, 10).await.expect("it can be read");
    page::of_history(&setup, &nights, Some(entry));
    let suites: Vec<String> = entry.suites.iter().map(|suite| suite.suite.clone()).collect();
    let memory = store.recall(&setup, &suites, &nights).await.expect("it can be remembered");
    terminal::json(&memory).expect("plain data");
    let compared = compare(store, entry, entry, Some("https://lab/{good}..{bad}")).await.expect("it can be compared");
    shown::comparison(&compared);
    terminal::json(&compared).expect("plain data");
}

#[tokio::test]
async fn whatever_record_is_imported_can_be_told_in_every_way() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(&sqlite(folder.path())).await;
    let (mut imported, mut refused) = (0, 0);
    for story in [green(), red(), restored()] {
        let (_, write) = WRITERS.iter().find(|(name, _)| *name == "run.json").expect("it is a report");
        let record: Value = serde_json::from_str(&write(&story.summary())).expect("it is JSON");
        let mut paths = Vec::new();
        leaves(&record, "", &mut paths);
        // Each extreme once at every few places, and at every place a few of them.
        for (number, path) in paths.iter().enumerate() {
            for extreme in extremes().into_iter().skip(number % 6).step_by(6) {
                let mut changed = record.clone();
                *changed.pointer_mut(path).expect("it is there") = extreme;
                let Ok(entry) = run_json(&changed.to_string()) else {
                    refused += 1;
                    continue;
                };
                imported += 1;
                let entry = Entry { run: format!("{}-{imported}", entry.run), ..entry };
                if imported % 8 == 0 {
                    store.keep(&entry).await.expect("it is kept");
                    is_told_in_every_way(&store, &entry).await;
                }
            }
        }
    }
    assert!(imported > 200 && refused > 200, "{imported} imported, {refused} refused");
}

/// Runs in a database that something else has filled.
fn foreign(starts: &[i64]) -> String {
    let row = |(number, start): (usize, &i64)| {
        let text = "y".repeat(100_000);
        format!(
            "INSERT INTO night (run, setup, command, program, url, status, started, ended, wanted, release, passed, \
             failed, errors, reasons) VALUES ('r{number}{text}', 'lab', 'run', '0.1.0', NULL, 'passed', {start}, {start}, \
             NULL, '{text}', 9223372036854775807, -5, 9223372036854775807, '[]');\n\
             INSERT INTO night_suite (run, place, suite, list, host, verdict, planned, took, problem, setup, started, \
             status) VALUES ('r{number}{text}', 0, 'a', 'a.ntl', NULL, 'PASS', -1, 9223372036854775807, NULL, 'lab', \
             {start}, 'passed');\n\
             INSERT INTO night_case (run, suite, place, name, attempt, judged, verdict, took, message, setup, started, \
             came_to) VALUES ('r{number}{text}', 'a', 0, 'c', -1, 'passed', 'PASS', 9223372036854775807, '{text}', 'lab', \
             {start}, 'passed');\n"
        )
    };
    starts.iter().enumerate().map(row).collect()
}

#[tokio::test]
async fn what_stands_in_the_database_and_cannot_be_shown_is_left_out_and_costs_no_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = sqlite(folder.path());
    let starts = [i64::MIN, -70_000_000_000_000, -1, 0, 221_845_132_800_000, 253_402_300_800_000, i64::MAX];
    Store::make_of_version(&place, 2, foreign(&starts)).await;
    let store = open(&place).await;
    assert_eq!(store.out_of_time().await.expect("it is read"), 5);
    let lines = store.list(&Filter { limit: 10, ..Filter::default() }).await.expect("it can be listed");
    assert_eq!(lines.len(), 2);
    for line in &lines {
        let entry = store.night(&line.run).await.expect("it is read").expect("it is there");
        is_told_in_every_way(&store, &entry).await;
    }
    let outside = format!("r6{}", "y".repeat(100_000));
    assert!(matches!(store.night(&outside).await, Err(HistoryError::Read { .. })));
    store.close().await;
    let (memory, nights) = place.recall("lab", &["a".to_owned()]).await.expect("it is asked before a run");
    assert_eq!(nights.nights.len(), 2);
    terminal::json(&memory).expect("plain data");
}
