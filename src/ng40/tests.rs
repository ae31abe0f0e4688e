//! Whole consoles: text in, outcome out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::case::{Case, Judgement};
use super::console::MAX_LINE;
use super::fuzz::{assert_counted, read};
use super::list::{Occurrence, Reading};
use super::outcome::{End, ExitStatus, Outcome, ProblemKind, Rules};
use super::parser::{Said, parse_line};
use super::reading::{self, Console, Heard};
use crate::event;
use crate::secret::{Redactor, Secret};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ng40");

fn read_text(text: &str) -> Outcome {
    read([text.as_bytes()], Rules::default(), End::Offline)
}

/// How the run behind a console was asked for, and how it ended, where the console alone is not the point.
fn setting(name: &str) -> (Rules, End) {
    let record = Rules::default();
    let check = Rules { exit_status: ExitStatus::Check, ..record };
    let limit = |percent| Rules { max_packet_loss: Some(percent), ..record };
    match name {
        "hang" | "hang-after-the-list-verdict" => (record, End::DeadlineReached),
        "host-lost" => (record, End::Lost),
        "killed" => (record, End::Signaled(9)),
        "command-not-found" => (record, End::Exited(127)),
        "exit-status-137" => (record, End::Exited(137)),
        "exit-status-3" => (record, End::Exited(3)),
        "exit-status-3-checked" => (check, End::Exited(3)),
        "exit-status-0-checked-with-a-failure" => (check, End::Exited(0)),
        "packet-loss-above-the-limit" => (limit(12.0), End::Exited(0)),
        "packet-loss-at-the-limit" => (limit(12.5), End::Exited(0)),
        "packet-loss-unknown-with-a-limit" | "no-packets-sent-with-a-limit" => (limit(1.0), End::Exited(0)),
        _ => (record, End::Offline),
    }
}

/// Returns an outcome as a person would tell it.
fn rendered(console: &[u8], outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut line =
        |indent: usize, line: &str| writeln!(text, "{:indent$}{line}", "").expect("a string takes everything");
    line(0, if outcome.is_passed() { "passed" } else { "not passed" });
    for list in &outcome.lists {
        let logger = list.logger.as_deref().unwrap_or("no logger");
        let planned = list.planned.map_or_else(|| "unknown".to_owned(), |planned| planned.to_string());
        line(0, &format!("list: {logger}, planned: {planned}, cases: {}, {}", list.cases, list.verdict));
    }
    for case in outcome.cases.iter().take(10) {
        let number = case.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let system = case.system.as_deref().unwrap_or("-");
        let params = case.params.as_deref().unwrap_or("-");
        line(0, &format!("case {}: {}, number {number}, on {system}, with {params}", case.full_name(), case.verdict));
        line(
            4,
            &match case.judgement() {
                Judgement::Passed => "passed".to_owned(),
                Judgement::Failed { kind, message } => format!("failed, {kind}: {message}"),
                Judgement::Error { kind, message } => format!("error, {kind}: {message}"),
            },
        );
        for detail in case.details().lines() {
            line(4, detail);
        }
        let Some(range) = &case.console else { continue };
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let own = String::from_utf8_lossy(&console[range.clone()]).into_owned();
        let first = own.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let last = own.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let count = own.lines().count();
        line(4, &format!("console: {count} lines, from {:?} to {:?}", first.trim(), last.trim()));
    }
    if outcome.cases.len() > 10 {
        line(0, &format!("... and {} more cases", outcome.cases.len() - 10));
    }
    for problem in &outcome.problems {
        line(0, &format!("problem, {:?}: {}", problem.kind, problem.message));
    }
    for note in &outcome.notes {
        line(0, &format!("note: {note}"));
    }
    text
}

