//! What a night would do: every step, with the exact remote commands, in order.
//!
//! The night's own code says the commands, on gateways that are only looked at: what can be read is read, what would change something is
//! said and not done. This room takes the night through its steps, and tells what was said; it knows no command itself.

use std::collections::HashMap;
use std::time::Instant;

use crate::config::format_duration;
use crate::desk;
use crate::event::{self, EventKind, Events, GatewayOutcome, Inbox, Problem, Step, StepOutcome};
use crate::gateway::{self, Found, Gateway, SOME_RUN};
use crate::lock::{Lock, Owner};
use crate::ng40::Tester;
use crate::plan::{Plan, Role};
use crate::reach;
use crate::remote::{self, Host};
use crate::results::Results;
use crate::signals;
use crate::stop::Stop;
use crate::summary::Status;
use crate::terminal::{print, remark};
use crate::upgrade::{Switch, recover, resolve};
use crate::vpn;

/// Stands for a number of seconds in what is only said.
const SECONDS: &str = "SECONDS";

/// Stands for the number of a command.
const NUMBER: &str = "NUMBER";

/// How the rest is to be read.
const CONVENTIONS: &str = "
Nothing is changed now. Of what is not known before, RUN stands for the run's name, FOUND for what a gateway runs when the run comes,
SECONDS for a time. A command goes to its host's shell over standard input; on a gateway to root's, by `sudo -n`. [1] is a command,
and `[1] again` the same once more.
";

/// Prints the plan. Returns the exit code.
pub(crate) async fn print_plan(plan: &Plan) -> anyhow::Result<u8> {
    vpn::sweep();
    remote::sweep();
    let (events, inbox) = event::channel(plan.lab.redactor.clone());
    let mut story = Story::new(inbox, plan.lab.is_verbose);
    let stop = Stop::default();
    let watch = signals::watch(&stop);
    match reach::reach_what_answers(&plan.lab, &events, &stop).await {
        Err(problem) => story.fails(&problem),
        Ok((reached, refused)) => {
            story.is_begun = true;
            for (name, problem) in refused {
                story.fails(&problem);
                events.note(Step::Connect, Some(&name), "not reached, so it is not known what would be done here");
            }
            let rehearsal = Rehearsal { plan, reached: &reached, events: &events, stop: &stop };
            if let Err(reason) = stop.or(rehearsal.night(&mut story)).await {
                story.fails(&reason);
            }
            if let Err(problem) = reached.close().await {
                story.fails(&problem);
            }
        }
    }
    watch.abort();
    story.listen();
    print(&plan.lab.redactor.text(&story.text(plan)));
    Ok(story.code.unwrap_or(Status::Passed.code()))
}

/// A night in which nothing is changed.
struct Rehearsal<'a> {
    plan: &'a Plan,
    reached: &'a reach::Lab,
    events: &'a Events,
    stop: &'a Stop,
}

