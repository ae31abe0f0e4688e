//! What the work says and the reporters hear.
//!
//! An event is a fact about the world: when it happened, and what. It carries plain data and no handle to anything
//! alive, and it knows nothing of how it will be shown. `events.jsonl` is these events, one a line; fields are added
//! and never change their meaning.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::cause;
use crate::crash::{self, Crash};
use crate::error::told;
use crate::gate::Gate;
use crate::limit::{LineLimit, LineRate};
use crate::memory::Memory;
use crate::secret::{RedactedText, Redactor};

/// The version of the public format of `events.jsonl` and `run.json`.
pub(crate) const FORMAT: u32 = 1;

/// What to do about a bug.
pub(crate) const BUG: &str =
    "report it to the maintainers of teravm-ci with this text, and with `events.jsonl` if there is one";

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When it happened, by this machine's clock, in UTC.
    #[serde(with = "crate::moment::rfc3339")]
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
        text: RedactedText,
    },
    /// A line that a program printed while it worked for us. There are limits to how many of them become events; a line
    /// in brackets counts those that are missing in its place.
    Output {
        step: Step,
        host: Option<String>,
        line: RedactedText,
    },
    /// A command that was sent to a host.
    Commanded {
        step: Step,
        host: String,
        command: RedactedText,
    },
    TunnelUp {
        device: RedactedText,
        address: RedactedText,
    },
    TunnelLost {
        reason: RedactedText,
    },
    TunnelBack {
        #[serde(with = "seconds")]
        after: Duration,
    },
    /// A release newer than the chosen one was not taken.
    ReleasePassedOver {
        version: String,
        reason: RedactedText,
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
        /// The packages of the release, before and after.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        packages: Vec<PackageChange>,
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
        path: RedactedText,
        bytes: u64,
    },
    Interrupted {
        signal: RedactedText,
    },
    DeadlinePassed {
        #[serde(with = "seconds")]
        deadline: Duration,
    },
    /// A report could not be written whole.
    ReportFailed {
        report: RedactedText,
        problem: Problem,
    },
    /// A panic that was caught: a bug in this program.
    InternalError {
        problem: Problem,
    },
    /// The last event of every night.
    NightEnded,
}

fn first() -> u64 {
    1
}

impl EventKind {
    /// The event by its kind, its step and its host, as [`crash::point`] knows places: `step_started activate agw`.
    fn place(&self) -> String {
        let words = |kind: &str, step: Step, host: Option<&str>| match host {
            Some(host) => format!("{kind} {step} {host}"),
            None => format!("{kind} {step}"),
        };
        match self {
            EventKind::StepStarted { step, host } => words("step_started", *step, host.as_deref()),
            EventKind::StepFinished { step, host, .. } => words("step_finished", *step, host.as_deref()),
            EventKind::Commanded { step, host, .. } => words("commanded", *step, Some(host)),
            EventKind::Output { step, host, .. } => words("output", *step, host.as_deref()),
            EventKind::Noted { step, host, .. } => words("noted", *step, host.as_deref()),
            EventKind::SuiteStarted { suite, .. } => format!("suite_started {suite}"),
            EventKind::CaseStarted { suite, .. } => format!("case_started {suite}"),
            EventKind::SuiteFinished { suite, .. } => format!("suite_finished {suite}"),
            EventKind::GatewayFinished { gateway, .. } => format!("gateway_finished {gateway}"),
            EventKind::NightStarted(_) => "night_started".to_owned(),
            EventKind::NightEnded => "last_event".to_owned(),
            _ => String::new(),
        }
    }
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
    pub url: Option<RedactedText>,
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
    pub compare: Option<RedactedText>,
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
    Done { text: RedactedText },
    Failed(Problem),
    Skipped { reason: RedactedText },
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
    /// A bug in this program: it panicked.
    Internal,
}

/// Bad news from the lab: what we tried and on what, why it failed, and what to try next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub class: Class,
    pub message: RedactedText,
    /// The causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<RedactedText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<RedactedText>,
}

