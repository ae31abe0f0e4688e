//! Looks, while a night runs, whether a list of processes or the environment of a child shows a secret.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab;

/// Between one look and the next.
const PAUSE: Duration = Duration::from_millis(20);

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
            while !over.load(Ordering::Relaxed) {
                look(&canaries, &mut seen);
                std::thread::sleep(PAUSE);
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
fn look(canaries: &[(String, String)], seen: &mut BTreeSet<String>) {
    let node = std::fs::metadata(Path::new("/run/netns").join(lab::NAMESPACE)).ok().map(|meta| meta.ino());
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        if !process.file_name().to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let read = |name: &str| std::fs::read(path.join(name)).unwrap_or_default();
        let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        // The VPN server's own scripts have the login too, and are not ours.
        let is_on_the_node = std::fs::metadata(path.join("ns/net")).is_ok_and(|meta| Some(meta.ino()) == node);
        let environment =
            if is_on_the_node { String::from_utf8_lossy(&read("environ")).into_owned() } else { String::new() };
        for (name, secret) in canaries {
            if words.contains(secret) {
                seen.insert(format!("{name} in the arguments of {}", words.replace(secret, "***")));
            }
            // The program itself has them from the CI, and `ip netns exec` becomes the program.
            let program = std::fs::read_link(path.join("exe")).unwrap_or_default();
            let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if environment.contains(secret) && !matches!(program.as_str(), "teravm-ci" | "ip" | "") {
                seen.insert(format!("{name} in the environment of {program}: {words}"));
            }
        }
    }
}
