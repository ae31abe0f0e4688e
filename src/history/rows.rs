//! What stands in the database, row by row: written and read. Knows the columns, and nothing of who asks.

use std::collections::HashMap;

use sqlx::any::{AnyQueryResult, AnyRow};
use sqlx::{AnyConnection, Row as _};
use time::OffsetDateTime;

use super::entry::{Entry, Judged, PastCase, PastGateway, PastStep, PastSuite};
use crate::gate::CameTo;
use crate::moment;
use crate::summary::{Counts, Status};

/// A night in a list.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Line {
    pub run: String,
    pub setup: Option<String>,
    pub command: String,
    pub status: Status,
    #[serde(with = "crate::moment::rfc3339")]
    pub started: OffsetDateTime,
    #[serde(with = "crate::moment::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    pub release: Option<String>,
    /// What the upgrade took, in milliseconds, where there was one.
    pub upgrade_ms: Option<u64>,
    pub counts: Counts,
    pub url: Option<String>,
}

impl Line {
    /// What [`Line::read`] reads, in its order.
    pub(super) const COLUMNS: &'static str =
        "run, setup, command, status, started, ended, release, passed, failed, errors, flaky, known, url, upgrade";

    pub(super) fn read(row: &AnyRow) -> sqlx::Result<Line> {
        Ok(Line {
            run: row.try_get("run")?,
            setup: row.try_get("setup")?,
            command: row.try_get("command")?,
            status: status(row)?,
            started: started(row)?,
            ended: row.try_get::<Option<i64>, _>("ended")?.and_then(time_of),
            release: row.try_get("release")?,
            counts: counts(row)?,
            url: row.try_get("url")?,
            upgrade_ms: unsigned(row, "upgrade")?,
        })
    }
}

pub(super) async fn write_night(change: &mut AnyConnection, entry: &Entry) -> sqlx::Result<AnyQueryResult> {
    let reasons = serde_json::to_string(&entry.reasons).expect("reasons are plain data");
    sqlx::query(
        "INSERT INTO night (run, setup, command, program, url, status, started, ended, wanted, release, passed, failed, errors, flaky, known, reasons, upgrade, strangers, unsure) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) ON CONFLICT (run) DO NOTHING",
    )
    .bind(entry.run.clone())
    .bind(entry.setup.clone())
    .bind(entry.command.clone())
    .bind(entry.program.clone())
    .bind(entry.url.clone())
    .bind(entry.status.word())
    .bind(millis(entry.started))
    .bind(entry.ended.map(millis))
    .bind(entry.wanted.clone())
    .bind(entry.release.clone())
    .bind(count(entry.counts.passed))
    .bind(count(entry.counts.failed))
    .bind(count(entry.counts.errors))
    .bind(count(entry.counts.flaky))
    .bind(count(entry.counts.known))
    .bind(reasons)
    .bind(entry.upgrade_ms.map(number))
    .bind(entry.strangers.clone())
    .bind(number(entry.unsure_ms))
    .execute(change)
    .await
}

/// Takes out a night that had not ended when it was kept, and all that belongs to it.
pub(super) async fn forget_unfinished(change: &mut AnyConnection, run: &str) -> sqlx::Result<AnyQueryResult> {
    let statement = "DELETE FROM night WHERE run = $1 AND ended IS NULL";
    sqlx::query(statement).bind(run.to_owned()).execute(change).await
}

