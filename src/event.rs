//! What the work says and the reporters hear.
//!
//! An event is a fact about the world: when it happened, and what. It carries plain data and no handle to anything
//! alive, and it knows nothing of how it will be shown. `events.jsonl` is these events, one a line; fields are added
//! and never change their meaning.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::cause;
use crate::error::told;
use crate::gate::Gate;
use crate::limit::{LineLimit, LineRate};
use crate::memory::Memory;
use crate::secret::Redactor;

/// The version of the public format of `events.jsonl` and `run.json`.
pub(crate) const FORMAT: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When it happened, by this machine's clock, in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen in a night.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// The first event of every night.
    NightStarted(Night),
    /// What history says of the nights before.
    Remembered(Memory),
    StepStarted {
        step: Step,
        host: Option<String>,
    },
    StepFinished {
        step: Step,
        host: Option<String>,
        outcome: StepOutcome,
        #[serde(with = "seconds")]
        took: Duration,
    },
    /// Something a reader of the night should know, and that decides nothing.
    Noted {
        step: Step,
        host: Option<String>,
        level: Level,
        text: String,
    },
    /// A line that a program printed while it worked for us. There are limits to how many of them become events; a line in brackets
    /// counts those that are missing in its place.
    Output {
        step: Step,
        host: Option<String>,
        line: String,
    },
    /// A command that was sent to a host.
    Commanded {
        step: Step,
        host: String,
        command: String,
    },
    TunnelUp {
        device: String,
        address: String,
    },
    TunnelLost {
        reason: String,
    },
    TunnelBack {
        #[serde(with = "seconds")]
        after: Duration,
    },
    /// A release newer than the chosen one was not taken.
    ReleasePassedOver {
        version: String,
        reason: String,
        #[serde(with = "seconds")]
        age: Duration,
    },
    ReleaseResolved {
        /// What was asked for: `latest`, a commit or a version.
        wanted: String,
        version: String,
        /// The tag of the FEG images; none when no FEG is upgraded.
        tag: Option<String>,
    },
    /// What a gateway ran before the night touched it.
    GatewayFound {
        gateway: String,
        runs: Option<String>,
    },
    GatewayFinished {
        gateway: String,
        outcome: GatewayOutcome,
    },
    /// A suite that has ended and is started again is another attempt at it.
    SuiteStarted {
        suite: String,
        list: String,
        host: String,
        /// From 1.
        #[serde(default = "first")]
        attempt: u64,
    },
    SuitePlanned {
        suite: String,
        cases: u64,
    },
    CaseStarted {
        suite: String,
        number: u64,
        case: String,
    },
    CaseFinished {
        suite: String,
        case: Case,
    },
    /// More is known of a case that had finished: this replaces it.
    CaseExplained {
        suite: String,
        case: Case,
    },
    SuiteFinished {
        suite: String,
        end: SuiteEnd,
    },
    /// A file or folder under the results that this night filled.
    Collected {
        host: String,
        path: String,
        bytes: u64,
    },
    Interrupted {
        signal: String,
    },
    DeadlinePassed {
        #[serde(with = "seconds")]
        deadline: Duration,
    },
    /// A report could not be written whole.
    ReportFailed {
        report: String,
        problem: Problem,
    },
    /// The last event of every night.
    NightEnded,
}

fn first() -> u64 {
    1
}

/// What a night is, known before anything is touched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Night {
    pub format: u32,
    /// The run's name: its start and a few random digits.
    pub run: String,
    /// The version of the program; the commit is part of it, where one is known.
    pub program: String,
    /// `run`, `upgrade`, `test` or `report`.
    pub command: String,
    pub setup: Option<String>,
    /// The address of the CI build, where there is one.
    pub url: Option<String>,
    /// What was asked for, when gateways are upgraded.
    pub wanted: Option<String>,
    pub gateways: Vec<String>,
    pub suites: Vec<PlannedSuite>,
    /// The steps of this night, in order.
    pub steps: Vec<Step>,
    /// The tag that a FEG's images have in a release, with `{commit}` and the like for its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What counts.
    #[serde(default)]
    pub gate: Gate,
    /// The address of the commits between two releases, with `{good}` and `{bad}` for theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
}

/// A suite as the plan has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedSuite {
    pub suite: String,
    pub list: String,
}

