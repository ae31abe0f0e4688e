//! What can be wrong with a config, said with file, line, column, the lines around, and the nearest known key.

use std::fmt;
use std::path::{Path, PathBuf};

use super::words::nearest;

/// A config that cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    Unreadable { file: PathBuf, source: std::io::Error },
    Wrong { file: PathBuf, at: Option<Place>, message: String, snippet: String },
}

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl ConfigError {
    pub(super) fn located(error: &serde_yaml::Error, text: &str, file: &Path) -> Self {
        let at = error.location().map(|at| Place { line: at.line(), column: at.column() });
        let message = plain_message(&error.to_string());
        ConfigError::Wrong {
            file: file.to_owned(),
            at,
            message,
            snippet: at.map_or_else(String::new, |at| snippet(text, at)),
        }
    }

    /// An error about a key that was well written and does not fit the others.
    pub(super) fn about(keys: Vec<String>, message: String, text: &str, file: &Path) -> Self {
        let at = find(&keys, text);
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
                write!(f, ": {message}")?;
                if !snippet.is_empty() {
                    write!(f, "\n{snippet}")?;
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

/// The reader's message without its own " at line 3 column 5", and with the nearest known key.
fn plain_message(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let Some((before, expected)) = message.split_once(", expected ") else {
        return message.replace("duplicate field", "duplicate key");
    };
    let Some((path, name)) = before.split_once("unknown field `") else {
        return message.to_owned();
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

/// The line, the one before and the one after, with a mark below the column.
fn snippet(text: &str, at: Place) -> String {
    let mut shown = String::new();
    for (index, line) in text.lines().enumerate() {
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

/// Where a key stands in the text, by the names on the way to it: block style, as configs are written.
fn find(keys: &[String], text: &str) -> Option<Place> {
    let mut wanted = keys.iter();
    let mut key = wanted.next()?;
    let mut found = None;
    let mut indent = 0;
    for (index, line) in text.lines().enumerate() {
        let column = line.len() - line.trim_start().len();
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
