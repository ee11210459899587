//! The keys that sign a caller's tokens and assertions, as files hold them.
//!
//! A key is tried when it is read: the library also reads one of another curve, which signs nothing.

use std::{collections::BTreeMap, fmt};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};

use crate::{identity::IdentityError, profile::TokenAlg};

/// The key that signs the caller's tokens, and what it is registered as.
#[derive(Clone)]
pub struct TokenKey {
    pub(crate) key: EncodingKey,
    pub(crate) alg: Algorithm,
    pub(crate) kid: String,
    pub(crate) audience: String,
}

impl TokenKey {
    /// Reads a PKCS #8 key. `kid` is the id under which its public half is registered, `audience`
    /// the broker's name.
    ///
    /// # Errors
    /// If the text holds no key, one in another form, or one that is not for this algorithm.
    pub fn from_pem(
        alg: TokenAlg,
        pem: &[u8],
        kid: &str,
        audience: &str,
    ) -> Result<Self, IdentityError> {
        let (alg, needed) = match alg {
            TokenAlg::Es256 => (Algorithm::ES256, "a key of ES256 (P-256)"),
            TokenAlg::EdDsa => (Algorithm::EdDSA, "a key of EdDSA (Ed25519)"),
        };
        let (key, alg) = signing_key("token key", needed, pem, &[alg])?;
        Ok(Self {
            key,
            alg,
            kid: kid.to_owned(),
            audience: audience.to_owned(),
        })
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("kid", &self.kid)
            .field("key", &"[secret]")
            .finish_non_exhaustive()
    }
}

/// The key of a PEM text that `what` names, and the first of these algorithms by which it signs.
pub(crate) fn signing_key(
    what: &'static str,
    needed: &'static str,
    pem: &[u8],
    algs: &[Algorithm],
) -> Result<(EncodingKey, Algorithm), IdentityError> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(PrivateKeyDer::Pkcs8(_)) => {}
        Ok(_) => return Err(IdentityError::KeyForm { what }),
        Err(_) => return Err(IdentityError::NoKey { what }),
    }
    algs.iter()
        .find_map(|alg| signs(*alg, pem).map(|key| (key, *alg)))
        .ok_or(IdentityError::KeyKind { what, needed })
}

fn signs(alg: Algorithm, pem: &[u8]) -> Option<EncodingKey> {
    let key = if alg == Algorithm::ES256 {
        EncodingKey::from_ec_pem(pem)
    } else {
        EncodingKey::from_ed_pem(pem)
    };
    let key = key.ok()?;
    let nothing = BTreeMap::<String, String>::new();
    jsonwebtoken::encode(&Header::new(alg), &nothing, &key).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use accord_certs::TokenKey as MadeKey;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};

    use super::*;
    use crate::oauth::AssertionKey;

    fn read(alg: TokenAlg, pem: &str) -> Result<TokenKey, IdentityError> {
        TokenKey::from_pem(alg, pem.as_bytes(), "first-bank-1", "accord.example")
    }

    fn p384() -> String {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()))
    }

    #[test]
    fn a_key_of_each_algorithm_is_read_under_its_own_name_alone() {
        let es256 = MadeKey::es256().unwrap().private_pem();
        let ed25519 = MadeKey::ed25519().unwrap().private_pem();
        assert!(read(TokenAlg::Es256, &es256).is_ok());
        assert!(read(TokenAlg::EdDsa, &ed25519).is_ok());
        for (alg, pem, said) in [
            (TokenAlg::Es256, &ed25519, "not a key of ES256 (P-256)"),
            (TokenAlg::Es256, &p384(), "not a key of ES256 (P-256)"),
            (TokenAlg::EdDsa, &es256, "not a key of EdDSA (Ed25519)"),
        ] {
            let error = read(alg, pem).unwrap_err();
            assert!(matches!(error, IdentityError::KeyKind { .. }), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
        let error = AssertionKey::from_pem(p384().as_bytes(), None).unwrap_err();
        assert!(matches!(error, IdentityError::KeyKind { .. }), "{error}");
    }

    #[test]
    fn what_is_no_key_and_what_is_one_in_another_form_are_told_apart() {
        let error = read(TokenAlg::Es256, "nothing").unwrap_err();
        assert!(matches!(error, IdentityError::NoKey { .. }), "{error}");
        assert!(error.to_string().starts_with("token key:"), "{error}");
        let older = MadeKey::es256().unwrap().private_pem();
        let older = older.replace("PRIVATE KEY", "EC PRIVATE KEY");
        let error = read(TokenAlg::Es256, &older).unwrap_err();
        assert!(matches!(error, IdentityError::KeyForm { .. }), "{error}");
    }
}
