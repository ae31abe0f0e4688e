//! The order of a night, and how it ends early.
//!
//! The tunnel goes up, the hosts are reached, the lock is taken; the body runs; and on every way out what was taken is given
//! back in reverse order. What may end the body early (a signal, the deadline, a tunnel that stays down, a lost lock) asks it
//! to end, and it ends at the next place where the testbed is in a known state.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio::task::JoinHandle;

use crate::collect::Traces;
use crate::config::format_duration;
use crate::crash;
use crate::event::{self, Class, EventKind, Events, Problem, Stage, Step, apart};
use crate::gateway::{Found, Gateway};
use crate::lock::{Lock, Owner, Taken};
use crate::memory::Memory;
use crate::ng40::{Ran, Tester};
use crate::plan::{Plan, Role, Upgrade};
use crate::reach::{Lab, reach};
use crate::remote::{self, Turns};
use crate::results::Results;
use crate::signals;
use crate::stop::Stop;
use crate::upgrade::{Switch, Switched, recover, resolve};
use crate::vpn;

/// Runs the night to its end. All news, good and bad, are events; nothing else comes back.
pub(crate) async fn run(plan: &Plan, memory: Result<Option<Memory>, Problem>, events: Events) {
    events.say(EventKind::NightStarted(plan.night()));
    match memory {
        Ok(Some(memory)) => events.say(EventKind::Remembered(memory)),
        Ok(None) => {}
        Err(problem) if problem.class == Class::Internal => events.say(EventKind::InternalError { problem }),
        Err(problem) => events.warn(Step::Connect, None, problem.text()),
    }
    vpn::sweep();
    remote::sweep();
    let stop = Stop::default();
    let watch = Watch::over(plan.deadline, &events, &stop);
    let taken = apart(&events, take_testbed(plan, &events, &stop)).await.flatten();
    if let Some((lab, lock, owner)) = taken {
        let lease = {
            let (lock, owner, events, stop) = (lock.clone(), owner.clone(), events.clone(), stop.clone());
            tokio::spawn(async move {
                // A lease that nobody renews lapses, and the testbed is somebody else's then.
                if let Err(crash) = crash::caught(lock.keep(&owner, &events, &stop)).await {
                    stop.now(Problem::internal(&crash));
                    events.crashed(&crash);
                }
            })
        };
        let night = Night { plan, lab: &lab, fence: lock.fence(&owner), events: &events, stop: &stop };
        apart(&events, night.body()).await;
        lease.abort();
        if let Err(crash) = crash::caught(unlock(&lock, &owner, &events)).await {
            events.crashed(&crash);
            // It may have panicked before it did anything, and the lease would keep everybody else away.
            let _ = event::caught(lock.give_back(&owner)).await;
        }
        apart(&events, lab.leave(&events)).await;
    }
    watch.end();
    // What a task of its own has panicked with, that nobody waits for.
    crash::untold().iter().for_each(|crash| events.crashed(crash));
    events.say(EventKind::NightEnded);
}

/// Signals and the deadline, as reasons to stop.
struct Watch {
    tasks: Vec<JoinHandle<()>>,
}

