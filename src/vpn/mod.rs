//! The tunnel into the lab: OpenVPN as a child, driven over its management interface.
//!
//! Its state machine says when it is up, and the kernel says whether the hosts are really behind it. Nothing that the server
//! pushes becomes a route or a resolver of this machine. If this program dies, however it dies, OpenVPN loses its
//! management client and ends by itself.

mod boundary;
mod cause;
mod directory;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod log;
mod management;
mod openvpn;
mod profile;
mod routes;
mod supervise;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use ipnet::IpNet;
use rustix::process::Signal;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use cause::Error;
pub(crate) use directory::sweep;
pub(crate) use profile::{Credentials, Prepared, prepare};
use routes::{Place, Way, look, places, ways};

use crate::config::Network;
use crate::event::{EventKind, Events, Problem, Step};
use crate::process::{Heard, Process};
use crate::secret::Redactor;
use boundary::Node;
use cause::{Cause, Diagnosis};
use directory::Directory;
use log::Log;
use management::{Ask, Management, Message};
use openvpn::{Client, Inside, Program};
use supervise::Supervision;

/// What a tunnel shall be.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) profile: Prepared,
    /// The tunnel is up within this time, or not at all.
    pub(crate) connect_timeout: Duration,
    /// A drop that lasts longer than this is the end of the tunnel.
    pub(crate) outage: Duration,
    /// What is routed into the tunnel; each host by itself when it is empty.
    pub(crate) routes: Vec<Network>,
    /// The setup's hosts: what the operator calls them, and their address or name.
    pub(crate) hosts: Vec<(String, String)>,
}

/// A tunnel that is up, until [`Tunnel::down`]. Dropped, it goes down unwatched.
#[derive(Debug)]
pub(crate) struct Tunnel {
    device: String,
    before: Node,
    events: Events,
    stop: DropGuard,
    condition: watch::Receiver<Condition>,
    supervision: JoinHandle<Result<(), Unstoppable>>,
}

/// How a tunnel that was up is now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Up,
    /// It dropped, and may come back.
    Down,
    Lost(Problem),
}

/// Notices the drops of a tunnel from one moment on.
#[derive(Debug)]
pub(crate) struct Drops(watch::Receiver<Condition>);

impl Drops {
    /// Returns once the tunnel is up again if it has dropped meanwhile; says whether it had.
    pub(crate) async fn outlast(mut self) -> bool {
        let has_dropped = self.0.has_changed().unwrap_or(true) || *self.0.borrow() == Condition::Down;
        // One that is lost ends the night, whoever waits here.
        has_dropped && self.0.wait_for(|condition| *condition == Condition::Up).await.is_ok()
    }
}

/// An OpenVPN that neither listens nor may be killed by us, because it is root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`openvpn` does not end, and we may not kill it")]
struct Unstoppable {
    pid: Option<i32>,
}

impl Unstoppable {
    fn explain(self, problem: Problem) -> Problem {
        let pid = self.pid.map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
        problem.because_of(&self).hint(format!("end it by hand: `sudo kill -KILL {pid}`"))
    }
}

impl Tunnel {
    /// Brings the tunnel up, and returns once each host is really behind it. Given up half way, it leaves nothing behind.
    pub(crate) async fn up(settings: Settings, events: &Events) -> Result<Tunnel, Error> {
        let server = settings.profile.server();
        let program = Program::find().await;
        let tunnel = async { bring_up(settings, program?, events).await };
        tunnel.await.map_err(|cause| Error { server, cause })
    }

    /// The tunnel's network device.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Returns when the tunnel is lost for good, and why. Drops that end in time are events, and not the end.
    pub(crate) fn lost(&self) -> impl Future<Output = Problem> + Send + use<> {
        let mut condition = self.condition.clone();
        async move {
            match condition.wait_for(|condition| matches!(condition, Condition::Lost(_))).await.as_deref() {
                Ok(Condition::Lost(problem)) => problem.clone(),
                _ => Problem::testbed("the tunnel is lost").because("nobody watches it any more"),
            }
        }
    }

    /// The drops from now on.
    pub(crate) fn drops(&self) -> Drops {
        let mut condition = self.condition.clone();
        condition.mark_unchanged();
        Drops(condition)
    }

