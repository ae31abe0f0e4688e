//! Nights that were: what history keeps of a night, and where. Knows nothing of the lab, and of a night only its summary.

mod compare;
mod entry;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod import;
mod junit;
mod past;
mod redacted;
mod rows;
mod ship;
mod shown;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use time::OffsetDateTime;

pub(crate) use entry::Entry;
#[cfg(test)]
pub(crate) use entry::Judged;
pub(crate) use past::Nights;
#[cfg(test)]
pub(crate) use past::{Outcome, SuiteOutcome};
pub(crate) use rows::Line;
use ship::{Question, Ships};
pub(crate) use store::{Kept, Store};

use crate::cli::{GateArgs, Global, HistoryAction, HistoryArgs, ListArgs, LogFormat};
use crate::config::{self, Config, Database};
use crate::error::{self, Hint as _, hinted, told};
use crate::event::Problem;
use crate::gate::day;
use crate::memory::Memory;
use crate::report::{self, page};
use crate::secret::{Redactor, Secret, SecretError};
use crate::summary::{Status, Summary};
use crate::terminal::{print, print_json, remark};

/// What to try where a night is not there.
const LISTED: &str = "`teravm-ci history list` has the names of all nights";
const IMPORTED: &str = "the next night begins it; `teravm-ci history import FILE` takes in those that were before";

/// How many nights before it the page of a night shows.
const SHOWN: usize = 100;

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
    #[error("the history `{database}` is of version {version}, and this program knows {known}")]
    Newer { database: String, version: usize, known: usize },
    #[error("the night `{run}` could not be kept in the history `{database}`")]
    Write { database: String, run: String, source: sqlx::Error },
    #[error("the history `{database}` cannot be read")]
    Read { database: String, source: sqlx::Error },
    #[error("the history `{database}` does not answer within {timeout}")]
    Late { database: String, timeout: String },
}

impl HistoryError {
    fn hint(&self) -> &'static str {
        match self {
            HistoryError::Open { .. } => {
                "`history.url` in the config names it: may we write there, does a server answer and know \
                 `history.password`? Move a damaged file away: `history import` fills a new one"
            }
            HistoryError::Newer { .. } => "use a `teravm-ci` as new as the one that last wrote it",
            HistoryError::Write { .. } => "is there room, and may we write there?",
            HistoryError::Read { .. } => {
                "a newer `teravm-ci` may have written it; move a damaged file away: `history import` fills a new one"
            }
            HistoryError::Late { .. } => {
                "look at the database and at the way to it; `history.timeout` in the config says how long it is waited for"
            }
        }
    }

    /// An error on its way up, with what to try next where it is the history's.
    fn hinted(error: anyhow::Error) -> anyhow::Error {
        match error.downcast_ref::<HistoryError>().map(HistoryError::hint) {
            Some(hint) => hinted(error, hint),
            None => error,
        }
    }
}

impl Place {
    /// What the config says of it, with its password read.
    pub(crate) fn new(config: &config::History, redactor: &Redactor) -> anyhow::Result<Place> {
        let password = config.password.as_ref().map(|password| password.read().map_err(SecretError::hinted));
        let password = password.transpose().context("`history.password` cannot be had")?;
        password.iter().for_each(|password| redactor.learn(password));
        Ok(Place { database: config.url.clone(), password, timeout: config.timeout })
    }

    /// Keeps a night that has ended; one that could not be kept is in `run.json` for later.
    pub(crate) async fn keep_or_say(&self, summary: &Summary, results: &Path) {
        let Err(error) = self.keep(summary).await else { return };
        let run = results.join("run.json");
        let hint = format!("{}; then `teravm-ci history import {}`", error.hint(), run.display());
        remark(&format!("warning: {}\n", error::text(&hinted(error, hint))));
    }

    /// What the nights before say of a night that is about to begin. A history that cannot be asked spoils no night.
    pub(crate) async fn recall(&self, setup: &str, suites: &[String]) -> Result<(Memory, Nights), Problem> {
        // What is only asked is not made.
        if matches!(&self.database, Database::Sqlite(path) if !path.exists()) {
            return Ok((Memory::default(), Nights::default()));
        }
        let asked = self.in_time(async {
            let store = Store::open(&self.database, self.password.as_ref(), self.timeout).await?;
            say_out_of_time(&store).await?;
            let nights = store.nights(setup, SHOWN).await?;
            let memory = store.recall(setup, suites, &nights).await?;
            say_unreadable(&store);
            store.close().await;
            Ok((memory.redacted(), nights.redacted()))
        });
        let problem = |error: HistoryError| {
            Problem::testbed(
                "the nights before could not be asked: nothing is known of since when, and there is no baseline",
            )
            .because_of(&error)
            .hint(error.hint())
        };
        asked.await.map_err(problem)
    }

