//! A first configuration: from a few answers, or from what the Fabric script was told. It is the example of this repository, which has
//! every key with a sentence, up to its suites and testbeds: these are the operator's own.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value};

use crate::config::{Address, Config, ConfigError, is_plain_name};
use crate::error::hinted;

/// The example, whose suites and testbeds are replaced.
const EXAMPLE: &str = include_str!("../config/tiplab.yaml");
/// From here on it speaks of suites and testbeds.
const SUITES: &str = "# The suites, by the names that reports";
/// Editors that know the YAML language server complete and check by this.
const MODELINE: &str = "# yaml-language-server: $schema=teravm-ci.schema.json\n# `teravm-ci config schema > teravm-ci.schema.json` makes the schema that the line above names.\n#\n";

/// What is said of the tunnel, instead of what the example says.
const TUNNEL: &str = "  kind: openvpn\n";
const PROFILE: &str = "  profile: {env: TERAVM_OVPN, encoding: base64}\n";
const ACCOUNT: &str = "  username: {env: TERAVM_VPN_USERNAME}\n  password: {env: TERAVM_VPN_PASSWORD}\n";
const SSH_KEY: &str = "  key: {env: TERAVM_SSH_KEY, encoding: base64}\n";

/// What keeps a first configuration from being made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error("it is no JSON")]
    NoJson { source: serde_json::Error },
    #[error("it is no object of settings")]
    NoObject,
    #[error("it has no setup")]
    NoSetup,
    #[error("its setup `{setup}` has no `{key}`")]
    NoHost { setup: String, key: &'static str },
    #[error("`{key}` of its setup `{setup}`: {why}")]
    NoAddress { setup: String, key: &'static str, why: String },
    #[error("it names no test list")]
    NoList,
    #[error("what was said makes no config")]
    Refused { source: ConfigError },
    #[error("nobody can be asked")]
    Unasked { source: io::Error },
    #[error("the answers ended at: {question}")]
    Ended { question: String },
}

impl AdoptError {
    fn hint(&self) -> &'static str {
        match self {
            AdoptError::NoJson { .. } | AdoptError::NoObject => {
                "is it the Fabric script's `fabfile_teravm_conf.json`, whole?"
            }
            AdoptError::NoSetup => "a setup is an object with a `gateway` and an `ng40`, by its name or below `setups`",
            AdoptError::NoHost { .. } | AdoptError::NoAddress { .. } => "write it there, or take the setup out",
            AdoptError::NoList => "name the lists there: `\"ng40_test_files\": [\"working_testplan_s6a_CI_run.ntl\"]`",
            AdoptError::Refused { .. } => "mend what it comes from; nothing was written",
            AdoptError::Unasked { .. } => "run it on a terminal, or hand the answers in, a line each",
            AdoptError::Ended { .. } => {
                "every question has a line, which may be empty where nothing is fine; nothing was written"
            }
        }
    }

    /// The same on its way up, with what to try next.
    pub(crate) fn hinted(self) -> anyhow::Error {
        let hint = self.hint();
        hinted(self, hint)
    }
}

/// A testbed as the text will have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Testbed {
    name: String,
    agw: String,
    feg: Vec<String>,
    ng40: String,
    /// What is not used, to stand as comments.
    remarks: Vec<String>,
}

