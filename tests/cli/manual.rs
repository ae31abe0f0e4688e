//! `teravm-ci man`: the pages, one by one and all of them.

use insta::assert_snapshot;

use crate::desk::Desk;

#[test]
fn the_first_page_says_what_is_true_of_every_command() {
    let page = Desk::new().run("man").stdout;
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    assert_eq!(
        headings.join(" "),
        "NAME SYNOPSIS DESCRIPTION OPTIONS SUBCOMMANDS VERSION \"EXIT STATUS\" ENVIRONMENT FILES EXAMPLES \"SEE ALSO\""
    );
}

#[test]
fn a_command_has_a_page_of_its_own() {
    let page = Desk::new().run("man lock release").stdout;
    let (head, options) = page.split_once(".SH SYNOPSIS\n").expect("it has this section");
    let (options, tail) = options.split_once(".SH \"SEE ALSO\"\n").expect("it has this section");
    assert_snapshot!(head, @r#"
        .ie \n(.g .ds Aq \(aq
        .el .ds Aq '
        .TH teravm-ci-lock-release 1  "teravm-ci 0.1.0" "User Commands"
        .SH NAME
        teravm\-ci\-lock\-release \- Take the testbed from whoever has it
        "#);
    assert!(
        options.starts_with(r"\fBteravm\-ci lock release\fR ") && options.contains(r"\fB\-\-force\fR"),
        "{options}"
    );
    assert_snapshot!(tail, @r"\fBteravm\-ci\fR(1), for the exit status, the environment, and the files");
}

#[test]
fn a_page_of_no_command_is_refused() {
    assert_snapshot!(Desk::new().run("man lock open"), @"
        exit 2
        --- standard error
        error: there is no command `lock open`
        ");
}

#[test]
fn every_page_is_written_for_a_package() {
    let desk = Desk::new();
    assert_snapshot!(desk.run("man --out pages").changed.join("\n"), @r"
    wrote pages/
    wrote pages/teravm-ci-check.1
    wrote pages/teravm-ci-completions.1
    wrote pages/teravm-ci-config-check.1
    wrote pages/teravm-ci-config-import-fabfile.1
    wrote pages/teravm-ci-config-init.1
    wrote pages/teravm-ci-config-schema.1
    wrote pages/teravm-ci-config-show.1
    wrote pages/teravm-ci-config.1
    wrote pages/teravm-ci-gate.1
    wrote pages/teravm-ci-history-compare.1
    wrote pages/teravm-ci-history-import.1
    wrote pages/teravm-ci-history-list.1
    wrote pages/teravm-ci-history-page.1
    wrote pages/teravm-ci-history-show.1
    wrote pages/teravm-ci-history.1
    wrote pages/teravm-ci-lock-release.1
    wrote pages/teravm-ci-lock-status.1
    wrote pages/teravm-ci-lock.1
    wrote pages/teravm-ci-logs.1
    wrote pages/teravm-ci-man.1
    wrote pages/teravm-ci-report.1
    wrote pages/teravm-ci-run.1
    wrote pages/teravm-ci-ssh.1
    wrote pages/teravm-ci-test.1
    wrote pages/teravm-ci-upgrade.1
    wrote pages/teravm-ci-vpn.1
    wrote pages/teravm-ci.1
    ");
    assert_eq!(desk.read("pages/teravm-ci.1"), Desk::new().run("man").stdout);
}
