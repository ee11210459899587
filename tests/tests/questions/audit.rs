//! Reading the ledger: a party its own entries, an authority all, and each read is an entry.

use accord_client::{Assurance, CallError, LedgerEntry, Lookup};
use accord_proto::{
    merkle::leaf_hash,
    purpose::Purpose,
    v1::{self, entry::Event},
};
use tokio::time::{Duration, timeout};
use tonic::Code;

use crate::{
    record,
    said::{Stage, ask, north, sud},
};

fn not_found(read: Result<LedgerEntry, CallError>) -> (Code, String, String) {
    match read {
        Err(CallError::Refused(refusal)) => (refusal.code, refusal.reason, refusal.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_party_reads_its_own_entries_and_others_look_as_if_there_were_none() {
    let stage = Stage::sandbox().await;
    let lookup = |number: &str| Lookup::about(number, Purpose::Payment).sim_swap();
    let first = ask(&stage.bank("first-bank"), lookup(&north(1)))
        .await
        .receipt
        .index;
    let second = ask(&stage.bank("second-bank"), lookup(&north(1)))
        .await
        .receipt
        .index;
    let at_sud = ask(&stage.bank("first-bank"), lookup(&sud(1)))
        .await
        .receipt
        .index;
    let all = [first, second, at_sud];
    for (party, sees) in [
        ("first-bank", [true, false, true]),
        ("second-bank", [false, true, false]),
        ("north-mobile", [true, true, false]),
        ("sud-mobile", [false, false, true]),
        ("central-bank", [true; 3]),
        ("telecom-regulator", [true; 3]),
    ] {
        let auditor = stage.auditor(party).unwrap();
        let absent = not_found(auditor.entry("", 1 << 40).await);
        assert_eq!((absent.0, absent.1.as_str()), (Code::NotFound, "NOT_FOUND"));
        for (index, sees) in all.into_iter().zip(sees) {
            let read = auditor.entry("", index).await;
            assert_eq!(read.is_ok(), sees, "{party} {index}");
            if !sees {
                assert_eq!(not_found(read), absent);
            }
        }
        // The opening entry of the log is for authorities.
        assert_eq!(
            auditor.entry("", 0).await.is_ok(),
            sees == [true; 3],
            "{party}"
        );
    }
}

#[tokio::test]
async fn each_read_is_an_entry_and_so_is_each_refused_one() {
    let stage = Stage::sandbox().await;
    let auditor = stage.auditor("first-bank").unwrap();
    let lookup = Lookup::about(north(1), Purpose::Payment).sim_swap();
    let index = ask(&stage.bank("first-bank"), lookup).await.receipt.index;
    let before = record::size(&stage);
    auditor.entry("", index).await.unwrap();
    auditor.entry("", 0).await.unwrap_err();
    let mut tail = auditor.tail("", index, true).await.unwrap();
    while tail.next().await.unwrap().is_some() {}
    let events = record::since(&stage, before);
    let reads: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::AuditRead(read) => {
                assert_eq!(read.party, "spiffe://accord.test/bank/first-bank");
                assert_eq!(read.origin, stage.broker.ledger().origin());
                Some((read.method.as_str(), read.first_index, read.entries))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        reads,
        [
            ("AuditService.GetEntry", index, 1),
            ("AuditService.Tail", index, 0)
        ]
    );
    let refused = record::refused(&events);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].2.as_str(), refused[0].3.as_str()),
        ("NOT_FOUND", "index")
    );
}

#[tokio::test]
async fn a_receipt_an_entry_and_its_proof_fit_together() {
    use aws_lc_rs::digest::{Context, SHA256};

    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let lookup = || Lookup::about(north(1), Purpose::Payment).sim_swap();
    let answered = ask(&bank, lookup()).await;
    assert_eq!(answered.receipt.assurance, Assurance::Form);
    // The proof comes with the answer, or later.
    let proven = ask(&bank, lookup().with_proof()).await;
    assert_eq!(proven.receipt.assurance, Assurance::Proven);
    let receipt = &answered.receipt;
    let auditor = stage.auditor("first-bank").unwrap();
    let (_, assurance) = auditor
        .prove_inclusion(&receipt.origin, receipt.index, &receipt.leaf_hash)
        .await
        .unwrap();
    assert_eq!(assurance, Assurance::Proven);
    let other = leaf_hash(b"another");
    let forged = auditor
        .prove_inclusion(&receipt.origin, receipt.index, &other)
        .await;
    assert!(
        matches!(forged, Err(CallError::Mistrusted(_))),
        "{forged:?}"
    );
    // The entry is what the receipt says, and commits to the answer under the nonce.
    let entry = auditor.entry("", receipt.index).await.unwrap();
    assert_eq!(entry.leaf_hash(), receipt.leaf_hash);
    let Some(Event::Access(access)) = entry.entry.event else {
        panic!()
    };
    let mut context = Context::new(&SHA256);
    context.update(&answered.nonce);
    context.update(&answered.answer_bytes);
    assert_eq!(access.answer_digest, context.finish().as_ref());
    assert_eq!(
        (access.bank.as_str(), access.operator.as_str()),
        ("first-bank", "north-mobile")
    );
    assert_eq!(access.application, "accord");
    assert_eq!((access.subject_tag.len(), access.replies.len()), (16, 1));
    let signal = &access.signals[0];
    assert_eq!(
        (signal.clause.as_str(), signal.granularity.as_str()),
        ("3.1", "band")
    );
    assert_eq!(signal.reason, 0);
    // Never the number, in any form.
    assert!(!entry.bytes.windows(7).any(|part| part == b"7700900"));
}

