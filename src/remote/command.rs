//! One script on a host: what it is given, what it prints, how it ends.
//!
//! A shell of ours, which may have waited for it (`waiting.sh`), runs the script and says when it begins and how it
//! ends, between marks of its own (`wrapper.sh`). So a status is the script's own, whatever it is, and an end without
//! the mark means that we do not know.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssh::{ChildStderr, ChildStdin, ChildStdout};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::task::JoinHandle;

use crate::cause;
use crate::limit::{HeadTail, shortened};
use crate::remote::error::Error;
use crate::remote::host::{Channel, Host};
use crate::remote::quote;
use crate::secret::RedactedText;

const WAITING: &str = include_str!("waiting.sh");
const WRAPPER: &str = include_str!("wrapper.sh");

/// What a command may take that nobody gave a deadline.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between the friendly request to end and the other one, on the host.
const GRACE: Duration = Duration::from_secs(5);

/// A command that was longer than this on its way to the host is not run: its connection was lost meanwhile.
const LATE: Duration = Duration::from_secs(10);

/// What the way to the host and back may add to a command's deadline.
const TRAVEL: Duration = Duration::from_secs(10);

/// What the shell that waits says first, on standard error.
const WAITS: &[u8] = b"teravm-ci: waiting\n";

/// Of each stream so much of the beginning and so much of the end is kept.
const KEPT: usize = 1024 * 1024;

/// What a script said last is a line for a person, of so many bytes at most.
const LAST_WORDS: usize = 2000;

/// As whom a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// The user that we log in as.
    User,
    /// Root, by `sudo` where the user is another.
    Root,
}

/// A script of the POSIX shell for one host. It ends when nobody listens any more; what shall stay behind is a job.
#[derive(Debug, Clone)]
#[must_use = "a command does nothing until it is run"]
pub(crate) struct Command {
    host: Host,
    script: String,
    stdin: Option<Vec<u8>>,
    deadline: Option<Duration>,
    run_as: As,
}

/// What a script came to. Its status is a value: only the caller knows what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// The exit status as a shell counts it: death by signal is 128 and the signal's number.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn is_success(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text, without the blanks at its end.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Standard error as text, without the blanks at its end.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }

    /// What the script said last, for a person who asks why it failed.
    pub(crate) fn last_words(&self) -> String {
        // All of it is redacted, and not its last line: a secret may be broken over lines.
        let last = |said: fn(&Output) -> String| {
            let said = RedactedText::from(said(self));
            said.lines().rfind(|line| !line.trim().is_empty()).map(|line| RedactedText::from(line.trim()))
        };
        match [Output::errors as fn(&Output) -> String, Output::text].into_iter().find_map(last) {
            Some(line) => shortened(&line, LAST_WORDS),
            None => format!("exit status {}, without a word", self.status),
        }
    }
}

impl Command {
    pub(super) fn new(host: Host, script: String) -> Command {
        Command { host, script, stdin: None, deadline: Some(DEADLINE), run_as: As::User }
    }

