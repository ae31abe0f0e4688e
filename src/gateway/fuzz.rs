//! What must hold for whatever gateways, apt and registries say of versions.

use std::cmp::Ordering;

use arbitrary::{Result, Unstructured};

use super::agw::{apart, apt_failures, judge, parse_packages, parse_units};
pub use super::feg::fuzz::env;
use super::feg::parse_containers;
use super::foreign_messages::{APT, Meaning, SYSTEM, Seen, class_of, packages_of_install, seen_in};
use super::logins::{Kept, kept_for};
use super::registry::{Answer, read};
use crate::event::Class;
use crate::release::{Release, Wanted, compare_versions, parse_policy};

/// What of a host can break a script of a release.
const SYSTEM_MEANINGS: [Meaning; 4] = [Meaning::DiskFull, Meaning::ReadOnly, Meaning::DiskError, Meaning::OutOfMemory];

/// More words than these are not compared with each other: all with all is slow.
const MOST_WORDS: usize = 8;

/// The property of versions: nothing is on offer, read, installed, up or there unless it was said so, and versions have
/// an order that is dpkg's.
pub fn versions(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok(property) = choose(&mut input) else { return };
    property(&String::from_utf8_lossy(input.take_rest()));
}

fn choose(input: &mut Unstructured<'_>) -> Result<fn(&str)> {
    let properties: [fn(&str); 5] = [apt, gateway, containers, registry, order];
    input.choose(&properties).copied()
}

/// What apt is asked comes back in one text: how it refreshed its lists, then a table for each package.
fn apt(text: &str) {
    let (said, tables) = apart(text);
    let tables: Vec<&str> = tables.into_iter().take(2).collect();
    let origins: Vec<String> = tables.iter().flat_map(|table| offered(table)).collect();
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    let reading = judge(said, &origins);
    for failure in apt_failures(said) {
        let mut told = reading.unread.iter().chain(&reading.others);
        assert!(told.any(|line| *line == failure), "{failure:?} is not told");
    }
    if !reading.unread.is_empty() {
        assert!(reading.unread.iter().all(|line| !line.is_empty()));
        return;
    }
    for origin in &origins {
        let origin = origin.trim_end_matches('/');
        let is_it = |word: &str| {
            let rest = word.trim_matches(['\'', '"', '`', ',']).strip_prefix(origin);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_fetched =
            |line: &str| (line.contains("Hit:") || line.contains("Get:")) && line.split_whitespace().any(is_it);
        assert!(said.lines().any(is_fetched), "nothing says that {origin:?} was read");
    }
    if origins.is_empty() {
        let is_refused = |line: &str| line.starts_with("status ") && line != "status 0";
        assert!(!said.lines().any(is_refused), "a refresh that failed has read everything");
    }
}

/// Reads one table, checks that what is on offer stands in it in apt's order, and returns the repositories.
fn offered(table: &str) -> Vec<String> {
    let policy = parse_policy(table);
    let rows: Vec<(&str, i64)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.trim().trim_start_matches("***").split_whitespace();
            Some((words.next()?, words.next()?.parse().unwrap_or(0)))
        })
        .collect();
    let pins = |version: &str| -> Vec<i64> {
        rows.iter().filter(|(named, _)| *named == version).map(|(_, pin)| *pin).collect()
    };
    for version in &policy.candidates {
        assert!(pins(version).iter().any(|&pin| pin >= 0), "{version:?} is not to be had");
    }
    for pair in policy.candidates.windows(2) {
        let (first, second) = (pins(&pair[0]), pins(&pair[1]));
        let is_before = |a: &i64, b: &i64| a > b || (a == b && compare_versions(&pair[0], &pair[1]).is_ge());
        assert!(first.iter().any(|a| second.iter().any(|b| is_before(a, b))), "{pair:?} is out of order");
    }
    for word in policy.origins.iter().chain(&policy.installed) {
        assert!(!word.is_empty() && table.contains(word.as_str()), "{word:?} was never said");
    }
    for release in policy.releases() {
        assert!(policy.candidates.iter().any(|version| version == release.version()));
        named(&release);
    }
    policy.origins
}

