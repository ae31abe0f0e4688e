//! From a console's bytes to its lines, as they come in and in constant memory. Does not know what a line means.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memrchr};

/// The longest line that can mean something, in bytes.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// One line of a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The bytes without the line end.
    pub bytes: &'a [u8],
    /// Where it stands in the console, the line end included.
    pub range: Range<u64>,
    pub part: Part,
}

/// How much of a line a [`Line`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it. Of a line longer than [`MAX_LINE`], what follows its last return to the first column, if that is short
    /// enough; the rest of it has come before, as the other parts.
    End,
    /// What stands before a return to the first column, in a line that is too long to be kept until its end.
    Overwritten,
    /// The beginning of what is too long and has no return to the first column. What follows it is dropped.
    Beginning,
}

impl<'a> Line<'a> {
    /// Returns the line as a person at a terminal would read it.
    #[must_use]
    pub(crate) fn text(&self) -> Cow<'a, str> {
        clean(self.bytes)
    }

    /// Returns what a terminal would have shown and then overwritten, each piece between two returns to the first column.
    ///
    /// It was printed all the same. A piece that the next one begins with is the same text drawn again.
    #[must_use]
    pub(crate) fn overwritten(&self) -> Vec<String> {
        let bytes = trim_end(self.bytes);
        // 0xC2 0x9B is CSI as one C1 control character, which moves the cursor too.
        if self.part != Part::Overwritten && memchr3(b'\r', b'\x1b', 0xc2, bytes).is_none() {
            return Vec::new();
        }
        let visible = visible(&String::from_utf8_lossy(bytes));
        let pieces = visible.split('\r').map(|piece| piece.trim_matches(is_blank)).filter(|piece| !piece.is_empty());
        let mut pieces: Vec<String> = pieces.map(str::to_owned).collect();
        let last = if self.part == Part::Overwritten { None } else { pieces.pop() };
        let next = pieces.iter().skip(1).map(Some).chain([last.as_ref()]);
        let is_drawn_again: Vec<bool> =
            pieces.iter().zip(next).map(|(piece, next)| next.is_some_and(|next| next.starts_with(piece))).collect();
        let mut drawn_again = is_drawn_again.into_iter();
        pieces.retain(|_| !drawn_again.next().unwrap_or_default());
        pieces
    }

    /// Returns false for a line that cannot mean anything, from a glance at it: it is plain, and its two ends say nothing.
    ///
    /// Consoles are long, and most of their lines say nothing to us: this is what makes reading them cheap.
    #[must_use]
    pub(crate) fn is_worth_reading(&self) -> bool {
        let bytes = trim_end(self.bytes);
        let Some(first) = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t')) else {
            return false;
        };
        // A prefix, or a letter that one of NG40's lines begins with.
        let may_begin = matches!(first, b'0'..=b'9' | b'[' | b'*' | b'>') || b"CDENORTUVWcvz".contains(first);
        may_begin
            || bytes.ends_with(b"Table")
            || bytes.ends_with(b"not found")
            || bytes.ends_with(b"not found.")
            || is_odd(bytes)
    }
}

/// Cuts a console into lines, in whatever pieces its bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The beginning of a line whose end has not been seen, or what follows the last part of it.
    rest: Vec<u8>,
    /// Set while a line is too long and has not returned to its first column.
    is_skipping: bool,
    line_start: u64,
    seen: u64,
}

