//! What the nights before say: how each case went over time, and what is usual. Asks the database and decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::entry::Judged;
use super::rows::{IN_TIME, Line, came_to, count, judged, millis, read_step, started};
use super::{HistoryError, Store};
use crate::event::Step;
use crate::gate::CameTo;
use crate::memory::{CaseMemory, Memory, Past, StepMemory, SuiteMemory};
use crate::summary::Status;
use time::OffsetDateTime;

/// Of how many nights the median is taken.
const SAMPLES: usize = 10;
/// How many steps are looked at: those of about as many nights as are shown.
const STEPS: usize = 1000;
/// Fewer say nothing.
const LEAST_SAMPLES: usize = 3;

/// What a case came to in a night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The night's place among those that were asked for.
    pub night: usize,
    pub suite: String,
    pub case: String,
    pub came_to: CameTo,
    pub took: Duration,
    /// What the attempt that is shown came to by itself.
    pub judged: Judged,
}

/// What a suite came to in a night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SuiteOutcome {
    /// The night's place among those that were asked for.
    pub night: usize,
    pub suite: String,
    pub status: Status,
    pub took: Option<Duration>,
}

/// Nights that tested, the oldest first, and what was found in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nights {
    pub nights: Vec<Line>,
    pub suites: Vec<SuiteOutcome>,
    pub cases: Vec<Outcome>,
}

/// The condition of a night that tested.
pub(super) const TESTED: &str = "passed + failed + errors + flaky + known > 0";

impl Past {
    pub(super) fn of(line: &Line) -> Past {
        Past { run: line.run.clone(), started: line.started, release: line.release.clone() }
    }
}

impl Store {
    /// The last nights on a setup that tested, the oldest first.
    pub(crate) async fn nights(&self, setup: &str, limit: usize) -> Result<Nights, HistoryError> {
        let chosen =
            format!("FROM night WHERE setup = $1 AND {TESTED} AND {IN_TIME} ORDER BY started DESC, run DESC LIMIT $2");
        let rows = self.of_setup(format!("SELECT {} {chosen}", Line::COLUMNS), setup, limit).await?;
        let mut nights: Vec<Line> = self.readable(rows.iter().map(Line::read)).collect();
        nights.reverse();
        let places: HashMap<String, usize> = nights.iter().map(|night| night.run.clone()).zip(0..).collect();
        // A run that was kept since they were listed has no place among them.
        let place =
            |row: &AnyRow| -> sqlx::Result<Option<usize>> { Ok(places.get(&row.try_get::<String, _>(0)?).copied()) };

        let sql = format!("SELECT run, suite, status, took FROM night_suite WHERE run IN (SELECT run {chosen})");
        let rows = self.of_setup(sql, setup, limit).await?;
        let suite = |row: &AnyRow| -> sqlx::Result<Option<SuiteOutcome>> {
            let Some(night) = place(row)? else { return Ok(None) };
            Ok(Some(SuiteOutcome {
                night,
                suite: row.try_get(1)?,
                status: super::rows::status(row)?,
                took: row.try_get::<Option<i64>, _>(3)?.map(took),
            }))
        };
        let suites = self.readable(rows.iter().filter_map(|row| suite(row).transpose())).collect();

        let sql = format!(
            "SELECT run, suite, name, came_to, took, judged FROM night_case WHERE came_to IS NOT NULL AND run IN (SELECT run {chosen})"
        );
        let rows = self.of_setup(sql, setup, limit).await?;
        let case = |row: &AnyRow| -> sqlx::Result<Option<Outcome>> {
            let (Some(night), Some(came_to)) = (place(row)?, came_to(row.try_get(3)?)?) else { return Ok(None) };
            Ok(Some(Outcome {
                night,
                suite: row.try_get(1)?,
                case: row.try_get(2)?,
                came_to,
                took: took(row.try_get(4)?),
                judged: judged(&row.try_get::<String, _>(5)?)?,
            }))
        };
        let cases = self.readable(rows.iter().filter_map(|row| case(row).transpose()));
        let mut cases: Vec<Outcome> = cases.collect();
        cases.sort_by_key(|outcome| outcome.night);
        Ok(Nights { nights, suites, cases })
    }

