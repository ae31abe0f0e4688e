//! What can keep us from knowing what a host did, told apart as an operator would act on it.

use std::io;
use std::time::Duration;

use crate::config::{Address, format_duration};
use crate::event::Problem;
use crate::remote::access::HostKey;

/// We could not find out. A remote exit status is never one of these.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot connect to `{host}` as {user} at {address}")]
    Connect { host: String, user: String, address: Address, source: Box<Cause> },
    /// The connection broke while a command ran: whether it ran to its end is not known.
    #[error("the connection to `{host}` was lost")]
    Lost { host: String },
    /// The command was ended, on the host too.
    #[error("a command on `{host}` did not end within {}", format_duration(*limit))]
    Deadline { host: String, limit: Duration },
    /// Nothing of the command was run.
    #[error("`{host}` did not start a command: {text}")]
    NotStarted { host: String, text: String },
    /// Nothing was sent: what answers is not the shell that we asked for.
    #[error(
        "the login shell on `{host}` did not run our command within {}{}",
        format_duration(*limit),
        if text.is_empty() { String::new() } else { format!(", and printed: {text}") }
    )]
    NoShell { host: String, limit: Duration, text: String },
    #[error("`{host}` does not let us become root by `sudo`: {text}")]
    Sudo { host: String, text: String },
    #[error("a command on `{host}` printed more than {limit} bytes")]
    TooMuch { host: String, limit: u64 },
    #[error("cannot keep what `{host}` sends")]
    Sink { host: String, source: io::Error },
    #[error("the job `{job}` could not be started on `{host}`: {text}")]
    JobNotStarted { host: String, job: String, text: String },
    #[error("there is no job `{job}` on `{host}`")]
    NoJob { host: String, job: String },
    #[error("the job `{job}` on `{host}` cannot be ended: {text}")]
    JobStays { host: String, job: String, text: String },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("the name does not resolve")]
    Unresolvable,
    #[error("the connection was refused")]
    Refused,
    #[error("no answer within {} (`ssh.connect_timeout`)", format_duration(*limit))]
    TimedOut { limit: Duration },
    #[error("the connection was begun and not finished within {}", format_duration(*limit))]
    Unfinished { limit: Duration },
    #[error("{text}")]
    Unreachable { text: String },
    #[error("the host's key is not among those we accept")]
    HostKeyUnknown {
        /// The keys that the host shows, when it could be asked.
        shown: Vec<HostKey>,
        /// The file of the accepted keys.
        known_hosts: String,
    },
    #[error("the host shows another key than the one we accept")]
    HostKeyChanged {
        /// The fingerprint of the key that the host shows.
        fingerprint: Option<String>,
        /// The line of the accepted key.
        accepted: Option<String>,
        known_hosts: String,
    },
    #[error("the host shows a key that is revoked in `{known_hosts}`")]
    HostKeyRevoked {
        /// The kind of the key: `ED25519`.
        kind: Option<String>,
        known_hosts: String,
    },
    #[error("the host does not let us in: {text}")]
    Denied { text: String },
    #[error("cannot start `ssh`")]
    NoSsh(#[source] io::Error),
    #[error("{text}")]
    Other { text: String },
}

