//! What must hold for whatever OpenVPN says, and for any profile that somebody keeps as a secret.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, ReadBuf};

use super::cause::{Cause, Diagnosis};
use super::management::{Message, answer, parse_line};
use super::openvpn::is_accepted;
use super::profile::{Credentials, prepare, read_words};
use crate::event::Problem;
use crate::fuzz::{Cuts, is_one_line, stretched};
use crate::process::{LONGEST_LINE, Lines};
use crate::secret::Secret;

/// The property of the management interface: however a session is cut, it is the same lines, what they come to accuses nobody
/// without evidence, and what is answered is what was asked for.
pub fn management(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok(cuts) = Cuts::choose(&mut input) else { return };
    let session = stretched(input.take_rest());
    let lines = lines_of(vec![&session]);
    assert_eq!(lines_of(cuts.pieces(&session)), lines, "cut into pieces it is other lines");
    assert_eq!(lines, split(&session));

    let mut diagnosis = Diagnosis::default();
    for line in &lines {
        let message = parse_line(line);
        let cause = diagnosis.hear(&message);
        assert_founded(cause.as_ref(), &session);
        match message {
            Message::Ask(ask) => assert_answer(&ask.realm, &lines[0]),
            Message::State(state) if (state.name.as_str(), state.detail.as_str()) == ("CONNECTED", "SUCCESS") => {
                assert!(diagnosis.suspicion().is_none(), "a tunnel that is up is suspected");
            }
            _ => {}
        }
    }
    let last_words = String::from_utf8_lossy(lines.last().map_or(b"", Vec::as_slice));
    assert_founded(Some(&diagnosis.at_end(&last_words)), &session);
    assert_founded(Some(&diagnosis.at_deadline(Duration::from_secs(60))), &session);
}

/// The lines of a session that comes in these pieces, read the way the tunnel reads them.
fn lines_of(pieces: Vec<&[u8]>) -> Vec<Vec<u8>> {
    let mut reader = Lines::new(Pieces(pieces.into()));
    let mut lines = Vec::new();
    while let Some(line) = reader.next().now_or_never().expect("all is there").expect("memory can be read") {
        lines.push(line);
    }
    lines
}

/// The lines of a session that is there as a whole.
fn split(session: &[u8]) -> Vec<Vec<u8>> {
    let chunks = session.split_inclusive(|&byte| byte == b'\n').flat_map(|line| line.chunks(LONGEST_LINE));
    let line = |chunk: &[u8]| match chunk {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] | line => line.to_vec(),
    };
    chunks.map(line).collect()
}

/// Bytes that come in pieces.
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        while let Some(piece) = self.0.pop_front() {
            let (now, later) = piece.split_at(piece.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                self.0.push_front(later);
            }
            // To put in nothing would be the end.
            if !now.is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Checks that a cause can be told, and that a person is sent after a login only where the session speaks of one.
fn assert_founded(cause: Option<&Cause>, session: &[u8]) {
    let Some(cause) = cause else { return };
    let problem = cause.explain(Problem::testbed("no tunnel"));
    assert!(problem.hint.is_some() && problem.causes.iter().all(|cause| !cause.is_empty()), "{problem:?}");
    let evidence: &[&str] = match cause {
        Cause::WrongCredentials => &["auth-failure", "Verification Failed"],
        Cause::WrongPassphrase => &["'Private Key'"],
        Cause::OneTimeCode(_) => &[" SC:", "CRV1:", ">INFOMSG", ">NEED-", "AUTH_PENDING"],
        Cause::ServerCertificate(_) => &["VERIFY ", "ertificate"],
        Cause::Options(_) => &["Options error: "],
        Cause::RouteFailed(_) => &["CONNECTED"],
        _ => return,
    };
    let is_there = |sign: &&str| memchr::memmem::find(session, sign.as_bytes()).is_some();
    assert!(evidence.iter().any(is_there), "{cause:?} is not in the session");
}

/// Checks that a login is one command of three words to OpenVPN, whatever its text is.
fn assert_answer(realm: &str, text: &[u8]) {
    let secret: String = String::from_utf8_lossy(text).chars().filter(|char| !char.is_control()).collect();
    let command = answer("password", realm, &Secret::new(secret.as_str()));
    let line = command.strip_suffix('\n').expect("a command ends with its line");
    let words = read_words(line).expect("a command can be read");
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(words, ["password", realm, &secret]);
    assert!(!line.contains('\n'));
}

/// What a server may have an OpenVPN do that was started by us, by the names of its options.
const MAY_PUSH: [&str; 16] = [
    "auth-token",
    "auth-token-user",
    "cipher",
    "comp-lzo",
    "compress",
    "ifconfig",
    "ifconfig-ipv6",
    "key-derivation",
    "mssfix",
    "peer-id",
    "ping",
    "ping-restart",
    "protocol-flags",
    "push-continuation",
    "route-gateway",
    "topology",
];

/// The property of pushes: what passes our filters, which look at the text, is to OpenVPN, which takes off quotation marks and
/// blanks first, none but what a server may push.
pub fn pushes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // As `apply_push_options` does: an option ends at a comma.
    for option in text.split(',').filter(|option| is_accepted(option)) {
        let Ok(words) = read_words(option) else { continue };
        let Some(name) = words.first() else { continue };
        let name = name.text.strip_prefix("--").filter(|name| !name.is_empty()).unwrap_or(&name.text);
        let is_known = MAY_PUSH.contains(&name) || name == "tun-mtu";
        // What OpenVPN has no option for, it only warns of.
        let is_option = NEVER_RUN.contains(&name) || OPTIONS.contains(&name);
        assert!(is_known || !is_option, "`{option}` passes");
    }
}

