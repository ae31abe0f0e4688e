//! From one line of NG40's text to its meaning. Owns no file, no clock and no memory of other lines.
//!
//! A line counts only whole: text that merely contains such a thing is text. Only a prefix that something on the way
//! has added, a time stamp or Fabric's `[host] out: `, may stand before it. A whole line that has the form of a verdict or
//! a total, and a name or a number that is none, is not text either: it decides something, and it is not known what.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// A name longer than this, in bytes, is no name.
const MAX_NAME: usize = 256;

/// A verdict's word longer than this is no word.
const MAX_TOKEN: usize = 64;

/// What one line says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Said<'a> {
    /// `Open NG40 logger: Name = gxgy05_capacity_210211_112124-1; ID = 1`
    LoggerOpened { name: &'a str, id: u32 },
    /// `**** TOTAL number of test cases:1`
    Planned(u32),
    /// `Run test case (1) on facebook: gx_gy_combined_05_capacity($balance=300, $exponent=0)`
    CaseStarted { number: u32, system: &'a str, name: &'a str, params: &'a str },
    /// `Verdict(gx_gy_combined_05_capacity) = VERDICT_PASS`
    CaseVerdict { name: &'a str, token: &'a str },
    /// `Testlist verdict = VERDICT_PASS`
    ListVerdict { token: &'a str },
    /// `07:08:57: verification fail:  ((received_Attach_Acc_=27) >= 32)  => False`
    VerificationFail { clause: &'a str },
    /// `Closing NG40 logger: Name = gxgy05_capacity_210211_112124-1; ID = 1`
    LoggerClosed { name: &'a str, id: u32 },
    /// ` >>>>>>>> close <<<<<<<<<`
    Close,
    /// `cmd enb_mme_state 0 0: ENB(0) MME(0) Status: active`
    EnbState { enb: u32, mme: u32, status: &'a str },
    /// `User Plane Downlink Table`; a heading and rows follow, see [`parse_heading`] and [`parse_row`].
    TableTitle(&'a str),
    /// `Watchtime: 57 Timeout: 1800`, both in seconds
    Watchtime { elapsed: u32, limit: u32 },
    /// `DL Loss= AS_PktTx-S1uPktRx=     1475(pkts); 4.17(%)`
    Loss { direction: Direction, packets: i64, percent: f64 },
    /// `No pkt DL tx`
    NoPackets { direction: Direction },
    /// `bash: ng40test: command not found`, from a shell
    CommandNotFound { command: &'a str },
    /// `Verdict(a(b)) = VERDICT_FAIL`, `**** TOTAL number of test cases:3,000`, `Run test case (2) on lab: b`: a verdict, a
    /// total or a start that cannot be read
    Illegible(&'a str),
    /// `DL Loss= AS_PktTx-S1uPktRx=     0(pkts); 50,0(%)`: a loss that cannot be read
    IllegibleLoss(&'a str),
    /// Anything else, without prefix and surrounding blanks.
    Other(&'a str),
}

impl Said<'_> {
    /// Whether it counts although a terminal has overwritten it. What was drawn over a pass may take it back; nothing takes
    /// back anything else.
    pub(crate) fn counts_overwritten(&self) -> bool {
        match self {
            Said::CaseVerdict { token, .. } | Said::ListVerdict { token } => !Verdict::parse(token).is_pass(),
            Said::LoggerOpened { .. }
            | Said::Planned(_)
            | Said::CaseStarted { .. }
            | Said::VerificationFail { .. }
            | Said::Loss { .. }
            | Said::NoPackets { .. }
            | Said::CommandNotFound { .. }
            | Said::Illegible(_)
            | Said::IllegibleLoss(_) => true,
            Said::LoggerClosed { .. }
            | Said::Close
            | Said::EnbState { .. }
            | Said::TableTitle(_)
            | Said::Watchtime { .. }
            | Said::Other(_) => false,
        }
    }
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// To the UE.
    Downlink,
    /// From the UE.
    Uplink,
}

/// Returns what a line says.
#[must_use]
pub(crate) fn parse_line(line: &str) -> Said<'_> {
    let text = without_prefixes(line);
    // What could not be decoded may stand for anything.
    let decoded = text.trim_start_matches('\u{fffd}');
    if decoded.len() < text.len() {
        return match parse_text(decoded) {
            Said::CaseVerdict { .. }
            | Said::ListVerdict { .. }
            | Said::Planned(_)
            | Said::CaseStarted { .. }
            | Said::Illegible(_) => Said::Illegible(text),
            Said::Loss { .. } | Said::NoPackets { .. } | Said::IllegibleLoss(_) => Said::IllegibleLoss(text),
            _ => Said::Other(text),
        };
    }
    parse_text(text)
}

fn parse_text(text: &str) -> Said<'_> {
    // Each begins in its own way, and most lines in none of them.
    let said = match text.as_bytes().first() {
        Some(b'V') => parse_case_verdict(text),
        Some(b'T') => parse_list_verdict(text),
        Some(b'R') => parse_case_start(text),
        Some(b'*') => parse_planned(text),
        Some(b'O' | b'C') => parse_logger(text),
        Some(b'>') => parse_close(text),
        Some(b'v') => parse_verification_fail(text),
        Some(b'W') => parse_watchtime(text),
        Some(b'D' | b'U') => parse_loss(text),
        Some(b'N') => parse_no_packets(text),
        Some(b'E' | b'c') => parse_enb_state(text),
        _ => None,
    };
    said.or_else(|| parse_illegible(text))
        .or_else(|| parse_table_title(text))
        .or_else(|| parse_command_not_found(text))
        .unwrap_or(Said::Other(text))
}

/// Finds what begins as a line that decides something, and has not been read as one.
fn parse_illegible(text: &str) -> Option<Said<'_>> {
    let has_prefix = |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let is_illegible = match text.as_bytes().first()? {
        b'V' | b'v' if has_prefix("Verdict") => {
            (text.starts_with("Verdict(") || text.contains("VERDICT_")) && !is_sentence_of_a_pass(text)
        }
        b'T' if has_prefix("Testlist verdict") => !is_sentence_of_a_pass(text),
        b'R' if has_prefix("Run test case") => {
            let rest = text["Run test case".len()..].trim_start_matches(is_blank);
            rest.starts_with(|char: char| char == '(' || char.is_ascii_digit())
        }
        b'*' => {
            const TOTAL: &str = "TOTAL number of test cases";
            let banner = text.trim_start_matches('*').trim_start_matches(is_blank);
            let head = banner.get(..TOTAL.len()).filter(|head| head.eq_ignore_ascii_case(TOTAL));
            head.is_some_and(|_| !is_sentence_of_a_total(&banner[TOTAL.len()..]))
        }
        b'D' | b'U' | b'N' => {
            let is_loss = |text| {
                let rest =
                    parse_direction(text).and_then(|(_, rest)| rest.trim_start_matches(is_blank).strip_prefix("Loss"));
                rest.is_some_and(|rest| rest.trim_start_matches(is_blank).starts_with('='))
            };
            let is_no_packets = |text: &str| {
                let rest = text
                    .strip_prefix("No pkt ")
                    .and_then(parse_direction)
                    .and_then(|(_, rest)| rest.strip_prefix(" tx"));
                rest.is_some_and(|rest| !rest.contains(char::is_alphabetic))
            };
            return (is_loss(text) || is_no_packets(text)).then_some(Said::IllegibleLoss(text));
        }
        _ => false,
    };
    is_illegible.then_some(Said::Illegible(text))
}

/// Whether a text has no verdict but passes, and goes on with words: `Verdict(a) = VERDICT_PASS (expected)`.
fn is_sentence_of_a_pass(text: &str) -> bool {
    let mut verdicts = text.split("VERDICT_").skip(1);
    let words_of = |after: &str| after.strip_prefix("PASS").is_some_and(|rest| !rest.starts_with(is_word_char));
    let Some((_, after)) = text.split_once("VERDICT_PASS") else { return false };
    verdicts.all(words_of) && after.contains(char::is_alphabetic)
}

/// Whether a total goes on as a sentence does: `:7 were planned last night`. `:60 (of 60)` and `:1 000` do not.
fn is_sentence_of_a_total(rest: &str) -> bool {
    let mut words = rest.trim_start_matches(':').split_ascii_whitespace();
    let is_number = words.next().is_some_and(|word| parse_number(word).is_some());
    let words: Vec<&str> = words.collect();
    is_number && words.len() >= 3 && words.iter().all(|word| word.chars().all(char::is_alphabetic))
}

/// Returns the columns of a counter table, from the line below its title.
#[must_use]
pub(crate) fn parse_heading(text: &str) -> Option<impl Iterator<Item = &str>> {
    let is_column = |word: &str| word.starts_with(|char: char| char.is_ascii_alphabetic()) && is_word(word);
    let mut columns = text.split_ascii_whitespace().peekable();
    (columns.peek().is_some() && columns.clone().all(is_column)).then_some(columns)
}

/// Returns the label and the counters of one row of a counter table.
///
/// Read by its words and not by its columns: pasted copies lose the heading's indent. `35,410` is a counter.
#[must_use]
pub(crate) fn parse_row(text: &str) -> Option<(&str, impl Iterator<Item = u64>)> {
    let is_counter = |word: &str| {
        word.starts_with(|char: char| char.is_ascii_digit())
            && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
    };
    let mut words = text.split_ascii_whitespace();
    let label = words.next()?;
    let mut counters = words.peekable();
    let is_row = counters.peek().is_some() && counters.clone().all(is_counter);
    let value = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit);
        digits.fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    };
    is_row.then(|| (label, counters.map(value)))
}

fn parse_case_verdict(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix("Verdict(")?;
    let (name, token) = rest.split_once(')')?;
    Some(Said::CaseVerdict { name: parse_name(name)?, token: parse_token(token)? })
}

fn parse_list_verdict(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix("Testlist verdict")?;
    Some(Said::ListVerdict { token: parse_token(rest)? })
}

fn parse_case_start(text: &str) -> Option<Said<'_>> {
    let (number, rest) = text.strip_prefix("Run test case (")?.split_once(')')?;
    let (system, rest) = rest.strip_prefix(" on ")?.split_once(": ")?;
    // A parameter may hold parentheses; a name may not.
    let (name, params) = rest.strip_suffix(')')?.split_once('(')?;
    Some(Said::CaseStarted {
        number: parse_number(number)?,
        system: parse_name(system).filter(|system| !system.contains(is_blank))?,
        name: parse_name(name)?,
        params: params.trim_matches(is_blank),
    })
}

fn parse_planned(text: &str) -> Option<Said<'_>> {
    let number = text.strip_prefix("**** TOTAL number of test cases:")?;
    // Most of the banners end in asterisks; this one has been seen without.
    parse_number(number.trim_end_matches('*').trim_matches(is_blank)).map(Said::Planned)
}

fn parse_logger(text: &str) -> Option<Said<'_>> {
    let (is_opened, rest) = match text.strip_prefix("Open NG40 logger: Name = ") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("Closing NG40 logger: Name = ")?),
    };
    let (name, id) = rest.split_once("; ID = ")?;
    let name = parse_name(name).filter(|name| !name.contains(is_blank))?;
    let id = parse_number(id)?;
    Some(if is_opened { Said::LoggerOpened { name, id } } else { Said::LoggerClosed { name, id } })
}

