//! The tester: suites are run on it as jobs of its own, followed to their end, and what it prints becomes cases.
//!
//! What a line means is the parser's business, what lines come to is the list's; this room starts, follows and ends
//! runs, and never touches a run that is somebody else's.

pub(crate) mod archive;
pub(crate) mod case;
pub(crate) mod console;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod list;
mod live;
mod logs;
pub(crate) mod outcome;
pub(crate) mod parser;
pub(crate) mod reading;
mod tail;
#[cfg(test)]
mod tests;
mod trouble;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::future::join;

use crate::config::{self, Suite};
use crate::crash::{self, Crash};
use crate::event::{Class, EventKind, Events, Problem, Step, SuiteEnd, caught};
use crate::remote::{self, As, Host, Job, JobEnd, JobSpec, LogLimit, Output, Turns, quote, sweep_script};
use crate::results::Results;
use crate::secret::RedactedText;
use crate::stop::Stop;

pub(crate) use logs::log_script;
use outcome::End;
pub(crate) use reading::rules;
use reading::{Console, Heard, Outcome};
use tail::Tail;
use trouble::Trouble;

/// The NG40 of a setup.
#[derive(Debug)]
pub(crate) struct Tester {
    pub(crate) host: Host,
    pub(crate) config: config::Ng40,
    pub(crate) collect: config::Collect,
    pub(crate) events: Events,
    pub(crate) results: Results,
    /// What keeps a command that arrives too late from doing anything; none where NG40 is only looked at.
    pub(crate) fence: Option<Turns>,
}

/// A run of a suite under way: what brings it to its end belongs to it.
struct Run<'a> {
    tester: &'a Tester,
    name: &'a str,
    suite: &'a Suite,
    /// From 1.
    attempt: u64,
    started: Instant,
}

/// What putting NG40 in order may take when somebody waits for us to end.
const HURRY: Duration = Duration::from_secs(120);

/// Beyond its deadline a run is given this long to be killed on its host and seen ended by us.
const GRACE: Duration = Duration::from_secs(60);

/// A run that is followed for longer than this is followed well.
const SOON: Duration = Duration::from_secs(30);

/// Before a run is followed again where the connection is not to blame.
const PAUSE: Duration = Duration::from_secs(1);

/// So many bytes of what a run has printed last are enough to know a refusal.
const LAST_WORDS: usize = 256;

/// What is said of a file that is there, and how the question ends where one is not.
const THERE: &str = "there";
const NOT_THERE: i32 = 1;

/// What NG40 keeps of what a run prints, until we have it: every verdict is read from it, so it is far more than any
/// list prints.
const JOB_LOG: LogLimit = LogLimit { head: 1024 * 1024 * 1024, tail: 16 * 1024 * 1024 };

/// Where the runs of suites live, in the home of the user.
const JOBS: &str = ".teravm-ci/jobs";

/// So many jobs of runs that are over stay on NG40, to be looked at: the newest.
const KEPT_JOBS: u32 = 3;

/// A run that has ended, whatever way. NG40 is as it has left it, and its suite is not finished.
#[must_use = "NG40 has to be put in order, and the suite to be finished"]
pub(crate) struct Ran<'a> {
    run: Run<'a>,
    job: Job,
    end: End,
    /// Why it was lost, if it was.
    why: String,
    /// What we ourselves have panicked with while we followed it.
    crash: Option<Crash>,
    outcome: Outcome,
}

