//! What may end a night early, as one thing that work can race against: a signal, the deadline, a tunnel that stays down, a
//! lock that was lost. The first reason stands.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::event::{Class, Problem};

/// Clones share the reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    /// Cancelled by the first reason that is urgent, which need not be the one that stands.
    urgent: CancellationToken,
    /// Cancelled when the lab is out of reach.
    out_of_reach: CancellationToken,
    reason: Arc<OnceLock<Problem>>,
}

impl Stop {
    /// Asks all work to end.
    pub(crate) fn now(&self, reason: Problem) {
        let is_urgent = matches!(reason.class, Class::Testbed | Class::Interrupted | Class::Internal);
        // Of a second reason no more counts than how urgent it is: the work is ending already.
        let _ = self.reason.set(reason);
        self.token.cancel();
        if is_urgent {
            self.urgent.cancel();
        }
    }

    /// The same, because the lab is out of reach: what runs there goes on, and nobody sees how it ends.
    pub(crate) fn out_of_reach(&self, reason: Problem) {
        self.out_of_reach.cancel();
        self.now(reason);
    }

    /// Whether the lab is out of reach.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.out_of_reach.is_cancelled()
    }

    pub(crate) fn reason(&self) -> Option<Problem> {
        self.token.is_cancelled().then(|| self.reason.get().cloned()).flatten()
    }

    /// Whether there is time for nothing but giving back what was taken: somebody waits for us to end, or the lab is lost.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.is_cancelled()
    }

    /// Waits until there is.
    pub(crate) async fn urgency(&self) {
        self.urgent.cancelled().await;
    }

    /// Waits until the work shall end, and says why.
    pub(crate) async fn wait(&self) -> Problem {
        self.token.cancelled().await;
        self.reason.get().cloned().expect("the reason is set before the token is cancelled")
    }

    /// Does the work, unless it shall end before it is done.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Problem> {
        tokio::select! {
            biased;
            reason = self.wait() => Err(reason),
            done = work => Ok(done),
        }
    }
}
