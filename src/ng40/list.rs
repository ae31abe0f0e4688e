//! The fold over a console's lines: cases are opened and closed, and the end of the text closes what is still open.
//! Owns no clock and no file; whoever reads the console says what time it is.
//!
//! A console may hold several lists one after the other: Fabric's captures do, and so may a saved file. A list ends
//! with its verdict, or where the next logger is opened. Each has a total and a verdict of its own; the names of the
//! cases go on counting (`attach`, `attach #2`), and what is wrong with a list says with which.
//!
//! One system runs one case at a time: a case that starts ends the one before it on the same system, which then has
//! no verdict. Cases on different systems may overlap.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::ops::Range;
use std::time::Duration;

use super::case::{Case, Traffic, Watchtime, shortened};
use super::console::{Line, Lines, Part, clean};
use super::live::Live;
use super::outcome::{End, ExitStatus, ListOutcome, Outcome, Problem, ProblemKind, Rules};
use super::parser::{Said, parse_line};
use crate::verdict::Verdict;

// A console is foreign text. What is kept of it has limits, so that a hostile or broken one cannot fill our memory;
// none of them is near what a real list needs, and none of them turns anything green.
const MAX_CASES: usize = 10_000;
const MAX_OPEN: usize = 64;
const MAX_NEVER_STARTED: u32 = 1000;
const MAX_PROBLEMS: usize = 1000;
const MAX_NOTES: usize = 1000;
const MAX_LISTS: usize = 1000;
const MAX_PARAMS: usize = 4096;
const MAX_LAST_LINE: usize = 160;
/// For parameters, clauses and counters of all cases together.
const MAX_KEPT: usize = 32 * 1024 * 1024;

/// Where in the console something was said, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub bytes: Range<u64>,
    /// Since the start of the run; `None` for a console of which that is not known.
    pub at: Option<Duration>,
}

/// What the fold tells while it listens. All of it is in the [`Outcome`] again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Occurrence {
    /// The list announced so many cases.
    Planned(u32),
    /// A case was announced by NG40. One that is only known by its verdict, or that never started, just finishes.
    CaseStarted(Case),
    CaseFinished(Case),
    /// NG40 came back to a case that had finished; this replaces the case of the same [`Case::full_name`].
    CaseRevised(Case),
    Problem(Problem),
    Note(String),
}

/// A console that is being read: bytes in, occurrences out.
#[derive(Debug)]
pub(crate) struct Reading {
    lines: Lines,
    list: List,
}

impl Reading {
    #[must_use]
    pub(crate) fn new(rules: Rules) -> Self {
        Self { lines: Lines::new(), list: List::new(rules) }
    }

    /// Takes the next bytes of the console, cut anywhere, that came so long after the start of the run.
    pub(crate) fn push(&mut self, bytes: &[u8], at: Option<Duration>, mut tell: impl FnMut(Occurrence)) {
        self.lines.push(bytes, |line| self.list.line(&line, at, &mut tell));
    }

    /// Ends the console. A last line without line end counts as a line.
    pub(crate) fn finish(self, end: End, at: Option<Duration>, mut tell: impl FnMut(Occurrence)) -> Outcome {
        let Self { lines, mut list } = self;
        let place = Place { bytes: lines.seen()..lines.seen(), at };
        lines.finish(|line| list.line(&line, at, &mut tell));
        list.finish(end, &place, &mut tell)
    }
}

