//! A half of a month's key, sealed to an authority, as text that can be kept and handed over in the
//! open.
//!
//! ```text
//! accord-sealed-share v1
//! ledger accord-sandbox
//! month 2026-09
//! half telecom-regulator
//! commitment base64(SHA-256(…))
//! sealed-to central-bank+2a51a2d5+base64
//! encapsulated base64
//! ciphertext base64
//! ```
//!
//! The lines up to `sealed-to` are the `info` of RFC 9180, so a half opens only as what it was
//! sealed as.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as HPKE,
    hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey},
};

use super::{
    key::{ShareKey, ShareKeyError, ShareSecret},
    lines::{Lines, NotLine},
};
use crate::{
    digest::sha256,
    secret::Secret,
    subject::{Month, TagKey},
};

const HEADING: &str = "accord-sealed-share v1";
const MONTH: &str = "month YYYY-MM";
const LEN: usize = TagKey::LEN;
/// Longest text in bytes; a real one has about 700.
const TEXT_BYTES_MAX: usize = 4_096;
const COMMITMENT_CONTEXT: &[u8] = b"accord tag key commitment v1";

/// Why a share can't be sealed, read, opened or used. No variant holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A line is missing, stands in the wrong place, or is malformed.
    #[error("line {line} of the share is not `{expected}`")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Beyond the most bytes.
    #[error("the share is longer than {TEXT_BYTES_MAX} bytes: it is none")]
    TooLong,
    /// The key that it is sealed to is none.
    #[error("the key that the share is sealed to: {0}")]
    Key(ShareKeyError),
    /// It is sealed to another key.
    #[error("the share is sealed to `{sealed_to}`, and the key given is `{given}`")]
    OtherKey {
        /// To whom it is sealed.
        sealed_to: String,
        /// Whose key was given.
        given: String,
    },
    /// The seal does not hold.
    #[error("the share of {half} does not open: it was changed, or sealed as something else")]
    Broken {
        /// Whose half.
        half: String,
    },
    /// The two are halves of different keys.
    #[error("the two shares differ in their {what}: `{one}` and `{other}`")]
    Differ {
        /// In what.
        what: &'static str,
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// One half given twice.
    #[error("both shares are the half of {half}: the other authority's half is missing")]
    SameHalf {
        /// Whose half.
        half: String,
    },
    /// The halves do not make the key that the broker committed to.
    #[error("the two shares do not make the key that was split: one of them is wrong")]
    NotTheKey,
    /// No randomness, or the cryptographic library refused.
    #[error("the cryptographic library could not seal the share")]
    Crypto,
}

impl From<NotLine> for ShareError {
    fn from(NotLine { line, expected }: NotLine) -> Self {
        Self::Line { line, expected }
    }
}

/// What a half is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareFacts {
    /// The ledger's name, without a month.
    pub ledger: String,
    /// The key's month.
    pub month: Month,
    /// The authority whose half it is.
    pub half: String,
    /// `SHA-256(context || ledger || 0 || month || 0 || key)`: what the halves must make together.
    /// The key has 256 random bits, so its digest reveals nothing.
    pub commitment: [u8; 32],
}

/// A half, in clear: only in memory, and never printed.
pub struct OpenedShare {
    facts: ShareFacts,
    half: Secret<[u8; LEN]>,
}

/// A half, sealed to an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedShare {
    facts: ShareFacts,
    sealed_to: ShareKey,
    encapsulated: Vec<u8>,
    ciphertext: Vec<u8>,
}

/// Splits a month's key between two authorities, in this order.
///
/// # Errors
/// [`ShareError::Crypto`] where there is no randomness.
pub fn split(
    ledger: &str,
    month: Month,
    key: &[u8; LEN],
    authorities: [&str; 2],
) -> Result<[OpenedShare; 2], ShareError> {
    let mut random = [0; LEN];
    rand::fill(&mut random).map_err(|_| ShareError::Crypto)?;
    let rest = xor(key, &random);
    let [one, other] = authorities;
    let share = |authority: &str, half| OpenedShare {
        facts: ShareFacts {
            ledger: ledger.to_owned(),
            month,
            half: authority.to_owned(),
            commitment: commitment(ledger, month, key),
        },
        half: Secret::new(half),
    };
    Ok([share(one, random), share(other, rest)])
}

/// Makes the month's key from both halves.
///
/// # Errors
/// [`ShareError::Differ`], [`ShareError::SameHalf`] or [`ShareError::NotTheKey`].
pub fn combine(one: &OpenedShare, other: &OpenedShare) -> Result<TagKey, ShareError> {
    let (a, b) = (&one.facts, &other.facts);
    differ("ledger", &a.ledger, &b.ledger)?;
    differ("month", &a.month.to_string(), &b.month.to_string())?;
    let text = |facts: &ShareFacts| STANDARD.encode(facts.commitment);
    differ("commitment", &text(a), &text(b))?;
    if a.half == b.half {
        return Err(ShareError::SameHalf {
            half: a.half.clone(),
        });
    }
    let key = xor(one.half.expose(), other.half.expose());
    let made = commitment(&a.ledger, a.month, &key);
    verify_slices_are_equal(&made, &a.commitment).map_err(|_| ShareError::NotTheKey)?;
    Ok(TagKey::new(a.month, &key))
}

