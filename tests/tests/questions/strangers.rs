//! Certificates that are refused.

use accord_certs::{LeafOptions, Pki};
use accord_proto::v1::entry::Event;
use jiff::SignedDuration;
use tonic::Code;

use crate::{
    caller::{Caller, question, refused_at_last, told},
    record,
    said::{Stage, north, now},
};

/// What the handshake ends with, and that nothing is on the record.
async fn hangs_up(stage: &Stage, caller: &Caller, alert: &str) {
    let before = record::size(stage);
    let said = caller.hung_up().await;
    assert!(said.contains(alert), "{said}");
    assert_eq!(record::since(stage, before), []);
}

#[tokio::test]
async fn a_connection_without_a_certificate_is_hung_up_on() {
    let stage = Stage::sandbox().await;
    hangs_up(&stage, &Caller::nobody(&stage), "CertificateRequired").await;
}

#[tokio::test]
async fn a_name_under_another_ca_is_a_stranger() {
    let stage = Stage::sandbox().await;
    // A CA of another name is unknown; one that took our CA's name signs with another key.
    for (domain, alert) in [
        ("elsewhere.test", "UnknownCA"),
        ("accord.test", "DecryptError"),
    ] {
        let other = Pki::new(domain, now()).unwrap();
        let leaf = other
            .issue("bank", "first-bank", &LeafOptions::at(now()))
            .unwrap();
        hangs_up(&stage, &Caller::with_leaf(&stage, &leaf), alert).await;
        // Nor does it help that the certificate has expired.
        let expired = LeafOptions::at(now()).lifetime(SignedDuration::from_hours(-1));
        let leaf = other.issue("bank", "first-bank", &expired).unwrap();
        hangs_up(&stage, &Caller::with_leaf(&stage, &leaf), "").await;
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_on_its_partys_record() {
    let stage = Stage::sandbox().await;
    let expired = LeafOptions::at(now()).lifetime(SignedDuration::from_hours(-1));
    let leaf = stage
        .files
        .pki()
        .unwrap()
        .issue("bank", "first-bank", &expired)
        .unwrap();
    let before = record::size(&stage);
    let said = Caller::with_leaf(&stage, &leaf).hung_up().await;
    assert!(said.contains("CertificateExpired"), "{said}");
    on_record(&stage, before, "CERTIFICATE_EXPIRED").await;
}

async fn on_record(stage: &Stage, before: u64, reason: &str) {
    record::wait_for(stage, before, reason, |event| {
        matches!(event, Event::RefusedCall(call)
            if call.party == "spiffe://accord.test/bank/first-bank"
                && call.method == "connect"
                && call.reason == reason)
    })
    .await;
}

#[tokio::test]
async fn a_certificate_needs_exactly_one_identity() {
    let stage = Stage::sandbox().await;
    let pki = stage.files.pki().unwrap();
    let good = LeafOptions::at(now());
    let two = good
        .clone()
        .with_second_identity("spiffe://accord.test/bank/second-bank");
    for (options, reason) in [
        (good.without_identity(), "CERTIFICATE_NO_IDENTITY"),
        (two, "CERTIFICATE_TWO_IDENTITIES"),
    ] {
        let leaf = pki.issue("bank", "first-bank", &options).unwrap();
        let caller = Caller::with_leaf(&stage, &leaf);
        let before = record::size(&stage);
        let refused = caller.ask(&stage, question(&north(1))).await.err().unwrap();
        assert_eq!(
            told(&refused),
            (Code::Unauthenticated, reason.to_owned(), None)
        );
        // No party is known, so nobody's record has it.
        assert_eq!(record::since(&stage, before), []);
    }
}

#[tokio::test]
async fn a_certificate_of_another_trust_domain_is_refused() {
    let stage = Stage::sandbox().await;
    let elsewhere = LeafOptions::at(now())
        .without_identity()
        .with_second_identity("spiffe://elsewhere.test/bank/first-bank");
    let leaf = stage
        .files
        .pki()
        .unwrap()
        .issue("bank", "first-bank", &elsewhere)
        .unwrap();
    let caller = Caller::with_leaf(&stage, &leaf);
    let refused = caller.ask(&stage, question(&north(1))).await.err().unwrap();
    let expected = (
        Code::PermissionDenied,
        "CERTIFICATE_WRONG_DOMAIN".to_owned(),
        None,
    );
    assert_eq!(told(&refused), expected);
}

#[tokio::test]
async fn a_revocation_acts_on_an_open_connection_within_a_second() {
    use tokio::time::{Duration, Instant};

    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let bearer = format!("Bearer {}", caller.token(&stage, &caller.claims()));
    let ask = async || caller.lookup(Some(&bearer), question(&north(1))).await;
    ask().await.unwrap();
    let before = record::size(&stage);
    stage.files.revoke("first-bank").unwrap();
    let began = Instant::now();
    let refused = refused_at_last(ask).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(told(&refused).1, "CERTIFICATE_REVOKED", "{refused:?}");
    let recorded = record::refused(&record::since(&stage, before));
    assert!(recorded.iter().any(|(party, _, reason, _)| {
        party == "spiffe://accord.test/bank/first-bank" && reason == "CERTIFICATE_REVOKED"
    }));
    // Nor is there a way back in.
    let before = record::size(&stage);
    let said = Caller::party(&stage, "first-bank").hung_up().await;
    assert!(said.contains("CertificateRevoked"), "{said}");
    on_record(&stage, before, "CERTIFICATE_REVOKED").await;
    // Others are not touched, and a new certificate is a new beginning.
    stage.files.renew("bank", "first-bank").unwrap();
    let renewed = Caller::party(&stage, "first-bank");
    renewed.ask(&stage, question(&north(1))).await.unwrap();
}
