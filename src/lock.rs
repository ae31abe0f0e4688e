//! Who has the testbed: a lease on the NG40 host, aged by that host's own clock.
//!
//! All looks and changes happen under `flock` on a guard beside the lease, so two nights that start at the same moment
//! cannot both find it free. A lease that its owner no longer renews lapses by itself.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config;
use crate::event::{Events, Problem, Step};
use crate::remote::{Host, Output, Turns, quote};
use crate::stop::Stop;

const MINUTE: Duration = Duration::from_secs(60);

/// Who has the testbed, as it stands in the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) run: String,
    /// `user@machine`.
    pub(crate) who: String,
    /// The address of the CI build, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// When it was taken, in seconds since 1970 by the NG40 host's clock. Written by that host.
    #[serde(default)]
    pub(crate) since: u64,
}

/// A lease that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) owner: Owner,
    pub(crate) age: Duration,
    /// Since it was last renewed.
    pub(crate) renewed: Duration,
    /// How far in the future it was renewed, where the host's clock was set back since.
    pub(crate) ahead: Duration,
    pub(crate) has_lapsed: bool,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever can write the lease can write anything there, and must not make a line of its own.
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{} (run {}", one_line(&self.owner.who), one_line(&self.owner.run))?;
        if let Some(url) = &self.owner.url {
            write!(f, ", {}", one_line(url))?;
        }
        write!(f, ") for {}, renewed ", config::format_duration(self.age))?;
        match self.ahead {
            Duration::ZERO => write!(f, "{} ago", config::format_duration(self.renewed)),
            ahead => write!(f, "{} in the future: the host's clock was set back", config::format_duration(ahead)),
        }
    }
}

impl Held {
    /// The problem of somebody who finds the testbed taken.
    pub(crate) fn problem(&self, setup: &str) -> Problem {
        Problem::testbed(format!("the testbed `{setup}` is held by {self}"))
            .hint("wait for it with `--wait 2h`; if nobody is using it: `teravm-ci lock release --force`")
    }
}

impl Owner {
    /// This run, on this machine.
    pub(crate) fn of_run(run: &str, url: Option<String>) -> Owner {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "root".to_owned());
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Owner { run: run.to_owned(), who: format!("{user}@{machine}"), url, since: 0 }
    }
}

/// The testbed's lock, seen from outside.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    host: Host,
    pub(crate) scripts: Scripts,
}

/// What is run on the lock's host, and what that answers.
#[derive(Debug, Clone)]
pub(crate) struct Scripts {
    config: config::Lock,
}

/// What came of asking for the testbed.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is ours. The other had let it lapse.
    Ours {
        lapsed: Option<Held>,
    },
    Held(Held),
}

impl Lock {
    pub(crate) fn new(host: Host, config: config::Lock) -> Lock {
        Lock { host, scripts: Scripts { config } }
    }

    /// Takes the lease, if nobody else has it.
    pub(crate) async fn take(&self, owner: &Owner) -> Result<Taken, Problem> {
        let said = self.run(&self.scripts.take_script(owner)).await?;
        let held = self.scripts.parse(&said);
        if said.lines().any(|line| line == "taken") {
            return Ok(Taken::Ours { lapsed: held.filter(|held| held.owner.run != owner.run) });
        }
        match held {
            Some(held) => Ok(Taken::Held(held)),
            None => Err(self.trouble(Trouble::NotTaken).because(said)),
        }
    }

    /// Who has it now, if somebody has.
    pub(crate) async fn holder(&self) -> Result<Option<Held>, Problem> {
        let said = self.run(&self.scripts.looking("if [ -e \"$lock\" ]; then look; else echo free; fi")).await?;
        let held = self.scripts.parse(&said);
        if held.is_none() && !said.lines().any(|line| line == "free") {
            return Err(self.trouble(Trouble::Unreadable).because(said));
        }
        Ok(held)
    }

