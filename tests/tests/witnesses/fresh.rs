//! A ledger that does not grow: its checkpoint is cosigned again, so that whoever reads it knows
//! that it was the newest lately.

use std::{path::PathBuf, sync::Arc, time::Duration};

use accord_broker::{
    ledger::{Ledger, LedgerConfig},
    witnesses::{COSIGN_AGAIN_AFTER, Round, Turn, WitnessConfig, Witnesses},
};
use accord_client::witness::Witness;
use accord_proto::{
    c2sp::{Policy, SignedNote, SigningKey, policy::Cosigned},
    clock::{Clock as _, ManualClock},
};
use accord_tests::world::{RunningWitness, wait_until};
use jiff::SignedDuration;
use tempfile::TempDir;

/// A ledger of one month that nobody writes, and two witnesses of it.
struct Idle {
    dir: TempDir,
    clock: Arc<ManualClock>,
    ledger: Arc<Ledger>,
    policy: Policy,
    running: Vec<Option<RunningWitness>>,
}

impl Idle {
    async fn new(quorum: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = ManualClock::at("2026-11-07T12:00:00Z".parse().unwrap());
        let key = SigningKey::generate("accord-test").unwrap();
        let log = key.verifier().clone();
        let root = dir.path().join("ledger");
        Ledger::init(&root, &key, &[], &(clock.clone() as _)).unwrap();
        let config = LedgerConfig {
            clock_step_max: Duration::from_secs(86_400 * 100),
            free_bytes_min: 1,
            ..LedgerConfig::new(&root, key)
        };
        let (ledger, _) = Ledger::open(config, clock.clone()).unwrap();
        let mut text = format!("log {log}\n");
        let mut running = Vec::new();
        for name in ["one", "other"] {
            let memory = dir.path().join(name);
            let started = RunningWitness::start(&memory, name, log.clone(), None, clock.clone());
            let witness = started.await.unwrap();
            text.push_str(&witness.policy_line());
            running.push(Some(witness));
        }
        text.push_str(quorum);
        Self {
            dir,
            clock,
            ledger: Arc::new(ledger),
            policy: Policy::parse(&text).unwrap(),
            running,
        }
    }

    /// The witnesses, as a broker that has just begun has them.
    fn witnesses(&self) -> Witnesses {
        let config = WitnessConfig {
            policy: self.policy.clone(),
            roots: None,
            deadline: Duration::from_secs(5),
            lost_since: self.path("witnesses.lost"),
        };
        Witnesses::new(config).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn round(&self, witnesses: &Witnesses) -> Round {
        let round = witnesses.round(&self.ledger, self.clock.now());
        round.await.unwrap()
    }

    /// How many seconds ago each witness cosigned what is kept.
    fn ages(&self) -> Vec<(String, i64)> {
        let note = self.ledger.cosigned(None).unwrap().unwrap();
        let (checkpoint, cosigned) = self
            .policy
            .open(&SignedNote::parse(&note).unwrap())
            .unwrap();
        assert_eq!(checkpoint.size, self.ledger.size());
        let now = self.clock.now().as_second();
        let age = |Cosigned { witness, unix_s }| (witness, now - i64::try_from(unix_s).unwrap());
        cosigned.into_iter().map(age).collect()
    }

    async fn stop_witness(&mut self, at: usize, name: &str) {
        drop(self.running[at].take());
        let memory = self.path(name);
        wait_until("the witness to end", || async {
            Witness::open(&memory, Vec::new(), self.clock.clone()).is_ok()
        })
        .await
        .unwrap();
    }

    async fn end(self) {
        let ledger = self.ledger;
        let stopped = tokio::task::spawn_blocking(move || ledger.stop());
        stopped.await.unwrap();
    }
}

fn ages(one: i64, other: i64) -> Vec<(String, i64)> {
    vec![("one".to_owned(), one), ("other".to_owned(), other)]
}

const ALL: &str = "group g all one other\nquorum g\n";
const ANY: &str = "group g any one other\nquorum g\n";

#[tokio::test]
async fn an_unchanged_checkpoint_is_cosigned_again_when_its_cosignatures_are_old_and_not_before() {
    let idle = Idle::new(ALL).await;
    let witnesses = idle.witnesses();
    assert_eq!(idle.round(&witnesses).await.cosigned.len(), 2);
    assert_eq!(idle.ages(), ages(0, 0));
    idle.clock
        .step(COSIGN_AGAIN_AFTER - SignedDuration::from_secs(1));
    assert!(idle.round(&witnesses).await.cosigned.is_empty());
    assert_eq!(idle.ages(), ages(59, 59));
    idle.clock.step(SignedDuration::from_secs(1));
    assert_eq!(idle.round(&witnesses).await.cosigned.len(), 2);
    assert_eq!(idle.ages(), ages(0, 0));
    // A clock that was set back says nothing of how old they are.
    idle.clock.step(-SignedDuration::from_hours(1));
    assert_eq!(idle.round(&witnesses).await.cosigned.len(), 2);
    // Nor does a broker that was started again know.
    idle.clock.step(SignedDuration::from_secs(5));
    let witnesses = idle.witnesses();
    assert_eq!(idle.round(&witnesses).await.cosigned.len(), 2);
    assert_eq!(idle.ages(), ages(0, 0));
    idle.end().await;
}

#[tokio::test]
async fn a_witness_that_is_away_keeps_its_older_cosignature_of_the_same_checkpoint() {
    let mut idle = Idle::new(ANY).await;
    let witnesses = idle.witnesses();
    idle.round(&witnesses).await;
    idle.stop_witness(1, "other").await;
    idle.clock.step(SignedDuration::from_mins(5));
    let round = idle.round(&witnesses).await;
    assert_eq!((round.cosigned.len(), round.failed.len()), (1, 1));
    assert_eq!(round.turned, None);
    assert_eq!(idle.ages(), ages(0, 300));
    idle.end().await;
}

#[tokio::test]
async fn that_the_quorum_is_lost_is_noticed_though_nobody_asks_anything() {
    let mut idle = Idle::new(ALL).await;
    let witnesses = idle.witnesses();
    idle.round(&witnesses).await;
    idle.stop_witness(0, "one").await;
    idle.clock.step(SignedDuration::from_mins(2));
    assert_eq!(idle.round(&witnesses).await.turned, Some(Turn::Lost));
    // What was kept stays as it was: the one that cosigned is not enough.
    assert_eq!(idle.ages(), ages(120, 120));
    idle.end().await;
}
