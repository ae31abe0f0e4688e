//! The user's OpenVPN profile: text in, the text that we run out.
//!
//! Reads the profile the way OpenVPN does (`parse_line` and `check_inline_file` of its `options.c`), because what we let
//! through is run as root. Takes out what would take control away from us, and refuses what would run a program, read
//! another file, or ask a person. Touches nothing.

use std::fmt;

use crate::secret::Secret;

/// OpenVPN reads its profile in pieces of this length, and a longer line is not one line to it.
const LONGEST_LINE: usize = 254;

/// Blocks whose content is the value of an option.
const VALUES: [&str; 13] = [
    "ca",
    "cert",
    "key",
    "extra-certs",
    "dh",
    "pkcs12",
    "tls-auth",
    "tls-crypt",
    "tls-crypt-v2",
    "crl-verify",
    "secret",
    "peer-fingerprint",
    "http-proxy-user-pass",
];

/// What the server asks of us, by the config.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) username: Option<Secret>,
    pub(crate) password: Option<Secret>,
    pub(crate) key_passphrase: Option<Secret>,
}

/// A profile that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Where the profile comes from, for messages.
    source: String,
    /// What OpenVPN reads. Its lines have the numbers that they have in the user's profile.
    pub(super) text: Secret,
    pub(super) credentials: Credentials,
    /// The servers, `vpn.example:1194`, in the profile's order.
    pub(super) remotes: Vec<String>,
    /// Whether the profile says how the tunnel is probed.
    pub(super) is_probed: bool,
    /// How many seconds one server is waited for before the next is tried, as the profile has it.
    pub(super) patience: Option<u64>,
    dropped: Vec<Dropped>,
}

/// A directive that is not run, because what it decides is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dropped {
    line: usize,
    name: String,
}

impl Prepared {
    /// Says which directives of the profile are not run, if any.
    pub(crate) fn note(&self) -> Option<String> {
        let names: Vec<String> =
            self.dropped.iter().map(|dropped| format!("`{}` (line {})", dropped.name, dropped.line)).collect();
        (!names.is_empty()).then(|| format!("not taken from the VPN profile: {}", names.join(", ")))
    }

    /// The server, or the first of them.
    pub(crate) fn server(&self) -> String {
        match self.remotes.as_slice() {
            [] => unreachable!("a profile without server is refused"),
            [only] => format!("`{only}`"),
            [first, others @ ..] => format!("`{first}` and {} more", others.len()),
        }
    }
}

/// A profile that is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProfileError {
    source: String,
    /// Line and column, from 1; none when it is about the whole profile.
    pub(super) at: Option<(usize, usize)>,
    problem: String,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ProfileError {}

/// Makes the profile ours. `source` is where it comes from, for messages.
pub(crate) fn prepare(profile: &Secret, source: &str, credentials: Credentials) -> Result<Prepared, ProfileError> {
    let mut reader = Reader::new(credentials);
    let prepared = reader.read(profile.expose());
    let refused = |(at, problem)| ProfileError { source: source.to_owned(), at, problem };
    prepared.map(|prepared| Prepared { source: source.to_owned(), ..prepared }).map_err(refused)
}

impl Prepared {
    /// Asks the OpenVPN of this machine whether it accepts the profile. Connects to nobody.
    pub(crate) async fn check(&self) -> Result<(), ProfileError> {
        match super::openvpn::refusal_of(self).await {
            None => Ok(()),
            Some(refusal) => Err(self.refused_by_openvpn(&refusal)),
        }
    }

    /// `Unrecognized option or missing or extra parameter(s) in stdin:4: foobar (2.6.14)`: the lines of what is run have the numbers
    /// of those in the profile.
    fn refused_by_openvpn(&self, refusal: &str) -> ProfileError {
        let place = refusal.split_once(" in stdin:").and_then(|(what, rest)| {
            let (line, rest) = rest.split_once(": ")?;
            Some((line.parse().ok()?, format!("{what}: {rest}")))
        });
        let (at, refusal) = match place {
            Some((line, refusal)) => (Some((line, 1)), refusal),
            None => (None, refusal.replace("[CMD-LINE]:1", "the command line of teravm-ci")),
        };
        ProfileError {
            source: self.source.clone(),
            at,
            problem: format!("the OpenVPN of this machine does not accept it: {refusal}"),
        }
    }
}

type Refusal = (Option<(usize, usize)>, String);

/// A word of a line, and the column it begins in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    column: usize,
}

