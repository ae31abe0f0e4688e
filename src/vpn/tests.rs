//! A tunnel against an OpenVPN that is played by the test: a child that does nothing, and the lines of a real one (2.6.14).
//! The machine's loopback stands for the tunnel.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::*;
use crate::event::{Inbox, channel};
use crate::secret::{Redactor, Secret};

const LONG: Duration = Duration::from_secs(20);

/// Says where it was told to connect to, and waits for its end.
const CHILD: &str = r#"#!/bin/sh
here=$(dirname "$0")
cat > "$here/profile"
while [ "$1" != --management ]; do shift; done
echo "Options: fine"
echo "$2 $$" > "$here/told.new"
mv "$here/told.new" "$here/told"
trap 'exit 0' TERM
while :; do sleep 0.05; done
"#;

/// The player of OpenVPN.
struct Player {
    folder: TempDir,
}

impl Player {
    fn new(script: &str) -> Player {
        let folder = tempfile::tempdir().expect("a folder");
        let player = Player { folder };
        let program = player.program();
        std::fs::write(&program, script).expect("written");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(program, executable).expect("ours");
        player
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("openvpn")
    }

    /// Connects as the child would.
    async fn connect(&self) -> Talk {
        let told = self.folder.path().join("told");
        let socket_and_pid = timeout(LONG, async {
            loop {
                match std::fs::read_to_string(&told) {
                    Ok(text) => return text,
                    Err(_) => sleep(Duration::from_millis(5)).await,
                }
            }
        });
        let told = socket_and_pid.await.expect("the child was started");
        let (socket, pid) = told.trim().split_once(' ').expect("two words");
        let stream = UnixStream::connect(socket).await.expect("we listen");
        Talk { stream: BufReader::new(stream), socket: socket.into(), pid: pid.parse().expect("a number") }
    }
}

struct Talk {
    stream: BufReader<UnixStream>,
    socket: PathBuf,
    pid: i32,
}

impl Talk {
    async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("somebody listens");
    }

    async fn hears(&mut self, expected: &str) {
        for expected in expected.lines() {
            let mut line = String::new();
            timeout(LONG, self.stream.read_line(&mut line)).await.expect("in time").expect("a line");
            assert_eq!(line.trim_end(), expected);
        }
    }

    /// Goes through a start to the end, as it was seen.
    async fn come_up(&mut self) {
        self.say(">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info").await;
        self.say(">HOLD:Waiting for hold release:0").await;
        self.hears("state on\nlog on\nhold off\nhold release").await;
        self.say("SUCCESS: real-time state notification set to ON").await;
        self.say(">PASSWORD:Need 'Auth' username/password").await;
        self.hears("username \"Auth\" \"nightly-user\"\npassword \"Auth\" \"pass\\\"word\\\\1\"").await;
        self.say(">STATE:1,WAIT,,,,,,").await;
        self.connected("SUCCESS").await;
    }

    async fn connected(&mut self, detail: &str) {
        self.say(&format!(">STATE:1,CONNECTED,{detail},127.0.0.1,192.0.2.1,1194,,")).await;
    }

    /// Ends as it is asked to.
    async fn obey(mut self) {
        self.hears("signal SIGTERM").await;
        self.end();
    }

    fn end(&self) {
        let child = rustix::process::Pid::from_raw(self.pid).expect("not zero");
        rustix::process::kill_process(child, rustix::process::Signal::TERM).expect("ours");
    }
}

fn settings(host: &str) -> Settings {
    let credentials = Credentials {
        username: Some(Secret::new("nightly-user")),
        password: Some(Secret::new("pass\"word\\1")),
        key_passphrase: None,
    };
    Settings {
        profile: prepare(&Secret::new("client\nremote vpn.lab\nverb 9"), "p", credentials).expect("a good profile"),
        connect_timeout: LONG,
        outage: LONG,
        // The loopback's own network is wider than a tunnel's may be unasked.
        routes: vec!["127.0.0.0/8".parse().expect("a network")],
        hosts: vec![("agw".to_owned(), host.to_owned())],
    }
}

async fn next_of(inbox: &mut Inbox) -> String {
    loop {
        let event = timeout(LONG, inbox.recv()).await.expect("in time").expect("the tunnel speaks");
        match event.kind {
            EventKind::Output { .. } => {}
            EventKind::Noted { text, .. } => return text.into(),
            EventKind::TunnelUp { device, address } => return format!("up {device} {address}"),
            EventKind::TunnelLost { reason } => return format!("lost: {reason}"),
            EventKind::TunnelBack { .. } => return "back".to_owned(),
            other => panic!("{other:?} is not the tunnel's to say"),
        }
    }
}

