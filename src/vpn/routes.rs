//! Where packets leave this machine: asked of the kernel, never assumed. Changes nothing.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::lookup_host;

use super::boundary::{Interface, Node, Route, parse_resolvers};
use crate::process::{Command, RunError, find};

/// `ip` answers at once, or the machine has other problems.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const RESOLVER: &str = "/etc/resolv.conf";

/// Where systemd-resolved, which itself listens at 127.0.0.53, keeps the resolvers that it asks.
const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// What cannot be known about this machine's routes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("the program `ip` (of iproute2) is not on this machine")]
    NoIp,
    #[error("`ip` does not answer")]
    Ip(#[from] RunError),
    #[error("`ip {question}` says: {answer}")]
    Answer { question: String, answer: String },
    #[error("the host `{host}` does not resolve")]
    Name { host: String, source: std::io::Error },
    #[error("the host `{0}` resolves to no address")]
    NoAddress(String),
}

/// A host of the setup, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

/// Returns the address of each host, by this machine's own resolver.
pub(crate) async fn places(hosts: &[(String, String)]) -> Result<Vec<Place>, RouteError> {
    let mut places = Vec::new();
    for (host, address) in hosts {
        let address = match address.parse() {
            Ok(address) => address,
            Err(_) => lookup_host((address.as_str(), 22))
                .await
                .map_err(|source| RouteError::Name { host: address.clone(), source })?
                .map(|socket| socket.ip())
                // The tunnel is IPv4 as a rule.
                .min_by_key(IpAddr::is_ipv6)
                .ok_or_else(|| RouteError::NoAddress(address.clone()))?,
        };
        places.push(Place { host: host.clone(), address });
    }
    Ok(places)
}

/// The way that a host's packets take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
    /// None when the machine has no way there.
    pub(crate) device: Option<String>,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Some(device) => write!(f, "`{}` ({}) by `{device}`", self.host, self.address),
            None => write!(f, "`{}` ({}) cannot be reached: no route", self.host, self.address),
        }
    }
}

/// Returns the way to each host.
pub(crate) async fn ways(places: &[Place]) -> Result<Vec<Way>, RouteError> {
    let mut ways = Vec::new();
    for Place { host, address } in places {
        ways.push(Way { host: host.clone(), address: *address, device: device_towards(*address).await? });
    }
    Ok(ways)
}

/// Returns the device that packets to the address leave by, or none when they do not leave.
pub(super) async fn device_towards(address: IpAddr) -> Result<Option<String>, RouteError> {
    #[derive(Deserialize)]
    struct Route {
        dev: Option<String>,
    }
    let address = address.to_string();
    match ask::<Route>(&["route", "get", &address]).await {
        Ok(routes) => Ok(routes.into_iter().find_map(|route| route.dev)),
        // `RTNETLINK answers: Network is unreachable`, exit status 2.
        Err(RouteError::Answer { answer, .. }) if answer.starts_with("RTNETLINK answers: ") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at this machine's network: every routing table of both address families, every interface, and the resolvers.
pub(super) async fn look() -> Result<Node, RouteError> {
    let mut routes = Vec::new();
    for family in ["-4", "-6"] {
        routes.extend(ask::<Route>(&[family, "route", "show", "table", "all"]).await?);
    }
    let interfaces = ask::<Interface>(&["address", "show"]).await?;
    let resolver = std::fs::read(Path::new(RESOLVER)).ok();
    let behind = std::fs::read(Path::new(BEHIND_THE_STUB)).unwrap_or_default();
    let resolvers = parse_resolvers(resolver.as_deref().unwrap_or_default()).chain(parse_resolvers(&behind)).collect();
    Ok(Node { routes, interfaces, resolver, resolvers })
}

/// Asks `ip` a question and returns the rows of its answer.
async fn ask<T: for<'de> Deserialize<'de>>(question: &[&str]) -> Result<Vec<T>, RouteError> {
    let ip = find("ip").ok_or(RouteError::NoIp)?;
    let finished = Command::new(ip).arg("-json").args(question).run(PATIENCE).await?;
    let wrong = |answer: String| RouteError::Answer { question: question.join(" "), answer };
    if !finished.status.success() {
        return Err(wrong(finished.last_words()));
    }
    parse_rows(&finished.stdout).map_err(|error| wrong(error.to_string()))
}

/// Reads a JSON list. `ip` prints nothing at all where it has nothing to say, as of IPv6 routes without IPv6.
fn parse_rows<T: for<'de> Deserialize<'de>>(answer: &[u8]) -> Result<Vec<T>, serde_json::Error> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    serde_json::from_slice(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_no_rows() {
        assert_eq!(parse_rows::<u32>(b" \n").expect("nothing"), Vec::<u32>::new());
        assert_eq!(parse_rows::<u32>(b"[1]").expect("a list"), [1]);
        assert!(parse_rows::<u32>(b"1").is_err());
    }

    #[tokio::test]
    async fn this_machine_reaches_itself_by_its_loopback() {
        let places = places(&[("self".to_owned(), "127.0.0.1".to_owned())]).await.expect("an address");
        let ways = ways(&places).await.expect("`ip` is there");
        assert_eq!(ways[0].to_string(), "`self` (127.0.0.1) by `lo`");
        assert!(look().await.expect("`ip` is there").has("lo", places[0].address));
    }
}
