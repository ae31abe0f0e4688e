//! The pages under somebody's eyes: narrow and wide, light and dark, by a screen reader, without a script, and after
//! a night.

use std::path::Path;

use serde_json::json;

use crate::Test;
use crate::browser::{Browser, TAB};
use crate::desk::Desk;
use crate::grid::HISTORY;
use crate::past::{HOSTILE, History};

pub(crate) const TESTS: &[Test] = &[
    (
        "it_is_read_on_a_phone_and_on_a_desk_by_day_and_by_night",
        it_is_read_on_a_phone_and_on_a_desk_by_day_and_by_night,
    ),
    ("a_screen_reader_finds_its_way", a_screen_reader_finds_its_way),
    ("what_a_case_is_called_does_nothing", what_a_case_is_called_does_nothing),
    ("without_a_script_the_story_is_there", without_a_script_the_story_is_there),
    ("the_page_of_a_night_has_the_nights_before_it", the_page_of_a_night_has_the_nights_before_it),
    ("a_console_that_was_saved_makes_a_page", a_console_that_was_saved_makes_a_page),
];

const RED: &str = include_str!("../fixtures/ng40/some-fail.txt");

/// Reads every text that is seen, and returns those that are hard to read: less than 4.5 to 1, or 3 to 1 where it is large.
const HARD_TO_READ: &str = r"
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data;
    };
    const light = ([r, g, b]) => {
        const part = (value) => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return rgba('white');
    };
    const hard = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest('script, .unseen, .skip')) continue;
        const style = getComputedStyle(element);
        const [a, b] = [light(rgba(style.color)), light(behind(element))].sort((a, b) => b - a);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) hard.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
    }
    return [...hard];";

/// What a screen reader would miss: texts for pictures, heads for columns, names for what can be used.
const UNTOLD: &str = r"
    const untold = [];
    const each = (selector, is_told) => {
        for (const element of document.querySelectorAll(selector)) if (!is_told(element)) untold.push(element.outerHTML.slice(0, 80));
    };
    each('table', (table) => table.caption?.textContent.trim());
    each('th', (th) => ['row', 'col'].includes(th.scope) && th.textContent.trim());
    each('svg', (svg) => svg.ariaHidden === 'true' || svg.getAttribute('aria-label') || svg.querySelector('title'));
    each('input, select', (control) => control.labels.length > 0);
    each('button, a', (element) => element.textContent.trim());
    each('section', (section) => document.getElementById(section.getAttribute('aria-labelledby'))?.textContent.trim());
    each('[aria-labelledby]', (element) => element.getAttribute('aria-labelledby').split(' ').every((id) => document.getElementById(id)));
    each('a[href^=\x22#\x22]', (link) => document.getElementById(link.hash.slice(1)));
    let before = 0;
    for (const heading of document.querySelectorAll('h1, h2, h3')) {
        const level = Number(heading.tagName[1]);
        if (level > before + 1) untold.push(heading.outerHTML);
        before = level;
    }
    if (document.querySelectorAll('h1').length !== 1 || !document.documentElement.lang || !document.title) untold.push('title');
    return untold;";

/// Checks all widths in light and in dark.
fn assert_readable(browser: &Browser) {
    let mut paper = Vec::new();
    for scheme in ["light", "dark"] {
        for width in [390, 1400] {
            browser.look(width, scheme);
            let wide = browser
                .run("const page = document.documentElement; return [innerWidth, page.scrollWidth - page.clientWidth]");
            assert_eq!(wide, json!([width, 0]), "{scheme}: nothing hangs over the edge");
            assert_eq!(browser.run(HARD_TO_READ), json!([]), "{scheme} {width}");
        }
        paper.push(browser.run("return getComputedStyle(document.documentElement).backgroundColor"));
    }
    assert_ne!(paper[0], paper[1]);
}