/// A tunnel that is up, its player, and what is said of it.
async fn up(player: &Player, settings: Settings) -> (Tunnel, Talk, Inbox) {
    let (events, mut inbox) = channel(Redactor::default());
    let come_up = async {
        let mut talk = player.connect().await;
        talk.come_up().await;
        talk
    };
    let (tunnel, talk) = tokio::join!(bring_up(settings, Program::at(player.program()), &events), come_up);
    assert_eq!(next_of(&mut inbox).await, "not taken from the VPN profile: `verb` (line 3)");
    assert_eq!(next_of(&mut inbox).await, "up lo 127.0.0.1");
    (tunnel.expect("it is up"), talk, inbox)
}

#[tokio::test]
async fn a_tunnel_goes_up_and_down_and_leaves_nothing() {
    let player = Player::new(CHILD);
    let (tunnel, talk, _inbox) = up(&player, settings("127.0.0.1")).await;
    assert_eq!(tunnel.device(), "lo");
    let profile = std::fs::read_to_string(player.folder.path().join("profile")).expect("the child has read it");
    assert_eq!(profile, "client\nremote vpn.lab\n\n");
    let socket = talk.socket.clone();
    let (ended, ()) = tokio::join!(tunnel.down(), talk.obey());
    assert_eq!(ended, Ok(()));
    assert!(!socket.parent().is_some_and(Path::exists));
}

#[tokio::test]
async fn a_short_drop_is_told_and_ends_nothing() {
    let player = Player::new(CHILD);
    let (tunnel, mut talk, mut inbox) = up(&player, settings("127.0.0.1")).await;
    talk.say(">STATE:1,RECONNECTING,ping-restart,,,,,").await;
    assert_eq!(next_of(&mut inbox).await, "lost: the server does not answer (ping-restart)");
    talk.say(">PASSWORD:Need 'Auth' username/password").await;
    talk.hears("username \"Auth\" \"nightly-user\"\npassword \"Auth\" \"pass\\\"word\\\\1\"").await;
    talk.connected("SUCCESS").await;
    assert_eq!(next_of(&mut inbox).await, "back");
    assert!(timeout(Duration::ZERO, tunnel.lost()).await.is_err());
    let (ended, ()) = tokio::join!(tunnel.down(), talk.obey());
    assert_eq!(ended, Ok(()));
}

#[tokio::test]
async fn another_client_with_our_certificate_is_suspected() {
    let player = Player::new(CHILD);
    let (_tunnel, mut talk, mut inbox) = up(&player, settings("127.0.0.1")).await;
    for reason in [
        "the server does not answer (ping-restart)",
        "the server does not answer (ping-restart), again soon after it did; is there another client with this \
         certificate?",
    ] {
        talk.say(">STATE:1,RECONNECTING,ping-restart,,,,,").await;
        assert_eq!(next_of(&mut inbox).await, format!("lost: {reason}"));
        talk.connected("SUCCESS").await;
        assert_eq!(next_of(&mut inbox).await, "back");
    }
}

#[tokio::test]
async fn a_long_drop_is_the_end_and_says_why() {
    let player = Player::new(CHILD);
    let settings = Settings { outage: Duration::from_millis(200), ..settings("127.0.0.1") };
    let (tunnel, mut talk, mut inbox) = up(&player, settings).await;
    talk.say(">STATE:1,RECONNECTING,connection-reset,,,,,").await;
    talk.say(">LOG:1,N,TCP: connect to [AF_INET]192.0.2.1:1194 failed: Connection refused").await;
    assert_eq!(next_of(&mut inbox).await, "lost: the server ended it (connection-reset)");
    let problem = timeout(LONG, tunnel.lost()).await.expect("in time");
    assert_eq!(
        problem.text(),
        "the tunnel is lost\n  because: it did not come back within 200ms\n  because: nothing listens there: TCP: connect to \
         [AF_INET]192.0.2.1:1194 failed: Connection refused\n  try: check the port of `remote` in the profile, and that \
         the server runs"
    );
    let (ended, ()) = tokio::join!(tunnel.down(), talk.obey());
    assert_eq!(ended, Ok(()));
}

