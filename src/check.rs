//! Looks whether everything that a night needs is there, changing nothing. All checks are made; one that cannot be made
//! because another failed says so.

use futures_util::future::join_all;

use crate::cli::{CheckArgs, Global, LogFormat};
use crate::config::Config;
use crate::event::{self, Events, Problem, Step};
use crate::gateway::{Found, Gateway};
use crate::history::Place;
use crate::lock::Lock;
use crate::ng40::Tester;
use crate::plan::{Lab, Role, Upgrade};
use crate::reach;
use crate::release::Wanted;
use crate::report::text::wrapped;
use crate::results::Results;
use crate::stop::Stop;
use crate::summary::Status;
use crate::terminal::{self, print, print_json, remark};
use crate::upgrade::resolve;
use crate::{desk, process, signals, vpn};

/// One row of the table.
struct Row {
    host: String,
    what: &'static str,
    outcome: Outcome,
}

enum Outcome {
    /// What is there.
    Fine(String),
    Failed(Problem),
    /// Why it was not looked at.
    Skipped(String),
}

impl From<Result<String, Problem>> for Outcome {
    fn from(result: Result<String, Problem>) -> Outcome {
        result.map_or_else(Outcome::Failed, Outcome::Fine)
    }
}

impl Row {
    fn new(host: &str, what: &'static str, outcome: Result<String, Problem>) -> Row {
        Row { host: host.to_owned(), what, outcome: outcome.into() }
    }

    fn skipped(host: &str, what: &'static str, why: impl Into<String>) -> Row {
        Row { host: host.to_owned(), what, outcome: Outcome::Skipped(why.into()) }
    }

    fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// Why nothing else was asked of a host.
const NOT_REACHED: &str = "the host is not reached";

/// Makes every check and prints the table. Returns the exit code.
pub(crate) async fn check(config: &Config, global: &Global, args: &CheckArgs) -> anyhow::Result<u8> {
    let lab = Lab::new(config, global, &args.reach)?;
    if let Some(vpn) = &lab.vpn {
        vpn.profile.check().await?;
    }
    vpn::sweep();
    crate::remote::sweep();
    let (events, inbox) = event::channel(lab.redactor.clone());
    let listening = tokio::spawn(desk::heard(inbox, lab.is_verbose));
    let mut rows = vec![Row::new("here", "config", Ok(format!("setup `{}`, every secret is there", lab.setup)))];
    let history = Place::new(&config.history, &lab.redactor)?;
    rows.push(Row::new("here", "history", Ok(history.state().await)));
    let stop = Stop::default();
    let watch = signals::watch(&stop);
    for (program, package) in [("ssh", "openssh-client"), ("openvpn", "openvpn")] {
        let is_needed = program == "ssh" || lab.vpn.is_some();
        rows.push(match process::find(program) {
            Some(path) => Row::new("here", "program", Ok(path.display().to_string())),
            None if is_needed => {
                let problem = Problem::testbed(format!("`{program}` is not installed"));
                let problem = problem.hint(format!("Debian and Ubuntu have it in the package `{package}`"));
                Row::new("here", "program", Err(problem))
            }
            None => Row::skipped("here", "program", format!("{program} is not needed")),
        });
    }
    let reached = reach::reach_what_answers(&lab, &events, &stop).await;
    match reached {
        Err(problem) => {
            rows.push(Row::new("here", "tunnel", Err(problem)));
            rows.extend(lab.hosts.iter().map(|host| Row::skipped(&host.name, "ssh", "there is no tunnel")));
        }
        Ok((reached, refused)) => {
            rows.push(match lab.vpn {
                Some(_) => Row::new("here", "tunnel", Ok(reached.tunnel_in_words())),
                None => Row::skipped("here", "tunnel", reached.tunnel_in_words()),
            });
            for planned in &lab.hosts {
                let outcome = match refused.iter().find(|(name, _)| *name == planned.name) {
                    Some((_, problem)) => Err(problem.clone()),
                    None => Ok(format!("{}@{}", planned.user, planned.address.host)),
                };
                rows.push(Row::new(&planned.name, "ssh", outcome));
            }
            rows.extend(stop.or(of_hosts(config, &lab, &reached, &events)).await.unwrap_or_default());
            if let Err(problem) = reached.close().await {
                rows.push(Row::new("here", "disconnect", Err(problem)));
            }
        }
    }
    watch.abort();
    drop(events);
    listening.await?;
    if let Some(problem) = stop.reason() {
        remark(&format!("{}\n", problem.text()));
        return Ok(Status::Interrupted.code());
    }
    match args.format {
        LogFormat::Text => print(&table(&rows, terminal::columns())),
        LogFormat::Json => print_json(&document(&rows))?,
    }
    let is_fine = !rows.iter().any(Row::has_failed);
    Ok(if is_fine { Status::Passed.code() } else { Status::Testbed.code() })
}

/// What each host that answers has to say, and what a run would go to.
async fn of_hosts(config: &Config, lab: &Lab, reached: &reach::Lab, events: &Events) -> Vec<Row> {
    let gateways = reached.gateways(lab, events, None);
    let mut rows = Vec::new();
    let looked_at = join_all(gateways.iter().map(of_gateway)).await;
    let (registry, compose) = (of_registry(&gateways).await, of_compose(&gateways).await);
    for host in lab.hosts.iter().filter(|host| host.role != Role::Ng40) {
        if !gateways.iter().any(|gateway| gateway.name() == host.name) {
            rows.push(Row::skipped(&host.name, "gateway", NOT_REACHED));
        }
    }
    let (mut readable, mut found) = (Vec::new(), Vec::new());
    for (gateway, (of_it, runs)) in gateways.into_iter().zip(looked_at) {
        rows.extend(of_it);
        if let Some(runs) = runs {
            readable.push(gateway);
            found.push(runs);
        }
    }
    rows.push(of_release(config, lab, &readable, &found, events).await);
    rows.extend(registry);
    rows.extend(compose);
    let ng40 = lab.only(Role::Ng40);
    let Some(host) = reached.find(Role::Ng40) else {
        rows.extend(["lock", "idle", "list"].map(|what| Row::skipped(&ng40.name, what, NOT_REACHED)));
        return rows;
    };
    let lock = Lock::new(host.clone(), lab.lock.clone());
    rows.push(Row::new(
        host.name(),
        "lock",
        match lock.holder().await {
            Ok(None) => Ok("free".to_owned()),
            Ok(Some(held)) if held.has_lapsed => Ok(format!("free; lapsed, was held by {held}")),
            Ok(Some(held)) => Err(held.problem(&lab.setup)),
            Err(problem) => Err(problem),
        },
    ));
    let tester = Tester {
        host: host.clone(),
        config: lab.ng40.clone(),
        collect: config.collect.clone(),
        events: events.clone(),
        results: Results::new(std::path::Path::new("")),
        fence: None,
    };
    rows.push(if lab.ng40.idle.command.is_empty() {
        Row::skipped(host.name(), "idle", "`ng40.idle.command` in the config is empty")
    } else {
        Row::new(host.name(), "idle", tester.must_be_idle(Step::Test).await.map(|()| "NG40 is idle".to_owned()))
    });
    // A run of this setup runs these and no others.
    let suites = config.suites_of(&lab.setup);
    if suites.is_empty() {
        rows.push(Row::skipped(host.name(), "list", "the setup has no suite"));
    }
    for (name, suite) in suites {
        let is_there = tester.must_have(suite).await.map(|()| format!("{name}: {}", suite.list));
        rows.push(Row::new(host.name(), "list", is_there));
    }
    rows
}

/// The release that a run would go to, asked for as the run does it.
async fn of_release(config: &Config, lab: &Lab, gateways: &[Gateway], found: &[Found], events: &Events) -> Row {
    let name = &lab.only(Role::Agw).name;
    if !gateways.iter().any(|gateway| matches!(gateway, Gateway::Agw(_))) {
        return Row::skipped(name, "release", "the AGW could not be asked");
    }
    let policy = config.release.clone();
    let latest = Upgrade { wanted: Wanted::Latest, is_forced: false, agw: true, feg: true, policy };
    let target = resolve(gateways, found, &latest, events).await;
    Row::new(name, "release", target.map(|target| format!("`latest` is {}", target.release)))
}

/// What a gateway has to say, and what it runs, where that could be read.
async fn of_gateway(gateway: &Gateway) -> (Vec<Row>, Option<Found>) {
    let name = gateway.name();
    let mut rows = Vec::new();
    let root = gateway.host().command("id -u").sudo().run().await.map_err(|error| error.problem());
    let is_root = root.as_ref().is_ok_and(|output| output.text() == "0");
    rows.push(Row::new(
        name,
        "sudo",
        root.and_then(|output| match output.text().as_str() {
            "0" => Ok("passwordless".to_owned()),
            _ => Err(Problem::testbed(format!("`sudo` does not make us root on `{name}`"))
                .because(output.last_words())
                .hint(format!(
                    "there, a file in `/etc/sudoers.d` has to say `{} ALL=(ALL) NOPASSWD: ALL`",
                    gateway.host().user()
                ))),
        }),
    ));
    if !is_root {
        rows.extend(["disk", "runs", "switch", "rivals"].map(|what| Row::skipped(name, what, "it needs root")));
        return (rows, None);
    }
    rows.push(Row::new(name, "disk", gateway.can_write().await));
    let found = gateway.found(Step::Connect).await;
    let runs = match &found {
        Ok(found) => Ok(gateway.release_of(found).unwrap_or_else(|| "nothing that is whole".to_owned())),
        Err(problem) => Err(problem.clone()),
    };
    rows.push(Row::new(name, "runs", runs));
    rows.push(Row::new(name, "switch", gateway.is_at_rest(Step::Connect).await));
    if let Gateway::Agw(agw) = gateway {
        rows.push(Row::new(name, "packages", agw.can_be_upgraded().await));
    }
    rows.push(Row::new(name, "rivals", gateway.rivals().await));
    (rows, found.ok())
}

/// Whether the registry answers each FEG, asked for the tag that runs there.
async fn of_registry(gateways: &[Gateway]) -> Vec<Row> {
    let mut rows = Vec::new();
    for gateway in gateways {
        if let Gateway::Feg(feg) = gateway {
            rows.push(Row::new(gateway.name(), "registry", feg.registry_answers().await));
        }
    }
    rows
}

/// Whether compose reads the files in use on each FEG, and works with its engine.
async fn of_compose(gateways: &[Gateway]) -> Vec<Row> {
    join_all(gateways.iter().filter_map(|gateway| match gateway {
        Gateway::Feg(feg) => Some(async { Row::new(gateway.name(), "compose", feg.compose_reads().await) }),
        Gateway::Agw(_) => None,
    }))
    .await
}

/// The rows for programs.
fn document(rows: &[Row]) -> Vec<serde_json::Value> {
    let row = |row: &Row| {
        let (state, said, problem) = match &row.outcome {
            Outcome::Fine(said) => ("ok", Some(said), None),
            Outcome::Failed(problem) => ("failed", None, Some(problem)),
            Outcome::Skipped(why) => ("skipped", Some(why), None),
        };
        serde_json::json!({
            "host": row.host,
            "what": row.what,
            "state": state,
            "is_fine": state == "ok",
            "said": said,
            "problem": problem,
        })
    };
    rows.iter().map(row).collect()
}

/// Where what is said of a row begins.
const INDENT: usize = 26;

/// The rows for people, in so many columns. What several hosts say in the same words is said once.
fn table(rows: &[Row], width: Option<usize>) -> String {
    let mut groups: Vec<(Vec<&str>, &Row)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(_, first)| is_same(first, row)) {
            Some((hosts, _)) => hosts.push(&row.host),
            None => groups.push((vec![&row.host], row)),
        }
    }
    let mut text = String::new();
    for (hosts, row) in groups {
        let (mark, said) = match &row.outcome {
            Outcome::Fine(said) => ("ok     ", said.clone()),
            Outcome::Failed(problem) if hosts.len() > 1 => ("FAILED ", without_host(problem)),
            Outcome::Failed(problem) => ("FAILED ", problem.text()),
            Outcome::Skipped(why) => ("skipped", why.clone()),
        };
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default();
        text += &(wrapped(&format!("{mark} {:<5} {:<11} {first}", hosts.join(", "), row.what), width, INDENT) + "\n");
        for line in lines {
            text += &(wrapped(&format!("{:INDENT$}{line}", ""), width, INDENT + 4) + "\n");
        }
    }
    let failed = rows.iter().filter(|row| row.has_failed()).count();
    let skipped = match rows.iter().filter(|row| matches!(row.outcome, Outcome::Skipped(_))).count() {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    text += &match failed {
        0 => format!("\n{} checks{skipped}, all fine: a night could run.\n", rows.len()),
        _ => format!("\n{} checks, {failed} failed{skipped}: a night would not run.\n", rows.len()),
    };
    text
}

