//! Which line of a foreign program's output says why it failed.
//!
//! Knows the words of the programs that run on the gateways (apt, dpkg, systemd, Docker, compose) and around them
//! (OpenSSH, OpenVPN) as they were recorded in `tests/fixtures/causes/`. What is found here is shown to people and
//! decides nothing, so all of it is without secrets before a line is taken out of it or cut.

use crate::secret::RedactedText;

/// The longest line that is shown as a reason.
const LONGEST: usize = 400;

/// Between the telling line of an output and its last lines.
const LEFT_OUT: &str = "\n...\n";

/// What the kernel says of the machine: it explains everything that the program says around it.
const SYSTEM: &[&str] = &[
    "no space left on device",
    "read-only file system",
    "input/output error",
    "cannot allocate memory",
    "out of memory",
    "disk quota exceeded",
    "too many open files",
];

/// How programs begin a line that is an error by itself: our own `feg/health.sh`, apt 2.6, dpkg 1.21, compose 1.29, Docker 28.
const ERRORS: &[&str] =
    &["health check of ", "E: ", "W: Failed to fetch", "W: GPG error", "dpkg: error", "ERROR: ", "Error response from"];

/// Words that stand in complaints, in small letters.
const SIGNS: &[&str] = &[
    "error",
    "cannot",
    "can't",
    "can not",
    "could not",
    "couldn't",
    "unable to",
    "not able to",
    "failed",
    "failure",
    "fatal",
    "refused",
    "denied",
    "rejected",
    "not found",
    "no such",
    "not permitted",
    "not allowed",
    "not supported",
    "unsupported",
    "undefined",
    "invalid",
    "unknown",
    "mismatch",
    "missing",
    "expired",
    "revoked",
    "has changed and",
    "host key is known",
    "was locked",
    "panic",
    "exception",
    "killed",
    "segmentation fault",
    "aborted",
    "timed out",
    "timeout",
    "unhealthy",
    "unreachable",
    "depends:",
    "conflicts:",
    "breaks:",
    "must ",
    "is not ",
    "already allocated",
    "already in use",
    "does not ",
];

/// How lines begin that are no reason although a sign stands in them: progress, advice, and remarks on what is usual.
const REMARKS: &[&str] = &[
    "@",
    "See ",
    "Note:",
    "NOTE:",
    "debconf: ",
    "invoke-rc.d: policy-rc.d denied",
    "perl: warning:",
    "Reading ",
    "Building ",
    "Get:",
    "Hit:",
    "Ign:",
    "Pulling ",
    "Creating ",
    "Recreating ",
    "Starting ",
    "Stopping ",
    "Removing ",
    "Some packages could not be installed. This may mean that you have",
    "This may mean that",
    "This could mean that",
    "The following ",
    "You might ",
    "Run '",
    "dpkg: warning",
    "During handling of the above exception",
];

/// What only says that something before it has failed.
const CONSEQUENCES: &[&str] = &[
    "E: Sub-process ",
    "E: Unable to correct problems, you have held broken packages",
    "E: Unmet dependencies",
    "E: Unable to fetch some archives",
    "E: Some index files failed to download",
    "W: Some index files failed to download",
    "E: Unable to acquire the dpkg frontend lock",
    "E: Unable to lock directory",
    "Errors were encountered while processing",
    "needrestart is being skipped",
    "No apport report written",
    "tar: Exiting with failure status",
    "ERROR: Encountered errors while bringing up the project",
    "Encountered errors while bringing up the project",
    "Host key verification failed",
];

/// The same, wherever it stands in a line: systemd 252, compose 1.29 as one file, OpenVPN 2.6 behind its time.
const CONSEQUENCES_ANYWHERE: &[&str] = &[
    ": Failed with result '",
    ": Start request repeated too quickly",
    ": Scheduled restart job",
    "Failed to start ",
    "Failed to execute script docker-compose",
    "TLS_ERROR: BIO read",
    "TLS Error: TLS object -> incoming plaintext read error",
    "TLS Error: TLS handshake failed",
    "SIGUSR1[",
    "SIGTERM[",
    "Fatal TLS error",
    "Exiting due to fatal error",
];

