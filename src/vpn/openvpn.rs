//! The program `openvpn`: where it is, who may start it, and with which arguments.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cause::Cause;
use super::profile::Prepared;
use crate::config::Network;
use crate::process::{Command, find};

/// What `sudo` may take to say yes or no.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a server may not push. The first filter that matches wins, so ours come before the profile's. A filter matches
/// beginnings, so `route ` has its blank: `route-gateway` is needed. What is pushed as a route or a resolver by another
/// name falls to `route-nopull`, which reports it as an error of the options, although it is none.
const NOT_PUSHED: [&str; 12] = [
    "redirect-gateway",
    "redirect-private",
    "route ",
    "route-ipv6 ",
    "dhcp-option",
    "dns ",
    "block-",
    "ping-exit",
    "inactive",
    "session-timeout",
    "verb",
    "mute",
];

/// How OpenVPN is started on this machine.
#[derive(Debug, Clone)]
pub(super) struct Program {
    openvpn: PathBuf,
    /// Where `sudo` is, when we are not root ourselves.
    sudo: Option<PathBuf>,
    version: (u32, u32),
}

impl Program {
    /// Finds `openvpn`, and makes sure that it may be run as root.
    pub(super) async fn find() -> Result<Program, Cause> {
        let openvpn = find("openvpn").ok_or(Cause::NoOpenvpn)?;
        let sudo = if rustix::process::geteuid().is_root() {
            None
        } else {
            Some(find("sudo").ok_or_else(|| Cause::NoSudo("there is no `sudo` on this machine".to_owned()))?)
        };
        let mut program = Program { openvpn, sudo, version: (0, 0) };
        let asked = program.command().arg("--version").run(PATIENCE).await;
        let answer = asked.map_err(|error| error.to_string()).and_then(|finished| {
            // The exit status of `openvpn --version` is 1 in older versions.
            parse_version(&String::from_utf8_lossy(&finished.stdout)).ok_or_else(|| finished.last_words())
        });
        match answer {
            Ok(version) => program.version = version,
            Err(words) if program.sudo.is_some() => return Err(Cause::NoSudo(words)),
            Err(words) => return Err(Cause::Died(words)),
        }
        Ok(program)
    }

    #[cfg(test)]
    pub(super) fn at(openvpn: PathBuf) -> Program {
        Program { openvpn, sudo: None, version: (2, 6) }
    }

    /// The client: its profile on standard input, its management client at `socket`.
    pub(super) fn client(&self, profile: &Prepared, socket: &Path, inside: &Inside) -> Command {
        self.command().args(arguments(self.version, profile, socket, inside)).input(profile.text.expose())
    }

    fn command(&self) -> Command {
        self.as_root(&self.openvpn)
    }

    fn as_root(&self, program: &Path) -> Command {
        match &self.sudo {
            Some(sudo) => Command::new(sudo).args(["-n", "--"]).arg(program),
            None => Command::new(program),
        }
    }

    pub(super) fn is_under_sudo(&self) -> bool {
        self.sudo.is_some()
    }

    /// Kills a process that runs as root, where we may.
    pub(super) async fn kill(&self, pid: i32) {
        if let Some(kill) = find("kill") {
            let killed = self.as_root(&kill).args(["-KILL", &pid.to_string()]).run(PATIENCE).await;
            tracing::debug!(pid, ?killed, "killed as root");
        }
    }
}

