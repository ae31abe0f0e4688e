//! Versions: parsed, ordered, and chosen from what a repository offers. Values only; nothing here touches a host.
//!
//! A Magma version is `<semver>-<unix time of the build>-<first 8 hex of the commit>`, for example
//! `1.5.0-1613086398-abde7b90` (magma `lte/gateway/release/build-magma.sh`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::moment;

/// What a gateway runs or shall run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Release {
    version: String,
    semver: String,
    /// Seconds since 1970.
    built: u64,
    commit: String,
}

impl Release {
    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// When it was built, in seconds since 1970.
    pub fn built(&self) -> u64 {
        self.built
    }

    /// How much later than `other` this one was built; zero when it is the older one.
    pub fn newer_by(&self, other: &Release) -> Duration {
        Duration::from_secs(self.built.saturating_sub(other.built)).min(moment::LONGEST)
    }

    /// How long ago it was built, by this machine's clock.
    pub fn age(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(Duration::from_secs(self.built)).min(moment::LONGEST)
    }

    /// The text with `{commit}`, `{version}`, `{semver}`, `{major}` and `{minor}` replaced.
    pub fn fill(&self, template: &str) -> String {
        let mut numbers = self.semver.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        template
            .replace("{commit}", &self.commit)
            .replace("{version}", &self.version)
            .replace("{semver}", &self.semver)
            .replace("{major}", major)
            .replace("{minor}", minor)
    }
}

impl FromStr for Release {
    type Err = String;

    fn from_str(version: &str) -> Result<Self, String> {
        let wrong = || format!("`{version}` is not `<semver>-<unix time>-<commit>`");
        let [semver, built, commit] = version.split('-').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let is_semver = semver.split('.').count() >= 2
            && semver.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        let is_commit = commit.len() == 8 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_semver || !is_commit {
            return Err(wrong());
        }
        let built = built.parse().map_err(|_| wrong())?;
        let is_time = i64::try_from(built).ok().and_then(|built| OffsetDateTime::from_unix_timestamp(built).ok());
        is_time.and_then(moment::checked).ok_or_else(wrong)?;
        Ok(Release { version: version.to_owned(), semver: semver.to_owned(), built, commit: commit.to_owned() })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// Orders two Debian versions as dpkg does. What is no version at all sorts first.
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    let parse = |text: &str| text.parse::<debversion::Version>().ok();
    parse(a).cmp(&parse(b))
}

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest that every gateway can have. Never older than what is installed.
    Latest,
    /// By the first characters of its commit.
    Commit(String),
    Version(Release),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Wanted::Latest);
        }
        if text.contains('-') {
            return text.parse().map(Wanted::Version);
        }
        let is_commit = (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_commit {
            return Err(format!("`{text}` is not `latest`, a commit (7 to 40 hex digits) or a version"));
        }
        Ok(Wanted::Commit(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Latest => f.write_str("latest"),
            Wanted::Commit(commit) => f.write_str(commit),
            Wanted::Version(release) => write!(f, "{release}"),
        }
    }
}

impl Wanted {
    /// Whether the release is the one that was named. A commit counts as the commit, wherever else its digits stand.
    pub fn is(&self, release: &Release) -> bool {
        match self {
            Wanted::Latest => true,
            Wanted::Commit(commit) => {
                commit.starts_with(&release.commit) || release.commit.starts_with(commit.as_str())
            }
            Wanted::Version(version) => version == release,
        }
    }
}

/// A package as `apt-cache policy` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub installed: Option<String>,
    /// What can be had: the highest pin first, then the highest version.
    pub candidates: Vec<String>,
    /// Where it can be had from, as the table names the repositories: `http://packages.magma.etagecom.io`.
    pub origins: Vec<String>,
}

