//! May a release ship? The nights that tested it answer, by the rules of today.

use std::time::Duration;

use serde::Serialize;
use sqlx::Row as _;
use time::{Date, OffsetDateTime};

use super::entry::{Entry, Judged, PastSuite};
use super::past::TESTED;
use super::rows::{IN_TIME, Line, millis};
use super::{HistoryError, Store};
use crate::gate::{CameTo, Flaky, Gate, Required};
use crate::memory::Past;
use crate::release::{Release, Wanted};
use crate::summary::{About, Reason, Status};

/// The time zones of the world lie at most 14 hours from UTC.
pub(super) const MOST_UNSURE: Duration = Duration::from_secs(14 * 3600);

/// What is asked of a release.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub wanted: Wanted,
    /// Setups with the suites that must have passed there.
    pub required: Vec<(String, Vec<String>)>,
    /// Nights before this time say nothing any more.
    pub since: OffsetDateTime,
    pub gate: Gate,
    pub today: Date,
}

/// Whether a release may ship, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    /// What was asked for.
    pub wanted: String,
    /// The release, where a night has tested it.
    pub release: Option<String>,
    pub verdict: Ships,
    pub suites: Vec<Asked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ships {
    Yes,
    /// It is not known: something that must have passed has not been run.
    Unknown,
    No,
}

impl Ships {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Ships::Yes => Status::Passed.code(),
            Ships::No => Status::TestsFailed.code(),
            Ships::Unknown => Status::Inconclusive.code(),
        }
    }
}

/// A suite on a setup, and what it says of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Asked {
    pub setup: String,
    pub suite: String,
    pub verdict: Ships,
    /// The night that says so.
    pub night: Option<Past>,
    /// What keeps it from having passed: cases, or why nothing is known.
    pub why: Vec<String>,
}

impl Store {
    /// Answers whether a release passed every suite that it must have passed.
    pub(crate) async fn may_ship(&self, question: &Question) -> Result<Answer, HistoryError> {
        let release = self.release(question).await?;
        let mut suites = Vec::new();
        for (setup, names) in &question.required {
            for suite in names {
                let asked = match &release {
                    Some(release) => self.asked(question, release, setup, suite).await?,
                    None => Asked::unknown(setup, suite, "no night has tested this release".to_owned()),
                };
                suites.push(asked);
            }
        }
        let verdict = suites.iter().map(|asked| asked.verdict).max().unwrap_or(Ships::Unknown);
        Ok(Answer { wanted: question.wanted.to_string(), release, verdict, suites })
    }

    /// The release that is meant: the newest by its build that has been tested, or the one that was named.
    async fn release(&self, question: &Question) -> Result<Option<String>, HistoryError> {
        let setups: Vec<&str> = question.required.iter().map(|(setup, _)| setup.as_str()).collect();
        let sql = format!(
            "SELECT DISTINCT release, setup FROM night \
             WHERE release IS NOT NULL AND setup IS NOT NULL AND started >= $1 AND {IN_TIME} AND {TESTED}"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(millis(question.since));
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.unread(error))?;
        let read = || -> sqlx::Result<Vec<(String, String)>> {
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
        };
        let known = read().map_err(|error| self.unread(error))?;
        let releases = known.iter().filter(|(_, setup)| setups.contains(&setup.as_str()));
        let meant = releases.filter_map(|(release, _)| release.parse::<Release>().ok());
        let meant = meant.filter(|release| question.wanted.is(release));
        Ok(meant.max_by_key(Release::built).map(|release| release.version().to_owned()))
    }

    /// Asks the newest nights of a release for a verdict on a suite; one that could not tell is passed over. Of nights of
    /// which it is not known which is the newest, the worst counts.
    async fn asked(&self, question: &Question, release: &str, setup: &str, suite: &str) -> Result<Asked, HistoryError> {
        let sql = format!(
            "SELECT {} FROM night WHERE release = $1 AND setup = $2 AND started >= $3 AND {IN_TIME} \
             AND run IN (SELECT run FROM night_suite WHERE setup = $2 AND suite = $4) ORDER BY started DESC",
            Line::COLUMNS
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(release.to_owned()).bind(setup.to_owned());
        let query = query.bind(millis(question.since)).bind(suite.to_owned());
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.unread(error))?;
        let now = OffsetDateTime::now_utc();
        let mut untold = None;
        let mut told: Option<(Asked, OffsetDateTime)> = None;
        for row in &rows {
            let line = Line::read(row).map_err(|error| self.unread(error))?;
            if told.as_ref().is_some_and(|(_, earliest)| line.started + MOST_UNSURE < *earliest) {
                break;
            }
            let Some(night) = self.night(&line.run).await? else { continue };
            let Some(past) = night.suites.iter().find(|past| past.suite == suite) else { continue };
            let asked = judged(question, &night, past);
            // A run of the future comes from a clock that is wrong: any other may be the newer one.
            let is_ahead = night.started > now;
            let unsure = if is_ahead { MOST_UNSURE } else { Duration::from_millis(night.unsure_ms).min(MOST_UNSURE) };
            let started = night.started.min(now);
            match &told {
                _ if asked.verdict == Ships::Unknown => _ = untold.get_or_insert(asked),
                None => told = Some((asked, started - unsure)),
                // Which of the two is the newer one is not known: the worse one counts.
                Some((newest, earliest)) if started + unsure >= *earliest && asked.verdict > newest.verdict => {
                    told = Some((asked, *earliest));
                }
                Some(_) => {}
            }
        }
        let asked = told.map(|(asked, _)| asked).or(untold);
        Ok(asked.unwrap_or_else(|| Asked::unknown(setup, suite, "it has not been run on this release".to_owned())))
    }
}

