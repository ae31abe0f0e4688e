//! The grid under somebody's hands: order, filter, rows that open, keys.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::json;

use crate::Test;
use crate::browser::{Browser, DOWN, END, ENTER, ESCAPE, HOME, LEFT, RIGHT, UP};
use crate::past::{History, name};

pub(crate) const TESTS: &[Test] = &[
    ("what_was_bad_of_late_comes_first_and_a_head_sorts", what_was_bad_of_late_comes_first_and_a_head_sorts),
    ("cases_are_found_by_name_suite_and_state", cases_are_found_by_name_suite_and_state),
    ("a_row_that_is_clicked_opens_and_tells_of_its_case", a_row_that_is_clicked_opens_and_tells_of_its_case),
    ("all_of_it_can_be_done_with_keys", all_of_it_can_be_done_with_keys),
    ("a_cell_says_what_it_means", a_cell_says_what_it_means),
    ("fifty_thousand_cells_are_there_within_a_second", fifty_thousand_cells_are_there_within_a_second),
];

/// 60 nights of 40 cases.
pub(crate) static HISTORY: LazyLock<(History, PathBuf)> = LazyLock::new(|| {
    let history = History::of(60, 40);
    let page = history.page();
    (history, page)
});

fn open() -> (Browser, &'static Path) {
    let browser = Browser::start();
    browser.open(&HISTORY.1);
    (browser, &HISTORY.1)
}

/// The names of the rows, in their order.
fn rows(browser: &Browser) -> Vec<String> {
    let names = browser.run("return [...document.querySelectorAll('#grid tbody th')].map((th) => th.lastChild.data)");
    serde_json::from_value(names).expect("names")
}

fn sorted_by(browser: &Browser) -> serde_json::Value {
    browser.run("return [...document.querySelectorAll('#grid [aria-sort]')].map((th) => [th.textContent, th.ariaSort])")
}

/// What the grid and the focus are like.
fn focus(browser: &Browser) -> serde_json::Value {
    browser.run(
        "const at = document.activeElement; \
         return [at.parentElement.cells?.[0].lastChild.data ?? at.id, at.cellIndex ?? -1, document.querySelectorAll('#grid .more').length]",
    )
}

fn what_was_bad_of_late_comes_first_and_a_head_sorts() {
    let (browser, page) = open();
    assert_eq!(sorted_by(&browser), json!([["Bad of 10", "descending"]]));
    let worst = rows(&browser);
    assert_eq!(worst.len(), 40);
    // 2 has failed in three nights, 3 in one, 6 gave no verdict some nights ago.
    assert_eq!(worst[..3], [name(2), name(3), name(6)]);

    browser.click("#grid thead .name button");
    assert_eq!(sorted_by(&browser), json!([["Case", "ascending"]]));
    assert_eq!(rows(&browser)[..2], [name(4), name(1)]);
    browser.click("#grid thead .name button");
    assert_eq!(sorted_by(&browser), json!([["Case", "descending"]]));
    assert_eq!(rows(&browser)[0], name(40));

    browser.click("#grid thead th:last-child button");
    assert_eq!(sorted_by(&browser), json!([["Took last", "descending"]]));
    assert_eq!(rows(&browser)[0], name(7));
    assert_eq!(browser.run("return document.querySelector('#grid tbody tr').lastChild.textContent"), "9 m 14 s");
    assert_eq!(browser.run("return document.getElementById('order').value"), "took");
    browser.assert_quiet(page);
}

fn cases_are_found_by_name_suite_and_state() {
    let (browser, page) = open();
    let choose = |id: &str, value: &str| {
        browser.run(&format!(
            "const control = document.getElementById('{id}'); control.value = {}; \
             control.dispatchEvent(new Event('input', {{ bubbles: true }}))",
            json!(value)
        ));
    };
    let shown = || browser.run("return document.getElementById('shown').value");
    assert_eq!(shown(), "40 cases");
    choose("text", "CASE_01");
    assert_eq!(rows(&browser).len(), 10);
    assert_eq!(shown(), "10 of 40 cases");
    choose("text", "<img");
    assert_eq!(rows(&browser), [name(4)]);
    choose("text", "no such case");
    assert_eq!(rows(&browser), [""; 0]);
    choose("text", "");
    choose("suite", "1");
    assert_eq!(rows(&browser).len(), 20);
    choose("state", "bad");
    assert_eq!(rows(&browser), [""; 0]);
    choose("suite", "");
    assert_eq!(rows(&browser), [name(2), name(3)]);
    choose("state", "e");
    assert_eq!(shown(), "0 of 40 cases");
    browser.assert_quiet(page);
}

