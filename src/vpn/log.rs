//! OpenVPN's log on its way to the reports: line by line, without secrets, also where one is broken over its lines.

use crate::secret::{RedactedStream, Redactor};

/// The log as it comes.
#[derive(Debug)]
pub(super) struct Log {
    clean: RedactedStream,
    /// The beginning of a line whose end may be that of a secret.
    held: Vec<u8>,
}

impl Log {
    pub(super) fn new(redactor: &Redactor) -> Log {
        Log { clean: redactor.stream(), held: Vec::new() }
    }

    /// Takes a line without its end, and hands on every line of which it is known that no secret is in it.
    pub(super) fn push(&mut self, line: &str, each: impl FnMut(&str)) {
        self.held.extend(self.clean.push(line.as_bytes()));
        self.held.extend(self.clean.push(b"\n"));
        self.hand_on(each);
    }

    /// Hands on what was held back, because nothing more comes.
    pub(super) fn finish(&mut self, each: impl FnMut(&str)) {
        self.held.extend(self.clean.finish());
        self.hand_on(each);
    }

    fn hand_on(&mut self, mut each: impl FnMut(&str)) {
        let Some(end) = memchr::memrchr(b'\n', &self.held) else { return };
        let lines: Vec<u8> = self.held.drain(..=end).collect();
        let lines = String::from_utf8_lossy(&lines);
        lines.lines().filter(|line| !line.trim().is_empty()).for_each(&mut each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn told(lines: &[&str]) -> Vec<String> {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("p@ss/w\"rd!x"));
        let (mut log, mut told) = (Log::new(&redactor), Vec::new());
        lines.iter().for_each(|line| log.push(line, |line| told.push(line.to_owned())));
        log.finish(|line| told.push(line.to_owned()));
        told
    }

    #[test]
    fn a_secret_that_is_broken_over_lines_of_the_log_is_not_told() {
        assert_eq!(
            told(&["Options error: p@ss", "    /w\"rd!x is wrong", "Exiting"]),
            ["Options error: ***", " is wrong", "Exiting"]
        );
        assert_eq!(told(&["Options error: p@ss", "Exiting"]), ["Options error: p@ss", "Exiting"]);
        assert_eq!(told(&["ends with p@ss"]), ["ends with p@ss"]);
    }

    #[test]
    fn a_line_is_told_as_soon_as_it_has_ended() {
        let mut log = Log::new(&Redactor::default());
        let mut told = Vec::new();
        log.push("one", |line| told.push(line.to_owned()));
        assert_eq!(told, ["one"]);
    }
}
