//! Runs from files: `run.json`, NG40 consoles, JUnit XML of other tools. The same file, imported with the same options, is
//! the same run, however often it is imported. What a file does not show to have passed has not passed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Entry;
use super::entry::PastSuite;
use super::junit;
use super::ship::MOST_UNSURE;
use crate::cli::{Global, ImportArgs};
use crate::config::{Config, is_plain_name};
use crate::error::Hint as _;
use crate::event::{Case, FORMAT, Judgement, SuiteEnd};
use crate::gate::CameTo;
use crate::ng40;
use crate::offline;
use crate::release::Release;
use crate::secret::RedactedText;
use crate::summary::{About, Counts, Reason, Status, SuiteRun, Summary};
use crate::version::VERSION;

/// The largest `run.json` or JUnit file that is read. Our own stay below a fifth of it.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The longest name and address in a `run.json`, in characters.
const LONGEST_NAME: usize = 2_000;
/// The most cases and attempts of a `run.json`.
const MOST_CASES: usize = 200_000;

/// What was said of files on the command line.
struct Said<'a> {
    config: &'a Config,
    global: &'a Global,
    args: &'a ImportArgs,
    started: Option<OffsetDateTime>,
    release: Option<String>,
}

/// What a file is, by its first bytes.
enum Content {
    RunJson(String),
    Junit(String),
    /// A console may have any size: it is read as it comes.
    Console,
}

/// Reads the run of every file, or with `--run` the one run of all of them.
pub(super) fn read(config: &Config, global: &Global, args: &ImportArgs) -> anyhow::Result<Vec<Entry>> {
    let started = args.started.as_deref().map(|text| {
        let time = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| anyhow!("`{text}` is not a time; write it like `2026-11-01T23:05:00Z`"))?;
        started_at(time).with_context(|| format!("`--started {text}` is refused")).hint(
            "write when the run began, in UTC or with its offset: `2026-11-01T23:05:00Z`, `2026-11-02T00:05:00+01:00`",
        )
    });
    let release = args.release.as_deref().map(|text| {
        let release = text.parse::<Release>().map_err(|why| anyhow!("`--release` is refused: {why}"));
        release.hint("write the version as the package has it, for example `1.9.0-1667381719-ebd3bb56`")
    });
    let release = release.transpose()?.map(|release| release.version().to_owned());
    if let Some(run) = args.run.as_deref().filter(|run| !is_plain_name(run) || run.len() > 100) {
        let error = anyhow!("`{run}` cannot be the name of a run");
        return Err(error).hint("use at most 100 letters, digits, `.`, `-` and `_`");
    }
    let said = Said { config, global, args, started: started.transpose()?, release };
    match &args.run {
        Some(run) => Ok(vec![said.group(run)?]),
        None => args.files.iter().map(|file| said.run(file)).collect(),
    }
}

