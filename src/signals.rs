//! The signals that ask us to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::event::{Class, Problem};
use crate::stop::Stop;

/// Asks all work to end when a signal comes, until the task is aborted.
pub(crate) fn watch(stop: &Stop) -> JoinHandle<()> {
    let (stop, next) = (stop.clone(), next());
    tokio::spawn(async move {
        let signal = next.await;
        stop.now(Problem::new(Class::Interrupted, format!("stopped by {signal}")));
    })
}

/// Waits for SIGINT, SIGTERM or SIGHUP, and says which it was. They are caught from the call on, and not from when it is first waited
/// for: what is started meanwhile shall not be left behind by one that comes early.
pub(crate) fn next() -> impl Future<Output = &'static str> {
    let open = |kind| signal(kind).expect("these three signals can be caught by every process");
    let mut interrupt = open(SignalKind::interrupt());
    let mut terminate = open(SignalKind::terminate());
    let mut hangup = open(SignalKind::hangup());
    async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hangup.recv() => "SIGHUP",
        }
    }
}
