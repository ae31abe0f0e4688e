//! The grid: what each case came to in each night, those before and tonight. Knows nothing of HTML.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::super::text::{clock, visible};
use crate::gate::{CameTo, day};
use crate::history::{Line, Nights};
use crate::release::Release;
use crate::summary::{Counts, Status, Summary};

/// A night, as a column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) run: String,
    pub(super) started: OffsetDateTime,
    pub(super) release: Option<String>,
    /// None while the night is under way.
    pub(super) status: Option<Status>,
    pub(super) counts: Counts,
    pub(super) url: Option<String>,
    /// What the upgrade took, where there was one.
    pub(super) upgrade: Option<Duration>,
}

/// A case, as a row: a place for each night.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) suite: usize,
    pub(super) case: String,
    pub(super) nights: Vec<Option<(CameTo, Duration)>>,
}

/// A suite: what it took in each night, and whether it went to its end.
#[derive(Debug, Clone)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) took: Vec<Option<(Duration, bool)>>,
}

/// Nights and cases, the oldest night first.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    pub(super) columns: Vec<Column>,
    pub(super) suites: Vec<Suite>,
    pub(super) rows: Vec<Row>,
    places: HashMap<String, HashMap<String, usize>>,
}

impl Column {
    fn past(line: &Line) -> Column {
        Column {
            run: line.run.clone(),
            started: line.started,
            release: line.release.clone(),
            status: Some(line.status),
            counts: line.counts,
            url: line.url.clone(),
            upgrade: line.upgrade_ms.map(Duration::from_millis),
        }
    }

    /// The day on which it began.
    pub(super) fn day(&self) -> String {
        day::text(self.started.date())
    }

    /// The commit that was tested, as far as it is known.
    pub(super) fn commit(&self) -> Option<String> {
        self.release.as_ref()?.parse::<Release>().ok().map(|release| release.commit().to_owned())
    }

    /// The part of its cases that passed, in percent.
    pub(super) fn rate(&self) -> Option<usize> {
        let good = self.counts.passed + self.counts.flaky;
        (good * 100).checked_div(self.counts.all())
    }
}

impl Row {
    /// How bad it has been of late: the last night weighs most.
    fn badness(&self) -> f64 {
        const FADES: f64 = 0.85;
        let weight = |night: &Option<(CameTo, Duration)>| match night {
            None | Some((CameTo::Passed, _)) => 0.0,
            Some((CameTo::Failed, _)) => 1.0,
            Some((CameTo::Error, _)) => 0.8,
            Some((CameTo::Flaky, _)) => 0.5,
            Some((CameTo::Known, _)) => 0.3,
        };
        let is_missing = self.nights.last().is_some_and(Option::is_none);
        let (bad, _) =
            self.nights.iter().rev().fold((0.0, 1.0), |(sum, part), night| (sum + weight(night) * part, part * FADES));
        // What is gone tonight is worth a look, whatever it was.
        bad + if is_missing { 0.2 } else { 0.0 }
    }
}

impl Grid {
    /// The nights before.
    pub(super) fn past(nights: &Nights) -> Grid {
        let columns: Vec<Column> = nights.nights.iter().map(Column::past).collect();
        let mut grid = Grid { columns, ..Grid::default() };
        for outcome in &nights.suites {
            let suite = grid.suite(&outcome.suite);
            let is_whole = outcome.status.is_verdict();
            grid.suites[suite].took[outcome.night] = outcome.took.map(|took| (took, is_whole));
        }
        for outcome in &nights.cases {
            grid.put(&outcome.suite, &outcome.case, outcome.night, outcome.came_to, outcome.took);
        }
        grid
    }

    /// The same with tonight as the last column, if it tests at all.
    #[must_use]
    pub(super) fn with(&self, summary: &Summary) -> Grid {
        let mut grid = self.clone();
        let Some(night) = summary.night.as_ref().filter(|_| !summary.suites.is_empty()) else { return grid };
        let tonight = grid.columns.len();
        grid.columns.push(Column {
            run: night.run.clone(),
            started: summary.started.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            release: summary.tested(),
            status: summary.ended.map(|_| summary.status()),
            counts: summary.counts(),
            url: night.url.clone().map(String::from),
            upgrade: summary.upgrade_took(),
        });
        grid.suites.iter_mut().for_each(|suite| suite.took.push(None));
        grid.rows.iter_mut().for_each(|row| row.nights.push(None));
        for suite in summary.judged() {
            let place = grid.suite(&suite.suite);
            let is_whole = suite.status().is_verdict();
            grid.suites[place].took[tonight] = suite.end.as_ref().map(|end| (end.took, is_whole));
            for standing in suite.standings() {
                grid.put(&suite.suite, standing.case.name.shown(), tonight, standing.came_to, standing.took());
            }
        }
        grid
    }

