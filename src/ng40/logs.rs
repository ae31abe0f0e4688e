//! The logs and captures that a run made on the tester: found by its start, brought home compressed and limited in size, and
//! read for what explains a failed case. Never a reason to fail.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use super::archive::{LeftOut, Target, Unpacked, Wanted, safe_name, unpack};
use super::console::{Line, Lines, Part};
use super::parser::{Said, parse_line};
use super::reading::Failed;
use super::{JOBS, Tester};
use crate::config;
use crate::event::{self, EventKind, Step};
use crate::remote::quote;
use crate::secret::Redactor;
use crate::window::Window;

/// A moment by a host's own clock, in the forms in which its files tell time.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// Seconds since 1970.
    seconds: f64,
    /// Local time, as NG40 puts it into file names: `210201_070626`.
    stamp: String,
}

/// Packs the files whose names come on standard input.
pub(super) const PACK: &str = "cd || exit 1\nexec tar --format=gnu --null --no-recursion -czf - -T - 2>/dev/null";

/// So many files of a run are brought home; a list has one or two for each case.
const MOST_FILES: usize = 2000;

/// So many clauses of one log are read.
const MOST_CLAUSES: usize = 64;

impl Clock {
    /// Reads when a job was started.
    pub(super) fn parse(since: &str) -> Clock {
        let (seconds, stamp) = since.trim().split_once(' ').unwrap_or(("0", ""));
        Clock { seconds: seconds.parse().unwrap_or(0.0), stamp: stamp.to_owned() }
    }
}

impl Tester {
    /// Lists the logs and captures that are there: size, time of change, path.
    pub(super) fn files_script(&self) -> String {
        let find = |folders: &[String]| {
            let folders: Vec<String> = folders.iter().map(|folder| quote(&format!("./{folder}"))).collect();
            if folders.is_empty() {
                return String::new();
            }
            format!("find {} -maxdepth 1 -type f -printf '%s %T@ %p\\0' 2>/dev/null\n", folders.join(" "))
        };
        format!("cd || exit 1\n{}{}exit 0", find(&self.config.logs), find(&self.config.captures))
    }
}

/// What shows so much of what a run of ours has printed, as long as its console is there; else of the newest log of a case.
pub(crate) fn log_script(config: &config::Ng40, window: &Window) -> String {
    let folders: Vec<String> = config.logs.iter().map(|folder| quote(&format!("./{folder}"))).collect();
    let newest = |where_: &str| {
        format!(
            "newest=$(find {where_} -type f{} -printf '%T@ %p\\n' 2>/dev/null | sort -n | tail -n 1 | cut -d ' ' -f 2-)\n",
            window.of_changes()
        )
    };
    let console = newest(&format!("./{JOBS} -mindepth 2 -maxdepth 2 -name log"));
    let case = newest(&format!("{} -maxdepth 1", folders.join(" ")));
    format!(
        "cd || exit 1\n{console}[ -n \"$newest\" ] || {{\n{case}}}\n\
         [ -n \"$newest\" ] || {{ echo 'no run has left anything here' >&2; exit 1; }}\n\
         echo \"== $newest\"\nexec tail {} -- \"$newest\"",
        window.of_file()
    )
}

/// Brings home the logs and captures of a run whose job was started at `since`, and returns the failed cases that their own logs explain.
pub(super) async fn of_run(
    tester: &Tester,
    (suite, attempt): (&str, u64),
    since: &str,
    failed: Vec<Failed>,
) -> Vec<event::Case> {
    let host = tester.host.name();
    match fetch(tester, (suite, attempt), &Clock::parse(since)).await {
        Ok(files) => explain(&files, failed),
        Err(problem) => {
            tester.events.warn(
                Step::Collect,
                Some(host),
                format!("the logs of `{suite}` were not collected: {problem}"),
            );
            Vec::new()
        }
    }
}

