//! The upgrade in two phases: forward whole, or back whole.

use std::time::Duration;

use crate::Test;
use crate::dry_run;
use crate::lab::{self, NEWEST, OLD, fault, same};
use crate::night::{Night, Told, teravm};

pub(crate) const TESTS: &[Test] = &[
    ("a_release_without_an_image_is_refused_before_any_service_is_touched", a_release_without_an_image_is_refused),
    ("a_release_that_is_nowhere_is_refused", a_release_that_is_nowhere_is_refused),
    (
        "a_release_that_needs_a_new_key_is_refused_before_any_service_is_touched",
        a_release_that_needs_a_new_key_is_refused,
    ),
    ("a_package_whose_postinst_fails_is_taken_back", a_package_whose_postinst_fails_is_taken_back),
    ("containers_that_exit_again_and_again_take_the_release_back", containers_that_exit_again_and_again),
    ("what_ran_runs_again_although_the_env_names_what_never_ran", what_ran_runs_again),
    ("a_night_that_is_killed_while_it_switches_is_recovered_by_the_next", a_night_that_is_killed_while_it_switches),
    (
        "a_night_that_is_killed_while_it_closes_its_switch_has_switched_all",
        a_night_that_is_killed_while_it_closes_its_switch,
    ),
    ("the_first_night_is_as_its_dry_run_and_takes_the_newest_complete_release", the_first_night_is_as_its_dry_run),
    ("the_second_night_leaves_everything_alone", the_second_night_leaves_everything_alone),
    ("a_dry_run_tells_that_all_is_there_already", dry_run::a_dry_run_tells_that_all_is_there_already),
    ("a_dry_run_tells_what_it_can_where_a_host_is_down", dry_run::a_dry_run_tells_what_it_can_where_a_host_is_down),
    // Where the gateways are at the newest release already, so that it costs no switch more.
    ("every_command_of_the_pages_does_what_it_says", crate::pages::every_command_does_what_it_says),
    ("a_tag_that_has_moved_is_an_upgrade", a_tag_that_has_moved_is_an_upgrade),
    ("a_gateway_with_compose_v2_goes_forward_and_back_as_others_do", a_gateway_with_compose_v2_goes_forward_and_back),
    ("a_compose_file_that_only_v1_reads_goes_forward_and_back_by_v1", a_compose_file_that_only_v1_reads),
    (
        "a_compose_file_that_no_compose_there_reads_is_refused_before_any_service_is_touched",
        a_compose_file_that_no_compose_there_reads,
    ),
    ("a_missing_tag_is_understood_in_every_registrys_words", a_missing_tag_is_understood),
    ("latest_never_goes_back", latest_never_goes_back),
    ("a_host_on_which_no_upgrade_would_work_is_not_touched", a_host_on_which_no_upgrade_would_work_is_not_touched),
    ("a_disk_that_fills_breaks_both_directions_and_is_not_mixed", a_disk_that_fills_breaks_both_directions),
    ("a_release_without_a_unit_is_not_asked_for_it", a_release_without_a_unit_is_not_asked_for_it),
    ("a_unit_of_the_packages_that_dies_takes_the_release_back", a_unit_of_the_packages_that_dies),
    ("a_commit_is_not_found_in_a_time_stamp", a_commit_is_not_found_in_a_time_stamp),
];

/// What takes more than a minute and has its like above or among the faults: for when there is time for everything.
pub(crate) const LONG: &[Test] = &[
    ("a_unit_that_is_still_starting_is_waited_for", a_unit_that_is_still_starting_is_waited_for),
    ("a_unit_that_does_not_come_up_again_after_its_restart_takes_the_release_back", a_unit_that_does_not_restart),
    ("a_service_that_dies_after_a_second_takes_the_release_back", a_service_that_dies_after_a_second),
    ("a_service_that_dies_after_twenty_seconds_takes_the_release_back", a_service_that_dies_after_twenty_seconds),
    ("images_that_were_pruned_come_from_the_registry_again", images_that_were_pruned_come_from_the_registry_again),
];