impl Said<'_> {
    /// The run of one file.
    fn run(&self, file: &Path) -> anyhow::Result<Entry> {
        let (content, digest) = open(file)?;
        let (kind, entry) = match content {
            Content::RunJson(text) => return self.run_json(file, &text),
            Content::Junit(text) => ("junit", self.junit(file, &text)?),
            Content::Console => ("console", self.console(file)?),
        };
        self.named(kind, &[digest], entry)
    }

    /// One run of several files, each with suites of its own.
    fn group(&self, name: &str) -> anyhow::Result<Entry> {
        let mut digests = Vec::new();
        let mut run: Option<Entry> = None;
        for file in &self.args.files {
            let (content, digest) = open(file)?;
            let entry = match content {
                Content::RunJson(_) => {
                    let error = anyhow!("`{}` is a `run.json`, which has a name of its own", file.display());
                    return Err(error).hint("import it without `--run`");
                }
                Content::Junit(text) => self.junit(file, &text)?,
                Content::Console => self.console(file)?,
            };
            digests.push(digest);
            run = Some(match run {
                None => entry,
                Some(run) => joined(run, entry).with_context(|| format!("`{}` is refused", file.display()))?,
            });
        }
        self.named(name, &digests, run.context("no file was named")?)
    }

    /// Gives an entry the name by which it is known again: of the same files and the same options.
    fn named(&self, kind: &str, digests: &[[u8; 32]], entry: Entry) -> anyhow::Result<Entry> {
        let setup = whose(self.config, self.global)?;
        let started = self.started.map(|time| time.unix_timestamp_nanos().to_string());
        let mut digest = Sha256::new();
        digests.iter().for_each(|bytes| digest.update(bytes));
        for (name, value) in [
            ("setup", Some(&setup)),
            ("started", started.as_ref()),
            ("release", self.release.as_ref()),
            ("suite", self.args.suite.as_ref()),
        ] {
            if let Some(value) = value {
                digest.update(format!("{name} {} {value}", value.len()));
            }
        }
        let digest: String = digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Entry { run: format!("{kind}-{digest}"), setup: Some(setup), release: self.release.clone(), ..entry })
    }

    /// When the run of a file began: as was said, as the file has it, or else when it was last written. And by how many
    /// milliseconds that may be off.
    fn started(&self, file: &Path, stated: Option<OffsetDateTime>) -> anyhow::Result<(OffsetDateTime, u64)> {
        let refused = || format!("`{}` is refused", file.display());
        if let Some(started) = self.started {
            return Ok((started, 0));
        }
        if let Some(stated) = stated {
            let stated = checked(stated).with_context(refused).hint("give its time with `--started`")?;
            return Ok(not_later_than_now(stated));
        }
        let written = std::fs::metadata(file).and_then(|file| file.modified());
        let written = written.with_context(|| format!("cannot read `{}`", file.display()))?;
        let written = checked(written.into()).with_context(refused).hint("give its time with `--started`")?;
        Ok(not_later_than_now(written))
    }

    /// A console, read by the same rules as tonight's.
    fn console(&self, file: &Path) -> anyhow::Result<Entry> {
        let rules = |suite: &str| self.config.suites.get(suite).map(ng40::rules).unwrap_or_default();
        let summary = offline::told(file, self.args.suite.as_deref(), rules)?;
        if summary.judged().all(|suite| suite.standings().iter().all(|standing| standing.case.is_nameless())) {
            bail!("`{}` is neither `run.json` nor JUnit XML, and as a console of NG40 it has no case", file.display());
        }
        let entry = Entry::of(&summary).context("a console that was read tells of a night")?;
        let (started, unsure_ms) = self.started(file, None)?;
        Ok(Entry { started, unsure_ms, ended: None, ..entry })
    }

    /// A JUnit document, ours or another's.
    fn junit(&self, file: &Path, text: &str) -> anyhow::Result<Entry> {
        let states_time = self.started.is_none();
        let document = junit::read(text, states_time)
            .with_context(|| format!("`{}` cannot be read as JUnit XML", file.display()))?;
        let (started, unsure_ms) = self.started(file, document.started)?;
        let is_unsure = document.is_local && self.started.is_none();
        let unsure_ms = if is_unsure { MOST_UNSURE.as_millis() as u64 } else { unsure_ms };
        Ok(with_suites(Entry { started, unsure_ms, reasons: document.reasons, ..empty() }, document.suites))
    }

    /// A `run.json`: judged again by what it records. Where it states something worse, it has not passed.
    fn run_json(&self, file: &Path, text: &str) -> anyhow::Result<Entry> {
        let mut entry = run_json(text).with_context(|| format!("`{}` is not a usable `run.json`", file.display()))?;
        // One of saved consoles does not know where they are from.
        if entry.setup.is_none() {
            entry.setup = Some(whose(self.config, self.global)?);
        }
        entry.release = entry.release.or_else(|| self.release.clone());
        (entry.started, entry.unsure_ms) = not_later_than_now(entry.started);
        Ok(entry)
    }
}

