//! Which program this is: what `--version` says, and what the build script finds out in a repository, in a worktree, and in no
//! repository at all. A package of a few lines stands for the program, because its build takes a second.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::desk::Desk;

/// The package says what it was built as, and nothing else.
const MAIN: &str = r#"fn main() { println!("{} | {} | {}", env!("TERAVM_CI_VERSION"), env!("TERAVM_CI_COMMIT"), env!("TERAVM_CI_BUILT")) }"#;
const MANIFEST: &str =
    "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\nbuild = \"src/build.rs\"\n";
/// The day on which all these builds are made, so that they say the same each time.
const BUILT: &str = "1766620800";

/// A package with the program's own build script.
struct Package {
    folder: TempDir,
    /// Where it is built; a worktree of it is another package.
    root: PathBuf,
}

impl Package {
    fn new() -> Package {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("small");
        fs::create_dir_all(root.join("src")).expect("a folder");
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/src/build.rs"), root.join("src/build.rs"))
            .expect("the build script");
        let package = Package { folder, root };
        package.write("Cargo.toml", MANIFEST);
        package.write("src/main.rs", MAIN);
        package.write(".gitignore", "/target\n");
        package.build();
        package
    }

    fn in_a_repository() -> Package {
        let package = Package::new();
        package.git("init --quiet --initial-branch main");
        package.commit();
        // The build before it was of no commit.
        package.write("src/main.rs", MAIN);
        package
    }

    /// Goes on in a worktree with a branch of its own.
    fn in_a_worktree(mut self) -> Package {
        let root = self.folder.path().join("worktree");
        self.git(&format!("worktree add --quiet -b side {}", root.display()));
        self.root = root;
        self
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.root.join(path), text).expect("a file");
    }

    fn git(&self, words: &str) -> String {
        run(Command::new("git").args(words.split_whitespace()), &self.root).0
    }

    fn commit(&self) {
        self.git("add --all");
        self.git("commit --quiet --allow-empty --message one");
    }

    /// The commit as the program shall name it.
    fn head(&self) -> String {
        self.git("rev-parse --short=12 HEAD")
    }

    /// Builds it as a release, and returns what it says of itself and whether there was anything to build.
    fn build(&self) -> (String, bool) {
        let mut cargo = Command::new(env!("CARGO"));
        let (_, said) =
            run(cargo.args(["build", "--release", "--offline"]).env("SOURCE_DATE_EPOCH", BUILT), &self.root);
        let (version, _) = run(&mut Command::new(self.root.join("target/release/small")), &self.root);
        (version, said.contains("Compiling small"))
    }

    fn says(&self) -> String {
        self.build().0
    }
}

/// What a command prints on standard output and standard error, without the settings of whoever runs the test.
fn run(command: &mut Command, folder: &Path) -> (String, String) {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
        command.env(name, "somebody");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").current_dir(folder);
    let output = command.output().expect("it can be run");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    assert!(output.status.success(), "{command:?}: {}", said(&output.stderr));
    (said(&output.stdout), said(&output.stderr))
}

#[test]
fn a_build_for_development_says_that_it_follows_no_commit() {
    assert_snapshot!(Desk::new().run("--version"), @"
        exit 0
        --- standard output
        teravm-ci 0.1.0
        commit: none, this is a build for development
        ");
}

#[test]
fn a_build_names_the_commit_that_its_sources_are_from_and_the_changes_on_top() {
    let package = Package::in_a_repository();
    let first = package.head();
    assert_eq!(package.build(), (format!("0.1.0+{first} | {first} | {BUILT}"), true));
    assert_eq!(package.build(), (format!("0.1.0+{first} | {first} | {BUILT}"), false), "nothing has changed");

    package.write("src/main.rs", &format!("// Changed.\n{MAIN}"));
    assert_eq!(package.says(), format!("0.1.0+{first}.changed | {first}, and changes that are in no commit | {BUILT}"));
    package.commit();
    let second = package.head();
    assert_eq!(package.says(), format!("0.1.0+{second} | {second} | {BUILT}"));

    // Not what the program is made from.
    package.write("README.md", "");
    package.commit();
    assert_eq!(package.says(), format!("0.1.0+{second} | {second} | {BUILT}"));
    package.git("checkout --quiet --detach HEAD~2");
    assert_eq!(package.says(), format!("0.1.0+{first} | {first} | {BUILT}"));
}

#[test]
fn a_commit_is_noticed_with_packed_refs_and_in_a_worktree() {
    let package = Package::in_a_repository();
    package.git("pack-refs --all");
    package.says();
    for package in [package, Package::in_a_repository().in_a_worktree()] {
        package.write("src/more.rs", "");
        package.says();
        package.commit();
        let commit = package.head();
        assert_eq!(package.build(), (format!("0.1.0+{commit} | {commit} | {BUILT}"), true));
        assert!(!package.build().1, "nothing has changed");
    }
}

#[test]
fn sources_that_are_in_no_repository_have_no_commit_even_inside_of_somebody_elses() {
    let package = Package::new();
    let none = format!("0.1.0 | not known, git named none for these sources | {BUILT}");
    assert_eq!(package.build(), (none.clone(), false));
    let outside = package.folder.path();
    fs::write(outside.join("theirs"), "").expect("a file");
    run(Command::new("git").args(["init", "--quiet"]), outside);
    run(Command::new("git").args(["add", "theirs"]), outside);
    run(Command::new("git").args(["commit", "--quiet", "--message", "one"]), outside);
    package.write("src/main.rs", MAIN);
    assert_eq!(package.build(), (none, true));
}
