//! The federation gateway: a compose project whose images carry the release as their tag.
//!
//! Knows compose (v1 and v2) and the Docker client as they print. Tags move, so what runs is judged by image IDs.

mod compose;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod prepare;
mod switch;
#[cfg(test)]
pub(super) mod tests;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host_state::PLACES;
use super::logins::{self, Kept, Login};
use super::registry::{self, Answer};
use super::{BACKUP, BOOT, Found, Ground, Health, LEAST_ROOM_MB, MINUTE, NEXT, STATE, Trouble, Unit};
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
    /// Another one after each boot of the host; empty where it is not known.
    #[serde(default)]
    pub(crate) boot: String,
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

#[derive(Debug)]
pub(crate) struct Feg {
    pub(super) ground: Ground,
    pub(super) config: config::Feg,
    /// Of how many releases the images stay that were pulled for them.
    keep: u32,
    /// How compose is called here, once it was found out.
    compose: OnceLock<String>,
    /// The compose program that reads the files in use and those of the release.
    chosen: OnceLock<String>,
}

/// Reads `.env`.
const VALUES: &str = include_str!("feg/values.sh");

/// What of a container matters, in one line of JSON each.
const INSPECT: &str = r#"{"id":{{json .ID}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"reference":{{json .Config.Image}},"image":{{json .Image}},"restarts":{{.RestartCount}},"status":{{json .State.Status}},"started":{{json .State.StartedAt}},"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}}}"#;

impl Feg {
    pub(super) fn new(ground: Ground, config: config::Feg, keep: u32) -> Feg {
        let compose = OnceLock::new();
        if !config.compose.is_empty() {
            compose.get_or_init(|| config.compose.clone());
        }
        Feg { ground: ground.with_logins(), config, keep, compose, chosen: OnceLock::new() }
    }

    /// The lines every script begins with: where we are, and what Docker is called. The scripts run as root.
    fn preamble(&self) -> String {
        format!(
            "export LC_ALL=C\ncd {} || exit 3\ndocker() {{ command {} \"$@\"; }}\n",
            quote(&self.config.directory),
            self.docker(),
        )
    }

    /// The same, for scripts that call compose: what it prints about `.env` is masked.
    fn preamble_of_compose(&self, found: &FegFound) -> String {
        let said = concat!(include_str!("feg/masked.sh"), include_str!("feg/said_by.sh"));
        format!(
            "{}{}{}compose_program={}\n",
            self.preamble(),
            said.replace("NEXT", NEXT).replace("BACKUP", BACKUP),
            self.composes(),
            quote(self.program(found)),
        )
    }

    /// What finds and calls the compose programs that are there.
    fn composes(&self) -> String {
        include_str!("feg/composes.sh").replace("CONFIGURED", &quote(&self.config.compose))
    }

    /// How compose is called: as it was chosen for this upgrade, else as it was found.
    fn program<'a>(&'a self, found: &'a FegFound) -> &'a str {
        self.chosen.get().unwrap_or(&found.compose)
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
        let (compose, project, registry, tag, engine, boot) = (next(), next(), next(), next(), next(), next());
        let (containers, health) = parse_containers(lines);
        self.compose.get_or_init(|| compose.clone());
        FegFound { compose, project, registry, tag, engine, boot, containers, health }
    }