impl Lines {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, and hands on every line that they complete, and every part of one that is too long.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        let mut begin = 0;
        for end in memchr_iter(b'\n', bytes) {
            let piece = &bytes[begin..end];
            self.seen += (piece.len() + 1) as u64;
            let range = self.line_start..self.seen;
            if self.rest.is_empty() && !self.is_skipping && piece.len() <= MAX_LINE {
                each(Line { bytes: piece, range, part: Part::End });
            } else {
                self.keep(piece, &mut each);
                each(Line { bytes: &self.rest, range, part: Part::End });
                self.rest.clear();
                self.is_skipping = false;
            }
            self.line_start = self.seen;
            begin = end + 1;
        }
        self.seen += (bytes.len() - begin) as u64;
        self.keep(&bytes[begin..], &mut each);
    }

    /// Hands on the last line, if the text does not end with a line end.
    pub(crate) fn finish(self, each: impl FnOnce(Line<'_>)) {
        if self.seen > self.line_start {
            each(Line { bytes: &self.rest, range: self.line_start..self.seen, part: Part::End });
        }
    }

    /// Returns how many bytes have been taken.
    #[must_use]
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Buffers a piece of an unfinished line. When the buffer is full, passes the buffered part on to `each`.
    ///
    /// What is handed on depends only on the line's bytes and never on where the pieces were cut. A counter that is
    /// redrawn for hours without a line end is one endless line: what stands before its last CR has been overwritten.
    fn keep(&mut self, mut piece: &[u8], each: &mut impl FnMut(Line<'_>)) {
        // All parts stand where their line begins: how far it has come depends on where the pieces were cut.
        let range = self.line_start..self.line_start;
        while !piece.is_empty() {
            if self.is_skipping {
                let Some(position) = memchr(b'\r', piece) else { return };
                self.is_skipping = false;
                piece = &piece[position + 1..];
                continue;
            }
            let room = MAX_LINE - self.rest.len();
            if piece.len() <= room {
                self.rest.extend_from_slice(piece);
                return;
            }
            self.rest.extend_from_slice(&piece[..room]);
            piece = &piece[room..];
            if let Some(position) = memrchr(b'\r', &self.rest) {
                each(Line { bytes: &self.rest[..position], range: range.clone(), part: Part::Overwritten });
                self.rest.drain(..=position);
            } else {
                each(Line { bytes: &self.rest, range: range.clone(), part: Part::Beginning });
                self.rest.clear();
                self.is_skipping = true;
            }
        }
    }
}

/// Returns a line's text as a terminal would show it, fit for recognition and for a one-line message.
///
/// Escape sequences and control characters are taken out, bytes that are not UTF-8 are replaced, blanks of all kinds
/// become plain ones, and those at both ends are taken off. A CR, or a cursor that is sent elsewhere, begins the line anew: what comes last is what is seen,
/// unless it is blank.
#[must_use]
pub(crate) fn clean(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = trim_end(bytes);
    if !is_odd(bytes)
        && let Ok(text) = str::from_utf8(bytes)
    {
        return Cow::Borrowed(text.trim_start_matches(is_blank));
    }
    let visible = visible(&String::from_utf8_lossy(bytes));
    let line = visible.trim_end_matches(|char| is_blank(char) || char == '\r');
    let last = line.rsplit('\r').next().unwrap_or(line);
    Cow::Owned(last.trim_matches(is_blank).to_owned())
}

/// Returns the text without escape sequences and control characters; each new beginning of the line becomes a CR.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\x1b' => match chars.next() {
                Some('[') => visible.extend(after_control_sequence(&mut chars)),
                // Titles and other strings for the terminal itself end with BEL or `ESC \`.
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut chars),
                // `ESC ( B` and the like: intermediate characters, then a final one.
                Some(' '..='/') => {
                    chars.by_ref().find(|char| !(' '..='/').contains(char));
                }
                // `ESC 7`, `ESC =` and the like are complete.
                Some(_) | None => {}
            },
            '\u{9b}' => visible.extend(after_control_sequence(&mut chars)),
            // A byte order mark is no text either, nor is anything else that takes no room.
            '\u{feff}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {}
            '\t' | '\r' => visible.push(char),
            char if char.is_control() => {}
            char if char.is_whitespace() => visible.push(' '),
            char => visible.push(char),
        }
    }
    visible
}

/// Steps over the rest of a control sequence; one that moves the cursor to another line is a new beginning.
fn after_control_sequence(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let last = chars.find(|char| ('@'..='~').contains(char))?;
    matches!(last, 'E' | 'F' | 'H' | 'f').then_some('\r')
}

fn skip_string(chars: &mut std::str::Chars<'_>) {
    while let Some(char) = chars.next() {
        if char == '\x07' || char == '\u{9c}' || (char == '\x1b' && chars.next() == Some('\\')) {
            return;
        }
    }
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    &bytes[..bytes.len() - blanks]
}