    async fn of_setup(&self, sql: String, setup: &str, limit: usize) -> Result<Vec<AnyRow>, HistoryError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(setup.to_owned()).bind(count(limit));
        query.fetch_all(&self.pool).await.map_err(|error| self.unread(error))
    }

    /// What the last nights on a setup, and those before them, say of these suites.
    pub(crate) async fn recall(&self, setup: &str, suites: &[String], past: &Nights) -> Result<Memory, HistoryError> {
        let now = OffsetDateTime::now_utc();
        let (previous, steps) = (past.nights.last().map(Past::of), self.usual_steps(setup).await?);
        let mut memory = Memory { previous, suites: BTreeMap::new(), steps };
        for suite in suites {
            let mut cases = past.remembered(suite);
            for (name, case) in &mut cases {
                // What happened before all of these nights is asked for.
                if case.last_good.is_none() {
                    let since = self.since(setup, (suite, name), now).await?;
                    (case.last_good, case.bad_since, case.unknown_since) = (since.good, since.bad, since.unknown);
                }
            }
            for name in self.baseline(setup, suite).await? {
                cases.entry(name).or_default().is_baseline = true;
            }
            memory.suites.insert(suite.clone(), SuiteMemory { usual: past.usual_of_suite(suite), cases });
        }
        Ok(memory)
    }

    /// What the steps of the last nights on a setup usually took, whether or not these nights tested.
    async fn usual_steps(&self, setup: &str) -> Result<Vec<StepMemory>, HistoryError> {
        let sql = format!(
            "SELECT step, switched, took FROM night_step WHERE setup = $1 AND {IN_TIME} ORDER BY started DESC LIMIT $2"
        );
        let rows = self.of_setup(sql, setup, STEPS).await?;
        let mut times: BTreeMap<(Step, String), Vec<Duration>> = BTreeMap::new();
        for row in rows.iter().rev() {
            let Some(past) = self.readable(std::iter::once(read_step(row))).next() else { continue };
            times.entry((past.step, past.switched)).or_default().push(Duration::from_millis(past.took_ms));
        }
        let usual = |((step, switched), times)| Some(StepMemory { step, switched, usual: median(times)? });
        Ok(times.into_iter().filter_map(usual).collect())
    }

    /// When a case last passed before a time, and first did not since then.
    pub(crate) async fn since(
        &self,
        setup: &str,
        (suite, case): (&str, &str),
        before: OffsetDateTime,
    ) -> Result<Turn, HistoryError> {
        // What the gate makes of a case that passed is not the case's doing.
        let good = "(came_to IN ('passed', 'flaky') OR came_to IS NOT NULL AND judged = 'passed')";
        let good = self.found(setup, (suite, case), (i64::MIN, millis(before)), good, "DESC").await?;
        let after = good.as_ref().map_or(i64::MIN, |good| millis(good.started) + 1);
        let window = (after, millis(before));
        let bad = self.found(setup, (suite, case), window, "came_to IS NOT NULL AND judged = 'failed'", "ASC").await?;
        let unknown = self.found(setup, (suite, case), window, "came_to IS NOT NULL", "ASC").await?;
        Ok(Turn { good, bad, unknown })
    }

    async fn found(
        &self,
        setup: &str,
        (suite, case): (&str, &str),
        (from, to): (i64, i64),
        condition: &str,
        order: &str,
    ) -> Result<Option<Past>, HistoryError> {
        let sql = format!(
            "SELECT run, started, (SELECT release FROM night WHERE night.run = night_case.run) FROM night_case \
             WHERE setup = $1 AND suite = $2 AND name = $3 AND started >= $4 AND started < $5 AND {IN_TIME} \
             AND {condition} ORDER BY started {order} LIMIT 1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(setup.to_owned()).bind(suite.to_owned());
        let query = query.bind(case.to_owned()).bind(from).bind(to);
        let row = query.fetch_optional(&self.pool).await.map_err(|error| self.unread(error))?;
        let past = |row: AnyRow| -> sqlx::Result<Past> {
            Ok(Past { run: row.try_get(0)?, started: started(&row)?, release: row.try_get(2)? })
        };
        row.map(past).transpose().map_err(|error| self.unread(error))
    }

    /// The cases of the last green night of a suite: those that NG40 has judged in any attempt. What is imported need not be whole.
    async fn baseline(&self, setup: &str, suite: &str) -> Result<BTreeSet<String>, HistoryError> {
        let query = sqlx::query(
            "SELECT DISTINCT name FROM night_case WHERE suite = $2 AND judged IN ('passed', 'failed') AND run = \
             (SELECT s.run FROM night_suite s JOIN night n ON n.run = s.run WHERE s.setup = $1 AND s.suite = $2 \
             AND s.status = 'passed' AND n.command NOT IN ('import', 'report') \
             AND s.started BETWEEN 0 AND 221845132800000 ORDER BY s.started DESC LIMIT 1)",
        );
        let query = query.bind(setup.to_owned()).bind(suite.to_owned());
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.unread(error))?;
        rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(|error| self.unread(error))
    }
}

/// The turn of a case from good to bad.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The last night in which it passed.
    pub good: Option<Past>,
    /// The first night since then in which it failed.
    pub bad: Option<Past>,
    /// The first night since then in which it did anything else than pass.
    pub unknown: Option<Past>,
}

impl Nights {
    /// What these nights say of the cases of a suite.
    fn remembered(&self, suite: &str) -> BTreeMap<String, CaseMemory> {
        let outcomes = || self.cases.iter().filter(|outcome| outcome.suite == suite);
        let last = outcomes().map(|outcome| outcome.night).max();
        let mut cases: BTreeMap<String, CaseMemory> = BTreeMap::new();
        let mut times: HashMap<&str, Vec<Duration>> = HashMap::new();
        for outcome in outcomes() {
            let case = cases.entry(outcome.case.clone()).or_default();
            let night = Past::of(&self.nights[outcome.night]);
            case.before = (Some(outcome.night) == last).then_some(outcome.came_to);
            if outcome.came_to.is_good() || outcome.judged == Judged::Passed {
                *case = CaseMemory { last_good: Some(night), before: case.before, ..CaseMemory::default() };
            } else {
                if outcome.judged == Judged::Failed {
                    case.bad_since.get_or_insert(night.clone());
                }
                case.unknown_since.get_or_insert(night);
            }
            if outcome.came_to == CameTo::Passed {
                times.entry(&outcome.case).or_default().push(outcome.took);
            }
        }
        for (name, times) in times {
            cases.entry(name.to_owned()).or_default().usual = median(times);
        }
        cases
    }

    fn usual_of_suite(&self, suite: &str) -> Option<Duration> {
        let mut whole: Vec<&SuiteOutcome> = self.suites.iter().filter(|outcome| outcome.suite == suite).collect();
        whole.retain(|outcome| outcome.status.is_verdict());
        whole.sort_by_key(|outcome| outcome.night);
        median(whole.into_iter().filter_map(|outcome| outcome.took).collect())
    }
}

/// The median of the last samples.
fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.drain(..times.len().saturating_sub(SAMPLES));
    times.sort();
    (times.len() >= LEAST_SAMPLES).then(|| times[times.len() / 2])
}

fn took(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