/// A step of a night, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Connect,
    Lock,
    Recover,
    Resolve,
    Prepare,
    Activate,
    Verify,
    Restore,
    Test,
    Collect,
    Unlock,
    Disconnect,
}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Step::Connect => "connect",
            Step::Lock => "lock",
            Step::Recover => "recover",
            Step::Resolve => "resolve",
            Step::Prepare => "prepare",
            Step::Activate => "activate",
            Step::Verify => "verify",
            Step::Restore => "restore",
            Step::Test => "test",
            Step::Collect => "collect",
            Step::Unlock => "unlock",
            Step::Disconnect => "disconnect",
        }
    }

    /// Whether it brings gateways from one release to another.
    pub(crate) fn is_of_upgrade(self) -> bool {
        matches!(self, Step::Prepare | Step::Activate | Step::Verify)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a step ended, on one host or as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub(crate) enum StepOutcome {
    Done { text: String },
    Failed(Problem),
    Skipped { reason: String },
}

/// Who has to get up: what a problem makes of the night's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// The lab's fault: says nothing about the product.
    Testbed,
    /// The release asked for is not there, does not install or is not healthy.
    Upgrade,
    /// It is not known what the gateways run, or they differ.
    Mixed,
    /// No verdict could be had.
    Inconclusive,
    /// Somebody stopped us.
    Interrupted,
    /// The night ran; what it found could not be kept.
    Report,
}

/// Bad news from the lab: what we tried and on what, why it failed, and what to try next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub class: Class,
    pub message: String,
    /// The causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Problem { class, message: message.into(), causes: Vec::new(), hint: None }
    }

    pub(crate) fn testbed(message: impl Into<String>) -> Self {
        Problem::new(Class::Testbed, message)
    }

    pub(crate) fn upgrade(message: impl Into<String>) -> Self {
        Problem::new(Class::Upgrade, message)
    }

    /// Takes an error and all its causes along, because the event outlives them.
    #[must_use]
    pub(crate) fn because_of(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.causes.extend(told(error));
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message and its causes on one line: of a cause what is known, then the line that says why of what a program printed.
    pub(crate) fn line(&self) -> String {
        let mut line = self.message.clone();
        for cause in self.causes.iter().map(|cause| cause::one_line(cause, self.causes.len() == 1)) {
            if !cause.is_empty() {
                line.push_str(": ");
                line.push_str(&cause);
            }
        }
        line
    }

    /// Message, causes and hint, one below the other.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.clone();
        for cause in &self.causes {
            text.push_str("\n  because: ");
            text.push_str(&cause.trim_end().replace('\n', "\n           "));
        }
        if let Some(hint) = &self.hint {
            text.push_str("\n  try: ");
            text.push_str(hint);
        }
        text
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Info,
    Warning,
}

/// What the night did to a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gateway_is", rename_all = "snake_case")]
pub(crate) enum GatewayOutcome {
    Upgraded {
        from: Option<String>,
        to: String,
    },
    Unchanged {
        at: String,
    },
    /// It runs again what it ran before the night.
    Restored {
        to: String,
    },
    /// It is not known, or not one thing, what it runs.
    Mixed {
        runs: String,
    },
}

impl fmt::Display for GatewayOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayOutcome::Upgraded { from: Some(from), to } => write!(f, "upgraded {from} -> {to}"),
            GatewayOutcome::Upgraded { from: None, to } => write!(f, "upgraded to {to}"),
            GatewayOutcome::Unchanged { at } => write!(f, "unchanged at {at}"),
            GatewayOutcome::Restored { to } => write!(f, "restored to {to}"),
            GatewayOutcome::Mixed { runs } => write!(f, "mixed: {runs}"),
        }
    }
}

/// A test case as NG40 and our rules have judged it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// NG40's own number of the case in its list, or our count where it gives none.
    pub number: u64,
    /// The name, with ` #2`, ` #3` for repeats in a list; `(suite)` for what concerns the whole list.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub params: String,
    /// NG40's own word, `PASS`, `FAIL` or another; none when it gave no verdict.
    pub verdict: Option<String>,
    pub judgement: Judgement,
    #[serde(with = "seconds")]
    pub took: Duration,
    /// `verification fail` lines, counters, packet loss: what explains the verdict.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// What the console showed while the case ran, capped: head and tail.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub console: String,
    /// Whether it had to be there and was not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_missing: bool,
}

