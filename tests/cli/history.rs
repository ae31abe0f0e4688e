//! `teravm-ci history`: nights that were, as the program keeps and shows them.

use insta::assert_snapshot;

use crate::desk::Desk;

/// A desk at which a night has been that did not get far: its OpenVPN dies.
fn after_a_night() -> Desk {
    let desk = Desk::with_lab().program("openvpn", "exit 7");
    assert_eq!(desk.run("test -q").code, "3");
    desk
}

#[test]
fn a_night_that_has_ended_is_in_the_history() {
    let desk = after_a_night();
    assert_snapshot!(desk.run("history list"), @"
        exit 0
        --- standard output
        run                   started               setup  command  status   passed  failed  error  release
        RUN  DAY HH:MM UTC  lab    test     testbed  0       0       0
        ");
    assert_snapshot!(desk.run("history show"), @"
        exit 0
        --- standard output
        TESTBED  RUN
          DAY HH:MM UTC  test  lab
          connect: no tunnel to `127.0.0.1:1194`: `openvpn` ended: exit status: 7

        suite     cases  list verdict
        attach    0      none
        handover  0      none
        ");
    let night: serde_json::Value = serde_json::from_str(&desk.run("history show --format json").stdout).expect("JSON");
    assert_eq!((&night["status"], &night["setup"]), (&"testbed".into(), &"lab".into()));
    let nights: serde_json::Value = serde_json::from_str(&desk.run("history list --format json").stdout).expect("JSON");
    assert_eq!(nights.as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_asked_for_and_is_not_there_is_said() {
    let desk = after_a_night();
    assert_eq!(desk.run("history list --status passed").stdout, "no night\n");
    assert_eq!(desk.run("history list --setup other").stdout, "no night\n");
    assert_snapshot!(desk.run("history show 20000101T000000-0000"), @"
        exit 2
        --- standard error
        error: there is no night `RUN` in the history
        ");
    assert_snapshot!(desk.run("history list --status green"), @"
        exit 2
        --- standard error
        error: there is no status `green`; there are `passed`, `tests_failed`, `usage`, `testbed`, `upgrade_failed`, `testbed_mixed`, `inconclusive`, `report`, `interrupted`
        ");
    assert_snapshot!(desk.run("history list --since yesterday"), @"
        exit 2
        --- standard error
        error: `yesterday` is no time; write `7d` or `2026-11-01`
        ");
    assert_snapshot!(Desk::with_lab().run("history show"), @"
        exit 2
        --- standard error
        error: the history has no night yet
        --- changed
        wrote config/history.sqlite
        ");
}

#[test]
fn a_record_is_taken_in_as_often_as_one_likes_without_doubles() {
    let desk = after_a_night();
    std::fs::remove_file(desk.path("config/history.sqlite")).expect("the history is there");
    assert_snapshot!(desk.run("history import results/run.json results/run.json"), @"
        exit 0
        --- standard output
        RUN  taken in
        RUN  known already
        --- changed
        wrote config/history.sqlite
        ");
    assert_eq!(desk.run("history list").stdout.lines().count(), 2);
    assert_snapshot!(desk.run("history import results/junit.xml"), @"
        exit 2
        --- standard error
        error: `results/junit.xml` is no `run.json`
          because: expected value at line 1 column 1
        ");
}

#[test]
fn a_history_that_cannot_be_had_never_spoils_a_night() {
    let desk = Desk::with_lab_but("suites:\n", "history:\n  url: sqlite:no-such-folder/history.sqlite\nsuites:\n");
    assert_snapshot!(desk.program("openvpn", "exit 7").run("test -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: `openvpn` ended: exit status: 7

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: `openvpn` ended: exit status: 7
                                   try: see OpenVPN's log (`-v`)
        warning: the history `sqlite:config/no-such-folder/history.sqlite` cannot be opened
          because: error returned from database: (code: 14) unable to open database file
          because: (code: 14) unable to open database file
          try: teravm-ci history import results/run.json
        --- called
        ssh-keygen -y
        openvpn --version
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn a_password_never_stands_in_the_address_of_a_history() {
    let desk = Desk::with_lab_but("suites:\n", "history:\n  url: postgres://teravm:hunter2@db.lab/teravm\nsuites:\n");
    assert_snapshot!(desk.run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:14:8: history.url: the password of a database stands in `history.password`, by reference
           13 | history:
           14 |   url: postgres://teravm:***@db.lab/teravm
              |        ^
           15 | suites:
        ");
}
