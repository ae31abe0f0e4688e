//! What a run did to a gateway: its release, and the packages that came with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::RedactedText;

/// A package before and after the run; none where it is not installed, or its version is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackageChange {
    pub name: RedactedText,
    pub from: Option<RedactedText>,
    pub to: Option<RedactedText>,
}

impl PackageChange {
    pub(crate) fn is_change(&self) -> bool {
        self.from != self.to
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: &Option<RedactedText>| version.clone().unwrap_or_else(|| "not installed".into());
        write!(f, "{} {} -> {}", self.name, version(&self.from), version(&self.to))
    }
}

/// What the night did to a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gateway_is", rename_all = "snake_case")]
pub(crate) enum GatewayOutcome {
    Upgraded {
        from: Option<RedactedText>,
        to: RedactedText,
    },
    /// The release that was asked for is older than what it ran.
    Downgraded {
        from: RedactedText,
        to: RedactedText,
    },
    Unchanged {
        at: RedactedText,
    },
    /// It runs again what it ran before the night.
    Restored {
        to: RedactedText,
    },
    /// It is not known, or not one thing, what it runs.
    Mixed {
        runs: RedactedText,
    },
}

impl GatewayOutcome {
    /// Of the packages, those that changed and that the outcome does not name already.
    pub(crate) fn others<'p>(&self, packages: &'p [PackageChange]) -> impl Iterator<Item = &'p PackageChange> {
        let (left, reached) = match self {
            GatewayOutcome::Upgraded { from, to } => (from.as_deref(), Some(to.as_str())),
            GatewayOutcome::Downgraded { from, to } => (Some(from.as_str()), Some(to.as_str())),
            _ => (None, None),
        };
        // Of two packages of one version the first is the release's own.
        let own =
            packages.iter().position(|package| package.from.as_deref() == left && package.to.as_deref() == reached);
        let others = packages.iter().enumerate().filter(move |(index, _)| Some(*index) != own);
        others.map(|(_, package)| package).filter(|package| package.is_change())
    }

    /// The outcome and, in brackets, the other packages that changed.
    pub(crate) fn with_packages(&self, packages: &[PackageChange]) -> String {
        let others: Vec<String> = self.others(packages).map(PackageChange::to_string).collect();
        if others.is_empty() { self.to_string() } else { format!("{self} ({})", others.join(", ")) }
    }
}

impl fmt::Display for GatewayOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayOutcome::Upgraded { from: Some(from), to } => write!(f, "upgraded {from} -> {to}"),
            GatewayOutcome::Upgraded { from: None, to } => write!(f, "upgraded to {to}"),
            GatewayOutcome::Downgraded { from, to } => write!(f, "downgraded {from} -> {to}"),
            GatewayOutcome::Unchanged { at } => write!(f, "unchanged at {at}"),
            GatewayOutcome::Restored { to } => write!(f, "restored to {to}"),
            GatewayOutcome::Mixed { runs } => write!(f, "mixed: {runs}"),
        }
    }
}
