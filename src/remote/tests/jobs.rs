//! Runs that outlive a connection.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpgid, kill_process_group};

use crate::process::naming;
use crate::remote::tests::sshd::{Sshd, is_alive, until};
use crate::remote::{As, Error, Job, JobEnd, JobSpec, JobStatus, LogLimit, sweep_script};

fn spec(directory: &str, script: &str) -> JobSpec {
    JobSpec {
        directory: directory.to_owned(),
        script: script.to_owned(),
        deadline: Duration::from_secs(60),
        log: LogLimit { head: 64 * 1024 * 1024, tail: 1024 * 1024 },
        run_as: As::User,
    }
}

async fn follow(job: &Job) -> (JobEnd, String) {
    let mut text = Vec::new();
    let end = job.follow(&mut 0, |bytes| text.extend_from_slice(bytes)).await.unwrap();
    (end, String::from_utf8_lossy(&text).into_owned())
}

/// Makes the directory of a job what it was before its runner began.
fn unstart(directory: &Path) {
    for name in ["pid", "rc", "script.pid"] {
        fs::remove_file(directory.join(name)).unwrap();
    }
    fs::write(directory.join("rc.new"), " ".repeat(64)).unwrap();
    fs::write(directory.join("log"), "").unwrap();
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_and_its_status_is_its_own() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    for status in [0, 7, 124, 127, 137, 255] {
        let job = sshd.job(&format!("status-{status}"));
        let script = format!("echo out; echo err >&2; cat; pwd; exit {status}");
        let job = Job::start(&host, &spec(&job, &script)).await.unwrap();
        let home = sshd.path("home");
        assert_eq!(follow(&job).await, (JobEnd::Exited(status), format!("out\nerr\n{}\n", home.display())));
        // It is over, and can be read again, from anywhere.
        assert_eq!(job.status().await.unwrap(), JobStatus::Ended(JobEnd::Exited(status)));
        let mut text = Vec::new();
        let end = job.follow(&mut 4, |bytes| text.extend_from_slice(bytes)).await.unwrap();
        assert_eq!(end, JobEnd::Exited(status));
        assert!(text.starts_with(b"err\n"));
    }
}

#[tokio::test]
async fn output_comes_as_it_appears_and_the_end_is_noticed_at_once() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "for i in 1 2 3; do date +%s.%N; sleep 0.4; done; date +%s.%N";
    let job = Job::start(&host, &spec(&sshd.job("clock"), script)).await.unwrap();
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let mut late: f64 = 0.0;
    let mut last = 0.0;
    job.follow(&mut 0, |bytes| {
        for line in String::from_utf8_lossy(bytes).lines() {
            last = line.parse().unwrap();
            late = late.max(now() - last);
        }
    })
    .await
    .unwrap();
    // Idle machines have been seen to take 0.03 s and 0.11 s; this leaves room for a busy one.
    assert!(late < 1.0, "output was {late} s late");
    assert!(now() - last < 2.0, "the end was {} s late", now() - last);
}

