//! Plots: bars in SVG, one for each night, with the same in words. They scale with the page, so no text stands in them.

use std::time::Duration;

use super::super::text::{count, took};
use super::escape::{Html, html};
use super::grid::{Column, Grid};

/// The height of a plot, in its own units; a night is ten of them wide.
const HEIGHT: f64 = 100.0;
const NIGHT: usize = 10;

/// The pass rate and what each suite took, by night.
pub(super) fn plots(page: &mut Html, grid: &Grid) {
    if grid.columns.len() < 2 {
        return;
    }
    html!(
        page,
        "<section id=\"plots\" aria-labelledby=\"plots-title\">\n<h2 id=\"plots-title\">Night by night</h2>\n\
         <div class=\"figures\">\n"
    );
    rates(page, &grid.columns);
    for (place, suite) in grid.suites.iter().enumerate() {
        durations(page, &grid.columns, &suite.took, &format!("Duration of {}", suite.name), &format!("suite-{place}"));
    }
    let upgrades: Vec<_> = grid.columns.iter().map(|column| Some((column.upgrade?, true))).collect();
    durations(page, &grid.columns, &upgrades, "Upgrade", "upgrade");
    html!(page, "</div>\n");
    table(page, grid);
    html!(page, "</section>\n");
}

fn rates(page: &mut Html, columns: &[Column]) {
    let known = || columns.iter().filter_map(|column| column.rate().map(|rate| (rate, column)));
    let Some((lowest, worst)) = known().min_by_key(|(rate, _)| *rate) else { return };
    let (last, _) = known().next_back().unwrap_or((lowest, worst));
    let words = format!("{last} % in the last night; the lowest was {lowest} % on {}", worst.day());
    let mut bars = Html::default();
    for (place, column) in columns.iter().enumerate() {
        let counts = column.counts;
        let all = counts.all();
        if all == 0 {
            continue;
        }
        let parts = [
            ("p", counts.passed),
            ("l", counts.flaky),
            ("k", counts.known),
            ("e", counts.errors),
            ("f", counts.failed),
        ];
        let told = told(&parts);
        html!(bars, "<g><title>{}: {} % passed; {}</title>", column.day(), column.rate().unwrap_or(0), told);
        let mut floor = HEIGHT;
        for (class, cases) in parts {
            let height = HEIGHT * ratio(cases, all);
            if cases > 0 {
                floor -= height;
                bar(&mut bars, class, place, floor, height);
            }
        }
        html!(bars, "</g>");
    }
    figure(page, columns, &Figure { id: "rate", title: "Pass rate", words: &words, top: "100 %", bars });
}

fn told(parts: &[(&str, usize)]) -> String {
    let names = ["passed", "flaky", "known", "inconclusive", "failed"];
    let told = parts.iter().zip(names).filter(|((_, cases), _)| *cases > 0);
    told.map(|((_, cases), name)| format!("{cases} {name}")).collect::<Vec<_>>().join(", ")
}

/// What something took in each night, and whether it went to its end.
fn durations(page: &mut Html, columns: &[Column], lengths: &[Option<(Duration, bool)>], title: &str, id: &str) {
    let known: Vec<(Duration, &Column)> =
        lengths.iter().zip(columns).filter_map(|(took, column)| Some((took.as_ref()?.0, column))).collect();
    let Some(&(longest, slowest)) = known.iter().max_by_key(|(took, _)| *took) else { return };
    let Some(&(last, _)) = known.last() else { return };
    if longest.is_zero() {
        return;
    }
    let words = format!("{} the last time; the longest was {} on {}", took(last), took(longest), slowest.day());
    let mut bars = Html::default();
    for (place, (length, column)) in lengths.iter().zip(columns).enumerate() {
        let Some((length, is_whole)) = length else { continue };
        let height = (HEIGHT * length.as_secs_f64() / longest.as_secs_f64()).max(1.0);
        let end = if *is_whole { "" } else { ", not to its end" };
        html!(bars, "<g><title>{}: {}{}</title>", column.day(), took(*length), end);
        bar(&mut bars, if *is_whole { "whole" } else { "part" }, place, HEIGHT - height, height);
        html!(bars, "</g>");
    }
    figure(page, columns, &Figure { id, title, words: &words, top: &took(longest), bars });
}

