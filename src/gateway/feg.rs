//! The federation gateway: a compose project whose images carry the release as their tag.
//!
//! Knows compose (v1 and v2) and the Docker client as they print. Tags move, so what runs is judged by image IDs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agw::last_lines;
use super::ground::room_script;
use super::registry::{self, Answer, Login};
use super::{BACKUP, Found, Ground, Health, NEXT, QUIESCED, Target, Trouble, Unit, blamed};
use crate::config;
use crate::event::{Class, Problem, Step};
use crate::release::Release;
use crate::remote::quote;
use crate::window::Window;

/// What a FEG ran before the night: enough to bring it back and to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FegFound {
    /// How compose is called here.
    pub(crate) compose: String,
    pub(crate) project: String,
    /// `DOCKER_REGISTRY` of `.env`: what stands before the names of the images.
    pub(crate) registry: String,
    /// `IMAGE_VERSION` of `.env`.
    pub(crate) tag: String,
    /// The Docker engine's process: another one is an engine that was started anew.
    #[serde(default)]
    pub(crate) engine: String,
    /// Compose service and the container that runs it.
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) health: Health,
}

/// A container as `docker inspect` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    /// Docker's own, which it keeps for as long as it exists, however often it is started.
    #[serde(default)]
    pub(crate) id: String,
    /// The image as it was named when the container was made; its tag may have moved since.
    pub(crate) reference: String,
    pub(crate) image: String,
}

/// What a FEG shall run, by image ID and by compose's own list of services.
#[derive(Debug)]
pub(crate) struct FegExpected {
    tag: String,
    images: BTreeMap<String, String>,
    services: BTreeSet<String>,
    /// What the switch has left: its engine, and its containers.
    switched: FegFound,
}

#[derive(Debug)]
pub(crate) struct Feg {
    pub(super) ground: Ground,
    pub(super) config: config::Feg,
    /// How compose is called here, once it was found out.
    compose: OnceLock<String>,
}

/// What of a container matters, in one line of JSON each.
const INSPECT: &str = r#"{"id":{{json .ID}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"reference":{{json .Config.Image}},"image":{{json .Image}},"restarts":{{.RestartCount}},"status":{{json .State.Status}},"started":{{json .State.StartedAt}},"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}}}"#;

impl Feg {
    pub(super) fn new(ground: Ground, config: config::Feg) -> Feg {
        let compose = OnceLock::new();
        if !config.compose.is_empty() {
            compose.get_or_init(|| config.compose.clone());
        }
        Feg { ground, config, compose }
    }

    /// The lines every script begins with: where we are, and what Docker is called. The scripts run as root.
    fn preamble(&self) -> String {
        format!(
            "export LC_ALL=C\ncd {} || exit 3\ndocker() {{ command {} \"$@\"; }}\n\
             value() {{ sed -n \"s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p\" .env | tail -n 1 | sed \"s/[[:space:]]*\\$//; s/^\\\"\\(.*\\)\\\"\\$/\\1/; s/^'\\(.*\\)'\\$/\\1/\"; }}\n",
            quote(&self.config.directory),
            self.docker(),
        )
    }

    /// The same, for scripts that call compose: what it prints about `.env` is masked.
    fn preamble_of_compose(&self) -> String {
        let said = concat!(include_str!("masked.sh"), include_str!("said_by.sh"));
        format!("{}{}", self.preamble(), said.replace("NEXT", NEXT).replace("BACKUP", BACKUP))
    }

    /// The Docker client as root calls it: the scripts are root already, so a leading `sudo -n` is not needed.
    fn docker(&self) -> &str {
        let words = self.config.docker.trim();
        words.strip_prefix("sudo -n ").or_else(|| words.strip_prefix("sudo ")).unwrap_or(words)
    }

    /// Asks what is written in `.env` and which containers run what.
    pub(super) async fn found(&self, step: Step) -> Result<FegFound, Problem> {
        let text = self.ground.ask_root(step, "read what the gateway runs", &self.found_script()).await?;
        Ok(self.parse_found(&text))
    }

    /// Reads the answer to `found_script`.
    pub(super) fn parse_found(&self, text: &str) -> FegFound {
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (compose, project, registry, tag, engine) = (next(), next(), next(), next(), next());
        let (containers, health) = parse_containers(lines);
        self.compose.get_or_init(|| compose.clone());
        FegFound { compose, project, registry, tag, engine, containers, health }
    }

    pub(super) fn found_script(&self) -> String {
        format!(
            "{preamble}\
             [ -r .env ] || {{ echo \"there is no .env in $PWD\" >&2; exit 1; }}\n\
             {compose}\n\
             project=${{COMPOSE_PROJECT_NAME:-$(value COMPOSE_PROJECT_NAME)}}\n\
             [ -n \"$project\" ] || project=$(basename \"$PWD\" | tr 'A-Z' 'a-z' | tr -cd 'a-z0-9_-')\n\
             printf '%s\\n' \"$compose\" \"$project\" \"$(value DOCKER_REGISTRY)\" \"$(value IMAGE_VERSION)\" \\\n  \
               \"$(cat /var/run/docker.pid 2>/dev/null)\"\n\
             set -e\n\
             ids=$(docker ps -aq --filter label=com.docker.compose.project=\"$project\" --filter label=com.docker.compose.oneoff=False)\n\
             [ -z \"$ids\" ] || docker inspect --format {inspect} $ids",
            preamble = self.preamble(),
            compose = match self.compose.get() {
                Some(compose) => format!("compose={}", quote(compose)),
                None => "if docker compose version >/dev/null 2>&1; then compose='docker compose'; \
                         else compose=docker-compose; fi"
                    .to_owned(),
            },
            inspect = quote(INSPECT),
        )
    }

