//! The tunnel into the lab: OpenVPN as a child, driven over its management interface.
//!
//! Its state machine says when it is up, and the kernel says whether the hosts are really behind it. Nothing that the server
//! pushes becomes a route or a resolver of this machine. If this program dies, however it dies, OpenVPN loses its
//! management client and ends by itself.

mod cause;
mod directory;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
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

use rustix::process::Signal;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use cause::Error;
pub(crate) use directory::sweep;
pub(crate) use profile::{Credentials, Prepared, prepare};
use routes::{Place, Way, places, ways};

use crate::config::Network;
use crate::event::{EventKind, Events, Problem, Step};
use crate::process::{Heard, Process};
use crate::secret::Redactor;
use cause::{Cause, Diagnosis};
use directory::Directory;
use management::{Ask, Management, Message, State};
use openvpn::{Inside, Program};
use routes::Node;
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
        let now = Node::look().await.map_err(|error| failed().because_of(&error))?;
        if let Some(difference) = before.difference(&now) {
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
    let late = |_| Cause::Deadline { state: "not started".to_owned(), after: settings.connect_timeout };
    let places = timeout_at(deadline, places(&settings.hosts)).await.map_err(late)??;
    let before = Node::look().await?;

    let mut session = Session::start(&settings, &places, program, events)?;
    let connected = match session.connect(deadline, settings.connect_timeout).await {
        Ok(ends) => check(&places, ends, &before).await.map(|device| (ends, device)),
        Err(cause) => Err(cause),
    };
    let (ends, device) = match connected {
        Ok(connected) => connected,
        Err(cause) => {
            if let Err(unstoppable) = session.stop(IMPATIENCE).await {
                events.warn(Step::Connect, None, unstoppable.explain(Problem::testbed("after a failed start")).line());
            }
            return Err(cause);
        }
    };
    events.say(EventKind::TunnelUp { device: device.clone(), address: ends.tunnel.to_string() });
    let stop = CancellationToken::new();
    let (say, condition) = watch::channel(Condition::Up);
    let supervision = tokio::spawn(Supervision::new(session, places, settings.outage, say).run(stop.clone()));
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
#[derive(Debug, Clone, Copy)]
struct Ends {
    /// Our own address in it.
    tunnel: IpAddr,
    /// The server's address outside of it.
    server: Option<IpAddr>,
}

/// Asks the kernel whether the hosts are behind the tunnel, and all else is where it was. Returns the tunnel's device.
async fn check(places: &[Place], ends: Ends, before: &Node) -> Result<String, Cause> {
    let device = check_routes(places, ends).await?;
    match before.difference(&Node::look().await?) {
        Some(difference) => Err(Cause::NodeChanged(difference)),
        None => Ok(device),
    }
}

/// Asks the kernel whether the hosts are behind the tunnel. Returns the tunnel's device.
async fn check_routes(places: &[Place], ends: Ends) -> Result<String, Cause> {
    let devices = routes::devices_with(ends.tunnel).await?;
    let Some(device) = devices.first() else {
        return Err(Cause::RouteFailed(format!("no device has the tunnel's address {}", ends.tunnel)));
    };
    for Way { host, address, device: by } in ways(places).await? {
        if !by.as_ref().is_some_and(|by| devices.contains(by)) {
            return Err(Cause::NotRouted { host, address, device: device.clone(), by });
        }
    }
    match ends.server {
        Some(server) if routes::device_towards(server).await?.is_some_and(|by| devices.contains(&by)) => {
            Err(Cause::ServerInside(server))
        }
        _ => Ok(device.clone()),
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
    program: Program,
    credentials: Credentials,
    diagnosis: Diagnosis,
    last_words: String,
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
    fn start(settings: &Settings, places: &[Place], program: Program, events: &Events) -> Result<Session, Cause> {
        let system = |what| move |source| Cause::System { what, source };
        let directory = Directory::make().map_err(system("make a private directory"))?;
        let listener = UnixListener::bind(directory.socket()).map_err(system("listen for OpenVPN"))?;
        let inside = match settings.routes.as_slice() {
            [] => {
                let mut hosts: Vec<IpAddr> = places.iter().map(|place| place.address).collect();
                hosts.sort();
                hosts.dedup();
                Inside { networks: Vec::new(), hosts }
            }
            networks => Inside { networks: networks.to_vec(), hosts: Vec::new() },
        };
        let client = program.client(&settings.profile, &directory.socket(), &inside);
        let process = client.start().map_err(system("start `openvpn`"))?;
        Ok(Session {
            management: None,
            process,
            listener,
            _directory: directory,
            program,
            credentials: settings.profile.credentials.clone(),
            diagnosis: Diagnosis::default(),
            last_words: String::new(),
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
                    if let Message::State(State { name, detail, address: Some(tunnel), remote }) = message
                        && name == "CONNECTED"
                        && detail == "SUCCESS"
                    {
                        return Ok(Ends { tunnel, server: remote });
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
                    self.events.output(Step::Connect, None, line.as_str());
                    News::Line(line)
                }
                Heard::Ended(status) => {
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
