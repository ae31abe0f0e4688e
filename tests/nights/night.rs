//! A night in a test: the real program on the CI node, with a config made from `config/lab.yaml`, and what came of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{lab, users};

/// Only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(300);

/// A night that is to be run.
pub(crate) struct Night {
    words: Vec<String>,
    config: Value,
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
    may_leave: bool,
    user: Option<&'static str>,
    place: Option<PathBuf>,
    desk: Option<PathBuf>,
    has_small_disk: bool,
    keys: Option<&'static str>,
}

/// A command of the program with these words.
pub(crate) fn teravm(words: &str) -> Night {
    let text = std::fs::read_to_string(lab::root().join("config/lab.yaml")).expect("the lab has a config");
    let config: Value = serde_yaml::from_str(&text).expect("the lab's config is YAML");
    let folder = users::folder();
    let night = Night {
        words: words.split_whitespace().map(str::to_owned).collect(),
        config,
        folder,
        env: lab::secrets().into_iter().collect(),
        may_leave: false,
        user: None,
        place: None,
        desk: None,
        has_small_disk: false,
        keys: None,
    };
    night.with("verify.stable", "2s").with("verify.timeout", "25s").with("ng40.settle", "0s").with("vpn.outage", "20s")
}

impl Night {
    /// Sets a key of the config, `verify.stable`, to a text or to what is written as JSON.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let mut at = &mut self.config;
        for word in key.split('.') {
            if !at.is_object() {
                *at = Value::Object(serde_json::Map::new());
            }
            at = at.as_object_mut().expect("made so above").entry(word).or_insert(Value::Null);
        }
        *at = value;
        self
    }

    /// Has one suite, of this list.
    pub(crate) fn list(self, list: &str) -> Self {
        let name = list.trim_end_matches(".ntl");
        self.with("suites", &format!(r#"{{"{name}": {{"list": "{list}", "deadline": "2m"}}}}"#))
    }

    /// Leaves the second FEG alone.
    pub(crate) fn with_one_feg(self) -> Self {
        self.with("setups.lab.feg", r#"["192.168.60.112"]"#)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Does not look for leftovers: the night is meant to leave some.
    pub(crate) fn may_leave_things(mut self) -> Self {
        self.may_leave = true;
        self
    }

    /// Runs as the unprivileged user of the CI node, who may become root by `sudo` for OpenVPN alone.
    pub(crate) fn run_by_user(mut self) -> Self {
        self.user = Some(lab::NAMESPACE);
        self
    }

    /// Has its reports on a disk of their own, of one megabyte, until `umount`.
    pub(crate) fn on_a_small_disk(mut self) -> Self {
        self.has_small_disk = true;
        self
    }

    /// Runs at a terminal, where somebody types this; all that is shown there is standard output.
    pub(crate) fn at_a_terminal(mut self, keys: &'static str) -> Self {
        self.keys = Some(keys);
        self.env("TERM", "xterm")
    }

    /// Has its temporary files where another night had them.
    pub(crate) fn in_the_place_of(mut self, other: &Told) -> Self {
        self.place = Some(other.temporary.clone());
        self
    }

    /// Is typed as it stands, without an option of ours, in a folder that has the config where the program looks for it.
    pub(crate) fn typed_at(mut self, desk: &Path) -> Self {
        self.desk = Some(desk.to_owned());
        self
    }

    /// Where the program has its temporary files.
    fn temporary(&self) -> PathBuf {
        self.place.clone().unwrap_or_else(|| self.folder.path().join("t"))
    }

    pub(crate) fn start(self) -> Running {
        std::fs::create_dir_all(self.temporary()).expect("the folder is ours");
        let folder = self.desk.as_deref().unwrap_or(self.folder.path());
        let config = folder.join(if self.desk.is_some() { "config/tiplab.yaml" } else { "config.yaml" });
        // JSON is YAML.
        std::fs::write(&config, self.config.to_string()).expect("the folder is ours");
        let results = folder.join("results");
        if self.has_small_disk {
            std::fs::create_dir_all(&results).expect("the folder is ours");
            let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&results).status();
            assert!(mount.expect("mount is there").success());
        }
        let network = lab::network_without_tunnels();
        let open = |name: &str| std::fs::File::create(self.folder.path().join(name)).expect("the folder is ours");
        let (command, rest) = self.words.split_first().expect("a command has a name");
        let mut child = Command::new("ip");
        child.args(["netns", "exec", lab::NAMESPACE]);
        let mut binary = PathBuf::from(env!("CARGO_BIN_EXE_teravm-ci"));
        if let Some(user) = self.user {
            binary = users::copy_of(&binary, self.folder.path());
            for path in [self.folder.path(), &config, &self.temporary()] {
                assert!(Command::new("chown").arg(user).arg(path).status().expect("chown is there").success());
            }
            child.args(["runuser", "-u", user, "--"]);
        }
        let path = |path: &Path| path.display().to_string();
        let (binary, config, reports) = (path(&binary), path(&config), path(&results));
        let mut program = vec![binary.as_str(), command];
        if self.desk.is_none() {
            program.extend(["--config", &config, "--results", &reports]);
        }
        program.extend(rest.iter().map(String::as_str));
        match self.keys {
            None => child.args(&program),
            Some(_) => child.args(["script", "-qefc", &program.join(" "), "/dev/null"]),
        };
        let mut child = child
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/root")
            .env("USER", "night")
            .env("CI", "true")
            .env("TMPDIR", self.temporary())
            .envs(&self.env)
            .stdin(if self.keys.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(open("stdout"))
            .stderr(open("stderr"))
            .spawn()
            .expect("iproute2 is there");
        if let Some(keys) = self.keys {
            let stdin = child.stdin.as_mut().expect("stdin is piped above");
            stdin.write_all(keys.as_bytes()).expect("the terminal takes it");
        }
        Running { child: Program(child), results, network, since: Instant::now(), night: self }
    }

    /// Runs the night to its end.
    pub(crate) fn run(self) -> Told {
        self.start().end()
    }
}

/// The program. A test that fails takes it down with it: the next one wants the lab for itself.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, once it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("the child is ours")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let since = Instant::now();
        while self.ended().is_none() && since.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A night under way.
pub(crate) struct Running {
    pub(crate) child: Program,
    results: PathBuf,
    network: String,
    since: Instant,
    night: Night,
}

impl Running {
    /// Waits until the night has said this in its events.
    pub(crate) fn until(&mut self, said: &str) {
        let events = self.results.join("events.jsonl");
        lab::wait_for(said, LIMIT, || {
            assert!(
                self.child.ended().is_none(),
                "the night ended before it said {said}:\n{}",
                std::fs::read_to_string(self.night.folder.path().join("stderr")).unwrap_or_default()
            );
            std::fs::read_to_string(&events).is_ok_and(|text| text.contains(said))
        });
    }

    /// Waits until the program has said this on standard error.
    pub(crate) fn until_said(&mut self, said: &str) {
        let stderr = self.night.folder.path().join("stderr");
        lab::wait_for(said, LIMIT, || std::fs::read_to_string(&stderr).is_ok_and(|text| text.contains(said)));
    }

    /// Waits until the program has printed this on standard output.
    pub(crate) fn until_printed(&mut self, said: &str) {
        let stdout = self.night.folder.path().join("stdout");
        lab::wait_for(said, LIMIT, || std::fs::read_to_string(&stdout).is_ok_and(|text| text.contains(said)));
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill is there");
        assert!(status.success());
    }

    /// What the night has said so far, as the lines of its record.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.results.join("events.jsonl")).unwrap_or_default()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.ended().is_some()
    }

    pub(crate) fn results(&self) -> &Path {
        &self.results
    }

    /// Waits for the end of a night that prints too much for its secrets to be looked for, and returns the most memory that the
    /// program had meanwhile, in bytes.
    pub(crate) fn end_and_memory(mut self) -> (Told, u64) {
        let status = format!("/proc/{}/status", self.child.id());
        let mut most = 0;
        while !self.is_over() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
            most = peak.and_then(|peak| peak.parse().ok()).unwrap_or(0).max(most);
            std::thread::sleep(Duration::from_millis(50));
        }
        let told = self.over();
        told.is_tidy().unwrap_or_else(|what| panic!("the night left something: {what}\n{told}"));
        told.tells_one_story();
        (told, most * 1024)
    }

    /// Waits for the end, and asks whether all is as a night has to leave it.
    pub(crate) fn end(self) -> Told {
        let may_leave = self.night.may_leave;
        let told = self.over();
        if !may_leave {
            told.is_tidy().unwrap_or_else(|what| panic!("the night left something: {what}\n{told}"));
        }
        told.keeps_secrets().unwrap_or_else(|what| panic!("{what}\n{told}"));
        told.tells_one_story();
        told
    }

    /// Whether JUnit is green before the night has ended.
    fn is_green_early(&self) -> bool {
        let junit = std::fs::read_to_string(self.results.join("junit.xml")).unwrap_or_default();
        let is_green = junit.contains("</testsuites>") && !junit.contains("<failure") && !junit.contains("<error");
        // In this order: what is read later is no older.
        is_green && !self.said().contains(r#""event":"night_ended""#)
    }

    /// What a night that hangs has last said, and what its threads and the other processes of the node wait for.
    fn what_it_does(&self) -> String {
        let said = self.said();
        let last = said.lines().skip(said.lines().count().saturating_sub(40));
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let waits = threads.map(|thread| {
            let read = |name: &str| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            format!("{} waits in {}\n", read("comm").trim(), read("wchan"))
        });
        let connections = Command::new("ip")
            .args(["netns", "exec", lab::NAMESPACE, "ss", "-tuanp", "state", "connected", "exclude", "time-wait"])
            .output();
        let connections = connections.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        format!(
            "{}\n{}{}{}",
            last.collect::<Vec<_>>().join("\n"),
            waits.collect::<String>(),
            lab::processes_of_the_node(),
            connections.unwrap_or_default()
        )
    }

    /// Waits for the end.
    pub(crate) fn over(mut self) -> Told {
        let mut status = None;
        let mut was_green_early = false;
        while status.is_none() {
            assert!(self.since.elapsed() < LIMIT, "the night did not end within {LIMIT:?}\n{}", self.what_it_does());
            std::thread::sleep(Duration::from_millis(100));
            was_green_early |= self.is_green_early();
            status = self.child.ended();
        }
        let took = self.since.elapsed();
        let read = |name: &str| std::fs::read_to_string(self.night.folder.path().join(name)).unwrap_or_default();
        let json = std::fs::read_to_string(self.results.join("run.json")).unwrap_or_default();
        Told {
            code: status.and_then(|status| status.code()),
            took,
            stdout: read("stdout"),
            stderr: read("stderr"),
            run: serde_json::from_str(&json).unwrap_or(Value::Null),
            results: self.results,
            temporary: self.night.temporary(),
            network: self.network,
            was_green_early,
            env: self.night.env,
            _folder: self.night.folder,
        }
    }
}

/// A night that is over, and what it said.
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) run: Value,
    pub(crate) results: PathBuf,
    temporary: PathBuf,
    network: String,
    pub(crate) was_green_early: bool,
    env: BTreeMap<String, String>,
    _folder: tempfile::TempDir,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}\nexit {:?} after {:?}", self.stderr, self.stdout, self.code, self.took)
    }
}

