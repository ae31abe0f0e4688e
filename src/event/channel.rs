//! From the work to the reporters: where events are said, and where they are heard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{Event, EventKind, Level, Problem, Step, StepOutcome};
use crate::crash::{self, Crash};
use crate::limit::{LineLimit, LineRate};
use crate::secret::{RedactedText, Redactor};

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

    fn say_output(&self, step: Step, host: Option<&String>, line: &RedactedText) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
