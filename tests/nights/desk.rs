//! An engineer at a desk, with a tunnel that is up already: ways in, logs, a shell.

use std::process::{Command, Stdio};

use crate::Test;
use crate::lab::{self, state};
use crate::night::{Running, teravm};

pub(crate) const TESTS: &[Test] = &[
    ("without_a_key_in_the_config_the_users_own_key_or_agent_is_used", without_a_key_in_the_config),
    ("the_logs_of_each_kind_of_host_are_shown", the_logs_of_each_kind_of_host_are_shown),
    ("logs_are_followed_until_somebody_ends_it", logs_are_followed_until_somebody_ends_it),
    ("a_shell_or_a_command_runs_on_a_host_by_its_name", a_shell_or_a_command_runs_on_a_host),
];

/// A tunnel that somebody else holds.
struct Tunnel(Option<Running>);

fn tunnel() -> Tunnel {
    let mut tunnel = teravm("vpn").start();
    tunnel.until_said("the tunnel is up");
    Tunnel(Some(tunnel))
}

impl Tunnel {
    fn down(mut self) {
        let tunnel = self.0.take().expect("it goes down once");
        tunnel.signal("-INT");
        tunnel.end().exits(0);
    }
}

/// Also where the test fails: the next one wants the certificate for itself.
impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(tunnel) = self.0.take() {
            tunnel.signal("-INT");
            tunnel.over();
        }
    }
}

fn without_a_key_in_the_config() {
    let tunnel = tunnel();
    let lock = || teravm("lock --no-vpn").with("ssh.key", "null").may_leave_things();
    // Root has no key that the lab knows.
    lock().run().exits(3).says("the host does not let us in");
    lock().run_by_user().run().exits(0).says("lab: free");
    let folder = crate::users::folder();
    let socket = folder.path().join("agent");
    let mut agent = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh-agent is there");
    lab::wait_for("the agent", std::time::Duration::from_secs(10), || socket.exists());
    let added = Command::new("ssh-add").arg("-q").arg(state("ssh/id_ed25519")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.expect("ssh-add is there").success());
    let told = lock().env("SSH_AUTH_SOCK", &socket.display().to_string()).run();
    agent.kill().and_then(|()| agent.wait()).expect("the agent is ours");
    told.exits(0).says("lab: free");
    tunnel.down();
}

fn the_logs_of_each_kind_of_host_are_shown() {
    let tunnel = tunnel();
    let logs = |words: &str| teravm(&format!("logs --no-vpn {words}")).may_leave_things().run();
    logs("agw --since 7d").exits(0).says("Started magma@mme.service");
    let told = logs("agw -n 3").exits(0);
    assert_eq!(told.stdout.lines().count(), 3, "{told}");
    let told = logs("feg1 -n 2").exits(0);
    let names = lab::on("feg1", "docker ps -a --format '{{.Names}}' | sort");
    let shown: Vec<&str> = told.stdout.lines().filter_map(|line| line.strip_prefix("== ")).collect();
    assert_eq!(shown, names.lines().collect::<Vec<_>>(), "{told}");
    teravm("test --no-vpn").list("working_testplan_gxgy_CI_run.ntl").may_leave_things().run().exits(0);
    logs("ng40").exits(0).says("== ./magma/").says("gx_gy_combined_05_capacity");
    lab::on("ng40", r"printf 'red \033[31mnight\n' >/home/ng40/magma/ran/log/desk.log");
    let told = logs("ng40 -n 1");
    lab::on("ng40", "rm /home/ng40/magma/ran/log/desk.log");
    assert_eq!(told.exits(0).stdout, "== ./magma/ran/log/desk.log\nred ␛[31mnight\n");
    tunnel.down();
}

fn logs_are_followed_until_somebody_ends_it() {
    let tunnel = tunnel();
    let mut night = teravm("test --no-vpn").list("hang.ntl").may_leave_things().start();
    night.until("case_finished");
    let mut logs = teravm("logs ng40 --no-vpn --follow").may_leave_things().start();
    logs.until_printed("Verdict(");
    lab::on("ng40", "echo 'one more line' | tee -a /home/ng40/.teravm-ci/jobs/*-hang/log");
    logs.until_printed("one more line");
    let mut containers = teravm("logs feg1 --no-vpn --follow").may_leave_things().start();
    containers.until_printed(" | ");
    for follower in [logs, containers] {
        follower.signal("-INT");
        follower.end().exits(0);
    }
    lab::wait_for("the end of what followed", std::time::Duration::from_secs(20), || {
        lab::on("ng40", "pgrep -f '[t]ail -n 100 -f' || true").is_empty()
            && lab::on("feg1", "pgrep -f '[d]ocker logs|[j]ournalctl' || true").is_empty()
    });
    night.signal("-INT");
    night.end().exits(130);
    tunnel.down();
}

fn a_shell_or_a_command_runs_on_a_host() {
    let tunnel = tunnel();
    let told = teravm("ssh agw --no-vpn -- id -un; exit 42").may_leave_things().run().exits(42);
    assert_eq!(told.stdout, "magma\n");
    let shell = teravm("ssh ng40 --no-vpn").at_a_terminal("tty; echo on $USER\nexit 7\n").may_leave_things();
    shell.run().exits(7).says("/dev/pts/").says("on ng40");
    tunnel.down();
}
