//! What a schema cannot see of `.circleci` and of the samples in the guide: jobs of the orb are called with their parameters,
//! nothing deprecated is used, a night that CircleCI does not run is red, and nothing from a cache or from a moving tag runs
//! beside the secrets.

use std::fs;

use serde_yaml::Value;

/// What a workflow says of a job and the job does not hear.
const OF_THE_WORKFLOW: [&str; 5] = ["name", "requires", "context", "serial-group", "filters"];

/// What CircleCI has deprecated, or what is no longer there, with what takes its place.
const DEPRECATED: [(&str, &str); 9] = [
    ("pipeline.trigger_source", "`pipeline.trigger.type`"),
    ("scheduled_pipeline", "`pipeline.trigger.type == \"schedule\"`"),
    ("pipeline.trigger_parameters", "pipeline parameters"),
    ("branches:", "`filters: pipeline.git.branch == \"main\"`"),
    ("tags:", "`filters: pipeline.git.tag matches ...`"),
    ("equal: [", "an expression"),
    ("circle_workflow_", "pipeline values"),
    (":current", "the date of an image"),
    (":latest", "the date of an image"),
];

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("a file of text")
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

/// The configurations that CircleCI may read: ours, the orb, and the samples of the guide.
fn configurations() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        [".circleci/config.yml", ".circleci/orb.yml"].map(|path| (path.to_owned(), read(path))).into();
    let guide = read("docs/operations.md");
    let blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let samples = blocks.filter(|block| block.starts_with("version: 2.1"));
    all.extend((1..).zip(samples).map(|(number, block)| (format!("sample {number}"), block.to_owned())));
    assert!(all.len() >= 4, "the guide has samples");
    all
}

/// A job as a workflow calls it.
struct Call {
    /// The job that is called.
    job: String,
    /// Its name in the workflow.
    name: String,
    given: Value,
}

impl Call {
    /// The jobs that it requires, with the end that each has to have had.
    fn requires(&self) -> Vec<(String, String)> {
        let required = |value: &Value| match value {
            Value::Mapping(one) => {
                let (name, ends) = one.iter().next().expect("it names a job");
                let ends = match ends {
                    Value::Sequence(ends) => ends.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
                    end => end.as_str().expect("an end").to_owned(),
                };
                (name.as_str().expect("a name").to_owned(), ends)
            }
            name => (name.as_str().expect("a name").to_owned(), "success".to_owned()),
        };
        self.given["requires"].as_sequence().into_iter().flatten().map(required).collect()
    }
}

/// The jobs of each workflow.
fn workflows(config: &Value) -> Vec<Vec<Call>> {
    let call = |job: &Value| {
        let (job, given) = match job {
            Value::Mapping(job) => job.iter().next().map(|(job, given)| (job.clone(), given.clone())).expect("a name"),
            name => (name.clone(), Value::Null),
        };
        let job = job.as_str().expect("a name").to_owned();
        let name = given["name"].as_str().unwrap_or(&job).to_owned();
        Call { job, name, given }
    };
    let workflows = config["workflows"].as_mapping().into_iter().flat_map(|workflows| workflows.values());
    workflows.map(|workflow| workflow["jobs"].as_sequence().expect("jobs").iter().map(call).collect()).collect()
}

