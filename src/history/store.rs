//! The database of the nights: SQLite in a file, or PostgreSQL, with one set of statements. Knows no night that is under way.

use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyQueryResult, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, Row as _, Transaction};
use time::OffsetDateTime;

use super::entry::{Entry, Judged, PastCase, PastGateway, PastSuite};
use super::{Filter, HistoryError};
use crate::config::Database;
use crate::secret::Secret;
use crate::summary::{Counts, Status};

/// The steps from one version of the schema to the next.
const SCHEMA: &[&str] = &[include_str!("schema/1.sql")];
/// The key under which PostgreSQL has one program after the other change the schema.
const SCHEMA_LOCK: i64 = 0x7465_7261_766d;
/// PostgreSQL takes 65535 values in a statement, SQLite 32766.
const CASES_AT_ONCE: usize = 1000;

/// A database that is open.
#[derive(Debug)]
pub(crate) struct Store {
    pool: AnyPool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

/// Whether a night was new to the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    New,
    Known,
}

impl Store {
    /// Opens the database, which is made where there is none, and brings its schema to this program's version.
    pub(crate) async fn open(
        database: &Database,
        password: Option<&Secret>,
        timeout: Duration,
    ) -> Result<Store, HistoryError> {
        sqlx::any::install_default_drivers();
        let (kind, url) = match database {
            Database::Sqlite(path) => (Kind::Sqlite, sqlite_url(path)),
            Database::Postgres(url) => (Kind::Postgres, with_password(url, password)),
        };
        let options = AnyPoolOptions::new().max_connections(1).acquire_timeout(timeout);
        let failed = |source| HistoryError::Open { database: database.to_string(), source };
        let pool = options.connect(url.as_str()).await.map_err(failed)?;
        let store = Store { pool, kind };
        store.bring_up_to_date(database).await?;
        Ok(store)
    }

    /// Waits until what was written is in its place.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    async fn bring_up_to_date(&self, database: &Database) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::Open { database: database.to_string(), source };
        let mut change = self.begin().await.map_err(failed)?;
        if self.kind == Kind::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(SCHEMA_LOCK)
                .execute(&mut *change)
                .await
                .map_err(failed)?;
        }
        let has_version = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
        sqlx::query(has_version).execute(&mut *change).await.map_err(failed)?;
        let version =
            sqlx::query("SELECT MAX(version) FROM schema_version").fetch_one(&mut *change).await.map_err(failed)?;
        let version = usize::try_from(version.get::<Option<i64>, _>(0).unwrap_or(0)).unwrap_or(0);
        if version > SCHEMA.len() {
            let database = database.to_string();
            return Err(HistoryError::Newer { database, version, known: SCHEMA.len() });
        }
        for (step, statements) in SCHEMA.iter().enumerate().skip(version) {
            sqlx::raw_sql(*statements).execute(&mut *change).await.map_err(failed)?;
            let done = i64::try_from(step + 1).expect("there are few versions");
            sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
                .bind(done)
                .execute(&mut *change)
                .await
                .map_err(failed)?;
        }
        change.commit().await.map_err(failed)
    }

    /// Begins to write. SQLite is told so at once: two that read first and then both write would refuse each other.
    async fn begin(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.kind {
            Kind::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Kind::Postgres => self.pool.begin().await,
        }
    }

    /// Keeps a night. One that is known already stays as it is.
    pub(crate) async fn keep(&self, entry: &Entry) -> Result<Kept, HistoryError> {
        self.write(entry).await.map_err(|source| HistoryError::Write { run: entry.run.clone(), source })
    }

    async fn write(&self, entry: &Entry) -> sqlx::Result<Kept> {
        let mut change = self.begin().await?;
        if write_night(&mut change, entry).await?.rows_affected() == 0 {
            return Ok(Kept::Known);
        }
        for (place, gateway) in entry.gateways.iter().enumerate() {
            write_gateway(&mut change, &entry.run, place, gateway).await?;
        }
        for (place, suite) in entry.suites.iter().enumerate() {
            write_suite(&mut change, &entry.run, place, suite).await?;
            for (piece, cases) in suite.cases.chunks(CASES_AT_ONCE).enumerate() {
                write_cases(&mut change, entry, &suite.suite, piece * CASES_AT_ONCE, cases).await?;
            }
        }
        change.commit().await?;
        Ok(Kept::New)
    }

    /// The nights that a filter lets through, the newest first.
    pub(crate) async fn list(&self, filter: &Filter) -> Result<Vec<Line>, HistoryError> {
        let mut sql = "SELECT run, setup, command, status, started, ended, release, passed, failed, errors, url FROM night WHERE 1 = 1".to_owned();
        let mut values: Vec<String> = Vec::new();
        let texts = [
            (&filter.setup, "setup = $"),
            (&filter.status, "status = $"),
            (&filter.suite, "run IN (SELECT run FROM night_suite WHERE suite = $"),
            (&filter.release, "release LIKE $"),
        ];
        for (value, condition) in texts {
            let Some(value) = value else { continue };
            values.push(value.clone());
            let end = if condition.contains('(') { ")" } else { "" };
            sql.push_str(&format!(" AND {condition}{}{end}", values.len()));
        }
        let since = filter.since.map_or(i64::MIN, millis);
        sql.push_str(&format!(
            " AND started >= ${} ORDER BY started DESC, run DESC LIMIT ${}",
            values.len() + 1,
            values.len() + 2
        ));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in values {
            query = query.bind(value);
        }
        let rows =
            query.bind(since).bind(count(filter.limit)).fetch_all(&self.pool).await.map_err(HistoryError::read)?;
        rows.iter().map(Line::read).collect()
    }

    /// A night as it is kept, whole.
    pub(crate) async fn night(&self, run: &str) -> Result<Option<Entry>, HistoryError> {
        let Some(night) = self.rows("SELECT * FROM night WHERE run = $1", run).await?.into_iter().next() else {
            return Ok(None);
        };
        let gateways = self.rows("SELECT * FROM night_gateway WHERE run = $1 ORDER BY place", run).await?;
        let suites = self.rows("SELECT * FROM night_suite WHERE run = $1 ORDER BY place", run).await?;
        let cases = self.rows("SELECT * FROM night_case WHERE run = $1 ORDER BY suite, place", run).await?;
        read_night(&night, &gateways, &suites, &cases).map(Some).map_err(HistoryError::read)
    }

    async fn rows(&self, sql: &'static str, run: &str) -> Result<Vec<AnyRow>, HistoryError> {
        sqlx::query(sql).bind(run.to_owned()).fetch_all(&self.pool).await.map_err(HistoryError::read)
    }
}

