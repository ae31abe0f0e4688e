//! Whether a FEG runs what it shall: compared with what was expected, and with what it ran before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Container, Feg, FegFound};
use crate::event::{Problem, Step};
use crate::gateway::health::Lack;
use crate::gateway::{NEXT, Target};
use crate::remote::quote;

/// What a FEG shall run, by image ID and by compose's own list of services.
#[derive(Debug)]
pub(in crate::gateway) struct FegExpected {
    pub(super) tag: String,
    pub(super) images: BTreeMap<String, String>,
    pub(super) services: BTreeSet<String>,
    /// What the switch has left: its engine, and its containers.
    pub(in crate::gateway) switched: FegFound,
}

impl Feg {
    /// Asks what the images of the release are here, and which services its compose file has.
    pub(super) fn expected_script(&self, references: &[String]) -> String {
        let quoted: Vec<String> = references.iter().map(|reference| quote(reference)).collect();
        format!("docker image inspect --format '{{{{.Id}}}}' {} || exit\ncat {NEXT}/services", quoted.join(" "))
    }

    /// What the switch has left, and what must run from now on: asked once, after it.
    pub(in crate::gateway) async fn expected(
        &self,
        step: Step,
        target: &Target,
        before: &FegFound,
    ) -> Result<FegExpected, Problem> {
        let tag = target.tag.as_deref().expect("the tag is resolved when a FEG is upgraded");
        let references = self.references(before, tag);
        let script = self.left_and_expected_script(&references);
        let said = self.ground.ask_root(step, "read what the switch has left", &script).await?;
        let (left, expected) = said.split_once("---\n").unwrap_or((&said, ""));
        Ok(FegExpected::parse(expected, tag, references, self.parse_found(left)))
    }

    fn left_and_expected_script(&self, references: &[String]) -> String {
        format!("{}\necho ---\n{}", self.found_script(), self.expected_script(references))
    }

    /// What `verify` asks, in order; the last again and again.
    pub(in crate::gateway) fn verify_scripts(&self, target: &Target, found: &FegFound) -> Vec<String> {
        let references = self.references(found, target.tag.as_deref().unwrap_or_default());
        vec![self.left_and_expected_script(&references), self.found_script()]
    }

    /// Whether every service of the release runs the image that its tag means now, and every service is up.
    pub(in crate::gateway) fn is_target(
        &self,
        now: &FegFound,
        before: &FegFound,
        expected: &FegExpected,
    ) -> Result<(), Lack> {
        expected.is_what_runs(now, before, &self.config.images)?;
        self.is_healthy(now, before, &expected.services)
    }

    /// Whether every service is up that the config requires, that was up before and still exists, or that the release
    /// brings.
    fn is_healthy(&self, now: &FegFound, before: &FegFound, brought: &BTreeSet<String>) -> Result<(), Lack> {
        let still_there = before.health.running().filter(|service| brought.is_empty() || brought.contains(*service));
        now.health.has(self.config.services.iter().cloned().chain(still_there.map(str::to_owned)))
    }

    /// What somebody else has done to the gateway since the switch: a release that crashes keeps its containers, and it
    /// does not write `.env`.
    pub(in crate::gateway) fn is_meddled_with(now: &FegFound, expected: &FegExpected) -> Option<String> {
        let FegExpected { tag, switched, .. } = expected;
        if now.tag != *tag {
            return Some(format!("`.env` names `{}`, which is not what the switch has written", now.tag));
        }
        if now.engine != switched.engine {
            return Some("the Docker engine was started anew".to_owned());
        }
        let is_there = |service: &str, made: &Container| now.containers.get(service).is_some_and(|is| is.id == made.id);
        let gone = switched.containers.iter().find(|(service, made)| !is_there(service, made));
        gone.map(|(service, _)| format!("somebody has removed the container of `{service}` that the switch has made"))
    }

    /// Whether it is again what it was; what was down before may be down now.
    pub(in crate::gateway) fn is_as_before(now: &FegFound, before: &FegFound) -> Result<(), Lack> {
        for (service, was) in &before.containers {
            match now.containers.get(service) {
                Some(is) if is.image == was.image => {}
                Some(is) => {
                    return Err(format!(
                        "`{service}` runs {} ({}) and ran {} ({})",
                        is.reference, is.image, was.reference, was.image
                    )
                    .into());
                }
                None if before.health.units.get(service).is_some_and(|unit| unit.is_up) => {
                    return Err(format!("`{service}` has no container").into());
                }
                None => {}
            }
        }
        if let Some(service) = now.containers.keys().find(|service| !before.containers.contains_key(*service)) {
            return Err(format!("`{service}` has a container and had none").into());
        }
        now.health.has(before.health.running().map(str::to_owned))
    }
}

impl FegExpected {
    /// Reads the answer to `expected_script`: a line for each image, then the services.
    pub(super) fn parse(said: &str, tag: &str, references: Vec<String>, switched: FegFound) -> FegExpected {
        let mut lines = said.lines().map(|line| line.trim().to_owned());
        let images = references.into_iter().zip(lines.by_ref()).collect();
        let services = lines.filter(|line| !line.is_empty()).collect();
        FegExpected { tag: tag.to_owned(), images, services, switched }
    }

    /// The services that were up before and that the release's compose file does not have. They are not required of it,
    /// and nobody shall miss them unseen.
    pub(in crate::gateway) fn dropped(&self, before: &FegFound) -> BTreeSet<String> {
        if self.services.is_empty() {
            return BTreeSet::new();
        }
        before.health.running().filter(|service| !self.services.contains(*service)).map(str::to_owned).collect()
    }

    /// Whether every service has a container, and those of the release, by the names of its `images`, run them. A site
    /// may have others beside them; what was of the release before is none of these.
    pub(super) fn is_what_runs(&self, now: &FegFound, before: &FegFound, images: &[String]) -> Result<(), String> {
        if self.services.is_empty() {
            return Err("compose knows no service".to_owned());
        }
        let mut is_there = false;
        for service in &self.services {
            let Some(container) = now.containers.get(service) else {
                return Err(format!("`{service}` has no container"));
            };
            let was = before.containers.get(service);
            let is_of_release = container.is_of(images) || was.is_some_and(|was| was.is_of(images));
            if is_of_release && self.images.get(&container.reference) != Some(&container.image) {
                return Err(format!("`{service}` runs {} and not `{}`", container.reference, self.tag));
            }
            is_there |= is_of_release;
        }
        if is_there { Ok(()) } else { Err(format!("no service runs an image of `{}`", self.tag)) }
    }
}
