//! Asks a Docker registry whether a tag exists: through a gateway's own Docker engine, so that the question goes the
//! very way that the pull will go (its network, its certificates, its insecure registries).
//!
//! `docker manifest inspect` will not do: it answers `no such manifest` also when the registry fails.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::logins::Login;
use crate::remote::{self, Host};

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

/// The question could not be put, or the engine's answer could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the Docker engine does not answer")]
    Engine(#[source] hyper::Error),
    #[error("the Docker client does not reach its engine: {0}")]
    Client(String),
    #[error("the Docker engine's answer cannot be read: {0}")]
    Answer(String),
    #[error("the Docker engine does not accept the question: {0}")]
    Interface(String),
}

/// How long an answer about an image is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the way to the host and back may add to that.
const TRAVEL: Duration = Duration::from_secs(15);

/// Asks for an image reference, `registry/name:tag`, over `command`, which joins its standard streams to the engine's
/// socket (`docker system dial-stdio`, Docker 18.09 and later). The outer error is the host's, the inner one the
/// engine's.
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

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    reference: &str,
    login: Option<&Login>,
) -> Result<Answer, AskError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(AskError::Engine)?;
    let connection = tokio::spawn(connection);
    // A path without a version means the engine's own newest: each engine drops old ones (29.0 has 1.44 as its least).
    let mut request = Request::get(format!("/distribution/{reference}/json")).header("Host", "docker");
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
    let body = String::from_utf8_lossy(&body);
    let said = message(&body);
    if status == 400 && said.contains("API version") {
        return Err(AskError::Interface(said));
    }
    Ok(read(status, &body, reference))
}

