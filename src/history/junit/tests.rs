use std::path::Path;

use time::macros::datetime;

use super::*;
use crate::gate::CameTo;
use crate::summary::Status;

fn status(document: &Document) -> Status {
    let is = |status| document.suites.iter().any(|suite| suite.status == status);
    let worst = [Status::TestsFailed, Status::Inconclusive].into_iter().find(|&status| is(status));
    worst.unwrap_or(Status::Passed)
}

/// What a document comes to, in a word, with why.
fn told(text: &str) -> (String, String) {
    match read(text, true) {
        Ok(document) => {
            let why: Vec<&str> = document.reasons.iter().map(|reason| reason.text.as_str()).collect();
            (status(&document).name().to_owned(), why.join("; "))
        }
        Err(error) => ("refused".to_owned(), format!("{error:#}")),
    }
}

/// One suite with a passing case, with what else its tag and its body have.
fn suite(attributes: &str, body: &str) -> String {
    format!("<testsuite name=\"s\" {attributes}><testcase name=\"a\"/>{body}</testsuite>")
}

/// A suite whose second case has these attributes and this body.
fn case(attributes: &str, body: &str) -> String {
    suite("", &format!("<testcase name=\"b\" {attributes}>{body}</testcase>"))
}

/// A suite that passed, with a suite of our own steps.
fn with_pipeline(attributes: &str, step: &str, mark: &str) -> String {
    let pipeline = format!("<testcase name=\"{step}\">{mark}</testcase>");
    format!("<x>{}<testsuite name=\"pipeline\" {attributes}>{pipeline}</testsuite></x>", suite("", ""))
}