/// Opens a file: what it is, and the digest of all of it.
fn open(path: &Path) -> anyhow::Result<(Content, [u8; 32])> {
    let unreadable = || format!("cannot read `{}`", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head).with_context(unreadable)?;
    if let Some(encoding) = foreign_encoding(&head) {
        let error = anyhow!("`{}` is encoded as {encoding}, and only UTF-8 is read", path.display());
        return Err(error).hint(format!("convert it: `iconv -f {encoding} -t UTF-8 FILE >NEW`"));
    }
    let text = head.strip_prefix(BOM).unwrap_or(&head);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(first, Some(b'{' | b'<')) {
        let mut digest = Sha256::new();
        digest.update(&head);
        let mut piece = vec![0; 256 * 1024];
        loop {
            let count = file.read(&mut piece).with_context(unreadable)?;
            if count == 0 {
                return Ok((Content::Console, digest.finalize().into()));
            }
            digest.update(&piece[..count]);
        }
    }
    let is_json = first == Some(&b'{');
    let mut bytes = head;
    file.take(MOST_BYTES).read_to_end(&mut bytes).with_context(unreadable)?;
    if bytes.len() as u64 >= MOST_BYTES {
        bail!("`{}` is larger than {} MB", path.display(), MOST_BYTES / 1024 / 1024);
    }
    let digest = Sha256::digest(&bytes).into();
    if bytes.starts_with(BOM) {
        bytes.drain(..BOM.len());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow!("`{}` is not UTF-8 at byte {at}", path.display())
    });
    let hint = "save it as UTF-8; `iconv -f ISO-8859-1 -t UTF-8 FILE >NEW` converts a file of Western Europe";
    let text = text.hint(hint)?;
    Ok((if is_json { Content::RunJson(text) } else { Content::Junit(text) }, digest))
}

/// What some programs put in front of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The name of an encoding that is not made of ASCII, by the first bytes of a text.
fn foreign_encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [b'<' | b'{', 0, 0, 0, ..] => Some("UTF-32LE"),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, b'<' | b'{', ..] => Some("UTF-32BE"),
        [0xff, 0xfe, ..] | [b'<' | b'{', 0, ..] => Some("UTF-16LE"),
        [0xfe, 0xff, ..] | [0, b'<' | b'{', ..] => Some("UTF-16BE"),
        _ => None,
    }
}

/// A time that a run can have begun or ended at.
fn checked(time: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
    // Clocks differ, and a time without an offset may be half a day off.
    let latest = OffsetDateTime::now_utc() + Duration::DAY;
    if time < OffsetDateTime::UNIX_EPOCH || time > latest {
        bail!("{} is not a time between 1970 and now", Display(time));
    }
    Ok(time.to_offset(time::UtcOffset::UTC))
}

/// A time that somebody states a run to have begun at. It is not taken for an earlier one in silence: a local time that was
/// written with a `Z` would make the run the newest one.
fn started_at(time: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
    let time = checked(time)?;
    let now = OffsetDateTime::now_utc();
    if time > now {
        bail!("{} UTC is in the future: it is {} UTC now", Display(time), Display(now));
    }
    Ok(time)
}

/// No run is newer than its report: a clock was ahead, or it is a time of a zone in the east. When it really was is not
/// known then, by so many milliseconds.
fn not_later_than_now(time: OffsetDateTime) -> (OffsetDateTime, u64) {
    let now = OffsetDateTime::now_utc();
    if time > now { (now, MOST_UNSURE.as_millis() as u64) } else { (time, 0) }
}

/// A time in words, whatever its year.
struct Display(OffsetDateTime);

impl std::fmt::Display for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = self.0;
        write!(
            f,
            "{}-{:02}-{:02} {:02}:{:02}",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute()
        )
    }
}

/// The setup of a night that does not say it itself.
fn whose(config: &Config, global: &Global) -> anyhow::Result<String> {
    let (setup, _) = config.setup(global.setup.as_deref()).context("whose night is it?")?;
    Ok(setup.to_owned())
}

/// What a `run.json` states beside the record that it was made from. One that another program made may state nothing.
#[derive(Deserialize)]
#[serde(default)]
struct Stated {
    format: u32,
    status: Status,
    code: Option<i64>,
    reasons: Vec<Reason>,
    counts: Option<Counts>,
    outcomes: Option<Vec<StatedOutcome>>,
}

impl Default for Stated {
    fn default() -> Self {
        Stated { format: FORMAT, status: Status::Passed, code: None, reasons: Vec::new(), counts: None, outcomes: None }
    }
}

#[derive(Deserialize)]
struct StatedOutcome {
    suite: String,
    case: String,
    came_to: CameTo,
    attempts: Option<usize>,
    #[serde(default)]
    is_red: bool,
}