impl Case {
    /// A case that was started, or had to be, and of which no more is known.
    pub(crate) fn unjudged(number: u64, name: &str, message: &str) -> Case {
        Case {
            number,
            name: name.to_owned(),
            params: String::new(),
            verdict: None,
            judgement: Judgement::Error { message: message.to_owned() },
            took: Duration::ZERO,
            details: String::new(),
            console: String::new(),
            is_missing: false,
        }
    }

    /// Whether it stands for a whole list, `(suite)`, or for a case whose name is not known, `(case 4 of 5)`.
    pub(crate) fn is_nameless(&self) -> bool {
        is_nameless(&self.name)
    }
}

/// Whether a name stands for a whole list, or for a case whose own is not known.
pub(crate) fn is_nameless(case: &str) -> bool {
    case.starts_with('(')
}

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "judged", rename_all = "snake_case")]
pub(crate) enum Judgement {
    Passed,
    /// NG40 says FAIL, or a rule of the config makes it one.
    Failed {
        message: String,
    },
    /// Inconclusive, with the reason.
    Error {
        message: String,
    },
}

/// How a suite ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteEnd {
    /// NG40's list verdict, in its own word.
    pub verdict: Option<String>,
    pub planned: Option<u64>,
    /// Exit status of `ng40test`, or how else it ended, in words.
    pub exit: String,
    #[serde(with = "seconds")]
    pub took: Duration,
    pub notes: Vec<String>,
    /// Why the suite as a whole says nothing, when it could not be run.
    pub problem: Option<Problem>,
}

/// What of a host's output becomes events, for each step: all of an upgrade's, and of a program that prints without end what a person
/// can follow.
const OUTPUT: LineRate = LineRate { burst: 512 * 1024, per_second: 8 * 1024, total: 2 * 1024 * 1024 };

/// So many bytes of output may wait for the reporters; what comes beyond that is counted.
const WAITING: usize = 4 * 1024 * 1024;

/// Where the work says what happened. Cheap to clone; the night's inbox ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: mpsc::UnboundedSender<Event>,
    redactor: Redactor,
    output: Arc<Mutex<Outputs>>,
    /// The bytes of output that no reporter has heard yet.
    waiting: Arc<AtomicUsize>,
}

/// What was told of the output of each step on each host.
type Outputs = HashMap<(Step, Option<String>), LineLimit>;

/// Where the events of a night are heard, in order.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: mpsc::UnboundedReceiver<Event>,
    waiting: Arc<AtomicUsize>,
}

/// Returns the two ends of a night's events. What passes carries no secret that `redactor` knows.
///
/// Memory has a limit when the reporters are slower than a host: output is left out and counted. Facts are never left out; whoever says
/// them says no more of them than it has work to do.
pub(crate) fn channel(redactor: Redactor) -> (Events, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::default();
    let inbox = Inbox { receiver, waiting: Arc::clone(&waiting) };
    (Events { sender, redactor, output: Arc::default(), waiting }, inbox)
}

impl Inbox {
    /// The next event; none when the last sender is gone.
    pub(crate) async fn recv(&mut self) -> Option<Event> {
        let event = self.receiver.recv().await?;
        Some(self.heard(event))
    }

    /// The next event, if one is waiting.
    pub(crate) fn try_recv(&mut self) -> Option<Event> {
        let event = self.receiver.try_recv().ok()?;
        Some(self.heard(event))
    }

    /// An inbox in which these events wait.
    #[cfg(test)]
    pub(crate) fn of(events: impl IntoIterator<Item = Event>) -> Inbox {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut waiting = 0;
        for event in events {
            waiting += weight(&event.kind);
            sender.send(event).expect("the receiver is there");
        }
        Inbox { receiver, waiting: Arc::new(AtomicUsize::new(waiting)) }
    }

    fn heard(&self, event: Event) -> Event {
        self.waiting.fetch_sub(weight(&event.kind), Ordering::Relaxed);
        event
    }
}

/// What an event counts for while it waits, in bytes: only of output there can be any amount.
fn weight(kind: &EventKind) -> usize {
    match kind {
        EventKind::Output { line, .. } => line.len() + size_of::<Event>(),
        _ => 0,
    }
}

