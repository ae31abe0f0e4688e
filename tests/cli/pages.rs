//! What README.md and docs/ say: every command that needs no lab is run, links lead somewhere, files and keys that are named are there.
//! The commands that need the lab are run by `tests/nights/pages.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use insta::assert_snapshot;
use regex::Regex;

use crate::desk::Desk;
use crate::docs::{Runner, commands, pages, root, words};

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The configuration of the README, by which everything stands as the pages have it, with its secrets.
fn with_tiplab() -> Desk {
    Desk::with_config(&file("config/tiplab.yaml"))
        .env("TERAVM_OVPN", "Y2xpZW50CmRldiB0dW4KcmVtb3RlIDEyNy4wLjAuMSAxMTk0IHVkcAo=")
        .env("TERAVM_VPN_USERNAME", "nightly")
        .env("TERAVM_VPN_PASSWORD", "hunter2hunter2")
        .env("TERAVM_SSH_KEY", "bm90IGEga2V5Cg==")
        .env("TERAVM_CI_SETUP", "setup_1")
        .program("openvpn", "exit 7")
}

/// A desk at which nights have been: a release passed everything, and the last night did not get far.
fn after_some_nights() -> Desk {
    static HISTORY: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let desk = with_tiplab();
        for (setup, suite) in [("setup_1", "s6a"), ("setup_1", "gxgy"), ("setup_2", "s6a"), ("setup_2", "gxgy")] {
            // No two consoles are the same night.
            fs::write(desk.path("saved.log"), format!("{CONSOLE}{setup} {suite}\n")).expect("the desk is ours");
            let words = format!("history import saved.log --suite {suite} --release {RELEASE} --setup {setup}");
            assert_eq!(desk.run(&words).code, "0", "{words}");
        }
        fs::read(desk.path("config/history.sqlite")).expect("the history is there")
    });
    let desk = with_tiplab()
        .file("config/history.sqlite", &*HISTORY)
        .file("console.log", CONSOLE)
        .file("fabfile_teravm_conf.json", FABFILE);
    assert_eq!(desk.run("test -q").code, "3");
    desk
}

const CONSOLE: &str = include_str!("../fixtures/ng40/all-pass.txt");

const RELEASE: &str = "1.9.0-1667381719-ebd3bb56";

const FABFILE: &str = r#"{"ng40_test_files": ["working_testplan_s6a_CI_run.ntl"],
    "setups": {"setup_1": {"gateway": "192.168.60.17", "feg": "192.168.60.112", "ng40": "192.168.60.75"}}}"#;

#[test]
fn every_command_that_needs_no_lab_does_what_it_says() {
    let commands = commands(Runner::Desk);
    assert!(commands.len() > 15, "the pages are read: {commands:?}");
    for typed in commands {
        let (line, into) = typed.line.split_once(" > ").unwrap_or((&typed.line, ""));
        let words = words(line);
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let desk = match words[..] {
            // It asks, and writes what is not there yet.
            ["config", "init"] => Desk::new().input("\n10.0.0.17\n\n10.0.0.75\nworking_testplan_s6a_CI_run.ntl\n\n\n"),
            _ => after_some_nights(),
        };
        let ended = desk.run_words(&words);
        assert_eq!((ended.code.as_str(), ended.left.len()), ("0", 0), "{}: {}\n{ended}", typed.page, typed.line);
        let is_idle = ended.stdout.is_empty() && ended.changed.is_empty();
        assert!(!is_idle, "{}: {} says nothing and does nothing", typed.page, typed.line);
        if !into.is_empty() {
            let desk = desk.file(into, &ended.stdout);
            assert_eq!(desk.run(&format!("config show --config {into}")).code, "0", "{}: {}", typed.page, typed.line);
        }
    }
}

