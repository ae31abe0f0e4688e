//! A gateway's host as the gateway stands on it: commands and jobs, what they print as events, and patience with the
//! way there.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::host_state::{self, Fact, parse_facts};
use super::{GUARD, JOB_GRACE, MINUTE, RUN, STATE, TURN, Trouble, logins};
use crate::cause::known_and_said;
use crate::event::{Class, EventKind, Events, Problem, Step};
use crate::limit::HeadTail;
use crate::remote::turns::{PASSED, TOO_LATE, Turns};
use crate::remote::{As, Host, Job, JobEnd, JobSpec, JobStatus, LogLimit, Output, Said, quote};
use crate::secret::RedactedText;

/// A host as a gateway stands on it: commands, with what they say as events.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) name: String,
    pub(super) host: Host,
    pub(super) events: Events,
    /// The run that has the gateway; none where it is only looked at: what would change it is said then, and not done.
    pub(super) run: Option<String>,
    turns: Turns,
    /// Whether the logins of the host's Docker client are learned; none where no Docker runs.
    logins: Option<OnceCell<()>>,
}

/// Prints the configs of root's Docker client.
const LOGINS: &str = include_str!("feg/logins.sh");

/// Stands for the run's name in what is only said.
pub(crate) const SOME_RUN: &str = "RUN";

/// What a command says that has come too late, or cannot wait any longer for one before it.
const TAKEN: &str = "another run has this gateway now";
const OCCUPIED: &str = "an earlier command is still at work";

/// What a gateway keeps of what a job prints: many times what an upgrade does, and little for a disk.
const JOB_LOG: LogLimit = LogLimit { head: 4 * 1024 * 1024, tail: 1024 * 1024 };

/// What we keep of it, to tell why it failed: so many bytes of its beginning and of its end.
const SAID: usize = 512 * 1024;

fn is_refusal(words: &str) -> bool {
    [TAKEN, OCCUPIED, PASSED].contains(&words)
}

/// All that a script printed: its output, then its errors.
pub(super) fn all_said(output: &Output) -> String {
    let (text, errors) = (output.text(), output.errors());
    if text.is_empty() || errors.is_empty() { text + &errors } else { format!("{text}\n{errors}") }
}

/// What begins a command of this run, so that it does nothing where another run has the gateway by then.
pub(crate) fn fence(run: &str) -> String {
    format!(
        "of=; {{ read -r of <{RUN}; }} 2>/dev/null; [ \"$of\" = {} ] || {{ echo '{TAKEN}' >&2; exit {TOO_LATE}; }}\n",
        quote(run)
    )
}

/// What begins a command that changes something, so that it waits so many seconds for the one before it.
pub(crate) fn guard(seconds: &str) -> String {
    format!("exec 9>>{GUARD} && flock -w {seconds} 9 || {{ echo '{OCCUPIED}' >&2; exit {TOO_LATE}; }}\n")
}

/// What begins a command that changes something, so that it does nothing where a later one of its run has been.
pub(crate) fn turn(run: &str, turn: &str) -> String {
    Turns::new(TURN, run).beginning(turn)
}

impl Ground {
    pub(super) fn new(name: &str, host: Host, events: &Events, run: Option<&str>) -> Ground {
        let turns = Turns::new(TURN, run.unwrap_or(SOME_RUN));
        let (name, run) = (name.to_owned(), run.map(str::to_owned));
        Ground { name, host, events: events.clone(), run, turns, logins: None }
    }

    /// Has the host say what its Docker client logs in with before anything else of it is heard.
    pub(super) fn with_logins(mut self) -> Ground {
        self.logins = Some(OnceCell::new());
        self
    }

    /// Learns the logins of the host's Docker client, once: whatever Docker prints from then on is redacted. That there
    /// are none, or that we may not read them, is not our business here.
    pub(super) async fn learn_logins(&self, step: Step) -> Result<(), Problem> {
        let Some(logins) = &self.logins else { return Ok(()) };
        let learned = logins.get_or_try_init(|| async {
            self.commanded(step, LOGINS);
            let read = || self.host.command(LOGINS).sudo().deadline(MINUTE).run();
            let output = self.host.outlast(read).await.map_err(|error| error.problem())?;
            let helpers = logins::learn_logins(&output.text(), self.events.redactor());
            if !helpers.is_empty() {
                let script = logins::ask_all(&helpers);
                self.commanded(step, &script);
                let read = || self.host.command(script.as_str()).sudo().deadline(MINUTE).run();
                let output = self.host.outlast(read).await.map_err(|error| error.problem())?;
                logins::learn_answers(&helpers, &output.text(), self.events.redactor());
            }
            Ok(())
        });
        learned.await.copied()
    }