/// Whether two hosts have failed, or were skipped, for one reason.
fn is_same(one: &Row, other: &Row) -> bool {
    one.what == other.what
        && one.host != other.host
        && match (&one.outcome, &other.outcome) {
            (Outcome::Failed(one), Outcome::Failed(other)) => {
                !one.causes.is_empty() && one.causes == other.causes && one.hint == other.hint
            }
            (Outcome::Skipped(one), Outcome::Skipped(other)) => one == other,
            _ => false,
        }
}

/// What is said of several hosts at once: why, and what to try.
fn without_host(problem: &Problem) -> String {
    let hint = problem.hint.as_ref().map(|hint| format!("\n  try: {hint}")).unwrap_or_default();
    format!("{}{hint}", problem.why())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_broken_where_the_terminal_ends() {
        let problem = Problem::testbed("cannot connect to `feg1` as magma at 192.168.60.112")
            .because("no route to host")
            .hint("is the host up, and can its address be reached?");
        let rows = [Row::new("ng40", "idle", Ok("NG40 is idle".to_owned())), Row::new("feg1", "ssh", Err(problem))];
        insta::assert_snapshot!(table(&rows, Some(64)), @"
        ok      ng40  idle        NG40 is idle
        FAILED  feg1  ssh         cannot connect to `feg1` as magma at
                                  192.168.60.112
                                    because: no route to host
                                    try: is the host up, and can its
                                      address be reached?

        2 checks, 1 failed: a night would not run.
        ");
        assert_eq!(table(&rows, None).lines().count(), 6);
    }
    #[test]
    fn what_failed_on_several_hosts_for_one_cause_is_said_once_and_what_was_not_looked_at_is_not_fine() {
        let silent = |host: &str, address: &str| {
            let problem = Problem::testbed(format!("cannot connect to `{host}` as magma at {address}"));
            let problem = problem.because("no answer within 20s (`ssh.connect_timeout`)").hint("is the host up?");
            Row::new(host, "ssh", Err(problem))
        };
        let rows = [
            silent("agw", "192.168.60.17"),
            silent("feg1", "192.168.60.112"),
            silent("ng40", "192.168.60.92"),
            Row::skipped("ng40", "lock", NOT_REACHED),
            Row::skipped("agw", "gateway", NOT_REACHED),
            Row::skipped("feg1", "gateway", NOT_REACHED),
        ];
        insta::assert_snapshot!(table(&rows, None), @"
        FAILED  agw, feg1, ng40 ssh         no answer within 20s (`ssh.connect_timeout`)
                                    try: is the host up?
        skipped ng40  lock        the host is not reached
        skipped agw, feg1 gateway     the host is not reached

        6 checks, 3 failed, 3 skipped: a night would not run.
        ");
        let document = document(&rows);
        assert_eq!((&document[3]["state"], &document[3]["is_fine"]), (&"skipped".into(), &false.into()));
    }
}
