//! The table of faults as it grows: a line of JSON a row, in the file that `TERAVM_FAULTS_RECORD` names.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// What a row came to.
pub(super) struct Line {
    fault: String,
    step: String,
    status: Option<i32>,
    noticed: Option<Duration>,
    ended_after: Duration,
    held: Vec<(&'static str, Result<(), String>)>,
    /// The night's own words, for whoever has to find out why something did not hold.
    pub(super) night: String,
}

impl Line {
    pub(super) fn new(
        fault: String,
        step: String,
        status: Option<i32>,
        noticed: Option<Duration>,
        ended_after: Duration,
    ) -> Line {
        Line { fault, step, status, noticed, ended_after, held: Vec::new(), night: String::new() }
    }

    pub(super) fn hold(&mut self, invariant: &'static str, result: Result<(), String>) {
        self.held.push((invariant, result));
    }

    /// Whether the fault struck where it was to strike.
    pub(super) fn is_inside(&self) -> bool {
        self.held.iter().all(|(invariant, result)| *invariant != "inside" || result.is_ok())
    }

    /// What did not hold.
    pub(super) fn broken(&self) -> Option<String> {
        let broken: Vec<String> = self
            .held
            .iter()
            .filter_map(|(invariant, result)| Some(format!("{invariant}: {}", result.as_ref().err()?)))
            .collect();
        (!broken.is_empty()).then(|| broken.join("\n"))
    }
}

fn file() -> Option<std::path::PathBuf> {
    std::env::var_os("TERAVM_FAULTS_RECORD").map(Into::into)
}

/// Whether the row has held before, in the same program and tests: what was proved is not proved again.
pub(super) fn has_held(fault: &str, step: &str) -> bool {
    let Some(file) = file() else { return false };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|line| {
        line["fault"] == fault && line["step"] == step && line["has_held"] == true && line["program"] == program()
    })
}

/// Names the program and its tests, by their sizes and times of change.
fn program() -> String {
    let of = |path: &std::path::Path| {
        let meta = std::fs::metadata(path).expect("it is there");
        let changed = meta.modified().expect("files have a time of change");
        let changed = changed.duration_since(std::time::UNIX_EPOCH).expect("it is later than 1970");
        format!("{}-{}", meta.len(), changed.as_millis())
    };
    let this = std::env::current_exe().expect("this program has a path");
    format!("{} {}", of(std::path::Path::new(env!("CARGO_BIN_EXE_teravm-ci"))), of(&this))
}

pub(super) fn keep(line: &Line, took: Duration) {
    let Some(file) = file() else { return };
    let held: serde_json::Map<String, Value> = line
        .held
        .iter()
        .map(|(invariant, result)| {
            ((*invariant).to_owned(), json!(result.as_ref().err().map_or("holds", String::as_str)))
        })
        .collect();
    let line = json!({
        "fault": line.fault,
        "step": line.step,
        "status": line.status,
        "noticed": line.noticed.map(|noticed| noticed.as_secs_f64()),
        "ended_after": line.ended_after.as_secs_f64(),
        "took": took.as_secs_f64(),
        "has_held": line.broken().is_none(),
        "held": held,
        "program": program(),
    });
    let mut record = std::fs::File::options().create(true).append(true).open(file).expect("the record can be written");
    writeln!(record, "{line}").expect("the record can be written");
}