/// A release is found again by each of its names.
fn named(release: &Release) {
    assert_eq!(release.fill("{version}"), release.to_string());
    assert_eq!(release.fill("{semver}-{commit}").matches('{').count(), 0);
    for name in [release.version(), release.commit()] {
        let wanted: Wanted = name.parse().expect("a version or a commit");
        assert!(wanted.is(release), "{release} is not {wanted}");
        assert_eq!(wanted.to_string(), name);
    }
}

/// What an access gateway says of its packages and units.
fn gateway(text: &str) {
    let (packages, units) = text.split_once("---\n").unwrap_or((text, ""));
    let (installed, broken) = parse_packages(packages);
    let rows: Vec<Vec<&str>> = packages.lines().map(|line| line.split_whitespace().collect()).collect();
    for (name, version) in &installed {
        let is_said = |row: &Vec<&str>| matches!(row[..], ["ii" | "hi", a, b, ..] if a == name && b == version);
        assert!(rows.iter().any(is_said), "{name:?} is not wholly installed");
    }
    for name in &broken {
        let is_said = |row: &Vec<&str>| matches!(row[..], [state, a, ..] if a == name && !matches!(state, "un" | "rc"));
        assert!(rows.iter().any(is_said), "{name:?} is not there");
    }
    for (name, unit) in parse_units(units).units {
        assert!(units.contains(&name) && !name.is_empty());
        assert_eq!(unit.is_up, unit.state == "active", "{name:?}");
        assert!(!unit.is_up || units.contains("ActiveState=active"), "{name:?} was never said to be up");
    }
}

/// What a federation gateway says of its containers.
fn containers(text: &str) {
    let (containers, health) = parse_containers(text.lines());
    assert!(containers.keys().eq(health.units.keys()));
    for (service, unit) in &health.units {
        assert!(!service.is_empty());
        assert!(!unit.is_up || matches!(unit.state.as_str(), "running" | "running, healthy"), "{service:?} {unit:?}");
    }
    for container in containers.values() {
        let (name, tag) = container.named();
        assert!(container.reference == name || container.reference == format!("{name}:{tag}"), "{container:?}");
        assert!(!tag.contains('/'), "{container:?}");
    }
}

/// What a registry says of a tag, after its status.
fn registry(text: &str) {
    let (status, body) = text.split_once('\n').unwrap_or((text, ""));
    let status = status.parse().unwrap_or(404);
    let reference = "192.168.60.10:5000/magma/gateway_go:5d2e8f90";
    match read(status, body, reference) {
        Answer::There => assert_eq!(status, 200),
        Answer::Missing => assert!(matches!(status, 404 | 500), "only the registry's own word makes a tag missing"),
        Answer::Unknown { status: told, .. } => assert_eq!(told, status),
    }
    match kept_for(body, "192.168.60.10:5000/magma") {
        Kept::Nowhere => {}
        Kept::Here(login) => {
            assert!(login.server.contains("192.168.60.10:5000"), "a login for somebody else: {:?}", login.server);
        }
        Kept::By(helper) => assert_eq!(helper.server, "192.168.60.10:5000"),
    }
}

