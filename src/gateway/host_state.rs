//! What a gateway's host says of its own state: before an upgrade, what would make any upgrade fail; after one that
//! failed, what explains it. Knows no release.

use super::foreign_messages::{APT, Meaning, seen_in};
use crate::event::Class;

/// The shell function `place`, which says whether an upgrade can write to a folder. Scripts of both kinds of gateway
/// call it.
pub(super) const PLACES: &str = include_str!("places.sh");
/// The script that asks before; the names of the release's packages are its arguments.
pub(super) const BEFORE: &str = include_str!("state_before.sh");
/// The script that asks after.
pub(super) const AFTER: &str =
    concat!("is_remounted=\n", include_str!("agw/is_remounted.sh"), include_str!("state_after.sh"));

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Interrupted,
    Unconfigured,
    Dependencies,
    Held,
    ReadOnly,
    Memory,
    Room,
    Locked,
}

/// A fact about the host that makes upgrades fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) kind: Kind,
    /// A sentence; of a held package its name only.
    pub(super) text: String,
}

impl Fact {
    /// What happened, as a cause.
    pub(super) fn cause(&self) -> String {
        match self.kind {
            Kind::Held => format!("the package `{}` is held", self.text),
            _ => self.text.clone(),
        }
    }

    /// Whether it explains that apt, dpkg or compose failed, by what these `said`, and by whose fault it is by that (`class`).
    ///
    /// Where they blame the release, it is excused only by what its own script complains of. That dpkg is locked now says
    /// nothing of what failed before: they say it where it was in their way.
    pub(super) fn explains_switch(&self, said: &str, class: Class) -> bool {
        match self.kind {
            _ if class == Class::Upgrade => self.explains_unit(said),
            Kind::Locked => seen_in(said, &[APT]).iter().any(|seen| seen.meaning == Meaning::Locked),
            _ => true,
        }
    }

    /// Whether it explains that a unit, a service or a script of the release fails, by its state and its own last words
    /// (`said`): a host always has something the matter, and a release is not excused by what it does not complain of.
    pub(super) fn explains_unit(&self, said: &str) -> bool {
        let said_lower = said.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| said_lower.contains(word));
        match self.kind {
            Kind::Room => has(&["no space left on device", "enospc", "disk is full", "disk full", "quota exceeded"]),
            Kind::ReadOnly => has(&["read-only file system", "readonly file system", "erofs", "readonly database"]),
            // systemd's result of a unit, and what it writes to its journal.
            Kind::Memory => {
                has(&["oom-kill", "killed by the oom killer"])
                    || self.killed().is_some_and(|program| names_unit_of(said, program))
            }
            Kind::Interrupted | Kind::Unconfigured | Kind::Dependencies | Kind::Held | Kind::Locked => false,
        }
    }

    /// The program that the kernel killed: `Killed process 4711 (mme)`.
    fn killed(&self) -> Option<&str> {
        self.text.split_once(" (")?.1.strip_suffix(')').filter(|name| !name.is_empty())
    }

    /// What to try.
    pub(super) fn hint(&self) -> String {
        match self.kind {
            Kind::Interrupted | Kind::Unconfigured => "run `dpkg --configure -a` on the host".to_owned(),
            Kind::Dependencies => "run `apt-get --fix-broken install` on the host".to_owned(),
            Kind::Held => format!("run `apt-mark unhold {}` on the host", self.text),
            Kind::ReadOnly => "look for disk errors in the host's kernel log, then mount it writable".to_owned(),
            Kind::Memory => "look for what uses the host's memory".to_owned(),
            Kind::Room => "free some space there".to_owned(),
            Kind::Locked => "wait until that process has ended, or stop it".to_owned(),
        }
    }
}

/// Whether a text names, in backquotes, a unit or service of this program: `magma@mme.service`, `mme`. Of a longer name
/// the kernel knows the first 15 letters.
fn names_unit_of(said: &str, program: &str) -> bool {
    said.split('`').skip(1).step_by(2).any(|unit| {
        let name = unit.split('.').next().unwrap_or_default();
        let name = name.split_once('@').map_or(name, |(_, instance)| instance);
        name == program || program.len() == 15 && name.starts_with(program)
    })
}

/// Reads lines of a kind, a tab, and a text. Other lines are not facts.
pub(super) fn parse_facts(text: &str) -> Vec<Fact> {
    let facts = text.lines().filter_map(|line| {
        let (kind, text) = line.split_once('\t')?;
        let kind = match kind {
            "interrupted" => Kind::Interrupted,
            "unconfigured" => Kind::Unconfigured,
            "dependencies" => Kind::Dependencies,
            "held" => Kind::Held,
            "read-only" => Kind::ReadOnly,
            "memory" => Kind::Memory,
            "room" => Kind::Room,
            "locked" => Kind::Locked,
            _ => return None,
        };
        Some(Fact { kind, text: text.trim().to_owned() })
    });
    facts.collect()
}

