//! Finds secrets in bytes, however they are written: plain or escaped for URLs, JSON, shells, Python, HTML or mail, in any mixture,
//! broken by line ends, indentation, escape codes and characters that nobody sees.
//!
//! A text is compared as it is read, and not as it stands: at a byte that may begin an escape, each of its meanings is followed. So
//! that this costs little, an automaton over the first bytes of all forms walks the plain text, and only where one of them has begun,
//! or where an escape stands, is anything followed at all.

use std::collections::HashSet;
use std::ops::Range;

use super::escape::{Meaning, is_break, is_special, meanings, overstruck};

/// So many bytes of each form are in the automaton; the rest is compared.
const DEPTH: usize = 8;
/// Between two letters of a secret stand no more bytes than these of line ends, blanks and the like. Of escape codes and what
/// nobody sees there may be any number: whoever takes them out puts the secret together.
const GAP: usize = 512;
/// The most steps that are followed from one place: a limit for text that is made to be slow.
const STEPS: usize = 50_000;
/// The least that is held of a text that comes in pieces, where a secret may have begun in it.
const HELD: usize = 16 * 1024;

/// What finds a set of forms.
#[derive(Default)]
pub(super) struct Search {
    forms: Vec<Vec<u8>>,
    nodes: Vec<Node>,
    /// The next state by state and class of byte, and whether a form has begun there whole.
    table: Vec<u32>,
    classes: Vec<u8>,
    width: usize,
    longest: usize,
}

/// A beginning of some forms.
#[derive(Default, Clone)]
struct Node {
    depth: usize,
    /// The longest other beginning that this one ends with.
    fail: usize,
    /// The forms that are followed from here: this is their beginning, or all of them.
    ends: Vec<usize>,
    /// Whether a form is followed from here, or from a beginning that this one ends with.
    is_end: bool,
}

const END: u32 = 1 << 31;

/// How far a form has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Node(usize),
    Form(usize, usize),
}

/// Where secrets stand in a text.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In order, without overlaps.
    pub(super) places: Vec<Range<usize>>,
    /// Where the first one begins whose end has not come yet; the end of the text if there is none.
    pub(super) open: usize,
}

