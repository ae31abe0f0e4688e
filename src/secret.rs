//! Secrets: where they come from, and how they are kept out of everything that leaves the program.
//!
//! Knows nothing of the lab. A [`Secret`] shows itself to nobody; a [`Redactor`] takes every known secret out of text that
//! others have printed, also when it is encoded or escaped, and also when it is cut in two by a read, a line end or an escape code.

mod escape;
mod form;
mod offset;
mod search;
mod text;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::hinted;
use crate::limit;

pub(crate) use text::RedactedText;

use form::forms;
use offset::Offsets;
use search::Search;

/// What stands where a secret stood.
pub(crate) const MASK: &str = "***";

/// Shorter values are not redacted: they would be found in half of all text.
const SHORTEST: usize = 6;

/// A larger file is no secret: a profile with its certificates has some 10 KB.
const MOST_BYTES: usize = 1024 * 1024;

/// The blocks of an OpenVPN profile whose content is secret.
const PRIVATE_BLOCKS: [&str; 8] =
    ["key", "tls-auth", "tls-crypt", "tls-crypt-v2", "secret", "pkcs12", "auth-user-pass", "http-proxy-user-pass"];

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself, for the one place that has to have it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl schemars::JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "Where a secret is, and never the secret itself: `{env: NAME}` or `{file: PATH}`",
            "properties": {
                "env": {"type": "string"}, "file": {"type": "string"}, "encoding": {"enum": ["plain", "base64"]},
            },
            "oneOf": [{"required": ["env"]}, {"required": ["file"]}],
            "additionalProperties": false,
        })
    }
}

/// Where the config says that a secret is: `{env: NAME}` or `{file: PATH}`, as it is or in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretRef {
    source: Source,
    encoding: Encoding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Env(String),
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Plain,
    Base64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    env: Option<String>,
    file: Option<PathBuf>,
    #[serde(default)]
    encoding: Encoding,
}

impl TryFrom<Written> for SecretRef {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let source = match (written.env, written.file) {
            (Some(name), None) if !name.is_empty() => Source::Env(name),
            (None, Some(path)) => Source::File(path),
            _ => return Err("a secret is either `{env: NAME}` or `{file: PATH}`"),
        };
        Ok(SecretRef { source, encoding: written.encoding })
    }
}

/// Read as a map by its own name, so that a wrong one is told where it stands.
impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reference;
        impl<'de> Visitor<'de> for Reference {
            type Value = SecretRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`{env: NAME}` or `{file: PATH}`")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretRef, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(map))?;
                written.try_into().map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_map(Reference)
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the variable `{0}` is not set")]
    NotSet(String),
    #[error("the variable `{0}` is empty")]
    Empty(String),
    #[error("cannot read `{path}`")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("`{0}` is not base64, although its `encoding` says so")]
    NotBase64(String),
    #[error("`{0}` is not text")]
    NotText(String),
}

impl SecretError {
    /// What to try next.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            SecretError::NotSet(_) | SecretError::Empty(_) => "set it here, and on CircleCI in the context of the job",
            SecretError::Unreadable { .. } => "write the secret there, or name another place in the config",
            SecretError::NotBase64(_) => {
                "write what `base64 -w0 FILE` prints, or take its `encoding` out of the config"
            }
            SecretError::NotText(_) => "is it packed as its `encoding` in the config says, and the right file?",
        }
    }

    /// The same on its way up, with what to try next.
    pub(crate) fn hinted(self) -> anyhow::Error {
        let hint = self.hint();
        hinted(self, hint)
    }
}

impl SecretRef {
    /// The variable that it is read from, if it is one.
    pub(crate) fn variable(&self) -> Option<&str> {
        match &self.source {
            Source::Env(name) => Some(name),
            Source::File(_) => None,
        }
    }

    /// Whether it can be read again: a pipe cannot.
    pub(crate) fn is_lasting(&self) -> bool {
        match &self.source {
            Source::Env(_) => true,
            Source::File(path) => path.is_file(),
        }
    }

