//! The gateways under test, of two kinds: what they run, and how they are prepared, switched, verified and restored.
//!
//! A gateway knows its own host and nothing of the others; that all of them end at one release is the business of
//! `upgrade`.

mod agw;
mod feg;
mod foreign_messages;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod ground;
mod health;
mod host_state;
mod logins;
mod registry;
mod settling;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub(crate) use agw::Agw;
pub(crate) use feg::{Feg, FegFound};
pub(crate) use ground::{SOME_RUN, fence, guard, turn};
pub(crate) use logins::Login;
pub(crate) use registry::Answer;
pub(crate) use trouble::Trouble;

use ground::{Ground, all_said};
use health::{Health, Lack, Unit};
use host_state::Fact;
use settling::{Settling, Unsettled, Watched, briefly};

use crate::cause::{self, known_and_said};
use crate::config::Verify;
use crate::event::{Class, Events, PackageChange, Problem, Step};
use crate::plan::{Lab, PlannedHost, Role, Upgrade};
use crate::release::Release;
use crate::remote::{Host, JobEnd, quote};
use crate::stop::Stop;
use crate::window::Window;

/// Our own folder on a gateway, root's and nobody else's.
const STATE: &str = "/var/lib/teravm-ci";
/// What brings the gateway back.
const BACKUP: &str = "/var/lib/teravm-ci/backup";
/// What is laid ready to be switched to.
const NEXT: &str = "/var/lib/teravm-ci/next";
/// What was set aside because it would fight the switch.
const QUIESCED: &str = "/var/lib/teravm-ci/quiesced";
/// Says, while a switch is under way, what the gateway ran before.
const INTENT: &str = "/var/lib/teravm-ci/intent.json";
/// Says whose switch was the last that was closed with its release kept. Stays: the other gateways' may not be closed
/// yet.
const KEPT: &str = "/var/lib/teravm-ci/kept";
/// The run that has the gateway.
const RUN: &str = "/var/lib/teravm-ci/run";
/// The last command that has changed something, by number.
const TURN: &str = "/var/lib/teravm-ci/turn";
/// Locked by the command that changes something.
const GUARD: &str = "/var/lib/teravm-ci/guard";
/// What of a host is another one after each boot. A container that is started anew has the kernel's number of before,
/// and another first process.
const BOOT: &str = "echo \"$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)/\
    $(sed 's/.*) //' /proc/1/stat 2>/dev/null | cut -d ' ' -f 20)\"";
/// Which run could not bring the gateway back, and why: two lines.
const NOT_RESTORED: &str = "/var/lib/teravm-ci/not_restored";

/// The release that the gateways shall run.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) release: Release,
    /// The versions of the installed packages that travel with it, by name.
    pub(crate) siblings: BTreeMap<String, String>,
    /// The tags of releases on offer that are newer than this one.
    pub(crate) newer_tags: BTreeSet<String>,
    /// The tag of the FEG images, when a FEG is upgraded.
    pub(crate) tag: Option<String>,
    pub(crate) is_forced: bool,
}

/// What a gateway ran when we came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Found {
    Agw(agw::AgwFound),
    Feg(feg::FegFound),
}

impl Found {
    fn health(&self) -> &Health {
        match self {
            Found::Agw(found) => &found.health,
            Found::Feg(found) => &found.health,
        }
    }

    fn boot(&self) -> &str {
        match self {
            Found::Agw(found) => &found.boot,
            Found::Feg(found) => &found.boot,
        }
    }

    /// Whether the host was rebooted between the two looks, as far as both say.
    fn is_rebooted_since(&self, before: &Found) -> bool {
        !self.boot().is_empty() && !before.boot().is_empty() && self.boot() != before.boot()
    }

    fn look_again(&mut self, later: &Found) {
        match self {
            Found::Agw(found) => found.health.look_again(later.health()),
            Found::Feg(found) => found.health.look_again(later.health()),
        }
    }
}

/// What `prepare` comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prepared {
    /// It runs the release already, and well.
    Unchanged,
    /// Everything is laid ready, and the way back is secured.
    Ready,
}

/// Says on the gateway itself what is under way, so that the next run can bring it back if this one dies.
#[derive(Debug, Serialize, Deserialize)]
struct Intent {
    run: String,
    to: String,
    found: Found,
}

/// What an earlier run has left on a gateway.
#[derive(Debug)]
pub(crate) struct Left {
    /// Of the switch that it has not closed here.
    intent: Option<Intent>,
    /// Why that run could not bring it back, where it has tried to.
    not_restored: Option<String>,
    /// The run whose switch was the last that was closed here with its release kept.
    kept: String,
    found: Found,
}

impl Left {
    /// The run that has died in mid-switch here, if one has.
    pub(crate) fn switched_by(&self) -> Option<&str> {
        self.intent.as_ref().map(|intent| intent.run.as_str())
    }

    /// Whether the release of this run's switch is kept here.
    pub(crate) fn keeps(&self, run: &str) -> bool {
        self.kept == run
    }
}

/// What became of what an earlier run had left on a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// It had left nothing.
    Nothing,
    /// It was brought back to this release.
    BroughtBack(String),
    /// It keeps this release, as the other gateways do.
    Kept(String),
}

/// A gateway of the setup.
#[derive(Debug)]
pub(crate) enum Gateway {
    Agw(Agw),
    Feg(Feg),
}

