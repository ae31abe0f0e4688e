//! Where a night's files lie under `--results`. Knows names and nothing of what stands in the files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the reports.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    folder: PathBuf,
}

impl Results {
    pub(crate) fn new(folder: &Path) -> Results {
        Results { folder: folder.to_owned() }
    }

    /// The folder of an attempt at a suite, made if it is not there; that of the first is the suite's own.
    pub(crate) fn suite(&self, suite: &str, attempt: u64) -> io::Result<PathBuf> {
        let folder = self.folder.join("suites").join(suite);
        self.made(if attempt == 1 { folder } else { folder.join(format!("attempt-{attempt}")) })
    }

    /// The folder of a host, made if it is not there.
    pub(crate) fn host(&self, host: &str) -> io::Result<PathBuf> {
        self.made(self.folder.join("hosts").join(host))
    }

    /// The console of an attempt at a suite, empty.
    pub(crate) fn console(&self, suite: &str, attempt: u64) -> io::Result<(PathBuf, File)> {
        let path = self.suite(suite, attempt)?.join("console.log");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        Ok((path, file))
    }

    /// The path as the reports name it: below the folder of the reports.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    fn made(&self, folder: PathBuf) -> io::Result<PathBuf> {
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