impl Events {
    /// Says that something happened, now.
    pub(crate) fn say(&self, kind: EventKind) {
        match kind {
            EventKind::Output { step, ref host, ref line } => return self.say_output(step, host.as_ref(), line),
            // What was held back of a step's output belongs before its end.
            EventKind::StepFinished { step, ref host, .. } => {
                self.flush(|of_step, of_host| of_step == step && (host.is_none() || host.as_ref() == of_host));
            }
            EventKind::NightEnded => self.flush(|_, _| true),
            _ => {}
        }
        self.send(kind);
    }

    fn send(&self, kind: EventKind) {
        let kind = without_secrets(kind, &self.redactor);
        tracing::debug!(event = ?kind);
        self.waiting.fetch_add(weight(&kind), Ordering::Relaxed);
        // Nobody listens any more only when the reporters have died, which their own task reports.
        let _ = self.sender.send(Event { time: OffsetDateTime::now_utc(), kind });
    }

    fn say_output(&self, step: Step, host: Option<&String>, line: &str) {
        let is_blocked = self.waiting.load(Ordering::Relaxed) > WAITING;
        let send = |line| self.send(EventKind::Output { step, host: host.cloned(), line });
        let mut output = self.output.lock().expect("nobody panics while it is held");
        let limit = output.entry((step, host.cloned())).or_insert_with(|| LineLimit::new(OUTPUT));
        limit.push(line, Instant::now(), is_blocked, send);
    }

    fn flush(&self, is_meant: impl Fn(Step, Option<&String>) -> bool) {
        let mut output = self.output.lock().expect("nobody panics while it is held");
        for ((step, host), limit) in output.iter_mut().filter(|((step, host), _)| is_meant(*step, host.as_ref())) {
            limit.flush(|line| self.send(EventKind::Output { step: *step, host: host.clone(), line }));
        }
    }

    pub(crate) fn note(&self, step: Step, host: Option<&str>, text: impl Into<String>) {
        self.noted(step, host, Level::Info, text.into());
    }

    pub(crate) fn warn(&self, step: Step, host: Option<&str>, text: impl Into<String>) {
        self.noted(step, host, Level::Warning, text.into());
    }

    fn noted(&self, step: Step, host: Option<&str>, level: Level, text: String) {
        self.say(EventKind::Noted { step, host: host.map(str::to_owned), level, text });
    }

    pub(crate) fn output(&self, step: Step, host: Option<&str>, line: impl Into<String>) {
        self.say(EventKind::Output { step, host: host.map(str::to_owned), line: line.into() });
    }

    /// What no event may carry.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Says that a step begins, on one host or as a whole; [`Stage::end`] says how it went.
    pub(crate) fn start(&self, step: Step, host: Option<&str>) -> Stage {
        self.say(EventKind::StepStarted { step, host: host.map(str::to_owned) });
        Stage { events: self.clone(), step, host: host.map(str::to_owned), since: Instant::now() }
    }

    /// A step that was not taken, and why.
    pub(crate) fn skip(&self, step: Step, host: Option<&str>, reason: impl Into<String>) {
        self.say(EventKind::StepFinished {
            step,
            host: host.map(str::to_owned),
            outcome: StepOutcome::Skipped { reason: reason.into() },
            took: Duration::ZERO,
        });
    }
}

/// The fields of an event whose values are words of our own, and no text from outside: a user name that happens to be `connect`
/// must not take the name of a step along.
const WORDS: &[&str] = &[
    "event",
    "step",
    "steps",
    "level",
    "class",
    "ended",
    "gateway_is",
    "judged",
    "time",
    "until",
    "started",
    "before",
    "flaky",
    "exceeded",
    "required",
];

/// The event without secrets, in whatever field of it they stand.
fn without_secrets(kind: EventKind, redactor: &Redactor) -> EventKind {
    let mut value = serde_json::to_value(&kind).expect("an event is plain data");
    if !redactor.document(&mut value, WORDS) {
        return kind;
    }
    serde_json::from_value(value).expect("redacting changes only texts that are free to be anything")
}

/// A step under way.
#[derive(Debug)]
#[must_use = "a step that was started is ended"]
pub(crate) struct Stage {
    events: Events,
    step: Step,
    host: Option<String>,
    since: Instant,
}

impl Stage {
    pub(crate) fn done(self, text: impl Into<String>) {
        let text = text.into();
        self.finish(StepOutcome::Done { text });
    }

