//! What this night will do, decided before anything is touched.
//!
//! A plan is complete: the hosts, what release is wanted (not yet which), the suites, in order, with all secrets read. What
//! can be refused is refused here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::cli::{self, Kind};
use crate::config::{
    Address, Agw, Collect, Config, Feg, Lock, Ng40, ReleasePolicy, Setup, Ssh, Suite, Verify, VpnKind, format_duration,
    unknown,
};
use crate::error::{self, Hint as _};
use crate::event::{self, PlannedSuite, Problem, Step};
use crate::gate::{Gate, Required};
use crate::history::Nights;
use crate::memory::Memory;
use crate::release::Wanted;
use crate::secret::{Redactor, Secret, SecretError, SecretRef};
use crate::summary::Summary;
use crate::version::VERSION;
use crate::{history, vpn};

/// Where the lab is and how it is reached: what every command needs that goes there.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) setup: String,
    pub(crate) vpn: Option<vpn::Settings>,
    pub(crate) ssh: Ssh,
    pub(crate) ssh_key: Option<Secret>,
    pub(crate) lock: Lock,
    pub(crate) agw: Agw,
    pub(crate) feg: Feg,
    pub(crate) ng40: Ng40,
    /// Of how many releases a gateway keeps what was downloaded.
    pub(crate) keep: u32,
    pub(crate) hosts: Vec<PlannedHost>,
    /// How long a dropped connection is waited for.
    pub(crate) outage: Duration,
    /// Whether what programs print is shown (`-v`).
    pub(crate) is_verbose: bool,
    pub(crate) redactor: Redactor,
}

/// A host of the setup, by the name under which it is reported.
#[derive(Debug, Clone)]
pub(crate) struct PlannedHost {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) address: Address,
    pub(crate) user: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Agw,
    Feg,
    Ng40,
}

/// One night.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) lab: Lab,
    pub(crate) run: String,
    pub(crate) command: &'static str,
    pub(crate) url: Option<String>,
    pub(crate) deadline: Duration,
    /// For how long somebody else may keep the testbed.
    pub(crate) wait: Duration,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) verify: Verify,
    pub(crate) suites: Vec<(String, Suite)>,
    pub(crate) gate: Gate,
    /// The address of the commits between two releases.
    pub(crate) compare: Option<String>,
    pub(crate) collect: Collect,
    pub(crate) results: PathBuf,
    /// Where the night is kept once it has ended.
    pub(crate) history: history::Place,
}

/// What the gateways shall run.
#[derive(Debug, Clone)]
pub(crate) struct Upgrade {
    pub(crate) wanted: Wanted,
    pub(crate) is_forced: bool,
    pub(crate) agw: bool,
    pub(crate) feg: bool,
    pub(crate) policy: ReleasePolicy,
}

impl PlannedHost {
    /// The host of this name in the chosen setup. It is known without any secret.
    pub(crate) fn named(config: &Config, global: &cli::Global, name: &str) -> anyhow::Result<PlannedHost> {
        let (_, setup) = config.setup(global.setup.as_deref())?;
        let hosts = hosts(config, setup);
        let found = hosts.iter().find(|host| host.name == name).cloned();
        found.with_context(|| unknown("host", name, hosts.iter().map(|host| host.name.as_str())))
    }
}

/// The hosts of a setup, in its order.
fn hosts(config: &Config, setup: &Setup) -> Vec<PlannedHost> {
    let host = |name: String, role, address: &Address, user: &String| PlannedHost {
        name,
        role,
        address: address.clone(),
        user: address.user.as_ref().unwrap_or(user).clone(),
    };
    let agw = host("agw".to_owned(), Role::Agw, &setup.agw, &config.agw.user);
    let fegs = setup.feg.iter().zip(1..);
    let fegs = fegs.map(|(feg, number)| host(format!("feg{number}"), Role::Feg, feg, &config.feg.user));
    let ng40 = host("ng40".to_owned(), Role::Ng40, &setup.ng40, &config.ng40.user);
    [agw].into_iter().chain(fegs).chain([ng40]).collect()
}

