//! One lab host that we can run commands on: one connection, and as many channels through it as the host allows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssh::{Child, Session, Stdio};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::config::Address;
use crate::remote::access::{Private, end_master};
use crate::remote::command::{Command, Output};
use crate::remote::error::Error;
use crate::remote::outlast::Patience;

/// sshd allows 10 sessions in one connection (`MaxSessions`). It counts one until the process behind it has ended, also
/// when we have turned our back on it, so two are kept free.
const CHANNELS: usize = 8;

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
}

/// A remote command under way, in its place among the host's channels.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) child: Child<Arc<Session>>,
    _place: OwnedSemaphorePermit,
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

    /// Starts a command line on the host. A connection that is found dead before anything was sent is made anew.
    pub(super) async fn spawn(&self, line: &str) -> Result<Channel, Error> {
        let place = Arc::clone(&self.inner.channels).acquire_owned().await.expect("the semaphore is never closed");
        let since = Instant::now();
        let mut is_fresh = false;
        loop {
            let session = self.session().await?;
            let mut command = session.clone().arc_raw_command(line);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let error = match command.spawn().await {
                Ok(child) => return Ok(Channel { child, _place: place }),
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

    pub(super) fn lost(&self) -> Error {
        Error::Lost { host: self.name().to_owned() }
    }

    async fn session(&self) -> Result<Arc<Session>, Error> {
        let mut connection = self.inner.connection.lock().await;
        if let Some(connection) = connection.as_ref() {
            return Ok(Arc::clone(&connection.session));
        }
        let new = self.connect().await?;
        let session = Arc::clone(&new.session);
        *connection = Some(new);
        Ok(session)
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
                let session = Session::resume_mux(socket.clone().into_boxed_path(), None);
                Ok(Connection { session: Arc::new(session), socket })
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

impl Connection {
    async fn end(self) {
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
