//! Proofs that the sender of a request holds a key (DPoP, RFC 9449).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use accord_proto::oauth::proof_key;
use accord_proto::party::PartyId;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Validation;
use serde_json::{Map, Value};

use super::error::IdentityError;
use super::keys::library_key;

/// Bytes of a proof.
const PROOF_LEN_MAX: usize = 4096;
/// Bytes of a proof's `jti`.
const JTI_LEN_MAX: usize = 128;
/// How old a proof may be (section 11.1 leaves it to the server; CAMARA's profile says 300 s).
const AGE_MAX: SignedDuration = SignedDuration::from_secs(300);
/// By how much a client's clock may be ahead of ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(5);
/// Proofs of one party remembered of one half of the time for which a proof lives: 3,200 a second,
/// more than the rate that a party has by default.
const PER_PARTY_MAX: usize = 500_000;

/// What a proof must have been made for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// This URL.
    Url(&'a str),
    /// A method of a gRPC service, by its path. The host is not compared, since a broker does not
    /// know by which name it was reached: the proof names the token (`ath`), and that this broker.
    Path(&'a str),
}

/// A proof whose signature is good. Whether it was seen before is asked when the rest of the request
/// is known to be in order, so that a stranger can't fill what is remembered.
#[derive(Debug)]
pub struct Proof {
    /// RFC 7638 thumbprint of the key, base64url: a token's `cnf.jkt`.
    key: Box<str>,
    /// SHA-256 of thumbprint and `jti`, its first half.
    id: [u8; 16],
    /// Its `iat`.
    made: Timestamp,
    noted: AtomicBool,
}

impl Proof {
    /// Checks a proof (section 4.3), but not whether it was seen before.
    ///
    /// `token` is the access token that came with it; at the token endpoint there is none.
    ///
    /// # Errors
    /// [`IdentityError::Proof`] says what is wrong.
    pub fn check(
        proof: &str,
        method: &str,
        target: Target<'_>,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let wrong = IdentityError::Proof;
        if proof.len() > PROOF_LEN_MAX {
            return Err(wrong("it is too long"));
        }
        let jwk = proof_key(proof).map_err(|error| wrong(error.0))?;
        let (algorithm, key) = library_key(&jwk);
        let mut rules = Validation::new(algorithm);
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_aud = false;
        let claims: Map<String, Value> = jsonwebtoken::decode(proof, &key, &rules)
            .map_err(|_| wrong("its signature is not that of the key in it"))?
            .claims;
        let text = |name| claims.get(name).and_then(Value::as_str);
        if text("htm") != Some(method) {
            return Err(wrong("`htm` is not the method of this request"));
        }
        if !text("htu").is_some_and(|htu| is_for(htu, target)) {
            return Err(wrong("`htu` is not the URL of this request"));
        }
        if let Some(token) = token
            && text("ath") != Some(&hash_of(token))
        {
            return Err(wrong("`ath` is not the hash of the token"));
        }
        let made = check_age(&claims, now)?;
        let jti = text("jti")
            .filter(|jti| (1..=JTI_LEN_MAX).contains(&jti.len()))
            .ok_or_else(|| wrong("`jti` is missing or too long"))?;
        let key = jwk.thumbprint();
        Ok(Self {
            id: first_half(&format!("{key}\n{jti}")),
            key: key.into(),
            made,
            noted: AtomicBool::new(false),
        })
    }

    /// The thumbprint of the key that was proven (RFC 7638).
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Which proofs were seen, by the party whose token or assertion came with them. A proof is of no use
/// to another party: it names its token (`ath`), or binds a new one to a key that its sender lacks.
#[derive(Debug)]
pub struct ProofBook {
    started: Timestamp,
    halves: Mutex<Halves>,
}

/// What was seen in this half of [`AGE_MAX`] and the leeway, and in the two halves before. Bounded:
/// parties are those of the list of parties.
#[derive(Debug, Default)]
struct Halves {
    ends: Option<Timestamp>,
    seen: [HashMap<PartyId, HashSet<[u8; 16]>>; 3],
}

impl ProofBook {
    /// A book that is kept from now on. What was shown before is not known, so proofs that were made
    /// before are refused: tokens of another server outlive this one.
    #[must_use]
    pub fn since(started: Timestamp) -> Self {
        Self {
            started,
            halves: Mutex::default(),
        }
    }

    /// Notes a proof that a party showed; the same request may note its own again.
    ///
    /// # Errors
    /// If it was seen before or may have been, or the party showed too many.
    pub fn note(
        &self,
        party: &PartyId,
        proof: &Proof,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        if proof.noted.load(Ordering::Acquire) {
            return Ok(());
        }
        // `iat` has whole seconds.
        if proof.made.as_second() < self.started.as_second() {
            return Err(IdentityError::Proof(
                "it is older than this broker, which has just started: make a new one",
            ));
        }
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.turn(now);
        let mut of_party = halves.seen.iter().filter_map(|half| half.get(party));
        if of_party.any(|seen| seen.contains(&proof.id)) {
            return Err(IdentityError::ProofReplayed);
        }
        let [newest, _, _] = &mut halves.seen;
        let newest = newest.entry(party.clone()).or_default();
        if newest.len() >= PER_PARTY_MAX {
            return Err(IdentityError::ProofTooMany);
        }
        newest.insert(proof.id);
        proof.noted.store(true, Ordering::Release);
        Ok(())
    }
}

impl Halves {
    /// Forgets what has become too old to be shown again.
    fn turn(&mut self, now: Timestamp) {
        let half = (AGE_MAX + LEEWAY) / 2;
        match self.ends {
            Some(ends) if now < ends => return,
            // Nobody came for so long that nothing is young enough.
            Some(ends) if now >= ends + (AGE_MAX + LEEWAY) => self.seen = Default::default(),
            Some(_) | None => {
                self.seen.rotate_right(1);
                let [newest, _, _] = &mut self.seen;
                *newest = HashMap::new();
            }
        }
        self.ends = Some(now + half);
    }
}

/// When it was made.
fn check_age(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, IdentityError> {
    let made = claims
        .get("iat")
        .and_then(Value::as_i64)
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or(IdentityError::Proof("`iat` is missing"))?;
    if made > now + LEEWAY || now.duration_since(made) > AGE_MAX {
        return Err(IdentityError::Proof("`iat` is not within the last 300 s"));
    }
    Ok(made)
}

/// Whether a `htu` names the target, its query and fragment left aside.
fn is_for(htu: &str, target: Target<'_>) -> bool {
    let without = htu.split(['?', '#']).next().unwrap_or_default();
    let Ok(named) = without.parse::<Uri>() else {
        return false;
    };
    if named.scheme_str() != Some("https") {
        return false;
    }
    match target {
        Target::Path(path) => named.path() == path,
        Target::Url(url) => url.parse::<Uri>().is_ok_and(|wanted| {
            let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
            let port = |uri: &Uri| uri.port_u16().unwrap_or(443);
            host(&named) == host(&wanted)
                && port(&named) == port(&wanted)
                && named.path() == wanted.path()
        }),
    }
}

fn hash_of(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

fn first_half(text: &str) -> [u8; 16] {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
