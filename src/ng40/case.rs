//! One case: what NG40 said of it, and what that comes to. Knows nothing of the other cases.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parser::Direction;
use crate::secret::Redactor;
use crate::verdict::Verdict;

/// How many `verification fail:` lines of one case are kept; the others are counted.
const MAX_VERIFICATION: usize = 200;

/// How much of one such line is kept, in bytes.
const MAX_CLAUSE: usize = 1000;

/// How many remarks on one case are kept.
const MAX_NOTES: usize = 10;

/// One test case of a list, as far as NG40 has spoken of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub name: String,
    /// 1 for the first case of this name in the console, 2 for the second, ...
    pub occurrence: u32,
    /// Which list of the console it belongs to, from 1.
    pub list: u32,
    /// The number that NG40 gave it when it started; a case that is only known by its verdict has none.
    pub number: Option<u32>,
    pub system: Option<String>,
    pub params: Option<String>,
    pub verdict: Verdict,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// When it started, from the start of the run, as seen by us. A saved console does not say.
    #[serde(with = "seconds")]
    pub started: Option<Duration>,
    #[serde(with = "seconds")]
    pub took: Option<Duration>,
    /// The clauses that were not true.
    pub verification: Vec<String>,
    /// How many more there were.
    pub verification_omitted: u32,
    /// The last counters before the verdict.
    pub tables: Vec<Table>,
    pub watchtime: Option<Watchtime>,
    pub loss: Loss,
    /// The greatest share of lost packets, in percent, with which a pass counts.
    pub max_packet_loss: Option<f64>,
    /// What was odd about it.
    pub notes: Vec<String>,
    /// Where the console speaks of it, in bytes; a case that never started is nowhere.
    pub console: Option<Range<u64>>,
}

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "judgement", rename_all = "lowercase")]
pub(crate) enum Judgement {
    Passed,
    /// It is known that something is wrong.
    Failed {
        kind: String,
        message: String,
    },
    /// It is not known whether something is wrong.
    Error {
        kind: String,
        message: String,
    },
}

/// One table of counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// The counters of one RAN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub label: String,
    pub counters: Vec<u64>,
}

/// How long a user plane case has been running, and how long it may, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watchtime {
    pub elapsed: u32,
    pub limit: u32,
}

/// The packets of a case that did not arrive, as far as NG40 has said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Loss {
    pub downlink: Option<Traffic>,
    pub uplink: Option<Traffic>,
}

/// What became of the packets of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Traffic {
    /// `No pkt DL tx`
    NothingSent,
    Lost {
        packets: i64,
        percent: f64,
    },
}

impl Case {
    /// Returns the name that is this case's alone in its console: `attach`, `attach #2`, `attach #3`.
    #[must_use]
    pub(crate) fn full_name(&self) -> String {
        match self.occurrence {
            0 | 1 => self.name.clone(),
            occurrence => format!("{} #{occurrence}", self.name),
        }
    }

    /// Returns what the case comes to. This is the only place that says so.
    #[must_use]
    pub(crate) fn judgement(&self) -> Judgement {
        match &self.verdict {
            Verdict::Pass => self.packet_loss_judgement(),
            Verdict::Fail => Judgement::Failed { kind: "VERDICT_FAIL".to_owned(), message: self.failure() },
            Verdict::Other(token) => Judgement::Error {
                kind: format!("VERDICT_{token}"),
                message: format!("NG40 said VERDICT_{token}, which is neither PASS nor FAIL"),
            },
            Verdict::None => Judgement::Error {
                kind: "NO_VERDICT".to_owned(),
                message: self.error.clone().unwrap_or_else(|| "no verdict".to_owned()),
            },
        }
    }

    /// Keeps a clause that was not true, from the console or from the case's own log.
    pub(crate) fn add_verification(&mut self, clause: &str) {
        if self.verification.len() < MAX_VERIFICATION {
            self.verification.push(shortened(clause, MAX_CLAUSE));
        } else {
            self.verification_omitted = self.verification_omitted.saturating_add(1);
        }
    }

