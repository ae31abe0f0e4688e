//! The last lines of a console that is coming in, for whoever watches. The console itself is kept elsewhere, whole.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::case::shortened;
use super::console::clean;
use crate::remote::Said;
use crate::secret::Redactor;

/// NG40 redraws its tables every second: this many lines of them are told, this often.
const LINES: usize = 10;
pub(super) const PACE: Duration = Duration::from_secs(1);
/// In bytes.
const LONGEST: usize = 500;

/// What was printed since somebody last looked, if it is not too much.
pub(super) struct Tail(Mutex<(Said, VecDeque<String>)>);

impl Tail {
    pub(super) fn new() -> Tail {
        // What comes here has been cleaned.
        Tail(Mutex::new((Said::new(&Redactor::default()), VecDeque::new())))
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let (said, last) = &mut *self.0.lock().expect("nobody panics while it is held");
        said.push(bytes, |line| {
            let line = clean(line.as_bytes());
            if line.is_empty() {
                return;
            }
            if last.len() == LINES {
                last.pop_front();
            }
            last.push_back(shortened(&line, LONGEST));
        });
    }

    /// Returns the last lines, once.
    pub(super) fn take(&self) -> VecDeque<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics while it is held").1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told_once() {
        let tail = Tail::new();
        (1..=30).for_each(|number| tail.push(format!("line {number}\x1b[K\n\n").as_bytes()));
        tail.push(b"not yet wh");
        assert_eq!(tail.take(), (21..=30).map(|number| format!("line {number}")).collect::<VecDeque<_>>());
        tail.push(b"ole\n");
        assert_eq!(tail.take(), ["not yet whole"]);
        assert!(tail.take().is_empty());
    }
}