fn parse_close(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix(">>>>")?.trim_start_matches('>');
    let rest = rest.strip_suffix("<<<<")?.trim_end_matches('<');
    (rest == " close ").then_some(Said::Close)
}

fn parse_verification_fail(text: &str) -> Option<Said<'_>> {
    let clause = text.strip_prefix("verification fail:")?.trim_matches(is_blank);
    (!clause.is_empty()).then_some(Said::VerificationFail { clause })
}

fn parse_watchtime(text: &str) -> Option<Said<'_>> {
    let (elapsed, limit) = text.strip_prefix("Watchtime:")?.split_once(" Timeout:")?;
    Some(Said::Watchtime {
        elapsed: parse_number(elapsed.trim_matches(is_blank))?,
        limit: parse_number(limit.trim_matches(is_blank))?,
    })
}

fn parse_loss(text: &str) -> Option<Said<'_>> {
    let (direction, rest) = parse_direction(text)?;
    // `AS_PktTx-S1uPktRx=     1475(pkts); 4.17(%)`
    let (_counters, rest) = rest.strip_prefix(" Loss=")?.split_once('=')?;
    let (packets, percent) = rest.strip_suffix("(%)")?.split_once("(pkts);")?;
    let packets = packets.trim_matches(is_blank);
    let percent = percent.trim_matches(is_blank);
    // `f64` would also read `inf` and `nan`, which are no share of anything.
    let is_decimal = percent.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    let percent = percent.parse().ok().filter(|percent: &f64| is_decimal && percent.is_finite())?;
    Some(Said::Loss { direction, packets: packets.parse().ok()?, percent })
}

