//! The tiles' door, as any HTTP client sees it.

use std::sync::Arc;

use accord_proto::v1::entry::Event;
use accord_tests::world::client_tls;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http2, header::HeaderMap};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::rig::Rig;

async fn connect(rig: &Rig, party: &str, protocol: &[u8]) -> TlsStream<TcpStream> {
    let pki = rig.world.files.dir().join("pki");
    let config = client_tls(&pki, Some(party), &[protocol]).unwrap();
    let address = rig.world.broker.tiles_address().unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await.unwrap()
}

type Told = (StatusCode, HeaderMap, Bytes);

/// One HTTP/2 connection.
struct Client(http2::SendRequest<Empty<Bytes>>);

impl Client {
    async fn of(rig: &Rig, party: &str) -> Self {
        let tls = connect(rig, party, b"h2").await;
        let (sender, driving) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
            .await
            .unwrap();
        tokio::spawn(async move { drop(driving.await) });
        Self(sender)
    }

    async fn get(&mut self, path: &str) -> Told {
        self.call("GET", path, &[]).await
    }

    async fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Told {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, body)
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn every_party_gets_checkpoints_and_hashes_and_nothing_beyond() {
    let rig = Rig::new().await;
    rig.grow(600).await;
    let origin = rig.world.broker.ledger().origin();
    let mut bank = Client::of(&rig, "first-bank").await;
    let (status, headers, body) = bank.get("/logs").await;
    assert_eq!(
        (status, &body[..]),
        (StatusCode::OK, format!("{origin}\n").as_bytes())
    );
    assert_eq!(header(&headers, "cache-control"), "no-store");
    let (status, headers, body) = bank.get(&format!("/{origin}/checkpoint")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        header(&headers, "content-type"),
        "text/plain; charset=utf-8"
    );
    assert!(body.starts_with(format!("{origin}\n").as_bytes()));
    let (status, headers, body) = bank.get(&format!("/{origin}/tile/0/001")).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 8_192));
    assert_eq!(header(&headers, "content-type"), "application/octet-stream");
    assert!(header(&headers, "cache-control").contains("immutable"));
    // A part of a tile that is full by now, and one that is not full yet.
    for (path, len) in [
        ("tile/0/001.p/7", 7),
        ("tile/0/002.p/80", 80),
        ("tile/1/000.p/2", 2),
    ] {
        let (status, headers, body) = bank.get(&format!("/{origin}/{path}")).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 32 * len), "{path}");
        assert!(
            !header(&headers, "cache-control").contains("immutable"),
            "{path}"
        );
    }
    for (path, expected, reason) in [
        ("tile/0/002", 404, "NOT_FOUND"),
        ("tile/0/003.p/1", 404, "NOT_FOUND"),
        ("tile/1/000", 404, "NOT_FOUND"),
        ("tile/63/000", 404, "NOT_FOUND"),
        ("tile/0/2", 400, "MALFORMED_FIELD"),
        ("tile/0/001.p/256", 400, "MALFORMED_FIELD"),
        ("tile/0/../../../ledger.key", 400, "MALFORMED_FIELD"),
        ("tile/entries/000", 403, "NO_MIRROR"),
        ("00000000000000000000.segment", 404, "NOT_FOUND"),
        ("checkpoint?x=1", 404, "NOT_FOUND"),
    ] {
        let (status, headers, body) = bank.get(&format!("/{origin}/{path}")).await;
        assert_eq!(status.as_u16(), expected, "{path}");
        assert_eq!(header(&headers, "accord-reason"), reason, "{path}");
        assert!(body.ends_with(b"\n") && body.len() > 10, "{path}");
    }
    let (status, ..) = bank.get("/accord-sandbox/1999-01/checkpoint").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, headers, _) = bank.call("POST", "/logs", &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&headers, "allow"), "GET");
    let long = "x".repeat(20_000);
    let (status, ..) = bank.call("GET", "/logs", &[("x-long", &long)]).await;
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn entries_are_for_those_with_a_grant_who_state_what_for() {
    let rig = Rig::new().await;
    rig.grow(300).await;
    let origin = rig.world.broker.ledger().origin();
    let bundle = format!("/{origin}/tile/entries/000");
    let mut authority = Client::of(&rig, "central-bank").await;
    let today = rig.world.files.spec().clock.now();
    let today = today.to_zoned(jiff::tz::TimeZone::UTC).date();
    let statement = rig.world.profile().statement(today).unwrap().to_wire();
    let stated =
        |wire: &accord_proto::v1::ReadStatement| BASE64_STANDARD.encode(wire.encode_to_vec());
    let mut late = statement.clone();
    late.needed_by = "2020-01-01".to_owned();
    let mut numbered = statement.clone();
    numbered.description = "what about +447700900001".to_owned();
    for (value, named) in [
        (None, "statement"),
        (Some("not base64!".to_owned()), "is base64"),
        (Some("aGVsbG8=".to_owned()), "ReadStatement"),
        (Some(stated(&late)), "statement.needed_by"),
        (Some(stated(&numbered)), "statement.description"),
    ] {
        let headers: Vec<_> = value
            .iter()
            .map(|value| ("accord-read-statement", value.as_str()))
            .collect();
        let (status, headers, body) = authority.call("GET", &bundle, &headers).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{named}");
        assert_eq!(header(&headers, "accord-reason"), "MALFORMED_FIELD");
        assert!(
            String::from_utf8_lossy(&body).contains(named),
            "{named}: {body:?}"
        );
    }
    let reads = || {
        let events = rig.events().into_iter();
        let reads = events.filter(|event| matches!(event, Event::AuditRead(_)));
        reads.count()
    };
    let good = stated(&statement);
    let good = [("accord-read-statement", good.as_str())];
    // What is not shown yet is not there, and was not read.
    for beyond in ["009", "001.p/200"] {
        let beyond = format!("/{origin}/tile/entries/{beyond}");
        let (status, ..) = authority.call("GET", &beyond, &good).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{beyond}");
    }
    assert_eq!(reads(), 0);
    for _ in 0..3 {
        let (status, headers, body) = authority.call("GET", &bundle, &good).await;
        assert_eq!(status, StatusCode::OK);
        assert!(header(&headers, "cache-control").contains("immutable"));
        let entries: Result<Vec<_>, _> = accord_proto::c2sp::BundleEntries::new(&body).collect();
        assert_eq!(entries.unwrap().len(), 256);
    }
    assert_eq!(reads(), 1);
    // Another connection is another reading.
    let mut again = Client::of(&rig, "central-bank").await;
    let (status, ..) = again.call("GET", &bundle, &good).await;
    assert_eq!((status, reads()), (StatusCode::OK, 2));
}