fn it_is_read_on_a_phone_and_on_a_desk_by_day_and_by_night() {
    let browser = Browser::start();
    browser.open(&HISTORY.1);
    browser.click("#grid tbody th");
    browser.click(".numbers summary");
    assert_readable(&browser);
    // Somebody would rather have it the other way.
    let paper = "return getComputedStyle(document.documentElement).backgroundColor";
    let dark = browser.run(paper);
    browser.click("#theme");
    assert_ne!(browser.run(paper), dark);
    browser.assert_quiet(&HISTORY.1);
}

fn a_screen_reader_finds_its_way() {
    let browser = Browser::start();
    browser.open(&HISTORY.1);
    // The first thing that a key reaches leads past all others.
    browser.press(TAB);
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    browser.click("#grid tbody th");
    assert_eq!(browser.run(UNTOLD), json!([]));
    browser.assert_quiet(&HISTORY.1);
}

fn what_a_case_is_called_does_nothing() {
    let browser = Browser::start();
    browser.open(&HISTORY.1);
    assert_eq!(browser.run("return [document.images.length, document.scripts.length]"), json!([0, 2]));
    let names = browser.run("return [...document.querySelectorAll('#grid tbody th')].map((th) => th.lastChild.data)");
    assert!(names.as_array().is_some_and(|names| names.contains(&json!(HOSTILE))), "{names}");
    assert_eq!(browser.run("return document.title"), "✕ Nights on lab");
    // The page lets nobody else's script run, wherever it comes from.
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = 1' }))",
    );
    assert_eq!(browser.run("return document.title"), "✕ Nights on lab");
}

fn without_a_script_the_story_is_there() {
    let browser = Browser::start();
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&HISTORY.1);
    let seen = browser.run(
        "return [document.querySelector('h1').innerText, document.getElementById('controls').checkVisibility(), \
                 document.querySelector('noscript').innerText.trim(), document.querySelectorAll('#grid tbody tr').length, \
                 document.querySelectorAll('figure svg').length]",
    );
    let note =
        "Without a script there are only the cases that did not pass when they last ran, and the last 14 nights.";
    assert_eq!(seen, json!(["✕ Tests failed: 2 of 40 cases", false, note, 2, 3]));
    assert_readable(&browser);
    browser.assert_quiet(&HISTORY.1);
}

fn the_page_of_a_night_has_the_nights_before_it() {
    let (_desk, page) = History::of(12, 10).page_of_a_night();
    let browser = Browser::start();
    browser.open(&page);
    assert_eq!(browser.run("return document.title"), "! Testbed trouble on lab");
    assert_eq!(
        browser.run(
            "return [document.querySelector('h1').innerText, document.querySelectorAll('#grid thead \
         .night').length, document.querySelectorAll('#grid tbody tr').length]"
        ),
        json!(["! Testbed trouble", 13, 10])
    );
    let tonight =
        "return [...document.querySelectorAll('#grid tbody tr')].every((row) => row.cells[13].ariaLabel === 'not run')";
    assert_eq!(browser.run(tonight), true);
    assert_eq!(browser.run(UNTOLD), json!([]));
    assert_readable(&browser);
    browser.assert_quiet(&page);
}

fn a_console_that_was_saved_makes_a_page() {
    let desk = Desk::new().file("night.txt", RED);
    assert_eq!(desk.run("report -q night.txt").code, "1");
    let page = desk.path("results/report.html");
    let browser = Browser::start();
    browser.open(&page);
    assert_is_told(&browser, &page);
}

fn assert_is_told(browser: &Browser, page: &Path) {
    let cases = browser.run("return [...document.querySelectorAll('.case h3')].map((heading) => heading.innerText)");
    assert!(cases.as_array().is_some_and(|cases| !cases.is_empty()), "{cases}");
    browser.click(".case details:last-of-type summary");
    let console = browser.run("return document.querySelector('.case details[open] pre').innerText");
    assert!(console.as_str().is_some_and(|console| console.contains("Verdict(")), "{console}");
    assert_eq!(browser.run(UNTOLD), json!([]));
    assert_readable(browser);
    browser.assert_quiet(page);
}
