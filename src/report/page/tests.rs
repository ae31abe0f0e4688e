//! The page of whole nights: what it says, what it never says, and how large it gets.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::datetime;

use super::{Page, of_history};
use crate::event::{Case, EventKind, GatewayOutcome, Judgement, Level, Step, StepOutcome};
use crate::gate::CameTo;
use crate::history::{Entry, Judged, Line, Nights, Outcome, SuiteOutcome};
use crate::memory::{CaseMemory, Memory, Past, SuiteMemory};
use crate::report::fuzz::{GREEN_PAGE, assert_html};
use crate::report::nights::{NEW, OLD, Story, cut_off, green, hostile, red, restored};
use crate::summary::{Counts, Status, Summary};

const TONIGHT: OffsetDateTime = datetime!(2026-11-22 23:05 UTC);

fn release(night: usize) -> String {
    format!(
        "1.9.{}-{}-{:08x}",
        night / 30,
        1_660_000_000 + night * 86_400,
        0x3f7c_21ab_u32.wrapping_mul(2 * u32::try_from(night).unwrap() + 1)
    )
}

/// Nights before tonight, in which each case mostly passes and some have their troubles.
fn nights(count: usize, suites: &[(&str, Vec<String>)]) -> Nights {
    let mut chance = fastrand::Rng::with_seed(7);
    let mut past = Nights::default();
    for night in 0..count {
        let ago = Duration::from_secs(86_400 * (count - night) as u64);
        let mut counts = Counts::default();
        for (suite, cases) in suites {
            let mut whole = Duration::ZERO;
            for (place, case) in cases.iter().enumerate() {
                let age = count - night;
                let came_to = match place % 13 {
                    _ if chance.u32(..60) == 0 => continue,
                    3 if age < 4 => CameTo::Failed,
                    5 if (20..26).contains(&age) => CameTo::Failed,
                    7 if chance.u32(..6) == 0 => CameTo::Flaky,
                    9 if age < 30 => CameTo::Known,
                    11 if chance.u32(..25) == 0 => CameTo::Error,
                    _ if chance.u32(..220) == 0 => CameTo::Failed,
                    _ => CameTo::Passed,
                };
                let base = 8_000 + 4_700 * (place as u64 % 17);
                let took =
                    Duration::from_millis(base + chance.u64(..base / 5) + if place == 2 && age < 9 { base } else { 0 });
                whole += took;
                counts = [counts, Counts::of(came_to)].into_iter().sum();
                past.cases.push(Outcome {
                    night,
                    suite: (*suite).to_owned(),
                    case: case.clone(),
                    came_to,
                    took,
                    judged: match came_to {
                        CameTo::Passed => Judged::Passed,
                        CameTo::Error => Judged::Error,
                        CameTo::Flaky | CameTo::Known | CameTo::Failed => Judged::Failed,
                    },
                });
            }
            let status = if counts.failed > 0 { Status::TestsFailed } else { Status::Passed };
            past.suites.push(SuiteOutcome { night, suite: (*suite).to_owned(), status, took: Some(whole) });
        }
        let status = if counts.failed > 0 { Status::TestsFailed } else { Status::Passed };
        past.nights.push(Line {
            run: format!("night-{night:03}"),
            setup: Some("setup_1".to_owned()),
            command: "run".to_owned(),
            status,
            started: TONIGHT - ago,
            ended: Some(TONIGHT - ago + Duration::from_secs(4_000)),
            release: Some(release(night)),
            counts,
            url: Some(format!("https://circleci.com/gh/magma/lab/{night}")),
            upgrade_ms: Some(200_000 + 1_000 * (night as u64 % 40)),
        });
    }
    past
}

const HOSTILE_CASE: &str = "</script><img src=x onerror=\"alert(1)\">\u{202e}{\u{1b}[31m";

fn cases(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{prefix}_combined_{number:02}")).collect()
}