impl Told {
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Says this on standard error or standard output.
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text) || self.stdout.contains(text), "not said: {text}\n{self}");
        self
    }

    pub(crate) fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "took longer than {limit:?}\n{self}");
        self
    }

    /// What of the program is left on the CI node: processes and temporary files.
    pub(crate) fn left_behind(&self) -> String {
        let files = std::fs::read_dir(&self.temporary).into_iter().flatten().flatten();
        let files = files.map(|entry| format!("{}\n", entry.path().display()));
        lab::processes_of_the_node() + &files.collect::<String>()
    }

    /// Whether nothing of the program is left on the CI node, and its network is as it was.
    pub(crate) fn is_tidy(&self) -> Result<(), String> {
        let left = self.left_behind();
        if !left.is_empty() {
            return Err(left);
        }
        let network = lab::network();
        if network == self.network {
            Ok(())
        } else {
            Err(format!("the node's network was\n{}and is\n{network}", self.network))
        }
    }

    /// A line a gateway, as the console has it.
    pub(crate) fn gateways(&self) -> Vec<String> {
        let lines = self.stdout.lines().skip_while(|line| !line.starts_with("gateway "));
        lines
            .skip(1)
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// What became of each gateway: console, JSON and Markdown say the same.
    pub(crate) fn left(self, gateways: &[&str]) -> Self {
        assert_eq!(self.gateways(), gateways, "{self}");
        let markdown = self.read("summary.md").replace('\\', "");
        for gateway in gateways {
            let (name, outcome) = gateway.split_once(' ').expect("a name and an outcome");
            assert!(
                markdown
                    .lines()
                    .any(|line| line.contains(name) && line.replace('`', "").contains(&outcome.replace("->", "→"))
                        || line.replace('`', "").contains(outcome)),
                "summary.md does not say `{gateway}`:\n{markdown}"
            );
        }
        self
    }

    pub(crate) fn read(&self, file: &str) -> String {
        let bytes = std::fs::read(self.results.join(file)).unwrap_or_else(|error| panic!("{file}: {error}\n{self}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A case of the only suite, by its name: `passed`, `failed: …`, `error: …`.
    pub(crate) fn case(&self, name: &str) -> String {
        let cases = self.cases();
        cases.get(name).unwrap_or_else(|| panic!("there is no case {name} among {cases:?}\n{self}")).clone()
    }

    /// What JUnit says of a step.
    pub(crate) fn case_of_pipeline(&self, step: &str) -> Option<String> {
        self.junit().get(&format!("pipeline {step}")).cloned()
    }

    /// The cases of all suites, by name.
    pub(crate) fn cases(&self) -> BTreeMap<String, String> {
        let suites = self.run["suites"].as_array().cloned().unwrap_or_default();
        suites
            .iter()
            .flat_map(|suite| suite["cases"].as_array().cloned().unwrap_or_default())
            .map(|case| {
                let judged = case["judgement"]["judged"].as_str().unwrap_or_default();
                let message = case["judgement"]["message"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
                (case["name"].as_str().unwrap_or_default().to_owned(), format!("{judged}{message}"))
            })
            .collect()
    }

    /// The JUnit report as an independent reader sees it: by `classname name`, what stands in the case.
    pub(crate) fn junit(&self) -> BTreeMap<String, String> {
        junit(&self.results.join("junit.xml"))
    }

    /// Whether nothing that left the program holds a secret, as it is or in one of the ways in which texts are passed on.
    pub(crate) fn keeps_secrets(&self) -> Result<(), String> {
        let mut files = vec![self.stdout.clone(), self.stderr.clone()];
        collect_files(&self.results, &mut files);
        let canaries = lab::canaries(&self.env);
        match files.iter().find_map(|file| lab::canary_in(file, &canaries)) {
            Some(name) => Err(format!("a secret was told: {name}")),
            None => Ok(()),
        }
    }

    /// JUnit and the record tell the same of every case, and JUnit is not green when the night is not.
    pub(crate) fn tells_one_story(&self) {
        if self.run.is_null() {
            return;
        }
        let junit = self.junit();
        for outcome in self.run["outcomes"].as_array().cloned().unwrap_or_default() {
            let text = |key: &str| outcome[key].as_str().unwrap_or_default().to_owned();
            let name = format!("{} {}", text("suite"), text("case"));
            let kind = match text("came_to").as_str() {
                "passed" => "",
                "flaky" if outcome["is_red"] == false => "",
                "failed" | "flaky" => "failure",
                "known" => "skipped",
                _ => "error",
            };
            let told = junit.iter().find(|(known, _)| **known == clean(&name)).map(|(_, told)| told.as_str());
            assert_eq!(told, Some(kind), "JUnit and run.json differ in `{name}`\n{junit:?}\n{self}");
        }
        assert!(!self.was_green_early, "junit.xml was green before the night had ended\n{self}");
        let is_green = junit.values().all(|told| told.is_empty() || told == "skipped");
        assert_eq!(
            is_green,
            self.code == Some(0),
            "JUnit is green and the night is not, or the other way\n{junit:?}\n{self}"
        );
    }
}

/// A name as XML can hold it.
fn clean(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).collect()
}

fn junit(path: &Path) -> BTreeMap<String, String> {
    use quick_xml::events::Event;
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut cases = BTreeMap::new();
    let mut open: Option<String> = None;
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("junit.xml is not well formed: {error}\n{text}")) {
            Event::Start(tag) | Event::Empty(tag) => {
                let attribute = |name: &str| {
                    let found = tag.try_get_attribute(name).expect("attributes are well formed");
                    found
                        .map(|found| {
                            found
                                .normalized_value(quick_xml::XmlVersion::Explicit1_0)
                                .expect("values are well formed")
                                .into_owned()
                        })
                        .unwrap_or_default()
                };
                match tag.name().as_ref() {
                    b"testcase" => {
                        let name = format!("{} {}", attribute("classname"), attribute("name"));
                        assert!(
                            cases.insert(name.clone(), String::new()).is_none(),
                            "`{name}` stands twice in junit.xml"
                        );
                        open = Some(name);
                    }
                    kind @ (b"failure" | b"error" | b"skipped") => {
                        let name = open.as_ref().expect("a failure stands in a case");
                        cases.insert(name.clone(), String::from_utf8_lossy(kind).into_owned());
                    }
                    _ => {}
                }
            }
            Event::Eof => return cases,
            _ => {}
        }
    }
}

fn collect_files(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect_files(&entry.path(), files);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            files.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}