#[tokio::test]
async fn an_openvpn_that_ends_is_a_tunnel_lost() {
    let player = Player::new(CHILD);
    let (tunnel, talk, mut inbox) = up(&player, settings("127.0.0.1")).await;
    talk.end();
    assert_eq!(next_of(&mut inbox).await, "lost: `openvpn` ended: Options: fine");
    let problem = timeout(LONG, tunnel.lost()).await.expect("in time");
    assert_eq!(problem.line(), "the tunnel is lost: `openvpn` ended: Options: fine");
    assert_eq!(tunnel.down().await, Ok(()));
}

/// Brings a tunnel up that does not come up, and returns what the operator reads.
async fn failure(player: &Player, settings: Settings, lines: &[&str]) -> String {
    let (events, _inbox) = channel(Redactor::default());
    let play = async {
        let mut talk = player.connect().await;
        for line in lines {
            talk.say(line).await;
        }
        let mut heard = String::new();
        while !heard.ends_with("signal SIGTERM\n") {
            let count = timeout(LONG, talk.stream.read_line(&mut heard)).await.expect("in time").expect("a line");
            assert_ne!(count, 0, "it is asked to end before we hang up");
        }
        talk.end();
    };
    let (tunnel, ()) = tokio::join!(bring_up(settings, Program::at(player.program()), &events), play);
    tunnel.expect_err("it fails").to_string()
}

#[tokio::test]
async fn a_refused_login_a_failed_route_and_a_code_are_told_apart() {
    for (lines, cause) in [
        (&[">PASSWORD:Verification Failed: 'Auth'"][..], "the server refuses the user name or the password"),
        (
            &[">STATE:1,CONNECTED,ROUTE_ERROR,127.0.0.1,192.0.2.1,1194,,"],
            "a route into the tunnel could not be made: ROUTE_ERROR",
        ),
        (
            &[">PASSWORD:Need 'Auth' username/password SC:1,Code?"],
            "the server asks for a one-time code (Code?), which nobody can type at night",
        ),
        (&[">PASSWORD:Need 'Private Key' password"], "the private key is encrypted, and there is no passphrase"),
        (
            &[">PASSWORD:Need 'HTTP Proxy' username/password"],
            "OpenVPN asks for a login of kind `HTTP Proxy`, which is not supported",
        ),
    ] {
        assert_eq!(failure(&Player::new(CHILD), settings("127.0.0.1"), lines).await, cause);
    }
}

#[tokio::test]
async fn a_host_that_is_not_behind_the_tunnel_fails_it() {
    let connected = [">STATE:1,CONNECTED,SUCCESS,127.0.0.1,192.0.2.1,1194,,"];
    let told = failure(&Player::new(CHILD), settings("192.0.2.77"), &connected).await;
    assert!(told.starts_with("the host `agw` (192.0.2.77) is not routed into the tunnel `lo`, but "), "{told}");
}

#[tokio::test]
async fn a_deadline_ends_a_server_that_says_nothing() {
    let settings = Settings { connect_timeout: Duration::from_millis(500), ..settings("127.0.0.1") };
    let told = failure(&Player::new(CHILD), settings, &[">STATE:1,WAIT,,,,,,"]).await;
    assert_eq!(told, "the server does not answer");
}

#[tokio::test]
async fn an_openvpn_that_ends_before_it_speaks_is_quoted() {
    let player = Player::new("#!/bin/sh\necho 'Options error: Unrecognized option in stdin:4: foo (2.6.14)'\nexit 1\n");
    let (events, _inbox) = channel(Redactor::default());
    let error = bring_up(settings("127.0.0.1"), Program::at(player.program()), &events).await.expect_err("it fails");
    assert_eq!(error.to_string(), "OpenVPN does not accept the profile: Unrecognized option in line 4: foo (2.6.14)");
}

#[tokio::test]
async fn a_tunnel_that_is_dropped_goes_down_too() {
    let player = Player::new(CHILD);
    let (tunnel, talk, mut inbox) = up(&player, settings("127.0.0.1")).await;
    drop(tunnel);
    talk.obey().await;
    while timeout(LONG, inbox.recv()).await.expect("in time").is_some() {}
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_no_process() {
    let player = Player::new(CHILD);
    let (events, _inbox) = channel(Redactor::default());
    let talk = {
        let start = bring_up(settings("127.0.0.1"), Program::at(player.program()), &events);
        tokio::select! {
            _ = start => panic!("nobody lets it up"),
            talk = player.connect() => talk,
        }
    };
    let gone = async {
        while std::fs::read_to_string(format!("/proc/{}/stat", talk.pid)).is_ok_and(|stat| !stat.contains(") Z ")) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, gone).await.expect("it is killed");
    assert!(!talk.socket.exists());
}
