//! What a host of the lab was told: everything that comes to it over SSH, recorded by the host's own sshd, byte for byte.
//!
//! Knows how the program sends its scripts, and nothing of what they mean.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::lab;

/// Where a host keeps what it heard: of each session `N.line`, the command line, and `N.stdin`, what came after it.
const FOLDER: &str = "/run/overheard";
const PROGRAM: &str = "/usr/local/sbin/overhear";
const RULE: &str = "/etc/ssh/sshd_config.d/overhear.conf";

/// Runs a session's command as sshd would, and keeps what goes in. The order of the sessions is that in which they were told something:
/// one may have waited for that.
const OVERHEAR: &str = r#"#!/bin/sh
case $SSH_ORIGINAL_COMMAND in
"exec true") exec /bin/sh -c "$SSH_ORIGINAL_COMMAND" ;;
"exec sh -c 'unset TMOUT"*)
    # Nothing is told to a shell that has not said that it waits.
    echo 'teravm-ci: waiting' >&2
    IFS= read -r told || exit
    ;;
esac
session=/run/overheard/$(date +%s%N).$$
printf %s "$SSH_ORIGINAL_COMMAND" >"$session.line"
{ printf '%s\n' "$told"; exec cat; } | tee "$session.stdin" | exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"#;

/// A host whose sshd records, until it is dropped.
pub(crate) struct Overheard {
    host: &'static str,
}

/// Has a host record what comes to it from now on.
pub(crate) fn overhear(host: &'static str) -> Overheard {
    lab::write_on(host, PROGRAM, OVERHEAR);
    lab::write_on(host, RULE, &format!("ForceCommand {PROGRAM}\n"));
    lab::on(host, &format!("chmod 755 {PROGRAM} && rm -rf {FOLDER} && mkdir -m 1777 {FOLDER} && systemctl reload ssh"));
    Overheard { host }
}

impl Drop for Overheard {
    fn drop(&mut self) {
        lab::on(self.host, &format!("rm -rf {RULE} {PROGRAM} {FOLDER} && systemctl reload ssh"));
    }
}

/// A script that a host was told to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) script: String,
    /// What the script found on its standard input.
    pub(crate) data: Vec<u8>,
}

impl Overheard {
    /// The scripts so far, in the order in which they came.
    pub(crate) fn scripts(&self) -> Vec<Heard> {
        let listed = lab::on(
            self.host,
            &format!(
                "cd {FOLDER} && for line in $(ls | grep '[.]line$' | sort -n); do n=${{line%.line}}; echo \"$n $(base64 -w0 $n.line) $(base64 -w0 $n.stdin)\"; done"
            ),
        );
        let decode = |text: &str| STANDARD.decode(text).expect("it is base64");
        let session = |row: &str| {
            let mut words = row.split(' ').skip(1);
            let line = decode(words.next().unwrap_or_default());
            heard(&String::from_utf8_lossy(&line), &decode(words.next().unwrap_or_default()))
        };
        listed.lines().map(session).collect()
    }

    /// Forgets what was heard so far.
    pub(crate) fn forget(&self) {
        lab::on(self.host, &format!("rm -f {FOLDER}/*"));
    }
}

/// Reads a session: its shell waits for a line that begins with the mark, the size of the script and the size of the data. A session that
/// was told nothing is not kept: it asked whether the host is there, or was opened for a command that did not come.
fn heard(line: &str, stdin: &[u8]) -> Heard {
    assert!(line.starts_with("exec sh -c 'unset TMOUT"), "this was sent too: {line}");
    let end = stdin.iter().position(|&byte| byte == b'\n').expect("a line comes first");
    let (told, stdin) = (String::from_utf8_lossy(&stdin[..end]), &stdin[end + 1..]);
    let words: Vec<&str> = told.split_whitespace().collect();
    let [mark, size, data, ..] = words[..] else { panic!("this was sent too: {told}") };
    assert!(mark.starts_with("@teravm-ci:"), "this was sent too: {told}");
    let (script, rest) = stdin.split_at(size.parse().expect("a size"));
    let script = String::from_utf8(script.to_vec()).expect("scripts are text");
    let script = script.strip_suffix(&format!("\n# {mark}")).expect("a script ends with its mark").to_owned();
    let data = match data {
        "duplex" => rest.to_vec(),
        _ => STANDARD.decode(rest.strip_suffix(b".").unwrap_or_default()).expect("data come in base64"),
    };
    Heard { script, data }
}

/// A dry run as it was printed: of each host the commands, by step and in order, each written out.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) steps: Vec<String>,
    commands: Vec<(String, String, String)>,
}

impl Printed {
    /// Reads the layout: a step, below it hosts, below each its commands `[N]`, written out where they come first.
    pub(crate) fn parse(text: &str) -> Printed {
        let mut printed = Printed::default();
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let mut hosts: Vec<String> = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let bare = line.trim_start();
            match line.len() - bare.len() {
                0 if !bare.is_empty() => {
                    printed.steps.push(bare.split(',').next().unwrap_or_default().to_owned());
                    hosts.clear();
                }
                2 if !bare.starts_with('-') => hosts = bare.split(", ").map(str::to_owned).collect(),
                4 if bare.starts_with('[') => {
                    let (number, is_again) = match bare.strip_suffix(" again") {
                        Some(number) => (number, true),
                        None => (bare, false),
                    };
                    if !is_again {
                        let mut script = Vec::new();
                        while let Some(line) = lines.next_if(|line| line.starts_with("        ") || line.is_empty()) {
                            script.push(line.get(8..).unwrap_or_default());
                        }
                        known.insert(number.to_owned(), script.join("\n").trim_end().to_owned());
                    }
                    let step = printed.steps.last().expect("a command stands in a step").clone();
                    for host in &hosts {
                        printed.commands.push((step.clone(), host.clone(), known[number].clone()));
                    }
                }
                _ => {}
            }
        }
        printed
    }

    /// What is printed of a host, in order, without the steps that are left out.
    pub(crate) fn of(&self, host: &str, without: &[&str]) -> Vec<String> {
        let is_meant = |step: &String, of: &String| of == host && !without.contains(&step.as_str());
        self.commands.iter().filter(|(step, of, _)| is_meant(step, of)).map(|(_, _, script)| script.clone()).collect()
    }
}
