//! How we get into the lab's hosts: a private directory with the key, the host keys and a configuration for `ssh` that no
//! file of the user's or the machine's has a say in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::config::{Address, Ssh};
use crate::error::hinted;
use crate::event::Problem;
use crate::limit::{self, HeadTail};
use crate::process::naming;
use crate::remote::error::{Cause, Error};
use crate::remote::host::Host;
use crate::remote::outlast::Patience;
use crate::secret::Secret;

/// What the private directories are called: this, the process, a few random letters.
const PREFIX: &str = "teravm-ci-ssh-";

/// `ssh` makes its control socket as `PATH.` and 16 characters, and a socket's path has at most 107 bytes.
const LONGEST_BASE: usize = 50;

/// A larger file is none of host keys: a line has some 100 bytes.
const MOST_KNOWN_HOSTS: usize = 10 * 1024 * 1024;

/// A master that nobody uses ends by itself after this time, should all else fail. The next command makes a new one.
const PERSIST: Duration = Duration::from_secs(600);

/// So many signs of life in a row may be missing from a host, `ssh.keepalive` apart.
const KEPT_ALIVE: u32 = 3;

/// So many bytes of the beginning and of the end of its log are read.
const LOG: usize = 64 * 1024;

/// How we get in, for one night.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    private: Arc<Private>,
}

/// There is no way in, for a reason on this machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("cannot read the accepted host keys `{path}`")]
    KnownHosts { path: PathBuf, source: io::Error },
    #[error("`ssh.key` is not a private key that we can use: {reason}")]
    Key { reason: String },
    #[error("cannot start `{program}`")]
    NoSsh { program: &'static str, source: io::Error },
    #[error("cannot make a private directory in `{base}`")]
    Directory { base: PathBuf, source: io::Error },
}

impl AccessError {
    /// The same as an event tells it.
    pub(crate) fn problem(&self) -> Problem {
        let mut problem = Problem::testbed(self.to_string());
        if let Some(source) = std::error::Error::source(self) {
            problem = problem.because_of(source);
        }
        problem.hint(self.hint())
    }

    /// The same on its way up, before a night.
    pub(crate) fn hinted(self) -> anyhow::Error {
        let hint = self.hint();
        hinted(self, hint)
    }

    fn hint(&self) -> &'static str {
        match self {
            AccessError::KnownHosts { .. } => "`ssh-keyscan HOST` prints a host's keys; compare before you accept them",
            AccessError::Key { .. } => "write the key as `ssh-keygen` made it, whole and without a passphrase",
            AccessError::NoSsh { .. } => "install OpenSSH's client",
            AccessError::Directory { .. } => "is the disk full?",
        }
    }
}

/// A key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostKey {
    /// `ssh-ed25519`, ...
    pub(crate) algorithm: String,
    /// `SHA256:...`, for a person to compare.
    pub(crate) fingerprint: String,
    /// The line that a file of accepted keys would have.
    pub(crate) line: String,
}

/// The private directory. It goes with the last one who has it, and takes the connections along.
#[derive(Debug)]
pub(super) struct Private {
    directory: PathBuf,
    /// Locked as long as this process lives: how others know that the directory is in use.
    _alive: File,
    /// The operator's own file of accepted host keys, for messages; `ssh` reads our copy.
    known_hosts: PathBuf,
    connect_timeout: Duration,
    keepalive: Duration,
    patience: Patience,
    has_key: bool,
    sockets: AtomicU32,
}

impl Access {
    /// Makes the private directory. `key` is the private key; without one the keys of the agent and of the user are used. A connection that is lost is
    /// waited for as long as an `outage` may last.
    pub(crate) fn open(ssh: &Ssh, key: Option<&Secret>, outage: Duration) -> Result<Access, AccessError> {
        let known_hosts = limit::read_file(&ssh.known_hosts, MOST_KNOWN_HOSTS)
            .map_err(|source| AccessError::KnownHosts { path: ssh.known_hosts.clone(), source })?;
        let base = bases().remove(0);
        let private = Private::make(&base, ssh, key, &known_hosts, outage)
            .map_err(|source| AccessError::Directory { base: base.clone(), source })?;
        if private.has_key {
            check_key(&private.directory.join("key"))?;
        }
        Ok(Access { private: Arc::new(private) })
    }

