//! Where a night's files lie under `--results`. Knows names and nothing of what stands in the files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the reports.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    folder: PathBuf,
}

/// Where the console of an attempt at a suite lies, below the folder of the reports.
pub(crate) fn console_name(suite: &str, attempt: u64) -> String {
    format!("{}/{CONSOLE}", folder_of(suite, attempt))
}

/// The folder of the first attempt is the suite's own.
fn folder_of(suite: &str, attempt: u64) -> String {
    if attempt == 1 { format!("suites/{suite}") } else { format!("suites/{suite}/attempt-{attempt}") }
}

/// The folders of a run below the folder of the reports.
pub(crate) const FOLDERS: [&str; 2] = ["suites", "hosts"];

/// The file in each of them by which a later run knows that it may replace the folder.
pub(crate) const MARKER: &str = ".teravm-ci-results";

const CONSOLE: &str = "console.log";

impl Results {
    pub(crate) fn new(folder: &Path) -> Results {
        Results { folder: folder.to_owned() }
    }

    /// The folder of an attempt at a suite, made if it is not there; that of the first is the suite's own.
    pub(crate) fn suite(&self, suite: &str, attempt: u64) -> io::Result<PathBuf> {
        self.made(self.folder.join(folder_of(suite, attempt)))
    }

    /// The folder of a host, made if it is not there.
    pub(crate) fn host(&self, host: &str) -> io::Result<PathBuf> {
        self.made(self.folder.join("hosts").join(host))
    }

    /// The console of an attempt at a suite, empty.
    pub(crate) fn console(&self, suite: &str, attempt: u64) -> io::Result<(PathBuf, File)> {
        let path = self.suite(suite, attempt)?.join(CONSOLE);
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        Ok((path, file))
    }

    /// The path as the reports name it: below the folder of the reports.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    fn made(&self, folder: PathBuf) -> io::Result<PathBuf> {
        let top = folder.strip_prefix(&self.folder).ok().and_then(|inside| inside.components().next());
        if let Some(top) = top.map(|top| self.folder.join(top)) {
            std::fs::create_dir_all(&top)?;
            // One that has something in it and no mark is not ours.
            if std::fs::read_dir(&top)?.next().is_none() {
                std::fs::write(
                    top.join(MARKER),
                    "teravm-ci made this folder, and replaces it when the next run begins.\n",
                )?;
            }
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
