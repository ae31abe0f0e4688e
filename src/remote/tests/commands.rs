//! What a host does with a script, and what we hear of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::remote::tests::sshd::{Sshd, is_alive, until};
use crate::remote::{Error, quote};

#[tokio::test]
async fn any_exit_status_is_a_value_and_loses_no_output() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    for status in [0, 1, 2, 124, 126, 127, 137, 254, 255] {
        let output = host.run(&format!("echo out; echo err >&2; exit {status}")).await.unwrap();
        assert_eq!((output.status, output.text(), output.errors()), (status, "out".to_owned(), "err".to_owned()));
    }
    let output = host.run("echo before; no-such-command").await.unwrap();
    assert_eq!((output.status, output.text().as_str()), (127, "before"));
    assert!(output.last_words().ends_with("not found"), "{output:?}");
    assert_eq!(host.run("if then").await.unwrap().status, 2);
}

#[tokio::test]
async fn death_by_signal_is_a_value() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    for (signal, status) in [("TERM", 143), ("KILL", 137), ("SEGV", 139), ("HUP", 129)] {
        let output = host.run(&format!("echo out; sh -c 'kill -{signal} $$'")).await.unwrap();
        assert_eq!((output.status, output.text().as_str()), (status, "out"));
    }
    // The shell that runs the script, killed from outside of it.
    assert_eq!(host.run("kill -KILL $$").await.unwrap().status, 137);
}

#[tokio::test]
async fn a_script_of_any_size_and_any_bytes_on_its_input_arrive_whole_and_show_in_no_list_of_processes() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let long = format!(": {}\necho done", "x".repeat(300_000));
    assert_eq!(host.run(&long).await.unwrap().text(), "done");

    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).chain([0, 255, b'\n', b'\n']).collect();
    assert_eq!(host.command("cat").stdin(bytes.clone()).run().await.unwrap().stdout, bytes);
    assert_eq!(host.command("exit 3").stdin(bytes).run().await.unwrap().status, 3);
    assert_eq!(host.run("cat; echo end").await.unwrap().text(), "end");

    let script = "secret=tops''ecret; cat >/dev/null; ps -ef | grep -c '[t]ops' || true";
    assert_eq!(host.command(script).stdin("hunter2").run().await.unwrap().text(), "0");
}

#[tokio::test]
async fn what_a_login_shell_says_is_not_the_scripts() {
    let sshd = Sshd::start();
    fs::write(sshd.path("home/.bashrc"), "echo Welcome to the lab; echo Mind the step >&2\n").unwrap();
    let output = sshd.host().await.run("echo hello; echo oh >&2").await.unwrap();
    assert_eq!((output.text().as_str(), output.errors().as_str()), ("hello", "oh"));
}

#[tokio::test]
async fn a_shell_that_another_program_has_replaced_is_sent_nothing_and_named_soon() {
    let sshd = Sshd::start();
    let home = sshd.path("home");
    // As `exec zsh` does without a terminal: it runs what comes on its standard input.
    fs::write(home.join(".bashrc"), "echo 'the lab has moved' >&2\nexec sh\n").unwrap();
    let since = Instant::now();
    let error = sshd.host().await.run(&format!("touch {}", home.join("run").display())).await.unwrap_err();
    assert_eq!(
        error.problem().text(),
        "the login shell on `agw` did not run our command within 12s, and printed: the lab has moved\n  \
         try: does a start file of that shell there (`.bashrc`) start another program, as `exec zsh` does? Let it do so at a \
         terminal only: `[ -t 0 ] && exec zsh`"
    );
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    assert!(!home.join("run").exists(), "the program in the shell's place was given our script");
}

#[tokio::test]
async fn what_a_host_prints_in_place_of_our_command_is_shown() {
    for (command, said) in [
        ("echo This account is for transfers only", "This account is for transfers only"),
        ("echo Ask the lab team. >&2; exit 1", "Ask the lab team."),
        ("exit 3", "its shell ended with status 3"),
    ] {
        let sshd = Sshd::start_with(&format!("ForceCommand {command}\n"));
        let error = sshd.host().await.run("true").await.unwrap_err();
        assert_eq!(error.to_string(), format!("`agw` did not start a command: {said}"));
        assert!(error.problem().text().contains("`ForceCommand`"));
    }
}

#[tokio::test]
async fn bytes_need_not_be_text_and_lines_need_no_end() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let output = host.run(r"printf '\377\000\001@teravm-ci'; printf '\376' >&2").await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"\xff\0\x01@teravm-ci"[..], &b"\xfe"[..]));
}

#[tokio::test]
async fn of_very_much_output_the_beginning_and_the_end_are_kept() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let output = host.run("echo first; head -c 50000000 /dev/zero; echo last; echo err >&2").await.unwrap();
    assert_eq!((output.status, output.errors().as_str()), (0, "err"));
    assert!(output.stdout.starts_with(b"first\n") && output.stdout.ends_with(b"last\n"));
    assert!(output.stdout.len() < 2_200_000, "{}", output.stdout.len());
    assert!(memchr::memmem::find(&output.stdout, b"\n[47902859 bytes are left out here]\n").is_some());
}

