//! Nights that were, as `run.json` has them: written by hand, so that the tests know every one of their cases.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::desk::Desk;

/// What nobody would call a case, unless to do something to the page.
pub(crate) const HOSTILE: &str = "</script><img src=x onerror='document.title=1'>";

/// A setup's history, and its page.
pub(crate) struct History {
    desk: Desk,
}

impl History {
    /// So many nights of so many cases, taken in by the real program.
    pub(crate) fn of(nights: usize, cases: usize) -> History {
        let mut desk = Desk::with_lab();
        let mut words = vec!["history".to_owned(), "import".to_owned()];
        for night in 0..nights {
            let path = format!("nights/{night:03}.json");
            desk = desk.file(&path, night_of(night, nights, cases).to_string());
            words.push(path);
        }
        let ended = desk.run_words(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ended.code, "0", "{ended}");
        History { desk }
    }

    /// Has the program write the page of the history.
    pub(crate) fn page(&self) -> PathBuf {
        let ended = self.desk.run("history page --out site");
        assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("0", "site/index.html\n"), "{ended}");
        self.desk.path("site/index.html")
    }

    /// The page of a night that got no further than its tunnel.
    pub(crate) fn page_of_a_night(self) -> (Desk, PathBuf) {
        let desk = self.desk.program("openvpn", "exit 7");
        assert_eq!(desk.run("test -q").code, "3");
        let path = desk.path("results/report.html");
        (desk, path)
    }
}

/// The case of a number: it is in the first suite or in the second.
pub(crate) fn name(number: usize) -> String {
    match number {
        4 => HOSTILE.to_owned(),
        _ => format!("case_{number:03}"),
    }
}

/// What a case comes to: 2 fails in the last three nights, 3 in the last, 5 is known, 6 is flaky now and then.
fn came_to(number: usize, ago: usize) -> &'static str {
    match number {
        2 if ago < 3 => "failed",
        3 if ago < 1 => "failed",
        4 if ago == 20 => "failed",
        6 if ago % 9 == 2 => "error",
        _ => "passed",
    }
}

fn night_of(night: usize, nights: usize, cases: usize) -> Value {
    let ago = nights - 1 - night;
    // The last is the 22nd of November 2026.
    let begun =
        time::macros::datetime!(2026-11-22 23:05 UTC) - time::Duration::days(i64::try_from(ago).expect("a few"));
    let rfc3339 =
        |time: time::OffsetDateTime| time.format(&time::format_description::well_known::Rfc3339).expect("it is a time");
    let release = format!("1.9.1-{}-{:08x}", 1_668_500_000 + 86_400 * night, 0x5d2e_8f90 + night);
    let case = |number: usize| {
        let judged = came_to(number, ago);
        let mut judgement = json!({"judged": judged});
        if judged != "passed" {
            judgement["message"] = json!("verification fail:  ((received=27) >= 32)  => False");
        }
        let took = 5 + (number * 7) % 60 + usize::from(number == 7) * 500;
        json!({
            "number": number, "name": name(number), "verdict": if judged == "passed" { "PASS" } else { "FAIL" },
            "judgement": judgement, "took": took,
        })
    };
    let suite = |name: &str, numbers: std::ops::RangeInclusive<usize>| {
        json!({
            "suite": name, "list": format!("{name}.ntl"), "host": "ng40", "started": rfc3339(begun),
            "planned": numbers.clone().count(), "open": [], "cases": numbers.map(case).collect::<Vec<_>>(),
            "end": {"verdict": "PASS", "planned": null, "exit": "exit status 0", "took": 600 + night % 7 * 30, "notes": [], "problem": null},
            "earlier": [],
        })
    };
    let half = cases / 2;
    json!({
        "night": {
            "format": 1, "run": format!("night-{night:03}"), "program": "0.1.0", "command": "run", "setup": "lab",
            "url": format!("https://circleci.com/gh/magma/lab/{night}"), "wanted": "latest", "gateways": ["agw"],
            "suites": [{"suite": "attach", "list": "attach.ntl"}, {"suite": "handover", "list": "handover.ntl"}], "steps": [],
        },
        "started": rfc3339(begun), "ended": rfc3339(begun + time::Duration::hours(1)),
        "release": {"wanted": "latest", "version": release, "tag": null}, "passed_over": [],
        "gateways": [{"gateway": "agw", "before": null, "outcome": {"gateway_is": "unchanged", "at": release}}],
        "steps": [], "suites": [suite("attach", 1..=half), suite("handover", half + 1..=cases)],
        "outages": [], "notes": [], "collected": [], "interrupted": null, "deadline_passed": null, "reports_failed": [],
    })
}
