//! Files that change while the broker runs.

use std::sync::Arc;

use accord_broker::identity::{Reload, TrustError};
use accord_certs::{LeafOptions, Pki};
use jiff::SignedDuration;

use crate::support::{Bench, DOMAIN, start_of_tests, until, who};

#[tokio::test]
async fn serves_with_a_new_certificate_without_a_restart() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let config = Arc::new(door.client(Some(&leaf)));
    let shown = |tls: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>| {
        tls.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let before = shown(&door.connect(&config).await);
    assert_eq!(before, *door.bench.broker.certificate_der());

    let next = door.bench.pki.issue(
        "broker",
        "broker",
        &LeafOptions::at(start_of_tests()).lifetime(SignedDuration::from_hours(48)),
    );
    let next = next.unwrap();
    door.bench.replace_broker(&next);
    until(|| door.trust.generation() == 2).await;
    let after = shown(&door.connect(&config).await);
    assert_eq!(after, *next.certificate_der());
    let expires = door.trust.status().certificate_expires;
    assert_eq!(
        expires.duration_since(start_of_tests()),
        SignedDuration::from_hours(48)
    );
    who(&mut door.audit(&leaf)).await.unwrap();
}

#[test]
fn files_written_again_with_the_same_content_are_nothing_new() {
    let bench = Bench::new();
    let trust = bench.trust();
    assert_eq!(trust.reload().unwrap(), Reload::Unchanged);
    bench.replace_broker(&bench.broker);
    assert_eq!(trust.reload().unwrap(), Reload::Unchanged);
    assert_eq!(trust.generation(), 1);
}

#[test]
fn a_bad_new_file_keeps_the_old_one_and_is_counted_once() {
    let bench = Bench::new();
    let trust = bench.trust();
    let now = start_of_tests();
    let hour = SignedDuration::from_hours(1);
    let twins = Pki::new(DOMAIN, now).unwrap();
    let forged = twins.crl(&[], now, now + hour).unwrap();
    let expired = bench.pki.crl(&[], now - hour, now).unwrap();
    let strangers = Pki::new("other.test", now).unwrap();
    let uncovering = strangers.crl(&[], now, now + hour).unwrap();
    let good = bench.pki.crl(&[], now, now + hour * 24).unwrap();
    for (count, (bad, expected)) in (1..).zip([
        ("", "holds no revocation list"),
        ("-----BEGIN X509 CRL-----\nAA\n", "malformed"),
        (&forged, "not signed by the CA"),
        (&expired, "has expired"),
        (&uncovering, "no revocation list covers the CA"),
    ]) {
        bench.write("crl.pem", bad);
        let error = trust.reload().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(trust.reload().unwrap(), Reload::Unchanged);
        assert_eq!(bench.metrics.failed_reloads(), count);
        assert_eq!(trust.generation(), 1);
    }
    bench.write("crl.pem", &good);
    assert_eq!(trust.reload().unwrap(), Reload::Loaded);
}

#[test]
fn a_certificate_without_its_key_waits_for_it() {
    let bench = Bench::new();
    let trust = bench.trust();
    let next = bench
        .pki
        .issue("broker", "broker", &LeafOptions::at(start_of_tests()))
        .unwrap();
    bench.write("broker.pem", next.certificate_pem());
    assert!(matches!(trust.reload(), Err(TrustError::KeyPair { .. })));
    bench.write("broker.key", next.key_pem());
    assert_eq!(trust.reload().unwrap(), Reload::Loaded);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let bench = Bench::new();
    let mut files = bench.files();
    files.client_roots = files.client_roots.with_file_name("none.pem");
    let error = bench.open(files).unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
}

#[test]
fn a_broker_starts_with_an_expired_list() {
    let bench = Bench::new();
    let hour = SignedDuration::from_hours(1);
    let now = start_of_tests();
    bench.write(
        "crl.pem",
        &bench.pki.crl(&[], now - hour * 2, now - hour).unwrap(),
    );
    assert_eq!(bench.trust().status().lists_expire, now - hour);
}

#[test]
fn without_any_revocation_list_nothing_is_loaded() {
    let bench = Bench::new();
    let mut files = bench.files();
    files.revocation_lists.clear();
    let error = bench.open(files).unwrap_err();
    assert!(matches!(error, TrustError::ListMissing(_)), "{error}");
}