    /// Ends the tunnel: asks OpenVPN, waits, kills it. Says so when this machine is not as it was before.
    pub(crate) async fn down(self) -> Result<(), Problem> {
        let Tunnel { device, before, events, stop, supervision, .. } = self;
        drop(stop);
        let failed = || Problem::testbed(format!("the tunnel `{device}` was not given back"));
        match supervision.await {
            Ok(Ok(())) => {}
            Ok(Err(unstoppable)) => return Err(unstoppable.explain(failed())),
            Err(error) => return Err(failed().because(error.to_string())),
        }
        // A lease that was renewed in the night changes these too, so it is nobody's failure.
        let now = look().await.map_err(|error| failed().because_of(&error))?;
        if let Some(difference) = before.difference(&now, &device) {
            events.warn(
                Step::Disconnect,
                None,
                format!("this machine is not as it was before the tunnel: {difference}"),
            );
        }
        Ok(())
    }
}

async fn bring_up(settings: Settings, program: Program, events: &Events) -> Result<Tunnel, Cause> {
    let deadline = Instant::now() + settings.connect_timeout;
    learn(events.redactor(), &settings.profile);
    if let Some(note) = settings.profile.note() {
        events.note(Step::Connect, None, note);
    }
    let late = |_| Cause::Deadline { state: "not started".to_owned(), after: settings.connect_timeout, error: None };
    let places = timeout_at(deadline, places(&settings.hosts)).await.map_err(late)??;
    let inside = Inside::new(&settings.routes, &places);
    let before = look().await?;

    let mut session = Session::start(&settings, &inside, program, events)?;
    let expected = Expected { device: session.device.clone(), places, inside: inside.all(), before };
    let connected = match session.connect(deadline, settings.connect_timeout).await {
        Ok(ends) => match expected.check(&ends).await {
            Ok(None) => Ok(ends),
            Ok(Some(difference)) => Err(Cause::NodeChanged(difference)),
            Err(cause) => Err(cause),
        },
        Err(cause) => Err(cause),
    };
    let ends = match connected {
        Ok(ends) => ends,
        Err(cause) => {
            if let Err(unstoppable) = session.stop(IMPATIENCE).await {
                events.warn(Step::Connect, None, unstoppable.explain(Problem::testbed("after a failed start")).line());
            }
            return Err(cause);
        }
    };
    let device = expected.device.clone();
    let before = expected.before.clone();
    let address = ends.tunnel.first().map(IpAddr::to_string).unwrap_or_default();
    events.say(EventKind::TunnelUp { device: (&device).into(), address: address.into() });
    let stop = CancellationToken::new();
    let (say, condition) = watch::channel(Condition::Up);
    let supervision = tokio::spawn(Supervision::new(session, expected, settings.outage, say).run(stop.clone()));
    Ok(Tunnel { device, before, events: events.clone(), stop: stop.drop_guard(), condition, supervision })
}

/// What of the profile may not be shown.
fn learn(redactor: &Redactor, profile: &Prepared) {
    redactor.learn_profile(&profile.text);
    let Credentials { username, password, key_passphrase } = &profile.credentials;
    for secret in [username, password, key_passphrase].into_iter().flatten() {
        redactor.learn(secret);
    }
}

/// The two ends of a tunnel.
#[derive(Debug, Clone)]
struct Ends {
    /// Our own addresses in it, one of a family.
    tunnel: Vec<IpAddr>,
    /// The server's address outside of it.
    server: Option<IpAddr>,
}

/// What must be true of a tunnel whenever it has come up.
#[derive(Debug)]
struct Expected {
    device: String,
    places: Vec<Place>,
    inside: Vec<IpNet>,
    /// This machine without the tunnel.
    before: Node,
}