    /// Connects to a host. `user` is the user of its kind; the address may name another.
    pub(crate) async fn connect(&self, name: &str, address: &Address, user: &str) -> Result<Host, Error> {
        let host = Host::new(name, address, user, Arc::clone(&self.private));
        host.reconnect().await?;
        Ok(host)
    }

    /// Waits for no lost connection any more, once the token is cancelled.
    pub(crate) fn impatience(&self) -> CancellationToken {
        self.private.patience.end.clone()
    }

    /// Ends all connections and removes the private directory.
    pub(crate) async fn close(self) {
        let private = Arc::clone(&self.private);
        // Asking a master to end is a matter of milliseconds, but it is another process.
        let _ = tokio::task::spawn_blocking(move || private.remove()).await;
    }
}

impl Private {
    fn make(base: &Path, ssh: &Ssh, key: Option<&Secret>, known_hosts: &[u8], outage: Duration) -> io::Result<Private> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(base)?;
        let alive = private_file(&directory.path().join("alive"), b"")?;
        flock(&alive, FlockOperation::NonBlockingLockExclusive)?;
        private_file(&directory.path().join("known_hosts"), known_hosts)?;
        private_file(&directory.path().join("config"), configuration(directory.path(), ssh, key.is_some()).as_bytes())?;
        if let Some(key) = key {
            // A key that came through a variable has often lost its last line end, or gained carriage returns; `ssh`
            // refuses both ("error in libcrypto").
            let text = key.expose().trim_start_matches('\u{feff}').replace('\r', "");
            private_file(&directory.path().join("key"), format!("{}\n", text.trim_end()).as_bytes())?;
        }
        Ok(Private {
            directory: directory.keep(),
            _alive: alive,
            known_hosts: ssh.known_hosts.clone(),
            connect_timeout: ssh.connect_timeout,
            keepalive: ssh.keepalive,
            patience: Patience { outage, end: CancellationToken::new() },
            has_key: key.is_some(),
            sockets: AtomicU32::new(0),
        })
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// By then `ssh` itself has found out that a host does not answer.
    pub(super) fn knows_after(&self) -> Duration {
        self.keepalive * (KEPT_ALIVE + 1) + self.connect_timeout
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Starts a master, and returns its control socket once it is connected.
    pub(super) async fn connect(&self, address: &Address, user: &str) -> Result<PathBuf, Cause> {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        let socket = self.directory.join(format!("{number}.sock"));
        let log = self.directory.join(format!("{number}.log"));
        let mut ssh = tokio::process::Command::from(self.ssh("ssh"));
        ssh.arg("-F").arg(self.directory.join("config"));
        ssh.arg("-E").arg(&log).arg("-S").arg(&socket);
        ssh.args(["-M", "-f", "-N", "-p", &address.port.to_string(), "-l", user, "--", &address.host]);
        // It goes to the background when it is connected. Until then it is our child, and ends with our patience.
        ssh.kill_on_drop(true).process_group(0);
        // `ConnectTimeout` ends at the host's banner; what comes after it can hang too.
        let patience = self.connect_timeout * 2 + Duration::from_secs(5);
        let status = match tokio::time::timeout(patience, ssh.status()).await {
            Err(_) => return Err(Cause::Unfinished { limit: patience }),
            Ok(Err(error)) => return Err(Cause::NoSsh(error)),
            Ok(Ok(status)) => status,
        };
        if status.success() {
            return Ok(socket);
        }
        let log = String::from_utf8_lossy(&kept_of(&log).unwrap_or_default()).into_owned();
        tracing::debug!(%address, log, "ssh did not connect");
        let known_hosts = self.known_hosts.display().to_string();
        match Cause::parse_log(&log, &known_hosts, self.connect_timeout) {
            Cause::HostKeyUnknown { known_hosts, .. } => {
                Err(Cause::HostKeyUnknown { shown: self.host_keys(address).await, known_hosts })
            }
            cause => Err(cause),
        }
    }

    /// A session for a person, through a master.
    pub(super) fn terminal(
        &self,
        socket: &Path,
        address: &Address,
        user: &str,
        command: &[String],
    ) -> tokio::process::Command {
        let mut ssh = tokio::process::Command::from(self.ssh("ssh"));
        ssh.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit()).kill_on_drop(true);
        // The host has to know what the terminal can do.
        if let Some(terminal) = std::env::var_os("TERM") {
            ssh.env("TERM", terminal);
        }
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        ssh.arg(if is_terminal { "-t" } else { "-T" });
        ssh.arg("-F").arg(self.directory.join("config")).arg("-S").arg(socket);
        ssh.args(["-p", &address.port.to_string(), "-l", user, "--", &address.host]).args(command);
        ssh
    }

