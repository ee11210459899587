//! Reading the ledger.

use accord_client::{Assurance, Auditor, CallError, Client, Endpoints, LogTrust, Roots};
use accord_proto::{
    c2sp::{SigningKey, checkpoint::Checkpoint},
    merkle::leaf_hash,
};

use crate::{
    ledger::{LOG, entries, log_key},
    parties::{Parties, identity},
    stub::Stub,
};

fn auditor(parties: &Parties, stub: &Stub, key: &SigningKey) -> Auditor {
    let url = format!("https://{}", stub.address);
    Client::builder()
        .endpoints(Endpoints::new("localhost", [url]).unwrap())
        .roots(Roots::from_pem(parties.pki.certificate_pem().as_bytes()).unwrap())
        .identity(identity(&parties.authority))
        .log(LogTrust::of_ledger("accord-test").signed_by([key.verifier().clone()]))
        .build_auditor()
        .unwrap()
}

#[tokio::test]
async fn an_authority_reads_entries_with_their_proofs() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let auditor = auditor(&parties, &stub, log_key());
    assert_eq!(auditor.checkpoint("").await.unwrap().checkpoint.size, 2);
    let entry = auditor.entry("", 1).await.unwrap();
    let hash = entry.leaf_hash();
    let (_, assurance) = auditor.prove_inclusion("", 1, &hash).await.unwrap();
    assert_eq!(assurance, Assurance::Proven);
    let refused = auditor.prove_inclusion("", 0, &hash).await.unwrap_err();
    assert!(matches!(refused, CallError::Mistrusted(_)), "{refused:?}");
    assert!(matches!(
        auditor.entry("", 9).await,
        Err(CallError::Refused(_))
    ));
}

#[tokio::test]
async fn a_tail_brings_the_entries_in_order() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let auditor = auditor(&parties, &stub, log_key());
    let mut tail = auditor.tail("", 0, true).await.unwrap();
    for expected in 0..2 {
        assert_eq!(tail.next().await.unwrap().unwrap().index, expected);
    }
    assert!(tail.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_tail_that_the_broker_ends_is_no_refusal_and_no_end_of_the_log() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let auditor = auditor(&parties, &stub, log_key());
    let mut tail = auditor.tail("", 1, false).await.unwrap();
    assert_eq!(tail.next().await.unwrap().unwrap().index, 1);
    let error = tail.next().await.unwrap_err();
    let CallError::Unreachable { endpoint, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(endpoint, stub.address.to_string());
}

#[tokio::test]
async fn a_rewritten_history_is_noticed() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let auditor = auditor(&parties, &stub, log_key());
    let [first, second] = entries().map(|entry| leaf_hash(&entry));
    let old = |root| Checkpoint {
        origin: LOG.to_owned(),
        size: 1,
        root,
    };
    let newest = auditor.prove_consistency(&old(first)).await.unwrap();
    assert_eq!(newest.checkpoint.size, 2);
    let error = auditor.prove_consistency(&old(second)).await.unwrap_err();
    assert!(matches!(error, CallError::Mistrusted(_)), "{error:?}");
}

#[tokio::test]
async fn a_checkpoint_of_a_stranger_is_not_believed() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let stranger = SigningKey::generate(LOG).unwrap();
    let error = auditor(&parties, &stub, &stranger).checkpoint("").await;
    assert!(matches!(error, Err(CallError::Mistrusted(_))));
}
