//! Text for people: times in few characters, and what others printed made harmless.

use std::time::Duration;

use textwrap::{WordSplitter, WrapAlgorithm};
use time::OffsetDateTime;
use time::macros::format_description;

/// `1.2 s`, `2 m 05 s`, `1 h 42 m`.
pub(crate) fn took(duration: Duration) -> String {
    // What would be rounded up to a minute is a minute.
    let tenths = (duration.as_millis() + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (duration.as_millis() + 500) / 1000;
    if seconds < 3600 {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    } else {
        let minutes = (seconds + 30) / 60;
        format!("{} h {:02} m", minutes / 60, minutes % 60)
    }
}

/// How old a release is: `20 m`, `5 h`, `3 d`.
pub(crate) fn age(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match minutes {
        0..60 => format!("{minutes} m"),
        60..2880 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1440),
    }
}

/// `HH:MM:SS`, UTC.
pub(crate) fn clock(time: OffsetDateTime) -> String {
    let format = format_description!("[hour]:[minute]:[second]");
    time.to_offset(time::UtcOffset::UTC).format(&format).expect("the format has only fields of a time")
}

/// `2026-11-22 23:19 UTC`.
pub(crate) fn date(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    time.to_offset(time::UtcOffset::UTC).format(&format).expect("the format has only fields of a date")
}

/// `812 B`, `41.3 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = bytes / (unit / 10);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// `1 case`, `2 cases`.
pub(crate) fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The text with every character shown that would do something instead: escapes, NUL, reversed writing. Line ends stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | ' ' => shown.push(char),
            '\t' => shown.push_str("    "),
            // The control pictures of Unicode lie in the order of the characters that they picture.
            '\0'..' ' => shown.extend(char::from_u32(0x2400 + u32::from(char))),
            '\u{7f}' => shown.push('\u{2421}'),
            unseen if is_unseen(unseen) => shown.push('\u{fffd}'),
            other => shown.push(other),
        }
    }
    shown
}

/// C1 holds a one-character escape; the others turn the direction of writing, end a line or show nothing.
fn is_unseen(char: char) -> bool {
    matches!(
        char,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The text in ASCII, for a terminal that shows nothing else.
pub(crate) fn ascii(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '…' => shown.push_str("..."),
            ascii if ascii.is_ascii() => shown.push(ascii),
            _ => shown.push('?'),
        }
    }
    shown
}

/// JSON that means the same, with every character written as a number that would do something instead of being shown.
pub(crate) fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        if char == '\u{7f}' || is_unseen(char) {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        } else {
            shown.push(char);
        }
    }
    shown
}

/// The text on one line, harmless, and not longer than `most` characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    cut(&visible(&lines.collect::<Vec<_>>().join(" ")), most)
}

/// The longest line that is shown.
pub(crate) const LONGEST_LINE: usize = 300;

/// The first lines of a text, harmless, each not too long, and how many more there are.
pub(crate) fn first_lines(text: &str, most: usize) -> Vec<String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut shown: Vec<String> =
        lines.by_ref().take(most).map(|line| cut(&visible(line.trim_end()), LONGEST_LINE)).collect();
    let more = lines.count();
    if more > 0 {
        shown.push(format!("… and {}", count(more, "more line")));
    }
    shown
}

fn cut(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    line.chars().take(most - 1).chain(['…']).collect()
}

/// A line in so many columns: broken between words, and what follows is indented. A word is broken only if no line has room for it.
pub(crate) fn wrapped(line: &str, width: Option<usize>, indent: usize) -> String {
    let Some(width) = width.filter(|width| console::measure_text_width(line) > *width) else {
        return line.to_owned();
    };
    let indent = " ".repeat(indent.min(width / 2));
    let options = textwrap::Options::new(width)
        .subsequent_indent(&indent)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(line, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_few_characters() {
        let told = |millis| took(Duration::from_millis(millis));
        assert_eq!(told(0), "0.0 s");
        assert_eq!(told(1_240), "1.2 s");
        assert_eq!(told(59_949), "59.9 s");
        assert_eq!(told(59_950), "1 m 00 s");
        assert_eq!(told(125_400), "2 m 05 s");
        assert_eq!(told(3_599_400), "59 m 59 s");
        assert_eq!(told(3_599_600), "1 h 00 m");
        assert_eq!(told(6_150_000), "1 h 43 m");
        assert_eq!(
            [40, 5 * 60, 3 * 1440].map(|minutes| age(Duration::from_secs(minutes * 60))),
            ["40 m", "5 h", "3 d"]
        );
        assert_eq!([812, 41_300, 1_234_567].map(bytes), ["812 B", "41.3 kB", "1.2 MB"]);
    }

    #[test]
    fn nothing_in_a_text_does_anything_but_end_a_line() {
        let all: String =
            (0..=0x3200).chain(0xfe00..0x1_0000).chain(0xe_0000..0xe_1000).filter_map(char::from_u32).collect();
        assert!(visible(&all).chars().all(|char| char == '\n' || !char.is_control()));
        assert_eq!(visible("\u{1b}[2J\0\t.\u{202e}"), "␛[2J␀    .\u{fffd}");
        for unseen in
            "\u{61c}\u{ad}\u{180e}\u{115f}\u{3164}\u{fff9}\u{fffb}\u{e0001}\u{e007f}\u{202a}\u{2066}\u{200e}".chars()
        {
            assert_eq!(visible(&unseen.to_string()), "\u{fffd}", "{unseen:?}");
        }
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<String>(&visible_json(&json)).unwrap(), all);
        assert_eq!(visible(&visible_json(&json)), visible_json(&json));
        assert_eq!(one_line("  a\r\n  b\n\nc  ", 20), "a b c");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(first_lines("a\n\nb\nc\nd", 2), ["a", "b", "… and 2 more lines"]);
    }

    #[test]
    fn a_line_is_broken_between_words_where_the_terminal_ends() {
        let line = "23:05:17  note  resolve    latest is 1.9.1-1668500000-5d2e8f90, image tag 5d2e8f90";
        assert_eq!(wrapped(line, None, 8), line);
        assert_eq!(wrapped(line, Some(200), 8), line);
        assert_eq!(
            wrapped(line, Some(60), 8),
            "23:05:17  note  resolve    latest is\n        1.9.1-1668500000-5d2e8f90, image tag 5d2e8f90"
        );
        // Colours take no room.
        assert_eq!(wrapped("\u{1b}[1mab\u{1b}[0m cd", Some(5), 2), "\u{1b}[1mab\u{1b}[0m cd");
        assert_eq!(wrapped("0123456789", Some(4), 8), "0123\n  45\n  67\n  89");
    }
}
