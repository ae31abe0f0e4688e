//! What can be wrong with a config, said with file, line, column, the lines around, and the nearest known key.

use std::fmt;
use std::path::{Path, PathBuf};

use super::words::nearest;

/// A config that cannot be used.
#[derive(Debug)]
pub(crate) enum ConfigError {
    Unreadable { file: PathBuf, source: std::io::Error },
    Wrong { file: PathBuf, at: Option<Place>, message: String, snippet: String },
}

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
}

impl ConfigError {
    pub(super) fn located(error: &serde_yaml::Error, text: &str, file: &Path) -> Self {
        let message = plain_message(&error.to_string());
        let mut at = error.location().map(|at| Place { line: at.line(), column: at.column() });
        if let (Some(map), Some((_, name))) = (at, message.rsplit_once("duplicate key `")) {
            // The reader tells where the map begins.
            at = second(name.trim_end_matches('`'), text, map).or(at);
        }
        ConfigError::Wrong {
            file: file.to_owned(),
            at,
            message,
            snippet: at.map_or_else(String::new, |at| snippet(text, at)),
        }
    }

    /// An error about a key that was well written and does not fit the others.
    pub(super) fn about(keys: &[String], message: String, text: &str, file: &Path) -> Self {
        let at = find(keys, text);
        ConfigError::Wrong {
            file: file.to_owned(),
            at,
            message,
            snippet: at.map_or_else(String::new, |at| snippet(text, at)),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable { file, .. } => write!(f, "cannot read the config `{}`", file.display()),
            ConfigError::Wrong { file, at, message, snippet } => {
                write!(f, "{}", file.display())?;
                if let Some(at) = at {
                    write!(f, ":{}:{}", at.line, at.column)?;
                }
                write!(f, ": {}", shown(message))?;
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
            ConfigError::Wrong { .. } => None,
        }
    }
}

/// The text with a mark for each character that a terminal would obey, and without the password of an address.
fn shown(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
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
const WORDS: [(&str, &str); 4] = [
    ("duplicate field", "duplicate key"),
    ("missing field", "missing key"),
    ("unknown variant", "unknown word"),
    ("expected a sequence", "expected a list"),
];

/// The reader's message without its own " at line 3 column 5", in an operator's words, and with the nearest known key.
fn plain_message(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if let Some((message, _type)) = message.split_once(", expected struct ") {
        return format!("{message}, expected keys and their values");
    }
    let Some((path, name, expected)) = message
        .split_once(", expected ")
        .and_then(|(before, expected)| before.split_once("unknown field `").map(|(path, name)| (path, name, expected)))
    else {
        return WORDS.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours));
    };
    let name = name.trim_end_matches('`');
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("{path}unknown key `{name}`; did you mean `{near}`?"),
        None => format!("{path}unknown key `{name}`; known are {}", list(&known)),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The lines as the reader counts them: to YAML a lone CR ends one, and so do the separators of Unicode.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(text);
    // A text that is empty has no line, not even an empty one.
    let parts = whole.split("\r\n").filter(|_| !text.is_empty());
    parts.flat_map(|part| part.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']))
}

/// The line, the one before and the one after, with a mark below the column.
fn snippet(text: &str, at: Place) -> String {
    let mut shown = String::new();
    for (index, line) in lines(text).enumerate() {
        let number = index + 1;
        if number + 1 >= at.line && number <= at.line + 1 {
            shown.push_str(&format!("{number:>5} | {}\n", line.trim_end()));
        }
        if number == at.line {
            shown.push_str(&format!("      | {}^\n", " ".repeat(at.column.saturating_sub(1))));
        }
    }
    shown.trim_end().to_owned()
}

/// Where a key stands for the second time in the map that begins at a place.
fn second(key: &str, text: &str, map: Place) -> Option<Place> {
    let rest = || lines(text).enumerate().skip(map.line - 1);
    let is_key = |rest: &str| {
        let rest = rest.trim_start_matches(['"', '\'']).strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    };
    let first = lines(text).nth(map.line - 1)?;
    // A column counts characters.
    let (indent, begin) = first.char_indices().nth(map.column - 1)?;
    if begin == '{' {
        let mut places = rest().flat_map(|(index, line)| {
            let from = if index + 1 == map.line { indent } else { 0 };
            let starts = line.char_indices().filter(move |&(at, char)| at >= from && "{, ".contains(char));
            starts.map(move |(at, _)| (index, line, at + 1))
        });
        let mut places = places.by_ref().filter(|&(_, line, at)| is_key(&line[at..]));
        return places
            .nth(1)
            .map(|(index, line, at)| Place { line: index + 1, column: line[..at].chars().count() + 1 });
    }
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let of_map = rest().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let mut of_map = of_map.take_while(|(_, line)| indent_of(line) >= indent);
    let (index, _) = of_map.by_ref().filter(|(_, line)| indent_of(line) == indent && is_key(&line[indent..])).nth(1)?;
    Some(Place { line: index + 1, column: map.column })
}

/// Where a key stands in the text, by the names on the way to it: block style, as configs are written.
fn find(keys: &[String], text: &str) -> Option<Place> {
    let mut wanted = keys.iter();
    let mut key = wanted.next()?;
    let mut found = None;
    let mut indent = 0;
    for (index, line) in lines(text).enumerate() {
        let column = line.chars().take_while(|char| char.is_whitespace()).count();
        let word = line.trim_start().split(':').next().unwrap_or_default().trim_matches(['"', '\'']);
        if word == key && column >= indent && line.contains(':') {
            found = Some(Place { line: index + 1, column: column + 1 });
            indent = column + 1;
            match wanted.next() {
                Some(next) => key = next,
                None => break,
            }
        }
    }
    found
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
             3 |   dedline: 1h\n      |   ^\n    4 | ssh: {}"
        );
    }
}