impl Gateway {
    /// A gateway that `run` has, once it has [taken it over](Gateway::take_over). Without one it is only looked at:
    /// each step reads what it can, and what would change the gateway is said and not done.
    pub(crate) fn new(planned: &PlannedHost, lab: &Lab, host: Host, events: &Events, run: Option<&str>) -> Gateway {
        let ground = Ground::new(&planned.name, host, events, run);
        match planned.role {
            Role::Agw => Gateway::Agw(Agw { ground, config: lab.agw.clone(), keep: lab.keep }),
            Role::Feg => Gateway::Feg(Feg::new(ground, lab.feg.clone(), lab.keep)),
            Role::Ng40 => unreachable!("the NG40 is the tester and not a gateway"),
        }
    }

    fn ground(&self) -> &Ground {
        match self {
            Gateway::Agw(agw) => &agw.ground,
            Gateway::Feg(feg) => &feg.ground,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.ground().name
    }

    pub(crate) fn host(&self) -> &Host {
        &self.ground().host
    }

    /// Whether an upgrade means this gateway.
    pub(crate) fn is_meant(&self, upgrade: &Upgrade) -> bool {
        match self {
            Gateway::Agw(_) => upgrade.agw,
            Gateway::Feg(_) => upgrade.feg,
        }
    }

    /// Learns what the gateway's own programs log in with, before anything of it is shown. Every command of ours that goes
    /// by a method of this type begins so by itself.
    pub(crate) async fn learn_logins(&self, step: Step) -> Result<(), Problem> {
        self.ground().learn_logins(step).await
    }

    /// Asks what it runs.
    pub(crate) async fn found(&self, step: Step) -> Result<Found, Problem> {
        match self {
            Gateway::Agw(agw) => agw.found(step).await.map(Found::from),
            Gateway::Feg(feg) => feg.found(step).await.map(Found::from),
        }
    }

    fn found_script(&self) -> String {
        match self {
            Gateway::Agw(agw) => agw.found_script(),
            Gateway::Feg(feg) => feg.found_script(),
        }
    }

    /// Reads the answer to [`Gateway::found_script`].
    fn parse_found(&self, text: &str) -> Found {
        match self {
            Gateway::Agw(_) => Agw::parse_found(text).into(),
            Gateway::Feg(feg) => feg.parse_found(text).into(),
        }
    }

    fn activate_timeout(&self) -> Duration {
        match self {
            Gateway::Agw(agw) => agw.config.activate_timeout,
            Gateway::Feg(feg) => feg.config.activate_timeout,
        }
    }

    /// What a restore may take: as much as the switch, and never less than [`LEAST_RESTORE`].
    fn restore_timeout(&self) -> Duration {
        self.activate_timeout().max(LEAST_RESTORE)
    }

    /// What it runs, in words.
    pub(crate) fn release_of(&self, found: &Found) -> Option<String> {
        match (self, found) {
            (Gateway::Agw(agw), Found::Agw(found)) => agw.release_of(found),
            (Gateway::Feg(feg), Found::Feg(found)) => feg.release_of(found),
            _ => None,
        }
    }

    /// Everything slow and everything that can fail without harm. Touches no service. `seen` is when it was `found`.
    pub(crate) async fn prepare(
        &self,
        target: &Target,
        found: &Found,
        seen: Instant,
        verify: &Verify,
        stop: &Stop,
    ) -> Result<Prepared, Problem> {
        // What runs now, where that is the release.
        let now = match (self, found) {
            (Gateway::Agw(agw), Found::Agw(found)) if agw.is_there(target, found) => {
                Some(agw.found(Step::Prepare).await?.into())
            }
            (Gateway::Agw(_), Found::Agw(_)) => None,
            (Gateway::Feg(feg), Found::Feg(found)) => feg.lay_ready(target, found).await?.map(Found::from),
            _ => return Err(self.is_of_another_kind()),
        };
        if let Some(now) = now
            && self.is_steady(found, seen, &now, verify, stop).await?
        {
            return Ok(Prepared::Unchanged);
        }
        match (self, found) {
            (Gateway::Agw(agw), Found::Agw(found)) => agw.secure(target, found).await?,
            (Gateway::Feg(feg), Found::Feg(found)) => feg.secure_way_back(found).await?,
            _ => return Err(self.is_of_another_kind()),
        }
        Ok(Prepared::Ready)
    }

    /// Whether a gateway that runs the release already also stays up: one look does not tell a service that crashes
    /// again and again. Shorter than `verify`, so that a night without an upgrade is quick, and counted from when it
    /// was `seen`.
    async fn is_steady(
        &self,
        found: &Found,
        seen: Instant,
        now: &Found,
        verify: &Verify,
        stop: &Stop,
    ) -> Result<bool, Problem> {
        let step = Step::Prepare;
        let mut before = found.clone();
        before.look_again(now);
        let fine = |now: &Found| {
            now.health().has(self.required().into_iter().chain(before.health().running().map(str::to_owned)))
        };
        let watched = Watched::AllBut(before.health().ignored(&self.required()));
        let mut settling = Settling::new(briefly(verify), &fine, watched);
        let is_settled = settling.look(found, seen) || settling.look(now, Instant::now());
        let settled = if is_settled { Ok(()) } else { self.settle(step, settling, Some(stop)).await.map(drop) };
        match settled {
            Ok(()) => Ok(true),
            Err(Unsettled::Why { why, .. }) => {
                self.ground().warn(step, format!("it runs the release already, and not well: {why}"));
                Ok(false)
            }
            Err(Unsettled::Problem(problem)) => Err(problem),
        }
    }

    /// The names of what the config requires to be up.
    fn required(&self) -> BTreeSet<String> {
        match self {
            Gateway::Agw(agw) => agw.required(),
            Gateway::Feg(feg) => feg.config.services.iter().cloned().collect(),
        }
    }

    /// Looks a second time at what a gateway runs before it is switched. What does not even stay up now is not held
    /// against the release, nor against the way back.
    pub(crate) async fn look_again(&self, found: &Found) -> Result<Found, Problem> {
        let mut found = found.clone();
        found.look_again(&self.found(Step::Prepare).await?);
        for name in &found.health().flapping {
            self.ground().warn(Step::Prepare, format!("`{name}` does not stay up, before anything is switched"));
        }
        Ok(found)
    }

    /// Writes the intent record, then switches, as a job that neither our death nor a dropped connection interrupts.
    pub(crate) async fn activate(&self, target: &Target, found: &Found, run: &str) -> Result<(), Problem> {
        let (script, deadline) = match (self, found) {
            (Gateway::Agw(agw), Found::Agw(found)) => (agw.activate_script(target, found), agw.config.activate_timeout),
            (Gateway::Feg(feg), Found::Feg(found)) => (feg.activate_script(target, found), feg.config.activate_timeout),
            _ => return Err(self.is_of_another_kind()),
        };
        let ground = self.ground();
        let to = target.release.to_string();
        let intent = if ground.is_only_looked_at() {
            // What it will have found by then is not known.
            format!(r#"{{"run":"{run}","to":"{to}","found":FOUND}}"#)
        } else {
            let intent = Intent { run: run.to_owned(), to, found: found.clone() };
            serde_json::to_string(&intent).expect("an intent is plain data")
        };
        let record = format!(
            "set -e\numask 077\nprintf '%s\\n' {} > {INTENT}.new\nsync {INTENT}.new\nmv {INTENT}.new {INTENT}\nsync {STATE}",
            quote(&intent)
        );
        ground
            .must_root(Step::Activate, &record, MINUTE, |said| Trouble::NoIntent.on(&ground.name).because(said))
            .await?;
        let mut all = String::new();
        let switched = ground
            .job(Step::Activate, &format!("{run}-activate"), &script, deadline, |end, said| {
                said.clone_into(&mut all);
                match self {
                    // What came to the host from outside is not the release's fault.
                    _ if matches!(end, JobEnd::Rebooted | JobEnd::Vanished | JobEnd::Stopped) => Class::Testbed,
                    Gateway::Agw(agw) => agw.class_of(said),
                    Gateway::Feg(_) => feg::activation_class(said),
                }
            })
            .await;
        match switched {
            Err(problem) => {
                let class = problem.class;
                let explains = |fact: &Fact| fact.explains_switch(&all, class);
                Err(self.explained(Step::Activate, problem, explains).await)
            }
            Ok(()) => Ok(()),
        }
    }

    /// The problem with the first fact of the host's state that explains it: then it is not the release's fault.
    async fn explained(&self, step: Step, mut problem: Problem, explains: impl Fn(&Fact) -> bool) -> Problem {
        let facts = self.ground().explanations(step, self.activate_timeout()).await;
        if let Some(fact) = facts.iter().find(|fact| explains(fact)) {
            if problem.class == Class::Upgrade {
                problem.class = Class::Testbed;
            }
            problem.causes.insert(0, fact.cause().into());
            return problem.hint(fact.hint());
        }
        problem
    }

    /// Asks until everything is as it shall be and nothing has started anew for `verify.stable`, or the deadline has
    /// passed.
    pub(crate) async fn verify(
        &self,
        target: &Target,
        before: &Found,
        verify: &Verify,
        stop: &Stop,
    ) -> Result<(), Problem> {
        if self.ground().is_only_looked_at() {
            self.say_how_to_verify(target, before, verify);
            return Ok(());
        }
        let expected = match (self, before) {
            (Gateway::Feg(feg), Found::Feg(before)) => Some(feg.expected(Step::Verify, target, before).await?),
            _ => None,
        };
        let (missed, lost): (BTreeSet<String>, BTreeSet<String>) = match (self, before) {
            (Gateway::Agw(agw), Found::Agw(before)) => {
                let mut missed = agw.lost_units(Step::Verify, before).await?;
                let lost = agw.not_expected(&missed, target, before);
                missed.retain(|unit| !lost.contains(unit));
                (missed, lost)
            }
            (Gateway::Feg(_), Found::Feg(before)) => {
                (BTreeSet::new(), expected.as_ref().map(|expected| expected.dropped(before)).unwrap_or_default())
            }
            _ => Default::default(),
        };
        for unit in &lost {
            self.ground().note(Step::Verify, format!("`{unit}` ran before, and {} does not have it", target.release));
        }
        let fine = |now: &Found| match (self, now, before, &expected) {
            (Gateway::Agw(agw), Found::Agw(now), Found::Agw(before), _) => agw.is_target(now, before, target, &lost),
            (Gateway::Feg(feg), Found::Feg(now), Found::Feg(before), Some(expected)) => {
                feg.is_target(now, before, expected)
            }
            _ => Err("it is of another kind".to_owned().into()),
        };
        let mut ignored = before.health().ignored(&self.required());
        ignored.extend(lost.iter().cloned());
        let watched = Watched::AllBut(ignored);
        let mut settling = Settling::new(verify.clone(), &fine, watched);
        if let Some(expected) = &expected {
            settling.look(&expected.switched.clone().into(), Instant::now());
        }
        let settled = self.settle(Step::Verify, settling, Some(stop)).await;
        if settled.as_ref().is_ok_and(|now| now.is_rebooted_since(before)) {
            self.ground().warn(Step::Verify, "the host was rebooted during the upgrade");
        }
        if let Err(unsettled) = settled {
            let meddled = match (&unsettled, &expected) {
                (Unsettled::Why { now: Found::Feg(now), .. }, Some(expected)) => Feg::is_meddled_with(now, expected),
                _ => None,
            };
            let is_rebooted = matches!(&unsettled, Unsettled::Why { now, .. } if now.is_rebooted_since(before));
            let forgotten = match &unsettled {
                Unsettled::Why { now, .. } => forgotten(&missed, now.health(), target.release.version()),
                Unsettled::Problem(_) => None,
            };
            let said = match &unsettled {
                Unsettled::Why { why, .. } => why.clone(),
                Unsettled::Problem(problem) => problem.line(),
            };
            let mut problem = unsettled.unless(|why| match meddled {
                _ if is_rebooted => Trouble::Rebooted.on(self.name()).because(why),
                Some(meddled) => Trouble::Meddled.on(self.name()).because(why).because(meddled),
                None => Trouble::Unhealthy { release: target.release.version() }.on(self.name()).because(why),
            });
            if let Some((why, hint)) = forgotten
                && problem.class == Class::Upgrade
            {
                problem.causes.insert(0, why.into());
                problem = problem.hint(hint);
            }
            return Err(self.explained(Step::Verify, problem, |fact| fact.explains_unit(&said)).await);
        }
        self.check_in(verify, stop).await
    }

    /// Asks until the gateway has checked in, or the deadline has passed: it takes its time after a start.
    async fn check_in(&self, verify: &Verify, stop: &Stop) -> Result<(), Problem> {
        let Some(script) = self.check_in_script() else { return Ok(()) };
        let deadline = Instant::now() + verify.timeout;
        loop {
            let asked = self.ground().run_root(Step::Verify, &script, verify.timeout.max(MINUTE));
            let output = stop.or(asked).await??;
            if output.status == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let why = known_and_said(&format!("exit status {}", output.status), all_said(&output), 8);
                return Err(Trouble::NotCheckedIn.on(self.name()).because(why));
            }
            stop.or(tokio::time::sleep(POLL)).await?;
        }
    }

    fn check_in_script(&self) -> Option<String> {
        let command = match self {
            Gateway::Agw(agw) => &agw.config.checkin,
            Gateway::Feg(feg) => &feg.config.checkin,
        };
        command.as_ref().map(|command| format!("{command} 2>&1"))
    }

    /// Says what `verify` asks: of a gateway that was not switched it makes no sense to ask it.
    fn say_how_to_verify(&self, target: &Target, before: &Found, verify: &Verify) {
        let ground = self.ground();
        let mut scripts = match (self, before) {
            (Gateway::Feg(feg), Found::Feg(before)) => feg.verify_scripts(target, before),
            (Gateway::Agw(agw), _) => vec![agw.found_script()],
            (Gateway::Feg(_), Found::Agw(_)) => Vec::new(),
        };
        scripts.extend(self.check_in_script());
        if let (Gateway::Agw(agw), Found::Agw(before)) = (self, before) {
            ground.commanded(Step::Verify, &agw.lost_units_script(before));
        }
        ground.note(
            Step::Verify,
            format!(
                "again and again, until all is up and nothing has started anew for {}, at most {}:",
                crate::config::format_duration(verify.stable),
                crate::config::format_duration(verify.timeout)
            ),
        );
        for script in scripts {
            ground.commanded(Step::Verify, &script);
        }
    }

    /// Brings the gateway back to what it ran, and compares.
    pub(crate) async fn restore(&self, before: &Found, run: &str, verify: &Verify, step: Step) -> Result<(), Problem> {
        let script = match (self, before) {
            (Gateway::Agw(agw), Found::Agw(before)) => agw.restore_script(before),
            (Gateway::Feg(feg), Found::Feg(before)) => feg.restore_script(before),
            _ => return Err(self.is_of_another_kind()),
        };
        let (ground, deadline) = (self.ground(), self.restore_timeout());
        if ground.is_only_looked_at() {
            return ground.job(step, &format!("{run}-restore"), &script, deadline, |_, _| Class::Mixed).await;
        }
        let done = async {
            // A switch that we have lost sight of may still be at work.
            ground.outlive_job(step, &format!("{run}-activate"), self.activate_timeout()).await?;
            if self.difference(step, before, verify).await.is_none() {
                ground.note(step, "everything is as it was before the switch: nothing is installed anew");
                return Ok(());
            }
            let mut all = String::new();
            let hear = |_: &JobEnd, said: &str| {
                said.clone_into(&mut all);
                Class::Mixed
            };
            if let Err(problem) = ground.job(step, &format!("{run}-restore"), &script, deadline, hear).await {
                // What breaks one direction often breaks both, and apt and dpkg undo by themselves what they could not
                // finish.
                let Some(difference) = self.difference(step, before, verify).await else {
                    ground.warn(step, format!("{}; everything is as it was all the same", problem.line()));
                    return Ok(());
                };
                let explains = |fact: &Fact| fact.explains_switch(&all, Class::Mixed);
                return Err(self.explained(step, problem, explains).await.because(difference));
            }
            self.settled_as_before(step, before, verify)
                .await
                .map_err(|unsettled| unsettled.unless(|why| Problem::testbed("it is not as it was").because(why)))
        };
        let Err(problem) = done.await else { return Ok(()) };
        self.resume(step).await;
        let problem = self.not_brought_back(problem);
        // The next run tells it.
        let record = format!("umask 077\nprintf '%s\\n' {} {} > {NOT_RESTORED}", quote(run), quote(&problem.line()));
        if let Err(error) = ground.change(step, &record, MINUTE).await {
            ground.warn(step, format!("could not record on the host that it was not restored: {}", error.line()));
        }
        Err(problem)
    }

    /// Asks until the gateway is what it was before, and stays so.
    async fn settled_as_before(&self, step: Step, before: &Found, verify: &Verify) -> Result<(), Unsettled> {
        let fine = |now: &Found| self.is_as_before(now, before);
        // What the release brought and has left behind is not held against the way back.
        let watched = Watched::Only(before.health().running().map(str::to_owned).collect());
        self.settle(step, Settling::new(verify.clone(), &fine, watched), None).await.map(drop)
    }

    fn is_as_before(&self, now: &Found, before: &Found) -> Result<(), Lack> {
        match (self, now, before) {
            (Gateway::Agw(agw), Found::Agw(now), Found::Agw(before)) => agw.is_as_before(now, before),
            (Gateway::Feg(_), Found::Feg(now), Found::Feg(before)) => Feg::is_as_before(now, before),
            _ => Err("it is of another kind".to_owned().into()),
        }
    }

    /// In what the gateway differs from what it was before the switch; none where it is the same, files included, and
    /// stays up.
    async fn difference(&self, step: Step, before: &Found, verify: &Verify) -> Option<String> {
        let script = match (self, before) {
            (Gateway::Agw(_), _) => Agw::as_before_script(),
            (Gateway::Feg(feg), Found::Feg(before)) => feg.as_before_script(before),
            (Gateway::Feg(_), Found::Agw(_)) => return Some("it is of another kind".to_owned()),
        };
        let differences = match self.ground().run_root(step, &script, FIVE_MINUTES).await {
            Ok(output) => all_said(&output),
            Err(problem) => problem.line(),
        };
        if !differences.trim().is_empty() {
            return Some(agw::last_lines(&differences, 8));
        }
        // What is down now is not waited for: the restore starts it.
        let difference = match self.found(step).await {
            Ok(now) => self.is_as_before(&now, before).err().map(|lack| lack.why),
            Err(problem) => Some(problem.line()),
        };
        if difference.is_some() {
            return difference;
        }
        match self.settled_as_before(step, before, verify).await {
            Ok(()) => None,
            Err(Unsettled::Why { why, .. }) => Some(why),
            Err(Unsettled::Problem(problem)) => Some(problem.line()),
        }
    }

    fn not_brought_back(&self, problem: Problem) -> Problem {
        let mut mixed = Trouble::NotBroughtBack.on(self.name());
        mixed.causes.push(problem.message);
        mixed.causes.extend(problem.causes);
        mixed
    }

    /// Puts back what was set aside, and takes the intent record away: the switch is over, one way or the other. Where
    /// its release is kept on every gateway, that is `kept_by` this run, and the first gateway to know it has decided
    /// for all.
    pub(crate) async fn finish(&self, step: Step, kept_by: Option<&str>) -> Result<(), Problem> {
        let mut script = "set -e\n".to_owned();
        if let Some(run) = kept_by {
            script.push_str(&format!(
                "printf '%s\\n' {} > {KEPT}.new\nsync {KEPT}.new\nmv {KEPT}.new {KEPT}\nsync {STATE}\n",
                quote(run)
            ));
        }
        let tidy = match self {
            Gateway::Agw(agw) => agw.sweep_script(),
            Gateway::Feg(feg) => {
                script.push_str(&Feg::resume_script());
                feg.tidy_script()
            }
        };
        // From here on the switch is over, whatever becomes of the rest.
        script.push_str(&format!(
            "rm -f {INTENT} {INTENT}.new {NOT_RESTORED}\nsync {STATE}\nset +e\n(\nset -e\n{tidy})\n\
             [ $? = 0 ] || echo untidy\nrm -rf {NEXT} {STATE}/jobs\nsync\nexit 0\n"
        ));
        let ground = self.ground();
        if ground.is_only_looked_at() {
            ground.note(step, "once that is well:");
        }
        let not_closed = |said| Trouble::NotClosed.on(self.name()).because(said);
        let closed = match ground.must_root(step, &script, 2 * MINUTE, not_closed).await {
            Ok(closed) => closed,
            Err(problem) if self.is_closed(step).await => {
                ground.warn(step, format!("what earlier releases have left could not be removed: {}", problem.line()));
                return Ok(());
            }
            Err(problem) => return Err(problem),
        };
        let text = closed.text();
        let swept: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("swept\t")).collect();
        if !swept.is_empty() {
            let what = swept.join(", ");
            ground.note(step, format!("removed, of releases that are no longer kept (`release.keep`): {what}"));
        }
        if text.lines().any(|line| line == "untidy") {
            let why = cause::one_line(cause::said(closed.errors(), 3), true);
            ground.warn(step, format!("what earlier releases have left could not be removed: {why}"));
        }
        Ok(())
    }

