//! What a tunnel may change on this machine. Decides from what `ip` has said before and after; asks and changes
//! nothing.
//!
//! OpenVPN creates one device and puts an address, one network and the routes that we asked for on it. The server
//! chooses address and network (`ifconfig`, `topology`), so whatever it could divert by choosing them is refused here:
//! into the tunnel by the network, and to this machine itself by the address.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

/// An entry of a routing table, as `ip -json route show table all` prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Route {
    /// `local`, `broadcast`, …; none for an ordinary route.
    #[serde(rename = "type")]
    kind: Option<String>,
    dst: String,
    gateway: Option<String>,
    /// A gateway of the other address family.
    via: Option<Via>,
    dev: Option<String>,
    /// None for the table `main`.
    table: Option<String>,
    metric: Option<u32>,
    #[serde(default)]
    nexthops: Vec<NextHop>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Via {
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct NextHop {
    gateway: Option<String>,
    via: Option<Via>,
    dev: Option<String>,
}

impl Route {
    /// Whether the kernel makes it from an address by itself.
    fn belongs_to_an_address(&self) -> bool {
        matches!(self.kind.as_deref(), Some("local" | "broadcast" | "anycast" | "multicast"))
    }

    /// The halves are how OpenVPN's `redirect-gateway def1` writes a default route.
    fn is_default(&self) -> bool {
        matches!(self.dst.as_str(), "default" | "0.0.0.0/1" | "128.0.0.0/1" | "::/1" | "8000::/1" | "2000::/3")
    }

    fn network(&self) -> Option<IpNet> {
        self.dst.parse().ok().or_else(|| self.dst.parse::<IpAddr>().ok().map(IpNet::from))
    }

    fn leaves_by(&self, device: &str) -> bool {
        let hops = self.nexthops.iter().map(|hop| &hop.dev);
        [&self.dev].into_iter().chain(hops).any(|by| by.as_deref() == Some(device))
    }

    fn gateways(&self) -> impl Iterator<Item = IpAddr> {
        let hops = self.nexthops.iter().map(|hop| (&hop.gateway, &hop.via));
        let all = [(&self.gateway, &self.via)].into_iter().chain(hops);
        all.flat_map(|(gateway, via)| [gateway.as_ref(), via.as_ref().map(|via| &via.host)])
            .flatten()
            .filter_map(|address| address.parse().ok())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.kind {
            write!(f, "{kind} ")?;
        }
        f.write_str(&self.dst)?;
        let via = self.via.as_ref().map(|via| &via.host);
        for (name, value) in [("via", self.gateway.as_ref().or(via)), ("dev", self.dev.as_ref())] {
            if let Some(value) = value {
                write!(f, " {name} {value}")?;
            }
        }
        for hop in &self.nexthops {
            let via = hop.gateway.as_ref().or(hop.via.as_ref().map(|via| &via.host));
            write!(f, " nexthop")?;
            for (name, value) in [("via", via), ("dev", hop.dev.as_ref())] {
                if let Some(value) = value {
                    write!(f, " {name} {value}")?;
                }
            }
        }
        if let Some(table) = &self.table {
            write!(f, " table {table}")?;
        }
        self.metric.map_or(Ok(()), |metric| write!(f, " metric {metric}"))
    }
}

/// A network interface, as `ip -json address show` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Interface {
    #[serde(rename = "ifname")]
    name: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    addr_info: Vec<InterfaceAddress>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct InterfaceAddress {
    local: Option<IpAddr>,
    /// The other end of a point-to-point link.
    address: Option<IpAddr>,
    prefixlen: Option<u8>,
}

impl InterfaceAddress {
    /// The network that is reached directly by having this address.
    fn network(&self) -> Option<IpNet> {
        let network = IpNet::new(self.address.or(self.local)?, self.prefixlen?).ok()?;
        Some(network.trunc())
    }

    /// What is not reached elsewhere any more by having this address: that network, and the address itself, which need
    /// not lie in it on a point-to-point link.
    fn claims(&self) -> impl Iterator<Item = IpNet> {
        let network = self.network();
        let itself = self.local.map(IpNet::from).filter(move |itself| network.is_none_or(|it| !it.contains(itself)));
        network.into_iter().chain(itself)
    }

    /// The kernel gives each interface one of these by itself, and uses it only where the interface is named.
    fn is_ipv6_link_local(&self) -> bool {
        matches!(self.local, Some(IpAddr::V6(address)) if address.is_unicast_link_local())
    }
}

impl Interface {
    fn is_up(&self) -> bool {
        self.flags.iter().any(|flag| flag == "UP")
    }

    fn has(&self, address: IpAddr) -> bool {
        self.addr_info.iter().any(|known| known.local == Some(address))
    }

    fn networks(&self) -> impl Iterator<Item = IpNet> {
        let own = self.addr_info.iter().filter(|address| !address.is_ipv6_link_local());
        own.filter_map(InterfaceAddress::network)
    }
}

/// This machine's network at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) routes: Vec<Route>,
    pub(super) interfaces: Vec<Interface>,
    /// What the programs of this machine read of resolvers.
    pub(super) resolver: Option<Vec<u8>>,
    /// All resolvers that are asked in the end.
    pub(super) resolvers: BTreeSet<IpAddr>,
}

