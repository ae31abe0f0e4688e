//! Whether a gateway has settled: a value that is shown what it ran at one moment after the other. Knows no clock of
//! its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Found;
use super::health::Lack;
use crate::config::{Verify, format_duration};
use crate::event::Problem;

/// How long a gateway that is not switched is looked at.
const BRIEFLY: Duration = Duration::from_secs(5);

/// How a gateway that is not switched is looked at: more than once, however short it has to be stable.
pub(super) fn briefly(verify: &Verify) -> Verify {
    Verify { stable: (verify.stable / 2).min(BRIEFLY), timeout: verify.stable.max(BRIEFLY) }
}

/// Says of what a gateway runs whether it is as it shall be, and why not.
type Content<'a> = dyn Fn(&Found) -> Result<(), Lack> + Send + Sync + 'a;

/// What must not start anew.
pub(super) enum Watched {
    AllBut(BTreeSet<String>),
    Only(BTreeSet<String>),
}

impl Watched {
    fn has(&self, name: &str) -> bool {
        match self {
            Watched::AllBut(ignored) => !ignored.contains(name),
            Watched::Only(names) => names.contains(name),
        }
    }
}

/// Looks at a gateway that settle the question whether it is as it shall be: `fine` is content, and none of the
/// `watched` units has started anew, for `verify.stable`.
pub(super) struct Settling<'a> {
    pub(super) verify: Verify,
    fine: &'a Content<'a>,
    watched: Watched,
    /// Since when it has been as it shall be, and with which marks.
    steady: Option<(Instant, BTreeMap<String, String>)>,
    /// Why it is not settled.
    pub(super) lack: Lack,
}

impl<'a> Settling<'a> {
    pub(super) fn new(verify: Verify, fine: &'a Content<'a>, watched: Watched) -> Settling<'a> {
        Settling { verify, fine, watched, steady: None, lack: "it was not asked in time".to_owned().into() }
    }

    /// Takes in what it ran `at` a moment. Returns whether it has settled.
    pub(super) fn look(&mut self, now: &Found, at: Instant) -> bool {
        if let Err(lack) = (self.fine)(now) {
            self.is_not(lack);
            return false;
        }
        let marks = marks(now, &self.watched);
        match &self.steady {
            Some((since, known)) if *known == marks => return at.duration_since(*since) >= self.verify.stable,
            Some((_, known)) => {
                let stable = format_duration(self.verify.stable);
                let units = changed(known, &marks);
                let names = units.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                self.lack = Lack { why: format!("{names} did not stay up for {stable}"), units };
            }
            None => {}
        }
        self.steady = Some((at, marks));
        false
    }

    pub(super) fn is_not(&mut self, lack: Lack) {
        self.lack = lack;
        self.steady = None;
    }

    /// How long from `now` it has to stay as it is until it has settled; for ever, while it is not as it shall be.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        match &self.steady {
            Some((since, _)) => self.verify.stable.saturating_sub(now.saturating_duration_since(*since)),
            None => Duration::MAX,
        }
    }
}

/// Why a gateway did not settle.
pub(super) enum Unsettled {
    /// It answered, and was not as it shall be.
    Why { why: String, now: Found },
    /// It could not be asked, or we were stopped.
    Problem(Problem),
}

impl Unsettled {
    pub(super) fn unless(self, problem: impl FnOnce(String) -> Problem) -> Problem {
        match self {
            Unsettled::Why { why, .. } => problem(why),
            Unsettled::Problem(problem) => problem,
        }
    }
}

/// The marks of what is up: they change when a unit starts anew.
fn marks(found: &Found, watched: &Watched) -> BTreeMap<String, String> {
    let units = found.health().units.iter().filter(|(name, unit)| unit.is_up && watched.has(name));
    units.map(|(name, unit)| (name.clone(), unit.mark.clone())).collect()
}

/// What has started anew, gone down or come up.
fn changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let gone = before.iter().filter(|(name, mark)| now.get(*name) != Some(mark)).map(|(name, _)| name);
    gone.chain(now.keys().filter(|name| !before.contains_key(*name))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::agw::AgwFound;
    use crate::gateway::health::tests::health;

    fn agw_with(units: &[(&str, bool, &str)]) -> Found {
        Found::Agw(AgwFound { health: health(units), ..AgwFound::default() })
    }

    #[test]
    fn one_look_does_not_decide_whether_a_gateway_stays_up() {
        for stable in [0, 1, 2, 30, 300].map(Duration::from_secs) {
            let looked = briefly(&Verify { stable, timeout: stable * 2 });
            assert!(looked.timeout >= looked.stable + 2 * crate::gateway::POLL, "{stable:?}: {looked:?}");
        }
    }

    #[test]
    fn a_gateway_has_settled_when_nothing_has_started_anew_for_long_enough() {
        let stable = Duration::from_secs(10);
        let fine = |now: &Found| now.health().has(["mme".to_owned()].into_iter());
        let watched = Watched::AllBut(["off".to_owned()].into());
        let mut settling = Settling::new(Verify { stable, timeout: stable * 2 }, &fine, watched);
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let up = agw_with(&[("mme", true, "1"), ("off", true, "1")]);
        // However long it has been so, one look does not tell.
        assert!(!settling.look(&up, at(0)));
        assert!(!settling.look(&agw_with(&[("mme", true, "1"), ("off", true, "2")]), at(9)));
        let again = agw_with(&[("mme", true, "2")]);
        assert!(!settling.look(&again, at(10)));
        assert_eq!(settling.lack.why, "`mme` did not stay up for 10s");
        assert_eq!(settling.lack.units, ["mme"]);
        assert!(!settling.look(&again, at(19)));
        assert!(!settling.look(&agw_with(&[("mme", false, "0")]), at(20)));
        assert_eq!(settling.lack.why, "`mme` is active");
        assert_eq!(settling.rest(at(20)), Duration::MAX);
        assert!(!settling.look(&again, at(21)));
        assert!(settling.look(&again, at(31)));
    }

    #[test]
    fn of_what_was_not_there_before_nothing_is_asked() {
        let stable = Duration::from_secs(10);
        let fine = |_: &Found| Ok(());
        let watched = Watched::Only(["mme".to_owned()].into());
        let mut settling = Settling::new(Verify { stable, timeout: stable * 2 }, &fine, watched);
        let began = Instant::now();
        for second in 0..10 {
            let brought = (second % 2 == 0, second.to_string());
            let now = agw_with(&[("mme", true, "1"), ("brought", brought.0, &brought.1)]);
            assert!(!settling.look(&now, began + Duration::from_secs(second)));
        }
        assert!(settling.look(&agw_with(&[("mme", true, "1")]), began + stable));
    }

    #[test]
    fn a_gateway_is_looked_at_again_when_it_may_have_settled_and_not_later() {
        let now = Instant::now();
        let fine = |_: &Found| Ok(());
        let verify = |stable| Verify { stable, timeout: Duration::from_secs(60) };
        let up = agw_with(&[("mme", true, "1")]);
        let mut at_once = Settling::new(verify(Duration::ZERO), &fine, Watched::Only(BTreeSet::new()));
        at_once.look(&up, now);
        assert_eq!(at_once.rest(now), Duration::ZERO);
        let mut soon = Settling::new(verify(Duration::from_secs(5)), &fine, Watched::Only(BTreeSet::new()));
        soon.look(&up, now);
        assert_eq!(soon.rest(now + Duration::from_secs(4)), Duration::from_secs(1));
        assert_eq!(soon.rest(now + Duration::from_secs(6)), Duration::ZERO);
    }
}
