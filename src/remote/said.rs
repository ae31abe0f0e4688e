//! What a program on a host prints, cut into lines as it comes, without secrets. Does not know what a line means.

use tokio_util::bytes::BytesMut;
use tokio_util::codec::{AnyDelimiterCodec, Decoder as _};

use crate::secret::{RedactedStream, Redactor};

/// A longer line is left out: a person reads these.
const LONGEST: usize = 64 * 1024;

/// What stands in its place.
const TOO_LONG: &str = "[a line of more than 64 KB is left out here]";

/// Output that is coming in. A return to the first column ends a line too: `docker pull` draws its progress so.
pub(crate) struct Said {
    /// Goes first: a secret may be broken over lines.
    clean: RedactedStream,
    codec: AnyDelimiterCodec,
    held: BytesMut,
}

impl Said {
    pub(crate) fn new(redactor: &Redactor) -> Said {
        let codec = AnyDelimiterCodec::new_with_max_length(b"\r\n".to_vec(), Vec::new(), LONGEST);
        Said { clean: redactor.stream(), codec, held: BytesMut::new() }
    }

    /// Takes the next bytes, cut anywhere, and hands on every line that they complete and that says something.
    pub(crate) fn push(&mut self, bytes: &[u8], each: impl FnMut(&str)) {
        let clean = self.clean.push(bytes);
        self.held.extend_from_slice(&clean);
        self.hand_on(AnyDelimiterCodec::decode, each);
    }

    /// Hands on the last line, if the output does not end with a line end.
    pub(crate) fn finish(mut self, each: impl FnMut(&str)) {
        let clean = self.clean.finish();
        self.held.extend_from_slice(&clean);
        self.hand_on(AnyDelimiterCodec::decode_eof, each);
    }

    fn hand_on<E>(
        &mut self,
        next: impl Fn(&mut AnyDelimiterCodec, &mut BytesMut) -> Result<Option<tokio_util::bytes::Bytes>, E>,
        mut each: impl FnMut(&str),
    ) {
        loop {
            match next(&mut self.codec, &mut self.held) {
                Ok(Some(line)) if !line.trim_ascii().is_empty() => each(String::from_utf8_lossy(&line).trim_end()),
                Ok(Some(_)) => {}
                // An error is a line that is too long: what follows it is read.
                Err(_) => each(TOO_LONG),
                Ok(None) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("topsecret"));
        let (mut said, mut lines) = (Said::new(&redactor), Vec::new());
        pieces.iter().for_each(|piece| said.push(piece, |line| lines.push(line.to_owned())));
        said.finish(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_are_the_same_wherever_the_output_is_cut() {
        let text = b"Get:1 magma\r\n\n  \n10 %\r20 %\rdone\xff  \nthe rest";
        let whole = lines(&[text]);
        assert_eq!(whole, ["Get:1 magma", "10 %", "20 %", "done\u{fffd}", "the rest"]);
        for cut in 1..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), whole);
        }
    }

    #[test]
    fn a_secret_broken_over_lines_is_not_told() {
        assert_eq!(lines(&[b"it is top\nsec", b"ret, they say\n"]).join("|"), "it is ***|, they say");
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_hides_nothing_after_it() {
        let (mut said, mut heard) = (Said::new(&Redactor::default()), Vec::new());
        for _ in 0..100 {
            said.push(&[b'x'; LONGEST], |line| heard.push(line.len()));
            assert!(said.held.len() <= LONGEST + 1, "{} bytes are held", said.held.len());
        }
        said.push(b"\nafter it\n", |line| heard.push(line.len()));
        assert_eq!(heard, [TOO_LONG.len(), "after it".len()]);
    }
}