impl Tester {
    /// Runs one suite to its end, whatever that is; returns nothing where it was not run. What happened is said as
    /// events.
    pub(crate) async fn run_suite<'a>(
        &'a self,
        name: &'a str,
        suite: &'a Suite,
        attempt: u64,
        run: &str,
        stop: &Stop,
    ) -> Option<Ran<'a>> {
        let started = Instant::now();
        self.events.say(EventKind::SuiteStarted {
            suite: name.to_owned(),
            list: suite.list.clone(),
            host: self.host.name().to_owned(),
            attempt,
        });
        let run_of_suite = Run { tester: self, name, suite, attempt, started };
        match caught(run_of_suite.until_its_end(run, stop)).await {
            Ok(ran) => Some(ran),
            Err(problem) => {
                self.events.say(EventKind::SuiteFinished {
                    suite: name.to_owned(),
                    end: SuiteEnd {
                        verdict: None,
                        planned: None,
                        exit: "it was not run".into(),
                        took: started.elapsed(),
                        notes: Vec::new(),
                        problem: Some(problem),
                    },
                });
                None
            }
        }
    }

    /// Asks whether NG40 is idle. Somebody else's run is a problem of the testbed.
    pub(crate) async fn must_be_idle(&self, step: Step) -> Result<(), Problem> {
        let idle = &self.config.idle;
        if idle.command.is_empty() {
            return Ok(());
        }
        self.is_idle(&self.shell(step, &idle.command, idle.timeout).await?)
    }

    fn is_idle(&self, output: &Output) -> Result<(), Problem> {
        let idle = &self.config.idle;
        let said = format!("{}\n{}", output.text(), output.errors());
        let busy = said.lines().find(|line| {
            let line = line.to_lowercase();
            idle.busy.iter().any(|sign| line.contains(&sign.to_lowercase()))
        });
        if let Some(line) = busy {
            return Err(Trouble::Busy.problem().because(line.trim()));
        }
        if !idle.status.contains(&output.status) {
            let trouble = Trouble::NotIdle { command: &idle.command, status: output.status };
            return Err(trouble.problem().because(output.last_words()));
        }
        Ok(())
    }

    /// Whether a suite can be started: its files are there, and NG40 is idle.
    async fn is_ready_for(&self, suite: &Suite) -> Result<(), Problem> {
        let script = self.is_ready_script(suite);
        let mut output = self.command(Step::Test, &script, self.config.idle.timeout).await?;
        self.has(suite, &output)?;
        if self.config.idle.command.is_empty() {
            return Ok(());
        }
        let said: Vec<String> = output.text().lines().skip(suite.files().count()).map(str::to_owned).collect();
        output.stdout = said.join("\n").into_bytes();
        self.is_idle(&output)
    }

    /// Runs a command in the tester's own shell, in the folder of the lists.
    async fn shell(&self, step: Step, command: &str, deadline: Duration) -> Result<Output, Problem> {
        self.command(step, &self.in_shell(command), deadline).await
    }

    async fn command(&self, step: Step, line: &str, deadline: Duration) -> Result<Output, Problem> {
        self.events.say(EventKind::Commanded { step, host: self.host.name().to_owned(), command: line.into() });
        let run = || self.host.command(self.fenced(line)).deadline(deadline).run();
        let output = self.host.outlast(run).await.map_err(|error| error.problem())?;
        if self.fence.as_ref().is_some_and(|turns| turns.has_refused(output.status, &output.stderr)) {
            return Err(Trouble::NotOurs.problem().because(output.last_words()));
        }
        Ok(output)
    }

    fn fenced(&self, script: &str) -> String {
        self.fence.as_ref().map(Turns::next).unwrap_or_default() + script
    }

    /// What runs a suite.
    fn test_command(&self, suite: &Suite) -> String {
        let mut words = vec!["ng40test".to_owned(), quote(&suite.list)];
        words.extend(suite.params.as_ref().map(|params| quote(params)));
        // NG40's output is buffered in blocks when it is no terminal: a run that dies would take its last verdicts
        // along.
        self.in_shell(&if self.config.pty {
            format!("exec script -qefc {} /dev/null", quote(&words.join(" ")))
        } else {
            format!("exec stdbuf -oL -eL {}", words.join(" "))
        })
    }

    /// What removes the jobs of earlier runs that are over. No job of this run, none that is still at work, and nothing
    /// that is not a job of ours is touched.
    pub(crate) fn sweep_script(&self, run: &str) -> String {
        sweep_script(JOBS, &format!("{run}-"), KEPT_JOBS)
    }

    /// Removes what runs that were killed have left on NG40, and says so. What cannot be removed does no harm.
    pub(crate) async fn sweep(&self, run: &str) {
        let (events, host) = (&self.events, self.host.name());
        match self.command(Step::Test, &self.sweep_script(run), self.config.cleanup_timeout).await {
            Err(problem) => {
                events.warn(Step::Test, Some(host), format!("old jobs were not removed: {}", problem.line()));
            }
            Ok(output) => {
                let text = output.text();
                let sizes: Vec<u64> = text.lines().filter_map(|line| line.split_once(' ')?.0.parse().ok()).collect();
                if !sizes.is_empty() {
                    let (jobs, size) = (sizes.len(), sizes.iter().sum::<u64>().div_ceil(1024));
                    let text =
                        format!("removed {jobs} jobs of runs that are over ({size} MB); the newest {KEPT_JOBS} stay");
                    events.note(Step::Test, Some(host), text);
                }
                if !output.is_success() {
                    let why = output.last_words();
                    events.warn(Step::Test, Some(host), format!("old jobs were not removed: {why}"));
                }
            }
        }
    }

    /// Says everything that a suite would have NG40 do, in order, and has it do nothing.
    pub(crate) fn say_suite(&self, name: &str, suite: &Suite) {
        let host = self.host.name();
        let note = |text: String| self.events.note(Step::Test, Some(host), text);
        let command = |command: String| {
            self.events.say(EventKind::Commanded { step: Step::Test, host: host.to_owned(), command: command.into() });
        };
        let in_shell = |words: &String| {
            if !words.is_empty() {
                command(self.in_shell(words));
            }
        };
        note(format!("the suite `{name}`:"));
        command(self.is_ready_script(suite));
        in_shell(&self.config.cleanup_before);
        let within = config::format_duration(suite.deadline);
        note(format!("as a job of the host's own, within {within}; it goes on without us:"));
        command(self.test_command(suite));
        in_shell(&self.config.cleanup_after);
        command(self.files_script());
        note("where this run has made files:".to_owned());
        command(logs::PACK.to_owned());
    }

    /// Refuses a suite whose test list, or whose parameters, are not on the tester.
    pub(crate) async fn must_have(&self, suite: &Suite) -> Result<(), Problem> {
        let output = self.host.run(&self.are_there_script(suite)).await.map_err(|error| error.problem())?;
        self.has(suite, &output)
    }

    fn has(&self, suite: &Suite, output: &Output) -> Result<(), Problem> {
        let there = output.text().lines().take_while(|line| *line == THERE).count();
        let Some(missing) = suite.files().nth(there) else { return Ok(()) };
        let why = RedactedText::from(output.errors()).lines().next().unwrap_or_default().to_owned();
        Err(Trouble::NoList { path: &self.path_of(missing) }.problem().because(why))
    }

    /// Says a line for each file of a suite that is there, and ends where one is not.
    fn are_there_script(&self, suite: &Suite) -> String {
        let is_there =
            |file: &String| format!("head -c 0 {} && echo {THERE} || exit {NOT_THERE}\n", quote(&self.path_of(file)));
        suite.files().map(is_there).collect()
    }

    /// The same, and then asks whether NG40 is idle.
    fn is_ready_script(&self, suite: &Suite) -> String {
        let idle = &self.config.idle.command;
        let asked = if idle.is_empty() { String::new() } else { self.in_shell(idle) };
        format!("{}{asked}", self.are_there_script(suite))
    }

    fn path_of(&self, file: &str) -> String {
        format!("{}/{file}", self.config.directory)
    }

    fn in_shell(&self, command: &str) -> String {
        let shell: Vec<String> = self.config.shell.iter().map(|word| quote(word)).collect();
        let inner = format!("cd {} && {command}", quote(&self.config.directory));
        format!("{} {}", shell.join(" "), quote(&inner))
    }

    /// Makes NG40 ready, or puts it in order after a run.
    async fn clean_up(&self, command: &str) -> Result<(), Problem> {
        if command.is_empty() {
            return Ok(());
        }
        let output = self.shell(Step::Test, command, self.config.cleanup_timeout).await?;
        let said = RedactedText::from(format!("{}\n{}", output.text(), output.errors()));
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            self.events.output(Step::Test, Some(self.host.name()), line);
        }
        if output.status == 0 {
            return Ok(());
        }
        Err(Trouble::NotCleanedUp { command, status: output.status }.problem().because(output.last_words()))
    }
}

