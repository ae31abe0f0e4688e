//! The configuration: what is checked before anything is touched, and what is shown of it.

use insta::assert_snapshot;

use crate::desk::{BARE_LAB, Desk, LAB};

/// Every command that reads the config, as it is typed.
const COMMANDS: [&str; 12] = [
    "run",
    "run --dry-run",
    "run --no-upgrade --suite attach",
    "upgrade",
    "upgrade agw",
    "test",
    "test attach",
    "check",
    "vpn",
    "lock",
    "lock release --force",
    "config check",
];

#[test]
fn a_config_that_is_refused_is_refused_by_every_command_before_anything_is_touched() {
    let desk = Desk::with_lab_but("connect_timeout: 10s", "connect_timeout: 10");
    for command in COMMANDS.into_iter().chain(["config show"]) {
        let ended = desk.run(command);
        assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("2", ""), "{command}");
        assert!(ended.stderr.starts_with("error: config/tiplab.yaml:6:20: "), "{command}: {}", ended.stderr);
        assert_eq!((ended.called.as_str(), ended.changed, ended.left), ("", vec![], vec![]), "{command}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_missed_by_every_command_before_anything_is_touched() {
    let desk = Desk::with_lab().without("VPN_PASSWORD");
    for command in COMMANDS {
        let ended = desk.run(command);
        assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("2", ""), "{command}");
        assert!(ended.stderr.contains("the variable `VPN_PASSWORD` is not set"), "{command}: {}", ended.stderr);
        assert_eq!((ended.called.as_str(), ended.changed, ended.left), ("", vec![], vec![]), "{command}");
    }
}

#[test]
fn a_setup_and_a_suite_that_are_not_there_are_missed_before_anything_is_touched() {
    let desk = Desk::with_lab();
    for command in [
        "run --setup lap",
        "check --setup lap",
        "vpn --setup lap",
        "ssh agw --setup lap",
        "logs agw --setup lap",
        "logs awg",
        "lock --setup lap",
        "gate latest --setup lap",
        "config check --setup lap",
        "config show --setup lap",
        "history page --out page --setup lap",
        "history import config/tiplab.yaml --setup lap",
        "run --suite attatch",
        "test attatch",
    ] {
        let ended = desk.run(command);
        assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("2", ""), "{command}");
        assert_eq!((ended.called.as_str(), ended.changed, ended.left), ("", vec![], vec![]), "{command}");
    }
}

