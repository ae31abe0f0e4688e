//! Which parts of a config's lines an error may quote.
//!
//! Somebody may have written a secret itself where a reference belongs, or below a key that no config has. So of a line
//! only the keys are shown, and the values of keys whose values are never secret. What cannot be told is hidden.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::Config;
use super::words::nearest;
use crate::secret::MASK;

/// The keys of a config, as far as it matters for what is shown.
struct Keys {
    /// Those whose values are shown: texts, numbers and lists that are no secret in any section.
    open: BTreeSet<String>,
    /// Those of references to secrets.
    secret: BTreeSet<String>,
}

/// What a reference to a secret consists of.
const REFERENCE: [&str; 3] = ["env", "file", "encoding"];

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let schema = Config::schema().to_value();
    let mut keys = Keys { open: BTreeSet::new(), secret: BTreeSet::new() };
    let of_root = schema.get("properties").and_then(Value::as_object);
    let definitions = schema.get("definitions").and_then(Value::as_object);
    let of_sections =
        definitions.into_iter().flatten().filter_map(|(_, section)| section.get("properties")?.as_object());
    for (name, value) in of_root.into_iter().chain(of_sections).flatten() {
        if refers(value, "#/definitions/Secret") {
            keys.secret.insert(name.clone());
        } else if is_open(value, &schema) {
            keys.open.insert(name.clone());
        }
    }
    keys.open = keys.open.difference(&keys.secret).cloned().collect();
    keys
});

/// The parts of a schema of which one or all have to fit.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

fn refers(schema: &Value, definition: &str) -> bool {
    schema.get("$ref").and_then(Value::as_str) == Some(definition) || parts(schema).any(|part| refers(part, definition))
}

/// Whether the value can be anything but keys and their values.
fn is_open(schema: &Value, root: &Value) -> bool {
    let is_other = |kind: &Value| !matches!(kind.as_str(), Some("object" | "null"));
    match (schema.get("$ref").and_then(Value::as_str), schema.get("type")) {
        (Some(definition), _) => {
            definition.strip_prefix('#').and_then(|way| root.pointer(way)).is_some_and(|part| is_open(part, root))
        }
        (None, Some(Value::Array(kinds))) => kinds.iter().any(is_other),
        (None, Some(kind)) => is_other(kind),
        (None, None) => schema.get("enum").is_some() || parts(schema).any(|part| is_open(part, root)),
    }
}

/// What may be shown below a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Its value.
    Value,
    /// The keys that follow, and what they allow.
    Keys,
    /// The same, but of keys only those of a reference.
    Reference,
}

impl Below {
    fn key(name: &str) -> Below {
        if KEYS.open.contains(name) {
            Below::Value
        } else if nearest(name, KEYS.secret.iter().map(String::as_str)).is_some() {
            Below::Reference
        } else {
            Below::Keys
        }
    }
}

/// Takes out of the lines of a config, one after the other, what may be a secret.
#[derive(Debug)]
pub(super) struct Quoted {
    /// What may be shown of a line without a key: it belongs to the last one.
    last: Below,
    /// How far a key is indented whose value is hidden: the lines that are indented more go on with it.
    hidden: Option<usize>,
    /// How far the key of a secret is indented, as long as the lines are below it.
    secret: Option<usize>,
    is_in_pem: bool,
}

impl Quoted {
    pub(super) fn new() -> Self {
        Quoted { last: Below::Keys, hidden: None, secret: None, is_in_pem: false }
    }

    /// The line without what may be a secret.
    pub(super) fn line(&mut self, line: &str) -> String {
        let content = line.trim_start();
        let margin = &line[..line.len() - content.len()];
        // To the eye, a tab is far.
        let indent: usize = margin.chars().map(|char| if char == '\t' { 8 } else { 1 }).sum();
        let was_in_pem = std::mem::replace(&mut self.is_in_pem, content.contains("-----BEGIN"));
        if was_in_pem && !content.starts_with("-----END") {
            self.is_in_pem = true;
            return format!("{margin}{MASK}");
        }
        if content.is_empty() {
            return line.to_owned();
        }
        self.hidden = self.hidden.filter(|key| indent > *key);
        self.secret = self.secret.filter(|key| indent > *key);
        if self.hidden.is_some() {
            return format!("{margin}{MASK}");
        }
        let mut is_in_secret = self.secret.is_some();
        let mut before = if is_in_secret { Below::Reference } else { self.last };
        // A comment belongs to no key.
        if content.starts_with('#') {
            before = Below::Keys;
        }
        let mut begin = 0;
        for key in keys(line) {
            if let Some(hidden) = hidden(&line[begin..key.begin], before) {
                return self.cut(line, begin + hidden, indent);
            }
            is_in_secret &= !line[begin..key.begin].contains('}');
            let name = line[key.begin..key.end].trim_matches(['"', '\'']);
            // Of a name no more than a key can be: `password=...` has no value.
            if let Some(at) = line[key.begin..key.end].find(['=', ' ', '\t']) {
                return self.cut(line, key.begin + at + 1, indent);
            }
            let is_known = REFERENCE.contains(&name);
            if is_in_secret && !is_known && nearest(name, REFERENCE.into_iter()).is_none() {
                return self.cut(line, key.begin, indent);
            }
            before = if is_in_secret && !is_known { Below::Keys } else { Below::key(name) };
            if before == Below::Reference {
                is_in_secret = true;
                self.secret = Some(indent);
            }
            begin = key.value;
            if !line[..key.begin].trim_start().starts_with('#') {
                // What is whole on its line does not go on in the next.
                let value = line[begin..].trim();
                let goes_on = value.is_empty() || value.starts_with(['|', '>']) || is_open_list(value);
                self.last = if goes_on { before } else { Below::Keys };
            }
        }
        match hidden(&line[begin..], before) {
            Some(hidden) => self.cut(line, begin + hidden, indent),
            None => line.to_owned(),
        }
    }