impl<'a> Run<'a> {
    /// Err where nothing was run at all; how a run that was started ended is said as events.
    async fn until_its_end(self, run: &str, stop: &Stop) -> Result<Ran<'a>, Problem> {
        let tester = self.tester;
        stop.or(self.get_ready()).await??;
        let kept = tester
            .results
            .console(self.name, self.attempt)
            .map_err(|error| self.hear(Heard::Unkept(error.to_string())))
            .ok();
        let (path, file) = kept.unzip();
        let mut console = Console::new(file, self.suite, tester.events.redactor());
        let job = match stop.or(caught(self.start(run))).await.and_then(|started| started) {
            Ok(job) => job,
            Err(problem) => {
                self.tried(self.take_back(run), stop).await;
                return Err(problem);
            }
        };
        // Whatever happens to us meanwhile, what was started on NG40 is ended.
        let followed = crash::caught(self.follow(&job, &mut console, stop)).await;
        let (end, why, crash) = match followed {
            Ok((end, why)) => (end, why, None),
            Err(crash) => (End::Stopped, String::new(), Some(crash)),
        };
        if let Some(path) = path {
            tester.events.say(EventKind::Collected {
                host: tester.host.name().to_owned(),
                path: tester.results.name_of(&path).into(),
                bytes: console.bytes(),
            });
        }
        let finished = crash::caught_at_once(|| console.finish(end, self.started.elapsed(), |heard| self.hear(heard)));
        let (outcome, crash) = match finished {
            Ok(outcome) => (outcome, crash),
            Err(again) => (Outcome::default(), crash.or(Some(again))),
        };
        Ok(Ran { run: self, job, end, why, crash, outcome })
    }

    async fn get_ready(&self) -> Result<(), Problem> {
        let tester = self.tester;
        tester.is_ready_for(self.suite).await?;
        if !tester.config.cleanup_before.is_empty() {
            tester.clean_up(&tester.config.cleanup_before).await?;
            tokio::time::sleep(tester.config.settle).await;
        }
        Ok(())
    }

    /// Where the job lives.
    fn directory(&self, run: &str) -> String {
        match self.attempt {
            1 => format!("~/{JOBS}/{run}-{}", self.name),
            attempt => format!("~/{JOBS}/{run}-{}-{attempt}", self.name),
        }
    }

    async fn start(&self, run: &str) -> Result<Job, Problem> {
        let tester = self.tester;
        let script = tester.test_command(self.suite);
        tester.events.say(EventKind::Commanded {
            step: Step::Test,
            host: tester.host.name().to_owned(),
            command: (&script).into(),
        });
        let spec = JobSpec {
            directory: self.directory(run),
            script: tester.fenced(&script),
            deadline: self.suite.deadline,
            log: JOB_LOG,
            run_as: As::User,
        };
        let started = tester.host.outlast(|| Job::start(&tester.host, &spec)).await;
        started.map_err(|error| error.problem())
    }

    /// Reads what the run prints, from its first byte to its last, through dropped connections. Says why it was lost,
    /// if it was.
    async fn follow(&self, job: &Job, console: &mut Console, stop: &Stop) -> (End, String) {
        let tester = self.tester;
        let limit = tokio::time::Instant::now() + self.suite.deadline + GRACE + tester.host.outage();
        let tail = Tail::new();
        let mut offset = 0;
        // How far it was read when following failed, and since when it fails.
        let (mut heard, mut failing) = (0, None);
        let mut last_words = Vec::new();
        loop {
            let began = Instant::now();
            let follow = job.follow(&mut offset, |bytes| {
                last_words.extend_from_slice(bytes);
                last_words.drain(..last_words.len().saturating_sub(LAST_WORDS));
                tail.push(&console.push(bytes, self.started.elapsed(), |heard| self.hear(heard)));
            });
            let followed = tokio::select! {
                followed = stop.or(follow) => followed,
                never = self.watch(&tail) => match never {},
                () = tokio::time::sleep_until(limit) => return (End::DeadlineReached, String::new()),
            };
            let lost = |why: &str| (End::Lost, why.to_owned());
            // What is out of reach goes on: it is not known which cases it runs.
            let stopped = |reason: &Problem| match stop.is_out_of_reach() {
                true => lost(&reason.line()),
                false => (End::Stopped, String::new()),
            };
            match followed {
                Ok(Ok(end)) => {
                    return match end {
                        JobEnd::Exited(status @ 129..=192) => (End::Signaled(status - 128), String::new()),
                        JobEnd::Exited(status)
                            if tester.fence.as_ref().is_some_and(|turns| turns.has_refused(status, &last_words)) =>
                        {
                            lost(String::from_utf8_lossy(&last_words).trim_end())
                        }
                        JobEnd::Exited(status) => (End::Exited(status), String::new()),
                        JobEnd::DeadlineReached => (End::DeadlineReached, String::new()),
                        // What the log misses is missed: the verdicts that it had room for stand, and the rest is not
                        // known.
                        JobEnd::LogCut(_) => lost("the host's disk is full"),
                        JobEnd::LogShortened(_) => {
                            lost("it printed more than 1 GB, and what came in the middle was not kept")
                        }
                        JobEnd::Stopped | JobEnd::Vanished => lost("the run was killed on the host"),
                        JobEnd::Rebooted => lost("the host was started anew meanwhile"),
                    };
                }
                Ok(Err(error)) => {
                    if console.raw() > heard || began.elapsed() > SOON {
                        (heard, failing) = (console.raw(), None);
                    }
                    let since = *failing.get_or_insert_with(Instant::now);
                    // What has nothing to do with the connection may pass too, but a job that is gone is gone.
                    if matches!(error, remote::Error::NoJob { .. })
                        || !error.is_lost() && since.elapsed() > tester.host.outage()
                    {
                        return lost(&error.problem().line());
                    }
                    if !error.is_lost() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    tester.events.warn(Step::Test, Some(tester.host.name()), format!("{error}; the run goes on"));
                    match stop.or(tester.host.outlast(|| tester.host.reconnect())).await {
                        Ok(Ok(())) => {
                            let text = format!("connected again, going on at byte {}", console.raw());
                            tester.events.note(Step::Test, Some(tester.host.name()), text);
                        }
                        Ok(Err(error)) => return lost(&error.problem().line()),
                        Err(reason) => return stopped(&reason),
                    }
                }
                Err(reason) => return stopped(&reason),
            }
        }
    }

    /// Says what NG40 printed last, as long as somebody waits for it.
    async fn watch(&self, tail: &Tail) -> Infallible {
        loop {
            tokio::time::sleep(tail::PACE).await;
            for line in tail.take() {
                self.tester.events.output(Step::Test, Some(self.tester.host.name()), line);
            }
        }
    }

    /// Ends what may still be at work, and cleans up after our own run.
    async fn put_in_order(&self, job: &Job, end: End) -> Result<(), Problem> {
        let tester = self.tester;
        if matches!(end, End::Lost | End::Stopped | End::DeadlineReached) {
            match tester.host.outlast(|| job.stop(Duration::from_secs(10))).await {
                // It was not started after all, or somebody has taken its folder away.
                Ok(_) | Err(remote::Error::NoJob { .. }) => {}
                Err(error) => return Err(error.problem()),
            }
        }
        tester.clean_up(&tester.config.cleanup_after).await
    }

    /// Ends a run that may have been started, where only the answer is missing.
    async fn take_back(&self, run: &str) -> Result<(), Problem> {
        let tester = self.tester;
        // What is still on its way comes too late from here on.
        tester.command(Step::Test, "true", tester.config.idle.timeout).await?;
        let job = Job::attach(&tester.host, &self.directory(run), As::User);
        self.put_in_order(&job, End::Stopped).await?;
        self.forget(&job).await
    }

    /// Removes what our own run has left behind as a job.
    async fn forget(&self, job: &Job) -> Result<(), Problem> {
        self.tester.host.outlast(|| job.remove()).await.map(drop).map_err(|error| error.problem())
    }

    /// Does some of the putting in order, and returns what did not work, for people. Where somebody waits for us, a
    /// tester that is lost is not waited for: the run ends at its deadline without us.
    async fn tried(&self, order: impl Future<Output = Result<(), Problem>>, stop: &Stop) -> Option<String> {
        let hurry = async {
            stop.urgency().await;
            tokio::time::sleep(HURRY).await;
        };
        let ordered = tokio::select! {
            ordered = caught(order) => Ok(ordered),
            () = hurry => Err(()),
        };
        let problem =
            ordered.unwrap_or_else(|_| Err(Trouble::NotPutInOrder.problem().because("it does not answer"))).err()?;
        let line = problem.line();
        if problem.class == Class::Internal {
            self.tester.events.say(EventKind::InternalError { problem });
        } else {
            self.tester.events.warn(Step::Test, Some(self.tester.host.name()), line.clone());
        }
        Some(line)
    }

    fn hear(&self, heard: Heard) {
        let suite = self.name.to_owned();
        self.tester.events.say(match heard {
            Heard::Planned(cases) => EventKind::SuitePlanned { suite, cases },
            Heard::Started { number, case } => EventKind::CaseStarted { suite, number, case },
            Heard::Finished(case) => EventKind::CaseFinished { suite, case },
            Heard::Revised(case) => EventKind::CaseExplained { suite, case },
            Heard::Unkept(error) => EventKind::ReportFailed {
                report: format!("suites/{suite}/console.log").into(),
                problem: Trouble::ConsoleCut.problem().because(error),
            },
        });
    }
}

