//! The keys that sign tokens: made in memory, replaced each day, gone with the process. A restart
//! costs a client one refused call and a new token.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use accord_proto::{msisdn::Msisdn, oauth::PublicJwk};
use arc_swap::ArcSwap;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

use super::seal::SubjectSeal;
use crate::identity::library_key;

/// How long a key signs.
const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How long it is believed after that: a token's life, and the leeway for clocks.
const BELIEVED_FOR: SignedDuration = SignedDuration::from_secs(305);

/// The system gave no random bytes, or the library no key.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no key could be made to sign tokens with: the system gave no random bytes")]
pub struct NoKey;

/// One day's keys: the one that signs, and the one that seals numbers into tokens.
pub(super) struct DayKeys {
    kid: String,
    /// The header of every token, encoded, with the dot behind it.
    header: String,
    pair: EcdsaKeyPair,
    public: PublicJwk,
    seal: SubjectSeal,
    made: Timestamp,
}

/// The day's keys, and those of the day before while tokens of theirs live.
#[derive(Debug)]
pub(super) struct Keys {
    days: ArcSwap<Days>,
    /// Held while new ones are made, so that one caller makes them.
    making: Mutex<()>,
    generation: AtomicU64,
}

#[derive(Debug)]
struct Days {
    today: Arc<DayKeys>,
    before: Option<(Arc<DayKeys>, Timestamp)>,
}

impl std::fmt::Debug for DayKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DayKeys({})", self.kid)
    }
}

impl DayKeys {
    fn make(now: Timestamp) -> Result<Self, NoKey> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| NoKey)?;
        let seal = SubjectSeal::make()?;
        let public = PublicJwk::of_point(pair.public_key().as_ref()).ok_or(NoKey)?;
        let kid = public.thumbprint();
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": kid}).to_string();
        Ok(Self {
            header: BASE64_URL_SAFE_NO_PAD.encode(header) + ".",
            kid,
            pair,
            public,
            seal,
            made: now,
        })
    }

    /// A token of these claims (RFC 9068 section 2).
    pub(super) fn sign(&self, claims: &[u8]) -> Result<String, NoKey> {
        /// Of the signature, encoded, and its dot.
        const SIGNATURE_CHARS: usize = 87;
        let claims_chars = claims.len().div_ceil(3) * 4;
        let room = self.header.len() + claims_chars + SIGNATURE_CHARS;
        let mut token = String::with_capacity(room);
        token.push_str(&self.header);
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let random = SystemRandom::new();
        let signature = self.pair.sign(&random, token.as_bytes());
        let signature = signature.map_err(|_| NoKey)?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// What seals numbers into the tokens of this key.
    pub(super) const fn seal(&self) -> &SubjectSeal {
        &self.seal
    }
}

impl Keys {
    /// Makes the first day's keys.
    pub(super) fn make(now: Timestamp) -> Result<Self, NoKey> {
        let days = Days {
            today: Arc::new(DayKeys::make(now)?),
            before: None,
        };
        Ok(Self {
            days: ArcSwap::from_pointee(days),
            making: Mutex::default(),
            generation: AtomicU64::new(1),
        })
    }

    /// The key that signs now. Once a day this makes it.
    pub(super) fn signing(&self, now: Timestamp) -> Result<Arc<DayKeys>, NoKey> {
        let due = |days: &Days| now.duration_since(days.today.made) >= SIGNS_FOR;
        if due(&self.days.load()) {
            let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            let days = self.days.load_full();
            if due(&days) {
                let today = Arc::new(DayKeys::make(now)?);
                tracing::info!(kid = today.kid, "tokens are signed with a new key");
                let before = Some((Arc::clone(&days.today), now + BELIEVED_FOR));
                self.days.store(Arc::new(Days { today, before }));
                self.generation.fetch_add(1, Ordering::Release);
            }
        }
        Ok(Arc::clone(&self.days.load().today))
    }

