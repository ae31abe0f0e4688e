//! What of `.circleci` a schema cannot see: whoever calls the orb's jobs, in this repository's own configuration and in the lines
//! that README has for another, gives them what they ask for and nothing else.

use std::fs;

use serde_yaml::Value;

/// What a workflow says of a job and the job does not hear.
const OF_THE_WORKFLOW: [&str; 4] = ["requires", "context", "serial-group", "filters"];

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("a file of text")
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

/// How often a configuration calls a job of the orb; panics where the call does not fit the job.
fn calls(config: &Value, orb: &Value) -> usize {
    let mut calls = 0;
    let workflows = config["workflows"].as_mapping().expect("it has workflows");
    for job in workflows.values().flat_map(|workflow| workflow["jobs"].as_sequence().expect("it has jobs")) {
        let (name, given) = match job {
            Value::Mapping(job) => job.iter().next().expect("it has a name"),
            name => (name, &Value::Null),
        };
        let Some(name) = name.as_str().and_then(|name| name.strip_prefix("teravm/")) else { continue };
        let parameters = orb["jobs"][name]["parameters"].as_mapping().expect("the orb has the job");
        for (parameter, of_it) in parameters {
            assert!(
                of_it.get("default").is_some() || given.get(parameter).is_some(),
                "{name}: {parameter:?} is not given"
            );
        }
        for key in given.as_mapping().into_iter().flat_map(|given| given.keys()) {
            let is_known =
                parameters.contains_key(key) || key.as_str().is_some_and(|key| OF_THE_WORKFLOW.contains(&key));
            assert!(is_known, "{name}: {key:?} is no parameter");
        }
        calls += 1;
    }
    calls
}

#[test]
fn the_jobs_of_the_orb_are_called_as_they_want_it() {
    let orb = yaml(&read(".circleci/orb.yml"));
    assert_eq!(calls(&yaml(&read(".circleci/config.yml")), &orb), 2);

    let guide = read("docs/operations.md");
    let mut blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.find(|block| block.contains("/.circleci/orb.yml")).expect("the guide has the lines to copy");
    assert_eq!(calls(&yaml(lines), &orb), 2);
}

#[test]
fn nothing_that_is_piped_ends_its_writer_early() {
    // CircleCI's steps run under `pipefail`, and a writer that is killed by its pipe ends them. `head -c` reads a file.
    for path in [".circleci/config.yml", ".circleci/orb.yml"] {
        let text = read(path);
        let early: Vec<&str> =
            text.lines().filter(|line| line.contains("| head") || line.contains("| grep -q")).collect();
        assert_eq!(early, [""; 0], "{path}");
    }
}