    pub(super) fn commanded(&self, step: Step, command: &str) {
        self.events.say(EventKind::Commanded { step, host: self.name.clone(), command: command.into() });
    }

    pub(super) fn is_only_looked_at(&self) -> bool {
        self.run.is_none()
    }

    pub(super) fn note(&self, step: Step, text: impl Into<RedactedText>) {
        self.events.note(step, Some(&self.name), text);
    }

    pub(super) fn output(&self, step: Step, line: &str) {
        self.events.output(step, Some(&self.name), line);
    }

    pub(super) fn warn(&self, step: Step, text: impl Into<RedactedText>) {
        self.events.warn(step, Some(&self.name), text);
    }

    /// Runs a script as the user we log in as, and returns what it printed.
    pub(super) async fn ask(&self, step: Step, what: &str, script: &str) -> Result<String, Problem> {
        self.learn_logins(step).await?;
        self.commanded(step, script);
        let output = self
            .host
            .outlast(|| self.host.command(script).deadline(MINUTE).run())
            .await
            .map_err(|error| error.problem())?;
        self.answer(what, &output)
    }

    /// The same as root.
    pub(super) async fn ask_root(&self, step: Step, what: &str, script: &str) -> Result<String, Problem> {
        let output = self.run_root(step, script, MINUTE).await?;
        self.answer(what, &output)
    }

    pub(super) fn answer(&self, what: &str, output: &Output) -> Result<String, Problem> {
        if output.status == 0 {
            return Ok(output.text());
        }
        let why = known_and_said(&format!("exit status {}", output.status), all_said(output), 5);
        Err(Trouble::Unanswered { what }.on(&self.name).because(why))
    }

    /// Asks whether an upgrade can write where it has to, by a script that calls [`host_state::PLACES`]. Returns how
    /// much is free there.
    pub(super) async fn can_write(&self, step: Step, script: &str) -> Result<String, Problem> {
        let text = self.ask_root(step, "read the free disk space", script).await?;
        self.refuse(&parse_facts(&text))?;
        Ok(host_state::parse_free(&text).join(", "))
    }

    /// Refuses an upgrade because of the host's own state, whatever the release.
    pub(super) fn refuse(&self, facts: &[Fact]) -> Result<(), Problem> {
        let Some(first) = facts.first() else { return Ok(()) };
        let causes: Vec<String> = facts.iter().map(Fact::cause).collect();
        let hint = format!("{}; nothing was touched", first.hint());
        Err(Trouble::NotUpgradable.on(&self.name).because(causes.join("\n")).hint(hint))
    }

    /// Makes the gateway this run's (commands of earlier runs that are still on their way do nothing from now on) and,
    /// in the same breath, has it answer `questions`. Where it is only looked at, it only answers.
    pub(super) async fn claim(&self, step: Step, questions: &str) -> Result<Output, Problem> {
        let script = format!(
            "set -e\numask 077\nmkdir -p {STATE}\nprintf '%s\\n' {} > {RUN}.new\nsync {RUN}.new\nmv {RUN}.new {RUN}\nset +e\n\
             # The last word of the run before may still be at work.\nflock -w 5 {GUARD} true\n{questions}",
            quote(self.run.as_deref().unwrap_or(SOME_RUN))
        );
        self.learn_logins(step).await?;
        self.commanded(step, &script);
        self.send(if self.is_only_looked_at() { questions } else { &script }, MINUTE).await
    }

    /// The script, with nothing done where another run has the gateway by now. What was sent by a run that has died may
    /// come long after it, because TCP goes on without the process and delivers when the next run's tunnel is up: a
    /// night in the lab lost what it had laid ready to the last word of the one before.
    fn fenced(&self, script: &str) -> String {
        match &self.run {
            Some(run) => fence(run) + script,
            None => script.to_owned(),
        }
    }

    /// The same for a script that changes something, whenever it is sent: it waits for the one before it, which may
    /// have been left at work by a connection that was lost.
    fn in_turn(&self, script: &str, patience: Duration) -> String {
        guard(&patience.as_secs().to_string()) + &self.fenced(&(self.turns.next() + script))
    }

    /// Runs a script as root that only reads, and returns whatever came of it.
    pub(super) async fn run_root(&self, step: Step, script: &str, deadline: Duration) -> Result<Output, Problem> {
        self.learn_logins(step).await?;
        self.commanded(step, script);
        self.send(&self.fenced(script), deadline).await
    }

