//! What counts: failures that are known, cases that must be there, flakes, and what is slower than usual.
//!
//! Words and values: the config says them, a night carries them, and its summary obeys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use globset::GlobMatcher;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::Date;

use crate::secret::RedactedText;

/// What an operator has decided of the cases of a night.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Gate {
    #[serde(default)]
    pub known_failures: Vec<KnownFailure>,
    /// Whether a known failure that passes is an error.
    #[serde(default)]
    pub strict: bool,
    #[serde(default)]
    pub required: Required,
    #[serde(default)]
    pub flaky: Flaky,
    /// Of suites by their names.
    #[serde(default)]
    pub max_duration: BTreeMap<String, MaxDuration>,
}

/// Cases whose failure is known, and why.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownFailure {
    pub suite: String,
    pub case: Pattern,
    /// With a link, so that whoever reads it can look.
    pub reason: RedactedText,
    /// The last day on which it is known; from the next on it counts again.
    #[serde(with = "day")]
    #[schemars(with = "String")]
    pub until: Date,
}

impl KnownFailure {
    fn is_about(&self, suite: &str, case: &str) -> bool {
        self.suite == suite && self.case.0.is_match(case)
    }

    /// Whether it still holds on a day.
    pub(crate) fn holds(&self, day: Date) -> bool {
        day <= self.until
    }
}

impl Gate {
    /// The same with reasons that are redacted again: the configuration is read before the secrets are.
    pub(crate) fn redacted(&self) -> Gate {
        let mut gate = self.clone();
        for known in &mut gate.known_failures {
            known.reason = known.reason.as_str().into();
        }
        gate
    }

    /// The failure that is known of a case on a day.
    pub(crate) fn known(&self, suite: &str, case: &str, day: Date) -> Option<&KnownFailure> {
        self.known_failures.iter().find(|known| known.is_about(suite, case) && known.holds(day))
    }

    /// The failure that was known of a case, and is no longer on this day.
    pub(crate) fn lapsed(&self, suite: &str, case: &str, day: Date) -> Option<&KnownFailure> {
        self.known_failures.iter().find(|known| known.is_about(suite, case) && !known.holds(day))
    }
}

/// Names of cases: `*` stands for any text, `?` for one character, `[ab]` for one of some, `{one,other}` for one of several.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(GlobMatcher);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let glob = globset::Glob::new(text).map_err(|error| format!("`{text}` is not a pattern: {}", error.kind()))?;
        Ok(Pattern(glob.compile_matcher()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.glob().glob())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        deserializer.deserialize_str(Text { what: "a pattern", parse: str::parse })
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "Names of cases, with `*`, `?`, `[ab]` and `{one,other}`"})
    }
}

/// Reads a text that means something, and says where it stands when it does not.
struct Text<T> {
    what: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

/// What comes of a case that passed in one attempt and not in another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flaky {
    #[default]
    Pass,
    Fail,
}

/// The cases that must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Required {
    #[default]
    None,
    /// Those of the last green night of the same suite.
    Baseline,
    /// Those that are named, by suite.
    Named(BTreeMap<String, BTreeSet<String>>),
}

/// `baseline`, or suites with their cases.
impl<'de> Deserialize<'de> for Required {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Required, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Required;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`baseline`, `none`, or suites with lists of cases")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Required, E> {
                match text {
                    "baseline" => Ok(Required::Baseline),
                    "none" => Ok(Required::None),
                    other => Err(E::custom(format!("`{other}` is not `baseline`, `none` or a list of cases by suite"))),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Required, A::Error> {
                let mut named = BTreeMap::new();
                while let Some((suite, cases)) = access.next_entry::<String, BTreeSet<String>>()? {
                    if named.insert(suite.clone(), cases).is_some() {
                        return Err(A::Error::custom(format!("duplicate field `{suite}`")));
                    }
                }
                Ok(Required::Named(named))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Required {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Required".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let named =
            json_schema!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}});
        json_schema!({"anyOf": [{"enum": ["none", "baseline"]}, named]})
    }
}

impl Serialize for Required {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Required::None => serializer.serialize_str("none"),
            Required::Baseline => serializer.serialize_str("baseline"),
            Required::Named(named) => named.serialize(serializer),
        }
    }
}