/// What the operator has said, as far as it differs from the example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answers {
    testbeds: Vec<Testbed>,
    /// Test lists.
    lists: Vec<String>,
    tunnel: Tunnel,
    key: Key,
    /// What is not used, to stand as comments at the end.
    remarks: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Tunnel {
    /// As in the example: everything by variables.
    #[default]
    Variables,
    None,
    /// A profile in a file, with an account or without.
    Profile {
        path: String,
        has_account: bool,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Variable,
    Agent,
    File(String),
}

impl Answers {
    /// The text of a configuration.
    fn text(&self) -> Result<String, AdoptError> {
        let end = EXAMPLE.find(SUITES).expect("the example has suites");
        let mut text =
            EXAMPLE[..end].replacen("# The testbeds of the TIP lab. ", &format!("{MODELINE}# Our testbeds. "), 1);
        let mut set = |from: &str, to: &str| {
            assert!(text.contains(from), "the example has no `{from}`");
            text = text.replacen(from, to, 1);
        };
        match &self.tunnel {
            Tunnel::Variables => {}
            Tunnel::None => {
                set(TUNNEL, "  kind: none\n");
                set(PROFILE, "  #profile: {file: client.ovpn}\n");
                set(ACCOUNT, "  #username: {env: TERAVM_VPN_USERNAME}\n  #password: {env: TERAVM_VPN_PASSWORD}\n");
            }
            Tunnel::Profile { path, has_account } => {
                set(PROFILE, &format!("  profile: {{file: {}}}\n", yaml(path)));
                if !has_account {
                    set(ACCOUNT, "  #username: {env: TERAVM_VPN_USERNAME}\n  #password: {env: TERAVM_VPN_PASSWORD}\n");
                }
            }
        }
        match &self.key {
            Key::Variable => {}
            Key::Agent => set(SSH_KEY, "  #key: {file: id_ed25519}\n"),
            Key::File(path) => set(SSH_KEY, &format!("  key: {{file: {}}}\n", yaml(path))),
        }
        text.push_str("# The suites, by the names that reports and the Tests tab show. Keep a name, and its history stays one.\nsuites:\n");
        for list in &self.lists {
            text.push_str(&format!(
                "  {}:\n    # The NG40 test list, by bare name.\n    list: {}\n",
                suite_of(list),
                yaml(list)
            ));
            text.push_str("    # The suite is over within this time, or it is ended and counts as inconclusive.\n    deadline: 45m\n");
        }
        text.push_str("\n# The testbeds. A host is `HOST`, `USER@HOST` or `USER@HOST:PORT`.\nsetups:\n");
        for testbed in &self.testbeds {
            let feg = testbed.feg.iter().map(|feg| yaml(feg)).collect::<Vec<_>>().join(", ");
            let Testbed { name, agw, ng40, .. } = testbed;
            text.push_str(&format!(
                "  {}:\n    agw: {}\n    feg: [{feg}]\n    ng40: {}\n",
                yaml(name),
                yaml(agw),
                yaml(ng40)
            ));
            text.extend(testbed.remarks.iter().map(|remark| format!("    # {remark}\n")));
        }
        if !self.remarks.is_empty() {
            text.push_str("\n# What the Fabric script was told beside, and nothing here uses:\n");
            text.extend(self.remarks.iter().map(|remark| format!("# {remark}\n")));
        }
        // What we write is right, or it is not written.
        Config::parse(&text, "tiplab.yaml".as_ref()).map_err(|source| AdoptError::Refused { source })?;
        Ok(text)
    }
}

/// The name of a suite: what differs between the lists of a lab.
fn suite_of(list: &str) -> String {
    let name = list.strip_suffix(".ntl").unwrap_or(list);
    let name = name.strip_prefix("working_testplan_").unwrap_or(name);
    name.strip_suffix("_CI_run").unwrap_or(name).to_owned()
}

/// A text as YAML has it: in quotes where it could be anything else.
fn yaml(text: &str) -> String {
    let is_plain = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "._-/@".contains(char))
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok();
    if is_plain || is_address { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

/// Turns the Fabric script's `fabfile_teravm_conf.json` into a configuration (magma, `ci-scripts/teravm`, until 2022): both shapes of
/// `feg`, a text and a list; what is not used stays as a comment.
pub(crate) fn from_fabfile(text: &str) -> Result<String, AdoptError> {
    let value: Value = serde_json::from_str(text).map_err(|source| AdoptError::NoJson { source })?;
    let Value::Object(top) = value else { return Err(AdoptError::NoObject) };
    let mut answers = Answers::default();
    let mut users = (None, None);
    let mut setups = Map::new();
    for (key, value) in top {
        match (key.as_str(), value) {
            ("setups", Value::Object(named)) => setups.extend(named),
            (_, Value::Object(setup)) if setup.contains_key("gateway") => {
                setups.insert(key, Value::Object(setup));
            }
            (_, Value::Object(general)) => {
                for (key, value) in general {
                    setting(&mut answers, &mut users, &key, &value);
                }
            }
            (_, value) => setting(&mut answers, &mut users, &key, &value),
        }
    }
    if setups.is_empty() {
        return Err(AdoptError::NoSetup);
    }
    for (name, setup) in setups {
        answers.testbeds.push(testbed(&name, &setup, &users)?);
    }
    if answers.lists.is_empty() {
        return Err(AdoptError::NoList);
    }
    answers.text()
}

/// Takes over a setting that is not a testbed's.
fn setting(answers: &mut Answers, users: &mut (Option<String>, Option<String>), key: &str, value: &Value) {
    let text = value.as_str().map(str::to_owned);
    match (key, text) {
        ("ng40_test_files", _) => answers.lists = texts(value),
        ("magma_username", Some(user)) => users.0 = (user != "magma").then_some(user),
        ("ng40_username", Some(user)) => users.1 = (user != "ng40").then_some(user),
        ("key_filename", Some(path)) => answers.key = Key::File(path),
        _ => answers.remarks.push(format!("{key}: {value}")),
    }
}

fn testbed(name: &str, setup: &Value, users: &(Option<String>, Option<String>)) -> Result<Testbed, AdoptError> {
    let host = |key: &'static str, value: &str, user: &Option<String>| {
        let text = user.as_ref().map_or_else(|| value.to_owned(), |user| format!("{user}@{value}"));
        match text.parse::<Address>() {
            Ok(address) => Ok(address.to_string()),
            Err(why) => Err(AdoptError::NoAddress { setup: name.to_owned(), key, why }),
        }
    };
    let one = |key: &'static str, user| match setup[key].as_str() {
        Some(value) => host(key, value, user),
        None => Err(AdoptError::NoHost { setup: name.to_owned(), key }),
    };
    let unused =
        setup.as_object().into_iter().flatten().filter(|(key, _)| !["gateway", "feg", "ng40"].contains(&key.as_str()));
    Ok(Testbed {
        name: name.to_owned(),
        agw: one("gateway", &users.0)?,
        feg: texts(&setup["feg"]).iter().map(|feg| host("feg", feg, &users.0)).collect::<Result<_, _>>()?,
        ng40: one("ng40", &users.1)?,
        remarks: unused.map(|(key, value)| format!("{key}: {value}")).collect(),
    })
}

