//! The database of the nights: SQLite in a file, or PostgreSQL, with one set of statements. Knows no night that is under way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, Row as _, Transaction};

use super::entry::Entry;
use super::rows::{
    IN_TIME, Line, count, forget_unfinished, millis, read_night, write_cases, write_gateway, write_night, write_step,
    write_suite,
};
use super::{Filter, HistoryError};
use crate::config::Database;
use crate::secret::Secret;

/// The steps from one version of the schema to the next.
const SCHEMA: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];
/// The key under which PostgreSQL has one program after the other change the schema.
const SCHEMA_LOCK: i64 = 0x7465_7261_766d;
/// PostgreSQL takes 65535 values in a statement, SQLite 32766.
const CASES_AT_ONCE: usize = 1000;

/// A database that is open.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) pool: AnyPool,
    /// What it is called when it fails.
    name: String,
    kind: Kind,
    unreadable: Mutex<Unreadable>,
}

/// The rows that could not be read: how many, and why the first one could not.
#[derive(Debug, Default)]
struct Unreadable {
    count: usize,
    why: String,
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
        let name = database.to_string();
        let failed = |source| HistoryError::Open { database: name.clone(), source };
        let pool = options.connect(url.as_str()).await.map_err(failed)?;
        let store = Store { pool, name, kind, unreadable: Mutex::default() };
        store.bring_up_to_date().await?;
        Ok(store)
    }

    /// Waits until what was written is in its place.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    async fn bring_up_to_date(&self) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::Open { database: self.name.clone(), source };
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
            return Err(HistoryError::Newer { database: self.name.clone(), version, known: SCHEMA.len() });
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

    /// Keeps a night. One that is known already stays as it is, unless it had not ended by then.
    pub(crate) async fn keep(&self, entry: &Entry) -> Result<Kept, HistoryError> {
        let failed = |source| HistoryError::Write { database: self.name.clone(), run: entry.run.clone(), source };
        self.write(entry).await.map_err(failed)
    }

    /// What reading comes to where it fails.
    pub(super) fn unread(&self, source: sqlx::Error) -> HistoryError {
        HistoryError::Read { database: self.name.clone(), source }
    }

    /// Of many rows those that can be read: one of a newer program, or one that somebody has changed, hides no other.
    pub(super) fn readable<T>(&self, rows: impl Iterator<Item = sqlx::Result<T>>) -> impl Iterator<Item = T> {
        rows.filter_map(|row| {
            row.map_err(|error| {
                let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                unreadable.count += 1;
                if unreadable.count == 1 {
                    unreadable.why = error.to_string();
                }
            })
            .ok()
        })
    }

    /// How many rows were left out since it was last asked, in words; none where all could be read.
    pub(super) fn unreadable(&self) -> Option<String> {
        let Unreadable { count, why } =
            std::mem::take(&mut *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner));
        let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        (count > 0).then(|| format!("left out {rows} of the history that cannot be read: {why}"))
    }

    async fn write(&self, entry: &Entry) -> sqlx::Result<Kept> {
        let mut change = self.begin().await?;
        if write_night(&mut change, entry).await?.rows_affected() == 0 {
            if entry.ended.is_none() || forget_unfinished(&mut change, &entry.run).await?.rows_affected() == 0 {
                return Ok(Kept::Known);
            }
            write_night(&mut change, entry).await?;
        }
        for (place, gateway) in entry.gateways.iter().enumerate() {
            write_gateway(&mut change, &entry.run, place, gateway).await?;
        }
        for (place, step) in entry.steps.iter().enumerate() {
            write_step(&mut change, entry, place, step).await?;
        }
        for (place, suite) in entry.suites.iter().enumerate() {
            write_suite(&mut change, entry, place, suite).await?;
            for (piece, cases) in suite.cases.chunks(CASES_AT_ONCE).enumerate() {
                write_cases(&mut change, entry, &suite.suite, piece * CASES_AT_ONCE, cases).await?;
            }
        }
        change.commit().await?;
        Ok(Kept::New)
    }

    /// The nights that a filter lets through, the newest first.
    pub(crate) async fn list(&self, filter: &Filter) -> Result<Vec<Line>, HistoryError> {
        let mut sql = format!("SELECT {} FROM night WHERE {IN_TIME}", Line::COLUMNS);
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
        let rows = query.bind(since).bind(count(filter.limit)).fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| self.unread(error))?;
        Ok(self.readable(rows.iter().map(Line::read)).collect())
    }

    /// A night as it is kept, whole.
    pub(crate) async fn night(&self, run: &str) -> Result<Option<Entry>, HistoryError> {
        let Some(night) = self.rows("SELECT * FROM night WHERE run = $1", run).await?.into_iter().next() else {
            return Ok(None);
        };
        let gateways = self.rows("SELECT * FROM night_gateway WHERE run = $1 ORDER BY place", run).await?;
        let steps = self.rows("SELECT * FROM night_step WHERE run = $1 ORDER BY place", run).await?;
        let suites = self.rows("SELECT * FROM night_suite WHERE run = $1 ORDER BY place", run).await?;
        let cases = self.rows("SELECT * FROM night_case WHERE run = $1 ORDER BY suite, place", run).await?;
        read_night(&night, &gateways, &steps, &suites, &cases).map(Some).map_err(|error| self.unread(error))
    }

    /// How many runs are left out of every answer, because their start is no time that this program can show.
    pub(super) async fn out_of_time(&self) -> Result<i64, HistoryError> {
        let sql = format!("SELECT COUNT(*) FROM night WHERE NOT ({IN_TIME})");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.unread(error))
    }

    async fn rows(&self, sql: &'static str, run: &str) -> Result<Vec<AnyRow>, HistoryError> {
        sqlx::query(sql).bind(run.to_owned()).fetch_all(&self.pool).await.map_err(|error| self.unread(error))
    }
}

#[cfg(test)]
impl Store {
    /// Makes a database of an older version, with what a test puts into it.
    pub(super) async fn make_of_version(place: &super::Place, version: usize, filled: String) {
        sqlx::any::install_default_drivers();
        let url = match &place.database {
            Database::Sqlite(path) => sqlite_url(path),
            Database::Postgres(url) => with_password(url, place.password.as_ref()),
        };
        let pool = AnyPoolOptions::new().max_connections(1).connect(url.as_str()).await.expect("the database is there");
        let run = async |statement: &str| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&pool).await.expect("it was right once");
        };
        run("CREATE TABLE schema_version (version BIGINT NOT NULL)").await;
        for (step, statements) in SCHEMA.iter().enumerate().take(version) {
            run(statements).await;
            let made = sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(count(step + 1));
            made.execute(&pool).await.expect("the table is there");
        }
        run(&filled).await;
        pool.close().await;
    }

    /// Has the database say that it is of another version.
    pub(super) async fn claims_version(self, version: i64) {
        let claim = sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(version);
        claim.execute(&self.pool).await.expect("the table is there");
        self.close().await;
    }
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
