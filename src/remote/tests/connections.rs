//! The ways into a host, and what an operator reads when there is none.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::config::{Address, Ssh};
use crate::remote::access::AccessError;
use crate::remote::tests::sshd::{Sshd, is_alive, keygen, until, user};
use crate::remote::{Access, Error, sweep};
use crate::secret::Secret;

/// What an operator reads when we cannot connect, with the test's own values replaced.
async fn refusal(sshd: &Sshd, key: &str, address: &Address) -> String {
    let access = Access::open(&sshd.ssh(), Some(&sshd.key(key)), Duration::ZERO).unwrap();
    let error = access.connect("agw", address, &user()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }));
    error
        .problem()
        .text()
        .replace(&address.port.to_string(), "PORT")
        .replace(&format!("as {} ", user()), "as USER ")
        .replace(&format!("of {} ", user()), "of USER ")
        .replace(&format!("{}@", user()), "USER@")
        .replace(&sshd.path("").display().to_string(), "DIR/")
}

fn fingerprint(public: &Path) -> String {
    let output = std::process::Command::new("ssh-keygen").arg("-lf").arg(public).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_and_shown_to_be_compared() {
    let sshd = Sshd::start();
    fs::write(sshd.path("known_hosts"), "").unwrap();
    let public = fs::read_to_string(sshd.path("host.pub")).unwrap();
    let key = public.split(' ').nth(1).unwrap();
    let fingerprint = fingerprint(&sshd.path("host.pub"));
    assert_eq!(
        refusal(&sshd, "client", &sshd.address()).await,
        format!(
            "cannot connect to `agw` as USER at 127.0.0.1:PORT\n  \
             because: the host's key is not among those we accept\n  \
             try: compare with `ssh-keygen -lf` of the host's own key, there\n       \
             it shows ssh-ed25519 {fingerprint}\n       \
             if they agree, add to `DIR/known_hosts`: [127.0.0.1]:PORT ssh-ed25519 {key}"
        )
    );
    assert_eq!(fs::read_to_string(sshd.path("known_hosts")).unwrap(), "", "nobody adds keys but the operator");
}

#[tokio::test]
async fn a_changed_host_key_is_refused_and_is_not_an_unknown_one() {
    let sshd = Sshd::start();
    sshd.accept("other");
    let fingerprint = fingerprint(&sshd.path("host.pub"));
    assert_eq!(
        refusal(&sshd, "client", &sshd.address()).await,
        format!(
            "cannot connect to `agw` as USER at 127.0.0.1:PORT\n  \
             because: the host shows another key than the one we accept\n  \
             try: it shows {fingerprint}; if the host was set up anew, replace `DIR/known_hosts` line 1; \
             if not, somebody is in between"
        )
    );
}

#[tokio::test]
async fn a_revoked_host_key_is_refused_and_nobody_is_told_to_accept_another() {
    let sshd = Sshd::start();
    let accepted = fs::read_to_string(sshd.path("known_hosts")).unwrap();
    fs::write(sshd.path("known_hosts"), format!("@revoked {accepted}")).unwrap();
    assert_eq!(
        refusal(&sshd, "client", &sshd.address()).await,
        "cannot connect to `agw` as USER at 127.0.0.1:PORT\n  \
         because: the host shows a key that is revoked in `DIR/known_hosts`\n  \
         try: somebody has marked the ED25519 key as stolen (`@revoked` in `DIR/known_hosts`): ask them before anything is \
         changed, and do not connect; the host needs a new key"
    );
}

#[tokio::test]
async fn a_byte_order_mark_before_the_accepted_keys_or_the_own_key_changes_nothing() {
    let sshd = Sshd::start();
    let accepted = fs::read_to_string(sshd.path("known_hosts")).unwrap();
    fs::write(sshd.path("known_hosts"), format!("\u{feff}{accepted}")).unwrap();
    let key = Secret::new(format!("\u{feff}{}", sshd.key("client").expose()));
    let access = Access::open(&sshd.ssh(), Some(&key), Duration::ZERO).unwrap();
    let host = access.connect("agw", &sshd.address(), &user()).await.unwrap();
    assert_eq!(host.run("echo in").await.unwrap().text(), "in");
}

#[tokio::test]
async fn a_key_that_the_host_does_not_know_is_denied() {
    let sshd = Sshd::start();
    assert_eq!(
        refusal(&sshd, "other", &sshd.address()).await,
        "cannot connect to `agw` as USER at 127.0.0.1:PORT\n  \
         because: the host does not let us in: USER@127.0.0.1: Permission denied (publickey).\n  \
         try: add the public part of `ssh.key` to `authorized_keys` of USER at 127.0.0.1"
    );
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_refuses() {
    let sshd = Sshd::start();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = Address { user: None, host: "127.0.0.1".to_owned(), port };
    assert_eq!(
        refusal(&sshd, "client", &address).await,
        "cannot connect to `agw` as USER at 127.0.0.1:PORT\n  \
         because: the connection was refused\n  \
         try: is `sshd` running there, and on this port?"
    );
}

#[tokio::test]
async fn a_host_that_says_nothing_is_given_up() {
    let sshd = Sshd::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address { user: None, host: "127.0.0.1".to_owned(), port: silent.local_addr().unwrap().port() };
    assert_eq!(
        refusal(&sshd, "client", &address).await,
        "cannot connect to `agw` as USER at 127.0.0.1:PORT\n  \
         because: no answer within 2s (`ssh.connect_timeout`)\n  \
         try: is the host up, and can its address be reached from here (through the tunnel, where there is one)?"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said_so() {
    let sshd = Sshd::start();
    let address = Address { user: None, host: "agw.invalid".to_owned(), port: 22 };
    assert_eq!(
        refusal(&sshd, "client", &address).await.replace("PORT", "22"),
        "cannot connect to `agw` as USER at agw.invalid\n  \
         because: the name does not resolve\n  \
         try: write the host's address into the config: the tunnel brings no name server"
    );
}

#[tokio::test]
async fn the_user_in_the_address_is_the_one_who_logs_in() {
    let sshd = Sshd::start();
    let address = Address { user: Some(user()), ..sshd.address() };
    let host = sshd.access().connect("agw", &address, "nobody-like-this").await.unwrap();
    assert_eq!(host.run("id -un").await.unwrap().text(), user());
}

#[test]
fn a_key_that_cannot_be_used_is_found_before_the_lab_is_touched() {
    let sshd = Sshd::start();
    keygen(&sshd.path("locked"), "a passphrase");
    let whole = sshd.key("client");
    let refused = |key: &Secret| Access::open(&sshd.ssh(), Some(key), Duration::ZERO).unwrap_err().to_string();
    assert_eq!(refused(&sshd.key("locked")), "`ssh.key` is not a private key that we can use: it has a passphrase");
    let broken = "`ssh.key` is not a private key that we can use: it is broken, cut off, or no private key";
    assert_eq!(refused(&Secret::new("nonsense")), broken);
    assert_eq!(refused(&Secret::new(&whole.expose()[..200])), broken);
    // What variables do to keys is forgiven.
    Access::open(&sshd.ssh(), Some(&Secret::new(whole.expose().trim_end())), Duration::ZERO).unwrap();
    Access::open(&sshd.ssh(), Some(&Secret::new(whole.expose().replace('\n', "\r\n"))), Duration::ZERO).unwrap();
}

#[test]
fn a_missing_file_of_host_keys_is_found_before_the_lab_is_touched() {
    let sshd = Sshd::start();
    let ssh = Ssh { known_hosts: sshd.path("nowhere"), ..sshd.ssh() };
    let error = Access::open(&ssh, None, Duration::ZERO).unwrap_err();
    assert!(matches!(error, AccessError::KnownHosts { .. }));
    assert_eq!(
        error.problem().text().replace(&sshd.path("").display().to_string(), "DIR/"),
        "cannot read the accepted host keys `DIR/nowhere`\n  \
         because: No such file or directory (os error 2)\n  \
         try: `ssh-keyscan HOST` prints a host's keys; compare before you accept them"
    );
}

#[tokio::test]
async fn the_private_directory_is_private_and_goes_with_its_connections() {
    let sshd = Sshd::start();
    for by_plan in [true, false] {
        let access = sshd.access();
        let directory = access.directory().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join("key")), 0o600);
        let host = access.connect("agw", &sshd.address(), &user()).await.unwrap();
        let master = master(&directory);
        assert!(is_alive(&master));
        drop(host);
        if by_plan {
            access.close().await;
        } else {
            drop(access);
        }
        assert!(!directory.exists());
        until("the master has ended", || !is_alive(&master)).await;
    }
}

#[tokio::test]
async fn a_closed_host_has_no_master_and_another_command_makes_one() {
    let sshd = Sshd::start();
    let access = sshd.access();
    let host = access.connect("agw", &sshd.address(), &user()).await.unwrap();
    let master = master(access.directory());
    host.close().await;
    until("the master has ended", || !is_alive(&master)).await;
    assert_eq!(host.run("echo on").await.unwrap().text(), "on");
}

#[tokio::test]
async fn a_master_that_has_stopped_is_not_waited_for_and_does_not_stay() {
    let sshd = Sshd::start();
    let access = sshd.access();
    let host = access.connect("agw", &sshd.address(), &user()).await.unwrap();
    let first = master(access.directory());
    let stop = |pid: &str| kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::STOP).unwrap();
    stop(&first);
    assert_eq!(host.run("echo on").await.unwrap().text(), "on");
    assert!(!is_alive(&first));
    let second = master(access.directory());
    stop(&second);
    access.close().await;
    until("the master has ended", || !is_alive(&second)).await;
}

#[tokio::test]
async fn giving_up_a_connection_leaves_no_ssh_behind() {
    let sshd = Sshd::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address { user: None, host: "127.0.0.1".to_owned(), port: silent.local_addr().unwrap().port() };
    let access = sshd.access();
    let directory = access.directory().to_owned();
    let name = user();
    let connect = access.connect("agw", &address, &name);
    tokio::select! {
        _ = connect => panic!("nobody answers"),
        () = until("ssh is there", || !processes_with(&directory).is_empty()) => {}
    }
    until("ssh has ended", || processes_with(&directory).is_empty()).await;
}

#[tokio::test]
async fn what_a_killed_run_left_is_swept_and_what_a_living_one_has_is_not() {
    let sshd = Sshd::start();
    let living = sshd.access();
    let host = living.connect("agw", &sshd.address(), &user()).await.unwrap();
    let dead = sshd.access();
    let directory = dead.directory().to_owned();
    std::mem::forget(dead.connect("agw", &sshd.address(), &user()).await.unwrap());
    let master = master(&directory);
    dead.die();

    // Another test may sweep it first: whoever does, it is gone.
    sweep();
    until("the directory is swept", || !directory.exists()).await;
    until("the master has ended", || !is_alive(&master)).await;
    assert!(living.directory().exists());
    assert_eq!(host.run("echo here").await.unwrap().text(), "here");
}

/// The process of the one master of a private directory.
fn master(directory: &Path) -> String {
    let pids = processes_with(directory);
    assert_eq!(pids.len(), 1, "{pids:?}");
    pids[0].clone()
}

/// The `ssh` processes that work with a private directory.
fn processes_with(directory: &Path) -> Vec<String> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("ssh") && line.contains(&directory.display().to_string()) {
            pids.push(entry.file_name().into_string().unwrap());
        }
    }
    pids
}
