//! The first ten minutes: a configuration made, the program made known to the shell, a red night run again.

use insta::assert_snapshot;

use crate::desk::Desk;

#[test]
fn a_configuration_is_made_from_a_few_answers() {
    let desk = Desk::new();
    let answers = "\n10.0.0.17\n10.0.0.112 10.0.0.113\n10.0.0.75\nworking_testplan_s6a_CI_run.ntl\n\n\n";
    assert_snapshot!(desk.input(answers).run("config init"), @"
        exit 0
        --- standard output
        config/tiplab.yaml
        --- standard error
        What is the testbed called? [setup_1]: The access gateway (HOST or USER@HOST): The federation gateways, with blanks between; none is fine: The NG40: The test lists on the NG40, with blanks between: The OpenVPN profile (a file); nothing, if the lab is reached without a tunnel: The private SSH key (a file); nothing, for the keys of your agent: next: an empty `known_hosts` beside it, then `teravm-ci check`, which shows each host's key, to be compared, and the line to add
        --- changed
        wrote config/
        wrote config/tiplab.yaml
        ");
}

#[test]
fn a_configuration_that_is_there_is_not_written_over() {
    assert_snapshot!(Desk::with_lab().run("config init"), @"
        exit 2
        --- standard error
        error: `config/tiplab.yaml` is there already
          try: `--config FILE` names another place
        ");
}

#[test]
fn a_configuration_that_cannot_be_made_says_why() {
    assert_snapshot!(Desk::new().input("lab\n").run("config init"), @"
        exit 2
        --- standard error
        What is the testbed called? [setup_1]: The access gateway (HOST or USER@HOST): 
        error: the answers ended at: The access gateway (HOST or USER@HOST)
          try: every question has a line, which may be empty where nothing is fine; nothing was written
        ");
    let desk = Desk::new().file("taken", "").input("lab\na\n\nb\ns6a.ntl\n\n\n");
    assert_snapshot!(desk.run("config init --config taken/tiplab.yaml"), @"
        exit 2
        --- standard error
        What is the testbed called? [setup_1]: The access gateway (HOST or USER@HOST): The federation gateways, with blanks between; none is fine: The NG40: The test lists on the NG40, with blanks between: The OpenVPN profile (a file); nothing, if the lab is reached without a tunnel: The private SSH key (a file); nothing, for the keys of your agent: error: cannot make `taken`
          because: File exists (os error 17)
          try: `--config FILE` names another place
        ");
}

#[test]
fn what_the_fabric_script_was_told_is_taken_over() {
    let fabfile = r##"{"ng40_test_files": ["working_testplan_s6a_CI_run.ntl"], "slack_channel": "#magma_ci",
        "setups": {"setup_1": {"gateway": "192.168.60.17", "feg": "192.168.60.112", "ng40": "192.168.60.75"}}}"##;
    let desk = Desk::new().file("fabfile_teravm_conf.json", fabfile);
    let text = desk.run("config import-fabfile fabfile_teravm_conf.json").stdout;
    // The program itself finds it right.
    let desk = Desk::with_config(&text);
    let shown = desk.run("config show").stdout;
    assert!(
        shown.contains("agw: 192.168.60.17") && text.ends_with("# slack_channel: \"#magma_ci\"\n"),
        "{shown}{text}"
    );
    assert_snapshot!(desk.run("config import-fabfile config/tiplab.yaml"), @"
        exit 2
        --- standard error
        error: no config can be made from `config/tiplab.yaml`
          because: it is no JSON
          because: expected value at line 1 column 1
          try: is it the Fabric script's `fabfile_teravm_conf.json`, whole?
        ");
    assert_snapshot!(desk.run("config import-fabfile gone.json"), @"
        exit 2
        --- standard error
        error: cannot read `gone.json`
          because: No such file or directory (os error 2)
          try: name the Fabric script's `fabfile_teravm_conf.json`
        ");
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&Desk::new().run("config schema").stdout).expect("JSON");
    let keys: Vec<&String> = schema["properties"].as_object().expect("an object").keys().collect();
    for key in ["vpn", "ssh", "gate", "links", "history", "suites", "setups"] {
        assert!(keys.iter().any(|known| *known == key), "{key} among {keys:?}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn a_shell_is_told_of_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = Desk::new().run(&format!("completions {shell}"));
        assert_eq!(ended.code, "0");
        assert!(ended.stdout.contains("history") && ended.stdout.contains("import-fabfile"), "{ended}");
    }
}

#[test]
fn only_what_was_not_green_is_run_again() {
    let desk = Desk::with_lab().program("openvpn", "exit 7");
    assert_snapshot!(desk.run("test --failed"), @"
        exit 2
        --- standard error
        error: there is no last run: `results/run.json` cannot be read
          because: No such file or directory (os error 2)
          try: `--results` names the folder of another run; `teravm-ci test SUITE` runs a suite whatever it was
        ");
    assert_eq!(desk.run("upgrade -q").code, "3");
    assert_snapshot!(desk.run("test --failed"), @"
        exit 2
        --- standard error
        error: the last run was `upgrade`, which runs no suite
          try: `--results` names the folder of another run; `teravm-ci test SUITE` runs a suite whatever it was
        ");
    assert_eq!(desk.run("test -q").code, "3");
    let record = desk.json("results/run.json");
    assert_eq!(record["suites"].as_array().map(Vec::len), Some(2));
    // One of the two is made green, as a night that got so far would have it.
    let mut record = record;
    record["suites"][0]["cases"] = serde_json::json!([{
        "number": 1, "name": "a", "verdict": "PASS", "judgement": {"judged": "passed"}, "took": 1.0
    }]);
    record["suites"][0]["end"] = serde_json::json!({
        "verdict": "PASS", "planned": 1, "exit": "exit status 0", "took": 1.0, "notes": [], "problem": null
    });
    let desk = desk.file("results/run.json", record.to_string());
    assert_eq!(desk.run("test --failed -q").code, "3");
    let again = desk.json("results/run.json");
    let names: Vec<_> = again["suites"].as_array().into_iter().flatten().map(|suite| suite["suite"].clone()).collect();
    assert_eq!(names, ["handover"]);
    assert_snapshot!(desk.run("test --failed attach"), @"
        exit 2
        --- standard error
        error: the argument '--failed' cannot be used with '[SUITE]...'

        Usage: teravm-ci test --failed [SUITE]...

        For more information, try '--help'.
        ");
}
