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

    /// The folder of a suite, made if it is not there.
    pub(crate) fn suite(&self, suite: &str) -> io::Result<PathBuf> {
        self.made(self.folder.join("suites").join(suite))
    }

    /// The folder of a host, made if it is not there.
    pub(crate) fn host(&self, host: &str) -> io::Result<PathBuf> {
        self.made(self.folder.join("hosts").join(host))
    }

    /// A suite's console, empty.
    pub(crate) fn console(&self, suite: &str) -> io::Result<(PathBuf, File)> {
        let path = self.suite(suite)?.join("console.log");
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