/// Reads `apt-cache policy PACKAGE` (apt 1.x and 2.x):
///
/// ```text
/// magma:
///   Installed: 1.4.0-1600000000-0a1b2c3d
///   Candidate: 1.5.0-1613086398-abde7b90
///   Version table:
///      1.5.0-1613086398-abde7b90 900
///         900 http://packages.magma.etagecom.io stretch-test/main amd64 Packages
///  *** 1.4.0-1600000000-0a1b2c3d 100
///         100 /var/lib/dpkg/status
/// ```
///
/// A version that only dpkg's status knows is installed and cannot be had; one with a negative pin shall not be.
pub(crate) fn parse_policy(text: &str) -> Policy {
    struct Row {
        version: String,
        pin: i64,
        /// From a repository, and not only from dpkg's own status.
        is_offered: bool,
    }

    let mut policy = Policy::default();
    let mut rows: Vec<Row> = Vec::new();
    let mut is_table = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(version) = trimmed.strip_prefix("Installed:") {
            policy.installed =
                Some(version.trim()).filter(|version| !matches!(*version, "" | "(none)")).map(str::to_owned);
        } else if trimmed == "Version table:" {
            is_table = true;
        } else if is_table {
            let words: Vec<&str> = trimmed.trim_start_matches("***").split_whitespace().collect();
            match words[..] {
                // A source: its own pin, then where it is.
                [_, location, ..] if location.contains('/') => {
                    if location.ends_with("/dpkg/status") {
                        continue;
                    }
                    if let Some(row) = rows.last_mut() {
                        row.is_offered = true;
                    }
                    if !policy.origins.iter().any(|origin| origin == location) {
                        policy.origins.push(location.to_owned());
                    }
                }
                [version, pin] => {
                    let pin = pin.parse().unwrap_or(0);
                    rows.push(Row { version: version.to_owned(), pin, is_offered: false });
                }
                _ => {}
            }
        }
    }
    rows.retain(|row| row.is_offered && row.pin >= 0);
    rows.sort_by(|a, b| b.pin.cmp(&a.pin).then_with(|| compare_versions(&b.version, &a.version)));
    policy.candidates = rows.into_iter().map(|row| row.version).collect();
    policy
}

impl Policy {
    /// The candidates that are Magma releases, in apt's order.
    pub(crate) fn releases(&self) -> Vec<Release> {
        self.candidates.iter().filter_map(|version| version.parse().ok()).collect()
    }
}

