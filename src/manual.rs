//! The manual: a page for each command, made from the command line's own description, and what is true of all of them on the
//! first. Says nothing of a commit or a day, so that the same program has the same pages.

use std::fs;

use anyhow::{Context as _, bail};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::{Cli, ManArgs};
use crate::summary::Status;
use crate::terminal::print_own;

const NAME: &str = "teravm-ci";
const NUMBER: &str = env!("CARGO_PKG_VERSION");

const ENVIRONMENT: [(&str, &str); 6] = [
    ("TERAVM_CI_CONFIG", "The configuration, where --config names none"),
    ("TERAVM_CI_SETUP", "The testbed, where --setup names none"),
    ("CI", "When it is set, progress is plain lines, at least one a minute"),
    ("NO_COLOR", "When it is set, nothing is coloured, unless --color always"),
    ("RUST_LOG", "What the program says of itself on standard error, as the crate tracing-subscriber reads it"),
    ("SSH_AUTH_SOCK", "The SSH agent whose keys are used, where the configuration names none"),
];

const FILES: [(&str, &str); 5] = [
    (
        "config/tiplab.yaml",
        "The configuration, unless another is named; the variables that hold the secrets are named in it",
    ),
    ("config/known_hosts", "The host keys that are accepted, beside the configuration"),
    ("config/history.sqlite", "Nights that were, beside the configuration, unless it names a database"),
    ("results/", "The reports: junit.xml, summary.md, report.html, run.json, events.jsonl, and what was collected"),
    ("/usr/share/doc/teravm-ci/examples/", "A configuration with every key, as the Debian package has it"),
];

const EXAMPLES: [(&str, &str); 6] = [
    ("teravm-ci config init", "Makes a first configuration from a few answers"),
    ("teravm-ci check", "Is everything there that a night needs? Changes nothing"),
    ("teravm-ci run --dry-run", "Every step with the exact remote commands"),
    ("teravm-ci run --setup setup_1", "The whole night"),
    ("teravm-ci test --failed", "Only the suites that were not green in the last run"),
    ("teravm-ci gate latest", "May the newest release that was tested ship?"),
];

/// Prints the page of a command, or writes all pages into a folder.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<u8> {
    let pages = pages();
    match &args.out {
        None => {
            let name = [&[NAME.to_owned()], args.command.as_slice()].concat().join("-");
            let Some(page) = pages.iter().find(|page| page.name == name) else {
                bail!("there is no command `{}`", args.command.join(" "));
            };
            print_own(&page.text);
        }
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
            for page in &pages {
                let path = folder.join(format!("{}.1", page.name));
                fs::write(&path, &page.text).with_context(|| format!("cannot write `{}`", path.display()))?;
            }
        }
    }
    Ok(Status::Passed.code())
}

struct Page {
    /// The command's words, with `-` between them.
    name: String,
    text: String,
}

/// All pages: the program's own first, and each command's behind that of the one it belongs to.
fn pages() -> Vec<Page> {
    // The long version is of one build.
    let mut program = Cli::command().long_version(NUMBER);
    program.build();
    let mut pages = Vec::new();
    write(&program, &mut pages);
    pages
}

fn write(command: &Command, pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or(NAME).to_owned();
    let page = Man::new(command.clone()).source(format!("{NAME} {NUMBER}")).manual("User Commands");
    let mut text = Vec::new();
    page.render(&mut text).expect("a text takes all of it");
    let mut text = String::from_utf8(text).expect("it is made of text");
    text.push_str(&if name == NAME { of_all() } else { of_one() }.to_roff());
    pages.push(Page { name, text });
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        write(command, pages);
    }
}

/// What is true of every command.
fn of_all() -> Roff {
    let mut page = Roff::new();
    let statuses = Status::ALL
        .map(|status| (status.code().to_string(), format!("{}; who gets up: {}", status.name(), status.whose())));
    list(&mut page, "EXIT STATUS", statuses.iter().map(|(code, text)| (code.as_str(), text.as_str())));
    page.control("PP", []);
    page.text([roman(
        "When several are true the first of 5, 130, 70, 4, 1, 3, 6, 7 is the status, and all are reported.",
    )]);
    list(&mut page, "ENVIRONMENT", ENVIRONMENT);
    list(&mut page, "FILES", FILES);
    list(&mut page, "EXAMPLES", EXAMPLES);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("openvpn"), roman("(8), "), bold("ssh"), roman("(1), "), bold("ssh-keygen"), roman("(1)")]);
    page
}

/// Where the rest is said.
fn of_one() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["SEE ALSO"]);
    page.text([bold(NAME), roman("(1), for the exit status, the environment, and the files")]);
    page
}

fn list<'a>(page: &mut Roff, heading: &str, items: impl IntoIterator<Item = (&'a str, &'a str)>) {
    page.control("SH", [heading]);
    for (term, text) in items {
        page.control("TP", []);
        page.text([bold(term)]);
        page.text([roman(text)]);
    }
}