/// How often a configuration calls a job of the orb; panics where the call does not fit the job.
fn calls(config: &Value, orb: &Value) -> usize {
    let mut calls = 0;
    for call in workflows(config).into_iter().flatten() {
        let Some(name) = call.job.strip_prefix("teravm/") else { continue };
        let given = &call.given;
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
    let counted: Vec<(String, usize)> =
        configurations().into_iter().map(|(name, text)| (name, calls(&yaml(&text), &orb))).collect();
    let expected = [(".circleci/config.yml", 8), (".circleci/orb.yml", 0), ("sample 1", 1), ("sample 2", 3)];
    assert_eq!(counted, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[test]
fn nothing_deprecated_is_used() {
    for (path, text) in configurations() {
        for (number, line) in (1..).zip(text.lines()) {
            let is_comment = line.trim_start().starts_with('#');
            for (word, instead) in DEPRECATED {
                assert!(is_comment || !line.contains(word), "{path}:{number}: `{word}`; use {instead}: {line}");
            }
        }
    }
}

#[test]
fn a_schedule_and_the_parameter_both_start_the_night_and_nothing_else() {
    const NIGHT: &str = "pipeline.parameters.nightly or pipeline.trigger.type == \"schedule\"";
    let config = yaml(&read(".circleci/config.yml"));
    let when = |workflow: &str| config["workflows"][workflow]["when"].as_str().expect("an expression").to_owned();
    assert_eq!(when("check"), format!("not ({NIGHT})"));
    assert_eq!(when("nightly"), format!("({NIGHT}) and pipeline.parameters.setup == \"all\""));
    assert_eq!(when("night-of-one"), format!("({NIGHT}) and not (pipeline.parameters.setup == \"all\")"));
    let nights = configurations().into_iter().filter(|(_, text)| text.contains("teravm/night:"));
    for (path, text) in nights.filter(|(path, _)| path.starts_with("sample")) {
        let when = &yaml(&text)["workflows"]["nightly"]["when"];
        assert_eq!(when.as_str(), Some(NIGHT), "{path}");
    }
}

/// A job that CircleCI skips in a serial group is `not_run`, and the workflow is green all the same.
#[test]
fn a_job_in_a_serial_group_has_a_guard_and_does_not_meet_another_of_its_workflow() {
    let orb = yaml(&read(".circleci/orb.yml"));
    let steps = serde_yaml::to_string(&orb["jobs"]["not-run"]["steps"]).expect("it is YAML");
    assert!(steps.trim_end().ends_with("exit 1"), "the guard fails: {steps}");
    let mut grouped = 0;
    for (path, text) in configurations() {
        for workflow in workflows(&yaml(&text)) {
            let in_group: Vec<&Call> = workflow.iter().filter(|call| !call.given["serial-group"].is_null()).collect();
            for pair in in_group.windows(2) {
                let follows = (pair[0].name.clone(), "terminal".to_owned());
                assert!(pair[1].requires().contains(&follows), "{path}: {} meets another", pair[1].name);
            }
            for call in in_group {
                let guards = (call.name.clone(), "not_run".to_owned());
                let guard = workflow.iter().find(|guard| guard.requires() == [guards.clone()]);
                let guard = guard.unwrap_or_else(|| panic!("{path}: {} has no guard", call.name));
                assert_eq!((guard.job.as_str(), guard.given["night"].as_str()), ("teravm/not-run", Some(&*call.name)));
                grouped += 1;
            }
        }
    }
    assert_eq!(grouped, 4);
}

/// A cache belongs to the project and not to a branch, and what it unpacks may be anything.
#[test]
fn no_job_restores_a_cache_or_pipes_a_download_into_a_shell() {
    let piped = regex::Regex::new(r"(?s)\b(curl|wget)\b[^|;&]*\|\s*(sudo\s[^|;&]*)?\b(ba|da)?sh\b").expect("a pattern");
    assert!(piped.is_match("curl -sSf https://sh.rustup.rs |\n    sudo --set-home sh -s -- -y"));
    for (path, text) in configurations() {
        assert!(!text.contains("restore_cache"), "{path}: a cache is restored");
        assert!(!piped.is_match(&text), "{path}: {:?}", piped.find(&text));
    }
}

#[test]
fn images_and_orbs_are_pinned() {
    let image = regex::Regex::new(r"(:\d{4}\.\d{2}(\.\d+)?|@sha256:[0-9a-f]{64})$").expect("a pattern");
    let orb = regex::Regex::new(r"^[a-z-]+/[a-z-]+@\d+\.\d+\.\d+$|/[0-9a-f]{40}/.*\.yml$|/COMMIT/").expect("a pattern");
    let mut pinned = 0;
    for (path, text) in configurations() {
        everything(&yaml(&text), &mut |key, value| {
            let Some(value) = value.as_str() else { return };
            if key == "image" {
                assert!(image.is_match(value), "{path}: the image {value} is not pinned");
                pinned += 1;
            }
            if ["teravm", "slack"].contains(&key) {
                let is_address = value.contains('/') && !value.starts_with("<<");
                assert!(!is_address || orb.is_match(value), "{path}: the orb {value} is not pinned");
                pinned += usize::from(is_address);
            }
            if key == "revision" && !value.starts_with("<<") {
                assert!(value == "COMMIT" || value.len() == 40, "{path}: the revision {value} is not pinned");
            }
        });
    }
    assert!(pinned >= 10, "{pinned} images and orbs were found");
}

/// Every key with its value, at any depth.
fn everything(value: &Value, hear: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                hear(key.as_str().unwrap_or_default(), value);
                everything(value, hear);
            }
        }
        Value::Sequence(values) => values.iter().for_each(|value| everything(value, hear)),
        _ => {}
    }
}