#[test]
fn a_suite_names_the_cases_that_passed_without_traffic_where_nothing_limits_that() {
    let notes = |text: &str, max_packet_loss| {
        let file = tempfile::tempfile().expect("a temporary file");
        let mut console = Console::saved(&file, Rules { max_packet_loss, ..Rules::default() });
        console.push(text.as_bytes(), Duration::ZERO, |_| ());
        console.finish(End::Offline, Duration::ZERO, |_| ()).notes
    };
    let told =
        |names: &str| format!("passed with every packet lost or none sent, and no `max_packet_loss` is set: {names}");
    let text = fs::read_to_string(format!("{FIXTURES}/no-packets-sent.txt")).expect("a fixture");
    assert_eq!(notes(&text, None), [format!("1 case {}", told("tc_attach"))]);
    // With a limit it does not pass, and says why itself.
    assert_eq!(notes(&text, Some(1.0)), [""; 0]);
    let failed = text.replace("VERDICT_PASS", "VERDICT_FAIL");
    assert_eq!(notes(&failed, None), [""; 0]);
    let seven: String = (0..7).map(|number| text.replace("tc_attach", &format!("tc_{number}"))).collect();
    assert_eq!(
        notes(&seven, None).last(),
        Some(&format!("7 cases {}", told("tc_0, tc_1, tc_2, tc_3, tc_4 and 2 more")))
    );
}

#[test]
fn every_console_comes_to_what_is_written_beside_it() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(FIXTURES);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut names = Vec::new();
    for entry in fs::read_dir(FIXTURES).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    names.sort();
    assert!(names.len() > 50);
    for name in names {
        let console = fs::read(Path::new(FIXTURES).join(format!("{name}.txt"))).unwrap();
        let (rules, end) = setting(&name);
        let outcome = read([console.as_slice()], rules, end);
        let byte_by_byte = read(console.chunks(1), rules, end);
        assert_eq!(byte_by_byte, outcome, "{name}");
        let json = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome, "{name}");
        settings.bind(|| insta::assert_snapshot!(name.as_str(), rendered(&console, &outcome)));
    }
}

/// Feeds lines that came at these seconds.
fn read_timed(lines: &[(u64, &str)], end_at: u64) -> Outcome {
    let mut reading = Reading::new(Rules::default());
    for (second, line) in lines {
        reading.push(format!("{line}\n").as_bytes(), Some(Duration::from_secs(*second)), |_| {});
    }
    reading.finish(End::Exited(0), Some(Duration::from_secs(end_at)), |_| {})
}

fn times(outcome: &Outcome) -> Vec<(u64, u64)> {
    let seconds = |duration: Option<Duration>| duration.expect("the time was said").as_secs();
    outcome.cases.iter().map(|case| (seconds(case.started), seconds(case.took))).collect()
}

#[test]
fn a_case_takes_from_its_start_to_its_verdict_and_not_to_what_follows() {
    let outcome = read_timed(
        &[
            (5, "Run test case (1) on lab: a()"),
            (65, "Verdict(a) = VERDICT_PASS"),
            (70, "Run test case (2) on lab: b()"),
            (100, "Testlist verdict = VERDICT_FAIL"),
        ],
        200,
    );
    assert_eq!(times(&outcome), [(5, 60), (70, 30)]);
}

#[test]
fn a_case_that_is_only_known_by_its_verdict_starts_where_the_one_before_it_ended() {
    let outcome = read_timed(
        &[
            (30, "Watchtime: 9 Timeout: 1800"),
            (60, "Verdict(a) = VERDICT_PASS"),
            (61, "No pkt DL tx"),
            (70, "Watchtime: 1 Timeout: 1800"),
            (90, "Verdict(a) = VERDICT_PASS"),
            (95, "Testlist verdict = VERDICT_PASS"),
        ],
        100,
    );
    assert_eq!(times(&outcome), [(0, 60), (60, 30)]);
}

#[test]
fn a_case_that_is_open_at_the_end_takes_until_the_end() {
    assert_eq!(times(&read_timed(&[(5, "Run test case (1) on lab: a()")], 100)), [(5, 95)]);
}

#[test]
fn a_saved_console_does_not_say_how_long_anything_took() {
    let outcome =
        read_text("Run test case (1) on lab: a()\nVerdict(a) = VERDICT_PASS\nTestlist verdict = VERDICT_PASS\n");
    assert!(outcome.is_passed());
    assert_eq!((outcome.cases[0].started, outcome.cases[0].took), (None, None));
}

