//! What foreign programs print, and what it means: one table for each program, with the source and version of each
//! text.
//!
//! A text is never the only evidence. What is not in a table is the testbed's fault: a release is blamed only where a
//! program names one of its own packages, scripts or dependencies.

use crate::event::Class;

/// What a message means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    // The host, its disks, its package database, or the way to a repository.
    DiskFull,
    ReadOnly,
    DiskError,
    OutOfMemory,
    Locked,
    Interrupted,
    BrokenBefore,
    Held,
    NotFetched,
    CorruptArchive,
    // The release, where the message names something of its own.
    ScriptFailed,
    MissingDependency,
    NotOffered,
    RemovesOthers,
    FileConflict,
}

impl Meaning {
    /// Whether it is about the host and its surroundings, whatever else the program printed.
    pub(super) fn is_of_host(self) -> bool {
        match self {
            Meaning::DiskFull
            | Meaning::ReadOnly
            | Meaning::DiskError
            | Meaning::OutOfMemory
            | Meaning::Locked
            | Meaning::Interrupted
            | Meaning::BrokenBefore
            | Meaning::Held
            | Meaning::NotFetched
            | Meaning::CorruptArchive => true,
            Meaning::ScriptFailed
            | Meaning::MissingDependency
            | Meaning::NotOffered
            | Meaning::RemovesOthers
            | Meaning::FileConflict => false,
        }
    }
}

/// A text of a foreign program.
#[derive(Debug)]
pub(super) struct Message {
    /// Where the text comes from: the program and its version.
    source: &'static str,
    /// What a line contains, in this order and in any letter case. What stands between the first two names something: a
    /// package, an image, a service.
    parts: &'static [&'static str],
    meaning: Meaning,
}

impl Message {
    pub(super) const fn new(source: &'static str, parts: &'static [&'static str], meaning: Meaning) -> Message {
        Message { source, parts, meaning }
    }

    /// What the line names, where it is this message: empty where the message names nothing.
    fn named_in<'l>(&self, line: &'l str) -> Option<&'l str> {
        // Lowercasing ASCII keeps every byte where it is.
        let lower = line.to_ascii_lowercase();
        let mut at = 0;
        let mut gap = 0..0;
        for (index, part) in self.parts.iter().enumerate() {
            let found = at + lower.get(at..)?.find(&part.to_ascii_lowercase())?;
            if index == 1 {
                gap = at..found;
            }
            at = found + part.len();
        }
        line.get(gap).map(str::trim)
    }
}

/// A message that was found in what a program printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) meaning: Meaning,
    /// What the message names; empty where it names nothing.
    pub(super) name: String,
    pub(super) line: String,
}

/// The words of the C library for errors of the system, which any program may print (glibc 2.31 and 2.36, strerror).
pub(super) const SYSTEM: &[Message] = &[
    Message::new("ENOSPC", &["No space left on device"], Meaning::DiskFull),
    Message::new("EDQUOT", &["Disk quota exceeded"], Meaning::DiskFull),
    Message::new("EROFS", &["Read-only file system"], Meaning::ReadOnly),
    Message::new("EIO", &["Input/output error"], Meaning::DiskError),
    Message::new("EUCLEAN", &["Structure needs cleaning"], Meaning::DiskError),
    Message::new("ENOMEM", &["Cannot allocate memory"], Meaning::OutOfMemory),
];

