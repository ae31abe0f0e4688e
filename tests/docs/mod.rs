//! What the pages tell a reader to type: the commands of README.md and docs/, each once, and who runs it in a test.
//!
//! Knows the Markdown of these pages and runs nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use regex::Regex;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A page, by its path from the root of the repository.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// README.md and everything in docs/.
pub(crate) fn pages() -> Vec<Page> {
    let folder = std::fs::read_dir(root().join("docs")).expect("there is a folder of pages").flatten();
    let mut paths: Vec<String> = folder.map(|entry| format!("docs/{}", entry.file_name().display())).collect();
    paths.push("README.md".to_owned());
    paths.sort();
    let read = |path: String| Page { text: std::fs::read_to_string(root().join(&path)).expect("a page of text"), path };
    paths.into_iter().map(read).collect()
}

/// Who runs a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `tests/cli`, with the real program.
    Desk,
    /// `tests/cli`: a row of the table beside the Fabric script, for what it makes of the words.
    Fabric,
    /// `tests/nights`, on the lab's CI node.
    Lab,
    /// Not the program's: `tests/cli` runs it, or knows who does.
    Other,
}

/// A command as it is typed, without the comment behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) line: String,
    pub(crate) runner: Runner,
    /// The page where it stands first.
    pub(crate) page: String,
}

/// The commands for one runner, in the order in which they stand, each once.
pub(crate) fn commands(runner: Runner) -> Vec<Typed> {
    let mut commands: Vec<Typed> = Vec::new();
    for page in pages() {
        for typed in typed(&page) {
            if typed.runner == runner && !commands.iter().any(|known| known.line == typed.line) {
                commands.push(typed);
            }
        }
    }
    commands
}

/// Everything that can be typed on a page: the lines of `sh` blocks, the commands in the YAML of a CI, what stands in a sentence and
/// is a command line, and the second column of the table beside the Fabric script.
fn typed(page: &Page) -> Vec<Typed> {
    let mut commands = Vec::new();
    let mut say = |line: &str, is_of_fabric: bool| {
        let line =
            line.split_whitespace().collect::<Vec<_>>().join(" ").replace("target/release/teravm-ci ", "teravm-ci ");
        let runner = if is_of_fabric { Runner::Fabric } else { runner(&line) };
        commands.push(Typed { line, runner, page: page.path.clone() });
    };
    let spans = Regex::new("`([^`]+)`").expect("it is a pattern");
    for paragraph in paragraphs(&page.text) {
        match paragraph {
            Paragraph::Code { language: "sh", lines } => {
                let commands = lines.iter().map(|line| without_comment(line)).filter(|line| !line.is_empty());
                commands.for_each(|line| say(line, false));
            }
            Paragraph::Code { language: "yaml", lines } => {
                let commands = lines.iter().filter_map(|line| line.trim().strip_prefix("command: "));
                commands.filter(|line| line.contains("teravm-ci")).for_each(|line| say(line, false));
            }
            Paragraph::Code { .. } => {}
            Paragraph::Text(lines) if lines[0].contains("`teravm-ci ...`") => {
                for row in &lines[2..] {
                    let cell = row.split('|').nth(2).expect("a row of two columns");
                    let words = &spans.captures(cell).expect("the second column is a command")[1];
                    say(&format!("teravm-ci {words}"), true);
                }
            }
            Paragraph::Text(lines) => {
                let text = lines.join(" ");
                let commands = spans.captures_iter(&text).map(|span| span[1].to_owned());
                commands.filter(|span| is_command(span)).for_each(|line| say(&line, false));
            }
        }
    }
    commands
}

enum Paragraph<'a> {
    Code { language: &'a str, lines: Vec<&'a str> },
    Text(Vec<&'a str>),
}

fn paragraphs(text: &str) -> Vec<Paragraph<'_>> {
    let mut paragraphs = Vec::new();
    let mut lines = text.lines();
    let mut open: Vec<&str> = Vec::new();
    while let Some(line) = lines.next() {
        let fence = line.trim_start().strip_prefix("```");
        if (fence.is_some() || line.trim().is_empty()) && !open.is_empty() {
            paragraphs.push(Paragraph::Text(std::mem::take(&mut open)));
        }
        match fence {
            Some(language) => {
                let lines = lines.by_ref().take_while(|line| !line.trim_start().starts_with("```")).collect();
                paragraphs.push(Paragraph::Code { language, lines });
            }
            None if line.trim().is_empty() => {}
            None => open.push(line),
        }
    }
    if !open.is_empty() {
        paragraphs.push(Paragraph::Text(open));
    }
    paragraphs
}

fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim()
}

/// Whether a span of a sentence is meant to be typed: a program and its words, or a script of this repository.
fn is_command(span: &str) -> bool {
    match span.split_whitespace().collect::<Vec<_>>()[..] {
        ["teravm-ci", ..] => span != "teravm-ci",
        ["cargo" | "base64" | "ssh-keygen", _, ..] => true,
        // Without a verb it is the file that is meant.
        ["tests/lab/lab"] => false,
        // What was built is there or not.
        [program, ..] => program.contains('/') && !program.starts_with("target/") && is_script(&root().join(program)),
        [] => false,
    }
}

fn is_script(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The commands of the program that touch no lab. A command that is not among them is run in the lab.
const OFFLINE: [&str; 7] = ["--version", "report", "gate", "history", "config", "completions", "man"];

fn runner(line: &str) -> Runner {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["teravm-ci", ..] if words.contains(&"--help") => Runner::Desk,
        ["teravm-ci", command, ..] if OFFLINE.contains(&command) => Runner::Desk,
        ["teravm-ci", ..] => Runner::Lab,
        // Its other verbs are the lab's own.
        ["tests/lab/lab", "help" | "fault" | "ssh", ..] => Runner::Lab,
        _ => Runner::Other,
    }
}

/// The words of a command, with something real for each word in capitals that the reader is to replace.
pub(crate) fn words(line: &str) -> Vec<String> {
    let real = |word: &str| match word {
        "SUITE" => "s6a".to_owned(),
        "HOST" => "agw".to_owned(),
        "RELEASE" | "\"$RELEASE\"" => "latest".to_owned(),
        word => word.to_owned(),
    };
    line.split(' ').map(real).collect()
}
