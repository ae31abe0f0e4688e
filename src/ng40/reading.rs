//! A console on its way in: through the parser as it came, to the file without secrets, and out as cases. Used live and
//! for saved consoles alike.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use super::case::{self, Case};
use super::list::{Occurrence, Reading};
use super::outcome::{self, End, Rules};
use crate::config::{ExitStatusRule, Suite};
use crate::event::{self, CaseName, CaseNames, Judgement};
use crate::limit::HeadTailFile;
use crate::secret::{RedactedStream, RedactedText, Redactor};

/// How much of a console a report carries beside a case: so much of its head, and so much of its tail, in bytes.
const MOST: (u64, u64) = (16 * 1024, 48 * 1024);
/// The same of a case that has passed, of which few want to know more.
const MOST_OF_PASSED: (u64, u64) = (2 * 1024, 6 * 1024);

/// How much of a console's beginning and end is kept in its file, in bytes. Every byte is read, whatever is kept: a
/// list prints a few MB.
const KEPT: (u64, u64) = (64 * 1024 * 1024, 4 * 1024 * 1024);

/// How much the excerpts of all cases of a console have together, in bytes; a case beyond that has none.
const MOST_EXCERPTS: u64 = 16 * 1024 * 1024;

/// So many cases that did not pass have an excerpt: whoever looks into a list that fails throughout does not need more.
const MOST_BAD: usize = 100;

/// So far beyond a cut is looked for the rest of a secret, in bytes.
const EDGE: u64 = 4096;

/// So often news of a case that had finished are told at once; then the last of them when the console ends.
const MOST_REVISIONS: u32 = 16;

/// What is heard while a console comes in.
#[derive(Debug)]
pub(crate) enum Heard {
    Planned(u64),
    Started {
        number: u64,
        case: CaseName,
    },
    Finished(event::Case),
    /// More is known of a case that had finished.
    Revised(event::Case),
    /// The file could not take it; the parser goes on.
    Unkept(String),
}

/// What a whole console comes to, beside what was heard.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) verdict: Option<RedactedText>,
    pub(crate) planned: Option<u64>,
    pub(crate) notes: Vec<String>,
    /// What did not pass, by the names that NG40 has printed.
    pub(crate) not_passed: Vec<String>,
    /// The cases that failed, for whoever can explain them.
    pub(crate) failed: Vec<Failed>,
}

/// A case that did not pass, as its own log may explain it.
#[derive(Debug)]
pub(crate) struct Failed {
    case: Case,
    told: event::Case,
}

impl Failed {
    /// The case's name as NG40 has it, and which of its repeats it is, from 1.
    pub(crate) fn name(&self) -> (&str, u32) {
        (&self.case.name, self.case.occurrence.max(1))
    }

    /// The case with the clauses that its own log shows.
    pub(crate) fn explained<'a>(mut self, clauses: impl Iterator<Item = &'a str>) -> event::Case {
        for clause in clauses {
            self.case.add_verification(clause);
        }
        event::Case { judgement: judgement(&self.case), details: self.case.details().into(), ..self.told }
    }
}

/// A console that is coming in.
#[derive(Debug)]
pub(crate) struct Console {
    file: Option<Kept>,
    stream: RedactedStream,
    reading: Option<Reading>,
    /// Bytes that came, secrets included.
    raw: u64,
    /// Bytes that were kept.
    kept: u64,
    is_broken: bool,
    names: CaseNames,
    count: u64,
    numbers: HashMap<String, u64>,
    /// The cases that have an excerpt, and what is left for others.
    with_excerpt: HashSet<String>,
    excerpts_left: u64,
    bad_left: usize,
    /// How often news of a case were told, and the last of those that were not.
    revised: HashMap<String, u32>,
    revisions: BTreeMap<String, Case>,
}

/// Where the console's bytes are.
#[derive(Debug)]
enum Kept {
    /// They are written there as they come.
    Written(HeadTailFile),
    /// They stand there already.
    Saved(File),
}

