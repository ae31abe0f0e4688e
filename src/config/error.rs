//! What can be wrong with a config, said with file, line, column, the lines around, and the nearest known key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::bounds::Excess;
use super::place::{KeyPath, Place, begin_of, lines, second};
use super::quoted::Quoted;
use super::words::nearest;
use crate::error::hinted;
use crate::limit::shortened;

/// A config that cannot be used.
#[derive(Debug)]
pub(crate) enum ConfigError {
    Unreadable { file: PathBuf, source: io::Error },
    Empty { file: PathBuf },
    Wrong { file: PathBuf, at: Option<Place>, message: String, snippet: String, hint: Option<&'static str> },
}

const NO_YAML: &str =
    "is every line indented by blanks like those that it belongs to, and does every quote and every bracket end?";
const OTHER_FILE: &str = "is it the right file? `--config FILE` names another";
const PLAIN_SECRET: &str = "put it into a variable or a file of its own; if this file was committed, change it";

impl ConfigError {
    /// What the reader says of a text that it cannot take.
    pub(super) fn located(error: &serde_yaml::Error, text: &str, file: &Path) -> Self {
        if lines(text).all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return ConfigError::Empty { file: file.to_owned() };
        }
        // Invalid YAML is reported first: what it seems to contain may not be what was meant.
        if let Err(error) = serde_yaml::from_str::<IgnoredAny>(text) {
            return ConfigError::no_yaml(&error.to_string(), place_of(&error), text, file);
        }
        let message = plain_message(&error.to_string());
        let mut at = place_of(error);
        if let (Some(map), Some((_, name))) = (at, message.rsplit_once("duplicate key `")) {
            // The reader tells where the map begins.
            at = second(name.trim_end_matches('`'), text, map).or(at);
        }
        let hint = message.contains("a secret does not stand here").then_some(PLAIN_SECRET);
        ConfigError::wrong(at, message, hint, text, file)
    }

    fn no_yaml(said: &str, at: Option<Place>, text: &str, file: &Path) -> Self {
        let (problem, context) = said.split_once(", ").unwrap_or((said, ""));
        let problem = problem.split_once(" at line ").map_or(problem, |(problem, _)| problem);
        if problem.contains("more than one document") {
            let again = lines(text).enumerate().filter(|(_, line)| line.trim_end() == "---").last();
            let at = again.map(|(index, _)| Place { line: index + 1, column: 1 });
            return ConfigError::wrong(
                at,
                "a second document begins here".to_owned(),
                Some("remove the `---`"),
                text,
                file,
            );
        }
        // Where a quote has no end, the reader is at the end of the text; a person has to look where it begins.
        let begin = context.strip_prefix("while scanning a quoted scalar at ").and_then(begin_of);
        let is_tab = at.and_then(|at| lines(text).nth(at.line - 1)?.chars().nth(at.column - 1)) == Some('\t');
        let (at, message) = match begin {
            Some(begin) if problem.contains("unexpected end of stream") => {
                (Some(begin), "the quote that begins here has no end".to_owned())
            }
            _ if is_tab => (at, "a tab stands where YAML takes blanks alone".to_owned()),
            _ => (at, format!("this is not valid YAML: {problem}")),
        };
        ConfigError::wrong(at, message, Some(NO_YAML), text, file)
    }

    /// An error about a value that was well written and does not fit the others.
    pub(super) fn about(keys: &KeyPath, problem: &str, text: &str, file: &Path) -> Self {
        ConfigError::wrong(keys.place(text), format!("{keys}: {problem}"), None, text, file)
    }

    /// A text that goes beyond a limit.
    pub(super) fn excessive(excess: Excess, text: &str, file: &Path) -> Self {
        ConfigError::wrong(excess.at, excess.problem, Some(OTHER_FILE), text, file)
    }

    /// What is wrong, without the file and the place: for a text that nobody has.
    pub(crate) fn message(&self) -> String {
        match self {
            ConfigError::Wrong { message, .. } => shown(&shortened(&message.into(), LONGEST_MESSAGE)),
            other => other.to_string(),
        }
    }