#[tokio::test]
async fn a_job_goes_on_while_we_are_away_and_no_byte_is_lost_or_doubled() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf 'line %d \\377\\000' $i; sleep 0.01; done; exit 9";
    let job = Job::start(&host, &spec(&sshd.job("away"), script)).await.unwrap();
    let mut expected = Vec::new();
    for number in 1..=300 {
        expected.extend_from_slice(format!("line {number} ").as_bytes());
        expected.extend_from_slice(b"\xff\0");
    }
    let (mut offset, mut text, mut lost, mut next) = (0, Vec::new(), 0, 500);
    let end = loop {
        let follow = job.follow(&mut offset, |bytes| {
            text.extend_from_slice(bytes);
            if text.len() > next {
                next += 700;
                sshd.signal_sessions(Signal::KILL);
            }
        });
        match follow.await {
            Ok(end) => break end,
            Err(Error::Lost { .. }) => {
                lost += 1;
                host.reconnect().await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(lost >= 2, "the connection was lost {lost} times");
    assert_eq!((end, offset), (JobEnd::Exited(9), expected.len() as u64));
    assert!(text == expected, "{}", String::from_utf8_lossy(&text));
}

#[tokio::test]
async fn a_job_whose_follower_was_killed_is_followed_on() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let directory = sshd.job("followed");
    let script = "echo one; until [ -e go ]; do sleep 0.05; done; echo two; exit 7";
    let job = Job::start(&host, &spec(&directory, script)).await.unwrap();
    let log = Path::new(&directory).join("log");
    let killed = async {
        until("somebody follows", || !naming(&log).is_empty()).await;
        // What follows has the number of its group from `timeout`; the job itself has a session of its own.
        for follower in naming(&log) {
            let group = getpgid(Some(follower)).unwrap();
            let _ = kill_process_group(group, Signal::KILL);
        }
        until("nobody follows", || naming(&log).is_empty()).await;
        until("somebody follows again", || !naming(&log).is_empty()).await;
        fs::write(sshd.path("home/go"), "").unwrap();
    };
    let (followed, ()) = tokio::join!(follow(&job), killed);
    assert_eq!(followed, (JobEnd::Exited(7), "one\ntwo\n".to_owned()));
}

#[tokio::test]
async fn whoever_starts_a_job_hears_it_by_the_same_command() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let directory = sshd.job("heard");
    let script = "echo one; until [ -e go ]; do sleep 0.05; done; echo two; exit 7";
    let job = Job::start(&host, &spec(&directory, script)).await.unwrap();
    let log = Path::new(&directory).join("log");
    until("it is heard", || !naming(&log).is_empty()).await;
    let listener = naming(&log);
    let mut text = Vec::new();
    let hear = |bytes: &[u8]| {
        // From then on the job may end, and whoever hears it with it.
        if text.is_empty() {
            assert_eq!(naming(&log), listener);
            fs::write(sshd.path("home/go"), "").unwrap();
        }
        text.extend_from_slice(bytes);
    };
    assert_eq!(job.follow(&mut 0, hear).await.unwrap(), JobEnd::Exited(7));
    assert_eq!(String::from_utf8_lossy(&text), "one\ntwo\n");
    // Whoever asks again later hears it all.
    assert_eq!(follow(&job).await, (JobEnd::Exited(7), "one\ntwo\n".to_owned()));
}

#[tokio::test]
async fn a_connection_lost_between_the_start_of_a_job_and_its_following_loses_nothing() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let job = Job::start(&host, &spec(&sshd.job("dropped"), "echo one; sleep 1; echo two")).await.unwrap();
    sshd.signal_sessions(Signal::KILL);
    let (mut offset, mut text) = (0, Vec::new());
    let lost = job.follow(&mut offset, |bytes| text.extend_from_slice(bytes)).await;
    assert!(matches!(lost, Err(Error::Lost { .. })), "{lost:?}");
    host.reconnect().await.unwrap();
    let end = job.follow(&mut offset, |bytes| text.extend_from_slice(bytes)).await.unwrap();
    assert_eq!((end, String::from_utf8_lossy(&text)), (JobEnd::Exited(0), "one\ntwo\n".into()));
}

#[tokio::test]
async fn what_the_way_to_the_host_takes_is_not_what_the_host_takes_to_start_a_job() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let limit = Duration::from_secs(4);
    // Every place for a command is taken for longer than that; another connection would take as long to come.
    let taken = futures_util::future::join_all((0..6).map(|_| host.run("sleep 6")));
    let spec = spec(&sshd.job("late"), "echo one");
    let started = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let since = Instant::now();
        let job = Job::start_within(limit, &host, &spec).await.unwrap();
        assert!(since.elapsed() > limit, "it was started after {:?}", since.elapsed());
        follow(&job).await
    };
    let (_, followed) = tokio::join!(taken, started);
    assert_eq!(followed, (JobEnd::Exited(0), "one\n".to_owned()));
}

#[tokio::test]
async fn a_job_whose_directory_is_gone_is_ended_all_the_same() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let directory = sshd.job("gone");
    let script = "echo $$ >$HOME/pid; while :; do sleep 1; done";
    let job = Job::start(&host, &spec(&directory, script)).await.unwrap();
    let pid = sshd.path("home/pid");
    until("it has begun", || pid.metadata().is_ok_and(|pid| pid.len() > 0)).await;
    fs::remove_dir_all(&directory).unwrap();
    assert!(matches!(job.stop(Duration::from_secs(1)).await, Err(Error::NoJob { .. })));
    assert!(!is_alive(&fs::read_to_string(&pid).unwrap()));
}

