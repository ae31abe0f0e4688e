//! The lab, by its own verbs, and what its hosts say of themselves.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;

pub(crate) const NAMESPACE: &str = "teravm-lab-ci";
pub(crate) const OLD: &str = "1.8.0-1655110000-3f7c21ab";
pub(crate) const NEWEST: &str = "1.9.1-1668500000-5d2e8f90";

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the lab keeps its state on this machine.
pub(crate) fn state(file: &str) -> PathBuf {
    PathBuf::from("/var/lib/teravm-lab").join(file)
}

fn verb(words: &[&str]) -> Output {
    Command::new(root().join("tests/lab/lab")).args(words).output().expect("the lab's script can be run")
}

fn must(words: &[&str]) -> String {
    let output = verb(words);
    assert!(
        output.status.success(),
        "lab {} failed:\n{}{}",
        words.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Starts the lab, if it is not up, and heals it; says why it cannot be had.
pub(crate) fn up() -> Result<(), String> {
    let engine = Command::new("docker").arg("info").output();
    if !engine.is_ok_and(|output| output.status.success()) {
        return Err("no Docker engine answers".to_owned());
    }
    let output = verb(&["up"]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    // Of whoever used it before, and was stopped.
    heal();
    Ok(())
}

/// Brings everything back to its first state.
pub(crate) fn reset() {
    must(&["reset"]);
}

/// The same of one host.
pub(crate) fn reset_host(host: &str) {
    must(&["reset", host]);
}

/// Runs a command as root on a host, and returns what it printed.
pub(crate) fn on(host: &str, script: &str) -> String {
    must(&["exec", host, "sh", "-c", script])
}

/// The same, byte for byte.
pub(crate) fn bytes_on(host: &str, script: &str) -> Vec<u8> {
    let output = verb(&["exec", host, "sh", "-c", script]);
    assert!(output.status.success(), "on {host}: {script}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Writes a file on a host. The text is in no list of processes.
pub(crate) fn write_on(host: &str, path: &str, text: &str) {
    let mut tee = Command::new(root().join("tests/lab/lab"))
        .args(["exec", host, "tee", path])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the lab's script can be run");
    tee.stdin.take().expect("stdin is piped above").write_all(text.as_bytes()).expect("the host takes it");
    assert!(tee.wait().expect("the child is ours").success(), "{path} could not be written on {host}");
}

/// Breaks something that is healed by [`heal`], or that passes by itself.
pub(crate) fn strike(words: &[&str]) {
    must(&[&["fault"], words].concat());
}

/// The same; returns whether it could be done.
pub(crate) fn may_strike(words: &[&str]) -> bool {
    verb(&[&["fault"], words].concat()).status.success()
}

/// Heals one thing.
pub(crate) fn heal_one(name: &str) {
    must(&["heal", name]);
}

/// Heals whatever is broken.
pub(crate) fn heal() {
    must(&["heal"]);
}

/// A fault that is on until it is dropped.
pub(crate) struct Fault(String);

pub(crate) fn fault(words: &[&str]) -> Fault {
    must(&[&["fault"], words].concat());
    Fault(words[0].to_owned())
}

impl Drop for Fault {
    fn drop(&mut self) {
        verb(&["heal", &self.0]);
    }
}

/// The secrets that the CI node has in its environment.
pub(crate) fn secrets() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(state("secrets.env")).expect("the lab is up");
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect()
}

/// The secrets among these variables, and the ways in which a text may carry them: name and text.
pub(crate) fn canaries(env: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let secrets = env.iter().filter(|(name, value)| name.starts_with("TERAVM_") && value.len() >= 6);
    let forms = secrets.flat_map(|(name, value)| {
        let in_base64 = (0..3).map(move |lead| (format!("{name} in base64, {lead} bytes in"), in_base64(value, lead)));
        [(name.clone(), value.clone()), (format!("{name}, URL-encoded"), in_a_url(value))].into_iter().chain(in_base64)
    });
    forms.filter(|(_, form)| form.len() >= 6).collect()
}

/// The name of a canary that stands in the text, whole or broken over lines.
pub(crate) fn canary_in<'a>(text: &str, canaries: &'a [(String, String)]) -> Option<&'a str> {
    let unbroken = text.replace(['\r', '\n'], "");
    canaries.iter().find(|(_, form)| unbroken.contains(form.as_str())).map(|(name, _)| name.as_str())
}

/// What of a text in base64 is the value's own, when so many bytes stand before it and something after it.
fn in_base64(value: &str, lead: usize) -> String {
    let bytes = [&b"??"[..lead], value.as_bytes()].concat();
    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes);
    encoded[[0, 2, 3][lead]..bytes.len() / 3 * 4].to_owned()
}

fn in_a_url(value: &str) -> String {
    let encode = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    value.bytes().map(encode).collect()
}

/// The installed version of a package on the AGW, with dpkg's own two letters before it.
pub(crate) fn package(name: &str) -> String {
    on("agw", &format!("dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {name}")).trim().to_owned()
}

/// The main processes of the AGW's units.
pub(crate) fn processes() -> String {
    on("agw", "systemctl show -p Id -p MainPID 'magma@*' 'magma_dp@*' sctpd | grep -v '^$'")
}

/// Which units of the AGW are failed.
pub(crate) fn failed_units() -> String {
    on("agw", "systemctl list-units --plain --no-legend --state=failed 'magma@*' 'magma_dp@*' sctpd | cut -d ' ' -f 1")
        .trim()
        .to_owned()
}

/// Name, image and start of each container of a FEG.
pub(crate) fn containers(feg: &str) -> String {
    on(
        feg,
        "docker ps -q | xargs docker inspect --format '{{.Name}} {{.Config.Image}} {{.Image}} {{.State.StartedAt}}' | sort",
    )
}

/// The images in use on a FEG, each once.
pub(crate) fn images(feg: &str) -> String {
    on(feg, "docker ps -q | xargs docker inspect --format '{{.Config.Image}} {{.Image}}' | sort -u")
}

/// A checksum of the FEG's files that a site edits, and of the cron that fights upgrades.
pub(crate) fn site_files(feg: &str) -> String {
    on(
        feg,
        "cd /var/opt/magma/docker && sha256sum .env docker-compose.yml /etc/cron.d/recreate_services_cron && stat -c '%U %a %n' .env docker-compose.yml",
    )
}

pub(crate) fn conffiles() -> String {
    on("agw", "sha256sum /etc/magma/*")
}

/// Two states of the testbed are the same; says in which lines they are not.
pub(crate) fn same(what: &str, before: &str, after: &str) {
    let gone: Vec<&str> = before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect();
    let new: Vec<&str> = after.lines().filter(|line| !before.lines().any(|other| other == *line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "{what} changed\nwas: {gone:#?}\nis:  {new:#?}");
}

/// Waits for a condition, with a limit that only a hang reaches.
pub(crate) fn wait_for(what: &str, limit: Duration, mut is_true: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_true() {
        assert!(since.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn pids_of_the_node() -> Vec<String> {
    let pids = Command::new("ip").args(["netns", "pids", NAMESPACE]).output().expect("iproute2 is there");
    String::from_utf8_lossy(&pids.stdout).split_whitespace().map(str::to_owned).collect()
}

/// Kills whatever runs on the CI node.
pub(crate) fn kill_the_node() {
    let pids = pids_of_the_node();
    // One that has ended by now is no failure.
    Command::new("kill").arg("-KILL").args(pids).output().expect("kill is there");
}

/// The processes of the CI node.
pub(crate) fn processes_of_the_node() -> String {
    let mut left = String::new();
    for pid in pids_of_the_node() {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        if !words.is_empty() {
            left.push_str(&format!("process {pid}: {words}\n"));
        }
    }
    left
}

/// The same without what goes through a tunnel: one that was killed may still be on its way out.
pub(crate) fn network_without_tunnels() -> String {
    network().lines().filter(|line| !line.contains(" dev tun")).map(|line| format!("{line}\n")).collect()
}

/// The CI node's routes and resolver.
pub(crate) fn network() -> String {
    let routes = Command::new("ip").args(["-n", NAMESPACE, "route"]).output().expect("iproute2 is there");
    let resolver = std::fs::read_to_string(format!("/etc/netns/{NAMESPACE}/resolv.conf")).unwrap_or_default();
    format!("{}{resolver}", String::from_utf8_lossy(&routes.stdout))
}
