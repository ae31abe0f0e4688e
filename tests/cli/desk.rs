//! An engineer's desk: a folder of its own, an environment that is empty but for what a test puts there, and programs on PATH
//! that write down that they were called. Knows the program by its command line alone.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, RwLock};
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::users;

/// A config that is right, with everything in it that a refusal can be about.
pub(crate) const LAB: &str = "\
vpn:
  kind: openvpn
  profile: {file: client.ovpn}
  username: {env: VPN_USERNAME}
  password: {env: VPN_PASSWORD}
  connect_timeout: 10s

ssh:
  key: {env: SSH_KEY, encoding: base64}
  known_hosts: known_hosts
  connect_timeout: 2s

suites:
  attach:
    list: attach.ntl
    deadline: 5m
  handover:
    list: handover.ntl

setups:
  lab:
    agw: 127.0.0.1:1
    feg: [127.0.0.2:1]
    ng40: 127.0.0.3:1
";

/// The same without tunnel and key.
pub(crate) const BARE_LAB: &str = "\
vpn:
  kind: none
ssh:
  known_hosts: known_hosts
  connect_timeout: 2s
suites:
  attach:
    list: attach.ntl
setups:
  lab:
    agw: 127.0.0.1:1
    feg: [127.0.0.2:1]
    ng40: 127.0.0.3:1
";

const PROFILE: &str = "client\ndev tun\nremote 127.0.0.1 1194 udp\n";

/// The programs that would reach the lab.
const REACH: [&str; 6] = ["openvpn", "sudo", "ip", "ssh", "ssh-keygen", "ssh-keyscan"];

/// The folders on the desk: where the program is run, what it finds on PATH, and where it may keep what is private.
const WORK: &str = "work";
const PROGRAMS: &str = "programs";
const PRIVATE: &str = "private";
const CALLS: &str = "calls";

/// A program that is open for writing cannot be run. A child that another test starts has our open files until it is a program
/// of its own, so that no child is started while a program is written.
static STARTS: RwLock<()> = RwLock::new(());

pub(crate) fn start(command: &mut Command) -> Child {
    let _among_others = STARTS.read().expect("nobody panics here");
    command.spawn().expect("the program starts")
}

