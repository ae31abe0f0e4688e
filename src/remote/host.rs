//! One lab host that we can run commands on: one connection, and as many channels through it as the host allows.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssh::{Child, Session, Stdio};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::config::Address;
use crate::remote::access::{Private, end_master};
use crate::remote::command::{self, Command, Output};
use crate::remote::error::Error;
use crate::remote::outlast::Patience;

/// sshd allows 10 sessions in one connection (`MaxSessions`). It counts one until the process behind it has ended, also
/// when we have turned our back on it, so two are kept free; and some are opened ahead.
const CHANNELS: usize = 8 - AHEAD;

/// So many channels wait for commands: one takes two ways to the host and back to be opened, one for the channel and one for the shell
/// in it, and in that time a quick command is over.
const AHEAD: usize = 2;

/// For how long a channel that was opened ahead is trusted to be there: a host may close what nothing comes through.
const KEPT_AHEAD: Duration = Duration::from_secs(60);

/// How long a host may refuse another channel: it counts those whose commands we have left until these have ended.
const REFUSED: Duration = Duration::from_secs(10);

/// One lab host. Clones are the same host and share its connection.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    user: String,
    address: Address,
    private: Arc<Private>,
    connection: Mutex<Option<Connection>>,
    channels: Arc<Semaphore>,
}

#[derive(Debug)]
struct Connection {
    session: Arc<Session>,
    socket: PathBuf,
    /// The oldest first.
    ahead: VecDeque<Ahead>,
}

/// A channel that waits for its command, so that a command costs one way to the host and back, and not two more to open it.
#[derive(Debug)]
struct Ahead {
    since: Instant,
    opening: JoinHandle<Result<Child<Arc<Session>>, openssh::Error>>,
}

/// A remote command under way, in its place among the host's channels.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) child: Child<Arc<Session>>,
    opened: Instant,
    _place: OwnedSemaphorePermit,
}

impl Channel {
    /// For how long it has been open, at least.
    pub(super) fn waited(&self) -> Duration {
        self.opened.elapsed()
    }
}

