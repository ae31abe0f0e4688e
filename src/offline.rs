//! Saved consoles, turned into the events of a night that has been. Needs no lab and no config.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::cli::ReportArgs;
use crate::error::Hint as _;
use crate::event::{self, EventKind, Events, Night, PlannedSuite, Problem, Step, SuiteEnd};
use crate::gate::Gate;
use crate::ng40::outcome::{End, Rules};
use crate::ng40::reading::{Console, Heard};
use crate::plan::run_name;
use crate::report::is_removed;
use crate::secret::Redactor;
use crate::summary::Summary;
use crate::version::VERSION;

/// A saved console, opened, so that a path that cannot be read is refused before anything is written.
#[derive(Debug)]
pub(crate) struct Saved {
    suite: String,
    path: PathBuf,
    file: File,
}

/// Opens every console that was named.
pub(crate) fn open(args: &ReportArgs, results: &Path) -> anyhow::Result<Vec<Saved>> {
    let mut consoles: Vec<Saved> = Vec::new();
    if args.files.iter().filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(anyhow!("standard input (`-`) can be read once, and is named more often")).hint("name it once");
    }
    for path in &args.files {
        let (file, stem) = if path == Path::new("-") {
            let mut spool = tempfile::tempfile().context("standard input cannot be kept")?;
            io::copy(&mut io::stdin().lock(), &mut spool).context("standard input cannot be read")?;
            spool.rewind().context("standard input cannot be kept")?;
            (spool, "stdin".to_owned())
        } else {
            if path.is_dir() {
                return Err(anyhow!("the console `{}` is a folder", path.display())).hint("name the files in it");
            }
            if is_removed(results, path) {
                let lies = "lies among the reports of an earlier run, which a new run removes";
                return Err(anyhow!("the console `{}` {lies}", path.display()))
                    .hint("copy it elsewhere, or choose another folder with `--results`");
            }
            let file = File::open(path).with_context(|| format!("cannot read the console `{}`", path.display()))?;
            (file, path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        };
        let suite = unique(args.suite.as_deref().unwrap_or(&stem), &consoles);
        consoles.push(Saved { suite, path: path.clone(), file });
    }
    Ok(consoles)
}

/// A name that is a suite's alone: two consoles of one name stay two suites.
fn unique(name: &str, others: &[Saved]) -> String {
    let is_taken = |name: &str| others.iter().any(|other| other.suite == name);
    let mut unique = name.to_owned();
    let mut count = 1;
    while is_taken(&unique) {
        count += 1;
        unique = format!("{name}-{count}");
    }
    unique
}

/// Reads one console, and returns what it comes to by the rules of its suite.
pub(crate) fn told(path: &Path, suite: Option<&str>, rules: impl Fn(&str) -> Rules) -> anyhow::Result<Summary> {
    let file = File::open(path).with_context(|| format!("cannot read the console `{}`", path.display()))?;
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let saved = Saved { suite: suite.map_or_else(stem, str::to_owned), path: path.to_owned(), file };
    let rules = rules(&saved.suite);
    let (events, mut inbox) = event::channel(Redactor::process());
    read(vec![saved], rules, &events);
    let mut summary = Summary::default();
    while let Some(event) = inbox.try_recv() {
        summary.hear(&event);
    }
    Ok(summary)
}

/// Reads the consoles to their ends. What they say are events.
pub(crate) fn read(consoles: Vec<Saved>, rules: Rules, events: &Events) {
    let suites = consoles
        .iter()
        .map(|console| PlannedSuite { suite: console.suite.clone(), list: console.path.display().to_string() });
    events.say(EventKind::NightStarted(Night {
        format: event::FORMAT,
        run: run_name(),
        program: VERSION.to_owned(),
        command: "report".to_owned(),
        setup: None,
        url: None,
        wanted: None,
        gateways: Vec::new(),
        suites: suites.collect(),
        steps: vec![Step::Test],
        tag: None,
        gate: Gate::default(),
        compare: None,
    }));
    let stage = events.start(Step::Test, None);
    let count = consoles.len();
    for console in consoles {
        read_one(console, rules, events);
    }
    stage.done(if count == 1 { "1 console".to_owned() } else { format!("{count} consoles") });
    events.say(EventKind::NightEnded);
}

fn read_one(saved: Saved, rules: Rules, events: &Events) {
    let Saved { suite, path, mut file } = saved;
    events.say(EventKind::SuiteStarted {
        suite: suite.clone(),
        list: path.display().to_string(),
        host: "offline".to_owned(),
        attempt: 1,
    });
    let hear = |heard: Heard| {
        let suite = suite.clone();
        events.say(match heard {
            Heard::Planned(cases) => EventKind::SuitePlanned { suite, cases },
            Heard::Started { number, case } => EventKind::CaseStarted { suite, number, case },
            Heard::Finished(case) => EventKind::CaseFinished { suite, case },
            Heard::Revised(case) => EventKind::CaseExplained { suite, case },
            Heard::Unkept(error) => {
                EventKind::Noted { step: Step::Test, host: None, level: event::Level::Warning, text: error.into() }
            }
        });
    };
    let mut console = Console::saved(&file, rules);
    let mut piece = vec![0; 256 * 1024];
    let mut problem = None;
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => drop(console.push(&piece[..count], Duration::ZERO, hear)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let text = format!("the console `{}` cannot be read to its end", path.display());
                problem = Some(Problem::new(event::Class::Inconclusive, text).because_of(&error));
                break;
            }
        }
    }
    let outcome = console.finish(End::Offline, Duration::ZERO, hear);
    events.say(EventKind::SuiteFinished {
        suite,
        end: SuiteEnd {
            verdict: outcome.verdict,
            planned: outcome.planned,
            exit: crate::ng40::words(End::Offline).into(),
            took: Duration::ZERO,
            notes: outcome.notes.into_iter().map(Into::into).collect(),
            problem,
        },
    });
}