/// What a suite of the configuration asks of its consoles.
pub(crate) fn rules(suite: &Suite) -> Rules {
    let exit_status = match suite.exit_status {
        ExitStatusRule::Record => outcome::ExitStatus::Record,
        ExitStatusRule::Check => outcome::ExitStatus::Check,
    };
    Rules { exit_status, max_packet_loss: suite.max_packet_loss }
}

impl Console {
    /// A console that is kept in `file`; without one it is only read.
    pub(crate) fn new(file: Option<File>, suite: &Suite, redactor: &Redactor) -> Console {
        let file = file.map(|file| Kept::Written(HeadTailFile::new(file, KEPT.0, KEPT.1)));
        Console::with(file, rules(suite), redactor)
    }

    /// A console of which `file` keeps so much of the beginning and of the end, and the cases so much together.
    #[cfg(test)]
    pub(crate) fn keeping(file: File, (head, tail): (u64, u64), excerpts: u64) -> Console {
        let file = Kept::Written(HeadTailFile::new(file, head, tail));
        let console = Console::with(Some(file), Rules::default(), &Redactor::default());
        Console { excerpts_left: excerpts, ..console }
    }

    /// The same, read by these rules, with a file that holds none of these secrets.
    #[cfg(test)]
    pub(crate) fn knowing(self, redactor: &Redactor, rules: Rules) -> Console {
        Console { stream: redactor.stream(), reading: Some(Reading::new(rules)), ..self }
    }

    /// A console that stands in `file` already.
    pub(crate) fn saved(file: &File, rules: Rules) -> Console {
        Console::with(file.try_clone().ok().map(Kept::Saved), rules, &Redactor::default())
    }

    fn with(file: Option<Kept>, rules: Rules, redactor: &Redactor) -> Console {
        Console {
            file,
            stream: redactor.stream(),
            reading: Some(Reading::new(rules)),
            raw: 0,
            kept: 0,
            is_broken: false,
            names: CaseNames::default(),
            count: 0,
            numbers: HashMap::new(),
            with_excerpt: HashSet::new(),
            excerpts_left: MOST_EXCERPTS,
            bad_left: MOST_BAD,
            revised: HashMap::new(),
            revisions: BTreeMap::new(),
        }
    }

    /// How many bytes have come: where to go on after a lost connection.
    pub(crate) fn raw(&self) -> u64 {
        self.raw
    }

