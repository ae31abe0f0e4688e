//! What is shown holds no secret and does nothing to a terminal, whichever command shows it; what decides is left as it is.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::desk::Desk;

/// A lab whose OpenVPN user name is a part of what the gate names.
fn named(gate: &str) -> Desk {
    Desk::with_lab_but("suites:", &format!("gate:\n{gate}\nsuites:"))
        .env("VPN_USERNAME", "teravm")
        .program("openvpn", "exit 7")
}

#[test]
fn a_config_whose_names_hold_a_secret_is_refused() {
    let known = "  known_failures:\n    - {suite: attach, case: teravm_01, reason: r, until: 2099-12-31}";
    assert_snapshot!(named(known).run("test -q"), @"
        exit 2
        --- standard error
        error: the name `***_01` (`gate.known_failures.case`) holds the secret `vpn.username` ($VPN_USERNAME)
          try: a name is shown, and decides what counts: choose another name, or another secret
        ");
    let required = "  required: {attach: [teravm_01]}";
    assert_snapshot!(named(required).run("config check"), @"
        exit 2
        --- standard error
        error: the name `***_01` (`gate.required`) holds the secret `vpn.username` ($VPN_USERNAME)
          try: a name is shown, and decides what counts: choose another name, or another secret
        ");
}

#[test]
fn what_a_stored_record_holds_does_nothing_to_a_terminal() {
    let desk = Desk::with_lab().program("openvpn", "exit 7");
    assert_eq!(desk.run("test -q").code, "3");
    let mut run = desk.json("results/run.json");
    run["night"]["run"] = "20261130T080000-evil".into();
    run["night"]["url"] = "https://ci/\u{1b}]52;c;cm0=\u{7}\u{202e}\u{61c}\u{ad}".into();
    let desk = desk.file("evil.json", run.to_string());
    let mut printed = String::new();
    for words in [
        "history import evil.json",
        "history list",
        "history show 20261130T080000-evil",
        "history show 20261130T080000-evil --format json",
    ] {
        let ended = desk.run(words);
        printed += &(ended.stdout + &ended.stderr);
    }
    assert!(printed.contains("ci/"), "{printed}");
    let does_something = |char: &char| {
        (char.is_control() && !matches!(*char, '\n' | '\t')) || "\u{202e}\u{61c}\u{ad}\u{200e}".contains(*char)
    };
    assert_eq!(printed.chars().filter(does_something).collect::<String>(), "", "{printed:?}");
}

#[test]
fn cases_whose_names_hold_secrets_are_judged_each_for_itself_and_shown_without_them() {
    let console = "**** TOTAL number of test cases:3\n\
                   Run test case (1) on facebook: attach_nightly()\nVerdict(attach_nightly) = VERDICT_FAIL\n\
                   Run test case (2) on facebook: attach_hunter2hunter2()\n\
                   Verdict(attach_hunter2hunter2) = VERDICT_PASS\n\
                   Run test case (3) on facebook: detach()\nVerdict(detach) = VERDICT_hunter2hunter2\n\
                   Testlist verdict = VERDICT_FAIL\n";
    let desk = Desk::with_lab().file("attach.log", console);
    let imported = desk.run("history import attach.log");
    assert_eq!(imported.code, "0", "{imported}");
    let run = imported.stdout.split_whitespace().next().expect("a name").to_owned();
    let shown = desk.run(&format!("history show {run} --format json"));
    assert!(!shown.stdout.contains("hunter2") && !shown.stdout.contains("nightly"), "{shown}");
    let night: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let cases = night["suites"][0]["cases"].as_array().expect("cases");
    let told: Vec<String> =
        cases.iter().map(|case| format!("{} {} {}", case["case"], case["came_to"], case["verdict"])).collect();
    let expected =
        [r#""attach_***" "failed" "FAIL""#, r#""attach_*** (2)" "passed" "PASS""#, r#""detach" "error" "***""#];
    assert_eq!(told, expected);
}

#[test]
fn a_report_of_a_saved_console_holds_no_secret_of_the_config_that_is_there() {
    let console = "**** TOTAL number of test cases:1\nRun test case (1) on facebook: attach()\n\
                   login hunter2hunter2 failed\nVerdict(attach) = VERDICT_FAIL\nTestlist verdict = VERDICT_FAIL\n";
    let desk = Desk::with_lab().file("attach.log", console);
    let ended = desk.run("report attach.log");
    assert_eq!(ended.code, "1", "{ended}");
    for report in ["junit.xml", "summary.md", "run.json", "events.jsonl", "report.html"] {
        let text = fs::read_to_string(desk.path(&format!("results/{report}"))).expect("it was written");
        assert!(!text.contains("hunter2hunter2"), "{report}: {text}");
    }
    assert!(!ended.stdout.contains("hunter2hunter2") && !ended.stderr.contains("hunter2hunter2"), "{ended}");
}

/// The files that may write to standard output and standard error: the one door, and the reporters' own stream.
const DOORS: &[&str] = &["src/terminal.rs", "src/report/console/stream.rs", "src/build.rs"];

#[test]
fn what_is_taken_into_the_history_holds_no_secret_there_nor_on_its_page() {
    let junit = "<testsuite name=\"attach\" tests=\"1\"><testcase name=\"a\"><failure message=\"login hunter2hunter2 \
                 failed\"/></testcase></testsuite>";
    let desk = Desk::with_lab().file("foreign.xml", junit);
    assert_eq!(desk.run("history import --started 2026-11-29T15:00:00Z foreign.xml").code, "0");
    assert_eq!(desk.run("history page --out site").code, "0");
    fs::remove_file(desk.path("foreign.xml")).expect("it is there");
    let holding = |text: &str| {
        let mut files = Vec::new();
        let mut folders = vec![desk.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                if entry.file_type().expect("it is there").is_dir() {
                    folders.push(entry.path());
                } else if fs::read(entry.path())
                    .is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
                {
                    files.push(entry.path());
                }
            }
        }
        files
    };
    assert!(holding("login *** failed").len() > 1, "the history and its page: {:?}", holding("login *** failed"));
    assert_eq!(holding("hunter2hunter2"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn escape_codes_that_the_reports_leave_out_hide_no_secret() {
    let codes = r"\033[0m".repeat(150);
    let script = format!("printf 'Options error: hunter2{codes}hunter2\\n'; exit 1");
    let desk = Desk::with_lab().program("openvpn", &script);
    assert_eq!(desk.run("test -q").code, "3");
    for report in ["junit.xml", "summary.md", "run.json", "events.jsonl", "report.html"] {
        let text = desk.read(&format!("results/{report}"));
        assert!(text.contains("Options error") || text.contains("***"), "{report}: {text}");
        assert!(!text.replace("\\u001b[0m", "").contains("hunter2hunter2"), "{report}: {text}");
    }
}

#[test]
fn nothing_is_printed_but_at_one_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("it is below").display().to_string();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let prints = |line: &&str| {
                let writers = ["print!(", "println!(", "io::stdout()", "io::stderr()", "anstream::std", "/dev/tty"];
                writers.iter().any(|writer| line.contains(writer)) && !line.contains("is_terminal()")
            };
            if !DOORS.contains(&name.as_str()) && name.ends_with(".rs") && !name.contains("tests") {
                found.extend(text.lines().filter(prints).map(|line| format!("{name}: {}", line.trim())));
            }
        }
    }
    assert_eq!(found.join("\n"), "");
}
