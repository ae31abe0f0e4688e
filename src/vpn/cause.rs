//! Why there is no tunnel: read from what OpenVPN says, and said so that somebody can act on it.
//!
//! Knows the signatures of OpenVPN 2.6 and owns nothing alive.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::boundary::{Breach, Conflict};
use super::management::{Message, State, parse_line};
use super::routes::RouteError;
use crate::config::format_duration;
use crate::event::Problem;

/// A tunnel that did not come up.
#[derive(Debug, thiserror::Error)]
#[error("no tunnel to {server}")]
pub(crate) struct Error {
    pub(super) server: String,
    #[source]
    pub(super) cause: Cause,
}

impl Error {
    /// The bad news for the operator.
    pub(crate) fn problem(&self) -> Problem {
        self.cause.explain(Problem::testbed(self.to_string()))
    }
}

/// Why, as far as it can be told apart.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("the server refuses the user name or the password")]
    WrongCredentials,
    #[error("the server refuses us: {0}")]
    Refusal(String),
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    #[error("the private key is encrypted, and there is no passphrase")]
    NoPassphrase,
    #[error("the server asks for a user name and a password, and there are none")]
    NoCredentials,
    #[error("the server asks for a one-time code ({0}), which nobody can type at night")]
    OneTimeCode(String),
    #[error("OpenVPN asks for a login of kind `{0}`, which is not supported")]
    OtherLogin(String),
    #[error("the server's certificate is not accepted: {0}")]
    ServerCertificate(String),
    #[error("the server does not accept our certificate: {}", or_silent(.0))]
    ClientCertificate(String),
    #[error(
        "the server ends the handshake once it has seen our certificate and no login: it asks for a user name and a password, \
         or it does not accept the certificate"
    )]
    LoginOrCertificate,
    #[error("the TLS handshake fails: {}", or_silent(.0))]
    Handshake(String),
    #[error("the two ends do not agree on compression: {0}")]
    Compression(String),
    #[error("the server does not answer")]
    Silent,
    #[error("nothing listens there: {0}")]
    Refused(String),
    #[error("there is no way to the server: {0}")]
    Unreachable(String),
    #[error("the server's name does not resolve: {0}")]
    Unresolvable(String),
    #[error("there is no TUN device on this machine: {0}")]
    NoTunDevice(String),
    #[error("OpenVPN may not make a tunnel on this machine: {0}")]
    NotPermitted(String),
    #[error("the tunnel's device is in use: {0}")]
    NameTaken(String),
    #[error("the program `openvpn` is not on this machine")]
    NoOpenvpn,
    #[error("`openvpn` needs root, and `sudo -n` does not give it: {0}")]
    NoSudo(String),
    #[error("OpenVPN does not accept the profile: {0}")]
    Options(String),
    #[error("a route into the tunnel could not be made: {0}")]
    RouteFailed(String),
    #[error("the host `{host}` ({address}) is not routed into the tunnel `{device}`, but {}", left_by(.by.as_ref()))]
    NotRouted { host: String, address: IpAddr, device: String, by: Option<String> },
    #[error("the server itself ({0}) is routed into its own tunnel")]
    ServerInside(IpAddr),
    #[error("the tunnel changed this machine: {0}")]
    NodeChanged(String),
    #[error("the tunnel's address {address} is in use on this machine already, by `{interface}`")]
    SameAddress { address: IpAddr, interface: String },
    #[error("the tunnel's own network {network} {conflict}")]
    OwnNetwork { network: IpNet, conflict: Conflict },
    #[error("the route `{0}` leads into the tunnel, and nobody asked for it")]
    UnaskedRoute(String),
    #[error(transparent)]
    Routes(RouteError),
    #[error("it was not up within {}; the last state was `{state}`{}", format_duration(*.after), said(.error.as_ref()))]
    Deadline { state: String, after: Duration, error: Option<String> },
    #[error("`openvpn` ended: {0}")]
    Died(String),
    #[error("cannot {what}")]
    System { what: &'static str, source: std::io::Error },
}

