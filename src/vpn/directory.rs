//! The private directory of a tunnel: the management socket, and no key, because OpenVPN reads its profile from a pipe.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use tempfile::TempDir;

use crate::process::{is_alive, naming};

const PREFIX: &str = "teravm-ci-vpn-";

const SOCKET: &str = "management";

const DEVICE_PREFIX: &str = "tun-ci-";

/// `sun_path` has 108 bytes, and OpenVPN cuts what is longer without a word.
const LONGEST_SOCKET: usize = 107;

/// A directory that only we can enter, gone when this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    folder: TempDir,
    /// Held for as long as we live, so that a later start can tell whose directory is nobody's.
    _lock: OwnedFd,
}

impl Directory {
    pub(super) fn make() -> io::Result<Directory> {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() + prefix.len() + SOCKET.len() + 16 > LONGEST_SOCKET {
            parent = PathBuf::from("/tmp");
        }
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        let lock = lock(folder.path())?;
        Ok(Directory { folder, _lock: lock })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// The name of the tunnel's device: of this tunnel alone, as its folder is, and short enough for the kernel (15
    /// bytes).
    pub(super) fn device(&self) -> String {
        let name = self.folder.path().file_name().unwrap_or_default().to_string_lossy();
        format!("{DEVICE_PREFIX}{}", name.rsplit('-').next().unwrap_or_default())
    }
}

fn lock(folder: &Path) -> io::Result<OwnedFd> {
    let folder = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// How long an OpenVPN may take to end by itself once its program is gone: its resolver may be asking somebody.
const LAST_BREATH: Duration = Duration::from_secs(15);

/// Removes the directories of tunnels whose program was killed, and returns how many there were.
///
/// Waits until OpenVPN has noticed that its program is gone: two clients with one certificate starve each other, and the old
/// one's farewell would end the new one's session.
pub(crate) fn sweep() -> usize {
    sweep_in(&std::env::temp_dir())
        + if std::env::temp_dir() == Path::new("/tmp") { 0 } else { sweep_in(Path::new("/tmp")) }
}

fn sweep_in(parent: &Path) -> usize {
    let us = rustix::process::geteuid().as_raw();
    let is_nobodys = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        // The number may be of another container that shares this folder, or another's by now; the lock is the truth.
        owner.is_some_and(|owner| !is_alive(owner))
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == us)
            && lock(&entry.path()).is_ok()
    };
    // A folder that cannot be read has nothing that we have put there.
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            if !is_nobodys(entry) {
                return false;
            }
            let since = Instant::now();
            while !naming(&entry.path().join(SOCKET)).is_empty() && since.elapsed() < LAST_BREATH {
                std::thread::sleep(Duration::from_millis(50));
            }
            std::fs::remove_dir_all(entry.path()).is_ok()
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_private_and_gone_in_the_end() {
        let directory = Directory::make().expect("a directory");
        let path = directory.folder.path().to_owned();
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o700);
        assert!(directory.socket().as_os_str().len() <= LONGEST_SOCKET);
        let device = directory.device();
        assert_eq!((device.len(), device.starts_with(DEVICE_PREFIX)), (13, true), "{device}");
        assert_ne!(device, Directory::make().expect("a directory").device());
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn only_the_directories_of_the_dead_are_swept() {
        let parent = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).expect("a directory");
            path
        };
        let dead = make("teravm-ci-vpn-4194304999-abc");
        let held = make("teravm-ci-vpn-4194304998-abc");
        let ours = make(&format!("teravm-ci-vpn-{}-abc", std::process::id()));
        let other = make("teravm-ci-ssh-4194304999-abc");
        let _held = lock(&held).expect("nobody holds it");
        assert_eq!(sweep_in(parent.path()), 1);
        assert!(!dead.exists() && held.exists() && ours.exists() && other.exists());
    }
}
