//! Nights that never were, for the tests: what the reporters hear of them.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;

use super::{Color, Console, Format, Options, Reporter as _, Stream, Verbosity};
use crate::event::{
    Case, Class, Event, EventKind, FORMAT, GatewayOutcome, Judgement, Level, Night, PackageChange, PlannedSuite,
    Problem, Step, StepOutcome, SuiteEnd,
};
use crate::gate::Gate;
use crate::history::Nights;
use crate::secret::RedactedText;
use crate::summary::Summary;

pub(crate) const OLD: &str = "1.8.0-1655110000-3f7c21ab";
pub(crate) const NEW: &str = "1.9.1-1668500000-5d2e8f90";
const NEWER: &str = "1.9.1-1668590000-77c0ffee";

/// A stream that keeps what is written to it.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics while it is held").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    pub(crate) fn text(&self) -> String {
        let kept = self.0.lock().expect("nobody panics while it is held").clone();
        String::from_utf8(kept).expect("reports are text")
    }
}

/// How a night is reported in a CI job.
pub(super) fn options(results: &Path) -> Options {
    Options {
        results: results.to_owned(),
        verbosity: Verbosity::Normal,
        format: Format::Text,
        color: Color::Never,
        is_ci: true,
        has_diagnostics: false,
        is_utf8: true,
        nights: Nights::default(),
    }
}

/// What a night looks like on the console: standard error, a rule, standard output.
pub(super) fn watched(story: &Story, options: &Options) -> String {
    let (out, err) = (Kept::default(), Kept::default());
    let mut console = Console::new(options, Stream::to(out.clone(), options), Stream::to(err.clone(), options));
    let mut summary = Summary::default();
    for event in &story.events {
        summary.hear(event);
        console.report(event, &summary).expect("what is written is kept");
    }
    console.finish(&summary).expect("what is written is kept");
    format!("{}--- standard output ---\n{}", err.text(), out.text())
}

/// Writes a night down, event by event; its clock goes on by itself.
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    now: OffsetDateTime,
}

impl Story {
    pub(crate) fn new() -> Story {
        Story { events: Vec::new(), now: datetime!(2026-11-22 23:05:00 UTC) }
    }

    /// A night that begins at this time.
    #[cfg(test)]
    pub(crate) fn at(now: OffsetDateTime) -> Story {
        Story { events: Vec::new(), now }
    }