    /// The line up to a place. Its value may go on in the lines that follow.
    fn cut(&mut self, line: &str, end: usize, indent: usize) -> String {
        let is_of_key = line[..end].trim_end().ends_with(':') && !line.trim_start().starts_with('#');
        self.hidden = is_of_key.then_some(indent);
        format!("{}{MASK}", &line[..end])
    }
}

/// Where in a text that stands below a key begins what is not shown.
fn hidden(text: &str, below: Below) -> Option<usize> {
    let is_mark = |char: char| char.is_whitespace() || "{}[],-?#\"'".contains(char);
    let comment = text.match_indices('#').map(|(at, _)| at).find(|&at| text[..at].ends_with([' ', '\t']));
    let value = &text[..comment.unwrap_or(text.len())];
    let of_value = match below {
        Below::Value => {
            let end = end_of_value(value);
            value[end..].find(|char| !is_mark(char)).map(|at| end + at)
        }
        Below::Keys | Below::Reference => value.find(|char| !is_mark(char)),
    };
    let of_comment = comment.and_then(|at| Some(at + text[at..].find(|char| !is_mark(char))?));
    of_value.or(of_comment)
}

/// Where the value ends that a text begins with: behind it may stand a key that is not known as one.
fn end_of_value(text: &str) -> usize {
    let value = text.trim_start();
    let from = text.len() - value.len();
    let end = match value.chars().next() {
        // An item of a list, on a line of its own.
        Some('-') => None,
        Some('[') => value.find(']'),
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|at| at + 1),
        _ => value.find(','),
    };
    end.map_or(text.len(), |at| from + at)
}

fn is_open_list(value: &str) -> bool {
    value.starts_with('[') && !value.contains(']')
}

/// A key in a line, as byte offsets.
struct KeyAt {
    begin: usize,
    end: usize,
    /// Where its value begins.
    value: usize,
}

