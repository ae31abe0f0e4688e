//! Patience with a connection: what is lost and comes back in time was never gone.

use std::time::{Duration, Instant};

use crate::remote::error::Error;
use crate::remote::host::Host;

/// Between one look and the next whether the host is there again.
const PAUSE: Duration = Duration::from_secs(1);

impl Host {
    /// Does something that may be done twice, and does it again when the connection was lost, for as long as an outage may
    /// last.
    pub(crate) async fn outlast<T, F>(&self, outage: Duration, mut work: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut since: Option<Instant> = None;
        loop {
            match work().await {
                Err(error) if error.is_lost() && since.get_or_insert_with(Instant::now).elapsed() < outage => {
                    tracing::info!(host = self.name(), %error, "waiting for the host");
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }
}
