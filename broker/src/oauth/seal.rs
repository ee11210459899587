//! The number of a token that was asked for with one: sealed, so that whoever holds the token, or a
//! log of it, reads none; and the pseudonym that stands in its place.

use accord_proto::{camara::ClientId, msisdn::Msisdn};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac, rand,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::keys::NoKey;

/// A number is padded to this, so that a sealed one does not tell how long it is.
const PADDED_LEN: usize = Msisdn::DIGITS_MAX + 1;
/// Of a sealed number: nonce, ciphertext and tag.
const SEALED_LEN: usize = NONCE_LEN + PADDED_LEN + 16;
/// Bytes of a pseudonym.
const PSEUDONYM_LEN: usize = 16;

/// Seals numbers under one key. A nonce is random, and a key seals for a day: at 10,000 tokens a
/// second that is below the 2³² that AES-GCM bears (NIST SP 800-38D section 8.3).
pub(super) struct SubjectSeal(LessSafeKey);

impl SubjectSeal {
    /// With a new key.
    pub(super) fn make() -> Result<Self, NoKey> {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| NoKey)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| NoKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a number into the token with this `jti`: in another token it can't be opened.
    pub(super) fn seal(&self, number: &Msisdn, jti: &str) -> Result<String, NoKey> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| NoKey)?;
        let mut padded = [0; PADDED_LEN];
        for (to, from) in padded.iter_mut().zip(number.expose().bytes()) {
            *to = from;
        }
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(unique, Aad::from(jti.as_bytes()), &mut padded)
            .map_err(|_| NoKey)?;
        let sealed = [nonce.as_slice(), &padded, tag.as_ref()].concat();
        Ok(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The number, if it was sealed with this key into the token with this `jti`.
    pub(super) fn open(&self, sealed: &str, jti: &str) -> Option<Msisdn> {
        let mut sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        if sealed.len() != SEALED_LEN {
            return None;
        }
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(jti.as_bytes());
        let padded = self.0.open_in_place(nonce, aad, sealed).ok()?;
        let number = std::str::from_utf8(padded).ok()?;
        Msisdn::parse(number.trim_end_matches('\0')).ok()
    }
}

/// Makes the `sub` of tokens that were asked for with a number: another one for each client
/// (OpenID Connect Core section 8.1, pairwise), the same for the same number while the broker runs.
pub(super) struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    /// With a new key.
    pub(super) fn make() -> Result<Self, NoKey> {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| NoKey)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// In letters alone, so that no digits in it look like a number.
    pub(super) fn of(&self, client: &ClientId, number: &Msisdn) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(client.as_str().as_bytes());
        // No client's name has it, so no two pairs spell the same.
        context.update(&[0]);
        context.update(number.expose().as_bytes());
        let tag = context.sign();
        let letters = tag.as_ref().iter().take(PSEUDONYM_LEN).flat_map(|byte| {
            let letter = |nibble: u8| char::from(b'a' + nibble);
            [letter(byte >> 4), letter(byte & 15)]
        });
        letters.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Msisdn {
        Msisdn::parse(text).unwrap()
    }

    #[test]
    fn a_sealed_number_is_opened_in_its_own_token_by_its_own_key_alone() {
        let seal = SubjectSeal::make().unwrap();
        let (long, short) = (number("+447700900123"), number("+33639980"));
        let sealed = seal.seal(&long, "one").unwrap();
        assert_eq!(seal.open(&sealed, "one"), Some(long));
        assert_eq!(seal.open(&sealed, "two"), None);
        let other = SubjectSeal::make().unwrap();
        assert_eq!(other.open(&sealed, "one"), None);
        // The same number is sealed differently each time, and its length is not told.
        assert_ne!(seal.seal(&long, "one").unwrap(), sealed);
        let short = seal.seal(&short, "two").unwrap();
        assert_eq!(short.len(), sealed.len());
        let (cut, longer) = (
            sealed.chars().skip(1).collect::<String>(),
            format!("{sealed}A"),
        );
        for damaged in ["", "AAAA", &cut, &longer] {
            assert_eq!(seal.open(damaged, "one"), None, "{damaged}");
        }
    }

    #[test]
    fn a_pseudonym_is_the_clients_own_and_holds_no_digit() {
        let pseudonyms = Pseudonyms::make().unwrap();
        let [one, other] = ["one", "other"].map(|name| ClientId::parse(name).unwrap());
        let [a, b] = ["+447700900123", "+447700900124"].map(number);
        let of = |client: &ClientId, number: &Msisdn| pseudonyms.of(client, number);
        assert_eq!(of(&one, &a), of(&one, &a));
        assert_ne!(of(&one, &a), of(&other, &a));
        assert_ne!(of(&one, &a), of(&one, &b));
        assert!(of(&one, &a).bytes().all(|byte| byte.is_ascii_lowercase()));
        assert_ne!(Pseudonyms::make().unwrap().of(&one, &a), of(&one, &a));
    }
}
