//! OpenVPN's management interface: its lines, and the socket that they come over.
//!
//! [`parse_line`] turns one line into its meaning and owns nothing; [`Management`] is the connection. What the messages
//! mean for a tunnel is decided elsewhere. Lines of the kind `>…` come at any time, also between a command and its reply,
//! so replies are not paired with commands: nothing of what we do depends on one.

use std::io;
use std::net::IpAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::Ends;
use crate::process::Lines;
use crate::secret::Secret;

/// What a line of the management interface means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// `>STATE:`
    State(State),
    /// `>PASSWORD:Need '…' …`
    Ask(Ask),
    /// `>PASSWORD:Auth-Token:…`: what the server takes for the password from now on.
    Token(Secret),
    /// `>PASSWORD:Verification Failed: '…' […]`
    Refused { realm: String, reason: Option<String> },
    /// `>HOLD:`: it waits to be released.
    Hold,
    /// `>FATAL:`: its last words.
    Fatal(String),
    /// `>LOG:`, without time and flags.
    Log(String),
    /// `>INFOMSG:`, `>NEED-OK:`, `>NEED-STR:`: something for a person to see or do.
    Person(String),
    /// `ERROR:`, the reply to a command that was not understood.
    Error(String),
    /// Whatever decides nothing: replies, counters, greetings.
    Other,
}

/// A step of OpenVPN's own state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// `CONNECTING`, `WAIT`, `AUTH`, `CONNECTED`, `RECONNECTING`, `EXITING`, …
    pub(super) name: String,
    /// The reason of RECONNECTING and EXITING; `SUCCESS`, or else, of CONNECTED.
    pub(super) detail: String,
    /// The tunnel's own addresses: IPv4, IPv6.
    pub(super) addresses: Vec<IpAddr>,
    /// The server's address.
    pub(super) remote: Option<IpAddr>,
}

impl State {
    /// The two ends of a tunnel that is up.
    pub(super) fn ends(&self) -> Option<Ends> {
        let is_up = self.name == "CONNECTED" && self.detail == "SUCCESS" && !self.addresses.is_empty();
        is_up.then(|| Ends { tunnel: self.addresses.clone(), server: self.remote })
    }
}

/// What OpenVPN wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// `Auth`, `Private Key`, `HTTP Proxy`, …
    pub(super) realm: String,
    /// A user name besides the password.
    pub(super) wants_username: bool,
    /// The text of a one-time code that it wants besides.
    pub(super) challenge: Option<String>,
}

/// Returns what a line means. Any bytes have a meaning, and be it none.
pub(super) fn parse_line(line: &[u8]) -> Message {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\r', '\n']);
    if let Some(text) = line.strip_prefix("ERROR:") {
        return Message::Error(text.trim().to_owned());
    }
    let Some((kind, text)) = line.strip_prefix('>').and_then(|line| line.split_once(':')) else {
        return Message::Other;
    };
    match kind {
        "STATE" => parse_state(text).map_or(Message::Other, Message::State),
        "PASSWORD" => parse_password(text),
        "HOLD" => Message::Hold,
        "FATAL" => Message::Fatal(text.to_owned()),
        // `>LOG:time,flags,text`
        "LOG" => Message::Log(text.splitn(3, ',').nth(2).unwrap_or(text).to_owned()),
        "INFOMSG" | "NEED-OK" | "NEED-STR" => Message::Person(text.to_owned()),
        _ => Message::Other,
    }
}

/// `time,name,detail,address,remote,…`: 7 to 9 fields, by the age of OpenVPN.
fn parse_state(text: &str) -> Option<State> {
    let fields: Vec<&str> = text.split(',').collect();
    let field = |number: usize| fields.get(number).copied().unwrap_or_default();
    let name = Some(field(1)).filter(|name| !name.is_empty())?.to_owned();
    // The tunnel's IPv6 address is the last of nine fields.
    let addresses = [3, 8].into_iter().filter_map(|number| field(number).parse().ok()).collect();
    Some(State { name, detail: field(2).to_owned(), addresses, remote: field(4).parse().ok() })
}