fn parse_no_packets(text: &str) -> Option<Said<'_>> {
    let (direction, rest) = parse_direction(text.strip_prefix("No pkt ")?)?;
    (rest == " tx").then_some(Said::NoPackets { direction })
}

fn parse_direction(text: &str) -> Option<(Direction, &str)> {
    match text.split_at_checked(2)? {
        ("DL", rest) => Some((Direction::Downlink, rest)),
        ("UL", rest) => Some((Direction::Uplink, rest)),
        _ => None,
    }
}

fn parse_enb_state(text: &str) -> Option<Said<'_>> {
    let reply = match text.strip_prefix("cmd ") {
        // NG40 says much of commands, and `split_once` makes ready for longer searches than this one.
        Some(command) => command[memmem::find(command.as_bytes(), b": ")? + 2..].trim_start_matches(is_blank),
        None => text,
    };
    let (enb, rest) = reply.strip_prefix("ENB(")?.split_once(')')?;
    let (mme, rest) = rest.strip_prefix(" MME(")?.split_once(')')?;
    let status = rest.strip_prefix(" Status:")?.trim_matches(is_blank);
    Some(Said::EnbState {
        enb: parse_number(enb)?,
        mme: parse_number(mme)?,
        status: Some(status).filter(|status| is_word(status) && status.len() <= MAX_TOKEN)?,
    })
}

