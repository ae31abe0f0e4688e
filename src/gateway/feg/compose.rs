//! Which compose program a FEG is upgraded with: asked on the host, decided here.
//!
//! docker-compose 1.29 (Python) and compose v2 (Go) do not read the same files: of a key `<<:` that stands twice in one
//! mapping 1.29.2 takes both, and 2.26.1 says `mapping key "<<" already defined`. Magma's files of 1.6.1 and 1.8.0 have
//! it.

use std::fmt::Write as _;

use crate::event::{Class, Problem};
use crate::gateway::Trouble;

/// What one compose program on the host has said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Asked {
    /// How it is called.
    pub(super) program: String,
    version: String,
    /// Whether it reaches the Docker engine.
    engine: Reply,
    /// Whether it reads the files in use.
    in_use: Reply,
    /// Whether it reads the files of the release.
    release: Reply,
}

/// The exit status of a question, and what the program printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reply {
    status: i32,
    said: String,
}

impl Reply {
    fn is_yes(&self) -> bool {
        self.status == 0
    }

    /// The names of the variables that are missing, by compose's own warning. Both 1.29.2 and 2.26.1 write `The "X"
    /// variable is not set`, the first without quotes and the second with a backslash before each.
    fn unset(&self) -> impl Iterator<Item = &str> {
        self.said.lines().filter_map(|line| {
            let (before, _) = line.split_once(" variable is not set")?;
            Some(before.rsplit(' ').next()?.trim_matches(['\\', '"']))
        })
    }
}

/// All that `ask_composes.sh` prints.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Composes {
    /// The version of the Docker engine.
    server: String,
    asked: Vec<Asked>,
}

impl Composes {
    /// Reads lines `@QUESTION STATUS`, each with its answer below it behind `| `.
    pub(super) fn parse(text: &str) -> Composes {
        let mut composes = Composes::default();
        let mut question = "";
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("| ") {
                let Some(asked) = composes.asked.last_mut() else { continue };
                match question {
                    "version" => said.trim().clone_into(&mut asked.version),
                    "engine" => add(&mut asked.engine.said, said),
                    "in_use" => add(&mut asked.in_use.said, said),
                    "release" => add(&mut asked.release.said, said),
                    _ => {}
                }
            } else if let Some((asks, answer)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
                question = asks;
                let status = answer.parse().unwrap_or(-1);
                match (asks, composes.asked.last_mut()) {
                    ("server", _) => answer.clone_into(&mut composes.server),
                    ("program", _) => {
                        composes.asked.push(Asked { program: answer.to_owned(), ..Asked::default() });
                    }
                    ("engine", Some(asked)) => asked.engine.status = status,
                    ("in_use", Some(asked)) => asked.in_use.status = status,
                    ("release", Some(asked)) => asked.release.status = status,
                    _ => {}
                }
            }
        }
        composes
    }

    /// Chooses the program that reads the files in use and those of the release; `configured` allows no other, where it
    /// is not empty.
    pub(super) fn choose(&self, configured: &str) -> Result<&Asked, Refusal> {
        let is_allowed = |asked: &&Asked| configured.is_empty() || asked.program == configured;
        let allowed: Vec<&Asked> = self.asked.iter().filter(is_allowed).collect();
        if allowed.iter().all(|asked| asked.in_use.status >= 124) {
            return Err(Refusal::NotThere(said_by(&allowed, |asked| Some(asked.in_use.said.clone()))));
        }
        let usable: Vec<&Asked> = allowed.iter().copied().filter(|asked| self.trouble_with(asked).is_none()).collect();
        if usable.is_empty() {
            return Err(Refusal::Unusable(said_by(&allowed, |asked| self.trouble_with(asked))));
        }
        let refused = |asks: fn(&Asked) -> &Reply| {
            said_by(&usable, |asked| Some(asks(asked)).filter(|reply| !reply.is_yes()).map(|reply| reply.said.clone()))
        };
        if !usable.iter().any(|asked| asked.in_use.is_yes()) {
            return Err(Refusal::InUse(refused(|asked| &asked.in_use)));
        }
        if let Some(asked) = usable.iter().find(|asked| asked.in_use.is_yes() && asked.release.is_yes()) {
            return Ok(asked);
        }
        let why = refused(|asked| &asked.release);
        match self.asked.iter().find(|asked| asked.release.is_yes()) {
            // It is not the release's fault what another program reads.
            Some(other) => Err(Refusal::Both(format!("{why}\n{} reads it", other.name()))),
            None => match OF_ONE_GENERATION.iter().find(|(sign, _)| self.asked.len() == 1 && why.contains(sign)) {
                Some((_, other)) => Err(Refusal::Both(format!("{why}\n{other}, which is not there"))),
                None => Err(Refusal::Release(why)),
            },
        }
    }

    /// Why a program that is there does not work with this engine, if that is so.
    fn trouble_with(&self, asked: &Asked) -> Option<String> {
        let major = |version: &str| version.trim_start_matches('v').split('.').next()?.parse::<u32>().ok();
        let engine = major(&self.server).unwrap_or(0);
        if major(&asked.version) == Some(1) && engine >= LEAST_ENGINE_WITHOUT_CONTAINER_CONFIG {
            return Some(format!(
                "docker-compose {} cannot replace containers of Docker Engine {}: it fails with KeyError: 'ContainerConfig'",
                asked.version, self.server
            ));
        }
        (!asked.engine.is_yes()).then(|| format!("it does not reach the Docker engine: {}", asked.engine.said))
    }
}