#[test]
fn a_case_is_told_as_soon_as_the_next_one_starts() {
    let mut reading = Reading::new(Rules::default());
    let mut told = Vec::new();
    for line in ["Run test case (1) on lab: a()\n", "Verdict(a) = VERDICT_PASS\n", "Run test case (2) on lab: b()\n"] {
        reading.push(line.as_bytes(), None, |occurrence| {
            told.push(match occurrence {
                Occurrence::CaseStarted(case) => format!("{} started", case.name),
                Occurrence::CaseFinished(case) => format!("{} finished: {}", case.name, case.verdict),
                other => panic!("{other:?}"),
            });
        });
    }
    assert_eq!(told, ["a started", "a finished: PASS", "b started"]);
}

#[test]
fn a_console_that_is_cut_in_a_second_run_has_not_passed() {
    let console = fs::read_to_string(Path::new(FIXTURES).join("user-plane-by-fabric-twice.txt")).expect("it is there");
    let ended = console.find("Testlist verdict").expect("the first run ended");
    let drawn = ended + console[ended..].find(" Table\r\n").expect("the second run draws tables") + " Table\r\n".len();
    let whole = console.trim_end().len();
    for cut in (drawn..whole).filter(|&cut| console.is_char_boundary(cut)) {
        for end in [End::Offline, End::Exited(1)] {
            let outcome = read([&console.as_bytes()[..cut]], Rules::default(), end);
            assert!(!outcome.is_passed(), "{end:?}, cut at {cut}: {outcome:?}");
        }
    }
    // What is drawn once more by a run that then ends well says nothing else.
    assert!(read([&console.as_bytes()[..drawn]], Rules::default(), End::Exited(0)).is_passed());
    assert!(read_text(&console).is_passed());
}

#[test]
fn full_names_are_distinct_even_if_a_case_is_called_like_a_repetition() {
    for names in [["a", "a", "a #2"], ["a #2", "a", "a"], ["a", "a #2", "a"]] {
        let mut text = String::new();
        for (number, name) in (1..).zip(names) {
            writeln!(text, "Run test case ({number}) on lab: {name}()\nVerdict({name}) = VERDICT_PASS").unwrap();
        }
        let outcome = read_text(&text);
        let mut full_names: Vec<_> = outcome.cases.iter().map(Case::full_name).collect();
        full_names.sort();
        full_names.dedup();
        assert_eq!(full_names.len(), 3, "{names:?}");
    }
}

#[test]
fn a_line_of_any_length_is_no_verdict_and_takes_no_memory() {
    let mut reading = Reading::new(Rules::default());
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        reading.push(&piece, None, |_| {});
    }
    reading.push(b"Verdict(a) = VERDICT_PASS\nTestlist verdict = VERDICT_PASS\n", None, |_| {});
    let outcome = reading.finish(End::Offline, None, |_| {});
    assert_eq!(outcome.cases, []);
    assert_eq!(outcome.problems[0].kind, ProblemKind::NoCase);
}

#[test]
fn a_verdict_that_is_overwritten_counts_unless_it_is_a_pass() {
    const END: &str = "Testlist verdict = VERDICT_PASS\n";
    let far = "Watchtime: 7 Timeout: 1800\r".repeat(10_000);
    for line in [
        "Verdict(a) = VERDICT_FAIL\rVerdict(a) = VERDICT_PASS\n".to_owned(),
        "Verdict(a) = VERDICT_FAIL\x1b[2K\rVerdict(a) = VERDICT_PASS\r\n".to_owned(),
        "Verdict(a) = VERDICT_FAIL\x1b[1;1HVerdict(a) = VERDICT_PASS\n".to_owned(),
        "Verdict(a) = VERDICT_PASS\rVerdict(a) = VERDICT_FAIL\rVerdict(a) = VERDICT_PASS\n".to_owned(),
        format!("Verdict(a) = VERDICT_FAIL\r{far}Verdict(a) = VERDICT_PASS\n"),
    ] {
        let outcome = read_text(&format!("{line}{END}"));
        assert!(!outcome.is_passed() && outcome.cases[0].verdict.token() == Some("FAIL"), "{line:?}: {outcome:?}");
    }
    let case = "Verdict(a) = VERDICT_PASS\n";
    for line in [
        "Testlist verdict = VERDICT_FAIL\rTestlist verdict = VERDICT_PASS\n",
        "**** TOTAL number of test cases:2\r**** done\nTestlist verdict = VERDICT_PASS\n",
        "Run test case (2) on lab: b()\rwaiting\nTestlist verdict = VERDICT_PASS\n",
        // A pass that something else is drawn over is none.
        "Testlist verdict = VERDICT_PASS\rnot yet\n",
    ] {
        let outcome = read_text(&format!("{case}{line}"));
        assert!(!outcome.is_passed(), "{line:?}: {outcome:?}");
    }
    // What is drawn again is one.
    let start = "Run test case (1) on lab: a()";
    assert!(read_text(&format!("Run te\r{start}\r{start}\n{case}{END}")).is_passed());
}

