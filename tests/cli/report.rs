//! `teravm-ci report`: saved consoles, turned into reports.

use std::fmt::Write as _;
use std::fs;

use insta::assert_snapshot;

use crate::desk::Desk;

const GREEN: &str = include_str!("../fixtures/ng40/all-pass.txt");
const RED: &str = include_str!("../fixtures/ng40/some-fail.txt");
const USER_PLANE: &str = include_str!("../fixtures/ng40/tables-and-packet-loss.txt");

/// The consoles in NG40's format, by name: one file an oddity.
pub(crate) fn recorded_consoles() -> impl Iterator<Item = (String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ng40");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the consoles are there")
        .filter_map(|entry| Some(entry.expect("a file").file_name().to_str()?.strip_suffix(".txt")?.to_owned()))
        .collect();
    names.sort();
    names.into_iter().map(move |name| (name.clone(), format!("{folder}/{name}.txt")))
}

#[test]
fn every_recorded_console_has_its_exit_code_and_says_why() {
    let mut table = String::new();
    for (name, path) in recorded_consoles() {
        let desk = Desk::new();
        let ended = desk.run_words(&["report", "-q", &path]);
        assert_eq!(desk.json("results/run.json")["code"].to_string(), ended.code, "{name}");
        let why = ended.stdout.lines().skip(1).take_while(|line| !line.is_empty()).map(str::trim);
        let why = why.collect::<Vec<_>>().join("; ").replace(&format!("`{name}`: "), "");
        writeln!(table, "{}", format!("{} {name:<42} {why}", ended.code).trim_end()).expect("a string takes it");
    }
    assert_snapshot!(table);
}