/// Whether a line has anything but plain text in it, of which a terminal may show less than there is.
///
/// Nearly every line is plain; a fold looks at many bytes at once where `any` would stop at each.
fn is_odd(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |odd, &byte| odd | ((byte < b' ' && byte != b'\t') | (byte > b'~')))
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (Vec<u8>, Range<u64>);

    fn parts_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Part, Owned)> {
        let mut found = Vec::new();
        let mut each = |line: Line<'_>| found.push((line.part, (line.bytes.to_vec(), line.range)));
        let mut lines = Lines::new();
        for piece in pieces {
            lines.push(piece, &mut each);
        }
        lines.finish(each);
        found
    }

    fn lines_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let ends = parts_of(pieces).into_iter().filter(|(part, _)| *part == Part::End);
        ends.map(|(_, line)| line).collect()
    }

    fn line(bytes: &[u8]) -> Line<'_> {
        Line { bytes, range: 0..0, part: Part::End }
    }

    #[test]
    fn lines_end_with_a_line_end_or_with_the_text() {
        assert_eq!(
            lines_of([b"one\ntw".as_slice(), b"o\n\nthree"]),
            [(b"one".to_vec(), 0..4), (b"two".to_vec(), 4..8), (b"".to_vec(), 8..9), (b"three".to_vec(), 9..14),]
        );
        assert_eq!(lines_of([b"".as_slice()]), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_forgotten_and_the_next_one_is_not() {
        let mut console = vec![b'x'; 3 * MAX_LINE];
        console.extend_from_slice(b"Verdict(a) = VERDICT_PASS\nVerdict(b) = VERDICT_PASS\n");
        let found = lines_of(console.chunks(1000));
        assert_eq!(found[0].0, b"");
        assert_eq!(found[1].0, b"Verdict(b) = VERDICT_PASS");
    }

    #[test]
    fn of_a_counter_that_is_redrawn_for_hours_the_last_text_is_kept() {
        let mut console = b"Watchtime: 7 Timeout: 1800\r".repeat(100_000);
        console.extend_from_slice(b"Verdict(a) = VERDICT_PASS\r\n");
        let found = lines_of([console.as_slice()]);
        assert_eq!(found.len(), 1);
        assert_eq!(clean(&found[0].0), "Verdict(a) = VERDICT_PASS");
    }

    #[test]
    fn memory_does_not_grow_with_the_line() {
        let mut lines = Lines::new();
        for _ in 0..1000 {
            lines.push(&[b'x'; 10_000], |line| assert_eq!(line.part, Part::Beginning, "the line never ends"));
        }
        assert!(lines.rest.capacity() <= 2 * MAX_LINE);
    }

    #[test]
    fn a_line_reads_as_a_terminal_shows_it() {
        for (bytes, text) in [
            (b"plain  \t \r".as_slice(), "plain"),
            (b"\r\r", ""),
            (b"  indented", "indented"),
            (b"50%\r99%\rdone \r  ", "done"),
            (b"done\r \r", "done"),
            (b"done\r\x1b[0m\r", "done"),
            (b"\x1b[1;32mgreen\x1b[0m", "green"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]0;title\x1b\\text", "text"),
            (b"\x1b(Btext\x1b7", "text"),
            (b"\x1bPstring\x1b\\text", "text"),
            (b"\xc2\x9b1mtext", "text"),
            (b"old\x1b[2J\x1b[1;1Hnew", "new"),
            (b"\xef\xbb\xbftext", "text"),
            (b"t\0e\x08x\x7ft", "text"),
            (b"caf\xe9", "caf\u{fffd}"),
            ("größe".as_bytes(), "größe"),
            (b"a\tb", "a\tb"),
            ("\u{a0}a\u{2003}b\u{200b}c\u{3000}".as_bytes(), "a bc"),
            (b"text\x1b", "text"),
            (b"text\x1b[3", "text"),
            (b"text\x1b]0;never ends", "text"),
        ] {
            assert_eq!(clean(bytes), text, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_a_terminal_overwrites_is_known_piece_by_piece() {
        let none: [&str; 0] = [];
        for (bytes, overwritten) in [
            (b"plain \r".as_slice(), none.as_slice()),
            (b"\r\rtext\r \r", &[]),
            (b"50%\r99%\rdone \r  ", &["50%", "99%"]),
            (b"old\x1b[2J\x1b[1;1Hnew", &["old"]),
            (b"old\xc2\x9b1Hnew", &["old"]),
            (b"old\x1b[2K\rnew", &["old"]),
            (b"te\rtext\rtext\rtext", &[]),
            (b"text\rtext\rnew", &["text"]),
        ] {
            assert_eq!(line(bytes).overwritten(), overwritten, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn of_a_line_that_is_too_long_nothing_vanishes_unseen() {
        let mut console = b"Verdict(a) = VERDICT_FAIL\r".to_vec();
        console.extend(b"Watchtime: 7 Timeout: 1800\r".repeat(10_000));
        console.extend(vec![b'x'; 2 * MAX_LINE]);
        console.extend(b"\rVerdict(b) = VERDICT_PASS\n");
        let found = parts_of(console.chunks(1000));
        let overwritten = |(part, (bytes, range)): &(Part, Owned)| {
            Line { bytes, range: range.clone(), part: *part }.overwritten().first().cloned()
        };
        assert_eq!(overwritten(&found[0]).as_deref(), Some("Verdict(a) = VERDICT_FAIL"));
        assert_eq!(found.iter().filter(|(part, _)| *part == Part::Beginning).count(), 1);
        assert_eq!(
            found.last().map(|(part, (bytes, _))| (*part, clean(bytes))),
            Some((Part::End, "Verdict(b) = VERDICT_PASS".into()))
        );
    }

    #[test]
    fn a_line_with_an_odd_character_in_its_midst_is_read_as_it_is_seen() {
        for bytes in [
            b"sh: 1: x: not \xef\xbb\xbffound".as_slice(),
            b"Signaling Ta\x08ble",
            b"\xc2\x9bmx: not fo\x7fund",
            b"\0\0",
        ] {
            assert!(line(bytes).is_worth_reading(), "{}", clean(bytes));
        }
        assert!(!line(b"  \tmere text \r").is_worth_reading());
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_bytes_are_cut(
            parts in prop::collection::vec(
                prop_oneof![
                    Just(b"\n".to_vec()),
                    Just(b"\r".to_vec()),
                    Just(vec![b'x'; MAX_LINE - 1]),
                    Just(vec![b'y'; MAX_LINE + 1]),
                    prop::collection::vec(any::<u8>(), 0..20),
                ],
                0..12,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let console = parts.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(console.len() + 1)).collect();
            cuts.extend([0, console.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &console[ends[0]..ends[1]]);
            prop_assert_eq!(parts_of(pieces), parts_of([console.as_slice()]));
        }

        #[test]
        fn a_cleaned_line_has_no_control_characters(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!clean(&bytes).chars().any(|char| char.is_control() && char != '\t'));
        }
    }
}