impl Problem {
    pub(crate) fn new(class: Class, message: impl Into<RedactedText>) -> Self {
        Problem { class, message: message.into(), causes: Vec::new(), hint: None }
    }

    pub(crate) fn testbed(message: impl Into<RedactedText>) -> Self {
        Problem::new(Class::Testbed, message)
    }

    pub(crate) fn upgrade(message: impl Into<RedactedText>) -> Self {
        Problem::new(Class::Upgrade, message)
    }

    /// A panic that was caught.
    pub(crate) fn internal(crash: &Crash) -> Self {
        Problem::new(Class::Internal, "internal error: this is a bug in teravm-ci").because(crash.to_string()).hint(BUG)
    }

    /// Takes an error and all its causes along, because the event outlives them.
    #[must_use]
    pub(crate) fn because_of(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.causes.extend(told(error).into_iter().map(RedactedText::from));
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<RedactedText>) -> Self {
        self.causes.push(cause.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<RedactedText>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message and its causes on one line: of a cause what is known, then the line that says why of what a program printed.
    pub(crate) fn line(&self) -> String {
        let why = self.why();
        if why.is_empty() { self.message.to_string() } else { format!("{}: {why}", self.message) }
    }

    /// The causes on one line.
    pub(crate) fn why(&self) -> String {
        let causes = self.causes.iter().map(|cause| cause::one_line(cause, self.causes.len() == 1));
        causes.filter(|cause| !cause.is_empty()).collect::<Vec<_>>().join(": ")
    }

    /// Message, causes and hint, one below the other.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.to_string();
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

/// A package before and after the run; none where it is not installed, or its version is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackageChange {
    pub name: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl PackageChange {
    pub(crate) fn is_change(&self) -> bool {
        self.from != self.to
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "not installed".to_owned());
        write!(f, "{} {} -> {}", self.name, version(&self.from), version(&self.to))
    }
}

/// What the night did to a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gateway_is", rename_all = "snake_case")]
pub(crate) enum GatewayOutcome {
    Upgraded {
        from: Option<String>,
        to: String,
    },
    /// The release that was asked for is older than what it ran.
    Downgraded {
        from: String,
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
        runs: RedactedText,
    },
}

impl GatewayOutcome {
    /// Of the packages, those that changed and that the outcome does not name already.
    pub(crate) fn others<'p>(&self, packages: &'p [PackageChange]) -> impl Iterator<Item = &'p PackageChange> {
        let (left, reached) = match self {
            GatewayOutcome::Upgraded { from, to } => (from.as_deref(), Some(to.as_str())),
            GatewayOutcome::Downgraded { from, to } => (Some(from.as_str()), Some(to.as_str())),
            _ => (None, None),
        };
        // Of two packages of one version the first is the release's own.
        let own =
            packages.iter().position(|package| package.from.as_deref() == left && package.to.as_deref() == reached);
        let others = packages.iter().enumerate().filter(move |(index, _)| Some(*index) != own);
        others.map(|(_, package)| package).filter(|package| package.is_change())
    }

    /// The outcome and, in brackets, the other packages that changed.
    pub(crate) fn with_packages(&self, packages: &[PackageChange]) -> String {
        let others: Vec<String> = self.others(packages).map(PackageChange::to_string).collect();
        if others.is_empty() { self.to_string() } else { format!("{self} ({})", others.join(", ")) }
    }
}