#[tokio::test]
async fn fifty_megabytes_of_a_job_arrive_whole_and_are_handed_over_as_they_come() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let job = Job::start(&host, &spec(&sshd.job("much"), "seq 1 6000000; exit 3")).await.unwrap();
    let (mut count, mut sum, mut most) = (0_u64, 0_u64, 0);
    let mut offset = 0;
    let end = job.follow(&mut offset, |bytes| {
        most = most.max(bytes.len());
        count += bytes.len() as u64;
        sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    });
    assert_eq!(end.await.unwrap(), JobEnd::Exited(3));
    let expected: Vec<u8> = (1..=6_000_000).flat_map(|number: u32| format!("{number}\n").into_bytes()).collect();
    assert_eq!(count, expected.len() as u64);
    assert_eq!(sum, expected.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    assert!(most <= 128 * 1024, "{most} bytes were kept until they were handed over");
}

#[tokio::test]
async fn starting_twice_is_starting_once() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let count = sshd.path("count");
    let spec = spec(&sshd.job("once"), &format!("echo started >>{}; sleep 1", count.display()));
    let jobs = futures_util::future::join_all((0..6).map(|_| Job::start(&host, &spec))).await;
    for job in jobs {
        assert_eq!(follow(&job.unwrap()).await.0, JobEnd::Exited(0));
    }
    let late = Job::start(&host, &spec).await.unwrap();
    assert_eq!(follow(&late).await.0, JobEnd::Exited(0));
    assert_eq!(fs::read_to_string(count).unwrap(), "started\n");
    assert_eq!(fs::read_dir(sshd.path("jobs")).unwrap().count(), 1, "only the job itself is left");
}

#[tokio::test]
async fn a_start_that_was_cut_off_between_its_two_halves_is_finished_by_the_next() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let spec = spec(&sshd.job("half"), "echo once");
    let job = Job::start(&host, &spec).await.unwrap();
    follow(&job).await;
    unstart(&sshd.path("jobs/half"));
    assert_eq!(job.status().await.unwrap(), JobStatus::None);
    let job = Job::start(&host, &spec).await.unwrap();
    assert_eq!(follow(&job).await, (JobEnd::Exited(0), "once\n".to_owned()));
}

#[tokio::test]
async fn a_jobs_deadline_ends_it_on_the_host_with_all_its_children() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "setsid sh -c 'echo $$ >$HOME/away; exec sleep 1000' & sleep 1001 & echo $! >$HOME/child; wait";
    // Long enough for the script to have begun by then, however busy this machine is.
    for seconds in [1, 4, 16] {
        let mut spec = spec(&sshd.job(&format!("late-{seconds}")), script);
        spec.deadline = Duration::from_secs(seconds);
        let job = Job::start(&host, &spec).await.unwrap();
        let since = Instant::now();
        assert_eq!(follow(&job).await.0, JobEnd::DeadlineReached);
        // It was asked once, and not killed after the grace of 30 s.
        assert!(since.elapsed() < spec.deadline + Duration::from_secs(20), "{:?}", since.elapsed());
        let children = ["home/away", "home/child"].map(|name| fs::read_to_string(sshd.path(name)).unwrap_or_default());
        if children.iter().all(|child| child.ends_with('\n')) {
            let mut at_work = job.at_work().await.unwrap();
            at_work.sort();
            assert_eq!(at_work, ["sleep 1000", "sleep 1001"], "the shells that wait for them are not what it is in");
            return assert!(!children.iter().any(|child| is_alive(child)), "{children:?}");
        }
    }
    panic!("the script did not begin within its deadline");
}