    /// Keeps a remark.
    pub(crate) fn add_note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }

    /// Returns all that is known of the case beyond its judgement, one thing a line; empty if there is nothing.
    #[must_use]
    pub(crate) fn details(&self) -> String {
        let mut lines = Vec::new();
        lines.extend(self.verification.iter().map(|clause| format!("verification fail: {clause}")));
        if self.verification_omitted > 0 {
            lines.push(format!("... and {} more", self.verification_omitted));
        }
        lines.extend(self.loss.sentences());
        lines.extend(self.tables.iter().map(Table::to_string));
        lines.extend(self.watchtime.iter().map(|watchtime| format!("{watchtime}")));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.join("\n")
    }

    /// Takes another verdict of the same case: the worse stands.
    pub(super) fn add_second_verdict(&mut self, verdict: Verdict) {
        let first = std::mem::take(&mut self.verdict);
        self.add_note(match first {
            Verdict::None => format!("its verdict {verdict} came after it had been given up"),
            _ if first == verdict => format!("it had the verdict {verdict} twice"),
            _ => format!("it had a second verdict: {first}, and then {verdict}; the worse stands"),
        });
        self.verdict = first.worse(verdict);
        if self.verdict != Verdict::None {
            self.error = None;
        }
    }

    /// Takes the worst verdict of the cases that ran beside it by the same name.
    pub(super) fn share_verdict(&mut self, worst: &Verdict) {
        self.add_note(format!(
            "its verdict may be {worst} as well as {}: another case of its name ran beside it; the worse stands",
            self.verdict
        ));
        self.verdict = worst.clone();
    }

    /// Lets the case's own console reach to this byte.
    pub(super) fn end_console(&mut self, end: u64) {
        if let Some(console) = &mut self.console {
            console.end = console.end.max(end);
        }
    }

    fn failure(&self) -> String {
        let more = self.verification.len().saturating_sub(1) + self.verification_omitted as usize;
        match (self.verification.first(), more) {
            (Some(first), 0) => format!("verification fail: {first}"),
            (Some(first), more) => format!("verification fail: {first} (and {more} more)"),
            (None, _) => {
                let mut message = "NG40 said VERDICT_FAIL".to_owned();
                for sentence in self.loss.sentences() {
                    message = format!("{message}; {sentence}");
                }
                message
            }
        }
    }

    /// Whether it has passed although every packet was lost, or none was sent, in one direction, and nothing limits that.
    pub(crate) fn has_passed_without_traffic(&self) -> bool {
        let is_total = |traffic: Traffic| match traffic {
            Traffic::NothingSent => true,
            Traffic::Lost { percent, .. } => percent >= 100.0,
        };
        self.max_packet_loss.is_none()
            && [self.loss.downlink, self.loss.uplink].into_iter().flatten().any(is_total)
            && self.judgement() == Judgement::Passed
    }

    /// Judges a pass: NG40's verdict may look at the control plane only, and pass with every packet lost.
    fn packet_loss_judgement(&self) -> Judgement {
        let Some(limit) = self.max_packet_loss else { return Judgement::Passed };
        let directions = [(Direction::Downlink, self.loss.downlink), (Direction::Uplink, self.loss.uplink)];

        let too_much = |traffic: Traffic| match traffic {
            Traffic::NothingSent => true,
            Traffic::Lost { percent, .. } => percent > limit,
        };
        let excess: Vec<String> = directions
            .iter()
            .filter_map(|(direction, traffic)| Some((direction, traffic.filter(|traffic| too_much(*traffic))?)))
            .map(|(direction, traffic)| traffic.sentence(*direction))
            .collect();
        if !excess.is_empty() {
            return Judgement::Failed {
                kind: "PACKET_LOSS".to_owned(),
                message: format!("NG40 said VERDICT_PASS, but {} (allowed: {limit} %)", excess.join(" and ")),
            };
        }

        // Who asks for a limit wants to know; what NG40 did not say is not known to be within it.
        let unsaid: Vec<String> = directions
            .iter()
            .filter(|(_, traffic)| traffic.is_none())
            .map(|(direction, _)| direction.to_string())
            .collect();
        if !unsaid.is_empty() {
            return Judgement::Error {
                kind: "NO_PACKET_LOSS".to_owned(),
                message: format!(
                    "NG40 said VERDICT_PASS, but not how many packets were lost on the {} (allowed: {limit} %)",
                    unsaid.join(" and the ")
                ),
            };
        }
        Judgement::Passed
    }
}

impl Loss {
    /// Takes what was said of one direction; of two things the worse stands.
    pub(super) fn add(&mut self, direction: Direction, traffic: Traffic) {
        let known = match direction {
            Direction::Downlink => &mut self.downlink,
            Direction::Uplink => &mut self.uplink,
        };
        let share = |traffic: Traffic| match traffic {
            Traffic::NothingSent => f64::INFINITY,
            Traffic::Lost { percent, .. } => percent,
        };
        if known.is_none_or(|known| share(traffic) > share(known)) {
            *known = Some(traffic);
        }
    }

    fn sentences(self) -> impl Iterator<Item = String> {
        let downlink = self.downlink.map(|traffic| traffic.sentence(Direction::Downlink));
        let uplink = self.uplink.map(|traffic| traffic.sentence(Direction::Uplink));
        downlink.into_iter().chain(uplink)
    }
}

impl Traffic {
    fn sentence(self, direction: Direction) -> String {
        match self {
            Self::NothingSent => format!("no packet was sent on the {direction}"),
            Self::Lost { packets, percent } => {
                format!("{percent} % of the packets ({packets}) were lost on the {direction}")
            }
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Downlink => "downlink",
            Self::Uplink => "uplink",
        })
    }
}

