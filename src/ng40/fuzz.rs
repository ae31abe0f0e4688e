//! What must hold for any console, and how one is read for a test.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::time::Duration;

use arbitrary::{Result, Unstructured};

use super::case::{Case, Judgement};
use super::console::{Line, Lines, Part};
use super::list::{Occurrence, Reading};
use super::outcome::{End, ExitStatus, Outcome, ProblemKind, Rules};
use super::parser::{Said, parse_line};
use super::reading::{Console, Heard};
use crate::config::{ExitStatusRule, Suite};
use crate::event;
use crate::fuzz::{Cuts, is_one_line, stretched};
use crate::secret::{Redactor, Secret};
use crate::verdict::Verdict;

/// One of them begins with the other, so that a cut between the two decides nothing.
const SECRETS: [&str; 2] = ["hunter2", "hunter22"];

/// A console of so many bytes is read byte by byte, and a longer one in about as many pieces.
const MOST_STEPS: usize = 2048;
/// How many bytes of a console are kept one by one.
const MOST_WRITES: usize = 64;

/// The property of consoles: whatever their bytes are and however they are cut, they come to one thing, which is a pass only if
/// everything in it is.
pub fn console(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok((rules, end, cuts)) = choose(&mut input) else { return };
    let console = stretched(input.take_rest());
    let outcome = read([console.as_slice()], rules, end);
    assert_eq!(read(cuts.pieces(&console), rules, end), outcome, "cut into pieces it came to something else");
    let step = if console.len() <= MOST_STEPS { 1 } else { console.len() / MOST_STEPS };
    assert_eq!(read(console.chunks(step), rules, end), outcome, "byte by byte it came to something else");
    let json = serde_json::to_string(&outcome).expect("an outcome is plain data");
    assert_eq!(serde_json::from_str::<Outcome>(&json).expect("it was written by us"), outcome);
    assert_sober(&outcome, &console);
    assert_counted(&outcome, &console);

    let kept = keep([console.as_slice()], rules, end);
    assert_eq!(keep(cuts.pieces(&console), rules, end), kept, "cut into pieces it was kept as something else");
    // All of it would be a write for each byte.
    let (head, tail) = console.split_at(console.len().min(MOST_WRITES));
    let bytewise = keep(head.chunks(1).chain([tail]), rules, end);
    assert_eq!(bytewise, kept, "byte by byte it was kept as something else");
    for secret in SECRETS {
        assert!(memchr::memmem::find(&kept.file, secret.as_bytes()).is_none(), "the file has a secret");
    }
}

fn choose(input: &mut Unstructured<'_>) -> Result<(Rules, End, Cuts)> {
    let exit_status = *input.choose(&[ExitStatus::Record, ExitStatus::Check])?;
    let max_packet_loss = *input.choose(&[None, Some(0.0), Some(1.0), Some(100.0)])?;
    let end = *input.choose(&[
        End::Offline,
        End::Exited(0),
        End::Exited(3),
        End::Exited(127),
        End::Exited(137),
        End::Signaled(9),
        End::DeadlineReached,
        End::Lost,
        End::Stopped,
    ])?;
    Ok((Rules { exit_status, max_packet_loss }, end, Cuts::choose(input)?))
}

/// Reads a console as `report` does, and returns how many cases it has.
pub(crate) fn cases(console: &[u8]) -> usize {
    let mut reading = Reading::new(Rules::default());
    for piece in console.chunks(256 * 1024) {
        reading.push(piece, None, |_| {});
    }
    reading.finish(End::Offline, None, |_| {}).cases.len()
}

/// Reads a console that came in these pieces, and checks that what was told on the way is what came out.
pub(super) fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rules: Rules, end: End) -> Outcome {
    let mut told = Vec::new();
    let mut reading = Reading::new(rules);
    for piece in pieces {
        reading.push(piece, None, |occurrence| told.push(occurrence));
    }
    let outcome = reading.finish(end, None, |occurrence| told.push(occurrence));
    assert_told(&told, &outcome);
    outcome
}

fn assert_told(told: &[Occurrence], outcome: &Outcome) {
    let mut cases: HashMap<String, &Case> = HashMap::new();
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    for occurrence in told {
        match occurrence {
            Occurrence::Planned(_) | Occurrence::CaseStarted(_) => {}
            Occurrence::CaseFinished(case) => {
                let known = cases.insert(case.full_name(), case);
                assert!(known.is_none(), "{} finished twice", case.full_name());
            }
            Occurrence::CaseRevised(case) => {
                cases.insert(case.full_name(), case).expect("only a finished case is revised");
            }
            Occurrence::Problem(problem) => problems.push(problem.clone()),
            Occurrence::Note(note) => notes.push(note.clone()),
        }
    }
    for case in &outcome.cases {
        let told = cases.remove(&case.full_name());
        assert_eq!(told, Some(case), "{} came out as something else than was told", case.full_name());
    }
    assert!(cases.is_empty(), "{cases:?} did not come out");
    assert_eq!(problems, outcome.problems);
    assert_eq!(notes, outcome.notes);
}

