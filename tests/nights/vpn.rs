//! The tunnel: what keeps it from coming up, said with its cause within its deadline, and what it leaves of the node's network.

use std::time::Duration;

use crate::Test;
use crate::dry_run;
use crate::lab::{self, state};
use crate::night::{Night, teravm};

pub(crate) const TESTS: &[Test] = &[
    ("a_wrong_vpn_password_is_named", a_wrong_vpn_password_is_named),
    ("a_server_of_another_authority_is_refused", a_server_of_another_authority_is_refused),
    ("a_silent_server_is_named_at_the_deadline", a_silent_server_is_named_at_the_deadline),
    ("a_server_whose_name_does_not_resolve_is_named", a_server_whose_name_does_not_resolve_is_named),
    (
        "a_profile_that_would_run_a_program_is_refused_before_anything",
        a_profile_that_would_run_a_program_is_refused_before_anything,
    ),
    ("an_encrypted_key_is_opened_with_its_passphrase", an_encrypted_key_is_opened_with_its_passphrase),
    ("a_command_runs_in_the_tunnel_and_its_status_is_ours", a_command_runs_in_the_tunnel_and_its_status_is_ours),
    ("the_node_keeps_its_routes_while_the_tunnel_is_up", the_node_keeps_its_routes_while_the_tunnel_is_up),
    ("a_user_who_may_sudo_gets_a_tunnel", a_user_who_may_sudo_gets_a_tunnel),
    ("openvpn_dies_with_a_program_that_is_killed", openvpn_dies_with_a_program_that_is_killed),
    (
        "a_tunnel_that_is_lost_for_good_leaves_the_cases_unknown",
        a_tunnel_that_is_lost_for_good_leaves_the_cases_unknown,
    ),
    ("check_finds_a_testbed_that_is_ready_and_leaves_no_file", check_finds_a_testbed_that_is_ready),
    ("check_looks_for_what_a_run_of_the_setup_would_do", check_looks_for_what_a_run_of_the_setup_would_do),
];

