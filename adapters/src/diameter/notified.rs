//! What the server tells by itself: subscribes to it, and looks at what was notified.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use accord_proto::msisdn::Msisdn;
use accord_proto::signal::Signal;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::node::Message;
use super::sh::{self, Reference};
use super::watch::{Failures, Sweep};
use super::{DiameterError, DiameterSh};
use crate::source::{Observations, SourceChange};

/// A subscription is asked for again after this time: the server may have lost it.
const SUBSCRIPTION_LASTS: Duration = Duration::from_secs(3_600);

/// When each number was last subscribed to.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<Msisdn, Instant>);

impl DiameterSh {
    /// Subscribes to those that are due, beside the sweep, as many at once as are polled.
    pub(super) async fn subscribe_to(
        &self,
        numbers: &HashSet<Msisdn>,
        subscriptions: &mut Subscriptions,
    ) -> Result<Sweep, DiameterError> {
        let (mut sweep, mut failures) = (Sweep::default(), Failures::default());
        if self.subscribe.is_empty() {
            return Ok(sweep);
        }
        let now = Instant::now();
        subscriptions.0.retain(|msisdn, _| numbers.contains(msisdn));
        let due = |msisdn: &&Msisdn| {
            let last = subscriptions.0.get(*msisdn);
            last.is_none_or(|last| now.duration_since(*last) >= SUBSCRIPTION_LASTS)
        };
        let due: Vec<Msisdn> = numbers.iter().filter(due).copied().collect();
        let asking = stream::iter(due).map(async |msisdn| {
            let deadline = Instant::now() + self.request_timeout;
            let (peers, manner) = (&self.peers, &self.manner);
            let asked = sh::subscribe(peers, manner, &msisdn, &self.subscribe, deadline).await;
            (msisdn, asked)
        });
        let mut asking = std::pin::pin!(asking.buffer_unordered(self.poll_in_flight));
        while let Some((msisdn, asked)) = asking.next().await {
            match asked {
                Ok(()) => {
                    failures.count(None)?;
                    sweep.subscribed += 1;
                }
                Err(error) if error.is_of_the_link() => return Err(error.into()),
                Err(error) => {
                    sweep.unusable += 1;
                    tracing::debug!(%error, "a subscription was refused");
                    if error.is_of_the_server() {
                        // Tried again with the next sweep.
                        failures.count(Some(error))?;
                        continue;
                    }
                    // A refusal of one number is none of all, and is tried again after the same time.
                    failures.count(None)?;
                }
            }
            subscriptions.0.insert(msisdn, now);
        }
        Ok(sweep)
    }

    pub(super) async fn keep_looking(&self, mut notified: mpsc::Receiver<Message>) {
        while let Some(message) = notified.recv().await {
            let Some(msisdn) = sh::notified(&message) else {
                tracing::warn!("a notification about nobody who has a number");
                continue;
            };
            self.look(msisdn).await;
        }
    }

    /// Asks about a number of which the server said that something changed. What it does not tell then is
    /// taken back: it did change, and nobody knows to what.
    async fn look(&self, msisdn: Msisdn) {
        let known = |diff: &super::Diff| diff.track.journal.known(&msisdn).is_some();
        if !self.configured.contains(&msisdn) && !self.diffs.iter().any(known) {
            return;
        }
        let forwarding = self.subscribe.contains(&Reference::RepositoryData);
        let mut signals: Vec<Signal> = self.diffs.iter().map(|diff| diff.track.signal).collect();
        signals.extend(forwarding.then_some(Signal::CallForwarding));
        let deadline = Instant::now() + self.request_timeout;
        let observed = self.ask(msisdn, &signals, deadline).await;
        let observed = observed.unwrap_or_else(|reason| Observations::all(&signals, reason));
        for (signal, said) in observed.signals {
            let change = match said {
                Ok(observation) if signal == Signal::CallForwarding => {
                    SourceChange::told(msisdn, signal, observation)
                }
                // A swap was told as soon as it was journalled.
                Ok(_) => continue,
                Err(_) if self.notifies(signal) => SourceChange::withdrawal(msisdn, signal),
                Err(_) => continue,
            };
            self.changes.tell(change).await;
        }
    }

    /// Whether the server was asked to say when this changes.
    fn notifies(&self, signal: Signal) -> bool {
        let of = |reference: &Reference| match reference {
            Reference::RepositoryData => signal == Signal::CallForwarding,
            Reference::Imsi | Reference::Imeisv | Reference::LocationInformation => self
                .diff(signal)
                .is_some_and(|diff| diff.reference == *reference),
        };
        self.subscribe.iter().any(of)
    }
}