    /// Where it comes from, for messages.
    pub(crate) fn name(&self) -> String {
        match &self.source {
            Source::Env(name) => format!("${name}"),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Takes a path that is relative as one below this folder.
    pub(crate) fn lie_in(&mut self, folder: &Path) {
        if let Source::File(path) = &mut self.source {
            *path = path_in(folder, path);
        }
    }

    /// Reads the secret from its variable or file. A final line end does not belong to it when it is one line.
    pub(crate) fn read(&self) -> Result<Secret, SecretError> {
        self.read_as(|bytes| String::from_utf8(bytes).ok())
    }

    /// Reads an OpenVPN profile. Its comments may be Latin-1, as those of older programs are.
    pub(crate) fn read_profile(&self) -> Result<Secret, SecretError> {
        self.read_as(|bytes| String::from_utf8(bytes).or_else(|error| with_latin1_comments(error.as_bytes())).ok())
    }

    fn read_as(&self, text_of: impl FnOnce(Vec<u8>) -> Option<String>) -> Result<Secret, SecretError> {
        let (name, raw) = match &self.source {
            Source::Env(name) => match std::env::var(name) {
                Ok(value) if value.trim().is_empty() => return Err(SecretError::Empty(name.clone())),
                Ok(value) => (name.clone(), value.into_bytes()),
                Err(std::env::VarError::NotPresent) => return Err(SecretError::NotSet(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotText(name.clone())),
            },
            Source::File(path) => match limit::read_file(path, MOST_BYTES) {
                Ok(bytes) => (path.display().to_string(), bytes),
                Err(source) => return Err(SecretError::Unreadable { path: path.clone(), source }),
            },
        };
        let bytes = match self.encoding {
            Encoding::Plain => raw,
            Encoding::Base64 => {
                let packed: Vec<u8> = raw.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
                STANDARD.decode(packed).map_err(|_| SecretError::NotBase64(name.clone()))?
            }
        };
        let mut text = text_of(bytes).ok_or(SecretError::NotText(name))?;
        // A file's own is gone by now, but it may have been packed, or copied into a variable.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        if text.trim_end_matches(['\r', '\n']).lines().count() == 1 {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        Ok(Secret(text))
    }
}

/// Where a path leads that stands in a file of this folder: `~/` is the user's home, whatever else is relative is below the folder.
pub(crate) fn path_in(folder: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => folder.join(path),
    }
}

/// Text whose comments, from a `#` or `;` where a word would begin, are Latin-1, and the rest UTF-8.
fn with_latin1_comments(bytes: &[u8]) -> Result<String, std::str::Utf8Error> {
    let mut text = String::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let begins_comment = |at: &usize| {
            matches!(line[*at], b'#' | b';')
                && at.checked_sub(1).is_none_or(|before| line[before].is_ascii_whitespace())
        };
        let (said, comment) = line.split_at((0..line.len()).find(begins_comment).unwrap_or(line.len()));
        text.push_str(std::str::from_utf8(said)?);
        // Each byte of Latin-1 is the character of its number.
        text.extend(comment.iter().map(|&byte| char::from(byte)));
    }
    Ok(text)
}

/// Takes known secrets out of text. Clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    known: Arc<RwLock<Known>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// The forms of all secrets, and what finds them.
#[derive(Default)]
struct Known {
    forms: BTreeSet<Vec<u8>>,
    search: Search,
}

impl Redactor {
    /// Learns a secret. Of key material (PEM) each line of the body counts by itself.
    pub(crate) fn learn(&self, secret: &Secret) {
        self.learn_lines(secret.expose().lines());
    }

    /// Learns the private parts of an OpenVPN profile: its inline keys, not its options.
    pub(crate) fn learn_profile(&self, profile: &Secret) {
        let mut inside: Option<String> = None;
        let mut private = Vec::new();
        for line in profile.expose().lines().map(str::trim) {
            match &inside {
                Some(end) if line.starts_with(end) => inside = None,
                Some(_) => private.push(line),
                None => {
                    // As OpenVPN reads it: a comment or a quotation mark may stand beside the tag, and `--` before an option.
                    let mut words = line.split([' ', '\t', '"', '\'']).filter(|word| !word.is_empty());
                    let first = words.next().unwrap_or_default();
                    inside =
                        PRIVATE_BLOCKS.iter().find(|tag| first == format!("<{tag}>")).map(|tag| format!("</{tag}>"));
                    if first.trim_start_matches("--") == "setenv" {
                        words.next();
                        words.next();
                    }
                    if line.contains("auth-token") {
                        private.extend(words);
                    }
                }
            }
        }
        self.learn_lines(private.into_iter());
    }