/// What names something that failed and not why: compose 1.29 and 2.26 of a container that another one waits for.
const POINTERS: &[&str] = &["\" is unhealthy.", "dependency failed to start: container "];

/// dpkg's sentence about what it was working on; the reason stands below it.
const DPKG_HEAD: &str = "dpkg: error processing ";

/// What apt says of packages that it names in a list above.
const LISTS: &[(&str, &str)] = &[
    ("E: Held packages were changed", "The following held packages will be changed:"),
    ("E: Packages need to be removed", "The following packages will be REMOVED:"),
];

/// How much a line explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    None,
    Consequence,
    Warning,
    Complaint,
    Error,
    System,
}

impl Weight {
    fn of(line: &str) -> Weight {
        let text = line.trim();
        let small = text.to_lowercase();
        let begins = |signs: &[&str]| signs.iter().any(|sign| text.starts_with(sign));
        if begins(CONSEQUENCES) || CONSEQUENCES_ANYWHERE.iter().any(|sign| text.contains(sign)) {
            return Weight::Consequence;
        }
        if begins(REMARKS) {
            return Weight::None;
        }
        if SYSTEM.iter().any(|sign| small.contains(sign)) {
            return Weight::System;
        }
        if POINTERS.iter().any(|sign| text.contains(sign)) {
            return Weight::Complaint;
        }
        if begins(ERRORS) {
            return Weight::Error;
        }
        if small.contains("warning") || small.contains("main process exited, code=") || text.contains("DEPRECATED") {
            return Weight::Warning;
        }
        if SIGNS.iter().any(|sign| small.contains(sign)) { Weight::Complaint } else { Weight::None }
    }
}

/// The line that says why a program failed, with what belongs to it on other lines; none where no line says it.
///
/// Of several that explain equally much the first is taken: the others are its consequences, as a rule.
pub(crate) fn telling(said: impl Into<RedactedText>) -> Option<String> {
    weighed(&said.into()).map(|(_, line)| line)
}

/// The same, with how much it explains.
fn weighed(said: &RedactedText) -> Option<(Weight, String)> {
    let lines: Vec<&str> = said.lines().map(shown).filter(|line| !line.trim().is_empty()).collect();
    if let Some(exception) = exception(&lines) {
        return Some((Weight::Error, limited(exception)));
    }
    let mut weights: Vec<Weight> = lines.iter().map(|line| Weight::of(line)).collect();
    // Where dpkg names what failed, the system's words in what others print around it explain nothing.
    if lines.iter().any(|line| line.starts_with(DPKG_HEAD)) {
        for (weight, speaker) in weights.iter_mut().zip(speakers(&lines)) {
            if speaker == Speaker::Other && *weight == Weight::System {
                *weight = Weight::Warning;
            }
        }
    }
    let most = weights.iter().copied().max().filter(|&weight| weight > Weight::None)?;
    let at = weights.iter().position(|&weight| weight == most)?;
    Some((most, limited(&whole(&lines, &weights, at))))
}

/// Who says a line of what apt and dpkg print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker<'l> {
    /// apt or dpkg themselves.
    Apt,
    /// Something that dpkg ran for the package of this name, which then failed.
    Failed(&'l str),
    /// Anything else: a hook of the site, a trigger, a script that did not fail.
    Other,
}

/// How apt 1.6 to 2.6.1 and the programs of dpkg 1.18 to 1.21.22 begin their own complaints.
const OF_APT: &[&str] =
    &["E: ", "W: ", "Err:", "dpkg: ", "dpkg-deb", "dpkg-split: ", "dpkg-query: ", "update-alternatives: error: "];

/// How dpkg announces that it works on a package, by name or by archive.
const ANNOUNCED: &[&str] = &["Setting up ", "Preparing to unpack ", "Unpacking ", "Removing "];

