//! Who gets in.

use std::sync::Arc;
use std::time::Duration;

use accord_broker::identity::AcceptLimits;
use accord_certs::{LeafOptions, Pki};
use accord_proto::party::Role;
use jiff::SignedDuration;
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Bench, DOMAIN, start_of_tests, until, who, within};

#[tokio::test]
async fn lets_in_a_party_and_knows_who_it_is() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let answer = who(&mut door.audit(&leaf)).await.unwrap();
    assert_eq!(answer, "spiffe://accord.test/bank/first-bank");

    let (peer, _tls) = door.peer(&leaf).await;
    assert_eq!(peer.party().unwrap().role(), Role::Bank);
    assert_eq!(peer.thumbprint(), leaf.thumbprint());
    assert_eq!(peer.issuer(), "CN=accord.test CA");
    let serial: String = leaf.serial().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(peer.serial(), serial);
    let lifetime = peer.not_after().duration_since(start_of_tests());
    assert_eq!(lifetime, LeafOptions::LIFETIME);
}

#[tokio::test]
async fn refuses_a_client_without_certificate() {
    let door = Bench::new().door().await;
    let told = door.refusal(None).await;
    assert!(told.contains("CertificateRequired"), "{told}");
    assert_eq!(door.last_refused().await.reason, "CERTIFICATE_MISSING");
}

#[tokio::test]
async fn refuses_a_certificate_of_a_stranger() {
    let door = Bench::new().door().await;
    let strangers = Pki::new("other.test", start_of_tests()).unwrap();
    let leaf = strangers
        .issue("bank", "first-bank", &LeafOptions::at(start_of_tests()))
        .unwrap();
    let told = door.refusal(Some(&leaf)).await;
    assert!(told.contains("UnknownCA"), "{told}");
    assert_eq!(door.last_refused().await.reason, "CERTIFICATE_UNTRUSTED");
}

#[tokio::test]
async fn refuses_the_same_name_under_a_second_ca() {
    let door = Bench::new().door().await;
    let twins = Pki::new(DOMAIN, start_of_tests()).unwrap();
    let leaf = twins
        .issue("bank", "first-bank", &LeafOptions::at(start_of_tests()))
        .unwrap();
    door.refusal(Some(&leaf)).await;
    let refused = door.last_refused().await;
    assert_eq!(refused.reason, "CERTIFICATE_UNTRUSTED");
    assert_eq!(refused.claimed.unwrap().org().as_str(), "first-bank");
    assert_eq!(
        door.bench
            .metrics
            .refused_connections("CERTIFICATE_UNTRUSTED"),
        1
    );
}

#[tokio::test]
async fn refuses_a_certificate_that_has_expired() {
    let door = Bench::new().door().await;
    let options = LeafOptions::at(start_of_tests()).lifetime(SignedDuration::from_secs(-1));
    let leaf = door
        .bench
        .pki
        .issue("bank", "first-bank", &options)
        .unwrap();
    let told = door.refusal(Some(&leaf)).await;
    assert!(told.contains("CertificateExpired"), "{told}");
    assert_eq!(door.last_refused().await.reason, "CERTIFICATE_EXPIRED");
}

#[tokio::test]
async fn refuses_a_certificate_that_is_not_valid_yet() {
    let door = Bench::new().door().await;
    let later = start_of_tests() + SignedDuration::from_hours(2);
    let leaf = door
        .bench
        .pki
        .issue("bank", "first-bank", &LeafOptions::at(later))
        .unwrap();
    door.refusal(Some(&leaf)).await;
    let reason = door.last_refused().await.reason;
    assert_eq!(reason, "CERTIFICATE_NOT_YET_VALID");
}

#[tokio::test]
async fn refuses_a_certificate_that_was_revoked() {
    let bench = Bench::new();
    let leaf = bench.bank("first-bank");
    let other = bench.bank("second-bank");
    bench.revoke(&[&leaf]);
    let door = bench.door().await;
    let told = door.refusal(Some(&leaf)).await;
    assert!(told.contains("CertificateRevoked"), "{told}");
    assert_eq!(door.last_refused().await.reason, "CERTIFICATE_REVOKED");
    who(&mut door.audit(&other)).await.unwrap();
}

#[tokio::test]
async fn refuses_everybody_when_the_revocation_list_has_expired() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    door.bench.clock.step(SignedDuration::from_hours(25));
    door.refusal(Some(&leaf)).await;
    assert_eq!(door.last_refused().await.reason, "REVOCATION_LIST_EXPIRED");
}

#[tokio::test]
async fn refuses_each_call_of_a_certificate_without_exactly_one_identity() {
    let door = Bench::new().door().await;
    let options = LeafOptions::at(start_of_tests());
    let second = options
        .clone()
        .with_second_identity("spiffe://accord.test/bank/second-bank");
    let foreign = options
        .clone()
        .without_identity()
        .with_second_identity("spiffe://other.test/bank/first-bank");
    let odd = options
        .clone()
        .without_identity()
        .with_second_identity("https://first-bank.test/");
    for (options, reason) in [
        (options.without_identity(), "CERTIFICATE_NO_IDENTITY"),
        (second, "CERTIFICATE_TWO_IDENTITIES"),
        (foreign, "CERTIFICATE_WRONG_DOMAIN"),
        (odd, "CERTIFICATE_MALFORMED_IDENTITY"),
    ] {
        let leaf = door
            .bench
            .pki
            .issue("bank", "first-bank", &options)
            .unwrap();
        let status = who(&mut door.audit(&leaf)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert_eq!(status.message(), reason);
        assert_eq!(door.bench.metrics.refused_connections(reason), 1);
    }
}

#[tokio::test]
async fn refuses_tls_1_2() {
    let door = Bench::new().door().await;
    let mut tcp = TcpStream::connect(door.address).await.unwrap();
    tcp.write_all(&client_hello_of_tls_1_2()).await.unwrap();
    let mut answer = Vec::new();
    within(tcp.read_to_end(&mut answer)).await.unwrap();
    // A record of type alert (21), fatal (2), protocol_version (70): RFC 8446 section 6.2.
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]));
    assert_eq!(door.last_refused().await.reason, "HANDSHAKE_FAILED");
}

