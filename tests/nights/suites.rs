//! Test lists of every oddity: the status and the JUnit of each.

use crate::Test;
use crate::faults;
use crate::lab::{self, fault};
use crate::night::{Told, teravm};

pub(crate) const TESTS: &[Test] = &[
    ("failing_cases_fail_with_the_clauses_of_their_own_logs", failing_cases_fail_with_their_clauses),
    ("old_logs_that_were_touched_explain_nothing", old_logs_that_were_touched_explain_nothing),
    ("tables_and_packet_loss_are_kept_with_their_case", tables_and_packet_loss_are_kept),
    ("a_pass_above_the_packet_loss_limit_fails", a_pass_above_the_packet_loss_limit_fails),
    ("a_pass_without_a_packet_fails_where_the_config_says_so", a_pass_without_a_packet_fails),
    ("a_case_that_repeats_keeps_every_verdict", a_case_that_repeats_keeps_every_verdict),
    ("a_long_silence_ends_nothing", a_long_silence_ends_nothing),
    ("a_list_that_is_aborted_is_inconclusive_case_by_case", a_list_that_is_aborted_is_inconclusive),
    ("a_list_without_any_verdict_is_inconclusive", a_list_without_any_verdict_is_inconclusive),
    ("an_unknown_verdict_is_an_error_that_names_it", an_unknown_verdict_is_an_error),
    ("an_exit_status_that_contradicts_a_pass_is_shown_and_decides_nothing", an_exit_status_decides_nothing),
    ("an_exit_status_decides_where_the_config_says_so", an_exit_status_decides_where_told),
    ("an_exit_status_of_zero_hides_no_failure", an_exit_status_of_zero_hides_no_failure),
    ("a_list_verdict_that_contradicts_its_cases_is_an_error", a_list_verdict_that_contradicts_its_cases),
    ("a_hang_ends_at_its_deadline_and_the_next_suite_runs", a_hang_ends_at_its_deadline),
    ("a_hang_that_ignores_the_first_request_ends_too", a_stubborn_hang_ends_too),
    ("padded_lines_with_carriage_returns_are_read", padded_lines_are_read),
    ("bytes_that_are_no_text_make_a_well_formed_report", bytes_that_are_no_text),
    ("thirty_megabytes_of_console_are_kept_whole", thirty_megabytes_are_kept_whole),
    ("a_line_without_end_is_kept_whole_in_little_memory", a_line_without_end),
    ("a_host_that_answers_without_end_takes_no_memory", an_answer_without_end),
    ("an_empty_list_is_an_error", an_empty_list_is_an_error),
    ("more_and_fewer_cases_than_planned_are_told", more_and_fewer_cases_than_planned),
    ("a_run_that_is_killed_is_an_error", a_run_that_is_killed_is_an_error),
    ("what_the_tester_prints_is_never_executed", what_the_tester_prints_is_never_executed),
    ("what_a_host_says_to_the_terminal_stays_text", what_a_host_says_to_the_terminal),
    ("secrets_that_ng40_prints_are_told_in_no_form", secrets_that_ng40_prints),
    ("text_that_contains_a_verdict_is_text", text_that_contains_a_verdict_is_text),
    ("a_tester_that_is_busy_is_left_alone", a_tester_that_is_busy_is_left_alone),
    ("a_list_that_is_missing_is_the_testbeds_fault", a_list_that_is_missing),
    ("a_shell_that_finds_no_ng40test_passes_nothing", a_shell_that_finds_no_ng40test),
    ("a_login_shell_that_talks_says_no_verdict", a_login_shell_that_talks),
    ("a_suite_that_did_not_pass_is_run_again_and_every_attempt_is_kept", a_suite_is_run_again),
    ("a_failure_that_is_known_is_no_reason_to_run_a_suite_again", a_known_failure_is_no_reason),
    ("a_pseudo_terminal_gives_the_same_verdicts", a_pseudo_terminal_gives_the_same_verdicts),
];