#[tokio::test]
async fn a_stopped_job_is_gone_with_those_that_left_its_group_and_those_that_do_not_listen() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "trap '' TERM; setsid sh -c 'echo $$ >$HOME/away; while :; do sleep 1; done' &\n\
                  (echo begun; while :; do sleep 1; done)";
    let job = Job::start(&host, &spec(&sshd.job("stop"), script)).await.unwrap();
    until("the job has begun", || sshd.path("home/away").metadata().is_ok_and(|it| it.len() > 0)).await;
    assert_eq!(job.status().await.unwrap(), JobStatus::Running);
    assert!(!job.remove().await.unwrap(), "a job that runs is left alone");
    let (end, followed) = tokio::join!(job.stop(Duration::from_secs(1)), follow(&job));
    assert_eq!((end.unwrap(), followed.0), (JobEnd::Stopped, JobEnd::Stopped));
    assert!(!is_alive(&fs::read_to_string(sshd.path("home/away")).unwrap()));
    assert!(job.remove().await.unwrap());
    assert_eq!(job.status().await.unwrap(), JobStatus::None);
    assert!(job.remove().await.unwrap(), "what is not there is removed");
}

#[tokio::test]
async fn a_job_asked_to_stop_may_clean_up_after_itself() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "trap 'echo cleaned; exit 4' TERM; echo begun; sleep 1000 & wait";
    let job = Job::start(&host, &spec(&sshd.job("tidy"), script)).await.unwrap();
    let log = sshd.path("jobs/tidy/log");
    until("the job has begun", || fs::read_to_string(&log).is_ok_and(|log| log == "begun\n")).await;
    assert_eq!(job.stop(Duration::from_secs(5)).await.unwrap(), JobEnd::Stopped);
    assert_eq!(follow(&job).await, (JobEnd::Stopped, "begun\ncleaned\n".to_owned()));
    assert_eq!(job.stop(Duration::from_secs(5)).await.unwrap(), JobEnd::Stopped, "stopping twice does no harm");
}

#[tokio::test]
async fn a_job_whose_runner_was_killed_has_vanished_and_its_children_can_still_be_stopped() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "echo $$ >$HOME/script; echo begun; sleep 1000";
    let job = Job::start(&host, &spec(&sshd.job("orphan"), script)).await.unwrap();
    until("the job has begun", || sshd.path("home/script").metadata().is_ok_and(|it| it.len() > 0)).await;
    host.run(&format!("read pid rest <{}/pid; kill -KILL $pid", sshd.job("orphan"))).await.unwrap();
    assert_eq!(follow(&job).await, (JobEnd::Vanished, "begun\n".to_owned()));
    let script = fs::read_to_string(sshd.path("home/script")).unwrap();
    assert!(is_alive(&script));
    assert_eq!(job.stop(Duration::from_secs(2)).await.unwrap(), JobEnd::Vanished);
    assert!(!is_alive(&script));
}

#[tokio::test]
async fn a_job_from_before_a_reboot_is_told_from_one_that_was_killed() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let job = Job::start(&host, &spec(&sshd.job("reboot"), "echo begun")).await.unwrap();
    follow(&job).await;
    fs::remove_file(sshd.path("jobs/reboot/rc")).unwrap();
    fs::write(sshd.path("jobs/reboot/pid"), "1 another-boot\n").unwrap();
    fs::write(sshd.path("jobs/reboot/script.pid"), "1 0 another-boot\n").unwrap();
    assert_eq!(follow(&job).await, (JobEnd::Rebooted, "begun\n".to_owned()));
    assert_eq!(job.stop(Duration::from_secs(1)).await.unwrap(), JobEnd::Rebooted);
}

#[tokio::test]
async fn a_later_run_finds_a_job_by_its_directory_in_the_home() {
    let sshd = Sshd::start();
    let directory = "~/.teravm-ci/jobs/night 1";
    Job::start(&sshd.host().await, &spec(directory, "sleep 0.5; echo 'it is done'; exit 2")).await.unwrap();
    let job = Job::attach(&sshd.host().await, directory, As::User);
    assert_eq!(follow(&job).await, (JobEnd::Exited(2), "it is done\n".to_owned()));
    let other = Job::attach(&sshd.host().await, "~/.teravm-ci/jobs/night 2", As::User);
    assert_eq!(other.status().await.unwrap(), JobStatus::None);
    assert!(matches!(other.follow(&mut 0, |_| ()).await, Err(Error::NoJob { .. })));
}