/// Reads a `run.json`, and judges it again by what it records.
pub(super) fn run_json(text: &str) -> anyhow::Result<Entry> {
    let stated: Stated = serde_json::from_str(text).context("it is not what `teravm-ci` writes as `run.json`")?;
    if stated.format > FORMAT {
        return Err(anyhow!("it has the format {}, and this program knows {FORMAT}", stated.format))
            .hint("use a `teravm-ci` as new as the one that wrote it");
    }
    let mut summary: Summary = serde_json::from_str(text).context("it is not what `teravm-ci` writes as `run.json`")?;
    check_times(&summary)?;
    for suite in &mut summary.suites {
        suite.planned = suite.planned.max(suite.end.as_ref().and_then(|end| end.planned));
    }
    let mut entry = Entry::of(&summary).context("it does not say when a run began")?;
    check(&entry)?;
    let mut doubts = doubts(&stated, &entry);
    doubts.extend(summary.suites.iter().flat_map(contradictions));
    for suite in &mut entry.suites {
        for doubt in &doubts {
            let about = About::Suite { suite: suite.suite.clone(), is_slow: false };
            let text = format!("`{}`: {doubt}", suite.suite);
            entry.reasons.push(Reason { status: Status::Inconclusive, about, text });
        }
        if !doubts.is_empty() && suite.status == Status::Passed {
            suite.status = Status::Inconclusive;
        }
    }
    if !doubts.is_empty() && entry.status == Status::Passed {
        entry.status = Status::Inconclusive;
    }
    Ok(entry)
}

/// Refuses times that no run can have: what is reckoned with them would overflow.
fn check_times(summary: &Summary) -> anyhow::Result<()> {
    let suites = summary.suites.iter();
    let began = suites.flat_map(|suite| {
        let open = suite.open.iter().map(|open| open.started);
        suite.started.into_iter().chain(open).chain(suite.earlier.iter().filter_map(|earlier| earlier.started))
    });
    let steps = summary.steps.iter().map(|step| step.started);
    let others = summary.outages.iter().map(|outage| outage.since).chain(summary.notes.iter().map(|note| note.time));
    for time in summary.started.into_iter().chain(summary.ended).chain(began).chain(steps).chain(others) {
        checked(time)?;
    }
    let took = summary.steps.iter().filter_map(|step| step.took);
    let took = took.chain(summary.suites.iter().filter_map(|suite| suite.end.as_ref()).map(|end| end.took));
    const LONGEST: std::time::Duration = std::time::Duration::from_secs(366 * 86_400);
    if took.into_iter().any(|took| took > LONGEST) {
        bail!("something in it took longer than a year");
    }
    Ok(())
}

/// Refuses names that no run has.
fn check(entry: &Entry) -> anyhow::Result<()> {
    for (what, name) in [("run", &entry.run), ("command", &entry.command)] {
        if !is_plain_name(name) || name.len() > 200 {
            bail!("the name of its {what} is not made of at most 200 letters, digits, `.`, `-` and `_`");
        }
    }
    if entry.setup.as_ref().is_some_and(|setup| !is_plain_name(setup) || setup.len() > 200) {
        bail!("the name of its setup is not made of at most 200 letters, digits, `.`, `-` and `_`");
    }
    let gateways = entry.gateways.iter().flat_map(|gateway| {
        [Some(&gateway.gateway), gateway.before.as_ref(), gateway.after.as_ref(), gateway.outcome.as_ref()]
    });
    let suites = entry.suites.iter().flat_map(|suite| {
        let cases = suite.cases.iter().flat_map(|case| [Some(&case.case), case.verdict.as_ref()]);
        [Some(&suite.suite), Some(&suite.list), suite.host.as_ref(), suite.verdict.as_ref()].into_iter().chain(cases)
    });
    let own = [Some(&entry.program), entry.url.as_ref(), entry.wanted.as_ref(), entry.release.as_ref()];
    if own.into_iter().chain(gateways).chain(suites).flatten().any(|name| name.chars().count() > LONGEST_NAME) {
        bail!("a name in it is longer than {LONGEST_NAME} characters");
    }
    let mut names: Vec<&str> = entry.suites.iter().map(|suite| suite.suite.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("it has the suite `{}` twice", pair[0]);
    }
    if entry.suites.iter().map(|suite| suite.cases.len()).sum::<usize>() > MOST_CASES {
        bail!("it has more than {MOST_CASES} cases");
    }
    Ok(())
}