impl Lab {
    /// Reads what the config says of the chosen setup, and every secret that it needs.
    pub(crate) fn new(config: &Config, global: &cli::Global, reach: &cli::Reach) -> anyhow::Result<Lab> {
        let (name, setup) = config.setup(global.setup.as_deref())?;
        let has_tunnel = config.vpn.kind == VpnKind::Openvpn && !reach.no_vpn;
        let mut secrets = read_all(config.secrets().filter(|(key, _)| match key.split_once('.') {
            Some(("vpn", _)) => has_tunnel,
            Some(("ssh", _)) => true,
            _ => false,
        }))?;
        let redactor = Redactor::process();
        let profile = secrets.remove("vpn.profile");
        let mut secret = |key| {
            let secret = secrets.remove(key);
            secret.iter().for_each(|secret| redactor.learn(secret));
            secret
        };

        let hosts = hosts(config, setup);
        let vpn = match (&config.vpn.profile, profile) {
            (Some(of), Some(profile)) => {
                redactor.learn_profile(&profile);
                let credentials = vpn::Credentials {
                    username: secret("vpn.username"),
                    password: secret("vpn.password"),
                    key_passphrase: secret("vpn.key_passphrase"),
                };
                Some(vpn::Settings {
                    profile: vpn::prepare(&profile, &of.name(), credentials)?,
                    connect_timeout: config.vpn.connect_timeout,
                    outage: config.vpn.outage,
                    routes: config.vpn.routes.clone(),
                    hosts: hosts.iter().map(|host| (host.name.clone(), host.address.host.clone())).collect(),
                })
            }
            _ => None,
        };
        let ssh_key = secret("ssh.key");
        if !config.ssh.known_hosts.is_file() {
            let path = config.ssh.known_hosts.display();
            return Err(anyhow!("the file of known host keys `{path}` (`ssh.known_hosts`) is not there")).hint(
                "make an empty one: `teravm-ci check` then shows each host's key, to be compared, and the line to add",
            );
        }
        Ok(Lab {
            setup: name.to_owned(),
            vpn,
            ssh: config.ssh.clone(),
            ssh_key,
            lock: config.lock.clone(),
            agw: config.agw.clone(),
            feg: config.feg.clone(),
            keep: config.release.keep,
            ng40: config.ng40.clone(),
            hosts,
            outage: config.vpn.outage,
            is_verbose: global.verbose > 0,
            redactor,
        })
    }
}

/// Learns every secret that the config names and that can be read twice, whether this command needs it or not: what it prints may
/// hold any of them. Refuses a config one of whose names holds a secret, because what is decided with a name is shown too.
pub(crate) fn learn(config: &Config) -> anyhow::Result<()> {
    for (key, reference) in config.secrets() {
        // One that is missing is told by the command that needs it.
        let read = || if key == "vpn.profile" { reference.read_profile() } else { reference.read() };
        let Some(Ok(secret)) = reference.is_lasting().then(read) else { continue };
        let alone = Redactor::default();
        for redactor in [&alone, &Redactor::process()] {
            if key == "vpn.profile" {
                redactor.learn_profile(&secret);
            } else {
                redactor.learn(&secret);
            }
        }
        if let Some((place, name)) = names(config).into_iter().find(|(_, name)| alone.finds(name)) {
            let (shown, source) = (alone.text(&name), reference.name());
            return Err(anyhow!("the name `{shown}` (`{place}`) holds the secret `{key}` ({source})"))
                .hint("a name is shown, and decides what counts: choose another name, or another secret");
        }
    }
    Ok(())
}

/// What a config names: each with its place. What a run decides with is one of these, or comes from a host.
fn names(config: &Config) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let mut add = |place: &str, name: &str| names.push((place.to_owned(), name.to_owned()));
    for (setup, hosts) in &config.setups {
        add("setups", setup);
        hosts.suites.iter().for_each(|suite| add("setups.suites", suite));
    }
    for (suite, settings) in &config.suites {
        add("suites", suite);
        add("suites.list", &settings.list);
    }
    for known in &config.gate.known_failures {
        add("gate.known_failures.suite", &known.suite);
        add("gate.known_failures.case", &known.case.to_string());
    }
    if let Required::Named(suites) = &config.gate.required {
        for (suite, cases) in suites {
            add("gate.required", suite);
            cases.iter().for_each(|case| add("gate.required", case));
        }
    }
    config.gate.suites.iter().for_each(|suite| add("gate.suites", suite));
    config.gate.setups.iter().for_each(|setup| add("gate.setups", setup));
    config.default_setup.iter().for_each(|setup| add("default_setup", setup));
    config.feg.images.iter().for_each(|image| add("feg.images", image));
    config.feg.services.iter().for_each(|service| add("feg.services", service));
    add("feg.tag", &config.feg.tag);
    add("agw.package", &config.agw.package);
    config.agw.units.iter().for_each(|unit| add("agw.units", unit));
    names
}

