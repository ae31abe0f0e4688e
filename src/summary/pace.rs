//! What the steps of a night take, and what they usually take in a night of its kind: one that switches the same gateways.

use std::time::Duration;

use super::{GatewayRun, Summary};
use crate::event::{GatewayOutcome, Step, StepOutcome};

impl Summary {
    /// What a step took that is done everywhere: as a whole, else from its first host to its last.
    pub(crate) fn took_of(&self, step: Step) -> Option<Duration> {
        let runs = || self.steps.iter().filter(move |run| run.step == step);
        if !runs().all(|run| matches!(run.outcome, Some(StepOutcome::Done { .. }))) {
            return None;
        }
        // One that was done again, as when the lock is waited for, took what it took the last time.
        if let Some(whole) = runs().rfind(|run| run.host.is_none()) {
            return whole.took;
        }
        let began = runs().map(|run| run.started).min()?;
        let ended = runs().filter_map(|run| Some(run.started + run.took?)).max()?;
        Duration::try_from(ended - began).ok()
    }

    /// What a step usually takes; none where history does not say so, and where it is not known yet which gateways are switched.
    pub(crate) fn usual_of(&self, step: Step) -> Option<Duration> {
        let switched = self.switched_for(step)?;
        let known = self.memory.as_ref()?.steps.iter().find(|known| known.step == step && known.switched == switched);
        Some(known?.usual)
    }

    /// The gateways that are switched, where what the step takes depends on it.
    pub(crate) fn switched_for(&self, step: Step) -> Option<String> {
        if step.is_of_upgrade() { self.switched() } else { Some(String::new()) }
    }

    /// The gateways that this night switches to another release; none while that is not known of each that is meant.
    pub(crate) fn switched(&self) -> Option<String> {
        let mut names = Vec::new();
        for gateway in self.meant() {
            names.extend(self.is_switched(gateway)?.then_some(gateway.gateway.as_str()));
        }
        Some(names.join(", "))
    }

    fn is_switched(&self, gateway: &GatewayRun) -> Option<bool> {
        let release = self.release.as_ref().zip(gateway.before.as_ref());
        let runs_another =
            release.is_some_and(|(release, runs)| *runs != release.version && Some(runs) != release.tag.as_ref());
        match &gateway.outcome {
            _ if runs_another || self.was_switched(&gateway.gateway) => Some(true),
            Some(outcome) => Some(!matches!(outcome, GatewayOutcome::Unchanged { .. })),
            // By its name it runs the release; whether that is so is found out as it is prepared.
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Problem};
    use crate::report::nights::{NEW, Story, restored};

    #[test]
    fn a_step_took_what_it_took_from_its_first_host_to_its_last_and_only_where_it_is_done() {
        let took = |story: &Story, step| story.summary().took_of(step).map(|took| took.as_millis());
        let done = || StepOutcome::Done { text: "".into() };
        let mut story = Story::new();
        story.start(Step::Prepare, Some("agw")).after(4_000).start(Step::Prepare, Some("feg1"));
        story.end(Step::Prepare, Some("feg1"), 3_000, done());
        assert_eq!(took(&story, Step::Prepare), None);
        story.end(Step::Prepare, Some("agw"), 1_000, done());
        assert_eq!(took(&story, Step::Prepare), Some(7_000));
        assert_eq!(took(&restored(), Step::Verify), None);
        let mut waiting = Story::new();
        waiting.step(Step::Lock, 900, "held by another; waiting").after(600_000).step(Step::Lock, 300, "ours");
        assert_eq!(took(&waiting, Step::Lock), Some(300));
        assert_eq!(took(&waiting, Step::Prepare), None);
    }

    #[test]
    fn what_is_switched_is_known_once_it_is_of_each_gateway() {
        let both = ["agw", "feg1"];
        let switched = |story: &Story| story.summary().switched();
        let mut story = Story::new();
        story.begins("run", &both, &[]).resolves().found(&["agw"]);
        assert_eq!(switched(&story), None);
        // By its name it is there.
        story.say(EventKind::GatewayFound { gateway: "feg1".to_owned(), runs: Some("5d2e8f90".into()) });
        assert_eq!(switched(&story), None);
        story.start(Step::Activate, Some("feg1"));
        assert_eq!(switched(&story).as_deref(), Some("agw, feg1"));
        story.gateway("feg1", GatewayOutcome::Unchanged { at: "5d2e8f90".into() });
        assert_eq!(switched(&story).as_deref(), Some("agw, feg1"));
        assert_eq!(switched(&restored()).as_deref(), Some("agw, feg1"));

        let mut story = Story::new();
        story.begins("run", &["agw"], &[]).resolves();
        story.say(EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(NEW.into()) });
        story.gateway("agw", GatewayOutcome::Unchanged { at: NEW.into() });
        assert_eq!(switched(&story).as_deref(), Some(""));

        let mut story = Story::new();
        story.begins("run", &["agw"], &[]).found(&["agw"]);
        story.fails(Step::Resolve, None, 900, Problem::testbed("the registry does not answer"));
        assert_eq!(switched(&story), None);
    }
}
