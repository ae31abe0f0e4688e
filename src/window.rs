//! How much of a log is looked at, as the programs that print logs want it told. Knows no host.

use std::time::Duration;

/// The end of a log that somebody wants to see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Nothing that is older.
    pub(crate) since: Option<Duration>,
    /// At most so many of the last lines.
    pub(crate) lines: Option<u32>,
    /// Whether what comes is shown too, until somebody ends it.
    pub(crate) is_followed: bool,
}

impl Window {
    /// As options of `journalctl`, which shows ten lines of what it follows when it is not told how many.
    pub(crate) fn of_journal(&self) -> String {
        let since = self.since.map(|since| format!("--since -{}s ", since.as_secs()));
        let follow = if self.is_followed { " -f" } else { "" };
        format!("{}-n {}{follow}", since.unwrap_or_default(), self.count("all"))
    }

    /// As options of `docker logs`.
    pub(crate) fn of_containers(&self) -> String {
        let since = self.since.map(|since| format!("--since {}s ", since.as_secs()));
        let follow = if self.is_followed { " -f" } else { "" };
        format!("{}--tail {}{follow}", since.unwrap_or_default(), self.count("all"))
    }

    /// As options of `tail`.
    pub(crate) fn of_file(&self) -> String {
        let follow = if self.is_followed { " -f" } else { "" };
        format!("-n {}{follow}", self.count("+1"))
    }

    /// As a condition of `find`.
    pub(crate) fn of_changes(&self) -> String {
        self.since.map(|since| format!(" -newermt '-{} seconds'", since.as_secs())).unwrap_or_default()
    }

    fn count(&self, all: &str) -> String {
        self.lines.map_or_else(|| all.to_owned(), |lines| lines.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_told_in_its_own_words() {
        let recent = Window { since: Some(Duration::from_secs(7200)), lines: None, is_followed: true };
        assert_eq!(recent.of_journal(), "--since -7200s -n all -f");
        assert_eq!(recent.of_containers(), "--since 7200s --tail all -f");
        assert_eq!(recent.of_file(), "-n +1 -f");
        assert_eq!(recent.of_changes(), " -newermt '-7200 seconds'");
        let last = Window { since: None, lines: Some(100), is_followed: false };
        assert_eq!(last.of_journal(), "-n 100");
        assert_eq!(last.of_containers(), "--tail 100");
        assert_eq!(last.of_file(), "-n 100");
        assert_eq!(last.of_changes(), "");
    }
}
