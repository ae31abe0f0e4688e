//! Two nights side by side: what is new, what is fixed, what is still so.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::entry::{Entry, PastCase};
use super::{HistoryError, Store};
use crate::event::{is_nameless, seconds};
use crate::gate::CameTo;
use crate::memory::Past;
use crate::summary::{commits, is_slower};

/// A passing case is slower when it took so many times as long.
const MULTIPLE: f64 = 1.5;

/// What one night found, compared with another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub a: Past,
    pub b: Past,
    /// The address of the commits between the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits: Option<String>,
    /// Fails in `b`, and did not in `a`.
    pub new: Vec<Found>,
    /// Passes in `b`, and did not in `a`.
    pub fixed: Vec<Found>,
    /// Does not pass in either.
    pub still: Vec<Found>,
    pub flaky: Vec<Found>,
    pub known: Vec<Found>,
    pub slower: Vec<Slower>,
    /// Was there in `a`, and is not in `b`.
    pub missing: Vec<Found>,
    /// Is there in `b`, and was not in `a`.
    pub added: Vec<Found>,
}

/// A case, and since when it is as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Found {
    pub suite: String,
    pub case: String,
    pub came_to: CameTo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last night before `b` in which it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Past>,
    /// The first night since then in which it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_since: Option<Past>,
    /// The address of the commits between these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits: Option<String>,
}

/// A case that took longer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Slower {
    pub suite: String,
    pub case: String,
    #[serde(with = "seconds")]
    pub took: Duration,
    #[serde(with = "seconds")]
    pub before: Duration,
}

impl Entry {
    /// What each case came to: the attempt that is shown.
    fn outcomes(&self) -> BTreeMap<(&str, &str), (CameTo, &PastCase)> {
        let of_suite = self.suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
        let shown = of_suite
            .filter_map(|(suite, case)| Some(((suite.suite.as_str(), case.case.as_str()), (case.came_to?, case))));
        shown.collect()
    }
}

/// Compares two nights; `link` is where the commits between two releases are.
pub(super) async fn compare(
    store: &Store,
    a: &Entry,
    b: &Entry,
    link: Option<&str>,
) -> Result<Comparison, HistoryError> {
    let (before, now) = (a.outcomes(), b.outcomes());
    let mut comparison = Comparison {
        commits: link.and_then(|link| commits(link, &a.past(), &b.past())),
        a: a.past(),
        b: b.past(),
        new: Vec::new(),
        fixed: Vec::new(),
        still: Vec::new(),
        flaky: Vec::new(),
        known: Vec::new(),
        slower: Vec::new(),
        missing: Vec::new(),
        added: Vec::new(),
    };
    for (&(suite, name), &(is, case)) in &now {
        let was = before.get(&(suite, name)).map(|(was, _)| *was);
        let mut found = Found::new(suite, name, is, case.message.as_deref());
        if !is.is_good() {
            found.ask(store, b, link).await?;
        }
        if was.is_none() {
            comparison.added.push(Found { message: None, ..found.clone() });
        }
        match (is, was) {
            (CameTo::Flaky, _) => comparison.flaky.push(found),
            (CameTo::Known, _) => comparison.known.push(found),
            (CameTo::Passed, Some(CameTo::Failed | CameTo::Error | CameTo::Known)) => comparison.fixed.push(found),
            (CameTo::Passed, _) => {
                let old = before.get(&(suite, name)).filter(|_| was == Some(CameTo::Passed));
                comparison.slower.extend(old.and_then(|(_, old)| Slower::of(suite, old, case)));
            }
            (CameTo::Failed | CameTo::Error, Some(CameTo::Failed | CameTo::Error)) => comparison.still.push(found),
            (CameTo::Failed | CameTo::Error, _) => comparison.new.push(found),
        }
    }
    let ran: Vec<&str> =
        b.suites.iter().filter(|suite| !suite.cases.is_empty()).map(|suite| suite.suite.as_str()).collect();
    let gone = before.iter().filter(|((suite, name), _)| !now.contains_key(&(*suite, *name)) && ran.contains(suite));
    comparison.missing = gone.map(|((suite, name), (came_to, _))| Found::new(suite, name, *came_to, None)).collect();
    Ok(comparison)
}

impl Found {
    fn new(suite: &str, case: &str, came_to: CameTo, message: Option<&str>) -> Found {
        Found {
            suite: suite.to_owned(),
            case: case.to_owned(),
            came_to,
            message: message.map(str::to_owned),
            last_good: None,
            bad_since: None,
            commits: None,
        }
    }

    /// Asks since when it is so, as it was known in the night `b`.
    async fn ask(&mut self, store: &Store, b: &Entry, link: Option<&str>) -> Result<(), HistoryError> {
        let Some(setup) = b.setup.as_deref().filter(|_| !is_nameless(&self.case)) else { return Ok(()) };
        // The night itself is one in which it did not pass.
        let until = b.started + Duration::from_millis(1);
        let turn = store.since(setup, (&self.suite, &self.case), until).await?;
        self.last_good = turn.good;
        self.bad_since = if self.came_to == CameTo::Error { turn.unknown } else { turn.bad };
        let between = self.last_good.as_ref().zip(self.bad_since.as_ref());
        self.commits = link.zip(between).and_then(|(link, (good, bad))| commits(link, good, bad));
        Ok(())
    }
}

impl Slower {
    fn of(suite: &str, old: &PastCase, new: &PastCase) -> Option<Slower> {
        let (before, took) = (Duration::from_millis(old.took_ms), Duration::from_millis(new.took_ms));
        is_slower(took, before, MULTIPLE).then(|| Slower {
            suite: suite.to_owned(),
            case: new.case.clone(),
            took,
            before,
        })
    }
}
