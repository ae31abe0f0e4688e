//! The console: progress on standard error while the night goes, and what it came to on standard output.
//!
//! Nothing that the lab printed reaches a terminal as it is: what would move the cursor or change a colour is shown instead.

mod line;
mod live;
mod outcome;
mod stream;
mod view;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::text::{LONGEST_LINE, age, bytes, count, date, first_lines, one_line, visible, visible_json};
use super::{Format, Options, ReportError, Reporter, Verbosity};
use crate::event::{
    Case, Event, EventKind, GatewayOutcome, Judgement, Level, Night, Problem, Step, StepOutcome, SuiteEnd,
};
use crate::summary::{JudgedSuite, StepRun, Summary};

use line::{Line, Mark};
use live::Live;
use outcome::outcome;

pub(super) use stream::Stream;

/// CI systems end a job that says nothing; ours says something at least this often.
const HEARTBEAT: Duration = Duration::from_secs(50);
/// A step that ends within this time has ended at once.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;
/// How many lines of a failure are shown.
const MOST_LINES: usize = 6;

/// Speaks to whoever watches.
pub(super) struct Console {
    out: Stream,
    err: Stream,
    /// What is under way, on a terminal that somebody watches.
    live: Option<Live>,
    verbosity: Verbosity,
    format: Format,
    results: PathBuf,
    spoke: Instant,
    /// Steps that have begun and are not shown yet: of one that ends at once, only the end is.
    begun: Vec<Begun>,
    is_finished: bool,
}

struct Begun {
    step: Step,
    host: Option<String>,
    line: Line,
    since: Instant,
}

impl Console {
    pub(super) fn new(options: &Options, out: Stream, err: Stream) -> Console {
        let is_progress = options.format == Format::Text && options.verbosity > Verbosity::Quiet;
        let live = err.draw_target().filter(|_| is_progress && !options.has_diagnostics);
        Console {
            live: live.map(|target| Live::new(target, err.paint, err.is_utf8)),
            out,
            err,
            verbosity: options.verbosity,
            format: options.format,
            results: options.results.clone(),
            spoke: Instant::now(),
            begun: Vec::new(),
            is_finished: false,
        }
    }

    /// Whoever watches may go away; the night goes on.
    fn say(&mut self, text: &str) {
        let _ = match &self.live {
            Some(live) => live.above(|| self.err.write(text)),
            None => self.err.write(text),
        };
        self.spoke = Instant::now();
    }

    fn tell(&mut self, event: &Event, summary: &Summary) {
        match &event.kind {
            EventKind::StepStarted { step, host } => {
                let line = Line::of(event.time, Mark::Begin, *step, host.as_deref(), "");
                self.begun.push(Begun { step: *step, host: host.clone(), line, since: Instant::now() });
                return;
            }
            EventKind::StepFinished { step, host, .. } => {
                self.begun.retain(|begun| begun.step != *step || begun.host != *host);
            }
            // A suite says more of the test than the test does.
            EventKind::SuiteStarted { .. } => self.begun.retain(|begun| begun.step != Step::Test),
            EventKind::Output { .. } | EventKind::Commanded { .. } if self.verbosity < Verbosity::Verbose => {}
            _ => self.show_begun(Duration::ZERO),
        }
        if let Some(line) = self.line_of(event, summary) {
            self.show(&line);
        }
    }

    /// Shows the steps that began at least so long ago.
    fn show_begun(&mut self, least: Duration) {
        let begun = self.begun.extract_if(.., |begun| begun.since.elapsed() >= least);
        for begun in begun.collect::<Vec<_>>() {
            self.show(&begun.line);
        }
    }

    fn show(&mut self, line: &Line) {
        // What begins is seen in the view.
        if self.live.is_some() && matches!(line.mark, Mark::Begin) {
            return;
        }
        if line.mark.is_trouble() || self.verbosity > Verbosity::Quiet {
            self.say(&line.render(self.err.paint, self.err.width()));
        }
    }

