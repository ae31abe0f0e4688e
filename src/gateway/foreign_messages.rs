//! What foreign programs print, and what it means: one table for each program, with the source and version of each
//! text.
//!
//! A text is never the only evidence. What is not in a table is the testbed's fault: a release is blamed only where a
//! program names one of its own packages, scripts or dependencies.

use crate::cause::{Speaker, speakers};
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

    /// Whether it keeps apt or dpkg from beginning: where a script has run, it was waited for, or met by another program.
    fn is_of_the_beginning(self) -> bool {
        matches!(
            self,
            Meaning::Locked | Meaning::Interrupted | Meaning::BrokenBefore | Meaning::Held | Meaning::NotFetched
        )
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
    /// Whether any program may print it, whatever it is about.
    is_anyones: bool,
}

impl Message {
    pub(super) const fn new(source: &'static str, parts: &'static [&'static str], meaning: Meaning) -> Message {
        Message { source, parts, meaning, is_anyones: false }
    }

    const fn of_system(source: &'static str, parts: &'static [&'static str], meaning: Meaning) -> Message {
        Message { source, parts, meaning, is_anyones: true }
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
    /// The package whose script says it; none where apt or dpkg themselves do.
    pub(super) script_of: Option<String>,
}

/// The words of the C library for errors of the system, which any program may print (glibc 2.31 and 2.36, strerror). They
/// count where apt, dpkg, or the script of a package that failed say them: not where a hook of the site does.
pub(super) const SYSTEM: &[Message] = &[
    Message::of_system("ENOSPC", &["No space left on device"], Meaning::DiskFull),
    Message::of_system("EDQUOT", &["Disk quota exceeded"], Meaning::DiskFull),
    Message::of_system("EROFS", &["Read-only file system"], Meaning::ReadOnly),
    Message::of_system("EIO", &["Input/output error"], Meaning::DiskError),
    Message::of_system("EUCLEAN", &["Structure needs cleaning"], Meaning::DiskError),
    Message::of_system("ENOMEM", &["Cannot allocate memory"], Meaning::OutOfMemory),
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
    // Only where dpkg does not go on: with `--force-overwrite` it warns of the same in the same words.
    Message::new(
        "dpkg 1.20 to 1.21.22",
        &["dpkg: error processing archive ", " (--unpack): ", "trying to overwrite "],
        Meaning::FileConflict,
    ),
];

/// The messages of the tables in what a program printed, in the order of its lines.
///
/// dpkg writes the name of the package on one line and the reason, indented, on the next: they are read as one.
pub(super) fn seen_in(said: &str, tables: &[&[Message]]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut before = "";
    let lines: Vec<&str> = said.lines().collect();
    for (&line, speaker) in lines.iter().zip(speakers(&lines)) {
        let is_reason = line.starts_with(' ') && before.starts_with("dpkg: error processing ");
        let whole = if is_reason { format!("{before}{line}") } else { line.to_owned() };
        let script_of = if let Speaker::Failed(package) = speaker { Some(package.to_owned()) } else { None };
        // What dpkg warns of has not kept it from going on.
        let is_warning = line.starts_with("dpkg: warning: ");
        for message in tables.iter().copied().flatten() {
            let is_heard = if message.is_anyones { speaker != Speaker::Other } else { !is_warning };
            if let Some(name) = message.named_in(&whole).filter(|_| is_heard) {
                tracing::trace!(source = message.source, meaning = ?message.meaning, "recognized");
                let (name, line) = (package_of(name).to_owned(), line.trim().to_owned());
                seen.push(Seen { meaning: message.meaning, name, line, script_of: script_of.clone() });
            }
        }
        before = line;
    }
    seen
}

/// The package of an archive, by the name of its file (`/var/cache/apt/archives/magma_1.9.1_amd64.deb`); another name as it is.
fn package_of(name: &str) -> &str {
    match name.rsplit('/').next().and_then(|file| file.strip_suffix(".deb")) {
        Some(file) => file.split('_').next().unwrap_or(file),
        None => name,
    }
}

/// Whose fault it is: the release's only where a message about it names one of its `own`, or nothing at all, and no
/// message of apt, of dpkg or of its own scripts is about the host.
pub(super) fn class_of(seen: &[Seen], own: &dyn Fn(&str) -> bool) -> Class {
    let is_own_script = seen.iter().any(|seen| seen.meaning == Meaning::ScriptFailed && own(&seen.name));
    let counts = |seen: &Seen| match &seen.script_of {
        Some(package) => own(package),
        None => !(is_own_script && seen.meaning.is_of_the_beginning()),
    };
    let is_of_host = seen.iter().any(|seen| seen.meaning.is_of_host() && counts(seen));
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
        (
            "file-conflict",
            include_str!("../../tests/fixtures/apt/file-conflict.txt"),
            Class::Upgrade,
            Meaning::FileConflict,
        ),
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

    /// We pass `--force-overwrite`, so dpkg warns and goes on; then a hook of the site fails.
    #[test]
    fn what_dpkg_only_warns_of_is_not_why_it_failed() {
        let said = include_str!("../../tests/fixtures/apt/file-conflict-forced.txt");
        assert_eq!(seen_in(said, &[APT]), []);
        assert_eq!(class_for(said), Class::Testbed);
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

    /// What else prints around a script of the release that fails: hooks of apt, triggers, scripts of other packages.
    #[test]
    fn what_others_print_around_a_script_of_the_release_does_not_excuse_it() {
        let failed = "dpkg: error processing package magma (--configure):\n installed magma package post-installation \
                      script subprocess returned error exit status 1\n";
        let magma = format!("Setting up magma (1.9.0) ...\nmagma: cannot migrate: schema mismatch\n{failed}");
        let other = "dpkg: error processing package lab-hook (--configure):\n installed lab-hook package \
                     post-installation script subprocess returned error exit status 1\n";
        let grub = "grub-probe: warning: /dev/sr0: Input/output error\n";
        let waited = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (perl)...\n";
        for said in [
            format!("{grub}{magma}"),
            format!("{magma}{grub}"),
            format!("Setting up linux-image (5.4) ...\n{grub}{magma}"),
            format!("{magma}Processing triggers for initramfs-tools (0.142) ...\n{grub}"),
            format!("Setting up lab-hook (1.0) ...\n{grub}{other}{magma}"),
            format!("{waited}{magma}"),
            format!("{magma}E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt-get)\n"),
        ] {
            assert_eq!(class_for(&said), Class::Upgrade, "{said}");
            if !said.contains(other) {
                let cause = crate::cause::known_and_said("exit status 100", &said, 8);
                let line = crate::cause::one_line(&cause, true);
                assert!(line.ends_with("script of magma: magma: cannot migrate: schema mismatch"), "{line}");
            }
        }
        // Its own words, and dpkg's, count as before.
        let own = "Setting up magma (1.9.0) ...\ncp: error writing '/etc/magma/x': No space left on device\n";
        let unpacked = "Preparing to unpack .../magma_1.9.0_amd64.deb ...\nmv: cannot move 'x': Read-only file system\n\
                        dpkg: error processing archive /var/cache/apt/archives/magma_1.9.0_amd64.deb (--unpack):\n \
                        new magma package pre-installation script subprocess returned error exit status 1\n";
        for said in [
            format!("{own}{failed}"),
            unpacked.to_owned(),
            format!("{magma}E: Write error - write (28: No space left on device)"),
        ] {
            assert_eq!(class_for(&said), Class::Testbed, "{said}");
        }
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