    pub(super) fn release_of(&self, found: &FegFound) -> Option<String> {
        let tags = self.tags(found);
        (!tags.is_empty()).then(|| tags.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The tags of the release's images that run; a site may run others beside them.
    fn tags<'a>(&self, found: &'a FegFound) -> BTreeSet<&'a str> {
        // What stands before the name, a registry and perhaps more, may have changed since.
        let is_ours = |name: &str| self.config.images.iter().any(|image| name.ends_with(image.as_str()));
        let named = found.containers.values().map(Container::named);
        named.filter(|(name, _)| is_ours(name)).map(|(_, tag)| tag).collect()
    }

    fn reference(found: &FegFound, image: &str, tag: &str) -> String {
        format!("{}{image}:{tag}", found.registry)
    }

    /// Asks the registry, through this gateway's own Docker engine, whether each image has the tag.
    pub(crate) async fn images_of(
        &self,
        found: &FegFound,
        tag: &str,
        login: Option<&Login>,
    ) -> Result<Vec<(String, Answer)>, Problem> {
        let references = self.references(found, tag);
        let command = format!("exec {} system dial-stdio", self.docker());
        let asked = references.iter().map(|reference| format!(" # GET /distribution/{reference}/json"));
        self.ground.commanded(Step::Resolve, &format!("{command}{}", asked.collect::<String>()));
        let ask = || registry::ask(&self.ground.host, &command, &references, login);
        let all = references.join("`, `");
        let not_asked = || Trouble::RegistryUnasked { reference: &all }.on(&self.ground.name);
        let asked = self.ground.host.outlast(ask).await.map_err(|error| not_asked().because_of(&error))?;
        let answers = asked.map_err(|error| not_asked().because_of(&error))?;
        Ok(references.into_iter().zip(answers).collect())
    }

    /// Whether the registry answers, asked for the tag that runs here: missing is an answer too.
    pub(crate) async fn registry_answers(&self) -> Result<String, Problem> {
        let found = self.found(Step::Connect).await?;
        let login = self.login(&found).await?;
        for (reference, answer) in self.images_of(&found, &found.tag, login.as_ref()).await? {
            if let Answer::Unknown { status, said } = answer {
                return Err(self.registry_will_not_say(&reference, status, &said));
            }
        }
        Ok(format!("{} answers", found.registry))
    }

    /// The problem of a registry whose answer tells nothing.
    pub(crate) fn registry_will_not_say(&self, reference: &str, status: u16, said: &str) -> Problem {
        let why = format!("{said} (status {status} of the Docker engine)");
        Trouble::RegistryWillNotSay { reference }.on(&self.ground.name).because(why)
    }

    /// The login that this gateway's Docker client keeps for the registry. It passes through our memory, and is redacted.
    pub(crate) async fn login(&self, found: &FegFound) -> Result<Option<Login>, Problem> {
        let text = self
            .ground
            .ask_root(
                Step::Resolve,
                "read the registry login",
                "cat \"${DOCKER_CONFIG:-${HOME:-/root}/.docker}/config.json\" 2>/dev/null || true",
            )
            .await?;
        let login = registry::login_for(&text, &found.registry);
        if let Some(login) = &login {
            login.learn(self.ground.events.redactor());
        }
        Ok(login)
    }

    /// Checks the compose file and pulls the images. Touches no service. Where the release is what runs here, returns what runs now.
    pub(super) async fn lay_ready(&self, target: &Target, found: &FegFound) -> Result<Option<FegFound>, Problem> {
        let step = Step::Prepare;
        let tag = target.tag.as_deref().expect("the tag is resolved when a FEG is upgraded");
        self.stage(target, found, tag).await?;

        let pull = self.pull_script(&self.references(found, tag));
        self.ground
            .must_root(step, &pull, self.config.prepare_timeout, |said| {
                let is_missing =
                    ["manifest unknown", "not found: manifest", "manifest for"].iter().any(|sign| said.contains(sign));
                let class = if is_missing { Class::Upgrade } else { Class::Testbed };
                Trouble::Unpulled { tag, class }.on(&self.ground.name).because(said)
            })
            .await?;

        if target.is_forced {
            return Ok(None);
        }
        let Some((expected, now)) = self.in_use(target, found, tag).await? else { return Ok(None) };
        let is_there = self.is_target(found, found, &expected).is_ok();
        if is_there && self.ground.is_only_looked_at() {
            self.ground.note(step, format!("runs `{tag}` already, if the pull brings no other images"));
        }
        Ok(is_there.then_some(now))
    }

    /// What must run, and what runs now, where the files of the release are the very files in use; nothing where they are not.
    async fn in_use(
        &self,
        target: &Target,
        found: &FegFound,
        tag: &str,
    ) -> Result<Option<(FegExpected, FegFound)>, Problem> {
        let references = self.references(found, tag);
        let compare = format!(
            "{}cmp -s docker-compose.yml {NEXT}/docker-compose.yml && cmp -s .env {NEXT}/.env || exit 0\necho same\n{}\necho ---\n{}",
            self.preamble(),
            self.expected_script(&references),
            self.found_script(),
        );
        let output = if self.ground.is_only_looked_at() {
            let aside = aside(&format!("{}\n{compare}", self.stage_script(target, found, tag)));
            self.ground.commanded(Step::Prepare, &compare);
            self.ground.look(&aside, self.config.prepare_timeout).await?
        } else {
            self.ground.run_root(Step::Prepare, &compare, super::MINUTE).await?
        };
        let said = output.text();
        // Where it is only looked at, what lays it ready has said something before.
        let Some((_, said)) = said.split_once("same\n") else {
            return self.ground.answer("compare the compose file", &output).map(|_| None);
        };
        // They were not pulled where it is only looked at.
        if found.containers.is_empty() || self.ground.is_only_looked_at() && !output.is_success() {
            return Ok(None);
        }
        self.ground.answer("read the image IDs", &output)?;
        let (expected, now) = said.split_once("---\n").unwrap_or((said, ""));
        Ok(Some((FegExpected::parse(expected, tag, references, found.clone()), self.parse_found(now))))
    }

    /// The images of a release, as Docker names them.
    fn references(&self, found: &FegFound, tag: &str) -> Vec<String> {
        self.config.images.iter().map(|image| Self::reference(found, image, tag)).collect()
    }