impl Expected {
    /// Asks the kernel whether the hosts are behind the tunnel, and nothing else is. Returns what has changed outside
    /// of the tunnel.
    async fn check(&self, ends: &Ends) -> Result<Option<String>, Cause> {
        let Expected { device, places, inside, before } = self;
        let now = look().await?;
        if let Some(missing) = ends.tunnel.iter().find(|address| !now.has(device, **address)) {
            return Err(Cause::RouteFailed(format!(
                "the device `{device}` has not got the tunnel's address {missing}"
            )));
        }
        if let Some(breach) = now.breach(device, &ends.tunnel, inside) {
            return Err(breach.into());
        }
        for Way { host, address, device: by } in ways(places).await? {
            if by.as_ref() != Some(device) {
                return Err(Cause::NotRouted { host, address, device: device.clone(), by });
            }
        }
        if let Some(server) = ends.server
            && routes::device_towards(server).await?.as_ref() == Some(device)
        {
            return Err(Cause::ServerInside(server));
        }
        Ok(before.difference(&now, device))
    }
}

/// How long OpenVPN may take to end properly: it tells the server, and closes its device.
const GRACE: Duration = Duration::from_secs(5);

/// The same, when it has not come up: the server does not know of it, and while it asks a resolver it does not listen.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// How long an OpenVPN that we may not kill has to notice that we have hung up: a resolver that does not answer keeps it
/// for 10 s.
const LAST_GRACE: Duration = Duration::from_secs(15);

/// One OpenVPN that runs.
///
/// The fields are dropped in this order: without its management client OpenVPN ends by itself, and what does not is
/// killed.
#[derive(Debug)]
struct Session {
    management: Option<Management>,
    process: Process,
    listener: UnixListener,
    _directory: Directory,
    device: String,
    program: Program,
    credentials: Credentials,
    diagnosis: Diagnosis,
    last_words: String,
    log: Log,
    events: Events,
}

/// What is heard of a session.
enum News {
    Message(Message),
    /// A line of OpenVPN's log on its standard output.
    Line(String),
    Ended,
}

impl Session {
    fn start(settings: &Settings, inside: &Inside, program: Program, events: &Events) -> Result<Session, Cause> {
        let system = |what| move |source| Cause::System { what, source };
        let directory = Directory::make().map_err(system("make a private directory"))?;
        let listener = UnixListener::bind(directory.socket()).map_err(system("listen for OpenVPN"))?;
        let device = program.device(&directory);
        let client = program.client(&Client {
            profile: &settings.profile,
            device: &device,
            socket: &directory.socket(),
            inside,
            timeout: settings.connect_timeout,
        });
        let process = client.start().map_err(system("start `openvpn`"))?;
        Ok(Session {
            management: None,
            process,
            listener,
            _directory: directory,
            device,
            program,
            credentials: settings.profile.credentials.clone(),
            diagnosis: Diagnosis::new(settings.profile.credentials.username.is_some()),
            last_words: String::new(),
            log: Log::new(events.redactor()),
            events: events.clone(),
        })
    }

    /// Goes with OpenVPN until it says that it is connected.
    async fn connect(&mut self, deadline: Instant, timeout: Duration) -> Result<Ends, Cause> {
        loop {
            let Ok(news) = timeout_at(deadline, self.hear()).await else {
                return Err(self.diagnosis.at_deadline(timeout));
            };
            match news {
                News::Line(line) => {
                    if let Some(cause) = self.diagnosis.log(&line) {
                        return Err(cause);
                    }
                }
                News::Ended => return Err(self.diagnosis.at_end(&self.last_words)),
                News::Message(message) => {
                    if let Some(cause) = self.take(&message).await? {
                        return Err(cause);
                    }
                    if let Message::State(state) = message
                        && let Some(ends) = state.ends()
                    {
                        return Ok(ends);
                    }
                }
            }
        }
    }

