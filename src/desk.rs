//! The small commands of an engineer at a desk: hold the tunnel, log in to a host, look at the lock, make and look at the config,
//! completions.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, anyhow};
use clap::CommandFactory as _;

use crate::adopt::{self, AdoptError};
use crate::cli::{
    Cli, CompletionsArgs, ConfigAction, ConfigArgs, Global, LockAction, LockArgs, Reach, SshArgs, VpnArgs,
};
use crate::config::Config;
use crate::error::Hint as _;
use crate::event::{self, Events, Problem};
use crate::history;
use crate::limit;
use crate::lock::Lock;
use crate::plan::{self, Lab, PlannedHost, Role};
use crate::process;
use crate::reach;
use crate::remote::{Access, AccessError, Host};
use crate::secret::Redactor;
use crate::signals;
use crate::stop::Stop;
use crate::summary::Status;
use crate::terminal::{self, print, print_own, remark};
use crate::vpn::{self, Tunnel};

/// What to try where a config cannot be put.
const ELSEWHERE: &str = "`--config FILE` names another place";

/// The Fabric script's own has a few KB.
const MOST_FABFILE: usize = 1024 * 1024;

/// The exit code of a command of which nothing is known.
const KILLED: u8 = 137;

/// Holds the tunnel up until a signal comes, or while a command runs.
pub(crate) async fn vpn(config: &Config, global: &Global, args: &VpnArgs) -> anyhow::Result<u8> {
    if let Some(program) = args.command.first().filter(|program| process::find(program).is_none()) {
        return Err(anyhow!("there is no program `{program}` on this machine"))
            .hint("behind `--` stands a program with its words; what only a shell knows is run by `sh -c`");
    }
    let lab = Lab::new(config, global, &Reach { no_vpn: false })?;
    let Some(settings) = &lab.vpn else {
        return Err(anyhow!("`vpn.kind` is `none`: there is no tunnel to hold"))
            .hint("the hosts are reached as they are: `ssh` needs no tunnel of ours");
    };
    vpn::sweep();
    let (events, inbox) = event::channel(lab.redactor.clone());
    let listening = tokio::spawn(heard(inbox, lab.is_verbose));
    let tunnel = tokio::select! {
        tunnel = Tunnel::up(settings.clone(), &events) => tunnel,
        signal = signals::next() => {
            remark(&format!("stopped by {signal}\n"));
            return Ok(Status::Interrupted.code());
        }
    };
    let tunnel = match tunnel {
        Ok(tunnel) => tunnel,
        Err(error) => return Ok(testbed(&error.problem())),
    };
    let code = match args.command.split_first() {
        None => {
            remark("the tunnel is up; Ctrl-C takes it down\n");
            tokio::select! {
                problem = tunnel.lost() => testbed(&problem),
                _ = signals::next() => Status::Passed.code(),
            }
        }
        Some((program, words)) => held(&tunnel, program, words, &config.secret_variables()).await,
    };
    let code = match tunnel.down().await {
        Ok(()) => code,
        Err(problem) => testbed(&problem),
    };
    drop(events);
    listening.await.context("the listener broke down")?;
    Ok(code)
}

/// Runs a command while the tunnel is up; its exit status is ours. It gets none of our secrets.
async fn held(tunnel: &Tunnel, program: &str, words: &[String], secrets: &[String]) -> u8 {
    let mut command = tokio::process::Command::new(program);
    command.args(words).stdin(Stdio::inherit()).kill_on_drop(true);
    for name in secrets {
        command.env_remove(name);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            remark(&format!("error: cannot run `{program}`\n  because: {error}\n"));
            return Status::Usage.code();
        }
    };
    // A signal from the terminal reaches the command too, and it decides what comes of it; the tunnel goes down after it.
    let mut signal = std::pin::pin!(signals::next());
    let mut is_asked = false;
    loop {
        tokio::select! {
            status = child.wait() => return status.map_or(KILLED, code_of),
            problem = tunnel.lost() => return testbed(&problem),
            _ = &mut signal, if !is_asked => {
                is_asked = true;
                end(&child);
            }
        }
    }
}