    /// How it is, in words: a night runs without it too.
    pub(crate) async fn state(&self) -> String {
        if matches!(&self.database, Database::Sqlite(path) if !path.exists()) {
            return format!("{}, with the first night", self.database);
        }
        let last = Filter { limit: 1, ..Filter::default() };
        match self.in_time(async { self.open().await?.list(&last).await }).await {
            Ok(nights) => match nights.first() {
                Some(night) => format!("{}, the last night is {}", self.database, night.run),
                None => format!("{}, no night yet", self.database),
            },
            Err(error) => format!("{}; nights run, and are not kept", told(&error).join(": ")),
        }
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

    /// Nothing that is asked of a database is waited for without end.
    async fn in_time<T, E: From<HistoryError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| {
            let timeout = crate::config::format_duration(self.timeout);
            Err(HistoryError::Late { database: self.database.to_string(), timeout }.into())
        })
    }
}

/// Answers from the nights that were.
pub(crate) async fn ask(config: &Config, global: &Global, args: &HistoryArgs) -> anyhow::Result<u8> {
    answer(config, global, args).await.map_err(HistoryError::hinted)
}

async fn answer(config: &Config, global: &Global, args: &HistoryArgs) -> anyhow::Result<u8> {
    // What was typed is judged before the password is asked for.
    let place = || Place::new(&config.history, &Redactor::process());
    match &args.action {
        HistoryAction::List(args) => {
            let filter = filter(global, args)?;
            let place = place()?;
            let listed = async {
                let store = place.open().await?;
                say_out_of_time(&store).await?;
                let nights = store.list(&filter).await;
                say_unreadable(&store);
                let nights = nights?;
                if nights.is_empty() {
                    check_names(&store, config, &filter).await?;
                }
                anyhow::Ok(nights)
            };
            let nights = place.in_time(listed).await?;
            match args.format {
                LogFormat::Text => print(&shown::list(&nights)),
                LogFormat::Json => print_json(&nights)?,
            }
        }
        HistoryAction::Show { run, format } => {
            let place = place()?;
            let asked = async {
                let store = place.open().await?;
                check_names(&store, config, &of_setup(global)).await?;
                found(&store, config, global, run).await
            };
            let night = place.in_time(asked).await?;
            match format {
                LogFormat::Text => print(&shown::night(&night)),
                LogFormat::Json => print_json(&night)?,
            }
        }
        HistoryAction::Compare { a, b, format } => {
            let place = place()?;
            let compared = async {
                let store = place.open().await?;
                check_names(&store, config, &of_setup(global)).await?;
                let (a, b) = pair(&store, config, global, a, b).await?;
                Ok::<_, anyhow::Error>(compare::compare(&store, &a, &b, config.links.compare.as_deref()).await?)
            };
            let comparison = place.in_time(compared).await?;
            match format {
                LogFormat::Text => print(&shown::comparison(&comparison)),
                LogFormat::Json => print_json(&comparison)?,
            }
        }
        HistoryAction::Import(args) => {
            if global.setup.is_some() {
                config.setup(global.setup.as_deref())?;
            }
            // All are read before one is written.
            let entries: Vec<Entry> = import::read(config, global, args)?.into_iter().map(Entry::redacted).collect();
            let place = place()?;
            let store = place.open().await?;
            for entry in &entries {
                let kept = place.in_time(store.keep(entry)).await?;
                print(&format!("{}  {}\n", entry.run, if kept == Kept::New { "taken in" } else { "known already" }));
            }
            store.close().await;
        }
        HistoryAction::Page { out, nights } => {
            let (setup, _) = config.setup(global.setup.as_deref())?;
            let place = place()?;
            let asked = async {
                let store = place.open().await?;
                let nights = store.nights(setup, *nights).await?;
                let last = match nights.nights.last() {
                    Some(last) => store.night(&last.run).await?,
                    None => None,
                };
                say_unreadable(&store);
                Ok::<_, HistoryError>((nights.redacted(), last.map(Entry::redacted)))
            };
            let (nights, last) = place.in_time(asked).await?;
            let page = page::of_history(setup, &nights, last.as_ref());
            let path = match report::put(out, "index.html", &page) {
                Err(error @ report::ReportError::Foreign { .. }) => return Err(error.hinted()),
                put => put.hint("is there room, and may we write there? `--out` names the folder")?,
            };
            print(&format!("{}\n", path.display()));
        }
    }
    Ok(Status::Passed.code())
}