    /// Whether no record of a switch is on the host.
    async fn is_closed(&self, step: Step) -> bool {
        let asked = self.ground().run_root(step, &format!("[ ! -e {INTENT} ] && echo closed"), MINUTE).await;
        asked.is_ok_and(|output| output.text() == "closed")
    }

    /// Takes away what `prepare` laid ready where it has found that the release is there already: no image has another
    /// name.
    pub(crate) async fn keep(&self) {
        match self {
            Gateway::Agw(_) => {}
            Gateway::Feg(_) => self.take_away(&format!("{}rm -rf {NEXT}\n", Feg::keep_services())).await,
        }
    }

    /// Takes away what `prepare` laid ready, on a gateway that is not switched: images that were pulled no longer have
    /// the names of those in use.
    pub(crate) async fn clear(&self, before: &Found) {
        let mut script = format!("rm -rf {NEXT}\n");
        if let (Gateway::Feg(feg), Found::Feg(before)) = (self, before) {
            script.push_str(&feg.clear_script(before));
        }
        self.take_away(&script).await;
    }

    /// What stays behind does no harm, and is said.
    async fn take_away(&self, script: &str) {
        // A host that is lost is not waited for again.
        let failed = match tokio::time::timeout(MINUTE, self.ground().change(Step::Prepare, script, MINUTE)).await {
            Ok(Ok(output)) if output.status == 0 => return,
            Ok(Ok(output)) => cause::one_line(cause::said(all_said(&output), 3), true),
            Ok(Err(problem)) => problem.line(),
            Err(_) => "the host does not answer".to_owned(),
        };
        self.ground().warn(Step::Prepare, format!("what was laid ready could not be taken away again: {failed}"));
    }