    fn line_of(&self, event: &Event, summary: &Summary) -> Option<Line> {
        let at = event.time;
        let is_verbose = self.verbosity == Verbosity::Verbose;
        Some(match &event.kind {
            EventKind::NightStarted(night) => Line::new(at, Mark::Said, "night", plan(night)).below(
                // The name of the run, the day and the CI's address are what one looks for in an old log.
                std::iter::once(format!(
                    "run {}, teravm-ci {}, {}",
                    visible(&night.run),
                    visible(&night.program),
                    date(at)
                ))
                .chain(night.url.iter().map(|url| one_line(url, LONGEST_LINE)))
                .collect(),
            ),
            EventKind::StepStarted { .. } => return None,
            EventKind::StepFinished { step, host, outcome, took } => {
                let host = host.as_deref();
                match outcome {
                    StepOutcome::Done { text } => Line::of(at, Mark::Done, *step, host, text).took(*took),
                    StepOutcome::Skipped { reason } => Line::of(at, Mark::Skipped, *step, host, reason),
                    StepOutcome::Failed(problem) => {
                        let below = causes(problem);
                        // What could not be collected makes no night red.
                        let mark = if *step == Step::Collect { Mark::Warning } else { Mark::Failed };
                        Line::of(at, mark, *step, host, &problem.message).took(*took).below(below)
                    }
                }
            }
            EventKind::Noted { step, host, level, text } => {
                let mark = if *level == Level::Warning { Mark::Warning } else { Mark::Note };
                let mut lines = text.lines();
                let first = lines.next().unwrap_or_default();
                let more: Vec<&str> = lines.collect();
                Line::of(at, mark, *step, host.as_deref(), first).below(first_lines(&more.join("\n"), 2 * MOST_LINES))
            }
            EventKind::Output { step, host, line } if is_verbose => {
                Line::of(at, Mark::Said, *step, host.as_deref(), &format!("| {line}"))
            }
            EventKind::Commanded { step, host, command } if is_verbose => {
                Line::of(at, Mark::Said, *step, Some(host), &format!("$ {command}"))
            }
            EventKind::Output { .. } | EventKind::Commanded { .. } => return None,
            EventKind::TunnelUp { device, address } => {
                Line::of(at, Mark::Note, Step::Connect, None, &format!("the tunnel is up: {device}, {address}"))
            }
            EventKind::TunnelLost { reason } => Line::new(at, Mark::Warning, "tunnel", format!("lost: {reason}")),
            EventKind::TunnelBack { after } => Line::new(at, Mark::Note, "tunnel", "back").took(*after),
            EventKind::ReleasePassedOver { version, reason, age: old } => {
                let text = format!("passed over {version} (built {} ago): {reason}", age(*old));
                Line::of(at, Mark::Note, Step::Resolve, None, &text)
            }
            EventKind::ReleaseResolved { wanted, version, tag } => {
                let tag = tag.as_ref().map(|tag| format!(", image tag {tag}")).unwrap_or_default();
                Line::of(at, Mark::Note, Step::Resolve, None, &format!("{wanted} is {version}{tag}"))
            }
            EventKind::GatewayFound { gateway, runs } => {
                let runs = runs.as_deref().unwrap_or("something unknown");
                Line::new(at, Mark::Note, "gateway", format!("{gateway}: runs {runs}"))
            }
            EventKind::GatewayFinished { gateway, outcome, packages } => {
                Line::new(at, mark_of(outcome), "gateway", format!("{gateway}: {}", outcome.with_packages(packages)))
            }
            EventKind::SuiteStarted { suite, list, host, attempt } => {
                let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                Line::new(at, Mark::Begin, Step::Test.name(), format!("{suite}: {list} on {host}{again}"))
            }
            EventKind::Remembered(_) => return None,
            EventKind::SuitePlanned { suite, cases } => {
                let cases = count(usize::try_from(*cases).unwrap_or(usize::MAX), "case");
                Line::new(at, Mark::Note, Step::Test.name(), format!("{suite}: {cases} planned"))
            }
            EventKind::CaseStarted { suite, case, .. } if is_verbose => {
                Line::new(at, Mark::Begin, Step::Test.name(), format!("{suite}: {case}"))
            }
            EventKind::CaseStarted { .. } => return None,
            EventKind::CaseFinished { suite, case } => case_line(at, suite, case, summary),
            EventKind::CaseExplained { suite, case } => match &case.judgement {
                Judgement::Passed => return None,
                Judgement::Failed { message } | Judgement::Error { message } => {
                    Line::new(at, Mark::Note, Step::Test.name(), format!("{suite}: {}: {message}", case.name))
                }
            },
            EventKind::SuiteFinished { suite, end } => suite_line(at, suite, end, summary),
            EventKind::Collected { host, path, bytes: size } => {
                Line::of(at, Mark::Note, Step::Collect, Some(host), &format!("{path} ({})", bytes(*size)))
            }
            EventKind::Interrupted { signal } => {
                let text = match waited_for(summary) {
                    None => format!("{signal}: giving everything back"),
                    Some(steps) => format!("{signal}: waiting for {steps}, then giving everything back"),
                };
                Line::new(at, Mark::Warning, "night", text)
            }
            EventKind::DeadlinePassed { deadline } => {
                let text = format!("the deadline of {} has passed", crate::config::format_duration(*deadline));
                Line::new(at, Mark::Error, "night", text)
            }
            EventKind::ReportFailed { report, problem } => {
                Line::new(at, Mark::Failed, "report", format!("{report}: {}", problem.message)).below(causes(problem))
            }
            EventKind::InternalError { problem } => {
                Line::new(at, Mark::Failed, "night", problem.message.clone()).below(causes(problem))
            }
            EventKind::NightEnded => {
                let line = Line::new(at, Mark::Said, "night", "over");
                match summary.took() {
                    Some(length) => line.took(length),
                    None => line,
                }
            }
        })
    }

