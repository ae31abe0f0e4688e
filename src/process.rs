//! Child processes: their lines, their deadlines, their end.
//!
//! Knows the operating system and nothing of the programs that it starts. A child has a process group of its own, an
//! environment of its own, and both its streams are read side by side for as long as it lives.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::limit::HeadTail;
use crate::secret::RedactedText;

/// A longer line comes in pieces, so that no child decides how much memory we need.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

/// Of each stream of a child that is run to its end so much of the beginning and so much of the end is kept.
const KEPT: usize = 1024 * 1024;

/// How many lines may wait to be heard before the child has to.
const LINES_AHEAD: usize = 256;

/// How long the last output may take to arrive after the child has ended. Longer means that somebody else, a grandchild,
/// holds the other end open.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Where administrators' programs are on machines whose users have no such folder on their PATH.
const ADMIN_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Returns where the program is: where its own path leads, else on PATH, or in one of the administrators' folders.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = match program.contains('/') {
        true => vec![PathBuf::new()],
        false => std::env::split_paths(&path).chain(ADMIN_FOLDERS.map(PathBuf::from)).collect(),
    };
    folders
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}

/// What is to be started.
pub(crate) struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    input: Vec<u8>,
}

impl Command {
    /// A command whose environment has PATH, HOME and the plain language of messages, and nothing else of ours.
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        let inherited = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        let env = inherited.chain([("LC_ALL".into(), "C".into())]).collect();
        Command { program: program.into(), args: Vec::new(), env, input: Vec::new() }
    }

    #[must_use]
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// What the child reads on its standard input, to the end of it. Nothing when this is not said.
    #[must_use]
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    pub(crate) fn start(self) -> io::Result<Process> {
        Process::start(self)
    }

    /// Runs the command to its end, or kills it when the deadline has passed.
    pub(crate) async fn run(self, deadline: Duration) -> Result<Finished, RunError> {
        let program = self.program.clone();
        let mut process = self.start().map_err(|source| RunError::Start { program: program.clone(), source })?;
        let mut finished = HeadTail::new(KEPT, KEPT);
        let mut complaints = HeadTail::new(KEPT, KEPT);
        let to_end = async {
            loop {
                match process.hear().await {
                    Heard::Line(Stream::Output, line) => push_line(&mut finished, &line),
                    Heard::Line(Stream::Error, line) => push_line(&mut complaints, &line),
                    Heard::Ended(status) => return status,
                }
            }
        };
        match timeout(deadline, to_end).await {
            Ok(status) => Ok(Finished { status, stdout: finished.into_bytes(), stderr: complaints.into_bytes() }),
            // The process is dropped here, and its group killed with it.
            Err(_) => Err(RunError::Deadline { program, deadline }),
        }
    }
}

fn push_line(text: &mut HeadTail, line: &[u8]) {
    text.push(line);
    text.push(b"\n");
}

/// How a command ended, and what it said; of very much, the beginning and the end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Finished {
    /// The last line that says something, of the errors if there are any: why it failed.
    pub(crate) fn last_words(&self) -> String {
        [&self.stderr, &self.stdout]
            .into_iter()
            .filter_map(|text| {
                let text = RedactedText::from(String::from_utf8_lossy(text));
                text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
            })
            .next()
            .unwrap_or_else(|| self.status.to_string())
    }
}

/// A command that has no exit status to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot start `{}`", .program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("`{}` did not end within {}", .program.display(), crate::config::format_duration(*.deadline))]
    Deadline { program: PathBuf, deadline: Duration },
}

/// Which of its two streams a child wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// What is heard of a child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A line, without its end. It need not be text.
    Line(Stream, Vec<u8>),
    /// The child has ended, and all it said was heard before.
    Ended(ExitStatus),
}

/// A child that runs. Dropped, it is killed with its whole group.
#[derive(Debug)]
pub(crate) struct Process {
    child: tokio::process::Child,
    lines: mpsc::Receiver<(Stream, Vec<u8>)>,
    end: Option<(ExitStatus, Instant)>,
}