/// apt and dpkg, in the C locale.
pub(super) const APT: &[Message] = &[
    Message::new("apt 1.6 to 2.6.1", &["E: You don't have enough free space in "], Meaning::DiskFull),
    Message::new("apt 1.6 to 2.6.1", &["Could not get lock /var/"], Meaning::Locked),
    Message::new("apt 1.6 to 2.6.1", &["E: Unable to acquire the dpkg frontend lock"], Meaning::Locked),
    Message::new("apt 1.6 to 2.6.1", &["E: Unable to lock "], Meaning::Locked),
    Message::new("dpkg 1.20 to 1.21.22", &["lock was locked by another process with pid "], Meaning::Locked),
    Message::new("dpkg 1.19", &["lock is locked by another process"], Meaning::Locked),
    Message::new("apt 1.6 to 2.6.1", &["E: dpkg was interrupted, you must manually run "], Meaning::Interrupted),
    Message::new("apt 2.6.1", &["E: Unmet dependencies. Try 'apt --fix-broken install'"], Meaning::BrokenBefore),
    Message::new("apt 1.6", &["E: Unmet dependencies. Try 'apt-get -f install'"], Meaning::BrokenBefore),
    Message::new("apt 1.6 to 2.6.1", &["E: Held packages were changed and -y was used"], Meaning::Held),
    Message::new("apt 1.6 to 2.6.1", &["E: Failed to fetch "], Meaning::NotFetched),
    Message::new("apt 1.6 to 2.6.1", &["E: Unable to fetch some archives"], Meaning::NotFetched),
    Message::new("dpkg-deb 1.21.22", &["cannot copy archive member from "], Meaning::CorruptArchive),
    Message::new("dpkg-deb 1.21.22", &["dpkg-deb (subprocess): decompressing archive "], Meaning::CorruptArchive),
    Message::new(
        "dpkg-deb 1.21.22",
        &["dpkg-deb: error: ", " is not a Debian format archive"],
        Meaning::CorruptArchive,
    ),
    Message::new(
        "dpkg 1.21.22",
        &["package ", " script subprocess was killed by signal (Killed)"],
        Meaning::OutOfMemory,
    ),
    Message::new(
        "dpkg 1.20 to 1.21.22",
        &[" installed ", " package post-installation script subprocess "],
        Meaning::ScriptFailed,
    ),
    Message::new(
        "dpkg 1.18",
        &["error processing package ", " (--configure):", " installed post-installation script returned error"],
        Meaning::ScriptFailed,
    ),
    Message::new(
        "dpkg 1.20 to 1.21.22",
        &[" new ", " package pre-installation script subprocess "],
        Meaning::ScriptFailed,
    ),
    Message::new("dpkg 1.20 to 1.21.22", &[" new ", " package pre-removal script subprocess "], Meaning::ScriptFailed),
    Message::new("dpkg 1.20 to 1.21.22", &[" new ", " package post-removal script subprocess "], Meaning::ScriptFailed),
    Message::new("apt 1.6 to 2.6.1", &[" ", " : Depends: "], Meaning::MissingDependency),
    Message::new("apt 1.6 to 2.6.1", &[" ", " : PreDepends: "], Meaning::MissingDependency),
    Message::new("apt 1.6 to 2.6.1", &[" ", " : Conflicts: "], Meaning::MissingDependency),
    Message::new("apt 1.6 to 2.6.1", &[" ", " : Breaks: "], Meaning::MissingDependency),
    Message::new("apt 1.6 to 2.6.1", &["' for '", "' was not found"], Meaning::NotOffered),
    Message::new("apt 1.6 to 2.6.1", &["E: Package '", "' has no installation candidate"], Meaning::NotOffered),
    Message::new("apt 1.6 to 2.6.1", &["E: Unable to locate package ", ""], Meaning::NotOffered),
    Message::new(
        "apt 1.6 to 2.6.1",
        &["E: Packages need to be removed but remove is disabled"],
        Meaning::RemovesOthers,
    ),
    Message::new("dpkg 1.21.22", &[" trying to overwrite "], Meaning::FileConflict),
];

/// The messages of the tables in what a program printed, in the order of its lines.
///
/// dpkg writes the name of the package on one line and the reason, indented, on the next: they are read as one.
pub(super) fn seen_in(said: &str, tables: &[&[Message]]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut before = "";
    for line in said.lines() {
        let is_reason = line.starts_with(' ') && before.starts_with("dpkg: error processing ");
        let whole = if is_reason { format!("{before}{line}") } else { line.to_owned() };
        for message in tables.iter().copied().flatten() {
            if let Some(name) = message.named_in(&whole) {
                tracing::trace!(source = message.source, meaning = ?message.meaning, "recognized");
                seen.push(Seen { meaning: message.meaning, name: name.to_owned(), line: line.trim().to_owned() });
            }
        }
        before = line;
    }
    seen
}