/// Reads secrets, each by its key in the config. Whoever sets them up is told at once of all that are missing.
fn read_all<'a>(
    wanted: impl Iterator<Item = (&'static str, &'a SecretRef)>,
) -> anyhow::Result<BTreeMap<&'static str, Secret>> {
    let mut secrets = BTreeMap::new();
    let mut missing: Vec<(&str, SecretError)> = Vec::new();
    for (key, secret) in wanted {
        match if key == "vpn.profile" { secret.read_profile() } else { secret.read() } {
            Ok(secret) => drop(secrets.insert(key, secret)),
            Err(error) => missing.push((key, error)),
        }
    }
    match missing.len() {
        0 => Ok(secrets),
        1 => {
            let (key, error) = missing.remove(0);
            let error = Err(error.hinted()).with_context(|| format!("`{key}` cannot be had"));
            match key {
                "ssh.key" => error.hint("without it your agent's keys are used, and those in your `~/.ssh`"),
                _ => error,
            }
        }
        count => {
            let reasons = missing.iter().map(|(key, error)| format!("`{key}`: {}", error::told(error).join(": ")));
            let reasons = anyhow!(reasons.collect::<Vec<_>>().join("\n"));
            Err(reasons).with_context(|| format!("{count} secrets cannot be had")).hint(missing[0].1.hint())
        }
    }
}

impl Lab {
    /// The one host of this role, of which every setup has one.
    pub(crate) fn only(&self, role: Role) -> &PlannedHost {
        self.hosts.iter().find(|host| host.role == role).expect("every setup has an AGW and an NG40")
    }
}

impl Plan {
    pub(crate) fn run(config: &Config, global: &cli::Global, args: &cli::RunArgs) -> anyhow::Result<Plan> {
        let upgrade = if args.no_upgrade {
            None
        } else {
            Some(Upgrade {
                wanted: args.change.tag.clone(),
                is_forced: args.change.force,
                agw: args.only != Some(Kind::Feg),
                feg: args.only != Some(Kind::Agw),
                policy: config.release.clone(),
            })
        };
        Plan::new("run", config, global, &args.night, upgrade, Some(&args.suites))
    }

    pub(crate) fn upgrade(config: &Config, global: &cli::Global, args: &cli::UpgradeArgs) -> anyhow::Result<Plan> {
        let upgrade = Upgrade {
            wanted: args.change.tag.clone(),
            is_forced: args.change.force,
            agw: args.kinds.is_empty() || args.kinds.contains(&Kind::Agw),
            feg: args.kinds.is_empty() || args.kinds.contains(&Kind::Feg),
            policy: config.release.clone(),
        };
        Plan::new("upgrade", config, global, &args.night, Some(upgrade), None)
    }

    pub(crate) fn test(config: &Config, global: &cli::Global, args: &cli::TestArgs) -> anyhow::Result<Plan> {
        let named = if args.failed { not_green(config, global)? } else { args.suites.clone() };
        Plan::new("test", config, global, &args.night, None, Some(&named))
    }

    fn new(
        command: &'static str,
        config: &Config,
        global: &cli::Global,
        night: &cli::Night,
        upgrade: Option<Upgrade>,
        named: Option<&[String]>,
    ) -> anyhow::Result<Plan> {
        let (name, setup) = config.setup(global.setup.as_deref())?;
        let mut suites: Vec<(String, Suite)> = Vec::new();
        if let Some(named) = named {
            let meant: Vec<&str> = match named {
                [] => config.suites_of(name).into_iter().map(|(name, _)| name.as_str()).collect(),
                named => named.iter().map(String::as_str).collect(),
            };
            for name in meant {
                let suite = config.suite(name)?;
                if !suites.iter().any(|(known, _)| known == name) {
                    suites.push((name.to_owned(), suite.clone()));
                }
            }
            if suites.is_empty() {
                return Err(anyhow!("there is no suite to run: `suites` in `{}` is empty", global.config.display()))
                    .hint("name a test list there; `teravm-ci upgrade` runs none");
            }
        }
        if let Some(upgrade) = &upgrade
            && !upgrade.agw
            && setup.feg.is_empty()
        {
            return Err(anyhow!("there is nothing to upgrade: the setup `{name}` has no FEG"))
                .hint("name another setup by `--setup`, or upgrade its AGW");
        }
        let wait = night.wait.unwrap_or(Duration::ZERO);
        if wait >= config.run.deadline {
            let (wait, deadline) = (format_duration(wait), format_duration(config.run.deadline));
            return Err(anyhow!("the night ends after {deadline} (`run.deadline`), and `--wait` is {wait}"))
                .hint("wait for less; the night's work needs its time too");
        }
        let lab = Lab::new(config, global, &night.reach)?;
        Ok(Plan {
            run: run_name(),
            command,
            url: std::env::var("CIRCLE_BUILD_URL").ok().filter(|url| !url.is_empty()),
            deadline: config.run.deadline,
            wait,
            upgrade,
            verify: config.verify.clone(),
            gate: config.gate_of(&suites),
            compare: config.links.compare.clone(),
            suites,
            collect: config.collect.clone(),
            results: global.results.clone(),
            history: history::Place::new(&config.history, &lab.redactor)?,
            lab,
        })
    }

