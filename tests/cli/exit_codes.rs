//! The exit codes, as the README tells them, and as the program means them.

use std::collections::BTreeMap;

use crate::desk::Desk;

/// The rows of the README's table: code and name.
fn rows() -> Vec<(u16, String)> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("there is a README");
    let rows = readme.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        Some((cells.next()?.parse().ok()?, cells.next()?))
    });
    rows.collect()
}

fn table() -> BTreeMap<u16, String> {
    rows().into_iter().collect()
}

#[test]
fn the_readme_has_every_code_once() {
    let expected = [
        (0, "passed"),
        (1, "tests failed"),
        (2, "usage"),
        (3, "testbed"),
        (4, "upgrade failed"),
        (5, "testbed mixed"),
        (6, "inconclusive"),
        (7, "report"),
        (70, "internal error"),
        (130, "interrupted"),
    ];
    assert_eq!(rows(), expected.map(|(code, name)| (code, name.to_owned())));
}

#[test]
fn the_operations_guide_has_every_code_once() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).expect("a guide");
    let sections = guide.lines().filter_map(|line| line.strip_prefix("### "));
    let expected: Vec<String> = rows().iter().map(|(code, name)| format!("{code} {name}")).collect();
    assert_eq!(sections.collect::<Vec<_>>(), expected);
}

/// What the outcome begins with, and what the reports say.
fn said(desk: &Desk, words: &str) -> (u16, String, String) {
    let ended = desk.run(words);
    let title: Vec<&str> = ended.stdout.lines().next().expect("an outcome").split("  ").collect();
    let run = desk.json("results/run.json");
    assert_eq!(title[1], format!("exit {}", ended.code));
    assert_eq!(run["code"].to_string(), ended.code);
    let status = run["status"].as_str().expect("a word").replace('_', " ");
    (ended.code.parse().expect("a number"), title[0].to_lowercase(), status)
}

#[test]
fn exit_code_console_and_run_json_say_what_the_readme_says() {
    let green = include_str!("../fixtures/ng40/all-pass.txt");
    let red = include_str!("../fixtures/ng40/some-fail.txt");
    let nights = [
        (Desk::new().file("night.txt", green), "report night.txt", 0),
        (Desk::new().file("night.txt", red), "report night.txt", 1),
        (Desk::new().file("night.txt", ""), "report night.txt", 6),
        (Desk::with_lab().program("openvpn", "exit 1"), "run", 3),
    ];
    for (desk, words, code) in nights {
        let name = table()[&code].clone();
        assert_eq!(said(&desk, words), (code, name.clone(), name));
    }
    // Standard output is what is full here, so only the record can say it.
    let desk = Desk::new().file("night.txt", green).after("exec > /dev/full");
    assert_eq!(desk.run("report night.txt").code, "7");
    assert_eq!(desk.json("results/run.json")["status"].as_str(), Some(table()[&7].as_str()));
    assert_eq!(Desk::new().run("run").code, "2");
}
