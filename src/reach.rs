//! The lab, reached: the tunnel is up and there is a connection to every host. What was opened here is closed here.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::event::{Events, Problem, Step, apart, caught};
use crate::gateway::Gateway;
use crate::plan::{self, Role};
use crate::remote::{Access, Host};
use crate::stop::Stop;
use crate::vpn::Tunnel;

/// The hosts of a setup, with a connection to each.
#[derive(Debug)]
pub(crate) struct Lab {
    tunnel: Option<Tunnel>,
    /// Asks all work to end when the tunnel stays down.
    guard: Option<JoinHandle<()>>,
    access: Access,
    hosts: Vec<(plan::PlannedHost, Host)>,
}

/// Brings the tunnel up and connects to every host, side by side. What failed is said as events, and what was opened is closed.
pub(crate) async fn reach(lab: &plan::Lab, events: &Events, stop: &Stop) -> Option<Lab> {
    reach_these(lab, &lab.hosts.iter().collect::<Vec<_>>(), events, stop).await
}

/// The same for one host alone.
pub(crate) async fn reach_host(
    lab: &plan::Lab,
    meant: &plan::PlannedHost,
    events: &Events,
    stop: &Stop,
) -> Option<(Lab, Host)> {
    let reached = reach_these(lab, &[meant], events, stop).await?;
    let (_, host) = reached.hosts.first()?;
    let host = host.clone();
    Some((reached, host))
}

async fn reach_these(lab: &plan::Lab, meant: &[&plan::PlannedHost], events: &Events, stop: &Stop) -> Option<Lab> {
    let stage = events.start(Step::Connect, None);
    let opened = match Access::open(&lab.ssh, lab.ssh_key.as_ref(), lab.outage) {
        Ok(access) => caught(open_tunnel(lab, &access, events, stop)).await.map(|opened| (access, opened)),
        Err(error) => Err(error.problem()),
    };
    let (access, (tunnel, guard)) = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            stage.failed(problem);
            return None;
        }
    };
    let connect = async |planned: &plan::PlannedHost| {
        let stage = events.start(Step::Connect, Some(&planned.name));
        let connect = async { connect(planned, &access, tunnel.as_ref()).await.map_err(|error| error.problem()) };
        let connected = stop.or(caught(connect)).await.and_then(|connected| connected);
        stage.end(connected, |_| format!("{}@{}", planned.user, planned.address.host)).ok()
    };
    let connected = meant.iter().map(|planned| async { apart(events, connect(planned)).await.flatten() });
    let connected = join_all(connected).await;
    let hosts: Vec<(plan::PlannedHost, Host)> =
        meant.iter().zip(connected).filter_map(|(&planned, host)| Some((planned.clone(), host?))).collect();
    let is_whole = hosts.len() == meant.len();
    let reached = Lab { tunnel, guard, access, hosts };
    if is_whole {
        stage.done("every host answers");
        return Some(reached);
    }
    let names: Vec<&str> = meant
        .iter()
        .filter(|planned| !reached.hosts.iter().any(|(known, _)| known.name == planned.name))
        .map(|planned| planned.name.as_str())
        .collect();
    stage.failed(stop.reason().unwrap_or_else(|| Problem::testbed(format!("no connection to {}", names.join(", ")))));
    reached.leave(events).await;
    None
}

/// Connects to every host that lets us, and says which do not. Err where there is no tunnel. Nothing is an event of a step.
pub(crate) async fn reach_what_answers(
    lab: &plan::Lab,
    events: &Events,
    stop: &Stop,
) -> Result<(Lab, Vec<(String, Problem)>), Problem> {
    // Whoever looks what is there does not wait for what is not.
    let access = Access::open(&lab.ssh, lab.ssh_key.as_ref(), Duration::ZERO).map_err(|error| error.problem())?;
    let (tunnel, guard) = open_tunnel(lab, &access, events, stop).await?;
    let connected =
        join_all(lab.hosts.iter().map(|planned| access.connect(&planned.name, &planned.address, &planned.user))).await;
    let mut hosts = Vec::new();
    let mut refused = Vec::new();
    for (planned, connected) in lab.hosts.iter().zip(connected) {
        match connected {
            Ok(host) => hosts.push((planned.clone(), host)),
            Err(error) => refused.push((planned.name.clone(), error.problem())),
        }
    }
    Ok((Lab { tunnel, guard, access, hosts }, refused))
}