/// Who says each of the lines.
///
/// dpkg announces what it works on, and names it again where it has failed: what was printed between the two comes from
/// that package's scripts. An indented line belongs to the one above it.
pub(crate) fn speakers<'l>(lines: &[&'l str]) -> Vec<Speaker<'l>> {
    let mut speakers = vec![Speaker::Other; lines.len()];
    let mut began: Option<(&str, usize)> = None;
    for (at, &line) in lines.iter().enumerate() {
        if let Some(rest) = ANNOUNCED.iter().find_map(|sign| line.strip_prefix(sign)) {
            began = Some((package_of(rest), at + 1));
        } else if line.starts_with("Processing triggers for ") {
            began = None;
        } else {
            let goes_on = line.starts_with(' ') && at > 0 && speakers[at - 1] == Speaker::Apt;
            if goes_on || OF_APT.iter().any(|sign| line.starts_with(sign)) {
                speakers[at] = Speaker::Apt;
            }
        }
        let failed = line.strip_prefix(DPKG_HEAD).and_then(|rest| rest.split_once(' '));
        if let (Some((_, failed)), Some((package, since))) = (failed, began)
            && package_of(failed) == package
        {
            let said = speakers[since..at].iter_mut().filter(|speaker| **speaker == Speaker::Other);
            said.for_each(|speaker| *speaker = Speaker::Failed(package));
        }
    }
    speakers
}

/// The package that a text begins with, by its name (`magma:amd64 (1.9.0)`) or by its archive (`.../magma_1.9.0_all.deb`).
fn package_of(text: &str) -> &str {
    let word = text.split(' ').next().unwrap_or_default();
    let name = word.rsplit('/').next().unwrap_or_default();
    name.split(['_', ':']).next().unwrap_or_default()
}

/// What is known, and below it what a program printed: a cause of a [`crate::event::Problem`]. Of the output the last
/// lines are kept, and the telling one where it is not among them.
pub(crate) fn known_and_said(known: &str, said: impl Into<RedactedText>, count: usize) -> String {
    let excerpt = excerpt(&said.into(), count);
    if excerpt.is_empty() { known.to_owned() } else { format!("{known}\n{excerpt}") }
}

/// What a program printed, as a cause by itself: its telling line, then its last lines.
pub(crate) fn said(said: impl Into<RedactedText>, count: usize) -> String {
    let said = said.into();
    let Some(line) = telling(&said) else { return excerpt(&said, count) };
    let lines: Vec<&str> = said.lines().map(shown).filter(|other| !other.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(count)..].iter().filter(|other| other.trim() != line);
    last.fold(line.clone(), |text, other| format!("{text}\n{other}"))
}

/// The last lines of an output, below the line that says why, where this is not one of them.
fn excerpt(said: &RedactedText, count: usize) -> String {
    let lines: Vec<&str> = said.lines().map(shown).filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(count)..].join("\n");
    match telling(said) {
        Some(line) if telling(last.as_str()).as_ref() != Some(&line) => format!("{line}{LEFT_OUT}{last}"),
        _ => last,
    }
}

/// A cause on one line: what is known, then the telling line of what a program printed. `is_alone` where nothing else
/// is told: then a line that does not say why is better than none.
pub(crate) fn one_line(cause: impl Into<RedactedText>, is_alone: bool) -> String {
    let cause = cause.into();
    let (known, said) = cause.trim_end().split_once('\n').unwrap_or((cause.trim_end(), ""));
    let known = known.trim().trim_end_matches(':');
    let left_out = said.split_once(LEFT_OUT).map(|(why, _)| (Weight::Error, why.to_owned()));
    match left_out.or_else(|| weighed(&said.into())) {
        Some((_, line)) if known.is_empty() || line.contains(known) => line,
        // What is known needs no line that only says that something has failed.
        Some((weight, line)) if weight >= Weight::Complaint && !known.contains(&line) => format!("{known}: {line}"),
        None if known.is_empty() && is_alone => said.lines().next_back().unwrap_or_default().trim().to_owned(),
        _ => known.to_owned(),
    }
}

