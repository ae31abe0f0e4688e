//! The beginning and the end of a stream of any length, in a file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// A file that keeps so much of the beginning and so much of the end of what is written to it. Behind the beginning the
/// end is written round and round; [`HeadTailFile::finish`] puts it in order.
#[derive(Debug)]
pub(crate) struct HeadTailFile {
    file: File,
    head_limit: u64,
    tail_limit: u64,
    /// Bytes that have been written to it, whether they are still there or not.
    written: u64,
}

impl HeadTailFile {
    /// Takes an empty file that can be read too.
    pub(crate) fn new(file: File, head_limit: u64, tail_limit: u64) -> HeadTailFile {
        HeadTailFile { file, head_limit, tail_limit, written: 0 }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = self.head_limit.saturating_sub(self.written).min(bytes.len() as u64);
        let (head, rest) = bytes.split_at(usize::try_from(head).unwrap_or(bytes.len()));
        self.file.write_all_at(head, self.written)?;
        self.written += head.len() as u64;
        // Of a piece that is longer than what is kept only the end comes to stand.
        let passed = (rest.len() as u64).saturating_sub(self.tail_limit);
        let mut rest = &rest[usize::try_from(passed).unwrap_or(rest.len())..];
        self.written += passed;
        while !rest.is_empty() {
            let at = (self.written - self.head_limit) % self.tail_limit;
            let (part, after) =
                rest.split_at(usize::try_from(self.tail_limit - at).unwrap_or(usize::MAX).min(rest.len()));
            self.file.write_all_at(part, self.head_limit + at)?;
            self.written += part.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// Whether something is missing between the beginning and the end.
    pub(crate) fn is_shortened(&self) -> bool {
        self.missing() > 0
    }

    /// Bytes that have been written to it and are not kept.
    pub(crate) fn missing(&self) -> u64 {
        self.written.saturating_sub(self.head_limit.saturating_add(self.tail_limit))
    }

    /// What of a part of the stream is still there, as one or two parts: of the beginning, and of the end.
    pub(crate) fn kept(&self, part: &Range<u64>) -> [Range<u64>; 2] {
        let end = self.written.saturating_sub(self.tail_limit).max(self.head_limit);
        let within =
            |range: Range<u64>| part.start.clamp(range.start, range.end)..part.end.clamp(range.start, range.end);
        [within(0..self.head_limit.min(self.written)), within(end.min(self.written)..self.written)]
    }

    /// Reads what is still there of the stream from a place on, into all of the buffer or a part of it.
    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if at < self.head_limit {
            let most = usize::try_from(self.head_limit - at).unwrap_or(usize::MAX).min(buffer.len());
            return self.file.read_at(&mut buffer[..most], at);
        }
        let round = (at - self.head_limit) % self.tail_limit;
        let most = usize::try_from(self.tail_limit - round).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_at(&mut buffer[..most], self.head_limit + round)
    }

    /// Puts the end in order behind the beginning, with a line between them that says how much is missing, and has the
    /// disk keep it.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.is_shortened() {
            let start = self.written - self.tail_limit;
            let mut end = format!("\n[{} bytes are left out here]\n", self.missing()).into_bytes();
            let notice = end.len();
            end.resize(notice + usize::try_from(self.tail_limit).unwrap_or(usize::MAX), 0);
            let mut filled = notice;
            while filled < end.len() {
                match self.read_at(&mut end[filled..], start + (filled - notice) as u64)? {
                    0 => break,
                    count => filled += count,
                }
            }
            self.file.write_all_at(&end[..filled], self.head_limit)?;
        }
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom};

    use super::*;

    fn written(text: &[u8], piece: usize) -> (HeadTailFile, File) {
        let file = tempfile::tempfile().expect("a file");
        let mut kept = HeadTailFile::new(file.try_clone().expect("it is open"), 10, 7);
        text.chunks(piece).for_each(|piece| kept.write_all(piece).expect("room"));
        (kept, file)
    }

    fn whole(mut file: File) -> String {
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).expect("text");
        text
    }

    #[test]
    fn a_file_keeps_the_beginning_and_the_end_however_they_come() {
        let text: String = (0..100).map(|number| char::from(b'a' + number % 26)).collect();
        for length in 0..=text.len() {
            for piece in [1, 3, 7, 10, 50, 100] {
                let text = &text[..length];
                let (mut kept, file) = written(text.as_bytes(), piece);
                kept.finish().expect("room");
                let expected = if length <= 17 {
                    text.to_owned()
                } else {
                    format!("{}\n[{} bytes are left out here]\n{}", &text[..10], length - 17, &text[length - 7..])
                };
                assert_eq!(whole(file), expected, "{length} bytes in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_kept_of_a_part_can_be_read_where_the_part_was() {
        let text: Vec<u8> = (0..100).map(|number| b'a' + number % 26).collect();
        let (kept, _) = written(&text, 9);
        assert_eq!(kept.kept(&(0..100)), [0..10, 93..100]);
        assert_eq!(kept.kept(&(5..95)), [5..10, 93..95]);
        assert!(kept.kept(&(20..30)).iter().all(Range::is_empty));
        for range in kept.kept(&(0..100)) {
            for at in range {
                let mut byte = [0];
                assert_eq!(kept.read_at(&mut byte, at).expect("it is there"), 1);
                assert_eq!(byte[0], text[usize::try_from(at).expect("small")]);
            }
        }
        let (short, _) = written(&text[..12], 5);
        assert_eq!(short.kept(&(3..12)), [3..10, 10..12]);
    }
}