#[tokio::test]
async fn a_stream_of_fifty_megabytes_arrives_whole_and_a_limit_ends_it() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let mut count = 0;
    let output = host.command("head -c 50000000 /dev/zero; exit 4").stream(60_000_000, |bytes| {
        count += bytes.len();
        Ok(())
    });
    assert_eq!(output.await.unwrap().status, 4);
    assert_eq!(count, 50_000_000);

    let endless = host.command("echo $$ >$HOME/pid; cat /dev/zero").stream(1_000_000, |_| Ok(()));
    assert!(matches!(endless.await, Err(Error::TooMuch { limit: 1_000_000, .. })));
    let pid = fs::read_to_string(sshd.path("home/pid")).unwrap();
    until("the endless command has ended", || !is_alive(&pid)).await;

    let full = host.command("echo x").stream(10, |_| Err(std::io::ErrorKind::StorageFull.into())).await;
    assert!(matches!(full, Err(Error::Sink { .. })));
}

#[tokio::test]
async fn a_deadline_ends_the_remote_command_with_its_children_even_if_they_do_not_listen() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "trap '' TERM; echo $$ >$HOME/pid; sh -c 'echo $$ >$HOME/child; while :; do sleep 1; done'";
    let since = Instant::now();
    let error = host.command(script).deadline(Duration::from_millis(500)).run().await.unwrap_err();
    assert_eq!(error.to_string(), "a command on `agw` did not end within 500ms");
    // It was asked, and killed five seconds later.
    assert!((5..8).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    for name in ["home/pid", "home/child"] {
        let pid = fs::read_to_string(sshd.path(name)).unwrap();
        until("the command has ended", || !is_alive(&pid)).await;
    }
    assert_eq!(host.run("echo on").await.unwrap().text(), "on");
}

#[test]
fn a_command_that_was_long_on_its_way_is_not_begun() {
    let (waiting, wrapper) = (include_str!("../waiting.sh"), include_str!("../wrapper.sh"));
    let told = |pause: u64, waited: u64| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", waiting, "sh", wrapper, "5", "1"]).stdin(Stdio::piped());
        let mut shell = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh is there");
        let mut stdin = shell.stdin.take().expect("it is piped");
        std::thread::sleep(Duration::from_secs(pause));
        let script = "echo done\n# @mark";
        let _ = write!(stdin, "@mark {} 0 10.000 {waited}\n{script}", script.len());
        let mut said = String::new();
        shell.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
        shell.stderr.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
        drop(stdin);
        (shell.wait().expect("it ends").code(), said)
    };
    let done = (Some(0), "@mark begin\ndone\n@mark end\nteravm-ci: waiting\n@mark begin\n@mark 0\n".to_owned());
    assert_eq!(told(0, 0), done);
    assert_eq!(told(3, 3), done, "it was sent when the channel had been open for as long");
    assert_eq!(told(3, 0), (Some(75), "teravm-ci: waiting\n@mark late\n".to_owned()));
}

