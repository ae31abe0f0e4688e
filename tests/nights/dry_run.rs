//! A dry run tells the night before: each command that it prints is one that the host itself hears in the night, in this order, and the
//! host hears no other.

use regex::Regex;

use crate::lab::{self, fault, same};
use crate::night::{Told, teravm};
use crate::overheard::{Heard, Overheard, Printed, overhear};

const HOSTS: [&str; 4] = ["agw", "feg1", "feg2", "ng40"];

/// How the program asks a job on a host, before `d=DIRECTORY` and the verb.
const JOB: &str =
    concat!(include_str!("../../src/remote/job/members.sh"), "\n", include_str!("../../src/remote/job/verbs.sh"), "\n");

/// All that a host keeps of the program and of its homes, apt's lists, and the images of its engine. NG40 logs by itself that it
/// was asked whether it is idle.
fn what_is_kept() -> String {
    let look = "find /var/lib/teravm-ci /home /root /var/lib/apt/lists /var/cache/apt -path /home/ng40/install -prune \
                -o -path /home/ng40/magma -prune -o -type d -print -o -printf '%p %s %T@\\n' 2>/dev/null | sort; \
                ls -d /tmp/tmp.* 2>/dev/null; docker images --no-trunc 2>/dev/null | sed 's/ *[0-9a-z]* [a-z]* ago.*//' || true";
    HOSTS.map(|host| format!("{host}\n{}", lab::on(host, look))).join("\n")
}

/// What runs on the testbed, and what its hosts keep.
pub(crate) fn state() -> String {
    format!("{}{}{}{}", lab::processes(), lab::containers("feg1"), lab::containers("feg2"), what_is_kept())
}

/// A dry run, and that it changed nothing.
fn dry_run(words: &str) -> Told {
    let before = state();
    let told = teravm(words).run().exits(0);
    assert!(!told.results.exists(), "{told}");
    same("the testbed", &before, &state());
    told
}