#[test]
fn what_is_inside_of_a_suite_is_its_own_and_what_is_beside_it_is_not() {
    let document = "<all><testsuite name=\"s6a\"><testcase name=\"a\"/>\
                    <testsuite name=\"sub\"><testcase name=\"b\"><failure/></testcase></testsuite>\
                    <testsuite name=\"good\"><testcase name=\"c\"/></testsuite></testsuite>\
                    <testsuite name=\"other\"><testcase name=\"d\"/></testsuite></all>";
    let document = read(document, true).expect("it is JUnit");
    let told: Vec<(&str, Status)> = document.suites.iter().map(|suite| (suite.suite.as_str(), suite.status)).collect();
    let expected = [
        ("s6a", Status::Inconclusive),
        ("sub", Status::TestsFailed),
        ("good", Status::Passed),
        ("other", Status::Passed),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_a_document_does_not_show_to_have_passed_has_not_passed() {
    let pass = "<testcase name=\"a\"/>";
    let table: Vec<(&str, String)> = vec![
        // Whole documents.
        ("passed", suite("", "")),
        (
            "passed",
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- x --><testsuites>{}</testsuites>\n", suite("", "")),
        ),
        ("passed", format!("<testrun project=\"p\" tests=\"1\" started=\"1\">{}</testrun>", suite("", ""))),
        ("passed", "<j:testsuite xmlns:j=\"u\" name=\"s\"><j:testcase name=\"a\"/></j:testsuite>".to_owned()),
        ("passed", suite("", "<!-- <failure/> -->")),
        // Words beside the usual ones.
        ("inconclusive", case("success=\"crashed\"", "")),
        ("inconclusive", case("passed=\"n/a\"", "")),
        ("inconclusive", case("executed=\"never\"", "")),
        ("passed", case("executed=\"3\" success=\"Yes\" run=\"on\"", "")),
        ("tests failed", case("test-status=\"FAIL\"", "")),
        ("passed", case("test_status=\"Passed\" exitcode=\"0\"", "")),
        ("inconclusive", case("exitcode=\"1\"", "")),
        ("inconclusive", suite("exit-code=\"139\"", "")),
        ("inconclusive", suite("unsuccessful=\"1\"", "")),
        ("inconclusive", suite("not_passed=\"1\"", "")),
        ("inconclusive", suite("ko=\"1\"", "")),
        ("passed", suite("unsuccessful=\"0\" ko=\"0\"", "")),
        ("tests failed", case("", "<properties><property name=\"status\" value=\"Failed\"/></properties>")),
        ("inconclusive", suite("", "<properties><property name=\"result\" value=\"FAILED\"/></properties>")),
        ("passed", suite("", "<properties><property name=\"state\" value=\"Bavaria\"/></properties>")),
        // What is heard in a case is heard in a suite.
        ("inconclusive", suite("", "<properties><error/></properties>")),
        ("inconclusive", suite("", "<system-out><failure/></system-out>")),
        ("inconclusive", suite("", "<system-out><skipped/></system-out>")),
        ("inconclusive", suite("", "<properties><property name=\"exit-code\" value=\"1\"/></properties>")),
        ("passed", suite("", "<properties><property name=\"exit-code\" value=\"0\"/></properties>")),
        ("inconclusive", suite("", "<properties><property name=\"verdict\" value=\"VERDICT_FAIL\"/></properties>")),
        ("inconclusive", suite("ng40=\"VERDICT_FAIL\"", "")),
        ("inconclusive", suite("", "<properties><property name=\"result\">FAIL</property></properties>")),
        // The same words in other places.
        ("tests failed", case("", "<properties><property name=\"status\" value=\"NOK\"/></properties>")),
        ("inconclusive", case("", "<properties><property name=\"status\" value=\"who knows\"/></properties>")),
        ("tests failed", case("", "<properties><property name=\"result\">FAIL</property></properties>")),
        ("tests failed", case("", "<property name=\"result\"><value> FAIL\n</value></property>")),
        ("tests failed", case("", "<property name=\"result\"><![CDATA[FAIL]]></property>")),
        ("tests failed", case("", "<property name=\"ng40\" value=\"VERDICT_FAIL\"/>")),
        ("passed", case("", "<property name=\"result\">VERDICT_PASS</property>")),
        ("inconclusive", case("", "<property name=\"returncode\" value=\"2\"/>")),
        ("tests failed", case("ng40=\"VERDICT_FAIL\"", "")),
        ("inconclusive", case("ng40=\"VERDICT_INCONC\"", "")),
        ("passed", case("ng40=\"VERDICT_PASS\" group=\"fail\"", "")),
        ("tests failed", case("lamp=\"NOK\"", "")),
        ("inconclusive", case("success=\"2\"", "")),
        ("passed", case("success=\"1\" executed=\"2\"", "")),
        // A suite that has cases and suites.
        (
            "inconclusive",
            format!("<x>{}</x>", suite("", "<testsuite name=\"t\"><testcase name=\"b\"/><error/></testsuite>")),
        ),
        // Cut off, or not one document.
        ("refused", "<testsuite name=\"s\"><testcase name=\"a\"/>".to_owned()),
        ("refused", format!("<testsuites>{}", suite("", ""))),
        ("refused", format!("<testsuites>{}</testsuites", suite("", ""))),
        ("refused", suite("", "<testcase name=\"b\"><failure message=\"m\">")),
        ("refused", suite("", "<testcase name=\"b\"><failure mess")),
        ("refused", suite("", "<system-out><![CDATA[text")),
        ("refused", suite("", "<!-- comment")),
        ("refused", suite("", "</testcase>")),
        ("refused", format!("{0}{0}", suite("", ""))),
        ("refused", format!("{}<?xml version=\"1.0\"?>{}", suite("", ""), suite("", ""))),
        ("refused", format!("{}\nSegmentation fault\n", suite("", ""))),
        ("refused", format!("warning: x\n{}", suite("", ""))),
        ("refused", suite("tests=\"&unknown;\"", "")),
        ("refused", suite("tests=\"1\" tests=\"2\"", "")),
        ("refused", suite("", "<system-out>&nope;</system-out>")),
        ("refused", suite("timestamp=\"yesterday\"", "")),
        ("refused", format!("<testsuites>{pass}</testsuites>")),
        ("refused", "<testsuites/>".to_owned()),
        ("refused", "<testsuite name=\"s\" tests=\"0\"/>".to_owned()),
        ("refused", "<html></html>".to_owned()),
        ("refused", format!("{}{}", "<a>".repeat(200), "</a>".repeat(200))),
        ("refused", format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", suite("", ""))),
        ("refused", suite("", &format!("<system-out>{pass}</system-out>"))),
        ("refused", suite("", &format!("<weird>{pass}</weird>"))),
        // Counts that do not agree.
        ("passed", suite("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" assertions=\"7\" id=\"3\"", "")),
        ("passed", suite("tests=\" 1 \" failures=\"\"", "")),
        ("inconclusive", suite("tests=\"5\" failures=\"0\"", "")),
        ("inconclusive", suite("tests=\"5\"", "").replace("<testcase name=\"a\"/>", "")),
        ("inconclusive", suite("tests=\"99999999999999999999999\"", "")),
        ("inconclusive", suite("failures=\"1\"", "")),
        ("inconclusive", suite("errors=\"1\"", "")),
        ("inconclusive", suite("skipped=\"1\"", "")),
        ("inconclusive", suite("disabled=\"1\"", "")),
        ("inconclusive", suite("ignored=\"1\"", "")),
        ("inconclusive", suite("not-run=\"2\"", "")),
        ("inconclusive", suite("aborted=\"2\"", "")),
        ("inconclusive", suite("timeouts=\"1\"", "")),
        ("inconclusive", suite("failed=\"1\"", "")),
        ("inconclusive", suite("executed=\"0\"", "")),
        ("inconclusive", suite("passed=\"0\"", "")),
        ("inconclusive", suite("passed=\"4\"", "")),
        ("inconclusive", suite("tests=\"five\"", "")),
        ("inconclusive", suite("failures=\"many\"", "")),
        ("inconclusive", suite("errors=\"-1\"", "")),
        ("inconclusive", format!("<testsuites tests=\"2\">{}</testsuites>", suite("tests=\"1\"", ""))),
        ("inconclusive", format!("<testsuites failures=\"1\">{}</testsuites>", suite("failures=\"0\"", ""))),
        ("inconclusive", format!("<x errors=\"1\">{}</x>", suite("", ""))),
        ("tests failed", suite("failures=\"1\"", "<testcase name=\"b\"><failure/></testcase>")),
        ("tests failed", suite("failures=\"2\"", "<testcase name=\"b\"><failure/></testcase>")),
        // Marks outside of a case.
        ("inconclusive", suite("", "<error message=\"set-up failed\"/>")),
        ("inconclusive", suite("", "<failure/>")),
        ("inconclusive", suite("", "<skipped/>")),
        ("inconclusive", suite("", "<aborted/>")),
        ("inconclusive", suite("", "Segmentation fault")),
        ("inconclusive", suite("", "<![CDATA[core dumped]]>")),
        ("inconclusive", format!("<testsuites><error/>{}</testsuites>", suite("", ""))),
        ("inconclusive", format!("<testsuites>{}<error/></testsuites>", suite("", ""))),
        ("inconclusive", format!("<testsuites>{}<group><failure/></group></testsuites>", suite("", ""))),
        ("inconclusive", suite("status=\"aborted\"", "")),
        ("inconclusive", suite("result=\"whatever\"", "")),
        ("inconclusive", suite("success=\"false\"", "")),
        ("inconclusive", suite("complete=\"false\"", "")),
        ("inconclusive", suite("aborted=\"true\"", "")),
        (
            "passed",
            suite("", "<properties><property name=\"x\" value=\"failed\"/></properties><system-out>x</system-out>"),
        ),
        // Marks of a case.
        ("passed", case("status=\"run\" result=\"completed\"", "<system-out>FAIL</system-out>")),
        ("passed", case("status=\"passed\" executed=\"true\" disabled=\"false\"", "")),
        ("inconclusive", case("", "<error/>")),
        ("inconclusive", case("", "<skipped/>")),
        ("inconclusive", case("", "<Skipped/>")),
        ("inconclusive", case("", "<aborted/>")),
        ("inconclusive", case("", "<never-heard-of/>")),
        ("inconclusive", case("", "<testcase name=\"c\"/>")),
        ("inconclusive", case("", "<system-out><testcase name=\"c\"/></system-out>")),
        ("tests failed", case("", "<failure/>")),
        ("tests failed", case("", "<Failure/>")),
        ("tests failed", case("", "<rerunFailure/>")),
        ("tests failed", case("", "<steps><failure/></steps>")),
        ("inconclusive", case("status=\"notrun\"", "")),
        ("inconclusive", case("status=\"NOT RUN\"", "")),
        ("inconclusive", case("status=\"disabled\" result=\"suppressed\"", "")),
        ("inconclusive", case("executed=\"false\"", "")),
        ("inconclusive", case("executed=\"0\"", "")),
        ("inconclusive", case("run=\"no\"", "")),
        ("inconclusive", case("disabled=\"true\"", "")),
        ("inconclusive", case("skipped=\"needs hardware\"", "")),
        ("inconclusive", case("not-run=\"true\"", "")),
        ("inconclusive", case("state=\"VERDICT_INCONC\"", "")),
        ("tests failed", case("status=\"failed\"", "")),
        ("tests failed", case("result=\"FAIL\"", "")),
        ("tests failed", case("success=\"false\"", "")),
        ("tests failed", case("failed=\"true\"", "")),
        ("tests failed", case("failures=\"1\"", "")),
        // Of two marks the worse counts, in whatever order.
        ("tests failed", case("", "<failure/><skipped/>")),
        ("tests failed", case("", "<skipped/><failure/>")),
        ("tests failed", case("", "<error/><failure/>")),
        ("tests failed", case("", "<failure/><error/>")),
        ("inconclusive", case("", "<error/><skipped type=\"known failure\"/>")),
        ("inconclusive", case("", "<skipped type=\"known failure\"/><error/>")),
        ("inconclusive", case("", "<skipped/><skipped type=\"known failure\"/>")),
        ("tests failed", case("status=\"passed\"", "<failure/>")),
        ("inconclusive", case("status=\"notrun\"", "<skipped type=\"known failure\"/>")),
        // A run of ours that was red as a whole; a step that was skipped is none that failed.
        ("inconclusive", with_pipeline("", "night", "<error/>")),
        ("inconclusive", with_pipeline("tests=\"2\"", "night", "")),
        ("passed", with_pipeline("skipped=\"1\"", "lock", "<skipped/>")),
    ];
    let wrong: Vec<String> = table
        .iter()
        .filter_map(|(expected, text)| {
            let (is, why) = told(text);
            (is != *expected).then(|| format!("{is} and not {expected}: {text} ({why})"))
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_document_that_is_cut_anywhere_is_refused() {
    let whole = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit/whole.xml"));
    let whole = whole.expect("a fixture");
    assert_eq!(told(&whole).0, "passed");
    let end = whole.trim_end().len();
    for at in (0..end).filter(|&at| whole.is_char_boundary(at)) {
        assert_eq!(told(&whole[..at]).0, "refused", "cut at {at}: {}", &whole[..at]);
    }
}

#[test]
fn the_fixtures_come_to_what_they_say() {
    let told = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit").join(name);
        let text = std::fs::read_to_string(path).expect("a fixture");
        told(text.trim_start_matches('\u{feff}'))
    };
    let table = [
        ("bom.xml", "passed", ""),
        ("cut-in-failure-s6a.xml", "refused", "it ends early: 3 elements are not closed"),
        ("cut-s6a.xml", "refused", "it ends early: 2 elements are not closed"),
        ("failattr-s6a.xml", "inconclusive", "`s6a`: its attributes state 1 failures, and 0 are listed"),
        (
            "suiteerr-s6a.xml",
            "inconclusive",
            "`s6a`: `<testsuite>` holds `<error>`, which says that not all is well; \
             `s6a`: its attributes state 2 cases, and 1 is listed; \
             `s6a`: its attributes state 1 errors, and 0 are listed; \
             `s6a`: its attributes state 3 cases, and 1 is listed",
        ),
        ("tests-more-s6a.xml", "inconclusive", "`s6a`: its attributes state 5 cases, and 1 is listed"),
    ];
    for (name, expected, why) in table {
        assert_eq!(told(name), (expected.to_owned(), why.to_owned()), "{name}");
    }
}

#[test]
fn what_is_stated_beside_several_suites_puts_each_in_doubt() {
    let inner = |name: &str| format!("<testsuite name=\"{name}\" tests=\"1\"><testcase name=\"a\"/></testsuite>");
    let statuses = |text: &str| {
        let document = read(text, true).expect("it is JUnit");
        document.suites.iter().map(|suite| (suite.suite.clone(), suite.status)).collect::<Vec<_>>()
    };
    let of = |a, b| vec![("a".to_owned(), a), ("b".to_owned(), b)];
    let (good, unknown) = (Status::Passed, Status::Inconclusive);
    assert_eq!(statuses(&format!("<x tests=\"2\">{}{}</x>", inner("a"), inner("b"))), of(good, good));
    assert_eq!(statuses(&format!("<x tests=\"3\">{}{}</x>", inner("a"), inner("b"))), of(unknown, unknown));
    // A suite around suites is none of its own, and what it states is about those in it.
    let nested = format!("<x><testsuite name=\"o\" tests=\"3\">{}</testsuite>{}</x>", inner("a"), inner("b"));
    assert_eq!(statuses(&nested)[1..], of(unknown, good));
    let nested = format!("<x><testsuite name=\"o\" tests=\"1\">{}</testsuite>{}</x>", inner("a"), inner("b"));
    assert_eq!(statuses(&nested), of(good, good));
    let empty = format!("<x>{}<testsuite name=\"b\" tests=\"0\"/></x>", inner("a"));
    assert_eq!(statuses(&empty), of(good, unknown));
    // A case behind a nested suite is its own suite's.
    let behind = format!("<testsuite name=\"o\">{}<testcase name=\"c\"><failure/></testcase></testsuite>", inner("a"));
    let expected = vec![("o".to_owned(), Status::TestsFailed), ("a".to_owned(), good)];
    assert_eq!(statuses(&behind), expected);
}

#[test]
fn junit_of_another_is_a_run() {
    let xml = r#"<?xml version="1.0"?><testsuites>
        <testsuite name="pipeline"><testcase name="connect"/></testsuite>
        <testsuite name="s6a" timestamp="2022-11-15T08:00:00" time="3.5">
        <testcase name="attach" time="1,001.25"/>
        <testcase name="a&amp;b"><failure type="x" message="no &lt;answer&gt;"/></testcase>
        <testcase name="told"><failure>
          in its text
        </failure></testcase>
        <testcase name="off"><skipped/></testcase>
        <testcase name="again"><flakyFailure message="once"/></testcase>
        <testcase name="known"><skipped type="known failure" message="known"/></testcase>
        </testsuite></testsuites>"#;
    let document = read(xml, true).expect("it is JUnit");
    let [suite] = document.suites.as_slice() else { panic!("{:?}", document.suites) };
    let cases: Vec<(&str, Option<CameTo>, Option<&str>)> =
        suite.cases.iter().map(|case| (case.case.as_str(), case.came_to, case.message.as_deref())).collect();
    assert_eq!(
        cases,
        [
            ("attach", Some(CameTo::Passed), None),
            ("a&b", Some(CameTo::Failed), Some("no <answer>")),
            ("told", Some(CameTo::Failed), Some("in its text")),
            ("again", Some(CameTo::Flaky), Some("once")),
            ("known", Some(CameTo::Known), Some("known")),
        ]
    );
    assert_eq!(document.started, Some(datetime!(2022-11-15 08:00 UTC)));
    assert_eq!((suite.status, suite.planned), (Status::TestsFailed, Some(6)));
    assert_eq!((suite.took_ms, suite.cases[0].took_ms), (Some(3500), 1_001_250));
    let reasons: Vec<&str> = document.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(reasons, ["`s6a`: 2 of 6 cases failed: a&b, told", "`s6a`: 1 of 6 cases were not run: off"]);
}

#[test]
fn times_are_read_in_the_forms_that_tools_write() {
    let started = |text: &str| read(&suite(&format!("timestamp=\"{text}\""), ""), true).expect(text).started;
    let expected = Some(datetime!(2022-11-15 08:00 UTC));
    for text in ["2022-11-15T08:00:00", "2022-11-15 08:00:00", "2022-11-15T08:00:00.000Z", "2022-11-15T09:00:00+01:00"]
    {
        assert_eq!(started(text), expected, "{text}");
    }
    // Where the time is given otherwise, it does not matter.
    assert!(read(&suite("timestamp=\"yesterday\"", ""), false).is_ok());
}

#[test]
fn suites_of_one_name_are_one_and_cases_of_one_name_are_told_apart() {
    let case =
        |class: &str, inner: &str| format!("<testcase classname=\"{class}\" name=\"t\" time=\"1\">{inner}</testcase>");
    let suite = |cases: &str| format!("<testsuite name=\"a\" time=\"2\">{cases}</testsuite>");
    let xml =
        format!("<x>{}{}</x>", suite(&(case("x", "<failure/>") + &case("y", ""))), suite(&case("z", "<skipped/>")));
    let document = read(&xml, true).expect("it is JUnit");
    let [suite] = document.suites.as_slice() else { panic!("{:?}", document.suites) };
    let cases: Vec<_> = suite.cases.iter().map(|case| (case.case.as_str(), case.came_to)).collect();
    assert_eq!(cases, [("t", Some(CameTo::Failed)), ("t #2", Some(CameTo::Passed))]);
    assert_eq!((suite.planned, suite.took_ms, suite.status), (Some(3), Some(4000), Status::TestsFailed));
}

#[test]
fn what_is_not_junit_says_why() {
    let why = |text: &str| format!("{:#}", read(text, true).expect_err("it is not"));
    assert_eq!(why("<html></html>"), "it has no test suite with a case");
    assert_eq!(why("<testcase name=\"b\"/>"), "at byte 20: a case is outside of every suite");
    let unclosed = "<testsuite name=\"a\"><testcase name=\"b\"></testsuite>";
    assert!(why(unclosed).starts_with("at byte "), "{}", why(unclosed));
}

#[test]
fn a_large_document_is_read_in_a_moment() {
    let many = suite("", &"<testcase name=\"t\"/>".repeat(50_000));
    let began = std::time::Instant::now();
    let document = read(&many, true).expect("it is JUnit");
    assert_eq!(document.suites[0].cases.len(), 50_001);
    let more = suite("", &"<testcase/>".repeat(MOST_CASES));
    assert!(format!("{:#}", read(&more, true).expect_err("too many")).contains("more than 200000 cases"));
    let suites = format!("<x>{}</x>", "<testsuite/>".repeat(MOST_SUITES + 1));
    assert!(format!("{:#}", read(&suites, true).expect_err("too many")).contains("more than 5000 suites"));
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