#[test]
fn a_line_that_decides_and_cannot_be_read_is_a_problem() {
    const CASE: &str = "Run test case (1) on lab: a()\n\
        DL Loss= AS_PktTx-S1uPktRx=     0(pkts); 0.00(%)\nUL Loss= S1uPktTx-AS_PktRx=     0(pkts); 0.00(%)\n\
        Verdict(a) = VERDICT_PASS\n";
    const END: &str = "Testlist verdict = VERDICT_PASS\n";
    let comes_to = |line: &[u8], max_packet_loss| {
        let text = [CASE.as_bytes(), line, b"\n", END.as_bytes()].concat();
        read([text.as_slice()], Rules { max_packet_loss, ..Rules::default() }, End::Offline)
    };
    assert!(comes_to(b"text", Some(1.0)).is_passed());
    for line in [
        b"**** TOTAL number of test cases: 1 000".as_slice(),
        b"**** TOTAL number of test cases:60 (of 60)",
        b"Run test case (2) on lab: b",
        b"Run test case (2) on lab: b(",
        b"Verdict(b) = VERDICT_FAIL.",
        b"Verdict(b) = VERDICT_FAIL;",
        b"Verdict(b) = VERDICT_FAIL\xff",
        b"\xffVerdict(b) = VERDICT_FAIL",
    ] {
        let outcome = comes_to(line, None);
        assert_eq!(outcome.problems[0].kind, ProblemKind::Illegible, "{}: {outcome:?}", String::from_utf8_lossy(line));
    }
    let blank = comes_to("\u{a0}Verdict(b) = VERDICT_FAIL".as_bytes(), None);
    assert_eq!(blank.cases[1].verdict.token(), Some("FAIL"));
    let loss = b"DL Loss= AS_PktTx-S1uPktRx=     620(pkts); 50,0(%)";
    assert_eq!(comes_to(loss, Some(1.0)).problems[0].kind, ProblemKind::Illegible);
    // Without a limit it decides nothing.
    let unlimited = comes_to(loss, None);
    assert!(unlimited.is_passed());
    assert_eq!(
        unlimited.notes,
        [
            "the line `DL Loss= AS_PktTx-S1uPktRx=     620(pkts); 50,0(%)` tells of packets that were lost and cannot be read"
        ]
    );
}

#[test]
fn what_decides_and_is_too_long_is_a_problem() {
    let far = " ".repeat(2 * MAX_LINE);
    for line in ["Verdict(b) = VERDICT_FAIL", "Run test case (2) on lab: b(", "**** TOTAL number of test cases:2"] {
        let text = format!("Verdict(a) = VERDICT_PASS\n{line}{far}\nTestlist verdict = VERDICT_PASS\n");
        let outcome = read_text(&text);
        assert!(outcome.problems.iter().any(|problem| problem.kind == ProblemKind::Illegible), "{line}: {outcome:?}");
    }
}

#[test]
fn more_cases_than_can_be_kept_are_a_problem_that_names_their_worst_verdict() {
    let mut text = String::new();
    for number in 1..=10_002 {
        let word = if number == 10_002 { "FAIL" } else { "PASS" };
        writeln!(text, "Run test case ({number}) on lab: c{number}()\nVerdict(c{number}) = VERDICT_{word}").unwrap();
    }
    text.push_str("Testlist verdict = VERDICT_PASS\n");
    let mut reading = Reading::new(Rules::default());
    reading.push(text.as_bytes(), None, |_| {});
    let outcome = reading.finish(End::Exited(0), None, |_| {});
    assert_eq!(outcome.cases.len(), 10_000);
    assert!(!outcome.is_passed());
    let problem = outcome.problems.last().unwrap();
    assert_eq!(problem.kind, ProblemKind::TooMuch);
    assert!(problem.message.ends_with("the worst verdict among them: FAIL"), "{}", problem.message);
}