    /// Puts back what was set aside where the switch itself cannot be closed: the intent record stays.
    async fn resume(&self, step: Step) {
        if let Gateway::Agw(_) = self {
            return;
        }
        let failed = match self.ground().change(step, &format!("set -e\n{}", Feg::resume_script()), MINUTE).await {
            Ok(output) if output.status == 0 => return,
            Ok(output) => cause::one_line(cause::said(all_said(&output), 3), true),
            Err(problem) => problem.line(),
        };
        self.ground().warn(step, format!("what was set aside is still in {QUIESCED}: {failed}"));
    }

    /// Whether no earlier run has left a switch open here: what the next run would have to recover, where one has.
    pub(crate) async fn is_at_rest(&self, step: Step) -> Result<String, Problem> {
        let script = format!("cat {INTENT} 2>/dev/null\necho ---\ncat {NOT_RESTORED} 2>/dev/null\necho ---");
        let said = self.ground().ask_root(step, "read what an earlier run has left", &script).await?;
        let (intent, not_restored) = said.trim_end_matches("---").split_once("---\n").unwrap_or_default();
        let Some(intent) = self.parse_intent(intent)? else { return Ok("closed".to_owned()) };
        match not_restored_by(&intent, not_restored) {
            None => Ok(format!("{}; the next run closes the switch or rolls it back", how_it_was_left(&intent, None))),
            why => Err(Problem::testbed(how_it_was_left(&intent, why.as_deref()))
                .hint("the next run tries again; the reports of that run tell what was in the way")),
        }
    }