impl Error {
    /// Whether the same may well work once there is a connection again.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Error::Lost { .. } => true,
            Error::Connect { source, .. } => {
                matches!(
                    **source,
                    Cause::Refused
                        | Cause::TimedOut { .. }
                        | Cause::Unfinished { .. }
                        | Cause::Unreachable { .. }
                        | Cause::Other { .. }
                )
            }
            _ => false,
        }
    }

    /// The same as an event tells it: the causes taken along, and what to try next.
    pub(crate) fn problem(&self) -> Problem {
        let mut problem = Problem::testbed(self.to_string());
        if let Some(source) = std::error::Error::source(self) {
            problem = problem.because_of(source);
        }
        problem.hint(self.hint())
    }

    fn hint(&self) -> String {
        let hint = match self {
            Error::Connect { source, user, address, .. } => return source.hint(user, address),
            Error::Lost { .. } => "look at the tunnel, and whether the host has rebooted",
            Error::Deadline { .. } => "look at the load and the disks of the host",
            Error::Sudo { .. } => "give the user passwordless `sudo` on the host",
            Error::NotStarted { .. } => {
                "the host has to run what it is sent (no `ForceCommand`), and needs a POSIX shell with `timeout`, `head` and \
                 `base64` of coreutils"
            }
            Error::NoShell { .. } => {
                "does a start file of that shell there (`.bashrc`) start another program, as `exec zsh` does? Let it do so at \
                 a terminal only: `[ -t 0 ] && exec zsh`"
            }
            Error::TooMuch { .. } => "see what it prints (`-v` says which command it is)",
            Error::Sink { .. } => "is the disk of this machine full?",
            Error::JobNotStarted { .. } => {
                "look at the host's disk space, and whether it has `setsid` and `flock` of util-linux"
            }
            Error::NoJob { .. } => "somebody removed it, or the host lost its disk: look there, and run again",
            Error::JobStays { .. } => "end it by hand on the host; it ends at its deadline too",
        };
        hint.to_owned()
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        error.problem()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        error.problem()
    }
}