    fn learn_lines<'a>(&self, lines: impl Iterator<Item = &'a str>) {
        let secret = lines.map(str::trim).filter(|line| line.len() >= SHORTEST && !line.starts_with("-----"));
        let mut known = self.known.write().expect("no thread panics while it holds this lock");
        let count = known.forms.len();
        known.forms.extend(secret.flat_map(forms).filter(|form| form.len() >= SHORTEST));
        if known.forms.len() > count {
            known.search = Search::new(known.forms.iter().cloned().collect());
        }
    }

    /// The one of this process: all secrets that any part of the program has read, and what [`RedactedText`] goes by.
    pub(crate) fn process() -> Redactor {
        static PROCESS: LazyLock<Redactor> = LazyLock::new(Redactor::default);
        PROCESS.clone()
    }

    /// The text without secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        match self.known().redacted(text.as_bytes()) {
            Cow::Borrowed(_) => text.to_owned(),
            Cow::Owned(clean) => String::from_utf8_lossy(&clean).into_owned(),
        }
    }

    /// Whether a secret stands in the text.
    pub(crate) fn finds(&self, text: &str) -> bool {
        !self.known().found(text.as_bytes()).is_empty()
    }

    /// The secret that a cut at this place would go through, with so much looked at on both sides; nothing, at this place,
    /// where there is none.
    pub(crate) fn across(&self, bytes: &[u8], cut: usize, edge: usize) -> Range<usize> {
        let from = cut.saturating_sub(edge);
        let found = self.known().found(&bytes[from..bytes.len().min(cut + edge)]);
        let places = found.into_iter().map(|place| from + place.start..from + place.end);
        places.into_iter().find(|place| place.start < cut && cut < place.end).unwrap_or(cut..cut)
    }

    /// The same as text, of one that is not needed any more; most have no secret, and none of those is copied.
    fn owned(&self, text: String) -> String {
        match self.known().redacted(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => String::from_utf8_lossy(&clean).into_owned(),
        }
    }

    /// A filter for bytes that come in pieces.
    pub(crate) fn stream(&self) -> RedactedStream {
        RedactedStream { redactor: self.clone(), held: Vec::new(), seen: 0, gone: 0, offsets: Offsets::default() }
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().expect("no thread panics while it holds this lock")
    }
}

impl Known {
    /// The bytes without secrets; borrowed where there are none.
    fn redacted<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let found = self.found(bytes);
        if found.is_empty() { Cow::Borrowed(bytes) } else { Cow::Owned(masked(bytes, &found)) }
    }

    /// Where the secrets are.
    fn found(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        self.search.find(bytes, true).places
    }
}