    /// Says what is going on when nothing else has been said for a while.
    fn beat(&mut self, now: OffsetDateTime, summary: &Summary) {
        self.show_begun(AT_ONCE);
        if self.is_finished {
            return;
        }
        if let Some(live) = &self.live {
            return live.show(summary, now, self.err.width().unwrap_or(COLUMNS));
        }
        if self.spoke.elapsed() < HEARTBEAT {
            return;
        }
        let Some((about, what, since)) = under_way(summary) else { return };
        let length = Duration::try_from(now - since).unwrap_or_default();
        match self.format {
            Format::Text => self.show(&Line::new(now, Mark::Begin, about, what).took(length)),
            Format::Json => {
                let beat = serde_json::json!({
                    "time": now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
                    "event": "under_way",
                    "what": format!("{about} {what}").trim_end(),
                    "took": length.as_secs(),
                });
                self.say(&format!("{beat}\n"));
            }
        }
    }
}

impl Reporter for Console {
    fn name(&self) -> &str {
        "standard output"
    }

    fn report(&mut self, event: &Event, summary: &Summary) -> Result<(), ReportError> {
        if let Some(live) = &mut self.live {
            live.hear(event);
        }
        let is_talk = matches!(event.kind, EventKind::Output { .. } | EventKind::Commanded { .. });
        match self.format {
            Format::Text => self.tell(event, summary),
            Format::Json if is_talk && self.verbosity < Verbosity::Verbose => {}
            Format::Json => {
                let line = serde_json::to_string(event).expect("an event is plain data");
                self.say(&format!("{}\n", visible_json(&line)));
            }
        }
        self.beat(event.time, summary);
        Ok(())
    }