#[test]
fn many_lists_without_a_case_do_not_fill_the_memory() {
    let mut reading = Reading::new(Rules::default());
    for number in 0..20_000 {
        reading.push(format!("Open NG40 logger: Name = x{number}; ID = 1\n").as_bytes(), None, |_| {});
    }
    let outcome = reading.finish(End::Offline, None, |_| {});
    assert!(outcome.lists.len() <= 1000 && outcome.problems.len() <= 1001);
    assert!(!outcome.is_passed());
}

/// One line of a console, likely to be one that matters.
fn any_line() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c-1.x")];
    let word = prop_oneof![4 => Just("PASS"), 2 => Just("FAIL"), 1 => Just("INCONC")];
    let system = prop_oneof![3 => Just("east"), 1 => Just("west")];
    let ending =
        prop_oneof![4 => Just("\n"), 2 => Just("\r\n"), 1 => Just("   \r\n"), 1 => Just("\r"), 1 => Just("\x1b[K\n")];
    let text = prop_oneof![
        6 => (0..5_u32, system, name.clone()).prop_map(|(number, system, name)| format!("Run test case ({number}) on {system}: {name}($x=1)")),
        8 => (name, word.clone()).prop_map(|(name, word)| format!("Verdict({name}) = VERDICT_{word}")),
        2 => word.prop_map(|word| format!("Testlist verdict = VERDICT_{word}")),
        1 => (0..5_u32).prop_map(|planned| format!("**** TOTAL number of test cases:{planned}")),
        1 => Just("Open NG40 logger: Name = x_220301_060000-1; ID = 1".to_owned()),
        1 => Just("Signaling Table".to_owned()),
        1 => Just("     AttUE ActS1".to_owned()),
        1 => Just("ran_1 1,000 7".to_owned()),
        1 => Just("Watchtime: 7 Timeout: 1800".to_owned()),
        1 => Just("No pkt DL tx".to_owned()),
        1 => Just("UL Loss= a-b=  1(pkts); 4.17(%)".to_owned()),
        1 => Just("verification fail:  ((a=1) == 2)  => False".to_owned()),
        1 => Just("bash: x: command not found".to_owned()),
        2 => "\\PC{0,20}",
    ];
    (text, ending).prop_map(|(text, ending)| text + ending)
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let exit_status = prop_oneof![Just(ExitStatus::Record), Just(ExitStatus::Check)];
    (exit_status, prop::option::of(0.0..10.0))
        .prop_map(|(exit_status, max_packet_loss)| Rules { exit_status, max_packet_loss })
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        (0..200).prop_map(End::Exited),
        Just(End::Signaled(9)),
        Just(End::DeadlineReached),
        Just(End::Lost),
        Just(End::Offline),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_console_means_the_same_however_its_bytes_are_cut(
        lines in prop::collection::vec(any_line(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        rules in any_rules(),
        end in any_end(),
    ) {
        let console = lines.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(console.len() + 1)).collect();
        cuts.extend([0, console.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &console[ends[0]..ends[1]]);
        prop_assert_eq!(read(pieces, rules, end), read([console.as_slice()], rules, end));
    }

    #[test]
    fn no_pass_comes_out_of_nothing_and_no_failure_vanishes(
        lines in prop::collection::vec(any_line(), 0..40),
        rules in any_rules(),
        end in any_end(),
    ) {
        let console = lines.concat().into_bytes();
        let outcome = read([console.as_slice()], rules, end);
        assert_counted(&outcome, &console);
    }

    #[test]
    fn bytes_of_any_kind_never_pass(
        pieces in prop::collection::vec(
            prop_oneof![
                3 => prop::collection::vec(any::<u8>(), 0..100),
                1 => Just(b"Testlist verdict = VERDICT_PASS\n".to_vec()),
                1 => Just(b"Run test case (1) on lab: a()\n".to_vec()),
                1 => Just(b"Verdict(a) = ".to_vec()),
                1 => Just(b"\n**** TOTAL number of test cases:1\n".to_vec()),
                1 => Just(vec![b'x'; MAX_LINE]),
            ],
            0..20,
        ),
        rules in any_rules(),
        end in any_end(),
    ) {
        let console = pieces.concat();
        let outcome = read([console.as_slice()], rules, end);
        prop_assert!(!outcome.is_passed());
        prop_assert!(outcome.cases.iter().all(|case| case.judgement() != Judgement::Passed));
        prop_assert!(!outcome.problems.is_empty() || !outcome.cases.is_empty());
    }

    #[test]
    fn a_line_that_is_not_worth_reading_means_nothing(line in any_line(), junk in "[ -~]{0,3}") {
        let bytes = format!("{junk}{line}").replace('\n', "").into_bytes();
        let line = super::console::Line { bytes: &bytes, range: 0..1, part: super::console::Part::End };
        if !line.is_worth_reading() {
            prop_assert!(matches!(parse_line(&line.text()), Said::Other(_)), "{}", line.text());
        }
    }
}

#[test]
fn a_case_that_has_passed_carries_less_of_its_console_than_one_that_has_not() {
    let filler = "a word of the system\n".repeat(10_000);
    let case = |name: &str, token: &str| {
        format!(
            "Run test case (1) on facebook: {name}()\nfirst of {name}\n{filler}last of {name}\nVerdict({name}) = VERDICT_{token}\n"
        )
    };
    let text = case("good", "PASS") + &case("bad", "FAIL");
    let mut file = tempfile::tempfile().expect("a temporary file");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("it has room");
    let mut console = Console::saved(&file, Rules::default());
    let mut carried = Vec::new();
    let mut hear = |heard| {
        if let Heard::Finished(case) = heard {
            let has_ends = ["first of", "last of"].iter().all(|end| case.console.contains(end));
            carried.push((case.name.shown().to_owned(), case.console.len() / 1024, has_ends));
        }
    };
    console.push(text.as_bytes(), Duration::ZERO, &mut hear);
    console.finish(End::Offline, Duration::ZERO, &mut hear);
    assert_eq!(carried[..2], [("good".to_owned(), 8, true), ("bad".to_owned(), 64, true)]);
}

/// A console whose file has room for so little, what was heard of its cases, and the file.
fn heard_with(limits: (u64, u64), excerpts: u64, text: &str) -> (Vec<event::Case>, reading::Outcome, String) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let mut console = Console::keeping(file.try_clone().expect("it is open"), limits, excerpts);
    let mut cases = Vec::new();
    let mut hear = |heard| match heard {
        Heard::Finished(case) | Heard::Revised(case) => cases.push(case),
        _ => {}
    };
    text.as_bytes().chunks(1000).for_each(|piece| drop(console.push(piece, Duration::ZERO, &mut hear)));
    let outcome = console.finish(End::Exited(0), Duration::ZERO, &mut hear);
    let mut kept = String::new();
    std::io::Seek::rewind(&mut file).and_then(|()| std::io::Read::read_to_string(&mut file, &mut kept)).expect("text");
    (cases, outcome, kept)
}