/// Checks that what is told can be shown: names of one line, messages that say something, places that lie in the console.
fn assert_sober(outcome: &Outcome, console: &[u8]) {
    for case in &outcome.cases {
        assert!(is_one_line(&case.full_name()), "{case:?}");
        assert!(case.details().lines().all(is_one_line), "{case:?}");
        if let Judgement::Failed { kind, message } | Judgement::Error { kind, message } = case.judgement() {
            assert!(!kind.is_empty() && !message.is_empty() && is_one_line(&message), "{case:?}");
        }
        if let Some(place) = &case.console {
            assert!(place.start <= place.end && place.end <= console.len() as u64, "{case:?}");
        }
    }
    let problems = outcome.problems.iter().map(|problem| &problem.message);
    for message in problems.chain(&outcome.notes) {
        assert!(!message.is_empty() && is_one_line(message), "{message:?}");
    }
}

/// Checks the outcome against the console's verdicts: no pass comes out of nothing, and no failure vanishes.
pub(super) fn assert_counted(outcome: &Outcome, console: &[u8]) {
    let words = words_of_verdicts(console);
    let passed = outcome.cases.iter().filter(|case| case.judgement() == Judgement::Passed).count();
    assert!(passed <= words.iter().filter(|word| *word == "PASS").count(), "a pass came out of nothing");
    let has_failed = outcome.cases.iter().any(|case| case.verdict == Verdict::Fail);
    assert_eq!(has_failed, words.iter().any(|word| word == "FAIL"), "a failure vanished, or came out of nothing");
    if outcome.is_passed() {
        assert_eq!(passed, outcome.cases.len());
        assert!(words.iter().all(|word| word == "PASS"), "it passed in spite of a verdict");
        assert!(outcome.lists.iter().all(|list| list.verdict == Verdict::Pass && list.cases > 0));
    }
    // Every list accounts for at least the cases that it announced, or says that it cannot.
    let is_told = outcome.problems.iter().any(|problem| problem.kind == ProblemKind::NeverStarted);
    let is_short = |planned: Option<u32>, cases: usize| planned.is_some_and(|planned| cases < planned as usize);
    assert!(is_told || !outcome.lists.iter().any(|list| is_short(list.planned, list.cases)));
}

/// Returns the words of all verdicts of cases, seen by the parser alone, and checks that it sees all that means something.
fn words_of_verdicts(console: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = Lines::new();
    let mut each = |line: &Line<'_>| {
        let overwritten = line.overwritten();
        let overwritten = overwritten.iter().map(|text| parse_line(text)).filter(Said::counts_overwritten);
        let text = line.text();
        let seen = (line.part == Part::End).then(|| parse_line(&text));
        for said in overwritten.chain(seen) {
            assert!(line.is_worth_reading() || matches!(said, Said::Other(_)), "{said:?} is not read");
            if let Said::CaseVerdict { token, .. } = said {
                words.push(token.to_owned());
            }
        }
    };
    lines.push(console, |line| each(&line));
    lines.finish(|line| each(&line));
    words
}

/// A console as it was kept and heard of.
#[derive(Debug, PartialEq)]
struct Kept {
    file: Vec<u8>,
    cases: Vec<event::Case>,
    verdict: Option<String>,
    planned: Option<u64>,
    notes: Vec<String>,
}

/// Keeps a console that came in these pieces in a file without secrets.
fn keep<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rules: Rules, end: End) -> Kept {
    let redactor = Redactor::default();
    for secret in SECRETS {
        redactor.learn(&Secret::new(secret));
    }
    let suite = Suite {
        list: String::new(),
        params: None,
        deadline: Duration::ZERO,
        exit_status: match rules.exit_status {
            ExitStatus::Record => ExitStatusRule::Record,
            ExitStatus::Check => ExitStatusRule::Check,
        },
        max_packet_loss: rules.max_packet_loss,
        retries: 0,
        max_duration: None,
    };
    let memory =
        rustix::fs::memfd_create("console", rustix::fs::MemfdFlags::CLOEXEC).expect("Linux has files in memory");
    let mut file = File::from(memory);
    let mut console = Console::new(Some(file.try_clone().expect("it is open")), &suite, &redactor);
    let mut cases: Vec<event::Case> = Vec::new();
    let mut hear = |heard| match heard {
        Heard::Planned(_) | Heard::Started { .. } => {}
        Heard::Finished(case) => cases.push(case),
        Heard::Revised(case) => {
            let known = cases.iter_mut().find(|known| known.name == case.name);
            *known.expect("only a finished case is revised") = case;
        }
        Heard::Unkept(error) => panic!("the file did not take it: {error}"),
    };
    for piece in pieces {
        console.push(piece, Duration::ZERO, &mut hear);
    }
    let outcome = console.finish(end, Duration::ZERO, &mut hear);
    let mut kept = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut kept)).expect("it is open");
    Kept {
        file: kept,
        cases,
        verdict: outcome.verdict.map(String::from),
        planned: outcome.planned,
        notes: outcome.notes,
    }
}
