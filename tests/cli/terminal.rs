//! What a person sees at a terminal, and what whoever has no terminal is spared.

use crate::desk::Desk;

/// What a night without a tunnel writes to a terminal.
fn on_a_terminal(desk: Desk, words: &str) -> String {
    // `script` gives what it runs a terminal for its streams, and passes on what it writes there.
    let ended = desk.after("exec /usr/bin/script --quiet --return --command \"$0 $*\" /dev/null").run(words);
    assert_eq!(ended.code, "3", "{ended}");
    ended.stdout
}

fn desk() -> Desk {
    let openvpn = "[ \"$1\" = --version ] && { echo 'OpenVPN 2.6.14 x86_64-pc-linux-gnu'; exit 0; }; exit 7";
    Desk::with_lab().program("openvpn", openvpn).env("TERM", "xterm-256color").env("LANG", "C.UTF-8")
}

#[test]
fn a_terminal_gets_a_view_that_goes_away_again() {
    let written = on_a_terminal(desk(), "test");
    assert!(written.contains("· lock"), "{written:?}");
    assert!(written.contains("A\r\u{1b}[2K"), "the rows are drawn over: {written:?}");
    assert!(written.contains("try: see OpenVPN's log (`-v`)\r\n"), "what stays is as it is elsewhere: {written:?}");
    let end = written.split("TESTBED").nth(1).expect("it ends with what it came to");
    assert!(!end.contains("\u{1b}[2K"), "nothing is drawn over any more: {end:?}");
}

#[test]
fn a_terminal_without_utf_8_gets_nothing_but_ascii() {
    let written = on_a_terminal(desk().env("LANG", "C"), "test");
    assert!(written.contains(". lock") && written.is_ascii(), "{written:?}");
}

#[test]
fn no_color_takes_the_colours_and_leaves_the_view() {
    let written = on_a_terminal(desk().env("NO_COLOR", "1"), "test");
    assert!(written.contains("· lock") && !written.contains("\u{1b}[1m"), "{written:?}");
}

#[test]
fn nothing_is_drawn_over_where_somebody_reads_it_later() {
    // CircleCI's steps have a terminal.
    let spared = [
        (desk().env("CI", "true"), "test"),
        (desk().env("TERM", "dumb").env("NO_COLOR", "1"), "test"),
        (desk(), "test -q --color never"),
        (desk(), "test --log-format json --color never"),
    ];
    for (desk, words) in spared {
        let written = on_a_terminal(desk, words);
        assert!(!written.contains('\u{1b}'), "{words}: {written:?}");
    }
}
