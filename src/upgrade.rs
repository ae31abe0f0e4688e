//! One release for all gateways, or back: recover everywhere, resolve, prepare everywhere, switch everywhere, verify everywhere, or
//! restore everywhere. Each gateway's outcome is said by itself.
//!
//! Knows the order and nothing of apt or compose.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};

use crate::config::{Verify, format_duration};
use crate::crash;
use crate::event::{EventKind, Events, GatewayOutcome, PackageChange, Problem, Stage, Step, caught};
use crate::gateway::{Answer, Feg, FegFound, Found, Gateway, Left, Login, Prepared, Recovered, Target};
use crate::plan::Upgrade;
use crate::release::{Release, Wanted, compare_versions, sibling_version};
use crate::stop::Stop;

/// About so many releases a registry is asked at once: the newest is often not whole yet, and the one behind it is.
const AT_ONCE: usize = 2;

/// Makes all gateways this run's, and ends what an earlier run has left in mid-switch, on all alike: it goes back to what ran before.
/// But a run that has died while it closed its switch had them all at its release, and has closed it on some perhaps: these say so,
/// and the others are closed too. Returns what each runs, where that could be done.
pub(crate) async fn recover(gateways: &[Gateway], run: &str, verify: &Verify, events: &Events) -> Vec<Option<Found>> {
    let begun = gateways.iter().map(|gateway| events.start(Step::Recover, Some(gateway.name())));
    let stages: Vec<Stage> = begun.collect();
    let left = join_all(gateways.iter().map(|gateway| caught(gateway.take_over()))).await;
    let kept: Vec<Option<bool>> = left.iter().map(|here| is_kept(here.as_ref().ok()?, &left)).collect();
    let legs = gateways.iter().zip(stages).zip(left.into_iter().zip(kept));
    join_all(legs.map(|((gateway, stage), (left, is_kept))| async move {
        let recovered = match left {
            Ok(left) => caught(gateway.recover(left, is_kept, run, verify)).await,
            Err(problem) => Err(problem),
        };
        let recovered = stage.end(recovered, |(recovered, _)| match recovered {
            Recovered::Nothing => "nothing to recover".to_owned(),
            Recovered::BroughtBack(release) => format!("runs {release} again"),
            Recovered::Kept(release) => format!("keeps {release}"),
        });
        recovered.ok().map(|(_, found)| found)
    }))
    .await
}

/// Whether the switch that a gateway was left in is kept on any. None where it is not, but not every gateway has said so.
fn is_kept(here: &Left, all: &[Result<Left, Problem>]) -> Option<bool> {
    let run = here.switched_by()?;
    let is_kept = all.iter().flatten().any(|left| left.keeps(run));
    (is_kept || all.iter().all(Result::is_ok)).then_some(is_kept)
}

