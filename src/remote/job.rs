//! A remote run that has an identity, output by offset, and an end.
//!
//! It lives in a directory on its host, runs there without us, and is found again by that directory: after a lost
//! connection, and by a later run of this program. What happens on the host is in `job/*.sh`.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::remote::command::{As, Command, Output};
use crate::remote::error::Error;
use crate::remote::host::Host;
use crate::remote::quote;

const MEMBERS: &str = include_str!("job/members.sh");
const RUNNER: &str = include_str!("job/runner.sh");
const VERBS: &str = include_str!("job/verbs.sh");

/// Between the deadline's friendly request to end and the other one.
const GRACE: Duration = Duration::from_secs(30);

/// What a host may take to start one, once there is a way to it.
const STARTING: Duration = Duration::from_secs(60);

/// Before a job is followed again whose follower was killed.
const PAUSE: Duration = Duration::from_secs(1);

/// So often the log of a job that has ended may show nothing of what it still has.
const IN_VAIN: u32 = 5;

/// A host says when a job was started in a line of some 40 bytes; what is longer is no such line.
const LONGEST_SINCE: usize = 4096;

/// How a command ends that was asked to, on its host.
const TERMINATED: i32 = 124;

/// What a job shall be.
#[derive(Debug, Clone)]
pub(crate) struct JobSpec {
    /// Where it lives on the host, and who it is: a path from the root, or from the home of the user it runs as
    /// (`~/...`).
    pub(crate) directory: String,
    /// A script of the POSIX shell. It starts in that user's home with nothing on standard input.
    pub(crate) script: String,
    /// What it may take; then the host ends it, whether we are there or not.
    pub(crate) deadline: Duration,
    /// What the host keeps of its output.
    pub(crate) log: LogLimit,
    pub(crate) run_as: As,
}

/// How much the log of a job keeps of what the job prints, in bytes. The beginning is there as it comes; of what is
/// more than that the end, when the job has ended, after a line that says how much is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLimit {
    pub(crate) head: u64,
    pub(crate) tail: u64,
}

/// A job on a host.
#[derive(Debug)]
pub(crate) struct Job {
    host: Host,
    directory: String,
    run_as: As,
    /// When it was started, by the host's clock; known to whoever has started it.
    since: Option<String>,
    /// Whoever has started it hears it from its first byte, until somebody follows it.
    heard: Mutex<Option<Hearing>>,
}

/// A command under way that prints what a job prints, as far as it was polled.
struct Hearing {
    command: Pin<Box<dyn Future<Output = Result<Output, Error>> + Send>>,
    /// What it came to, once it is over.
    ended: Option<Result<Output, Error>>,
    /// What was not handed over yet.
    bytes: Arc<Mutex<Vec<u8>>>,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobStatus {
    /// There is no such job.
    None,
    Running,
    Ended(JobEnd),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// By itself, with this status.
    Exited(i32),
    /// By itself, with this status, but the log misses something: the host's disk was full.
    LogCut(i32),
    /// By itself, with this status, but it printed more than its log keeps: the log has the beginning and the end.
    LogShortened(i32),
    /// The deadline came first.
    DeadlineReached,
    /// It was asked to stop.
    Stopped,
    /// Killed from outside, together with what was to write down its end.
    Vanished,
    /// The host was started anew meanwhile.
    Rebooted,
}

/// What removes the jobs in a folder of the user's home that are over, but for those whose name begins with `spared`,
/// and the newest. It prints a line for each that it has removed: its size in KB, and its name.
pub(crate) fn sweep_script(folder: &str, spared: &str, keep: u32) -> String {
    format!("{MEMBERS}\n{VERBS}\nd=\"$HOME\"/{}\nsweep {} {keep}", quote(folder), quote(spared))
}

impl Job {
    /// Starts a job, unless one of this directory was started before: asking again after a lost answer does no harm. By
    /// the same way to the host its output comes for whoever follows it next.
    pub(crate) async fn start(host: &Host, spec: &JobSpec) -> Result<Job, Error> {
        Job::start_within(STARTING, host, spec).await
    }