#[test]
fn no_verdict_is_lost_of_a_console_of_which_little_is_kept() {
    let filler = "a word of the system\n".repeat(1000);
    let case = |number: u32, token: &str| {
        format!(
            "Run test case ({number}) on facebook: case_{number}()\n{filler}last of {number}\n\
             Verdict(case_{number}) = VERDICT_{token}\n"
        )
    };
    let cases: String = (1..=5).map(|number| case(number, if number == 3 { "FAIL" } else { "PASS" })).collect();
    let text = format!("**** TOTAL number of test cases:5\n{cases}Testlist verdict = VERDICT_FAIL\n");
    let (cases, outcome, kept) = heard_with((1000, 2000), u64::MAX, &text);
    let verdicts: Vec<_> = cases.iter().map(|case| case.verdict.as_deref().unwrap_or_default()).collect();
    assert_eq!(verdicts, ["PASS", "PASS", "FAIL", "PASS", "PASS"]);
    assert_eq!(outcome.verdict.as_deref(), Some("FAIL"));
    assert!(kept.starts_with("**** TOTAL number of test cases:5\n") && kept.ends_with("VERDICT_FAIL\n"), "{kept}");
    let missing = text.len() - 3000;
    assert!(kept.contains(&format!("\n[{missing} bytes are left out here]\n")), "{kept}");
    assert_eq!(outcome.notes, [format!("{missing} bytes of its console were read and not kept")]);
    // The end of each case was there when it ended.
    assert!(cases[2].console.ends_with("last of 3\nVerdict(case_3) = VERDICT_FAIL\n"), "{}", cases[2].console);
    assert!(cases[2].console.contains(" bytes left out]\n"), "{}", cases[2].console);
}