#[tokio::test]
async fn a_log_that_misses_something_is_no_success() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let spec = spec(&sshd.job("full"), "echo begun; echo more; exit 0");
    follow(&Job::start(&host, &spec).await.unwrap()).await;
    unstart(&sshd.path("jobs/full"));
    fs::remove_file(sshd.path("jobs/full/log")).unwrap();
    std::os::unix::fs::symlink("/dev/full", sshd.path("jobs/full/log")).unwrap();
    let job = Job::start(&host, &spec).await.unwrap();
    until("the job has ended", || sshd.path("jobs/full/rc").exists()).await;
    assert_eq!(job.status().await.unwrap(), JobStatus::Ended(JobEnd::LogCut(0)));
}

#[tokio::test]
async fn a_job_that_cannot_be_started_says_why() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    fs::write(sshd.path("file"), "").unwrap();
    let directory = sshd.path("file/job").display().to_string();
    let error = Job::start(&host, &spec(&directory, "true")).await.unwrap_err();
    assert_eq!(
        error.to_string().replace(&sshd.path("").display().to_string(), "DIR/"),
        "the job `DIR/file/job` could not be started on `agw`: mkdir: cannot create directory 'DIR/file': \
         File exists"
    );
}

#[tokio::test]
async fn what_a_job_leaves_behind_does_not_hold_its_end() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let job = Job::start(&host, &spec(&sshd.job("daemon"), "sleep 30 & echo started")).await.unwrap();
    let since = Instant::now();
    assert_eq!(follow(&job).await, (JobEnd::Exited(0), "started\n".to_owned()));
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
    job.stop(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_script_hears_an_interrupt_as_in_a_terminal() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let job = Job::start(&host, &spec(&sshd.job("int"), "trap 'echo heard' INT; kill -INT $$; umask")).await.unwrap();
    let (end, text) = follow(&job).await;
    assert_eq!(end, JobEnd::Exited(0));
    assert_eq!(text, format!("heard\n{}\n", host.run("umask").await.unwrap().text()));
}

/// What a job keeps of its output in these tests.
const SMALL: LogLimit = LogLimit { head: 1000, tail: 100 };

#[tokio::test]
async fn of_a_job_that_prints_much_the_log_has_the_beginning_and_the_end_and_says_what_is_missing() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let script = "printf 'Get:1 magma\\n'; seq -w 1 20000; printf 'E: dpkg returned 1\\n'; exit 100";
    let spec = JobSpec { log: SMALL, ..spec(&sshd.job("much"), script) };
    let job = Job::start(&host, &spec).await.unwrap();
    let (end, text) = follow(&job).await;
    assert_eq!(end, JobEnd::LogShortened(100));
    assert!(text.starts_with("Get:1 magma\n00001\n"), "{text}");
    assert!(text.ends_with("20000\nE: dpkg returned 1\n"), "{text}");
    let printed = "Get:1 magma\n".len() + 20000 * 6 + "E: dpkg returned 1\n".len();
    let missing = format!("\n[{} bytes are left out here]\n", printed - 1100);
    assert!(text.contains(&missing) && text.len() == 1100 + missing.len(), "{text}");
    // From wherever it is read on.
    let mut rest = Vec::new();
    assert_eq!(job.follow(&mut 1000, |bytes| rest.extend_from_slice(bytes)).await.unwrap(), JobEnd::LogShortened(100));
    assert_eq!(String::from_utf8_lossy(&rest), text[1000..]);
}

#[tokio::test]
async fn what_a_job_prints_is_whole_up_to_its_limits() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    for bytes in [0, 1, 999, 1000, 1001, 1099, 1100] {
        let script = format!("head -c {bytes} /dev/zero | tr '\\0' x");
        let spec = JobSpec { log: SMALL, ..spec(&sshd.job(&format!("whole-{bytes}")), &script) };
        let job = Job::start(&host, &spec).await.unwrap();
        assert_eq!(follow(&job).await, (JobEnd::Exited(0), "x".repeat(bytes)), "{bytes} bytes");
    }
}