#[test]
fn nothing_that_is_piped_ends_its_writer_early() {
    // CircleCI's steps run under `pipefail`, and a writer that is killed by its pipe ends them. `head -c` reads a file.
    for (path, text) in configurations() {
        let early: Vec<&str> =
            text.lines().filter(|line| line.contains("| head") || line.contains("| grep -q")).collect();
        assert_eq!(early, [""; 0], "{path}");
    }
}

/// The commands of all steps of this name, wherever they stand.
fn commands_of(value: &Value, step: &str, found: &mut Vec<String>) {
    match value {
        Value::Mapping(fields) => {
            if value["name"].as_str() == Some(step) {
                found.extend(value["command"].as_str().map(str::to_owned));
            }
            fields.values().for_each(|value| commands_of(value, step, found));
        }
        Value::Sequence(values) => values.iter().for_each(|value| commands_of(value, step, found)),
        _ => {}
    }
}

#[test]
fn nothing_in_a_report_calls_anybody_in_slack() {
    let mut commands = Vec::new();
    for path in [".circleci/config.yml", ".circleci/orb.yml"] {
        commands_of(&yaml(&read(path)), "Prepare the message for Slack", &mut commands);
    }
    assert_eq!(commands.len(), 2);
    let hostile = "# FAILED\n\n`<!channel>` <@U024BE7LH> <http://evil|here> & \"q\" \\ \u{1b}[1m\n";
    // Cut in the midst of a character.
    let long = format!("{hostile}x{}\n<!-- written by teravm-ci -->\n", "ö".repeat(3000));
    let short = format!("{hostile}<!-- written by teravm-ci -->\n");
    let clean = "# FAILED\n\n`&lt;!channel&gt;` &lt;@U024BE7LH&gt; &lt;http://evil|here&gt; &amp; \"q\"  [1m";
    for command in commands {
        for (summary, expected) in [(&short, clean.to_owned()), (&long, format!("{clean}\nx"))] {
            let folder = tempfile::tempdir().expect("a folder");
            let at = |name: &str| folder.path().join(name);
            fs::create_dir(at("results")).expect("an empty folder");
            fs::write(at("results/summary.md"), summary).expect("room");
            let command = command.replace("/tmp/", &format!("{}/", folder.path().display()));
            let told = format!("{command}\n. \"$BASH_ENV\"\nprintf %s \"$TERAVM_SUMMARY\"");
            let output = std::process::Command::new("bash")
                .args(["-eo", "pipefail", "-c", &told])
                .current_dir(folder.path())
                .env("BASH_ENV", at("env"))
                .output()
                .expect("bash is there");
            let text = String::from_utf8(output.stdout).expect("text");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(text.starts_with(&expected) && text.len() <= 2800, "{text}");
            assert!(summary == &long || text == expected, "{text}");
        }
    }
}