#[test]
fn all_cases_together_carry_no_more_of_their_console_than_there_is_room_for() {
    let case = |number: u32| {
        format!(
            "Run test case ({number}) on facebook: case_{number}()\n{}Verdict(case_{number}) = VERDICT_FAIL\n",
            "x\n".repeat(500)
        )
    };
    let text: String = (1..=20).map(case).collect();
    let (cases, outcome, _) = heard_with((u64::MAX / 4, 1000), 5000, &text);
    let carried = cases[..20].iter().filter(|case| case.console.contains("x\nx\n")).count();
    assert_eq!((carried, cases[19].console.as_str()), (4, "[left out: there is much of other cases]"));
    assert_eq!(outcome.failed.len(), 20);
}

#[test]
fn only_the_first_hundred_cases_that_did_not_pass_carry_an_excerpt() {
    let case = |number: u32| format!("Run test case ({number}) on facebook: case_{number}()\n");
    let text: String = (1..=150).map(case).collect();
    let (cases, _, _) = heard_with((u64::MAX / 4, 1000), u64::MAX, &text);
    let of_cases = cases.iter().filter(|case| !case.is_whole_list());
    let (carried, left_out): (Vec<_>, Vec<_>) = of_cases.partition(|case| case.console.contains("Run test case"));
    assert_eq!((carried.len(), left_out.len()), (100, 50));
    assert!(left_out.iter().all(|case| case.console.as_str() == "[left out: there is much of other cases]"));
    // What passes beside them keeps its own.
    let passed = format!("{text}Run test case (151) on facebook: good()\nVerdict(good) = VERDICT_PASS\n");
    let (cases, _, _) = heard_with((u64::MAX / 4, 1000), u64::MAX, &passed);
    let good = cases.iter().find(|case| case.name.raw() == "good").expect("it is there");
    assert!(good.console.contains("VERDICT_PASS"), "{good:?}");
}

#[test]
fn news_of_one_case_that_do_not_end_are_told_a_few_times_and_then_the_last() {
    let loss = "DL Loss= AS_PktTx-S1uPktRx=     620(pkts); 12.50(%)\n";
    let text = format!(
        "Run test case (1) on facebook: a()\nVerdict(a) = VERDICT_PASS\nTestlist verdict = VERDICT_PASS\nClose\n{}",
        loss.repeat(1000)
    );
    let (cases, _, _) = heard_with((u64::MAX / 4, 1000), u64::MAX, &text);
    assert!(cases.len() <= 20, "{} times", cases.len());
    assert!(cases.len() > 2 && cases.last().is_some_and(|case| case.name.raw() == "a"), "{cases:?}");
}

/// What a console comes to where this is a secret, and its file.
fn heard_knowing(secret: &str, text: &str) -> (Vec<event::Case>, reading::Outcome, String) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let redactor = Redactor::default();
    redactor.learn(&Secret::new(secret));
    let rules = Rules { max_packet_loss: Some(1.0), ..Rules::default() };
    let console = Console::keeping(file.try_clone().expect("it is open"), (u64::MAX / 4, 1000), u64::MAX);
    let mut console = console.knowing(&redactor, rules);
    let mut cases = Vec::new();
    let mut hear = |heard| {
        if let Heard::Finished(case) = heard {
            cases.push(case);
        }
    };
    text.as_bytes().chunks(7).for_each(|piece| drop(console.push(piece, Duration::ZERO, &mut hear)));
    let outcome = console.finish(End::Exited(0), Duration::ZERO, &mut hear);
    let mut kept = String::new();
    std::io::Seek::rewind(&mut file).and_then(|()| std::io::Read::read_to_string(&mut file, &mut kept)).expect("text");
    (cases, outcome, kept)
}