#[test]
fn a_green_console_is_told_in_full() {
    assert_snapshot!(Desk::new().file("night.txt", GREEN).run("report night.txt"), @"
        exit 0
        --- standard output
        PASSED  exit 0  0.0 s

        suite  passed  failed  error   took
        night       3       0      0  0.0 s

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS        night      report: test night
                                   run RUN, teravm-ci 0.1.0, DAY HH:MM UTC
        HH:MM:SS  ...   test       night: night.txt on offline
        HH:MM:SS  note  test       night: 3 cases planned
        HH:MM:SS  ok    test       night 1/3 attach_01
        HH:MM:SS  ok    test       night 2/3 attach-02.b
        HH:MM:SS  ok    test       night 3/3 detach_01
        HH:MM:SS  ok    test       night: 3 passed
        HH:MM:SS  ok    test       1 console
        HH:MM:SS        night      over
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
fn a_red_console_is_told_in_full() {
    assert_snapshot!(Desk::new().file("night.txt", RED).run("report night.txt"), @"
        exit 1
        --- standard output
        TESTS FAILED  exit 1  0.0 s
          `night`: 2 of 3 cases failed: attach_02, detach_01

        suite  passed  failed  error   took
        night       1       2      0  0.0 s

        night / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        night / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS        night      report: test night
                                   run RUN, teravm-ci 0.1.0, DAY HH:MM UTC
        HH:MM:SS  ...   test       night: night.txt on offline
        HH:MM:SS  note  test       night: 3 cases planned
        HH:MM:SS  ok    test       night 1/3 attach_01
        HH:MM:SS  FAIL  test       night 2/3 attach_02
                                   verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)
        HH:MM:SS  FAIL  test       night 3/3 detach_01
                                   verification fail: ((received_Detach_Acc_=7) == 8) => False
        HH:MM:SS  FAIL  test       night: 1 passed, 2 failed
        HH:MM:SS  ok    test       1 console
        HH:MM:SS        night      over
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
fn a_quiet_report_says_only_what_is_wrong_and_the_outcome() {
    assert_snapshot!(Desk::new().file("night.txt", RED).run("report -q night.txt"), @"
        exit 1
        --- standard output
        TESTS FAILED  exit 1  0.0 s
          `night`: 2 of 3 cases failed: attach_02, detach_01

        suite  passed  failed  error   took
        night       1       2      0  0.0 s

        night / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        night / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  test       night 2/3 attach_02
                                   verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)
        HH:MM:SS  FAIL  test       night 3/3 detach_01
                                   verification fail: ((received_Detach_Acc_=7) == 8) => False
        HH:MM:SS  FAIL  test       night: 1 passed, 2 failed
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
fn several_consoles_in_both_families_are_suites_of_one_report() {
    let desk = Desk::new().file("green.txt", GREEN).file("red.log", RED).file("user-plane.txt", USER_PLANE);
    assert_snapshot!(desk.run("report -q green.txt red.log user-plane.txt").stdout, @"
        TESTS FAILED  exit 1  0.0 s
          `red`: 2 of 3 cases failed: attach_02, detach_01

        suite       passed  failed  error   took
        green            3       0      0  0.0 s
        red              1       2      0  0.0 s
        user-plane       1       0      0  0.0 s

        red / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        red / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        ");
}

#[test]
fn consoles_of_one_name_stay_two_suites() {
    let desk = Desk::new().file("a/night.txt", GREEN).file("b/night.txt", RED).file("night.log", USER_PLANE);
    assert_snapshot!(desk.run("report -q a/night.txt b/night.txt night.log").stdout, @"
        TESTS FAILED  exit 1  0.0 s
          `night-2`: 2 of 3 cases failed: attach_02, detach_01

        suite    passed  failed  error   took
        night         3       0      0  0.0 s
        night-2       1       2      0  0.0 s
        night-3       1       0      0  0.0 s

        night-2 / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        night-2 / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        ");
    assert_snapshot!(desk.run("report -q --suite gxgy a/night.txt b/night.txt").stdout, @"
        TESTS FAILED  exit 1  0.0 s
          `gxgy-2`: 2 of 3 cases failed: attach_02, detach_01

        suite   passed  failed  error   took
        gxgy         3       0      0  0.0 s
        gxgy-2       1       2      0  0.0 s

        gxgy-2 / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        gxgy-2 / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        ");
}

#[test]
fn runs_one_after_the_other_in_one_console_are_all_told() {
    let desk = Desk::new().file("week.txt", [GREEN, RED, USER_PLANE].concat());
    assert_snapshot!(desk.run("report -q week.txt"), @"
        exit 1
        --- standard output
        TESTS FAILED  exit 1  0.0 s
          `week`: 2 of 7 cases failed: attach_02, detach_01 #2

        suite  passed  failed  error   took
        week        5       2      0  0.0 s

        week / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        week / detach_01 #2  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  test       week 2/3 attach_02
                                   verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)
        HH:MM:SS  FAIL  test       week 3/3 detach_01 #2
                                   verification fail: ((received_Detach_Acc_=7) == 8) => False
        HH:MM:SS  FAIL  test       week: 5 passed, 2 failed
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
fn a_console_on_standard_input_is_a_suite() {
    assert_snapshot!(Desk::new().input(RED).run("report -q -"), @"
        exit 1
        --- standard output
        TESTS FAILED  exit 1  0.0 s
          `stdin`: 2 of 3 cases failed: attach_02, detach_01

        suite  passed  failed  error   took
        stdin       1       2      0  0.0 s

        stdin / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        stdin / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  test       stdin 2/3 attach_02
                                   verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)
        HH:MM:SS  FAIL  test       stdin 3/3 detach_01
                                   verification fail: ((received_Detach_Acc_=7) == 8) => False
        HH:MM:SS  FAIL  test       stdin: 1 passed, 2 failed
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    assert_snapshot!(Desk::new().input(GREEN).run("report -q --suite gxgy -"), @"
        exit 0
        --- standard output
        PASSED  exit 0  0.0 s

        suite  passed  failed  error   took
        gxgy        3       0      0  0.0 s

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
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
fn silence_on_standard_input_is_inconclusive() {
    assert_snapshot!(Desk::new().run("report -q -"), @"
        exit 6
        --- standard output
        INCONCLUSIVE  exit 6  0.0 s
          `stdin`: no test case was run, and nothing was printed; the list has no verdict

        suite  passed  failed  error   took
        stdin       0       0      1  0.0 s

        stdin / (suite)  no verdict
          no test case was run, and nothing was printed; the list has no verdict

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  ERR   test       stdin (suite)
                                   no test case was run, and nothing was printed; the list has no verdict
        HH:MM:SS  ERR   test       stdin: 0 passed, 1 inconclusive
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

/// A console that is cut off has passed only if it was cut behind its list's verdict.
#[test]
fn a_console_that_is_cut_off_anywhere_before_its_end_has_not_passed() {
    let end = GREEN.find("Testlist verdict = VERDICT_PASS").expect("the list has a verdict")
        + "Testlist verdict = VERDICT_PASS\n".len();
    let cuts: Vec<usize> = (0..GREEN.len()).step_by(37).chain(end - 8..end + 4).collect();
    let desk = cuts.iter().fold(Desk::new(), |desk, cut| desk.file(&format!("{cut}.txt"), &GREEN.as_bytes()[..*cut]));
    let names: Vec<String> = cuts.iter().map(|cut| format!("{cut}.txt")).collect();
    let mut words = vec!["report", "-q"];
    words.extend(names.iter().map(String::as_str));
    assert_eq!(desk.run_words(&words).code, "6");

    let run = desk.json("results/run.json");
    let suites = run["suites"].as_array().expect("a list");
    assert_eq!(suites.len(), cuts.len());
    for (suite, cut) in suites.iter().zip(cuts) {
        let is_green =
            suite["cases"].as_array().expect("a list").iter().all(|case| case["judgement"]["judged"] == "passed")
                && suite["end"]["verdict"] == "PASS";
        // The line end alone may be missing.
        assert_eq!(is_green, cut >= end - 1, "cut at {cut} of {}", GREEN.len());
    }
}

/// The limit is on all memory that the program may write to, its threads' stacks included.
#[test]
fn a_console_of_thirty_megabytes_is_read_in_little_memory() {
    let mut console = String::from("**** TOTAL number of test cases:3\n");
    for number in 1..=3 {
        writeln!(console, "Run test case ({number}) on tiplab: flood_{number}()").expect("a string takes it");
        // One line that is long by itself, and many short ones.
        console.push_str(&"x".repeat(4_000_000));
        console.push('\n');
        console.push_str(&"12:00:00: S1AP: a message of the kind that fills a console\n".repeat(100_000));
        writeln!(console, "Verdict(flood_{number}) = VERDICT_PASS\n").expect("a string takes it");
    }
    console.push_str("Testlist verdict = VERDICT_PASS\n");
    assert!(console.len() > 29_000_000);
    let desk = Desk::new().file("flood.txt", console).after("ulimit -d 40000");
    assert_snapshot!(desk.run("report -q flood.txt"), @"
        exit 0
        --- standard output
        PASSED  exit 0  0.0 s

        suite  passed  failed  error   took
        flood       3       0      0  0.0 s

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    let size = |name: &str| fs::metadata(desk.path(name)).expect("it is there").len();
    assert!(size("results/junit.xml") < 1_000_000, "{}", size("results/junit.xml"));
    assert!(size("results/run.json") < 1_000_000, "{}", size("results/run.json"));
}

#[test]
fn loss_above_the_limit_and_silence_fail_what_ng40_has_passed() {
    let desk = Desk::new().file("user-plane.txt", USER_PLANE);
    assert_snapshot!(desk.run("report -q --max-packet-loss 0 user-plane.txt"), @"
        exit 1
        --- standard output
        TESTS FAILED  exit 1  0.0 s
          `user-plane`: 1 of 1 case failed: tc_attach_www

        suite       passed  failed  error   took
        user-plane       0       1      0  0.0 s

        user-plane / tc_attach_www  VERDICT_PASS
          NG40 said VERDICT_PASS, but 12.5 % of the packets (620) were lost on the downlink (allowed: 0 %)

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  test       user-plane tc_attach_www
                                   NG40 said VERDICT_PASS, but 12.5 % of the packets (620) were lost on the downlink (allowed: 0 %)
        HH:MM:SS  FAIL  test       user-plane: 0 passed, 1 failed
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
fn a_second_report_removes_what_the_first_wrote_and_nothing_else() {
    let desk = Desk::new().file("red.txt", RED).file("green.txt", GREEN);
    desk.run("report -q red.txt");
    let desk = desk
        .file("results/suites/.teravm-ci-results", "red/console.log\n")
        .file("results/suites/red/console.log", "of the first run")
        .file("results/hosts/.teravm-ci-results", "agw/journal.gz\n")
        .file("results/hosts/agw/journal.gz", "of the first run")
        .file("results/notes.txt", "an engineer's")
        .file("results/more/junit.xml", "an engineer's");
    assert_snapshot!(desk.run("report -q green.txt"), @"
        exit 0
        --- standard output
        PASSED  exit 0  0.0 s

        suite  passed  failed  error   took
        green       3       0      0  0.0 s

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- changed
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        removed results/hosts/
        removed results/hosts/.teravm-ci-results
        removed results/hosts/agw/
        removed results/hosts/agw/journal.gz
        removed results/suites/
        removed results/suites/.teravm-ci-results
        removed results/suites/red/
        removed results/suites/red/console.log
        ");
    assert!(!desk.read("results/junit.xml").contains("red"));
    assert_eq!(desk.read("results/notes.txt"), "an engineer's");
}

#[test]
fn a_file_of_somebody_else_in_a_folder_of_a_run_keeps_all_of_it() {
    let desk = Desk::new().file("red.txt", RED).file("green.txt", GREEN);
    desk.run("report -q red.txt");
    let desk = desk
        .file("results/suites/.teravm-ci-results", "red/console.log\n")
        .file("results/suites/red/console.log", "of the first run")
        .file("results/suites/red/mine/notes.txt", "an engineer's");
    assert_snapshot!(desk.run("report -q green.txt"), @"
        exit 2
        --- standard error
        error: `results/suites/red/mine/notes.txt` is there already, and was not written by an earlier run
          try: nothing was touched; move it away, or choose another folder
        ");
}

#[test]
fn a_refused_report_leaves_the_reports_of_the_run_before_as_they_are() {
    let desk = Desk::new().file("red.txt", RED);
    desk.run("report -q red.txt");
    assert_snapshot!(desk.run("report -q red.txt gone.txt"), @"
        exit 2
        --- standard error
        error: cannot read the console `gone.txt`
          because: No such file or directory (os error 2)
        ");
}

#[test]
fn progress_can_be_the_events_of_the_record() {
    let desk = Desk::new().file("night.txt", RED);
    let ended = desk.run("report --log-format json night.txt");
    assert_eq!(ended.stderr, desk.without_accidents(&desk.read("results/events.jsonl")));
    assert_snapshot!(ended.stderr.lines().next().expect("the first event"), @r#"
        {"time":"TIME","event":"night_started","format":1,"run":"RUN","program":"0.1.0","command":"report","setup":null,"url":null,"wanted":null,"gateways":[],"suites":[{"suite":"night","list":"night.txt"}],"steps":["test"],"gate":{"known_failures":[],"strict":false,"required":"none","flaky":"pass","max_duration":{}}}
        "#);
}

#[test]
fn a_standard_output_that_is_full_is_a_report_that_could_not_be_written() {
    let desk = Desk::new().file("night.txt", GREEN).after("exec > /dev/full");
    assert_snapshot!(desk.run("report -q night.txt"), @"
        exit 7
        --- standard error
        HH:MM:SS  FAIL  report     standard output: cannot write the report `standard output`
                                   because: No space left on device (os error 28)
                                   try: is there room, and may we write there? `--results` names another folder
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    assert_eq!(desk.json("results/run.json")["code"], 7);
    assert!(desk.read("results/junit.xml").contains("standard output"));
}

#[test]
fn whoever_stops_reading_our_standard_output_is_no_failure() {
    let desk = Desk::new().file("night.txt", GREEN).after("/usr/bin/mkfifo pipe; : < pipe & exec > pipe; wait");
    assert_snapshot!(desk.run("report -q night.txt"), @"
        exit 0
        --- changed
        wrote pipe
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

/// The speed of the loopback can be opened, and its first byte cannot be read.
#[test]
fn a_console_that_cannot_be_read_to_its_end_is_inconclusive() {
    assert_snapshot!(Desk::new().run("report -q /sys/class/net/lo/speed"), @"
        exit 6
        --- standard output
        INCONCLUSIVE  exit 6  0.0 s
          `speed`: the console `/sys/class/net/lo/speed` cannot be read to its end: Invalid argument (os error 22)
          `speed`: no test case was run, and nothing was printed; the list has no verdict

        suite  passed  failed  error   took
        speed       0       0      1  0.0 s

        speed / (suite)  no verdict
          no test case was run, and nothing was printed; the list has no verdict

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  ERR   test       speed (suite)
                                   no test case was run, and nothing was printed; the list has no verdict
        HH:MM:SS  ERR   test       speed: 0 passed, 1 inconclusive
                                   the console `/sys/class/net/lo/speed` cannot be read to its end
                                   because: Invalid argument (os error 22)
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
fn nothing_that_ng40_prints_moves_a_terminal() {
    let hostile = "\u{1b}[2J\u{1b}]0;title\u{7}\u{8}\u{9b}31m\u{202e}\0";
    let console = format!(
        "Run test case (1) on tiplab: case()\nverification fail: {hostile} => False\n\
         Verdict(case) = VERDICT_FAIL\nTestlist verdict = VERDICT_FAIL\n"
    );
    let desk = Desk::new().file("night.txt", console);
    for words in ["report night.txt", "report -v night.txt", "report --log-format json night.txt"] {
        let ended = desk.run(words);
        assert_eq!(ended.code, "1", "{words}");
        for text in [ended.stdout, ended.stderr] {
            assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{words}: {text:?}");
        }
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let desk = Desk::new().file("night.txt", RED);
    let ended = desk.run("report --color always night.txt");
    assert!(ended.stdout.starts_with("\u{1b}[1m\u{1b}[31mTESTS FAILED\u{1b}[0m"), "{:?}", ended.stdout);
    assert!(ended.stderr.contains("\u{1b}[31mFAIL"), "{:?}", ended.stderr);
    let plain = desk.run("report night.txt");
    assert!(!plain.stdout.contains('\u{1b}') && !plain.stderr.contains('\u{1b}'));
}

/// A disk on which only short files have room: what stands in the reports when the night begins, and not what comes after.
const SMALL_DISK: &str = "trap '' XFSZ; ulimit -f 4";

#[test]
fn reports_that_find_no_room_are_said_and_what_stands_there_is_not_green() {
    let desk = Desk::new().file("week.txt", [GREEN, USER_PLANE, GREEN].concat()).after(SMALL_DISK);
    assert_snapshot!(desk.run("report -q week.txt"), @"
        exit 7
        --- standard output
        REPORT  exit 7  0.0 s
          `report.html`: cannot write the report `results/report.html`: File too large (os error 27)
          `events.jsonl`: cannot write the report `results/events.jsonl`: File too large (os error 27)
          `run.json`: cannot write the report `results/run.json`: File too large (os error 27)
          `junit.xml`: cannot write the report `results/junit.xml`: File too large (os error 27)

        suite  passed  failed  error   took
        week        7       0      0  0.0 s

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  report     report.html: cannot write the report `results/report.html`
                                   because: File too large (os error 27)
                                   try: is there room, and may we write there? `--results` names another folder
        HH:MM:SS  FAIL  report     events.jsonl: cannot write the report `results/events.jsonl`
                                   because: File too large (os error 27)
                                   try: is there room, and may we write there? `--results` names another folder
        HH:MM:SS  FAIL  report     run.json: cannot write the report `results/run.json`
                                   because: File too large (os error 27)
                                   try: is there room, and may we write there? `--results` names another folder
        HH:MM:SS  FAIL  report     junit.xml: cannot write the report `results/junit.xml`
                                   because: File too large (os error 27)
                                   try: is there room, and may we write there? `--results` names another folder
        --- changed
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    assert_snapshot!(desk.without_accidents(&desk.read("results/junit.xml")), @r#"
        <?xml version="1.0" encoding="utf-8"?>
        <!-- written by teravm-ci -->
        <testsuites>
        <testsuite skipped="0" id="0" name="week" package="testsuite/week" tests="1" errors="1" failures="0" hostname="unknown" timestamp="TIME" time=TOOK>
        <testcase name="(suite)" time=TOOK classname="week" file="week.txt"><error type="inconclusive" message="the suite was not started: the night has not ended"><![CDATA[the suite was not started: the night has not ended]]></error></testcase><system-out><![CDATA[setup: none
        test list: week.txt
        list verdict: none
        ]]></system-out>
        </testsuite>
        <testsuite skipped="0" id="1" name="pipeline" package="testsuite/pipeline" tests="2" errors="2" failures="0" hostname="localhost" timestamp="TIME" time=TOOK>
        <testcase name="test" time=TOOK classname="pipeline"><error type="inconclusive" message="not reached yet"><![CDATA[not reached yet]]></error></testcase>
        <testcase name="night" time=TOOK classname="pipeline"><error type="inconclusive" message="the night has not ended"><![CDATA[the night has not ended]]></error></testcase><system-out><![CDATA[setup: none
        run: RUN
        ]]></system-out>
        </testsuite>
        </testsuites>
        "#);
}

#[test]
fn a_failed_test_comes_before_a_report_that_found_no_room() {
    let desk = Desk::new().file("week.txt", [RED, USER_PLANE, GREEN].concat()).after(SMALL_DISK);
    let ended = desk.run("report -q week.txt");
    assert_eq!(ended.code, "1");
    assert_snapshot!(ended.stdout, @"
        TESTS FAILED  exit 1  0.0 s
          `week`: 2 of 7 cases failed: attach_02, detach_01
          `report.html`: cannot write the report `results/report.html`: File too large (os error 27)  (report)
          `events.jsonl`: cannot write the report `results/events.jsonl`: File too large (os error 27)  (report)
          `run.json`: cannot write the report `results/run.json`: File too large (os error 27)  (report)
          `junit.xml`: cannot write the report `results/junit.xml`: File too large (os error 27)  (report)

        suite  passed  failed  error   took
        week        5       2      0  0.0 s

        week / attach_02  VERDICT_FAIL
          verification fail: ((received_Attach_Acc_=3) >= 8)  => False (and 1 more)

        week / detach_01  VERDICT_FAIL
          verification fail: ((received_Detach_Acc_=7) == 8) => False

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        ");
}

#[test]
fn a_disk_without_any_room_is_found_out_before_the_night() {
    let desk = Desk::new().file("night.txt", GREEN).after("trap '' XFSZ; ulimit -f 0");
    assert_snapshot!(desk.run("report night.txt"), @"
        exit 2
        --- standard error
        error: cannot write the report `results/run.json`
          because: File too large (os error 27)
          try: is there room, and may we write there? `--results` names another folder
        --- changed
        wrote results/
        wrote results/events.jsonl
        ");
}