impl Watch {
    fn over(deadline: Duration, events: &Events, stop: &Stop) -> Watch {
        let on_signal = {
            let (events, stop, next) = (events.clone(), stop.clone(), signals::next());
            tokio::spawn(async move {
                let signal = next.await;
                events.say(EventKind::Interrupted { signal: signal.into() });
                stop.now(Problem::new(Class::Interrupted, format!("stopped by {signal}")));
            })
        };
        let on_deadline = {
            let (events, stop) = (events.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::time::sleep(deadline).await;
                events.say(EventKind::DeadlinePassed { deadline });
                let text = format!("the deadline of the whole run ({}) has passed", format_duration(deadline));
                stop.now(Problem::new(Class::Inconclusive, text).hint("`run.deadline` in the config sets it"));
            })
        };
        Watch { tasks: vec![on_signal, on_deadline] }
    }

    fn end(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Reaches the lab and takes the lock; waits for it as long as the plan says, with the tunnel down between looks, because two
/// clients with one certificate starve each other.
async fn take_testbed(plan: &Plan, events: &Events, stop: &Stop) -> Option<(Lab, Lock, Owner)> {
    let until = Instant::now() + plan.wait;
    let owner = Owner::of_run(&plan.run, plan.url.clone());
    loop {
        let lab = reach(&plan.lab, events, stop).await?;
        let lock = Lock::new(lab.host(Role::Ng40).clone(), plan.lab.lock.clone());
        let attempt = apart(events, attempt(&lock, &owner, plan, until, events, stop)).await;
        match attempt.unwrap_or(Attempt::Failed) {
            Attempt::Ours => return Some((lab, lock, owner)),
            Attempt::Held => lab.leave(events).await,
            Attempt::TooLate => {
                lab.leave(events).await;
                return None;
            }
            Attempt::Failed => {
                // It may have been taken, and only the answer was lost.
                unlock(&lock, &owner, events).await;
                lab.leave(events).await;
                return None;
            }
        }
        // Whoever has it renews it this often; more is not to be seen in between.
        let left = until.saturating_duration_since(Instant::now());
        if let Err(problem) = stop.or(tokio::time::sleep(plan.lab.lock.renew.min(left))).await {
            events.start(Step::Lock, None).failed(problem);
            return None;
        }
    }
}

/// How an attempt at the lock has ended.
enum Attempt {
    Ours,
    /// Somebody else has it, and there is time to wait.
    Held,
    /// Somebody else has it.
    TooLate,
    /// It is not known whether it is ours.
    Failed,
}

async fn attempt(lock: &Lock, owner: &Owner, plan: &Plan, until: Instant, events: &Events, stop: &Stop) -> Attempt {
    let stage = events.start(Step::Lock, None);
    match stop.or(event::caught(lock.take(owner))).await.and_then(|taken| taken) {
        Ok(Taken::Ours { lapsed }) => {
            if let Some(held) = lapsed {
                events.warn(Step::Lock, None, format!("the testbed was held by {held}, who let it lapse"));
            }
            stage.done("the testbed is ours");
            Attempt::Ours
        }
        Ok(Taken::Held(held)) if Instant::now() < until => {
            stage.done(format!("held by {held}; waiting"));
            Attempt::Held
        }
        Ok(Taken::Held(held)) => {
            stage.failed(held.problem(&plan.lab.setup));
            Attempt::TooLate
        }
        Err(problem) => {
            stage.failed(problem);
            Attempt::Failed
        }
    }
}

async fn unlock(lock: &Lock, owner: &Owner, events: &Events) {
    let stage = events.start(Step::Unlock, None);
    match event::caught(lock.give_back(owner)).await {
        Ok(()) => stage.done("given back"),
        Err(problem) => stage.failed(problem),
    }
}

/// What happens between lock and unlock.
struct Night<'a> {
    plan: &'a Plan,
    lab: &'a Lab,
    fence: Turns,
    events: &'a Events,
    stop: &'a Stop,
}

/// The suites, after the last of which NG40 is not in order yet.
struct Tested<'a> {
    stage: Stage,
    last: Option<Ran<'a>>,
    /// Why not all of them have run to their end.
    cut_off: Option<Problem>,
}

impl Tested<'_> {
    async fn end(self, stop: &Stop) {
        if let Some(last) = self.last {
            last.put_in_order(stop).await;
        }
        // The deadline may pass by now: nothing was left to be run.
        match self.cut_off.or_else(|| stop.reason().filter(|problem| problem.class != Class::Inconclusive)) {
            None => self.stage.done("every suite has ended"),
            Some(problem) => self.stage.failed(problem),
        }
    }
}