    /// How many bytes were kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.kept.min(KEPT.0 + KEPT.1)
    }

    /// Takes the next bytes, cut anywhere, and returns what may be shown by now: without secrets.
    pub(crate) fn push(&mut self, bytes: &[u8], at: Duration, mut hear: impl FnMut(Heard)) -> Vec<u8> {
        self.raw += bytes.len() as u64;
        let clean = self.stream.push(bytes);
        self.keep(&clean, &mut hear);
        // A mask in the place of a verdict, of a name or of lost packets would change what they come to.
        let mut reading = self.reading.take().expect("a console is finished once");
        reading.push(bytes, Some(at), |occurrence| self.tell(occurrence, &mut hear));
        self.reading = Some(reading);
        clean
    }

    fn keep(&mut self, clean: &[u8], hear: &mut dyn FnMut(Heard)) {
        if self.is_broken {
            return;
        }
        let kept = match &mut self.file {
            None => return,
            Some(Kept::Saved(_)) => Ok(()),
            Some(Kept::Written(file)) => file.write_all(clean),
        };
        match kept {
            Ok(()) => self.kept += clean.len() as u64,
            Err(error) => {
                self.is_broken = true;
                hear(Heard::Unkept(error.to_string()));
            }
        }
    }

    /// Ends the console: what is open is closed, and what concerns the whole list is told as a case of its own.
    pub(crate) fn finish(mut self, end: End, at: Duration, mut hear: impl FnMut(Heard)) -> Outcome {
        let rest = self.stream.finish();
        self.keep(&rest, &mut hear);
        let reading = self.reading.take().expect("a console is finished once");
        let mut outcome = reading.finish(end, Some(at), |occurrence| self.tell(occurrence, &mut hear));
        for case in std::mem::take(&mut self.revisions).into_values() {
            hear(Heard::Revised(self.told(&case)));
        }
        if !outcome.problems.is_empty() {
            let messages: Vec<&str> = outcome.problems.iter().map(|problem| problem.message.as_str()).collect();
            hear(Heard::Finished(event::Case {
                number: 0,
                name: CaseName::own(outcome::SUITE),
                params: RedactedText::default(),
                verdict: outcome.verdict.token().map(RedactedText::from),
                judgement: Judgement::Error { message: messages.join("; ").into() },
                took: Duration::ZERO,
                details: messages.join("\n").into(),
                console: self.excerpt(&(0..self.raw), MOST).into(),
                is_missing: false,
            }));
        }
        outcome.notes.extend(passed_without_traffic(&outcome.cases));
        let has_failed = |case: &&Case| matches!(case.judgement(), case::Judgement::Failed { .. });
        let failed: Vec<Case> = outcome.cases.iter().filter(has_failed).cloned().collect();
        let failed = failed.into_iter().map(|case| Failed { told: self.told(&case), case }).collect();
        // The excerpts have been read: the end of the file is put in order.
        if let Some(Kept::Written(file)) = &mut self.file {
            if file.is_shortened() {
                outcome.notes.push(format!("{} bytes of its console were read and not kept", file.missing()));
            }
            if let Err(error) = file.finish() {
                hear(Heard::Unkept(error.to_string()));
            }
        }
        let bad = outcome.cases.iter().filter(|case| case.judgement() != case::Judgement::Passed).map(Case::full_name);
        let whole = (!outcome.problems.is_empty()).then(|| outcome::SUITE.to_owned());
        let not_passed = bad.chain(whole).collect();
        Outcome {
            not_passed,
            verdict: outcome.verdict.token().map(RedactedText::from),
            planned: outcome.planned.map(u64::from),
            notes: outcome.notes,
            failed,
        }
    }

    fn tell(&mut self, occurrence: Occurrence, hear: &mut dyn FnMut(Heard)) {
        match occurrence {
            Occurrence::Planned(cases) => hear(Heard::Planned(u64::from(cases))),
            Occurrence::CaseStarted(case) => {
                hear(Heard::Started { number: self.number(&case), case: self.names.give(&case.full_name()) });
            }
            Occurrence::CaseFinished(case) => {
                self.number(&case);
                hear(Heard::Finished(self.told(&case)));
            }
            Occurrence::CaseRevised(case) => {
                let name = case.full_name();
                let times = self.revised.entry(name.clone()).or_default();
                *times = times.saturating_add(1);
                if *times > MOST_REVISIONS {
                    self.revisions.insert(name, case);
                } else {
                    hear(Heard::Revised(self.told(&case)));
                }
            }
            // Problems and notes are told together, at the end.
            Occurrence::Problem(_) | Occurrence::Note(_) => {}
        }
    }

    /// NG40's own number of the case, else our count.
    fn number(&mut self, case: &Case) -> u64 {
        if let Some(&number) = self.numbers.get(&case.full_name()) {
            return number;
        }
        self.count += 1;
        let number = case.number.map_or(self.count, u64::from);
        self.numbers.insert(case.full_name(), number);
        number
    }

    fn told(&mut self, case: &Case) -> event::Case {
        let judgement = judgement(case);
        let most = if judgement == Judgement::Passed { MOST_OF_PASSED } else { MOST };
        let console = case.console.as_ref().map(|range| self.excerpt_of(case, range, most)).unwrap_or_default();
        event::Case {
            number: self.numbers.get(&case.full_name()).copied().unwrap_or_default(),
            name: self.names.give(&case.full_name()),
            params: case.params.as_deref().unwrap_or_default().into(),
            verdict: case.verdict.token().map(RedactedText::from),
            judgement,
            took: case.took.unwrap_or_default(),
            details: case.details().into(),
            console: console.into(),
            is_missing: false,
        }
    }

    /// The excerpt of a case, as long as there is room for it; of a case that has one, always.
    fn excerpt_of(&mut self, case: &Case, range: &Range<u64>, most: (u64, u64)) -> String {
        let name = case.full_name();
        if !self.with_excerpt.contains(&name) {
            let cost = range.end.saturating_sub(range.start).min(most.0 + most.1);
            let is_bad = case.judgement() != case::Judgement::Passed;
            let bad_left = self.bad_left.checked_sub(usize::from(is_bad));
            let Some((left, bad_left)) = self.excerpts_left.checked_sub(cost).zip(bad_left) else {
                return "[left out: there is much of other cases]".to_owned();
            };
            (self.excerpts_left, self.bad_left) = (left, bad_left);
            self.with_excerpt.insert(name);
        }
        self.excerpt(range, most)
    }

    /// A part of the console, by its place in what came: as it was kept, all of it or its head and its tail. The last
    /// letters that may be the beginning of a secret are not there yet.
    fn excerpt(&self, range: &Range<u64>, (head, tail): (u64, u64)) -> String {
        let Some(file) = &self.file else { return String::new() };
        let range = &match file {
            Kept::Written(_) => self.stream.passed_on(range.start)..self.stream.passed_on(range.end),
            Kept::Saved(_) => range.clone(),
        };
        let length = range.end.saturating_sub(range.start);
        if let Kept::Written(kept) = file
            && kept.is_shortened()
        {
            let [first, last] = kept.kept(range);
            let first = first.start..first.end.min(first.start.saturating_add(head));
            let last = last.start.max(last.end.saturating_sub(tail))..last.end;
            let missing = length.saturating_sub(first.end - first.start + last.end - last.start);
            let text = |part: Range<u64>| read(file, part.start, part.end - part.start);
            if missing == 0 {
                return text(first) + &text(last);
            }
            return format!("{}\n[{missing} bytes left out]\n{}", text(first), text(last));
        }
        if length <= head + tail {
            return read(file, range.start, length);
        }
        let left_out = length - head - tail;
        // A saved console has its secrets: they are taken out before it is cut, so that no half of one stays.
        let clean = |from: u64, to: u64| Redactor::process().text(&read(file, from, to - from));
        let (first, last) = (
            clean(range.start, range.end.min(range.start + head + EDGE)),
            clean(range.start.max(range.end - tail - EDGE), range.end),
        );
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        format!(
            "{}\n[{left_out} bytes left out; the whole console is beside the reports]\n{}",
            &first[..first.floor_char_boundary(size(head))],
            &last[last.ceil_char_boundary(last.len().saturating_sub(size(tail)))..]
        )
    }
}

