//! Turns: of a command that was sent into a connection that was lost, and then sent again, the first copy may come after the second, or
//! when others have followed. Only what comes in its turn is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::remote::quote;

/// The exit status of a command that has come too late, and what it then says.
pub(crate) const TOO_LATE: i32 = 75;
pub(crate) const PASSED: &str = "a later command has been here";

/// The turns of one run on one host. Clones share their count.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    file: String,
    run: String,
    check: String,
    /// What a command says that the check has ended.
    refusal: String,
    last: Arc<AtomicU64>,
}

impl Turns {
    /// `file` is where the host keeps the last turn, as a word of the shell.
    pub(crate) fn new(file: impl Into<String>, run: impl Into<String>) -> Turns {
        Turns {
            file: file.into(),
            run: run.into(),
            check: String::new(),
            refusal: PASSED.to_owned(),
            last: Arc::default(),
        }
    }

    /// The same with a condition, as a command of the shell, without which nothing is done but this said.
    #[must_use]
    pub(crate) fn only_if(mut self, condition: &str, refusal: &str) -> Turns {
        self.check = format!("{condition} || {{ echo {} >&2; exit {TOO_LATE}; }}\n", quote(refusal));
        self.refusal = refusal.to_owned();
        self
    }

    /// Whether a command has ended because it was refused, by its status and what it said last.
    pub(crate) fn has_refused(&self, status: i32, said: &[u8]) -> bool {
        let said = said.trim_ascii_end();
        status == TOO_LATE && [PASSED, &self.refusal].iter().any(|refusal| said.ends_with(refusal.as_bytes()))
    }

    /// What begins the next command. Each copy that is sent has a turn of its own.
    pub(crate) fn next(&self) -> String {
        self.beginning(&(self.last.fetch_add(1, Ordering::Relaxed) + 1).to_string())
    }

    /// What begins a command of this turn, so that it does nothing where one of a later turn of the same run has begun. A disk that is
    /// full keeps nothing from being done.
    pub(crate) fn beginning(&self, turn: &str) -> String {
        let (file, run, check) = (&self.file, quote(&self.run), &self.check);
        format!(
            "{check}(flock -w 10 9 && {{ read -r of turn <{file} || true; }} && {{ [ \"$of\" != {run} ] || [ \"${{turn:-0}}\" -lt {turn} ]; }} && \
             {{ echo {run} {turn} >{file} || true; }}) 9>>{file} 2>/dev/null || {{ echo '{PASSED}' >&2; exit {TOO_LATE}; }}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_in_its_turn_is_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("turn").display().to_string();
        let (one, other) = (Turns::new(file.clone(), "one"), Turns::new(file.clone(), "other"));
        let does = |beginning: &str| {
            let output = std::process::Command::new("sh").args(["-c", &format!("{beginning}echo done")]).output();
            let output = output.expect("sh is there");
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.code(), said(&output.stdout), said(&output.stderr))
        };
        let done = (Some(0), "done\n".to_owned(), String::new());
        let late = (Some(TOO_LATE), String::new(), format!("{PASSED}\n"));
        let (first, second, third) = (one.next(), one.next(), one.next());
        assert_eq!(does(&first), done);
        assert_eq!(does(&first), late, "the same copy again");
        assert_eq!(does(&third), done);
        assert_eq!(does(&second), late);
        assert_eq!(does(&other.next()), done, "another run begins with its first turn");
        assert_eq!(does(&one.next()), done);
        // A full disk leaves the file empty, or with a part of what was written.
        for left in ["", "one", "one "] {
            std::fs::write(&file, left).expect("a file of the test");
            assert_eq!(does(&one.next()), done, "{left:?}");
        }
    }
}
