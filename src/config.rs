//! The lab as the operator wrote it down, checked; secrets by reference.
//!
//! Knows the config file and nothing of the network. What this room returns is complete: there is no `Option` in it that
//! means "the default", and no text in it that still has to be parsed.

mod bounds;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod place;
mod quoted;
mod words;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use error::ConfigError;
use place::KeyPath;
use words::Written;
pub(crate) use words::{Address, Database, Network, format_duration, parse_duration, parse_percentage, unknown};

use crate::error::Hint as _;
use crate::gate::{self, Flaky, KnownFailure, MaxDuration, Required};
use crate::limit;
use crate::secret::{SecretRef, path_in};

/// What has failed so often will not pass by being run once more.
const MOST_RETRIES: u32 = 9;

/// Everything the operator can say.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    pub run: Run,
    pub vpn: Vpn,
    pub ssh: Ssh,
    #[serde(default)]
    pub lock: Lock,
    #[serde(default)]
    pub release: ReleasePolicy,
    #[serde(default)]
    pub agw: Agw,
    #[serde(default)]
    pub feg: Feg,
    #[serde(default)]
    pub verify: Verify,
    #[serde(default)]
    pub ng40: Ng40,
    #[serde(default)]
    pub collect: Collect,
    #[serde(default)]
    pub history: History,
    #[serde(default)]
    pub gate: Gate,
    #[serde(default)]
    pub links: Links,
    #[serde(deserialize_with = "words::unique_map")]
    pub suites: IndexMap<String, Suite>,
    #[serde(deserialize_with = "words::unique_map")]
    pub setups: IndexMap<String, Setup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_setup: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Run {
    /// The whole night ends within this time.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub deadline: Duration,
}

