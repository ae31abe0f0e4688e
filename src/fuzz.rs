//! What must hold for any bytes at all: one property a fuzz target of `tests/fuzz`. The properties themselves stand in the rooms
//! that they are about; here are their doors, and what they have in common.
//!
//! No build of the program has this room: it is there for the fuzzers and for the tests, which run whatever the fuzzers kept.

use arbitrary::{Result, Unstructured};

pub use crate::config::fuzz::config;
pub use crate::gateway::fuzz::{env, messages, versions};
pub use crate::history::fuzz::{junit, run_json};
pub use crate::ng40::archive::fuzz::archive;
pub use crate::ng40::fuzz::console;
pub use crate::report::fuzz::reports;
pub use crate::vpn::fuzz::{management, profile, pushes};

/// A room by its name, and what has it do its work once: that returns how much came of it.
pub type Room = (&'static str, Box<dyn Fn() -> usize>);

/// The rooms whose cost is measured by itself (`tests/bench/rooms`), by name: reading a saved console, and writing each report of what
/// it came to.
pub fn rooms(file: &std::path::Path) -> Vec<Room> {
    let console = std::fs::read(file).expect("the console can be read");
    let summary =
        std::rc::Rc::new(crate::offline::told(file, None, |_| Default::default()).expect("the console can be read"));
    let mut rooms: Vec<Room> = vec![("read", Box::new(move || crate::ng40::fuzz::cases(&console)))];
    for (name, write) in crate::report::fuzz::WRITERS {
        let summary = std::rc::Rc::clone(&summary);
        rooms.push((name, Box::new(move || write(&summary).len())));
    }
    rooms
}

/// The most runs that one input may have: a slow input finds nothing.
const MOST_RUNS: usize = 3;
/// Two of them are the longest line that a console or a program may print.
const RUN: usize = 32 * 1024;

/// The rest of the input as a text may be. Two pairs of bytes that no UTF-8 has stand for long runs, because a few bytes have to
/// reach the limits on what is kept.
pub(crate) fn stretched(mut rest: &[u8]) -> Vec<u8> {
    let mut runs = 0;
    let mut text = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let length = match rest {
            [0xff, 0xff, ..] => RUN,
            [0xff, 0xfe, ..] => RUN - 1,
            _ => 0,
        };
        if length > 0 && runs < MOST_RUNS {
            text.resize(text.len() + length, b'x');
            runs += 1;
            rest = &rest[2..];
        } else {
            text.push(*first);
            rest = after;
        }
    }
    text
}

/// Where a text is cut into pieces, as the input has it.
#[derive(Debug)]
pub(crate) struct Cuts([u16; 4]);

impl Cuts {
    pub(crate) fn choose(input: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Cuts(input.arbitrary()?))
    }

    /// The pieces, some of them empty.
    pub(crate) fn pieces<'a>(&self, text: &'a [u8]) -> Vec<&'a [u8]> {
        let mut ends: Vec<usize> = self.0.iter().map(|&cut| usize::from(cut) % (text.len() + 1)).collect();
        ends.extend([0, text.len()]);
        ends.sort_unstable();
        ends.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
    }
}

/// Whether a text can be shown on one line and does nothing there.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(|char| char.is_control() && char != '\t')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::catch_unwind;
    use std::path::Path;

    /// Runs every input that the fuzzer of this property has kept.
    fn replay(target: &str, property: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            assert!(catch_unwind(|| property(&input)).is_ok(), "it does not hold for {}", path.display());
            count += 1;
        }
        assert!(count > 0, "there is no corpus of {target}");
    }

    macro_rules! still_hold {
        ($($target:ident),*) => {$(
            #[test]
            fn $target() {
                replay(stringify!($target), super::$target);
            }
        )*};
    }

    still_hold!(
        archive, config, console, env, junit, management, messages, profile, pushes, reports, run_json, versions
    );
}