/// A dry run of a night that is about to be, and what the hosts have heard since.
pub(crate) struct Foretold {
    told: Told,
    overheard: [(&'static str, Overheard); 4],
}

/// Tells the night before, and proves that nothing was changed by that.
pub(crate) fn foretell() -> Foretold {
    let overheard = HOSTS.map(|host| (host, overhear(host)));
    let told = dry_run("run --dry-run").says("latest is 1.9.1-1668500000-5d2e8f90, image tag 5d2e8f90");
    insta::assert_snapshot!("the_first_night", without_accidents(&told.stdout));
    for (_, host) in &overheard {
        host.forget();
    }
    Foretold { told, overheard }
}

impl Foretold {
    /// Each host has heard in this night what was printed of it, in this order, and nothing else; what the registry is asked, and what is
    /// brought home, all at once.
    pub(crate) fn is_what_was_heard(&self, night: &Told) {
        let printed = Printed::parse(&self.told.stdout);
        for (name, host) in &self.overheard {
            let in_order = once_in_a_row(printed.of(name, &["restore", "collect"])).len();
            let sorted_at_once = |mut commands: Vec<String>| {
                let at_once = in_order.min(commands.len());
                commands[at_once..].sort();
                let is_asked = |command: &String| command.contains(" # GET /distribution/");
                commands.chunk_by_mut(|one, next| is_asked(one) && is_asked(next)).for_each(<[String]>::sort);
                commands
            };
            let printed = sorted_at_once(once_in_a_row(printed.of(name, &["restore"])));
            assert!(printed.len() > 5, "{}", self.told);
            let heard = sorted_at_once(once_in_a_row(as_printed(host, night)));
            assert_eq!(heard, printed, "on {name}\n{night}");
        }
    }
}

/// What a host heard in a night, in the words of a dry run.
fn as_printed(host: &Overheard, night: &Told) -> Vec<String> {
    let run = night.run["night"]["run"].as_str().expect("a run has a name");
    host.scripts()
        .into_iter()
        .filter_map(|heard| command(heard, run))
        .map(|script| without_night(&script, run))
        .collect()
}

/// The command that a script brings; none where it only asks how a job is.
fn command(heard: Heard, run: &str) -> Option<String> {
    let data = String::from_utf8_lossy(&heard.data);
    if let Some(ask) = heard.script.strip_prefix(JOB) {
        let (directory, verb) =
            ask.strip_prefix("d=").expect("a job has a directory").split_once('\n').expect("a verb");
        assert!(directory.contains(run), "a job of another run: {directory}");
        let words: Vec<&str> = verb.split(' ').collect();
        return match words[..] {
            ["start", runner, _, _, _, _, "&&", "follow", "0"] => {
                Some(data[runner.parse().expect("a size")..].to_owned())
            }
            ["follow" | "report" | "remove", ..] => None,
            _ => panic!("nobody expects this of a job: {verb}"),
        };
    }
    let asked = data.lines().filter_map(|line| line.strip_prefix("GET ")?.split(' ').next());
    Some(asked.fold(heard.script, |command, path| format!("{command} # GET {path}")))
}

/// The same without what is known only in the night, and without what keeps late commands from doing anything.
fn without_night(script: &str, run: &str) -> String {
    let guards = [
        "^exec 9>>/var/lib/teravm-ci/guard && flock -w [0-9]+ 9 \\|\\| \\{ echo 'an earlier command is still at work' >&2; exit 75; \\}\n",
        "^of=; \\{ read -r of </var/lib/teravm-ci/run; \\} 2>/dev/null; \\[ \"\\$of\" = RUN \\] \\|\\| \\{ echo 'another run has this gateway now' >&2; exit 75; \\}\n",
        "^\\(flock -w 10 9 && .*\\) 9>>/var/lib/teravm-ci/turn 2>/dev/null \\|\\| \\{ echo 'a later command has been here' >&2; exit 75; \\}\n",
        "^grep -qsF '\"run\":\"RUN\"' \"\\$HOME\"/.teravm-ci/lock \\|\\| \\{ echo 'the testbed is no longer ours' >&2; exit 75; \\}\n",
        "^\\(flock -w 10 9 && .*\\) 9>>\"\\$HOME\"/.teravm-ci/lock.turn 2>/dev/null \\|\\| \\{ echo 'a later command has been here' >&2; exit 75; \\}\n",
    ];
    let unknown = [
        ("(--since -?)[0-9]+s", "${1}SECONDSs"),
        ("-newermt '-[0-9]+ seconds'", "-newermt '-SECONDS seconds'"),
        (r#""found":\{.*\}\}'"#, r#""found":FOUND}'"#),
    ];
    let mut script = script.replace(run, "RUN");
    for (pattern, known) in guards.map(|guard| (guard, "")).into_iter().chain(unknown) {
        script = Regex::new(pattern).expect("a pattern").replace_all(&script, known).into_owned();
    }
    script.trim_end().to_owned()
}

/// The commands without what is asked again and again: the same one after itself, and the lease that is renewed at any time.
fn once_in_a_row(mut scripts: Vec<String>) -> Vec<String> {
    scripts.retain(|script| !script.contains("echo renewed"));
    scripts.dedup();
    scripts
}

/// A dry run without what another machine, or another build of the lab, has otherwise.
fn without_accidents(text: &str) -> String {
    let accidents = [
        (r"sha256:[0-9a-f]{64}", "sha256:ID"),
        (r#""who":"[^"]*""#, r#""who":"night@node""#),
        (r"tunnel to .*", "tunnel to SERVER"),
    ];
    accidents.into_iter().fold(text.to_owned(), |text, (pattern, known)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, known).into_owned()
    })
}

/// Follows the first night: the gateways are at the newest release.
pub(crate) fn a_dry_run_tells_that_all_is_there_already() {
    let told = dry_run("upgrade --dry-run");
    for gateway in ["agw\n", "feg1, feg2\n"] {
        assert!(told.stdout.contains(&format!("  {gateway}")), "{told}");
    }
    let printed = Printed::parse(&told.stdout);
    // A FEG that was seen only a moment before is looked at again, so the two need not be told as one.
    assert!((2..=3).contains(&told.stdout.matches("- unchanged at ").count()), "{told}");
    let told = told.says("unchanged at 1.9.1-1668500000-5d2e8f90").says("unchanged at 5d2e8f90");
    assert!(told.stdout.contains("\nactivate\n  nothing\n\nverify\n  nothing\n"), "{told}");
    assert!(!printed.steps.iter().any(|step| step == "test"), "{told}");
    let told = dry_run("test s6a --dry-run").says("ng40test working_testplan_s6a_CI_run.ntl");
    for step in ["resolve", "prepare", "activate", "verify", "restore"] {
        assert!(!Printed::parse(&told.stdout).steps.iter().any(|known| known == step), "{step}: {told}");
    }
}

pub(crate) fn a_dry_run_tells_what_it_can_where_a_host_is_down() {
    let _down = fault(&["host-down", "feg1"]);
    let told = teravm("upgrade --dry-run").with("ssh.connect_timeout", "4s").run().exits(3);
    let told = told.says("cannot connect to `feg1`").says("feg1: ssh magma@192.168.60.112 (not reached");
    let printed = Printed::parse(&told.stdout);
    assert!(printed.of("feg1", &[]).is_empty(), "{told}");
    for host in ["agw", "feg2"] {
        assert!(printed.of(host, &[]).len() > 5, "{told}");
    }
}
