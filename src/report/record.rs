//! The record for programs: `events.jsonl`, the night as it happened, and `run.json`, what it comes to.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::RECORD;
use super::{ReportError, Reporter};
use crate::event::{Event, EventKind, FORMAT, Step};
use crate::gate::CameTo;
use crate::summary::{Counts, JudgedSuite, Reason, Since, Standing, Status, Summary};

/// What the programs of the hosts have printed takes so many bytes of the record at most. Facts are never left out.
const MOST_OUTPUT: u64 = 16 * 1024 * 1024;

/// `events.jsonl`: one event a line, each there as soon as it is heard. When it is large, lines of output are left out,
/// and counted by the last line of output.
pub(super) struct Record {
    path: PathBuf,
    file: File,
    /// The length up to which every line is whole.
    whole: u64,
    /// Bytes of output in it.
    output: u64,
    most_output: u64,
    left_out: u64,
}

impl Record {
    pub(super) fn open(results: &Path) -> Result<Record, ReportError> {
        let path = results.join(RECORD);
        let file = File::create(&path).map_err(ReportError::write(&path))?;
        Ok(Record { path, file, whole: 0, output: 0, most_output: MOST_OUTPUT, left_out: 0 })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        // A line that was cut by a full disk goes before the next comes.
        if self.file.stream_position()? != self.whole {
            self.file.set_len(self.whole)?;
            self.file.seek(SeekFrom::Start(self.whole))?;
        }
        self.file.write_all(line)?;
        self.whole += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
impl Record {
    /// The record with room for so many bytes of output.
    pub(super) fn of_output(results: &Path, most_output: u64) -> Result<Record, ReportError> {
        Ok(Record { most_output, ..Record::open(results)? })
    }

    /// Brings the file to where a write leaves it that a full disk has cut.
    pub(super) fn after_a_torn_line(&mut self) {
        self.file.seek(SeekFrom::End(0)).expect("the file is open");
    }
}

impl Reporter for Record {
    fn name(&self) -> &str {
        RECORD
    }

    fn report(&mut self, event: &Event, _summary: &Summary) -> Result<(), ReportError> {
        match &event.kind {
            EventKind::Output { .. } if self.output > self.most_output => {
                self.left_out += 1;
                return Ok(());
            }
            EventKind::NightEnded => self.say_left_out(event)?,
            _ => {}
        }
        self.write(event)
    }

    fn finish(&mut self, _summary: &Summary) -> Result<(), ReportError> {
        Ok(())
    }
}

impl Record {
    /// Says how much output is missing.
    fn say_left_out(&mut self, end: &Event) -> Result<(), ReportError> {
        let missing = std::mem::take(&mut self.left_out);
        if missing == 0 {
            return Ok(());
        }
        let line =
            format!("[{missing} lines of output are left out of this file, which has {} bytes of them]", self.output);
        let kind = EventKind::Output { step: Step::Disconnect, host: None, line: line.into() };
        self.write(&Event { time: end.time, kind })
    }

    fn write(&mut self, event: &Event) -> Result<(), ReportError> {
        let mut line = serde_json::to_vec(event).expect("an event is plain data");
        line.push(b'\n');
        if matches!(event.kind, EventKind::Output { .. }) {
            self.output += line.len() as u64;
        }
        self.append(&line).map_err(ReportError::write(&self.path))
    }
}

/// `run.json`.
#[derive(Serialize)]
struct Run<'a> {
    format: u32,
    status: Status,
    /// The exit code.
    code: u8,
    reasons: Vec<Reason>,
    counts: Counts,
    outcomes: Vec<Outcome>,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// What a case came to, all its attempts taken together; the attempts themselves stand with their suites.
#[derive(Serialize)]
struct Outcome {
    suite: String,
    case: String,
    came_to: CameTo,
    attempts: usize,
    /// Whether it keeps the night from having passed.
    is_red: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Since when it does not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
}

fn outcomes(summary: &Summary) -> Vec<Outcome> {
    let of_suite = |suite: JudgedSuite<'_>| {
        let outcome = |standing: Standing<'_>| Outcome {
            suite: suite.suite.clone(),
            case: standing.case.name.shown().to_owned(),
            came_to: standing.came_to,
            attempts: standing.attempts.len(),
            is_red: standing.is_red,
            since: summary.since(&suite, &standing),
            message: standing.message,
        };
        suite.standings().into_iter().map(outcome).collect::<Vec<_>>()
    };
    summary.judged().flat_map(of_suite).collect()
}

/// Returns the text of `run.json`.
pub(super) fn document(summary: &Summary) -> String {
    let status = summary.status();
    let run = Run {
        format: FORMAT,
        status,
        code: status.code(),
        reasons: summary.reasons(),
        counts: summary.counts(),
        outcomes: outcomes(summary),
        summary,
    };
    let mut text = serde_json::to_string_pretty(&run).expect("a summary is plain data");
    text.push('\n');
    text
}