impl Ran<'_> {
    /// The cases that did not pass.
    pub(crate) fn not_passed(&self) -> &[String] {
        &self.outcome.not_passed
    }

    /// Puts NG40 in order, brings home what the run has made there, and says that its suite is finished.
    pub(crate) async fn put_in_order(self, stop: &Stop) {
        let Ran { run, job, end, why, crash, outcome } = self;
        let tester = run.tester;
        let not_in_order = run.tried(run.put_in_order(&job, end), stop).await;
        let explained = async {
            if stop.is_urgent() {
                return Vec::new();
            }
            let logs = logs::of_run(tester, (run.name, run.attempt), job.since(), outcome.failed);
            crash::caught(logs).await.unwrap_or_else(|crash| {
                tester.events.crashed(&crash);
                Vec::new()
            })
        };
        let forgotten = async {
            match not_in_order {
                None => run.tried(run.forget(&job), stop).await,
                note => note,
            }
        };
        let (explained, note) = join(explained, forgotten).await;
        for case in explained {
            tester.events.say(EventKind::CaseExplained { suite: run.name.to_owned(), case });
        }
        tester.events.say(EventKind::SuiteFinished {
            suite: run.name.to_owned(),
            end: SuiteEnd {
                verdict: outcome.verdict,
                planned: outcome.planned,
                exit: words(end).into(),
                took: run.started.elapsed(),
                notes: outcome.notes.into_iter().chain(note).map(RedactedText::from).collect(),
                problem: match (crash, end) {
                    (Some(crash), _) => Some(Problem::internal(&crash)),
                    (None, End::Stopped) => stop.reason(),
                    (None, End::Lost) => Some(Trouble::Lost.problem().because(why)),
                    (None, _) => None,
                },
            },
        });
    }
}

/// Whether a run that ended so cannot have passed, by the [`words`] for its end.
pub(crate) fn is_bad_end(words: &str) -> bool {
    match words.strip_prefix("exit status ").map(str::parse::<i32>) {
        Some(Ok(status)) => matches!(status, 126 | 127 | 129..=192),
        Some(Err(_)) => false,
        None => {
            let ends = [End::DeadlineReached, End::Lost, End::Stopped];
            words.starts_with("ended by signal ") || ends.into_iter().any(|end| self::words(end) == words)
        }
    }
}

/// How a run ended, for people.
pub(crate) fn words(end: End) -> String {
    match end {
        End::Exited(status) => format!("exit status {status}"),
        End::Signaled(signal) => format!("ended by signal {signal}"),
        End::DeadlineReached => "ended at its deadline".to_owned(),
        End::Lost => "lost".to_owned(),
        End::Stopped => "stopped".to_owned(),
        End::Offline => "not known (a saved console)".to_owned(),
    }
}
