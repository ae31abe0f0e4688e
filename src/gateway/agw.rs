//! The access gateway: Debian packages and systemd units, upgraded by apt.
//!
//! Knows apt, dpkg and systemctl as they print; the order in which gateways are prepared and switched is not its
//! business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::foreign_messages::{APT as MESSAGES, SYSTEM, Seen, class_of, packages_of_install, seen_in};
use super::health::Lack;
use super::host_state::{self, Fact, Kind, PLACES, lacks_of_room, parse_facts};
use super::{BACKUP, BOOT, Found, Ground, Health, LEAST_ROOM_MB, NEXT, STATE, Target, Trouble, Unit};
use crate::cause;
use crate::config::{self, Conffiles};
use crate::event::{Class, PackageChange, Problem, Step};
use crate::release::{Policy, compare_versions, parse_policy};
use crate::remote::quote;
use crate::secret::RedactedText;

/// What apt needs to know to run without a person, and to wait for whoever has dpkg's lock (apt 1.9.11 and later).
const APT: &str = "apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120";
const ENVIRONMENT: &str = "export DEBIAN_FRONTEND=noninteractive LC_ALL=C NEEDRESTART_MODE=l\n";

/// Where the packages go.
pub(super) const FOLDER: &str = "/var/cache/apt/archives";

/// What an AGW ran before the night: enough to bring it back and to compare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgwFound {
    /// Package name and version; the packages that the night changes.
    pub(crate) packages: BTreeMap<String, String>,
    /// Those of them that were there and not whole: half installed, or not configured.
    #[serde(default)]
    pub(crate) broken: BTreeSet<String>,
    pub(crate) health: Health,
    /// The units that are starting, are started again after a failure, or have failed.
    #[serde(default)]
    pub(crate) unsettled: BTreeSet<String>,
    /// Another one after each boot of the host; empty where it is not known.
    #[serde(default)]
    pub(crate) boot: String,
}

#[derive(Debug)]
pub(crate) struct Agw {
    pub(super) ground: Ground,
    pub(super) config: config::Agw,
    /// Of how many releases apt's cache keeps what was downloaded.
    pub(super) keep: u32,
}

impl Agw {
    pub(crate) fn name(&self) -> &str {
        &self.ground.name
    }

    /// The package of the release, and those that travel with it.
    fn packages(&self) -> Vec<&str> {
        let siblings = self.config.siblings.iter().map(String::as_str);
        std::iter::once(self.config.package.as_str()).chain(siblings).collect()
    }

    fn quoted_packages(&self) -> String {
        self.packages().into_iter().map(quote).collect::<Vec<_>>().join(" ")
    }

    /// Asks which packages are installed and how the units are.
    pub(super) async fn found(&self, step: Step) -> Result<AgwFound, Problem> {
        let text = self.ground.ask(step, "read what the gateway runs", &self.found_script()).await?;
        Ok(Agw::parse_found(&text))
    }

    /// Reads the answer to `found_script`.
    pub(super) fn parse_found(text: &str) -> AgwFound {
        let mut parts = text.splitn(3, "---\n");
        let mut next = || parts.next().unwrap_or_default();
        let ((packages, broken), units, boot) = (parse_packages(next()), next(), next());
        let unsettled = parse_unsettled(units);
        AgwFound { packages, broken, health: parse_units(units), unsettled, boot: boot.trim().to_owned() }
    }