    fn parse_intent(&self, text: &str) -> Result<Option<Intent>, Problem> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let unreadable = |error| Trouble::IntentUnreadable.on(self.name()).because_of(&error);
        serde_json::from_str(text).map(Some).map_err(unreadable)
    }

    /// Makes the gateway its run's, and reads what an earlier run has left here and what it runs.
    pub(crate) async fn take_over(&self) -> Result<Left, Problem> {
        let ground = self.ground();
        let questions = format!(
            "cat {INTENT} 2>/dev/null\necho ---\ncat {KEPT} 2>/dev/null\necho ---\ncat {NOT_RESTORED} 2>/dev/null\necho ---\n{}",
            self.found_script()
        );
        let output = ground.claim(Step::Recover, &questions).await?;
        let said = output.text();
        let mut parts = said.splitn(4, "---\n");
        let (Some(intent), Some(kept), Some(not_restored), Some(found)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ground.answer("write down whose it is", &output).err().unwrap_or_else(|| {
                let why = cause::said(all_said(&output), 5);
                Trouble::Unanswered { what: "write down whose it is" }.on(self.name()).because(why)
            }));
        };
        if intent.trim().is_empty() {
            ground.answer("read what the gateway runs", &output)?;
        }
        let intent = self.parse_intent(intent)?;
        let not_restored = intent.as_ref().and_then(|intent| not_restored_by(intent, not_restored));
        Ok(Left { intent, not_restored, kept: kept.trim().to_owned(), found: self.parse_found(found) })
    }

    /// Ends the switch that an earlier run has left here: closes it where its release `is_kept`, and else goes back to
    /// what ran before it. Where that is not known, nothing is done. Returns what runs then.
    pub(crate) async fn recover(
        &self,
        left: Left,
        is_kept: Option<bool>,
        run: &str,
        verify: &Verify,
    ) -> Result<(Recovered, Found), Problem> {
        let Some(intent) = left.intent else { return Ok((Recovered::Nothing, left.found)) };
        let ground = self.ground();
        ground.warn(Step::Recover, how_it_was_left(&intent, left.not_restored.as_deref()));
        let recovered = match is_kept {
            None => return Err(Trouble::Undecided.on(self.name())),
            Some(true) => {
                self.finish(Step::Recover, Some(&intent.run)).await?;
                ground.warn(Step::Recover, format!("keeps {}: all gateways had come to it", intent.to));
                Recovered::Kept(intent.to)
            }
            Some(false) => Recovered::BroughtBack(self.bring_back(&intent, run, verify).await?),
        };
        // What it runs was asked too early.
        Ok((recovered, self.found(Step::Recover).await?))
    }

    /// Brings it back from the switch of which a record tells, and returns to what.
    async fn bring_back(&self, intent: &Intent, run: &str, verify: &Verify) -> Result<String, Problem> {
        let ground = self.ground();
        // What that run started may still be at work.
        for job in ["activate", "restore"] {
            let over =
                ground.outlive_job(Step::Recover, &format!("{}-{job}", intent.run), self.restore_timeout()).await;
            over.map_err(|problem| self.not_brought_back(problem))?;
        }
        self.restore(&intent.found, run, verify, Step::Recover).await?;
        self.finish(Step::Recover, None).await?;
        let release = self.release_of(&intent.found).unwrap_or_else(|| "what it ran".to_owned());
        if ground.is_only_looked_at() {
            ground.note(Step::Recover, format!("it runs {release} then; what follows goes by what it runs now"));
        } else {
            ground.warn(Step::Recover, format!("brought back to {release} after a run that died in mid-switch"));
        }
        Ok(release)
    }

    /// Asks until it has settled, or the deadline has passed. Returns what it ran when it had settled.
    async fn settle(&self, step: Step, mut settling: Settling<'_>, stop: Option<&Stop>) -> Result<Found, Unsettled> {
        let mut deadline = Instant::now() + settling.verify.timeout;
        let mut forgiven = self.host().outage();
        loop {
            let asked = Instant::now();
            let look = match stop {
                Some(stop) => stop.or(self.found(step)).await.map_err(Unsettled::Problem)?,
                None => self.found(step).await,
            };
            match &look {
                Ok(now) => {
                    // The connection was lost and came back: the gateway is not to blame for that time.
                    if asked.elapsed() > SLOW {
                        let lost = asked.elapsed().min(forgiven);
                        forgiven -= lost;
                        deadline += lost;
                    }
                    if settling.look(now, Instant::now()) {
                        return Ok(now.clone());
                    }
                }
                // It may not be able to say: the Docker daemon starts anew with its package.
                Err(problem) => settling.is_not(problem.line().into()),
            }
            if Instant::now() >= deadline {
                let Lack { why, units } = settling.lack;
                return Err(match look {
                    Ok(now) => Unsettled::Why { why: format!("{why}{}", self.last_words(&now, units).await), now },
                    Err(problem) => Unsettled::Problem(problem),
                });
            }
            let pause = tokio::time::sleep(settling.rest(Instant::now()).min(POLL));
            match stop {
                Some(stop) => stop.or(pause).await.map_err(Unsettled::Problem)?,
                None => pause.await,
            }
        }
    }

    /// What those of these units or services that are there wrote last, to stand below the reason.
    async fn last_words(&self, now: &Found, mut units: Vec<String>) -> String {
        units.retain(|name| now.health().units.contains_key(name));
        if units.is_empty() {
            return String::new();
        }
        let script = match (self, now) {
            (Gateway::Feg(feg), Found::Feg(now)) => feg.last_words_script(now, &units),
            (Gateway::Agw(_), _) => Agw::last_words_script(&units),
            (Gateway::Feg(_), Found::Agw(_)) => return String::new(),
        };
        match self.ground().run_root(Step::Verify, &script, MINUTE).await {
            Ok(output) if !output.text().trim().is_empty() => format!("\n{}", agw::last_lines(output.text(), 15)),
            _ => String::new(),
        }
    }

    /// Whether an upgrade can write wherever it has to, and how much room there is.
    pub(crate) async fn can_write(&self) -> Result<String, Problem> {
        match self {
            Gateway::Agw(agw) => agw.can_write(Step::Connect).await,
            Gateway::Feg(feg) => feg.can_write(Step::Connect).await,
        }
    }

    /// What on the gateway would fight an upgrade: seen, and said; `activate` sets aside what it can.
    pub(crate) async fn rivals(&self) -> Result<String, Problem> {
        let script = match self {
            Gateway::Agw(_) => "lock=$(stat -c %i /var/lib/dpkg/lock-frontend 2>/dev/null) && \
                 awk -v lock=\":$lock\" 'substr($6, length($6) - length(lock) + 1) == lock { print \"dpkg is locked by process \" $5 }' /proc/locks; \
                 systemctl is-active --quiet unattended-upgrades 2>/dev/null && echo 'unattended-upgrades is active'; true"
                .to_owned(),
            Gateway::Feg(feg) => {
                let files: Vec<String> = feg.config.quiesce.iter().map(|file| quote(file)).collect();
                format!("for file in {}; do [ ! -e \"$file\" ] || echo \"$file (set aside while we switch)\"; done", files.join(" "))
            }
        };
        let text = self.ground().ask_root(Step::Connect, "look for what would fight an upgrade", &script).await?;
        let rivals: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Ok(if rivals.is_empty() { "none".to_owned() } else { rivals.join(", ") })
    }

    /// The journals of the last `since` seconds by the gateway's own clock, and what the switch did to its conffiles:
    /// file name and script.
    pub(crate) fn traces(&self, found: &Found, since: &str) -> Vec<(&'static str, String)> {
        match (self, found) {
            (Gateway::Agw(agw), _) => {
                vec![
                    ("journal.log", agw.journal_script(&format!("--since -{since}s"))),
                    ("conffiles.diff", Agw::conffile_difference_script(since)),
                ]
            }
            (Gateway::Feg(feg), Found::Feg(found)) => vec![("journal.log", feg.journal_script(found, since))],
            (Gateway::Feg(_), Found::Agw(_)) => Vec::new(),
        }
    }

    /// What shows so much of what the gateway has been saying.
    pub(crate) fn log_script(&self, window: &Window) -> String {
        match self {
            Gateway::Agw(agw) => agw.journal_script(&window.of_journal()),
            Gateway::Feg(feg) => feg.log_script(window),
        }
    }

    /// The packages of the release before the switch and after it; a FEG has none.
    pub(crate) fn package_changes(&self, before: &Found, target: &Target) -> Vec<PackageChange> {
        match (self, before) {
            (Gateway::Agw(agw), Found::Agw(before)) => agw.package_changes(before, &agw.wanted(target)),
            _ => Vec::new(),
        }
    }

    /// The packages before the switch and now.
    pub(crate) fn package_difference(&self, before: &Found, now: &Found) -> Vec<PackageChange> {
        match (self, before, now) {
            (Gateway::Agw(agw), Found::Agw(before), Found::Agw(now)) => {
                let now: Vec<(String, String)> =
                    now.packages.iter().map(|(name, version)| (name.clone(), version.clone())).collect();
                agw.package_changes(before, &now)
            }
            _ => Vec::new(),
        }
    }

    fn is_of_another_kind(&self) -> Problem {
        Trouble::OfAnotherKind.on(self.name())
    }
}