pub(super) async fn write_gateway(
    change: &mut AnyConnection,
    run: &str,
    place: usize,
    gateway: &PastGateway,
) -> sqlx::Result<AnyQueryResult> {
    sqlx::query(
        "INSERT INTO night_gateway (run, place, gateway, before, after, outcome) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(run.to_owned())
    .bind(count(place))
    .bind(gateway.gateway.clone())
    .bind(gateway.before.clone())
    .bind(gateway.after.clone())
    .bind(gateway.outcome.clone())
    .execute(change)
    .await
}

pub(super) async fn write_step(
    change: &mut AnyConnection,
    entry: &Entry,
    place: usize,
    step: &PastStep,
) -> sqlx::Result<AnyQueryResult> {
    sqlx::query(
        "INSERT INTO night_step (run, place, step, switched, took, setup, started) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(entry.run.clone())
    .bind(count(place))
    .bind(step.step.name())
    .bind(step.switched.clone())
    .bind(number(step.took_ms))
    .bind(entry.setup.clone())
    .bind(millis(entry.started))
    .execute(change)
    .await
}

pub(super) async fn write_suite(
    change: &mut AnyConnection,
    entry: &Entry,
    place: usize,
    suite: &PastSuite,
) -> sqlx::Result<AnyQueryResult> {
    sqlx::query(
        "INSERT INTO night_suite (run, place, suite, list, host, verdict, planned, took, problem, status, setup, started) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(entry.run.clone())
    .bind(count(place))
    .bind(suite.suite.clone())
    .bind(suite.list.clone())
    .bind(suite.host.clone())
    .bind(suite.verdict.clone())
    .bind(suite.planned.map(number))
    .bind(suite.took_ms.map(number))
    .bind(suite.problem.clone())
    .bind(suite.status.word())
    .bind(entry.setup.clone())
    .bind(millis(entry.started))
    .execute(change)
    .await
}

/// Writes many cases with one statement: a database at the other end of a network answers once.
pub(super) async fn write_cases(
    change: &mut AnyConnection,
    entry: &Entry,
    suite: &str,
    first: usize,
    cases: &[PastCase],
) -> sqlx::Result<AnyQueryResult> {
    const COLUMNS: usize = 12;
    let row = |index: usize| {
        let values: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", index * COLUMNS + column)).collect();
        format!("({})", values.join(", "))
    };
    let rows: Vec<String> = (0..cases.len()).map(row).collect();
    let sql = format!(
        "INSERT INTO night_case (run, suite, place, name, attempt, judged, verdict, took, message, setup, started, came_to) VALUES {}",
        rows.join(", ")
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for (place, case) in (first..).zip(cases) {
        query = query
            .bind(entry.run.clone())
            .bind(suite.to_owned())
            .bind(count(place))
            .bind(case.case.clone())
            .bind(number(case.attempt))
            .bind(case.judged.name())
            .bind(case.verdict.clone())
            .bind(number(case.took_ms))
            .bind(case.message.clone())
            .bind(entry.setup.clone())
            .bind(millis(entry.started))
            .bind(case.came_to.map(CameTo::name));
    }
    query.execute(change).await
}

pub(super) fn read_night(
    night: &AnyRow,
    gateways: &[AnyRow],
    steps: &[AnyRow],
    suites: &[AnyRow],
    cases: &[AnyRow],
) -> sqlx::Result<Entry> {
    let reasons: String = night.try_get("reasons")?;
    let mut of_suites: HashMap<String, Vec<PastCase>> = HashMap::new();
    for case in cases {
        of_suites.entry(case.try_get("suite")?).or_default().push(read_case(case)?);
    }
    Ok(Entry {
        run: night.try_get("run")?,
        setup: night.try_get("setup")?,
        command: night.try_get("command")?,
        program: night.try_get("program")?,
        url: night.try_get("url")?,
        status: status(night)?,
        started: started(night)?,
        unsure_ms: unsigned(night, "unsure")?.unwrap_or(0),
        ended: night.try_get::<Option<i64>, _>("ended")?.and_then(time_of),
        wanted: night.try_get("wanted")?,
        release: night.try_get("release")?,
        strangers: night.try_get("strangers")?,
        upgrade_ms: unsigned(night, "upgrade")?,
        counts: counts(night)?,
        gateways: gateways.iter().map(read_gateway).collect::<sqlx::Result<_>>()?,
        steps: steps.iter().map(read_step).collect::<sqlx::Result<_>>()?,
        suites: suites.iter().map(|suite| read_suite(suite, &mut of_suites)).collect::<sqlx::Result<_>>()?,
        reasons: serde_json::from_str(&reasons).map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}

fn read_gateway(row: &AnyRow) -> sqlx::Result<PastGateway> {
    Ok(PastGateway {
        gateway: row.try_get("gateway")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
        outcome: row.try_get("outcome")?,
    })
}

pub(super) fn read_step(row: &AnyRow) -> sqlx::Result<PastStep> {
    let word: String = row.try_get("step")?;
    Ok(PastStep {
        step: serde_json::from_value(word.as_str().into()).map_err(|_| unknown("step", &word))?,
        switched: row.try_get("switched")?,
        took_ms: unsigned(row, "took")?.unwrap_or(0),
    })
}

fn read_suite(row: &AnyRow, cases: &mut HashMap<String, Vec<PastCase>>) -> sqlx::Result<PastSuite> {
    let suite: String = row.try_get("suite")?;
    Ok(PastSuite {
        list: row.try_get("list")?,
        host: row.try_get("host")?,
        verdict: row.try_get("verdict")?,
        planned: unsigned(row, "planned")?,
        took_ms: unsigned(row, "took")?,
        problem: row.try_get("problem")?,
        status: status(row)?,
        cases: cases.remove(&suite).unwrap_or_default(),
        suite,
    })
}

fn read_case(row: &AnyRow) -> sqlx::Result<PastCase> {
    Ok(PastCase {
        case: row.try_get("name")?,
        attempt: unsigned(row, "attempt")?.unwrap_or(1),
        judged: judged(&row.try_get::<String, _>("judged")?)?,
        verdict: row.try_get("verdict")?,
        took_ms: unsigned(row, "took")?.unwrap_or(0),
        message: row.try_get("message")?,
        came_to: came_to(row.try_get("came_to")?)?,
    })
}

/// What an attempt came to.
pub(super) fn judged(word: &str) -> sqlx::Result<Judged> {
    Judged::named(word).ok_or_else(|| unknown("judged", word))
}

/// What a case came to, in the row of the attempt that is shown.
pub(super) fn came_to(word: Option<String>) -> sqlx::Result<Option<CameTo>> {
    word.map(|word| CameTo::named(&word).ok_or_else(|| unknown("came_to", &word))).transpose()
}

fn counts(row: &AnyRow) -> sqlx::Result<Counts> {
    // Five of them are added up.
    const MOST: i64 = u32::MAX as i64;
    let count = |column| -> sqlx::Result<usize> {
        Ok(usize::try_from(row.try_get::<i64, _>(column)?.clamp(0, MOST)).unwrap_or(0))
    };
    Ok(Counts {
        passed: count("passed")?,
        failed: count("failed")?,
        errors: count("errors")?,
        flaky: count("flaky")?,
        known: count("known")?,
    })
}

pub(super) fn status(row: &AnyRow) -> sqlx::Result<Status> {
    let word: String = row.try_get("status")?;
    Status::named(&word).ok_or_else(|| unknown("status", &word))
}

fn unknown(what: &str, word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`{word}` in the column `{what}` is of a newer program").into())
}

fn unsigned(row: &AnyRow, column: &str) -> sqlx::Result<Option<u64>> {
    // Of what is measured nothing is longer; of what is counted nothing is more.
    let most = u64::try_from(moment::LONGEST.as_millis()).unwrap_or(u64::MAX);
    Ok(row.try_get::<Option<i64>, _>(column)?.map(|value| u64::try_from(value).unwrap_or(0).min(most)))
}

pub(super) fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// None of one that this program cannot show. No query asks for a run with such a start: [`IN_TIME`].
pub(super) fn time_of(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok().and_then(moment::checked)
}

pub(super) fn started(row: &AnyRow) -> sqlx::Result<OffsetDateTime> {
    let millis = row.try_get("started")?;
    time_of(millis).ok_or_else(|| sqlx::Error::Decode(format!("`{millis}` in the column `started` is no time").into()))
}

/// The condition of a run whose start is a time that passes: [`moment::FIRST`] and [`moment::LAST`] in milliseconds.
pub(super) const IN_TIME: &str = "started BETWEEN 0 AND 221845132800000";
