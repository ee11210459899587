//! Another's authorisation server in place of ours: its issuer and its public keys, from the
//! configuration. Nothing is fetched: whoever runs the broker puts the keys there.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use accord_proto::{msisdn::Msisdn, oauth::PublicJwk, v1};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::metrics::OauthMetrics;
use crate::{
    entry::record_entry,
    identity::{AskedWith, IdentityError, TokenIssuer, client_of, library_key},
    ledger::{Ledger, LedgerError},
    stamp::Stamp,
};

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Keys of one server.
const KEYS_MAX: usize = 100;
/// Bytes of a `kid`.
const KID_LEN_MAX: usize = 256;
/// The kind of document, for the record.
const KIND: &str = "issuer_keys";

/// Why a file is no set of keys. It repeats nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It can't be read.
    #[error("can't read `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It breaks a rule.
    #[error("`{path}` {rule}")]
    Rule {
        /// Which file.
        path: PathBuf,
        /// The rule.
        rule: &'static str,
    },
}

/// Another's authorisation server.
#[derive(Debug)]
pub struct ExternalServer {
    issuer: String,
    path: PathBuf,
    keys: ArcSwap<Jwks>,
    generation: AtomicU64,
    metrics: OauthMetrics,
    /// How the file was before it was read first.
    stamp: Stamp,
}

impl ExternalServer {
    /// Reads the keys for the first time.
    ///
    /// # Errors
    /// [`JwksError`] names the file and the rule.
    pub fn open(issuer: &str, path: &Path, metrics: OauthMetrics) -> Result<Self, JwksError> {
        // Looked at first: what changes while it is read is then read again.
        let stamp = Stamp::of(path);
        Ok(Self {
            issuer: issuer.to_owned(),
            path: path.to_owned(),
            keys: ArcSwap::from_pointee(Jwks::read(path)?),
            generation: AtomicU64::new(1),
            metrics,
            stamp,
        })
    }
}

/// Keys by their `kid`.
#[derive(Debug, PartialEq, Eq)]
struct Jwks {
    sha256: [u8; 32],
    keys: Vec<(String, PublicJwk)>,
}

impl Jwks {
    fn read(path: &Path) -> Result<Self, JwksError> {
        let read = || {
            let mut text = String::new();
            File::open(path)?
                .take(FILE_BYTES_MAX + 1)
                .read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|source| JwksError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|rule| JwksError::Rule {
            path: path.to_owned(),
            rule,
        })
    }

    /// RFC 7517 section 5. Keys of kinds that sign no token here are passed over, as that section
    /// has it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
            return Err("is longer than 256 KiB");
        }
        let set: Value = serde_json::from_str(text).map_err(|_| "is not JSON")?;
        let all = set.get("keys").and_then(Value::as_array);
        let all = all.ok_or("is no JSON web key set: an object with an array `keys`")?;
        if all.len() > KEYS_MAX {
            return Err("has more than 100 keys");
        }
        // Whoever finds one here can sign tokens with it.
        if all
            .iter()
            .any(|key| key.get("d").is_some() || key.get("k").is_some())
        {
            return Err(
                "holds a private key, which is no longer secret: make a new one, and put \
                        the public half here",
            );
        }
        let mut keys: Vec<(String, PublicJwk)> = Vec::new();
        for key in all {
            let other_use = key.get("use").is_some_and(|used| used != "sig");
            let kid = key.get("kid").and_then(Value::as_str);
            let (Some(parsed), Some(kid), false) = (PublicJwk::parse(key), kid, other_use) else {
                continue;
            };
            if kid.len() > KID_LEN_MAX {
                return Err("has a `kid` that is too long");
            }
            if keys.iter().any(|(known, _)| known == kid) {
                return Err("has two keys of one `kid`");
            }
            keys.push((kid.to_owned(), parsed));
        }
        if keys.is_empty() {
            return Err("has no key with a `kid` that signs ES256 (P-256) or EdDSA (Ed25519)");
        }
        let mut sha256 = [0; 32];
        let bytes = digest(&SHA256, text.as_bytes());
        for (to, from) in sha256.iter_mut().zip(bytes.as_ref()) {
            *to = *from;
        }
        Ok(Self { sha256, keys })
    }
}

impl TokenIssuer for ExternalServer {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn key(&self, kid: &str, _: Timestamp) -> Option<(Algorithm, DecodingKey)> {
        let keys = self.keys.load();
        let found = keys.keys.iter().find(|(known, _)| known == kid);
        found.map(|(_, key)| library_key(key))
    }

    fn subject(&self, claims: &Map<String, Value>) -> Result<Option<Msisdn>, IdentityError> {
        subject_of(claims)
    }

    /// The other server's business: it says of nobody's key when it ends.
    fn asked_with(&self, _: &Map<String, Value>) -> Result<Vec<AskedWith>, IdentityError> {
        Ok(Vec::new())
    }
}

/// `sub` = `tel:+…` makes a token one about that number; the client's own name, one about any (RFC
/// 9068 section 2.2). Every other one stands for somebody: it may be a pseudonym of a subscriber, with
/// whose token no other is asked about.
fn subject_of(claims: &Map<String, Value>) -> Result<Option<Msisdn>, IdentityError> {
    const CLAIM: &str = "sub";
    let subject = claims.get(CLAIM).and_then(Value::as_str);
    let subject = subject.ok_or(IdentityError::TokenClaimMissing(CLAIM))?;
    if client_of(claims) == Some(subject) {
        return Ok(None);
    }
    let number = subject
        .split_once(':')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("tel"))
        .and_then(|(_, number)| Msisdn::parse(number).ok());
    let rule = "is neither the client's own name nor `tel:` and a number in E.164 form";
    let wrong = IdentityError::TokenClaim { claim: CLAIM, rule };
    number.map(Some).ok_or(wrong)
}

