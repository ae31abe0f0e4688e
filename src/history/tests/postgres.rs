//! A PostgreSQL of our own: Debian's, in a temporary folder. It goes with the test.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::history::Place;
use crate::secret::Secret;

/// Somebody has to type it nowhere, and it needs every letter that an address cannot hold as it is.
const PASSWORD: &str = "a p@ss/w?rd%#:";

pub(super) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    pub(super) fn start() -> Postgres {
        let folder = super::users::folder();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a free port").port();
        let server = Postgres { folder, programs: programs(), port };
        std::fs::write(server.path("password"), PASSWORD).expect("a file of the test");
        server.everybody_may_enter();
        server.must(
            "initdb",
            &["-U", "teravm", "--auth=scram-sha-256", "--pwfile", &server.path("password"), "--no-sync"],
        );
        let options = format!("-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off");
        server.must("pg_ctl", &["-w", "-l", &server.path("log"), "-o", &options, "start"]);
        server
    }

    /// The history in the database that every server has.
    pub(super) fn place(&self, user: &str) -> Place {
        let database = format!("postgres://{user}@127.0.0.1:{}/postgres", self.port);
        Place {
            database: database.parse().expect("it is an address"),
            password: Some(Secret::new(PASSWORD)),
            timeout: Duration::from_secs(20),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// PostgreSQL refuses to be run by root, so that it is somebody else's.
    fn everybody_may_enter(&self) {
        if rustix::process::getuid().is_root() {
            let status = Command::new("chown").args(["-R", "postgres"]).arg(self.folder.path()).status();
            assert!(status.is_ok_and(|status| status.success()), "Debian's PostgreSQL has made no user `postgres`");
        }
    }

    fn must(&self, program: &str, words: &[&str]) {
        let data = self.path("data");
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(self.programs.join(program));
            command
        } else {
            Command::new(self.programs.join(program))
        };
        let output = command.args(["-D", &data]).args(words).current_dir("/").process_group(0).output();
        let output = output.expect("it can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.must("pg_ctl", &["-m", "immediate", "stop"]);
    }
}

/// Where Debian puts the programs of the newest version that is there.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    newest.expect("these tests need a real PostgreSQL (Debian: postgresql)")
}
