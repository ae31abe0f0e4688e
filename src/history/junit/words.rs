//! The words in which tools say how something ended, and the attributes that hold them.

use anyhow::Context as _;
use quick_xml::events::BytesStart;
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::suite::Outcome;

/// The longest message of a case that is kept, in characters.
const LONGEST_MESSAGE: usize = 4_000;

/// Elements that say nothing about how something ended.
pub(super) const NEUTRAL: [&str; 16] = [
    "properties",
    "property",
    "system-out",
    "system-err",
    "systemout",
    "systemerr",
    "stdout",
    "stderr",
    "attachments",
    "attachment",
    "description",
    "requirements",
    "tags",
    "metadata",
    "measurement",
    "environment",
];

/// Names of elements, and values of `status` and the like, that say that something was not run.
pub(super) const NOT_RUN: [&str; 24] = [
    "skipped",
    "skip",
    "disabled",
    "ignored",
    "notrun",
    "not-run",
    "not_run",
    "not run",
    "notexecuted",
    "not-executed",
    "not_executed",
    "not executed",
    "pending",
    "untested",
    "undefined",
    "suppressed",
    "filtered",
    "blocked",
    "deselected",
    "aborted",
    "cancelled",
    "canceled",
    "incomplete",
    "inconclusive",
];

/// Values of `status` and the like that say that something passed, or only that it was run.
pub(super) const PASSED: [&str; 17] = [
    "passed",
    "pass",
    "success",
    "successful",
    "succeeded",
    "ok",
    "run",
    "ran",
    "executed",
    "completed",
    "complete",
    "done",
    "finished",
    "true",
    "yes",
    "0",
    "",
];

/// Values of `status` and the like that say that something failed.
pub(super) const FAILED: [&str; 7] = ["failed", "fail", "failure", "failures", "broken", "false", "no"];

/// How the names of attributes end that say in a word how something ended: `status`, `test-status`, `exitCode`.
const IN_A_WORD: [&str; 8] =
    ["status", "result", "outcome", "state", "verdict", "conclusion", "exitcode", "returncode"];
/// Attributes that are true of what was run and passed.
pub(super) const TRUE_OF_A_PASS: [&str; 12] = [
    "executed",
    "run",
    "ran",
    "success",
    "successful",
    "succeeded",
    "passed",
    "ok",
    "enabled",
    "complete",
    "completed",
    "finished",
];
/// Those of them that are true of what was run.
pub(super) const OF_A_RUN: [&str; 7] = ["executed", "run", "ran", "enabled", "complete", "completed", "finished"];
/// Attributes that are false of what was run and passed; they may give a reason in words.
const FALSE_OF_A_PASS: [&str; 26] = [
    "unsuccessful",
    "notpassed",
    "notok",
    "ko",
    "skipped",
    "skip",
    "disabled",
    "ignored",
    "notrun",
    "notexecuted",
    "failed",
    "failure",
    "failures",
    "error",
    "errors",
    "errored",
    "aborted",
    "blocked",
    "cancelled",
    "canceled",
    "crashed",
    "timedout",
    "broken",
    "pending",
    "incomplete",
    "inconclusive",
];

/// Attributes that hold a name or a text, whatever it is.
const NAMES: [&str; 14] = [
    "name",
    "classname",
    "class",
    "displayname",
    "file",
    "filename",
    "filepath",
    "package",
    "id",
    "hostname",
    "group",
    "tags",
    "message",
    "type",
];
/// Values that say in an attribute of any other name that something failed.
const PLAIN_FAILURES: [&str; 7] = ["failed", "fail", "failure", "nok", "not ok", "notok", "crashed"];

/// Parts of the names of counts that say that something did not pass.
pub(super) const COUNTS_OF_FAILURES: [&str; 2] = ["fail", "broken"];
pub(super) const COUNTS_OF_ERRORS: [&str; 3] = ["error", "crash", "timeout"];
pub(super) const COUNTS_OF_NOT_RUN: [&str; 16] = [
    "skip",
    "disabled",
    "ignored",
    "notrun",
    "unrun",
    "executed",
    "suppressed",
    "abort",
    "blocked",
    "cancel",
    "pending",
    "untested",
    "undefined",
    "complete",
    "conclusive",
    "missing",
];

/// The name of an attribute without case, `-` and `_`.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|char| !matches!(char, '-' | '_')).collect::<String>().to_ascii_lowercase()
}

/// Whether an attribute of this name, which is [`plain`], says in a word how something ended.
pub(super) fn is_in_a_word(plain: &str) -> bool {
    IN_A_WORD.iter().any(|end| plain.ends_with(end))
}

/// Whether it counts what did not pass by saying what it is not: `unsuccessful`, `not_passed`.
pub(super) fn is_no_pass(plain: &str) -> bool {
    let rest = ["un", "not", "non", "no"].iter().find_map(|no| plain.strip_prefix(no));
    let is_pass = |rest: &str| ["success", "succe", "pass", "ok", "green"].iter().any(|pass| rest.starts_with(pass));
    rest.is_some_and(is_pass) || matches!(plain, "ko" | "nok" | "ng" | "bad" | "red")
}