impl fmt::Display for GatewayOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayOutcome::Upgraded { from: Some(from), to } => write!(f, "upgraded {from} -> {to}"),
            GatewayOutcome::Upgraded { from: None, to } => write!(f, "upgraded to {to}"),
            GatewayOutcome::Downgraded { from, to } => write!(f, "downgraded {from} -> {to}"),
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
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub params: RedactedText,
    /// NG40's own word, `PASS`, `FAIL` or another; none when it gave no verdict.
    pub verdict: Option<String>,
    pub judgement: Judgement,
    #[serde(with = "seconds")]
    pub took: Duration,
    /// `verification fail` lines, counters, packet loss: what explains the verdict.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub details: RedactedText,
    /// What the console showed while the case ran, capped: head and tail.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub console: RedactedText,
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
            params: RedactedText::default(),
            verdict: None,
            judgement: Judgement::Error { message: message.into() },
            took: Duration::ZERO,
            details: RedactedText::default(),
            console: RedactedText::default(),
            is_missing: false,
        }
    }

    /// Whether it stands for a whole list, `(suite)`, and is not a case.
    pub(crate) fn is_whole_list(&self) -> bool {
        self.name == "(suite)" || self.name.starts_with("(suite) #")
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
        message: RedactedText,
    },
    /// Inconclusive, with the reason.
    Error {
        message: RedactedText,
    },
}

/// How a suite ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteEnd {
    /// NG40's list verdict, in its own word.
    pub verdict: Option<String>,
    pub planned: Option<u64>,
    /// Exit status of `ng40test`, or how else it ended, in words.
    pub exit: RedactedText,
    #[serde(with = "seconds")]
    pub took: Duration,
    pub notes: Vec<RedactedText>,
    /// Why the suite as a whole says nothing, when it could not be run.
    pub problem: Option<Problem>,
}

/// What of a host's output becomes events, for each step: all of an upgrade's, and of a program that prints without end
/// what a person can follow.
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
/// Memory has a limit when the reporters are slower than a host: output is left out and counted. Facts are never left
/// out; whoever says them says no more of them than it has work to do.
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
        crash::point(|| kind.place());
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
        tracing::debug!(event = ?kind);
        self.waiting.fetch_add(weight(&kind), Ordering::Relaxed);
        // Nobody listens any more only when the reporters have died, which their own task reports.
        let _ = self.sender.send(Event { time: OffsetDateTime::now_utc(), kind });
    }

    fn say_output(&self, step: Step, host: Option<&String>, line: &str) {
        let is_blocked = self.waiting.load(Ordering::Relaxed) > WAITING;
        let send = |line: String| self.send(EventKind::Output { step, host: host.cloned(), line: line.into() });
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = output.entry((step, host.cloned())).or_insert_with(|| LineLimit::new(OUTPUT));
        limit.push(line, Instant::now(), is_blocked, send);
    }

    fn flush(&self, is_meant: impl Fn(Step, Option<&String>) -> bool) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        for ((step, host), limit) in output.iter_mut().filter(|((step, host), _)| is_meant(*step, host.as_ref())) {
            limit.flush(|line| self.send(EventKind::Output { step: *step, host: host.clone(), line: line.into() }));
        }
    }

    pub(crate) fn note(&self, step: Step, host: Option<&str>, text: impl Into<RedactedText>) {
        self.noted(step, host, Level::Info, text.into());
    }

    pub(crate) fn warn(&self, step: Step, host: Option<&str>, text: impl Into<RedactedText>) {
        self.noted(step, host, Level::Warning, text.into());
    }

    fn noted(&self, step: Step, host: Option<&str>, level: Level, text: RedactedText) {
        self.say(EventKind::Noted { step, host: host.map(str::to_owned), level, text });
    }

    pub(crate) fn output(&self, step: Step, host: Option<&str>, line: impl Into<RedactedText>) {
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

    /// Says that the program itself has failed, outside of every step.
    pub(crate) fn crashed(&self, crash: &Crash) {
        self.say(EventKind::InternalError { problem: Problem::internal(crash) });
    }

    /// A step that was not taken, and why.
    pub(crate) fn skip(&self, step: Step, host: Option<&str>, reason: impl Into<RedactedText>) {
        self.say(EventKind::StepFinished {
            step,
            host: host.map(str::to_owned),
            outcome: StepOutcome::Skipped { reason: reason.into() },
            took: Duration::ZERO,
        });
    }
}

/// Does the work; a panic in it is its problem.
pub(crate) fn caught<T>(work: impl Future<Output = Result<T, Problem>>) -> impl Future<Output = Result<T, Problem>> {
    let done = crash::caught(work);
    async { done.await.unwrap_or_else(|crash| Err(Problem::internal(&crash))) }
}

