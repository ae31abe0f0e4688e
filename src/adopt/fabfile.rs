//! What the Fabric script was told (magma, `ci-scripts/teravm/fabfile_teravm_conf.json`, until 2022), as answers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{AdoptError, Answers, Key, Remark, Testbed};
use crate::config::{Address, is_plain_name};

/// The users of the script's config, where they are not those of ours.
#[derive(Default)]
struct Users {
    magma: Option<String>,
    ng40: Option<String>,
}

/// Turns the Fabric script's `fabfile_teravm_conf.json` into a configuration: both shapes of `feg`, a text and a list;
/// what is not used stays as a comment.
pub(crate) fn from_fabfile(text: &str) -> Result<String, AdoptError> {
    let value: Value = serde_json::from_str(text).map_err(|source| AdoptError::NoJson { source })?;
    let Value::Object(top) = value else { return Err(AdoptError::NoObject) };
    let mut answers = Answers::default();
    let mut users = Users::default();
    let mut setups = Map::new();
    let mut add = |name: String, setup: Value| {
        if setups.contains_key(&name) {
            return Err(AdoptError::Twice { setup: name });
        }
        setups.insert(name, setup);
        Ok(())
    };
    for (key, value) in top {
        match (key.as_str(), value) {
            ("setups", Value::Object(named)) => {
                named.into_iter().try_for_each(|(name, setup)| add(name, setup))?;
            }
            (_, Value::Object(setup)) if setup.contains_key("gateway") => add(key, Value::Object(setup))?,
            (_, Value::Object(general)) => {
                general.into_iter().try_for_each(|(key, value)| setting(&mut answers, &mut users, key, value))?;
            }
            (_, value) => setting(&mut answers, &mut users, key, value)?,
        }
    }
    if setups.is_empty() {
        return Err(AdoptError::NoSetup);
    }
    for (name, setup) in &setups {
        answers.testbeds.push(testbed(name, setup, &users)?);
    }
    if answers.lists.is_empty() {
        return Err(AdoptError::NoList);
    }
    answers.text()
}

/// Takes over a setting that is not a testbed's.
fn setting(answers: &mut Answers, users: &mut Users, key: String, value: Value) -> Result<(), AdoptError> {
    match key.as_str() {
        "ng40_test_files" => lists(answers, &value)?,
        "magma_username" => users.magma = user("magma_username", &value)?.filter(|user| user != "magma"),
        "ng40_username" => users.ng40 = user("ng40_username", &value)?.filter(|user| user != "ng40"),
        "feg_docker_compose_git" => {
            answers.compose_url = one("feg_docker_compose_git", &value)?;
        }
        "key_filename" => {
            let mut paths = texts(&value).map_err(wrong("key_filename"))?.into_iter();
            if let Some(path) = paths.next() {
                answers.key = Key::File(path);
            }
            // `ssh` is given one key.
            answers.remarks.extend(paths.map(|path| Remark { key: key.clone(), value: Value::String(path) }));
        }
        _ => answers.remarks.push(Remark { key, value }),
    }
    Ok(())
}

fn wrong(key: &'static str) -> impl Fn(String) -> AdoptError {
    move |why| AdoptError::Setting { key, why }
}

/// One text; none where it is empty.
fn one(key: &'static str, value: &Value) -> Result<Option<String>, AdoptError> {
    match texts(value).map_err(wrong(key))?.as_slice() {
        [] => Ok(None),
        [text] => Ok(Some(text.clone())),
        _ => Err(wrong(key)(format!("{} is more than one text", shown(value)))),
    }
}

/// The name of a user; none where it is empty.
fn user(key: &'static str, value: &Value) -> Result<Option<String>, AdoptError> {
    let name = one(key, value)?;
    let is_user = |name: &String| format!("{name}@host").parse::<Address>().is_ok_and(|address| address.user.is_some());
    match name.as_ref().is_none_or(is_user) {
        true => Ok(name),
        false => Err(wrong(key)(format!("{} is not the name of a user", shown(value)))),
    }
}

/// The test lists by their bare names, and the folder where they are. The script had `ng40test` find them in its own.
fn lists(answers: &mut Answers, value: &Value) -> Result<(), AdoptError> {
    let wrong = wrong("ng40_test_files");
    let mut folders = BTreeSet::new();
    for path in texts(value).map_err(&wrong)? {
        let (folder, list) = path.rsplit_once('/').map_or((None, path.as_str()), |(folder, list)| (Some(folder), list));
        if !is_plain_name(list) {
            let list = shown(&Value::String(list.to_owned()));
            return Err(wrong(format!(
                "{list} is not the name of a test list; it has to be of letters, digits, `.`, `-` and `_`"
            )));
        }
        folders.insert(folder.map(str::to_owned));
        answers.lists.push(list.to_owned());
    }
    let folders: Vec<Option<String>> = folders.into_iter().collect();
    match folders.as_slice() {
        [] | [None] => {}
        [Some(folder)] if folder.is_empty() => answers.directory = Some("/".to_owned()),
        [Some(folder)] if folder.starts_with('/') => answers.directory = Some(folder.clone()),
        [Some(folder)] => {
            let folder = shown(&Value::String(folder.clone()));
            return Err(wrong(format!("{folder} is a folder relative to another; write it from `/` on")));
        }
        _ => {
            return Err(wrong("the lists are in several folders, and NG40 is given one (`ng40.directory`)".to_owned()));
        }
    }
    Ok(())
}

fn testbed(name: &str, setup: &Value, users: &Users) -> Result<Testbed, AdoptError> {
    let wrong = |key: &'static str| move |why: String| AdoptError::NoAddress { setup: name.to_owned(), key, why };
    let hosts = |key: &'static str, user: &Option<String>| {
        let hosts = texts(&setup[key]).map_err(wrong(key))?;
        hosts.iter().map(|host| address(host, user).map_err(wrong(key))).collect::<Result<Vec<_>, _>>()
    };
    let one = |key: &'static str, user| match <[String; 1]>::try_from(hosts(key, user)?) {
        Ok([host]) => Ok(host),
        Err(hosts) if hosts.is_empty() => Err(AdoptError::NoHost { setup: name.to_owned(), key }),
        Err(_) => Err(wrong(key)("there is one of it in a testbed".to_owned())),
    };
    let unused =
        setup.as_object().into_iter().flatten().filter(|(key, _)| !["gateway", "feg", "ng40"].contains(&key.as_str()));
    Ok(Testbed {
        name: name.to_owned(),
        agw: one("gateway", &users.magma)?,
        feg: hosts("feg", &users.magma)?,
        ng40: one("ng40", &users.ng40)?,
        remarks: unused.map(|(key, value)| Remark { key: key.clone(), value: value.clone() }).collect(),
    })
}

/// An address of the script as it stands in our configuration: with the user of its kind, unless it names one itself.
fn address(text: &str, user: &Option<String>) -> Result<String, String> {
    let mut address: Address = text.parse()?;
    address.user = address.user.or_else(|| user.clone());
    Ok(address.to_string())
}

/// One text or several; none where it is empty.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let text =
        |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("{} is not a text", shown(value)));
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::Array(values) => values.iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

/// A value in a message.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("`{}`", crate::limit::shortened(&text.into(), 100))
}
