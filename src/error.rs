//! What keeps a night from being run: an error on its way up to `main`, with what to try next beside it.
//!
//! Knows no room; each says what it has to say.

use std::error::Error;
use std::fmt;

/// An error and what to try next. Its text and its causes are those of the error.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Adds what to try next, as `context` adds what was tried.
pub(crate) trait Hint<T> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| hinted(error, hint))
    }
}

/// An error on its way up, with what to try next.
pub(crate) fn hinted(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted { error: error.into(), hint: hint.into() })
}

/// What an error says and its causes say, outermost first. Libraries have the cause in their own text as well; it is told once.
pub(crate) fn told(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let text = error.to_string();
        if !told.last().is_some_and(|above| above.ends_with(&text)) {
            told.push(text);
        }
    }
    told
}

/// An error for people: what, below it why, below that what to try next.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let mut told = told(error.as_ref()).into_iter();
    let mut text = told.next().unwrap_or_default();
    for cause in told {
        text.push_str(&format!("\n  because: {}", cause.replace('\n', "\n           ")));
    }
    // The nearest to the cause first.
    let hints: Vec<&str> =
        error.chain().filter_map(|error| Some(error.downcast_ref::<Hinted>()?.hint.as_str())).collect();
    for hint in hints.iter().rev() {
        text.push_str(&format!("\n  try: {hint}"));
    }
    text
}

/// One value of each kind of an enum, for a test of what each says: where a kind has none, the test does not compile.
#[cfg(test)]
macro_rules! one_of_each {
    ($($kind:pat => $value:expr),+ $(,)?) => {{
        let of_each = [$($value),+];
        for one in &of_each {
            match one {
                $($kind => {})+
            }
        }
        $(assert!(of_each.iter().any(|one| matches!(one, $kind)), "no {}", stringify!($kind));)+
        of_each
    }};
}
#[cfg(test)]
pub(crate) use one_of_each;

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn message_causes_and_hint_are_said_once_each_whatever_was_put_around_them() {
        let error = Err::<(), _>(anyhow!("no such file")).context("cannot read `a`").hint("make it");
        let error = error.context("the setup `lab` cannot be used").expect_err("it is one");
        assert_eq!(
            text(&error),
            "the setup `lab` cannot be used\n  because: cannot read `a`\n  because: no such file\n  try: make it"
        );
    }

    #[test]
    fn what_an_error_says_of_its_cause_is_not_said_again() {
        let refused = sqlx::Error::Io(std::io::Error::other("connection refused"));
        let error = anyhow::Error::new(refused).context("cannot open `a`");
        assert_eq!(text(&error), "cannot open `a`\n  because: error communicating with database: connection refused");
    }
}