/// Where a `run.json` states something worse than its record shows: one of the two is wrong.
fn doubts(stated: &Stated, entry: &Entry) -> Vec<String> {
    let mut doubts = Vec::new();
    if stated.status != Status::Passed && stated.status != entry.status {
        let shown = if entry.status == Status::Passed { "none" } else { entry.status.name() };
        doubts.push(format!("`run.json` states the status {}, and its record shows {shown}", stated.status));
    }
    if let Some(code) = stated.code.filter(|&code| code != i64::from(stated.status.code())) {
        doubts.push(format!("`run.json` states the exit status {code}, and the status {}", stated.status));
    }
    let is_shown = |stated: &Reason| {
        entry.reasons.iter().any(|shown| (shown.status, &shown.about) == (stated.status, &stated.about))
    };
    if let Some(reason) = stated.reasons.iter().find(|reason| !is_shown(reason)) {
        doubts.push(format!(
            "`run.json` states a reason that its record does not show: {}",
            reason.text.lines().next().unwrap_or_default()
        ));
    }
    doubts.extend(stated.outcomes.iter().flat_map(|outcomes| doubtful_outcomes(outcomes, entry)));
    let shown = &entry.counts;
    if let Some(of) = &stated.counts {
        for (stated, shown, what, is_good) in [
            (of.passed, shown.passed, "passed", true),
            (of.failed, shown.failed, "failed", false),
            (of.errors, shown.errors, "inconclusive", false),
            (of.flaky, shown.flaky, "flaky", true),
            (of.known, shown.known, "known", true),
        ] {
            if stated > shown || is_good && stated < shown {
                doubts.push(format!("`run.json` states {stated} {what} cases, and its record has {shown}"));
            }
        }
    }
    doubts
}

/// The first outcome that is worse than the record shows, and the first that is not stated.
fn doubtful_outcomes(outcomes: &[StatedOutcome], entry: &Entry) -> Vec<String> {
    struct Shown {
        came_to: Option<CameTo>,
        attempts: usize,
        is_green: bool,
    }
    let mut known: HashMap<(&str, &str), Shown> = HashMap::new();
    for suite in &entry.suites {
        let is_green = suite.status == Status::Passed;
        for case in &suite.cases {
            let key = (suite.suite.as_str(), case.case.as_str());
            let shown = known.entry(key).or_insert(Shown { came_to: None, attempts: 0, is_green });
            shown.attempts += 1;
            shown.came_to = shown.came_to.or(case.came_to);
        }
    }
    let place = |came_to: CameTo| CameTo::ALL.iter().position(|known| *known == came_to);
    let is_worse = |outcome: &&StatedOutcome| {
        known.get(&(outcome.suite.as_str(), outcome.case.as_str())).is_none_or(|shown| {
            shown.came_to.is_none_or(|shown| place(outcome.came_to) > place(shown))
                || outcome.attempts.is_some_and(|attempts| attempts != shown.attempts)
                || outcome.is_red && shown.is_green
        })
    };
    let worse = outcomes.iter().find(is_worse).map(|StatedOutcome { suite, case, came_to, is_red, .. }| {
        let red = if *is_red && came_to.is_good() { " and red" } else { "" };
        format!("`run.json` states `{case}` of `{suite}` as {came_to}{red}, and its record does not show it")
    });
    let stated: HashSet<(&str, &str)> =
        outcomes.iter().map(|outcome| (outcome.suite.as_str(), outcome.case.as_str())).collect();
    let cases = entry.suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
    let mut names = cases.map(|(suite, case)| (suite.suite.as_str(), case.case.as_str()));
    let unstated = names
        .find(|name| !stated.contains(name))
        .map(|(suite, case)| format!("`run.json` states no outcome of `{case}` of `{suite}`, and its record has one"));
    worse.into_iter().chain(unstated).collect()
}

/// Where what is recorded of a suite contradicts itself: what NG40 has said, and that it passed. The first of each attempt.
fn contradictions(suite: &SuiteRun) -> Vec<String> {
    let earlier = suite.earlier.iter().map(|attempt| (attempt.cases.as_slice(), attempt.end.as_ref()));
    let attempts = earlier.chain([(suite.cases.as_slice(), suite.end.as_ref())]);
    let found = attempts.filter_map(|(cases, end)| contradiction(cases, end));
    found.map(|what| format!("`run.json` states of `{}` that {what}", suite.suite)).collect()
}