/// The fold.
#[derive(Debug)]
pub(crate) struct List {
    rules: Rules,
    cases: Vec<Case>,
    /// How often each name has been given, full names included.
    names: HashMap<String, u32>,
    /// The last case of each name.
    latest: HashMap<String, usize>,
    /// Started, and without a verdict.
    open: Vec<usize>,
    /// Has its verdict; loss lines may follow, so it is not finished.
    judged: Option<usize>,
    /// By their name, cases that had their verdict while another of this name was open.
    twins: HashMap<String, Vec<usize>>,
    current: Current,
    lists: Vec<ListOutcome>,
    /// Set once a second list begins.
    has_several: bool,
    live: Live,
    /// Where the watch of the last case stood when that ended.
    watched: Option<u32>,
    /// A watch has begun anew, so a case runs, which has no name before its verdict.
    is_unnamed: bool,
    /// From where and when on the console speaks of a case that has not been named yet.
    unnamed_since: Place,
    problems: Vec<Problem>,
    notes: Vec<String>,
    /// How the run ended, once that is known.
    end: Option<End>,
    /// How many cases, lists and problems were too many.
    dropped: usize,
    /// The worst verdict among the cases that were too many.
    dropped_verdict: Verdict,
    kept: usize,
    /// The last line that is not blank, as long as the list has no case: it may say why.
    last_line: Vec<u8>,
}

/// The list that is being read.
#[derive(Debug, Default)]
struct Current {
    /// From 1.
    number: u32,
    logger: Option<String>,
    planned: Option<u32>,
    // Silence is not success: a list that never states its verdict has none.
    verdict: Verdict,
    /// Its first case in [`List::cases`].
    first: usize,
    /// The numbers of the cases that started.
    numbers: HashSet<u32>,
    /// How many cases are known by their verdict only.
    unnumbered: u32,
    /// Something was drawn after its verdict, as it is while a case runs.
    runs_on: bool,
}

type Tell<'a> = &'a mut dyn FnMut(Occurrence);