    #[cfg(test)]
    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        self.events.iter().for_each(|event| summary.hear(event));
        summary
    }

    pub(crate) fn say(&mut self, kind: EventKind) -> &mut Self {
        self.events.push(Event { time: self.now, kind });
        self
    }

    pub(crate) fn after(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    pub(crate) fn begins(&mut self, command: &str, gateways: &[&str], suites: &[&str]) -> &mut Self {
        let mut steps = vec![Step::Connect, Step::Lock, Step::Recover];
        if !gateways.is_empty() {
            steps.extend([Step::Resolve, Step::Prepare, Step::Activate, Step::Verify]);
        }
        if !suites.is_empty() {
            steps.push(Step::Test);
        }
        steps.extend([Step::Collect, Step::Unlock, Step::Disconnect]);
        self.say(EventKind::NightStarted(Night {
            format: FORMAT,
            run: "20261122T230500-9f3a".to_owned(),
            program: "0.1.0".to_owned(),
            command: command.to_owned(),
            setup: Some("setup_1".to_owned()),
            url: Some("https://circleci.com/gh/magma/lab/4711".into()),
            wanted: (!gateways.is_empty()).then(|| "latest".into()),
            gateways: gateways.iter().map(|&gateway| gateway.to_owned()).collect(),
            suites: suites
                .iter()
                .map(|&suite| PlannedSuite { suite: suite.to_owned(), list: format!("{suite}.ntl") })
                .collect(),
            steps,
            tag: None,
            gate: Gate::default(),
            compare: None,
        }))
    }

    pub(crate) fn start(&mut self, step: Step, host: Option<&str>) -> &mut Self {
        self.say(EventKind::StepStarted { step, host: host.map(str::to_owned) })
    }

    pub(crate) fn end(&mut self, step: Step, host: Option<&str>, millis: u64, outcome: StepOutcome) -> &mut Self {
        self.after(millis);
        let took = Duration::from_millis(millis);
        self.say(EventKind::StepFinished { step, host: host.map(str::to_owned), outcome, took })
    }

    pub(crate) fn step(&mut self, step: Step, millis: u64, text: &str) -> &mut Self {
        self.start(step, None).end(step, None, millis, StepOutcome::Done { text: text.into() })
    }

    pub(crate) fn fails(&mut self, step: Step, host: Option<&str>, millis: u64, problem: Problem) -> &mut Self {
        self.start(step, host).end(step, host, millis, StepOutcome::Failed(problem))
    }

    pub(crate) fn on_each(&mut self, step: Step, gateways: &[&str], millis: u64, text: &str) -> &mut Self {
        for gateway in gateways {
            self.start(step, Some(gateway));
        }
        self.after(millis);
        for gateway in gateways {
            self.end(step, Some(gateway), 0, StepOutcome::Done { text: text.into() });
        }
        self
    }

    /// Has the night that has begun obey a gate.
    #[cfg(test)]
    pub(crate) fn obeys(&mut self, gate: Gate) -> &mut Self {
        let Some(EventKind::NightStarted(night)) = self.events.first_mut().map(|event| &mut event.kind) else {
            panic!("a night begins before it obeys");
        };
        night.gate = gate;
        night.run = format!("night-{}", crate::gate::day::text(self.now.date()));
        night.compare = Some("https://github.com/magma/magma/compare/{good}...{bad}".into());
        self
    }

    /// What the tags of its images are made of.
    #[cfg(test)]
    pub(crate) fn tagged(&mut self, template: &str) -> &mut Self {
        let Some(EventKind::NightStarted(night)) = self.events.first_mut().map(|event| &mut event.kind) else {
            panic!("a night begins before it has tags");
        };
        night.tag = Some(template.to_owned());
        self
    }

    /// A suite of one attempt: cases with `PASS`, `FAIL` or nothing, and a list verdict.
    #[cfg(test)]
    pub(crate) fn attempt(&mut self, suite: &str, cases: &[(&str, &str)]) -> &mut Self {
        self.suite(suite, cases.iter().filter(|(name, _)| *name != "(suite)").count() as u64);
        for (number, (name, verdict)) in (1..).zip(cases) {
            let judgement = match *verdict {
                "PASS" => Judgement::Passed,
                "FAIL" => Judgement::Failed { message: format!("{name} is wrong").into() },
                _ => Judgement::Error { message: "no verdict".into() },
            };
            let verdict = Some(*verdict).filter(|verdict| !verdict.is_empty());
            self.case(suite, number, name, verdict, judgement);
        }
        let has_failed = cases.iter().any(|(_, verdict)| *verdict == "FAIL");
        self.suite_ends(suite, Some(if has_failed { "FAIL" } else { "PASS" }), None)
    }

    pub(crate) fn suite(&mut self, suite: &str, planned: u64) -> &mut Self {
        let (name, list) = (suite.to_owned(), format!("{suite}.ntl"));
        let is_before = |event: &&Event| matches!(&event.kind, EventKind::SuiteStarted { suite, .. } if *suite == name);
        let attempt = self.events.iter().filter(is_before).count() as u64 + 1;
        self.say(EventKind::SuiteStarted { suite: name.clone(), list, host: "ng40".to_owned(), attempt });
        self.after(4_000).say(EventKind::SuitePlanned { suite: name, cases: planned })
    }

    pub(crate) fn case_begins(&mut self, suite: &str, number: u64, case: &str) -> &mut Self {
        self.say(EventKind::CaseStarted { suite: suite.to_owned(), number, case: case.into() })
    }

    pub(crate) fn case(
        &mut self,
        suite: &str,
        number: u64,
        name: &str,
        verdict: Option<&str>,
        judgement: Judgement,
    ) -> &mut Self {
        self.case_begins(suite, number, name).after(61_500);
        let case = Case {
            number,
            name: name.into(),
            params: "$balance=300, $pktsize=500".into(),
            verdict: verdict.map(Into::into),
            judgement,
            took: Duration::from_millis(61_500),
            details: "".into(),
            console: format!("Run test case ({number}) on facebook: {name}()\n").into(),
            is_missing: false,
        };
        self.say(EventKind::CaseFinished { suite: suite.to_owned(), case })
    }

    pub(crate) fn passes(&mut self, suite: &str, number: u64, case: &str) -> &mut Self {
        self.case(suite, number, case, Some("PASS"), Judgement::Passed)
    }

    pub(crate) fn suite_ends(&mut self, suite: &str, verdict: Option<&str>, problem: Option<Problem>) -> &mut Self {
        let end = SuiteEnd {
            verdict: verdict.map(Into::into),
            planned: None,
            exit: "exit status 0".into(),
            took: Duration::from_millis(192_400),
            notes: Vec::new(),
            problem,
        };
        self.say(EventKind::SuiteFinished { suite: suite.to_owned(), end })
    }

    pub(crate) fn found(&mut self, gateways: &[&str]) -> &mut Self {
        for &gateway in gateways {
            self.say(EventKind::GatewayFound { gateway: gateway.to_owned(), runs: Some(OLD.into()) });
        }
        self
    }

    pub(crate) fn gateway(&mut self, gateway: &str, outcome: GatewayOutcome) -> &mut Self {
        self.say(EventKind::GatewayFinished { gateway: gateway.to_owned(), outcome, packages: Vec::new() })
    }

    pub(crate) fn note(&mut self, step: Step, host: Option<&str>, level: Level, text: &str) -> &mut Self {
        self.say(EventKind::Noted { step, host: host.map(str::to_owned), level, text: text.into() })
    }

    pub(crate) fn connects(&mut self) -> &mut Self {
        self.start(Step::Connect, None).after(7_900);
        self.say(EventKind::TunnelUp { device: "tun0".into(), address: "10.8.0.6".into() });
        self.end(Step::Connect, None, 0, StepOutcome::Done { text: "4 hosts are routed into the tunnel".into() });
        self.step(Step::Lock, 310, "the testbed is ours").step(Step::Recover, 420, "nothing was left behind")
    }

    pub(crate) fn resolves(&mut self) -> &mut Self {
        self.start(Step::Resolve, None).after(9_000);
        self.say(EventKind::ReleasePassedOver {
            version: NEWER.into(),
            reason: "the registry has no `gateway_python:77c0ffee`".into(),
            age: Duration::from_secs(5 * 3600 + 120),
        });
        self.say(EventKind::ReleaseResolved {
            wanted: "latest".into(),
            version: NEW.into(),
            tag: Some("5d2e8f90".into()),
        });
        self.end(Step::Resolve, None, 200, StepOutcome::Done { text: format!("release {NEW}").into() })
    }

    pub(crate) fn gives_back(&mut self) -> &mut Self {
        self.start(Step::Collect, None).after(2_300);
        self.say(EventKind::Collected {
            host: "ng40".to_owned(),
            path: "suites/gxgy/logs.tar.gz".into(),
            bytes: 1_234_567,
        });
        self.end(Step::Collect, None, 0, StepOutcome::Done { text: "1 file, 1.2 MB".into() });
        self.step(Step::Unlock, 240, "").step(Step::Disconnect, 1_100, "").say(EventKind::NightEnded)
    }
}

