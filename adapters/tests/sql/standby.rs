//! A streaming standby: it is asked as a primary is, it claims no more than it has replayed, and it
//! notifies of nothing.

use std::sync::Arc;

use accord_adapters::source::{Condition, Source as _, SourceChange};
use accord_adapters::sql::testing::RealPostgres;
use accord_adapters::sql::{SqlConfig, SqlSource};
use accord_proto::clock::SystemClock;
use accord_proto::observation::{Observation, SwapKind};
use accord_proto::signal::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

use super::rig::{Rig, ask, change, wait_until};

const ONE: &str = "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why)
    values ('447700900001', '2020-01-01', 'NEW', '2024-01-01', 'REPL')";
const SWAP: &str = "update subscription set sim_at = now(), sim_why = 'ESIM', changed_at = now()";

/// A source that follows a standby until it is dropped.
struct Followed {
    source: Arc<SqlSource>,
    changes: Receiver<SourceChange>,
    watching: JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Followed {
    fn start(rig: &Rig, standby: &RealPostgres) -> Self {
        let bookmark = rig.dir.path().join("bookmark");
        let more = format!(
            "port = {}\nchanges = {{ query = \"select msisdn, changed_at, id from accord.subscriber\", \
             bookmark_file = {bookmark:?}, channel = \"accord_changes\", poll_ms = 200 }}",
            standby.port()
        );
        let config: SqlConfig = rig.config(&more);
        let source = Arc::new(SqlSource::open(&config, SystemClock::shared()).unwrap());
        let changes = source.changes().unwrap();
        let watched = Arc::clone(&source);
        let watching = tokio::spawn(async move { watched.watch().await });
        Self {
            source,
            changes,
            watching,
        }
    }

    async fn sim(&self) -> Observation {
        ask(&self.source, 1, Signal::SimSwap).await.unwrap()
    }

    /// The kind of the next SIM swap that is pushed.
    async fn pushed(&mut self) -> Option<SwapKind> {
        loop {
            let next = timeout(Duration::from_secs(30), self.changes.recv());
            let pushed = next.await.unwrap().unwrap();
            if pushed.signal == Signal::SimSwap {
                return change(pushed.observation.as_ref().unwrap()).kind;
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_standby_vouches_for_what_it_has_replayed_and_tells_changes_by_ticks() {
    let rig = Rig::start().await;
    rig.run(ONE).await;
    let standby = rig.server.standby().await.unwrap();
    let of_standby = standby.admin().await.unwrap();
    // It has a time of its own only once something was replayed since the copy.
    rig.run("update subscription set begun_by = 'NEW'").await;
    let mut followed = Followed::start(&rig, &standby);
    wait_until("the standby to answer", || async {
        ask(&followed.source, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
    // LISTEN is refused there, which takes nothing from the rest.
    assert_eq!(followed.pushed().await, Some(SwapKind::Replacement));
    assert_eq!(followed.source.state().condition, Condition::Up);
    assert_eq!(followed.source.fault(), None);
    let before = followed.sim().await;

    // What the primary has, and the standby has not replayed, is neither known nor denied.
    of_standby
        .batch_execute("select pg_wal_replay_pause()")
        .await
        .unwrap();
    wait_until("the replay to pause", || async {
        let state = of_standby.query_one("select pg_get_wal_replay_pause_state()", &[]);
        let state: String = state.await.unwrap().get(0);
        state == "paused"
    })
    .await;
    rig.run(SWAP).await;
    let swapped = rig.admin.query_one(
        "select sim_at::text, now() - sim_at < interval '1 min' from subscription",
        &[],
    );
    assert!(swapped.await.unwrap().get::<_, bool>(1));
    let behind = followed.sim().await;
    assert_eq!(change(&behind).kind, Some(SwapKind::Replacement));
    assert_eq!(
        behind.observed_at, before.observed_at,
        "it vouches for a time that it has not replayed"
    );

    of_standby
        .batch_execute("select pg_wal_replay_resume()")
        .await
        .unwrap();
    wait_until("the swap to be replayed", || async {
        change(&followed.sim().await).kind == Some(SwapKind::Esim)
    })
    .await;
    let after = followed.sim().await;
    assert!(after.observed_at > before.observed_at);
    assert!(change(&after).changed_in.unwrap().before() <= after.observed_at);
    assert_eq!(followed.pushed().await, Some(SwapKind::Esim));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_standby_that_is_promoted_is_a_primary_from_then_on() {
    let mut rig = Rig::start().await;
    rig.run(ONE).await;
    let standby = rig.server.standby().await.unwrap();
    rig.run("update subscription set begun_by = 'NEW'").await;
    let followed = Followed::start(&rig, &standby);
    wait_until("the standby to answer", || async {
        ask(&followed.source, 1, Signal::SimSwap).await.is_ok()
    })
    .await;
    let before = followed.sim().await;
    rig.server.crash().unwrap();
    let promoted = standby.admin().await.unwrap();
    promoted
        .query_one("select pg_promote()", &[])
        .await
        .unwrap();
    promoted.batch_execute(SWAP).await.unwrap();
    wait_until("the swap to be known", || async {
        let told = ask(&followed.source, 1, Signal::SimSwap).await;
        told.is_ok_and(|told| change(&told).kind == Some(SwapKind::Esim))
    })
    .await;
    assert!(followed.sim().await.observed_at > before.observed_at);
}
