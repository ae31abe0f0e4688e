//! What can go wrong on a gateway, as an operator reads it: what, on which host, and what to try next. Why is said by
//! whoever found it out: in the words of the gateway's own programs, as a rule.

use super::{BACKUP, INTENT};
use crate::event::{Class, Problem, Step};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble<'a> {
    /// A question to the host, or a small change there.
    Unanswered {
        what: &'a str,
    },
    /// Whatever the release: something of the host is in the way.
    NotUpgradable,
    OfAnotherRun,
    /// What a step runs as a job of the host's own.
    Failed {
        step: Step,
        class: Class,
    },
    JobGoesOn {
        id: &'a str,
    },
    AptUnasked,
    RepositoryUnread,
    Uninstallable {
        release: &'a str,
        class: Class,
    },
    Unfetched {
        release: &'a str,
        class: Class,
    },
    NoWayBack,
    Unpulled {
        tag: &'a str,
        class: Class,
    },
    NotLaidReady {
        release: &'a str,
    },
    NoCompose,
    ComposeUnusable,
    ComposeRefusesInUse,
    ComposeRefusesOne {
        release: &'a str,
    },
    ComposeRefuses {
        release: &'a str,
        class: Class,
    },
    RegistryUnasked {
        reference: &'a str,
    },
    RegistryWillNotSay {
        reference: &'a str,
    },
    NoIntent,
    IntentUnreadable,
    Undecided,
    Meddled,
    Rebooted,
    Unhealthy {
        release: &'a str,
    },
    NotCheckedIn,
    NotBroughtBack,
    NotClosed,
    OfAnotherKind,
}

