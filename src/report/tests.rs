//! Whole nights, through every reporter.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::nights::{Story, cut_off, green, hostile, morning, options, red, restored, watched};
use super::*;
use crate::error::{one_of_each, text};
use crate::event::{self, Step};
use crate::results::{MARKER, Results, UNFINISHED};
use crate::secret::Redactor;

/// Tells a night to all reporters of a folder, the way a real one is told.
fn told(reporters: Reporters, story: &Story) -> Summary {
    reporters.listen(Inbox::of(story.events.iter().cloned()))
}

/// Opens the reports of a folder, with a console that keeps to itself.
fn open(results: &Path) -> Result<Reporters, ReportError> {
    let options = options(results);
    let mut reporters = Reporters::open(&options)?;
    let console = Console::new(&options, Stream::to(io::sink(), &options), Stream::to(io::sink(), &options));
    reporters.console = Listener::new(console);
    Ok(reporters)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

macro_rules! whole_night {
    ($night:ident) => {
        mod $night {
            use super::*;

            #[test]
            fn on_the_console() {
                insta::assert_snapshot!(watched(&super::$night(), &options(Path::new("results"))));
            }

            #[test]
            fn as_junit() {
                insta::assert_snapshot!(junit::document(&super::$night().summary()));
            }

            #[test]
            fn as_markdown() {
                insta::assert_snapshot!(markdown::document(&super::$night().summary()));
            }

            #[test]
            fn as_json() {
                insta::assert_snapshot!(record::document(&super::$night().summary()));
            }
        }
    };
}

whole_night!(green);
whole_night!(red);
whole_night!(restored);
whole_night!(morning);
whole_night!(cut_off);
whole_night!(hostile);

#[test]
fn a_coloured_console_says_the_same_in_colour() {
    let plain = watched(&red(), &options(Path::new("results")));
    let coloured = watched(&red(), &Options { color: Color::Always, ..options(Path::new("results")) });
    assert_ne!(plain, coloured);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

#[test]
fn a_quiet_console_says_only_what_is_wrong() {
    let options = Options { verbosity: Verbosity::Quiet, ..options(Path::new("results")) };
    insta::assert_snapshot!(watched(&red(), &options));
}

#[test]
fn commands_and_their_output_are_shown_only_to_those_who_ask() {
    let mut story = Story::new();
    story.begins("upgrade", &["agw"], &[]).start(Step::Prepare, Some("agw"));
    story.say(EventKind::Commanded {
        step: Step::Prepare,
        host: "agw".to_owned(),
        command: "sudo -n apt-get update".into(),
    });
    story.say(EventKind::Output {
        step: Step::Prepare,
        host: Some("agw".to_owned()),
        line: "Get:1  http://depot/\u{1b}[2J".into(),
    });
    let normal = watched(&story, &options(Path::new("results")));
    assert!(!normal.contains("apt-get") && !normal.contains("Get:1"), "{normal}");
    let verbose = Options { verbosity: Verbosity::Verbose, ..options(Path::new("results")) };
    let verbose = watched(&story, &verbose);
    assert!(verbose.contains("        prepare    agw: $ sudo -n apt-get update\n"), "{verbose}");
    assert!(verbose.contains("        prepare    agw: | Get:1  http://depot/␛[2J\n"), "{verbose}");
}

#[test]
fn a_console_in_json_is_the_events() {
    let options = Options { format: Format::Json, ..options(Path::new("results")) };
    let text = watched(&red(), &options);
    let (lines, _) = text.split_once("--- standard output").unwrap();
    let heard: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(heard.len(), red().events.len());
}

#[test]
fn every_report_stands_when_the_night_is_over_and_tells_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let summary = told(open(&results).unwrap(), &red());
    assert_eq!(names_in(&results), ["events.jsonl", "junit.xml", "report.html", "run.json", "summary.md"]);
    let read = |name: &str| std::fs::read_to_string(results.join(name)).unwrap();
    assert_eq!(read("junit.xml"), junit::document(&red().summary()));
    assert_eq!(read("summary.md"), markdown::document(&red().summary()));
    assert_eq!(read("report.html"), Page::default().document(&red().summary()));
    assert_eq!(read("run.json"), record::document(&summary));
    assert_eq!(read("events.jsonl").lines().count(), red().events.len());
    assert!(read("events.jsonl").lines().next().unwrap().contains(r#""event":"night_started","format":1"#));
}

#[test]
fn a_night_that_was_killed_leaves_reports_that_are_not_green() {
    let folder = tempfile::tempdir().unwrap();
    let mut reporters = open(folder.path()).unwrap();
    let junit = || std::fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(junit().contains(r#"errors="1""#), "{}", junit());
    for event in &green().events[..30] {
        reporters.hear(event.clone());
    }
    // Dropped without an end, as a kill would have it.
    drop(reporters);
    assert!(!junit().contains(r#"errors="0""#), "{}", junit());
    let run = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
    assert!(run.contains(r#""status": "inconclusive""#), "{run}");
}

#[test]
fn the_reports_of_an_earlier_run_are_removed_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    told(open(folder.path()).unwrap(), &green());
    drop(Results::new(folder.path()).console("gxgy", 1).unwrap());
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    std::fs::write(folder.path().join(".teravm-ci-x1"), "mine").unwrap();
    std::fs::write(folder.path().join(".teravm-ci-aB3dE6"), "half").unwrap();
    std::fs::create_dir(folder.path().join(".teravm-ci-aB3dE7")).unwrap();
    std::fs::write(folder.path().join(".teravm-ci-aB3dE7").join(MARKER), "").unwrap();
    assert!(is_removed(folder.path(), &folder.path().join("suites/gxgy/console.log")));
    assert!(!is_removed(folder.path(), &folder.path().join("notes.txt")));
    drop(open(folder.path()).unwrap());
    let names = [".teravm-ci-x1", "events.jsonl", "junit.xml", "notes.txt", "report.html", "run.json", "summary.md"];
    assert_eq!(names_in(folder.path()), names);
}

#[test]
fn what_a_run_wrote_goes_with_the_next_wherever_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    told(open(folder.path()).unwrap(), &green());
    let results = Results::new(folder.path());
    drop(results.console("gxgy", 1).unwrap());
    drop(results.console("gxgy", 2).unwrap());
    let logs = results.suite("gxgy", 1).unwrap().join("logs");
    std::fs::create_dir(&logs).unwrap();
    drop(results.create(&logs.join("attach.log")).unwrap());
    // Killed before the file was there, and within a line of the list.
    drop(results.create(&logs.join("detach.log")).unwrap());
    std::fs::remove_file(logs.join("detach.log")).unwrap();
    let marker = folder.path().join("suites").join(MARKER);
    std::fs::write(&marker, std::fs::read_to_string(&marker).unwrap() + "\ngxgy/lo").unwrap();
    drop(results.create(&logs.join("user plane #1.log")).unwrap());
    drop(results.create(&results.host("agw").unwrap().join("journal.gz")).unwrap());
    std::fs::create_dir(folder.path().join("hosts/nobody")).unwrap();
    drop(open(folder.path()).unwrap());
    assert!(!folder.path().join("suites").exists() && !folder.path().join("hosts").exists());
}

/// Everything below a folder, with what is in it.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut tree = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            tree.extend(self::tree(&path));
            tree.insert(path, "a folder".to_owned());
        } else if meta.is_symlink() {
            tree.insert(path.clone(), format!("a link to {}", std::fs::read_link(&path).unwrap().display()));
        } else {
            tree.insert(path.clone(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
        }
    }
    tree
}

#[test]
fn whatever_of_somebody_else_is_in_the_way_is_refused_and_nothing_is_touched() {
    type Put = fn(&Path);
    let puts: [(&str, Put); 26] = [
        ("summary.md", |path| std::fs::write(path, "# Chapter one\n").unwrap()),
        ("run.json", |path| std::fs::write(path, "{\"name\": \"mine\"}").unwrap()),
        ("junit.xml", |path| std::fs::write(path, "<testsuites/>").unwrap()),
        ("report.html", |path| std::fs::write(path, "<html></html>").unwrap()),
        ("events.jsonl", |path| std::fs::write(path, "{\"id\": 1}\n").unwrap()),
        ("events.jsonl", |path| {
            let line = r#"{"time":"2026-11-30T10:00:00Z","event":"deploy","run":"7","program":"mine","command":"go"}"#;
            std::fs::write(path, format!("{line}\n")).unwrap();
        }),
        ("run.json", |path| std::fs::write(path, r#"{"format": 1, "status": "deployed", "mine": true}"#).unwrap()),
        ("events.jsonl", |path| std::fs::write(path, "x".repeat(3 << 20)).unwrap()),
        ("junit.xml", |path| std::fs::create_dir(path).unwrap()),
        ("run.json", |path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap()),
        ("events.jsonl", |path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
        ("suites", |path| std::fs::write(path, "").unwrap()),
        ("suites", |path| std::os::unix::fs::symlink("/tmp", path).unwrap()),
        ("hosts", |path| {
            std::fs::create_dir_all(path.join("group_vars")).unwrap();
            std::fs::write(path.join("inventory.yml"), "all:").unwrap();
        }),
        ("hosts", |path| {
            std::fs::create_dir_all(path.join(MARKER)).unwrap();
        }),
        ("hosts", |path| std::os::unix::fs::symlink("../elsewhere", path).unwrap()),
        (".teravm-ci-aB3dE6", |path| {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("mine"), "").unwrap();
        }),
        ("suites", |path| {
            Results::new(path.parent().unwrap()).suite("gxgy", 1).unwrap();
            std::fs::write(path.join("NOTES.txt"), "mine").unwrap();
        }),
        ("suites", |path| {
            Results::new(path.parent().unwrap()).suite("gxgy", 1).unwrap();
            std::fs::create_dir(path.join("gxgy/mine")).unwrap();
            std::fs::write(path.join("gxgy/mine/m"), "mine").unwrap();
        }),
        ("suites", |path| {
            let results = Results::new(path.parent().unwrap());
            let (console, _) = results.console("gxgy", 1).unwrap();
            std::fs::remove_file(&console).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", console).unwrap();
        }),
        ("hosts", |path| {
            let folder = Results::new(path.parent().unwrap()).host("agw").unwrap();
            std::os::unix::fs::symlink("/tmp", folder.join("link")).unwrap();
        }),
        // As an earlier version of the program has left it, without a list.
        ("hosts", |path| {
            std::fs::create_dir_all(path.join("agw")).unwrap();
            std::fs::write(path.join(MARKER), "").unwrap();
            std::fs::write(path.join("agw/journal.gz"), "").unwrap();
        }),
        // Somebody may be about to fill it.
        ("hosts", |path| std::fs::create_dir(path).unwrap()),
        (".teravm-ci-aB3dE6", |path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap()),
        (".git", |path| std::fs::create_dir(path).unwrap()),
        (".git", |path| std::fs::write(path, "gitdir: ../.git/worktrees/x").unwrap()),
    ];
    for (name, put) in puts {
        for has_earlier_run in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let results = folder.path().join("results");
            std::fs::create_dir(&results).unwrap();
            if has_earlier_run {
                told(open(&results).unwrap(), &green());
                drop(Results::new(&results).console("gxgy", 1).unwrap());
                Results::new(&results).host("agw").unwrap();
                let path = results.join(name);
                let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
                put(&path);
            } else {
                put(&results.join(name));
            }
            let before = tree(folder.path());
            let error = open(&results).expect_err(name);
            let is_refused = matches!(error, ReportError::Foreign { .. } | ReportError::NoPlace { .. });
            assert!(is_refused, "{name}: {error}");
            assert_eq!(tree(folder.path()), before, "{name}");
        }
    }
}

#[test]
fn a_folder_that_another_run_writes_to_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let before = tree(folder.path());
    let error = open(folder.path()).expect_err("the first one is not over");
    assert!(matches!(error, ReportError::Occupied { .. }), "{error}");
    assert_eq!(tree(folder.path()), before);
    drop(first);
    drop(open(folder.path()).unwrap());
}

/// As of a run that was killed before its first event, or found no room for the other reports.
#[test]
fn a_record_without_a_byte_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.jsonl"), "").unwrap();
    std::fs::write(folder.path().join(".teravm-ci-aB3dE6"), "half").unwrap();
    drop(open(folder.path()).unwrap());
    assert!(!names_in(folder.path()).contains(&".teravm-ci-aB3dE6".to_owned()));
}

#[test]
fn every_report_of_every_kind_of_run_is_known_again_whenever_it_was_killed() {
    for story in [green(), red(), restored(), cut_off(), hostile()] {
        let folder = tempfile::tempdir().unwrap();
        for heard in [0, 1, 7, story.events.len()] {
            let mut reporters = open(folder.path()).unwrap_or_else(|error| panic!("after {heard}: {error}"));
            for event in &story.events[..heard] {
                reporters.hear(event.clone());
            }
            if heard == story.events.len() {
                reporters.finish();
            }
        }
        drop(open(folder.path()).unwrap());
        std::fs::write(folder.path().join("events.jsonl"), "{\"time\":\"2026-11-2").unwrap();
        drop(open(folder.path()).unwrap());
        std::fs::write(folder.path().join("junit.xml"), junit::BROKEN).unwrap();
        drop(open(folder.path()).unwrap());
    }
}

#[test]
fn a_folder_of_a_run_is_there_with_its_mark_or_not_at_all_and_goes_with_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let results = Results::new(folder.path());
    let hosts: Vec<PathBuf> = std::thread::scope(|scope| {
        let made: Vec<_> = ["agw", "feg1", "feg2"]
            .map(|host| {
                scope.spawn({
                    let results = &results;
                    move || results.host(host)
                })
            })
            .into_iter()
            .collect();
        made.into_iter().map(|made| made.join().unwrap().unwrap()).collect()
    });
    assert_eq!(names_in(&folder.path().join("hosts")), [MARKER, "agw", "feg1", "feg2"]);
    assert!(!names_in(folder.path()).iter().any(|name| name.starts_with(UNFINISHED)));
    let host = &hosts[0];
    drop(results.create(&host.join("journal.log")).unwrap());
    drop(open(folder.path()).unwrap());
    assert!(!folder.path().join("hosts").exists());
}

#[test]
fn a_path_that_cannot_be_written_is_known_before_the_night() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(open(&file.join("results")), Err(ReportError::Write { .. })));
    std::fs::create_dir(folder.path().join("junit.xml")).unwrap();
    assert!(matches!(open(folder.path()), Err(ReportError::Foreign { .. })));
}

/// Writes until it is told to fail, and hears what the others do.
struct Frail {
    fails_at: Option<&'static str>,
    panics: bool,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Reporter for Frail {
    fn name(&self) -> &str {
        "frail"
    }

    fn report(&mut self, event: &Event, _summary: &Summary) -> Result<(), ReportError> {
        let event = serde_json::to_value(event).unwrap();
        let name = event["event"].as_str().unwrap().to_owned();
        let is_now = self.fails_at == Some(name.as_str());
        self.heard.lock().unwrap().push(name);
        self.fail(is_now)
    }

    fn finish(&mut self, _summary: &Summary) -> Result<(), ReportError> {
        self.fail(self.fails_at == Some("finish"))
    }
}

impl Frail {
    fn fail(&self, is_now: bool) -> Result<(), ReportError> {
        assert!(!(is_now && self.panics), "the frail one");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        if is_now { Err(ReportError::Write { path: PathBuf::from("frail"), source: full() }) } else { Ok(()) }
    }
}

#[test]
fn a_reporter_that_fails_is_reported_once_by_the_others_and_they_go_on() {
    for fails_at in ["case_finished", "finish"] {
        let folder = tempfile::tempdir().unwrap();
        let mut reporters = open(folder.path()).unwrap();
        let heard = Arc::default();
        reporters
            .files
            .insert(0, Listener::new(Frail { fails_at: Some(fails_at), panics: false, heard: Arc::clone(&heard) }));
        let summary = told(reporters, &green());
        assert_eq!(summary.status(), crate::summary::Status::Report, "{fails_at}");
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), green().events.len() + 1);
        assert_eq!(heard.iter().filter(|name| *name == "report_failed").count(), 1);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        for name in ["events.jsonl", "junit.xml", "run.json", "summary.md"] {
            assert!(read(name).contains("cannot write the report `frail`"), "{fails_at}: {name}");
        }
        assert!(read("report.html").contains("cannot write the report <code>frail</code>"), "{fails_at}");
    }
}

#[test]
fn a_reporter_that_panics_is_an_internal_error_in_all_the_others() {
    for fails_at in ["case_finished", "night_ended", "finish"] {
        let folder = tempfile::tempdir().unwrap();
        let mut reporters = open(folder.path()).unwrap();
        let frail = Frail { fails_at: Some(fails_at), panics: true, heard: Arc::default() };
        reporters.files.insert(0, Listener::new(frail));
        let summary = told(reporters, &green());
        assert_eq!(summary.status(), crate::summary::Status::InternalError, "{fails_at}");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        for name in ["events.jsonl", "junit.xml", "run.json", "summary.md", "report.html"] {
            assert!(read(name).contains("panicked: the frail one"), "{fails_at}: {name}");
        }
        assert_eq!(serde_json::from_str::<serde_json::Value>(&read("run.json")).unwrap()["code"], 70);
    }
}

#[test]
fn a_junit_document_that_cannot_be_rendered_is_replaced_by_a_red_one() {
    let folder = tempfile::tempdir().unwrap();
    let render = |summary: &Summary| {
        assert!(summary.night.is_none(), "only once");
        junit::document(summary)
    };
    let mut document = Document::open(folder.path(), "junit.xml", render).unwrap().or(junit::BROKEN);
    let error = document.finish(&green().summary()).unwrap_err();
    assert!(matches!(error, ReportError::Crashed { .. }), "{error}");
    let text = std::fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert_eq!(text, junit::BROKEN);
    let suites = fuzz::read(&text);
    assert_eq!(suites.iter().map(|suite| suite.seen).collect::<Vec<_>>(), [[1, 0, 1, 0]], "{text}");
}

#[test]
fn a_disk_that_is_full_for_a_while_leaves_only_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Record::open(folder.path()).unwrap();
    let events = green().events;
    record.report(&events[0], &Summary::default()).unwrap();
    // The torn line of a write that failed in its middle.
    std::fs::OpenOptions::new()
        .append(true)
        .open(folder.path().join("events.jsonl"))
        .unwrap()
        .write_all(b"{\"time\":")
        .unwrap();
    record.after_a_torn_line();
    record.report(&events[1], &Summary::default()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
    let whole = text.lines().map(serde_json::from_str::<Event>).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(whole.len(), 2);
}

#[test]
fn a_record_that_is_large_leaves_out_lines_of_output_and_no_fact() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Record::of_output(folder.path(), 10_000).unwrap();
    let time = OffsetDateTime::now_utc();
    let mut say = |kind| record.report(&Event { time, kind }, &Summary::default()).unwrap();
    for number in 0..1000 {
        let line = format!("line {number}");
        say(EventKind::Output { step: Step::Prepare, host: Some("agw".to_owned()), line: line.into() });
        say(EventKind::TunnelLost { reason: "a fact".into() });
    }
    say(EventKind::NightEnded);
    let text = std::fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
    let count = |part: &str| text.matches(part).count();
    let outputs = count("\"line\":\"line ");
    assert!((50..200).contains(&outputs), "{outputs} lines of output");
    assert_eq!(count("a fact"), 1000);
    let missing = format!("[{} lines of output are left out of this file", 1000 - outputs);
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(last[0].contains("night_ended") && last[1].contains(&missing), "{last:?}");
}

