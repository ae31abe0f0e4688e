//! What is kept of runs, and what is read again, without the secrets of today: a file that is imported, and a database that
//! others fill too, may hold any of them.

use std::collections::HashMap;

use super::{Entry, Nights};
use crate::event::CaseNames;
use crate::memory::{Memory, Past};
use crate::secret::Redactor;
use crate::summary::About;

fn clean(text: &mut String) {
    *text = Redactor::process().text(text);
}

fn clean_some(text: &mut Option<String>) {
    text.iter_mut().for_each(clean);
}

fn clean_past(past: &mut Past) {
    clean(&mut past.run);
    clean_some(&mut past.release);
}

impl Entry {
    /// The same without secrets. Cases that only secrets tell apart stay apart.
    pub(super) fn redacted(mut self) -> Entry {
        [&mut self.run, &mut self.command, &mut self.program].into_iter().for_each(clean);
        [&mut self.setup, &mut self.url, &mut self.wanted, &mut self.release, &mut self.strangers]
            .into_iter()
            .for_each(clean_some);
        for gateway in &mut self.gateways {
            clean(&mut gateway.gateway);
            [&mut gateway.before, &mut gateway.after, &mut gateway.outcome].into_iter().for_each(clean_some);
        }
        self.steps.iter_mut().for_each(|step| clean(&mut step.switched));
        for suite in &mut self.suites {
            [&mut suite.suite, &mut suite.list].into_iter().for_each(clean);
            [&mut suite.host, &mut suite.verdict, &mut suite.problem].into_iter().for_each(clean_some);
            let mut names = CaseNames::default();
            for case in &mut suite.cases {
                case.case = names.give(&case.case).shown().to_owned();
                [&mut case.verdict, &mut case.message].into_iter().for_each(clean_some);
            }
        }
        for reason in &mut self.reasons {
            clean(&mut reason.text);
            match &mut reason.about {
                About::Night => {}
                About::Step { host, .. } => clean_some(host),
                About::Gateway { gateway } => clean(gateway),
                About::Suite { suite, .. } => clean(suite),
            }
        }
        self
    }
}

impl Nights {
    /// The same without secrets.
    pub(super) fn redacted(mut self) -> Nights {
        for night in &mut self.nights {
            [&mut night.run, &mut night.command].into_iter().for_each(clean);
            [&mut night.setup, &mut night.release, &mut night.url].into_iter().for_each(clean_some);
        }
        self.suites.iter_mut().for_each(|outcome| clean(&mut outcome.suite));
        let mut names: HashMap<String, CaseNames> = HashMap::new();
        for outcome in &mut self.cases {
            clean(&mut outcome.suite);
            outcome.case = names.entry(outcome.suite.clone()).or_default().give(&outcome.case).shown().to_owned();
        }
        self
    }
}

impl Memory {
    /// The same without secrets.
    pub(super) fn redacted(mut self) -> Memory {
        self.previous.iter_mut().for_each(clean_past);
        self.steps.iter_mut().for_each(|step| clean(&mut step.switched));
        for suite in self.suites.values_mut() {
            let mut names = CaseNames::default();
            let cases = std::mem::take(&mut suite.cases).into_iter().map(|(name, mut case)| {
                [&mut case.last_good, &mut case.bad_since, &mut case.unknown_since]
                    .into_iter()
                    .flatten()
                    .for_each(clean_past);
                (names.give(&name).shown().to_owned(), case)
            });
            suite.cases = cases.collect();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::nights::{green, morning};
    use crate::secret::Secret;

    /// Plants a secret into every text of a document, and returns how many there are.
    fn plant(value: &mut serde_json::Value, secret: &str) -> usize {
        match value {
            serde_json::Value::String(text) => {
                text.push_str(secret);
                1
            }
            serde_json::Value::Array(values) => values.iter_mut().map(|value| plant(value, secret)).sum(),
            serde_json::Value::Object(fields) => fields.values_mut().map(|value| plant(value, secret)).sum(),
            _ => 0,
        }
    }

    #[test]
    fn no_text_of_an_entry_keeps_a_secret() {
        const SECRET: &str = "-of-no_text_of_an_entry";
        Redactor::process().learn(&Secret::new(SECRET));
        for story in [green(), morning()] {
            let entry = Entry::of(&story.summary()).expect("a run began");
            let document = serde_json::to_value(&entry).expect("plain data");
            let mut count = 0;
            let mut all = Vec::new();
            places(&document, "", &mut all);
            for place in all {
                let mut changed = document.clone();
                count += plant(changed.pointer_mut(&place).expect("it is there"), SECRET);
                // What takes no other text is a word of ours.
                let Ok(planted) = serde_json::from_value::<Entry>(changed) else { continue };
                let written = serde_json::to_string(&planted.redacted()).expect("plain data");
                assert!(!written.contains(SECRET), "{place}: {written}");
            }
            assert!(count > 20, "{count}");
        }
    }

    /// The places of all texts.
    fn places(value: &serde_json::Value, at: &str, all: &mut Vec<String>) {
        match value {
            serde_json::Value::String(_) => all.push(at.to_owned()),
            serde_json::Value::Array(values) => {
                values.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), all));
            }
            serde_json::Value::Object(map) => {
                map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), all));
            }
            _ => {}
        }
    }

    #[test]
    fn cases_that_only_secrets_tell_apart_stay_apart_in_what_is_kept() {
        ["entry_one", "entry_two"].iter().for_each(|secret| Redactor::process().learn(&Secret::new(*secret)));
        let mut entry = Entry::of(&green().summary()).expect("a run began");
        let of = |name: &str, entry: &Entry| super::super::entry::PastCase {
            case: name.to_owned(),
            ..entry.suites[0].cases[0].clone()
        };
        let cases = ["attach_entry_one", "attach_entry_two", "attach_entry_one"].map(|name| of(name, &entry));
        entry.suites[0].cases = cases.into();
        let names: Vec<String> = entry.redacted().suites.remove(0).cases.into_iter().map(|case| case.case).collect();
        assert_eq!(names, ["attach_***", "attach_*** (2)", "attach_***"]);
    }
}