fn contradiction(cases: &[Case], end: Option<&SuiteEnd>) -> Option<String> {
    let has_passed = |case: &Case| case.judgement == Judgement::Passed;
    let is_pass = |verdict: &RedactedText| verdict.as_str() == "PASS";
    let word = |verdict: &Option<RedactedText>| verdict.as_ref().map_or("none".to_owned(), ToString::to_string);
    for case in cases {
        let name = case.name.shown();
        if has_passed(case) && case.is_missing {
            return Some(format!("`{name}` passed and is missing"));
        }
        if has_passed(case) && !case.verdict.as_ref().is_some_and(is_pass) {
            return Some(format!("`{name}` passed, and its verdict is {}", word(&case.verdict)));
        }
        if has_passed(case) && case.is_nameless() {
            return Some(format!("`{name}` passed, and is not a test case"));
        }
        if case.is_missing && (case.verdict.is_some() || !matches!(case.judgement, Judgement::Error { .. })) {
            return Some(format!("`{name}` is missing, and its verdict is {}", word(&case.verdict)));
        }
        if case.verdict.as_ref().is_some_and(|verdict| verdict.as_str() == "FAIL")
            && !matches!(case.judgement, Judgement::Failed { .. })
        {
            return Some(format!("`{name}` did not fail, and its verdict is FAIL"));
        }
    }
    // What is wrong with the whole list stands among the cases; where something does, the list's own words may be anything.
    let end = end.filter(|end| end.problem.is_none())?;
    if cases.is_empty() || cases.iter().any(|case| case.is_whole_list() && !has_passed(case)) {
        return None;
    }
    // A case that had to be there is none that the list has run.
    let mut ran = cases.iter().filter(|case| !case.is_missing);
    match &end.verdict {
        Some(verdict) if is_pass(verdict) => {
            if let Some(case) = ran.find(|case| !case.verdict.as_ref().is_some_and(is_pass)) {
                let (name, verdict) = (case.name.shown(), word(&case.verdict));
                return Some(format!("the list's verdict is PASS, and that of `{name}` is {verdict}"));
            }
        }
        verdict if ran.all(has_passed) => {
            return Some(format!("every case passed, and the list's verdict is {}", word(verdict)));
        }
        _ => {}
    }
    ng40::is_bad_end(&end.exit).then(|| format!("nothing is wrong with the list, and it ended so: {}", end.exit))
}

/// An entry with suites, and what they come to.
fn with_suites(entry: Entry, suites: Vec<PastSuite>) -> Entry {
    let outcomes = suites.iter().flat_map(|suite| &suite.cases).filter_map(|case| case.came_to);
    let counts = outcomes.map(Counts::of).sum();
    let is = |status| suites.iter().any(|suite| suite.status == status);
    let status = [Status::TestsFailed, Status::Inconclusive].into_iter().find(|&status| is(status));
    Entry { counts, status: status.unwrap_or(Status::Passed), suites, ..entry }
}

/// Two entries of one run.
fn joined(mut run: Entry, mut other: Entry) -> anyhow::Result<Entry> {
    let has = |name: &str| run.suites.iter().any(|suite| suite.suite == name);
    if let Some(suite) = other.suites.iter().find(|suite| has(&suite.suite)) {
        return Err(anyhow!("a file before it has the suite `{}` as well", suite.suite))
            .hint("name the files of a run after their suites, or import them as runs of their own");
    }
    run.suites.append(&mut other.suites);
    run.reasons.append(&mut other.reasons);
    let (started, suites) = (run.started.min(other.started), std::mem::take(&mut run.suites));
    let unsure_ms = run.unsure_ms.max(other.unsure_ms);
    Ok(with_suites(Entry { started, unsure_ms, command: "import".to_owned(), ..run }, suites))
}