/// What is said of the units that the release was to have, has not, and that are down, and what to try; none where there
/// are none.
fn forgotten(missed: &BTreeSet<String>, health: &Health, release: &str) -> Option<(String, String)> {
    let is_up = |unit: &String| health.units.get(unit).is_some_and(|unit| unit.is_up);
    let down: Vec<String> = missed.iter().filter(|unit| !is_up(unit)).map(|unit| format!("`{unit}`")).collect();
    if down.is_empty() {
        return None;
    }
    let down = down.join(", ");
    let why = format!("no package of {release} brings {down} any more, which ran before");
    Some((why, format!("where the release is to drop {down}, put it into `agw.dropped_units`")))
}

/// An upgrade needs at least this much room for what it downloads.
const LEAST_ROOM_MB: u64 = 200;

/// What a host may take beyond a job's deadline to end it: it asks, waits half a minute, and kills.
const JOB_GRACE: Duration = Duration::from_secs(120);

/// Why the run of this intent record could not roll the gateway back. `text` is the file that such a run leaves: its run id on
/// the first line, the reason below it. None if it is from another run.
fn not_restored_by(intent: &Intent, text: &str) -> Option<String> {
    let (run, why) = text.split_once('\n')?;
    (run == intent.run).then(|| why.trim().to_owned())
}

