//! The key in the header of a proof, by which the proof is signed (RFC 9449 section 4.2).

use serde_json::Value;

use super::{Jws, PublicJwk};

/// Why a proof has no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProofHeaderError(pub &'static str);

/// Reads the key of a proof. Whether it is signed with that key is for others to check.
///
/// # Errors
/// [`ProofHeaderError`] says which rule is broken.
pub fn proof_key(proof: &str) -> Result<PublicJwk, ProofHeaderError> {
    let wrong = ProofHeaderError;
    let header = Jws::header_of(proof).map_err(|error| wrong(error.rule()))?;
    if header.get("typ").and_then(Value::as_str) != Some("dpop+jwt") {
        return Err(wrong("its `typ` is not `dpop+jwt`"));
    }
    let jwk = header.get("jwk").and_then(PublicJwk::parse);
    let jwk = jwk.ok_or_else(|| wrong("its `jwk` is no public key on P-256 or Ed25519"))?;
    if header.get("alg").and_then(Value::as_str) != Some(jwk.algorithm()) {
        return Err(wrong(
            "its `alg` is not that of its key, `ES256` or `EdDSA`",
        ));
    }
    Ok(jwk)
}
