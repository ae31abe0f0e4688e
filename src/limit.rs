//! Limits on what comes from outside: of a stream the beginning and the end are kept, of lines so many as a reader can
//! follow. What is left out is counted and said in its place. No cut goes through a secret: half of one would not be known
//! as one any more. Knows neither hosts nor events.

mod file;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::secret::{RedactedText, Redactor};

pub(crate) use file::HeadTailFile;

/// A pipe has to give its text within this time.
const READING_TIMEOUT: Duration = Duration::from_secs(10);

/// What editors on Windows write in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file of text whole that has at most so many bytes, without a byte order mark. A larger file, one without end, or a
/// pipe whose end does not come in time is an error.
pub(crate) fn read_file(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = read_within(path, most, READING_TIMEOUT)?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    if bytes.len() > most {
        let limit = match most / (1024 * 1024) {
            0 => format!("{} KB", most / 1024),
            megabytes => format!("{megabytes} MB"),
        };
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit}")));
    }
    Ok(bytes)
}

/// Reads as much as it takes to see that there is more than `most`. Opening a pipe waits for whoever writes to it, and
/// nothing ends that; so it is left to a thread, which ends with the program.
fn read_within(path: &Path, most: usize, timeout: Duration) -> io::Result<Vec<u8>> {
    let limit = (most + BYTE_ORDER_MARK.len()) as u64 + 1;
    let file = path.to_owned();
    let (sender, read) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let done = File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        // Nobody waits for what comes too late.
        let _ = sender.send(done.map(|_| bytes));
    })?;
    read.recv_timeout(timeout).unwrap_or_else(|_| {
        let is_pipe = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        let what = if is_pipe { "nobody has written its text to this pipe, and closed it," } else { "it was not read" };
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {}s", timeout.as_secs())))
    })
}

/// So much is kept beyond each cut of a stream, to see whether a secret stands there.
const EDGE: usize = 16 * 1024;

/// The beginning and the end of a stream of any length. What it keeps is as it came, but for secrets that the cuts would
/// go through: those are left out whole.
#[derive(Debug)]
pub(crate) struct HeadTail {
    head: Vec<u8>,
    head_limit: usize,
    tail: VecDeque<u8>,
    tail_limit: usize,
    left_out: u64,
}

impl HeadTail {
    /// Keeps so many bytes of the beginning and of the end.
    pub(crate) fn new(head_limit: usize, tail_limit: usize) -> HeadTail {
        HeadTail { head: Vec::new(), head_limit, tail: VecDeque::new(), tail_limit, left_out: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_limit + EDGE - self.head.len()));
        self.head.extend_from_slice(head);
        let most = self.tail_limit + EDGE;
        let (passed, rest) = rest.split_at(rest.len().saturating_sub(most));
        let excess = (self.tail.len() + rest.len()).saturating_sub(most);
        self.tail.drain(..excess);
        self.tail.extend(rest);
        self.left_out += (passed.len() + excess) as u64;
    }

    /// What was kept, with a line where something is missing.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let HeadTail { mut head, head_limit, tail, tail_limit, left_out } = self;
        let total = left_out + (head.len() + tail.len()) as u64;
        if left_out == 0 {
            head.extend(&tail);
            if head.len() <= head_limit + tail_limit {
                return head;
            }
        }
        let tail = if left_out == 0 { head.clone() } else { Vec::from(tail) };
        let redactor = Redactor::process();
        let end = redactor.across(&head, head_limit, EDGE).start;
        let begin = redactor.across(&tail, tail.len() - tail_limit, EDGE).end;
        head.truncate(end);
        let missing = total - (end + tail.len() - begin) as u64;
        head.extend_from_slice(format!("\n[{missing} bytes are left out here]\n").as_bytes());
        head.extend_from_slice(&tail[begin..]);
        head
    }
}

/// What [`LineLimit`] lets pass, in bytes of text; each line counts for [`LineRate::PER_LINE`] more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineRate {
    /// At once.
    pub(crate) burst: u64,
    /// In each second after that.
    pub(crate) per_second: u64,
    /// In total. Beyond it only a [`LineRate::SLOWER`]th of the rate passes, so that a reader still sees that something
    /// goes on.
    pub(crate) total: u64,
}

impl LineRate {
    /// What a line costs beside its text: its time, its host, its place in a file.
    const PER_LINE: u64 = 100;

    const SLOWER: u64 = 16;
}

/// Lines that somebody reads while they come. When there are more than the rate allows, the newest are kept and told as
/// soon as it allows more, after a line that says how many are missing.
#[derive(Debug)]
pub(crate) struct LineLimit {
    rate: LineRate,
    /// What may pass now, as it was at `since`; below zero when more has passed, because what was kept is told
    /// together.
    credit: i64,
    since: Option<Instant>,
    told: u64,
    /// Set when the credit is used up, until there is a second's worth of it again.
    is_full: bool,
    held: VecDeque<String>,
    left_out: u64,
}

