//! Which certificate each live `jti` came with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use accord_proto::party::PartyId;
use jiff::{SignedDuration, Timestamp};

use super::error::IdentityError;

/// Live tokens of one party. Tokens live 300 s, so this is over 30 new ones a second.
const PER_PARTY_MAX: usize = 10_000;
/// How often a full book is searched for what has expired.
const PRUNE_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// Remembers the certificate of each `jti` until its token expires.
///
/// Every token is bound to its certificate already. This catches an issuer that mints the same
/// token for two certificates, so that one stolen signing service can't be used from two places.
#[derive(Debug, Default)]
pub(super) struct JtiBook {
    // Bounded: parties are those with a registered key.
    parties: Mutex<HashMap<PartyId, PartyBook>>,
}

#[derive(Debug)]
struct PartyBook {
    seen: HashMap<Box<str>, Seen>,
    prune_at: Timestamp,
}

#[derive(Debug)]
struct Seen {
    thumbprint: Arc<str>,
    expires: Timestamp,
}

impl JtiBook {
    /// Notes a `jti`.
    ///
    /// # Errors
    /// If it came with another certificate, or the party has too many.
    pub(super) fn note(
        &self,
        party: &PartyId,
        jti: &str,
        thumbprint: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
        let book = parties.entry(party.clone()).or_insert_with(|| PartyBook {
            seen: HashMap::new(),
            prune_at: now,
        });
        if let Some(seen) = book.seen.get_mut(jti)
            && now < seen.expires
        {
            if *seen.thumbprint != *thumbprint {
                return Err(IdentityError::TokenReused);
            }
            seen.expires = seen.expires.max(expires);
            return Ok(());
        }
        let crowded = book.seen.len() >= PER_PARTY_MAX / 2;
        if crowded && now >= book.prune_at {
            book.seen.retain(|_, seen| now < seen.expires);
            book.prune_at = now + PRUNE_INTERVAL;
        }
        if book.seen.len() >= PER_PARTY_MAX {
            return Err(IdentityError::TokenTooMany);
        }
        let seen = Seen {
            thumbprint: thumbprint.into(),
            expires,
        };
        book.seen.insert(jti.into(), seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(org: &str) -> PartyId {
        PartyId::parse(&format!("spiffe://accord.test/bank/{org}")).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-03T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_jti_belongs_to_one_certificate_until_its_token_expires() {
        let book = JtiBook::default();
        let bank = party("first-bank");
        let expires = now() + SignedDuration::from_secs(300);
        book.note(&bank, "a", "one", expires, now()).unwrap();
        book.note(&bank, "a", "one", expires, now()).unwrap();
        let reused = book.note(&bank, "a", "two", expires, now());
        assert_eq!(reused, Err(IdentityError::TokenReused));
        let other = party("second-bank");
        book.note(&other, "a", "two", expires, now()).unwrap();
        let later = expires + SignedDuration::from_secs(300);
        book.note(&bank, "a", "two", later, expires).unwrap();
    }

    #[test]
    fn a_party_has_a_bounded_number_of_live_tokens_and_others_do_not_pay_for_it() {
        let book = JtiBook::default();
        let bank = party("first-bank");
        let expires = now() + SignedDuration::from_secs(300);
        for n in 0..PER_PARTY_MAX {
            book.note(&bank, &n.to_string(), "one", expires, now())
                .unwrap();
        }
        let more = book.note(&bank, "more", "one", expires, now());
        assert_eq!(more, Err(IdentityError::TokenTooMany));
        let other = party("second-bank");
        book.note(&other, "more", "one", expires, now()).unwrap();
        let later = expires + SignedDuration::from_secs(300);
        book.note(&bank, "more", "one", later, expires).unwrap();
    }
}
