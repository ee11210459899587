//! Of whoever has opted out nothing is told, but that what was told before holds no more.

use std::sync::{Arc, Mutex};

use accord_adapters::{
    runtime::{Restriction, Runtime},
    source::{Observations, Source, SourceChange, SourceFuture},
};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    observation::{Observation, Observed, Roaming, SourceClass},
    signal::Signal,
};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::support::{Attachment, FakeBroker, number, runtime_config, soon, welcome};

const FIRST: &str = "+447700900001";
const SECOND: &str = "+447700900002";

/// A source that pushes what the test says.
#[derive(Debug)]
struct Pushing(Mutex<Option<mpsc::Receiver<SourceChange>>>);

impl Source for Pushing {
    fn signals(&self) -> &[Signal] {
        &[Signal::Roaming]
    }

    fn observe<'a>(&'a self, _: Msisdn, _: &'a [Signal], _: Instant) -> SourceFuture<'a> {
        Box::pin(async { Observations::default() })
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.0.lock().unwrap().take()
    }
}

fn home(msisdn: &str) -> SourceChange {
    let observation = Observation {
        what: Observed::Roaming(Roaming {
            roaming: false,
            visited_mcc: None,
        }),
        observed_at: SystemClock.now(),
        source: SourceClass::Network,
    };
    SourceChange::told(number(msisdn), Signal::Roaming, observation)
}

fn gone(msisdn: &str) -> SourceChange {
    SourceChange::withdrawal(number(msisdn), Signal::Roaming)
}

/// Whom the next batches are about, and whether each was withdrawn, up to so many withdrawals.
async fn heard(link: &mut Attachment, view_epoch: u64, withdrawn: usize) -> Vec<(String, bool)> {
    let mut heard: Vec<(String, bool)> = Vec::new();
    while heard.iter().filter(|(_, withdrawn)| *withdrawn).count() < withdrawn {
        let batch = link.changes().await;
        let changes = batch.changes.into_iter();
        heard.extend(changes.map(|change| (change.msisdn, change.withdrawn)));
        link.accept(batch.sequence, view_epoch).await;
    }
    heard
}

#[tokio::test]
async fn what_holds_no_more_is_told_of_whoever_has_opted_out_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut broker = FakeBroker::start(welcome(8, 5, 10_000)).await;
    let addr = broker.addr;
    let (push, pushed) = mpsc::channel(16);
    let source: Arc<dyn Source> = Arc::new(Pushing(Mutex::new(Some(pushed))));
    let config = runtime_config(dir.path(), vec![broker.endpoint()], 64);
    let runtime = Runtime::new(config, source, SystemClock::shared()).unwrap();
    let restrictions = runtime.restrictions();
    let opt_out = |msisdn| Restriction::OptedOut(number(msisdn));
    restrictions.impose(opt_out(FIRST)).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(runtime.run(async {
        stopped.await.ok();
    }));
    let mut link = broker.attachment().await;
    link.restriction().await;
    for change in [home(FIRST), gone(FIRST), home(SECOND), gone(SECOND)] {
        push.send(change).await.unwrap();
    }
    let told = |msisdn: &str, withdrawn| (msisdn.to_owned(), withdrawn);
    let all = [told(FIRST, true), told(SECOND, false), told(SECOND, true)];
    assert_eq!(heard(&mut link, 5, 2).await, all);

    // A new view is told it again, without what an opt-out has stopped since.
    restrictions.impose(opt_out(SECOND)).unwrap();
    drop(link);
    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(8, 6, 10_000), None).await;
    let mut link = broker.attachment().await;
    for _ in 0..2 {
        link.restriction().await;
    }
    let mut again = heard(&mut link, 6, 2).await;
    again.sort();
    assert_eq!(again, [told(FIRST, true), told(SECOND, true)]);
    stop.send(()).unwrap();
    soon(running).await.unwrap().unwrap();
}