/// Everything that a site cares about: what runs, from which images, with which files, and what is broken already.
fn state() -> String {
    [
        lab::package("magma"),
        lab::package("magma-sctpd"),
        lab::failed_units(),
        lab::conffiles(),
        lab::images("feg1"),
        lab::images("feg2"),
        lab::site_files("feg1"),
        lab::site_files("feg2"),
    ]
    .join("\n")
}

fn running() -> String {
    format!("{}{}{}", lab::processes(), lab::containers("feg1"), lab::containers("feg2"))
}

/// A night to a named release that cannot be had or does not work, from the first state. All is as it was, and as healthy.
fn taken_back(night: Night) -> Told {
    lab::reset();
    back_at(&state(), night)
}

/// The same, without one service being touched.
fn refused(night: Night) -> Told {
    lab::reset();
    let before = running();
    let told = back_at(&state(), night);
    same("what runs", &before, &running());
    told
}

fn back_at(before: &str, night: Night) -> Told {
    let told = night.run().exits(4);
    same("the site", before, &state());
    for gateway in ["agw", "feg1", "feg2"] {
        assert_eq!(lab::on(gateway, "ls /var/lib/teravm-ci/intent.json 2>/dev/null || true"), "", "{told}");
    }
    assert!(told.case_of_pipeline("test").is_none_or(|told| told == "skipped"), "{told}");
    told
}

fn a_release_without_an_image_is_refused() {
    refused(teravm("run --tag 77c0ffee"))
        .says("the release 1.9.1-1668590000-77c0ffee is not complete")
        .says("the registry does not have `192.168.60.10:5000/gateway_python:77c0ffee`");
}

fn a_release_that_is_nowhere_is_refused() {
    refused(teravm("run --tag deadbeef")).says("the repository offers no release `deadbeef`");
}

fn a_release_that_needs_a_new_key_is_refused() {
    refused(teravm("run --tag ee50f005"))
        .says("compose refuses the compose file of 1.9.0-1667000500-ee50f005")
        .says("MAGMA_NEW_KEY");
}

/// To the newest complete release, with the newest `magma-sctpd` that was not built after it.
const AGW_UPGRADED: &str = "agw upgraded 1.8.0-1655110000-3f7c21ab -> 1.9.1-1668500000-5d2e8f90 \
                            (magma-sctpd 1.8.0-1655110000-3f7c21ab -> 1.9.1-1668400000-4b1d00d5)";

/// What a testbed with one FEG says: switching the other one takes this machine as long again, and shows nothing new.
const BOTH_BACK: &[&str] = &["agw restored to 1.8.0-1655110000-3f7c21ab", "feg1 restored to 3f7c21ab"];

fn a_package_whose_postinst_fails_is_taken_back() {
    lab::reset();
    // The release brings this file too.
    lab::on("agw", "echo put here by hand >/usr/local/share/magma/site");
    let night = teravm("run --tag aa10f001").with_one_feg();
    back_at(&state(), night).left(BOTH_BACK).says("activate failed on `agw`");
    assert_eq!(lab::on("agw", "cat /usr/local/share/magma/site").trim(), "put here by hand");
}

fn a_service_that_dies_after_a_second() {
    taken_back(teravm("run --tag bb20f002").with_one_feg().with("verify.stable", "4s").with("verify.timeout", "20s"))
        .left(BOTH_BACK)
        .says("`agw` is not healthy on 1.9.0-1667000200-bb20f002")
        .says("magma@mme.service");
}

fn a_service_that_dies_after_twenty_seconds() {
    taken_back(teravm("run --tag cc30f003").with_one_feg().with("verify.stable", "25s").with("verify.timeout", "32s"))
        .left(BOTH_BACK)
        .says("`agw` is not healthy on 1.9.0-1667000300-cc30f003")
        .says("magma@mme.service");
    // This release brings a service of its own, which nothing that is there now fits.
    let brought = "for what in is-active is-enabled; do systemctl $what magma@extra 2>/dev/null; done; true";
    assert_eq!(lab::on("agw", brought), "inactive\ndisabled\n");
}