    /// A file that is no text.
    pub(super) fn no_text(bytes: &[u8], error: std::str::Utf8Error, file: &Path) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]) + "?";
        let column = lines(&before).last().map_or(1, |line| line.chars().count());
        let at = Place { line: lines(&before).count(), column };
        ConfigError::wrong(Some(at), "this is not UTF-8".to_owned(), Some("save the file as UTF-8"), &text, file)
    }

    fn wrong(at: Option<Place>, message: String, hint: Option<&'static str>, text: &str, file: &Path) -> Self {
        let snippet = at.map_or_else(String::new, |at| snippet(text, at));
        ConfigError::Wrong { file: file.to_owned(), at, message, snippet, hint }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            ConfigError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("`teravm-ci config init` writes one; `--config FILE` names another")
            }
            ConfigError::Unreadable { .. } => Some("`--config FILE` names another"),
            ConfigError::Empty { .. } => Some("README, \"Configuration\", has the shortest there is"),
            ConfigError::Wrong { hint, .. } => *hint,
        }
    }

    /// The same on its way up, with what to try next.
    pub(super) fn hinted(self) -> anyhow::Error {
        match self.hint() {
            Some(hint) => hinted(self, hint),
            None => self.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable { file, .. } => write!(f, "cannot read the config `{}`", file.display()),
            ConfigError::Empty { file } => write!(f, "there is nothing in the config `{}`", file.display()),
            ConfigError::Wrong { file, at, message, snippet, .. } => {
                write!(f, "{}", file.display())?;
                if let Some(at) = at {
                    write!(f, ":{}:{}", at.line, at.column)?;
                }
                write!(f, ": {}", shown(&shortened(&message.into(), LONGEST_MESSAGE)))?;
                if !snippet.is_empty() {
                    write!(f, "\n{}", shown(snippet))?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::Unreadable { source, .. } => Some(source),
            ConfigError::Empty { .. } | ConfigError::Wrong { .. } => None,
        }
    }
}

fn place_of(error: &serde_yaml::Error) -> Option<Place> {
    error.location().map(|at| Place { line: at.line(), column: at.column() })
}

/// The text with a mark for each character that a terminal would obey, and without the password of an address.
fn shown(text: &str) -> String {
    const PARAMETER: &str = "password=";
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        if let Some(begin) = word.find(PARAMETER).filter(|_| word.contains("://")).map(|at| at + PARAMETER.len()) {
            let is_end = |char: char| char.is_whitespace() || matches!(char, '&' | '"' | '\'' | ',' | '}');
            let end = word[begin..].find(is_end).map_or(word.len(), |length| begin + length);
            return format!("{}***{}", &word[..begin], &word[end..]);
        }
        let begin = word.find("://").map(|at| at + 3);
        let login = begin.and_then(|begin| Some((begin, begin + word[begin..].rfind('@')?)));
        match login.and_then(|(begin, end)| Some((begin + word[begin..end].find(':')? + 1, end))) {
            Some((begin, end)) => format!("{}***{}", &word[..begin], &word[end..]),
            None => word.to_owned(),
        }
    });
    words.collect::<String>().replace(|char: char| char.is_control() && !matches!(char, '\n' | '\t'), "\u{fffd}")
}

/// What the reader says in the words of a programmer, and what an operator writes.
const WORDS: [(&str, &str); 3] =
    [("duplicate field", "duplicate key"), ("missing field", "missing key"), ("unknown variant", "unknown word")];

/// The same for what it expected.
const EXPECTED: [(&str, &str); 9] = [
    ("a sequence", "a list"),
    ("a string", "a text"),
    ("path string", "a path"),
    ("a boolean", "`true` or `false`"),
    ("i32", "a whole number"),
    ("u32", "a whole number from 0 on"),
    ("u64", "a whole number from 0 on"),
    ("f64", "a number"),
    ("a map of names", "names, each with its keys"),
];

/// What others call what has another name here: OpenVPN's file of two lines is two secrets.
const OTHERS: &[(&[&str], [&str; 2])] =
    &[(&["auth", "auth-user-pass", "auth_user_pass", "credentials", "login"], ["username", "password"])];

/// Longer texts are not repeated: they say nothing new, and may be anything.
const LONGEST_QUOTE: usize = 40;

/// The reader's message without its own " at line 3 column 5", in an operator's words, and with the nearest known key.
fn plain_message(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let of_type = message.split_once("invalid type: ").or_else(|| message.split_once("invalid value: "));
    if let Some((path, (found, expected))) =
        of_type.and_then(|(path, rest)| Some((path, rest.rsplit_once(", expected ")?)))
    {
        return format!("{path}{}", other_type(found, expected));
    }
    let Some((path, name, expected)) = message
        .split_once(", expected ")
        .and_then(|(before, expected)| before.split_once("unknown field `").map(|(path, name)| (path, name, expected)))
    else {
        return WORDS.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours));
    };
    let name = name.trim_end_matches('`');
    // No known key has one of these: behind it may stand a value, and that may be a secret.
    let name = name.split([':', '=', ' ', '\t']).next().unwrap_or_default();
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    if let Some((_, ours)) = OTHERS.iter().find(|(theirs, ours)| theirs.contains(&name) && known.contains(&ours[0])) {
        return format!(
            "{path}unknown key `{name}`; did you mean {}?",
            ours.map(|key| format!("`{key}`")).join(" and ")
        );
    }
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("{path}unknown key `{name}`; did you mean `{near}`?"),
        // Where a reference belongs, it may be the secret itself.
        None if known.contains(&"encoding") => format!("{path}unknown key; known are {}", list(&known)),
        None => format!("{path}unknown key `{name}`; known are {}", list(&known)),
    }
}