    fn pull_script(&self, references: &[String]) -> String {
        let mut script = format!("{}pulls=\n", self.preamble());
        for reference in references {
            script.push_str(&format!("docker pull -q {} 2>&1 &\npulls=\"$pulls $!\"\n", quote(reference)));
        }
        script.push_str("status=0\nfor pull in $pulls; do wait \"$pull\" || status=$?; done\nexit $status");
        script
    }

    /// Lays the compose file and the `.env` of the release beside those in use, and has compose check them.
    async fn stage(&self, target: &Target, found: &FegFound, tag: &str) -> Result<(), Problem> {
        let step = Step::Prepare;
        let name = &self.ground.name;
        let script = self.stage_script(target, found, tag);
        let patience = self.config.prepare_timeout;
        let output = self.ground.change_or_lay_aside(step, &script, &aside(&script), patience).await?;
        let (release, said) = (target.release.version(), super::all_said(&output));
        // Whatever else has failed has failed of that.
        self.ground.has_room(&said, FOLDER)?;
        match output.status {
            0 => {
                for line in output.text().lines().filter(|line| line.contains("variable is not set")) {
                    self.ground.warn(step, format!("compose: {}", line.trim()));
                }
                Ok(())
            }
            3 => Err(Trouble::NotLaidReady { release }.on(name).because(last_lines(&said, 5))),
            // Compose is not there, or was killed.
            status @ (126 | 127 | 129..) => {
                Err(Trouble::NoCompose.on(name).because(format!("exit status {status}: {}", last_lines(&said, 5))))
            }
            _ => {
                let class = activation_class(&said);
                Err(Trouble::ComposeRefuses { release, class }.on(name).because(last_lines(&said, 5)))
            }
        }
    }

    fn stage_script(&self, target: &Target, found: &FegFound, tag: &str) -> String {
        let fetch = match &self.config.compose_url {
            Some(template) => {
                let url = quote(&target.release.fill(template));
                format!(
                    "if command -v curl >/dev/null; then curl -fsSL --max-time 120 -o {NEXT}/docker-compose.yml {url}; \
                     else wget -q -T 120 -O {NEXT}/docker-compose.yml {url}; fi || exit 3\n"
                )
            }
            None => format!("cp docker-compose.yml {NEXT}/docker-compose.yml || exit 3\n"),
        };
        format!(
            "{room}{preamble}umask 077\nrm -rf {NEXT}\nmkdir -p {NEXT} || exit 3\n{fetch}\
             cp -p .env {NEXT}/.env || exit 3\n\
             tag={tag}\n{edit}{files}{services}",
            room = room_script(FOLDER),
            preamble = self.preamble_of_compose(),
            tag = quote(tag),
            edit = include_str!("edit_env.sh").replace("NEXT", NEXT),
            files = include_str!("compose_files.sh").replace("NEXT", NEXT),
            services = include_str!("services.sh")
                .replace("NEXT", NEXT)
                .replace("KNOWN", if target.is_forced { "/dev/null" } else { KNOWN })
                .replace("COMPOSE", &found.compose),
        )
    }

    /// Asks what the images of the release are here, and which services its compose file has.
    fn expected_script(&self, references: &[String]) -> String {
        let quoted: Vec<String> = references.iter().map(|reference| quote(reference)).collect();
        format!("docker image inspect --format '{{{{.Id}}}}' {} || exit\ncat {NEXT}/services", quoted.join(" "))
    }

    /// Keeps `.env`, the compose file, and a name of our own for every image in use, so that no prune of dangling images takes it;
    /// and where each came from, for one that is taken nevertheless.
    pub(super) async fn secure_way_back(&self, found: &FegFound) -> Result<(), Problem> {
        let script = self.way_back_script(found);
        self.ground
            .must_root(Step::Prepare, &script, Duration::from_secs(120), |said| {
                Trouble::NoWayBack.on(&self.ground.name).because(said)
            })
            .await
            .map(drop)
    }