/// The server's own words, if there are any.
fn or_silent(words: &str) -> &str {
    if words.is_empty() { "the server says no more" } else { words }
}

fn said(error: Option<&String>) -> String {
    error.map_or_else(String::new, |error| format!(", and OpenVPN said: {error}"))
}

fn left_by(device: Option<&String>) -> String {
    device.map_or_else(|| "has no route at all".to_owned(), |device| format!("leaves by `{device}`"))
}

impl From<Breach> for Cause {
    fn from(breach: Breach) -> Self {
        match breach {
            Breach::SameAddress { address, interface } => Cause::SameAddress { address, interface },
            Breach::Network { network, conflict } => Cause::OwnNetwork { network, conflict },
            Breach::Route(route) => Cause::UnaskedRoute(route),
        }
    }
}

impl From<RouteError> for Cause {
    fn from(error: RouteError) -> Self {
        Cause::Routes(error)
    }
}

impl Cause {
    /// Adds why, and what to do about it.
    pub(super) fn explain(&self, problem: Problem) -> Problem {
        problem.because_of(self).hint(self.hint())
    }

    /// What to try next.
    fn hint(&self) -> &'static str {
        match self {
            Cause::WrongCredentials | Cause::NoCredentials => {
                "check the secrets behind `vpn.username` and `vpn.password`, and that the account is not locked"
            }
            Cause::Refusal(_) => "ask the VPN's operators; the reason is the server's own",
            Cause::WrongPassphrase | Cause::NoPassphrase => "check the secret behind `vpn.key_passphrase`",
            Cause::OneTimeCode(_) => "ask the VPN's operators for an account that needs none",
            Cause::OtherLogin(_) => "use a profile that reaches the server directly",
            Cause::ServerCertificate(_) => {
                "compare the profile's `<ca>` (and `verify-x509-name`) with the server's; or something stands in between"
            }
            Cause::ClientCertificate(_) => {
                "ask the VPN's operators whether the profile's certificate has lapsed or was revoked"
            }
            Cause::LoginOrCertificate => {
                "if this VPN asks for a login, set `vpn.username` and `vpn.password` in the config; if not, ask its operators \
                 whether the profile's certificate has expired or was revoked"
            }
            Cause::Handshake(_) => {
                "compare `tls-auth` or `tls-crypt`, `tls-version-min`, ciphers and certificates in the profile with the \
                 server's, and the clocks"
            }
            Cause::Compression(_) => {
                "take `comp-lzo` or `compress` out of the profile if the server does not have it, and have the VPN's \
                 operators take it out of what the server pushes"
            }
            Cause::Silent => {
                "check the address and the protocol of `remote` in the profile, a firewall in between, and `tls-auth` or \
                 `tls-crypt`: a server does not answer a wrong one"
            }
            Cause::Refused(_) => "check the port of `remote` in the profile, and that the server runs",
            Cause::Unreachable(_) => "check this machine's own network",
            Cause::Unresolvable(_) => "check the name of `remote` in the profile, and this machine's resolver",
            Cause::NoTunDevice(_) => {
                "run it on a machine of its own (on CircleCI: the `machine` executor), or load the module `tun`"
            }
            Cause::NotPermitted(_) => "run it as root with CAP_NET_ADMIN, or let `sudo -n` start `openvpn`",
            Cause::NameTaken(_) => "write `dev tun` in the profile, without a number, or end the other tunnel",
            Cause::NoOpenvpn => "install it (`apt-get install openvpn`)",
            Cause::NoSudo(_) => {
                "run it as root, or allow `openvpn` without a password in `/etc/sudoers`; whoever may run `openvpn` as root can \
                 run any program as root"
            }
            Cause::Options(_) => {
                "the line is that of the profile; try the profile by hand with this version of OpenVPN"
            }
            Cause::RouteFailed(_) => {
                "see what the server pushes (`-v` shows OpenVPN's log); its `route-gateway` may be missing"
            }
            Cause::NotRouted { .. } => {
                "add the host's network to `vpn.routes`, or end what else is routed there (`ip route get ADDRESS`)"
            }
            Cause::ServerInside(_) => "take the server's address out of `vpn.routes`",
            Cause::NodeChanged(_) => "look for another program that changes routes or the resolver at the same time",
            Cause::SameAddress { .. } => {
                "end the other tunnel; the server gives one address to every client with this certificate or login"
            }
            Cause::OwnNetwork { conflict: Conflict::Public | Conflict::Wide | Conflict::Route(_), .. } => {
                "if this network belongs to the lab, list it in `vpn.routes`; if not, ask the VPN's operators for another"
            }
            Cause::OwnNetwork { .. } => "ask the VPN's operators for an address in another network (`ifconfig`)",
            Cause::UnaskedRoute(_) => {
                "list its network in `vpn.routes` if it belongs to the lab; if not, look for what else adds routes here"
            }
            Cause::Routes(RouteError::NoIp) => "install it (`apt-get install iproute2`)",
            Cause::Routes(RouteError::Name { .. } | RouteError::NoAddress(_)) => {
                "write the host's address: no resolver behind the tunnel is asked"
            }
            Cause::Routes(RouteError::Ip(_) | RouteError::Answer { .. }) => {
                "see what `ip route get ADDRESS` says on this machine"
            }
            Cause::Deadline { .. } => "see OpenVPN's log (`-v`), or give it longer (`vpn.connect_timeout`)",
            Cause::Died(_) => "see OpenVPN's log (`-v`)",
            Cause::System { .. } => "look at this machine: its disk, its memory, and its limits for processes",
        }
    }
}

