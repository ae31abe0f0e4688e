//! Asks a Docker registry whether a tag exists: through a gateway's own Docker engine, so that the question goes the very way
//! that the pull will go (its network, its certificates, its insecure registries).
//!
//! `docker manifest inspect` will not do: it answers `no such manifest` also when the registry fails.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::remote::{self, Host, Pipe};
use crate::secret::{Redactor, Secret};

/// What the registry says of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    There,
    /// The registry said so, to a caller whom it accepts.
    Missing,
    /// Anything else: it does not say whether the tag exists.
    Unknown {
        status: u16,
        said: String,
    },
}

/// A login as Docker's own config keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    username: String,
    password: Secret,
    pub(super) server: String,
}

impl Login {
    pub(crate) fn learn(&self, redactor: &Redactor) {
        redactor.learn(&self.password);
        redactor.learn(&Secret::new(STANDARD.encode(format!("{}:{}", self.username, self.password.expose()))));
    }

    /// The `X-Registry-Auth` header of the Engine API.
    fn header(&self) -> String {
        let auth = json!({
            "username": self.username,
            "password": self.password.expose(),
            "serveraddress": self.server,
        });
        URL_SAFE.encode(auth.to_string())
    }
}

/// Finds the login for a registry (as `DOCKER_REGISTRY` names it) in the text of `~/.docker/config.json`.
pub(crate) fn login_for(config: &str, registry: &str) -> Option<Login> {
    let config: Value = serde_json::from_str(config).ok()?;
    let host = registry.split('/').next().unwrap_or_default();
    let (server, entry) = config["auths"].as_object()?.iter().find(|(server, _)| {
        let server = server.trim_start_matches("https://").trim_start_matches("http://");
        server.split('/').next() == Some(host)
    })?;
    let decoded = STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, password) = text.split_once(':')?;
    let password = Secret::new(password.trim_end_matches('\0'));
    Some(Login { username: username.to_owned(), password, server: server.clone() })
}

/// The question could not be put, or the engine's answer could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the Docker engine does not answer")]
    Engine(#[source] hyper::Error),
    #[error("the Docker client does not reach its engine: {0}")]
    Client(String),
    #[error("the Docker engine's answer cannot be read: {0}")]
    Answer(String),
}

/// How long an answer about an image is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the way to the host and back may add to that.
const TRAVEL: Duration = Duration::from_secs(15);

/// Asks for an image reference, `registry/name:tag`, over `command`, which joins its standard streams to the engine's socket (`docker system
/// dial-stdio`, Docker 18.09 and later). The outer error is the host's, the inner one the engine's.
pub(crate) async fn ask(
    host: &Host,
    command: &str,
    reference: &str,
    login: Option<&Login>,
) -> Result<Result<Answer, AskError>, remote::Error> {
    let (stream, ending) = host.command(command).sudo().deadline(PATIENCE).duplex().await?;
    let late = |_| remote::Error::Deadline { host: host.name().to_owned(), limit: PATIENCE };
    let answered = tokio::time::timeout(PATIENCE + TRAVEL, converse(stream, reference, login)).await.map_err(late)?;
    Ok(match answered {
        // Why there is no engine to talk to, the client says on its standard error.
        Err(error @ AskError::Engine(_)) => match ending.wait().await? {
            output if output.is_success() => Err(error),
            output => Err(AskError::Client(output.last_words())),
        },
        answered => answered,
    })
}

async fn converse(stream: Pipe, reference: &str, login: Option<&Login>) -> Result<Answer, AskError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(AskError::Engine)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::get(format!("/v1.30/distribution/{reference}/json")).header("Host", "docker");
    if let Some(login) = login {
        request = request.header("X-Registry-Auth", login.header());
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| AskError::Answer(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(AskError::Engine)?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), 1 << 20)
        .collect()
        .await
        .map_err(|error| AskError::Answer(error.to_string()))?
        .to_bytes();
    drop(sender);
    connection.abort();
    Ok(read(status, &String::from_utf8_lossy(&body)))
}

/// Reads the engine's answer to `GET /distribution/{name}/json`.
///
/// Docker 20.10.24 answers a tag that the registry does not have with a `manifest unknown` of the registry in `message`.
pub(super) fn read(status: u16, body: &str) -> Answer {
    if status == 200 {
        return Answer::There;
    }
    let said = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|value| value["message"].as_str().map(str::to_owned))
        .unwrap_or_else(|| body.trim().to_owned());
    if status == 404 && (said.contains("manifest unknown") || said.contains("MANIFEST_UNKNOWN")) {
        return Answer::Missing;
    }
    Answer::Unknown { status, said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_the_registrys_host() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"192.168.60.10:5000":{"auth":"bWFnbWEtY2k6czNjcmV0Cg=="}}}"#;
        let login = login_for(config, "192.168.60.10:5000/").expect("a login");
        assert_eq!((login.username.as_str(), login.server.as_str()), ("magma-ci", "192.168.60.10:5000"));
        assert!(login_for(config, "other:5000/").is_none());
        assert!(login_for("", "192.168.60.10:5000/").is_none());
    }

    #[test]
    fn only_the_registrys_own_word_makes_a_tag_missing() {
        assert_eq!(read(200, "{}"), Answer::There);
        assert_eq!(read(404, r#"{"message":"manifest unknown: manifest unknown"}"#), Answer::Missing);
        for (status, said) in [
            (401, "unauthorized"),
            (404, "page not found"),
            (500, "received unexpected HTTP status: 500"),
            (401, "manifest unknown"),
        ] {
            let answer = read(status, &json!({ "message": said }).to_string());
            assert_eq!(answer, Answer::Unknown { status, said: said.to_owned() });
        }
    }
}
