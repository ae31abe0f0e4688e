//! Servers to which no tunnel comes up, or one that is of no use: what is said of them.

use std::time::Duration;

use crate::Test;
use crate::network::Machines;

pub(crate) const TESTS: &[Test] = &[
    ("compression_that_the_server_pushes_is_named", compression_that_the_server_pushes_is_named),
    ("compression_that_only_the_profile_has_is_named", compression_that_only_the_profile_has_is_named),
    ("a_login_that_is_wanted_and_not_there_is_named", a_login_that_is_wanted_and_not_there_is_named),
    ("a_server_without_a_common_tls_version_is_named", a_server_without_a_common_tls_version_is_named),
    (
        "openvpn_itself_is_asked_about_the_profile_before_anything",
        openvpn_itself_is_asked_about_the_profile_before_anything,
    ),
    ("comments_of_a_profile_may_be_latin1", comments_of_a_profile_may_be_latin1),
    ("the_last_of_many_servers_gets_its_turn", the_last_of_many_servers_gets_its_turn),
    ("the_log_of_openvpn_is_shown_when_it_is_wanted", the_log_of_openvpn_is_shown_when_it_is_wanted),
];

fn compression_that_the_server_pushes_is_named() {
    let machines = Machines::new();
    machines.pushes("push \"compress lzo\"\n").serve("");
    let ended = machines.in_tunnel("true");
    ended.exits(3).says("the two ends do not agree on compression: OPTIONS ERROR: server pushed compression settings");
    assert!(ended.took < Duration::from_secs(8), "before the time is up\n{ended}");
}

/// The tunnel comes up, and what the server sends first, a ping, cannot be read.
fn compression_that_only_the_profile_has_is_named() {
    let machines = Machines::new();
    machines.serve("").pushes("");
    for line in ["comp-lzo", "comp-lzo no"] {
        machines.profile(line);
        let ended = machines.in_tunnel("sleep 50");
        ended.exits(3).says("the tunnel is lost").says("the two ends do not agree on compression: Bad ");
        ended.says("try: take `comp-lzo` or `compress` out of the profile");
    }
}

fn a_login_that_is_wanted_and_not_there_is_named() {
    let machines = Machines::new();
    machines.serve("--auth-user-pass-verify /bin/true via-env --script-security 3");
    machines.in_tunnel("true").exits(3).says("it asks for a user name and a password, or it does not accept");
    machines.profile("<auth-user-pass>\nci\nsecretpw1\n</auth-user-pass>\n").in_tunnel("true").exits(0);
}

fn a_server_without_a_common_tls_version_is_named() {
    let machines = Machines::new();
    machines.profile("tls-version-min 1.3\n").serve("--tls-version-max 1.2");
    machines.in_tunnel("true").exits(3).says("do both ends allow the same TLS versions and ciphers?");
}

/// Each of these OpenVPN 2.6 does not know, or not on Linux.
fn openvpn_itself_is_asked_about_the_profile_before_anything() {
    let machines = Machines::new();
    for command in [&["config", "check"][..], &["check"]] {
        for line in ["foobar 1", "tun-ipv6 yes", "max-routes many of them", "win-sys env", "key-method 1"] {
            machines.profile(&format!("{line}\n"));
            machines.teravm(command).exits(2).says("client.ovpn:5:1: the OpenVPN of this machine does not accept it: ");
        }
        machines.profile("ignore-unknown-option foobar\nfoobar 1\n");
        machines.teravm(command).does_not_say("does not accept it");
    }
}

fn comments_of_a_profile_may_be_latin1() {
    let machines = Machines::new();
    machines.serve("");
    let profile = [&b"# B\xfcro\n"[..], machines.read("client.ovpn").as_bytes()].concat();
    machines.write("client.ovpn", profile).in_tunnel("true").exits(0);
}

/// Nobody answers at the first ones.
fn the_last_of_many_servers_gets_its_turn() {
    let machines = Machines::new();
    machines.serve("");
    let dead: String = (1195..1200).map(|port| format!("remote 10.250.0.9 {port} udp\n")).collect();
    let last = "remote 10.250.0.1 1194 udp\n";
    let rest = "client\ndev tun\nnobind\n";
    machines.config("connect_timeout: 10s", "connect_timeout: 30s");
    machines.whole_profile(&format!("{rest}server-poll-timeout 1\n{dead}{last}"));
    let ended = machines.in_tunnel("true");
    ended.exits(0);
    assert!(ended.took < Duration::from_secs(20), "{ended}");
    let blocks: String =
        dead.lines().chain(last.lines()).map(|remote| format!("<connection>\n{remote}\n</connection>\n")).collect();
    machines.whole_profile(&format!("{rest}{blocks}"));
    machines.in_tunnel("true").exits(0);
}

fn the_log_of_openvpn_is_shown_when_it_is_wanted() {
    let machines = Machines::new();
    machines.serve("");
    machines.config("outage: 20s", "outage: 1s");
    for command in [&["vpn", "--", "true"][..], &["check"], &["lock"], &["ssh", "agw"], &["logs", "agw"]] {
        machines.teravm(command).does_not_say("Initialization Sequence Completed");
        machines.teravm(&[&["-v"], command].concat()).says("| Initialization Sequence Completed");
    }
}
