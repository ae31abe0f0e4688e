//! What bytes mean that are not read as they stand: escapes of URLs, JSON, shells, Python, HTML and mail; and what is not read at all.

/// What is read at a place.
#[derive(Debug)]
pub(super) enum Meaning<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Nothing: what stands there is a line end, an escape code, or is not shown.
    Nothing,
}

/// Whether another meaning than its own may begin with this byte.
pub(super) fn is_special(byte: u8) -> bool {
    SPECIAL[usize::from(byte)] != 0
}

/// Whether an escape for another character may begin with this byte.
pub(super) fn is_introducer(byte: u8) -> bool {
    SPECIAL[usize::from(byte)] == 2
}

/// Whether what begins with this byte and is not read is seen all the same: the end of a line, or quotation marks.
pub(super) fn is_break(byte: u8) -> bool {
    is_introducer(byte) || matches!(byte, b'\r' | b'\n')
}

/// How long what stands behind a letter is that only prints the letter once more, over itself: as bold was printed on paper.
pub(super) fn overstruck(text: &[u8], at: usize) -> usize {
    let Some(letter) = at.checked_sub(1).map(|last| text[last]) else { return 0 };
    text[at..].chunks_exact(2).take_while(|pair| **pair == [BACKSPACE, letter]).count() * 2
}

const BACKSPACE: u8 = 0x08;

static SPECIAL: [u8; 256] = {
    let mut special = [0; 256];
    let mut byte = 0;
    while byte < 32 {
        special[byte] = 1;
        byte += 1;
    }
    special[b'\t' as usize] = 0;
    special[0x7f] = 1;
    // The first bytes of the UTF-8 of what is not shown.
    special[0xc2] = 1;
    special[0xcd] = 1;
    special[0xd8] = 1;
    special[0xe1] = 1;
    special[0xe2] = 1;
    special[0xe3] = 1;
    special[0xef] = 1;
    special[0xf3] = 1;
    special[b'%' as usize] = 2;
    special[b'+' as usize] = 2;
    special[b'=' as usize] = 2;
    special[b'&' as usize] = 2;
    special[b'\\' as usize] = 2;
    special[b'\'' as usize] = 2;
    special[b'"' as usize] = 2;
    special
};

/// How many letters are read in a text, or more than `most`.
pub(super) fn letters(text: &[u8], most: usize) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < text.len() && count <= most {
        let mut unread = 0;
        if is_special(text[at]) && !is_introducer(text[at]) {
            meanings(text, at, &mut |meaning, length| {
                if matches!(meaning, Meaning::Nothing) {
                    unread = unread.max(length);
                }
            });
        }
        count += usize::from(unread == 0);
        at += unread.max(1);
    }
    count
}

/// No escape is longer than this, but for escape codes.
const LONGEST: usize = 64;
/// An escape may itself be escaped so many times.
const NESTED: usize = 8;

/// An escape that is broken, by a line end or an escape code, is looked for in so many bytes.
const BROKEN: usize = 48;

/// Hands on each meaning that what begins at this place may have besides its own, with its length. Returns whether the text ends
/// before it is known.
pub(super) fn meanings(text: &[u8], at: usize, each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    let rest = &text[at..];
    let mut is_open = unbroken_meanings(rest, each);
    if is_introducer(rest[0]) {
        let window = &rest[..rest.len().min(BROKEN)];
        if window[1..].iter().any(|byte| is_unread(*byte)) {
            let (bytes, ends) = read_bytes(window);
            let is_short = unbroken_meanings(&bytes, &mut |meaning, length| {
                // Where nothing stands in between, it has been handed on already.
                if let Meaning::Bytes(_) = meaning
                    && ends[length - 1] > length
                {
                    each(meaning, ends[length - 1]);
                }
            });
            is_open |= is_short && rest.len() <= BROKEN;
        }
    }
    is_open
}

/// Whether bytes that are not read may begin with this one.
fn is_unread(byte: u8) -> bool {
    is_special(byte) && !is_introducer(byte)
}

