//! What the machine that the program runs on can lack, and what its own programs can refuse: exit 3 with the cause, and nothing
//! left behind.

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::desk::{BARE_LAB, Desk, Ended, LAB};

/// The same with what is said of each host in the hosts' order: they are reached side by side.
fn in_order(mut ended: Ended) -> Ended {
    let mut entries: Vec<String> = Vec::new();
    for line in ended.stderr.lines() {
        match entries.last_mut() {
            Some(entry) if line.starts_with(' ') => entry.push_str(&format!("\n{line}")),
            _ => entries.push(line.to_owned()),
        }
    }
    for of_hosts in entries.chunk_by_mut(|a, b| [a, b].iter().all(|entry| entry.contains(": cannot connect to"))) {
        of_hosts.sort();
    }
    ended.stderr = entries.join("\n");
    ended
}

const VERSION: &str = "if [ \"$1\" = --version ]; then echo 'OpenVPN 2.6.14 x86_64-pc-linux-gnu'; exit 0; fi\n";

/// An `openvpn` that says its version, and then does this.
fn openvpn(script: &str) -> Desk {
    Desk::with_lab().program("openvpn", &format!("{VERSION}{script}"))
}

#[test]
fn a_profile_that_openvpn_does_not_accept_ends_the_night() {
    let desk = openvpn(
        "echo 'Options error: Unrecognized option or missing or extra parameter(s) in stdin:3: wombat'\n\
         echo 'Use --help for more information.'; exit 1",
    );
    assert_snapshot!(desk.run("run"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: OpenVPN does not accept the profile: Unrecognized option or missing or extra parameter(s) in line 3: wombat

        gateway  release
        agw      not switched
        feg1     not switched

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS        night      run on lab: upgrade agw, feg1 to latest; test attach, handover
                                   run RUN, teravm-ci 0.1.0, DAY HH:MM UTC
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: OpenVPN does not accept the profile: Unrecognized option or missing or extra parameter(s) in line 3: wombat
                                   try: the line is that of the profile; try the profile by hand with this version of OpenVPN
        HH:MM:SS        night      over
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn an_openvpn_that_dies_without_a_word_is_said_with_its_exit_status() {
    assert_snapshot!(openvpn("exit 7").run("test -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: `openvpn` ended: exit status: 7

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: `openvpn` ended: exit status: 7
                                   try: see OpenVPN's log (`-v`)
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    assert_snapshot!(openvpn("kill -SEGV $$").run("test -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: `openvpn` ended: signal: 11 (SIGSEGV)

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: `openvpn` ended: signal: 11 (SIGSEGV)
                                   try: see OpenVPN's log (`-v`)
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn an_openvpn_that_never_connects_is_ended_at_the_deadline() {
    let desk = Desk::with_lab_but("connect_timeout: 10s", "connect_timeout: 1s")
        .program("openvpn", &format!("{VERSION}trap '' TERM INT\nwhile :; do /bin/sleep 0.1; done"));
    assert_snapshot!(desk.run("upgrade -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: it was not up within 1s; the last state was `none`

        gateway  release
        agw      not switched
        feg1     not switched

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: it was not up within 1s; the last state was `none`
                                   try: see OpenVPN's log (`-v`), or give it longer (`vpn.connect_timeout`)
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

/// It has no ear for signals, and so has to be killed.
#[test]
fn a_signal_ends_the_night_and_everything_is_given_back() {
    let stubborn = || openvpn("trap '' TERM INT HUP\nwhile :; do /bin/sleep 0.1; done");
    let call = "openvpn --ping";
    assert_snapshot!(stubborn().signalled(call, Signal::INT).run("run"), @"
        exit 130
        --- standard output
        INTERRUPTED  exit 130  lab  0.0 s
          interrupted by SIGINT

        gateway  release
        agw      not switched
        feg1     not switched

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS        night      run on lab: upgrade agw, feg1 to latest; test attach, handover
                                   run RUN, teravm-ci 0.1.0, DAY HH:MM UTC
        HH:MM:SS  ...   connect
        HH:MM:SS  WARN  night      SIGINT: giving everything back
        HH:MM:SS  FAIL  connect    stopped by SIGINT
        HH:MM:SS        night      over
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    for (signal, words) in
        [(Signal::TERM, "test"), (Signal::HUP, "upgrade"), (Signal::TERM, "lock"), (Signal::INT, "vpn")]
    {
        let ended = stubborn().signalled(call, signal).run(words);
        assert_eq!((ended.code.as_str(), ended.left), ("130", vec![]), "{words}: {}", ended.stderr);
    }
}

#[test]
fn every_command_that_needs_the_tunnel_says_why_there_is_none() {
    let desk = openvpn("echo 'ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)'; exit 1");
    assert_snapshot!(desk.run("check"), @"
        exit 3
        --- standard output
        ok      here  config      setup `lab`, every secret is there
        ok      here  history     sqlite:config/history.sqlite, with the first night
        ok      here  program     DESK/programs/ssh
        ok      here  program     DESK/programs/openvpn
        FAILED  here  tunnel      no tunnel to `127.0.0.1:1194`
                                    because: OpenVPN may not make a tunnel on this machine: ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)
                                    try: run it as root with CAP_NET_ADMIN, or let `sudo -n` start `openvpn`
        skipped agw, feg1, ng40 ssh         there is no tunnel

        8 checks, 1 failed, 3 skipped: a night would not run.
        --- called
        openvpn --ping
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        ");
    assert_snapshot!(desk.run("lock"), @"
        exit 3
        --- standard error
        no tunnel to `127.0.0.1:1194`
          because: OpenVPN may not make a tunnel on this machine: ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)
          try: run it as root with CAP_NET_ADMIN, or let `sudo -n` start `openvpn`
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        ");
    assert_snapshot!(desk.run("vpn"), @"
        exit 3
        --- standard error
        no tunnel to `127.0.0.1:1194`
          because: OpenVPN may not make a tunnel on this machine: ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)
          try: run it as root with CAP_NET_ADMIN, or let `sudo -n` start `openvpn`
        --- called
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        ");
    assert_snapshot!(desk.run_words(&["vpn", "--", "/bin/echo", "never said"]), @"
        exit 3
        --- standard error
        no tunnel to `127.0.0.1:1194`
          because: OpenVPN may not make a tunnel on this machine: ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)
          try: run it as root with CAP_NET_ADMIN, or let `sudo -n` start `openvpn`
        --- called
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        ");
    assert_snapshot!(desk.run("run --dry-run"), @"
        exit 3
        --- standard output
        run on `lab`, within 2h45m

        connect
          tunnel to `127.0.0.1:1194`
          agw: ssh magma@127.0.0.1:1
          feg1: ssh magma@127.0.0.2:1
          ng40: ssh ng40@127.0.0.3:1
        --- standard error
        no tunnel to `127.0.0.1:1194`
          because: OpenVPN may not make a tunnel on this machine: ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)
          try: run it as root with CAP_NET_ADMIN, or let `sudo -n` start `openvpn`
        --- called
        ssh-keygen -y
        openvpn --version
        ip -json
        ip -json
        ip -json
        openvpn --ping
        ");
}

/// Puts this machine's own administrators' programs out of sight, where the program looks for some beside PATH.
fn without_sbin() -> String {
    let user = if rustix::process::geteuid().is_root() { "" } else { "--map-root-user" };
    let hide = "for folder in /usr/local/sbin /usr/sbin /sbin; do /bin/mount -t tmpfs none $folder; done";
    format!(
        "[ \"$HIDDEN\" ] || HIDDEN=yes exec /usr/bin/unshare --mount {user} \
         /bin/sh -c '{hide}; exec \"$0\" \"$@\"' \"$0\" \"$@\""
    )
}

#[test]
fn a_machine_without_openvpn_is_told_so() {
    let desk = Desk::with_lab().without_program("openvpn").after(&without_sbin());
    assert_snapshot!(desk.run("run -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: the program `openvpn` is not on this machine

        gateway  release
        agw      not switched
        feg1     not switched

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: the program `openvpn` is not on this machine
                                   try: install it (`apt-get install openvpn`)
        --- called
        ssh-keygen -y
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn a_machine_without_ip_is_told_so() {
    let desk = openvpn("exit 1").without_program("ip").after(&without_sbin());
    assert_snapshot!(desk.run("run -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: the program `ip` (of iproute2) is not on this machine

        gateway  release
        agw      not switched
        feg1     not switched

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: the program `ip` (of iproute2) is not on this machine
                                   try: install it (`apt-get install iproute2`)
        --- called
        ssh-keygen -y
        openvpn --version
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn a_sudo_that_refuses_is_quoted() {
    let desk = openvpn("exit 1").program("sudo", "echo 'sudo: a password is required' >&2; exit 1").by_nobody();
    assert_snapshot!(desk.run("run -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: `openvpn` needs root, and `sudo -n` does not give it: sudo: a password is required

        gateway  release
        agw      not switched
        feg1     not switched

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: `openvpn` needs root, and `sudo -n` does not give it: sudo: a password is required
                                   try: run it as root, or allow `openvpn` without a password in `/etc/sudoers`; whoever may run `openvpn` as root can run any program as root
        --- called
        ssh-keygen -y
        sudo -n
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn openvpn_is_run_by_sudo_when_we_are_not_root() {
    let desk = openvpn("echo 'Options error: no'; exit 1").program("sudo", "shift 2; exec \"$@\"").by_nobody();
    assert_snapshot!(desk.run("run -q"), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect: no tunnel to `127.0.0.1:1194`: OpenVPN does not accept the profile: no

        gateway  release
        agw      not switched
        feg1     not switched

        suite     passed  failed  error         took
        attach         0       0      0  not started
        handover       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    no tunnel to `127.0.0.1:1194`
                                   because: OpenVPN does not accept the profile: no
                                   try: the line is that of the profile; try the profile by hand with this version of OpenVPN
        --- called
        ssh-keygen -y
        sudo -n
        openvpn --version
        ip -json
        ip -json
        ip -json
        sudo -n
        openvpn --ping
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn a_machine_without_ssh_is_told_so() {
    assert_snapshot!(in_order(Desk::with_config(BARE_LAB).without_program("ssh").run("test")), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect agw, feg1, ng40: cannot start `ssh`: No such file or directory (os error 2)

        suite   passed  failed  error         took
        attach       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS        night      test on lab: test attach
                                   run RUN, teravm-ci 0.1.0, DAY HH:MM UTC
        HH:MM:SS  FAIL  connect    agw: cannot connect to `agw` as magma at 127.0.0.1:1
                                   because: cannot start `ssh`
                                   because: No such file or directory (os error 2)
                                   try: install OpenSSH's client
        HH:MM:SS  FAIL  connect    feg1: cannot connect to `feg1` as magma at 127.0.0.2:1
                                   because: cannot start `ssh`
                                   because: No such file or directory (os error 2)
                                   try: install OpenSSH's client
        HH:MM:SS  FAIL  connect    ng40: cannot connect to `ng40` as ng40 at 127.0.0.3:1
                                   because: cannot start `ssh`
                                   because: No such file or directory (os error 2)
                                   try: install OpenSSH's client
        HH:MM:SS  FAIL  connect    no connection to agw, feg1, ng40
        HH:MM:SS  ok    disconnect nothing of ours is left
        HH:MM:SS        night      over
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    assert_snapshot!(Desk::with_config(BARE_LAB).without_program("ssh").run("check"), @"
        exit 3
        --- standard output
        ok      here  config      setup `lab`, every secret is there
        ok      here  history     sqlite:config/history.sqlite, with the first night
        FAILED  here  program     `ssh` is not installed
                                    try: Debian and Ubuntu have it in the package `openssh-client`
        ok      here  program     DESK/programs/openvpn
        skipped here  tunnel      none of ours; the hosts are reached as they are
        FAILED  agw, feg1, ng40 ssh         cannot start `ssh`: No such file or directory (os error 2)
                                    try: install OpenSSH's client
        skipped agw, feg1 gateway     the host is not reached
        skipped agw   release     the AGW could not be asked
        skipped ng40  lock        the host is not reached
        skipped ng40  idle        the host is not reached
        skipped ng40  list        the host is not reached

        14 checks, 4 failed, 7 skipped: a night would not run.
        ");
}

/// An `ssh` that says this in its log (`-E FILE`) and gives up.
fn ssh(says: &str) -> Desk {
    let script = format!("while [ \"$1\" != -E ]; do shift || exit 255; done\necho '{says}' > \"$2\"; exit 255");
    Desk::with_config(BARE_LAB).program("ssh", &script)
}

#[test]
fn a_host_that_cannot_be_reached_is_named_with_the_cause() {
    let refused = "ssh: connect to host 127.0.0.1 port 1: Connection refused";
    assert_snapshot!(in_order(ssh(refused).run("test -q")), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect agw, feg1, ng40: the connection was refused

        suite   passed  failed  error         took
        attach       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS  FAIL  connect    agw: cannot connect to `agw` as magma at 127.0.0.1:1
                                   because: the connection was refused
                                   try: is `sshd` running there, and on this port?
        HH:MM:SS  FAIL  connect    feg1: cannot connect to `feg1` as magma at 127.0.0.2:1
                                   because: the connection was refused
                                   try: is `sshd` running there, and on this port?
        HH:MM:SS  FAIL  connect    ng40: cannot connect to `ng40` as ng40 at 127.0.0.3:1
                                   because: the connection was refused
                                   try: is `sshd` running there, and on this port?
        HH:MM:SS  FAIL  connect    no connection to agw, feg1, ng40
        --- called
        ssh -F
        ssh -F
        ssh -F
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
    assert_snapshot!(ssh("magma@127.0.0.1: Permission denied (publickey).").run("lock"), @"
        exit 3
        --- standard error
        cannot connect to `ng40` as ng40 at 127.0.0.3:1
          because: the host does not let us in: magma@127.0.0.1: Permission denied (publickey).
          try: add the public part of `ssh.key` to `authorized_keys` of ng40 at 127.0.0.3
        no connection to ng40
        --- called
        ssh -F
        ");
    assert_snapshot!(ssh("ssh: Could not resolve hostname agw: Name or service not known").run("lock"), @"
        exit 3
        --- standard error
        cannot connect to `ng40` as ng40 at 127.0.0.3:1
          because: the name does not resolve
          try: write the host's address into the config: the tunnel brings no name server
        no connection to ng40
        --- called
        ssh -F
        ");
    assert_snapshot!(ssh("").run("lock"), @"
        exit 3
        --- standard error
        cannot connect to `ng40` as ng40 at 127.0.0.3:1
          because: `ssh` gave no reason
          try: see what `ssh -v -p 1 ng40@127.0.0.3` says
        no connection to ng40
        --- called
        ssh -F
        ");
}

#[test]
fn a_real_ssh_to_a_port_where_nobody_listens_says_so_of_every_host() {
    let real = "exec /usr/bin/ssh \"$@\"";
    assert_snapshot!(in_order(Desk::with_config(BARE_LAB).program("ssh", real).run("test")), @"
        exit 3
        --- standard output
        TESTBED  exit 3  lab  0.0 s
          connect agw, feg1, ng40: the connection was refused

        suite   passed  failed  error         took
        attach       0       0      0  not started

        reports  results/summary.md
                 results/report.html
                 results/junit.xml
                 results/run.json
        --- standard error
        HH:MM:SS        night      test on lab: test attach
                                   run RUN, teravm-ci 0.1.0, DAY HH:MM UTC
        HH:MM:SS  FAIL  connect    agw: cannot connect to `agw` as magma at 127.0.0.1:1
                                   because: the connection was refused
                                   try: is `sshd` running there, and on this port?
        HH:MM:SS  FAIL  connect    feg1: cannot connect to `feg1` as magma at 127.0.0.2:1
                                   because: the connection was refused
                                   try: is `sshd` running there, and on this port?
        HH:MM:SS  FAIL  connect    ng40: cannot connect to `ng40` as ng40 at 127.0.0.3:1
                                   because: the connection was refused
                                   try: is `sshd` running there, and on this port?
        HH:MM:SS  FAIL  connect    no connection to agw, feg1, ng40
        HH:MM:SS  ok    disconnect nothing of ours is left
        HH:MM:SS        night      over
        --- called
        ssh -F
        ssh -F
        ssh -F
        --- changed
        wrote config/history.sqlite
        wrote results/
        wrote results/events.jsonl
        wrote results/junit.xml
        wrote results/report.html
        wrote results/run.json
        wrote results/summary.md
        ");
}

#[test]
fn an_ssh_that_hangs_is_given_up() {
    let config = BARE_LAB.replace("connect_timeout: 2s", "connect_timeout: 100ms");
    let desk = Desk::with_config(&config).program("ssh", "exec /bin/sleep 600");
    assert_snapshot!(desk.run("lock"), @"
        exit 3
        --- standard error
        cannot connect to `ng40` as ng40 at 127.0.0.3:1
          because: the connection was begun and not finished within 5s200ms
          try: look at the load of the host and at its `sshd`: what it asks at a login (a name server, PAM) may not answer
        no connection to ng40
        --- called
        ssh -F
        ");
}

#[test]
fn what_a_killed_run_left_in_private_folders_is_swept_by_the_next() {
    let desk = Desk::with_lab().program("openvpn", "exit 1");
    let dead = desk.path("../private/teravm-ci-vpn-4194304999-abcdef");
    std::fs::create_dir_all(&dead).expect("a folder");
    desk.run("run -q");
    assert!(!dead.exists());
}

#[test]
fn no_program_that_is_called_has_a_secret_in_its_environment() {
    let with_key = BARE_LAB
        .replace("kind: none\n", "kind: none\n  outage: 1s\n")
        .replace("ssh:\n", "ssh:\n  key: {env: SSH_KEY, encoding: base64}\n");
    for (config, must_be_called) in [(LAB, "openvpn --version"), (with_key.as_str(), "timeout 5")] {
        let desk = Desk::with_config(config);
        let seen = desk.path("seen");
        let look = format!("/usr/bin/env >> '{}'\n", seen.display());
        // A master that is said to be connected and is not there is asked to end.
        let programs = ["openvpn", "sudo", "ip", "ssh", "ssh-keygen", "ssh-keyscan", "timeout"];
        let desk = programs.into_iter().fold(desk, |desk, name| desk.program(name, &look));
        let ended = desk.run("run");
        assert!(ended.called.lines().any(|call| call == must_be_called), "{ended}");
        let environments = std::fs::read_to_string(seen).expect("programs were called");
        assert!(environments.contains("LC_ALL=C"), "{environments}");
        for name in ["VPN_USERNAME", "VPN_PASSWORD", "SSH_KEY"] {
            assert!(!environments.contains(name), "{name} in\n{environments}\nof {ended}");
        }
    }
}
