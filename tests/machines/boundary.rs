//! What a server may not do to the machine that it is used on.

use crate::Test;
use crate::network::Machines;

pub(crate) const TESTS: &[Test] = &[
    (
        "nothing_but_what_a_tunnel_needs_is_taken_from_the_server",
        nothing_but_what_a_tunnel_needs_is_taken_from_the_server,
    ),
    ("a_long_list_of_pushes_is_read_to_its_end", a_long_list_of_pushes_is_read_to_its_end),
    ("a_network_that_would_divert_something_is_refused", a_network_that_would_divert_something_is_refused),
    ("a_network_that_is_given_at_a_reconnect_is_checked_too", a_network_that_is_given_at_a_reconnect_is_checked_too),
    ("a_network_that_the_profile_brings_is_checked_too", a_network_that_the_profile_brings_is_checked_too),
    ("an_address_that_another_tunnel_has_is_named", an_address_that_another_tunnel_has_is_named),
    ("no_ipv6_is_taken_unless_a_host_needs_it", no_ipv6_is_taken_unless_a_host_needs_it),
    ("a_bridge_is_refused", a_bridge_is_refused),
];

/// Each would change this machine or end the tunnel if OpenVPN heard of it, in quotation marks and without.
fn nothing_but_what_a_tunnel_needs_is_taken_from_the_server() {
    let machines = Machines::new();
    let options = [
        "verb 9",
        "mute 1",
        "ping-exit 1",
        "inactive 1",
        "session-timeout 1",
        "explicit-exit-notify 9",
        "redirect-gateway def1",
        "redirect-private def1",
        "route 10.66.0.0 255.255.0.0",
        "route-ipv6 2000::/3",
        "dhcp-option DNS 10.99.1.1",
        "dns server 0 address 10.99.1.1",
        "block-ipv6",
        "block-outside-dns",
        "client-nat snat 10.99.1.2 255.255.255.255 10.66.0.1",
        "setenv LD_PRELOAD /tmp/x.so",
        "echo hello",
        "sndbuf 1",
        "persist-key",
        "socket-flags TCP_NODELAY",
    ];
    let pushes: String = options
        .iter()
        .flat_map(|option| {
            let (name, rest) = option.split_once(' ').unwrap_or((option, ""));
            [
                format!("push \"{option}\"\n"),
                format!("push \"\\\"{name}\\\" {rest}\"\n"),
                format!("push \"'{name}' {rest}\"\n"),
                format!("push \" {option}\"\n"),
                format!("push \"--{option}\"\n"),
            ]
        })
        .collect();
    machines.pushes(&pushes).serve("");
    let before = machines.on_client("ip route show table all; ip -6 route show table all; cat /etc/resolv.conf");
    let script = "sleep 3; ip route show table all; ip -6 route show table all; cat /etc/resolv.conf";
    let ended = machines.teravm(&["vpn", "-v", "--", "sh", "-c", script]);
    ended.exits(0).does_not_say("CIPHER KEY").does_not_say("Options error");
    for line in before.lines() {
        assert!(ended.stdout.contains(line), "gone: {line}\n{ended}");
    }
    for line in ended.stdout.lines().filter(|line| !before.contains(line)) {
        let ours = ["192.168.60.17 ", "192.168.60.111 ", "192.168.60.10 ", "10.99.1.0/24 "];
        let by_address = ["local ", "broadcast ", "multicast ", "fe80::/64 "];
        let is_ours = ours.into_iter().any(|start| line.starts_with(start)) && line.contains(" dev tun-ci-");
        assert!(is_ours || by_address.into_iter().any(|start| line.starts_with(start)), "added: {line}\n{ended}");
    }
}

/// A list that does not fit into one message comes in several, and whether there is more is an option too.
fn a_long_list_of_pushes_is_read_to_its_end() {
    let machines = Machines::new();
    let routes: String = (0..120).map(|number| format!("push \"route 10.66.{number}.0 255.255.255.0\"\n")).collect();
    machines.pushes(&format!("{routes}ifconfig-push 10.99.1.77 255.255.255.0\n")).serve("");
    let ended = machines.in_tunnel("ip -4 -o address show; ip route");
    ended.exits(0);
    assert!(ended.stdout.contains("10.99.1.77/24"), "{ended}");
    assert!(!ended.stdout.contains("10.66."), "{ended}");
}

