//! The authorisation server's end of the door.
//!
//! ```text
//! POST /oauth2/token                              a form; RFC 6749 section 4.4, RFC 7523
//! GET  /oauth2/jwks                               the keys that sign tokens
//! GET  /.well-known/oauth-authorization-server    RFC 8414
//! GET  /.well-known/openid-configuration          the same document
//! GET  /.well-known/oauth-protected-resource      RFC 9728: whose tokens are taken here
//! ```
//!
//! Where another's server stands in its place, the last of them says so, and there are no others.

mod bodies;

use std::sync::Arc;

use accord_proto::{clock::SharedClock, party::PartyId};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use hyper::body::{Bytes, Incoming as Body};
use serde_json::json;
use tokio::time::Duration;

pub use self::bodies::Bodies;
use super::body::{self, BodyError, BodyLimits};
use crate::{
    doors::https::{Held, response},
    identity::{Peer, TokenIssuer as _, TokenVerifier, TrustStore, proof},
    oauth::{
        AuthorisationServer, DISCOVERY_PATH, Denied, ExternalServer, Holder, JWKS_PATH,
        OPENID_PATH, RESOURCE_PATH, TOKEN_PATH, TokenRefusal, resource_document,
    },
    path::Refusal,
    refusals::RefusalBook,
};

/// The method, for the record.
const TOKEN: &str = "OAuth.Token";
/// A token request holds up to two assertions.
const BODY: BodyLimits = BodyLimits {
    bytes_max: 16 << 10,
    deadline: Duration::from_secs(10),
};
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const NO_STORE: &str = "no-store";
/// Keys change once a day, and the old one is kept while its tokens live.
const A_WHILE: &str = "max-age=60";

/// Whose tokens the door takes.
#[derive(Debug, Clone)]
pub enum Tokens {
    /// Ours.
    Own(Arc<AuthorisationServer>),
    /// Another's.
    Other(Arc<ExternalServer>),
}

/// The endpoints.
#[derive(Debug)]
pub struct OauthEnd {
    /// Whose tokens.
    pub tokens: Tokens,
    /// Where clients reach the door.
    pub url: String,
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// Which proofs were seen.
    pub verifier: Arc<TokenVerifier>,
    /// The bodies of token requests that are being read.
    pub bodies: Bodies,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// Time.
    pub clock: SharedClock,
}

impl OauthEnd {
    /// Answers a request if its path is one of these; gives it back if not.
    pub(super) async fn answer(
        &self,
        peer: &Peer,
        request: Request<Body>,
    ) -> Result<Response<Held>, Request<Body>> {
        let (path, get) = (request.uri().path(), request.method() == Method::GET);
        let document = match (&self.tokens, path) {
            (_, RESOURCE_PATH) => resource_document(&self.url, self.issuer()),
            (Tokens::Own(server), TOKEN_PATH) => {
                return Ok(match *request.method() == Method::POST {
                    true => self.token(server, peer, request).await,
                    false => not_allowed("POST"),
                });
            }
            (Tokens::Own(server), JWKS_PATH) => server.jwks(self.clock.now()),
            (Tokens::Own(server), DISCOVERY_PATH | OPENID_PATH) => server.discovery().to_owned(),
            (Tokens::Own(_) | Tokens::Other(_), _) => return Err(request),
        };
        Ok(match get {
            true => cached(response(StatusCode::OK, JSON, document), A_WHILE),
            false => not_allowed("GET"),
        })
    }

    fn issuer(&self) -> &str {
        match &self.tokens {
            Tokens::Own(server) => server.issuer(),
            Tokens::Other(server) => server.issuer(),
        }
    }