/// Connects to a host; once more when the tunnel has dropped meanwhile, because then the host is not to blame.
async fn connect(
    planned: &plan::PlannedHost,
    access: &Access,
    tunnel: Option<&Tunnel>,
) -> Result<Host, crate::remote::Error> {
    loop {
        let drops = tunnel.map(Tunnel::drops);
        let connected = access.connect(&planned.name, &planned.address, &planned.user).await;
        let is_to_blame = match (&connected, drops) {
            (Err(error), Some(drops)) if error.is_lost() => !drops.outlast().await,
            _ => true,
        };
        if is_to_blame {
            return connected;
        }
    }
}

async fn open_tunnel(
    lab: &plan::Lab,
    access: &Access,
    events: &Events,
    stop: &Stop,
) -> Result<(Option<Tunnel>, Option<JoinHandle<()>>), Problem> {
    let Some(settings) = &lab.vpn else { return Ok((None, None)) };
    let tunnel = stop.or(Tunnel::up(settings.clone(), events)).await?.map_err(|error| error.problem())?;
    let (lost, stop, impatience) = (tunnel.lost(), stop.clone(), access.impatience());
    let guard = tokio::spawn(async move {
        stop.out_of_reach(lost.await);
        // No host comes back without it.
        impatience.cancel();
    });
    Ok((Some(tunnel), Some(guard)))
}

impl Lab {
    /// A host of this role, if it was reached.
    pub(crate) fn find(&self, role: Role) -> Option<&Host> {
        self.hosts.iter().find(|(planned, _)| planned.role == role).map(|(_, host)| host)
    }

    /// How the hosts are reached, for people.
    pub(crate) fn tunnel_in_words(&self) -> String {
        match &self.tunnel {
            Some(tunnel) => format!("up on {}, every host is behind it", tunnel.device()),
            None => "none of ours; the hosts are reached as they are".to_owned(),
        }
    }

    pub(crate) fn host(&self, role: Role) -> &Host {
        self.find(role).expect("a lab that is reached has all its hosts")
    }

    /// The gateways of the setup, in its order: for a run that may change them, or only to look.
    pub(crate) fn gateways(&self, lab: &plan::Lab, events: &Events, run: Option<&str>) -> Vec<Gateway> {
        self.hosts
            .iter()
            .filter(|(planned, _)| planned.role != Role::Ng40)
            .map(|(planned, host)| Gateway::new(planned, lab, host.clone(), events, run))
            .collect()
    }

    /// Closes every connection, then the tunnel.
    pub(crate) async fn leave(self, events: &Events) {
        let stage = events.start(Step::Disconnect, None);
        match self.close().await {
            Ok(()) => stage.done("nothing of ours is left"),
            Err(problem) => stage.failed(problem),
        }
    }

    /// The same without a word.
    pub(crate) async fn close(self) -> Result<(), Problem> {
        let hosts = caught(async { Ok(join_all(self.hosts.iter().map(|(_, host)| host.close())).await) }).await;
        let access = caught(async {
            self.access.close().await;
            Ok(())
        });
        let access = access.await;
        let tunnel = caught(close(self.tunnel, self.guard)).await;
        tunnel.and(access).and(hosts.map(drop))
    }
}

async fn close(tunnel: Option<Tunnel>, guard: Option<JoinHandle<()>>) -> Result<(), Problem> {
    if let Some(guard) = guard {
        guard.abort();
    }
    if let Some(tunnel) = tunnel {
        return tunnel.down().await;
    }
    Ok(())
}
