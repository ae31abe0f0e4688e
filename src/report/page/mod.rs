//! `report.html`: the night and those before it on one page, which needs nothing but itself.
//!
//! It asks no network and obeys a policy that lets nothing run but its own script. Without a script the story, what did not
//! pass and the plots are there all the same.

mod cases;
mod escape;
mod failures;
mod grid;
mod morning;
mod plot;
mod story;
mod testbed;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::history::{Entry, Nights};
use crate::summary::{Status, Summary};
use escape::{Html, html};
use grid::Grid;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a night, with those before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    past: Grid,
}

impl Page {
    pub(crate) fn new(nights: &Nights) -> Page {
        Page { past: Grid::past(nights) }
    }

    /// Returns the text of `report.html`.
    pub(crate) fn document(&self, summary: &Summary) -> String {
        if summary.night.is_none() && summary.steps.is_empty() && summary.suites.is_empty() {
            return before_the_night(summary);
        }
        let grid = self.past.with(summary);
        let mut body = Html::default();
        story::head(&mut body, summary);
        let mut main = Html::default();
        morning::morning(&mut main, summary);
        failures::failures(&mut main, summary);
        testbed::suites(&mut main, summary);
        testbed::gateways(&mut main, summary);
        cases::grid(&mut main, &grid);
        plot::plots(&mut main, &grid);
        testbed::steps(&mut main, summary);
        testbed::notes(&mut main, summary);
        testbed::files(&mut main, summary);
        with_contents(&mut body, &main);
        cases::data(&mut body, &grid);
        let setup = summary.night.as_ref().and_then(|night| night.setup.as_deref());
        whole(&title(&story::title(summary), setup), story::status(summary), &body)
    }
}

/// The page of a night that has not begun: short, so that it finds room where anything does.
fn before_the_night(summary: &Summary) -> String {
    let mut page = Html::default();
    head(&mut page, "default-src 'none'", "Under way", None);
    html!(page, "</head>\n<body>\n");
    story::head(&mut page, summary);
    html!(page, "</body>\n</html>\n");
    page.into_string()
}

/// Returns the page of a setup's history: its last night in short, and all of them in the grid.
pub(crate) fn of_history(setup: &str, nights: &Nights, last: Option<&Entry>) -> String {
    let grid = Grid::past(nights);
    let mut body = Html::default();
    story::history(&mut body, setup, last, &nights.nights);
    let mut main = Html::default();
    cases::grid(&mut main, &grid);
    plot::plots(&mut main, &grid);
    if let Some(last) = last {
        failures::past(&mut main, last);
    }
    with_contents(&mut body, &main);
    cases::data(&mut body, &grid);
    whole(&title("Nights", Some(setup)), last.map(|last| last.status), &body)
}

/// What the page may have.
const CONTENTS: [(&str, &str); 9] = [
    ("new", "Since the last night"),
    ("failures", "What did not pass"),
    ("suites", "Suites"),
    ("gateways", "Gateways"),
    ("cases", "Every case, every night"),
    ("plots", "Night by night"),
    ("steps", "Steps"),
    ("notes", "Notes"),
    ("files", "Files"),
];

/// The main part, and before it where everything is.
fn with_contents(body: &mut Html, main: &Html) {
    html!(body, "<nav class=\"contents\" aria-label=\"On this page\">\n<ul>\n");
    let place = |id: &str| main.find(&format!("<section id=\"{id}\""));
    let mut there: Vec<_> = CONTENTS.into_iter().filter_map(|(id, title)| Some((place(id)?, id, title))).collect();
    there.sort();
    for (_, id, title) in there {
        html!(body, "<li><a href=\"#{}\">{}</a></li>\n", id, title);
    }
    html!(body, "</ul>\n</nav>\n<main id=\"main\">\n{}</main>\n", main);
}

fn title(what: &str, setup: Option<&str>) -> String {
    setup.map_or_else(|| what.to_owned(), |setup| format!("{what} on {setup}"))
}

/// What is said of a page before it, up to its style.
fn head(page: &mut Html, policy: &str, title: &str, status: Option<Status>) {
    let tone = story::tone(status);
    html!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\" data-tone=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"generator\" content=\"teravm-ci\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{} {}</title>\n<link rel=\"icon\" href=\"{}\">\n",
        tone,
        policy,
        story::sign_of(status),
        title,
        icon(tone),
    );
}

/// The document around a body.
fn whole(title: &str, status: Option<Status>, body: &Html) -> String {
    let mut page = Html::default();
    head(&mut page, &POLICY, title, status);
    // Both are this program's own, and hold nothing that ends them.
    page.push(format_args!("<style>{STYLE}</style>\n</head>\n<body>\n"));
    html!(page, "<a class=\"skip\" href=\"#main\">To the story</a>\n");
    if body.find("<section id=\"cases\"").is_some() {
        html!(page, "<a class=\"skip\" href=\"#cases\">To the grid</a>\n");
    }
    html!(page, "<button id=\"theme\" type=\"button\" hidden>Light or dark</button>\n{}", body);
    page.push(format_args!("<script>{SCRIPT}</script>\n</body>\n</html>\n"));
    page.into_string()
}

/// Nothing is loaded, nothing is run and nothing is styled but what this program wrote.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

/// A dot in the colour of the night, so that a tab tells.
fn icon(tone: &str) -> String {
    let colour = match tone {
        "good" => "1f7a4d",
        "bad" => "b3261e",
        "unsure" => "96690a",
        _ => "5b6470",
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' \
         r='7' fill='%23{colour}'/%3E%3C/svg%3E"
    )
}