/// Asks a command to end.
fn end(child: &tokio::process::Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// The exit code as a shell has it: 128 and the signal's number for a command that was killed.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(KILLED)
}

/// Shows who has the testbed, or takes it from them.
pub(crate) async fn lock(config: &Config, global: &Global, args: &LockArgs) -> anyhow::Result<u8> {
    let lab = Lab::new(config, global, &args.reach)?;
    on_host(&lab, lab.only(Role::Ng40), async |host, _, _| {
        let lock = Lock::new(host.clone(), lab.lock.clone());
        let said = match &args.action {
            None | Some(LockAction::Status) => match lock.holder().await? {
                None => format!("{}: free\n", lab.setup),
                Some(held) if held.has_lapsed => format!("{}: free; lapsed, was held by {held}\n", lab.setup),
                Some(held) => format!("{}: held by {held}\n", lab.setup),
            },
            Some(LockAction::Release { force: _ }) => match lock.break_open().await? {
                None => format!("{}: was free\n", lab.setup),
                Some(held) => format!("{}: released; was held by {held}\n", lab.setup),
            },
        };
        print(&said);
        Ok(Status::Passed.code())
    })
    .await
}

/// Logs in to a host, or runs a command there; its exit status is ours.
pub(crate) async fn ssh(config: &Config, global: &Global, args: &SshArgs) -> anyhow::Result<u8> {
    let planned = PlannedHost::named(config, global, &args.host)?;
    let lab = Lab::new(config, global, &args.reach)?;
    on_host(&lab, &planned, async |host, _, stop| {
        let mut child = match host.terminal(&args.command).await.map_err(|error| error.problem())?.spawn() {
            Ok(child) => child,
            Err(error) => return Err(Problem::testbed("cannot start `ssh`").because_of(&error)),
        };
        // What is typed goes to the host, Ctrl-C too; a signal that comes another way ends the session.
        match stop.or(child.wait()).await {
            Ok(status) => Ok(status.map_or(KILLED, code_of)),
            Err(reason) => {
                end(&child);
                let _ = child.wait().await;
                Err(reason)
            }
        }
    })
    .await
}

/// Reaches one host, does something there, and leaves; a problem is said, and the exit code is its own.
pub(crate) async fn on_host(
    lab: &Lab,
    meant: &PlannedHost,
    work: impl AsyncFnOnce(&Host, &Events, &Stop) -> Result<u8, Problem>,
) -> anyhow::Result<u8> {
    vpn::sweep();
    crate::remote::sweep();
    let (events, inbox) = event::channel(lab.redactor.clone());
    let listening = tokio::spawn(heard(inbox, lab.is_verbose));
    let stop = Stop::default();
    let on_signal = signals::watch(&stop);
    let code = match reach::reach_host(lab, meant, &events, &stop).await {
        None => match stop.reason() {
            Some(_) => Status::Interrupted.code(),
            None => Status::Testbed.code(),
        },
        Some((reached, host)) => {
            let done = event::caught(work(&host, &events, &stop)).await;
            reached.leave(&events).await;
            done.unwrap_or_else(|problem| {
                remark(&format!("{}\n", problem.text()));
                Status::from(problem.class).code()
            })
        }
    };
    on_signal.abort();
    drop(events);
    listening.await.context("the listener broke down")?;
    Ok(code)
}

/// Says on standard error what goes wrong on the way, for the commands that have no reports.
pub(crate) async fn heard(mut inbox: event::Inbox, is_verbose: bool) {
    while let Some(event) = inbox.recv().await {
        remark_on(&event, is_verbose);
    }
}

/// Says an event on standard error, if it is one that goes wrong; and what programs print, OpenVPN's log among it, when
/// that is wanted.
pub(crate) fn remark_on(event: &event::Event, is_verbose: bool) {
    use crate::event::{EventKind, Level, StepOutcome};
    match &event.kind {
        EventKind::StepFinished { outcome: StepOutcome::Failed(problem), .. } => {
            remark(&format!("{}\n", problem.text()));
        }
        EventKind::Noted { level: Level::Warning, text, .. } => remark(&format!("warning: {text}\n")),
        EventKind::Output { line, .. } if is_verbose => remark(&format!("| {line}\n")),
        EventKind::InternalError { problem } => remark(&format!("{}\n", problem.text())),
        EventKind::TunnelUp { device, address } => remark(&format!("tunnel up: {device} {address}\n")),
        EventKind::TunnelLost { reason } => remark(&format!("tunnel down: {reason}\n")),
        EventKind::TunnelBack { after } => remark(&format!("tunnel up again after {:.0} s\n", after.as_secs_f64())),
        _ => {}
    }
}