impl Rehearsal<'_> {
    async fn night(&self, story: &mut Story) {
        let plan = self.plan;
        let owner = Owner::of_run(SOME_RUN, plan.url.clone());
        let lock = self.reached.find(Role::Ng40).map(|host| (host, Lock::new(host.clone(), plan.lab.lock.clone())));
        if let Some((host, lock)) = &lock {
            self.command(Step::Lock, host, lock.scripts.take_script(&owner));
            let often = format_duration(plan.lab.lock.renew);
            self.events.note(Step::Lock, Some(host.name()), format!("every {often}, until it is given back:"));
            self.command(Step::Lock, host, lock.scripts.renew_script(&owner));
            let fence = "each of NG40's commands in `test` does nothing where another run has the testbed by then, or a later command has been there:";
            self.events.note(
                Step::Test,
                Some(host.name()),
                format!("{fence}\n{}", lock.fence(&owner).beginning(NUMBER).trim_end()),
            );
        }
        let gateways = self.reached.gateways(&plan.lab, self.events, None);
        for gateway in &gateways {
            self.say_fences(gateway.name());
        }
        let (gateways, found) = self.look(gateways).await;
        self.upgrade(&gateways, &found, story).await;
        if let Some((host, _)) = &lock {
            self.test(host);
        }
        self.collect(&gateways, &found).await;
        if let Some((host, lock)) = &lock {
            self.command(Step::Unlock, host, lock.scripts.give_back_script(&owner));
        }
    }

    /// The gateways that can be read, and what they run.
    async fn look(&self, gateways: Vec<Gateway>) -> (Vec<Gateway>, Vec<Found>) {
        let found = recover(&gateways, SOME_RUN, &self.plan.verify, self.events).await;
        let known = gateways.into_iter().zip(found).filter_map(|(gateway, found)| Some((gateway, found?)));
        known.unzip()
    }

    async fn upgrade(&self, gateways: &[Gateway], found: &[Found], story: &mut Story) {
        let Some(upgrade) = &self.plan.upgrade else { return };
        if !gateways.iter().any(|gateway| matches!(gateway, Gateway::Agw(_))) {
            self.events.note(Step::Resolve, None, "the AGW cannot be asked which releases there are, so none is known");
            return;
        }
        let target = match resolve(gateways, found, upgrade, self.events).await {
            Ok(target) => target,
            Err(problem) => return self.events.start(Step::Resolve, None).failed(problem),
        };
        let meant: Vec<(&Gateway, &Found)> =
            gateways.iter().zip(found).filter(|(gateway, _)| gateway.is_meant(upgrade)).collect();
        let verify = &self.plan.verify;
        let seen = Instant::now();
        let switch =
            Switch { gateways: &meant, seen, target, verify, run: SOME_RUN, events: self.events, stop: self.stop };
        switch.run().await.tidy().await;
        story.listen();
        for (gateway, found) in meant.iter().filter(|(gateway, _)| story.is_switched(gateway)) {
            let restored = gateway.restore(found, SOME_RUN, verify, Step::Restore).await;
            if let Err(problem) = restored.and(gateway.finish(Step::Restore, None).await) {
                self.events.start(Step::Restore, Some(gateway.name())).failed(problem);
            }
        }
    }

    fn test(&self, host: &Host) {
        let tester = Tester {
            host: host.clone(),
            config: self.plan.lab.ng40.clone(),
            collect: self.plan.collect.clone(),
            events: self.events.clone(),
            results: Results::new(&self.plan.results),
            fence: None,
        };
        if !self.plan.suites.is_empty() {
            self.command(Step::Test, host, tester.sweep_script(SOME_RUN));
        }
        for (name, suite) in &self.plan.suites {
            tester.say_suite(name, suite);
        }
    }

    async fn collect(&self, gateways: &[Gateway], found: &[Found]) {
        for (gateway, found) in gateways.iter().zip(found) {
            for (_, script) in gateway.traces(found, SECONDS) {
                self.command(Step::Collect, gateway.host(), script);
            }
            if let Err(problem) = gateway.found(Step::Collect).await {
                self.events.start(Step::Collect, Some(gateway.name())).failed(problem);
            }
        }
    }

    /// Says what a gateway's commands begin with, once for all of them.
    fn say_fences(&self, gateway: &str) {
        let note = |text: String| self.events.note(Step::Recover, Some(gateway), text.trim_end());
        note(format!(
            "once it is claimed, a command does nothing where another run has the gateway by then:\n{}",
            gateway::fence(SOME_RUN)
        ));
        note(format!("and one that changes something waits for the one before it:\n{}", gateway::guard(SECONDS)));
        note(format!("and is not done after a later one:\n{}", gateway::turn(SOME_RUN, NUMBER)));
    }

    fn command(&self, step: Step, host: &Host, command: String) {
        self.events.say(EventKind::Commanded { step, host: host.name().to_owned(), command: command.into() });
    }
}

/// What was said of one host in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Note(String),
    Command(String),
}

/// What was said, by step and host.
struct Story {
    inbox: Inbox,
    is_verbose: bool,
    said: Vec<(Step, Option<String>, Said)>,
    switched: Vec<String>,
    /// Whether the night could be rehearsed at all.
    is_begun: bool,
    /// The exit code of the first thing that failed.
    code: Option<u8>,
}

impl Story {
    fn new(inbox: Inbox, is_verbose: bool) -> Story {
        Story { inbox, is_verbose, said: Vec::new(), switched: Vec::new(), is_begun: false, code: None }
    }

    /// Says a problem on standard error.
    fn fails(&mut self, problem: &Problem) {
        remark(&format!("{}\n", problem.text()));
        self.code.get_or_insert(Status::from(problem.class).code());
    }

    /// Takes in what was said so far.
    fn listen(&mut self) {
        while let Some(event) = self.inbox.try_recv() {
            desk::remark_on(&event, self.is_verbose);
            self.hear(event.kind);
        }
    }

