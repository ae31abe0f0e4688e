//! Says which commit the program is made from, and when it was built. Knows git and cargo, and not what the program does.
//!
//! A build for development follows no commit: each one would build all tests anew.

use std::env;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What goes into the program.
const SOURCES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "src"];

fn main() {
    let mut version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let mut said = "none, this is a build for development".to_owned();
    let mut built = String::new();
    // Said at least once, or cargo takes every file of the package for a reason to come here again.
    println!("cargo::rerun-if-changed=src/build.rs");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
        SOURCES.iter().for_each(|path| println!("cargo::rerun-if-changed={path}"));
        (version, said) = named(version);
        built = seconds().to_string();
    }
    println!("cargo::rustc-env=TERAVM_CI_VERSION={version}");
    println!("cargo::rustc-env=TERAVM_CI_COMMIT={said}");
    println!("cargo::rustc-env=TERAVM_CI_BUILT={built}");
}

/// The version with the commit as semver's build metadata, and what is said of the commit.
fn named(version: String) -> (String, String) {
    // The newest commit that changed what goes into the program, so that the same sources have the same name. Sources that
    // merely lie inside somebody's repository have none.
    let commit = git(&["rev-list", "-1", "--abbrev-commit", "--abbrev=12", "HEAD", "--"], &SOURCES);
    let Some(commit) = commit.filter(|commit| !commit.is_empty()) else {
        return (version, "not known, git named none for these sources".to_owned());
    };
    // Grows with whatever moves HEAD, also in a worktree and with packed refs. Where git keeps no such log, cargo misses the
    // file and comes here each time.
    if let Some(log) = git(&["rev-parse", "--git-path"], &["logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    match git(&["--no-optional-locks", "status", "--porcelain", "--"], &SOURCES) {
        Some(changes) if changes.is_empty() => (format!("{version}+{commit}"), commit),
        _ => (format!("{version}+{commit}.changed"), format!("{commit}, and changes that are in no commit")),
    }
}

/// What git says, if it is there and can.
fn git(words: &[&str], paths: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).args(paths).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// When it is built, in seconds since 1970; a build that shall be the same each time says when by SOURCE_DATE_EPOCH.
fn seconds() -> u64 {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().expect("SOURCE_DATE_EPOCH is a number of seconds since 1970"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}