    /// Renews the lease. False when it is no longer ours.
    async fn renew(&self, owner: &Owner) -> Result<bool, Problem> {
        let said = self.run(&self.scripts.renew_script(owner)).await?;
        Ok(said.lines().any(|line| line == "renewed"))
    }

    /// Gives the lease back, if it is ours.
    pub(crate) async fn give_back(&self, owner: &Owner) -> Result<(), Problem> {
        // It lapses by itself, so that nobody has to wait for a host that is lost.
        let why = match tokio::time::timeout(MINUTE, self.run(&self.scripts.give_back_script(owner))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(problem)) => problem.line(),
            Err(_) => "the host does not answer".to_owned(),
        };
        Err(self.trouble(Trouble::NotGivenBack).because(why))
    }

    /// Takes the lease away from whoever has it, and says who that was.
    pub(crate) async fn break_open(&self) -> Result<Option<Held>, Problem> {
        let output = self.output(&self.scripts.break_script()).await?;
        if output.status != 0 {
            return Err(self.trouble(Trouble::NotReleased).because(why(&output)));
        }
        Ok(self.scripts.parse(&output.text()))
    }

    /// Renews the lease for as long as it is polled; ends only when the lease is lost.
    pub(crate) async fn keep(&self, owner: &Owner, events: &Events, stop: &Stop) {
        let mut ticks = tokio::time::interval(self.scripts.config.renew);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut renewed = Instant::now();
        loop {
            ticks.tick().await;
            match self.renew(owner).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => {
                    stop.now(self.trouble(Trouble::Lost).because("it lapsed, or was taken by force"));
                    return;
                }
                Err(problem) if renewed.elapsed() >= self.scripts.config.expire => {
                    stop.now(self.trouble(Trouble::Lapsed).because(problem.line()));
                    return;
                }
                // The connection may be back before the lease lapses.
                Err(problem) => {
                    events.warn(Step::Lock, Some(self.host.name()), format!("not renewed: {}", problem.line()));
                }
            }
        }
    }

    /// What keeps this owner's commands on the same host from doing anything once the lease is another's: what a run
    /// has sent may arrive long after the run has died.
    pub(crate) fn fence(&self, owner: &Owner) -> Turns {
        let path = self.scripts.path();
        let is_ours = format!("grep -qsF {} {path}", of(owner));
        Turns::new(format!("{path}.turn"), owner.run.as_str()).only_if(&is_ours, "the testbed is no longer ours")
    }

    fn trouble(&self, trouble: Trouble) -> Problem {
        trouble.on(self.host.name())
    }

    async fn run(&self, script: &str) -> Result<String, Problem> {
        let output = self.output(script).await?;
        if output.status != 0 {
            return Err(self.trouble(Trouble::OutOfReach).because(why(&output)));
        }
        Ok(output.text())
    }

    async fn output(&self, script: &str) -> Result<Output, Problem> {
        self.host.run(script).await.map_err(|error| error.problem())
    }
}

impl Scripts {
    /// The lease, as a word of the shell.
    fn path(&self) -> String {
        match self.config.path.strip_prefix("~/") {
            Some(rest) => format!("\"$HOME\"/{}", quote(rest)),
            None => quote(&self.config.path),
        }
    }

    pub(crate) fn take_script(&self, owner: &Owner) -> String {
        let json = serde_json::to_string(owner).expect("an owner is plain data");
        self.guarded(&format!(
            "if [ -e \"$lock\" ]; then\n  look\n  \
             # The clock was set back: it lapses from now on, unless its owner renews it.\n  \
             if [ \"$renewed\" -lt 0 ]; then touch \"$lock\" || exit 1; fi\n  \
             if [ \"$renewed\" -lt {expire} ] && ! grep -qF {run} \"$lock\"; then exit 0; fi\n\
             fi\n\
             umask 077\n\
             printf '%s\\n' {json} | sed \"s/\\\"since\\\":[0-9]*/\\\"since\\\":$now/\" > \"$lock.new\" && sync \"$lock.new\" && mv -T \"$lock.new\" \"$lock\" && echo taken",
            expire = self.config.expire.as_secs(),
            run = of(owner),
            json = quote(&json),
        ))
    }

