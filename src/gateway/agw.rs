//! The access gateway: Debian packages and systemd units, upgraded by apt.
//!
//! Knows apt, dpkg and systemctl as they print; the order in which gateways are prepared and switched is not its business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::foreign_messages::{APT as MESSAGES, SYSTEM, Seen, class_of, packages_of_install, seen_in};
use super::host_state::{self, Fact, Kind, lacks_of_room, parse_facts};
use super::{BACKUP, Found, Ground, Health, NEXT, Target, Trouble, Unit};
use crate::cause;
use crate::config::{self, Conffiles};
use crate::event::{Class, Problem, Step};
use crate::release::{Policy, parse_policy};
use crate::remote::quote;

/// What apt needs to know to run without a person, and to wait for whoever has dpkg's lock (apt 1.9.11 and later).
const APT: &str = "apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120";
const ENVIRONMENT: &str = "export DEBIAN_FRONTEND=noninteractive LC_ALL=C NEEDRESTART_MODE=l\n";

/// Where the packages go.
pub(super) const FOLDER: &str = "/var/cache/apt/archives";

/// What an AGW ran before the night: enough to bring it back and to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgwFound {
    /// Package name and version; the packages that the night changes.
    pub(crate) packages: BTreeMap<String, String>,
    /// Those of them that were there and not whole: half installed, or not configured.
    #[serde(default)]
    pub(crate) broken: BTreeSet<String>,
    pub(crate) health: Health,
}

#[derive(Debug)]
pub(crate) struct Agw {
    pub(super) ground: Ground,
    pub(super) config: config::Agw,
}

impl Agw {
    pub(crate) fn name(&self) -> &str {
        &self.ground.name
    }

    fn packages(&self) -> [&str; 2] {
        [&self.config.package, &self.config.sctpd_package]
    }

    /// Asks which packages are installed and how the units are.
    pub(super) async fn found(&self, step: Step) -> Result<AgwFound, Problem> {
        let text = self.ground.ask(step, "read what the gateway runs", &self.found_script()).await?;
        Ok(Agw::parse_found(&text))
    }

    /// Reads the answer to `found_script`.
    pub(super) fn parse_found(text: &str) -> AgwFound {
        let (packages, units) = text.split_once("---\n").unwrap_or((text, ""));
        let (packages, broken) = parse_packages(packages);
        AgwFound { packages, broken, health: parse_units(units) }
    }

    pub(super) fn found_script(&self) -> String {
        format!(
            "export LC_ALL=C\n\
             dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}} ${{Version}}\\n' {packages} 2>/dev/null\n\
             echo ---\n\
             systemctl show -p Id,ActiveState,MainPID,NRestarts -- {pattern} {units} 2>/dev/null\n\
             exit 0",
            packages = self.packages().map(quote).join(" "),
            pattern = quote(&self.config.unit_pattern),
            units = self.units().iter().map(|unit| quote(unit)).collect::<Vec<_>>().join(" "),
        )
    }

    /// The units that are looked at whether or not they run: those the config requires and restarts.
    fn units(&self) -> Vec<String> {
        let mut units: Vec<String> = self.config.units.iter().chain(&self.config.restart).cloned().collect();
        units.sort();
        units.dedup();
        units
    }

    pub(super) fn release_of(&self, found: &AgwFound) -> Option<String> {
        found.packages.get(&self.config.package).cloned()
    }