/// A server that allows none of our TLS versions says nothing of it over UDP (2.6.14).
const NO_COMMON_GROUND: &str =
    "the server answers, and does not go on; do both ends allow the same TLS versions and ciphers?";

/// What OpenVPN has said so far, as far as it explains a failure.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    state: Option<String>,
    suspicion: Option<Cause>,
    /// What comes after it is a consequence, as a rule.
    first_error: Option<String>,
    /// Whether we have a user name and a password for the server.
    has_login: bool,
    /// Whether the server has answered, and the handshake is not over.
    has_answered: bool,
}

impl Diagnosis {
    pub(super) fn new(has_login: bool) -> Self {
        Diagnosis { has_login, ..Diagnosis::default() }
    }

    /// Takes one message. Returns the cause when it is certain that no later attempt will do better.
    pub(super) fn hear(&mut self, message: &Message) -> Option<Cause> {
        match message {
            Message::State(state) => return self.state(state),
            Message::Log(text) => return self.log(text),
            Message::Fatal(text) => return Some(fatal(text)),
            Message::Refused { realm, reason } => return Some(refused(realm, reason.as_deref())),
            Message::Ask(ask) => {
                if let Some(challenge) = &ask.challenge {
                    return Some(Cause::OneTimeCode(challenge.clone()));
                }
            }
            Message::Person(text) => return Some(Cause::OneTimeCode(text.clone())),
            Message::Error(text) => drop(self.first_error.get_or_insert_with(|| text.clone())),
            Message::Token(_) | Message::Hold | Message::Other => {}
        }
        None
    }

    fn state(&mut self, state: &State) -> Option<Cause> {
        match (state.name.as_str(), state.detail.as_str()) {
            ("EXITING", "auth-failure") => return Some(Cause::WrongCredentials),
            ("EXITING", detail) => return Some(self.at_end(detail)),
            ("CONNECTED", "SUCCESS") => *self = Diagnosis::new(self.has_login),
            ("CONNECTED", detail) => {
                return Some(Cause::RouteFailed(self.first_error.take().unwrap_or_else(|| detail.to_owned())));
            }
            ("AUTH_PENDING", _) => return Some(Cause::OneTimeCode("a confirmation elsewhere".to_owned())),
            ("RECONNECTING", why) => {
                match why {
                    "server_poll" => self.suspect(Cause::Silent),
                    "tls-error" => self.suspect(Cause::Handshake(String::new())),
                    _ => {}
                }
                self.has_answered = false;
            }
            _ => {}
        }
        self.state = Some(state.name.clone());
        None
    }