/// What the engine says, which is JSON with a `message`; a proxy before it may say anything else.
fn message(body: &str) -> String {
    let message =
        serde_json::from_str::<Value>(body).ok().and_then(|value| value["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| body.trim().to_owned())
}

/// The most of an answer that is told.
const MOST_TOLD: usize = 500;

/// Reads the engine's answer to `GET /distribution/{reference}/json`. What registries say is in
/// `tests/fixtures/registry/answers.tsv`.
pub(super) fn read(status: u16, body: &str, reference: &str) -> Answer {
    if status == 200 {
        return Answer::There;
    }
    let said = message(body);
    // The engine gives the status of the registry's code, and 500 where that code is none of the distribution
    // specification's.
    if matches!(status, 404 | 500) && is_missing(&said, reference) {
        return Answer::Missing;
    }
    let told = match said.char_indices().nth(MOST_TOLD) {
        Some((end, _)) => format!("{} ...", &said[..end]),
        None => said,
    };
    let said = match meaning(&told) {
        Some(meaning) => format!("{meaning}: {told}"),
        None => told,
    };
    Answer::Unknown { status, said }
}

/// Whether the registry says, through the engine, that it does not have a tag.
///
/// The engine prints an error of a registry as its code in lower case, a colon, and the registry's message
/// (`errcode.Error` of distribution/distribution v2.8). So the code `MANIFEST_UNKNOWN` decides. Some registries have
/// codes of their own for a tag that is missing (Harbor `NOT_FOUND`, Quay `TAG_EXPIRED`), of which the engine makes
/// `unknown`: then the message has to name the tag and say that it is not found.
pub(super) fn is_missing(said: &str, reference: &str) -> bool {
    let said = said.to_lowercase();
    let parts: Vec<&str> = said.lines().flat_map(|line| line.split(": ")).map(str::trim).collect();
    if parts.iter().any(|part| REFUSALS.contains(part)) {
        return false;
    }
    let reference = reference.to_lowercase();
    let tag = reference.rsplit(':').next().unwrap_or_default();
    // The client that keeps its images in containerd (the default of Docker 29) says `REFERENCE: not found`.
    let is_of_containerd = parts.windows(2).any(|pair| pair[0] == reference && pair[1] == "not found");
    let is_of_code = |part: &&str| matches!(*part, "manifest unknown" | "manifest_unknown");
    parts.iter().any(is_of_code) || is_of_containerd || parts.iter().any(|part| says_not_found(part, tag))
}

/// The distribution specification's codes of a registry that does not say what it has, as the engine prints them.
const REFUSALS: [&str; 3] = ["unauthorized", "denied", "toomanyrequests"];

/// Whether a sentence, or its part behind a comma, begins with an artifact, manifest or tag of this name and says that
/// it is not found.
fn says_not_found(sentence: &str, tag: &str) -> bool {
    sentence.split(", ").any(|part| {
        let words = part.split_whitespace().map(|word| word.trim_matches(|char: char| !char.is_alphanumeric()));
        let [kind, name, ref rest @ ..] = words.collect::<Vec<_>>()[..] else { return false };
        let before = name.strip_suffix(tag);
        let is_tag = before.is_some_and(|before| before.is_empty() || before.ends_with([':', '/']));
        let rest = rest.iter().skip_while(|word| ["is", "was"].contains(*word)).copied().collect::<Vec<_>>().join(" ");
        matches!(kind, "artifact" | "manifest" | "tag" | "image")
            && is_tag
            && ["not found", "does not exist", "deleted or has expired"].iter().any(|sign| rest.starts_with(sign))
    })
}

/// What a refusal of the registry means, by its code.
fn meaning(said: &str) -> Option<&'static str> {
    let said = said.to_lowercase().replace('_', " ");
    let has = |code: &str| said.split([':', '\n']).any(|part| part.trim() == code);
    if has("toomanyrequests") {
        Some("the registry has limited the number of requests")
    } else if has("unauthorized") {
        Some("the registry does not accept the login")
    } else if has("denied") {
        Some("the registry does not allow this login to see the image")
    } else if has("name unknown") || said.contains("unknown: repository ") {
        Some("the registry does not know the repository")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REFERENCE: &str = "registry.lab/magma/gateway_python:ebd3bb56";

    /// What registries say, as the Docker engine passes it on: registry and case, status, body, and what it means.
    const ANSWERS: &str = include_str!("../../tests/fixtures/registry/answers.tsv");

    #[test]
    fn each_registry_is_understood() {
        for row in ANSWERS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let [name, status, body, means, ..] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{row:?} is no row")
            };
            let answer = read(status.parse().expect("a status"), body, REFERENCE);
            let told = match &answer {
                Answer::There => "there".to_owned(),
                Answer::Missing => "missing".to_owned(),
                Answer::Unknown { said, .. } => match said.split_once(": ") {
                    Some((meaning, _)) if meaning.starts_with("the registry ") => meaning.to_owned(),
                    _ => "unknown".to_owned(),
                },
            };
            assert_eq!(told, means, "{name}: {answer:?}");
        }
    }

    #[test]
    fn what_is_said_of_another_image_or_tag_is_not_said_of_this_one() {
        for said in [
            "unknown: artifact magma/gateway_python:3f7c21ab not found",
            "unknown: artifact magma/gateway_python:xebd3bb56 not found",
            "unknown: the backend of manifest ebd3bb56 was not found",
            "unknown: manifest ebd3bb56: storage not found",
            "unknown: ebd3bb56",
        ] {
            assert!(!is_missing(said, REFERENCE), "{said}");
        }
    }

    #[test]
    fn only_the_registrys_own_word_makes_a_tag_missing() {
        assert_eq!(read(200, "{}", REFERENCE), Answer::There);
        assert_eq!(read(404, r#"{"message":"manifest unknown: manifest unknown"}"#, REFERENCE), Answer::Missing);
        for (status, said) in
            [(404, "page not found"), (500, "received unexpected HTTP status: 500"), (401, "manifest unknown")]
        {
            let answer = read(status, &json!({ "message": said }).to_string(), REFERENCE);
            assert_eq!(answer, Answer::Unknown { status, said: said.to_owned() });
        }
    }

    /// Asks an engine that answers, on a socket of its own, as the row says.
    async fn asked(answer: &'static str) -> (Result<Answer, AskError>, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let engine = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let read = tokio::io::AsyncReadExt::read_buf(&mut stream, &mut request).await.expect("a request");
                assert!(read > 0, "the request ends early");
            }
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.expect("the answer");
            String::from_utf8(request).expect("a request in ASCII")
        });
        let stream = tokio::net::UnixStream::connect(&path).await.expect("the engine listens");
        let answer = converse(stream, REFERENCE, None).await;
        (answer, engine.await.expect("the engine ends"))
    }

    #[tokio::test]
    async fn the_engine_is_asked_in_its_own_version() {
        let (answer, request) =
            asked("HTTP/1.1 404 Not Found\r\nContent-Length: 39\r\n\r\n{\"message\":\"manifest unknown: unknown\"}")
                .await;
        assert_eq!(answer.expect("an answer"), Answer::Missing);
        assert_eq!(
            request.lines().next(),
            Some("GET /distribution/registry.lab/magma/gateway_python:ebd3bb56/json HTTP/1.1")
        );
    }

    #[tokio::test]
    async fn a_complaint_about_the_interface_is_not_the_registrys() {
        // Docker 29.0 to a client that asks for 1.30.
        let (answer, _) = asked(
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{\"message\":\"client version 1.30 is too old. Minimum supported API \
             version is 1.44, please upgrade your client to a newer version\"}",
        )
        .await;
        let told = answer.expect_err("the engine does not answer").to_string();
        assert!(
            told.starts_with("the Docker engine does not accept the question: client version 1.30 is too old"),
            "{told}"
        );
    }
}
