//! What an operator reads when nothing was run: every message once, whole, with all that it changed, which is nothing.

use insta::assert_snapshot;

use crate::desk::{Desk, LAB};

/// What `config check` says of the config with one place written otherwise.
fn refused(right: &str, wrong: &str) -> String {
    Desk::with_lab_but(right, wrong).run("config check").to_string()
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_known_one() {
    assert_snapshot!(refused("connect_timeout: 10s", "conect_timeout: 10s"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:6:3: vpn: unknown key `conect_timeout`; did you mean `connect_timeout`?
            5 |   password: {env: VPN_PASSWORD}
            6 |   conect_timeout: ***
              |   ^
            7 |
        ");
    assert_snapshot!(refused("setups:", "setup:"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:20:1: unknown key `setup`; did you mean `setups`?
           19 | 
           20 | setup:
              | ^
           21 |   lab:
        ");
    assert_snapshot!(refused("deadline: 5m", "xyzzy: 5m"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:16:5: suites.attach: unknown key `xyzzy`; known are `list`, `params`, `deadline`, `exit_status`, `max_packet_loss`, `retries`, `max_duration`
           15 |     list: attach.ntl
           16 |     xyzzy: ***
              |     ^
           17 |   handover:
        ");
    assert_snapshot!(refused("{env: VPN_PASSWORD}", "{enw: VPN_PASSWORD}"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:5:14: vpn.password: unknown key `enw`; did you mean `env`?
            4 |   username: {env: VPN_USERNAME}
            5 |   password: {enw: ***
              |              ^
            6 |   connect_timeout: 10s
        ");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    assert_snapshot!(refused("connect_timeout: 10s", "connect_timeout: 10s\n  connect_timeout: 20s"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:7:3: vpn: duplicate key `connect_timeout`
            6 |   connect_timeout: 10s
            7 |   connect_timeout: 20s
              |   ^
            8 |
        ");
    assert_snapshot!(refused("  handover:\n    list: handover.ntl", "  attach:\n    list: handover.ntl"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:17:3: suites: duplicate key `attach`
           16 |     deadline: 5m
           17 |   attach:
              |   ^
           18 |     list: handover.ntl
        ");
    assert_snapshot!(Desk::with_config(&format!("{LAB}ssh:\n  known_hosts: other\n")).run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:25:1: duplicate key `ssh`
           24 |     ng40: 127.0.0.3:1
           25 | ssh:
              | ^
           26 |   known_hosts: other
        ");
    assert_snapshot!(refused("{env: VPN_PASSWORD}", "{env: VPN_PASSWORD, env: OTHER}"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:5:33: vpn.password: duplicate key `env`
            4 |   username: {env: VPN_USERNAME}
            5 |   password: {env: VPN_PASSWORD, env: OTHER}
              |                                 ^
            6 |   connect_timeout: 10s
        ");
}

/// Whatever lies between the two, and however the second is written.
#[test]
fn a_key_that_stands_twice_is_shown_where_it_stands_again() {
    let again = "ng40: 127.0.0.3:1\n  # The same again.\n\n  \"lab\" :\n    agw: 10.0.0.1\n    ng40: 10.0.0.2";
    assert_snapshot!(refused("ng40: 127.0.0.3:1", again), @r#"
        exit 2
        --- standard error
        error: config/tiplab.yaml:27:3: setups: duplicate key `lab`
           26 | 
           27 |   "lab" :
              |   ^
           28 |     agw: 10.0.0.1
        "#);
    assert_snapshot!(refused("connect_timeout: 2s", "connect_timeout: 2s\n  known_hosts: b"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:12:3: ssh: duplicate key `known_hosts`
           11 |   connect_timeout: 2s
           12 |   known_hosts: b
              |   ^
           13 |
        ");
}

#[test]
fn a_duration_that_is_none_is_refused() {
    assert_snapshot!(refused("deadline: 5m", "deadline: 5 minutes"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:16:15: suites.attach.deadline: `5 minutes` is not a duration; write it like `90s`, `45m`, `2h45m` or `7d`
           15 |     list: attach.ntl
           16 |     deadline: 5 minutes
              |               ^
           17 |   handover:
        ");
    assert_snapshot!(refused("deadline: 5m", "deadline: 300"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:16:15: suites.attach.deadline: `300` is not a duration; write it like `90s`, `45m`, `2h45m` or `7d`
           15 |     list: attach.ntl
           16 |     deadline: 300
              |               ^
           17 |   handover:
        ");
}

#[test]
fn a_value_of_another_type_is_refused() {
    assert_snapshot!(refused("[127.0.0.2:1]", "127.0.0.2:1"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:23:10: setups.lab.feg: expected a list, found the text `127.0.0.2:1`
           22 |     agw: 127.0.0.1:1
           23 |     feg: 127.0.0.2:1
              |          ^
           24 |     ng40: 127.0.0.3:1
        ");
    assert_snapshot!(refused("    list: handover.ntl", "    handover.ntl"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:18:5: suites.handover: expected keys and their values, found a text
           17 |   handover:
           18 |     ***
              |     ^
           19 |
        ");
    assert_snapshot!(refused("kind: openvpn", "kind: wireguard"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:2:9: vpn.kind: unknown word `wireguard`, expected `openvpn` or `none`
            1 | vpn:
            2 |   kind: wireguard
              |         ^
            3 |   profile: {file: client.ovpn}
        ");
    assert_snapshot!(refused("agw: 127.0.0.1:1", "agw: -oProxyCommand=reboot"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:22:10: setups.lab.agw: `-oProxyCommand=reboot` is not an address; write `HOST`, `USER@HOST` or `USER@HOST:PORT`
           21 |   lab:
           22 |     agw: -oProxyCommand=reboot
              |          ^
           23 |     feg: [127.0.0.2:1]
        ");
    assert_snapshot!(refused("username: {env: VPN_USERNAME}", "username: nightly"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:4:13: vpn.username: a secret does not stand here, but where it is: `{env: NAME}` or `{file: PATH}`
            3 |   profile: {file: client.ovpn}
            4 |   username: ***
              |             ^
            5 |   password: {env: VPN_PASSWORD}
          try: put it into a variable or a file of its own; if this file was committed, change it
        ");
    assert_snapshot!(refused("{env: VPN_USERNAME}", "{env: VPN_USERNAME, file: name}"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:4:13: vpn.username: a secret is either `{env: NAME}` or `{file: PATH}`
            3 |   profile: {file: client.ovpn}
            4 |   username: {env: VPN_USERNAME, file: name}
              |             ^
            5 |   password: {env: VPN_PASSWORD}
        ");
    assert_snapshot!(refused("connect_timeout: 10s", "routes: [0.0.0.0/0]"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:6:12: vpn.routes[0]: `0.0.0.0/0` is not an IPv4 network; write it like `192.168.60.0/24`
            5 |   password: {env: VPN_PASSWORD}
            6 |   routes: [0.0.0.0/0]
              |            ^
            7 |
        ");
    assert_snapshot!(refused("deadline: 5m", "max_packet_loss: -1"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:16:22: suites.attach.max_packet_loss: `-1` is not a percentage from 0 to 100
           15 |     list: attach.ntl
           16 |     max_packet_loss: -1
              |                      ^
           17 |   handover:
        ");
    assert_snapshot!(refused("deadline: 5m", "max_packet_loss: .nan"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:16:22: suites.attach.max_packet_loss: `NaN` is not a percentage from 0 to 100
           15 |     list: attach.ntl
           16 |     max_packet_loss: .nan
              |                      ^
           17 |   handover:
        ");
}

#[test]
fn what_is_no_yaml_is_refused_where_it_stops_to_be() {
    assert_snapshot!(refused("  key: {env: SSH_KEY, encoding: base64}", "\tkey: x"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:9:1: a tab stands where YAML takes blanks alone
            8 | ssh:
            9 | 	key: ***
              | ^
           10 |   known_hosts: known_hosts
          try: is every line indented by blanks like those that it belongs to, and does every quote and every bracket end?
        ");
    assert_snapshot!(Desk::with_config("").run("config check"), @r#"
        exit 2
        --- standard error
        error: there is nothing in the config `config/tiplab.yaml`
          try: README, "Configuration", has the shortest there is
        "#);
    assert_snapshot!(Desk::with_config("vpn: {kind: none}\n").run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:1:1: missing key `ssh`
            1 | vpn: {kind: none}
              | ^
        ");
}

#[test]
fn a_value_that_does_not_fit_the_others_is_refused() {
    assert_snapshot!(refused("  profile: {file: client.ovpn}\n", ""), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:1:1: vpn: `kind: openvpn` needs a `profile`
            1 | vpn:
              | ^
            2 |   kind: openvpn
        ");
    assert_snapshot!(refused("  password: {env: VPN_PASSWORD}\n", ""), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:1:1: vpn: `username` and `password` go together
            1 | vpn:
              | ^
            2 |   kind: openvpn
        ");
    assert_snapshot!(refused("ng40: 127.0.0.3:1", "ng40: 127.0.0.3:1\n    suites: [attch]"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:25:14: setups.lab.suites[0]: there is no suite `attch`; did you mean `attach`?
           24 |     ng40: 127.0.0.3:1
           25 |     suites: [attch]
              |              ^
        ");
    assert_snapshot!(refused("list: handover.ntl", "list: ../handover.ntl"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:18:11: suites.handover.list: `../handover.ntl` is not a bare file name
           17 |   handover:
           18 |     list: ../handover.ntl
              |           ^
           19 |
        ");
    assert_snapshot!(refused("  handover:", "  \"hand;over\":"), @r#"
        exit 2
        --- standard error
        error: config/tiplab.yaml:17:3: suites.hand;over: the suite name `hand;over` must be letters, digits, `.`, `-` and `_`
           16 |     deadline: 5m
           17 |   "hand;over":
              |   ^
           18 |     list: handover.ntl
        "#);
    assert_snapshot!(refused("suites:", "lock: {renew: 0s}\nsuites:"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:13:15: lock.renew: `renew` is a second at least
           12 | 
           13 | lock: {renew: 0s}
              |               ^
           14 | suites:
        ");
    assert_snapshot!(refused("suites:", "lock: {renew: 10m}\nsuites:"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:13:1: lock.expire: `expire` must leave room for three missed renewals (`lock.renew`)
           12 | 
           13 | lock: {renew: 10m}
              | ^
           14 | suites:
        ");
}

/// Every other message about a config, each with the change that it answers to.
#[test]
fn each_mistake_in_a_config_is_shown_where_it_stands() {
    let pem = "key: |\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    b3BlbnNzaC1rZXktdjEAAAAA";
    let key = "key: {env: SSH_KEY, encoding: base64}";
    let suites = |section: &str| ("suites:", format!("{section}\nsuites:"));
    let known = |of: &str| suites(&format!("gate:\n  known_failures:\n    - suite: attach\n{of}"));
    let deadline = |instead: &str| ("deadline: 5m", instead.to_owned());
    let username = |instead: &str| ("{env: VPN_USERNAME}", instead.to_owned());
    let kind = |instead: &str| ("kind: openvpn", instead.to_owned());
    let mistakes = [
        // In lists and in what is below them.
        ("connect_timeout: 10s", "routes:\n    - 10.0.0.0/8\n    - 10.0.0.1/8".to_owned()),
        ("[127.0.0.2:1]", "[127.0.0.2:1, \"a b\"]".to_owned()),
        ("[127.0.0.2:1]", "[{host: 127.0.0.2}]".to_owned()),
        known("      cse: x\n      reason: y"),
        known("      case: x"),
        known("      case: \"[\"\n      reason: y\n      until: 2026-12-31"),
        known("      case: x\n      reason: y\n      until: tomorrow"),
        // Types.
        suites("agw: {units: magma}"),
        suites("gate: {required: {attach: 5}}"),
        suites("gate: {required: some}"),
        suites("gate: {flaky: maybe}"),
        suites("collect: {limit_mb: -1}"),
        suites("ng40: {idle: {status: [zero]}}"),
        suites("ng40: {pty: maybe}"),
        suites("run: 5"),
        suites("run:\n  deadline:"),
        suites("run: {deadline: 400d}"),
        suites("history: {url: \"mysql://db/x\"}"),
        suites("history: {url: \"postgres://me:hunter2@db/x\"}"),
        suites("history: {url: nights}"),
        ("known_hosts: known_hosts", "known_hosts: [a]".to_owned()),
        deadline("retries: many"),
        deadline("max_packet_loss: much"),
        deadline("max_duration: {siute: 2}"),
        deadline("exit_status: maybe"),
        // Secrets in plain, which are not shown once more.
        ("{env: VPN_PASSWORD}", "hunter2hunter2".to_owned()),
        (key, pem.to_owned()),
        suites("history: {password: hunter2hunter2}"),
        ("connect_timeout: 10s", "key_passphrase: {enw: KEY}\n  # key: hunter2hunter2".to_owned()),
        ("connect_timeout: 10s", "passwrod: hunter2hunter2".to_owned()),
        ("connect_timeout: 10s", "pass: hunter2hunter2\n  conect_timeout: 10s".to_owned()),
        ("connect_timeout: 10s", "\"passwrod=hunter2hunter2\": {}".to_owned()),
        ("{env: VPN_PASSWORD}", "{value: hunter2hunter2}".to_owned()),
        ("{env: VPN_PASSWORD}", "{hunter2hunter2}".to_owned()),
        ("{env: VPN_PASSWORD}", "{env: VPN_PASSWORD, token: hunter2hunter2}".to_owned()),
        username("{env: \"\"}"),
        username("{env: A, encoding: rot13}"),
        // Keys that are missing, and that were left out.
        ("    agw: 127.0.0.1:1\n", String::new()),
        ("  known_hosts: known_hosts\n", String::new()),
        suites("verify: {stable: 10m}"),
        // Values that do not fit.
        suites("feg: {images: []}"),
        suites("ng40: {shell: []}"),
        suites("links: {compare: \"https://github.com/magma/magma\"}"),
        suites("gate: {required: {attch: [x]}}"),
        suites("gate: {setups: [lap]}"),
        suites("gate: {suites: [attach, xyzzy]}"),
        known(
            "      case: x\n      reason: y\n      until: 2026-12-31\n    - {suite: attch, case: x, reason: y, until: 2026-12-31}",
        ),
        deadline("retries: 12"),
        deadline("max_duration: {suite: 0.5}"),
        deadline("params: ../x.cfg"),
        ("  lab:", "  \"l;b\":".to_owned()),
        (
            "setups:\n  lab:\n    agw: 127.0.0.1:1\n    feg: [127.0.0.2:1]\n    ng40: 127.0.0.3:1\n",
            "setups: {}\n".to_owned(),
        ),
        ("ng40: 127.0.0.3:1", "ng40: 127.0.0.3:1\ndefault_setup: elsewhere".to_owned()),
        ("ng40: 127.0.0.3:1", "ng40: ng40@127.0.0.1:1".to_owned()),
        ("[127.0.0.2:1]", "[127.0.0.2:1, 127.0.0.2:1]".to_owned()),
        // No YAML.
        kind("kind: \"openvpn"),
        kind("kind: openvpn: x"),
        kind(" kind: openvpn"),
        suites("run: {deadline: 1h"),
        suites("run: *deadline"),
        suites("---"),
    ];
    let told = mistakes.iter().map(|(right, wrong)| {
        let told = refused(right, wrong).to_string();
        assert!(!told.contains("hunter2hunter2"), "{told}");
        format!("{wrong}\n\n{told}")
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n================\n"));
}

#[test]
fn what_is_no_config_at_all_is_said_to_be_none() {
    assert_snapshot!(Desk::with_config("# Later.\n").run("config check"), @r#"
        exit 2
        --- standard error
        error: there is nothing in the config `config/tiplab.yaml`
          try: README, "Configuration", has the shortest there is
        "#);
    assert_snapshot!(Desk::with_config("just words\n").run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:1:1: expected keys and their values, found a text
            1 | ***
              | ^
        ");
    assert_snapshot!(Desk::with_config("- a\n- b\n").run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:1:1: expected keys and their values, found a list
            1 | - ***
              | ^
            2 | - ***
        ");
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n";
    assert_snapshot!(Desk::with_config(key).run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:1:1: expected keys and their values, found a text
            1 | -----***
              | ^
            2 | ***
        ");
    assert_snapshot!(Desk::new().file("config/tiplab.yaml/x", "").run("config check"), @"
        exit 2
        --- standard error
        error: cannot read the config `config/tiplab.yaml`
          because: Is a directory (os error 21)
          try: `--config FILE` names another
        ");
    let latin = b"vpn:\n  kind: none\n  # K\xf6ln\nssh: {}\n";
    assert_snapshot!(Desk::new().file("config/tiplab.yaml", latin).run("config check"), @"
        exit 2
        --- standard error
        error: config/tiplab.yaml:3:6: this is not UTF-8
            2 |   kind: none
            3 |   # ***
              |      ^
            4 | ssh: {}
          try: save the file as UTF-8
        ");
}

#[test]
fn a_config_that_is_not_there_is_named() {
    assert_snapshot!(Desk::new().run("run"), @"
        exit 2
        --- standard error
        error: cannot read the config `config/tiplab.yaml`
          because: No such file or directory (os error 2)
          try: `teravm-ci config init` writes one; `--config FILE` names another
        ");
    assert_snapshot!(Desk::new().run("check --config gone.yaml"), @"
        exit 2
        --- standard error
        error: cannot read the config `gone.yaml`
          because: No such file or directory (os error 2)
          try: `teravm-ci config init` writes one; `--config FILE` names another
        ");
    assert_snapshot!(Desk::new().file("config.yaml", b"\xff\xfe").run("check --config config.yaml"), @"
        exit 2
        --- standard error
        error: config.yaml:1:1: this is not UTF-8
            1 | ***
              | ^
          try: save the file as UTF-8
        ");
}

#[test]
fn a_secret_that_cannot_be_had_is_named_and_not_shown() {
    let check = |desk: Desk| desk.run("config check").to_string();
    assert_snapshot!(check(Desk::with_lab().without("VPN_PASSWORD")), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: `vpn.password` cannot be had
          because: the variable `VPN_PASSWORD` is not set
          try: set it here, and on CircleCI in the context of the job
        ");
    assert_snapshot!(check(Desk::with_lab().env("VPN_PASSWORD", "  ")), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: `vpn.password` cannot be had
          because: the variable `VPN_PASSWORD` is empty
          try: set it here, and on CircleCI in the context of the job
        ");
    assert_snapshot!(check(Desk::with_lab().env("SSH_KEY", "-----BEGIN OPENSSH PRIVATE KEY-----")), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: `ssh.key` cannot be had
          because: `SSH_KEY` is not base64, although its `encoding` says so
          try: write what `base64 -w0 FILE` prints, or take its `encoding` out of the config
          try: without it your agent's keys are used, and those in your `~/.ssh`
        ");
    assert_snapshot!(check(Desk::with_lab().env("SSH_KEY", "/////w==")), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: `ssh.key` cannot be had
          because: `SSH_KEY` is not text
          try: is it packed as its `encoding` in the config says, and the right file?
          try: without it your agent's keys are used, and those in your `~/.ssh`
        ");
    assert_snapshot!(check(Desk::with_lab_but("{file: client.ovpn}", "{file: gone.ovpn}")), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: `vpn.profile` cannot be had
          because: cannot read `config/gone.ovpn`
          because: No such file or directory (os error 2)
          try: write the secret there, or name another place in the config
        ");
    let bare =
        Desk::with_lab_but("{file: client.ovpn}", "{file: gone.ovpn}").without("VPN_PASSWORD").without("SSH_KEY");
    assert_snapshot!(check(bare), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: 3 secrets cannot be had
          because: `vpn.profile`: cannot read `config/gone.ovpn`: No such file or directory (os error 2)
                   `vpn.password`: the variable `VPN_PASSWORD` is not set
                   `ssh.key`: the variable `SSH_KEY` is not set
          try: write the secret there, or name another place in the config
        ");
    assert_snapshot!(check(Desk::with_lab().env("VPN_PASSWORD", "two\nlines")), @"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: config/client.ovpn: `vpn.password` is more than one line of text, which OpenVPN does not take
        ");
}

#[test]
fn a_key_that_ssh_cannot_read_is_refused() {
    let no_key = "echo 'Load key \"key\": error in libcrypto' >&2; exit 255";
    assert_snapshot!(Desk::with_lab().program("ssh-keygen", no_key).run("config check"), @"
        exit 2
        --- standard error
        error: `ssh.key` is not a private key that we can use: it is broken, cut off, or no private key
          try: write the key as `ssh-keygen` made it, whole and without a passphrase
        --- called
        openvpn --ping
        ssh-keygen -y
        ");
}

#[test]
fn known_hosts_that_are_not_there_are_missed() {
    assert_snapshot!(refused("known_hosts: known_hosts", "known_hosts: gone"), @r#"
        exit 2
        --- standard error
        error: the setup `lab` cannot be used
          because: the file of known host keys `config/gone` (`ssh.known_hosts`) is not there
          try: make an empty one: `teravm-ci check` then shows each host's key, to be compared, and the line to add
        "#);
}

/// What `run` says of a profile.
fn profile(text: &str) -> String {
    Desk::with_lab().file("config/client.ovpn", text).run("run").to_string()
}

#[test]
fn a_profile_that_would_run_a_program_is_refused_by_name() {
    assert_snapshot!(profile("client\nremote vpn.example\nup /etc/openvpn/up.sh\n"), @"
        exit 2
        --- standard error
        error: config/client.ovpn:3:1: `up` would run a program as root on this machine; remove it
        ");
    assert_snapshot!(profile("client\nremote vpn.example\nscript-security 2\n"), @"
        exit 2
        --- standard error
        error: config/client.ovpn:3:1: `script-security` above 1 would let OpenVPN run programs as root; remove it
        ");
    assert_snapshot!(profile("client\nremote vpn.example\n  plugin /usr/lib/openvpn/x.so\n"), @"
        exit 2
        --- standard error
        error: config/client.ovpn:3:3: `plugin` would load foreign code into a program that runs as root; remove it
        ");
}

#[test]
fn a_profile_that_cannot_be_run_is_refused() {
    assert_snapshot!(profile("client\ndev tun\n"), @"
        exit 2
        --- standard error
        error: config/client.ovpn: there is no server (`remote`) in this profile; is it base64 that the config does not say (`encoding: base64`)?
        ");
    assert_snapshot!(profile("client\nremote vpn.example\nca ca.crt\n"), @"
        exit 2
        --- standard error
        error: config/client.ovpn:3:4: `ca` names a file, which a profile that is kept as a secret cannot bring along; put the file's content between `<ca>` and `</ca>`
        ");
    assert_snapshot!(profile("client\nremote vpn.example\n<ca>\nMIIB\n"), @"
        exit 2
        --- standard error
        error: config/client.ovpn:3:1: the block `<ca>` has no end
        ");
}

#[test]
fn names_that_the_config_does_not_have_are_refused_with_the_nearest() {
    assert_snapshot!(Desk::with_lab().run("run --setup lap"), @"
        exit 2
        --- standard error
        error: there is no setup `lap`; did you mean `lab`?
        ");
    assert_snapshot!(Desk::with_lab().run("run --setup elsewhere"), @"
        exit 2
        --- standard error
        error: there is no setup `elsewhere`; known are `lab`
        ");
    assert_snapshot!(Desk::with_lab().run("run --suite attach --suite handovr"), @"
        exit 2
        --- standard error
        error: there is no suite `handovr`; did you mean `handover`?
        ");
    assert_snapshot!(Desk::with_lab().run("test attach $(reboot)"), @"
        exit 2
        --- standard error
        error: there is no suite `$(reboot)`; known are `attach`, `handover`
        ");
}

/// Whoever has none of the secrets, and nothing that a night needs, learns first what was typed wrong.
#[test]
fn what_was_typed_wrong_is_said_before_what_is_not_there() {
    let password =
        "history:\n  url: postgres://teravm@127.0.0.1:1/teravm\n  password: {env: HISTORY_PASSWORD}\nsuites:\n";
    let lab = LAB.replace("suites:\n", password).replace("    feg: [127.0.0.2:1]\n", "");
    let desk = Desk::new().file("config/tiplab.yaml", lab);
    let typed = [
        "run --setup lap",
        "run --suite attch",
        "run --only feg",
        "run --dry-run --suite attch",
        "upgrade feg",
        "upgrade --setup lap",
        "test attch",
        "test --failed --setup lap",
        "check --setup lap",
        "config check --setup lap",
        "vpn --setup lap",
        "vpn -- sssh magma@127.0.0.1",
        "vpn -- ./sssh",
        "lock --setup lap",
        "logs agwx",
        "logs feg1",
        "logs agw --setup lap",
        "ssh agwx",
        "ssh agw --setup lap -- uptime",
        "history list --status green",
        "history list --since soon",
        "history import gone.json",
        "history page --out site --setup lap",
        "run --wait 2h45m",
        "gate latest --setup lap",
    ];
    let told = typed.map(|words| format!("{words}\n{}", desk.run(words)));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_upgrade_of_nothing_is_refused() {
    assert_snapshot!(Desk::with_lab_but("    feg: [127.0.0.2:1]\n", "").run("run --only feg"), @"
        exit 2
        --- standard error
        error: there is nothing to upgrade: the setup `lab` has no FEG
          try: name another setup by `--setup`, or upgrade its AGW
        ");
    assert_snapshot!(Desk::with_lab_but("    feg: [127.0.0.2:1]\n", "").run("upgrade feg"), @"
        exit 2
        --- standard error
        error: there is nothing to upgrade: the setup `lab` has no FEG
          try: name another setup by `--setup`, or upgrade its AGW
        ");
}

#[test]
fn a_tunnel_that_the_config_does_not_have_is_not_held() {
    let without = LAB.replace("kind: openvpn", "kind: none");
    assert_snapshot!(Desk::with_config(&without).run("vpn"), @"
        exit 2
        --- standard error
        error: `vpn.kind` is `none`: there is no tunnel to hold
          try: the hosts are reached as they are: `ssh` needs no tunnel of ours
        ");
}

#[test]
fn a_console_that_cannot_be_opened_is_named_and_no_report_is_begun() {
    let desk = Desk::new().file("night.txt", "").file("folder/night.txt", "");
    assert_snapshot!(desk.run("report gone.txt"), @"
        exit 2
        --- standard error
        error: cannot read the console `gone.txt`
          because: No such file or directory (os error 2)
        ");
    assert_snapshot!(desk.run("report night.txt folder"), @"
        exit 2
        --- standard error
        error: the console `folder` is a folder
          try: name the files in it
        ");
    assert_snapshot!(desk.run("report night.txt/night.txt"), @"
        exit 2
        --- standard error
        error: cannot read the console `night.txt/night.txt`
          because: Not a directory (os error 20)
        ");
    assert_snapshot!(desk.run("report - -"), @"
        exit 2
        --- standard error
        error: standard input (`-`) can be read once, and is named more often
          try: name it once
        ");
}

#[test]
fn a_console_that_the_report_itself_would_remove_is_refused() {
    let desk = Desk::new().file("results/suites/attach/console.log", "").file("results/events.jsonl", "");
    assert_snapshot!(desk.run("report results/suites/attach/console.log"), @"
        exit 2
        --- standard error
        error: the console `results/suites/attach/console.log` lies among the reports of an earlier run, which a new run removes
          try: copy it elsewhere, or choose another folder with `--results`
        ");
    let desk = desk.link("night.txt", "results/suites/attach/console.log");
    assert_snapshot!(desk.run("report night.txt"), @"
        exit 2
        --- standard error
        error: the console `night.txt` lies among the reports of an earlier run, which a new run removes
          try: copy it elsewhere, or choose another folder with `--results`
        ");
}

#[test]
fn results_that_cannot_be_written_are_said_before_anything_is_run() {
    let desk = Desk::with_lab().file("night.txt", "").file("taken", "");
    assert_snapshot!(desk.run("report --results taken night.txt"), @"
        exit 2
        --- standard error
        error: cannot write the report `taken`
          because: File exists (os error 17)
          try: is there room, and may we write there? `--results` names another folder
        ");
    assert_snapshot!(desk.run("run --results taken"), @"
        exit 2
        --- standard error
        error: cannot write the report `taken`
          because: File exists (os error 17)
          try: is there room, and may we write there? `--results` names another folder
        ");
    assert_snapshot!(desk.run("report --results /proc/results night.txt"), @"
        exit 2
        --- standard error
        error: cannot write the report `/proc/results`
          because: No such file or directory (os error 2)
          try: is there room, and may we write there? `--results` names another folder
        ");
}

#[test]
fn a_folder_that_no_run_has_written_is_not_taken_for_results() {
    let desk = Desk::with_lab().file("night.txt", "").file("results/suites/thesis.tex", "years of work");
    assert_snapshot!(desk.run("report night.txt"), @"
        exit 2
        --- standard error
        error: `results/suites` is there already, and was not written by an earlier run
          try: nothing was touched; move it away, or choose another folder
        ");
    assert_snapshot!(desk.run("run"), @"
        exit 2
        --- standard error
        error: `results/suites` is there already, and was not written by an earlier run
          try: nothing was touched; move it away, or choose another folder
        ");
    assert_eq!(desk.read("results/suites/thesis.tex"), "years of work");
}

#[test]
fn a_home_and_a_git_repository_are_not_taken_for_results() {
    let desk = Desk::with_lab()
        .file("night.txt", "")
        .file("project/.git/HEAD", "ref: refs/heads/main")
        .file("project/run.json", "{}");
    assert_snapshot!(desk.run("report night.txt --results project"), @"
        exit 2
        --- standard error
        error: `project` cannot be the results folder: it is the top of a Git repository
          try: nothing was touched; `--results` names another folder
        ");
    assert_snapshot!(desk.run("report night.txt --results ."), @"
        exit 2
        --- standard error
        error: `.` cannot be the results folder: it is your home directory
          try: nothing was touched; `--results` names another folder
        ");
    assert_snapshot!(desk.run("run --results project"), @"
        exit 2
        --- standard error
        error: `project` cannot be the results folder: it is the top of a Git repository
          try: nothing was touched; `--results` names another folder
        ");
    assert!(desk.run("report night.txt --results /").stderr.contains("it is the root of the file system"));
}

#[test]
fn a_page_of_somebody_else_is_not_replaced_by_that_of_the_history() {
    let desk = Desk::with_lab().file("site/index.html", "<h1>Our lab</h1>");
    assert_snapshot!(desk.run("history page --out site"), @"
        exit 2
        --- standard error
        error: `site/index.html` is there already, and was not written by an earlier run
          try: nothing was touched; move it away, or choose another folder
        --- changed
        wrote config/history.sqlite
        ");
    assert_eq!(desk.read("site/index.html"), "<h1>Our lab</h1>");
}