const ALL: [&str; 3] = ["agw", "feg1", "feg2"];

/// Everything goes well; one gateway was at the release already.
pub(crate) fn green() -> Story {
    let mut story = Story::new();
    let to = || RedactedText::from(NEW);
    story.begins("run", &ALL, &["gxgy"]).connects().found(&ALL).resolves();
    story.on_each(Step::Prepare, &ALL, 58_000, "2 packages, 41.3 MB");
    story.on_each(Step::Activate, &["agw", "feg1"], 42_000, "switched");
    story.note(Step::Activate, Some("agw"), Level::Info, "conffile `/etc/magma/mme.yml` was replaced:\n-old\n+new");
    let reason = "runs the release already, healthy".to_owned();
    story.end(Step::Activate, Some("feg2"), 0, StepOutcome::Skipped { reason: reason.into() });
    story.on_each(Step::Verify, &ALL, 31_000, "healthy for 30 s");
    let change = |name: &str, from: &str, to: &str| PackageChange {
        name: name.into(),
        from: Some(from.into()),
        to: Some(to.into()),
    };
    story.say(EventKind::GatewayFinished {
        gateway: "agw".to_owned(),
        outcome: GatewayOutcome::Upgraded { from: Some(OLD.into()), to: to() },
        packages: vec![change("magma", OLD, NEW), change("magma-sctpd", OLD, "1.9.1-1668400000-4b1d00d5")],
    });
    story.gateway("feg1", GatewayOutcome::Upgraded { from: Some(OLD.into()), to: to() });
    story.gateway("feg2", GatewayOutcome::Unchanged { at: to() });
    story.start(Step::Test, None).suite("gxgy", 2);
    story.passes("gxgy", 1, "gx_gy_combined_05_capacity").passes("gxgy", 2, "gx_gy_combined_06");
    story.suite_ends("gxgy", Some("PASS"), None);
    story.end(Step::Test, None, 0, StepOutcome::Done { text: "1 suite".into() });
    story.gives_back();
    story
}