/// docker-compose 1.29 reads `ContainerConfig` of an image when it replaces a container; engines from 25 on no longer
/// have it (docker/compose issue 11742).
const LEAST_ENGINE_WITHOUT_CONTAINER_CONFIG: u32 = 25;

/// What one generation of compose refuses and the other reads: where only one is there, it is not known whose fault it
/// is.
const OF_ONE_GENERATION: &[(&str, &str)] = &[
    // 2.26.1 of a key `<<:` that stands twice in one mapping, as in Magma's compose files of 1.6.1 and 1.8.0.
    ("mapping key \"<<\" already defined", "docker-compose 1.29 reads such a file"),
    // 1.29.2 of keys that the compose specification has since got.
    ("Unsupported config option for", "compose v2 may read such a file"),
    ("Additional properties are not allowed", "compose v2 may read such a file"),
    ("is unsupported. You might be seeing this error", "compose v2 may read such a file"),
];

impl Asked {
    pub(super) fn name(&self) -> String {
        if self.version.is_empty() { self.program.clone() } else { format!("{} {}", self.program, self.version) }
    }

    /// The variables that the files of the release need, `.env` does not set, and the files in use do not need: what is
    /// new with this release.
    pub(super) fn newly_unset(&self) -> Vec<String> {
        let before: Vec<&str> = self.in_use.unset().collect();
        let mut new: Vec<String> =
            self.release.unset().filter(|name| !before.contains(name)).map(str::to_owned).collect();
        new.sort();
        new.dedup();
        new
    }
}

fn add(said: &mut String, line: &str) {
    if !said.is_empty() {
        said.push('\n');
    }
    said.push_str(line);
}

/// So many lines of what a program says are shown, the last ones.
const MOST_LINES: usize = 5;

/// What each program has said, behind its name.
fn said_by(asked: &[&Asked], why: impl Fn(&Asked) -> Option<String>) -> String {
    let mut text = String::new();
    for asked in asked {
        let Some(why) = why(asked) else { continue };
        let lines = without_warnings(&why);
        let first_shown = lines.len().saturating_sub(MOST_LINES);
        let _ = writeln!(text, "{}: {}", asked.name(), lines[first_shown..].join("\n"));
    }
    text.trim_end().to_owned()
}

/// Without what compose says of variables that are not set, and of a key `version` that it does not need.
pub(super) fn without_warnings(said: &str) -> Vec<&str> {
    let is_warning = |line: &str| {
        line.contains("variable is not set") || line.contains("level=warning") || line.contains("is obsolete")
    };
    said.lines().filter(|line| !is_warning(line)).collect()
}