    fn hear(&mut self, kind: EventKind) {
        let (step, host, said) = match kind {
            EventKind::Commanded { step, host, command } => (step, Some(host), Said::Command(command.into())),
            EventKind::Noted { step, host, text, .. } => (step, host, Said::Note(text.into())),
            EventKind::StepFinished { step, host, outcome: StepOutcome::Failed(problem), .. } => {
                self.code.get_or_insert(Status::from(problem.class).code());
                (step, host, Said::Note(format!("FAILED: {}", problem.line())))
            }
            EventKind::ReleasePassedOver { version, reason, .. } => {
                (Step::Resolve, None, Said::Note(format!("passed over {version}: {reason}")))
            }
            EventKind::ReleaseResolved { wanted, version, tag } => {
                let tag = tag.map(|tag| format!(", image tag {tag}")).unwrap_or_default();
                (Step::Resolve, None, Said::Note(format!("{wanted} is {version}{tag}")))
            }
            EventKind::GatewayFinished { gateway, outcome: GatewayOutcome::Unchanged { at }, .. } => {
                (Step::Prepare, Some(gateway), Said::Note(format!("unchanged at {at}")))
            }
            EventKind::GatewayFinished { gateway, outcome, packages } => {
                let (from, to) = match &outcome {
                    GatewayOutcome::Upgraded { from, to } => (from.clone(), to),
                    GatewayOutcome::Downgraded { from, to } => (Some(from.clone()), to),
                    _ => return,
                };
                self.switched.push(gateway.clone());
                let from = from.unwrap_or_else(|| "nothing that is whole".into());
                let others: Vec<String> = outcome.others(&packages).map(|package| format!(", {package}")).collect();
                let text = format!("it ran {from}, and runs {to} then{}", others.concat());
                (Step::Verify, Some(gateway), Said::Note(text))
            }
            _ => return,
        };
        self.said.push((step, host, said));
    }

    fn is_switched(&self, gateway: &Gateway) -> bool {
        self.switched.iter().any(|name| name == gateway.name())
    }

    fn text(&self, plan: &Plan) -> String {
        let mut text = format!("{} on `{}`, within {}\n", plan.command, plan.lab.setup, format_duration(plan.deadline));
        let mut steps = plan.steps();
        if self.is_begun {
            text.push_str(CONVENTIONS);
        } else {
            steps.retain(|step| *step == Step::Connect);
        }
        let mut numbers = HashMap::new();
        if let Some(at) = steps.iter().position(|step| *step == Step::Verify) {
            steps.insert(at + 1, Step::Restore);
        }
        for step in steps {
            let body = match step {
                Step::Connect => self.connect(plan),
                Step::Disconnect => "  the connections are closed, then the tunnel\n".to_owned(),
                step => self.step(plan, step, &mut numbers),
            };
            let when = if step == Step::Restore { ", if activate or verify fails anywhere" } else { "" };
            let body = if body.is_empty() { "  nothing\n" } else { &body };
            text.push_str(&format!("\n{step}{when}\n{body}"));
        }
        text
    }

    fn connect(&self, plan: &Plan) -> String {
        let tunnel = plan.lab.vpn.as_ref().map(|settings| format!("  tunnel to {}\n", settings.profile.server()));
        let host = |host: &crate::plan::PlannedHost| {
            let notes = self.of(Step::Connect, Some(&host.name));
            let note = notes.iter().find_map(|said| match said {
                Said::Note(text) => Some(format!(" ({text})")),
                Said::Command(_) => None,
            });
            format!("  {}: ssh {}@{}{}\n", host.name, host.user, host.address, note.unwrap_or_default())
        };
        tunnel.into_iter().chain(plan.lab.hosts.iter().map(host)).collect()
    }

    /// What is said in a step: first of none of the hosts, then of each; hosts of which the same is said stand together.
    fn step(&self, plan: &Plan, step: Step, numbers: &mut HashMap<String, usize>) -> String {
        let mut text = String::new();
        for said in self.of(step, None) {
            text.push_str(&told("  ", said, numbers));
        }
        let mut groups: Vec<(String, Vec<&Said>)> = Vec::new();
        for host in &plan.lab.hosts {
            let said = self.of(step, Some(&host.name));
            match groups.iter_mut().find(|(_, same)| *same == said) {
                _ if said.is_empty() => {}
                Some((names, _)) => names.push_str(&format!(", {}", host.name)),
                None => groups.push((host.name.clone(), said)),
            }
        }
        for (names, said) in groups {
            text.push_str(&format!("  {names}\n"));
            text.extend(said.into_iter().map(|said| told("    ", said, numbers)));
        }
        text
    }

    fn of(&self, step: Step, host: Option<&String>) -> Vec<&Said> {
        let is_meant = |known: &Step, of: &Option<String>| *known == step && of.as_ref() == host;
        self.said.iter().filter(|(known, of, _)| is_meant(known, of)).map(|(_, _, said)| said).collect()
    }
}

/// A note on a line, or a command below its number; a command that stands above by its number alone.
fn told(indent: &str, said: &Said, numbers: &mut HashMap<String, usize>) -> String {
    let command = match said {
        Said::Note(text) => return format!("{indent}- {}\n", text.replace('\n', &format!("\n{indent}  "))),
        Said::Command(command) => command.trim_end(),
    };
    let next = numbers.len() + 1;
    match numbers.get(command) {
        Some(number) => format!("{indent}[{number}] again\n"),
        None => {
            numbers.insert(command.to_owned(), next);
            format!("{indent}[{next}]\n{}", indented(&format!("{indent}    "), command))
        }
    }
}

fn indented(indent: &str, script: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") };
    script.trim_end().lines().map(line).collect()
}
