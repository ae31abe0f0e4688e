//! What history knows of a night before it begins: how its cases went, and what is usual. Words and values.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::event::{Step, seconds};
use crate::gate::CameTo;

/// What the nights before say of a night on the same setup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The last night that tested.
    pub previous: Option<Past>,
    pub suites: BTreeMap<String, SuiteMemory>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepMemory>,
}

/// What is known of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepMemory {
    pub step: Step,
    /// The gateways that were switched in the nights that say so, where it depends on them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub switched: String,
    /// What it usually takes: the median of its last nights.
    #[serde(with = "seconds")]
    pub usual: Duration,
}

/// A night that was, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub run: String,
    #[serde(with = "crate::moment::rfc3339")]
    pub started: OffsetDateTime,
    /// What the access gateway ran.
    pub release: Option<String>,
}

/// What is known of a suite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteMemory {
    /// What it usually takes: the median of its last nights.
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub usual: Option<Duration>,
    pub cases: BTreeMap<String, CaseMemory>,
}

/// What is known of a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseMemory {
    /// What it came to when its suite last ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<CameTo>,
    /// The last night in which it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Past>,
    /// The first night since then in which it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_since: Option<Past>,
    /// The first night since then in which it did anything else than pass; it may be one in which no verdict could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Past>,
    /// What it usually takes when it passes.
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub usual: Option<Duration>,
    /// Whether the last green night of its suite had it.
    #[serde(default)]
    pub is_baseline: bool,
}