    /// Waits for what comes next. Nothing is lost when this is given up half way.
    async fn hear(&mut self) -> News {
        loop {
            let heard = tokio::select! {
                heard = self.process.hear() => heard,
                message = next(self.management.as_mut()) => match message {
                    Some(message) => return News::Message(message),
                    // It hangs up as it ends; the end itself is heard below.
                    None => {
                        self.management = None;
                        continue;
                    }
                },
                accepted = self.listener.accept(), if self.management.is_none() => {
                    if let Ok((stream, _)) = accepted {
                        self.management = Some(Management::new(stream));
                    }
                    continue;
                }
            };
            return match heard {
                Heard::Line(_, line) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    // "Use --help for more information." explains nothing.
                    if !line.trim().is_empty() && !line.starts_with("Use --help") {
                        self.last_words = line.trim().to_owned();
                    }
                    self.log.push(&line, |line| self.events.output(Step::Connect, None, line));
                    News::Line(line)
                }
                Heard::Ended(status) => {
                    self.log.finish(|line| self.events.output(Step::Connect, None, line));
                    if self.last_words.is_empty() || status.signal().is_some() {
                        self.last_words = status.to_string();
                    }
                    News::Ended
                }
            };
        }
    }

    /// Answers what OpenVPN asks, and returns the cause when the message says that it will not work.
    async fn take(&mut self, message: &Message) -> Result<Option<Cause>, Cause> {
        if let Message::Token(token) = message {
            self.events.redactor().learn(token);
        }
        let certain = self.diagnosis.hear(message);
        if certain.is_none()
            && let Some(management) = &mut self.management
        {
            let answered = match message {
                Message::Hold => management.release().await,
                Message::Ask(ask) => answer(management, ask, &self.credentials).await?,
                _ => Ok(()),
            };
            if let Err(error) = answered {
                // It has hung up; its end is heard next.
                tracing::debug!(%error, "no answer was taken");
            }
        }
        Ok(certain)
    }

    /// Asks OpenVPN to end, waits, and kills it.
    async fn stop(mut self, grace: Duration) -> Result<(), Unstoppable> {
        if let Some(management) = &mut self.management
            && management.terminate().await.is_ok()
            && tokio::time::timeout(grace, self.takes_leave()).await.is_ok()
        {
            return Ok(());
        }
        // Without its management client it ends by itself, as soon as it can.
        let pid = self.management.take().and_then(|management| management.pid);
        if !self.program.is_under_sudo() {
            return self.process.stop(grace).await.map(|_| ()).ok_or(Unstoppable { pid });
        }
        // Killed, `sudo` would leave its child behind; asked, it passes the request on.
        self.process.signal(Signal::TERM);
        if self.ends_within(grace).await {
            return Ok(());
        }
        if let Some(pid) = pid {
            self.program.kill(pid).await;
        }
        // `sudo` stops with a child that is stopped, and would not see its end.
        self.process.signal(Signal::CONT);
        if self.ends_within(LAST_GRACE).await { Ok(()) } else { Err(Unstoppable { pid }) }
    }

    /// Waits for the end of an OpenVPN that was asked to end. When it has told the server, it would stay for a second in which nothing
    /// more happens (`--explicit-exit-notify 1`); asked again, it goes.
    async fn takes_leave(&mut self) {
        loop {
            match self.hear().await {
                News::Ended => return,
                News::Line(line) if line.contains("sending exit notification to peer") => {
                    if let Some(management) = &mut self.management {
                        // It may have hung up; its end is heard next.
                        let _ = management.terminate().await;
                    }
                }
                _ => {}
            }
        }
    }

    async fn ends_within(&mut self, grace: Duration) -> bool {
        let ended = async { while !matches!(self.hear().await, News::Ended) {} };
        tokio::time::timeout(grace, ended).await.is_ok()
    }
}

/// Returns the next message of the connection, once there is one.
async fn next(management: Option<&mut Management>) -> Option<Message> {
    match management {
        Some(management) => management.next().await,
        None => std::future::pending().await,
    }
}

async fn answer(
    management: &mut Management,
    ask: &Ask,
    credentials: &Credentials,
) -> Result<std::io::Result<()>, Cause> {
    let Ask { realm, wants_username, .. } = ask;
    match (realm.as_str(), credentials) {
        ("Auth", Credentials { username: Some(username), password: Some(password), .. }) if *wants_username => {
            if let Err(error) = management.username(realm, username).await {
                return Ok(Err(error));
            }
            Ok(management.password(realm, password).await)
        }
        ("Auth", _) => Err(Cause::NoCredentials),
        ("Private Key", Credentials { key_passphrase: Some(passphrase), .. }) => {
            Ok(management.password(realm, passphrase).await)
        }
        ("Private Key", _) => Err(Cause::NoPassphrase),
        (other, _) => Err(Cause::OtherLogin(other.to_owned())),
    }
}
