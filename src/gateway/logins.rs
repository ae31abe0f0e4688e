//! What a gateway's Docker client logs in with at a registry, found as that client finds it: in its config, or from the
//! helper program that the config names.
//!
//! The config is that of docker/cli (`cli/config/configfile` of 20.10 to 29), the helpers speak the protocol of
//! docker/docker-credential-helpers: `docker-credential-NAME get` reads the server's name and prints JSON.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value, json};

use crate::remote::{Output, quote};
use crate::secret::{Redactor, Secret};

/// What Docker Hub is called in a config.
const HUB: &str = "https://index.docker.io/v1/";

/// The name of a user that a helper gives where its secret is an identity token.
const TOKEN: &str = "<token>";

/// What a helper prints when it knows of no login.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A helper answers within this time, in seconds: it may have to ask the cloud.
const PATIENCE: &str = "10";

/// So many helpers are asked before anything else is heard of a host.
const MOST_HELPERS: usize = 4;

/// A login at a registry.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    username: String,
    password: Secret,
    /// What the engine gets a short token for, by the OAuth2 grant `refresh_token`, where the registry's challenge says.
    identity_token: Option<Secret>,
    pub(super) server: String,
}

impl Login {
    pub(crate) fn learn(&self, redactor: &Redactor) {
        redactor.learn(&self.password);
        redactor.learn(&Secret::new(STANDARD.encode(format!("{}:{}", self.username, self.password.expose()))));
        self.identity_token.iter().for_each(|token| redactor.learn(token));
    }

    /// The `X-Registry-Auth` header of the Engine API.
    pub(super) fn header(&self) -> String {
        let mut auth = json!({
            "username": self.username,
            "password": self.password.expose(),
            "serveraddress": self.server,
        });
        if let Some(token) = &self.identity_token {
            auth["identitytoken"] = token.expose().into();
        }
        URL_SAFE.encode(auth.to_string())
    }

    /// The login of an entry of `auths`; none where it only says that there has been one.
    fn of_entry(server: &str, entry: &Value) -> Option<Login> {
        let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
        let identity_token = text("identitytoken").map(Secret::new);
        let (username, password) = match text("auth") {
            Some(auth) => pair(auth)?,
            None if identity_token.is_none() => (text("username")?.to_owned(), Secret::new(text("password")?)),
            None => (String::new(), Secret::new("")),
        };
        Some(Login { username, password, identity_token, server: server.to_owned() })
    }
}

/// What `auth` of a config stands for: base64 of the user's name, a colon and the password.
fn pair(auth: &str) -> Option<(String, Secret)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), Secret::new(password.trim_end_matches('\0'))))
}

/// A program that keeps logins, and a server that it is asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Helper {
    name: String,
    pub(super) server: String,
}

/// What a helper that gave no login has said; none where it knows of none.
pub(super) type NoLogin = Option<String>;

impl Helper {
    /// None where it cannot be a program's name.
    fn new(name: &str, server: &str) -> Option<Helper> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        let is_name = !name.is_empty() && name.chars().all(is_plain);
        is_name.then(|| Helper { name: name.to_owned(), server: server.to_owned() })
    }

    pub(super) fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// Asks it, on the host.
    pub(super) fn script(&self) -> String {
        format!("printf '%s\\n' {} | timeout {PATIENCE} {} get", quote(&self.server), self.program())
    }

    /// Reads its answer. An answer that cannot be read is not repeated in the error: it may contain a secret.
    pub(super) fn login(&self, output: &Output) -> Result<Login, NoLogin> {
        let said = output.text();
        match output.status {
            0 => self.parse(&said).ok_or_else(|| Some("its answer cannot be read".to_owned())),
            _ if said == NOT_FOUND => Err(None),
            124 => Err(Some(format!("it does not answer within {PATIENCE}s"))),
            status => Err(Some(format!("exit status {status}: {}", output.last_words()))),
        }
    }

    fn parse(&self, said: &str) -> Option<Login> {
        let answer: Value = serde_json::from_str(said).ok()?;
        let (username, secret) = (answer["Username"].as_str()?, Secret::new(answer["Secret"].as_str()?));
        let server = self.server.clone();
        Some(match username {
            TOKEN => Login { username: String::new(), password: Secret::new(""), identity_token: Some(secret), server },
            username => Login { username: username.to_owned(), password: secret, identity_token: None, server },
        })
    }
}

