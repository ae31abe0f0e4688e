//! A first configuration: from a few answers, or from what the Fabric script was told. It is the example of this repository, which has
//! every key with a sentence, up to its suites and testbeds: these are the operator's own.

mod fabfile;

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use crate::config::{Address, Config, is_plain_name};
use crate::error::hinted;
use crate::secret::MASK;

pub(crate) use fabfile::from_fabfile;

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
const DIRECTORY: &str = "  #directory: /home/ng40/magma/automation\n";
const COMPOSE_URL: &str =
    "  #compose_url: (https://raw.githubusercontent.com/magma/magma/{commit}/feg/gateway/docker/docker-compose.yml)\n";
const COMPOSE_URL_OF_RELEASE: &str =
    "  # The Fabric script fetched the file from here at every upgrade, whatever the release.\n";
const APT: &str =
    "\n# The Fabric script wrote this apt source on the AGW; now it has to be there already, and is not changed:\n";
const UNUSED: &str = "\n# What the Fabric script was told beside, and nothing here uses:\n";
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
    #[error("it has two setups `{setup}`")]
    Twice { setup: String },
    #[error("its setup `{setup}` has no `{key}`")]
    NoHost { setup: String, key: &'static str },
    #[error("`{key}` of its setup `{setup}`: {why}")]
    NoAddress { setup: String, key: &'static str, why: String },
    #[error("`{key}`: {why}")]
    Setting { key: &'static str, why: String },
    #[error("it names no test list")]
    NoList,
    #[error("this does not form a valid configuration: {why}")]
    Refused { why: String },
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
            AdoptError::Twice { .. } => "give one of them another name, or take it out",
            AdoptError::NoHost { .. } | AdoptError::NoAddress { .. } => "write it there, or take the setup out",
            AdoptError::Setting { .. } => "write there what holds for your testbed, or take the key out",
            AdoptError::NoList => "name the lists there: `\"ng40_test_files\": [\"working_testplan_s6a_CI_run.ntl\"]`",
            AdoptError::Refused { .. } => "change what it comes from; nothing was written",
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
    remarks: Vec<Remark>,
}

/// A setting that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remark {
    key: String,
    value: Value,
}

impl Remark {
    /// The rest of a comment, on one line.
    fn text(&self) -> String {
        format!("{}: {}", yaml(&self.key), one_line(&masked(&self.key, &self.value).to_string()))
    }
}

/// A value without what may be a secret, by the names of the keys that lead to it: it is written into a file that is committed.
fn masked(key: &str, value: &Value) -> Value {
    const SECRETS: [&str; 5] = ["pass", "secret", "token", "webhook", "private"];
    let key = key.to_lowercase();
    match value {
        _ if SECRETS.iter().any(|word| key.contains(word)) => Value::String(MASK.to_owned()),
        Value::Object(inner) => inner.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect(),
        Value::Array(values) => values.iter().map(|value| masked("", value)).collect(),
        other => other.clone(),
    }
}

/// What the operator has said, as far as it differs from the example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answers {
    testbeds: Vec<Testbed>,
    /// Test lists.
    lists: Vec<String>,
    /// Where they are, if not where the example says.
    directory: Option<String>,
    /// Where the compose file comes from at each upgrade.
    compose_url: Option<String>,
    tunnel: Tunnel,
    key: Key,
    /// What is not used, to stand as comments at the end.
    remarks: Vec<Remark>,
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
        if let Some(directory) = &self.directory {
            set(DIRECTORY, &format!("  directory: {}\n", yaml(directory)));
        }
        if let Some(url) = &self.compose_url {
            set(COMPOSE_URL, &format!("{COMPOSE_URL_OF_RELEASE}{}  compose_url: {}\n", of_release(url), yaml(url)));
        }
        text.push_str("# The suites, by the names that reports and the Tests tab show. Keep a name, and its history stays one.\nsuites:\n");
        for (suite, list) in suites_of(&self.lists) {
            text.push_str(&format!(
                "  {}:\n    # The NG40 test list, by bare name.\n    list: {}\n",
                yaml(&suite),
                yaml(&list)
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
            text.extend(testbed.remarks.iter().map(|remark| format!("    # {}\n", remark.text())));
        }
        let (apt, others): (Vec<&Remark>, Vec<&Remark>) =
            self.remarks.iter().partition(|remark| remark.key.starts_with("agw_apt_"));
        for (title, remarks) in [(APT, apt), (UNUSED, others)] {
            if !remarks.is_empty() {
                text.push_str(title);
                text.extend(remarks.into_iter().map(|remark| format!("# {}\n", remark.text())));
            }
        }
        // What we write is right, or it is not written.
        match Config::parse(&text, "tiplab.yaml".as_ref()) {
            Ok(_) => Ok(text),
            // Nobody has the text: its lines tell nothing.
            Err(error) => Err(AdoptError::Refused { why: error.message() }),
        }
    }
}

/// A comment with the address of the release's own file, where a branch of a repository on GitHub is named.
fn of_release(url: &str) -> String {
    let parts: Vec<&str> = url.split('/').collect();
    match parts.as_slice() {
        ["https:", "", "raw.githubusercontent.com", owner, repository, branch, rest @ ..] if *branch != "{commit}" => {
            let url = ["https:", "", "raw.githubusercontent.com", owner, repository, "{commit}"];
            let url = one_line(&[&url[..], rest].concat().join("/"));
            format!("  # The one of each release is {url}\n")
        }
        _ => String::new(),
    }
}

/// The test lists, each with the name of its suite: what differs between the lists of a lab, or more of the list's name
/// where another list could have it too.
fn suites_of(lists: &[String]) -> IndexMap<String, String> {
    let lists: IndexSet<&String> = lists.iter().collect();
    let names = |list: &str| {
        let stem = list.strip_suffix(".ntl").unwrap_or(list);
        let short = stem.strip_prefix("working_testplan_").unwrap_or(stem);
        let short = short.strip_suffix("_CI_run").unwrap_or(short);
        IndexSet::from([short, stem, list].map(str::to_owned))
    };
    let mut count: HashMap<String, usize> = HashMap::new();
    for name in lists.iter().flat_map(|list| names(list)) {
        *count.entry(name).or_default() += 1;
    }
    let name_of = |list: &str| names(list).into_iter().find(|name| count[name] == 1 && is_plain_name(name));
    lists.into_iter().map(|list| (name_of(list).unwrap_or_else(|| list.clone()), list.clone())).collect()
}

/// A text as YAML has it: in quotes where it could be anything else.
fn yaml(text: &str) -> String {
    let is_plain = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "._-/@".contains(char))
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok();
    let is_url = text.starts_with("https://")
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "._-/:".contains(char))
        && !text.ends_with(':');
    if is_plain || is_address || is_url {
        text.to_owned()
    } else {
        one_line(&Value::String(text.to_owned()).to_string())
    }
}

