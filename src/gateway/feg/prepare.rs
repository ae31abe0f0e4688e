//! What is laid ready on a FEG before anything is switched: the release's files and images, and the way back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::compose::Composes;
use super::verify::FegExpected;
use super::{Feg, FegFound, KNOWN, VALUES, WAY_BACK};
use crate::cause::{self, known_and_said};
use crate::event::{Class, Problem, Step};
use crate::gateway::host_state::parse_facts;
use crate::gateway::{BACKUP, NEXT, STATE, Target, Trouble, all_said, registry};
use crate::remote::{Output, quote};

/// How the laying ready ends where an image could not be pulled.
const PULL_FAILED: i32 = 4;
/// How it ends where something is in the way of writing.
const CANNOT_WRITE: i32 = 7;
/// How it ends where no compose program reads the files of the release.
const REFUSED: i32 = 6;
/// How it ends where all is laid ready, and what runs here could not be looked at.
const NOT_SEEN: i32 = 5;
/// What it says before what runs here, where the files of the release are the very files in use.
const IN_USE: &str = "== these files are in use";

impl Feg {
    /// Checks the compose file and pulls the images. Touches no service. Where the release is what runs here, returns
    /// what runs now.
    pub(in crate::gateway) async fn lay_ready(
        &self,
        target: &Target,
        found: &FegFound,
    ) -> Result<Option<FegFound>, Problem> {
        let tag = target.tag.as_deref().expect("the tag is resolved when a FEG is upgraded");
        let output = self.stage(target, found, tag).await?;
        let said = output.text();
        let Some((_, said)) = said.split_once(&format!("{IN_USE}\n")) else { return Ok(None) };
        // The images were not pulled where it is only looked at.
        if found.containers.is_empty() || self.ground.is_only_looked_at() && output.status == NOT_SEEN {
            return Ok(None);
        }
        self.ground.answer("read the image IDs", &output)?;
        let (expected, now) = said.split_once("---\n").unwrap_or((said, ""));
        let expected = FegExpected::parse(expected, tag, self.references(found, tag), found.clone());
        let now = self.parse_found(now);
        // The pull took its time: somebody may have switched the gateway meanwhile.
        let still_runs = expected.is_what_runs(&now, found, &self.config.images);
        let is_there = self.is_target(found, found, &expected).is_ok() && still_runs.is_ok();
        if is_there && self.ground.is_only_looked_at() {
            self.ground.note(Step::Prepare, format!("runs `{tag}` already, if the pull brings no other images"));
        }
        Ok(is_there.then_some(now))
    }

    /// Lays the compose file and the `.env` of the release beside those in use, and has compose check them, while the
    /// images are pulled; then looks at what runs here, if these are the files of it.
    async fn stage(&self, target: &Target, found: &FegFound, tag: &str) -> Result<Output, Problem> {
        let step = Step::Prepare;
        let name = &self.ground.name;
        let patience = self.config.prepare_timeout;
        let look = if target.is_forced { String::new() } else { self.look_script(found, tag) };
        let script = format!("{}{look}", self.stage_and_pull_script(target, found, tag));
        let aside = aside(&format!("{}{look}", self.stage_script(target, found, tag)));
        let output = self.ground.change_or_lay_aside(step, &script, &aside, patience).await?;
        let (release, said) = (target.release.version(), all_said(&output));
        match output.status {
            CANNOT_WRITE => {
                self.ground.refuse(&parse_facts(&said))?;
                Err(Trouble::NotUpgradable.on(name).because(cause::said(&said, 5)))
            }
            0 | NOT_SEEN | REFUSED => {
                let composes = Composes::parse(&output.text());
                let chosen = composes.choose(&self.config.compose).map_err(|refusal| refusal.on(name, release))?;
                for variable in chosen.newly_unset() {
                    self.ground.warn(
                        step,
                        format!(
                            "{release} needs `{variable}`, which `.env` does not set: compose takes an empty value"
                        ),
                    );
                }
                let _ = self.chosen.set(chosen.program.clone());
                Ok(output)
            }
            3 => Err(Trouble::NotLaidReady { release }.on(name).because(cause::said(&said, 5))),
            PULL_FAILED => {
                let missing = self.references(found, tag).into_iter().any(|image| registry::is_missing(&said, &image));
                let class = if missing { Class::Upgrade } else { Class::Testbed };
                Err(Trouble::Unpulled { tag, class }.on(name).because(cause::said(&said, 8)))
            }
            status => {
                let why = known_and_said(&format!("exit status {status}"), &said, 5);
                Err(Trouble::NotLaidReady { release }.on(name).because(why))
            }
        }
    }