/// Finds the release that was asked for: one that every gateway that is to be upgraded can have.
///
/// The AGW is asked what there is, whether or not it is upgraded itself; when FEGs are upgraded, one of each registry is asked
/// whether the images are there.
pub(crate) async fn resolve(
    gateways: &[Gateway],
    found: &[Found],
    upgrade: &Upgrade,
    events: &Events,
) -> Result<Target, Problem> {
    let agw = gateways.iter().find_map(|gateway| match gateway {
        Gateway::Agw(agw) => Some(agw),
        Gateway::Feg(_) => None,
    });
    let agw = agw.expect("every setup has an AGW");
    let mut fegs: Vec<(&Feg, &FegFound)> = Vec::new();
    for pair in gateways.iter().zip(found) {
        if let (Gateway::Feg(feg), Found::Feg(found)) = pair
            && upgrade.feg
            && !fegs.iter().any(|(_, other)| other.registry == found.registry)
        {
            fegs.push((feg, found));
        }
    }
    // While apt refreshes its lists.
    let logins = join_all(fegs.iter().map(|(feg, found)| async {
        feg.expect_questions(AT_ONCE).await;
        feg.login(found).await
    }));
    let (policies, logins) = tokio::join!(agw.candidates(), logins);
    let (magma, siblings) = policies?;
    let mut asked: Vec<Asked> = Vec::new();
    for (&(feg, found), login) in fegs.iter().zip(logins) {
        asked.push(Asked { feg, found, login: login? });
    }
    let releases = magma.releases();
    if releases.is_empty() {
        return Err(Unresolved::NothingOffered { gateway: agw.name(), offered: &magma.candidates }.problem());
    }
    let chosen = match &upgrade.wanted {
        Wanted::Latest => newest_complete(&releases, magma.installed.as_deref(), &asked, upgrade, events).await?,
        wanted => named(&releases, wanted, &asked).await?,
    };
    let tag = asked.first().map(|asked| asked.feg.tag_of(&chosen));
    events.say(EventKind::ReleaseResolved {
        wanted: upgrade.wanted.to_string().into(),
        version: chosen.version().into(),
        tag: tag.clone().map(Into::into),
    });
    let newer = releases.iter().filter(|other| other.newer_by(&chosen) > Duration::ZERO);
    let newer_tags = asked.first().map(|asked| newer.map(|other| asked.feg.tag_of(other)).collect());
    let mut versions = BTreeMap::new();
    for (name, policy) in siblings.into_iter().filter(|(_, policy)| policy.installed.is_some()) {
        match sibling_version(&policy, &chosen) {
            Some(version) => drop(versions.insert(name, version)),
            None => events.note(
                Step::Resolve,
                None,
                format!(
                    "`{name}` stays as it is: every version on offer was built after {chosen}, or is older than it"
                ),
            ),
        }
    }
    Ok(Target {
        release: chosen,
        siblings: versions,
        newer_tags: newer_tags.unwrap_or_default(),
        tag,
        is_forced: upgrade.is_forced,
    })
}

/// A FEG that is asked what its registry has.
struct Asked<'a> {
    feg: &'a Feg,
    found: &'a FegFound,
    login: Option<Login>,
}

