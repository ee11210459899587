//! What becomes of a connection whose certificate is no longer trusted.

use accord_certs::{Leaf, LeafOptions};
use accord_proto::v1;
use jiff::SignedDuration;
use tokio::io::AsyncReadExt as _;

use crate::support::{Bench, Door, start_of_tests, until, who, within};

/// Runs a stream over one connection, does something to the certificate, and returns why the
/// stream ended.
async fn end_of_stream(door: &Door, leaf: &Leaf, spoil: impl FnOnce()) -> String {
    let mut client = door.audit(leaf);
    let mut lines = within(client.tail(v1::TailRequest::default()))
        .await
        .unwrap()
        .into_inner();
    within(lines.message()).await.unwrap().unwrap();
    spoil();
    loop {
        match within(lines.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => return status.message().to_owned(),
        }
    }
}

#[tokio::test]
async fn a_revocation_ends_running_streams_and_says_so() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let why = end_of_stream(&door, &leaf, || door.bench.revoke(&[&leaf])).await;
    assert_eq!(why, "CERTIFICATE_REVOKED");
    until(|| door.bench.metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn a_revocation_refuses_calls_on_an_open_connection_and_closes_it() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let (peer, mut tls) = door.peer(&leaf).await;
    let other = door.bench.bank("second-bank");
    let (other, _other_tls) = door.peer(&other).await;
    let now = start_of_tests();
    peer.check(&door.trust, now).unwrap();

    door.bench.revoke(&[&leaf]);
    until(|| peer.check(&door.trust, now).is_err()).await;
    let error = peer.check(&door.trust, now).unwrap_err();
    assert_eq!(error.reason(), "CERTIFICATE_REVOKED");
    let mut rest = Vec::new();
    // However the broker hangs up, nothing more comes.
    let _ = within(tls.read_to_end(&mut rest)).await;
    until(|| door.bench.metrics.open_connections() == 1).await;
    other.check(&door.trust, now).unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_the_certificate_expires() {
    let door = Bench::new().door().await;
    let options = LeafOptions::at(start_of_tests()).lifetime(SignedDuration::from_hours(1));
    let leaf = door
        .bench
        .pki
        .issue("bank", "first-bank", &options)
        .unwrap();
    let clock = door.bench.clock.clone();
    let why = end_of_stream(&door, &leaf, || clock.step(SignedDuration::from_hours(2))).await;
    assert_eq!(why, "CERTIFICATE_EXPIRED");
}

#[tokio::test]
async fn a_stream_ends_when_the_revocation_list_expires() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let clock = door.bench.clock.clone();
    let why = end_of_stream(&door, &leaf, || clock.step(SignedDuration::from_hours(25))).await;
    assert_eq!(why, "REVOCATION_LIST_EXPIRED");
}

#[tokio::test]
async fn a_stream_ends_when_its_ca_is_no_longer_trusted() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let next = accord_certs::Pki::new("next.test", start_of_tests()).unwrap();
    let now = start_of_tests();
    let list = next.crl(&[], now, now + SignedDuration::from_hours(1));
    let list = list.unwrap();
    let why = end_of_stream(&door, &leaf, || {
        door.bench.write("crl.pem", &list);
        door.bench.write("roots.pem", next.certificate_pem());
    })
    .await;
    assert_eq!(why, "CERTIFICATE_UNTRUSTED");
}

#[tokio::test]
async fn a_revocation_of_one_leaves_the_connections_of_others() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let mut other = door.audit(&door.bench.bank("second-bank"));
    who(&mut other).await.unwrap();
    let _ = end_of_stream(&door, &leaf, || door.bench.revoke(&[&leaf])).await;
    until(|| door.bench.metrics.open_connections() == 1).await;
    who(&mut other).await.unwrap();
}
