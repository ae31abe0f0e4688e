//! The small words of the config: durations, addresses, networks, and maps whose keys stand once.

use std::fmt;
use std::marker::PhantomData;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

/// The longest duration, a leap year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Reads `90s`, `45m`, `2h45m`, `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write it like `90s`, `45m`, `2h45m` or `7d`");
    let too_long = || format!("`{text}` is longer than `{}`, the longest duration", format_duration(LONGEST));
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        // A number that is too large for us is one all the same.
        let amount: u64 = rest[..digits].parse().map_err(|_| if digits > 0 { too_long() } else { wrong() })?;
        let (unit, length) = match &rest[digits..] {
            unit if unit.starts_with("ms") => (1, 2),
            unit if unit.starts_with('s') => (1_000, 1),
            unit if unit.starts_with('m') => (60_000, 1),
            unit if unit.starts_with('h') => (3_600_000, 1),
            unit if unit.starts_with('d') => (86_400_000, 1),
            _ => return Err(wrong()),
        };
        if unit >= last_unit {
            return Err(wrong());
        }
        last_unit = unit;
        let millis = amount.checked_mul(unit).ok_or_else(too_long)?;
        total = total.checked_add(Duration::from_millis(millis)).ok_or_else(too_long)?;
        rest = &rest[digits + length..];
    }
    if text.is_empty() {
        return Err(wrong());
    }
    // Longer than a year is a slip of the hand, and would overflow a clock somewhere.
    if total > LONGEST {
        return Err(too_long());
    }
    Ok(total)
}

/// Writes a duration the way the config has it.
pub(crate) fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if millis >= unit {
            text.push_str(&format!("{}{name}", millis / unit));
            millis %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Durations in the config.
pub(super) mod duration {
    use super::{Duration, parse_duration};
    use serde::{Deserializer, Serializer, de::Visitor};
    use std::fmt;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration like `90s`, `45m` or `2h45m`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
                parse_duration(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Written)
    }
}

/// Reads a percentage.
pub(crate) fn parse_percentage(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is not a percentage from 0 to 100");
    text.parse().ok().filter(is_percentage).ok_or_else(wrong)
}

pub(super) fn is_percentage(number: &f64) -> bool {
    (0.0..=100.0).contains(number)
}

/// Where a host is: `192.168.60.17`, `agw.lab`, `magma@192.168.60.17:2222`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// The user to log in as, where it is not the one of its kind.
    pub user: Option<String>,
    pub host: String,
    pub port: u16,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address; write `HOST`, `USER@HOST` or `USER@HOST:PORT`");
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, 22),
        };
        let is_word = |word: &str| {
            !word.is_empty()
                && !word.starts_with('-')
                && word.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
        };
        let is_host = is_word(host) || host.parse::<std::net::Ipv6Addr>().is_ok();
        if !is_host || user.as_deref().is_some_and(|user| !is_word(user)) || port == 0 {
            return Err(wrong());
        }
        Ok(Address { user, host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if self.port != 22 {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// Where nights are kept: `sqlite:FILE`, or `postgres://USER@HOST:PORT/DATABASE`, without a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(Url),
}

impl std::str::FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a database; write `sqlite:FILE` or `postgres://USER@HOST/DATABASE`");
        if let Some(path) = text.strip_prefix("sqlite:") {
            return if path.is_empty() || path.contains('\0') {
                Err(wrong())
            } else {
                Ok(Database::Sqlite(path.into()))
            };
        }
        let url = Url::parse(text).map_err(|_| {
            // Without the text: a password may stand in it.
            "this is not a database; write `sqlite:FILE` or `postgres://USER@HOST/DATABASE`".to_owned()
        })?;
        // The driver takes it from either place.
        if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
            return Err("the password of a database stands in `history.password`, by reference".to_owned());
        }
        let is_postgres = matches!(url.scheme(), "postgres" | "postgresql") && url.has_host();
        if is_postgres && url.path().len() > 1 { Ok(Database::Postgres(url)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Database::Postgres(url) => write!(f, "{url}"),
        }
    }
}

/// An IPv4 network, `192.168.60.0/24`; a single address is a network of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

impl Network {
    /// The network mask, as OpenVPN's `--route` wants it.
    pub(crate) fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0))
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an IPv4 network; write it like `192.168.60.0/24`");
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if !(1..=32).contains(&prefix) {
            return Err(wrong());
        }
        let network = Network { address, prefix };
        if u32::from(address) & !u32::from(network.mask()) != 0 {
            return Err(format!("`{text}` has bits outside its mask"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What stands in the file as a text and is something else here.
pub(super) struct Written<T>(PhantomData<T>);

impl schemars::JsonSchema for Written<Duration> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$";
        schemars::json_schema!({"type": "string", "description": "A time like `90s`, `45m`, `2h45m` or `7d`", "pattern": pattern})
    }
}

macro_rules! written_as_text {
    ($type:ty, $what:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "description": $what})
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;
                impl Visitor<'_> for Written {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Written)
            }
        }
    };
}

written_as_text!(Address, "an address like `192.168.60.17` or `magma@192.168.60.17:22`");
written_as_text!(Database, "a database like `sqlite:history.sqlite` or `postgres://teravm@db.lab/teravm`");
written_as_text!(Network, "an IPv4 network like `192.168.60.0/24`");

/// A map in which no key stands twice, in the order of the file. YAML readers silently let the last one win.
pub(super) fn unique_map<'de, D, V>(deserializer: D) -> Result<IndexMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Unique<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = IndexMap<String, V>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of names")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = IndexMap::new();
            while let Some(key) = access.next_key::<String>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format!("duplicate field `{key}`")));
                }
                map.insert(key, access.next_value()?);
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(Unique(PhantomData))
}

/// Says that a name is not known, and which one may have been meant.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None => {
            let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("there is no {what} `{name}`; known are {known}")
        }
    }
}

/// The known name that is most like `name`, if one is. What is longer than any name is not compared: that takes the square of
/// its length.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 200;
    known
        .filter(|candidate| name.len() <= LONGEST && candidate.len() <= LONGEST)
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|&(likeness, _)| likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_the_same() {
        for text in ["90s", "45m", "2h45m", "7d", "1d2h3m4s5ms", "0s"] {
            let duration = parse_duration(text).expect(text);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration), "{text}");
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "1m30s");
    }

    #[test]
    fn a_duration_without_unit_or_out_of_order_is_refused() {
        for text in ["", "90", "s", "1.5h", "5m2h", "1m1m", "-5s", "99999999d", "5 m", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_too_long_is_told_the_longest_one() {
        for text in ["999d", "366d1s", "99999999999999d", "18446744073709551615d", "99999999999999999999s"] {
            let told = parse_duration(text).expect_err(text);
            assert_eq!(told, format!("`{text}` is longer than `366d`, the longest duration"));
        }
        assert_eq!(parse_duration("366d"), Ok(LONGEST));
    }

    #[test]
    fn addresses_are_read_with_and_without_user_and_port() {
        for text in ["192.168.60.17", "magma@agw.lab", "magma@192.168.60.17:2222", "fe80::1"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for text in ["", "-oProxyCommand=x", "a b", "host:0", "host:x", "@host", "-x@host", "$(reboot)"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_knows_its_mask() {
        let network: Network = "192.168.60.0/24".parse().expect("a network");
        assert_eq!(network.mask().to_string(), "255.255.255.0");
        for text in ["192.168.60.1/24", "0.0.0.0/0", "192.168.60.0/33", "lab"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