    /// What the script reads on its standard input; nothing otherwise.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Command {
        self.stdin = Some(bytes.into());
        self
    }

    /// How long it may take. Then it is ended, on the host.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Command {
        self.deadline = Some(deadline);
        self
    }

    /// It may take as long as somebody listens.
    pub(crate) fn no_deadline(mut self) -> Command {
        self.deadline = None;
        self
    }

    pub(crate) fn run_as(mut self, run_as: As) -> Command {
        self.run_as = run_as;
        self
    }

    /// Runs it as root.
    pub(crate) fn sudo(self) -> Command {
        self.run_as(As::Root)
    }

    /// Runs the script to its end and keeps what it printed; of very much, the beginning and the end.
    pub(crate) async fn run(self) -> Result<Output, Error> {
        self.run_and_hear(|_| {}).await
    }

    /// The same, and hands over what it prints, piece by piece, as it comes.
    pub(crate) async fn run_and_hear(self, mut on_bytes: impl FnMut(&[u8])) -> Result<Output, Error> {
        let mut stdout = HeadTail::new(KEPT, KEPT);
        let channel = Box::pin(self.host.channel()).await?;
        let hear = |bytes: &[u8]| {
            on_bytes(bytes);
            stdout.push(bytes);
            Ok(())
        };
        // Its state is large, and everything that awaits a command holds it.
        let mut output = Box::pin(self.drive(channel, hear)).await?;
        output.stdout = stdout.into_bytes();
        Ok(output)
    }

    /// Runs the script to its end and hands over what it prints, piece by piece, as it comes; up to `limit` bytes. The
    /// output that is returned has the errors only.
    pub(crate) async fn stream(
        self,
        limit: u64,
        on_bytes: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Output, Error> {
        let channel = Box::pin(self.host.channel()).await?;
        Box::pin(self.stream_by(channel, limit, on_bytes)).await
    }

    /// The same by a channel that is there.
    pub(super) async fn stream_by(
        self,
        channel: Channel,
        limit: u64,
        mut on_bytes: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Output, Error> {
        let name = self.host.name().to_owned();
        let mut total = 0;
        self.drive(channel, |bytes| {
            total += bytes.len() as u64;
            if total > limit {
                return Err(Error::TooMuch { host: name.clone(), limit });
            }
            on_bytes(bytes).map_err(|source| Error::Sink { host: name.clone(), source })
        })
        .await
    }

    /// Starts the script with its standard input and output in our hands, for a protocol to be spoken through it.
    ///
    /// It is expected to end when the pipe is dropped; the deadline counts for all of it.
    pub(crate) async fn duplex(self) -> Result<(Pipe, Ending), Error> {
        let mark = Mark::new();
        let mut channel = self.host.channel().await?;
        let mut stdin = channel.child.stdin().take().expect("stdin is piped by the host");
        let mut stdout = channel.child.stdout().take().expect("stdout is piped by the host");
        let mut stderr = channel.child.stderr().take().expect("stderr is piped by the host");
        let (mut frame, mut err) = (Framed::new(&mark), Framed::new(&mark));
        self.is_waited_for((&mut stdout, &mut frame), (&mut stderr, &mut err)).await?;
        // It may have ended before it read this; then it says why.
        let _ = stdin.write_all(self.told(&mark, "duplex", channel.waited()).as_bytes()).await;

        let ending = tokio::spawn(async move {
            let since = Instant::now();
            let mut errors = HeadTail::new(KEPT, KEPT);
            let keep = |bytes: &[u8]| {
                errors.push(bytes);
                Ok(())
            };
            let work = async {
                read_frame(&mut stderr, &mut err, keep).await?;
                Ok(wait(channel).await)
            };
            let status = self.in_time(work).await?;
            self.conclude(None, &err, status, errors, since)
        });

        Ok((Pipe { stdin, stdout, before: Some(frame), first: VecDeque::new() }, Ending(ending)))
    }

    /// Runs the script to its end; the output that is returned has the errors only.
    async fn drive(
        &self,
        mut channel: Channel,
        mut on_bytes: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Output, Error> {
        let mark = Mark::new();
        let data = match &self.stdin {
            Some(bytes) => format!("{}.", STANDARD.encode(bytes)),
            None => String::new(),
        };
        let mut stdin = channel.child.stdin().take().expect("stdin is piped by the host");
        let mut stdout = channel.child.stdout().take().expect("stdout is piped by the host");
        let mut stderr = channel.child.stderr().take().expect("stderr is piped by the host");

        let mut out = Framed::new(&mark);
        let mut err = Framed::new(&mark);
        self.is_waited_for((&mut stdout, &mut out), (&mut stderr, &mut err)).await?;
        let since = Instant::now();
        let waited = channel.waited();
        let mut errors = HeadTail::new(KEPT, KEPT);
        let work = async {
            let feed = async {
                // It may have ended before it read this; then it says why.
                let _ = stdin.write_all(self.told(&mark, &data.len().to_string(), waited).as_bytes()).await;
                let _ = stdin.write_all(data.as_bytes()).await;
                Ok(())
            };
            let keep = |bytes: &[u8]| {
                errors.push(bytes);
                Ok(())
            };
            // Side by side: the host blocks on the one that nobody reads.
            tokio::try_join!(
                feed,
                read_frame(&mut stdout, &mut out, &mut on_bytes),
                read_frame(&mut stderr, &mut err, keep),
            )?;
            // The end of our input tells the host that nobody listens, so it has to wait until here.
            drop(stdin);
            Ok(wait(channel).await)
        };
        let status = self.in_time(work).await?;
        self.conclude(Some(&out), &err, status, errors, since)
    }

    /// Returns when a shell of ours waits for the script, or the channel has ended. Another program in its place would
    /// take the script for commands of its own.
    async fn is_waited_for(
        &self,
        (stdout, out): (&mut ChildStdout, &mut Framed),
        (stderr, err): (&mut ChildStderr, &mut Framed),
    ) -> Result<(), Error> {
        // A host that is as busy as that needs this long to start a shell.
        let limit = self.host.connect_timeout() + LATE;
        let waits = async {
            let (mut printed, mut complained) = ([0; 4096], [0; 4096]);
            while !err.is_waited_for() {
                let (frame, bytes) = tokio::select! {
                    count = stdout.read(&mut printed) => (&mut *out, &printed[..count.unwrap_or(0)]),
                    count = stderr.read(&mut complained) => (&mut *err, &complained[..count.unwrap_or(0)]),
                };
                if bytes.is_empty() {
                    break;
                }
                frame.push(bytes);
            }
        };
        if tokio::time::timeout(limit, waits).await.is_ok() {
            return Ok(());
        }
        if !self.host.is_there().await {
            return Err(self.host.lost());
        }
        Err(Error::NoShell { host: self.host.name().to_owned(), limit, text: said_instead(out, err) })
    }

    /// Waits for the work, a little longer than the host should need to end it.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(limit) = self.deadline else { return work.await };
        match tokio::time::timeout(limit + GRACE + TRAVEL, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline { host: self.host.name().to_owned(), limit }),
        }
    }

    /// What to make of an end: `status` is the channel's own, when one was delivered.
    fn conclude(
        &self,
        out: Option<&Framed>,
        err: &Framed,
        status: Option<i32>,
        errors: HeadTail,
        since: Instant,
    ) -> Result<Output, Error> {
        let host = self.host.name().to_owned();
        if let (Some(status), true) = (err.status(), out.is_none_or(Framed::is_complete)) {
            return Ok(Output { status, stdout: Vec::new(), stderr: errors.into_bytes() });
        }
        let Some(status) = status else { return Err(self.host.lost()) };
        if err.has_begun() {
            return match self.deadline {
                Some(limit) if since.elapsed() >= limit => Err(Error::Deadline { host, limit }),
                // Somebody on the host killed the shell that ran it.
                _ => Ok(Output { status, stdout: Vec::new(), stderr: errors.into_bytes() }),
            };
        }
        if err.is_late() {
            return Err(self.host.lost());
        }
        let said = said_instead(out.unwrap_or(err), err);
        Err(match said.strip_prefix("sudo: ") {
            Some(text) => Error::Sudo { host, text: text.to_owned() },
            None if said.is_empty() => {
                Error::NotStarted { host, text: format!("its shell ended with status {status}") }
            }
            None => Error::NotStarted { host, text: said },
        })
    }

    /// What the host is told in a channel that waits: how to run the script, and the script.
    fn told(&self, mark: &Mark, data: &str, waited: Duration) -> String {
        let sudo = if self.run_as == As::Root && self.host.user() != "root" { " sudo -n" } else { "" };
        // `timeout` takes 0 for none.
        let deadline = self.deadline.map_or(0.0, |deadline| deadline.as_secs_f64().max(0.001));
        let script = self.script(mark);
        format!("{mark} {} {data} {deadline:.3} {}{sudo}\n{script}", script.len(), waited.as_secs())
    }

    /// The script as it is sent. Its last line tells the host that nothing of it is missing.
    fn script(&self, mark: &Mark) -> String {
        format!("{}\n# {mark}", self.script)
    }
}