    /// Says what must run and what runs now, where what was laid ready are the very files in use. In a shell of its
    /// own, whose end is not taken for one of compose.
    fn look_script(&self, found: &FegFound, tag: &str) -> String {
        format!(
            "(\ncmp -s docker-compose.yml {NEXT}/docker-compose.yml && cmp -s .env {NEXT}/.env || exit 0\necho '{IN_USE}'\n\
             {}\necho ---\n{}\n)\n[ $? = 0 ] || exit {NOT_SEEN}\n",
            self.expected_script(&self.references(found, tag)),
            self.found_script(),
        )
    }

    fn stage_script(&self, target: &Target, found: &FegFound, tag: &str) -> String {
        self.stage_beside(target, found, tag, "")
    }

    fn stage_and_pull_script(&self, target: &Target, found: &FegFound, tag: &str) -> String {
        let mut pull = concat!(include_str!("brought.sh"), include_str!("pull.sh"))
            .replace("STATE", STATE)
            .replace("NEXT", NEXT)
            .replace("DOCKER", self.docker())
            .replace("PULL_FAILED", &PULL_FAILED.to_string());
        for reference in self.references(found, tag) {
            pull.push_str(&format!("pull {}\n", quote(&reference)));
        }
        format!("{}pulled\n", self.stage_beside(target, found, tag, &pull))
    }

    /// What lays the files ready, after something that goes on beside it has begun.
    fn stage_beside(&self, target: &Target, found: &FegFound, tag: &str, beside: &str) -> String {
        let fetch = match &self.config.compose_url {
            Some(template) => format!(
                "{}fetch_compose {} || exit 3\n",
                include_str!("fetch_compose.sh").replace("NEXT", NEXT),
                quote(&target.release.fill(template))
            ),
            None => format!("cp docker-compose.yml {NEXT}/docker-compose.yml || exit 3\n"),
        };
        format!(
            "{preamble}{places}[ -z \"$lacks\" ] || exit {CANNOT_WRITE}\numask 077\nrm -rf {NEXT}\nmkdir -p {NEXT} || exit 3\n{beside}{fetch}\
             cp -p .env {NEXT}/.env || exit 3\n\
             tag={tag}\nold_commit={old_commit}\ncommit={commit}\n{values}{edit}{files}{services}",
            preamble = self.preamble_of_compose(found),
            places = self.places_script(),
            tag = quote(tag),
            old_commit = quote(commit_in(&found.tag)),
            commit = quote(target.release.commit()),
            edit = include_str!("edit_env.sh").replace("NEXT", NEXT),
            values = VALUES,
            files = include_str!("compose_files.sh").replace("NEXT", NEXT),
            services = concat!(include_str!("questions.sh"), include_str!("ask_composes.sh"))
                .replace("NEXT", NEXT)
                .replace("KNOWN", if target.is_forced { "/dev/null" } else { KNOWN })
                .replace("REFUSED", &REFUSED.to_string()),
        )
    }

    /// Keeps `.env`, the compose file, and a name of our own for every image in use, so that no prune of dangling
    /// images takes it; and where each came from, for one that is taken nevertheless.
    pub(in crate::gateway) async fn secure_way_back(&self, found: &FegFound) -> Result<(), Problem> {
        let script = self.way_back_script(found);
        self.ground
            .must_root(Step::Prepare, &script, Duration::from_secs(120), |said| {
                Trouble::NoWayBack.on(&self.ground.name).because(said)
            })
            .await
            .map(drop)
    }

    fn way_back_script(&self, found: &FegFound) -> String {
        let mut script = format!(
            "{preamble}set -e\numask 077\nrm -rf {BACKUP}\nmkdir -p {BACKUP}\ncp -p .env docker-compose.yml {BACKUP}/\n\
             {record}{values}{files}{check}",
            preamble = self.preamble_of_compose(found),
            record = include_str!("record.sh").replace("BACKUP", BACKUP).replace("PROJECT", &quote(&found.project)),
            values = VALUES,
            files = include_str!("compose_files.sh").replace("NEXT", BACKUP),
            check = include_str!("check_backup.sh").replace("BACKUP", BACKUP),
        );
        let images: BTreeSet<&str> = found.containers.values().map(|container| container.image.as_str()).collect();
        for (index, image) in images.iter().enumerate() {
            let image = quote(image);
            script.push_str(&format!(
                "docker tag {image} {WAY_BACK}:{index}\n\
                 docker image inspect --format '{{{{.Id}}}}{{{{range .RepoDigests}}}} {{{{.}}}}{{{{end}}}}' {image} >> {BACKUP}/images\n"
            ));
        }
        script.push_str("sync\n");
        script
    }
}

/// The commit that a tag is, if it is one.
fn commit_in(tag: &str) -> &str {
    let is_commit = tag.len() >= 7 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { tag } else { "" }
}

/// A script that makes in a folder of its own what it would lay ready, and throws it away again.
fn aside(script: &str) -> String {
    let script = script.replace(NEXT, "$aside/next");
    format!("aside=$(mktemp -d) || exit 3\ntrap 'rm -rf \"$aside\"' EXIT\ntrap 'exit 143' TERM\n{script}")
}
