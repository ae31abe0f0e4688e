//! Nights that were: what history keeps of a night, and where. Knows nothing of the lab, and of a night only its summary.

mod entry;
mod shown;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use time::OffsetDateTime;

pub(crate) use entry::Entry;
pub(crate) use store::{Kept, Line, Store};

use crate::cli::{Global, HistoryAction, HistoryArgs, ListArgs, LogFormat};
use crate::config::{self, Config, Database};
use crate::secret::{Redactor, Secret};
use crate::summary::{Status, Summary};
use crate::terminal::{print, remark};

/// Where the history is kept.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) database: Database,
    pub(crate) password: Option<Secret>,
    /// What is not answered within this time is not waited for.
    pub(crate) timeout: Duration,
}

/// Which nights are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) setup: Option<String>,
    pub(crate) suite: Option<String>,
    /// A pattern of SQL's `LIKE`.
    pub(crate) release: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) since: Option<OffsetDateTime>,
    pub(crate) limit: usize,
}

/// What keeps history from being written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error("the history `{database}` cannot be opened")]
    Open { database: String, source: sqlx::Error },
    #[error("the history `{database}` is of version {version}, and this program knows {known}; use a newer one")]
    Newer { database: String, version: usize, known: usize },
    #[error("the night `{run}` could not be kept in the history")]
    Write { run: String, source: sqlx::Error },
    #[error("the history cannot be read")]
    Read { source: sqlx::Error },
    #[error("the history `{database}` does not answer within {timeout}")]
    Late { database: String, timeout: String },
}

impl HistoryError {
    fn read(source: sqlx::Error) -> HistoryError {
        HistoryError::Read { source }
    }
}

impl Place {
    /// What the config says of it, with its password read.
    pub(crate) fn new(config: &config::History, redactor: &Redactor) -> anyhow::Result<Place> {
        let password = config.password.as_ref().map(crate::secret::SecretRef::read);
        let password = password.transpose().context("`history.password` cannot be had")?;
        password.iter().for_each(|password| redactor.learn(password));
        Ok(Place { database: config.url.clone(), password, timeout: config.timeout })
    }

    /// Keeps a night that has ended; one that could not be kept is in `run.json` for later.
    pub(crate) async fn keep_or_say(&self, summary: &Summary, results: &Path) {
        let Err(error) = self.keep(summary).await else { return };
        let run = results.join("run.json");
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let causes: String = causes.map(|cause| format!("  because: {cause}\n")).collect();
        remark(&format!("warning: {error}\n{causes}  try: teravm-ci history import {}\n", run.display()));
    }

    /// Opens the history.
    pub(crate) async fn open(&self) -> Result<Store, HistoryError> {
        self.in_time(Store::open(&self.database, self.password.as_ref(), self.timeout)).await
    }

    /// Keeps a night that has ended.
    pub(crate) async fn keep(&self, summary: &Summary) -> Result<(), HistoryError> {
        let Some(entry) = Entry::of(summary) else { return Ok(()) };
        self.in_time(async {
            let store = Store::open(&self.database, self.password.as_ref(), self.timeout).await?;
            store.keep(&entry).await?;
            store.close().await;
            Ok(())
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, HistoryError>>) -> Result<T, HistoryError> {
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| {
            let timeout = crate::config::format_duration(self.timeout);
            Err(HistoryError::Late { database: self.database.to_string(), timeout })
        })
    }
}

/// Answers from the nights that were.
pub(crate) async fn ask(config: &Config, global: &Global, args: &HistoryArgs) -> anyhow::Result<u8> {
    let place = Place::new(&config.history, &Redactor::default())?;
    match &args.action {
        HistoryAction::List(args) => {
            let nights = place.open().await?.list(&filter(global, args)?).await?;
            print(&match args.format {
                LogFormat::Text => shown::list(&nights),
                LogFormat::Json => json(&nights),
            });
        }
        HistoryAction::Show { run, format } => {
            let store = place.open().await?;
            let run = named(&store, global, run).await?;
            let Some(night) = store.night(&run).await? else { bail!("there is no night `{run}` in the history") };
            print(&match format {
                LogFormat::Text => shown::night(&night),
                LogFormat::Json => json(&night),
            });
        }
        HistoryAction::Import { files } => {
            // All are read before one is written.
            let entries = files.iter().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
            let store = place.open().await?;
            for entry in &entries {
                let kept = store.keep(entry).await?;
                print(&format!("{}  {}\n", entry.run, if kept == Kept::New { "taken in" } else { "known already" }));
            }
            store.close().await;
        }
    }
    Ok(Status::Passed.code())
}

/// The run that a name means.
async fn named(store: &Store, global: &Global, run: &str) -> anyhow::Result<String> {
    if run != "last" {
        return Ok(run.to_owned());
    }
    let last = Filter { setup: global.setup.clone(), limit: 1, ..Filter::default() };
    let nights = store.list(&last).await?;
    nights.into_iter().next().map(|night| night.run).context("the history has no night yet")
}

/// A night as its `run.json` tells it.
fn read(file: &Path) -> anyhow::Result<Entry> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let summary: Summary =
        serde_json::from_str(&text).with_context(|| format!("`{}` is no `run.json`", file.display()))?;
    Entry::of(&summary).with_context(|| format!("`{}` tells of no night", file.display()))
}

fn filter(global: &Global, args: &ListArgs) -> anyhow::Result<Filter> {
    if let Some(status) = &args.status
        && Status::named(status).is_none()
    {
        let known: Vec<String> = Status::ALL.iter().map(|status| format!("`{}`", status.word())).collect();
        bail!("there is no status `{status}`; there are {}", known.join(", "));
    }
    let since = args.since.as_deref().map(|since| parse_since(since, OffsetDateTime::now_utc())).transpose();
    Ok(Filter {
        setup: global.setup.clone(),
        suite: args.suite.clone(),
        release: args.release.as_ref().map(|release| format!("%{release}%")),
        status: args.status.clone(),
        since: since.map_err(anyhow::Error::msg)?,
        limit: args.limit,
    })
}

/// A day, or as long ago.
fn parse_since(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, String> {
    let day = time::macros::format_description!("[year]-[month]-[day]");
    if let Ok(day) = time::Date::parse(text, &day) {
        return Ok(day.midnight().assume_utc());
    }
    match config::parse_duration(text) {
        Ok(ago) => Ok(now - ago),
        Err(_) => Err(format!("`{text}` is no time; write `7d` or `2026-11-01`")),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("what is kept is plain data");
    text.push('\n');
    text
}