    pub(super) async fn start_within(limit: Duration, host: &Host, spec: &JobSpec) -> Result<Job, Error> {
        let mut job = Job::attach(host, &spec.directory, spec.run_as);
        let runner = format!("{MEMBERS}\n{RUNNER}");
        let (deadline, LogLimit { head, tail }) = (spec.deadline.as_secs_f64(), spec.log);
        let call = format!("start {} {deadline:.3} {} {head} {tail} && follow 0", runner.len(), GRACE.as_secs());
        let command = job.ask(&call).stdin(format!("{runner}{}", spec.script)).no_deadline();
        let mut hearing = Hearing::of(host, command).await?;
        let late = |_| Error::Deadline { host: host.name().to_owned(), limit };
        match tokio::time::timeout(limit, hearing.line()).await.map_err(late)? {
            Ok(since) => {
                job.since = Some(since);
                job.heard = Mutex::new(Some(hearing));
                Ok(job)
            }
            Err(output) => {
                let text = output?.last_words();
                Err(Error::JobNotStarted { host: host.name().to_owned(), job: job.directory, text })
            }
        }
    }

    /// A job that was started before, perhaps by an earlier run. Whether there is one, [`Job::status`] tells.
    pub(crate) fn attach(host: &Host, directory: &str, run_as: As) -> Job {
        let directory = directory.trim_end_matches('/').to_owned();
        Job { host: host.clone(), directory, run_as, since: None, heard: Mutex::default() }
    }

    /// When it was started, by its host's clock: seconds since 1970 with their fractions, and the local time as
    /// `210201_070626`.
    pub(crate) fn since(&self) -> &str {
        self.since.as_deref().unwrap_or_default()
    }