/// What becomes of a directive.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    Refuse(String),
    /// Its first argument is a file, which must be inline.
    Inline,
    /// A user name and a password are asked for.
    Login,
    /// How long one server is waited for before the next is tried.
    Patience,
    Remote,
}

struct Reader {
    text: String,
    credentials: Credentials,
    remotes: Vec<String>,
    port: String,
    is_probed: bool,
    patience: Option<u64>,
    login_asked_at: Option<(usize, usize)>,
    dropped: Vec<Dropped>,
    is_in_connection: bool,
}

impl Reader {
    fn new(credentials: Credentials) -> Self {
        Reader {
            text: String::new(),
            credentials,
            remotes: Vec::new(),
            port: "1194".to_owned(),
            is_probed: false,
            patience: None,
            login_asked_at: None,
            dropped: Vec::new(),
            is_in_connection: false,
        }
    }

    fn read(&mut self, profile: &str) -> Result<Prepared, Refusal> {
        self.check_credentials().map_err(|problem| (None, problem))?;
        // OpenVPN takes one of these off its first line, so that none may be left for it.
        let profile = profile.trim_start_matches('\u{feff}');
        // What is judged is what is run: the CR of a line end is neither.
        let lines = profile.split('\n').map(|line| line.trim_end_matches('\r'));
        let mut lines = (1..).zip(lines);
        while let Some((number, line)) = lines.next() {
            let refuse = |column: usize, problem: String| (Some((number, column)), problem);
            if self.is_in_connection && is_end(line, "connection") {
                self.is_in_connection = false;
                self.keep(line);
                continue;
            }
            let mut words = read_words(line).map_err(|(column, problem)| refuse(column, problem))?;
            check_line(line).map_err(|(column, problem)| refuse(column, problem))?;
            // OpenVPN takes the dashes off before it looks for a block.
            if let Some(word) = words.first().filter(|word| word.text.starts_with("--<")) {
                return Err(refuse(word.column, "a block begins with `<`, without dashes".to_owned()));
            }
            if words.len() == 1
                && let Some(tag) = words[0].text.strip_prefix('<').and_then(|text| text.strip_suffix('>'))
            {
                let column = words[0].column;
                if tag == "connection" && !self.is_in_connection {
                    self.is_in_connection = true;
                    self.keep(line);
                    continue;
                }
                if self.is_in_connection {
                    return Err(refuse(column, format!("a block `<{tag}>` inside `<connection>` is not supported")));
                }
                let body = read_block(tag, &mut lines)
                    .map_err(|(line, problem)| (Some(line.map_or((number, column), |line| (line, 1))), problem))?;
                self.block(number, tag, line, &body).map_err(|problem| refuse(column, problem))?;
                continue;
            }
            let Some(name) = take_name(&mut words) else {
                self.keep(line);
                continue;
            };
            let args: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            match fate(&name.text, &args) {
                Fate::Keep => {
                    if matches!(name.text.as_str(), "keepalive" | "ping" | "ping-restart") {
                        self.is_probed = true;
                    }
                    if let ("port" | "rport", Some(port)) = (name.text.as_str(), args.first()) {
                        self.port = (*port).to_owned();
                    }
                    self.keep(line);
                }
                Fate::Remote => {
                    if let Some(host) = args.first() {
                        let port = args.get(1).map_or_else(String::new, |port| (*port).to_owned());
                        self.remotes.push(format!("{host}:{port}"));
                    }
                    self.keep(line);
                }
                Fate::Drop => self.drop(number, name.text),
                Fate::Refuse(problem) => return Err(refuse(name.column, problem)),
                Fate::Inline if args.first() == Some(&"[inline]") => self.keep(line),
                Fate::Inline => {
                    let name = &name.text;
                    let problem = format!(
                        "`{name}` names a file, which a profile that is kept as a secret cannot bring along; put the \
                         file's content between `<{name}>` and `</{name}>`"
                    );
                    return Err(refuse(words.first().map_or(1, |word| word.column), problem));
                }
                Fate::Patience => {
                    if let Some(seconds) = args.first().and_then(|seconds| seconds.parse().ok()).filter(|&own| own > 0)
                    {
                        self.patience = Some(self.patience.map_or(seconds, |least| least.min(seconds)));
                    }
                    self.keep("");
                }
                Fate::Login => {
                    // The login itself may be in a block further down.
                    self.login_asked_at.get_or_insert((number, name.column));
                    if args.is_empty() {
                        // OpenVPN hears of it on its command line.
                        self.keep("");
                    } else {
                        self.drop(number, name.text);
                    }
                }
            }
        }
        if self.is_in_connection {
            return Err((None, "the block `<connection>` has no end".to_owned()));
        }
        if let Some(at) = self.login_asked_at.filter(|_| self.credentials.username.is_none()) {
            let problem = "the profile asks for a user name and a password; set `vpn.username` and `vpn.password` in the \
                           config";
            return Err((Some(at), problem.to_owned()));
        }
        if self.remotes.is_empty() {
            let problem = "there is no server (`remote`) in this profile; is it base64 that the config does not say \
                           (`encoding: base64`)?";
            return Err((None, problem.to_owned()));
        }
        let port = &self.port;
        let remotes = self
            .remotes
            .iter()
            .map(|remote| if remote.ends_with(':') { format!("{remote}{port}") } else { remote.clone() });
        Ok(Prepared {
            source: String::new(),
            text: Secret::new(std::mem::take(&mut self.text)),
            remotes: remotes.collect(),
            credentials: std::mem::take(&mut self.credentials),
            is_probed: self.is_probed,
            patience: self.patience,
            dropped: std::mem::take(&mut self.dropped),
        })
    }