/// Whose fault it is: the release's only where a message about it names one of its `own`, or nothing at all, and no
/// message is about the host.
pub(super) fn class_of(seen: &[Seen], own: &dyn Fn(&str) -> bool) -> Class {
    let is_of_host = seen.iter().any(|seen| seen.meaning.is_of_host());
    let is_of_release = seen.iter().any(|seen| !seen.meaning.is_of_host() && (seen.name.is_empty() || own(&seen.name)));
    if is_of_release && !is_of_host { Class::Upgrade } else { Class::Testbed }
}

/// The packages that apt says it installs, upgrades or downgrades: what a release brings.
pub(super) fn packages_of_install(said: &str) -> Vec<&str> {
    let mut packages = Vec::new();
    let mut is_listing = false;
    for line in said.lines() {
        if line.starts_with("The following ") {
            is_listing = line.ends_with("packages will be upgraded:")
                || line.ends_with("packages will be DOWNGRADED:")
                || line.ends_with("packages will be installed:");
        } else if is_listing && line.starts_with(' ') {
            packages.extend(line.split_whitespace().map(|name| name.trim_end_matches('*')));
        } else {
            is_listing = false;
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What apt 2.6.1 and dpkg 1.21.22 of Debian 12 printed, and some of other versions.
    const RECORDED: &[(&str, &str, Class, Meaning)] = &[
        ("apt-lock", include_str!("../../tests/fixtures/apt/apt-lock.txt"), Class::Testbed, Meaning::Locked),
        ("cache-full", include_str!("../../tests/fixtures/apt/cache-full.txt"), Class::Testbed, Meaning::DiskFull),
        ("corrupt", include_str!("../../tests/fixtures/apt/corrupt.txt"), Class::Testbed, Meaning::CorruptArchive),
        (
            "dependency-fails",
            include_str!("../../tests/fixtures/apt/dependency-fails.txt"),
            Class::Upgrade,
            Meaning::ScriptFailed,
        ),
        (
            "dependency-missing",
            include_str!("../../tests/fixtures/apt/dependency-missing.txt"),
            Class::Upgrade,
            Meaning::MissingDependency,
        ),
        ("disk-full", include_str!("../../tests/fixtures/apt/disk-full.txt"), Class::Testbed, Meaning::DiskFull),
        (
            "dpkg-database-lock",
            include_str!("../../tests/fixtures/apt/dpkg-database-lock.txt"),
            Class::Testbed,
            Meaning::Locked,
        ),
        ("dpkg-lock", include_str!("../../tests/fixtures/apt/dpkg-lock.txt"), Class::Testbed, Meaning::Locked),
        ("held", include_str!("../../tests/fixtures/apt/held.txt"), Class::Testbed, Meaning::Held),
        ("interrupted", include_str!("../../tests/fixtures/apt/interrupted.txt"), Class::Testbed, Meaning::Interrupted),
        (
            "other-package-broken",
            include_str!("../../tests/fixtures/apt/other-package-broken.txt"),
            Class::Testbed,
            Meaning::BrokenBefore,
        ),
        (
            "other-package-fails",
            include_str!("../../tests/fixtures/apt/other-package-fails.txt"),
            Class::Testbed,
            Meaning::ScriptFailed,
        ),
        (
            "postinst-fails",
            include_str!("../../tests/fixtures/apt/postinst-fails.txt"),
            Class::Upgrade,
            Meaning::ScriptFailed,
        ),
        (
            "preinst-fails",
            include_str!("../../tests/fixtures/apt/preinst-fails.txt"),
            Class::Upgrade,
            Meaning::ScriptFailed,
        ),
        ("read-only", include_str!("../../tests/fixtures/apt/read-only.txt"), Class::Testbed, Meaning::ReadOnly),
        (
            "version-missing",
            include_str!("../../tests/fixtures/apt/version-missing.txt"),
            Class::Upgrade,
            Meaning::NotOffered,
        ),
        (
            "would-remove",
            include_str!("../../tests/fixtures/apt/would-remove.txt"),
            Class::Upgrade,
            Meaning::RemovesOthers,
        ),
        (
            "dpkg-lock-1.20",
            include_str!("../../tests/fixtures/apt/dpkg-lock-1.20.txt"),
            Class::Testbed,
            Meaning::Locked,
        ),
        ("simulate-held", include_str!("../../tests/fixtures/apt/simulate-held.txt"), Class::Testbed, Meaning::Held),
        (
            "simulate-broken-before",
            include_str!("../../tests/fixtures/apt/simulate-broken-before.txt"),
            Class::Testbed,
            Meaning::BrokenBefore,
        ),
        ("wrong-size", include_str!("../../tests/fixtures/apt/wrong-size.txt"), Class::Testbed, Meaning::NotFetched),
    ];

    fn class_for(said: &str) -> Class {
        let brought = packages_of_install(said);
        let own = |name: &str| name == "magma" || brought.contains(&name);
        class_of(&seen_in(said, &[SYSTEM, APT]), &own)
    }

    #[test]
    fn a_release_is_blamed_only_where_apt_or_dpkg_name_something_of_its_own() {
        for (name, said, class, meaning) in RECORDED {
            let seen = seen_in(said, &[SYSTEM, APT]);
            assert!(seen.iter().any(|seen| seen.meaning == *meaning), "{name}: {seen:?}");
            assert_eq!(class_for(said), *class, "{name}: {seen:?}");
        }
    }

    #[test]
    fn a_line_about_the_host_is_enough_by_itself() {
        let lines = include_str!("../../tests/fixtures/apt/surroundings.txt").lines();
        for line in lines {
            assert!(seen_in(line, &[SYSTEM, APT]).iter().any(|seen| seen.meaning.is_of_host()), "{line}");
            assert_eq!(class_for(line), Class::Testbed, "{line}");
        }
    }

    #[test]
    fn what_nobody_has_described_is_not_blamed_on_the_release() {
        assert!(seen_in(include_str!("../../tests/fixtures/apt/killed.txt"), &[SYSTEM, APT]).is_empty());
        for said in ["", "E: Sub-process /usr/bin/dpkg returned an error code (1)", "E: something new"] {
            assert_eq!(class_for(said), Class::Testbed, "{said}");
        }
    }

    #[test]
    fn the_host_is_blamed_where_a_script_of_the_release_fails_for_its_sake() {
        let said = "Setting up magma (1.9.0-1666000000-16673817) ...\ntar: /etc/magma: Cannot open: Read-only file system\n\
                    dpkg: error processing package magma (--configure):\n installed magma package post-installation script \
                    subprocess returned error exit status 2\n";
        assert_eq!(class_for(said), Class::Testbed);
    }

    #[test]
    fn a_script_is_of_the_package_that_dpkg_names_on_the_line_before() {
        let said = |package: &str| {
            format!(
                "dpkg: error processing package {package} (--configure):\n subprocess installed post-installation script \
                 returned error exit status 1\n"
            )
        };
        assert_eq!(class_for(&said("magma")), Class::Upgrade);
        assert_eq!(class_for(&said("lab-hook")), Class::Testbed);
    }

    #[test]
    fn what_a_release_brings_is_what_apt_installs_or_changes() {
        let said = "The following packages were automatically installed and are no longer required:\n  old-one\n\
                    The following additional packages will be installed:\n  libx liby\nThe following NEW packages will be installed:\n  libx\n\
                    The following packages will be upgraded:\n  liby\nThe following packages will be DOWNGRADED:\n  magma\n\
                    0 upgraded, 1 newly installed\n  not this\n";
        assert_eq!(packages_of_install(said), ["libx", "liby", "libx", "liby", "magma"]);
    }
}
