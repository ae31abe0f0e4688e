//! Two machines that are network namespaces: on one a real OpenVPN server, on the other the real program.

use std::cell::RefCell;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// The client machine's resolver, which is behind its gateway.
pub(crate) const RESOLVER: &str = "10.255.255.53";

const CONFIG: &str = "\
vpn:
  kind: openvpn
  profile: {file: client.ovpn}
  connect_timeout: 10s
  outage: 20s
ssh:
  known_hosts: known_hosts
  connect_timeout: 1s
suites:
  attach:
    list: attach.ntl
setups:
  lab:
    agw: 192.168.60.17
    feg: [192.168.60.111]
    ng40: 192.168.60.10
";

/// The options of every server.
const SERVER: &str = "--dev tun --tls-server --local 10.250.0.1 --port 1194 --dh none --ca ca.crt --cert server.crt \
                      --key server.key --topology subnet --persist-tun --verb 3 --suppress-timestamps";

/// Those of a server for any number of clients.
const FOR_MANY: &str = "--mode server --server 10.99.1.0 255.255.255.0 --client-config-dir clients --keepalive 10 60";

/// Says why there can be no machines, if so.
pub(crate) fn missing() -> Option<String> {
    let programs = ["openvpn", "openssl", "ip", "unshare", "nsenter", "mount"];
    if let Some(program) = programs.into_iter().find(|program| run(Command::new("which").arg(program)).is_err()) {
        return Some(format!("there is no program `{program}`"));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun".to_owned());
    }
    run(Command::new("unshare").args(["--net", "--mount", "ip", "tuntap", "add", "dev", "t", "mode", "tun"]))
        .err()
        .map(|error| format!("no network namespace with a tunnel can be made: {error}"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_there() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A child that ends with its test.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network namespace, and a mount namespace with it.
struct Machine(Kept);

impl Machine {
    fn new() -> Machine {
        let net = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let holder = Command::new("unshare").args(["--net", "--mount", "sleep", "infinity"]).spawn();
        let machine = Machine(Kept(holder.expect("unshare is there")));
        let name = machine.id().to_string();
        wait_for("a network namespace", || net(&name).is_some_and(|of| Some(of) != net("self")));
        machine.run("ip link set lo up");
        machine
    }

    fn id(&self) -> u32 {
        self.0.0.id()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--target", &self.id().to_string(), "--"]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a script of `sh`, which must not fail.
    fn run(&self, script: &str) -> String {
        run(self.command("sh").args(["-ec", script])).unwrap_or_else(|error| panic!("{script}: {error}"))
    }
}

/// Keys, made once: the authority's, the server's and the client's.
static KEYS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "
        new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
        $new -x509 -days 3650 -subj /CN=ca -addext keyUsage=keyCertSign,cRLSign -keyout ca.key -out ca.crt
        for name in server client; do
            $new -subj /CN=$name -keyout $name.key -out $name.csr
            printf 'basicConstraints=CA:FALSE\\nextendedKeyUsage=%sAuth\\n' $name >ext
            openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile ext -out $name.crt
        done";
    run(Command::new("sh").args(["-ec", script]).current_dir(folder.path())).expect("openssl makes keys");
    folder
});

/// The two machines: `out` 10.250.0.2 of the client, and `in` 10.250.0.1 of the server, which is also the client's
/// gateway.
pub(crate) struct Machines {
    server: RefCell<Option<Kept>>,
    client_machine: Machine,
    server_machine: Machine,
    folder: TempDir,
}

impl Machines {
    pub(crate) fn new() -> Machines {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let machines = Machines {
            server: RefCell::default(),
            client_machine: Machine::new(),
            server_machine: Machine::new(),
            folder,
        };
        for name in ["ca.crt", "server.crt", "server.key"] {
            fs::copy(KEYS.path().join(name), machines.path(name)).expect("a copy");
        }
        for name in ["clients", "temporary"] {
            fs::create_dir(machines.path(name)).expect("a folder");
        }
        machines.write("known_hosts", "").write("resolv.conf", format!("nameserver {RESOLVER}\n"));
        machines.write("config.yaml", CONFIG).profile("");
        let (client, server) = (&machines.client_machine, &machines.server_machine);
        client.run(&format!("ip link add out type veth peer name in netns {}", server.id()));
        client.run("ip address add 10.250.0.2/24 dev out && ip link set out up && ip route add default via 10.250.0.1");
        server.run("ip address add 10.250.0.1/24 dev in && ip link set in up");
        client.run(&format!(
            "mount --bind {} /etc/resolv.conf
             if [ -d /run/systemd/resolve ]; then mount -t tmpfs tmpfs /run/systemd/resolve; fi",
            machines.path("resolv.conf").display()
        ));
        machines
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), content).expect("a file");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs a script on the client machine.
    pub(crate) fn on_client(&self, script: &str) -> String {
        self.client_machine.run(script)
    }

    /// Changes one place of the config.
    pub(crate) fn config(&self, right: &str, wrong: &str) -> &Self {
        let config = self.read("config.yaml");
        assert_eq!(config.matches(right).count(), 1, "the config says `{right}` once");
        self.write("config.yaml", config.replace(right, wrong))
    }

    /// A profile with what most have, and these lines.
    pub(crate) fn profile(&self, lines: &str) -> &Self {
        self.whole_profile(&format!("client\ndev tun\nremote 10.250.0.1 1194\nnobind\n{lines}"))
    }

    /// A profile of these lines and the keys.
    pub(crate) fn whole_profile(&self, lines: &str) -> &Self {
        let key = |name: &str| fs::read_to_string(KEYS.path().join(name)).expect("a key");
        let (ca, cert, key) = (key("ca.crt"), key("client.crt"), key("client.key"));
        let profile = format!("{lines}\n<ca>\n{ca}</ca>\n<cert>\n{cert}</cert>\n<key>\n{key}</key>\n");
        self.write("client.ovpn", profile)
    }

    /// What the server does for this client alone; it is read anew at each connection.
    pub(crate) fn pushes(&self, lines: &str) -> &Self {
        self.write("clients/client", lines)
    }

    /// Starts the server with these options besides, and returns once it waits for clients.
    pub(crate) fn serve(&self, options: &str) -> &Self {
        self.serve_one(&format!("{FOR_MANY} {options}"));
        wait_for("the server", || self.read("server.log").contains("Initialization Sequence Completed"));
        self
    }

    /// Starts a server for one client, which waits for it with its network not yet made.
    pub(crate) fn serve_one(&self, options: &str) -> &Self {
        let log = File::create(self.path("server.log")).expect("a log");
        let mut command = self.server_machine.command("openvpn");
        command.arg("--cd").arg(self.folder.path());
        command.args(SERVER.split_whitespace()).args(options.split_whitespace());
        let child = command.stdout(log.try_clone().expect("a file")).stderr(log).spawn().expect("openvpn is there");
        self.server.replace(Some(Kept(child)));
        wait_for("the server", || {
            let log = self.read("server.log");
            assert!(!log.contains("Exiting due to fatal error") && !log.contains("Options error"), "{log}");
            log.contains("link local (bound)")
        });
        self
    }

    /// Ends the server without a word to its clients.
    pub(crate) fn kill_server(&self) {
        self.server.replace(None);
    }

    /// Runs the program with these words to its end.
    pub(crate) fn teravm(&self, words: &[&str]) -> Ended {
        self.start(words).end()
    }

    pub(crate) fn start(&self, words: &[&str]) -> Running {
        let file = |name: &str| File::create(self.path(name)).expect("a file");
        let mut command = self.client_machine.command(env!("CARGO_BIN_EXE_teravm-ci"));
        let config = self.path("config.yaml");
        command.arg("--config").arg(config).args(words).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.folder.path());
        command.env("TMPDIR", self.path("temporary")).stdout(file("stdout")).stderr(file("stderr"));
        Running {
            child: Kept(command.spawn().expect("nsenter is there")),
            since: Instant::now(),
            folder: self.folder.path().to_owned(),
        }
    }

    /// Runs a script of `sh` while the tunnel is up.
    pub(crate) fn in_tunnel(&self, script: &str) -> Ended {
        self.teravm(&["vpn", "--", "sh", "-c", script])
    }
}