    /// The management interface takes them on one line.
    fn check_credentials(&self) -> Result<(), String> {
        let Credentials { username, password, key_passphrase } = &self.credentials;
        let all = [("vpn.username", username), ("vpn.password", password), ("vpn.key_passphrase", key_passphrase)];
        for (name, secret) in all {
            if secret.as_ref().is_some_and(|secret| secret.expose().chars().any(char::is_control)) {
                return Err(format!("`{name}` is more than one line of text, which OpenVPN does not take"));
            }
        }
        Ok(())
    }

    /// Takes a block that is the value of an option.
    fn block(&mut self, number: usize, tag: &str, line: &str, body: &[&str]) -> Result<(), String> {
        if tag == "auth-user-pass" {
            return self.login_block(number, tag, body);
        }
        if !VALUES.contains(&tag) {
            return match fate(tag, &["[inline]"]) {
                Fate::Drop => {
                    self.drop(number, tag.to_owned());
                    body.iter().for_each(|_| self.keep(""));
                    Ok(())
                }
                Fate::Refuse(problem) => Err(problem),
                _ => Err(format!("the block `<{tag}>` is not known")),
            };
        }
        let is_locked = body.iter().any(|line| line.contains("ENCRYPTED"));
        if tag == "key" && is_locked && self.credentials.key_passphrase.is_none() {
            return Err("the private key is encrypted; set `vpn.key_passphrase` in the config".to_owned());
        }
        self.keep(line);
        body.iter().for_each(|line| self.keep(line));
        Ok(())
    }

    /// A user name and a password that are in the profile itself go the way of those in the config.
    fn login_block(&mut self, number: usize, tag: &str, body: &[&str]) -> Result<(), String> {
        match (body, &self.credentials.username) {
            (_, Some(_)) => self.dropped.push(Dropped { line: number, name: tag.to_owned() }),
            ([username, password, _end], None) if !username.is_empty() => {
                self.credentials.username = Some(Secret::new(*username));
                self.credentials.password = Some(Secret::new(*password));
            }
            _ => return Err("the block `<auth-user-pass>` is not a user name and a password, a line each".to_owned()),
        }
        (0..=body.len()).for_each(|_| self.keep(""));
        Ok(())
    }

    fn keep(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn drop(&mut self, line: usize, name: String) {
        self.dropped.push(Dropped { line, name });
        self.keep("");
    }
}

/// The lines of a block up to its end, which is the last of them.
fn read_block<'a>(
    tag: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<Vec<&'a str>, (Option<usize>, String)> {
    let mut body = Vec::new();
    for (number, line) in lines {
        check_line(line).map_err(|(_, problem)| (Some(number), problem))?;
        body.push(line);
        if is_end(line, tag) {
            return Ok(body);
        }
    }
    Err((None, format!("the block `<{tag}>` has no end")))
}

/// Whether a block ends with this line. Blanks are those of C: to OpenVPN, a line that begins with a no-break space ends nothing.
fn is_end(line: &str, tag: &str) -> bool {
    let rest = line.trim_start_matches([' ', '\t', '\r', '\x0b', '\x0c']).strip_prefix("</");
    rest.and_then(|rest| rest.strip_prefix(tag)).is_some_and(|rest| rest.starts_with('>'))
}