/// Cases fail, one gives no verdict, and the tunnel was away for a while.
pub(crate) fn red() -> Story {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy", "roaming"]).connects();
    story.start(Step::Test, None).suite("gxgy", 3);
    story.passes("gxgy", 1, "gx_gy_combined_04");
    let message = "verification fail:  ((received_Attach_Acc_=27) >= 32)  => False\n\
                   verification fail:  ((received_Attach_Rej_=69) == 0)  => False";
    story.case("gxgy", 2, "gx_gy_combined_05_capacity", Some("FAIL"), Judgement::Failed { message: message.into() });
    story.say(EventKind::TunnelLost { reason: "ping-restart".into() }).after(48_000);
    story.say(EventKind::TunnelBack { after: Duration::from_secs(48) });
    let message = "`INCONC` is a verdict that we do not know".to_owned();
    story.case("gxgy", 3, "gx_gy_combined_06", Some("INCONC"), Judgement::Error { message: message.into() });
    story.suite_ends("gxgy", Some("FAIL"), None);
    story.suite("roaming", 1).passes("roaming", 1, "inbound_roaming_08").suite_ends("roaming", Some("PASS"), None);
    story.end(Step::Test, None, 0, StepOutcome::Done { text: "2 suites".into() });
    let problem = Problem::testbed("the journal of `feg2` could not be had").because("connection refused");
    story.fails(Step::Collect, Some("feg2"), 800, problem);
    story.gives_back();
    story
}

/// The release is not healthy, and every gateway is brought back.
pub(crate) fn restored() -> Story {
    let mut story = Story::new();
    let gateways = ["agw", "feg1"];
    story.begins("run", &gateways, &["gxgy"]).connects().found(&gateways).resolves();
    story.on_each(Step::Prepare, &gateways, 58_000, "ready").on_each(Step::Activate, &gateways, 20_000, "switched");
    story.start(Step::Verify, Some("agw")).start(Step::Verify, Some("feg1"));
    let done = StepOutcome::Done { text: "healthy for 30 s".into() };
    story.end(Step::Verify, Some("feg1"), 30_000, done);
    let problem = Problem::upgrade("`magma@mme` does not stay up: 4 restarts in 30 s")
        .because("mme[812]: assertion failed\nmain process exited, code=killed, status=6/ABRT")
        .hint("its journal is in `hosts/agw/`");
    story.end(Step::Verify, Some("agw"), 4_000, StepOutcome::Failed(problem));
    story.on_each(Step::Restore, &gateways, 35_000, "runs what it ran");
    for gateway in gateways {
        story.gateway(gateway, GatewayOutcome::Restored { to: OLD.into() });
    }
    let reason = "the upgrade failed".to_owned();
    story.end(Step::Test, None, 0, StepOutcome::Skipped { reason: reason.into() }).gives_back();
    story
}

/// Killed while a case runs: nothing more is heard.
pub(crate) fn cut_off() -> Story {
    let mut story = Story::new();
    story.begins("test", &[], &["gxgy", "roaming"]).connects();
    story.start(Step::Test, None).suite("gxgy", 2).passes("gxgy", 1, "gx_gy_combined_04");
    story.case_begins("gxgy", 2, "gx_gy_combined_05_capacity").after(130_000);
    story
}

