//! A history of an older version becomes one of today, and knows what it knew.

use super::*;
use crate::gate::{CameTo, Gate};
use crate::history::ship::{Question, Ships};
use crate::release::Wanted;
use crate::summary::{Counts, Status};

/// What the first version wrote of a night: a suite that passed, one with a failure, one that was cut off.
const FIRST: &str = "
    INSERT INTO night (run, setup, command, program, url, status, started, ended, wanted, release, passed, failed, errors, reasons)
        VALUES ('r1', 'lab', 'run', '0.1.0', NULL, 'tests_failed', 1668500000000, 1668500060000, 'latest',
                '1.9.1-1668500000-5d2e8f90', 3, 1, 0, '[]');
    INSERT INTO night_gateway (run, place, gateway, before, after, outcome) VALUES
        ('r1', 0, 'agw', NULL, '1.9.1-1668500000-5d2e8f90', NULL), ('r1', 1, 'feg1', NULL, '5d2e8f90', NULL);
    INSERT INTO night_suite (run, place, suite, list, host, verdict, planned, took, problem) VALUES
        ('r1', 0, 'whole', 'whole.ntl', 'ng40', 'PASS', 1, 1000, NULL),
        ('r1', 1, 'failed', 'failed.ntl', 'ng40', 'FAIL', 2, 1000, NULL),
        ('r1', 2, 'cut', 'cut.ntl', 'ng40', 'PASS', 2, 1000, NULL);
    INSERT INTO night_case (run, suite, place, name, attempt, judged, verdict, took, message, setup, started) VALUES
        ('r1', 'whole', 0, 'a', 1, 'passed', 'PASS', 10, NULL, 'lab', 1668500000000),
        ('r1', 'failed', 0, 'b', 1, 'passed', 'PASS', 10, NULL, 'lab', 1668500000000),
        ('r1', 'failed', 1, 'c', 1, 'failed', 'FAIL', 10, 'wrong', 'lab', 1668500000000),
        ('r1', 'cut', 0, 'd', 1, 'passed', 'PASS', 10, NULL, 'lab', 1668500000000);
";

/// What the second one wrote of the same.
const SECOND: &str = "
    UPDATE night_suite SET setup = 'lab', started = 1668500000000,
        status = CASE suite WHEN 'whole' THEN 'passed' WHEN 'failed' THEN 'tests_failed' ELSE 'inconclusive' END;
    UPDATE night_case SET came_to = judged;
";

async fn is_brought_up_to_date(place: &Place, version: usize, filled: &str) {
    Store::make_of_version(place, version, filled.to_owned()).await;
    for _ in 0..2 {
        let store = open(place).await;
        let night = store.night("r1").await.expect("it is read").expect("it is there");
        assert_eq!(night.counts, Counts { passed: 3, failed: 1, ..Counts::default() });
        let suites: Vec<(&str, Status)> =
            night.suites.iter().map(|suite| (suite.suite.as_str(), suite.status)).collect();
        assert_eq!(suites, [("whole", Status::Passed), ("failed", Status::TestsFailed), ("cut", Status::Inconclusive)]);
        assert_eq!(night.suites[1].cases[1].came_to, Some(CameTo::Failed));
        let nights = store.nights("lab", 100).await.expect("it is read");
        let memory = store.recall("lab", &["failed".to_owned()], &nights).await.expect("it is read");
        // What steps took was not kept.
        assert!(night.steps.is_empty() && memory.steps.is_empty());
        let c = &memory.suites["failed"].cases["c"];
        assert_eq!(c.bad_since.as_ref().map(|past| past.run.as_str()), Some("r1"));
        let question = Question {
            wanted: Wanted::Latest,
            required: vec![("lab".to_owned(), vec!["whole".to_owned(), "cut".to_owned()])],
            since: datetime!(2022-11-01 0:00 UTC),
            gate: Gate::default(),
            today: time::macros::date!(2022 - 11 - 16),
        };
        let answer = store.may_ship(&question).await.expect("it is read");
        let says: Vec<Ships> = answer.suites.iter().map(|asked| asked.verdict).collect();
        assert_eq!(says, [Ships::Yes, Ships::Unknown]);
        store.close().await;
    }
}

/// A history of every older version: how it was filled.
fn versions() -> [(usize, String); 3] {
    // What the third one wrote of it is the same: the gateways ran the release.
    [(1, FIRST.to_owned()), (2, format!("{FIRST}{SECOND}")), (3, format!("{FIRST}{SECOND}"))]
}

#[tokio::test]
async fn a_history_of_each_older_version_is_brought_up_to_date_in_sqlite() {
    for (version, filled) in versions() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        is_brought_up_to_date(&sqlite(folder.path()), version, &filled).await;
    }
}

#[tokio::test]
async fn a_history_of_each_older_version_is_brought_up_to_date_in_postgresql() {
    for (version, filled) in versions() {
        let server = Postgres::start();
        is_brought_up_to_date(&server.place("teravm"), version, &filled).await;
    }
}
