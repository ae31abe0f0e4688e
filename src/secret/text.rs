//! Text from outside that is shown and never decides: without secrets from the moment it enters.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use super::Redactor;

/// A text in which every secret that this process had read is masked. It is made from any text, read from any record, and
/// has no way in that does not redact.
///
/// What the program decides with (names, patterns, versions) is not of this type, because redaction changes it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct RedactedText(String);

impl RedactedText {
    /// Changes the text, and redacts what came of it.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut String)) {
        let mut text = std::mem::take(&mut self.0);
        edit(&mut text);
        *self = text.into();
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for RedactedText {
    fn from(text: String) -> Self {
        RedactedText(Redactor::process().owned(text))
    }
}

impl From<&str> for RedactedText {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for RedactedText {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

impl From<Cow<'_, str>> for RedactedText {
    fn from(text: Cow<'_, str>) -> Self {
        text.into_owned().into()
    }
}

impl From<&RedactedText> for RedactedText {
    fn from(text: &RedactedText) -> Self {
        text.clone()
    }
}

impl From<RedactedText> for String {
    fn from(text: RedactedText) -> Self {
        text.0
    }
}

impl JsonSchema for RedactedText {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        String::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for RedactedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Deref for RedactedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RedactedText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedactedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RedactedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq<str> for RedactedText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for RedactedText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for RedactedText {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}