/// Finds the newest release that is complete and may be gone to: the registry is asked about some at once, and answers count in order.
async fn newest_complete(
    releases: &[Release],
    installed: Option<&str>,
    asked: &[Asked<'_>],
    upgrade: &Upgrade,
    events: &Events,
) -> Result<Release, Problem> {
    let newest = &releases[0];
    let limit = upgrade.policy.max_behind;
    let is_behind = |release: &Release| newest.newer_by(release) > limit;
    let is_older =
        |release: &Release| installed.is_some_and(|installed| compare_versions(release.version(), installed).is_lt());
    let may_be = releases.iter().take_while(|release| !is_behind(release) && !is_older(release)).count();
    let ask = |release| async move { (release, missing(release, asked).await) };
    let mut answers = stream::iter(&releases[..may_be]).map(ask).buffered(AT_ONCE);
    let mut passed_over: Vec<(&Release, String)> = Vec::new();
    while let Some((release, missing)) = answers.next().await {
        match missing? {
            None => {
                for (older, reason) in passed_over {
                    events.say(EventKind::ReleasePassedOver {
                        version: older.version().into(),
                        reason: reason.into(),
                        age: older.age(),
                    });
                }
                return Ok(release.clone());
            }
            Some(reason) => passed_over.push((release, reason)),
        }
    }
    let passed_over = reasons(&passed_over);
    Err(match (releases.get(may_be), installed) {
        (Some(next), _) if is_behind(next) => {
            let complete = first_complete(&releases[may_be..], asked).await;
            Unresolved::Behind { limit, newest, complete, passed_over }
        }
        (Some(_), Some(installed)) => Unresolved::Older { installed },
        _ => Unresolved::NoneComplete { passed_over },
    }
    .problem())
}

/// Finds the newest complete release behind the limit, to be named: of the first few, as far as the registry says.
async fn first_complete<'r>(behind: &'r [Release], asked: &[Asked<'_>]) -> Option<&'r Release> {
    const MOST_ASKED: usize = 10;
    let ask = |release| async move { (release, missing(release, asked).await) };
    let mut answers = stream::iter(behind.iter().take(MOST_ASKED)).map(ask).buffered(AT_ONCE);
    while let Some((release, missing)) = answers.next().await {
        if let Ok(None) = missing {
            return Some(release);
        }
    }
    None
}

/// Why releases were passed over, a line each.
fn reasons(passed_over: &[(&Release, String)]) -> String {
    passed_over.iter().map(|(release, why)| format!("{release}: {why}")).collect::<Vec<_>>().join("\n")
}

async fn named(releases: &[Release], wanted: &Wanted, asked: &[Asked<'_>]) -> Result<Release, Problem> {
    let Some(release) = releases.iter().find(|release| wanted.is(release)) else {
        return Err(Unresolved::NotOffered { wanted, releases }.problem());
    };
    match missing(release, asked).await? {
        None => Ok(release.clone()),
        Some(reason) => Err(Unresolved::Incomplete { release, reason }.problem()),
    }
}

/// Which images of the release the registry does not have. Whatever else the registry says tells nothing, and ends it.
async fn missing(release: &Release, asked: &[Asked<'_>]) -> Result<Option<String>, Problem> {
    let answered = join_all(asked.iter().map(|Asked { feg, found, login }| async move {
        let answers = feg.images_of(found, &feg.tag_of(release), login.as_ref()).await?;
        Ok::<_, Problem>((*feg, answers))
    }));
    let mut missing = Vec::new();
    for answered in answered.await {
        let (feg, answers) = answered?;
        for (reference, answer) in answers {
            match answer {
                Answer::There => {}
                Answer::Missing => missing.push(format!("`{reference}`")),
                Answer::Unknown { status, said } => {
                    return Err(feg.registry_will_not_say(&reference, status, &said));
                }
            }
        }
    }
    Ok((!missing.is_empty()).then(|| format!("the registry does not have {}", missing.join(", "))))
}

/// Why there is no release to go to.
#[derive(Debug, Clone)]
pub(crate) enum Unresolved<'a> {
    NothingOffered {
        gateway: &'a str,
        /// The versions that are on offer and are no releases.
        offered: &'a [String],
    },
    /// What was passed over, and why, is a line each.
    Behind {
        limit: Duration,
        /// The newest package, complete or not.
        newest: &'a Release,
        /// The newest complete release that is older than the limit allows, where one was found.
        complete: Option<&'a Release>,
        passed_over: String,
    },
    Older {
        installed: &'a str,
    },
    NoneComplete {
        passed_over: String,
    },
    NotOffered {
        wanted: &'a Wanted,
        releases: &'a [Release],
    },
    Incomplete {
        release: &'a Release,
        reason: String,
    },
}

impl Unresolved<'_> {
    pub(crate) fn problem(self) -> Problem {
        match self {
            Unresolved::NothingOffered { gateway, offered } => {
                let problem = Problem::testbed(format!("the repository offers no release of `magma` to `{gateway}`"));
                let problem = match offered {
                    [] => problem,
                    _ => problem.because(format!(
                        "on offer: {}; a release is `<semver>-<unix time>-<8 hex digits of the commit>`",
                        offered.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
                    )),
                };
                problem.hint("look at the gateway's sources, keys and pins: `apt-cache policy magma`")
            }
            Unresolved::Behind { limit, newest, complete, passed_over } => Problem::testbed(format!(
                "no complete release is younger than {} before the newest package",
                format_duration(limit)
            ))
            .because(match complete {
                None => format!("{newest} is the newest package, and none of the older ones is complete either"),
                Some(complete) => {
                    let hours = newest.newer_by(complete).as_secs() / 3600;
                    let behind = format_duration(Duration::from_secs(hours * 3600));
                    format!("the newest complete release is {complete}, built {behind} before {newest}")
                }
            })
            .because(passed_over)
            .hint("the image builds have fallen behind the package builds; `release.max_behind` is the limit"),
            Unresolved::Older { installed } => {
                Problem::testbed(format!("the AGW runs {installed}, which is newer than any complete release on offer"))
                    .hint("`latest` never goes back; name the release with `--tag`")
            }
            Unresolved::NoneComplete { passed_over } => Problem::testbed("no release on offer is complete")
                .because(passed_over)
                .hint("the images are not built yet, or the registry has lost their tags"),
            Unresolved::NotOffered { wanted, releases } => {
                Problem::upgrade(format!("the repository offers no release `{wanted}`"))
                    .because(format!("{} are on offer, the newest is {}", releases.len(), releases[0]))
                    .hint("nothing was touched; `apt-cache madison magma` on the AGW lists them")
            }
            Unresolved::Incomplete { release, reason } => {
                Problem::upgrade(format!("the release {release} is not complete"))
                    .because(reason)
                    .hint("nothing was touched; `--only agw` asks for no images")
            }
        }
    }
}

/// What a night does to the gateways, once the release is known.
pub(crate) struct Switch<'a, 'g> {
    /// The gateways that are meant, and what each ran when we came.
    pub(crate) gateways: &'a [(&'g Gateway, &'g Found)],
    /// When that was looked at; of several moments the last.
    pub(crate) seen: Instant,
    pub(crate) target: Target,
    pub(crate) verify: &'a Verify,
    pub(crate) run: &'a str,
    pub(crate) events: &'a Events,
    pub(crate) stop: &'a Stop,
}

/// What a switch came to.
#[derive(Debug, Default)]
pub(crate) struct Switched<'g> {
    /// Whether all gateways run the release.
    pub(crate) is_well: bool,
    /// Those that ran it already.
    pub(crate) unchanged: Vec<&'g Gateway>,
}

impl Switched<'_> {
    /// Takes away what was laid ready where it was not needed. The night need not wait for it.
    pub(crate) async fn tidy(&self) {
        join_all(self.unchanged.iter().map(|gateway| gateway.keep())).await;
    }
}

