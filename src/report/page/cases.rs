//! The grid in HTML: a table of what does not pass for whoever has no script, its controls, and the data for the
//! script.

use super::super::text::{LONGEST_LINE, count, one_line};
use super::escape::{Html, html, json};
use super::grid::{Grid, Row, STATES, letter, sign, word};
use crate::gate::CameTo;

/// How much of the grid stands there without a script: the cases that did not pass last, and the last nights.
const MOST_ROWS: usize = 60;
const MOST_NIGHTS: usize = 14;

/// The grid, and what the script needs to make more of it.
pub(super) fn grid(page: &mut Html, grid: &Grid) {
    if grid.rows.is_empty() {
        return;
    }
    html!(
        page,
        "<section id=\"cases\" aria-labelledby=\"cases-title\">\n<h2 id=\"cases-title\">Every case, every night</h2>\n"
    );
    html!(
        page,
        "<p class=\"quiet\">{}, {}; the newest night is on the right.</p>\n",
        count(grid.rows.len(), "case"),
        count(grid.columns.len(), "night")
    );
    controls(page, grid);
    legend(page);
    html!(
        page,
        "<noscript>\
         <p class=\"quiet\">Without a script there are only the cases that did not pass when they last ran, and the last {}.</p></noscript>\n",
        count(MOST_NIGHTS, "night")
    );
    table(page, grid);
    html!(
        page,
        "<button id=\"rest\" type=\"button\" hidden>Show all rows</button>\n<p id=\"cell\" role=\"status\">&nbsp;\
         </p>\n</section>\n"
    );
}

/// What the script reads.
pub(super) fn data(page: &mut Html, grid: &Grid) {
    html!(page, "<script type=\"application/json\" id=\"data\">{}</script>\n", json(&grid.data()));
}

fn controls(page: &mut Html, grid: &Grid) {
    html!(page, "<form class=\"controls\" id=\"controls\" role=\"search\" aria-label=\"Which cases\" hidden>\n");
    html!(
        page,
        "<label>Case <input id=\"text\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" \
         placeholder=\"part of a name\" aria-keyshortcuts=\"/\"></label>\n"
    );
    html!(page, "<label>Suite <select id=\"suite\"><option value=\"\">all</option>");
    for (place, suite) in grid.suites.iter().enumerate() {
        html!(page, "<option value=\"{}\">{}</option>", place, one_line(&suite.name, LONGEST_LINE));
    }
    html!(
        page,
        "</select></label>\n<label>Last night <select id=\"state\"><option value=\"\">all</option>\
         <option value=\"bad\">not passed</option>"
    );
    for state in STATES {
        html!(page, "<option value=\"{}\">{}</option>", letter(state), word(state));
    }
    html!(
        page,
        "</select></label>\n<label>Order <select id=\"order\"><option value=\"worse\">recently worse</option>\
         <option value=\"name\">name</option><option value=\"took\">duration</option></select></label>\n"
    );
    html!(page, "<output id=\"shown\" for=\"text suite state order\"></output>\n</form>\n");
}

fn legend(page: &mut Html) {
    html!(page, "<ul class=\"legend\" aria-label=\"Signs\">\n");
    for state in STATES {
        html!(
            page,
            "<li><span class=\"key {}\" aria-hidden=\"true\">{}</span> {}</li>\n",
            letter(state),
            sign(state),
            word(state)
        );
    }
    html!(page, "</ul>\n");
}

fn table(page: &mut Html, grid: &Grid) {
    let from = grid.columns.len().saturating_sub(MOST_NIGHTS);
    html!(
        page,
        "<div class=\"scroll\" id=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Cases by night\">\
         <table class=\"grid\" id=\"grid\">\n<caption class=\"unseen\">What each case came to in each night\
         </caption>\n<thead><tr><th scope=\"col\" class=\"name\">Case</th>"
    );
    for column in &grid.columns[from..] {
        html!(
            page,
            "<th scope=\"col\" class=\"night\"><span>{} {}</span></th>",
            column.day(),
            column.commit().unwrap_or_default()
        );
    }
    html!(page, "</tr></thead>\n<tbody>\n");
    let is_bad =
        |row: &&Row| row.nights.iter().rev().flatten().next().is_some_and(|(came_to, _)| *came_to != CameTo::Passed);
    for row in grid.worst_first().into_iter().filter(is_bad).take(MOST_ROWS) {
        html!(
            page,
            "<tr><th scope=\"row\" class=\"name\"><span class=\"suite\">{}</span> {}</th>",
            one_line(&grid.suites[row.suite].name, LONGEST_LINE),
            one_line(&row.case, LONGEST_LINE)
        );
        for night in &row.nights[from..] {
            let state = night.map(|(came_to, _)| came_to);
            html!(page, "<td class=\"{}\" aria-label=\"{}\">{}</td>", letter(state), word(state), sign(state));
        }
        html!(page, "</tr>\n");
    }
    html!(page, "</tbody>\n</table></div>\n");
}