#[cfg(test)]
impl Store {
    /// Has the database say that it is of another version.
    pub(super) async fn claims_version(self, version: i64) {
        let claim = sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(version);
        claim.execute(&self.pool).await.expect("the table is there");
        self.close().await;
    }
}

/// A night in a list.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Line {
    pub run: String,
    pub setup: Option<String>,
    pub command: String,
    pub status: Status,
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    pub release: Option<String>,
    pub counts: Counts,
    pub url: Option<String>,
}

impl Line {
    fn read(row: &AnyRow) -> Result<Line, HistoryError> {
        let read = || -> sqlx::Result<Line> {
            Ok(Line {
                run: row.try_get("run")?,
                setup: row.try_get("setup")?,
                command: row.try_get("command")?,
                status: status(row)?,
                started: time_of(row.try_get("started")?),
                ended: row.try_get::<Option<i64>, _>("ended")?.map(time_of),
                release: row.try_get("release")?,
                counts: counts(row)?,
                url: row.try_get("url")?,
            })
        };
        read().map_err(HistoryError::read)
    }
}

async fn write_night(change: &mut AnyConnection, entry: &Entry) -> sqlx::Result<AnyQueryResult> {
    let reasons = serde_json::to_string(&entry.reasons).expect("reasons are plain data");
    sqlx::query(
        "INSERT INTO night (run, setup, command, program, url, status, started, ended, wanted, release, passed, failed, errors, reasons) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (run) DO NOTHING",
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
    .bind(reasons)
    .execute(change)
    .await
}

async fn write_gateway(
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

async fn write_suite(
    change: &mut AnyConnection,
    run: &str,
    place: usize,
    suite: &PastSuite,
) -> sqlx::Result<AnyQueryResult> {
    sqlx::query(
        "INSERT INTO night_suite (run, place, suite, list, host, verdict, planned, took, problem) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(run.to_owned())
    .bind(count(place))
    .bind(suite.suite.clone())
    .bind(suite.list.clone())
    .bind(suite.host.clone())
    .bind(suite.verdict.clone())
    .bind(suite.planned.map(number))
    .bind(suite.took_ms.map(number))
    .bind(suite.problem.clone())
    .execute(change)
    .await
}

/// Writes many cases with one statement: a database at the other end of a network answers once.
async fn write_cases(
    change: &mut AnyConnection,
    entry: &Entry,
    suite: &str,
    first: usize,
    cases: &[PastCase],
) -> sqlx::Result<AnyQueryResult> {
    const COLUMNS: usize = 11;
    let row = |index: usize| {
        let values: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", index * COLUMNS + column)).collect();
        format!("({})", values.join(", "))
    };
    let rows: Vec<String> = (0..cases.len()).map(row).collect();
    let sql = format!(
        "INSERT INTO night_case (run, suite, place, name, attempt, judged, verdict, took, message, setup, started) VALUES {}",
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
            .bind(millis(entry.started));
    }
    query.execute(change).await
}

fn read_night(night: &AnyRow, gateways: &[AnyRow], suites: &[AnyRow], cases: &[AnyRow]) -> sqlx::Result<Entry> {
    let reasons: String = night.try_get("reasons")?;
    Ok(Entry {
        run: night.try_get("run")?,
        setup: night.try_get("setup")?,
        command: night.try_get("command")?,
        program: night.try_get("program")?,
        url: night.try_get("url")?,
        status: status(night)?,
        started: time_of(night.try_get("started")?),
        ended: night.try_get::<Option<i64>, _>("ended")?.map(time_of),
        wanted: night.try_get("wanted")?,
        release: night.try_get("release")?,
        counts: counts(night)?,
        gateways: gateways.iter().map(read_gateway).collect::<sqlx::Result<_>>()?,
        suites: suites.iter().map(|suite| read_suite(suite, cases)).collect::<sqlx::Result<_>>()?,
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

fn read_suite(row: &AnyRow, cases: &[AnyRow]) -> sqlx::Result<PastSuite> {
    let suite: String = row.try_get("suite")?;
    let mut own = Vec::new();
    for case in cases {
        if case.try_get::<String, _>("suite")? == suite {
            own.push(read_case(case)?);
        }
    }
    Ok(PastSuite {
        list: row.try_get("list")?,
        host: row.try_get("host")?,
        verdict: row.try_get("verdict")?,
        planned: unsigned(row, "planned")?,
        took_ms: unsigned(row, "took")?,
        problem: row.try_get("problem")?,
        cases: own,
        suite,
    })
}

fn read_case(row: &AnyRow) -> sqlx::Result<PastCase> {
    let judged: String = row.try_get("judged")?;
    Ok(PastCase {
        case: row.try_get("name")?,
        attempt: unsigned(row, "attempt")?.unwrap_or(1),
        judged: Judged::named(&judged).ok_or_else(|| unknown("judged", &judged))?,
        verdict: row.try_get("verdict")?,
        took_ms: unsigned(row, "took")?.unwrap_or(0),
        message: row.try_get("message")?,
    })
}

fn counts(row: &AnyRow) -> sqlx::Result<Counts> {
    let count = |column| -> sqlx::Result<usize> { Ok(usize::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0)) };
    Ok(Counts { passed: count("passed")?, failed: count("failed")?, errors: count("errors")? })
}

fn status(row: &AnyRow) -> sqlx::Result<Status> {
    let word: String = row.try_get("status")?;
    Status::named(&word).ok_or_else(|| unknown("status", &word))
}

fn unknown(what: &str, word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`{word}` in the column `{what}` is of a newer program").into())
}

fn unsigned(row: &AnyRow, column: &str) -> sqlx::Result<Option<u64>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(|value| u64::try_from(value).unwrap_or(0)))
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn time_of(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn sqlite_url(path: &std::path::Path) -> url::Url {
    let mut url = url::Url::parse("sqlite:///?mode=rwc").expect("it is an address");
    // It keeps what an address cannot hold as it is (`?`, `#`, `%`) in another form.
    url.set_path(&path.to_string_lossy().replace('%', "%25"));
    url
}

fn with_password(url: &url::Url, password: Option<&Secret>) -> url::Url {
    let mut url = url.clone();
    if let Some(password) = password {
        url.set_password(Some(password.expose())).expect("a PostgreSQL address has a host");
    }
    url
}