/// Refuses what OpenVPN and we might read differently.
fn check_line(line: &str) -> Result<(), (usize, String)> {
    if line.len() > LONGEST_LINE {
        return Err((1, format!("the line is longer than the {LONGEST_LINE} bytes that OpenVPN reads")));
    }
    match line.chars().position(|char| char.is_control() && char != '\t') {
        Some(at) => Err((at + 1, "there is a control character in the line".to_owned())),
        None => Ok(()),
    }
}

/// Takes the directive's name off the line: `up`, `--up` and `setenv opt up` are the same to OpenVPN.
fn take_name(words: &mut Vec<Word>) -> Option<Word> {
    if words.is_empty() {
        return None;
    }
    let mut name = words.remove(0);
    if let Some(bare) = name.text.strip_prefix("--").filter(|bare| !bare.is_empty()) {
        name.text = bare.to_owned();
    }
    if name.text == "setenv" && words.len() > 1 && words[0].text == "opt" {
        words.remove(0);
        name = words.remove(0);
    }
    Some(name)
}

/// Cuts a line into words, as OpenVPN's `parse_line` does: quotes, backslashes, and comments where a word would begin.
pub(super) fn read_words(line: &str) -> Result<Vec<Word>, (usize, String)> {
    #[derive(PartialEq)]
    enum In {
        Nothing,
        Plain,
        Double,
        Single,
    }
    let mut words: Vec<Word> = Vec::new();
    let mut word = Word { text: String::new(), column: 1 };
    let mut inside = In::Nothing;
    let mut is_escaped = false;
    for (column, char) in line.chars().enumerate().map(|(index, char)| (index + 1, char)) {
        if !is_escaped && char == '\\' && inside != In::Single {
            is_escaped = true;
            continue;
        }
        let is_space = char.is_ascii_whitespace() || char == '\u{b}';
        let mut taken = None;
        let mut is_done = false;
        match inside {
            In::Nothing if is_space => {}
            In::Nothing if matches!(char, ';' | '#') => return Ok(words),
            In::Nothing => {
                word.column = column;
                inside = match char {
                    '"' if !is_escaped => In::Double,
                    '\'' if !is_escaped => In::Single,
                    _ => {
                        taken = Some(char);
                        In::Plain
                    }
                };
            }
            In::Plain if is_space && !is_escaped => is_done = true,
            In::Double if char == '"' && !is_escaped => is_done = true,
            In::Single if char == '\'' => is_done = true,
            In::Plain | In::Double | In::Single => taken = Some(char),
        }
        if is_escaped && taken.is_some_and(|char| !matches!(char, '\\' | '"') && !is_space) {
            let problem = "a backslash stands only before a backslash, a quotation mark or a space";
            return Err((column - 1, problem.to_owned()));
        }
        is_escaped = false;
        word.text.extend(taken);
        if is_done {
            words.push(std::mem::replace(&mut word, Word { text: String::new(), column: 1 }));
            inside = In::Nothing;
        }
    }
    match inside {
        In::Nothing if !is_escaped => {}
        In::Plain if !is_escaped => words.push(word),
        In::Nothing | In::Plain => return Err((line.chars().count(), "the line ends with a backslash".to_owned())),
        In::Double | In::Single => return Err((word.column, "a quotation mark has no counterpart".to_owned())),
    }
    Ok(words)
}

