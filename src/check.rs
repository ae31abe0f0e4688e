//! Looks whether everything that a night needs is there, changing nothing. All checks are made; one that cannot be made because
//! another failed says so.

use futures_util::future::join_all;

use crate::cli::{CheckArgs, Global, LogFormat};
use crate::config::Config;
use crate::event::{self, Events, Problem, Step};
use crate::gateway::Gateway;
use crate::history::Place;
use crate::lock::Lock;
use crate::ng40::Tester;
use crate::plan::{Lab, Role};
use crate::reach;
use crate::report::text::wrapped;
use crate::results::Results;
use crate::stop::Stop;
use crate::summary::Status;
use crate::terminal::{self, print, print_json, remark};
use crate::upgrade::Unresolved;
use crate::{desk, process, signals, vpn};

/// One row of the table.
struct Row {
    host: String,
    what: &'static str,
    /// What is there, or what is wrong.
    outcome: Result<String, Problem>,
}

impl Row {
    fn new(host: &str, what: &'static str, outcome: Result<String, Problem>) -> Row {
        Row { host: host.to_owned(), what, outcome }
    }
}

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
            None => Row::new("here", "program", Ok(format!("{program} is not needed"))),
        });
    }
    let reached = reach::reach_what_answers(&lab, &events, &stop).await;
    match reached {
        Err(problem) => rows.push(Row::new("here", "tunnel", Err(problem))),
        Ok((reached, refused)) => {
            rows.push(Row::new("here", "tunnel", Ok(reached.tunnel_in_words())));
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
    let is_fine = rows.iter().all(|row| row.outcome.is_ok());
    Ok(if is_fine { Status::Passed.code() } else { Status::Testbed.code() })
}

/// What each host that answers has to say.
async fn of_hosts(config: &Config, lab: &Lab, reached: &reach::Lab, events: &Events) -> Vec<Row> {
    let gateways = reached.gateways(lab, events, None);
    let mut rows: Vec<Row> = join_all(gateways.iter().map(of_gateway)).await.into_iter().flatten().collect();
    rows.extend(of_registry(&gateways).await);
    if let Some(host) = reached.find(Role::Ng40) {
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
        rows.push(Row::new(
            host.name(),
            "idle",
            tester.must_be_idle(Step::Test).await.map(|()| "NG40 is idle".to_owned()),
        ));
        for (name, suite) in &config.suites {
            let is_there = tester.must_have(suite).await.map(|()| format!("{name}: {}", suite.list));
            rows.push(Row::new(host.name(), "list", is_there));
        }
    }
    rows
}

async fn of_gateway(gateway: &Gateway) -> Vec<Row> {
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
        return rows;
    }
    rows.push(Row::new(name, "disk", gateway.disk().await));
    match gateway.found(Step::Connect).await {
        Ok(found) => {
            let runs = gateway.release_of(&found).unwrap_or_else(|| "nothing that is whole".to_owned());
            rows.push(Row::new(name, "runs", Ok(runs)));
        }
        Err(problem) => rows.push(Row::new(name, "runs", Err(problem))),
    }
    if let Gateway::Agw(agw) = gateway {
        rows.push(Row::new(name, "packages", agw.can_be_upgraded().await));
        rows.push(Row::new(
            name,
            "repository",
            agw.candidates().await.and_then(|(magma, _)| match magma.releases().first() {
                Some(release) => Ok(format!("{} releases, the newest is {release}", magma.releases().len())),
                None => Err(Unresolved::NothingOffered { gateway: name, offered: &magma.candidates }.problem()),
            }),
        ));
    }
    rows.push(Row::new(name, "rivals", gateway.rivals().await));
    rows
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

/// The rows for programs.
fn document(rows: &[Row]) -> Vec<serde_json::Value> {
    let row = |row: &Row| {
        serde_json::json!({
            "host": row.host,
            "what": row.what,
            "is_fine": row.outcome.is_ok(),
            "said": row.outcome.as_ref().ok(),
            "problem": row.outcome.as_ref().err(),
        })
    };
    rows.iter().map(row).collect()
}

/// Where what is said of a row begins.
const INDENT: usize = 26;

/// The rows for people, in so many columns.
fn table(rows: &[Row], width: Option<usize>) -> String {
    let mut text = String::new();
    for row in rows {
        let (mark, said) = match &row.outcome {
            Ok(said) => ("ok    ", said.clone()),
            Err(problem) => ("FAILED", problem.text()),
        };
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default();
        text += &(wrapped(&format!("{mark}  {:<5} {:<11} {first}", row.host, row.what), width, INDENT) + "\n");
        for line in lines {
            text += &(wrapped(&format!("{:INDENT$}{line}", ""), width, INDENT + 4) + "\n");
        }
    }
    let failed = rows.iter().filter(|row| row.outcome.is_err()).count();
    text += &match failed {
        0 => format!("\n{} checks, all fine: a night could run.\n", rows.len()),
        _ => format!("\n{} checks, {failed} failed: a night would not run.\n", rows.len()),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_broken_where_the_terminal_ends() {
        let problem = Problem::testbed("cannot connect to `feg1` as magma at 192.168.60.112")
            .because("no route to host")
            .hint("is the host up, and does its address lead into the tunnel?");
        let rows = [Row::new("ng40", "idle", Ok("NG40 is idle".to_owned())), Row::new("feg1", "ssh", Err(problem))];
        insta::assert_snapshot!(table(&rows, Some(64)), @"
        ok      ng40  idle        NG40 is idle
        FAILED  feg1  ssh         cannot connect to `feg1` as magma at
                                  192.168.60.112
                                    because: no route to host
                                    try: is the host up, and does its
                                      address lead into the tunnel?

        2 checks, 1 failed: a night would not run.
        ");
        assert_eq!(table(&rows, None).lines().count(), 6);
    }
}
