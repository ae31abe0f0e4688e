//! The surroundings of an upgrade fail: exit 3, the cause named, nothing touched.

use std::time::Duration;

use crate::Test;
use crate::lab::{self, Fault, fault, same, state};
use crate::night::{Told, teravm};

pub(crate) const TESTS: &[Test] = &[
    ("a_registry_that_refuses_the_login_touches_nothing", a_registry_that_refuses_the_login_touches_nothing),
    ("a_registry_that_fails_touches_nothing", a_registry_that_fails_touches_nothing),
    ("a_registry_that_is_down_touches_nothing", a_registry_that_is_down_touches_nothing),
    ("a_registry_that_loses_layers_touches_nothing", a_registry_that_loses_layers_touches_nothing),
    ("a_repository_that_is_down_touches_nothing", a_repository_that_is_down_touches_nothing),
    ("a_repository_that_fails_touches_nothing", a_repository_that_fails_touches_nothing),
    ("a_package_with_a_wrong_hash_touches_nothing", a_package_with_a_wrong_hash_touches_nothing),
    ("a_forged_index_touches_nothing", a_forged_index_touches_nothing),
    ("a_full_disk_of_the_agw_touches_nothing", a_full_disk_of_the_agw_touches_nothing),
    ("a_full_disk_of_a_feg_touches_nothing", a_full_disk_of_a_feg_touches_nothing),
    ("a_changed_host_key_is_refused_by_name", a_changed_host_key_is_refused_by_name),
    ("an_unknown_host_key_is_shown_and_refused", an_unknown_host_key_is_shown_and_refused),
    ("a_wrong_ssh_key_is_named", a_wrong_ssh_key_is_named),
    ("a_host_that_is_down_is_named", a_host_that_is_down_is_named),
    ("check_tells_all_that_is_broken", check_tells_all_that_is_broken),
];

/// What runs, by process and by start: the same after a night that touched nothing.
fn everything_that_runs() -> String {
    format!("{}{}{}", lab::processes(), lab::containers("feg1"), lab::containers("feg2"))
}

/// Runs a night to the newest release with a fault, and proves that nothing was touched.
fn untouched(broken: &[&str]) -> Told {
    lab::reset();
    let before = everything_that_runs();
    let broken: Fault = fault(broken);
    let told = teravm("run").run().exits(3);
    drop(broken);
    same("what runs", &before, &everything_that_runs());
    assert_eq!(lab::package("magma"), format!("ii {}", lab::OLD));
    let is_switched = |line: &str| line.split_whitespace().nth(1) == Some("upgraded");
    assert!(!told.stdout.lines().any(is_switched), "{told}");
    told
}

fn a_registry_that_refuses_the_login_touches_nothing() {
    untouched(&["registry-refuses"]).says("the registry does not say whether");
}

fn a_registry_that_fails_touches_nothing() {
    untouched(&["registry-500"]).says("the registry does not say whether");
}

fn a_registry_that_is_down_touches_nothing() {
    untouched(&["registry-down"]).says("the registry does not say whether").says("connection refused");
}

fn a_registry_that_loses_layers_touches_nothing() {
    untouched(&["registry-blobs"]).says("could not be pulled");
}

fn a_repository_that_is_down_touches_nothing() {
    untouched(&["repo-down"]).says("the package repository could not be read on `agw`");
}

fn a_repository_that_fails_touches_nothing() {
    untouched(&["repo-500"]).says("the package repository could not be read on `agw`");
}

fn a_package_with_a_wrong_hash_touches_nothing() {
    untouched(&["repo-wrong-hash"]).says("could not be fetched on `agw`");
}

fn a_forged_index_touches_nothing() {
    untouched(&["repo-forged"]).says("the package repository could not be read on `agw`");
}

fn a_full_disk_of_the_agw_touches_nothing() {
    untouched(&["disk-full", "agw"]).says("No space left on device");
}

fn a_full_disk_of_a_feg_touches_nothing() {
    untouched(&["disk-full", "feg1"]).says("MB are free at /var/lib/docker, and an upgrade needs at least");
}

fn a_changed_host_key_is_refused_by_name() {
    let _fault = fault(&["ssh-host-key", "feg2"]);
    teravm("test")
        .run()
        .exits(3)
        .says("cannot connect to `feg2`")
        .says("the host shows another key than the one we accept");
}

fn an_unknown_host_key_is_shown_and_refused() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let known = std::fs::read_to_string(state("known_hosts")).expect("the lab is up");
    let without: Vec<&str> = known.lines().filter(|line| !line.contains("192.168.60.17")).collect();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, without.join("\n") + "\n").expect("the folder is ours");
    teravm("test")
        .with("ssh.known_hosts", &path.display().to_string())
        .run()
        .exits(3)
        .says("cannot connect to `agw`")
        .says("the host's key is not among those we accept")
        .says("SHA256:");
}

fn a_wrong_ssh_key_is_named() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status()
        .expect("ssh-keygen is there");
    assert!(made.success());
    teravm("test")
        .with("ssh.key", &format!(r#"{{"file": "{}"}}"#, path.display()))
        .run()
        .exits(3)
        .says("cannot connect to `agw`")
        .says("the host does not let us in");
}

fn a_host_that_is_down_is_named() {
    let _fault = fault(&["host-down", "feg1"]);
    teravm("test")
        .with("ssh.connect_timeout", "4s")
        .run()
        .exits(3)
        .says("cannot connect to `feg1`")
        .within(Duration::from_secs(20));
}

fn check_tells_all_that_is_broken() {
    lab::reset();
    let _down = fault(&["host-down", "feg1"]);
    let _busy = fault(&["ng40-busy-text"]);
    let _repository = fault(&["repo-down"]);
    teravm("check")
        .with("ssh.connect_timeout", "4s")
        .run()
        .exits(3)
        .says("cannot connect to `feg1`")
        .says("NG40 is busy with a run that is not ours")
        .says("the package repository could not be read on `agw`")
        .says("3 failed, 1 skipped: a night would not run");
}
