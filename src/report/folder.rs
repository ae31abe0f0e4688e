//! The results folder before a night: there, and free of what an earlier run wrote.
//!
//! Only what a run writes is removed, and folders only where a run's record says that they are a run's.

use std::fs;
use std::io::{self, BufRead as _};
use std::path::Path;

use super::ReportError;
use crate::event::Event;

/// The record, by which a folder is known to be a run's. It goes last and comes first.
pub(super) const RECORD: &str = "events.jsonl";

const FILES: [&str; 4] = ["junit.xml", "run.json", "summary.md", "report.html"];
const FOLDERS: [&str; 2] = ["suites", "hosts"];

/// What a report is called until it is whole.
pub(super) const UNFINISHED: &str = ".teravm-ci-";

/// Whether opening the reports in `results` removes `file`.
pub(crate) fn is_removed(results: &Path, file: &Path) -> bool {
    let (Ok(results), Ok(file)) = (results.canonicalize(), file.canonicalize()) else { return false };
    let Ok(inside) = file.strip_prefix(&results) else { return false };
    let Some(first) = inside.components().next() else { return false };
    let first = first.as_os_str();
    FILES.iter().chain(&FOLDERS).chain([&RECORD]).any(|name| first == *name)
}

/// Creates the folder, and removes what an earlier run wrote there.
pub(super) fn prepare(results: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(results).map_err(ReportError::write(results))?;
    let is_ours = is_of_a_run(&results.join(RECORD));
    for name in FOLDERS {
        let path = results.join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        if is_ours && meta.is_dir() {
            fs::remove_dir_all(&path).map_err(|source| ReportError::Remove { path, source })?;
        } else if !is_empty_folder(&path, &meta) {
            return Err(ReportError::Foreign { path });
        }
    }
    for name in FILES {
        remove(&results.join(name))?;
    }
    for entry in fs::read_dir(results).map_err(ReportError::write(results))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            remove(&entry.path())?;
        }
    }
    remove(&results.join(RECORD))
}

fn remove(path: &Path) -> Result<(), ReportError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ReportError::Remove { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn is_empty_folder(path: &Path, meta: &fs::Metadata) -> bool {
    meta.is_dir() && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether a file is the record of a run: empty, when it died before its first event, or with an event on its first line.
fn is_of_a_run(record: &Path) -> bool {
    let Ok(file) = fs::File::open(record) else { return false };
    let mut line = String::new();
    match io::BufReader::new(file).read_line(&mut line) {
        Ok(0) => true,
        Ok(_) => serde_json::from_str::<Event>(&line).is_ok(),
        Err(_) => false,
    }
}