/// The command line of every channel: a shell that waits to be told what to do. It shows nothing of any script.
pub(super) fn waiting() -> String {
    let bare = |script: &str| {
        let lines: Vec<&str> = script.lines().map(str::trim_start).filter(|line| !line.starts_with('#')).collect();
        quote(&lines.join("\n"))
    };
    format!("exec sh -c {} sh {} {} {}", bare(WAITING), bare(WRAPPER), GRACE.as_secs(), LATE.as_secs())
}

/// What was printed in place of the script: its telling line.
fn said_instead(out: &Framed, err: &Framed) -> String {
    let said = [err, out].map(Framed::said).into_iter().find(|said| !said.is_empty()).unwrap_or_default();
    let said = RedactedText::from(said);
    let last = said.lines().next_back().unwrap_or_default().trim().to_owned();
    if last.starts_with("sudo: ") { last } else { cause::telling(&said).unwrap_or(last) }
}

/// The channel's own exit status, when one was delivered.
async fn wait(channel: Channel) -> Option<i32> {
    match channel.child.wait().await {
        Ok(status) => status.code(),
        // This is how the crate puts 127.
        Err(openssh::Error::Remote(_)) => Some(127),
        Err(_) => None,
    }
}

/// Reads a stream to its end, or to the end of the script's part of it.
async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    frame: &mut Framed,
    mut on_bytes: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut buffer = vec![0; 64 * 1024];
    while !frame.is_complete() {
        // An error on our end of a pipe means the same as its end: nothing more will come.
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        let bytes = if count == 0 { frame.rest() } else { frame.push(&buffer[..count]) };
        if !bytes.is_empty() {
            on_bytes(&bytes)?;
            // Whoever keeps it has his turn before more is read.
            tokio::task::yield_now().await;
        }
        if count == 0 {
            break;
        }
    }
    Ok(())
}