/// How an earlier run left a gateway.
fn how_it_was_left(intent: &Intent, not_restored: Option<&str>) -> String {
    let Intent { run, to, .. } = intent;
    match not_restored {
        Some(why) => format!("run {run} ended with this gateway not restored after its switch to {to}: {why}"),
        None => format!("run {run} ended, or was ended, while it switched this gateway to {to}"),
    }
}

/// A restore has at least this long, however short `activate_timeout` is: one that is cut off leaves the gateways
/// mixed, and nothing is gained by that. It reinstalls packages that are on the host, or starts containers whose images
/// are: seconds as a rule, minutes on a slow disk.
const LEAST_RESTORE: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
/// An answer that takes longer than this has waited for a lost connection.
const SLOW: Duration = Duration::from_secs(15);
/// How often a gateway is asked while it settles.
const POLL: Duration = Duration::from_millis(1000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_the_surroundings_however_it_is_written() {
        for said in ["tar: No space left on device", "write /var/lib/docker: no space left on device"] {
            assert_eq!(feg::activation_class(said), Class::Testbed);
        }
    }

    #[test]
    fn a_unit_that_the_release_has_forgotten_is_told_where_it_is_down() {
        let health = health::tests::health(&[("a.service", true, "1"), ("b.service", false, "0")]);
        let missed = ["a.service", "b.service", "c.service"].map(str::to_owned).into();
        let (why, hint) = forgotten(&missed, &health, "1.9.0-1666000000-16673817").expect("two are down");
        assert_eq!(
            why,
            "no package of 1.9.0-1666000000-16673817 brings `b.service`, `c.service` any more, which ran before"
        );
        assert_eq!(hint, "where the release is to drop `b.service`, `c.service`, put it into `agw.dropped_units`");
        assert!(forgotten(&["a.service".to_owned()].into(), &health, "1.9.0-1666000000-16673817").is_none());
    }

    #[test]
    fn what_is_told_of_an_earlier_run_is_what_is_known_of_it() {
        let found = Agw::parse_found("").into();
        let intent = Intent { run: "r1".to_owned(), to: "1.9.1-1668500000-5d2e8f90".to_owned(), found };
        assert_eq!(
            how_it_was_left(&intent, None),
            "run r1 ended, or was ended, while it switched this gateway to 1.9.1-1668500000-5d2e8f90"
        );
        assert_eq!(
            how_it_was_left(&intent, Some("`agw` could not be brought back: the disk is full")),
            "run r1 ended with this gateway not restored after its switch to 1.9.1-1668500000-5d2e8f90: `agw` could not be \
             brought back: the disk is full"
        );
    }
}