/// Reads what can be read of a part of a file. An excerpt that cannot be had is no reason to lose a verdict.
fn read(file: &Kept, at: u64, length: u64) -> String {
    let read_at = |buffer: &mut [u8], at| match file {
        Kept::Written(file) => file.read_at(buffer, at),
        Kept::Saved(file) => file.read_at(buffer, at),
    };
    let mut bytes = vec![0; usize::try_from(length).expect("an excerpt is small")];
    let mut filled = 0;
    while filled < bytes.len() {
        match read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    bytes.truncate(filled);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Names the cases that have passed although every packet was lost or none was sent, where there are any.
fn passed_without_traffic(cases: &[Case]) -> Option<String> {
    const MOST_NAMES: usize = 5;
    let names: Vec<String> =
        cases.iter().filter(|case| case.has_passed_without_traffic()).map(Case::full_name).collect();
    let (count, noun) = match names.len() {
        0 => return None,
        1 => (1, "case"),
        count => (count, "cases"),
    };
    let mut shown = names[..count.min(MOST_NAMES)].join(", ");
    if count > MOST_NAMES {
        shown.push_str(&format!(" and {} more", count - MOST_NAMES));
    }
    Some(format!("{count} {noun} passed with every packet lost or none sent, and no `max_packet_loss` is set: {shown}"))
}

fn judgement(case: &Case) -> Judgement {
    match case.judgement() {
        case::Judgement::Passed => Judgement::Passed,
        case::Judgement::Failed { message, .. } => Judgement::Failed { message: message.into() },
        case::Judgement::Error { message, .. } => Judgement::Error { message: message.into() },
    }
}