#[test]
fn whatever_of_a_console_is_a_secret_it_comes_to_the_same() {
    let text = "**** TOTAL number of test cases:3\n\
                Run test case (1) on facebook: attach_01()\n\
                DL Loss= AS_PktTx-S1uPktRx=     620(pkts); 12.50(%)\n\
                Verdict(attach_01) = VERDICT_PASS\n\
                Run test case (2) on facebook: attach_02()\nVerdict(attach_02) = VERDICT_FAIL\n\
                Testlist verdict = VERDICT_FAIL\n";
    let comes_to = |(cases, outcome, _): (Vec<event::Case>, reading::Outcome, String)| {
        let of_case = |case: event::Case| (case.name.raw().to_owned(), case.verdict, case.judgement);
        let cases = cases.into_iter().map(of_case).collect::<Vec<_>>();
        (cases, outcome.verdict, outcome.planned, outcome.not_passed)
    };
    let plain = comes_to(heard_knowing("none of all this", text));
    assert_eq!(plain.3, ["attach_01", "attach_02", "(case 3 of 3)"]);
    // A word of NG40, a name, a part of one, and what tells of the packets that were lost.
    for secret in ["VERDICT_FAIL", "attach_02", "attach", "TOTAL number", "Loss= AS_PktTx", "Verdict(", "facebook"] {
        let heard = heard_knowing(secret, text);
        assert!(!heard.2.contains(secret) && heard.2.contains("***"), "{secret}: {}", heard.2);
        let second = heard.0.iter().find(|case| case.name.raw() == "attach_02").expect("it has a verdict");
        let clean = text.replace(secret, "***");
        let begin = clean.find("Run test case (2)").expect("it is there");
        let end = clean.find("Testlist").expect("it is there");
        assert_eq!(second.console.as_str(), &clean[begin..end], "{secret}");
        assert_eq!(comes_to(heard), plain, "{secret}");
    }
}

#[test]
fn a_text_that_is_cut_keeps_no_half_of_a_secret() {
    const SECRET: &str = "a_secret_that_a_limit_would_cut";
    Redactor::process().learn(&Secret::new(SECRET));
    for before in 960..1000 {
        let clause = format!("{} {SECRET}", "x".repeat(before));
        let text = format!(
            "Run test case (1) on facebook: a({})\nverification fail: {clause}\nVerdict(a) = VERDICT_FAIL\n",
            "p".repeat(3100) + &clause
        );
        let (cases, _, _) = heard_with((u64::MAX / 4, 1000), u64::MAX, &text);
        let told = format!("{} {:?} {}", cases[0].params, cases[0].judgement, cases[0].details);
        assert!(!told.contains("a_sec"), "{before}: {told}");
    }
}

#[test]
fn an_excerpt_of_a_saved_console_keeps_no_half_of_a_secret() {
    const SECRET: &str = "a_secret_that_an_excerpt_would_cut";
    Redactor::process().learn(&Secret::new(SECRET));
    let begin = "Run test case (1) on facebook: a()\n";
    let end = "Verdict(a) = VERDICT_FAIL\n";
    for moved in (0..SECRET.len()).step_by(5) {
        // It stands across the end of the head, and across the beginning of the tail.
        let head = "x".repeat(16 * 1024 - begin.len() - moved);
        let tail = "y".repeat(48 * 1024 - end.len() - moved);
        let text = format!("{begin}{head}{SECRET}\n{}\n{SECRET}{tail}\n{end}", "z".repeat(50_000));
        let mut file = tempfile::tempfile().expect("a temporary file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("it has room");
        let mut console = Console::saved(&file, Rules::default());
        let mut told = String::new();
        let mut hear = |heard| {
            if let Heard::Finished(case) = heard {
                told.push_str(&case.console);
            }
        };
        console.push(text.as_bytes(), Duration::ZERO, &mut hear);
        console.finish(End::Offline, Duration::ZERO, &mut hear);
        assert!(told.contains("bytes left out"), "{moved}");
        let halves = [&SECRET[..4], &SECRET[SECRET.len() - 4..]];
        assert!(!halves.iter().any(|half| told.contains(half)), "{moved}: {told}");
    }
}