    pub(crate) fn renew_script(&self, owner: &Owner) -> String {
        self.guarded(&format!(
            "{}\nif [ \"$ours\" -eq 0 ]; then touch \"$lock\" && echo renewed; else echo lost; fi",
            is_ours(owner)
        ))
    }

    pub(crate) fn give_back_script(&self, owner: &Owner) -> String {
        self.guarded(&format!(
            "{}\nif [ \"$ours\" -eq 0 ]; then rm -f \"$lock\" || exit 1; fi\nrm -f \"$lock.new\"\necho given",
            is_ours(owner)
        ))
    }

    fn break_script(&self) -> String {
        self.guarded("if [ -e \"$lock\" ]; then look; rm -f \"$lock\" || exit 1; fi\necho given")
    }

    /// A script with the guard held, with `$lock`, `$now` and the function `look`, which prints the ages and the lease.
    fn guarded(&self, body: &str) -> String {
        self.scripted(
            "mkdir -p \"$(dirname \"$lock\")\" || exit 1\nexec 9>>\"$lock.guard\" || exit 1\nflock -w 30 9 || { echo 'the guard is busy'; exit 1; }",
            body,
        )
    }

    /// The same for a script that only looks: it makes nothing, and waits for the guard where there is one.
    fn looking(&self, body: &str) -> String {
        self.scripted(
            "if [ -r \"$lock.guard\" ]; then exec 9<\"$lock.guard\"; flock -s -w 30 9 || { echo 'the guard is busy'; exit 1; }; fi",
            body,
        )
    }

    fn scripted(&self, guard: &str, body: &str) -> String {
        let path = self.path();
        format!(
            "lock={path}\n{guard}\nnow=$(date +%s)\n\
             look() {{ renewed=$((now - $(stat -c %Y \"$lock\"))); echo \"$now $renewed\"; head -c 4096 \"$lock\"; echo; }}\n{body}"
        )
    }

    fn parse(&self, said: &str) -> Option<Held> {
        let mut lines = said.lines();
        let (now, renewed) = lines.next()?.split_once(' ')?;
        let (now, renewed): (u64, i64) = (now.parse().ok()?, renewed.parse().ok()?);
        let ahead = Duration::from_secs(u64::try_from(renewed.saturating_neg()).unwrap_or(0));
        let renewed = Duration::from_secs(u64::try_from(renewed).unwrap_or(0));
        // A lease that cannot be read is still somebody's, until it lapses.
        let owner = lines.next().and_then(|line| serde_json::from_str::<Owner>(line).ok()).unwrap_or_else(|| Owner {
            run: "unknown".to_owned(),
            who: "somebody whose lease cannot be read".to_owned(),
            url: None,
            since: now,
        });
        let age = Duration::from_secs(now.saturating_sub(owner.since));
        Some(Held { owner, age, renewed, ahead, has_lapsed: renewed >= self.config.expire })
    }
}

/// What can go wrong with the lease.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    NotTaken,
    Unreadable,
    OutOfReach,
    Lost,
    Lapsed,
    NotGivenBack,
    NotReleased,
}

impl Trouble {
    /// The bad news, without its cause.
    fn on(self, host: &str) -> Problem {
        let (what, hint) = match self {
            Trouble::NotTaken => {
                ("could not be taken", "may we write to the folder of `lock.path` there, and is there room?")
            }
            Trouble::Unreadable => {
                ("cannot be read", "if nobody is using the testbed: `teravm-ci lock release --force`")
            }
            Trouble::OutOfReach => {
                ("could not be reached", "may we write to the folder of `lock.path` there, and is there room?")
            }
            Trouble::Lost => {
                ("was lost", "somebody else may be using the testbed: `teravm-ci lock` says who has it now")
            }
            Trouble::Lapsed => (
                "could not be renewed before it lapsed",
                "somebody else may be using the testbed: `teravm-ci lock` says who has it now",
            ),
            Trouble::NotGivenBack => ("could not be given back", "the lease lapses by itself"),
            Trouble::NotReleased => {
                ("could not be released", "is `lock.path` a file there, and may we write to its folder?")
            }
        };
        Problem::testbed(format!("the lock on `{host}` {what}")).hint(hint)
    }
}

