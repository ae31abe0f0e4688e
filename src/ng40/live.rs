//! The live view of the case that runs: tables and a watch, redrawn again and again. Knows nothing of verdicts.

use super::case::{Row, Table, Watchtime, shortened};
use super::parser::{parse_heading, parse_row};

const MAX_TABLES: usize = 16;
const MAX_ROWS: usize = 64;
const MAX_ROW: usize = 512;
const MAX_CLAUSES: usize = 64;
const MAX_CLAUSE: usize = 1000;

/// What has been printed of the case that runs: a view that is redrawn again and again. The last one counts.
#[derive(Debug, Default)]
pub(super) struct Live {
    tables: Vec<LiveTable>,
    /// The table that is being printed.
    printing: Option<usize>,
    pub(super) watchtime: Option<Watchtime>,
    /// Clauses of a case that has not been named yet.
    pub(super) verification: Vec<String>,
}

/// A table as text. It is printed every second and needed once, so it is not parsed before.
#[derive(Debug, Default)]
struct LiveTable {
    title: String,
    /// The last that was printed: it is the same again and again.
    heading: String,
    has_heading: bool,
    rows: Vec<String>,
    row_count: usize,
}

impl Live {
    /// Begins a table, in place of the last one of this title.
    pub(super) fn begin_table(&mut self, title: &str) {
        let known = self.tables.iter().position(|table| table.title == title);
        let position = known.or_else(|| {
            (self.tables.len() < MAX_TABLES).then(|| {
                self.tables.push(LiveTable { title: title.to_owned(), ..LiveTable::default() });
                self.tables.len() - 1
            })
        });
        if let Some(position) = position {
            let table = &mut self.tables[position];
            table.has_heading = false;
            table.row_count = 0;
        }
        self.printing = position;
    }

    /// Takes a line of the table that is being printed; a line that is none of it ends the table.
    pub(super) fn print(&mut self, text: &str) {
        let Some(position) = self.printing else { return };
        let table = &mut self.tables[position];
        if text.is_empty() || text.len() > MAX_ROW {
            self.printing = None;
        } else if !table.has_heading && (table.heading == text || parse_heading(text).is_some()) {
            table.heading.clear();
            table.heading.push_str(text);
            table.has_heading = true;
        } else if table.has_heading && table.row_count < MAX_ROWS && text.ends_with(|char: char| char.is_ascii_digit())
        {
            if table.row_count == table.rows.len() {
                table.rows.push(String::new());
            }
            let row = &mut table.rows[table.row_count];
            row.clear();
            row.push_str(text);
            table.row_count += 1;
        } else {
            self.printing = None;
        }
    }

    /// Returns the last set of tables.
    pub(super) fn tables(&self) -> Vec<Table> {
        self.tables.iter().filter(|table| table.row_count > 0).map(LiveTable::parse).collect()
    }

    /// Returns true if anything has been drawn of the case that runs.
    pub(super) fn is_drawn(&self) -> bool {
        !self.tables.is_empty() || self.watchtime.is_some()
    }

    /// Returns true while the lines of a table are expected.
    pub(super) fn is_printing(&self) -> bool {
        self.printing.is_some()
    }

    pub(super) fn end_table(&mut self) {
        self.printing = None;
    }

    /// Keeps a clause for the case that will be named by its verdict.
    pub(super) fn add_verification(&mut self, clause: &str) {
        if self.verification.len() < MAX_CLAUSES {
            self.verification.push(shortened(clause, MAX_CLAUSE));
        }
    }

    /// Forgets the counters of a case that has ended.
    pub(super) fn end_case(&mut self) {
        self.tables.clear();
        self.printing = None;
        self.watchtime = None;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl LiveTable {
    fn parse(&self) -> Table {
        let columns = parse_heading(&self.heading).into_iter().flatten().map(str::to_owned).collect();
        let rows = self.rows[..self.row_count].iter().filter_map(|row| parse_row(row));
        let rows = rows.map(|(label, counters)| Row { label: label.to_owned(), counters: counters.collect() });
        Table { title: self.title.clone(), columns, rows: rows.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_drawn_again_has_its_rows_of_the_last_time_and_none_without_its_heading() {
        let mut live = Live::default();
        let mut draw = |lines: &[&str]| {
            live.begin_table("Signaling Table");
            lines.iter().for_each(|line| live.print(line));
            live.tables().into_iter().map(|table| (table.columns, table.rows.len())).collect::<Vec<_>>()
        };
        let columns = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        // Nothing is no heading, the first time either.
        assert_eq!(draw(&["", "ran_1 1 2"]), []);
        assert_eq!(draw(&["AttUE BrReq", "ran_1 1 2", "ran_2 1 2"]), [(columns(&["AttUE", "BrReq"]), 2)]);
        assert_eq!(draw(&["AttUE BrReq", "ran_1 3 4"]), [(columns(&["AttUE", "BrReq"]), 1)]);
        assert_eq!(draw(&["ran_1 3 4"]), []);
        assert_eq!(draw(&["BrReq AttUE", "ran_1 3 4"]), [(columns(&["BrReq", "AttUE"]), 1)]);
    }
}
