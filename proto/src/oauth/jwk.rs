//! Public keys as JSON (RFC 7517), of the two kinds that are used here, and their names.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::parties::{KeyAlgorithm, TokenKey};

/// Bytes of a coordinate, and of an Ed25519 key.
const LEN: usize = 32;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicJwk {
    /// On P-256 (RFC 7518 section 6.2): for ES256.
    P256 {
        /// The point's coordinates.
        x: [u8; LEN],
        /// See `x`.
        y: [u8; LEN],
    },
    /// Ed25519 (RFC 8037): for EdDSA.
    Ed25519([u8; LEN]),
}

impl PublicJwk {
    /// Reads a key. `None` if it is of another kind, no point of its curve, or private.
    #[must_use]
    pub fn parse(jwk: &Value) -> Option<Self> {
        if jwk.get("d").is_some() {
            return None;
        }
        let text = |name| jwk.get(name).and_then(Value::as_str);
        let bytes = |name| -> Option<[u8; LEN]> {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok()?;
            bytes.try_into().ok()
        };
        let key = match (text("kty")?, text("crv")?) {
            ("EC", "P-256") => Self::P256 {
                x: bytes("x")?,
                y: bytes("y")?,
            },
            ("OKP", "Ed25519") => Self::Ed25519(bytes("x")?),
            _ => return None,
        };
        key.is_on_its_curve().then_some(key)
    }

    /// A key from its bare bytes: an uncompressed point of 65 bytes.
    #[must_use]
    pub fn of_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(LEN)?;
        Some(Self::P256 {
            x: x.try_into().ok()?,
            y: y.try_into().ok()?,
        })
    }

    /// A key of the list of parties. `None` never comes of one that the list's parser made.
    #[must_use]
    pub fn of_registered(key: &TokenKey) -> Option<Self> {
        match key.algorithm() {
            KeyAlgorithm::Es256 => Self::of_point(key.bytes()),
            KeyAlgorithm::EdDsa => key.bytes().try_into().ok().map(Self::Ed25519),
        }
    }

    fn is_on_its_curve(&self) -> bool {
        let parsed = match self {
            Self::P256 { x, y } => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y)),
            Self::Ed25519(key) => ParsedPublicKey::new(&ED25519, key),
        };
        parsed.is_ok()
    }

    /// The one algorithm that it is used with (RFC 7518, RFC 8037).
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256 { .. } => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// Its bytes, as signatures are checked with: an uncompressed point of 65 bytes, or 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::P256 { x, y } => point(x, y),
            Self::Ed25519(key) => key.to_vec(),
        }
    }

    /// The key's name (RFC 7638): SHA-256 of its required members, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // Section 3: these members alone, in this order, without spaces.
        let members = match self {
            Self::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                BASE64_URL_SAFE_NO_PAD.encode(x),
                BASE64_URL_SAFE_NO_PAD.encode(y)
            ),
            Self::Ed25519(key) => format!(
                r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                BASE64_URL_SAFE_NO_PAD.encode(key)
            ),
        };
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
    }

    /// The key for a JWKS, named by its thumbprint.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let encode = |bytes| BASE64_URL_SAFE_NO_PAD.encode::<&[u8; LEN]>(bytes);
        let (kid, alg) = (self.thumbprint(), self.algorithm());
        match self {
            Self::P256 { x, y } => json!({
                "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y),
                "use": "sig", "alg": alg, "kid": kid,
            }),
            Self::Ed25519(key) => json!({
                "kty": "OKP", "crv": "Ed25519", "x": encode(key),
                "use": "sig", "alg": alg, "kid": kid,
            }),
        }
    }
}

fn point(x: &[u8; LEN], y: &[u8; LEN]) -> Vec<u8> {
    [&[4], x.as_slice(), y.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_name_that_rfc_8037_gives_it() {
        // RFC 8037, appendix A.3.
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let key = PublicJwk::parse(&jwk).unwrap();
        assert_eq!(
            key.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        assert_eq!(PublicJwk::parse(&key.to_json()), Some(key));
    }

    #[test]
    fn takes_no_key_that_is_private_off_its_curve_or_of_another_kind() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        for jwk in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}),
            json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}),
            json!({"kty": "EC", "crv": "P-384", "x": x, "y": x}),
            json!({"kty": "RSA", "n": x, "e": "AQAB"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            json!("key"),
        ] {
            assert_eq!(PublicJwk::parse(&jwk), None, "{jwk}");
        }
    }
}
