//! The live view on a terminal: below the lines of the progress it shows what is under way, and is drawn anew as that changes.
//!
//! Knows the terminal, and not what a night is.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use time::OffsetDateTime;

use super::line::Paint;
use super::view::{Glyphs, View};
use crate::event::{Event, EventKind};
use crate::report::text::{LONGEST_LINE, ascii, one_line};
use crate::summary::Summary;

/// What is drawn, on a terminal.
pub(super) struct Live {
    /// One bar whose message has as many lines as the view has rows: it goes below whatever is printed.
    bar: ProgressBar,
    paint: Paint,
    is_utf8: bool,
    /// What a program printed last, by its host.
    said: BTreeMap<Option<String>, String>,
}

impl Live {
    pub(super) fn new(target: ProgressDrawTarget, paint: Paint, is_utf8: bool) -> Live {
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is a good one"));
        Live { bar, paint, is_utf8, said: BTreeMap::new() }
    }

    /// Has lines written above the view.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Keeps what a program says, for as long as its step goes on.
    pub(super) fn hear(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Output { host, line, .. } => {
                self.said.insert(host.clone(), one_line(line, LONGEST_LINE));
            }
            EventKind::StepStarted { host, .. } => {
                self.said.remove(host);
            }
            EventKind::SuiteStarted { host, .. } => {
                self.said.remove(&Some(host.clone()));
            }
            _ => {}
        }
    }

    /// Draws what is under way, in so many columns.
    pub(super) fn show(&self, summary: &Summary, now: OffsetDateTime, columns: usize) {
        let glyphs = if self.is_utf8 { Glyphs::UNICODE } else { Glyphs::ASCII };
        // The last column stays free: some terminals go on to the next line when it is written to.
        let width = columns.saturating_sub(1);
        let view = View { summary, said: &self.said, now, paint: self.paint, glyphs, width };
        let rows = view.rows().join("\n");
        self.bar.set_message(if self.is_utf8 { rows } else { ascii(&rows) });
    }

    /// Takes the view away; what was printed stays.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use indicatif::{InMemoryTerm, TermLike as _};

    use super::*;
    use crate::event::{GatewayOutcome, Problem, Step, StepOutcome};
    use crate::memory::{CaseMemory, Memory, StepMemory, SuiteMemory};
    use crate::report::nights::{NEW, Story, cut_off};

    /// What stands on a terminal after the events of a story, so long after the last of them.
    fn screen(story: &Story, later: u64, (rows, columns): (u16, u16), is_utf8: bool) -> String {
        let terminal = InMemoryTerm::new(rows, columns);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut live = Live::new(target, Paint(false), is_utf8);
        story.events.iter().for_each(|event| live.hear(event));
        let now = story.events.last().unwrap().time + Duration::from_secs(later);
        live.above(|| terminal.write_line("23:05:08  ok    connect    every host answers")).unwrap();
        live.show(&story.summary(), now, usize::from(columns));
        let shown = terminal.contents();
        live.end();
        assert_eq!(terminal.contents(), "23:05:08  ok    connect    every host answers");
        shown
    }

    fn says(story: &mut Story, step: Step, host: Option<&str>, line: &str) {
        story.say(EventKind::Output { step, host: host.map(str::to_owned), line: line.into() });
    }

    fn upgrading() -> Story {
        let mut story = Story::new();
        let all = ["agw", "feg1", "feg2"];
        story.begins("run", &all, &["gxgy"]).connects().found(&all).resolves();
        for gateway in all {
            story.start(Step::Prepare, Some(gateway));
        }
        says(&mut story, Step::Prepare, Some("agw"), "Get:3 http://192.168.60.10/apt ./ magma 1.9.1 [41.3 MB]");
        says(&mut story, Step::Prepare, Some("feg1"), "3f7c21ab: \u{1b}[2JPulling from gateway_go");
        story.end(Step::Prepare, Some("feg2"), 9_800, StepOutcome::Done { text: "ready".into() });
        story
    }

    #[test]
    fn gateways_stand_side_by_side() {
        insta::assert_snapshot!(screen(&upgrading(), 3, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ 4 steps  ▸ prepare 12 s  · activate  · verify  · test  · collect  · unlock  · disconnect
          agw   ▸     12 s  Get:3 http://192.168.60.10/apt ./ magma 1.9.1 [41.3 MB]
          feg1  ▸     12 s  3f7c21ab: ␛[2JPulling from gateway_go
          feg2  ✓     9.8 s  ready
          30 s so far
        ");
    }

    /// What nights usually took that switched all three gateways, some or none.
    fn remembered() -> Memory {
        let all = "agw, feg1, feg2";
        let steps = [
            (Step::Connect, "", 8),
            (Step::Lock, "", 1),
            (Step::Recover, "", 2),
            (Step::Resolve, "", 9),
            (Step::Prepare, "", 6),
            (Step::Prepare, all, 45),
            (Step::Activate, all, 40),
            (Step::Verify, "agw", 31),
            (Step::Verify, all, 35),
            (Step::Collect, "", 3),
            (Step::Unlock, "", 1),
            (Step::Disconnect, "", 2),
        ];
        let steps = steps.map(|(step, switched, seconds)| StepMemory {
            step,
            switched: switched.to_owned(),
            usual: Duration::from_secs(seconds),
        });
        let gxgy = SuiteMemory { usual: Some(Duration::from_secs(400)), ..SuiteMemory::default() };
        Memory { previous: None, suites: [("gxgy".to_owned(), gxgy)].into(), steps: steps.into() }
    }

    #[test]
    fn a_step_is_shown_with_what_it_usually_takes_where_the_same_gateways_are_switched() {
        let mut story = upgrading();
        story.say(EventKind::Remembered(remembered()));
        insta::assert_snapshot!(screen(&story, 3, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ 4 steps  ▸ prepare 12 s, usually 45 s  · activate  · verify  · test  · collect  · unlock  · di…
          agw   ▸     12 s  Get:3 http://192.168.60.10/apt ./ magma 1.9.1 [41.3 MB]
          feg1  ▸     12 s  3f7c21ab: ␛[2JPulling from gateway_go
          feg2  ✓     9.8 s  ready
          30 s so far, about 8 m 33 s to go
        ");
    }

    #[test]
    fn where_it_is_not_known_what_is_switched_only_the_tests_are_estimated() {
        let mut story = Story::new();
        story.begins("run", &["agw"], &["gxgy"]).say(EventKind::Remembered(remembered()));
        story.start(Step::Connect, None);
        insta::assert_snapshot!(screen(&story, 3, (16, 140), true), @r"
        23:05:08  ok    connect    every host answers

          ▸ connect 3 s, usually 8 s  · lock  · recover  · resolve  · prepare  · activate  · verify  · test  · collect  · unlock  · disconnect
          3 s so far, then usually 6 m 40 s of tests
        ");
        // It runs the release by its name, and may have to be made whole.
        story.end(Step::Connect, None, 4_000, StepOutcome::Done { text: "".into() });
        story.say(EventKind::GatewayFound { gateway: "agw".to_owned(), runs: Some(NEW.into()) }).resolves();
        story.start(Step::Prepare, Some("agw"));
        insta::assert_snapshot!(screen(&story, 3, (16, 120), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ connect  ✓ resolve  ▸ prepare 3 s  · activate  · verify  · test  · collect  · unlock  · disconnect
          agw  ▸      3 s
          16 s so far, then usually 6 m 40 s of tests
        ");
        story.end(Step::Prepare, Some("agw"), 4_000, StepOutcome::Done { text: "runs the release already".into() });
        story.gateway("agw", GatewayOutcome::Unchanged { at: NEW.into() });
        insta::assert_snapshot!(screen(&story, 0, (16, 120), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ connect  ✓ resolve  ✓ prepare  · activate  · verify  · test  · collect  · unlock  · disconnect
          17 s so far, about 6 m 46 s to go
        ");
        story.start(Step::Test, None).suite("gxgy", 2);
        insta::assert_snapshot!(screen(&story, 60, (16, 120), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ connect  ✓ resolve  ✓ prepare  ▸ test 1 m 04 s  · collect  · unlock  · disconnect
          gxgy  ░░░░░░░░░░░░░░░░░░░░  0 of 2  1 m 04 s  usually 6 m 40 s
          1 m 21 s so far, about 5 m 42 s to go
        ");
    }

    #[test]
    fn a_night_that_waits_for_the_testbed_is_estimated_once_it_has_it() {
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]).say(EventKind::Remembered(remembered()));
        story.step(Step::Connect, 8_000, "").step(Step::Lock, 300, "held by another; waiting");
        story.step(Step::Disconnect, 1_000, "").after(60_000).start(Step::Connect, None);
        insta::assert_snapshot!(screen(&story, 3, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ▸ connect 3 s, usually 8 s  ✓ lock  · recover  · test  · collect  · unlock  ✓ disconnect
            ✓     8.0 s
            ▸      3 s
          1 m 12 s so far
        ");
        story.end(Step::Connect, None, 8_000, StepOutcome::Done { text: "".into() });
        story.step(Step::Lock, 300, "ours").start(Step::Recover, Some("agw"));
        insta::assert_snapshot!(screen(&story, 0, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ connect  ✓ lock  ▸ recover 0 s, usually 2 s  · test  · collect  · unlock  ✓ disconnect
          agw  ▸      0 s
          1 m 17 s so far, about 6 m 46 s to go
        ");
    }

    #[test]
    fn a_night_that_does_not_go_as_usual_is_not_estimated() {
        let mut story = upgrading();
        story.say(EventKind::Remembered(remembered()));
        story.end(Step::Prepare, Some("agw"), 500, StepOutcome::Failed(Problem::testbed("no room")));
        insta::assert_snapshot!(screen(&story, 3, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ 4 steps  ▸ prepare 13 s, usually 45 s  · activate  · verify  · test  · collect  · unlock  · di…
          agw   ✗     0.5 s  no room
          feg1  ▸     13 s  3f7c21ab: ␛[2JPulling from gateway_go
          feg2  ✓     9.8 s  ready
          31 s so far
        ");
    }

    #[test]
    fn a_narrow_terminal_shows_the_beginning_of_each_row() {
        insta::assert_snapshot!(screen(&upgrading(), 3, (16, 60), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ 4 steps  ▸ prepare 12 s  · activate  · verify  · test …
          agw   ▸     12 s  Get:3 http://192.168.60.10/apt ./ magm…
          feg1  ▸     12 s  3f7c21ab: ␛[2JPulling from gateway_go
          feg2  ✓     9.8 s  ready
          30 s so far
        ");
    }

    #[test]
    fn a_terminal_without_utf_8_gets_ascii() {
        insta::assert_snapshot!(screen(&upgrading(), 3, (16, 100), false), @r"
        23:05:08  ok    connect    every host answers

          + 4 steps  > prepare 12 s  . activate  . verify  . test  . collect  . unlock  . disconnect
          agw   >     12 s  Get:3 http://192.168.60.10/apt ./ magma 1.9.1 [41.3 MB]
          feg1  >     12 s  3f7c21ab: ?[2JPulling from gateway_go
          feg2  +     9.8 s  ready
          30 s so far
        ");
    }

    #[test]
    fn a_case_is_shown_with_what_it_usually_takes() {
        let mut story = cut_off();
        let memory = |seconds| SuiteMemory { usual: Some(Duration::from_secs(seconds)), ..SuiteMemory::default() };
        let mut gxgy = memory(400);
        let case = CaseMemory { usual: Some(Duration::from_secs(70)), ..CaseMemory::default() };
        gxgy.cases.insert("gx_gy_combined_05_capacity".to_owned(), case);
        let suites = [("gxgy".to_owned(), gxgy), ("roaming".to_owned(), memory(1_500))].into();
        story.say(EventKind::Remembered(Memory { suites, ..Memory::default() }));
        says(&mut story, Step::Test, Some("ng40"), "Watchtime: 00:01:12");
        insta::assert_snapshot!(screen(&story, 5, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ connect  ✓ lock  ✓ recover  ▸ test 3 m 20 s  · collect  · unlock  · disconnect
          gxgy  ██████████░░░░░░░░░░  1 of 2  3 m 20 s  usually 6 m 40 s
                gx_gy_combined_05_capacity  2 m 15 s  usually 1 m 10 s
                Watchtime: 00:01:12
          3 m 29 s so far, about 28 m 20 s of tests to go
        ");
    }

    #[test]
    fn a_step_of_no_host_shows_what_its_program_says() {
        let mut story = Story::new();
        story.begins("test", &[], &["gxgy"]).start(Step::Connect, None);
        says(&mut story, Step::Connect, None, "TLS: Initial packet from [AF_INET]203.0.113.7:1194");
        insta::assert_snapshot!(screen(&story, 3, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ▸ connect 3 s  · lock  · recover  · test  · collect  · unlock  · disconnect
          TLS: Initial packet from [AF_INET]203.0.113.7:1194
          3 s so far
        ");
    }

    #[test]
    fn what_is_wrong_and_may_be_mended_stands_at_the_end() {
        let mut story = Story::new();
        story.begins("run", &["agw"], &[]).connects();
        story.fails(Step::Resolve, None, 900, Problem::testbed("the registry does not answer"));
        story.start(Step::Unlock, None);
        story.say(EventKind::TunnelLost { reason: "ping-restart".into() });
        story.say(EventKind::Interrupted { signal: "SIGINT".into() });
        insta::assert_snapshot!(screen(&story, 7, (16, 100), true), @r"
        23:05:08  ok    connect    every host answers

          ✓ connect  ✓ lock  ✓ recover  ✗ resolve  ▸ unlock 7 s  · disconnect
          no tunnel for 7 s: ping-restart
          SIGINT: giving everything back
          16 s so far
        ");
    }
}