/// Says a problem of the testbed, and returns the exit code for it.
fn testbed(problem: &Problem) -> u8 {
    remark(&format!("{}\n", problem.text()));
    Status::Testbed.code()
}

/// Makes, checks or shows the config.
pub(crate) async fn config(global: &Global, args: &ConfigArgs) -> anyhow::Result<u8> {
    match &args.action {
        ConfigAction::Init => init(&global.config)?,
        ConfigAction::ImportFabfile { file } => {
            let text = limit::read_file(file, MOST_FABFILE)
                .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
                .with_context(|| format!("cannot read `{}`", file.display()))
                .hint("name the Fabric script's `fabfile_teravm_conf.json`")?;
            let config = adopt::from_fabfile(&text).map_err(AdoptError::hinted);
            print(&config.with_context(|| format!("no config can be made from `{}`", file.display()))?);
        }
        ConfigAction::Schema => {
            print_own(&(serde_json::to_string_pretty(&Config::schema()).context("the schema cannot be shown")? + "\n"));
        }
        ConfigAction::Show => {
            let config = Config::load(&global.config)?;
            // All setups are shown, whichever is meant elsewhere; but one that is not there is a mistake.
            if global.setup.is_some() {
                config.setup(global.setup.as_deref())?;
            }
            print(&serde_yaml::to_string(&config).context("the config cannot be shown")?);
        }
        ConfigAction::Check => check(&Config::load(&global.config)?, global).await?,
    }
    Ok(Status::Passed.code())
}

/// Writes a first config, where there is none.
fn init(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Err(anyhow!("`{}` is there already", path.display())).hint(ELSEWHERE);
    }
    let text = adopt::from_answers(&mut std::io::stdin().lock(), &mut terminal::Remarks).map_err(AdoptError::hinted)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display())).hint(ELSEWHERE)?;
    std::fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write `{}`", path.display()))
        .hint(ELSEWHERE)?;
    print(&format!("{}\n", path.display()));
    remark(
        "next: an empty `known_hosts` beside it, then `teravm-ci check`, which shows each host's key, to be compared, and the line to add\n",
    );
    Ok(())
}

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "teravm-ci", &mut text);
    print_own(&String::from_utf8_lossy(&text));
    Status::Passed.code()
}

/// Whether a config is right, and every secret is there.
async fn check(config: &Config, global: &Global) -> anyhow::Result<()> {
    plan::learn(config)?;
    let names: Vec<&String> = match &global.setup {
        Some(name) => vec![name],
        None => config.setups.keys().collect(),
    };
    names.iter().try_for_each(|name| config.setup(Some(name)).map(drop))?;
    for name in &names {
        let global = Global { setup: Some((*name).clone()), ..global.clone() };
        let lab = Lab::new(config, &global, &Reach { no_vpn: false })
            .with_context(|| format!("the setup `{name}` cannot be used"))?;
        // One tunnel for all setups.
        if let Some(vpn) = lab.vpn.as_ref().filter(|_| name == &names[0]) {
            vpn.profile.check().await?;
        }
        if let Some(key) = &lab.ssh_key {
            drop(Access::open(&lab.ssh, Some(key), lab.outage).map_err(AccessError::hinted)?);
        }
    }
    history::Place::new(&config.history, &Redactor::process())?;
    let listed =
        |names: &mut dyn Iterator<Item = &String>| names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    print(&format!(
        "{} is right, and every secret is there\n  setups: {}\n  suites: {}\n",
        global.config.display(),
        listed(&mut names.into_iter()),
        listed(&mut config.suites.keys())
    ));
    Ok(())
}