    async fn host_keys(&self, address: &Address) -> Vec<HostKey> {
        let mut keyscan = tokio::process::Command::from(self.ssh("ssh-keyscan"));
        let patience = self.connect_timeout.as_secs().clamp(1, 10).to_string();
        keyscan.args(["-T", &patience, "-p", &address.port.to_string(), "--", &address.host]);
        keyscan.stdout(Stdio::piped()).kill_on_drop(true);
        let Ok(Ok(keys)) = tokio::time::timeout(Duration::from_secs(15), keyscan.output()).await else {
            return Vec::new();
        };
        let mut shown = Vec::new();
        for line in String::from_utf8_lossy(&keys.stdout).lines().filter(|line| !line.starts_with('#')) {
            if let (Some(algorithm), Some(fingerprint)) = (line.split(' ').nth(1), self.fingerprint(line).await) {
                shown.push(HostKey { algorithm: algorithm.to_owned(), fingerprint, line: line.to_owned() });
            }
        }
        shown.sort_by(|one, other| one.algorithm.cmp(&other.algorithm));
        shown
    }

    async fn fingerprint(&self, line: &str) -> Option<String> {
        let mut keygen = tokio::process::Command::from(self.ssh("ssh-keygen"));
        keygen.args(["-l", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut keygen = keygen.spawn().ok()?;
        let mut stdin = keygen.stdin.take().expect("stdin is piped above");
        stdin.write_all(format!("{line}\n").as_bytes()).await.ok()?;
        drop(stdin);
        let output = keygen.wait_with_output().await.ok()?;
        // "256 SHA256:… 10.0.0.1 (ED25519)"
        String::from_utf8_lossy(&output.stdout).split(' ').nth(1).map(str::to_owned)
    }

    /// A program of OpenSSH that may log in: without a key of ours it asks the agent.
    fn ssh(&self, name: &str) -> Command {
        let mut command = program(name);
        if let (false, Some(agent)) = (self.has_key, std::env::var_os("SSH_AUTH_SOCK")) {
            command.env("SSH_AUTH_SOCK", agent);
        }
        command
    }

    fn remove(&self) {
        remove(&self.directory);
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes what earlier runs left that could not do it themselves, and ends their connections. Returns how many.
///
/// A directory is in use as long as its owner has it locked; the kernel takes the lock away with the process.
pub(crate) fn sweep() -> usize {
    let me = rustix::process::getuid().as_raw();
    let mut swept = 0;
    for entry in bases().into_iter().filter_map(|base| fs::read_dir(base).ok()).flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me);
        if is_ours && is_abandoned(&entry.path()) {
            remove(&entry.path());
            swept += 1;
        }
    }
    swept
}

fn is_abandoned(directory: &Path) -> bool {
    match File::open(directory.join("alive")) {
        Ok(alive) => flock(&alive, FlockOperation::NonBlockingLockExclusive).is_ok(),
        // Its owner may be about to make it.
        Err(_) => fs::metadata(directory)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|made| made.elapsed().is_ok_and(|age| age > Duration::from_secs(60))),
    }
}

/// Ends the masters of a private directory, and removes it.
fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
            end_master(&entry.path());
        }
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(directory = %directory.display(), %error, "cannot remove the private directory");
        }
        _ => {}
    }
}