/// The bytes with a mask in the place of each of these parts; the line ends in them stay.
fn masked(bytes: &[u8], parts: &[Range<usize>]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for part in parts {
        clean.extend_from_slice(&bytes[from..part.start]);
        clean.extend_from_slice(MASK.as_bytes());
        clean.extend(bytes[part.clone()].iter().filter(|byte| is_line_end(**byte)));
        from = part.end;
    }
    clean.extend_from_slice(&bytes[from..]);
    clean
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Bytes on their way to a reader, without secrets, however they were cut.
///
/// A line that has ended is passed on at once, although its last letters may be the beginning of a secret that is broken over
/// lines: a verdict must not wait for what is printed after it. With keys among the secrets, nearly any last letter is one. So of a
/// secret that is broken after its first [`LETTERS`] letters or before, and cut by a read after that, these are seen; the rest of it
/// is taken out.
#[derive(Debug)]
pub(crate) struct RedactedStream {
    redactor: Redactor,
    /// The end of what came so far, as far as it may be the beginning of a secret.
    held: Vec<u8>,
    /// So many of the bytes that are held have been passed on.
    seen: usize,
    /// So many bytes came before those that are held.
    gone: u64,
    offsets: Offsets,
}

/// How much may be seen of a secret that is broken over lines.
const LETTERS: usize = 2;

impl RedactedStream {
    /// Takes the next piece, and returns what is safe to pass on.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let found = self.redactor.known().search.find(&self.held, false);
        let (over, kept): (Vec<_>, Vec<_>) = found.places.into_iter().partition(|place| place.start < found.open);
        let mut clean = self.pass_on(found.open, &over);
        if let Some(end) = memchr::memrchr(b'\n', &self.held).map(|at| at + 1)
            && end > self.seen
            && escape::letters(&self.held[..end], LETTERS) <= LETTERS
            && kept.iter().all(|place| place.start >= found.open + end)
        {
            clean.extend_from_slice(&self.held[self.seen..end]);
            self.seen = end;
        }
        clean
    }

    /// The rest, at the end of the text.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let found = self.redactor.known().found(&self.held);
        self.pass_on(self.held.len(), &found)
    }

    /// Where in what is passed on the byte is that came at this place.
    pub(crate) fn passed_on(&self, place: u64) -> u64 {
        self.offsets.after(place)
    }

    /// Lets go what is held, up to here, and returns what of it has not been seen, without these parts.
    fn pass_on(&mut self, end: usize, parts: &[Range<usize>]) -> Vec<u8> {
        let from = self.seen.min(end);
        let parts: Vec<_> = parts.iter().map(|part| part.start.max(from) - from..part.end - from).collect();
        let clean = masked(&self.held[from..end], &parts);
        let start = self.gone + from as u64;
        for part in &parts {
            let line_ends = self.held[from..end][part.clone()].iter().filter(|byte| is_line_end(**byte)).count();
            let place = start + part.start as u64..start + part.end as u64;
            self.offsets.replaced(&place, (MASK.len() + line_ends) as u64);
        }
        self.held.drain(..end);
        self.gone += end as u64;
        self.seen -= from;
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RFC 3986 has it.
    fn url_encoded(text: &str) -> String {
        let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        text.bytes().map(|byte| if kept(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
    }

    /// What stands between the quotes of a text in JSON.
    fn json(text: &str) -> String {
        let quoted = serde_json::to_string(text).expect("a text");
        quoted[1..quoted.len() - 1].to_owned()
    }

    type Writer = fn(&str) -> Vec<u8>;

    /// The ways in which programs write a text; each could be read again by a program of its kind.
    const WRITERS: &[(&str, Writer)] = &[
        ("plain", |text| text.into()),
        ("percent", |text| url_encoded(text).into()),
        ("percent in small letters", |text| url_encoded(text).to_lowercase_escapes().into()),
        ("percent, all of it", |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>().into()),
        ("percent twice", |text| url_encoded(&url_encoded(text)).into()),
        ("form", |text| url_encoded(text).replace("%20", "+").into()),
        ("a path of an URL", |text| url_encoded(text).replace("%2F", "/").into()),
        ("encodeURIComponent", |text| {
            let kept = [("%21", "!"), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%2A", "*")];
            kept.iter().fold(url_encoded(text), |text, (code, char)| text.replace(code, char)).into()
        }),
        ("JSON", |text| json(text).into()),
        ("JSON in JSON", |text| json(&json(text)).into()),
        ("JSON with slashes escaped", |text| json(text).replace('/', "\\/").into()),
        ("JSON in ASCII, all of it", |text| {
            text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>().into()
        }),
        ("shell", |text| text.replace('\'', "'\\''").into()),
        ("shlex.quote", |text| text.replace('\'', "'\"'\"'").into()),
        ("printf %q", |text| {
            let escaped = |char: char| if char.is_alphanumeric() { char.to_string() } else { format!("\\{char}") };
            text.chars().map(escaped).collect::<String>().into()
        }),
        ("repr", |text| text.replace('\\', "\\\\").replace('\'', "\\'").into()),
        ("bytes of a C string", |text| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>().into()),
        ("HTML", |text| {
            let escapes = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#x27;")];
            escapes.iter().fold(text.to_owned(), |text, (char, entity)| text.replace(char, entity)).into()
        }),
        ("HTML, all of it", |text| {
            text.chars().map(|char| format!("&#{};", u32::from(char))).collect::<String>().into()
        }),
        ("HTML, all of it, without semicolons", |text| {
            text.chars().map(|char| format!("&#{}", u32::from(char))).collect::<String>().into()
        }),
        ("HTML, all of it, in long numbers", |text| {
            text.chars().map(|char| format!("&#x{:08x};", u32::from(char))).collect::<String>().into()
        }),
        ("a list of bytes, as Go writes it", |text| listed(text, " ", |byte| byte.to_string())),
        ("a list of bytes, as Python writes it", |text| listed(text, ", ", |byte| byte.to_string())),
        ("an array of C", |text| listed(text, ", ", |byte| format!("0x{byte:02x}"))),
        ("hex between blanks", |text| listed(text, " ", |byte| format!("{byte:02x}"))),
        ("HEX between commas", |text| listed(text, ",", |byte| format!("{byte:02X}"))),
        ("od -to1", |text| listed(text, " ", |byte| format!("{byte:03o}"))),
        ("an array of C in octal", |text| listed(text, ", ", |byte| format!("0{byte:03o}"))),
        ("bytes of a C string in octal", |text| {
            text.bytes().map(|byte| format!("\\{byte:o}")).collect::<String>().into()
        }),
        ("xxd", |text| {
            let groups = text.as_bytes().chunks(2).map(|pair| String::from_utf8(listed_bytes(pair)).expect("digits"));
            groups.collect::<Vec<_>>().join(" ").into()
        }),
        ("with blanks that do not break", |text| text.replace(' ', "\u{a0}").into()),
        ("hex", |text| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into()),
        ("HEX", |text| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>().into()),
        ("UTF-16LE", |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", |text| text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("base64", |text| STANDARD.encode(text).into()),
        ("base64 behind two bytes, in an URL", |text| url_encoded(&STANDARD.encode(format!("ab{text}"))).into()),
        ("broken and indented", |text| {
            text.chars().map(|char| format!("{char}\r\n   ")).collect::<String>().trim_end().into()
        }),
        ("coloured", |text| text.chars().map(|char| format!("{char}\u{1b}[31m\0")).collect::<String>().into()),
        ("with marks that nobody sees", |text| {
            text.chars().map(|char| format!("{char}\u{200b}\u{ad}")).collect::<String>().into()
        }),
    ];

    fn listed(text: &str, between: &str, number: fn(u8) -> String) -> Vec<u8> {
        text.bytes().map(number).collect::<Vec<_>>().join(between).into()
    }

    fn listed_bytes(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }

    /// What junit.xml and the like show of a text: not its escape codes.
    fn without_codes(text: &str) -> String {
        text.replace("\u{1b}[0m", "").replace(['\0', '\u{200b}'], "")
    }

    #[test]
    fn any_number_of_escape_codes_between_two_letters_hides_no_secret() {
        const SECRET: &str = "p@ss/w\"rd!x (7)&'z";
        let redactor = knowing(&[SECRET]);
        for (code, count) in [("\u{1b}[0m", 150), ("\u{1b}[0m", 3000), ("\0", 600), ("\u{200b}", 600)] {
            let text = format!("before {}{}{} after", &SECRET[..4], code.repeat(count), &SECRET[4..]);
            let clean = without_codes(&redactor.text(&text));
            assert_eq!(clean, "before *** after", "{count} of {code:?}");
            for cut in [9, 11, 300, 600, text.len() - 10].into_iter().filter(|_| count < 3000) {
                let clean = in_pieces(&redactor, [&text.as_bytes()[..cut], &text.as_bytes()[cut..]]);
                assert_eq!(without_codes(&clean), "before *** after", "{count} of {code:?}, cut at {cut}");
            }
        }
    }

    #[test]
    fn escape_codes_without_end_after_the_beginning_of_a_secret_are_not_held() {
        let mut stream = knowing(&["hunter2hunter2"]).stream();
        stream.push(b"hunter2");
        for _ in 0..1000 {
            stream.push(&b"\x1b[0m".repeat(20));
            assert!(stream.held.len() < 20_000, "{} bytes", stream.held.len());
        }
    }

    #[test]
    fn a_secret_printed_over_itself_is_taken_out() {
        let redactor = knowing(&["p@ss/wörd"]);
        let bold: String = "p@ss/wörd".chars().map(|char| format!("{char}\u{8}{char}")).collect();
        assert_eq!(redactor.text(&format!("before {bold} after")), "before *** after");
    }

    trait Escapes {
        fn to_lowercase_escapes(&self) -> String;
    }

    impl Escapes for str {
        fn to_lowercase_escapes(&self) -> String {
            let mut parts = self.split('%');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| text + "%" + &part[..2].to_lowercase() + &part[2..])
        }
    }

    #[test]
    fn a_secret_is_taken_out_however_a_program_writes_it_and_wherever_it_is_cut() {
        for secret in ["p@ss/w\"rd!x (7)&'z", "hunter2hunter2", "a\\b\\\\c%41+d", "Zoë=pässwörd€", "a''b''c", "%%25%25"]
        {
            let redactor = knowing(&[secret]);
            for (writer, write) in WRITERS {
                let written = write(secret);
                let text = [b"before ".as_slice(), &written, b" after"].concat();
                let clean = in_pieces(&redactor, [text.as_slice()]);
                assert!(clean.starts_with("before ") && clean.ends_with(" after"), "{secret} as {writer}: {clean:?}");
                // Beside the mask stand line ends, and what base64 decides together with the neighbours.
                assert!(clean.len() < 70 && clean.contains(MASK), "{secret} as {writer}: {clean:?}");
                for cut in 1..text.len() {
                    let cut = in_pieces(&redactor, [&text[..cut], &text[cut..]]);
                    if writer.starts_with("broken") {
                        // The first letters may have been seen when their lines ended.
                        let cut: String = cut.split_whitespace().collect();
                        let rest: String =
                            secret.split_whitespace().collect::<String>().chars().skip(LETTERS).collect();
                        assert!(!cut.contains(&rest), "{secret} as {writer}: {cut}");
                    } else {
                        assert_eq!(cut, clean, "{secret} as {writer}");
                    }
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_secret_is_taken_out_of_any_text_and_any_other_text_stays(
            secret in "[ -~]{6,20}", before in "[ -~\n]{0,20}", after in "[ -~\n]{0,20}", writer in 0..WRITERS.len(), at in 0..100_usize,
        ) {
            let secret = secret.trim();
            proptest::prop_assume!(secret.len() >= SHORTEST);
            let redactor = knowing(&[secret]);
            let (name, write) = WRITERS[writer];
            let written = write(secret);
            let text = [before.as_bytes(), b"|", &written, b"|", after.as_bytes()].concat();
            let clean = in_pieces(&redactor, [&text[..at.min(text.len())], &text[at.min(text.len())..]]);
            proptest::prop_assert!(clean.contains(MASK), "{} as {}: {}", secret, name, clean);
            let other = format!("{before}|{after}");
            if !redactor.finds(&other) {
                let whole = in_pieces(&redactor, [other.as_bytes()]);
                proptest::prop_assert_eq!(whole, other);
            }
        }
    }

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.learn(&Secret::new(*secret));
        }
        redactor
    }

    /// What is left of a text that comes in these pieces.
    fn in_pieces<'a>(redactor: &Redactor, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut stream = redactor.stream();
        let mut clean: Vec<u8> = pieces.into_iter().flat_map(|piece| stream.push(piece)).collect();
        clean.extend(stream.finish());
        String::from_utf8_lossy(&clean).into_owned()
    }

    #[test]
    fn a_secret_is_taken_out_however_a_program_writes_it_and_wherever_that_is_broken() {
        for secret in ["p@ss/w\"rd!x (7)&'z", "add3b0d77a/+&=% \"\\$"] {
            let redactor = knowing(&[secret]);
            for (writer, write) in WRITERS {
                let written = write(secret);
                // What is broken already, or made of what nobody sees, is not broken once more.
                if !written.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                    continue;
                }
                for (at, broken_by) in (1..written.len()).flat_map(|at| [(at, "\r\n"), (at, "\u{1b}[31m")]) {
                    let text = [&written[..at], broken_by.as_bytes(), &written[at..]].concat();
                    let clean = in_pieces(&redactor, [text.as_slice()]);
                    assert!(clean.contains(MASK), "{secret} as {writer}, broken at {at} by {broken_by:?}: {clean:?}");
                }
            }
        }
    }

    #[test]
    fn of_a_short_secret_in_base64_no_letter_stays() {
        for secret in ["hunter", "hunter2", "hunter22", "hunter222"] {
            let redactor = knowing(&[secret]);
            for lead in 0..3 {
                let text = STANDARD.encode(format!("{}{secret}zz", &"xy"[..lead]));
                // The first and the last letter are of its neighbours too, and tell less than one of its bytes.
                let own = (lead + secret.len()) * 8 / 6 - [0, 2, 3][lead];
                let clean = redactor.text(&text);
                assert!(clean.contains(MASK), "{secret} at {lead}: {clean}");
                assert_eq!(clean.len(), text.len() - own + MASK.len(), "{secret} at {lead}: {clean}");
                let whole = &text[[0, 2, 3][lead]..(lead + secret.len()) / 3 * 4];
                assert!(whole.len() < SHORTEST || redactor.text(whole) == MASK, "{secret} at {lead}: {whole}");
            }
        }
    }

    #[test]
    fn a_secret_is_taken_out_plain_url_encoded_and_in_base64_wherever_it_begins() {
        let secret = "s3cr3t/with space";
        let redactor = knowing(&[secret]);
        for lead in ["", "x", "xy", "xyz"] {
            let text = format!("{lead}{secret} {} {}", url_encoded(secret), STANDARD.encode(format!("{lead}{secret}")));
            let clean = redactor.text(&text);
            assert_eq!(clean.matches(MASK).count(), 3, "{clean}");
        }
    }

    #[test]
    fn a_secret_cut_by_reads_is_taken_out_and_nothing_else_is_lost() {
        let redactor = knowing(&["hunter2hunter2", "hunter22"]);
        let text = b"say hunter2hunter2 and hunter22 and hunter";
        for cut in 1..text.len() {
            assert_eq!(
                in_pieces(&redactor, [&text[..cut], &text[cut..]]),
                "say *** and *** and hunter",
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_secret_that_begins_like_another_is_taken_out_whole_wherever_the_reads_cut_it() {
        let redactor = knowing(&["magma-ci", "magma-ci-2024"]);
        let text = b"as magma-ci, with magma-ci-2024, or magma-ci-20";
        for cut in 1..text.len() {
            assert_eq!(
                in_pieces(&redactor, [&text[..cut], &text[cut..]]),
                "as ***, with ***, or ***-20",
                "cut at {cut}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_that_come_in_pieces_lose_what_they_lose_at_once(
            text in "(abcabc|abcabd|abca|bcab|ab|c|\n|x){0,30}", cuts in proptest::collection::vec(0..120_usize, 0..8),
        ) {
            const SECRETS: &[&str] = &["abcabcab", "abcabd", "bcabxab", "cabxxx"];
            let redactor = knowing(SECRETS);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]);
            let clean = in_pieces(&redactor, pieces);
            // A secret over which a line is broken again and again is let go at some time.
            if !text.contains("\n\n") {
                proptest::prop_assert!(!SECRETS.iter().any(|secret| clean.replace('\n', "").contains(secret)), "{clean}");
                if !redactor.known().found(text.as_bytes()).into_iter().any(|secret| is_seen(&text[secret.clone()], secret.start, &cuts)) {
                    proptest::prop_assert_eq!(clean, redactor.text(&text));
                }
            }
        }
    }

    /// Whether the first letters of a secret that stands here are seen: a line ends after them, and a read after that.
    fn is_seen(secret: &str, start: usize, cuts: &[usize]) -> bool {
        let letters = secret.find('\n').filter(|&letters| letters <= LETTERS);
        letters.is_some_and(|letters| cuts.iter().any(|cut| (start + letters + 1..start + secret.len()).contains(cut)))
    }

    #[test]
    fn a_line_that_has_ended_does_not_wait_for_what_follows_it() {
        let redactor = knowing(&["ease, nobody"]);
        let mut stream = redactor.stream();
        assert_eq!(stream.push(b"one more line\n"), b"one more line\n");
        assert_eq!(stream.push(b"ea\n"), b"ea\n");
        // It was the beginning of it after all.
        assert_eq!(stream.push(b"se, no"), b"");
        assert_eq!(stream.push(b"body\n"), b"***\n");
        assert_eq!(stream.push(b"please\n"), b"pl", "so much of it is no chance");
        assert_eq!(stream.push(b"x"), b"ease\nx");
        assert_eq!(stream.push(b"e\n"), b"e\n");
        assert_eq!(stream.finish(), b"");
    }

    #[test]
    fn a_secret_that_is_broken_over_lines_is_taken_out_and_the_line_ends_stay() {
        let redactor = knowing(&["hunter2hunter2"]);
        assert_eq!(redactor.text("say hunter\r\n2hunt\ner2\nand hunter\n2"), "say ***\r\n\n\nand hunter\n2");
        let text = b"say hunter\r\n2hunt\ner2 and hunter\n\n2";
        for cut in 1..text.len() {
            assert_eq!(
                in_pieces(&redactor, [&text[..cut], &text[cut..]]),
                "say ***\r\n\n and hunter\n\n2",
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn line_ends_without_end_after_the_beginning_of_a_secret_are_not_held() {
        let mut stream = knowing(&["hunter2hunter2"]).stream();
        stream.push(b"hunter2");
        for _ in 0..100 {
            stream.push(&[b'\n'; 100]);
        }
        assert!(stream.held.len() < 1000, "{} bytes", stream.held.len());
    }

    #[test]
    fn a_short_value_is_not_redacted() {
        assert_eq!(knowing(&["ng40"]).text("ng40test"), "ng40test");
    }

    #[test]
    fn the_secrets_of_a_profile_are_learned_however_openvpn_lets_them_be_written() {
        let redactor = Redactor::default();
        redactor.learn_profile(&Secret::new(
            "auth-token SESS_ID_1\nsetenv opt auth-token SESS_ID_2\n<key> # ours\nkeykeykey\n</key>\n \"<tls-auth>\"\n\
             authauth\n</tls-auth> x\n<http-proxy-user-pass>\nproxyuser\nproxypass\n</http-proxy-user-pass>\n<ca>\npublic\n</ca>",
        ));
        let text = "SESS_ID_1 SESS_ID_2 keykeykey authauth proxyuser proxypass public auth-token";
        assert_eq!(redactor.text(text), "*** *** *** *** *** *** public auth-token");
    }

    #[test]
    fn a_profile_may_have_comments_of_latin1_and_nothing_else_of_it() {
        let text = |bytes: &[u8]| with_latin1_comments(bytes).ok();
        assert_eq!(text(b"# B\xfcro\nremote a ; \xe9\n").as_deref(), Some("# B\u{fc}ro\nremote a ; \u{e9}\n"));
        assert_eq!(text(b"remote b\xfcro\n"), None);
        assert_eq!(text(b"remote b#\xfcro\n"), None);
    }

    #[test]
    fn key_material_is_redacted_line_by_line_and_a_profiles_options_are_not() {
        let redactor = Redactor::default();
        redactor.learn_profile(&Secret::new(
            "client\npersist-tun\n<ca>\nPUBLICPART\n</ca>\n<key>\n-----BEGIN\nMIIEvQIBADANBg\n</key>\n",
        ));
        assert_eq!(redactor.text("persist-tun PUBLICPART MIIEvQIBADANBg"), "persist-tun PUBLICPART ***");
    }

    #[test]
    fn keys_behind_a_tag_with_a_comment_and_a_token_are_learned() {
        let redactor = Redactor::default();
        redactor.learn_profile(&Secret::new(
            "auth-token \"SESS_ID_AT_x1\"\n<key> # ours\nMIIEvQIBADANBg\n</key> # end\n<ca>\nPUBLICPART\n</ca>\n",
        ));
        assert_eq!(redactor.text("PUBLICPART MIIEvQIBADANBg SESS_ID_AT_x1"), "PUBLICPART *** ***");
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        assert_eq!(format!("{:?}", Secret::new("topsecret")), MASK);
    }
}