    /// Refreshes apt's lists and returns what can be had of `magma` and of `magma-sctpd`. Of a gateway that is only looked at the lists
    /// in use stay as they are.
    ///
    /// apt's exit status proves nothing: with an unreachable repository, apt 2.6.1 prints `W: Failed to fetch …` and returns
    /// 0, and then answers from old lists. What counts is whether apt said that it read the repository that offers the package.
    pub(crate) async fn candidates(&self) -> Result<(Policy, Policy), Problem> {
        let update = include_str!("refresh.sh");
        let script = |lists: &str| {
            format!(
                "{ENVIRONMENT}{lists}options=\"$options -o DPkg::Lock::Timeout=120\"\n{update}echo ---\n\
                 apt-cache $options policy {}\necho ---\napt-cache $options policy {}",
                quote(&self.config.package),
                quote(&self.config.sctpd_package)
            )
        };
        let in_use = script("options=\n");
        let aside = script(
            "lists=$(mktemp -d)\ntrap 'rm -rf \"$lists\"' EXIT\ntrap 'exit 143' TERM\nchmod 755 \"$lists\"\n\
             options=\"-o Dir::State::lists=$lists -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=\"\n",
        );
        let deadline = Duration::from_secs(300);
        let output = self.ground.change_or_lay_aside(Step::Resolve, &in_use, &aside, deadline).await?;
        let text = output.text();
        let mut parts = text.split("---\n");
        let mut next = || parts.next().unwrap_or_default();
        let (said, magma, sctpd) = (next(), parse_policy(next()), parse_policy(next()));
        if output.status != 0 {
            let why = cause::said(&super::all_said(&output), 5);
            return Err(Trouble::AptUnasked.on(&self.ground.name).because(why));
        }
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            self.ground.output(Step::Resolve, line);
        }
        let origins: Vec<&str> = magma.origins.iter().chain(&sctpd.origins).map(String::as_str).collect();
        let reading = judge(said, &origins);
        for line in reading.others {
            self.ground.warn(Step::Resolve, format!("another package source could not be read: {line}"));
        }
        if !reading.unread.is_empty() {
            return Err(Trouble::RepositoryUnread.on(&self.ground.name).because(reading.unread.join("\n")));
        }
        Ok((magma, sctpd))
    }

    /// The packages and versions that the release means, as apt wants them named.
    fn wanted(&self, target: &Target) -> Vec<(String, String)> {
        let mut wanted = vec![(self.config.package.clone(), target.release.version().to_owned())];
        if let Some(sctpd) = &target.sctpd {
            wanted.push((self.config.sctpd_package.clone(), sctpd.clone()));
        }
        wanted
    }

    fn install(&self, target: &Target) -> String {
        let names: Vec<String> =
            self.wanted(target).iter().map(|(name, version)| quote(&format!("{name}={version}"))).collect();
        let reinstall = if target.is_forced { "--reinstall " } else { "" };
        let conffiles = match self.config.conffiles {
            Conffiles::New => "--force-confnew",
            Conffiles::Keep => "--force-confold",
        };
        format!(
            "--allow-downgrades --no-remove {reinstall}-o Dpkg::Options::={conffiles} \
             -o Dpkg::Options::=--force-overwrite install {}",
            names.join(" ")
        )
    }

    /// Whether the packages of the release are what is installed.
    pub(super) fn is_there(&self, target: &Target, found: &AgwFound) -> bool {
        !target.is_forced && self.is_target(found, found, target).is_ok()
    }

    /// What of the host would make any upgrade fail.
    async fn obstacles(&self, step: Step) -> Result<Vec<Fact>, Problem> {
        let text = self.ground.ask_root(step, "read the state of its packages", &self.state_script()).await?;
        Ok(parse_facts(&text))
    }

    fn state_script(&self) -> String {
        let packages = self.packages().map(quote).join(" ");
        format!("set -- {packages}\n{}", host_state::BEFORE)
    }

    /// Refuses a host on which the upgrade would fail, whatever the release. A held package is in the way only where it is to change.
    fn has_no_obstacle(&self, facts: Vec<Fact>, target: &Target, found: &AgwFound) -> Result<(), Problem> {
        let is_changed = |name: &str| {
            self.wanted(target)
                .iter()
                .any(|(wanted, version)| wanted == name && found.packages.get(name) != Some(version))
        };
        let in_the_way = facts.into_iter().filter(|fact| fact.kind != Kind::Held || is_changed(&fact.text));
        self.refuse(&in_the_way.collect::<Vec<_>>())
    }

    fn refuse(&self, facts: &[Fact]) -> Result<(), Problem> {
        let Some(first) = facts.first() else { return Ok(()) };
        let causes: Vec<String> = facts.iter().map(Fact::cause).collect();
        let hint = format!("{}; nothing was touched", first.hint());
        Err(Trouble::NotUpgradable.on(&self.ground.name).because(causes.join("\n")).hint(hint))
    }

    /// Whose fault it is that apt or dpkg failed, by what they said.
    pub(super) fn class_of(&self, said: &str) -> Class {
        let brought = packages_of_install(said);
        let own = |name: &str| self.packages().contains(&name) || brought.contains(&name);
        class_of(&seen_in(said, &[SYSTEM, MESSAGES]), &own)
    }

    /// Downloads the packages and secures the way back. Touches no service.
    pub(super) async fn secure(&self, target: &Target, found: &AgwFound) -> Result<(), Problem> {
        let step = Step::Prepare;
        self.ground.room(step, FOLDER).await?;
        self.ground.room(step, "/var/lib").await?;
        self.has_no_obstacle(self.obstacles(step).await?, target, found)?;
        for package in self.packages() {
            if found.broken.contains(package) {
                self.ground.warn(step, format!("`{package}` is not properly installed: there is no way back for it"));
            } else if !found.packages.contains_key(package) {
                self.ground.warn(step, format!("`{package}` is not installed"));
            }
        }
        let [simulate, download, room, way_back] = self.prepare_scripts(target, found);
        let (release, gateway) = (target.release.version(), &self.ground.name);
        let told = |problem: Problem, said: &str| match hint_for(&seen_in(said, &[SYSTEM, MESSAGES])) {
            Some(hint) => problem.hint(format!("{hint}; nothing was touched")),
            None => problem,
        };
        let impossible = |said: &str, why: String| {
            told(Trouble::Uninstallable { release, class: self.class_of(said) }.on(gateway).because(why), said)
        };
        let not_fetched = |said: &str, why: String| {
            told(Trouble::Unfetched { release, class: self.class_of(said) }.on(gateway).because(why), said)
        };
        self.ground.must_root_judged(step, &simulate, self.config.prepare_timeout, impossible).await?;
        self.ground.must_root_judged(step, &download, self.config.prepare_timeout, not_fetched).await?;
        let no_way_back = |said: String| Trouble::NoWayBack.on(gateway).because(said);
        let room = self.ground.must_root(step, &room, self.config.prepare_timeout, no_way_back).await?;
        self.refuse(&lacks_of_room(&room.text()))?;
        self.ground.must_root(step, &way_back, self.config.prepare_timeout, no_way_back).await.map(drop)
    }

    /// What `prepare` does on the host: asks apt what it would do, downloads it, looks for the room that it needs, then secures the
    /// way back from it.
    fn prepare_scripts(&self, target: &Target, found: &AgwFound) -> [String; 4] {
        let install = self.install(target);
        let simulate = format!(
            "{ENVIRONMENT}set -eu\numask 077\nrm -rf {BACKUP} {NEXT}\nmkdir -p {BACKUP}/packages\n\
             {APT} --simulate {install} > {BACKUP}/simulated 2>&1 || {{ cat {BACKUP}/simulated; exit 1; }}\n\
             grep '^Inst ' {BACKUP}/simulated || true"
        );
        let download = format!("{ENVIRONMENT}{APT} --download-only {install} 2>&1");
        let room =
            format!("set -eu\ncd {BACKUP}/packages\n{}", include_str!("room_for_packages.sh").replace("CACHE", FOLDER));
        [simulate, download, room, self.way_back_script(found)]
    }

    /// Keeps the packages that the switch replaces (from apt's cache, from the repository, or made from what is installed), their
    /// conffiles, and what else it overwrites.
    fn way_back_script(&self, found: &AgwFound) -> String {
        let mut script = format!(
            "{ENVIRONMENT}set -eu\numask 077\ncd {BACKUP}/packages\n{}\n: > ../ours\n",
            include_str!("keep_package.sh")
        );
        for (name, version) in &found.packages {
            script.push_str(&format!("printf '%s\\n' {} >> ../ours\n", quote(&format!("{name} {version}"))));
        }
        script.push_str(&include_str!("way_back.sh").replace("CACHE", FOLDER));
        script
    }

    /// The switch itself: what the job on the host does.
    pub(super) fn activate_script(&self, target: &Target) -> String {
        let ucf = match self.config.conffiles {
            Conffiles::New => "export UCF_FORCE_CONFFNEW=1\n",
            Conffiles::Keep => "export UCF_FORCE_CONFFOLD=1\n",
        };
        let mut script = format!(
            "{ENVIRONMENT}{ucf}set -eu\n{APT} --no-download {}\nsystemctl daemon-reload\n",
            self.install(target)
        );
        for unit in &self.config.restart {
            script.push_str(&format!("systemctl restart {}\n", quote(unit)));
        }
        script
    }

    /// What brings the gateway back to `found`, from what was kept.
    pub(super) fn restore_script(&self, found: &AgwFound) -> String {
        let running: Vec<String> =
            found.health.units.iter().filter(|(_, unit)| unit.is_up).map(|(name, _)| quote(name)).collect();
        let mut script = format!(
            "{ENVIRONMENT}export UCF_FORCE_CONFFOLD=1\n{}",
            include_str!("go_back.sh").replace("BACKUP", BACKUP).replace("APT", APT)
        );
        // A unit that the release brought and started has no code that it fits any more.
        let known: Vec<String> = found.health.units.keys().map(|name| quote(name)).collect();
        script.push_str(&format!(
            "systemctl show -p Id -- {pattern} 2>/dev/null | sed -n 's/^Id=//p' | while read -r unit; do\n    \
             printf '%s\\n' {known} | grep -qxF -- \"$unit\" || {{ echo \"$unit came with the release and goes\"; systemctl disable --now \"$unit\"; }}\n\
             done\n",
            pattern = quote(&self.config.unit_pattern),
            known = known.join(" "),
        ));
        for unit in &self.config.restart {
            script.push_str(&format!("systemctl restart {}\n", quote(unit)));
        }
        if !running.is_empty() {
            // The package's own start came before the last conffile was back.
            let names = running.join(" ");
            script
                .push_str(&format!("systemctl reset-failed {names} 2>/dev/null || true\nsystemctl restart {names}\n"));
        }
        script.push_str("exit 0\n");
        script
    }

    /// Whether the gateway runs what it shall: the packages, and every unit that must be up.
    pub(super) fn is_target(&self, now: &AgwFound, before: &AgwFound, target: &Target) -> Result<(), String> {
        for (name, version) in self.wanted(target) {
            match now.packages.get(&name) {
                Some(installed) if *installed == version => {}
                Some(installed) => return Err(format!("`{name}` is at {installed} and not at {version}")),
                None => return Err(format!("`{name}` is not properly installed")),
            }
        }
        self.is_healthy(now, before)
    }

    /// Whether every unit is up that the config requires or that was up before.
    pub(super) fn is_healthy(&self, now: &AgwFound, before: &AgwFound) -> Result<(), String> {
        now.health.has(self.required().into_iter().chain(before.health.running().map(str::to_owned)))
    }

    pub(super) fn required(&self) -> BTreeSet<String> {
        self.config.units.iter().map(|unit| unit_name(unit)).collect()
    }

    /// Whether it is again what it was; what was down before may be down now. Of a package that was not whole it cannot be
    /// known.
    pub(super) fn is_as_before(&self, now: &AgwFound, before: &AgwFound) -> Result<(), String> {
        if let Some(name) = before.broken.first() {
            return Err(format!("`{name}` was not properly installed before"));
        }
        if !before.packages.contains_key(&self.config.package) {
            return Err(format!("`{}` was not installed before", self.config.package));
        }
        for (name, version) in &before.packages {
            if now.packages.get(name) != Some(version) {
                let now = now.packages.get(name).map_or("not properly installed", String::as_str);
                return Err(format!("`{name}` is {now} and was {version}"));
            }
        }
        now.health.has(before.health.running().map(str::to_owned))
    }

    /// What says whether the packages and their files are as they were before the switch.
    pub(super) fn as_before_script() -> String {
        include_str!("as_before.sh").replace("BACKUP", BACKUP)
    }

    /// What the failing units wrote last, for the report.
    pub(super) fn last_words_script(&self) -> String {
        format!("journalctl -q --no-pager -n 15 -o cat -u {} -u 'sctpd*' 2>&1", quote(&self.config.unit_pattern))
    }

    /// The difference between the conffiles before and now, as `diff -u` has it.
    ///
    /// What was kept more than `since` seconds ago belongs to another night.
    pub(super) fn conffile_difference_script(since: &str) -> String {
        format!(
            "set -eu\nold=$(mktemp -d)\ntrap 'rm -rf \"$old\"' EXIT\ntrap 'exit 143' TERM\n\
             [ -n \"$(find {BACKUP}/conffiles.tar -newermt '-{since} seconds' 2>/dev/null)\" ] || exit 0\n\
             tar -C \"$old\" -xf {BACKUP}/conffiles.tar\n\
             while read -r file; do diff -u --label \"before/$file\" --label \"after/$file\" \"$old/$file\" \"/$file\" || true; done < {BACKUP}/conffiles"
        )
    }

    /// The journal of what matters here, `range` being options of `journalctl`.
    pub(super) fn journal_script(&self, range: &str) -> String {
        format!(
            "journalctl -q --no-pager -o short-iso {range} -u {} -u 'sctpd*' -u 'apt*' 2>&1",
            quote(&self.config.unit_pattern)
        )
    }
}

