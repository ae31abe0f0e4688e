//! The switch of a FEG and the way back, as scripts: what its jobs do.

use super::{Feg, FegFound, KNOWN, WAY_BACK};
use crate::gateway::{BACKUP, NEXT, QUIESCED, STATE, Target};
use crate::remote::quote;

/// Puts a file of the folder NEXT where compose reads it: whole, with owner and mode of the one that was there.
const PLACE: &str = "place() {\n  cp -p \"$1\" \"$1.teravm-ci\" && cat NEXT/\"$1\" > \"$1.teravm-ci\" && sync \"$1.teravm-ci\" && mv \"$1.teravm-ci\" \"$1\"\n}\n";

impl Feg {
    /// The switch itself: what the job on the host does.
    pub(in crate::gateway) fn activate_script(&self, target: &Target, found: &FegFound) -> String {
        let force = if target.is_forced { " --force-recreate" } else { "" };
        format!(
            "{preamble}{remove}{health}{witness}set -e\n{quiesce}{place}place docker-compose.yml\nplace .env\nare_placed=yes\n\
             for service in $(grep -vxFf {NEXT}/services {BACKUP}/services); do remove \"$service\"; done\n\
             said_by compose up -d{force} || {{\n  holds_a_lost_name || true\n  masked health\n  exit 1\n}}\n",
            preamble = self.preamble_of_compose(found),
            remove = Self::remove(found),
            health = Self::health(found),
            witness = include_str!("witness.sh").replace("NEXT", NEXT).replace("DOCKER", self.docker()),
            quiesce = self.quiesce(),
            place = PLACE.replace("NEXT", NEXT),
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

    /// Sets aside what would fight us, waits until what it has started is over, and keeps it where
    /// [`Self::resume_script`] finds it. For scripts under `set -e`, which does not hear of what fails before an `&&`.
    fn quiesce(&self) -> String {
        let mut script = format!("mkdir -p {QUIESCED}\n");
        for file in &self.config.quiesce {
            let kept = quote(&format!("{QUIESCED}/{}", name_aside(file)));
            let file = quote(file);
            script.push_str(&format!(
                "if [ -e {file} ]; then\n  cp -p {file} {kept}\n  sync {kept}\n  rm -f {file}\nfi\n"
            ));
        }
        script + &include_str!("at_rest.sh").replace("QUIESCED", QUIESCED)
    }

    /// Puts back what was set aside, whatever the config says today. For scripts under `set -e`.
    pub(in crate::gateway) fn resume_script() -> String {
        include_str!("resume.sh").replace("QUIESCED", QUIESCED)
    }

    /// What says whether the files and the tags of the images are as they were before the switch: a tag that means
    /// another image comes into use with the next `compose up`.
    pub(in crate::gateway) fn as_before_script(&self, found: &FegFound) -> String {
        let mut script = format!(
            "{}for file in .env docker-compose.yml; do cmp \"$file\" \"{BACKUP}/$file\" 2>&1; done\n",
            self.preamble()
        );
        for container in found.containers.values() {
            script.push_str(&format!(
                "[ \"$({docker} image inspect -f '{{{{.Id}}}}' {reference} 2>/dev/null)\" = {image} ] || \
                 echo \"the tag \"{reference}\" does not mean the image that ran\"\n",
                docker = self.docker(),
                reference = quote(&container.reference),
                image = quote(&container.image),
            ));
        }
        script.push_str("exit 0\n");
        script
    }

    /// What brings the gateway back to `found`, from what was kept: what ran runs, what was there and did not run is
    /// there again and does not, what was not there is gone.
    pub(in crate::gateway) fn restore_script(&self, found: &FegFound) -> String {
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
            "{preamble}{remove}{engine}set -e\n{quiesce}set +e\n{name}{place}{record}\
             {tag}started={started}\nstopped={stopped}\n{go_back}",
            preamble = self.preamble_of_compose(found),
            remove = Self::remove(found),
            engine = include_str!("engine_anew.sh").replace("DOCKER", self.docker()).replace("BACKUP", BACKUP),
            quiesce = self.quiesce(),
            name = Self::name_images(found),
            place = PLACE.replace("NEXT", BACKUP),
            record = include_str!("from_record.sh").replace("BACKUP", BACKUP),
            tag = self.tag_that_ran(found),
            started = words(started),
            stopped = words(stopped),
            go_back = include_str!("compose_back.sh").replace("BACKUP", BACKUP).replace("NEXT", NEXT),
        )
    }

    /// Has compose bring back the tag that ran, whatever `.env` says: somebody may have written another there that
    /// never ran.
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
    pub(in crate::gateway) fn clear_script(&self, found: &FegFound) -> String {
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
    pub(in crate::gateway) fn keep_services() -> String {
        format!("mv {NEXT}/known {KNOWN} 2>/dev/null || true\n")
    }

    /// Removes what was needed to go back, and the images of releases that are no longer kept. For scripts under `set -e`.
    pub(in crate::gateway) fn tidy_script(&self) -> String {
        let (forget, known) = (Self::forget_way_back(), Self::keep_services());
        format!("{}{forget}{known}{}", self.preamble(), self.sweep_script())
    }

    /// Removes the images of releases that are no longer kept.
    pub(super) fn sweep_script(&self) -> String {
        let images: Vec<String> = self.config.images.iter().map(|image| format!("*{}", quote(image))).collect();
        include_str!("sweep.sh")
            .replace("KEEP", &self.keep.max(1).to_string())
            .replace("IMAGES", &images.join(" | "))
            .replace("BACKUP", BACKUP)
            .replace("STATE", STATE)
    }
}

/// The name under which a file is set aside: its whole path as one name, which `resume.sh` reads again.
pub(super) fn name_aside(path: &str) -> String {
    path.replace('=', "=e").replace('%', "=p").replace('/', "%")
}