/// Decides about a directive. What is not named here is OpenVPN's to judge.
fn fate(name: &str, args: &[&str]) -> Fate {
    let first = args.first().copied();
    match name {
        "remote" => Fate::Remote,
        "auth-user-pass" => Fate::Login,
        "connect-timeout" | "server-poll-timeout" => Fate::Patience,

        "up"
        | "down"
        | "ipchange"
        | "route-up"
        | "route-pre-down"
        | "tls-verify"
        | "iproute"
        | "client-connect"
        | "client-disconnect"
        | "client-crresponse"
        | "learn-address"
        | "auth-user-pass-verify"
        | "tls-crypt-v2-verify" => runs_program(name),
        "dns-updown" if first != Some("disable") => runs_program(name),
        "dev" | "dev-type" if first.is_some_and(|kind| kind.starts_with("tap") || kind == "null") => {
            Fate::Refuse(format!(
                "`{name} {}` is not supported, only `dev tun` is: on a bridge (`tap`) the server could announce routers to \
                 this machine",
                first.unwrap_or_default()
            ))
        }
        "dev-node" if first.is_some_and(|node| node.starts_with("unix:")) => runs_program(name),
        "plugin" | "engine" | "pkcs11-providers" => {
            Fate::Refuse(format!("`{name}` would load foreign code into a program that runs as root; remove it"))
        }
        "providers" if !args.iter().all(|name| matches!(*name, "default" | "legacy" | "fips" | "base")) => Fate::Refuse(
            "`providers` would load foreign code into a program that runs as root; OpenSSL's own are `default`, `legacy`, `fips` and `base`"
                .to_owned(),
        ),
        "genkey" | "mktun" | "rmtun" | "test-crypto" | "help" | "version" => does_something_else(name),
        _ if name.starts_with("show-") => does_something_else(name),
        "script-security" if !matches!(first, Some("0" | "1")) => {
            Fate::Refuse("`script-security` above 1 would let OpenVPN run programs as root; remove it".to_owned())
        }
        "config" | "capath" | "management-external-key" | "management-external-cert" => {
            Fate::Refuse(format!("`{name}` brings in what is not in this profile; put it inline"))
        }
        "static-challenge" => Fate::Refuse(
            "`static-challenge` asks for a one-time code, which nobody can type at night; use an account without one"
                .to_owned(),
        ),

        "ca"
        | "cert"
        | "key"
        | "extra-certs"
        | "pkcs12"
        | "tls-auth"
        | "tls-crypt"
        | "tls-crypt-v2"
        | "crl-verify"
        | "secret"
        | "http-proxy-user-pass" => Fate::Inline,
        "dh" if first != Some("none") => Fate::Inline,
        // To `http-proxy` these words are none; to `socks-proxy` each is the name of a file.
        "http-proxy" if args.len() > 2 && matches!(args[2], "auto" | "auto-nct" | "none") => Fate::Keep,
        "http-proxy" | "socks-proxy" if args.len() > 2 => {
            Fate::Refuse(format!("`{name}` names a file with a login (`{}`), which is not supported", args[2]))
        }
        "pull-filter" if !matches!(first, Some("ignore" | "reject")) => Fate::Drop,

        // Where it runs, what it writes, and whom it obeys.
        "daemon"
        | "inetd"
        | "syslog"
        | "log"
        | "log-append"
        | "status"
        | "status-version"
        | "writepid"
        | "verb"
        | "mute"
        | "errors-to-stderr"
        | "machine-readable-output"
        | "suppress-timestamps"
        | "echo"
        | "cd"
        | "chroot"
        | "tmp-dir"
        | "user"
        | "group"
        | "setcon"
        | "nice"
        | "memstats"
        | "replay-persist"
        | "tls-export-cert"
        | "askpass" => Fate::Drop,
        // When it gives up, and when it tries again.
        "auth-retry"
        | "auth-nocache"
        | "connect-retry"
        | "connect-retry-max"
        | "resolv-retry"
        | "ping-exit"
        | "inactive"
        | "session-timeout"
        | "tls-exit"
        | "remap-usr1"
        | "single-session" => Fate::Drop,
        // What it may change on this machine.
        "script-security" | "up-delay" | "up-restart" | "down-pre" | "dns-updown" | "dns" | "dhcp-option"
        | "dhcp-renew" | "dhcp-release" | "register-dns" | "block-outside-dns" | "block-ipv6" | "ifconfig-noexec"
        | "persist-tun" | "redirect-gateway" | "redirect-private" | "route" | "route-ipv6" => Fate::Drop,
        // What programs of the system would find in their environment. These are heard by the server.
        "setenv" if !first.is_some_and(is_told_to_the_server) => Fate::Drop,
        // A gateway is not a route: ours need it when the server does not name one.
        "route-gateway" | "route-ipv6-gateway" => Fate::Keep,
        _ if name.starts_with("route-") || name.starts_with("management") => Fate::Drop,
        _ => Fate::Keep,
    }
}

fn runs_program(name: &str) -> Fate {
    Fate::Refuse(format!("`{name}` would run a program as root on this machine; remove it"))
}

fn does_something_else(name: &str) -> Fate {
    Fate::Refuse(format!("`{name}` would have OpenVPN do something else as root, and bring up no tunnel; remove it"))
}