impl Process {
    fn start(command: Command) -> io::Result<Process> {
        let stdin = if command.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = tokio::process::Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .envs(command.env)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (sender, lines) = mpsc::channel(LINES_AHEAD);
        let stdout = child.stdout.take().expect("stdout is piped above");
        let stderr = child.stderr.take().expect("stderr is piped above");
        tokio::spawn(pass_on(stdout, Stream::Output, sender.clone()));
        tokio::spawn(pass_on(stderr, Stream::Error, sender));
        if let Some(mut stdin) = child.stdin.take() {
            // A child that ends without reading its input says why by its exit.
            tokio::spawn(async move { stdin.write_all(&command.input).await });
        }
        Ok(Process { child, lines, end: None })
    }

    /// Waits for the next line or for the end. What is not heard may be asked for again: nothing is lost when this is
    /// given up half way.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            let Some((status, since)) = self.end else {
                tokio::select! {
                    biased;
                    Some((stream, line)) = self.lines.recv() => return Heard::Line(stream, line),
                    status = self.child.wait() => {
                        self.end = Some((status.expect("we are the parent of this child"), Instant::now()));
                    }
                }
                continue;
            };
            return tokio::select! {
                biased;
                line = self.lines.recv() => match line {
                    Some((stream, line)) => Heard::Line(stream, line),
                    None => Heard::Ended(status),
                },
                () = sleep_until(since + LAST_OUTPUT) => Heard::Ended(status),
            };
        }
    }

    /// Waits for the end, whatever is still said.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Heard::Ended(status) = self.hear().await {
                return status;
            }
        }
    }

    /// Sends a signal to the child's whole group. A group that is gone, or not ours to signal (it is under `sudo`), stays
    /// as it is.
    pub(crate) fn signal(&self, signal: Signal) {
        // Once the child was waited for, its number may be somebody else's.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(?group, ?signal, %error, "not signalled");
        }
    }

    /// Asks the process group to stop, and kills it if it does not within `grace`. Returns none when even that did not
    /// help, because the child is not ours to kill.
    pub(crate) async fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        for signal in [Signal::TERM, Signal::KILL] {
            self.signal(signal);
            if let Ok(status) = timeout(grace, self.ended()).await {
                return Some(status);
            }
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Sends each line on, until the stream ends or nobody listens.
async fn pass_on(stream: impl AsyncRead + Unpin, name: Stream, lines: mpsc::Sender<(Stream, Vec<u8>)>) {
    let mut reader = Lines::new(stream);
    while let Ok(Some(line)) = reader.next().await {
        if lines.send((name, line)).await.is_err() {
            break;
        }
    }
}

/// Lines of bytes out of anything that can be read.
///
/// The bytes come from programs that we do not control, so a line need not be valid UTF-8, nor end.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    held: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Lines { reader: BufReader::new(reader), held: Vec::new() }
    }

    /// Returns the next line without its end, or none at the end of the stream. Nothing is lost when this is given up
    /// half way.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                let rest = self.take_line();
                return Ok(if rest.is_empty() { None } else { Some(rest) });
            }
            let room = LONGEST_LINE - self.held.len();
            let (taken, is_whole) = match memchr::memchr(b'\n', bytes) {
                Some(at) if at < room => (at + 1, true),
                _ => (bytes.len().min(room), false),
            };
            self.held.extend_from_slice(&bytes[..taken]);
            self.reader.consume(taken);
            if is_whole || self.held.len() == LONGEST_LINE {
                return Ok(Some(self.take_line()));
            }
        }
    }

    fn take_line(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.held);
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        line
    }
}

