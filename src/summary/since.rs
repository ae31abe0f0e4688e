//! Since when a case does not pass: what the engineer wants to know at eight in the morning.

use serde::Serialize;
use time::OffsetDateTime;

use super::standing::slower;
use super::{GatewayRun, JudgedSuite, Standing, Summary};
use crate::event::GatewayOutcome;
use crate::gate::{CameTo, day};
use crate::memory::Past;
use crate::release::Release;

/// The name of the access gateway.
const AGW: &str = "agw";

/// Since when a case does not pass, by this night and those before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Since {
    /// The last night in which it passed; none as far as history goes.
    pub good: Option<Past>,
    /// The first night since then in which it did not; it may be this one.
    pub bad: Past,
    /// Whether it is this night's own.
    pub is_new: bool,
    /// Whether history knows the case at all.
    pub is_known: bool,
    /// The address of the commits between.
    pub commits: Option<String>,
}

impl Since {
    /// In a sentence.
    pub(crate) fn text(&self) -> String {
        let on = |past: &Past| {
            let release = past.release.as_ref().map(|release| format!(" on {release}")).unwrap_or_default();
            format!("{}{release}", day::text(past.started.date()))
        };
        match (&self.good, self.is_new) {
            (_, true) if !self.is_known => "new: no night before had it".to_owned(),
            (Some(good), true) => format!("new: it passed last {}", on(good)),
            (None, true) => "new".to_owned(),
            (Some(good), false) => format!("since {}; it passed last {}", on(&self.bad), on(good)),
            (None, false) => format!("since {}, as far as history goes", on(&self.bad)),
        }
    }
}

/// What is other than in the nights before, beside the failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Passed in one attempt and not in another.
    pub flaky: Vec<(String, String)>,
    /// Passes, and failed when its suite last ran. Suite and case, here and below.
    pub fixed: Vec<(String, String)>,
    /// Was there when its suite last ran.
    pub missing: Vec<(String, String)>,
    /// Is listed as a known failure, and passed.
    pub obsolete: Vec<(String, String)>,
    /// Cases, and suites without a case, with what they took and what is usual.
    pub slower: Vec<(String, Option<String>, String)>,
}

impl Summary {
    /// What has changed since the nights before.
    pub(crate) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for suite in self.judged().filter(|suite| suite.end.is_some()) {
            let standings = suite.standings();
            let name = |case: &str| (suite.suite.clone(), case.to_owned());
            for standing in &standings {
                let case = standing.case.name.shown();
                let before = suite.remembered(case).and_then(|case| case.before);
                if standing.came_to == CameTo::Passed && matches!(before, Some(CameTo::Failed | CameTo::Known)) {
                    changes.fixed.push(name(case));
                }
                if standing.came_to == CameTo::Flaky && !standing.case.is_nameless() {
                    changes.flaky.push(name(case));
                }
                if standing.is_fixed() {
                    changes.obsolete.push(name(case));
                }
                if let Some(usual) = standing.slower_than {
                    changes.slower.push((suite.suite.clone(), Some(case.to_owned()), slower(standing.took(), usual)));
                }
            }
            if let Some((text, _)) = suite.slower() {
                changes.slower.push((suite.suite.clone(), None, text));
            }
            let is_there = |case: &str| standings.iter().any(|standing| standing.case.name.shown() == case);
            if !standings.is_empty() {
                let was_run = |before| matches!(before, Some(CameTo::Passed | CameTo::Flaky | CameTo::Failed));
                let before = suite.remembered_cases().filter(|(_, case)| was_run(case.before));
                changes.missing.extend(before.filter(|(case, _)| !is_there(case)).map(|(case, _)| name(case)));
            }
        }
        changes
    }

    /// Since when a case that did not pass does not; none where history was not asked, or the case is none of its own.
    pub(crate) fn since(&self, suite: &JudgedSuite<'_>, standing: &Standing<'_>) -> Option<Since> {
        // The first night of all compares with nothing.
        self.memory.as_ref()?.previous.as_ref()?;
        if standing.came_to.is_good() || standing.is_passed() || standing.case.is_nameless() {
            return None;
        }
        let night = self.night.as_ref()?;
        let remembered = suite.remembered(standing.case.name.shown());
        let good = remembered.and_then(|case| case.last_good.clone());
        // A night that could not tell is no night in which it failed.
        let before = remembered.and_then(|case| match standing.came_to {
            CameTo::Failed => case.bad_since.clone(),
            _ => case.unknown_since.clone(),
        });
        let is_new = before.is_none();
        let tonight = || Past {
            run: night.run.clone(),
            started: self.started.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            release: self.tested(),
        };
        let bad = before.unwrap_or_else(tonight);
        let commits = night.compare.as_deref().and_then(|template| commits(template, good.as_ref()?, &bad));
        Some(Since { good, bad, is_new, is_known: remembered.is_some(), commits })
    }

    /// The release that was tested: what the access gateway runs.
    pub(crate) fn tested(&self) -> Option<String> {
        let agw = self.gateways.iter().find(|gateway| gateway.gateway == AGW);
        agw.and_then(GatewayRun::after).map(str::to_owned)
    }

    /// The gateways that are not known to run the release of the access gateway, with what they run: a night on these says nothing of it.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let template = self.night.as_ref().and_then(|night| night.tag.as_deref()).unwrap_or("{commit}");
        let release = self.tested().and_then(|release| release.parse::<Release>().ok());
        let tag = release.map(|release| release.fill(template));
        // A tag that has moved is told with its image behind it.
        let is_of_it = |runs: &str| tag.as_deref() == runs.split(' ').next();
        // A tag that many releases have in turn tells which one runs only where this night has brought all to the same.
        let is_of_one = ["{commit}", "{version}"].iter().any(|part| template.contains(part));
        let is_brought = |gateway: &GatewayRun| {
            matches!(
                gateway.outcome,
                Some(
                    GatewayOutcome::Upgraded { .. }
                        | GatewayOutcome::Downgraded { .. }
                        | GatewayOutcome::Unchanged { .. }
                )
            )
        };
        let is_told = is_of_one || self.gateways.iter().any(|gateway| gateway.gateway == AGW && is_brought(gateway));
        let others = self.gateways.iter().filter(|gateway| gateway.gateway != AGW);
        let stranger = |gateway: &GatewayRun| {
            let name = &gateway.gateway;
            match gateway.after() {
                None => Some(format!("`{name}` ran nothing that is known")),
                Some(runs) if !is_of_it(runs) => Some(format!("`{name}` ran {runs}")),
                Some(runs) if !is_told || !(is_of_one || is_brought(gateway)) => {
                    Some(format!("`{name}` ran {runs}, which may be of another release"))
                }
                Some(_) => None,
            }
        };
        others.filter_map(stranger).collect()
    }
}

/// The address of the commits between two releases, where both are known and differ.
pub(crate) fn commits(template: &str, good: &Past, bad: &Past) -> Option<String> {
    let commit =
        |past: &Past| past.release.as_ref()?.parse::<Release>().ok().map(|release| release.commit().to_owned());
    let (good, bad) = (commit(good)?, commit(bad)?);
    (good != bad).then(|| template.replace("{good}", &good).replace("{bad}", &bad))
}