fn is_told_to_the_server(variable: &str) -> bool {
    let known = ["CLIENT_CERT", "FORWARD_COMPATIBLE", "FRIENDLY_NAME", "GENERIC_CONFIG", "PUSH_PEER_INFO"];
    known.contains(&variable) || variable.starts_with("UV_") || variable.starts_with("IV_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_login() -> Credentials {
        Credentials { username: Some(Secret::new("ci")), password: Some(Secret::new("pw")), key_passphrase: None }
    }

    fn prepared(profile: &str) -> Prepared {
        prepare(&Secret::new(profile), "$VPN_PROFILE", with_login()).expect("a good profile")
    }

    /// The line as it is run, after a line that names the server.
    fn run(line: &str) -> String {
        let text = prepared(&format!("remote vpn.lab\n{line}")).text;
        text.expose().strip_prefix("remote vpn.lab\n").expect("kept").trim_end_matches('\n').to_owned()
    }

    fn refusal(profile: &str) -> String {
        prepare(&Secret::new(profile), "$VPN_PROFILE", Credentials::default()).expect_err("refused").to_string()
    }

    #[test]
    fn a_usual_profile_is_run_as_it_is_and_keeps_its_line_numbers() {
        let profile = "\u{feff}client\r\n# a comment\r\ndev tun\r\nremote vpn.lab 1194 udp\r\nverb 3\r\n\
                       auth-user-pass\r\nnobind\r\n<ca>\r\n-----BEGIN CERTIFICATE-----\r\nup /bin/true\r\n</ca>\r\n";
        let prepared = prepared(profile);
        assert_eq!(
            prepared.text.expose(),
            "client\n# a comment\ndev tun\nremote vpn.lab 1194 udp\n\n\nnobind\n<ca>\n-----BEGIN CERTIFICATE-----\n\
             up /bin/true\n</ca>\n\n"
        );
        assert_eq!(prepared.note().as_deref(), Some("not taken from the VPN profile: `verb` (line 5)"));
        assert_eq!(prepared.server(), "`vpn.lab:1194`");
    }

    #[test]
    fn what_would_take_control_away_is_dropped_however_it_is_written() {
        for line in [
            "daemon",
            "--daemon ovpn",
            "  daemon",
            "\tdaemon\t",
            "\"daemon\"",
            "'daemon' x",
            "setenv opt daemon",
            "--setenv opt daemon",
            "log /var/log/vpn.log",
            "log-append x",
            "management 127.0.0.1 7505",
            "management-hold",
            "user nobody",
            "group nogroup",
            "auth-user-pass /etc/vpn/login",
            "redirect-gateway def1",
            "redirect-private",
            "route 10.0.0.0 255.0.0.0",
            "route-ipv6 ::/0",
            "route-metric 5",
            "route-noexec",
            "dhcp-option DNS 10.0.0.1",
            "status /run/status",
            "writepid /run/pid",
            "cd /etc",
            "chroot /var/empty",
            "syslog",
            "inetd",
            "up-delay",
            "auth-retry interact",
            "connect-retry-max 1",
            "ping-exit 5",
            "inactive 60",
            "tls-exit",
            "remap-usr1 SIGTERM",
            "script-security 1",
            "setenv opt block-outside-dns",
            "setenv opt-in up",
            "setenv LD_PRELOAD /tmp/x.so",
            "pull-filter accept verb",
            "setenv opt pull-filter \"accept\" verb",
        ] {
            assert_eq!(run(line), "", "{line}");
        }
        let note = prepared("remote a\n--setenv opt daemon\nlog x").note();
        assert_eq!(note.as_deref(), Some("not taken from the VPN profile: `daemon` (line 2), `log` (line 3)"));
    }

    #[test]
    fn what_is_the_profiles_own_business_is_kept() {
        for line in [
            "nobind",
            "cipher AES-256-GCM",
            "; up /bin/true",
            "#up /bin/true",
            "setenv UV_SITE up",
            "setenv CLIENT_CERT 0",
            "providers legacy default",
            "route-gateway 10.8.0.1",
            "pull-filter ignore ifconfig-ipv6",
            "pull-filter reject \"route\"",
            "dh none",
            "http-proxy proxy 3128 auto",
            "verify-x509-name \"vpn lab\" name # up",
            "tls-auth [inline] 1",
        ] {
            assert_eq!(run(line), line, "{line}");
        }
    }

    #[test]
    fn what_would_run_a_program_is_refused_however_it_is_written() {
        for line in [
            "up /bin/true",
            "--up /bin/true",
            " \"up\" /bin/true",
            "'up' /bin/true",
            "u\\\\p",
            "setenv opt up /bin/true",
            "down x",
            "ipchange x",
            "route-up x",
            "route-pre-down x",
            "tls-verify x",
            "iproute x",
            "client-connect x",
            "learn-address x",
            "auth-user-pass-verify x via-env",
            "tls-crypt-v2-verify x",
            "plugin x.so",
            "engine x",
            "show-pkcs11-ids x.so 1",
            "providers default x.so",
            "genkey secret /etc/x",
            "mktun",
            "--rmtun",
            "dns-updown x",
            "dev-node unix:x",
            "script-security 2",
            "script-security",
            "<up>\n/bin/true\n</up>",
            "<connection>\nup x\n</connection>",
            "<ca>\n x\n </ca> up\nup /bin/true",
        ] {
            // A backslash inside a name makes another name of it, which OpenVPN does not know.
            if line.starts_with("u\\") {
                assert_eq!(run(line), line);
                continue;
            }
            let error = refusal(&format!("remote a\n{line}"));
            assert!(error.contains("as root") || error.contains("foreign code"), "{line}: {error}");
        }
    }

    #[test]
    fn a_block_begins_where_it_begins_for_openvpn() {
        let dashes = "remote a\n--<ca>\n<key>\n</ca>\nplugin /tmp/x.so\n<extra-certs>\n</key>\n</extra-certs> x";
        assert_eq!(refusal(dashes), "$VPN_PROFILE:2:1: a block begins with `<`, without dashes");
        let marks = "\u{feff}\u{feff}plugin /tmp/x.so\nremote a";
        assert!(refusal(marks).contains("as root"), "{}", refusal(marks));
    }

    #[test]
    fn a_block_ends_where_it_ends_for_openvpn() {
        // Were the first of these an end, the last would be one too, and what stands between would be a key to us alone.
        let hidden = "remote a\n<ca>\n\u{a0}</ca>\n<key>\n</ca>\nup /bin/true\n</key>";
        assert!(refusal(hidden).contains("as root"), "{}", refusal(hidden));
        let kept = "<ca>\n\u{2003}</ca>\n \t</ca>";
        assert_eq!(run(kept), kept);
        let open = "<connection>\nremote a\n\u{3000}</connection>";
        assert_eq!(refusal(open), "$VPN_PROFILE: the block `<connection>` has no end");
    }

    #[test]
    fn refusals_say_where_and_what_to_do() {
        for (profile, error) in [
            (
                "client\n\n  up /bin/true",
                "$VPN_PROFILE:3:3: `up` would run a program as root on this machine; remove it",
            ),
            (
                "client\nca ca.crt",
                "$VPN_PROFILE:2:4: `ca` names a file, which a profile that is kept as a secret cannot bring along; put \
                 the file's content between `<ca>` and `</ca>`",
            ),
            (
                "static-challenge \"Code\" 1",
                "$VPN_PROFILE:1:1: `static-challenge` asks for a one-time code, which nobody can type at night; use an \
                 account without one",
            ),
            (
                "script-security 2",
                "$VPN_PROFILE:1:1: `script-security` above 1 would let OpenVPN run programs as root; remove it",
            ),
            (
                "auth-user-pass",
                "$VPN_PROFILE:1:1: the profile asks for a user name and a password; set `vpn.username` and \
                 `vpn.password` in the config",
            ),
            ("config other.ovpn", "$VPN_PROFILE:1:1: `config` brings in what is not in this profile; put it inline"),
            ("dev \"tun", "$VPN_PROFILE:1:5: a quotation mark has no counterpart"),
            ("remote a\r\nsetenv A \\\r\n", "$VPN_PROFILE:2:10: the line ends with a backslash"),
            (
                "setenv A \\x",
                "$VPN_PROFILE:1:10: a backslash stands only before a backslash, a quotation mark or a space",
            ),
            ("dev tun\n<ca>\nx", "$VPN_PROFILE:2:1: the block `<ca>` has no end"),
            ("<connection>\nremote a", "$VPN_PROFILE: the block `<connection>` has no end"),
            ("<foo>\n</foo>", "$VPN_PROFILE:1:1: the block `<foo>` is not known"),
            (
                "<key>\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n</key>",
                "$VPN_PROFILE:1:1: the private key is encrypted; set `vpn.key_passphrase` in the config",
            ),
            (
                "Y2xpZW50",
                "$VPN_PROFILE: there is no server (`remote`) in this profile; is it base64 that the config does not say \
                 (`encoding: base64`)?",
            ),
            ("re\0mote a", "$VPN_PROFILE:1:3: there is a control character in the line"),
            ("remote a\r\n\"<con\rn>\"\r\n", "$VPN_PROFILE:2:6: there is a control character in the line"),
        ] {
            assert_eq!(refusal(profile), error);
        }
        let long = format!("<ca>\n{}</ca>\nup /bin/true", "x".repeat(255));
        assert_eq!(refusal(&long), "$VPN_PROFILE:2:1: the line is longer than the 254 bytes that OpenVPN reads");
    }

    #[test]
    fn a_login_in_the_profile_itself_goes_over_the_management_interface() {
        let profile = Secret::new("remote a\n<auth-user-pass>\nci\nhunter2\n</auth-user-pass>\nnobind");
        let prepared = prepare(&profile, "p", Credentials::default()).expect("a good profile");
        assert_eq!(prepared.text.expose(), "remote a\n\n\n\n\nnobind\n");
        assert_eq!(prepared.credentials.username, Some(Secret::new("ci")));
        assert_eq!(prepared.credentials.password, Some(Secret::new("hunter2")));
    }

    #[test]
    fn what_openvpn_itself_refuses_is_told_with_its_place_in_the_profile() {
        let profile = prepared("remote a");
        for (refusal, told) in [
            (
                "Unrecognized option or missing or extra parameter(s) in stdin:4: foobar (2.6.14)",
                "$VPN_PROFILE:4:1: the OpenVPN of this machine does not accept it: Unrecognized option or missing or extra \
                 parameter(s): foobar (2.6.14)",
            ),
            (
                "You must define CA file (--ca) or CA path (--capath)",
                "$VPN_PROFILE: the OpenVPN of this machine does not accept it: You must define CA file (--ca) or CA path \
                 (--capath)",
            ),
        ] {
            assert_eq!(profile.refused_by_openvpn(refusal).to_string(), told);
        }
    }

    #[test]
    fn a_login_may_be_asked_for_before_the_block_that_has_it() {
        let block = "<auth-user-pass>\nci\nhunter2\n</auth-user-pass>";
        let profile = Secret::new(format!("auth-user-pass\nremote a\n{block}"));
        let prepared = prepare(&profile, "p", Credentials::default()).expect("a good profile");
        assert_eq!(prepared.credentials.username, Some(Secret::new("ci")));
        assert_eq!(prepared.note(), None);
    }

    #[test]
    fn a_login_for_a_proxy_is_inline_or_refused() {
        let block = "http-proxy p 3128\n<http-proxy-user-pass>\nci\nhunter2\n</http-proxy-user-pass>";
        assert_eq!(run(block), block);
        for line in ["socks-proxy h 1080 auto", "socks-proxy h 1080 none", "http-proxy h 3128 login.txt"] {
            let error = refusal(&format!("remote a\n{line}"));
            assert!(error.contains("names a file with a login"), "{line}: {error}");
        }
        assert_eq!(run("socks-proxy h 1080"), "socks-proxy h 1080");
    }

    #[test]
    fn a_password_of_two_lines_is_refused() {
        let credentials = Credentials { password: Some(Secret::new("a\nsignal SIGHUP")), ..with_login() };
        let error = prepare(&Secret::new("remote a"), "p", credentials).expect_err("refused").to_string();
        assert_eq!(error, "p: `vpn.password` is more than one line of text, which OpenVPN does not take");
    }

    #[test]
    fn servers_are_named_with_their_ports() {
        assert_eq!(prepared("remote a 443 tcp\nremote b\nport 1195").server(), "`a:443` and 1 more");
        assert_eq!(prepared("remote b\nport 1195").server(), "`b:1195`");
        assert_eq!(prepared("<connection>\nremote c 1\nconnect-retry 1\n</connection>").server(), "`c:1`");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_prepared_or_refused(text in "(?s).{0,200}") {
            let _ = prepare(&Secret::new(text), "p", with_login());
        }

        #[test]
        fn what_is_run_has_as_many_lines_as_the_profile(
            lines in proptest::collection::vec("(up|remote|verb|<ca>|</ca>|<key>|log|auth-user-pass|#)?[ a-z]{0,5}", 0..20),
        ) {
            let profile = lines.join("\n");
            if let Ok(prepared) = prepare(&Secret::new(profile.as_str()), "p", with_login()) {
                proptest::prop_assert_eq!(prepared.text.expose().matches('\n').count(), profile.split('\n').count());
            }
        }
    }
}
