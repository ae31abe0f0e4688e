//! The command line: what is offered, and what is refused before a config is even looked for.

use insta::assert_snapshot;

use crate::desk::Desk;

/// A refusal says why on standard error, and touches nothing.
fn refused(words: &[&str]) -> String {
    let ended = Desk::with_lab().run_words(words);
    assert_eq!(ended.code, "2", "{words:?}: {ended}");
    assert_eq!((ended.stdout.as_str(), ended.called.as_str(), ended.changed, ended.left), ("", "", vec![], vec![]));
    ended.stderr
}

#[test]
fn the_help_lists_the_commands_that_work() {
    assert_snapshot!(Desk::new().run("--help"), @"
        exit 0
        --- standard output
        Runs a night of TeraVM (NG40) tests against a Magma testbed: tunnel, upgrade, tests, JUnit

        Usage: teravm-ci [OPTIONS] <COMMAND>

        Commands:
          run          Run the whole night: upgrade the gateways, then test
          upgrade      Upgrade the gateways and verify them; no tests
          test         Run test suites on what the gateways run now
          check        Look whether everything that a night needs is there, changing nothing
          report       Turn saved NG40 consoles into the same reports, offline
          vpn          Hold the tunnel up until Ctrl-C, or while a command runs
          logs         Show what a host has been saying: journals, containers, what a run has printed on
                       NG40
          ssh          Log in to a host of the setup, or run a command on it
          lock         Show who has the testbed, or give it back
          gate         Ask whether a release may ship: 0 yes, 1 no, 6 not known
          history      Look at nights that were
          config       Make, check or show the configuration
          completions  Print the completions for a shell
          man          Print the manual page of a command, or write all of them

        Options:
              --config <FILE>        The configuration [env: TERAVM_CI_CONFIG=] [default:
                                     config/tiplab.yaml]
              --setup <NAME>         The testbed, when the configuration has several [env: TERAVM_CI_SETUP=]
              --results <DIR>        Where the reports are written; what an earlier run wrote there is
                                     removed [default: results]
          -v, --verbose...           Show the remote commands and what they print; twice: the program's own
                                     diagnostics too
          -q, --quiet                Show only warnings, failures and the outcome
              --log-format <FORMAT>  How progress is written to standard error [default: text] [possible
                                     values: text, json]
              --color <WHEN>         When to colour [default: auto] [possible values: auto, always, never]
          -h, --help                 Print help
          -V, --version              Print version
        ");
}

#[test]
fn every_command_has_its_help() {
    for command in [
        "run",
        "upgrade",
        "test",
        "check",
        "report",
        "vpn",
        "logs",
        "ssh",
        "lock",
        "lock status",
        "lock release",
        "history",
        "history list",
        "history show",
        "history import",
        "config",
        "config check",
        "config show",
    ] {
        let ended = Desk::new().run(&format!("{command} --help"));
        assert_eq!((ended.code.as_str(), ended.stderr.as_str()), ("0", ""), "{command}");
        let mut usage = ended.stdout.lines().skip_while(|line| !line.starts_with("Usage: "));
        assert!(usage.next().is_some_and(|line| line.starts_with(&format!("Usage: teravm-ci {command}"))), "{command}");
    }
}

#[test]
fn the_helps_of_the_nights_are_whole() {
    assert_snapshot!("run", Desk::new().run("run --help"));
    assert_snapshot!("report", Desk::new().run("report --help"));
}

#[test]
fn the_short_version_is_one_line() {
    assert_snapshot!(Desk::new().run("-V"), @"
        exit 0
        --- standard output
        teravm-ci 0.1.0
        ");
}

#[test]
fn no_command_is_answered_with_the_help() {
    let said = refused(&[]);
    assert_eq!(said, Desk::new().run("--help").stdout);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    assert_snapshot!(refused(&["run", "--only", "agw", "--no-upgrade"]), @"
        error: the argument '--only <KIND>' cannot be used with '--no-upgrade'

        Usage: teravm-ci run --only <KIND>

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["run", "--no-upgrade", "--tag", "latest"]), @"
        error: the argument '--no-upgrade' cannot be used with '--tag <RELEASE>'

        Usage: teravm-ci run --no-upgrade

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["run", "--no-upgrade", "--force"]), @"
        error: the argument '--no-upgrade' cannot be used with '--force'

        Usage: teravm-ci run --no-upgrade

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["run", "-v", "-q"]), @"
        error: the argument '--verbose...' cannot be used with '--quiet'

        Usage: teravm-ci run --verbose...

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["lock", "release"]), @"
        error: the following required arguments were not provided:
          --force

        Usage: teravm-ci lock release --force

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["ssh", "agw", "uptime"]), @"
        error: unexpected argument 'uptime' found

        Usage: teravm-ci ssh [OPTIONS] <HOST> [-- <COMMAND>...]

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["vpn", "make", "tests"]), @"
        error: unexpected argument 'make' found

        Usage: teravm-ci vpn [OPTIONS] [-- <COMMAND>...]

        For more information, try '--help'.
        ");
}

