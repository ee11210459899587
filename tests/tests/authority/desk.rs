//! The desks of the two authorities: they act with their own keys and certificates.

use std::fs;

use accord_client::{ActTaken, CallError, Refusal};
use accord_proto::{
    agreement::{Act, AgreementDocument, Verb},
    c2sp::{SignedNote, SigningKey},
    clock::{Clock as _, SystemClock},
    document::text_sha256,
};
use accord_tests::world::{CENTRAL_BANK, TELECOM_REGULATOR, World};
use aws_lc_rs::rand;

/// The two, in this order.
pub(crate) const BOTH: [&str; 2] = [TELECOM_REGULATOR, CENTRAL_BANK];

/// An authority's key.
pub(crate) fn key(world: &World, authority: &str) -> SigningKey {
    let path = world
        .files
        .dir()
        .join(format!("authorities/{authority}.key"));
    SigningKey::parse(fs::read_to_string(path).unwrap().trim()).unwrap()
}

/// A text, signed by some.
pub(crate) fn signed(world: &World, text: &str, by: &[&str]) -> String {
    let mut note = SignedNote::unsigned(text).unwrap();
    for name in by {
        note.sign(&key(world, name)).unwrap();
    }
    note.to_string()
}

/// The text of the agreement in force.
pub(crate) async fn governing(world: &World) -> String {
    let note = world.authority().unwrap().agreement().await.unwrap().note;
    SignedNote::parse(&note).unwrap().text().to_owned()
}

/// An act about a text, now.
pub(crate) fn about(verb: Verb, text: &str) -> Act {
    let document = AgreementDocument::parse(text).unwrap();
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).unwrap();
    Act {
        verb,
        target: None,
        agreement: document.id().to_owned(),
        version: document.version(),
        sha256: text_sha256(text),
        log: "accord-sandbox".to_owned(),
        time: SystemClock.now(),
        nonce,
        reason: "a test".to_owned(),
    }
}

/// Sends an act, signed by an authority's key, with a party's certificate.
pub(crate) async fn send(
    world: &World,
    party: &str,
    signer: &str,
    act: &Act,
    document: &str,
) -> Result<ActTaken, CallError> {
    let note = act.sign(&key(world, signer)).unwrap();
    world.auditor(party).unwrap().act(&note, document).await
}

/// Suspends or lifts.
pub(crate) async fn on(
    world: &World,
    by: &str,
    verb: Verb,
    target: &str,
) -> Result<ActTaken, CallError> {
    let act = Act {
        target: Some(target.parse().unwrap()),
        ..about(verb, &governing(world).await)
    };
    send(world, by, by, &act, "").await
}

/// Both lift.
pub(crate) async fn lift(world: &World, target: &str) {
    for by in BOTH {
        on(world, by, Verb::Lift, target).await.unwrap();
    }
}

/// Why the broker refused.
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Refusal {
    match outcome {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
