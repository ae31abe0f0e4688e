//! What NG40 says of a case or of a list. Does not know who asked, nor what a report makes of it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One verdict, in NG40's own words.
///
/// The tester has been seen to say pass and fail. Whatever else it says is kept as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Pass,
    Fail,
    /// A word that we do not know; it is no pass.
    Other(String),
    /// Nothing was said. Silence is not success.
    #[default]
    None,
}

impl Verdict {
    /// Returns what the word behind `VERDICT_` means.
    #[must_use]
    pub(crate) fn parse(token: &str) -> Self {
        match token {
            "PASS" => Self::Pass,
            "FAIL" => Self::Fail,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the word behind `VERDICT_`, if there was one.
    #[must_use]
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Self::Pass => Some("PASS"),
            Self::Fail => Some("FAIL"),
            Self::Other(token) => Some(token),
            Self::None => None,
        }
    }

    #[must_use]
    pub(crate) fn is_pass(&self) -> bool {
        *self == Self::Pass
    }

    /// Returns the worse of two verdicts of one thing; of two that are equally bad, the first.
    ///
    /// From good to bad: pass, none, an unknown word, fail. A fail is the worst because it is the only one that says
    /// something about the product, and no later word may take that back. None is worse than a pass: a case that was
    /// given up without a verdict is not saved by a pass that comes too late.
    #[must_use]
    pub(crate) fn worse(self, other: Self) -> Self {
        if other.badness() > self.badness() { other } else { self }
    }

    fn badness(&self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::None => 1,
            Self::Other(_) => 2,
            Self::Fail => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.token().unwrap_or("no verdict"))
    }
}

/// A verdict is written as its word, and as null if there is none.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.token().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = Option::<String>::deserialize(deserializer)?;
        Ok(token.map_or(Self::None, |token| Self::parse(&token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(token: &str) -> Verdict {
        Verdict::Other(token.to_owned())
    }

    #[test]
    fn only_the_exact_words_pass_and_fail_are_known() {
        assert_eq!(Verdict::parse("PASS"), Verdict::Pass);
        assert_eq!(Verdict::parse("FAIL"), Verdict::Fail);
        for word in ["pass", "PASSED", "PASS_", "INCONC", "0"] {
            assert_eq!(Verdict::parse(word), other(word));
        }
    }

    #[test]
    fn a_failure_stands_whatever_is_said_before_or_after_it() {
        for verdict in [Verdict::Pass, Verdict::Fail, other("INCONC"), Verdict::None] {
            assert_eq!(Verdict::Fail.worse(verdict.clone()), Verdict::Fail);
            assert_eq!(verdict.worse(Verdict::Fail), Verdict::Fail);
        }
    }

    #[test]
    fn a_pass_stands_only_beside_a_pass() {
        assert_eq!(Verdict::Pass.worse(Verdict::Pass), Verdict::Pass);
        assert_eq!(Verdict::Pass.worse(Verdict::None), Verdict::None);
        assert_eq!(Verdict::None.worse(Verdict::Pass), Verdict::None);
        assert_eq!(other("INCONC").worse(Verdict::Pass), other("INCONC"));
        assert_eq!(other("A").worse(other("B")), other("A"));
    }

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        for (verdict, json) in [
            (Verdict::Pass, r#""PASS""#),
            (Verdict::Fail, r#""FAIL""#),
            (other("INCONC"), r#""INCONC""#),
            (Verdict::None, "null"),
        ] {
            assert_eq!(serde_json::to_string(&verdict).unwrap(), json);
            assert_eq!(serde_json::from_str::<Verdict>(json).unwrap(), verdict);
        }
    }
}