impl List {
    #[must_use]
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            cases: Vec::new(),
            names: HashMap::new(),
            latest: HashMap::new(),
            open: Vec::new(),
            judged: None,
            twins: HashMap::new(),
            current: Current { number: 1, ..Current::default() },
            lists: Vec::new(),
            has_several: false,
            live: Live::default(),
            watched: None,
            is_unnamed: false,
            unnamed_since: Place { bytes: 0..0, at: Some(Duration::ZERO) },
            problems: Vec::new(),
            notes: Vec::new(),
            end: None,
            dropped: 0,
            dropped_verdict: Verdict::Pass,
            kept: 0,
            last_line: Vec::new(),
        }
    }

    /// Takes one line of the console.
    pub(crate) fn line(&mut self, line: &Line<'_>, at: Option<Duration>, tell: Tell<'_>) {
        if self.cases.len() == self.current.first {
            self.remember(line.bytes);
        }
        if line.is_worth_reading() {
            let place = Place { bytes: line.range.clone(), at };
            for text in line.overwritten() {
                let said = parse_line(&text);
                if said.counts_overwritten() {
                    self.said(&said, &place, tell);
                }
            }
            let text = line.text();
            let said = parse_line(&text);
            match line.part {
                Part::End => self.said(&said, &place, tell),
                Part::Beginning if said.counts_overwritten() => self.said(&Said::Illegible(&text), &place, tell),
                Part::Beginning | Part::Overwritten => {}
            }
        } else if self.live.is_printing() {
            self.live.print(&line.text());
        }
    }

    /// Takes what one line said.
    pub(crate) fn said(&mut self, said: &Said<'_>, place: &Place, tell: Tell<'_>) {
        if let Said::Other(text) = said {
            self.live.print(text);
            return;
        }
        self.live.end_table();
        match *said {
            Said::LoggerOpened { name, .. } => {
                let is_touched = self.current.is_touched(self.cases.len());
                // What was drawn so far is of a run that came to nothing else.
                if self.current.runs_on || !is_touched && self.live.is_drawn() {
                    self.leave_unnamed("it ran, and another run began before its own", tell);
                }
                if is_touched {
                    self.next_list(place, tell);
                }
                self.live.clear();
                (self.watched, self.is_unnamed) = (None, false);
                self.unnamed_since = Place { bytes: place.bytes.start..place.bytes.start, at: place.at };
                self.current.logger = Some(name.to_owned());
            }
            Said::Planned(planned) => self.planned(planned, place, tell),
            Said::CaseStarted { number, system, name, params } => {
                self.case_started(number, system, name, params, place, tell);
            }
            Said::CaseVerdict { name, token } => self.case_verdict(name, Verdict::parse(token), place, tell),
            Said::ListVerdict { token } => self.list_verdict(Verdict::parse(token), place, tell),
            Said::VerificationFail { clause } => self.verification_fail(clause),
            Said::TableTitle(title) => {
                self.settle(place.bytes.start, tell);
                self.current.runs_on |= self.current.verdict != Verdict::None;
                self.live.begin_table(title);
            }
            Said::Watchtime { elapsed, limit } => {
                self.settle(place.bytes.start, tell);
                self.current.runs_on |= self.current.verdict != Verdict::None;
                self.watchtime(Watchtime { elapsed, limit }, tell);
            }
            Said::Loss { direction, packets, percent } => {
                self.traffic(tell, |case| case.loss.add(direction, Traffic::Lost { packets, percent }));
            }
            Said::NoPackets { direction } => self.traffic(tell, |case| case.loss.add(direction, Traffic::NothingSent)),
            Said::EnbState { enb, mme, status } => {
                if status != "active" {
                    self.note(format!("eNB {enb} was `{status}` on MME {mme}"), tell);
                }
            }
            Said::CommandNotFound { command } => {
                let message = format!("a shell did not find the command `{command}`");
                self.problem(ProblemKind::CommandNotFound, None, message, tell);
            }
            Said::Illegible(text) => {
                let line = shortened(&clean(text.as_bytes()), MAX_LAST_LINE);
                let message = format!("the line `{line}` decides something and cannot be read");
                self.problem(ProblemKind::Illegible, Some(self.current.number), message, tell);
            }
            Said::IllegibleLoss(text) => {
                let line = shortened(&clean(text.as_bytes()), MAX_LAST_LINE);
                let message = format!("the line `{line}` tells of packets that were lost and cannot be read");
                // Without a limit the packets decide nothing.
                if self.rules.max_packet_loss.is_some() {
                    self.problem(ProblemKind::Illegible, Some(self.current.number), message, tell);
                } else if !self.notes.contains(&message) {
                    self.note(message, tell);
                }
            }
            Said::LoggerClosed { .. } | Said::Close => self.settle(place.bytes.start, tell),
            Said::Other(_) => unreachable!("returned above"),
        }
    }

    /// Ends the text, and closes what is open.
    pub(crate) fn finish(mut self, end: End, place: &Place, tell: Tell<'_>) -> Outcome {
        let why = match end {
            End::Exited(status) => format!("no verdict: the run ended without it (exit status {status})"),
            End::Signaled(signal) => format!("no verdict: the run was ended by signal {signal}"),
            End::DeadlineReached => "no verdict: it was still running at the deadline".to_owned(),
            End::Lost => "no verdict: the host was lost before it came".to_owned(),
            End::Stopped => "no verdict: the run was stopped before it came".to_owned(),
            End::Offline => "no verdict: the console ends before it".to_owned(),
        };
        // A run that has ended well has said all that it had to say, unless its watch says something else.
        if self.current.runs_on && (end != End::Exited(0) || self.is_unnamed) {
            self.leave_unnamed("it ran after the list's verdict, and the console ends before its own", tell);
        }
        if self.lists.is_empty() || self.current.is_touched(self.cases.len()) {
            self.end = Some(end);
            self.end_list(&why, place, tell);
        }
        self.judge_end(end, tell);
        if self.dropped > 0 {
            let worst = match mem::take(&mut self.dropped_verdict) {
                Verdict::Pass => String::new(),
                worst => format!("; the worst verdict among them: {worst}"),
            };
            let message = format!("more than can be kept: {} cases or problems are left out{worst}", self.dropped);
            // This one must not be dropped itself.
            let problem = Problem { kind: ProblemKind::TooMuch, list: None, message };
            self.problems.push(problem.clone());
            tell(Occurrence::Problem(problem));
        }
        let planned = self.lists.iter().filter_map(|list| list.planned).reduce(u32::saturating_add);
        let verdict = self.lists.iter().map(|list| list.verdict.clone()).reduce(Verdict::worse).unwrap_or_default();
        Outcome {
            cases: self.cases,
            problems: self.problems,
            lists: self.lists,
            planned,
            verdict,
            end,
            notes: self.notes,
        }
    }

    fn planned(&mut self, planned: u32, place: &Place, tell: Tell<'_>) {
        self.begin_announced_list(place, tell);
        tell(Occurrence::Planned(planned));
        let known = self.current.planned.replace(planned);
        if let Some(known) = known.filter(|known| *known != planned) {
            // The larger stands: it must not hide a case that never started.
            self.current.planned = Some(known.max(planned));
            self.note(format!("the list announced {known} test cases, and then {planned}"), tell);
        }
    }

    fn case_started(&mut self, number: u32, system: &str, name: &str, params: &str, place: &Place, tell: Tell<'_>) {
        self.begin_announced_list(place, tell);
        self.settle(place.bytes.start, tell);
        let is_here = |case: &Case| case.system.as_deref() == Some(system);
        if let Some(position) = self.open.iter().position(|index| is_here(&self.cases[*index])) {
            let why = format!("no verdict: the next case began on {system}");
            self.give_up(position, &why, place, tell);
        }
        if self.open.len() == MAX_OPEN {
            self.give_up(0, "no verdict: too many cases had begun", place, tell);
        }
        if self.open.is_empty() {
            self.live.clear();
        }
        if !self.open.iter().any(|open| self.cases[*open].name == name) {
            self.twins.remove(name);
        }
        let Some(index) = self.new_case(name) else { return };
        if !self.current.numbers.insert(number) {
            self.note(format!("two cases of the list have the number {number}"), tell);
        }
        let params = if self.afford(params.len()) { shortened(params, MAX_PARAMS) } else { String::new() };
        let case = &mut self.cases[index];
        case.number = Some(number);
        case.system = Some(system.to_owned());
        case.params = Some(params);
        case.started = place.at;
        case.console = Some(place.bytes.clone());
        self.open.push(index);
        self.unnamed_since = Place { bytes: place.bytes.end..place.bytes.end, at: place.at };
        tell(Occurrence::CaseStarted(self.cases[index].clone()));
    }

    fn case_verdict(&mut self, name: &str, verdict: Verdict, place: &Place, tell: Tell<'_>) {
        self.begin_list_if_ended(place, tell);
        if let Some(position) = self.open.iter().rposition(|index| self.cases[*index].name == name) {
            self.settle(place.bytes.start, tell);
            let index = self.open.remove(position);
            self.judge(index, verdict, place);
            return self.share(index, tell);
        }
        if let Some(index) = self.judged.filter(|index| self.cases[*index].name == name) {
            self.cases[index].add_second_verdict(verdict);
            return;
        }
        let started = self.latest.get(name).copied();
        let started = started.filter(|index| *index >= self.current.first && self.cases[*index].number.is_some());
        self.settle(place.bytes.start, tell);
        if let Some(index) = started {
            // NG40 numbers what it starts, so a verdict more than it has started cases is a second one.
            self.cases[index].add_second_verdict(verdict);
            return tell(Occurrence::CaseRevised(self.cases[index].clone()));
        }

        let Some(index) = self.new_case(name) else {
            self.dropped_verdict = mem::take(&mut self.dropped_verdict).worse(verdict);
            return;
        };
        self.current.unnumbered += 1;
        self.is_unnamed = false;
        let since = self.unnamed_since.clone();
        let open = self.open.last().map(|index| self.cases[*index].full_name());
        let case = &mut self.cases[index];
        case.started = since.at.filter(|_| place.at.is_some());
        case.console = Some(since.bytes.start..place.bytes.end);
        if let Some(open) = open {
            case.add_note(format!("its verdict came while `{open}` was running, and it was never announced"));
        } else if !self.current.numbers.is_empty() {
            case.add_note("it was never announced".to_owned());
        }
        for clause in mem::take(&mut self.live.verification) {
            case.add_verification(&clause);
        }
        self.judge(index, verdict, place);
    }

    fn list_verdict(&mut self, verdict: Verdict, place: &Place, tell: Tell<'_>) {
        self.settle(place.bytes.start, tell);
        if self.current.runs_on || self.is_unnamed {
            self.leave_unnamed("it ran, and the list ended before its own", tell);
        }
        while !self.open.is_empty() {
            self.give_up(0, "no verdict: the list ended without it", place, tell);
        }
        let known = mem::take(&mut self.current.verdict);
        if known != Verdict::None {
            self.note(format!("the list's verdict was {known}, and then {verdict}; the worse stands"), tell);
        }
        self.unnamed_since = Place { bytes: place.bytes.end..place.bytes.end, at: place.at };
        // None is worse than a pass, but here it only means that this is the first word.
        self.current.verdict = if known == Verdict::None { verdict } else { known.worse(verdict) };
    }

    fn verification_fail(&mut self, clause: &str) {
        let can_keep = self.afford(clause.len());
        match self.open.last().copied().or(self.judged) {
            Some(index) if can_keep => self.cases[index].add_verification(clause),
            Some(index) => self.cases[index].verification_omitted += 1,
            None => self.live.add_verification(clause),
        }
    }

    fn watchtime(&mut self, watchtime: Watchtime, tell: Tell<'_>) {
        let last = self.live.watchtime.replace(watchtime);
        if !self.open.is_empty() {
            return;
        }
        let now = watchtime.elapsed;
        match last.map(|last| last.elapsed) {
            Some(last) if now < last => {
                self.leave_unnamed(&format!("the watchtime fell from {last} s to {now} s before one came"), tell);
            }
            // The view may be drawn on while a case shuts down, but its watch does not begin anew. A case with a start line is missed by that.
            _ => self.is_unnamed |= self.current.numbers.is_empty() && self.watched.is_some_and(|then| now < then),
        }
    }

    /// Gives up a case that has no start line, so that it has no name before its verdict: all that can be said is that there was one.
    fn leave_unnamed(&mut self, how: &str, tell: Tell<'_>) {
        (self.is_unnamed, self.current.runs_on) = (false, false);
        let message = format!("a case without a verdict: {how}");
        self.problem(ProblemKind::CutOff, Some(self.current.number), message, tell);
    }

    /// Gives a loss line to the case it belongs to: the verdict just above it, or else the case that runs.
    fn traffic(&mut self, tell: Tell<'_>, add: impl FnOnce(&mut Case)) {
        if let Some(index) = self.judged.or(self.open.last().copied()) {
            add(&mut self.cases[index]);
        } else if self.cases.len() > self.current.first {
            let last = self.cases.len() - 1;
            add(&mut self.cases[last]);
            tell(Occurrence::CaseRevised(self.cases[last].clone()));
        }
    }

    /// Opens a case, if there is room for one more.
    fn new_case(&mut self, name: &str) -> Option<usize> {
        if self.cases.len() == MAX_CASES {
            self.dropped += 1;
            return None;
        }
        let index = self.cases.len();
        let occurrence = self.next_occurrence(name);
        self.latest.insert(name.to_owned(), index);
        self.cases.push(Case {
            name: name.to_owned(),
            occurrence,
            list: self.current.number,
            max_packet_loss: self.rules.max_packet_loss,
            ..Case::default()
        });
        Some(index)
    }

    /// Counts a name. A case may really be called `attach #2`, and full names must stay distinct.
    fn next_occurrence(&mut self, name: &str) -> u32 {
        let mut occurrence = self.names.get(name).copied().unwrap_or(0) + 1;
        if occurrence > 1 {
            while self.names.contains_key(&format!("{name} #{occurrence}")) {
                occurrence += 1;
            }
            self.names.insert(format!("{name} #{occurrence}"), 1);
        }
        self.names.insert(name.to_owned(), occurrence);
        occurrence
    }

    /// Gives a case its verdict and what was printed last. It is finished when something else begins.
    fn judge(&mut self, index: usize, verdict: Verdict, place: &Place) {
        self.take_live(index);
        self.unnamed_since = Place { bytes: place.bytes.end..place.bytes.end, at: place.at };
        let case = &mut self.cases[index];
        case.verdict = verdict;
        case.took = case.started.zip(place.at).map(|(started, at)| at.saturating_sub(started));
        if case.verdict == Verdict::Pass && !case.verification.is_empty() {
            case.add_note("it passed although a verification failed".to_owned());
        }
        self.judged = Some(index);
    }

    /// A verdict names no system: where cases of one name run side by side, the worst verdict is that of each.
    fn share(&mut self, index: usize, tell: Tell<'_>) {
        let name = self.cases[index].name.clone();
        let goes_on = self.open.iter().any(|open| self.cases[*open].name == name);
        if !goes_on && !self.twins.contains_key(&name) {
            return;
        }
        let mut twins = self.twins.remove(&name).unwrap_or_default();
        twins.push(index);
        let verdicts = twins.iter().map(|twin| self.cases[*twin].verdict.clone());
        let worst = verdicts.reduce(Verdict::worse).unwrap_or_default();
        for twin in &twins {
            let case = &mut self.cases[*twin];
            if case.verdict != worst {
                case.share_verdict(&worst);
                if *twin != index {
                    tell(Occurrence::CaseRevised(case.clone()));
                }
            }
        }
        if goes_on {
            self.twins.insert(name, twins);
        }
    }

    /// Finishes the case that has its verdict: what comes at this byte is about something else.
    fn settle(&mut self, end: u64, tell: Tell<'_>) {
        if let Some(index) = self.judged.take() {
            self.unnamed_since.bytes = end..end;
            self.cases[index].end_console(end);
            tell(Occurrence::CaseFinished(self.cases[index].clone()));
        }
    }

    /// Finishes an open case that will have no verdict.
    fn give_up(&mut self, position: usize, why: &str, place: &Place, tell: Tell<'_>) {
        let index = self.open.remove(position);
        self.take_live(index);
        self.unnamed_since = Place { bytes: place.bytes.start..place.bytes.start, at: place.at };
        let case = &mut self.cases[index];
        case.error = Some(why.to_owned());
        case.took = case.started.zip(place.at).map(|(started, at)| at.saturating_sub(started));
        case.end_console(place.bytes.start);
        tell(Occurrence::CaseFinished(case.clone()));
    }

    fn take_live(&mut self, index: usize) {
        let tables = self.live.tables();
        self.cases[index].watchtime = self.live.watchtime;
        self.watched = self.live.watchtime.map(|watch| watch.elapsed);
        let size =
            tables.iter().flat_map(|table| &table.rows).map(|row| row.label.len() + 8 * row.counters.len()).sum();
        if self.afford(size) {
            self.cases[index].tables = tables;
        }
        self.live.end_case();
    }

    /// A list ends with its verdict; what starts after that is the next one.
    fn begin_list_if_ended(&mut self, place: &Place, tell: Tell<'_>) {
        if self.current.verdict != Verdict::None {
            self.next_list(place, tell);
        }
    }

    /// The same where the next list begins with words of its own: what was drawn before them is none of it.
    fn begin_announced_list(&mut self, place: &Place, tell: Tell<'_>) {
        if self.current.runs_on {
            self.leave_unnamed("it ran after the list's verdict, and another list began before its own", tell);
        }
        self.begin_list_if_ended(place, tell);
    }

    fn next_list(&mut self, place: &Place, tell: Tell<'_>) {
        self.has_several = true;
        self.end_list("no verdict: another list began", place, tell);
        self.last_line.clear();
        self.current = Current { number: self.current.number + 1, first: self.cases.len(), ..Current::default() };
    }

    fn end_list(&mut self, why: &str, place: &Place, tell: Tell<'_>) {
        self.settle(place.bytes.start, tell);
        while !self.open.is_empty() {
            self.give_up(0, why, place, tell);
        }
        let ran = self.cases.len() - self.current.first;
        self.add_never_started(tell);
        self.judge_list(ran, tell);
        if self.lists.len() < MAX_LISTS {
            self.lists.push(ListOutcome {
                logger: self.current.logger.take(),
                planned: self.current.planned,
                verdict: self.current.verdict.clone(),
                cases: self.cases.len() - self.current.first,
            });
        } else {
            self.dropped += 1;
        }
    }

    /// Names the cases that were announced by the total only.
    fn add_never_started(&mut self, tell: Tell<'_>) {
        let Some(planned) = self.current.planned else { return };
        // What is not known to have run may have run.
        let is_lost = self.end == Some(End::Lost);
        let ran = u32::try_from(self.cases.len() - self.current.first).unwrap_or(u32::MAX);
        if ran > planned {
            self.note(format!("the list announced {planned} test cases, and {ran} ran"), tell);
        }
        // A case that is known by its verdict only takes the place of the first one whose number was not seen.
        let numbers = mem::take(&mut self.current.numbers);
        let never: Vec<u32> = (1..=planned)
            .filter(|number| !numbers.contains(number))
            .skip(self.current.unnumbered as usize)
            .take(MAX_NEVER_STARTED as usize)
            .collect();
        let within = numbers.iter().filter(|number| (1..=planned).contains(number)).count();
        let all = (planned as usize).saturating_sub(within + self.current.unnumbered as usize);
        for number in &never {
            let Some(index) = self.new_case(&format!("(case {number} of {planned})")) else { break };
            let case = &mut self.cases[index];
            case.number = Some(*number);
            case.error = Some(if is_lost {
                format!("unknown: the connection was lost after {ran} of {planned} test cases had begun")
            } else {
                format!("never started: the list announced {planned} test cases, and {ran} ran")
            });
            tell(Occurrence::CaseFinished(case.clone()));
        }
        if all > never.len() {
            let fate = if is_lost { "are unknown: the connection was lost" } else { "never started" };
            let message = format!("{} more of the {planned} announced test cases {fate}", all - never.len());
            self.problem(ProblemKind::NeverStarted, Some(self.current.number), message, tell);
        }
    }

    /// Says what is wrong with the list as a whole.
    fn judge_list(&mut self, ran: usize, tell: Tell<'_>) {
        let verdict = self.current.verdict.clone();
        let mut problems = Vec::new();
        if self.current.planned == Some(0) {
            problems.push((ProblemKind::NothingPlanned, "the list announced 0 test cases".to_owned()));
        } else if ran == 0 {
            problems.push((ProblemKind::NoCase, format!("no test case was run{}", self.last_words())));
        }
        match &verdict {
            Verdict::None => {
                // A list can have NG40 print none: a public one of Magma's begins with `set verdictprint off`.
                let is_silent = ran > 0
                    && matches!(self.end, Some(End::Exited(0) | End::Offline))
                    && self.cases[self.current.first..].iter().all(|case| case.verdict == Verdict::None);
                let hint = if is_silent { ", and no case has one: does it `set verdictprint off`?" } else { "" };
                problems.push((ProblemKind::NoListVerdict, format!("the list has no verdict{hint}")));
            }
            Verdict::Other(token) => problems.push((
                ProblemKind::UnknownListVerdict,
                format!("the list's verdict is VERDICT_{token}, which is neither PASS nor FAIL"),
            )),
            Verdict::Pass | Verdict::Fail => problems.extend(self.contradiction(&verdict)),
        }
        for (kind, message) in problems {
            self.problem(kind, Some(self.current.number), message, tell);
        }
    }

    fn contradiction(&self, list_verdict: &Verdict) -> Option<(ProblemKind, String)> {
        let cases = &self.cases[self.current.first..];
        let odd = cases.iter().find(|case| !case.verdict.is_pass());
        let message = match (list_verdict, odd) {
            (Verdict::Pass, Some(case)) => match &case.verdict {
                Verdict::None => format!("the list's verdict is PASS, but `{}` has none", case.full_name()),
                verdict => format!("the list's verdict is PASS, but that of `{}` is {verdict}", case.full_name()),
            },
            (Verdict::Fail, None) if !cases.is_empty() => {
                "the list's verdict is FAIL, but every case passed".to_owned()
            }
            _ => return None,
        };
        Some((ProblemKind::Contradiction, message))
    }

    /// Says what is wrong with the way the run ended.
    fn judge_end(&mut self, end: End, tell: Tell<'_>) {
        let is_check = self.rules.exit_status == ExitStatus::Check;
        let all_pass = !self.cases.is_empty() && self.cases.iter().all(|case| case.verdict.is_pass());
        let (kind, message) = match end {
            End::Exited(126) => (ProblemKind::ExitStatus, "exit status 126: the command could not be run".to_owned()),
            End::Exited(127) => (ProblemKind::ExitStatus, "exit status 127: the command was not found".to_owned()),
            // A shell adds 128 to the signal that its command died of.
            End::Exited(status @ 129..=192) => {
                (ProblemKind::Signal, format!("exit status {status}: the run was ended by signal {}", status - 128))
            }
            End::Exited(0) if is_check && !all_pass => {
                (ProblemKind::ExitStatus, "exit status 0, although not every case passed".to_owned())
            }
            End::Exited(status) if is_check && status != 0 && all_pass => {
                (ProblemKind::ExitStatus, format!("exit status {status}, although every case passed"))
            }
            End::Signaled(signal) => (ProblemKind::Signal, format!("the run was ended by signal {signal}")),
            End::DeadlineReached => (ProblemKind::Deadline, "the run had not ended by its deadline".to_owned()),
            End::Lost => (ProblemKind::Lost, "the host was lost, and it is not known how the run ended".to_owned()),
            End::Stopped => (ProblemKind::Stopped, "the run was stopped before its end".to_owned()),
            End::Exited(_) | End::Offline => return,
        };
        self.problem(kind, None, message, tell);
    }

    /// Keeps the last line that is not blank: of a run without any case it is often the reason.
    fn remember(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|byte| *byte > b' ') {
            self.last_line.clear();
            self.last_line.extend_from_slice(bytes);
        }
    }

    fn last_words(&self) -> String {
        let last = shortened(&clean(&self.last_line), MAX_LAST_LINE);
        if last.is_empty() { ", and nothing was printed".to_owned() } else { format!("; the last line is `{last}`") }
    }

    fn problem(&mut self, kind: ProblemKind, list: Option<u32>, message: String, tell: Tell<'_>) {
        // One list is just the list; of several it has to be said which.
        let message = match list.filter(|_| self.has_several) {
            Some(list) => format!("list {list}: {message}"),
            None => message,
        };
        let problem = Problem { kind, list, message };
        if self.problems.len() == MAX_PROBLEMS {
            self.dropped += 1;
        } else if !self.problems.contains(&problem) {
            self.problems.push(problem.clone());
            tell(Occurrence::Problem(problem));
        }
    }

    fn note(&mut self, note: String, tell: Tell<'_>) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note.clone());
            tell(Occurrence::Note(note));
        }
    }

    /// Returns true if so many bytes more can be kept.
    fn afford(&mut self, bytes: usize) -> bool {
        let can = self.kept + bytes <= MAX_KEPT;
        if can {
            self.kept += bytes;
        }
        can
    }
}

impl Current {
    /// Returns true if anything has been said of this list.
    fn is_touched(&self, cases: usize) -> bool {
        self.logger.is_some() || self.planned.is_some() || self.verdict != Verdict::None || cases > self.first
    }
}