    /// Hands over the job's output from `offset` on, as it appears, until the job ends. `offset` goes along: after a
    /// lost connection the same call goes on where it was, and every byte is handed over once.
    pub(crate) async fn follow(&self, offset: &mut u64, mut on_bytes: impl FnMut(&[u8])) -> Result<JobEnd, Error> {
        let mut in_vain = 0;
        loop {
            let before = *offset;
            let started = self.heard.lock().expect("nobody panics with it").take().filter(|_| before == 0);
            let hearing = match started {
                Some(hearing) => hearing,
                None => Hearing::of(&self.host, self.ask(&format!("follow {before}")).no_deadline()).await?,
            };
            let count = |bytes: &[u8]| {
                *offset += bytes.len() as u64;
                on_bytes(bytes);
            };
            let output = hearing.until_its_end(count).await?;
            let errors = output.errors();
            match Report::parse(errors.lines().next_back().unwrap_or_default()) {
                Some(Report { status: JobStatus::Ended(end), size }) if *offset >= size => return Ok(end),
                Some(Report { status: JobStatus::None, .. }) => return Err(self.none()),
                // It had more to print than it got round to.
                Some(Report { status: JobStatus::Ended(_), .. }) if *offset > before => in_vain = 0,
                Some(Report { status: JobStatus::Ended(_), .. }) if in_vain == IN_VAIN => {
                    return Err(self.nonsense("its log cannot be read"));
                }
                Some(Report { status: JobStatus::Ended(_), .. }) => {
                    in_vain += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                // Somebody on the host killed the one that followed.
                Some(_) => tokio::time::sleep(PAUSE).await,
                None if output.status == TERMINATED || output.status > 128 => tokio::time::sleep(PAUSE).await,
                None => return Err(self.nonsense(&errors)),
            }
        }
    }

    /// How the job stands.
    pub(crate) async fn status(&self) -> Result<JobStatus, Error> {
        let output = self.ask("report").run().await?;
        match Report::parse(&output.text()) {
            Some(report) => Ok(report.status),
            None => Err(self.nonsense(&output.last_words())),
        }
    }

    /// The commands that it was in when its deadline came; empty where it did not come, or the host cannot say.
    pub(crate) async fn at_work(&self) -> Result<Vec<String>, Error> {
        let output = self.ask("at_work").deadline(STARTING).run().await?;
        Ok(output.text().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Ends the job and all its processes: asks, waits for `grace`, kills. Returns when they are gone.
    pub(crate) async fn stop(&self, grace: Duration) -> Result<JobEnd, Error> {
        let seconds = grace.as_secs_f64().ceil();
        let patience = grace * 2 + Duration::from_secs(60);
        let output = self.ask(&format!("stop {seconds}")).deadline(patience).run().await?;
        match Report::parse(&output.text()) {
            Some(Report { status: JobStatus::Ended(end), .. }) => Ok(end),
            Some(Report { status: JobStatus::None, .. }) => Err(self.none()),
            Some(Report { status: JobStatus::Running, .. }) | None => Err(Error::JobStays {
                host: self.host.name().to_owned(),
                job: self.directory.clone(),
                text: output.last_words(),
            }),
        }
    }

    /// Removes what the job left on the host. Returns whether it did: a job that runs is left alone.
    pub(crate) async fn remove(&self) -> Result<bool, Error> {
        Ok(self.ask("remove").run().await?.is_success())
    }

    fn ask(&self, call: &str) -> Command {
        let directory = match self.directory.strip_prefix("~/") {
            Some(rest) => format!("\"$HOME\"/{}", quote(rest)),
            None => quote(&self.directory),
        };
        self.host.command(format!("{MEMBERS}\n{VERBS}\nd={directory}\n{call}")).run_as(self.run_as)
    }

    fn none(&self) -> Error {
        Error::NoJob { host: self.host.name().to_owned(), job: self.directory.clone() }
    }

    fn nonsense(&self, said: &str) -> Error {
        let said = said.lines().next_back().unwrap_or_default();
        Error::NotStarted {
            host: self.host.name().to_owned(),
            text: format!("of the job `{}`: {said}", self.directory),
        }
    }
}

impl Hearing {
    async fn of(host: &Host, command: Command) -> Result<Hearing, Error> {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&bytes);
        let hear = move |more: &[u8]| {
            heard.lock().expect("nobody panics with it").extend_from_slice(more);
            Ok(())
        };
        let channel = host.channel().await?;
        Ok(Hearing { command: Box::pin(command.stream_by(channel, u64::MAX, hear)), ended: None, bytes })
    }

    /// The first line that comes; else what the command came to.
    async fn line(&mut self) -> Result<String, Result<Output, Error>> {
        poll_fn(|context| {
            self.poll(context);
            let mut bytes = self.bytes.lock().expect("nobody panics with it");
            let Some(end) =
                memchr::memchr(b'\n', &bytes).or_else(|| (bytes.len() > LONGEST_SINCE).then_some(LONGEST_SINCE))
            else {
                return self.ended.take().map_or(Poll::Pending, |ended| Poll::Ready(Err(ended)));
            };
            let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
            bytes.drain(..=end);
            Poll::Ready(Ok(line))
        })
        .await
    }

    /// Hands over what comes, until the command ends.
    async fn until_its_end(mut self, mut on_bytes: impl FnMut(&[u8])) -> Result<Output, Error> {
        poll_fn(|context| {
            self.poll(context);
            let bytes = mem::take(&mut *self.bytes.lock().expect("nobody panics with it"));
            if !bytes.is_empty() {
                on_bytes(&bytes);
            }
            self.ended.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(ended) = self.command.as_mut().poll(context)
        {
            self.ended = Some(ended);
        }
    }
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hearing")
    }
}

/// What the host says of a job.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    status: JobStatus,
    /// The length of its log.
    size: u64,
}

impl Report {
    fn parse(line: &str) -> Option<Report> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (status, size) = match words[..] {
            // Its directory is there, and nothing was run: the answer to its start was lost on the way there.
            ["none" | "unstarted"] => (JobStatus::None, 0),
            ["running"] => (JobStatus::Running, 0),
            ["ended", how, status, whole, size] => {
                let status = status.parse().ok()?;
                let end = match (how, whole) {
                    ("exited", "whole") => JobEnd::Exited(status),
                    ("exited", "shortened") => JobEnd::LogShortened(status),
                    ("exited", _) => JobEnd::LogCut(status),
                    ("deadline", _) => JobEnd::DeadlineReached,
                    ("stopped", _) => JobEnd::Stopped,
                    ("vanished", _) => JobEnd::Vanished,
                    ("rebooted", _) => JobEnd::Rebooted,
                    _ => return None,
                };
                (JobStatus::Ended(end), size.parse().ok()?)
            }
            _ => return None,
        };
        Some(Report { status, size })
    }
}
