//! A real Chromium without a window, driven over WebDriver, on a profile of its own. It goes with the test, whatever becomes of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Keys that are no characters, by WebDriver's numbers.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const END: &str = "\u{e010}";
pub(crate) const HOME: &str = "\u{e011}";
pub(crate) const LEFT: &str = "\u{e012}";
pub(crate) const UP: &str = "\u{e013}";
pub(crate) const RIGHT: &str = "\u{e014}";
pub(crate) const DOWN: &str = "\u{e015}";

/// By these names Chromium is known: Debian's, Google's.
const BROWSERS: [&str; 4] = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];

/// A browser, and the page that it shows.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

/// The browser of this machine and its driver, or why there is none.
pub(crate) fn programs() -> Result<(PathBuf, PathBuf), String> {
    let browser = BROWSERS.into_iter().find_map(found);
    let browser = browser.ok_or("there is no Chromium (Debian: chromium)")?;
    Ok((browser, found("chromedriver").ok_or("there is no `chromedriver` (Debian: chromium-driver)")?))
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

impl Browser {
    pub(crate) fn start() -> Browser {
        let (browser, driver) = programs().expect("it was looked for before");
        let profile = tempfile::Builder::new().prefix("teravm-ci-page-").tempdir().expect("a temporary folder");
        // The driver ends when we do, however we do, and with it the pipe on which the browser hangs.
        let mut driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(driver)
            .arg("--port=0")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        let said = BufReader::new(driver.stdout.take().expect("it is piped"));
        let mut lines = said.lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.split_once(" was started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        // A full pipe would freeze it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut started =
            Browser { driver, port: port.expect("it says its port"), session: String::new(), _profile: profile };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-pipe",
            "--window-size=1400,1000",
        ];
        let session = started.ask(
            "POST",
            "session",
            &json!({"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": browser, "args": arguments},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }}}),
        );
        started.session = session["sessionId"].as_str().expect("a session").to_owned();
        started
    }

    /// Shows a file.
    pub(crate) fn open(&self, path: &Path) {
        self.tell("url", &json!({"url": format!("file://{}", path.display())}));
    }

    /// Runs a function's body in the page, and returns what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.tell("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Clicks on the first element of a selector, as a hand would.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.tell("element", &json!({"using": "css selector", "value": selector}));
        let id = element.as_object().and_then(|element| element.values().next()).and_then(Value::as_str);
        self.tell(&format!("element/{}/click", id.expect("it is there")), &json!({}));
    }

    /// Types these characters or keys, one after the other.
    pub(crate) fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        self.tell("actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]}));
    }

    /// Has the page be of a size, and light or dark.
    pub(crate) fn look(&self, width: u32, scheme: &str) {
        let is_phone = width < 600;
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.tell("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Checks that nothing was complained of and nobody was asked for anything but this file.
    pub(crate) fn assert_quiet(&self, path: &Path) {
        let complaints = self.tell("se/log", &json!({"type": "browser"}));
        assert_eq!(complaints, json!([]), "the console is empty");
        let own = format!("file://{}", path.display());
        let mut asked = 0;
        for entry in self.tell("se/log", &json!({"type": "performance"})).as_array().expect("a list") {
            let message: Value = serde_json::from_str(entry["message"].as_str().expect("JSON")).expect("JSON");
            if message["message"]["method"] == "Network.requestWillBeSent" {
                let url = message["message"]["params"]["request"]["url"].as_str().unwrap_or_default().to_owned();
                assert!(url == own || url.starts_with("data:"), "it asks for {url}");
                asked += usize::from(url == own);
            }
        }
        assert!(asked > 0, "the log of requests has the page itself");
    }

    fn tell(&self, command: &str, body: &Value) -> Value {
        self.ask("POST", &format!("session/{}/{command}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }

    /// One question of WebDriver: JSON over HTTP.
    fn try_ask(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
        let mut driver = TcpStream::connect(("127.0.0.1", self.port))?;
        driver.set_read_timeout(Some(Duration::from_secs(120)))?;
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!("{method} /{path} HTTP/1.1\r\nHost: localhost:{}\r\n", self.port);
        write!(driver, "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        let mut answer = BufReader::new(driver);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text)?;
        serde_json::from_slice(&text).map_err(std::io::Error::other)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first, so that it takes its processes along; they have hung up by the time that the driver answers.
        let _ = self.try_ask("DELETE", &format!("session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
