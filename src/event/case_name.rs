//! The name of a case: as it decides, and as it is shown.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::{MASK, Redactor};

/// The name of a case. By the name as NG40 printed it a run decides: known failures, required cases, which attempts are
/// of one case. What is shown, written and kept is the same without secrets.
///
/// One that was read from a record is what the record shows. So a run is judged by names that no record holds, and its
/// record can only be judged by what is shown; `history import` compares the two, and takes the worse.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CaseName {
    raw: String,
    /// `None` if the name contains no secret.
    shown: Option<String>,
}

impl CaseName {
    /// A name of our own, in which no secret can be.
    pub(crate) fn own(name: &'static str) -> CaseName {
        CaseName { raw: name.to_owned(), shown: None }
    }

    /// What the program decides by. Never shown, and written nowhere.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// What is shown, and by what history knows the case.
    pub(crate) fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.raw)
    }
}

impl From<String> for CaseName {
    fn from(raw: String) -> CaseName {
        let shown = Some(Redactor::process().text(&raw)).filter(|shown| *shown != raw);
        CaseName { raw, shown }
    }
}

impl From<&str> for CaseName {
    fn from(raw: &str) -> CaseName {
        raw.to_owned().into()
    }
}

impl fmt::Display for CaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown())
    }
}

impl fmt::Debug for CaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

impl Serialize for CaseName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for CaseName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CaseName, D::Error> {
        String::deserialize(deserializer).map(CaseName::from)
    }
}

/// Gives the names of one console, so that two names stay two where only secrets tell them apart: the second is shown
/// as `attach_*** (2)`. A number says nothing of the secret, as a digest would, and is the same every night in which
/// the list has its cases in the same order.
#[derive(Debug, Default)]
pub(crate) struct CaseNames {
    /// What is shown for each name that has a mask, by the name as it is.
    given: HashMap<String, String>,
    /// How many names are shown as this text, numbered from there on.
    counts: HashMap<String, u64>,
}

impl CaseNames {
    pub(crate) fn give(&mut self, raw: &str) -> CaseName {
        let clean = Redactor::process().text(raw);
        // A name may also be printed with a mask in it.
        if !clean.contains(MASK) {
            return CaseName { raw: raw.to_owned(), shown: None };
        }
        let shown = match self.given.get(raw) {
            Some(shown) => shown.clone(),
            None => {
                let shown = self.free(&clean);
                self.given.insert(raw.to_owned(), shown.clone());
                shown
            }
        };
        CaseName { raw: raw.to_owned(), shown: Some(shown) }
    }

    /// A text that stands for no other name.
    fn free(&mut self, clean: &str) -> String {
        loop {
            let count = self.counts.entry(clean.to_owned()).or_default();
            *count += 1;
            let shown = if *count == 1 { clean.to_owned() } else { format!("{clean} ({count})") };
            if shown == clean || self.counts.get(&shown).is_none_or(|&taken| taken == 0) {
                self.counts.entry(shown.clone()).or_insert(1);
                return shown;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn names_that_only_secrets_tell_apart_stay_apart_and_show_none_of_them() {
        let secrets = ["first_of_case_name", "second_of_case_name"];
        secrets.iter().for_each(|secret| Redactor::process().learn(&Secret::new(*secret)));
        let [first, second] = secrets.map(|secret| format!("attach_{secret}"));
        let mut names = CaseNames::default();
        let raw = [&first, &second, &first, "attach_***", "attach_*** (2)", "plain", &format!("{second} #2")];
        let shown = raw.map(|raw| {
            let name = names.give(raw);
            assert_eq!(name.raw(), raw);
            assert_eq!(
                (format!("{name}"), format!("{name:?}")),
                (name.shown().to_owned(), format!("{:?}", name.shown()))
            );
            assert_eq!(serde_json::to_value(&name).expect("a text"), name.shown());
            name.shown().to_owned()
        });
        let expected = [
            "attach_***",
            "attach_*** (2)",
            "attach_***",
            "attach_*** (3)",
            "attach_*** (2) (2)",
            "plain",
            "attach_*** #2",
        ];
        assert_eq!(shown, expected);
    }
}