/// What a tunnel may not do to this machine, and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Breach {
    /// Another interface has the tunnel's address.
    SameAddress { address: IpAddr, interface: String },
    /// The network of its own that the tunnel brings along.
    Network { network: IpNet, conflict: Conflict },
    /// A route into the tunnel that we did not ask for.
    Route(String),
}

/// What a network may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conflict {
    LinkLocal,
    Resolver(IpAddr),
    Gateway(IpAddr),
    Interface { name: String, network: IpNet },
    Route(String),
    Public,
    Wide,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::LinkLocal => f.write_str("has link-local addresses, which every network keeps for itself"),
            Conflict::Resolver(address) => write!(f, "contains this machine's resolver {address}"),
            Conflict::Gateway(address) => write!(f, "contains this machine's gateway {address}"),
            Conflict::Interface { name, network } => write!(f, "overlaps the network {network} of `{name}`"),
            Conflict::Route(route) => write!(f, "overlaps the route `{route}` of this machine"),
            Conflict::Public => f.write_str("is not a private one"),
            Conflict::Wide => write!(f, "is wider than /{WIDEST}"),
        }
    }
}

/// A tunnel's own network is not wider than this (IPv4), unless `vpn.routes` asks for it.
const WIDEST: u8 = 16;

/// Networks that nobody reaches over the Internet (RFC 1918, 6598, 2544, 5737).
const PRIVATE_V4: [(Ipv4Addr, u8); 8] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
];

/// The same of IPv6 (RFC 4193, 3849, 4291).
const PRIVATE_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::LOCALHOST, 128),
];

const LINK_LOCAL_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(169, 254, 0, 0), 16);
const LINK_LOCAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

fn v4((address, length): (Ipv4Addr, u8)) -> IpNet {
    Ipv4Net::new_assert(address, length).into()
}

fn v6((address, length): (Ipv6Addr, u8)) -> IpNet {
    Ipv6Net::new_assert(address, length).into()
}

