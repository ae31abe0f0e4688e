//! Versions: parsed, ordered, and chosen from what a repository offers. Values only; nothing here touches a host.
//!
//! A Magma version is `<semver>-<unix time of the build>-<first 8 hex of the commit>`, for example
//! `1.5.0-1613086398-abde7b90` (magma `lte/gateway/release/build-magma.sh`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
        Duration::from_secs(self.built.saturating_sub(other.built))
    }

    /// How long ago it was built, by this machine's clock.
    pub fn age(&self) -> Duration {
        let built = UNIX_EPOCH + Duration::from_secs(self.built);
        SystemTime::now().duration_since(built).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str) -> Release {
        version.parse().expect(version)
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
        ] {
            assert!(text.parse::<Release>().is_err(), "{text}");
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
    fn a_package_that_is_not_installed_says_none() {
        for none in ["(none)", ""] {
            let policy = parse_policy(&format!("magma:\n  Installed: {none}\n  Candidate: (none)\n  Version table:\n"));
            assert_eq!(policy, Policy::default());
        }
    }
}