impl Default for Run {
    fn default() -> Self {
        Run { deadline: Duration::from_secs(2 * 3600 + 45 * 60) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VpnKind {
    Openvpn,
    None,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vpn {
    pub kind: VpnKind,
    /// The client profile (`.ovpn`).
    pub profile: Option<SecretRef>,
    pub username: Option<SecretRef>,
    pub password: Option<SecretRef>,
    pub key_passphrase: Option<SecretRef>,
    /// The tunnel is up within this time, or the night ends.
    #[serde(default = "minute", with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub connect_timeout: Duration,
    /// A drop shorter than this ends nothing.
    #[serde(default = "ten_minutes", with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub outage: Duration,
    /// What is routed into the tunnel; the setup's hosts, one by one, when it is empty.
    #[serde(default)]
    pub routes: Vec<Network>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ssh {
    /// The private key; the keys of the agent and of the user when there is none.
    pub key: Option<SecretRef>,
    /// The host keys that are accepted, and no others. Relative to the config file.
    pub known_hosts: PathBuf,
    #[serde(default = "twenty_seconds", with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub connect_timeout: Duration,
    /// How often a silent connection is probed; three probes without an answer end it.
    #[serde(default = "ten_seconds", with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub keepalive: Duration,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Lock {
    /// The lease's file on the NG40 host; a leading `~/` is the home of the user we log in as.
    pub path: String,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub renew: Duration,
    /// A lease that was not renewed for this long has lapsed.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub expire: Duration,
}

impl Default for Lock {
    fn default() -> Self {
        Lock {
            path: "~/.teravm-ci/lock".to_owned(),
            renew: Duration::from_secs(60),
            expire: Duration::from_secs(15 * 60),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReleasePolicy {
    /// How much older than the newest package the newest complete release may be.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub max_behind: Duration,
    /// Of so many releases, the last ones that were prepared, what was downloaded to a gateway is kept there, besides what is in use and
    /// what a backup needs.
    pub keep: u32,
}

impl Default for ReleasePolicy {
    fn default() -> Self {
        ReleasePolicy { max_behind: Duration::from_secs(7 * 24 * 3600), keep: 2 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Conffiles {
    New,
    Keep,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Agw {
    pub user: String,
    pub package: String,
    /// Packages that travel with the release, where they are installed.
    pub siblings: Vec<String>,
    pub conffiles: Conffiles,
    /// Units that must be active after an upgrade, besides those that were active before it.
    pub units: Vec<String>,
    /// Units that ran and that a release may drop.
    pub dropped_units: Vec<String>,
    /// The pattern of the units that are compared before and after.
    pub unit_pattern: String,
    /// Restarted once after the packages are in, as Magma's own procedure has it.
    pub restart: Vec<String>,
    /// A command whose exit status 0 says that the gateway has checked in.
    pub checkin: Option<String>,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub prepare_timeout: Duration,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub activate_timeout: Duration,
}

impl Default for Agw {
    fn default() -> Self {
        Agw {
            user: "magma".to_owned(),
            package: "magma".to_owned(),
            siblings: vec!["magma-sctpd".to_owned(), "magma-dhcp-cli".to_owned()],
            conffiles: Conffiles::New,
            units: vec!["magma@magmad".to_owned(), "magma@mme".to_owned(), "sctpd".to_owned()],
            dropped_units: Vec::new(),
            unit_pattern: "magma@*".to_owned(),
            restart: vec!["sctpd".to_owned()],
            checkin: None,
            prepare_timeout: Duration::from_secs(20 * 60),
            activate_timeout: Duration::from_secs(15 * 60),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Feg {
    pub user: String,
    /// Where `docker-compose.yml` and `.env` are.
    pub directory: String,
    /// How the Docker client is called.
    pub docker: String,
    /// How compose is called; found out on the host (v2, else v1) when it is empty.
    pub compose: String,
    /// The images, as they follow `DOCKER_REGISTRY` in the compose file.
    pub images: Vec<String>,
    /// The tag of a release: `{commit}`, `{version}`, `{major}`, `{minor}` stand for its parts.
    pub tag: String,
    /// Where the compose file of a release comes from (`{commit}`, `{version}` as above); the file there is kept when it is empty.
    pub compose_url: Option<String>,
    /// Services that must run after an upgrade, besides those that ran before it.
    pub services: Vec<String>,
    /// Cron files that are set aside while we switch, because what they run would fight us.
    pub quiesce: Vec<String>,
    /// A command whose exit status 0 says that the gateway has checked in.
    pub checkin: Option<String>,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub prepare_timeout: Duration,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub activate_timeout: Duration,
}

impl Default for Feg {
    fn default() -> Self {
        Feg {
            user: "magma".to_owned(),
            directory: "/var/opt/magma/docker".to_owned(),
            docker: "sudo -n docker".to_owned(),
            compose: String::new(),
            images: vec!["gateway_go".to_owned(), "gateway_python".to_owned()],
            tag: "{commit}".to_owned(),
            compose_url: None,
            services: vec!["magmad".to_owned(), "session_proxy".to_owned(), "s6a_proxy".to_owned()],
            quiesce: vec!["/etc/cron.d/recreate_services_cron".to_owned()],
            checkin: None,
            prepare_timeout: Duration::from_secs(20 * 60),
            activate_timeout: Duration::from_secs(15 * 60),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Verify {
    /// For this long nothing may restart.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub stable: Duration,
    /// All is well and stable within this time.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub timeout: Duration,
}

impl Default for Verify {
    fn default() -> Self {
        Verify { stable: Duration::from_secs(30), timeout: Duration::from_secs(5 * 60) }
    }
}

/// How it is asked whether NG40 is idle.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Idle {
    /// Empty: not asked.
    pub command: String,
    /// The exit statuses that may mean idle.
    pub status: Vec<i32>,
    /// Text that means busy, whatever the exit status; a line that contains it, in any case of letters.
    pub busy: Vec<String>,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub timeout: Duration,
}

impl Default for Idle {
    fn default() -> Self {
        Idle {
            command: "ng40test state.ntl".to_owned(),
            status: vec![0],
            busy: vec!["busy".to_owned()],
            timeout: Duration::from_secs(2 * 60),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ng40 {
    pub user: String,
    /// Where the test lists are; `ng40test` takes them by bare name.
    pub directory: String,
    /// The shell that finds `ng40test`: a login shell. What is run follows as one argument.
    pub shell: Vec<String>,
    /// Runs the tests on a pseudo terminal, for a tester that buffers its output otherwise.
    pub pty: bool,
    pub idle: Idle,
    /// Run before each suite when NG40 is idle; empty: nothing.
    pub cleanup_before: String,
    /// What NG40 needs after that command before it can be used.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub settle: Duration,
    /// Run after each suite; empty: nothing.
    pub cleanup_after: String,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub cleanup_timeout: Duration,
    /// Folders of the per-case logs, relative to the home of the user.
    pub logs: Vec<String>,
    /// Folders of the captures.
    pub captures: Vec<String>,
}

impl Default for Ng40 {
    fn default() -> Self {
        Ng40 {
            user: "ng40".to_owned(),
            directory: "/home/ng40/magma/automation".to_owned(),
            shell: vec!["bash".to_owned(), "-lc".to_owned()],
            pty: false,
            idle: Idle::default(),
            cleanup_before: "ng40forcecleanup all".to_owned(),
            settle: Duration::from_secs(10),
            cleanup_after: "ng40forcecleanup all".to_owned(),
            cleanup_timeout: Duration::from_secs(3 * 60),
            logs: vec!["magma/automation/log".to_owned(), "magma/ran/log".to_owned()],
            captures: vec!["magma/ran/pcap".to_owned()],
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Collect {
    /// Megabytes kept of a suite and of a file from a gateway, unpacked; what is over is named and left.
    pub limit_mb: u64,
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub timeout: Duration,
}

impl Default for Collect {
    fn default() -> Self {
        Collect { limit_mb: 200, timeout: Duration::from_secs(5 * 60) }
    }
}

/// Where nights are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    /// A file is relative to the folder of the config.
    pub url: Database,
    /// The password of a PostgreSQL.
    pub password: Option<SecretRef>,
    /// A database that does not answer within this time is not waited for.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub timeout: Duration,
}

impl Default for History {
    fn default() -> Self {
        let url = Database::Sqlite("history.sqlite".into());
        History { url, password: None, timeout: Duration::from_secs(20) }
    }
}

/// What counts, in a night and for a release.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gate {
    pub known_failures: Vec<KnownFailure>,
    /// Whether a known failure that passes is an error.
    pub strict: bool,
    pub required: Required,
    pub flaky: Flaky,
    /// The suites that a release must have passed; those of each setup when it is empty.
    pub suites: Vec<String>,
    /// The setups on which it must have passed them; all when it is empty.
    pub setups: Vec<String>,
    /// Nights before this time say nothing of a release any more.
    #[serde(with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub max_age: Duration,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            known_failures: Vec::new(),
            strict: false,
            required: Required::None,
            flaky: Flaky::Pass,
            suites: Vec::new(),
            setups: Vec::new(),
            max_age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Where reports point to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Links {
    /// The commits between two releases; `{good}` and `{bad}` stand for theirs.
    pub compare: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExitStatusRule {
    /// The exit status of `ng40test` is shown and decides nothing.
    #[default]
    Record,
    /// An exit status other than 0 is an error.
    Check,
}

/// An NG40 test list and its limits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// The `.ntl` file, by bare name.
    pub list: String,
    /// A parameter file for `ng40test`, by bare name.
    pub params: Option<String>,
    #[serde(default = "half_hour", with = "words::duration")]
    #[schemars(with = "Written<Duration>")]
    pub deadline: Duration,
    #[serde(default)]
    pub exit_status: ExitStatusRule,
    /// In percent. A PASS with more loss than this, or without any packet sent, is a failure.
    pub max_packet_loss: Option<f64>,
    /// How often it is run again when something in it did not pass.
    #[serde(default)]
    pub retries: u32,
    pub max_duration: Option<MaxDuration>,
}

impl Suite {
    /// The files that it needs on the tester.
    pub(crate) fn files(&self) -> impl Iterator<Item = &String> {
        [&self.list].into_iter().chain(&self.params)
    }
}

/// One testbed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    pub agw: Address,
    #[serde(default)]
    pub feg: Vec<Address>,
    pub ng40: Address,
    /// The suites of this testbed, in order; all of `suites` when it is empty.
    #[serde(default)]
    pub suites: Vec<String>,
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

fn half_hour() -> Duration {
    Duration::from_secs(1800)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

impl Config {
    /// The JSON Schema of the file, for editors.
    pub(crate) fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft07();
        let settings = settings.with_transform(schemars::transform::RecursiveTransform(with_empty_sections));
        settings.into_generator().into_root_schema_for::<Config>()
    }

    /// Reads the file and checks all of it. Paths in it are relative to its folder; `~/` is the user's home.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
        let mut config = Config::read(path).map_err(ConfigError::hinted)?;
        if let Some(folder) = path.parent() {
            config.ssh.known_hosts = path_in(folder, &config.ssh.known_hosts);
            let Vpn { profile, username, password, key_passphrase, .. } = &mut config.vpn;
            let secrets =
                [profile, username, password, key_passphrase, &mut config.ssh.key, &mut config.history.password];
            secrets.into_iter().flatten().for_each(|secret| secret.lie_in(folder));
            if let Database::Sqlite(path) = &mut config.history.url {
                let place = path_in(folder, path);
                *path = std::path::absolute(&place).unwrap_or(place);
            }
        }
        Ok(config)
    }

    fn read(path: &Path) -> Result<Config, ConfigError> {
        let bytes = limit::read_file(path, bounds::MOST_BYTES)
            .map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| ConfigError::no_text(&bytes, error, path))?;
        Config::parse(text, path)
    }

    /// Checks the text of a config; `file` is for messages.
    pub(crate) fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
        bounds::check(text).map_err(|excess| ConfigError::excessive(excess, text, file))?;
        let config: Config = serde_yaml::from_str(text).map_err(|error| ConfigError::located(&error, text, file))?;
        config.check().map_err(|(at, problem)| ConfigError::about(&at, &problem, text, file))?;
        Ok(config)
    }

    /// What single values cannot tell. Returns the way to the value that is wrong, and why.
    fn check(&self) -> Result<(), (KeyPath, String)> {
        let wrong = |keys: KeyPath, problem: &str| Err((keys, problem.to_owned()));
        if self.vpn.kind == VpnKind::Openvpn && self.vpn.profile.is_none() {
            return wrong(KeyPath::name(&["vpn"]), "`kind: openvpn` needs a `profile`");
        }
        if self.vpn.username.is_some() != self.vpn.password.is_some() {
            return wrong(KeyPath::name(&["vpn"]), "`username` and `password` go together");
        }
        if self.setups.is_empty() {
            return wrong(KeyPath::value(&["setups"]), "there is no setup");
        }
        if self.lock.renew < Duration::from_secs(1) {
            return wrong(KeyPath::value(&["lock", "renew"]), "`renew` is a second at least");
        }
        if self.lock.expire < self.lock.renew * 3 {
            let problem = "`expire` must leave room for three missed renewals (`lock.renew`)";
            return wrong(KeyPath::value(&["lock", "expire"]), problem);
        }
        if self.verify.stable >= self.verify.timeout {
            let problem = "`timeout` must be longer than `verify.stable`, or nothing is ever found stable in time";
            return wrong(KeyPath::value(&["verify", "timeout"]), problem);
        }
        if self.feg.images.is_empty() {
            return wrong(KeyPath::value(&["feg", "images"]), "there is no image");
        }
        if let Some(url) = self.feg.compose_url.as_deref().filter(|url| !is_web_address(url)) {
            let problem = format!("`{url}` is not an address; write `https://HOST/PATH` or `http://HOST/PATH`");
            return Err((KeyPath::value(&["feg", "compose_url"]), problem));
        }
        if self.ng40.shell.is_empty() {
            return wrong(KeyPath::value(&["ng40", "shell"]), "there is no program");
        }
        self.suites.iter().try_for_each(|(name, suite)| check_suite(name, suite))?;
        self.check_gate()?;
        self.setups.iter().try_for_each(|(name, setup)| self.check_setup(name, setup))?;
        if let Some(name) = &self.default_setup
            && !self.setups.contains_key(name)
        {
            return Err((KeyPath::value(&["default_setup"]), self.unknown_setup(name)));
        }
        Ok(())
    }

    fn check_setup(&self, name: &str, setup: &Setup) -> Result<(), (KeyPath, String)> {
        if !is_plain_name(name) {
            let problem = format!("the setup name `{name}` must be letters, digits, `.`, `-` and `_`");
            return Err((KeyPath::name(&["setups", name]), problem));
        }
        for (index, suite) in setup.suites.iter().enumerate() {
            if !self.suites.contains_key(suite) {
                let keys = KeyPath::value(&["setups", name, "suites"]).item(index);
                return Err((keys, self.unknown_suite(suite)));
            }
        }
        // Two of our jobs on one host would be in each other's way.
        let way = |key| KeyPath::value(&["setups", name, key]);
        let fegs = setup.feg.iter().enumerate().map(|(index, feg)| (way("feg").item(index), feg));
        let hosts: Vec<(KeyPath, &Address)> =
            [(way("agw"), &setup.agw)].into_iter().chain(fegs).chain([(way("ng40"), &setup.ng40)]).collect();
        let mut known = HashMap::new();
        for (keys, address) in &hosts {
            if let Some(first) = known.insert((&address.host, address.port), keys) {
                return Err((keys.clone(), format!("`{address}` is the host of `{first}` already")));
            }
        }
        Ok(())
    }

    /// Names that are not known would let everything through.
    fn check_gate(&self) -> Result<(), (KeyPath, String)> {
        let way = |key| KeyPath::value(&["gate", key]);
        let suite = |keys: KeyPath, name: &String| match self.suites.contains_key(name) {
            true => Ok(()),
            false => Err((keys, self.unknown_suite(name))),
        };
        for (index, known) in self.gate.known_failures.iter().enumerate() {
            suite(way("known_failures").item(index).key("suite"), &known.suite)?;
        }
        for (index, name) in self.gate.suites.iter().enumerate() {
            suite(way("suites").item(index), name)?;
        }
        if let Required::Named(named) = &self.gate.required {
            named.keys().try_for_each(|name| suite(KeyPath::name(&["gate", "required", name]), name))?;
        }
        for (index, name) in self.gate.setups.iter().enumerate() {
            if !self.setups.contains_key(name) {
                return Err((way("setups").item(index), self.unknown_setup(name)));
            }
        }
        match &self.links.compare {
            Some(link) if !(link.contains("{good}") && link.contains("{bad}")) => {
                let problem = format!("`{link}` has to hold `{{good}}` and `{{bad}}`");
                Err((KeyPath::value(&["links", "compare"]), problem))
            }
            _ => Ok(()),
        }
    }

    fn unknown_suite(&self, name: &str) -> String {
        words::unknown("suite", name, self.suites.keys().map(String::as_str))
    }

    fn unknown_setup(&self, name: &str) -> String {
        words::unknown("setup", name, self.setups.keys().map(String::as_str))
    }

    /// The setups that a release must have been tested on, each with the suites that it must have passed there.
    pub(crate) fn required_suites(&self) -> Vec<(String, Vec<String>)> {
        let named = &self.gate.setups;
        let is_meant = |setup: &&String| named.is_empty() || named.contains(setup);
        let suites = |setup: &String| match self.gate.suites.as_slice() {
            [] => self.suites_of(setup).into_iter().map(|(name, _)| name.clone()).collect(),
            suites => suites.to_vec(),
        };
        self.setups.keys().filter(is_meant).map(|setup| (setup.clone(), suites(setup))).collect()
    }

    /// The rules for all suites.
    pub(crate) fn gate_of_all(&self) -> gate::Gate {
        let suites: Vec<(String, Suite)> =
            self.suites.iter().map(|(name, suite)| (name.clone(), suite.clone())).collect();
        self.gate_of(&suites)
    }

    /// What a night on these suites has to obey.
    pub(crate) fn gate_of(&self, suites: &[(String, Suite)]) -> gate::Gate {
        let config = &self.gate;
        let limits = suites.iter().filter_map(|(name, suite)| Some((name.clone(), suite.max_duration?)));
        let is_meant = |known: &&KnownFailure| suites.iter().any(|(name, _)| *name == known.suite);
        gate::Gate {
            known_failures: config.known_failures.iter().filter(is_meant).cloned().collect(),
            strict: config.strict,
            required: config.required.clone(),
            flaky: config.flaky,
            max_duration: limits.collect(),
        }
    }

    /// The setup that is meant: the named one, else the default, else the only one.
    pub(crate) fn setup<'a>(&'a self, name: Option<&'a str>) -> anyhow::Result<(&'a str, &'a Setup)> {
        let only = || if self.setups.len() == 1 { self.setups.keys().next().map(String::as_str) } else { None };
        let Some(name) = name.or(self.default_setup.as_deref()).or_else(only) else {
            let names: Vec<_> = self.setups.keys().map(|name| format!("`{name}`")).collect();
            let several = anyhow!("there are several setups ({}), and none was named", names.join(", "));
            return Err(several).hint("name one by `--setup`, or make one the `default_setup` of the config");
        };
        match self.setups.get_key_value(name) {
            Some((name, setup)) => Ok((name, setup)),
            None => bail!(self.unknown_setup(name)),
        }
    }

    /// The secrets, by their keys.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretRef)> {
        let vpn = &self.vpn;
        let secrets = [
            ("vpn.profile", &vpn.profile),
            ("vpn.username", &vpn.username),
            ("vpn.password", &vpn.password),
            ("vpn.key_passphrase", &vpn.key_passphrase),
            ("ssh.key", &self.ssh.key),
            ("history.password", &self.history.password),
        ];
        secrets.into_iter().filter_map(|(key, secret)| Some((key, secret.as_ref()?)))
    }

    /// The variables that hold secrets.
    pub(crate) fn secret_variables(&self) -> Vec<String> {
        self.secrets().filter_map(|(_, secret)| secret.variable()).map(str::to_owned).collect()
    }

    /// The suites of a setup, in order: those that it names, else all.
    pub(crate) fn suites_of<'a>(&'a self, setup: &str) -> Vec<(&'a String, &'a Suite)> {
        let named = self.setups.get(setup).map(|setup| setup.suites.as_slice()).unwrap_or_default();
        if named.is_empty() {
            return self.suites.iter().collect();
        }
        named.iter().filter_map(|name| self.suites.get_key_value(name)).collect()
    }

    /// A suite by its name.
    pub(crate) fn suite(&self, name: &str) -> anyhow::Result<&Suite> {
        self.suites.get(name).ok_or_else(|| anyhow!(self.unknown_suite(name)))
    }
}

fn check_suite(name: &str, suite: &Suite) -> Result<(), (KeyPath, String)> {
    let way = |key| KeyPath::value(&["suites", name, key]);
    if !is_plain_name(name) {
        let problem = format!("the suite name `{name}` must be letters, digits, `.`, `-` and `_`");
        return Err((KeyPath::name(&["suites", name]), problem));
    }
    if let Some(limit) = suite.max_packet_loss.filter(|limit| !words::is_percentage(limit)) {
        return Err((way("max_packet_loss"), format!("`{limit}` is not a percentage from 0 to 100")));
    }
    if suite.retries > MOST_RETRIES {
        return Err((way("retries"), format!("more than {MOST_RETRIES} retries tell nothing new")));
    }
    let limits = suite.max_duration.map(|limits| [("suite", limits.suite), ("case", limits.case)]);
    for (key, limit) in limits.into_iter().flatten() {
        if let Some(limit) = limit.filter(|limit| !(1.0..=1000.0).contains(limit)) {
            let problem = format!("`{limit}` is not a multiple from 1 to 1000 of what is usual");
            return Err((way("max_duration").key(key), problem));
        }
    }
    for (key, file) in [("list", Some(&suite.list)), ("params", suite.params.as_ref())] {
        if let Some(file) = file.filter(|file| !is_plain_name(file)) {
            return Err((way(key), format!("`{file}` is not a bare file name")));
        }
    }
    Ok(())
}

/// Lets a section that may be left out be empty too: in the example most are, until a key in them is set.
fn with_empty_sections(schema: &mut schemars::Schema) {
    let required = schema.get("required").and_then(|names| names.as_array()).cloned().unwrap_or_default();
    let Some(properties) = schema.get_mut("properties").and_then(|properties| properties.as_object_mut()) else {
        return;
    };
    for (_, section) in properties.iter_mut().filter(|(name, _)| !required.contains(&name.as_str().into())) {
        if section.get("$ref").or(section.get("allOf")).is_some() {
            *section = serde_json::json!({"anyOf": [section.take(), {"type": "null"}]});
        }
    }
}

/// Whether a program that fetches files can take it for nothing but an address.
fn is_web_address(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
        && url::Url::parse(text).is_ok_and(|url| url.has_host())
        && !text.contains(|char: char| char.is_whitespace() || char.is_control())
}

/// Whether a name can be a folder's and can stand in a command without a second thought.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '.'])
        && name.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
}
