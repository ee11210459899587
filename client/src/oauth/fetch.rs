//! Asking the authorisation server for a token, with the client's certificate.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Method, Request, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{AssertionError, AssertionMaker, ProofError, ProofKey, ProvenRequest};
use crate::{
    connect::{connect, tls_config},
    identity::{Endpoints, Identity, Roots},
    unreached,
};
use accord_proto::{camara::Requested, msisdn::Msisdn, oauth::encode_form, secret::Secret};

/// How long a request may take, the connection included.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Characters of the server's words.
const WORDS_CHARS_MAX: usize = 600;
const DISCOVERY_PATH: &str = "/.well-known/oauth-authorization-server";
const RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Why there is no token. No text repeats an assertion, a token or a number.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or one that broke.
    #[error("no answer from {endpoint}: {why}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What happened, in one line.
        why: String,
    },
    /// TLS can't be set up with this certificate and key.
    #[error("the certificate and its key can't be used")]
    Tls(#[from] rustls::Error),
    /// Tokens come from elsewhere.
    #[error("tokens for this broker come from another server, `{issuer}`: ask there")]
    OtherServer {
        /// Its issuer.
        issuer: String,
    },
    /// The server said no (RFC 6749 section 5.2).
    #[error("no token: {error} ({description})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The stable word.
        error: String,
        /// In words.
        description: String,
    },
    /// An answer that can't be one.
    #[error("what {endpoint} answered is no answer of an authorisation server (HTTP {status})")]
    Answer {
        /// Where.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// No assertion.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    /// No proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// A token, and what it is good for.
#[derive(Deserialize)]
pub struct IssuedToken {
    #[serde(rename = "access_token")]
    token: String,
    /// `Bearer`, or `DPoP`.
    pub token_type: String,
    /// For how many seconds it is good.
    pub expires_in: u32,
    /// What it grants.
    pub scope: String,
}

impl IssuedToken {
    /// The token itself: whoever holds it and what it is bound to may ask.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// RFC 8414 section 2.
#[derive(Deserialize)]
struct Discovery {
    token_endpoint: String,
}

/// RFC 9728 section 2.
#[derive(Deserialize)]
struct Resource {
    authorization_servers: Vec<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// What a token is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Purpose and scopes.
    pub(crate) requested: &'a Requested,
    /// The one number that it is about.
    pub(crate) number: Option<&'a Msisdn>,
    /// The key that it is bound to, beside the certificate.
    pub(crate) key: Option<&'a ProofKey>,
}

/// An authorisation server, and as whom it is asked.
pub(crate) struct TokenServer {
    uri: Uri,
    server_name: ServerName<'static>,
    tls: TlsConnector,
}

impl TokenServer {
    /// Nothing is sent yet. Only the first of the endpoints is asked.
    pub(crate) fn new(
        endpoints: Endpoints,
        roots: Roots,
        identity: Option<Identity>,
    ) -> Result<Self, FetchError> {
        Ok(Self {
            uri: endpoints.uris.into_iter().next().unwrap_or_default(),
            server_name: endpoints.server_name,
            tls: TlsConnector::from(Arc::new(tls_config(roots, identity)?)),
        })
    }

    /// Asks for a token: for any number, or for one.
    pub(crate) async fn token(
        &self,
        maker: &AssertionMaker,
        asked: Asked<'_>,
        now: Timestamp,
    ) -> Result<IssuedToken, FetchError> {
        let Asked {
            requested,
            number,
            key,
        } = asked;
        let discovery = self.discover().await?;
        let endpoint: Uri = discovery.token_endpoint.parse().unwrap_or_default();
        let form = match number {
            None => {
                let assertion = maker.client_assertion(&discovery.token_endpoint)?;
                let scope = requested.to_string();
                form(&[
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", assertion.expose()),
                    ("scope", &scope),
                ])
            }
            Some(number) => {
                let endpoint = &discovery.token_endpoint;
                let assertion = maker.grant_assertion(endpoint, number, requested)?;
                form(&[
                    ("grant_type", JWT_BEARER),
                    ("assertion", assertion.expose()),
                ])
            }
        };
        let request = ProvenRequest {
            method: Method::POST,
            url: discovery.token_endpoint,
        };
        let proof = key.map(|key| key.prove(&request, None, now)).transpose()?;
        let post = self.send(Method::POST, endpoint.path(), form, proof);
        let (status, body) = post.await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|_| self.odd(status));
        }
        let refused: Refused = serde_json::from_slice(&body).map_err(|_| self.odd(status))?;
        Err(FetchError::Refused {
            status: status.as_u16(),
            error: plain(&refused.error),
            description: plain(&refused.error_description),
        })
    }

    async fn discover(&self) -> Result<Discovery, FetchError> {
        let (status, body) = self.get(DISCOVERY_PATH).await?;
        if status == StatusCode::NOT_FOUND {
            let (_, body) = self.get(RESOURCE_PATH).await?;
            let resource = serde_json::from_slice(&body);
            let resource: Resource = resource.map_err(|_| self.odd(status))?;
            let issuer = resource.authorization_servers.into_iter().next();
            let issuer = plain(&issuer.ok_or_else(|| self.odd(status))?);
            return Err(FetchError::OtherServer { issuer });
        }
        match serde_json::from_slice(&body) {
            Ok(document) if status == StatusCode::OK => Ok(document),
            Ok(_) | Err(_) => Err(self.odd(status)),
        }
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), FetchError> {
        let nothing = Secret::new(String::new());
        self.send(Method::GET, path, nothing, None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        form: Secret<String>,
        proof: Option<Secret<String>>,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        let answer = timeout(DEADLINE, self.exchange(method, path, form, proof)).await;
        answer.map_err(|_| self.unreachable("no answer in time".to_owned()))?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        form: Secret<String>,
        proof: Option<Secret<String>>,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        let connecting = connect(self.uri.clone(), self.tls.clone(), self.server_name.clone());
        let stream = connecting.await.map_err(|error| {
            let words = unreached::of_io(&self.endpoint(), &error);
            self.unreachable(words)
        })?;
        let broke = |error: &dyn std::error::Error| {
            self.unreachable(format!("the connection broke: {error}"))
        };
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
        let (mut sender, driving) = handshake.await.map_err(|error| broke(&error))?;
        // How it ends, the request says.
        tokio::spawn(async move { drop(driving.await) });
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.endpoint())
            .path_and_query(path)
            .build();
        let mut request = Request::builder()
            .method(method)
            .uri(uri.unwrap_or_default())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json");
        if let Some(proof) = proof {
            request = request.header("dpop", proof.expose());
        }
        let request = request
            .body(Full::new(Bytes::from(form.expose().clone())))
            .map_err(|error| broke(&error))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| broke(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = body.await.map_err(|error| broke(&*error))?;
        Ok((status, body.to_bytes()))
    }

    fn endpoint(&self) -> String {
        let authority = self.uri.authority();
        authority.map(ToString::to_string).unwrap_or_default()
    }

    fn unreachable(&self, why: String) -> FetchError {
        FetchError::Unreachable {
            endpoint: self.endpoint(),
            why,
        }
    }

    fn odd(&self, status: StatusCode) -> FetchError {
        FetchError::Answer {
            endpoint: self.endpoint(),
            status: status.as_u16(),
        }
    }
}

impl fmt::Debug for TokenServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenServer")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// `application/x-www-form-urlencoded`.
fn form(parameters: &[(&str, &str)]) -> Secret<String> {
    Secret::new(encode_form(parameters.iter().copied()))
}

/// One line, and nothing that moves a person's cursor.
fn plain(words: &str) -> String {
    let words = words.chars().filter(|one| !one.is_control());
    words.take(WORDS_CHARS_MAX).collect()
}