async fn fetch(tester: &Tester, (suite, attempt): (&str, u64), start: &Clock) -> anyhow::Result<Vec<Unpacked>> {
    let redactor = tester.events.redactor();
    let script = tester.files_script();
    let list = || tester.host.command(script.as_str()).deadline(tester.collect.timeout).run();
    let listed = tester.host.outlast(list).await?;
    let mut files: Vec<Wanted> =
        listed.stdout.split(|&byte| byte == 0).filter_map(|row| made_since(row, start)).collect();
    let is_capture = |file: &Wanted| !file.path.ends_with(b".log");
    files.sort_by_key(is_capture);

    let limit = tester.collect.limit_mb * 1024 * 1024;
    let (files, left) = chosen(files, limit, redactor);
    if let Some(left) = left.line() {
        let text = format!("left on the host, over {} MB or {MOST_FILES} files: {left}", tester.collect.limit_mb);
        tester.events.warn(Step::Collect, Some(tester.host.name()), text);
    }
    let folder = tester.results.suite(suite, attempt)?.join("logs");
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<u8> = files.iter().flat_map(|file| file.path.iter().copied().chain([0])).collect();
    let mut packed = tempfile::tempfile()?;
    let command = tester.host.command(PACK).stdin(names).deadline(tester.collect.timeout);
    command.stream(limit, |bytes| packed.write_all(bytes)).await?;
    packed.rewind()?;
    let create = |path: &Path| tester.results.create(path);
    let target = Target { folder: &folder, limit, redactor, create: &create };
    let contents = unpack(packed, &files, &target)?;
    let host = tester.host.name();
    if let Some(left) = contents.left_out.line() {
        tester.events.warn(
            Step::Collect,
            Some(host),
            format!("of the logs of `{suite}` these are missing or not whole: {left}"),
        );
    }
    if contents.not_redacted > 0 {
        let text = format!(
            "{} captures or compressed files of `{suite}` are kept as they are: secrets are taken out of text only",
            contents.not_redacted
        );
        tester.events.note(Step::Collect, Some(host), text);
    }
    tester.events.say(EventKind::Collected {
        host: host.to_owned(),
        path: tester.results.name_of(&folder).into(),
        bytes: contents.bytes,
    });
    Ok(contents.files)
}

/// The files that there is room for, the first ones first, and what is left on the host.
fn chosen(files: Vec<Wanted>, limit: u64, redactor: &Redactor) -> (Vec<Wanted>, LeftOut) {
    let (mut room, mut chosen, mut left) = (limit, Vec::new(), LeftOut::default());
    for file in files {
        match room.checked_sub(file.size).filter(|_| chosen.len() < MOST_FILES) {
            Some(rest) => {
                room = rest;
                chosen.push(file);
            }
            None => left.push(&safe_name(&file.path, redactor), &format!("{} bytes", file.size)),
        }
    }
    (chosen, left)
}

/// Whether a row of `find` is a file of the run that began at `start`. A name with a stamp tells by its stamp, because files
/// are touched by others; one without, or of the very second in which the run began (`ng40test state.ntl` comes just before
/// it), by its time of change.
fn made_since(row: &[u8], start: &Clock) -> Option<Wanted> {
    let mut parts = row.splitn(3, |&byte| byte == b' ');
    let text = |part: Option<&[u8]>| String::from_utf8_lossy(part.unwrap_or_default()).into_owned();
    let size = text(parts.next()).parse().ok()?;
    let changed: f64 = text(parts.next()).parse().ok()?;
    let path = parts.next()?.to_vec();
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let is_later = changed >= start.seconds;
    let is_ours = match stamp(&String::from_utf8_lossy(name)) {
        Some((_, stamp)) if stamp == start.stamp => is_later,
        Some((_, stamp)) => stamp > start.stamp,
        None => is_later,
    };
    is_ours.then_some(Wanted { path, size })
}

/// Reads `<name>_<YYMMDD>_<HHMMSS>-<id>[-<n>].<ext>`: the name and the stamp.
fn stamp(file: &str) -> Option<(&str, String)> {
    let (rest, _) = file.rsplit_once('.')?;
    let is_digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    // A case's name may itself hold dashes and underscores, so the stamp is looked for from the right.
    rest.match_indices('_').rev().find_map(|(at, _)| {
        let (name, tail) = (&rest[..at], &rest[at + 1..]);
        let (day, tail) = tail.split_once('_')?;
        let time = tail.split('-').next()?;
        (is_digits(day, 6) && is_digits(time, 6)).then(|| (name, format!("{day}_{time}")))
    })
}

/// The logs of one case, in the order of its repeats: those of one name from several folders are of one repeat.
type Repeats<'a> = BTreeMap<(String, u32, &'a str), Vec<&'a Path>>;

/// Finds each failed case's own logs, by its name and by which repeat it is, and reads from them why NG40 failed it.
fn explain(files: &[Unpacked], failed: Vec<Failed>) -> Vec<event::Case> {
    let mut logs: BTreeMap<&str, Repeats<'_>> = BTreeMap::new();
    for file in files {
        if let Some((case, _)) = stamp(&file.name) {
            let (stamp, number) = in_order(&file.name);
            let of_case = logs.entry(case).or_default();
            of_case.entry((stamp, number, &file.name)).or_default().push(&file.path);
        }
    }
    let mut explained = Vec::new();
    for case in failed {
        let (name, occurrence) = case.name();
        let repeats = logs.get(name).into_iter().flat_map(BTreeMap::values);
        let Some(paths) = repeats.into_iter().nth(occurrence as usize - 1) else { continue };
        let mut clauses = Vec::new();
        for path in paths {
            // A log that cannot be read explains nothing.
            let _ = read_clauses(path, &mut clauses);
        }
        if !clauses.is_empty() {
            explained.push(case.explained(clauses.iter().map(String::as_str)));
        }
    }
    explained
}