/// What else a server can push to a client that obeys it (`options.c` of OpenVPN 2.6.14, OPT_P_PULL_MODE options).
const OPTIONS: [&str; 24] = [
    "allow-recursive-routing",
    "block-ipv6",
    "block-outside-dns",
    "client-nat",
    "dhcp-option",
    "dns",
    "echo",
    "explicit-exit-notify",
    "fragment",
    "inactive",
    "ip-win32",
    "persist-key",
    "persist-tun",
    "ping-exit",
    "ping-timer-rem",
    "rcvbuf",
    "redirect-private",
    "reneg-sec",
    "route-delay",
    "route-ipv6",
    "route-metric",
    "session-timeout",
    "setenv",
    "sndbuf",
];

/// What would run a program, load code, read another file or take control away, if OpenVPN heard of it.
const NEVER_RUN: [&str; 38] = [
    "auth-user-pass-verify",
    "capath",
    "cd",
    "chroot",
    "client-connect",
    "client-crresponse",
    "client-disconnect",
    "config",
    "daemon",
    "dns-updown",
    "down",
    "engine",
    "genkey",
    "group",
    "ipchange",
    "iproute",
    "learn-address",
    "log",
    "log-append",
    "management",
    "mktun",
    "pkcs11-providers",
    "plugin",
    "redirect-gateway",
    "rmtun",
    "route",
    "route-pre-down",
    "route-up",
    "script-security",
    "show-pkcs11-ids",
    "status",
    "test-crypto",
    "tls-crypt-v2-verify",
    "tls-verify",
    "up",
    "user",
    "verb",
    "writepid",
];

/// The property of profiles: what is run has none of what is never run, in the lines that the profile had, and is run again as it
/// is; what is refused is refused in words, at a place of the profile.
pub fn profile(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok(credentials) = choose(&mut input) else { return };
    let text = String::from_utf8_lossy(input.take_rest());
    match prepare(&Secret::new(text.as_ref()), "profile", credentials.clone()) {
        Ok(prepared) => {
            let run = prepared.text.expose();
            assert_harmless(run);
            assert_eq!(run.matches('\n').count(), text.split('\n').count(), "the lines have other numbers");
            assert!(!prepared.server().is_empty() && prepared.note().is_none_or(|note| !note.is_empty()));
            let again = prepare(&Secret::new(run), "profile", credentials).expect("what is run was accepted");
            assert_eq!(again.text.expose(), format!("{run}\n"));
            assert_eq!(again.note(), None, "what was to be dropped was not");
        }
        Err(error) => {
            let message = error.to_string();
            let (_, problem) = message.split_once(": ").expect("a place, then what is wrong");
            assert!(!problem.is_empty() && message.lines().all(is_one_line), "{message:?}");
            if let Some((line, column)) = error.at {
                let line = text.split('\n').nth(line - 1).expect("the line is one of the profile");
                assert!((1..=line.chars().count() + 1).contains(&column), "{message:?}");
            }
        }
    }
}

fn choose(input: &mut Unstructured<'_>) -> Result<Credentials> {
    let username = input.choose(&[None, Some("ci")])?.map(Secret::new);
    let key_passphrase = input.choose(&[None, Some("open")])?.map(Secret::new);
    Ok(Credentials { password: username.clone(), username, key_passphrase })
}

/// Reads what is run as OpenVPN's `check_inline_file` does, whose blanks are those of C, and checks every directive.
fn assert_harmless(run: &str) {
    let mut end: Option<String> = None;
    assert!(!run.starts_with('\u{feff}'), "the mark before the first line is OpenVPN's to take off");
    for line in run.split('\n') {
        let is_end = |tag: &str| line.trim_start_matches([' ', '\t', '\r', '\x0b', '\x0c']).starts_with(tag);
        if let Some(tag) = &end {
            if is_end(tag) {
                end = None;
            }
            continue;
        }
        // What follows the end of a block on its line is not read.
        if is_end("</connection>") {
            continue;
        }
        let words = read_words(line).expect("what is run can be read");
        let mut words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        // As `bypass_doubledash` does, before anything else is looked at.
        if let Some(first) = words.first_mut().filter(|first| first.len() > 2) {
            *first = first.strip_prefix("--").unwrap_or(first);
        }
        let name = match words.as_slice() {
            [] => continue,
            ["<connection>"] => continue,
            [tag] if tag.starts_with('<') && tag.ends_with('>') => {
                end = Some(tag.replacen('<', "</", 1));
                continue;
            }
            ["setenv", "opt", name, ..] => name,
            [name, ..] => name,
        };
        assert!(!NEVER_RUN.contains(name), "`{line}` is run");
    }
    assert_eq!(end, None, "a block has no end");
}
