//! Where something stands in the text of a config.
//!
//! The reader keeps no places, but its errors have one: it is sent to a value and made to fail there.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
}

/// Reads the reader's own `line 3 column 5`.
pub(super) fn begin_of(text: &str) -> Option<Place> {
    let (line, column) = text.strip_prefix("line ")?.split_once(" column ")?;
    Some(Place { line: line.parse().ok()?, column: column.parse().ok()? })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Name(String),
    Item(usize),
}

/// The keys on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPath {
    keys: Vec<Key>,
    /// Whether it is about the last name and not about what stands there.
    is_of_name: bool,
}

impl KeyPath {
    /// The way to a value.
    pub(super) fn value(names: &[&str]) -> Self {
        let keys = names.iter().map(|&name| Key::Name(name.to_owned())).collect();
        KeyPath { keys, is_of_name: false }
    }

    /// The way to a name, as to that of a section that lacks something.
    pub(super) fn name(names: &[&str]) -> Self {
        KeyPath { is_of_name: true, ..KeyPath::value(names) }
    }

    /// The way to an item of the list that stands there.
    pub(super) fn item(mut self, index: usize) -> Self {
        self.keys.push(Key::Item(index));
        self
    }

    /// The way on to a key of what stands there.
    pub(super) fn key(mut self, name: &str) -> Self {
        self.keys.push(Key::Name(name.to_owned()));
        self
    }

    /// Where it stands in a text; where it was left out, the last key on the way that was not.
    pub(super) fn place(&self, text: &str) -> Option<Place> {
        (1..=self.keys.len()).rev().find_map(|length| {
            let is_of_name = self.is_of_name || length < self.keys.len();
            let probe = Probe { keys: &self.keys[..length], is_of_name };
            let at = probe.deserialize(serde_yaml::Deserializer::from_str(text)).err()?.location()?;
            Some(Place { line: at.line(), column: at.column() })
        })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.keys.iter().enumerate() {
            match key {
                Key::Name(name) if index == 0 => write!(f, "{name}")?,
                Key::Name(name) => write!(f, ".{name}")?,
                Key::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// Follows the keys, and fails where they lead to.
#[derive(Clone, Copy)]
struct Probe<'a> {
    keys: &'a [Key],
    is_of_name: bool,
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What is not followed here is a value of another type, which is an error where it stands.
impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another way")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Some((Key::Name(name), rest)) = self.keys.split_first() else { return Err(A::Error::custom("here")) };
        let sought = Name { name, is_the_place: rest.is_empty() && self.is_of_name };
        while let Some(is_it) = access.next_key_seed(sought)? {
            if is_it {
                access.next_value_seed(Probe { keys: rest, ..self })?;
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Some((Key::Item(index), rest)) = self.keys.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..*index {
            access.next_element::<IgnoredAny>()?;
        }
        access.next_element_seed(Probe { keys: rest, ..self })?;
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Tells whether a key is the one that is sought.
#[derive(Clone, Copy)]
struct Name<'a> {
    name: &'a str,
    is_the_place: bool,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        if self.is_the_place && text == self.name { Err(E::custom("here")) } else { Ok(text == self.name) }
    }
}

/// The lines as the reader counts them: to YAML a lone CR ends one, and so do the separators of Unicode.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(text);
    // A text that is empty has no line, not even an empty one.
    let parts = whole.split("\r\n").filter(|_| !text.is_empty());
    parts.flat_map(|part| part.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']))
}

/// Where a key stands for the second time in the map that begins at a place.
pub(super) fn second(key: &str, text: &str, map: Place) -> Option<Place> {
    let rest = || lines(text).enumerate().skip(map.line - 1);
    let is_key = |rest: &str| {
        let rest = rest.trim_start_matches(['"', '\'']).strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    };
    let first = lines(text).nth(map.line - 1)?;
    // A column counts characters.
    let (indent, begin) = first.char_indices().nth(map.column - 1)?;
    if begin == '{' {
        let mut places = rest().flat_map(|(index, line)| {
            let from = if index + 1 == map.line { indent } else { 0 };
            // Of blanks the last one.
            let is_start = move |&(at, char): &(usize, char)| {
                at >= from && "{, ".contains(char) && !line[at + 1..].starts_with(char::is_whitespace)
            };
            let starts = line.char_indices().filter(is_start);
            starts.map(move |(at, _)| (index, line, at + 1))
        });
        let mut places = places.by_ref().filter(|&(_, line, at)| is_key(&line[at..]));
        return places
            .nth(1)
            .map(|(index, line, at)| Place { line: index + 1, column: line[..at].chars().count() + 1 });
    }
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let of_map = rest().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let mut of_map = of_map.take_while(|(_, line)| indent_of(line) >= indent);
    let (index, _) = of_map.by_ref().filter(|(_, line)| indent_of(line) == indent && is_key(&line[indent..])).nth(1)?;
    Some(Place { line: index + 1, column: map.column })
}