impl Night<'_> {
    async fn body(&self) {
        let results = Results::new(&self.plan.results);
        let began = Instant::now();
        let gateways = self.lab.gateways(&self.plan.lab, self.events, Some(&self.plan.run));
        let found = recover(&gateways, &self.plan.run, &self.plan.verify, self.events).await;
        let Some(found) = found.into_iter().collect::<Option<Vec<Found>>>() else { return };
        let seen = Instant::now();
        let switched = match &self.plan.upgrade {
            None => {
                for (gateway, found) in gateways.iter().zip(&found) {
                    let runs = gateway.release_of(found).map(Into::into);
                    self.events.say(EventKind::GatewayFound { gateway: gateway.name().to_owned(), runs });
                }
                Switched { is_well: true, unchanged: Vec::new() }
            }
            Some(upgrade) => self.upgrade(upgrade, &gateways, &found, seen).await,
        };
        let tester = self.tester(&results);
        let test = async {
            match switched.is_well {
                _ if self.plan.suites.is_empty() => None,
                true => apart(self.events, self.test(&tester)).await,
                false => {
                    self.events.skip(Step::Test, None, "the gateways do not run the release that was to be tested");
                    None
                }
            }
        };
        let (_, tested) = join(apart(self.events, switched.tidy()), test).await;
        // What the gateways have to tell does not wait until NG40 is in order.
        let tested = async {
            if let Some(tested) = tested {
                tested.end(self.stop).await;
            }
        };
        let collected = self.collect(&gateways, &found, began, &results);
        join(apart(self.events, tested), apart(self.events, collected)).await;
    }

    /// Brings the gateways that the plan names to the release that was asked for.
    async fn upgrade<'g>(
        &self,
        upgrade: &Upgrade,
        gateways: &'g [Gateway],
        found: &'g [Found],
        seen: Instant,
    ) -> Switched<'g> {
        let meant: Vec<(&Gateway, &Found)> =
            gateways.iter().zip(found).filter(|(gateway, _)| gateway.is_meant(upgrade)).collect();
        // What the others run is tested too.
        for (gateway, found) in gateways.iter().zip(found).filter(|(gateway, _)| !gateway.is_meant(upgrade)) {
            let runs = gateway.release_of(found).map(Into::into);
            self.events.say(EventKind::GatewayFound { gateway: gateway.name().to_owned(), runs });
        }
        let stage = self.events.start(Step::Resolve, None);
        let target =
            self.stop.or(event::caught(resolve(gateways, found, upgrade, self.events))).await.and_then(|target| target);
        let Ok(target) = stage.end(target, |target| format!("{} for every gateway", target.release)) else {
            for (gateway, found) in &meant {
                let runs = gateway.release_of(found).map(Into::into);
                self.events.say(EventKind::GatewayFound { gateway: gateway.name().to_owned(), runs });
            }
            return Switched::default();
        };
        let switch = Switch {
            gateways: &meant,
            seen,
            target,
            verify: &self.plan.verify,
            run: &self.plan.run,
            events: self.events,
            stop: self.stop,
        };
        switch.run().await
    }

    fn tester(&self, results: &Results) -> Tester {
        Tester {
            host: self.lab.host(Role::Ng40).clone(),
            config: self.plan.lab.ng40.clone(),
            collect: self.plan.collect.clone(),
            events: self.events.clone(),
            results: results.clone(),
            fence: Some(self.fence.clone()),
        }
    }

    /// Runs the suites in order, each again as often as the plan lets it while something did not pass that is not known to fail.
    async fn test<'t>(&'t self, tester: &'t Tester) -> Tested<'t> {
        let stage = self.events.start(Step::Test, None);
        let today = time::OffsetDateTime::now_utc().date();
        let mut last: Option<Ran> = None;
        if self.stop.or(tester.sweep(&self.plan.run)).await.is_err() {
            return Tested { stage, last, cut_off: self.stop.reason() };
        }
        for (name, suite) in &self.plan.suites {
            for attempt in 1..=u64::from(suite.retries) + 1 {
                if let Some(before) = last.take() {
                    before.put_in_order(self.stop).await;
                }
                if let Some(problem) = self.stop.reason() {
                    return Tested { stage, last, cut_off: Some(problem) };
                }
                last = tester.run_suite(name, suite, attempt, &self.plan.run, self.stop).await;
                let is_worth_it = |case: &String| self.plan.gate.known(name, case, today).is_none();
                if !last.as_ref().is_some_and(|ran| ran.not_passed().iter().any(is_worth_it)) {
                    break;
                }
            }
        }
        Tested { stage, last, cut_off: self.stop.reason() }
    }

    async fn collect(&self, gateways: &[Gateway], found: &[Found], began: Instant, results: &Results) {
        if self.stop.is_urgent() {
            self.events.skip(Step::Collect, None, "the night is over");
            return;
        }
        let stage = self.events.start(Step::Collect, None);
        let config = &self.plan.collect;
        let traces = Traces { config, results, events: self.events, window: began.elapsed() };
        let collected =
            gateways.iter().zip(found).map(|(gateway, found)| apart(self.events, traces.of(gateway, found)));
        let collected = join_all(collected);
        // After the deadline there is a minute left for it, and not more.
        let after_the_deadline = async {
            self.stop.wait().await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        };
        let limit = async {
            tokio::select! {
                () = tokio::time::sleep(config.timeout * 2) => {}
                () = self.stop.urgency() => {}
                () = after_the_deadline => {}
            }
        };
        tokio::select! {
            _ = collected => stage.done("journals and versions"),
            () = limit => {
                let late = || {
                    Problem::testbed("the gateways' journals did not come in time")
                        .hint("`collect.timeout` in the config says how long they are waited for")
                };
                stage.failed(self.stop.reason().unwrap_or_else(late));
            }
        }
    }
}