/// A text that nobody else prints.
#[derive(Debug, Clone)]
struct Mark(String);

impl Mark {
    fn new() -> Mark {
        let random = || RandomState::new().hash_one(Instant::now());
        Mark(format!("@teravm-ci:{:016x}{:016x}", random(), random()))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The script's part of a stream: what is between the line `MARK begin` and the line `MARK WORD`.
#[derive(Debug)]
struct Framed {
    begin: Vec<u8>,
    end: Vec<u8>,
    has_begun: bool,
    /// The word after the second mark.
    word: Option<String>,
    /// Before the beginning: what was said so far. Within: the end of it, as far as it may be the beginning of the
    /// mark.
    held: Vec<u8>,
}

impl Framed {
    fn new(mark: &Mark) -> Framed {
        Framed {
            begin: format!("{mark} begin\n").into_bytes(),
            end: format!("{mark} ").into_bytes(),
            has_begun: false,
            word: None,
            held: Vec::new(),
        }
    }

    /// Takes what came next, and returns what of it is the script's.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.is_complete() {
            return Vec::new();
        }
        self.held.extend_from_slice(bytes);
        if !self.has_begun {
            let Some(at) = memchr::memmem::find(&self.held, &self.begin) else {
                // A login shell may say much; its last words are enough.
                let excess = self.held.len().saturating_sub(KEPT);
                self.held.drain(..excess);
                return Vec::new();
            };
            self.held.drain(..at + self.begin.len());
            self.has_begun = true;
        }
        if let Some(at) = memchr::memmem::find(&self.held, &self.end) {
            let word = &self.held[at + self.end.len()..];
            if let Some(length) = memchr::memchr(b'\n', word) {
                self.word = Some(String::from_utf8_lossy(&word[..length]).into_owned());
            }
            let rest = self.held.split_off(at);
            return std::mem::replace(&mut self.held, rest);
        }
        let most = (self.end.len() - 1).min(self.held.len());
        let keep = (1..=most).rev().find(|&length| self.held.ends_with(&self.end[..length])).unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// The script's bytes that were held back, when the stream has ended without the second mark.
    fn rest(&mut self) -> Vec<u8> {
        if self.has_begun { std::mem::take(&mut self.held) } else { Vec::new() }
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn is_complete(&self) -> bool {
        self.word.is_some()
    }

    fn status(&self) -> Option<i32> {
        self.word.as_ref()?.parse().ok()
    }

    /// Whether the script was not begun because it has come too late.
    fn is_late(&self) -> bool {
        self.before().trim_ascii_end().strip_suffix(b"late").is_some_and(|said| said.ends_with(&self.end))
    }

    /// Whether a shell of ours has said that it waits for a script.
    fn is_waited_for(&self) -> bool {
        memchr::memmem::find(&self.held, WAITS).is_some()
    }

    /// What others have said before the script began, when it never did.
    fn said(&self) -> String {
        let said = String::from_utf8_lossy(self.before());
        said.replace(&*String::from_utf8_lossy(WAITS), "").trim().to_owned()
    }

    /// What was said before the script began, when it never did.
    fn before(&self) -> &[u8] {
        if self.has_begun { &[] } else { &self.held }
    }
}

/// Standard input and output of a remote command, as one stream in both directions.
#[derive(Debug)]
pub(crate) struct Pipe {
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// What its output begins with, until the mark has come.
    before: Option<Framed>,
    /// What came along with the mark of the beginning.
    first: VecDeque<u8>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(mut frame) = self.before.take() {
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            let polled = Pin::new(&mut self.stdout).poll_read(context, &mut read);
            match polled {
                // It never began. The ending knows why.
                Poll::Ready(Ok(())) if read.filled().is_empty() => {}
                Poll::Ready(Ok(())) => {
                    let came = frame.push(read.filled());
                    self.first.extend(came);
                    self.first.extend(frame.rest());
                    self.before = (!frame.has_begun()).then_some(frame);
                }
                waiting_or_broken => {
                    self.before = Some(frame);
                    return waiting_or_broken;
                }
            }
        }
        if self.first.is_empty() {
            return Pin::new(&mut self.stdout).poll_read(context, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        for byte in self.first.drain(..count) {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(context)
    }
}

/// How the command behind a [`Pipe`] ends, and what it said about it.
#[derive(Debug)]
pub(crate) struct Ending(JoinHandle<Result<Output, Error>>);

impl Ending {
    /// Waits for the end of the command. The output has the errors only.
    pub(crate) async fn wait(self) -> Result<Output, Error> {
        self.0.await.expect("reading does not panic, and nobody aborts it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Redactor, Secret};

    #[test]
    fn last_words_that_are_cut_or_one_line_of_many_keep_no_half_of_a_secret() {
        Redactor::process().learn(&Secret::new("S3CRET-OF-LAST-WORDS"));
        let said = |text: String| Output { status: 1, stdout: Vec::new(), stderr: text.into_bytes() }.last_words();
        for lead in LAST_WORDS / 2 - 40..LAST_WORDS / 2 + 1 {
            let text = said(format!("{}S3CRET-OF-LAST-WORDS{}\n", "A".repeat(lead), "C".repeat(LAST_WORDS)));
            assert!(!text.contains("S3C") && !text.contains("WORDS") && text.contains(" bytes left out] C"), "{text}");
        }
        assert_eq!(said("no: S3CRET-OF-\n  LAST-WORDS is wrong\n".to_owned()), "is wrong");
    }
}