fn parse_table_title(text: &str) -> Option<Said<'_>> {
    let name = text.strip_suffix(" Table")?;
    let is_title = name.len() <= MAX_TOKEN
        && name.starts_with(|char: char| char.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    is_title.then_some(Said::TableTitle(text))
}

/// Shells say it in their own ways:
///
/// - bash: `bash: ng40test: command not found`, `-bash: …`, `bash: line 1: …`, `./run.sh: line 3: …`
/// - dash: `sh: 1: ng40test: not found`, `/home/ng40/verify: 3: …`
/// - zsh: `zsh: command not found: ng40test`
/// - csh: `ng40test: Command not found.`
/// - Ubuntu's helper: `Command 'ng40test' not found, did you mean:`
fn parse_command_not_found(text: &str) -> Option<Said<'_>> {
    let is_program = |word: &str| !word.is_empty() && word.len() <= MAX_NAME && !word.contains(is_blank);
    // Much else may be not found.
    let is_shell = |word: &str| is_program(word) && word.ends_with("sh");
    let is_script = |word: &str| is_program(word) && word.contains('/');
    let is_place = |word: &str| word.strip_prefix("line ").unwrap_or(word).parse::<u32>().is_ok();

    if let Some(rest) = text.strip_prefix("Command '") {
        let (command, _advice) = rest.split_once("' not found")?;
        return is_program(command).then_some(Said::CommandNotFound { command });
    }
    if let Some(command) = text.strip_prefix("zsh: command not found: ") {
        return is_program(command).then_some(Said::CommandNotFound { command });
    }
    if !text.ends_with("not found") && !text.ends_with("not found.") {
        return None;
    }
    let (before, complaint) = text.rsplit_once(": ")?;
    let words: Vec<&str> = before.splitn(4, ": ").collect();
    let command = match (complaint, words.as_slice()) {
        ("command not found" | "Command not found" | "Command not found.", [command]) => command,
        ("command not found", [shell, command]) if is_program(shell) => command,
        ("command not found", [shell, place, command]) if is_program(shell) && is_place(place) => command,
        ("not found", [shell, place, command]) if (is_shell(shell) || is_script(shell)) && is_place(place) => command,
        ("not found", [shell, command]) if is_shell(shell) => command,
        _ => return None,
    };
    is_program(command).then_some(Said::CommandNotFound { command })
}

/// A case is called by whatever does not hold parentheses.
fn parse_name(name: &str) -> Option<&str> {
    let name = name.trim_matches(is_blank);
    (!name.is_empty() && name.len() <= MAX_NAME && !name.contains(['(', ')'])).then_some(name)
}

