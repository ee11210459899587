//! What the door itself refuses is on the record, as on every door, and nothing of a body is.

use accord_proto::v1::{self, entry::Event};
use prost::Message as _;

use crate::stage::{CHECK, Stage, north};

/// The entries from an index on, as they lie in the ledger.
fn entries(stage: &Stage, from: u64) -> Vec<Vec<u8>> {
    let ledger = stage.world.broker.ledger();
    let size = ledger.size_of(None).unwrap();
    (from..size)
        .map(|at| ledger.entry(None, at).unwrap())
        .collect()
}

#[tokio::test]
async fn whatever_the_door_refuses_is_an_entry_that_repeats_nothing() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let before = stage.world.broker.ledger().size_of(None).unwrap();
    let number = north(1);
    let twice = format!("{{\"phoneNumber\":\"{number}\",\"phoneNumber\":\"{number}\"}}");
    let good = format!("{{\"phoneNumber\":\"{number}\"}}");
    let unknown = [("accord-receipt-kind", "whole")];
    for (path, headers, body, word) in [
        ("/nowhere", &[][..], &good, "404 NOT_FOUND"),
        (CHECK, &[], &twice, "400 INVALID_ARGUMENT"),
        (CHECK, &unknown, &good, "400 INVALID_ARGUMENT"),
        (CHECK, &[], &"{}".to_owned(), "422 MISSING_IDENTIFIER"),
    ] {
        let told = asker.ask_with(path, headers, body.as_bytes()).await;
        assert_eq!(told.word(), word, "{path}");
    }
    let told = asker.door.send("POST", CHECK, &[], good.as_bytes()).await;
    assert_eq!(told.word(), "401 UNAUTHENTICATED");
    let entries = entries(&stage, before);
    let mut refused = Vec::new();
    for bytes in &entries {
        let digits = number.trim_start_matches('+').as_bytes();
        assert!(!bytes.windows(digits.len()).any(|part| part == digits));
        let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
        if let Some(Event::RefusedCall(call)) = entry.event {
            assert!(call.party.ends_with("/bank/open-gateway-bank"));
            refused.push(format!("{} {} {}", call.method, call.reason, call.field));
        }
    }
    assert_eq!(
        refused,
        [
            "Camara NOT_FOUND path",
            "SimSwap.Check MALFORMED_FIELD body",
            "SimSwap.Check MALFORMED_FIELD accord-receipt-kind",
            "SimSwap.Check MISSING_IDENTIFIER msisdn",
            "SimSwap.Check TOKEN_MISSING ",
        ]
    );
}
