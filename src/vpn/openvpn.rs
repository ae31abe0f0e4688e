//! The program `openvpn`: where it is, who may start it, and with which arguments.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::cause::Cause;
use super::directory::Directory;
use super::profile::Prepared;
use super::routes::Place;
use crate::config::Network;
use crate::process::{Command, find};
use crate::secret::RedactedText;

/// What `sudo` may take to say yes or no.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a server may push: what a tunnel cannot do without, and nothing else. A filter matches the beginning of what is
/// pushed before quotation marks are taken off, so that an option in quotes is none of these. `push-continuation` joins
/// a long list of pushes.
const PUSHED: [&str; 15] = [
    "ifconfig ",
    "topology ",
    "route-gateway ",
    "peer-id ",
    "cipher ",
    "tun-mtu ",
    "mssfix ",
    "protocol-flags ",
    "key-derivation ",
    "ping ",
    "ping-restart ",
    "auth-token",
    "compress",
    "comp-lzo",
    "push-continuation ",
];

/// Whether our filters let a pushed option pass, as OpenVPN applies them: the first one that it begins with decides
/// (`apply_pull_filter` of its `options.c`).
#[cfg(any(test, fuzzing))]
pub(super) fn is_accepted(option: &str) -> bool {
    PUSHED.iter().chain(&["ifconfig-ipv6 "]).any(|accepted| option.starts_with(accepted))
}

/// How OpenVPN is started on this machine.
#[derive(Debug, Clone)]
pub(super) struct Program {
    openvpn: PathBuf,
    /// Where `sudo` is, when we are not root ourselves.
    sudo: Option<PathBuf>,
    version: (u32, u32),
    #[cfg(test)]
    device: Option<&'static str>,
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
        let mut program = Program {
            openvpn,
            sudo,
            version: (0, 0),
            #[cfg(test)]
            device: None,
        };
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

    /// A program that stands for OpenVPN. The machine's loopback stands for its device.
    #[cfg(test)]
    pub(super) fn at(openvpn: PathBuf) -> Program {
        Program { openvpn, sudo: None, version: (2, 6), device: Some("lo") }
    }

    /// The name of the device that it is to make.
    pub(super) fn device(&self, directory: &Directory) -> String {
        #[cfg(test)]
        if let Some(device) = self.device {
            return device.to_owned();
        }
        directory.device()
    }

    /// The client: its profile on standard input, its management client at `socket`.
    pub(super) fn client(&self, client: &Client<'_>) -> Command {
        self.command().args(arguments(self.version, client)).input(client.profile.text.expose())
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

/// Has OpenVPN itself read the profile, without root and without connecting, and returns what it does not accept. None as well where
/// there is no OpenVPN, or where it says nothing of options.
///
/// It reads all options before it opens its management interface (`main` of its `openvpn.c`, 2.4 to 2.6), whose socket is in a
/// folder that is not there: 2.6.14 ends there within 50 ms.
pub(super) async fn refusal_of(profile: &Prepared) -> Option<String> {
    let openvpn = find("openvpn")?;
    let directory = Directory::make().ok()?;
    let socket = directory.socket().join("nowhere");
    let (inside, timeout) = (Inside::default(), PATIENCE);
    let device = directory.device();
    let client = Client { profile, device: &device, socket: &socket, inside: &inside, timeout };
    let command = Command::new(openvpn).args(arguments((0, 0), &client)).input(profile.text.expose());
    let finished = command.run(PATIENCE).await.ok()?;
    let said = [finished.stdout, finished.stderr].concat();
    let said = RedactedText::from(String::from_utf8_lossy(&said));
    // The first is the cause, the last "Please correct these errors."
    said.lines().find_map(|line| Some(line.split_once("Options error: ")?.1.trim().to_owned()))
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
    /// Whether any host of the setup is reached over IPv6.
    pub(super) has_ipv6: bool,
}

impl Inside {
    /// `vpn.routes`, or each host by itself.
    pub(super) fn new(routes: &[Network], places: &[Place]) -> Self {
        let mut hosts: Vec<IpAddr> = places.iter().map(|place| place.address).collect();
        hosts.sort();
        hosts.dedup();
        let has_ipv6 = hosts.iter().any(IpAddr::is_ipv6);
        if !routes.is_empty() {
            hosts.clear();
        }
        Inside { networks: routes.to_vec(), hosts, has_ipv6 }
    }

    /// The same as networks.
    pub(super) fn all(&self) -> Vec<IpNet> {
        let networks = self
            .networks
            .iter()
            .filter_map(|network| Some(IpNet::V4(Ipv4Net::new(network.address, network.prefix).ok()?)));
        networks.chain(self.hosts.iter().copied().map(IpNet::from)).collect()
    }
}

/// What a client is started with.
pub(super) struct Client<'a> {
    pub(super) profile: &'a Prepared,
    /// The name of the device that it is to make.
    pub(super) device: &'a str,
    /// Where we listen as its management client.
    pub(super) socket: &'a Path,
    pub(super) inside: &'a Inside,
    /// The tunnel is up within this time, or not at all.
    pub(super) timeout: Duration,
}

impl Client<'_> {
    /// How many seconds one server is waited for before the next is tried: the profile's own time, or a share of ours,
    /// so that the last server gets its turn, but neither less than a slow server needs nor so much that a dead one
    /// costs the whole time.
    fn patience(&self) -> u64 {
        let servers = self.profile.remotes.len() as u64;
        let share = (self.timeout.as_secs() / (servers + 1)).clamp(3, 15);
        self.profile.patience.map_or(share, |own| own.min(share))
    }
}