    pub(super) fn found_script(&self) -> String {
        format!(
            "{preamble}\
             [ -r .env ] || {{ echo \"there is no .env in $PWD\" >&2; exit 1; }}\n\
             {composes}compose_program={program}\n\
             {values}\
             {{ IFS= read -r project; IFS= read -r registry; IFS= read -r tag; }} <<END\n\
             $(values COMPOSE_PROJECT_NAME DOCKER_REGISTRY IMAGE_VERSION)\nEND\n\
             case $project$registry$tag in\n*'$'*) {{ IFS= read -r project; IFS= read -r registry; IFS= read -r tag; }} <<END\n\
             $(resolved)\nEND\n    ;;\nesac\n\
             case $project$registry$tag in\n*'$'*)\n    \
             echo \".env gives COMPOSE_PROJECT_NAME, DOCKER_REGISTRY or IMAGE_VERSION a value that compose does not resolve\" >&2\n    \
             exit 1\n    ;;\nesac\n\
             project=${{COMPOSE_PROJECT_NAME:-$project}}\n\
             [ -n \"$project\" ] || project=$(basename \"$PWD\" | tr 'A-Z' 'a-z' | tr -cd 'a-z0-9_-')\n\
             engine=\n{{ read -r engine </var/run/docker.pid; }} 2>/dev/null\n\
             printf '%s\\n' \"$compose_program\" \"$project\" \"$registry\" \"$tag\" \"$engine\"\n{BOOT}\n\
             set -e\n\
             ids=$(docker ps -aq --filter label=com.docker.compose.project=\"$project\" --filter label=com.docker.compose.oneoff=False)\n\
             [ -z \"$ids\" ] || docker inspect --format {inspect} $ids",
            preamble = self.preamble(),
            composes = self.composes(),
            values = VALUES,
            program = match self.chosen.get().or(self.compose.get()) {
                Some(program) => quote(program),
                None => "$(programs | head -n 1)\ncompose_program=${compose_program:-docker-compose}".to_owned(),
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
        let ours = found.containers.values().filter(|container| container.is_of(&self.config.images));
        ours.map(|container| container.named().1).collect()
    }

    fn reference(found: &FegFound, image: &str, tag: &str) -> String {
        format!("{}{image}:{tag}", found.registry)
    }

    /// Asks the registry, through this gateway's own Docker engine, whether each image has the tag: about all at once.
    pub(crate) async fn images_of(
        &self,
        found: &FegFound,
        tag: &str,
        login: Option<&Login>,
    ) -> Result<Vec<(String, Answer)>, Problem> {
        let command = format!("exec {} system dial-stdio", self.docker());
        let command = command.as_str();
        let asked = self.references(found, tag).into_iter().map(|reference| async move {
            self.ground.commanded(Step::Resolve, &format!("{command} # GET /distribution/{reference}/json"));
            let ask = || registry::ask(&self.ground.host, command, &reference, login);
            let not_asked = || Trouble::RegistryUnasked { reference: &reference }.on(&self.ground.name);
            let asked = self.ground.host.outlast(ask).await.map_err(|error| not_asked().because_of(&error))?;
            let answer = asked.map_err(|error| not_asked().because_of(&error))?;
            Ok((reference, answer))
        });
        try_join_all(asked).await
    }

    /// Gets ready to be asked for the login, and then about so many releases at once.
    pub(crate) async fn expect_questions(&self, releases: usize) {
        self.ground.host.open_for(1 + releases * self.config.images.len()).await;
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

    /// Whether a compose program that is there reads the files in use and works with the engine: which one an upgrade
    /// would take.
    pub(crate) async fn compose_reads(&self) -> Result<String, Problem> {
        let script = format!(
            "{}{}{}",
            self.preamble(),
            include_str!("feg/masked.sh"),
            self.composes()
                + &include_str!("feg/questions.sh").replace("NEXT", "$aside")
                + include_str!("feg/check_composes.sh"),
        );
        let text = self.ground.ask_root(Step::Connect, "ask compose about the files in use", &script).await?;
        let composes = compose::Composes::parse(&text);
        let chosen = composes.choose(&self.config.compose);
        let chosen = chosen.map_err(|refusal| refusal.on(&self.ground.name, "the release"))?;
        Ok(format!("{} reads the compose file in use", chosen.name()))
    }

    /// Whether an upgrade can write where it has to. Returns how much is free there.
    pub(crate) async fn can_write(&self, step: Step) -> Result<String, Problem> {
        self.ground.can_write(step, &format!("{}{}", self.preamble(), self.places_script())).await
    }

    /// What asks for it, behind [`Feg::preamble`]: the files of compose, what compose programs unpack themselves to,
    /// the backup, the images, and the cron files that are set aside.
    fn places_script(&self) -> String {
        let mut script = format!(
            "{PLACES}place 5 \"$PWD\"\nplace 50 \"${{TMPDIR:-/tmp}}\"\nplace 5 {STATE}\n\
             root=$(docker info --format '{{{{.DockerRootDir}}}}' 2>/dev/null)\nplace {LEAST_ROOM_MB} \"${{root:-/var/lib/docker}}\"\n"
        );
        for file in &self.config.quiesce {
            script.push_str(&format!("place 0 \"$(dirname {})\"\n", quote(file)));
        }
        script
    }

    /// The login that this gateway's Docker client keeps for the registry, or has a helper keep. It passes through our
    /// memory, and is redacted.
    pub(crate) async fn login(&self, found: &FegFound) -> Result<Option<Login>, Problem> {
        let text = self
            .ground
            .ask_root(
                Step::Resolve,
                "read the registry login",
                "cat \"${DOCKER_CONFIG:-${HOME:-/root}/.docker}/config.json\" 2>/dev/null || true",
            )
            .await?;
        let login = match logins::kept_for(&text, &found.registry) {
            Kept::Nowhere => None,
            Kept::Here(login) => Some(login),
            Kept::By(helper) => {
                let output = self.ground.run_root(Step::Resolve, &helper.script(), MINUTE).await?;
                match helper.login(&output) {
                    Ok(login) => Some(login),
                    Err(why) => {
                        // Docker's client asks without a login then, which may do.
                        let (program, server) = (helper.program(), &helper.server);
                        why.into_iter().for_each(|why| {
                            self.ground.warn(Step::Resolve, format!("`{program}` gave no login for `{server}`: {why}"));
                        });
                        None
                    }
                }
            }
        };
        if let Some(login) = &login {
            login.learn(self.ground.events.redactor());
        }
        Ok(login)
    }

    /// The images of a release, as Docker names them.
    fn references(&self, found: &FegFound, tag: &str) -> Vec<String> {
        self.config.images.iter().map(|image| Self::reference(found, image, tag)).collect()
    }

    /// The tag of a release's images.
    pub(crate) fn tag_of(&self, release: &Release) -> String {
        release.fill(&self.config.tag)
    }

    /// What these services wrote last, and what their health checks said, for the report.
    pub(super) fn last_words_script(&self, found: &FegFound, services: &[String]) -> String {
        let services: Vec<String> = services.iter().take(3).map(|service| quote(service)).collect();
        format!(
            "{}{}set -- {}\n{}",
            self.preamble_of_compose(found),
            Self::health(found),
            services.join(" "),
            include_str!("feg/last_words.sh").replace("PROJECT", &quote(&found.project)),
        )
    }

    /// The shell function that says what health checks have said.
    fn health(found: &FegFound) -> String {
        include_str!("feg/health.sh").replace("PROJECT", &quote(&found.project))
    }

    pub(super) fn journal_script(&self, found: &FegFound, since: &str) -> String {
        format!(
            "{}{}",
            self.preamble(),
            include_str!("feg/journal.sh").replace("SECONDS", since).replace("PROJECT", &quote(&found.project))
        )
    }

    /// The engine's journal and what the containers print, one after the other; where they are followed all at once,
    /// each line after its container's name.
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

/// What compose has last said of which files.
const KNOWN: &str = "/var/lib/teravm-ci/known";

/// Our own name for the images that a gateway ran, so that no prune of dangling images takes them.
const WAY_BACK: &str = "teravm-ci/way-back";

impl Container {
    /// Name and tag of the image that it was started by. A colon before a slash belongs to the registry's port.
    pub(super) fn named(&self) -> (&str, &str) {
        match self.reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (&self.reference, "latest"),
        }
    }

    /// Whether it is one of these images, whatever stands before the name (a registry and perhaps more): that may have
    /// changed since.
    pub(super) fn is_of(&self, images: &[String]) -> bool {
        let (name, _) = self.named();
        let name = name.split('@').next().unwrap_or_default();
        images.iter().any(|image| name.ends_with(image.as_str()))
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

/// Whose fault it is that a switch has failed, by what compose and the engine have said: the release's only where they
/// name one of its services or programs, and the host has no trouble of its own.
pub(super) fn activation_class(said: &str) -> Class {
    let said = compose::without_warnings(said).join("\n").to_lowercase();
    // What a health check says is the release's own program's word.
    let has = |signs: &[&str]| {
        let mut of_compose = said.lines().filter(|line| !line.starts_with("health check of "));
        of_compose.any(|line| signs.iter().any(|sign| line.contains(sign)))
    };
    if has(SURROUNDINGS) || !has(OF_THE_RELEASE) { Class::Testbed } else { Class::Upgrade }
}

/// What compose 1.29.2 and 2.26.1, Docker 20.10 to 29 and our own scripts say of the host and of those who are at work
/// there besides us; in small letters. `tests/fixtures/switch` has recorded outputs.
const SURROUNDINGS: &[&str] = &[
    "no space left on device",
    "read-only file system",
    "cannot allocate memory",
    "input/output error",
    "disk quota exceeded",
    "too many open files",
    "cannot connect to the docker daemon",
    "couldn't connect to docker daemon",
    "error while fetching server api version",
    "the docker engine does not answer",
    "read timed out",
    "context deadline exceeded",
    "the docker engine was started anew",
    "somebody else has written .env",
    // What compose has just made, or `prepare` has pulled, is gone again: somebody else is at work here. No release
    // does that.
    "no such container",
    "no such image",
    "is already in use by container",
    "holds the name of a container that is gone",
    "address already in use",
    "port is already allocated",
    // docker-compose 1.29 with Docker 25 or later.
    "'containerconfig'",
    "minimum supported api version",
];

/// What they say of a service of the release, or of what its image starts. Not `ERROR: for magmad`: 1.29.2 begins so
/// whatever has failed.
const OF_THE_RELEASE: &[&str] = &[
    // 1.29.2: `ERROR: for magmad  Container "bb94ea95fe0f" is unhealthy.`
    // 2.26.1: `dependency failed to start: container td-agent-bit is unhealthy`
    "dependency failed to start",
    "is unhealthy",
    "executable file not found",
    "exec format error",
    // runc 1.1: `unable to start container process: exec /bad: permission denied`
    "unable to start container process: exec",
    // runc 1.0 (Docker 20.10 as it was first installed): `container_linux.go:380: starting container process caused: exec:
    // "/bad": permission denied: unknown`; up to 1.0.0-rc10 with a quotation mark before `exec`
    "starting container process caused: exec:",
    "starting container process caused \"exec:",
    // 1.29.2: `Service 'magmad' depends on service 'nobody' which is undefined.`
    "service '",
    // 2.26.1: `service "magmad" depends on undefined service`
    "service \"",
    // 1.29.2: `in "./docker-compose.yml", line 2, column 3`; 2.26.1: `validating /x/docker-compose.yml: …`, and without
    // a name `yaml: line 1: …`
    "docker-compose.yml",
    "yaml: ",
];
