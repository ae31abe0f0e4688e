//! The units or services of a gateway: which are up, and which stay up.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The units or services of a gateway, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) units: BTreeMap<String, Unit>,
    /// What was up and did not stay up while we looked.
    #[serde(default)]
    pub(crate) flapping: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unit {
    pub(crate) state: String,
    pub(crate) is_up: bool,
    /// Changes when it starts anew.
    pub(crate) mark: String,
}

/// Why a gateway is not as it shall be, and which of its units or services that is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    pub(super) why: String,
    pub(super) units: Vec<String>,
}

impl From<String> for Lack {
    fn from(why: String) -> Lack {
        Lack { why, units: Vec::new() }
    }
}

impl Health {
    pub(super) fn of(units: BTreeMap<String, Unit>) -> Health {
        Health { units, flapping: BTreeSet::new() }
    }

    /// The names of what is up, and stays up as far as we know.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        let up = self.units.iter().filter(|(name, unit)| unit.is_up && !self.flapping.contains(*name));
        up.map(|(name, _)| name.as_str())
    }

    /// The names of what need not stay up: it was there and was not up, and is not required.
    pub(super) fn ignored(&self, required: &BTreeSet<String>) -> BTreeSet<String> {
        let must: BTreeSet<&str> = self.running().chain(required.iter().map(String::as_str)).collect();
        self.units.keys().filter(|name| !must.contains(name.as_str())).cloned().collect()
    }

    /// Marks what was up and has, by a later look, started anew or gone down.
    pub(super) fn look_again(&mut self, later: &Health) {
        let is_steady = |name: &String, unit: &Unit| {
            later.units.get(name).is_some_and(|later| later.is_up && later.mark == unit.mark)
        };
        let up = self.units.iter().filter(|(_, unit)| unit.is_up);
        self.flapping.extend(up.filter(|(name, unit)| !is_steady(name, unit)).map(|(name, _)| name.clone()));
    }

    /// Whether each of these is up; says which are not.
    pub(super) fn has(&self, names: impl Iterator<Item = String>) -> Result<(), Lack> {
        let is_down = |name: &String| !self.units.get(name).is_some_and(|unit| unit.is_up);
        let down: BTreeSet<String> = names.filter(is_down).collect();
        if down.is_empty() {
            return Ok(());
        }
        let state = |name: &String| {
            format!("`{name}` is {}", self.units.get(name).map_or("not there", |unit| unit.state.as_str()))
        };
        let why = down.iter().map(state).collect::<Vec<_>>().join(", ");
        Err(Lack { why, units: down.into_iter().collect() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Units by name, whether they are up, and their mark.
    pub(in crate::gateway) fn health(units: &[(&str, bool, &str)]) -> Health {
        let unit = |&(name, is_up, mark): &(&str, bool, &str)| {
            (name.to_owned(), Unit { state: "active".to_owned(), is_up, mark: mark.to_owned() })
        };
        Health::of(units.iter().map(unit).collect())
    }

    #[test]
    fn what_did_not_stay_up_before_the_switch_need_not_stay_up_after_it() {
        let mut before =
            health(&[("mme", true, "1"), ("crashes", true, "1"), ("goes", true, "1"), ("off", false, "0")]);
        before.look_again(&health(&[
            ("mme", true, "1"),
            ("crashes", true, "2"),
            ("goes", false, "0"),
            ("off", true, "9"),
        ]));
        assert_eq!(before.running().collect::<Vec<_>>(), ["mme"]);
        assert_eq!(before.ignored(&BTreeSet::new()), ["crashes", "goes", "off"].map(str::to_owned).into());
        assert_eq!(before.ignored(&["crashes".to_owned()].into()), ["goes", "off"].map(str::to_owned).into());
    }
}