/// A gateway on its way through the switch.
struct Leg<'g> {
    gateway: &'g Gateway,
    before: Found,
    runs: Option<String>,
    prepared: Prepared,
}

impl<'g> Switch<'_, 'g> {
    /// Brings all gateways to the release, or all of them back. What became of each is said as an event.
    pub(crate) async fn run(&self) -> Switched<'g> {
        let prepared = self
            .each(
                Step::Prepare,
                self.gateways,
                |(gateway, _)| gateway.name(),
                |&(gateway, before)| async move {
                    let runs = gateway.release_of(before);
                    let name = gateway.name().to_owned();
                    self.events.say(EventKind::GatewayFound { gateway: name, runs: runs.clone().map(Into::into) });
                    let prepare = gateway.prepare(&self.target, before, self.seen, self.verify, self.stop);
                    let prepared = self.stop.or(prepare).await??;
                    let before = match prepared {
                        Prepared::Ready => self.stop.or(gateway.look_again(before)).await??,
                        Prepared::Unchanged => before.clone(),
                    };
                    Ok(Leg { gateway, before, runs, prepared })
                },
                |leg| match leg.prepared {
                    Prepared::Unchanged => "runs the release already".to_owned(),
                    Prepared::Ready => "ready to switch, the way back is secured".to_owned(),
                },
            )
            .await;
        let is_ready = prepared.iter().all(Result::is_ok);
        let legs: Vec<Leg> = prepared.into_iter().flatten().collect();
        let (ready, unchanged): (Vec<Leg>, Vec<Leg>) =
            legs.into_iter().partition(|leg| leg.prepared == Prepared::Ready);
        for leg in &unchanged {
            self.is(leg, GatewayOutcome::Unchanged { at: self.reached(leg).into() });
        }
        let is_well = self.switch(is_ready, &ready).await;
        Switched { is_well, unchanged: unchanged.iter().map(|leg| leg.gateway).collect() }
    }

    /// Switches those that are ready, where all are, and brings them back where that does not go well. Whether all run the release.
    async fn switch(&self, is_ready: bool, ready: &[Leg<'g>]) -> bool {
        if is_ready && let Some(reason) = self.stop.reason() {
            self.events.start(Step::Activate, None).failed(reason);
        }
        if !is_ready || self.stop.reason().is_some() {
            // Also where it failed in the midst of it.
            join_all(self.gateways.iter().map(|(gateway, before)| gateway.clear(before))).await;
            for leg in ready {
                self.is(leg, GatewayOutcome::Unchanged { at: leg.runs.clone().unwrap_or_default().into() });
            }
            return false;
        }
        if ready.is_empty() {
            return true;
        }

        let is_well = crash::caught(self.go(ready)).await.unwrap_or_else(|crash| {
            self.events.crashed(&crash);
            false
        });
        if is_well {
            return self.close(ready).await;
        }
        self.restore(ready).await;
        false
    }

    /// Switches and verifies. Whether all went well.
    async fn go(&self, ready: &[Leg<'_>]) -> bool {
        let switched = self
            .each(
                Step::Activate,
                ready,
                |leg| leg.gateway.name(),
                |leg| async move { leg.gateway.activate(&self.target, &leg.before, self.run).await },
                |()| "switched".to_owned(),
            )
            .await;
        let is_stopped = self.stop.reason();
        let mut is_well = switched.iter().all(Result::is_ok) && is_stopped.is_none();
        if let Some(reason) = is_stopped {
            // Why all of them go back, when the switch itself went well.
            self.events.start(Step::Verify, None).failed(reason);
        }
        if is_well {
            let verified = self
                .each(
                    Step::Verify,
                    ready,
                    |leg| leg.gateway.name(),
                    |leg| async move { leg.gateway.verify(&self.target, &leg.before, self.verify, self.stop).await },
                    |()| "healthy and stable".to_owned(),
                )
                .await;
            is_well = verified.iter().all(Result::is_ok);
        }
        is_well
    }

    /// Closes the switch of gateways that are well. Whether nothing is left behind.
    async fn close(&self, ready: &[Leg<'g>]) -> bool {
        let mut is_closed = true;
        let finish = |leg: &Leg<'g>| caught(leg.gateway.finish(Step::Verify, Some(self.run)));
        let closed = join_all(ready.iter().map(finish)).await;
        for (leg, closed) in ready.iter().zip(closed) {
            if let Err(problem) = closed {
                // It runs the release; what is left behind is the next run's.
                self.events.start(Step::Verify, Some(leg.gateway.name())).failed(problem);
                is_closed = false;
            }
            self.is(leg, self.outcome(leg));
        }
        is_closed
    }

    async fn restore(&self, legs: &[Leg<'_>]) {
        let restored = self
            .each(
                Step::Restore,
                legs,
                |leg| leg.gateway.name(),
                |leg| async move {
                    leg.gateway.restore(&leg.before, self.run, self.verify, Step::Restore).await?;
                    leg.gateway.finish(Step::Restore, None).await
                },
                |()| "runs again what it ran".to_owned(),
            )
            .await;
        for (leg, restored) in legs.iter().zip(restored) {
            if restored.is_ok() {
                self.is(leg, GatewayOutcome::Restored { to: leg.runs.clone().unwrap_or_default().into() });
                continue;
            }
            let (runs, packages) = match caught(leg.gateway.found(Step::Restore)).await {
                Ok(now) => (
                    leg.gateway.release_of(&now).unwrap_or_else(|| "nothing that is whole".to_owned()),
                    leg.gateway.package_difference(&leg.before, &now),
                ),
                Err(_) => ("not known what it runs".to_owned(), Vec::new()),
            };
            self.finished(leg, GatewayOutcome::Mixed { runs: runs.into() }, packages);
        }
    }

    /// Does a step on each at once, and says how it went on each. Each keeps its own problem.
    async fn each<'t, T, R, F>(
        &self,
        step: Step,
        things: &'t [T],
        name: impl Fn(&'t T) -> &'t str,
        work: impl Fn(&'t T) -> F,
        text: impl Fn(&R) -> String,
    ) -> Vec<Result<R, Problem>>
    where
        F: Future<Output = Result<R, Problem>>,
    {
        join_all(things.iter().map(|thing| {
            let stage = self.events.start(step, Some(name(thing)));
            let work = work(thing);
            let text = &text;
            // A leg that panics has failed, and the legs beside it come to their end.
            async move { stage.end(caught(work).await, text) }
        }))
        .await
    }

    fn is(&self, leg: &Leg, outcome: GatewayOutcome) {
        let packages = match outcome {
            GatewayOutcome::Upgraded { .. } | GatewayOutcome::Downgraded { .. } => {
                leg.gateway.package_changes(&leg.before, &self.target)
            }
            _ => leg.gateway.package_difference(&leg.before, &leg.before),
        };
        self.finished(leg, outcome, packages);
    }

    fn finished(&self, leg: &Leg, outcome: GatewayOutcome, packages: Vec<PackageChange>) {
        self.events.say(EventKind::GatewayFinished { gateway: leg.gateway.name().to_owned(), outcome, packages });
    }

    /// What the switch did to a gateway that runs the release now.
    fn outcome(&self, leg: &Leg) -> GatewayOutcome {
        let (from, to) = (self.left(leg), self.reached(leg));
        let is_older = match (&leg.before, &leg.runs) {
            (Found::Agw(_), Some(runs)) => compare_versions(&to, runs).is_lt(),
            (Found::Feg(_), Some(runs)) => self.target.newer_tags.contains(runs),
            (_, None) => false,
        };
        match from {
            Some(from) if is_older => GatewayOutcome::Downgraded { from: from.into(), to: to.into() },
            from => GatewayOutcome::Upgraded { from: from.map(Into::into), to: to.into() },
        }
    }

    /// The release in the gateway's own words, before and after. A tag that stayed the same and moved is told by its image.
    fn left(&self, leg: &Leg) -> Option<String> {
        let runs = leg.runs.clone()?;
        match (&leg.before, &self.target.tag) {
            (Found::Feg(found), Some(tag)) if *tag == runs => Some(format!("{runs} ({})", found.images())),
            _ => Some(runs),
        }
    }

    fn reached(&self, leg: &Leg) -> String {
        match (&leg.before, &self.target.tag) {
            (Found::Feg(_), Some(tag)) => tag.clone(),
            _ => self.target.release.version().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_of_each;

    #[test]
    fn each_way_to_no_release_says_what_and_what_to_try() {
        let releases = ["1.9.1-1668500000-5d2e8f90", "1.8.0-1655110000-3f7c21ab"];
        let releases: [Release; 2] = releases.map(|version| version.parse().expect("a release"));
        let release = &releases[0];
        let offered = ["1.9.0".to_owned(), "1.8.0-rc1".to_owned()];
        let reason = "the registry does not have `registry.lab/gateway_go:5d2e8f90`";
        let passed_over = || format!("{release}: {reason}\n1.9.0-1667000500-ee50f005: {reason}");
        let limit = Duration::from_secs(7 * 24 * 3600);
        let wanted: Wanted = "5d2e8f90".parse().expect("a release is wanted");
        let unresolved = one_of_each! {
            Unresolved::NothingOffered { .. } => Unresolved::NothingOffered { gateway: "agw", offered: &offered },
            Unresolved::Behind { .. } => {
                Unresolved::Behind { limit, newest: release, complete: Some(&releases[1]), passed_over: passed_over() }
            },
            Unresolved::Older { .. } => Unresolved::Older { installed: "2.0.0-1700000000-aaaaaaaa" },
            Unresolved::NoneComplete { .. } => Unresolved::NoneComplete { passed_over: passed_over() },
            Unresolved::NotOffered { .. } => Unresolved::NotOffered { wanted: &wanted, releases: &releases },
            Unresolved::Incomplete { .. } => Unresolved::Incomplete { release, reason: reason.to_owned() },
        };
        let told = unresolved.map(|unresolved| {
            let problem = unresolved.problem();
            format!("{:?}: {}", problem.class, problem.text())
        });
        insta::assert_snapshot!(told.join("\n\n"));
    }
}