    /// Takes a line of OpenVPN's log, from wherever it is heard first: while it asks a resolver that does not answer,
    /// OpenVPN 2.6 writes its log and leaves the management interface waiting.
    pub(super) fn log(&mut self, text: &str) -> Option<Cause> {
        if let Some(Message::State(state)) = text.strip_prefix("MANAGEMENT: ").map(|line| parse_line(line.as_bytes())) {
            self.state = Some(state.name);
            return None;
        }
        if let Some(at) = text.find("VERIFY ").filter(|_| text.contains("ERROR")) {
            return Some(Cause::ServerCertificate(text[at..].to_owned()));
        }
        if text.starts_with("Certificate does not have") || text.contains("certificate verify failed") {
            return Some(Cause::ServerCertificate(text.to_owned()));
        }
        // 2.6.14, of `push "compress lzo"`; and of a `comp-lzo` in the profile that the server does not have, once it sends.
        if text.contains("server pushed compression settings that are not allowed")
            || text.starts_with("Bad LZO decompression header byte")
            || text.starts_with("Bad compression stub decompression header byte")
            || text.starts_with("Bad compression stub (swap) decompression header byte")
        {
            return Some(Cause::Compression(text.to_owned()));
        }
        // "Control Channel: TLSv1.3, cipher …": the server has accepted our certificate.
        if text.starts_with("Control Channel: ") {
            self.suspicion = None;
            self.has_answered = false;
            return None;
        }
        if text.starts_with("TLS: Initial packet from ") {
            self.has_answered = true;
            return None;
        }
        let suspicion = if text.starts_with("VERIFY OK: depth=0") {
            self.has_answered = false;
            match self.has_login {
                true => Cause::ClientCertificate(String::new()),
                false => Cause::LoginOrCertificate,
            }
        } else if text.contains("alert unknown ca")
            || text.contains("alert certificate")
            || text.contains("alert bad certificate")
        {
            Cause::ClientCertificate(text.to_owned())
        } else if text.contains("Connection refused") || text.contains("ECONNREFUSED") {
            Cause::Refused(text.to_owned())
        } else if text.contains("Network is unreachable") || text.contains("No route to host") {
            Cause::Unreachable(text.to_owned())
        } else if text.contains("Cannot resolve host address") {
            Cause::Unresolvable(text.to_owned())
        } else if text.contains("TLS key negotiation failed to occur") {
            Cause::Silent
        } else if let Some(reason) = text.strip_prefix("OpenSSL: error:") {
            // `OpenSSL: error:0A00042E:SSL routines::tlsv1 alert protocol version`
            Cause::Handshake(reason.rsplit(':').next().unwrap_or(reason).to_owned())
        } else {
            // What the server pushes and we do not take is an error to OpenVPN, and to nobody else.
            if text.to_lowercase().contains("error:") && !text.contains("[PUSH-OPTIONS]") {
                self.first_error.get_or_insert_with(|| text.to_owned());
            }
            return None;
        };
        self.suspect(suspicion);
        None
    }

    /// Of two suspicions the one that tells more stays, or the first: what comes later is a consequence of it, as a rule.
    fn suspect(&mut self, cause: Cause) {
        let cause = match cause {
            Cause::Silent if self.has_answered => Cause::Handshake(NO_COMMON_GROUND.to_owned()),
            cause => cause,
        };
        let telling = |cause: &Cause| match cause {
            Cause::Silent => 1,
            Cause::Handshake(words) if words.is_empty() => 0,
            Cause::ClientCertificate(words) if words.is_empty() => 3,
            Cause::LoginOrCertificate => 3,
            Cause::ClientCertificate(_) | Cause::Handshake(_) => 4,
            _ => 2,
        };
        if self.suspicion.as_ref().is_none_or(|known| telling(known) < telling(&cause)) {
            self.suspicion = Some(cause);
        }
    }