/// A setup with a history of 90 nights.
fn before() -> Nights {
    let mut gxgy = cases("gx_gy", 18);
    gxgy.push(HOSTILE_CASE.to_owned());
    nights(90, &[("gxgy", gxgy), ("s6a", cases("attach", 14)), ("roaming", cases("inbound_roaming", 8))])
}

/// A night with everything that there is to tell.
fn full() -> Story {
    let all = ["agw", "feg1", "feg2"];
    let mut story = Story::new();
    story.begins("run", &all, &["gxgy", "s6a", "roaming"]);
    if let Some(EventKind::NightStarted(night)) = story.events.last_mut().map(|event| &mut event.kind) {
        night.compare = Some("https://github.com/magma/magma/compare/{good}...{bad}".into());
        night.gate.known_failures.push(crate::gate::KnownFailure {
            suite: "gxgy".to_owned(),
            case: "gx_gy_combined_10".parse().unwrap(),
            reason: "https://github.com/magma/magma/issues/1234".into(),
            until: time::macros::date!(2026 - 12 - 31),
        });
    }
    let past = |run: &str, ago: u64, release: &str| Past {
        run: run.to_owned(),
        started: TONIGHT - Duration::from_secs(86_400 * ago),
        release: Some(release.to_owned()),
    };
    let good = |ago| CaseMemory {
        before: Some(CameTo::Passed),
        last_good: Some(past("before", ago, OLD)),
        usual: Some(Duration::from_secs(60)),
        ..CaseMemory::default()
    };
    let bad = CaseMemory {
        before: Some(CameTo::Failed),
        bad_since: Some(past("bad", 3, "1.9.0-1667000000-aabbccdd")),
        unknown_since: Some(past("bad", 3, "1.9.0-1667000000-aabbccdd")),
        ..good(4)
    };
    let gxgy = [
        ("gx_gy_combined_02", CaseMemory { before: Some(CameTo::Failed), ..good(4) }),
        ("gx_gy_combined_03", good(1)),
        ("gx_gy_combined_04", bad),
        ("gx_gy_combined_17_gone", good(1)),
    ];
    let gxgy = SuiteMemory { usual: None, cases: gxgy.map(|(name, case)| (name.to_owned(), case)).into() };
    story.say(EventKind::Remembered(Memory {
        previous: Some(past("20261121T230500-77aa", 1, OLD)),
        suites: [("gxgy".to_owned(), gxgy)].into(),
        ..Memory::default()
    }));
    story.connects().found(&all).resolves();
    story.on_each(Step::Prepare, &all, 58_000, "2 packages, 41.3 MB");
    story.on_each(Step::Activate, &all, 42_000, "switched");
    story.note(Step::Activate, Some("agw"), Level::Info, "conffile `/etc/magma/mme.yml` was replaced:\n-old\n+new");
    story.on_each(Step::Verify, &all, 31_000, "healthy for 30 s");
    for gateway in all {
        story.gateway(gateway, GatewayOutcome::Upgraded { from: Some(OLD.into()), to: NEW.into() });
    }
    story.start(Step::Test, None).suite("gxgy", 12);
    for number in [1, 2] {
        story.passes("gxgy", number, &format!("gx_gy_combined_{number:02}"));
    }
    let message = "verification fail:  ((received_Attach_Acc_=27) >= 32)  => False\nverification fail:  \
     ((received_Attach_Rej_=69) == 0)  => False";
    let failed = |number: u64, name: &str, message: &str| Case {
        number,
        name: name.into(),
        params: "$balance=300, $pktsize=500".into(),
        verdict: Some("FAIL".into()),
        judgement: Judgement::Failed { message: message.into() },
        took: Duration::from_millis(61_500),
        details: [
            "verification fail:  ((received_Attach_Acc_=27) >= 32)  => False",
            "",
            "  counter                 value",
            "  sent_Attach_Req            96",
            "  received_Attach_Acc        27",
            "  received_Attach_Rej        69",
            "  packet loss             1.20 %",
        ]
        .join("\n")
        .into(),
        console: format!(
            "Run test case ({number}) on facebook: {name}()\nStarting 32 UEs\n\u{1b}[31mattach \
         rejected: cause 15\u{1b}[0m\nVerdict({name}) = VERDICT_FAIL\n"
        )
        .into(),
        is_missing: false,
    };
    let judged = [
        (3, "gx_gy_combined_03".to_owned(), message),
        (4, "gx_gy_combined_04".to_owned(), "verification fail:  ((dl_bytes=0) > 1000)  => False"),
        (10, "gx_gy_combined_10".to_owned(), "verification fail:  ((quota_exhausted=0) == 1)  => False"),
        (12, HOSTILE_CASE.to_owned(), "</pre><script>alert(1)</script>\u{1b}[2J"),
    ];
    for (number, name, message) in judged {
        story.case_begins("gxgy", number, &name).after(61_500);
        story.say(EventKind::CaseFinished { suite: "gxgy".to_owned(), case: failed(number, &name, message) });
    }
    story.suite_ends("gxgy", Some("FAIL"), None);
    story.suite("s6a", 14).case(
        "s6a",
        1,
        "attach_combined_01",
        Some("FAIL"),
        Judgement::Failed { message: "verification fail:  ((detach=31) == 32)  => False".into() },
    );
    for number in 2..=14 {
        story.passes("s6a", number, &format!("attach_combined_{number:02}"));
    }
    story.suite_ends("s6a", Some("FAIL"), None);
    story.suite("s6a", 14);
    for number in 1..=14 {
        story.passes("s6a", number, &format!("attach_combined_{number:02}"));
    }
    story.suite_ends("s6a", Some("PASS"), None);
    story.say(EventKind::TunnelLost { reason: "ping-restart".into() }).after(48_000);
    story.say(EventKind::TunnelBack { after: Duration::from_secs(48) });
    story.suite("roaming", 8);
    for number in 1..=7 {
        story.passes("roaming", number, &format!("inbound_roaming_combined_{number:02}"));
    }
    let message = "`INCONC` is a verdict that we do not know".to_owned();
    story.case(
        "roaming",
        8,
        "inbound_roaming_combined_08",
        Some("INCONC"),
        Judgement::Error { message: message.into() },
    );
    story.suite_ends("roaming", Some("FAIL"), None);
    story.end(Step::Test, None, 0, StepOutcome::Done { text: "3 suites".into() });
    let problem =
        crate::event::Problem::testbed("the journal of `feg2` could not be had").because("connection refused");
    story.fails(Step::Collect, Some("feg2"), 800, problem);
    story.gives_back();
    let mut began: Vec<(Step, Option<String>, OffsetDateTime)> = Vec::new();
    for event in &mut story.events {
        match &mut event.kind {
            EventKind::StepStarted { step, host } => began.push((*step, host.clone(), event.time)),
            EventKind::StepFinished { step, host, took, .. } => {
                let (.., time) = began.iter().rfind(|(of, on, _)| of == step && on == host).unwrap();
                *took = (event.time - *time).unsigned_abs();
            }
            _ => {}
        }
    }
    story
}

