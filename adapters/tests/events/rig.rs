//! An event source that runs, and what a test asks it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use accord_adapters::events::{EventSource, EventsConfig};
use accord_adapters::source::{Condition, Source as _, SourceChange};
use accord_proto::clock::{Clock as _, SystemClock};
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::SignedDuration;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A source that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) source: Arc<EventSource>,
    pub(crate) changes: Receiver<SourceChange>,
    config: EventsConfig,
    watching: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Running {
    pub(crate) fn start(dir: &Path, more: &str) -> Self {
        let all = ["swaps", "holders", "forwarding", "devices", "firewall"];
        Self::carrying(dir, &all, more)
    }

    /// Of a producer that carries so much.
    pub(crate) fn carrying(dir: &Path, carried: &[&str], more: &str) -> Self {
        let config: EventsConfig = toml::from_str(&format!(
            "producers = {{ crm = {carried:?} }}\n\
             journal_dir = {:?}\njournal_key_file = {:?}\nlateness_ms = 0\n{more}",
            dir.join("journal"),
            dir.join("journal.key"),
        ))
        .unwrap();
        let source = Arc::new(EventSource::open(&config, SystemClock::shared()).unwrap());
        let changes = source.changes().unwrap();
        let running = Arc::clone(&source);
        let watching = tokio::spawn(async move { running.watch().await });
        Self {
            source,
            changes,
            config,
            watching,
        }
    }

    /// Ends it and waits until its journal is closed, as a restart would.
    pub(crate) async fn stop(mut self) {
        self.watching.abort();
        let _ = (&mut self.watching).await;
        let config = self.config.clone();
        drop(self);
        // A write that is under way holds it still.
        wait_until("the journal to be closed", || async {
            EventSource::open(&config, SystemClock::shared()).is_ok()
        })
        .await;
    }

    pub(crate) async fn ask(&self, last: u16, signal: Signal) -> Result<Observation, Reason> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let told = self.source.observe(number(last), &[signal], deadline).await;
        told.signals.into_iter().next().unwrap().1
    }

    pub(crate) async fn swap(&self, last: u16) -> Result<Change, Reason> {
        let observation = self.ask(last, Signal::SimSwap).await?;
        let Observed::Change(change) = observation.what else {
            panic!("no change");
        };
        Ok(change)
    }

    /// Whether it knows that this number's SIM was changed.
    pub(crate) async fn swapped(&self, last: u16) -> bool {
        let swap = self.swap(last).await;
        swap.is_ok_and(|swap| swap.changed_in.is_some())
    }

    pub(crate) fn condition(&self) -> Condition {
        self.source.state().condition
    }

    pub(crate) async fn wait_condition(&self, condition: Condition) {
        wait_until(condition.name(), || async { self.condition() == condition }).await;
    }
}

pub(crate) fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

/// An event of some seconds ago.
pub(crate) fn event(id: &str, kind: &str, last: u16, seconds_ago: i64, data: &str) -> String {
    let at = SystemClock.now() - SignedDuration::from_secs(seconds_ago);
    let subject = number(last);
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"crm","type":"{kind}","time":"{at}","subject":"{}","data":{data}}}"#,
        subject.expose()
    )
}

pub(crate) fn heartbeat(seconds_ago: i64) -> String {
    event("heartbeat", "heartbeat", 0, seconds_ago, "{}")
}

/// Polls a condition, for half a minute at most.
pub(crate) async fn wait_until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
