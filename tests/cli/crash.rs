//! What a panic of the program costs: status 70, on the terminal, in every report and in the history.
//! `TERAVM_CI_PANIC_AT` is understood by builds for development alone; the panics of a whole run stand in
//! `tests/nights/crash.rs`. And that a crash without a panic leaves no secret behind.

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::desk::Desk;

const GREEN: &str = include_str!("../fixtures/ng40/all-pass.txt");

fn panicking(place: &str) -> Desk {
    Desk::new().file("night.txt", GREEN).env("TERAVM_CI_PANIC_AT", place)
}

#[test]
fn a_panic_of_the_work_or_of_a_reporter_is_70_on_the_terminal_and_in_every_report() {
    let places = [
        "night_started",
        "step_started test",
        "suite_started night",
        "case_started night",
        "step_finished test",
        "last_event",
        "summary",
        "report events.jsonl",
        "report run.json",
        "finish junit.xml",
        "finish summary.md",
        "report standard output",
        "finish standard output",
    ];
    for place in places {
        let desk = panicking(place);
        let ended = desk.run("report night.txt");
        assert_eq!(ended.code, "70", "{place}\n{ended}");
        let is_printed = ended.stdout.starts_with("INTERNAL ERROR  exit 70") || place == "finish standard output";
        assert!(is_printed, "{place}\n{ended}");
        let run = desk.json("results/run.json");
        assert_eq!((run["code"].as_u64(), run["status"].as_str()), (Some(70), Some("internal_error")), "{place}");
        let wanted = "as TERAVM_CI_PANIC_AT wants it";
        for name in ["run.json", "junit.xml", "summary.md", "report.html", "events.jsonl"] {
            let text = desk.read(&format!("results/{name}"));
            assert!(text.contains(wanted), "{place}: {name}\n{text}");
        }
        assert!(ended.left.is_empty(), "{place}\n{ended}");
    }
}

#[test]
fn a_panic_is_told_once_with_its_place_and_what_to_do() {
    let told = panicking("case_started night").run("report night.txt").to_string();
    let line = regex::Regex::new(r"src/\S+:\d+:\d+").expect("it is written right");
    assert_snapshot!(line.replace_all(&told, "FILE:LINE:COLUMN"));
}

#[test]
fn a_panic_of_a_small_command_is_70_too() {
    for words in ["config show", "history list", "lock", "check", "completions bash"] {
        let ended = Desk::with_lab().env("TERAVM_CI_PANIC_AT", "command").run(words);
        assert_eq!(ended.code, "70", "{words}\n{ended}");
        assert!(ended.stderr.starts_with("internal error: this is a bug in teravm-ci\n"), "{words}\n{ended}");
        assert!(ended.changed.is_empty() && ended.left.is_empty(), "{words}\n{ended}");
    }
}

#[test]
fn a_panic_before_the_reports_are_open_is_70_and_leaves_none() {
    let desk = panicking("render junit.xml");
    assert_eq!(desk.run("report night.txt").code, "70");
    let names: Vec<_> = std::fs::read_dir(desk.path("results")).expect("a folder").flatten().collect();
    assert!(!names.iter().any(|entry| entry.file_name() == "junit.xml"), "{names:?}");
}

/// The exit status says whether there was a dump, wherever this machine would put it.
#[test]
fn neither_the_program_nor_what_it_starts_leaves_a_core_dump() {
    let desk = Desk::with_lab().after("ulimit -c unlimited");
    let limit = desk.path("limit");
    let script = format!(
        "if [ \"$1\" = --version ]; then\nulimit -c > '{}'\necho 'OpenVPN 2.6.14 x86_64-pc-linux-gnu'\nexit 0\nfi\n\
         while kill -0 $PPID; do /bin/sleep 0.05; done",
        limit.display()
    );
    let desk = desk.program("openvpn", &script).signalled("openvpn --ping", Signal::ABORT);
    let ended = desk.run("run -q");
    assert_eq!(ended.code, "signal: 6 (SIGABRT)", "{ended}");
    assert!(!ended.changed.iter().any(|change| change.contains("core")), "{ended}");
    // In blocks of 512 bytes.
    assert_eq!(desk.read("limit"), "0\n");
}
