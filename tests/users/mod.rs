//! Where another user than the one of the tests may read: neither the checkout nor `TMPDIR` need be such a place, as
//! below `/root`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A socket's path has at most 107 bytes, and there have to be folders and names below ours.
const LONGEST: usize = 40;

/// A temporary folder that every user can be given, with room for the path of a socket in it.
pub(crate) fn folder() -> TempDir {
    let wanted = std::env::temp_dir();
    let base = if is_open_to_all(&wanted) && wanted.as_os_str().len() <= LONGEST { wanted } else { "/tmp".into() };
    tempfile::Builder::new().prefix("teravm-ci-test-").tempdir_in(base).expect("a temporary folder")
}

/// Whether everybody may pass through a folder and all above it.
fn is_open_to_all(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    folder.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 0o001 != 0))
}

/// Copies a program into a folder that its users may read, and returns the copy's path.
pub(crate) fn copy_of(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(program.file_name().expect("a program has a name"));
    fs::copy(program, &copy).expect("a copy of the program");
    copy
}
