//! What is brought home from the gateways: journals, what they ran and run, conffile differences. Limited in size, never a reason
//! to fail.

use std::io::Write as _;
use std::time::Duration;

use futures_util::future::{join, join_all};

use crate::config;
use crate::event::{EventKind, Events, Step};
use crate::gateway::{Found, Gateway};
use crate::results::Results;

/// What of a gateway's night is brought home.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traces<'a> {
    pub(crate) config: &'a config::Collect,
    pub(crate) results: &'a Results,
    pub(crate) events: &'a Events,
    /// How long ago the night began to work on the gateways.
    pub(crate) window: Duration,
}

impl Traces<'_> {
    /// Brings home a gateway's journal, what it ran before and runs now, and what this night's switch did to its conffiles.
    pub(crate) async fn of(&self, gateway: &Gateway, before: &Found) {
        let since = (self.window.as_secs() + 1).to_string();
        let traces = join_all(gateway.traces(before, &since).into_iter().map(|(file, script)| async move {
            self.kept(gateway, file, self.printed(gateway, script).await);
        }));
        let versions = async {
            let after = gateway.found(Step::Collect).await.map_err(|problem| anyhow::anyhow!(problem.line()));
            let versions = after.and_then(|after| {
                let versions = serde_json::json!({ "before": before, "after": after });
                Ok(serde_json::to_vec_pretty(&versions)?)
            });
            self.kept(gateway, "versions.json", versions);
        };
        join(traces, versions).await;
    }

    async fn printed(&self, gateway: &Gateway, script: String) -> anyhow::Result<Vec<u8>> {
        let limit = self.config.limit_mb * 1024 * 1024;
        let mut printed = Vec::new();
        let command = gateway.host().command(script).sudo().deadline(self.config.timeout);
        command.stream(limit, |bytes| printed.write_all(bytes)).await?;
        Ok(printed)
    }

    fn kept(&self, gateway: &Gateway, file: &str, content: anyhow::Result<Vec<u8>>) {
        let keep = || -> anyhow::Result<()> {
            let content = content?;
            if content.is_empty() {
                return Ok(());
            }
            let mut stream = self.events.redactor().stream();
            let mut clean = stream.push(&content);
            clean.extend(stream.finish());
            let path = self.results.host(gateway.name())?.join(file);
            std::fs::write(&path, &clean)?;
            self.events.say(EventKind::Collected {
                host: gateway.name().to_owned(),
                path: self.results.name_of(&path).into(),
                bytes: clean.len() as u64,
            });
            Ok(())
        };
        if let Err(error) = keep() {
            self.events.warn(Step::Collect, Some(gateway.name()), format!("{file} was not collected: {error:#}"));
        }
    }
}