/// The arguments of a client whose profile comes on standard input, and that obeys us.
fn arguments(version: (u32, u32), client: &Client<'_>) -> Vec<String> {
    let Client { profile, socket, inside, device, .. } = client;
    let mut args = Vec::new();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|&word| word.to_owned()));
    if !profile.is_probed {
        // What the server pushes comes before this.
        add(&["--ping", "10", "--ping-restart", "60"]);
    }
    // Here, because a `<connection>` block of the profile begins with what was said before it.
    add(&["--connect-timeout", &client.patience().to_string()]);
    add(&["--config", "stdin"]);
    // The first filter that matches decides, and those of the profile can only leave out more.
    for option in PUSHED {
        add(&["--pull-filter", "accept", option]);
    }
    if inside.has_ipv6 {
        add(&["--pull-filter", "accept", "ifconfig-ipv6 "]);
    }
    add(&["--pull-filter", "ignore", ""]);
    add(&["--dev", device, "--dev-type", "tun"]);
    add(&["--management", &socket.to_string_lossy(), "unix", "--management-client"]);
    add(&["--management-hold", "--management-query-passwords"]);
    if profile.credentials.username.is_some() {
        add(&["--auth-user-pass"]);
    }
    add(&["--auth-nocache", "--auth-retry", "none", "--script-security", "1"]);
    add(&["--verb", "3", "--suppress-timestamps"]);
    // It never gives up by itself: the deadlines are ours.
    add(&["--connect-retry", "1", "10", "--resolv-retry", "infinite"]);
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
        line_within(profile, credentials, Duration::from_secs(60))
    }

    fn line_within(profile: &str, credentials: Credentials, timeout: Duration) -> String {
        let profile = prepare(&Secret::new(profile), "p", credentials).expect("a good profile");
        let inside = Inside {
            networks: vec!["192.168.60.0/24".parse().expect("a network")],
            hosts: vec!["192.168.61.5".parse().expect("an address"), "fd00::5".parse().expect("an address")],
            has_ipv6: true,
        };
        let socket = Path::new("/tmp/x/management");
        let client = Client { profile: &profile, device: "tun-ci-1", socket, inside: &inside, timeout };
        arguments((2, 7), &client).join("|")
    }

    #[test]
    fn our_options_come_after_the_profile() {
        let login = Credentials {
            username: Some(Secret::new("nightly")),
            password: Some(Secret::new("hunter2hunter2")),
            key_passphrase: None,
        };
        assert_eq!(
            line("remote a", login),
            "--ping|10|--ping-restart|60|--connect-timeout|15|--config|stdin|--pull-filter|accept|ifconfig |\
             --pull-filter|accept|topology |--pull-filter|accept|route-gateway |--pull-filter|accept|peer-id |--pull-filter|accept|cipher |\
             --pull-filter|accept|tun-mtu |--pull-filter|accept|mssfix |--pull-filter|accept|protocol-flags |\
             --pull-filter|accept|key-derivation |--pull-filter|accept|ping |--pull-filter|accept|ping-restart |\
             --pull-filter|accept|auth-token|--pull-filter|accept|compress|--pull-filter|accept|comp-lzo|\
             --pull-filter|accept|push-continuation |--pull-filter|accept|ifconfig-ipv6 |--pull-filter|ignore||\
             --dev|tun-ci-1|--dev-type|tun|--management|/tmp/x/management|unix|--management-client|\
             --management-hold|--management-query-passwords|--auth-user-pass|--auth-nocache|--auth-retry|none|\
             --script-security|1|--verb|3|--suppress-timestamps|--connect-retry|1|10|\
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
    fn every_server_gets_its_turn_before_the_time_is_up() {
        for (servers, own, timeout, expected) in [
            (1, "", 60, 15),
            (1, "server-poll-timeout 4", 60, 4),
            (1, "connect-timeout 40", 60, 15),
            (6, "server-poll-timeout 4", 60, 4),
            (6, "", 60, 8),
            (6, "connect-timeout 0", 60, 8),
            (40, "", 60, 3),
            (40, "server-poll-timeout 1\nserver-poll-timeout 2", 60, 1),
            (1, "", 10, 5),
        ] {
            let servers: String = (0..servers).map(|number| format!("remote 192.0.2.{number}\n")).collect();
            let line = line_within(&format!("{servers}{own}"), Credentials::default(), Duration::from_secs(timeout));
            assert!(line.contains(&format!("--connect-timeout|{expected}|--config|")), "{own} {timeout}: {line}");
        }
    }

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse_version("OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]\nlibrary"), Some((2, 6)));
        assert_eq!(parse_version("OpenVPN 2.7_rc1 x86_64"), Some((2, 7)));
        assert_eq!(parse_version("sudo: a password is required"), None);
    }
}
