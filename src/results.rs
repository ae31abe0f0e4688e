//! Where a night's files lie under `--results`. Knows names and nothing of what stands in the files.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
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

/// The file in each of them by which a later run knows what it may remove: it names every file that was written there,
/// each on a line of its own, below its folder.
pub(crate) const MARKER: &str = ".teravm-ci-results";

/// What a report or a folder is called until it is whole: this, and six letters and digits.
pub(crate) const UNFINISHED: &str = ".teravm-ci-";

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

    /// Creates a file in such a folder. That it is ours is written down before it is there, so that no run that is killed
    /// leaves one that nobody knows.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.note(path)?;
        File::create(path)
    }

    fn note(&self, path: &Path) -> io::Result<()> {
        let inside = path.strip_prefix(&self.folder).map_err(io::Error::other)?;
        let mut names = inside.components();
        let top = names.next().ok_or(io::ErrorKind::InvalidInput)?;
        // A line of its own, whatever became of the one before.
        let line = format!("\n{}\n", names.as_path().display());
        let mut marker = File::options().append(true).create(true).open(self.folder.join(top).join(MARKER))?;
        marker.write_all(line.as_bytes())
    }

    /// The console of an attempt at a suite, empty.
    pub(crate) fn console(&self, suite: &str, attempt: u64) -> io::Result<(PathBuf, File)> {
        let path = self.suite(suite, attempt)?.join(CONSOLE);
        self.note(&path)?;
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        Ok((path, file))
    }

    /// The path as the reports name it: below the folder of the reports.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    fn made(&self, folder: PathBuf) -> io::Result<PathBuf> {
        let top = folder.strip_prefix(&self.folder).ok().and_then(|inside| inside.components().next());
        if let Some(top) = top.map(|top| self.folder.join(top)).filter(|top| !top.exists()) {
            // It appears with its mark in it: one without is somebody else's.
            std::fs::create_dir_all(&self.folder)?;
            let all = std::fs::Permissions::from_mode(0o777);
            let new = tempfile::Builder::new().prefix(UNFINISHED).permissions(all).tempdir_in(&self.folder)?;
            std::fs::write(
                new.path().join(MARKER),
                "teravm-ci wrote these files, and removes them when the next run begins:\n",
            )?;
            match std::fs::rename(new.path(), &top) {
                Ok(()) => drop(new.keep()),
                // Another host's was a moment faster.
                Err(_) if top.join(MARKER).exists() => {}
                Err(error) => return Err(error),
            }
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