/// A night that remembers those before: something is new, something known, something flaky, fixed, missing, slower.
#[cfg(test)]
pub(crate) fn morning() -> Story {
    use crate::gate::{CameTo, Exceeded, KnownFailure, MaxDuration};
    use crate::memory::{CaseMemory, Memory, Past, SuiteMemory};
    let past = |day: i64, release: &str| Past {
        run: format!("2026111{day}T230500-0001"),
        started: datetime!(2026-11-10 23:05:00 UTC) + time::Duration::days(day),
        release: Some(release.to_owned()),
    };
    let good = |before| CaseMemory { before: Some(before), last_good: Some(past(9, OLD)), ..CaseMemory::default() };
    let bad = CaseMemory {
        last_good: Some(past(4, OLD)),
        bad_since: Some(past(5, NEW)),
        unknown_since: Some(past(5, NEW)),
        ..good(CameTo::Failed)
    };
    let usual = CaseMemory { usual: Some(Duration::from_secs(20)), ..good(CameTo::Passed) };
    let cases = [
        ("attach", usual),
        ("handover", good(CameTo::Passed)),
        ("capacity", bad.clone()),
        ("roaming", bad),
        ("paging", good(CameTo::Flaky)),
        ("detach", good(CameTo::Failed)),
        ("reboot", good(CameTo::Passed)),
    ];
    let cases = cases.into_iter().map(|(name, case)| (name.to_owned(), case)).collect();
    let suite = SuiteMemory { usual: Some(Duration::from_secs(190)), cases };
    let reason = "https://github.com/magma/magma/issues/11".to_owned();
    let case = "roam*".parse().expect("it is a pattern");
    let until = time::macros::date!(2026 - 12 - 31);
    let limit = MaxDuration { suite: Some(1.5), case: Some(2.0), exceeded: Exceeded::Warn };
    let mut story = Story::new();
    story.begins("run", &["agw"], &["gxgy"]).obeys(Gate {
        known_failures: vec![KnownFailure { suite: "gxgy".to_owned(), case, reason: reason.into(), until }],
        max_duration: [("gxgy".to_owned(), limit)].into(),
        ..Gate::default()
    });
    let suites = [("gxgy".to_owned(), suite)].into();
    story.say(EventKind::Remembered(Memory { previous: Some(past(9, OLD)), suites, ..Memory::default() }));
    story.connects().gateway("agw", GatewayOutcome::Upgraded { from: Some(OLD.into()), to: NEW.into() });
    let first = ["attach", "handover", "capacity", "roaming", "paging", "detach"];
    let verdicts = |failed: &[&str]| first.map(|name| (name, if failed.contains(&name) { "FAIL" } else { "PASS" }));
    story.start(Step::Test, None);
    story.attempt("gxgy", &verdicts(&["handover", "capacity", "roaming", "paging"]));
    story.attempt("gxgy", &verdicts(&["handover", "capacity", "roaming"]));
    story.end(Step::Test, None, 0, StepOutcome::Done { text: "every suite has ended".into() });
    story.say(EventKind::NightEnded);
    story
}

/// Whatever can be printed is printed, by everybody.
pub(crate) fn hostile() -> Story {
    let bad =
        "\u{1b}[31mred\u{1b}[0m ]]> <b>&amp;</b> \u{0} \u{202e}olleh\u{202c} \u{9b}2J | `x` ``` * \u{fffe} \u{7f}";
    let mut story = Story::new();
    story.begins("report", &[], &["so <called> | `suite`"]);
    let suite = "so <called> | `suite`";
    story.suite(suite, 2);
    story.case(
        suite,
        1,
        bad,
        Some("FAIL"),
        Judgement::Failed { message: format!("{bad}\r\n```\n</details># {bad}").into() },
    );
    story.case(suite, 2, bad, Some(bad), Judgement::Error { message: format!("{bad}\n]]>]]>").into() });
    story.note(Step::Test, Some("ng40"), Level::Warning, bad);
    story.note(Step::Test, None, Level::Info, "\u{1b}]0;title without an end");
    let problem = Problem::new(Class::Inconclusive, bad).because(bad).hint(bad);
    story.suite_ends(suite, Some(bad), Some(problem)).say(EventKind::NightEnded);
    story
}