#[test]
fn a_word_that_an_option_does_not_know_is_refused() {
    assert_snapshot!(refused(&["run", "--only", "ng40"]), @"
        error: invalid value 'ng40' for '--only <KIND>'
          [possible values: agw, feg]

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["upgrade", "agw", "mme"]), @"
        error: invalid value 'mme' for '[KIND]...'
          [possible values: agw, feg]

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["run", "--wait", "soon"]), @"
        error: invalid value 'soon' for '--wait <DURATION>': `soon` is not a duration; write it like `90s`, `45m`, `2h45m` or `7d`

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["check", "--color", "sometimes"]), @"
        error: invalid value 'sometimes' for '--color <WHEN>'
          [possible values: auto, always, never]

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["report"]), @"
        error: the following required arguments were not provided:
          <FILE>...

        Usage: teravm-ci report <FILE>...

        For more information, try '--help'.
        ");
}

#[test]
fn a_host_that_the_setup_does_not_have_is_refused_with_those_that_it_has() {
    assert_snapshot!(refused(&["logs", "feg9"]), @"
        error: there is no host `feg9`; did you mean `feg1`?
        ");
    assert_snapshot!(refused(&["ssh", "192.168.60.17", "--", "reboot"]), @"
        error: there is no host `192.168.60.17`; known are `agw`, `feg1`, `ng40`
        ");
    assert_snapshot!(refused(&["logs"]), @"
        error: the following required arguments were not provided:
          <HOST>

        Usage: teravm-ci logs <HOST>

        For more information, try '--help'.
        ");
    assert_snapshot!(refused(&["logs", "agw", "--since", "yesterday"]), @"
        error: invalid value 'yesterday' for '--since <DURATION>': `yesterday` is not a duration; write it like `90s`, `45m`, `2h45m` or `7d`

        For more information, try '--help'.
        ");
}

#[test]
fn a_tag_that_cannot_be_a_release_is_refused() {
    assert_snapshot!(refused(&["run", "--tag", "newest"]), @"
        error: invalid value 'newest' for '--tag <RELEASE>': `newest` is not `latest`, a commit (7 to 40 hex digits) or a version

        For more information, try '--help'.
        ");
    for tag in [
        "",
        " ",
        "1.9",
        "v1.9.0",
        "ebd3bb",
        "ebd3bb5g",
        "1.9.0-1667381719",
        "1.9.0-1667381719-ebd3bb56-1",
        "../ebd3bb56",
        "ebd3bb56;reboot",
        "$(reboot)",
        "`reboot`",
        "1.9.0-1667381719-$(reboot)",
        "ebd3bb56\nreboot",
        "latest latest",
        "ebd3bb5６",
        "*",
        "~",
    ] {
        for command in ["run", "upgrade"] {
            let said = refused(&[command, "--tag", tag]);
            assert!(said.starts_with("error: "), "{tag:?}: {said}");
        }
    }
}

#[test]
fn names_with_a_shells_characters_are_words_that_nobody_knows() {
    for name in ["attach;reboot", "$(reboot)", "`reboot`", "attach & reboot", "../attach", "attach\nreboot", "*", "-x"]
    {
        let said = refused(&["test", "--", name]);
        assert!(said.contains(&format!("there is no suite `{name}`")), "{said}");
        let said = refused(&["run", &format!("--suite={name}")]);
        assert!(said.contains(&format!("there is no suite `{name}`")), "{said}");
        let said = refused(&["run", &format!("--setup={name}")]);
        assert!(said.contains(&format!("there is no setup `{name}`")), "{said}");
    }
}

#[test]
fn a_saved_consoles_suite_has_the_name_that_it_was_given_whatever_that_is() {
    let desk = Desk::new().file("night.txt", include_str!("../fixtures/ng40/all-pass.txt"));
    for name in ["; reboot", "$(reboot)", "../../etc", "a/b", "größe", "-x"] {
        let ended = desk.run_words(&["report", "-q", &format!("--suite={name}"), "night.txt"]);
        assert_eq!(ended.code, "0", "{name}");
        assert_eq!(desk.json("results/run.json")["suites"][0]["suite"], name);
        assert!(ended.changed.iter().all(|change| change.starts_with("wrote results/")), "{:?}", ended.changed);
    }
}

#[test]
fn a_limit_of_packet_loss_that_is_no_percentage_is_refused() {
    assert_snapshot!(refused(&["report", "--max-packet-loss", "NaN", "night.txt"]), @"
        error: invalid value 'NaN' for '--max-packet-loss <PERCENT>': `NaN` is not a percentage from 0 to 100

        For more information, try '--help'.
        ");
    for limit in ["-1", "101", "inf", "some", ""] {
        refused(&["report", &format!("--max-packet-loss={limit}"), "night.txt"]);
    }
}

#[test]
fn a_suite_without_a_name_is_refused() {
    assert_snapshot!(refused(&["report", "--suite", "", "night.txt"]), @"
        error: a value is required for '--suite <NAME>' but none was supplied

        For more information, try '--help'.
        ");
}