/// A line as a terminal would have shown it in the end (what stands before a carriage return is overwritten), without
/// the time that OpenVPN writes before it.
fn shown(line: &str) -> &str {
    let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let is_digit_of = |at: usize, letter: u8| match at {
        4 | 7 => letter == b'-',
        10 | 19 => letter == b' ',
        13 | 16 => letter == b':',
        _ => letter.is_ascii_digit(),
    };
    match line.as_bytes().first_chunk::<20>() {
        Some(time) if time.iter().enumerate().all(|(at, &letter)| is_digit_of(at, letter)) => &line[20..],
        _ => line,
    }
}

/// The line with what belongs to it.
fn whole(lines: &[&str], weights: &[Weight], at: usize) -> String {
    let line = lines[at].trim();
    let above = at.checked_sub(1).map(|above| lines[above].trim()).unwrap_or_default();
    let below = lines.get(at + 1).copied().unwrap_or_default();
    if line.starts_with(DPKG_HEAD) {
        return processed(lines, weights, at, below.trim());
    }
    if above.starts_with(DPKG_HEAD) || above.starts_with("Err:") {
        return format!("{}: {line}", above.trim_end_matches(':'));
    }
    if let Some((_, heading)) = LISTS.iter().find(|(sign, _)| line.starts_with(sign))
        && let Some(from) = lines.iter().position(|other| other.starts_with(heading))
    {
        let named: Vec<&str> = lines[from + 1..].iter().take_while(|name| name.starts_with(' ')).copied().collect();
        return format!("{line} ({})", named.join(" ").split_whitespace().collect::<Vec<_>>().join(" "));
    }
    // apt explains an `Err:` on the line below it; its `E:` says no more than the address then.
    if let Some(explained) = explained_fetch(lines).filter(|_| line.starts_with("E: The repository ")) {
        return explained;
    }
    if line.ends_with(':') && !below.is_empty() || below.trim_start().starts_with("in \"") && below.starts_with(' ') {
        return format!("{line} {}", below.trim());
    }
    line.to_owned()
}

/// apt's first `Err:` with the line below it.
fn explained_fetch(lines: &[&str]) -> Option<String> {
    let at = lines.iter().position(|line| line.starts_with("Err:"))?;
    let why = lines.get(at + 1).filter(|line| line.starts_with(' '))?;
    Some(format!("{}: {}", lines[at].trim(), why.trim()))
}

/// What dpkg says of a package. Where a program that it has run is to blame, that program's own words come first.
fn processed(lines: &[&str], weights: &[Weight], at: usize, reason: &str) -> String {
    let head = lines[at].trim().trim_end_matches(':');
    if !reason.contains("subprocess ") {
        return format!("{head}: {reason}");
    }
    let since = lines[..at]
        .iter()
        .rposition(|line| {
            ["Setting up ", "Unpacking ", "Preparing to unpack ", "Removing "].iter().any(|it| line.starts_with(it))
        })
        .map_or(0, |before| before + 1);
    let mut complaints = (since..at).filter(|&line| weights[line] >= Weight::Complaint);
    match script(reason) {
        Some((package, kind)) => match complaints.next_back() {
            Some(line) => format!("the {kind} of {package}: {}", lines[line].trim()),
            None => reason.to_owned(),
        },
        None => match complaints.next() {
            Some(line) => lines[line].trim().to_owned(),
            None => format!("{head}: {reason}"),
        },
    }
}

/// The package and the kind of its script, of `installed magma package post-installation script subprocess returned
/// error ...`.
fn script(reason: &str) -> Option<(&str, String)> {
    let (whose, _) = reason.split_once(" script subprocess ")?;
    let (package, kind) = whose.split_once(" package ")?;
    Some((package.rsplit(' ').next()?, format!("{kind} script")))
}