fn empty() -> Entry {
    Entry {
        run: String::new(),
        setup: None,
        command: "import".to_owned(),
        program: VERSION.to_owned(),
        url: None,
        status: Status::Inconclusive,
        started: OffsetDateTime::UNIX_EPOCH,
        unsure_ms: 0,
        ended: None,
        wanted: None,
        release: None,
        strangers: None,
        upgrade_ms: None,
        counts: Counts::default(),
        gateways: Vec::new(),
        steps: Vec::new(),
        suites: Vec::new(),
        reasons: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::fuzz::WRITERS;
    use crate::report::nights::{Story, green, red};

    /// A run as `run.json` has it.
    fn record(story: &Story) -> Value {
        let (_, write) = WRITERS.iter().find(|(name, _)| *name == "run.json").expect("it is a report");
        serde_json::from_str(&write(&story.summary())).expect("it is JSON")
    }

    /// What a record comes to, with the reasons that its import has added.
    fn told(record: &Value) -> (String, String) {
        match run_json(&record.to_string()) {
            Ok(entry) => {
                let doubts = entry.reasons.iter().filter(|reason| reason.text.contains("`run.json` states"));
                let doubts: Vec<&str> = doubts.map(|reason| reason.text.as_str()).collect();
                (entry.status.name().to_owned(), doubts.join("; "))
            }
            Err(error) => ("refused".to_owned(), format!("{error:#}")),
        }
    }

    #[test]
    fn a_record_that_states_something_worse_than_it_shows_has_not_passed() {
        type Change<'a> = &'a dyn Fn(&mut Value);
        let table: Vec<(&str, &str, Change<'_>)> = vec![
            ("passed", "", &|_| {}),
            ("inconclusive", "states the status tests failed", &|run| run["status"] = json!("tests_failed")),
            ("inconclusive", "states the status inconclusive", &|run| run["status"] = json!("inconclusive")),
            ("inconclusive", "states 3 passed cases", &|run| run["counts"]["passed"] = json!(3)),
            ("inconclusive", "states 1 failed cases", &|run| run["counts"]["failed"] = json!(1)),
            ("inconclusive", "states 2 inconclusive cases", &|run| run["counts"]["errors"] = json!(2)),
            ("inconclusive", "states `gone` of `gxgy` as failed", &|run| {
                let case = json!({"suite": "gxgy", "case": "gone", "came_to": "failed", "attempts": 1, "is_red": true});
                run["outcomes"].as_array_mut().expect("a list").push(case);
            }),
            ("inconclusive", "as error", &|run| run["outcomes"][0]["came_to"] = json!("error")),
            ("inconclusive", "states 2 passed cases", &|run| {
                run["suites"][0]["cases"].as_array_mut().expect("a list").pop();
            }),
            ("inconclusive", "states 1 passed cases", &|run| run["counts"]["passed"] = json!(1)),
            ("inconclusive", "its verdict is FAIL", &|run| run["suites"][0]["cases"][0]["verdict"] = json!("FAIL")),
            ("inconclusive", "its verdict is none", &|run| run["suites"][0]["cases"][0]["verdict"] = Value::Null),
            ("inconclusive", "its verdict is INCONC", &|run| run["suites"][0]["cases"][0]["verdict"] = json!("INCONC")),
            ("inconclusive", "passed and is missing", &|run| run["suites"][0]["cases"][0]["is_missing"] = json!(true)),
            ("inconclusive", "passed, and is not a test case", &|run| {
                run["suites"][0]["cases"][0]["name"] = json!("(case 1 of 2)");
            }),
            ("inconclusive", "the list's verdict is FAIL", &|run| run["suites"][0]["end"]["verdict"] = json!("FAIL")),
            ("inconclusive", "", &|run| run["suites"][0]["end"]["verdict"] = Value::Null),
            ("inconclusive", "ended so: ended by signal 9", &|run| {
                run["suites"][0]["end"]["exit"] = json!("ended by signal 9");
            }),
            ("inconclusive", "ended so: exit status 127", &|run| {
                run["suites"][0]["end"]["exit"] = json!("exit status 127");
            }),
            ("inconclusive", "states the exit status 1", &|run| run["code"] = json!(1)),
            ("inconclusive", "states a reason that its record does not show: it failed", &|run| {
                let about = json!({"suite": {"suite": "gxgy"}});
                run["reasons"] = json!([{"status": "tests_failed", "about": about, "text": "it failed"}]);
            }),
            ("inconclusive", "as passed and red", &|run| run["outcomes"][0]["is_red"] = json!(true)),
            ("inconclusive", "does not show it", &|run| run["outcomes"][0]["attempts"] = json!(2)),
            ("inconclusive", "states no outcome of", &|run| {
                run["outcomes"].as_array_mut().expect("a list").pop();
            }),
            ("inconclusive", "`run.json` states of `gxgy`", &|run| {
                let attempt = run["suites"][0].clone();
                run["suites"][0]["earlier"] = json!([attempt]);
                run["suites"][0]["earlier"][0]["cases"][0]["verdict"] = json!("FAIL");
            }),
            // What another program states nothing of is judged by its record.
            ("passed", "", &|run| {
                for key in ["status", "code", "reasons", "counts", "outcomes"] {
                    run.as_object_mut().expect("an object").remove(key);
                }
            }),
            ("inconclusive", "", &|run| run["suites"][0]["end"]["planned"] = json!(9)),
            ("inconclusive", "", &|run| run["suites"][0]["planned"] = json!(9)),
            ("inconclusive", "", &|run| run["suites"][0]["end"] = Value::Null),
            ("inconclusive", "", &|run| run["ended"] = Value::Null),
            ("tests failed", "", &|run| {
                run["suites"][0]["cases"][0]["judgement"] = json!({"judged": "failed", "message": "m"});
            }),
            ("refused", "it has the format 9", &|run| run["format"] = json!(9)),
            ("refused", "unknown variant", &|run| run["status"] = json!("fine")),
            ("refused", "unknown variant", &|run| run["outcomes"][0]["came_to"] = json!("fine")),
            ("refused", "does not say when", &|run| run["night"] = Value::Null),
            ("refused", "the suite `gxgy` twice", &|run| {
                let suite = run["suites"][0].clone();
                run["suites"].as_array_mut().expect("a list").push(suite);
            }),
            ("refused", "is not a time between 1970 and", &|run| {
                run["started"] = json!("0000-01-01T00:00:00+23:59");
            }),
            ("refused", "is not a time between 1970 and", &|run| run["ended"] = json!("9999-12-31T23:59:59-23:59")),
            ("refused", "is not a time between 1970 and", &|run| {
                run["steps"][0]["started"] = json!("9999-12-31T23:59:59Z");
            }),
            ("refused", "longer than a", &|run| run["steps"][0]["took"] = json!(1e18)),
            ("refused", "a name in it is longer", &|run| {
                run["gateways"][0]["outcome"]["to"] = json!("x".repeat(100_000));
            }),
            ("refused", "the name of its run", &|run| run["night"]["run"] = json!("x".repeat(100_000))),
            ("refused", "the name of its run", &|run| run["night"]["run"] = json!("../\u{1b}[2J")),
            ("refused", "the name of its setup", &|run| run["night"]["setup"] = json!("a b")),
        ];
        for (number, (expected, why, change)) in table.iter().enumerate() {
            let mut run = record(&green());
            change(&mut run);
            let (is, told) = told(&run);
            assert_eq!((is.as_str(), told.contains(why)), (*expected, true), "{number}: {told}");
        }
    }

    #[test]
    fn a_record_of_ours_is_imported_as_it_was() {
        for story in [green(), red()] {
            let entry = run_json(&record(&story).to_string()).expect("it is a record");
            assert_eq!(entry, Entry::of(&story.summary()).expect("it was heard of"));
        }
    }

    #[test]
    fn a_record_that_is_cut_anywhere_is_refused() {
        let whole = record(&green()).to_string();
        for at in (0..whole.len()).step_by(7) {
            assert!(run_json(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn encodings_are_told_by_the_first_bytes() {
        let bytes = |text: &str, is_big: bool| -> Vec<u8> {
            let pairs = text.encode_utf16();
            pairs.flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for text in ["<testsuite/>", "{}"] {
            assert_eq!(foreign_encoding(text.as_bytes()), None);
            assert_eq!(foreign_encoding(&bytes(text, false)), Some("UTF-16LE"));
            assert_eq!(foreign_encoding(&bytes(text, true)), Some("UTF-16BE"));
            assert_eq!(foreign_encoding(&bytes(&format!("\u{feff}{text}"), false)), Some("UTF-16LE"));
            assert_eq!(foreign_encoding(&bytes(&format!("\u{feff}{text}"), true)), Some("UTF-16BE"));
            let wide: Vec<u8> = text.chars().flat_map(|char| u32::from(char).to_le_bytes()).collect();
            assert_eq!(foreign_encoding(&wide), Some("UTF-32LE"));
        }
    }
}
