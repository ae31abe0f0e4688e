//! The way of a night, on one screen: the config is loaded, the plan is made, the nights before are asked, the reporters are opened,
//! the plan is run while the reporters listen to its events, the night is kept, and what the events add up to is the exit code.

mod adopt;
mod cause;
mod check;
pub mod cli;
mod collect;
mod config;
mod crash;
mod desk;
mod dry_run;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gate;
mod gateway;
mod history;
mod limit;
mod lock;
mod logs;
mod manual;
mod memory;
mod moment;
mod ng40;
mod offline;
mod plan;
mod process;
mod reach;
mod release;
mod remote;
mod report;
mod results;
mod runner;
mod secret;
mod signals;
mod stop;
mod summary;
mod terminal;
mod upgrade;
mod verdict;
mod version;
mod vpn;
mod window;

use crate::cli::{Cli, Command, Global, Night};
use crate::config::Config;
use crate::crash::Crash;
use crate::event::{EventKind, Events, Problem};
use crate::history::Nights;
use crate::plan::Plan;
use crate::report::{Options, ReportError, Reporters};
use crate::secret::Redactor;
use crate::summary::{Status, Summary};

/// Says what is wrong with a command line, or shows the help, and returns the exit code.
pub fn usage(error: &clap::Error) -> u8 {
    terminal::usage(error)
}

/// Does what was asked for and returns the exit code.
pub fn main(cli: Cli) -> u8 {
    crash::install();
    terminal::diagnostics(&cli.global);
    crash::forbid_core_dumps();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return terminal::refuse(&anyhow::Error::new(error).context("the program could not be started")),
    };
    let done = runtime.block_on(crash::caught(carry_out(cli)));
    // Whatever still waits for a terminal or a name server shall not hold the exit code back.
    runtime.shutdown_background();
    let code = match done {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => terminal::refuse(&error),
        Err(crash) => terminal::crashed(&crash),
    };
    // What nobody has told of: the reports of a run are closed by now, and have what came before.
    crash::untold().iter().map(terminal::crashed).fold(code, |_, crashed| crashed)
}

async fn carry_out(cli: Cli) -> anyhow::Result<u8> {
    crash::point(|| "command".to_owned());
    let global = &cli.global;
    let config = || {
        let config = Config::load(&global.config)?;
        plan::learn(&config)?;
        anyhow::Ok(config)
    };
    match &cli.command {
        Command::Run(args) => night(Plan::run(&config()?, global, args)?, global, &args.night).await,
        Command::Upgrade(args) => night(Plan::upgrade(&config()?, global, args)?, global, &args.night).await,
        Command::Test(args) => night(Plan::test(&config()?, global, args)?, global, &args.night).await,
        Command::Report(args) => {
            // It needs no config. Where there is one, its secrets are in no report.
            if let Ok(config) = Config::load(&global.config) {
                let _ = plan::learn(&config);
            }
            let consoles = offline::open(args, &global.results)?;
            let rules = ng40::outcome::Rules { max_packet_loss: args.max_packet_loss, ..Default::default() };
            let summary = heard(&terminal::options(global), Redactor::process(), |events| async move {
                // Its panic is seen, and told by whoever listens.
                let _ = tokio::task::spawn_blocking(move || offline::read(consoles, rules, &events)).await;
            })
            .await?;
            Ok(code(summary.as_ref()))
        }
        Command::Check(args) => check::check(&config()?, global, args).await,
        Command::Vpn(args) => desk::vpn(&config()?, global, args).await,
        Command::Logs(args) => logs::show(&config()?, global, args).await,
        Command::Ssh(args) => desk::ssh(&config()?, global, args).await,
        Command::Lock(args) => desk::lock(&config()?, global, args).await,
        Command::Gate(args) => history::gate(&config()?, global, args).await,
        Command::History(args) => history::ask(&config()?, global, args).await,
        Command::Config(args) => desk::config(global, args).await,
        Command::Completions(args) => Ok(desk::completions(args)),
        Command::Man(args) => manual::man(args),
    }
}

/// Runs a plan, or says what it would do.
async fn night(plan: Plan, global: &Global, args: &Night) -> anyhow::Result<u8> {
    if args.dry_run {
        return dry_run::print_plan(&plan).await;
    }
    let (redactor, history) = (plan.lab.redactor.clone(), plan.history.clone());
    let recalled = crash::caught(plan.recall()).await;
    let (memory, nights) = recalled.unwrap_or_else(|crash| (Err(Problem::internal(&crash)), Nights::default()));
    let options = Options { nights, ..terminal::options(global) };
    let summary = heard(&options, redactor, |events| async move {
        runner::run(&plan, memory, events).await;
    })
    .await?;
    if let Some(summary) = &summary
        && let Err(crash) = crash::caught(history.keep_or_say(summary, &global.results)).await
    {
        // As with any history that cannot be written, the status stays what the reports say.
        terminal::crashed(&crash);
    }
    Ok(code(summary.as_ref()))
}

/// Has the reporters listen to a piece of work, and returns what they have heard; none when they broke down.
async fn heard<F>(
    options: &Options,
    redactor: Redactor,
    work: impl FnOnce(Events) -> F,
) -> anyhow::Result<Option<Summary>>
where
    F: Future<Output = ()>,
{
    let reporters = match Reporters::open(options) {
        Ok(reporters) => reporters,
        Err(ReportError::Crashed { crash }) => {
            terminal::crashed(&crash);
            return Ok(None);
        }
        Err(error) => return Err(error.hinted()),
    };
    let (events, inbox) = event::channel(redactor);
    let listening = tokio::task::spawn_blocking(move || reporters.listen(inbox));
    let worked = crash::caught(work(events.clone())).await;
    let crashes: Vec<Crash> = worked.err().into_iter().chain(crash::untold()).collect();
    if !crashes.is_empty() {
        crashes.iter().for_each(|crash| events.crashed(crash));
        events.say(EventKind::NightEnded);
    }
    drop(events);
    let summary = listening.await;
    // The reports are closed: what comes now is not in them.
    for crash in crash::untold() {
        terminal::crashed(&crash);
    }
    Ok(summary.ok())
}

/// The exit code of what the reporters have heard.
fn code(summary: Option<&Summary>) -> u8 {
    summary.map_or(Status::InternalError, Summary::status).code()
}