    /// The rows, those that have been bad of late first.
    pub(super) fn worst_first(&self) -> Vec<&Row> {
        let mut rows: Vec<(f64, &Row)> = self.rows.iter().map(|row| (row.badness(), row)).collect();
        rows.sort_by(|(a, one), (b, other)| {
            b.total_cmp(a).then_with(|| (one.suite, &one.case).cmp(&(other.suite, &other.case)))
        });
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn suite(&mut self, name: &str) -> usize {
        let known = self.suites.iter().position(|suite| suite.name == name);
        known.unwrap_or_else(|| {
            self.suites.push(Suite { name: name.to_owned(), took: vec![None; self.columns.len()] });
            self.suites.len() - 1
        })
    }

    fn put(&mut self, suite: &str, case: &str, night: usize, came_to: CameTo, took: Duration) {
        let known = self.places.get(suite).and_then(|cases| cases.get(case)).copied();
        let place = known.unwrap_or_else(|| {
            let row = Row { suite: self.suite(suite), case: case.to_owned(), nights: vec![None; self.columns.len()] };
            self.rows.push(row);
            let place = self.rows.len() - 1;
            self.places.entry(suite.to_owned()).or_default().insert(case.to_owned(), place);
            place
        });
        let cell = &mut self.rows[place].nights[night];
        // Where a name stands twice in a night, the worse one is shown.
        if cell.is_none_or(|(before, _)| severity(came_to) > severity(before)) {
            *cell = Some((came_to, took));
        }
    }
}

fn severity(came_to: CameTo) -> usize {
    match came_to {
        CameTo::Passed => 0,
        CameTo::Flaky => 1,
        CameTo::Known => 2,
        CameTo::Error => 3,
        CameTo::Failed => 4,
    }
}

/// The letter of a state, and the class of its colour.
pub(super) fn letter(came_to: Option<CameTo>) -> char {
    match came_to {
        Some(CameTo::Passed) => 'p',
        Some(CameTo::Flaky) => 'l',
        Some(CameTo::Known) => 'k',
        Some(CameTo::Failed) => 'f',
        Some(CameTo::Error) => 'e',
        None => 'm',
    }
}

/// The sign of a state, which needs no colour.
pub(super) fn sign(came_to: Option<CameTo>) -> char {
    match came_to {
        Some(CameTo::Passed) => '·',
        Some(CameTo::Flaky) => '~',
        Some(CameTo::Known) => 'k',
        Some(CameTo::Failed) => '✕',
        Some(CameTo::Error) => '?',
        None => '–',
    }
}

/// The word for a state.
pub(super) fn word(came_to: Option<CameTo>) -> &'static str {
    match came_to {
        Some(CameTo::Error) => "inconclusive",
        Some(CameTo::Known) => "known failure",
        Some(other) => other.name(),
        None => "not run",
    }
}

/// The states in the order in which they are explained.
pub(super) const STATES: [Option<CameTo>; 6] =
    [Some(CameTo::Passed), Some(CameTo::Failed), Some(CameTo::Flaky), Some(CameTo::Known), Some(CameTo::Error), None];

/// The grid as the script reads it: a letter for each night of a case, and tenths of seconds.
#[derive(Serialize)]
pub(super) struct Data {
    nights: Vec<NightData>,
    suites: Vec<String>,
    cases: Vec<(usize, String, String, String)>,
    states: Vec<(char, char, &'static str)>,
}

#[derive(Serialize)]
struct NightData {
    day: String,
    time: String,
    commit: String,
    release: String,
    run: String,
    status: &'static str,
}

impl Grid {
    /// What the script reads. Texts are visible in it already: it puts them where they are seen.
    pub(super) fn data(&self) -> Data {
        let night = |column: &Column| NightData {
            day: column.day(),
            time: clock(column.started)[..5].to_owned(),
            commit: column.commit().unwrap_or_default(),
            release: visible(column.release.as_deref().unwrap_or_default()),
            run: visible(&column.run),
            status: column.status.map_or("under way", Status::name),
        };
        let case = |row: &Row| {
            let letters = row.nights.iter().map(|night| letter(night.map(|(came_to, _)| came_to))).collect();
            let tenths = |night: &Option<(CameTo, Duration)>| {
                night.map(|(_, took)| ((took.as_millis() + 50) / 100).to_string()).unwrap_or_default()
            };
            let took: Vec<String> = row.nights.iter().map(tenths).collect();
            (row.suite, visible(&row.case), letters, took.join(","))
        };
        Data {
            nights: self.columns.iter().map(night).collect(),
            suites: self.suites.iter().map(|suite| visible(&suite.name)).collect(),
            cases: self.worst_first().into_iter().map(case).collect(),
            states: STATES.map(|state| (letter(state), sign(state), word(state))).into(),
        }
    }
}