    /// What explains best why OpenVPN is not connected, if anything does.
    pub(super) fn suspicion(&mut self) -> Option<Cause> {
        self.suspicion.take()
    }

    /// The cause when time is up.
    pub(super) fn at_deadline(&mut self, after: Duration) -> Cause {
        match (self.suspicion.take(), self.state.take()) {
            (Some(suspicion), _) => suspicion,
            (None, _) if self.first_error.as_deref().is_some_and(|error| !matches!(fatal(error), Cause::Died(_))) => {
                fatal(&self.first_error.take().unwrap_or_default())
            }
            (None, _) if self.has_answered => Cause::Handshake(NO_COMMON_GROUND.to_owned()),
            (None, Some(state)) if matches!(state.as_str(), "WAIT" | "TCP_CONNECT") => Cause::Silent,
            (None, Some(state)) if state == "RESOLVE" => Cause::Unresolvable("no answer from the resolver".to_owned()),
            (None, state) => {
                let error = self.first_error.take();
                Cause::Deadline { state: state.unwrap_or_else(|| "none".to_owned()), after, error }
            }
        }
    }

    /// The cause when OpenVPN has ended; `last_words` is the last that it printed, or the reason it gave.
    pub(super) fn at_end(&mut self, last_words: &str) -> Cause {
        let error = self.first_error.take();
        // The error explains more than what is said last: "Exiting due to fatal error".
        let mut causes = [error.as_deref(), Some(last_words)].into_iter().flatten().map(fatal);
        let known = causes.find(|cause| !matches!(cause, Cause::Died(_)));
        known.or(self.suspicion.take()).unwrap_or_else(|| match &error {
            Some(error) if error != last_words => Cause::Died(format!("{last_words} ({error})")),
            _ => Cause::Died(last_words.to_owned()),
        })
    }
}

/// What OpenVPN's last words mean.
fn fatal(text: &str) -> Cause {
    let text = text.to_owned();
    if let Some((_, error)) = text.split_once("Options error: ") {
        Cause::Options(error.replace("stdin:", "line ").replace("[CMD-LINE]:1", "our own command line"))
    } else if text.contains("TUN/TAP dev") && text.contains("No such") {
        Cause::NoTunDevice(text)
    } else if text.contains("Operation not permitted") || text.contains("Permission denied") {
        Cause::NotPermitted(text)
    } else if text.contains("TUNSETIFF") {
        // "Device or resource busy", or "Invalid argument" when the name is that of another kind of device.
        Cause::NameTaken(text)
    } else if text.contains("Cannot resolve host address") {
        Cause::Unresolvable(text)
    } else {
        Cause::Died(text)
    }
}

