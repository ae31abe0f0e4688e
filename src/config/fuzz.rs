//! What must hold for any text that somebody writes into a config.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::place::lines;
use super::{Address, Config, ConfigError, Network, format_duration, is_plain_name, parse_duration, words};
use crate::fuzz::is_one_line;

/// The property of configs: what is accepted means the same when it is written out, and what is refused is refused in words, at a
/// place of the text.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    text.split_whitespace().for_each(word);
    match Config::parse(&text, Path::new("lab.yaml")) {
        Ok(config) => accepted(&config),
        Err(error) => refused(&error, &text),
    }
}

/// What a word means, it means again when it is written out.
fn word(text: &str) {
    if let Ok(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        assert!(duration <= Duration::from_secs(366 * 86_400));
    }
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse(), Ok(address.clone()));
        assert!(!address.host.starts_with('-') && address.user.is_none_or(|user| !user.starts_with('-')));
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
        assert_eq!(network.mask().to_bits().count_ones(), u32::from(network.prefix));
    }
}

fn accepted(config: &Config) {
    let mut value = serde_yaml::to_value(config).expect("a config is plain data");
    // A secret is written as what hides it, which is no reference.
    for (room, secrets) in [
        ("vpn", &["profile", "username", "password", "key_passphrase"][..]),
        ("ssh", &["key"]),
        ("history", &["password"]),
    ] {
        for secret in secrets {
            if !value[room][*secret].is_null() {
                value[room][*secret] = serde_yaml::from_str("{env: HIDDEN}").expect("a reference");
            }
        }
    }
    let text = written(&value);
    let again = Config::parse(&text, Path::new("again.yaml"));
    let again = again.unwrap_or_else(|error| panic!("written out it is refused: {error}\n{text}"));
    assert_eq!(written(&again), written(config));

    let names = config.suites.keys().chain(config.setups.keys());
    assert!(names.chain(config.suites.values().map(|suite| &suite.list)).all(|name| is_plain_name(name)));
    for name in config.setups.keys() {
        assert!(config.setup(Some(name)).is_ok_and(|(found, _)| found == name));
        let setup = &config.setups[name];
        assert!(setup.suites.is_empty() || config.suites_of(name).len() == setup.suites.len());
    }
    assert!(config.lock.expire >= config.lock.renew * 3 && config.verify.timeout > config.verify.stable);
    let limits = config.suites.values().filter_map(|suite| suite.max_packet_loss);
    assert!(limits.into_iter().all(|limit| words::is_percentage(&limit)));
}

fn written(config: &impl Serialize) -> String {
    serde_yaml::to_string(config).expect("a config is plain data")
}

fn refused(error: &ConfigError, text: &str) {
    let told = error.to_string();
    assert!(told.lines().all(is_one_line), "{told:?} does something to a terminal");
    let (at, message, snippet) = match error {
        ConfigError::Wrong { at, message, snippet, .. } => (at, message, snippet),
        ConfigError::Empty { .. } => return,
        ConfigError::Unreadable { .. } => panic!("nothing was read from a file"),
    };
    assert!(!message.trim().is_empty() && !snippet.ends_with('\n'));
    let Some(at) = at else { return };
    // The end of the text, below its last line, is a place too.
    assert!((1..=lines(text).count() + 1).contains(&at.line), "{told}");
    let width = lines(text).nth(at.line - 1).map_or(0, |line| line.chars().count());
    assert!((1..=width + 1).contains(&at.column), "{told}");
}