impl Trouble<'_> {
    /// The bad news from a gateway, without its cause.
    pub(crate) fn on(self, gateway: &str) -> Problem {
        Problem::new(self.class(), self.message(gateway)).hint(self.hint(gateway))
    }

    fn class(self) -> Class {
        match self {
            Trouble::Failed { class, .. }
            | Trouble::Uninstallable { class, .. }
            | Trouble::Unfetched { class, .. }
            | Trouble::Unpulled { class, .. }
            | Trouble::ComposeRefuses { class, .. } => class,
            Trouble::Unhealthy { .. } | Trouble::NotCheckedIn => Class::Upgrade,
            Trouble::IntentUnreadable
            | Trouble::Undecided
            | Trouble::NotBroughtBack
            | Trouble::NotClosed
            | Trouble::OfAnotherKind => Class::Mixed,
            Trouble::Unanswered { .. }
            | Trouble::NotUpgradable
            | Trouble::OfAnotherRun
            | Trouble::JobGoesOn { .. }
            | Trouble::AptUnasked
            | Trouble::RepositoryUnread
            | Trouble::NoWayBack
            | Trouble::NotLaidReady { .. }
            | Trouble::NoCompose
            | Trouble::ComposeUnusable
            | Trouble::ComposeRefusesInUse
            | Trouble::ComposeRefusesOne { .. }
            | Trouble::RegistryUnasked { .. }
            | Trouble::RegistryWillNotSay { .. }
            | Trouble::NoIntent
            | Trouble::Rebooted
            | Trouble::Meddled => Class::Testbed,
        }
    }

    fn message(self, gateway: &str) -> String {
        match self {
            Trouble::Unanswered { what } => format!("could not {what} on `{gateway}`"),
            Trouble::NotUpgradable => format!("`{gateway}` is not in a state to be upgraded"),
            Trouble::OfAnotherRun => format!("`{gateway}` does not take our command"),
            Trouble::Failed { step, .. } => format!("{step} failed on `{gateway}`"),
            Trouble::JobGoesOn { id } => format!("the job `{id}` on `{gateway}` does not end"),
            Trouble::AptUnasked => format!("apt could not be asked on `{gateway}`"),
            Trouble::RepositoryUnread => format!("the package repository could not be read on `{gateway}`"),
            Trouble::Uninstallable { release, .. } => {
                format!("the packages of {release} cannot be installed on `{gateway}`")
            }
            Trouble::Unfetched { release, .. } => {
                format!("the packages of {release} could not be fetched on `{gateway}`")
            }
            Trouble::NoWayBack => format!("the way back of `{gateway}` could not be secured"),
            Trouble::Unpulled { tag, .. } => format!("the images of `{tag}` could not be pulled on `{gateway}`"),
            Trouble::NotLaidReady { release } => {
                format!("the compose file of {release} could not be laid ready on `{gateway}`")
            }
            Trouble::NoCompose => format!("compose does not run on `{gateway}`"),
            Trouble::ComposeUnusable => format!("no compose program on `{gateway}` works with its Docker engine"),
            Trouble::ComposeRefusesInUse => {
                format!("no compose program on `{gateway}` reads the compose file in use")
            }
            Trouble::ComposeRefusesOne { release } => {
                format!("no compose program on `{gateway}` reads both the compose file in use and that of {release}")
            }
            Trouble::ComposeRefuses { release, .. } => {
                format!("compose refuses the compose file of {release} on `{gateway}`")
            }
            Trouble::RegistryUnasked { reference } => {
                format!("the registry could not be asked for `{reference}` on `{gateway}`")
            }
            Trouble::RegistryWillNotSay { reference } => {
                format!("the registry does not say whether `{reference}` is there, asked on `{gateway}`")
            }
            Trouble::NoIntent => format!("the intent record could not be written on `{gateway}`"),
            Trouble::IntentUnreadable => format!("the intent record on `{gateway}` cannot be read"),
            Trouble::Meddled => format!("`{gateway}` could not be judged in peace"),
            Trouble::Rebooted => format!("`{gateway}` was rebooted during the upgrade, and is not healthy since"),
            Trouble::Unhealthy { release } => format!("`{gateway}` is not healthy on {release}"),
            Trouble::NotCheckedIn => format!("`{gateway}` does not check in"),
            Trouble::Undecided => format!("`{gateway}` was left in mid-switch, and stays so for now"),
            Trouble::NotBroughtBack => format!("`{gateway}` could not be brought back to what it ran"),
            Trouble::NotClosed => format!("the switch could not be closed on `{gateway}`"),
            Trouble::OfAnotherKind => format!("what is recorded of `{gateway}` is of another kind of gateway"),
        }
    }

    fn hint(self, gateway: &str) -> String {
        let hint = match self {
            Trouble::Unanswered { .. } => "run it there by hand: `-v` shows the command",
            Trouble::NotUpgradable => "nothing was touched; look at the host",
            Trouble::OfAnotherRun => "`teravm-ci lock` says who has the testbed",
            Trouble::Failed { .. } => "all that it said is in `events.jsonl`",
            Trouble::JobGoesOn { .. } => "look at the load and the disks of the host",
            Trouble::AptUnasked => "see what `apt-get update` and `apt-cache policy` say there; nothing was touched",
            Trouble::RepositoryUnread => {
                "what is on offer is not known, so nothing was touched; look at the repository, then at the gateway's \
                 network"
            }
            Trouble::Uninstallable { .. } => "nothing was touched; `--tag` names another release",
            Trouble::Unfetched { .. } => "nothing was touched; look at the repository, then at the gateway's network",
            Trouble::NoWayBack => "nothing was touched, because nothing is without a way back; look at the host's disk",
            Trouble::Unpulled { .. } => {
                "nothing was touched; look at the registry, then at the gateway's network and disk"
            }
            Trouble::NotLaidReady { .. } => {
                "nothing was touched; `feg.directory` and `feg.compose_url` in the config say where it comes from"
            }
            Trouble::NoCompose => "nothing was touched; `feg.compose` in the config says how it is called",
            Trouble::ComposeUnusable => {
                "nothing was touched; install compose v2 (`docker compose`) there, or name a working program in `feg.compose`"
            }
            Trouble::ComposeRefusesInUse | Trouble::ComposeRefusesOne { .. } => {
                "nothing was touched; install the other generation of compose there (`docker-compose` 1.29 or `docker \
                 compose`), or correct the file"
            }
            Trouble::ComposeRefuses { .. } => {
                "does the release need a key that the site's `.env` does not have? Nothing was touched"
            }
            Trouble::RegistryUnasked { .. } => "nothing was touched; does the Docker engine answer there?",
            Trouble::RegistryWillNotSay { .. } => {
                "nothing was touched; look at the registry and at the gateway's `docker login`"
            }
            Trouble::NoIntent => "nothing was touched; look at the disk of the host",
            Trouble::IntentUnreadable => {
                return format!(
                    "a run died here in mid-switch; bring the gateway to a known release by hand, then remove {INTENT}"
                );
            }
            Trouble::Undecided => {
                "only all gateways together know whether it goes back or on; mend the one that does not answer, and run again"
            }
            Trouble::Rebooted => "find out why it was rebooted: `last -x reboot` and the kernel log of the host",
            Trouble::Meddled => "somebody else is at work on this gateway",
            Trouble::Unhealthy { .. } | Trouble::NotCheckedIn => {
                return format!("its journal is in `hosts/{gateway}/`");
            }
            Trouble::NotBroughtBack => {
                return format!("look at the host; what was kept is in {BACKUP}, and the next run tries again");
            }
            Trouble::NotClosed => {
                return format!(
                    "look at the host; while {INTENT} is there, the next run closes the switch as on the other gateways, or takes it back"
                );
            }
            Trouble::OfAnotherKind => {
                return format!("does `setups` in the config call it what it is? The record is {INTENT}");
            }
        };
        hint.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::one_of_each;

    #[test]
    fn each_trouble_says_what_where_and_what_to_try() {
        let (release, reference, tag) = ("1.9.1-1668500000-5d2e8f90", "registry.lab/gateway_go:5d2e8f90", "5d2e8f90");
        let class = Class::Testbed;
        let troubles = one_of_each! {
            Trouble::Unanswered { .. } => Trouble::Unanswered { what: "read the image IDs" },
            Trouble::NotUpgradable => Trouble::NotUpgradable,
            Trouble::OfAnotherRun => Trouble::OfAnotherRun,
            Trouble::Failed { .. } => Trouble::Failed { step: Step::Activate, class },
            Trouble::JobGoesOn { .. } => Trouble::JobGoesOn { id: "20261123T000831-bf30-activate" },
            Trouble::AptUnasked => Trouble::AptUnasked,
            Trouble::RepositoryUnread => Trouble::RepositoryUnread,
            Trouble::Uninstallable { .. } => Trouble::Uninstallable { release, class: Class::Upgrade },
            Trouble::Unfetched { .. } => Trouble::Unfetched { release, class },
            Trouble::NoWayBack => Trouble::NoWayBack,
            Trouble::Unpulled { .. } => Trouble::Unpulled { tag, class },
            Trouble::NotLaidReady { .. } => Trouble::NotLaidReady { release },
            Trouble::NoCompose => Trouble::NoCompose,
            Trouble::ComposeUnusable => Trouble::ComposeUnusable,
            Trouble::ComposeRefusesInUse => Trouble::ComposeRefusesInUse,
            Trouble::ComposeRefusesOne { .. } => Trouble::ComposeRefusesOne { release },
            Trouble::ComposeRefuses { .. } => Trouble::ComposeRefuses { release, class: Class::Upgrade },
            Trouble::RegistryUnasked { .. } => Trouble::RegistryUnasked { reference },
            Trouble::RegistryWillNotSay { .. } => Trouble::RegistryWillNotSay { reference },
            Trouble::NoIntent => Trouble::NoIntent,
            Trouble::IntentUnreadable => Trouble::IntentUnreadable,
            Trouble::Undecided => Trouble::Undecided,
            Trouble::Meddled => Trouble::Meddled,
            Trouble::Rebooted => Trouble::Rebooted,
            Trouble::Unhealthy { .. } => Trouble::Unhealthy { release },
            Trouble::NotCheckedIn => Trouble::NotCheckedIn,
            Trouble::NotBroughtBack => Trouble::NotBroughtBack,
            Trouble::NotClosed => Trouble::NotClosed,
            Trouble::OfAnotherKind => Trouble::OfAnotherKind,
        };
        let told = troubles.map(|trouble| {
            let problem = trouble.on("agw").because("exit status 1: the last lines of its own program");
            format!("{:?}: {}", problem.class, problem.text())
        });
        insta::assert_snapshot!(told.join("\n\n"));
    }
}