impl fmt::Display for Watchtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "watchtime {} s of {} s", self.elapsed, self.limit)
    }
}

/// One line a row, each counter with its column, because a report's font need not keep columns.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.title)?;
        for row in &self.rows {
            write!(formatter, "\n  {}:", row.label)?;
            for (column, counter) in self.columns.iter().zip(&row.counters) {
                write!(formatter, " {column}={counter}")?;
            }
        }
        Ok(())
    }
}

/// Returns the text, or as much of it as fits into so many bytes; then without secrets, because a half of one would not be
/// known as one any more.
pub(super) fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let text = &Redactor::process().text(text);
    if text.len() <= bytes {
        return text.clone();
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &text[..end])
}

/// Durations are written in seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde hands a field over by reference")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed() -> Case {
        Case { name: "attach".to_owned(), occurrence: 1, verdict: Verdict::Pass, ..Case::default() }
    }

    fn lost(percent: f64) -> Traffic {
        Traffic::Lost { packets: 1, percent }
    }

    #[test]
    fn without_a_limit_a_pass_passes_whatever_was_lost() {
        let loss = Loss { downlink: Some(lost(100.0)), uplink: Some(Traffic::NothingSent) };
        assert_eq!(Case { loss, ..passed() }.judgement(), Judgement::Passed);
    }

    #[test]
    fn a_pass_at_the_limit_passes_and_one_above_it_fails_and_says_so() {
        let case = |percent| Case {
            loss: Loss { downlink: Some(lost(percent)), uplink: Some(lost(0.0)) },
            max_packet_loss: Some(1.0),
            ..passed()
        };
        assert_eq!(case(1.0).judgement(), Judgement::Passed);
        assert_eq!(
            case(4.17).judgement(),
            Judgement::Failed {
                kind: "PACKET_LOSS".to_owned(),
                message:
                    "NG40 said VERDICT_PASS, but 4.17 % of the packets (1) were lost on the downlink (allowed: 1 %)"
                        .to_owned(),
            }
        );
    }

    #[test]
    fn with_a_limit_a_pass_without_any_packet_sent_fails_and_says_so() {
        let loss = Loss { downlink: Some(Traffic::NothingSent), uplink: Some(Traffic::NothingSent) };
        assert_eq!(
            Case { loss, max_packet_loss: Some(100.0), ..passed() }.judgement(),
            Judgement::Failed {
                kind: "PACKET_LOSS".to_owned(),
                message: "NG40 said VERDICT_PASS, but no packet was sent on the downlink and no packet was sent on the uplink (allowed: 100 %)".to_owned(),
            }
        );
    }

    #[test]
    fn with_a_limit_a_pass_of_which_no_loss_is_known_is_an_error() {
        assert_eq!(
            Case { max_packet_loss: Some(1.0), ..passed() }.judgement(),
            Judgement::Error {
                kind: "NO_PACKET_LOSS".to_owned(),
                message: "NG40 said VERDICT_PASS, but not how many packets were lost on the downlink and the uplink (allowed: 1 %)".to_owned(),
            }
        );
    }

    #[test]
    fn a_case_that_was_never_filled_in_does_not_pass() {
        assert!(matches!(Case::default().judgement(), Judgement::Error { .. }));
    }

    #[test]
    fn the_message_of_a_failure_is_its_first_clause_and_how_many_more_there_are() {
        let mut case = Case { verdict: Verdict::Fail, ..passed() };
        assert_eq!(case.failure(), "NG40 said VERDICT_FAIL");
        case.add_verification("((a=1) == 2) => False");
        assert_eq!(case.failure(), "verification fail: ((a=1) == 2) => False");
        for _ in 0..1000 {
            case.add_verification(&"ü".repeat(10_000));
        }
        assert_eq!(case.failure(), "verification fail: ((a=1) == 2) => False (and 1000 more)");
        assert_eq!(case.verification.len(), MAX_VERIFICATION);
        assert!(case.verification.iter().all(|clause| clause.len() <= MAX_CLAUSE + 3));
    }

    #[test]
    fn of_two_losses_of_one_direction_the_worse_stands() {
        let mut loss = Loss::default();
        for (traffic, stands) in [(lost(2.0), lost(2.0)), (lost(1.0), lost(2.0)), (lost(3.0), lost(3.0))] {
            loss.add(Direction::Uplink, traffic);
            assert_eq!(loss.uplink, Some(stands));
        }
        loss.add(Direction::Uplink, Traffic::NothingSent);
        loss.add(Direction::Uplink, Traffic::Lost { packets: 0, percent: 0.0 });
        assert_eq!(loss.uplink, Some(Traffic::NothingSent));
        assert_eq!(loss.downlink, None);
    }
}