#[tokio::test]
async fn a_night_is_heard_to_its_last_event_beside_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let reporters = open(folder.path()).unwrap();
    let (events, inbox) = event::channel(Redactor::default());
    let listening = tokio::task::spawn_blocking(move || reporters.listen(inbox));
    for event in green().events {
        events.say(event.kind);
    }
    drop(events);
    let summary = listening.await.unwrap();
    assert_eq!(summary.status(), crate::summary::Status::Passed);
    assert!(summary.reasons().is_empty());
}

#[test]
fn each_error_says_what_why_and_what_to_try() {
    let path = PathBuf::from("results/junit.xml");
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let errors = one_of_each! {
        ReportError::Write { .. } => ReportError::Write { path: path.clone(), source: denied() },
        ReportError::Read { .. } => ReportError::Read { path: path.clone(), source: denied() },
        ReportError::Foreign { .. } => ReportError::Foreign { path: "results/suites".into() },
        ReportError::NoPlace { .. } => ReportError::NoPlace { path: "/home/me".into(), what: "your home directory" },
        ReportError::Occupied { .. } => ReportError::Occupied { path: "results".into() },
        ReportError::Remove { .. } => ReportError::Remove { path: path.clone(), source: denied() },
        ReportError::Crashed { .. } => ReportError::Crashed {
            crash: crash::caught_at_once(|| panic!("no such case")).expect_err("it panics"),
        },
    };
    let told = errors.map(|error| text(&error.hinted()));
    insta::assert_snapshot!(told.join("\n\n"));
}
