//! A source with its folder and its clock, and how to ask it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accord_adapters::diameter::peer::PeerState;
use accord_adapters::diameter::{DiameterConfig, DiameterSh};
use accord_adapters::source::{Observations, Source};
use accord_proto::clock::SharedClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Forwarding, Observation, Observed, Roaming};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::time::Instant;

pub(crate) const OLD: &str = "901700000000001";
pub(crate) const NEW: &str = "901700000000002";
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

pub(crate) fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

pub(crate) fn digits(last: u16) -> String {
    number(last).expose_digits().to_owned()
}

/// The section `[[peer]]` for an address.
pub(crate) fn peer(address: &str) -> String {
    format!("[[peer]]\naddress = \"{address}\"\n")
}

pub(crate) fn open(dir: &Path, clock: SharedClock, keys: &str, sections: &str) -> Arc<DiameterSh> {
    let config: DiameterConfig = toml::from_str(&format!(
        "origin_host = \"as.example\"\norigin_realm = \"example\"\nreconnect_ms_max = 200\n\
         journal_dir = {:?}\njournal_key_file = {:?}\n{keys}\n{sections}",
        dir.join("journal"),
        dir.join("journal.key"),
    ))
    .unwrap();
    Arc::new(DiameterSh::open(&config, clock).unwrap())
}

pub(crate) async fn observe(source: &DiameterSh, last: u16, signals: &[Signal]) -> Observations {
    let deadline = Instant::now() + Duration::from_secs(5);
    source.observe(number(last), signals, deadline).await
}

pub(crate) async fn ask(
    source: &DiameterSh,
    last: u16,
    signal: Signal,
) -> Result<Observation, Reason> {
    let observed = observe(source, last, &[signal]).await;
    assert_eq!(observed.signals.len(), 1);
    observed.signals.into_iter().next().unwrap().1
}

pub(crate) fn change(said: Result<Observation, Reason>) -> Result<Change, Reason> {
    let Observed::Change(change) = said?.what else {
        panic!("no change");
    };
    Ok(change)
}

pub(crate) async fn swap(source: &DiameterSh, last: u16) -> Result<Change, Reason> {
    change(ask(source, last, Signal::SimSwap).await)
}

pub(crate) async fn forwarding(source: &DiameterSh, last: u16) -> Result<Vec<Forwarding>, Reason> {
    let said = ask(source, last, Signal::CallForwarding).await?.what;
    let Observed::Forwarding(active) = said else {
        panic!("no forwarding");
    };
    Ok(active)
}

pub(crate) async fn roaming(source: &DiameterSh, last: u16) -> Result<Roaming, Reason> {
    let said = ask(source, last, Signal::Roaming).await?.what;
    let Observed::Roaming(roaming) = said else {
        panic!("no roaming");
    };
    Ok(roaming)
}

/// Waits until the first peer is in some state.
pub(crate) async fn until(source: &DiameterSh, what: &str, state: impl Fn(PeerState) -> bool) {
    let first = |peers: &accord_adapters::diameter::peers::Peers| {
        peers.iter().next().is_some_and(|peer| state(peer.state()))
    };
    let deadline = Instant::now() + WAIT_MAX;
    assert!(
        source.peers().until(deadline, first).await,
        "{what}: {source:?}"
    );
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}
