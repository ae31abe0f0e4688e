//! The signals that ask us to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::event::{Class, Problem};
use crate::stop::Stop;

/// Asks all work to end when a signal comes, until the task is aborted.
pub(crate) fn watch(stop: &Stop) -> JoinHandle<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let signal = next().await;
        stop.now(Problem::new(Class::Interrupted, format!("stopped by {signal}")));
    })
}

/// Waits for SIGINT, SIGTERM or SIGHUP, and says which it was.
pub(crate) async fn next() -> &'static str {
    let open = |kind| signal(kind).expect("these three signals can be caught by every process");
    let mut interrupt = open(SignalKind::interrupt());
    let mut terminate = open(SignalKind::terminate());
    let mut hangup = open(SignalKind::hangup());
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    }
}
