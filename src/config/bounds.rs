//! What keeps the reading of a config from taking long: limits on its size and on how deep it is nested.
//!
//! The YAML reader (libyaml) looks at every open list and map again for each word, so that the time it takes is the
//! depth times the size: 50 s of CPU for 200 KB of `[`. Another reader, which can be stopped, goes before it.

use saphyr_parser::{Event, Marker, Parser};

use super::place::Place;

/// A config of a thousand testbeds has half of it.
pub(crate) const MOST_BYTES: usize = 1024 * 1024;

/// A config needs six levels.
pub(super) const MOST_DEPTH: usize = 32;

/// `%TAG` and `%YAML`, which a config does not need: each is compared with those before it.
const MOST_DIRECTIVES: usize = 16;

/// Open brackets times the bytes behind them that the YAML reader gets to see where only it knows how deep they are
/// nested: a second's work.
const MOST_WORK: usize = 100_000_000;

/// What goes beyond a limit, and where.
pub(super) struct Excess {
    pub(super) at: Option<Place>,
    pub(super) problem: String,
}

/// Looks whether the text can be given to the YAML reader.
pub(super) fn check(text: &str) -> Result<(), Excess> {
    if text.len() > MOST_BYTES {
        return Err(Excess { at: None, problem: "this is larger than 1 MB".to_owned() });
    }
    if let Some((index, _)) = text.lines().enumerate().filter(|(_, line)| line.starts_with('%')).nth(MOST_DIRECTIVES) {
        let at = Some(Place { line: index + 1, column: 1 });
        return Err(Excess { at, problem: format!("more than {MOST_DIRECTIVES} lines begin with `%`") });
    }
    let too_deep = |at: &Marker| Excess {
        at: Some(Place { line: at.line(), column: at.col() + 1 }),
        problem: format!("lists and maps are nested more than {MOST_DEPTH} deep"),
    };
    let mut depth = 0_usize;
    let mut end = 0;
    for event in Parser::new_from_str(text) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) => {
                depth += 1;
                if depth > MOST_DEPTH {
                    return Err(too_deep(&span.start));
                }
            }
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok((_, span)) => end = span.end.index().max(end),
            // It looks ahead for a `:`, and gives up at 256 open brackets (saphyr-parser 0.3.4, scanner.rs).
            Err(error) if error.info() == "recursion limit exceeded" => return Err(too_deep(error.marker())),
            Err(_) => break,
        }
    }
    unread(text, end)
}

/// Where the readers differ, or the text is not valid YAML, the first one has not seen the rest.
fn unread(text: &str, end: usize) -> Result<(), Excess> {
    let rest: String = text.chars().skip(end).collect();
    let brackets = rest.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets.saturating_mul(rest.len()) <= MOST_WORK {
        return Ok(());
    }
    let before: String = text.chars().take(end).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    let problem = format!("this is not valid YAML, and {brackets} lists and maps are opened after it");
    Err(Excess { at: Some(Place { line, column }), problem })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use crate::config::Config;

    /// As much text as a hostile config may well have.
    const SIZE: usize = 200_000;

    /// Even where many tests have one processor. Without the limits the first shape takes a minute by itself.
    const LIMIT: Duration = Duration::from_secs(20);

    fn again(text: &str) -> String {
        text.repeat(SIZE / text.len())
    }

    fn refusal(text: &str) -> String {
        Config::parse(text, Path::new("lab.yaml")).expect_err("it is not a valid config").to_string()
    }

    #[test]
    fn what_is_nested_deeply_is_refused_at_its_place_and_at_once() {
        let shapes = [
            again("["),
            again("[\n"),
            again("{"),
            again("{a: "),
            again("- "),
            again("? "),
            format!("a:\n  {}", again("- ? ")),
            // Where somebody who counts brackets would be led astray.
            again("[ # ]\n"),
            again("[ \"]\", "),
            again("[ ']', "),
            format!("a: |\n  \"\nb: {}", again("[ \"\", ")),
            format!("a: it's\nb: {}", again("[ 'x', ")),
        ];
        for shape in shapes {
            let began = Instant::now();
            let told = refusal(&shape);
            assert!(told.contains(": lists and maps are nested more than 32 deep\n"), "{told}");
            assert!(began.elapsed() < LIMIT, "{:.20}: {:?}", shape, began.elapsed());
        }
        assert!(
            refusal("a:\n  - [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1")
                .starts_with("lab.yaml:2:35: lists and maps are nested")
        );
    }

    #[test]
    fn no_other_shape_takes_long_either() {
        let lab = "vpn: {kind: none}\nssh: {known_hosts: k}\n";
        let setup =
            |rest: &str| format!("{lab}suites: {{a: {{list: l}}}}\nsetups: {{s: {{agw: a, ng40: n, {rest}}}}}\n");
        let name = again("x");
        let anchors = (0..SIZE / 20).map(|number| format!("- &a{number} x\n- *a{number}\n")).collect::<String>();
        let directives = (0..SIZE / 14).map(|number| format!("%TAG !{number}! a\n")).collect::<String>();
        let hosts = (0..SIZE / 7).map(|number| format!("h{number},")).collect::<String>();
        let shapes = [
            // What comes behind an error of one reader is read by the other.
            format!("@\n{}", again("[")),
            format!("a: @\n{}", again("[ # ]\n")),
            format!("\t{}", again("{a: [")),
            format!("{directives}---\na: 1\n"),
            anchors,
            format!("a: &a [{}]\nb: [{}]\n", again("1,"), again("*a,")),
            format!("{{\"\": 1, \"\": 2,{}}}", again(" ")),
            again("a: "),
            again("\""),
            again("\r"),
            format!("a:\n  {}", again("- - [")),
            again("!a "),
            again("&a "),
            format!("? {}\n: 1\n", again("a ")),
            format!("{lab}setups: {{s: {{agw: a, ng40: n, suites: [{name}y]}}}}\nsuites: {{? {name} : {{list: l}}}}\n"),
            setup(&format!("feg: [{hosts}{hosts}]")),
            "a".repeat(super::MOST_BYTES + 1),
        ];
        for shape in shapes {
            let began = Instant::now();
            let told = refusal(&shape);
            assert!(began.elapsed() < LIMIT, "{:.40}: {:?}", shape, began.elapsed());
            assert!(told.len() < 3_000, "{told:.400}");
        }
    }
}
