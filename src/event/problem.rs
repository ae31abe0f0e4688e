//! Bad news from the lab: what failed, why, and whose it is.

use serde::{Deserialize, Serialize};

use crate::cause;
use crate::crash::Crash;
use crate::error::told;
use crate::secret::RedactedText;

/// What to do about a bug.
pub(crate) const BUG: &str =
    "report it to the maintainers of teravm-ci with this text, and with `events.jsonl` if there is one";

/// Who has to get up: what a problem makes of the night's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// The lab's fault: says nothing about the product.
    Testbed,
    /// The release asked for is not there, does not install or is not healthy.
    Upgrade,
    /// It is not known what the gateways run, or they differ.
    Mixed,
    /// No verdict could be had.
    Inconclusive,
    /// Somebody stopped us.
    Interrupted,
    /// The night ran; what it found could not be kept.
    Report,
    /// A bug in this program: it panicked.
    Internal,
}

/// Bad news from the lab: what we tried and on what, why it failed, and what to try next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub class: Class,
    pub message: RedactedText,
    /// The causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<RedactedText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<RedactedText>,
}

impl Problem {
    pub(crate) fn new(class: Class, message: impl Into<RedactedText>) -> Self {
        Problem { class, message: message.into(), causes: Vec::new(), hint: None }
    }

    pub(crate) fn testbed(message: impl Into<RedactedText>) -> Self {
        Problem::new(Class::Testbed, message)
    }

    pub(crate) fn upgrade(message: impl Into<RedactedText>) -> Self {
        Problem::new(Class::Upgrade, message)
    }

    /// A panic that was caught.
    pub(crate) fn internal(crash: &Crash) -> Self {
        Problem::new(Class::Internal, "internal error: this is a bug in teravm-ci").because(crash.to_string()).hint(BUG)
    }

    /// Takes an error and all its causes along, because the event outlives them.
    #[must_use]
    pub(crate) fn because_of(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.causes.extend(told(error).into_iter().map(RedactedText::from));
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<RedactedText>) -> Self {
        self.causes.push(cause.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<RedactedText>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message and its causes on one line: of a cause what is known, then the line that says why of what a program printed.
    pub(crate) fn line(&self) -> String {
        let why = self.why();
        if why.is_empty() { self.message.to_string() } else { format!("{}: {why}", self.message) }
    }

    /// The causes on one line.
    pub(crate) fn why(&self) -> String {
        let causes = self.causes.iter().map(|cause| cause::one_line(cause, self.causes.len() == 1));
        causes.filter(|cause| !cause.is_empty()).collect::<Vec<_>>().join(": ")
    }

    /// Message, causes and hint, one below the other.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.to_string();
        for cause in &self.causes {
            text.push_str("\n  because: ");
            text.push_str(&cause.trim_end().replace('\n', "\n           "));
        }
        if let Some(hint) = &self.hint {
            text.push_str("\n  try: ");
            text.push_str(hint);
        }
        text
    }
}
