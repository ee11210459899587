//! What the load generator sends: questions as a client of CAMARA asks them, and assertions.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http2,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::{Algorithm, Header, encode};
use serde_json::{Value, json};

use super::{
    super::{
        BenchError,
        questions::{PREFIX, Tokens, fresh_id},
        rig::{CLIENT, Rig},
    },
    http::Make,
};

/// Asked of the authorisation server.
const SCOPE: &str = "dpv:FraudPreventionAndDetection sim-swap:check";
/// How an assertion authenticates a client (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// For how long an assertion is good.
const ASSERTION_LIFE_S: i64 = 300;

/// Requests of one client with one token.
pub(super) struct Requests {
    url: String,
    bearer: String,
}

impl Requests {
    /// With a token that was just issued.
    pub(super) async fn new(rig: &Rig) -> Result<Self, BenchError> {
        let url = rig.camara_url();
        let request = issue(&url, &assertion(&rig.tokens, &url)?);
        let io = TokioIo::new(rig.dialler.stream(rig.camara(), b"h2").await?);
        let failed = |why: &str| BenchError::Answer {
            what: "the token endpoint",
            why: why.to_owned(),
        };
        let shaken = http2::handshake(TokioExecutor::new(), io).await;
        let (mut client, connection) = shaken.map_err(|error| failed(&error.to_string()))?;
        tokio::spawn(connection);
        let response = client.send_request(request).await;
        let response = response.map_err(|error| failed(&error.to_string()))?;
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| failed(&error.to_string()))?;
        let answer: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| failed(&answer.to_string()))?;
        Ok(Self {
            url,
            bearer: format!("Bearer {token}"),
        })
    }

    /// Whether the SIM of each of so many numbers changed within three days.
    pub(super) fn check(&self, numbers: u64) -> Make {
        let (url, bearer) = (
            format!("{}/sim-swap/v2/check", self.url),
            self.bearer.clone(),
        );
        Arc::new(move |at| {
            let number = at % numbers;
            let body = format!(r#"{{"phoneNumber":"{PREFIX}{number:07}","maxAge":72}}"#);
            let request = Request::post(&url)
                .header(HOST, "localhost")
                .header(AUTHORIZATION, &bearer)
                .header(CONTENT_TYPE, "application/json");
            whole(request, body)
        })
    }

    /// So many requests for tokens, each with an assertion of its own, signed now.
    pub(super) fn issuing(rig: &Rig, count: u64) -> Result<Make, BenchError> {
        let url = rig.camara_url();
        let assertions = (0..count).map(|_| assertion(&rig.tokens, &url));
        let assertions = assertions.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(move |at| {
            let at = usize::try_from(at).unwrap_or_default();
            let assertion = assertions.get(at).map_or("", String::as_str);
            issue(&url, assertion)
        }))
    }
}

fn issue(url: &str, assertion: &str) -> Request<Full<Bytes>> {
    let scope = SCOPE.replace(' ', "+").replace(':', "%3A");
    let kind = ASSERTION_TYPE.replace(':', "%3A");
    let body = format!(
        "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}\
         &scope={scope}"
    );
    let request = Request::post(format!("{url}/oauth2/token"))
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    whole(request, body)
}

/// What is built here of constants and tokens is always a request.
fn whole(request: http::request::Builder, body: String) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(body));
    request.body(body).unwrap_or_default()
}

fn assertion(tokens: &Tokens, url: &str) -> Result<String, BenchError> {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(tokens.kid().to_owned());
    let iat = tokens.now();
    let claims = json!({
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": format!("{url}/oauth2/token"),
        "iat": iat,
        "exp": iat + ASSERTION_LIFE_S,
        "jti": format!("{:032x}", fresh_id()),
    });
    Ok(encode(&header, &claims, tokens.key())?)
}