fn containers_that_exit_again_and_again() {
    taken_back(teravm("run --tag dd40f004").with_one_feg().with("verify.stable", "4s").with("verify.timeout", "12s"))
        .left(BOTH_BACK)
        .says("is not healthy on 1.9.0-1667000400-dd40f004");
}

/// As magmad's own upgrader leaves it, when the cron job that finishes its work has not come yet.
fn what_ran_runs_again() {
    lab::reset();
    // It comes every five minutes.
    lab::on("feg1", "systemctl stop cron");
    lab::strike(&["magmad-upgrades", "feg1"]);
    back_at(&state(), teravm("upgrade --tag aa10f001").with_one_feg()).left(BOTH_BACK);
}

fn a_night_that_is_killed_while_it_switches() {
    lab::reset();
    let mut night = teravm("run").with("lock.expire", "3s").with("lock.renew", "1s").may_leave_things().start();
    night.until(r#""event":"step_started","step":"activate","host":"feg2""#);
    for (host, job) in [("agw", "apt-get"), ("feg1", "up -d"), ("feg2", "up -d")] {
        lab::wait_for("the switch to begin", Duration::from_secs(60), || {
            lab::on(host, "cat /var/lib/teravm-ci/intent.json 2>/dev/null; ps -ef").contains(job)
        });
    }
    night.signal("-KILL");
    let killed = night.end();
    assert_eq!(killed.code, None);
    let told = teravm("check").may_leave_things().run().exits(3);
    let told =
        told.says("ended, or was ended, while it switched this gateway to 1.9.1-1668500000-5d2e8f90; the next run");
    drop(told);
    let told = teravm("run --wait 1m")
        .with("lock.expire", "3s")
        .with("lock.renew", "1s")
        .in_the_place_of(&killed)
        .run()
        .exits(0);
    assert!(told.stderr.contains("brought back to"), "{told}");
    let told = told.left(&[AGW_UPGRADED, "feg1 upgraded 3f7c21ab -> 5d2e8f90", "feg2 upgraded 3f7c21ab -> 5d2e8f90"]);
    assert_eq!(lab::package("magma"), format!("ii {NEWEST}"), "{told}");
}

/// All gateways run the release, and only some know it: the others do not go back.
fn a_night_that_is_killed_while_it_closes_its_switch() {
    lab::reset();
    let hurried = |words| teravm(words).with_one_feg().with("lock.expire", "3s").with("lock.renew", "1s");
    let mut night = hurried("upgrade").may_leave_things().start();
    night.until(r#""event":"step_started","step":"verify""#);
    let is_open = |host| !lab::on(host, "ls /var/lib/teravm-ci/intent.json 2>/dev/null || true").is_empty();
    lab::on("feg1", "setsid -f flock /var/lib/teravm-ci/guard sleep 300 >/dev/null 2>&1 </dev/null");
    lab::wait_for("the AGW's switch to be closed", Duration::from_secs(60), || !is_open("agw"));
    assert!(is_open("feg1"), "somebody holds its guard");
    night.signal("-KILL");
    let killed = night.end();
    // As long as not all of them can say how it ended, nothing is done.
    let state = "/var/lib/teravm-ci";
    lab::on("agw", &format!("mount --bind {state} {state} && mount -o remount,bind,ro {state}"));
    let told = hurried("upgrade --wait 1m").in_the_place_of(&killed).run().exits(5);
    let told = told.says("`feg1` was left in mid-switch, and stays so for now");
    lab::on("agw", &format!("umount {state}"));
    lab::on("feg1", "kill $(pgrep -f '[s]leep 300')");
    assert!(is_open("feg1"), "{told}");
    let told = hurried("test").list("working_testplan_gxgy_CI_run.ntl").run().exits(0);
    let told = told.says("feg1: keeps 1.9.1-1668500000-5d2e8f90: all gateways had come to it");
    assert!(["agw", "feg1"].into_iter().all(|host| !is_open(host)), "{told}");
    assert_eq!(lab::package("magma"), format!("ii {NEWEST}"), "{told}");
    let told = hurried("upgrade").run().exits(0);
    assert!(told.gateways().iter().all(|gateway| gateway.contains("unchanged")), "{told}");
}

fn the_first_night_is_as_its_dry_run() {
    lab::reset();
    let foretold = dry_run::foretell();
    let (cron, units) = (lab::on("feg1", "cat /etc/cron.d/recreate_services_cron"), lab::failed_units());
    let told = teravm("run")
        .run()
        .exits(0)
        .says("passed over 1.9.1-1668590000-77c0ffee")
        .says("the registry does not have `192.168.60.10:5000/gateway_python:77c0ffee`")
        .left(&[AGW_UPGRADED, "feg1 upgraded 3f7c21ab -> 5d2e8f90", "feg2 upgraded 3f7c21ab -> 5d2e8f90"]);
    foretold.is_what_was_heard(&told);
    assert_eq!(lab::package("magma"), format!("ii {NEWEST}"));
    assert_eq!(lab::package("magma-sctpd"), "ii 1.9.1-1668400000-4b1d00d5");
    assert_eq!(lab::failed_units(), units, "what was failed before is failed, and nothing else");
    for feg in ["feg1", "feg2"] {
        let images = lab::images(feg);
        assert_eq!(images.lines().count(), 2, "{images}");
        assert!(images.lines().all(|line| line.contains(":5d2e8f90 ")), "{images}");
        assert_eq!(lab::on(feg, "cat /etc/cron.d/recreate_services_cron"), cron, "the cron is back");
        assert_eq!(lab::on(feg, "docker ps -q | wc -l").trim(), "16");
    }
    let difference = told.read("hosts/agw/conffiles.diff");
    assert!(difference.contains("--- before/etc/magma/pipelined.yml"), "{difference}");
    let junit = told.junit();
    for step in ["connect", "lock", "resolve", "prepare agw", "activate feg1", "verify feg2", "unlock", "disconnect"] {
        assert_eq!(junit.get(&format!("pipeline {step}")).map(String::as_str), Some(""), "{junit:?}");
    }
    assert_eq!(told.cases().values().filter(|told| *told == "passed").count(), 8, "{told}");
}

/// Follows the first night: the gateways are at the newest release.
fn the_second_night_leaves_everything_alone() {
    let before = running();
    let told = teravm("run").run().exits(0).left(&[
        "agw unchanged at 1.9.1-1668500000-5d2e8f90",
        "feg1 unchanged at 5d2e8f90",
        "feg2 unchanged at 5d2e8f90",
    ]);
    same("what runs", &before, &running());
    assert!(!told.results.join("hosts/agw/conffiles.diff").exists(), "the first night's difference is not this one's");
    assert_eq!(told.cases().len(), 8, "{told}");
}

/// Once nothing runs them any more, the images that ran are an operator's to prune; and their tag may mean others by now.
fn images_that_were_pruned_come_from_the_registry_again() {
    let before = lab::images("feg1");
    let hurried = |words| teravm(words).with("lock.expire", "3s").with("lock.renew", "1s");
    let mut night = hurried("upgrade --tag bb20f002").may_leave_things().start();
    night.until(r#""event":"step_started","step":"verify""#);
    night.signal("-KILL");
    let killed = night.end();
    lab::strike(&["operator-prunes", "feg1"]);
    let _moved = fault(&["retag", "5d2e8f90"]);
    assert_eq!(lab::on("feg1", "docker images -q --filter reference='*/*:5d2e8f90'"), "", "they are gone");
    let told = hurried("upgrade --tag aa10f001 --wait 1m").in_the_place_of(&killed).run().exits(4);
    let told = told.says("feg1: brought back to 5d2e8f90 after a run that died in mid-switch").left(&[
        "agw restored to 1.9.1-1668500000-5d2e8f90",
        "feg1 restored to 5d2e8f90",
        "feg2 restored to 5d2e8f90",
    ]);
    assert_eq!(lab::images("feg1"), before, "{told}");
}

fn a_tag_that_has_moved_is_an_upgrade() {
    let before = lab::images("feg1");
    let _moved = fault(&["retag", "5d2e8f90"]);
    let told = teravm("upgrade").run().exits(0);
    let gateways = told.gateways();
    assert_eq!(gateways[0], "agw unchanged at 1.9.1-1668500000-5d2e8f90", "{told}");
    for gateway in &gateways[1..] {
        assert!(gateway.contains("upgraded 5d2e8f90 (") && gateway.ends_with("-> 5d2e8f90"), "{gateway}\n{told}");
    }
    assert_ne!(lab::images("feg1"), before, "{told}");
    assert_eq!(lab::images("feg1"), lab::images("feg2"), "{told}");
}

fn a_gateway_with_compose_v2_goes_forward_and_back() {
    lab::reset();
    let compose = fault(&["compose-v2", "feg1"]);
    let before = state();
    let upgrade = |words| teravm(words).with_one_feg();
    upgrade("upgrade --tag dd40f004")
        .with("verify.stable", "4s")
        .with("verify.timeout", "20s")
        .run()
        .exits(4)
        .left(BOTH_BACK);
    same("the site", &before, &state());
    // What was pulled for the one before is not kept; what was there before us is. Where what is kept cannot be noted, the
    // switch is closed all the same.
    lab::on("agw", "mkdir /var/lib/teravm-ci/brought.new");
    let told = upgrade("upgrade").with("release.keep", "1").run().exits(0);
    let told = told.left(&[AGW_UPGRADED, "feg1 upgraded 3f7c21ab -> 5d2e8f90"]);
    let told = told.says("agw: what earlier releases have left could not be removed: ");
    let told = told.says("removed, of releases that are no longer kept (`release.keep`): 192.168.60.10:5000/gateway_");
    let tags = "docker images --format '{{.Tag}}' | sort | uniq -c";
    assert_eq!(lab::on("feg1", tags), "      2 3f7c21ab\n      2 5d2e8f90\n", "{told}");
    assert!(lab::images("feg1").lines().all(|line| line.contains(":5d2e8f90 ")));
    let running = running();
    let told = upgrade("upgrade").run().exits(0);
    assert!(told.gateways().iter().all(|gateway| gateway.contains("unchanged")), "{told}");
    same("what runs", &running, &self::running());
    drop(compose);
    lab::reset();
}

const IN_USE: &str = "/var/opt/magma/docker/docker-compose.yml";

fn on_offer(commit: &str) -> String {
    format!("/srv/www/compose/{commit}/docker-compose.yml")
}

/// Magma's own files of 1.6.1 and 1.8.0 are like this. Before, compose v2 was taken because it was there: it read neither file, and a
/// gateway was left with one of its 16 containers.
fn a_compose_file_that_only_v1_reads() {
    lab::reset();
    let broken = on_offer("dd40f004");
    let both = fault(&["both-composes", "feg1"]);
    let in_use = fault(&["merged-twice", "feg1", IN_USE]);
    let on_offer = fault(&["merged-twice", "depot", &broken]);
    lab::on("feg1", &format!("rm {IN_USE}.once"));
    let before = state();
    let night = teravm("upgrade --tag dd40f004").with_one_feg();
    night.with("verify.stable", "4s").with("verify.timeout", "20s").run().exits(4).left(BOTH_BACK);
    same("the site", &before, &state());
    drop((both, in_use, on_offer));
    lab::reset();
}

fn a_compose_file_that_no_compose_there_reads() {
    lab::reset();
    let (other, offered) = (fault(&["compose-v2", "feg1"]), on_offer("dd40f004"));
    let refused = |why: &str| {
        let running = running();
        let told = teravm("upgrade --tag dd40f004").with_one_feg().run().exits(3).says(why);
        same("what runs", &running, &self::running());
        told
    };
    let on_offer = fault(&["merged-twice", "depot", &offered]);
    refused("no compose program on `feg1` reads both the compose file in use and that of 1.9.0-1667000400-dd40f004")
        .says("docker-compose 1.29 reads such a file, which is not there");
    drop(on_offer);
    let in_use = fault(&["merged-twice", "feg1", IN_USE]);
    refused("no compose program on `feg1` reads the compose file in use").says("mapping key \"<<\" already defined");
    drop((in_use, other));
    lab::reset();
}

/// Through a real Docker engine, which makes its own answer of each registry's.
fn a_missing_tag_is_understood() {
    lab::reset();
    let running = running();
    for (code, status, message, ends, says) in [
        ("NOT_FOUND", "404", "artifact_magma/gateway-go:5d2e8f90_not_found", 4, "the registry does not have"),
        ("TAG_EXPIRED", "404", "Tag_5d2e8f90_was_deleted_or_has_expired", 4, "the registry does not have"),
        ("MANIFEST_UNKNOWN", "404", "The_named_manifest_is_not_known", 4, "the registry does not have"),
        (
            "NAME_UNKNOWN",
            "404",
            "repository_name_not_known",
            3,
            "the registry does not know the repository: name unknown",
        ),
        (
            "TOOMANYREQUESTS",
            "429",
            "pull_rate_limit",
            3,
            "the registry has limited the number of requests: toomanyrequests",
        ),
        ("DENIED", "403", "no_access", 3, "the registry does not allow this login to see the image: denied"),
        ("UNKNOWN", "500", "database_is_down", 3, "(status 500 of the Docker engine)"),
    ] {
        let answer = fault(&["registry-says", code, status, message]);
        teravm("upgrade --tag 5d2e8f90").with_one_feg().run().exits(ends).says(says);
        drop(answer);
    }
    same("what runs", &running, &self::running());
}

fn latest_never_goes_back() {
    lab::reset();
    lab::on(
        "agw",
        "apt-mark hold magma >/dev/null; printf 'Package: magma\\nPin: version 1.9.1-*\\nPin-Priority: -1\\n' > /etc/apt/preferences.d/zz-test",
    );
    lab::on(
        "agw",
        "sed -i 's/^Version: 1.8.0-1655110000-3f7c21ab$/Version: 1.9.9-1655110000-3f7c21ab/' /var/lib/dpkg/status",
    );
    let told = teravm("upgrade").run().exits(3).says("newer than any complete release on offer");
    drop(told);
    lab::reset();
}

/// What is wrong with the host is the testbed's, and found before any service is touched.
fn a_host_on_which_no_upgrade_would_work_is_not_touched() {
    lab::reset();
    let (site, running) = (state(), running());
    let cases = [
        ("usr-local-full", "the packages need", "free some space there"),
        ("dpkg-interrupted", "dpkg was interrupted", "dpkg --configure -a"),
        ("package-held", "the package `magma` is held", "apt-mark unhold magma"),
    ];
    for (name, cause, hint) in cases {
        let fault = fault(&[name]);
        teravm("upgrade agw").run().exits(3).says(cause).says(hint);
        drop(fault);
        same("the site", &site, &state());
        same("what runs", &running, &self::running());
    }
    // The same of a FEG, and `check` asks what the upgrade asks.
    let folder = "/var/opt/magma/docker";
    let read_only = format!("mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}");
    lab::on("feg1", &format!("{read_only} && mount -t tmpfs -o size=3m tmpfs /tmp"));
    for (words, ends) in [("upgrade feg", 3), ("check", 3)] {
        teravm(words)
            .with_one_feg()
            .run()
            .exits(ends)
            .says("`feg1` is not in a state to be upgraded")
            .says(&format!("{folder} is on a file system that is mounted read-only"))
            .says("only 3 MB are free at /tmp, and an upgrade needs at least 50 MB");
    }
    lab::on("feg1", &format!("umount {folder} /tmp"));
    same("the site", &site, &state());
    same("what runs", &running, &self::running());
}

/// dpkg undoes by itself what it could not unpack: everything is as it was, and the status is 3 and not 5.
fn a_disk_that_fills_breaks_both_directions() {
    lab::reset();
    let before = state();
    let fault = fault(&["usr-local-fills"]);
    teravm("upgrade agw").run().exits(3).says("KB are free on the file system of /usr/local").left(&[
        "agw restored to 1.8.0-1655110000-3f7c21ab",
        "feg1 not switched, at 3f7c21ab",
        "feg2 not switched, at 3f7c21ab",
    ]);
    drop(fault);
    same("the site", &before, &state());
}

fn a_release_without_a_unit_is_not_asked_for_it() {
    lab::reset();
    assert_eq!(lab::on("agw", "systemctl is-active magma_dp@envoy").trim(), "active");
    teravm("upgrade agw --tag 0abc0001")
        .run()
        .exits(0)
        .says("`magma_dp@envoy.service` ran before, and 1.7.0-1640000000-0abc0001 does not have it")
        .left(&[
            "agw downgraded 1.8.0-1655110000-3f7c21ab -> 1.7.0-1640000000-0abc0001",
            "feg1 not switched, at 3f7c21ab",
            "feg2 not switched, at 3f7c21ab",
        ]);
}

/// Its name does not have the pattern of the config.
fn a_unit_of_the_packages_that_dies() {
    lab::reset();
    let before = state();
    let told = teravm("upgrade agw --tag ab70f007")
        .with("verify.stable", "4s")
        .with("verify.timeout", "12s")
        .run()
        .exits(4)
        .says("magma_dp@envoy.service")
        .says("cannot bind '127.0.0.1:9901'");
    same("the site", &before, &state());
    assert!(told.read("hosts/agw/journal.log").contains("cannot bind '127.0.0.1:9901'"), "{told}");
    assert!(told.read("hosts/agw/versions.json").contains("magma_dp@envoy.service"), "{told}");
}

/// apt has done its work when we restart the unit: not apt's words tell whose fault it is, but the unit.
fn a_unit_that_does_not_restart() {
    lab::reset();
    lab::on(
        "agw",
        "mkdir -p /etc/systemd/system/sctpd.service.d && printf '[Service]\nExecStartPre=/usr/local/sbin/fails-on-the-new\n' \
         >/etc/systemd/system/sctpd.service.d/fails.conf && printf '#!/bin/sh\n[ -e /run/installed ] || exit 0\n\
         ! dpkg-query -W magma | grep -q 1.9.1 || { echo \"sctpd: no such interface\"; exit 1; }\n' >/usr/local/sbin/fails-on-the-new &&
         chmod 755 /usr/local/sbin/fails-on-the-new && systemctl daemon-reload &&
         echo 'DPkg::Post-Invoke {\"touch /run/installed\";};' >/etc/apt/apt.conf.d/99installed",
    );
    let night = teravm("upgrade agw").with("verify.stable", "4s").with("verify.timeout", "20s").run().exits(4);
    let told = night.says("`sctpd.service` is started again after it failed").says("sctpd: no such interface");
    assert_eq!(lab::package("magma"), format!("ii {OLD}"), "{told}");
    lab::reset();
}

fn a_unit_that_is_still_starting_is_waited_for() {
    lab::reset();
    let upgrade = |timeout| {
        teravm("upgrade agw --tag ff60f006").with("verify.stable", "4s").with("verify.timeout", timeout).run()
    };
    upgrade("20s").exits(4).says("`magma_dp@envoy.service` is still starting (start-pre)");
    upgrade("1m").exits(0);
    assert_eq!(lab::on("agw", "systemctl is-active magma_dp@envoy").trim(), "active");
    lab::reset();
}

fn a_commit_is_not_found_in_a_time_stamp() {
    lab::reset();
    let told = teravm("upgrade --tag 16673817").with_one_feg().run().exits(0).left(&[
        "agw upgraded 1.8.0-1655110000-3f7c21ab -> 1.9.0-1666000000-16673817 \
         (magma-sctpd 1.8.0-1655110000-3f7c21ab -> 1.9.0-1666000000-16673817)",
        "feg1 upgraded 3f7c21ab -> 16673817",
    ]);
    assert_eq!(lab::package("magma"), "ii 1.9.0-1666000000-16673817", "{told}");
    assert_ne!(lab::package("magma"), format!("ii {OLD}"));
}