/// Says whether a release may ship.
pub(crate) async fn gate(config: &Config, global: &Global, args: &GateArgs) -> anyhow::Result<u8> {
    // It asks of every setup that the config says, whichever is meant elsewhere; but one that is not there is a mistake.
    if global.setup.is_some() {
        config.setup(global.setup.as_deref())?;
    }
    let place = Place::new(&config.history, &Redactor::process())?;
    let now = OffsetDateTime::now_utc();
    let question = Question {
        wanted: args.release.clone(),
        required: config.required_suites(),
        since: now - config.gate.max_age,
        gate: config.gate_of_all(),
        today: now.date(),
    };
    let answer = match place.in_time(async { place.open().await?.may_ship(&question).await }).await {
        Ok(answer) => answer,
        // It is not known, and that is not a yes.
        Err(error) => {
            let problem = Problem::testbed("it is not known whether the release may ship").because_of(&error);
            let problem = problem.hint(error.hint());
            remark(&format!("{}\n", problem.text()));
            return Ok(Ships::Unknown.code());
        }
    };
    match args.format {
        LogFormat::Text => print(&shown::answer(&answer, config.gate.max_age)),
        LogFormat::Json => print_json(&answer)?,
    }
    Ok(answer.verdict.code())
}

/// Warns of runs that no answer has.
async fn say_out_of_time(store: &Store) -> Result<(), HistoryError> {
    let count = store.out_of_time().await?;
    if count > 0 {
        remark(&format!(
            "warning: the history has {count} runs that started before 1970 or after 9000; they are left out\n"
        ));
    }
    Ok(())
}

/// Warns of rows that were left out because they could not be read.
fn say_unreadable(store: &Store) {
    if let Some(text) = store.unreadable() {
        remark(&format!("warning: {text}\n"));
    }
}

/// Looks whether there is such a setup and such a suite, in the config or in a run that was.
async fn check_names(store: &Store, config: &Config, filter: &Filter) -> anyhow::Result<()> {
    let is_kept =
        async |only: Filter| Ok::<_, HistoryError>(!store.list(&Filter { limit: 1, ..only }).await?.is_empty());
    if let Some(setup) = &filter.setup
        && !config.setups.contains_key(setup)
        && !is_kept(Filter { setup: Some(setup.clone()), ..Filter::default() }).await?
    {
        config.setup(Some(setup))?;
    }
    if let Some(suite) = &filter.suite
        && !config.suites.contains_key(suite)
        && !is_kept(Filter { suite: Some(suite.clone()), ..Filter::default() }).await?
    {
        config.suite(suite)?;
    }
    Ok(())
}

fn of_setup(global: &Global) -> Filter {
    Filter { setup: global.setup.clone(), ..Filter::default() }
}

/// The night that a name means.
async fn found(store: &Store, config: &Config, global: &Global, name: &str) -> anyhow::Result<Entry> {
    let run = match name {
        "last" => {
            let nights = nights(store, meant(config, global)).await?;
            nights.first().map(|night| night.run.clone()).context("the history has no night yet").hint(IMPORTED)?
        }
        "last-green" => {
            let nights = nights(store, meant(config, global)).await?;
            let green = nights.iter().find(|night| has_passed(night)).map(|night| night.run.clone());
            green.context("the history has no night that passed").hint(LISTED)?
        }
        run => run.to_owned(),
    };
    let night = store.night(&run).await?;
    night.with_context(|| format!("there is no night `{run}` in the history")).hint(LISTED)
}

/// The nights that are compared: of those that tested, and on one setup, where it is left to us.
async fn pair(store: &Store, config: &Config, global: &Global, a: &str, b: &str) -> anyhow::Result<(Entry, Entry)> {
    let later = match b {
        "last" => {
            let nights = nights(store, meant(config, global)).await?;
            let tested = nights.iter().find(|night| night.counts.all() > 0).or(nights.first());
            tested.context("the history has no night yet").hint(IMPORTED)?.run.clone()
        }
        named => named.to_owned(),
    };
    let later = found(store, config, global, &later).await?;
    if a != "last-green" {
        return Ok((found(store, config, global, a).await?, later));
    }
    let nights = nights(store, later.setup.clone().or_else(|| meant(config, global))).await?;
    let earlier = nights.iter().find(|night| night.started < later.started && has_passed(night));
    let earlier = earlier.map(|night| night.run.clone());
    let earlier = earlier.with_context(|| format!("no night before `{}` passed there", later.run)).hint(LISTED)?;
    Ok((found(store, config, global, &earlier).await?, later))
}

/// Where there is one setup, it is the one that is meant; where there are several, all are.
fn meant(config: &Config, global: &Global) -> Option<String> {
    let setup = config.setup(global.setup.as_deref()).ok().map(|(name, _)| name.to_owned());
    setup.or_else(|| global.setup.clone())
}

/// The nights of a setup or of all, the newest first.
async fn nights(store: &Store, setup: Option<String>) -> Result<Vec<Line>, HistoryError> {
    let nights = store.list(&Filter { setup, limit: usize::MAX, ..Filter::default() }).await;
    say_unreadable(store);
    nights
}

fn has_passed(night: &Line) -> bool {
    night.counts.all() > 0 && night.status == Status::Passed
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
    if let Ok(day) = day::parse(text) {
        return Ok(day.midnight().assume_utc());
    }
    match config::parse_duration(text) {
        Ok(ago) => Ok(now - ago),
        Err(_) => Err(format!("`{text}` is no time; write `7d` or `2026-11-01`")),
    }
}
