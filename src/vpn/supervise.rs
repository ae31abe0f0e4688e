//! A tunnel that is up, watched: what is said when it drops, when it is back, and when it is lost.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::management::{Message, State};
use super::{Cause, Condition, Expected, GRACE, News, Session, Unstoppable};
use crate::config::format_duration;
use crate::event::{EventKind, Problem, Step};

/// A tunnel that starves this soon after it came up, and again, shares its certificate with another client: each of them
/// takes the server's side of the tunnel from the other.
const TOO_SOON: Duration = Duration::from_secs(300);

pub(super) struct Supervision {
    session: Session,
    expected: Expected,
    outage: Duration,
    condition: watch::Sender<Condition>,
    up_since: Instant,
    down_since: Option<Instant>,
    starved: u32,
    /// Why OpenVPN does not come back, when it has said so.
    certain: Option<Cause>,
}

impl Supervision {
    pub(super) fn new(
        session: Session,
        expected: Expected,
        outage: Duration,
        condition: watch::Sender<Condition>,
    ) -> Self {
        Supervision {
            session,
            expected,
            outage,
            condition,
            up_since: Instant::now(),
            down_since: None,
            starved: 0,
            certain: None,
        }
    }

    /// Watches the tunnel until it is asked to stop, and then stops it.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Unstoppable> {
        loop {
            let outage_over = self.down_since.filter(|_| !self.is_lost()).map(|since| since + self.outage);
            let news = tokio::select! {
                () = stop.cancelled() => return self.session.stop(GRACE).await,
                () = until(outage_over) => {
                    self.lose(format!("it did not come back within {}", format_duration(self.outage)));
                    continue;
                }
                news = self.session.hear() => news,
            };
            match news {
                News::Line(_) => {}
                News::Message(message) => self.take(message).await,
                News::Ended => {
                    let reason = format!("`openvpn` ended: {}", self.session.last_words);
                    self.drop_out(&reason);
                    self.lose(reason);
                    stop.cancelled().await;
                    return Ok(());
                }
            }
        }
    }

    async fn take(&mut self, message: Message) {
        let certain = self.session.take(&message).await.unwrap_or_else(Some);
        match message {
            Message::State(state) if state.name == "CONNECTED" => {
                if let Some(ends) = state.ends() {
                    match self.expected.check(&ends).await {
                        Ok(difference) => self.come_back(difference),
                        Err(cause) => self.fail(&cause),
                    }
                } else if let Some(cause) = certain {
                    self.fail(&cause);
                }
            }
            Message::State(State { name, detail, .. }) if name == "RECONNECTING" => {
                let reason = self.reason(&detail);
                self.drop_out(&reason);
            }
            // It is up, and nothing that is sent through it arrives.
            _ if matches!(certain, Some(Cause::Compression(_))) => {
                if let Some(cause) = certain {
                    self.fail(&cause);
                }
            }
            // OpenVPN ends after the other certain causes, or tries again; both are heard.
            _ => {
                if let Some(cause) = certain {
                    self.drop_out(&cause.to_string());
                    self.certain = Some(cause);
                }
            }
        }
    }

    /// What OpenVPN's word for the drop means.
    fn reason(&mut self, detail: &str) -> String {
        if detail == "ping-restart" && self.down_since.is_none() {
            let soon = self.up_since.elapsed() < TOO_SOON;
            self.starved = if soon { self.starved + 1 } else { 0 };
            if self.starved > 1 {
                return "the server does not answer (ping-restart), again soon after it did; is there another client with \
                        this certificate?"
                    .to_owned();
            }
        }
        match detail {
            "ping-restart" => "the server does not answer (ping-restart)".to_owned(),
            "connection-reset" | "remote-exit" | "server-pushed-connection-reset" | "server-pushed-halt" => {
                format!("the server ended it ({detail})")
            }
            "" => "no reason is known".to_owned(),
            other => other.to_owned(),
        }
    }

    fn drop_out(&mut self, reason: &str) {
        if self.down_since.is_none() && !self.is_lost() {
            self.down_since = Some(Instant::now());
            self.condition.send_replace(Condition::Down);
            self.session.events.say(EventKind::TunnelLost { reason: reason.into() });
        }
    }

    /// What has changed outside of the tunnel while it was up is told and no more: OpenVPN writes there only for what
    /// is neither run from the profile nor taken from the server, and a lease that is renewed changes it too.
    fn come_back(&mut self, difference: Option<String>) {
        self.certain = None;
        if let Some(difference) = difference {
            let text = format!("this machine is not as it was before the tunnel: {difference}");
            self.session.events.warn(Step::Connect, None, text);
        }
        if let Some(since) = self.down_since.take() {
            self.up_since = Instant::now();
            if !self.is_lost() {
                self.condition.send_replace(Condition::Up);
            }
            self.session.events.say(EventKind::TunnelBack { after: since.elapsed() });
        }
    }

    /// The tunnel is there and of no use.
    fn fail(&mut self, cause: &Cause) {
        self.drop_out(&cause.to_string());
        if !self.is_lost() {
            self.condition.send_replace(Condition::Lost(cause.explain(Problem::testbed("the tunnel is lost"))));
        }
    }

    fn lose(&mut self, reason: String) {
        if !self.is_lost() {
            let problem = Problem::testbed("the tunnel is lost").because(reason);
            let cause = self.certain.take().or_else(|| self.session.diagnosis.suspicion());
            self.condition.send_replace(Condition::Lost(match cause {
                Some(cause) => cause.explain(problem),
                None => problem,
            }));
        }
    }

    fn is_lost(&self) -> bool {
        matches!(*self.condition.borrow(), Condition::Lost(_))
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