    async fn token(
        &self,
        server: &AuthorisationServer,
        peer: &Peer,
        request: Request<Body>,
    ) -> Response<Held> {
        let mut party = None;
        let issued = match self.holder(server, peer, &request, &mut party) {
            Ok(proven) => match self.body(peer, request).await {
                Ok(body) => {
                    let holder = Holder {
                        party: party.as_ref(),
                        certificate: party.is_some().then(|| peer.thumbprint()),
                        proof: proven.as_ref(),
                        proofs: self.verifier.proofs(),
                    };
                    server.token(&body, holder, self.clock.now())
                }
                Err(refusal) => Err(server.denied(refusal, party)),
            },
            Err(refusal) => Err(server.denied(refusal, party)),
        };
        match issued {
            Ok(token) => {
                peer.note_known();
                unstored(response(StatusCode::OK, JSON, token))
            }
            Err(denied) => self.refuse(denied).await,
        }
    }

    /// Who asks, by certificate and proof, before anything is read.
    fn holder(
        &self,
        server: &AuthorisationServer,
        peer: &Peer,
        request: &Request<Body>,
        party: &mut Option<PartyId>,
    ) -> Result<Option<crate::identity::Proof>, TokenRefusal> {
        let now = self.clock.now();
        if peer.has_certificate() {
            *party = peer.party().cloned();
            peer.check(&self.trust, now).map_err(Refusal::from)?;
        }
        let headers = request.headers();
        if headers.contains_key(AUTHORIZATION) {
            return Err(TokenRefusal::NoAssertion { by_header: true });
        }
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next());
        if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)) {
            return Err(TokenRefusal::MediaType);
        }
        if request.uri().query().is_some() {
            let (parameter, rule) = ("the URL", "has no parameters: all stand in the form");
            return Err(TokenRefusal::Parameter { parameter, rule });
        }
        let proven = proof(headers, Method::POST.as_str(), server.token_endpoint(), now);
        let proven = proven.map_err(TokenRefusal::Proof)?;
        if party.is_none() && proven.is_none() {
            return Err(TokenRefusal::Unbound);
        }
        Ok(proven)
    }

    /// The whole body, within its limits, while its sender has room for one more.
    async fn body(&self, peer: &Peer, request: Request<Body>) -> Result<Bytes, TokenRefusal> {
        let _room = self.bodies.admit(peer)?;
        let read = body::read(request.into_body(), BODY).await;
        read.map_err(|error| {
            TokenRefusal::Body(match error {
                BodyError::TooLong(_) => "is longer than 16 KiB",
                BodyError::Broken => "broke off",
                BodyError::TooSlow(_) => "took longer than 10 s to come",
            })
        })
    }

    /// A refusal of a known party is on the record before it is told.
    async fn refuse(&self, denied: Denied) -> Response<Held> {
        let Denied { refusal, party } = denied;
        let recorded = match (&party, &refusal) {
            (Some(party), TokenRefusal::Party(refusal)) => {
                self.refusals.record(party, TOKEN, refusal).await
            }
            (Some(party), refusal) => {
                let reason = (refusal.reason(), refusal.parameter());
                self.refusals
                    .record_reason(party, TOKEN, reason, refusal)
                    .await
            }
            (None, _) => Ok(()),
        };
        refused(&recorded.err().map_or(refusal, TokenRefusal::from))
    }
}

fn refused(refusal: &TokenRefusal) -> Response<Held> {
    let told = json!({"error": refusal.code(), "error_description": refusal.description()});
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = unstored(response(status, JSON, told.to_string()));
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6749 section 5.2: the scheme that the client used, whatever becomes of it.
        let scheme = HeaderValue::from_static("Basic realm=\"accord\"");
        headers.insert(WWW_AUTHENTICATE, scheme);
    }
    if let Some(wait) = refusal.retry_after() {
        // In whole seconds, and never at once.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}

fn not_allowed(allowed: &'static str) -> Response<Held> {
    let told = json!({
        "error": "invalid_request",
        "error_description": format!("{allowed} only"),
    });
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = unstored(response(status, JSON, told.to_string()));
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// RFC 6749 section 5.1.
fn unstored(mut response: Response<Held>) -> Response<Held> {
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(PRAGMA, no_cache);
    cached(response, NO_STORE)
}

fn cached(mut response: Response<Held>, life: &'static str) -> Response<Held> {
    let life = HeaderValue::from_static(life);
    response.headers_mut().insert(CACHE_CONTROL, life);
    response
}