    fn idle(&mut self, summary: &Summary) -> Result<(), ReportError> {
        self.beat(OffsetDateTime::now_utc(), summary);
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), ReportError> {
        if self.is_finished {
            return Ok(());
        }
        self.is_finished = true;
        if let Some(live) = self.live.take() {
            live.end();
        }
        if self.format == Format::Text && self.verbosity > Verbosity::Quiet {
            // Where both streams go to one place, the outcome stands by itself.
            self.say("\n");
        }
        let text = outcome(summary, &self.out, &self.results);
        match self.out.write(&text) {
            // Whoever read our standard output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(ReportError::write("standard output")),
        }
    }
}

/// What a night is going to do, in a sentence.
fn plan(night: &Night) -> String {
    let mut parts = Vec::new();
    if let Some(wanted) = &night.wanted {
        parts.push(format!("upgrade {} to {wanted}", night.gateways.join(", ")));
    }
    if !night.suites.is_empty() {
        let names: Vec<&str> = night.suites.iter().map(|planned| planned.suite.as_str()).collect();
        parts.push(format!("test {}", names.join(", ")));
    }
    let on = night.setup.as_ref().map(|setup| format!(" on {setup}")).unwrap_or_default();
    format!("{}{on}: {}", night.command, parts.join("; "))
}

/// The steps under way that are not broken off, because a gateway would be left between two releases, with their hosts.
fn waited_for(summary: &Summary) -> Option<String> {
    let steps = [Step::Recover, Step::Activate, Step::Restore].into_iter().filter_map(|step| {
        let is_open = |run: &&StepRun| run.step == step && run.outcome.is_none() && run.host.is_some();
        let hosts: Vec<&str> = summary.steps.iter().filter(is_open).filter_map(|run| run.host.as_deref()).collect();
        (!hosts.is_empty()).then(|| format!("{step} to finish on {}", hosts.join(", ")))
    });
    let steps: Vec<String> = steps.collect();
    (!steps.is_empty()).then(|| steps.join(" and "))
}

fn causes(problem: &Problem) -> Vec<String> {
    let mut below = Vec::new();
    for cause in &problem.causes {
        let mut lines = first_lines(cause, MOST_LINES).into_iter();
        below.extend(lines.next().map(|line| format!("because: {line}")));
        below.extend(lines.map(|line| format!("         {line}")));
    }
    below.extend(problem.hint.iter().map(|hint| format!("try: {}", one_line(hint, LONGEST_LINE))));
    below
}

fn mark_of(outcome: &GatewayOutcome) -> Mark {
    match outcome {
        GatewayOutcome::Upgraded { .. } | GatewayOutcome::Downgraded { .. } | GatewayOutcome::Unchanged { .. } => {
            Mark::Done
        }
        GatewayOutcome::Restored { .. } => Mark::Warning,
        GatewayOutcome::Mixed { .. } => Mark::Failed,
    }
}

fn case_line(at: OffsetDateTime, suite: &str, case: &Case, summary: &Summary) -> Line {
    let planned = summary.suites.iter().find(|run| run.suite == suite).and_then(|run| run.planned);
    let number = planned.map(|planned| format!(" {}/{planned}", case.number)).unwrap_or_default();
    let (mark, message) = match &case.judgement {
        Judgement::Passed => (Mark::Done, None),
        Judgement::Failed { message } if summary.is_known(suite, case.name.raw()) => (Mark::Warning, Some(message)),
        Judgement::Failed { message } => (Mark::Failed, Some(message)),
        Judgement::Error { message } => (Mark::Error, Some(message)),
    };
    let below = message.map(|message| first_lines(message, MOST_LINES)).unwrap_or_default();
    Line::new(at, mark, Step::Test.name(), format!("{suite}{number} {}", case.name)).took(case.took).below(below)
}

