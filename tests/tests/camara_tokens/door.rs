//! The door as any HTTP client sees it, with any certificate or none.

use std::{net::SocketAddr, path::Path, sync::Arc};

use accord_certs::TokenKey;
use accord_tests::world::client_tls;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, client::conn::http1, header::HeaderMap};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::rig::{id, now};

/// What the door said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The token.
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{:?}", self.body);
        self.body["access_token"].as_str().unwrap().to_owned()
    }

    /// `error`, and the status.
    pub(crate) fn error(&self) -> (u16, &str) {
        let error = self.body["error"].as_str().unwrap_or_default();
        (self.status, error)
    }

    pub(crate) fn description(&self) -> &str {
        self.body["error_description"].as_str().unwrap_or_default()
    }
}

/// A client's end of a connection: its certificate, if any.
#[derive(Clone)]
pub(crate) struct Caller {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Caller {
    /// With the certificate of a party in the folder `pki`, or without one.
    pub(crate) fn new(pki: &Path, address: SocketAddr, party: Option<&str>) -> Self {
        let config = client_tls(pki, party, &[]).unwrap();
        Self {
            config: Arc::new(config),
            address,
        }
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, tcp).await
    }

    /// One request over a connection of its own.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let tls = self.connect().await.unwrap();
        let (mut sender, driving) = http1::handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(async move { drop(driving.await) });
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Response::from_parts(parts, body)
    }

    /// One request, whose answer is JSON.
    pub(crate) async fn call(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Told {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let (parts, body) = self.send(request).await.into_parts();
        Told {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Told {
        self.call(("GET", path), &[], "").await
    }

    /// A form to the token endpoint.
    pub(crate) async fn post(&self, parameters: &[(&str, &str)], headers: &[(&str, &str)]) -> Told {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers: Vec<_> = [kind].into_iter().chain(headers.iter().copied()).collect();
        self.call(("POST", "/oauth2/token"), &headers, &form(parameters))
            .await
    }
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let one = |byte: u8| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02x}"),
        };
        text.bytes().map(one).collect()
    };
    let pairs = parameters.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

/// A key of a client's own, whose possession it proves (DPoP).
pub(crate) struct ProofKey {
    key: EncodingKey,
    jwk: Jwk,
}

impl ProofKey {
    pub(crate) fn new() -> Self {
        let pem = TokenKey::es256().unwrap().private_pem();
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        Self { key, jwk }
    }

    /// RFC 7638, as another library has it.
    pub(crate) fn thumbprint(&self) -> String {
        let sha256 = jsonwebtoken::jwk::ThumbprintHash::SHA256;
        self.jwk.thumbprint(sha256).unwrap()
    }

    /// A good proof for a request, of this token where there is one.
    pub(crate) fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        self.sign(&claims(method, url, token))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.jwk.clone());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

pub(crate) fn claims(method: &str, url: &str, token: Option<&str>) -> Value {
    let mut claims = json!({
        "htm": method, "htu": url, "iat": now().as_second(), "jti": id(),
    });
    if let Some(token) = token {
        let hash = digest(&SHA256, token.as_bytes());
        claims["ath"] = BASE64_URL_SAFE_NO_PAD.encode(hash).into();
    }
    claims
}