fn refused(realm: &str, reason: Option<&str>) -> Cause {
    match (realm, reason) {
        ("Private Key", _) => Cause::WrongPassphrase,
        (_, Some(reason)) if reason.starts_with("CRV1:") => {
            // `CRV1:flags:state:user:text`; the state and the user are nobody's business.
            Cause::OneTimeCode(reason.splitn(5, ':').nth(4).unwrap_or("no text").to_owned())
        }
        (_, Some(reason)) => Cause::Refusal(reason.to_owned()),
        ("Auth", None) => Cause::WrongCredentials,
        (realm, None) => Cause::OtherLogin(realm.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_of_each;

    /// What is said in the end about a conversation, `!` being the deadline.
    fn told(lines: &[&str]) -> String {
        let mut diagnosis = Diagnosis::default();
        for line in lines {
            if let Some(cause) = diagnosis.hear(&parse_line(line.as_bytes())) {
                return cause.to_string();
            }
        }
        diagnosis.at_deadline(Duration::from_secs(60)).to_string()
    }

    #[test]
    fn each_way_to_fail_has_its_own_words() {
        for (lines, cause) in [
            (
                &[">STATE:1,AUTH,,,,,,", ">PASSWORD:Verification Failed: 'Auth'", ">STATE:1,EXITING,auth-failure,,,,,"]
                    [..],
                "the server refuses the user name or the password",
            ),
            (&[">STATE:1,EXITING,auth-failure,,,,,"], "the server refuses the user name or the password"),
            (
                &[">PASSWORD:Verification Failed: 'Auth' ['no shared cipher']"],
                "the server refuses us: no shared cipher",
            ),
            (
                &[">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:s3cr3t:dXNlcg==:Enter: PIN']"],
                "the server asks for a one-time code (Enter: PIN), which nobody can type at night",
            ),
            (
                &[">PASSWORD:Need 'Auth' username/password SC:1,Code?"],
                "the server asks for a one-time code (Code?), which nobody can type at night",
            ),
            (&[">PASSWORD:Verification Failed: 'Private Key'"], "the passphrase does not open the private key"),
            (
                &[
                    ">STATE:1,WAIT,,,,,,",
                    ">STATE:1,AUTH,,,,,,",
                    ">LOG:1,N,VERIFY ERROR: depth=1, error=self-signed certificate in certificate chain: CN=other",
                ],
                "the server's certificate is not accepted: VERIFY ERROR: depth=1, error=self-signed certificate in \
                 certificate chain: CN=other",
            ),
            (&[">STATE:1,WAIT,,,,,,"], "the server does not answer"),
            (
                &[">STATE:1,WAIT,,,,,,", ">STATE:1,RECONNECTING,server_poll,,,,,", ">STATE:1,CONNECTING,,,,,,"],
                "the server does not answer",
            ),
            (
                &[">STATE:1,WAIT,,,,,,", ">LOG:1,N,read UDPv4 [ECONNREFUSED]: Connection refused (fd=4,code=111)"],
                "nothing listens there: read UDPv4 [ECONNREFUSED]: Connection refused (fd=4,code=111)",
            ),
            (
                &[
                    ">STATE:1,RESOLVE,,,,,,",
                    ">LOG:1,N,RESOLVE: Cannot resolve host address: vpn.invalid:1194 (Name or service not known)",
                ],
                "the server's name does not resolve: RESOLVE: Cannot resolve host address: vpn.invalid:1194 (Name or \
                 service not known)",
            ),
            (
                &[">FATAL:ERROR: Cannot open TUN/TAP dev /dev/net/tun: No such file or directory (errno=2)"],
                "there is no TUN device on this machine: ERROR: Cannot open TUN/TAP dev /dev/net/tun: No such file or \
                 directory (errno=2)",
            ),
            (
                &[">FATAL:ERROR: Cannot ioctl TUNSETIFF tun: Operation not permitted (errno=1)"],
                "OpenVPN may not make a tunnel on this machine: ERROR: Cannot ioctl TUNSETIFF tun: Operation not \
                 permitted (errno=1)",
            ),
            (
                &[">FATAL:ERROR: Cannot ioctl TUNSETIFF tun0: Device or resource busy (errno=16)"],
                "the tunnel's device is in use: ERROR: Cannot ioctl TUNSETIFF tun0: Device or resource busy (errno=16)",
            ),
            (
                &[
                    ">LOG:1,W,ERROR: Linux route add command failed",
                    ">STATE:1,CONNECTED,ROUTE_ERROR,10.8.0.2,1.2.3.4,1194,,",
                ],
                "a route into the tunnel could not be made: ERROR: Linux route add command failed",
            ),
            (
                &[">LOG:1,,MANAGEMENT: >STATE:1795390758,RESOLVE,,,,,,"],
                "the server's name does not resolve: no answer from the resolver",
            ),
            (
                &[">STATE:1,AUTH,,,,,,", ">LOG:1,,VERIFY OK: depth=0, CN=server"],
                "the server ends the handshake once it has seen our certificate and no login: it asks for a user name and a password, or it does not accept the certificate",
            ),
            (
                &[
                    ">STATE:1,AUTH,,,,,,",
                    ">LOG:1,,VERIFY OK: depth=0, CN=server",
                    ">LOG:1,,Control Channel: TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384",
                ],
                "it was not up within 1m; the last state was `AUTH`",
            ),
            // The first error is the cause, and it is looked at when time is up.
            (
                &[
                    ">STATE:1,AUTH,,,,,,",
                    ">LOG:1,N,OpenSSL: error:0A00042E:SSL routines::tlsv1 alert protocol version",
                    ">LOG:1,N,TLS_ERROR: BIO read tls_read_plaintext error",
                    ">LOG:1,N,TLS Error: TLS key negotiation failed to occur within 60 seconds",
                    ">STATE:1,RECONNECTING,tls-error,,,,,",
                    ">LOG:1,N,read UDPv4 [ECONNREFUSED]: Connection refused (fd=4,code=111)",
                ],
                "the TLS handshake fails: tlsv1 alert protocol version",
            ),
            (
                &[
                    ">STATE:1,GET_CONFIG,,,,,,",
                    ">LOG:1,N,ERROR: the first",
                    ">LOG:1,N,ERROR: its consequence",
                    ">STATE:1,RECONNECTING,process-push-msg-failed,,,,,",
                ],
                "it was not up within 1m; the last state was `RECONNECTING`, and OpenVPN said: ERROR: the first",
            ),
            (
                &[
                    ">LOG:1,N,OPTIONS ERROR: server pushed compression settings that are not allowed and will result in a \
                      non-working connection.",
                ],
                "the two ends do not agree on compression: OPTIONS ERROR: server pushed compression settings that are not \
                 allowed and will result in a non-working connection.",
            ),
            (
                &[">STATE:1,AUTH,,,,,,", ">LOG:1,,TLS: Initial packet from [AF_INET]10.250.0.1:1194, sid=a7d5501a"],
                "the TLS handshake fails: the server answers, and does not go on; do both ends allow the same TLS versions \
                 and ciphers?",
            ),
            (&[">STATE:1,GET_CONFIG,,,,,,"], "it was not up within 1m; the last state was `GET_CONFIG`"),
            (&[], "it was not up within 1m; the last state was `none`"),
        ] {
            assert_eq!(told(lines), cause);
        }
    }

    #[test]
    fn a_profile_that_openvpn_does_not_accept_is_quoted_with_its_line() {
        let cause = Diagnosis::default()
            .at_end("Options error: Unrecognized option or missing or extra parameter(s) in stdin:4: foo (2.6.14)");
        assert_eq!(
            cause.to_string(),
            "OpenVPN does not accept the profile: Unrecognized option or missing or extra parameter(s) in line 4: foo \
             (2.6.14)"
        );
    }

    #[test]
    fn an_end_is_explained_by_the_error_before_it() {
        let mut diagnosis = Diagnosis::default();
        assert!(diagnosis.log("ERROR: Cannot ioctl TUNSETIFF eth0: Invalid argument (errno=22)").is_none());
        assert_eq!(
            diagnosis.at_end("Exiting due to fatal error").to_string(),
            "the tunnel's device is in use: ERROR: Cannot ioctl TUNSETIFF eth0: Invalid argument (errno=22)"
        );
        assert!(diagnosis.log("TLS Error: something else").is_none());
        assert_eq!(
            diagnosis.at_end("signal: 9 (SIGKILL)").to_string(),
            "`openvpn` ended: signal: 9 (SIGKILL) (TLS Error: something else)"
        );
    }

    #[test]
    fn each_cause_is_told_with_message_and_hint() {
        let said = || "its own words".to_owned();
        let failed = |what: &str| std::io::Error::other(what.to_owned());
        let causes = one_of_each! {
            Cause::WrongCredentials => Cause::WrongCredentials,
            Cause::Refusal(_) => Cause::Refusal(said()),
            Cause::WrongPassphrase => Cause::WrongPassphrase,
            Cause::NoPassphrase => Cause::NoPassphrase,
            Cause::NoCredentials => Cause::NoCredentials,
            Cause::OneTimeCode(_) => Cause::OneTimeCode("Enter: PIN".to_owned()),
            Cause::OtherLogin(_) => Cause::OtherLogin("HTTP Proxy".to_owned()),
            Cause::ServerCertificate(_) => Cause::ServerCertificate(said()),
            Cause::ClientCertificate(_) => Cause::ClientCertificate(said()),
            Cause::LoginOrCertificate => Cause::LoginOrCertificate,
            Cause::Handshake(_) => Cause::Handshake(said()),
            Cause::Compression(_) => Cause::Compression(said()),
            Cause::Silent => Cause::Silent,
            Cause::Refused(_) => Cause::Refused(said()),
            Cause::Unreachable(_) => Cause::Unreachable(said()),
            Cause::Unresolvable(_) => Cause::Unresolvable(said()),
            Cause::NoTunDevice(_) => Cause::NoTunDevice(said()),
            Cause::NotPermitted(_) => Cause::NotPermitted(said()),
            Cause::NameTaken(_) => Cause::NameTaken(said()),
            Cause::NoOpenvpn => Cause::NoOpenvpn,
            Cause::NoSudo(_) => Cause::NoSudo(said()),
            Cause::Options(_) => Cause::Options(said()),
            Cause::RouteFailed(_) => Cause::RouteFailed(said()),
            Cause::NotRouted { .. } => Cause::NotRouted {
                host: "agw".to_owned(),
                address: "192.168.60.17".parse().expect("an address"),
                device: "tun0".to_owned(),
                by: Some("eth0".to_owned()),
            },
            Cause::ServerInside(_) => Cause::ServerInside("192.0.2.1".parse().expect("an address")),
            Cause::NodeChanged(_) => Cause::NodeChanged("`/etc/resolv.conf` is another".to_owned()),
            Cause::SameAddress { .. } => Cause::SameAddress {
                address: "10.99.0.10".parse().expect("an address"),
                interface: "tun0".to_owned(),
            },
            Cause::OwnNetwork { .. } => Cause::OwnNetwork {
                network: "10.255.255.52/30".parse().expect("a network"),
                conflict: Conflict::Resolver("10.255.255.53".parse().expect("an address")),
            },
            Cause::UnaskedRoute(_) => Cause::UnaskedRoute("10.0.0.0/8 dev tun-ci-1".to_owned()),
            Cause::Routes(_) => Cause::Routes(RouteError::NoIp),
            Cause::Deadline { .. } => Cause::Deadline {
                state: "WAIT".to_owned(),
                after: Duration::from_secs(60),
                error: Some(said()),
            },
            Cause::Died(_) => Cause::Died("exit status: 1".to_owned()),
            Cause::System { .. } => Cause::System { what: "start `openvpn`", source: failed("no memory") },
        };
        let routes = one_of_each! {
            RouteError::NoIp => RouteError::NoIp,
            RouteError::Ip(_) => RouteError::Ip(crate::process::RunError::Start { program: "/sbin/ip".into(), source: failed("no memory") }),
            RouteError::Answer { .. } => RouteError::Answer { question: "route get 192.0.2.1".to_owned(), answer: said() },
            RouteError::Name { .. } => RouteError::Name { host: "agw.lab".to_owned(), source: failed("not known") },
            RouteError::NoAddress(_) => RouteError::NoAddress("agw.lab".to_owned()),
        };
        let told = causes.into_iter().chain(routes.into_iter().skip(1).map(Cause::Routes)).map(|cause| {
            let error = Error { server: "`vpn.lab:1194`".to_owned(), cause };
            error.problem().text()
        });
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n\n"));
    }

    #[test]
    fn a_host_without_any_route_is_told_from_one_that_leaves_elsewhere() {
        let address = "192.168.60.17".parse().expect("an address");
        let cause = Cause::NotRouted { host: "agw".to_owned(), address, device: "tun0".to_owned(), by: None };
        assert_eq!(
            cause.to_string(),
            "the host `agw` (192.168.60.17) is not routed into the tunnel `tun0`, but has no route at all"
        );
    }
}