/// Reads ` = VERDICT_<token>`.
fn parse_token(text: &str) -> Option<&str> {
    let token = text.trim_matches(is_blank).strip_prefix('=')?.trim_start_matches(is_blank);
    let token = token.strip_prefix("VERDICT_")?;
    (is_word(token) && token.len() <= MAX_TOKEN).then_some(token)
}

/// Reads digits and nothing else. A number that is too large is the largest: it must not vanish.
fn parse_number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word_char)
}

fn is_word_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

/// Takes off what something between NG40 and us has put before the line, in whatever order.
fn without_prefixes(line: &str) -> &str {
    let mut text = line.trim_matches(is_blank);
    // A CI log that stamps the output of a Fabric run on lines that were stamped by NG40 has three.
    for _ in 0..3 {
        match after_time_stamp(text).or_else(|| after_host(text)) {
            Some(rest) => text = rest.trim_start_matches(is_blank),
            None => break,
        }
    }
    text
}

/// Steps over `07:08:57: `, `2021-02-11T11:21:24.125Z `, `[2021-02-11 11:21:24,125] ` and the like.
fn after_time_stamp(text: &str) -> Option<&str> {
    let (rest, closing) = text.strip_prefix('[').map_or((text, ""), |rest| (rest, "]"));
    let rest = after_shape(rest, "0000-00-00").and_then(|rest| rest.strip_prefix(['T', ' '])).unwrap_or(rest);
    let rest = after_shape(rest, "00:00:00")?;
    let rest =
        rest.strip_prefix(['.', ',']).map_or(rest, |rest| rest.trim_start_matches(|char: char| char.is_ascii_digit()));
    let rest = after_zone(rest).unwrap_or(rest);
    let rest = rest.strip_prefix(closing)?;
    ends_prefix(rest.strip_prefix(':').unwrap_or(rest))
}

fn after_zone(text: &str) -> Option<&str> {
    text.strip_prefix('Z')
        .or_else(|| after_shape(text.strip_prefix(['+', '-'])?, "00:00"))
        .or_else(|| after_shape(text.strip_prefix(['+', '-'])?, "0000"))
}

