//! The discovery document (RFC 8414; OpenID Connect Discovery 1.0).

use accord_proto::camara::Scopes;
use serde_json::json;

use super::request::{CLIENT_CREDENTIALS, JWT_BEARER};

/// What signs assertions and proofs.
const ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];

/// The document of the server at this address.
///
/// OpenID Connect requires members about logging in, which nobody does here: no `response_types`,
/// no ID token. They stand as empty lists, since a strict client refuses a document without them.
pub(super) fn document(issuer: &str, token_endpoint: &str) -> String {
    let none: [&str; 0] = [];
    let scopes: Vec<_> = Scopes::all().collect();
    json!({
        "issuer": issuer,
        "token_endpoint": token_endpoint,
        "jwks_uri": format!("{issuer}{}", super::JWKS_PATH),
        "service_documentation": format!("{issuer}/docs"),
        "scopes_supported": scopes,
        "grant_types_supported": [CLIENT_CREDENTIALS, JWT_BEARER],
        "response_types_supported": none,
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": none,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "tls_client_certificate_bound_access_tokens": true,
        "dpop_signing_alg_values_supported": ALGORITHMS,
    })
    .to_string()
}

/// Whose tokens are taken at this address (RFC 9728).
#[must_use]
pub fn resource_document(url: &str, issuer: &str) -> String {
    let scopes: Vec<_> = Scopes::all().collect();
    json!({
        "resource": url,
        "authorization_servers": [issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "resource_documentation": format!("{url}/docs"),
        "tls_client_certificate_bound_access_tokens": true,
        "dpop_signing_alg_values_supported": ALGORITHMS,
    })
    .to_string()
}
