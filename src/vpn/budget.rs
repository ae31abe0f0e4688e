//! How much of OpenVPN's log becomes events: a server that can make it print without end fills neither disk nor memory.

use std::time::{Duration, Instant};

/// A connection attempt prints about 40 lines (2.6.14, `--verb 3`), and one takes a second at least.
pub(super) const LINES_PER_SECOND: u32 = 200;

/// The most lines of one tunnel. A night of reconnecting, an attempt each 10 s, prints fewer.
const LINES_AT_ALL: u32 = 50_000;

/// A longer line is cut. OpenVPN's own are below 1,280 bytes, but for what the server sends in them.
const LONGEST: usize = 2_048;

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Take {
    Keep,
    /// The first that is left out: whoever reads the record is told.
    FirstLeftOut,
    LeaveOut,
}

/// How many lines were kept, in this second and at all.
#[derive(Debug, Default)]
pub(super) struct Budget {
    second: Option<Instant>,
    in_second: u32,
    at_all: u32,
    has_left_out: bool,
}

impl Budget {
    pub(super) fn take(&mut self, now: Instant) -> Take {
        if self.second.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.in_second = 0;
        }
        if self.in_second < LINES_PER_SECOND && self.at_all < LINES_AT_ALL {
            self.in_second += 1;
            self.at_all += 1;
            return Take::Keep;
        }
        if std::mem::replace(&mut self.has_left_out, true) { Take::LeaveOut } else { Take::FirstLeftOut }
    }
}

/// The beginning of a line that is too long.
pub(super) fn cut(line: &str) -> String {
    if line.len() <= LONGEST {
        return line.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|&end| line.is_char_boundary(end)).unwrap_or_default();
    format!("{} [{} bytes more]", &line[..end], line.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_end_becomes_a_limited_number_of_events() {
        let start = Instant::now();
        let mut budget = Budget::default();
        let mut kept = 0;
        let mut told = 0;
        for tick in 0..1_000_000 {
            match budget.take(start + Duration::from_millis(tick)) {
                Take::Keep => kept += 1,
                Take::FirstLeftOut => told += 1,
                Take::LeaveOut => {}
            }
        }
        assert_eq!((kept, told), (50_000, 1));
    }

    #[test]
    fn a_burst_is_cut_and_what_comes_later_is_not() {
        let start = Instant::now();
        let mut budget = Budget::default();
        let kept =
            |budget: &mut Budget, at: Duration| (0..1_000).filter(|_| budget.take(start + at) == Take::Keep).count();
        assert_eq!(kept(&mut budget, Duration::ZERO), 200);
        assert_eq!(kept(&mut budget, Duration::from_millis(900)), 0);
        assert_eq!(kept(&mut budget, Duration::from_millis(1_000)), 200);
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = cut(&"\u{20ac}".repeat(1_000));
        assert_eq!(long, format!("{} [954 bytes more]", "\u{20ac}".repeat(682)));
    }
}