/// So many lines are kept of those that cannot be told at once.
const HELD_LINES: usize = 20;

/// A longer line is cut, in bytes: a person reads these.
const LONGEST_LINE: usize = 4096;

impl LineLimit {
    pub(crate) fn new(rate: LineRate) -> LineLimit {
        let held = VecDeque::new();
        LineLimit { rate, credit: signed(rate.burst), since: None, told: 0, is_full: false, held, left_out: 0 }
    }

    /// Takes the next line, and hands on what may be told by now. With `is_blocked` nothing may.
    pub(crate) fn push(&mut self, line: &RedactedText, now: Instant, is_blocked: bool, mut each: impl FnMut(String)) {
        if self.held.len() == HELD_LINES {
            self.held.pop_front();
            self.left_out += 1;
        }
        self.held.push_back(shortened(line, LONGEST_LINE));
        self.refill(now);
        if self.is_full && self.credit >= signed(self.rate.per_second.min(self.rate.burst)) {
            self.is_full = false;
        }
        if is_blocked || self.is_full {
            return;
        }
        self.tell_held(&mut each);
        self.is_full = self.credit <= 0;
    }

    /// Hands on what was kept, because nothing more comes for now.
    pub(crate) fn flush(&mut self, mut each: impl FnMut(String)) {
        self.tell_held(&mut each);
    }

    fn tell_held(&mut self, each: &mut dyn FnMut(String)) {
        let missing = std::mem::take(&mut self.left_out);
        if missing > 0 {
            self.pay(LineRate::PER_LINE);
            each(format!("[{missing} lines are left out here]"));
        }
        for line in std::mem::take(&mut self.held) {
            self.pay(line.len() as u64 + LineRate::PER_LINE);
            each(line);
        }
    }

    fn pay(&mut self, cost: u64) {
        self.told = self.told.saturating_add(cost);
        self.credit = self.credit.saturating_sub(signed(cost));
    }