pub(crate) struct Running {
    child: Kept,
    since: Instant,
    folder: PathBuf,
}

impl Running {
    /// Waits until the program has said this.
    pub(crate) fn until_said(&self, text: &str) {
        wait_for(text, || fs::read_to_string(self.folder.join("stderr")).is_ok_and(|said| said.contains(text)));
    }

    pub(crate) fn end(mut self) -> Ended {
        let mut status = None;
        wait_for("the program's end", || {
            status = self.child.0.try_wait().expect("it is our child");
            status.is_some()
        });
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).expect("text");
        let left = fs::read_dir(self.folder.join("temporary")).expect("a folder").count();
        assert_eq!(left, 0, "no private folder is left");
        Ended { status, stdout: read("stdout"), stderr: read("stderr"), took: self.since.elapsed() }
    }
}

/// How the program has ended.
pub(crate) struct Ended {
    status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended { status, stdout, stderr, took } = self;
        let signal = status.and_then(|status| status.signal());
        let code = status.and_then(|status| status.code());
        write!(f, "exit code {code:?}, signal {signal:?}, after {took:?}\n{stdout}\n{stderr}")
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.status.and_then(|status| status.code()), Some(code), "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "it does not say: {text}\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn does_not_say(&self, text: &str) -> &Self {
        assert!(!self.stderr.contains(text), "it says: {text}\n{self}");
        self
    }
}
