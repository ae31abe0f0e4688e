//! The results folder before a run: there, and without what an earlier run wrote. The folder is the user's.
//!
//! It is decided first, for everything in the way, whether an earlier run of ours wrote it, by the mark that each
//! report carries; only then is anything removed. What is a link, or has no mark, is refused, and nothing is touched.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead as _, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ReportError;
use crate::limit;
use crate::results::{FOLDERS, MARKER, UNFINISHED};

/// The record goes last and comes first: by it a run that was killed is known.
pub(super) const RECORD: &str = "events.jsonl";

/// The mark of `junit.xml` and `summary.md`.
pub(super) const MARK: &str = "<!-- written by teravm-ci -->";

/// The mark of the pages.
pub(super) const GENERATOR: &str = "<meta name=\"generator\" content=\"teravm-ci\">";

/// Whether a file carries the mark of its kind.
type IsOurs = fn(&mut fs::File) -> io::Result<bool>;

/// The files of a run, and by what each is known to be one.
const FILES: [(&str, IsOurs); 5] = [
    ("junit.xml", |file| begins_with(file, MARK)),
    ("run.json", is_run),
    ("summary.md", ends_with_mark),
    ("report.html", |file| begins_with(file, GENERATOR)),
    (RECORD, is_record),
];

/// Marks stand within so many bytes of an end of the file; a line of a record is not longer.
const NEAR: u64 = 1024;
const LONGEST_LINE: u64 = 1024 * 1024;

/// How many letters and digits follow [`UNFINISHED`].
const RANDOM: usize = 6;

/// Whether opening the reports in `results` removes `file`.
pub(crate) fn is_removed(results: &Path, file: &Path) -> bool {
    let (Ok(results), Ok(file)) = (results.canonicalize(), file.canonicalize()) else { return false };
    let Ok(inside) = file.strip_prefix(&results) else { return false };
    let Some(first) = inside.components().next() else { return false };
    let first = first.as_os_str();
    FILES.iter().map(|(name, _)| name).chain(&FOLDERS).any(|name| first == *name)
}

/// Creates the folder, and removes what an earlier run wrote there. The folder is this run's as long as what is returned
/// is open.
pub(super) fn prepare(results: &Path) -> Result<fs::File, ReportError> {
    fs::create_dir_all(results).map_err(ReportError::write(results))?;
    if let Some(what) = is_no_place(results) {
        return Err(ReportError::NoPlace { path: results.to_owned(), what });
    }
    let folder = fs::File::open(results).map_err(ReportError::read(results))?;
    // There are file systems without locks, on which two runs at once are not noticed.
    if flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Err(ReportError::Occupied { path: results.to_owned() });
    }
    for path in decide(results)? {
        // What has come into a folder since is not ours.
        let removed = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        removed.map_err(|source| ReportError::Remove { path, source })?;
    }
    Ok(folder)
}

/// What the folder is, where no reports may lie, whatever is in it.
fn is_no_place(results: &Path) -> Option<&'static str> {
    let folder = results.canonicalize().ok()?;
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    if folder.parent().is_none() {
        Some("the root of the file system")
    } else if home.is_some_and(|home| Path::new(&home).canonicalize().is_ok_and(|home| home == folder)) {
        Some("your home directory")
    } else if folder.join(".git").symlink_metadata().is_ok() {
        Some("the top of a Git repository")
    } else {
        None
    }
}

/// What is to be removed, in this order, the record last. Err where anything in the way is not known to be a run's.
fn decide(results: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let mut removed = Vec::new();
    for name in FOLDERS {
        let path = results.join(name);
        match path.symlink_metadata() {
            Err(_) => {}
            Ok(meta) if meta.is_dir() && is_file(&path.join(MARKER)) => removed.extend(written(&path)?),
            Ok(_) => return Err(ReportError::Foreign { path }),
        }
    }
    let mut cut_record = None;
    let mut files = Vec::new();
    for (name, is_ours) in FILES {
        let path = results.join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        if !meta.is_file() {
            return Err(ReportError::Foreign { path });
        }
        let asked = fs::File::open(&path).and_then(|mut file| is_ours(&mut file));
        if name == RECORD && meta.len() == 0 {
            // Of a run that was killed or found no room before its first event. Whoever wrote it, nothing is lost.
            files.push(path);
        } else if name == RECORD && is_cut(&path).map_err(ReportError::read(&path))? {
            cut_record = Some(path);
        } else if asked.map_err(ReportError::read(&path))? {
            files.push(path);
        } else {
            return Err(ReportError::Foreign { path });
        }
    }
    let is_of_a_run = !files.is_empty();
    for entry in fs::read_dir(results).map_err(ReportError::write(results))?.flatten() {
        if is_unfinished(&entry.file_name()) {
            let path = entry.path();
            // Only beside reports, or a record that was just begun, because nothing in it says whose it is.
            if !is_of_a_run || !is_file(&path) && !is_new_folder(&path) {
                return Err(ReportError::Foreign { path });
            }
            removed.extend(Some(path.join(MARKER)).filter(|marker| is_file(marker)));
            removed.push(path);
        }
    }
    match cut_record {
        // The run was killed before its first event was whole, and had opened its other reports.
        Some(path) if is_of_a_run => files.push(path),
        Some(path) => return Err(ReportError::Foreign { path }),
        None => {}
    }
    removed.extend(files);
    Ok(removed)
}