fn other_type(found: &str, expected: &str) -> String {
    // Whatever stands there may be the secret.
    if expected.contains("{env: NAME}") {
        return format!("a secret does not stand here, but where it is: {expected}");
    }
    let expected = match EXPECTED.iter().find(|(theirs, _)| *theirs == expected) {
        Some((_, ours)) => ours,
        None if expected.starts_with("struct ") => "keys and their values",
        None => expected,
    };
    // Where keys belong, a text may be a key and its secret.
    let is_map = expected == "keys and their values" || expected == "names, each with its keys";
    let text = found.strip_prefix("string \"").map(|text| text.trim_end_matches('"'));
    let number = found.strip_prefix("integer ").or_else(|| found.strip_prefix("floating point "));
    let found = match (text, number, found) {
        (Some(_), ..) if is_map => "a text".to_owned(),
        (Some(text), ..) if text.len() > LONGEST_QUOTE || text.contains("\\n") => "a long text".to_owned(),
        (Some(text), ..) => format!("the text `{text}`"),
        (_, Some(number), _) => format!("the number {number}"),
        (.., "unit value") => "nothing".to_owned(),
        (.., "sequence") => "a list".to_owned(),
        (.., "map") => "keys and their values".to_owned(),
        (.., found) => found.strip_prefix("boolean ").unwrap_or(found).to_owned(),
    };
    format!("expected {expected}, found {found}")
}

/// So many bytes of a message are shown: a name in it may be as long as the file.
const LONGEST_MESSAGE: usize = 1_000;

/// So much of a line is shown.
const LONGEST_LINE: usize = 160;

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The line, the one before and the one after, without what may be a secret, with a mark below the column.
fn snippet(text: &str, at: Place) -> String {
    let mut shown = String::new();
    let mut quoted = Quoted::new();
    // Of a line that no screen has room for, what stands around the column.
    let column = at.column.saturating_sub(1);
    let before = column.saturating_sub(LONGEST_LINE / 2);
    for (index, line) in lines(text).enumerate() {
        let number = index + 1;
        let line = quoted.line(line);
        if number + 1 >= at.line && number <= at.line + 1 {
            let part: String = line.trim_end().chars().skip(before).take(LONGEST_LINE).collect();
            shown.push_str(&format!("{number:>5} | {part}\n"));
        }
        if number == at.line {
            shown.push_str(&format!("      | {}^\n", " ".repeat(column - before)));
        }
    }
    shown.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_a_config_holds_does_nothing_to_the_terminal_that_shows_it() {
        let error = Config::parse("\"\\e[31mrun\": {} # \u{85}\n", Path::new("lab.yaml")).expect_err("refused");
        let told = error.to_string();
        assert!(told.starts_with("lab.yaml:1:1: unknown key `\u{fffd}[31mrun`"), "{told}");
        assert!(!told.contains(['\u{1b}', '\u{85}']), "{told}");
    }

    #[test]
    fn the_password_of_an_address_is_not_shown() {
        assert_eq!(shown("url: postgres://me:se/c@ret@db/x # a: b@c"), "url: postgres://me:***@db/x # a: b@c");
        assert_eq!(shown("url: postgres://me@db:5432/x"), "url: postgres://me@db:5432/x");
        assert_eq!(
            shown("{url: \"postgres://me@db/x?password=secret&sslmode=require\", a: b}"),
            "{url: \"postgres://me@db/x?password=***&sslmode=require\", a: b}"
        );
    }

    #[test]
    fn what_other_programs_call_otherwise_is_named() {
        for key in ["auth", "auth-user-pass"] {
            let error = Config::parse(&format!("vpn: {{{key}: {{file: login}}}}\n"), Path::new("lab.yaml"));
            let error = error.expect_err("refused").to_string();
            let message = format!("lab.yaml:1:7: vpn: unknown key `{key}`; did you mean `username` and `password`?\n");
            assert!(error.starts_with(&message), "{error}");
        }
    }

    #[test]
    fn a_column_counts_characters_and_not_their_bytes() {
        let setups = "setups: {größe: {agw: a, ng40: n}, s: {agw: a, ng40: n}, s: {}}";
        let text = format!("vpn: {{kind: none}}\nssh: {{known_hosts: k}}\nsuites: {{}}\n{setups}\n");
        let error = Config::parse(&text, Path::new("lab.yaml")).expect_err("refused").to_string();
        assert!(error.starts_with("lab.yaml:4:58: setups: duplicate key `s`\n"), "{error}");
    }

    #[test]
    fn the_line_that_is_shown_is_the_one_that_yaml_means() {
        let text = "run:\r  deadline: 1h\u{2028}  dedline: 1h\r\nssh: {}\r\n";
        let error = Config::parse(text, Path::new("lab.yaml")).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "lab.yaml:3:3: run: unknown key `dedline`; did you mean `deadline`?\n    2 |   deadline: 1h\n    \
             3 |   dedline: ***\n      |   ^\n    4 | ssh: {}"
        );
    }
}