/// Does a part of the run beside others; a panic in it is told, and costs the others nothing.
pub(crate) fn apart<T>(events: &Events, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    let done = crash::caught(work);
    async { done.await.map_err(|crash| events.crashed(&crash)).ok() }
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
    pub(crate) fn done(self, text: impl Into<RedactedText>) {
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
        checked(f64::deserialize(deserializer)?)
    }

    fn checked<E: serde::de::Error>(seconds: f64) -> Result<Duration, E> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if duration <= crate::moment::LONGEST => Ok(duration),
            Ok(_) => Err(E::custom("this takes longer than a hundred years")),
            Err(error) => Err(E::custom(error)),
        }
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
            seconds.map(super::checked).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::error::one_of_each;
    use crate::gate::KnownFailure;
    use crate::secret::Secret;

    #[test]
    fn an_outcome_names_each_package_that_changed_once() {
        let change = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let packages = [
            change("magma", Some("2"), Some("1")),
            change("magma-sctpd", Some("2"), Some("1")),
            change("magma-dhcp-cli", Some("1"), Some("1")),
            change("magma-new", None, Some("1")),
        ];
        let downgraded = GatewayOutcome::Downgraded { from: "2".to_owned(), to: "1".to_owned() };
        assert_eq!(
            downgraded.with_packages(&packages),
            "downgraded 2 -> 1 (magma-sctpd 2 -> 1, magma-new not installed -> 1)"
        );
        let unchanged = GatewayOutcome::Unchanged { at: "1".to_owned() };
        assert_eq!(unchanged.with_packages(&packages[2..3]), "unchanged at 1");
    }

    /// One event of each kind; what has parts that are of several kinds comes with each.
    fn one_of_each_kind() -> Vec<EventKind> {
        let host = || Some("agw".to_owned());
        let problem = || Problem::testbed("message").because("cause").hint("hint");
        let case = |judgement| Case {
            params: "params".into(),
            verdict: Some("FAIL".to_owned()),
            judgement,
            details: "details".into(),
            console: "console".into(),
            ..Case::unjudged(1, "attach", "message")
        };
        let finished =
            |outcome| EventKind::StepFinished { step: Step::Verify, host: host(), outcome, took: Duration::ZERO };
        let version = || "1.9.0-1668000000-5d2e8f90".to_owned();
        let packages = || vec![PackageChange { name: "magma".to_owned(), from: Some(version()), to: Some(version()) }];
        let gateway = |outcome| EventKind::GatewayFinished { gateway: "agw".to_owned(), outcome, packages: packages() };
        let known = KnownFailure {
            suite: "s6a".to_owned(),
            case: "attach_*".parse().expect("a pattern"),
            reason: "reason".into(),
            until: time::macros::date!(2026 - 12 - 31),
        };
        let night = Night {
            format: FORMAT,
            run: "20261130-0800-abcd".to_owned(),
            program: "0.1.0".to_owned(),
            command: "run".to_owned(),
            setup: Some("lab".to_owned()),
            url: Some("https://ci/1".into()),
            wanted: Some("latest".to_owned()),
            gateways: vec!["agw".to_owned()],
            suites: vec![PlannedSuite { suite: "s6a".to_owned(), list: "s6a.ntl".to_owned() }],
            steps: vec![Step::Connect],
            tag: Some("{commit}".to_owned()),
            gate: Gate { known_failures: vec![known], ..Gate::default() },
            compare: Some("https://example.org/{good}...{bad}".into()),
        };
        let of_each = one_of_each! {
            EventKind::NightStarted(_) => EventKind::NightStarted(night),
            EventKind::Remembered(_) => EventKind::Remembered(Memory::default()),
            EventKind::StepStarted { .. } => EventKind::StepStarted { step: Step::Connect, host: host() },
            EventKind::StepFinished { .. } => finished(StepOutcome::Failed(problem())),
            EventKind::Noted { .. } =>
                EventKind::Noted { step: Step::Test, host: host(), level: Level::Info, text: "text".into() },
            EventKind::Output { .. } => EventKind::Output { step: Step::Test, host: host(), line: "line".into() },
            EventKind::Commanded { .. } =>
                EventKind::Commanded { step: Step::Test, host: "agw".to_owned(), command: "command".into() },
            EventKind::TunnelUp { .. } => EventKind::TunnelUp { device: "tun0".into(), address: "10.0.0.1".into() },
            EventKind::TunnelLost { .. } => EventKind::TunnelLost { reason: "reason".into() },
            EventKind::TunnelBack { .. } => EventKind::TunnelBack { after: Duration::ZERO },
            EventKind::ReleasePassedOver { .. } =>
                EventKind::ReleasePassedOver { version: version(), reason: "reason".into(), age: Duration::ZERO },
            EventKind::ReleaseResolved { .. } => EventKind::ReleaseResolved {
                wanted: "latest".to_owned(), version: version(), tag: Some("5d2e8f90".to_owned()),
            },
            EventKind::GatewayFound { .. } => EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(version()) },
            EventKind::GatewayFinished { .. } => gateway(GatewayOutcome::Mixed { runs: "runs".into() }),
            EventKind::SuiteStarted { .. } => EventKind::SuiteStarted {
                suite: "s6a".to_owned(), list: "s6a.ntl".to_owned(), host: "ng40".to_owned(), attempt: 1,
            },
            EventKind::SuitePlanned { .. } => EventKind::SuitePlanned { suite: "s6a".to_owned(), cases: 1 },
            EventKind::CaseStarted { .. } =>
                EventKind::CaseStarted { suite: "s6a".to_owned(), number: 1, case: "attach".to_owned() },
            EventKind::CaseFinished { .. } => EventKind::CaseFinished {
                suite: "s6a".to_owned(), case: case(Judgement::Failed { message: "message".into() }),
            },
            EventKind::CaseExplained { .. } => EventKind::CaseExplained {
                suite: "s6a".to_owned(), case: case(Judgement::Error { message: "message".into() }),
            },
            EventKind::SuiteFinished { .. } => EventKind::SuiteFinished {
                suite: "s6a".to_owned(),
                end: SuiteEnd {
                    verdict: Some("FAIL".to_owned()),
                    planned: Some(1),
                    exit: "exit".into(),
                    took: Duration::ZERO,
                    notes: vec!["note".into()],
                    problem: Some(problem()),
                },
            },
            EventKind::Collected { .. } =>
                EventKind::Collected { host: "agw".to_owned(), path: "hosts/agw/x".into(), bytes: 1 },
            EventKind::Interrupted { .. } => EventKind::Interrupted { signal: "SIGINT".into() },
            EventKind::DeadlinePassed { .. } => EventKind::DeadlinePassed { deadline: Duration::ZERO },
            EventKind::ReportFailed { .. } => EventKind::ReportFailed { report: "run.json".into(), problem: problem() },
            EventKind::InternalError { .. } => EventKind::InternalError { problem: problem() },
            EventKind::NightEnded => EventKind::NightEnded,
        };
        let outcomes = one_of_each! {
            StepOutcome::Done { .. } => StepOutcome::Done { text: "text".into() },
            StepOutcome::Failed(_) => StepOutcome::Failed(problem()),
            StepOutcome::Skipped { .. } => StepOutcome::Skipped { reason: "reason".into() },
        };
        let gateways = one_of_each! {
            GatewayOutcome::Upgraded { .. } => GatewayOutcome::Upgraded { from: Some(version()), to: version() },
            GatewayOutcome::Downgraded { .. } => GatewayOutcome::Downgraded { from: version(), to: version() },
            GatewayOutcome::Unchanged { .. } => GatewayOutcome::Unchanged { at: version() },
            GatewayOutcome::Restored { .. } => GatewayOutcome::Restored { to: version() },
            GatewayOutcome::Mixed { .. } => GatewayOutcome::Mixed { runs: "runs".into() },
        };
        let outcomes = outcomes.into_iter().map(finished);
        of_each.into_iter().chain(outcomes).chain(gateways.into_iter().map(gateway)).collect()
    }

    /// The texts that the program decides with, and that redaction therefore leaves as they are. All others are masked.
    const NAMES: &[&str] = &[
        "case_explained/case/name",
        "case_explained/case/verdict",
        "case_explained/suite",
        "case_finished/case/name",
        "case_finished/case/verdict",
        "case_finished/suite",
        "case_started/case",
        "case_started/suite",
        "collected/host",
        "commanded/host",
        "gateway_finished/gateway",
        "gateway_finished/outcome/at",
        "gateway_finished/outcome/from",
        "gateway_finished/outcome/to",
        "gateway_finished/packages/0/from",
        "gateway_finished/packages/0/name",
        "gateway_finished/packages/0/to",
        "gateway_found/gateway",
        "gateway_found/runs",
        "night_started/command",
        "night_started/gate/known_failures/0/case",
        "night_started/gate/known_failures/0/suite",
        "night_started/gateways/0",
        "night_started/program",
        "night_started/run",
        "night_started/setup",
        "night_started/suites/0/list",
        "night_started/suites/0/suite",
        "night_started/tag",
        "night_started/wanted",
        "noted/host",
        "output/host",
        "release_passed_over/version",
        "release_resolved/tag",
        "release_resolved/version",
        "release_resolved/wanted",
        "step_finished/host",
        "step_started/host",
        "suite_finished/end/verdict",
        "suite_finished/suite",
        "suite_planned/suite",
        "suite_started/host",
        "suite_started/list",
        "suite_started/suite",
    ];

    /// The places of all texts in a document, as JSON pointers.
    fn texts(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(_) => found.push(at.to_owned()),
            serde_json::Value::Array(values) => {
                values.iter().enumerate().for_each(|(index, value)| texts(value, &format!("{at}/{index}"), found));
            }
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| texts(value, &format!("{at}/{name}"), found));
            }
            _ => {}
        }
    }

    /// The lines of output that wait in the inbox.
    fn lines(inbox: &mut Inbox) -> Vec<String> {
        let line = |event: Event| match event.kind {
            EventKind::Output { line, .. } => line,
            other => format!("{other:?}").into(),
        };
        std::iter::from_fn(|| inbox.try_recv().map(line).map(String::from)).collect()
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
            events.say(EventKind::TunnelLost { reason: "fact".into() });
        }
        let waiting = events.waiting.load(Ordering::Relaxed);
        assert!(waiting < WAITING + 100_000, "{waiting} bytes wait");
        let facts = lines(&mut inbox).iter().filter(|line| line.contains("fact")).count();
        assert_eq!((facts, events.waiting.load(Ordering::Relaxed)), (100, 0));
    }

    #[test]
    fn no_text_of_any_event_holds_a_secret_and_no_name_is_changed() {
        const SECRET: &str = "only-no_text_of_any_event";
        Redactor::process().learn(&Secret::new(SECRET));
        let planted = format!("1 {SECRET} 2");
        let mut names = BTreeSet::new();
        for kind in one_of_each_kind() {
            let document = serde_json::to_value(&kind).expect("an event is plain data");
            let mut places = Vec::new();
            texts(&document, "", &mut places);
            for place in places {
                let mut changed = document.clone();
                *changed.pointer_mut(&place).expect("it was found there") = planted.clone().into();
                // What takes no other text is a word of ours.
                let Ok(heard) = serde_json::from_value::<EventKind>(changed) else { continue };
                let written = serde_json::to_value(heard).expect("an event is plain data");
                let written = written.pointer(&place).expect("it is there again");
                if *written == planted {
                    let event = document["event"].as_str().expect("every event has a name");
                    names.insert(format!("{event}{place}"));
                } else {
                    assert_eq!(written, "1 *** 2", "{place} of {kind:?}");
                }
            }
        }
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), NAMES);
    }
}