/// Why no program can be chosen, in the words of those that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) enum Refusal {
    NotThere(String),
    /// None works with the engine.
    Unusable(String),
    /// None reads the files in use.
    InUse(String),
    /// None reads the files in use and those of the release.
    Both(String),
    /// None reads the files of the release, and those in use are read.
    Release(String),
}

impl Refusal {
    pub(super) fn on(self, gateway: &str, release: &str) -> Problem {
        match self {
            Refusal::NotThere(why) => Trouble::NoCompose.on(gateway).because(why),
            Refusal::Unusable(why) => Trouble::ComposeUnusable.on(gateway).because(why),
            Refusal::InUse(why) => Trouble::ComposeRefusesInUse.on(gateway).because(why),
            Refusal::Both(why) => Trouble::ComposeRefusesOne { release }.on(gateway).because(why),
            Refusal::Release(why) => {
                let class = if is_of_surroundings(&why) { Class::Testbed } else { Class::Upgrade };
                Trouble::ComposeRefuses { release, class }.on(gateway).because(why)
            }
        }
    }
}

/// Whether a program that has just read the files in use fails at those of the release for another reason than what
/// stands in them.
fn is_of_surroundings(why: &str) -> bool {
    let why = why.to_lowercase();
    [
        "no space left on device",
        "permission denied",
        "cannot allocate memory",
        "read-only file system",
        "input/output error",
    ]
    .iter()
    .any(|sign| why.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MERGED_TWICE: &str = "yaml: unmarshal errors:\n|   line 9: mapping key \"<<\" already defined at line 8";

    /// One program: its name and version, whether it reaches the engine, what it says of the files in use and of those
    /// of the release.
    fn program(name: &str, version: &str, engine: &str, in_use: &str, release: &str) -> String {
        let reply = |question: &str, said: &str| {
            let status = i32::from(!said.is_empty() && !said.contains("not set"));
            format!("@{question} {status}\n{}", if said.is_empty() { String::new() } else { format!("| {said}\n") })
        };
        let version = format!("@version 0\n| {version}\n");
        let (engine, in_use, release) = (reply("engine", engine), reply("in_use", in_use), reply("release", release));
        format!("@program {name}\n{version}{engine}{in_use}{release}")
    }

    fn chosen(server: &str, configured: &str, programs: &[String]) -> Result<String, String> {
        let composes = Composes::parse(&format!("free: 1 KB\n@server {server}\n{}", programs.concat()));
        let chosen = composes.choose(configured).map(|asked| asked.program.clone());
        chosen.map_err(|refusal| refusal.on("feg1", "1.9.1-1668500000-5d2e8f90").text())
    }

    #[test]
    fn the_program_is_chosen_that_reads_the_files_in_use_and_those_of_the_release() {
        let v1 = |in_use: &str, release: &str| program("docker-compose", "1.29.2", "", in_use, release);
        let v2 = |in_use: &str, release: &str| program("docker compose", "2.26.1-4", "", in_use, release);
        let bad = MERGED_TWICE;
        let choice = |configured: &str, programs: &[String]| {
            chosen("20.10.24+dfsg1", configured, programs)
                .unwrap_or_else(|told| told.lines().next().unwrap_or_default().to_owned())
        };
        let in_use = "no compose program on `feg1` reads the compose file in use";
        let both =
            "no compose program on `feg1` reads both the compose file in use and that of 1.9.1-1668500000-5d2e8f90";
        let refused = "compose refuses the compose file of 1.9.1-1668500000-5d2e8f90 on `feg1`";
        assert_eq!(choice("", &[v2("", ""), v1("", "")]), "docker compose");
        assert_eq!(choice("", &[v2(bad, bad), v1("", "")]), "docker-compose");
        assert_eq!(choice("", &[v2("", bad), v1("", "")]), "docker-compose");
        assert_eq!(choice("docker-compose", &[v1("", ""), v2("", "")]), "docker-compose");
        assert_eq!(choice("", &[v2(bad, "")]), in_use);
        assert_eq!(choice("", &[v2(bad, ""), v1(bad, "")]), in_use);
        assert_eq!(choice("", &[v2("", bad), v1(bad, "")]), both);
        assert_eq!(choice("docker compose", &[v2("", bad), v1("", "")]), both);
        assert_eq!(choice("", &[v2("", bad), v1("", "another sentence")]), refused);
        assert_eq!(choice("", &[]), "compose does not run on `feg1`");
    }

    #[test]
    fn what_one_program_reads_is_never_the_releases_fault() {
        let v2 = program("docker compose", "2.26.1-4", "", "", MERGED_TWICE);
        let v1 = program("docker-compose", "1.29.2", "", "The X variable is not set", "");
        let v1 = v1.replace("@in_use 0", "@in_use 1");
        insta::assert_snapshot!(chosen("20.10.24", "", &[v2.clone(), v1]).expect_err("none reads both"), @r#"
        no compose program on `feg1` reads both the compose file in use and that of 1.9.1-1668500000-5d2e8f90
          because: docker compose 2.26.1-4: yaml: unmarshal errors:
                     line 9: mapping key "<<" already defined at line 8
                   docker-compose 1.29.2 reads it
          try: nothing was touched; install the other generation of compose there (`docker-compose` 1.29 or `docker compose`), or correct the file
        "#);
        let alone = chosen("20.10.24", "", &[v2]).expect_err("the other one is not there");
        assert!(alone.contains("\n           docker-compose 1.29 reads such a file, which is not there\n"), "{alone}");
        let missing =
            "error while interpolating services.magmad.environment.K: required variable K is missing a value: x";
        let v2 = program("docker compose", "2.26.1-4", "", "", missing);
        insta::assert_snapshot!(chosen("20.10.24", "", &[v2]).expect_err("none reads it"), @r#"
        compose refuses the compose file of 1.9.1-1668500000-5d2e8f90 on `feg1`
          because: docker compose 2.26.1-4: error while interpolating services.magmad.environment.K: required variable K is missing a value: x
          try: does the release need a key that the site's `.env` does not have? Nothing was touched
        "#);
    }

    #[test]
    fn compose_and_the_engine_have_to_understand_each_other() {
        let old = program("docker-compose", "1.29.2", "", "", "");
        assert_eq!(chosen("24.0.9", "", std::slice::from_ref(&old)), Ok("docker-compose".to_owned()));
        insta::assert_snapshot!(chosen("26.1.5+dfsg1", "", &[old]).expect_err("the engine is too new"), @"
        no compose program on `feg1` works with its Docker engine
          because: docker-compose 1.29.2: docker-compose 1.29.2 cannot replace containers of Docker Engine 26.1.5+dfsg1: it fails with KeyError: 'ContainerConfig'
          try: nothing was touched; install compose v2 (`docker compose`) there, or name a working program in `feg.compose`
        ");
        let too_old = "client version 1.38 is too old. Minimum supported API version is 1.44";
        let told = chosen("29.0.0", "", &[program("docker compose", "2.1.0", too_old, "", "")]).expect_err("no engine");
        assert!(
            told.contains("docker compose 2.1.0: it does not reach the Docker engine: client version 1.38"),
            "{told}"
        );
    }

    #[test]
    fn only_variables_that_were_not_missing_before_are_told() {
        let asked = |in_use: &str, release: &str| {
            let text = program("docker-compose", "1.29.2", "", in_use, release);
            Composes::parse(&text).asked[0].newly_unset()
        };
        let (v1, v2) = (
            "The REG variable is not set. Defaulting to a blank string.",
            r#"time="2026-11-30T08:43:23Z" level=warning msg="The \"NEW\" variable is not set. Defaulting to a blank string.""#,
        );
        assert_eq!(asked(v1, v1), [""; 0]);
        assert_eq!(asked(v1, &format!("{v1}\n| {v2}\n| {v2}")), ["NEW"]);
        assert_eq!(asked("", v1), ["REG"]);
    }
}