#[test]
fn a_config_that_is_right_is_said_to_be_right() {
    assert_snapshot!(Desk::with_lab().run("config check"), @"
        exit 0
        --- standard output
        config/tiplab.yaml is right, and every secret is there
          setups: `lab`
          suites: `attach`, `handover`
        --- called
        openvpn --ping
        ssh-keygen -y
        ");
    assert_snapshot!(Desk::with_config(BARE_LAB).run("config check"), @"
        exit 0
        --- standard output
        config/tiplab.yaml is right, and every secret is there
          setups: `lab`
          suites: `attach`
        ");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    const MARK: &str = "\u{feff}";
    let desk = Desk::with_config(&format!("{MARK}{LAB}"))
        .file("config/client.ovpn", format!("{MARK}client\ndev tun\nremote 127.0.0.1 1194 udp\n"))
        .file("config/known_hosts", MARK)
        .env("VPN_PASSWORD", &format!("{MARK}hunter2hunter2"));
    let ended = desk.run("config check");
    assert_eq!(ended.code, "0", "{ended}");
    let mistake = Desk::with_config(&format!("{MARK}{}", LAB.replacen("vpn:", "vnp:", 1))).run("config check");
    assert!(mistake.stderr.starts_with("error: config/tiplab.yaml:1:1: unknown key `vnp`"), "{mistake}");
    let fabfile = format!("{MARK}{{\"setup_1\": 5}}");
    let ended = Desk::new().file("fab.json", fabfile).run("config import-fabfile fab.json");
    assert!(!ended.stderr.contains("JSON"), "{ended}");
}

#[test]
fn the_password_of_the_history_is_one_of_the_secrets() {
    let history = "history: {url: \"postgres://teravm@db/teravm\", password: {env: HISTORY_PASSWORD}}\nsuites:\n";
    let desk = Desk::with_lab_but("suites:\n", history);
    let missing = desk.run("config check");
    assert_eq!(missing.code, "2", "{missing}");
    assert!(missing.stderr.contains("`history.password` cannot be had"), "{missing}");
    assert_eq!(desk.env("HISTORY_PASSWORD", "hunter2hunter2").run("config check").code, "0");
}

#[test]
fn the_config_is_shown_resolved_and_without_secrets() {
    assert_snapshot!(Desk::with_lab().run("config show"), @"
        exit 0
        --- standard output
        run:
          deadline: 2h45m
        vpn:
          kind: openvpn
          profile: '***'
          username: '***'
          password: '***'
          key_passphrase: null
          connect_timeout: 10s
          outage: 10m
          routes: []
        ssh:
          key: '***'
          known_hosts: config/known_hosts
          connect_timeout: 2s
          keepalive: 10s
        lock:
          path: ~/.teravm-ci/lock
          renew: 1m
          expire: 15m
        release:
          max_behind: 7d
          keep: 2
        agw:
          user: magma
          package: magma
          siblings:
          - magma-sctpd
          - magma-dhcp-cli
          conffiles: new
          units:
          - magma@magmad
          - magma@mme
          - sctpd
          dropped_units: []
          unit_pattern: magma@*
          restart:
          - sctpd
          checkin: null
          prepare_timeout: 20m
          activate_timeout: 15m
        feg:
          user: magma
          directory: /var/opt/magma/docker
          docker: sudo -n docker
          compose: ''
          images:
          - gateway_go
          - gateway_python
          tag: '{commit}'
          compose_url: null
          services:
          - magmad
          - session_proxy
          - s6a_proxy
          quiesce:
          - /etc/cron.d/recreate_services_cron
          checkin: null
          prepare_timeout: 20m
          activate_timeout: 15m
        verify:
          stable: 30s
          timeout: 5m
        ng40:
          user: ng40
          directory: /home/ng40/magma/automation
          shell:
          - bash
          - -lc
          pty: false
          idle:
            command: ng40test state.ntl
            status:
            - 0
            busy:
            - busy
            timeout: 2m
          cleanup_before: ng40forcecleanup all
          settle: 10s
          cleanup_after: ng40forcecleanup all
          cleanup_timeout: 3m
          logs:
          - magma/automation/log
          - magma/ran/log
          captures:
          - magma/ran/pcap
        collect:
          limit_mb: 200
          timeout: 5m
        history:
          url: sqlite:config/history.sqlite
          password: null
          timeout: 20s
        gate:
          known_failures: []
          strict: false
          required: none
          flaky: pass
          suites: []
          setups: []
          max_age: 7d
        links:
          compare: null
        suites:
          attach:
            list: attach.ntl
            params: null
            deadline: 5m
            exit_status: record
            max_packet_loss: null
            retries: 0
            max_duration: null
          handover:
            list: handover.ntl
            params: null
            deadline: 30m
            exit_status: record
            max_packet_loss: null
            retries: 0
            max_duration: null
        setups:
          lab:
            agw: 127.0.0.1:1
            feg:
            - 127.0.0.2:1
            ng40: 127.0.0.3:1
            suites: []
        ");
}

#[test]
fn what_is_shown_tells_nothing_of_a_secret_nor_where_it_is() {
    let shown = Desk::with_lab().run("config show").stdout;
    for word in ["hunter2", "VPN_PASSWORD", "SSH_KEY", "client.ovpn"] {
        assert!(!shown.contains(word), "{word}");
    }
    assert_eq!(shown.matches("'***'").count(), LAB.matches("{env:").count() + LAB.matches("{file:").count());
}

#[test]
fn the_config_is_found_where_the_command_line_or_the_environment_says() {
    let desk = Desk::with_lab().file("config/known_hosts", "").file("other.yaml", BARE_LAB).file("known_hosts", "");
    assert_snapshot!(desk.run("config check --config other.yaml"), @"
        exit 0
        --- standard output
        other.yaml is right, and every secret is there
          setups: `lab`
          suites: `attach`
        ");
    assert_snapshot!(desk.env("TERAVM_CI_CONFIG", "other.yaml").run("config check"), @"
        exit 0
        --- standard output
        other.yaml is right, and every secret is there
          setups: `lab`
          suites: `attach`
        ");
}

#[test]
fn paths_in_the_config_are_relative_to_its_folder() {
    let desk = Desk::with_lab();
    let config = desk.path("config/tiplab.yaml").display().to_string();
    let desk = desk.after("cd /");
    assert_eq!(desk.run_words(&["config", "check", "--config", &config]).code, "0");
}

#[test]
fn a_path_in_the_config_may_begin_in_the_home() {
    let desk = Desk::with_lab_but("file: client.ovpn", "file: ~/config/client.ovpn");
    let shown = desk.run("config check");
    assert_eq!(shown.code, "0", "{shown}");
    let desk = Desk::with_lab_but("known_hosts: known_hosts", "known_hosts: ~/gone/known_hosts");
    let ended = desk.run("config check");
    assert!(ended.stderr.contains("the file of known host keys `gone/known_hosts`"), "{ended}");
}

#[test]
fn a_config_that_is_too_large_or_too_deep_is_refused_at_once() {
    assert_snapshot!(Desk::with_config(&"#".repeat(2_000_000)).run("config check"), @"
        exit 2
        --- standard error
        error: cannot read the config `config/tiplab.yaml`
          because: it is larger than 1 MB
          try: `--config FILE` names another
        ");
    let deep = Desk::with_config(&"{a: ".repeat(50_000)).run("config check");
    let told = ": lists and maps are nested more than 32 deep\n    1 | {a: ";
    assert!(deep.stderr.starts_with("error: config/tiplab.yaml:1:") && deep.stderr.contains(told), "{deep}");
    assert!(deep.stderr.len() < 1_000, "{deep}");
    assert!(deep.stderr.ends_with("  try: is it the right file? `--config FILE` names another\n"), "{deep}");
    let secret = Desk::with_lab_but("file: client.ovpn", "file: /dev/zero").run("config check");
    assert!(secret.stderr.contains("cannot read `/dev/zero`\n  because: it is larger than 1 MB\n"), "{secret}");
}

#[test]
fn of_several_setups_one_is_the_default_or_has_to_be_named() {
    let two = BARE_LAB.to_owned() + "  other: {agw: 10.0.0.1, ng40: 10.0.0.2}\n";
    assert_snapshot!(Desk::with_config(&two).run("run"), @"
        exit 2
        --- standard error
        error: there are several setups (`lab`, `other`), and none was named
          try: name one by `--setup`, or make one the `default_setup` of the config
        ");
    assert_snapshot!(Desk::with_config(&two).run("config check"), @"
        exit 0
        --- standard output
        config/tiplab.yaml is right, and every secret is there
          setups: `lab`, `other`
          suites: `attach`
        ");
    assert_snapshot!(Desk::with_config(&two).run("config check --setup other"), @"
        exit 0
        --- standard output
        config/tiplab.yaml is right, and every secret is there
          setups: `other`
          suites: `attach`
        ");
    assert_snapshot!(Desk::with_config(&two).env("TERAVM_CI_SETUP", "third").run("run"), @"
        exit 2
        --- standard error
        error: there is no setup `third`; known are `lab`, `other`
        ");
    assert_snapshot!(Desk::with_config(&(two + "default_setup: othr\n")).run("run"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:15:16: default_setup: there is no setup `othr`; did you mean `other`?
           14 |   other: {agw: 10.0.0.1, ng40: 10.0.0.2}
           15 | default_setup: othr
              |                ^
        ");
}

/// A config of this repository, as it stands.
fn shipped(name: &str) -> Desk {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let text = std::fs::read_to_string(format!("{folder}/{name}")).expect("the repository has this config");
    Desk::with_config(&text)
}

#[test]
fn the_config_of_the_tiplab_is_right_and_takes_every_secret_from_the_environment() {
    let profile = "Y2xpZW50CmRldiB0dW4KcmVtb3RlIDEyNy4wLjAuMSAxMTk0IHVkcAo=";
    let desk = shipped("tiplab.yaml")
        .env("TERAVM_OVPN", profile)
        .env("TERAVM_VPN_USERNAME", "nightly")
        .env("TERAVM_VPN_PASSWORD", "hunter2hunter2")
        .env("TERAVM_SSH_KEY", "bm90IGEga2V5Cg==");
    assert_snapshot!(desk.run("config check"), @"
        exit 0
        --- standard output
        config/tiplab.yaml is right, and every secret is there
          setups: `setup_1`, `setup_2`
          suites: `s6a`, `gxgy`
        --- called
        openvpn --ping
        ssh-keygen -y
        ssh-keygen -y
        ");
    let shown = desk.run("config show --setup setup_1").stdout;
    for address in ["192.168.60.17", "192.168.60.112", "192.168.60.75"] {
        assert!(shown.contains(address), "{address}");
    }
}

/// Its secrets are made with the lab.
#[test]
fn the_config_of_the_lab_in_containers_is_right() {
    let shown = shipped("lab.yaml").run("config show");
    assert_eq!((shown.code.as_str(), shown.stderr.as_str(), shown.called.as_str()), ("0", "", ""));
    assert!(shown.stdout.contains("192.168.60.17"));
}