/// A desk, on which the program is run.
pub(crate) struct Desk {
    folder: TempDir,
    env: BTreeMap<String, String>,
    input: Vec<u8>,
    /// What is said in `sh` before the program takes the shell's place.
    before: String,
    is_nobody: bool,
    signal: Option<(String, Signal)>,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        let folder = users::folder();
        for name in [WORK, PROGRAMS, PRIVATE] {
            fs::create_dir(folder.path().join(name)).expect("an empty folder");
        }
        Desk { folder, env: BTreeMap::new(), input: Vec::new(), before: String::new(), is_nobody: false, signal: None }
    }

    /// A desk with a config, all its secrets, and programs that must not be called.
    pub(crate) fn with_lab() -> Desk {
        Desk::with_config(LAB)
    }

    pub(crate) fn with_config(text: &str) -> Desk {
        let desk = Desk::new()
            .file("config/tiplab.yaml", text)
            .file("config/client.ovpn", PROFILE)
            .file("config/known_hosts", "")
            .env("VPN_USERNAME", "nightly")
            .env("VPN_PASSWORD", "hunter2hunter2")
            .env("SSH_KEY", "bm90IGEga2V5Cg==");
        REACH.into_iter().fold(desk, |desk, name| desk.program(name, "exit 0"))
    }

    /// The same with one place of the config written otherwise.
    pub(crate) fn with_lab_but(right: &str, wrong: &str) -> Desk {
        assert_eq!(LAB.matches(right).count(), 1, "the config says `{right}` once");
        Desk::with_config(&LAB.replace(right, wrong))
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Desk {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is on the desk")).expect("a folder");
        fs::write(path, content).expect("a file");
        self
    }

    pub(crate) fn link(self, path: &str, to: &str) -> Desk {
        std::os::unix::fs::symlink(to, self.path(path)).expect("a link");
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Desk {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Desk {
        self.env.remove(name).expect("the variable was set");
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Desk {
        self.input = bytes.into();
        self
    }

    /// Puts a program on PATH: a few lines of `sh`, which first write down that it was called.
    pub(crate) fn program(self, name: &str, script: &str) -> Desk {
        let calls = self.folder.path().join(CALLS);
        let text = format!("#!/bin/sh\necho \"{name} $1\" >> '{}'\n{script}\n", calls.display());
        let path = self.folder.path().join(PROGRAMS).join(name);
        let _alone = STARTS.write().expect("nobody panics here");
        fs::write(&path, text).expect("a program");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
        self
    }

    pub(crate) fn without_program(self, name: &str) -> Desk {
        fs::remove_file(self.folder.path().join(PROGRAMS).join(name)).expect("the program was there");
        self
    }

    /// Has a shell do something first, in the process that then becomes the program.
    pub(crate) fn after(mut self, script: &str) -> Desk {
        self.before = script.to_owned();
        self
    }

    /// Sends the program a signal once it has called another.
    pub(crate) fn signalled(mut self, call: &str, signal: Signal) -> Desk {
        self.signal = Some((call.to_owned(), signal));
        self
    }

    /// Runs the program as a user who is not root.
    pub(crate) fn by_nobody(mut self) -> Desk {
        self.is_nobody = true;
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(WORK).join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file of text")
    }

    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(path)).expect("JSON")
    }

    /// Runs the program with these words, to its end.
    pub(crate) fn run(&self, words: &str) -> Ended {
        self.run_words(&words.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_words(&self, words: &[&str]) -> Ended {
        let mut program = self.command(words);
        let files_before = files_in(&self.path(""));
        let mut child = start(&mut program);
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = self.input.clone();
        // A program that is not interested hangs up.
        let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
        if let Some((call, signal)) = &self.signal {
            self.wait_for(call);
            rustix::process::kill_process(Pid::from_child(&child), *signal).expect("it runs");
        }
        let output = child.wait_with_output().expect("it is our child");
        writing.join().expect("nothing panics there");
        let said = |bytes: &[u8]| self.without_accidents(&String::from_utf8_lossy(bytes));
        Ended {
            code: output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string()),
            stdout: said(&output.stdout),
            stderr: said(&output.stderr),
            called: self.called(),
            changed: changes(&files_before, &files_in(&self.path(""))),
            left: self.left(),
        }
    }

    fn wait_for(&self, call: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        let calls = self.folder.path().join(CALLS);
        while !fs::read_to_string(&calls).unwrap_or_default().lines().any(|line| line == call) {
            assert!(Instant::now() < until, "`{call}` was not called");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The programs that were called since it was last asked.
    fn called(&self) -> String {
        let calls = self.folder.path().join(CALLS);
        let called = fs::read_to_string(&calls).unwrap_or_default();
        let _ = fs::remove_file(calls);
        called.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut binary = PathBuf::from(env!("CARGO_BIN_EXE_teravm-ci"));
        let is_root = rustix::process::geteuid().is_root();
        // To whoever runs the tests it is as it is to root, who calls `openvpn` without `sudo`.
        let mut program = Command::new(if is_root || self.is_nobody { "/bin/sh" } else { "/usr/bin/unshare" });
        if !is_root && !self.is_nobody {
            program.args(["--map-root-user", "--", "/bin/sh"]);
        }
        if is_root && self.is_nobody {
            use std::os::unix::process::CommandExt as _;
            let nobody = 65534;
            let _alone = STARTS.write().expect("nobody panics here");
            binary = users::copy_of(&binary, self.folder.path());
            give_away(self.folder.path(), nobody);
            program.uid(nobody).gid(nobody);
        }
        let script = format!("{}\nexec \"$0\" \"$@\"", self.before);
        let private = self.folder.path().join(PRIVATE);
        program
            .args(["-c", &script])
            .arg(binary)
            .args(words)
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", self.folder.path().join(PROGRAMS))
            .env("HOME", self.path(""))
            .env("TMPDIR", &private)
            .env("XDG_RUNTIME_DIR", &private)
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        program
    }

    /// The text without what is different each time: where the desk stands, when it was, and how long it took.
    pub(crate) fn without_accidents(&self, text: &str) -> String {
        static ACCIDENTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
            [
                (r"(?m)^\d\d:\d\d:\d\d", "HH:MM:SS"),
                (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
                (r"\d{8}T\d{6}-[0-9a-f]{4}", "RUN"),
                (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DAY HH:MM UTC"),
                // A step that took no time to speak of is told without it.
                (r"  \(\d+\.\d s\)", ""),
                (r"\b\d+\.\d s\b", "0.0 s"),
                (r#"( time|"took")(=|:)"?[\d.]+"?"#, "${1}${2}TOOK"),
                (r"teravm-ci-(vpn|ssh)-\d+-\w+", "teravm-ci-$1-PRIVATE"),
            ]
            .map(|(accident, word)| (Regex::new(accident).expect("it is written right"), word))
            .into()
        });
        let folder = self.folder.path().display().to_string();
        let text = text.replace(&format!("{folder}/{WORK}/"), "").replace(&folder, "DESK");
        ACCIDENTS.iter().fold(text, |text, (accident, word)| accident.replace_all(&text, *word).into_owned())
    }

    /// What the program has left behind that was its own: private files, and processes that know this desk.
    fn left(&self) -> Vec<String> {
        let private = files_in(&self.folder.path().join(PRIVATE));
        let folder = self.folder.path().as_os_str().as_encoded_bytes();
        let processes = fs::read_dir("/proc").expect("a Linux machine").flatten().filter_map(|entry| {
            let is_ours = ["environ", "cmdline"].iter().any(|name| {
                let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
                memchr::memmem::find(&bytes, folder).is_some()
            });
            let name = fs::read_to_string(entry.path().join("comm")).ok().filter(|_| is_ours)?;
            Some(format!("the process {}", name.trim()))
        });
        private.into_keys().map(|path| path.display().to_string()).chain(processes).collect()
    }
}

/// Everything under a folder, and by what it is told whether it is still the same.
fn files_in(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, u64)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder").flatten() {
            let meta = entry.path().symlink_metadata().expect("it is there");
            let path = entry.path().strip_prefix(folder).expect("it is below the folder").to_owned();
            if meta.is_dir() {
                folders.push(entry.path());
                // A folder is the same whatever is put into it.
                files.insert(path.join(""), (meta.ino(), 0, 0, 0));
            } else {
                files.insert(path, (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()));
            }
        }
    }
    files
}

fn changes<T: PartialEq>(before: &BTreeMap<PathBuf, T>, after: &BTreeMap<PathBuf, T>) -> Vec<String> {
    let written =
        after.iter().filter(|(path, state)| before.get(*path) != Some(state)).map(|(path, _)| ("wrote", path));
    let removed = before.keys().filter(|path| !after.contains_key(*path)).map(|path| ("removed", path));
    written.chain(removed).map(|(what, path)| format!("{what} {}", path.display())).collect()
}

fn give_away(folder: &Path, user: u32) {
    use std::os::unix::fs::chown;
    chown(folder, Some(user), Some(user)).expect("we are root");
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            give_away(&entry.path(), user);
        } else {
            chown(entry.path(), Some(user), Some(user)).expect("we are root");
        }
    }
}

/// What a run of the program came to, all of it.
pub(crate) struct Ended {
    pub(crate) code: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The programs that it called, in order.
    pub(crate) called: String,
    /// What it wrote and removed in the folder where it was run.
    pub(crate) changed: Vec<String>,
    pub(crate) left: Vec<String>,
}

/// All of it in one text; what is empty is left out.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit {}", self.code)?;
        let parts = [
            ("standard output", self.stdout.clone()),
            ("standard error", self.stderr.clone()),
            ("called", self.called.clone()),
            ("changed", self.changed.join("\n")),
            ("left behind", self.left.join("\n")),
        ];
        for (title, text) in parts {
            if !text.is_empty() {
                writeln!(f, "--- {title}\n{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}