/// What stands between the tags of a page, without its data, its style and its script.
fn body(page: &str) -> &str {
    let (_, body) = page.split_once("</button>\n").unwrap();
    body.split_once("<script").unwrap().0
}

#[test]
fn a_night_is_told_whole() {
    let page = Page::new(&before()).document(&full().summary());
    assert_html(&page);
    insta::assert_snapshot!(body(&Page::default().document(&full().summary())));
}

#[test]
fn a_night_that_was_restored_is_told_whole() {
    insta::assert_snapshot!(body(&Page::default().document(&restored().summary())));
}

#[test]
fn no_page_is_green_but_that_of_a_night_that_has_passed() {
    assert!(Page::default().document(&green().summary()).starts_with(GREEN_PAGE));
    for story in [red(), restored(), cut_off(), hostile(), full(), Story::new()] {
        assert!(!Page::default().document(&story.summary()).starts_with(GREEN_PAGE));
    }
    // At no time before its end.
    let mut summary = Summary::default();
    for event in &green().events {
        assert!(!Page::default().document(&summary).starts_with(GREEN_PAGE));
        summary.hear(event);
    }
}

#[test]
fn a_night_under_way_says_so_and_what_it_does_now() {
    let page = Page::new(&before()).document(&cut_off().summary());
    assert_html(&page);
    assert!(page.contains("<title>… Under way on setup_1</title>"), "{}", body(&page));
    assert!(page.contains("The night has not ended: nothing here is final"));
    assert!(page.contains("<p>Now: <strong>test</strong></p>"));
    assert!(page.contains("<p>Running: gxgy / <code>gx_gy_combined_05_capacity</code></p>"));
    assert!(!page.contains("Exit status"), "there is none yet");
}