/// Steps over Fabric's `[ng40@192.168.60.75:22] out: `.
fn after_host(text: &str) -> Option<&str> {
    let (host, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let rest = rest.strip_prefix("out:").or_else(|| rest.strip_prefix("err:"))?;
    if host.is_empty() || host.contains(is_blank) {
        return None;
    }
    ends_prefix(rest)
}

/// A prefix is followed by a blank, or by nothing at all once trailing blanks are gone.
fn ends_prefix(rest: &str) -> Option<&str> {
    (rest.is_empty() || rest.starts_with(is_blank)).then_some(rest)
}

/// Steps over a text of this shape, in which `0` stands for a digit.
fn after_shape<'a>(text: &'a str, shape: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(shape.len())?;
    let fits = |(byte, shape): (u8, u8)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    head.bytes().zip(shape.bytes()).all(fits).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict<'a>(name: &'a str, token: &'a str) -> Said<'a> {
        Said::CaseVerdict { name, token }
    }

    #[track_caller]
    fn assert_text(line: &str) {
        assert!(matches!(parse_line(line), Said::Other(_)), "`{line}` was read as {:?}", parse_line(line));
    }

    #[test]
    fn every_line_of_a_regression_list_is_understood() {
        for (line, said) in [
            (
                "Open NG40 logger: Name = roaming_08_220301_060000-1; ID = 1",
                Said::LoggerOpened { name: "roaming_08_220301_060000-1", id: 1 },
            ),
            ("**** TOTAL number of test cases:12", Said::Planned(12)),
            ("**** TOTAL number of test cases: 12 ****", Said::Planned(12)),
            ("**** TOTAL number of test cases:99999999999", Said::Planned(u32::MAX)),
            (
                "Run test case (3) on lab: roaming_08($users=2, $rate=1)",
                Said::CaseStarted { number: 3, system: "lab", name: "roaming_08", params: "$users=2, $rate=1" },
            ),
            (
                "Run test case (1) on lab: roaming-08.b()",
                Said::CaseStarted { number: 1, system: "lab", name: "roaming-08.b", params: "" },
            ),
            (
                "Run test case (1) on lab: 08($x=(1+2)*3, $y=f(x))",
                Said::CaseStarted { number: 1, system: "lab", name: "08", params: "$x=(1+2)*3, $y=f(x)" },
            ),
            ("Verdict(roaming_08) = VERDICT_PASS", verdict("roaming_08", "PASS")),
            ("Verdict(roaming-08.b) = VERDICT_FAIL", verdict("roaming-08.b", "FAIL")),
            ("Verdict(ü 1)=VERDICT_NO_IDEA2", verdict("ü 1", "NO_IDEA2")),
            ("Testlist verdict = VERDICT_FAIL", Said::ListVerdict { token: "FAIL" }),
            ("cmd enb_mme_state 3 0: ENB(3) MME(0) Status: idle", Said::EnbState { enb: 3, mme: 0, status: "idle" }),
            ("Closing NG40 logger: Name = x-1; ID = 1", Said::LoggerClosed { name: "x-1", id: 1 }),
            (" >>>>>>>> close <<<<<<<<<", Said::Close),
            (
                "verification fail:  ((received_Attach_Acc_=3) >= 8)  => False",
                Said::VerificationFail { clause: "((received_Attach_Acc_=3) >= 8)  => False" },
            ),
        ] {
            assert_eq!(parse_line(line), said, "{line}");
        }
    }

    #[test]
    fn every_line_of_a_user_plane_list_is_understood() {
        use Direction::{Downlink, Uplink};
        for (line, said) in [
            ("Signaling Table", Said::TableTitle("Signaling Table")),
            ("User Plane Uplink Table", Said::TableTitle("User Plane Uplink Table")),
            ("Watchtime: 9 Timeout: 1800", Said::Watchtime { elapsed: 9, limit: 1800 }),
            (
                "DL Loss= AS_PktTx-S1uPktRx=     620(pkts); 12.50(%)",
                Said::Loss { direction: Downlink, packets: 620, percent: 12.5 },
            ),
            (
                "UL Loss= S1uPktTx-AS_PktRx=     -1(pkts); -0.01(%)",
                Said::Loss { direction: Uplink, packets: -1, percent: -0.01 },
            ),
            ("No pkt DL tx", Said::NoPackets { direction: Downlink }),
            ("No pkt UL tx", Said::NoPackets { direction: Uplink }),
        ] {
            assert_eq!(parse_line(line), said, "{line}");
        }
    }

    #[test]
    fn a_line_may_carry_prefixes_and_blanks() {
        for prefix in [
            "",
            "  \t",
            "07:08:57: ",
            "07:08:57 ",
            "2022-03-01T06:00:00Z ",
            "2022-03-01T06:00:00.123456+02:00 ",
            "2022-03-01 06:00:00,123 ",
            "[2022-03-01 06:00:00] ",
            "[192.168.60.75] out: ",
            "[ng40@192.168.60.75:22] out:   ",
            "2022-03-01T06:00:00Z [192.168.60.75] out: 07:08:57: ",
        ] {
            assert_eq!(parse_line(&format!("{prefix}Verdict(a) = VERDICT_PASS  ")), verdict("a", "PASS"), "{prefix}");
        }
    }

    #[test]
    fn text_that_merely_contains_such_a_line_is_text() {
        for line in [
            "expected Verdict(a) = VERDICT_PASS",
            "Verdict(a) = VERDICT_PASS (expected)",
            "Verdict(a) = VERDICT_PASS Testlist verdict = VERDICT_PASS",
            "Verdict check",
            "07:08: Verdict(a) = VERDICT_PASS",
            "07:08:57Verdict(a) = VERDICT_PASS",
            "[a host] out: Verdict(a) = VERDICT_PASS",
            "[host] out Verdict(a) = VERDICT_PASS",
            "$ echo 'Verdict(a) = VERDICT_PASS'",
            "The Testlist verdict = VERDICT_PASS",
            "Testlist verdict = VERDICT_PASS (expected)",
            "Run test cases (2)",
            "TOTAL number of test cases:1",
            "**** TOTAL number of eNBs: one",
            "**** TOTAL number of test cases:7 were planned last night",
            "No pkt DL tx yet",
            "This is a Table",
            "Table",
            "I read that bash: ng40test: command not found",
            "page not found",
            "mme: 0: bearer: not found",
            "/subscribers: imsi: not found",
            "",
        ] {
            let is_title = line == "This is a Table";
            if is_title {
                // A title is free text; what follows it is only taken as a table if it looks like one.
                assert_eq!(parse_line(line), Said::TableTitle(line));
            } else {
                assert_text(line);
            }
        }
    }

    #[test]
    fn what_begins_as_a_line_that_decides_and_cannot_be_read_is_not_passed_over() {
        let too_long = [
            format!("Verdict({}) = VERDICT_PASS", "a".repeat(MAX_NAME + 1)),
            format!("Verdict(a) = VERDICT_{}", "A".repeat(MAX_TOKEN + 1)),
        ];
        let lines = [
            "Verdict() = VERDICT_PASS",
            "Verdict( ) = VERDICT_PASS",
            "Verdict(a(b)) = VERDICT_PASS",
            "Verdict(a) = VERDICT_PASS?",
            "Verdict(a) = VERDICT_PASS;",
            "Verdict(a) = VERDICT_FAIL.",
            "Verdict(a) = VERDICT_FAIL;",
            "Verdict(a) = VERDICT_FAIL\u{fffd}",
            "Verdict(a) = VERDICT_FAIL (expected)",
            "Verdict(a) = VERDICT_PASS Verdict(b) = VERDICT_FAIL",
            "Verdict(a) = VERDICT_",
            "Verdict(a) = PASS",
            "Verdict(a",
            "Verdict (a) = VERDICT_PASS",
            "verdict(a) = VERDICT_FAIL",
            "\u{fffd}Verdict(a) = VERDICT_FAIL",
            "Testlist verdict = VERDICT_FAIL.",
            "Testlist verdict: VERDICT_FAIL",
            "Testlist verdict",
            "**** TOTAL number of test cases:",
            "**** TOTAL number of test cases:-1",
            "**** TOTAL number of test cases:3,000",
            "**** TOTAL number of test cases: 1 000",
            "**** TOTAL number of test cases:60 (of 60)",
            "**** TOTAL number of test cases:60 of 60 are planned",
            "**** Total number of test cases: 60",
            "*** TOTAL number of test cases:60",
            "Run test case (x) on lab: a()",
            "Run test case (1) on lab: a",
            "Run test case (1) on lab: a(",
            "Run test case (1) on lab: ()",
            "Run test case (1) on the lab: a()",
            "Run test case(1) on lab: a()",
        ];
        for line in lines.into_iter().chain(too_long.iter().map(String::as_str)) {
            assert_eq!(parse_line(&format!("07:08:57: {line}")), Said::Illegible(line));
        }
        for line in [
            "DL Loss= a-b= 1(pkts); nan(%)",
            "DL Loss= a-b= 1(pkts); 1e3(%)",
            "DL Loss= a-b= 1(pkts); 50,0(%)",
            "UL Loss = a-b= 1(pkts); 50.0(%)",
            "No pkt DL tx.",
        ] {
            assert_eq!(parse_line(line), Said::IllegibleLoss(line));
        }
    }

    #[test]
    fn each_shell_says_in_its_own_way_that_it_found_no_command() {
        for line in [
            "bash: ng40test: command not found",
            "-bash: ng40test: command not found",
            "bash: line 1: ng40test: command not found",
            "./run.sh: line 3: ng40test: command not found",
            "sh: 1: ng40test: not found",
            "/home/ng40/verify: 3: ng40test: not found",
            "-sh: ng40test: not found",
            "zsh: command not found: ng40test",
            "ng40test: Command not found.",
            "sudo: ng40test: command not found",
            "Command 'ng40test' not found, did you mean:",
        ] {
            assert_eq!(parse_line(line), Said::CommandNotFound { command: "ng40test" }, "{line}");
        }
    }

    #[test]
    fn tables_are_read_by_their_words() {
        let (label, counters) = parse_row("ran9_1   35,410    0   7").unwrap();
        assert_eq!((label, counters.collect::<Vec<_>>()), ("ran9_1", vec![35410, 0, 7]));
        let columns: Vec<_> = parse_heading("AttUE  AS_PktTx").unwrap().collect();
        assert_eq!(columns, ["AttUE", "AS_PktTx"]);
        for text in ["", "ran9_1", "ran9_1 seven", "Wait for RAN shutdown", "ran 1 , 2"] {
            assert!(parse_row(text).is_none(), "{text}");
        }
        for text in ["", "ng40_ran_1 0 0", "**** Packet Loss ****"] {
            assert!(parse_heading(text).is_none(), "{text}");
        }
    }
}