/// How much is free where an upgrade writes, by the lines `free`, a tab, and a text.
pub(super) fn parse_free(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("free\t")).collect()
}

/// The file systems that do not have the room that the packages need, by the answer to `room_for_packages.sh`.
pub(super) fn lacks_of_room(text: &str) -> Vec<Fact> {
    let lacks = text.lines().filter_map(|line| {
        let mut words = line.splitn(5, ' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (needed, free, files, nodes) = (number()?, number()?, number()?, number()?);
        let path = words.next()?;
        let text = if free < needed {
            format!("the packages need {needed} KB on the file system of {path}, and {free} KB are free")
        } else if nodes > 0 && nodes < files {
            format!("the packages bring {files} files to the file system of {path}, which has room for {nodes} more")
        } else {
            return None;
        };
        Some(Fact { kind: Kind::Room, text })
    });
    lacks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_needs_room_for_bytes_and_for_files() {
        let text = "12000 5000 40 0 /\n3072 200 7 900 /usr/local\n3072 9000 700 90 /opt\n10 10 1 1 /var\nnonsense\n";
        let texts: Vec<String> = lacks_of_room(text).into_iter().map(|fact| fact.text).collect();
        assert_eq!(
            texts,
            [
                "the packages need 12000 KB on the file system of /, and 5000 KB are free",
                "the packages need 3072 KB on the file system of /usr/local, and 200 KB are free",
                "the packages bring 700 files to the file system of /opt, which has room for 90 more",
            ]
        );
    }

    /// Runs [`PLACES`] on a host with a small `/tmp`, a `/var/opt` whose file system has no file left, and an `/opt`
    /// that is read-only.
    #[test]
    fn an_upgrade_needs_room_and_files_wherever_it_writes_and_no_read_only_mount() {
        use crate::gateway::feg::tests::in_folder;
        let asked = |calls: &str| {
            let script = format!(
                "{PLACES}\ndf() {{\n  case $* in\n  *'i '*tmp) echo 'x 0 0 0 -' ;;\n  *'i '*opt*) echo 'x 5000 4999 1 -' ;;\n  \
                 *'i '*) echo 'x 900000 1 899999 -' ;;\n  *tmp) echo 'x 1 1 10240 -' ;;\n  *) echo 'x 1 1 4096000 -' ;;\n  esac |\n  \
                 sed '1i head'\n}}\nis_writable() {{ [ \"$1\" != ro ]; }}\nmkdir tmp opt ro var\n{calls}\n\
                 echo \"lacks ${{lacks:-nothing}}\"\n"
            );
            let (_folder, output) = in_folder(&[], &script);
            assert!(output.stderr.is_empty(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(asked("place 200 var"), "free\t4000 MB free at var\nlacks nothing\n");
        assert_eq!(asked("place 200 var/not/there/yet"), "free\t4000 MB free at var/not/there/yet\nlacks nothing\n");
        let small = "room\tonly 10 MB are free at tmp, and an upgrade needs at least 50 MB\nlacks yes\n";
        assert_eq!(asked("place 50 tmp"), small);
        assert_eq!(asked("place 5 tmp"), "free\t10 MB free at tmp\nlacks nothing\n");
        let no_file =
            "room\tonly 1 more files fit on the file system of opt, and an upgrade needs at least 1000\nlacks yes\n";
        assert_eq!(asked("place 5 opt"), no_file);
        let read_only = "read-only\tro is on a file system that is mounted read-only\nlacks yes\n";
        assert_eq!(asked("place 5 ro"), read_only);
        assert_eq!(asked("place 0 ro"), read_only);
        assert_eq!(asked("is_remounted=yes\nplace 0 ro\nplace 0 tmp"), "lacks nothing\n");
        let facts = parse_facts(small);
        assert_eq!((facts[0].kind, parse_free("free\tx\n")), (Kind::Room, vec!["x"]));
    }

    #[test]
    fn the_hint_for_a_held_package_is_the_command_that_releases_it() {
        let facts = parse_facts("held\tmagma\nsomething else\nunknown\tx\n");
        assert_eq!(facts.len(), 1);
        assert_eq!(facts[0].cause(), "the package `magma` is held");
        assert_eq!(facts[0].hint(), "run `apt-mark unhold magma` on the host");
    }

    #[test]
    fn what_is_the_matter_with_a_host_explains_a_unit_only_where_the_unit_says_so() {
        let text = "locked\tdpkg is locked by process 150 (perl)\nroom\tthe file system of /tmp is full: 12 KB are free\n\
                    read-only\t/opt is on a file system that is mounted read-only\n\
                    memory\tthe kernel ran out of memory: Killed process 812 (sessiond)\n";
        let explained = |said: &str| {
            let facts = parse_facts(text).into_iter().filter(|fact| fact.explains_unit(said));
            facts.map(|fact| fact.kind).collect::<Vec<_>>()
        };
        let restarts = "`magma@mme.service` is started again after it failed (exit-code, 25 restarts)";
        assert_eq!(explained(&format!("{restarts}\nFATAL: key not found: enable_nat")), []);
        assert_eq!(explained(&format!("{restarts}\nwrite /var/log/mme.log: No space left on device")), [Kind::Room]);
        assert_eq!(explained(&format!("{restarts}\nopen /opt/x: Read-only file system")), [Kind::ReadOnly]);
        assert_eq!(explained("`magma@mme.service` is failed (oom-kill)"), [Kind::Memory]);
        assert_eq!(explained("`magma@sessiond.service` is failed (signal)"), [Kind::Memory]);
        assert_eq!(explained("`magma@mme.service` is failed (signal)\nsessiond: no answer"), []);
        assert!(names_unit_of("`sctpd.service` is inactive, `control_proxy_of_feg` is exited", "control_proxy_o"));
        assert_eq!(
            explained(&format!("{restarts}\ndpkg frontend lock was locked by another process with pid 150")),
            []
        );
    }

    #[test]
    fn what_is_the_matter_with_a_host_excuses_no_release_whose_script_fails_for_another_reason() {
        let facts = parse_facts("locked\tdpkg is locked by process 150 (perl)\nroom\tthe file system of / is full\n");
        let explained = |said: &str, class| facts.iter().filter(|fact| fact.explains_switch(said, class)).count();
        let postinst = include_str!("../../tests/fixtures/apt/postinst-fails.txt");
        assert_eq!(explained(postinst, Class::Upgrade), 0);
        assert_eq!(explained(&format!("{postinst}\nsqlite3: database or disk is full"), Class::Upgrade), 1);
        assert_eq!(explained(include_str!("../../tests/fixtures/apt/other-package-fails.txt"), Class::Testbed), 1);
        let lock = include_str!("../../tests/fixtures/apt/dpkg-lock.txt");
        assert_eq!(explained(lock, Class::Testbed), 2);
        // It was waited for.
        assert_eq!(explained(lock, Class::Upgrade), 0);
    }

    /// Two files of one number, on two file systems, are two files.
    #[test]
    fn who_has_dpkgs_lock_has_that_file_open() {
        use crate::gateway::feg::tests::in_folder;
        let after = AFTER
            .replace("/var/lib/dpkg/", "$PWD/")
            .replace("/proc/locks", "locks")
            .replace("df -Pk", ":")
            .replace("\"/proc/$pid\"", "\"proc/$pid\"");
        let script = format!(
            "mkdir -p proc/150/fd proc/151/fd\n: >lock-frontend\n: >other\nln -s ../../../other proc/150/fd/3\n\
             node=$(stat -c %i lock-frontend)\nlock() {{ echo \"1: POSIX  ADVISORY  WRITE $1 08:01:$node 0 EOF\"; }}\n\
             lock 150 >locks\n({after}) | grep locked\n\
             ln -s ../../../lock-frontend proc/151/fd/4\nlock 151 >>locks\n({after}) | grep locked\n"
        );
        let (_folder, output) = in_folder(&[], &script);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "locked\tdpkg is locked by process 151 (unknown)\n",
            "{output:?}"
        );
    }

    /// The script that says where the packages go, against a package made by the real dpkg-deb.
    #[test]
    fn the_room_is_looked_for_where_the_packages_are_unpacked() {
        use crate::gateway::feg::tests::in_folder;
        let script = format!(
            "set -eu\nmkdir -p packages cache p/DEBIAN p/usr/local/share/x p/lib/x p/etc\n\
             printf 'Package: magma\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: m <m@m.invalid>\\nDescription: d\\n' >p/DEBIAN/control\n\
             head -c 1000000 /dev/zero >p/usr/local/share/x/big\necho x >p/lib/x/small\necho y >p/etc/y\nchmod -R u=rwX,go=rX p\n\
             dpkg-deb --build --root-owner-group p cache/magma_1.0_all.deb >/dev/null\n\
             printf 'Inst magma [0.9] (1.0 r [all])\\n' >simulated\n\
             printf 'dev / ext4 rw 0 0\\ndev /usr/local ext4 rw 0 0\\ndev /usr/localize ext4 rw 0 0\\n' >mounts\n\
             df() {{ echo head; echo \"dev 100000 1 77 1% $2\"; }}\ncd packages\n{}",
            include_str!("room_for_packages.sh").replace("CACHE", "../cache").replace("/proc/mounts", "../mounts")
        );
        let (_folder, output) = in_folder(&[], &script);
        let said = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!(lines.len(), 2, "{output:?}");
        // The small files and their folders; 977 KB, two folders and the margin.
        assert_eq!((lines[0][4], lines[0][1]), ("/", "77"));
        assert_eq!((lines[1][4], lines[1][0], lines[1][2]), ("/usr/local", "2016", "4"), "{output:?}");
    }
}