/// Where the login for a registry is.
#[derive(Debug)]
pub(super) enum Kept {
    Nowhere,
    Here(Login),
    By(Helper),
}

/// Finds the login for a registry (as `DOCKER_REGISTRY` names it) in the text of `~/.docker/config.json`.
pub(super) fn kept_for(config: &str, registry: &str) -> Kept {
    let Ok(config) = serde_json::from_str::<Value>(config) else { return Kept::Nowhere };
    let server = server_of(registry);
    if let Some(name) = helper_of(&config, &server) {
        return Helper::new(name, &server).map_or(Kept::Nowhere, Kept::By);
    }
    let entry = entries(&config, "auths").find(|(name, _)| hostname(name) == hostname(&server));
    let login = entry.and_then(|(name, entry)| Login::of_entry(name, entry));
    login.map_or(Kept::Nowhere, Kept::Here)
}

/// The program that keeps the login at a server: the server's own, else the one for all.
fn helper_of<'a>(config: &'a Value, server: &str) -> Option<&'a str> {
    let own = entries(config, "credHelpers").find(|(name, _)| hostname(name) == hostname(server));
    let name = own.map(|(_, name)| name).or(config.get("credsStore"))?;
    name.as_str().filter(|name| !name.is_empty())
}

fn entries<'a>(config: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    config.get(key).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// What a config calls the server of the images whose names begin so. A name without a host is Docker Hub's.
fn server_of(registry: &str) -> String {
    let host = registry.split('/').next().unwrap_or_default();
    let is_host = host.contains(['.', ':']) || host == "localhost";
    if is_host && hostname(host) != hostname(HUB) { host.to_owned() } else { HUB.to_owned() }
}

/// The host in a server's name, with one name for Docker Hub.
fn hostname(server: &str) -> &str {
    let server = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    match server.split('/').next().unwrap_or_default() {
        "docker.io" => "index.docker.io",
        host => host,
    }
}

/// Learns everything in the text of `~/.docker/config.json` that lets somebody in at a registry, of every registry, so that
/// nothing that Docker prints of them is shown. There may be several such texts, with a NUL between them. Returns the
/// helpers that know more.
pub(super) fn learn_logins(configs: &str, redactor: &Redactor) -> Vec<Helper> {
    let mut helpers = BTreeSet::new();
    for config in configs.split('\0').filter_map(|config| serde_json::from_str::<Value>(config).ok()) {
        for (server, entry) in entries(&config, "auths") {
            for key in ["auth", "password", "identitytoken", "registrytoken"] {
                entry[key].as_str().into_iter().for_each(|text| redactor.learn(&Secret::new(text)));
            }
            Login::of_entry(server, entry).iter().for_each(|login| login.learn(redactor));
        }
        let private = entries(&config, "HttpHeaders").filter(|(name, _)| {
            let name = name.to_lowercase();
            ["auth", "token", "secret", "key", "cookie"].iter().any(|word| name.contains(word))
        });
        private.filter_map(|(_, value)| value.as_str()).for_each(|value| redactor.learn(&Secret::new(value)));
        // What a helper for all keeps has an entry without a login in `auths`.
        let servers = entries(&config, "credHelpers").chain(entries(&config, "auths")).map(|(server, _)| server);
        helpers.extend(servers.filter_map(|server| Helper::new(helper_of(&config, server)?, server)));
    }
    helpers.into_iter().take(MOST_HELPERS).collect()
}

/// Asks the helpers for what they keep.
pub(super) fn ask_all(helpers: &[Helper]) -> String {
    helpers.iter().map(|helper| format!("printf '\\0'\n{} 2>/dev/null\n", helper.script())).collect::<String>()
        + "exit 0\n"
}