    fn way_back_script(&self, found: &FegFound) -> String {
        let names: Vec<String> = found.containers.keys().map(|service| quote(service)).collect();
        let mut script = format!(
            "{preamble}set -e\numask 077\nrm -rf {BACKUP}\nmkdir -p {BACKUP}\ncp -p .env docker-compose.yml {BACKUP}/\n\
             if cmp -s docker-compose.yml {NEXT}/docker-compose.yml; then cp {NEXT}/services {BACKUP}/services\n\
             else {compose} config --services > {BACKUP}/services 2>/dev/null || printf '%s\\n' {names} > {BACKUP}/services; fi\n",
            preamble = self.preamble(),
            compose = found.compose,
            names = names.join(" "),
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

    /// The switch itself: what the job on the host does.
    pub(super) fn activate_script(&self, target: &Target, found: &FegFound) -> String {
        let force = if target.is_forced { " --force-recreate" } else { "" };
        format!(
            "{preamble}{remove}{witness}set -e\n{quiesce}{place}place docker-compose.yml\nplace .env\nare_placed=yes\n\
             for service in $(grep -vxFf {NEXT}/services {BACKUP}/services); do remove \"$service\"; done\n\
             said_by {compose} up -d{force} || {{\n  holds_a_lost_name || true\n  exit 1\n}}\n",
            preamble = self.preamble_of_compose(),
            remove = Self::remove(found),
            witness = include_str!("witness.sh").replace("NEXT", NEXT).replace("DOCKER", self.docker()),
            quiesce = self.quiesce(),
            place = PLACE.replace("NEXT", NEXT),
            compose = found.compose,
        )
    }

    /// Removes the containers of one service. Not `--remove-orphans`: a site may run containers of its own in the same
    /// project, from a compose file that we do not know.
    fn remove(found: &FegFound) -> String {
        format!(
            "remove() {{\n  ids=$(docker ps -aq --filter label=com.docker.compose.project={} \
             --filter label=com.docker.compose.service=\"$1\")\n  [ -z \"$ids\" ] || docker rm -f $ids >/dev/null\n}}\n",
            quote(&found.project)
        )
    }

    /// Sets aside what would fight us, waits until what it has started is over, and keeps it where [`Self::resume_script`] finds it. For scripts under `set -e`, which
    /// does not hear of what fails before an `&&`.
    fn quiesce(&self) -> String {
        let mut script = format!("mkdir -p {QUIESCED}\n");
        for file in &self.config.quiesce {
            let kept = quote(&format!("{QUIESCED}/{}", file.replace('/', "%")));
            let file = quote(file);
            script.push_str(&format!(
                "if [ -e {file} ]; then\n  cp -p {file} {kept}\n  sync {kept}\n  rm -f {file}\nfi\n"
            ));
        }
        script + &include_str!("at_rest.sh").replace("QUIESCED", QUIESCED)
    }

    /// Puts back what was set aside, whatever the config says today. For scripts under `set -e`.
    pub(super) fn resume_script() -> String {
        include_str!("resume.sh").replace("QUIESCED", QUIESCED)
    }

    /// What brings the gateway back to `found`, from what was kept: what ran runs, what was there and did not run is there again
    /// and does not, what was not there is gone.
    pub(super) fn restore_script(&self, found: &FegFound) -> String {
        // What is not healthy yet, or crashes and is started again, was meant to run.
        let is_started = |service: &str| {
            found
                .health
                .units
                .get(service)
                .is_some_and(|unit| unit.state.starts_with("running") || unit.state.starts_with("restarting"))
        };
        let (started, stopped): (Vec<&String>, Vec<&String>) =
            found.containers.keys().partition(|service| is_started(service.as_str()));
        let words =
            |services: Vec<&String>| quote(&services.into_iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        format!(
            "{preamble}{remove}{engine}set -e\n{quiesce}set +e\n{name}{place}\
             {tag}started={started}\nstopped={stopped}\n{go_back}",
            preamble = self.preamble_of_compose(),
            remove = Self::remove(found),
            engine = include_str!("engine_anew.sh").replace("DOCKER", self.docker()).replace("BACKUP", BACKUP),
            quiesce = self.quiesce(),
            name = Self::name_images(found),
            place = PLACE.replace("NEXT", BACKUP),
            tag = self.tag_that_ran(found),
            started = words(started),
            stopped = words(stopped),
            go_back = include_str!("compose_back.sh")
                .replace("BACKUP", BACKUP)
                .replace("NEXT", NEXT)
                .replace("COMPOSE", &found.compose),
        )
    }

    /// Has compose bring back the tag that ran, whatever `.env` says: somebody may have written another there that never ran.
    fn tag_that_ran(&self, found: &FegFound) -> String {
        match self.tags(found).into_iter().collect::<Vec<_>>()[..] {
            [tag] => format!("export IMAGE_VERSION={}\n", quote(tag)),
            _ => String::new(),
        }
    }

    /// Gives the images in use the names under which they were started: a tag may have moved with a pull.
    fn name_images(found: &FegFound) -> String {
        let mut script = include_str!("image_back.sh").replace("BACKUP", BACKUP);
        for container in found.containers.values().filter(|container| container.is_tagged()) {
            script.push_str(&format!("name_image {} {}\n", quote(&container.image), quote(&container.reference)));
        }
        script
    }

    /// Takes away what `prepare` laid ready, where nothing is switched.
    pub(super) fn clear_script(&self, found: &FegFound) -> String {
        format!("{}{}{}", self.preamble(), Self::name_images(found), Self::forget_way_back())
    }

    /// Takes away our own names of the images; not the images that have another.
    fn forget_way_back() -> String {
        format!(
            "docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {WAY_BACK} | while read -r name; do\n  \
             docker rmi \"$name\" >/dev/null 2>&1 || true\ndone\n"
        )
    }

    /// Keeps what compose has said of the files that are in use now.
    pub(super) fn keep_services() -> String {
        format!("mv {NEXT}/known {KNOWN} 2>/dev/null || true\n")
    }

    /// What ends a switch, one way or the other.
    pub(super) fn finish_script(&self) -> String {
        format!(
            "{}set -e\n{}{}{}",
            self.preamble(),
            Self::resume_script(),
            Self::forget_way_back(),
            Self::keep_services()
        )
    }

    /// What must run once the switch is done, which has left `switched`: asked once, after it.
    pub(super) async fn expected(
        &self,
        step: Step,
        switched: FegFound,
        target: &Target,
    ) -> Result<FegExpected, Problem> {
        let tag = target.tag.as_deref().expect("the tag is resolved when a FEG is upgraded");
        let references = self.references(&switched, tag);
        let script = format!("{}{}", self.preamble(), self.expected_script(&references));
        let said = self.ground.ask_root(step, "read the image IDs", &script).await?;
        Ok(FegExpected::parse(&said, tag, references, switched))
    }

    /// What somebody else has done to the gateway since the switch: a release that crashes keeps its containers, and it does not
    /// write `.env`.
    pub(super) fn is_meddled_with(now: &FegFound, expected: &FegExpected) -> Option<String> {
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

    /// Whether every service runs the image that the release's tag means now, and is up.
    pub(super) fn is_target(&self, now: &FegFound, before: &FegFound, expected: &FegExpected) -> Result<(), String> {
        if expected.services.is_empty() {
            return Err("compose knows no service".to_owned());
        }
        for service in &expected.services {
            let Some(container) = now.containers.get(service) else {
                return Err(format!("`{service}` has no container"));
            };
            if expected.images.get(&container.reference) != Some(&container.image) {
                return Err(format!("`{service}` runs {} and not `{}`", container.reference, expected.tag));
            }
        }
        self.is_healthy(now, before, &expected.services)
    }

    /// What `verify` asks, in order; the first and the last are the same question.
    pub(super) fn verify_scripts(&self, target: &Target, found: &FegFound) -> Vec<String> {
        let references = self.references(found, target.tag.as_deref().unwrap_or_default());
        let asked = self.found_script();
        let expected = format!("{}{}", self.preamble(), self.expected_script(&references));
        vec![asked.clone(), expected, asked]
    }

    /// Whether every service is up that the config requires, that was up before and still exists, or that the release brings.
    pub(super) fn is_healthy(
        &self,
        now: &FegFound,
        before: &FegFound,
        brought: &BTreeSet<String>,
    ) -> Result<(), String> {
        let still_there = before.health.running().filter(|service| brought.is_empty() || brought.contains(*service));
        now.health.has(self.config.services.iter().cloned().chain(still_there.map(str::to_owned)))
    }

    /// The tag of a release's images.
    pub(crate) fn tag_of(&self, release: &Release) -> String {
        release.fill(&self.config.tag)
    }

    /// Whether it is again what it was; what was down before may be down now.
    pub(super) fn is_as_before(now: &FegFound, before: &FegFound) -> Result<(), String> {
        for (service, was) in &before.containers {
            match now.containers.get(service) {
                Some(is) if is.image == was.image => {}
                Some(is) => {
                    return Err(format!(
                        "`{service}` runs {} ({}) and ran {} ({})",
                        is.reference, is.image, was.reference, was.image
                    ));
                }
                None if before.health.units.get(service).is_some_and(|unit| unit.is_up) => {
                    return Err(format!("`{service}` has no container"));
                }
                None => {}
            }
        }
        if let Some(service) = now.containers.keys().find(|service| !before.containers.contains_key(*service)) {
            return Err(format!("`{service}` has a container and had none"));
        }
        now.health.has(before.health.running().map(str::to_owned))
    }

    pub(super) fn last_words_script(&self, found: &FegFound, services: &[String]) -> String {
        let services: Vec<String> = services.iter().take(3).map(|service| quote(service)).collect();
        format!(
            "{}masked {} logs --no-color --tail 8 {} | tail -n 24",
            self.preamble_of_compose(),
            found.compose,
            services.join(" ")
        )
    }

    pub(super) fn journal_script(&self, found: &FegFound, since: &str) -> String {
        format!(
            "{}{}",
            self.preamble(),
            include_str!("journal.sh").replace("SECONDS", since).replace("PROJECT", &quote(&found.project))
        )
    }

    /// The engine's journal and what the containers print, one after the other; where they are followed all at once, each line after
    /// its container's name.
    pub(super) fn log_script(&self, window: &Window) -> String {
        let (of_journal, of_containers) = (window.of_journal(), window.of_containers());
        let journal = format!("journalctl -q --no-pager -o short-iso {of_journal} -u 'docker*' 2>&1");
        let logs = format!("docker logs --timestamps {of_containers} \"$name\" 2>&1");
        let each = "for name in $(docker ps -a --filter label=com.docker.compose.project --format '{{.Names}}' | sort)";
        let docker = self.docker();
        let show = if window.is_followed {
            format!("{journal} &\n{each}; do\n  {logs} | sed -u \"s/^/$name | /\" &\ndone\nwait\n")
        } else {
            format!("{journal}\n{each}; do\n  echo \"== $name\"\n  {logs}\ndone\n")
        };
        format!("export LC_ALL=C\ndocker() {{ command {docker} \"$@\"; }}\n{show}")
    }
}

/// A script that makes in a folder of its own what it would lay ready, and throws it away again.
fn aside(script: &str) -> String {
    let script = script.replace(NEXT, "$aside/next");
    format!("aside=$(mktemp -d) || exit 3\ntrap 'rm -rf \"$aside\"' EXIT\n{script}")
}

/// What compose has last said of which files.
const KNOWN: &str = "/var/lib/teravm-ci/known";

/// Where the images go.
pub(super) const FOLDER: &str = "/var/lib/docker";

/// Our own name for the images that a gateway ran, so that no prune of dangling images takes them.
const WAY_BACK: &str = "teravm-ci/way-back";

/// Puts a file of the folder NEXT where compose reads it: whole, with owner and mode of the one that was there.
const PLACE: &str = "place() {\n  cp -p \"$1\" \"$1.teravm-ci\" && cat NEXT/\"$1\" > \"$1.teravm-ci\" && sync \"$1.teravm-ci\" && mv \"$1.teravm-ci\" \"$1\"\n}\n";

impl FegExpected {
    /// Reads the answer to `expected_script`: a line for each image, then the services.
    fn parse(said: &str, tag: &str, references: Vec<String>, switched: FegFound) -> FegExpected {
        let mut lines = said.lines().map(|line| line.trim().to_owned());
        let images = references.into_iter().zip(lines.by_ref()).collect();
        let services = lines.filter(|line| !line.is_empty()).collect();
        FegExpected { tag: tag.to_owned(), images, services, switched }
    }
}

impl Container {
    /// Name and tag of the image that it was started by. A colon before a slash belongs to the registry's port.
    pub(super) fn named(&self) -> (&str, &str) {
        match self.reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (&self.reference, "latest"),
        }
    }

    /// Whether it was started by a tag, which can be given to its image again; not by a digest or an image ID.
    fn is_tagged(&self) -> bool {
        !self.reference.contains('@') && !self.reference.starts_with("sha256:")
    }
}

impl FegFound {
    /// The images in use, short, as `docker images` shows them.
    pub(crate) fn images(&self) -> String {
        let images: BTreeSet<&str> = self.containers.values().map(|container| container.image.as_str()).collect();
        let short = |image: &str| image.trim_start_matches("sha256:").chars().take(12).collect::<String>();
        images.into_iter().map(short).collect::<Vec<_>>().join(" ")
    }
}

impl From<FegFound> for Found {
    fn from(found: FegFound) -> Self {
        Found::Feg(found)
    }
}

/// Reads the lines of [`INSPECT`].
pub(super) fn parse_containers<'a>(lines: impl Iterator<Item = &'a str>) -> (BTreeMap<String, Container>, Health) {
    let mut containers = BTreeMap::new();
    let mut units = BTreeMap::new();
    for line in lines {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let service = text("service");
        if service.is_empty() {
            continue;
        }
        let (status, health) = (text("status"), text("health"));
        let state = if health.is_empty() { status.clone() } else { format!("{status}, {health}") };
        let is_up = status == "running" && matches!(health.as_str(), "" | "healthy");
        let mark = format!("started {} restarts {}", text("started"), value["restarts"]);
        units.insert(service.clone(), Unit { state, is_up, mark });
        containers.insert(service, Container { id: text("id"), reference: text("reference"), image: text("image") });
    }
    (containers, Health::of(units))
}

pub(super) fn activation_class(said: &str) -> Class {
    blamed(
        said,
        &[
            "no space left on device",
            "Cannot connect to the Docker daemon",
            "Error while fetching server API version",
            "the Docker engine does not answer",
            "Read timed out",
            "the Docker engine was started anew",
            "somebody else has written .env",
            // What compose has just made, or `prepare` has pulled, is gone again: somebody else is at work here. No release does that.
            "No such container",
            "No such image",
            "holds the name of a container that is gone",
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_up_when_it_runs_and_is_not_called_unhealthy() {
        let lines = [
            r#"{"service":"magmad","reference":"r/gateway_python:5d2e8f90","image":"sha256:1","restarts":0,"status":"running","started":"t1","health":""}"#,
            r#"{"service":"td-agent-bit","reference":"r/gateway_python:5d2e8f90","image":"sha256:1","restarts":0,"status":"running","started":"t1","health":"starting"}"#,
            r#"{"service":"s6a_proxy","reference":"r/gateway_go:5d2e8f90","image":"sha256:2","restarts":7,"status":"restarting","started":"t9","health":""}"#,
            "WARNING: not JSON",
        ];
        let (containers, health) = parse_containers(lines.into_iter());
        assert_eq!(containers.len(), 3);
        let up: Vec<&str> = health.running().collect();
        assert_eq!(up, ["magmad"]);
        assert_eq!(health.units["s6a_proxy"].mark, "started t9 restarts 7");
    }

    fn container(id: &str, reference: &str) -> Container {
        Container { id: id.to_owned(), reference: reference.to_owned(), image: "sha256:1".to_owned() }
    }

    fn found(services: &[(&str, &str)]) -> FegFound {
        FegFound {
            compose: "docker-compose".to_owned(),
            project: "docker".to_owned(),
            registry: "r/".to_owned(),
            tag: "1".to_owned(),
            engine: "812".to_owned(),
            containers: services
                .iter()
                .map(|&(service, id)| (service.to_owned(), container(id, "r/gateway_go:1")))
                .collect(),
            health: Health::default(),
        }
    }

    #[test]
    fn what_somebody_else_does_after_the_switch_is_not_the_releases_doing() {
        let switched = found(&[("magmad", "a"), ("redis", "b")]);
        let expected = FegExpected {
            tag: "1".to_owned(),
            images: BTreeMap::new(),
            services: BTreeSet::new(),
            switched: switched.clone(),
        };
        let meddled = |now: FegFound| Feg::is_meddled_with(&now, &expected).unwrap_or_default();
        assert_eq!(meddled(switched.clone()), "");
        assert_eq!(
            meddled(found(&[("magmad", "a"), ("redis", "c")])),
            "somebody has removed the container of `redis` that the switch has made"
        );
        assert_eq!(
            meddled(found(&[("redis", "b")])),
            "somebody has removed the container of `magmad` that the switch has made"
        );
        let other = FegFound { tag: "c0ffee00".to_owned(), ..switched.clone() };
        assert_eq!(meddled(other), "`.env` names `c0ffee00`, which is not what the switch has written");
        let anew = FegFound { engine: "9001".to_owned(), ..switched.clone() };
        assert_eq!(meddled(anew), "the Docker engine was started anew");
    }

    #[test]
    fn a_switch_that_fails_says_what_somebody_else_did_meanwhile() {
        let said_beside = |engine: &str, script: &str| {
            let witness = include_str!("witness.sh").replace("NEXT", "next").replace("DOCKER", engine);
            let env: &[(&str, &[u8])] = &[(".env", b"A=1\n")];
            let (_folder, output) = in_folder(env, &format!("{witness}mkdir next; cp .env next/\n{script}"));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let said = |script: &str| said_beside("true", script);
        assert_eq!(said_beside("false", "true"), "");
        assert_eq!(said_beside("false", "false"), "the Docker engine does not answer\n");
        assert_eq!(said_beside("false", "kill $$; true"), "the Docker engine does not answer\n");
        assert_eq!(said("echo A=2 > .env; false"), "");
        assert_eq!(said("are_placed=yes; false"), "");
        assert_eq!(said("are_placed=yes; echo A=2 > .env; true"), "");
        assert_eq!(said("are_placed=yes; echo A=2 > .env; false"), "somebody else has written .env meanwhile\n");
    }

    #[test]
    fn what_cron_has_started_already_is_waited_for() {
        let script = "mkdir kept\ncp job job.sh\nchmod +x job.sh\nprintf '%s\\n' \"* * * * * root $PWD/job.sh >/dev/null\" >kept/cron\n\
                      \"$PWD/job.sh\" &\n";
        let rests = include_str!("at_rest.sh").replace("QUIESCED", "kept");
        let job: (&str, &[u8]) = ("job", b"#!/bin/sh\nsleep 1\ntouch done\n");
        let (_folder, output) = in_folder(&[job], &format!("{script}{rests}cat done && echo over\n"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "over\n", "{output:?}");
    }

    #[test]
    fn what_compose_says_goes_on_its_way_and_tells_of_a_name_that_is_lost() {
        let said = |compose: &str, inspect: &str| {
            let script = format!(
                "set -e\nmasked() {{ \"$@\"; }}\ndocker() {{ {inspect}; }}\ncompose() {{ {compose}; }}\n{}\
                 said_by compose up || {{ echo \"status $?\"; holds_a_lost_name || true; }}",
                include_str!("said_by.sh")
            );
            let (_folder, output) = in_folder(&[], &script);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let conflict =
            "echo 'Conflict. The container name \"/x\" is already in use by container \"e4d5\". You'; return 3";
        let lost = "Conflict. The container name \"/x\" is already in use by container \"e4d5\". You\nstatus 3\n";
        assert_eq!(said("echo done", "false"), "done\n");
        assert_eq!(said("echo no; return 1", "false"), "no\nstatus 1\n");
        assert_eq!(said(conflict, "true"), lost);
        assert_eq!(
            said(conflict, "false"),
            format!("{lost}the Docker engine holds the name of a container that is gone\n")
        );
    }

    #[test]
    fn an_engine_that_does_not_answer_is_started_anew_and_asked_again() {
        let engine: (&str, &[u8]) = ("engine", b"#!/bin/sh\n[ -e anew ] || exec sleep 9\necho \"$@\"\n");
        let script = "chmod +x engine\n\
             timeout() { shift; if [ \"$1\" = systemctl ]; then \"$@\"; else command timeout 1 \"$@\"; fi; }\n\
             systemctl() { touch anew; }\n";
        let anew = include_str!("engine_anew.sh").replace("DOCKER", "./engine");
        let asked = "ids=$(docker ps -aq); echo \"$ids\"; docker ps\n";
        let (_folder, output) = in_folder(&[engine], &format!("{script}{anew}{asked}"));
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "the Docker engine does not answer\nstarting the Docker engine anew\nps -aq\nps\n"
        );
    }

    /// Runs a script with `NEXT`, `BACKUP` and the current folder in a folder of its own.
    #[test]
    fn compose_is_asked_once_about_the_same_files() {
        let known = include_str!("services.sh").replace("NEXT", "next").replace("COMPOSE", "compose");
        let (asked, forced) = (known.replace("KNOWN", "known"), known.replace("KNOWN", "/dev/null"));
        // Each call of compose is a line in `calls`.
        let script = format!(
            "masked() {{ \"$@\"; }}\ncompose() {{ echo call >>calls; [ \"$1\" = --project-directory ] || return 9; \
             case $* in *' --services') echo magmad ;; esac; }}\n\
             ask() {{ mkdir -p next; cp .env docker-compose.yml next/; [ -z \"$1\" ] || echo X=1 >>next/.env; set -- -f next/docker-compose.yml; }}\n\
             is() {{ echo \"$1: $(cat calls | wc -l) calls, $(cat next/services)\"; : >calls; rm next/services; }}\n\
             keep() {{ mv next/known known; }}\n: >calls\n\
             ask; {asked}\nis first; keep\nask; {asked}\nis again; keep\nask; {forced}\nis forced\n\
             ask other; {asked}\nis 'another release'; keep\nask; {asked}\nis 'back'; keep\nask; {asked}\nis 'and again'\n"
        );
        let files: [(&str, &[u8]); 2] = [(".env", b"IMAGE_VERSION=a\n"), ("docker-compose.yml", b"services: {}\n")];
        let (_folder, output) = in_folder(&files, &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "first: 2 calls, magmad\nagain: 0 calls, magmad\nforced: 2 calls, magmad\nanother release: 2 calls, magmad\n\
             back: 2 calls, magmad\nand again: 0 calls, magmad\n",
            "{output:?}"
        );
    }

    #[test]
    fn a_container_that_has_said_nothing_is_not_asked_what_it_has_said() {
        let script = "docker() {\n  case $1 in\n  ps) echo 1 2 3 4 ;;\n  inspect) printf '%s\\n' '/talks journald ' '/quiet journald ' \"/file json-file $PWD/old.log\" \
                      '/other local ' ;;\n  logs) echo \"what $5 said\" ;;\n  esac\n}\n\
                      journalctl() { case $* in *CONTAINER_NAME=talks) echo x ;; *CONTAINER_NAME*) ;; *) echo engine ;; esac; }\n\
                      touch -d '-1 hour' old.log\n";
        let journal = include_str!("journal.sh").replace("SECONDS", "60").replace("PROJECT", "feg");
        let (_folder, output) = in_folder(&[], &format!("{script}{journal}"));
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "engine\n== talks\nwhat talks said\n== quiet\n== file\n== other\nwhat other said\n",
            "{output:?}"
        );
    }

    fn in_folder(files: &[(&str, &[u8])], script: &str) -> (tempfile::TempDir, std::process::Output) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).expect("a file of the test");
        }
        let script = format!("export LC_ALL=C\n{script}").replace("NEXT", &path).replace("BACKUP", &path);
        let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output();
        (folder, output.expect("sh is there"))
    }

    fn edited(env: &[u8]) -> Vec<u8> {
        let script = format!("tag=5d2e8f90\n{}", include_str!("edit_env.sh"));
        let (folder, output) = in_folder(&[(".env", env)], &script);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1, "something was left beside .env");
        std::fs::read(folder.path().join(".env")).expect(".env")
    }

    #[test]
    fn the_tag_is_set_and_all_else_stays_byte_for_byte() {
        let cases: [(&[u8], &[u8]); 14] = [
            (b"IMAGE_VERSION=old\n", b"IMAGE_VERSION=5d2e8f90\n"),
            (b"A=1\r\nIMAGE_VERSION=old\r\nB=2\r\n", b"A=1\r\nIMAGE_VERSION=5d2e8f90\r\nB=2\r\n"),
            (b"IMAGE_VERSION=old # by hand\n", b"IMAGE_VERSION=5d2e8f90 # by hand\n"),
            (b"IMAGE_VERSION= # none\n", b"IMAGE_VERSION=5d2e8f90 # none\n"),
            (b"IMAGE_VERSION=\"old one\" # x\n", b"IMAGE_VERSION=\"5d2e8f90\" # x\n"),
            (b"IMAGE_VERSION=''\n", b"IMAGE_VERSION='5d2e8f90'\n"),
            (b" IMAGE_VERSION = old", b" IMAGE_VERSION = 5d2e8f90"),
            (b"IMAGE_VERSION=\n", b"IMAGE_VERSION=5d2e8f90\n"),
            (
                b"IMAGE_VERSION=1\nIMAGE_VERSION=2\n#IMAGE_VERSION=3\n",
                b"IMAGE_VERSION=1\nIMAGE_VERSION=5d2e8f90\n#IMAGE_VERSION=3\n",
            ),
            (b"A=\0\xff\nIMAGE_VERSION=old\nB=\0\n", b"A=\0\xff\nIMAGE_VERSION=5d2e8f90\nB=\0\n"),
            (b"MY_IMAGE_VERSION=1\n", b"MY_IMAGE_VERSION=1\nIMAGE_VERSION=5d2e8f90\n"),
            (b"A=1", b"A=1\nIMAGE_VERSION=5d2e8f90\n"),
            (b"A=\0", b"A=\0\nIMAGE_VERSION=5d2e8f90\n"),
            (b"", b"IMAGE_VERSION=5d2e8f90\n"),
        ];
        for (before, after) in cases {
            assert_eq!(edited(before).escape_ascii().to_string(), after.escape_ascii().to_string());
        }
    }

    #[test]
    fn no_value_of_env_passes_and_the_exit_status_does() {
        let env = b"DOCKER_PASSWORD=s3cr3t-word\r\nIMAGE_VERSION=old\nC-D=a%b\nnonsense without equals\n";
        let script = format!(
            "{}\nset -e\nmasked sh -c 'echo fine; exit 0'\nmasked cat said && :\nmasked sh -c 'exit 7'\necho not here",
            include_str!("masked.sh")
        );
        let said = b"line 1: unexpected character \"-\" in variable name near \"C-D=a%b\\nX=1\"\n\
                     unexpected character \"%\" in variable name \"C-D=a%b\"\nlogin with s3cr3t-word failed\n\
                     unterminated quoted value 'abc\nDOCKER_PASSWORD=x\nbefore nonsense without equals after\nPulling magmad\n";
        let (_folder, output) = in_folder(&[(".env", env), ("said", said)], &script);
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "fine\nline 1: unexpected character \"-\" in variable name near \"***\n\
             unexpected character \"%\" in variable name \"C-D=***\nlogin with *** failed\n\
             unterminated quoted value ***\nDOCKER_PASSWORD=***\nbefore *** after\nPulling magmad\n"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    #[test]
    fn what_was_set_aside_is_put_back_whatever_the_config_says() {
        let kept = tempfile::tempdir().expect("a temporary folder");
        let home = tempfile::tempdir().expect("a temporary folder");
        let file = home.path().join("recreate_services_cron");
        let aside = kept.path().join(file.display().to_string().replace('/', "%"));
        std::fs::write(&aside, "* * * * * root true\n").expect("a file of the test");
        let script = include_str!("resume.sh").replace("QUIESCED", &kept.path().display().to_string());
        let run = || std::process::Command::new("sh").args(["-ec", &script]).output().expect("sh is there").status;
        assert!(run().success());
        assert_eq!(std::fs::read_to_string(&file).expect("it is back"), "* * * * * root true\n");
        assert!(!aside.exists());
        // Nothing is set aside any more, and that is fine.
        assert!(run().success());
        std::fs::write(kept.path().join("%gone%away%cron"), "").expect("a file of the test");
        assert!(!run().success(), "a file that cannot be put back is no success");
        assert!(kept.path().join("%gone%away%cron").exists());
    }

    #[test]
    fn the_release_is_checked_with_the_files_that_compose_reads_here() {
        let files = |value: &str, present: &[(&str, &[u8])]| {
            let script = format!("value() {{ echo '{value}'; }}\n{}echo \"$@\"", include_str!("compose_files.sh"));
            let (folder, output) = in_folder(present, &script);
            let path = folder.path().display().to_string();
            String::from_utf8_lossy(&output.stdout).replace(&path, "NEXT").trim_end().to_owned()
        };
        assert_eq!(files("", &[]), "-f NEXT/docker-compose.yml");
        let override_file: (&str, &[u8]) = ("docker-compose.override.yml", b"");
        assert_eq!(files("", &[override_file]), "-f NEXT/docker-compose.yml -f docker-compose.override.yml");
        assert_eq!(files("docker-compose.yml:site.yml", &[override_file]), "-f NEXT/docker-compose.yml -f site.yml");
    }

    #[test]
    fn the_colon_of_a_port_begins_no_tag() {
        let named = |reference: &str| {
            let container = container("a", reference);
            let (name, tag) = container.named();
            format!("{name} {tag}")
        };
        assert_eq!(named("192.168.60.10:5000/gateway_go:5d2e8f90"), "192.168.60.10:5000/gateway_go 5d2e8f90");
        assert_eq!(named("192.168.60.10:5000/gateway_go"), "192.168.60.10:5000/gateway_go latest");
        assert_eq!(named("gateway_go"), "gateway_go latest");
    }

    #[test]
    fn only_an_image_with_a_tag_can_have_its_name_again() {
        let is_tagged = |reference: &str| container("a", reference).is_tagged();
        assert!(is_tagged("192.168.60.10:5000/gateway_go:5d2e8f90"));
        assert!(!is_tagged("192.168.60.10:5000/gateway_go@sha256:1f"));
        assert!(!is_tagged("sha256:1f"));
    }

    #[test]
    fn a_service_that_was_not_there_before_is_not_as_before() {
        assert_eq!(Feg::is_as_before(&found(&[("magmad", "a")]), &found(&[("magmad", "b")])), Ok(()));
        let wrong = Feg::is_as_before(&found(&[("magmad", "a"), ("new", "b")]), &found(&[("magmad", "a")]));
        assert_eq!(wrong, Err("`new` has a container and had none".to_owned()));
    }
}