impl Host {
    pub(super) fn new(name: &str, address: &Address, user: &str, private: Arc<Private>) -> Host {
        Host {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                user: address.user.clone().unwrap_or_else(|| user.to_owned()),
                address: address.clone(),
                private,
                connection: Mutex::new(None),
                channels: Arc::new(Semaphore::new(CHANNELS)),
            }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn user(&self) -> &str {
        &self.inner.user
    }

    pub(super) fn patience(&self) -> &Patience {
        self.inner.private.patience()
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.inner.private.connect_timeout()
    }

    /// Whether the host answers over the connection that is there.
    pub(super) async fn is_there(&self) -> bool {
        match self.session().await {
            Ok(session) => self.answers(&session).await,
            Err(_) => false,
        }
    }

    /// How long a lost connection is waited for.
    pub(crate) fn outage(&self) -> Duration {
        self.patience().outage
    }

    /// Runs a script of the POSIX shell to its end, with a minute's time. It may be run again when the connection was lost.
    pub(crate) async fn run(&self, script: &str) -> Result<Output, Error> {
        self.outlast(|| self.command(script).run()).await
    }

    /// A script of the POSIX shell, to be run in one of several ways.
    pub(crate) fn command(&self, script: impl Into<String>) -> Command {
        Command::new(self.clone(), script.into())
    }

    /// A session of the user's own over the connection that is there: with a terminal where there is one, a shell if no command is
    /// given. Its words are joined and read by the host's shell, as `ssh` does it.
    pub(crate) async fn terminal(&self, command: &[String]) -> Result<tokio::process::Command, Error> {
        self.session().await?;
        let connection = self.inner.connection.lock().await;
        let socket = connection.as_ref().map(|connection| connection.socket.as_path()).ok_or_else(|| self.lost())?;
        Ok(self.inner.private.terminal(socket, &self.inner.address, &self.inner.user, command))
    }

    /// Makes sure that there is a connection that answers. One that does is kept, so several may ask at once.
    pub(crate) async fn reconnect(&self) -> Result<(), Error> {
        let mut connection = self.inner.connection.lock().await;
        if let Some(old) = connection.take() {
            if self.answers(&old.session).await {
                *connection = Some(old);
                return Ok(());
            }
            old.end().await;
        }
        *connection = Some(self.connect().await?);
        Ok(())
    }

    /// Ends the connection. The next command would make a new one.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.inner.connection.lock().await.take() {
            connection.end().await;
        }
    }

    /// A channel in which the host waits for a command. A connection that is found dead before anything was sent is made anew.
    pub(super) async fn channel(&self) -> Result<Channel, Error> {
        let place = Arc::clone(&self.inner.channels).acquire_owned().await.expect("the semaphore is never closed");
        let since = Instant::now();
        let mut is_fresh = false;
        loop {
            let session = self.session().await?;
            let opening = async {
                match self.opened_ahead(&session).await {
                    Some(ahead) => Ok(ahead),
                    None => {
                        let opened = Instant::now();
                        open(&session).await.map(|child| (child, opened))
                    }
                }
            };
            // One that does not open a channel and does not say why has stopped.
            let limit = self.inner.private.knows_after();
            let opened = tokio::time::timeout(limit, opening).await.unwrap_or(Err(openssh::Error::Disconnected));
            let error = match opened {
                Ok((child, opened)) => {
                    self.open_ahead(&session).await;
                    return Ok(Channel { child, opened, _place: place });
                }
                Err(error) => error,
            };
            if matches!(error, openssh::Error::Disconnected) || session.check().await.is_err() {
                self.forget(&session).await;
                if is_fresh {
                    return Err(self.lost());
                }
                is_fresh = true;
            } else if is_refusal(&error) && since.elapsed() < REFUSED {
                tokio::time::sleep(Duration::from_millis(100)).await;
            } else {
                return Err(Error::NotStarted { host: self.name().to_owned(), text: chain(&error) });
            }
        }
    }

    /// A channel that waits for a command, and since when, if there is one.
    async fn opened_ahead(&self, session: &Arc<Session>) -> Option<(Child<Arc<Session>>, Instant)> {
        loop {
            let ahead = {
                let mut connection = self.inner.connection.lock().await;
                connection.as_mut().filter(|now| Arc::ptr_eq(&now.session, session))?.ahead.pop_front()?
            };
            // Each that was not to be had is forgotten: one behind it may take the place that there is.
            let since = ahead.since;
            if let Some(child) = ahead.opened(session).await {
                return Some((child, since));
            }
        }
    }

    /// Has channels opened for the commands that come next.
    async fn open_ahead(&self, session: &Arc<Session>) {
        let mut connection = self.inner.connection.lock().await;
        if let Some(connection) = connection.as_mut().filter(|now| Arc::ptr_eq(&now.session, session)) {
            connection.open_ahead(AHEAD);
        }
    }

    /// Has channels opened for so many commands that are about to be sent at once, beside those that wait anyway.
    pub(crate) async fn open_for(&self, commands: usize) {
        if let Some(connection) = self.inner.connection.lock().await.as_mut() {
            connection.open_ahead(commands.min(CHANNELS));
        }
    }

    pub(super) fn lost(&self) -> Error {
        Error::Lost { host: self.name().to_owned() }
    }

    /// The connection, made if there is none.
    async fn session(&self) -> Result<Arc<Session>, Error> {
        let mut connection = self.inner.connection.lock().await;
        let connection = match connection.as_mut() {
            Some(connection) => connection,
            None => connection.insert(self.connect().await?),
        };
        Ok(Arc::clone(&connection.session))
    }

    /// Drops a connection that is dead, unless somebody has already made a new one.
    async fn forget(&self, dead: &Arc<Session>) {
        let mut connection = self.inner.connection.lock().await;
        if let Some(old) = connection.take_if(|connection| Arc::ptr_eq(&connection.session, dead)) {
            old.end().await;
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let Inner { name, user, address, private, .. } = &*self.inner;
        match private.connect(address, user).await {
            Ok(socket) => {
                let session = Arc::new(Session::resume_mux(socket.clone().into_boxed_path(), None));
                let mut connection = Connection { session, socket, ahead: VecDeque::new() };
                connection.open_ahead(AHEAD);
                Ok(connection)
            }
            Err(cause) => Err(Error::Connect {
                host: name.clone(),
                user: user.clone(),
                address: address.clone(),
                source: Box::new(cause),
            }),
        }
    }

    /// Whether the host itself answers. The master's own word is not enough: it has not noticed yet that a network is gone.
    async fn answers(&self, session: &Arc<Session>) -> bool {
        let probe = async {
            let mut command = session.clone().arc_raw_command("exec true");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // Refused for want of a free channel is an answer too.
            match command.status().await {
                Ok(_) => true,
                Err(error) => is_refusal(&error),
            }
        };
        tokio::time::timeout(self.inner.private.connect_timeout(), probe).await.unwrap_or(false)
    }
}

/// Opens a channel in which the host waits for a command.
async fn open(session: &Arc<Session>) -> Result<Child<Arc<Session>>, openssh::Error> {
    let mut waiting = session.clone().arc_raw_command(command::waiting());
    waiting.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    waiting.spawn().await
}

impl Ahead {
    fn open(session: &Arc<Session>) -> Ahead {
        let session = Arc::clone(session);
        Ahead { since: Instant::now(), opening: tokio::spawn(async move { open(&session).await }) }
    }

    /// The channel, unless it was not to be had, or may be gone by now.
    async fn opened(mut self, session: &Session) -> Option<Child<Arc<Session>>> {
        if self.since.elapsed() > KEPT_AHEAD || session.check().await.is_err() {
            return None;
        }
        (&mut self.opening).await.ok()?.ok()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.opening.abort();
    }
}

impl Connection {
    /// Has channels opened until so many wait for a command.
    fn open_ahead(&mut self, least: usize) {
        let missing = least.saturating_sub(self.ahead.len());
        self.ahead.extend((0..missing).map(|_| Ahead::open(&self.session)));
    }

    async fn end(self) {
        drop(self.ahead);
        let socket = self.socket;
        let _ = tokio::task::spawn_blocking(move || end_master(&socket)).await;
    }
}

/// Whether the host has as many channels as it wants to: "Session open refused by peer".
fn is_refusal(error: &openssh::Error) -> bool {
    matches!(error, openssh::Error::SshMux(error) if error.to_string().contains("refused"))
}

/// The error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