#[test]
fn whatever_is_printed_opens_no_tag_and_ends_no_script() {
    for story in [hostile(), full()] {
        let page = Page::new(&before()).document(&story.summary());
        assert_html(&page);
        assert!(!page.contains("<img") && !page.contains("<b>") && !page.contains("onerror=\""));
        assert!(!page.chars().any(|char| (char.is_control() && char != '\n') || char == '\u{202e}'));
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
    }
}

#[test]
fn what_we_put_in_ends_neither_style_nor_script() {
    assert!(!super::STYLE.contains("</") && !super::SCRIPT.contains("</script") && !super::SCRIPT.contains("<!--"));
    for asks in ["url(", "@import", "http:", "https:", "fetch(", "XMLHttp", "WebSocket", "import("] {
        let asks_nobody =
            !super::STYLE.contains(asks) && !super::SCRIPT.replace("http://www.w3.org/2000/svg", "").contains(asks);
        assert!(asks_nobody, "{asks}");
    }
}

#[test]
fn the_grid_has_tonight_as_its_last_night() {
    let page = Page::new(&before()).document(&full().summary());
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["nights"].as_array().map(Vec::len), Some(91));
    let tonight = &data["nights"][90];
    assert_eq!(
        (&tonight["day"], &tonight["commit"], &tonight["status"]),
        (&"2026-11-22".into(), &"5d2e8f90".into(), &"tests failed".into())
    );
    let case = |name: &str| {
        let cases = data["cases"].as_array().unwrap();
        cases.iter().find(|case| case[1] == name).map(|case| case[2].as_str().unwrap().chars().next_back().unwrap())
    };
    assert_eq!(case("gx_gy_combined_03"), Some('f'));
    assert_eq!(case("gx_gy_combined_10"), Some('k'));
    assert_eq!(case("attach_combined_01"), Some('l'));
    assert_eq!(case("inbound_roaming_combined_08"), Some('e'));
    assert_eq!(case("gx_gy_combined_05"), Some('m'));
    assert_eq!(case("gx_gy_combined_01"), Some('p'));
    // What has been failing for nights comes before what has passed in all of them.
    assert_eq!(data["cases"][0][2].as_str().unwrap().chars().next_back(), Some('f'));
}

#[test]
fn the_page_of_a_history_tells_its_last_night() {
    let nights = before();
    let last = Entry { run: "night-089".to_owned(), ..Entry::of(&full().summary()).unwrap() };
    let page = of_history("setup_1", &nights, Some(&last));
    assert_html(&page);
    assert!(page.contains("the last of 90 nights") && page.contains("What did not pass in the last night"));
    let empty = of_history("setup_1", &Nights::default(), None);
    assert_html(&empty);
    assert!(empty.contains("No night has tested yet"));
}

#[test]
fn a_hundred_nights_of_five_hundred_cases_are_written_soon_and_are_not_large() {
    let nights = nights(
        100,
        &[("gxgy", cases("gx_gy_with_a_longer_name", 250)), ("s6a", cases("attach_with_a_longer_name", 250))],
    );
    let page = Page::new(&nights);
    let summary = full().summary();
    let began = Instant::now();
    let text = page.document(&summary);
    let took = began.elapsed();
    assert!(text.len() < 1_000_000, "{}", text.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_html(&text);
}