    /// Runs a script as root that changes something, and returns whatever came of it. It may be run twice.
    pub(super) async fn change(&self, step: Step, script: &str, deadline: Duration) -> Result<Output, Problem> {
        self.learn_logins(step).await?;
        self.commanded(step, script);
        if self.is_only_looked_at() {
            return Ok(Output::default());
        }
        self.send_each(|| self.in_turn(script, deadline), deadline).await
    }

    /// The same, for what can be looked at without a change: where the gateway is only looked at, `aside` is run in its
    /// place, which makes the same in a folder of its own and throws it away again.
    pub(super) async fn change_or_lay_aside(
        &self,
        step: Step,
        script: &str,
        aside: &str,
        deadline: Duration,
    ) -> Result<Output, Problem> {
        if !self.is_only_looked_at() {
            return self.change(step, script, deadline).await;
        }
        self.learn_logins(step).await?;
        self.commanded(step, script);
        self.send(aside, deadline).await
    }

    async fn send(&self, script: &str, deadline: Duration) -> Result<Output, Problem> {
        self.send_each(|| script.to_owned(), deadline).await
    }

    /// Runs a script as root that may be sent several times, and makes it anew for each.
    async fn send_each(&self, script: impl Fn() -> String, deadline: Duration) -> Result<Output, Problem> {
        let work = || self.host.command(script()).sudo().deadline(deadline).run();
        let output = self.host.outlast(work).await.map_err(|error| error.problem())?;
        self.taken(output)
    }

    /// Runs a script as root that changes something, and what it prints are events as it comes; of its errors, when it
    /// has ended.
    async fn send_and_hear(&self, step: Step, script: &str, deadline: Duration) -> Result<Output, Problem> {
        let work = || async {
            let mut said = Said::new(self.events.redactor());
            let hear = |bytes: &[u8]| said.push(bytes, |line| self.output(step, line));
            let script = self.in_turn(script, deadline);
            let output = self.host.command(script).sudo().deadline(deadline).run_and_hear(hear).await;
            said.finish(|line| self.output(step, line));
            output
        };
        let output = self.host.outlast(work).await.map_err(|error| error.problem())?;
        for line in RedactedText::from(output.errors()).lines().filter(|line| !line.trim().is_empty()) {
            self.output(step, line);
        }
        self.taken(output)
    }

    /// The output, unless it says that the gateway did not take the command.
    fn taken(&self, output: Output) -> Result<Output, Problem> {
        let why = output.last_words();
        if output.status == TOO_LATE && is_refusal(&why) {
            return Err(Trouble::OfAnotherRun.on(&self.name).because(why));
        }
        Ok(output)
    }

    /// Runs a script as root that changes something and has to succeed; what it says are events, and the problem when
    /// it fails.
    pub(super) async fn must_root(
        &self,
        step: Step,
        script: &str,
        deadline: Duration,
        problem: impl FnOnce(String) -> Problem,
    ) -> Result<Output, Problem> {
        self.must_root_judged(step, script, deadline, |_, why| problem(why)).await
    }

    /// The same, where the problem depends on all that the script said, and not only on its last lines.
    pub(super) async fn must_root_judged(
        &self,
        step: Step,
        script: &str,
        deadline: Duration,
        problem: impl FnOnce(&str, String) -> Problem,
    ) -> Result<Output, Problem> {
        self.learn_logins(step).await?;
        self.commanded(step, script);
        if self.is_only_looked_at() {
            return Ok(Output::default());
        }
        let output = self.send_and_hear(step, script, deadline).await?;
        if output.status == 0 {
            return Ok(output);
        }
        let said = all_said(&output);
        Err(problem(&said, known_and_said(&format!("exit status {}", output.status), &said, 8)))
    }