fn parse_password(text: &str) -> Message {
    if let Some(rest) = text.strip_prefix("Verification Failed: ") {
        let (realm, rest) = quoted(rest);
        let reason = rest.trim().strip_prefix("['").and_then(|reason| reason.strip_suffix("']"));
        return Message::Refused { realm, reason: reason.map(str::to_owned) };
    }
    if let Some(token) = text.strip_prefix("Auth-Token:") {
        return Message::Token(Secret::new(token));
    }
    if let Some(rest) = text.strip_prefix("Need ") {
        let (realm, rest) = quoted(rest);
        let challenge = rest.split_once(" SC:").map(|(_, code)| code.split_once(',').map_or(code, |(_, text)| text));
        return Message::Ask(Ask {
            realm,
            wants_username: rest.trim_start().starts_with("username"),
            challenge: challenge.map(str::to_owned),
        });
    }
    Message::Other
}

/// Splits `'Auth' rest` into its realm and the rest.
fn quoted(text: &str) -> (String, &str) {
    match text.strip_prefix('\'').and_then(|text| text.split_once('\'')) {
        Some((realm, rest)) => (realm.to_owned(), rest),
        None => (String::new(), text),
    }
}

/// The connection to one OpenVPN, which ends by itself when this is dropped.
#[derive(Debug)]
pub(super) struct Management {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The process at the other end, which under `sudo` is not our child.
    pub(super) pid: Option<i32>,
}

impl Management {
    pub(super) fn new(stream: UnixStream) -> Self {
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let (reader, writer) = stream.into_split();
        Management { lines: Lines::new(reader), writer, pid }
    }

    /// Returns what comes next, or none when OpenVPN has hung up. Nothing is lost when this is given up half way.
    pub(super) async fn next(&mut self) -> Option<Message> {
        match self.lines.next().await {
            Ok(Some(line)) => Some(parse_line(&line)),
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%error, "the management interface broke off");
                None
            }
        }
    }

    /// Asks to be told of states and log, and lets OpenVPN go. `hold off` comes first: it would hold again at each
    /// reconnect, and released at once it does not wait between its attempts (65 a second, seen with 2.6.14).
    pub(super) async fn release(&mut self) -> io::Result<()> {
        self.write("state on\nlog on\nhold off\nhold release\n").await
    }

    pub(super) async fn username(&mut self, realm: &str, username: &Secret) -> io::Result<()> {
        self.write(&answer("username", realm, username)).await
    }

    pub(super) async fn password(&mut self, realm: &str, password: &Secret) -> io::Result<()> {
        self.write(&answer("password", realm, password)).await
    }

    /// Asks OpenVPN to end, properly: the server hears of it, routes and device go.
    pub(super) async fn terminate(&mut self) -> io::Result<()> {
        self.write("signal SIGTERM\n").await
    }

    async fn write(&mut self, command: &str) -> io::Result<()> {
        self.writer.write_all(command.as_bytes()).await
    }
}

