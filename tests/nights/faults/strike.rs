//! When a fault strikes, and the evidence that it did so inside the step.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::lab;
use crate::night::{Running, Told};

/// What strikes.
pub(super) enum Strike {
    /// A verb of the lab; what does not pass by itself is healed when the night is over.
    Fault(&'static [&'static str]),
    /// A verb of the lab, healed after this time.
    FaultFor(&'static [&'static str], Duration),
    /// A signal to the program.
    Signal(&'static str),
    /// A signal, and a second one while the night cleans up.
    TwoSignals(&'static str, &'static str),
    /// The CI node is lost: what runs there dies at once, and then the node is gone.
    NodeLost,
    /// Something on this machine that has to do with the night's own folder.
    Here { strikes: fn(&Running), heals: fn() },
    /// The run's deadline. A rehearsal tells when the step comes.
    Deadline,
}

/// When it struck, by the clock that the night's events have.
pub(super) struct Struck {
    pub(super) since: Instant,
    begun: f64,
    done: f64,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64()
}

impl Strike {
    /// Waits until the step is under way, and strikes.
    pub(super) fn at(&self, step: &str, running: &mut Running) -> Struck {
        if matches!(self, Strike::Deadline) {
            let said = r#""event":"deadline_passed""#;
            lab::wait_for("the deadline", Duration::from_secs(120), || {
                running.is_over() || running.said().contains(said)
            });
            return Struck { since: Instant::now(), begun: now(), done: now() };
        }
        await_step(step, running);
        let since = Instant::now();
        let begun = now();
        match self {
            Strike::Fault(words) | Strike::FaultFor(words, _) => lab::strike(words),
            Strike::Signal(signal) | Strike::TwoSignals(signal, _) => running.signal(signal),
            Strike::NodeLost => lab::kill_the_node(),
            Strike::Here { strikes, .. } => strikes(running),
            Strike::Deadline => unreachable!("it comes by itself"),
        }
        let done = now();
        match self {
            Strike::FaultFor(_, lasts) => {
                let until = since + *lasts;
                while Instant::now() < until && !running.is_over() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                lab::heal();
            }
            Strike::NodeLost => lab::strike(&["ci-lost"]),
            Strike::TwoSignals(_, second) => {
                lab::wait_for("the night to clean up", Duration::from_secs(60), || {
                    running.is_over() || running.said().contains(r#""event":"interrupted""#)
                });
                if !running.is_over() {
                    running.signal(second);
                }
            }
            _ => {}
        }
        Struck { since, begun, done }
    }

    /// Takes away what it may have left on this machine.
    pub(super) fn clean_up(&self) {
        if let Strike::Here { heals, .. } = self {
            heals();
        }
    }
}

/// The middle of the step in a night that nothing strikes, from the night's start.
pub(super) fn middle(step: &str, told: &Told) -> Duration {
    let events = events(told);
    let (started, finished) = (of_step(&events, "step_started", step), of_step(&events, "step_finished", step));
    let (Some(first), Some(last)) = (started.first(), finished.last()) else {
        panic!("the rehearsal does not come to `{step}`:\n{told}");
    };
    Duration::from_secs_f64((first + last) / 2.0 - time(&events[0]))
}

/// Waits until the night says that the step has begun; in a test, until its first case has ended.
pub(super) fn await_step(step: &str, running: &mut Running) {
    let said = match step {
        "test" => r#""event":"case_finished""#.to_owned(),
        step => format!(r#""event":"step_started","step":"{step}""#),
    };
    let since = Instant::now();
    while !running.said().contains(&said) {
        assert!(!running.is_over(), "the night ended before `{step}`:\n{}", running.said());
        assert!(since.elapsed() < Duration::from_secs(120), "the night does not come to `{step}`");
        std::thread::sleep(Duration::from_millis(8));
    }
}

/// The seconds since 1970 of an event.
fn time(event: &Value) -> f64 {
    let time = event["time"].as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    time.expect("every event has its time").unix_timestamp_nanos() as f64 / 1e9
}

fn events(told: &Told) -> Vec<Value> {
    let text = std::fs::read_to_string(told.results.join("events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// When the step began or ended, on one host after the other.
fn of_step(events: &[Value], kind: &str, step: &str) -> Vec<f64> {
    events.iter().filter(|event| event["event"] == kind && event["step"] == step).map(time).collect()
}

/// Whether the fault struck inside the step, and how long after that the night first said something of it.
pub(super) fn window(told: &Told, step: &str, struck: &Struck) -> (Result<(), String>, Option<Duration>) {
    let events = events(told);
    let (started, finished) = (of_step(&events, "step_started", step), of_step(&events, "step_finished", step));
    let first = started.first().copied().unwrap_or(f64::INFINITY);
    // One that was killed never says that it has finished.
    let last =
        if finished.len() < started.len() { f64::INFINITY } else { finished.last().copied().unwrap_or(f64::INFINITY) };
    // What takes its time to strike has to be at work in the step for a while.
    let is_inside = first <= struck.begun && struck.done.min(struck.begun + 1.0) <= last;
    // When a deadline or a signal came, the night says itself.
    let is_end = |event: &&Value| event["event"] == "deadline_passed" || event["event"] == "interrupted";
    let came = events.iter().find(is_end).map(time);
    let is_inside = came.map_or(is_inside, |came| first <= came && came <= last);
    let inside = if is_inside {
        Ok(())
    } else {
        Err(format!(
            "it struck from {:.3} to {:.3} s after the step began, and the step took {:.3} s",
            struck.begun - first,
            struck.done - first,
            last - first
        ))
    };
    let is_news = |event: &&Value| {
        let kind = event["event"].as_str().unwrap_or_default();
        time(event) >= struck.begun
            && (matches!(kind, "tunnel_lost" | "interrupted" | "deadline_passed" | "report_failed")
                || kind == "noted" && event["level"] == "warning"
                || kind == "step_finished" && event["outcome"]["ended"] == "failed")
    };
    let noticed =
        events.iter().find(is_news).map(|event| Duration::from_secs_f64((time(event) - struck.begun).max(0.0)));
    (inside, noticed)
}

/// Runs a program of this machine that has to succeed.
pub(super) fn must(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("the program is there");
    assert!(output.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
}