    /// What the nights before say of this one, and these nights themselves; none where they cannot be asked.
    pub(crate) async fn recall(&self) -> (Result<Option<Memory>, Problem>, Nights) {
        let suites: Vec<String> = self.suites.iter().map(|(name, _)| name.clone()).collect();
        let recalled = self.history.recall(&self.lab.setup, &suites).await;
        if suites.is_empty() {
            // Of an upgrade no more is asked than what it usually takes.
            return (Ok(recalled.ok().map(|(memory, _)| memory)), Nights::default());
        }
        match recalled {
            Ok((memory, nights)) => (Ok(Some(memory)), nights),
            Err(problem) => (Err(problem), Nights::default()),
        }
    }

    /// The gateways that this night upgrades.
    pub(crate) fn gateways(&self) -> Vec<&PlannedHost> {
        let Some(upgrade) = &self.upgrade else { return Vec::new() };
        let is_meant = |role| match role {
            Role::Agw => upgrade.agw,
            Role::Feg => upgrade.feg,
            Role::Ng40 => false,
        };
        self.lab.hosts.iter().filter(|host| is_meant(host.role)).collect()
    }

    /// The steps of this night, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::Connect, Step::Lock, Step::Recover];
        if self.upgrade.is_some() {
            steps.extend([Step::Resolve, Step::Prepare, Step::Activate, Step::Verify]);
        }
        if !self.suites.is_empty() {
            steps.push(Step::Test);
        }
        steps.extend([Step::Collect, Step::Unlock, Step::Disconnect]);
        steps
    }

    /// What the reporters hear first.
    pub(crate) fn night(&self) -> event::Night {
        event::Night {
            format: event::FORMAT,
            run: self.run.clone(),
            program: VERSION.to_owned(),
            command: self.command.to_owned(),
            setup: Some(self.lab.setup.clone()),
            url: self.url.as_ref().map(Into::into),
            wanted: self.upgrade.as_ref().map(|upgrade| upgrade.wanted.to_string().into()),
            gateways: self.gateways().iter().map(|host| host.name.clone()).collect(),
            suites: self
                .suites
                .iter()
                .map(|(name, suite)| PlannedSuite { suite: name.clone(), list: suite.list.clone() })
                .collect(),
            steps: self.steps(),
            tag: Some(self.lab.feg.tag.clone()),
            gate: self.gate.redacted(),
            compare: self.compare.as_ref().map(Into::into),
        }
    }
}

/// The suites that were not green in the last run on the setup that is meant, by the reports that are there.
fn not_green(config: &Config, global: &cli::Global) -> anyhow::Result<Vec<String>> {
    let (meant, _) = config.setup(global.setup.as_deref())?;
    let path = global.results.join("run.json");
    let elsewhere = "`--results` names the folder of another run; `teravm-ci test SUITE` runs a suite whatever it was";
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("there is no last run: `{}` cannot be read", path.display()))
        .hint(elsewhere)?;
    let last: Summary =
        serde_json::from_str(&text).with_context(|| format!("`{}` tells of no run", path.display())).hint(elsewhere)?;
    let night = last.night.as_ref().with_context(|| format!("`{}` tells of no run", path.display())).hint(elsewhere)?;
    match &night.setup {
        None => return Err(anyhow!("the last run was `{}`, of files and on no setup", night.command)).hint(elsewhere),
        Some(setup) if setup != meant => {
            return Err(anyhow!("the last run was on `{setup}`, and not on `{meant}`")).hint(elsewhere);
        }
        Some(_) if night.suites.is_empty() => {
            return Err(anyhow!("the last run was `{}`, which runs no suite", night.command)).hint(elsewhere);
        }
        Some(_) => {}
    }
    let bad: Vec<String> = last.judged().filter(|suite| !suite.is_green()).map(|suite| suite.suite.clone()).collect();
    if bad.is_empty() {
        return Err(anyhow!("every suite of the last run was green, so there is nothing to run again")).hint(elsewhere);
    }
    Ok(bad)
}

/// A name that sorts by time and is not given twice: `20261122T231548-9f3a`.
pub(crate) fn run_name() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let now = time::OffsetDateTime::now_utc();
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]");
    // The standard library's hasher is seeded by the system, anew for each.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{}-{:04x}", now.format(&format).expect("the format has only fields of a date"), random & 0xffff)
}