fn with_profile(words: &str, profile: &str) -> Night {
    teravm(words)
        .with("vpn.profile", &format!(r#"{{"file": "{}"}}"#, state(profile).display()))
        .with("vpn.connect_timeout", "6s")
}

fn a_wrong_vpn_password_is_named() {
    teravm("test")
        .env("TERAVM_VPN_PASSWORD", "not the password")
        .run()
        .exits(3)
        .says("the server refuses the user name or the password")
        .within(Duration::from_secs(10));
}

fn a_server_of_another_authority_is_refused() {
    with_profile("test", "client-wrong-ca.ovpn")
        .run()
        .exits(3)
        .says("the server's certificate is not accepted")
        .within(Duration::from_secs(10));
}

fn a_silent_server_is_named_at_the_deadline() {
    with_profile("test", "client-silent.ovpn")
        .run()
        .exits(3)
        .says("the server does not answer")
        .within(Duration::from_secs(12));
}

fn a_server_whose_name_does_not_resolve_is_named() {
    with_profile("test", "client-unresolvable.ovpn")
        .run()
        .exits(3)
        .says("the server's name does not resolve")
        .within(Duration::from_secs(18));
}

fn a_profile_that_would_run_a_program_is_refused_before_anything() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("careless.ovpn");
    let profile = std::fs::read_to_string(state("client.ovpn")).expect("the lab is up");
    std::fs::write(&path, format!("# Ours.\nup /etc/openvpn/update-resolv-conf\n{profile}"))
        .expect("the folder is ours");
    teravm("test")
        .with("vpn.profile", &format!(r#"{{"file": "{}"}}"#, path.display()))
        .run()
        .exits(2)
        .says("careless.ovpn:2:1: `up` would run a program as root on this machine; remove it");
    with_profile("test", "client-up.ovpn").run().exits(2).says("would let OpenVPN run programs as root");
}

fn an_encrypted_key_is_opened_with_its_passphrase() {
    with_profile("vpn -- true", "client-encrypted.ovpn")
        .with("vpn.key_passphrase", r#"{"env": "TERAVM_VPN_KEY_PASSPHRASE"}"#)
        .run()
        .exits(0);
}

fn a_command_runs_in_the_tunnel_and_its_status_is_ours() {
    let key = state("ssh/id_ed25519");
    let known = state("known_hosts");
    let words = format!(
        "vpn -- ssh -i {} -o UserKnownHostsFile={} -o BatchMode=yes magma@192.168.60.17 exit 42",
        key.display(),
        known.display()
    );
    teravm(&words).run().exits(42);
}

fn the_node_keeps_its_routes_while_the_tunnel_is_up() {
    let before = lab::network();
    let mut night = teravm("test").list("silent.ntl").start();
    night.until("case_started");
    let during = lab::network();
    let added: Vec<&str> = during.lines().filter(|line| !before.contains(line)).collect();
    for line in before.lines() {
        assert!(during.contains(line), "gone while the tunnel is up: {line}");
    }
    assert!(added.iter().all(|line| line.contains("dev tun")), "added: {added:?}");
    assert!(added.iter().any(|line| line.starts_with("192.168.60.0/24")), "added: {added:?}");
    night.signal("-INT");
    night.end().exits(130);
}

fn a_user_who_may_sudo_gets_a_tunnel() {
    teravm("vpn -- id -u")
        .with("vpn.profile", &format!(r#"{{"file": "{}"}}"#, state("user/client.ovpn").display()))
        .with("ssh.key", &format!(r#"{{"file": "{}"}}"#, state("user/.ssh/id_ed25519").display()))
        .run_by_user()
        .run()
        .exits(0)
        .says("tunnel up");
}

fn openvpn_dies_with_a_program_that_is_killed() {
    let mut night =
        teravm("test").list("hang.ntl").with("lock.expire", "3s").with("lock.renew", "1s").may_leave_things().start();
    night.until("case_started");
    night.signal("-KILL");
    let told = night.end();
    assert_eq!(told.code, None);
    lab::wait_for("openvpn's end", Duration::from_secs(10), || !lab::processes_of_the_node().contains("openvpn"));
    assert!(told.left_behind().contains("teravm-ci-"), "it had no time to tidy up: {}", told.left_behind());
    // The next start sweeps what the killed one left on this machine; NG40 may still be busy with its run.
    teravm("lock status").in_the_place_of(&told).run().exits(0);
    assert_eq!(told.left_behind(), "");
    lab::reset();
}

/// NG40 goes on with its list, and nobody sees it.
fn a_tunnel_that_is_lost_for_good_leaves_the_cases_unknown() {
    let night = teravm("test").list("steady.ntl").with("vpn.outage", "2s").with("ssh.connect_timeout", "4s");
    let mut night = night.with("ssh.keepalive", "1s").may_leave_things().start();
    night.until("case_started");
    let fault = lab::fault(&["vpn-down"]);
    let told = night.end().exits(3).says("the tunnel is lost");
    drop(fault);
    let last = told.case("(case 10 of 10)");
    assert!(last.starts_with("error: unknown: the connection was lost after "), "{last}\n{told}");
}

fn check_finds_a_testbed_that_is_ready() {
    lab::reset();
    // As on a testbed that no run has ever had.
    lab::on("ng40", "rm -rf /home/ng40/.teravm-ci");
    let before = dry_run::state();
    let told = teravm("check").run().exits(0).says("all fine: a night could run");
    told.says(&format!("`latest` is {}", lab::NEWEST));
    teravm("lock").run().exits(0).says("lab: free");
    lab::same("the testbed", &before, &dry_run::state());
}

fn check_looks_for_what_a_run_of_the_setup_would_do() {
    let check = || teravm("check").with("suites.elsewhere", r#"{"list": "of-another-setup.ntl"}"#);
    check().with("setups.lab.suites", r#"["s6a"]"#).run().exits(0);
    check().run().exits(3).says("of-another-setup.ntl` is not on NG40");
    // The newest package has no images, and nothing older may be taken.
    teravm("check")
        .with("release.max_behind", "1m")
        .run()
        .exits(3)
        .says("no complete release is younger than 1m")
        .says("the newest complete release is 1.9.1-1668500000-5d2e8f90, built 1d1h before 1.9.1-1668590000-77c0ffee");
}
