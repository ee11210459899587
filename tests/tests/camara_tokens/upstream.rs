//! The other end of the door: an operator's adapter whose source is this very door, as another
//! operator's or an aggregator's would be.

use std::{path::Path, time::Duration};

use accord_adapters::{
    camara_upstream::{CamaraConfig, CamaraUpstream},
    source::{Condition, Source as _},
};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    observation::{Change, ForwardingTarget, Observed},
    reason::Reason,
    signal::Signal,
};
use accord_tests::world::{OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::rig::Rig;

/// Everything that the open gateway bank may ask.
const SCOPES: &str = "dpv:FraudPreventionAndDetection sim-swap device-swap \
    call-forwarding-signal:call-forwardings:read device-roaming-status:read \
    number-recycling:check kyc-tenure:check-tenure";

/// The section of an adapter's configuration, with further keys.
pub(crate) fn section(rig: &Rig, more: &str) -> String {
    let url = &rig.url;
    let pki = rig.dir.path().join("pki");
    let file = |name: &str| path(&pki, name);
    let bank = OPEN_GATEWAY_BANK;
    format!(
        "roots_file = {}\ncertificate_file = {}\nkey_file = {}\n\
         sim_swap = \"{url}/sim-swap/v2\"\ndevice_swap = \"{url}/device-swap/v1\"\n\
         call_forwarding = \"{url}/call-forwarding-signal/v0.4\"\n\
         roaming = \"{url}/device-roaming-status/v1\"\n\
         number_recycling = \"{url}/number-recycling/v0.2\"\ntenure = \"{url}/kyc-tenure/v0.2\"\n\
         {more}\n[token]\nurl = \"{}\"\nclient_id = \"{OPEN_GATEWAY_CLIENT}\"\n\
         scope = \"{SCOPES}\"\nassertion_key_file = {}\nassertion_key_id = \"{bank}-1\"\n",
        file("ca.pem"),
        file(&format!("{bank}.pem")),
        file(&format!("{bank}.key")),
        rig.token_endpoint(),
        file(&format!("{bank}.token.key")),
    )
}

/// The source, with further keys. What the door's operators tell here is so now.
fn source(rig: &Rig, more: &str) -> CamaraUpstream {
    let section = section(rig, &format!("knows_within_s = 0\n{more}"));
    let config: CamaraConfig = toml::from_str(&section).unwrap();
    CamaraUpstream::open(&config, SystemClock::shared()).unwrap()
}

fn path(pki: &Path, name: &str) -> String {
    format!("{:?}", pki.join(name))
}

async fn ask(source: &CamaraUpstream, last: u16, signal: Signal) -> Result<Observed, Reason> {
    let number = Msisdn::parse(&format!("+447700900{last:03}")).unwrap();
    let by = Instant::now() + Duration::from_secs(20);
    let mut told = source.observe(number, &[signal], by).await;
    told.signals.remove(0).1.map(|observation| observation.what)
}

async fn change(source: &CamaraUpstream, last: u16, signal: Signal) -> Change {
    let told = ask(source, last, signal).await;
    let change = match told {
        Ok(Observed::Change(change)) => Ok(change),
        other => Err(other),
    };
    change.unwrap()
}

fn ago(at: Timestamp) -> i64 {
    SystemClock.now().duration_since(at).as_hours()
}

/// Whether the last change lies between these days ago, to two days.
fn lies(change: Change, after: i64, before: i64) {
    let within = change.changed_in.unwrap();
    let days = |at| ago(at) / 24;
    let told = (days(within.after()), days(within.before()));
    let near = |told: i64, day: i64| (day - 2..=day + 2).contains(&told);
    assert!(
        near(told.0, after) && near(told.1, before),
        "{told:?} days ago"
    );
}

#[tokio::test]
async fn an_adapter_learns_from_the_door_what_any_client_would() {
    let rig = Rig::new().await;
    let source = source(&rig, "");
    // Two hours ago: the door tells the latest moment that it can have been.
    let swap = change(&source, 1, Signal::SimSwap).await;
    let within = swap.changed_in.unwrap();
    assert!((1..=2).contains(&ago(within.after())) && ago(within.before()) <= 2);
    assert_eq!(ask(&source, 4, Signal::Roaming).await.map(|_| ()), Ok(()));
    let Ok(Observed::Roaming(abroad)) = ask(&source, 6, Signal::Roaming).await else {
        panic!("no roaming");
    };
    assert!(abroad.roaming);
    let Ok(Observed::Forwarding(active)) = ask(&source, 4, Signal::CallForwarding).await else {
        panic!("no forwarding");
    };
    assert_eq!(active.len(), 1);
    let moved = change(&source, 8, Signal::DeviceSwap).await;
    assert!((4..=6).contains(&ago(moved.changed_in.unwrap().after())));
    for (last, reason) in [
        (13, Reason::NotAvailable),
        (15, Reason::UnknownNumber),
        (12, Reason::SourceDown),
    ] {
        assert_eq!(
            ask(&source, last, Signal::SimSwap).await,
            Err(reason),
            "{last}"
        );
    }
    // The door said for how long that API is to be left alone.
    let held = ask(&source, 0, Signal::SimSwap).await;
    assert_eq!(held, Err(Reason::Overloaded));
    drop(rig);
    let gone = ask(&source, 0, Signal::Roaming).await;
    assert_eq!(gone, Err(Reason::SourceDown));
    assert_eq!(source.state().condition, Condition::Down);
}

#[tokio::test]
async fn an_adapter_behind_another_accord_keeps_what_the_body_can_not_say() {
    let rig = Rig::new().await;
    // That it knows at once is what the contract says, and not what its answers do.
    let (plain, finer) = (source(&rig, ""), source(&rig, "accord_answer = true"));
    let ends = |change: &Change| {
        change
            .changed_in
            .map(|within| (within.after(), within.before()))
    };
    for (last, signal) in [
        (1, Signal::SimSwap),
        (3, Signal::SimSwap),
        (8, Signal::DeviceSwap),
    ] {
        let body = change(&plain, last, signal).await;
        let header = change(&finer, last, signal).await;
        let ((_, before), (after, latest)) = (ends(&body).unwrap(), ends(&header).unwrap());
        // The body tells the latest moment, around which another upstream's date may lie.
        assert!(
            latest <= before && before.duration_since(latest).as_secs() <= 60,
            "{last}"
        );
        assert!(after <= latest);
    }
    // Nobody says where to, and `null` may mean anything.
    let forwarding = async |source| match ask(source, 4, Signal::CallForwarding).await {
        Ok(Observed::Forwarding(active)) => active.first().map(|active| active.target),
        other => panic!("{other:?}"),
    };
    assert_eq!(forwarding(&plain).await, Some(ForwardingTarget::Unknown));
    assert_eq!(
        forwarding(&finer).await,
        Some(ForwardingTarget::AnotherNumber)
    );
    let body = ask(&plain, 0, Signal::Roaming).await.unwrap();
    assert_eq!(ask(&finer, 0, Signal::Roaming).await, Ok(body));
    let days = source(&rig, "accord_answer = true\nsince_days = [400]");
    let held = change(&days, 7, Signal::NumberRecycling).await;
    assert!(held.changed_in.is_some());
    change(&days, 0, Signal::Tenure).await;
    assert_eq!(days.state().condition, Condition::Up);
    assert_eq!(finer.state().condition, Condition::Up);
    // What is refused is refused as it was.
    assert_eq!(
        ask(&finer, 15, Signal::SimSwap).await,
        Err(Reason::UnknownNumber)
    );
}

#[tokio::test]
async fn several_days_narrow_down_what_the_door_tells_of_a_holder() {
    let rig = Rig::new().await;
    let source = source(&rig, "since_days = [30, 90, 400, 1000]");
    let quiet = change(&source, 0, Signal::Tenure).await;
    assert_eq!(quiet.changed_in, None);
    let since = ago(quiet.monitored_since.unwrap()) / 24;
    assert!((998..=1_000).contains(&since), "{since}");
    // Two years, forty days, and a day ago.
    lies(change(&source, 23, Signal::Tenure).await, 1_000, 400);
    lies(change(&source, 7, Signal::Tenure).await, 90, 30);
    lies(change(&source, 24, Signal::Tenure).await, 30, 0);
    // Of a change of holder its clause lets a client name one day an hour: the first is what is told.
    lies(change(&source, 7, Signal::NumberRecycling).await, 1_000, 0);
    let kept = change(&source, 0, Signal::NumberRecycling).await;
    assert_eq!(kept.changed_in, None);
    // One day decides less of the same number, where a bank asks about another day.
    let one = self::source(&rig, "since_days = 1000");
    lies(change(&one, 23, Signal::Tenure).await, 1_000, 0);
}
