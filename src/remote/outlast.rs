//! Patience with a connection: what is lost and comes back in time was never gone.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::remote::error::Error;
use crate::remote::host::Host;

/// Between one look and the next whether the host is there again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a lost connection is waited for, until that makes no sense any more.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) outage: Duration,
    /// Cancelled when the way to all hosts is gone.
    pub(super) end: CancellationToken,
}

impl Host {
    /// Does something that may be done twice, and does it again when the connection was lost, for as long as an outage may
    /// last.
    pub(crate) async fn outlast<T, F>(&self, mut work: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let Patience { outage, end } = self.patience();
        let mut since: Option<Instant> = None;
        loop {
            match work().await {
                Err(error)
                    if error.is_lost()
                        && since.get_or_insert_with(Instant::now).elapsed() < *outage
                        && !end.is_cancelled() =>
                {
                    tracing::info!(host = self.name(), %error, "waiting for the host");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = end.cancelled() => {}
                    }
                }
                done => return done,
            }
        }
    }
}