#[tokio::test]
async fn what_a_job_leaves_behind_does_not_keep_its_last_words_from_being_heard() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    // As a daemon that a package has started by itself, and that has our pipe. It ends with the folder, too.
    let script =
        "seq -w 1 20000; (trap '' HUP; while [ ! -e go ] && [ -e \"$PWD\" ]; do sleep 0.1; done) & echo last words";
    let spec = JobSpec { log: SMALL, ..spec(&sshd.job("daemon"), script) };
    let job = Job::start(&host, &spec).await.unwrap();
    let (end, text) = follow(&job).await;
    fs::write(sshd.path("home").join("go"), "").unwrap();
    assert_eq!(end, JobEnd::LogShortened(0));
    assert!(text.ends_with("20000\nlast words\n"), "{text}");
    assert!(text.contains(&format!("[{} bytes are left out here]", 20000 * 6 + 11 - 1100)), "{text}");
}

#[tokio::test]
async fn a_job_that_prints_without_end_ends_at_its_deadline_and_its_log_has_a_limit() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let directory = sshd.job("yes");
    let deadline = Duration::from_secs(3);
    let spec =
        JobSpec { log: SMALL, deadline, ..spec(&directory, "echo first; exec yes 'Do you want to continue? [Y/n]'") };
    let began = Instant::now();
    let job = Job::start(&host, &spec).await.unwrap();
    let (end, text) = follow(&job).await;
    assert_eq!(end, JobEnd::DeadlineReached);
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    assert!(text.starts_with("first\nDo you want") && text.len() < 2000, "{} bytes", text.len());
    let kept: u64 = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(kept < 20_000, "{kept} bytes on the host");
}

#[tokio::test]
async fn a_host_that_answers_the_start_of_a_job_without_a_line_end_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let shell = folder.path().join("shell");
    let sshd = Sshd::start_with(&format!("ForceCommand {}\n", shell.display()));
    // Frames what it says as a script of ours would, whatever it is told, and never ends its first line.
    let text = "#!/bin/sh\necho 'teravm-ci: waiting' >&2\nread -r mark rest\ncase $mark in @teravm-ci:*) ;; *) exit 0 ;; esac\n\
                printf '%s begin\\n' \"$mark\"; printf '%s begin\\n' \"$mark\" >&2\nexec tr '\\0' x </dev/zero\n";
    fs::write(&shell, text).unwrap();
    fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let host = sshd.host().await;
    let job = Job::start(&host, &spec("/nowhere", "true")).await.unwrap();
    assert_eq!(job.since().len(), 4096);
}

#[tokio::test]
async fn of_jobs_that_are_over_the_newest_stay_and_nothing_else_is_touched() {
    let sshd = Sshd::start();
    let host = sshd.host().await;
    let folder = sshd.path("home").join("our jobs");
    let names = |folder: &Path| {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    for name in ["dead1-a", "dead2-a b", "dead3-a", "dead4-a", "now-a"] {
        let job = Job::start(&host, &spec(&folder.join(name).display().to_string(), "echo out")).await.unwrap();
        follow(&job).await;
        // As old as its number says: the order must not depend on how fast this is.
        let days = name.strip_prefix("dead").map_or(0, |number| i64::from(b'9' - number.as_bytes()[0]));
        let touched =
            std::process::Command::new("touch").args(["-d", &format!("-{days} days")]).arg(folder.join(name)).status();
        assert!(touched.unwrap().success());
    }
    let busy = Job::start(&host, &spec(&folder.join("dead0-busy").display().to_string(), "sleep 600")).await.unwrap();
    fs::create_dir(folder.join("not-a-job")).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    std::os::unix::fs::symlink(sshd.path("home"), folder.join("link")).unwrap();
    let output = host.run(&sweep_script("our jobs", "now-", 1)).await.unwrap();
    assert!(output.is_success(), "{output:?}");
    let mut removed: Vec<String> =
        output.text().lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    removed.sort();
    assert_eq!(removed, ["dead1-a", "dead2-a b", "dead3-a"]);
    assert_eq!(names(&folder), ["dead0-busy", "dead4-a", "link", "not-a-job", "notes.txt", "now-a"]);
    busy.stop(Duration::from_secs(1)).await.unwrap();
    let nowhere = host.run(&sweep_script("nowhere", "now-", 0)).await.unwrap();
    assert_eq!((nowhere.status, nowhere.text().as_str()), (0, ""));
}
