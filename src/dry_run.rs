//! What a night would do: every step, with the exact remote commands. Reads what it can reach, takes no lock, changes nothing: what
//! apt has to refresh is laid aside and thrown away again.

use crate::desk;
use crate::event::{self, Step};
use crate::gateway::{Found, Gateway, Refresh, Target};
use crate::ng40::Tester;
use crate::plan::{Plan, Role};
use crate::reach;
use crate::remote;
use crate::results::Results;
use crate::signals;
use crate::stop::Stop;
use crate::summary::Status;
use crate::terminal::{print, remark};
use crate::upgrade::resolve;
use crate::vpn;

/// Prints the plan. Returns the exit code.
pub(crate) async fn print_plan(plan: &Plan) -> anyhow::Result<u8> {
    vpn::sweep();
    remote::sweep();
    let (events, inbox) = event::channel(plan.lab.redactor.clone());
    let listening = tokio::spawn(desk::heard(inbox));
    let mut text =
        format!("{} on `{}`, within {}\n", plan.command, plan.lab.setup, crate::config::format_duration(plan.deadline));
    text.push_str("\nconnect\n");
    if let Some(settings) = &plan.lab.vpn {
        text.push_str(&format!("  tunnel to {}\n", settings.profile.server()));
    }
    for host in &plan.lab.hosts {
        text.push_str(&format!("  {}: ssh {}@{}\n", host.name, host.user, host.address));
    }
    let stop = Stop::default();
    let watch = signals::watch(&stop);
    let reached = reach::reach_what_answers(&plan.lab, &events, &stop).await;
    let code = match reached {
        Err(problem) => told(&problem),
        Ok((reached, refused)) => {
            let mut code = Status::Passed.code();
            for (_, problem) in &refused {
                code = told(problem);
            }
            text.push_str(&format!(
                "\nlock\n  {} on ng40\n\nrecover\n  an intent record in /var/lib/teravm-ci on a gateway\n",
                plan.lab.lock.path
            ));
            // What cannot be asked of every gateway cannot be foretold.
            if refused.is_empty() {
                let upgrade = stop.or(upgrade(plan, &reached, &events, &mut text)).await.and_then(|done| done);
                if let Err(problem) = upgrade {
                    code = told(&problem);
                }
            }
            if let Some(host) = reached.find(Role::Ng40) {
                let tester = Tester {
                    host: host.clone(),
                    config: plan.lab.ng40.clone(),
                    collect: plan.collect.clone(),
                    events: events.clone(),
                    results: Results::new(&plan.results),
                    fence: String::new(),
                };
                for (name, suite) in &plan.suites {
                    text.push_str(&format!(
                        "\ntest {name} (within {})\n",
                        crate::config::format_duration(suite.deadline)
                    ));
                    for command in tester.commands(suite) {
                        text.push_str(&indented("ng40", &command));
                    }
                }
            }
            text.push_str("\ncollect\n  logs and captures of each suite; journals and conffile differences of each gateway\n\nunlock\n\ndisconnect\n");
            if let Err(problem) = reached.close().await {
                code = told(&problem);
            }
            code
        }
    };
    watch.abort();
    drop(events);
    listening.await?;
    print(&plan.lab.redactor.text(&text));
    Ok(code)
}

/// Says a problem, and returns the exit code for it.
fn told(problem: &event::Problem) -> u8 {
    remark(&format!("{}\n", problem.text()));
    Status::from(problem.class).code()
}

async fn upgrade(
    plan: &Plan,
    reached: &reach::Lab,
    events: &event::Events,
    text: &mut String,
) -> Result<(), event::Problem> {
    let Some(upgrade) = &plan.upgrade else { return Ok(()) };
    let gateways = reached.gateways(&plan.lab, events, None);
    let mut found: Vec<Found> = Vec::new();
    for gateway in &gateways {
        found.push(gateway.found(Step::Resolve).await?);
    }
    let target: Target = resolve(&gateways, &found, upgrade, Refresh::Aside, events).await?;
    text.push_str(&format!("\nresolve\n  {} -> {}\n", upgrade.wanted, target.release));
    let meant: Vec<(&Gateway, &Found)> =
        gateways.iter().zip(&found).filter(|(gateway, _)| gateway.is_meant(upgrade)).collect();
    for step in [Step::Prepare, Step::Activate, Step::Restore] {
        text.push_str(&match step {
            Step::Restore => format!("\n{step} (only if activate or verify fails anywhere)\n"),
            _ => format!("\n{step}\n"),
        });
        for (gateway, found) in &meant {
            for script in gateway.scripts(step, &target, found) {
                text.push_str(&indented(gateway.name(), &script));
            }
        }
        if step == Step::Activate {
            text.push_str(&format!(
                "\nverify\n  everything up, and nothing restarted for {}, within {}\n",
                crate::config::format_duration(plan.verify.stable),
                crate::config::format_duration(plan.verify.timeout)
            ));
        }
    }
    Ok(())
}

fn indented(host: &str, script: &str) -> String {
    script.trim_end().lines().map(|line| format!("  {host}: {line}\n")).collect()
}