fn differ(what: &'static str, one: &str, other: &str) -> Result<(), ShareError> {
    if one == other {
        return Ok(());
    }
    Err(ShareError::Differ {
        what,
        one: one.to_owned(),
        other: other.to_owned(),
    })
}

impl OpenedShare {
    /// What it is a half of.
    #[must_use]
    pub const fn facts(&self) -> &ShareFacts {
        &self.facts
    }

    /// Seals the half to an authority: its own, when the key is split; the other one, when the half
    /// is handed over for a case.
    ///
    /// # Errors
    /// [`ShareError::Crypto`].
    pub fn seal(&self, to: &ShareKey) -> Result<SealedShare, ShareError> {
        let public = HpkePublicKey(to.public().to_vec());
        let info = heading(&self.facts, to);
        let sealed = HPKE.seal(info.as_bytes(), &[], self.half.expose(), &public);
        let (encapsulated, ciphertext) = sealed.map_err(|_| ShareError::Crypto)?;
        Ok(SealedShare {
            facts: self.facts.clone(),
            sealed_to: to.clone(),
            encapsulated: encapsulated.0,
            ciphertext,
        })
    }
}

impl fmt::Debug for OpenedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedShare({:?}, [secret])", self.facts)
    }
}

impl SealedShare {
    /// Parses the text.
    ///
    /// # Errors
    /// [`ShareError`] names the line.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ShareError::TooLong);
        }
        let mut lines = Lines::of(text);
        lines.exactly(HEADING)?;
        let ledger = lines.field("ledger NAME")?.to_owned();
        let month = Month::parse(lines.field(MONTH)?);
        let month = month.ok_or_else(|| lines.not(MONTH))?;
        let half = lines.field("half AUTHORITY")?.to_owned();
        let commitment = lines.bytes("commitment BASE64 of 32 bytes", LEN)?;
        let sealed_to = lines.field("sealed-to SHARE KEY")?;
        let sealed_to = ShareKey::parse(sealed_to).map_err(ShareError::Key)?;
        let encapsulated = lines.bytes("encapsulated BASE64 of 32 bytes", LEN)?;
        // The tag of ChaCha20-Poly1305 has 16 bytes.
        let ciphertext = lines.bytes("ciphertext BASE64 of 48 bytes", LEN + 16)?;
        lines.end()?;
        let commitment = commitment.try_into().map_err(|_| ShareError::Crypto)?;
        Ok(Self {
            facts: ShareFacts {
                ledger,
                month,
                half,
                commitment,
            },
            sealed_to,
            encapsulated,
            ciphertext,
        })
    }

    /// What it is a half of, as it says itself; opening it shows whether that is so.
    #[must_use]
    pub const fn facts(&self) -> &ShareFacts {
        &self.facts
    }

    /// Who can open it.
    #[must_use]
    pub const fn sealed_to(&self) -> &ShareKey {
        &self.sealed_to
    }

    /// SHA-256 of the text, as it stands in the ledger.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&[self.to_string().as_bytes()])
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`ShareError::OtherKey`] or [`ShareError::Broken`].
    pub fn open(&self, secret: &ShareSecret) -> Result<OpenedShare, ShareError> {
        if secret.key() != &self.sealed_to {
            return Err(ShareError::OtherKey {
                sealed_to: self.sealed_to.to_string(),
                given: secret.key().to_string(),
            });
        }
        let private = HpkePrivateKey::from(secret.secret().to_vec());
        let encapsulated = EncapsulatedSecret(self.encapsulated.clone());
        let info = heading(&self.facts, &self.sealed_to);
        let opened = HPKE.open(
            &encapsulated,
            info.as_bytes(),
            &[],
            &self.ciphertext,
            &private,
        );
        let half = opened.ok().and_then(|half| half.try_into().ok());
        let half = half.ok_or_else(|| ShareError::Broken {
            half: self.facts.half.clone(),
        })?;
        Ok(OpenedShare {
            facts: self.facts.clone(),
            half: Secret::new(half),
        })
    }
}

/// The text, which ends with a newline.
impl fmt::Display for SealedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&heading(&self.facts, &self.sealed_to))?;
        writeln!(f, "encapsulated {}", STANDARD.encode(&self.encapsulated))?;
        writeln!(f, "ciphertext {}", STANDARD.encode(&self.ciphertext))
    }
}

/// The lines that say what a share is, which are also what it is sealed with.
fn heading(facts: &ShareFacts, sealed_to: &ShareKey) -> String {
    let ShareFacts {
        ledger,
        month,
        half,
        commitment,
    } = facts;
    let commitment = STANDARD.encode(commitment);
    format!(
        "{HEADING}\nledger {ledger}\nmonth {month}\nhalf {half}\ncommitment {commitment}\n\
         sealed-to {sealed_to}\n"
    )
}

fn commitment(ledger: &str, month: Month, key: &[u8; LEN]) -> [u8; 32] {
    let month = month.to_string();
    sha256(&[
        COMMITMENT_CONTEXT,
        &[0],
        ledger.as_bytes(),
        &[0],
        month.as_bytes(),
        &[0],
        key,
    ])
}

fn xor(one: &[u8; LEN], other: &[u8; LEN]) -> [u8; LEN] {
    let mut both = *one;
    for (to, from) in both.iter_mut().zip(other) {
        *to ^= from;
    }
    both
}

#[cfg(test)]
mod tests;