fn suite_line(at: OffsetDateTime, suite: &str, end: &SuiteEnd, summary: &Summary) -> Line {
    let run = summary.judged_suite(suite);
    let counts = run.as_ref().map(JudgedSuite::counts).unwrap_or_default();
    let mark = match &run {
        Some(run) if run.is_green() => Mark::Done,
        Some(_) if counts.failed > 0 => Mark::Failed,
        _ => Mark::Error,
    };
    let mut parts = vec![format!("{} passed", counts.passed)];
    parts.extend((counts.failed > 0).then(|| format!("{} failed", counts.failed)));
    parts.extend((counts.errors > 0).then(|| format!("{} inconclusive", counts.errors)));
    parts.extend((counts.flaky > 0).then(|| format!("{} flaky", counts.flaky)));
    parts.extend((counts.known > 0).then(|| format!("{} known", counts.known)));
    let mut below: Vec<String> = Vec::new();
    if let Some(problem) = &end.problem {
        below.push(one_line(&problem.message, LONGEST_LINE));
        below.extend(causes(problem));
    }
    below.extend(end.notes.iter().map(|note| one_line(note, LONGEST_LINE)));
    Line::new(at, mark, Step::Test.name(), format!("{suite}: {}", parts.join(", "))).took(end.took).below(below)
}

/// What the night is at, and since when.
fn under_way(summary: &Summary) -> Option<(String, String, OffsetDateTime)> {
    let suite = summary.suites.iter().find(|suite| suite.end.is_none() && suite.started.is_some());
    if let Some(suite) = suite {
        let test = Step::Test.name().to_owned();
        return match suite.open.last() {
            Some(open) => Some((test, format!("{}: {} is running", suite.suite, open.case), open.started)),
            None => Some((test, format!("{} is running", suite.suite), suite.started?)),
        };
    }
    let open: Vec<_> = summary.steps.iter().filter(|run| run.outcome.is_none()).collect();
    match open.last() {
        Some(last) => {
            let of_step = open.iter().filter(|run| run.step == last.step);
            let hosts: Vec<&str> = of_step.filter_map(|run| run.host.as_deref()).collect();
            Some((
                last.step.name().to_owned(),
                format!("{} under way", hosts.join(", ")).trim_start().to_owned(),
                last.started,
            ))
        }
        None => Some(("night".to_owned(), "under way".to_owned(), summary.started?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::nights::{Kept, cut_off};

    /// What a console says that has said nothing for a minute.
    fn beats(format: Format, verbosity: Verbosity) -> String {
        let options = Options { verbosity, format, ..crate::report::nights::options(std::path::Path::new("results")) };
        let err = Kept::default();
        let mut console = Console::new(&options, Stream::to(io::sink(), &options), Stream::to(err.clone(), &options));
        let story = cut_off();
        let summary = story.summary();
        let now = story.events.last().unwrap().time + Duration::from_secs(130);
        console.beat(now, &summary);
        assert_eq!(err.text(), "", "nobody waits yet");
        console.spoke = Instant::now().checked_sub(HEARTBEAT).unwrap();
        console.beat(now, &summary);
        console.beat(now, &summary);
        err.text()
    }

    #[test]
    fn a_long_case_is_heard_of_while_it_runs() {
        assert_eq!(
            beats(Format::Text, Verbosity::Normal),
            "23:08:24  ...   test       gxgy: gx_gy_combined_05_capacity is running  (2 m 10 s)\n"
        );
        assert_eq!(
            beats(Format::Json, Verbosity::Normal),
            "{\"time\":\"2026-11-22T23:08:24.13Z\",\"event\":\"under_way\",\
             \"what\":\"test gxgy: gx_gy_combined_05_capacity is running\",\"took\":130}\n"
        );
        assert_eq!(beats(Format::Text, Verbosity::Quiet), "");
    }

    #[test]
    fn steps_under_way_are_named_with_their_hosts() {
        let mut story = crate::report::nights::Story::new();
        story.begins("upgrade", &["agw", "feg1"], &[]);
        story.start(Step::Prepare, Some("agw")).start(Step::Prepare, Some("feg1"));
        let (about, what, _) = under_way(&story.summary()).unwrap();
        assert_eq!((about.as_str(), what.as_str()), ("prepare", "agw, feg1 under way"));
    }
}
