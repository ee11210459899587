//! A source beside a real HLR, and how it is asked.

use std::path::Path;
use std::time::Duration;

use accord_adapters::osmo_hlr::testing::RealHlr;
use accord_adapters::osmo_hlr::{OsmoHlr, OsmoHlrConfig};
use accord_adapters::source::Source;
use accord_proto::clock::SystemClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::time::Instant;

pub(crate) const OLD: &str = "901700000000001";
pub(crate) const NEW: &str = "901700000000002";

pub(crate) fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

pub(crate) fn source(hlr: &RealHlr, dir: &Path, more: &str) -> OsmoHlr {
    let config: OsmoHlrConfig = toml::from_str(&format!(
        "address = {:?}\njournal_dir = {:?}\njournal_key_file = {:?}\n{more}",
        hlr.ctrl_address(),
        dir.join("journal"),
        dir.join("journal.key"),
    ))
    .unwrap();
    OsmoHlr::open(&config, SystemClock::shared()).unwrap()
}

/// Which also reads the HLR's file.
pub(crate) fn with_file(hlr: &RealHlr, dir: &Path, more: &str) -> OsmoHlr {
    let file = format!("sqlite_file = {:?}\n{more}", hlr.sqlite_file());
    source(hlr, dir, &file)
}

pub(crate) async fn ask(
    source: &OsmoHlr,
    msisdn: Msisdn,
    signal: Signal,
) -> Result<Observation, Reason> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let signals = [signal];
    let observed = source.observe(msisdn, &signals, deadline).await;
    assert_eq!(observed.signals.len(), 1);
    observed.signals.into_iter().next().unwrap().1
}

pub(crate) async fn swap(source: &OsmoHlr, msisdn: Msisdn) -> (Change, Observation) {
    let observation = ask(source, msisdn, Signal::SimSwap).await.unwrap();
    (change(&observation), observation)
}

pub(crate) fn change(observation: &Observation) -> Change {
    let Observed::Change(change) = observation.what else {
        panic!("no change");
    };
    change
}
