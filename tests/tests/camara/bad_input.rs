//! Input that no client in its right mind sends: over both protocols, and byte by byte over HTTP/1.1.

use accord_tests::world::OPEN_GATEWAY_BANK;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, timeout},
};
use tokio_rustls::client::TlsStream;

use crate::{
    client::connect,
    stage::{Asker, CHECK, Stage, north},
};

/// A debug build on a busy machine may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_body_that_breaks_a_rule_is_refused_over_both_protocols() {
    let stage = Stage::sandbox().await;
    let mut asker = stage.asker().await;
    let number = north(0);
    let quoted = format!("\"phoneNumber\":\"{number}\"");
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{".to_vec(),
        format!("{{{quoted},{quoted}}}").into_bytes(),
        format!("{{{quoted},\"phone\\u004eumber\":\"{number}\"}}").into_bytes(),
        format!("{{{quoted},\"maxage\":24}}").into_bytes(),
        format!("{{{quoted},\"maxAge\":24}} {{}}").into_bytes(),
        format!("{{{quoted},\"maxAge\":{{}}}}").into_bytes(),
        format!("{{{quoted},\"x\":{}1{}}}", "[".repeat(500), "]".repeat(500)).into_bytes(),
        [b"{\"phoneNumber\":\"".as_slice(), b"\xff\xfe", b"\"}"].concat(),
        format!("\u{feff}{{{quoted}}}").into_bytes(),
        format!("{{{quoted}}}{}", " ".repeat(5_000)).into_bytes(),
        vec![b'x'; 1 << 20],
    ];
    for http2 in [true, false] {
        for (at, body) in bodies.iter().enumerate() {
            // Over HTTP/1.1 whoever goes on sending may miss what it is told: see below.
            if body.len() > 1 << 19 && !http2 {
                continue;
            }
            // A connection each: over HTTP/1.1 it ends where a body is not read.
            asker.door = stage.connect(OPEN_GATEWAY_BANK, http2).await;
            let told = asker.ask_with(CHECK, &[], body).await;
            assert_eq!(told.word(), "400 INVALID_ARGUMENT", "{at} {http2}");
            let text = String::from_utf8_lossy(&told.body).into_owned();
            assert!(!text.contains(&number), "{text}");
        }
        asker.door = stage.connect(OPEN_GATEWAY_BANK, http2).await;
        let good = json!({ "phoneNumber": number }).to_string();
        let told = asker.ask_with(CHECK, &[], good.as_bytes()).await;
        assert_eq!(told.status, 200);
    }
}

/// A connection on which bytes are sent as they are.
struct Raw {
    tls: TlsStream<TcpStream>,
    seen: Vec<u8>,
}

impl Raw {
    async fn of(stage: &Stage) -> Self {
        let address = stage.world.broker.camara_address().unwrap();
        let tls = connect(stage.dir.path(), OPEN_GATEWAY_BANK, address, "http/1.1").await;
        Self {
            tls,
            seen: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &str) {
        self.tls.write_all(bytes.as_bytes()).await.unwrap();
        self.tls.flush().await.unwrap();
    }

    /// The statuses of the responses until there are so many, or the broker hangs up.
    async fn statuses(&mut self, wanted: usize) -> Vec<u16> {
        let read = async {
            loop {
                let found = statuses(&self.seen);
                if found.len() >= wanted {
                    return found;
                }
                let mut some = [0; 4096];
                match self.tls.read(&mut some).await {
                    Ok(0) | Err(_) => return found,
                    Ok(len) => self.seen.extend_from_slice(&some[..len]),
                }
            }
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    /// Whether the broker hangs up.
    async fn ends(&mut self) -> bool {
        let read = async {
            let mut some = [0; 4096];
            while self.tls.read(&mut some).await.is_ok_and(|len| len > 0) {}
        };
        timeout(PATIENCE, read).await.is_ok()
    }
}

fn statuses(seen: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(seen);
    text.split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|rest| rest.get(..3)?.parse().ok())
        .collect()
}

fn head(asker: &Asker, more: &str) -> String {
    format!(
        "POST {CHECK} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\n{more}",
        asker.token
    )
}

#[tokio::test]
async fn one_request_is_never_taken_for_two() {
    let stage = Stage::sandbox().await;
    let asker = stage.asker().await;
    let body = json!({ "phoneNumber": north(0) }).to_string();
    let second = head(
        &asker,
        &format!("content-length: {}\r\n\r\n{body}", body.len()),
    );
    for (framing, sent) in [
        // RFC 9112 section 6.1: the length is not to be believed beside chunks. What follows the
        // last chunk must not be answered as a request of its own by anybody who believed it.
        (
            "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n",
            format!("0\r\n\r\n{second}"),
        ),
        (
            "content-length: 5\r\ncontent-length: 6\r\n\r\n",
            second.clone(),
        ),
        ("content-length: +5\r\n\r\n", second.clone()),
        ("transfer-encoding: xchunked\r\n\r\n", second.clone()),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n",
            second.clone(),
        ),
        (
            "transfer-encoding: chunked\r\n\r\n",
            format!("zz\r\n{second}"),
        ),
        ("content-length : 5\r\n\r\n", second.clone()),
    ] {
        let mut raw = Raw::of(&stage).await;
        raw.send(&head(&asker, framing)).await;
        raw.send(&sent).await;
        let found = raw.statuses(2).await;
        assert!(!found.contains(&200), "{framing}: {found:?}");
        assert!(
            found.iter().all(|status| *status == 400),
            "{framing}: {found:?}"
        );
    }
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let stage = Stage::sandbox().await;
    let asker = stage.asker().await;
    let request = |digits: u16| {
        let body = json!({ "phoneNumber": north(digits) }).to_string();
        head(
            &asker,
            &format!("content-length: {}\r\n\r\n{body}", body.len()),
        )
    };
    let mut raw = Raw::of(&stage).await;
    // Quiet, no such subscriber, swapped, suspended, quiet.
    let all: String = [0, 15, 1, 34, 0].into_iter().map(request).collect();
    raw.send(&all).await;
    assert_eq!(raw.statuses(5).await, [200, 404, 200, 403, 200]);
}

#[tokio::test]
async fn a_slow_body_is_given_up_and_its_connection_with_it() {
    let stage = Stage::sandbox().await;
    let asker = stage.asker().await;
    let mut raw = Raw::of(&stage).await;
    raw.send(&head(&asker, "content-length: 100\r\n\r\n{\"phone"))
        .await;
    assert_eq!(raw.statuses(1).await, [400]);
    assert!(raw.ends().await);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_it_comes() {
    let stage = Stage::sandbox().await;
    let asker = stage.asker().await;
    let mut raw = Raw::of(&stage).await;
    raw.send(&head(&asker, "content-length: 1000000000\r\n\r\n"))
        .await;
    assert_eq!(raw.statuses(1).await, [400]);
    assert!(raw.ends().await);
    // Headers have a limit too.
    let mut raw = Raw::of(&stage).await;
    let long = "a".repeat(1 << 20);
    let request = head(&asker, &format!("x-long: {long}\r\n\r\n"));
    // The broker may hang up before all of it is sent.
    let _ = raw.tls.write_all(request.as_bytes()).await;
    let found = raw.statuses(1).await;
    assert!(found.is_empty() || found == [431], "{found:?}");
}