/// The command that answers a question. Realm and secret are one word of it each, whatever is in them.
pub(super) fn answer(command: &str, realm: &str, secret: &Secret) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{command} \"{}\" \"{}\"\n", escaped(realm), escaped(secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, detail: &str, address: Option<&str>, remote: Option<&str>) -> Message {
        let ip = |text: &str| text.parse().expect("an address");
        Message::State(State {
            name: name.to_owned(),
            detail: detail.to_owned(),
            addresses: address.iter().copied().map(ip).collect(),
            remote: remote.map(ip),
        })
    }

    #[test]
    fn states_are_read_with_as_many_fields_as_they_have() {
        for (line, message) in [
            (">STATE:1795381713,WAIT,,,,,,", state("WAIT", "", None, None)),
            (">STATE:1795381713,ASSIGN_IP,,10.99.0.10,,,,", state("ASSIGN_IP", "", Some("10.99.0.10"), None)),
            (
                ">STATE:1795381713,CONNECTED,SUCCESS,10.99.0.10,127.0.0.1,21194,,\r",
                state("CONNECTED", "SUCCESS", Some("10.99.0.10"), Some("127.0.0.1")),
            ),
            (
                ">STATE:1,CONNECTED,SUCCESS,,192.0.2.1,1194,,,fd00::10",
                state("CONNECTED", "SUCCESS", Some("fd00::10"), Some("192.0.2.1")),
            ),
            (">STATE:1,EXITING,auth-failure", state("EXITING", "auth-failure", None, None)),
            (">STATE:1", Message::Other),
            (">STATE:", Message::Other),
        ] {
            assert_eq!(parse_line(line.as_bytes()), message, "{line}");
        }
    }

    #[test]
    fn questions_and_refusals_are_read() {
        let ask = |realm: &str, wants_username, challenge: Option<&str>| {
            Message::Ask(Ask { realm: realm.to_owned(), wants_username, challenge: challenge.map(str::to_owned) })
        };
        let refused = |realm: &str, reason: Option<&str>| Message::Refused {
            realm: realm.to_owned(),
            reason: reason.map(str::to_owned),
        };
        for (line, message) in [
            (">PASSWORD:Need 'Auth' username/password", ask("Auth", true, None)),
            (">PASSWORD:Need 'Private Key' password", ask("Private Key", false, None)),
            (">PASSWORD:Need 'Auth' username/password SC:1,Enter PIN", ask("Auth", true, Some("Enter PIN"))),
            (">PASSWORD:Verification Failed: 'Auth'", refused("Auth", None)),
            (">PASSWORD:Verification Failed: 'Auth' ['expired']", refused("Auth", Some("expired"))),
            (
                ">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:abc:dXNlcg==:Code?']",
                refused("Auth", Some("CRV1:R,E:abc:dXNlcg==:Code?")),
            ),
            (">PASSWORD:Auth-Token:abc", Message::Token(Secret::new("abc"))),
        ] {
            assert_eq!(parse_line(line.as_bytes()), message, "{line}");
        }
    }

    #[test]
    fn the_other_kinds_are_read() {
        for (line, message) in [
            (">HOLD:Waiting for hold release:0", Message::Hold),
            (">FATAL:Cannot open TUN/TAP dev", Message::Fatal("Cannot open TUN/TAP dev".to_owned())),
            (">LOG:1795381713,N,TLS Error: one, two", Message::Log("TLS Error: one, two".to_owned())),
            (">INFOMSG:OPEN_URL:https://idp", Message::Person("OPEN_URL:https://idp".to_owned())),
            ("ERROR: unknown command", Message::Error("unknown command".to_owned())),
            (">INFO:OpenVPN Management Interface Version 5", Message::Other),
            (">BYTECOUNT:1,2", Message::Other),
            ("SUCCESS: hold release succeeded", Message::Other),
            ("END", Message::Other),
            ("", Message::Other),
            (">", Message::Other),
        ] {
            assert_eq!(parse_line(line.as_bytes()), message, "{line}");
        }
    }

    #[test]
    fn a_secret_is_one_word_of_its_command() {
        let answer = answer("password", "Auth", &Secret::new(r#"a"b\c"#));
        assert_eq!(answer, "password \"Auth\" \"a\\\"b\\\\c\"\n");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_meaning(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            parse_line(&bytes);
        }

        #[test]
        fn any_text_of_any_kind_has_a_meaning(
            kind in "STATE|PASSWORD|LOG|HOLD|FATAL|INFOMSG", text in "(Need |Verification Failed: )?[ -~]{0,60}",
        ) {
            parse_line(format!(">{kind}:{text}").as_bytes());
        }
    }
}