/// The version of a package that travels with a release, among those on offer: the one of the same release, by its version or its
/// commit, else the newest that was not built after it. What is built after a release may belong to one that was not chosen, and
/// would make a search for the first bad release meaningless. A version without a build time is taken as it is offered, and never
/// goes back; none, where the package stays as it is.
pub(crate) fn sibling_version(policy: &Policy, release: &Release) -> Option<String> {
    let candidates = &policy.candidates;
    if let Some(same) = candidates.iter().find(|candidate| *candidate == release.version()) {
        return Some(same.clone());
    }
    let built: Vec<Release> = policy.releases();
    if built.is_empty() {
        let newest = candidates.first()?;
        let installed = policy.installed.as_deref().unwrap_or_default();
        return compare_versions(newest, installed).is_ge().then(|| newest.clone());
    }
    let of_commit = built.iter().filter(|other| other.commit == release.commit).max_by_key(|other| other.built);
    let not_later = || built.iter().filter(|other| other.built <= release.built).max_by_key(|other| other.built);
    of_commit.or_else(not_later).map(|other| other.version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str) -> Release {
        version.parse().expect(version)
    }

    #[test]
    fn a_version_that_is_no_release_is_named_and_not_taken() {
        let policy = parse_policy(include_str!("../tests/fixtures/apt/policy-odd.txt"));
        assert_eq!((policy.candidates.as_slice(), policy.releases()), (&["1.9.0".to_owned()][..], Vec::new()));
        assert_eq!(policy.origins, ["https://repo.lab/artifactory/debian-test"]);
    }

    #[test]
    fn a_version_has_three_parts_and_nothing_else() {
        let release = release("1.9.0-1667381719-ebd3bb56");
        assert_eq!((release.commit(), release.built), ("ebd3bb56", 1_667_381_719));
        assert_eq!(
            release.fill("{major}.{minor} {commit} {semver} {version}"),
            "1.9 ebd3bb56 1.9.0 1.9.0-1667381719-ebd3bb56"
        );
        for text in [
            "",
            "1.9.0",
            "1.9.0-1667381719",
            "1.9.0-x-ebd3bb56",
            "1.9.0-1-ebd3bb5",
            "1.9.0-1-ebd3bb5g",
            "1.9.0-1-ebd3bb56-1",
            "v1-1-ebd3bb56",
            // A build of the year 584 billion has no age.
            "9.9.9-18446744073709551615-deadbeef",
            "9.9.9-99999999999999-deadbeef",
        ] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_version_has_an_age_and_an_order(
            semver in "[0-9]{1,40}(\\.[0-9]{1,40}){1,3}",
            built in proptest::prelude::any::<u64>(),
            other in proptest::prelude::any::<u64>(),
        ) {
            let text = |built: u64| format!("{semver}-{built}-deadbeef");
            let releases = [text(built), text(other), text(built % 4_000_000_000)].map(|text| text.parse::<Release>());
            for release in releases.iter().flatten() {
                proptest::prop_assert!(release.age() <= crate::moment::LONGEST);
                for other in releases.iter().flatten() {
                    proptest::prop_assert!(release.newer_by(other) <= crate::moment::LONGEST);
                }
            }
            compare_versions(&text(built), &text(other));
        }
    }

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        assert_eq!(compare_versions("1.10.0-1600000000-00000000", "1.9.0-1700000000-ffffffff"), Ordering::Greater);
        assert_eq!(compare_versions("1.5.0-1613086398-abde7b90", "1.5.0-1613078234-f348d8c1"), Ordering::Greater);
        assert_eq!(compare_versions("1.5.0~rc1-1-a", "1.5.0-1-a"), Ordering::Less);
    }

    #[test]
    fn a_commit_is_found_by_its_place_and_not_by_its_digits() {
        let wanted: Wanted = "16673817".parse().expect("a commit");
        assert!(!wanted.is(&release("1.9.0-1667381719-ebd3bb56")));
        assert!(wanted.is(&release("1.9.0-1666000000-16673817")));
        let long: Wanted = "16673817aabbccddeeff00112233445566778899".parse().expect("a commit");
        assert!(long.is(&release("1.9.0-1666000000-16673817")));
    }

    #[test]
    fn what_is_neither_latest_nor_commit_nor_version_is_refused() {
        for text in ["", "newest", "1.9", "abc", "1.9.0-1667381719", "$(reboot)-1-1", "; rm -rf /"] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_policy_table_is_ordered_by_pin_then_version_without_what_cannot_be_had() {
        let policy = parse_policy(
            "magma:\n  Installed: 1.8.0-1655110000-3f7c21ab\n  Candidate: 1.9.1-1668500000-5d2e8f90\n  Version table:\n     \
             1.9.1-1668590000-77c0ffee -1\n        900 http://192.168.60.10/magma focal-ci/main amd64 Packages\n     \
             1.9.0-1667381719-ebd3bb56 1001\n        900 http://192.168.60.10/magma focal-ci/main amd64 Packages\n     \
             1.10.0-1600000000-00000000 900\n        900 file:/srv/magma focal-ci/main amd64 Packages\n     \
             1.9.1-1668500000-5d2e8f90 900\n        900 http://192.168.60.10/magma focal-ci/main amd64 Packages\n \
             *** 1.8.0-1655110000-3f7c21ab 100\n        100 /var/lib/dpkg/status\n",
        );
        assert_eq!(policy.installed.as_deref(), Some("1.8.0-1655110000-3f7c21ab"));
        let expected = ["1.9.0-1667381719-ebd3bb56", "1.10.0-1600000000-00000000", "1.9.1-1668500000-5d2e8f90"];
        assert_eq!(policy.candidates, expected);
        assert_eq!(policy.origins, ["http://192.168.60.10/magma", "file:/srv/magma"]);
    }

    #[test]
    fn a_sibling_is_of_the_release_or_not_younger_than_it() {
        let of = |candidates: &[&str], installed: &str, version: &str| {
            let candidates = candidates.iter().map(|version| (*version).to_owned()).collect();
            let policy = Policy { installed: Some(installed.to_owned()), candidates, origins: Vec::new() };
            sibling_version(&policy, &release(version)).unwrap_or_else(|| "stays".to_owned())
        };
        let (a, b, c) = ("1.9.1-1668590000-77c0ffee", "1.9.1-1668400000-4b1d00d5", "1.9.0-1666000000-16673817");
        let all = [a, b, c];
        assert_eq!(of(&all, c, "1.9.1-1668590000-77c0ffee"), a, "the same version");
        assert_eq!(of(&all, c, "1.9.1-1668500000-5d2e8f90"), b, "not the one of a release that was passed over");
        assert_eq!(of(&all, a, "1.9.0-1667000100-aa10f001"), c, "down with the release");
        assert_eq!(
            of(&["1.9.1-1668600000-aa10f001", c], c, "1.9.0-1667000100-aa10f001"),
            "1.9.1-1668600000-aa10f001",
            "its commit"
        );
        assert_eq!(of(&[a], b, "1.9.0-1666000000-16673817"), "stays", "all on offer are younger");
        assert_eq!(of(&["1.9.2"], "1.9.0", "1.9.0-1666000000-16673817"), "1.9.2");
        assert_eq!(of(&["1.8.0"], "1.9.0", "1.9.0-1666000000-16673817"), "stays", "no build time, and older");
        assert_eq!(of(&[], c, "1.9.0-1667000100-aa10f001"), "stays");
    }

    #[test]
    fn a_package_that_is_not_installed_says_none() {
        for none in ["(none)", ""] {
            let policy = parse_policy(&format!("magma:\n  Installed: {none}\n  Candidate: (none)\n  Version table:\n"));
            assert_eq!(policy, Policy::default());
        }
    }
}