fn bar(bars: &mut Html, class: &str, place: usize, top: f64, height: f64) {
    let tenths = |length: f64| (length * 10.0).round() / 10.0;
    html!(
        bars,
        "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
        class,
        place * NIGHT + 1,
        tenths(top),
        NIGHT - 2,
        tenths(height)
    );
}

struct Figure<'a> {
    id: &'a str,
    title: &'a str,
    words: &'a str,
    /// What the height of the plot stands for.
    top: &'a str,
    bars: Html,
}

fn figure(page: &mut Html, columns: &[Column], figure: &Figure<'_>) {
    let Figure { id, title, words, top, bars } = figure;
    let (first, last) = (columns.first().map(Column::day), columns.last().map(Column::day));
    html!(page, "<figure id=\"{}\">\n<figcaption><strong>{}</strong> <span>{}</span></figcaption>\n", id, title, words);
    html!(
        page,
        "<div class=\"plot\"><span class=\"top\">{}</span>\
         <svg viewBox=\"0 0 {} 100\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"{}-t {}-d\">",
        top,
        columns.len() * NIGHT,
        id,
        id
    );
    html!(
        page,
        "<title id=\"{}-t\">{} by night</title><desc id=\"{}-d\">{}; {}. The table below has every night.</desc>",
        id,
        title,
        id,
        words,
        count(columns.len(), "night")
    );
    html!(page, "{}</svg></div>\n", bars);
    html!(
        page,
        "<div class=\"axis\" aria-hidden=\"true\"><span>{}</span><span>{}</span></div>\n</figure>\n",
        first.unwrap_or_default(),
        last.unwrap_or_default()
    );
}

/// The same in numbers, the newest first.
fn table(page: &mut Html, grid: &Grid) {
    html!(
        page,
        "<details class=\"numbers\"><summary>The same in numbers</summary>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"The nights in numbers\"><table>\n"
    );
    html!(
        page,
        "<caption>Nights, the newest first</caption>\n<thead><tr><th scope=\"col\">Night</th><th scope=\"col\">Status\
         </th><th scope=\"col\">Release</th><th scope=\"col\" class=\"n\">Pass rate</th><th scope=\"col\">Cases</th>"
    );
    for suite in &grid.suites {
        html!(page, "<th scope=\"col\" class=\"n\">{}</th>", suite.name);
    }
    html!(page, "<th scope=\"col\" class=\"n\">Upgrade</th></tr></thead>\n<tbody>\n");
    for (place, column) in grid.columns.iter().enumerate().rev() {
        let counts = column.counts;
        let cases = told(&[
            ("p", counts.passed),
            ("l", counts.flaky),
            ("k", counts.known),
            ("e", counts.errors),
            ("f", counts.failed),
        ]);
        let head = super::escape::link(column.url.as_deref().unwrap_or_default(), &column.day());
        html!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td>",
            head,
            column.status.map_or("under way", |status| status.name())
        );
        html!(page, "<td><code>{}</code></td>", column.release.as_deref().unwrap_or("—"));
        let rate = column.rate().map_or_else(|| "—".to_owned(), |rate| format!("{rate} %"));
        html!(page, "<td class=\"n\">{}</td><td>{}</td>", rate, cases);
        for suite in &grid.suites {
            let length = suite.took[place].map_or_else(|| "—".to_owned(), |(length, _)| took(length));
            html!(page, "<td class=\"n\">{}</td>", length);
        }
        let upgrade = column.upgrade.map_or_else(|| "—".to_owned(), took);
        html!(page, "<td class=\"n\">{}</td></tr>\n", upgrade);
    }
    html!(page, "</tbody>\n</table></div></details>\n");
}

fn ratio(part: usize, all: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are fewer cases than a float can count")]
    let ratio = part as f64 / all as f64;
    ratio
}