/// Keeps the keys current.
#[derive(Debug)]
pub struct JwksWatch {
    server: Arc<ExternalServer>,
    /// What was read last, taken or not.
    read: Stamp,
    /// What was seen last: a file that still changes is not read yet.
    seen: Stamp,
    origin: String,
}

impl JwksWatch {
    /// Watches from now on.
    #[must_use]
    pub fn of(server: Arc<ExternalServer>) -> Self {
        let stamp = server.stamp;
        Self {
            server,
            read: stamp,
            seen: stamp,
            origin: String::new(),
        }
    }

    /// Looks at the file once, and reads it where it has changed and lies still. Called a few times a
    /// second. What is in force is also said in each month's log.
    ///
    /// # Errors
    /// If the ledger takes nothing; then nothing changed.
    pub(crate) async fn tick(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        let origin = ledger.origin();
        if origin != self.origin {
            let sha256 = self.server.keys.load().sha256;
            self.record(ledger, Ok(&sha256)).await?;
            self.origin = origin;
        }
        let stamp = Stamp::of(&self.server.path);
        let still = stamp == self.seen;
        self.seen = stamp;
        if stamp == self.read || !still {
            return Ok(());
        }
        match Jwks::read(&self.server.path) {
            Ok(keys) if keys == **self.server.keys.load() => {}
            Ok(keys) => {
                self.record(ledger, Ok(&keys.sha256)).await?;
                tracing::info!(
                    keys = keys.keys.len(),
                    "new keys of the authorisation server"
                );
                self.server.keys.store(Arc::new(keys));
                self.server.generation.fetch_add(1, Ordering::Release);
                self.server.metrics.reloaded(true);
            }
            Err(error) => {
                self.record(ledger, Err(&error)).await?;
                tracing::error!(%error, "keys of the authorisation server are refused; the old stay");
                self.server.metrics.reloaded(false);
            }
        }
        self.read = stamp;
        Ok(())
    }

    async fn record(
        &self,
        ledger: &Ledger,
        taken: Result<&[u8; 32], &JwksError>,
    ) -> Result<(), LedgerError> {
        let loaded = v1::DocumentLoaded {
            kind: KIND.to_owned(),
            id: self.server.issuer.clone(),
            sha256: taken.map_or_else(|_| Vec::new(), |sha256| sha256.to_vec()),
            refused: taken.map_or_else(ToString::to_string, |_| String::new()),
            ..v1::DocumentLoaded::default()
        };
        let event = v1::entry::Event::DocumentLoaded(loaded);
        record_entry(ledger, event).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn key(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": kid})
    }

    fn parse(keys: &Value) -> Result<Vec<String>, &'static str> {
        let jwks = Jwks::parse(&json!({"keys": keys}).to_string())?;
        Ok(jwks.keys.into_iter().map(|(kid, _)| kid).collect())
    }

    #[test]
    fn keys_that_sign_tokens_are_taken_and_others_passed_over() {
        let rsa = json!({"kty": "RSA", "n": X, "e": "AQAB", "kid": "rsa"});
        let nameless = json!({"kty": "OKP", "crv": "Ed25519", "x": X});
        let mut encrypts = key("enc");
        encrypts["use"] = "enc".into();
        let kids = parse(&json!([rsa, key("a"), nameless, encrypts, key("b")]));
        assert_eq!(kids, Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(parse(&json!([rsa])).unwrap_err().starts_with("has no key"));
    }

    #[test]
    fn a_private_key_or_two_of_one_name_are_refused() {
        let mut private = key("a");
        private["d"] = X.into();
        assert!(parse(&json!([private])).unwrap_err().contains("private"));
        let secret = json!({"kty": "oct", "k": X});
        assert!(parse(&json!([secret])).unwrap_err().contains("private"));
        let twice = parse(&json!([key("a"), key("a")]));
        assert_eq!(twice, Err("has two keys of one `kid`"));
        for text in ["", "[]", "{\"keys\": {}}"] {
            assert!(Jwks::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_about_any_number_only_where_its_subject_is_the_client() {
        let about = |claims: Value| subject_of(claims.as_object().unwrap());
        let number = Msisdn::parse("+447700900001").unwrap();
        for (claims, subject) in [
            (json!({"sub": "app", "client_id": "app"}), None),
            (json!({"sub": "app", "azp": "app"}), None),
            (
                json!({"sub": "tel:+447700900001", "client_id": "app"}),
                Some(number),
            ),
            (
                json!({"sub": "TEL:+447700900001", "client_id": "app"}),
                Some(number),
            ),
        ] {
            assert_eq!(about(claims.clone()), Ok(subject), "{claims}");
        }
        for claims in [
            json!({"sub": "4a1f0c2e-pairwise", "client_id": "app"}),
            json!({"sub": "other-app", "client_id": "app", "azp": "other-app"}),
            json!({"sub": "", "client_id": "app"}),
            json!({"sub": "tel:077", "client_id": "app"}),
            json!({"sub": "+447700900001", "client_id": "app"}),
            json!({"sub": "ipport:192.0.2.1:443", "client_id": "app"}),
        ] {
            let refused = about(claims.clone()).map_err(|error| error.reason());
            assert_eq!(refused, Err("TOKEN_CLAIM"), "{claims}");
        }
        let missing = about(json!({"sub": 7, "client_id": "app"}));
        assert_eq!(missing, Err(IdentityError::TokenClaimMissing("sub")));
    }
}
