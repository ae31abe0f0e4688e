//! A real `sshd` of our own, as the user who runs the tests.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::config::{Address, Ssh};
use crate::remote::{Access, Host};
use crate::secret::Secret;

/// The server, with everything it needs in one temporary directory. It goes with the test.
pub(super) struct Sshd {
    directory: TempDir,
    server: Child,
    pub(super) port: u16,
}

impl Sshd {
    pub(super) fn start() -> Sshd {
        Sshd::start_with("")
    }

    /// The same with further lines in its configuration.
    pub(super) fn start_with(lines: &str) -> Sshd {
        let directory = tempfile::Builder::new().prefix("teravm-ci-test-").tempdir().unwrap();
        for name in ["host", "client", "other"] {
            keygen(&directory.path().join(name), "");
        }
        let home = directory.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::copy(directory.path().join("client.pub"), directory.path().join("authorized_keys")).unwrap();
        if rustix::process::getuid().is_root() {
            // sshd wants it for the separation of privileges; Debian makes it at boot.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = directory.path().display();
        let configuration = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nPermitUserRC no\nPrintMotd no\nSetEnv HOME={at}/home\nMaxStartups 100\n{lines}"
        );
        fs::write(directory.path().join("sshd_config"), configuration).unwrap();
        let mut server = Command::new("/usr/sbin/sshd");
        server.args(["-D", "-e", "-f"]).arg(directory.path().join("sshd_config")).stderr(Stdio::piped());
        let mut server = server.spawn().unwrap_or_else(|error| {
            panic!(
                "these tests need a real sshd, and /usr/sbin/sshd cannot be started (Debian: openssh-server): {error}"
            )
        });
        let mut said = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Server listening") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "sshd ended: {line}");
        }
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        let sshd = Sshd { directory, server, port };
        sshd.accept("host");
        sshd
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes one of our keys the accepted key of this server.
    pub(super) fn accept(&self, key: &str) {
        let public = fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        fs::write(self.path("known_hosts"), format!("[127.0.0.1]:{} {public}", self.port)).unwrap();
    }

    pub(super) fn ssh(&self) -> Ssh {
        Ssh {
            key: None,
            known_hosts: self.path("known_hosts"),
            connect_timeout: Duration::from_secs(2),
            keepalive: Duration::from_secs(1),
        }
    }

    pub(super) fn key(&self, name: &str) -> Secret {
        Secret::new(fs::read_to_string(self.path(name)).unwrap())
    }

    pub(super) fn access(&self) -> Access {
        Access::open(&self.ssh(), Some(&self.key("client")), Duration::ZERO).unwrap()
    }

    pub(super) fn address(&self) -> Address {
        format!("127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(super) async fn host(&self) -> Host {
        self.access().connect("agw", &self.address(), &user()).await.unwrap()
    }

    /// A host whose connection may be lost for a while.
    pub(super) async fn patient_host(&self) -> Host {
        let access = Access::open(&self.ssh(), Some(&self.key("client")), Duration::from_secs(30)).unwrap();
        access.connect("agw", &self.address(), &user()).await.unwrap()
    }

    /// Where the test's jobs live.
    pub(super) fn job(&self, name: &str) -> String {
        self.path("jobs").join(name).display().to_string()
    }

    /// Whether a client has its end of a connection still open: it has not noticed yet that the other end is gone.
    pub(super) fn has_clients(&self) -> bool {
        const OPEN: [&str; 2] = ["01", "08"];
        let port = format!(":{:04X}", self.port);
        fs::read_to_string("/proc/net/tcp").expect("it is Linux").lines().any(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            words[2].ends_with(&port) && OPEN.contains(&words[3])
        })
    }

    /// Sends a signal to the processes that serve connections, and to those behind them that are still sshd.
    pub(super) fn signal_sessions(&self, signal: Signal) {
        let mut parents = vec![self.server.id()];
        while let Some(parent) = parents.pop() {
            for (pid, name) in children(parent) {
                if name == "sshd" {
                    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
                    parents.push(pid);
                }
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_sessions(Signal::KILL);
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(super) fn keygen(path: &Path, passphrase: &str) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f"]).arg(path);
    assert!(keygen.status().expect("OpenSSH's client is installed").success());
}

pub(super) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits for a condition of the world, and fails when it does not come.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("this did not come: {what}");
}

pub(super) fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

fn children(parent: u32) -> Vec<(u32, String)> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let (name, fields) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
        if fields.split(' ').nth(1) == Some(&parent.to_string()) {
            children.push((entry.file_name().to_str().unwrap().parse().unwrap(), name.to_owned()));
        }
    }
    children
}