impl Cause {
    /// Reads the log of an `ssh` that did not connect. `known_hosts` is the operator's own file.
    /// `connect_timeout` is what `ssh` was given.
    pub(super) fn parse_log(log: &str, known_hosts: &str, connect_timeout: Duration) -> Cause {
        let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let has = |text: &str| lines.iter().any(|line| line.contains(text));
        let last = || lines.last().copied().unwrap_or("`ssh` gave no reason").to_owned();
        // OpenSSH 9.2: "The ED25519 host key for HOST is marked as revoked."
        if has("REVOKED HOST KEY") {
            let kind = lines.iter().find_map(|line| {
                line.strip_prefix("The ")?
                    .strip_suffix(" is marked as revoked.")?
                    .split_once(' ')
                    .map(|(kind, _)| kind.to_owned())
            });
            return Cause::HostKeyRevoked { kind, known_hosts: known_hosts.to_owned() };
        }
        if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            // OpenSSH 9.2: "The fingerprint for the ED25519 key sent by the remote host is\nSHA256:….", and
            // "Offending ED25519 key in FILE:LINE".
            let fingerprint = lines.iter().find(|line| line.starts_with("SHA256:"));
            let accepted = lines.iter().find_map(|line| line.split_once("Offending ")?.1.rsplit_once(':'));
            return Cause::HostKeyChanged {
                fingerprint: fingerprint.map(|line| line.trim_end_matches('.').to_owned()),
                accepted: accepted.map(|(_, line)| line.to_owned()),
                known_hosts: known_hosts.to_owned(),
            };
        }
        if has("Host key verification failed") {
            return Cause::HostKeyUnknown { shown: Vec::new(), known_hosts: known_hosts.to_owned() };
        }
        if has("Could not resolve hostname") {
            return Cause::Unresolvable;
        }
        // "magma@10.0.0.1: Permission denied (publickey,password)." is the host's word; without the brackets it is the
        // machine's own, about a socket.
        if has("Permission denied (") || has("Too many authentication failures") {
            return Cause::Denied { text: last() };
        }
        if has("Connection refused") {
            return Cause::Refused;
        }
        if has("timed out") {
            return Cause::TimedOut { limit: connect_timeout };
        }
        if has("No route to host") || has("Network is unreachable") {
            let text = last();
            return Cause::Unreachable { text: text.rsplit(": ").next().unwrap_or(&text).to_lowercase() };
        }
        Cause::Other { text: last() }
    }

    fn hint(&self, user: &str, address: &Address) -> String {
        match self {
            Cause::Unresolvable => {
                "write the host's address into the config: the tunnel brings no name server".to_owned()
            }
            Cause::Refused => "is `sshd` running there, and on this port?".to_owned(),
            Cause::TimedOut { .. } | Cause::Unreachable { .. } => {
                "is the host up, and can its address be reached from here (through the tunnel, where there is one)?".to_owned()
            }
            Cause::Unfinished { .. } => {
                "look at the load of the host and at its `sshd`: what it asks at a login (a name server, PAM) may not answer".to_owned()
            }
            Cause::HostKeyUnknown { shown, known_hosts } => match shown.as_slice() {
                [] => format!("add the host's key to `{known_hosts}`"),
                shown => {
                    let mut hint = "compare with `ssh-keygen -lf` of the host's own key, there".to_owned();
                    for key in shown {
                        hint.push_str(&format!("\n       it shows {} {}", key.algorithm, key.fingerprint));
                    }
                    let best = shown.iter().find(|key| key.algorithm == "ssh-ed25519").unwrap_or(&shown[0]);
                    hint.push_str(&format!("\n       if they agree, add to `{known_hosts}`: {}", best.line));
                    hint
                }
            },
            Cause::HostKeyChanged { fingerprint, accepted, known_hosts } => {
                let shown = fingerprint.as_ref().map(|it| format!("it shows {it}; ")).unwrap_or_default();
                let line = accepted.as_ref().map(|line| format!(" line {line}")).unwrap_or_default();
                format!(
                    "{shown}if the host was set up anew, replace `{known_hosts}`{line}; if not, somebody is in between"
                )
            }
            Cause::HostKeyRevoked { kind, known_hosts } => {
                let key = kind.as_ref().map_or_else(|| "the key".to_owned(), |kind| format!("the {kind} key"));
                format!(
                    "somebody has marked {key} as stolen (`@revoked` in `{known_hosts}`): ask them before anything is changed, and \
                     do not connect; the host needs a new key"
                )
            }
            Cause::Denied { .. } => {
                format!("add the public part of `ssh.key` to `authorized_keys` of {user} at {}", address.host)
            }
            Cause::NoSsh(_) => "install OpenSSH's client".to_owned(),
            Cause::Other { .. } => format!("see what `ssh -v -p {} {user}@{}` says", address.port, address.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_of_each;

    fn parse(log: &str) -> String {
        format!("{:?}", Cause::parse_log(log, "known_hosts", Duration::from_secs(20)))
    }

    #[test]
    fn each_way_not_to_connect_is_told_from_the_others() {
        let cases = [
            ("ssh: Could not resolve hostname no.invalid: Name or service not known\r\n", "Unresolvable"),
            ("ssh: connect to host 10.0.0.1 port 22: Connection refused\r\n", "Refused"),
            ("ssh: connect to host 10.0.0.1 port 22: Connection timed out\r\n", "TimedOut { limit: 20s }"),
            (
                "Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 22 timed out\r\n",
                "TimedOut { limit: 20s }",
            ),
            (
                "ssh: connect to host 10.0.0.1 port 22: No route to host\r\n",
                r#"Unreachable { text: "no route to host" }"#,
            ),
            (
                "magma@10.0.0.1: Permission denied (publickey,password).\r\n",
                r#"Denied { text: "magma@10.0.0.1: Permission denied (publickey,password)." }"#,
            ),
            (
                "kex_exchange_identification: read: Connection reset by peer\r\n",
                r#"Other { text: "kex_exchange_identification: read: Connection reset by peer" }"#,
            ),
            ("", r#"Other { text: "`ssh` gave no reason" }"#),
        ];
        for (log, cause) in cases {
            assert_eq!(parse(log), cause, "{log}");
        }
    }

    #[test]
    fn a_changed_host_key_is_not_an_unknown_one() {
        let unknown = "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\r\n\
                       Host key verification failed.\r\n";
        assert_eq!(parse(unknown), r#"HostKeyUnknown { shown: [], known_hosts: "known_hosts" }"#);
        let changed = "@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@\r\n\
                       The fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc.\r\n\
                       Offending ED25519 key in /run/x/known_hosts:3\r\nHost key verification failed.\r\n";
        assert_eq!(
            parse(changed),
            r#"HostKeyChanged { fingerprint: Some("SHA256:abc"), accepted: Some("3"), known_hosts: "known_hosts" }"#
        );
    }

    #[test]
    fn a_revoked_host_key_is_not_a_changed_one() {
        let log = include_str!("../../tests/fixtures/causes/ssh-revoked.txt");
        assert_eq!(parse(log), r#"HostKeyRevoked { kind: Some("ED25519"), known_hosts: "known_hosts" }"#);
    }

    #[test]
    fn each_message_is_told_with_cause_and_hint() {
        let (host, text) = (|| "agw".to_owned(), || "its own words".to_owned());
        let failed = || io::Error::other("no space left on device");
        let address: Address = "192.168.60.17:2222".parse().expect("an address");
        let known_hosts = || "config/known_hosts".to_owned();
        let key = HostKey {
            algorithm: "ssh-ed25519".to_owned(),
            fingerprint: "SHA256:abc".to_owned(),
            line: "192.168.60.17 ssh-ed25519 AAAA".to_owned(),
        };
        let causes = one_of_each! {
            Cause::Unresolvable => Cause::Unresolvable,
            Cause::Refused => Cause::Refused,
            Cause::TimedOut { .. } => Cause::TimedOut { limit: Duration::from_secs(20) },
            Cause::Unfinished { .. } => Cause::Unfinished { limit: Duration::from_secs(45) },
            Cause::Unreachable { .. } => Cause::Unreachable { text: "no route to host".to_owned() },
            Cause::HostKeyUnknown { .. } => Cause::HostKeyUnknown { shown: vec![key], known_hosts: known_hosts() },
            Cause::HostKeyChanged { .. } => Cause::HostKeyChanged {
                fingerprint: Some("SHA256:abc".to_owned()),
                accepted: Some("3".to_owned()),
                known_hosts: known_hosts(),
            },
            Cause::HostKeyRevoked { .. } => {
                Cause::HostKeyRevoked { kind: Some("ED25519".to_owned()), known_hosts: known_hosts() }
            },
            Cause::Denied { .. } => Cause::Denied { text: "Permission denied (publickey).".to_owned() },
            Cause::NoSsh(_) => Cause::NoSsh(failed()),
            Cause::Other { .. } => Cause::Other { text: text() },
        };
        // What the host or our own log of it did not tell.
        let blind = [
            Cause::HostKeyUnknown { shown: Vec::new(), known_hosts: known_hosts() },
            Cause::HostKeyChanged { fingerprint: None, accepted: None, known_hosts: known_hosts() },
        ];
        let connects = causes.into_iter().chain(blind).map(|cause| Error::Connect {
            host: host(),
            user: "magma".to_owned(),
            address: address.clone(),
            source: Box::new(cause),
        });
        let limit = Duration::from_secs(60);
        let errors = one_of_each! {
            Error::Connect { .. } => Error::Connect {
                host: host(), user: "magma".to_owned(), address: address.clone(), source: Box::new(Cause::Refused),
            },
            Error::Lost { .. } => Error::Lost { host: host() },
            Error::Deadline { .. } => Error::Deadline { host: host(), limit },
            Error::NotStarted { .. } => Error::NotStarted { host: host(), text: text() },
            Error::NoShell { .. } => Error::NoShell { host: host(), limit, text: text() },
            Error::Sudo { .. } => Error::Sudo { host: host(), text: "sudo: a password is required".to_owned() },
            Error::TooMuch { .. } => Error::TooMuch { host: host(), limit: 1_000_000 },
            Error::Sink { .. } => Error::Sink { host: host(), source: failed() },
            Error::JobNotStarted { .. } => Error::JobNotStarted { host: host(), job: "~/a".to_owned(), text: text() },
            Error::NoJob { .. } => Error::NoJob { host: host(), job: "~/a".to_owned() },
            Error::JobStays { .. } => Error::JobStays { host: host(), job: "~/a".to_owned(), text: text() },
        };
        let told = connects.chain(errors.into_iter().skip(1)).map(|error| error.problem().text());
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n\n"));
    }
}
