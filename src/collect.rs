//! What is brought home from the gateways: journals, what they ran and run, conffile differences. Limited in size, never a reason
//! to fail.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use futures_util::future::{join, join_all};

use crate::config;
use crate::event::{EventKind, Events, Step};
use crate::gateway::{Found, Gateway};
use crate::remote::Error;
use crate::results::Results;
use crate::secret::RedactedStream;

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
        if let Err(problem) = gateway.learn_logins(Step::Collect).await {
            let files = gateway.traces(before, "0").into_iter().map(|(file, _)| file);
            files.for_each(|file| self.say(gateway, file, Err(anyhow::anyhow!(problem.line()))));
            return;
        }
        let since = (self.window.as_secs() + 1).to_string();
        let traces = join_all(gateway.traces(before, &since).into_iter().map(|(file, script)| async move {
            self.say(gateway, file, self.printed(gateway, file, script).await);
        }));
        let versions = async {
            let after = gateway.found(Step::Collect).await.map_err(|problem| anyhow::anyhow!(problem.line()));
            let versions = after.and_then(|after| {
                let versions = serde_json::json!({ "before": before, "after": after });
                Ok(serde_json::to_vec_pretty(&versions)?)
            });
            self.say(
                gateway,
                "versions.json",
                versions.and_then(|content| self.kept(gateway, "versions.json", &content)),
            );
        };
        join(traces, versions).await;
    }

    /// Keeps what a script prints on the gateway, as it comes, up to the limit. Returns the bytes that were kept.
    async fn printed(&self, gateway: &Gateway, file: &str, script: String) -> anyhow::Result<u64> {
        let limit = self.config.limit_mb * 1024 * 1024;
        let path = self.results.host(gateway.name())?.join(file);
        let mut kept = Kept::new(self, &path);
        let command = gateway.host().command(script).sudo().deadline(self.config.timeout);
        let streamed = command.stream(limit, |bytes| kept.push(bytes)).await;
        kept.finish()?;
        match streamed {
            Err(Error::TooMuch { .. }) => {
                let text =
                    format!("{file} is cut at {} MB, which is the limit (`collect.limit_mb`)", self.config.limit_mb);
                self.events.warn(Step::Collect, Some(gateway.name()), text);
            }
            other => drop(other?),
        }
        Ok(kept.bytes)
    }

    fn kept(&self, gateway: &Gateway, file: &str, content: &[u8]) -> anyhow::Result<u64> {
        let path = self.results.host(gateway.name())?.join(file);
        let mut kept = Kept::new(self, &path);
        kept.push(content)?;
        kept.finish()?;
        Ok(kept.bytes)
    }

    /// Says what was collected; nothing of a file that would be empty.
    fn say(&self, gateway: &Gateway, file: &str, collected: anyhow::Result<u64>) {
        let say = || -> anyhow::Result<()> {
            let bytes = collected?;
            if bytes > 0 {
                let path = self.results.name_of(&self.results.host(gateway.name())?.join(file)).into();
                self.events.say(EventKind::Collected { host: gateway.name().to_owned(), path, bytes });
            }
            Ok(())
        };
        if let Err(error) = say() {
            self.events.warn(Step::Collect, Some(gateway.name()), format!("{file} was not collected: {error:#}"));
        }
    }
}

/// A file that is written without secrets, and is there only when something is in it.
struct Kept<'a> {
    results: &'a Results,
    file: Option<File>,
    stream: RedactedStream,
    path: &'a Path,
    bytes: u64,
}

impl<'a> Kept<'a> {
    fn new(traces: &Traces<'a>, path: &'a Path) -> Kept<'a> {
        Kept { results: traces.results, file: None, stream: traces.events.redactor().stream(), path, bytes: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let clean = self.stream.push(bytes);
        self.write(&clean)
    }

    fn finish(&mut self) -> io::Result<()> {
        let clean = self.stream.finish();
        self.write(&clean)
    }

    fn write(&mut self, clean: &[u8]) -> io::Result<()> {
        if clean.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.results.create(self.path)?),
        };
        self.bytes += clean.len() as u64;
        file.write_all(clean)
    }
}