/// One text or several.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Asks the few questions, and returns the text of a configuration.
pub(crate) fn from_answers(input: &mut dyn BufRead, output: &mut dyn Write) -> Result<String, AdoptError> {
    let mut ask = Asker { input, output };
    let address = |text: &str| text.parse::<Address>().map(|address| address.to_string());
    let addresses = |text: &str| text.split_whitespace().map(address).collect::<Result<Vec<_>, _>>();
    let plain = |text: &str| match is_plain_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` has to be of letters, digits, `.`, `-` and `_`")),
    };
    let name = ask.question("What is the testbed called?", "setup_1", plain)?;
    let agw = ask.question("The access gateway (HOST or USER@HOST)", "", address)?;
    let feg = ask.question("The federation gateways, with blanks between; none is fine", "", addresses)?;
    let ng40 = ask.question("The NG40", "", address)?;
    let lists = ask.question("The test lists on the NG40, with blanks between", "", |text| {
        let lists = text.split_whitespace().map(plain).collect::<Result<Vec<_>, _>>()?;
        if lists.is_empty() { Err("a night without a test list tests nothing".to_owned()) } else { Ok(lists) }
    })?;
    let path =
        ask.question("The OpenVPN profile (a file); nothing, if the lab is reached without a tunnel", "", |text| {
            Ok(text.to_owned())
        })?;
    let tunnel = if path.is_empty() {
        Tunnel::None
    } else {
        let has_account =
            ask.question("Does the VPN ask for a user name and a password? (y or n)", "n", |text| match text {
                "y" | "yes" => Ok(true),
                "n" | "no" => Ok(false),
                other => Err(format!("`{other}` is neither `y` nor `n`")),
            })?;
        Tunnel::Profile { path, has_account }
    };
    let key = ask.question("The private SSH key (a file); nothing, for the keys of your agent", "", |text| {
        Ok(text.to_owned())
    })?;
    let key = if key.is_empty() { Key::Agent } else { Key::File(key) };
    let testbeds = vec![Testbed { name, agw, feg, ng40, remarks: Vec::new() }];
    Answers { testbeds, lists, tunnel, key, remarks: Vec::new() }.text()
}

/// Somebody who can be asked.
struct Asker<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
}

impl Asker<'_> {
    /// Asks until the answer can be read; nothing is the default.
    fn question<T>(
        &mut self,
        question: &str,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, AdoptError> {
        let unasked = |source| AdoptError::Unasked { source };
        let offered = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        loop {
            write!(self.output, "{question}{offered}: ").and_then(|()| self.output.flush()).map_err(unasked)?;
            let mut line = String::new();
            if self.input.read_line(&mut line).map_err(unasked)? == 0 {
                // What is said of it goes on a line of its own.
                writeln!(self.output).map_err(unasked)?;
                return Err(AdoptError::Ended { question: question.to_owned() });
            }
            let text = if line.trim().is_empty() { default } else { line.trim() };
            match read(text) {
                Ok(answer) => return Ok(answer),
                Err(problem) => writeln!(self.output, "  {problem}").map_err(unasked)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{one_of_each, text};

    /// The values of the lab, as the script had them (magma 7cd29129c2), in its first shape and its last.
    const FABFILE: &str = r##"{
        "general": {
            "ng40_test_files": ["working_testplan_s6a_CI_run.ntl", "working_testplan_gxgy_CI_run.ntl"],
            "magma_username": "magma", "ng40_username": "tester", "key_filename": "/home/magma/.ssh/id_rsa",
            "slack_channel": "#magma_ci"
        },
        "setups": {
            "setup_1": {"controller": "192.168.60.111", "proxy": "192.168.60.110", "feg": "192.168.60.112",
                        "gateway": "192.168.60.17", "ng40": "192.168.60.75"},
            "setup_2": {"feg": ["192.168.61.112", "192.168.61.113"], "gateway": "192.168.61.19", "ng40": "192.168.60.81"}
        }
    }"##;

    #[test]
    fn what_the_fabric_script_was_told_becomes_a_configuration() {
        let text = from_fabfile(FABFILE).expect("it is taken over");
        let config = Config::parse(&text, "tiplab.yaml".as_ref()).expect("it is right");
        let (_, first) = config.setup(Some("setup_1")).expect("it is there");
        assert_eq!(first.agw.to_string(), "192.168.60.17");
        assert_eq!(first.feg.iter().map(Address::to_string).collect::<Vec<_>>(), ["192.168.60.112"]);
        assert_eq!(first.ng40.to_string(), "tester@192.168.60.75");
        let (_, second) = config.setup(Some("setup_2")).expect("it is there");
        assert_eq!(second.feg.len(), 2);
        let lists: Vec<(&str, &str)> =
            config.suites.iter().map(|(name, suite)| (name.as_str(), suite.list.as_str())).collect();
        assert_eq!(lists, [("s6a", "working_testplan_s6a_CI_run.ntl"), ("gxgy", "working_testplan_gxgy_CI_run.ntl")]);
        for remark in [
            "    # controller: \"192.168.60.111\"\n",
            "# slack_channel: \"#magma_ci\"\n",
            "  key: {file: /home/magma/.ssh/id_rsa}\n",
        ] {
            assert!(text.contains(remark), "{remark}\n{text}");
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong_why_and_what_to_try() {
        let refused = |text: &str| from_fabfile(text).expect_err("it cannot be taken over");
        let lists = r#""ng40_test_files": "s6a.ntl""#;
        let errors = one_of_each! {
            AdoptError::NoJson { .. } => refused("not JSON"),
            AdoptError::NoObject => refused("[]"),
            AdoptError::NoSetup => refused("{}"),
            AdoptError::NoHost { .. } => refused(r#"{"setups": {"a": {"gateway": "h"}}}"#),
            AdoptError::NoAddress { .. } => refused(r#"{"a": {"gateway": "$(reboot)", "ng40": "n"}}"#),
            AdoptError::NoList => refused(r#"{"a": {"gateway": "h", "ng40": "n"}}"#),
            AdoptError::Refused { .. } => refused(&format!(r#"{{{lists}, "a": {{"gateway": "h", "ng40": "h"}}}}"#)),
            AdoptError::Unasked { .. } => from_answers(&mut io::empty(), &mut [0; 3].as_mut_slice()).expect_err("no room"),
            AdoptError::Ended { .. } => asked("lab\n").0.expect_err("they ended"),
        };
        let told = errors.map(|error| text(&error.hinted()));
        insta::assert_snapshot!(told.join("\n\n"));
    }

    fn asked(answers: &str) -> (Result<String, AdoptError>, String) {
        let mut output = Vec::new();
        let text = from_answers(&mut answers.as_bytes(), &mut output);
        (text, String::from_utf8(output).expect("questions are text"))
    }

    #[test]
    fn a_few_answers_are_a_configuration() {
        let (text, said) = asked("\nmagma@10.0.0.1\n\n10.0.0.3\ns6a.ntl\n/etc/lab.ovpn\ny\n\n");
        let config = Config::parse(&text.expect("that is all"), "tiplab.yaml".as_ref()).expect("it is right");
        let (name, setup) = config.setup(None).expect("it is the only one");
        assert_eq!((name, setup.feg.len(), setup.agw.to_string().as_str()), ("setup_1", 0, "magma@10.0.0.1"));
        assert!(config.vpn.username.is_some() && config.ssh.key.is_none());
        assert_eq!(said.lines().count(), 1, "{said}");
        let (text, _) = asked("lab\na\nb c\nd\ns6a.ntl\n\nid_rsa\n");
        let config = Config::parse(&text.expect("that is all"), "tiplab.yaml".as_ref()).expect("it is right");
        assert!(config.vpn.profile.is_none() && config.ssh.key.is_some());
    }

    #[test]
    fn an_answer_that_is_none_is_asked_for_again() {
        let (_, said) = asked("l;b\nlab\na b\na\n\nng40\n../s6a.ntl\n\n");
        insta::assert_snapshot!(said);
    }

    #[test]
    fn a_text_is_written_so_that_it_stays_one() {
        for (text, written) in [
            ("s6a.ntl", "s6a.ntl"),
            ("10.0.0.1", "10.0.0.1"),
            ("no", "\"no\""),
            ("a: b", "\"a: b\""),
            ("1e3", "\"1e3\""),
        ] {
            assert_eq!(yaml(text), written);
        }
    }
}