/// JSON as it may stand on a line of YAML, in quotes or in a comment: whatever would end the line, or is not a valid YAML character,
/// is written as an escape. JSON itself escapes what is ASCII.
fn one_line(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        match u32::from(char) {
            _ if char.is_alphanumeric() || char == ' ' || char.is_ascii_graphic() => text.push(char),
            code @ ..=0xffff => text.push_str(&format!("\\u{code:04x}")),
            code => text.push_str(&format!("\\U{code:08x}")),
        }
    }
    text
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
    Answers { testbeds, lists, tunnel, key, ..Answers::default() }.text()
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
            AdoptError::Twice { .. } => refused(r#"{"setups": {"a": {}}, "a": {"gateway": "h"}}"#),
            AdoptError::Setting { .. } => refused(r#"{"magma_username": "<user>", "a": {"gateway": "h", "ng40": "n"}}"#),
            AdoptError::NoList => refused(r#"{"a": {"gateway": "h", "ng40": "n"}}"#),
            AdoptError::Refused { .. } => refused(&format!(r#"{{{lists}, "a": {{"gateway": "h", "ng40": "h"}}}}"#)),
            AdoptError::Unasked { .. } => from_answers(&mut io::empty(), &mut [0; 3].as_mut_slice()).expect_err("no room"),
            AdoptError::Ended { .. } => asked("lab\n").0.expect_err("they ended"),
        };
        let told = errors.map(|error| text(&error.hinted()));
        insta::assert_snapshot!(told.join("\n\n"));
    }

    /// What the importer makes of settings and a testbed beside them.
    fn imported(settings: &str) -> Result<(String, Config), String> {
        let setup = r#""setups": {"lab": {"gateway": "h1", "feg": "h2", "ng40": "h3"}}"#;
        let text = from_fabfile(&format!("{{{setup}, {settings}}}")).map_err(|error| error.to_string())?;
        let config = Config::parse(&text, "tiplab.yaml".as_ref()).expect("it is right");
        Ok((text, config))
    }

    #[test]
    fn lists_are_named_by_what_tells_them_apart_and_may_be_in_a_folder() {
        let suites = |lists: &str| {
            let (_, config) = imported(&format!(r#""ng40_test_files": {lists}"#))?;
            let suites: Vec<String> =
                config.suites.iter().map(|(name, suite)| format!("{name}={}", suite.list)).collect();
            Ok::<_, String>((suites.join(" "), config.ng40.directory))
        };
        let ours = "/home/ng40/magma/automation";
        for (lists, named, directory) in [
            (r#"["working_testplan_s6a_CI_run.ntl", "a"]"#, "s6a=working_testplan_s6a_CI_run.ntl a=a", ours),
            (
                r#"["s6a.ntl", "working_testplan_s6a_CI_run.ntl"]"#,
                "s6a.ntl=s6a.ntl working_testplan_s6a_CI_run=working_testplan_s6a_CI_run.ntl",
                ours,
            ),
            (r#"["a", "a.ntl", "a"]"#, "a=a a.ntl=a.ntl", ours),
            (r#""/home/ng40/lists/s6a.ntl""#, "s6a=s6a.ntl", "/home/ng40/lists"),
            (r#"["/lists: #1/s6a.ntl", "/lists: #1/b.ntl"]"#, "s6a=s6a.ntl b=b.ntl", "/lists: #1"),
        ] {
            assert_eq!(suites(lists), Ok((named.to_owned(), directory.to_owned())));
        }
        for (lists, why) in [
            (
                r#"["/a/s6a.ntl", "/b/s6a.ntl"]"#,
                "the lists are in several folders, and NG40 is given one (`ng40.directory`)",
            ),
            (
                r#"["/a/s6a.ntl", "b.ntl"]"#,
                "the lists are in several folders, and NG40 is given one (`ng40.directory`)",
            ),
            (r#""lists/s6a.ntl""#, "`lists` is a folder relative to another; write it from `/` on"),
            (
                r#"["a b.ntl"]"#,
                "`a b.ntl` is not the name of a test list; it has to be of letters, digits, `.`, `-` and `_`",
            ),
            ("[7]", "`7` is not a text"),
        ] {
            assert_eq!(suites(lists), Err(format!("`ng40_test_files`: {why}")));
        }
    }

    #[test]
    fn a_user_of_an_address_goes_before_that_of_all_and_a_placeholder_is_named_by_its_key() {
        let hosts = |rest: &str| {
            let text = from_fabfile(&format!(r#"{{"ng40_test_files": "a.ntl", {rest}}}"#))
                .map_err(|error| error.to_string())?;
            let config = Config::parse(&text, "tiplab.yaml".as_ref()).expect("it is right");
            let setup = &config.setups["lab"];
            let hosts = [&setup.agw].into_iter().chain(&setup.feg).chain([&setup.ng40]);
            Ok::<_, String>(hosts.map(Address::to_string).collect::<Vec<_>>().join(" "))
        };
        let setup =
            r#""lab": {"gateway": "vagrant@10.0.0.1:2222", "feg": ["10.0.0.2", "b@10.0.0.3"], "ng40": "10.0.0.4:22"}"#;
        assert_eq!(
            hosts(&format!(r#""magma_username": "ubuntu", "ng40_username": "ng40", {setup}"#)),
            Ok("vagrant@10.0.0.1:2222 ubuntu@10.0.0.2 b@10.0.0.3 10.0.0.4".to_owned())
        );
        let wrong = hosts(&format!(r#""magma_username": "<username>", {setup}"#));
        assert_eq!(wrong, Err("`magma_username`: `<username>` is not the name of a user".to_owned()));
        // Not one gateway less than the file has.
        let wrong = hosts(r#""lab": {"gateway": "a", "feg": ["b", 7], "ng40": "c"}"#);
        assert_eq!(wrong, Err("`feg` of its setup `lab`: `7` is not a text".to_owned()));
        let wrong = hosts(r#""lab": {"gateway": "a", "feg": ["b", "a"], "ng40": "c"}"#).expect_err("refused");
        assert!(
            !wrong.contains("tiplab.yaml") && wrong.contains("`a` is the host of `setups.lab.agw` already"),
            "{wrong}"
        );
    }

    #[test]
    fn keys_and_the_address_of_the_compose_file_are_taken_over() {
        let lists = r#""ng40_test_files": "a.ntl""#;
        let url =
            "https://raw.githubusercontent.com/facebookincubator/magma/master/feg/gateway/docker/docker-compose.yml";
        let (text, config) = imported(&format!(r#"{lists}, "feg_docker_compose_git": "{url}""#)).expect("it is right");
        assert_eq!(config.feg.compose_url.as_deref(), Some(url));
        let release = url.replace("master", "{commit}");
        assert!(text.contains(&format!("# The one of each release is {release}\n  compose_url: {url}\n")), "{text}");
        assert!(!text.contains("nothing here uses"), "{text}");
        for (keys, key) in [(r#""~/.ssh/id_rsa""#, "~/.ssh/id_rsa"), (r#"["a: b", "~/b"]"#, "a: b")] {
            let (text, config) = imported(&format!(r#"{lists}, "key_filename": {keys}"#)).expect("it is right");
            assert_eq!(config.ssh.key.map(|key| key.name()), Some(key.to_owned()));
            assert_eq!(text.contains("# key_filename: \"~/b\"\n"), keys.starts_with('['), "{text}");
        }
        let (text, _) = imported(&format!(
            r#"{lists}, "agw_apt_source_file": "/etc/x", "vpn_password": "hunter2", "list": [{{"Token": [1], "a": 2}}]"#
        ))
        .expect("it is right");
        assert!(text.contains("is not changed:\n# agw_apt_source_file: \"/etc/x\"\n"), "{text}");
        assert!(
            text.ends_with("nothing here uses:\n# vpn_password: \"***\"\n# list: [{\"Token\":\"***\",\"a\":2}]\n"),
            "{text}"
        );
        let wrong = imported(&format!(r#"{lists}, "feg_docker_compose_git": "-o /etc/passwd""#)).expect_err("refused");
        assert!(wrong.contains("feg.compose_url: `-o /etc/passwd` is not an address"), "{wrong}");
    }

    /// Texts that would be more than a text if they were not escaped.
    fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
        let breaks = proptest::sample::select(vec![
            "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}", "\u{feff}", "\0", "\u{7f}", "\u{9f}", "\u{ffff}", "", "#",
        ]);
        let words = proptest::sample::select(vec![
            "setups:\n  evil:\n    agw: 6.6.6.6\n    ng40: 6.6.6.7\n",
            "  evil:\n    agw: 6.6.6.6\n    ng40: 6.6.6.7\n",
            "default_setup: evil\n#",
            "\"\\'{}[]: &a *a !t |",
            "y",
        ]);
        proptest::strategy::Strategy::prop_map((breaks, words, ".{0,8}"), |(end, word, any)| {
            format!("x{any}{end}{word}")
        })
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_keys_and_values_are_the_config_has_the_setups_that_are_there(
            keys in proptest::collection::vec((hostile(), hostile()), 0..4),
            path in hostile(),
            folder in hostile(),
        ) {
            let others = || keys.iter().map(|(key, value)| (key.clone(), serde_json::json!([value, {(value.as_str()): value}])));
            let mut setup: serde_json::Map<String, Value> = others().collect();
            for (key, host) in [("gateway", "h1"), ("feg", "h2"), ("ng40", "h3")] {
                setup.insert(key.to_owned(), host.into());
            }
            let mut general: serde_json::Map<String, Value> = others().collect();
            let list = format!("/{}/a.ntl", folder.replace('/', ""));
            general.insert("ng40_test_files".to_owned(), list.into());
            general.insert("key_filename".to_owned(), path.as_str().into());
            let value = serde_json::json!({"general": general, "setups": {"lab": setup}});
            let text = from_fabfile(&value.to_string()).expect("it is taken over");
            let config = Config::parse(&text, "tiplab.yaml".as_ref()).expect("it is right");
            let (_, plain) = imported(r#""ng40_test_files": "/x/a.ntl", "key_filename": "x""#).expect("it is right");
            proptest::prop_assert_eq!(config.ssh.key.as_ref().map(crate::secret::SecretRef::name), Some(path));
            proptest::prop_assert_eq!(&config.ng40.directory, &format!("/{}", folder.replace('/', "")));
            // And in all else it is what it is without them.
            let rest = |mut config: Config| {
                config.ssh.key = None;
                config.ng40.directory.clear();
                serde_yaml::to_string(&config).expect("a config is plain data")
            };
            proptest::prop_assert_eq!(rest(config), rest(plain));
        }

        #[test]
        fn a_name_that_is_no_name_is_refused_whatever_it_is(name in hostile()) {
            let setup = serde_json::json!({"gateway": "h1", "ng40": "h3"});
            let mut value = serde_json::json!({"ng40_test_files": "a.ntl", "setups": {}});
            value["setups"][name.as_str()] = setup;
            match from_fabfile(&value.to_string()) {
                Ok(text) => {
                    let config = Config::parse(&text, "tiplab.yaml".as_ref()).expect("it is right");
                    proptest::prop_assert_eq!(config.setups.keys().collect::<Vec<_>>(), [&name]);
                }
                Err(error) => proptest::prop_assert!(!is_plain_name(&name), "{}", error),
            }
        }
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