/// The bytes of a text that are read, and where each of them ends in it.
fn read_bytes(text: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < text.len() {
        let mut unread = 0;
        if is_unread(text[at]) {
            unbroken_meanings(&text[at..], &mut |meaning, length| {
                if matches!(meaning, Meaning::Nothing) {
                    unread = unread.max(length);
                }
            });
        }
        if unread == 0 {
            bytes.push(text[at]);
            ends.push(at + 1);
        }
        at += unread.max(1);
    }
    (bytes, ends)
}

/// The same for what stands in one piece.
fn unbroken_meanings(rest: &[u8], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    match rest[0] {
        b'%' => percent(rest, each),
        b'+' => {
            each(Meaning::Bytes(b" "), 1);
            false
        }
        b'=' => quoted_printable(rest, each),
        b'&' => entity(rest, each),
        b'\\' => backslash(rest, each),
        b'\'' => {
            let forms: [(&[u8], &[u8]); 3] = [(b"'\\''", b"'"), (b"'\"'\"'", b"'"), (b"''", b"'")];
            quotes(rest, &forms, each)
        }
        b'"' => quotes(rest, &[(b"\"\"", b"\""), (b"\"'\"'\"", b"\"")], each),
        b'\n' | b'\r' => {
            let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let indent = rest[ends..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            // A blank may be the secret's own.
            let own = indent.saturating_sub(LONGEST);
            (own..=indent).for_each(|indent| each(Meaning::Nothing, ends + indent));
            if own > 0 {
                each(Meaning::Nothing, ends);
            }
            ends + indent == rest.len()
        }
        0x1b => escape_code(rest, 1, each),
        BACKSPACE => {
            each(Meaning::Nothing, 1);
            // The letter before it, once more.
            let length = rest.get(1).map_or(0, |&byte| char_length(byte));
            if length > 0 && rest.len() > length {
                each(Meaning::Nothing, 1 + length);
            }
            rest.len() <= length.max(1)
        }
        0..0x20 | 0x7f => {
            each(Meaning::Nothing, 1);
            false
        }
        0xc2 if rest.get(1) == Some(&0x9b) => {
            each(Meaning::Nothing, 2);
            control_sequence(rest, 2, each)
        }
        0xc2 if rest.get(1) == Some(&0xa0) => {
            each(Meaning::Bytes(b" "), 2);
            false
        }
        _ => unseen(rest, each),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

/// The byte of two hexadecimal digits at a place; none where there are not two.
fn hex_byte(rest: &[u8], at: usize) -> Option<u8> {
    u8::try_from(hex(rest.get(at..at + 2)?)?).ok()
}

fn character(code: u32, length: usize, each: &mut dyn FnMut(Meaning<'_>, usize)) {
    if let Some(char) = char::from_u32(code) {
        each(Meaning::Bytes(char.encode_utf8(&mut [0; 4]).as_bytes()), length);
    }
}

/// `%2F`, `%2f`, `%252F`, `%u002F`.
fn percent(rest: &[u8], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    let mut at = 1;
    for _ in 0..NESTED {
        if rest.len() < at + 2 {
            return true;
        }
        if let Some(byte) = hex_byte(rest, at) {
            each(Meaning::Bytes(&[byte]), at + 2);
        }
        if rest[at] == b'u' {
            match rest.get(at + 1..at + 5) {
                Some(digits) => hex(digits).into_iter().for_each(|code| character(code, at + 5, each)),
                None => return true,
            }
        }
        if !rest[at..].starts_with(b"25") {
            return false;
        }
        at += 2;
    }
    false
}

/// `=2F`, and a `=` at the end of a line that goes on.
fn quoted_printable(rest: &[u8], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    if let Some(byte) = hex_byte(rest, 1) {
        each(Meaning::Bytes(&[byte]), 3);
    }
    for end in [&b"=\n"[..], b"=\r\n"] {
        if rest.starts_with(end) {
            each(Meaning::Nothing, end.len());
        }
    }
    rest.len() < 3
}

/// The entities of HTML for characters of ASCII.
const ENTITIES: &[(&[u8], u8)] = &[
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"amp", b'&'),
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"nbsp", b' '),
    (b"excl", b'!'),
    (b"num", b'#'),
    (b"dollar", b'$'),
    (b"percnt", b'%'),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"ast", b'*'),
    (b"plus", b'+'),
    (b"comma", b','),
    (b"period", b'.'),
    (b"sol", b'/'),
    (b"colon", b':'),
    (b"semi", b';'),
    (b"equals", b'='),
    (b"quest", b'?'),
    (b"commat", b'@'),
    (b"lsqb", b'['),
    (b"lbrack", b'['),
    (b"bsol", b'\\'),
    (b"rsqb", b']'),
    (b"rbrack", b']'),
    (b"Hat", b'^'),
    (b"lowbar", b'_'),
    (b"grave", b'`'),
    (b"lcub", b'{'),
    (b"lbrace", b'{'),
    (b"verbar", b'|'),
    (b"vert", b'|'),
    (b"rcub", b'}'),
    (b"rbrace", b'}'),
];

/// `&quot;`, `&#34;`, `&#x22;`, and the same again escaped: `&amp;quot;`. The number of a character needs no `;`.
fn entity(rest: &[u8], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    let mut at = 1;
    for _ in 0..NESTED {
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'#';
        let length = rest[at..].iter().take(LONGEST).take_while(is_name).count();
        let is_open = at + length == rest.len() && length < LONGEST;
        let name = &rest[at..at + length];
        if let Some(number) = name.strip_prefix(b"#") {
            numbered(number, &rest[at + 1..], at + 1, each);
            return is_open;
        }
        if rest.get(at + length) != Some(&b';') {
            return is_open;
        }
        let end = at + length + 1;
        for (_, byte) in ENTITIES.iter().filter(|(known, _)| *known == name) {
            each(Meaning::Bytes(&[*byte]), end);
        }
        if name != b"amp" {
            return false;
        }
        at = end;
    }
    false
}

/// The character of a number, `112` or `x70`, that begins `rest` and stands at this place.
fn numbered(number: &[u8], rest: &[u8], at: usize, each: &mut dyn FnMut(Meaning<'_>, usize)) {
    let (radix, lead) = if matches!(number.first(), Some(b'x' | b'X')) { (16, 1) } else { (10, 0) };
    let digits = number[lead..].iter().take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let end = lead + digits;
    let value = std::str::from_utf8(&number[lead..end]).ok().and_then(|digits| u32::from_str_radix(digits, radix).ok());
    let close = usize::from(rest.get(end) == Some(&b';'));
    value.into_iter().for_each(|code| character(code, at + end + close, each));
}

/// What stands behind backslashes, of which there may be any number: each escaping doubles them.
fn backslash(rest: &[u8], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    let run = rest.iter().take(LONGEST).take_while(|byte| **byte == b'\\').count();
    for length in [2, 4, 8, 16].into_iter().filter(|length| *length <= run) {
        each(Meaning::Bytes(b"\\"), length);
    }
    let Some(&char) = rest.get(run) else { return true };
    let digits = |from: usize, count: usize| rest.get(run + from..run + from + count).and_then(hex);
    let mut code = |from: usize, count: usize| {
        if let Some(code) = digits(from, count) {
            match (count, code) {
                (2, byte) => each(Meaning::Bytes(&[u8::try_from(byte).unwrap_or_default()]), run + 3),
                (4, high @ 0xd800..0xdc00) => {
                    // The other half stands behind as many backslashes.
                    let next = run + 5;
                    let is_escape = rest[next..].iter().take_while(|byte| **byte == b'\\').count() == run
                        && rest.get(next + run) == Some(&b'u');
                    let low = rest.get(next + run + 1..next + run + 5).and_then(hex).filter(|_| is_escape);
                    if let Some(low @ 0xdc00..0xe000) = low {
                        character(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), next + run + 5, each);
                    }
                }
                (count, code) => character(code, run + 1 + count, each),
            }
        }
    };
    let needed = match char {
        b'x' => {
            code(1, 2);
            3
        }
        b'u' if rest.get(run + 1) == Some(&b'{') => {
            let length = rest[run + 2..].iter().take(8).position(|byte| *byte == b'}');
            if let Some((length, value)) = length.and_then(|length| Some((length, digits(2, length)?))) {
                character(value, run + 3 + length, each);
            }
            LONGEST.min(11)
        }
        b'u' => {
            code(1, 4);
            5 + run + 5
        }
        b'U' => {
            code(1, 8);
            9
        }
        b'0'..=b'7' => {
            let mut value = 0_u32;
            for length in 0..3 {
                let Some(digit @ b'0'..=b'7') = rest.get(run + length) else { break };
                value = value * 8 + u32::from(digit - b'0');
                if let Ok(byte) = u8::try_from(value) {
                    each(Meaning::Bytes(&[byte]), run + length + 1);
                }
            }
            3
        }
        _ => 1,
    };
    match char {
        b'\r' | b'\n' => {
            let ends = rest[run..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            each(Meaning::Nothing, run + ends);
        }
        b'n' | b'r' => {
            each(Meaning::Nothing, run + 1);
            each(Meaning::Bytes(if char == b'n' { b"\n" } else { b"\r" }), run + 1);
        }
        b't' => each(Meaning::Bytes(b"\t"), run + 1),
        _ => {}
    }
    each(Meaning::Bytes(&[char]), run + 1);
    rest.len() < run + needed
}

fn quotes(rest: &[u8], forms: &[(&[u8], &[u8])], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    let mut is_open = false;
    for (form, meant) in forms {
        if rest.starts_with(form) {
            each(Meaning::Bytes(meant), form.len());
        }
        is_open |= rest.len() < form.len() && form.starts_with(rest);
    }
    // A shell puts together what is quoted apart.
    if rest.len() >= 2 && rest[0] == rest[1] {
        each(Meaning::Nothing, 2);
    }
    is_open
}

/// An escape code of a terminal, whose first bytes these are.
fn escape_code(rest: &[u8], at: usize, each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    match rest.get(at) {
        None => true,
        Some(b'[') => control_sequence(rest, at + 1, each),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            // To its end, or to that of the line, where some stop.
            let is_end = |byte: &u8| matches!(byte, 0x07 | 0x1b | b'\n');
            match rest.iter().skip(at + 1).position(is_end).map(|length| at + 1 + length) {
                Some(end) => {
                    each(Meaning::Nothing, end);
                    match rest[end] {
                        0x07 => each(Meaning::Nothing, end + 1),
                        0x1b if rest.get(end + 1) == Some(&b'\\') => each(Meaning::Nothing, end + 2),
                        _ => {}
                    }
                    rest[end] == 0x1b && rest.len() == end + 1
                }
                None => true,
            }
        }
        Some(_) => {
            let length = rest[at..].iter().take_while(|byte| matches!(byte, 0x20..=0x2f)).count();
            each(Meaning::Nothing, at);
            match rest.get(at + length) {
                Some(0x30..=0x7e) => {
                    each(Meaning::Nothing, at + length + 1);
                    false
                }
                Some(_) => false,
                None => true,
            }
        }
    }
}

/// Parameters, and the letter that ends them.
fn control_sequence(rest: &[u8], at: usize, each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    match rest.iter().skip(at).position(|byte| !matches!(byte, 0x20..=0x3f)) {
        Some(length) if matches!(rest[at + length], 0x40..=0x7e) => {
            each(Meaning::Nothing, at + length + 1);
            false
        }
        Some(length) => {
            each(Meaning::Nothing, at + length);
            false
        }
        None => true,
    }
}

/// Characters that are not shown: soft hyphens, marks of direction, fillers, tags, C1 controls.
fn unseen(rest: &[u8], each: &mut dyn FnMut(Meaning<'_>, usize)) -> bool {
    let length = char_length(rest[0]);
    let Some(bytes) = rest.get(..length) else { return true };
    let char = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
    if char.is_some_and(is_unseen) {
        each(Meaning::Nothing, length);
    }
    false
}

/// How many bytes a character has in UTF-8 that begins with this one.
fn char_length(first: u8) -> usize {
    match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

fn is_unseen(char: char) -> bool {
    matches!(
        char,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}
