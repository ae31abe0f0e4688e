//! What a host of the lab has been saying, for an engineer at a desk: a gateway's journals and containers, what a run has printed on
//! NG40. On standard output, without secrets, and harmless to the terminal.

use std::io;

use crate::cli::{Global, LogsArgs};
use crate::config::Config;
use crate::desk;
use crate::event::{Problem, Step};
use crate::gateway::Gateway;
use crate::ng40;
use crate::plan::{Lab, PlannedHost, Role};
use crate::remote::Error;
use crate::secret::{RedactedStream, Redactor};
use crate::summary::Status;
use crate::terminal;
use crate::window::Window;

/// What is shown of a log when nobody says how much.
const LINES: u32 = 100;

/// A line is shown in pieces when it is longer than this.
const LONGEST: usize = 64 * 1024;

/// Shows a host's logs until their end, or until a signal comes. Returns the exit code.
pub(crate) async fn show(config: &Config, global: &Global, args: &LogsArgs) -> anyhow::Result<u8> {
    let planned = &PlannedHost::named(config, global, &args.host)?;
    let lab = Lab::new(config, global, &args.reach)?;
    let lines = args.lines.or_else(|| args.since.is_none().then_some(LINES));
    let window = Window { since: args.since, lines, is_followed: args.follow };
    desk::on_host(&lab, planned, async |host, events, stop| {
        let command = match planned.role {
            Role::Ng40 => host.command(ng40::log_script(&lab.ng40, &window)),
            Role::Agw | Role::Feg => {
                let gateway = Gateway::new(planned, &lab, host.clone(), events, None);
                gateway.learn_logins(Step::Connect).await?;
                host.command(gateway.log_script(&window)).sudo()
            }
        };
        let mut shown = Shown::new(&lab.redactor);
        let printed = stop.or(command.no_deadline().stream(u64::MAX, |bytes| shown.push(bytes))).await;
        // Whoever read it has gone, and so has the reason to go on.
        let _ = shown.finish();
        match printed {
            // It has no end but this one.
            Err(_) if window.is_followed => Ok(Status::Passed.code()),
            Err(reason) => Err(reason),
            Ok(Err(Error::Sink { .. })) => Ok(Status::Passed.code()),
            Ok(Err(error)) => Err(error.problem()),
            Ok(Ok(output)) if output.is_success() => Ok(Status::Passed.code()),
            Ok(Ok(output)) => Err(Problem::testbed(format!("the logs of `{}` could not be read", planned.name))
                .because(format!("exit status {}: {}", output.status, output.last_words()))),
        }
    })
    .await
}

/// Lines on their way to standard output.
struct Shown {
    stream: RedactedStream,
    /// The beginning of a line.
    held: Vec<u8>,
}

impl Shown {
    fn new(redactor: &Redactor) -> Shown {
        Shown { stream: redactor.stream(), held: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend(self.stream.push(bytes));
        let whole = memchr::memrchr(b'\n', &self.held).map(|at| at + 1);
        match whole.or_else(|| (self.held.len() > LONGEST).then_some(self.held.len())) {
            Some(end) => {
                let rest = self.held.split_off(end);
                put(&std::mem::replace(&mut self.held, rest))
            }
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.held.extend(self.stream.finish());
        put(&std::mem::take(&mut self.held))
    }
}

fn put(bytes: &[u8]) -> io::Result<()> {
    terminal::write(&String::from_utf8_lossy(bytes).replace("\r\n", "\n"))
}