    pub(crate) fn failed(self, problem: Problem) {
        self.finish(StepOutcome::Failed(problem));
    }

    /// Says how the step went, and hands the result on.
    pub(crate) fn end<T>(self, result: Result<T, Problem>, text: impl FnOnce(&T) -> String) -> Result<T, Problem> {
        match result {
            Ok(value) => {
                self.done(text(&value));
                Ok(value)
            }
            Err(problem) => {
                self.failed(problem.clone());
                Err(problem)
            }
        }
    }

    fn finish(self, outcome: StepOutcome) {
        let took = self.since.elapsed();
        self.events.say(EventKind::StepFinished { step: self.step, host: self.host, outcome, took });
    }
}

/// Durations as seconds with three decimals, the way JUnit has them.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    /// The same for what may not be known yet.
    pub(crate) mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            let seconds = Option::<f64>::deserialize(deserializer)?;
            seconds.map(Duration::try_from_secs_f64).transpose().map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.learn(&Secret::new(*secret));
        }
        redactor
    }

    /// The lines of output that wait in the inbox.
    fn lines(inbox: &mut Inbox) -> Vec<String> {
        let line = |event: Event| match event.kind {
            EventKind::Output { line, .. } => line,
            other => format!("{other:?}"),
        };
        std::iter::from_fn(|| inbox.try_recv().map(line)).collect()
    }

    #[test]
    fn a_host_that_prints_without_end_takes_no_more_memory_than_its_limit_and_keeps_no_other_from_being_heard() {
        let (events, mut inbox) = channel(Redactor::default());
        let stage = events.start(Step::Activate, Some("agw"));
        for number in 0..200_000 {
            events.output(Step::Activate, Some("agw"), format!("line {number}"));
        }
        events.output(Step::Activate, Some("feg"), "pulled");
        assert!(inbox.receiver.len() < 20_000, "{} events wait", inbox.receiver.len());
        stage.done("upgraded");
        let lines = lines(&mut inbox);
        assert_eq!(lines[1], "line 0");
        assert!(lines.contains(&"pulled".to_owned()));
        let end = &lines[lines.len() - 2..];
        assert!(end[0] == "line 199999" && end[1].contains("StepFinished"), "{end:?}");
        let missing = |line: &String| line.strip_prefix('[')?.split(' ').next()?.parse::<usize>().ok();
        let told = lines.iter().filter(|line| line.starts_with("line ")).count();
        assert_eq!(told + lines.iter().filter_map(missing).sum::<usize>(), 200_000, "what is missing is counted");
    }

    #[test]
    fn while_nobody_listens_output_waits_up_to_a_limit_and_no_fact_is_lost() {
        let (events, mut inbox) = channel(Redactor::default());
        for host in 0..100 {
            for _ in 0..200 {
                events.output(Step::Prepare, Some(&format!("feg{host}")), "x".repeat(4000));
            }
            events.say(EventKind::TunnelLost { reason: "fact".to_owned() });
        }
        let waiting = events.waiting.load(Ordering::Relaxed);
        assert!(waiting < WAITING + 100_000, "{waiting} bytes wait");
        let facts = lines(&mut inbox).iter().filter(|line| line.contains("fact")).count();
        assert_eq!((facts, events.waiting.load(Ordering::Relaxed)), (100, 0));
    }

    #[test]
    fn an_event_is_redacted_in_every_field() {
        let lost = EventKind::TunnelLost { reason: "said topsecret".to_owned() };
        let event = without_secrets(lost, &knowing(&["topsecret"]));
        assert_eq!(
            serde_json::to_string(&event).expect("plain data"),
            r#"{"event":"tunnel_lost","reason":"said ***"}"#
        );
    }

    #[test]
    fn a_secret_that_is_a_word_of_ours_leaves_the_words_alone() {
        let redactor = knowing(&["connect", "testbed", "tunnel"]);
        let problem = Problem::testbed("no tunnel as connect");
        let outcome = StepOutcome::Failed(problem);
        let step = Step::Connect;
        let event = EventKind::StepFinished { step, host: None, outcome, took: Duration::ZERO };
        let text = serde_json::to_string(&without_secrets(event, &redactor)).expect("plain data");
        assert!(text.contains(r#""step":"connect""#) && text.contains("no *** as ***"), "{text}");
    }
}