/// The property of what apt and dpkg print when they fail: a release is blamed only for what is its own, and the host whenever a line
/// is about the host.
pub fn messages(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let brought = packages_of_install(&text);
    for package in &brought {
        assert!(!package.is_empty() && text.contains(package), "{package:?} was never said");
    }
    let own = |name: &str| name == "magma" || brought.contains(&name);
    let seen = seen_in(&text, &[SYSTEM, APT]);
    for seen in &seen {
        assert!(!seen.line.trim().is_empty() && text.contains(&seen.line), "{seen:?} was never said");
        // dpkg's reason stands on the line behind its name, and the two are read as one.
        let is_said = text.contains(&seen.name) || text.replace('\n', "").contains(&seen.name);
        assert!(is_said, "{seen:?} names what was never said");
    }
    let class = class_of(&seen, &own);
    let is_told = |seen: &&Seen| seen.script_of.is_none() && SYSTEM_MEANINGS.contains(&seen.meaning);
    let is_of_host = seen.iter().any(|seen| is_told(&seen));
    assert!(class == Class::Testbed || class == Class::Upgrade);
    assert!(class != Class::Upgrade || !is_of_host, "the host is to blame");
    // What nobody has described, and what is somebody else's, blames no release.
    let strangers: String = text.replace("magma", "other");
    let nobody = class_of(&seen_in(&strangers, &[SYSTEM, APT]), &|_| false);
    let is_named = |line: &str| seen_in(line, &[APT]).iter().any(|seen| !seen.name.is_empty());
    if strangers.lines().all(|line| seen_in(line, &[APT]).is_empty() || is_named(line)) && !strangers.contains("\n ") {
        assert_eq!(nobody, Class::Testbed, "a release is blamed for what is not its own");
    }
    // One line of apt about the host is enough, wherever it stands.
    let full = "E: Write error - write (28: No space left on device)\n";
    for whole in [format!("{text}\n{full}"), format!("{full}{text}")] {
        assert_eq!(class_of(&seen_in(&whole, &[SYSTEM, APT]), &own), Class::Testbed);
    }
}

/// Words as versions: each is itself or nothing, and all of them have one order.
fn order(text: &str) {
    let words: Vec<&str> = text.split_whitespace().take(MOST_WORDS).collect();
    for word in &words {
        if let Ok(release) = word.parse::<Release>() {
            assert_eq!(release.version(), *word);
            named(&release);
        }
        if let Ok(wanted) = word.parse::<Wanted>() {
            assert_eq!(wanted.to_string().parse(), Ok(wanted));
        }
    }
    for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
        let ab = compare_versions(a, b);
        assert_eq!(compare_versions(b, a), ab.reverse(), "{a:?} and {b:?}");
        if let (Some(model_a), Some(model_b)) = (Version::parse(a), Version::parse(b)) {
            assert_eq!(ab, model_a.compare(&model_b), "{a:?} and {b:?}");
        }
        for c in &words {
            assert!(
                ab.is_gt() || compare_versions(b, c).is_gt() || compare_versions(a, c).is_le(),
                "{a:?} {b:?} {c:?}"
            );
        }
    }
}

/// A Debian version as `deb-version(7)` has it: what [`compare_versions`] is compared with.
struct Version<'a> {
    epoch: u32,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Version<'a> {
    /// Only what every reader takes for a version.
    fn parse(text: &'a str) -> Option<Self> {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        let is_word = |text: &str, marks: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
        };
        let is_version = epoch.bytes().all(|byte| byte.is_ascii_digit())
            && upstream.starts_with(|char: char| char.is_ascii_digit())
            && is_word(upstream, b".+~-")
            && is_word(revision, b".+~");
        Some(Version { epoch: epoch.parse().ok().filter(|_| is_version)?, upstream, revision })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let upstream = || compare_parts(self.upstream.as_bytes(), other.upstream.as_bytes());
        let revision = || compare_parts(self.revision.as_bytes(), other.revision.as_bytes());
        self.epoch.cmp(&other.epoch).then_with(upstream).then_with(revision)
    }
}

/// Letters and digits by turns, as in dpkg's `verrevcmp`.
fn compare_parts(mut a: &[u8], mut b: &[u8]) -> Ordering {
    // A tilde is before the end, the end before letters, and letters before all else.
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let is_text = |part: &[u8]| part.first().is_some_and(|byte| !byte.is_ascii_digit());
    let number = |part: &mut &[u8]| {
        let length = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = part.split_at(length);
        *part = rest;
        let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
        // To dpkg a number that is not there is 0 (`1.` is `1.0`); to debversion 0.5.5 it is less. Magma's versions
        // have both or neither.
        (length > 0, length - zeros, digits[zeros..].to_vec())
    };
    while !a.is_empty() || !b.is_empty() {
        while is_text(a) || is_text(b) {
            match weight(a.first()).cmp(&weight(b.first())) {
                Ordering::Equal => (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default()),
                unlike => return unlike,
            }
        }
        match number(&mut a).cmp(&number(&mut b)) {
            Ordering::Equal => {}
            unlike => return unlike,
        }
    }
    Ordering::Equal
}
