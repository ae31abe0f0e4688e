//! The commands of README.md and docs/ that reach the lab: each is run on the CI node, as it is typed, unless another test of this
//! folder has the very words.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::docs::{Runner, commands, root, words};
use crate::lab::{self, state};
use crate::night::{Night, Told, teravm};

/// One case that passes, so that a night is short.
const LIST: &str = "begin pages testplan_s6a.conf\nrun pages_01()\nwait 5\nverdict PASS\nend Finished pages\n";

/// One gateway will do: the words are what is tried here.
const HOSTS: &str = r#"{"agw": "192.168.60.17", "ng40": "192.168.60.75"}"#;

/// The same with a FEG, for what is about one.
const WITH_FEG: &str = r#"{"agw": "192.168.60.17", "feg": ["192.168.60.112"], "ng40": "192.168.60.75"}"#;

/// Keeps the AGW from the newest release, for which a FEG would have no image, until it is dropped.
struct Pin;

const PIN: &str = "/etc/apt/preferences.d/pages";

impl Pin {
    fn set() -> Pin {
        lab::write_on("agw", PIN, "Package: magma\nPin: version *-77c0ffee\nPin-Priority: -1\n");
        Pin
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        lab::on("agw", &format!("rm -f {PIN}"));
    }
}

/// Whether another test of this folder runs these very words.
fn is_another_test(line: &str) -> bool {
    let call = format!("teravm(\"{line}\")");
    let files = std::fs::read_dir(root().join("tests/nights")).expect("this folder is there").flatten();
    let mut files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
    files.any(|file| std::fs::read_to_string(file.path()).expect("a file of text").contains(&call))
}

/// What an engineer's own `ssh` knows of the lab.
fn ssh_config(desk: &Path) -> String {
    let (key, known) = (state("ssh/id_ed25519"), state("known_hosts"));
    let text = format!("BatchMode yes\nIdentityFile {}\nUserKnownHostsFile {}\n", key.display(), known.display());
    let path = desk.join("ssh_config");
    std::fs::write(&path, text).expect("the folder is ours");
    path.display().to_string()
}

/// A command as it is typed at a desk in the lab, where both setups of the pages are the lab itself.
fn typed(desk: &Path, words: &str) -> Night {
    let hosts = if words.contains("feg1") { WITH_FEG } else { HOSTS };
    teravm(words)
        .typed_at(desk)
        .with("verify.stable", "1s")
        .with("suites", r#"{"s6a": {"list": "pages.ntl"}}"#)
        .with("setups", &format!(r#"{{"setup_1": {hosts}, "setup_2": {hosts}}}"#))
        .with("default_setup", "setup_1")
}

/// What has ended and leaves everything as it has to be.
fn tidy(told: Told) -> Told {
    told.is_tidy().unwrap_or_else(|what| panic!("it left something: {what}\n{told}"));
    told.keeps_secrets().unwrap_or_else(|what| panic!("{what}\n{told}"));
    told
}

/// Does something while a command holds the tunnel up, which then ends as by Ctrl-C.
fn while_held<T>(tunnel: Night, work: impl FnOnce() -> T) -> T {
    let mut tunnel = tunnel.start();
    tunnel.until_said("the tunnel is up");
    let done = work();
    tunnel.signal("-INT");
    tidy(tunnel.over()).exits(0);
    done
}

/// Makes the suites of the last run look as those of a red one do.
fn redden(desk: &Path) {
    let path = desk.join("results/run.json");
    let text = std::fs::read_to_string(&path).expect("there was a run");
    let mut run: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for suite in run["suites"].as_array_mut().expect("a list") {
        suite["cases"][0]["judgement"] = serde_json::json!({"judged": "failed", "message": "as in a red night"});
    }
    std::fs::write(&path, run.to_string()).expect("the folder is ours");
}

pub(crate) fn every_command_does_what_it_says() {
    let desk = tempfile::tempdir().expect("there is room for a folder");
    let desk = desk.path();
    std::fs::create_dir(desk.join("config")).expect("the folder is ours");
    let ssh = format!("-- ssh -F {} ", ssh_config(desk));
    lab::write_on("ng40", "/home/ng40/magma/automation/pages.ntl", LIST);
    let _pin = Pin::set();
    let commands = commands(Runner::Lab);
    assert!(commands.len() > 15, "the pages are read: {commands:?}");
    for command in commands {
        let words = words(&command.line);
        if words[0] != "teravm-ci" {
            let ended = Command::new(root().join(&words[0])).args(&words[1..]).stdin(Stdio::null()).output();
            assert!(ended.is_ok_and(|ended| ended.status.success()), "{}: {}", command.page, command.line);
            continue;
        }
        let line = words[1..].join(" ");
        let night = typed(desk, &line.replace("-- ssh ", &ssh));
        let is_of_the_record = line.contains("/var/lib/teravm-ci");
        if line.contains("--failed") {
            redden(desk);
        }
        if is_of_the_record {
            lab::on("agw", "mkdir -p /var/lib/teravm-ci/backup && echo '{}' >/var/lib/teravm-ci/intent.json");
        }
        if line.starts_with("vpn") && !line.contains(" -- ") {
            while_held(night, || ());
            continue;
        }
        if line.contains("--follow") {
            let mut follower = night.start();
            follower.until_printed("\n");
            follower.signal("-INT");
            tidy(follower.over()).exits(0);
            continue;
        }
        if is_another_test(&line) {
            continue;
        }
        let told = if line.contains("--no-vpn") {
            while_held(typed(desk, "vpn"), || night.start().over())
        } else {
            tidy(night.start().over())
        };
        if is_of_the_record {
            lab::on("agw", "rm /var/lib/teravm-ci/intent.json");
        }
        assert_eq!(told.code, Some(0), "{}: {}\n{told}", command.page, command.line);
    }
}
