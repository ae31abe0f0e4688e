//! `junit.xml`, read again by a program that is not ours, beside what `run.json` says of the same night.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::desk::{Desk, start};
use crate::report::recorded_consoles;

/// The release of `junitparser` that reads for us.
const READER: &str = "junitparser==5.0.3";

/// A Python that has `junitparser`: the one that `tests/run` has made, else one that is made here.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("TERAVM_TEST_PYTHON") {
    Some(python) => PathBuf::from(python),
    None => made(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("python")),
});

fn made(folder: &Path) -> PathBuf {
    let python = folder.join("bin/python3");
    // Two runs of the tests may come here at once.
    let lock = File::create(folder.with_extension("lock")).expect("the target folder can be written");
    flock(&lock, FlockOperation::LockExclusive).expect("the other run ends");
    let is_there = Command::new(&python).args(["-c", "import junitparser"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        let venv = ["-m", "venv"].map(Path::new);
        done(Command::new("python3").args(venv).arg(folder), "`python3 -m venv` (Debian: python3-venv)");
        done(Command::new(&python).args(["-m", "pip", "--quiet", "install", READER]), READER);
    }
    python
}

fn done(command: &mut Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{what} is missing: {error}"));
    assert!(output.status.success(), "{what} is missing: {}", String::from_utf8_lossy(&output.stderr));
}

/// Reads JUnit files, each as a list of suites.
fn read_again(files: &[PathBuf]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/junit.py");
    let mut python = Command::new(&*PYTHON);
    python.arg(script).args(files).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = start(&mut python).wait_with_output().expect("it is our child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What XML can hold of a text, on one line, as long as a message may be.
fn fit(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    let can_be = |char: &char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let line = text.chars().filter(can_be).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 1000 { line } else { line.chars().take(999).chain(['…']).collect() }
}

/// The suites of a `run.json`, as `junit.xml` shall have them: names, verdicts, messages, counts.
fn told(run: &Value) -> Value {
    let suites = run["suites"].as_array().expect("a list").iter().map(|suite| {
        let cases = suite["cases"].as_array().expect("a list").iter().map(|case| {
            let results = match case["judgement"]["judged"].as_str() {
                Some("passed") => vec![],
                Some("failed") => vec![json!(["failure", fit(&case["judgement"]["message"])])],
                _ => vec![json!(["error", fit(&case["judgement"]["message"])])],
            };
            json!([fit(&case["name"]), suite["suite"], results])
        });
        let cases: Vec<Value> = cases.collect();
        let count = |kind: &str| cases.iter().filter(|case| case[2][0][0] == kind).count();
        let counts = json!([cases.len(), count("failure"), count("error"), 0]);
        json!([suite["suite"], suite["host"], counts, cases])
    });
    suites.collect()
}

/// The same of a file that was read again, without the suite of the steps.
fn read(document: &Value) -> Value {
    let suites = document.as_array().expect("a list").iter().filter(|suite| suite["name"] != "pipeline").map(|suite| {
        let cases = suite["cases"].as_array().expect("a list").iter().map(|case| {
            let results = case["results"].as_array().expect("a list").iter();
            let results: Vec<Value> = results.map(|result| json!([result["kind"], result["message"]])).collect();
            json!([case["name"], case["classname"], results])
        });
        let counts: Vec<&Value> =
            ["tests", "failures", "errors", "skipped"].iter().map(|name| &suite["counts"][name]).collect();
        json!([suite["name"], suite["hostname"], counts, cases.collect::<Vec<_>>()])
    });
    suites.collect()
}

#[test]
fn every_recorded_console_is_the_same_in_junit_and_in_run_json() {
    let desks: Vec<(String, Desk)> = recorded_consoles()
        .map(|(name, path)| {
            let desk = Desk::new();
            desk.run_words(&["report", "-q", &path]);
            (name, desk)
        })
        .collect();
    let files: Vec<PathBuf> = desks.iter().map(|(_, desk)| desk.path("results/junit.xml")).collect();
    let documents = read_again(&files);
    assert_eq!(documents.len(), desks.len());
    for ((name, desk), document) in desks.iter().zip(documents) {
        let run = desk.json("results/run.json");
        assert_eq!(read(&document), told(&run), "{name}");
        let sum = |kind: usize| {
            read(&document).as_array().unwrap().iter().map(|suite| suite[2][kind].as_u64().unwrap()).sum::<u64>()
        };
        let counts = &run["counts"];
        assert_eq!(json!([sum(1), sum(2)]), json!([counts["failed"], counts["errors"]]), "{name}");
        let pipeline = document.as_array().unwrap().last().unwrap();
        assert_eq!(pipeline["name"], "pipeline", "{name}");
        assert_eq!(pipeline["counts"]["errors"], 0, "the steps of a report did what they should: {name}");
    }
}

#[test]
fn what_ng40_prints_cannot_break_the_file_nor_pass_for_a_part_of_it() {
    let hostile = "]]><testcase name=\"forged\"/><![CDATA[ & < > \" ' \u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}";
    let mut console = Vec::new();
    console.extend_from_slice(b"**** TOTAL number of test cases:2\n");
    for (number, verdict) in [(1, "PASS"), (2, "FAIL")] {
        let text = format!(
            "Run test case ({number}) on tiplab: <&\"]]>{number}()\n{hostile}\nverification fail: {hostile} => False\n"
        );
        console.extend_from_slice(text.as_bytes());
        console.extend_from_slice(b"\0\x01\x0b\xff\xfe\xed\xa0\x80\n");
        console.extend_from_slice("\u{fffe}\u{ffff}\u{202e}\u{10ffff}\n".as_bytes());
        console.extend_from_slice(format!("Verdict(<&\"]]>{number}) = VERDICT_{verdict}\n").as_bytes());
    }
    console.extend_from_slice(b"Testlist verdict = VERDICT_FAIL\n");
    let desk = Desk::new().file("<&\"']]>.txt", console);
    let ended = desk.run_words(&["report", "-q", "<&\"']]>.txt"]);
    assert_eq!(ended.code, "1");

    let document = &read_again(&[desk.path("results/junit.xml")])[0];
    let names = |suite: &Value| -> Vec<Value> {
        suite["cases"].as_array().unwrap().iter().map(|case| case["name"].clone()).collect()
    };
    assert_eq!(document[0]["name"], "<&\"']]>");
    assert_eq!(names(&document[0]), ["<&\"]]>1", "<&\"]]>2"]);
    assert_eq!(names(&document[1]), ["test", "night"]);
    let cases = &document[0]["cases"];
    assert_eq!(cases[0]["results"], json!([]));
    let failure = &cases[1]["results"][0];
    assert_eq!(failure["type"], "VERDICT_FAIL");
    let shown = "]]><testcase name=\"forged\"/><![CDATA[ & < > \" ' red";
    assert_eq!(failure["message"], format!("verification fail: {shown} => False"));
    for case in cases.as_array().unwrap() {
        let out = case["system_out"].as_str().unwrap();
        assert!(out.contains(shown), "{out:?}");
    }
}

#[test]
fn a_night_that_could_not_begin_is_red_in_junit_with_its_reason() {
    let desk = Desk::with_lab().program("openvpn", "echo 'Options error: no'; exit 1");
    desk.run("run -q");
    let document = &read_again(&[desk.path("results/junit.xml")])[0];
    let red: Vec<Value> = document
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|suite| {
            let cases = suite["cases"].as_array().unwrap().iter();
            let red = cases.filter(|case| case["results"][0]["kind"] == "error");
            red.map(|case| {
                json!([suite["name"], case["name"], case["results"][0]["type"], case["results"][0]["message"]])
            })
        })
        .collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&red).unwrap(), @r#"
        [
          [
            "pipeline",
            "connect",
            "testbed",
            "no tunnel to `127.0.0.1:1194`: `openvpn` ended: Options error: no"
          ]
        ]
        "#);
}