/// Reads the first line of `openvpn --version`: `OpenVPN 2.6.14 x86_64-pc-linux-gnu …`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("OpenVPN ")?.split_whitespace().next()?;
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split(|char: char| !char.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What is routed into the tunnel.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside {
    pub(super) networks: Vec<Network>,
    pub(super) hosts: Vec<IpAddr>,
}

/// The arguments of a client whose profile comes on standard input, and that obeys us.
fn arguments(version: (u32, u32), profile: &Prepared, socket: &Path, inside: &Inside) -> Vec<String> {
    let mut args = Vec::new();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|&word| word.to_owned()));
    for option in NOT_PUSHED {
        add(&["--pull-filter", "ignore", option]);
    }
    if !profile.is_probed {
        // What the server pushes comes before this.
        add(&["--ping", "10", "--ping-restart", "60"]);
    }
    add(&["--config", "stdin"]);
    add(&["--management", &socket.to_string_lossy(), "unix", "--management-client"]);
    add(&["--management-hold", "--management-query-passwords"]);
    if profile.credentials.username.is_some() {
        add(&["--auth-user-pass"]);
    }
    add(&["--auth-nocache", "--auth-retry", "none", "--script-security", "1"]);
    add(&["--verb", "3", "--suppress-timestamps"]);
    // It never gives up by itself: the deadlines are ours.
    add(&["--connect-timeout", "15", "--connect-retry", "1", "10", "--resolv-retry", "infinite"]);
    add(&["--persist-tun", "--explicit-exit-notify", "1"]);
    add(&["--route-nopull"]);
    if version >= (2, 7) {
        // It sets resolvers by a script of its own.
        add(&["--dns-updown", "disable"]);
    }
    for network in &inside.networks {
        add(&["--route", &network.address.to_string(), &network.mask().to_string()]);
    }
    for host in &inside.hosts {
        match host {
            IpAddr::V4(host) => add(&["--route", &host.to_string(), "255.255.255.255"]),
            IpAddr::V6(host) => add(&["--route-ipv6", &format!("{host}/128")]),
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::super::profile::{Credentials, prepare};
    use super::*;
    use crate::secret::Secret;

    fn line(profile: &str, credentials: Credentials) -> String {
        let profile = prepare(&Secret::new(profile), "p", credentials).expect("a good profile");
        let inside = Inside {
            networks: vec!["192.168.60.0/24".parse().expect("a network")],
            hosts: vec!["192.168.61.5".parse().expect("an address"), "fd00::5".parse().expect("an address")],
        };
        arguments((2, 7), &profile, Path::new("/tmp/x/management"), &inside).join("|")
    }

    #[test]
    fn our_options_come_after_the_profile_and_our_filters_before() {
        let login = Credentials {
            username: Some(Secret::new("nightly")),
            password: Some(Secret::new("hunter2hunter2")),
            key_passphrase: None,
        };
        assert_eq!(
            line("remote a", login),
            "--pull-filter|ignore|redirect-gateway|--pull-filter|ignore|redirect-private|--pull-filter|ignore|route |\
             --pull-filter|ignore|route-ipv6 |--pull-filter|ignore|dhcp-option|--pull-filter|ignore|dns |\
             --pull-filter|ignore|block-|--pull-filter|ignore|ping-exit|--pull-filter|ignore|inactive|\
             --pull-filter|ignore|session-timeout|--pull-filter|ignore|verb|--pull-filter|ignore|mute|\
             --ping|10|--ping-restart|60|--config|stdin|--management|/tmp/x/management|unix|--management-client|\
             --management-hold|--management-query-passwords|--auth-user-pass|--auth-nocache|--auth-retry|none|\
             --script-security|1|--verb|3|--suppress-timestamps|--connect-timeout|15|--connect-retry|1|10|\
             --resolv-retry|infinite|--persist-tun|--explicit-exit-notify|1|--route-nopull|--dns-updown|disable|\
             --route|192.168.60.0|255.255.255.0|--route|192.168.61.5|255.255.255.255|--route-ipv6|fd00::5/128"
        );
    }

    #[test]
    fn a_profile_that_says_how_it_is_probed_is_left_to_it() {
        let line = line("remote a\nkeepalive 5 20", Credentials::default());
        assert!(!line.contains("--ping"), "{line}");
    }

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse_version("OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]\nlibrary"), Some((2, 6)));
        assert_eq!(parse_version("OpenVPN 2.7_rc1 x86_64"), Some((2, 7)));
        assert_eq!(parse_version("sudo: a password is required"), None);
    }
}