/// What a property says of how something ended. Properties have any name and value: of one that is called like `status`
/// a word counts that is not known, of others only one that is plain.
pub(super) fn said_by_property(name: &str, said: &str) -> Option<(Outcome, String)> {
    let word = said.trim().to_ascii_lowercase();
    let plain_name = plain(name);
    let outcome = said_by_verdict(&word).or_else(|| {
        if !is_in_a_word(&plain_name) {
            return None;
        }
        let is_code = plain_name.ends_with("code");
        // A state may be one of a country.
        let is_strict = is_code || plain_name != "state" && IN_A_WORD.contains(&plain_name.as_str());
        match word.as_str() {
            word if FAILED.contains(&word) || is_no_pass(&plain(word)) => Some(Outcome::Failed),
            word if NOT_RUN.contains(&word) => Some(Outcome::NotRun),
            word if is_bad_word(word) => Some(Outcome::Error),
            word if PASSED.contains(&word) || !is_strict => None,
            _ => Some(Outcome::Error),
        }
    })?;
    (outcome > Outcome::Passed).then(|| (outcome, format!("its property {name} is \"{}\"", cut_to(said.trim(), 100))))
}

/// What a verdict in NG40's words says, wherever it stands.
fn said_by_verdict(word: &str) -> Option<Outcome> {
    Some(match word.strip_prefix("verdict_")? {
        "pass" => Outcome::Passed,
        "fail" => Outcome::Failed,
        _ => Outcome::Error,
    })
}

/// Whether a word can only mean that something went wrong.
fn is_bad_word(word: &str) -> bool {
    ["error", "fail", "crash", "abort", "timeout", "timed out", "killed", "broken"].iter().any(|bad| word.contains(bad))
}

/// Whether an element of this name says how something ended.
pub(super) fn is_mark(name: &str) -> bool {
    const MARKS: [&str; 10] = [
        "failure",
        "failed",
        "fail",
        "rerunfailure",
        "rerunerror",
        "error",
        "exception",
        "crash",
        "flakyfailure",
        "flakyerror",
    ];
    MARKS.contains(&name) || NOT_RUN.contains(&name)
}

pub(super) fn is_false(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "false" | "no" | "n" | "0" | "off" | "none" | "null" | "")
}

/// What the attributes of a case or a suite say of how it ended, with the attribute that says so.
pub(super) fn ended(attributes: &[(String, String)]) -> (Outcome, Option<String>) {
    let mut worst = (Outcome::Passed, None);
    for (name, value) in attributes {
        let word = value.trim().to_ascii_lowercase();
        let plain = plain(name);
        let outcome = if is_in_a_word(&plain) {
            match word.as_str() {
                word if PASSED.contains(&word) => Outcome::Passed,
                word if FAILED.contains(&word) => Outcome::Failed,
                word if NOT_RUN.contains(&word) => Outcome::NotRun,
                _ => Outcome::Error,
            }
        } else if TRUE_OF_A_PASS.contains(&plain.as_str()) {
            match word.as_str() {
                word if NOT_RUN.contains(&word) => Outcome::NotRun,
                word if is_false(word) && OF_A_RUN.contains(&plain.as_str()) => Outcome::NotRun,
                word if is_false(word) || FAILED.contains(&word) => Outcome::Failed,
                word if PASSED.contains(&word) || ["y", "t", "on", "always"].contains(&word) => Outcome::Passed,
                // What was run is counted too; what has passed, once.
                word if word.bytes().all(|byte| byte.is_ascii_digit())
                    && (OF_A_RUN.contains(&plain.as_str()) || count(word) == Some(1)) =>
                {
                    Outcome::Passed
                }
                _ => Outcome::Error,
            }
        } else if FALSE_OF_A_PASS.contains(&plain.as_str()) && !is_false(value) {
            match plain.as_str() {
                "failed" | "failure" | "failures" | "unsuccessful" | "notpassed" | "notok" | "ko" => Outcome::Failed,
                "error" | "errors" | "errored" | "crashed" | "timedout" | "broken" => Outcome::Error,
                _ => Outcome::NotRun,
            }
        } else if let Some(outcome) = said_by_verdict(&word) {
            outcome
        } else if !NAMES.contains(&plain.as_str()) && (PLAIN_FAILURES.contains(&word.as_str())) {
            Outcome::Failed
        } else {
            Outcome::Passed
        };
        if outcome > worst.0 {
            worst = (outcome, Some(format!("it has {name}=\"{value}\"")));
        }
    }
    worst
}

/// All attributes of an element; one that cannot be read makes the document unreadable.
pub(super) fn attributes(tag: &BytesStart<'_>) -> anyhow::Result<Vec<(String, String)>> {
    let read = |attribute: Result<quick_xml::events::attributes::Attribute<'_>, _>| {
        let attribute = attribute.context("an attribute is not well-formed")?;
        let name = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        let value = value.with_context(|| format!("the attribute `{name}` cannot be read"))?;
        Ok((name, value.into_owned()))
    };
    tag.attributes().map(read).collect()
}

pub(super) fn value<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A count; one that is too large is as large as can be.
pub(super) fn count(text: &str) -> Option<u64> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

pub(super) fn cut(text: &str) -> String {
    cut_to(text, LONGEST_MESSAGE)
}

pub(super) fn cut_to(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Seconds, as JUnit has them; some tools group the digits: `1,234.5`.
pub(super) fn millis(text: &str) -> Option<u64> {
    let seconds = text.trim().replace(',', "").parse().ok()?;
    u64::try_from(std::time::Duration::try_from_secs_f64(seconds).ok()?.as_millis()).ok()
}

/// A time, and whether it has an offset; without one it is read as UTC.
pub(super) fn moment(text: &str) -> Option<(OffsetDateTime, bool)> {
    let text = text.replacen(' ', "T", 1);
    let plain =
        || time::PrimitiveDateTime::parse(&text, &Iso8601::DEFAULT).ok().map(time::PrimitiveDateTime::assume_utc);
    let with_offset =
        OffsetDateTime::parse(&text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&text, &Iso8601::DEFAULT));
    with_offset.ok().map(|time| (time, true)).or_else(|| Some((plain()?, false)))
}