/// The largest list of files: a file for each of hundreds of thousands of cases.
const MOST_LIST: usize = 64 * 1024 * 1024;

/// Everything below a folder of a run, in the order in which it is removed, the list of its files at last. Err where there
/// is a file that is not on it. A folder without a file is nobody's.
fn written(top: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let marker = top.join(MARKER);
    let list = limit::read_file(&marker, MOST_LIST).map_err(ReportError::read(&marker))?;
    let list = String::from_utf8_lossy(&list);
    let ours: HashSet<PathBuf> = list.lines().filter(|line| !line.is_empty()).map(|line| top.join(line)).collect();
    let mut files = Vec::new();
    let mut folders = vec![top.to_owned()];
    let mut looked = 0;
    while let Some(folder) = folders.get(looked).cloned() {
        looked += 1;
        for entry in fs::read_dir(&folder).map_err(ReportError::read(&folder))? {
            let path = entry.map_err(ReportError::read(&folder))?.path();
            let meta = path.symlink_metadata().map_err(ReportError::read(&path))?;
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() && ours.contains(&path) {
                files.push(path);
            } else if path != marker {
                return Err(ReportError::Foreign { path });
            }
        }
    }
    // A folder stands behind the one that it is in.
    let below = folders.split_off(1).into_iter().rev();
    Ok(files.into_iter().chain(below).chain([marker, top.to_owned()]).collect())
}

/// Whether a page may be put there: nothing is in the way, or one that we wrote.
pub(super) fn may_replace_page(path: &Path) -> Result<(), ReportError> {
    let Ok(meta) = path.symlink_metadata() else { return Ok(()) };
    let read = || fs::File::open(path).and_then(|mut file| begins_with(&mut file, GENERATOR));
    let is_ours = meta.is_file() && read().map_err(ReportError::read(path))?;
    if is_ours { Ok(()) } else { Err(ReportError::Foreign { path: path.to_owned() }) }
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}

/// Whether it is a folder of ours that was killed before it got its name: nothing but the mark is in it.
fn is_new_folder(path: &Path) -> bool {
    let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    is_folder && fs::read_dir(path).is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == MARKER))
}

fn is_unfinished(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
    random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn head(file: &mut fs::File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(NEAR).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn begins_with(file: &mut fs::File, mark: &str) -> io::Result<bool> {
    Ok(head(file)?.contains(mark))
}

fn ends_with_mark(file: &mut fs::File) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(NEAR)))?;
    Ok(head(file)?.trim_end().ends_with(MARK))
}

/// Whether it begins as our `run.json` does. No single key would do: many programs write a `status`.
fn is_run(file: &mut fs::File) -> io::Result<bool> {
    let head: String = head(file)?.split_whitespace().collect();
    let after_status = head.strip_prefix(r#"{"format":1,"status":""#).and_then(|rest| rest.split_once(r#"","code":"#));
    Ok(after_status
        .is_some_and(|(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(r#","reasons":["#)))
}

/// Whether it is a record of which not even the first line is whole.
fn is_cut(record: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    fs::File::open(record)?.take(LONGEST_LINE).read_to_end(&mut bytes)?;
    Ok(bytes.starts_with(b"{\"time\":\"") && !bytes.contains(&b'\n'))
}

/// Whether the first line is that of a run, of this version or of another. A time and an event alone are in the records
/// of many programs.
fn is_record(file: &mut fs::File) -> io::Result<bool> {
    let mut line = Vec::new();
    io::BufReader::new(file.take(LONGEST_LINE)).read_until(b'\n', &mut line)?;
    let Ok(event) = serde_json::from_slice::<Value>(&line) else { return Ok(false) };
    let is_time = event["time"].as_str().is_some_and(|time| OffsetDateTime::parse(time, &Rfc3339).is_ok());
    let says_whose = ["run", "program", "command"].into_iter().all(|name| event[name].is_string());
    Ok(is_time && event["event"] == "night_started" && event["format"].is_u64() && says_whose)
}