/// The last line of a Python program's last traceback.
fn exception<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let at = lines.iter().rposition(|line| line.starts_with("Traceback (most recent call last)"))?;
    lines[at + 1..].iter().find(|line| !line.starts_with(' ')).copied()
}

/// Cuts a line of a text that has no secrets any more.
fn limited(line: &str) -> String {
    let mut letters = line.chars();
    let text: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() { text + "..." } else { text }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A file has comments (`#`: program, version, what was done), the reason that it must give (`=`), then what was
    /// printed.
    #[test]
    fn each_recorded_failure_gives_its_reason() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/causes");
        let mut paths: Vec<_> =
            fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path()).collect();
        paths.sort();
        let mut wrong = Vec::new();
        for path in &paths {
            let text = fs::read_to_string(path).expect("a text");
            let is_head = |line: &&str| line.starts_with("# ") || line.starts_with("= ");
            let reason = text.lines().take_while(is_head).find_map(|line| line.strip_prefix("= "));
            let reason = reason.unwrap_or_else(|| panic!("{} has no reason", path.display()));
            let said: String = text.lines().skip_while(is_head).map(|line| format!("{line}\n")).collect();
            let found = telling(&said).unwrap_or_else(|| "none".to_owned());
            if found != reason {
                wrong.push(format!("{}\n  wanted {reason}\n  found  {found}", path.display()));
            }
            // What is kept of it gives the same reason.
            let kept = one_line(known_and_said("exit status 1", &said, 5), true);
            let whole = format!("exit status 1: {reason}").replace(": none", "");
            if kept != whole {
                wrong.push(format!("{}, shortened\n  wanted {whole}\n  found  {kept}", path.display()));
            }
        }
        assert!(paths.len() > 20, "{} files", paths.len());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn what_is_known_comes_before_what_was_printed_and_a_line_that_explains_nothing_is_left_out() {
        let cause = known_and_said("the host rebooted", "Unpacking magma (1.9.0) over (1.8.0) ...\n", 8);
        assert_eq!(cause, "the host rebooted\nUnpacking magma (1.9.0) over (1.8.0) ...");
        assert_eq!(one_line(&cause, true), "the host rebooted");
        assert_eq!(one_line("no answer\n", true), "no answer");
        assert_eq!(one_line("\n one\n two\n", true), "two");
        assert_eq!(one_line("\n one\n two\n", false), "");
        assert_eq!(known_and_said("killed", "\n\n", 8), "killed");
        let disk = "Unpacking ...\nerror: the disk is full\nCleaning up\n";
        assert_eq!(said(disk, 8), "error: the disk is full\nUnpacking ...\nCleaning up");
        assert_eq!(one_line(said(disk, 8), true), "error: the disk is full");
        assert_eq!(said("error: no\n", 8), "error: no");
    }

    #[test]
    fn a_reason_that_is_cut_keeps_no_half_of_a_secret() {
        const SECRET: &str = "S3CRET-OF-A-REASON";
        crate::secret::Redactor::process().learn(&crate::secret::Secret::new(SECRET));
        for lead in LONGEST - 40..LONGEST {
            let line = format!("error: {}{SECRET}@registry\n{}", "x".repeat(lead), "some chatter\n".repeat(30));
            let broken = line.replace("-OF-", "-OF-\n");
            for text in [
                telling(&*line).expect("a reason"),
                known_and_said("exit status 1", &*line, 5),
                said(&*line, 3),
                one_line(&*format!("exit status 1\n{line}"), true),
                known_and_said("exit status 1", &*broken, 31),
            ] {
                assert!(!text.contains("S3C") && !text.contains("A-REASON"), "{lead}: {text}");
            }
        }
    }

    #[test]
    fn a_reason_is_cut_where_nobody_reads_on() {
        let line = telling(format!("error: {}", "x".repeat(1_000_000))).expect("a reason");
        assert_eq!(line.len(), LONGEST + 3);
    }
}