/// A call of the Fabric script, and the night that its counterpart makes: what is wanted, on which gateways, and the suites.
#[test]
fn every_call_of_the_fabric_script_has_its_night() {
    let mut nights = String::new();
    for typed in commands(Runner::Fabric) {
        let desk = with_tiplab();
        let words = words(&typed.line);
        let ended = desk.run_words(&words[1..].iter().map(String::as_str).chain(["-q"]).collect::<Vec<_>>());
        // There is no lab here; so far as it gets, it is the night that was meant.
        assert_eq!(ended.code, "3", "{}\n{ended}", typed.line);
        let night = &desk.json("results/run.json")["night"];
        let suites = night["suites"].as_array().expect("a list").iter().map(|suite| &suite["suite"]);
        let suites: Vec<&str> = suites.filter_map(serde_json::Value::as_str).collect();
        nights.push_str(&format!(
            "{}: {} {} on {}, then {suites:?}\n",
            typed.line, night["command"], night["wanted"], night["gateways"]
        ));
    }
    assert_snapshot!(nights, @r#"
        teravm-ci run --setup setup_1: "run" "latest" on ["agw","feg1"], then ["s6a", "gxgy"]
        teravm-ci run --setup setup_1 --tag 9cdb9470: "run" "9cdb9470" on ["agw","feg1"], then ["s6a", "gxgy"]
        teravm-ci run --setup setup_1 --only agw: "run" "latest" on ["agw"], then ["s6a", "gxgy"]
        teravm-ci upgrade --setup setup_1: "upgrade" "latest" on ["agw","feg1"], then []
        teravm-ci upgrade agw --setup setup_1: "upgrade" "latest" on ["agw"], then []
        teravm-ci upgrade feg --setup setup_1 --tag 9cdb9470: "upgrade" "9cdb9470" on ["feg1"], then []
        teravm-ci test --setup setup_1: "test" null on [], then ["s6a", "gxgy"]
        teravm-ci test SUITE --setup setup_1: "test" null on [], then ["s6a"]
        "#);
}

/// A file, and words in it by which it runs a command.
type Place = (&'static str, &'static str);

/// Commands that are not the program's, and that no test here runs: why, and a place where these very words are run.
const ELSEWHERE: [(&str, &str, Option<Place>); 31] = [
    (
        "tests/lab/nightly",
        "builds everything anew: by hand",
        Some(("tests/lab/nightly", "run --config config/lab.yaml")),
    ),
    ("tests/run", "has begun this very test", Some((".ci/run", "tests/run"))),
    (".ci/run", "what CircleCI begins with", Some((".circleci/config.yml", "bash .ci/run"))),
    ("tests/lab/lab up", "before the tests", Some(("tests/run", r#""$lab" up"#))),
    ("tests/lab/lab down", "after the tests", Some(("tests/run", r#""$lab" down"#))),
    ("tests/lab/lab reset", "before most nights of the lab", Some(("tests/nights/lab.rs", r#"must(&["reset"])"#))),
    (
        "tests/lab/faults",
        "takes hours: by hand; the quick rows are tests",
        Some(("tests/nights/main.rs", "faults::trials")),
    ),
    ("tests/lab/chaos", "takes hours: by hand", None),
    ("tests/lab/chaos --nights N --seed S", "takes hours: by hand", None),
    ("tests/fuzz/run", "takes half an hour and another compiler: by hand; what it kept is run by every test", None),
    ("tests/fuzz/run --planted", "takes half an hour and another compiler: by hand", None),
    ("tests/bench/history", "takes minutes: by hand", None),
    ("tests/bench/hosts", "takes minutes: by hand", None),
    ("tests/bench/nights", "takes minutes: by hand", None),
    (
        "tests/bench/noisy",
        "takes minutes: by hand; a test of the program runs it for seconds",
        Some(("tests/machines/noisy.rs", "tests/bench/noisy")),
    ),
    ("tests/bench/output", "takes minutes: by hand", None),
    ("tests/bench/live", "takes minutes: by hand", None),
    ("tests/bench/rooms", "takes minutes: by hand", None),
    ("tests/bench/run", "takes an hour: by hand", None),
    ("tests/bench/small", "takes minutes: by hand", None),
    (
        "cargo build --release --locked",
        "for every night",
        Some(("tests/lab/nightly", "cargo build --release --locked")),
    ),
    (
        "cargo test --locked --lib",
        "with the others",
        Some(("tests/run", "cargo test --locked --no-fail-fast --lib --test cli")),
    ),
    (
        "cargo test --locked --test cli",
        "with the others",
        Some(("tests/run", "--lib --test cli --test page --test machines --test nights")),
    ),
    (
        "cargo test --locked --test page",
        "with the others",
        Some(("tests/run", "--lib --test cli --test page --test machines --test nights")),
    ),
    (
        "cargo test --locked --test machines",
        "with the others",
        Some(("tests/run", "--lib --test cli --test page --test machines --test nights")),
    ),
    (
        "cargo test --locked --test nights",
        "with the others",
        Some(("tests/run", "--lib --test cli --test page --test machines --test nights")),
    ),
    (
        "cargo install --locked --path .",
        "builds what `cargo build --release` builds",
        Some(("tests/lab/nightly", "cargo build --release --locked")),
    ),
    (
        "cargo install --locked cargo-deb",
        "for every package",
        Some((".circleci/config.yml", "cargo install --locked cargo-deb")),
    ),
    (".ci/deb", "for every package", Some((".circleci/config.yml", "bash .ci/deb"))),
    (".ci/orb", "before every test", Some(("tests/run", "diff .circleci/orb.yml <(.ci/orb)"))),
    ("cargo update --workspace", "once a release: by hand", None),
];

/// Commands that `the_secrets_of_the_pages_are_made_as_they_say` runs.
const OF_SECRETS: [&str; 4] = [
    r#"ssh-keygen -q -t ed25519 -N "" -f id_ed25519"#,
    "base64 -w0 client.ovpn",
    "base64 -w0 id_ed25519",
    "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
];

#[test]
fn of_every_other_command_it_is_known_who_runs_it() {
    let found: BTreeSet<String> = commands(Runner::Other).into_iter().map(|typed| typed.line).collect();
    let known = ELSEWHERE.iter().map(|(line, _, _)| *line).chain(OF_SECRETS).map(str::to_owned).collect();
    assert_eq!(found, known, "left: what the pages have; right: what is known of");
    for (line, why, place) in ELSEWHERE {
        if let Some((path, words)) = place {
            assert!(file(path).contains(words), "`{line}` ({why}) is no longer run by {path} as `{words}`");
        }
    }
}

#[test]
fn the_secrets_of_the_pages_are_made_as_they_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("client.ovpn"), "client\ndev tun\nremote 127.0.0.1 1194 udp\n").expect("a file");
    let run = |line: &str| {
        let line = line.replace("/etc/ssh/ssh_host_ed25519_key.pub", "id_ed25519.pub");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &line]).current_dir(folder.path()).stdin(Stdio::null());
        let output = shell.output().expect("there is a shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints text")
    };
    let said = OF_SECRETS.map(run);
    assert!(said[3].contains(" SHA256:"), "{}", said[3]);
    let desk = with_tiplab().env("TERAVM_OVPN", &said[1]).env("TERAVM_SSH_KEY", &said[2]);
    // The key is looked at by OpenSSH itself.
    let desk = desk.program("ssh-keygen", "exec /usr/bin/ssh-keygen \"$@\"");
    assert_eq!(desk.run("config check").code, "0");
    assert_eq!(desk.env("TERAVM_SSH_KEY", "bm90IGEga2V5Cg==").run("config check").code, "2");
}

/// The text of a page without its blocks of code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|char| char.is_alphanumeric() || "-_".contains(*char)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)]*)\)").expect("it is a pattern");
    let mut count = 0;
    for page in pages() {
        for found in link.captures_iter(&prose(&page.text)) {
            let to = &found[1];
            if to.starts_with("https://") {
                continue;
            }
            count += 1;
            let (path, anchor) = to.split_once('#').unwrap_or((to, ""));
            let folder = root().join(&page.path).parent().expect("a page lies in a folder").to_owned();
            let target = if path.is_empty() { root().join(&page.path) } else { folder.join(path) };
            let text = fs::read_to_string(&target).unwrap_or_else(|error| panic!("{}: {to}: {error}", page.path));
            assert!(anchor.is_empty() || anchors(&text).contains(anchor), "{}: no heading for {to}", page.path);
        }
    }
    assert!(count > 20, "{count} links are read");
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let named = Regex::new(r"`((?:src|tests|config|docs|\.circleci|\.ci)/[\w./-]*)`").expect("it is a pattern");
    for page in pages() {
        for found in named.captures_iter(&page.text) {
            assert!(root().join(&found[1]).exists(), "{} names `{}`", page.path, &found[1]);
        }
    }
}

#[test]
fn every_key_of_the_configuration_stands_in_the_one_of_the_tiplab() {
    let schema: serde_json::Value = serde_json::from_str(&Desk::new().run("config schema").stdout).expect("JSON");
    let text = file("config/tiplab.yaml");
    let sections = Regex::new(r"(?m)^#?(\w+):").expect("it is a pattern");
    let starts: Vec<(usize, &str)> = sections
        .captures_iter(&text)
        .map(|found| (found.get(0).expect("all of it").start(), found.extract::<1>().1[0]))
        .collect();
    let mut count = 0;
    for (section, properties) in schema["properties"].as_object().expect("an object") {
        let place = starts.iter().position(|(_, name)| name == section);
        let place = place.unwrap_or_else(|| panic!("config/tiplab.yaml has no `{section}`"));
        let end = starts.get(place + 1).map_or(text.len(), |(start, _)| *start);
        let section_text = &text[starts[place].0..end];
        let mut keys = BTreeSet::new();
        keys_of(properties, &schema, &mut keys);
        count += keys.len();
        for key in keys {
            let is_there = Regex::new(&format!(r"\b{key}:( |$)")).expect("it is a pattern");
            assert!(
                section_text.lines().any(|line| is_there.is_match(line)),
                "config/tiplab.yaml: `{key}` of `{section}`"
            );
        }
    }
    assert!(count > 60, "{count} keys are read");
}

/// The keys below a part of the schema, but those by which a secret is named.
fn keys_of(part: &serde_json::Value, schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match part {
        serde_json::Value::Object(fields) => {
            if let Some(serde_json::Value::String(name)) = fields.get("$ref") {
                let name = name.trim_start_matches("#/definitions/");
                if name != "Secret" {
                    keys_of(&schema["definitions"][name], schema, keys);
                }
            }
            if let Some(serde_json::Value::Object(properties)) = fields.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            fields.values().for_each(|value| keys_of(value, schema, keys));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys_of(value, schema, keys)),
        _ => {}
    }
}

/// The rooms of the program, and those that each of them uses.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let names = Regex::new(r"(?m)^(?:pub )?mod (\w+);").expect("it is a pattern");
    let mut rooms = BTreeMap::new();
    let doors = file("src/lib.rs").replace("pub mod fuzz;", "");
    let known: BTreeSet<String> = names.captures_iter(&doors).map(|found| found[1].to_owned()).collect();
    for room in &known {
        let mut uses = BTreeSet::new();
        let mut paths = vec![root().join(format!("src/{room}.rs")), root().join(format!("src/{room}"))];
        while let Some(path) = paths.pop() {
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            // What is only there for tests may use what it likes.
            if ["tests", "tests.rs", "fuzz.rs", "nights.rs"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                paths.extend(fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
            } else if name.ends_with(".rs") && path.exists() {
                uses.append(&mut used_by(&fs::read_to_string(&path).expect("a file of text")));
            }
        }
        uses.remove(room);
        rooms.insert(room.clone(), uses.intersection(&known).cloned().collect());
    }
    rooms
}

/// The rooms that a file names: `crate::room`, `crate::{room::Thing, other}`.
fn used_by(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    let mut uses = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let first_word = |text: &str| {
            text.trim_start().chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect::<String>()
        };
        let Some(list) = after.strip_prefix('{') else {
            uses.insert(first_word(after));
            continue;
        };
        let mut depth = 1;
        let mut outermost = String::new();
        for char in list.chars() {
            depth += i32::from(char == '{') - i32::from(char == '}');
            match depth {
                0 => break,
                1 => outermost.push(char),
                _ => {}
            }
        }
        uses.extend(outermost.split(',').map(first_word));
    }
    uses
}

#[test]
fn the_table_of_the_rooms_is_that_of_the_code() {
    let page = file("docs/carrying-on.md");
    let rows = Regex::new(r"(?m)^\| `(\w+)` \| [^|]* \| ?([a-z0-9_ ]*?) ?\|$").expect("it is a pattern");
    let told: BTreeMap<String, BTreeSet<String>> = rows
        .captures_iter(&page)
        .map(|row| (row[1].to_owned(), row[2].split_whitespace().map(str::to_owned).collect()))
        .collect();
    let rooms = rooms();
    assert!(rooms["runner"].contains("upgrade") && rooms["moment"].is_empty(), "the code is read: {rooms:?}");
    let wrong = rooms.iter().filter(|(room, uses)| told.get(*room) != Some(uses));
    let right = wrong
        .map(|(room, uses)| format!("| `{room}` | ... | {} |\n", uses.iter().cloned().collect::<Vec<_>>().join(" ")));
    assert_eq!(right.collect::<String>(), "", "docs/carrying-on.md: these rows are not so");
    assert_eq!(told.len(), rooms.len(), "a room is told of that is not there");
}

#[test]
fn every_fuzzer_has_a_planted_bug_that_fits_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut targets = 0;
    for target in fs::read_dir(root.join("tests/fuzz/targets")).expect("a folder").flatten() {
        let name = target.path().with_extension("patch");
        let path = root.join("tests/fuzz/planted").join(name.file_name().expect("a name"));
        let patch = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is not there", path.display()));
        let file = patch.lines().find_map(|line| line.strip_prefix("--- a/")).expect("it names a file");
        let code = fs::read_to_string(root.join(file)).expect("the file is there");
        let hunks = patch.split("\n@@ ").skip(1);
        for hunk in hunks {
            let before = |line: &str| line.strip_prefix([' ', '-']).map(|line| format!("{line}\n"));
            let before: String = hunk.lines().skip(1).filter_map(before).collect();
            assert_eq!(code.matches(&before).count(), 1, "{}: {file} has not this once:\n{before}", path.display());
        }
        targets += 1;
    }
    assert!(targets > 5, "{targets}");
}