/// The keys of a line, whatever stands around them: too many rather than too few.
fn keys(line: &str) -> impl Iterator<Item = KeyAt> {
    let mut from = 0;
    line.match_indices(':').filter_map(move |(at, _)| {
        let after = &line[at + 1..];
        let begin = line[from..at].rfind(['{', '[', ',', '#']).map_or(from, |mark| from + mark + 1);
        let name = line[begin..at].trim_start_matches(|char: char| char.is_whitespace() || matches!(char, '-' | '?'));
        // Somebody may have left out the blank behind it.
        let is_end = line[..at].ends_with(['"', '\''])
            || after.chars().next().is_none_or(|char| char.is_whitespace() || char == ',')
            || !after.starts_with("//") && nearest(name, KEYS.secret.iter().map(String::as_str)).is_some();
        if !is_end {
            return None;
        }
        let value = line.len() - after.trim_start().len();
        from = value.max(at + 1);
        Some(KeyAt { begin: at - name.len(), end: at - name.len() + name.trim_end().len(), value: from })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut lines = Quoted::new();
        text.lines().map(|line| lines.line(line)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_keys_whose_values_are_shown_are_those_of_the_config_that_hold_no_secret() {
        let secret: Vec<&str> = KEYS.secret.iter().map(String::as_str).collect();
        assert_eq!(secret, ["key", "key_passphrase", "password", "profile", "username"]);
        for open in
            ["kind", "known_hosts", "url", "routes", "list", "env", "file", "agw", "suites", "flaky", "required"]
        {
            assert!(KEYS.open.contains(open), "{open}");
        }
        for closed in ["vpn", "ssh", "history", "run", "idle", "gate", "max_duration", "pass", "value"] {
            assert!(!KEYS.open.contains(closed), "{closed}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_hidden_however_it_is_written_and_its_neighbours_are_not() {
        let text = "vpn:\n  password:\n    hunter2\n  \"username\" : me\n  profile: {env: A,\n    encoding: base64}\n  \
                    key_passphrase:\n    env: KEY\n  kind: none\nssh: {key: \"abc\", known_hosts: x}\nrun:\n\tkey: x\n  monkey: y\n\
                    vpn: {username: {env: U}, password: hunter2}";
        assert_eq!(
            quoted(text),
            "vpn:\n  password:\n    ***\n  \"username\" : ***\n  profile: {env: A,\n    encoding: base64}\n  \
             key_passphrase:\n    env: KEY\n  kind: none\nssh: {key: \"***\nrun:\n\tkey: ***\n  monkey: ***\n\
             vpn: {username: {env: U}, password: ***"
        );
    }

    #[test]
    fn no_secret_below_a_key_that_is_mistyped_or_unknown_is_shown() {
        const SECRET: &str = "hunter2secret";
        for text in [
            "vpn: {kind: openvpn, passwrod: hunter2secret}",
            "vpn: {kind: openvpn, pass: hunter2secret, outage: 1m}",
            "vpn: {password: {value: hunter2secret}}",
            "vpn: {password: {hunter2secret}}",
            "vpn: {password: {hunter2secret: }}",
            "vpn: {password: [hunter2secret]}",
            "vpn: {password: {env: A}, token: 'hunter2secret'}",
            "vpn: {password: {user: hunter2secret}}",
            "{\"vpn\":{\"kind\":\"openvpn\",\"passwrod\":\"hunter2secret\"}}",
            "vpn: {kind: openvpn, passwrod:hunter2secret}",
            "vpn: {kind: openvpn, passwrod=hunter2secret}",
            "vpn: {kind: \"openvpn\", passwrod hunter2secret}",
            "vpn: {routes: [10.0.0.0/8], passwrod hunter2secret}",
            "vpn: {kind: openvpn,\n  passwrod hunter2secret}",
            "vpn:\n  kind: openvpn\n  passwrod:hunter2secret",
            "vpn:\n  kind: openvpn\n  passwrod=hunter2secret",
            "vpn:\n  password:hunter2secret\n  kind: openvpn",
            "vpn:\n  \"passwrod=hunter2secret\": {}",
            "vpn:\n  password hunter2secret: {}",
            "vpn: hunter2secret",
            "vpn:\n  kind: openvpn\n  passwrod: hunter2secret\n  outage: 1m",
            "vpn:\n  passwrod: \"a\n    hunter2secret\"\n  outage: 1m",
            "vpn:\n  passwrod: |\n    user: hunter2secret",
            "vpn:\n  passwrod:\n    hunter2secret",
            "vpn:\n  passwrod:\n    user: hunter2secret",
            "vpn:\n  password:\n    value: hunter2secret",
            "vpn:\n  password:\n    - hunter2secret",
            "vpn:\n  password:\n  - hunter2secret",
            "vpn:\n  password hunter2secret",
            "vpn:\n  my password: hunter2secret",
            "vpn:\n  ? password\n  : hunter2secret",
            "vpn:\n  password: {env: A} # hunter2secret",
            "vpn:\n  # the password is hunter2secret\n  kind: none",
            "  # pass: hunter2secret",
            "passwrod: hunter2secret",
            "history:\n  url: sqlite:x\n  passwort: hunter2secret",
            "hunter2secret",
            "- hunter2secret",
            "vpn: {password: &a hunter2secret}",
            "a: -----BEGIN X-----\nhunter2secret\n-----END X-----",
        ] {
            assert!(!quoted(text).contains(SECRET), "{text}\n\n{}", quoted(text));
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_shown() {
        for text in [
            "vpn:\n  kind: openvpn\n  profile: {env: A, encoding: base64}\n  routes:\n    - 10.0.0.0/8\n  outage: 1m",
            "setups:\n  lab:\n    agw: 127.0.0.1:1\n    feg: [127.0.0.2:1, \"a b\"]\n    suites: [attach]",
            "gate: {flaky: pass, suites: [attach, x]}\n#deadline: 2h45m\n---\n",
            "vpn:\n  routes: [10.0.0.0/8,\n    10.0.0.1/8]\nagw:\n  checkin: |\n    docker ps\n    true",
            "    - {suite: attch, case: x, reason: y, until: 2026-12-31}",
        ] {
            assert_eq!(quoted(text), text.trim_end_matches('\n'));
        }
    }
}