/// Reads a log line by line, and adds the clauses of the verifications that failed, as many as a case keeps.
fn read_clauses(path: &Path, clauses: &mut Vec<String>) -> io::Result<()> {
    let mut each = |line: Line<'_>| {
        if line.part == Part::End
            && let Said::VerificationFail { clause, .. } = parse_line(&line.text())
            && clauses.len() < MOST_CLAUSES
            && !clauses.iter().any(|known| known == clause)
        {
            clauses.push(clause.to_owned());
        }
    };
    let mut file = File::open(path)?;
    let mut lines = Lines::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => lines.push(&piece[..count], &mut each),
        }
    }
    lines.finish(each);
    Ok(())
}

/// What sorts the logs of one case by their time: the stamp, then the number that tells those of one second apart.
fn in_order(file: &str) -> (String, u32) {
    let stamp_of = stamp(file).map(|(_, stamp)| stamp).unwrap_or_default();
    let number =
        file.rsplit_once('.').map_or(file, |(rest, _)| rest).rsplit('-').next().and_then(|text| text.parse().ok());
    let dashes = file.rsplit('_').next().map_or(0, |tail| tail.matches('-').count());
    (stamp_of, if dashes > 1 { number.unwrap_or(0) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_its_case_and_its_time() {
        for (file, case, time) in [
            ("gx_gy_combined_04_210201_070626-1.log", "gx_gy_combined_04", "210201_070626"),
            ("4G_SCALE-a.b_210201_070626-1-2.pcap", "4G_SCALE-a.b", "210201_070626"),
        ] {
            assert_eq!(stamp(file), Some((case, time.to_owned())));
        }
        assert_eq!(stamp("interactive.log"), None);
        assert_eq!(stamp("attach_2102_07-1.log"), None);
    }

    #[test]
    fn a_file_of_an_earlier_run_stays_away_however_lately_it_was_touched() {
        let start = Clock { seconds: 1_612_191_986.5, stamp: "210201_070626".to_owned() };
        assert!(made_since(b"10 1612191999.0 ./ran/log/attach_210201_070627-1.log", &start).is_some());
        assert!(made_since(b"10 9999999999.0 ./ran/log/attach_210131_070627-1.log", &start).is_none());
        assert!(made_since(b"10 1612191986.4 ./ran/log/state_210201_070626-1.log", &start).is_none());
        assert!(made_since(b"10 1612191986.6 ./ran/log/attach_210201_070626-1.log", &start).is_some());
        assert!(made_since(b"10 1612191999.0 ./ran/log/other.log", &start).is_some());
        assert!(made_since(b"10 1612191900.0 ./ran/log/other.log", &start).is_none());
    }

    #[test]
    fn what_is_over_the_limit_is_left_and_a_few_of_it_named() {
        let files = (0..30).map(|number| Wanted { path: format!("./log/{number}\x1b[2J.log").into_bytes(), size: 40 });
        let (chosen, left) = chosen(files.collect(), 100, &Redactor::default());
        assert_eq!(chosen.len(), 2);
        let left = left.line().expect("much is left");
        assert!(left.starts_with("`2__2J.log` (40 bytes), `3__2J.log`") && left.ends_with(", and 18 more"), "{left}");
    }

    #[test]
    fn a_log_of_any_length_is_read_line_by_line_and_few_of_its_clauses_are_kept() {
        let mut log = tempfile::NamedTempFile::new().expect("a file");
        log.write_all(&vec![b'x'; 1024 * 1024]).expect("room");
        for number in 0..1000 {
            writeln!(log, "\nverification fail: clause {number} @ 12").expect("room");
        }
        let mut clauses = Vec::new();
        read_clauses(log.path(), &mut clauses).expect("it is there");
        assert_eq!(clauses.len(), 64);
        assert!(clauses[0].contains("clause 0"), "{}", clauses[0]);
    }

    #[test]
    fn logs_of_one_case_are_in_the_order_of_its_repeats() {
        let mut files = ["a_210201_070627-1.log", "a_210201_070626-1-2.log", "a_210201_070626-1.log"];
        files.sort_by_key(|file| in_order(file));
        assert_eq!(files, ["a_210201_070626-1.log", "a_210201_070626-1-2.log", "a_210201_070627-1.log"]);
    }
}