    /// Those whose tokens are believed now.
    fn believed(&self, now: Timestamp) -> impl Iterator<Item = Arc<DayKeys>> {
        let days = self.days.load();
        let before = days.before.as_ref();
        let before = before.filter(|(_, until)| now < *until);
        let before = before.map(|(keys, _)| Arc::clone(keys));
        [Some(Arc::clone(&days.today)), before]
            .into_iter()
            .flatten()
    }

    /// Counts up with each new key.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The key of a `kid`, while tokens of it are believed.
    pub(super) fn verifying(&self, kid: &str, now: Timestamp) -> Option<(Algorithm, DecodingKey)> {
        let found = self.believed(now).find(|keys| keys.kid == kid)?;
        Some(library_key(&found.public))
    }

    /// The number that is sealed in a token with this `jti`. The token itself was verified, and
    /// expired ones are refused before, so every key that is still here is tried.
    pub(super) fn open(&self, sealed: &str, jti: &str) -> Option<Msisdn> {
        let mut believed = self.believed(Timestamp::MIN);
        believed.find_map(|keys| keys.seal.open(sealed, jti))
    }

    /// The public keys (RFC 7517 section 5).
    pub(super) fn jwks(&self, now: Timestamp) -> String {
        let keys: Vec<Value> = self
            .believed(now)
            .map(|keys| keys.public.to_json())
            .collect();
        json!({ "keys": keys }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Validation, jwk::JwkSet};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn jwks(keys: &Keys, now: Timestamp) -> JwkSet {
        serde_json::from_str(&keys.jwks(now)).unwrap()
    }

    /// With the public keys alone, by another's code.
    fn verifies(keys: &Keys, token: &str, now: Timestamp) -> bool {
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let kid = header.kid.unwrap();
        let set = jwks(keys, now);
        let Some(key) = set.find(&kid) else {
            assert!(keys.verifying(&kid, now).is_none());
            return false;
        };
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_required_spec_claims::<&str>(&[]);
        rules.validate_exp = false;
        let key = DecodingKey::from_jwk(key).unwrap();
        let found = jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap();
        let (_, key) = keys.verifying(&kid, now).unwrap();
        let ours = jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap();
        found.claims == json!({"a": 1}) && ours.claims == found.claims
    }

    #[test]
    fn a_key_signs_for_a_day_and_is_believed_until_its_tokens_have_ended() {
        let keys = Keys::make(now()).unwrap();
        let first = keys.signing(now()).unwrap();
        let token = first.sign(br#"{"a":1}"#).unwrap();
        assert!(verifies(&keys, &token, now()));
        let day = now() + SIGNS_FOR;
        assert_eq!(keys.generation(), 1);
        let second = keys.signing(day).unwrap();
        assert_eq!(keys.generation(), 2);
        assert_ne!(first.kid, second.kid);
        assert_eq!(keys.signing(day).unwrap().kid, second.kid);
        let new = second.sign(br#"{"a":1}"#).unwrap();
        assert!(verifies(&keys, &token, day) && verifies(&keys, &new, day));
        assert_eq!(jwks(&keys, day).keys.len(), 2);
        let later = day + BELIEVED_FOR;
        assert!(!verifies(&keys, &token, later) && verifies(&keys, &new, later));
        assert_eq!(jwks(&keys, later).keys.len(), 1);
    }

    #[test]
    fn a_number_sealed_by_the_key_of_the_day_before_is_still_opened() {
        let keys = Keys::make(now()).unwrap();
        let number = Msisdn::parse("+447700900123").unwrap();
        let sealed = keys.signing(now()).unwrap().seal().seal(&number, "one");
        let sealed = sealed.unwrap();
        keys.signing(now() + SIGNS_FOR).unwrap();
        assert_eq!(keys.open(&sealed, "one"), Some(number));
        assert_eq!(keys.open(&sealed, "two"), None);
    }

    /// The members and the thumbprint of a key as another library computes them.
    #[test]
    fn a_kid_is_the_thumbprint_of_rfc_7638() {
        let keys = Keys::make(now()).unwrap();
        let set = jwks(&keys, now());
        let key = set.keys.first().unwrap();
        let thumbprint = key
            .thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
            .unwrap();
        assert_eq!(key.common.key_id.as_deref(), Some(thumbprint.as_str()));
    }
}