/// A client hello (RFC 5246 section 7.4.1.2) that offers nothing newer than TLS 1.2.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let extensions = [
        // signature_algorithms: ecdsa_secp256r1_sha256.
        &[0, 13, 0, 4, 0, 2, 4, 3][..],
        // supported_groups: secp256r1.
        &[0, 10, 0, 4, 0, 2, 0, 23],
        // ec_point_formats: uncompressed.
        &[0, 11, 0, 2, 1, 0],
        // extended_master_secret.
        &[0, 23, 0, 0],
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session; TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; no compression.
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let len = u8::try_from(body.len()).unwrap();
    let mut hello = vec![22, 3, 1, 0, len + 4, 1, 0, 0, len];
    hello.extend(body);
    hello
}

#[tokio::test]
async fn never_resumes_a_session() {
    let door = Bench::new().door().await;
    let leaf = door.bench.bank("first-bank");
    let config = Arc::new(door.client(Some(&leaf)));
    for _ in 0..2 {
        let mut tls = door.connect(&config).await;
        // The first read takes in whatever the broker sends after the handshake.
        let mut first = [0; 1];
        within(tls.read(&mut first)).await.unwrap();
        let (_, session) = tls.get_ref();
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn hangs_up_on_a_client_that_never_speaks() {
    let limits = AcceptLimits {
        handshake_deadline: Duration::from_millis(50),
        ..AcceptLimits::default()
    };
    let door = Bench::new().door_with(limits, 64).await;
    let mut tcp = TcpStream::connect(door.address).await.unwrap();
    let mut answer = Vec::new();
    within(tcp.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(door.last_refused().await.reason, "HANDSHAKE_TIMEOUT");
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let limits = AcceptLimits {
        // None of them ends by itself while the test runs.
        handshake_deadline: Duration::from_mins(10),
        ..AcceptLimits::default()
    };
    let door = Bench::new().door_with(limits, 64).await;
    let mut silent = Vec::new();
    for _ in 0..limits.handshakes_max + 16 {
        silent.push(TcpStream::connect(door.address).await.unwrap());
    }
    let leaf = door.bench.bank("first-bank");
    who(&mut door.audit(&leaf)).await.unwrap();
    // Those beyond the limit gave way to each other, and one more to the bank: the oldest.
    for tcp in silent.iter_mut().take(17) {
        let mut answer = Vec::new();
        within(tcp.read_to_end(&mut answer)).await.unwrap();
    }
    let refused = |reason| door.bench.metrics.refused_connections(reason);
    assert_eq!(refused("HANDSHAKE_GAVE_WAY"), 17);
    assert_eq!(refused("ADDRESS_HANDSHAKES_MAX"), 0);
}

#[tokio::test]
async fn who_stops_in_the_middle_keeps_out_nobody_from_elsewhere() {
    let limits = AcceptLimits {
        handshakes_max: 8,
        handshake_deadline: Duration::from_mins(10),
        ..AcceptLimits::default()
    };
    let door = Bench::new().door_with(limits, 64).await;
    let mut stalled = Vec::new();
    // While the door still waits for a byte, its sender gives way; so until all of them have spoken.
    within(async {
        while door
            .bench
            .metrics
            .refused_connections("ADDRESS_HANDSHAKES_MAX")
            == 0
        {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut tcp = socket.connect(door.address).await.unwrap();
            // The first byte of a TLS record; it is hung up on, or not.
            let _ = tcp.write_all(&[22]).await;
            stalled.push(tcp);
        }
    })
    .await;
    let leaf = door.bench.bank("first-bank");
    who(&mut door.audit(&leaf)).await.unwrap();
}

#[tokio::test]
async fn a_party_cannot_take_all_connections() {
    let door = Bench::new().door_with(AcceptLimits::default(), 1).await;
    let leaf = door.bench.bank("first-bank");
    let (_, first) = door.peer(&leaf).await;
    door.refusal(Some(&leaf)).await;
    let refused = door.last_refused().await;
    assert_eq!(refused.reason, "PARTY_CONNECTIONS_MAX");

    let other = door.bench.bank("second-bank");
    who(&mut door.audit(&other)).await.unwrap();
    drop(first);
    until(|| door.bench.metrics.open_connections() == 0).await;
    who(&mut door.audit(&leaf)).await.unwrap();
}

#[tokio::test]
async fn hangs_up_when_all_connections_are_taken() {
    let limits = AcceptLimits {
        connections_max: 1,
        ..AcceptLimits::default()
    };
    let door = Bench::new().door_with(limits, 64).await;
    let leaf = door.bench.bank("first-bank");
    let (_, _first) = door.peer(&leaf).await;
    let mut tcp = TcpStream::connect(door.address).await.unwrap();
    let mut answer = Vec::new();
    within(tcp.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(door.last_refused().await.reason, "CONNECTIONS_MAX");
}