#[tokio::test]
async fn a_grant_that_is_taken_back_acts_on_an_open_connection() {
    let rig = Rig::new().await;
    rig.grow(300).await;
    let at = rig.dir.path().join("mirror");
    let mut mirror = rig.mirror(&at).await;
    let files = &rig.world.files;
    let text = files.next_agreement_text().unwrap();
    let central = "    \"spiffe://accord.test/authority/central-bank\",\n";
    assert!(text.contains(central));
    files.resign_agreement(&text.replace(central, "")).unwrap();
    accord_tests::world::wait_until("the grant to end", || async {
        let signed = rig.events().into_iter().filter_map(|event| match event {
            Event::DocumentLoaded(loaded) if loaded.kind == "agreement" => Some(loaded.version),
            _ => None,
        });
        signed.max() > Some(1)
    })
    .await
    .unwrap();
    rig.grow(10).await;
    let error = mirror.round(&|_| ()).await.unwrap_err();
    assert!(error.to_string().contains("NO_MIRROR"), "{error}");
}

#[tokio::test]
async fn http_1_is_spoken_with_those_who_know_nothing_else() {
    let rig = Rig::new().await;
    let origin = rig.world.broker.ledger().origin();
    let mut tls = connect(&rig, "sud-mobile", b"http/1.1").await;
    let ask = |path: &str, close: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {close}\r\n\r\n")
    };
    let both = ask("/logs", "keep-alive") + &ask(&format!("/{origin}/checkpoint"), "close");
    tls.write_all(both.as_bytes()).await.unwrap();
    let mut told = String::new();
    tls.read_to_string(&mut told).await.unwrap();
    assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 2, "{told}");
    let mut tls = connect(&rig, "sud-mobile", b"http/1.1").await;
    let long = format!(
        "GET /logs HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    // It may be hung up on before all of it is sent.
    let _ = tls.write_all(long.as_bytes()).await;
    let mut told = vec![0; 64];
    let len = tls.read(&mut told).await.unwrap();
    let told = String::from_utf8_lossy(&told[..len]);
    assert!(told.starts_with("HTTP/1.1 431"), "{told}");
}

#[tokio::test]
async fn a_party_that_asks_too_fast_is_told_to_wait() {
    let spec = accord_tests::world::WorldSpec::default().limit("tiles_per_second", 2);
    let rig = Rig::of(&spec).await;
    let mut bank = Client::of(&rig, "first-bank").await;
    let mut refused = None;
    for _ in 0..10 {
        let (status, headers, _) = bank.get("/logs").await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(headers);
        }
    }
    let headers = refused.unwrap();
    assert_eq!(header(&headers, "retry-after"), "1");
    assert_eq!(header(&headers, "accord-reason"), "RATE_LIMITED");
    // A mirror waits and goes on.
    let mirror = rig.mirror(&rig.dir.path().join("mirror")).await;
    assert!(mirror.held().count() == 1);
}
