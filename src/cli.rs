//! The words an operator can type.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{parse_duration, parse_percentage};
use crate::release::Wanted;
use crate::version;

/// Runs a night of TeraVM (NG40) tests against a Magma testbed: tunnel, upgrade, tests, JUnit
#[derive(Debug, Parser)]
#[command(version, long_version = version::LONG.as_str(), max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration
    #[arg(long, value_name = "FILE", global = true, env = "TERAVM_CI_CONFIG", default_value = "config/tiplab.yaml")]
    pub config: PathBuf,
    /// The testbed, when the configuration has several
    #[arg(long, value_name = "NAME", global = true, env = "TERAVM_CI_SETUP")]
    pub setup: Option<String>,
    /// Where the reports are written; what an earlier run wrote there is removed
    #[arg(long, value_name = "DIR", global = true, default_value = "results")]
    pub results: PathBuf,
    /// Show the remote commands and what they print; twice: the program's own diagnostics too
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Show only warnings, failures and the outcome
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How progress is written to standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, global = true)]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole night: upgrade the gateways, then test
    Run(RunArgs),
    /// Upgrade the gateways and verify them; no tests
    Upgrade(UpgradeArgs),
    /// Run test suites on what the gateways run now
    Test(TestArgs),
    /// Look whether everything that a night needs is there, changing nothing
    Check(CheckArgs),
    /// Turn saved NG40 consoles into the same reports, offline
    Report(ReportArgs),
    /// Hold the tunnel up until Ctrl-C, or while a command runs
    Vpn(VpnArgs),
    /// Show what a host has been saying: journals, containers, what a run has printed on NG40
    Logs(LogsArgs),
    /// Log in to a host of the setup, or run a command on it
    Ssh(SshArgs),
    /// Show who has the testbed, or give it back
    Lock(LockArgs),
    /// Ask whether a release may ship: 0 yes, 1 no, 6 not known
    Gate(GateArgs),
    /// Look at nights that were
    History(HistoryArgs),
    /// Make, check or show the configuration
    Config(ConfigArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page of a command, or write all of them
    Man(ManArgs),
}

/// What every command that reaches the lab understands.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// The tunnel is somebody else's: bring none up
    #[arg(long)]
    pub no_vpn: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Night {
    #[command(flatten)]
    pub reach: Reach,
    /// Print every step and the exact remote commands; read what can be read, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait this long for a testbed that somebody else has; it counts towards `run.deadline`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub wait: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub struct Change {
    /// The release: `latest`, a commit, or a version; a named one may be a downgrade
    #[arg(long, value_name = "RELEASE", default_value = "latest")]
    pub tag: Wanted,
    /// Install even what is there already
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Agw,
    Feg,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub night: Night,
    #[command(flatten)]
    pub change: Change,
    /// Upgrade only this kind of gateway
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "no_upgrade")]
    pub only: Option<Kind>,
    /// Leave the gateways as they are
    #[arg(long, conflicts_with_all = ["tag", "force"])]
    pub no_upgrade: bool,
    /// Run only this suite (repeatable)
    #[arg(long = "suite", value_name = "NAME")]
    pub suites: Vec<String>,
}

#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    pub night: Night,
    #[command(flatten)]
    pub change: Change,
    /// The kinds of gateways; both when none is named
    #[arg(value_enum, value_name = "KIND")]
    pub kinds: Vec<Kind>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub night: Night,
    /// The suites; all of the setup when none is named
    #[arg(value_name = "SUITE")]
    pub suites: Vec<String>,
    /// Only the suites that were not green in the last run, by the reports that are there
    #[arg(long, conflicts_with = "suites")]
    pub failed: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub reach: Reach,
    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Saved consoles; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The suite's name; the file's stem when it is not given
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub suite: Option<String>,
    /// In percent: a PASS with more loss than this, or without any packet sent, is a failure
    #[arg(long, value_name = "PERCENT", value_parser = parse_percentage)]
    pub max_packet_loss: Option<f64>,
}

#[derive(Debug, Args)]
pub struct VpnArgs {
    /// Runs while the tunnel is up; its exit status is ours
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    pub reach: Reach,
    /// A host of the setup: `agw`, `feg1`, `feg2`, ..., `ng40`
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Only what was said in this time until now
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub since: Option<Duration>,
    /// Go on with what is said from now on, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// At most so many of the last lines, of each container; 100 if `--since` is not given
    #[arg(short = 'n', long, value_name = "LINES")]
    pub lines: Option<u32>,
}

#[derive(Debug, Args)]
pub struct SshArgs {
    #[command(flatten)]
    pub reach: Reach,
    /// A host of the setup: `agw`, `feg1`, `feg2`, ..., `ng40`
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Runs on the host, as `ssh` runs it there; its exit status is ours. A shell when there is none
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    pub reach: Reach,
    #[command(subcommand)]
    pub action: Option<LockAction>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum LockAction {
    /// Show who has the testbed
    Status,
    /// Take the testbed from whoever has it
    Release {
        /// Say that you know that nobody is using it
        #[arg(long, required = true)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(subcommand)]
    pub action: HistoryAction,
}

#[derive(Debug, Args)]
pub struct GateArgs {
    /// The release: `latest` is the newest that was tested; a commit, or a version
    #[arg(value_name = "RELEASE")]
    pub release: Wanted,
    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

#[derive(Debug, Clone, Subcommand)]
pub enum HistoryAction {
    /// List nights, the newest first
    List(ListArgs),
    /// Show one night
    Show {
        /// The run's name; `last` is the newest, `last-green` the newest that passed
        #[arg(value_name = "RUN", default_value = "last")]
        run: String,
        /// How it is printed
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
        format: LogFormat,
    },
    /// Compare two nights: what is new, fixed, still failing, flaky, slower, missing
    Compare {
        /// The earlier night, by its name; `last-green` is the newest before B on its setup that passed
        #[arg(value_name = "A", default_value = "last-green")]
        a: String,
        /// The later night, by its name; `last` is the newest that tested
        #[arg(value_name = "B", default_value = "last")]
        b: String,
        /// How it is printed
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
        format: LogFormat,
    },
    /// Take in nights that are not there yet: `run.json`, an NG40 console, or JUnit XML of another run
    Import(ImportArgs),
    /// Write one page with the last nights of a setup: every case, every night, and plots
    Page {
        /// The folder in which `index.html` is put; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// At most so many nights
        #[arg(long, value_name = "N", default_value_t = 100)]
        nights: usize,
    },
}

#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The release that was tested, where the file does not say; `--setup` says where
    #[arg(long, value_name = "VERSION")]
    pub release: Option<String>,
    /// The suite of a console; else the file's stem
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// When it was, where the file does not say: `2026-11-01T23:05:00Z`; else when the file was last written
    #[arg(long, value_name = "TIME")]
    pub started: Option<String>,
    /// All files are of one run, with this name; else each file is a run
    #[arg(long, value_name = "NAME")]
    pub run: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only nights that ran this suite
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// Only nights of a release: a version, a commit, or a part of either
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Only nights that ended so: `passed`, `tests_failed`, ...
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Only nights of this time until now, or since this day: `7d`, `2026-11-01`
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub limit: usize,
    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command; the program's own page when none is named
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// The folder into which every page is written, as packages want them; made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: ConfigAction,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ConfigAction {
    /// Make a first one from a few answers
    Init,
    /// Print one made from the Fabric script's `fabfile_teravm_conf.json`
    ImportFabfile {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print its JSON Schema, by which editors complete it
    Schema,
    /// Check the file and the secrets that it names
    Check,
    /// Print it resolved, secrets as `***`
    Show,
}