fn is_private(network: &IpNet) -> bool {
    let mut private = PRIVATE_V4.into_iter().map(v4).chain(PRIVATE_V6.into_iter().map(v6));
    private.any(|private| private.contains(network))
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

impl Node {
    /// The interfaces that have this address, but for `device`.
    fn others_with(&self, address: IpAddr, device: &str) -> impl Iterator<Item = &str> {
        let others = self.interfaces.iter().filter(move |interface| interface.name != device && interface.has(address));
        others.map(|interface| interface.name.as_str())
    }

    /// Whether there is such a device and it has the address.
    pub(super) fn has(&self, device: &str, address: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.name == device && interface.has(address))
    }

    /// What the tunnel on `device`, whose own addresses are `own`, may not do and does. `asked_for` is what is to be
    /// routed into it.
    pub(super) fn breach(&self, device: &str, own: &[IpAddr], asked_for: &[IpNet]) -> Option<Breach> {
        for &address in own {
            if let Some(interface) = self.others_with(address, device).next() {
                return Some(Breach::SameAddress { address, interface: interface.to_owned() });
            }
        }
        let networks = self.networks_of(device, own);
        for network in &networks {
            if let Some(conflict) = self.conflict(device, network, asked_for) {
                return Some(Breach::Network { network: *network, conflict });
            }
        }
        let is_asked_for = |network: IpNet| networks.contains(&network) || asked_for.contains(&network);
        let is_ours = |route: &&Route| {
            route.belongs_to_an_address() || route.dst == "fe80::/64" || route.network().is_some_and(is_asked_for)
        };
        let on_it = |route: &&Route| route.leaves_by(device);
        self.routes.iter().filter(on_it).find(|route| !is_ours(route)).map(|route| Breach::Route(route.to_string()))
    }

    /// The networks that the device has by its addresses, and the addresses. A link-local one counts where the tunnel
    /// itself has it.
    fn networks_of(&self, device: &str, own: &[IpAddr]) -> Vec<IpNet> {
        let interface = self.interfaces.iter().filter(|interface| interface.name == device);
        let addresses = interface.flat_map(|interface| &interface.addr_info);
        let counts = |address: &&InterfaceAddress| {
            !address.is_ipv6_link_local() || address.local.is_some_and(|local| own.contains(&local))
        };
        addresses.filter(counts).flat_map(InterfaceAddress::claims).collect()
    }

    fn conflict(&self, device: &str, network: &IpNet, asked_for: &[IpNet]) -> Option<Conflict> {
        if overlap(network, &v4(LINK_LOCAL_V4)) || overlap(network, &v6(LINK_LOCAL_V6)) {
            return Some(Conflict::LinkLocal);
        }
        if let Some(resolver) = self.resolvers.iter().find(|resolver| network.contains(*resolver)) {
            return Some(Conflict::Resolver(*resolver));
        }
        let outside = || self.routes.iter().filter(|route| !route.leaves_by(device));
        if let Some(gateway) = outside().flat_map(Route::gateways).find(|gateway| network.contains(gateway)) {
            return Some(Conflict::Gateway(gateway));
        }
        for interface in self.interfaces.iter().filter(|interface| interface.name != device && interface.is_up()) {
            if let Some(other) = interface.networks().find(|other| overlap(network, other)) {
                return Some(Conflict::Interface { name: interface.name.clone(), network: other });
            }
        }
        if asked_for.iter().any(|asked| asked.contains(network)) {
            return None;
        }
        let is_laid_over = |route: &&Route| {
            let counts = !route.belongs_to_an_address() && !route.is_default() && route.dst != "fe80::/64";
            counts && route.network().is_some_and(|other| overlap(network, &other))
        };
        if let Some(route) = outside().find(is_laid_over) {
            return Some(Conflict::Route(route.to_string()));
        }
        if !is_private(network) {
            return Some(Conflict::Public);
        }
        // OpenVPN itself takes no IPv6 network that is wider than /64.
        (network.addr().is_ipv4() && network.prefix_len() < WIDEST).then_some(Conflict::Wide)
    }

    /// Says what is different in `now` outside of `device`, if anything is. What came or went with another interface is
    /// not the tunnel's doing, and neither is what the kernel makes of an address.
    pub(super) fn difference(&self, now: &Node, device: &str) -> Option<String> {
        let stayed = |name: &str| {
            let is_in = |node: &Node| node.interfaces.iter().any(|interface| interface.name == name);
            name != device && is_in(self) && is_in(now)
        };
        let counts = |route: &&Route| {
            let devices = [&route.dev].into_iter().chain(route.nexthops.iter().map(|hop| &hop.dev)).flatten();
            !route.belongs_to_an_address() && route.dst != "fe80::/64" && { devices }.all(|name| stayed(name))
        };
        let before: BTreeSet<&Route> = self.routes.iter().filter(counts).collect();
        let after: BTreeSet<&Route> = now.routes.iter().filter(counts).collect();
        let defaults = |routes: &BTreeSet<&Route>| {
            let all: Vec<String> = routes.iter().filter(|route| route.is_default()).map(ToString::to_string).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        if defaults(&before) != defaults(&after) {
            return Some(format!("the default route was `{}` and is `{}`", defaults(&before), defaults(&after)));
        }
        if let Some(gone) = before.difference(&after).next() {
            return Some(format!("the route `{gone}` is gone"));
        }
        if let Some(new) = after.difference(&before).next() {
            return Some(format!("the route `{new}` was added"));
        }
        (self.resolver != now.resolver).then(|| format!("`{}` is not what it was", super::routes::RESOLVER))
    }
}

/// The addresses of the resolvers that a `resolv.conf` names, without those of this machine itself.
pub(super) fn parse_resolvers(text: &[u8]) -> impl Iterator<Item = IpAddr> {
    let text = String::from_utf8_lossy(text).into_owned();
    let addresses: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next())
        .filter_map(|address| address.split('%').next()?.parse().ok())
        .filter(|address: &IpAddr| !address.is_loopback())
        .collect();
    addresses.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "tun-ci-1";

    fn rows<T: for<'de> Deserialize<'de>>(json: &str) -> Vec<T> {
        serde_json::from_str(json).expect("rows")
    }

    /// A machine as `ip` (iproute2 6.1) describes it, with a tunnel of this address.
    fn node(address: &str, routes: &str) -> Node {
        let base = r#"{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"10.0.0.0/24","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":"10.0.0.7","flags":[]},
            {"dst":"10.77.0.0/16","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"10.78.5.10","gateway":"10.0.0.1","dev":"eth0","table":"7","flags":[]},
            {"dst":"172.17.0.0/16","dev":"docker0","protocol":"kernel","scope":"link","flags":["linkdown"]},
            {"type":"local","dst":"127.0.0.0/8","dev":"lo","table":"local","flags":[]},
            {"dst":"fe80::/64","dev":"eth0","protocol":"kernel","metric":256,"flags":[],"pref":"medium"}"#;
        let interfaces = format!(
            r#"[{{"ifname":"lo","flags":["LOOPBACK","UP"],"addr_info":[{{"family":"inet","local":"127.0.0.1","prefixlen":8}}]}},
            {{"ifname":"eth0","flags":["UP"],"addr_info":[{{"family":"inet","local":"10.0.0.7","prefixlen":24}},
                {{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}}]}},
            {{"ifname":"docker0","flags":["UP"],"addr_info":[{{"family":"inet","local":"172.17.0.1","prefixlen":16}}]}},
            {{"ifname":"wlan0","flags":[],"addr_info":[{{"family":"inet","local":"10.99.0.9","prefixlen":16}}]}},
            {{"ifname":"{DEVICE}","flags":["UP"],"addr_info":[{{{address}}},
                {{"family":"inet6","local":"fe80::2","prefixlen":64,"scope":"link"}}]}}]"#
        );
        Node {
            routes: rows(&format!("[{base}{routes}]")),
            interfaces: rows(&interfaces),
            resolver: None,
            resolvers: parse_resolvers(b"nameserver 10.255.255.53\nnameserver 127.0.0.53\n").collect(),
        }
    }

    fn asked_for() -> Vec<IpNet> {
        ["192.168.60.17/32", "10.128.0.0/10"].map(|network| network.parse().expect("a network")).to_vec()
    }

    fn told(address: &str, own: &str, routes: &str) -> String {
        match node(address, routes).breach(DEVICE, &[own.parse().expect("an address")], &asked_for()) {
            None => "fine".to_owned(),
            Some(Breach::SameAddress { address, interface }) => format!("{interface} has {address}"),
            Some(Breach::Network { network, conflict }) => format!("{network} {conflict}"),
            Some(Breach::Route(route)) => format!("route {route}"),
        }
    }

    #[test]
    fn a_tunnels_own_network_diverts_nothing_that_was_elsewhere() {
        let subnet =
            |address: &str, length: u8| told(&format!(r#""local":"{address}","prefixlen":{length}"#), address, "");
        for (address, length, expected) in [
            ("10.99.0.10", 24, "fine"),
            ("100.64.0.10", 24, "fine"),
            ("10.130.0.1", 10, "fine"),
            ("10.255.255.54", 30, "10.255.255.52/30 contains this machine's resolver 10.255.255.53"),
            (
                "169.254.169.253",
                30,
                "169.254.169.252/30 has link-local addresses, which every network keeps for itself",
            ),
            ("10.0.0.130", 25, "10.0.0.128/25 overlaps the network 10.0.0.0/24 of `eth0`"),
            ("10.0.0.2", 30, "10.0.0.0/30 contains this machine's gateway 10.0.0.1"),
            ("172.17.9.1", 24, "172.17.9.0/24 overlaps the network 172.17.0.0/16 of `docker0`"),
            ("127.9.0.1", 24, "127.9.0.0/24 overlaps the network 127.0.0.0/8 of `lo`"),
            ("8.8.8.9", 8, "8.0.0.0/8 is not a private one"),
            ("8.8.8.9", 30, "8.8.8.8/30 is not a private one"),
            ("172.20.0.1", 12, "172.16.0.0/12 overlaps the network 172.17.0.0/16 of `docker0`"),
            ("10.96.0.1", 11, "10.96.0.0/11 is wider than /16"),
            ("10.77.5.2", 24, "10.77.5.0/24 overlaps the route `10.77.0.0/16 via 10.0.0.1 dev eth0` of this machine"),
            (
                "10.78.5.2",
                24,
                "10.78.5.0/24 overlaps the route `10.78.5.10 via 10.0.0.1 dev eth0 table 7` of this machine",
            ),
        ] {
            assert_eq!(subnet(address, length), expected, "{address}/{length}");
        }
        let link = |address: &str, peer: &str| {
            told(&format!(r#""local":"{address}","address":"{peer}","prefixlen":32"#), address, "")
        };
        assert_eq!(link("10.99.0.2", "10.99.0.1"), "fine");
        assert_eq!(
            link("10.99.0.2", "10.255.255.53"),
            "10.255.255.53/32 contains this machine's resolver 10.255.255.53"
        );
        // Its own address is reached nowhere else any more either.
        for (own, refusal) in [
            ("10.255.255.53", "10.255.255.53/32 contains this machine's resolver 10.255.255.53"),
            ("169.254.169.254", "169.254.169.254/32 has link-local addresses, which every network keeps for itself"),
            ("10.0.0.1", "10.0.0.1/32 contains this machine's gateway 10.0.0.1"),
            ("10.0.0.77", "10.0.0.77/32 overlaps the network 10.0.0.0/24 of `eth0`"),
            ("10.77.5.9", "10.77.5.9/32 overlaps the route `10.77.0.0/16 via 10.0.0.1 dev eth0` of this machine"),
            ("140.82.121.4", "140.82.121.4/32 is not a private one"),
        ] {
            assert_eq!(link(own, "10.99.0.1"), refusal, "{own}");
        }
        let six = |address: &str| told(&format!(r#""local":"{address}","prefixlen":64"#), address, "");
        assert_eq!(six("fd00:99::2"), "fine");
        assert_eq!(six("2001:4860:4860::2"), "2001:4860:4860::/64 is not a private one");
        assert_eq!(six("fe80::99"), "fe80::/64 has link-local addresses, which every network keeps for itself");
    }

    #[test]
    fn another_interface_with_the_tunnels_address_is_named() {
        assert_eq!(told(r#""local":"10.99.0.9","prefixlen":24"#, "10.99.0.9", ""), "wlan0 has 10.99.0.9");
    }

    #[test]
    fn only_what_was_asked_for_is_routed_into_the_tunnel() {
        let with = |route: &str| told(r#""local":"10.99.0.10","prefixlen":24"#, "10.99.0.10", &format!(",{route}"));
        for route in [
            r#"{"dst":"10.99.0.0/24","dev":"tun-ci-1","protocol":"kernel","scope":"link","flags":[]}"#,
            r#"{"dst":"192.168.60.17","gateway":"10.99.0.1","dev":"tun-ci-1","flags":[]}"#,
            r#"{"dst":"10.128.0.0/10","gateway":"10.99.0.1","dev":"tun-ci-1","flags":[]}"#,
            r#"{"type":"local","dst":"10.99.0.10","dev":"tun-ci-1","table":"local","flags":[]}"#,
            r#"{"type":"multicast","dst":"ff00::/8","dev":"tun-ci-1","table":"local","metric":256,"flags":[]}"#,
            r#"{"dst":"fe80::/64","dev":"tun-ci-1","metric":256,"flags":[]}"#,
        ] {
            assert_eq!(with(route), "fine", "{route}");
        }
        for (route, named) in [
            (r#"{"dst":"default","dev":"tun-ci-1","table":"77","flags":[]}"#, "route default dev tun-ci-1 table 77"),
            (r#"{"dst":"192.168.60.0/24","dev":"tun-ci-1","flags":[]}"#, "route 192.168.60.0/24 dev tun-ci-1"),
            (
                r#"{"dst":"0.0.0.0/1","flags":[],"nexthops":[{"dev":"eth0"},{"gateway":"10.99.0.1","dev":"tun-ci-1"}]}"#,
                "route 0.0.0.0/1 nexthop dev eth0 nexthop via 10.99.0.1 dev tun-ci-1",
            ),
            (r#"{"dst":"2000::/3","dev":"tun-ci-1","metric":1,"flags":[]}"#, "route 2000::/3 dev tun-ci-1 metric 1"),
        ] {
            assert_eq!(with(route), named);
        }
    }

    #[test]
    fn what_changed_outside_of_the_tunnel_is_named() {
        let tunnel = r#""local":"10.99.0.10","prefixlen":24"#;
        let before = node(tunnel, "");
        let changed = |routes: &str| before.difference(&node(tunnel, routes), DEVICE);
        assert_eq!(changed(""), None);
        for unchanged in [
            r#",{"dst":"192.168.60.17","dev":"tun-ci-1","flags":[]}"#,
            r#",{"dst":"10.3.0.0/16","dev":"veth99","flags":[]}"#,
            r#",{"type":"local","dst":"10.0.0.9","dev":"eth0","table":"local","flags":[]}"#,
        ] {
            assert_eq!(changed(unchanged), None, "{unchanged}");
        }
        assert_eq!(
            changed(r#",{"dst":"10.250.0.1","gateway":"10.0.0.1","dev":"eth0","flags":[]}"#).as_deref(),
            Some("the route `10.250.0.1 via 10.0.0.1 dev eth0` was added")
        );
        assert_eq!(
            changed(r#",{"dst":"default","gateway":"10.0.0.9","dev":"eth0","metric":5,"flags":[]}"#).as_deref(),
            Some(
                "the default route was `default via 10.0.0.1 dev eth0` and is `default via 10.0.0.1 dev eth0, default via \
                 10.0.0.9 dev eth0 metric 5`"
            )
        );
        let mut now = before.clone();
        now.routes.retain(|route| route.dst != "10.0.0.0/24");
        assert_eq!(before.difference(&now, DEVICE).as_deref(), Some("the route `10.0.0.0/24 dev eth0` is gone"));
        let now = Node { resolver: Some(b"nameserver 10.99.0.1".to_vec()), ..before.clone() };
        assert_eq!(before.difference(&now, DEVICE).as_deref(), Some("`/etc/resolv.conf` is not what it was"));
    }

    #[test]
    fn resolvers_are_read_as_the_c_library_reads_them() {
        let text = b"# nameserver 10.0.0.1\n nameserver 10.0.0.2 # ours\nnameserver\tfe80::1%eth0\nnameserver 127.0.0.53\n\xff\n";
        let found: Vec<String> = parse_resolvers(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["10.0.0.2", "fe80::1"]);
    }
}