fn a_row_that_is_clicked_opens_and_tells_of_its_case() {
    let (browser, page) = open();
    browser.click("#grid tbody th");
    assert_eq!(
        browser.run(
            "const row = document.querySelector('#grid tbody tr'); \
             return [row.cells[0].getAttribute('aria-expanded'), row.nextSibling.className, \
                     [...row.nextSibling.querySelectorAll('p')].map((p) => p.textContent)]"
        ),
        json!([
            "true",
            "more",
            [
                "In the last night: failed.",
                "It has not passed since 2026-11-20 on 1.9.1-1673424800-5d2e8fc9; it passed last 2026-11-19 on \
                 1.9.1-1673338400-5d2e8fc8.",
                "60 nights: 57 passed, 3 failed.",
                "Durations: usually 19.0 s, last 19.0 s, at most 19.0 s on 2026-09-24.",
            ]
        ])
    );
    let plot = "return [...document.querySelectorAll('.more svg')].map((svg) => [svg.getAttribute('role'), \
     svg.children.length])";
    assert_eq!(browser.run(plot), json!([["img", 60]]));
    // All of it is in sight, wherever the nights are.
    let is_inside = "const at = document.querySelector('.inside').getBoundingClientRect(), of = \
     document.getElementById('scroll').getBoundingClientRect(); \
                     return at.left >= of.left && at.right <= of.right || [at.left, of.left, at.right, of.right]";
    assert_eq!(browser.run(is_inside), true);
    // A second row may be open beside it, and a click closes.
    browser.click("#grid tbody tr:nth-of-type(3) td:last-child");
    assert_eq!(browser.run("return document.querySelectorAll('.more').length"), 2);
    browser.click("#grid tbody th");
    assert_eq!(browser.run("return document.querySelectorAll('.more').length"), 1);
    assert_eq!(browser.run("return document.querySelector('#grid tbody th').getAttribute('aria-expanded')"), "false");
    browser.assert_quiet(page);
}

fn all_of_it_can_be_done_with_keys() {
    let (browser, page) = open();
    browser.press("/");
    assert_eq!(focus(&browser), json!(["text", -1, 0]));
    browser.press("case_00/");
    assert_eq!(browser.run("return document.activeElement.value"), "case_00/");
    browser.press(ESCAPE);
    assert_eq!(rows(&browser).len(), 40);
    browser.press("case_00");
    assert_eq!(rows(&browser).len(), 8);
    browser.press(DOWN);
    assert_eq!(focus(&browser), json!([name(2), 0, 0]));
    browser.press(&[DOWN, RIGHT, RIGHT].concat());
    assert_eq!(focus(&browser), json!([name(3), 2, 0]));
    browser.press(&[UP, LEFT, ENTER].concat());
    assert_eq!(focus(&browser), json!([name(2), 1, 1]));
    // An open row is passed over, and closed from where it was opened.
    browser.press(DOWN);
    assert_eq!(focus(&browser), json!([name(3), 1, 1]));
    browser.press(&[UP, ESCAPE].concat());
    assert_eq!(focus(&browser), json!([name(2), 1, 0]));
    browser.press(END);
    assert_eq!(focus(&browser), json!([name(2), 60, 0]));
    // What has the focus is in sight, and under nothing.
    let is_in_sight = "const at = document.activeElement.getBoundingClientRect(); \
                       return document.activeElement.contains(document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2))";
    for keys in [HOME, DOWN, END, UP, LEFT] {
        browser.press(keys);
        assert_eq!(browser.run(is_in_sight), true, "{keys:?}");
    }
    // The focus is seen.
    assert_eq!(browser.run("return getComputedStyle(document.activeElement).outlineStyle"), "solid");
    browser.assert_quiet(page);
}

fn a_cell_says_what_it_means() {
    let (browser, page) = open();
    browser.click("#grid tbody tr td:nth-of-type(60)");
    assert_eq!(
        browser.run(
            "return [document.activeElement.textContent, document.activeElement.ariaLabel, \
         document.getElementById('cell').textContent]"
        ),
        json!([
            "✕",
            "failed",
            format!("attach {}: 2026-11-22, 23:05, 1.9.1-1673597600-5d2e8fcb, failed, 19.0 s", name(2))
        ])
    );
    browser.press(LEFT);
    let said = browser.run("return document.getElementById('cell').textContent");
    assert!(said.as_str().is_some_and(|said| said.contains("2026-11-21")), "{said}");
    browser.assert_quiet(page);
}

fn fifty_thousand_cells_are_there_within_a_second() {
    let history = History::of(100, 500);
    let page = history.page();
    let size = std::fs::metadata(&page).expect("it is there").len();
    assert!(size < 1_000_000, "{size} bytes");
    let browser = Browser::start();
    browser.devtools("Performance.enable", &json!({"timeDomain": "threadTicks"}));
    browser.open(&page);
    // What the page has cost so far, whatever else the machine has to do.
    let metrics = browser.devtools("Performance.getMetrics", &json!({}));
    let metrics = metrics["metrics"].as_array().expect("a list");
    let cost =
        metrics.iter().find(|metric| metric["name"] == "TaskDuration").and_then(|metric| metric["value"].as_f64());
    assert!(cost.is_some_and(|cost| cost < 1.0), "{cost:?} s");
    // The other rows come as somebody comes to them, or all at once.
    let count = || browser.run("return document.querySelectorAll('#grid tbody tr').length").as_u64();
    assert_eq!(count(), Some(60));
    browser.run(
        "const scroll = document.getElementById('scroll'); scroll.scrollTop = scroll.scrollHeight; \
         return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
    );
    assert_eq!(count(), Some(120));
    browser.run("document.querySelector('#grid tbody th').click()");
    browser.press(END);
    browser.press(&DOWN.repeat(130));
    assert_eq!(focus(&browser)[1], 100);
    assert_eq!(count(), Some(181));
    browser.click("#rest");
    assert_eq!(browser.run("return document.querySelectorAll('#grid tbody td').length"), 500 * 102 + 1);
    browser.assert_quiet(&page);
}
