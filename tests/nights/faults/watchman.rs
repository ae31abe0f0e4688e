//! Looks, while a night runs, whether a list of processes or the environment of a child shows a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lab;

/// Between one look and the next, at least; and as often as this the time that a look takes, for the night needs the machine too.
const PAUSE: Duration = Duration::from_millis(20);
const PART: u32 = 4;

pub(super) struct Watchman {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<BTreeSet<String>>,
}

impl Watchman {
    pub(super) fn start() -> Watchman {
        let canaries = lab::canaries(&lab::secrets().into_iter().collect());
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let watching = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            let mut processes = Processes::default();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                processes.look(&canaries, &mut seen);
                std::thread::sleep(PAUSE.max(began.elapsed() * PART));
            }
            seen
        });
        Watchman { is_over, watching }
    }

    /// What was seen.
    pub(super) fn end(self) -> BTreeSet<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.watching.join().expect("it only reads")
    }
}

/// The hosts of the lab are containers of this machine, so its list of processes has theirs too.
#[derive(Default)]
struct Processes {
    /// What each of them was called with when it was looked at last: until it runs another program, it shows nothing new.
    known: BTreeMap<OsString, Vec<u8>>,
}

impl Processes {
    fn look(&mut self, canaries: &[(String, String)], seen: &mut BTreeSet<String>) {
        let node = std::fs::metadata(Path::new("/run/netns").join(lab::NAMESPACE)).ok().map(|meta| meta.ino());
        let mut known = BTreeMap::new();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = process.file_name();
            if !name.to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
                continue;
            }
            let path = process.path();
            let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
            if self.known.get(&name) != Some(&arguments) {
                look_at(&path, &arguments, node, canaries, seen);
            }
            known.insert(name, arguments);
        }
        self.known = known;
    }
}

fn look_at(
    process: &Path,
    arguments: &[u8],
    node: Option<u64>,
    canaries: &[(String, String)],
    seen: &mut BTreeSet<String>,
) {
    let words = String::from_utf8_lossy(arguments).replace('\0', " ");
    // The VPN server's own scripts have the login too, and are not ours.
    let is_on_the_node = std::fs::metadata(process.join("ns/net")).is_ok_and(|meta| Some(meta.ino()) == node);
    // A child that is about to become another program still shows its parent's environment.
    let before = program_of(process);
    let environment =
        if is_on_the_node { std::fs::read(process.join("environ")).unwrap_or_default() } else { Vec::new() };
    let environment = String::from_utf8_lossy(&environment);
    let program = program_of(process);
    // The program itself has them from the CI, and `ip netns exec` becomes the program.
    let is_a_child = before == program && !matches!(program.as_str(), "teravm-ci" | "ip" | "");
    for (name, secret) in canaries {
        if words.contains(secret) {
            seen.insert(format!("{name} in the arguments of {}", words.replace(secret, "***")));
        }
        if is_a_child && environment.contains(secret) {
            seen.insert(format!("{name} in the environment of {program}: {words}"));
        }
    }
}

/// What a process runs now.
fn program_of(process: &Path) -> String {
    let program = std::fs::read_link(process.join("exe")).unwrap_or_default();
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
