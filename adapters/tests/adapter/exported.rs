//! A nightly export behind the runtime: its opt-outs and locks reach the broker by themselves.

use std::{path::Path, sync::Arc};

use accord_adapters::{
    csv_export::CsvExport,
    runtime::{Restriction, Runtime},
    source::Source,
};
use accord_proto::{
    clock::SystemClock,
    signal::Signal,
    v1::{self, adapter_message::Message as FromAdapter, restriction::Scope},
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::support::{FakeBroker, ask, body, number, outcomes, runtime_config, soon, welcome};

const CONFIG: &str = r#"
file_name = "subscribers.csv"
encoding = "utf-8"
time_zone = "UTC"
shrink_max_percent = 100

[number]
country_code = "44"

[exported_at]
from = "column"
name = "EXPORTED"
format = "%Y-%m-%d %H:%M:%S"

[complete]
by = "final_newline"

[columns]
msisdn = "MSISDN"
sim_changed_at = { name = "SIM", format = "%Y-%m-%d" }
opted_out = { name = "OUT", yes = ["Y"], no = ["N"] }
swap_locked = { name = "LOCK", yes = ["Y"], no = ["N"] }
"#;

fn source(dir: &Path) -> Arc<CsvExport> {
    let config = format!("directory = {dir:?}\n{CONFIG}");
    let config = toml::from_str(&config).unwrap();
    Arc::new(CsvExport::open(config, SystemClock::shared()).unwrap())
}

/// Puts an export in place and lets the source take it.
async fn export(source: &CsvExport, dir: &Path, day: u8, rows: &[(&str, &str, &str)]) {
    let mut text = "MSISDN,SIM,OUT,LOCK,EXPORTED\n".to_owned();
    for (number, out, lock) in rows {
        text.push_str(&format!(
            "{number},2020-02-01,{out},{lock},2026-01-{day:02} 02:30:00\n"
        ));
    }
    std::fs::write(dir.join("subscribers.csv"), text).unwrap();
    source.reload_once().await.unwrap();
}

fn opted_out(restriction: &v1::Restriction) -> Option<&str> {
    match &restriction.scope {
        Some(Scope::OptedOutMsisdn(number)) => Some(number),
        Some(Scope::SwapLockedMsisdn(_) | Scope::Kill(_)) | None => None,
    }
}

const FIRST: &str = "+447700900001";
const SECOND: &str = "+447700900002";

#[tokio::test]
async fn opt_outs_and_locks_of_an_export_are_told_as_those_of_the_file_are() {
    let dir = TempDir::new().unwrap();
    let mut broker = FakeBroker::start(welcome(1, 1, 10_000)).await;
    let source = source(dir.path());
    let config = runtime_config(dir.path(), vec![broker.endpoint()], 64);
    let as_source: Arc<dyn Source> = source.clone();
    let runtime = Runtime::new(config, as_source, SystemClock::shared()).unwrap();
    let handle = runtime.restrictions();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(runtime.run(async {
        stopped.await.ok();
    }));
    let rows = [(FIRST, "Y", "N"), (SECOND, "N", "Y")];
    export(&source, dir.path(), 1, &rows).await;

    // The broker may serve from its view after the first heartbeat; both come before it.
    let mut link = broker.attachment().await;
    let mut told = Vec::new();
    while let Some(FromAdapter::Restriction(restriction)) = link.hear_any().await {
        told.push(restriction);
    }
    told.sort_by_key(|restriction| opted_out(restriction).is_none());
    assert_eq!(told.len(), 2);
    assert_eq!(opted_out(&told[0]), Some(FIRST));
    assert!(told[1].scope == Some(Scope::SwapLockedMsisdn(SECOND.to_owned())));
    assert!(told.iter().all(|restriction| !restriction.lifted));

    link.ask(ask(1, FIRST, &[Signal::SimSwap], 800)).await;
    assert_eq!(outcomes(&link.reply().await), ["opted_out"]);
    let mut overriding = ask(2, FIRST, &[Signal::SimSwap], 800);
    overriding.bases[0].overrides_opt_out = true;
    link.ask(overriding).await;
    assert_eq!(outcomes(&link.reply().await), ["value"]);
    link.ask(ask(3, SECOND, &[Signal::SimSwap], 800)).await;
    assert!(body(&link.reply().await).customer_lock);

    // In force as long as either says so: the next export takes back what the operator keeps up.
    let kept = || Restriction::OptedOut(number(FIRST));
    handle.impose(kept()).unwrap();
    assert_eq!(opted_out(&link.restriction().await), Some(FIRST));
    let rows = [(FIRST, "N", "N"), (SECOND, "Y", "Y")];
    export(&source, dir.path(), 2, &rows).await;
    let next = link.restriction().await;
    assert_eq!((opted_out(&next), next.lifted), (Some(SECOND), false));
    link.ask(ask(4, FIRST, &[Signal::SimSwap], 800)).await;
    assert_eq!(outcomes(&link.reply().await), ["opted_out"]);
    handle.lift(kept()).unwrap();
    let next = link.restriction().await;
    assert_eq!((opted_out(&next), next.lifted), (Some(FIRST), true));
    let rows = [(FIRST, "N", "N"), (SECOND, "N", "Y")];
    export(&source, dir.path(), 3, &rows).await;
    let next = link.restriction().await;
    assert_eq!((opted_out(&next), next.lifted), (Some(SECOND), true));

    stop.send(()).unwrap();
    soon(running).await.unwrap().unwrap();
}