/// What a suite of a night says, by the rules of today: a failure that is known by now is none, one that is no longer is one.
fn judged(question: &Question, night: &Entry, suite: &PastSuite) -> Asked {
    let gate = &question.gate;
    // What failed there may be the doing of a gateway that ran something else.
    if let Some(strangers) = &night.strangers {
        return Asked::says(night, suite, Ships::Unknown, vec![strangers.clone()]);
    }
    // Something in the program went wrong, and what it did not do or hear is not known.
    if night.status == Status::InternalError {
        let why = night.reasons.iter().find(|reason| reason.status == Status::InternalError);
        let why = why.map_or_else(|| night.status.to_string(), |reason| reason.text.clone());
        return Asked::says(night, suite, Ships::Unknown, vec![why]);
    }
    let (mut failed, mut unknown) = (Vec::new(), Vec::new());
    if let Required::Named(named) = &gate.required {
        let is_there = |name: &&String| suite.cases.iter().any(|case| case.case == **name && case.came_to.is_some());
        let missing = named.get(&suite.suite).into_iter().flatten().filter(|name| !is_there(name));
        unknown.extend(missing.map(|name| format!("{name} was not run")));
    }
    for case in &suite.cases {
        let Some(came_to) = case.came_to else { continue };
        let is_known = gate.known(&suite.suite, &case.case, question.today).is_some();
        match came_to {
            CameTo::Passed if is_known && gate.strict => unknown.push(format!("{} (known, and passed)", case.case)),
            CameTo::Passed => {}
            CameTo::Failed | CameTo::Known if is_known => {}
            CameTo::Flaky if gate.flaky == Flaky::Pass || is_known => {}
            // It was known to be missing.
            CameTo::Known if case.judged == Judged::Error => unknown.push(format!("{} was not run", case.case)),
            CameTo::Failed | CameTo::Known => failed.push(case.case.clone()),
            CameTo::Flaky => failed.push(format!("{} (flaky)", case.case)),
            CameTo::Error => unknown.push(case.case.clone()),
        }
    }
    // What was planned and has no outcome may be what would have failed.
    let shown = suite.cases.iter().filter(|case| case.came_to.is_some()).count() as u64;
    if let Some(planned) = suite.planned.filter(|&planned| planned > shown && unknown.is_empty()) {
        unknown.push(format!("{shown} of {planned} planned cases have an outcome"));
    }
    // A suite may have failed as a whole: it was slower than it may be.
    let is_slow =
        |reason: &&Reason| matches!(&reason.about, About::Suite { suite: name, is_slow: true } if *name == suite.suite);
    failed.extend(night.reasons.iter().filter(is_slow).map(|reason| reason.text.clone()));
    // A failure comes before what could not be told, and may be known by now.
    let is_of_suite =
        |reason: &&Reason| matches!(&reason.about, About::Suite { suite: name, .. } if *name == suite.suite);
    let untold = night.reasons.iter().filter(is_of_suite).find(|reason| !reason.status.is_verdict());
    if unknown.is_empty() && (untold.is_some() || !suite.status.is_verdict()) {
        let why = suite.problem.clone().or_else(|| untold.map(|reason| reason.text.clone()));
        unknown.push(why.unwrap_or_else(|| suite.status.to_string()));
    }
    let (verdict, why) = if !failed.is_empty() {
        (Ships::No, failed)
    } else if !unknown.is_empty() {
        (Ships::Unknown, unknown)
    } else {
        (Ships::Yes, Vec::new())
    };
    Asked::says(night, suite, verdict, why)
}

impl Asked {
    /// What a suite of a night says.
    fn says(night: &Entry, suite: &PastSuite, verdict: Ships, why: Vec<String>) -> Asked {
        let setup = night.setup.clone().unwrap_or_default();
        Asked { setup, suite: suite.suite.clone(), verdict, night: Some(night.past()), why }
    }

    fn unknown(setup: &str, suite: &str, why: String) -> Asked {
        Asked { setup: setup.to_owned(), suite: suite.to_owned(), verdict: Ships::Unknown, night: None, why: vec![why] }
    }
}