/// How long a suite and its cases may take, as a multiple of what was usual in the last nights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaxDuration {
    pub suite: Option<f64>,
    pub case: Option<f64>,
    #[serde(default)]
    pub exceeded: Exceeded,
}

/// What comes of what is slower than usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Exceeded {
    #[default]
    Warn,
    Fail,
}

/// What a case came to in a night, all its attempts taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CameTo {
    Passed,
    /// It passed in one attempt and not in another.
    Flaky,
    /// It failed, as is known.
    Known,
    Failed,
    /// Inconclusive.
    Error,
}

impl CameTo {
    pub(crate) const ALL: [CameTo; 5] = [CameTo::Passed, CameTo::Flaky, CameTo::Known, CameTo::Failed, CameTo::Error];

    /// The word that is kept and shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            CameTo::Passed => "passed",
            CameTo::Flaky => "flaky",
            CameTo::Known => "known",
            CameTo::Failed => "failed",
            CameTo::Error => "error",
        }
    }

    pub(crate) fn named(name: &str) -> Option<CameTo> {
        CameTo::ALL.into_iter().find(|came_to| came_to.name() == name)
    }

    /// Whether it has passed at least once.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, CameTo::Passed | CameTo::Flaky)
    }
}

impl fmt::Display for CameTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Days as they are written: `2026-12-31`.
pub(crate) mod day {
    use serde::{Deserializer, Serializer};
    use time::Date;
    use time::format_description::FormatItem;
    use time::macros::format_description;

    const FORMAT: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]");

    /// Reads `2026-12-31`.
    pub(crate) fn parse(text: &str) -> Result<Date, String> {
        Date::parse(text, FORMAT).map_err(|_| format!("`{text}` is not a day; write it like `2026-12-31`"))
    }

    pub(crate) fn text(date: Date) -> String {
        date.format(FORMAT).expect("the format has only fields of a date")
    }

    pub(crate) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*date))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        deserializer.deserialize_str(super::Text { what: "a day like `2026-12-31`", parse })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn known(case: &str, until: Date) -> KnownFailure {
        KnownFailure {
            suite: "s6a".to_owned(),
            case: case.parse().expect("a pattern"),
            reason: "https://github.com/magma/magma/issues/1".into(),
            until,
        }
    }

    #[test]
    fn a_known_failure_holds_to_the_end_of_its_last_day() {
        let gate = Gate { known_failures: vec![known("attach_*", date!(2026 - 12 - 31))], ..Gate::default() };
        let is_known = |suite, case, day| gate.known(suite, case, day).is_some();
        assert!(is_known("s6a", "attach_1/2", date!(2026 - 12 - 31)));
        assert!(!is_known("s6a", "attach_1", date!(2027 - 01 - 01)));
        assert!(gate.lapsed("s6a", "attach_1", date!(2027 - 01 - 01)).is_some());
        assert!(!is_known("gxgy", "attach_1", date!(2026 - 12 - 31)));
        assert!(!is_known("s6a", "detach", date!(2026 - 12 - 31)));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        assert_eq!(
            "a[".parse::<Pattern>().map(|pattern| pattern.to_string()),
            Err("`a[` is not a pattern: unclosed character class; missing ']'".to_owned())
        );
    }

    #[test]
    fn what_is_required_is_read_as_it_is_written() {
        let named = Required::Named([("s6a".to_owned(), ["attach".to_owned()].into())].into());
        for (text, required) in
            [(r#""baseline""#, Required::Baseline), (r#""none""#, Required::None), (r#"{"s6a":["attach"]}"#, named)]
        {
            assert_eq!(serde_json::from_str::<Required>(text).expect(text), required);
            assert_eq!(serde_json::to_string(&required).expect("plain data"), text);
        }
        assert!(serde_json::from_str::<Required>(r#""all""#).is_err());
    }

    #[test]
    fn every_word_for_what_a_case_came_to_is_read_again() {
        for came_to in CameTo::ALL {
            assert_eq!(CameTo::named(came_to.name()), Some(came_to));
        }
        assert_eq!(CameTo::named("gone"), None);
    }
}