impl From<AgwFound> for Found {
    fn from(found: AgwFound) -> Self {
        Found::Agw(found)
    }
}

fn unit_name(unit: &str) -> String {
    if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") }
}

/// Reads `ii  magma 1.5.0-1613086398-abde7b90` lines: what is installed, and what is there and not whole.
pub(super) fn parse_packages(text: &str) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let mut packages = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(state), Some(name)) = (words.next(), words.next()) else { continue };
        match (state, words.next()) {
            ("ii" | "hi", Some(version)) => drop(packages.insert(name.to_owned(), version.to_owned())),
            // Not installed, and removed but for its conffiles.
            (state, _) if matches!(state.as_bytes().get(1), Some(b'n' | b'c')) => {}
            _ => drop(broken.insert(name.to_owned())),
        }
    }
    (packages, broken)
}

/// Reads the blocks of `systemctl show -p Id,ActiveState,MainPID,NRestarts`.
pub(super) fn parse_units(text: &str) -> Health {
    let mut units = BTreeMap::new();
    for block in text.split("\n\n") {
        let value = |key: &str| {
            block.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
        };
        let name = value("Id");
        if !name.is_empty() {
            units.insert(
                name.to_owned(),
                Unit {
                    state: value("ActiveState").to_owned(),
                    is_up: value("ActiveState") == "active",
                    // A start gives a new process, a restart by systemd counts up.
                    mark: format!("pid {} restarts {}", value("MainPID"), value("NRestarts")),
                },
            );
        }
    }
    Health::of(units)
}

