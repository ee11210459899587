//! A month that ends while the witnesses are away: both months are cosigned when they are back.

use std::{sync::Arc, time::Duration};

use accord_broker::{
    ledger::{Ledger, LedgerConfig},
    witnesses::{Turn, WitnessConfig, Witnesses},
};
use accord_client::witness::Witness;
use accord_proto::{
    c2sp::{Policy, SignedNote, SigningKey},
    clock::{Clock as _, ManualClock},
    v1::{self, entry::Event},
};
use accord_tests::world::{RunningWitness, wait_until};
use prost::Message as _;
use tempfile::TempDir;

const NOVEMBER: &str = "accord-test/2026-11";
const DECEMBER: &str = "accord-test/2026-12";

async fn append(ledger: &Ledger, detail: &str) {
    let operation = v1::Operation {
        detail: detail.to_owned(),
        ..v1::Operation::default()
    };
    let entry = v1::Entry {
        salt: vec![7; 32],
        event: Some(Event::Operation(operation)),
        time_unix_ms: 0,
    };
    ledger.append(entry.encode_to_vec()).await.unwrap();
}

/// How far a quorum has cosigned a month's log.
fn cosigned(ledger: &Ledger, policy: &Policy, origin: &str) -> Option<u64> {
    let note = ledger.cosigned(Some(origin)).unwrap()?;
    let (checkpoint, _) = policy.open(&SignedNote::parse(&note).unwrap()).unwrap();
    assert_eq!(checkpoint.origin, origin);
    Some(checkpoint.size)
}

#[tokio::test]
async fn both_months_are_cosigned_when_the_witness_is_back_after_the_turn() {
    let dir = TempDir::new().unwrap();
    let (root, memory) = (dir.path().join("ledger"), dir.path().join("w"));
    let clock = ManualClock::at("2026-11-30T23:59:00Z".parse().unwrap());
    let key = SigningKey::generate("accord-test").unwrap();
    let log = key.verifier().clone();
    Ledger::init(&root, &key, &[], &(clock.clone() as _)).unwrap();
    let config = LedgerConfig {
        clock_step_max: Duration::from_secs(86_400 * 100),
        free_bytes_min: 1,
        ..LedgerConfig::new(&root, key)
    };
    let (ledger, _) = Ledger::open(config, clock.clone()).unwrap();
    let ledger = Arc::new(ledger);
    let start = |at| RunningWitness::start(&memory, "w", log.clone(), at, clock.clone());
    let witness = start(None).await.unwrap();
    let (at, line) = (witness.address(), witness.policy_line());
    let policy = Policy::parse(&format!("log {log}\n{line}quorum w\n")).unwrap();
    let witnesses = Witnesses::new(WitnessConfig {
        policy: policy.clone(),
        roots: None,
        deadline: Duration::from_secs(5),
        lost_since: dir.path().join("witnesses.lost"),
    })
    .unwrap();
    append(&ledger, "seen").await;
    let round = witnesses.round(&ledger, clock.now()).await.unwrap();
    assert_eq!(
        (round.cosigned.as_slice(), round.turned),
        (&["w".to_owned()][..], None)
    );
    assert_eq!(cosigned(&ledger, &policy, NOVEMBER), Some(2));

    drop(witness);
    wait_until("the witness to end", || async {
        Witness::open(&memory, Vec::new(), clock.clone()).is_ok()
    })
    .await
    .unwrap();
    append(&ledger, "the last one of November").await;
    clock.set("2026-12-01T00:01:00Z".parse().unwrap());
    append(&ledger, "the first one of December").await;
    let round = witnesses.round(&ledger, clock.now()).await.unwrap();
    assert_eq!(round.turned, Some(Turn::Lost));
    assert_eq!(cosigned(&ledger, &policy, NOVEMBER), Some(2));
    assert_eq!(cosigned(&ledger, &policy, DECEMBER), None);

    let _witness = start(Some(at)).await.unwrap();
    let round = witnesses.round(&ledger, clock.now()).await.unwrap();
    assert_eq!(round.turned, Some(Turn::Found), "{round:?}");
    assert_eq!(cosigned(&ledger, &policy, NOVEMBER), Some(3));
    assert_eq!(cosigned(&ledger, &policy, DECEMBER), Some(2));
    let stopping = Arc::clone(&ledger);
    tokio::task::spawn_blocking(move || stopping.stop())
        .await
        .unwrap();
}