/// Learns what [`ask_all`] has printed.
pub(super) fn learn_answers(helpers: &[Helper], answers: &str, redactor: &Redactor) {
    let logins = helpers.iter().zip(answers.split('\0').skip(1)).filter_map(|(helper, said)| helper.parse(said.trim()));
    logins.for_each(|login| login.learn(redactor));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The login that a config has, and what helps to find it elsewhere.
    fn login_for(config: &str, registry: &str) -> Option<Login> {
        match kept_for(config, registry) {
            Kept::Here(login) => Some(login),
            Kept::Nowhere | Kept::By(_) => None,
        }
    }

    #[test]
    fn a_login_is_found_by_the_registrys_host() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"192.168.60.10:5000":{"auth":"bWFnbWEtY2k6czNjcmV0Cg=="}}}"#;
        let login = login_for(config, "192.168.60.10:5000/").expect("a login");
        assert_eq!((login.username.as_str(), login.server.as_str()), ("magma-ci", "192.168.60.10:5000"));
        assert!(login_for(config, "other:5000/").is_none());
        assert!(login_for("", "192.168.60.10:5000/").is_none());
    }

    /// Configs as `docker login` and the clouds' tools write them: what it is (source), the registry in `.env`, the config,
    /// and what is asked with: `NAME SERVER` of a helper, or what is in the header.
    const CONFIGS: &str = include_str!("../../tests/fixtures/registry/configs.tsv");

    fn header(login: &Login) -> String {
        let header: Value =
            serde_json::from_slice(&URL_SAFE.decode(login.header()).expect("base64")).expect("JSON of our own");
        let text = |key: &str| header[key].as_str().unwrap_or_default().to_owned();
        let mut told = format!("{}:{} {}", text("username"), text("password"), text("serveraddress"));
        if header.get("identitytoken").is_some() {
            told.push_str(&format!(" {}", text("identitytoken")));
        }
        told
    }

    fn rows(text: &str) -> impl Iterator<Item = [&str; 4]> {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|row| {
            row.split('\t')
                .collect::<Vec<_>>()
                .try_into()
                .unwrap_or_else(|_| panic!("{row:?} does not have four columns"))
        })
    }

    #[test]
    fn each_config_is_understood_as_dockers_client_does() {
        for [what, registry, config, expected] in rows(CONFIGS) {
            let told = match kept_for(config, registry) {
                Kept::Nowhere => "nothing".to_owned(),
                Kept::By(helper) => format!("{} {}", helper.program(), helper.server),
                Kept::Here(login) => header(&login),
            };
            assert_eq!(told, expected, "{what}");
        }
    }

    /// What helpers answer: which (source), exit status, standard output, and what is made of it.
    const HELPERS: &str = include_str!("../../tests/fixtures/registry/helpers.tsv");

    #[test]
    fn each_helper_is_understood() {
        let helper = Helper::new("x", "registry.lab").expect("a name");
        for [what, status, stdout, expected] in rows(HELPERS) {
            let output =
                Output { status: status.parse().expect("a status"), stdout: stdout.into(), ..Output::default() };
            let told = match helper.login(&output) {
                Ok(login) => header(&login),
                Err(None) => "nothing".to_owned(),
                Err(Some(why)) => why,
            };
            assert_eq!(told, expected, "{what}");
        }
    }

    #[test]
    fn a_helper_hears_the_server_on_its_standard_input_and_what_it_says_is_learned() {
        use crate::gateway::feg::tests::in_folder;
        let config = r#"{"auths":{"one.lab":{}},"credsStore":"store","credHelpers":{"two.lab":"own","three.lab":"gone","x":"a;b"}}"#;
        let redactor = Redactor::default();
        let helpers = learn_logins(&format!("\0{config}"), &redactor);
        assert_eq!(helpers.len(), 3, "{helpers:?}");
        let program = |user: &str, secret: &str| {
            format!(
                "#!/bin/sh\n[ \"$*\" = get ] || exit 9\nread -r server\nprintf '{{\"ServerURL\":\"%s\",\"Username\":\"{user}\",\"Secret\":\"{secret}-%s\"}}\\n' \"$server\" \"$server\"\n"
            )
        };
        let (store, own) = (program("me", "first-password"), program("<token>", "second-token"));
        let files = [("docker-credential-store", store.as_bytes()), ("docker-credential-own", own.as_bytes())];
        let script = format!("chmod +x docker-*\nPATH=$PWD:$PATH\n{}", ask_all(&helpers));
        let (_folder, output) = in_folder(&files, &script);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        learn_answers(&helpers, &String::from_utf8_lossy(&output.stdout), &redactor);
        for secret in ["first-password-one.lab", "second-token-two.lab"] {
            assert_eq!(redactor.text(secret), "***");
        }

        let two = helpers.iter().find(|helper| helper.server == "two.lab").expect("it is named");
        let (_folder, output) = in_folder(&files, &format!("chmod +x docker-*\nPATH=$PWD:$PATH\n{}", two.script()));
        let output = Output { status: 0, stdout: output.stdout, stderr: output.stderr };
        assert_eq!(header(&two.login(&output).expect("a login")), ": two.lab second-token-two.lab");

        let gone = helpers.iter().find(|helper| helper.server == "three.lab").expect("it is named");
        let (_folder, output) = in_folder(&files, &gone.script());
        let output =
            Output { status: output.status.code().expect("a status"), stdout: output.stdout, stderr: output.stderr };
        let why = gone.login(&output).expect_err("there is none").expect("it is said");
        assert!(why.starts_with("exit status 127: ") && why.contains("docker-credential-gone"), "{why}");
    }

    #[test]
    fn every_login_of_every_registry_is_learned() {
        // The password of the first is `s3cretpassword`, that of the second has NULs behind it, as old clients wrote it.
        let first = r#"{"auths":{"192.168.60.10:5000":{"auth":"bWFnbWEtY2k6czNjcmV0cGFzc3dvcmQ="},
            "quay.lab":{"auth":"Y2k6b3RoZXItcGFzc3dvcmQAAA==","identitytoken":"identity-token-1"},
            "kept.lab":{},"old.lab":{"username":"u","password":"plain-password","registrytoken":"registry-token-1"}},
            "credsStore":"pass","HttpHeaders":{"Authorization":"Bearer header-token-1","X-Site":"gateway"}}"#;
        let second = r#"{"auths":{"third.lab":{"auth":"bWFnbWEtY2k6dGhpcmRwYXNzd29yZA=="}}}"#;
        let redactor = Redactor::default();
        learn_logins(&format!("\0{first}\0not JSON\0{{}}\0{second}"), &redactor);
        for secret in [
            "s3cretpassword",
            "bWFnbWEtY2k6czNjcmV0cGFzc3dvcmQ=",
            "other-password",
            "Y2k6b3RoZXItcGFzc3dvcmQAAA==",
            "identity-token-1",
            "plain-password",
            "registry-token-1",
            "Bearer header-token-1",
            "thirdpassword",
        ] {
            let said = redactor.text(&format!("Get https://magma-ci:{secret}@192.168.60.10:5000/v2/: bad gateway"));
            assert!(!said.contains(secret), "{said}");
        }
        assert_eq!(redactor.text("the gateway of magma-ci"), "the gateway of magma-ci");
    }

    #[test]
    fn the_configs_of_roots_docker_client_are_read() {
        use crate::gateway::feg::tests::in_folder;
        let script = format!(
            "mkdir -p own home/.docker\necho own >own/config.json\necho home >home/.docker/config.json\n\
             export DOCKER_CONFIG=$PWD/own HOME=$PWD/home\n{}",
            include_str!("feg/logins.sh").replace("/root/.docker", "nowhere")
        );
        let (_folder, output) = in_folder(&[], &script);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "\0own\n\0home\n\0", "{output:?}");
    }
}