/// Is there a process of this number on this machine? One that nobody has waited for after its end is none.
pub(crate) fn is_alive(id: u32) -> bool {
    // `12 (a name) S 1 ...`
    let stat = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// The processes of this machine that have the path in their command line.
pub(crate) fn naming(path: &Path) -> Vec<Pid> {
    let path = path.as_os_str().as_encoded_bytes();
    let names = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        memchr::memmem::find(&line, path).is_some()
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter(names).filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh").args(["-c", script])
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_process_is_alive_until_it_ends_whether_or_not_somebody_waits_for_it() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        assert!(is_alive(child.id()));
        child.kill().expect("it is ours");
        let since = Instant::now();
        while is_alive(child.id()) {
            assert!(since.elapsed() < LONG, "it was killed and is alive");
        }
        child.wait().expect("it is ours");
        assert!(!is_alive(child.id()));
    }

    #[tokio::test]
    async fn both_streams_are_read_and_the_last_output_comes_before_the_end() {
        let mut process = shell("echo out; echo err >&2; printf 'half\\377'; exit 7").start().expect("a shell");
        let mut heard = Vec::new();
        loop {
            match process.hear().await {
                Heard::Line(stream, line) => heard.push((stream, line)),
                Heard::Ended(status) => {
                    assert_eq!(status.code(), Some(7));
                    break;
                }
            }
        }
        assert!(heard.contains(&(Stream::Output, b"out".to_vec())));
        assert!(heard.contains(&(Stream::Error, b"err".to_vec())));
        assert!(heard.contains(&(Stream::Output, b"half\xff".to_vec())));
        assert_eq!(heard.len(), 3);
    }

    #[tokio::test]
    async fn the_last_words_have_no_half_of_a_secret_that_is_broken_over_lines() {
        crate::secret::Redactor::process().learn(&crate::secret::Secret::new("S3CRET-OF-A-CHILD"));
        let finished = shell("echo 'no: S3CRET-OF'; echo '-A-CHILD is wrong'").run(LONG).await.expect("it ends");
        assert_eq!(finished.last_words(), "is wrong");
    }

    #[tokio::test]
    async fn a_child_that_says_much_on_both_streams_does_not_block() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo line; echo line >&2; i=$((i+1)); done";
        let finished = shell(script).run(LONG).await.expect("it ends");
        assert_eq!((finished.stdout.len(), finished.stderr.len()), (100_000, 100_000));
    }

    #[tokio::test]
    async fn a_deadline_kills_the_whole_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let error = shell(&script).run(Duration::from_millis(500)).await.expect_err("it sleeps");
        assert_eq!(error.to_string(), "`/bin/sh` did not end within 500ms");
        let grandchild: u32 = std::fs::read_to_string(file).expect("written").trim().parse().expect("a number");
        let gone = async {
            while is_running(grandchild) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, gone).await.expect("the grandchild is killed too");
    }

    /// A killed grandchild stays as a zombie where nobody reaps it, as in a container without init.
    fn is_running(id: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_child_that_ignores_the_request_to_stop_is_killed() {
        let mut process = shell("trap '' TERM; echo ready; while :; do sleep 1; done").start().expect("a shell");
        assert_eq!(process.hear().await, Heard::Line(Stream::Output, b"ready".to_vec()));
        let status = process.stop(Duration::from_millis(300)).await.expect("it is ours to kill");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[tokio::test]
    async fn the_environment_is_cleared_and_the_input_is_given() {
        let finished = shell("cat; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | cut -d= -f1 | sort")
            .input("from us\n")
            .run(LONG)
            .await
            .expect("it ends");
        assert_eq!(String::from_utf8_lossy(&finished.stdout), "from us\nHOME\nLC_ALL\nPATH\n");
    }

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces() {
        let text = vec![b'x'; LONGEST_LINE * 2 + 3];
        let mut lines = Lines::new(text.as_slice());
        let mut lengths = Vec::new();
        while let Some(line) = lines.next().await.expect("memory") {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE, 3]);
    }

    #[tokio::test]
    async fn empty_lines_are_lines_and_carriage_returns_belong_to_the_end() {
        let mut lines = Lines::new(b"a\r\n\n\rb\n".as_slice());
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.expect("memory") {
            all.push(line);
        }
        assert_eq!(all, [b"a".to_vec(), b"".to_vec(), b"\rb".to_vec()]);
    }

    #[test]
    fn a_program_is_found_and_its_absence_noticed() {
        assert_eq!(find("sh").and_then(|path| find(&path.display().to_string())), find("sh"));
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