/// Pushes, and what is said of them.
const NETWORKS: [(&str, &str); 9] = [
    (
        "push \"route-gateway 10.255.255.53\"\nifconfig-push 10.255.255.54 255.255.255.252",
        "the tunnel's own network 10.255.255.52/30 contains this machine's resolver 10.255.255.53",
    ),
    (
        "push \"route-gateway 8.8.8.10\"\nifconfig-push 8.8.8.9 255.0.0.0",
        "the tunnel's own network 8.0.0.0/8 is not a private one",
    ),
    (
        "push \"route-gateway 169.254.169.254\"\nifconfig-push 169.254.169.253 255.255.255.252",
        "the tunnel's own network 169.254.169.252/30 has link-local addresses, which every network keeps for itself",
    ),
    (
        "push \"route-gateway 10.250.0.131\"\nifconfig-push 10.250.0.130 255.255.255.128",
        "the tunnel's own network 10.250.0.128/25 overlaps the network 10.250.0.0/24 of `out`",
    ),
    (
        "push \"topology p2p\"\npush \"route-gateway 10.255.255.53\"\nifconfig-push 10.99.0.2 10.255.255.53",
        "the tunnel's own network 10.255.255.53/32 contains this machine's resolver 10.255.255.53",
    ),
    (
        "push \"topology p2p\"\nifconfig-push 10.255.255.53 10.99.1.1",
        "the tunnel's own network 10.255.255.53/32 contains this machine's resolver 10.255.255.53",
    ),
    (
        "push \"topology p2p\"\nifconfig-push 140.82.121.4 10.99.1.1",
        "the tunnel's own network 140.82.121.4/32 is not a private one",
    ),
    (
        "push \"route-gateway 10.77.5.1\"\nifconfig-push 10.77.5.2 255.255.255.0",
        "the tunnel's own network 10.77.5.0/24 overlaps the route `10.77.0.0/16 via 10.250.0.1 dev out` of this machine",
    ),
    (
        "push \"route-gateway 10.96.0.1\"\nifconfig-push 10.96.0.2 255.224.0.0",
        "the tunnel's own network 10.96.0.0/11 is wider than /16",
    ),
];

fn a_network_that_would_divert_something_is_refused() {
    let machines = Machines::new();
    machines.serve("");
    machines.on_client("ip route add 10.77.0.0/16 via 10.250.0.1");
    for (pushes, refusal) in NETWORKS {
        machines.pushes(&format!("push-reset\npush \"topology subnet\"\npush \"ping 10\"\n{pushes}\n"));
        machines.in_tunnel("true").exits(3).says(refusal).does_not_say("tunnel up");
    }
}

fn a_network_that_is_given_at_a_reconnect_is_checked_too() {
    let machines = Machines::new();
    let soon = "push \"ping 1\"\npush \"ping-restart 3\"\n";
    machines.pushes(soon).serve("");
    let night = machines.start(&["vpn", "--", "sleep", "50"]);
    night.until_said("tunnel up");
    machines.kill_server();
    machines.pushes(&format!("{soon}{}\n", NETWORKS[0].0)).serve("");
    night.end().exits(3).says("the tunnel is lost").says(NETWORKS[0].1);
}

fn a_network_that_the_profile_brings_is_checked_too() {
    let machines = Machines::new();
    machines.serve_one("--ifconfig 10.255.255.53 255.255.255.252");
    let own = "tls-client\ndev tun\nremote 10.250.0.1 1194\nnobind\ntopology subnet\n\
               ifconfig 10.255.255.54 255.255.255.252\nroute-gateway 10.255.255.53\n";
    machines.whole_profile(own);
    machines.in_tunnel("true").exits(3).says(NETWORKS[0].1);
}

fn an_address_that_another_tunnel_has_is_named() {
    let machines = Machines::new();
    machines.pushes("ifconfig-push 10.99.1.77 255.255.255.0\n").serve("");
    machines
        .on_client("ip tuntap add dev tun0 mode tun && ip address add 10.99.1.77/24 dev tun0 && ip link set tun0 up");
    let ended = machines.in_tunnel("true");
    ended.exits(3).says("the tunnel's address 10.99.1.77 is in use on this machine already, by `tun0`");
    machines.on_client("ip address flush dev tun0");
    machines.in_tunnel("true").exits(0);
}

fn no_ipv6_is_taken_unless_a_host_needs_it() {
    let machines = Machines::new();
    machines.serve("--server-ipv6 fd00:99::/64");
    let addresses = "ip -6 -o address show scope global";
    let ended = machines.in_tunnel(addresses);
    ended.exits(0);
    assert_eq!(ended.stdout, "", "{ended}");
    machines.config("ng40: 192.168.60.10", "ng40: fd00:60::10");
    let ended = machines.in_tunnel(&format!("{addresses}; ip route get fd00:60::10"));
    ended.exits(0);
    assert!(ended.stdout.contains("fd00:99::") && ended.stdout.contains("fd00:60::10 from :: dev tun-ci-"), "{ended}");
    machines.config("ng40: fd00:60::10", "ng40: 192.168.60.10");
    machines.on_client(
        "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6",
    );
    machines.in_tunnel("true").exits(0);
}

/// On a bridge the server could announce an IPv6 router, and the kernel would believe it.
fn a_bridge_is_refused() {
    let machines = Machines::new();
    machines.whole_profile("client\ndev tap\nremote 10.250.0.1 1194\n");
    machines.in_tunnel("true").exits(2).says("client.ovpn:2:1: `dev tap`");
}