/// A night of the list in which one case fails at first, and one always.
fn flaky(retries: u32, gate: &str) -> Told {
    lab::reset_host("ng40");
    let suites = format!(r#"{{"flaky": {{"list": "flaky.ntl", "retries": {retries}}}}}"#);
    teravm("test").with("suites", &suites).with("gate", gate).run()
}

const KNOWN: &str =
    r#""known_failures": [{"suite": "flaky", "case": "*_03", "reason": "magma#7", "until": "2999-12-31"}]"#;

fn came_to(told: &Told) -> Vec<String> {
    let outcomes = told.run["outcomes"].as_array().cloned().unwrap_or_default();
    outcomes
        .iter()
        .map(|outcome| format!("{} of {}", outcome["came_to"].as_str().unwrap_or_default(), outcome["attempts"]))
        .collect()
}

fn a_suite_is_run_again() {
    let told = flaky(2, "{}").exits(1);
    // The one that always fails has the suite run as often as it may.
    assert_eq!(came_to(&told), ["passed of 3", "flaky of 3", "failed of 3"], "{told}");
    for console in ["console.log", "attempt-2/console.log", "attempt-3/console.log"] {
        assert!(told.read(&format!("suites/flaky/{console}")).contains("Verdict(gx_gy_combined_03) = VERDICT_FAIL"));
    }
    // Each attempt's own log explains its failure.
    let junit = told.read("junit.xml");
    assert!(junit.contains("attempt 1: failed") && junit.contains("attempt 3: passed"), "{junit}");
    assert!(told.case("gx_gy_combined_03").contains("received_Attach_Rej"), "{told}");
    assert!(told.read("summary.md").contains("attempt 2: passed"), "{}", told.read("summary.md"));
    lab::reset_host("ng40");
}

fn a_known_failure_is_no_reason() {
    let told = flaky(2, &format!("{{{KNOWN}}}")).exits(0);
    assert_eq!(came_to(&told), ["passed of 2", "flaky of 2", "known of 2"], "{told}");
    let strict = flaky(1, &format!(r#"{{{KNOWN}, "flaky": "fail"}}"#)).exits(1);
    assert_eq!(came_to(&strict), ["passed of 2", "flaky of 2", "known of 2"], "{strict}");
    let once = flaky(0, &format!("{{{KNOWN}}}")).exits(1);
    assert_eq!(came_to(&once), ["passed of 1", "failed of 1", "known of 1"], "{once}");
    lab::reset_host("ng40");
}

fn run(list: &str) -> Told {
    teravm("test").list(&format!("{list}.ntl")).run()
}

fn judged(told: &Told) -> Vec<(String, String)> {
    told.cases()
        .into_iter()
        .map(|(name, judged)| (name, judged.split(':').next().unwrap_or_default().to_owned()))
        .collect()
}

fn count(told: &Told, kind: &str) -> usize {
    judged(told).iter().filter(|(_, judged)| judged == kind).count()
}

fn failing_cases_fail_with_their_clauses() {
    let told = run("some_fail").exits(1);
    assert_eq!((count(&told, "passed"), count(&told, "failed"), count(&told, "error")), (3, 2, 0), "{told}");
    let junit = told.read("junit.xml");
    assert_eq!(junit.matches("type=\"VERDICT_FAIL\"").count(), 2, "{junit}");
    // The clauses stand in the cases' own logs, and not on the console.
    assert!(!told.read("suites/some_fail/console.log").contains("verification fail"));
    let clauses = told.cases().values().filter(|judged| judged.contains("received_") || judged.contains('=')).count();
    assert_eq!(clauses, 2, "{:?}", told.cases());
    assert!(!junit.contains("counter_of_an_earlier_run"));
}

fn old_logs_that_were_touched_explain_nothing() {
    let touched = fault(&["ng40-touched-logs"]);
    let told = run("some_fail").exits(1);
    drop(touched);
    lab::on("ng40", "true");
    assert!(!told.read("junit.xml").contains("counter_of_an_earlier_run"));
    let logs: Vec<_> =
        std::fs::read_dir(told.results.join("suites/some_fail/logs")).expect("logs were collected").collect();
    // One a case, one of the list, one interactive.
    assert_eq!(logs.len(), 7, "{logs:?}");
    lab::reset_host("ng40");
}

fn tables_and_packet_loss_are_kept() {
    let told = run("tables_loss").exits(0);
    let junit = told.read("run.json");
    assert!(junit.contains("1475") && junit.contains("4.17"), "{junit}");
}

fn a_pass_above_the_packet_loss_limit_fails() {
    let told = teravm("test")
        .with("suites", r#"{"loss": {"list": "tables_loss.ntl", "max_packet_loss": 1.0}}"#)
        .run()
        .exits(1);
    assert!(told.case("tc_attach_www").starts_with("failed: "), "{told}");
    assert!(told.case("tc_attach_www").contains("4.17"), "{told}");
}

fn a_pass_without_a_packet_fails() {
    run("tables_no_packets").exits(0);
    let told = teravm("test")
        .with("suites", r#"{"loss": {"list": "tables_no_packets.ntl", "max_packet_loss": 1.0}}"#)
        .run()
        .exits(1);
    assert!(told.case("tc_attach").starts_with("failed: "), "{told}");
}

fn a_case_that_repeats_keeps_every_verdict() {
    let told = run("repeated").exits(1);
    let expected =
        [("4G_SCALE", "passed"), ("4G_SCALE #2", "passed"), ("4G_SCALE #3", "failed"), ("4G_SCALE #4", "passed")];
    assert_eq!(judged(&told), expected.map(|(name, judged)| (name.to_owned(), judged.to_owned())), "{told}");
}

fn a_long_silence_ends_nothing() {
    run("silent").exits(0);
}

fn a_list_that_is_aborted_is_inconclusive() {
    let told = run("aborted").exits(6);
    assert_eq!(count(&told, "passed"), 1, "{told}");
    assert!(told.case("s6a_02_attach_detach_multi_ue").starts_with("error: no verdict"), "{told}");
    assert!(told.case("(case 3 of 3)").starts_with("error: never started"), "{told}");
    assert!(told.case("(suite)").contains("the list has no verdict"), "{told}");
}

fn a_list_without_any_verdict_is_inconclusive() {
    let told = run("no_verdict").exits(6);
    assert_eq!(count(&told, "passed"), 0, "{told}");
    assert!(count(&told, "error") >= 1, "{told}");
}

fn an_unknown_verdict_is_an_error() {
    let told = run("unknown_verdict").exits(6);
    assert_eq!((count(&told, "passed"), count(&told, "failed")), (2, 0), "{told}");
    assert!(told.cases().values().any(|judged| judged.contains("VERDICT_INCONC")), "{told}");
}

fn an_exit_status_decides_nothing() {
    run("exit_contradicts_pass").exits(0);
}

fn an_exit_status_decides_where_told() {
    let told = teravm("test")
        .with("suites", r#"{"strict": {"list": "exit_contradicts_pass.ntl", "exit_status": "check"}}"#)
        .run()
        .exits(6);
    assert!(told.case("(suite)").contains("exit status 1"), "{told}");
}

fn an_exit_status_of_zero_hides_no_failure() {
    let told = run("exit_contradicts_fail").exits(1);
    assert!(count(&told, "failed") >= 1, "{told}");
}

fn a_list_verdict_that_contradicts_its_cases() {
    let told = run("list_contradicts_pass").exits(6);
    assert!(told.case("(suite)").starts_with("error: "), "{told}");
    let told = run("list_contradicts_fail").exits(1);
    assert!(told.case("(suite)").starts_with("error: "), "{told}");
}

fn a_hang_ends_at_its_deadline() {
    let told = teravm("test hang gxgy")
        .with(
            "suites",
            r#"{"hang": {"list": "hang.ntl", "deadline": "6s"}, "gxgy": {"list": "working_testplan_gxgy_CI_run.ntl"}}"#,
        )
        .run()
        .exits(6);
    assert!(told.case("(suite)").contains("deadline"), "{told}");
    assert_eq!(count(&told, "passed"), 4, "the first case of the hung list, and all of the next\n{told}");
    assert!(!lab::on("ng40", "ps -ef").contains("hang.ntl"), "it was ended on NG40 too");
}

fn a_stubborn_hang_ends_too() {
    let told =
        teravm("test").with("suites", r#"{"hang": {"list": "hang_stubborn.ntl", "deadline": "3s"}}"#).run().exits(6);
    assert!(told.case("(suite)").contains("deadline"), "{told}");
    assert!(!lab::on("ng40", "ps -ef").contains("hang_stubborn.ntl"), "it was ended on NG40 too");
}

fn padded_lines_are_read() {
    let told = run("padded_crlf").exits(1);
    assert_eq!((count(&told, "passed"), count(&told, "failed"), count(&told, "error")), (1, 1, 0), "{told}");
}

fn bytes_that_are_no_text() {
    let told = run("binary").exits(1);
    assert_eq!((count(&told, "passed"), count(&told, "failed"), count(&told, "error")), (2, 1, 0), "{told}");
}

fn thirty_megabytes_are_kept_whole() {
    let told = run("flood").exits(1);
    assert_eq!((count(&told, "passed"), count(&told, "failed")), (2, 1), "{told}");
    let kept = std::fs::metadata(told.results.join("suites/flood/console.log")).expect("the console is kept").len();
    assert_eq!(kept, 30_000_919, "{told}");
    let junit = std::fs::metadata(told.results.join("junit.xml")).expect("there is a JUnit report").len();
    assert!(junit < 1_000_000, "junit.xml has {junit} bytes");
}

/// The most that the program may ever have had, whatever comes in.
const MOST_MEMORY: u64 = 64 * 1024 * 1024;

/// How long a line without end is, in megabytes: a gigabyte, where there is time for it.
fn of_a_line() -> usize {
    if faults::are_all() { 1000 } else { 60 }
}

fn a_line_without_end() {
    let megabytes = of_a_line();
    let list = format!(
        "begin one_line testplan_s6a.conf\nrun one_line_01()\nverdict PASS\nrun one_line_02()\nlongline {megabytes}\n\
         verdict PASS\nend\n"
    );
    lab::write_on("ng40", "/home/ng40/magma/automation/one_line.ntl", &list);
    let night = teravm("test").with("suites", r#"{"one_line": {"list": "one_line.ntl", "deadline": "15m"}}"#);
    let (told, memory) = night.start().end_and_memory();
    let told = told.exits(0);
    let kept = std::fs::metadata(told.results.join("suites/one_line/console.log")).expect("the console is kept").len();
    assert!(kept > megabytes as u64 * 1_000_000, "{kept} bytes are kept\n{told}");
    assert!(memory < MOST_MEMORY, "the program had {memory} bytes\n{told}");
}

fn an_answer_without_end() {
    let command = format!(r"head -c {}000000 /dev/zero | tr '\\0' x", of_a_line());
    let idle = format!(r#"{{"command": "{command}", "timeout": "15m"}}"#);
    let night = teravm("test").list("working_testplan_s6a_CI_run.ntl").with("ng40.idle", &idle);
    let (told, memory) = night.start().end_and_memory();
    let told = told.exits(0);
    assert!(memory < MOST_MEMORY, "the program had {memory} bytes\n{told}");
}

fn an_empty_list_is_an_error() {
    let told = run("empty").exits(6);
    assert!(told.case("(suite)").starts_with("error: "), "{told}");
}

fn more_and_fewer_cases_than_planned() {
    let told = run("fewer_than_planned").exits(6);
    assert!(told.case("(case 3 of 4)").starts_with("error: never started"), "{told}");
    assert!(told.case("(case 4 of 4)").starts_with("error: never started"), "{told}");
    run("more_than_planned").exits(0);
}

fn a_run_that_is_killed_is_an_error() {
    let told = run("killed").exits(6);
    assert_eq!(count(&told, "passed"), 1, "{told}");
    assert!(told.case("(suite)").contains("signal 9"), "{told}");
}

fn what_the_tester_prints_is_never_executed() {
    let told = run("shell_meta").exits(1);
    assert_eq!((count(&told, "passed"), count(&told, "failed")), (1, 1), "{told}");
    assert_eq!(lab::on("ng40", "ls /tmp/pwned 2>/dev/null || true"), "");
    assert!(!std::path::Path::new("/tmp/pwned").exists());
}

fn what_a_host_says_to_the_terminal() {
    let says = r"printf '\033[2J\033]0;title\007\033[1;31mred\r\b up\n'; printf '\033]52;c;cHduZWQ=\007\302\2332J no\n' >&2; exit 7";
    let told = teravm("test -v").list("some_fail.ntl").with("ng40.cleanup_before", says).run().exits(3);
    let told = told.says("red").says("no");
    for text in
        [&told.stdout, &told.stderr, &told.read("junit.xml"), &told.read("summary.md"), &told.read("report.html")]
    {
        let odd = text.chars().find(|char| char.is_control() && *char != '\n');
        assert_eq!(odd, None, "{}", text.escape_debug());
    }
}

const PASSWORD: &str = "TERAVM_VPN_PASSWORD";

/// Each secret as it is, in the other forms, broken over lines, and in every place of a console that becomes a field of a report.
fn secrets_that_ng40_prints() {
    // What stands in a list is a statement's text; so each byte is written as its number.
    let bytes = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let mut list = "begin leaky testplan_s6a.conf 1\n".to_owned();
    let mut masks = 0;
    // The night does not know the registry's password, so it cannot recognise it.
    let known = lab::secrets().into_iter().filter(|(name, _)| name == "TERAVM_VPN_USERNAME" || name == PASSWORD);
    for (_, secret) in lab::canaries(&known.collect()) {
        let (half, rest) = secret.split_at(secret.len() / 2);
        list += &format!("echo login {} ok\necho {}\necho {}\n", bytes(&secret), bytes(half), bytes(rest));
        masks += 2;
    }
    let (_, secret) =
        lab::secrets().into_iter().find(|(name, _)| name == "TERAVM_VPN_PASSWORD").expect("the lab has it");
    let secret = bytes(&secret);
    list += &format!("run leaky_{secret}($password={secret})\nfail (password_{secret}=1) == 0\nverdict FAIL\nend\n");
    lab::write_on("ng40", "/home/ng40/magma/automation/leaky.ntl", &list);
    let told = run("leaky").exits(1);
    let console = told.read("suites/leaky/console.log");
    assert_eq!(
        console.lines().filter(|line| line.contains("***") && !line.contains("****")).count(),
        masks + 2,
        "{console}"
    );
}

fn text_that_contains_a_verdict_is_text() {
    let told = run("lying_text").exits(1);
    assert_eq!(judged(&told), [("lying_01".to_owned(), "failed".to_owned())], "{told}");
}

fn a_tester_that_is_busy_is_left_alone() {
    for sign in ["ng40-busy", "ng40-busy-text"] {
        let before = lab::on("ng40", "grep -c forcecleanup /home/ng40/install/var/calls || true");
        let _busy = fault(&[sign]);
        run("working_testplan_s6a_CI_run").exits(3).says("NG40 is busy with a run that is not ours");
        let after = lab::on("ng40", "grep -c forcecleanup /home/ng40/install/var/calls || true");
        assert_eq!(before, after, "somebody else's run is never cleaned up");
    }
}

fn a_list_that_is_missing() {
    let _missing = fault(&["ng40-missing-list"]);
    run("working_testplan_s6a_CI_run").exits(3).says(
        "the test list `/home/ng40/magma/automation/working_testplan_s6a_CI_run.ntl` is not on NG40
                           because: head: cannot open '/home/ng40/magma/automation/working_testplan_s6a_CI_run.ntl' for reading: No such file or directory
                           try: `suites` in the config names the lists, `ng40.directory` says where they are",
    );
}

fn a_shell_that_finds_no_ng40test() {
    let _gone = fault(&["ng40-not-on-path"]);
    run("working_testplan_s6a_CI_run").exits(3);
    let told = teravm("test")
        .list("working_testplan_s6a_CI_run.ntl")
        .with("ng40.idle.command", "")
        .with("ng40.cleanup_before", "")
        .with("ng40.cleanup_after", "")
        .run()
        .exits(6);
    assert!(told.case("(suite)").contains("127"), "{told}");
}

fn a_login_shell_that_talks() {
    let _chatty = fault(&["ng40-chatty-login"]);
    let told = run("working_testplan_gxgy_CI_run").exits(0);
    assert_eq!(told.cases().len(), 3, "{told}");
}

fn a_pseudo_terminal_gives_the_same_verdicts() {
    let told = teravm("test").list("some_fail.ntl").with("ng40.pty", "true").run().exits(1);
    assert_eq!((count(&told, "passed"), count(&told, "failed"), count(&told, "error")), (3, 2, 0), "{told}");
}