#[test]
fn a_shell_that_gives_up_reading_after_a_while_is_told_not_to() {
    let wrapper = include_str!("../wrapper.sh");
    let script = "sleep 2; echo done\n# @mark";
    let mut shell = std::process::Command::new("bash");
    shell.args(["--posix", "-c", wrapper, "sh", "@mark", &script.len().to_string(), "0"]).env("TMOUT", "1");
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash is there");
    let mut stdin = shell.stdin.take().expect("it is piped");
    stdin.write_all(script.as_bytes()).expect("it is read");
    let mut said = String::new();
    shell.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
    assert_eq!((shell.wait().expect("it ends").code(), said.as_str()), (Some(0), "@mark begin\ndone\n@mark end\n"));
    drop(stdin);
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_ends() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let silent = host.command("echo $$ >$HOME/pid; sleep 1000").no_deadline().run();
    tokio::select! {
        _ = silent => panic!("it sleeps"),
        () = until("the command has begun", || sshd.path("home/pid").metadata().is_ok_and(|it| it.len() > 0)) => {}
    }
    let pid = fs::read_to_string(sshd.path("home/pid")).unwrap();
    until("the command has ended", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn what_a_script_leaves_behind_does_not_hold_us() {
    let sshd = Sshd::start();
    let since = Instant::now();
    let output = sshd.host().await.run("sleep 20 & echo started").await.unwrap();
    assert_eq!((output.status, output.text().as_str()), (0, "started"));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_session_killed_in_mid_command_is_a_lost_connection_and_the_next_command_has_a_new_one() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let kill = async {
        until("the command has begun", || sshd.path("home/begun").exists()).await;
        sshd.signal_sessions(Signal::KILL);
    };
    let (output, ()) = tokio::join!(host.run("echo out; touch $HOME/begun; sleep 1000"), kill);
    let error = output.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert!(error.is_lost());
    assert_eq!(error.problem().line(), "the connection to `agw` was lost");
    host.reconnect().await.unwrap();
    assert_eq!(host.run("echo again").await.unwrap().text(), "again");
    // Between two commands nothing is lost, and nobody needs to hear of it.
    assert!(sshd.has_clients());
    sshd.signal_sessions(Signal::KILL);
    until("our end has noticed", || !sshd.has_clients()).await;
    assert_eq!(host.run("echo and again").await.unwrap().text(), "and again");
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_a_lost_connection() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let stop = async {
        until("the command has begun", || sshd.path("home/begun").exists()).await;
        sshd.signal_sessions(Signal::STOP);
    };
    let since = Instant::now();
    let (output, ()) = tokio::join!(host.run("touch $HOME/begun; sleep 1000"), stop);
    assert!(matches!(output, Err(Error::Lost { .. })), "{output:?}");
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[tokio::test]
async fn more_commands_at_once_than_the_host_has_channels_wait_for_each_other() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let commands = (0..40).map(|number| {
        let host = host.clone();
        async move { host.run(&format!("sleep 0.2; echo {number}")).await.unwrap().text() }
    });
    let texts = futures_util::future::join_all(commands).await;
    assert_eq!(texts, (0..40).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// `$ours` is the shell that the script which has this was told to, and `waiting` shows those that wait for a command in its connection.
const SHELLS: &str = "up() { ps -o ppid= -p \"$1\" | tr -d ' '; }
ours=$(up \"$(up $$)\")
waiting() { ps -o pid= --ppid \"$(up \"$ours\")\" | tr -d ' ' | grep -vx \"$ours\"; }
until_waiting() { until [ \"$(waiting | wc -l)\" = \"$1\" ]; do :; done; }
";

#[tokio::test]
async fn a_command_goes_through_a_channel_that_has_waited_for_it() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    for _ in 0..3 {
        let waiting = host.run(&format!("{SHELLS}until_waiting 2; waiting")).await.unwrap().text();
        let ours = host.run(&format!("{SHELLS}until_waiting 2; echo \"$ours\"")).await.unwrap().text();
        assert!(waiting.lines().any(|pid| pid == ours), "{ours} is none of {waiting}");
    }
}

#[tokio::test]
async fn of_commands_that_were_announced_each_finds_a_channel_that_waits() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    host.open_for(5).await;
    let waiting = host.run(&format!("{SHELLS}until_waiting 4; waiting")).await.unwrap().text();
    let which = format!("{SHELLS}echo \"$ours\"; sleep 0.5");
    let all_at_once = futures_util::future::join_all((0..4).map(|_| host.run(&which))).await;
    let mut ours: Vec<String> = all_at_once.into_iter().map(|output| output.unwrap().text()).collect();
    let mut waiting: Vec<&str> = waiting.lines().collect();
    ours.sort();
    waiting.sort_unstable();
    assert_eq!(ours, waiting);
}

#[tokio::test]
async fn a_host_that_allows_one_channel_at_a_time_is_asked_one_thing_after_the_other() {
    let sshd = Sshd::start_with("MaxSessions 1\n");
    let host = sshd.host().await;
    let since = Instant::now();
    for number in 0..10 {
        assert_eq!(host.run(&format!("echo {number}")).await.unwrap().text(), number.to_string());
    }
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_channel_that_has_waited_and_is_gone_costs_a_second_try_and_nothing_is_run_twice() {
    let sshd = Sshd::start();
    let host = sshd.patient_host().await;
    host.run(&format!("{SHELLS}until_waiting 2; kill -KILL $(waiting)")).await.unwrap();
    assert_eq!(host.run("echo x >>$HOME/runs; wc -l <$HOME/runs").await.unwrap().text(), "1");
}

#[tokio::test]
async fn a_pipe_speaks_both_ways_and_tells_how_its_command_ended() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let (mut pipe, ending) = host.command("cat; echo bye >&2; exit 5").duplex().await.unwrap();
    for word in ["one", "two"] {
        pipe.write_all(word.as_bytes()).await.unwrap();
        let mut answer = [0; 3];
        pipe.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, word.as_bytes());
    }
    drop(pipe);
    let output = ending.wait().await.unwrap();
    assert_eq!((output.status, output.errors().as_str()), (5, "bye"));

    let (mut pipe, ending) = host.command("echo nobody listens >&2; exit 1").duplex().await.unwrap();
    assert_eq!(pipe.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(ending.wait().await.unwrap().last_words(), "nobody listens");
}

#[tokio::test]
async fn a_quoted_word_arrives_as_it_is() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let words =
        ["", " ", "a b", "'", "''", "\"", "$HOME", "`id`", "\\", "!x", "a\nb\n", "*", "~", "-n", "ü€", "@teravm-ci:"];
    let script = words.map(|word| format!("printf '%s\\0' {}", quote(word))).join("\n");
    let expected: String = words.map(|word| format!("{word}\0")).concat();
    assert_eq!(String::from_utf8(host.run(&script).await.unwrap().stdout).unwrap(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_word_without_nul_survives_a_shell(word in "[^\0]{0,40}") {
        let output = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(&word))).output().unwrap();
        prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }
}