/// What apt said of the repositories while it refreshed its lists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Why what is on offer is not known; empty when every repository that matters was read.
    pub(super) unread: Vec<String>,
    /// What went wrong with repositories that offer neither package.
    pub(super) others: Vec<String>,
}

/// Whether apt has read the repositories (`origins`) that offer the packages.
///
/// A complaint that names no address (`E: Could not get lock /var/lib/apt/lists/lock`) is about all of them. And silence is
/// not success: each has to be named in a line `Hit:` or `Get:`.
pub(super) fn judge(said: &str, origins: &[&str]) -> Reading {
    let is_of = |line: &str, origin: &str| line.split_whitespace().any(|word| is_below(word, origin));
    let (ours, others): (Vec<&str>, Vec<&str>) = apt_failures(said).into_iter().partition(|line| {
        let is_nameless = line.starts_with("E: ") && !line.contains("://");
        is_nameless || origins.is_empty() || origins.iter().any(|origin| is_of(line, origin))
    });
    let mut unread: Vec<String> = ours.into_iter().map(str::to_owned).collect();
    if unread.is_empty() {
        for origin in origins {
            let is_read = said.lines().any(|line| {
                let mut words = line.split_whitespace();
                let is_fetched = words.next().is_some_and(|word| word.starts_with("Hit:") || word.starts_with("Get:"));
                is_fetched && words.next().is_some_and(|address| is_below(address, origin))
            });
            if !is_read {
                unread.push(format!("apt did not say that it read {origin}"));
            }
        }
        let is_refused = said.lines().any(|line| line.strip_prefix("status ").is_some_and(|status| status != "0"));
        if is_refused && origins.is_empty() {
            unread.push(last_lines(said, 5));
        }
    }
    unread.dedup();
    Reading { unread, others: others.into_iter().map(str::to_owned).collect() }
}

