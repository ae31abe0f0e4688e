//! `teravm-ci history`: nights that were, as the program keeps and shows them.

use insta::assert_snapshot;

use crate::desk::{BARE_LAB, Desk, LAB};

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
        run                   started               setup  command  status   passed  failed  error  flaky  known  release
        RUN  DAY HH:MM UTC  lab    test     testbed  0       0       0      0      0
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
    assert_snapshot!(desk.run("history list --setup lap"), @"
        exit 2
        --- standard error
        error: there is no setup `lap`; did you mean `lab`?
        ");
    assert_snapshot!(desk.run("history list --suite atach"), @"
        exit 2
        --- standard error
        error: there is no suite `atach`; did you mean `attach`?
        ");
    for command in ["history show --setup lap", "history compare --setup lap"] {
        assert_eq!(desk.run(command).code, "2", "{command}");
    }
    // A name that the config has no more is still one of the history's.
    let later = desk.file("config/tiplab.yaml", LAB.replace("lab:", "other:").replace("attach:", "detach:"));
    assert_eq!(later.run("history list --setup lab").stdout.lines().count(), 2);
    assert_eq!(later.run("history list --suite attach").stdout.lines().count(), 2);
    assert_eq!(later.run("history show --setup lab").code, "0");
    let desk = later.file("config/tiplab.yaml", LAB);
    assert_snapshot!(desk.run("history show 20000101T000000-0000"), @"
        exit 2
        --- standard error
        error: there is no night `RUN` in the history
          try: `teravm-ci history list` has the names of all nights
        ");
    assert_snapshot!(desk.run("history list --status green"), @"
        exit 2
        --- standard error
        error: there is no status `green`; there are `passed`, `tests_failed`, `usage`, `testbed`, `upgrade_failed`, `testbed_mixed`, `inconclusive`, `report`, `internal_error`, `interrupted`
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
          try: the next night begins it; `teravm-ci history import FILE` takes in those that were before
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
}

#[test]
fn the_page_of_a_history_is_one_file_in_a_folder() {
    let desk = after_a_night();
    assert_snapshot!(desk.run("history page --out site/lab"), @"
        exit 0
        --- standard output
        site/lab/index.html
        --- changed
        wrote site/
        wrote site/lab/
        wrote site/lab/index.html
        ");
    // No night has tested yet: one that got no further than its tunnel says nothing of a case.
    assert!(desk.read("site/lab/index.html").contains("<h1>No night has tested yet</h1>"));
    assert_snapshot!(desk.run("history page --out config/tiplab.yaml/site"), @"
        exit 2
        --- standard error
        error: cannot write the report `config/tiplab.yaml/site`
          because: Not a directory (os error 20)
          try: is there room, and may we write there? `--out` names the folder
        ");
    assert_snapshot!(desk.run("history page --out site --setup other"), @"
        exit 2
        --- standard error
        error: there is no setup `other`; known are `lab`
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
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: `openvpn` ended: exit status: 7
                                   try: see OpenVPN's log (`-v`)
        warning: the history `sqlite:config/no-such-folder/history.sqlite` cannot be opened
          because: error returned from database: (code: 14) unable to open database file
          try: `history.url` in the config names it: may we write there, does a server answer and know `history.password`? Move a damaged file away: `history import` fills a new one; then `teravm-ci history import results/run.json`
        --- called
        ssh-keygen -y
        openvpn --version
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn a_history_that_is_damaged_is_named_with_what_to_try() {
    let desk = Desk::with_lab().file("config/history.sqlite", "this is no database".repeat(99));
    assert_snapshot!(desk.run("history list"), @"
        exit 2
        --- standard error
        error: the history `sqlite:config/history.sqlite` cannot be opened
          because: error returned from database: (code: 26) file is not a database
          try: `history.url` in the config names it: may we write there, does a server answer and know `history.password`? Move a damaged file away: `history import` fills a new one
        ");
    assert_snapshot!(desk.run("gate latest"), @"
        exit 6
        --- standard error
        it is not known whether the release may ship
          because: the history `sqlite:config/history.sqlite` cannot be opened
          because: error returned from database: (code: 26) file is not a database
          try: `history.url` in the config names it: may we write there, does a server answer and know `history.password`? Move a damaged file away: `history import` fills a new one
        ");
    let night = desk.program("openvpn", "exit 7").run("test -q");
    assert_snapshot!(night.stderr, @"
        HH:MM:SS  WARN  connect    the nights before could not be asked: nothing is known of since when, and there is no baseline
                                     because: the history `sqlite:config/history.sqlite` cannot be opened
                                     because: error returned from database: (code: 26) file is not a database
                                     try: `history.url` in the config names it: may we write there, does a server answer and know `history.password`? Move a damaged file away: `history import` fills a new one
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: `openvpn` ended: exit status: 7
                                   try: see OpenVPN's log (`-v`)
        warning: the history `sqlite:config/history.sqlite` cannot be opened
          because: error returned from database: (code: 26) file is not a database
          try: `history.url` in the config names it: may we write there, does a server answer and know `history.password`? Move a damaged file away: `history import` fills a new one; then `teravm-ci history import results/run.json`
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
    let query = "history: {url: \"postgres://teravm@db.lab/teravm?password=hunter2\"}\nsuites:\n";
    assert_snapshot!(Desk::with_lab_but("suites:\n", query).run("config check"), @r#"
        exit 2
        --- standard error
        error: config/tiplab.yaml:13:16: history.url: the password of a database stands in `history.password`, by reference
           12 | 
           13 | history: {url: "postgres://teravm@db.lab/teravm?password=***"}
              |                ^
           14 | suites:
        "#);
}

/// A desk with the consoles of two releases: one passed both suites, the other failed one.
fn after_two_releases() -> Desk {
    let now = time::OffsetDateTime::now_utc();
    let at = |hours| {
        let format = &time::format_description::well_known::Rfc3339;
        (now - time::Duration::hours(hours)).format(format).expect("it is a time")
    };
    let console = |file: &str| std::fs::read(format!("tests/fixtures/ng40/{file}.txt")).expect("it is a fixture");
    let mut again = console("all-pass");
    again.push(b'\n');
    let desk = Desk::with_lab()
        .file("good.log", console("all-pass"))
        .file("again.log", again)
        .file("bad.log", console("failure-without-a-reason"));
    for (file, suite, release, hours) in
        [("good.log", "attach", OLD, 48), ("again.log", "handover", OLD, 47), ("bad.log", "attach", NEW, 24)]
    {
        let words = format!("history import {file} --suite {suite} --release {release} --started {}", at(hours));
        assert_eq!(desk.run(&words).code, "0", "{words}");
        assert!(desk.run(&words).stdout.ends_with("known already\n"));
    }
    desk
}

/// Changes a history behind the program's back.
fn change_history(desk: &Desk, sql: &str) {
    let change =
        format!("import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); base.execute(\"{sql}\"); base.commit()");
    let database = desk.path("config/history.sqlite");
    let python = std::process::Command::new("python3").args(["-c", &change]).arg(&database).status();
    assert!(python.expect("python3 is there").success(), "{sql}");
}

/// The name of an imported run has a digest of what it was imported from, and when.
fn without_digests(text: &str) -> String {
    let digest = regex::Regex::new("console-[0-9a-f]{16}").expect("it is a pattern");
    digest.replace_all(text, "console-DIGEST..........").into_owned()
}

const OLD: &str = "1.8.0-1655110000-3f7c21ab";
const NEW: &str = "1.9.1-1668500000-5d2e8f90";

#[test]
fn a_release_ships_when_every_suite_passed_on_it() {
    let desk = after_two_releases();
    assert_snapshot!(without_digests(&desk.run(&format!("gate {OLD}")).to_string()), @"
        exit 0
        --- standard output
        YES  1.8.0-1655110000-3f7c21ab  by the nights of the last 7d

        setup  suite     says    night                     why
        lab    attach    passed  console-DIGEST..........
        lab    handover  passed  console-DIGEST..........
        ");
    assert_snapshot!(without_digests(&desk.run("gate latest").to_string()), @"
        exit 1
        --- standard output
        NO  1.9.1-1668500000-5d2e8f90  by the nights of the last 7d

        setup  suite     says       night                     why
        lab    attach    failed     console-DIGEST..........  attach_02
        lab    handover  not known  —                         it has not been run on this release
        ");
    assert_snapshot!(desk.run("gate 0badc0de"), @"
        exit 6
        --- standard output
        NOT KNOWN  0badc0de  by the nights of the last 7d

        setup  suite     says       night  why
        lab    attach    not known  —      no night has tested this release
        lab    handover  not known  —      no night has tested this release
        ");
    let answer: serde_json::Value =
        serde_json::from_str(&desk.run("gate 5d2e8f90 --format json").stdout).expect("JSON");
    assert_eq!((&answer["verdict"], &answer["release"]), (&"no".into(), &NEW.into()));
}

#[test]
fn two_nights_are_compared() {
    let desk = after_two_releases();
    let said = desk.run("history compare").stdout;
    let said = regex::Regex::new(r"\d{4}-\d\d-\d\d").expect("it is a pattern").replace_all(&said, "DAY");
    let said = without_digests(&said);
    assert_snapshot!(said, @"
        run                       started               release
        console-DIGEST..........  DAY HH:MM UTC  1.8.0-1655110000-3f7c21ab
        console-DIGEST..........  DAY HH:MM UTC  1.9.1-1668500000-5d2e8f90

        new failures
        suite   case       since                passed last  why
        attach  attach_02  DAY 5d2e8f90  —            NG40 said VERDICT_FAIL

        new cases
        suite   case       came to
        attach  attach_01  passed
        attach  attach_02  failed
        ");
    let compared: serde_json::Value =
        serde_json::from_str(&desk.run("history compare --format json").stdout).expect("JSON");
    assert_eq!(compared["new"].as_array().map(Vec::len), Some(1));
    assert_snapshot!(desk.run("history compare last-green never"), @"
        exit 2
        --- standard error
        error: there is no night `never` in the history
          try: `teravm-ci history list` has the names of all nights
        ");
}

#[test]
fn junit_of_a_night_is_taken_in_and_what_is_none_is_refused() {
    let desk =
        Desk::with_lab().file("console.log", std::fs::read("tests/fixtures/ng40/all-pass.txt").expect("a fixture"));
    assert_eq!(desk.run("report console.log --suite attach -q").code, "0");
    let taken = desk.run("history import results/junit.xml").stdout;
    assert!(taken.starts_with("junit-") && taken.ends_with("  taken in\n"), "{taken}");
    assert_snapshot!(desk.run("history import config/tiplab.yaml"), @"
        exit 2
        --- standard error
        error: `config/tiplab.yaml` is neither `run.json` nor JUnit XML, and as a console of NG40 it has no case
        ");
    assert_snapshot!(desk.run("history import results/junit.xml --started yesterday"), @"
        exit 2
        --- standard error
        error: `yesterday` is not a time; write it like `TIME`
        ");
}

#[test]
fn a_console_is_taken_in_by_the_rules_of_its_suite() {
    let lossy = std::fs::read("tests/fixtures/ng40/packet-loss-above-the-limit.txt").expect("a fixture");
    let desk = Desk::with_lab_but("list: handover.ntl", "list: handover.ntl\n    max_packet_loss: 12")
        .file("saved.log", lossy);
    for (suite, status) in [("attach", "passed"), ("handover", "tests_failed")] {
        let words = format!(
            "history import saved.log --suite {suite} --release {NEW} --started 2026-11-0{}T00:00:00Z",
            suite.len()
        );
        assert_eq!(desk.run(&words).code, "0", "{suite}");
        let night: serde_json::Value =
            serde_json::from_str(&desk.run("history show --format json").stdout).expect("JSON");
        assert_eq!(night["status"], status, "{suite}");
        std::fs::remove_file(desk.path("config/history.sqlite")).expect("the history is there");
    }
}

#[test]
fn the_last_night_is_the_last_one_whatever_it_came_to() {
    let desk = after_two_releases().program("openvpn", "exit 7");
    assert_eq!(desk.run("test -q").code, "3");
    assert!(desk.run("history show").stdout.starts_with("TESTBED"));
    // It has nothing to be compared.
    let compared: serde_json::Value =
        serde_json::from_str(&desk.run("history compare --format json").stdout).expect("JSON");
    assert_eq!(compared["b"]["release"], NEW);
}

#[test]
fn a_night_is_compared_with_the_one_before_it_that_passed_on_its_setup() {
    let second = "setups:\n  other:\n    agw: 127.0.0.4:1\n    ng40: 127.0.0.5:1\n  lab:\n";
    let console = |number: &str| {
        let mut console = std::fs::read("tests/fixtures/ng40/all-pass.txt").expect("a fixture");
        console.extend_from_slice(format!("{number}\n").as_bytes());
        console
    };
    let names = ["1.log", "2.log", "3.log"];
    let desk =
        names.iter().fold(Desk::with_lab_but("setups:\n  lab:\n", second), |desk, name| desk.file(name, console(name)));
    let taken_in = |file: &str, setup: &str, day: u8| {
        let words =
            format!("history import {file} --suite attach --setup {setup} --started 2026-11-{day:02}T00:00:00Z");
        let told = desk.run(&words);
        assert_eq!(told.code, "0", "{told}");
        told.stdout.split_whitespace().next().expect("a name").to_owned()
    };
    let first = taken_in("1.log", "lab", 1);
    taken_in("2.log", "other", 2);
    let last = taken_in("3.log", "lab", 3);
    let compared: serde_json::Value =
        serde_json::from_str(&desk.run("history compare --format json").stdout).expect("JSON");
    assert_eq!((&compared["a"]["run"], &compared["b"]["run"]), (&first.as_str().into(), &last.as_str().into()));
    let alone = desk.run(&format!("history compare last-green {first}"));
    assert_eq!(alone.code, "2", "{alone}");
    assert!(alone.stderr.contains(&format!("no night before `{first}` passed there")), "{alone}");
}

#[test]
fn what_a_record_does_not_say_is_said_by_whoever_takes_it_in() {
    let desk =
        Desk::with_lab().file("console.log", std::fs::read("tests/fixtures/ng40/all-pass.txt").expect("a fixture"));
    assert_eq!(desk.run("report console.log --suite attach -q").code, "0");
    assert_eq!(desk.run(&format!("history import results/run.json --setup lab --release {NEW}")).code, "0");
    let night: serde_json::Value = serde_json::from_str(&desk.run("history show --format json").stdout).expect("JSON");
    assert_eq!((&night["setup"], &night["release"]), (&"lab".into(), &NEW.into()));
    // Nor is it run again as a night's.
    let again = desk.run("test --failed");
    assert_eq!(again.code, "2", "{again}");
    assert!(again.stderr.contains("the last run was `report`, of files and on no setup"), "{again}");
}

#[test]
fn a_gate_that_is_asked_about_a_setup_that_is_not_there_is_mistaken() {
    assert_eq!(after_two_releases().run("gate latest --setup nope").code, "2");
}

fn junit_fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("tests/fixtures/junit/{name}")).expect("it is a fixture")
}

#[test]
fn the_gate_never_says_yes_from_junit_that_does_not_show_it() {
    let table = [
        ("cut-in-failure-s6a.xml", "2", "6"),
        ("cut-s6a.xml", "2", "6"),
        ("failattr-s6a.xml", "0", "6"),
        ("suiteerr-s6a.xml", "0", "6"),
        ("tests-more-s6a.xml", "0", "6"),
        ("whole.xml", "0", "0"),
    ];
    for (name, imported, gate) in table {
        let desk = Desk::with_config(&BARE_LAB.replace("attach", "s6a")).file(name, junit_fixture(name));
        let now = time::OffsetDateTime::now_utc();
        let now = now.format(&time::format_description::well_known::Rfc3339).expect("it is a time");
        let taken = desk.run(&format!("history import {name} --release {NEW} --started {now}"));
        assert_eq!(taken.code, imported, "{name}: {taken}");
        let asked = desk.run(&format!("gate {NEW}"));
        assert_eq!(asked.code, gate, "{name}: {asked}");
    }
}

#[test]
fn a_report_whose_time_is_ahead_or_has_no_zone_hides_no_failure() {
    let now = time::OffsetDateTime::now_utc();
    let stamp = |hours: i64| {
        (now + time::Duration::hours(hours)).date().to_string()
            + &format!("T{:02}:00:00", (now + time::Duration::hours(hours)).hour())
    };
    for (ahead, behind) in [(20, 0), (0, -3)] {
        let suite = |time: String, case: &str| {
            format!(
                "<testsuite name=\"s6a\" tests=\"1\" timestamp=\"{time}\"><testcase name=\"a\">{case}</testcase></testsuite>"
            )
        };
        let desk = Desk::with_config(&BARE_LAB.replace("attach", "s6a"))
            .file("green.xml", suite(stamp(ahead), ""))
            .file("red.xml", suite(stamp(behind), "<failure/>"));
        for file in ["green.xml", "red.xml"] {
            assert_eq!(desk.run(&format!("history import {file} --release {NEW}")).code, "0");
        }
        assert_eq!(desk.run(&format!("gate {NEW}")).code, "1", "{ahead} {behind}");
    }
}

#[test]
fn a_run_that_is_dated_into_the_future_hides_no_failure() {
    let now = time::OffsetDateTime::now_utc();
    let at = |hours| {
        let time = now + time::Duration::hours(hours);
        time.format(&time::format_description::well_known::Rfc3339).expect("it is a time")
    };
    let console = |word: &str| format!("Verdict(a) = VERDICT_{word}\nTestlist verdict = VERDICT_{word}\n");
    let desk = Desk::with_config(&BARE_LAB.replace("attach", "s6a"))
        .file("green.txt", console("PASS"))
        .file("ahead.txt", console("PASS"))
        .file("red.txt", console("FAIL"));
    let import =
        |file: &str, started: &str| desk.run(&format!("history import {file} --suite s6a --release {NEW}{started}"));
    let refused = import("green.txt", &format!(" --started {}", at(20)));
    assert_eq!(refused.code, "2");
    assert!(refused.stderr.contains("is in the future: it is "), "{refused}");
    // The time of a file may be ahead too: when its run began is not known then.
    let file = std::fs::File::options().write(true).open(desk.path("ahead.txt")).expect("it is there");
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(20 * 3600);
    file.set_modified(ahead).expect("it is ours");
    assert_eq!(import("ahead.txt", "").code, "0");
    assert_eq!(import("red.txt", "").code, "0");
    assert_eq!(desk.run(&format!("gate {NEW}")).code, "1");
    // A run that a wrong clock has dated is in the history already.
    change_history(&desk, "UPDATE night SET started = started + 72000000 WHERE status = 'passed'");
    assert_eq!(desk.run(&format!("gate {NEW}")).code, "1");
}

#[test]
fn a_file_in_another_encoding_is_named_and_a_byte_order_mark_is_read_over() {
    let utf16: Vec<u8> = "\u{feff}<testsuite name=\"s\"/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = b"<testsuite name=\"s\"><testcase name=\"d\xe9tach\"/></testsuite>";
    let declared = "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><testsuite name=\"s\"/>";
    let desk = Desk::with_lab()
        .file("bom.xml", junit_fixture("bom.xml"))
        .file("utf16.xml", utf16)
        .file("latin.xml", latin)
        .file("declared.xml", declared)
        .file("broken.json", b"{\"unknown\": \"\xff\"}");
    assert_eq!(desk.run("history import bom.xml").code, "0");
    // Also where nobody reads it.
    assert_snapshot!(desk.run("history import broken.json"), @"
        exit 2
        --- standard error
        error: `broken.json` is not UTF-8 at byte 13
          try: save it as UTF-8; `iconv -f ISO-8859-1 -t UTF-8 FILE >NEW` converts a file of Western Europe
        ");
    assert_snapshot!(desk.run("history import utf16.xml"), @"
        exit 2
        --- standard error
        error: `utf16.xml` is encoded as UTF-16LE, and only UTF-8 is read
          try: convert it: `iconv -f UTF-16LE -t UTF-8 FILE >NEW`
        ");
    assert_snapshot!(desk.run("history import latin.xml"), @"
        exit 2
        --- standard error
        error: `latin.xml` is not UTF-8 at byte 37
          try: save it as UTF-8; `iconv -f ISO-8859-1 -t UTF-8 FILE >NEW` converts a file of Western Europe
        ");
    assert_snapshot!(desk.run("history import declared.xml"), @"
        exit 2
        --- standard error
        error: `declared.xml` cannot be read as JUnit XML
          because: it is encoded as Shift_JIS, and only UTF-8 is read
        ");
}

#[test]
fn the_same_text_of_two_nights_is_two_runs() {
    let console = std::fs::read("tests/fixtures/ng40/all-pass.txt").expect("a fixture");
    let desk = Desk::with_lab().file("attach.log", console);
    let words = |release: &str, day: u8| {
        format!("history import attach.log --release {release} --started 2026-11-0{day}T23:05:00Z")
    };
    for (release, day) in [(OLD, 1), (NEW, 1), (NEW, 2)] {
        assert!(desk.run(&words(release, day)).stdout.ends_with("taken in\n"), "{release} {day}");
        assert!(desk.run(&words(release, day)).stdout.ends_with("known already\n"), "{release} {day}");
    }
    assert_eq!(desk.run("history list").stdout.lines().count(), 4);
}

#[test]
fn files_of_one_run_are_imported_as_one() {
    let console = std::fs::read("tests/fixtures/ng40/all-pass.txt").expect("a fixture");
    let desk = Desk::with_lab()
        .file("attach.log", console.clone())
        .file("handover.log", console)
        .file("whole.xml", junit_fixture("whole.xml"));
    let words = format!("history import attach.log handover.log whole.xml --run monday --release {NEW}");
    let taken = desk.run(&words).stdout;
    assert!(taken.starts_with("monday-") && taken.ends_with("taken in\n"), "{taken}");
    assert!(desk.run(&words).stdout.ends_with("known already\n"));
    let night: serde_json::Value = serde_json::from_str(&desk.run("history show --format json").stdout).expect("JSON");
    let suites: Vec<&str> =
        night["suites"].as_array().expect("suites").iter().filter_map(|suite| suite["suite"].as_str()).collect();
    assert_eq!(suites, ["attach", "handover", "s6a"]);
    assert_eq!(night["status"], "passed");
    assert_snapshot!(desk.run("history import attach.log attach.log --run tuesday"), @"
        exit 2
        --- standard error
        error: `attach.log` is refused
          because: a file before it has the suite `attach` as well
          try: name the files of a run after their suites, or import them as runs of their own
        ");
    assert_snapshot!(desk.run("history import attach.log --run a/b"), @"
        exit 2
        --- standard error
        error: `a/b` cannot be the name of a run
          try: use at most 100 letters, digits, `.`, `-` and `_`
        ");
}

#[test]
fn what_cannot_be_a_release_or_a_time_is_refused_by_an_import() {
    let console = std::fs::read("tests/fixtures/ng40/all-pass.txt").expect("a fixture");
    let old = "<testsuite name=\"s\" timestamp=\"-000249-10-15T19:33:20\"><testcase name=\"a\"/></testsuite>";
    let desk = Desk::with_lab().file("attach.log", console).file("old.xml", old);
    assert_snapshot!(desk.run("history import attach.log --release notaversion"), @"
        exit 2
        --- standard error
        error: `--release` is refused: `notaversion` is not `<semver>-<unix time>-<commit>`
          try: write the version as the package has it, for example `1.9.0-1667381719-ebd3bb56`
        ");
    assert_snapshot!(desk.run("history import attach.log --started 9998-01-01T00:00:00Z"), @"
        exit 2
        --- standard error
        error: `--started TIME` is refused
          because: 9998-01-01 00:00 is not a time between 1970 and now
          try: write when the run began, in UTC or with its offset: `TIME`, `2026-11-02T00:05:00+01:00`
        ");
    assert_snapshot!(desk.run("history import old.xml"), @"
        exit 2
        --- standard error
        error: `old.xml` is refused
          because: -249-10-15 19:33 is not a time between 1970 and now
          try: give its time with `--started`
        ");
    assert_eq!(desk.run("history import old.xml --started 2026-11-01T00:00:00Z").code, "0");
}

/// A history that somebody else has filled costs no run: it is asked, or said not to be readable, and the run is kept.
#[test]
fn a_run_goes_on_beside_a_history_that_somebody_else_has_filled() {
    // A run whose start or status cannot be shown is left out with a warning, so there is none to be shown.
    let poisons = [
        ("UPDATE night SET started = -99999999999999, release = char(27) || '[2J'", "0", "2"),
        ("UPDATE night SET started = 9223372036854775807, url = char(27) || ']0;owned' || char(7)", "0", "2"),
        ("UPDATE night SET passed = 9223372036854775807, failed = 1, run = printf('%.70000c', 'x')", "0", "0"),
        ("UPDATE night SET status = 'fine'", "0", "2"),
    ];
    for (sql, listed, shown) in poisons {
        let desk = after_a_night();
        change_history(&desk, sql);
        for (words, expected) in [
            ("history list", listed),
            ("history list --format json", listed),
            ("history show", shown),
            ("history page --out site", "0"),
            ("gate latest", "6"),
            ("test -q", "3"),
            ("history list", listed),
        ] {
            let ended = desk.run(words);
            assert_eq!(ended.code, expected, "{sql}: {words}: {ended}");
            let harmful = |char: char| char.is_control() && char != '\n';
            assert!(!ended.stdout.contains(harmful) && !ended.stderr.contains(harmful), "{sql}: {words}: {ended}");
        }
    }
}