    fn refill(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let rate =
            if self.told > self.rate.total { self.rate.per_second / LineRate::SLOWER } else { self.rate.per_second };
        let passed = now.saturating_duration_since(since).as_millis();
        let more = u64::try_from(passed.saturating_mul(u128::from(rate)) / 1000).unwrap_or(u64::MAX);
        // What is less than a byte is left for the next time.
        if more > 0 {
            self.credit = self.credit.saturating_add(signed(more)).min(signed(self.rate.burst));
            self.since = Some(now);
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The text, or as much of its beginning and its end as fits into `limit` bytes, with a word on what is missing between
/// them. It has no secrets any more when it is cut.
pub(crate) fn shortened(text: &RedactedText, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_string();
    }
    let head = text.floor_char_boundary(limit / 2);
    let tail = text.ceil_char_boundary(text.len() - limit / 2);
    format!("{} [{} bytes left out] {}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_read_once_it_is_closed_and_not_waited_for_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        let error = read_within(&pipe, 100, Duration::from_secs(1)).expect_err("nobody writes");
        assert_eq!(error.to_string(), "nobody has written its text to this pipe, and closed it, within 1s");

        let other = folder.path().join("other");
        rustix::fs::mknodat(rustix::fs::CWD, &other, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        let path = other.clone();
        let writer = std::thread::spawn(move || std::fs::write(path, "text\n"));
        assert_eq!(read_file(&other, 100).expect("it is written"), b"text\n");
        writer.join().expect("it ends").expect("it is read");
    }

    #[test]
    fn a_text_is_read_without_its_byte_order_mark_which_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "\u{feff}12345").expect("room");
        assert_eq!(read_file(&file, 5).expect("it is small"), b"12345");
        assert_eq!(read_file(&file, 4).expect_err("it is larger").kind(), io::ErrorKind::FileTooLarge);
    }

    fn kept(limits: (usize, usize), pieces: &[&[u8]]) -> String {
        let mut kept = HeadTail::new(limits.0, limits.1);
        pieces.iter().for_each(|piece| kept.push(piece));
        String::from_utf8(kept.into_bytes()).expect("text")
    }

    #[test]
    fn of_a_long_stream_the_beginning_and_the_end_are_kept_wherever_it_is_cut() {
        let text = b"0123456789abcdefghij";
        assert_eq!(kept((4, 3), &[b"0123456"]), "0123456");
        assert_eq!(kept((4, 3), &[]), "");
        let whole = kept((4, 3), &[text]);
        assert_eq!(whole, "0123\n[13 bytes are left out here]\nhij");
        for cut in 1..text.len() {
            assert_eq!(kept((4, 3), &[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(kept((0, 0), &[text]), "\n[20 bytes are left out here]\n");
    }

    #[test]
    fn a_stream_of_any_length_takes_the_memory_of_its_limits() {
        let mut kept = HeadTail::new(1000, 1000);
        for _ in 0..1000 {
            kept.push(&[b'y'; 64 * 1024]);
        }
        let most = 4 * (1000 + EDGE);
        assert!(kept.head.capacity() <= most && kept.tail.capacity() <= most, "{kept:?}");
    }

    #[test]
    fn no_cut_goes_through_a_secret() {
        const SECRET: &str = "S3CRET-OF-THE-HEAD-AND-THE-TAIL";
        Redactor::process().learn(&crate::secret::Secret::new(SECRET));
        let text = format!("{}{SECRET}{}", "a".repeat(50), "b".repeat(50));
        for (head, tail) in (40..90).flat_map(|head| [(head, 1), (head, 40), (1, head)]) {
            let kept = kept((head, tail), &[text.as_bytes()]);
            let clean = Redactor::process().text(&kept);
            let (first, missing, last) = parts(&clean).unwrap_or_else(|| panic!("{kept}"));
            for part in [first, last] {
                let letters = part.replace("***", "");
                assert!(letters.chars().all(|char| matches!(char, 'a' | 'b')), "{head} and {tail}: {kept}");
            }
            let (first, _, last) = parts(&kept).expect("it is the same");
            assert_eq!(first.len() + missing + last.len(), text.len(), "{kept}");
        }
        for length in 50..110 {
            let cut = shortened(&text.as_str().into(), length);
            let letters = cut.replace("***", "").replace("bytes left out", "");
            assert!(!letters.contains(|char: char| char.is_ascii_uppercase()), "{length}: {cut}");
        }
    }

    /// What stands before the line about what is missing, the number in it, and what stands behind it.
    fn parts(kept: &str) -> Option<(&str, usize, &str)> {
        let (first, rest) = kept.split_once("\n[")?;
        let (missing, last) = rest.split_once(" bytes are left out here]\n")?;
        Some((first, missing.parse().ok()?, last))
    }

    const RATE: LineRate = LineRate { burst: 10_000, per_second: 1_000, total: 20_000 };

    /// Says a line each millisecond, from `from` for so many, and returns what was told.
    fn said(limit: &mut LineLimit, start: Instant, milliseconds: std::ops::Range<u64>) -> Vec<String> {
        let mut told = Vec::new();
        for at in milliseconds {
            limit.push(&format!("line {at}").into(), start + Duration::from_millis(at), false, |line| told.push(line));
        }
        told
    }

    #[test]
    fn lines_within_the_rate_are_told_at_once_and_whole() {
        let mut limit = LineLimit::new(RATE);
        let told = said(&mut limit, Instant::now(), 0..50);
        assert_eq!(told, (0..50).map(|at| format!("line {at}")).collect::<Vec<_>>());
        limit.flush(|line| panic!("nothing was kept back: {line}"));
    }

    #[test]
    fn of_a_flood_the_first_and_the_last_lines_are_told_and_the_rest_is_counted() {
        let mut limit = LineLimit::new(RATE);
        let mut told = said(&mut limit, Instant::now(), 0..10_000);
        limit.flush(|line| told.push(line));
        assert_eq!(told[..2], ["line 0", "line 1"]);
        assert_eq!(told.last().map(String::as_str), Some("line 9999"));
        let cost: usize = told.iter().map(|line| line.len() + 100).sum();
        // The burst, ten seconds of the rate, and what was kept for the end.
        assert!(cost < 10_000 + 10 * 1000 + 3 * 2200, "{cost}");
        let missing = |line: &String| line.strip_prefix('[')?.split(' ').next()?.parse::<usize>().ok();
        let (counted, lines) =
            (told.iter().filter_map(missing).sum::<usize>(), told.iter().filter(|l| missing(l).is_none()));
        assert_eq!(counted + lines.count(), 10_000, "every line is told or counted");
    }

    #[test]
    fn beyond_the_total_little_passes_and_never_nothing() {
        let mut limit = LineLimit::new(RATE);
        let start = Instant::now();
        said(&mut limit, start, 0..40_000);
        let late: usize = said(&mut limit, start, 40_000..140_000).iter().map(|line| line.len() + 100).sum();
        assert!(late > 0 && late < 100 * 1000 / 16 + 3000, "{late}");
    }

    #[test]
    fn what_is_blocked_is_counted_and_told_later() {
        let mut limit = LineLimit::new(RATE);
        let now = Instant::now();
        for number in 0..30 {
            limit.push(&format!("line {number}").into(), now, true, |line| panic!("told: {line}"));
        }
        let mut told = Vec::new();
        limit.push(&"line 30".into(), now, false, |line| told.push(line));
        assert_eq!(told[0], "[11 lines are left out here]");
        assert_eq!(told.last().map(String::as_str), Some("line 30"));
    }

    #[test]
    fn a_long_line_keeps_its_beginning_and_its_end() {
        let line = format!("{}{}", "ä".repeat(5000), "ö".repeat(5000));
        let mut told = Vec::new();
        LineLimit::new(RATE).push(&line.into(), Instant::now(), false, |line| told.push(line));
        assert!(told[0].len() < 4200 && told[0].contains("ä [15904 bytes left out] ö"), "{}", told[0]);
        assert_eq!(shortened(&"short".into(), 5), "short");
    }
}
