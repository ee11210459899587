//! A batch of changes as it is sent: what the journal has of it, byte by byte.

use accord_adapters::runtime::Restriction;
use accord_proto::{hex, observation::SwapKind, v1};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::Value as Json;

use crate::support::{Adapter, FakeBroker, number, records, soon, welcome};

/// The record of a batch that came as these bytes, which stand behind it.
fn record<'a>(records: &'a [Json], batch: &v1::ChangeBatch, sent: &Bytes) -> &'a Json {
    let index = usize::try_from(batch.journal_index).unwrap();
    let record = &records[index];
    assert_eq!(record["index"], batch.journal_index);
    assert_eq!(record["event"], "changes_sent");
    assert_eq!(record["sequence"], batch.sequence);
    let hash = digest(&SHA256, sent);
    assert_eq!(record["batch"], hex::encode(hash.as_ref()));
    assert_eq!(batch.nonce.len(), 32);
    record
}

#[tokio::test]
async fn the_journal_has_the_digest_of_exactly_what_was_sent_of_a_batch() {
    let mut broker = FakeBroker::start(welcome(1, 5, 10_000)).await;
    let addr = broker.addr;
    let adapter = Adapter::start(vec![broker.endpoint()], 8);
    let mut link = broker.attachment().await;
    let swap = |digits: u16| {
        let number = number(&format!("+447700900{digits}"));
        assert!(adapter.operator.swap_sim(number, SwapKind::Esim));
    };
    swap(101);
    let (first, first_sent) = link.sealed_changes().await;
    assert_eq!(first.changes.len(), 1);
    // The second batch is made and waits for credit; meanwhile its subscriber opts out.
    swap(102);
    let made = || {
        let records = records(adapter.dir.path());
        let made = records.iter().filter(|record| record["event"] == "changes");
        made.count()
    };
    soon(async {
        while made() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let opted_out = Restriction::OptedOut(number("+447700900102"));
    adapter.restrictions.impose(opted_out).unwrap();
    link.restriction().await;
    link.accept(first.sequence, 5).await;
    let (second, second_sent) = link.sealed_changes().await;
    assert!(second.changes.is_empty());
    // One that was never sent is acknowledged; no record says so.
    link.accept(second.sequence + 1_000, 5).await;

    // To a new view it is sent again, which is a sending of its own.
    drop(broker);
    let mut broker = FakeBroker::start_at(addr, welcome(8, 6, 10_000), None).await;
    let mut link = broker.attachment().await;
    link.restriction().await;
    let (second_again, again_sent) = link.sealed_changes().await;
    assert_eq!(second_again.sequence, second.sequence);
    let (first_again, first_again_sent) = link.sealed_changes().await;
    assert_ne!(first_again_sent, first_sent);

    drop(link);
    let dir = adapter.stop().await;
    let records = records(dir.path());
    let told = &record(&records, &first, &first_sent)["told"];
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert_eq!(told[0]["signal"], "sim_swap");
    assert_eq!(told[0]["subject"].as_str().unwrap().len(), 32);
    let none = &record(&records, &second, &second_sent)["told"];
    assert_eq!(*none, serde_json::json!([]));
    record(&records, &second_again, &again_sent);
    let again = record(&records, &first_again, &first_again_sent);
    assert_eq!(again["told"], *told);
    let accepted = records
        .iter()
        .filter(|record| record["event"] == "changes_accepted");
    let accepted: Vec<_> = accepted.map(|record| &record["sequence"]).collect();
    assert_eq!(accepted, [&first.sequence]);
    assert!(!format!("{records:?}").contains("7700900"));
}