    pub(super) fn found_script(&self) -> String {
        format!(
            "export LC_ALL=C\n\
             dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}} ${{Version}}\\n' {packages} 2>/dev/null\n\
             echo ---\n\
             {package_units}units=$(package_units {packages})\nset -f\n\
             systemctl show -p Id,ActiveState,SubState,Result,MainPID,NRestarts -- {pattern} {units} $units 2>/dev/null\n\
             echo ---\n{BOOT}\nexit 0",
            package_units = include_str!("agw/package_units.sh"),
            packages = self.quoted_packages(),
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

    /// Refreshes apt's lists and returns the available versions of `magma` and of each sibling package. In a dry run
    /// and in `check` the lists in use stay as they are.
    ///
    /// apt's exit status proves nothing: with an unreachable repository, apt 2.6.1 prints `W: Failed to fetch …` and
    /// returns 0, and then answers from old lists. What counts is whether apt said that it read the repository that
    /// offers the package.
    pub(crate) async fn candidates(&self) -> Result<(Policy, BTreeMap<String, Policy>), Problem> {
        let script = |lists: &str| candidates_script(lists, &self.quoted_packages());
        let in_use = script("options=\n");
        let aside = script(
            "lists=$(mktemp -d)\ntrap 'rm -rf \"$lists\"' EXIT\ntrap 'exit 143' TERM\nchmod 755 \"$lists\"\n\
             options=\"-o Dir::State::lists=$lists -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=\"\n",
        );
        let deadline = Duration::from_secs(300);
        let output = self.ground.change_or_lay_aside(Step::Resolve, &in_use, &aside, deadline).await?;
        let text = output.text();
        let (said, tables) = apart(&text);
        let mut tables = tables.into_iter().map(parse_policy);
        let magma = tables.next().unwrap_or_default();
        let siblings: BTreeMap<String, Policy> = self.config.siblings.iter().cloned().zip(tables).collect();
        if output.status != 0 {
            let why = cause::said(super::all_said(&output), 5);
            return Err(Trouble::AptUnasked.on(&self.ground.name).because(why));
        }
        for line in RedactedText::from(said).lines().filter(|line| !line.trim().is_empty()) {
            self.ground.output(Step::Resolve, line);
        }
        let origins = magma.origins.iter().chain(siblings.values().flat_map(|policy| &policy.origins));
        let origins: Vec<&str> = origins.map(String::as_str).collect();
        let reading = judge(said, &origins);
        for line in reading.others {
            let what = if line.starts_with(HOOKS[0]) {
                "a hook of apt failed"
            } else {
                "another package source could not be read"
            };
            self.ground.warn(Step::Resolve, format!("{what}: {line}"));
        }
        if !reading.unread.is_empty() {
            return Err(Trouble::RepositoryUnread.on(&self.ground.name).because(reading.unread.join("\n")));
        }
        Ok((magma, siblings))
    }

    /// The packages and versions that the release means, as apt wants them named.
    pub(super) fn wanted(&self, target: &Target) -> Vec<(String, String)> {
        let mut wanted = vec![(self.config.package.clone(), target.release.version().to_owned())];
        wanted.extend(target.siblings.iter().map(|(name, version)| (name.clone(), version.clone())));
        wanted
    }

    /// Each package before, and as it is `now` by name and version; what is not among these stays as it was.
    pub(super) fn package_changes(&self, before: &AgwFound, now: &[(String, String)]) -> Vec<PackageChange> {
        let changes = self.packages().into_iter().map(|name| {
            let from = before.packages.get(name).map(RedactedText::from);
            let to = now.iter().find(|(other, _)| other == name).map(|(_, version)| version.into());
            PackageChange { name: name.into(), to: to.or_else(|| from.clone()), from }
        });
        changes.filter(|change| change.from.is_some() || change.to.is_some()).collect()
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
        !target.is_forced && self.is_target(found, found, target, &BTreeSet::new()).is_ok()
    }

    /// What of the host would make any upgrade fail.
    async fn obstacles(&self, step: Step) -> Result<Vec<Fact>, Problem> {
        let text = self.ground.ask_root(step, "read the state of its packages", &self.state_script()).await?;
        Ok(parse_facts(&text))
    }

    /// Whether anything of the host is in the way of an upgrade, whatever the release.
    pub(crate) async fn can_be_upgraded(&self) -> Result<String, Problem> {
        let facts = self.obstacles(Step::Connect).await?.into_iter();
        let is_ours = |fact: &Fact| fact.kind != Kind::Held || self.packages().contains(&fact.text.as_str());
        self.ground.refuse(&facts.filter(is_ours).collect::<Vec<_>>())?;
        Ok("in order".to_owned())
    }

    /// Whether an upgrade can write where it has to: apt's cache, dpkg's database with our backup, and wherever
    /// packages are unpacked, for which there is a better answer once they are there. Returns how much is free.
    pub(super) async fn can_write(&self, step: Step) -> Result<String, Problem> {
        let script = format!(
            "{PLACES}{}place {LEAST_ROOM_MB} {FOLDER}\nplace {LEAST_ROOM_MB} /var/lib\nplace 10 /tmp\n\
             for folder in / /etc /usr /usr/local /opt /var /var/lib/dpkg; do place 0 \"$folder\"; done\n",
            include_str!("agw/is_remounted.sh")
        );
        self.ground.can_write(step, &script).await
    }

    fn state_script(&self) -> String {
        let packages = self.quoted_packages();
        format!("set -- {packages}\n{}", host_state::BEFORE)
    }

    /// Refuses a host on which the upgrade would fail, whatever the release. A held package is in the way only where it
    /// is to change.
    fn has_no_obstacle(&self, facts: Vec<Fact>, target: &Target, found: &AgwFound) -> Result<(), Problem> {
        let is_changed = |name: &str| {
            self.wanted(target)
                .iter()
                .any(|(wanted, version)| wanted == name && found.packages.get(name) != Some(version))
        };
        let in_the_way = facts.into_iter().filter(|fact| fact.kind != Kind::Held || is_changed(&fact.text));
        self.ground.refuse(&in_the_way.collect::<Vec<_>>())
    }

    /// Whose fault it is that apt or dpkg failed, by what they said.
    pub(super) fn class_of(&self, said: &str) -> Class {
        class_for(said, &self.packages())
    }

    /// Downloads the packages and secures the way back. Touches no service.
    pub(super) async fn secure(&self, target: &Target, found: &AgwFound) -> Result<(), Problem> {
        let step = Step::Prepare;
        self.can_write(step).await?;
        self.has_no_obstacle(self.obstacles(step).await?, target, found)?;
        for package in self.packages() {
            if found.broken.contains(package) {
                self.ground.warn(step, format!("`{package}` is not properly installed: there is no way back for it"));
            } else if package == self.config.package && !found.packages.contains_key(package) {
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
        self.ground.refuse(&lacks_of_room(&room.text()))?;
        self.ground.must_root(step, &way_back, self.config.prepare_timeout, no_way_back).await.map(drop)
    }

    /// What `prepare` does on the host: asks apt what it would do, downloads it, checks that there is room for it, then
    /// saves what a rollback needs.
    fn prepare_scripts(&self, target: &Target, found: &AgwFound) -> [String; 4] {
        let install = self.install(target);
        let simulate = format!(
            "{ENVIRONMENT}set -eu\numask 077\nrm -rf {BACKUP} {NEXT}\nmkdir -p {BACKUP}/packages\n\
             {APT} --simulate {install} > {BACKUP}/simulated 2>&1 || {{ cat {BACKUP}/simulated; exit 1; }}\n\
             grep '^Inst ' {BACKUP}/simulated || true"
        );
        let download = format!(
            "{ENVIRONMENT}set -- {APT} --download-only {install}\n{}",
            include_str!("agw/download.sh")
                .replace("RELEASE", target.release.version())
                .replace("CACHE", FOLDER)
                .replace("STATE", STATE)
        );
        let room =
            format!("set -eu\ncd {BACKUP}/packages\n{}", include_str!("room_for_packages.sh").replace("CACHE", FOLDER));
        [simulate, download, room, self.way_back_script(found)]
    }

    /// Removes what was downloaded for releases that are no longer kept. For scripts under `set -e`.
    pub(super) fn sweep_script(&self) -> String {
        let script = include_str!("agw/sweep.sh").replace("KEEP", &self.keep.max(1).to_string());
        script.replace("CACHE", FOLDER).replace("BACKUP", BACKUP).replace("STATE", STATE)
    }

    /// Keeps the packages that the switch replaces (from apt's cache, from the repository, or made from what is
    /// installed), their conffiles, and what else it overwrites.
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
    ///
    /// That a unit which ran before is not up again after its restart is for `verify` to see: it waits until the unit has
    /// settled, and knows its last words. A restart of anything else has to succeed.
    pub(super) fn activate_script(&self, target: &Target, found: &AgwFound) -> String {
        let ucf = match self.config.conffiles {
            Conffiles::New => "export UCF_FORCE_CONFFNEW=1\n",
            Conffiles::Keep => "export UCF_FORCE_CONFFOLD=1\n",
        };
        let mut script = format!(
            "{ENVIRONMENT}{ucf}set -eu\n{APT} --no-download {}\nsystemctl daemon-reload\n",
            self.install(target)
        );
        let running: BTreeSet<&str> = found.health.running().collect();
        for unit in &self.config.restart {
            let or_else = if running.contains(unit_name(unit).as_str()) { " || true" } else { "" };
            script.push_str(&format!("systemctl restart {}{or_else}\n", quote(unit)));
        }
        script
    }

    /// What brings the gateway back to `found`, from what was kept.
    pub(super) fn restore_script(&self, found: &AgwFound) -> String {
        let running = found.health.units.iter().filter(|(_, unit)| unit.is_up).map(|(name, _)| name);
        let (services, others): (Vec<&String>, Vec<&String>) = running.partition(|name| name.ends_with(".service"));
        let mut script = format!(
            "{ENVIRONMENT}export UCF_FORCE_CONFFOLD=1\n{}units_of_release=$(package_units {})\n{}",
            include_str!("agw/package_units.sh"),
            self.quoted_packages(),
            include_str!("go_back.sh").replace("BACKUP", BACKUP).replace("APT", APT)
        );
        // A unit that the release brought and started has no code that it fits any more.
        let known: Vec<String> = found.health.units.keys().map(|name| quote(name)).collect();
        script.push_str(&format!(
            "set -f\nsystemctl show -p Id -- {pattern} $units_of_release 2>/dev/null | sed -n 's/^Id=//p' | sort -u | while read -r unit; do\n    \
             printf '%s\\n' {known} | grep -qxF -- \"$unit\" && continue\n    \
             state=$(systemctl show -p LoadState -p ActiveState --value -- \"$unit\" | sort | tr '\\n' ' ')\n    \
             [ \"$state\" = 'inactive not-found ' ] || {{ echo \"$unit came with the release and goes\"; systemctl disable --now \"$unit\"; }}\n\
             done\nset +f\n",
            pattern = quote(&self.config.unit_pattern),
            known = known.join(" "),
        ));
        for unit in &self.config.restart {
            script.push_str(&format!("systemctl restart {}\n", quote(unit)));
        }
        let quoted = |names: &[&String]| names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(" ");
        if !services.is_empty() {
            // The package's own start came before the last conffile was back.
            let names = quoted(&services);
            script
                .push_str(&format!("systemctl reset-failed {names} 2>/dev/null || true\nsystemctl restart {names}\n"));
        }
        if !others.is_empty() {
            // A socket whose service runs cannot be restarted.
            script.push_str(&format!("systemctl start {}\n", quoted(&others)));
        }
        script.push_str("exit 0\n");
        script
    }

    /// Whether the gateway runs what it shall: the packages, and every unit that must be up.
    ///
    /// Of what ran before, `lost` is what the release does not have.
    pub(super) fn is_target(
        &self,
        now: &AgwFound,
        before: &AgwFound,
        target: &Target,
        lost: &BTreeSet<String>,
    ) -> Result<(), Lack> {
        for (name, version) in self.wanted(target) {
            match now.packages.get(&name) {
                Some(installed) if *installed == version => {}
                Some(installed) => return Err(format!("`{name}` is at {installed} and not at {version}").into()),
                None => return Err(format!("`{name}` is not properly installed").into()),
            }
        }
        self.is_healthy(now, before, lost)
    }

    /// Whether every unit is up that the config requires or that was up before, and none that the release brings is
    /// still starting or has failed.
    fn is_healthy(&self, now: &AgwFound, before: &AgwFound, lost: &BTreeSet<String>) -> Result<(), Lack> {
        let brought = brought_and_unsettled(now, before);
        let running = before.health.running().filter(|name| !lost.contains(*name)).map(str::to_owned);
        now.health.has(self.required().into_iter().chain(running).chain(brought))
    }

    /// The units that ran before and that the release does not have: nothing of its packages has their names any more.
    pub(super) async fn lost_units(&self, step: Step, before: &AgwFound) -> Result<BTreeSet<String>, Problem> {
        let script = self.lost_units_script(before);
        let text = self.ground.ask_root(step, "read which units the release has", &script).await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Those of the `lost` units that the release need not have.
    pub(super) fn not_expected(&self, lost: &BTreeSet<String>, target: &Target, before: &AgwFound) -> BTreeSet<String> {
        let from = before.packages.get(&self.config.package);
        not_expected(lost, &self.config.dropped_units, from, target.release.version())
    }

    pub(super) fn lost_units_script(&self, before: &AgwFound) -> String {
        let required = self.required();
        let units = before.health.running().filter(|name| !required.contains(*name)).map(quote).collect::<Vec<_>>();
        format!(
            "brought=$(mktemp) owned=$(mktemp) || exit 1\ntrap 'rm -f \"$brought\" \"$owned\"' EXIT\ntrap 'exit 143' TERM\n\
             cat {BACKUP}/owned > \"$owned\"\ndpkg-query -L {packages} > \"$brought\" 2>/dev/null\nset -- \"$owned\" \"$brought\" {units}\n{}",
            include_str!("agw/lost_units.sh"),
            packages = self.quoted_packages(),
            units = units.join(" "),
        )
    }

    pub(super) fn required(&self) -> BTreeSet<String> {
        self.config.units.iter().map(|unit| unit_name(unit)).collect()
    }

    /// Whether it is again what it was; what was down before may be down now. Of a package that was not whole it cannot
    /// be known.
    pub(super) fn is_as_before(&self, now: &AgwFound, before: &AgwFound) -> Result<(), Lack> {
        if let Some(name) = before.broken.first() {
            return Err(format!("`{name}` was not properly installed before").into());
        }
        if !before.packages.contains_key(&self.config.package) {
            return Err(format!("`{}` was not installed before", self.config.package).into());
        }
        for (name, version) in &before.packages {
            if now.packages.get(name) != Some(version) {
                let now = now.packages.get(name).map_or("not properly installed", String::as_str);
                return Err(format!("`{name}` is {now} and was {version}").into());
            }
        }
        now.health.has(before.health.running().map(str::to_owned))
    }

    /// What says whether the packages and their files are as they were before the switch.
    pub(super) fn as_before_script() -> String {
        include_str!("as_before.sh").replace("BACKUP", BACKUP)
    }

    /// What these units wrote last, for the report.
    pub(super) fn last_words_script(units: &[String]) -> String {
        let units: Vec<String> = units.iter().map(|unit| format!("-u {}", quote(unit))).collect();
        format!("journalctl -q --no-pager -n 15 -o cat {} 2>&1", units.join(" "))
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
            "{}set -- -u {} -u 'sctpd*' -u 'apt*'\nunits=$(package_units {})\nset -f\n\
             for unit in $units; do set -- \"$@\" -u \"$unit\"; done\n\
             journalctl -q --no-pager -o short-iso {range} \"$@\" 2>&1",
            include_str!("agw/package_units.sh"),
            quote(&self.config.unit_pattern),
            self.quoted_packages(),
        )
    }
}

impl From<AgwFound> for Found {
    fn from(found: AgwFound) -> Self {
        Found::Agw(found)
    }
}

/// Whose fault it is that apt or dpkg failed, by what they said, where the release has these packages and what apt
/// brings for it.
fn class_for(said: &str, packages: &[&str]) -> Class {
    let brought = packages_of_install(said);
    let own = |name: &str| packages.contains(&name) || brought.contains(&name);
    class_of(&seen_in(said, &[SYSTEM, MESSAGES]), &own)
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

fn value_of<'b>(block: &'b str, key: &str) -> &'b str {
    block.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
}

/// The units that the release brought and that are starting or have failed.
fn brought_and_unsettled(now: &AgwFound, before: &AgwFound) -> BTreeSet<String> {
    now.unsettled.iter().filter(|name| !before.health.units.contains_key(*name)).cloned().collect()
}

/// The units that are on their way up, or have failed on it.
fn parse_unsettled(text: &str) -> BTreeSet<String> {
    let is_unsettled = |block: &&str| matches!(value_of(block, "ActiveState"), "activating" | "failed");
    let blocks = text.split("\n\n").filter(is_unsettled);
    blocks.map(|block| value_of(block, "Id").to_owned()).filter(|name| !name.is_empty()).collect()
}

/// What state a unit is in, in words that stand behind "is".
fn state_of(block: &str) -> String {
    let (state, sub, result) = (value_of(block, "ActiveState"), value_of(block, "SubState"), value_of(block, "Result"));
    match state {
        "activating" if sub == "auto-restart" => {
            let restarts = value_of(block, "NRestarts");
            format!("started again after it failed ({result}, {restarts} restarts)")
        }
        "activating" => format!("still starting ({sub})"),
        "failed" if !result.is_empty() => format!("failed ({result})"),
        state => state.to_owned(),
    }
}

/// Reads the blocks of `systemctl show -p Id,ActiveState,SubState,Result,MainPID,NRestarts`.
pub(super) fn parse_units(text: &str) -> Health {
    let mut units = BTreeMap::new();
    for block in text.split("\n\n") {
        let value = |key: &str| value_of(block, key);
        let name = value("Id");
        if !name.is_empty() {
            units.insert(
                name.to_owned(),
                Unit {
                    state: state_of(block),
                    is_up: value("ActiveState") == "active",
                    // A start gives a new process, a restart by systemd counts up.
                    mark: format!("pid {} restarts {}", value("MainPID"), value("NRestarts")),
                },
            );
        }
    }
    Health::of(units)
}

/// Has apt refresh its lists, with options that `lists` sets, and say what is on offer of the packages.
///
/// A NUL stands before each table: a shell keeps none of what apt and the site's hooks print.
fn candidates_script(lists: &str, packages: &str) -> String {
    format!(
        "{ENVIRONMENT}{lists}options=\"$options -o DPkg::Lock::Timeout=120\"\n{update}\
         for package in {packages}; do printf '\\0'; apt-cache $options policy \"$package\"; done",
        update = include_str!("refresh.sh"),
    )
}

/// What apt said while it refreshed its lists, and the table of each package, of the answer to [`candidates_script`].
pub(super) fn apart(text: &str) -> (&str, Vec<&str>) {
    let mut parts = text.split('\0');
    (parts.next().unwrap_or_default(), parts.collect())
}

/// The units of these `lost` ones that the release need not have: all where it is older than what ran, and may not know
/// them yet; else those that it may drop by the config.
///
/// What a newer release has forgotten it has to answer for: a template is still there without the program that it
/// starts, and of a unit that is gone as a whole nobody can see whether that was meant.
pub(super) fn not_expected(
    lost: &BTreeSet<String>,
    dropped: &[String],
    from: Option<&String>,
    to: &str,
) -> BTreeSet<String> {
    let is_older = from.is_some_and(|from| compare_versions(to, from).is_lt());
    let dropped: BTreeSet<String> = dropped.iter().map(|unit| unit_name(unit)).collect();
    lost.iter().filter(|unit| is_older || dropped.contains(*unit)).cloned().collect()
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
/// A complaint that names no address (`E: Could not get lock /var/lib/apt/lists/lock`) is about all of them. And
/// silence is not success: each has to be named in a line `Hit:` or `Get:`.
pub(super) fn judge(said: &str, origins: &[&str]) -> Reading {
    let is_of = |line: &str, origin: &str| line.split_whitespace().any(|word| is_below(word, origin));
    let (ours, mut others): (Vec<String>, Vec<String>) = apt_failures(said).into_iter().partition(|line| {
        let is_nameless = line.starts_with("E: ") && !line.contains("://");
        is_nameless || origins.is_empty() || origins.iter().any(|origin| is_of(line, origin))
    });
    let mut unread = ours;
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
    others.extend(hook_failures(said));
    Reading { unread, others }
}

/// Whether the address is the repository's or one below it. `http://host/magma2` is not below `http://host/magma`.
fn is_below(address: &str, origin: &str) -> bool {
    let address = address.trim_matches(|letter: char| matches!(letter, '\'' | '"' | '`' | ','));
    let rest = address.strip_prefix(origin.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Scripts of the site that apt runs after it has read the lists, `APT::Update::Post-Invoke` and the like: what they do
/// says nothing of the lists (apt 1.6 to 2.6.1).
const HOOKS: [&str; 2] = ["E: Problem executing scripts APT::Update::", "E: Sub-process returned an error code"];

fn hook_failures(said: &str) -> impl Iterator<Item = String> {
    said.lines().filter(|line| line.starts_with(HOOKS[0])).map(str::to_owned)
}

/// What apt could not read: the lines that begin `Err:`, `E:` or `W: Failed to fetch`, each with what explains it: apt
/// writes that below `Err:`, indented.
///
/// `E: Some index files failed to download.` only counts up what the lines before it have said.
pub(super) fn apt_failures(said: &str) -> Vec<String> {
    let signs =
        ["Err:", "E: ", "W: Failed to fetch", "W: GPG error", "W: An error occurred during the signature verification"];
    let mut failures: Vec<String> = Vec::new();
    let mut is_explained = true;
    for line in said.lines() {
        let text = line.trim();
        if signs.iter().any(|sign| text.starts_with(sign)) {
            let is_known = text.starts_with("E: Some index files failed to download")
                || HOOKS.iter().any(|hook| text.starts_with(hook));
            is_explained = is_known || !text.starts_with("Err:");
            if !is_known {
                failures.push(text.to_owned());
            }
        } else if !is_explained && line.starts_with("  ") {
            if let Some(failure) = failures.last_mut() {
                failure.push_str(": ");
                failure.push_str(text);
            }
            is_explained = true;
        } else {
            is_explained = true;
        }
    }
    failures
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

pub(super) fn last_lines(text: impl Into<RedactedText>, count: usize) -> String {
    let text = text.into();
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
    fn a_unit_that_does_not_come_up_says_how() {
        let text = "Id=a.service\nActiveState=activating\nSubState=start-pre\nResult=success\n\n\
                    Id=b.service\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=4\n\n\
                    Id=c.service\nActiveState=failed\nSubState=failed\nResult=oom-kill\n\n\
                    Id=d.service\nActiveState=inactive\nSubState=dead\nResult=success\n";
        let health = parse_units(text);
        let names = ["a", "b", "c", "d"].map(|name| format!("{name}.service"));
        assert_eq!(
            health.has(names.into_iter()).map_err(|lack| lack.why),
            Err("`a.service` is still starting (start-pre), `b.service` is started again after it failed (exit-code, 4 \
                 restarts), `c.service` is failed (oom-kill), `d.service` is inactive"
                .to_owned())
        );
        assert_eq!(parse_unsettled(text), ["a.service", "b.service", "c.service"].map(str::to_owned).into());
    }

    #[test]
    fn a_unit_that_the_release_brings_has_to_come_up() {
        let found = |units: &[(&str, &str)]| {
            let block = |(name, state): &(&str, &str)| format!("Id={name}.service\nActiveState={state}\n");
            let units = units.iter().map(block).collect::<Vec<_>>().join("\n");
            Agw::parse_found(&format!("---\n{units}---\nboot"))
        };
        let before = found(&[("mme", "active"), ("enodebd", "failed")]);
        let now = found(&[
            ("mme", "active"),
            ("enodebd", "failed"),
            ("new", "failed"),
            ("slow", "activating"),
            ("rests", "inactive"),
        ]);
        assert_eq!(brought_and_unsettled(&now, &before), ["new.service", "slow.service"].map(str::to_owned).into());
    }

    #[test]
    fn a_release_is_asked_for_the_units_that_it_has_and_not_for_those_that_it_lost() {
        use crate::gateway::feg::tests::in_folder;
        let owned = "/etc/systemd/system/magma@.service\n/etc/systemd/system/magma@envoy_controller.service\n\
                     /usr/local/lib/python3.8/dist-packages/magma/liagentd/main.py\n/usr/local/bin/kernsnoopd\n/usr/local/bin/mme\n\
                     /lib/systemd/system/magma_dp@envoy.service\n";
        let brought =
            "/etc/systemd/system/magma@.service\n/usr/local/bin/mme\n/lib/systemd/system/magma_dp@envoy.service\n";
        let units = "magma@envoy_controller.service magma@liagentd.service magma@kernsnoopd.service magma@mme.service \
                     magma@policydb.service magma_dp@envoy.service sctpd.service";
        let script = format!("set -eu\nset -- owned brought {units}\n{}", include_str!("agw/lost_units.sh"));
        let (_folder, output) = in_folder(&[("owned", owned.as_bytes()), ("brought", brought.as_bytes())], &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "magma@envoy_controller.service\nmagma@liagentd.service\nmagma@kernsnoopd.service\n",
            "{output:?}"
        );
    }

    /// The unit of a program that is forgotten has failed, one that is gone as a whole is not there: both are missed.
    #[test]
    fn only_an_older_release_may_lack_a_unit_that_ran() {
        let set = |units: &[&str]| units.iter().map(|&unit| unit.to_owned()).collect::<BTreeSet<String>>();
        let lost = set(&["magma@sessiond.service", "magma_dp@envoy.service"]);
        let of = |dropped: &[&str], from: Option<&str>, to| {
            let dropped: Vec<String> = dropped.iter().map(|&unit| unit.to_owned()).collect();
            not_expected(&lost, &dropped, from.map(str::to_owned).as_ref(), to)
        };
        let (old, new) = ("1.8.0-1655110000-3f7c21ab", "1.9.0-1666000000-16673817");
        assert_eq!(of(&[], Some(new), old), lost);
        assert_eq!(of(&[], Some(old), new), set(&[]));
        assert_eq!(of(&[], Some(new), new), set(&[]));
        assert_eq!(of(&[], None, new), set(&[]));
        assert_eq!(of(&["magma_dp@envoy", "other"], Some(old), new), set(&["magma_dp@envoy.service"]));

        let before = parse_units(
            "Id=magma@sessiond.service\nActiveState=active\n\nId=magma_dp@envoy.service\nActiveState=active\n",
        );
        let now = parse_units("Id=magma@sessiond.service\nActiveState=failed\nResult=exit-code\n");
        let expected = |from, to| {
            let not_expected = of(&[], Some(from), to);
            let running = before.running().filter(|unit| !not_expected.contains(*unit)).map(str::to_owned);
            now.has(running).map_err(|lack| lack.why)
        };
        assert_eq!(
            expected(old, new),
            Err("`magma@sessiond.service` is failed (exit-code), `magma_dp@envoy.service` is not there".to_owned())
        );
        assert_eq!(expected(new, old), Ok(()));
    }

    #[test]
    fn units_come_from_the_packages_and_not_from_a_pattern_alone() {
        use crate::gateway::feg::tests::in_folder;
        let dpkg = "#!/bin/sh\nprintf '%s\\n' /lib/systemd/system/magma_dp@.service /usr/lib/systemd/system/sctpd.service \
                    /etc/systemd/system/magma@.service /lib/systemd/system/magma.timer /lib/systemd/system/x.service.d/y.conf\n";
        let script = format!(
            "set -eu\nmkdir -p bin multi-user.target.wants\nchmod +x dpkg-query\nmv dpkg-query bin\nPATH=$PWD/bin:$PATH\n\
             ln -s /nowhere 'multi-user.target.wants/magma_dp@envoy.service'\n{}package_units magma magma-sctpd\n",
            include_str!("agw/package_units.sh").replace("/etc/systemd/system/*.wants", "./*.wants")
        );
        let (_folder, output) = in_folder(&[("dpkg-query", dpkg.as_bytes())], &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "magma.timer\nmagma@*.service\nmagma_dp@*.service\nmagma_dp@envoy.service\nsctpd.service\n",
            "{output:?}"
        );
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
    fn no_line_of_a_hook_is_taken_for_the_end_of_what_apt_said() {
        use crate::gateway::feg::tests::in_folder;
        let get = "#!/bin/sh\nprintf 'Hit:1 http://192.168.60.10/magma focal-ci InRelease\\n---\\n\\000\\n---\\nReading\\n'\n";
        let cache = "#!/bin/sh\nfor package; do :; done\necho \"$package:\"\n";
        let script = format!(
            "set -eu\nmkdir bin\nmv apt-get apt-cache bin\nchmod +x bin/*\nPATH=$PWD/bin:$PATH\n{}",
            candidates_script("options=\n", "magma magma-sctpd")
        );
        let files = [("apt-get", get.as_bytes()), ("apt-cache", cache.as_bytes())];
        let (_folder, output) = in_folder(&files, &script);
        let text = String::from_utf8_lossy(&output.stdout);
        let (said, tables) = apart(&text);
        assert_eq!(
            said, "Hit:1 http://192.168.60.10/magma focal-ci InRelease\n---\n\n---\nReading\nstatus 0\n",
            "{output:?}"
        );
        assert_eq!(tables, ["magma:\n", "magma-sctpd:\n"], "{output:?}");
    }

    #[test]
    fn a_hook_of_the_site_that_fails_leaves_the_lists_read() {
        let said = include_str!("../../tests/fixtures/apt/update-post-invoke.txt");
        let reading = judge(said, &["https://repo.lab/artifactory/debian-test"]);
        assert_eq!(reading.unread, Vec::<String>::new());
        assert_eq!(reading.others.len(), 1, "{reading:?}");
        assert!(reading.others[0].contains("Post-Invoke-Success"), "{reading:?}");
    }

    #[test]
    fn what_explains_that_a_repository_was_not_read_is_told() {
        let said = include_str!("../../tests/fixtures/apt/update-certificate-expired.txt");
        let unread = judge(said, &["https://repo.lab/artifactory/debian-test"]).unread.join("\n");
        assert!(unread.contains("The certificate chain uses expired certificate"), "{unread}");
    }

    #[test]
    fn what_was_brought_for_a_release_goes_when_others_are_kept_and_nothing_else_does() {
        use crate::gateway::feg::tests::in_folder;
        let brought = "r1 magma_r1_amd64.deb\nr1 libx_1_amd64.deb\nr1 -\nr2 magma_r2_amd64.deb\nr2 -\nr3 magma_1%3ar3_amd64.deb\n\
                       r3 -\nr4 magma_r4_amd64.deb\nr4 -\nr2 -\n";
        let script = format!(
            "set -eu\nmkdir cache bin\nmv dpkg-query bin\nchmod +x bin/dpkg-query\nPATH=$PWD/bin:$PATH\n\
             for file in magma_r1 libx_1 magma_r2 magma_1%3ar3 magma_r4 others_1; do touch cache/${{file}}_amd64.deb; done\n\
             echo 'libx 1' >versions\n{}ls cache\nwc -l <brought\n",
            include_str!("agw/sweep.sh").replace("CACHE", "cache").replace("STATE", ".").replace("KEEP", "2")
        );
        let dpkg = "#!/bin/sh\necho magma_1:r3\n";
        let (_folder, output) = in_folder(&[("brought", brought.as_bytes()), ("dpkg-query", dpkg.as_bytes())], &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "swept\tmagma_r1_amd64.deb\nlibx_1_amd64.deb\nmagma_1%3ar3_amd64.deb\nmagma_r2_amd64.deb\nmagma_r4_amd64.deb\n\
             others_1_amd64.deb\n7\n",
            "{output:?}"
        );
    }

    /// Each recorded output as the one line of the problem that it makes, and whose fault that is.
    #[test]
    fn the_one_line_reason_of_a_failed_switch_is_what_apt_or_dpkg_complain_about() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/apt");
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("a file").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if name.starts_with("update-") || name.starts_with("policy-") {
                continue;
            }
            let said = std::fs::read_to_string(&path).expect("a text");
            let failed = Trouble::Failed { step: Step::Activate, class: class_for(&said, &["magma"]) }.on("agw");
            let problem = failed.because(cause::known_and_said("exit status 100", &said, 8));
            lines.push(format!("{name}: {:?}: {}", problem.class, problem.line()));
        }
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"));
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