    /// Runs a script as a job of the host's own, and waits for its end through dropped connections.
    pub(super) async fn job(
        &self,
        step: Step,
        id: &str,
        script: &str,
        deadline: Duration,
        class: impl FnOnce(&JobEnd, &str) -> Class,
    ) -> Result<(), Problem> {
        self.learn_logins(step).await?;
        if self.is_only_looked_at() {
            let within = crate::config::format_duration(deadline);
            self.note(step, format!("as a job of the host's own, within {within}; it goes on without us:"));
            self.commanded(step, script);
            return Ok(());
        }
        self.commanded(step, script);
        let spec = JobSpec {
            directory: format!("{STATE}/jobs/{id}"),
            script: self.in_turn(script, deadline),
            deadline,
            log: JOB_LOG,
            run_as: As::Root,
        };
        let started = self.host.outlast(|| Job::start(&self.host, &spec)).await;
        let job = started.map_err(|error| error.problem())?;
        let (end, said) = self.end_of(step, &job, id, deadline).await?;
        let last = said.lines().next_back().unwrap_or_default();
        if end == JobEnd::Exited(TOO_LATE) && is_refusal(last) {
            return Err(Trouble::OfAnotherRun.on(&self.name).because(last));
        }
        // Nothing is decided by what the log has left out: it has what was said first and last.
        let end = if let JobEnd::LogShortened(status) = end { JobEnd::Exited(status) } else { end };
        let class = class(&end, &said);
        let within = || format!("not done within {}", crate::config::format_duration(deadline));
        let how = match end {
            JobEnd::Exited(0) => return Ok(()),
            JobEnd::Exited(status) | JobEnd::LogShortened(status) => format!("exit status {status}"),
            JobEnd::DeadlineReached => within() + &Self::at_work(&job).await,
            JobEnd::LogCut(status) => format!("the host's disk is full (exit status {status})"),
            JobEnd::Stopped | JobEnd::Vanished => "it was killed on the host".to_owned(),
            JobEnd::Rebooted => "the host rebooted meanwhile".to_owned(),
        };
        Err(Trouble::Failed { step, class }.on(&self.name).because(known_and_said(&how, &said, 8)))
    }

    /// What a job was in when its deadline came, to stand behind that it did not end.
    async fn at_work(job: &Job) -> String {
        match job.at_work().await.unwrap_or_default()[..] {
            [] => String::new(),
            ref commands => {
                let commands: Vec<String> = commands.iter().map(|command| format!("`{command}`")).collect();
                format!(", still in {}", commands.join(" and "))
            }
        }
    }

    /// Says what of the host explains that a step failed, by the state in which it is now. Says nothing where it does
    /// not answer.
    pub(super) async fn explanations(&self, step: Step, within: Duration) -> Vec<Fact> {
        let script = format!("since={}\n{}", within.as_secs(), host_state::AFTER);
        if self.learn_logins(step).await.is_err() {
            return Vec::new();
        }
        self.commanded(step, &script);
        match self.host.command(&script).sudo().deadline(MINUTE).run().await {
            Ok(output) => parse_facts(&output.text()),
            Err(_) => Vec::new(),
        }
    }

    /// Waits until a job that was started before, if it is still at work, has ended.
    pub(super) async fn outlive_job(&self, step: Step, id: &str, deadline: Duration) -> Result<(), Problem> {
        self.learn_logins(step).await?;
        let job = Job::attach(&self.host, &format!("{STATE}/jobs/{id}"), As::Root);
        let status = self.host.outlast(|| job.status()).await.map_err(|error| error.problem())?;
        if status == JobStatus::Running {
            self.note(step, format!("waiting for what was started before ({id})"));
            if self.is_only_looked_at() {
                return Ok(());
            }
            self.end_of(step, &job, id, deadline).await?;
        }
        Ok(())
    }

    /// Follows a job to its end, through dropped connections, and returns how it ended and what it printed; of very
    /// much, the beginning and the end. The host ends it at its deadline; that it says so is not waited for without
    /// end.
    pub(super) async fn end_of(
        &self,
        step: Step,
        job: &Job,
        id: &str,
        deadline: Duration,
    ) -> Result<(JobEnd, String), Problem> {
        let mut said = HeadTail::new(SAID, SAID);
        let mut lines = Said::new(self.events.redactor());
        let mut offset = 0;
        let follow = async {
            loop {
                let hear = |bytes: &[u8]| {
                    said.push(bytes);
                    lines.push(bytes, |line| self.output(step, line));
                };
                match job.follow(&mut offset, hear).await {
                    Ok(end) => return Ok(end),
                    Err(error) if error.is_lost() => {
                        let again = self.host.outlast(|| self.host.reconnect()).await;
                        again.map_err(|error| error.problem())?;
                    }
                    Err(error) => return Err(error.problem()),
                }
            }
        };
        let end = match tokio::time::timeout(deadline + self.host.outage() + JOB_GRACE, follow).await {
            Ok(end) => end?,
            Err(_) => {
                let why = format!("its deadline of {} has passed", crate::config::format_duration(deadline));
                let at_work = Self::at_work(job).await;
                return Err(Trouble::JobGoesOn { id }.on(&self.name).because(why + &at_work));
            }
        };
        lines.finish(|line| self.output(step, line));
        Ok((end, String::from_utf8_lossy(&said.into_bytes()).into_owned()))
    }
}