/// What makes a lease this owner's, as a pattern for `grep -F`.
fn of(owner: &Owner) -> String {
    quote(&format!("\"run\":\"{}\"", owner.run))
}

/// Sets `$ours` to 0 where the lease is this owner's, and to 1 where it is not. A lease that cannot be read ends the
/// script: it may be either.
fn is_ours(owner: &Owner) -> String {
    format!(
        "if [ -e \"$lock\" ]; then grep -qF {} \"$lock\"; else false; fi\n\
         ours=$?\nif [ \"$ours\" -gt 1 ]; then exit 1; fi",
        of(owner)
    )
}

fn why(output: &Output) -> String {
    format!("exit status {}: {}", output.status, output.last_words())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_of_each;

    #[test]
    fn each_trouble_says_what_where_why_and_what_to_try() {
        let troubles = one_of_each! {
            Trouble::NotTaken => Trouble::NotTaken,
            Trouble::Unreadable => Trouble::Unreadable,
            Trouble::OutOfReach => Trouble::OutOfReach,
            Trouble::Lost => Trouble::Lost,
            Trouble::Lapsed => Trouble::Lapsed,
            Trouble::NotGivenBack => Trouble::NotGivenBack,
            Trouble::NotReleased => Trouble::NotReleased,
        };
        let told = troubles.map(|trouble| trouble.on("ng40").because("exit status 1: the guard is busy").text());
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn who_holds_the_testbed_is_named_with_what_to_try() {
        let url = Some("https://circleci.com/gh/magma/magma/7".to_owned());
        let owner = Owner { run: "20261123T000831-bf30".to_owned(), who: "ci@node".to_owned(), url, since: 0 };
        let held = Held {
            owner,
            age: Duration::from_secs(3720),
            renewed: Duration::from_secs(20),
            ahead: Duration::ZERO,
            has_lapsed: false,
        };
        assert_eq!(
            held.problem("lab").text(),
            "the testbed `lab` is held by ci@node (run 20261123T000831-bf30, https://circleci.com/gh/magma/magma/7) for \
             1h2m, renewed 20s ago\n  try: wait for it with `--wait 2h`; if nobody is using it: `teravm-ci lock release \
             --force`"
        );
    }
    #[test]
    fn a_lease_makes_no_line_of_its_own() {
        let lease = |text: &str| Some(text.to_owned());
        let owner = Owner {
            run: "x\u{2028}y\r\nlab: free".to_owned(),
            who: "nobody\nlab: free".to_owned(),
            url: lease("https://ci\n\tmoved"),
            since: 0,
        };
        let age = Duration::from_secs(60);
        let held = Held { owner, age, renewed: Duration::ZERO, ahead: Duration::ZERO, has_lapsed: false };
        assert_eq!(held.to_string(), "nobody lab: free (run x y lab: free, https://ci moved) for 1m, renewed 0s ago");
    }

    fn ended(home: &std::path::Path, script: &str) -> std::process::Output {
        std::process::Command::new("sh").arg("-c").arg(script).env("HOME", home).output().expect("sh is there")
    }

    /// Runs a script of the lock in a home of its own, and returns what it printed.
    fn in_home(home: &std::path::Path, script: &str) -> String {
        let output = ended(home, script);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    fn tree(home: &std::path::Path) -> Vec<String> {
        let mut found = std::process::Command::new("find");
        let output = found.arg(home).args(["-printf", "%p %T@ %s\\n"]).output().expect("find is there");
        let text = String::from_utf8(output.stdout).expect("it is text");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    const LOOK: &str = "if [ -e \"$lock\" ]; then look; else echo free; fi";

    #[test]
    fn whoever_looks_leaves_nothing_behind_and_changes_nothing() {
        let home = tempfile::tempdir().expect("a folder");
        let scripts = Scripts { config: config::Lock::default() };
        let before = tree(home.path());
        assert_eq!(in_home(home.path(), &scripts.looking(LOOK)), "free\n");
        assert_eq!(tree(home.path()), before);
        let owner = Owner { run: "one".to_owned(), who: "ci@node".to_owned(), url: None, since: 0 };
        assert_eq!(in_home(home.path(), &scripts.take_script(&owner)), "taken\n");
        let before = tree(home.path());
        let held = scripts.parse(&in_home(home.path(), &scripts.looking(LOOK))).expect("it is held");
        assert_eq!((held.owner.run.as_str(), held.has_lapsed), ("one", false));
        assert_eq!(tree(home.path()), before);
    }

    #[test]
    fn what_could_not_be_done_to_a_lease_is_not_said_to_be_done() {
        let home = tempfile::tempdir().expect("a folder");
        let scripts = Scripts { config: config::Lock::default() };
        let owner = Owner { run: "one".to_owned(), who: "ci@node".to_owned(), url: None, since: 0 };
        // Whatever is in a folder is nobody's lease, and nothing that we may remove.
        in_home(home.path(), "mkdir -p ~/.teravm-ci/lock && touch -d '-2 days' ~/.teravm-ci/lock");
        for script in [
            scripts.break_script(),
            scripts.take_script(&owner),
            scripts.renew_script(&owner),
            scripts.give_back_script(&owner),
        ] {
            let ended = ended(home.path(), &script);
            let said = String::from_utf8_lossy(&ended.stdout);
            assert!(!ended.status.success(), "{script}\n{ended:?}");
            assert!(!["given", "taken", "renewed", "lost"].iter().any(|word| said.contains(word)), "{script}\n{said}");
        }
        assert_eq!(in_home(home.path(), "ls -A ~/.teravm-ci/lock"), "");
        in_home(home.path(), "rmdir ~/.teravm-ci/lock");
        assert_eq!(in_home(home.path(), &scripts.take_script(&owner)), "taken\n");
        assert_eq!(in_home(home.path(), &scripts.renew_script(&owner)), "renewed\n");
        assert_eq!(in_home(home.path(), &scripts.give_back_script(&owner)), "given\n");
        assert_eq!(in_home(home.path(), &scripts.renew_script(&owner)), "lost\n");
        assert_eq!(in_home(home.path(), &scripts.break_script()), "given\n");
    }

    #[test]
    fn a_lease_from_the_future_lapses_from_when_it_is_found() {
        let home = tempfile::tempdir().expect("a folder");
        let scripts = Scripts { config: config::Lock::default() };
        let owner = |run: &str| Owner { run: run.to_owned(), who: "ci@node".to_owned(), url: None, since: 0 };
        in_home(home.path(), &scripts.take_script(&owner("dead")));
        in_home(home.path(), &scripts.scripted("", "touch -d '+2 hours' \"$lock\""));
        let held = scripts.parse(&in_home(home.path(), &scripts.looking(LOOK))).expect("it is held");
        assert!(held.to_string().ends_with(" in the future: the host's clock was set back"), "{held}");
        let refused = in_home(home.path(), &scripts.take_script(&owner("next")));
        assert!(!refused.contains("taken"), "its owner may be alive: {refused}");
        let held = scripts.parse(&in_home(home.path(), &scripts.looking(LOOK))).expect("it is held");
        assert_eq!((held.ahead, held.has_lapsed), (Duration::ZERO, false));
        let expired = format!("touch -d '-{} seconds' \"$lock\"", config::Lock::default().expire.as_secs());
        in_home(home.path(), &scripts.scripted("", &expired));
        assert!(in_home(home.path(), &scripts.take_script(&owner("next"))).ends_with("taken\n"));
    }
}
