//! The Debian package, as far as it needs no release: what Cargo.toml puts into it is there, and what is made for it is put into it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Has the script make what is packed beside the program.
fn parts() -> PathBuf {
    let mut script = Command::new(Path::new(ROOT).join(".ci/deb"));
    script.args(["parts", env!("CARGO_BIN_EXE_teravm-ci")]).env("SOURCE_DATE_EPOCH", "1766620800");
    let output =
        script.env("DEBFULLNAME", "Some Body").env("DEBEMAIL", "body@lab.example").output().expect("bash is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Path::new(ROOT).join("target/deb")
}

/// What Cargo.toml says of the package.
fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]).current_dir(ROOT).output();
    let metadata: Value = serde_json::from_slice(&output.expect("cargo is there").stdout).expect("JSON");
    metadata["packages"][0]["metadata"]["deb"].clone()
}

fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be read").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { [path].into() }).collect()
}

/// The files that an asset names, with at most one `*`, in its last part.
fn named(asset: &str) -> BTreeSet<PathBuf> {
    let path = Path::new(ROOT).join(asset);
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let Some((start, end)) = name.split_once('*') else {
        return [path].into_iter().filter(|path| path.is_file()).collect();
    };
    let is_named = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(start) && name.ends_with(end))
    };
    files_below(path.parent().expect("a folder")).into_iter().filter(is_named).collect()
}

#[test]
fn everything_that_the_package_names_is_there_and_everything_that_is_made_is_named() {
    let made = parts();
    let deb = metadata();
    let assets = deb["assets"].as_array().expect("a list").iter().map(|asset| asset[0].as_str().expect("a path"));
    let mut packed = BTreeSet::new();
    for asset in assets.chain(deb["changelog"].as_str()).filter(|asset| *asset != "target/release/teravm-ci") {
        let files = named(asset);
        assert!(!files.is_empty(), "`{asset}` names no file");
        packed.extend(files);
    }
    let forgotten: Vec<PathBuf> = files_below(&made).difference(&packed).cloned().collect();
    assert_eq!(forgotten, Vec::<PathBuf>::new());

    assert_snapshot!(fs::read_to_string(made.join("changelog.Debian")).expect("a file of text"), @"
        teravm-ci (0.1.0-1) unstable; urgency=medium

          * Packed as it is; changelog.gz says what has changed.

         -- Some Body <body@lab.example>  Thu, 25 Dec 2025 00:00:00 +0000
        ");
}