/// A program with silent streams and nothing of our environment that it has no need of: the CI's has every secret.
fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in ["PATH", "HOME", "USER"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Asks a master to end, at once and with all that goes through it. One that does not answer is killed: it must not make us hang.
pub(super) fn end_master(socket: &Path) {
    let mut ssh = program("timeout");
    ssh.args(["5", "ssh", "-F", "/dev/null", "-O", "exit", "-S"]).arg(socket).arg("host");
    match ssh.status() {
        Ok(status) if status.success() => {}
        Ok(_) => {
            for master in naming(socket) {
                tracing::debug!(?master, "ssh does not end");
                let _ = kill_process(master, Signal::KILL);
            }
        }
        Err(error) => tracing::warn!(%error, "cannot ask `ssh` to end"),
    }
}

/// Where private directories are made, the best place first: the user's runtime directory, which is in memory, or `/tmp`.
fn bases() -> Vec<PathBuf> {
    let me = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| {
        path.is_absolute()
            && path.as_os_str().len() <= LONGEST_BASE
            && fs::metadata(path).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me)
    });
    runtime.into_iter().chain([PathBuf::from("/tmp")]).collect()
}

fn private_file(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    Ok(file)
}

fn configuration(directory: &Path, ssh: &Ssh, has_key: bool) -> String {
    let seconds = |duration: Duration| duration.as_secs_f64().ceil().max(1.0);
    let directory = directory.display();
    let identity = if has_key {
        format!("IdentityFile \"{directory}/key\"\nIdentitiesOnly yes\nIdentityAgent none")
    } else {
        // The agent's keys, and those that `ssh` itself looks for in the user's `~/.ssh`.
        "IdentitiesOnly no".to_owned()
    };
    format!(
        "{identity}\n\
         UserKnownHostsFile \"{directory}/known_hosts\"\n\
         GlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking yes\n\
         UpdateHostKeys no\n\
         VerifyHostKeyDNS no\n\
         CheckHostIP no\n\
         BatchMode yes\n\
         PreferredAuthentications publickey\n\
         ConnectTimeout {}\n\
         ServerAliveInterval {}\n\
         ServerAliveCountMax {KEPT_ALIVE}\n\
         ControlPersist {}\n\
         ForwardAgent no\n\
         ForwardX11 no\n\
         ClearAllForwardings yes\n\
         PermitLocalCommand no\n",
        seconds(ssh.connect_timeout),
        seconds(ssh.keepalive),
        PERSIST.as_secs(),
    )
}

/// Whether the key can be used, found out before the lab is touched: `ssh` would only say "Permission denied".
fn check_key(path: &Path) -> Result<(), AccessError> {
    let mut keygen = program("ssh-keygen");
    keygen.args(["-y", "-P", "", "-f"]).arg(path).stderr(Stdio::piped());
    let output = keygen.output().map_err(|source| AccessError::NoSsh { program: "ssh-keygen", source })?;
    if output.status.success() {
        return Ok(());
    }
    // `Load key "/…/key": error in libcrypto`
    let text = String::from_utf8_lossy(&output.stderr);
    let reason =
        text.lines().next().and_then(|line| line.rsplit(": ").next()).unwrap_or("`ssh-keygen` gives no reason");
    let reason = match reason.trim() {
        "incorrect passphrase supplied to decrypt private key" => "it has a passphrase",
        "error in libcrypto" | "invalid format" => "it is broken, cut off, or no private key",
        other => other,
    };
    Err(AccessError::Key { reason: reason.to_owned() })
}

/// The beginning and the end of what `ssh` has written down: a host may send banners without end.
fn kept_of(log: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(log)?;
    let mut kept = HeadTail::new(LOG, LOG);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut piece)? {
            0 => return Ok(kept.into_bytes()),
            count => kept.push(&piece[..count]),
        }
    }
}

#[cfg(test)]
impl Access {
    pub(super) fn directory(&self) -> &Path {
        &self.private.directory
    }

    /// Gives the directory up as a process does that is killed.
    pub(super) fn die(self) {
        flock(&self.private._alive, FlockOperation::Unlock).unwrap();
        std::mem::forget(self);
    }
}