impl Search {
    pub(super) fn new(forms: Vec<Vec<u8>>) -> Search {
        let mut classes = vec![0_u8; 256];
        let mut width = 1;
        for &byte in forms.iter().flat_map(|form| form.iter().take(DEPTH)) {
            if classes[usize::from(byte)] == 0 && width < 256 {
                classes[usize::from(byte)] = u8::try_from(width).unwrap_or(u8::MAX);
                width += 1;
            }
        }
        let mut nodes = vec![Node::default()];
        let mut table = vec![0_u32; width];
        for (number, form) in forms.iter().enumerate() {
            let mut node = 0;
            for &byte in form.iter().take(DEPTH) {
                let place = node * width + usize::from(classes[usize::from(byte)]);
                if table[place] == 0 {
                    table[place] = index(nodes.len());
                    nodes.push(Node { depth: nodes[node].depth + 1, ..Node::default() });
                    table.resize(table.len() + width, 0);
                }
                node = table[place] as usize;
            }
            nodes[node].ends.push(number);
        }
        let mut queue = vec![0];
        let mut next = 0;
        while let Some(&node) = queue.get(next) {
            next += 1;
            let fail = nodes[node].fail;
            nodes[node].is_end = !nodes[node].ends.is_empty() || (node != 0 && nodes[fail].is_end);
            for class in 0..width {
                let child = table[node * width + class] as usize;
                let of_fail = if node == 0 { 0 } else { (table[fail * width + class] & !END) as usize };
                if child == 0 {
                    table[node * width + class] = index(of_fail);
                } else {
                    nodes[child].fail = of_fail;
                    queue.push(child);
                }
            }
        }
        for state in &mut table {
            if nodes[*state as usize].is_end {
                *state |= END;
            }
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        Search { forms, nodes, table, classes, width, longest }
    }

    /// The most that is held of a text because a secret may have begun in it.
    fn most_held(&self) -> usize {
        16 * self.longest + HELD
    }

    fn next(&self, state: usize, byte: u8) -> u32 {
        self.table[state * self.width + usize::from(self.classes[usize::from(byte)])]
    }

    /// The beginning that is one byte longer, if there is one.
    fn child(&self, node: usize, byte: u8) -> Option<usize> {
        let next = (self.next(node, byte) & !END) as usize;
        (self.nodes[next].depth == self.nodes[node].depth + 1).then_some(next)
    }

    /// Finds every secret. A text that `is_whole` is not continued, and nothing in it is open.
    pub(super) fn find(&self, text: &[u8], is_whole: bool) -> Found {
        let mut found = Found { places: Vec::new(), open: text.len() };
        if self.forms.is_empty() {
            return found;
        }
        let mut state = 0;
        for (at, &byte) in text.iter().enumerate() {
            if is_special(byte) {
                self.follow_escapes(text, at, state, &mut found);
            }
            let next = self.next(state, byte);
            state = (next & !END) as usize;
            if next & END != 0 {
                self.follow_begun(text, at + 1, state, &mut found);
            }
        }
        found.open = found.open.min(text.len() - self.nodes[state].depth);
        if is_whole {
            found.open = text.len();
        }
        merge(&mut found.places);
        // One that is whole may be the beginning of a longer one, or end with the beginning of another.
        for place in found.places.iter().rev() {
            if place.end > found.open {
                found.open = found.open.min(place.start);
            }
        }
        if text.len() - found.open > self.most_held() {
            found.open = text.len();
        }
        found
    }

    /// Follows the forms whose first bytes end before this place.
    fn follow_begun(&self, text: &[u8], at: usize, state: usize, found: &mut Found) {
        let mut node = state;
        while node != 0 && self.nodes[node].is_end {
            let depth = self.nodes[node].depth;
            for &form in &self.nodes[node].ends {
                self.follow(text, at - depth, (At::Form(form, depth), at, 0), found);
            }
            node = self.nodes[node].fail;
        }
    }

    /// Follows every beginning that ends before this place, where an escape may stand.
    fn follow_escapes(&self, text: &[u8], at: usize, state: usize, found: &mut Found) {
        let mut node = state;
        // Line ends and the like begin nothing.
        if node == 0 && !super::escape::is_introducer(text[at]) {
            return;
        }
        let counts = usize::from(is_break(text[at]));
        loop {
            let start = at - self.nodes[node].depth;
            let is_open = meanings(text, at, &mut |meaning: Meaning, length| match meaning {
                Meaning::Nothing if node == 0 || counts * length > GAP => {}
                Meaning::Nothing => {
                    self.follow(text, start, (At::Node(node), at + length, counts * length), found);
                }
                Meaning::Bytes(bytes) => {
                    if let Some(after) = self.after(At::Node(node), bytes) {
                        self.follow(text, start, (after, at + length, 0), found);
                    }
                }
            });
            if is_open && counts * (text.len() - at) <= GAP {
                found.open = found.open.min(start);
            }
            if node == 0 {
                return;
            }
            node = self.nodes[node].fail;
        }
    }

    /// How far a form has been read after more bytes.
    fn after(&self, at: At, bytes: &[u8]) -> Option<At> {
        bytes.iter().try_fold(at, |at, &byte| match at {
            At::Node(node) => self.child(node, byte).map(At::Node),
            At::Form(form, read) => (self.forms[form].get(read) == Some(&byte)).then_some(At::Form(form, read + 1)),
        })
    }

    /// Follows all meanings of the text from a place on, where so much of a form has been read, and so many bytes were not.
    fn follow(&self, text: &[u8], start: usize, from: (At, usize, usize), found: &mut Found) {
        let mut next = Some(from);
        let mut waiting = Vec::new();
        let mut seen: HashSet<(At, usize)> = HashSet::new();
        let mut steps = 0;
        while let Some((mut at, mut place, mut gap)) = next.take().or_else(|| waiting.pop()) {
            loop {
                steps += 1;
                if steps > STEPS {
                    return;
                }
                if steps > 64 && !seen.insert((at, place)) {
                    break;
                }
                match at {
                    At::Form(form, read) if read == self.forms[form].len() => {
                        found.places.push(start..place + overstruck(text, place));
                        break;
                    }
                    At::Form(..) => {}
                    At::Node(node) => {
                        let depth = self.nodes[node].depth;
                        waiting.extend(self.nodes[node].ends.iter().map(|&form| (At::Form(form, depth), place, gap)));
                    }
                }
                let Some(&byte) = text.get(place) else {
                    found.open = found.open.min(start);
                    break;
                };
                if is_special(byte) {
                    let counts = usize::from(is_break(byte));
                    let is_open = meanings(text, place, &mut |meaning: Meaning, length| match meaning {
                        Meaning::Nothing if gap + counts * length > GAP => {}
                        Meaning::Nothing => waiting.push((at, place + length, gap + counts * length)),
                        Meaning::Bytes(bytes) => {
                            waiting.extend(self.after(at, bytes).map(|after| (after, place + length, 0)));
                        }
                    });
                    if is_open && gap + counts * (text.len() - place) <= GAP {
                        found.open = found.open.min(start);
                    }
                }
                let Some(after) = self.after(at, &[byte]) else { break };
                (at, place, gap) = (after, place + 1, 0);
            }
        }
    }
}

fn index(node: usize) -> u32 {
    u32::try_from(node).expect("secrets are far from what an automaton can hold")
}

/// Puts places in order, and makes one of those that overlap.
fn merge(places: &mut Vec<Range<usize>>) {
    places.sort_unstable_by_key(|place| (place.start, place.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(places.len());
    for place in places.drain(..) {
        match merged.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    *places = merged;
}