/// Whether the address is the repository's or one below it. `http://host/magma2` is not below `http://host/magma`.
fn is_below(address: &str, origin: &str) -> bool {
    let address = address.trim_matches(|letter: char| matches!(letter, '\'' | '"' | '`' | ','));
    let rest = address.strip_prefix(origin.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What apt could not read: the lines that begin `Err:`, `E:` or `W: Failed to fetch`, each with what explains it.
///
/// `E: Some index files failed to download.` only counts up what the lines before it have said.
pub(super) fn apt_failures(said: &str) -> Vec<&str> {
    let signs =
        ["Err:", "E: ", "W: Failed to fetch", "W: GPG error", "W: An error occurred during the signature verification"];
    said.lines()
        .map(str::trim)
        .filter(|line| signs.iter().any(|sign| line.starts_with(sign)))
        .filter(|line| !line.starts_with("E: Some index files failed to download"))
        .collect()
}

/// What to try where apt or dpkg said something that is about the host.
fn hint_for(seen: &[Seen]) -> Option<&'static str> {
    use super::foreign_messages::Meaning;
    seen.iter().find_map(|seen| match seen.meaning {
        Meaning::Held => {
            Some("`apt-mark showhold` on the host lists the held packages, `apt-mark unhold` releases them")
        }
        Meaning::Interrupted => Some("run `dpkg --configure -a` on the host"),
        Meaning::BrokenBefore => Some("run `apt-get --fix-broken install` on the host"),
        Meaning::Locked => Some("another program has the lock of apt or dpkg; wait until it has ended, or stop it"),
        Meaning::DiskFull => Some("free some space on the host"),
        Meaning::ReadOnly | Meaning::DiskError => Some("look for disk errors in the host's kernel log"),
        _ => None,
    })
}

pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wholly_installed_is_installed() {
        let (packages, broken) = parse_packages(
            "ii  magma 1.8.0-1655110000-3f7c21ab\niF  magma-sctpd 1.8.0-1655110000-3f7c21ab\nun  other \nrc  old 1.0\niiR again 1.0\n",
        );
        assert_eq!(packages, BTreeMap::from([("magma".to_owned(), "1.8.0-1655110000-3f7c21ab".to_owned())]));
        assert_eq!(broken, BTreeSet::from(["again".to_owned(), "magma-sctpd".to_owned()]));
    }

    #[test]
    fn units_are_up_or_not_and_carry_the_mark_of_their_process() {
        let health = parse_units(
            "MainPID=812\nNRestarts=0\nId=magma@mme.service\nActiveState=active\n\nMainPID=0\nNRestarts=4\nId=magma@enodebd.service\nActiveState=failed\n",
        );
        assert!(health.units["magma@mme.service"].is_up);
        assert_eq!(health.units["magma@mme.service"].mark, "pid 812 restarts 0");
        assert!(!health.units["magma@enodebd.service"].is_up);
    }

    #[test]
    fn what_goes_back_is_what_dpkg_has_and_not_what_it_has_heard_of() {
        use crate::gateway::feg::tests::in_folder;
        // The folder stands for the root of a host; of its packages, only `magma` is asked for what it has.
        let dpkg = "#!/bin/sh\ncase $* in\n*Conffiles*magma) printf '%s\\n' \" $here/linked 1\" \" $here/plain 2\" ' /gone 3' ;;\n\
                    *Conffiles*) ;;\n-L*) printf '%s\\n' \"$here/bin\" \"$here/own\" ;;\n*suggested) echo not-installed ;;\n*purged) exit 1 ;;\n\
                    *removed) echo config-files ;;\n*twice) printf 'not-installed\\ninstalled\\n' ;;\n*) echo installed ;;\nesac\n";
        let verify = "#!/bin/sh\nprintf '%s\\n' \"??5??????   $here/changed by hand\" \"??5?????? c $here/plain\" \"missing     $here/own\"\n";
        // What the new package brings, as `tar -t` has it.
        let deb = "#!/bin/sh\ncd \"$here\" && tar -cf - --no-recursion --transform \"s,^\\.,.$here,\" ./bin ./own ./others ./site/file\n";
        let simulated = "Inst magma [1.0] (1:1.1 r [amd64])\nInst suggested (1 r)\nInst purged (1 r)\nInst removed (2 r)\n\
                         Inst twice (1 r)\nConf magma (1:1.1 r)\n";
        let script = format!(
            "set -eu\nmkdir packages site bin cache\nchmod +x dpkg dpkg-query dpkg-deb\nmv dpkg dpkg-query dpkg-deb bin\n\
             export PATH=$PWD/bin:$PATH here=$PWD\ntouch plain own others 'changed by hand' site/file cache/magma_1%3a1.1_amd64.deb\n\
             ln -s site/file linked\nkeep() {{ echo \"kept $*\"; }}\nsync() {{ :; }}\necho 'magma 1.0' >ours\ncd packages\n{}\
             echo \"added: $(echo $(cat ../added))\"\necho \"removed: $(cat ../removed)\"\n\
             for list in conffiles overwritten; do echo \"$list:\"; sed \"s|^${{here#/}}/||\" ../$list; tar -tf ../$list.tar | wc -l; done\n",
            include_str!("way_back.sh").replace("find /etc", "find .").replace("CACHE", "../cache")
        );
        let files: [(&str, &[u8]); 4] = [
            ("simulated", simulated.as_bytes()),
            ("dpkg-query", dpkg.as_bytes()),
            ("dpkg", verify.as_bytes()),
            ("dpkg-deb", deb.as_bytes()),
        ];
        let (_folder, output) = in_folder(&files, &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "kept magma 1.0\nadded: suggested purged\nremoved: removed\nconffiles:\nlinked\nsite/file\nplain\n3\n\
             overwritten:\nchanged by hand\nothers\nsite/file\n3\n",
            "{output:?}"
        );
    }

    const ORIGIN: &str = "http://192.168.60.10/magma";

    #[test]
    fn apt_says_what_it_could_not_read_whatever_it_returns() {
        let said = "Hit:1 http://deb.debian.org bookworm InRelease\nErr:2 http://192.168.60.10/magma focal-ci InRelease\n  \
                    Could not connect to 192.168.60.10:80\nReading package lists...\nW: Failed to fetch http://192.168.60.10/magma/dists/focal-ci/InRelease  Could not connect\n\
                    W: Some index files failed to download. They have been ignored, or old ones used instead.\nstatus 0\n";
        assert_eq!(judge(said, &[ORIGIN]).unread.len(), 2);
        assert_eq!(
            judge(said, &["http://deb.debian.org"]),
            Reading { unread: Vec::new(), others: judge(said, &[ORIGIN]).unread }
        );
    }

    #[test]
    fn a_refresh_that_could_not_get_its_lock_read_nothing() {
        let lock = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)";
        let said =
            format!("Reading package lists...\n{lock}\nE: Unable to lock directory /var/lib/apt/lists/\nstatus 100\n");
        assert_eq!(judge(&said, &[ORIGIN]).unread[0], lock);
    }

    #[test]
    fn a_repository_was_read_when_apt_says_so_and_not_when_it_is_silent() {
        let read = "Hit:1 http://192.168.60.10/magma focal-ci InRelease\nReading package lists...\nstatus 0\n";
        let nothing = Reading { unread: Vec::new(), others: Vec::new() };
        assert_eq!(judge(read, &[ORIGIN]), nothing);
        assert_eq!(judge(read, &["http://192.168.60.10/magma/"]), nothing);
        assert_eq!(judge(read, &["http://192.168.60.10/magma2"]).unread.len(), 1);
        assert_eq!(judge("Reading package lists...\nstatus 0\n", &[ORIGIN]).unread.len(), 1);
        assert_eq!(judge("status 100\n", &[]).unread, ["status 100"]);
    }

    #[test]
    fn a_package_source_of_the_site_that_is_broken_is_not_ours() {
        let said = "Hit:1 http://192.168.60.10/magma focal-ci InRelease\nErr:2 http://ppa.example focal Release\n\
                    E: Failed to fetch http://ppa.example/dists/focal/Release  404\n\
                    E: Some index files failed to download. They have been ignored, or old ones used instead.\nstatus 100\n";
        let reading = judge(said, &[ORIGIN]);
        assert!(reading.unread.is_empty());
        assert_eq!(reading.others.len(), 2);
    }
}
