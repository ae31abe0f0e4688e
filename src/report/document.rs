//! A report that is one document: rewritten whole as the night goes, and never seen half.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::may_replace_page;
use super::{ReportError, Reporter};
use crate::crash;
use crate::event::{Event, EventKind};
use crate::results::UNFINISHED;
use crate::summary::Summary;

/// Between two writings.
const LEAST: Duration = Duration::from_secs(1);

/// Writing takes at most this part of the time.
const PART: u32 = 20;

/// A file that shows the summary.
pub(super) struct Document {
    name: &'static str,
    path: PathBuf,
    render: Box<dyn Fn(&Summary) -> String + Send>,
    /// Takes its place where it cannot be rendered; none: what was written last stays.
    broken: Option<&'static str>,
    is_stale: bool,
    /// When it may be written again.
    next: Instant,
}

impl Document {
    /// Writes it for the first time, so that a path that cannot be written is known before the night.
    pub(super) fn open(
        results: &Path,
        name: &'static str,
        render: impl Fn(&Summary) -> String + Send + 'static,
    ) -> Result<Document, ReportError> {
        let path = results.join(name);
        let mut document =
            Document { name, path, render: Box::new(render), broken: None, is_stale: true, next: Instant::now() };
        document.write(&Summary::default())?;
        document.next = Instant::now();
        Ok(document)
    }

    /// The same, with what stands there instead when its rendering panics: what was written before must not look like
    /// what is true now.
    pub(super) fn or(mut self, broken: &'static str) -> Document {
        self.broken = Some(broken);
        self
    }

    fn write(&mut self, summary: &Summary) -> Result<(), ReportError> {
        let start = Instant::now();
        let rendered = crash::caught_at_once(|| {
            crash::point(|| format!("render {}", self.name));
            (self.render)(summary)
        });
        let result = match rendered {
            Ok(text) => write_whole(&self.path, text.as_bytes()),
            Err(crash) => {
                let replaced = self.broken.map_or(Ok(()), |broken| write_whole(&self.path, broken.as_bytes()));
                replaced.and(Err(ReportError::Crashed { crash }))
            }
        };
        self.is_stale = result.is_err();
        self.next = Instant::now() + LEAST.max(start.elapsed() * PART);
        result
    }
}

impl Reporter for Document {
    fn name(&self) -> &str {
        self.name
    }

    fn report(&mut self, event: &Event, summary: &Summary) -> Result<(), ReportError> {
        self.is_stale |= !matches!(event.kind, EventKind::Output { .. } | EventKind::Commanded { .. });
        self.idle(summary)
    }

    fn idle(&mut self, summary: &Summary) -> Result<(), ReportError> {
        if self.is_stale && Instant::now() >= self.next { self.write(summary) } else { Ok(()) }
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), ReportError> {
        self.write(summary)
    }
}

/// Puts a page into a folder, which is made if it is not there, and returns its path.
pub(crate) fn put(folder: &Path, name: &str, text: &str) -> Result<PathBuf, ReportError> {
    std::fs::create_dir_all(folder).map_err(ReportError::write(folder))?;
    let path = folder.join(name);
    may_replace_page(&path)?;
    write_whole(&path, text.as_bytes())?;
    Ok(path)
}

/// Puts a whole file in the place of the old one. A reader sees the one or the other, and never a part.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let folder = path.parent().expect("a report lies in the results folder");
    let put = || {
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        // The file's own errors, and not those that name a file which nobody is to know.
        file.as_file_mut().write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    put().map_err(ReportError::write(path))
}