#[tokio::test]
async fn references_of_the_bank_are_on_the_record_as_keyed_digests_only() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let lookup = |id: &str| {
        Lookup::about(north(23), Purpose::LimitChange)
            .tenure("2024-01-31".parse().unwrap())
            .customer_ref("customer-4711")
            .consent_ref("consent-0815")
            .request_id(id)
    };
    let access = |index| record::access(&stage, index);
    let one = access(ask(&bank, lookup("id-one")).await.receipt.index);
    let two = access(ask(&bank, lookup("id-two")).await.receipt.index);
    assert_eq!(one.customer_ref_mac.len(), 16);
    assert_eq!(one.customer_ref_mac, two.customer_ref_mac);
    assert_eq!(one.consent_ref_mac, two.consent_ref_mac);
    assert_eq!(one.signals[0].since_mac, two.signals[0].since_mac);
    assert_ne!(one.request_id_mac, two.request_id_mac);
    assert_ne!(one.customer_ref_mac, one.consent_ref_mac);
    for index in 0..record::size(&stage) {
        let bytes = stage.broker.ledger().entry(None, index).unwrap();
        for text in ["4711", "0815", "id-one", "2024-01-31"] {
            assert!(
                !bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes()),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_later_checkpoint_continues_an_earlier_one() {
    let stage = Stage::sandbox().await;
    let auditor = stage.authority().unwrap();
    let old = auditor.checkpoint("").await.unwrap();
    assert!(old.verified);
    let bank = stage.bank("first-bank");
    for digits in 0..5 {
        ask(
            &bank,
            Lookup::about(north(digits), Purpose::Payment).sim_swap(),
        )
        .await;
    }
    let new = auditor.prove_consistency(&old.checkpoint).await.unwrap();
    assert!(new.checkpoint.size >= old.checkpoint.size + 5);
    // A root that never was is no ancestor.
    let mut forged = old.checkpoint;
    forged.root[0] ^= 1;
    let refused = auditor.prove_consistency(&forged).await;
    assert!(
        matches!(refused, Err(CallError::Mistrusted(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_tail_ends_at_the_present_end_or_goes_on_as_entries_come() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let lookup = || Lookup::about(north(1), Purpose::Payment).sim_swap();
    ask(&bank, lookup()).await;
    let authority = stage.authority().unwrap();
    let size = record::size(&stage);
    let mut once = authority.tail("", 0, true).await.unwrap();
    let mut indexes = Vec::new();
    while let Some(entry) = once.next().await.unwrap() {
        indexes.push(entry.index);
    }
    assert_eq!(indexes, (0..size).collect::<Vec<_>>());

    // A bank's tail has its own entries only, as they come.
    let auditor = stage.auditor("first-bank").unwrap();
    let from = record::size(&stage) + 1;
    let mut live = auditor.tail("", from, false).await.unwrap();
    ask(&stage.bank("second-bank"), lookup()).await;
    let mine = ask(&bank, lookup()).await.receipt.index;
    let next = timeout(Duration::from_secs(20), live.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(next.index, mine);
    assert!(
        matches!(next.entry.event, Some(Event::Access(v1::Access { bank, .. })) if bank == "first-bank")
    );
}

#[tokio::test]
async fn auditors_have_a_rate_of_their_own() {
    let spec = accord_tests::world::WorldSpec::default().limit("audit_per_second", 3);
    let stage = Stage::of(&spec).await;
    let auditor = stage.auditor("first-bank").unwrap();
    let reads = (0..20).map(|_| auditor.entry("", 0));
    let reads = futures_util::future::join_all(reads).await;
    let limited = reads.into_iter().filter(|read| match read {
        Err(CallError::Refused(refusal)) => {
            refusal.reason == "RATE_LIMITED" && refusal.retry_after.is_some()
        }
        _ => false,
    });
    assert!(limited.count() >= 10);
}

#[tokio::test]
async fn a_running_tail_ends_when_its_party_is_suspended_or_its_certificate_revoked() {
    use accord_client::Tail;

    /// Entries go on coming until the tail is refused.
    async fn end(stage: &Stage, mut tail: Tail) -> String {
        let bank = stage.bank("second-bank");
        for _ in 0..2_000 {
            let lookup = Lookup::about(north(0), Purpose::Payment).sim_swap();
            ask(&bank, lookup).await;
            match timeout(Duration::from_millis(10), tail.next()).await {
                Ok(Err(CallError::Refused(refusal))) => return refusal.reason,
                Ok(Ok(Some(_))) | Err(_) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("the tail goes on");
    }

    let stage = Stage::sandbox().await;
    let before = record::size(&stage);
    let tail = |party: &str| {
        let auditor = stage.auditor(party).unwrap();
        async move { auditor.tail("", before, false).await.unwrap() }
    };
    let (first, authority) = (tail("north-mobile").await, tail("central-bank").await);
    crate::register::suspend(&stage, "north-mobile");
    assert_eq!(end(&stage, first).await, "LICENCE_NOT_IN_FORCE");
    stage.files.revoke("central-bank").unwrap();
    assert_eq!(end(&stage, authority).await, "CERTIFICATE_REVOKED");
    let refused = record::refused(&record::since(&stage, before));
    let tails: Vec<_> = refused
        .iter()
        .filter(|(_, method, ..)| method == "AuditService.Tail")
        .map(|(party, _, reason, _)| (party.as_str(), reason.as_str()))
        .collect();
    assert_eq!(
        tails,
        [
            (
                "spiffe://accord.test/operator/north-mobile",
                "LICENCE_NOT_IN_FORCE"
            ),
            (
                "spiffe://accord.test/authority/central-bank",
                "CERTIFICATE_REVOKED"
            ),
        ]
    );
}
