//! An HTTPS client without manners, and tokens for it.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use accord_proto::clock::SharedClock;
use accord_tests::world::client_tls;
use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::{http1, http2},
    header::HeaderMap,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::ToSpan as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::ServerName;
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What the door answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Told {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// `400 INVALID_ARGUMENT`, or `200`.
    pub(crate) fn word(&self) -> String {
        match self.status {
            200 => "200".to_owned(),
            status => format!("{status} {}", self.json()["code"].as_str().unwrap()),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The bytes of an RFC 8941 byte sequence.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.header(name);
        let inner = text
            .strip_prefix(':')
            .and_then(|text| text.strip_suffix(':'));
        BASE64_STANDARD.decode(inner.unwrap()).unwrap()
    }
}

/// A TLS connection with a party's certificate.
pub(crate) async fn connect(
    dir: &Path,
    party: &str,
    address: SocketAddr,
    protocol: &str,
) -> TlsStream<TcpStream> {
    let protocols = [protocol.as_bytes()];
    let config = client_tls(&dir.join("pki"), Some(party), &protocols).unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await.unwrap()
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// One connection.
pub(crate) struct Connection {
    sender: Sender,
    authority: String,
}

impl Connection {
    pub(crate) async fn new(dir: &Path, party: &str, address: SocketAddr, http2: bool) -> Self {
        let protocol = if http2 { "h2" } else { "http/1.1" };
        let io = TokioIo::new(connect(dir, party, address, protocol).await);
        let sender = if http2 {
            let (sender, driving) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(async move { drop(driving.await) });
            Sender::Http2(sender)
        } else {
            let (sender, driving) = http1::handshake(io).await.unwrap();
            tokio::spawn(async move { drop(driving.await) });
            Sender::Http1(sender)
        };
        Self {
            sender,
            authority: format!("localhost:{}", address.port()),
        }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Told {
        let uri = match self.sender {
            Sender::Http1(_) => path.to_owned(),
            Sender::Http2(_) => format!("https://{}{path}", self.authority),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if let Sender::Http1(_) = self.sender {
            request = request.header("host", &self.authority);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        let request = request.body(body).unwrap();
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await
            }
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let (parts, body) = response.unwrap().into_parts();
        Told {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

/// Who asks for tokens, and how it signs.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) kid: String,
    pub(crate) key_file: std::path::PathBuf,
    /// The issuer's URL.
    pub(crate) url: String,
    pub(crate) clock: SharedClock,
}

const FRAUD: &str = "dpv:FraudPreventionAndDetection";

impl Client {
    /// A token about nobody in particular (RFC 6749 section 4.4).
    pub(crate) async fn two_legged(&self, door: &mut Connection, scopes: &str) -> String {
        let assertion = self.assertion(&self.id, None);
        let form = form(&[
            ("grant_type", "client_credentials"),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", &assertion),
            ("scope", &format!("{FRAUD} {scopes}")),
        ]);
        token(door, form).await
    }

    /// A token about one number (RFC 7523 section 2.1).
    pub(crate) async fn three_legged(
        &self,
        door: &mut Connection,
        number: &str,
        scopes: &str,
    ) -> String {
        let scope = format!("{FRAUD} {scopes}");
        let assertion = self.assertion(&format!("tel:{number}"), Some(&scope));
        let form = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ]);
        token(door, form).await
    }

    fn assertion(&self, subject: &str, scope: Option<&str>) -> String {
        let now = self.clock.now();
        let mut jti = [0; 16];
        rand::fill(&mut jti).unwrap();
        let mut claims = json!({
            "iss": self.id,
            "sub": subject,
            "aud": format!("{}/oauth2/token", self.url),
            "iat": now.as_second(),
            "exp": (now + 120.seconds()).as_second(),
            "jti": format!("{:032x}", u128::from_be_bytes(jti)),
        });
        if let Some(scope) = scope {
            claims["scope"] = scope.into();
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        let pem = fs::read(&self.key_file).unwrap();
        let key = EncodingKey::from_ec_pem(&pem).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }
}

async fn token(door: &mut Connection, form: String) -> String {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let told = door
        .send("POST", "/oauth2/token", &headers, form.as_bytes())
        .await;
    assert_eq!(told.status, StatusCode::OK.as_u16(), "{told:?}");
    told.json()["access_token"].as_str().unwrap().to_owned()
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}
